/* SPDX-License-Identifier: ISC */
/*
 * Mark and sweep. The marks are the objects of all manifests that stay, in one table of binary
 * digests: it grows with what the store holds, not with how many builds share it. Manifests go
 * before objects, and are synced between: whenever this ends, no manifest is there without its
 * objects. What an interrupted upload has put and no manifest names goes, too: no upload is under
 * way, because each shares the lock that this one has alone.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "artifact/damage.h"
#include "artifact/manifest.h"
#include "common/entry.h"
#include "common/xalloc.h"
#include "import/collect.h"
#include "import/tell.h"

#define LOCK_WAIT_MS 30000
#define KEPT_MAX     1000000 /* manifests */

/* Digests as bytes, open addressing; a digest is its own hash. */
struct set {
	unsigned char (*v)[32];
	bool *used;
	size_t n, room; /* room: 0 or a power of two */
};

struct collect {
	const struct objects *objects;
	struct tell tell;
	int in;
	int64_t young_us; /* a manifest that came after this moment stays */
	struct set manifests, content;
	int64_t nmanifests, nobjects, bytes; /* gone */
};

/* ---- the set */

static unsigned
nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void
binary(const char *digest, unsigned char ret[32])
{
	for (size_t i = 0; i < 32; i++)
		ret[i] = (unsigned char)(nibble(digest[2 * i]) << 4 | nibble(digest[2 * i + 1]));
}

/* Where KEY is, or would be. There is always room for one. */
static size_t
place_of(const struct set *set, const unsigned char key[32])
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, key, sizeof(hash));
	for (i = hash & (set->room - 1); set->used[i]; i = (i + 1) & (set->room - 1))
		if (memcmp(set->v[i], key, 32) == 0)
			break;
	return i;
}

static void
grow(struct set *set)
{
	struct set larger = {.n = set->n, .room = set->room != 0 ? set->room * 2 : 1024};

	larger.v = xcalloc(larger.room, sizeof(*larger.v));
	larger.used = xcalloc(larger.room, sizeof(*larger.used));
	for (size_t i = 0; i < set->room; i++) {
		size_t to;

		if (!set->used[i])
			continue;
		to = place_of(&larger, set->v[i]);
		memcpy(larger.v[to], set->v[i], 32);
		larger.used[to] = true;
	}
	free(set->v);
	free(set->used);
	*set = larger;
}

static void
set_add(struct set *set, const char *digest)
{
	unsigned char key[32];
	size_t i;

	if (set->n * 2 >= set->room)
		grow(set);
	binary(digest, key);
	i = place_of(set, key);
	if (set->used[i])
		return;
	memcpy(set->v[i], key, 32);
	set->used[i] = true;
	set->n++;
}

static bool
set_has(const struct set *set, const char *digest)
{
	unsigned char key[32];

	if (set->n == 0)
		return false;
	binary(digest, key);
	return set->used[place_of(set, key)];
}

static void
set_clear(struct set *set)
{
	free(set->v);
	free(set->used);
}

/* ---- what is told */

static int
tell_counts(struct collect *collect, const char *what)
{
	return tell_object(&collect->tell, json_pack("{s:{s:I, s:I, s:I}}", what, "manifests",
						     (json_int_t)collect->nmanifests, "objects",
						     (json_int_t)collect->nobjects, "bytes",
						     (json_int_t)collect->bytes));
}

static int
tell_now_and_then(struct collect *collect)
{
	return tell_due(&collect->tell) ? tell_counts(collect, "progress") : 0;
}

/* ---- the list */

static int
broken_list(struct err *err)
{
	return err_set(err, ERR_FAILED,
		       "the list of what to keep is not whole: nothing was removed");
}

static int
read_list(struct collect *collect, struct err *err)
{
	_cleanup_fclose_ FILE *file = fdopen(dup(collect->in), "r");
	char line[DIGEST_SIZE + 2], end[32];

	if (file == NULL)
		return err_errno(err, errno, "the list of what to keep cannot be read");
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(end, sizeof(end), "end %zu", collect->manifests.n);
		if (strcmp(line, end) == 0)
			return 0;
		if (!digest_valid(line) || collect->manifests.n == KEPT_MAX ||
		    set_has(&collect->manifests, line))
			return broken_list(err);
		set_add(&collect->manifests, line);
	}
	return broken_list(err);
}

/* ---- mark */

