/* SPDX-License-Identifier: ISC */
/*
 * The n-th statement of the database fails, for each n, in everything that the queue does: a story
 * in steps, each of which is played until it passes without a failure. Whatever fails answers an
 * error with a sentence, and once it is undone nothing has changed; and then the same step
 * succeeds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/scope.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue.h"
#include "daemon/store/store_private.h"
#include "tests/unit/play.h"
#include "tests/unit/statements.h"

#define DAY	 (1440 * MIN)
#define TOMORROW (T0 + 26 * 60 * MIN) /* 02:00 in Berlin */

/* ---- the stage */

static int64_t highest;
static const struct queue_who ana = {.uid = 1000,
				     .name = "ana",
				     .operates = true,
				     .approves = true},
			      ben = {.uid = 1001, .name = "ben", .operates = true};

static const char lines[] = "keep-jobs = 2\nhorizon = \"400d\"\n";
static const char plans[] =
    "plan \"web\" {\n step \"one\" { run = 'true' }\n"
    " step \"migrate\" { run = 'true' irreversible = true skip-on = {\"rollback\"} }\n}\n";

/* What stands in the application's file, SCHEDULES too. free() */
static char *
application(const char *schedules)
{
	return xasprintf(" keep-builds = 1\n"
			 " stage \"testing\" { plan = \"web\" zone = \"UTC\""
			 " windows = {\"Mon..Sun 00:00-24:00\"}"
			 " freezes = {'2027-12-20/2028-01-02 \"year end\"'} }\n"
			 " stage \"production\" { plan = \"web\" approvers = {\"root\"}"
			 " on-failure = \"redeploy\" }\n%s",
			 schedules);
}

static void
load_conf(const char *schedules)
{
	_cleanup_free_ char *text = application(schedules);

	play_load(lines, text, plans);
}

/* What is in the tables, as one number: each row's bytes. */
static uint64_t
content(void)
{
	static const char *const tables[] = {"meta",	  "keys",      "builds",       "artifacts",
					     "jobs",	  "steps",     "irreversible", "stages",
					     "stack",	  "successes", "audit",	       "collected",
					     "schedules", "zones",     "seals",	       "damaged",
					     "notices"};
	uint64_t h = 1469598103934665603U;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		_cleanup_free_ char *sql = xasprintf("SELECT * FROM %s", tables[i]);
		sqlite3_stmt *st = NULL;

		ck_assert_int_eq(sqlite3_prepare_v2(store->db, sql, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW)
			for (int k = 0; k < sqlite3_column_count(st); k++) {
				const unsigned char *p = sqlite3_column_text(st, k);

				for (; p && *p; p++)
					h = (h ^ *p) * 1099511628211U;
				h = (h ^ 255U) * 1099511628211U;
			}
		sqlite3_finalize(st);
	}
	return h;
}

/* ---- steps of the story. What a step needs to know of earlier ones stands here. */

static int64_t job, second, third, schedule;
static char run[RUN_ID_SIZE];

static struct build_ref
ref(int64_t number)
{
	struct build_ref build = {.number = number};

	strcpy(build.release, "1.0");
	return build;
}

static int
add_build(void)
{
	struct store_build build = {.application = "shop", .created_us = now, .created_by = "ana"};
	int r;

	strcpy(build.build.release, "1.0");
	build.variables = json_pack("{s:s}", "A", "b");
	r = store_build_add(store, &build, &err);
	store_build_clear(&build);
	return r;
}

