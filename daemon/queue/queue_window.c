/* SPDX-License-Identifier: ISC */
/*
 * Windows and freezes of a stage, for one job: whether they hold it at a moment, and until when.
 * They hold the modes that windows-hold names; the others pass when they say a reason, and any job
 * passes what its override names. Nothing is remembered but the override and where the grace began.
 */
#include <string.h>

#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define FAR_US (INT64_C(3660) * 86400 * WHEN_SECOND)

static const struct conf_stage *
stage_of(struct queue *queue, const struct job *job)
{
	const struct conf_application *application =
	    conf_application(queue->conf, job->application);

	return application ? conf_stage(application, job->stage) : NULL;
}

/* What the override of JOB names, among the freezes that there are now. */
static struct window_pass
pass_of(const struct windows *windows, const struct job *job)
{
	struct window_pass pass = {.windows =
				       json_is_true(json_object_get(job->overrides, "windows"))};
	const json_t *names = json_object_get(job->overrides, "freezes");
	size_t i;
	json_t *name;

	json_array_foreach (names, i, name)
		for (size_t k = 0; k < windows->nfreezes; k++)
			if (strcmp(windows->freezes[k].name, json_string_value(name)) == 0)
				pass.freezes |= UINT64_C(1) << k;
	return pass;
}

static unsigned
mode_bit(enum job_mode mode)
{
	return mode == JOB_MODE_ROLLBACK   ? CONF_ROLLBACK
	       : mode == JOB_MODE_REDEPLOY ? CONF_REDEPLOY
					   : CONF_DEPLOY;
}

/* Do the windows of STAGE hold JOB, as it would run now? HISTORY NULL: it is asked for. */
static bool
holds(struct queue *queue, const struct conf_stage *stage, const struct job *job,
      const struct history *history, bool *ret_needs_reason)
{
	struct build_ref build = job->build, from;
	struct history own = {0};
	enum job_mode mode;
	int succeeded;

	*ret_needs_reason = false;
	queue_schedule_show(queue, job, &build);
	if (!history && queue_history_get(queue, job->application, job->stage, &own, NULL) < 0)
		return true;
	succeeded = store_succeeded(queue->store, job->application, job->stage, &build, NULL);
	mode = history_mode(history ? history : &own, &build, succeeded > 0, &from);
	history_clear(&own);
	if (succeeded < 0)
		return true;
	if (stage->windows_hold & mode_bit(mode))
		return true;
	*ret_needs_reason = !job->reason || !job->reason[0];
	return *ret_needs_reason;
}

struct queue_window
queue_window(struct queue *queue, const struct job *job, const struct history *history,
	     int64_t at_us)
{
	const struct conf_stage *stage = stage_of(queue, job);
	struct queue_window window = {.look = {.open = true, .until_us = INT64_MAX}};
	struct window_pass pass;

	if (!stage || !stage->windows)
		return window;
	pass = pass_of(stage->windows, job);
	window.look = window_look(stage->windows, &pass, at_us);
	window.zone = stage->windows->zone;
	if (window.look.open)
		return window;
	if (!holds(queue, stage, job, history, &window.needs_reason))
		window.look = (struct window_look){.open = true, .until_us = INT64_MAX};
	return window;
}

/* Is there anything on the stage that JOB does not pass by its override? */
static bool
passes_all(const struct windows *windows, const struct job *job)
{
	struct window_pass pass = pass_of(windows, job);

	for (size_t i = 0; i < windows->nfreezes; i++)
		if (!(pass.freezes & UINT64_C(1) << i))
			return false;
	return pass.windows || windows->nwindows == 0;
}

bool
queue_window_may_hold(struct queue *queue, const struct job *job)
{
	const struct conf_stage *stage = stage_of(queue, job);
	bool needs_reason;

	return stage && stage->windows && !passes_all(stage->windows, job) &&
	       holds(queue, stage, job, NULL, &needs_reason);
}

struct window_look
queue_window_stage(struct queue *queue, const char *application, const char *stage, int64_t at_us)
{
	const struct conf_application *known = conf_application(queue->conf, application);
	const struct conf_stage *found = known ? conf_stage(known, stage) : NULL;

	if (!found || !found->windows)
		return (struct window_look){.open = true, .until_us = INT64_MAX};
	return window_look(found->windows, NULL, at_us);
}

bool
queue_window_grace(struct queue *queue, struct job *job, int64_t now_us)
{
	const struct conf_stage *stage = stage_of(queue, job);
	struct window_pass pass;
	bool needs_reason;
	int64_t from_us;

	if (!stage || !stage->windows || !holds(queue, stage, job, NULL, &needs_reason))
		return now_us - job->grace_from_us <= job->grace_us;
	pass = pass_of(stage->windows, job);
	if (!window_grace(stage->windows, &pass, job->grace_from_us, job->grace_us, now_us,
			  &from_us))
		return false;
	job->grace_from_us = from_us < now_us + FAR_US ? from_us : now_us + FAR_US;
	return true;
}

char *
queue_window_text(const struct queue_window *window, const struct job *job, int64_t now_us)
{
	int64_t until_us = window->look.until_us;
	_cleanup_free_ char *until =
	    until_us == INT64_MAX ? xstrdup("nobody knows when")
				  : xasprintf("%s (%s)", when_local(until_us, window->zone).s,
					      when_distance(until_us, now_us).s);
	_cleanup_free_ char *passes = NULL;

	if (window->needs_reason && job->id > 0 && job->id < INT64_MAX)
		passes = xasprintf(
		    "; with a reason it passes: bmctl reschedule %lld --now --reason TEXT",
		    (long long)job->id);
	if (window->look.freeze)
		return xasprintf("%s is frozen (\"%s\") and opens again %s%s", job->stage,
				 window->look.freeze->name, until, passes ? passes : "");
	return xasprintf("waits for the window of %s, which opens %s%s", job->stage, until,
			 passes ? passes : "");
}

