/* SPDX-License-Identifier: ISC */
/*
 * The parent of an upload. Entries come from the client itself (tree) or, for an archive, from a
 * caged child that this process feeds; both are strangers. Each path is normalised and checked as
 * it comes, every count has a limit, content goes to a staging folder; only when the end was seen
 * and the whole manifest stands is anything put into the store.
 *
 * Feeding and reading the child is one poll loop in which this side never waits to write: the child
 * may have a full pipe of entries for us while its own is full.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <search.h>
#include <string.h>

#include "artifact/damage.h"
#include "artifact/manifest.h"
#include "common/entry.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "import/cage.h"
#include "import/import.h"
#include "import/names.h"

#define CLIENT_WAIT_MS (5 * 60 * 1000) /* for the next bytes of an upload */
#define RATIO_FLOOR    (INT64_C(64) << 20)

const struct import_limits import_limits_default = {
#define X(name, value) .name = (value),
    IMPORT_LIMITS(X)
#undef X
};

/* A file that came, by its path: what a hard link may mean. */
struct named {
	const char *path;
	size_t index; /* in the manifest */
};

struct import {
	struct objects_import *stage;
	const struct import_limits *limits;
	struct manifest manifest;
	void *names; /* tsearch() tree of struct named */
	struct objects_writer *writer;
	char *path; /* of the file that WRITER writes */
	bool executable;
	int64_t size;		/* of that file so far */
	int64_t bytes, entries; /* so far, of all */
	size_t name_bytes;	/* bytes of all paths and targets so far */
	int64_t fed;		/* bytes of an archive that went in; -1 for a tree */
	bool hard_links;	/* may there be any? */
	json_t *warnings;
};