static int
ask(bool redeploy, int64_t number, const char *stage, int64_t at_us, bool dry_run, int64_t *ret_job)
{
	struct queue_request wanted = {.redeploy = redeploy,
				       .application = "shop",
				       .stage = stage,
				       .release = number ? "1.0" : NULL,
				       .build = number > 0 ? number : 0,
				       .has_when = true,
				       .reason = "why",
				       .dry_run = dry_run,
				       .grace_us = -1};
	struct queue_answer answer;
	int r;

	wanted.when.now = at_us == 0;
	wanted.when.at_us = at_us;
	wanted.when.text = "tomorrow 02:00";
	wanted.when.zone = "Europe/Berlin";
	r = queue_request(queue, &wanted, number == 1 ? &ben : &ana, now, &answer, &err);
	if (r >= 0) {
		*ret_job = answer.job.id;
		queue_answer_clear(&answer);
	}
	return r;
}

static int
deploy_1(void)
{
	return ask(false, 1, "production", 0, false, &job);
}
static int
deploy_2(void)
{
	return ask(false, 2, "production", 0, false, &job);
}
static int
deploy_3(void)
{
	return ask(false, 3, "production", 0, false, &job);
}
static int
deploy_testing(void)
{
	return ask(false, 1, "testing", 0, false, &second);
}
static int
deploy_release(void)
{
	return ask(false, -1, "testing", 0, false, &second);
}
static int
deploy_later(void)
{
	return ask(false, 2, "testing", TOMORROW, false, &third);
}
static int
redeploy_back(void)
{
	return ask(true, 0, "production", 0, false, &job);
}
static int
redeploy_release(void)
{
	return ask(true, -1, "production", TOMORROW, false, &third);
}
static int
preview(void)
{
	int64_t none;

	return ask(true, 1, "production", 0, true, &none);
}

static int
on_start(struct job *what, void *arg)
{
	(void)arg;
	snprintf(run, sizeof(run), "%032lld", (long long)what->id);
	job = what->id;
	return queue_starting(queue, what, run, "boot", now, &err);
}

static int
look(void)
{
	int64_t next_us;
	int r = queue_look(queue, now, on_start, NULL, &next_us, &err);

	return r;
}

static int
look_on(void)
{
	now += MIN;
	return look();
}

static int
request(void)
{
	struct run_request wanted = {0};
	struct job what;
	int r = store_job_get(store, job, &what, &err);

	if (r < 0)
		return r;
	r = queue_run_request(queue, &what, &wanted, &err);
	if (r >= 0)
		run_request_clear(&wanted);
	job_clear(&what);
	return r;
}

static int
running(void)
{
	return queue_running(queue, job, run, now, &err);
}
static int
not_started(void)
{
	return queue_not_started(queue, job, run, "no", false, now, &err);
}
static int
not_started_hold(void)
{
	return queue_not_started(queue, job, run, "no", true, now, &err);
}
static int
conflict(void)
{
	return queue_conflict(queue, job, "another run", now, &err);
}
static int
lost(void)
{
	return queue_lost(queue, job, run, "nobody knows", true, now, &err);
}

static int
event(int64_t seq, const char *what, const char *how)
{
	struct run_event event = {
	    .seq = seq, .time_us = now, .step = 1, .attempt = 1, .irreversible = true};

	strcpy(event.name, "migrate");
	strcpy(event.event, what);
	strcpy(event.state, how);
	return queue_event(queue, job, run, &event, &err);
}

static int
step_begun(void)
{
	return event(1, "step-begun", "running");
}
static int
step_ended(void)
{
	return event(2, "step-ended", "succeeded");
}

static int
finish(const char *how)
{
	struct run_result result = {
	    .job = job, .started_us = now, .finished_us = now, .began = true};
	struct job what;
	int r = store_job_get(store, job, &what, &err);

	if (r < 0)
		return r;
	strcpy(result.run, what.run);
	strcpy(result.request_digest, what.request_digest);
	strcpy(result.state, how);
	if (strcmp(how, "failed") == 0) {
		result.exit_code = 1;
		strcpy(result.failed_step, "migrate");
	}
	job_clear(&what);
	return queue_finished(queue, &result, now, &err);
}

static int
succeed(void)
{
	return finish("succeeded");
}
static int
end_badly(void)
{
	return finish("failed");
}

