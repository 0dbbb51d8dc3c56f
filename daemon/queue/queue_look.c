/* SPDX-License-Identifier: ISC */
/*
 * What is due, what is late, and what may start. One look does a bounded amount of work and says
 * when the next one is needed; nothing is remembered between two. A stage is a line, ordered by due
 * time and id: its head starts or is held, and while it waits (a run, a lock, a back-off, a slot)
 * those behind it wait too, on that stage only. Those that a window or freeze holds stand aside
 * until it opens; so do, while the clock is doubted, those whose time it would have to tell.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

struct look {
	struct queue *queue;
	int64_t now_us, next_us;
	int moved;	   /* jobs that this look changed */
	struct job *heads; /* may start now, one a stage */
	size_t n, room;
	struct err *err;
};

static void
wake(struct look *look, int64_t at_us)
{
	if (at_us < look->next_us)
		look->next_us = at_us;
}

/* ---- late ---- */

static char *
late_text(const struct job *job, int64_t now_us, const char *why)
{
	struct when_text late = when_span(now_us - job->grace_from_us),
			 grace = when_span(job->grace_us);

	return xasprintf("its time passed by %s, longer than its grace of %s: %s", late.s, grace.s,
			 why);
}

static int
miss(struct look *look, struct job *job, const char *why)
{
	_cleanup_free_ char *text = late_text(job, look->now_us, why);

	look->moved++;
	return queue_end(look->queue, job, JOB_MISSED, NULL, look->now_us, text, look->err);
}

static char *
lapse_of(const struct queue *queue, const struct job *job)
{
	return queue_lapse_text(queue, job->grace_from_us, job->grace_from_us + job->grace_us,
				job->zone);
}

/* A job that nobody looked at until its grace was over. */
static int
miss_unseen(struct look *look, struct job *job)
{
	_cleanup_free_ char *lapse = lapse_of(look->queue, job);

	if (job->schedule > 0 && job->message) {
		free(lapse);
		lapse = xstrdup(job->message);
	}
	return miss(look, job, lapse ? lapse : QUEUE_LAPSE_UNKNOWN);
}

/* A queued job whose grace ended: what was it waiting for? */
static int
expire(const struct job *row, void *arg)
{
	struct look *look = arg;
	_cleanup_json_ json_t *waits = NULL;
	_cleanup_free_ char *lapse = NULL;
	struct job job;
	int r = store_job_get(look->queue->store, row->id, &job, look->err);

	if (r < 0)
		return r;
	if (queue_window_grace(look->queue, &job, look->now_us)) {
		look->moved++;
		r = store_job_update(look->queue->store, &job, JOB_QUEUED, NULL, look->err);
		job_clear(&job);
		return r;
	}
	waits = queue_waits_for(look->queue, &job, look->now_us);
	/* Nothing on its stage is in its way any more. */
	if (strcmp(json_string_value(json_object_get(waits, "kind")), "slot") == 0)
		lapse = lapse_of(look->queue, &job);
	r = miss(look, &job, lapse ? lapse : json_string_value(json_object_get(waits, "text")));
	job_clear(&job);
	return r;
}

/* ---- due ---- */

/* A stage that a failed run left dirty, and a job that was there before: held, but for the way
 * back. */
static bool
held_by_failure(struct queue *queue, const struct job *job, const struct history *history)
{
	const struct conf_application *application =
	    conf_application(queue->conf, job->application);
	const struct conf_stage *stage = application ? conf_stage(application, job->stage) : NULL;
	struct build_ref way_back;

	if (!history->dirty || (stage && stage->on_failure == CONF_CONTINUE))
		return false;
	if (job->asked_us > history->unfinished.since_us)
		return false;
	return history_default(history, &way_back, NULL) < 0 ||
	       !names_build_equal(&way_back, &job->build);
}

static int
hold_for_failure(struct look *look, struct job *job, const struct history *history)
{
	look->moved++;
	if (history->unfinished.job == 0)
		return queue_hold(look->queue, job, look->err,
				  "what is live on %s is not known (settled so)", job->stage);
	return queue_hold(look->queue, job, look->err, "job %lld (%s) left %s unfinished",
			  (long long)history->unfinished.job,
			  names_build_text(&history->unfinished.build).s, job->stage);
}

