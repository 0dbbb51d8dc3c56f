/* SPDX-License-Identifier: ISC */
/*
 * Every question to the database and every change of it, but for those of its opening
 * (store_open.c). All statements stand in one table and are prepared once. Rows of a list are read
 * whole and the statement reset before anybody is called back: callers may write, and nothing stays
 * stepped when the loop goes on.
 *
 * Finished jobs must cost nothing: what the scheduler asks is answered from partial indexes, whose
 * WHERE stands in the query as the same text (tests/unit/test_store.c reads every query plan).
 */
#include "daemon/store.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/store_private.h"

#define KEYS_KEPT	 100000
#define KEYS_AGE_US	 (INT64_C(7) * 86400 * 1000000)
#define KEYS_PRUNE_EVERY 1024			 /* added keys */
#define ALIVE_EVERY_US	 (INT64_C(30) * 1000000) /* an otherwise empty commit records it so often */
#define PAGE		 256			 /* rows read at once */

// clang-format off
#define COLUMN_NAME(column, type, kind, field) #column ", "
#define COLUMN_PLACE(column, type, kind, field) "?, "
#define COLUMN_SET(column, type, kind, field) #column " = ?, "
#define JOB_FIELDS "id, " STORE_JOB_COLUMNS(COLUMN_NAME) "final"

/* ---- the statements ---- */

#define LIST_STATE(name) "SELECT " JOB_FIELDS " FROM jobs WHERE state = '" name "' AND final = 0 AND due_us <= ?1" \
	" AND (due_us, id) > (?2, ?3) ORDER BY due_us, id LIMIT ?4"
#define FINAL_PAGE "AND finished_us >= ?1 AND (finished_us, id) < (?2, ?3) ORDER BY finished_us DESC, id DESC LIMIT ?4"

