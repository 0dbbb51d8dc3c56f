/* SPDX-License-Identifier: ISC */
/* The child that reads an archive (import/reader.h) as its parent holds it. Nothing that it says is
 * believed. */
#ifndef IMPORT_CAGE_H
#define IMPORT_CAGE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/entry.h"
#include "common/err.h"
#include "import/reader.h"

#define CAGE_WAIT_MS (2 * 60 * 1000) /* for the caged reader to do anything */

/* The child and the two pipes to it. */
struct cage {
	pid_t pid;
	/* we write to IN (-1: closed, or the child has the archive as a file), and read from OUT */
	int in, out;
	struct entry_input *entries;
};
/* ARCHIVE: a file to read by seeking; -1: it comes through IN. End with cage_stop() in any case. */
int cage_start(struct cage *cage, enum reader_kind kind, int archive, struct err *err);
void cage_stop(struct cage *cage);
/* Hands on what the child's pipe takes of a piece: 0, or -errno when it takes no more. */
int cage_feed(struct cage *cage, const char **bytes, size_t *n);
/* R, from entry_read(), is no entry: the child is silent or says nonsense. What became of it, as an
 * error. */
int cage_explain(struct cage *cage, int r, struct err *err);

#endif
