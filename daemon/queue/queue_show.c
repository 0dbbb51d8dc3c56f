/* SPDX-License-Identifier: ISC */
/*
 * Jobs, stages and builds in the form of the interface file, and the texts that say why a job waits
 * and what needs a human. Reads only. What cannot be read is left out: who shows something does not
 * stop bmd.
 */
#include <string.h>

#include "artifact/damage.h"
#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define DEPLOYMENTS_MAX 500 /* of a build, the newest */

json_t *
queue_ref_json(const struct build_ref *ref)
{
	if (ref->release[0] == '\0')
		return json_null();
	return json_pack("{s:s, s:I}", "release", ref->release, "build", (json_int_t)ref->number);
}

static json_t *
id_json(int64_t id)
{
	return id > 0 ? json_integer(id) : json_null();
}

/* ---- why a job waits ---- */

static json_t *waits(const char *kind, const char *format, ...) _printf_(2, 3);

static json_t *
waits(const char *kind, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	json_t *answer = json_object();
	va_list args;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	json_put(answer, "kind", json_text(kind));
	json_put(answer, "text", json_text(text));
	json_put(answer, "until", json_null());
	return answer;
}

/* Behind its time, what will close the stage then. */
static json_t *
waits_for_time(struct queue *queue, const struct job *job, int64_t now_us)
{
	struct queue_window window = queue_window(queue, job, NULL, job->due_us);
	_cleanup_free_ char *closed =
	    window.look.open ? NULL : queue_window_text(&window, job, now_us);
	json_t *answer =
	    waits("time", "%s (%s)%s%s%s%s",
		  when_local(job->due_us, job->zone[0] ? job->zone : queue_zone_here()).s,
		  when_distance(job->due_us, now_us).s, closed ? ", then " : "",
		  closed ? closed : "", job->message ? "; " : "", job->message ? job->message : "");

	(void)json_object_set_new(answer, "until",
				  json_time(window.look.open || window.look.until_us == INT64_MAX
						? job->due_us
						: window.look.until_us));
	return answer;
}

/* Its time is told by a clock that nobody believes just now. */
static json_t *
waits_for_clock(struct queue *queue, int64_t now_us)
{
	_cleanup_free_ char *text = queue_doubt_text(queue, now_us);
	json_t *answer = waits("time", "%s", text);

	(void)json_object_set_new(answer, "until", json_time(queue->clock.until_us));
	return answer;
}

/* The run on the stage, or one whose processes may still be there, or a lock. NULL: none of them.
 */
static json_t *
waits_for_stage(struct queue *queue, const struct job *job, int64_t now_us)
{
	struct store_stage stage;
	struct job active;
	json_t *answer = NULL;

	if (store_job_active(queue->store, job->application, job->stage, &active, NULL) == 1) {
		answer =
		    waits("job", "job %lld (%s %s %s) is %s on %s", (long long)active.id,
			  active.redeploy ? "redeploy" : "deploy", active.application,
			  names_build_text(&active.build).s,
			  active.state == JOB_STARTING ? "being started" : "running", active.stage);
		job_clear(&active);
		return answer;
	}
	if (store_stage_get(queue->store, job->application, job->stage, &stage, NULL) < 0)
		return NULL;
	if (stage.occupied_job != 0) {
		answer = waits("job",
			       "processes of job %lld may still be there: end them, then bmctl "
			       "settle %s %s BUILD --reason TEXT",
			       (long long)stage.occupied_job, job->application, job->stage);
	} else if (queue_locked_now(queue, &stage, now_us)) {
		_cleanup_free_ char *text = queue_lock_text(&stage, now_us);

		answer = waits("lock", "%s", text);
		(void)json_object_set_new(answer, "until", json_time(stage.lock_until_us));
	}
	store_stage_clear(&stage);
	return answer;
}

/* Somebody before it in line. NULL: it is the head, or those before it stand aside. */
static json_t *
waits_for_head(struct queue *queue, const struct job *job, int64_t now_us)
{
	struct job head;
	json_t *answer = NULL;

	if (store_job_first_queued(queue->store, job->application, job->stage, &head, NULL) != 1)
		return NULL;
	if (head.id != job->id && !queue_waits_for_clock(queue, &head) &&
	    queue_window_stage(queue, job->application, job->stage, now_us).open)
		answer = waits("job", "job %lld (%s) is before it", (long long)head.id,
			       queue_job_text(&head).s);
	job_clear(&head);
	return answer;
}

