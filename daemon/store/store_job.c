/* SPDX-License-Identifier: ISC */
/*
 * Jobs. Rows of a list are read whole and the statement reset before anybody is called back:
 * callers may write, and nothing stays stepped when the loop goes on.
 *
 * Finished jobs must cost nothing: what the scheduler asks is answered from partial indexes, whose
 * WHERE stands in the query as the same text (tests/unit/test_store.c reads every query plan).
 */
#include <errno.h>
#include <string.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define PAGE 256 /* rows read at once */

// clang-format off
#define COLUMN_NAME(column, type, kind, field) #column ", "
#define COLUMN_PLACE(column, type, kind, field) "?, "
#define COLUMN_SET(column, type, kind, field) #column " = ?, "
#define JOB_FIELDS "id, " STORE_JOB_COLUMNS(COLUMN_NAME) "final"

#define LIST_STATE(name) "SELECT " JOB_FIELDS " FROM jobs WHERE state = '" name "' AND final = 0 AND due_us <= ?1" \
	" AND (due_us, id) > (?2, ?3) ORDER BY due_us, id LIMIT ?4"
#define FINAL_PAGE "AND finished_us >= ?1 AND (finished_us, id) < (?2, ?3) ORDER BY finished_us DESC, id DESC LIMIT ?4"

