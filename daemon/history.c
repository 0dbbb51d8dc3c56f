/* SPDX-License-Identifier: ISC */
/*
 * The rules of redeploys as functions of values: the stack of what succeeded on a stage, the build
 * that a bare redeploy takes, the mode of a run, and the guard of what was live. The stack has each
 * build at most once; its top is live. Whoever loads a struct history fills it whole; it is changed
 * here by history_succeed() alone.
 */
#include "daemon/history.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

void
history_clear(struct history *history)
{
	free(history->stack);
	memset(history, 0, sizeof(*history));
}

const struct history_entry *
history_live(const struct history *history)
{
	return history->n > 0 ? &history->stack[history->n - 1] : NULL;
}

/* Where BUILD lies in the stack, or n when it does not. */
static size_t
position(const struct history *history, const struct build_ref *build)
{
	for (size_t i = history->n; i > 0; i--)
		if (names_build_equal(&history->stack[i - 1].build, build))
			return i - 1;
	return history->n;
}

void
history_succeed(struct history *history, const struct history_entry *entry)
{
	size_t at = position(history, &entry->build);

	if (at == history->n)
		XGROW(history->stack, history->n, history->room);
	history->stack[at] = *entry;
	history->n = at + 1;
}

/* The highest entry below TOP (which counts from 1) that is not rejected. */
static const struct history_entry *
good_below(const struct history *history, size_t top)
{
	for (size_t i = top; i > 0; i--)
		if (!history->stack[i - 1].rejected)
			return &history->stack[i - 1];
	return NULL;
}

const struct history_entry *
history_previous_good(const struct history *history)
{
	return history->n > 0 ? good_below(history, history->n - 1) : NULL;
}

static int
nothing(const struct history *history, struct err *err)
{
	int r;

	if (history->n == 0)
		r = err_set(
		    err, ERR_NOTHING_TO_REDEPLOY,
		    "%s has never had a successful deployment to %s: bmctl deploy %s BUILD --to %s",
		    history->application, history->stage, history->application, history->stage);
	else
		r = err_set(err, ERR_NOTHING_TO_REDEPLOY,
			    "%s has no earlier good build on %s to go back to: name one (bmctl "
			    "build list %s)",
			    history->application, history->stage, history->application);
	err_field(err, "application", json_string(history->application));
	err_field(err, "stage", json_string(history->stage));
	return r;
}

static int
nothing_for_damage(const struct history *history, struct err *err)
{
	int r = err_set(err, ERR_NOTHING_TO_REDEPLOY,
			"the record of job %lld changed on disk, so %s has no default build on %s: "
			"name one, or "
			"bmctl settle %s %s BUILD --reason TEXT",
			(long long)history->damaged_job, history->application, history->stage,
			history->application, history->stage);

	err_field(err, "application", json_string(history->application));
	err_field(err, "stage", json_string(history->stage));
	return r;
}

static int
refuse_running_rollback(const struct history *history, struct err *err)
{
	int r =
	    err_set(err, ERR_REFUSED,
		    "job %lld is already going back to %s on %s: wait for it (bmctl wait %lld), or "
		    "name a build",
		    (long long)history->running.job, names_build_text(&history->running.build).s,
		    history->stage, (long long)history->running.job);

	err_rule(err, ERR_RULE_RUNNING_ROLLBACK);
	err_field(err, "job", json_integer(history->running.job));
	return r;
}

int
history_default(const struct history *history, struct build_ref *ret_build, struct err *err)
{
	const struct history_run *unfinished = &history->unfinished;
	const struct history_entry *entry;

	if (history->damaged_job != 0)
		return nothing_for_damage(history, err);
	if (history->busy && history->running.mode == JOB_MODE_ROLLBACK)
		return refuse_running_rollback(history, err);
	if (!history->busy && history->dirty && unfinished->mode == JOB_MODE_ROLLBACK) {
		if (!unfinished->rejected) {
			*ret_build = unfinished->build;
			return 0;
		}
		entry = good_below(history, position(history, &unfinished->build));
	} else if (history->busy || history->dirty) {
		entry = good_below(history, history->n);
	} else {
		entry = history_previous_good(history);
	}
	if (!entry)
		return nothing(history, err);
	*ret_build = entry->build;
	return 0;
}

/* BUILD over the stack, if RUN had succeeded: is it below RUN's build then? */
static bool
below_after(const struct history *history, const struct history_run *run,
	    const struct build_ref *build)
{
	size_t top = position(history, &run->build), at = position(history, build);

	/* RUN's build is pushed (top is n then, and everything is below it) or pops what is above.
	 */
	return at < top && at < history->n;
}

enum job_mode
history_mode(const struct history *history, const struct build_ref *build, bool succeeded,
	     struct build_ref *ret_from)
{
	const struct history_run *run = NULL;
	const struct history_entry *live = history_live(history);
	bool below;

	succeeded = succeeded || position(history, build) < history->n; /* also when settled */
	/* Whatever comes of a run that is on the stage, the next one is reckoned from its build. */
	if (history->busy)
		run = &history->running;
	else if (history->dirty && history->unfinished.job != 0)
		run = &history->unfinished;

	if (run && !history->busy && names_build_equal(&run->build, build) &&
	    run->mode != JOB_MODE_NONE) {
		*ret_from = run->from;
		return run->mode;
	}
	if (run) {
		*ret_from = run->build;
		below = below_after(history, run, build);
		succeeded = succeeded || names_build_equal(&run->build, build);
	} else {
		*ret_from = live ? live->build : (struct build_ref){0};
		below = live && position(history, build) < history->n - 1;
	}
	if (below)
		return JOB_MODE_ROLLBACK;
	return succeeded ? JOB_MODE_REDEPLOY : JOB_MODE_DEPLOY;
}

enum history_verdict
history_guard(const struct history *history, const struct build_ref *expected, const json_t *ahead)
{
	const struct history_entry *live = history_live(history);
	size_t i;
	json_t *id;

	if (!live)
		return expected->release[0] == '\0' ? HISTORY_SAME : HISTORY_CHANGED;
	if (names_build_equal(&live->build, expected))
		return HISTORY_SAME;
	if (live->job == 0)
		return HISTORY_CHANGED;
	json_array_foreach (ahead, i, id)
		if (json_integer_value(id) == live->job)
			return HISTORY_SAME;
	return HISTORY_CHANGED;
}