#define STATEMENTS(X)                                                                              \
	X(BEGIN,	  "BEGIN IMMEDIATE")							   \
	X(COMMIT,	  "COMMIT")								   \
	X(ROLLBACK,	  "ROLLBACK")								   \
	X(SAVEPOINT,	  "SAVEPOINT request")							   \
	X(RELEASE,	  "RELEASE request")							   \
	X(ROLLBACK_TO,	  "ROLLBACK TO request")						   \
	X(ALIVE_SET,	  "UPDATE meta SET value = ?1 WHERE name = 'last_alive'")		   \
	X(KEY_FIND,	  "SELECT digest, reply FROM keys WHERE uid = ?1 AND key = ?2")		   \
	X(KEY_ADD,	  "INSERT INTO keys (uid, key, digest, reply, added_us) VALUES (?1, ?2, ?3, ?4, ?5)") \
	X(KEYS_SURPLUS,	  "DELETE FROM keys WHERE serial <= (SELECT max(serial) FROM keys) - ?1")  \
	X(KEYS_OLD,	  "DELETE FROM keys WHERE serial IN (SELECT serial FROM keys ORDER BY serial LIMIT 1024)" \
			  " AND added_us < ?1")							   \
	X(BUILD_NEXT,	  "SELECT max((SELECT coalesce(max(number), 0) FROM builds WHERE application = ?1 AND release = ?2)," \
			  " (SELECT coalesce(max(number), 0) FROM collected WHERE application = ?1 AND release = ?2)) + 1") \
	X(BUILD_ADD,	  "INSERT INTO builds (application, release, number, rejected, rejected_us, created_us, created_by,"\
			  " uid, note, variables) VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6, ?7, ?8)")  \
	X(ARTIFACT_ADD,	  "INSERT INTO artifacts VALUES (?1, ?2, ?3, ?4, ?5)")			   \
	X(BUILD_GET,	  "SELECT * FROM builds WHERE application = ?1 AND release = ?2 AND number = ?3") \
	X(ARTIFACTS,	  "SELECT name, digest, files, bytes FROM artifacts WHERE build = ?1 ORDER BY name") \
	X(BUILD_REJECT,	  "UPDATE builds SET rejected = ?2, rejected_by = ?3, rejected_us = ?4, rejected_reason = ?5" \
			  " WHERE id = ?1")							   \
	X(BUILD_PIN,	  "UPDATE builds SET pinned_by = ?2, pinned_us = ?3, pin_reason = ?4 WHERE id = ?1") \
	X(BUILD_SIGN,	  "UPDATE builds SET signature = ?2 WHERE id = ?1")			   \
	X(ARTIFACTS_DROP, "DELETE FROM artifacts WHERE build = ?1")				   \
	X(BUILD_DROP,	  "DELETE FROM builds WHERE id = ?1")					   \
	X(SUCCESSES_DROP, "DELETE FROM successes WHERE application = ?1 AND release = ?2 AND number = ?3") \
	X(COLLECTED_ADD,  "INSERT INTO collected VALUES (?1, ?2, ?3, ?4, ?5)")			   \
	X(COLLECTED,	  "SELECT collected_us FROM collected WHERE application = ?1 AND release = ?2 AND number = ?3") \
	X(MANIFESTS,	  "SELECT DISTINCT digest FROM artifacts WHERE digest > ?1 ORDER BY digest LIMIT ?2") \
	X(MANIFEST_USED,  "SELECT 1 FROM artifacts WHERE digest = ?1 LIMIT 1") \
	X(STAGES,	  "SELECT stage FROM stack WHERE application = ?1 UNION SELECT stage FROM stages" \
			  " WHERE application = ?1")						   \
	X(BUILDS,	  "SELECT * FROM builds WHERE application = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3") \
	X(BUILDS_RELEASE, "SELECT * FROM builds WHERE application = ?1 AND id < ?2 AND release = ?4"\
			  " ORDER BY id DESC LIMIT ?3")						   \
	X(RELEASE_COUNT,  "SELECT count(*), coalesce(max(CASE rejected WHEN 0 THEN number END), 0) FROM builds" \
			  " WHERE application = ?1 AND release = ?2")				   \
	X(RELEASE_SUCCEEDED, "SELECT coalesce(max(number), 0) FROM successes"			   \
			  " WHERE application = ?1 AND stage = ?2 AND release = ?3")		   \
	X(RELEASE_ONLY,	  "SELECT min(number) FROM builds WHERE application = ?1 AND release = ?2") \
	X(RELEASES,	  "SELECT release, max(id) AS last FROM builds WHERE application = ?1 GROUP BY release" \
			  " ORDER BY last DESC LIMIT ?2")					   \
	X(JOB_HIGHEST,	  "SELECT coalesce(max(id), 0) FROM jobs")				   \
	X(JOB_ADD,	  "INSERT INTO jobs (" STORE_JOB_COLUMNS(COLUMN_NAME) "final, expires_us, id) VALUES (" \
			  STORE_JOB_COLUMNS(COLUMN_PLACE) "?, ?, ?)")					   \
	X(JOB_GET,	  "SELECT " JOB_FIELDS " FROM jobs WHERE id = ?1")			   \
	X(JOB_UPDATE,	  "UPDATE jobs SET " STORE_JOB_COLUMNS(COLUMN_SET) "final = ?, expires_us = ?"   \
			  " WHERE id = ? AND state = ? AND coalesce(?, run) = run")		   \
	X(LIST_SCHEDULED, LIST_STATE("scheduled"))						   \
	X(LIST_QUEUED,	  LIST_STATE("queued"))							   \
	X(LIST_HELD,	  LIST_STATE("held"))							   \
	X(LIST_STARTING,  LIST_STATE("starting"))						   \
	X(LIST_RUNNING,	  LIST_STATE("running"))						   \
	X(LIST_OPEN,	  "SELECT " JOB_FIELDS " FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0" \
			  " AND (due_us, id) > (?3, ?4) ORDER BY due_us, id LIMIT ?5")		   \
	X(LIST_QUEUED_STAGE, "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND application = ?1 AND stage = ?2" \
			  " AND (due_us, id) > (?3, ?4) ORDER BY due_us, id LIMIT ?5")		   \
	X(QUEUED_STAGES,  "SELECT application, stage FROM jobs WHERE state = 'queued'"		   \
			  " AND (application, stage) > (?1, ?2) ORDER BY application, stage LIMIT 1") \
	X(LIST_EXPIRED,	  "SELECT " JOB_FIELDS " FROM jobs WHERE state = 'queued' AND expires_us > 0"\
			  " AND expires_us < ?1 ORDER BY expires_us LIMIT ?2")			   \
	X(NEXT_EXPIRY,	  "SELECT min(expires_us) FROM jobs WHERE state = 'queued' AND expires_us > 0") \
	X(AHEAD,	  "SELECT id FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0"\
			  " AND (due_us, id) < (?3, ?4) ORDER BY due_us DESC, id DESC LIMIT ?5")   \
	X(FIRST_HELD,	  "SELECT id FROM jobs WHERE state = 'held' AND application = ?1 AND stage = ?2"\
			  " ORDER BY due_us, id LIMIT 1")					   \
	X(FIRST_NEXT,	  "SELECT id FROM jobs WHERE application = ?1 AND stage = ?2 AND final = 0"\
			  " AND (state = 'queued' OR state = 'scheduled') ORDER BY due_us, id LIMIT 1") \
	X(ACTIVE_ON,	  "SELECT " JOB_FIELDS " FROM jobs WHERE application = ?1 AND stage = ?2 AND " STORE_ACTIVE) \
	X(ACTIVE_COUNT,	  "SELECT count(*) FROM jobs WHERE " STORE_ACTIVE)				   \
	X(LIST_WAITING,	  "SELECT " JOB_FIELDS " FROM jobs WHERE final = 0 AND (due_us, id) > (?2, ?3)"\
			  " AND coalesce(?1, application) = application ORDER BY due_us, id LIMIT ?4") \
	X(LIST_FINAL,	  "SELECT " JOB_FIELDS " FROM jobs WHERE final = 1 AND coalesce(?5, stage) = stage " FINAL_PAGE) \
	X(LIST_FINAL_APPLICATION, "SELECT " JOB_FIELDS " FROM jobs WHERE final = 1 AND application = ?5 " FINAL_PAGE) \
	X(LIST_FINAL_STAGE, "SELECT " JOB_FIELDS " FROM jobs WHERE final = 1 AND application = ?5 AND stage = ?6 " FINAL_PAGE) \
	X(LIST_BUILD,	  "SELECT " JOB_FIELDS " FROM jobs WHERE application = ?1 AND release = ?2 AND number = ?3" \
			  " ORDER BY id DESC LIMIT ?4")						   \
	X(NEXT_DUE,	  "SELECT min(due_us) FROM jobs WHERE state = 'scheduled'")		   \
	X(COUNT,	  "SELECT state, count(*) FROM jobs INDEXED BY jobs_waiting WHERE final = 0 GROUP BY state")	   \
	X(LAST_FAILED,	  "SELECT id, finished_us FROM jobs WHERE application = ?1 AND stage = ?2 AND " STORE_FAILED \
			  " ORDER BY finished_us DESC LIMIT 1")					   \
	X(SUCCEEDED,	  "SELECT since_us FROM successes WHERE application = ?1 AND stage = ?2 AND release = ?3" \
			  " AND number = ?4")							   \
	X(SUCCESS_PUT,	  "INSERT OR REPLACE INTO successes VALUES (?1, ?2, ?3, ?4, ?5)")	   \
	X(LAST_RUN,	  "SELECT id, plan_digest, finished_us FROM jobs WHERE began = 1 AND application = ?1" \
			  " AND stage = ?2 AND release = ?3 AND number = ?4 ORDER BY finished_us DESC LIMIT 1") \
	X(STEP_PUT,	  "INSERT OR REPLACE INTO steps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)") \
	X(STEPS,	  "SELECT position, name, state, started_us, finished_us, exit_code, signal, attempt, irreversible," \
			  " message FROM steps WHERE job = ?1 ORDER BY position")		   \
	X(IRREVERSIBLE_PUT, "INSERT OR IGNORE INTO irreversible SELECT application, stage, ?2, id, ?3, release, number, ?4" \
			  " FROM jobs WHERE id = ?1")						   \
	X(IRREVERSIBLE,	  "SELECT job, release, number, name FROM irreversible WHERE application = ?1 AND stage = ?2" \
			  " AND started_us > ?3 ORDER BY started_us DESC, job DESC, position DESC LIMIT ?4") \
	X(STAGE_GET,	  "SELECT locked_by, lock_reason, locked_us, lock_until_us, dirty, dirty_job, dirty_us, occupied_job" \
			  " FROM stages WHERE application = ?1 AND stage = ?2")			   \
	X(STAGE_PUT,	  "INSERT OR REPLACE INTO stages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)") \
	X(STACK,	  "SELECT s.release, s.number, s.job, s.since_us, s.made_by, coalesce(b.rejected, 0) FROM stack s" \
			  " LEFT JOIN builds b ON b.application = s.application AND b.release = s.release"  \
			  " AND b.number = s.number WHERE s.application = ?1 AND s.stage = ?2 ORDER BY s.position") \
	X(STACK_CUT,	  "DELETE FROM stack WHERE application = ?1 AND stage = ?2 AND position >= ?3") \
	X(STACK_ADD,	  "INSERT INTO stack VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")		   \
	X(STACK_STAGES,	  "SELECT application, stage FROM stack WHERE (application, stage) > (?1, ?2)" \
			  " ORDER BY application, stage LIMIT 1")				   \
	X(STACK_TOP,	  "SELECT s.release, s.number, s.job, s.since_us, s.made_by, coalesce(b.rejected, 0) FROM stack s" \
			  " LEFT JOIN builds b ON b.application = s.application AND b.release = s.release"  \
			  " AND b.number = s.number WHERE s.application = ?1 AND s.stage = ?2"	   \
			  " ORDER BY s.position DESC LIMIT 1")					   \
	X(AUDIT,	  "INSERT INTO audit (at_us, uid, who, what, application, stage, job, text)"\
			  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")

enum statement {
#define X(symbol, sql) S_##symbol,
	STATEMENTS(X)
#undef X
	S_MAX_
};

static const char *const texts[S_MAX_] = {
#define X(symbol, sql) [S_##symbol] = sql,
	STATEMENTS(X)
#undef X
};
// clang-format on

/* ---- errors ---- */

static int
space(struct store *store, struct err *err)
{
	return err_set(
	    err, ERR_NO_SPACE,
	    "no space left for the database %s: nothing was changed, make room and ask again",
	    store->path);
}

/* What a result code of SQLite means to callers. */
static int
failed(struct store *store, int code, struct err *err)
{
	if (store->open && sqlite3_get_autocommit(store->db))
		store->spoiled = true;
	switch (code & 0xff) {
	case SQLITE_FULL:
		return space(store, err);
	case SQLITE_NOMEM:
		xalloc_die();
	case SQLITE_CONSTRAINT:
		if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    code == SQLITE_CONSTRAINT_ROWID)
			return -EEXIST;
		break;
	default:
		break;
	}
	(void)err_set(err, ERR_UNKNOWN_OUTCOME,
		      "the database %s failed (%s): bmd stops and reads it again; ask again with "
		      "the same key",
		      store->path, sqlite3_errmsg(store->db));
	return STORE_BROKEN;
}

