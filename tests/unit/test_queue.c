/* SPDX-License-Identifier: ISC */
/*
 * The rules as plays: a real database and store in a private folder, a configuration from text, and
 * a clock that only the play moves. The actor "runner" is this file: it takes what the queue starts
 * and says how it ended.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/scope.h"
#include "common/varlink.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue.h"
#include "tests/unit/play.h"

static int64_t next_us;
static int64_t started[64];
static size_t nstarted;
static const struct queue_who ana = {.uid = 1000, .name = "ana"},
			      ben = {.uid = 1001, .name = "ben"};

/* ---- the stage */

static const char plans[] =
    "plan \"web\" {\n step \"one\" { run = 'true' }\n"
    " step \"migrate\" { run = 'true' irreversible = true skip-on = {\"rollback\"} }\n}\n"
    "plan \"files\" { step \"put\" { deploy = \"site\" to = \"/srv/x\" } }\n";

/* What stands in the application's file; PRODUCTION: of that stage. free() */
static char *
application(const char *production)
{
	return xasprintf(" variables = {\"PORT=80\"}\n stage \"testing\" { plan = \"web\" }\n"
			 " stage \"production\" { plan = \"web\" %s }",
			 production);
}

static void
load_conf(const char *production, const char *more)
{
	_cleanup_free_ char *text = application(production);

	play_load(more, text, plans);
}

static void
set_up_with(const char *production, const char *more)
{
	_cleanup_free_ char *text = application(production);

	play_begin(more, text, plans);
	OK(queue_set_highest(queue, 40, &err));
	OK(store_begin(store, &err));
	nstarted = 0;
}

static void
set_up(void)
{
	set_up_with("", "");
}

static void
tear_down(void)
{
	OK(store_commit(store, now, &err));
	play_end();
}

/* ---- the actors */

static struct queue_request
request(bool redeploy, const char *build, int64_t at_us)
{
	static char release[64];
	struct queue_request request = {.redeploy = redeploy,
					.application = "shop",
					.stage = "production",
					.has_when = true,
					.grace_us = -1};

	request.when.now = at_us == 0;
	request.when.at_us = at_us;
	if (build) {
		struct build_ref found = play_ref(build);

		strcpy(release, found.release);
		request.release = release;
		request.build = found.number;
	}
	return request;
}

/* The new job's id, or 0 with ERR. */
static int64_t
send(const struct queue_request *request)
{
	struct queue_answer answer;
	int64_t id;

	err_clear(&err);
	memset(&err, 0, sizeof(err));
	if (queue_request(queue, request, &ana, now, &answer, &err) < 0)
		return 0;
	id = answer.job.id;
	queue_answer_clear(&answer);
	return id;
}

static int64_t
ask(bool redeploy, const char *build, int64_t at_us)
{
	struct queue_request wanted = request(redeploy, build, at_us);

	return send(&wanted);
}

static int
on_start(struct job *job, void *arg)
{
	char run[RUN_ID_SIZE];
	int64_t id = job->id;

	(void)arg;
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	started[nstarted++] = id;
	OK(queue_starting(queue, job, run, "boot", now, &err));
	OK(queue_running(queue, id, run, now, &err));
	return 0;
}

static void
look(void)
{
	int r = queue_look(queue, now, on_start, NULL, &next_us, &err);

	ck_assert_msg(r == 0, "%s", err.text);
}

static const char *
state(int64_t id)
{
	struct job job;
	const char *name;

	OK(store_job_get(store, id, &job, &err));
	name = job_state_stored(job.state);
	job_clear(&job);
	return name;
}

/* One of the texts of a job, kept until the next call. */
static const char *
said(int64_t id, const char *key)
{
	static char text[1024];
	_cleanup_json_ json_t *object = NULL;
	struct job job;
	const char *value;

	OK(store_job_get(store, id, &job, &err));
	object = queue_job_json(queue, &job, true, now);
	job_clear(&job);
	if (strcmp(key, "waits_for") == 0) {
		json_t *waits = json_object_get(object, key);

		snprintf(text, sizeof(text), "%s: %s",
			 json_string_value(json_object_get(waits, "kind")),
			 json_string_value(json_object_get(waits, "text")));
		return text;
	}
	value = json_string_value(json_object_get(object, key));
	snprintf(text, sizeof(text), "%s", value ? value : "");
	return text;
}

static void
begin_step(int64_t id, int step, const char *name, bool irreversible)
{
	struct run_event event = {.seq = 2 * step + 1,
				  .time_us = now,
				  .event = "step-begun",
				  .step = step,
				  .attempt = 1,
				  .irreversible = irreversible};
	struct job job;

	strcpy(event.name, name);
	OK(store_job_get(store, id, &job, &err));
	OK(queue_event(queue, id, job.run, &event, &err));
	strcpy(event.event, "step-ended");
	strcpy(event.state, "succeeded");
	event.seq++;
	OK(queue_event(queue, id, job.run, &event, &err));
	OK(queue_event(queue, id, job.run, &event, &err)); /* told twice: nothing happens */
	job_clear(&job);
}

static void
end(int64_t id, const char *how, bool began)
{
	struct run_result result = {.job = id, .finished_us = now, .began = began, .exit_code = 0};
	struct job job;

	OK(store_job_get(store, id, &job, &err));
	strcpy(result.run, job.run);
	strcpy(result.request_digest, job.request_digest);
	result.started_us = job.started_us;
	strcpy(result.state, how);
	if (strcmp(how, "failed") == 0) {
		result.exit_code = 1;
		strcpy(result.failed_step, "one");
	}
	OK(queue_finished(queue, &result, now, &err));
	job_clear(&job);
}

/* Asks for it now, runs it, ends it; a moment passes before and after. */
static int64_t
play(bool redeploy, const char *build, const char *how)
{
	int64_t id;

	now += MIN;
	id = ask(redeploy, build, 0);
	ck_assert_msg(id > 0, "%s", err.text);
	look();
	TEXT(state(id), "running");
	now += MIN;
	end(id, how, true);
	TEXT(state(id), how);
	return id;
}

static const char *
live(void)
{
	static struct build_text text;
	struct history history;
	const struct history_entry *entry;

	OK(store_history_get(store, "shop", "production", &history, &err));
	entry = history_live(&history);
	text = entry ? names_build_text(&entry->build) : (struct build_text){""};
	history_clear(&history);
	return text.s;
}

static void
three_builds(void)
{
	play_add_build("1.0/1");
	play_add_build("1.0/2");
	play_add_build("1.0/3");
	play(false, "1.0/1", "succeeded");
	play(false, "1.0/2", "succeeded");
	play(false, "1.0/3", "succeeded");
	TEXT(live(), "1.0/3");
}

static void
refused(int64_t id, enum err_code code, const char *words)
{
	ck_assert_int_eq(id, 0);
	ck_assert_msg(err.code == code, "%s: %s", err_name(err.code), err.text);
	HAS(err.text, words);
}

/* ---- the plays */

START_TEST(test_back_and_further_back)
{
	set_up();
	three_builds();
	ck_assert_int_eq(started[0], 41); /* ids exceed those of the run folders */
	TEXT(said(play(true, NULL, "succeeded"), "mode"), "rollback");
	TEXT(live(), "1.0/2");
	play(true, NULL, "succeeded");
	TEXT(live(), "1.0/1");
	refused(ask(true, NULL, 0), ERR_NOTHING_TO_REDEPLOY, "no earlier good build");
	TEXT(said(play(true, "1.0/3", "succeeded"), "mode"), "redeploy");
	TEXT(live(), "1.0/3");
	tear_down();
}
END_TEST

START_TEST(test_names)
{
	struct queue_request wanted;

	set_up();
	play_add_build("1.0/1");
	refused(ask(true, NULL, 0), ERR_NOTHING_TO_REDEPLOY, "never had a successful deployment");
	refused(ask(true, "1.0/1", 0), ERR_REFUSED, "use bmctl deploy shop 1.0/1 --to production");
	refused(ask(true, "1.0", 0), ERR_REFUSED, "use bmctl deploy");
	refused(ask(false, "1.0/7", 0), ERR_NO_SUCH_BUILD, "did you mean 1.0/1?");
	wanted = request(false, "1.0/1", 0);
	wanted.application = "shap";
	refused(send(&wanted), ERR_NO_SUCH_APPLICATION, "did you mean shop?");
	wanted.application = "shop";
	wanted.stage = "prodction";
	refused(send(&wanted), ERR_NO_SUCH_STAGE, "did you mean production?");
	wanted.application = NULL;
	wanted.stage = NULL;
	ck_assert_int_gt(send(&wanted), 0); /* the only one, its last stage */
	ck_assert_int_gt(ask(false, "1.0", 0), 0);
	tear_down();
}
END_TEST

START_TEST(test_release_without_number)
{
	_cleanup_json_ json_t *warnings = NULL;
	struct build_ref newest = {"1.0", 3};
	struct store_build build;
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	play_add_build("1.0/2");
	play(false, "1.0/1", "succeeded");
	play_add_build("1.0/3");
	id = ask(true, "1.0", 0);
	look();
	end(id, "succeeded", true);
	TEXT(live(), "1.0/1"); /* the newest that has succeeded here */
	OK(queue_reject(queue, "shop", &newest, "bad", &ana, now, &warnings, &err));
	play(false, "1.0", "succeeded");
	TEXT(live(), "1.0/2"); /* the newest that is not rejected */
	ck_assert_int_lt(queue_find_build(queue, "shop", "1.0", 0, &build, &err), 0);
	ck_assert_int_eq(err.code, ERR_AMBIGUOUS);
	tear_down();
}
END_TEST

