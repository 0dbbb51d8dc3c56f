/* SPDX-License-Identifier: ISC */
/*
 * Seals: a digest of every row of every table, in the table `seals`, written in the transaction
 * that writes the row. SQLite has no checksum of pages: four of five flipped bits would be a
 * silently different row. Its pre-update hook tells of each row that is written, whatever statement
 * wrote it, so that no table can be forgotten; what is told waits here until the transaction ends.
 * At each opening every row is read and compared.
 *
 * A row's seal stands under its rowid, or, where there is none, under the digest of its primary
 * key. `identity` is a digest of the columns that tell whose row it is: it says whether these can
 * be believed when others cannot.
 */
#include <string.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define WRITE_AT 1024 /* seals that wait; more are written before the next savepoint */

static const struct {
	const char *table, *columns[3];
} identities[] = {
    {"jobs", {"application", "stage", "final"}},
};

struct table {
	char name[64];
	int64_t part;
	bool rowid;
	int n; /* columns */
	int key[8], nkey, identity[4], nidentity;
};

struct seal {
	int64_t part, key, digest, identity;
	bool gone;
};

struct store_seals {
	struct table *tables;
	size_t n, room;
	struct seal *waiting;
	size_t nwaiting, room_waiting, mark;
	sqlite3_stmt *put, *drop, *find;
};

/* ---- the digest ----
 *
 * Rot is its enemy, not a forger, and every start reads all rows: one multiplication for eight
 * bytes. Each step is one to one, so that a change in one place is always seen; changes in several
 * are missed once in 2^64. */

#define SEED	 UINT64_C(0x736f6d6570736575)
#define MULTIPLY UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t
mix(uint64_t h, uint64_t word)
{
	h ^= word;
	return (h << 29 | h >> 35) * MULTIPLY;
}

static uint64_t
mix_bytes(uint64_t h, const unsigned char *p, size_t n)
{
	uint64_t word, last = 0;

	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h, le64toh(word));
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)p[i] << (8 * i);
	return mix(h, last);
}

static int64_t
mix_end(uint64_t h)
{
	h = (h ^ h >> 32) * MULTIPLY;
	return (int64_t)(h ^ h >> 29);
}

/* Its type and length, then itself. */
static uint64_t
mix_value(uint64_t h, sqlite3_value *value)
{
	int type = sqlite3_value_type(value);
	const unsigned char *bytes;
	size_t n;

	if (type == SQLITE_NULL)
		return mix(h, (uint64_t)type);
	if (type == SQLITE_INTEGER)
		return mix(mix(h, (uint64_t)type), (uint64_t)sqlite3_value_int64(value));
	bytes = sqlite3_value_blob(value); /* as text it would be copied for its NUL */
	n = (size_t)sqlite3_value_bytes(value);
	return mix_bytes(mix(h, (uint64_t)type | (uint64_t)n << 8), bytes, n);
}

/* ---- rows, as they are written or as they are read ---- */

/* Where a row comes from: ST, or the hook's old or new one. */
struct source {
	sqlite3_stmt *st;
	sqlite3 *db;
	bool old;
};

static uint64_t
mix_column(uint64_t h, const struct source *source, int i)
{
	sqlite3_value *value = NULL;
	int code = SQLITE_OK;

	if (source->st)
		value = sqlite3_column_value(source->st, i);
	else if (source->old)
		code = sqlite3_preupdate_old(source->db, i, &value);
	else
		code = sqlite3_preupdate_new(source->db, i, &value);
	if (code == SQLITE_NOMEM)
		xalloc_die();
	return code == SQLITE_OK && value ? mix_value(h, value) : h;
}

static int64_t
digest_columns(const struct source *source, const int *columns, int n)
{
	uint64_t h = SEED;

	if (n == 0)
		return 0;
	for (int i = 0; i < n; i++)
		h = mix_column(h, source, columns[i]);
	return mix_end(h);
}