/* ---- binding and reading ---- */

static sqlite3_stmt *
statement(struct store *store, enum statement which)
{
	return store->statements[which];
}

/* Texts are borrowed until the statement is reset, which happens before any of these functions
 * returns. */
static void
bind_text(sqlite3_stmt *st, int i, const char *s)
{
	if (s)
		(void)sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, i);
}

static void
bind_int(sqlite3_stmt *st, int i, int64_t n)
{
	(void)sqlite3_bind_int64(st, i, n);
}

static void
bind_stage(sqlite3_stmt *st, const char *application, const char *stage)
{
	bind_text(st, 1, application);
	bind_text(st, 2, stage);
}

/* An object; NULL for an empty one. */
static void
bind_map(sqlite3_stmt *st, int i, const json_t *object)
{
	if (json_object_size(object) == 0)
		(void)sqlite3_bind_null(st, i);
	else
		(void)sqlite3_bind_text(st, i, json_canonical(object), -1, free);
}

/* An array of ids; NULL for an empty one. Every request writes one: no general JSON is dumped for
 * it. */
static void
bind_list(sqlite3_stmt *st, int i, const json_t *list)
{
	size_t n = json_array_size(list), used = 0;
	char *text;

	if (n == 0) {
		(void)sqlite3_bind_null(st, i);
		return;
	}
	text = xcalloc(n, 21); /* a sign, 19 digits, and a mark each */
	for (size_t k = 0; k < n; k++) {
		int64_t id = json_integer_value(json_array_get(list, k));
		char digits[20], *p = digits + sizeof(digits);

		text[used++] = k > 0 ? ',' : '[';
		do {
			*--p = (char)('0' + id % 10);
			id /= 10;
		} while (id > 0);
		memcpy(text + used, p, (size_t)(digits + sizeof(digits) - p));
		used += (size_t)(digits + sizeof(digits) - p);
	}
	text = xrealloc(text, used + 2, 1);
	text[used++] = ']';
	(void)sqlite3_bind_text(st, i, text, (int)used, free);
}

static int64_t
read_int(sqlite3_stmt *st, int i)
{
	return sqlite3_column_int64(st, i);
}

static void
read_array(sqlite3_stmt *st, int i, char *ret, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	size_t n = s ? strlen(s) : 0;

	if (n >= size)
		n = size - 1;
	if (n > 0)
		memcpy(ret, s, n);
	ret[n] = '\0';
}

static char *
read_string(sqlite3_stmt *st, int i)
{
	return xstrdup((const char *)sqlite3_column_text(st, i));
}

static json_t *
read_json(sqlite3_stmt *st, int i, bool list)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	json_t *value = s ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;

	if (list ? json_is_array(value) : json_is_object(value))
		return value;
	json_decref(value);
	return list ? json_array() : json_object();
}

/* Runs a statement that answers no row; it is reset whatever happens. */
static int
run(struct store *store, sqlite3_stmt *st, struct err *err)
{
	int code;

	if (store->spoiled) {
		(void)sqlite3_reset(st);
		return space(store, err);
	}
	code = sqlite3_step(st);
	(void)sqlite3_reset(st);
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : failed(store, code, err);
}

/* 1 and a row, 0 at the end (and reset), or an error (and reset). */
static int
row(struct store *store, sqlite3_stmt *st, struct err *err)
{
	int code = sqlite3_step(st);

	if (code == SQLITE_ROW)
		return 1;
	(void)sqlite3_reset(st);
	return code == SQLITE_DONE ? 0 : failed(store, code, err);
}

/* One number from a statement that answers one row; OTHERWISE for no row or NULL. */
static int
number(struct store *store, sqlite3_stmt *st, int64_t otherwise, int64_t *ret, struct err *err)
{
	int r = row(store, st, err);

	if (r < 0)
		return r;
	*ret = r == 1 && sqlite3_column_type(st, 0) != SQLITE_NULL ? read_int(st, 0) : otherwise;
	(void)sqlite3_reset(st);
	return 0;
}

/* ---- statements ---- */

