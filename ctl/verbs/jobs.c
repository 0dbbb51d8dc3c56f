/* SPDX-License-Identifier: ISC */
/*
 * queue, show, history, log, wait, cancel, reschedule, release: jobs.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/follow.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/verbs/verbs.h"

#define HISTORY_LINES 30 /* without -n and --since */
#define HISTORY_MOST  100000

static json_t *
for_application(const struct ctl *ctl)
{
	json_t *parameters = json_object();

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	return parameters;
}

/* JOB, the verb's first word, as {"job": N}. */
static int
for_job(struct ctl *ctl, json_t **ret_parameters, int64_t *ret_job, struct err *err)
{
	int r = ctl_job(ctl, ctl_word(ctl, 0), ret_job, err);

	if (r >= 0)
		*ret_parameters = json_pack("{s:I}", "job", (json_int_t)*ret_job);
	return r;
}

static const char *
what(const json_t *job)
{
	const char *mode = json_get_string(job, "mode");

	return mode != NULL ? mode : json_get_bool(job, "redeploy") ? "redeploy" : "deploy";
}

/* The build; of one that is chosen when it starts, by what: "live (now 1.0.2/3)". free() */
static char *
build_of(const json_t *job)
{
	const char *wanted = json_get_string(job, "wanted");
	bool chosen =
	    json_get_string(job, "started") != NULL || json_get_string(job, "finished") != NULL;

	if (wanted == NULL || chosen)
		return xstrdup(ctl_ref(job, NULL).s);
	if (json_get_int(job, "build", 0) == 0)
		return xasprintf("%s (now none)", wanted);
	return xasprintf("%s (now %s)", wanted, ctl_ref(job, NULL).s);
}

