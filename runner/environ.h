/* SPDX-License-Identifier: ISC */
/*
 * A step's environment: built from nothing, never inherited. bmd-plan(5), ENVIRONMENT.
 */
#ifndef RUNNER_ENVIRON_H
#define RUNNER_ENVIRON_H

#include <jansson.h>

#include "runner/child.h"
#include "runner/runner.h"

#define ENVIRON_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The environment as an object NAME → value, which `to`, `directory` and `exec` are expanded from.
 * New reference. */
json_t *environ_make(const struct run *run, const struct conf_step *step,
		     const struct child_user *user);
/* The same as NAME=VALUE, sorted, with a NULL at the end. Free with environ_free(). */
char **environ_pack(json_t *environment);
void environ_free(char **strings);

#endif
