/* SPDX-License-Identifier: ISC */
/* The database: what it refuses to open, what it keeps, and that no hot statement reads a whole
 * table. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "daemon/store/store.h"
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
	unit_remove(folder);
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

#define OK(call)                                                                             \
	do {                                                                                 \
		int r_ = (call);                                                             \
		ck_assert_msg(r_ >= 0, "line %d: %s: %d %s", __LINE__, #call, r_, err.text); \
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
	    .id = id,
	    .state = state,
	    .due_us = due_us,
	    .application = "shop",
	    .stage = "production",
	    .plan = "web",
	    .build = {"1.0.2", 3},
	    .requested_by = "ana",
	    .exit_code = -1,
	    .grace_us = 1000,
	    .grace_from_us = due_us,
	    .timed = true,
	};

	return job;
}

/* How many copies stand there that are made before a migration. */
static int
count_copies(void)
{
	glob_t found = {0};
	int n = glob(path("bmd.db.version-*"), 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;

	globfree(&found);
	return n;
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
	ck_assert_int_eq(count_copies(), 0);
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

/* A life that ended in order says when, until the next one has committed something. */
START_TEST(test_ended)
{
	struct store *store;

	make_folder();
	store = open_store();
	ck_assert(!store_ended(store));
	OK(store_begin(store, &err));
	OK(store_commit(store, 77000000, &err));
	store_close(store);
	store = open_store();
	ck_assert(!store_ended(store));
	OK(store_begin(store, &err));
	store_end(store);
	/* too soon for an empty commit of any other kind */
	OK(store_commit(store, 78000000, &err));
	store_close(store);
	store = open_store();
	ck_assert_int_eq(store_last_alive(store), 78000000);
	ck_assert(store_ended(store));
	OK(store_begin(store, &err));
	OK(store_commit(store, 177000000, &err));
	store_close(store);
	store = open_store();
	ck_assert(!store_ended(store));
	store_close(store);
	remove_folder();
}
END_TEST

/* A store that knows up to AT_US, as long as nothing is missed. */
static void
knows(int64_t at_us)
{
	struct store *store = open_store();

	ck_assert_int_eq(store_highest(store), at_us);
	ck_assert_int_eq(store_lost_commits(store), 0);
	ck_assert_ptr_null(store_notes(store));
	store_close(store);
}

static void
commit_at(struct store *store, int64_t at_us)
{
	OK(store_begin(store, &err));
	OK(store_number_put(store, "test", at_us, &err));
	OK(store_commit(store, at_us, &err));
}

/* A clock that is put back takes nothing away, nor does one that is believed, nor a commit that is
 * not made. */
START_TEST(test_last_commit_by_the_clock)
{
	struct store *store;

	make_folder();
	store = open_store();
	commit_at(store, 2000);
	commit_at(store, 1000);
	store_close(store);
	knows(2000);

	store = open_store();
	OK(store_begin(store, &err));
	OK(store_forget_highest(store, 1500, &err));
	store_rollback(store);
	ck_assert_int_eq(store_highest(store), 2000);
	OK(store_begin(store, &err));
	OK(store_commit(store, 1500, &err));
	store_close(store);
	knows(2000);

	store = open_store();
	OK(store_begin(store, &err));
	OK(store_forget_highest(store, 1500, &err));
	OK(store_commit(store, 1500, &err));
	store_close(store);
	knows(1500);
	remove_folder();
}
END_TEST

static void
shell(const char *format)
{
	_cleanup_free_ char *command = xasprintf("cd %s && %s", folder, format);

	ck_assert_int_eq(system(command), 0);
}

/* An older copy is missed, a mark that rotted says nothing. */
START_TEST(test_last_commit_missed)
{
	struct store *store;

	make_folder();
	store = open_store();
	commit_at(store, 1000);
	store_close(store);
	shell("cp -p bmd.db older");
	store = open_store();
	commit_at(store, 2000);
	store_close(store);
	knows(2000);
	shell("cp -p older bmd.db");
	store = open_store();
	ck_assert_int_eq(store_lost_commits(store), 1);
	ck_assert_int_eq(store_restored(store), 1000);
	store_close(store);
	shell("printf x | dd of=bmd.db.last bs=1 seek=9 conv=notrunc status=none");
	knows(1000);
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
	sql("PRAGMA user_version = 16; PRAGMA application_id = 7");
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
	ck_assert_ptr_nonnull(wal);
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

static void
add_jobs(struct store *store, int64_t from, int64_t n)
{
	OK(store_begin(store, &err));
	for (int64_t id = from; id < from + n; id++) {
		struct job job = new_job(id, JOB_SCHEDULED, id);

		OK(store_job_add(store, &job, &err));
	}
	OK(store_commit(store, 1000 + from, &err));
}

/* A copy while the database is written: as it is when the last page is there, whole, sealed, and
 * marked. */
START_TEST(test_copy_under_load)
{
	struct store_copy *copy;
	struct store *store;
	int64_t counts[JOB_STATE_MAX_], jobs = 400;
	int done, total, steps = 0, r;

	make_folder();
	store = open_store();
	add_jobs(store, 1, jobs);
	ck_assert_int_eq(store_restored(store), 0);
	OK(store_copy_begin(store, path("bmd.db.backup"), &copy, &err));
	while ((r = store_copy_step(copy, 12, &done, &total, &err)) == 1) {
		steps++;
		add_jobs(store, jobs + 1, 5);
		jobs += 5;
		OK(store_begin(store, &err)); /* and one that is taken back */
		OK(store_savepoint(store, &err));
		{
			struct job job = new_job(1000000, JOB_SCHEDULED, 1);

			OK(store_job_add(store, &job, &err));
		}
		store_rollback_savepoint(store);
		OK(store_commit(store, 1000 + jobs, &err));
	}
	ck_assert_msg(r == 0, "%s", err.text);
	ck_assert_int_gt(steps, 4);
	ck_assert_int_eq(done, total);
	store_copy_end(copy);
	store_close(store);
	refused("move away the one that is not to be used");
	ck_assert_int_eq(unlink(path("bmd.db")), 0);
	store = open_store();
	ck_assert_int_eq(access(path("bmd.db.backup"), F_OK), -1);
	ck_assert_ptr_null(store_notes(store)); /* every row is as its seal says */
	ck_assert_int_eq(store_restored(store), 1000 + jobs);
	OK(store_job_count(store, counts, &err));
	ck_assert_int_eq(counts[JOB_SCHEDULED], jobs);
	/* It stays a restored one until that is committed. */
	store_close(store);
	store = open_store();
	ck_assert_int_gt(store_restored(store), 0);
	OK(store_begin(store, &err));
	OK(store_restored_done(store, &err));
	OK(store_commit(store, 1, &err));
	store_close(store);
	store = open_store();
	ck_assert_int_eq(store_restored(store), 0);
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- query plans */

/* Statements that may read more than an index's few rows, and why. */
static const struct {
	const char *begins, *why;
} slow[] = {
    {"SELECT state, count(*) FROM jobs INDEXED BY", "counts what is open, for status"},
    {"SELECT count(*) FROM jobs WHERE (state = 'starting'", "the index has max-running rows"},
    {"DELETE FROM keys WHERE serial IN", "reads the 1024 oldest, by row id"},
    {"SELECT DISTINCT digest FROM artifacts", "a page of the index, for bmctl gc"},
    {"SELECT stage FROM stack WHERE", "the stages of one application, for bmctl gc"},
    {"SELECT release, max(id) AS last FROM builds", "for the suggestion after a mistyped build"},
};

/* A full scan is "SCAN table" without an index, or with one that is not partial; a temporary B-tree
 * is a sort. */
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
			allowed = allowed ||
				  strncmp(statement, slow[i].begins, strlen(slow[i].begins)) == 0;
		ck_assert_msg(allowed || !plan_is_slow(line), "%s\n%s", statement, line);
	}
	ck_assert_int_gt(n, 50);
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- jobs */

static int
count(const struct job *job, void *arg)
{
	(void)job;
	++*(int *)arg;
	return 0;
}

static int
list_ids(const struct job *job, void *arg)
{
	sprintf((char *)arg + strlen(arg), "%d ", (int)job->id);
	return 0;
}

START_TEST(test_every_column)
{
	struct store *store;
	struct job in = new_job(7, JOB_HELD, 5), out;

	make_folder();
	in.redeploy = in.automatic = in.began = in.cancel_now = true;
	in.mode = JOB_MODE_ROLLBACK;
	in.from = (struct build_ref){"1.0.3", 1};
	in.reason = (char[]){"because \"x\"; --"};
	in.uid = 4294967294;
	in.created_us = INT64_MAX;
	in.due_text = (char[]){"02:00"};
	strcpy(in.zone, "Europe/Berlin");
	strcpy(in.boot, "boot");
	in.boot_due_us = 8;
	in.asked_us = 9;
	in.started_us = 10;
	in.finished_us = 11;
	in.ended_by = (char[]){"ben"};
	in.message = (char[]){"m"};
	in.failed_step = (char[]){"s"};
	in.hold_reason = (char[]){"h"};
	in.exit_code = 0;
	in.if_changed = JOB_SKIP;
	in.expected = (struct build_ref){"007", 7}; /* stays a text */
	in.ahead = json_pack("[i, I]", 5, INT64_MAX);
	in.variables = json_pack("{s:s}", "A", "ä\n");
	strcpy(in.run, "run");
	strcpy(in.boot_run, "b");
	strcpy(in.request_digest, "r");
	strcpy(in.plan_digest, "p");
	in.not_before_us = 12;
	in.attempts = 3;
	in.event_seq = 13;
	in.cancel_by = (char[]){"cy"};

	store = open_store();
	OK(store_begin(store, &err));
	OK(store_job_add(store, &in, &err));
	ck_assert_int_eq(store_job_add(store, &in, &err), -EEXIST);
	OK(store_commit(store, 1, &err));
	store_close(store);
	store = open_store();
	OK(store_job_get(store, 7, &out, &err));
#define SAME_INT(f)  ck_assert_msg(in.f == out.f, #f)
#define SAME_TEXT(f) ck_assert_msg(strcmp(in.f, out.f) == 0, #f)
	SAME_INT(state);
	SAME_INT(redeploy);
	SAME_INT(timed);
	SAME_INT(automatic);
	SAME_INT(mode);
	SAME_INT(uid);
	SAME_INT(created_us);
	SAME_INT(due_us);
	SAME_INT(boot_due_us);
	SAME_INT(grace_us);
	SAME_INT(grace_from_us);
	SAME_INT(asked_us);
	SAME_INT(started_us);
	SAME_INT(finished_us);
	SAME_INT(exit_code);
	SAME_INT(if_changed);
	SAME_INT(not_before_us);
	SAME_INT(attempts);
	SAME_INT(event_seq);
	SAME_INT(began);
	SAME_INT(cancel_now);
	SAME_TEXT(application);
	SAME_TEXT(stage);
	SAME_TEXT(plan);
	SAME_TEXT(reason);
	SAME_TEXT(requested_by);
	SAME_TEXT(due_text);
	SAME_TEXT(zone);
	SAME_TEXT(boot);
	SAME_TEXT(ended_by);
	SAME_TEXT(message);
	SAME_TEXT(failed_step);
	SAME_TEXT(hold_reason);
	SAME_TEXT(run);
	SAME_TEXT(boot_run);
	SAME_TEXT(request_digest);
	SAME_TEXT(plan_digest);
	SAME_TEXT(cancel_by);
	ck_assert(names_build_equal(&in.build, &out.build));
	ck_assert(names_build_equal(&in.from, &out.from));
	ck_assert(names_build_equal(&in.expected, &out.expected));
	ck_assert(json_equal(in.ahead, out.ahead));
	ck_assert(json_equal(in.variables, out.variables));
	job_clear(&out);
	json_decref(in.ahead);
	json_decref(in.variables);
	ck_assert_int_eq(store_job_get(store, 8, &out, &err), -ENOENT);
	store_close(store);
	remove_folder();
}
END_TEST

START_TEST(test_compare_and_set)
{
	struct store *store;
	struct job job = new_job(1, JOB_QUEUED, 5);

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_job_add(store, &job, &err));
	job.state = JOB_STARTING;
	strcpy(job.run, "one");
	ck_assert_int_eq(store_job_update(store, &job, JOB_SCHEDULED, NULL, &err), -ESTALE);
	OK(store_job_update(store, &job, JOB_QUEUED, NULL, &err));
	job.state = JOB_RUNNING;
	ck_assert_int_eq(store_job_update(store, &job, JOB_STARTING, "two", &err), -ESTALE);
	OK(store_job_update(store, &job, JOB_STARTING, "one", &err));
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

/* Those who watch jobs are told which were written, until they are too many. */
START_TEST(test_written)
{
	struct store *store;
	struct job job = new_job(7, JOB_QUEUED, 5);
	const int64_t *ids;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_job_add(store, &job, &err));
	ck_assert_uint_eq(store_jobs_written(store, &ids), 0);
	OK(store_job_update(store, &job, JOB_QUEUED, NULL, &err));
	ck_assert_uint_eq(store_jobs_written(store, &ids), 1);
	ck_assert_int_eq(ids[0], 7);
	ck_assert_uint_eq(store_jobs_written(store, &ids), 0);
	for (int i = 0; i < STORE_WRITTEN_MAX + 5; i++)
		OK(store_job_update(store, &job, JOB_QUEUED, NULL, &err));
	ck_assert_uint_eq(store_jobs_written(store, &ids), STORE_WRITTEN_MAX + 1);
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

/* One finished row, then 200,000 of its kind beside a few that wait. */
static void
fill(void)
{
	struct store *store = open_store();
	struct job job = new_job(1, JOB_SUCCEEDED, 5);

	job.finished_us = 5;
	job.began = true;
	OK(store_begin(store, &err));
	OK(store_job_add(store, &job, &err));
	OK(store_commit(store, 1, &err));
	store_close(store);
	sql("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
	    "CREATE TEMP TABLE t AS SELECT * FROM jobs; ALTER TABLE t DROP COLUMN id;"
	    "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
	    " INSERT INTO jobs SELECT n.i, t.* FROM n, t; DROP TABLE t;");
	sql("DELETE FROM seals");
}

START_TEST(test_many_finished)
{
	struct store *store;
	struct job job;
	struct timespec from, to;
	int64_t due, seen_us;
	char application[64] = "", stage[64] = "", ids[256] = "";
	int n = 0;

	make_folder();
	fill();
	store = open_store();
	OK(store_begin(store, &err));
	job = new_job(300003, JOB_SCHEDULED, 30);
	OK(store_job_add(store, &job, &err));
	job = new_job(300001, JOB_QUEUED, 20);
	OK(store_job_add(store, &job, &err));
	job = new_job(300002, JOB_SCHEDULED, 30);
	OK(store_job_add(store, &job, &err));
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 100; i++) {
		OK(store_job_next_due(store, &due, &err));
		ck_assert_int_eq(due, 30);
		n = 0;
		OK(store_job_each_state(store, JOB_SCHEDULED, 40, INT64_MIN, 0, 10, count, &n,
					&err));
		ck_assert_int_eq(n, 2);
		application[0] = stage[0] = '\0';
		ck_assert_int_eq(store_job_queued_stage(store, application, stage, &err), 1);
		ck_assert_int_eq(store_job_queued_stage(store, application, stage, &err), 0);
		ck_assert_int_eq(store_job_first_queued(store, "shop", "production", &job, &err),
				 1);
		ck_assert_int_eq(job.id, 300001);
		job_clear(&job);
		ck_assert_int_eq(store_job_active(store, "shop", "production", &job, &err), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	seen_us = (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
	/* 700 questions: a single scan of 200,000 rows would take longer than all of them. */
	ck_assert_msg(seen_us < 1000000, "%d us", (int)seen_us);
	OK(store_job_each_open(store, "shop", "production", list_ids, ids, &err));
	ck_assert_str_eq(ids, "300001 300002 300003 ");
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

START_TEST(test_lists)
{
	struct store *store;
	struct job job;
	char ids[512] = "";
	_cleanup_json_ json_t *ahead = NULL;
	int64_t counts[JOB_STATE_MAX_], failed;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	for (int i = 1; i <= 9; i++) {
		job = new_job(i, i <= 6 ? JOB_FAILED : JOB_QUEUED, 100 - i);
		job.finished_us = i <= 6 ? 10 * (i / 2) : 0;
		if (i % 3 == 0)
			strcpy(job.stage, "testing");
		OK(store_job_add(store, &job, &err));
	}
	/* newest finished first, equal times by id, page by page */
	OK(store_job_each_final(store, NULL, NULL, 0, 0, 0, 4, list_ids, ids, &err));
	ck_assert_str_eq(ids, "6 5 4 3 ");
	ids[0] = '\0';
	OK(store_job_each_final(store, "shop", NULL, 0, 10, 3, 4, list_ids, ids, &err));
	ck_assert_str_eq(ids, "2 1 ");
	ids[0] = '\0';
	OK(store_job_each_final(store, "shop", "testing", 11, 0, 0, 4, list_ids, ids, &err));
	ck_assert_str_eq(ids, "6 ");
	ids[0] = '\0';
	OK(store_job_each_final(store, "other", NULL, 0, 0, 0, 4, list_ids, ids, &err));
	ck_assert_str_eq(ids, "");
	OK(store_job_each_waiting(store, NULL, INT64_MIN, 0, 2, list_ids, ids, &err));
	ck_assert_str_eq(ids, "9 8 ");
	ids[0] = '\0';
	OK(store_job_each_waiting(store, "shop", 92, 8, 2, list_ids, ids, &err));
	ck_assert_str_eq(ids, "7 ");
	ids[0] = '\0';
	OK(store_job_each_build(store, "shop", &job.build, 3, list_ids, ids, &err));
	ck_assert_str_eq(ids, "9 8 7 ");
	OK(store_job_ahead(store, "shop", "production", 93, 7, 5, &ahead, &err));
	ck_assert_uint_eq(json_array_size(ahead), 1);
	ck_assert_int_eq(json_integer_value(json_array_get(ahead, 0)), 8);
	json_decref(ahead);
	OK(store_job_ahead(store, "shop", "production", 93, INT64_MAX, 5, &ahead, &err));
	ck_assert_uint_eq(json_array_size(ahead), 2); /* the same time, and given before */
	ck_assert_int_eq(json_integer_value(json_array_get(ahead, 0)), 8);
	ck_assert_int_eq(json_integer_value(json_array_get(ahead, 1)), 7);
	OK(store_job_count(store, counts, &err));
	ck_assert_int_eq(counts[JOB_QUEUED], 3);
	OK(store_job_last_failed(store, "shop", "production", &failed, &err));
	ck_assert_int_eq(failed, 5);
	OK(store_job_highest(store, &failed, &err));
	ck_assert_int_eq(failed, 9);
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- keys, builds, steps, stages */

START_TEST(test_keys)
{
	struct store *store;
	_cleanup_free_ char *reply = NULL;
	int64_t day = INT64_C(86400000000);

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	ck_assert_int_eq(store_key_find(store, 1, "k", "d", &reply, &err), 0);
	OK(store_key_add(store, 1, "k", "d", "answer", 0, day, &err));
	ck_assert_int_eq(store_key_find(store, 1, "k", "d", &reply, &err), 1);
	ck_assert_str_eq(reply, "answer");
	ck_assert_int_eq(store_key_find(store, 2, "k", "d", &reply, &err), 0); /* another user's */
	ck_assert_int_eq(store_key_find(store, 1, "k", "e", &reply, &err), -EEXIST);
	ck_assert_int_eq(err.code, ERR_KEY_REUSED);
	OK(store_keys_prune(store, 8 * day, &err));
	ck_assert_int_eq(store_key_find(store, 1, "k", "e", &reply, &err), -EEXIST);
	OK(store_keys_prune(store, 8 * day + 1, &err));
	ck_assert_int_eq(store_key_find(store, 1, "k", "e", &reply, &err), 0);
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

static int
list_builds(const struct store_build *build, void *arg)
{
	sprintf((char *)arg + strlen(arg), "%s ", names_build_text(&build->build).s);
	return 0;
}

START_TEST(test_builds)
{
	struct store *store;
	struct store_artifact artifacts[2] = {{"b", "d1", 1, 2}, {"a", "d2", 3, 4}};
	struct store_build build = {.application = "shop",
				    .build.release = "1.0",
				    .created_by = "ana",
				    .created_us = 5,
				    .note = (char[]){"first"},
				    .artifacts = artifacts,
				    .nartifacts = 2},
			   got;
	struct build_ref two = {"1.0", 2};
	_cleanup_json_ json_t *releases = NULL;
	int64_t builds, active, succeeded;
	char text[256] = "";

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_build_add(store, &build, &err));
	ck_assert_int_eq(build.build.number, 1);
	build.build.number = 0;
	OK(store_build_add(store, &build, &err));
	ck_assert_int_eq(build.build.number, 2);
	ck_assert_int_eq(store_build_add(store, &build, &err), -EEXIST);
	strcpy(build.build.release, "1.1");
	build.build.number = 5;
	OK(store_build_add(store, &build, &err));
	OK(store_build_get(store, "shop", &two, &got, &err));
	ck_assert_str_eq(got.note, "first");
	ck_assert_uint_eq(got.nartifacts, 2);
	ck_assert_str_eq(got.artifacts[0].name, "a");
	ck_assert_int_eq(got.artifacts[0].bytes, 4);
	OK(store_build_reject(store, got.id, "ben", 9, "bad", &err));
	store_build_clear(&got);
	OK(store_build_get(store, "shop", &two, &got, &err));
	ck_assert(got.rejected);
	ck_assert_str_eq(got.rejected_reason, "bad");
	store_build_clear(&got);
	OK(store_release_look(store, "shop", "1.0", "production", &builds, &active, &succeeded,
			      &err));
	ck_assert(builds == 2 && active == 1 && succeeded == 0);
	OK(store_build_each(store, "shop", NULL, 0, 2, list_builds, text, &err));
	ck_assert_str_eq(text, "1.1/5 1.0/2 ");
	text[0] = '\0';
	OK(store_build_each(store, "shop", "1.0", 2, 5, list_builds, text, &err));
	ck_assert_str_eq(text, "1.0/1 ");
	OK(store_releases(store, "shop", 5, &releases, &err));
	ck_assert_str_eq(json_string_value(json_array_get(releases, 0)), "1.1");
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- migrations */

/* A database as version 1 left it: tests/unit/version-1.sql, and MORE. */
static void
make_version_1(const char *more)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *both = NULL;
	FILE *file = fopen(TOP_SRCDIR "/tests/unit/version-1.sql", "r");
	size_t room = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_gt(getdelim(&text, &room, '\0', file), 0);
	fclose(file);
	both = xasprintf("%s%s", text, more);
	sql(both);
	ck_assert_int_eq(chmod(path("bmd.db"), 0600), 0);
}

static char *
ask_sql(const char *name, const char *text)
{
	char *answer = NULL;
	sqlite3_stmt *st;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path(name), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		answer = xstrdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
	return answer;
}

START_TEST(test_from_version_1)
{
	struct build_ref one = {"1.0", 1}, three = {"1.0", 3};
	_cleanup_free_ char *version = NULL;
	_cleanup_free_ char *copied = NULL;
	_cleanup_free_ char *builds = NULL;
	struct store_audit_check check;
	struct history history = {0};
	struct store_build build;
	struct store *store;
	struct stat st;
	struct job job;
	int64_t at_us;

	make_folder();
	make_version_1("");
	store = open_store();
	/* All that was there is there. */
	OK(store_build_get(store, "shop", &one, &build, &err));
	ck_assert_str_eq(build.note, "n 1");
	ck_assert_str_eq(json_string_value(json_object_get(build.variables, "A")), "1");
	ck_assert_uint_eq(build.nartifacts, 1);
	ck_assert_ptr_null(build.pinned_by);
	ck_assert_int_eq(build.pinned_us, 0);
	OK(store_begin(store, &err));
	OK(store_build_pin(store, build.id, "ana", 7, NULL, &err));
	OK(store_commit(store, 1, &err));
	store_build_clear(&build);
	OK(store_build_get(store, "shop", &three, &build, &err));
	ck_assert(build.rejected);
	store_build_clear(&build);
	OK(store_build_collected(store, "shop", &one, &at_us, &err));
	ck_assert_int_eq(at_us, 0);
	OK(store_job_get(store, 3, &job, &err));
	ck_assert_int_eq(job.state, JOB_FAILED);
	ck_assert_str_eq(job.failed_step, "one");
	job_clear(&job);
	OK(store_history_get(store, "shop", "production", &history, &err));
	ck_assert_uint_eq(history.n, 2);
	ck_assert_int_eq(history_live(&history)->build.number, 2);
	history_clear(&history);
	/* The rows of the audit are the beginning of its chain. */
	store_audit_check_begin(store, &check);
	ck_assert_int_eq(check.end.id, 2);
	ck_assert_int_eq(store_audit_check(store, &check, 1, &err), 1);
	ck_assert_int_eq(store_audit_check(store, &check, 1, &err), 0);
	ck_assert_int_eq(check.bad, 0);
	ck_assert_int_eq(check.at.id, 2);
	store_close(store);
	/* And the one copy is what was there before. */
	ck_assert_int_eq(count_copies(), 1);
	ck_assert_int_eq(stat(path("bmd.db.version-1"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	version = ask_sql("bmd.db", "PRAGMA user_version");
	ck_assert_str_eq(version, "16");
	copied = ask_sql("bmd.db.version-1", "PRAGMA user_version");
	ck_assert_str_eq(copied, "1");
	builds = ask_sql("bmd.db.version-1", "SELECT count(*) FROM builds");
	ck_assert_str_eq(builds, "3");
	/* A second start migrates nothing again. */
	ck_assert_int_eq(unlink(path("bmd.db.version-1")), 0);
	store = open_store();
	OK(store_build_get(store, "shop", &one, &build, &err));
	ck_assert_str_eq(build.pinned_by, "ana");
	store_build_clear(&build);
	store_close(store);
	ck_assert_int_eq(access(path("bmd.db.version-1"), F_OK), -1);
	remove_folder();
}
END_TEST

/* A migration that fails leaves the database as it was, at its version. */
START_TEST(test_failed_migration)
{
	_cleanup_free_ char *version = NULL;
	_cleanup_free_ char *columns = NULL;

	make_folder();
	make_version_1("CREATE TABLE collected (in_the_way TEXT) STRICT;");
	refused("already exists");
	version = ask_sql("bmd.db", "PRAGMA user_version");
	ck_assert_str_eq(version, "1");
	columns = ask_sql("bmd.db", "SELECT count(*) FROM pragma_table_info('builds')");
	ck_assert_str_eq(columns, "13");
	sql("DROP TABLE collected");
	store_close(open_store());
	remove_folder();
}
END_TEST

/* The old tables and the new ones come to the same: who migrated has what who began now has. */
START_TEST(test_same_schema)
{
	static const char query[] = "SELECT group_concat(t.name || ' ' || c.cid || ' ' || c.name "
				    "|| ' ' || c.type || c.pk, ';') FROM"
				    " sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = "
				    "'table' ORDER BY t.name, c.cid";
	_cleanup_free_ char *migrated = NULL;
	_cleanup_free_ char *fresh = NULL;

	make_folder();
	make_version_1("");
	store_close(open_store());
	migrated = ask_sql("bmd.db", query);
	remove_folder();
	make_folder();
	store_close(open_store());
	fresh = ask_sql("bmd.db", query);
	ck_assert_str_eq(migrated, fresh);
	remove_folder();
}
END_TEST

/* ---- the audit */

static void
add_row(struct store *store, const char *what)
{
	const struct store_audit row = {.at_us = 7, .uid = -1, .who = "ana", .what = what};

	OK(store_audit(store, &row, &err));
}

static int
list_what(const struct store_audit *row, void *arg)
{
	strcat(arg, row->what);
	return 0;
}

/* A mark costs nothing, and what is undone behind a write takes the whole transaction with it. */
START_TEST(test_mark)
{
	struct store *store;
	char *reply = NULL;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_mark(store, &err));
	OK(store_key_add(store, 1, "a", "d", "{}", 0, 1, &err));
	OK(store_release(store, &err));
	OK(store_mark(store, &err));
	ck_assert(store_rollback_savepoint(store)); /* nothing was written */
	OK(store_savepoint(store, &err));
	OK(store_key_add(store, 1, "b", "d", "{}", 0, 1, &err));
	ck_assert(store_rollback_savepoint(store));
	OK(store_commit(store, 1, &err));
	OK(store_begin(store, &err));
	OK(store_key_add(store, 1, "c", "d", "{}", 0, 1, &err));
	OK(store_mark(store, &err));
	add_row(store, "x");
	ck_assert(!store_rollback_savepoint(store));
	ck_assert_int_eq(store_key_add(store, 1, "e", "d", "{}", 0, 1, &err), -ENOSPC);
	ck_assert_int_eq(store_commit(store, 2, &err), -ENOSPC);
	ck_assert(!store_in_transaction(store));
	ck_assert_int_eq(store_audit_head(store).id, 0);
	err_clear(&err);
	ck_assert_int_eq(store_key_find(store, 1, "a", "d", &reply, &err), 1);
	free(reply);
	ck_assert_int_eq(store_key_find(store, 1, "b", "d", &reply, &err), 0);
	ck_assert_int_eq(store_key_find(store, 1, "c", "d", &reply, &err), 0);
	/* The next transaction is as any other, and every row has its seal. */
	OK(store_begin(store, &err));
	OK(store_key_add(store, 1, "f", "d", "{}", 0, 1, &err));
	OK(store_commit(store, 3, &err));
	store_close(store);
	store = open_store();
	ck_assert_ptr_null(store_notes(store));
	ck_assert_int_eq(store_key_find(store, 1, "f", "d", &reply, &err), 1);
	free(reply);
	store_close(store);
	remove_folder();
}
END_TEST

/* What is undone leaves no gap, and the chain goes on over it and over a restart. */
START_TEST(test_audit_undone)
{
	struct store_audit_check check;
	struct store_audit_head head;
	struct store *store;
	char text[64] = "";

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	add_row(store, "a");
	OK(store_savepoint(store, &err));
	add_row(store, "x");
	store_rollback_savepoint(store);
	OK(store_savepoint(store, &err));
	add_row(store, "b");
	OK(store_release(store, &err));
	ck_assert_int_eq(store_audit_head(store).id, 0); /* not committed */
	OK(store_commit(store, 1, &err));
	ck_assert_int_eq(store_audit_head(store).id, 2);
	OK(store_begin(store, &err));
	add_row(store, "y");
	store_rollback(store);
	head = store_audit_head(store);
	ck_assert_int_eq(head.id, 2);
	store_close(store);
	store = open_store();
	ck_assert(!store_audit_broken(store));
	ck_assert_str_eq(store_audit_head(store).hash, head.hash);
	OK(store_begin(store, &err));
	add_row(store, "c");
	OK(store_commit(store, 1, &err));
	store_audit_check_begin(store, &check);
	check.noted = head.hash;
	OK(store_audit_check(store, &check, 10, &err));
	ck_assert_int_eq(check.bad, 0);
	ck_assert_int_eq(check.at.id, 3);
	ck_assert_int_eq(check.noted_id, 2);
	OK(store_audit_each(store, 3, 10, list_what, text, &err));
	ck_assert_str_eq(text, "ba");
	store_close(store);
	remove_folder();
}
END_TEST

static void
follow(struct store *store, int64_t bad, const char *noted, int64_t noted_id)
{
	struct store_audit_check check;

	store_audit_check_begin(store, &check);
	check.noted = noted;
	while (store_audit_check(store, &check, 50, &err) == 1)
		;
	ck_assert_msg(check.bad == bad, "row %d is bad: %s", (int)check.bad, check.problem);
	ck_assert_int_eq(check.noted_id, noted_id);
}

/* Old rows go, and the chain is good from there; it is not when somebody else cuts, or says less or
 * more than was cut. */
START_TEST(test_audit_cut)
{
	struct store_audit_head last;
	struct store *store;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	for (int i = 1; i <= 300; i++) {
		struct store_audit row = {.at_us = i, .uid = 0, .who = "root", .what = "Lock"};

		OK(store_audit(store, &row, &err));
	}
	OK(store_commit(store, 1, &err));
	OK(store_begin(store, &err));
	OK(store_audit_cut(store, 50, 1000, 1000, &err)); /* too few */
	OK(store_commit(store, 1, &err));
	ck_assert_int_eq(store_audit_head(store).id, 300);
	for (int cut = 1; cut <= 2; cut++) { /* and again */
		OK(store_begin(store, &err));
		OK(store_audit_cut(store, 1 + 120 * cut, 1000, 1000, &err));
		OK(store_commit(store, 1, &err));
		ck_assert_int_eq(store_audit_head(store).id, 300 + cut);
		follow(store, 0, NULL, 0);
	}
	last = store_audit_head(store);
	follow(store, 0, last.hash, 302);
	store_close(store);
	store = open_store();
	ck_assert(!store_audit_broken(store));
	ck_assert_ptr_null(store_notes(store));
	follow(store, 0, NULL, 0);
	store_close(store);
	sql("DELETE FROM audit WHERE id <= 245; DELETE FROM seals");
	store = open_store();
	follow(store, 241, NULL, 0);
	store_close(store);
	remove_folder();
	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	for (int i = 1; i <= 300; i++) {
		struct store_audit row = {.at_us = i, .uid = 0, .who = "root", .what = "Lock"};

		OK(store_audit(store, &row, &err));
	}
	OK(store_audit_cut(store, 121, 1000, 1000, &err));
	OK(store_commit(store, 1, &err));
	store_close(store);
	sql("UPDATE meta SET value = 0 WHERE name = 'audit_cut'; DELETE FROM seals");
	store = open_store();
	follow(store, 1, NULL, 0);
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- collected builds */

START_TEST(test_collected)
{
	struct store_artifact artifacts[2] = {{"a", "d1", 1, 2}, {"b", "d2", 3, 4}};
	struct store_build build = {.application = "shop",
				    .build.release = "1.0",
				    .created_by = "ana",
				    .artifacts = artifacts,
				    .nartifacts = 2},
			   got;
	struct build_ref two = {"1.0", 2};
	_cleanup_json_ json_t *stages = NULL;
	_cleanup_json_ json_t *digests = NULL;
	_cleanup_free_ char *text = NULL;
	struct store *store;
	int64_t at_us;
	bool used;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_build_add(store, &build, &err));
	strcpy(artifacts[1].digest, "d3");
	build.build.number = 0;
	OK(store_build_add(store, &build, &err));
	OK(store_manifests(store, &digests, &err));
	text = json_dumps(digests, JSON_COMPACT);
	ck_assert_str_eq(text, "[\"d1\",\"d2\",\"d3\"]");
	OK(store_build_get(store, "shop", &two, &got, &err));
	OK(store_build_collect(store, &got, "ben", 77, &err));
	ck_assert_int_eq(store_build_collect(store, &got, "ben", 78, &err), -EEXIST);
	store_build_clear(&got);
	/* Gone, remembered, its number never given again, its own manifest named no more. */
	ck_assert_int_eq(store_build_get(store, "shop", &two, &got, NULL), -ENOENT);
	OK(store_build_collected(store, "shop", &two, &at_us, &err));
	ck_assert_int_eq(at_us, 77);
	build.build.number = 0;
	OK(store_build_add(store, &build, &err));
	ck_assert_int_eq(build.build.number, 3);
	OK(store_manifest_used(store, "d2", &used, &err));
	ck_assert(used);
	OK(store_manifest_used(store, "d4", &used, &err));
	ck_assert(!used);
	OK(store_build_pin(store, build.id, "ana", 5, "audited", &err));
	OK(store_build_get(store, "shop", &build.build, &got, &err));
	ck_assert_str_eq(got.pinned_by, "ana");
	ck_assert_str_eq(got.pin_reason, "audited");
	ck_assert_int_eq(got.pinned_us, 5);
	store_build_clear(&got);
	OK(store_build_pin(store, build.id, NULL, 6, NULL, &err));
	OK(store_build_get(store, "shop", &build.build, &got, &err));
	ck_assert_ptr_null(got.pinned_by);
	store_build_clear(&got);
	OK(store_stages(store, "shop", &stages, &err));
	ck_assert_uint_eq(json_array_size(stages), 0);
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

static int
list_irreversible(int64_t job, const struct build_ref *build, const char *step, void *arg)
{
	sprintf((char *)arg + strlen(arg), "%d %s %s; ", (int)job, names_build_text(build).s, step);
	return 0;
}

START_TEST(test_irreversible)
{
	struct store *store;
	struct job job = new_job(1, JOB_RUNNING, 5);
	struct store_step step = {.index = 1,
				  .name = "migrate",
				  .state = "running",
				  .started_us = 100,
				  .attempt = 1,
				  .irreversible = true};
	char text[256] = "";

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_job_add(store, &job, &err));
	OK(store_step_put(store, 1, &step, &err));
	strcpy(step.state, "failed");
	OK(store_step_put(store, 1, &step, &err));
	step.attempt = 2;
	step.started_us = 120;
	OK(store_step_put(store, 1, &step, &err)); /* the same step, tried again */
	step.index = 2;
	step.irreversible = false;
	OK(store_step_put(store, 1, &step, &err));
	OK(store_irreversible_each(store, "shop", "production", &(struct build_ref){0}, 99, 10,
				   list_irreversible, text, &err));
	ck_assert_str_eq(text, "1 1.0.2/3 migrate; ");
	OK(store_irreversible_each(store, "shop", "production", &(struct build_ref){0}, 100, 10,
				   list_irreversible, text, &err));
	ck_assert_str_eq(text, "1 1.0.2/3 migrate; ");
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

static void
succeed(struct store *store, int64_t number, int64_t job)
{
	struct history history;
	struct history_entry entry = {
	    .build = {"1.0", number}, .job = job, .since_us = job, .by = "ana"};

	OK(store_history_get(store, "shop", "production", &history, &err));
	history_succeed(&history, &entry);
	OK(store_history_put(store, &history, &err));
	history_clear(&history);
}

START_TEST(test_history)
{
	struct store *store;
	struct history history;
	struct build_ref three = {"1.0", 3}, four = {"1.0", 4};

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_savepoint(store, &err));
	succeed(store, 1, 1);
	succeed(store, 2, 2);
	succeed(store, 3, 3);
	succeed(store, 2, 4);
	OK(store_release(store, &err));
	OK(store_savepoint(store, &err));
	succeed(store, 1, 5);
	store_rollback_savepoint(store); /* that did not happen */
	OK(store_commit(store, 1, &err));
	store_close(store);
	store = open_store();
	OK(store_history_get(store, "shop", "production", &history, &err));
	ck_assert_uint_eq(history.n, 2);
	ck_assert_int_eq(history.stack[1].build.number, 2);
	ck_assert_int_eq(history.stack[1].job, 4);
	history_clear(&history);
	ck_assert_int_eq(store_succeeded(store, "shop", "production", &three, &err),
			 1); /* popped, but it has succeeded */
	ck_assert_int_eq(store_succeeded(store, "shop", "production", &four, &err), 0);
	OK(store_begin(store, &err));
	succeed(store, 1, 6);
	store_rollback(store);
	OK(store_history_get(store, "shop", "production", &history, &err));
	ck_assert_int_eq(history_live(&history)->job, 4);
	history_clear(&history);
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- records of finished jobs */

/* JOB is needed by RULE, and by that alone. */
#define NEEDED(job, what) ck_assert_msg(needed(store, job), "%s", what)
#define FREE(job, what)	  ck_assert_msg(!needed(store, job), "%s", what)

static bool
needed(struct store *store, int64_t job)
{
	bool is;

	OK(store_job_needed(store, job, 100, &is, &err));
	return is;
}

static void
add_final(struct store *store, int64_t id, enum job_state state, bool began, int64_t schedule)
{
	struct job job = new_job(id, state, id);

	job.finished_us = id;
	job.began = began;
	job.schedule = schedule;
	OK(store_job_add(store, &job, &err));
}

START_TEST(test_needed)
{
	struct store_build build = {
	    .application = "shop", .build = {"1.0.2", 3}, .created_by = "ana"};
	struct store_stage stage = {.application = "shop", .stage = "production", .dirty = true};
	struct store_notice notice = {.job = 7,
				      .uid = "u",
				      .body = (char[]){"{}"},
				      .scope = "",
				      .name = "all",
				      .event = "failed",
				      .application = "shop",
				      .stage = "production"};
	struct store_schedule schedule = {.application = "shop",
					  .stage = "production",
					  .wanted = (char[]){"live"},
					  .calendar = (char[]){"02:00"},
					  .zone = "UTC",
					  .created_by = "ana"};
	struct store_step step = {.index = 1,
				  .name = "migrate",
				  .state = "succeeded",
				  .attempt = 1,
				  .irreversible = true};
	struct store *store;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	OK(store_schedule_add(store, &schedule, &err));
	for (int i = 1; i <= 9; i++)
		add_final(store, i, JOB_SUCCEEDED, false, i == 8 || i == 9 ? schedule.id : 0);
	FREE(1, "nothing names it");
	succeed(store, 1, 2);
	NEEDED(2, "in the stack");
	stage.dirty_job = 3;
	stage.occupied_job = 4;
	OK(store_stage_put(store, &stage, &err));
	NEEDED(3, "left its stage dirty");
	NEEDED(4, "its processes may be there");
	OK(store_key_add(store, 1, "k", "d", "{}", 5, 1, &err));
	NEEDED(5, "a key answers with it");
	notice.state = STORE_NOTICE_WAITING;
	OK(store_notice_add(store, &notice, &err));
	NEEDED(7, "somebody is to be told");
	notice.state = STORE_NOTICE_DELIVERED;
	OK(store_notice_put(store, &notice, &err));
	FREE(7, "somebody was told");
	FREE(8, "a later job of its schedule");
	NEEDED(9, "the last job of its schedule");
	OK(store_schedule_remove(store, schedule.id, &err));
	FREE(9, "of a schedule that is gone");

	add_final(store, 11, JOB_FAILED, true, 0);
	add_final(store, 12, JOB_FAILED, true, 0);
	NEEDED(12, "the last failure of its stage");
	FREE(11, "an earlier failure");
	add_final(store, 13, JOB_FAILED, false, 0);
	FREE(12, "the last run, of a build that is not there");
	OK(store_build_add(store, &build, &err));
	NEEDED(12, "the last run of a build");
	FREE(11, "an earlier run of it");

	step.started_us = 99;
	OK(store_step_put(store, 1, &step, &err));
	FREE(1, "its irreversible step is older than what is named");
	step.index = 2;
	step.started_us = 100;
	OK(store_step_put(store, 1, &step, &err));
	NEEDED(1, "its irreversible step is named");
	OK(store_commit(store, 1, &err));
	store_close(store);

	/* A record that changed on disk, until a human has settled the stage. */
	sql("UPDATE jobs SET message = 'rot' WHERE id = 6");
	store = open_store();
	OK(store_begin(store, &err));
	NEEDED(6, "damaged");
	OK(store_damage_settle(store, "shop", "production", &err));
	FREE(6, "settled");
	OK(store_commit(store, 1, &err));
	store_close(store);
	remove_folder();
}
END_TEST

/* The oldest beyond what is kept, each once; what goes leaves no row and no seal behind, and no id
 * is given again. */
START_TEST(test_surplus)
{
	struct store_step step = {.index = 1,
				  .name = "one",
				  .state = "succeeded",
				  .started_us = 5,
				  .attempt = 1,
				  .irreversible = true};
	struct store *store;
	int64_t at[2] = {INT64_MIN, 0}, ids[4], highest, from_us;
	char application[64] = "", stage[64] = "", *rows;
	struct job job;

	make_folder();
	store = open_store();
	OK(store_begin(store, &err));
	ck_assert_int_eq(store_final_stage(store, application, stage, &err), 0);
	for (int i = 1; i <= 9; i++) {
		add_final(store, i, JOB_SUCCEEDED, true, 0);
		step.started_us = i;
		OK(store_step_put(store, i, &step, &err));
	}
	job = new_job(10, JOB_QUEUED, 1);
	OK(store_job_add(store, &job, &err));
	ck_assert_int_eq(store_final_stage(store, application, stage, &err), 1);
	ck_assert_str_eq(stage, "production");
	ck_assert_int_eq(store_surplus(store, "shop", "production", 9, at, 4, ids, &err), 0);
	ck_assert_int_eq(store_surplus(store, "shop", "testing", 1, at, 4, ids, &err), 0);
	ck_assert_int_eq(store_surplus(store, "shop", "production", 3, at, 4, ids, &err), 4);
	ck_assert_int_eq(ids[0], 1);
	ck_assert_int_eq(ids[3], 4);
	ck_assert_int_eq(store_surplus(store, "shop", "production", 3, at, 4, ids, &err), 2);
	ck_assert_int_eq(ids[1], 6);
	ck_assert_int_eq(store_surplus(store, "shop", "production", 3, at, 4, ids, &err), 0);
	ck_assert_int_eq(store_final_stage(store, application, stage, &err), 0);
	OK(store_undone_from(store, "shop", "production", 9, &from_us, &err));
	ck_assert_int_eq(from_us, 1);
	OK(store_undone_from(store, "shop", "production", 10, &from_us, &err));
	ck_assert_int_eq(from_us, INT64_MIN);

	OK(store_jobs_pruned(store, &highest, &err));
	ck_assert_int_eq(highest, 0);
	OK(store_job_remove(store, 4, &err));
	OK(store_job_remove(store, 2, &err));
	OK(store_job_remove(store, 10, &err)); /* is not over: stays */
	OK(store_job_get(store, 10, &job, &err));
	job_clear(&job);
	OK(store_jobs_pruned(store, &highest, &err));
	ck_assert_int_eq(highest, 10);
	ck_assert_int_eq(store_job_get(store, 4, &job, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, "record of job 4 is not kept any more"), "%s", err.text);
	err_clear(&err);
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(store_job_get(store, 11, &job, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, "there is no job 11"), "%s", err.text);
	OK(store_commit(store, 1, &err));
	store_close(store);
	rows = ask_sql("bmd.db", "SELECT (SELECT count(*) FROM steps WHERE job IN (2, 4)) || ' ' ||"
				 " (SELECT count(*) FROM irreversible WHERE job IN (2, 4)) || ' ' "
				 "|| (SELECT count(*) FROM irreversible)");
	ck_assert_str_eq(rows, "0 0 7");
	free(rows);
	sql("DELETE FROM steps; DELETE FROM irreversible; DELETE FROM jobs; DELETE FROM seals");
	store = open_store();
	OK(store_job_highest(store, &highest, &err));
	ck_assert_int_eq(highest, 10);
	store_close(store);
	remove_folder();
}
END_TEST

/* ---- the n-th write fails: a VFS over the default one */

static int writes_left = -1; /* -1: none fails */
static int fail_with;

struct faulty {
	sqlite3_file base;
	sqlite3_file *real;
};
#define REAL(f) ((struct faulty *)(f))->real

static int
f_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	if (writes_left == 0)
		return fail_with;
	if (writes_left > 0)
		writes_left--;
	return REAL(f)->pMethods->xWrite(REAL(f), bytes, n, at);
}
static int
f_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}
static int
f_read(sqlite3_file *f, void *b, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), b, n, at);
}
static int
f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	return REAL(f)->pMethods->xTruncate(REAL(f), n);
}
static int
f_sync(sqlite3_file *f, int flags)
{
	return REAL(f)->pMethods->xSync(REAL(f), flags);
}
static int
f_size(sqlite3_file *f, sqlite3_int64 *n)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), n);
}
static int
f_lock(sqlite3_file *f, int l)
{
	return REAL(f)->pMethods->xLock(REAL(f), l);
}
static int
f_unlock(sqlite3_file *f, int l)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), l);
}
static int
f_reserved(sqlite3_file *f, int *r)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), r);
}
static int
f_control(sqlite3_file *f, int op, void *a)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, a);
}
static int
f_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}
static int
f_device(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static const sqlite3_io_methods f_methods = {1,		f_close,  f_read,   f_write,  f_truncate,
					     f_sync,	f_size,	  f_lock,   f_unlock, f_reserved,
					     f_control, f_sector, f_device, NULL,     NULL,
					     NULL,	NULL,	  NULL,	    NULL};
static sqlite3_vfs *real_vfs;

static int
f_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct faulty *faulty = (struct faulty *)f;
	int code;

	(void)vfs;
	faulty->real = (sqlite3_file *)(faulty + 1);
	code = real_vfs->xOpen(real_vfs, name, faulty->real, flags, out);
	faulty->base.pMethods = code == SQLITE_OK ? &f_methods : NULL;
	return code;
}

