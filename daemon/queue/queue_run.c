/* SPDX-License-Identifier: ISC */
/*
 * The life of a run: starting, running, events, its end, and what the end means for the stage and
 * for those who wait there. Each step compares state and run id first: whoever comes late, or from
 * another run, changes nothing.
 */
#include <errno.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

/* the eighth start that did not happen in a row holds the job, unless others run */
#define START_ATTEMPTS 8

static int
stale(const struct job *job, struct err *err)
{
	(void)err_set(err, ERR_FAILED,
		      "job %lld is %s and its run is another one: nothing was changed",
		      (long long)job->id, job_state_shown(job->state));
	return -ESTALE;
}

/* The job, if this run is on its way. */
static int
get_active(struct queue *queue, int64_t id, const char *run, struct job *ret, struct err *err)
{
	int r = store_job_get(queue->store, id, ret, err);

	if (r < 0)
		return r;
	if ((ret->state == JOB_STARTING || ret->state == JOB_RUNNING) && strcmp(ret->run, run) == 0)
		return 0;
	r = stale(ret, err);
	job_clear(ret);
	return r;
}

/* ---- the request ---- */

static void
keep(struct run_request *request, const struct build_ref *build)
{
	for (size_t i = 0; i < request->nkeep; i++)
		if (names_build_equal(&request->keep[i], build))
			return;
	request->keep = xrealloc(request->keep, request->nkeep + 1, sizeof(*request->keep));
	request->keep[request->nkeep++] = *build;
}

static void
keep_entry(struct run_request *request, const struct history_entry *entry)
{
	if (entry)
		keep(request, &entry->build);
}

/* What the run leaves as it finds it, and, behind it, what the ways back would need: their release
 * folders are never pruned. The previous good of before and that of after the run are two builds
 * when it pops the stack. */
static int
fill_keep(struct queue *queue, const struct job *job, struct run_request *request, struct err *err)
{
	const struct history_entry after = {.build = job->build};
	struct history history;
	struct build_ref usual;
	int r = queue_history_get(queue, job->application, job->stage, &history, err);

	if (r < 0)
		return r;
	history.busy = false; /* by this run, or not yet: the request is the same */
	keep_entry(request, history_live(&history));
	keep_entry(request, history_previous_good(&history));
	if (history_default(&history, &usual, NULL) == 0)
		keep(request, &usual);
	if (job->from.release[0])
		keep(request, &job->from);
	history_succeed(&history, &after);
	keep_entry(request, history_previous_good(&history));
	history_clear(&history);
	return 0;
}

static void
fill_request(const struct job *job, const struct store_build *build, struct run_request *request)
{
	(void)snprintf(request->run, sizeof(request->run), "%s", job->run);
	request->job = job->id;
	(void)snprintf(request->application, sizeof(request->application), "%s", job->application);
	(void)snprintf(request->stage, sizeof(request->stage), "%s", job->stage);
	(void)snprintf(request->plan, sizeof(request->plan), "%s", job->plan);
	request->build = job->build;
	(void)snprintf(request->mode, sizeof(request->mode), "%s",
		       job->mode == JOB_MODE_NONE ? "" : job_mode_name(job->mode));
	request->from = job->from;
	request->reason = xstrdup(job->reason ? job->reason : "");
	request->requested_by = xstrdup(job->requested_by);
	request->uid = job->answers_uid;
	request->job_variables = json_deep_copy(job->variables);
	request->build_variables = json_deep_copy(build->variables);
	request->signature = xstrdup(build->signature);
	request->artifacts = xcalloc(build->nartifacts + 1, sizeof(*request->artifacts));
	request->nartifacts = build->nartifacts;
	for (size_t i = 0; i < build->nartifacts; i++) {
		memcpy(request->artifacts[i].name, build->artifacts[i].name,
		       sizeof(request->artifacts[i].name));
		memcpy(request->artifacts[i].digest, build->artifacts[i].digest,
		       sizeof(request->artifacts[i].digest));
	}
}

