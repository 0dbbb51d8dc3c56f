/* SPDX-License-Identifier: ISC */
/*
 * May this build go live on this stage? One function a rule; each answers 0 or one sentence with
 * the rule's name. The request asks them, the start asks them again, and so does `bmctl check`.
 */
#include <errno.h>
#include <string.h>

#include "artifact/damage.h"
#include "artifact/manifest.h"
#include "common/json.h"
#include "common/signature.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

/* so long a manifest that was seen whole is believed */
#define WHOLE_FOR_US (INT64_C(5) * 1000000)

int
queue_check_rejected(const struct store_build *build, struct err *err)
{
	if (!build->rejected)
		return 0;
	return queue_rule(
	    err, ERR_RULE_REJECTED,
	    err_set(err, ERR_REFUSED, "%s %s was rejected by %s: %s (bmctl build restore %s %s)",
		    build->application, names_build_text(&build->build).s, build->rejected_by,
		    build->rejected_reason, build->application, names_build_text(&build->build).s));
}

static bool
has_artifact(const struct store_build *build, const char *name)
{
	for (size_t i = 0; i < build->nartifacts; i++)
		if (strcmp(build->artifacts[i].name, name) == 0)
			return true;
	return false;
}

static int
lacks(const struct store_build *build, const struct conf_plan *plan, const struct conf_step *step,
      const char *artifact, struct err *err)
{
	return queue_rule(
	    err, ERR_RULE_PLAN,
	    err_set(err, ERR_REFUSED,
		    "%s %s has no artifact %s, which step %s of plan %s needs: add a build "
		    "with %s=PATH",
		    build->application, names_build_text(&build->build).s, artifact, step->name,
		    plan->name, artifact));
}

/* The mode that a run would have which started now. */
static int
mode_now(struct queue *queue, const struct store_build *build, const struct conf_stage *stage,
	 enum job_mode *ret_mode, struct err *err)
{
	struct history history;
	struct build_ref from;
	int r = store_history_get(queue->store, build->application, stage->name, &history, err);

	if (r < 0)
		return r;
	r = store_succeeded(queue->store, build->application, stage->name, &build->build, err);
	*ret_mode = history_mode(&history, &build->build, r > 0, &from);
	history_clear(&history);
	return r < 0 ? r : 0;
}

/* Only what the steps of this mode need: a way back must not fail for a step that it skips. */
int
queue_check_plan(struct queue *queue, const struct store_build *build,
		 const struct conf_stage *stage, const struct conf_plan *plan, struct err *err)
{
	enum job_mode mode;
	int r;

	if (!plan)
		return queue_rule(
		    err, ERR_RULE_PLAN,
		    err_set(err, ERR_REFUSED,
			    "the plan %s of %s is not configured: add it, then bmctl reload",
			    stage->plan, stage->name));
	r = mode_now(queue, build, stage, &mode, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->nsteps; i++) {
		const struct conf_step *step = &plan->steps[i];

		if (queue_step_skipped(step, mode))
			continue;
		if (step->action == CONF_STEP_DEPLOY && !has_artifact(build, step->deploy))
			return lacks(build, plan, step, step->deploy, err);
		for (size_t k = 0; k < step->artifacts.n; k++)
			if (!has_artifact(build, step->artifacts.v[k]))
				return lacks(build, plan, step, step->artifacts.v[k], err);
	}
	return 0;
}

/* ---- signatures ---- */

static json_t *
signed_artifacts(const struct store_build *build)
{
	json_t *array = json_array();

	for (size_t i = 0; i < build->nartifacts; i++)
		(void)json_array_append_new(array, json_pack("{s:s, s:s}", "name",
							     build->artifacts[i].name, "digest",
							     build->artifacts[i].digest));
	return array;
}

int
queue_check_signature(const struct store_build *build, const struct conf_stage *stage,
		      struct err *err)
{
	const struct conf_strings *keys = &stage->require_signature;
	struct build_text name = names_build_text(&build->build);
	_cleanup_err_ struct err why = ERR_INIT;
	_cleanup_json_ json_t *artifacts = NULL;
	_cleanup_free_ char *text = NULL;

	if (keys->n == 0)
		return 0;
	if (!build->signature)
		return queue_rule(
		    err, ERR_RULE_SIGNATURE,
		    err_set(err, ERR_REFUSED,
			    "%s %s is not signed, and %s takes only signed builds: sign what "
			    "bmctl build manifest %s %s prints, and add it again with "
			    "--number %lld --signature FILE",
			    build->application, name.s, stage->name, build->application, name.s,
			    (long long)build->build.number));
	artifacts = signed_artifacts(build);
	text = signature_text(build->application, build->build.release, artifacts);
	if (signature_verify(build->signature, text, keys->v, keys->n, &why) == 0)
		return 0;
	return queue_rule(
	    err, ERR_RULE_SIGNATURE,
	    err_set(err, ERR_REFUSED,
		    "the signature of %s %s does not count on %s: %s (bmctl build manifest "
		    "%s %s)",
		    build->application, name.s, stage->name, why.text, build->application, name.s));
}