int
store_prepare(struct store *store, struct err *err)
{
	store->statements = xcalloc(S_MAX_, sizeof(sqlite3_stmt *));
	for (unsigned i = 0; i < S_MAX_; i++) {
		int code = sqlite3_prepare_v3(store->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
					      &store->statements[i], NULL);

		if ((code & 0xff) == SQLITE_ERROR)
			return store_damaged(store, sqlite3_errmsg(store->db), err);
		if (code != SQLITE_OK)
			return store_open_failed(store, code, err);
	}
	return 0;
}

void
store_finalize(struct store *store)
{
	for (unsigned i = 0; store->statements && i < S_MAX_; i++)
		(void)sqlite3_finalize(store->statements[i]);
	free(store->statements);
}

/* ---- transactions ---- */

/* What was read of histories may be wrong from here on. */
static void
touch(struct store *store)
{
	store->generation++;
}

int
store_begin(struct store *store, struct err *err)
{
	int r;

	if (store->open)
		return 0;
	r = run(store, statement(store, S_BEGIN), err);
	if (r < 0)
		return r;
	store->open = true;
	store->changes_at_begin = sqlite3_total_changes(store->db);
	return 0;
}

int
store_commit(struct store *store, int64_t now_us, struct err *err)
{
	int r = 0;

	if (!store->open)
		return 0;
	if (store->spoiled) {
		store_rollback(store);
		return space(store, err);
	}
	if (sqlite3_total_changes(store->db) != store->changes_at_begin ||
	    now_us - store->alive_us >= ALIVE_EVERY_US || now_us < store->alive_us) {
		bind_int(statement(store, S_ALIVE_SET), 1, now_us);
		r = run(store, statement(store, S_ALIVE_SET), err);
		if (r == 0)
			store->alive_us = now_us;
	}
	if (r == 0)
		r = run(store, statement(store, S_COMMIT), err);
	if (r < 0)
		store_rollback(store);
	else
		store->open = false;
	return r;
}

void
store_rollback(struct store *store)
{
	if (!store->open)
		return;
	if (!sqlite3_get_autocommit(store->db)) {
		sqlite3_stmt *st = statement(store, S_ROLLBACK);

		(void)sqlite3_step(st);
		(void)sqlite3_reset(st);
	}
	store->open = false;
	store->spoiled = false;
	touch(store);
}

bool
store_in_transaction(const struct store *store)
{
	return store->open;
}

int
store_savepoint(struct store *store, struct err *err)
{
	return run(store, statement(store, S_SAVEPOINT), err);
}

int
store_release(struct store *store, struct err *err)
{
	return run(store, statement(store, S_RELEASE), err);
}

void
store_rollback_savepoint(struct store *store)
{
	if (store->spoiled)
		return;
	(void)run(store, statement(store, S_ROLLBACK_TO), NULL);
	(void)run(store, statement(store, S_RELEASE), NULL);
	touch(store);
}

int64_t
store_last_alive(struct store *store)
{
	return store->alive_us;
}

/* ---- keys ---- */

int
store_key_find(struct store *store, int64_t uid, const char *key, const char *digest,
	       char **ret_reply, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_KEY_FIND);
	int r;

	bind_int(st, 1, uid);
	bind_text(st, 2, key);
	r = row(store, st, err);
	if (r <= 0)
		return r;
	if (strcmp((const char *)sqlite3_column_text(st, 0), digest) == 0)
		*ret_reply = read_string(st, 1);
	else
		r = err_set(
		    err, ERR_KEY_REUSED,
		    "the key %s was used for another request: make a new key for each request",
		    key);
	(void)sqlite3_reset(st);
	if (r < 0) {
		err_field(err, "key", json_string(key));
		return -EEXIST;
	}
	return 1;
}

int
store_key_add(struct store *store, int64_t uid, const char *key, const char *digest,
	      const char *reply, int64_t now_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_KEY_ADD);
	int r;

	bind_int(st, 1, uid);
	bind_text(st, 2, key);
	bind_text(st, 3, digest);
	bind_text(st, 4, reply);
	bind_int(st, 5, now_us);
	r = run(store, st, err);
	if (r == 0 && ++store->keys_added % KEYS_PRUNE_EVERY == 0)
		r = store_keys_prune(store, now_us, err);
	return r;
}

int
store_keys_prune(struct store *store, int64_t now_us, struct err *err)
{
	sqlite3_stmt *old = statement(store, S_KEYS_OLD),
		     *surplus = statement(store, S_KEYS_SURPLUS);
	int r;

	bind_int(surplus, 1, KEYS_KEPT);
	r = run(store, surplus, err);
	do {
		if (r < 0)
			return r;
		bind_int(old, 1, now_us - KEYS_AGE_US);
		r = run(store, old, err);
	} while (r == 0 && sqlite3_changes(store->db) >= 1024);
	return r;
}

int
store_audit(struct store *store, const struct store_audit *audit, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_AUDIT);

	bind_int(st, 1, audit->at_us);
	bind_int(st, 2, audit->uid);
	bind_text(st, 3, audit->who);
	bind_text(st, 4, audit->what);
	bind_text(st, 5, audit->application);
	bind_text(st, 6, audit->stage);
	if (audit->job > 0)
		bind_int(st, 7, audit->job);
	else
		(void)sqlite3_bind_null(st, 7);
	bind_text(st, 8, audit->text);
	return run(store, st, err);
}

/* ---- builds ---- */

void
store_build_clear(struct store_build *build)
{
	free(build->rejected_by);
	free(build->rejected_reason);
	free(build->pinned_by);
	free(build->pin_reason);
	free(build->signature);
	free(build->note);
	free(build->artifacts);
	json_decref(build->variables);
	memset(build, 0, sizeof(*build));
}

static int
artifact_add(struct store *store, int64_t build, const struct store_artifact *artifact,
	     struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ARTIFACT_ADD);

	bind_int(st, 1, build);
	bind_text(st, 2, artifact->name);
	bind_text(st, 3, artifact->digest);
	bind_int(st, 4, artifact->files);
	bind_int(st, 5, artifact->bytes);
	return run(store, st, err);
}

static int
next_number(struct store *store, struct store_build *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_NEXT);
	int64_t next;
	int r;

	bind_text(st, 1, build->application);
	bind_text(st, 2, build->build.release);
	r = number(store, st, 1, &next, err);
	if (r == 0 && next > NAMES_BUILD_MAX)
		r = err_set(
		    err, ERR_REFUSED,
		    "%s %s has build %d already, the highest number there is: use a new release",
		    build->application, build->build.release, NAMES_BUILD_MAX);
	if (r == 0)
		build->build.number = next;
	return r;
}

