/* SPDX-License-Identifier: ISC */
/*
 * Recurring deployments. A schedule has at most one job that waits: its next occurrence. When that
 * job begins to run, or ends without a run, its occurrence is done with, and in the same
 * transaction the next one is put into the queue; so whatever crashes when, no occurrence comes
 * twice and none is lost. What has passed meanwhile (bmd was down, the schedule was paused, the job
 * waited long) is one occurrence, the last: it runs within its grace or is missed, as any other
 * job.
 *
 * "Done with" is a moment, AFTER_US; the next occurrence is the first behind it. It never lies
 * before the recurring time of a job that is done with, so that a clock which is put back repeats
 * nothing.
 */
#include <errno.h>
#include <string.h>

#include "common/time/calendar.h"
#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"
#include "daemon/schedule.h"

/* ---- the next occurrence ---- */

const char *
queue_schedule_zone(const struct store_schedule *schedule, const struct calendar *calendar)
{
	return calendar->zone[0] ? calendar->zone : schedule->zone;
}

int
queue_schedule_due(const struct store_schedule *schedule, int64_t now_us,
		   char ret_zone[WHEN_ZONE_MAX], int64_t *ret_us, int *ret_passed)
{
	struct calendar calendar;
	int64_t after_us = schedule->after_us;

	if (calendar_parse(schedule->calendar, &calendar, NULL) < 0)
		return 0;
	if (schedule->done_us <= now_us && schedule->done_us > after_us)
		after_us = schedule->done_us;
	(void)snprintf(ret_zone, WHEN_ZONE_MAX, "%s", queue_schedule_zone(schedule, &calendar));
	return when_zone_valid(ret_zone) &&
	       schedule_due(&calendar, ret_zone, after_us, now_us, ret_us, ret_passed) == 0;
}

/* "of 3 occurrences since 2026-11-23 02:00:00+01:00 Europe/Berlin this is the last: WHY" free() */
static char *
late_text(int passed, const char *why)
{
	if (passed < 2)
		return xstrdup(why);
	return xasprintf("of %d%s occurrences this is the last: %s", passed,
			 passed == SCHEDULE_COUNT_MAX ? " or more" : "", why);
}

/* The same; WHY NULL: nobody looked. */
static char *
late_because(const struct queue *queue, const struct job *job, int passed, const char *why,
	     int64_t now_us)
{
	_cleanup_free_ char *lapse =
	    why ? xstrdup(why) : queue_lapse_text(queue, job->due_us, now_us, job->zone);

	return late_text(passed, lapse ? lapse : QUEUE_LAPSE_UNKNOWN);
}

static void
fill_job(struct queue *queue, const struct store_schedule *schedule, struct job *job)
{
	const struct conf_application *application =
	    conf_application(queue->conf, schedule->application);
	const struct conf_stage *stage =
	    application ? conf_stage(application, schedule->stage) : NULL;
	enum schedule_wants wants = SCHEDULE_WANTS_RELEASE;

	(void)schedule_wanted(schedule->wanted, &wants, &job->build, NULL);
	if (wants != SCHEDULE_WANTS_BUILD)
		job->wanted = xstrdup(schedule->wanted);
	job->schedule = schedule->id;
	job->redeploy = wants == SCHEDULE_WANTS_LIVE;
	job->timed = true;
	job->exit_code = -1;
	(void)snprintf(job->application, sizeof(job->application), "%s", schedule->application);
	(void)snprintf(job->stage, sizeof(job->stage), "%s", schedule->stage);
	(void)snprintf(job->plan, sizeof(job->plan), "%s", stage ? stage->plan : "");
	(void)snprintf(job->requested_by, sizeof(job->requested_by), "schedule %lld",
		       (long long)schedule->id);
	job->uid = schedule->uid;
	job->reason = xstrdup(schedule->reason);
	job->due_text = xstrdup(schedule->calendar);
	job->grace_us = schedule->grace_us >= 0 ? schedule->grace_us : queue->conf->grace_us;
	if (job->grace_us < WHEN_SECOND)
		job->grace_us = WHEN_SECOND;
	job->if_changed = schedule->if_changed;
	job->variables = json_incref(schedule->variables);
}

static int
put(struct queue *queue, struct job *job, int64_t now_us, struct err *err)
{
	struct history history = {0};
	int r = queue_history_get(queue, job->application, job->stage, &history, err);

	if (r == 0)
		r = queue_add(queue, job, &history, now_us, err);
	history_clear(&history);
	return r;
}

