/* SPDX-License-Identifier: ISC */
/* What bmd asks of bmd-run besides runs (common/errand.h): done, and answered. */
#ifndef RUNNER_ERRANDS_H
#define RUNNER_ERRANDS_H

#include <jansson.h>

#include "runner/runner.h"

/* WRONG: the configuration could not be read, and why; NULL: RUN has it. Returns the exit code. */
int errand_run(struct run *run, const json_t *object, const struct err *wrong);

#endif