/* The request of JOB; with RET_DIGEST the digest of stage and plan as they are resolved now. */
static int
make_request(struct queue *queue, const struct job *job, struct run_request *ret, struct err *err)
{
	const struct conf_application *application;
	const struct conf_stage *stage;
	struct run_request request = {0};
	struct store_build build;
	int r = queue_find_stage(queue, job->application, job->stage, &application, &stage, err);

	if (r == 0)
		r = store_build_get(queue->store, job->application, &job->build, &build, err);
	if (r < 0)
		return r;
	fill_request(job, &build, &request);
	store_build_clear(&build);
	if (job->plan_digest[0])
		memcpy(request.plan_digest, job->plan_digest, sizeof(request.plan_digest));
	else
		free(conf_resolve(queue->conf, application, stage, request.plan_digest));
	r = fill_keep(queue, job, &request, err);
	if (r < 0)
		run_request_clear(&request);
	else
		*ret = request;
	return r;
}

/* Nothing of the run that did not happen stays in the job. */
static void
forget_run(struct job *job)
{
	job->run[0] = job->boot_run[0] = job->request_digest[0] = job->plan_digest[0] = '\0';
	job->mode = JOB_MODE_NONE;
	job->from = (struct build_ref){0};
	job->started_us = 0;
	job->event_seq = 0;
	job->began = false;
}

/* The start failed with WHY: the job is held, unless it is the database that failed. */
static int
hold_after(struct queue *queue, struct job *job, const struct err *why, int r, struct err *err)
{
	if (r == STORE_BROKEN || r == -ENOSPC) {
		(void)err_set(err, why->code, "%s", why->text);
		return r;
	}
	forget_run(job);
	r = queue_hold(queue, job, err, "%s", why->text);
	if (r < 0)
		return r;
	return err_set(err, ERR_REFUSED, "job %lld is held: %s", (long long)job->id, why->text);
}

int
queue_run_request(struct queue *queue, const struct job *job, struct run_request *ret_request,
		  struct err *err)
{
	_cleanup_err_ struct err why = ERR_INIT;
	struct job copy;
	int r = make_request(queue, job, ret_request, &why), got;

	if (r == 0)
		return 0;
	got = store_job_get(queue->store, job->id, &copy, err);
	if (got < 0)
		return got;
	r = hold_after(queue, &copy, &why, r, err);
	job_clear(&copy);
	return r;
}

/* ---- starting and running ---- */

/* Mode and BM_FROM_* are fixed now, and what is asked of bmd-run with them. */
static int
fix(struct queue *queue, struct job *job, struct err *err)
{
	struct run_request request;
	struct history history;
	const struct conf_application *application;
	const struct conf_stage *stage;
	int succeeded, r = queue_history_get(queue, job->application, job->stage, &history, err);

	if (r < 0)
		return r;
	succeeded = store_succeeded(queue->store, job->application, job->stage, &job->build, err);
	job->mode = history_mode(&history, &job->build, succeeded > 0, &job->from);
	history_clear(&history);
	if (succeeded < 0)
		return succeeded;
	r = queue_find_stage(queue, job->application, job->stage, &application, &stage, err);
	if (r < 0)
		return r;
	(void)snprintf(job->plan, sizeof(job->plan), "%s", stage->plan);
	free(conf_resolve(queue->conf, application, stage, job->plan_digest));
	r = make_request(queue, job, &request, err);
	if (r < 0)
		return r;
	run_request_digest(&request, job->request_digest);
	run_request_clear(&request);
	return 0;
}

int
queue_starting(struct queue *queue, struct job *job, const char *run, const char *boot,
	       int64_t now_us, struct err *err)
{
	_cleanup_err_ struct err why = ERR_INIT;
	int r;

	(void)now_us;
	(void)snprintf(job->run, sizeof(job->run), "%s", run);
	(void)snprintf(job->boot_run, sizeof(job->boot_run), "%s", boot);
	job->event_seq = 0;
	job->began = false;
	r = fix(queue, job, &why);
	if (r < 0)
		return hold_after(queue, job, &why, r, err);
	return queue_move(queue, job, JOB_STARTING, err);
}

