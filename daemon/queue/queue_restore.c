/* SPDX-License-Identifier: ISC */
/*
 * A database that was restored from a backup, or whose last commits are lost, is behind the world:
 * jobs may have run that it does not know, others live builds than it says, times passed. So
 * nothing starts by itself: whatever waited or was on its way is held, schedules rest, and of each
 * stage a human says what is live. All in one transaction with the mark that it was restored: it
 * happens once, and wholly.
 *
 * Only a run that goes on right now is followed as after any crash: it holds the lock of its
 * folder, so it is the latest of its stage.
 */
#include <string.h>

#include "common/run.h"
#include "common/runfolder.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define IDS_APART 1000 /* new jobs begin behind a gap, and on a number that shows it */

struct restoring {
	struct queue *queue;
	const char *run_directory;
	int64_t backup_us, now_us;
	char *since; /* "restored from a backup of …" */
	int64_t held;
	struct err *err;
};

static int
hold(struct restoring *restoring, struct job *job, const char *then)
{
	int r;

	job->run[0] = job->boot_run[0] = job->request_digest[0] = job->plan_digest[0] = '\0';
	job->started_us = job->event_seq = 0;
	job->mode = JOB_MODE_NONE;
	job->from = (struct build_ref){0};
	job->began = false;
	r = queue_hold(restoring->queue, job, restoring->err,
		       "%s%s: bmctl release %lld or bmctl cancel %lld", restoring->since, then,
		       (long long)job->id, (long long)job->id);
	restoring->held += r == 0;
	return r;
}

/* ---- jobs */

static int
hold_waiting(const struct job *waiting, void *arg)
{
	struct restoring *restoring = arg;
	struct job job;
	int r = store_job_get(restoring->queue->store, waiting->id, &job, restoring->err);

	if (r < 0)
		return r;
	r = hold(restoring, &job, "");
	job_clear(&job);
	return r;
}

/* What its folder says of the run that the backup knew. */
static int
hold_active(const struct job *active, void *arg)
{
	struct restoring *restoring = arg;
	_cleanup_free_ char *then = NULL;
	struct run_folder folder = {0};
	struct job job;
	int r = run_folder_look(restoring->run_directory, active->id, &folder, restoring->err);

	if (r < 0)
		return r;
	if (folder.locked)
		return 0;
	if (folder.has_result)
		then = xasprintf(", when it ran; its run %s then", folder.result.state);
	else if (folder.has_started || *folder.damage)
		then = xstrdup(", when it ran; nobody knows how that ended");
	else
		then = xstrdup(", when it began");
	r = store_job_get(restoring->queue->store, active->id, &job, restoring->err);
	if (r < 0)
		return r;
	r = hold(restoring, &job, then);
	job_clear(&job);
	return r;
}

/* The held ones leave the list: it is read from its beginning until it is empty or only those are
 * left that go on. */
static int
hold_all(struct restoring *restoring, enum job_state state,
	 int (*back)(const struct job *job, void *arg))
{
	int64_t before;
	int r;

	do {
		before = restoring->held;
		r = store_job_each_state(restoring->queue->store, state, INT64_MAX, INT64_MIN, 0,
					 QUEUE_BATCH, back, restoring, restoring->err);
	} while (r == 0 && restoring->held > before);
	return r;
}

/* ---- schedules */

static int
pause_schedule(const struct store_schedule *known, void *arg)
{
	struct restoring *restoring = arg;
	struct queue *queue = restoring->queue;
	const struct queue_who who = {.uid = -1, .name = "bmd"};
	struct store_schedule schedule;
	int64_t cancelled;
	int r = store_schedule_get(queue->store, known->id, &schedule, restoring->err);

	if (r < 0)
		return r;
	r = queue_schedule_pause(queue, &schedule, restoring->since, &who, restoring->now_us,
				 &cancelled, restoring->err);
	store_schedule_clear(&schedule);
	return r;
}

/* ---- stages */