#define STATEMENTS(X) \
	X(JOB_HIGHEST,	  "SELECT max(id) FROM jobs") \
	X(JOB_ADD,	  "INSERT INTO jobs (" STORE_JOB_COLUMNS(COLUMN_NAME) "final, expires_us, id) VALUES (" \
			  STORE_JOB_COLUMNS(COLUMN_PLACE) "?, ?, ?)") \
	X(JOB_GET,	  "SELECT " JOB_FIELDS " FROM jobs WHERE id = ?1") \
	X(JOB_UPDATE,	  "UPDATE jobs SET " STORE_JOB_COLUMNS(COLUMN_SET) "final = ?, expires_us = ?" \
			  " WHERE id = ? AND state = ? AND coalesce(?, run) = run") \
	X(LIST_SCHEDULED, LIST_STATE("scheduled")) \
	X(LIST_QUEUED,	  LIST_STATE("queued")) \
	X(LIST_HELD,	  LIST_STATE("held")) \
	X(LIST_STARTING,  LIST_STATE("starting")) \
	X(LIST_RUNNING,	  LIST_STATE("running")) \
	X(LIST_OPEN,	  "SELECT " JOB_FIELDS " FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0" \
			  " AND (due_us, id) > (?3, ?4) ORDER BY due_us, id LIMIT ?5") \
	X(LIST_QUEUED_STAGE, "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND application = ?1 AND stage = ?2" \
			  " AND (due_us, id) > (?3, ?4) ORDER BY due_us, id LIMIT ?5") \
	X(LIST_QUEUED_FREE, "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND application = ?1 AND stage = ?2" \
			  " AND (due_us, id) > (?3, ?4) AND (timed = 0 OR boot = ?6) ORDER BY due_us, id LIMIT ?5") \
	X(LIST_REASONED, "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND application = ?1 AND stage = ?2" \
			  " AND (due_us, id) > (?3, ?4) AND reason IS NOT NULL ORDER BY due_us, id LIMIT ?5") \
	X(LIST_REASONED_FREE, "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND application = ?1 AND stage = ?2" \
			  " AND (due_us, id) > (?3, ?4) AND reason IS NOT NULL AND (timed = 0 OR boot = ?6)" \
			  " ORDER BY due_us, id LIMIT ?5") \
	X(LIST_RELATIVE,  "SELECT " JOB_FIELDS " FROM jobs WHERE state = ?1 AND boot = ?2 AND boot_due_us > 0 AND final = 0" \
			  " AND due_us <= ?3 AND (due_us, id) > (?4, ?5) ORDER BY due_us, id LIMIT ?6") \
	X(NEXT_RELATIVE,  "SELECT min(due_us) FROM jobs WHERE state = 'scheduled' AND boot = ?1 AND boot_due_us > 0 AND final = 0") \
	X(QUEUED_STAGES,  "SELECT application, stage FROM jobs WHERE state = 'queued'" \
			  " AND (application, stage) > (?1, ?2) ORDER BY application, stage LIMIT 1") \
	X(LIST_EXPIRED,	  "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND expires_us > 0" \
			  " AND expires_us < ?1 ORDER BY expires_us LIMIT ?2") \
	X(NEXT_EXPIRY,	  "SELECT min(expires_us) FROM jobs WHERE state = 'queued' AND expires_us > 0") \
	X(AHEAD,	  "SELECT id FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0" \
			  " AND (due_us, id) < (?3, ?4) ORDER BY due_us DESC, id DESC LIMIT ?5") \
	X(AHEAD_OF_NEW,	  "SELECT id FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0" \
			  " AND due_us <= ?3 ORDER BY due_us DESC, id DESC LIMIT ?5") \
	X(FIRST_HELD,	  "SELECT id FROM jobs WHERE state = 'held' AND application = ?1 AND stage = ?2" \
			  " ORDER BY due_us, id LIMIT 1") \
	X(FIRST_NEXT,	  "SELECT id FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0" \
			  " AND (state = 'queued' OR state = 'scheduled') ORDER BY due_us, id LIMIT 1") \
	X(ACTIVE_ON,	  "SELECT " JOB_FIELDS " FROM jobs WHERE application = ?1 AND stage = ?2 AND " STORE_ACTIVE) \
	X(ACTIVE_COUNT,	  "SELECT count(*) FROM jobs WHERE " STORE_ACTIVE) \
	X(RUNNING_COUNT,  "SELECT count(*) FROM jobs WHERE " STORE_ACTIVE " AND state = 'running'") \
	X(LIST_WAITING,	  "SELECT " JOB_FIELDS " FROM jobs WHERE final = 0 AND (due_us, id) > (?2, ?3)" \
			  " AND coalesce(?1, application) = application ORDER BY due_us, id LIMIT ?4") \
	X(LIST_FINAL,	  "SELECT " JOB_FIELDS " FROM jobs WHERE final = 1 AND coalesce(?5, stage) = stage " FINAL_PAGE) \
	X(LIST_FINAL_APPLICATION, "SELECT " JOB_FIELDS " FROM jobs WHERE final = 1 AND application = ?5 " FINAL_PAGE) \
	X(LIST_FINAL_STAGE, "SELECT " JOB_FIELDS " FROM jobs WHERE final = 1 AND application = ?5 AND stage = ?6 " FINAL_PAGE) \
	X(LIST_BUILD,	  "SELECT " JOB_FIELDS " FROM jobs WHERE application = ?1 AND release = ?2 AND number = ?3" \
			  " ORDER BY id DESC LIMIT ?4") \
	X(NEXT_DUE,	  "SELECT min(due_us) FROM jobs WHERE state = 'scheduled'") \
	X(COUNT,	  "SELECT state, count(*) FROM jobs INDEXED BY jobs_waiting WHERE final = 0 GROUP BY state") \
	X(COUNT_STAGE,	  "SELECT count(*), coalesce(sum(state = 'running'), 0) FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0") \
	X(LAST_ASKED,	  "SELECT coalesce(max(asked_us), 0) FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0") \
	X(LAST_FAILED,	  "SELECT id, finished_us FROM jobs WHERE application = ?1 AND stage = ?2 AND " STORE_FAILED \
			  " ORDER BY finished_us DESC LIMIT 1") \
	X(LAST_RUN,	  "SELECT id, plan_digest, finished_us FROM jobs WHERE began = 1 AND application = ?1" \
			  " AND stage = ?2 AND release = ?3 AND number = ?4 ORDER BY finished_us DESC LIMIT 1")
// clang-format on

STORE_PART(job, STATEMENTS)

#define BIND_STATE(f)	store_bind_text(st, i, job_state_stored(f))
#define BIND_ARRAY(f)	store_bind_text(st, i, f)
#define BIND_STRING(f)	store_bind_text(st, i, f)
#define BIND_INT(f)	store_bind_int(st, i, f)
#define BIND_INT32(f)	store_bind_int(st, i, f)
#define BIND_FLAG(f)	store_bind_int(st, i, f)
#define BIND_MODE(f)	store_bind_text(st, i, job_mode_name(f))
#define BIND_CHANGED(f) store_bind_text(st, i, job_if_changed_name(f))
#define BIND_LIST(f)	store_bind_list(st, i, f)
#define BIND_MAP(f)	store_bind_map(st, i, f)