/* Another build is live than the one that was: 1 when JOB was held or superseded, 0 when it may go
 * on. */
static int
guard(struct look *look, struct job *job, const struct history *history)
{
	const struct history_entry *live = history_live(history);
	char text[400];
	int r;

	if (job->if_changed == JOB_RUN ||
	    history_guard(history, &job->expected, job->ahead) == HISTORY_SAME)
		return 0;
	(void)snprintf(text, sizeof(text),
		       "%s went live on %s meanwhile (by %s), it was %s at the request",
		       live ? names_build_text(&live->build).s : "nothing", job->stage,
		       live ? live->by : "nobody",
		       job->expected.release[0] ? names_build_text(&job->expected).s : "nothing");
	look->moved++;
	if (job->if_changed == JOB_SKIP)
		r = queue_end(look->queue, job, JOB_SUPERSEDED, NULL, look->now_us, text,
			      look->err);
	else
		r = queue_hold(look->queue, job, look->err, "%s", text);
	return r < 0 ? r : 1;
}

static int
make_due(struct look *look, struct job *job)
{
	struct history history;
	int r = queue_schedule_overdue(look->queue, job, look->now_us, look->err);

	if (r != 0)
		return r < 0 ? r : 0;
	/* What waits for a window has not used up its grace; whether it does, no doubted clock can
	 * say. */
	if (job->timed && !queue_waits_for_clock(look->queue, job) &&
	    !queue_window_grace(look->queue, job, look->now_us))
		return miss_unseen(look, job);
	r = queue_history_get(look->queue, job->application, job->stage, &history, look->err);
	if (r < 0)
		return r;
	/* asked again at the start */
	(void)queue_schedule_resolve(look->queue, job, &history, NULL);
	if (held_by_failure(look->queue, job, &history)) {
		r = hold_for_failure(look, job, &history);
	} else {
		r = guard(look, job, &history);
		if (r == 0) {
			look->moved++;
			r = queue_move(look->queue, job, JOB_QUEUED, look->err);
		}
	}
	history_clear(&history);
	return r < 0 ? r : 0;
}

static int
due(const struct job *row, void *arg)
{
	struct look *look = arg;
	struct job job;
	int r = store_job_get(look->queue->store, row->id, &job, look->err);

	if (r < 0)
		return r;
	r = make_due(look, &job);
	job_clear(&job);
	return r;
}

/* ---- starts ---- */

/* Is the stage free for its head? Says when to look again if only time is missing. */
static int
stage_free(struct look *look, const char *application, const char *stage)
{
	struct store *store = look->queue->store;
	struct store_stage at;
	struct job active;
	int r = store_job_active(store, application, stage, &active, look->err);

	if (r < 0)
		return r;
	if (r == 1) {
		job_clear(&active);
		return 0;
	}
	r = store_stage_get(store, application, stage, &at, look->err);
	if (r < 0)
		return r;
	r = 1;
	if (at.occupied_job != 0) {
		r = 0;
	} else if (queue_locked_now(look->queue, &at, look->now_us)) {
		r = 0;
		if (at.lock_until_us > look->now_us)
			wake(look, at.lock_until_us);
	}
	store_stage_clear(&at);
	return r;
}

/* 1: JOB may start; 0: it was held or superseded, the next one is the head now. */
static int
head_good(struct look *look, struct job *job)
{
	_cleanup_err_ struct err why = ERR_INIT;
	struct history history;
	int r = queue_history_get(look->queue, job->application, job->stage, &history, look->err);

	if (r < 0)
		return r;
	r = guard(look, job, &history);
	if (r != 0) {
		history_clear(&history);
		return r < 0 ? r : 0;
	}
	r = queue_schedule_resolve(look->queue, job, &history, &why);
	history_clear(&history);
	if (r == 0)
		r = queue_check_start(look->queue, job, look->now_us, &why);
	if (r == 0)
		return 1;
	if (r == STORE_BROKEN && why.code == ERR_UNKNOWN_OUTCOME) {
		(void)err_set(look->err, why.code, "%s", why.text);
		return r;
	}
	look->moved++;
	r = queue_hold(look->queue, job, look->err, "%s", why.text);
	return r < 0 ? r : 0;
}