int
import_limit_parse(const char *text, struct import_limits *limits)
{
	const char *equals = strchr(text, '=');
	char *end;
	long long value;

	if (equals == NULL || equals[1] < '0' || equals[1] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoll(equals + 1, &end, 10);
	if (errno != 0 || *end != '\0')
		return -EINVAL;
#define X(name, value_)                                 \
	if ((size_t)(equals - text) == strlen(#name) && \
	    strncmp(text, #name, strlen(#name)) == 0) { \
		limits->name = value;                   \
		return 0;                               \
	}
	IMPORT_LIMITS(X)
#undef X
	return -EINVAL;
}

/* Refuses the upload because of PATH. */
static int refuse(struct err *err, const char *path, const char *format, ...) _printf_(3, 4);

static int
refuse(struct err *err, const char *path, const char *format, ...)
{
	_cleanup_free_ char *shown = manifest_shown(path), *why = NULL;
	va_list args;
	int r;

	va_start(args, format);
	if (vasprintf(&why, format, args) < 0)
		xalloc_die();
	va_end(args);
	r = err_set(err, ERR_UPLOAD, "%s: %s", shown, why);
	err_field(err, "path", json_bytes(path, strnlen(path, MANIFEST_PATH_MAX)));
	return r;
}

/* ---- entries */

/* PATH of N bytes without "./" before and, of a folder, "/" behind it; "" is the root itself. */
static int
take_path(const struct import *import, const char *path, size_t n, bool folder, char **ret_path,
	  struct err *err)
{
	_cleanup_free_ char *clean = NULL;
	int64_t depth = 1;
	int r;

	if (memchr(path, '\0', n) != NULL)
		return err_set(err, ERR_UPLOAD, "a name in the upload holds a zero byte");
	while (n >= 2 && path[0] == '.' && path[1] == '/') {
		path += 2, n -= 2;
		while (n > 0 && *path == '/')
			path++, n--;
	}
	while (folder && n > 1 && path[n - 1] == '/')
		n--;
	if (folder && n == 1 && *path == '.')
		n = 0;
	clean = xstrndup(path, n);
	if (folder && n == 0) {
		*ret_path = TAKE(clean);
		return 0;
	}
	r = manifest_check_path(clean, err);
	if (r < 0)
		return r;
	if ((int64_t)n > import->limits->path)
		return refuse(err, clean, "the path is longer than %" PRId64 " bytes; shorten it",
			      import->limits->path);
	for (const char *p = clean; *p != '\0'; p++)
		depth += *p == '/';
	if (depth > import->limits->depth)
		return refuse(err, clean,
			      "the path is deeper than %" PRId64 " folders; make the tree flatter",
			      import->limits->depth);
	*ret_path = TAKE(clean);
	return 0;
}

/* What is kept of an entry, of N bytes with all its names, until the upload ends. */
static int
count_entry(struct import *import, size_t n, struct err *err)
{
	if (++import->entries > import->limits->files)
		return err_set(err, ERR_UPLOAD,
			       "the upload has more than %" PRId64 " files; pack fewer",
			       import->limits->files);
	import->name_bytes += n;
	if (import->name_bytes > MANIFEST_TEXT_MAX)
		return err_set(
		    err, ERR_UPLOAD,
		    "the names of the upload's files are together too long; pack fewer files");
	return 0;
}

/* N more bytes of PATH, of which there are then SIZE. */
static int
count_bytes(struct import *import, const char *path, int64_t n, int64_t size, struct err *err)
{
	const struct import_limits *limits = import->limits;

	if (size > limits->file)
		return refuse(err, path, "the file is larger than %" PRId64 " bytes", limits->file);
	if (n > limits->bytes - import->bytes)
		return err_set(err, ERR_UPLOAD,
			       "the files of the upload are together larger than %" PRId64 " bytes",
			       limits->bytes);
	import->bytes += n;
	if (import->fed >= 0 && import->bytes > RATIO_FLOOR &&
	    import->bytes / limits->ratio > import->fed)
		return err_set(err, ERR_UPLOAD,
			       "the archive unpacks to more than %" PRId64
			       " times its size; pack it without such content",
			       limits->ratio);
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->path, ((const struct named *)b)->path);
}

/* The manifest's newest entry may be meant by a hard link that follows. */
static int
remember(struct import *import, struct err *err)
{
	size_t index = import->manifest.n - 1;
	const char *path = import->manifest.v[index].path;
	struct named *named, **found;

	if (!import->hard_links)
		return 0;
	named = xcalloc(1, sizeof(*named));
	*named = (struct named){path, index};
	found = tsearch(named, &import->names, by_name);
	if (found == NULL)
		xalloc_die();
	if (*found == named)
		return 0;
	free(named);
	return refuse(err, path, "the path is there twice; pack each file once");
}

static int
end_file(struct import *import, struct err *err)
{
	char digest[DIGEST_SIZE];
	int64_t size;
	int r;

	if (import->writer == NULL)
		return 0;
	r = objects_writer_end(TAKE(import->writer), digest, &size, err);
	if (r >= 0) {
		manifest_add_file(&import->manifest, import->path, import->executable, size,
				  digest);
		r = remember(import, err);
	}
	free(TAKE(import->path));
	return r;
}

static int
take_file(struct import *import, const char *bytes, size_t n, struct err *err)
{
	if (n < 1 || (bytes[0] != 'x' && bytes[0] != '-'))
		return err_set(err, ERR_UPLOAD, "the upload is malformed: a file without a mode");
	import->executable = bytes[0] == 'x';
	import->size = 0;
	import->writer = objects_writer_open(import->stage);
	return take_path(import, bytes + 1, n - 1, false, &import->path, err);
}

static int
take_content(struct import *import, const char *bytes, size_t n, struct err *err)
{
	int r;

	if (import->writer == NULL)
		return err_set(err, ERR_UPLOAD, "the upload is malformed: content without a file");
	import->size += (int64_t)n;
	r = count_bytes(import, import->path, (int64_t)n, import->size, err);
	return r < 0 ? r : objects_writer_add(import->writer, bytes, n, err);
}

static int
take_folder(struct import *import, const char *bytes, size_t n, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = take_path(import, bytes, n, true, &path, err);

	if (r >= 0 && *path != '\0')
		manifest_add_directory(&import->manifest, path);
	return r;
}

/* "PATH NUL TARGET": the target's place, which a NUL that is not counted follows. */
static int
split(const char *bytes, size_t n, size_t *ret_path_size, const char **ret_target, struct err *err)
{
	const char *zero = memchr(bytes, '\0', n);

	if (zero == NULL || strlen(zero + 1) != n - (size_t)(zero + 1 - bytes))
		return err_set(err, ERR_UPLOAD, "the upload is malformed: a link without a target");
	*ret_path_size = (size_t)(zero - bytes);
	*ret_target = zero + 1;
	return 0;
}

static int
take_link(struct import *import, const char *bytes, size_t n, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	const char *target;
	int r = split(bytes, n, &n, &target, err);

	if (r >= 0)
		r = take_path(import, bytes, n, false, &path, err);
	if (r >= 0)
		manifest_add_link(&import->manifest, path, target);
	return r;
}

/* A hard link becomes a file of its own: the content of a file that came before it. */
static int
take_hard_link(struct import *import, const char *bytes, size_t n, struct err *err)
{
	_cleanup_free_ char *path = NULL, *target = NULL;
	struct manifest_entry original;
	const struct named *const *found;
	struct named key = {0};
	const char *raw;
	int r = split(bytes, n, &n, &raw, err);

	if (r >= 0)
		r = take_path(import, bytes, n, false, &path, err);
	if (r < 0)
		return r;
	if (take_path(import, raw, strlen(raw), false, &target, NULL) >= 0) {
		key.path = target;
		found = tfind(&key, &import->names, by_name);
	} else {
		found = NULL;
	}
	if (found == NULL)
		return refuse(err, path,
			      "a hard link to something that is no file before it in the archive");
	original = import->manifest.v[(*found)->index];
	r = count_bytes(import, path, original.size, original.size, err);
	if (r < 0)
		return r;
	manifest_add_file(&import->manifest, path, original.executable, original.size,
			  original.digest);
	return remember(import, err);
}

/* The writer of the stream says why it stops: "TEXT" or "PATH NUL TEXT". */
static int
take_abort(const char *bytes, size_t n, struct err *err)
{
	const char *zero = memchr(bytes, '\0', n);
	_cleanup_free_ char *safe = json_terminal(zero != NULL ? zero + 1 : bytes);

	if (zero != NULL)
		return refuse(err, bytes, "%s", safe);
	return err_set(err, ERR_UPLOAD, "%s", *safe != '\0' ? safe : "the upload was given up");
}

/* One frame that is no content of an archive: 1 at the end, else 0. */
static int
take(struct import *import, enum entry_kind kind, const char *bytes, size_t n, struct err *err)
{
	int r;

	if (kind == ENTRY_CONTENT)
		return take_content(import, bytes, n, err);
	r = end_file(import, err);
	if (r < 0)
		return r;
	if (kind == ENTRY_END)
		return 1;
	if (kind == ENTRY_ABORT)
		return take_abort(bytes, n, err);
	r = count_entry(import, n, err);
	if (r < 0)
		return r;
	switch (kind) {
	case ENTRY_FILE:
		return take_file(import, bytes, n, err);
	case ENTRY_DIRECTORY:
		return take_folder(import, bytes, n, err);
	case ENTRY_LINK:
		return take_link(import, bytes, n, err);
	case ENTRY_HARD_LINK:
		return take_hard_link(import, bytes, n, err);
	default:
		return err_set(err, ERR_UPLOAD, "the upload is malformed: unknown entry");
	}
}

/* A frame from the client; 0 of entry_read() is a cut upload. */
static int
next(struct entry_input *input, enum entry_kind *ret_kind, const char **ret_bytes, size_t *ret_n,
     struct err *err)
{
	int r = entry_read(input, ret_kind, ret_bytes, ret_n);

	if (r > 0)
		return 0;
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_UPLOAD, "nothing came for %d minutes; upload again",
			       CLIENT_WAIT_MS / 60000);
	if (r == 0 || r == -ECONNRESET)
		return err_set(err, ERR_UPLOAD, "the upload broke off; upload again");
	if (r == -EBADMSG)
		return err_set(err, ERR_UPLOAD,
			       "the upload is malformed or broke off; upload again");
	return err_errno(err, -r, "the upload cannot be read");
}

static int
run_tree(struct import *import, struct entry_input *client, struct err *err)
{
	int r = 0;

	while (r == 0) {
		enum entry_kind kind;
		const char *bytes;
		size_t n;

		r = next(client, &kind, &bytes, &n, err);
		if (r >= 0)
			r = take(import, kind, bytes, n, err);
	}
	return r < 0 ? r : 0;
}

/* ---- archives */

/* The next piece of an archive from the client: 1, or 0 at its end. */
static int
next_piece(struct import *import, struct entry_input *client, const char **ret_bytes, size_t *ret_n,
	   struct err *err)
{
	enum entry_kind kind;
	const char *bytes;
	size_t n;
	int r = next(client, &kind, &bytes, &n, err);

	if (r < 0)
		return r;
	if (kind == ENTRY_ABORT)
		return take_abort(bytes, n, err);
	if (kind == ENTRY_END)
		return 0;
	if (kind != ENTRY_CONTENT)
		return err_set(err, ERR_UPLOAD,
			       "the upload is malformed: an entry within an archive");
	if ((int64_t)n > import->limits->bytes - import->fed)
		return err_set(err, ERR_UPLOAD, "the archive is larger than %" PRId64 " bytes",
			       import->limits->bytes);
	import->fed += (int64_t)n;
	*ret_bytes = bytes;
	*ret_n = n;
	return 1;
}

/* One entry from the child: 1 at the end. */
static int
take_from_cage(struct import *import, struct cage *cage, struct err *err)
{
	enum entry_kind kind;
	const char *bytes;
	size_t n;
	int r = entry_read(cage->entries, &kind, &bytes, &n);

	if (r <= 0)
		return cage_explain(cage, r, err);
	return take(import, kind, bytes, n, err);
}

/* One turn: waits until something can go on, and does that. 1 when the child has said that it is
 * done. */
static int
turn(struct import *import, struct entry_input *client, int client_fd, struct cage *cage,
     const char **piece, size_t *left, struct err *err)
{
	bool fetch = cage->in >= 0 && *left == 0, ready = fetch && entry_ready(client);
	struct pollfd v[] = {{.fd = cage->out, .events = POLLIN},
			     {.fd = *left > 0 ? cage->in : -1, .events = POLLOUT},
			     {.fd = fetch && !ready ? client_fd : -1, .events = POLLIN}};
	int r;

	/* What is buffered already needs no look at descriptors; it is little, so nobody waits
	 * long. */
	if (entry_ready(cage->entries))
		return take_from_cage(import, cage, err);
	r = poll(v, ARRAY_SIZE(v), ready ? 0 : fetch ? CLIENT_WAIT_MS : CAGE_WAIT_MS);
	if (r < 0)
		return errno == EINTR ? 0 : err_errno(err, errno, "the upload cannot be read");
	if (r == 0 && !ready)
		return err_set(err, ERR_UPLOAD, "nothing came for minutes; upload again");
	if (v[0].revents != 0)
		return take_from_cage(import, cage, err);
	if (v[1].revents != 0 && cage_feed(cage, piece, left) < 0) {
		/* The child reads no more: it has said why, or is gone. */
		*left = 0;
		cleanup_close(&cage->in);
		cage->in = -1;
	}
	if (!ready && v[2].revents == 0)
		return 0;
	r = next_piece(import, client, piece, left, err);
	if (r == 0) {
		cleanup_close(&cage->in);
		cage->in = -1;
	}
	return r < 0 ? r : 0;
}

/* The client's stream after the reader has had enough: only its end may come. */
static int
finish_client(struct import *import, struct entry_input *client, struct err *err)
{
	const char *bytes;
	size_t n;
	int r;

	do
		r = next_piece(import, client, &bytes, &n, err);
	while (r > 0);
	return r;
}

static int
run_tar(struct import *import, struct entry_input *client, int client_fd, struct err *err)
{
	struct cage cage = {.pid = -1, .in = -1, .out = -1};
	const char *piece = NULL;
	size_t left = 0;
	int r = cage_start(&cage, READER_TAR, -1, err);

	while (r == 0)
		r = turn(import, client, client_fd, &cage, &piece, &left, err);
	/* A reader that is done has read to the end of its pipe, which is closed when the client's
	 * end has come. */
	if (r > 0)
		r = cage.in < 0 ? 0 : finish_client(import, client, err);
	cage_stop(&cage);
	return r;
}

static int
spool(struct import *import, struct entry_input *client, int fd, struct err *err)
{
	for (;;) {
		const char *bytes;
		size_t n;
		int r = next_piece(import, client, &bytes, &n, err);

		if (r <= 0)
			return r;
		while (n > 0) {
			ssize_t done = write(fd, bytes, n);

			if (done < 0 && errno != EINTR)
				return err_errno(err, errno, "the upload cannot be stored");
			if (done > 0)
				bytes += done, n -= (size_t)done;
		}
	}
}

static int
run_zip(struct import *import, struct entry_input *client, struct err *err)
{
	struct cage cage = {.pid = -1, .in = -1, .out = -1};
	_cleanup_close_ int fd = -1;
	int r = objects_import_spool(import->stage, &fd, err);

	if (r >= 0)
		r = spool(import, client, fd, err);
	if (r >= 0)
		r = cage_start(&cage, READER_ZIP, fd, err);
	while (r == 0)
		r = take_from_cage(import, &cage, err);
	cage_stop(&cage);
	return r < 0 ? r : 0;
}

/* ---- the whole */

static int
receive(struct import *import, int fd, const char *kind, struct err *err)
{
	struct entry_input *client = entry_input_new(fd);
	int r;

	entry_input_timeout(client, CLIENT_WAIT_MS);
	if (strcmp(kind, "tree") == 0)
		r = run_tree(import, client, err);
	else if (strcmp(kind, "tar") == 0)
		r = run_tar(import, client, fd, err);
	else
		r = run_zip(import, client, err);
	entry_input_free(client);
	return r;
}

static int
publish(struct import *import, const struct objects *objects, json_t **ret_answer, struct err *err)
{
	const struct damages none = {0};
	_cleanup_free_ char *text = NULL;
	char digest[DIGEST_SIZE];
	size_t n;
	int r = manifest_finish(&import->manifest, err);

	if (r < 0)
		return r;
	names_warn(&import->manifest, import->warnings);
	text = manifest_format(&import->manifest, &n);
	if (n > MANIFEST_TEXT_MAX)
		return err_set(
		    err, ERR_UPLOAD,
		    "the names of the upload's files are together too long; pack fewer files");
	r = objects_publish(import->stage, text, n, digest, err);
	if (r < 0)
		return r;
	/* All of it was hashed just now, on its way or where it lay. A mark that stays says too
	 * much, never too little. */
	(void)damage_note(objects, digest, &none);
	damage_heal(objects);
	*ret_answer = json_pack("{s:s, s:I, s:I, s:O}", "digest", digest, "files",
				(json_int_t)import->manifest.files, "bytes",
				(json_int_t)import->manifest.bytes, "warnings", import->warnings);
	return *ret_answer != NULL ? 0 : (xalloc_die(), 0);
}

int
import_run(struct objects *objects, int fd, const char *kind, const struct import_limits *limits,
	   json_t **ret_answer, struct err *err)
{
	struct import import = {.limits = limits};
	bool tree = strcmp(kind, "tree") == 0;
	int r;

	if (!tree && strcmp(kind, "tar") != 0 && strcmp(kind, "zip") != 0)
		return err_set(err, ERR_UPLOAD,
			       "\"%.40s\" is no kind of upload; they are tree, tar and zip", kind);
	import.fed = tree ? -1 : 0;
	import.hard_links = !tree;
	r = objects_import_open(objects, &import.stage, err);
	if (r < 0)
		return r;
	import.warnings = json_array();
	r = receive(&import, fd, kind, err);
	if (r >= 0)
		r = publish(&import, objects, ret_answer, err);
	objects_writer_abort(import.writer);
	objects_import_close(import.stage);
	free(import.path);
	tdestroy(import.names, free);
	manifest_clear(&import.manifest);
	json_decref(import.warnings);
	return r;
}
