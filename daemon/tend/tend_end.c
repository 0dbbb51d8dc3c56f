/* SPDX-License-Identifier: ISC */
/*
 * How a run's end becomes durable. What could not be committed (a full disk) is committed again
 * later: it lies in the run folder.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/failpoint.h"
#include "common/runfolder.h"
#include "common/xalloc.h"
#include "daemon/log.h"
#include "daemon/tend/tend_private.h"

int
tend_record_events(struct tend *tend, int64_t now_us, struct err *err)
{
	_cleanup_json_ json_t *events = NULL;
	struct job job = {0};
	const json_t *object;
	int64_t seq;
	size_t i;
	int r = store_job_get(queue_store(tend->host->queue), tend->job, &job, err);

	(void)now_us;
	if (r < 0)
		return r;
	seq = job.event_seq;
	job_clear(&job);
	r = run_folder_events(tend->host->run_directory, tend->job, seq + 1, &events, err);
	if (r < 0)
		return r;
	json_array_foreach (events, i, object) {
		struct run_event event;

		if (run_event_unpack(object, &event, NULL) < 0 || event.seq <= seq)
			continue;
		r = queue_event(tend->host->queue, tend->job, tend->run, &event, err);
		if (r < 0)
			return r;
		seq = event.seq;
	}
	return 0;
}

static int
change_end(struct tend *tend, int64_t now_us, struct err *err)
{
	struct queue *queue = tend->host->queue;
	int r = 0;

	/* What ran must be known before the end is: steps, and whether one began. */
	if (tend->end == END_RESULT || tend->end == END_LOST)
		r = tend_record_events(tend, now_us, err);
	if (r < 0)
		return r;
	switch (tend->end) {
	case END_RESULT:
		return queue_finished(queue, &tend->result, now_us, err);
	case END_LOST:
		return queue_lost(queue, tend->job, tend->run, tend->end_text, tend->occupied,
				  now_us, err);
	case END_CONFLICT:
		return queue_conflict(queue, tend->job, tend->end_text, now_us, err);
	case END_NOT_STARTED:
		return queue_not_started(queue, tend->job, tend->run, tend->end_text, tend->hold,
					 now_us, err);
	}
	return -EINVAL;
}

static void record_end(struct tend *tend);

static void
end_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;

	if (!tend_effect_begins(tend))
		return;
	if (failure) {
		tend_set_problem(tend, failure->text);
		tend_wait(tend, TEND_AGAIN_SECONDS, record_end);
		return;
	}
	failpoint("end-committed");
	tend->phase = OVER;
	tend->host->changed(tend->job, tend->host->arg);
	tend->host->over(tend, tend->host->arg);
}

static void
record_end(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int r;

	tend->phase = ENDING;
	tend_drop_channel(tend);
	tend_drop_pidfd(tend);
	tend_wait_no_more(tend);
	ev_timer_stop(tend->host->loop, &tend->events);
	r = tend_change(tend, change_end, &err);
	if (r == -ESTALE) /* somebody was faster: cancelled before it began, or recorded already */
		log_info("job %" PRId64 ": run %s is no longer the job's", tend->job, tend->run);
	else if (r < 0) {
		tend_set_problem(tend, err.text);
		tend_wait(tend, TEND_AGAIN_SECONDS, record_end);
		return;
	}
	tend_after_commit(tend, end_committed);
}

void
tend_end_with(struct tend *tend, enum end end, const char *text)
{
	char *copy = xstrdup(text); /* it may be the one that is freed */

	tend->end = end;
	free(tend->end_text);
	tend->end_text = copy;
	record_end(tend);
}

void
tend_not_started(struct tend *tend, const char *why, bool hold)
{
	tend->hold = hold;
	tend_end_with(tend, END_NOT_STARTED, why);
}

void
tend_ended(struct tend *tend, const struct run_result *result)
{
	if (*result->damaged) {
		_cleanup_json_ json_t *manifests =
		    queue_mark_damaged(tend->host->queue, tend->job, result->damaged);

		tend->host->damaged(manifests, tend->host->arg);
	}
	tend->result = *result;
	tend_end_with(tend, END_RESULT, NULL);
}
