/* SPDX-License-Identifier: ISC */
/*
 * Secrets of a run: read here and nowhere else, each kept as a sealed memory file. A step that gets
 * one inherits its descriptor and finds "/dev/fd/N" in $NAME_FILE; neither its arguments nor its
 * environment hold the secret, nothing of it lies on a disk, and nothing stays when the run has
 * ended, however it ended. In the output of all steps secrets are replaced.
 */
#ifndef RUNNER_SECRETS_H
#define RUNNER_SECRETS_H

#include "runner/child.h"
#include "runner/mask.h"
#include "runner/runner.h"

#define SECRET_MIN 8 /* bytes; what is shorter cannot be hidden, for it comes everywhere */
#define SECRET_MAX (64 * 1024)

struct secrets;

/* Reads those that the steps of this run get. CONFIGURATION: a source is missing, or not a file of
 * root's or our own that nobody else can read, too short, or too long. The sentence names the
 * place, never what stands there. */
int secrets_open(struct run *run, struct err *err);
void secrets_close(struct secrets *secrets); /* NULL is fine */
/* Sets NAME_FILE for what STEP gets. */
void secrets_environ(const struct secrets *secrets, const struct conf_step *step,
		     json_t *environment);
/* The descriptors that STEP's child must keep, now USER's to read: how many. RET_FDS: as many as
 * the step has names. */
size_t secrets_give(const struct secrets *secrets, const struct conf_step *step,
		    const struct child_user *user, int *ret_fds);
/* What to replace in output; NULL: nothing. */
const struct mask *secrets_mask(const struct secrets *secrets);

#endif