static json_t *
waits_for_restart(struct queue *queue, int64_t now_us)
{
	_cleanup_free_ char *text = queue_drain_text(queue, now_us);

	return waits("drain", "%s", text);
}

static json_t *
waits_for_slot(struct queue *queue, const struct job *job, int64_t now_us)
{
	const char *trouble = queue_trouble_text(queue, job->state == JOB_QUEUED ? 0 : job->id);
	int64_t active = 0;

	if (job->state == JOB_QUEUED && job->not_before_us > now_us)
		return waits("slot", "its start did not happen (%s), again %s",
			     job->message ? job->message : "",
			     when_distance(job->not_before_us, now_us).s);
	(void)store_job_active_count(queue->store, &active, NULL);
	if (job->state == JOB_QUEUED && active >= queue->conf->max_running)
		return waits("slot", "%lld of %d runs (max-running)", (long long)active,
			     queue->conf->max_running);
	if (trouble)
		return waits("slot", "%s", trouble);
	if (job->state == JOB_QUEUED)
		return waits("slot", "nothing is in its way, and bmd looks at it next");
	if (job->attempts > 0 && job->message)
		return waits("slot", "it is being started, attempt %d (before: %s)",
			     job->attempts + 1, job->message);
	return waits("slot", "it is being started");
}

json_t *
queue_waits_for(struct queue *queue, const struct job *job, int64_t now_us)
{
	json_t *answer;

	switch (job->state) {
	case JOB_SCHEDULED:
		if (job->due_us <= now_us && queue_waits_for_clock(queue, job))
			return waits_for_clock(queue, now_us);
		return waits_for_time(queue, job, now_us);
	case JOB_HELD:
		if (job->hold_reason && strstr(job->hold_reason, "bmctl release"))
			return waits("hold", "%s", job->hold_reason); /* says more exactly */
		return waits("hold", "%s: bmctl release %lld or bmctl cancel %lld",
			     job->hold_reason ? job->hold_reason : "held", (long long)job->id,
			     (long long)job->id);
	case JOB_QUEUED:
		if (queue_drained(queue))
			return waits_for_restart(queue, now_us);
		if (queue_waits_for_clock(queue, job))
			return waits_for_clock(queue, now_us);
		answer = queue_window_json(queue, job, NULL, now_us, now_us);
		if (!json_is_null(answer))
			return answer;
		answer = waits_for_stage(queue, job, now_us);
		if (!answer)
			answer = waits_for_head(queue, job, now_us);
		return answer ? answer : waits_for_slot(queue, job, now_us);
	case JOB_STARTING:
		return waits_for_slot(queue, job, now_us);
	default:
		return json_null();
	}
}

/* ---- jobs ---- */

static int
add_step(const struct store_step *step, void *arg)
{
	return json_array_append_new(
	    arg, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:b, s:o}", "name", step->name,
			   "state", step->state, "started", json_time(step->started_us), "finished",
			   json_time(step->finished_us), "exit_code",
			   step->exit_code >= 0 ? json_integer(step->exit_code) : json_null(),
			   "signal", step->signal > 0 ? json_integer(step->signal) : json_null(),
			   "attempt", step->attempt, "irreversible", step->irreversible, "message",
			   json_text(step->message)));
}

/* What is known of its run; null before the start. */
static void
add_run(json_t *object, const struct job *job, const char *trouble)
{
	bool started = job->started_us > 0;

	json_put(object, "mode", started ? json_text(job_mode_name(job->mode)) : json_null());
	json_put(object, "from", started ? queue_ref_json(&job->from) : json_null());
	json_put(object, "started", json_time(job->started_us));
	json_put(object, "finished", json_time(job->finished_us));
	json_put(object, "ended_by", json_text(job->ended_by));
	json_put(object, "exit_code",
		 job->exit_code >= 0 ? json_integer(job->exit_code) : json_null());
	json_put(object, "failed_step", json_text(job->failed_step));
	json_put(object, "message", json_text(job->message ? job->message : trouble));
	json_put(object, "lateness_us",
		 started ? json_integer(job->started_us - job->due_us) : json_null());
}

static json_t *
overrides_json(const struct job *job)
{
	json_t *freezes = json_object_get(job->overrides, "freezes");

	if (json_object_size(job->overrides) == 0)
		return json_null();
	return json_pack("{s:b, s:o}", "windows",
			 json_is_true(json_object_get(job->overrides, "windows")), "freezes",
			 freezes ? json_copy(freezes) : json_array());
}

