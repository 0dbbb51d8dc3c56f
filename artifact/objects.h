/* SPDX-License-Identifier: ISC */
/*
 * The content-addressed store of files: STATE/store/objects/ab/cdef… (0444, named by SHA-256) and
 * STATE/store/manifests/DIGEST. store/ itself is 0700, what is below is 0755, so that a child of
 * another user reaches objects through an inherited descriptor and by no path. Written once, never
 * changed. STATE/store/incoming/ is where imports stage.
 */
#ifndef ARTIFACT_OBJECTS_H
#define ARTIFACT_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/err.h"

struct objects;

/* Opens (with CREATE: makes) the store below STATE_DIRECTORY. Free with objects_close(). */
int objects_open(const char *state_directory, bool create, struct objects **ret_objects,
		 struct err *err);
/* The same over a descriptor of store/objects alone: objects can be read, nothing else. Takes
 * FD. */
struct objects *objects_from_fd(int objects_fd);
void objects_close(struct objects *objects);
int objects_fd(const struct objects *objects); /* of store/objects; borrowed */
/* of store/, borrowed; -1 when objects can only be read */
int objects_store_fd(const struct objects *objects);
/* Removes what interrupted imports left (staging folders that nobody has locked). */
int objects_sweep(struct objects *objects, struct err *err);

/*
 * Collecting. Imports share a lock on the store from their beginning until they are closed, so that
 * nothing goes which they have found there; who removes has it alone. objects_lock() waits up to
 * WAIT_MS (0: not at all): a descriptor that holds it, or -EAGAIN.
 */
/* A manifest that came so lately stays: its build may still come. */
#define OBJECTS_YOUNG_US (INT64_C(24) * 3600 * 1000000)
int objects_lock(const struct objects *objects, bool alone, int64_t wait_ms);
enum objects_kind { OBJECTS_CONTENT, OBJECTS_MANIFESTS };
/* Calls BACK for each file of a kind that is there, until it returns non-zero, which a negative
 * number makes the answer of. Files with other names than ours are passed over. BACK may remove the
 * file. */
int objects_each(const struct objects *objects, enum objects_kind kind,
		 int (*back)(const char *digest, int64_t bytes, int64_t mtime_us, void *arg),
		 void *arg, struct err *err);
/* The same file in the store TO of the same file system: 0, -EEXIST, -ENOENT, … */
int objects_link(const struct objects *objects, enum objects_kind kind, const char *digest,
		 const struct objects *to);
int objects_remove(const struct objects *objects, enum objects_kind kind, const char *digest);
/* What was removed of manifests stays removed after a power loss. */
int objects_sync_manifests(const struct objects *objects);
/* When a manifest was put into the store last, µs of the wall clock. -ENOENT when it is missing. */
int objects_manifest_time(const struct objects *objects, const char *digest, int64_t *ret_us);

/*
 * An import: new objects lie in a locked staging folder until all of them and their manifest are
 * known to be good; objects_publish() then makes everything durable in the order objects, folders,
 * manifest. Whatever ends it otherwise, a crash too, leaves nothing that counts.
 */
struct objects_import;
int objects_import_open(struct objects *objects, struct objects_import **ret_import,
			struct err *err);
/* Adds one object, hashed while it is written. What the store holds already is hashed again before
 * it is believed: a damaged object is replaced. One writer of an import at a time. */
struct objects_writer;
struct objects_writer *objects_writer_open(struct objects_import *import);
int objects_writer_add(struct objects_writer *writer, const void *bytes, size_t n, struct err *err);
/* Ends WRITER in any case. */
int objects_writer_end(struct objects_writer *writer, char ret_digest[DIGEST_SIZE],
		       int64_t *ret_size, struct err *err);
void objects_writer_abort(struct objects_writer *writer); /* NULL is fine */
/* An unnamed file for as long as it is open, read and written, on the store's disk. */
int objects_import_spool(struct objects_import *import, int *ret_fd, struct err *err);
/* Everything durable and in its place, the manifest with TEXT last. */
int objects_publish(struct objects_import *import, const char *text, size_t n,
		    char ret_digest[DIGEST_SIZE], struct err *err);
/* removes what was not published; NULL is fine */
void objects_import_close(struct objects_import *import);

/* Opens an object, a plain file, for reading; RET_ST is what it is then. -ENOENT when it is
 * missing. */
int objects_open_object(const struct objects *objects, const char *digest, struct stat *ret_st);
/* Reads an object and hashes it again: 0 whole, -ENOENT missing, -EBADMSG damaged (wrong size or
 * content), else -errno. */
int objects_verify(const struct objects *objects, const char *digest, int64_t size);
/* Only stat: 0, -ENOENT, or -EBADMSG for a wrong size. */
int objects_present(const struct objects *objects, const char *digest, int64_t size);

/* A manifest's text, checked against its digest. -ENOENT when it is missing, -EBADMSG when it is
 * damaged. free() */
int objects_get_manifest(const struct objects *objects, const char *digest, char **ret_text,
			 size_t *ret_n, struct err *err);

#endif
