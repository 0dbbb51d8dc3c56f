/* SPDX-License-Identifier: ISC */
/*
 * The list of files that an artifact is. Entries are collected in any order; manifest_finish()
 * sorts them once and checks the whole, so that everything after it may rely on a tree that can be
 * made: no path twice, every parent a folder, every link inside. manifest_parse() trusts a stored
 * text no more than an upload: it collects, finishes, formats again and compares.
 *
 * Sorted as bytes, all paths below "a/" stand together. Hence parents are looked up once a folder,
 * a folder is empty when the next path at or after "a/" is not below it, and all of it is O(n log
 * n).
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/names.h"
#include "common/xalloc.h"

#define HEAD "bmd manifest 1\n"
/* links that may be followed on the way to one target: the kernel's own limit */
#define LINKS_MAX      40
#define SHOWN_MAX      240				   /* bytes of a path in a sentence */
#define SIZE_DIGITS    19				   /* of an int64_t */
#define LINE_MAX_FIXED (5 + SIZE_DIGITS + DIGEST_SIZE + 4) /* of a line, beside path and target */
#define COMPONENT_MAX  255 /* bytes: NAME_MAX of every file system that matters */

void
manifest_clear(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->n; i++) {
		free(manifest->v[i].path);
		free(manifest->v[i].target);
	}
	free(manifest->v);
	*manifest = (struct manifest){0};
}

DEFINE_CLEANUP(struct manifest *, cleanup_manifest, manifest_clear)

char *
manifest_shown(const char *path)
{
	size_t n = strlen(path), keep = SHOWN_MAX;
	_cleanup_free_ char *cut = NULL;
	char *safe, *all;

	if (n <= SHOWN_MAX)
		return json_terminal(path);
	while (keep > 0 && ((unsigned char)path[keep] & 0xc0) == 0x80)
		keep--;
	cut = xstrndup(path, keep);
	safe = json_terminal(cut);
	all = xasprintf("%s…", safe);
	free(safe);
	return all;
}

/* Refuses PATH: the sentence is its name and WHY. */
static int
refuse(struct err *err, const char *path, const char *why)
{
	_cleanup_free_ char *shown = manifest_shown(path);
	size_t n = strnlen(path, MANIFEST_PATH_MAX);
	int r = err_set(err, ERR_UPLOAD, "%s: %s", shown, why);

	err_field(err, "path", json_bytes(path, n));
	return r;
}

int
manifest_check_path(const char *path, struct err *err)
{
	size_t n = strlen(path), depth = 0;

	if (n == 0)
		return refuse(err, path, "a file without a name; give each file a name");
	if (n > MANIFEST_PATH_MAX)
		return refuse(err, path, "the path is longer than 4095 bytes; shorten it");
	if (path[0] == '/')
		return refuse(err, path,
			      "the path is absolute; pack paths that are relative to the tree");
	if (!names_text(path, MANIFEST_PATH_MAX, false))
		return refuse(err, path,
			      "the name has control bytes or is not UTF-8; rename the file");
	for (const char *p = path;; p++) {
		size_t length = strcspn(p, "/");

		if (length == 0)
			return refuse(
			    err, path,
			    "the path has an empty component; leave doubled and final slashes out");
		if (length <= 2 && strncmp(p, "..", length) == 0)
			return refuse(err, path,
				      "the path has a component . or ..; pack paths without them");
		if (length > COMPONENT_MAX)
			return refuse(err, path,
				      "a name in the path is longer than 255 bytes; shorten it");
		if (++depth > MANIFEST_DEPTH_MAX)
			return refuse(err, path,
				      "the path is deeper than 128 folders; make the tree flatter");
		p += length;
		if (*p == '\0')
			return 0;
	}
}

static struct manifest_entry *
add(struct manifest *manifest, enum manifest_kind kind, const char *path)
{
	struct manifest_entry *entry;

	XGROW(manifest->v, manifest->n, manifest->room);
	entry = &manifest->v[manifest->n++];
	*entry = (struct manifest_entry){.kind = kind, .path = xstrdup(path)};
	return entry;
}

void
manifest_add_file(struct manifest *manifest, const char *path, bool executable, int64_t size,
		  const char *digest)
{
	struct manifest_entry *entry = add(manifest, MANIFEST_FILE, path);

	entry->executable = executable;
	entry->size = size;
	memcpy(entry->digest, digest, DIGEST_SIZE);
	entry->digest[DIGEST_SIZE - 1] = '\0';
	manifest->files++;
	if (__builtin_add_overflow(manifest->bytes, size, &manifest->bytes))
		manifest->bytes = INT64_MAX;
}

