/* SPDX-License-Identifier: ISC */
/*
 * How STATE/bmd.db comes to be open: the folder is locked (flock), the file opened in exclusive
 * mode before the first access, so that there is never a second connection; settings are set and
 * read back, the file is checked, and brought to this version's tables. A new database is made
 * whole under a temporary name and renamed: an empty bmd.db is damage, not a beginning. Nothing
 * here ever replaces a file that it cannot use.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/failpoint.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define SCHEMA		  15
#define SEALED		  12 /* from this version on rows have seals of this kind */
#define LOCK_TRIES	  100 /* of 20 ms */
#define CHECK_WHOLE_BYTES (INT64_C(256) * 1024 * 1024)

// clang-format off
#define COLUMN_DECLARE(column, type, kind, field) #column " " type ", "

/* One text a version: what leads from the version before to it. */
static const char *const migrations[SCHEMA + 1] = {
	[1] =
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('last_alive', 0);"
	"CREATE TABLE keys (serial INTEGER PRIMARY KEY, uid INTEGER NOT NULL, key TEXT NOT NULL,"
	" digest TEXT NOT NULL, reply TEXT NOT NULL, added_us INTEGER NOT NULL, UNIQUE (uid, key)) STRICT;"

	"CREATE TABLE builds (id INTEGER PRIMARY KEY, application TEXT NOT NULL, release TEXT NOT NULL,"
	" number INTEGER NOT NULL, rejected INTEGER NOT NULL, rejected_by TEXT, rejected_reason TEXT,"
	" rejected_us INTEGER NOT NULL, created_us INTEGER NOT NULL, created_by TEXT NOT NULL, uid INTEGER NOT NULL,"
	" note TEXT, variables TEXT, UNIQUE (application, release, number)) STRICT;"
	"CREATE INDEX builds_newest ON builds (application, id);"
	"CREATE INDEX builds_release ON builds (application, release, id);"
	"CREATE TABLE artifacts (build INTEGER NOT NULL REFERENCES builds, name TEXT NOT NULL, digest TEXT NOT NULL,"
	" files INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (build, name)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE jobs (id INTEGER PRIMARY KEY, " STORE_JOB_COLUMNS_1(COLUMN_DECLARE)
	" final INTEGER NOT NULL, expires_us INTEGER NOT NULL) STRICT;"
	"CREATE INDEX jobs_scheduled ON jobs (due_us, id) WHERE state = 'scheduled';"
	"CREATE INDEX jobs_queued ON jobs (application, stage, due_us, id, state) WHERE state = 'queued';"
	"CREATE INDEX jobs_expiring ON jobs (expires_us) WHERE state = 'queued' AND expires_us > 0;"
	"CREATE INDEX jobs_active ON jobs (application, stage) WHERE " STORE_ACTIVE ";"
	"CREATE INDEX jobs_stage ON jobs (application, stage, due_us, id, final, state) WHERE final = 0;"
	"CREATE INDEX jobs_held ON jobs (application, stage, due_us, id) WHERE state = 'held';"
	"CREATE INDEX jobs_waiting ON jobs (due_us, id, application, state, final) WHERE final = 0;"
	"CREATE INDEX jobs_final ON jobs (finished_us, id, stage) WHERE final = 1;"
	"CREATE INDEX jobs_final_application ON jobs (application, finished_us, id) WHERE final = 1;"
	"CREATE INDEX jobs_final_stage ON jobs (application, stage, finished_us, id) WHERE final = 1;"
	"CREATE INDEX jobs_failed ON jobs (application, stage, finished_us) WHERE " STORE_FAILED ";"
	"CREATE INDEX jobs_began ON jobs (application, stage, release, number, finished_us) WHERE began = 1;"
	"CREATE INDEX jobs_build ON jobs (application, release, number, id);"

	"CREATE TABLE steps (job INTEGER NOT NULL REFERENCES jobs, position INTEGER NOT NULL, name TEXT NOT NULL,"
	" state TEXT NOT NULL, started_us INTEGER NOT NULL, finished_us INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
	" signal INTEGER NOT NULL, attempt INTEGER NOT NULL, irreversible INTEGER NOT NULL, message TEXT,"
	" PRIMARY KEY (job, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE irreversible (application TEXT NOT NULL, stage TEXT NOT NULL, started_us INTEGER NOT NULL,"
	" job INTEGER NOT NULL REFERENCES jobs, position INTEGER NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,"
	" name TEXT NOT NULL, PRIMARY KEY (application, stage, started_us, job, position)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE stages (application TEXT NOT NULL, stage TEXT NOT NULL, locked_by TEXT, lock_reason TEXT,"
	" locked_us INTEGER NOT NULL, lock_until_us INTEGER NOT NULL, dirty INTEGER NOT NULL, dirty_job INTEGER NOT NULL,"
	" dirty_us INTEGER NOT NULL, occupied_job INTEGER NOT NULL, PRIMARY KEY (application, stage)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE stack (application TEXT NOT NULL, stage TEXT NOT NULL, position INTEGER NOT NULL,"
	" release TEXT NOT NULL, number INTEGER NOT NULL, job INTEGER NOT NULL, since_us INTEGER NOT NULL,"
	" made_by TEXT NOT NULL, PRIMARY KEY (application, stage, position)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE successes (application TEXT NOT NULL, stage TEXT NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,"
	" since_us INTEGER NOT NULL, PRIMARY KEY (application, stage, release, number)) STRICT, WITHOUT ROWID;"

	"CREATE TABLE audit (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, uid INTEGER NOT NULL, who TEXT NOT NULL,"
	" what TEXT NOT NULL, application TEXT, stage TEXT, job INTEGER, text TEXT) STRICT;",

	/* Pins, and what is left of a build whose files were given up. */
	[2] =
	"ALTER TABLE builds ADD COLUMN pinned_by TEXT;"
	"ALTER TABLE builds ADD COLUMN pinned_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE builds ADD COLUMN pin_reason TEXT;"
	"CREATE INDEX artifacts_digest ON artifacts (digest);"
	"CREATE TABLE collected (application TEXT NOT NULL, release TEXT NOT NULL, number INTEGER NOT NULL,"
	" collected_us INTEGER NOT NULL, collected_by TEXT NOT NULL, PRIMARY KEY (application, release, number))"
	" STRICT, WITHOUT ROWID;",

	[3] = "ALTER TABLE builds ADD COLUMN signature TEXT;",

	/* Recurring deployments. A number is never given twice: jobs keep it for ever. */
	[4] =
	"CREATE TABLE schedules (id INTEGER PRIMARY KEY, application TEXT NOT NULL, stage TEXT NOT NULL, name TEXT,"
	" file TEXT, line INTEGER NOT NULL, wanted TEXT NOT NULL, calendar TEXT NOT NULL, zone TEXT NOT NULL, reason TEXT,"
	" grace_us INTEGER NOT NULL, if_changed TEXT NOT NULL, variables TEXT, created_us INTEGER NOT NULL,"
	" created_by TEXT NOT NULL, uid INTEGER NOT NULL, paused_us INTEGER NOT NULL, paused_by TEXT, pause_reason TEXT,"
	" after_us INTEGER NOT NULL) STRICT;"
	"CREATE INDEX schedules_name ON schedules (name, application);"
	"INSERT INTO meta VALUES ('last_schedule', 0);"
	"ALTER TABLE jobs ADD COLUMN schedule INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN occurrence_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN wanted TEXT;"
	"CREATE INDEX jobs_schedule ON jobs (schedule, id) WHERE schedule > 0;"
	"CREATE INDEX jobs_schedule_open ON jobs (schedule, id, state) WHERE schedule > 0 AND final = 0;",

	/* Of each zone in which jobs were given, what the tz database said when their times were reckoned. */
	[5] =
	"ALTER TABLE jobs ADD COLUMN wall_s INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE zones (name TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT, WITHOUT ROWID;",

	/* A digest of each row, and the rows that did not agree with theirs. */
	[6] =
	"CREATE TABLE seals (part INTEGER NOT NULL, key INTEGER NOT NULL, digest INTEGER NOT NULL, identity INTEGER NOT NULL,"
	" PRIMARY KEY (part, key)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE damaged (id INTEGER PRIMARY KEY, found_us INTEGER NOT NULL, job INTEGER NOT NULL,"
	" application TEXT NOT NULL, stage TEXT NOT NULL, text TEXT NOT NULL, open INTEGER NOT NULL) STRICT;"
	"CREATE INDEX damaged_stage ON damaged (application, stage, open, id);"
	"CREATE INDEX damaged_job ON damaged (job, id);",

	/* Windows and freezes that a job passes. */
	[7] = "ALTER TABLE jobs ADD COLUMN overrides TEXT;",

	/* The audit becomes a chain; store_audit_migrate() links what is there. */
	[8] =
	"ALTER TABLE audit ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE audit ADD COLUMN error TEXT;"
	"ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;",

	/* Who let a first deployment go. */
	[9] =
	"ALTER TABLE jobs ADD COLUMN approved_by TEXT;"
	"ALTER TABLE jobs ADD COLUMN approved_us INTEGER NOT NULL DEFAULT 0;",

	/* Jobs that count elapsed time within a boot, whatever the wall clock does. */
	[10] =
	"CREATE INDEX jobs_relative ON jobs (state, boot, due_us, id) WHERE boot_due_us > 0 AND final = 0;",

	/* Whose rights count when a job starts. */
	[11] =
	"ALTER TABLE jobs ADD COLUMN answers_uid INTEGER NOT NULL DEFAULT 0;"
	"UPDATE jobs SET answers_uid = uid;",

	/* Another digest of each row: store_seals_all() writes them. */
	[12] = "DELETE FROM seals;",

	/* What a schedule had done before the clock was put back. */
	[13] = "ALTER TABLE schedules ADD COLUMN done_us INTEGER NOT NULL DEFAULT 0;",

	/* Notices that wait to be delivered, and the last of those that do not any more. */
	[14] =
	"CREATE TABLE notices (id INTEGER PRIMARY KEY, uid TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL,"
	" event TEXT NOT NULL, application TEXT NOT NULL, stage TEXT NOT NULL, job INTEGER NOT NULL, body TEXT NOT NULL,"
	" created_us INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, next_us INTEGER NOT NULL,"
	" tried_us INTEGER NOT NULL, error TEXT) STRICT;"
	"CREATE INDEX notices_line ON notices (state, scope, name, next_us, id);"
	"CREATE INDEX notices_state ON notices (state, id);",

	/* What a record of a finished job is still needed for, before it is removed. */
	[15] =
	"ALTER TABLE keys ADD COLUMN job INTEGER NOT NULL DEFAULT 0;"
	"UPDATE keys SET job = coalesce(json_extract(reply, '$.parameters.job.id'), 0)"
	" WHERE json_valid(reply) AND json_type(reply, '$.parameters.job.id') = 'integer';"
	"CREATE INDEX keys_job ON keys (job) WHERE job > 0;"
	"CREATE INDEX notices_job ON notices (job) WHERE state = 'waiting';"
	"CREATE INDEX irreversible_job ON irreversible (job);",
};
// clang-format on