START_TEST(test_on_time)
{
	int64_t id, at;

	set_up();
	three_builds();
	at = now + 10 * MIN;
	id = ask(true, NULL, at);
	TEXT(state(id), "scheduled");
	HAS(said(id, "waits_for"), "time: 2026-11-22 23:16:00+00:00 UTC (in 10 min)");
	look();
	ck_assert_int_eq(next_us, at);
	now = at - 1;
	look();
	TEXT(state(id), "scheduled");
	now = at + 2;
	look();
	TEXT(state(id), "running");
	ck_assert_int_eq(next_us, INT64_MAX);
	end(id, "succeeded", true);
	TEXT(live(), "1.0/2");
	tear_down();
}
END_TEST

START_TEST(test_missed)
{
	int64_t late, slow, patient, run;

	set_up();
	three_builds();
	late = ask(true, NULL, now + 10 * MIN);
	now += 41 * MIN;
	look();
	TEXT(state(late), "missed");
	HAS(said(late, "message"), "longer than its grace of 30 min: bmd was not running");

	run = ask(false, "1.0/1", 0);
	look();
	TEXT(state(run), "running");
	slow = ask(true, "1.0/2", now + MIN);
	patient = ask(false, "1.0/2", 0);
	now += 2 * MIN;
	look();
	TEXT(state(slow), "queued");
	ck_assert_int_eq(next_us, now - MIN + 30 * MIN + 1);
	now = next_us - 1;
	look();
	TEXT(state(slow), "queued"); /* the last moment of its grace */
	now++;
	look();
	TEXT(state(slow), "missed");
	HAS(said(slow, "message"), "is running on production");
	now += 5000 * MIN;
	look();
	TEXT(state(patient), "queued"); /* --now is never missed */
	tear_down();
}
END_TEST

START_TEST(test_guard)
{
	struct queue_request wanted;
	int64_t hold, skip, go;

	set_up();
	three_builds();
	hold = ask(true, NULL, now + 60 * MIN);
	wanted = request(true, NULL, now + 60 * MIN);
	wanted.has_if_changed = true;
	wanted.if_changed = JOB_SKIP;
	skip = send(&wanted);
	wanted.if_changed = JOB_RUN;
	go = send(&wanted);
	play_add_build("1.1/1");
	play(false, "1.1/1", "succeeded");
	now += 60 * MIN;
	look();
	TEXT(state(hold), "held");
	HAS(said(hold, "waits_for"),
	    "hold: 1.1/1 went live on production meanwhile (by ana), it was 1.0/3 at the request");
	HAS(said(hold, "waits_for"), "bmctl release");
	TEXT(state(skip), "superseded");
	TEXT(state(go), "running");
	HAS(told, "held: 1.1/1 went live");
	end(go, "succeeded", true);
	TEXT(live(), "1.0/2");
	{
		struct job job;

		OK(queue_release(queue, hold, &ana, now, &job, &err));
		job_clear(&job);
	}
	look();
	TEXT(state(hold), "running");
	tear_down();
}
END_TEST

START_TEST(test_two_timed_in_a_row)
{
	int64_t first, second;

	set_up();
	three_builds();
	first = ask(true, NULL, now + 10 * MIN);
	second = ask(true, "1.0/1", now + 10 * MIN);
	now += 10 * MIN;
	look();
	TEXT(state(first), "running");
	TEXT(state(second), "queued");
	HAS(said(second, "waits_for"),
	    "job: job 44 (redeploy shop 1.0/2) is running on production");
	end(first, "succeeded", true);
	look();
	TEXT(state(second), "running"); /* what is live is the work of the job ahead */
	TEXT(said(second, "mode"), "rollback");
	tear_down();
}
END_TEST

START_TEST(test_failure_holds)
{
	int64_t failed, other, back, later, timed;

	set_up();
	three_builds();
	play_add_build("1.1/1");
	failed = ask(false, "1.1/1", 0);
	look();
	now += MIN;
	other = ask(false, "1.0/1", 0);
	back = ask(true, "1.0/3", 0);
	timed = ask(true, "1.0/2", now + 10 * MIN);
	now += MIN;
	end(failed, "failed", true);
	TEXT(state(other), "held");
	HAS(said(other, "waits_for"), "job 44 (deploy shop 1.1/1 to production) failed");
	TEXT(state(back), "queued"); /* the way back is never held */
	now += MIN;
	later = ask(false, "1.0/2", 0);
	look();
	TEXT(state(back), "running");
	TEXT(said(back, "mode"), "rollback"); /* from the unfinished one */
	TEXT(state(later), "queued");	      /* asked after the failure */
	end(back, "failed", true);
	TEXT(state(later), "held");
	now += 20 * MIN;
	look();
	TEXT(state(timed), "held"); /* due, and the stage is still dirty */
	told[0] = '\0';
	TEXT(said(play(true, NULL, "succeeded"), "mode"), "rollback");
	TEXT(live(), "1.0/3");
	HAS(told, "production is whole again, which job ");
	told[0] = '\0';
	play(true, "1.0/2", "succeeded");
	ck_assert_ptr_null(strstr(told, "whole again"));
	tear_down();
}
END_TEST

START_TEST(test_failure_continues)
{
	int64_t failed, other;

	set_up_with("on-failure = \"continue\"", "");
	three_builds();
	failed = ask(true, "1.0/2", 0);
	look();
	other = ask(false, "1.0/1", 0);
	end(failed, "failed", true);
	look();
	TEXT(state(other), "running");
	tear_down();
}
END_TEST

START_TEST(test_failure_goes_back)
{
	int64_t failed, other;

	set_up_with("on-failure = \"redeploy\"", "");
	three_builds();
	play_add_build("1.1/1");
	failed = ask(false, "1.1/1", 0);
	look();
	now += MIN;
	other = ask(false, "1.0/1", 0);
	now += MIN;
	end(failed, "failed", true);
	TEXT(state(other), "held");
	look();
	TEXT(state(other + 1), "running");
	TEXT(said(other + 1, "requested_by"), "bmd");
	TEXT(said(other + 1, "reason"), "job 44 failed");
	TEXT(said(other + 1, "mode"), "rollback");
	end(other + 1, "failed", true); /* no second hop */
	look();
	ck_assert_int_eq(nstarted, 5);
	/* a failed rollback and a cancelled deployment act like hold */
	play(true, NULL, "succeeded");
	failed = ask(false, "1.1/1", 0);
	look();
	end(failed, "cancelled", true);
	look();
	ck_assert_int_eq(nstarted, 7);
	tear_down();
}
END_TEST

START_TEST(test_did_not_begin)
{
	int64_t id;

	set_up();
	three_builds();
	id = ask(true, NULL, 0);
	look();
	end(id, "failed", false);
	refused(ask(true, NULL, 0) > 0 ? 0 : 1, 0, "");
	TEXT(live(), "1.0/3");
	{
		struct store_stage stage;

		OK(store_stage_get(store, "shop", "production", &stage, &err));
		ck_assert(!stage.dirty);
		store_stage_clear(&stage);
	}
	tear_down();
}
END_TEST

START_TEST(test_one_a_stage_and_slots)
{
	struct queue_request testing;
	int64_t one, two, three;

	set_up_with("", "max-running = 1\n");
	play_add_build("1.0/1");
	one = ask(false, "1.0/1", 0);
	two = ask(false, "1.0/1", 0);
	testing = request(false, "1.0/1", 0);
	testing.stage = "testing";
	three = send(&testing);
	HAS(said(one, "waits_for"), "slot: nothing is in its way, and bmd looks at it next");
	HAS(said(two, "waits_for"), "job: job 41 (deploy shop 1.0/1 to production) is before it");
	look();
	TEXT(state(one), "running");
	TEXT(state(two), "queued");
	TEXT(state(three), "queued");
	HAS(said(three, "waits_for"), "slot: 1 of 1 runs (max-running)");
	end(one, "succeeded", true);
	look();
	TEXT(state(two), "running"); /* the earlier in line of all stages */
	load_conf("", "max-running = 4\n");
	look();
	TEXT(state(three), "running");
	tear_down();
}
END_TEST

START_TEST(test_lock)
{
	struct store_stage stage;
	int64_t until, timed, waiting, after;

	set_up();
	three_builds();
	until = now + 60 * MIN;
	timed = ask(true, NULL, now + 10 * MIN);
	waiting = ask(false, "1.0/1", 0);
	OK(queue_lock(queue, "shop", "production", "release freeze", until, &ana, now, &err));
	refused(ask(true, NULL, 0), ERR_REFUSED,
		"production is locked by ana: release freeze, until 2026-11-23 00:06:00");
	TEXT(json_string_value(json_object_get(err.fields, "rule")), "locked");
	TEXT(json_string_value(json_object_get(err.fields, "until")),
	     "2026-11-23T00:06:00.000000Z");
	after = ask(true, NULL, until);
	ck_assert_int_gt(after, 0);
	look();
	TEXT(state(waiting), "queued");
	HAS(said(waiting, "waits_for"), "lock: production is locked by ana");
	ck_assert_int_lt(queue_lock(queue, "shop", "production", "mine", 0, &ben, now, &err), 0);
	now += 10 * MIN;
	look();
	TEXT(state(timed), "queued");
	now += 35 * MIN;
	look();
	TEXT(state(timed), "missed");
	HAS(said(timed, "message"), "locked by ana");
	ck_assert_int_eq(next_us, until);
	now = until;
	look();
	TEXT(state(waiting), "running");
	OK(queue_unlock(queue, "shop", "production", &err));
	OK(store_stage_get(store, "shop", "production", &stage, &err));
	ck_assert_ptr_null(stage.locked_by);
	store_stage_clear(&stage);
	tear_down();
}
END_TEST