void
manifest_add_link(struct manifest *manifest, const char *path, const char *target)
{
	add(manifest, MANIFEST_LINK, path)->target = xstrdup(target);
}

void
manifest_add_directory(struct manifest *manifest, const char *path)
{
	add(manifest, MANIFEST_DIRECTORY, path);
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct manifest_entry *)a)->path,
		      ((const struct manifest_entry *)b)->path);
}

/* PATH, which is followed by '/' when BELOW, against the N bytes at KEY as if those were followed
 * by it too. */
static int
compare(const char *path, const char *key, size_t n, bool below)
{
	int c = strncmp(path, key, n);

	if (c != 0)
		return c;
	if (!below)
		return (unsigned char)path[n];
	return (unsigned char)path[n] - '/';
}

/* The first entry from START on that is not before KEY (with BELOW: before "KEY/"). */
static size_t
lower_bound(const struct manifest *manifest, size_t start, const char *key, size_t n, bool below)
{
	size_t low = start, high = manifest->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(manifest->v[middle].path, key, n, below) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct manifest_entry *
find(const struct manifest *manifest, const char *key, size_t n)
{
	size_t i = lower_bound(manifest, 0, key, n, false);

	if (i == manifest->n || compare(manifest->v[i].path, key, n, false) != 0)
		return NULL;
	return &manifest->v[i];
}

const struct manifest_entry *
manifest_find(const struct manifest *manifest, const char *path)
{
	return find(manifest, path, strlen(path));
}

/* Is anything from START on below the folder KEY? */
static bool
has_children(const struct manifest *manifest, size_t start, const char *key)
{
	size_t n = strlen(key), i = lower_bound(manifest, start, key, n, true);

	return i < manifest->n && compare(manifest->v[i].path, key, n, true) == 0;
}

bool
manifest_has_below(const struct manifest *manifest, const char *path)
{
	return has_children(manifest, 0, path);
}

/* As is what was stored, and what most archives hold. */
static bool
is_sorted(const struct manifest *manifest)
{
	for (size_t i = 1; i < manifest->n; i++)
		if (strcmp(manifest->v[i - 1].path, manifest->v[i].path) > 0)
			return false;
	return true;
}

/* Sorts; folders given twice become one, anything else twice is refused. */
static int
sort(struct manifest *manifest, struct err *err)
{
	size_t kept = 0;

	if (!is_sorted(manifest))
		qsort(manifest->v, manifest->n, sizeof(*manifest->v), by_path);
	for (size_t i = 1; i < manifest->n; i++) {
		const struct manifest_entry *before = &manifest->v[i - 1], *entry = &manifest->v[i];

		if (strcmp(before->path, entry->path) != 0)
			continue;
		if (before->kind != MANIFEST_DIRECTORY || entry->kind != MANIFEST_DIRECTORY)
			return refuse(err, entry->path,
				      "the path is there twice; pack each file once");
	}
	for (size_t i = 0; i < manifest->n; i++) {
		struct manifest_entry entry = manifest->v[i];

		if (kept > 0 && strcmp(manifest->v[kept - 1].path, entry.path) == 0)
			free(entry.path);
		else
			manifest->v[kept++] = entry;
	}
	manifest->n = kept;
	return 0;
}

/* Every parent of every path is a folder, or is named nowhere. */
static int
check_parents(const struct manifest *manifest, struct err *err)
{
	const char *before = "";

	for (size_t i = 0; i < manifest->n; i++) {
		const char *path = manifest->v[i].path;
		size_t common = 0;

		while (path[common] != '\0' && path[common] == before[common])
			common++;
		for (size_t n = common; path[n] != '\0'; n++) {
			const struct manifest_entry *parent;

			if (path[n] != '/')
				continue;
			parent = find(manifest, path, n);
			if (parent != NULL && parent->kind == MANIFEST_LINK)
				return refuse(
				    err, path,
				    "the path goes through a symbolic link of the same tree");
			if (parent != NULL && parent->kind == MANIFEST_FILE)
				return refuse(err, path,
					      "the path goes through something that is a file in "
					      "the same tree");
		}
		before = path;
	}
	return 0;
}

static void
drop_full_folders(struct manifest *manifest)
{
	size_t kept = 0;

	/* What is kept moves down, and what a look-up at i needs lies after i. */
	for (size_t i = 0; i < manifest->n; i++) {
		struct manifest_entry entry = manifest->v[i];
		bool drop =
		    entry.kind == MANIFEST_DIRECTORY && has_children(manifest, i + 1, entry.path);

		if (drop)
			free(entry.path);
		else
			manifest->v[kept++] = entry;
	}
	manifest->n = kept;
}

/*
 * Where links lead. Each link is resolved once, into the path (without links, "" for the root) that
 * it ends at; another that meets it takes that answer. What does not exist is taken by its name
 * alone.
 */
struct resolver {
	const struct manifest *manifest;
	struct resolved {
		char *path;
		int follows; /* links followed on the way, itself included */
		bool busy;
	} * v;
	size_t bytes; /* held by all answers */
};

struct position {
	char path[MANIFEST_PATH_MAX + 2];
	size_t n;
	int follows;
};

static int resolve(struct resolver *resolver, size_t i, int depth, struct err *err);

static int
step_up(struct position *at, const char *link, struct err *err)
{
	if (at->n == 0)
		return refuse(err, link, "the symbolic link leads out of the tree; link inside it");
	while (at->n > 0 && at->path[at->n - 1] != '/')
		at->n--;
	if (at->n > 0)
		at->n--;
	at->path[at->n] = '\0';
	return 0;
}

static int
step_down(struct resolver *resolver, struct position *at, const char *link, const char *name,
	  size_t n, int depth, struct err *err)
{
	const struct manifest_entry *entry;
	const struct resolved *other;
	size_t i;
	int r;

	if (at->n + 1 + n > MANIFEST_PATH_MAX)
		return refuse(err, link,
			      "the symbolic link's target is longer than 4095 bytes when resolved");
	if (at->n > 0)
		at->path[at->n++] = '/';
	memcpy(at->path + at->n, name, n);
	at->n += n;
	at->path[at->n] = '\0';
	entry = find(resolver->manifest, at->path, at->n);
	if (entry == NULL || entry->kind != MANIFEST_LINK)
		return 0;
	i = (size_t)(entry - resolver->manifest->v);
	r = resolve(resolver, i, depth + 1, err);
	if (r < 0)
		return r;
	other = &resolver->v[i];
	at->follows += other->follows;
	if (at->follows > LINKS_MAX)
		return refuse(err, link,
			      "more than 40 symbolic links lie on the way to the target");
	at->n = strlen(other->path);
	memcpy(at->path, other->path, at->n + 1);
	return 0;
}

static int
walk(struct resolver *resolver, const struct manifest_entry *link, struct position *at, int depth,
     struct err *err)
{
	for (const char *p = link->target; *p != '\0';) {
		size_t n = strcspn(p, "/");
		int r = 0;

		if (n == 2 && strncmp(p, "..", 2) == 0)
			r = step_up(at, link->path, err);
		else if (n > 0 && !(n == 1 && *p == '.'))
			r = step_down(resolver, at, link->path, p, n, depth, err);
		if (r < 0)
			return r;
		p += n;
		p += strspn(p, "/");
	}
	return 0;
}

static int
resolve(struct resolver *resolver, size_t i, int depth, struct err *err)
{
	const struct manifest_entry *link = &resolver->manifest->v[i];
	struct resolved *answer = &resolver->v[i];
	_cleanup_free_ struct position *at = NULL;
	const char *slash = strrchr(link->path, '/');
	int r;

	if (answer->path != NULL)
		return 0;
	if (answer->busy || depth > LINKS_MAX)
		return refuse(err, link->path,
			      "the symbolic link leads in a circle or over more than 40 others");
	answer->busy = true;
	at = xcalloc(1, sizeof(*at));
	at->follows = 1;
	at->n = slash != NULL ? (size_t)(slash - link->path) : 0;
	memcpy(at->path, link->path, at->n);
	at->path[at->n] = '\0';
	r = walk(resolver, link, at, depth, err);
	if (r < 0)
		return r;
	resolver->bytes += at->n + 1;
	if (resolver->bytes > MANIFEST_TEXT_MAX)
		return refuse(err, link->path,
			      "the targets of all symbolic links together are too long");
	answer->path = xstrdup(at->path);
	answer->follows = at->follows;
	answer->busy = false;
	return 0;
}

static int
check_target(const struct manifest_entry *link, struct err *err)
{
	if (link->target[0] == '\0')
		return refuse(err, link->path, "the symbolic link has no target");
	if (link->target[0] == '/')
		return refuse(
		    err, link->path,
		    "the symbolic link's target is absolute; make it relative and inside the tree");
	if (!names_text(link->target, MANIFEST_PATH_MAX, false))
		return refuse(err, link->path,
			      "the symbolic link's target has control bytes, is not UTF-8 or is "
			      "longer than 4095 bytes");
	return 0;
}

static int
check_links(const struct manifest *manifest, struct err *err)
{
	struct resolver resolver = {.manifest = manifest};
	int r = 0;

	if (manifest->n == 0)
		return 0;
	resolver.v = xcalloc(manifest->n, sizeof(*resolver.v));
	for (size_t i = 0; i < manifest->n && r >= 0; i++)
		if (manifest->v[i].kind == MANIFEST_LINK)
			r = check_target(&manifest->v[i], err);
	for (size_t i = 0; i < manifest->n && r >= 0; i++)
		if (manifest->v[i].kind == MANIFEST_LINK)
			r = resolve(&resolver, i, 1, err);
	for (size_t i = 0; i < manifest->n; i++)
		free(resolver.v[i].path);
	free(resolver.v);
	return r;
}

int
manifest_finish(struct manifest *manifest, struct err *err)
{
	int r;

	for (size_t i = 0; i < manifest->n; i++) {
		r = manifest_check_path(manifest->v[i].path, err);
		if (r < 0)
			return r;
	}
	if (manifest->bytes == INT64_MAX)
		return err_set(err, ERR_UPLOAD,
			       "the files together are too large; their sizes do not add up");
	r = sort(manifest, err);
	if (r < 0)
		return r;
	r = check_parents(manifest, err);
	if (r < 0)
		return r;
	drop_full_folders(manifest);
	return check_links(manifest, err);
}

/* A text that grows, its room made before it is written. */
struct text {
	char *v;
	size_t n;
};

static void
append(struct text *text, const char *bytes)
{
	size_t n = strlen(bytes);

	memcpy(text->v + text->n, bytes, n);
	text->n += n;
}

static void
append_size(struct text *text, int64_t size)
{
	char digits[SIZE_DIGITS + 1], *p = digits + SIZE_DIGITS;

	*p = '\0';
	do
		*--p = (char)('0' + size % 10);
	while ((size /= 10) > 0);
	append(text, p);
}

static void
append_entry(struct text *text, const struct manifest_entry *entry)
{
	append(text, entry->kind == MANIFEST_LINK	 ? "link"
		     : entry->kind == MANIFEST_DIRECTORY ? "dir"
		     : entry->executable		 ? "0755"
							 : "0644");
	append(text, "\t");
	append_size(text, entry->size);
	append(text, "\t");
	append(text, entry->kind == MANIFEST_LINK	 ? entry->target
		     : entry->kind == MANIFEST_DIRECTORY ? "-"
							 : entry->digest);
	append(text, "\t");
	append(text, entry->path);
	append(text, "\n");
}

char *
manifest_format(const struct manifest *manifest, size_t *ret_n)
{
	size_t room = sizeof(HEAD);
	struct text text = {0};

	for (size_t i = 0; i < manifest->n; i++) {
		const struct manifest_entry *entry = &manifest->v[i];

		room += LINE_MAX_FIXED + strlen(entry->path) +
			(entry->target != NULL ? strlen(entry->target) : 0);
	}
	text.v = xrealloc(NULL, room, 1);
	append(&text, HEAD);
	for (size_t i = 0; i < manifest->n; i++)
		append_entry(&text, &manifest->v[i]);
	text.v[text.n] = '\0';
	if (ret_n != NULL)
		*ret_n = text.n;
	return text.v;
}

/* Cuts LINE at its tabs into four fields: the first three have none, the last must have none. */
static bool
split(char *line, char *fields[4])
{
	for (int i = 0; i < 4; i++) {
		fields[i] = line;
		line += strcspn(line, "\t");
		if ((*line == '\t') != (i < 3))
			return false;
		if (i < 3)
			*line++ = '\0';
	}
	return true;
}

static bool
parse_size(const char *text, int64_t *ret_size)
{
	int64_t size = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, *text - '0', &size))
			return false;
	}
	*ret_size = size;
	return true;
}