int
store_build_add(struct store *store, struct store_build *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_ADD);
	int r = build->build.number == 0 ? next_number(store, build, err) : 0;

	if (r < 0)
		return r;
	bind_text(st, 1, build->application);
	bind_text(st, 2, build->build.release);
	bind_int(st, 3, build->build.number);
	bind_int(st, 4, build->created_us);
	bind_text(st, 5, build->created_by);
	bind_int(st, 6, build->uid);
	bind_text(st, 7, build->note);
	bind_map(st, 8, build->variables);
	r = run(store, st, err);
	if (r < 0)
		return r;
	build->id = sqlite3_last_insert_rowid(store->db);
	for (size_t i = 0; i < build->nartifacts && r == 0; i++)
		r = artifact_add(store, build->id, &build->artifacts[i], err);
	return r;
}

/* A row of SELECT * FROM builds, without artifacts. */
static void
read_build(sqlite3_stmt *st, struct store_build *ret)
{
	*ret = (struct store_build){
	    .id = read_int(st, 0),
	    .build.number = read_int(st, 3),
	    .rejected = read_int(st, 4) != 0,
	    .rejected_by = read_string(st, 5),
	    .rejected_reason = read_string(st, 6),
	    .rejected_us = read_int(st, 7),
	    .created_us = read_int(st, 8),
	    .uid = read_int(st, 10),
	    .note = read_string(st, 11),
	    .variables = read_json(st, 12, false),
	    .pinned_by = read_string(st, 13),
	    .pinned_us = read_int(st, 14),
	    .pin_reason = read_string(st, 15),
	    .signature = read_string(st, 16),
	};
	read_array(st, 1, ret->application, sizeof(ret->application));
	read_array(st, 2, ret->build.release, sizeof(ret->build.release));
	read_array(st, 9, ret->created_by, sizeof(ret->created_by));
}

static int
read_artifacts(struct store *store, struct store_build *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ARTIFACTS);
	size_t room = 0;
	int r;

	bind_int(st, 1, build->id);
	while ((r = row(store, st, err)) == 1) {
		struct store_artifact *artifact;

		XGROW(build->artifacts, build->nartifacts, room);
		artifact = &build->artifacts[build->nartifacts++];
		read_array(st, 0, artifact->name, sizeof(artifact->name));
		read_array(st, 1, artifact->digest, sizeof(artifact->digest));
		artifact->files = read_int(st, 2);
		artifact->bytes = read_int(st, 3);
	}
	return r;
}

int
store_build_get(struct store *store, const char *application, const struct build_ref *ref,
		struct store_build *ret_build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_GET);
	struct store_build build;
	int r;

	bind_text(st, 1, application);
	bind_text(st, 2, ref->release);
	bind_int(st, 3, ref->number);
	r = row(store, st, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = err_set(err, ERR_NO_SUCH_BUILD, "%s has no build %s: bmctl build list %s",
			    application, names_build_text(ref).s, application);
		err_field(err, "application", json_string(application));
		err_field(err, "release", json_string(ref->release));
		err_field(err, "build", json_integer(ref->number));
		return r;
	}
	read_build(st, &build);
	(void)sqlite3_reset(st);
	r = read_artifacts(store, &build, err);
	if (r < 0)
		store_build_clear(&build);
	else
		*ret_build = build;
	return r;
}

int
store_build_reject(struct store *store, int64_t id, const char *by, int64_t now_us,
		   const char *reason, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_REJECT);

	bind_int(st, 1, id);
	bind_int(st, 2, reason != NULL);
	bind_text(st, 3, reason ? by : NULL);
	bind_int(st, 4, reason ? now_us : 0);
	bind_text(st, 5, reason);
	touch(store);
	return run(store, st, err);
}

int
store_build_pin(struct store *store, int64_t id, const char *by, int64_t now_us, const char *reason,
		struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_PIN);

	bind_int(st, 1, id);
	bind_text(st, 2, by);
	bind_int(st, 3, by ? now_us : 0);
	bind_text(st, 4, by ? reason : NULL);
	return run(store, st, err);
}

int
store_build_sign(struct store *store, int64_t id, const char *signature, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_SIGN);

	bind_int(st, 1, id);
	bind_text(st, 2, signature);
	return run(store, st, err);
}

static void
bind_ref(sqlite3_stmt *st, const char *application, const struct build_ref *ref)
{
	bind_text(st, 1, application);
	bind_text(st, 2, ref->release);
	bind_int(st, 3, ref->number);
}

int
store_build_collect(struct store *store, const struct store_build *build, const char *by,
		    int64_t now_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COLLECTED_ADD);
	int r;

	bind_ref(st, build->application, &build->build);
	bind_int(st, 4, now_us);
	bind_text(st, 5, by);
	r = run(store, st, err);
	if (r == 0) {
		bind_ref(statement(store, S_SUCCESSES_DROP), build->application, &build->build);
		r = run(store, statement(store, S_SUCCESSES_DROP), err);
	}
	if (r == 0) {
		bind_int(statement(store, S_ARTIFACTS_DROP), 1, build->id);
		r = run(store, statement(store, S_ARTIFACTS_DROP), err);
	}
	if (r == 0) {
		bind_int(statement(store, S_BUILD_DROP), 1, build->id);
		r = run(store, statement(store, S_BUILD_DROP), err);
	}
	touch(store);
	return r;
}

int
store_build_collected(struct store *store, const char *application, const struct build_ref *ref,
		      int64_t *ret_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COLLECTED);

	bind_ref(st, application, ref);
	return number(store, st, 0, ret_us, err);
}

int
store_manifest_each(struct store *store, const char *after, int limit,
		    int (*back)(const char *digest, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_MANIFESTS);
	char(*digests)[65] = xcalloc((size_t)limit, sizeof(*digests));
	size_t n = 0;
	int r;

	bind_text(st, 1, after);
	bind_int(st, 2, limit);
	while ((r = row(store, st, err)) == 1)
		read_array(st, 0, digests[n++], sizeof(*digests));
	for (size_t i = 0; i < n && r == 0; i++)
		r = back(digests[i], arg);
	free(digests);
	return r < 0 ? r : 0;
}

int
store_manifest_used(struct store *store, const char *digest, bool *ret_used, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_MANIFEST_USED);
	int64_t n;
	int r;

	bind_text(st, 1, digest);
	r = number(store, st, 0, &n, err);
	if (r == 0)
		*ret_used = n > 0;
	return r;
}