int
queue_schedule_next(struct queue *queue, const struct store_schedule *schedule, const char *late,
		    int64_t now_us, struct err *err)
{
	struct job job = {0};
	int64_t waiting = 0;
	int passed = 0, r;

	if (schedule->paused_by)
		return 0;
	r = store_schedule_waiting(queue->store, schedule->id, 0, &waiting, err);
	if (r < 0 || waiting > 0)
		return r;
	if (!queue_schedule_due(schedule, now_us, job.zone, &job.due_us, &passed)) {
		queue_tell(queue, EVENT_NOTED, NULL,
			   "schedule %lld (%s to %s): %s does not come again: take it away",
			   (long long)schedule->id, schedule->application, schedule->stage,
			   schedule->calendar);
		return 0;
	}
	fill_job(queue, schedule, &job);
	job.occurrence_us = job.due_us;
	if (passed > 0)
		job.message = late_because(queue, &job, passed, late, now_us);
	r = put(queue, &job, now_us, err);
	job_clear(&job);
	return r;
}

/* ---- a job of a schedule moves ---- */

static bool
waits(enum job_state state)
{
	return !job_state_final(state) && state != JOB_RUNNING;
}

static int
done_with(struct queue *queue, const struct job *job, struct store_schedule *schedule,
	  struct err *err)
{
	int64_t moment_us = job_state_final(job->state) ? job->finished_us : job->started_us;
	int r;

	if (schedule->after_us < job->occurrence_us)
		schedule->after_us = job->occurrence_us;
	/* Those that passed while it waited were one with it. */
	if (schedule->after_us < moment_us)
		schedule->after_us = moment_us;
	r = store_schedule_put(queue->store, schedule, err);
	return r < 0 ? r : queue_schedule_next(queue, schedule, NULL, moment_us, err);
}

int
queue_schedule_take_back(struct queue *queue, struct job *job, const char *by, const char *why,
			 int64_t now_us, struct err *err)
{
	int r;

	queue->withdrawn = job->id;
	r = queue_end(queue, job, JOB_CANCELLED, by, now_us, why, err);
	queue->withdrawn = 0;
	return r;
}

/* Its run turns out not to have begun: it waits again, and the next one must not wait beside it. */
static int
waits_again(struct queue *queue, const struct job *job, struct store_schedule *schedule,
	    struct err *err)
{
	_cleanup_free_ char *why =
	    xasprintf("job %lld of the same schedule waits again", (long long)job->id);
	struct job other;
	int64_t id = 0;
	int r = store_schedule_waiting(queue->store, schedule->id, job->id, &id, err);

	if (r < 0 || id == 0)
		return r;
	r = store_job_get(queue->store, id, &other, err);
	if (r < 0)
		return r;
	schedule->after_us = job->occurrence_us;
	r = store_schedule_put(queue->store, schedule, err);
	if (r == 0 && other.state != JOB_STARTING)
		r = queue_schedule_take_back(queue, &other, "bmd", why, other.created_us, err);
	job_clear(&other);
	return r;
}

