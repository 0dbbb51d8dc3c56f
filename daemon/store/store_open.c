/* SPDX-License-Identifier: ISC */
/*
 * How STATE/bmd.db comes to be open: the folder is taken and the file looked at (store_file.c),
 * opened in exclusive mode before the first access, so that there is never a second connection;
 * settings are set and read back, the file is checked (store_check.c, store_damage.c), and brought
 * to this version's tables (store_migrate.c). A new database is made whole under a temporary name
 * and renamed.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

/* Sets a pragma and reads it back: a setting that did not hold is a reason not to start. */
static int
set(struct store *store, const char *name, const char *value, const char *want, struct err *err)
{
	char sql[96], got[32];
	int r;

	(void)snprintf(sql, sizeof(sql), "PRAGMA %s = %s", name, value);
	r = store_execute(store, sql, err);
	if (r < 0)
		return r;
	(void)snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	r = store_ask(store, sql, got, sizeof(got), err);
	if (r < 0)
		return r;
	if (strcmp(got, want) != 0)
		return err_set(err, ERR_FAILED,
			       "the database %s does not take %s = %s (it says %s): its file "
			       "system is not fit for it, "
			       "set state-directory to a local one",
			       store->path, name, want, got);
	return 0;
}

static const struct {
	const char *name, *value, *want;
} settings[] = {
    {"journal_mode", "WAL", "wal"},
    {"synchronous", "FULL", "2"},
    {"foreign_keys", "ON", "1"},
    {"trusted_schema", "OFF", "0"},
    {"cell_size_check", "ON", "1"},
    {"journal_size_limit", "16777216", "16777216"},
    {"wal_autocheckpoint", "4000", "4000"},
    {"cache_size", "-4000", "-4000"}, /* KiB */
    {"temp_store", "MEMORY", "2"},    /* the savepoint of each request would be a file else */
};

/* One thread: no mutexes, and nobody asks how much memory SQLite uses, which it counts under one.
 * For the process, before the first connection; later it is refused and has no need to be said
 * again. */
static void
configure_library(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int
connect_file(struct store *store, const char *path, int flags, struct err *err)
{
	int code, on = 0, r;

	configure_library();
	code = sqlite3_open_v2(
	    path, &store->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | flags, NULL);
	if (code != SQLITE_OK)
		return store_open_failed(store, code, err);
	(void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on);
	(void)sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM INTO needs one */
	r = set(store, "locking_mode", "EXCLUSIVE", "exclusive", err);
	/* Debian compiles memory mapping in, switched off; zero rows is the answer where it is
	 * compiled out. */
	return r < 0 ? r : store_execute(store, "PRAGMA mmap_size = 0", err);
}

static int
settle_settings(struct store *store, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && r == 0; i++)
		r = set(store, settings[i].name, settings[i].value, settings[i].want, err);
	return r;
}

/* Ours, and of a version that we know? Read before anything is written. */
static int
identify(struct store *store, int64_t *ret_version, struct err *err)
{
	int64_t id = 0, version = 0, tables = 0;
	int r;

	r = store_ask_number(store, "PRAGMA application_id", &id, err);
	if (r == 0)
		r = store_ask_number(store, "PRAGMA user_version", &version, err);
	if (r == 0)
		r = store_ask_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (r < 0)
		return r;
	store->restored = id == STORE_BACKUP_ID;
	if (id != STORE_APPLICATION_ID && !store->restored)
		return err_set(err, ERR_FAILED,
			       "%s is a database of another program: bmd does not touch it; move "
			       "it away or set state-directory",
			       store->path);
	if (version > STORE_SCHEMA)
		return err_set(err, ERR_FAILED,
			       "the database %s was written by a newer bmd (version %lld, this one "
			       "knows %d): install that bmd again",
			       store->path, (long long)version, STORE_SCHEMA);
	if (version < 1 || tables == 0)
		return store_damaged(store, "its tables are missing", err);
	*ret_version = version;
	return 0;
}

