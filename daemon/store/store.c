/* SPDX-License-Identifier: ISC */
/*
 * Transactions and the savepoints of requests, and the keys of requests. The others of
 * the store: store_open.c (how the file comes to be open), store_row.c (what all build on),
 * and one file a subject, each with its own table of statements (store_private.h).
 */
#include "daemon/store/store.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/store_private.h"

#define KEYS_KEPT	 100000
#define KEYS_AGE_US	 (INT64_C(7) * 86400 * 1000000)
#define KEYS_PRUNE_EVERY 1024			 /* added keys */
#define ALIVE_EVERY_US	 (INT64_C(30) * 1000000) /* an otherwise empty commit records it so often */
#define ENDED		 "ended"

// clang-format off
#define STATEMENTS(X) \
	X(BEGIN,	  "BEGIN IMMEDIATE") \
	X(COMMIT,	  "COMMIT") \
	X(ROLLBACK,	  "ROLLBACK") \
	X(SAVEPOINT,	  "SAVEPOINT request") \
	X(RELEASE,	  "RELEASE request") \
	X(ROLLBACK_TO,	  "ROLLBACK TO request") \
	X(ALIVE_SET,	  "UPDATE meta SET value = ?1 WHERE name = 'last_alive'") \
	X(META_GET,	  "SELECT value FROM meta WHERE name = ?1") \
	X(META_PUT,	  "INSERT OR REPLACE INTO meta VALUES (?1, ?2)") \
	X(KEY_FIND,	  "SELECT digest, reply FROM keys WHERE uid = ?1 AND key = ?2") \
	X(KEY_ADD,	  "INSERT INTO keys (uid, key, digest, reply, added_us, job) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
	X(KEYS_SURPLUS,	  "DELETE FROM keys WHERE serial <= (SELECT max(serial) FROM keys) - ?1") \
	X(KEYS_OLD,	  "DELETE FROM keys WHERE serial IN (SELECT serial FROM keys ORDER BY serial LIMIT 1024)" \
			  " AND added_us < ?1")
// clang-format on

STORE_PART(base, STATEMENTS)

/* ---- transactions ---- */

int
store_begin(struct store *store, struct err *err)
{
	int r;

	if (store->open)
		return 0;
	r = store_run(store, statement(store, S_BEGIN), err);
	if (r < 0)
		return r;
	store->open = true;
	store->changes_at_begin = sqlite3_total_changes(store->db);
	store->audit_begin = store->audit;
	store->alive_begin_us = store->alive_us;
	store->highest_begin_us = store->highest_us;
	return 0;
}

static int
set_highest(struct store *store, int64_t highest_us, struct err *err)
{
	int r;

	if (store->highest_us == highest_us)
		return 0;
	r = store_number_put(store, STORE_HIGHEST, highest_us, err);
	if (r == 0)
		store->highest_us = highest_us;
	return r;
}

/* One row tells also the highest time, as long as the clock is not put back. */
static int
set_alive(struct store *store, int64_t now_us, struct err *err)
{
	int r = now_us < store->alive_us ? set_highest(store, store_highest(store), err) : 0;

	if (r < 0)
		return r;
	store_bind_int(statement(store, S_ALIVE_SET), 1, now_us);
	r = store_run(store, statement(store, S_ALIVE_SET), err);
	if (r == 0)
		store->alive_us = now_us;
	return r;
}

void
store_end(struct store *store)
{
	store->ending = true;
}

bool
store_ended(struct store *store)
{
	int64_t ended_us = 0;

	return store_number_get(store, ENDED, &ended_us, NULL) == 0 && ended_us > 0 &&
	       ended_us == store->alive_us;
}

/* The same moment twice: whatever is committed later, the two differ. */
static int
set_ended(struct store *store, int64_t now_us, struct err *err)
{
	int r = store_number_put(store, ENDED, now_us, err);

	return r < 0 ? r : set_alive(store, now_us, err);
}

int
store_commit(struct store *store, int64_t now_us, struct err *err)
{
	int r = 0;

	if (!store->open)
		return 0;
	if (store->spoiled) {
		store_rollback(store);
		return store_no_space(store, err);
	}
	r = store_audit_commit(store, err);
	if (r == 0 && store->ending)
		r = set_ended(store, now_us, err);
	else if (r == 0 && (sqlite3_total_changes(store->db) != store->changes_at_begin ||
			    now_us - store->alive_us >= ALIVE_EVERY_US || now_us < store->alive_us))
		r = set_alive(store, now_us, err);
	if (r == 0)
		r = store_seals_write(store, err);
	if (r == 0)
		r = store_run(store, statement(store, S_COMMIT), err);
	if (r < 0) {
		store_rollback(store);
		return r;
	}
	store->open = false;
	store_last_keep(store);
	store_reserve_keep(store);
	return 0;
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
	store_seals_back(store, 0);
	store->open = false;
	store->spoiled = false;
	store->audit = store->audit_begin;
	store->alive_us = store->alive_begin_us;
	store->highest_us = store->highest_begin_us;
	store_touch(store);
}

bool
store_in_transaction(const struct store *store)
{
	return store->open;
}

int
store_savepoint(struct store *store, struct err *err)
{
	int r = store_seals_savepoint(store, err);

	store->marked = false;
	store->audit_savepoint = store->audit;
	return r == 0 ? store_run(store, statement(store, S_SAVEPOINT), err) : r;
}

/* Within a savepoint SQLite copies each page that it changes: ten pages for a request. */
int
store_mark(struct store *store, struct err *err)
{
	int r = store_seals_savepoint(store, err);

	if (r < 0)
		return r;
	store->marked = true;
	store->audit_savepoint = store->audit;
	store->changes_at_mark = sqlite3_total_changes(store->db);
	return 0;
}

int
store_release(struct store *store, struct err *err)
{
	return store->marked ? 0 : store_run(store, statement(store, S_RELEASE), err);
}

bool
store_rollback_savepoint(struct store *store)
{
	if (store->spoiled)
		return true; /* all of it is undone already */
	if (store->marked)
		store->spoiled = sqlite3_total_changes(store->db) != store->changes_at_mark;
	else
		(void)store_run(store, statement(store, S_ROLLBACK_TO), NULL);
	store_seals_savepoint_back(store);
	if (!store->marked)
		(void)store_run(store, statement(store, S_RELEASE), NULL);
	store->audit = store->audit_savepoint;
	store_touch(store);
	return !store->spoiled;
}

int64_t
store_last_alive(struct store *store)
{
	return store->alive_us;
}

int64_t
store_highest(const struct store *store)
{
	return store->highest_us > store->alive_us ? store->highest_us : store->alive_us;
}

int
store_forget_highest(struct store *store, int64_t now_us, struct err *err)
{
	int r = store_last_lower(store, now_us, err);

	if (r == 0)
		r = set_alive(store, now_us, err);
	return r < 0 ? r : set_highest(store, 0, err);
}

int
store_number_get(struct store *store, const char *name, int64_t *ret_value, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_META_GET);

	store_bind_text(st, 1, name);
	return store_number(store, st, 0, ret_value, err);
}