START_TEST(test_reject)
{
	_cleanup_json_ json_t *warnings = NULL;
	struct build_ref two = {"1.0", 2};
	struct job job;
	int64_t queued, scheduled;

	set_up();
	three_builds();
	scheduled = ask(true, NULL, now + 10 * MIN);
	queued = ask(true, "1.0/2", 0);
	OK(queue_reject(queue, "shop", &two, "loses orders", &ben, now, &warnings, &err));
	TEXT(state(queued), "held");
	TEXT(state(scheduled), "held");
	ck_assert_uint_eq(json_array_size(warnings), 2);
	refused(ask(true, "1.0/2", 0), ERR_REFUSED, "was rejected by ben: loses orders");
	ck_assert_int_lt(queue_release(queue, queued, &ana, now, &job, &err), 0);
	play(true, NULL, "succeeded");
	TEXT(live(), "1.0/1"); /* rejected ones are skipped */
	json_decref(warnings);
	warnings = NULL;
	OK(queue_reject(queue, "shop", &two, NULL, &ben, now, &warnings, &err));
	ck_assert_uint_eq(json_array_size(warnings), 2);
	OK(queue_release(queue, scheduled, &ana, now, &job, &err));
	job_clear(&job);
	TEXT(state(scheduled), "scheduled"); /* not before its time */
	OK(queue_release(queue, queued, &ana, now, &job, &err));
	job_clear(&job);
	look();
	TEXT(state(queued), "running");
	tear_down();
}
END_TEST

START_TEST(test_cancel)
{
	struct job job;
	int64_t waiting, run;
	bool kill;

	set_up();
	three_builds();
	run = ask(true, NULL, 0);
	look();
	waiting = ask(false, "1.0/1", 0);
	for (int i = 0; i < 2; i++) { /* idempotent */
		OK(queue_cancel(queue, waiting, "not today", &ben, now, &kill, &job, &err));
		ck_assert(!kill);
		job_clear(&job);
		TEXT(state(waiting), "cancelled");
		TEXT(said(waiting, "ended_by"), "ben");
		TEXT(said(waiting, "message"), "not today");
	}
	OK(queue_cancel(queue, run, NULL, &ben, now, &kill, &job, &err));
	ck_assert(kill && !job.cancel_now);
	job_clear(&job);
	OK(queue_cancel(queue, run, NULL, &ana, now, &kill, &job, &err));
	ck_assert(kill && job.cancel_now);
	job_clear(&job);
	end(run, "cancelled", true);
	TEXT(said(run, "ended_by"), "ben");
	run = play(true, NULL, "succeeded");
	ck_assert_int_lt(queue_cancel(queue, run, NULL, &ben, now, &kill, &job, &err), 0);
	HAS(err.text, "is succeeded");
	ck_assert_int_lt(queue_cancel(queue, 999, NULL, &ben, now, &kill, &job, &err), 0);
	ck_assert_int_eq(err.code, ERR_NO_SUCH_JOB);
	tear_down();
}
END_TEST

START_TEST(test_reschedule)
{
	struct queue_when when = {.at_us = 0};
	struct job job;
	int64_t id;

	set_up();
	three_builds();
	id = ask(true, NULL, now + 10 * MIN);
	when.at_us = now + 30 * MIN;
	OK(queue_reschedule(queue, id, &when, now, &job, &err));
	ck_assert_int_eq(job.due_us, when.at_us);
	ck_assert_uint_eq(json_array_size(job.ahead), 0);
	job_clear(&job);
	now += 20 * MIN;
	look();
	TEXT(state(id), "scheduled");
	when.now = true;
	OK(queue_reschedule(queue, id, &when, now, &job, &err));
	job_clear(&job);
	TEXT(state(id), "queued");
	look();
	TEXT(state(id), "running");
	ck_assert_int_lt(queue_reschedule(queue, id, &when, now, &job, &err), 0);
	HAS(err.text, "cannot be moved");
	end(id, "succeeded", true);
	/* One that would have started at once, and now waits for a time, is guarded as one that did from the beginning. */
	TEXT(live(), "1.0/2");
	id = ask(false, "1.0/1", 0);
	when = (struct queue_when){.at_us = now + 10 * MIN};
	OK(queue_reschedule(queue, id, &when, now, &job, &err));
	job_clear(&job);
	play(false, "1.0/3", "succeeded");
	now += 10 * MIN;
	look();
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "1.0/3 went live on production meanwhile");
	tear_down();
}
END_TEST

START_TEST(test_times)
{
	struct queue_request wanted;

	set_up();
	three_builds();
	refused(ask(true, NULL, now - 2 * MIN), ERR_BAD_TIME, "is in the past (2 min ago)");
	refused(ask(true, NULL, now + INT64_C(31) * 1440 * MIN), ERR_REFUSED, "horizon of");
	wanted = request(true, NULL, now + 10 * MIN);
	wanted.when.text = "23:16";
	wanted.when.zone = "UTC";
	ck_assert_msg(send(&wanted) > 0, "%s", err.text);
	wanted.when.text = "23:17";
	refused(send(&wanted), ERR_INVALID_PARAMETER, "compare the clocks");
	wanted.when.text = "+10min";
	wanted.when.at_us += 30 * WHEN_SECOND; /* the client's clock is half a minute ahead */
	ck_assert_msg(send(&wanted) > 0, "%s", err.text);
	wanted.when.zone = "Europe/Nowhere";
	refused(send(&wanted), ERR_INVALID_PARAMETER, "no zone Europe/Nowhere");
	wanted.when.zone = "UTC";
	wanted.when.text = "soonish";
	refused(send(&wanted), ERR_INVALID_PARAMETER, "not understood");
	/* 23:06:30 was ahead when the client read it, and is not any more */
	now += 10 * WHEN_SECOND;
	wanted = request(true, NULL, now - 5 * WHEN_SECOND);
	wanted.when.text = "23:06:05";
	wanted.when.zone = "UTC";
	ck_assert_msg(send(&wanted) > 0, "%s", err.text);
	tear_down();
}
END_TEST

START_TEST(test_asked_for)
{
	struct queue_request wanted;
	_cleanup_json_ json_t *variables = json_pack("{s:s}", "PORT", "81");

	set_up_with("require-reason = true confirm = true", "");
	play_add_build("1.0/1");
	wanted = request(false, "1.0/1", 0);
	wanted.variables = variables;
	refused(send(&wanted), ERR_REFUSED, "open = {\"PORT\"}");
	wanted.variables = NULL;
	refused(send(&wanted), ERR_REASON_REQUIRED,
		"asks for a reason and a confirmation: bmctl deploy shop 1.0/1 --to production --now --reason TEXT --yes");
	wanted.reason = "ticket 7";
	refused(send(&wanted), ERR_CONFIRMATION_REQUIRED,
		"asks for a confirmation: bmctl deploy shop 1.0/1 --to production --now --reason … --yes");
	wanted.confirmed = true;
	ck_assert_int_gt(send(&wanted), 0);
	tear_down();
}
END_TEST

START_TEST(test_settle)
{
	struct build_ref two = {"1.0", 2};
	struct job job;
	int64_t id, waiting;
	char run[RUN_ID_SIZE];

	set_up();
	three_builds();
	id = ask(true, "1.0/1", 0);
	look();
	ck_assert_int_lt(queue_settle(queue, "shop", "production", &two, "looked", &ben, now, &err),
			 0);
	HAS(err.text, "is running on production");
	waiting = ask(false, "1.0/2", 0);
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	ck_assert_int_eq(queue_lost(queue, id, "another", "gone", true, now, &err), -ESTALE);
	OK(queue_lost(queue, id, run, "bmd-run is gone without a result", true, now, &err));
	TEXT(state(id), "lost");
	TEXT(state(waiting), "held");
	OK(queue_release(queue, waiting, &ana, now, &job, &err));
	job_clear(&job);
	look();
	TEXT(state(waiting), "queued");
	HAS(said(waiting, "waits_for"), "processes of job 44 may still be there");
	OK(queue_settle(queue, "shop", "production", NULL, "no idea", &ben, now, &err));
	{
		_cleanup_json_ json_t *stage = queue_stage_json(queue, "shop", "production", now);

		ck_assert_int_eq(
		    json_integer_value(json_object_get(json_object_get(stage, "dirty"), "job")),
		    id);
		ck_assert(json_is_null(json_object_get(stage, "occupied_by")));
	}
	OK(queue_settle(queue, "shop", "production", &two, "looked", &ben, now, &err));
	TEXT(live(), "1.0/2");
	look();
	TEXT(state(waiting), "running"); /* a deploy --now does not ask what is live */
	tear_down();
}
END_TEST

static int
only_starting(struct job *job, void *arg)
{
	char run[RUN_ID_SIZE];

	(void)arg;
	snprintf(run, sizeof(run), "%032lld", (long long)job->id);
	OK(queue_starting(queue, job, run, "boot", now, &err));
	return 0;
}

START_TEST(test_back_off)
{
	static const int seconds[] = {1, 2, 4, 8, 16, 32, 60};
	char run[RUN_ID_SIZE];
	int64_t id, behind;
	struct job job;

	set_up();
	play_add_build("1.0/1");
	id = ask(false, "1.0/1", 0);
	behind = ask(false, "1.0/1", 0);
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
		TEXT(state(id), "starting");
		HAS(said(id, "waits_for"), "slot: it is being started");
		if (i == 2)
			HAS(said(id, "waits_for"), "it is being started, attempt 3 (before: no answer)");
		HAS(said(behind, "waits_for"),
		    "job: job 41 (deploy shop 1.0/1) is being started on production");
		OK(queue_not_started(queue, id, run, "no answer", false, now, &err));
		TEXT(state(id), "queued");
		TEXT(state(behind), "queued"); /* the head that waits blocks its line */
		OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
		ck_assert_int_eq(next_us, now + seconds[i] * WHEN_SECOND);
		now = next_us;
	}
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	OK(queue_not_started(queue, id, run, "no answer", false, now, &err));
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "8 starts in a row did not happen: no answer");
	TEXT(said(id, "mode"), "");
	/* Of a run that begins it is not what there is to say. */
	OK(queue_release(queue, id, &ana, now, &job, &err));
	job_clear(&job);
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	OK(queue_running(queue, id, run, now, &err));
	TEXT(said(id, "message"), "");
	tear_down();
}
END_TEST

