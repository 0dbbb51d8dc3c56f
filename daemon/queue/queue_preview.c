/* SPDX-License-Identifier: ISC */
/*
 * The dry run: what a deployment would do, as far as it can be known now.
 * Nothing is changed and nothing here is a reason to refuse: what would be refused is among the
 * problems.
 */
#include <errno.h>
#include <string.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

/* ---- steps ---- */

static unsigned
mode_bit(enum job_mode mode)
{
	switch (mode) {
	case JOB_MODE_ROLLBACK:
		return CONF_ROLLBACK;
	case JOB_MODE_REDEPLOY:
		return CONF_REDEPLOY;
	default:
		return CONF_DEPLOY;
	}
}

const char *
queue_step_skipped(const struct conf_step *step, enum job_mode mode)
{
	unsigned bit = mode_bit(mode);

	if (step->only_on && !(step->only_on & bit))
		return "only-on";
	return step->skip_on & bit ? "skip-on" : NULL;
}

static json_t *
steps(const struct conf_plan *plan, enum job_mode mode)
{
	json_t *array = json_array();

	for (size_t i = 0; plan && i < plan->nsteps; i++) {
		const struct conf_step *step = &plan->steps[i];
		const char *why = queue_step_skipped(step, mode);

		(void)json_array_append_new(array,
					    json_pack("{s:s, s:b, s:o, s:b}", "name", step->name,
						      "runs", why == NULL, "why", json_text(why),
						      "irreversible", step->irreversible));
	}
	return array;
}

/* ---- files ---- */

struct counts {
	int64_t added, changed, removed;
};

static void
count(const struct manifest_entry *old, const struct manifest_entry *new, void *arg)
{
	struct counts *counts = arg;

	if (!old)
		counts->added++;
	else if (!new)
		counts->removed++;
	else
		counts->changed++;
}

/* The list of files of an artifact, whose entries borrow from its text: half the work of a parsed
 * one, and bmd's loop waits for it. */
struct listed {
	char *text;
	struct manifest manifest;
};

static void
listed_clear(struct listed *listed)
{
	free(listed->manifest.v);
	free(listed->text);
}

static int
borrow(const struct manifest_entry *entry, void *arg)
{
	struct manifest *manifest = arg;

	XGROW(manifest->v, manifest->n, manifest->room);
	manifest->v[manifest->n++] = *entry;
	return 0;
}

/* An empty list where there is no such artifact. */
static void
read_list(struct queue *queue, const struct store_build *build, const char *name,
	  struct listed *ret, json_t *problems)
{
	_cleanup_err_ struct err err = ERR_INIT;
	size_t n;
	int r;

	for (size_t i = 0; build && i < build->nartifacts; i++) {
		if (strcmp(build->artifacts[i].name, name) != 0)
			continue;
		r = objects_get_manifest(queue->objects, build->artifacts[i].digest, &ret->text, &n,
					 &err);
		if (r == 0)
			r = manifest_walk(ret->text, n, borrow, &ret->manifest, &err);
		if (r < 0) {
			ret->manifest.n = 0;
			(void)json_array_append_new(problems, json_string(err.text));
		}
		return;
	}
}

static void
diff_artifact(struct queue *queue, const struct store_build *old, const struct store_build *new,
	      const char *name, struct counts *counts, json_t *problems)
{
	_cleanup_(listed_clear) struct listed before = {0};
	_cleanup_(listed_clear) struct listed after = {0};

	read_list(queue, old, name, &before, problems);
	read_list(queue, new, name, &after, problems);
	manifest_diff(&before.manifest, &after.manifest, count, counts);
}

static const struct store_artifact *
find_artifact(const struct store_build *build, const char *name)
{
	for (size_t i = 0; build && i < build->nartifacts; i++)
		if (strcmp(build->artifacts[i].name, name) == 0)
			return &build->artifacts[i];
	return NULL;
}

static json_t *
files(struct queue *queue, const struct store_build *old, const struct store_build *new,
      json_t *problems)
{
	struct counts counts = {0};

	for (size_t i = 0; i < new->nartifacts; i++) {
		const struct store_artifact *before = find_artifact(old, new->artifacts[i].name);

		if (!before || strcmp(before->digest, new->artifacts[i].digest) != 0)
			diff_artifact(queue, old, new, new->artifacts[i].name, &counts, problems);
	}
	for (size_t i = 0; old && i < old->nartifacts; i++)
		if (!find_artifact(new, old->artifacts[i].name))
			diff_artifact(queue, old, new, old->artifacts[i].name, &counts, problems);
	return json_pack("{s:I, s:I, s:I}", "added", (json_int_t)counts.added, "changed",
			 (json_int_t)counts.changed, "removed", (json_int_t)counts.removed);
}

