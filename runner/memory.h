/* SPDX-License-Identifier: ISC */
/*
 * Whether it was the kernel that ended a step, for want of memory. A signal does not say; the
 * counter of the cgroup does.
 */
#ifndef RUNNER_MEMORY_H
#define RUNNER_MEMORY_H

#include <stdint.h>

/* Processes of CGROUP, that of the steps, or, where that is "" or does not count, of our own and of
 * those below it, that the kernel has killed for want of memory; -1: nobody counts. */
int64_t memory_kills(const char *cgroup);

#endif