/* What was asked for, and by whom. */
static void
add_request(json_t *object, const struct job *job)
{
	json_put(object, "plan", json_text(job->plan));
	json_put(object, "reason", json_text(job->reason));
	json_put(object, "requested_by", json_text(job->requested_by));
	json_put(object, "uid", json_integer(job->uid));
	json_put(object, "created", json_time(job->created_us));
	json_put(object, "due", json_time(job->due_us));
	json_put(object, "due_text", json_text(job->due_text));
	json_put(object, "zone", json_text(job->zone[0] ? job->zone : NULL));
	json_put(object, "redeploy", json_boolean(job->redeploy));
	json_put(object, "if_changed", json_text(job_if_changed_name(job->if_changed)));
	json_put(object, "grace_us", json_integer(job->grace_us));
	json_put(object, "variables", job->variables ? json_incref(job->variables) : json_object());
	json_put(object, "schedule", id_json(job->schedule));
	json_put(object, "wanted", json_text(job->wanted));
	json_put(object, "overrides", overrides_json(job));
}

json_t *
queue_job_json(struct queue *queue, const struct job *job, bool with_steps, int64_t now_us)
{
	_cleanup_free_ char *damaged = store_damage_job(queue->store, job->id);
	struct build_ref build = job->build;
	json_t *steps = NULL, *object = json_object();

	queue_schedule_show(queue, job, &build);
	json_put(object, "id", json_integer(job->id));
	json_put(object, "state", json_text(job_state_shown(job->state)));
	json_put(object, "application", json_text(job->application));
	json_put(object, "release", json_text(build.release));
	json_put(object, "build", json_integer(build.number));
	json_put(object, "stage", json_text(job->stage));
	add_request(object, job);
	json_put(object, "approved",
		 job->approved_by ? json_pack("{s:s, s:o}", "by", job->approved_by, "at",
					      json_time(job->approved_us))
				  : json_null());
	add_run(object, job, job->state == JOB_RUNNING ? queue_trouble_text(queue, job->id) : NULL);
	json_put(object, "waits_for", queue_waits_for(queue, job, now_us));
	if (with_steps) {
		steps = json_array();
		(void)store_step_each(queue->store, job->id, add_step, steps, NULL);
	}
	json_put(object, "damaged", json_text(damaged));
	json_put(object, "steps", steps ? steps : json_null());
	return object;
}

/* ---- stages ---- */

json_t *
queue_live_json(const struct history_entry *live)
{
	if (!live)
		return json_null();
	return json_pack("{s:s, s:I, s:o, s:o, s:s}", "release", live->build.release, "build",
			 (json_int_t)live->build.number, "job", id_json(live->job), "since",
			 json_time(live->since_us), "by", live->by);
}

static json_t *
lock_json(const struct queue *queue, const struct store_stage *stage, int64_t now_us)
{
	if (!queue_locked_now(queue, stage, now_us))
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:o}", "by", stage->locked_by, "reason",
			 stage->lock_reason ? stage->lock_reason : "", "since",
			 json_time(stage->locked_us), "until", json_time(stage->lock_until_us));
}

static json_t *
dirty_json(const struct store_stage *stage)
{
	if (!stage->dirty)
		return json_null();
	return json_pack("{s:o, s:o}", "job", id_json(stage->dirty_job), "since",
			 json_time(stage->dirty_us));
}

/* Does a request have to say why: always, or for a way back that closed windows let pass? */
static bool
wants_reason(const struct conf_stage *stage)
{
	bool closes =
	    stage->windows && (stage->windows->nwindows > 0 || stage->windows->nfreezes > 0);

	return stage->require_reason || (closes && !(stage->windows_hold & CONF_ROLLBACK));
}

static const struct conf_stage *
configured_stage(const struct queue *queue, const char *application, const char *stage)
{
	const struct conf_application *known = conf_application(queue->conf, application);

	return known ? conf_stage(known, stage) : NULL;
}

json_t *
queue_wants_json(const struct queue *queue, const char *application, const char *stage)
{
	const struct conf_stage *known = configured_stage(queue, application, stage);

	return json_pack("{s:b, s:b}", "reason", known && wants_reason(known), "confirmed",
			 known && known->confirm);
}

const char *
queue_asks(const struct queue *queue, const char *application, const char *stage)
{
	const struct conf_stage *known = configured_stage(queue, application, stage);

	if (!known)
		return "";
	return wants_reason(known) ? known->confirm ? " --reason TEXT --yes" : " --reason TEXT"
	       : known->confirm	   ? " --yes"
				   : "";
}