/* As long as others run there is no reason to give up: they may have what it lacks. */
START_TEST(test_back_off_beside_runs)
{
	struct queue_request wanted = request(false, "1.0/1", 0);
	char run[RUN_ID_SIZE];
	int64_t id, other;

	set_up();
	play_add_build("1.0/1");
	wanted.stage = "testing";
	other = send(&wanted);
	look();
	TEXT(state(other), "running");
	id = ask(false, "1.0/1", 0);
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	for (int i = 0; i < 20; i++) {
		OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
		OK(queue_not_started(queue, id, run, "no answer", false, now, &err));
		TEXT(state(id), "queued");
		now += MIN;
	}
	end(other, "succeeded", true);
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	OK(queue_not_started(queue, id, run, "no answer", false, now, &err));
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "21 starts in a row did not happen: no answer");
	tear_down();
}
END_TEST

/* That a run is told to begin is not that it did: starts that do not happen are counted on. */
START_TEST(test_told_to_go)
{
	char run[RUN_ID_SIZE];
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	id = ask(false, "1.0/1", 0);
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	for (int i = 0; i < 8; i++) {
		look();
		TEXT(state(id), "running");
		OK(queue_not_started(queue, id, run, "cannot make started", false, now, &err));
		now += MIN;
	}
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "8 starts in a row did not happen: cannot make started");
	tear_down();
}
END_TEST

static void
not_now(int64_t id, const char *why)
{
	char run[RUN_ID_SIZE];

	snprintf(run, sizeof(run), "%032lld", (long long)id);
	TEXT(state(id), "starting");
	ck_assert_int_lt(queue_running(queue, id, run, now, &err), 0);
	HAS(err.text, why);
	OK(queue_not_started(queue, id, run, err.text, false, now, &err));
	err_clear(&err);
	TEXT(state(id), "queued");
	now += MIN;
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
}

/* What is said between the start of bmd-run and *go* counts. */
START_TEST(test_stopped_while_starting)
{
	json_t *warnings = NULL;
	struct build_ref build;
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	id = ask(false, "1.0/1", 0);
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	OK(queue_lock(queue, "shop", "production", "freeze", 0, &ben, now, &err));
	not_now(id, "production is locked by ben");
	TEXT(state(id), "queued");
	OK(queue_unlock(queue, "shop", "production", &err));
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	queue_drain(queue, NULL, &ben, now);
	not_now(id, "drained by ben");
	TEXT(state(id), "queued");
	queue_undrain(queue, &ben);
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	build = play_ref("1.0/1");
	OK(queue_reject(queue, "shop", &build, "bad", &ben, now, &warnings, &err));
	json_decref(warnings);
	not_now(id, "1.0/1 was rejected by ben");
	TEXT(state(id), "held");
	tear_down();
}
END_TEST

START_TEST(test_foreign_results)
{
	struct run_result result = {.state = "succeeded"};
	struct run_event event = {.seq = 1, .event = "begun", .step = -1};
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	id = ask(false, "1.0/1", 0);
	look();
	result.job = id;
	strcpy(result.run, "other");
	ck_assert_int_eq(queue_finished(queue, &result, now, &err), -ESTALE);
	ck_assert_int_eq(queue_event(queue, id, "other", &event, &err), -ESTALE);
	TEXT(state(id), "running");
	snprintf(result.run, sizeof(result.run), "%032lld", (long long)id);
	strcpy(result.request_digest, "other");
	OK(queue_finished(queue, &result, now, &err));
	TEXT(state(id), "held");
	ck_assert_int_eq(queue_finished(queue, &result, now, &err), -ESTALE);
	tear_down();
}
END_TEST

START_TEST(test_after_downtime)
{
	int64_t id, timed;

	set_up();
	three_builds();
	id = ask(true, NULL, 0);
	timed = ask(true, NULL, now + MIN);
	OK(queue_after_downtime(queue, now, now + 29 * MIN, &err));
	TEXT(state(id), "queued");
	OK(queue_after_downtime(queue, now, now + 31 * MIN, &err));
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "bmd was down for 31 min");
	TEXT(state(timed), "scheduled");
	tear_down();
}
END_TEST

/* Its commit failed: the same jobs are judged again, and those that were asked for since are not. */
START_TEST(test_downtime_not_committed)
{
	int64_t old, new;

	set_up();
	three_builds();
	old = ask(true, NULL, 0);
	OK(store_commit(store, now, &err));
	OK(store_begin(store, &err));
	OK(queue_after_downtime(queue, now, now + 31 * MIN, &err));
	TEXT(state(old), "held");
	store_rollback(store);
	queue_postpone_downtime(queue);
	OK(store_begin(store, &err));
	TEXT(state(old), "queued");
	new = ask(true, NULL, 0);
	for (int i = 0; i < 2; i++) { /* and once more */
		OK(store_commit(store, now, &err));
		OK(store_begin(store, &err));
		OK(queue_after_downtime(queue, now, now + 31 * MIN, &err));
		TEXT(state(old), "held");
		TEXT(state(new), "queued");
		if (i == 0) {
			store_rollback(store);
			queue_postpone_downtime(queue);
			OK(store_begin(store, &err));
		}
	}
	tear_down();
}
END_TEST

/* ---- the clock */

/* What sched tells of the clock: the boot began at T0, and SET_US were added to the wall clock since. */
static void
tell_clock(const char *why, int64_t until_us, int64_t highest_us, int64_t set_us)
{
	struct queue_clock clock = {.doubted = why != NULL,
				    .until_us = until_us,
				    .highest_us = highest_us,
				    .offset_us = T0 + set_us,
				    .stepped_us = set_us,
				    .boot = "this boot"};

	snprintf(clock.why, sizeof(clock.why), "%s", why ? why : "");
	queue_set_clock(queue, &clock);
}

static void
move_relatives(void)
{
	bool more = true;

	while (more)
		OK(queue_relatives(queue, &more, &err));
}

/* "+N": due AFTER_US from now, on a boot that began at T0. */
static int64_t
ask_elapsed(const char *build, int64_t after_us, int64_t set_us)
{
	struct queue_request wanted = request(false, build, now + after_us);

	wanted.when.relative = true;
	wanted.when.boot = "this boot";
	wanted.when.boot_now_us = now - set_us - T0;
	return send(&wanted);
}

START_TEST(test_doubted_clock)
{
	int64_t timed, elapsed, at_once, missed, before;

	set_up();
	three_builds();
	tell_clock(NULL, 0, now, 0);
	before = now;
	timed = ask(false, "1.0/3", now + 10 * MIN);
	missed = ask(false, "1.0/3", now + MIN);
	elapsed = ask_elapsed("1.0/2", 2 * MIN, 0);
	/* An hour forward: nobody can say what is due. */
	now += 60 * MIN;
	tell_clock("the clock jumped forward by 1 h", now + MIN, before, 60 * MIN);
	move_relatives();
	TEXT(said(elapsed, "due"), when_utc(before + 62 * MIN).s);
	look();
	TEXT(state(timed), "scheduled");
	TEXT(state(missed), "scheduled");
	TEXT(state(elapsed), "scheduled");
	ck_assert_int_eq(next_us, before + 62 * MIN);
	HAS(said(timed, "waits_for"), "time: the clock jumped forward by 1 h: timed jobs wait until it has settled, ");
	/* --now goes on, past those that wait; elapsed time too. */
	at_once = ask(false, "1.0/1", 0);
	look();
	TEXT(state(at_once), "running");
	end(at_once, "succeeded", true);
	now += 2 * MIN;
	tell_clock("the clock jumped forward by 1 h", now + MIN, before, 60 * MIN);
	look();
	TEXT(state(elapsed), "held"); /* what went live meanwhile is guarded, as ever */
	/* It has settled: what is late by it is late, and says why. */
	tell_clock(NULL, 0, now, 60 * MIN);
	queue_lapse(queue, QUEUE_LAPSE_JUMP, before, before + 60 * MIN);
	look();
	TEXT(state(missed), "missed");
	HAS(said(missed, "message"), "longer than its grace of 30 min: the clock was set from 2026-11-22 23:");
	tear_down();
}
END_TEST

/* One that was due and waits in line stands aside too, and is not missed meanwhile. */
START_TEST(test_doubted_line)
{
	int64_t run, timed, before;

	set_up();
	three_builds();
	tell_clock(NULL, 0, now, 0);
	run = ask(false, "1.0/3", 0);
	look();
	timed = ask(false, "1.0/3", now + MIN);
	(void)ask(false, "1.0/3", 0);
	now += 2 * MIN;
	look();
	TEXT(state(timed), "queued");
	before = now;
	now += 5000 * MIN;
	tell_clock("the clock jumped forward by 3 d", now + MIN, before, 5000 * MIN);
	end(run, "succeeded", true);
	(void)ask(false, "1.0/3", 0);
	look();
	TEXT(state(timed), "queued");
	HAS(said(timed, "waits_for"), "time: the clock jumped");
	ck_assert_int_gt(nstarted, 1);
	/* Put back before anybody believed it. */
	now = before + MIN;
	tell_clock(NULL, 0, now, 0);
	end(started[nstarted - 1], "succeeded", true);
	look();
	if (strcmp(state(timed), "queued") == 0) {
		end(started[nstarted - 1], "succeeded", true);
		look();
	}
	TEXT(state(timed), "running");
	tear_down();
}
END_TEST

