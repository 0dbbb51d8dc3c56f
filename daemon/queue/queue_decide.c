/* SPDX-License-Identifier: ISC */
/*
 * What humans decide about jobs, stages and builds that are there already: cancel, move, let go,
 * lock, settle, reject. That it was asked for is a row of the audit, which methods add.
 */
#include <errno.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

static int
rule(struct err *err, enum err_rule name, int64_t job, int r)
{
	if (job > 0)
		err_field(err, "job", json_integer(job));
	return queue_rule(err, name, r);
}

/* ---- jobs ---- */

static int
not_in_state(const struct job *job, const char *verb, const char *next, struct err *err)
{
	bool final = job_state_final(job->state);
	/* Shown as queued, which can be moved. */
	const char *is = job->state == JOB_STARTING ? "being started" : job_state_shown(job->state);

	return rule(err, final ? ERR_RULE_FINAL : ERR_RULE_STATE, job->id,
		    err_set(err, ERR_REFUSED, "job %lld is %s: it cannot be %s%s%s",
			    (long long)job->id, is, verb, next[0] ? ", " : "", next));
}

/* A job on its way: bmd-run is told, and what it answers decides. Until then its message is why. */
static int
cancel_active(struct queue *queue, struct job *job, const char *reason, const struct queue_who *who,
	      struct err *err)
{
	if (reason || !job->cancel_by) {
		free(job->message);
		job->message = xstrdup(reason);
	}
	if (job->cancel_by)
		job->cancel_now = true;
	else
		job->cancel_by = xstrdup(who->name);
	return store_job_update(queue->store, job, job->state, NULL, err);
}

static int
cancel(struct queue *queue, struct job *job, const char *reason, const struct queue_who *who,
       int64_t now_us, bool *ret_kill, struct err *err)
{
	int r;

	*ret_kill = false;
	if (job->state == JOB_CANCELLED)
		return 0;
	if (job_state_final(job->state))
		return not_in_state(job, "cancelled", "bmctl redeploy goes back", err);
	if (job->state == JOB_STARTING || job->state == JOB_RUNNING) {
		*ret_kill = true;
		r = cancel_active(queue, job, reason, who, err);
	} else {
		r = queue_end(queue, job, JOB_CANCELLED, who->name, now_us, reason, err);
	}
	return r;
}

int
queue_cancel(struct queue *queue, int64_t id, const char *reason, const struct queue_who *who,
	     int64_t now_us, bool *ret_kill, struct job *ret_job, struct err *err)
{
	struct job job;
	bool kill = false;
	int r = store_job_get(queue->store, id, &job, err);

	if (r < 0)
		return r;
	r = cancel(queue, &job, reason, who, now_us, &kill, err);
	if (r < 0) {
		job_clear(&job);
		return r;
	}
	*ret_kill = kill;
	*ret_job = job;
	return 0;
}

/* The ids in MORE that LIST lacks, added to it; the oldest go when there are too many. */
static void
add_ids(json_t *list, const json_t *more)
{
	size_t i, k;
	json_t *id, *there;

	json_array_foreach (more, i, id) {
		bool known = false;

		json_array_foreach (list, k, there)
			known = known || json_integer_value(there) == json_integer_value(id);
		if (!known)
			(void)json_array_append(list, id);
	}
	while (json_array_size(list) > (size_t)8 * QUEUE_AHEAD_MAX)
		(void)json_array_remove(list, 0);
}

static int
move(struct queue *queue, struct job *job, const struct queue_when *when, int64_t now_us,
     struct err *err)
{
	_cleanup_json_ json_t *ahead = NULL;
	struct history history = {0};
	struct store_stage stage;
	bool waited = job->timed;
	int64_t asked_us;
	enum job_state to;
	int r;

	r = queue_set_when(job, when, now_us, err);
	if (r == 0)
		r = queue_check_horizon(queue, job->due_us, job->zone, now_us, err);
	if (r < 0)
		return r;
	r = store_stage_get(queue->store, job->application, job->stage, &stage, err);
	if (r < 0)
		return r;
	r = queue_check_lock(&stage, job->due_us, now_us, err);
	store_stage_clear(&stage);
	if (r == 0)
		r = queue_history_get(queue, job->application, job->stage, &history, err);
	if (r == 0)
		r = queue_ahead(queue, job, &history, &ahead, err);
	asked_us = queue_asked_us(&history, now_us);
	history_clear(&history);
	if (r < 0)
		return r;
	add_ids(job->ahead, ahead);
	/* From now on it waits for a time, and must not overwrite what goes live until then. */
	if (!waited && job->timed && !job->redeploy && job->if_changed == JOB_RUN)
		job->if_changed = JOB_HOLD;
	job->grace_from_us = job->due_us;
	job->asked_us = asked_us;
	job->not_before_us = 0;
	job->attempts = 0;
	free(job->message);
	job->message = NULL;
	r = queue_zone_note(queue, job, err);
	if (r < 0)
		return r;
	to = job->due_us > now_us ? JOB_SCHEDULED : JOB_QUEUED;
	if (to == job->state)
		return store_job_update(queue->store, job, to, NULL, err);
	return queue_move(queue, job, to, err);
}

