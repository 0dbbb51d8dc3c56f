/* SPDX-License-Identifier: ISC */
/*
 * Waiting for jobs and showing their output. A stream that breaks is taken up again where it was:
 * bmd may be restarted while a job runs. Deadlines are client_clock()'s.
 */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl.h"

/* --timeout as a deadline; CLIENT_NEVER without. */
int follow_deadline(struct ctl *ctl, int64_t *ret_deadline, struct err *err);

/* Until JOB is final or held; with LOG its output is printed meanwhile. What keeps it from
 * beginning is told after a moment, its time unless TOLD_TIME. 0 and the job, -ETIMEDOUT, -EINTR,
 * or a failure with ERR. */
int follow_job(struct ctl *ctl, int64_t job, bool log, bool told_time, int64_t deadline,
	       json_t **ret_job, struct err *err);
/* Tells that, and returns the exit code. R is what follow_job() returned. */
int follow_told(struct ctl *ctl, int64_t job, int r, const json_t *ended, FILE *f);

/* Until each of N jobs is final or held; DONE is called for each as it ends: with the job, or NULL
 * and why it cannot be waited for. */
int follow_jobs(struct ctl *ctl, const int64_t *jobs, size_t n, int64_t deadline,
		void (*done)(int64_t id, const json_t *job, const struct err *why, void *arg),
		void *arg, struct err *err);

/* Prints an array of LogLine: "HH:MM:SS step | text". */
void follow_print(struct ctl *ctl, const json_t *lines);
/* The line that says how JOB ended, on F. */
void follow_result(struct ctl *ctl, const json_t *job, FILE *f);

#endif