/* A portion of them that was not committed moves with the next walk, which begins anew. */
START_TEST(test_elapsed_not_committed)
{
	int64_t first, last = 0, due;
	bool more;

	set_up();
	three_builds();
	due = now + 120 * MIN;
	tell_clock(NULL, 0, now, 0);
	first = ask_elapsed("1.0/2", 120 * MIN, 0);
	for (int i = 0; i < 1000; i++)
		last = ask_elapsed("1.0/2", 121 * MIN, 0);
	OK(store_commit(store, now, &err));
	OK(store_begin(store, &err));
	tell_clock(NULL, 0, now, MIN);
	OK(queue_relatives(queue, &more, &err));
	ck_assert(more);
	TEXT(said(first, "due"), when_utc(due + MIN).s);
	TEXT(said(last, "due"), when_utc(due + MIN).s);
	store_rollback(store);
	queue_walk_anew(queue);
	OK(store_begin(store, &err));
	TEXT(said(first, "due"), when_utc(due).s);
	move_relatives();
	TEXT(said(first, "due"), when_utc(due + MIN).s);
	TEXT(said(last, "due"), when_utc(due + 2 * MIN).s);
	tear_down();
}
END_TEST

/* Elapsed time, over every way in which the clock can be set: what is left of it stays. */
START_TEST(test_elapsed)
{
	static const int64_t sets[] = {WHEN_SECOND,		 -WHEN_SECOND,
				       MIN,			 -MIN,
				       60 * MIN,		 -60 * MIN,
				       365 * 24 * 60 * MIN,	 -365 * 24 * 60 * MIN,
				       72 * 365 * 24 * 60 * MIN, -56 * 365 * 24 * 60 * MIN};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		int64_t waits, held, other;
		struct job job;

		set_up();
		three_builds();
		tell_clock(NULL, 0, now, 0);
		waits = ask_elapsed("1.0/2", 120 * MIN, 0);
		other = ask(false, "1.0/2", now + 120 * MIN);
		held = ask_elapsed("1.0/1", 10 * MIN, 0);
		OK(store_job_get(store, held, &job, &err));
		job.state = JOB_HELD;
		OK(store_job_update(store, &job, JOB_SCHEDULED, NULL, &err));
		job_clear(&job);
		now += sets[i];
		tell_clock(NULL, 0, now, sets[i]);
		move_relatives();
		TEXT(said(waits, "due"), when_utc(T0 + sets[i] + 126 * MIN).s);
		TEXT(said(held, "due"), when_utc(T0 + sets[i] + 16 * MIN).s);
		TEXT(said(other, "due"), when_utc(T0 + 126 * MIN).s);
		HAS(told, "2 jobs count elapsed time and moved with it");
		told[0] = '\0';
		move_relatives(); /* nothing more to do */
		TEXT(told, "");
		OK(queue_cancel(queue, other, NULL, &ana, now, &(bool){false}, &job, &err));
		job_clear(&job);
		now += 120 * MIN - 1;
		look();
		TEXT(state(waits), "scheduled");
		now++;
		look();
		TEXT(state(waits), "running");
		tear_down();
	}
}
END_TEST

/* Another boot's elapsed time is only a time. */
START_TEST(test_elapsed_other_boot)
{
	struct queue_clock clock = {.offset_us = 7 * MIN, .boot = "the next boot"};
	int64_t id;

	set_up();
	three_builds();
	tell_clock(NULL, 0, now, 0);
	id = ask_elapsed("1.0/3", 120 * MIN, 0);
	queue_set_clock(queue, &clock);
	move_relatives();
	TEXT(said(id, "due"), when_utc(T0 + 126 * MIN).s);
	clock.doubted = true;
	clock.until_us = now + 121 * MIN;
	queue_set_clock(queue, &clock);
	now += 120 * MIN;
	look();
	TEXT(state(id), "scheduled");
	tear_down();
}
END_TEST

/* Why nobody looked when it was due: a sentence for each. */
START_TEST(test_lapses)
{
	static const struct {
		int line;
		enum queue_lapse why;
		int from_min, to_min; /* since the request; the job is due at 10, with a grace of 30 */
		const char *text;
	} table[] = {
	    {__LINE__, QUEUE_LAPSE_DOWN, 5, 50, "bmd was not running from 2026-11-22 23:11:00+00:00 UTC to 2026-11-22 23:56:00+00:00 UTC"},
	    {__LINE__, QUEUE_LAPSE_ASLEEP, 9, 50, "the machine was asleep from 2026-11-22 23:15:00+00:00 UTC to"},
	    {__LINE__, QUEUE_LAPSE_JUMP, 9, 69, "the clock was set from 2026-11-22 23:15:00+00:00 UTC to"},
	    {__LINE__, QUEUE_LAPSE_DOUBT, 8, 45, "bmd waited for the clock to settle, until 2026-11-22 23:51:00+00:00 UTC"},
	    {__LINE__, QUEUE_LAPSE_DOUBT, 20, 45, "bmd waited for the clock to settle, until"},
	    {__LINE__, QUEUE_LAPSE_DOWN, 1, 9, "bmd was not running then, or the machine was asleep or paused"},
	    {__LINE__, QUEUE_LAPSE_DOWN, 41, 69, "bmd was not running then, or the machine was asleep or paused"},
	    {__LINE__, QUEUE_LAPSE_DOWN, 15, 15, "bmd was not running then, or the machine was asleep or paused"}, /* a restart */
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int64_t id, then;

		set_up();
		three_builds();
		then = now;
		id = ask(true, NULL, now + 10 * MIN);
		queue_lapse(queue, table[i].why, then + table[i].from_min * MIN, then + table[i].to_min * MIN);
		now += 70 * MIN;
		look();
		TEXT(state(id), "missed");
		ck_assert_msg(strstr(said(id, "message"), table[i].text) != NULL, "line %d: %s", table[i].line,
			      said(id, "message"));
		tear_down();
	}
}
END_TEST

/* For how long bmd was down, a clock that nobody believes cannot say. */
START_TEST(test_postponed_downtime)
{
	int64_t old, fresh, before;

	set_up();
	three_builds();
	old = ask(true, NULL, 0);
	before = now;
	queue_postpone_downtime(queue);
	now += 5000 * MIN;
	tell_clock("the clock is not synchronised since the machine was started", now + MIN, before, 0);
	fresh = ask(false, "1.0/3", 0);
	look();
	TEXT(state(old), "queued");
	TEXT(state(fresh), "running");
	end(fresh, "succeeded", true);
	/* It was wrong. */
	now = before + 20 * MIN;
	tell_clock(NULL, 0, now, 0);
	OK(queue_after_downtime(queue, before, now, &err));
	look();
	TEXT(state(old), "running");
	tear_down();
}
END_TEST

/* A clock that is put back makes a back-off no longer. */
START_TEST(test_backoff_and_clock)
{
	char run[RUN_ID_SIZE];
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	id = ask(false, "1.0/1", 0);
	look();
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	OK(queue_not_started(queue, id, run, "no", false, now, &err));
	look();
	TEXT(state(id), "queued");
	ck_assert_int_eq(next_us, now + WHEN_SECOND);
	now -= 60 * MIN;
	look();
	TEXT(state(id), "running");
	tear_down();
}
END_TEST

/* What windows may hold waits for a clock that can say whether they are open; a way back with a reason does not. */
START_TEST(test_doubted_window)
{
	struct queue_request back;
	int64_t forward, way_back;

	set_up_with("zone = \"UTC\" windows = {\"00:00-24:00\"}", "");
	three_builds();
	tell_clock("the clock jumped forward by 1 h", now + MIN, now - 60 * MIN, 60 * MIN);
	forward = ask(false, "1.0/3", 0);
	look();
	TEXT(state(forward), "queued");
	HAS(said(forward, "waits_for"), "time: the clock jumped");
	back = request(true, "1.0/1", 0);
	back.reason = "orders are lost";
	way_back = send(&back);
	look();
	TEXT(state(way_back), "running");
	end(way_back, "succeeded", true);
	tell_clock(NULL, 0, now, 60 * MIN);
	look();
	ck_assert_str_ne(state(forward), "queued");
	tear_down();
}
END_TEST

/* Who passes the freeze does not pass the windows by that, nor the other way round; who passes all needs no clock. */
START_TEST(test_doubted_override)
{
	static const struct {
		int line;
		const char *override, *state;
	} table[] = {
	    {__LINE__, "{\"freezes\": [\"year\"]}", "queued"},
	    {__LINE__, "{\"windows\": true}", "queued"},
	    {__LINE__, "{\"windows\": true, \"freezes\": [\"year\"]}", "running"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct queue_request wanted;
		json_t *override = json_loads(table[i].override, 0, NULL);
		int64_t id;

		set_up_with("zone = \"UTC\" windows = {\"00:00-24:00\"}"
			    " freezes = {'2030-01-01/2030-01-02 \"year\"'}",
			    "");
		three_builds();
		tell_clock("the clock jumped forward by 1 h", now + MIN, now - 60 * MIN, 60 * MIN);
		wanted = request(false, "1.0/3", 0);
		wanted.override = override;
		wanted.reason = "it must out";
		id = send(&wanted);
		look();
		ck_assert_msg(strcmp(state(id), table[i].state) == 0, "line %d: %s", table[i].line, state(id));
		json_decref(override);
		tear_down();
	}
}
END_TEST

/* A lock ends when its time has passed by a clock that is believed. */
START_TEST(test_doubted_lock)
{
	int64_t id, before;
	struct job cancelled;
	bool kill;

	set_up();
	three_builds();
	tell_clock(NULL, 0, now, 0);
	id = ask(false, "1.0/3", now + MIN);
	OK(queue_lock(queue, "shop", "production", "inventory", now + 30 * MIN, &ana, now, &err));
	OK(queue_cancel(queue, id, NULL, &ana, now, &kill, &cancelled, &err));
	job_clear(&cancelled);
	before = now;
	now += 60 * MIN;
	tell_clock("the clock jumped forward by 1 h", now + MIN, before, 60 * MIN);
	id = ask(false, "1.0/3", 0);
	look();
	TEXT(state(id), "queued");
	HAS(said(id, "waits_for"), "lock: production is locked by ana: inventory");
	ck_assert_int_eq(next_us, INT64_MAX);
	/* So it is nobody else's yet. */
	ck_assert_int_lt(queue_lock(queue, "shop", "production", "mine", 0, &ben, now, &err), 0);
	HAS(err.text, "production is locked by ana: inventory");
	tell_clock(NULL, 0, now, 60 * MIN);
	look();
	TEXT(state(id), "running");
	tear_down();
}
END_TEST

START_TEST(test_started_before_downtime)
{
	const struct queue_when when = {.at_us = now + MIN};
	char run[RUN_ID_SIZE];
	struct job job;
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	id = ask(false, "1.0/1", 0);
	OK(queue_look(queue, now, only_starting, NULL, &next_us, &err));
	ck_assert_int_lt(queue_reschedule(queue, id, &when, now, &job, &err), 0);
	HAS(err.text, "is being started: it cannot be moved");
	OK(queue_after_downtime(queue, now, now + 31 * MIN, &err));
	TEXT(state(id), "starting"); /* its run folder is asked first */
	snprintf(run, sizeof(run), "%032lld", (long long)id);
	OK(queue_not_started(queue, id, run, "no step ran", false, now + 31 * MIN, &err));
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "bmd was down for 31 min before it started");
	tear_down();
}
END_TEST