/* LINE, which is cut up, as an entry that borrows from it. */
static bool
parse_line(char *line, struct manifest_entry *ret_entry)
{
	struct manifest_entry entry = {0};
	char *field[4];

	if (!split(line, field) || !parse_size(field[1], &entry.size))
		return false;
	entry.path = field[3];
	if (strcmp(field[0], "link") == 0) {
		entry.kind = MANIFEST_LINK;
		entry.target = field[2];
	} else if (strcmp(field[0], "dir") == 0) {
		entry.kind = MANIFEST_DIRECTORY;
	} else if ((strcmp(field[0], "0644") == 0 || strcmp(field[0], "0755") == 0) &&
		   digest_valid(field[2])) {
		entry.executable = strcmp(field[0], "0755") == 0;
		memcpy(entry.digest, field[2], DIGEST_SIZE);
	} else {
		return false;
	}
	*ret_entry = entry;
	return true;
}

static int
bad(struct err *err, const char *what, size_t line)
{
	if (line > 0)
		err_set(err, ERR_FAILED, "the manifest is damaged: %s at line %zu", what, line);
	else
		err_set(err, ERR_FAILED, "the manifest is damaged: %s", what);
	return -EBADMSG;
}

int
manifest_walk(char *text, size_t n, int (*back)(const struct manifest_entry *entry, void *arg),
	      void *arg, struct err *err)
{
	char *end = text + n;
	size_t number = 1;
	int r = 0;

	if (n < strlen(HEAD) || memcmp(text, HEAD, strlen(HEAD)) != 0)
		return bad(err, "it does not begin with \"bmd manifest 1\"", 0);
	for (char *line = text + strlen(HEAD); line < end && r >= 0; number++) {
		char *stop = memchr(line, '\n', (size_t)(end - line));
		struct manifest_entry entry;

		if (stop == NULL)
			return bad(err, "it is cut", number + 1);
		*stop = '\0';
		if (strlen(line) != (size_t)(stop - line) || !parse_line(line, &entry))
			return bad(err, "no entry", number + 1);
		r = back(&entry, arg);
		line = stop + 1;
	}
	return r;
}

