/* SPDX-License-Identifier: ISC */
/*
 * Stages: their locks and faults, and what they have seen: the stack, and which builds ever
 * succeeded. A history is read once and kept until something that it is made of changes.
 */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define STATEMENTS(X) \
	X(STAGES,	  "SELECT stage FROM stack WHERE application = ?1 UNION SELECT stage FROM stages" \
			  " WHERE application = ?1") \
	X(SUCCEEDED,	  "SELECT since_us FROM successes WHERE application = ?1 AND stage = ?2 AND release = ?3" \
			  " AND number = ?4") \
	X(SUCCESS_PUT,	  "INSERT OR REPLACE INTO successes VALUES (?1, ?2, ?3, ?4, ?5)") \
	X(STAGE_GET,	  "SELECT locked_by, lock_reason, locked_us, lock_until_us, dirty, dirty_job, dirty_us, occupied_job" \
			  " FROM stages WHERE application = ?1 AND stage = ?2") \
	X(STAGE_PUT,	  "INSERT OR REPLACE INTO stages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)") \
	X(STACK,	  "SELECT s.release, s.number, s.job, s.since_us, s.made_by, coalesce(b.rejected, 0) FROM stack s" \
			  " LEFT JOIN builds b ON b.application = s.application AND b.release = s.release" \
			  " AND b.number = s.number WHERE s.application = ?1 AND s.stage = ?2 ORDER BY s.position") \
	X(STACK_CUT,	  "DELETE FROM stack WHERE application = ?1 AND stage = ?2 AND position >= ?3") \
	X(STACK_ADD,	  "INSERT INTO stack VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)") \
	X(STACK_STAGES,	  "SELECT application, stage FROM stack WHERE (application, stage) > (?1, ?2)" \
			  " ORDER BY application, stage LIMIT 1") \
	X(STACK_TOP,	  "SELECT s.release, s.number, s.job, s.since_us, s.made_by, coalesce(b.rejected, 0) FROM stack s" \
			  " LEFT JOIN builds b ON b.application = s.application AND b.release = s.release" \
			  " AND b.number = s.number WHERE s.application = ?1 AND s.stage = ?2" \
			  " ORDER BY s.position DESC LIMIT 1")
// clang-format on

STORE_PART(history, STATEMENTS)

void
store_stage_clear(struct store_stage *stage)
{
	free(stage->locked_by);
	free(stage->lock_reason);
	memset(stage, 0, sizeof(*stage));
}

int
store_stage_get(struct store *store, const char *application, const char *stage,
		struct store_stage *ret_stage, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STAGE_GET);
	struct store_stage got = {0};
	int r;

	store_bind_stage(st, application, stage);
	r = store_row(store, st, err);
	if (r < 0)
		return r;
	(void)snprintf(got.application, sizeof(got.application), "%s", application);
	(void)snprintf(got.stage, sizeof(got.stage), "%s", stage);
	if (r == 1) {
		got.locked_by = store_read_string(st, 0);
		got.lock_reason = store_read_string(st, 1);
		got.locked_us = store_read_int(st, 2);
		got.lock_until_us = store_read_int(st, 3);
		got.dirty = store_read_int(st, 4) != 0;
		got.dirty_job = store_read_int(st, 5);
		got.dirty_us = store_read_int(st, 6);
		got.occupied_job = store_read_int(st, 7);
		(void)sqlite3_reset(st);
	}
	*ret_stage = got;
	return 0;
}

int
store_stage_put(struct store *store, const struct store_stage *stage, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STAGE_PUT);

	store_bind_stage(st, stage->application, stage->stage);
	store_bind_text(st, 3, stage->locked_by);
	store_bind_text(st, 4, stage->lock_reason);
	store_bind_int(st, 5, stage->locked_us);
	store_bind_int(st, 6, stage->lock_until_us);
	store_bind_int(st, 7, stage->dirty);
	store_bind_int(st, 8, stage->dirty_job);
	store_bind_int(st, 9, stage->dirty_us);
	store_bind_int(st, 10, stage->occupied_job);
	store_touch(store);
	return store_run(store, st, err);
}

