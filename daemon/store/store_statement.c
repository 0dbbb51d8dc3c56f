/* SPDX-License-Identifier: ISC */
/*
 * The statements of all parts of the store: made once at the opening, to see that they can be, and
 * again at the first use of each.
 */
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

static const struct store_texts *const parts[STORE_PART_MAX_] = {
#define X(name) [STORE_PART_##name] = &store_texts_##name,
    STORE_PARTS(X)
#undef X
};

sqlite3_stmt *
store_prepare(struct store *store, sqlite3_stmt **st, const char *sql)
{
	(void)sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	return *st;
}

/* Each is made once, to see that it can be, and kept from its first use: most are rare, and all of
 * them together are a quarter of an idle bmd. */
static int
prepare_part(struct store *store, unsigned part, struct err *err)
{
	store->statements[part] = xcalloc(parts[part]->n, sizeof(sqlite3_stmt *));
	for (unsigned i = 0; i < parts[part]->n; i++) {
		sqlite3_stmt *st = NULL;
		int code = sqlite3_prepare_v2(store->db, parts[part]->texts[i], -1, &st, NULL);

		(void)sqlite3_finalize(st);
		if ((code & 0xff) == SQLITE_ERROR)
			return store_damaged(store, sqlite3_errmsg(store->db), err);
		if (code != SQLITE_OK)
			return store_open_failed(store, code, err);
	}
	return 0;
}

int
store_prepare_all(struct store *store, struct err *err)
{
	int r = 0;

	for (unsigned part = 0; part < STORE_PART_MAX_ && r == 0; part++)
		r = prepare_part(store, part, err);
	return r;
}

void
store_finalize_all(struct store *store)
{
	for (unsigned part = 0; part < STORE_PART_MAX_; part++) {
		for (unsigned i = 0; store->statements[part] && i < parts[part]->n; i++)
			(void)sqlite3_finalize(store->statements[part][i]);
		free(store->statements[part]);
	}
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
	for (unsigned part = 0; part < STORE_PART_MAX_; part++)
		for (unsigned i = 0; i < parts[part]->n; i++)
			explain_one(store, parts[part]->texts[i], out);
	if (fclose(out) != 0)
		xalloc_die();
	return text;
}
