/* SPDX-License-Identifier: ISC */
/*
 * A stage that others deployed to before bmd: a human says which builds were live on it, oldest
 * first, all at once. It is a beginning and no correction: a stage with a history is settled.
 */
#include <errno.h>
#include <stdio.h>

#include "common/json.h"
#include "daemon/queue/queue_private.h"

static bool
is_history(const struct history *history, const struct build_ref *builds, size_t n)
{
	if (history->n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!names_build_equal(&history->stack[i].build, &builds[i]))
			return false;
	return true;
}

/* May HISTORY become BUILDS? 1 if it is so already. */
static int
look(const struct history *history, const struct store_stage *at, const struct build_ref *builds,
     size_t n, struct err *err)
{
	const struct history_entry *live = history_live(history);

	if (history->busy || at->occupied_job > 0)
		return queue_rule(
		    err, ERR_RULE_STATE,
		    err_set(err, ERR_REFUSED,
			    "job %lld is on %s: wait for it, or bmctl settle if it is lost",
			    (long long)(history->busy ? history->running.job : at->occupied_job),
			    at->stage));
	if (!at->dirty && is_history(history, builds, n))
		return 1;
	if (live)
		return queue_rule(
		    err, ERR_RULE_HISTORY,
		    err_set(err, ERR_REFUSED,
			    "%s of %s has a history: %s is live; only a stage that was never "
			    "deployed to is adopted, elsewhere bmctl settle %s %s BUILD "
			    "says what is live",
			    at->stage, at->application, names_build_text(&live->build).s,
			    at->application, at->stage));
	return 0;
}

static int
push(struct queue *queue, struct history *history, const struct build_ref *build,
     const struct queue_who *who, int64_t now_us, struct err *err)
{
	struct history_entry entry = {.build = *build, .since_us = now_us};
	struct store_build row;
	int r =
	    queue_find_build(queue, history->application, build->release, build->number, &row, err);

	if (r < 0)
		return r;
	entry.rejected = row.rejected;
	store_build_clear(&row);
	r = queue_check_word(queue, history->application, history->stage, build, who, err);
	if (r < 0)
		return r;
	(void)snprintf(entry.by, sizeof(entry.by), "%s", who->name);
	history_succeed(history, &entry);
	return 0;
}

static int
adopt(struct queue *queue, struct history *history, struct store_stage *at,
      const struct build_ref *builds, size_t n, const struct queue_who *who, int64_t now_us,
      struct err *err)
{
	int r = look(history, at, builds, n, err);

	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < n && r == 0; i++)
		r = push(queue, history, &builds[i], who, now_us, err);
	if (r < 0)
		return r;
	at->dirty = false;
	at->dirty_job = at->dirty_us = 0;
	if ((r = store_history_put(queue->store, history, err)) == 0)
		r = store_stage_put(queue->store, at, err);
	return r < 0 ? r : 1;
}

int
queue_adopt(struct queue *queue, const char *application, const char *stage,
	    const struct build_ref *builds, size_t n, const struct queue_who *who, int64_t now_us,
	    struct err *err)
{
	const struct conf_stage *found;
	struct history history = {0};
	struct store_stage at;
	int r = queue_find_stage(queue, application, stage, NULL, &found, err);

	if (r == 0)
		r = queue_history_get(queue, application, stage, &history, err);
	if (r < 0)
		return r;
	r = store_stage_get(queue->store, application, stage, &at, err);
	if (r == 0) {
		r = adopt(queue, &history, &at, builds, n, who, now_us, err);
		store_stage_clear(&at);
	}
	history_clear(&history);
	return r;
}
