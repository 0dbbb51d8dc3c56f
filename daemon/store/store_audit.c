/* SPDX-License-Identifier: ISC */
/*
 * The audit: one row a mutation, each with the SHA-256 of the row before and of itself, so that
 * none can be changed, removed or moved without the next one telling. Where the chain ends is kept
 * apart (audit_head), for a chain whose last rows are gone is whole by itself. Rows are only ever
 * added; where the configuration bounds their age, the oldest are cut, and a row "Cut" says up to
 * which, and its hash: there a verification begins, and it comes by that row as by any other.
 *
 * A row is hashed as the hash before it (64 hex digits, zeros before the first), then each column
 * in the order of STORE_AUDIT_HASHED as "LENGTH:BYTES,"; "-," for NULL; numbers in decimal.
 */
#include <stdlib.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define GENESIS "0000000000000000000000000000000000000000000000000000000000000000"
#define HASHED	"id, at_us, uid, who, what, application, stage, job, refused, error, text"
#define FIELDS	HASHED ", hash"

// clang-format off
#define STATEMENTS(X) \
	X(ADD,	  "INSERT INTO audit (" FIELDS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)") \
	X(HEAD_SET, "UPDATE audit_head SET id = ?1, hash = ?2 WHERE one = 1") \
	X(HEAD_GET, "SELECT id, hash FROM audit_head WHERE one = 1") \
	X(LAST,	  "SELECT id, hash FROM audit WHERE id > 0 ORDER BY id DESC LIMIT 1") \
	X(PAGE,	  "SELECT " FIELDS " FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2") \
	X(FORTH,  "SELECT " FIELDS " FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2") \
	X(CUT,	  "DELETE FROM audit WHERE id <= ?1")
// clang-format on

STORE_PART(audit, STATEMENTS)

/* ---- the hash of a row ---- */

static void
add_bytes(struct digest *digest, const char *bytes, size_t n)
{
	char length[24], *p = length + sizeof(length);
	size_t left = n;

	*--p = ':';
	do
		*--p = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	digest_add(digest, p, (size_t)(length + sizeof(length) - p));
	digest_add(digest, bytes, n);
	digest_add(digest, ",", 1);
}

static void
add_text(struct digest *digest, const char *text)
{
	if (text)
		add_bytes(digest, text, strlen(text));
	else
		digest_add(digest, "-,", 2);
}

static void
add_number(struct digest *digest, int64_t n)
{
	char digits[24], *p = digits + sizeof(digits);
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	do
		*--p = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (n < 0)
		*--p = '-';
	add_bytes(digest, p, (size_t)(digits + sizeof(digits) - p));
}

static void
hash_row(const char *before, const struct store_audit *row, char ret_hash[DIGEST_SIZE])
{
	struct digest *digest = digest_new();

	digest_add(digest, before, DIGEST_SIZE - 1);
	add_number(digest, row->id);
	add_number(digest, row->at_us);
	add_number(digest, row->uid);
	add_text(digest, row->who);
	add_text(digest, row->what);
	add_text(digest, row->application);
	add_text(digest, row->stage);
	if (row->job > 0)
		add_number(digest, row->job);
	else
		add_text(digest, NULL);
	add_number(digest, row->refused);
	add_text(digest, row->error);
	add_text(digest, row->text);
	digest_end(digest, ret_hash);
}

/* ---- adding ---- */

int
store_audit(struct store *store, const struct store_audit *audit, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ADD);
	struct store_audit row = *audit;
	struct store_audit_head head;
	int r;

	row.id = head.id = store->audit.id + 1;
	hash_row(store->audit.hash, &row, head.hash);
	store_bind_int(st, 1, row.id);
	store_bind_int(st, 2, row.at_us);
	store_bind_int(st, 3, row.uid);
	store_bind_text(st, 4, row.who);
	store_bind_text(st, 5, row.what);
	store_bind_text(st, 6, row.application);
	store_bind_text(st, 7, row.stage);
	if (row.job > 0)
		store_bind_int(st, 8, row.job);
	else
		store_bind_text(st, 8, NULL);
	store_bind_int(st, 9, row.refused);
	store_bind_text(st, 10, row.error);
	store_bind_text(st, 11, row.text);
	store_bind_text(st, 12, head.hash);
	r = store_run(store, st, err);
	if (r == 0)
		store->audit = head;
	return r;
}

/* Before each commit: where the chain ends now. */
int
store_audit_commit(struct store *store, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_HEAD_SET);

	if (store->audit.id == store->audit_begin.id)
		return 0;
	store_bind_int(st, 1, store->audit.id);
	store_bind_text(st, 2, store->audit.hash);
	return store_run(store, st, err);
}

struct store_audit_head
store_audit_head(const struct store *store)
{
	return store->open ? store->audit_begin : store->audit;
}