/* The schedule that JOB is of: 1, or 0 when it is there no more. */
static int
schedule_of(struct queue *queue, const struct job *job, struct store_schedule *ret, struct err *err)
{
	_cleanup_err_ struct err missing = ERR_INIT;
	int r = store_schedule_get(queue->store, job->schedule, ret, &missing);

	if (r < 0 && r != -ENOENT)
		(void)err_set(err, missing.code, "%s", missing.text);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int
queue_schedule_moved(struct queue *queue, const struct job *job, enum job_state from,
		     struct err *err)
{
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	int r;

	if (job->schedule == 0 || queue->withdrawn == job->id || waits(from) == waits(job->state))
		return 0;
	r = schedule_of(queue, job, &schedule, err);
	if (r <= 0)
		return r;
	return waits(job->state) ? waits_again(queue, job, &schedule, err)
				 : done_with(queue, job, &schedule, err);
}

/* Its time was done with before the clock was put back and forward again: it stands for the next
 * one. */
static int
stand_for(struct queue *queue, struct job *job, int64_t due_us, struct err *err)
{
	int r;

	job->due_us = job->occurrence_us = job->grace_from_us = due_us;
	r = store_job_update(queue->store, job, job->state, NULL, err);
	return r < 0 ? r : 1;
}

int
queue_schedule_overdue(struct queue *queue, struct job *job, int64_t now_us, struct err *err)
{
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	char zone[WHEN_ZONE_MAX];
	int64_t due_us;
	int passed, r;

	/* One that was moved by hand stands for itself. */
	if (job->schedule == 0 || job->due_us != job->occurrence_us)
		return 0;
	r = schedule_of(queue, job, &schedule, err);
	if (r <= 0)
		return r;
	schedule.after_us = job->occurrence_us;
	if (!queue_schedule_due(&schedule, now_us, zone, &due_us, &passed))
		return 0;
	if (passed == 0)
		return job->occurrence_us <= schedule.done_us && schedule.done_us <= now_us
			   ? stand_for(queue, job, due_us, err)
			   : 0;
	job->due_us = job->occurrence_us = job->grace_from_us = due_us;
	free(job->message);
	job->message = late_because(queue, job, passed < SCHEDULE_COUNT_MAX ? passed + 1 : passed,
				    NULL, now_us);
	queue_tell(queue, EVENT_NOTED, job, "%s", job->message);
	return 0;
}

/* ---- which build ---- */

static int
nothing_live(const struct job *job, struct err *err)
{
	return queue_rule(
	    err, ERR_RULE_SCHEDULE,
	    err_set(err, ERR_REFUSED,
		    "nothing is live on %s of %s: bmctl deploy %s BUILD --to %s --now", job->stage,
		    job->application, job->application, job->stage));
}

int
queue_schedule_newest(struct queue *queue, struct job *job, struct err *err)
{
	struct build_ref ref = {.number = 0};
	int64_t builds, active, succeeded;
	int r = store_release_look(queue->store, job->application, job->wanted, NULL, &builds,
				   &active, &succeeded, err);

	if (r < 0)
		return r;
	if (active == 0)
		return queue_rule(err, ERR_RULE_SCHEDULE,
				  err_set(err, ERR_REFUSED,
					  "%s %s has %s: bmctl build add %s %s PATH",
					  job->application, job->wanted,
					  builds > 0 ? "only rejected builds" : "no build",
					  job->application, job->wanted));
	(void)snprintf(ref.release, sizeof(ref.release), "%s", job->wanted);
	ref.number = active;
	queue_approved_until(job, &ref);
	job->build = ref;
	return 0;
}

int
queue_schedule_resolve(struct queue *queue, struct job *job, const struct history *history,
		       struct err *err)
{
	const struct history_entry *live = history_live(history);

	if (!job->wanted)
		return 0;
	if (strcmp(job->wanted, SCHEDULE_LIVE) != 0)
		return queue_schedule_newest(queue, job, err);
	if (!live)
		return nothing_live(job, err);
	queue_approved_until(job, &live->build);
	job->build = live->build;
	return 0;
}

void
queue_schedule_show(struct queue *queue, const struct job *job, struct build_ref *ret_build)
{
	struct history history = {0};
	struct job now = *job; /* borrows what JOB owns */

	now.approved_by = NULL; /* which is JOB's to forget */

	if (!job->wanted || !waits(job->state) || job->state == JOB_STARTING)
		return;
	if (queue_history_get(queue, job->application, job->stage, &history, NULL) == 0 &&
	    queue_schedule_resolve(queue, &now, &history, NULL) == 0)
		*ret_build = now.build;
	history_clear(&history);
}

/* ---- stopped ---- */

bool
queue_schedule_stopped(struct queue *queue, const struct job *job, char **ret_why)
{
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	int r = job->schedule > 0 ? store_schedule_get(queue->store, job->schedule, &schedule, NULL)
				  : 0;

	if (r == -ENOENT)
		*ret_why = xasprintf("schedule %lld was removed before it started",
				     (long long)job->schedule);
	else if (r == 0 && schedule.paused_by)
		*ret_why = xasprintf("schedule %lld was paused by %s before it started",
				     (long long)job->schedule, schedule.paused_by);
	else
		return false;
	return true;
}

int
queue_schedule_withdraw(struct queue *queue, int64_t schedule, const char *by, const char *why,
			int64_t now_us, int64_t *ret_job, struct err *err)
{
	struct job job;
	int64_t id = 0;
	int r = store_schedule_waiting(queue->store, schedule, 0, &id, err);

	if (r == 0 && id > 0)
		r = store_job_get(queue->store, id, &job, err);
	if (r < 0 || id == 0) {
		*ret_job = 0;
		return r;
	}
	if (job.state == JOB_STARTING) {
		id = 0;
	} else {
		r = queue_schedule_take_back(queue, &job, by, why, now_us, err);
	}
	job_clear(&job);
	*ret_job = r == 0 ? id : 0;
	return r;
}
