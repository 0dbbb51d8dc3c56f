/* SPDX-License-Identifier: ISC */
/*
 * A bmd-run that is there a moment before its job is due: it has been executed and has read the
 * configuration by then, which takes longer than all the rest of a start. It knows nothing yet but
 * the number of the job, has claimed nothing, and does nothing before it has the request; the job
 * is scheduled as ever. What is not used leaves when its channel is closed.
 */
#include <unistd.h>

#include "daemon/launch.h"
#include "daemon/sched/sched_private.h"

#define AHEAD_US 60000	 /* before its time */
#define KEPT_US	 1000000 /* behind it: what was due is held, or waits in line */

static struct store *
store_of(struct sched *sched)
{
	return queue_store(sched->host.queue);
}

static void
drop(struct sched *sched, size_t i)
{
	struct sched_ahead *ahead = &sched->ahead;

	close(ahead->runs[i].fd);
	ahead->runs[i] = ahead->runs[--ahead->n];
}

void
sched_ahead_drop(struct sched *sched)
{
	while (sched->ahead.n > 0)
		drop(sched, 0);
}

bool
sched_ahead_ended(struct sched *sched, pid_t pid)
{
	for (size_t i = 0; i < sched->ahead.n; i++)
		if (sched->ahead.runs[i].pid == pid) {
			drop(sched, i);
			return true;
		}
	return false;
}

bool
sched_ahead_take(int64_t job, int *ret_fd, pid_t *ret_pid, void *arg)
{
	struct sched *sched = arg;
	struct sched_ahead *ahead = &sched->ahead;

	for (size_t i = 0; i < ahead->n; i++)
		if (ahead->runs[i].job == job) {
			*ret_fd = ahead->runs[i].fd;
			*ret_pid = ahead->runs[i].pid;
			ahead->runs[i] = ahead->runs[--ahead->n];
			return true;
		}
	return false;
}

static bool
is_there(const struct sched_ahead *ahead, int64_t job)
{
	for (size_t i = 0; i < ahead->n; i++)
		if (ahead->runs[i].job == job)
			return true;
	return false;
}

/* Whoever cannot be launched now is launched, or complained of, when it is due. */
static int
launch_ahead(const struct job *job, void *arg)
{
	struct sched *sched = arg;
	struct sched_ahead *ahead = &sched->ahead;
	struct sched_ahead_run run = {.job = job->id, .due_us = job->due_us};

	if (ahead->n == SCHED_AHEAD_MAX)
		return 1;
	if (is_there(ahead, job->id))
		return 0;
	if (launch_run(sched->host.launch, queue_conf(sched->host.queue), job->id, &run.fd,
		       &run.pid, NULL) >= 0)
		ahead->runs[ahead->n++] = run;
	return 0;
}

static void
drop_unused(struct sched *sched, int64_t now_us, int64_t *next_us)
{
	struct sched_ahead *ahead = &sched->ahead;

	for (size_t i = ahead->n; i-- > 0;) {
		int64_t until_us = ahead->runs[i].due_us + KEPT_US;

		if (until_us <= now_us || until_us > now_us + AHEAD_US + KEPT_US)
			drop(sched, i); /* or the clock was put back */
		else if (until_us < *next_us)
			*next_us = until_us;
	}
}

int
sched_ahead_look(struct sched *sched, int64_t now_us, int64_t *next_us, struct err *err)
{
	int64_t active = 0, due_us = INT64_MAX;
	int r;

	if (queue_drained(sched->host.queue) || queue_doubted(sched->host.queue)) {
		sched_ahead_drop(sched);
		return 0;
	}
	r = store_job_active_count(store_of(sched), &active, err);
	if (r == 0 && active < queue_conf(sched->host.queue)->max_running)
		r = store_job_each_state(store_of(sched), JOB_SCHEDULED, now_us + AHEAD_US, now_us,
					 INT64_MAX, SCHED_AHEAD_MAX, launch_ahead, sched, err);
	if (r >= 0)
		r = store_job_next_due(store_of(sched), &due_us, err);
	if (r < 0)
		return r;
	if (due_us > now_us + AHEAD_US && due_us - AHEAD_US < *next_us)
		*next_us = due_us - AHEAD_US;
	drop_unused(sched, now_us, next_us);
	return 0;
}