static bool
waits_for_window(struct look *look, const struct job *job)
{
	struct queue_window window = queue_window(look->queue, job, NULL, look->now_us);

	if (!window.look.open)
		wake(look, window.look.until_us);
	return !window.look.open;
}

/* A clock that was put back makes no back-off longer than any is. */
static bool
backs_off(const struct job *job, int64_t now_us)
{
	return job->not_before_us > now_us && job->not_before_us - now_us <= QUEUE_BACKOFF_US;
}

/* Finds the head of one stage's line that may start, if there is one. */
static int
find_head(struct look *look, const char *application, const char *stage)
{
	struct window_look closed =
	    queue_window_stage(look->queue, application, stage, look->now_us);
	int64_t due_us = INT64_MIN, id = 0;
	struct job job;
	int r = stage_free(look, application, stage);

	if (!closed.open)
		wake(look, closed.until_us);
	while (r == 1) {
		if (look->moved >= QUEUE_BATCH) {
			wake(look, look->now_us);
			return 0;
		}
		/* Who passes what is closed has a reason. The others step aside: a freeze must not
		   stop the way back. */
		r = store_job_queued_after(
		    look->queue->store, application, stage, due_us, id, !closed.open,
		    queue_doubted(look->queue) ? look->queue->clock.boot : NULL, &job, look->err);
		if (r <= 0)
			return r;
		due_us = job.due_us;
		id = job.id;
		if (queue_waits_for_clock(look->queue, &job) ||
		    (!closed.open && waits_for_window(look, &job))) {
			job_clear(&job);
			r = 1;
			continue;
		}
		if (backs_off(&job, look->now_us)) {
			wake(look, job.not_before_us);
			job_clear(&job);
			return 0;
		}
		r = head_good(look, &job);
		if (r == 1) {
			XGROW(look->heads, look->n, look->room);
			look->heads[look->n++] = job;
			return 0;
		}
		job_clear(&job);
		if (r == 0)
			r = 1;
	}
	return r;
}