/* What SQL alone cannot do, after the text of its version and in its transaction. */
static int (*const in_c[SCHEMA + 1])(struct store *store, struct err *err) = {
    [8] = store_audit_migrate,
};

/* ---- opening ---- */

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

static int
execute(struct store *store, const char *sql, struct err *err)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_open_failed(store, code, err);
}

/* The first column of the first row of SQL as text. */
static int
ask(struct store *store, const char *sql, char *ret, size_t size, struct err *err)
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

static int
ask_number(struct store *store, const char *sql, int64_t *ret, struct err *err)
{
	char text[32];
	int r = ask(store, sql, text, sizeof(text), err);

	if (r == 0)
		*ret = strtoll(text, NULL, 10);
	return r;
}

int
store_number_pragma(struct store *store, const char *name, int64_t *ret)
{
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	return ask_number(store, sql, ret, NULL);
}

/* Sets a pragma and reads it back: a setting that did not hold is a reason not to start. */
static int
set(struct store *store, const char *name, const char *value, const char *want, struct err *err)
{
	char sql[96], got[32];
	int r;

	(void)snprintf(sql, sizeof(sql), "PRAGMA %s = %s", name, value);
	r = execute(store, sql, err);
	if (r < 0)
		return r;
	(void)snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	r = ask(store, sql, got, sizeof(got), err);
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
	return r < 0 ? r : execute(store, "PRAGMA mmap_size = 0", err);
}

