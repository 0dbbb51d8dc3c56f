/* SPDX-License-Identifier: ISC */
/*
 * The steps of jobs, and which of them cannot be undone.
 */
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define STATEMENTS(X) \
	X(STEP_PUT,	  "INSERT OR REPLACE INTO steps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)") \
	X(STEPS,	  "SELECT position, name, state, started_us, finished_us, exit_code, signal, attempt, irreversible," \
			  " message FROM steps WHERE job = ?1 ORDER BY position") \
	X(IRREVERSIBLE_PUT, "INSERT OR IGNORE INTO irreversible SELECT application, stage, ?2, id, ?3, release, number, ?4" \
			  " FROM jobs WHERE id = ?1") \
	X(IRREVERSIBLE,	  "SELECT job, release, number, name FROM irreversible WHERE application = ?1 AND stage = ?2" \
			  " AND started_us > ?3 AND NOT (release = ?5 AND number = ?6)" \
			  " ORDER BY started_us DESC, job DESC, position DESC LIMIT ?4")
// clang-format on

STORE_PART(step, STATEMENTS)

int
store_step_put(struct store *store, int64_t job, const struct store_step *step, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STEP_PUT);
	int r;

	store_bind_int(st, 1, job);
	store_bind_int(st, 2, step->index);
	store_bind_text(st, 3, step->name);
	store_bind_text(st, 4, step->state);
	store_bind_int(st, 5, step->started_us);
	store_bind_int(st, 6, step->finished_us);
	store_bind_int(st, 7, step->exit_code);
	store_bind_int(st, 8, step->signal);
	store_bind_int(st, 9, step->attempt);
	store_bind_int(st, 10, step->irreversible);
	store_bind_text(st, 11, step->message);
	r = store_run(store, st, err);
	if (r < 0 || !step->irreversible || step->started_us == 0 || step->attempt > 1)
		return r;
	st = statement(store, S_IRREVERSIBLE_PUT);
	store_bind_int(st, 1, job);
	store_bind_int(st, 2, step->started_us);
	store_bind_int(st, 3, step->index);
	store_bind_text(st, 4, step->name);
	return store_run(store, st, err);
}

int
store_step_each(struct store *store, int64_t job,
		int (*back)(const struct store_step *step, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STEPS);
	struct store_step *steps = NULL;
	size_t n = 0, room = 0;
	int r;

	store_bind_int(st, 1, job);
	while ((r = store_row(store, st, err)) == 1) {
		struct store_step *step;

		XGROW(steps, n, room);
		step = &steps[n++];
		step->index = sqlite3_column_int(st, 0);
		store_read_array(st, 1, step->name, sizeof(step->name));
		store_read_array(st, 2, step->state, sizeof(step->state));
		step->started_us = store_read_int(st, 3);
		step->finished_us = store_read_int(st, 4);
		step->exit_code = sqlite3_column_int(st, 5);
		step->signal = sqlite3_column_int(st, 6);
		step->attempt = sqlite3_column_int(st, 7);
		step->irreversible = store_read_int(st, 8) != 0;
		step->message = store_read_string(st, 9);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = back(&steps[i], arg);
		free(steps[i].message);
	}
	free(steps);
	return r < 0 ? r : 0;
}

int
store_irreversible_each(struct store *store, const char *application, const char *stage,
			const struct build_ref *but, int64_t since_us, int limit,
			int (*back)(int64_t job, const struct build_ref *build, const char *step,
				    void *arg),
			void *arg, struct err *err)
{
	struct found {
		int64_t job;
		struct build_ref build;
		char step[64];
	} *found = NULL;
	sqlite3_stmt *st = statement(store, S_IRREVERSIBLE);
	size_t n = 0, room = 0;
	int r;

	store_bind_stage(st, application, stage);
	store_bind_int(st, 3, since_us);
	store_bind_int(st, 4, limit);
	store_bind_text(st, 5, but->release);
	store_bind_int(st, 6, but->number);
	while ((r = store_row(store, st, err)) == 1) {
		XGROW(found, n, room);
		found[n].job = store_read_int(st, 0);
		store_read_array(st, 1, found[n].build.release, sizeof(found[n].build.release));
		found[n].build.number = store_read_int(st, 2);
		store_read_array(st, 3, found[n].step, sizeof(found[n].step));
		n++;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = back(found[i].job, &found[i].build, found[i].step, arg);
	free(found);
	return r < 0 ? r : 0;
}