int
store_number_put(struct store *store, const char *name, int64_t value, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_META_PUT);

	store_bind_text(st, 1, name);
	store_bind_int(st, 2, value);
	return store_run(store, st, err);
}

/* ---- keys ---- */

int
store_key_find(struct store *store, int64_t uid, const char *key, const char *digest,
	       char **ret_reply, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_KEY_FIND);
	int r;

	store_bind_int(st, 1, uid);
	store_bind_text(st, 2, key);
	r = store_row(store, st, err);
	if (r <= 0)
		return r;
	if (strcmp((const char *)sqlite3_column_text(st, 0), digest) == 0)
		*ret_reply = store_read_string(st, 1);
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
	      const char *reply, int64_t job, int64_t now_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_KEY_ADD);
	int r;

	store_bind_int(st, 1, uid);
	store_bind_text(st, 2, key);
	store_bind_text(st, 3, digest);
	store_bind_text(st, 4, reply);
	store_bind_int(st, 5, now_us);
	store_bind_int(st, 6, job);
	r = store_run(store, st, err);
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

	store_bind_int(surplus, 1, KEYS_KEPT);
	r = store_run(store, surplus, err);
	do {
		if (r < 0)
			return r;
		store_bind_int(old, 1, now_us - KEYS_AGE_US);
		r = store_run(store, old, err);
	} while (r == 0 && sqlite3_changes(store->db) >= 1024);
	return r;
}
