/* SPDX-License-Identifier: ISC */
/*
 * What the files of the store build on: what a failure means, values into statements and out of
 * rows, and the step of a statement. Whatever happens, a statement is reset before anybody goes on,
 * but for a row that is being read.
 */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

/* ---- errors ---- */

int
store_no_space(struct store *store, struct err *err)
{
	return err_set(
	    err, ERR_NO_SPACE,
	    "no space left for the database %s: nothing was changed, make room and ask again",
	    store->path);
}

/* SQLite knows a full disk, and takes a quota that is used up for a broken one. Of the kernel's
 * reason it keeps errno alone. */
static bool
over_quota(int code, int number)
{
	return (code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_TRUNCATE) && number == EDQUOT;
}

/* What a result code of SQLite means to callers. */
int
store_failed(struct store *store, int code, struct err *err)
{
	int number = errno;

	if (store->open && sqlite3_get_autocommit(store->db))
		store->spoiled = true;
	if (over_quota(code, number))
		return store_no_space(store, err);
	switch (code & 0xff) {
	case SQLITE_FULL:
		return store_no_space(store, err);
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
		      "the database %s failed (%s): ask again, a change with the same key",
		      store->path, sqlite3_errmsg(store->db));
	return STORE_BROKEN;
}

/* ---- binding and reading ---- */

/* An object; NULL for an empty one. */
void
store_bind_map(sqlite3_stmt *st, int i, const json_t *object)
{
	if (json_object_size(object) == 0)
		(void)sqlite3_bind_null(st, i);
	else
		(void)sqlite3_bind_text(st, i, json_canonical(object), -1, free);
}

/* An array of ids; NULL for an empty one. Every request writes one: no general JSON is dumped for
 * it. */
void
store_bind_list(sqlite3_stmt *st, int i, const json_t *list)
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

void
store_read_array(sqlite3_stmt *st, int i, char *ret, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	size_t n = s ? strlen(s) : 0;

	if (n >= size)
		n = size - 1;
	if (n > 0)
		memcpy(ret, s, n);
	ret[n] = '\0';
}

char *
store_read_string(sqlite3_stmt *st, int i)
{
	return xstrdup((const char *)sqlite3_column_text(st, i));
}

json_t *
store_read_json(sqlite3_stmt *st, int i, bool list)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	json_t *value = s ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;

	if (list ? json_is_array(value) : json_is_object(value))
		return value;
	json_decref(value);
	return list ? json_array() : json_object();
}

/* Runs a statement that answers no row; it is reset whatever happens. */
int
store_run(struct store *store, sqlite3_stmt *st, struct err *err)
{
	size_t waiting = store_seals_waiting(store);
	int code, number;

	if (store->spoiled) {
		(void)sqlite3_reset(st);
		return store_no_space(store, err);
	}
	code = sqlite3_step(st);
	number = errno;
	(void)sqlite3_reset(st);
	if (code == SQLITE_DONE || code == SQLITE_ROW)
		return 0;
	store_seals_back(store, waiting);
	errno = number;
	return store_failed(store, code, err);
}

/* 1 and a row, 0 at the end (and reset), or an error (and reset). */
int
store_row(struct store *store, sqlite3_stmt *st, struct err *err)
{
	int code = sqlite3_step(st);

	if (code == SQLITE_ROW)
		return 1;
	(void)sqlite3_reset(st);
	return code == SQLITE_DONE ? 0 : store_failed(store, code, err);
}

/* One number from a statement that answers one row; OTHERWISE for no row or NULL. */
int
store_number(struct store *store, sqlite3_stmt *st, int64_t otherwise, int64_t *ret,
	     struct err *err)
{
	int r = store_row(store, st, err);

	if (r < 0)
		return r;
	*ret =
	    r == 1 && sqlite3_column_type(st, 0) != SQLITE_NULL ? store_read_int(st, 0) : otherwise;
	(void)sqlite3_reset(st);
	return 0;
}

/* The first row of a loose scan over (application, stage): 1, or 0 at the end. */
int
store_next_stage(struct store *store, sqlite3_stmt *st, char application[64], char stage[64],
		 struct err *err)
{
	int r;

	store_bind_stage(st, application, stage);
	r = store_row(store, st, err);
	if (r == 1) {
		/* The bound texts are read no more: the row stands. */
		store_read_array(st, 0, application, 64);
		store_read_array(st, 1, stage, 64);
		(void)sqlite3_reset(st);
	}
	return r;
}