int
store_stages(struct store *store, const char *application, json_t **ret_stages, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STAGES);
	_cleanup_json_ json_t *stages = json_array();
	int r;

	bind_text(st, 1, application);
	while ((r = row(store, st, err)) == 1)
		(void)json_array_append_new(stages,
					    json_string((const char *)sqlite3_column_text(st, 0)));
	if (r == 0)
		*ret_stages = TAKE(stages);
	return r;
}

int
store_build_each(struct store *store, const char *application, const char *release,
		 int64_t after_id, int limit,
		 int (*back)(const struct store_build *build, void *arg), void *arg,
		 struct err *err)
{
	sqlite3_stmt *st = statement(store, release ? S_BUILDS_RELEASE : S_BUILDS);
	struct store_build *builds = NULL;
	size_t n = 0, room = 0;
	int r;

	bind_text(st, 1, application);
	bind_int(st, 2, after_id > 0 ? after_id : INT64_MAX);
	bind_int(st, 3, limit);
	if (release)
		bind_text(st, 4, release);
	while ((r = row(store, st, err)) == 1) {
		XGROW(builds, n, room);
		read_build(st, &builds[n++]);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = read_artifacts(store, &builds[i], err);
		if (r == 0)
			r = back(&builds[i], arg);
		store_build_clear(&builds[i]);
	}
	free(builds);
	return r < 0 ? r : 0;
}

int
store_release_look(struct store *store, const char *application, const char *release,
		   const char *stage, int64_t *ret_builds, int64_t *ret_newest_active,
		   int64_t *ret_newest_succeeded, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_RELEASE_COUNT);
	int r;

	bind_text(st, 1, application);
	bind_text(st, 2, release);
	r = row(store, st, err);
	if (r < 0)
		return r;
	*ret_builds = read_int(st, 0);
	*ret_newest_active = read_int(st, 1);
	(void)sqlite3_reset(st);
	*ret_newest_succeeded = 0;
	if (!stage)
		return 0;
	st = statement(store, S_RELEASE_SUCCEEDED);
	bind_stage(st, application, stage);
	bind_text(st, 3, release);
	return number(store, st, 0, ret_newest_succeeded, err);
}

int
store_release_only(struct store *store, const char *application, const char *release,
		   int64_t *ret_number, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_RELEASE_ONLY);

	bind_text(st, 1, application);
	bind_text(st, 2, release);
	return number(store, st, 0, ret_number, err);
}

int
store_releases(struct store *store, const char *application, int limit, json_t **ret_releases,
	       struct err *err)
{
	sqlite3_stmt *st = statement(store, S_RELEASES);
	_cleanup_json_ json_t *releases = json_array();
	int r;

	bind_text(st, 1, application);
	bind_int(st, 2, limit);
	while ((r = row(store, st, err)) == 1)
		(void)json_array_append_new(releases,
					    json_string((const char *)sqlite3_column_text(st, 0)));
	if (r < 0)
		return r;
	*ret_releases = TAKE(releases);
	return 0;
}

/* ---- jobs ---- */

#define BIND_STATE(f)	bind_text(st, i, job_state_stored(f))
#define BIND_ARRAY(f)	bind_text(st, i, f)
#define BIND_STRING(f)	bind_text(st, i, f)
#define BIND_INT(f)	bind_int(st, i, f)
#define BIND_INT32(f)	bind_int(st, i, f)
#define BIND_FLAG(f)	bind_int(st, i, f)
#define BIND_MODE(f)	bind_text(st, i, job_mode_name(f))
#define BIND_CHANGED(f) bind_text(st, i, job_if_changed_name(f))
#define BIND_LIST(f)	bind_list(st, i, f)
#define BIND_MAP(f)	bind_map(st, i, f)

/* Binds every column; returns the next free place. */
static int
bind_job(sqlite3_stmt *st, const struct job *job)
{
	int i = 1;

#define X(column, type, kind, field) BIND_##kind(job->field), i++;
	STORE_JOB_COLUMNS(X)
#undef X
	bind_int(st, i++, job_state_final(job->state));
	bind_int(st, i++, job->timed ? job->grace_from_us + job->grace_us : 0);
	bind_int(st, i++, job->id);
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
#define READ_ARRAY(f)	read_array(st, i, f, sizeof(f))
#define READ_STRING(f)	(f) = read_string(st, i)
#define READ_INT(f)	(f) = read_int(st, i)
#define READ_INT32(f)	(f) = sqlite3_column_int(st, i)
#define READ_FLAG(f)	(f) = read_int(st, i) != 0
#define READ_MODE(f)	(f) = read_mode(st, i)
#define READ_CHANGED(f) (f) = read_changed(st, i)
#define READ_LIST(f)	(f) = read_json(st, i, true)
#define READ_MAP(f)	(f) = read_json(st, i, false)

static void
read_job(sqlite3_stmt *st, struct job *job)
{
	int i = 1;

	memset(job, 0, sizeof(*job));
	job->id = read_int(st, 0);
#define X(column, type, kind, field) \
	READ_##kind(job->field);     \
	i++;
	STORE_JOB_COLUMNS(X)
#undef X
}

int
store_job_highest(struct store *store, int64_t *ret_id, struct err *err)
{
	return number(store, statement(store, S_JOB_HIGHEST), 0, ret_id, err);
}

int
store_job_add(struct store *store, const struct job *job, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_JOB_ADD);

	(void)bind_job(st, job);
	return run(store, st, err);
}

int
store_job_get(struct store *store, int64_t id, struct job *ret_job, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_JOB_GET);
	int r;

	bind_int(st, 1, id);
	r = row(store, st, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = err_set(err, ERR_NO_SUCH_JOB,
			    "there is no job %lld: bmctl queue, or bmctl history", (long long)id);
		err_field(err, "job", json_integer(id));
		return r;
	}
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

	bind_text(st, i, job_state_stored(expected));
	bind_text(st, i + 1, run_id);
	touch(store);
	note_written(store, job->id);
	r = run(store, st, err);
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

	while ((r = row(store, st, err)) == 1) {
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
	bind_int(st, 1, due_us);
	bind_int(st, 2, after_due_us);
	bind_int(st, 3, after_id);
	bind_int(st, 4, limit);
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
		bind_stage(st, application, stage);
		bind_int(st, 3, last[0]);
		bind_int(st, 4, last[1]);
		bind_int(st, 5, PAGE);
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
	sqlite3_stmt *st = statement(store, S_LIST_QUEUED_STAGE);
	size_t n;
	int r;

	bind_stage(st, application, stage);
	bind_int(st, 3, INT64_MIN);
	bind_int(st, 4, 0);
	bind_int(st, 5, 1);
	r = each_job(store, st, keep_job, ret_job, &n, NULL, err);
	return r < 0 ? r : (int)n;
}

