/* SPDX-License-Identifier: ISC */
/*
 * What humans decide about schedules: they are added, found by name or number, removed, paused and
 * resumed.
 */
#include <string.h>

#include "common/time/calendar.h"
#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"
#include "daemon/schedule.h"

#define FOUND_MAX 10 /* schedules of one name that an error names */

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
	return queue_schedule_newest(adding->queue, &job, err);
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
		return queue_rule(
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
