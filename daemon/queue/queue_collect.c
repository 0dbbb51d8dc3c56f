/* SPDX-License-Identifier: ISC */
/*
 * Which builds may go. What keeps one is gathered first, from every stage that the database knows
 * (configured or not) and every job that is not final; then the application's builds are walked
 * from the newest to the oldest. A build that nothing keeps loses its rows here; its files lose
 * their last name by that, and go when the store is swept (import/collect.h).
 */
#include <stdarg.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"
#include "daemon/schedule.h"

#define FREED_MAX    1000	  /* a call: it is one turn of the loop */
#define LISTED_BYTES (640 * 1024) /* of the reply's list: it is kept under the request's key */
#define PAGE	     256

// clang-format off
/* Why a build stays, the strongest first; and why it goes. */
#define RULES(X)                                                                                   \
	X(LIVE, "live") X(PREVIOUS_GOOD, "previous-good") X(RUNNING, "running") X(WAITING, "waiting") \
	X(DIRTY, "dirty") X(PINNED, "pinned") X(STACK, "stack") X(NEWEST, "newest") X(UNSET, "unset") X(OLD, "old")
// clang-format on

enum rule {
#define X(symbol, name) RULE_##symbol,
	RULES(X)
#undef X
};
static const char *const rule_names[] = {
#define X(symbol, name) [RULE_##symbol] = name,
    RULES(X)
#undef X
};

struct collect {
	struct queue *queue;
	const struct conf_application *application;
	const struct queue_who *who;
	bool dry_run;
	int64_t now_us;
	struct err *err;
	json_t *keeps;	 /* "1.0.2/3" → {rule, text}: what stages and jobs say */
	int active;	 /* builds seen that are not rejected */
	int64_t last_id; /* of the page */
	int page;
	/* of all applications */
	json_t *builds;
	size_t bytes;
	int64_t kept, freed;
	bool more;
};

/* ---- what keeps ---- */

static void keep(struct collect *collect, const struct build_ref *build, enum rule rule,
		 const char *format, ...) _printf_(4, 5);

static void
keep(struct collect *collect, const struct build_ref *build, enum rule rule, const char *format,
     ...)
{
	const char *name = names_build_text(build).s;
	const json_t *known = json_object_get(collect->keeps, name);
	_cleanup_free_ char *text = NULL;
	va_list args;

	if (build->release[0] == '\0' || (known && json_get_int(known, "rule", 0) <= (int64_t)rule))
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		xalloc_die();
	va_end(args);
	(void)json_object_set_new(collect->keeps, names_build_text(build).s,
				  json_pack("{s:i, s:s}", "rule", (int)rule, "text", text));
}

static void
keep_history(struct collect *collect, const struct history *history, const char *stage)
{
	const struct history_entry *live = history_live(history),
				   *good = history_previous_good(history);

	if (live)
		keep(collect, &live->build, RULE_LIVE, "live on %s", stage);
	if (good)
		keep(collect, &good->build, RULE_PREVIOUS_GOOD,
		     "what a bare redeploy to %s goes back to", stage);
	for (size_t i = 0; i < history->n; i++)
		keep(collect, &history->stack[i].build, RULE_STACK, "in the stack of %s", stage);
	if (history->dirty) {
		keep(collect, &history->unfinished.build, RULE_DIRTY,
		     "its run, job %lld, left %s dirty", (long long)history->unfinished.job, stage);
		keep(collect, &history->unfinished.from, RULE_DIRTY,
		     "job %lld, which left %s dirty, came from it",
		     (long long)history->unfinished.job, stage);
	}
}

/* A dead run whose processes may still be there. */
static int
keep_occupied(struct collect *collect, const char *stage)
{
	struct store_stage at;
	struct job job;
	int r = store_stage_get(collect->queue->store, collect->application->name, stage, &at,
				collect->err);

	if (r < 0)
		return r;
	if (at.occupied_job > 0) {
		r = store_job_get(collect->queue->store, at.occupied_job, &job, collect->err);
		if (r == 0) {
			keep(collect, &job.build, RULE_RUNNING,
			     "processes of job %lld may still be on %s", (long long)job.id, stage);
			job_clear(&job);
		}
	}
	store_stage_clear(&at);
	return r;
}