static void
print_queue(const struct ctl *ctl, const json_t *jobs)
{
	struct when_text head = ctl_head(ctl, "DUE");
	const struct table_column columns[] = {{"JOB", TABLE_RIGHT},
					       {"STATE", TABLE_STATE},
					       {"WHAT", 0},
					       {"APPLICATION", 0},
					       {"BUILD", 0},
					       {"STAGE", 0},
					       {head.s, TABLE_TIME},
					       {"BY", 0},
					       {"WAITS FOR", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *job;

	json_array_foreach (jobs, i, job) {
		_cleanup_free_ char *id = xasprintf("%" PRId64, json_get_int(job, "id", 0));
		_cleanup_free_ char *due = ctl_moment(ctl, job, "due");
		_cleanup_free_ char *why = text_why(job), *build = build_of(job);

		table_row(table, id, json_get_string(job, "state"), what(job),
			  json_get_string(job, "application"), build, json_get_string(job, "stage"),
			  due, json_get_string(job, "requested_by"), why);
	}
	table_print(table, stdout, ctl->width, ctl->color);
	if (i == 0)
		table_line(stdout, "no job waits or runs");
}

/* When something happens to JOB by itself: what runs is first, then what is in line, then by time;
 * what waits for a human is last. */
static int64_t
turn_of(const json_t *job)
{
	const json_t *waits = json_object_get(job, "waits_for");
	const char *state = json_get_string(job, "state");
	int64_t until = ctl_us(waits, "until");

	if (state != NULL && strcmp(state, "running") == 0)
		return INT64_MIN;
	if (state != NULL && strcmp(state, "held") == 0)
		return INT64_MAX;
	if (until > 0)
		return until;
	return state != NULL && strcmp(state, "scheduled") == 0 ? ctl_us(job, "due")
								: INT64_MIN + 1;
}

struct turn {
	json_t *job;
	int64_t at;
	size_t place; /* as it came, by due time and number */
};

static int
by_turn(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* New array. */
static json_t *
by_what_is_next(const json_t *jobs)
{
	size_t n = json_array_size(jobs);
	_cleanup_free_ struct turn *turns = xcalloc(n + 1, sizeof(*turns));
	json_t *sorted = json_array();

	for (size_t i = 0; i < n; i++) {
		turns[i].job = json_array_get(jobs, i);
		turns[i].at = turn_of(turns[i].job);
		turns[i].place = i;
	}
	qsort(turns, n, sizeof(*turns), by_turn);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, turns[i].job);
	return sorted;
}

int
verb_queue(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *sorted = NULL;
	int r = ctl_list(ctl, "ListQueue", "jobs", for_application(ctl), 0, &reply, err);

	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_queue(ctl, sorted = by_what_is_next(json_object_get(reply, "jobs")));
	return CTL_DONE;
}

/* "the windows, the freeze "year end""; NULL: nothing. free() it. */
static char *
override_text(const json_t *overrides)
{
	char *text = json_get_bool(overrides, "windows") ? xstrdup("the windows") : NULL;
	size_t i;
	json_t *name;

	json_array_foreach (json_object_get(overrides, "freezes"), i, name) {
		char *longer = xasprintf("%s%sthe freeze \"%s\"", text ? text : "",
					 text ? ", " : "", json_string_value(name));

		free(text);
		text = longer;
	}
	return text;
}

/* Why, and what was overridden for it. */
static char *
history_reason(const json_t *job)
{
	_cleanup_free_ char *override = override_text(json_object_get(job, "overrides"));
	const char *reason = json_get_string(job, "reason");

	if (override == NULL)
		return xstrdup(reason);
	return xasprintf("%s (overrides %s)", reason ? reason : "", override);
}

static void
print_history(const struct ctl *ctl, const json_t *jobs)
{
	struct when_text head = ctl_head(ctl, "WHEN");
	const struct table_column columns[] = {
	    {"JOB", TABLE_RIGHT},  {"STATE", TABLE_STATE}, {"WHAT", 0},
	    {"APPLICATION", 0},	   {"BUILD", 0},	   {"STAGE", 0},
	    {head.s, TABLE_TIME},  {"TOOK", TABLE_RIGHT},  {"BY", 0},
	    {"REASON", TABLE_CUT}, {"END", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *job;

	json_array_foreach (jobs, i, job) {
		bool started = json_get_string(job, "started") != NULL;
		bool finished = json_get_string(job, "finished") != NULL;
		_cleanup_free_ char *id = xasprintf("%" PRId64, json_get_int(job, "id", 0));
		_cleanup_free_ char *when = ctl_moment(ctl, job,
						       started	  ? "started"
						       : finished ? "finished"
								  : "due");
		_cleanup_free_ char *why = text_why(job);
		_cleanup_free_ char *reason = history_reason(job);

		table_row(table, id, json_get_string(job, "state"), what(job),
			  json_get_string(job, "application"), ctl_ref(job, NULL).s,
			  json_get_string(job, "stage"), when, text_duration(job).s,
			  json_get_string(job, "requested_by"), reason, why);
	}
	table_print(table, stdout, ctl->width, ctl->color);
	if (i == 0)
		table_line(stdout, "%s",
			   ctl_word(ctl, 0) != NULL || ctl_given(ctl, OPTION_STAGE) ||
				   ctl_given(ctl, OPTION_SINCE)
			       ? "nothing of that kind has happened"
			       : "nothing has happened yet");
}

int
verb_history(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = for_application(ctl);
	const char *stage = ctl_value(ctl, OPTION_STAGE), *since = ctl_value(ctl, OPTION_SINCE);
	int64_t limit = since == NULL ? HISTORY_LINES : 0;
	struct when when;
	int r;

	if (stage != NULL)
		json_object_set_new(parameters, "stage", ctl_text(stage));
	if (ctl_given(ctl, OPTION_LIMIT) &&
	    (r = ctl_number(ctl, OPTION_LIMIT, HISTORY_MOST, &limit, err)) < 0)
		return r;
	if (since != NULL) {
		if ((r = ctl_time_past(ctl, since, &when, err)) < 0)
			return r;
		json_object_set_new(parameters, "since", json_time(when.at_us));
	}
	r = ctl_list(ctl, "ListHistory", "jobs", json_incref(parameters), limit, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_history(ctl, json_object_get(reply, "jobs"));
	/* Whoever asks for the last few is not told of what was long ago. */
	if (!ctl->json && json_is_null(json_object_get(reply, "next")) &&
	    json_is_integer(json_object_get(reply, "pruned")))
		table_line(stdout, "older jobs are not kept any more: keep-jobs in bmd.conf(5)");
	return CTL_DONE;
}

/* "name:       value", nothing for a value that is not there */
static void
field(const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		table_line(stdout, "%-14s %s", name, value);
}

static void
time_field(const struct ctl *ctl, const char *name, const json_t *object, const char *member)
{
	struct when_text at = ctl_local(ctl, object, member);

	if (at.s[0] != '\0')
		table_line(stdout, "%-14s %s (%s)", name, at.s,
			   when_distance(ctl_us(object, member), ctl->now_us).s);
}

static char *
step_end(const json_t *step)
{
	const char *message = json_get_string(step, "message");
	int64_t code = json_get_int(step, "exit_code", -1),
		signal = json_get_int(step, "signal", -1);

	if (message != NULL)
		return xstrdup(message);
	if (signal > 0)
		return xasprintf("killed by signal %" PRId64, signal);
	return code > 0 ? xasprintf("exited with %" PRId64, code) : NULL;
}

static void
print_steps(const struct ctl *ctl, const json_t *steps)
{
	static const struct table_column columns[] = {{"STEP", 0},	    {"STATE", TABLE_STATE},
						      {"TRY", TABLE_RIGHT}, {"TOOK", TABLE_RIGHT},
						      {"IRREVERSIBLE", 0},  {"END", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *step;

	json_array_foreach (steps, i, step) {
		int64_t attempt = json_get_int(step, "attempt", 0);
		_cleanup_free_ char *tries = attempt > 0 ? xasprintf("%" PRId64, attempt) : NULL;
		_cleanup_free_ char *end = step_end(step);

		table_row(table, json_get_string(step, "name"), json_get_string(step, "state"),
			  tries, text_duration(step).s,
			  json_get_bool(step, "irreversible") ? "yes" : NULL, end);
	}
	if (i > 0)
		fputc('\n', stdout);
	table_print(table, stdout, ctl->width, ctl->color);
}

static void
print_variables(const json_t *variables)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)variables, name, value)
		table_line(stdout, "%-14s %s=%s", "variable", name, json_string_value(value));
}

/* What a job of a schedule says of its build. */
static const char *
wanted_text(const json_t *job)
{
	const char *wanted = json_get_string(job, "wanted");

	if (wanted == NULL)
		return NULL;
	return strcmp(wanted, "live") == 0
		   ? "what is live when it starts"
		   : "the newest of the release that is not rejected, when it starts";
}

static void
print_override(const json_t *overrides)
{
	_cleanup_free_ char *text = override_text(overrides);

	field("overrides", text);
}

static void
print_job(const struct ctl *ctl, const json_t *job)
{
	_cleanup_free_ char *why = text_why(job), *build = build_of(job);
	int64_t id = json_get_int(job, "id", 0), late_us = json_get_int(job, "lateness_us", 0);

	table_line(stdout, "job %" PRId64 ": %s %s %s to %s: %s", id, what(job),
		   json_get_string(job, "application"), build, json_get_string(job, "stage"),
		   json_get_string(job, "state"));
	field(json_is_object(json_object_get(job, "waits_for")) ? "waits for" : "end", why);
	field("build", wanted_text(job));
	field("plan", json_get_string(job, "plan"));
	field("from", ctl_ref(job, "from").s);
	field("asked by", json_get_string(job, "requested_by"));
	field("approved by", json_get_string(json_object_get(job, "approved"), "by"));
	field("reason", json_get_string(job, "reason"));
	time_field(ctl, "asked", job, "created");
	time_field(ctl, "due", job, "due");
	field("typed as", json_get_string(job, "due_text"));
	time_field(ctl, "started", job, "started");
	if (late_us >= WHEN_SECOND)
		field("late by", when_span(late_us).s);
	time_field(ctl, "finished", job, "finished");
	field("took", text_duration(job).s);
	field("ended by", json_get_string(job, "ended_by"));
	field("damaged", json_get_string(job, "damaged"));
	print_override(json_object_get(job, "overrides"));
	print_variables(json_object_get(job, "variables"));
	print_steps(ctl, json_object_get(job, "steps"));
	if (json_get_string(job, "started") != NULL)
		table_line(stdout, "log: bmctl log %" PRId64, id);
}

int
verb_show(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters;
	int64_t job;
	int r;

	if ((r = for_job(ctl, &parameters, &job, err)) < 0 ||
	    (r = ctl_call(ctl, "GetJob", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_job(ctl, json_object_get(reply, "job"));
	return CTL_DONE;
}

/* An empty answer should not look like a broken one. */
static void
say_no_output(const json_t *job)
{
	const char *state = json_get_string(job, "state");

	if (state != NULL)
		table_line(stderr, "job %" PRId64 " is %s and has no output%s",
			   json_get_int(job, "id", 0), state,
			   json_get_string(job, "finished") == NULL ? " yet" : "");
}

/* All that there is now, page by page. */
static int
print_log(struct ctl *ctl, int64_t job, struct err *err)
{
	int64_t after = 0;
	bool any = false;
	_cleanup_json_ json_t *whole = NULL;

	for (;;) {
		_cleanup_json_ json_t *reply = NULL;
		int64_t next;
		int r = ctl_call(ctl, "Log",
				 json_pack("{s:I, s:I}", "job", (json_int_t)job, "after",
					   (json_int_t)after),
				 &reply, err);

		if (r < 0)
			return r;
		next = json_get_int(reply, "next", after);
		any = any || json_array_size(json_object_get(reply, "lines")) > 0;
		if (!any)
			say_no_output(json_object_get(reply, "job"));
		if (!ctl->json)
			follow_print(ctl, json_object_get(reply, "lines"));
		else if (whole == NULL)
			whole = json_incref(reply);
		else
			json_array_extend(json_object_get(whole, "lines"),
					  json_object_get(reply, "lines"));
		if (json_array_size(json_object_get(reply, "lines")) == 0 || next <= after)
			break;
		after = next;
	}
	if (whole != NULL) {
		json_object_set_new(whole, "next", json_integer(after));
		ctl_json(ctl, whole);
	}
	return CTL_DONE;
}

int
verb_log(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *ended = NULL;
	int64_t job, deadline;
	int r;

	if ((r = ctl_job(ctl, ctl_word(ctl, 0), &job, err)) < 0 ||
	    (r = follow_deadline(ctl, &deadline, err)) < 0)
		return r;
	if (!ctl_given(ctl, OPTION_FOLLOW))
		return print_log(ctl, job, err);
	r = follow_job(ctl, job, true, false, deadline, &ended, err);
	r = follow_told(ctl, job, r, ended, stderr);
	/* The log was shown: how the job ended is not this verb's success. */
	return ended != NULL && r >= 0 ? CTL_DONE : r;
}

struct waited {
	struct ctl *ctl;
	const int64_t *jobs;
	int *codes; /* -1: not yet */
	size_t n;
};

static void
job_done(int64_t id, const json_t *job, const struct err *why, void *arg)
{
	struct waited *waited = arg;
	int code = job != NULL ? text_exit(job) : err_exit(why->code);

	for (size_t i = 0; i < waited->n; i++)
		if (waited->jobs[i] == id)
			waited->codes[i] = code;
	if (job == NULL) {
		ctl_error(waited->ctl, why);
	} else if (waited->ctl->json) {
		_cleanup_json_ json_t *object = json_pack("{s:O}", "job", job);

		ctl_json(waited->ctl, object);
	} else {
		follow_result(waited->ctl, job, stdout);
	}
}

/* With --json whoever gives up still gets the job, as it is now. */
static void
print_job_now(struct ctl *ctl, int64_t id)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (ctl->json &&
	    ctl_call(ctl, "GetJob", json_pack("{s:I}", "job", (json_int_t)id), &reply, &err) >= 0)
		ctl_json(ctl, reply);
}

/* What is told of the jobs that are not waited for any longer, and their code. */
static int
give_up(const struct waited *waited, int r)
{
	table_flush();
	for (size_t i = 0; i < waited->n; i++) {
		if (waited->codes[i] >= 0)
			continue;
		waited->codes[i] = r == -EINTR ? CTL_DETACHED : CTL_TIMEOUT;
		if (r == -ETIMEDOUT)
			print_job_now(waited->ctl, waited->jobs[i]);
		table_line(stderr,
			   "%s: job %" PRId64 " goes on: bmctl wait %" PRId64
			   ", bmctl cancel %" PRId64,
			   r == -EINTR ? "detached" : "bmctl: --timeout passed", waited->jobs[i],
			   waited->jobs[i], waited->jobs[i]);
	}
	return r == -EINTR ? CTL_DETACHED : CTL_DONE;
}

int
verb_wait(struct ctl *ctl, struct err *err)
{
	struct waited waited = {.ctl = ctl, .n = ctl->options.nwords - ctl->first};
	_cleanup_free_ int64_t *jobs = xcalloc(waited.n, sizeof(*jobs));
	_cleanup_free_ int *codes = xcalloc(waited.n, sizeof(*codes));
	int64_t deadline;
	int r;

	for (size_t i = 0; i < waited.n; i++) {
		if ((r = ctl_job(ctl, ctl_word(ctl, i), &jobs[i], err)) < 0)
			return r;
		codes[i] = -1;
	}
	waited.jobs = jobs;
	waited.codes = codes;
	if ((r = follow_deadline(ctl, &deadline, err)) < 0)
		return r;
	r = follow_jobs(ctl, jobs, waited.n, deadline, job_done, &waited, err);
	if (r == -EINTR || r == -ETIMEDOUT) {
		if ((r = give_up(&waited, r)) != CTL_DONE)
			return r;
	} else if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < waited.n; i++)
		if (codes[i] > 0)
			return codes[i];
	return CTL_DONE;
}

/* Cancel, Reschedule and Release answer with the job. */
static int
change_job(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret_reply,
	   struct err *err)
{
	int r = ctl_change(ctl, method, parameters, ret_reply, err);

	if (r >= 0 && ctl->json)
		ctl_json(ctl, *ret_reply);
	return r;
}

int
verb_cancel(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters;
	const json_t *ended;
	const char *state;
	int64_t job;
	int r;

	if ((r = for_job(ctl, &parameters, &job, err)) < 0 ||
	    (r = change_job(ctl, "Cancel", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json)
		return CTL_DONE;
	ended = json_object_get(reply, "job");
	state = json_get_string(ended, "state");
	if (state != NULL && text_exit(ended) < 0) /* it runs, or is on its way to */
		table_line(stdout,
			   "job %" PRId64 " is being cancelled: bmctl wait %" PRId64
			   " (a second bmctl cancel %" PRId64 " kills it at once)",
			   job, job, job);
	else
		table_line(stdout, "job %" PRId64 " is %s", job, state ? state : "cancelled");
	return CTL_DONE;
}

/* When JOB is due now, to be typed back; NULL if it is not one that waits for its time. */
static char *
due_before(struct ctl *ctl, int64_t id)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	const char *state, *zone;
	const json_t *job;

	if (ctl_call(ctl, "GetJob", json_pack("{s:I}", "job", (json_int_t)id), &reply, &err) < 0)
		return NULL; /* the change itself will say why */
	job = json_object_get(reply, "job");
	state = json_get_string(job, "state");
	zone = json_get_string(job, "zone");
	if (state == NULL || strcmp(state, "scheduled") != 0)
		return NULL;
	return xstrdup(when_local(ctl_us(job, "due"), zone != NULL ? zone : ctl->zone).s);
}

int
verb_reschedule(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = NULL;
	_cleanup_free_ char *before = NULL;
	const json_t *job;
	int64_t id;
	int r;

	if ((r = for_job(ctl, &parameters, &id, err)) < 0 ||
	    (r = ctl_when(ctl, true, parameters, err)) < 0 ||
	    (r = ctl_override(ctl, parameters, err)) < 0)
		return r;
	before = ctl->json ? NULL : due_before(ctl, id);
	if ((r = change_job(ctl, "Reschedule", json_incref(parameters), &reply, err)) < 0)
		return r;
	if (ctl->json)
		return CTL_DONE;
	job = json_object_get(reply, "job");
	table_line(stdout, "job %" PRId64 ": %s %s %s to %s, at %s (%s)", id,
		   json_get_bool(job, "redeploy") ? "redeploy" : "deploy",
		   json_get_string(job, "application"), ctl_ref(job, NULL).s,
		   json_get_string(job, "stage"), ctl_local(ctl, job, "due").s,
		   when_distance(ctl_us(job, "due"), ctl->now_us).s);
	if (before != NULL)
		table_line(stdout, "undo: bmctl reschedule %" PRId64 " --at \"%s\"", id, before);
	else
		table_line(stdout, "undo: bmctl cancel %" PRId64, id);
	return CTL_DONE;
}

int
verb_release(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters;
	const json_t *job;
	const char *state;
	_cleanup_free_ char *at = NULL;
	struct build_text live;
	int64_t id;
	int r;

	if ((r = for_job(ctl, &parameters, &id, err)) < 0 ||
	    (r = change_job(ctl, "Release", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json)
		return CTL_DONE;
	job = json_object_get(reply, "job");
	live = ctl_ref(reply, "replacing");
	state = json_get_string(job, "state");
	at = state != NULL && strcmp(state, "scheduled") == 0 ? ctl_at(ctl, job, "due")
							      : xstrdup("");
	table_line(stdout, "job %" PRId64 " is %s: %s %s to %s%s%s%s%s", id,
		   state != NULL ? state : "released", json_get_string(job, "application"),
		   ctl_ref(job, NULL).s, json_get_string(job, "stage"),
		   live.s[0] == '\0' ? "" : ", replacing ", live.s, at[0] ? ", at " : "", at);
	return CTL_DONE;
}