/* Binds every column; returns the next free place. */
static int
bind_job(sqlite3_stmt *st, const struct job *job)
{
	int i = 1;

#define X(column, type, kind, field) BIND_##kind(job->field), i++;
	STORE_JOB_COLUMNS(X)
#undef X
	store_bind_int(st, i++, job_state_final(job->state));
	store_bind_int(st, i++, job->timed ? job->grace_from_us + job->grace_us : 0);
	store_bind_int(st, i++, job->id);
	return i;
}

static enum job_state
read_state(sqlite3_stmt *st, int i)
{
	enum job_state state = JOB_LOST;

	(void)job_state_from((const char *)sqlite3_column_text(st, i), &state);
	return state;
}

static enum job_mode
read_mode(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	enum job_mode mode = JOB_MODE_NONE;

	if (s)
		(void)job_mode_from(s, &mode);
	return mode;
}

static enum job_if_changed
read_changed(sqlite3_stmt *st, int i)
{
	enum job_if_changed how = JOB_HOLD;

	(void)job_if_changed_from((const char *)sqlite3_column_text(st, i), &how);
	return how;
}

#define READ_STATE(f)	(f) = read_state(st, i)
#define READ_ARRAY(f)	store_read_array(st, i, f, sizeof(f))
#define READ_STRING(f)	(f) = store_read_string(st, i)
#define READ_INT(f)	(f) = store_read_int(st, i)
#define READ_INT32(f)	(f) = sqlite3_column_int(st, i)
#define READ_FLAG(f)	(f) = store_read_int(st, i) != 0
#define READ_MODE(f)	(f) = read_mode(st, i)
#define READ_CHANGED(f) (f) = read_changed(st, i)
#define READ_LIST(f)	(f) = store_read_json(st, i, true)
#define READ_MAP(f)	(f) = store_read_json(st, i, false)

static void
read_job(sqlite3_stmt *st, struct job *job)
{
	int i = 1;

	memset(job, 0, sizeof(*job));
	job->id = store_read_int(st, 0);
#define X(column, type, kind, field) \
	READ_##kind(job->field);     \
	i++;
	STORE_JOB_COLUMNS(X)
#undef X
}

int
store_job_highest(struct store *store, int64_t *ret_id, struct err *err)
{
	int64_t there, pruned;
	int r = store_number(store, statement(store, S_JOB_HIGHEST), 0, &there, err);

	if (r == 0)
		r = store_jobs_pruned(store, &pruned, err);
	if (r == 0)
		*ret_id = there > pruned ? there : pruned;
	return r;
}

int
store_job_add(struct store *store, const struct job *job, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_JOB_ADD);

	(void)bind_job(st, job);
	return store_run(store, st, err);
}

/* Ids are given once, in order: one that is not there and below those that were pruned was too. */
int
store_job_missing(struct store *store, int64_t id, struct err *err)
{
	int64_t pruned = 0;
	int r;

	if (store_jobs_pruned(store, &pruned, NULL) == 0 && id > 0 && id <= pruned)
		r = err_set(err, ERR_NO_SUCH_JOB,
			    "the record of job %lld is not kept any more: of finished jobs the "
			    "newest of each stage are (keep-jobs in bmd.conf); bmctl audit may "
			    "tell of it",
			    (long long)id);
	else
		r = err_set(err, ERR_NO_SUCH_JOB,
			    "there is no job %lld: bmctl queue, or bmctl history", (long long)id);
	err_field(err, "job", json_integer(id));
	return r;
}

int
store_job_get(struct store *store, int64_t id, struct job *ret_job, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_JOB_GET);
	int r;

	store_bind_int(st, 1, id);
	r = store_row(store, st, err);
	if (r <= 0)
		return r < 0 ? r : store_job_missing(store, id, err);
	read_job(st, ret_job);
	(void)sqlite3_reset(st);
	return 0;
}