/* Not known until a human settles it or a run succeeds there. */
static int
doubt_stage(const char *application, const char *name, const struct history_entry *live, void *arg)
{
	struct restoring *restoring = arg;
	struct store *store = restoring->queue->store;
	struct store_stage stage;
	int r = store_stage_get(store, application, name, &stage, restoring->err);

	(void)live;
	if (r < 0)
		return r;
	stage.dirty = true;
	stage.dirty_job = 0;
	stage.dirty_us = restoring->backup_us;
	r = store_stage_put(store, &stage, restoring->err);
	store_stage_clear(&stage);
	return r;
}

/* ---- */

/* The next job's number is one that nobody was told before: not by this database, nor by what came
 * after the backup. */
static int
leave_gap(struct queue *queue, struct err *err)
{
	int64_t floor = (queue->highest / IDS_APART + 2) * IDS_APART;
	int r = store_number_put(queue->store, QUEUE_FLOOR, floor, err);

	if (r == 0)
		queue->highest = floor;
	return r;
}

static int
note_it(struct restoring *restoring)
{
	_cleanup_free_ char *text =
	    xasprintf("%s; %lld jobs are held", restoring->since, (long long)restoring->held);
	const struct store_audit row = {
	    .at_us = restoring->now_us, .uid = -1, .who = "bmd", .what = "Restore", .text = text};
	int r = store_audit(restoring->queue->store, &row, restoring->err);

	queue_tell(restoring->queue, EVENT_NOTED, NULL,
		   "%s: %lld jobs are held, schedules rest; compare what "
		   "is live with "
		   "what bmctl says, stage by stage: bmd(8), BACKUP",
		   restoring->since, (long long)restoring->held);
	return r;
}

/* "restored from a backup of …"; LOST: not that. free() */
static char *
since_text(int64_t us, bool lost)
{
	struct when_text at = when_local(us, queue_zone_here());

	return lost ? xasprintf("what the database knew after %s is lost", at.s)
		    : xasprintf("restored from a backup of %s", at.s);
}

int
queue_restored(struct queue *queue, const char *run_directory, int64_t backup_us, int64_t now_us,
	       struct err *err)
{
	bool lost = store_lost_commits(queue->store) > 0;
	struct restoring restoring = {.queue = queue,
				      .run_directory = run_directory,
				      .backup_us = backup_us,
				      .now_us = now_us,
				      .since = since_text(backup_us, lost),
				      .err = err};
	int r = store_schedule_each(queue->store, NULL, NULL, 0, QUEUE_SCHEDULES_MAX,
				    pause_schedule, &restoring, err);

	if (r == 0)
		r = hold_all(&restoring, JOB_SCHEDULED, hold_waiting);
	if (r == 0)
		r = hold_all(&restoring, JOB_QUEUED, hold_waiting);
	if (r == 0)
		r = hold_all(&restoring, JOB_STARTING, hold_active);
	if (r == 0)
		r = hold_all(&restoring, JOB_RUNNING, hold_active);
	if (r == 0)
		r = store_live_each(queue->store, NULL, doubt_stage, &restoring, err);
	if (r == 0)
		r = leave_gap(queue, err);
	if (r == 0)
		r = store_number_put(queue->store, QUEUE_RESTORED, backup_us, err);
	if (r == 0)
		r = store_number_put(queue->store, QUEUE_LOST, lost, err);
	if (r == 0)
		r = note_it(&restoring);
	free(restoring.since);
	return r == 0 ? store_restored_done(queue->store, err) : r;
}

json_t *
queue_restored_needs(struct queue *queue, const struct store_stage *stage,
		     const struct history *history)
{
	const struct history_entry *live = history_live(history);
	_cleanup_free_ char *since = NULL;
	int64_t restored_us = 0, lost = 0;

	if (!live || store_number_get(queue->store, QUEUE_RESTORED, &restored_us, NULL) < 0 ||
	    restored_us == 0 || stage->dirty_us != restored_us ||
	    store_number_get(queue->store, QUEUE_LOST, &lost, NULL) < 0)
		return NULL;
	since = since_text(restored_us, lost);
	return json_sprintf(
	    "%s, when %s was live: compare, then bmctl settle %s %s BUILD --reason TEXT", since,
	    names_build_text(&live->build).s, stage->application, stage->stage);
}
