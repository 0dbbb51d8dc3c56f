/* SPDX-License-Identifier: ISC */
/*
 * Records of finished jobs: which of a stage are beyond the newest, what still needs one of them,
 * and taking one away with its steps. The highest id that was taken away stays known, for no id is
 * given twice, and who asks for such a job is told what became of it.
 */
#include "daemon/store/store_private.h"

#define PRUNED "jobs_pruned"

// clang-format off
#define STATEMENTS(X) \
	X(STAGE_NEXT,	  "SELECT application, stage FROM jobs WHERE final = 1 AND (application, stage) > (?1, ?2)" \
			  " ORDER BY application, stage LIMIT 1") \
	X(LAST_SURPLUS,	  "SELECT finished_us, id FROM jobs WHERE final = 1 AND application = ?1 AND stage = ?2" \
			  " ORDER BY finished_us DESC, id DESC LIMIT 1 OFFSET ?3") \
	X(SURPLUS,	  "SELECT finished_us, id FROM jobs WHERE final = 1 AND application = ?1 AND stage = ?2" \
			  " AND (finished_us, id) > (?3, ?4) AND (finished_us, id) <= (?5, ?6) ORDER BY finished_us, id LIMIT ?7") \
	X(UNDONE_FROM,	  "SELECT started_us FROM irreversible WHERE application = ?1 AND stage = ?2" \
			  " ORDER BY started_us DESC, job DESC, position DESC LIMIT 1 OFFSET ?3") \
	/* the stack, an unfinished run, a dead one whose processes may be there; a request's key, a notice, what is damaged; */ \
	/* the last run of a build, the last failure of a stage, the last job of a schedule; what an answer names as not undone */ \
	X(NEEDED,	  "SELECT EXISTS (SELECT 1 FROM stack s WHERE s.application = j.application AND s.stage = j.stage" \
			  " AND s.job = j.id)" \
			  " OR EXISTS (SELECT 1 FROM stages s WHERE s.application = j.application AND s.stage = j.stage" \
			  " AND (s.dirty_job = j.id OR s.occupied_job = j.id))" \
			  " OR EXISTS (SELECT 1 FROM keys WHERE job = j.id AND job > 0)" \
			  " OR EXISTS (SELECT 1 FROM notices WHERE job = j.id AND state = 'waiting')" \
			  " OR EXISTS (SELECT 1 FROM damaged d WHERE d.job = j.id AND d.open = 1)" \
			  " OR (j.began = 1 AND EXISTS (SELECT 1 FROM builds b WHERE b.application = j.application" \
			  " AND b.release = j.release AND b.number = j.number)" \
			  " AND j.id IS (SELECT r.id FROM jobs r WHERE r.began = 1 AND r.application = j.application" \
			  " AND r.stage = j.stage AND r.release = j.release AND r.number = j.number" \
			  " ORDER BY r.finished_us DESC LIMIT 1))" \
			  " OR j.id IS (SELECT id FROM jobs WHERE application = j.application AND stage = j.stage" \
			  " AND " STORE_FAILED " ORDER BY finished_us DESC LIMIT 1)" \
			  " OR (EXISTS (SELECT 1 FROM schedules s WHERE s.id = j.schedule) AND j.id IS (SELECT id FROM jobs" \
			  " WHERE schedule = j.schedule AND schedule > 0 AND (final = 1 OR state = 'running') ORDER BY id DESC LIMIT 1))" \
			  " OR EXISTS (SELECT 1 FROM steps s WHERE s.job = j.id AND s.irreversible = 1 AND s.started_us >= ?2)" \
			  " FROM jobs j WHERE j.id = ?1") \
	X(REMOVE_STEPS,	  "DELETE FROM steps WHERE job = ?1") \
	X(REMOVE_UNDONE,  "DELETE FROM irreversible WHERE job = ?1") \
	X(REMOVE_DAMAGED, "DELETE FROM damaged WHERE job = ?1 AND open = 0") \
	X(REMOVE,	  "DELETE FROM jobs WHERE id = ?1 AND final = 1")
// clang-format on

STORE_PART(prune, STATEMENTS)

int
store_final_stage(struct store *store, char application[64], char stage[64], struct err *err)
{
	return store_next_stage(store, statement(store, S_STAGE_NEXT), application, stage, err);
}

/* The newest that is beyond KEEP: 1 and its place, or 0. */
static int
last_surplus(struct store *store, const char *application, const char *stage, int keep,
	     int64_t ret_place[2], struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LAST_SURPLUS);
	int r;

	store_bind_stage(st, application, stage);
	store_bind_int(st, 3, keep);
	r = store_row(store, st, err);
	if (r == 1) {
		ret_place[0] = store_read_int(st, 0);
		ret_place[1] = store_read_int(st, 1);
		(void)sqlite3_reset(st);
	}
	return r;
}

int
store_surplus(struct store *store, const char *application, const char *stage, int keep,
	      int64_t at[2], int limit, int64_t *ret_ids, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SURPLUS);
	int64_t last[2] = {0};
	int n = 0, r = last_surplus(store, application, stage, keep, last, err);

	if (r <= 0)
		return r;
	store_bind_stage(st, application, stage);
	store_bind_int(st, 3, at[0]);
	store_bind_int(st, 4, at[1]);
	store_bind_int(st, 5, last[0]);
	store_bind_int(st, 6, last[1]);
	store_bind_int(st, 7, limit);
	while ((r = store_row(store, st, err)) == 1) {
		at[0] = store_read_int(st, 0);
		ret_ids[n++] = at[1] = store_read_int(st, 1);
	}
	return r < 0 ? r : n;
}

int
store_undone_from(struct store *store, const char *application, const char *stage, int limit,
		  int64_t *ret_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_UNDONE_FROM);

	store_bind_stage(st, application, stage);
	store_bind_int(st, 3, limit - 1);
	return store_number(store, st, INT64_MIN, ret_us, err);
}

int
store_job_needed(struct store *store, int64_t id, int64_t undone_us, bool *ret_needed,
		 struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NEEDED);
	int64_t needed = 1;
	int r;

	store_bind_int(st, 1, id);
	store_bind_int(st, 2, undone_us);
	r = store_number(store, st, 1, &needed, err);
	*ret_needed = needed != 0;
	return r;
}

int
store_job_remove(struct store *store, int64_t id, struct err *err)
{
	static const enum statement order[] = {S_REMOVE_STEPS, S_REMOVE_UNDONE, S_REMOVE_DAMAGED,
					       S_REMOVE};
	int64_t highest;
	int r = store_jobs_pruned(store, &highest, err);

	for (size_t i = 0; i < ARRAY_SIZE(order) && r == 0; i++) {
		sqlite3_stmt *st = statement(store, order[i]);

		store_bind_int(st, 1, id);
		r = store_run(store, st, err);
	}
	return r == 0 && id > highest ? store_number_put(store, PRUNED, id, err) : r;
}

int
store_jobs_pruned(struct store *store, int64_t *ret_highest, struct err *err)
{
	return store_number_get(store, PRUNED, ret_highest, err);
}