static int
mark(struct collect *collect, const char *digest, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct manifest manifest = {0};
	size_t n;
	int r = objects_get_manifest(collect->objects, digest, &text, &n, err);

	if (r >= 0)
		r = manifest_parse(text, n, &manifest, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < manifest.n; i++)
		if (manifest.v[i].kind == MANIFEST_FILE)
			set_add(&collect->content, manifest.v[i].digest);
	manifest_clear(&manifest);
	return 0;
}

static void
hex(const unsigned char key[32], char ret_digest[DIGEST_SIZE])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(ret_digest + 2 * i, 3, "%02x", key[i]);
}

static int
mark_listed(struct collect *collect, struct err *err)
{
	for (size_t i = 0; i < collect->manifests.room; i++) {
		char digest[DIGEST_SIZE];
		int r;

		if (!collect->manifests.used[i])
			continue;
		hex(collect->manifests.v[i], digest);
		r = mark(collect, digest, err);
		if (r < 0) {
			err_prefix(err, "nothing was removed");
			return r;
		}
	}
	return 0;
}

/* A young one stays with what it names; one that cannot be read names nothing and is no build's. */
static int
mark_young(const char *digest, int64_t bytes, int64_t mtime_us, void *arg)
{
	struct collect *collect = arg;

	(void)bytes;
	if (mtime_us < collect->young_us || set_has(&collect->manifests, digest))
		return 0;
	if (mark(collect, digest, NULL) >= 0)
		set_add(&collect->manifests, digest);
	return 0;
}

/* ---- sweep */

static int
removed(struct collect *collect, int r, int64_t *count, int64_t bytes)
{
	if (r < 0 && r != -ENOENT)
		return r;
	++*count;
	collect->bytes += bytes;
	return tell_now_and_then(collect);
}

static int
sweep_manifest(const char *digest, int64_t bytes, int64_t mtime_us, void *arg)
{
	struct collect *collect = arg;

	(void)mtime_us;
	if (set_has(&collect->manifests, digest))
		return 0;
	return removed(collect, objects_remove(collect->objects, OBJECTS_MANIFESTS, digest),
		       &collect->nmanifests, bytes);
}

static int
sweep_object(const char *digest, int64_t bytes, int64_t mtime_us, void *arg)
{
	struct collect *collect = arg;

	(void)mtime_us;
	if (set_has(&collect->content, digest))
		return 0;
	return removed(collect, objects_remove(collect->objects, OBJECTS_CONTENT, digest),
		       &collect->nobjects, bytes);
}

static bool
keeps_manifest(const char *digest, void *arg)
{
	const struct collect *collect = arg;

	return set_has(&collect->manifests, digest);
}

static int
sweep(struct collect *collect, struct err *err)
{
	int r = objects_each(collect->objects, OBJECTS_MANIFESTS, sweep_manifest, collect, err);

	if (r >= 0)
		damage_forget(collect->objects, keeps_manifest, collect);
	if (r >= 0 && objects_sync_manifests(collect->objects) < 0)
		r = err_errno(err, errno, "the store of files cannot be written");
	if (r >= 0)
		r = objects_each(collect->objects, OBJECTS_CONTENT, sweep_object, collect, err);
	return r;
}

/* ---- the whole */

static int
work(struct collect *collect, struct err *err)
{
	struct timespec now;
	int r;

	if (tell_object(&collect->tell, json_pack("{s:b}", "locked", 1)) < 0)
		return err_set(err, ERR_FAILED, "nobody hears: nothing was removed");
	clock_gettime(CLOCK_REALTIME, &now);
	collect->young_us = now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 - OBJECTS_YOUNG_US;
	r = read_list(collect, err);
	if (r >= 0)
		r = mark_listed(collect, err);
	if (r >= 0)
		r = objects_each(collect->objects, OBJECTS_MANIFESTS, mark_young, collect, err);
	if (r >= 0)
		r = sweep(collect, err);
	if (r >= 0)
		r = tell_counts(collect, "done");
	return r;
}

int
collect_run(const struct objects *objects, int in, int out, struct err *err)
{
	struct collect collect = {.objects = objects, .in = in};
	_cleanup_close_ int lock = objects_lock(objects, true, LOCK_WAIT_MS);
	int r;

	if (lock == -EAGAIN)
		return err_set(
		    err, ERR_TOO_MANY,
		    "uploads are going on: no file was removed, ask again when they have "
		    "ended");
	if (lock < 0)
		return err_errno(err, -lock, "the store of files cannot be locked");
	/* Runs and uploads go first. */
	tell_background();
	r = tell_open(&collect.tell, out, err);
	if (r < 0)
		return r;
	r = work(&collect, err);
	tell_close(&collect.tell);
	set_clear(&collect.manifests);
	set_clear(&collect.content);
	return r;
}