static void
use_faulty(void)
{
	static sqlite3_vfs vfs;

	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "faulty";
	vfs.szOsFile = sizeof(struct faulty) + real_vfs->szOsFile;
	vfs.xOpen = f_open;
	vfs.pNext = NULL;
	ck_assert_int_eq(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* Ten jobs in one transaction while the n-th write fails; then what the database says is compared
 * with what was promised. */
static void
play_fault(int nth, int code, int want)
{
	struct store *store;
	int64_t highest;
	int r = 0;

	make_folder();
	store = open_store();
	writes_left = nth;
	fail_with = code;
	r = store_begin(store, &err);
	for (int i = 1; i <= 10 && r == 0; i++) {
		struct job job = new_job(i, JOB_QUEUED, i);

		r = store_job_add(store, &job, &err);
	}
	if (r == 0)
		r = store_commit(store, 5, &err);
	else
		store_rollback(store);
	writes_left = -1;
	if (r != 0) {
		ck_assert_msg(r == want, "write %d: %d: %s", nth, r, err.text);
		ck_assert(!store_in_transaction(store));
	}
	if (r == -ENOSPC) { /* it goes on, by itself */
		struct job job = new_job(20, JOB_QUEUED, 20);

		OK(store_job_highest(store, &highest, &err));
		ck_assert_int_eq(highest, 0);
		OK(store_begin(store, &err));
		OK(store_job_add(store, &job, &err));
		OK(store_commit(store, 6, &err));
	}
	store_close(store);
	store = open_store();
	OK(store_job_highest(store, &highest, &err));
	ck_assert_msg(r == 0	     ? highest == 10
		      : r == -ENOSPC ? highest == 20
				     : highest == 0 || highest == 10,
		      "write %d: %d, then %d", nth, r, (int)highest);
	store_close(store);
	remove_folder();
}

START_TEST(test_full_disk)
{
	use_faulty();
	for (int nth = 0; nth < 12; nth++)
		play_fault(nth, SQLITE_FULL, -ENOSPC);
}
END_TEST

START_TEST(test_broken_disk)
{
	use_faulty();
	for (int nth = 0; nth < 12; nth++)
		play_fault(nth, SQLITE_IOERR_WRITE, STORE_BROKEN);
}
END_TEST

UNIT_MAIN("store", test_fresh, test_ended, test_last_commit_by_the_clock, test_last_commit_missed,
	  test_refused, test_flipped_page, test_foreign_owner, test_backup, test_copy_under_load,
	  test_plans, test_every_column, test_compare_and_set, test_written, test_many_finished,
	  test_lists, test_keys, test_mark, test_builds, test_from_version_1, test_audit_undone,
	  test_audit_cut, test_failed_migration, test_same_schema, test_collected,
	  test_irreversible, test_history, test_needed, test_surplus, test_full_disk,
	  test_broken_disk)
