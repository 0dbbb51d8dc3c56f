/* SPDX-License-Identifier: ISC */
/*
 * What a request becomes: names are resolved, the build is chosen, the rules are
 * asked, and then there is a job in the queue, or, for a dry run, a description of it.
 */
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define GRACE_MIN_US WHEN_SECOND /* no timer is exact: a grace of nothing would miss every time */
#define GRACE_MAX_US (INT64_C(3660) * 86400 * WHEN_SECOND)

/* A request as it is understood, piece by piece. */
struct asked {
	struct queue *queue;
	const struct queue_request *request;
	const struct queue_who *who;
	int64_t now_us;
	const struct conf_application *application;
	const struct conf_stage *stage;
	const struct conf_plan *plan;
	struct history history;
	struct store_stage at;
	struct store_build build;
	struct job job;
};

static void
asked_clear(struct asked *asked)
{
	history_clear(&asked->history);
	store_stage_clear(&asked->at);
	store_build_clear(&asked->build);
	job_clear(&asked->job);
}
#define _cleanup_asked_ _cleanup_(asked_clear)

void
queue_answer_clear(struct queue_answer *answer)
{
	job_clear(&answer->job);
	json_decref(answer->not_undone);
	json_decref(answer->ahead);
	json_decref(answer->warnings);
	json_decref(answer->preview);
	json_decref(answer->window);
	memset(answer, 0, sizeof(*answer));
}

/* ---- which build ---- */

/* A release without a number: its newest build that nobody rejected, or for a redeploy the newest
 * that succeeded on the stage. */
static int
newest_build(struct asked *asked, struct build_ref *ref, struct err *err)
{
	struct queue *queue = asked->queue;
	int64_t builds, active, succeeded;
	int r = store_release_look(queue->store, asked->application->name, ref->release,
				   asked->stage->name, &builds, &active, &succeeded, err);

	if (r < 0)
		return r;
	if (builds == 0)
		return queue_find_build(queue, asked->application->name, ref->release, 0,
					&asked->build, err);
	ref->number = asked->request->redeploy ? succeeded : active;
	if (ref->number > 0)
		return 0;
	if (asked->request->redeploy) {
		r = err_set(err, ERR_REFUSED,
			    "%s %s has never succeeded on %s: use bmctl deploy %s %s --to %s",
			    asked->application->name, ref->release, asked->stage->name,
			    asked->application->name, ref->release, asked->stage->name);
		err_rule(err, ERR_RULE_NEVER_SUCCEEDED);
	} else {
		r = err_set(err, ERR_REFUSED,
			    "%s %s has only rejected builds: add a new one, or bmctl build restore",
			    asked->application->name, ref->release);
		err_rule(err, ERR_RULE_REJECTED);
	}
	return r;
}

static int
find_build(struct asked *asked, struct err *err)
{
	const struct queue_request *request = asked->request;
	struct build_ref ref = {.number = request->build};
	int r = 0;

	if (!request->release) {
		r = history_default(&asked->history, &ref, err);
	} else {
		(void)snprintf(ref.release, sizeof(ref.release), "%s", request->release);
		if (ref.number == 0)
			r = newest_build(asked, &ref, err);
	}
	if (r < 0)
		return r;
	return queue_find_build(asked->queue, asked->application->name, ref.release, ref.number,
				&asked->build, err);
}