static int
settle_settings(struct store *store, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && r == 0; i++)
		r = set(store, settings[i].name, settings[i].value, settings[i].want, err);
	return r;
}

static int
sync_path(const char *path, int flags, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, errno, "cannot write %s", path);
	return 0;
}

/* Opens, checks and syncs a copy that nobody else has seen yet. */
static int
check_copy(const char *path, struct err *err)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	bool good;

	good = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	       sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL) == SQLITE_OK &&
	       sqlite3_step(st) == SQLITE_ROW &&
	       strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	if (!good)
		return err_set(err, ERR_FAILED, "the copy %s of the database is not whole", path);
	return sync_path(path, 0, err);
}

int
store_backup(struct store *store, const char *path, struct err *err)
{
	_cleanup_free_ char *temporary = xasprintf("%s.new", path), *folder = xstrdup(path);
	sqlite3_stmt *st = NULL;
	char *slash;
	mode_t mask;
	int code, r;

	(void)unlink(temporary);
	mask = umask(077);
	code = sqlite3_prepare_v2(store->db, "VACUUM INTO ?1", -1, &st, NULL);
	if (code == SQLITE_OK) {
		(void)sqlite3_bind_text(st, 1, temporary, -1, SQLITE_STATIC);
		code = sqlite3_step(st);
	}
	(void)sqlite3_finalize(st);
	(void)umask(mask);
	if (code != SQLITE_DONE)
		r = store_open_failed(store, code, err);
	else
		r = check_copy(temporary, err);
	if (r == 0 && rename(temporary, path) < 0)
		r = err_errno(err, errno, "cannot rename %s to %s", temporary, path);
	if (r < 0) {
		(void)unlink(temporary);
		return r;
	}
	slash = strrchr(folder, '/');
	if (slash)
		slash[1] = '\0';
	return sync_path(slash ? folder : ".", O_DIRECTORY, err);
}