static void
read_entry(sqlite3_stmt *st, struct history_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	store_read_array(st, 0, entry->build.release, sizeof(entry->build.release));
	entry->build.number = store_read_int(st, 1);
	entry->job = store_read_int(st, 2);
	entry->since_us = store_read_int(st, 3);
	store_read_array(st, 4, entry->by, sizeof(entry->by));
	entry->rejected = store_read_int(st, 5) != 0;
}

static int
read_stack(struct store *store, const char *application, const char *stage, struct history *history,
	   struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STACK);
	int r;

	store_bind_stage(st, application, stage);
	while ((r = store_row(store, st, err)) == 1) {
		XGROW(history->stack, history->n, history->room);
		read_entry(st, &history->stack[history->n++]);
	}
	return r;
}

/* JOB as the run that is on a stage, or that left it dirty. */
static int
read_run(struct store *store, const struct job *job, struct history_run *ret, struct err *err)
{
	_cleanup_err_ struct err missing = ERR_INIT;
	struct store_build build;
	int r;

	*ret = (struct history_run){
	    .job = job->id,
	    .build = job->build,
	    .mode = job->mode,
	    .from = job->from,
	    .since_us = job->started_us,
	};
	r = store_build_get(store, job->application, &job->build, &build, &missing);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		(void)err_set(err, missing.code, "%s", missing.text);
		return r;
	}
	ret->rejected = build.rejected;
	store_build_clear(&build);
	return 0;
}

/* The run that left a stage dirty. One whose record is gone is not known; one that cannot be read
 * is an error: what goes live next is reckoned from it. */
static int
read_unfinished(struct store *store, int64_t id, struct history_run *ret, struct err *err)
{
	_cleanup_err_ struct err missing = ERR_INIT;
	struct job job;
	int r = store_job_get(store, id, &job, &missing);

	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		(void)err_set(err, missing.code, "%s", missing.text);
		return r;
	}
	r = read_run(store, &job, ret, err);
	job_clear(&job);
	return r;
}

static int
load_history(struct store *store, const char *application, const char *stage,
	     struct history *history, struct err *err)
{
	struct store_damage damage;
	struct store_stage at;
	struct job job;
	int r;

	r = read_stack(store, application, stage, history, err);
	if (r == 0)
		r = store_stage_get(store, application, stage, &at, err);
	if (r < 0)
		return r;
	history->dirty = at.dirty;
	history->unfinished.since_us = at.dirty_us;
	if (at.dirty && at.dirty_job > 0)
		r = read_unfinished(store, at.dirty_job, &history->unfinished, err);
	store_stage_clear(&at);
	if (r < 0)
		return r;
	r = store_damage_stage(store, application, stage, &damage, err);
	if (r < 0)
		return r;
	history->damaged_job = r == 1 ? damage.job : 0;
	r = store_job_active(store, application, stage, &job, err);
	if (r <= 0)
		return r;
	history->busy = true;
	r = read_run(store, &job, &history->running, err);
	job_clear(&job);
	return r;
}

/* The history of a stage, read again only when something that it is made of changed. Borrowed until
 * the next change. */
static int
cached_history(struct store *store, const char *application, const char *stage,
	       const struct history **ret, struct err *err)
{
	struct store_cached *cached = NULL;
	int r;

	for (size_t i = 0; i < store->ncache && !cached; i++)
		if (strcmp(store->cache[i].application, application) == 0 &&
		    strcmp(store->cache[i].stage, stage) == 0)
			cached = &store->cache[i];
	if (!cached) {
		XGROW(store->cache, store->ncache, store->room_cache);
		cached = &store->cache[store->ncache++];
		memset(cached, 0, sizeof(*cached));
		(void)snprintf(cached->application, sizeof(cached->application), "%s", application);
		(void)snprintf(cached->stage, sizeof(cached->stage), "%s", stage);
	}
	if (cached->generation != store->generation) {
		history_clear(&cached->history);
		cached->generation = 0;
		r = load_history(store, application, stage, &cached->history, err);
		if (r < 0)
			return r;
		cached->generation = store->generation;
	}
	*ret = &cached->history;
	return 0;
}