/* What was said while bmd-run was made ready counts as well: until now nothing of the job has
 * begun. */
static int
check_still(struct queue *queue, const struct job *job, int64_t now_us, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct store_build build;
	struct store_stage at;
	int r;

	if (queue_drained(queue)) {
		text = queue_drain_text(queue, now_us);
		return err_set(err, ERR_REFUSED, "%s", text);
	}
	r = store_stage_get(queue->store, job->application, job->stage, &at, err);
	if (r < 0)
		return r;
	if (queue_locked_now(queue, &at, now_us)) {
		text = queue_lock_text(&at, now_us);
		r = err_set(err, ERR_REFUSED, "%s", text);
	}
	store_stage_clear(&at);
	if (r == 0)
		r = store_build_get(queue->store, job->application, &job->build, &build, err);
	if (r < 0)
		return r;
	r = queue_check_rejected(&build, err);
	store_build_clear(&build);
	if (r == 0 && queue_schedule_stopped(queue, job, &text))
		r = err_set(err, ERR_REFUSED, "%s", text);
	return r;
}

/* Who reads of a late start asks what was in its way. */
static void
tell_started(struct queue *queue, const struct job *job)
{
	int64_t late_us = job->started_us - job->due_us;
	_cleanup_free_ char *lapse =
	    late_us >= WHEN_SECOND
		? queue_lapse_text(queue, job->due_us, job->started_us, job->zone)
		: NULL;

	queue_tell(queue, EVENT_STARTED, job, "running as %s%s%s%s%s", job_mode_name(job->mode),
		   lapse ? ", " : "", lapse ? when_span(late_us).s : "", lapse ? " late: " : "",
		   lapse ? lapse : "");
}

int
queue_running(struct queue *queue, int64_t id, const char *run, int64_t now_us, struct err *err)
{
	struct job job;
	int r = get_active(queue, id, run, &job, err);

	if (r < 0)
		return r;
	r = job.state == JOB_STARTING ? check_still(queue, &job, now_us, err) : stale(&job, err);
	if (r == 0) {
		/* Its attempts count on: that a run is told to begin is not that it did. */
		job.started_us = now_us;
		job.not_before_us = 0;
		if (job.attempts > 0)
			free(TAKE(job.message)); /* why the start before did not happen */
		r = queue_move(queue, &job, JOB_RUNNING, err);
		if (r == 0)
			tell_started(queue, &job);
	}
	job_clear(&job);
	return r;
}

static int64_t
backoff_us(int attempts)
{
	int64_t us = attempts > 6 ? QUEUE_BACKOFF_US : WHEN_SECOND << (attempts - 1);

	return us > QUEUE_BACKOFF_US ? QUEUE_BACKOFF_US : us;
}

static int
not_started(struct queue *queue, struct job *job, const char *reason, bool hold, int64_t now_us,
	    struct err *err)
{
	_cleanup_free_ char *by = NULL, *why = NULL;
	int64_t running;
	int r;

	forget_run(job);
	if (job->cancel_by) {
		by = TAKE(job->cancel_by);
		why = job->message ? xasprintf("%s (cancelled before it started)", job->message)
				   : xstrdup("cancelled before it started");
		return queue_end(queue, job, JOB_CANCELLED, by, now_us, why, err);
	}
	if (queue_schedule_stopped(queue, job, &why))
		return queue_schedule_take_back(queue, job, "bmd", why, now_us, err);
	job->attempts++;
	if (hold)
		return queue_hold(queue, job, err, "%s", reason);
	if (queue_slept(queue, job->id))
		return queue_hold(
		    queue, job, err,
		    "bmd was down for %s before it started, longer than its grace of %s",
		    when_span(queue->down_us).s, when_span(job->grace_us).s);
	r = store_job_running_count(queue->store, &running, err);
	if (r < 0)
		return r;
	/* Where others run, bmd-run can be started: what this one lacks, a connection of
	 * bmd-run.socket or memory, they may have, and that passes. One that was told to go had
	 * both. */
	if (job->attempts >= START_ATTEMPTS && (running == 0 || job->state == JOB_RUNNING))
		return queue_hold(queue, job, err, "%d starts in a row did not happen: %s",
				  job->attempts, reason);
	job->not_before_us = now_us + backoff_us(job->attempts);
	free(job->message);
	job->message = xstrdup(reason);
	r = queue_move(queue, job, JOB_QUEUED, err);
	if (r == 0)
		queue_tell(queue, EVENT_POSTPONED, job, "did not start (%s), again in %s", reason,
			   when_span(job->not_before_us - now_us).s);
	return r;
}