/* One migration, whole or not at all, with a copy of what was there before. */
static int
migrate_to(struct store *store, int64_t to, struct err *err)
{
	_cleanup_free_ char *copy = xasprintf("%s.version-%lld", store->path, (long long)to - 1);
	_cleanup_free_ char *end =
	    xasprintf("PRAGMA application_id = %d; PRAGMA user_version = %lld; COMMIT",
		      store->restored ? STORE_BACKUP_ID : STORE_APPLICATION_ID, (long long)to);
	int r = to > 1 ? store_backup(store, copy, err) : 0;

	if (r == 0)
		r = execute(store, "BEGIN EXCLUSIVE", err);
	if (r == 0)
		r = execute(store, migrations[to], err);
	if (r == 0 && in_c[to])
		r = in_c[to](store, err);
	if (r == 0 && to >= SEALED)
		r = store_seals_all(store, err);
	if (r == 0)
		r = execute(store, end, err);
	if (r < 0 && !sqlite3_get_autocommit(store->db))
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int
migrate(struct store *store, int64_t version, struct err *err)
{
	int r = 0;

	for (int64_t to = version + 1; to <= SCHEMA && r == 0; to++)
		r = migrate_to(store, to, err);
	return r;
}

/* Ours, and of a version that we know? Read before anything is written. */
static int
identify(struct store *store, int64_t *ret_version, struct err *err)
{
	int64_t id = 0, version = 0, tables = 0;
	int r;

	r = ask_number(store, "PRAGMA application_id", &id, err);
	if (r == 0)
		r = ask_number(store, "PRAGMA user_version", &version, err);
	if (r == 0)
		r = ask_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (r < 0)
		return r;
	store->restored = id == STORE_BACKUP_ID;
	if (id != STORE_APPLICATION_ID && !store->restored)
		return err_set(err, ERR_FAILED,
			       "%s is a database of another program: bmd does not touch it; move "
			       "it away or set state-directory",
			       store->path);
	if (version > SCHEMA)
		return err_set(err, ERR_FAILED,
			       "the database %s was written by a newer bmd (version %lld, this one "
			       "knows %d): install that bmd again",
			       store->path, (long long)version, SCHEMA);
	if (version < 1 || tables == 0)
		return store_damaged(store, "its tables are missing", err);
	*ret_version = version;
	return 0;
}

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
static int
check(struct store *store, int64_t size, int64_t version, bool *ret_indexes, struct err *err)
{
	static const char *const small[] = {"meta",   "builds", "artifacts",
					    "stages", "stack",	"successes"};
	char sql[64], got[256];
	int r = 0;

	if (size <= CHECK_WHOLE_BYTES) {
		r = check_whole(store, ret_indexes, err);
		return r == 0 && *ret_indexes && version < SEALED
			   ? store_damaged(store, "an index does not agree with its table", err)
			   : r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(small) && r == 0; i++) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA quick_check('%s')", small[i]);
		r = ask(store, sql, got, sizeof(got), err);
		if (r == 0 && strcmp(got, "ok") != 0)
			r = store_damaged(store, got, err);
	}
	return r;
}