int
queue_reschedule(struct queue *queue, int64_t id, const struct queue_when *when, int64_t now_us,
		 struct job *ret_job, struct err *err)
{
	struct job job;
	int r = store_job_get(queue->store, id, &job, err);

	if (r < 0)
		return r;
	if (job.state == JOB_HELD)
		r = rule(err, ERR_RULE_STATE, id,
			 err_set(err, ERR_REFUSED,
				 "job %lld is held: bmctl release %lld or bmctl cancel %lld first",
				 (long long)id, (long long)id, (long long)id));
	else if (job.state != JOB_SCHEDULED && job.state != JOB_QUEUED)
		r = not_in_state(&job, "moved", "ask for a new one (bmctl redeploy, bmctl deploy)",
				 err);
	else
		r = move(queue, &job, when, now_us, err);
	if (r < 0)
		job_clear(&job);
	else
		*ret_job = job;
	return r;
}

int
queue_pass(struct queue *queue, int64_t id, const json_t *override, const char *reason,
	   const struct queue_who *who, int64_t now_us, struct err *err)
{
	struct job job;
	int r = store_job_get(queue->store, id, &job, err);

	if (r < 0)
		return r;
	if ((job.state == JOB_SCHEDULED || job.state == JOB_QUEUED) &&
	    (json_is_object(override) || (reason && !job.reason))) {
		r = queue_override(queue, &job, override, reason, who, now_us, err);
		if (r == 0 && reason && !job.reason)
			job.reason = xstrdup(reason);
		if (r == 0)
			r = store_job_update(queue->store, &job, job.state, NULL, err);
	}
	job_clear(&job);
	return r;
}

static int
check_still_good(struct queue *queue, const struct job *job, struct err *err)
{
	struct store_build build;
	int r;

	if (job->wanted) /* its build is chosen when it starts */
		return 0;
	r = store_build_get(queue->store, job->application, &job->build, &build, err);
	if (r < 0)
		return r;
	r = queue_check_rejected(&build, err);
	store_build_clear(&build);
	return r;
}

/* What is live now is accepted, and so is what is ahead now; the grace begins again. */
static int
let_go(struct queue *queue, struct job *job, const struct queue_who *who, int64_t now_us,
       struct err *err)
{
	const struct history_entry *live;
	struct history history = {0};
	json_t *ahead = NULL;
	int r;

	if (who->approves && queue_needs_approval(queue, job))
		queue_approve(job, who, now_us);
	r = queue_check_approval(queue, job, err);
	if (r == 0)
		r = check_still_good(queue, job, err);
	if (r == 0)
		r = queue_history_get(queue, job->application, job->stage, &history, err);
	if (r == 0)
		r = queue_ahead(queue, job, &history, &ahead, err);
	if (r == 0) {
		live = history_live(&history);
		job->expected = live ? live->build : (struct build_ref){0};
		json_decref(job->ahead);
		job->ahead = ahead;
		job->grace_from_us = job->due_us > now_us ? job->due_us : now_us;
		job->asked_us = queue_asked_us(&history, now_us);
		if (who->operates)
			job->answers_uid = who->uid;
		job->not_before_us = 0;
		if (job->attempts > 0)
			free(TAKE(job->message)); /* why they did not happen */
		job->attempts = 0;
		free(job->hold_reason);
		job->hold_reason = NULL;
		r = queue_move(queue, job, job->due_us > now_us ? JOB_SCHEDULED : JOB_QUEUED, err);
	}
	history_clear(&history);
	return r;
}

int
queue_release(struct queue *queue, int64_t id, const struct queue_who *who, int64_t now_us,
	      struct job *ret_job, struct err *err)
{
	struct job job;
	int r = store_job_get(queue->store, id, &job, err);

	if (r < 0)
		return r;
	if (job.state != JOB_HELD)
		r = not_in_state(&job, "released", "only a held job can", err);
	else
		r = let_go(queue, &job, who, now_us, err);
	if (r < 0)
		job_clear(&job);
	else
		*ret_job = job;
	return r;
}

/* ---- stages ---- */

static int
check_reason(const char *reason, struct err *err)
{
	if (reason && reason[0] && names_text(reason, NAMES_TEXT_MAX, true))
		return 0;
	return queue_bad_parameter(err, "reason",
				   err_set(err, ERR_INVALID_PARAMETER,
					   "a reason is needed, of at most %d bytes of text",
					   NAMES_TEXT_MAX));
}

