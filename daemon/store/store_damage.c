/* SPDX-License-Identifier: ISC */
/*
 * Rows that changed on disk, or are gone, and what bmd makes of it when it opens the database: a
 * record of what is over (a final job, its steps) is reported and kept as it is, and its stage has
 * no default build until a human settles it; everything else decides what will happen, and bmd does
 * not start. What was found stands in the table `damaged`, and the rows get new seals: they are not
 * found again.
 */
#include <errno.h>
#include <string.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define FOUND_MAX 1000

// clang-format off
#define STATEMENTS(X) \
	X(STAGE,  "SELECT job, text, found_us FROM damaged WHERE application = ?1 AND stage = ?2 AND open = 1" \
		  " ORDER BY id LIMIT 1") \
	X(JOB,	  "SELECT text FROM damaged WHERE job = ?1 ORDER BY id LIMIT 1") \
	X(SETTLE, "UPDATE damaged SET open = 0 WHERE application = ?1 AND stage = ?2 AND open = 1")
// clang-format on

STORE_PART(damage, STATEMENTS)

struct found {
	const char *table; /* of the table of seals */
	enum store_finding_kind what;
	int64_t key, job;
	char application[64], stage[64];
	char *text;
};

struct judging {
	struct store *store;
	struct found *found;
	size_t n, room;
	struct err *err;
};

static int
prepare(struct store *store, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	int code = sqlite3_prepare_v2(store->db, sql, -1, ret, NULL);

	return code == SQLITE_OK ? 0 : store_open_failed(store, code, err);
}

static int
execute(struct store *store, const char *sql, struct err *err)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_open_failed(store, code, err);
}

static int
column(sqlite3_stmt *st, const char *name)
{
	for (int i = 0; i < sqlite3_column_count(st); i++)
		if (strcmp(sqlite3_column_name(st, i), name) == 0)
			return i;
	return 0;
}

static int
refuse(struct judging *judging, const struct store_finding *finding)
{
	static const char *const what[] = {"changed on disk", "is gone", "was not written by bmd"};
	_cleanup_free_ char *text =
	    finding->key != 0 && finding->what != STORE_ROW_STRANGE
		? xasprintf("row %lld of its table %s %s", (long long)finding->key, finding->table,
			    what[finding->what])
		: xasprintf("a row of its table %s %s", finding->table, what[finding->what]);

	return store_damaged(judging->store, text, judging->err);
}

/* Application and stage of JOB, if it is final. */
static bool
final_job(struct store *store, int64_t job, struct found *found)
{
	sqlite3_stmt *st = NULL;
	bool is = false;

	if (prepare(store, "SELECT application, stage, final FROM jobs WHERE id = ?1", &st, NULL) <
	    0)
		return false;
	store_bind_int(st, 1, job);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 2) == 1) {
		store_read_array(st, 0, found->application, sizeof(found->application));
		store_read_array(st, 1, found->stage, sizeof(found->stage));
		is = true;
	}
	(void)sqlite3_finalize(st);
	return is;
}

/* The stage of a job whose row is gone, by its seal; only if the job was final. */
static bool
gone_job(struct store *store, int64_t identity, struct found *found)
{
	sqlite3_stmt *st = NULL;
	bool is = false;

	if (prepare(
		store,
		"SELECT application, stage FROM jobs UNION SELECT application, stage FROM stages"
		" UNION SELECT application, stage FROM stack",
		&st, NULL) < 0)
		return false;
	while (!is && sqlite3_step(st) == SQLITE_ROW) {
		store_read_array(st, 0, found->application, sizeof(found->application));
		store_read_array(st, 1, found->stage, sizeof(found->stage));
		is = store_seal_job_identity(store, found->application, found->stage) == identity;
	}
	(void)sqlite3_finalize(st);
	return is;
}

/* Is the finding about what is over, and about which stage? */
static bool
judge(struct store *store, const struct store_finding *finding, struct found *found)
{
	bool changed = finding->what == STORE_ROW_CHANGED;

	if (strcmp(finding->table, "jobs") == 0) {
		found->job = finding->key;
		if (finding->what == STORE_ROW_GONE) {
			found->text = xasprintf("the record of job %lld is gone from the database",
						(long long)found->job);
			return gone_job(store, finding->identity, found);
		}
		found->text =
		    xasprintf("the record of job %lld changed on disk", (long long)found->job);
		return changed && finding->known && final_job(store, found->job, found);
	}
	if (changed &&
	    (strcmp(finding->table, "steps") == 0 || strcmp(finding->table, "irreversible") == 0)) {
		found->job = sqlite3_column_int64(finding->row, column(finding->row, "job"));
		found->text = xasprintf("the record of a step of job %lld changed on disk",
					(long long)found->job);
		return final_job(store, found->job, found);
	}
	if (changed && strcmp(finding->table, "audit") == 0) {
		found->text =
		    xasprintf("row %lld of the audit changed on disk", (long long)finding->key);
		return true;
	}
	return false;
}

static int
on_finding(const struct store_finding *finding, void *arg)
{
	struct judging *judging = arg;
	struct found found = {.table = finding->table, .what = finding->what, .key = finding->key};

	if (judging->n >= FOUND_MAX || !judge(judging->store, finding, &found)) {
		free(found.text);
		return refuse(judging, finding);
	}
	XGROW(judging->found, judging->n, judging->room);
	judging->found[judging->n++] = found;
	return 0;
}