static int
resolve(struct asked *asked, struct err *err)
{
	const struct queue_request *request = asked->request;
	struct queue *queue = asked->queue;
	int r;

	if (request->reason && !names_text(request->reason, NAMES_TEXT_MAX, true))
		return queue_bad_parameter(err, "reason",
					   err_set(err, ERR_INVALID_PARAMETER,
						   "the reason is longer than %d bytes or no text",
						   NAMES_TEXT_MAX));
	r = queue_find_stage(queue, request->application, request->stage, &asked->application,
			     &asked->stage, err);
	if (r < 0)
		return r;
	asked->plan = conf_plan(queue->conf, asked->stage->plan);
	(void)snprintf(asked->job.application, sizeof(asked->job.application), "%s",
		       asked->application->name);
	(void)snprintf(asked->job.stage, sizeof(asked->job.stage), "%s", asked->stage->name);
	r = queue_history_get(queue, asked->application->name, asked->stage->name, &asked->history,
			      err);
	if (r == 0)
		r = store_stage_get(queue->store, asked->application->name, asked->stage->name,
				    &asked->at, err);
	if (r == 0)
		r = find_build(asked, err);
	if (r == 0)
		asked->job.build = asked->build.build;
	if (r == 0 && request->reason && request->reason[0])
		asked->job.reason = xstrdup(request->reason);
	if (r == 0 && request->override)
		r = queue_override(queue, &asked->job, request->override, request->reason,
				   asked->who, asked->now_us, err);
	if (r == 0 && request->has_when)
		r = queue_set_when(&asked->job, &request->when, asked->now_us, err);
	else
		asked->job.due_us = asked->now_us;
	return r;
}

/* ---- the rules ---- */

static int
check_horizon(struct asked *asked, struct err *err)
{
	return queue_check_horizon(asked->queue, asked->job.due_us, asked->job.zone, asked->now_us,
				   err);
}

static int
check_rejected(struct asked *asked, struct err *err)
{
	return queue_check_rejected(&asked->build, err);
}

static int
check_signature(struct asked *asked, struct err *err)
{
	return queue_check_signature(&asked->build, asked->stage, err);
}

static int
check_succeeded(struct asked *asked, struct err *err)
{
	const char *application = asked->application->name, *stage = asked->stage->name;
	struct build_text build;
	int r;

	if (!asked->request->redeploy)
		return 0;
	r = store_succeeded(asked->queue->store, application, stage, &asked->build.build, err);
	if (r != 0)
		return r < 0 ? r : 0;
	build = names_build_text(&asked->build.build);
	r = err_set(err, ERR_REFUSED,
		    "%s %s has never succeeded on %s: use bmctl deploy %s %s --to %s", application,
		    build.s, stage, application, build.s, stage);
	err_rule(err, ERR_RULE_NEVER_SUCCEEDED);
	return r;
}

static int
check_plan(struct asked *asked, struct err *err)
{
	return queue_check_plan(asked->queue, &asked->build, asked->stage, asked->plan, err);
}

static int
check_whole(struct asked *asked, struct err *err)
{
	return queue_check_whole(asked->queue, &asked->build, asked->request->when.now,
				 asked->now_us, err);
}

static int
check_variables(struct asked *asked, struct err *err)
{
	int r = queue_check_build_variables(asked->queue, asked->application, asked->stage,
					    &asked->build, err);

	if (r < 0)
		return r;
	return queue_check_variables(asked->queue, asked->application, asked->stage,
				     asked->request->variables, err);
}

static int
check_lock(struct asked *asked, struct err *err)
{
	return queue_check_lock(&asked->at, asked->job.due_us, asked->now_us, err);
}

int
queue_refuse_unsaid(const char *application, const char *stage, bool reason, bool confirmed,
		    const char *why, const char *command, struct err *err)
{
	_cleanup_free_ char *asks =
	    xasprintf("%s of %s asks for %s%s%s", stage, application, reason ? "a reason" : "",
		      reason && confirmed ? " and " : "", confirmed ? "a confirmation" : "");
	_cleanup_free_ char *repeat =
	    xasprintf("%s%s%s", command, reason ? " --reason TEXT" : "", confirmed ? " --yes" : "");
	int r = err_set(err, reason ? ERR_REASON_REQUIRED : ERR_CONFIRMATION_REQUIRED, "%s: %s",
			why ? why : asks, repeat);

	err_field(err, "application", json_string(application));
	err_field(err, "stage", json_string(stage));
	err_field(err, "wants", json_pack("{s:b, s:b}", "reason", reason, "confirmed", confirmed));
	err_field(err, "repeat", json_string(repeat));
	return r;
}