int
queue_not_started(struct queue *queue, int64_t id, const char *run, const char *reason, bool hold,
		  int64_t now_us, struct err *err)
{
	struct job job;
	int r = get_active(queue, id, run, &job, err);

	if (r < 0)
		return r;
	r = not_started(queue, &job, reason, hold, now_us, err);
	job_clear(&job);
	return r;
}

/* ---- events ---- */

struct finding {
	int index;
	struct store_step step;
	bool found;
};

static int
find_step(const struct store_step *step, void *arg)
{
	struct finding *finding = arg;

	if (step->index != finding->index)
		return 0;
	finding->step = *step;
	finding->step.message = NULL;
	finding->found = true;
	return 1;
}

static int
put_step(struct queue *queue, struct job *job, const struct run_event *event, struct err *err)
{
	struct finding finding = {.index = event->step};
	struct store_step *step = &finding.step;
	int r = store_step_each(queue->store, job->id, find_step, &finding, err);

	if (r < 0)
		return r;
	step->index = event->step;
	(void)snprintf(step->name, sizeof(step->name), "%s", event->name);
	step->message = NULL;
	if (strcmp(event->event, "step-begun") == 0) {
		(void)snprintf(step->state, sizeof(step->state), "running");
		step->started_us = event->time_us;
		step->finished_us = 0;
		step->exit_code = step->signal = -1;
		step->attempt = event->attempt;
		step->irreversible = event->irreversible;
		job->began = true;
	} else if (strcmp(event->event, "step-skipped") == 0) {
		(void)snprintf(step->state, sizeof(step->state), "skipped");
		step->exit_code = step->signal = -1;
		step->message = event->message[0] ? xstrdup(event->message) : NULL;
	} else {
		(void)snprintf(step->state, sizeof(step->state), "%s", event->state);
		step->finished_us = event->time_us;
		step->exit_code = event->exit_code;
		step->signal = event->signal;
		step->message = event->message[0] ? xstrdup(event->message) : NULL;
	}
	r = store_step_put(queue->store, job->id, step, err);
	free(step->message);
	return r;
}

int
queue_event(struct queue *queue, int64_t id, const char *run, const struct run_event *event,
	    struct err *err)
{
	struct job job;
	int r = get_active(queue, id, run, &job, err);

	if (r < 0)
		return r;
	if (event->seq > job.event_seq) {
		if (strncmp(event->event, "step-", 5) == 0 && event->step >= 0)
			r = put_step(queue, &job, event, err);
		job.event_seq = event->seq;
		if (r == 0)
			r = store_job_update(queue->store, &job, job.state, run, err);
	}
	job_clear(&job);
	return r;
}

/* ---- ends ---- */

static const struct conf_stage *
stage_of(struct queue *queue, const struct job *job)
{
	const struct conf_application *application =
	    conf_application(queue->conf, job->application);

	return application ? conf_stage(application, job->stage) : NULL;
}

static int
succeeded(struct queue *queue, const struct job *job, struct err *err)
{
	struct history_entry entry = {
	    .build = job->build, .job = job->id, .since_us = job->finished_us};
	struct history history;
	struct store_stage stage;
	int r = queue_history_get(queue, job->application, job->stage, &history, err);

	if (r < 0)
		return r;
	memcpy(entry.by, job->requested_by, sizeof(entry.by));
	history_succeed(&history, &entry);
	r = store_history_put(queue->store, &history, err);
	history_clear(&history);
	if (r == 0)
		r = store_stage_get(queue->store, job->application, job->stage, &stage, err);
	if (r < 0)
		return r;
	if (stage.dirty)
		queue_tell(queue, EVENT_RECOVERED, job,
			   "%s is whole again, which job %lld had left unfinished", job->stage,
			   (long long)stage.dirty_job);
	if (stage.dirty || stage.occupied_job != 0) {
		stage.dirty = false;
		stage.dirty_job = stage.dirty_us = stage.occupied_job = 0;
		r = store_stage_put(queue->store, &stage, err);
	}
	store_stage_clear(&stage);
	return r;
}