int
store_history_get(struct store *store, const char *application, const char *stage,
		  struct history *ret_history, struct err *err)
{
	const struct history *history;
	int r = cached_history(store, application, stage, &history, err);

	if (r < 0)
		return r;
	*ret_history = *history;
	ret_history->application = application;
	ret_history->stage = stage;
	ret_history->room = history->n;
	ret_history->stack = NULL;
	if (history->n > 0) {
		ret_history->stack = xcalloc(history->n, sizeof(*history->stack));
		memcpy(ret_history->stack, history->stack, history->n * sizeof(*history->stack));
	}
	return 0;
}

static bool
entry_equal(const struct history_entry *a, const struct history_entry *b)
{
	return names_build_equal(&a->build, &b->build) && a->job == b->job &&
	       a->since_us == b->since_us;
}

static int
put_entry(struct store *store, const struct history *history, size_t i, struct err *err)
{
	const struct history_entry *entry = &history->stack[i];
	sqlite3_stmt *st = statement(store, S_STACK_ADD);
	int r;

	store_bind_stage(st, history->application, history->stage);
	store_bind_int(st, 3, (int64_t)i);
	store_bind_text(st, 4, entry->build.release);
	store_bind_int(st, 5, entry->build.number);
	store_bind_int(st, 6, entry->job);
	store_bind_int(st, 7, entry->since_us);
	store_bind_text(st, 8, entry->by);
	r = store_run(store, st, err);
	if (r < 0)
		return r;
	st = statement(store, S_SUCCESS_PUT);
	store_bind_stage(st, history->application, history->stage);
	store_bind_text(st, 3, entry->build.release);
	store_bind_int(st, 4, entry->build.number);
	store_bind_int(st, 5, entry->since_us);
	return store_run(store, st, err);
}

int
store_history_put(struct store *store, const struct history *history, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STACK_CUT);
	const struct history *now;
	size_t same = 0;
	int r = cached_history(store, history->application, history->stage, &now, err);

	if (r < 0)
		return r;
	while (same < history->n && same < now->n &&
	       entry_equal(&history->stack[same], &now->stack[same]))
		same++;
	store_bind_stage(st, history->application, history->stage);
	store_bind_int(st, 3, (int64_t)same);
	r = store_run(store, st, err);
	for (size_t i = same; i < history->n && r == 0; i++)
		r = put_entry(store, history, i, err);
	store_touch(store);
	return r;
}

int
store_live_each(struct store *store, const char *application,
		int (*back)(const char *application, const char *stage,
			    const struct history_entry *live, void *arg),
		void *arg, struct err *err)
{
	char at[64] = "", stage[64] = "";
	int r;

	if (application)
		(void)snprintf(at, sizeof(at), "%s", application);
	while ((r = store_next_stage(store, statement(store, S_STACK_STAGES), at, stage, err)) ==
	       1) {
		sqlite3_stmt *st = statement(store, S_STACK_TOP);
		struct history_entry live;

		if (application && strcmp(at, application) != 0)
			return 0;
		store_bind_stage(st, at, stage);
		r = store_row(store, st, err);
		if (r < 0)
			return r;
		read_entry(st, &live);
		(void)sqlite3_reset(st);
		r = back(at, stage, &live, arg);
		if (r != 0)
			break;
	}
	return r < 0 ? r : 0;
}

int
store_stages(struct store *store, const char *application, json_t **ret_stages, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STAGES);
	_cleanup_json_ json_t *stages = json_array();
	int r;

	store_bind_text(st, 1, application);
	while ((r = store_row(store, st, err)) == 1)
		(void)json_array_append_new(stages,
					    json_string((const char *)sqlite3_column_text(st, 0)));
	if (r == 0)
		*ret_stages = TAKE(stages);
	return r;
}

int
store_succeeded(struct store *store, const char *application, const char *stage,
		const struct build_ref *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SUCCEEDED);
	int64_t since;
	int r;

	store_bind_stage(st, application, stage);
	store_bind_text(st, 3, build->release);
	store_bind_int(st, 4, build->number);
	r = store_number(store, st, -1, &since, err);
	return r < 0 ? r : since >= 0;
}
