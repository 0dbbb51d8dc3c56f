/* SPDX-License-Identifier: ISC */
/*
 * The outbox of notices. A row is written in the transaction of what it tells, so that neither can
 * be there without the other.
 */
#include <string.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define FIELDS "id, uid, scope, name, event, application, stage, job, body, created_us, state, attempts, next_us, tried_us, error, steady_us"

#define STATEMENTS(X) \
	X(NOTICE_ADD,	  "INSERT INTO notices (uid, scope, name, event, application, stage, job, body, created_us, state," \
			  " attempts, next_us, tried_us, error, steady_us) VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12," \
			  " ?13, ?14, ?15, ?16) RETURNING id")						   \
	X(NOTICE_PUT,	  "UPDATE notices SET state = ?11, attempts = ?12, next_us = ?13, tried_us = ?14, error = ?15" \
			  " WHERE id = ?1")							   \
	X(NOTICE_GET,	  "SELECT " FIELDS " FROM notices WHERE id = ?1")			   \
	X(NOTICE_SECTION, "SELECT scope, name FROM notices WHERE state = 'waiting' AND (scope, name) > (?1, ?2)" \
			  " ORDER BY scope, name LIMIT 1")					   \
	X(NOTICE_NEXT,	  "SELECT " FIELDS " FROM notices WHERE state = 'waiting' AND scope = ?1 AND name = ?2" \
			  " ORDER BY next_us, id LIMIT 1")					   \
	X(NOTICE_OLDEST,  "SELECT " FIELDS " FROM notices WHERE state = 'waiting' ORDER BY id LIMIT 1") \
	X(NOTICES_WAITING, "SELECT count(*) FROM notices WHERE state = 'waiting'")		   \
	X(NOTICES_FAILING, "SELECT count(*) FROM notices WHERE state = 'waiting' AND attempts > 0") \
	X(NOTICES_GIVEN_UP, "SELECT count(*) FROM notices WHERE state = 'given_up' AND tried_us >= ?1") \
	X(NOTICES,	  "SELECT " FIELDS " FROM notices WHERE id < ?1 ORDER BY id DESC LIMIT ?2") \
	X(NOTICES_PRUNE,  "DELETE FROM notices WHERE state = ?1 AND id <= (SELECT id FROM notices WHERE state = ?1" \
			  " ORDER BY id DESC LIMIT 1 OFFSET ?2)")
// clang-format on

STORE_PART(notice, STATEMENTS)

static const char *const states[] = {
    [STORE_NOTICE_WAITING] = "waiting",
    [STORE_NOTICE_DELIVERED] = "delivered",
    [STORE_NOTICE_GIVEN_UP] = "given_up",
};

const char *
store_notice_state_name(enum store_notice_state state)
{
	return states[state];
}

void
store_notice_clear(struct store_notice *notice)
{
	free(notice->body);
	free(notice->error);
	memset(notice, 0, sizeof(*notice));
}

static void
bind_progress(sqlite3_stmt *st, const struct store_notice *notice)
{
	store_bind_text(st, 11, states[notice->state]);
	store_bind_int(st, 12, notice->attempts);
	store_bind_int(st, 13, notice->next_us);
	store_bind_int(st, 14, notice->tried_us);
	store_bind_text(st, 15, notice->error);
}

static void
read_notice(sqlite3_stmt *st, struct store_notice *ret)
{
	const char *state = (const char *)sqlite3_column_text(st, 10);

	*ret = (struct store_notice){
	    .id = store_read_int(st, 0),
	    .job = store_read_int(st, 7),
	    .body = store_read_string(st, 8),
	    .created_us = store_read_int(st, 9),
	    .attempts = sqlite3_column_int(st, 11),
	    .next_us = store_read_int(st, 12),
	    .tried_us = store_read_int(st, 13),
	    .error = store_read_string(st, 14),
	    .steady_us = store_read_int(st, 15),
	};
	store_read_array(st, 1, ret->uid, sizeof(ret->uid));
	store_read_array(st, 2, ret->scope, sizeof(ret->scope));
	store_read_array(st, 3, ret->name, sizeof(ret->name));
	store_read_array(st, 4, ret->event, sizeof(ret->event));
	store_read_array(st, 5, ret->application, sizeof(ret->application));
	store_read_array(st, 6, ret->stage, sizeof(ret->stage));
	for (size_t i = 0; state && i < ARRAY_SIZE(states); i++)
		if (strcmp(states[i], state) == 0)
			ret->state = (enum store_notice_state)i;
}