START_TEST(test_no_grace)
{
	struct queue_request wanted;
	int64_t id;

	set_up();
	three_builds();
	wanted = request(true, NULL, now + MIN);
	wanted.grace_us = 0;
	id = send(&wanted);
	now += MIN + 2000; /* as late as timers are */
	look();
	TEXT(state(id), "running");
	tear_down();
}
END_TEST

START_TEST(test_reload_takes_the_plan)
{
	struct build_ref one = {"1.0", 1};
	_cleanup_json_ json_t *row = NULL;
	int64_t id;

	set_up();
	play_add_build("1.0/1");
	play_add_build("1.0/2");
	play(false, "1.0/1", "succeeded");
	play(false, "1.0/2", "succeeded");
	id = ask(true, NULL, now + MIN);
	play_load("",
		  " stage \"testing\" { plan = \"web\" } stage \"production\" { plan = \"files\" }",
		  plans);
	now += 2 * MIN;
	look();
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "has no artifact site, which step put of plan files needs");
	row = queue_check(queue, "shop", "production", now);
	ck_assert(!json_is_true(json_object_get(row, "ready")));
	(void)one;
	tear_down();
}
END_TEST

/* ---- files */

static void
add_build_with_file(const char *text, const char *content, char ret_digest[DIGEST_SIZE])
{
	struct store_build build = {.created_us = now, .created_by = "ana", .application = "shop"};
	struct store_artifact artifact = {.name = "site", .files = 1};
	struct objects_import *import;
	struct objects_writer *writer;
	struct manifest manifest = {0};
	_cleanup_free_ char *listing = NULL;
	int64_t size;
	size_t n;

	OK(objects_import_open(objects, &import, &err));
	writer = objects_writer_open(import);
	OK(objects_writer_add(writer, content, strlen(content), &err));
	OK(objects_writer_end(writer, ret_digest, &size, &err));
	manifest_add_file(&manifest, "index.html", false, size, ret_digest);
	OK(manifest_finish(&manifest, &err));
	listing = manifest_format(&manifest, &n);
	OK(objects_publish(import, listing, n, artifact.digest, &err));
	objects_import_close(import);
	manifest_clear(&manifest);
	build.build = play_ref(text);
	build.variables = json_pack("{s:s}", "COLOUR", content);
	build.artifacts = xcalloc(1, sizeof(artifact));
	build.artifacts[0] = artifact;
	build.nartifacts = 1;
	OK(store_build_add(store, &build, &err));
	store_build_clear(&build);
}

START_TEST(test_missing_object)
{
	char digest[DIGEST_SIZE], path[256];
	int64_t id;

	set_up();
	add_build_with_file("1.0/1", "hello", digest);
	id = ask(false, "1.0/1", 0);
	ck_assert_msg(id > 0, "%s", err.text);
	snprintf(path, sizeof(path), "%s/store/objects/%.2s/%s", folder, digest, digest + 2);
	ck_assert_int_eq(unlink(path), 0);
	/* For a moment bmd believes what the request saw (and bmd-run looks: it/damaged_files.sh). */
	now += MIN / 10;
	look();
	TEXT(state(id), "held");
	HAS(said(id, "waits_for"), "the stored file index.html of artifact site is missing");
	now += MIN;
	refused(ask(false, "1.0/1", 0), ERR_REFUSED, "index.html");
	TEXT(json_string_value(json_object_get(err.fields, "rule")), "damaged");
	tear_down();
}
END_TEST

/* ---- the interface file */

static struct varlink_interface *interface;

static void
fits(const char *method, json_t *parameters)
{
	int r = varlink_check(interface, method, VARLINK_OUTPUT, parameters, &err);

	ck_assert_msg(r == 0, "%s: %s", method, err.text);
	json_decref(parameters);
}

/* What going to BUILD would not undo: "migrate of 1.0/2 by job 2, ". */
static const char *
not_undone(const char *build)
{
	struct queue_request wanted = request(false, build, 0);
	static char text[512];
	struct queue_answer answer;
	size_t i, n = 0;
	json_t *step;

	wanted.dry_run = true;
	wanted.has_when = false;
	OK(queue_request(queue, &wanted, &ana, now, &answer, &err));
	text[0] = '\0';
	json_array_foreach (answer.not_undone, i, step)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s of %s/%lld by job %lld, ",
				      json_get_string(step, "step"), json_get_string(step, "release"),
				      (long long)json_get_int(step, "build", 0),
				      (long long)json_get_int(step, "job", 0));
	queue_answer_clear(&answer);
	return text;
}

/* A run of BUILD that begins an irreversible step and ends so; RUNNING is looked at in between. */
static void
migrate(const char *build, const char *end_state)
{
	int64_t id = ask(false, build, 0);

	look();
	begin_step(id, 1, "migrate", true);
	TEXT(not_undone("1.0/2"), "");
	end(id, end_state, true);
	now += MIN;
}

START_TEST(test_its_own_steps)
{
	set_up();
	play_add_build("1.0/1");
	play_add_build("1.0/2");
	play(false, "1.0/1", "succeeded");
	now += MIN;
	migrate("1.0/2", "succeeded");
	TEXT(not_undone("1.0/2"), "");
	TEXT(not_undone("1.0/1"), "migrate of 1.0/2 by job 42, ");
	/* Of a build that is live and tried again, whether that run goes on or has failed. */
	migrate("1.0/2", "failed");
	TEXT(not_undone("1.0/2"), "");
	TEXT(not_undone("1.0/1"), "migrate of 1.0/2 by job 43, migrate of 1.0/2 by job 42, ");
	tear_down();
}
END_TEST

START_TEST(test_dry_run)
{
	struct queue_request wanted;
	struct queue_answer answer;
	char digest[DIGEST_SIZE];
	_cleanup_free_ char *text = NULL;

	set_up();
	OK(varlink_interface_parse(varlink_control_text, &interface, &err));
	add_build_with_file("1.0/1", "one", digest);
	add_build_with_file("1.0/2", "two", digest);
	play(false, "1.0/1", "succeeded");
	now += MIN;
	{
		int64_t id = ask(false, "1.0/2", 0);

		look();
		begin_step(id, 1, "migrate", true);
		end(id, "succeeded", true);
	}
	wanted = request(true, NULL, 0);
	wanted.dry_run = true;
	wanted.has_when = false;
	OK(queue_lock(queue, "shop", "production", "freeze", 0, &ana, now, &err));
	OK(queue_request(queue, &wanted, &ana, now, &answer, &err));
	text = json_canonical(answer.preview);
	HAS(text, "\"mode\":\"rollback\"");
	HAS(text, "\"from\":{\"build\":2,\"release\":\"1.0\"}");
	HAS(text,
	    "{\"irreversible\":true,\"name\":\"migrate\",\"runs\":false,\"why\":\"skip-on\"}");
	HAS(text, "\"files\":{\"added\":0,\"changed\":1,\"removed\":0}");
	HAS(text, "\"variables_differ\":[\"COLOUR\"]");
	HAS(text, "\"plan_changed\":false");
	HAS(text,
	    "\"not_undone\":[{\"build\":2,\"job\":42,\"release\":\"1.0\",\"step\":\"migrate\"}]");
	HAS(text, "\"problems\":[\"production is locked by ana: freeze");
	fits("Redeploy",
	     json_pack("{s:n, s:O, s:o, s:O, s:O, s:O}", "job", "preview", answer.preview,
		       "replacing", queue_live_json(answer.has_live ? &answer.live : NULL),
		       "not_undone", answer.not_undone, "ahead", answer.ahead, "warnings",
		       answer.warnings));
	queue_answer_clear(&answer);
	refused(ask(true, NULL, 0), ERR_REFUSED, "locked");
	varlink_interface_free(interface);
	tear_down();
}
END_TEST

static void
fits_job(int64_t id)
{
	struct job job;

	OK(store_job_get(store, id, &job, &err));
	fits("GetJob", json_pack("{s:o}", "job", queue_job_json(queue, &job, true, now)));
	job_clear(&job);
}

static void
fits_stage(void)
{
	fits("Lock",
	     json_pack("{s:o}", "stage", queue_stage_json(queue, "shop", "production", now)));
	fits("Check",
	     json_pack("{s:[o]}", "stages", queue_check(queue, "shop", "production", now)));
}