/* ---- variables ---- */

/* A build's variables with a job's over them. */
static json_t *
merged(const json_t *build, const json_t *job)
{
	json_t *object = json_object();

	if (build)
		(void)json_object_update(object, (json_t *)(uintptr_t)build);
	if (job)
		(void)json_object_update(object, (json_t *)(uintptr_t)job);
	return object;
}

static json_t *
differ(json_t *a, json_t *b)
{
	json_t *names = json_array(), *value;
	const char *name;

	json_object_foreach (a, name, value)
		if (!json_equal(value, json_object_get(b, name)))
			(void)json_array_append_new(names, json_string(name));
	json_object_foreach (b, name, value)
		if (!json_object_get(a, name))
			(void)json_array_append_new(names, json_string(name));
	return names;
}

/* Between what lies there now, as its last run made it, and what would. */
static json_t *
variables(struct queue *queue, const struct queue_plan *plan, const struct store_build *old)
{
	_cleanup_json_ json_t *before = NULL, *after = NULL;
	struct job job = {0};
	char digest[65];
	int64_t id = 0, finished_us;

	if (old &&
	    store_last_run(queue->store, old->application, plan->stage->name, &old->build, &id,
			   digest, &finished_us, NULL) == 0 &&
	    id > 0)
		(void)store_job_get(queue->store, id, &job, NULL);
	before = merged(old ? old->variables : NULL, job.variables);
	after = merged(plan->build->variables, plan->variables);
	job_clear(&job);
	return differ(before, after);
}

/* ---- the whole ---- */

/* Whether the stage's plan is another one than at the build's last run here; null when it never
 * ran. */
static int
plan_changed(struct queue *queue, const struct queue_plan *plan, json_t **ret, struct err *err)
{
	char then[65] = "", now[65];
	int64_t job, finished_us;
	int r = store_last_run(queue->store, plan->application->name, plan->stage->name,
			       &plan->build->build, &job, then, &finished_us, err);

	if (r < 0)
		return r;
	if (job == 0 || then[0] == '\0') {
		*ret = json_null();
		return 0;
	}
	free(conf_resolve(queue->conf, plan->application, plan->stage, now));
	*ret = json_boolean(strcmp(then, now) != 0);
	return 0;
}

/* The build that would be replaced; RET_OLD stays as it is when there is none any more. */
static int
from_of(struct queue *queue, const struct queue_plan *plan, const struct build_ref *from,
	struct store_build *build, struct store_build **ret_old, struct err *err)
{
	_cleanup_err_ struct err missing = ERR_INIT;
	int r;

	if (from->release[0] == '\0')
		return 0;
	r = store_build_get(queue->store, plan->application->name, from, build, &missing);
	if (r == 0)
		*ret_old = build;
	if (r < 0 && r != -ENOENT)
		(void)err_set(err, missing.code, "%s", missing.text);
	return r == -ENOENT ? 0 : r;
}

json_t *
queue_preview(struct queue *queue, const struct queue_plan *plan, struct err *err)
{
	struct store_build from_build, *old = NULL;
	struct build_ref from;
	enum job_mode mode;
	json_t *changed, *preview;
	int succeeded = store_succeeded(queue->store, plan->application->name, plan->stage->name,
					&plan->build->build, err);

	if (succeeded < 0)
		return NULL;
	mode = history_mode(plan->history, &plan->build->build, succeeded > 0, &from);
	if (from_of(queue, plan, &from, &from_build, &old, err) < 0)
		return NULL;
	if (plan_changed(queue, plan, &changed, err) < 0) {
		if (old)
			store_build_clear(old);
		return NULL;
	}
	preview = json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:O, s:O, s:O}",
			    "application", plan->application->name, "stage", plan->stage->name,
			    "from", queue_ref_json(&from), "to",
			    queue_ref_json(&plan->build->build), "mode", job_mode_name(mode), "at",
			    json_time(plan->due_us), "steps", steps(plan->plan, mode), "files",
			    files(queue, old, plan->build, plan->problems), "variables_differ",
			    variables(queue, plan, old), "plan_changed", changed, "not_undone",
			    plan->not_undone, "problems", plan->problems, "window", plan->window);
	if (old)
		store_build_clear(old);
	return preview;
}