static int
keep_stage(struct collect *collect, const char *stage)
{
	struct history history = {0};
	int r = store_history_get(collect->queue->store, collect->application->name, stage,
				  &history, collect->err);

	if (r < 0)
		return r;
	keep_history(collect, &history, stage);
	history_clear(&history);
	return keep_occupied(collect, stage);
}

static int
keep_stages(struct collect *collect)
{
	_cleanup_json_ json_t *stages = NULL;
	const json_t *stage;
	size_t i;
	int r =
	    store_stages(collect->queue->store, collect->application->name, &stages, collect->err);

	json_array_foreach (stages, i, stage)
		if (r == 0)
			r = keep_stage(collect, json_string_value(stage));
	return r;
}

struct jobs {
	struct collect *collect;
	int64_t last_due, last_id;
	int n;
};

static int
keep_job(const struct job *job, void *arg)
{
	struct jobs *jobs = arg;
	bool runs = job->state == JOB_STARTING || job->state == JOB_RUNNING;

	jobs->n++;
	jobs->last_due = job->due_us;
	jobs->last_id = job->id;
	keep(jobs->collect, &job->build, runs ? RULE_RUNNING : RULE_WAITING,
	     runs ? "job %lld deploys it to %s" : "job %lld waits to deploy it to %s",
	     (long long)job->id, job->stage);
	return 0;
}

static int
keep_jobs(struct collect *collect)
{
	struct jobs jobs = {.collect = collect, .last_due = INT64_MIN};
	int r;

	do {
		jobs.n = 0;
		r = store_job_each_waiting(collect->queue->store, collect->application->name,
					   jobs.last_due, jobs.last_id, PAGE, keep_job, &jobs,
					   collect->err);
	} while (r == 0 && jobs.n == PAGE);
	return r;
}

/* What a schedule would deploy if it came now; also while it is paused. */
static int
keep_schedule(const struct store_schedule *schedule, void *arg)
{
	struct jobs *jobs = arg;
	struct collect *collect = jobs->collect;
	enum schedule_wants wants;
	int64_t builds, active, succeeded;
	struct build_ref ref;
	int r = schedule_wanted(schedule->wanted, &wants, &ref, NULL);

	jobs->n++;
	jobs->last_id = schedule->id;
	if (r == 0 && wants == SCHEDULE_WANTS_RELEASE) {
		r = store_release_look(collect->queue->store, schedule->application, ref.release,
				       NULL, &builds, &active, &succeeded, collect->err);
		if (r < 0)
			return r;
		ref.number = active;
	}
	if (r == 0 && ref.number > 0)
		keep(collect, &ref, RULE_WAITING, "schedule %lld deploys it to %s",
		     (long long)schedule->id, schedule->stage);
	return 0;
}

static int
keep_schedules(struct collect *collect)
{
	struct jobs jobs = {.collect = collect};
	int r;

	do {
		jobs.n = 0;
		r = store_schedule_each(collect->queue->store, collect->application->name, NULL,
					jobs.last_id, PAGE, keep_schedule, &jobs, collect->err);
	} while (r == 0 && jobs.n == PAGE);
	return r;
}

/* ---- one build ---- */

/* The rule that decides, and its words. free() */
static enum rule
judge(struct collect *collect, const struct store_build *build, char **ret_text)
{
	const json_t *known = json_object_get(collect->keeps, names_build_text(&build->build).s);
	enum rule rule = (enum rule)json_get_int(known, "rule", RULE_OLD);
	int most = collect->application->keep_builds;
	bool newest = collect->active < most;

	if (!build->rejected)
		collect->active++;
	if (build->pinned_by && rule > RULE_PINNED) {
		*ret_text =
		    xasprintf("pinned by %s%s%s", build->pinned_by, build->pin_reason ? ": " : "",
			      build->pin_reason ? build->pin_reason : "");
		return RULE_PINNED;
	}
	if (known) {
		*ret_text = xstrdup(json_get_string(known, "text"));
		return rule;
	}
	if (most == 0) {
		*ret_text = xasprintf("keep-builds is not set for %s", build->application);
		return RULE_UNSET;
	}
	*ret_text = newest ? xasprintf("among the newest %d", most)
			   : xasprintf("older than the newest %d%s", most,
				       build->rejected ? ", and rejected" : "");
	return newest ? RULE_NEWEST : RULE_OLD;
}