static int
cancel(int64_t id)
{
	struct job what = {0};
	bool kill;
	int r = queue_cancel(queue, id, "no", &ana, now, &kill, &what, &err);

	job_clear(&what);
	return r;
}

static int
cancel_it(void)
{
	return cancel(job);
}
static int
cancel_third(void)
{
	return cancel(third);
}

static int
reschedule(void)
{
	struct queue_when when = {
	    .at_us = TOMORROW + 60 * MIN, .text = "tomorrow 03:00", .zone = "Europe/Berlin"};
	struct job what = {0};
	int r = queue_reschedule(queue, third, &when, now, &what, &err);

	job_clear(&what);
	return r;
}

static int
pass(void)
{
	_cleanup_json_ json_t *override = json_pack("{s:b}", "windows", 1);

	return queue_pass(queue, third, override, "now", &ana, now, &err);
}

static int
release(void)
{
	struct job what = {0};
	int r = queue_release(queue, job, &ana, now, &what, &err);

	job_clear(&what);
	return r;
}

static int
lock(void)
{
	return queue_lock(queue, "shop", "production", "busy", now + DAY, &ana, now, &err);
}
static int
unlock(void)
{
	return queue_unlock(queue, "shop", "production", &err);
}

static int
settle(int64_t number)
{
	struct build_ref build = ref(number);

	return queue_settle(queue, "shop", "production", number > 0 ? &build : NULL, "looked", &ana,
			    now, &err);
}

static int
settle_build(void)
{
	return settle(2);
}
static int
settle_unknown(void)
{
	return settle(0);
}

static int
adopt(void)
{
	struct build_ref builds[] = {ref(1), ref(2)};

	return queue_adopt(queue, "shop", "testing", builds, 2, &ana, now, &err);
}

static int
reject(const char *reason)
{
	_cleanup_json_ json_t *warnings = NULL;
	struct build_ref build = ref(3);

	return queue_reject(queue, "shop", &build, reason, &ana, now, &warnings, &err);
}

static int
reject_it(void)
{
	return reject("bad");
}
static int
restore_it(void)
{
	return reject(NULL);
}

static int
pin(void)
{
	struct build_ref build = ref(3);

	return queue_pin(queue, "shop", &build, true, "dear", &ana, now, &err);
}

static int
collect(void)
{
	_cleanup_json_ json_t *reply = NULL;

	return queue_collect(queue, NULL, false, &ana, now, &reply, &err);
}

static int
schedule_add(void)
{
	const struct queue_recurring wanted = {.application = "shop",
					       .stage = "testing",
					       .wanted = "1.0",
					       .calendar = "*-*-* 03:00",
					       .zone = "Europe/Berlin",
					       .reason = "each night",
					       .grace_us = -1};
	struct store_schedule made;
	int r = queue_schedule_add(queue, &wanted, &ana, now, &made, &err);

	if (r >= 0) {
		schedule = made.id;
		store_schedule_clear(&made);
	}
	return r;
}

static int
schedule_change(int how)
{
	struct store_schedule known;
	int64_t cancelled;
	int r = queue_schedule_find(queue, NULL, schedule, NULL, NULL, &known, &err);

	if (r < 0)
		return r;
	if (how == 0)
		r = queue_schedule_pause(queue, &known, "rest", &ana, now, &cancelled, &err);
	else if (how == 1)
		r = queue_schedule_resume(queue, &known, now, &err);
	else
		r = queue_schedule_remove(queue, &known, "over", &ana, now, &cancelled, &err);
	store_schedule_clear(&known);
	return r;
}

static int
schedule_pause(void)
{
	return schedule_change(0);
}
static int
schedule_resume(void)
{
	return schedule_change(1);
}
static int
schedule_remove(void)
{
	return schedule_change(2);
}
static int
sections(void)
{
	return queue_sections(queue, true, now, &err);
}
static int
sections_none(void)
{
	load_conf("");
	return queue_sections(queue, true, now, &err);
}

