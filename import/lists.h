/* SPDX-License-Identifier: ISC */
/* Answers questions about the lists of files (manifests) of builds, apart from bmd: they may be
 * long, and bmd's loop waits for nobody. */
#ifndef IMPORT_LISTS_H
#define IMPORT_LISTS_H

#include "artifact/objects.h"
#include "common/err.h"

#define LISTS_PIECE ((size_t)256 * 1024) /* bytes of a manifest that are told at once */

/*
 * Reads questions from IN until its end and answers them in their order to OUT, each one JSON
 * object and a NUL:
 *	IN	{"diff": [{"artifact", "old": DIGEST|null, "new": DIGEST|null}], "skip", "limit"}
 *	OUT	{"changes": [{"change", "path", "artifact", "old_bytes", "new_bytes"}], "added", "changed", "removed", "next": text|null}
 *	IN	{"manifest": DIGEST, "after"}
 *	OUT	{"digest", "text", "next": int|null}		whole lines, from the byte AFTER on
 * or an error object (common/err.h). LIMIT 0 asks for the counts alone. What the last question
 * needed stays in memory for the next. 0 at the end of IN, or -errno when no further question can
 * be answered.
 */
int lists_run(const struct objects *objects, int in, int out, struct err *err);

#endif
