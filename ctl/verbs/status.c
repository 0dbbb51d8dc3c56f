/* SPDX-License-Identifier: ISC */
/*
 * status: what is live where, what runs, what is next, what failed last, and what needs a human
 * with the command that helps.
 */
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/verbs/verbs.h"

#define QUEUE_LINES 200 /* jobs that are described; of others only the number is shown */

static char *
job_text(const json_t *stage, const char *member)
{
	int64_t job = json_get_int(stage, member, 0);

	return job > 0 ? xasprintf("job %" PRId64, job) : NULL;
}

/* Job ID in words when the queue was asked for it: "job 43: 1.0.2/3 (in 6 h 20 min)". */
static char *
next_text(const struct ctl *ctl, const json_t *stage, const char *member, const json_t *jobs)
{
	int64_t id = json_get_int(stage, member, 0);
	size_t i;
	json_t *job;

	json_array_foreach (jobs, i, job) {
		const char *state = json_get_string(job, "state");
		const json_t *waits = json_object_get(job, "waits_for");
		const char *kind = json_get_string(waits, "kind");
		_cleanup_free_ char *due = ctl_moment(ctl, job, "due");
		_cleanup_free_ char *until = ctl_moment(ctl, waits, "until");

		if (json_get_int(job, "id", 0) != id)
			continue;
		if (state != NULL && strcmp(state, "scheduled") == 0)
			return xasprintf("job %" PRId64 ": %s, %s", id, ctl_ref(job, NULL).s, due);
		if (kind != NULL && strcmp(kind, "window") == 0 && until != NULL)
			return xasprintf("job %" PRId64 ": %s, window %s", id, ctl_ref(job, NULL).s,
					 until);
		return xasprintf("job %" PRId64 ": %s", id, ctl_ref(job, NULL).s);
	}
	return job_text(stage, member);
}