START_TEST(test_json)
{
	struct build_ref one = {"1.0", 1};
	struct store_build build;
	int64_t timed, run, waiting;
	char digest[DIGEST_SIZE];

	set_up();
	OK(varlink_interface_parse(varlink_control_text, &interface, &err));
	fits_stage();
	add_build_with_file("1.0/1", "one", digest);
	play_add_build("1.0/2");
	play(false, "1.0/1", "succeeded");
	fits_stage();
	timed = ask(false, "1.0/2", now + MIN);
	fits_job(timed);
	run = ask(false, "1.0/2", 0);
	look();
	begin_step(run, 0, "one", false);
	waiting = ask(true, "1.0/1", 0);
	fits_job(run);
	fits_job(waiting);
	fits_stage();
	now += MIN;
	end(run, "failed", true);
	fits_job(run);
	fits_stage();
	{
		_cleanup_json_ json_t *stage = queue_stage_json(queue, "shop", "production", now);

		HAS(json_string_value(json_object_get(stage, "needs")),
		    "bmctl redeploy shop 1.0/1 --to production --now");
		ck_assert_int_eq(json_integer_value(json_object_get(stage, "last_failed")), run);
		ck_assert_int_eq(json_integer_value(json_object_get(stage, "next")), waiting);
	}
	OK(queue_lock(queue, "shop", "production", "freeze", now + MIN, &ana, now, &err));
	fits_stage();
	OK(store_build_get(store, "shop", &one, &build, &err));
	fits("GetBuild", json_pack("{s:o}", "build", queue_build_json(queue, &build, true)));
	store_build_clear(&build);
	varlink_interface_free(interface);
	tear_down();
}
END_TEST

/* ---- many */

START_TEST(test_many_waiting)
{
	struct job job;

	set_up();
	three_builds();
	for (int i = 0; i < 3000; i++)
		ck_assert_int_gt(ask(false, "1.0/1", 0), 0);
	OK(store_job_get(store, 3043, &job, &err));
	ck_assert_uint_eq(json_array_size(job.ahead), 16);
	ck_assert_int_eq(json_integer_value(json_array_get(job.ahead, 15)), 3042);
	job_clear(&job);
	for (int i = 0; i < 20; i++) {
		look();
		end(started[nstarted - 1], "succeeded", true);
	}
	ck_assert_int_eq(started[nstarted - 1], 63);
	tear_down();
}
END_TEST

/* Which of the two came first is no matter of a clock that may be put back in between. */
START_TEST(test_failure_and_clock)
{
	int64_t failed, before, after;

	set_up();
	three_builds();
	play_add_build("1.1/1");
	failed = ask(false, "1.1/1", 0);
	look();
	before = ask(false, "1.0/3", now + 30 * MIN);
	now -= MIN;
	end(failed, "failed", true);
	now -= MIN;
	after = ask(false, "1.0/2", now + 20 * MIN);
	now += 20 * MIN;
	look();
	TEXT(state(after), "running");
	end(after, "failed", true);
	now += 20 * MIN;
	look();
	TEXT(state(before), "held");
	HAS(said(before, "waits_for"), "left production unfinished");
	tear_down();
}
END_TEST

/* What is over takes no room, whenever it was counted; and the way back of bmd's own needs none. */
START_TEST(test_room)
{
	int64_t failed;

	set_up_with("on-failure = \"redeploy\"", "max-waiting = 4\n");
	three_builds();
	for (int i = 0; i < 6; i++)
		play(true, NULL, "succeeded"), play(false, "1.0/3", "succeeded");
	play_add_build("1.1/1");
	failed = ask(false, "1.1/1", 0);
	look();
	for (int i = 0; i < 3; i++)
		ck_assert_int_gt(ask(false, "1.0/1", now + 10 * MIN), 0);
	refused(ask(false, "1.0/1", 0), ERR_TOO_MANY, "4 jobs wait already");
	ck_assert_int_gt(ask(false, "1.0/1", now + 10 * MIN) > 0 ? 0 : 1, 0);
	end(failed, "failed", true);
	TEXT(state(failed), "failed");
	look();
	TEXT(said(started[nstarted - 1], "requested_by"), "bmd");
	tear_down();
}
END_TEST

START_TEST(test_bounded_looks)
{
	int looks = 0;

	set_up();
	three_builds();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_gt(ask(true, "1.0/2", now + MIN), 0);
	now += 2 * MIN;
	do {
		look();
		ck_assert_int_lt(++looks, 10);
	} while (next_us <= now);
	ck_assert_int_ge(looks, 4);
	ck_assert_int_eq(started[nstarted - 1], 44);
	tear_down();
}
END_TEST

/* ---- collecting */

/* What gc does with BUILD, and by which rule: "keep live", "free old"; "" when it is not listed. */
static const char *
fate(const json_t *reply, const char *build)
{
	static char text[128];
	struct build_ref wanted = play_ref(build);
	const json_t *row;
	size_t i;

	text[0] = '\0';
	json_array_foreach (json_object_get(reply, "builds"), i, row)
		if (strcmp(json_get_string(row, "release"), wanted.release) == 0 &&
		    json_get_int(row, "build", 0) == wanted.number)
			snprintf(text, sizeof(text), "%s %s",
				 json_get_bool(row, "freed") ? "free" : "keep",
				 json_get_string(row, "rule"));
	return text;
}

static json_t *
collect(bool dry_run)
{
	json_t *reply = NULL;

	OK(queue_collect(queue, "shop", dry_run, &ana, now, &reply, &err));
	return reply;
}

static bool
there(const char *text)
{
	struct build_ref build = play_ref(text);
	struct store_build got;

	if (store_build_get(store, "shop", &build, &got, NULL) < 0)
		return false;
	store_build_clear(&got);
	return true;
}

/* Each rule that keeps, in one stage's story. The newest is one build. */
START_TEST(test_collect_rules)
{
	static const struct {
		int line;
		const char *build, *fate;
	} rows[] = {
	    {__LINE__, "1.0/1", "keep stack"},	 {__LINE__, "1.0/2", "keep previous-good"},
	    {__LINE__, "1.0/3", "keep live"},	 {__LINE__, "1.0/4", "keep waiting"},
	    {__LINE__, "1.0/5", "keep waiting"}, {__LINE__, "1.0/6", "keep pinned"},
	    {__LINE__, "1.0/7", "free old"},	 {__LINE__, "1.0/8", "free old"},
	    {__LINE__, "1.0/9", "keep newest"},	 {__LINE__, "1.0/10", "keep newest"},
	};
	_cleanup_json_ json_t *warnings = NULL;
	_cleanup_json_ json_t *dry = NULL;
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_json_ json_t *again = NULL;
	struct build_ref six = {"1.0", 6}, eight = {"1.0", 8}, ten = {"1.0", 10};
	int64_t held;

	set_up();
	three_builds();
	for (int i = 4; i <= 10; i++) {
		char build[16];

		snprintf(build, sizeof(build), "1.0/%d", i);
		play_add_build(build);
	}
	/* One waits for its time, one is held: by a failure of another. */
	ck_assert_int_gt(ask(false, "1.0/4", now + 60 * MIN), 0);
	held = ask(false, "1.0/5", now + 50 * MIN);
	OK(queue_pin(queue, "shop", &six, true, "audited", &ben, now, &err));
	OK(queue_reject(queue, "shop", &eight, "bad", &ben, now, &warnings, &err));
	json_decref(warnings);
	OK(queue_reject(queue, "shop", &ten, "bad", &ben, now, &warnings, &err));
	now += 51 * MIN;
	look();
	TEXT(state(held), "running");
	conf->applications[0].keep_builds = 1;
	dry = collect(true);
	ck_assert_int_eq(json_get_int(dry, "freed", 0), 2);
	ck_assert_int_eq(json_get_int(dry, "kept", 0), 8);
	TEXT(fate(dry, "1.0/5"), "keep running");
	ck_assert(there("1.0/7"));    /* it was only said */
	end(held, "succeeded", true); /* pops nothing: 1.0/5 is live, 1.0/3 the previous good */
	TEXT(live(), "1.0/5");
	dry = (json_decref(dry), collect(true));
	TEXT(fate(dry, "1.0/5"), "keep live");
	TEXT(fate(dry, "1.0/3"), "keep previous-good");
	TEXT(fate(dry, "1.0/2"), "keep stack");
	/* The story of the table: back to 1.0/3, with 1.0/5 asked for once more. */
	play(true, "1.0/3", "succeeded");
	ck_assert_int_gt(ask(false, "1.0/5", now + 90 * MIN), 0);
	reply = collect(false);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_msg(strcmp(fate(reply, rows[i].build), rows[i].fate) == 0,
			      "line %d: %s: %s", rows[i].line, rows[i].build,
			      fate(reply, rows[i].build));
	HAS(told, "shop 1.0/7 is collected (older than the newest 1), asked by ana");
	ck_assert(!there("1.0/7") && !there("1.0/8"));
	refused(ask(false, "1.0/7", 0), ERR_NO_SUCH_BUILD, "was collected at 2026-");
	again = collect(false);
	ck_assert_int_eq(json_get_int(again, "freed", 9), 0);
	ck_assert_int_eq(json_get_int(again, "kept", 0), 8);
	TEXT(fate(again, "1.0/7"), "");
	tear_down();
}
END_TEST