struct holding {
	struct queue *queue;
	const struct job *failed;
	const struct build_ref *way_back; /* NULL: there is none */
	struct err *err;
};

static int
hold_other(const struct job *row, void *arg)
{
	struct holding *holding = arg;
	struct build_ref build = row->build;
	struct job job;
	int r;

	queue_schedule_show(holding->queue, row, &build);
	if (row->automatic || (holding->way_back && names_build_equal(&build, holding->way_back)))
		return 0;
	r = store_job_get(holding->queue->store, row->id, &job, holding->err);
	if (r < 0)
		return r;
	r = queue_hold(holding->queue, &job, holding->err, "job %lld (%s) %s",
		       (long long)holding->failed->id, queue_job_text(holding->failed).s,
		       job_state_shown(holding->failed->state));
	job_clear(&job);
	return r;
}

/* Nobody asked for it by a method, which would be its row. */
static int
audit_way_back(struct queue *queue, const struct job *job, int64_t now_us, struct err *err)
{
	_cleanup_free_ char *text =
	    xasprintf("%s: %s", names_build_text(&job->build).s, job->reason);
	const struct store_audit row = {
	    .at_us = now_us,
	    .uid = -1,
	    .who = job->requested_by,
	    .what = "Redeploy",
	    .application = job->application,
	    .stage = job->stage,
	    .job = job->id,
	    .text = text,
	};

	return store_audit(queue->store, &row, err);
}

/* bmd itself goes back; one hop, never a second one. */
static int
go_back(struct queue *queue, const struct job *failed, const struct build_ref *way_back,
	const struct history *history, int64_t now_us, struct err *err)
{
	struct job job = {
	    .redeploy = true,
	    .automatic = true,
	    .exit_code = -1,
	    .build = *way_back,
	    .due_us = now_us,
	    .requested_by = "bmd",
	    .grace_us = queue->conf->grace_us,
	    .if_changed = JOB_HOLD,
	};
	int r;

	memcpy(job.application, failed->application, sizeof(job.application));
	memcpy(job.stage, failed->stage, sizeof(job.stage));
	memcpy(job.plan, failed->plan, sizeof(job.plan));
	job.reason = xasprintf("job %lld failed", (long long)failed->id);
	job.variables = json_object();
	r = queue_add(queue, &job, history, now_us, err);
	if (r == 0)
		r = audit_way_back(queue, &job, now_us, err);
	if (r == 0)
		queue_tell(queue, EVENT_AUTOMATIC, &job, "queued by bmd, because job %lld failed",
			   (long long)failed->id);
	job_clear(&job);
	return r;
}

static int
apply_policy(struct queue *queue, const struct job *failed, int64_t now_us, struct err *err)
{
	const struct conf_stage *stage = stage_of(queue, failed);
	enum conf_on_failure policy = stage ? stage->on_failure : CONF_HOLD;
	struct build_ref way_back;
	struct holding holding = {.queue = queue, .failed = failed, .err = err};
	struct history history;
	int r;

	if (policy == CONF_CONTINUE)
		return 0;
	r = queue_history_get(queue, failed->application, failed->stage, &history, err);
	if (r < 0)
		return r;
	if (history_default(&history, &way_back, NULL) == 0)
		holding.way_back = &way_back;
	r = store_job_each_queued(queue->store, failed->application, failed->stage, hold_other,
				  &holding, err);
	if (r == 0 && policy == CONF_AUTOMATIC && holding.way_back && stage &&
	    failed->state == JOB_FAILED && !failed->automatic && failed->mode != JOB_MODE_ROLLBACK)
		r = go_back(queue, failed, &way_back, &history, now_us, err);
	history_clear(&history);
	return r;
}