static json_t *
needs(struct queue *queue, const struct store_stage *stage, const struct history *history,
      int64_t held)
{
	const char *asks = queue_asks(queue, stage->application, stage->stage);
	struct build_ref way_back;
	struct job job;
	bool lost = false;

	if (stage->occupied_job != 0)
		return json_sprintf("processes of job %lld may still be there: end them, then "
				    "bmctl settle %s %s BUILD --reason TEXT",
				    (long long)stage->occupied_job, stage->application,
				    stage->stage);
	if (history->damaged_job != 0)
		return json_sprintf(
		    "the record of job %lld changed on disk: bmctl show %lld, then bmctl "
		    "settle %s %s BUILD --reason TEXT",
		    (long long)history->damaged_job, (long long)history->damaged_job,
		    stage->application, stage->stage);
	if (stage->dirty && !history->busy && stage->dirty_job == 0) {
		json_t *restored = queue_restored_needs(queue, stage, history);

		if (restored)
			return restored;
		return json_sprintf(
		    "what is live is not known: bmctl redeploy %s --to %s --now%s, or bmctl settle "
		    "%s %s BUILD --reason TEXT",
		    stage->application, stage->stage, asks, stage->application, stage->stage);
	}
	if (stage->dirty && !history->busy) {
		if (store_job_get(queue->store, stage->dirty_job, &job, NULL) == 0) {
			lost = job.state == JOB_LOST;
			job_clear(&job);
		}
		if (history_default(history, &way_back, NULL) == 0)
			return json_sprintf(
			    "job %lld %s: bmctl redeploy %s %s --to %s --now%s mends it",
			    (long long)stage->dirty_job, lost ? "was lost" : "did not succeed",
			    stage->application, names_build_text(&way_back).s, stage->stage, asks);
		return json_sprintf("job %lld %s: bmctl deploy %s BUILD --to %s --now%s mends it",
				    (long long)stage->dirty_job,
				    lost ? "was lost" : "did not succeed", stage->application,
				    stage->stage, asks);
	}
	if (held > 0)
		return json_sprintf("job %lld is held: bmctl show %lld, then bmctl release %lld or "
				    "bmctl cancel %lld",
				    (long long)held, (long long)held, (long long)held,
				    (long long)held);
	return json_null();
}

static json_t *
stage_json(struct queue *queue, const struct store_stage *stage, const struct history *history,
	   int64_t now_us)
{
	const struct conf_application *application =
	    conf_application(queue->conf, stage->application);
	const struct conf_stage *configured =
	    application ? conf_stage(application, stage->stage) : NULL;
	struct build_ref good = {0};
	int64_t held = 0, next = 0, failed = 0;

	if (history_default(history, &good, NULL) < 0)
		good = (struct build_ref){0};
	(void)store_job_first_held(queue->store, stage->application, stage->stage, &held, NULL);
	(void)store_job_first_next(queue->store, stage->application, stage->stage, &next, NULL);
	(void)store_job_last_failed(queue->store, stage->application, stage->stage, &failed, NULL);
	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "application",
	    stage->application, "stage", stage->stage, "plan", configured ? configured->plan : "",
	    "live", queue_live_json(history_live(history)), "previous_good", queue_ref_json(&good),
	    "locked", lock_json(queue, stage, now_us), "dirty", dirty_json(stage), "running",
	    history->busy ? id_json(history->running.job) : json_null(), "next", id_json(next),
	    "last_failed", id_json(failed), "occupied_by", id_json(stage->occupied_job), "needs",
	    needs(queue, stage, history, held), "wants",
	    queue_wants_json(queue, stage->application, stage->stage), "window",
	    queue_window_stage_json(queue, stage->application, stage->stage, now_us));
}

json_t *
queue_stage_json(struct queue *queue, const char *application, const char *stage, int64_t now_us)
{
	struct store_stage row = {0};
	struct history history = {0};
	json_t *object;

	(void)snprintf(row.application, sizeof(row.application), "%s", application);
	(void)snprintf(row.stage, sizeof(row.stage), "%s", stage);
	(void)store_stage_get(queue->store, application, stage, &row, NULL);
	(void)queue_history_get(queue, application, stage, &history, NULL);
	history.application = application;
	history.stage = stage;
	object = stage_json(queue, &row, &history, now_us);
	history_clear(&history);
	store_stage_clear(&row);
	return object;
}

/* ---- builds ---- */

struct showing {
	const struct store_build *build;
	json_t *live_on, *live_jobs, *deployments;
};