/* A rollback pops: what was above may go then, unless the stage is dirty by it. */
START_TEST(test_collect_dirty_and_popped)
{
	_cleanup_json_ json_t *reply = NULL;
	struct build_ref two = play_ref("1.0/2");
	struct queue_request elsewhere;
	char run[RUN_ID_SIZE];
	int64_t job;

	set_up();
	three_builds();
	play_add_build("1.0/4");
	play_add_build("1.0/5");
	play_add_build("1.0/6");
	conf->applications[0].keep_builds = 1;
	/* Live on another stage is live. */
	elsewhere = request(false, "1.0/5", 0);
	elsewhere.stage = "testing";
	job = send(&elsewhere);
	look();
	end(job, "succeeded", true);
	play(false, "1.0/4", "failed");
	reply = collect(true);
	TEXT(fate(reply, "1.0/4"), "keep dirty");
	TEXT(fate(reply, "1.0/5"), "keep live");
	TEXT(fate(reply, "1.0/3"), "keep live");
	json_decref(reply);
	play(true, NULL, "succeeded");
	play(true, NULL, "succeeded");
	TEXT(live(), "1.0/2");
	reply = collect(true);
	TEXT(fate(reply, "1.0/4"), "free old");
	TEXT(fate(reply, "1.0/3"), "free old");
	TEXT(fate(reply, "1.0/2"), "keep live");
	/* A run that is lost, and whose processes may still be there, keeps its build whatever else it is. */
	job = ask(false, "1.0/6", 0);
	look();
	snprintf(run, sizeof(run), "%032lld", (long long)job);
	OK(queue_lost(queue, job, run, "bmd-run is gone without a result", true, now, &err));
	json_decref(reply);
	reply = collect(true);
	TEXT(fate(reply, "1.0/6"), "keep running");
	OK(queue_settle(queue, "shop", "production", &two, "looked", &ben, now, &err));
	json_decref(reply);
	reply = collect(true);
	TEXT(fate(reply, "1.0/6"), "keep newest");
	/* A stage that is not configured any more keeps what it had. */
	conf->applications[0].nstages = 1;
	json_decref(reply);
	reply = collect(true);
	TEXT(fate(reply, "1.0/2"), "keep live");
	conf->applications[0].nstages = 2;
	/* Without keep-builds all stay. */
	conf->applications[0].keep_builds = 0;
	json_decref(reply);
	reply = collect(false);
	ck_assert_int_eq(json_get_int(reply, "freed", 9), 0);
	TEXT(fate(reply, "1.0/4"), "keep unset");
	tear_down();
}
END_TEST

/* A run of BUILD begins: these release folders it may not prune, and its request stays the same. */
static int64_t
keeps(bool redeploy, const char *build, const char *folders)
{
	char text[512], digest[65];
	struct run_request run;
	struct job job;
	int64_t id;

	now += MIN;
	id = ask(redeploy, build, 0);
	look();
	OK(store_job_get(store, id, &job, &err));
	OK(queue_run_request(queue, &job, &run, &err));
	text[0] = '\0';
	for (size_t i = 0; i < run.nkeep && i < 4; i++)
		strcat(strcat(text, i ? " " : ""), names_build_text(&run.keep[i]).s);
	run_request_digest(&run, digest);
	TEXT(digest, job.request_digest);
	TEXT(text, folders);
	run_request_clear(&run);
	job_clear(&job);
	return id;
}

/* Live and the previous good, of before and of behind the run, and the build that an unfinished rollback was going to. */
START_TEST(test_kept_folders)
{
	set_up();
	three_builds();
	play_add_build("1.0/4");
	end(keeps(false, "1.0/4", "1.0/3 1.0/2"), "succeeded", true);
	end(keeps(true, NULL, "1.0/4 1.0/3 1.0/2"), "succeeded", true);
	TEXT(live(), "1.0/3");
	end(keeps(true, NULL, "1.0/3 1.0/2 1.0/1"), "succeeded", true);
	play(false, "1.0/3", "succeeded");
	play(false, "1.0/4", "succeeded");
	play(true, "1.0/1", "failed");
	end(keeps(false, "1.0/4", "1.0/4 1.0/3 1.0/1"), "succeeded", true);
	tear_down();
}
END_TEST

/* A release asked for without a number means one that is still there. */
START_TEST(test_collect_and_releases)
{
	_cleanup_json_ json_t *reply = NULL;
	struct build_ref two = {"1.0", 2};
	struct store_build build = {
	    .application = "shop", .build = {.release = "1.0"}, .created_by = "ana"};
	struct store_build got;
	int64_t job;

	set_up();
	three_builds();
	play(true, "1.0/1", "succeeded"); /* 2 and 3 are popped */
	play_add_build("2.0/1");
	conf->applications[0].keep_builds = 1;
	reply = collect(false);
	ck_assert_int_eq(json_get_int(reply, "freed", 0), 2);
	ck_assert(!there("1.0/3") && !there("1.0/2") && there("1.0/1"));
	job = ask(true, "1.0", 0);
	ck_assert_msg(job > 0, "%s", err.text);
	HAS(said(job, "release"), "1.0");
	OK(store_build_add(store, &build, &err));
	ck_assert_int_eq(build.build.number, 4);
	ck_assert_int_lt(queue_find_build(queue, "shop", two.release, two.number, &got, &err), 0);
	HAS(err.text, "bmctl history shop");
	tear_down();
}
END_TEST

/* So many in one turn of the loop, and no more. */
START_TEST(test_collect_is_bounded)
{
	_cleanup_json_ json_t *reply = NULL;

	set_up();
	for (int i = 1; i <= 1100; i++) {
		char build[16];

		snprintf(build, sizeof(build), "1.0/%d", i);
		play_add_build(build);
	}
	conf->applications[0].keep_builds = 1;
	reply = collect(false);
	ck_assert_int_eq(json_get_int(reply, "freed", 0), 1000);
	ck_assert(json_get_bool(reply, "more"));
	json_decref(reply);
	reply = collect(false);
	ck_assert_int_eq(json_get_int(reply, "freed", 0), 99);
	ck_assert(!json_get_bool(reply, "more"));
	ck_assert(there("1.0/1100"));
	tear_down();
}
END_TEST

/* ---- records of finished jobs */

static void
prune(void)
{
	struct queue_pruning at = {0};
	int r;

	while ((r = queue_prune(queue, &at, now, &err)) == 1)
		;
	ck_assert_msg(r == 0, "%s", err.text);
}

/* The ids whose records are there, up to LAST. */
static const char *
records(int64_t last)
{
	static char text[1024];
	struct job job = {0};

	text[0] = '\0';
	for (int64_t id = 41; id <= last; id++)
		if (store_job_get(store, id, &job, NULL) == 0) {
			sprintf(text + strlen(text), "%d ", (int)id);
			job_clear(&job);
		}
	return text;
}

static int
pruned_text(const struct store_audit *row, void *arg)
{
	if (strcmp(row->what, "Prune") == 0)
		sprintf((char *)arg + strlen(arg), "%s %s: %s; ", row->application, row->stage, row->text);
	return 0;
}

START_TEST(test_prune)
{
	char path[128], text[512] = "";
	struct job job = {0};
	bool kill;
	int64_t id;

	set_up_with("keep-jobs = 2", "keep-jobs = 4\n");
	three_builds();
	for (int i = 0; i < 4; i++)
		(void)play(true, "1.0/3", "succeeded");
	snprintf(path, sizeof(path), "%s/runs/44", folder);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	/* 41 and 42 stand in the stack; of 44 there is the output. */
	prune();
	TEXT(records(47), "41 42 44 46 47 ");
	ck_assert_int_eq(rmdir(path), 0);
	prune();
	prune();
	TEXT(records(47), "41 42 46 47 ");
	OK(store_audit_each(store, 0, 100, pruned_text, text, &err));
	TEXT(text, "shop production: the record of job 44; "
		   "shop production: the records of 2 jobs, from 43 to 45; ");
	/* What answers are made of has not changed. */
	TEXT(live(), "1.0/3");
	ck_assert_int_eq(store_job_get(store, 45, &job, &err), -ENOENT);
	HAS(err.text, "the record of job 45 is not kept any more");
	err_clear(&err);
	TEXT(said(play(true, NULL, "succeeded"), "mode"), "rollback");
	TEXT(live(), "1.0/2");

	/* A stage has its own number, or that of bmd.conf; 0 keeps all. */
	load_conf("", "keep-jobs = 0\n");
	for (int i = 0; i < 70; i++) {
		now += MIN;
		id = ask(false, "1.0/1", now + MIN);
		OK(queue_cancel(queue, id, "no", &ana, now, &kill, &job, &err));
		job_clear(&job);
	}
	prune();
	ck_assert_ptr_nonnull(strstr(records(id), " 50 51 "));
	load_conf("", "keep-jobs = 4\n");
	prune(); /* more than a portion; 41 is in the stack, 47 the last run of 1.0/3 */
	snprintf(text, sizeof(text), "41 47 48 %d %d %d %d ", (int)id - 3, (int)id - 2, (int)id - 1, (int)id);
	TEXT(records(id), text);
	TEXT(live(), "1.0/2");
	ck_assert_int_eq(ask(false, "1.0/1", 0), id + 1);
	tear_down();
}
END_TEST

UNIT_MAIN("queue", test_prune, test_back_and_further_back, test_names, test_release_without_number,
	  test_on_time, test_missed, test_guard, test_two_timed_in_a_row, test_failure_holds,
	  test_failure_continues, test_failure_goes_back, test_did_not_begin,
	  test_one_a_stage_and_slots, test_lock, test_reject, test_cancel, test_reschedule,
	  test_times, test_asked_for, test_settle, test_back_off, test_back_off_beside_runs,
	  test_told_to_go, test_stopped_while_starting, test_foreign_results, test_after_downtime,
	  test_downtime_not_committed, test_elapsed_not_committed,
	  test_doubted_clock, test_doubted_line, test_elapsed, test_elapsed_other_boot,
	  test_lapses, test_postponed_downtime, test_backoff_and_clock, test_doubted_window, test_doubted_override,
	  test_doubted_lock, test_started_before_downtime, test_no_grace,
	  test_reload_takes_the_plan, test_missing_object, test_its_own_steps, test_dry_run, test_json,
	  test_many_waiting, test_collect_rules, test_collect_dirty_and_popped, test_kept_folders,
	  test_collect_and_releases, test_collect_is_bounded, test_bounded_looks, test_room,
	  test_failure_and_clock)