static bool
counts(const struct store_build *build, const char *signature, const struct conf_stage *stage)
{
	struct store_build as = *build;

	as.signature = (char *)(uintptr_t)signature;
	return queue_check_signature(&as, stage, NULL) == 0;
}

int
queue_check_resign(const struct conf_application *application, const struct store_build *build,
		   const char *signature, const struct queue_eyes *eyes, struct err *err)
{
	const char *where = NULL;

	for (size_t i = 0; i < application->nstages && !where; i++) {
		const struct conf_stage *stage = &application->stages[i];

		if (!counts(build, build->signature, stage) || counts(build, signature, stage))
			continue;
		where = queue_sees(eyes, application->name, stage->name) ? stage->name
									 : "another stage";
	}
	if (!where)
		return 0;
	return queue_rule(
	    err, ERR_RULE_SIGNATURE,
	    err_set(err, ERR_REFUSED,
		    "%s %s has a signature that counts on %s, where this one does not: a "
		    "build keeps it; add the same files without --number, as a build that "
		    "has this one",
		    application->name, names_build_text(&build->build).s, where));
}

/* ---- files ---- */

static int
damaged(const struct store_build *build, const struct store_artifact *artifact, const char *path,
	const char *what, struct err *err)
{
	_cleanup_free_ char *shown = json_terminal(path);

	return queue_rule(
	    err, ERR_RULE_DAMAGED,
	    err_set(err, ERR_REFUSED,
		    "%s %s: the stored file %s of artifact %s is %s: bmctl build repair %s %s "
		    "%s=PATH, with the original files",
		    build->application, names_build_text(&build->build).s, shown, artifact->name,
		    what, build->application, names_build_text(&build->build).s, artifact->name));
}

/* What the last verification said, until the files are whole again. */
static int
marked(struct queue *queue, const struct store_build *build, const struct store_artifact *artifact,
       struct err *err)
{
	_cleanup_free_ char *problem = NULL, *path = NULL;
	int r = damage_find(queue->objects, artifact->digest, &problem, &path);

	if (r < 0)
		return err_errno(err, -r, "cannot read what is damaged of artifact %s",
				 artifact->name);
	if (r == 0)
		return 0;
	return damaged(build, artifact, *path ? path : "(its list of files)",
		       strcmp(problem, "missing") == 0 ? "missing" : "damaged", err);
}

bool
queue_damaged(struct queue *queue, const struct store_build *build)
{
	for (size_t i = 0; i < build->nartifacts; i++)
		if (damage_find(queue->objects, build->artifacts[i].digest, NULL, NULL) != 0)
			return true;
	return false;
}

static bool
ref_damaged(struct queue *queue, const char *application, const struct build_ref *ref)
{
	_cleanup_(store_build_clear) struct store_build build = {0};

	return ref->release[0] != '\0' &&
	       store_build_get(queue->store, application, ref, &build, NULL) == 0 &&
	       queue_damaged(queue, &build);
}

/* A damaged build is passed over as a rejected one is. */
int
queue_history_get(struct queue *queue, const char *application, const char *stage,
		  struct history *ret_history, struct err *err)
{
	int r = store_history_get(queue->store, application, stage, ret_history, err);

	if (r < 0 || !queue->objects || !damage_any(queue->objects))
		return r;
	for (size_t i = 0; i < ret_history->n; i++)
		ret_history->stack[i].rejected |=
		    ref_damaged(queue, application, &ret_history->stack[i].build);
	ret_history->unfinished.rejected |=
	    ref_damaged(queue, application, &ret_history->unfinished.build);
	return r;
}

struct look {
	struct queue *queue;
	const struct store_build *build;
	const struct store_artifact *artifact;
	struct err *err;
	bool told; /* ERR says what is wrong */
};

static int
present(const struct manifest_entry *entry, void *arg)
{
	struct look *look = arg;
	int r;

	if (entry->kind != MANIFEST_FILE)
		return 0;
	r = objects_present(look->queue->objects, entry->digest, entry->size);
	if (r == 0)
		return 0;
	look->told = true;
	if (r == -ENOENT || r == -EBADMSG)
		return damaged(look->build, look->artifact, entry->path,
			       r == -ENOENT ? "missing" : "damaged", look->err);
	return err_errno(look->err, -r, "cannot look at the stored file %s", entry->path);
}

