/* SPDX-License-Identifier: ISC */
/*
 * Copies of the database. store_backup() makes one at once, before a migration. The other kind is
 * made while bmd goes on, a few pages at a time: SQLite writes what this connection changes
 * meanwhile into the copy as well, so that it is never begun again, and is in the end what the
 * database is at that moment. That one is marked as a copy (its application_id): whoever opens it
 * knows that it was restored.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

/* ---- at once ---- */

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
	return store_sync(path, 0, err);
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
	return store_sync(slash ? folder : ".", O_DIRECTORY, err);
}

/* ---- while bmd goes on ---- */

struct store_copy {
	struct store *store;
	char *path;
	sqlite3 *to;
	sqlite3_backup *backup;
};

static int
failed(struct store_copy *copy, int code, struct err *err)
{
	/* What the source could not do, and what the copy could not. */
	if ((code & 0xff) == SQLITE_FULL)
		return err_set(err, ERR_NO_SPACE, "no space left for the copy %s of the database",
			       copy->path);
	return err_set(err, ERR_FAILED, "cannot write the copy %s of the database: %s", copy->path,
		       sqlite3_errstr(code));
}

int
store_copy_begin(struct store *store, const char *path, struct store_copy **ret_copy,
		 struct err *err)
{
	struct store_copy *copy = xcalloc(1, sizeof(*copy));
	mode_t mask = umask(077);
	int code;

	copy->store = store;
	copy->path = xstrdup(path);
	code =
	    sqlite3_open_v2(path, &copy->to,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	(void)umask(mask);
	/* Until it is whole it is nobody's: what a crash leaves of it is thrown away. */
	if (code == SQLITE_OK)
		code = sqlite3_exec(copy->to,
				    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; "
				    "PRAGMA journal_mode = OFF",
				    NULL, NULL, NULL);
	if (code == SQLITE_OK) {
		copy->backup = sqlite3_backup_init(copy->to, "main", store->db, "main");
		code = copy->backup ? SQLITE_OK : sqlite3_errcode(copy->to);
	}
	if (code != SQLITE_OK) {
		int r = failed(copy, code, err);

		store_copy_end(copy);
		return r;
	}
	*ret_copy = copy;
	return 0;
}

/* All pages are there: it becomes one that says what it is. */
static int
close_copy(struct store_copy *copy, struct err *err)
{
	_cleanup_free_ char *mark = xasprintf("PRAGMA application_id = %d", STORE_BACKUP_ID);
	int code = sqlite3_backup_finish(TAKE(copy->backup));

	if (code == SQLITE_OK)
		code = sqlite3_exec(copy->to, mark, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_close(TAKE(copy->to));
	return code == SQLITE_OK ? 0 : failed(copy, code, err);
}

int
store_copy_step(struct store_copy *copy, int pages, int *ret_done, int *ret_total, struct err *err)
{
	int code = sqlite3_backup_step(copy->backup, pages);

	*ret_total = sqlite3_backup_pagecount(copy->backup);
	*ret_done = *ret_total - sqlite3_backup_remaining(copy->backup);
	if (code == SQLITE_DONE)
		return close_copy(copy, err);
	return code == SQLITE_OK ? 1 : failed(copy, code, err);
}

void
store_copy_end(struct store_copy *copy)
{
	if (!copy)
		return;
	if (copy->backup)
		(void)sqlite3_backup_finish(copy->backup);
	(void)sqlite3_close(copy->to);
	free(copy->path);
	free(copy);
}

/* ---- of one that was restored ---- */

int64_t
store_restored(const struct store *store)
{
	if (!store->restored && store->lost_commits == 0)
		return 0;
	return store->alive_us > 0 ? store->alive_us : 1;
}

int64_t
store_lost_commits(const struct store *store)
{
	return store->lost_commits;
}

int
store_restored_done(struct store *store, struct err *err)
{
	_cleanup_free_ char *mark = xasprintf("PRAGMA application_id = %d", STORE_APPLICATION_ID);
	int code = sqlite3_exec(store->db, mark, NULL, NULL, NULL);

	if (code != SQLITE_OK)
		return store_failed(store, code, err);
	store->restored = false;
	store->lost_commits = 0;
	return 0;
}