int
store_notice_add(struct store *store, struct store_notice *notice, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NOTICE_ADD);

	store_bind_text(st, 2, notice->uid);
	store_bind_text(st, 3, notice->scope);
	store_bind_text(st, 4, notice->name);
	store_bind_text(st, 5, notice->event);
	store_bind_text(st, 6, notice->application);
	store_bind_text(st, 7, notice->stage);
	store_bind_int(st, 8, notice->job);
	store_bind_text(st, 9, notice->body);
	store_bind_int(st, 10, notice->created_us);
	bind_progress(st, notice);
	store_bind_int(st, 16, notice->steady_us);
	return store_number(store, st, 0, &notice->id, err);
}

int
store_notice_put(struct store *store, const struct store_notice *notice, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NOTICE_PUT);

	store_bind_int(st, 1, notice->id);
	bind_progress(st, notice);
	return store_run(store, st, err);
}

/* 1 and the one row of ST, or 0. */
static int
read_one(struct store *store, sqlite3_stmt *st, struct store_notice *ret, struct err *err)
{
	int r = store_row(store, st, err);

	if (r == 1) {
		read_notice(st, ret);
		(void)sqlite3_reset(st);
	}
	return r;
}

int
store_notice_get(struct store *store, int64_t id, struct store_notice *ret_notice, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NOTICE_GET);

	store_bind_int(st, 1, id);
	return read_one(store, st, ret_notice, err);
}

int
store_notice_section(struct store *store, char scope[64], char name[64], struct err *err)
{
	return store_next_stage(store, statement(store, S_NOTICE_SECTION), scope, name, err);
}

int
store_notice_next(struct store *store, const char *scope, const char *name,
		  struct store_notice *ret_notice, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NOTICE_NEXT);

	store_bind_text(st, 1, scope);
	store_bind_text(st, 2, name);
	return read_one(store, st, ret_notice, err);
}

int
store_notice_oldest(struct store *store, struct store_notice *ret_notice, struct err *err)
{
	return read_one(store, statement(store, S_NOTICE_OLDEST), ret_notice, err);
}

int
store_notice_count(struct store *store, int64_t since_us, struct store_notice_counts *ret_counts,
		   struct err *err)
{
	sqlite3_stmt *given_up = statement(store, S_NOTICES_GIVEN_UP);
	struct store_notice_counts counts;
	int r = store_number(store, statement(store, S_NOTICES_WAITING), 0, &counts.waiting, err);

	if (r == 0)
		r = store_number(store, statement(store, S_NOTICES_FAILING), 0, &counts.failing,
				 err);
	store_bind_int(given_up, 1, since_us);
	if (r == 0)
		r = store_number(store, given_up, 0, &counts.given_up, err);
	if (r == 0)
		*ret_counts = counts;
	return r;
}

int
store_notice_each(struct store *store, int64_t before_id, int limit,
		  int (*back)(const struct store_notice *notice, void *arg), void *arg,
		  struct err *err)
{
	sqlite3_stmt *st = statement(store, S_NOTICES);
	struct store_notice *notices = NULL;
	size_t n = 0, room = 0;
	int r, stop = 0;

	store_bind_int(st, 1, before_id > 0 ? before_id : INT64_MAX);
	store_bind_int(st, 2, limit);
	while ((r = store_row(store, st, err)) == 1) {
		XGROW(notices, n, room);
		read_notice(st, &notices[n++]);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && stop == 0)
			stop = back(&notices[i], arg);
		store_notice_clear(&notices[i]);
	}
	free(notices);
	return r < 0 ? r : stop < 0 ? stop : 0;
}

int
store_notice_prune(struct store *store, int keep, struct err *err)
{
	static const enum store_notice_state over[] = {STORE_NOTICE_DELIVERED,
						       STORE_NOTICE_GIVEN_UP};
	sqlite3_stmt *st = statement(store, S_NOTICES_PRUNE);
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(over) && r == 0; i++) {
		store_bind_text(st, 1, states[over[i]]);
		store_bind_int(st, 2, keep);
		r = store_run(store, st, err);
	}
	return r;
}