static int
put_lock(struct queue *queue, struct store_stage *stage, const char *reason, int64_t until_us,
	 const struct queue_who *who, int64_t now_us, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (queue_locked_now(queue, stage, now_us) && strcmp(stage->locked_by, who->name) != 0) {
		text = queue_lock_text(stage, now_us);
		return rule(err, ERR_RULE_LOCKED, 0,
			    err_set(err, ERR_REFUSED, "%s: bmctl unlock %s %s first", text,
				    stage->application, stage->stage));
	}
	free(stage->locked_by);
	free(stage->lock_reason);
	stage->locked_by = xstrdup(who->name);
	stage->lock_reason = xstrdup(reason);
	stage->locked_us = now_us;
	stage->lock_until_us = until_us;
	return store_stage_put(queue->store, stage, err);
}

int
queue_lock(struct queue *queue, const char *application, const char *stage, const char *reason,
	   int64_t until_us, const struct queue_who *who, int64_t now_us, struct err *err)
{
	const struct conf_stage *found;
	struct store_stage at;
	int r = queue_find_stage(queue, application, stage, NULL, &found, err);

	if (r == 0)
		r = check_reason(reason, err);
	if (r == 0 && until_us != 0 && until_us <= now_us)
		r = err_set(err, ERR_BAD_TIME, "%s is in the past: a lock ends later than now",
			    when_local(until_us, queue_zone_here()).s);
	if (r == 0)
		r = store_stage_get(queue->store, application, stage, &at, err);
	if (r < 0)
		return r;
	r = put_lock(queue, &at, reason, until_us, who, now_us, err);
	store_stage_clear(&at);
	return r;
}

int
queue_unlock(struct queue *queue, const char *application, const char *stage, struct err *err)
{
	const struct conf_stage *found;
	struct store_stage at;
	int r = queue_find_stage(queue, application, stage, NULL, &found, err);

	if (r == 0)
		r = store_stage_get(queue->store, application, stage, &at, err);
	if (r < 0)
		return r;
	if (at.locked_by) {
		free(at.locked_by);
		free(at.lock_reason);
		at.locked_by = at.lock_reason = NULL;
		at.locked_us = at.lock_until_us = 0;
		r = store_stage_put(queue->store, &at, err);
	}
	store_stage_clear(&at);
	return r;
}

/* BUILD is live, says a human: as if its run had succeeded now. */
static int
settle_build(struct queue *queue, struct history *history, struct store_stage *at,
	     const struct build_ref *build, const struct queue_who *who, int64_t now_us,
	     struct err *err)
{
	struct history_entry entry = {.build = *build, .since_us = now_us};
	struct store_build row;
	int r = queue_find_build(queue, at->application, build->release, build->number, &row, err);

	if (r < 0)
		return r;
	entry.build = row.build;
	entry.rejected = row.rejected;
	store_build_clear(&row);
	r = queue_check_word(queue, at->application, at->stage, &entry.build, who, err);
	if (r < 0)
		return r;
	(void)snprintf(entry.by, sizeof(entry.by), "%s", who->name);
	history_succeed(history, &entry);
	at->dirty = false;
	at->dirty_job = at->dirty_us = 0;
	return store_history_put(queue->store, history, err);
}

int
queue_settle(struct queue *queue, const char *application, const char *stage,
	     const struct build_ref *build, const char *reason, const struct queue_who *who,
	     int64_t now_us, struct err *err)
{
	const struct conf_stage *found;
	struct history history = {0};
	struct store_stage at;
	int r;

	r = queue_find_stage(queue, application, stage, NULL, &found, err);
	if (r == 0)
		r = check_reason(reason, err);
	if (r == 0)
		r = queue_history_get(queue, application, stage, &history, err);
	if (r < 0)
		return r;
	if (history.busy) {
		r = rule(err, ERR_RULE_STATE, history.running.job,
			 err_set(err, ERR_REFUSED,
				 "job %lld is running on %s: wait for it or cancel it first",
				 (long long)history.running.job, stage));
		history_clear(&history);
		return r;
	}
	r = store_stage_get(queue->store, application, stage, &at, err);
	if (r < 0) {
		history_clear(&history);
		return r;
	}
	at.occupied_job = 0;
	if (build) {
		r = settle_build(queue, &history, &at, build, who, now_us, err);
	} else if (!at.dirty) {
		/* A run that left it dirty stays known: it tells the way back. */
		r = queue_failed_us(queue, application, stage, now_us, &at.dirty_us, err);
		at.dirty = true;
		at.dirty_job = 0;
	}
	if (r == 0)
		r = store_stage_put(queue->store, &at, err);
	if (r == 0)
		r = store_damage_settle(queue->store, application, stage, err);
	history_clear(&history);
	store_stage_clear(&at);
	return r;
}

