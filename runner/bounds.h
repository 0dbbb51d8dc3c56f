/* SPDX-License-Identifier: ISC */
/*
 * Limits of a stage, kept by the kernel on the cgroup of its steps. A limit that cannot be kept is
 * an error (CONFIGURATION), never left out.
 */
#ifndef RUNNER_BOUNDS_H
#define RUNNER_BOUNDS_H

#include <stdbool.h>

#include "common/conf/conf.h"
#include "common/err.h"

bool bounds_any(const struct conf_limits *limits);
/* OWN: the delegated cgroup that bmd-run is in, alone, NULL: there is none. bmd-run goes into a
 * leaf of it, for the kernel gives controllers only to the children of one without processes, and
 * the controllers that LIMITS need are given. */
int bounds_prepare(const char *own, const struct conf_limits *limits, struct err *err);
/* STEPS: a new child of that. */
int bounds_set(const char *steps, const struct conf_limits *limits, struct err *err);
/* How often a process was refused to the steps in the cgroup STEPS since it was made, where it has
 * a tasks-max; 0 where it has none. */
int64_t bounds_refused(const char *steps);

#endif