static int
zones(void)
{
	bool more;
	int r;

	do
		r = queue_zones(queue, now, &more, &err);
	while (r >= 0 && more);
	return r;
}

/* The tz database says something else than when times were reckoned. */
static int
zones_changed(void)
{
	int r = store_zone_put(store, "Europe/Berlin", "another", &err);

	return r < 0 ? r : zones();
}

static int
relatives(void)
{
	struct queue_clock clock = {.offset_us = now, .boot = "boot"};
	bool more;
	int r;

	queue_set_clock(queue, &clock);
	clock.offset_us += MIN;
	queue_set_clock(queue, &clock);
	do
		r = queue_relatives(queue, &more, &err);
	while (r >= 0 && more);
	return r;
}

static int
downtime(void)
{
	return queue_after_downtime(queue, now - DAY, now, &err);
}
static int
restored(void)
{
	return queue_restored(queue, conf->run_directory, now, now, &err);
}

static int
prune(void)
{
	struct queue_pruning at = {0};
	int r;

	do
		r = queue_prune(queue, &at, now, &err);
	while (r > 0);
	return r;
}

static int
set_highest(void)
{
	return queue_set_highest(queue, 40, &err);
}

/* What is shown is shown without what could not be read: no error, and no crash. */
static int
show(void)
{
	static const char *const stages[] = {"testing", "production"};
	struct store_build build;
	struct build_ref one = ref(1);
	struct job what;

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		json_decref(queue_stage_json(queue, "shop", stages[i], now));
		json_decref(queue_check(queue, "shop", stages[i], now));
	}
	for (int64_t id = 41; id <= highest; id++)
		if (store_job_get(store, id, &what, NULL) == 0) {
			json_decref(queue_job_json(queue, &what, true, now));
			job_clear(&what);
		}
	if (store_build_get(store, "shop", &one, &build, NULL) == 0) {
		json_decref(queue_build_json(queue, &build, true));
		store_build_clear(&build);
	}
	return 0;
}

static int
show_schedules(void)
{
	struct store_schedule known;

	if (queue_schedule_find(queue, NULL, schedule, NULL, NULL, &known, NULL) >= 0) {
		json_decref(queue_schedule_json(queue, &known, now));
		store_schedule_clear(&known);
	}
	return 0;
}

#define SECTIONS " schedule \"night\" { on = \"03:00 UTC\" build = \"live\" to = \"production\" }\n"

#define STEP(name)          \
	{                   \
#name, name \
	}

static const struct {
	const char *name;
	int (*play)(void);
} story[] = {
    STEP(set_highest),
    STEP(add_build),
    STEP(add_build),
    STEP(add_build),
    STEP(deploy_1),
    STEP(look),
    STEP(release),
    STEP(look_on),
    STEP(request),
    STEP(running),
    STEP(step_begun),
    STEP(show),
    STEP(step_ended),
    STEP(succeed),
    STEP(deploy_2),
    STEP(look_on),
    STEP(not_started),
    STEP(look_on),
    STEP(running),
    STEP(succeed),
    STEP(preview),
    STEP(redeploy_release),
    STEP(reschedule),
    STEP(cancel_third),
    STEP(redeploy_back),
    STEP(look_on),
    STEP(running),
    STEP(cancel_it),
    STEP(end_badly),
    STEP(show),
    STEP(settle_unknown),
    STEP(settle_build),
    STEP(redeploy_back),
    STEP(lock),
    STEP(look_on),
    STEP(show),
    STEP(unlock),
    STEP(look_on),
    STEP(not_started_hold),
    STEP(release),
    STEP(look_on),
    STEP(conflict),
    STEP(cancel_it),
    STEP(redeploy_back),
    STEP(look_on),
    STEP(running),
    STEP(lost),
    STEP(show),
    STEP(settle_build),
    STEP(deploy_3),
    STEP(reject_it),
    STEP(restore_it),
    STEP(release),
    STEP(look_on),
    STEP(running),
    STEP(step_begun),
    STEP(end_badly),
    STEP(look_on),
    STEP(running),
    STEP(succeed),
    STEP(adopt),
    STEP(deploy_testing),
    STEP(deploy_later),
    STEP(pass),
    STEP(show),
    STEP(look_on),
    STEP(running),
    STEP(succeed),
    STEP(deploy_release),
    STEP(schedule_add),
    STEP(show_schedules),
    STEP(sections),
    STEP(zones),
    STEP(zones_changed),
    STEP(relatives),
    STEP(downtime),
    STEP(schedule_pause),
    STEP(schedule_resume),
    STEP(pin),
    STEP(collect),
    STEP(prune),
    STEP(sections_none),
    STEP(schedule_remove),
    STEP(schedule_add),
    STEP(restored),
    STEP(show),
};