/* The first row of a loose scan over (application, stage): 1, or 0 at the end. */
static int
next_stage(struct store *store, enum statement which, char application[64], char stage[64],
	   struct err *err)
{
	sqlite3_stmt *st = statement(store, which);
	int r;

	bind_stage(st, application, stage);
	r = row(store, st, err);
	if (r == 1) {
		/* The bound texts are read no more: the row stands. */
		read_array(st, 0, application, 64);
		read_array(st, 1, stage, 64);
		(void)sqlite3_reset(st);
	}
	return r;
}

int
store_job_queued_stage(struct store *store, char application[64], char stage[64], struct err *err)
{
	return next_stage(store, S_QUEUED_STAGES, application, stage, err);
}

int
store_job_each_expired(struct store *store, int64_t now_us, int limit,
		       int (*back)(const struct job *job, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_EXPIRED);

	bind_int(st, 1, now_us);
	bind_int(st, 2, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_next_expiry(struct store *store, int64_t *ret_us, struct err *err)
{
	return number(store, statement(store, S_NEXT_EXPIRY), INT64_MAX, ret_us, err);
}

int
store_job_first_held(struct store *store, const char *application, const char *stage,
		     int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_FIRST_HELD);

	bind_stage(st, application, stage);
	return number(store, st, 0, ret_id, err);
}

int
store_job_first_next(struct store *store, const char *application, const char *stage,
		     int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_FIRST_NEXT);

	bind_stage(st, application, stage);
	return number(store, st, 0, ret_id, err);
}

int
store_job_ahead(struct store *store, const char *application, const char *stage, int64_t due_us,
		int64_t id, int limit, json_t **ret_ids, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_AHEAD);
	_cleanup_json_ json_t *ids = json_array();
	int r;

	bind_stage(st, application, stage);
	bind_int(st, 3, due_us);
	bind_int(st, 4, id);
	bind_int(st, 5, limit);
	while ((r = row(store, st, err)) == 1)
		(void)json_array_insert_new(ids, 0, json_integer(read_int(st, 0)));
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

	bind_stage(st, application, stage);
	r = row(store, st, err);
	if (r <= 0)
		return r;
	read_job(st, ret_job);
	(void)sqlite3_reset(st);
	return 1;
}

int
store_job_active_count(struct store *store, int64_t *ret_count, struct err *err)
{
	return number(store, statement(store, S_ACTIVE_COUNT), 0, ret_count, err);
}

int
store_job_each_waiting(struct store *store, const char *application, int64_t after_due_us,
		       int64_t after_id, int limit, int (*back)(const struct job *job, void *arg),
		       void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_WAITING);

	bind_text(st, 1, application);
	bind_int(st, 2, after_due_us);
	bind_int(st, 3, after_id);
	bind_int(st, 4, limit);
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

	bind_int(st, 1, since_us);
	bind_int(st, 2, first ? INT64_MAX : before_us);
	bind_int(st, 3, first ? INT64_MAX : before_id);
	bind_int(st, 4, limit);
	bind_text(st, 5, application ? application : stage);
	if (application && stage)
		bind_text(st, 6, stage);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_each_build(struct store *store, const char *application, const struct build_ref *build,
		     int limit, int (*back)(const struct job *job, void *arg), void *arg,
		     struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LIST_BUILD);

	bind_text(st, 1, application);
	bind_text(st, 2, build->release);
	bind_int(st, 3, build->number);
	bind_int(st, 4, limit);
	return each_job(store, st, back, arg, NULL, NULL, err);
}

int
store_job_next_due(struct store *store, int64_t *ret_due_us, struct err *err)
{
	return number(store, statement(store, S_NEXT_DUE), INT64_MAX, ret_due_us, err);
}

int
store_job_count(struct store *store, int64_t ret_counts[JOB_STATE_MAX_], struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COUNT);
	int64_t counts[JOB_STATE_MAX_] = {0};
	int r;

	while ((r = row(store, st, err)) == 1)
		counts[read_state(st, 0)] = read_int(st, 1);
	if (r < 0)
		return r;
	memcpy(ret_counts, counts, sizeof(counts));
	return 0;
}

int
store_job_last_failed(struct store *store, const char *application, const char *stage,
		      int64_t *ret_id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LAST_FAILED);
	int r;

	bind_stage(st, application, stage);
	r = row(store, st, err);
	if (r < 0)
		return r;
	*ret_id = r == 1 ? read_int(st, 0) : 0;
	if (r == 1)
		(void)sqlite3_reset(st);
	return 0;
}

bool
store_succeeded(struct store *store, const char *application, const char *stage,
		const struct build_ref *build)
{
	sqlite3_stmt *st = statement(store, S_SUCCEEDED);
	int64_t since = -1;

	bind_stage(st, application, stage);
	bind_text(st, 3, build->release);
	bind_int(st, 4, build->number);
	return number(store, st, -1, &since, NULL) == 0 && since >= 0;
}

int
store_last_run(struct store *store, const char *application, const char *stage,
	       const struct build_ref *build, int64_t *ret_job, char ret_plan_digest[65],
	       int64_t *ret_finished_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_LAST_RUN);
	int r;

	bind_stage(st, application, stage);
	bind_text(st, 3, build->release);
	bind_int(st, 4, build->number);
	r = row(store, st, err);
	if (r < 0)
		return r;
	if (r == 0) {
		*ret_job = 0;
		return 0;
	}
	*ret_job = read_int(st, 0);
	read_array(st, 1, ret_plan_digest, 65);
	*ret_finished_us = read_int(st, 2);
	(void)sqlite3_reset(st);
	return 0;
}

/* ---- steps ---- */

int
store_step_put(struct store *store, int64_t job, const struct store_step *step, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STEP_PUT);
	int r;

	bind_int(st, 1, job);
	bind_int(st, 2, step->index);
	bind_text(st, 3, step->name);
	bind_text(st, 4, step->state);
	bind_int(st, 5, step->started_us);
	bind_int(st, 6, step->finished_us);
	bind_int(st, 7, step->exit_code);
	bind_int(st, 8, step->signal);
	bind_int(st, 9, step->attempt);
	bind_int(st, 10, step->irreversible);
	bind_text(st, 11, step->message);
	r = run(store, st, err);
	if (r < 0 || !step->irreversible || step->started_us == 0 || step->attempt > 1)
		return r;
	st = statement(store, S_IRREVERSIBLE_PUT);
	bind_int(st, 1, job);
	bind_int(st, 2, step->started_us);
	bind_int(st, 3, step->index);
	bind_text(st, 4, step->name);
	return run(store, st, err);
}