/* ---- builds ---- */

struct rejecting {
	struct queue *queue;
	const struct store_build *build;
	const char *by, *reason;
	json_t *warnings;
	struct err *err;
	int64_t last_due, last_id;
	int n;
};

static int
reject_live(const char *application, const char *stage, const struct history_entry *live, void *arg)
{
	struct rejecting *rejecting = arg;

	if (rejecting->reason && names_build_equal(&live->build, &rejecting->build->build))
		(void)json_array_append_new(
		    rejecting->warnings,
		    json_sprintf("%s is live on %s: bmctl redeploy %s --to %s --now%s goes back",
				 names_build_text(&live->build).s, stage, application, stage,
				 queue_asks(rejecting->queue, application, stage)));
	return 0;
}

static int
hold_rejected(struct rejecting *rejecting, const struct job *job)
{
	struct job copy;
	int r = store_job_get(rejecting->queue->store, job->id, &copy, rejecting->err);

	if (r < 0)
		return r;
	r = queue_hold(rejecting->queue, &copy, rejecting->err, "%s was rejected by %s: %s",
		       names_build_text(&job->build).s, rejecting->by, rejecting->reason);
	job_clear(&copy);
	(void)json_array_append_new(rejecting->warnings,
				    json_sprintf("job %lld is held now: bmctl cancel %lld",
						 (long long)job->id, (long long)job->id));
	return r;
}

static int
reject_job(const struct job *job, void *arg)
{
	struct rejecting *rejecting = arg;

	rejecting->n++;
	rejecting->last_due = job->due_us;
	rejecting->last_id = job->id;
	if (!names_build_equal(&job->build, &rejecting->build->build))
		return 0;
	if (job->wanted && job->state != JOB_RUNNING && job->state != JOB_STARTING)
		return 0; /* another may have its turn */
	if (rejecting->reason && (job->state == JOB_SCHEDULED || job->state == JOB_QUEUED))
		return hold_rejected(rejecting, job);
	if (rejecting->reason && job->state != JOB_HELD)
		(void)json_array_append_new(
		    rejecting->warnings,
		    json_sprintf("job %lld deploys it right now: bmctl cancel %lld",
				 (long long)job->id, (long long)job->id));
	else if (!rejecting->reason && job->state == JOB_HELD)
		(void)json_array_append_new(rejecting->warnings,
					    json_sprintf("job %lld stays held: bmctl release %lld",
							 (long long)job->id, (long long)job->id));
	return 0;
}

static int
reject_jobs(struct rejecting *rejecting)
{
	int r;

	rejecting->last_due = INT64_MIN;
	do {
		rejecting->n = 0;
		r = store_job_each_waiting(rejecting->queue->store, rejecting->build->application,
					   rejecting->last_due, rejecting->last_id, QUEUE_BATCH,
					   reject_job, rejecting, rejecting->err);
	} while (r == 0 && rejecting->n == QUEUE_BATCH);
	return r;
}

int
queue_reject(struct queue *queue, const char *application, const struct build_ref *ref,
	     const char *reason, const struct queue_who *who, int64_t now_us, json_t **ret_warnings,
	     struct err *err)
{
	_cleanup_json_ json_t *warnings = json_array();
	struct store_build build;
	struct rejecting rejecting = {
	    .queue = queue,
	    .build = &build,
	    .by = who->name,
	    .reason = reason,
	    .warnings = warnings,
	    .err = err,
	};
	int r = reason ? check_reason(reason, err) : 0;

	if (r == 0)
		r = queue_find_build(queue, application, ref->release, ref->number, &build, err);
	if (r < 0)
		return r;
	r = store_build_reject(queue->store, build.id, who->name, now_us, reason, err);
	if (r == 0)
		r = store_live_each(queue->store, application, reject_live, &rejecting, err);
	if (r == 0)
		r = reject_jobs(&rejecting);
	store_build_clear(&build);
	if (r == 0)
		*ret_warnings = TAKE(warnings);
	return r;
}

int
queue_pin(struct queue *queue, const char *application, const struct build_ref *ref, bool pin,
	  const char *reason, const struct queue_who *who, int64_t now_us, struct err *err)
{
	struct store_build build;
	int r = reason ? check_reason(reason, err) : 0;

	if (r == 0)
		r = queue_find_build(queue, application, ref->release, ref->number, &build, err);
	if (r < 0)
		return r;
	r = store_build_pin(queue->store, build.id, pin ? who->name : NULL, now_us, reason, err);
	store_build_clear(&build);
	return r;
}
