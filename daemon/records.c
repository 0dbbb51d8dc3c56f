/* SPDX-License-Identifier: ISC */
/*
 * One walk goes once over all stages; between two of its portions the loop serves others. Nothing
 * wakes bmd up for it while no job ends.
 */
#include "daemon/records.h"

#include <stdlib.h>

#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#define EVERY	      64   /* ended jobs */
#define PAUSE_SECONDS 0.01 /* between two portions: each is a commit */

struct records {
	struct sched *sched;
	struct queue *queue;
	struct turn *turn;
	ev_timer next;
	struct queue_pruning at; /* while NEXT is active */
	int ended;
	bool failed; /* said once, until it succeeds */
};

static void
walk(struct records *records)
{
	records->ended = 0;
	records->at = (struct queue_pruning){0};
	ev_timer_stop(sched_loop(records->sched), &records->next);
	ev_timer_set(&records->next, 0., PAUSE_SECONDS);
	ev_timer_start(sched_loop(records->sched), &records->next);
}

/* A portion in this turn's transaction, parted from what else is in it: the whole record of a job
 * goes, or none of it. */
static int
portion(struct records *records, struct err *err)
{
	int more, r = turn_begin(records->turn, err);

	if (r >= 0)
		r = turn_savepoint(records->turn, err);
	if (r < 0)
		return r;
	more = queue_prune(records->queue, &records->at, clock_now_us(), err);
	if (more < 0) {
		(void)turn_rollback_savepoint(records->turn);
		return more;
	}
	r = turn_release(records->turn, err);
	return r < 0 ? r : more;
}

/* What fails is tried again with the next walk, also what a commit that fails later undoes. */
static void
on_next(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct records *records = timer->data;
	_cleanup_err_ struct err err = ERR_INIT;
	int r = portion(records, &err);

	(void)events;
	if (r < 0 && !records->failed)
		log_warning("records of old jobs are not removed: %s", err.text);
	records->failed = r < 0;
	if (r <= 0)
		ev_timer_stop(loop, timer);
}

static void
on_final(void *arg)
{
	struct records *records = arg;

	if (++records->ended >= EVERY && !ev_is_active(&records->next))
		walk(records);
}

struct records *
records_new(struct sched *sched, struct queue *queue, struct turn *turn)
{
	struct records *records = xcalloc(1, sizeof(*records));

	records->sched = sched;
	records->queue = queue;
	records->turn = turn;
	ev_init(&records->next, on_next);
	records->next.data = records;
	sched_on_final(sched, on_final, records);
	walk(records);
	return records;
}

void
records_reload(struct records *records)
{
	walk(records);
}

void
records_free(struct records *records)
{
	if (!records)
		return;
	sched_on_final(records->sched, NULL, NULL);
	ev_timer_stop(sched_loop(records->sched), &records->next);
	free(records);
}
