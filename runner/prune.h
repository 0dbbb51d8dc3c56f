/* SPDX-License-Identifier: ISC */
/* Run folders that bmd needs no more: under systemd they are root's, so that bmd can forge no
 * result, and bmd-run removes them. */
#ifndef RUNNER_PRUNE_H
#define RUNNER_PRUNE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Removes the folders of N JOBS below DIRECTORY, and what is left of such a removal. One that some
 * bmd-run has in its hands stays, and so does the newest of all, by which bmd knows which ids were
 * given. The first failure is answered, behind all of them. */
int prune_folders(const char *directory, const int64_t *jobs, size_t n, struct err *err);

#endif