json_t *
queue_window_json(struct queue *queue, const struct job *job, const struct history *history,
		  int64_t at_us, int64_t now_us)
{
	struct queue_window window = queue_window(queue, job, history, at_us);
	_cleanup_free_ char *text = NULL;

	if (window.look.open)
		return json_null();
	text = queue_window_text(&window, job, now_us);
	return json_pack("{s:s, s:s, s:o}", "kind", "window", "text", text, "until",
			 window.look.until_us == INT64_MAX ? json_null()
							   : json_time(window.look.until_us));
}

static json_t *
freeze_names(const struct windows *windows)
{
	json_t *names = json_array();

	for (size_t i = 0; windows && i < windows->nfreezes; i++)
		(void)json_array_append_new(names, json_string(windows->freezes[i].name));
	return names;
}

json_t *
queue_window_stage_json(struct queue *queue, const char *application, const char *stage,
			int64_t now_us)
{
	const struct conf_application *known = conf_application(queue->conf, application);
	const struct conf_stage *found = known ? conf_stage(known, stage) : NULL;
	struct window_look look;

	if (!found || !found->windows)
		return json_null();
	look = window_look(found->windows, NULL, now_us);
	return json_pack("{s:b, s:o, s:o, s:s, s:o}", "open", look.open, "until",
			 look.until_us == INT64_MAX ? json_null() : json_time(look.until_us),
			 "freeze", json_text(look.freeze ? look.freeze->name : NULL), "zone",
			 found->windows->zone, "freezes", freeze_names(found->windows));
}

/* ---- overrides */

static int
unknown_freeze(const struct conf_stage *stage, const char *name, struct err *err)
{
	_cleanup_json_ json_t *known = freeze_names(stage->windows);
	_cleanup_free_ char *list = xstrdup("");
	size_t i;
	json_t *one;
	int r;

	json_array_foreach (known, i, one) {
		char *longer =
		    xasprintf("%s%s\"%s\"", list, i > 0 ? ", " : "", json_string_value(one));

		free(list);
		list = longer;
	}
	r = err_set(err, ERR_INVALID_PARAMETER, "%s has no freeze \"%s\": %s%.600s", stage->name,
		    name, list[0] != '\0' ? "it has " : "none is configured", list);
	return queue_bad_parameter(err, "override", r);
}

static int
check_override(const struct conf_stage *stage, const json_t *override, struct err *err)
{
	_cleanup_json_ json_t *known = freeze_names(stage->windows);
	size_t i, k;
	json_t *name, *one;

	if (json_is_true(json_object_get(override, "windows")) &&
	    (!stage->windows || stage->windows->nwindows == 0))
		return queue_bad_parameter(err, "override",
					   err_set(err, ERR_INVALID_PARAMETER,
						   "%s has no windows to override", stage->name));
	json_array_foreach (json_object_get(override, "freezes"), i, name) {
		bool found = false;

		json_array_foreach (known, k, one)
			found = found || json_equal(one, name);
		if (!found)
			return unknown_freeze(stage, json_string_value(name), err);
	}
	return 0;
}

/* Adds to what JOB overrides already. */
static void
merge(struct job *job, const json_t *override)
{
	json_t *freezes, *more = json_object_get(override, "freezes"), *name, *one;
	size_t i, k;

	if (!job->overrides)
		job->overrides = json_object();
	if (json_is_true(json_object_get(override, "windows")))
		(void)json_object_set_new(job->overrides, "windows", json_true());
	freezes = json_object_get(job->overrides, "freezes");
	if (!freezes && json_array_size(more) > 0)
		(void)json_object_set_new(job->overrides, "freezes", freezes = json_array());
	json_array_foreach (more, i, name) {
		bool there = false;

		json_array_foreach (freezes, k, one)
			there = there || json_equal(one, name);
		if (!there)
			(void)json_array_append(freezes, name);
	}
}

int
queue_override(struct queue *queue, struct job *job, const json_t *override, const char *reason,
	       const struct queue_who *who, int64_t now_us, struct err *err)
{
	const struct conf_stage *stage = stage_of(queue, job);
	_cleanup_free_ char *text = NULL, *what = NULL;
	size_t i;
	json_t *name;
	int r;

	if (!json_is_object(override) || !stage)
		return 0;
	r = check_override(stage, override, err);
	if (r < 0)
		return r;
	if (!reason || !reason[0]) {
		r = err_set(
		    err, ERR_REASON_REQUIRED,
		    "an override asks for a reason: others will want to know why (--reason TEXT)");
		err_field(err, "application", json_string(job->application));
		err_field(err, "stage", json_string(job->stage));
		return r;
	}
	merge(job, override);
	what = xstrdup(json_is_true(json_object_get(override, "windows")) ? "the windows" : "");
	json_array_foreach (json_object_get(override, "freezes"), i, name) {
		char *longer = xasprintf("%s%sthe freeze \"%s\"", what, what[0] ? ", " : "",
					 json_string_value(name));

		free(what);
		what = longer;
	}
	text = xasprintf("%s: %s", what, reason);
	if (job->id == 0 || job->id == INT64_MAX)
		return 0; /* a dry run */
	queue_tell(queue, EVENT_NOTED, job, "%s overrides %s", who->name, text);
	return store_audit(queue->store,
			   &(struct store_audit){.at_us = now_us,
						 .uid = who->uid,
						 .who = who->name,
						 .what = "override",
						 .application = job->application,
						 .stage = job->stage,
						 .job = job->id,
						 .text = text},
			   err);
}