int
store_step_each(struct store *store, int64_t job,
		int (*back)(const struct store_step *step, void *arg), void *arg, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STEPS);
	struct store_step *steps = NULL;
	size_t n = 0, room = 0;
	int r;

	bind_int(st, 1, job);
	while ((r = row(store, st, err)) == 1) {
		struct store_step *step;

		XGROW(steps, n, room);
		step = &steps[n++];
		step->index = sqlite3_column_int(st, 0);
		read_array(st, 1, step->name, sizeof(step->name));
		read_array(st, 2, step->state, sizeof(step->state));
		step->started_us = read_int(st, 3);
		step->finished_us = read_int(st, 4);
		step->exit_code = sqlite3_column_int(st, 5);
		step->signal = sqlite3_column_int(st, 6);
		step->attempt = sqlite3_column_int(st, 7);
		step->irreversible = read_int(st, 8) != 0;
		step->message = read_string(st, 9);
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
			int64_t since_us, int limit,
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

	bind_stage(st, application, stage);
	bind_int(st, 3, since_us);
	bind_int(st, 4, limit);
	while ((r = row(store, st, err)) == 1) {
		XGROW(found, n, room);
		found[n].job = read_int(st, 0);
		read_array(st, 1, found[n].build.release, sizeof(found[n].build.release));
		found[n].build.number = read_int(st, 2);
		read_array(st, 3, found[n].step, sizeof(found[n].step));
		n++;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = back(found[i].job, &found[i].build, found[i].step, arg);
	free(found);
	return r < 0 ? r : 0;
}

/* ---- stages ---- */

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

	bind_stage(st, application, stage);
	r = row(store, st, err);
	if (r < 0)
		return r;
	(void)snprintf(got.application, sizeof(got.application), "%s", application);
	(void)snprintf(got.stage, sizeof(got.stage), "%s", stage);
	if (r == 1) {
		got.locked_by = read_string(st, 0);
		got.lock_reason = read_string(st, 1);
		got.locked_us = read_int(st, 2);
		got.lock_until_us = read_int(st, 3);
		got.dirty = read_int(st, 4) != 0;
		got.dirty_job = read_int(st, 5);
		got.dirty_us = read_int(st, 6);
		got.occupied_job = read_int(st, 7);
		(void)sqlite3_reset(st);
	}
	*ret_stage = got;
	return 0;
}

int
store_stage_put(struct store *store, const struct store_stage *stage, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STAGE_PUT);

	bind_stage(st, stage->application, stage->stage);
	bind_text(st, 3, stage->locked_by);
	bind_text(st, 4, stage->lock_reason);
	bind_int(st, 5, stage->locked_us);
	bind_int(st, 6, stage->lock_until_us);
	bind_int(st, 7, stage->dirty);
	bind_int(st, 8, stage->dirty_job);
	bind_int(st, 9, stage->dirty_us);
	bind_int(st, 10, stage->occupied_job);
	touch(store);
	return run(store, st, err);
}

static void
read_entry(sqlite3_stmt *st, struct history_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	read_array(st, 0, entry->build.release, sizeof(entry->build.release));
	entry->build.number = read_int(st, 1);
	entry->job = read_int(st, 2);
	entry->since_us = read_int(st, 3);
	read_array(st, 4, entry->by, sizeof(entry->by));
	entry->rejected = read_int(st, 5) != 0;
}

static int
read_stack(struct store *store, const char *application, const char *stage, struct history *history,
	   struct err *err)
{
	sqlite3_stmt *st = statement(store, S_STACK);
	int r;

	bind_stage(st, application, stage);
	while ((r = row(store, st, err)) == 1) {
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

static int
load_history(struct store *store, const char *application, const char *stage,
	     struct history *history, struct err *err)
{
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
	if (at.dirty && at.dirty_job > 0 && store_job_get(store, at.dirty_job, &job, NULL) == 0) {
		r = read_run(store, &job, &history->unfinished, err);
		job_clear(&job);
	}
	store_stage_clear(&at);
	if (r < 0)
		return r;
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

	bind_stage(st, history->application, history->stage);
	bind_int(st, 3, (int64_t)i);
	bind_text(st, 4, entry->build.release);
	bind_int(st, 5, entry->build.number);
	bind_int(st, 6, entry->job);
	bind_int(st, 7, entry->since_us);
	bind_text(st, 8, entry->by);
	r = run(store, st, err);
	if (r < 0)
		return r;
	st = statement(store, S_SUCCESS_PUT);
	bind_stage(st, history->application, history->stage);
	bind_text(st, 3, entry->build.release);
	bind_int(st, 4, entry->build.number);
	bind_int(st, 5, entry->since_us);
	return run(store, st, err);
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
	bind_stage(st, history->application, history->stage);
	bind_int(st, 3, (int64_t)same);
	r = run(store, st, err);
	for (size_t i = same; i < history->n && r == 0; i++)
		r = put_entry(store, history, i, err);
	touch(store);
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
	while ((r = next_stage(store, S_STACK_STAGES, at, stage, err)) == 1) {
		sqlite3_stmt *st = statement(store, S_STACK_TOP);
		struct history_entry live;

		if (application && strcmp(at, application) != 0)
			return 0;
		bind_stage(st, at, stage);
		r = row(store, st, err);
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

/* ---- for tests ---- */

static void
explain_one(struct store *store, const char *sql, FILE *out)
{
	_cleanup_free_ char *text = xasprintf("EXPLAIN QUERY PLAN %s", sql);
	sqlite3_stmt *st = NULL;

	(void)fprintf(out, "%s\n", sql);
	if (sqlite3_prepare_v2(store->db, text, -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW)
			(void)fprintf(out, "\t%s\n", sqlite3_column_text(st, 3));
	(void)sqlite3_finalize(st);
}

char *
store_explain(struct store *store)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		xalloc_die();
	for (unsigned i = 0; i < S_MAX_; i++)
		explain_one(store, texts[i], out);
	if (fclose(out) != 0)
		xalloc_die();
	return text;
}