/* What the seal of a row should be. */
static struct seal
seal_of(const struct table *table, const struct source *source, int64_t rowid)
{
	struct seal seal = {.part = table->part, .key = rowid};
	uint64_t h = SEED;

	if (!table->rowid)
		seal.key = digest_columns(source, table->key, table->nkey);
	seal.identity = digest_columns(source, table->identity, table->nidentity);
	for (int i = 0; i < table->n; i++)
		h = mix_column(h, source, i);
	seal.digest = mix_end(h);
	return seal;
}

static void
await(struct store_seals *seals, const struct seal *seal)
{
	XGROW(seals->waiting, seals->nwaiting, seals->room_waiting);
	seals->waiting[seals->nwaiting++] = *seal;
}

static const struct table *
table_of(const struct store_seals *seals, const char *name)
{
	for (size_t i = 0; i < seals->n; i++)
		if (strcmp(seals->tables[i].name, name) == 0)
			return &seals->tables[i];
	return NULL;
}

static void
on_change(void *arg, sqlite3 *db, int operation, const char *database, const char *name,
	  sqlite3_int64 old_rowid, sqlite3_int64 new_rowid)
{
	struct store_seals *seals = arg;
	const struct table *table = table_of(seals, name);
	struct source source = {.db = db, .old = true};
	struct seal gone = {.gone = true, .key = old_rowid}, seal;

	if (!table || strcmp(database, "main") != 0)
		return;
	gone.part = table->part;
	if (operation != SQLITE_INSERT && !table->rowid)
		gone.key = digest_columns(&source, table->key, table->nkey);
	if (operation == SQLITE_DELETE) {
		await(seals, &gone);
		return;
	}
	source.old = false;
	seal = seal_of(table, &source, new_rowid);
	if (operation == SQLITE_UPDATE && gone.key != seal.key)
		await(seals, &gone);
	await(seals, &seal);
}

/* ---- what waits, and transactions ---- */

size_t
store_seals_waiting(const struct store *store)
{
	return store->seals ? store->seals->nwaiting : 0;
}

void
store_seals_back(struct store *store, size_t n)
{
	if (store->seals && n < store->seals->nwaiting)
		store->seals->nwaiting = n;
}

int
store_seals_write(struct store *store, struct err *err)
{
	struct store_seals *seals = store->seals;
	int r = 0;

	for (size_t i = 0; seals && i < seals->nwaiting && r == 0; i++) {
		const struct seal *seal = &seals->waiting[i];
		sqlite3_stmt *st = seal->gone ? seals->drop : seals->put;

		store_bind_int(st, 1, seal->part);
		store_bind_int(st, 2, seal->key);
		if (!seal->gone) {
			store_bind_int(st, 3, seal->digest);
			store_bind_int(st, 4, seal->identity);
		}
		r = store_run(store, st, err);
	}
	if (seals && r == 0)
		seals->nwaiting = 0;
	return r;
}

int
store_seals_savepoint(struct store *store, struct err *err)
{
	int r = store_seals_waiting(store) >= WRITE_AT ? store_seals_write(store, err) : 0;

	if (r == 0 && store->seals)
		store->seals->mark = store->seals->nwaiting;
	return r;
}

void
store_seals_savepoint_back(struct store *store)
{
	if (store->seals)
		store_seals_back(store, store->seals->mark);
}

/* ---- the tables ---- */

static bool
is_identity(const struct table *table, const char *column)
{
	for (size_t i = 0; i < ARRAY_SIZE(identities); i++)
		for (size_t k = 0; k < ARRAY_SIZE(identities[i].columns); k++)
			if (strcmp(identities[i].table, table->name) == 0 &&
			    strcmp(identities[i].columns[k], column) == 0)
				return true;
	return false;
}

