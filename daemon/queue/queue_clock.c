/* SPDX-License-Identifier: ISC */
/*
 * Whether the clock is believed, and what it means for jobs when it is not or was set. The verdict
 * is sched's (steady.c); here is who waits for it. A job that counts elapsed time ("+2h") keeps the
 * moment of CLOCK_BOOTTIME at which it is due: its due time is what the wall clock will show then,
 * and is reckoned anew when that was set.
 */
#include <stdlib.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define BATCH	 1000 /* jobs in one call */
#define EXACT_US 1000 /* clocks are read one after the other: less is no setting */

void
queue_set_clock(struct queue *queue, const struct queue_clock *clock)
{
	queue->clock = *clock;
}

bool
queue_doubted(const struct queue *queue)
{
	return queue->clock.doubted;
}

char *
queue_doubt_text(const struct queue *queue, int64_t now_us)
{
	/* The next whole second: by then it is believed. */
	int64_t until_us = (queue->clock.until_us + WHEN_SECOND - 1) / WHEN_SECOND * WHEN_SECOND;

	return xasprintf("%s: timed jobs wait until it has settled, %s (%s)", queue->clock.why,
			 when_local(until_us, queue_zone_here()).s,
			 when_distance(until_us, now_us).s);
}

int64_t
queue_steady_us(const struct queue *queue, int64_t now_us)
{
	return now_us - queue->clock.stepped_us;
}

int64_t
queue_steady_at_us(const struct queue *queue, int64_t boot_us)
{
	return queue->clock.boot[0] ? boot_us + queue->clock.offset_us - queue->clock.stepped_us
				    : 0;
}

int64_t
queue_asked_us(const struct history *history, int64_t now_us)
{
	int64_t failed_us = history->dirty ? history->unfinished.since_us : 0;

	return now_us > failed_us ? now_us : failed_us + 1;
}

int
queue_failed_us(struct queue *queue, const char *application, const char *stage, int64_t now_us,
		int64_t *ret_us, struct err *err)
{
	int64_t asked_us;
	int r = store_job_last_asked(queue->store, application, stage, &asked_us, err);

	if (r == 0)
		*ret_us = now_us > asked_us ? now_us : asked_us;
	return r;
}

bool
queue_by_boot(const struct queue *queue, const struct job *job)
{
	return job->boot_due_us > 0 && strcmp(job->boot, queue->clock.boot) == 0;
}

bool
queue_waits_for_clock(struct queue *queue, const struct job *job)
{
	if (!queue->clock.doubted)
		return false;
	if (job->id <= queue->unjudged)
		return true;
	return (job->timed && !queue_by_boot(queue, job)) || queue_window_may_hold(queue, job);
}

bool
queue_locked_now(const struct queue *queue, const struct store_stage *stage, int64_t now_us)
{
	int64_t highest_us = queue->clock.highest_us;

	return queue_locked(stage,
			    queue->clock.doubted && highest_us < now_us ? highest_us : now_us);
}

/* ---- elapsed time ---- */

struct moving {
	struct queue *queue;
	int n;
	struct err *err;
};

static int
move(struct queue *queue, struct job *job, int64_t by_us, struct err *err)
{
	job->due_us += by_us;
	job->grace_from_us += by_us;
	queue->moving.moved++;
	return store_job_update(queue->store, job, job->state, NULL, err);
}

static int
move_row(const struct job *row, void *arg)
{
	struct moving *moving = arg;
	struct queue *queue = moving->queue;
	int64_t by_us = row->boot_due_us + queue->moving.offset_us - row->due_us;
	struct job job;
	int r;

	moving->n++;
	queue->moving.due_us = row->due_us;
	queue->moving.id = row->id;
	if (llabs(by_us) < EXACT_US)
		return 0;
	r = store_job_get(queue->store, row->id, &job, moving->err);
	if (r < 0)
		return r;
	r = move(queue, &job, by_us, moving->err);
	job_clear(&job);
	return r;
}

static void
begin(struct queue *queue)
{
	queue->moving = (struct queue_moving){
	    .offset_us = queue->clock.offset_us, .state = JOB_SCHEDULED, .due_us = INT64_MIN};
	memcpy(queue->moving.boot, queue->clock.boot, sizeof(queue->moving.boot));
}

