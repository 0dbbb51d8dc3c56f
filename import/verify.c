/* SPDX-License-Identifier: ISC */
/*
 * Hashes stored files again. Manifests are read twice, once to know how much there is, so that no
 * more than one is in memory; an object that several builds share is hashed once, and what was
 * found of it is told for each, and remembered (artifact/damage.h) before it is told. Reading is
 * held to a rate, so that runs and uploads keep the disk to themselves.
 */
#include <errno.h>
#include <search.h>
#include <string.h>
#include <time.h>

#include "artifact/damage.h"
#include "artifact/manifest.h"
#include "common/entry.h"
#include "common/xalloc.h"
#include "import/verify.h"
#include "import/tell.h"

#define DIGESTS_MAX 1000000
#define READ_SIZE   (256 * 1024)

struct known {
	char digest[DIGEST_SIZE];
	int result; /* of objects_verify() */
};

struct verify {
	const struct objects *objects;
	struct tell tell;
	char **digests; /* of manifests */
	size_t n, room;
	void *known; /* tsearch() tree of objects */
	int64_t files, bytes, total;
	int64_t rate, read; /* bytes a second, 0: as fast as it goes; bytes read */
	int64_t began_ms;
	int error; /* of the answer's channel, met while an object was read */
};

static int
tell_counts(struct verify *verify, const char *what)
{
	return tell_object(&verify->tell,
			   json_pack("{s:{s:I, s:I, s:I}}", what, "files",
				     (json_int_t)verify->files, "bytes", (json_int_t)verify->bytes,
				     "total_files", (json_int_t)verify->total));
}

static int
tell_now_and_then(struct verify *verify)
{
	return tell_due(&verify->tell) ? tell_counts(verify, "progress") : 0;
}

static int
tell_problem(struct verify *verify, const char *manifest, const char *path, const char *digest,
	     const char *problem)
{
	return tell_object(&verify->tell,
			   json_pack("{s:s, s:s, s:s, s:s}", "manifest", manifest, "path", path,
				     "digest", digest, "problem", problem));
}

static int
read_digests(struct verify *verify, int in, struct err *err)
{
	_cleanup_fclose_ FILE *file = fdopen(dup(in), "r");
	char line[DIGEST_SIZE + 2];

	if (file == NULL)
		return err_errno(err, errno, "the list of manifests cannot be read");
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (!digest_valid(line))
			return err_set(err, ERR_FAILED, "\"%s\" is not the digest of a manifest",
				       line);
		if (verify->n == DIGESTS_MAX)
			return err_set(err, ERR_TOO_MANY, "more than %d manifests at once",
				       DIGESTS_MAX);
		XGROW(verify->digests, verify->n, verify->room);
		verify->digests[verify->n++] = xstrdup(line);
	}
	return ferror(file) ? err_errno(err, errno, "the list of manifests cannot be read") : 0;
}

static int
load(const struct verify *verify, const char *digest, struct manifest *ret_manifest)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = objects_get_manifest(verify->objects, digest, &text, &n, NULL);

	return r < 0 ? r : manifest_parse(text, n, ret_manifest, NULL);
}

static int
by_digest(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->digest, ((const struct known *)b)->digest);
}

/* Sleeps until so much may have been read, telling on the way. */
static void
pace(struct verify *verify)
{
	while (verify->error == 0) {
		int64_t passed = tell_clock_ms() - verify->began_ms, due = 0;
		struct timespec pause;

		if (verify->rate > 0)
			due = (int64_t)((double)verify->read * 1e3 / (double)verify->rate);
		verify->error = tell_now_and_then(verify);
		if (due <= passed)
			return;
		if (due - passed > TELL_MS)
			due = passed + TELL_MS;
		pause = (struct timespec){.tv_nsec = (due - passed) * 1000000};
		nanosleep(&pause, NULL);
	}
}

