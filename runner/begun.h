/* SPDX-License-Identifier: ISC */
/* Jobs that were begun and whose run folder was removed since: a bit each, in the file `begun` of
   the run directory. By it a database that was restored from an old backup brings no job to run a
   second time. */
#ifndef RUNNER_BEGUN_H
#define RUNNER_BEGUN_H

#include <stddef.h>
#include <stdint.h>

/* DIRECTORY: a descriptor of the run directory. -errno on failure. */
int begun_note(int directory, const int64_t *jobs, size_t n); /* on disk when this returns */
int begun_is(int directory, int64_t job);		      /* 1, or 0 */

#endif
