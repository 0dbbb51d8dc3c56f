/* SPDX-License-Identifier: ISC */
/* The plan, walked through: each step with its attempts, up to the result. */
#ifndef RUNNER_STEPS_H
#define RUNNER_STEPS_H

#include "runner/runner.h"

/* Runs all steps; sets state, began, failed_step, exit_code, signal, ended_by and message of RUN's
 * result. */
void steps_run(struct run *run);

/* "30s", "1h30min": a span as it is written in a configuration. */
void steps_span(int64_t us, char ret_text[64]);

#endif
