/* SPDX-License-Identifier: ISC */
/*
 * SQL that runs once, as a text: pragmas and migrations, of which no statement is kept. All of it
 * is of the opening, so that what fails is told as a sentence that says how to go on.
 */
#include <string.h>

#include "daemon/store/store_private.h"

int
store_damaged(struct store *store, const char *what, struct err *err)
{
	return err_set(err, ERR_FAILED,
		       "the database %s is damaged: %s: bmd does not replace it; move it away or "
		       "restore a copy, see bmd(8)",
		       store->path, what);
}

int
store_open_failed(struct store *store, int code, struct err *err)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_FAILED,
			       "another bmd or sqlite3 uses the database %s: stop it first",
			       store->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return store_damaged(store, sqlite3_errmsg(store->db), err);
	case SQLITE_FULL:
		return err_set(err, ERR_NO_SPACE,
			       "no space left for the database %s: make room and start again",
			       store->path);
	default:
		return err_set(err, ERR_FAILED, "cannot use the database %s: %s", store->path,
			       sqlite3_errmsg(store->db));
	}
}

int
store_execute(struct store *store, const char *sql, struct err *err)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_open_failed(store, code, err);
}

int
store_ask(struct store *store, const char *sql, char *ret, size_t size, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(store->db, sql, -1, &st, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW) {
		const char *s = (const char *)sqlite3_column_text(st, 0);

		(void)snprintf(ret, size, "%s", s ? s : "");
		code = SQLITE_OK;
	} else if (code == SQLITE_DONE) {
		ret[0] = '\0';
		code = SQLITE_OK;
	}
	(void)sqlite3_finalize(st);
	return code == SQLITE_OK ? 0 : store_open_failed(store, code, err);
}

int
store_ask_number(struct store *store, const char *sql, int64_t *ret, struct err *err)
{
	char text[32];
	int r = store_ask(store, sql, text, sizeof(text), err);

	if (r == 0)
		*ret = strtoll(text, NULL, 10);
	return r;
}

int
store_number_pragma(struct store *store, const char *name, int64_t *ret)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	return store_ask_number(store, sql, ret, NULL);
}