static void
finish(struct queue *queue)
{
	int64_t n = queue->moving.moved;

	queue->moving.boot[0] = '\0';
	if (n > 0)
		queue_tell(queue, EVENT_NOTED, NULL,
			   "the clock was set: %lld %s elapsed time and moved with it",
			   (long long)n, n == 1 ? "job counts" : "jobs count");
}

int
queue_relatives(struct queue *queue, bool *ret_more, struct err *err)
{
	static const enum job_state next[] = {
	    [JOB_SCHEDULED] = JOB_QUEUED, [JOB_QUEUED] = JOB_HELD, [JOB_HELD] = JOB_STATE_MAX_};
	struct moving moving = {.queue = queue, .err = err};
	struct queue_moving *at = &queue->moving;
	int r = 0;

	if (!at->boot[0] || at->offset_us != queue->clock.offset_us)
		begin(queue);
	while (at->state != JOB_STATE_MAX_ && moving.n < BATCH && r == 0) {
		int before = moving.n;

		r = store_job_each_relative(queue->store, at->state, at->boot, INT64_MAX,
					    at->due_us, at->id, BATCH, move_row, &moving, err);
		if (moving.n - before < BATCH) {
			at->state = next[at->state];
			at->due_us = INT64_MIN;
		}
	}
	if (r < 0) {
		at->boot[0] = '\0'; /* from the beginning, the next time */
		return r;
	}
	*ret_more = at->state != JOB_STATE_MAX_;
	if (!*ret_more)
		finish(queue);
	return 0;
}

void
queue_walk_anew(struct queue *queue)
{
	queue->moving.boot[0] = '\0';
	json_decref(queue->walk.zones);
	queue->walk.zones = NULL;
}

/* ---- why nobody looked ---- */

void
queue_lapse(struct queue *queue, enum queue_lapse why, int64_t from_us, int64_t to_us)
{
	if (to_us - from_us < WHEN_SECOND) /* nobody is late for that */
		return;
	queue->lapses[queue->next_lapse++ % ARRAY_SIZE(queue->lapses)] =
	    (struct queue_lapse_entry){.why = why, .from_us = from_us, .to_us = to_us};
}

/* The newest lapse that has to do with the time from DUE to UNTIL; one that holds DUE itself is
 * what made it late. */
static const struct queue_lapse_entry *
find_lapse(const struct queue *queue, int64_t due_us, int64_t until_us)
{
	const struct queue_lapse_entry *touches = NULL;
	size_t n = ARRAY_SIZE(queue->lapses);

	for (size_t i = 1; i <= n; i++) {
		const struct queue_lapse_entry *lapse =
		    &queue->lapses[(queue->next_lapse + n - i) % n];

		if (lapse->to_us == 0 || lapse->from_us > until_us || lapse->to_us < due_us)
			continue;
		if (lapse->from_us <= due_us)
			return lapse;
		if (!touches)
			touches = lapse;
	}
	return touches;
}

char *
queue_lapse_text(const struct queue *queue, int64_t due_us, int64_t until_us, const char *zone)
{
	const struct queue_lapse_entry *lapse = find_lapse(queue, due_us, until_us);
	struct when_text from, to;

	if (!lapse)
		return NULL;
	zone = zone && *zone ? zone : queue_zone_here();
	from = when_local(lapse->from_us - lapse->from_us % WHEN_SECOND, zone);
	to = when_local(lapse->to_us - lapse->to_us % WHEN_SECOND, zone);
	switch (lapse->why) {
	case QUEUE_LAPSE_DOWN:
		return xasprintf("bmd was not running from %s to %s", from.s, to.s);
	case QUEUE_LAPSE_ASLEEP:
		return xasprintf("the machine was asleep from %s to %s", from.s, to.s);
	case QUEUE_LAPSE_JUMP:
		return xasprintf("the clock was set from %s to %s", from.s, to.s);
	case QUEUE_LAPSE_DOUBT:
		break;
	}
	return xasprintf("bmd waited for the clock to settle, until %s", to.s);
}