static int
artifact_whole(struct queue *queue, const struct store_build *build,
	       const struct store_artifact *artifact, struct err *err)
{
	struct look look = {.queue = queue, .build = build, .artifact = artifact, .err = err};
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = objects_get_manifest(queue->objects, artifact->digest, &text, &n, NULL);

	if (r == -ENOENT || r == -EBADMSG)
		return damaged(build, artifact, "(its list of files)",
			       r == -ENOENT ? "missing" : "damaged", err);
	if (r < 0)
		return err_errno(err, -r, "cannot read the list of files of artifact %s",
				 artifact->name);
	r = manifest_walk(text, n, present, &look, NULL);
	return r < 0 && !look.told ? damaged(build, artifact, "(its list of files)", "damaged", err)
				   : r;
}

static struct queue_whole *
seen(struct queue *queue, const char *digest)
{
	for (size_t i = 0; i < ARRAY_SIZE(queue->whole); i++)
		if (strcmp(queue->whole[i].digest, digest) == 0)
			return &queue->whole[i];
	return NULL;
}

int
queue_check_whole(struct queue *queue, const struct store_build *build, bool fresh, int64_t now_us,
		  struct err *err)
{
	for (size_t i = 0; i < build->nartifacts; i++) {
		const struct store_artifact *artifact = &build->artifacts[i];
		struct queue_whole *whole = seen(queue, artifact->digest);
		int r;

		r = marked(queue, build, artifact, err);
		if (r < 0)
			return r;
		if (whole && !fresh && now_us >= whole->seen_us &&
		    now_us - whole->seen_us < WHOLE_FOR_US)
			continue;
		r = artifact_whole(queue, build, artifact, err);
		if (r < 0) {
			if (whole)
				whole->digest[0] = '\0';
			return r;
		}
		if (!whole)
			whole = &queue->whole[queue->next_whole++ % ARRAY_SIZE(queue->whole)];
		memcpy(whole->digest, artifact->digest, sizeof(whole->digest));
		whole->seen_us = now_us;
	}
	return 0;
}

/* ---- requests ---- */

/* What a build carries, on this stage: bmd-run would refuse it too, but then it is night. */
int
queue_check_build_variables(struct queue *queue, const struct conf_application *application,
			    const struct conf_stage *stage, const struct store_build *build,
			    struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach (build->variables, name, value) {
		if (conf_variable_open(queue->conf, application, stage, name))
			continue;
		return queue_rule(
		    err, ERR_RULE_VARIABLE,
		    err_set(err, ERR_REFUSED,
			    "%s %s sets %s, which it may not on %s: list it in open = "
			    "{\"%s\"} of the stage, or add a build without it",
			    build->application, names_build_text(&build->build).s, name,
			    stage->name, name));
	}
	return 0;
}

int
queue_check_variables(struct queue *queue, const struct conf_application *application,
		      const struct conf_stage *stage, const json_t *variables, struct err *err)
{
	json_t *object = (json_t *)(uintptr_t)variables, *value;
	const char *name;

	if (json_object_size(variables) > NAMES_VARIABLES_MAX)
		return queue_rule(err, ERR_RULE_VARIABLE,
				  err_set(err, ERR_REFUSED,
					  "%zu variables are too many: at most %d",
					  json_object_size(variables), NAMES_VARIABLES_MAX));
	json_object_foreach (object, name, value) {
		if (!names_variable(name) || names_variable_reserved(name))
			return queue_rule(
			    err, ERR_RULE_VARIABLE,
			    err_set(err, ERR_REFUSED,
				    "a job may not set the variable %s: letters, digits and _, not "
				    "BM_*, PATH, HOME, USER, LOGNAME, ENV, BASH_ENV, IFS, LD_*",
				    name));
		if (!names_text(json_string_value(value), NAMES_VALUE_MAX, true))
			return queue_rule(
			    err, ERR_RULE_VARIABLE,
			    err_set(err, ERR_REFUSED,
				    "the value of %s is longer than %d bytes or no text", name,
				    NAMES_VALUE_MAX));
		if (!conf_variable_open(queue->conf, application, stage, name))
			return queue_rule(
			    err, ERR_RULE_VARIABLE,
			    err_set(err, ERR_REFUSED,
				    "%s is set by the configuration: list it in open = "
				    "{\"%s\"} of stage %s to let a job set it",
				    name, name, stage->name));
	}
	return 0;
}