/* Makes a new database whole, then gives it its name. */
static int
create(struct store *store, struct err *err)
{
	_cleanup_free_ char *temporary = xasprintf("%s.new", store->path);
	int r;

	(void)unlink(temporary);
	store_last_forget(store);
	r = connect_file(store, temporary, SQLITE_OPEN_CREATE, err);
	if (r == 0)
		r = store_migrate(store, 0, err);
	store_seals_forget(store);
	(void)sqlite3_close(store->db);
	store->db = NULL;
	if (r == 0)
		r = store_sync(temporary, 0, err);
	if (r == 0 && rename(temporary, store->path) < 0)
		r = err_errno(err, errno, "cannot rename %s", temporary);
	if (r == 0 && fsync(store->folder_fd) < 0)
		r = err_errno(err, errno, "cannot write the folder of %s", store->path);
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

/* ---- what the opening found ---- */

void
store_note(struct store *store, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		xalloc_die();
	va_end(args);
	if (!store->notes)
		store->notes = json_array();
	(void)json_array_append_new(store->notes, json_string(text));
}

const json_t *
store_notes(const struct store *store)
{
	return store->notes;
}

/* ---- the whole ---- */

static int
open_database(struct store *store, struct err *err)
{
	int64_t size = 0, version = 0, page = 0;
	bool indexes = false;
	int r;

	r = store_find_file(store, &size, err);
	if (r == 0)
		r = create(store, err);
	if (r >= 0)
		r = connect_file(store, store->path, 0, err);
	if (r == 0)
		r = identify(store, &version, err);
	if (r == 0)
		r = store_ask_number(store, "PRAGMA page_size", &page, err);
	if (r == 0)
		store_wal_look(store, (size_t)page);
	if (r == 0)
		r = settle_settings(store, err);
	if (r == 0)
		r = store_check(store, size, version, &indexes, err);
	if (r == 0 && version >= STORE_SEALED)
		r = store_seals_watch(store, err);
	if (r == 0 && version >= STORE_SEALED)
		r = store_damage_look(store, indexes, err);
	if (r == 0)
		r = store_migrate(store, version, err);
	if (r == 0 && version < STORE_SCHEMA)
		r = store_seals_watch(store, err);
	if (r == 0)
		r = store_ask_number(store, "SELECT count(*) FROM damaged", &store->ndamaged, err);
	if (r == 0)
		r = store_prepare_all(store, err);
	if (r == 0)
		r = store_ask_number(store, "SELECT value FROM meta WHERE name = 'last_alive'",
				     &store->alive_us, err);
	if (r == 0)
		r = store_ask_number(store,
				     "SELECT value FROM meta WHERE name = '" STORE_HIGHEST "'",
				     &store->highest_us, err);
	if (r == 0)
		store_last_look(store);
	if (r == 0)
		r = store_audit_open(store, err);
	return r;
}

int
store_open(const char *state_directory, struct store **ret_store, struct err *err)
{
	struct store *store = xcalloc(1, sizeof(*store));
	mode_t mask = umask(077);
	int r;

	store->folder_fd = store->wal_fd = store->last_fd = -1;
	store->generation = 1;
	store->path = xasprintf("%s/bmd.db", state_directory);
	(void)umask(066);
	r = store_take_folder(store, state_directory, err);
	(void)umask(077);
	if (r == 0)
		r = open_database(store, err);
	(void)umask(mask);
	if (r < 0) {
		store_close(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void
store_close(struct store *store)
{
	if (!store)
		return;
	store_finalize_all(store);
	store_seals_forget(store);
	(void)sqlite3_close(store->db);
	json_decref(store->notes);
	for (size_t i = 0; i < store->ncache; i++)
		history_clear(&store->cache[i].history);
	free(store->cache);
	if (store->wal_fd >= 0)
		close(store->wal_fd);
	if (store->last_fd >= 0)
		close(store->last_fd);
	if (store->folder_fd >= 0)
		close(store->folder_fd);
	free(store->path);
	free(store);
}