static void
set_up(void)
{
	_cleanup_free_ char *text = application(SECTIONS);

	play_begin(lines, text, plans);
}

/* What may fail and is no error: how it goes on then. */
static const struct {
	const char *begins, *how;
} quiet[] = {
    {"SELECT since_us FROM successes", "it needs an approval, and windows hold it"},
    {"UPDATE damaged SET open", "it is made, and nothing is damaged"},
};

static bool
may_fail(int (*play)(void))
{
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
		if (strncmp(statements_failed(), quiet[i].begins, strlen(quiet[i].begins)) == 0)
			return true;
	/* A preview is the less for it: what was there before stays unsaid. */
	return play == show || play == show_schedules || play == preview;
}

/* One step of the story while the N-th statement fails. False: it passed. */
static bool
play(size_t i, int n, int code, bool prepare)
{
	int64_t at = now, was[] = {job, second, third, schedule};
	uint64_t before = content();
	int r, back;

	err_clear(&err);
	memset(&err, 0, sizeof(err));
	OK(store_begin(store, &err));
	OK(store_savepoint(store, &err));
	store_touch(store);
	statements_arm(n, code, prepare);
	r = story[i].play();
	statements_disarm();
	if (!statements_struck()) {
		ck_assert_msg(r >= 0, "step %zu, %s: %d %s", i, story[i].name, r, err.text);
		OK(store_release(store, &err));
		OK(store_commit(store, now, &err));
		OK(store_job_highest(store, &highest, &err));
		return false;
	}
	ck_assert_msg(r >= 0 || err.text[0], "step %zu, %s: no sentence for statement %d", i,
		      story[i].name, n);
	ck_assert_msg(r < 0 || may_fail(story[i].play), "step %zu, %s: nobody tells of: %s", i,
		      story[i].name, statements_failed());
	back = store_rollback_savepoint(store);
	ck_assert(back);
	store_rollback(store);
	now = at;
	job = was[0], second = was[1], third = was[2], schedule = was[3];
	ck_assert_msg(content() == before, "step %zu, %s: statement %d leaves something", i,
		      story[i].name, n);
	return true;
}

static void
tell(int code, bool prepare)
{
	set_up();
	for (size_t i = 0; i < ARRAY_SIZE(story); i++)
		for (int n = 0; play(i, n, code, prepare); n++)
			ck_assert_int_lt(n, 1000);
	play_end();
}

START_TEST(test_no_space)
{
	tell(SQLITE_FULL, false);
}
END_TEST

START_TEST(test_broken)
{
	tell(SQLITE_IOERR, false);
}
END_TEST

/* A statement is made at its first use. */
START_TEST(test_not_made)
{
	tell(SQLITE_IOERR, true);
}
END_TEST

/* ---- opening */

static void
run_sql(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	char *message = NULL;
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, text, NULL, NULL, &message);
	ck_assert_msg(message == NULL, "%s", message);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void
make_fresh(void)
{
}