/* The request as a command, as far as it was said. */
static char *
command(const struct asked *asked)
{
	const struct queue_request *request = asked->request;
	struct when_text due = when_utc(asked->job.due_us);
	_cleanup_free_ char *when =
	    request->when.now
		? xstrdup("--now")
		: xasprintf("--at '%s'", request->when.text ? request->when.text : due.s);

	return xasprintf("bmctl %s %s %s --to %s %s%s%s", request->redeploy ? "redeploy" : "deploy",
			 asked->application->name, names_build_text(&asked->build.build).s,
			 asked->stage->name, when,
			 request->reason && request->reason[0] ? " --reason …" : "",
			 request->confirmed ? " --yes" : "");
}

/* A reason and a confirmation, where the stage asks for them; a way back that windows do not hold
 * wants a reason while they are closed. All that lacks is said at once. */
static int
check_said(struct asked *asked, struct err *err)
{
	bool said = asked->request->reason && asked->request->reason[0];
	bool reason = asked->stage->require_reason && !said;
	bool confirmed = asked->stage->confirm && !asked->request->confirmed;
	_cleanup_free_ char *why = NULL, *again = NULL;
	struct queue_window window;

	if (asked->request->dry_run)
		return 0;
	window = queue_window(asked->queue, &asked->job, &asked->history, asked->job.due_us);
	if (!reason && window.needs_reason) {
		_cleanup_free_ char *text = queue_window_text(&window, &asked->job, asked->now_us);

		why = xasprintf("%s; going back passes with a reason", text);
		reason = true;
	}
	if (!reason && !confirmed)
		return 0;
	again = command(asked);
	return queue_refuse_unsaid(asked->application->name, asked->stage->name, reason, confirmed,
				   why, again, err);
}

static int (*const checks[])(struct asked *asked, struct err *err) = {
    check_horizon, check_rejected,  check_signature, check_succeeded, check_plan,
    check_whole,   check_variables, check_lock,	     check_said,
};

/* The first rule that says no; or, with PROBLEMS, the sentences of all that do. */
static int
check(struct asked *asked, json_t *problems, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		_cleanup_err_ struct err said = ERR_INIT;
		int r = checks[i](asked, problems ? &said : err);

		if (r == STORE_BROKEN && problems)
			(void)err_set(err, said.code, "%s", said.text);
		if (r < 0 && (!problems || r == STORE_BROKEN))
			return r;
		if (r < 0)
			(void)json_array_append_new(problems, json_string(said.text));
	}
	return 0;
}

/* ---- the answer ---- */

static json_t *
warnings(const struct asked *asked)
{
	const struct history_entry *live = history_live(&asked->history);
	json_t *array = json_array();

	if (live && !asked->history.dirty && !asked->history.busy &&
	    names_build_equal(&live->build, &asked->build.build))
		(void)json_array_append_new(array, json_sprintf("%s is live on %s already",
								names_build_text(&live->build).s,
								asked->stage->name));
	if (queue_drained(asked->queue)) {
		_cleanup_free_ char *text = queue_drain_text(asked->queue, asked->now_us);

		(void)json_array_append_new(array, json_string(text));
	}
	if (asked->request->dry_run && !asked->who->approves &&
	    queue_needs_approval(asked->queue, &asked->job)) {
		_cleanup_free_ char *who = conf_role_text(conf_role(
		    asked->queue->conf, asked->application, asked->stage, CONF_APPROVERS));

		(void)json_array_append_new(
		    array,
		    json_sprintf("%s never succeeded on %s: it will be held until one of %s "
				 "lets it go",
				 names_build_text(&asked->build.build).s, asked->stage->name, who));
	}
	if (queue_waits_for_clock(asked->queue, &asked->job)) {
		_cleanup_free_ char *text = queue_doubt_text(asked->queue, asked->now_us);

		(void)json_array_append_new(array, json_string(text));
	}
	return array;
}