static int
read_head(struct store *store, sqlite3_stmt *st, struct store_audit_head *ret, struct err *err)
{
	int r = store_row(store, st, err);

	if (r != 1)
		return r;
	ret->id = store_read_int(st, 0);
	store_read_array(st, 1, ret->hash, sizeof(ret->hash));
	(void)sqlite3_reset(st);
	return 1;
}

/* What is wrong is never mended: the chain goes on from the head that bmd wrote last, behind every
 * row that is there, so that a verification finds the place for ever. */
int
store_audit_open(struct store *store, struct err *err)
{
	struct store_audit_head head = {.hash = GENESIS}, last = {.hash = GENESIS};
	int r = read_head(store, statement(store, S_HEAD_GET), &head, err);

	if (r == 0)
		return store_damaged(store, "the end of its audit is missing", err);
	if (r > 0)
		r = read_head(store, statement(store, S_LAST), &last, err);
	if (r < 0)
		return r;
	if (!digest_valid(head.hash))
		(void)strcpy(head.hash, GENESIS);
	store->audit_broken = head.id != last.id || strcmp(head.hash, last.hash) != 0;
	if (last.id > head.id)
		head.id = last.id;
	store->audit = store->audit_begin = head;
	return 0;
}

bool
store_audit_broken(const struct store *store)
{
	return store->audit_broken;
}

/* ---- reading ---- */

static void
audit_clear(struct store_audit *row)
{
	free((char *)(uintptr_t)row->who);
	free((char *)(uintptr_t)row->what);
	free((char *)(uintptr_t)row->application);
	free((char *)(uintptr_t)row->stage);
	free((char *)(uintptr_t)row->error);
	free((char *)(uintptr_t)row->text);
}

static void
read_audit(sqlite3_stmt *st, struct store_audit *row)
{
	*row = (struct store_audit){
	    .id = store_read_int(st, 0),
	    .at_us = store_read_int(st, 1),
	    .uid = store_read_int(st, 2),
	    .who = store_read_string(st, 3),
	    .what = store_read_string(st, 4),
	    .application = store_read_string(st, 5),
	    .stage = store_read_string(st, 6),
	    .job = store_read_int(st, 7),
	    .refused = store_read_int(st, 8),
	    .error = store_read_string(st, 9),
	    .text = store_read_string(st, 10),
	};
	store_read_array(st, 11, row->hash, sizeof(row->hash));
}

static int
each(struct store *store, sqlite3_stmt *st, int64_t id, int limit,
     int (*back)(const struct store_audit *row, void *arg), void *arg, struct err *err)
{
	_cleanup_free_ struct store_audit *rows = NULL;
	size_t n = 0, room = 0;
	int r, answer = 0;

	store_bind_int(st, 1, id);
	store_bind_int(st, 2, limit);
	while ((r = store_row(store, st, err)) == 1) {
		XGROW(rows, n, room);
		read_audit(st, &rows[n++]);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && answer == 0)
			answer = back(&rows[i], arg);
		audit_clear(&rows[i]);
	}
	return r < 0 ? r : answer < 0 ? answer : 0;
}

int
store_audit_each(struct store *store, int64_t before_id, int limit,
		 int (*back)(const struct store_audit *row, void *arg), void *arg, struct err *err)
{
	return each(store, statement(store, S_PAGE), before_id > 0 ? before_id : INT64_MAX, limit,
		    back, arg, err);
}

/* ---- cutting ---- */

#define CUT_ROW	  "audit_cut" /* number: the newest row "Cut" */
#define CUT_LEAST 100	      /* rows; less is not worth a row that says so */

struct cutting {
	int64_t before_us, rows;
	struct store_audit_head last;
	int64_t last_us;
};

static int
is_old(const struct store_audit *row, void *arg)
{
	struct cutting *cutting = arg;

	if (row->at_us >= cutting->before_us)
		return 1;
	cutting->rows++;
	cutting->last_us = row->at_us;
	cutting->last.id = row->id;
	(void)strcpy(cutting->last.hash, row->hash);
	return 0;
}

static int
read_cut(const struct store_audit *row, void *arg)
{
	struct store_audit_head *base = arg;
	long long id;
	char hash[DIGEST_SIZE];

	if (strcmp(row->what, "Cut") == 0 && row->text &&
	    sscanf(row->text, "row %lld %64s", &id, hash) == 2 && digest_valid(hash) &&
	    id < row->id) {
		base->id = id;
		(void)strcpy(base->hash, hash);
	}
	return 1;
}

/* Where the rows that are there begin: behind this one. */
static int
read_base(struct store *store, struct store_audit_head *ret_base, struct err *err)
{
	int64_t cut = 0;
	int r = store_number_get(store, CUT_ROW, &cut, err);

	*ret_base = (struct store_audit_head){.hash = GENESIS};
	return r < 0 || cut == 0
		   ? r
		   : each(store, statement(store, S_FORTH), cut - 1, 1, read_cut, ret_base, err);
}