/* A bmd that was killed just then may have a child between fork and exec, which has the lock with
 * it for a moment; one that is being stopped needs a moment too. */
static int
lock_folder(int fd)
{
	const struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};
	int r = flock(fd, LOCK_EX | LOCK_NB);

	for (int i = 0; r < 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
		(void)nanosleep(&nap, NULL);
		r = flock(fd, LOCK_EX | LOCK_NB);
	}
	return r;
}

/* The folder is made, ours, writable, and nobody else's at this time. */
static int
take_folder(struct store *store, const char *folder, struct err *err)
{
	struct stat st;

	if (mkdir(folder, 0711) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the state folder %s", folder);
	store->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->folder_fd < 0)
		return err_errno(err, errno, "cannot open the state folder %s", folder);
	if (fstat(store->folder_fd, &st) < 0)
		return err_errno(err, errno, "cannot look at the state folder %s", folder);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_FAILED,
			       "the state folder %s belongs to uid %u, but bmd runs as uid %u: "
			       "start bmd as its owner or set state-directory",
			       folder, st.st_uid, geteuid());
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
		return err_errno(err, errno, "cannot write to the state folder %s", folder);
	if (lock_folder(store->folder_fd) < 0)
		return errno == EWOULDBLOCK
			   ? err_set(err, ERR_FAILED,
				     "another bmd uses the state folder %s: stop it, or set "
				     "state-directory and socket",
				     folder)
			   : err_errno(err, errno, "cannot lock the state folder %s", folder);
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
		r = migrate(store, 0, err);
	store_seals_forget(store);
	(void)sqlite3_close(store->db);
	store->db = NULL;
	if (r == 0)
		r = sync_path(temporary, 0, err);
	if (r == 0 && rename(temporary, store->path) < 0)
		r = err_errno(err, errno, "cannot rename %s", temporary);
	if (r == 0 && fsync(store->folder_fd) < 0)
		r = err_errno(err, errno, "cannot write the folder of %s", store->path);
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

/* A backup takes the place of a database that is not there. Beside one nobody knows which of them
 * is meant. */