static void
make_whole(void)
{
	struct job what = {.id = 7,
			   .state = JOB_FAILED,
			   .application = "shop",
			   .stage = "production",
			   .plan = "web",
			   .build = {"1.0", 1},
			   .requested_by = "ana"};
	struct store_step step = {.index = 1, .name = "one", .state = "failed", .attempt = 1};
	const struct store_audit row = {.who = "ana", .what = "Deploy", .job = 7};

	OK(store_open(folder, &store, &err));
	OK(store_begin(store, &err));
	OK(store_job_add(store, &what, &err));
	OK(store_step_put(store, 7, &step, &err));
	what.id = 8;
	OK(store_job_add(store, &what, &err));
	OK(store_audit(store, &row, &err));
	OK(store_commit(store, 1, &err));
	store_close(store);
}

static void
make_damaged(void)
{
	make_whole();
	run_sql("bmd.db", "UPDATE jobs SET message = 'rot'; UPDATE steps SET message = 'rot'; "
			  "UPDATE audit SET text = 'rot'");
}

static void
make_gone(void)
{
	make_whole();
	run_sql("bmd.db", "DELETE FROM jobs WHERE id = 8");
}

static void
make_unsealed(void)
{
	make_whole();
	run_sql("bmd.db", "DELETE FROM seals");
}

static void
make_old(void)
{
	_cleanup_free_ char *command = xasprintf("sqlite3 %s/bmd.db <" TOP_SRCDIR
						 "/tests/unit/version-1.sql && chmod 600 %s/bmd.db",
						 folder, folder);

	ck_assert_int_eq(system(command), 0);
}

static void
make_restored(void)
{
	_cleanup_free_ char *path = xasprintf("%s/bmd.db.backup", folder),
			    *old = xasprintf("%s/bmd.db", folder);
	struct store_copy *copy;
	int done, total, r;

	make_whole();
	OK(store_open(folder, &store, &err));
	OK(store_copy_begin(store, path, &copy, &err));
	while ((r = store_copy_step(copy, 5, &done, &total, &err)) == 1)
		;
	OK(r);
	store_copy_end(copy);
	store_close(store);
	ck_assert_int_eq(unlink(old), 0);
}

static const struct {
	const char *name;
	void (*make)(void);
} files[] = {{"fresh", make_fresh},	 {"whole", make_whole},	      {"damaged", make_damaged},
	     {"gone", make_gone},	 {"unsealed", make_unsealed}, {"old", make_old},
	     {"restored", make_restored}};

/* The N-th statement of an opening fails: it is refused with a sentence, or good; and the next
 * opening is good. False: N is behind the last. */
static bool
play_open(size_t i, int n, bool prepare)
{
	bool hit;
	int r;

	play_make_folder();
	files[i].make();
	statements_arm(n, SQLITE_IOERR, prepare);
	r = store_open(folder, &store, &err);
	statements_disarm();
	hit = statements_struck();
	ck_assert_msg(r >= 0 || (hit && err.text[0]), "%s, statement %d: %d %s", files[i].name, n,
		      r, err.text);
	if (r >= 0)
		store_close(store);
	err_clear(&err);
	memset(&err, 0, sizeof(err));
	r = store_open(folder, &store, &err);
	ck_assert_msg(r >= 0, "%s, after statement %d (%s): %s", files[i].name, n,
		      statements_failed(), err.text);
	store_close(store);
	play_remove_folder();
	return hit;
}

static void
open_all(bool prepare)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		for (int n = 0; play_open(i, n, prepare); n += 1 + n / 6)
			ck_assert_int_lt(n, 5000);
}

START_TEST(test_open)
{
	open_all(false);
}
END_TEST

START_TEST(test_open_not_made)
{
	open_all(true);
}
END_TEST

UNIT_MAIN_WITH("faults", 300, NULL, NULL, test_no_space, test_broken, test_not_made, test_open,
	       test_open_not_made)