/* A new seal for the row as it is. A job that is over stays so, whatever its state became. */
static int
seal_again(struct store *store, const struct found *found, struct err *err)
{
	const char *sql =
	    strcmp(found->table, "jobs") == 0
		? "UPDATE jobs SET state = CASE WHEN state IN ('succeeded', 'failed', 'cancelled',"
		  " 'missed', 'superseded', 'lost') THEN state ELSE 'lost' END WHERE id = ?1"
	    : strcmp(found->table, "steps") == 0 ? "UPDATE steps SET job = job WHERE job = ?1"
	    : strcmp(found->table, "audit") == 0
		? "UPDATE audit SET id = id WHERE id = ?1"
		: "UPDATE irreversible SET job = job WHERE job = ?1";
	sqlite3_stmt *st = NULL;
	int r;

	if (found->what == STORE_ROW_GONE)
		return store_seal_drop(store, found->table, found->key, err);
	r = prepare(store, sql, &st, err);
	if (r < 0)
		return r;
	store_bind_int(st, 1, found->job != 0 ? found->job : found->key);
	r = sqlite3_step(st) == SQLITE_DONE ? 0 : store_damaged(store, found->text, err);
	(void)sqlite3_finalize(st);
	return r;
}

static int
note(struct store *store, const struct found *found, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int r = prepare(
	    store,
	    "INSERT INTO damaged (found_us, job, application, stage, text, open)"
	    " VALUES ((SELECT value FROM meta WHERE name = 'last_alive'), ?1, ?2, ?3, ?4, 1)",
	    &st, err);

	if (r < 0)
		return r;
	store_bind_int(st, 1, found->job);
	store_bind_text(st, 2, found->application);
	store_bind_text(st, 3, found->stage);
	store_bind_text(st, 4, found->text);
	if (sqlite3_step(st) != SQLITE_DONE)
		r = store_open_failed(store, sqlite3_errcode(store->db), err);
	(void)sqlite3_finalize(st);
	if (r == 0 && found->stage[0] != '\0')
		store_note(store,
			   "%s: %s has no default build on %s until bmctl settle %s %s BUILD "
			   "--reason TEXT",
			   found->text, found->application, found->stage, found->application,
			   found->stage);
	else if (r == 0)
		store_note(store, "%s", found->text);
	return r;
}

/* One transaction: the indexes are made from the rows, then the rows are sealed. */
static int
record(struct judging *judging, struct err *err)
{
	struct store *store = judging->store;
	int r = execute(store, "BEGIN IMMEDIATE; REINDEX", err);

	for (size_t i = 0; i < judging->n && r == 0; i++) {
		r = seal_again(store, &judging->found[i], err);
		if (r == 0)
			r = note(store, &judging->found[i], err);
	}
	if (r == 0)
		r = store_seals_write(store, err);
	if (r == 0)
		r = execute(store, "COMMIT", err);
	if (r < 0 && !sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* Who mends rows by hand deletes the seals: no rot empties a table and leaves it whole. */
static int
seals_deleted(struct store *store, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int code, r = prepare(store, "SELECT 1 FROM seals LIMIT 1", &st, err);

	if (r < 0)
		return r;
	code = sqlite3_step(st);
	(void)sqlite3_finalize(st);
	return code == SQLITE_DONE  ? 1
	       : code == SQLITE_ROW ? 0
				    : store_open_failed(store, code, err);
}

static int
seal_anew(struct store *store, struct err *err)
{
	int r = execute(store, "BEGIN IMMEDIATE; REINDEX", err);

	if (r == 0)
		r = store_seals_all(store, err);
	if (r == 0)
		r = execute(store, "COMMIT", err);
	if (r < 0 && !sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (r == 0)
		store_note(store,
			   "the seals of the database were deleted: every row is taken as it is");
	return r;
}

int
store_damage_look(struct store *store, bool indexes, struct err *err)
{
	struct judging judging = {.store = store, .err = err};
	int r = seals_deleted(store, err);

	if (r != 0)
		return r < 0 ? r : seal_anew(store, err);
	r = store_seals_check(store, on_finding, &judging, err);

	if (r == 0 && (judging.n > 0 || indexes))
		r = record(&judging, err);
	if (r == 0 && indexes && judging.n == 0)
		store_note(store,
			   "an index of the database was damaged: it was made again from the "
			   "rows, which are whole");
	for (size_t i = 0; i < judging.n; i++)
		free(judging.found[i].text);
	free(judging.found);
	return r;
}

/* ---- afterwards ---- */

int
store_damage_stage(struct store *store, const char *application, const char *stage,
		   struct store_damage *ret, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STAGE);
	int r;

	if (store->ndamaged == 0)
		return 0;
	store_bind_stage(st, application, stage);
	r = store_row(store, st, err);
	if (r != 1)
		return r;
	ret->job = store_read_int(st, 0);
	store_read_array(st, 1, ret->text, sizeof(ret->text));
	ret->since_us = store_read_int(st, 2);
	(void)sqlite3_reset(st);
	return 1;
}

char *
store_damage_job(struct store *store, int64_t job)
{
	sqlite3_stmt *st = statement(store, S_JOB);
	char *text;

	if (store->ndamaged == 0)
		return NULL;
	store_bind_int(st, 1, job);
	if (store_row(store, st, NULL) != 1)
		return NULL;
	text = store_read_string(st, 0);
	(void)sqlite3_reset(st);
	return text;
}

int
store_damage_settle(struct store *store, const char *application, const char *stage,
		    struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SETTLE);

	if (store->ndamaged == 0)
		return 0;
	store_bind_stage(st, application, stage);
	store_touch(store);
	return store_run(store, st, err);
}