static void
fill_job(struct asked *asked, const json_t *window)
{
	const struct queue_request *request = asked->request;
	struct job *job = &asked->job;

	job->redeploy = request->redeploy;
	job->exit_code = -1;
	(void)snprintf(job->plan, sizeof(job->plan), "%s", asked->stage->plan);
	(void)snprintf(job->requested_by, sizeof(job->requested_by), "%s", asked->who->name);
	job->uid = asked->who->uid;
	job->grace_us = request->grace_us >= 0 ? request->grace_us : asked->queue->conf->grace_us;
	if (job->grace_us < GRACE_MIN_US)
		job->grace_us = GRACE_MIN_US;
	if (job->grace_us > GRACE_MAX_US)
		job->grace_us = GRACE_MAX_US;
	job->variables = request->variables ? json_incref((json_t *)(uintptr_t)request->variables)
					    : json_object();
	if (request->has_if_changed)
		job->if_changed = request->if_changed;
	else
		/* Waiting for a window is waiting for a time. */
		job->if_changed =
		    job->redeploy || job->timed || !json_is_null(window) ? JOB_HOLD : JOB_RUN;
}

/* What a dry run's job would look like; it has no id. */
static int
preview(struct asked *asked, json_t *problems, struct queue_answer *answer, struct err *err)
{
	struct queue_plan plan = {
	    .application = asked->application,
	    .stage = asked->stage,
	    .plan = asked->plan,
	    .history = &asked->history,
	    .build = &asked->build,
	    .variables = asked->request->variables,
	    .due_us = asked->job.due_us,
	    .problems = problems,
	    .not_undone = answer->not_undone,
	    .window = answer->window,
	};

	answer->preview = queue_preview(asked->queue, &plan, err);
	if (!answer->preview)
		return STORE_BROKEN;
	asked->job.created_us = asked->now_us;
	asked->job.id = INT64_MAX;
	return queue_ahead(asked->queue, &asked->job, &asked->history, &answer->ahead, err);
}

/* What an approver asks for he has let go; anybody else's first deployment is held from the start.
 */
static int
add(struct asked *asked, struct err *err)
{
	struct queue *queue = asked->queue;
	_cleanup_free_ char *text = NULL;
	bool needs = queue_needs_approval(queue, &asked->job);
	int r;

	if (needs && asked->who->approves)
		queue_approve(&asked->job, asked->who, asked->now_us);
	r = queue_add(queue, &asked->job, &asked->history, asked->now_us, err);
	if (r < 0 || !needs || asked->who->approves)
		return r;
	text = queue_approval_text(queue, &asked->job);
	return queue_hold(queue, &asked->job, err, "%s", text);
}

static int
answer(struct asked *asked, json_t *problems, struct queue_answer *ret, struct err *err)
{
	const struct history_entry *live = history_live(&asked->history);
	struct queue_answer answer = {.has_live = live != NULL};
	int r;

	if (live)
		answer.live = *live;
	if (asked->history.dirty)
		answer.unfinished = asked->history.unfinished;
	answer.window = queue_window_json(asked->queue, &asked->job, &asked->history,
					  asked->job.due_us, asked->now_us);
	fill_job(asked, answer.window);
	r = queue_not_undone(asked->queue, &asked->history, &asked->build.build, &answer.not_undone,
			     err);
	if (r == 0 && problems) {
		r = preview(asked, problems, &answer, err);
	} else if (r == 0) {
		r = add(asked, err);
		if (r == 0 && asked->request->override) /* now it has a number, for the audit */
			r = queue_override(asked->queue, &asked->job, asked->request->override,
					   asked->request->reason, asked->who, asked->now_us, err);
		answer.ahead = json_incref(asked->job.ahead);
	}
	if (r < 0) {
		queue_answer_clear(&answer);
		return r;
	}
	answer.warnings = warnings(asked);
	answer.job = asked->job;
	memset(&asked->job, 0, sizeof(asked->job));
	*ret = answer;
	return 0;
}

int
queue_request(struct queue *queue, const struct queue_request *request, const struct queue_who *who,
	      int64_t now_us, struct queue_answer *ret_answer, struct err *err)
{
	_cleanup_asked_ struct asked asked = {
	    .queue = queue, .request = request, .who = who, .now_us = now_us};
	_cleanup_json_ json_t *problems = request->dry_run ? json_array() : NULL;
	int r = resolve(&asked, err);

	if (r == 0)
		r = check(&asked, problems, err);
	return r < 0 ? r : answer(&asked, problems, ret_answer, err);
}