static void
print_table(const struct ctl *ctl, const json_t *stages, const json_t *jobs)
{
	struct when_text head = ctl_head(ctl, "SINCE");
	const struct table_column columns[] = {{"APPLICATION", 0},  {"STAGE", 0},
					       {"LIVE", 0},	    {head.s, TABLE_TIME},
					       {"BY", 0},	    {"RUNNING", 0},
					       {"NEXT", TABLE_CUT}, {"FAILED LAST", 0}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *stage;

	json_array_foreach (stages, i, stage) {
		const json_t *live = json_object_get(stage, "live");
		_cleanup_free_ char *since = ctl_moment(ctl, live, "since");
		_cleanup_free_ char *running = next_text(ctl, stage, "running", jobs);
		_cleanup_free_ char *next = next_text(ctl, stage, "next", jobs);
		_cleanup_free_ char *failed = job_text(stage, "last_failed");

		table_row(table, json_get_string(stage, "application"),
			  json_get_string(stage, "stage"), ctl_ref(stage, "live").s, since,
			  json_get_string(live, "by"), running, next, failed);
	}
	table_print(table, stdout, ctl->width, ctl->color);
}

/* A line that a human should read; its first word is coloured. */
static void
alarm_line(const struct ctl *ctl, const char *word, const char *text)
{
	const char *color = ctl->color ? table_color(word) : NULL;

	if (color != NULL)
		printf("%s%s\033[0m ", color, word);
	else
		printf("%s ", word);
	table_line(stdout, "%s", text);
}

static void
print_lock(const struct ctl *ctl, const json_t *stage, const char *application, const char *name)
{
	const json_t *lock = json_object_get(stage, "locked");
	struct when_text until = ctl_local(ctl, lock, "until");
	const char *by = json_get_string(lock, "by"), *reason = json_get_string(lock, "reason");
	_cleanup_free_ char *text = NULL, *end = NULL;

	if (!json_is_object(lock))
		return;
	end = until.s[0] == '\0' ? xstrdup("")
				 : xasprintf(" until %s (%s)", until.s,
					     when_distance(ctl_us(lock, "until"), ctl->now_us).s);
	text = xasprintf("%s %s: by %s%s: %s (bmctl unlock %s %s)", application, name,
			 by ? by : "?", end, reason ? reason : "", application, name);
	alarm_line(ctl, "locked", text);
}

/* A stage that a window or freeze closes, and until when. */
static void
print_closed(const struct ctl *ctl, const json_t *stage, const char *application, const char *name)
{
	const json_t *window = json_object_get(stage, "window");
	const char *freeze = json_get_string(window, "freeze");
	struct when_text until = ctl_local(ctl, window, "until");
	_cleanup_free_ char *quoted = freeze != NULL ? xasprintf(" (\"%s\")", freeze) : xstrdup("");

	if (!json_is_object(window) || json_get_bool(window, "open"))
		return;
	table_line(stdout, "%s %s %s%s: opens %s (%s)", freeze != NULL ? "frozen" : "closed",
		   application, name, quoted, until.s[0] == '\0' ? "nobody knows when" : until.s,
		   when_distance(ctl_us(window, "until"), ctl->now_us).s);
}

static bool
is_held(const json_t *job)
{
	const char *state = json_get_string(job, "state");

	return state != NULL && strcmp(state, "held") == 0;
}

/* Is a job of this stage held, which print_held() tells with its reason? */
static bool
held_on(const json_t *jobs, const char *application, const char *stage)
{
	size_t i;
	json_t *job;

	json_array_foreach (jobs, i, job) {
		const char *its = json_get_string(job, "application");
		const char *on = json_get_string(job, "stage");

		if (is_held(job) && its != NULL && strcmp(its, application) == 0 && on != NULL &&
		    strcmp(on, stage) == 0)
			return true;
	}
	return false;
}

static void
print_alarms(const struct ctl *ctl, const json_t *stage, const json_t *jobs)
{
	const char *application = json_get_string(stage, "application");
	const char *name = json_get_string(stage, "stage"),
		   *needs = json_get_string(stage, "needs");
	const json_t *dirty = json_object_get(stage, "dirty");
	int64_t job = json_get_int(dirty, "job", 0),
		occupied = json_get_int(stage, "occupied_by", 0);
	_cleanup_free_ char *text = NULL, *by = NULL, *why = NULL;

	if (application == NULL || name == NULL)
		return;
	print_lock(ctl, stage, application, name);
	print_closed(ctl, stage, application, name);
	if (json_is_object(dirty)) {
		by = job > 0 ? xasprintf("job %" PRId64 " did not succeed", job)
			     : xstrdup("nobody knows what is live");
		text = needs != NULL
			   ? xasprintf("%s %s: %s", application, name, needs)
			   : xasprintf("%s %s: %s: bmctl redeploy %s --to %s --now%s mends it",
				       application, name, by, application, name,
				       text_wants(json_object_get(stage, "wants")));
		alarm_line(ctl, "dirty", text);
	} else if (needs != NULL && !(occupied == 0 && held_on(jobs, application, name))) {
		why = xasprintf("%s %s: %s", application, name, needs);
		alarm_line(ctl, "needs you:", why);
	} else if (occupied > 0) {
		why = xasprintf("%s %s: processes of job %" PRId64 " may still run: look, then "
				"bmctl settle %s %s BUILD --reason TEXT",
				application, name, occupied, application, name);
		alarm_line(ctl, "needs you:", why);
	}
}

/* Jobs that status names: only asked for when there are any. What cannot be had is left out. */
static json_t *
queue_of(struct ctl *ctl, const json_t *status)
{
	_cleanup_json_ json_t *reply = NULL;
	struct err err = ERR_INIT;
	json_t *parameters = json_object();

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if (json_get_int(status, "waiting", 0) + json_get_int(status, "running", 0) == 0) {
		json_decref(parameters);
		return NULL;
	}
	if (ctl_list(ctl, "ListQueue", "jobs", parameters, QUEUE_LINES, &reply, &err) < 0) {
		err_clear(&err);
		return NULL;
	}
	return json_incref(json_object_get(reply, "jobs"));
}

static void
print_held(const struct ctl *ctl, const json_t *jobs)
{
	size_t i;
	json_t *job;

	json_array_foreach (jobs, i, job) {
		_cleanup_free_ char *text = NULL, *line = NULL;

		if (!is_held(job))
			continue;
		text = text_result(job, NULL);
		line = xasprintf("%s %s: %s", json_get_string(job, "application"),
				 json_get_string(job, "stage"), text);
		alarm_line(ctl, "needs you:", line);
	}
}

static void
print_drain(const struct ctl *ctl, const json_t *drain)
{
	const char *by = json_get_string(drain, "by"), *reason = json_get_string(drain, "reason");
	_cleanup_free_ char *since = NULL, *text = NULL;

	if (!json_is_object(drain))
		return;
	since = ctl_at(ctl, drain, "since");
	text = xasprintf("by %s since %s%s%s: nothing starts until bmd is restarted (bmctl drain "
			 "--undo); %" PRId64 " running",
			 by ? by : "?", since, reason ? ": " : "", reason ? reason : "",
			 json_get_int(drain, "left", 0));
	alarm_line(ctl, "drained", text);
}

/* What somebody should have heard of and has not. */
static void
print_notices(const struct ctl *ctl, const json_t *notices)
{
	int64_t failing = json_get_int(notices, "failing", 0);
	int64_t given_up = json_get_int(notices, "given_up", 0);
	_cleanup_free_ char *text = NULL;

	if (failing == 0 && given_up == 0)
		return;
	text = xasprintf("%" PRId64 " cannot be delivered yet, %" PRId64
			 " given up within a day: bmctl notify list",
			 failing, given_up);
	alarm_line(ctl, "notices:", text);
}

/* Here they are what was asked for: files that changed, what is left out. */
static void
print_warnings(const struct ctl *ctl, const json_t *warnings)
{
	size_t i;
	json_t *warning;

	json_array_foreach (warnings, i, warning)
		if (json_is_string(warning))
			alarm_line(ctl, "warning:", json_string_value(warning));
}

/* The last pass over all stored files, in words. free() */
static char *
verified_text(const struct ctl *ctl, const json_t *verification)
{
	const json_t *last = json_object_get(verification, "last");
	int64_t damaged = json_get_int(last, "damaged", 0);

	if (!json_is_object(last))
		return xstrdup("not verified yet");
	return xasprintf("%" PRId64 " verified %s (%s), %" PRId64 " damaged",
			 json_get_int(last, "files", 0), ctl_local(ctl, last, "ended").s,
			 when_distance(ctl_us(last, "ended"), ctl->now_us).s, damaged);
}

static void
print_verification(const struct ctl *ctl, const json_t *verification)
{
	const json_t *running = json_object_get(verification, "running");
	_cleanup_free_ char *last = NULL, *then = NULL;

	if (!json_is_object(verification))
		return;
	last = verified_text(ctl, verification);
	if (json_is_object(running))
		then = xasprintf("; verifying since %s, %" PRId64 " so far",
				 ctl_local(ctl, running, "began").s,
				 json_get_int(running, "files", 0));
	else if (json_get_string(verification, "next") != NULL)
		then = xasprintf("; next %s", ctl_local(ctl, verification, "next").s);
	if (json_get_bool(verification, "damaged"))
		alarm_line(ctl, "damaged",
			   "stored files: bmctl build verify names them and their builds, bmctl "
			   "build repair restores them");
	table_line(stdout, "stored files: %s%s", last, then != NULL ? then : "");
}

/* When something happens on a stage: what runs is first, then by the time of its next job, then all
 * others. */
static int64_t
turn_of(const json_t *stage, const json_t *jobs)
{
	int64_t next = json_get_int(stage, "next", 0);
	size_t i;
	json_t *job;

	if (json_get_int(stage, "running", 0) > 0)
		return INT64_MIN;
	json_array_foreach (jobs, i, job)
		if (next > 0 && json_get_int(job, "id", 0) == next) {
			int64_t until = ctl_us(json_object_get(job, "waits_for"), "until");

			return until > 0 ? until : ctl_us(job, "due");
		}
	return next > 0 ? INT64_MAX - 1 : INT64_MAX;
}

/* Stable: an application's stages stay in their order where nothing happens. New array. */
static json_t *
by_what_is_next(const json_t *stages, const json_t *jobs)
{
	json_t *sorted = json_array(), *stage;
	size_t i, k;

	json_array_foreach (stages, i, stage) {
		int64_t at = turn_of(stage, jobs);

		for (k = json_array_size(sorted); k > 0; k--)
			if (turn_of(json_array_get(sorted, k - 1), jobs) <= at)
				break;
		json_array_insert(sorted, k, stage);
	}
	return sorted;
}

/* ---- limits */

static bool
is_bytes(const char *name)
{
	static const char *const names[] = {"wal", "reserve", "disk", "database", "log"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* A number or a size; free() */
static char *
amount(const json_t *limit, const char *member)
{
	const char *name = json_get_string(limit, "name");
	int64_t n = json_get_int(limit, member, -1);

	if (n < 0)
		return xstrdup("");
	return name && is_bytes(name) ? xstrdup(ctl_size(n).s) : xasprintf("%" PRId64, n);
}

static void
print_limits(const struct ctl *ctl, const json_t *limits)
{
	static const struct table_column columns[] = {{"LIMIT", 0},
						      {"USED", TABLE_RIGHT},
						      {"MOST", TABLE_RIGHT},
						      {"", 0},
						      {"WHAT", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *limit;

	json_array_foreach (limits, i, limit) {
		_cleanup_free_ char *used = amount(limit, "used"), *most = amount(limit, "most");

		table_row(table, json_get_string(limit, "name"), used, most,
			  json_get_bool(limit, "near") ? "near" : "",
			  json_get_string(limit, "text"));
	}
	table_print(table, stdout, ctl->width, ctl->color);
}

/* Only what somebody should look at. */
static void
print_near(const struct ctl *ctl, const json_t *limits)
{
	size_t i;
	json_t *limit;

	json_array_foreach (limits, i, limit) {
		_cleanup_free_ char *used = amount(limit, "used"), *most = amount(limit, "most"),
				    *text = NULL;

		if (!json_get_bool(limit, "near"))
			continue;
		text = xasprintf("%s %s%s%s (%s): bmctl status --limits",
				 json_get_string(limit, "name"), used, *most ? " of " : "", most,
				 json_get_string(limit, "text"));
		alarm_line(ctl, "near a limit:", text);
	}
}

int
verb_status(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *jobs = NULL, *sorted = NULL;
	json_t *parameters = json_object(), *stages, *stage;
	size_t i;
	int r;

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if ((r = ctl_call(ctl, "GetStatus", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	if (ctl_given(ctl, OPTION_LIMITS)) {
		print_limits(ctl, json_object_get(reply, "limits"));
		return CTL_DONE;
	}
	stages = json_object_get(reply, "stages");
	if (json_array_size(stages) == 0)
		table_line(stdout,
			   "nothing is configured yet: write %s/applications.d/NAME.conf (man "
			   "bmd.conf has an "
			   "example), bmctl check, bmctl reload",
			   SYSCONFDIR);
	jobs = queue_of(ctl, reply);
	sorted = by_what_is_next(stages, jobs);
	print_table(ctl, sorted, jobs);
	json_array_foreach (stages, i, stage)
		print_alarms(ctl, stage, jobs);
	print_held(ctl, jobs);
	print_drain(ctl, json_object_get(reply, "drain"));
	print_notices(ctl, json_object_get(reply, "notices"));
	print_verification(ctl, json_object_get(reply, "verification"));
	print_warnings(ctl, json_object_get(reply, "warnings"));
	print_near(ctl, json_object_get(reply, "limits"));
	return CTL_DONE;
}
