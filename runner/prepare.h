/* SPDX-License-Identifier: ISC */
/*
 * From a request to "ready": everything that can be known to be wrong before a run is claimed.
 */
#ifndef RUNNER_PREPARE_H
#define RUNNER_PREPARE_H

#include "runner/runner.h"

/* Reads the configuration into RUN. On error: RET_CODE is one of run_refused_pack()'s. */
int prepare_configuration(struct run *run, const char **ret_code, struct err *err);
/* The same once more, and once more, a moment later: for one that could not be read. */
int prepare_configuration_again(struct run *run, const char **ret_code, struct err *err);
/* RUN's request against the configuration: stage, plan, digest, variables, users, expansions,
 * artifacts. */
int prepare_run(struct run *run, const char **ret_code, struct err *err);
void prepare_clear(struct run *run);

/* Is STEP left out in this run's mode? Why ("only-on", "skip-on"), or NULL. */
const char *prepare_skips(const struct run *run, const struct conf_step *step);
/* Whom STEP runs as on this stage; "" for the user that bmd-run is. */
const char *prepare_user(const struct run *run, const struct conf_step *step);
/* The files of an artifact that a step of this run uses. */
const struct run_files *prepare_files(const struct run *run, const char *artifact);

#endif