static int
take_backup(struct store *store, bool there, bool *ret_taken, struct err *err)
{
	_cleanup_free_ char *backup = xasprintf("%s.backup", store->path);
	struct stat st;

	*ret_taken = false;
	if (lstat(backup, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot look at %s", backup);
	if (there)
		return err_set(err, ERR_FAILED,
			       "both %s and %s are there: move away the one that is not to be used",
			       store->path, backup);
	if (rename(backup, store->path) < 0 || fsync(store->folder_fd) < 0)
		return err_errno(err, errno, "cannot rename %s", backup);
	failpoint("restore-named");
	*ret_taken = true;
	return 0;
}

/* Looks at the file without opening it, and makes it where there is none. */
static int
find_file(struct store *store, int64_t *ret_size, struct err *err)
{
	_cleanup_free_ char *wal = xasprintf("%s-wal", store->path);
	struct stat st;
	bool there = lstat(store->path, &st) == 0, taken;
	int r;

	if (!there && errno != ENOENT)
		return err_errno(err, errno, "cannot look at %s", store->path);
	if (!there && lstat(wal, &st) == 0 && st.st_size > 0)
		return store_damaged(store, "it is gone, but its -wal file is still there", err);
	r = take_backup(store, there, &taken, err);
	if (r < 0)
		return r;
	if (!there && !taken) {
		*ret_size = 0;
		return create(store, err);
	}
	if (lstat(store->path, &st) < 0)
		return err_errno(err, errno, "cannot look at %s", store->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "%s is not a plain file: move it away",
			       store->path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_FAILED,
			       "the database %s belongs to uid %u, but bmd runs as uid %u: give it "
			       "back with chown",
			       store->path, st.st_uid, geteuid());
	if (st.st_size == 0)
		return store_damaged(store, "it is empty", err);
	if ((st.st_mode & 07777) != 0600 && chmod(store->path, 0600) < 0)
		return err_errno(err, errno, "cannot set the mode of %s", store->path);
	*ret_size = st.st_size;
	return 0;
}

/* ---- statements ---- */

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

static int
prepare(struct store *store, struct err *err)
{
	int r = 0;

	for (unsigned part = 0; part < STORE_PART_MAX_ && r == 0; part++)
		r = prepare_part(store, part, err);
	return r;
}

static void
finalize(struct store *store)
{
	for (unsigned part = 0; part < STORE_PART_MAX_; part++) {
		for (unsigned i = 0; store->statements[part] && i < parts[part]->n; i++)
			(void)sqlite3_finalize(store->statements[part][i]);
		free(store->statements[part]);
	}
}

/* ---- the whole ---- */

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

static int
open_database(struct store *store, struct err *err)
{
	int64_t size = 0, version = 0, page = 0;
	bool indexes = false;
	int r;

	r = find_file(store, &size, err);
	if (r == 0)
		r = connect_file(store, store->path, 0, err);
	if (r == 0)
		r = identify(store, &version, err);
	if (r == 0)
		r = ask_number(store, "PRAGMA page_size", &page, err);
	if (r == 0)
		store_wal_look(store, (size_t)page);
	if (r == 0)
		r = settle_settings(store, err);
	if (r == 0)
		r = check(store, size, version, &indexes, err);
	if (r == 0 && version >= SEALED)
		r = store_seals_watch(store, err);
	if (r == 0 && version >= SEALED)
		r = store_damage_look(store, indexes, err);
	if (r == 0)
		r = migrate(store, version, err);
	if (r == 0 && version < SCHEMA)
		r = store_seals_watch(store, err);
	if (r == 0)
		r = ask_number(store, "SELECT count(*) FROM damaged", &store->ndamaged, err);
	if (r == 0)
		r = prepare(store, err);
	if (r == 0)
		r = ask_number(store, "SELECT value FROM meta WHERE name = 'last_alive'",
			       &store->alive_us, err);
	if (r == 0)
		r = ask_number(store, "SELECT value FROM meta WHERE name = '" STORE_HIGHEST "'",
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
	r = take_folder(store, state_directory, err);
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
	finalize(store);
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