static void
note_written(struct store *store, int64_t id)
{
	if (store->nwritten < STORE_WRITTEN_MAX)
		store->written[store->nwritten] = id;
	if (store->nwritten <= STORE_WRITTEN_MAX)
		store->nwritten++;
}

size_t
store_jobs_written(struct store *store, const int64_t **ret_ids)
{
	size_t n = store->nwritten;

	store->nwritten = 0;
	*ret_ids = store->written;
	return n;
}

int
store_job_update(struct store *store, const struct job *job, enum job_state expected,
		 const char *run_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_JOB_UPDATE);
	int i = bind_job(st, job), r;

	store_bind_text(st, i, job_state_stored(expected));
	store_bind_text(st, i + 1, run_id);
	store_touch(store);
	note_written(store, job->id);
	r = store_run(store, st, err);
	if (r == 0 && sqlite3_changes(store->db) != 1) {
		(void)err_set(err, ERR_FAILED, "job %lld changed meanwhile: look again",
			      (long long)job->id);
		r = -ESTALE;
	}
	return r;
}

/* Reads what ST answers, resets it, and calls BACK for each job. The last job's place in line goes
 * to RET_LAST. */
static int
each_job(struct store *store, sqlite3_stmt *st, int (*back)(const struct job *job, void *arg),
	 void *arg, size_t *ret_n, int64_t ret_last[2], struct err *err)
{
	struct job *jobs = NULL;
	size_t n = 0, room = 0;
	int r, stop = 0;

	while ((r = store_row(store, st, err)) == 1) {
		XGROW(jobs, n, room);
		read_job(st, &jobs[n++]);
	}
	if (n > 0 && ret_last) {
		ret_last[0] = jobs[n - 1].due_us;
		ret_last[1] = jobs[n - 1].id;
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && stop == 0)
			stop = back(&jobs[i], arg);
		job_clear(&jobs[i]);
	}
	free(jobs);
	if (ret_n)
		*ret_n = stop != 0 ? 0 : n;
	return r < 0 ? r : stop < 0 ? stop : 0;
}