int
queue_check_lock(const struct store_stage *stage, int64_t due_us, int64_t now_us, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (!queue_locked(stage, due_us))
		return 0;
	text = queue_lock_text(stage, now_us);
	r = err_set(err, ERR_REFUSED, "%s (bmctl unlock %s %s)", text, stage->application,
		    stage->stage);
	if (stage->lock_until_us)
		err_field(err, "until", json_time(stage->lock_until_us));
	return queue_rule(err, ERR_RULE_LOCKED, r);
}

int
queue_check_horizon(struct queue *queue, int64_t due_us, const char *zone, int64_t now_us,
		    struct err *err)
{
	if (due_us - now_us <= queue->conf->horizon_us)
		return 0;
	return queue_rule(
	    err, ERR_RULE_HORIZON,
	    err_set(err, ERR_REFUSED,
		    "%s (%s) is further ahead than the horizon of %s: take an earlier time, or set "
		    "horizon in bmd.conf",
		    when_local(due_us - due_us % WHEN_SECOND, zone[0] ? zone : queue_zone_here()).s,
		    when_distance(due_us, now_us).s, when_span(queue->conf->horizon_us).s));
}

int
queue_check_start(struct queue *queue, const struct job *job, int64_t now_us, struct err *err)
{
	const struct conf_application *application;
	const struct conf_stage *stage;
	struct store_build build;
	int r;

	r = queue_find_stage(queue, job->application, job->stage, &application, &stage, err);
	if (r < 0)
		return r;
	r = store_build_get(queue->store, job->application, &job->build, &build, err);
	if (r < 0)
		return r;
	r = queue_check_rejected(&build, err);
	if (r == 0)
		r = queue_check_signature(&build, stage, err);
	if (r == 0)
		r = queue_check_approval(queue, job, err);
	if (r == 0)
		r = queue_check_plan(queue, &build, stage, conf_plan(queue->conf, stage->plan),
				     err);
	if (r == 0)
		r = queue_check_build_variables(queue, application, stage, &build, err);
	if (r == 0)
		r = queue_check_variables(queue, application, stage, job->variables, err);
	if (r == 0)
		/* What the request has seen a moment ago is believed; bmd-run looks again. */
		r = queue_check_whole(queue, &build, false, now_us, err);
	store_build_clear(&build);
	return r;
}

/* ---- bmctl check ---- */

static void
problem(json_t *problems, int r, struct err *err)
{
	if (r < 0)
		(void)json_array_append_new(problems, json_string(err->text));
	err_clear(err);
	*err = ERR_INIT;
}

static void
check_build(struct queue *queue, const struct conf_application *application,
	    const struct conf_stage *stage, const struct build_ref *ref, int64_t now_us,
	    json_t *problems)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct store_build build;
	struct store_stage at;
	int r;

	r = store_build_get(queue->store, application->name, ref, &build, &err);
	problem(problems, r, &err);
	if (r < 0)
		return;
	problem(problems, queue_check_rejected(&build, &err), &err);
	problem(problems, queue_check_signature(&build, stage, &err), &err);
	problem(problems,
		queue_check_plan(queue, &build, stage, conf_plan(queue->conf, stage->plan), &err),
		&err);
	problem(problems, queue_check_build_variables(queue, application, stage, &build, &err),
		&err);
	problem(problems, queue_check_whole(queue, &build, true, now_us, &err), &err);
	store_build_clear(&build);
	r = store_stage_get(queue->store, application->name, stage->name, &at, &err);
	if (r == 0) {
		r = queue_check_lock(&at, now_us, now_us, &err);
		store_stage_clear(&at);
	}
	problem(problems, r, &err);
}

json_t *
queue_check(struct queue *queue, const char *application, const char *stage, int64_t now_us)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const struct conf_application *found;
	const struct conf_stage *at;
	struct history history = {0};
	struct build_ref to = {0};
	json_t *problems = json_array(), *note = json_null();
	int r;

	r = queue_find_stage(queue, application, stage, &found, &at, &err);
	if (r == 0)
		r = queue_history_get(queue, application, at->name, &history, &err);
	if (r < 0) {
		(void)json_array_append_new(problems, json_string(err.text));
	} else if (history_default(&history, &to, &err) < 0) {
		to = (struct build_ref){0};
		note = json_string(err.text);
	} else {
		check_build(queue, found, at, &to, now_us, problems);
	}
	history_clear(&history);
	return json_pack("{s:s, s:s, s:o, s:b, s:o, s:o}", "application", application, "stage",
			 stage, "to", queue_ref_json(&to), "ready", json_array_size(problems) == 0,
			 "problems", problems, "note", note);
}