static int
add_entry(const struct manifest_entry *entry, void *arg)
{
	struct manifest *manifest = arg;

	if (entry->kind == MANIFEST_LINK)
		manifest_add_link(manifest, entry->path, entry->target);
	else if (entry->kind == MANIFEST_DIRECTORY)
		manifest_add_directory(manifest, entry->path);
	else
		manifest_add_file(manifest, entry->path, entry->executable, entry->size,
				  entry->digest);
	return 0;
}

int
manifest_parse(const char *text, size_t n, struct manifest *ret_manifest, struct err *err)
{
	struct manifest manifest = {0};
	_cleanup_(cleanup_manifest) struct manifest *guard = &manifest;
	_cleanup_free_ char *copy = NULL, *again = NULL;
	size_t again_n;
	int r;

	if (n > MANIFEST_TEXT_MAX)
		return bad(err, "it is longer than 256 MiB", 0);
	copy = xrealloc(NULL, n + 1, 1);
	if (n > 0)
		memcpy(copy, text, n);
	copy[n] = '\0';
	r = manifest_walk(copy, n, add_entry, &manifest, err);
	if (r < 0)
		return r;
	if (manifest_finish(&manifest, err) < 0) {
		err_prefix(err, "the manifest is damaged");
		return -EBADMSG;
	}
	/* Only the one text that this value has, so that a digest and a tree are the same thing. */
	again = manifest_format(&manifest, &again_n);
	if (again_n != n || memcmp(again, text, n) != 0)
		return bad(err, "it is not in the one form that bmd writes", 0);
	*ret_manifest = manifest;
	guard = NULL;
	return 0;
}

static bool
same(const struct manifest_entry *a, const struct manifest_entry *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case MANIFEST_FILE:
		return a->executable == b->executable && a->size == b->size &&
		       strcmp(a->digest, b->digest) == 0;
	case MANIFEST_LINK:
		return strcmp(a->target, b->target) == 0;
	case MANIFEST_DIRECTORY:
		break;
	}
	return true;
}

void
manifest_diff(const struct manifest *old, const struct manifest *new,
	      void (*back)(const struct manifest_entry *old, const struct manifest_entry *new,
			   void *arg),
	      void *arg)
{
	size_t i = 0, j = 0;

	while (i < old->n || j < new->n) {
		int c;

		if (i == old->n)
			c = 1;
		else if (j == new->n)
			c = -1;
		else
			c = strcmp(old->v[i].path, new->v[j].path);
		if (c < 0)
			back(&old->v[i++], NULL, arg);
		else if (c > 0)
			back(NULL, &new->v[j++], arg);
		else {
			if (!same(&old->v[i], &new->v[j]))
				back(&old->v[i], &new->v[j], arg);
			i++, j++;
		}
	}
}