int
store_job_each_state(struct store *store, enum job_state state, int64_t due_us,
		     int64_t after_due_us, int64_t after_id, int limit,
		     int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	static const enum statement lists[] = {
	    [JOB_SCHEDULED] = S_LIST_SCHEDULED, [JOB_QUEUED] = S_LIST_QUEUED,
	    [JOB_HELD] = S_LIST_HELD,		[JOB_STARTING] = S_LIST_STARTING,
	    [JOB_RUNNING] = S_LIST_RUNNING,
	};
	sqlite3_stmt *st;

	if ((size_t)state >= ARRAY_SIZE(lists))
		return err_set(err, ERR_FAILED,
			       "jobs that are %s are listed by store_job_each_final",
			       job_state_stored(state));
	st = statement(store, lists[state]);
	store_bind_int(st, 1, due_us);
	store_bind_int(st, 2, after_due_us);
	store_bind_int(st, 3, after_id);
	store_bind_int(st, 4, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

/* All rows of a statement on one stage, PAGE at a time. */
static int
each_of_stage(struct store *store, enum statement which, const char *application, const char *stage,
	      int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, which);
	int64_t last[2] = {INT64_MIN, 0};
	size_t n;
	int r;

	do {
		store_bind_stage(st, application, stage);
		store_bind_int(st, 3, last[0]);
		store_bind_int(st, 4, last[1]);
		store_bind_int(st, 5, PAGE);
		r = each_job(store, st, back, arg, &n, last, err);
	} while (r == 0 && n == PAGE);
	return r;
}

int
store_job_each_open(struct store *store, const char *application, const char *stage,
		    int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	return each_of_stage(store, S_LIST_OPEN, application, stage, back, arg, err);
}

int
store_job_each_queued(struct store *store, const char *application, const char *stage,
		      int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	return each_of_stage(store, S_LIST_QUEUED_STAGE, application, stage, back, arg, err);
}

static int
keep_job(const struct job *job, void *arg)
{
	/* The row is ours now: what it owns is taken out of the list's copy. */
	struct job *mine = (struct job *)(uintptr_t)job;

	*(struct job *)arg = *mine;
	memset(mine, 0, sizeof(*mine));
	return 0;
}

int
store_job_first_queued(struct store *store, const char *application, const char *stage,
		       struct job *ret_job, struct err *err)
{
	return store_job_queued_after(store, application, stage, INT64_MIN, 0, false, NULL, ret_job,
				      err);
}

int
store_job_queued_after(struct store *store, const char *application, const char *stage,
		       int64_t after_due_us, int64_t after_id, bool reasoned, const char *boot,
		       struct job *ret_job, struct err *err)
{
	static const enum statement lists[2][2] = {{S_LIST_QUEUED_STAGE, S_LIST_QUEUED_FREE},
						   {S_LIST_REASONED, S_LIST_REASONED_FREE}};
	sqlite3_stmt *st = statement(store, lists[reasoned][boot != NULL]);
	size_t n;
	int r;

	store_bind_stage(st, application, stage);
	store_bind_int(st, 3, after_due_us);
	store_bind_int(st, 4, after_id);
	store_bind_int(st, 5, 1);
	if (boot)
		store_bind_text(st, 6, boot);
	r = each_job(store, st, keep_job, ret_job, &n, NULL, err);
	return r < 0 ? r : (int)n;
}

int
store_job_each_relative(struct store *store, enum job_state state, const char *boot, int64_t due_us,
			int64_t after_due_us, int64_t after_id, int limit,
			int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_RELATIVE);

	store_bind_text(st, 1, job_state_stored(state));
	store_bind_text(st, 2, boot);
	store_bind_int(st, 3, due_us);
	store_bind_int(st, 4, after_due_us);
	store_bind_int(st, 5, after_id);
	store_bind_int(st, 6, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_next_relative(struct store *store, const char *boot, int64_t *ret_due_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NEXT_RELATIVE);

	store_bind_text(st, 1, boot);
	return store_number(store, st, INT64_MAX, ret_due_us, err);
}

int
store_job_queued_stage(struct store *store, char application[64], char stage[64], struct err *err)
{
	return store_next_stage(store, statement(store, S_QUEUED_STAGES), application, stage, err);
}

int
store_job_each_expired(struct store *store, int64_t now_us, int limit,
		       int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_EXPIRED);

	store_bind_int(st, 1, now_us);
	store_bind_int(st, 2, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_next_expiry(struct store *store, int64_t *ret_us, struct err *err)
{
	return store_number(store, statement(store, S_NEXT_EXPIRY), INT64_MAX, ret_us, err);
}

int
store_job_first_held(struct store *store, const char *application, const char *stage,
		     int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_FIRST_HELD);

	store_bind_stage(st, application, stage);
	return store_number(store, st, 0, ret_id, err);
}

int
store_job_first_next(struct store *store, const char *application, const char *stage,
		     int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_FIRST_NEXT);

	store_bind_stage(st, application, stage);
	return store_number(store, st, 0, ret_id, err);
}

int
store_job_ahead(struct store *store, const char *application, const char *stage, int64_t due_us,
		int64_t id, int limit, json_t **ret_ids, struct err *err)
{
	bool new = id == INT64_MAX; /* no row needs to be compared with its id */
	sqlite3_stmt *st = statement(store, new ? S_AHEAD_OF_NEW : S_AHEAD);
	_cleanup_json_ json_t *ids = json_array();
	int r;

	store_bind_stage(st, application, stage);
	store_bind_int(st, 3, due_us);
	if (!new)
		store_bind_int(st, 4, id);
	store_bind_int(st, 5, limit);
	while ((r = store_row(store, st, err)) == 1)
		(void)json_array_insert_new(ids, 0, json_integer(store_read_int(st, 0)));
	if (r < 0)
		return r;
	*ret_ids = TAKE(ids);
	return 0;
}

int
store_job_active(struct store *store, const char *application, const char *stage,
		 struct job *ret_job, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ACTIVE_ON);
	int r;

	store_bind_stage(st, application, stage);
	r = store_row(store, st, err);
	if (r <= 0)
		return r;
	read_job(st, ret_job);
	(void)sqlite3_reset(st);
	return 1;
}

