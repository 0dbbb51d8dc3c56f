/* SPDX-License-Identifier: ISC */
/*
 * The content-addressed store of files: STATE/store/objects/ab/cdef… (0444, named by SHA-256) and
 * STATE/store/manifests/DIGEST. store/ itself is 0700, what is below is 0755, so that a child of another
 * user reaches objects through an inherited descriptor and by no path. Written once, never changed.
 */
#ifndef ARTIFACT_OBJECTS_H
#define ARTIFACT_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"

struct objects;

/* Opens (with CREATE: makes) the store below STATE_DIRECTORY. Free with objects_close(). */
int objects_open(const char *state_directory, bool create, struct objects **ret_objects, struct err *err);
/* The same over a descriptor of store/objects alone: objects can be read, nothing else. Takes FD. */
struct objects *objects_from_fd(int objects_fd);
void objects_close(struct objects *objects);
int objects_fd(const struct objects *objects); /* of store/objects; borrowed */
/* Removes what interrupted imports left (temporary files that nobody has locked). */
int objects_sweep(struct objects *objects, struct err *err);

/* A new object: written under a temporary name, hashed while written, fsynced, renamed. An object that is already there whole (same size) is kept. */
struct objects_writer;
int objects_writer_open(struct objects *objects, struct objects_writer **ret_writer, struct err *err);
int objects_writer_add(struct objects_writer *writer, const void *bytes, size_t n, struct err *err);
/* Ends WRITER in any case. */
int objects_writer_end(struct objects_writer *writer, char ret_digest[DIGEST_SIZE], int64_t *ret_size, struct err *err);
void objects_writer_abort(struct objects_writer *writer);

/* Opens an object for reading. -ENOENT when it is missing. */
int objects_open_object(const struct objects *objects, const char *digest);
/* Reads an object and hashes it again: 0 whole, -ENOENT missing, -EBADMSG damaged (wrong size or content), else -errno. */
int objects_verify(const struct objects *objects, const char *digest, int64_t size);
/* Only stat: 0, -ENOENT, or -EBADMSG for a wrong size. */
int objects_present(const struct objects *objects, const char *digest, int64_t size);

/* A manifest's text: stored durably under its digest / read back and checked against it (-EBADMSG). */
int objects_put_manifest(struct objects *objects, const char *text, size_t n, char ret_digest[DIGEST_SIZE], struct err *err);
int objects_get_manifest(const struct objects *objects, const char *digest, char **ret_text, size_t *ret_n, struct err *err);

#endif