/* As objects_verify(), at the rate. */
static int
hash_object(struct verify *verify, const char *digest, int64_t size)
{
	struct stat st;
	_cleanup_close_ int fd = objects_open_object(verify->objects, digest, &st);
	_cleanup_free_ char *buffer = xrealloc(NULL, READ_SIZE, 1);
	struct digest *hash;
	char found[DIGEST_SIZE];
	int64_t seen = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	hash = digest_new();
	while (seen <= size && verify->error == 0) {
		n = read(fd, buffer, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		digest_add(hash, buffer, (size_t)n);
		seen += n;
		verify->read += n;
		verify->bytes += n;
		pace(verify);
	}
	digest_end(hash, found);
	/* A sector that cannot be read is damage, too. */
	return n == 0 && seen == size && strcmp(found, digest) == 0 ? 0 : -EBADMSG;
}

/* What there is to say of an object, hashed the first time it is met. */
static int
check_object(struct verify *verify, const char *digest, int64_t size)
{
	struct known *known = xcalloc(1, sizeof(*known)), **found;

	memcpy(known->digest, digest, DIGEST_SIZE);
	found = tsearch(known, &verify->known, by_digest);
	if (found == NULL)
		xalloc_die();
	if (*found != known) {
		free(known);
		return (*found)->result;
	}
	known->result = hash_object(verify, digest, size);
	return known->result;
}

/* What was found of a manifest: remembered, then told. */
static int
conclude(struct verify *verify, const char *digest, const struct damages *damages)
{
	int r = damage_note(verify->objects, digest, damages);

	if (r < 0)
		return r;
	for (size_t i = 0; i < damages->n && r >= 0; i++)
		r = tell_problem(verify, digest, damages->v[i].path, damages->v[i].digest,
				 damages->v[i].problem);
	if (r >= 0)
		r = tell_object(&verify->tell, json_pack("{s:s, s:I, s:I}", "checked", digest,
							 "files", (json_int_t)verify->files,
							 "bytes", (json_int_t)verify->bytes));
	return r;
}

static int
check_manifest(struct verify *verify, const char *digest)
{
	_cleanup_(damages_clear) struct damages damages = {0};
	struct manifest manifest = {0};
	int r = 0;

	if (load(verify, digest, &manifest) < 0) {
		damages_add(&damages, "manifest", digest, 0, "");
		return conclude(verify, digest, &damages);
	}
	for (size_t i = 0; i < manifest.n && r >= 0; i++) {
		const struct manifest_entry *entry = &manifest.v[i];
		int found;

		if (entry->kind != MANIFEST_FILE)
			continue;
		found = check_object(verify, entry->digest, entry->size);
		verify->files++;
		if (verify->error < 0)
			r = verify->error;
		else if (found < 0)
			damages_add(&damages, found == -ENOENT ? "missing" : "damaged",
				    entry->digest, entry->size, entry->path);
		if (r >= 0)
			r = tell_now_and_then(verify);
	}
	manifest_clear(&manifest);
	return r < 0 ? r : conclude(verify, digest, &damages);
}

static int
check_all(struct verify *verify)
{
	int r = 0;

	for (size_t i = 0; i < verify->n; i++) {
		struct manifest manifest = {0};

		if (load(verify, verify->digests[i], &manifest) < 0)
			continue;
		verify->total += (int64_t)manifest.files;
		manifest_clear(&manifest);
	}
	for (size_t i = 0; i < verify->n && r >= 0; i++)
		r = check_manifest(verify, verify->digests[i]);
	return r < 0 ? r : tell_counts(verify, "done");
}

int
verify_run(const struct objects *objects, int in, int out, int64_t rate, struct err *err)
{
	struct verify verify = {.objects = objects, .rate = rate, .began_ms = tell_clock_ms()};
	int r;

	/* Runs and uploads go first. */
	tell_background();
	r = tell_open(&verify.tell, out, err);
	if (r < 0)
		return r;
	r = read_digests(&verify, in, err);
	if (r >= 0) {
		r = check_all(&verify);
		if (r < 0)
			err_errno(err, -r, "the verification cannot go on");
	}
	tell_close(&verify.tell);
	for (size_t i = 0; i < verify.n; i++)
		free(verify.digests[i]);
	free(verify.digests);
	tdestroy(verify.known, free);
	return r;
}