static int
add_live(const char *application, const char *stage, const struct history_entry *live, void *arg)
{
	struct showing *showing = arg;

	(void)application;
	if (!names_build_equal(&live->build, &showing->build->build))
		return 0;
	(void)json_array_append_new(showing->live_on, json_string(stage));
	(void)json_object_set_new(showing->live_jobs, stage, json_integer(live->job));
	return 0;
}

static int
add_deployment(const struct job *job, void *arg)
{
	struct showing *showing = arg;
	bool live = json_integer_value(json_object_get(showing->live_jobs, job->stage)) == job->id;
	bool started = job->started_us > 0;

	return json_array_append_new(
	    showing->deployments,
	    json_pack(
		"{s:I, s:s, s:s, s:o, s:s, s:o, s:o, s:s, s:o, s:b}", "job", (json_int_t)job->id,
		"stage", job->stage, "state", job_state_shown(job->state), "mode",
		started ? json_text(job_mode_name(job->mode)) : json_null(), "plan", job->plan,
		"started", json_time(job->started_us), "finished", json_time(job->finished_us),
		"requested_by", job->requested_by, "reason", json_text(job->reason), "live", live));
}

static json_t *
artifacts_json(const struct store_build *build)
{
	json_t *array = json_array();

	for (size_t i = 0; i < build->nartifacts; i++)
		(void)json_array_append_new(
		    array, json_pack("{s:s, s:s, s:I, s:I}", "name", build->artifacts[i].name,
				     "digest", build->artifacts[i].digest, "files",
				     (json_int_t)build->artifacts[i].files, "bytes",
				     (json_int_t)build->artifacts[i].bytes));
	return array;
}

static json_t *
rejected_json(const struct store_build *build)
{
	if (!build->rejected)
		return json_null();
	return json_pack("{s:s, s:o, s:s}", "by", build->rejected_by ? build->rejected_by : "",
			 "at", json_time(build->rejected_us), "reason",
			 build->rejected_reason ? build->rejected_reason : "");
}

/* The stages, in their order, on which BUILD has succeeded. */
static json_t *
been_on(struct queue *queue, const struct store_build *build)
{
	const struct conf_application *known = conf_application(queue->conf, build->application);
	json_t *array = json_array();

	for (size_t i = 0; known && i < known->nstages; i++)
		if (store_succeeded(queue->store, build->application, known->stages[i].name,
				    &build->build, NULL) > 0)
			(void)json_array_append_new(array, json_string(known->stages[i].name));
	return array;
}

/* The first artifact that was found damaged. */
static json_t *
damaged_json(struct queue *queue, const struct store_build *build)
{
	for (size_t i = 0; i < build->nartifacts; i++) {
		_cleanup_free_ char *problem = NULL, *path = NULL;

		if (damage_find(queue->objects, build->artifacts[i].digest, &problem, &path) > 0)
			return json_pack("{s:s, s:s, s:s}", "artifact", build->artifacts[i].name,
					 "path", path, "problem", problem);
	}
	return json_null();
}

static json_t *
pinned_json(const struct store_build *build)
{
	if (!build->pinned_by)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "by", build->pinned_by, "at",
			 json_time(build->pinned_us), "reason", json_text(build->pin_reason));
}

json_t *
queue_build_json(struct queue *queue, const struct store_build *build, bool deployments)
{
	_cleanup_json_ json_t *live_jobs = json_object();
	struct showing showing = {
	    .build = build,
	    .live_on = json_array(),
	    .live_jobs = live_jobs,
	    .deployments = deployments ? json_array() : json_null(),
	};

	(void)store_live_each(queue->store, build->application, add_live, &showing, NULL);
	if (deployments)
		(void)store_job_each_build(queue->store, build->application, &build->build,
					   DEPLOYMENTS_MAX, add_deployment, &showing, NULL);
	return json_pack(
	    "{s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:O, s:o, s:o, s:o, s:o, s:o}",
	    "application", build->application, "release", build->build.release, "build",
	    (json_int_t)build->build.number, "status", build->rejected ? "rejected" : "active",
	    "rejected", rejected_json(build), "pinned", pinned_json(build), "signature",
	    json_text(build->signature), "created", json_time(build->created_us), "created_by",
	    build->created_by, "note", json_text(build->note), "variables", build->variables,
	    "artifacts", artifacts_json(build), "damaged", damaged_json(queue, build), "live_on",
	    showing.live_on, "been_on", been_on(queue, build), "deployments", showing.deployments);
}
