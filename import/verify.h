/* SPDX-License-Identifier: ISC */
/* Hashes the stored files of builds again, apart from bmd and at a low priority. */
#ifndef IMPORT_VERIFY_H
#define IMPORT_VERIFY_H

#include "artifact/objects.h"
#include "common/err.h"

/*
 * Reads digests of manifests from IN, one a line, until its end; writes to OUT one JSON object and
 * a NUL for each finding:
 *	{"progress": {"files", "bytes", "total_files"}}		now and then
 *	{"manifest", "path", "digest", "problem"}		missing | damaged; "manifest" (path "") when the manifest itself is
 *	{"checked": DIGEST, "files", "bytes"}			a manifest was read to its end
 *	{"done": {"files", "bytes", "total_files"}}		the end
 * RATE bounds the bytes that are read in a second; 0: as fast as it goes. What is found is
 * remembered with the store (artifact/damage.h). 0, or -errno when it could not be done.
 */
int verify_run(const struct objects *objects, int in, int out, int64_t rate, struct err *err);

#endif