static void
list(struct collect *collect, const struct store_build *build, enum rule rule, const char *text)
{
	int64_t bytes = 0;
	json_t *row;

	for (size_t i = 0; i < build->nartifacts; i++)
		bytes += build->artifacts[i].bytes;
	row = json_pack("{s:s, s:s, s:I, s:b, s:s, s:s, s:I}", "application", build->application,
			"release", build->build.release, "build", (json_int_t)build->build.number,
			"freed", rule == RULE_OLD, "rule", rule_names[rule], "text", text, "bytes",
			(json_int_t)bytes);
	collect->bytes += json_dumpb(row, NULL, 0, JSON_COMPACT) + 1;
	if (collect->bytes < LISTED_BYTES)
		(void)json_array_append_new(collect->builds, row);
	else
		json_decref(row);
}

static int
free_build(struct collect *collect, const struct store_build *build, const char *text)
{
	_cleanup_free_ char *words = xasprintf("%s: %s", names_build_text(&build->build).s, text);
	struct store_audit row = {
	    .at_us = collect->now_us,
	    .uid = collect->who->uid,
	    .who = collect->who->name,
	    .what = "collect",
	    .application = build->application,
	    .text = words,
	};
	int r = store_build_collect(collect->queue->store, build, collect->who->name,
				    collect->now_us, collect->err);

	if (r == 0)
		r = store_audit(collect->queue->store, &row, collect->err);
	if (r == 0)
		queue_tell(collect->queue, EVENT_COLLECTED, NULL,
			   "%s %s is collected (%s), asked by %s", build->application,
			   names_build_text(&build->build).s, text, collect->who->name);
	return r;
}

static int
consider(const struct store_build *build, void *arg)
{
	struct collect *collect = arg;
	_cleanup_free_ char *text = NULL;
	enum rule rule;

	collect->page++;
	collect->last_id = build->id;
	rule = judge(collect, build, &text);
	if (rule == RULE_OLD && !collect->dry_run && collect->freed == FREED_MAX) {
		collect->more = true;
		return 1;
	}
	list(collect, build, rule, text);
	if (rule != RULE_OLD) {
		collect->kept++;
		return 0;
	}
	collect->freed++;
	return collect->dry_run ? 0 : free_build(collect, build, text);
}

/* ---- the whole ---- */

static int
collect_application(struct collect *collect, const struct conf_application *application)
{
	_cleanup_json_ json_t *keeps = json_object();
	int r;

	collect->application = application;
	collect->keeps = keeps;
	collect->active = 0;
	collect->last_id = 0;
	r = keep_stages(collect);
	if (r == 0)
		r = keep_jobs(collect);
	if (r == 0)
		r = keep_schedules(collect);
	do {
		collect->page = 0;
		if (r == 0)
			r = store_build_each(collect->queue->store, application->name, NULL,
					     collect->last_id, PAGE, consider, collect,
					     collect->err);
	} while (r == 0 && collect->page == PAGE && !collect->more);
	return r;
}

int
queue_collect(struct queue *queue, const char *application, bool dry_run,
	      const struct queue_who *who, int64_t now_us, json_t **ret_reply, struct err *err)
{
	const struct conf_application *only = NULL;
	_cleanup_json_ json_t *builds = json_array();
	struct collect collect = {
	    .queue = queue,
	    .who = who,
	    .dry_run = dry_run,
	    .now_us = now_us,
	    .err = err,
	    .builds = builds,
	};
	int r = application ? queue_find_application(queue, application, &only, err) : 0;

	if (r == 0 && only)
		r = collect_application(&collect, only);
	for (size_t i = 0; r == 0 && !only && i < queue->conf->napplications; i++)
		r = collect_application(&collect, &queue->conf->applications[i]);
	if (r < 0)
		return r;
	*ret_reply =
	    json_pack("{s:O, s:I, s:I, s:b}", "builds", builds, "kept", (json_int_t)collect.kept,
		      "freed", (json_int_t)collect.freed, "more", collect.more);
	return 0;
}
