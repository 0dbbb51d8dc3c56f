/* SPDX-License-Identifier: ISC */
/* The database: what it refuses to open, what it keeps, and that no hot statement reads a whole table. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "daemon/store.h"
#include "tests/unit/unit.h"

static char folder[64];
static struct err err;

static const char *
path(const char *name)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s/%s", folder, name);
	return text;
}

static void
make_folder(void)
{
	strcpy(folder, "/tmp/bmd-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
remove_folder(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
	err_clear(&err);
}

static struct store *
open_store(void)
{
	struct store *store = NULL;
	int r = store_open(folder, &store, &err);

	ck_assert_msg(r == 0, "%s", err.text);
	return store;
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		ck_assert_msg(r_ >= 0, "line %d: %s: %d %s", __LINE__, #call, r_, err.text);       \
	} while (0)

static void
refused(const char *words)
{
	struct store *store = NULL;

	ck_assert_int_lt(store_open(folder, &store, &err), 0);
	ck_assert_msg(strstr(err.text, words) != NULL, "%s", err.text);
	ck_assert_msg(strstr(err.text, folder) != NULL, "%s", err.text);
	err_clear(&err);
	memset(&err, 0, sizeof(err));
}

static void
sql(const char *text)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open(path("bmd.db"), &db), SQLITE_OK);
	sqlite3_exec(db, text, NULL, NULL, &message);
	ck_assert_msg(message == NULL, "%s", message);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static struct job
new_job(int64_t id, enum job_state state, int64_t due_us)
{
	struct job job = {
		.id = id, .state = state, .due_us = due_us, .application = "shop",
		.stage = "production", .plan = "web", .build = { "1.0.2", 3 }, .requested_by = "ana",
		.exit_code = -1, .grace_us = 1000, .grace_from_us = due_us, .timed = true,
	};

	return job;
}

/* ---- opening */

START_TEST(test_fresh)
{
	struct store *store;
	struct stat st;

	make_folder();
	store = open_store();
	ck_assert_int_eq(stat(path("bmd.db"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(stat(path("bmd.db-wal"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(access(path("bmd.db-shm"), F_OK), -1);
	ck_assert_int_eq(access(path("bmd.db.new"), F_OK), -1);
	ck_assert_int_eq(store_last_alive(store), 0);
	OK(store_begin(store, &err));
	OK(store_commit(store, 77000000, &err));
	store_close(store);
	store = open_store();
	ck_assert_int_eq(store_last_alive(store), 77000000);
	store_close(store);
	store_close(NULL);
	remove_folder();
}
END_TEST

static void
overwrite(long offset, const char *bytes, size_t n)
{
	FILE *file = fopen(path("bmd.db"), "r+");

	ck_assert_ptr_nonnull(file);
	fseek(file, offset, SEEK_SET);
	ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
	fclose(file);
}

START_TEST(test_refused)
{
	struct store *store;
	char junk[4096];
	FILE *wal;

	make_folder();
	store = open_store();
	refused("another bmd uses");
	store_close(store);

	sql("PRAGMA user_version = 99");
	refused("newer bmd");
	sql("PRAGMA user_version = 1; PRAGMA application_id = 7");
	refused("another program");
	sql("PRAGMA application_id = 1651336241");
	store_close(open_store());

	sql("DROP TABLE stages");
	refused("is damaged");
	ck_assert_int_eq(truncate(path("bmd.db"), 4096 * 3), 0);
	refused("is damaged");
	memset(junk, 'x', sizeof(junk));
	overwrite(0, junk, sizeof(junk));
	refused("is damaged");
	ck_assert_int_eq(truncate(path("bmd.db"), 0), 0);
	refused("is damaged: it is empty");
	unlink(path("bmd.db"));
	wal = fopen(path("bmd.db-wal"), "w");
	fputs("x", wal);
	fclose(wal);
	refused("-wal file is still there");
	unlink(path("bmd.db-wal"));
	ck_assert_int_eq(mkdir(path("bmd.db"), 0700), 0);
	refused("not a plain file");
	remove_folder();
}
END_TEST

START_TEST(test_flipped_page)
{
	struct store *store;
	char junk[2048];

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	for (int i = 1; i <= 200; i++) {
		struct job job = new_job(i, JOB_QUEUED, i);

		OK(store_job_add(store, &job, &err));
	}
	OK(store_commit(store, 1, &err));
	store_close(store);
	memset(junk, 0x5a, sizeof(junk));
	overwrite(4096 * 30, junk, sizeof(junk));
	refused("is damaged");
	remove_folder();
}
END_TEST

START_TEST(test_foreign_owner)
{
	make_folder();
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(folder, 12345, 12345), 0);
		refused("belongs to uid 12345");
		ck_assert_int_eq(chown(folder, 0, 0), 0);
		store_close(open_store());
		ck_assert_int_eq(chown(path("bmd.db"), 12345, 12345), 0);
		refused("belongs to uid 12345");
	} else {
		ck_assert_int_eq(chmod(folder, 0500), 0);
		refused("cannot write");
		ck_assert_int_eq(chmod(folder, 0700), 0);
	}
	remove_folder();
}
END_TEST

START_TEST(test_backup)
{
	struct store *store;
	struct stat st;

	make_folder();
	store = open_store();
	OK(store_backup(store, path("copy"), &err));
	store_close(store);
	ck_assert_int_eq(stat(path("copy"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(access(path("copy.new"), F_OK), -1);
	{
		_cleanup_free_ char *copy = xstrdup(path("copy"));

		ck_assert_int_eq(rename(copy, path("bmd.db")), 0);
	}
	store_close(open_store());
	remove_folder();
}
END_TEST

/* ---- query plans */

/* Statements that may read more than an index's few rows, and why. */
static const struct {
	const char *begins, *why;
} slow[] = {
	{ "SELECT state, count(*) FROM jobs INDEXED BY", "counts what is open, for status" },
	{ "SELECT count(*) FROM jobs WHERE (state = 'starting'", "the index has max-running rows" },
	{ "DELETE FROM keys WHERE serial IN", "reads the 1024 oldest, by row id" },
	{ "SELECT release, max(id) AS last FROM builds", "for the suggestion after a mistyped build" },
};

/* A full scan is "SCAN table" without an index, or with one that is not partial; a temporary B-tree is a sort. */
static bool
plan_is_slow(const char *line)
{
	if (strstr(line, "TEMP B-TREE"))
		return true;
	if (strstr(line, "SCAN CONSTANT ROW") || !strstr(line, "SCAN "))
		return false;
	return !(strstr(line, "USING INDEX jobs_") || strstr(line, "USING COVERING INDEX jobs_"));
}

START_TEST(test_plans)
{
	struct store *store;
	_cleanup_free_ char *text = NULL;
	const char *statement = "";
	char *rest;
	int n = 0;

	make_folder();
	store = open_store();
	text = store_explain(store);
	rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		bool allowed = false;

		if (getenv("SHOW_PLANS"))
			printf("%s\n", line);
		if (line[0] != '\t') {
			statement = line;
			n++;
			continue;
		}
		for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
			allowed = allowed || strncmp(statement, slow[i].begins, strlen(slow[i].begins)) == 0;
		ck_assert_msg(allowed || !plan_is_slow(line), "%s\n%s", statement, line);
	}
	ck_assert_int_gt(n, 50);
	store_close(store);
	remove_folder();
}
END_TEST

UNIT_MAIN("store", test_fresh, test_refused, test_flipped_page, test_foreign_owner, test_backup,
    test_plans)