/* One row of the list of all columns: table, without rowid?, column, place, place in the key. */
static void
learn(struct store_seals *seals, sqlite3_stmt *st)
{
	const char *name = (const char *)sqlite3_column_text(st, 0);
	int place = sqlite3_column_int(st, 3), in_key = sqlite3_column_int(st, 4);
	struct table *table;

	if (seals->n == 0 || strcmp(seals->tables[seals->n - 1].name, name) != 0) {
		XGROW(seals->tables, seals->n, seals->room);
		table = &seals->tables[seals->n++];
		memset(table, 0, sizeof(*table));
		(void)snprintf(table->name, sizeof(table->name), "%s", name);
		table->part =
		    mix_end(mix_bytes(SEED, (const unsigned char *)name, strlen(name))) & INT32_MAX;
		table->rowid = sqlite3_column_int(st, 1) == 0;
	}
	table = &seals->tables[seals->n - 1];
	table->n = place + 1;
	if (in_key > 0 && (size_t)in_key <= ARRAY_SIZE(table->key)) {
		table->key[in_key - 1] = place;
		table->nkey = table->nkey < in_key ? in_key : table->nkey;
	}
	if (is_identity(table, (const char *)sqlite3_column_text(st, 2)))
		table->identity[table->nidentity++] = place;
}

static int
make_statement(struct store *store, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	int code = sqlite3_prepare_v2(store->db, sql, -1, ret, NULL);

	return code == SQLITE_OK ? 0 : store_open_failed(store, code, err);
}

void
store_seals_forget(struct store *store)
{
	struct store_seals *seals = store->seals;

	if (!seals)
		return;
	(void)sqlite3_preupdate_hook(store->db, NULL, NULL);
	(void)sqlite3_finalize(seals->put);
	(void)sqlite3_finalize(seals->drop);
	(void)sqlite3_finalize(seals->find);
	free(seals->tables);
	free(seals->waiting);
	free(seals);
	store->seals = NULL;
}

int
store_seals_watch(struct store *store, struct err *err)
{
	struct store_seals *seals;
	sqlite3_stmt *st = NULL;
	int code = SQLITE_DONE, r;

	store_seals_forget(store);
	store->seals = seals = xcalloc(1, sizeof(*seals));
	r = make_statement(
	    store,
	    "SELECT t.name, t.wr, c.name, c.cid, c.pk FROM pragma_table_list t,"
	    " pragma_table_info(t.name) c WHERE t.schema = 'main' AND t.type = 'table'"
	    " AND t.name <> 'seals' AND t.name NOT LIKE 'sqlite_%'"
	    " ORDER BY t.name, c.cid",
	    &st, err);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
		learn(seals, st);
	if (r == 0 && code != SQLITE_DONE)
		r = store_open_failed(store, code, err);
	(void)sqlite3_finalize(st);
	if (r == 0)
		r = make_statement(store, "INSERT OR REPLACE INTO seals VALUES (?1, ?2, ?3, ?4)",
				   &seals->put, err);
	if (r == 0)
		r = make_statement(store, "DELETE FROM seals WHERE part = ?1 AND key = ?2",
				   &seals->drop, err);
	if (r == 0)
		r = make_statement(
		    store, "SELECT digest, identity FROM seals WHERE part = ?1 AND key = ?2",
		    &seals->find, err);
	if (r == 0)
		(void)sqlite3_preupdate_hook(store->db, on_change, seals);
	return r;
}

/* ---- everything ---- */

/* The texts of the tables and indexes: what makes a partial index is a condition in them. */
static int
seal_schema(struct store *store, struct seal *ret, struct err *err)
{
	struct source source = {0};
	uint64_t h = SEED;
	int code = SQLITE_DONE,
	    r = make_statement(store,
			       "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name",
			       &source.st, err);

	while (r == 0 && (code = sqlite3_step(source.st)) == SQLITE_ROW)
		for (int i = 0; i < 4; i++)
			h = mix_column(h, &source, i);
	if (r == 0 && code != SQLITE_DONE)
		r = store_open_failed(store, code, err);
	(void)sqlite3_finalize(source.st);
	*ret = (struct seal){.digest = mix_end(h)};
	return r;
}

static int
read_table(struct store *store, const struct table *table, sqlite3_stmt **ret, struct err *err)
{
	_cleanup_free_ char *sql =
	    xasprintf("SELECT *%s FROM \"%s\" NOT INDEXED%s", table->rowid ? ", rowid" : "",
		      table->name, table->rowid ? " ORDER BY rowid" : "");

	return make_statement(store, sql, ret, err);
}

