/* SPDX-License-Identifier: ISC */
/* Removes from the store what no build names any more, apart from bmd and at a low priority. */
#ifndef IMPORT_COLLECT_H
#define IMPORT_COLLECT_H

#include "artifact/objects.h"
#include "common/err.h"

/*
 * Takes the store for itself, says so, and only then reads what to keep, so that who writes the
 * list knows that nothing comes after it:
 *	OUT	{"locked": true} NUL
 *	IN	the digest of each manifest that a build names, a line each, then "end COUNT"
 *	OUT	{"progress": {"manifests", "objects", "bytes"}} NUL	what is gone, now and then
 *	OUT	{"done": {"manifests", "objects", "bytes"}} NUL
 * Kept are the listed manifests, young ones (OBJECTS_YOUNG_US), and every object that one of these
 * names. A list without its end, a listed manifest that cannot be read, or an upload that does not
 * end in time: nothing is removed. 0, or -errno.
 */
int collect_run(const struct objects *objects, int in, int out, struct err *err);

#endif