int
store_job_active_count(struct store *store, int64_t *ret_count, struct err *err)
{
	return store_number(store, statement(store, S_ACTIVE_COUNT), 0, ret_count, err);
}

int
store_job_running_count(struct store *store, int64_t *ret_count, struct err *err)
{
	return store_number(store, statement(store, S_RUNNING_COUNT), 0, ret_count, err);
}

int
store_job_each_waiting(struct store *store, const char *application, int64_t after_due_us,
		       int64_t after_id, int limit, int (*back)(const struct job *job, void *arg),
		       void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_WAITING);

	store_bind_text(st, 1, application);
	store_bind_int(st, 2, after_due_us);
	store_bind_int(st, 3, after_id);
	store_bind_int(st, 4, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_each_final(struct store *store, const char *application, const char *stage,
		     int64_t since_us, int64_t before_us, int64_t before_id, int limit,
		     int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, !application ? S_LIST_FINAL
					    : stage	 ? S_LIST_FINAL_STAGE
							 : S_LIST_FINAL_APPLICATION);
	bool first = before_us == 0 && before_id == 0;

	store_bind_int(st, 1, since_us);
	store_bind_int(st, 2, first ? INT64_MAX : before_us);
	store_bind_int(st, 3, first ? INT64_MAX : before_id);
	store_bind_int(st, 4, limit);
	store_bind_text(st, 5, application ? application : stage);
	if (application && stage)
		store_bind_text(st, 6, stage);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_each_build(struct store *store, const char *application, const struct build_ref *build,
		     int limit, int (*back)(const struct job *job, void *arg), void *arg,
		     struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_BUILD);

	store_bind_text(st, 1, application);
	store_bind_text(st, 2, build->release);
	store_bind_int(st, 3, build->number);
	store_bind_int(st, 4, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_next_due(struct store *store, int64_t *ret_due_us, struct err *err)
{
	return store_number(store, statement(store, S_NEXT_DUE), INT64_MAX, ret_due_us, err);
}

int
store_job_count(struct store *store, int64_t ret_counts[JOB_STATE_MAX_], struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COUNT);
	int64_t counts[JOB_STATE_MAX_] = {0};
	int r;

	while ((r = store_row(store, st, err)) == 1)
		counts[read_state(st, 0)] = store_read_int(st, 1);
	if (r < 0)
		return r;
	memcpy(ret_counts, counts, sizeof(counts));
	return 0;
}

int
store_job_count_stage(struct store *store, const char *application, const char *stage,
		      int64_t *ret_open, int64_t *ret_running, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COUNT_STAGE);
	int r;

	store_bind_stage(st, application, stage);
	r = store_row(store, st, err);
	if (r < 0)
		return r;
	*ret_open = store_read_int(st, 0);
	*ret_running = store_read_int(st, 1);
	(void)sqlite3_reset(st);
	return 0;
}

int
store_job_last_asked(struct store *store, const char *application, const char *stage,
		     int64_t *ret_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LAST_ASKED);

	store_bind_stage(st, application, stage);
	return store_number(store, st, 0, ret_us, err);
}

int
store_job_last_failed(struct store *store, const char *application, const char *stage,
		      int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LAST_FAILED);
	int r;

	store_bind_stage(st, application, stage);
	r = store_row(store, st, err);
	if (r < 0)
		return r;
	*ret_id = r == 1 ? store_read_int(st, 0) : 0;
	if (r == 1)
		(void)sqlite3_reset(st);
	return 0;
}

int
store_last_run(struct store *store, const char *application, const char *stage,
	       const struct build_ref *build, int64_t *ret_job, char ret_plan_digest[65],
	       int64_t *ret_finished_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LAST_RUN);
	int r;

	store_bind_stage(st, application, stage);
	store_bind_text(st, 3, build->release);
	store_bind_int(st, 4, build->number);
	r = store_row(store, st, err);
	if (r < 0)
		return r;
	if (r == 0) {
		*ret_job = 0;
		return 0;
	}
	*ret_job = store_read_int(st, 0);
	store_read_array(st, 1, ret_plan_digest, 65);
	*ret_finished_us = store_read_int(st, 2);
	(void)sqlite3_reset(st);
	return 0;
}