static int
by_line(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	if (x->due_us != y->due_us)
		return x->due_us < y->due_us ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int
start_heads(struct look *look, int (*start)(struct job *job, void *arg), void *arg)
{
	int64_t active;
	int r = 0;

	if (look->n > 1)
		qsort(look->heads, look->n, sizeof(*look->heads), by_line);
	for (size_t i = 0; i < look->n && r == 0; i++) {
		r = store_job_active_count(look->queue->store, &active, look->err);
		if (r < 0 || active >= look->queue->conf->max_running)
			break;
		r = start(&look->heads[i], arg);
		look->moved++;
	}
	return r;
}

static int
find_heads(struct look *look)
{
	char application[64] = "", stage[64] = "";
	int64_t active;
	int r = store_job_active_count(look->queue->store, &active, look->err);

	if (queue_drained(look->queue))
		return 0;
	/* With all slots taken nobody starts; the end of a run is a reason to look again. */
	if (r < 0 || active >= look->queue->conf->max_running)
		return r;
	while ((r = store_job_queued_stage(look->queue->store, application, stage, look->err)) ==
	       1) {
		r = find_head(look, application, stage);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- the look ---- */

static int
look_at_times(struct look *look)
{
	struct store *store = look->queue->store;
	int r;

	if (queue_doubted(look->queue))
		return store_job_each_relative(store, JOB_SCHEDULED, look->queue->clock.boot,
					       look->now_us, INT64_MIN, 0, QUEUE_BATCH, due, look,
					       look->err);
	r = store_job_each_state(store, JOB_SCHEDULED, look->now_us, INT64_MIN, 0, QUEUE_BATCH, due,
				 look, look->err);

	return r < 0 ? r
		     : store_job_each_expired(store, look->now_us, QUEUE_BATCH, expire, look,
					      look->err);
}

static int
look_ahead(struct look *look)
{
	bool doubted = queue_doubted(look->queue);
	int64_t next;
	int r = doubted ? store_job_next_relative(look->queue->store, look->queue->clock.boot,
						  &next, look->err)
			: store_job_next_due(look->queue->store, &next, look->err);

	if (r < 0)
		return r;
	wake(look, next > look->now_us ? next : look->now_us);
	if (doubted)
		return 0; /* the end of the doubt is sched's to know */
	r = store_job_next_expiry(look->queue->store, &next, look->err);
	if (r < 0)
		return r;
	if (next < INT64_MAX)
		wake(look, next >= look->now_us ? next + 1 : look->now_us);
	return 0;
}

int
queue_look(struct queue *queue, int64_t now_us, int (*start)(struct job *job, void *arg), void *arg,
	   int64_t *ret_next_us, struct err *err)
{
	struct look look = {.queue = queue, .now_us = now_us, .next_us = INT64_MAX, .err = err};
	int r = look_at_times(&look);

	if (r == 0)
		r = find_heads(&look);
	if (r == 0)
		r = start_heads(&look, start, arg);
	if (r == 0)
		r = look_ahead(&look);
	for (size_t i = 0; i < look.n; i++)
		job_clear(&look.heads[i]);
	free(look.heads);
	if (r < 0)
		return r;
	*ret_next_us = look.next_us;
	return 0;
}

/* ---- after a stop of bmd ---- */

struct downtime {
	struct queue *queue;
	int64_t last_due, last_id;
	int n;
	struct err *err;
};

static bool
too_long(const struct downtime *downtime, const struct job *job)
{
	return !job->timed && downtime->queue->down_us > job->grace_us &&
	       (downtime->queue->unjudged == 0 || job->id <= downtime->queue->unjudged);
}

static int
hold_slept(const struct job *row, void *arg)
{
	struct downtime *downtime = arg;
	struct job job;
	int r;

	downtime->n++;
	downtime->last_due = row->due_us;
	downtime->last_id = row->id;
	if (!too_long(downtime, row))
		return 0;
	r = store_job_get(downtime->queue->store, row->id, &job, downtime->err);
	if (r < 0)
		return r;
	r = queue_hold(downtime->queue, &job, downtime->err,
		       "bmd was down for %s, longer than its grace of %s",
		       when_span(downtime->queue->down_us).s, when_span(job.grace_us).s);
	job_clear(&job);
	return r;
}

/* Whether it ran is not known yet: if it turns out that it did not, it is held then. */
static int
note_slept(const struct job *row, void *arg)
{
	struct downtime *downtime = arg;
	struct queue *queue = downtime->queue;

	if (!too_long(downtime, row))
		return 0;
	XGROW(queue->slept, queue->nslept, queue->room_slept);
	queue->slept[queue->nslept++] = row->id;
	return 0;
}

bool
queue_slept(struct queue *queue, int64_t job)
{
	for (size_t i = 0; i < queue->nslept; i++) {
		if (queue->slept[i] == job) {
			queue->slept[i] = queue->slept[--queue->nslept];
			return true;
		}
	}
	return false;
}

int
queue_after_downtime(struct queue *queue, int64_t last_alive_us, int64_t now_us, struct err *err)
{
	struct downtime downtime = {.queue = queue, .last_due = INT64_MIN, .err = err};
	int r;

	if (last_alive_us == 0)
		return 0;
	queue->down_us = now_us - last_alive_us;
	queue->nslept = 0;
	r = store_job_each_state(queue->store, JOB_STARTING, INT64_MAX, INT64_MIN, 0, QUEUE_BATCH,
				 note_slept, &downtime, err);
	if (r == 0)
		r = store_job_each_state(queue->store, JOB_RUNNING, INT64_MAX, INT64_MIN, 0,
					 QUEUE_BATCH, note_slept, &downtime, err);
	for (bool more = true; more && r == 0; more = downtime.n == QUEUE_BATCH) {
		downtime.n = 0;
		r = store_job_each_state(queue->store, JOB_QUEUED, INT64_MAX, downtime.last_due,
					 downtime.last_id, QUEUE_BATCH, hold_slept, &downtime, err);
	}
	if (r == 0) {
		queue->judged = queue->unjudged;
		queue->unjudged = 0;
	}
	return r;
}

void
queue_postpone_downtime(struct queue *queue)
{
	queue->unjudged = queue->judged > 0 ? queue->judged : queue->highest;
}