/* A run that began a step and did not succeed: what is on disk may be neither build. */
static int
unfinished(struct queue *queue, const struct job *job, bool occupied, int64_t now_us,
	   struct err *err)
{
	struct store_stage stage;
	int r = store_stage_get(queue->store, job->application, job->stage, &stage, err);

	if (r < 0)
		return r;
	stage.dirty = true;
	stage.dirty_job = job->id;
	r = queue_failed_us(queue, job->application, job->stage, now_us, &stage.dirty_us, err);
	if (occupied)
		stage.occupied_job = job->id;
	if (r == 0)
		r = store_stage_put(queue->store, &stage, err);
	store_stage_clear(&stage);
	return r < 0 ? r : apply_policy(queue, job, now_us, err);
}

static enum job_state
result_state(const struct run_result *result)
{
	if (strcmp(result->state, "succeeded") == 0)
		return JOB_SUCCEEDED;
	return strcmp(result->state, "cancelled") == 0 ? JOB_CANCELLED : JOB_FAILED;
}

static int
finish(struct queue *queue, struct job *job, const struct run_result *result, int64_t now_us,
       struct err *err)
{
	const char *by = result->ended_by[0] ? result->ended_by : NULL;
	const char *message = result->message[0] ? result->message : NULL;
	_cleanup_free_ char *reason = NULL;
	int64_t finished_us = result->finished_us > 0 ? result->finished_us : now_us;
	enum job_state state = result_state(result);
	int r;

	if (result->started_us > 0)
		job->started_us = result->started_us;
	if (job->started_us == 0)
		job->started_us = finished_us;
	job->began = job->began || result->began;
	job->exit_code = result->exit_code;
	free(job->failed_step);
	job->failed_step = result->failed_step[0] ? xstrdup(result->failed_step) : NULL;
	if (state == JOB_CANCELLED && !by)
		by = job->cancel_by;
	/* By whom is said anyway; why, only whoever cancelled it knows. */
	if (state == JOB_CANCELLED && job->cancel_by && job->message) {
		reason = TAKE(job->message);
		message = reason;
	}
	r = queue_end(queue, job, state, by, finished_us, message, err);
	if (r < 0)
		return r;
	if (state == JOB_SUCCEEDED)
		return succeeded(queue, job, err);
	return job->began ? unfinished(queue, job, false, now_us, err) : 0;
}

int
queue_finished(struct queue *queue, const struct run_result *result, int64_t now_us,
	       struct err *err)
{
	struct job job;
	int r = get_active(queue, result->job, result->run, &job, err);

	if (r < 0)
		return r;
	if (strcmp(job.request_digest, result->request_digest) != 0)
		r = queue_hold(queue, &job, err,
			       "the result in its run folder answers another request: look at "
			       "bmctl log %lld, then settle",
			       (long long)job.id);
	else
		r = finish(queue, &job, result, now_us, err);
	job_clear(&job);
	return r;
}

int
queue_lost(struct queue *queue, int64_t id, const char *run, const char *message, bool occupied,
	   int64_t now_us, struct err *err)
{
	struct job job;
	int r = get_active(queue, id, run, &job, err);

	if (r < 0)
		return r;
	job.began = true;
	if (job.started_us == 0)
		job.started_us = now_us;
	r = queue_end(queue, &job, JOB_LOST, NULL, now_us, message, err);
	if (r == 0)
		r = unfinished(queue, &job, occupied, now_us, err);
	job_clear(&job);
	return r;
}

int
queue_conflict(struct queue *queue, int64_t id, const char *message, int64_t now_us,
	       struct err *err)
{
	struct job job;
	int r = store_job_get(queue->store, id, &job, err);

	(void)now_us;
	if (r < 0)
		return r;
	if (!job_state_final(job.state) && job.state != JOB_HELD)
		r = queue_hold(queue, &job, err, "%s", message);
	job_clear(&job);
	return r;
}