static struct seal
seal_row(const struct table *table, sqlite3_stmt *st)
{
	struct source source = {.st = st};

	return seal_of(table, &source, table->rowid ? sqlite3_column_int64(st, table->n) : 0);
}

static int
seal_table(struct store *store, const struct table *table, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int code = SQLITE_DONE, r = read_table(store, table, &st, err);

	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct seal seal = seal_row(table, st);

		await(store->seals, &seal);
		if (store_seals_waiting(store) >= WRITE_AT)
			r = store_seals_write(store, err);
	}
	if (r == 0 && code != SQLITE_DONE)
		r = store_open_failed(store, code, err);
	(void)sqlite3_finalize(st);
	return r;
}

int
store_seals_all(struct store *store, struct err *err)
{
	struct seal schema;
	int r = store_seals_watch(store, err);

	if (r == 0 && sqlite3_exec(store->db, "DELETE FROM seals", NULL, NULL, NULL) != SQLITE_OK)
		r = store_open_failed(store, sqlite3_errcode(store->db), err);
	if (r == 0)
		r = seal_schema(store, &schema, err);
	if (r == 0)
		await(store->seals, &schema);
	for (size_t i = 0; r == 0 && i < store->seals->n; i++)
		r = seal_table(store, &store->seals->tables[i], err);
	return r == 0 ? store_seals_write(store, err) : r;
}

/* ---- the check ---- */

struct checking {
	struct store *store;
	const struct table *table;
	int (*back)(const struct store_finding *finding, void *arg);
	void *arg;
	int64_t seen; /* rows that have a seal */
	struct err *err;
};

/* The seal of a row. 1, 0 if there is none, or an error. */
static int
find_seal(struct checking *checking, int64_t key, struct seal *ret)
{
	sqlite3_stmt *st = checking->store->seals->find;
	int code;

	store_bind_int(st, 1, checking->table ? checking->table->part : 0);
	store_bind_int(st, 2, key);
	code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = (struct seal){.digest = sqlite3_column_int64(st, 0),
				     .identity = sqlite3_column_int64(st, 1)};
	(void)sqlite3_reset(st);
	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : store_open_failed(checking->store, code, checking->err);
}

static int
check_row(struct checking *checking, sqlite3_stmt *st)
{
	struct seal is = seal_row(checking->table, st), was;
	struct store_finding finding = {.table = checking->table->name, .key = is.key, .row = st};
	int r = find_seal(checking, is.key, &was);

	if (r < 0)
		return r;
	checking->seen += r;
	if (r == 1 && was.digest == is.digest && was.identity == is.identity)
		return 0;
	finding.what = r == 1 ? STORE_ROW_CHANGED : STORE_ROW_STRANGE;
	finding.known = r == 1 && is.identity == was.identity;
	return checking->back(&finding, checking->arg);
}

/* Seals without a row, one by one where a seal tells the row's id. */
static int
find_gone(struct checking *checking)
{
	const struct table *table = checking->table;
	struct store_finding finding = {.table = table->name, .what = STORE_ROW_GONE};
	_cleanup_free_ char *sql =
	    table->rowid
		? xasprintf("SELECT key, identity FROM seals WHERE part = %lld AND key NOT IN"
			    " (SELECT rowid FROM \"%s\" NOT INDEXED)",
			    (long long)table->part, table->name)
		: xasprintf("SELECT 0, 0");
	sqlite3_stmt *st = NULL;
	int code = SQLITE_DONE, r = make_statement(checking->store, sql, &st, checking->err);

	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		finding.key = sqlite3_column_int64(st, 0);
		finding.identity = sqlite3_column_int64(st, 1);
		r = checking->back(&finding, checking->arg);
	}
	if (r == 0 && code != SQLITE_DONE)
		r = store_open_failed(checking->store, code, checking->err);
	(void)sqlite3_finalize(st);
	return r;
}

