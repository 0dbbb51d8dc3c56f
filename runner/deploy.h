/* SPDX-License-Identifier: ISC */
/*
 * The `deploy` action and `artifacts`: files out of the store, placed by a child that is the step's
 * user and holds nothing but a descriptor of the objects. The parent keeps the records of places.
 */
#ifndef RUNNER_DEPLOY_H
#define RUNNER_DEPLOY_H

#include "runner/child.h"
#include "runner/runner.h"

struct deploy;

/* Records the intent and says what child to start (CHILD's user is set by the caller). Free with
 * deploy_free(). */
int deploy_begin(struct run *run, const struct conf_step *step, const struct child_user *user,
		 const json_t *environment, struct deploy **ret_deploy, struct child *ret_child,
		 struct err *err);
/* Records what the child did; REPORT is its answer if it SUCCEEDED. */
int deploy_end(struct deploy *deploy, bool succeeded, const char *report, size_t n,
	       struct err *err);
/* The same for STEP's artifacts: a new folder $BM_ARTIFACTS of USER with each of them. */
void deploy_artifacts(struct run *run, const struct conf_step *step, const struct child_user *user,
		      struct deploy **ret_deploy, struct child *ret_child);
void deploy_free(struct deploy *deploy); /* NULL is fine */
/* Removes $BM_ARTIFACTS. */
void deploy_clean(struct run *run);

#endif
