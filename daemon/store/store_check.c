/* SPDX-License-Identifier: ISC */
/*
 * What SQLite itself finds wrong with the file: at each start, before anything is written.
 */
#include <string.h>

#include "daemon/store/store_private.h"

#define CHECK_WHOLE_BYTES (INT64_C(256) * 1024 * 1024)

/* Is TEXT, of a check, about an index that does not agree with its table? Tables can be judged row
 * by row. */
static bool
about_index(const char *text)
{
	return strstr(text, "missing from index") || strstr(text, "entries in index") ||
	       strstr(text, "entry in index") || strstr(text, " of index ");
}

static int
check_whole(struct store *store, bool *ret_indexes, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(store->db, "PRAGMA integrity_check(1000)", -1, &st, NULL);
	int r = 0;

	while (r == 0 && code != SQLITE_DONE) {
		const char *text;

		if (code == SQLITE_OK || code == SQLITE_ROW)
			code = sqlite3_step(st);
		if (code == SQLITE_DONE)
			break;
		text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
		if (code != SQLITE_ROW)
			r = store_open_failed(store, code, err);
		else if (text && about_index(text))
			*ret_indexes = true;
		else if (!text || strcmp(text, "ok") != 0)
			r = store_damaged(store, text ? text : "its check says nothing", err);
	}
	(void)sqlite3_finalize(st);
	return r;
}

/* A whole check reads the whole file; of a large one only what decides is checked: a start must not
 * take minutes. */
int
store_check(struct store *store, int64_t size, int64_t version, bool *ret_indexes, struct err *err)
{
	static const char *const small[] = {"meta",   "builds", "artifacts",
					    "stages", "stack",	"successes"};
	char sql[64], got[256];
	int r = 0;

	if (size <= CHECK_WHOLE_BYTES) {
		r = check_whole(store, ret_indexes, err);
		return r == 0 && *ret_indexes && version < STORE_SEALED
			   ? store_damaged(store, "an index does not agree with its table", err)
			   : r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(small) && r == 0; i++) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA quick_check('%s')", small[i]);
		r = store_ask(store, sql, got, sizeof(got), err);
		if (r == 0 && strcmp(got, "ok") != 0)
			r = store_damaged(store, got, err);
	}
	return r;
}