/* Row by row, to name what is wrong. */
static int
look_closely(struct checking *checking)
{
	_cleanup_free_ char *sql = xasprintf("SELECT count(*) FROM seals WHERE part = %lld",
					     (long long)checking->table->part);
	sqlite3_stmt *st = NULL;
	int64_t seals = -1;
	int code = SQLITE_DONE,
	    r = read_table(checking->store, checking->table, &st, checking->err);

	checking->seen = 0;
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
		r = check_row(checking, st);
	if (r == 0 && code != SQLITE_DONE)
		r = store_open_failed(checking->store, code, checking->err);
	(void)sqlite3_finalize(st);
	st = NULL;
	if (r == 0)
		r = make_statement(checking->store, sql, &st, checking->err);
	if (r == 0 && sqlite3_step(st) == SQLITE_ROW)
		seals = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return r == 0 && seals != checking->seen ? find_gone(checking) : r;
}

/* The sum of what ST answers: of rows their seals as they should be, or the seals as they are. */
static int
sum_up(struct checking *checking, sqlite3_stmt *st, bool rows, uint64_t *ret)
{
	uint64_t sum = 0;
	int code;

	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		struct seal seal = rows ? seal_row(checking->table, st)
					: (struct seal){.key = sqlite3_column_int64(st, 0),
							.digest = sqlite3_column_int64(st, 1),
							.identity = sqlite3_column_int64(st, 2)};

		sum +=
		    (uint64_t)mix_end(mix(mix(mix(SEED, (uint64_t)seal.key), (uint64_t)seal.digest),
					  (uint64_t)seal.identity));
	}
	*ret = sum;
	return code == SQLITE_DONE ? 0 : store_open_failed(checking->store, code, checking->err);
}

/* Rows and seals each once from the beginning to the end, in whatever order they lie: a start with
 * a million jobs looks none of them up. */
static int
check_table(struct checking *checking)
{
	_cleanup_free_ char *sql =
	    xasprintf("SELECT key, digest, identity FROM seals WHERE part = %lld",
		      (long long)checking->table->part);
	sqlite3_stmt *rows = NULL, *seals = NULL;
	uint64_t is = 0, should = 0;
	int r = read_table(checking->store, checking->table, &rows, checking->err);

	if (r == 0)
		r = make_statement(checking->store, sql, &seals, checking->err);
	if (r == 0)
		r = sum_up(checking, rows, true, &should);
	if (r == 0)
		r = sum_up(checking, seals, false, &is);
	(void)sqlite3_finalize(rows);
	(void)sqlite3_finalize(seals);
	return r == 0 && is != should ? look_closely(checking) : r;
}

int
store_seals_check(struct store *store, int (*back)(const struct store_finding *finding, void *arg),
		  void *arg, struct err *err)
{
	struct checking checking = {.store = store, .back = back, .arg = arg, .err = err};
	struct seal schema, was = {0};
	int r = seal_schema(store, &schema, err);

	if (r == 0)
		r = find_seal(&checking, 0, &was);
	if (r < 0)
		return r;
	if (r == 0 || was.digest != schema.digest)
		return store_damaged(store, "its tables are not those that bmd made", err);
	r = 0;
	for (size_t i = 0; i < store->seals->n && r == 0; i++) {
		checking.table = &store->seals->tables[i];
		r = check_table(&checking);
	}
	return r;
}

/* What the identity of a job's row is. */
int64_t
store_seal_job_identity(struct store *store, const char *application, const char *stage)
{
	static const char sql[] = "SELECT ?1, ?2, 1";
	static const int columns[] = {0, 1, 2};
	struct source source = {0};
	int64_t identity = 0;

	if (sqlite3_prepare_v2(store->db, sql, -1, &source.st, NULL) != SQLITE_OK)
		return 0;
	store_bind_stage(source.st, application, stage);
	if (sqlite3_step(source.st) == SQLITE_ROW)
		identity = digest_columns(&source, columns, 3);
	(void)sqlite3_finalize(source.st);
	return identity;
}

int
store_seal_drop(struct store *store, const char *table, int64_t key, struct err *err)
{
	const struct table *sealed = table_of(store->seals, table);

	store_bind_int(store->seals->drop, 1, sealed ? sealed->part : 0);
	store_bind_int(store->seals->drop, 2, key);
	return store_run(store, store->seals->drop, err);
}
