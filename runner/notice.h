/* SPDX-License-Identifier: ISC */
/* One attempt to deliver a notice: the command of its section, as its user, with the event as
 * environment and standard input. */
#ifndef RUNNER_NOTICE_H
#define RUNNER_NOTICE_H

#include "common/errand.h"
#include "runner/runner.h"

/* 0: it exited with 0 within its time. RUN has its configuration, and nothing of a job. */
int notice_deliver(struct run *run, const struct errand_notice *notice, struct err *err);

#endif
