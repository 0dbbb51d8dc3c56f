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

#define FOUND_MAX 10 /* schedules of one name that an error names */

static int
refused(struct err *err, enum err_rule rule, int r)
{
	err_rule(err, rule);
	return r;
}

/* ---- the next occurrence ---- */

/* The zone that the times of SCHEDULE are read in. */
static const char *
zone_of(const struct store_schedule *schedule, const struct calendar *calendar)
{
	return calendar->zone[0] ? calendar->zone : schedule->zone;
}

/* 1 and what is due next, or 0 when nothing ever is. */
static int
due_next(const struct store_schedule *schedule, int64_t now_us, char ret_zone[WHEN_ZONE_MAX],
	 int64_t *ret_us, int *ret_passed)
{
	struct calendar calendar;
	int64_t after_us = schedule->after_us;

	if (calendar_parse(schedule->calendar, &calendar, NULL) < 0)
		return 0;
	if (schedule->done_us <= now_us && schedule->done_us > after_us)
		after_us = schedule->done_us;
	(void)snprintf(ret_zone, WHEN_ZONE_MAX, "%s", zone_of(schedule, &calendar));
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
	if (!due_next(schedule, now_us, job.zone, &job.due_us, &passed)) {
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
	if (!due_next(&schedule, now_us, zone, &due_us, &passed))
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
	return refused(err, ERR_RULE_SCHEDULE,
		       err_set(err, ERR_REFUSED,
			       "nothing is live on %s of %s: bmctl deploy %s BUILD --to %s --now",
			       job->stage, job->application, job->application, job->stage));
}

static int
newest_of(struct queue *queue, struct job *job, struct err *err)
{
	struct build_ref ref = {.number = 0};
	int64_t builds, active, succeeded;
	int r = store_release_look(queue->store, job->application, job->wanted, NULL, &builds,
				   &active, &succeeded, err);

	if (r < 0)
		return r;
	if (active == 0)
		return refused(err, ERR_RULE_SCHEDULE,
			       err_set(err, ERR_REFUSED, "%s %s has %s: bmctl build add %s %s PATH",
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
		return newest_of(queue, job, err);
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

/* ---- added ---- */

/* What is asked for, piece by piece. */
struct adding {
	struct queue *queue;
	const struct queue_recurring *asked;
	int64_t now_us;
	const struct conf_application *application;
	const struct conf_stage *stage;
	struct calendar calendar;
};

static int
check_calendar(struct adding *adding, struct err *err)
{
	const struct queue_recurring *asked = adding->asked;
	const char *zone = asked->zone ? asked->zone : "UTC";
	int64_t first_us;
	int r;

	if (strlen(asked->calendar) >= CALENDAR_TEXT_MAX)
		return queue_bad_parameter(err, "calendar",
					   err_set(err, ERR_INVALID_PARAMETER,
						   "a recurring time has fewer than %d bytes",
						   CALENDAR_TEXT_MAX));
	r = calendar_parse(asked->calendar, &adding->calendar, err);
	if (r < 0)
		return r;
	if (!when_zone_valid(zone))
		return queue_bad_parameter(
		    err, "zone",
		    err_set(err, ERR_INVALID_PARAMETER,
			    "there is no zone %.80s: take UTC or a name such as "
			    "Europe/Berlin",
			    zone));
	if (calendar_next(&adding->calendar, adding->now_us, zone, &first_us, NULL) < 0) {
		r = err_set(err, ERR_BAD_TIME,
			    "recurring time \"%.200s\" does not come after %s: write one that "
			    "does, such as Mon..Fri 02:00",
			    asked->calendar, when_local(adding->now_us, zone).s);
		err_field(err, "text", json_string(asked->calendar));
		return r;
	}
	return 0;
}

static int
check_exact(struct adding *adding, const struct build_ref *ref, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	struct queue *queue = adding->queue;
	int r = queue_find_build(queue, adding->application->name, ref->release, ref->number,
				 &build, err);

	if (r == 0)
		r = queue_check_rejected(&build, err);
	if (r == 0)
		r = queue_check_signature(&build, adding->stage, err);
	if (r == 0)
		r = queue_check_plan(queue, &build, adding->stage,
				     conf_plan(queue->conf, adding->stage->plan), err);
	if (r == 0)
		r = queue_check_build_variables(queue, adding->application, adding->stage, &build,
						err);
	return r;
}

/* A release must have a build by now: most that have none are mistyped. */
static int
check_wanted(struct adding *adding, struct err *err)
{
	const char *application = adding->application->name;
	struct job job = {.wanted = NULL};
	_cleanup_free_ char *wanted = NULL;
	_cleanup_(store_build_clear) struct store_build build = {0};
	int64_t builds, active, succeeded;
	enum schedule_wants wants;
	struct build_ref ref;
	int r = schedule_wanted(adding->asked->wanted, &wants, &ref, err);

	if (r < 0 || wants == SCHEDULE_WANTS_LIVE)
		return r;
	if (wants == SCHEDULE_WANTS_BUILD)
		return check_exact(adding, &ref, err);
	r = store_release_look(adding->queue->store, application, ref.release, NULL, &builds,
			       &active, &succeeded, err);
	if (r < 0 || active > 0)
		return r;
	if (builds == 0)
		return queue_find_build(adding->queue, application, ref.release, 0, &build, err);
	(void)snprintf(job.application, sizeof(job.application), "%s", application);
	job.wanted = wanted = xstrdup(ref.release);
	return newest_of(adding->queue, &job, err);
}

/* A stage that wants a reason or a confirmation wants it once, for all occurrences. */
static int
check_asked(struct adding *adding, struct err *err)
{
	const struct queue_recurring *asked = adding->asked;
	bool reason = adding->stage->require_reason && !(asked->reason && asked->reason[0]);
	bool confirmed = adding->stage->confirm && !asked->confirmed;

	if (!reason && !confirmed)
		return 0;
	return queue_refuse_unsaid(adding->application->name, adding->stage->name, reason,
				   confirmed, NULL, "add", err);
}

static int
check_count(struct queue *queue, struct err *err)
{
	int64_t count;
	int r = store_schedule_count(queue->store, &count, err);

	if (r == 0 && count >= QUEUE_SCHEDULES_MAX)
		r = err_set(err, ERR_TOO_MANY,
			    "there are %d schedules already: bmctl schedule remove some first",
			    QUEUE_SCHEDULES_MAX);
	return r;
}

static int
check(struct adding *adding, struct err *err)
{
	const struct queue_recurring *asked = adding->asked;
	int r = queue_find_stage(adding->queue, asked->application, asked->stage,
				 &adding->application, &adding->stage, err);

	if (r == 0)
		r = check_calendar(adding, err);
	if (r == 0)
		r = check_wanted(adding, err);
	if (r == 0 && asked->variables)
		r = queue_check_variables(adding->queue, adding->application, adding->stage,
					  asked->variables, err);
	if (r == 0)
		r = check_asked(adding, err);
	return r < 0 ? r : check_count(adding->queue, err);
}

int
queue_schedule_add(struct queue *queue, const struct queue_recurring *asked,
		   const struct queue_who *who, int64_t now_us, struct store_schedule *ret_schedule,
		   struct err *err)
{
	struct adding adding = {.queue = queue, .asked = asked, .now_us = now_us};
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {
	    .grace_us = asked->grace_us,
	    .if_changed = asked->has_if_changed ? asked->if_changed : JOB_RUN,
	    .created_us = now_us,
	    .uid = who->uid,
	    .after_us = now_us,
	};
	int r = check(&adding, err);

	if (r < 0)
		return r;
	(void)snprintf(schedule.application, sizeof(schedule.application), "%s",
		       adding.application->name);
	(void)snprintf(schedule.stage, sizeof(schedule.stage), "%s", adding.stage->name);
	(void)snprintf(schedule.zone, sizeof(schedule.zone), "%s",
		       asked->zone ? asked->zone : "UTC");
	(void)snprintf(schedule.created_by, sizeof(schedule.created_by), "%s", who->name);
	schedule.wanted = xstrdup(asked->wanted);
	schedule.calendar = xstrdup(asked->calendar);
	schedule.reason = asked->reason && asked->reason[0] ? xstrdup(asked->reason) : NULL;
	schedule.variables =
	    asked->variables ? json_incref((json_t *)(uintptr_t)asked->variables) : json_object();
	r = store_schedule_add(queue->store, &schedule, err);
	if (r == 0)
		r = queue_schedule_next(queue, &schedule, NULL, now_us, err);
	if (r < 0)
		return r;
	*ret_schedule = schedule;
	memset(&schedule, 0, sizeof(schedule));
	return 0;
}

/* ---- found ---- */

struct finding {
	const struct queue_eyes *eyes;
	struct store_schedule first;
	json_t *names;
};

static int
note_found(const struct store_schedule *schedule, void *arg)
{
	struct finding *finding = arg;

	if (!queue_sees(finding->eyes, schedule->application, schedule->stage))
		return 0;
	(void)json_array_append_new(finding->names,
				    json_sprintf("%s/%s", schedule->application, schedule->name));
	if (finding->first.id == 0) {
		/* Ours now: what it owns is taken out of the list's copy. */
		struct store_schedule *mine = (struct store_schedule *)(uintptr_t)schedule;

		finding->first = *mine;
		memset(mine, 0, sizeof(*mine));
	}
	return json_array_size(finding->names) < FOUND_MAX ? 0 : 1;
}

static int
no_name(const char *application, const char *name, struct err *err)
{
	int r = err_set(err, ERR_NO_SUCH_SCHEDULE,
			"there is no schedule %s%s%.80s: bmctl schedule list",
			application ? application : "", application ? "/" : "", name);

	err_field(err, "name", json_string(name));
	return r;
}

static int
find_number(struct queue *queue, const struct queue_eyes *eyes, int64_t id,
	    struct store_schedule *ret_schedule, struct err *err)
{
	struct store_schedule schedule;
	int r = store_schedule_get(queue->store, id, &schedule, err);

	if (r < 0)
		return r;
	if (!queue_sees(eyes, schedule.application, schedule.stage)) {
		store_schedule_clear(&schedule);
		return store_schedule_missing(id, err);
	}
	*ret_schedule = schedule;
	return 0;
}

int
queue_schedule_find(struct queue *queue, const struct queue_eyes *eyes, int64_t id,
		    const char *application, const char *name, struct store_schedule *ret_schedule,
		    struct err *err)
{
	_cleanup_json_ json_t *names = json_array();
	struct finding finding = {.eyes = eyes, .names = names};
	int r;

	if (id > 0 || !name)
		return find_number(queue, eyes, id, ret_schedule, err);
	r = store_schedule_each(queue->store, application, name, 0, QUEUE_SCHEDULES_MAX, note_found,
				&finding, err);
	if (r == 0 && finding.first.id == 0)
		r = no_name(application, name, err);
	if (r == 0 && json_array_size(names) > 1) {
		r = err_set(err, ERR_AMBIGUOUS,
			    "several applications have a schedule %s: name one, such as %s", name,
			    json_string_value(json_array_get(names, 0)));
		err_field(err, "candidates", json_incref(names));
	}
	if (r < 0)
		store_schedule_clear(&finding.first);
	else
		*ret_schedule = finding.first;
	return r;
}

/* ---- removed, paused, resumed ---- */

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

/* "schedule 3 was paused: inventory" free() */
static char *
why_text(const struct store_schedule *schedule, const char *verb, const char *reason)
{
	return xasprintf("schedule %lld was %s%s%s", (long long)schedule->id, verb,
			 reason ? ": " : "", reason ? reason : "");
}

int
queue_schedule_remove(struct queue *queue, const struct store_schedule *schedule,
		      const char *reason, const struct queue_who *who, int64_t now_us,
		      int64_t *ret_cancelled, struct err *err)
{
	_cleanup_free_ char *why = why_text(schedule, "removed", reason);
	int r;

	if (schedule->name)
		return refused(
		    err, ERR_RULE_CONFIGURATION,
		    err_set(err, ERR_REFUSED,
			    "schedule %s of %s stands in %s:%lld: take it away there, then bmctl "
			    "reload; or bmctl schedule pause %lld",
			    schedule->name, schedule->application, schedule->file,
			    (long long)schedule->line, (long long)schedule->id));
	r = queue_schedule_withdraw(queue, schedule->id, who->name, why, now_us, ret_cancelled,
				    err);
	if (r == 0)
		r = store_schedule_remove(queue->store, schedule->id, err);
	return r;
}

int
queue_schedule_pause(struct queue *queue, struct store_schedule *schedule, const char *reason,
		     const struct queue_who *who, int64_t now_us, int64_t *ret_cancelled,
		     struct err *err)
{
	_cleanup_free_ char *why = why_text(schedule, "paused", reason);
	int r;

	*ret_cancelled = 0;
	if (schedule->paused_by) /* as it is */
		return 0;
	schedule->paused_by = xstrdup(who->name);
	schedule->pause_reason = xstrdup(reason);
	schedule->paused_us = now_us;
	r = store_schedule_put(queue->store, schedule, err);
	if (r == 0)
		r = queue_schedule_withdraw(queue, schedule->id, who->name, why, now_us,
					    ret_cancelled, err);
	return r;
}

int
queue_schedule_resume(struct queue *queue, struct store_schedule *schedule, int64_t now_us,
		      struct err *err)
{
	int r;

	if (!schedule->paused_by)
		return 0;
	free(schedule->paused_by);
	free(schedule->pause_reason);
	schedule->paused_by = schedule->pause_reason = NULL;
	schedule->paused_us = 0;
	r = store_schedule_put(queue->store, schedule, err);
	if (r == 0)
		r = queue_schedule_next(queue, schedule, "the schedule was paused then", now_us,
					err);
	return r;
}

/* ---- shown ---- */

static json_t *
paused_json(const struct store_schedule *schedule)
{
	if (!schedule->paused_by)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "by", schedule->paused_by, "at",
			 json_time(schedule->paused_us), "reason",
			 json_text(schedule->pause_reason));
}

/* {job, state, due, finished, message}; null for job 0. */
static json_t *
job_json(struct queue *queue, int64_t id)
{
	struct job job;
	json_t *object;

	if (id == 0 || store_job_get(queue->store, id, &job, NULL) < 0)
		return json_null();
	object = json_pack("{s:I, s:s, s:o, s:o, s:o}", "job", (json_int_t)job.id, "state",
			   job_state_shown(job.state), "due", json_time(job.due_us), "finished",
			   json_time(job.finished_us), "message",
			   json_text(job.hold_reason && job.state == JOB_HELD ? job.hold_reason
									      : job.message));
	job_clear(&job);
	return object;
}

/* When it comes next, and what is to be known of that time. */
static void
add_next(struct queue *queue, const struct store_schedule *schedule, int64_t waiting,
	 int64_t now_us, json_t *object)
{
	char zone[WHEN_ZONE_MAX], note[WHEN_NOTE_MAX] = "";
	struct calendar calendar;
	struct job job;
	int64_t next_us = 0, again_us;
	int passed;

	if (waiting > 0 && store_job_get(queue->store, waiting, &job, NULL) == 0) {
		next_us = job.due_us;
		job_clear(&job);
	} else if (!schedule->paused_by && !due_next(schedule, now_us, zone, &next_us, &passed)) {
		next_us = 0;
	}
	if (calendar_parse(schedule->calendar, &calendar, NULL) == 0 && next_us > 0 &&
	    (calendar_next(&calendar, next_us - 1, schedule->zone, &again_us, note) < 0 ||
	     again_us != next_us))
		note[0] = '\0'; /* moved by hand */
	(void)json_object_set_new(object, "next", json_time(next_us));
	(void)json_object_set_new(object, "note", json_text(note[0] ? note : NULL));
}

json_t *
queue_schedule_json(struct queue *queue, const struct store_schedule *schedule, int64_t now_us)
{
	struct calendar calendar;
	bool read = calendar_parse(schedule->calendar, &calendar, NULL) == 0;
	int64_t waiting = 0, last = 0;
	json_t *object;

	(void)store_schedule_waiting(queue->store, schedule->id, 0, &waiting, NULL);
	(void)store_schedule_last(queue->store, schedule->id, &last, NULL);
	object = json_pack(
	    "{s:I, s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:O, s:o, s:s, "
	    "s:o, s:o, s:o}",
	    "id", (json_int_t)schedule->id, "name", json_text(schedule->name), "origin",
	    schedule->name ? "configuration" : "command", "file", json_text(schedule->file), "line",
	    schedule->line > 0 ? json_integer(schedule->line) : json_null(), "application",
	    schedule->application, "stage", schedule->stage, "wanted", schedule->wanted, "calendar",
	    schedule->calendar, "normalized",
	    read ? calendar_print(&calendar).s : schedule->calendar, "zone",
	    read ? zone_of(schedule, &calendar) : schedule->zone, "reason",
	    json_text(schedule->reason), "grace_us",
	    schedule->grace_us >= 0 ? json_integer(schedule->grace_us) : json_null(), "if_changed",
	    job_if_changed_name(schedule->if_changed), "variables", schedule->variables, "created",
	    json_time(schedule->created_us), "created_by", schedule->created_by, "paused",
	    paused_json(schedule), "waiting", job_json(queue, waiting), "last",
	    job_json(queue, last));
	add_next(queue, schedule, waiting, now_us, object);
	return object;
}