int
store_audit_cut(struct store *store, int64_t before_us, int64_t now_us, int most, struct err *err)
{
	struct cutting cutting = {.before_us = before_us};
	struct store_audit row = {.at_us = now_us, .uid = -1, .who = "bmd", .what = "Cut"};
	_cleanup_free_ char *text = NULL;
	int r = each(store, statement(store, S_FORTH), 0, most, is_old, &cutting, err);

	if (r < 0 || cutting.rows < CUT_LEAST)
		return r;
	store_bind_int(statement(store, S_CUT), 1, cutting.last.id);
	r = store_run(store, statement(store, S_CUT), err);
	row.text = text =
	    xasprintf("row %lld %s and %lld before it, until %s", (long long)cutting.last.id,
		      cutting.last.hash, (long long)cutting.rows - 1,
		      when_local(cutting.last_us, "UTC").s);
	if (r == 0)
		r = store_audit(store, &row, err);
	return r == 0 ? store_number_put(store, CUT_ROW, store->audit.id, err) : r;
}

/* ---- verifying ---- */

void
store_audit_check_begin(struct store *store, struct store_audit_check *ret_check)
{
	*ret_check = (struct store_audit_check){.end = store_audit_head(store)};
	/* what cannot be read does not fit the first row */
	(void)read_base(store, &ret_check->at, NULL);
	ret_check->base = ret_check->at;
}

static int
bad(struct store_audit_check *check, int64_t id, const char *problem)
{
	check->bad = id;
	check->problem = problem;
	return 1;
}

static int
check_row(const struct store_audit *row, void *arg)
{
	struct store_audit_check *check = arg;
	char hash[DIGEST_SIZE];

	check->read++;
	if (row->id > check->end.id) /* was added meanwhile */
		return 1;
	if (row->id != check->at.id + 1)
		return bad(check, check->at.id + 1, "it is missing");
	hash_row(check->at.hash, row, hash);
	if (strcmp(hash, row->hash) != 0)
		return bad(check, row->id, "it is not what bmd wrote, or does not belong here");
	check->at.id = row->id;
	(void)strcpy(check->at.hash, hash);
	if (check->noted && strcmp(hash, check->noted) == 0)
		check->noted_id = row->id;
	return 0;
}

int
store_audit_check(struct store *store, struct store_audit_check *check, int limit, struct err *err)
{
	int r;

	check->read = 0;
	if (check->noted && check->base.id > 0 && strcmp(check->base.hash, check->noted) == 0)
		check->noted_id = check->base.id;
	r = each(store, statement(store, S_FORTH), check->at.id, limit, check_row, check, err);
	if (r < 0 || check->bad)
		return r;
	if (check->at.id == check->end.id) {
		if (strcmp(check->at.hash, check->end.hash) != 0)
			(void)bad(check, check->end.id, "it is not the row that bmd wrote last");
		return 0;
	}
	if (check->read < limit) {
		(void)bad(check, check->at.id + 1, "it is missing, and all behind it");
		return 0;
	}
	return 1;
}

/* ---- the migration ---- */

/* Rows of a version that had no chain: what they are today is what the chain begins with. */
int
store_audit_migrate(struct store *store, struct err *err)
{
	sqlite3_stmt *rows = NULL, *set = NULL;
	struct store_audit_head head = {.hash = GENESIS};
	int code = sqlite3_prepare_v2(store->db, "SELECT " FIELDS " FROM audit ORDER BY id", -1,
				      &rows, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(
		    store->db, "UPDATE audit SET id = ?1, hash = ?2 WHERE id = ?3", -1, &set, NULL);
	while (code == SQLITE_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		struct store_audit row;
		int64_t id;

		read_audit(rows, &row);
		id = row.id;
		row.id = ++head.id; /* without a gap */
		hash_row(head.hash, &row, head.hash);
		audit_clear(&row);
		store_bind_int(set, 1, head.id);
		store_bind_text(set, 2, head.hash);
		store_bind_int(set, 3, id);
		code = sqlite3_step(set) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
		(void)sqlite3_reset(set);
	}
	(void)sqlite3_finalize(rows);
	(void)sqlite3_finalize(set);
	set = NULL;
	if (code == SQLITE_DONE)
		code = sqlite3_prepare_v2(store->db, "INSERT INTO audit_head VALUES (1, ?1, ?2)",
					  -1, &set, NULL);
	if (code == SQLITE_OK) {
		store_bind_int(set, 1, head.id);
		store_bind_text(set, 2, head.hash);
		code = sqlite3_step(set);
	}
	(void)sqlite3_finalize(set);
	return code == SQLITE_DONE ? 0 : store_open_failed(store, code, err);
}
