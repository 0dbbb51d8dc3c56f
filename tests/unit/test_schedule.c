/* SPDX-License-Identifier: ISC */
/*
 * Recurring deployments: the rules of schedule.h beside a walk over every occurrence, and plays
 * with a real database, a configuration from text and a clock that only the play moves.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue.h"
#include "daemon/schedule.h"
#include "tests/unit/play.h"

#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

static int64_t
at(const char *text)
{
	int64_t us;

	ck_assert_msg(when_parse_utc(text, &us) == 0, "%s", text);
	return us;
}

/* ---- the rules ---- */

START_TEST(test_due)
{
	static const struct {
		int line;
		const char *calendar, *zone, *after, *now, *due;
		int passed;
	} table[] = {
	    /* the next one: strictly after */
	    {__LINE__, "02:00", "UTC", "2026-11-23T01:00:00Z", "2026-11-23T01:00:00Z",
	     "2026-11-23T02:00:00Z", 0},
	    {__LINE__, "02:00", "UTC", "2026-11-23T02:00:00Z", "2026-11-23T02:00:00Z",
	     "2026-11-24T02:00:00Z", 0},
	    /* the clock was put back: what is done with does not come again */
	    {__LINE__, "02:00", "UTC", "2026-11-23T02:00:00Z", "2026-11-22T00:00:00Z",
	     "2026-11-24T02:00:00Z", 0},
	    /* one has passed, several have: the last */
	    {__LINE__, "02:00", "UTC", "2026-11-23T01:00:00Z", "2026-11-23T02:00:00Z",
	     "2026-11-23T02:00:00Z", 1},
	    {__LINE__, "02:00", "UTC", "2026-11-23T01:00:00Z", "2026-11-23T03:00:00Z",
	     "2026-11-23T02:00:00Z", 1},
	    {__LINE__, "02:00", "UTC", "2026-11-23T01:00:00Z", "2026-11-26T01:59:59.999999Z",
	     "2026-11-25T02:00:00Z", 3},
	    {__LINE__, "Mon..Fri 02:00 Europe/Berlin", "UTC", "2026-11-20T01:00:00Z",
	     "2026-11-23T00:59:59Z", "2026-11-23T01:00:00Z", 0},
	    /* a year of seconds is no year of work */
	    {__LINE__, "*-*-* *:*:*", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
	     "2027-01-01T00:00:00Z", SCHEDULE_COUNT_MAX},
	    {__LINE__, "*-*-* 02:*:*", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
	     "2026-12-31T02:59:59Z", SCHEDULE_COUNT_MAX},
	    /* over the changes of the clocks: a skipped 02:30 comes at 03:30, a repeated one once
	     */
	    {__LINE__, "02:30 Europe/Berlin", "UTC", "2026-03-28T01:30:00Z", "2026-03-28T12:00:00Z",
	     "2026-03-29T01:30:00Z", 0},
	    {__LINE__, "02:30 Europe/Berlin", "UTC", "2026-03-29T01:30:00Z", "2026-03-29T12:00:00Z",
	     "2026-03-30T00:30:00Z", 0},
	    {__LINE__, "02:30 Europe/Berlin", "UTC", "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z",
	     "2026-10-25T00:30:00Z", 1},
	    {__LINE__, "02:30 Europe/Berlin", "UTC", "2026-10-25T00:30:00Z", "2026-10-25T01:45:00Z",
	     "2026-10-26T01:30:00Z", 0},
	    {__LINE__, "02:15", "Australia/Lord_Howe", "2026-10-02T15:45:00Z",
	     "2026-10-03T15:45:00Z", "2026-10-03T15:45:00Z", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct calendar calendar;
		int64_t due = 0;
		int passed = -1;

		OK(calendar_parse(table[i].calendar, &calendar, &err));
		ck_assert_msg(schedule_due(&calendar, table[i].zone, at(table[i].after),
					   at(table[i].now), &due, &passed) == 0,
			      "line %d", table[i].line);
		ck_assert_msg(due == at(table[i].due), "line %d: %s", table[i].line,
			      when_utc(due).s);
		ck_assert_msg(passed == table[i].passed, "line %d: %d", table[i].line, passed);
	}
}
END_TEST

START_TEST(test_due_never)
{
	struct calendar calendar;
	int64_t due;
	int passed;

	OK(calendar_parse("2026-11-23 02:00", &calendar, &err));
	ck_assert_int_eq(schedule_due(&calendar, "UTC", at("2026-11-23T02:00:00Z"),
				      at("2026-11-24T00:00:00Z"), &due, &passed),
			 -ENOENT);
}
END_TEST

/* Whatever passes: the same as walking from one to the next. */
START_TEST(test_due_walk)
{
	static const char *const calendars[] = {"*:0/20", "Mon..Fri 02:30", "*-*~1 00:30",
						"1..4/2:45", "0 2 13 * 5"};
	static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe",
					    "America/Sao_Paulo", "Pacific/Apia"};
	int64_t from = at("2026-03-01T00:00:00Z");
	uint64_t random = 1;

	for (int i = 0; i < 400; i++) {
		struct calendar calendar;
		const char *zone = zones[i % 5];
		int64_t after, until, next, want = 0, due;
		int n = 0, passed;

		random = random * 6364136223846793005u + 1442695040888963407u;
		after = from + (int64_t)(random >> 33) % (400 * 86400) * WHEN_SECOND;
		until =
		    after + (int64_t)(random >> 20) % (i % 3 ? 86400 : 20 * 86400) * WHEN_SECOND;
		OK(calendar_parse(calendars[i / 5 % 5], &calendar, &err));
		next = after;
		for (;;) {
			OK(calendar_next(&calendar, next, zone, &next, NULL));
			if (next > until)
				break;
			want = next;
			n++;
		}
		OK(schedule_due(&calendar, zone, after, until, &due, &passed));
		ck_assert_msg(due == (n ? want : next), "%s %s after %s at %s: %s",
			      calendars[i / 5 % 5], zone, when_utc(after).s, when_utc(until).s,
			      when_utc(due).s);
		ck_assert_int_eq(passed, n < SCHEDULE_COUNT_MAX ? n : SCHEDULE_COUNT_MAX);
	}
}
END_TEST

START_TEST(test_wanted)
{
	static const struct {
		const char *text;
		int wants; /* -1: refused */
		int64_t number;
	} table[] = {
	    {"live", SCHEDULE_WANTS_LIVE, 0},
	    {"live/1", SCHEDULE_WANTS_BUILD, 1},
	    {"1.0.2", SCHEDULE_WANTS_RELEASE, 0},
	    {"1.0.2/3", SCHEDULE_WANTS_BUILD, 3},
	    {"1.0.2/", -1, 0},
	    {"", -1, 0},
	    {"1.0.2/0", -1, 0},
	    {"../1", -1, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		enum schedule_wants wants = SCHEDULE_WANTS_LIVE;
		struct build_ref ref = {.number = 0};
		int r = schedule_wanted(table[i].text, &wants, &ref, NULL);

		ck_assert_msg((r == 0) == (table[i].wants >= 0), "%s", table[i].text);
		ck_assert_msg(r < 0 ||
				  ((int)wants == table[i].wants && ref.number == table[i].number),
			      "%s", table[i].text);
	}
}
END_TEST

/* ---- plays ---- */

static int64_t next_us;
static const struct queue_who ana = {.uid = 1000, .name = "ana"};

static const char plans[] = "plan \"web\" { step \"one\" { run = 'true' } }\n";

/* What stands in the application's file, SECTIONS too; PRODUCTION: of that stage. free() */
static char *
application(const char *production, const char *sections)
{
	return xasprintf(" stage \"testing\" { plan = \"web\" }\n"
			 " stage \"production\" { plan = \"web\" %s }\n%s",
			 production, sections);
}

static void
load(const char *production, const char *sections)
{
	_cleanup_free_ char *text = application(production, sections);

	play_load("", text, plans);
}

static void
set_up_with(const char *production, const char *sections)
{
	_cleanup_free_ char *text = application(production, sections);

	play_begin("", text, plans);
	OK(queue_set_highest(queue, 0, &err));
	OK(store_begin(store, &err));
	play_add_build("1.0/1");
	play_add_build("1.0/2");
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

/* The new schedule's number; 0 with ERR. */
static int64_t
add(const char *wanted, const char *calendar, const char *reason)
{
	struct queue_recurring asked = {.application = "shop",
					.stage = "production",
					.wanted = wanted,
					.calendar = calendar,
					.zone = "UTC",
					.reason = reason,
					.grace_us = -1};
	struct store_schedule schedule;
	int64_t id;

	err_clear(&err);
	err = ERR_INIT;
	if (queue_schedule_add(queue, &asked, &ana, now, &schedule, &err) < 0)
		return 0;
	id = schedule.id;
	store_schedule_clear(&schedule);
	return id;
}

static int64_t
waiting(int64_t schedule)
{
	int64_t job;

	OK(store_schedule_waiting(store, schedule, 0, &job, &err));
	return job;
}

static int64_t
last(int64_t schedule)
{
	int64_t job;

	OK(store_schedule_last(store, schedule, &job, &err));
	return job;
}

/* One value of a job as text, kept until the next call but three. */
static const char *
of(int64_t id, const char *key)
{
	static char texts[4][1024];
	static int turn;
	char *text = texts[turn++ % 4];
	_cleanup_json_ json_t *object = NULL;
	const json_t *value;
	struct job job;

	OK(store_job_get(store, id, &job, &err));
	object = queue_job_json(queue, &job, false, now);
	job_clear(&job);
	value = json_object_get(object, key);
	if (json_is_object(value))
		value = json_object_get(value, "text");
	if (json_is_integer(value))
		snprintf(text, 1024, "%lld", (long long)json_integer_value(value));
	else
		snprintf(text, 1024, "%s", json_is_string(value) ? json_string_value(value) : "");
	return text;
}

static int64_t starting; /* a job that was only begun to start */

static int
on_start(struct job *job, void *arg)
{
	char run[RUN_ID_SIZE];
	int64_t id = job->id;

	snprintf(run, sizeof(run), "%032lld", (long long)id);
	OK(queue_starting(queue, job, run, "boot", now, &err));
	if (arg)
		starting = id;
	else
		OK(queue_running(queue, id, run, now, &err));
	return 0;
}

static void
look_and(void *only_starting)
{
	int r = queue_look(queue, now, on_start, only_starting, &next_us, &err);

	ck_assert_msg(r == 0, "%s", err.text);
}

static void
look(void)
{
	look_and(NULL);
}

static void
end(int64_t id, const char *how)
{
	struct run_result result = {.job = id, .finished_us = now, .began = true};
	struct job job;

	OK(store_job_get(store, id, &job, &err));
	strcpy(result.run, job.run);
	strcpy(result.request_digest, job.request_digest);
	result.started_us = job.started_us;
	strcpy(result.state, how);
	if (strcmp(how, "failed") == 0)
		result.exit_code = 1;
	OK(queue_finished(queue, &result, now, &err));
	job_clear(&job);
}

static void
cancel(int64_t id)
{
	struct job job;
	bool kill;

	OK(queue_cancel(queue, id, "not today", &ana, now, &kill, &job, &err));
	job_clear(&job);
}

static struct store_schedule
get(int64_t id)
{
	struct store_schedule schedule;

	OK(store_schedule_get(store, id, &schedule, &err));
	return schedule;
}

static int
count_waiting(const struct job *job, void *arg)
{
	(void)job;
	++*(int *)arg;
	return 0;
}

/* Jobs that are not final, of all schedules. */
static int
open_jobs(void)
{
	int n = 0;

	OK(store_job_each_waiting(store, NULL, INT64_MIN, 0, 1000, count_waiting, &n, &err));
	return n;
}

START_TEST(test_one_after_the_other)
{
	int64_t id, first, second;

	set_up();
	id = add("1.0", "02:00 Europe/Berlin", "nightly");
	ck_assert_int_gt(id, 0);
	first = waiting(id);
	TEXT(of(first, "state"), "scheduled");
	TEXT(of(first, "due"), "2026-11-23T01:00:00.000000Z");
	TEXT(of(first, "zone"), "Europe/Berlin");
	TEXT(of(first, "requested_by"), "schedule 1");
	TEXT(of(first, "schedule"), "1");
	TEXT(of(first, "reason"), "nightly");
	TEXT(of(first, "wanted"), "1.0");
	TEXT(of(first, "build"), "2"); /* what it would be now */
	look();
	ck_assert_int_eq(next_us, at("2026-11-23T01:00:00Z"));
	/* The next one comes when it begins to run, not before. */
	now = at("2026-11-23T01:00:00Z");
	look();
	TEXT(of(first, "state"), "running");
	second = waiting(id);
	ck_assert_int_ne(first, second);
	TEXT(of(second, "due"), "2026-11-24T01:00:00.000000Z");
	end(first, "succeeded");
	ck_assert_int_eq(waiting(id), second);
	ck_assert_int_eq(last(id), first);
	ck_assert_int_eq(open_jobs(), 1);
	tear_down();
}
END_TEST

START_TEST(test_build_is_chosen_at_the_start)
{
	_cleanup_json_ json_t *warnings = NULL;
	struct build_ref two = {"1.0", 2};
	int64_t release, live, exact, job;

	set_up();
	release = add("1.0", "02:00", NULL);
	live = add("live", "03:00", NULL);
	exact = add("1.0/1", "04:00", NULL);
	TEXT(of(waiting(live), "release"), "live"); /* nothing is */
	TEXT(of(waiting(live), "build"), "0");
	TEXT(of(waiting(exact), "wanted"), "");
	play_add_build("1.0/3");
	TEXT(of(waiting(release), "build"), "3");
	now = at("2026-11-23T02:00:00Z");
	look();
	job = last(release);
	TEXT(of(job, "build"), "3");
	end(job, "succeeded");
	TEXT(of(waiting(live), "build"), "3");
	now = at("2026-11-23T03:00:00Z");
	look();
	job = last(live);
	TEXT(of(job, "build"), "3");
	TEXT(of(job, "mode"), "redeploy");
	end(job, "succeeded");
	now = at("2026-11-23T04:00:00Z");
	look();
	job = last(exact);
	TEXT(of(job, "build"), "1");
	end(job, "succeeded");
	/* A build that is rejected has no turn, but for a schedule of it alone. */
	OK(queue_reject(queue, "shop", &two, "bad", &ana, now, &warnings, &err));
	TEXT(of(waiting(release), "state"), "scheduled");
	TEXT(of(waiting(release), "build"), "3");
	tear_down();
}
END_TEST

START_TEST(test_nothing_to_deploy_is_held)
{
	int64_t id, job;

	set_up();
	id = add("live", "02:00", NULL);
	job = waiting(id);
	now = at("2026-11-23T02:00:00Z");
	look();
	TEXT(of(job, "state"), "held");
	HAS(of(job, "waits_for"), "nothing is live on production");
	/* It waits: no other one comes. */
	now += 3 * DAY;
	look();
	ck_assert_int_eq(waiting(id), job);
	ck_assert_int_eq(open_jobs(), 1);
	cancel(job);
	TEXT(of(waiting(id), "due"), "2026-11-27T02:00:00.000000Z");
	/* Let go once there is something: it runs, and the next one comes. */
	job = waiting(id);
	now = at("2026-11-27T02:00:00Z");
	look();
	TEXT(of(job, "state"), "held");
	{
		struct build_ref one = {"1.0", 1};
		struct job released;

		OK(queue_settle(queue, "shop", "production", &one, "looked", &ana, now, &err));
		OK(queue_release(queue, job, &ana, now, &released, &err));
		job_clear(&released);
	}
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(job, "build"), "1");
	TEXT(of(waiting(id), "due"), "2026-11-28T02:00:00.000000Z");
	tear_down();
}
END_TEST

START_TEST(test_cancel_skips_one)
{
	int64_t id, job;

	set_up();
	id = add("1.0", "02:00", NULL);
	job = waiting(id);
	cancel(job);
	TEXT(of(waiting(id), "due"), "2026-11-24T02:00:00.000000Z");
	cancel(waiting(id));
	TEXT(of(waiting(id), "due"), "2026-11-25T02:00:00.000000Z");
	ck_assert_int_eq(open_jobs(), 1);
	tear_down();
}
END_TEST

START_TEST(test_moved_by_hand)
{
	struct queue_when when = {.now = true};
	int64_t id, job;
	struct job moved;

	set_up();
	id = add("1.0", "02:00", NULL);
	job = waiting(id);
	OK(queue_reschedule(queue, job, &when, now, &moved, &err));
	job_clear(&moved);
	look();
	TEXT(of(job, "state"), "running");
	/* Its occurrence is done with. */
	TEXT(of(waiting(id), "due"), "2026-11-24T02:00:00.000000Z");
	end(job, "succeeded");
	/* Moved behind the next one: it takes that with it. */
	job = waiting(id);
	when = (struct queue_when){.at_us = at("2026-11-25T10:00:00Z"), .zone = "UTC"};
	OK(queue_reschedule(queue, job, &when, now, &moved, &err));
	job_clear(&moved);
	now = at("2026-11-25T10:00:00Z");
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(job, "due"), "2026-11-25T10:00:00.000000Z");
	TEXT(of(waiting(id), "due"), "2026-11-26T02:00:00.000000Z");
	tear_down();
}
END_TEST

/* bmd was down over several: they are one, the last. */
START_TEST(test_missed_collapse)
{
	int64_t id, job;

	set_up();
	id = add("1.0", "*:0/10", NULL);
	job = waiting(id);
	TEXT(of(job, "due"), "2026-11-22T23:10:00.000000Z");
	now = T0 + 2 * HOUR + 5 * MIN; /* 01:05: the one of 01:00 is within its grace */
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(job, "due"), "2026-11-23T01:00:00.000000Z");
	HAS(of(job, "message"), "of 12 occurrences this is the last");
	ck_assert_int_eq(open_jobs(), 2);
	TEXT(of(waiting(id), "due"), "2026-11-23T01:10:00.000000Z");
	end(job, "succeeded");
	/* With a longer pause between them, the last is beyond its grace too. */
	id = add("1.0", "Mon 02:00", NULL);
	job = waiting(id);
	now = at("2026-12-09T00:00:00Z");
	look();
	TEXT(of(job, "state"), "missed");
	TEXT(of(job, "due"), "2026-12-07T02:00:00.000000Z");
	HAS(of(job, "message"), "of 3 occurrences this is the last");
	TEXT(of(waiting(id), "due"), "2026-12-14T02:00:00.000000Z");
	tear_down();
}
END_TEST

/* What passes while a job waits in line is one with it. */
START_TEST(test_late_in_line)
{
	int64_t id, job, next;

	set_up();
	id = add("1.0", "*:0/10", NULL);
	OK(queue_lock(queue, "shop", "production", "inventory", 0, &ana, now, &err));
	job = waiting(id);
	for (now = T0 + 10 * MIN; now <= T0 + 30 * MIN; now += 10 * MIN) {
		look();
		ck_assert_int_eq(waiting(id), job);
		ck_assert_int_eq(open_jobs(), 1);
	}
	TEXT(of(job, "state"), "queued");
	OK(queue_unlock(queue, "shop", "production", &err));
	now = T0 + 35 * MIN;
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(job, "due"), "2026-11-22T23:10:00.000000Z");
	next = waiting(id);
	TEXT(of(next, "due"), "2026-11-22T23:40:00.000000Z");
	/* And past the grace it is missed as any other. */
	end(job, "succeeded");
	OK(queue_lock(queue, "shop", "production", "inventory", 0, &ana, now, &err));
	now = T0 + 40 * MIN;
	look();
	now = T0 + 75 * MIN;
	look();
	TEXT(of(next, "state"), "missed");
	HAS(of(next, "message"), "production is locked");
	TEXT(of(waiting(id), "due"), "2026-11-23T00:20:00.000000Z");
	tear_down();
}
END_TEST

START_TEST(test_runs_longer_than_its_period)
{
	int64_t id, job, next;

	set_up();
	id = add("1.0", "*:0/10", NULL);
	job = waiting(id);
	now = T0 + 10 * MIN;
	look();
	next = waiting(id);
	now = T0 + 34 * MIN;
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(next, "state"), "queued");
	ck_assert_int_eq(open_jobs(), 2);
	end(job, "succeeded");
	look();
	TEXT(of(next, "state"), "running");
	TEXT(of(waiting(id), "due"), "2026-11-22T23:40:00.000000Z");
	tear_down();
}
END_TEST

START_TEST(test_pause_and_resume)
{
	struct store_schedule schedule;
	int64_t id, job, cancelled;

	set_up();
	id = add("1.0", "02:00", NULL);
	job = waiting(id);
	schedule = get(id);
	OK(queue_schedule_pause(queue, &schedule, "inventory", &ana, now, &cancelled, &err));
	ck_assert_int_eq(cancelled, job);
	TEXT(of(job, "state"), "cancelled");
	TEXT(of(job, "message"), "schedule 1 was paused: inventory");
	ck_assert_int_eq(waiting(id), 0);
	look();
	ck_assert_int_eq(next_us, INT64_MAX); /* nobody wakes for it */
	/* Twice is once. */
	OK(queue_schedule_pause(queue, &schedule, NULL, &ana, now, &cancelled, &err));
	ck_assert_int_eq(cancelled, 0);
	/* Resumed before its time nothing was missed. */
	now += HOUR;
	OK(queue_schedule_resume(queue, &schedule, now, &err));
	TEXT(of(waiting(id), "due"), "2026-11-23T02:00:00.000000Z");
	/* Resumed within the grace of the last: it runs. */
	OK(queue_schedule_pause(queue, &schedule, NULL, &ana, now, &cancelled, &err));
	now = at("2026-11-25T02:10:00Z");
	look();
	OK(queue_schedule_resume(queue, &schedule, now, &err));
	job = waiting(id);
	TEXT(of(job, "due"), "2026-11-25T02:00:00.000000Z");
	look();
	TEXT(of(job, "state"), "running");
	end(job, "succeeded");
	/* Past it, it is missed, once, and the next one comes. */
	store_schedule_clear(&schedule);
	schedule = get(id);
	OK(queue_schedule_pause(queue, &schedule, NULL, &ana, now, &cancelled, &err));
	now = at("2026-11-28T12:00:00Z");
	OK(queue_schedule_resume(queue, &schedule, now, &err));
	job = waiting(id);
	look();
	TEXT(of(job, "state"), "missed");
	HAS(of(job, "message"), "the schedule was paused then");
	HAS(of(job, "message"), "of 3 occurrences this is the last");
	TEXT(of(waiting(id), "due"), "2026-11-29T02:00:00.000000Z");
	store_schedule_clear(&schedule);
	tear_down();
}
END_TEST

START_TEST(test_remove)
{
	struct store_schedule schedule;
	int64_t id, job, next, cancelled;

	set_up();
	id = add("1.0", "*:0/10", NULL);
	job = waiting(id);
	now = T0 + 10 * MIN;
	look();
	next = waiting(id);
	schedule = get(id);
	OK(queue_schedule_remove(queue, &schedule, "enough", &ana, now, &cancelled, &err));
	ck_assert_int_eq(cancelled, next);
	TEXT(of(next, "message"), "schedule 1 was removed: enough");
	TEXT(of(job, "state"), "running"); /* goes on */
	end(job, "succeeded");
	ck_assert_int_eq(open_jobs(), 0);
	store_schedule_clear(&schedule);
	ck_assert_int_eq(store_schedule_get(store, id, &schedule, &err), -ENOENT);
	/* Its number is not given again. */
	ck_assert_int_eq(add("1.0", "*:0/10", NULL), 2);
	tear_down();
}
END_TEST

/* A start that did not happen: the job waits again, and no second one does. */
START_TEST(test_start_that_did_not_happen)
{
	int64_t id, job, next;

	set_up();
	id = add("1.0", "*:0/10", NULL);
	job = waiting(id);
	now = T0 + 10 * MIN;
	look_and(&now);
	ck_assert_int_eq(starting, job);
	ck_assert_int_eq(waiting(id), job);
	{
		char run[RUN_ID_SIZE];

		snprintf(run, sizeof(run), "%032lld", (long long)job);
		OK(queue_not_started(queue, job, run, "no room", false, now, &err));
		TEXT(of(job, "state"), "queued");
		ck_assert_int_eq(open_jobs(), 1);
		/* It was running, and then it turns out that no step ever ran. */
		now += MIN;
		look();
		TEXT(of(job, "state"), "running");
		next = waiting(id);
		ck_assert_int_ne(next, job);
		OK(queue_not_started(queue, job, run, "bmd-run was gone", false, now, &err));
	}
	TEXT(of(job, "state"), "queued");
	TEXT(of(next, "state"), "cancelled");
	HAS(of(next, "message"), "of the same schedule waits again");
	ck_assert_int_eq(open_jobs(), 1);
	now += MIN;
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(waiting(id), "due"), "2026-11-22T23:20:00.000000Z");
	tear_down();
}
END_TEST

/* Paused while bmd-run gets ready: it is not told to go, and does not wait again. */
START_TEST(test_paused_while_starting)
{
	struct store_schedule schedule;
	char run[RUN_ID_SIZE];
	int64_t id, job, cancelled;

	set_up();
	id = add("1.0", "*:0/10", NULL);
	job = waiting(id);
	now = T0 + 10 * MIN;
	look_and(&now);
	ck_assert_int_eq(starting, job);
	schedule = get(id);
	OK(queue_schedule_pause(queue, &schedule, "inventory", &ana, now, &cancelled, &err));
	store_schedule_clear(&schedule);
	snprintf(run, sizeof(run), "%032lld", (long long)job);
	ck_assert_int_lt(queue_running(queue, job, run, now, &err), 0);
	HAS(err.text, "schedule 1 was paused by ana");
	OK(queue_not_started(queue, job, run, err.text, false, now, &err));
	TEXT(of(job, "state"), "cancelled");
	ck_assert_int_eq(open_jobs(), 0);
	/* Its occurrence is not done with. */
	schedule = get(id);
	OK(queue_schedule_resume(queue, &schedule, now, &err));
	store_schedule_clear(&schedule);
	TEXT(of(waiting(id), "due"), "2026-11-22T23:10:00.000000Z");
	tear_down();
}
END_TEST

/* What a failed run holds: not the way back, which "live" is. */
START_TEST(test_dirty_stage)
{
	int64_t release, live, job;

	set_up();
	release = add("1.0/1", "02:00", NULL);
	now = at("2026-11-23T02:00:00Z");
	look();
	end(last(release), "succeeded");
	release = add("1.0/2", "03:00", NULL);
	live = add("live", "03:10", NULL);
	now = at("2026-11-23T03:00:00Z");
	look();
	end(last(release), "failed");
	now = at("2026-11-23T03:10:00Z");
	look();
	job = last(live);
	ck_assert_int_gt(job, 0);
	TEXT(of(job, "state"), "running");
	TEXT(of(job, "build"), "1");
	end(job, "succeeded");
	tear_down();
}
END_TEST

START_TEST(test_refused)
{
	static const struct {
		const char *wanted, *calendar;
		enum err_code code;
		const char *says;
	} table[] = {
	    {"2.0", "02:00", ERR_NO_SUCH_BUILD, "shop has no build 2.0"},
	    {"1.0/9", "02:00", ERR_NO_SUCH_BUILD, "1.0/9"},
	    {"1.0/2", "02:00", ERR_REFUSED, "was rejected"},
	    {"1.0", "25:00", ERR_BAD_TIME, "column 1"},
	    {"1.0", "2001-01-01", ERR_BAD_TIME, "does not come after"},
	    {"1.0", "02:00 Europe/Berlinn", ERR_BAD_TIME, "no zone"},
	};
	struct build_ref two = {"1.0", 2}, one = {"1.0", 1};
	json_t *warnings = NULL;

	set_up_with("require-reason = true", "");
	OK(queue_reject(queue, "shop", &two, "bad", &ana, now, &warnings, &err));
	json_decref(warnings);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ck_assert_int_eq(add(table[i].wanted, table[i].calendar, "r"), 0);
		ck_assert_msg(err.code == table[i].code, "%zu: %s", i, err.text);
		HAS(err.text, table[i].says);
	}
	ck_assert_int_eq(add("1.0", "02:00", NULL), 0);
	ck_assert_int_eq(err.code, ERR_REASON_REQUIRED);
	OK(queue_reject(queue, "shop", &one, "bad", &ana, now, &warnings, &err));
	json_decref(warnings);
	ck_assert_int_eq(add("1.0", "02:00", "r"), 0);
	HAS(err.text, "only rejected builds");
	ck_assert_int_eq(open_jobs(), 0);
	tear_down();
}
END_TEST

/* ---- sections of the configuration ---- */

#define NIGHTLY(more) \
	"schedule \"nightly\" { on = \"02:00 UTC\" build = \"1.0\" to = \"production\" " more " }"

static void
sections(bool whole)
{
	OK(queue_sections(queue, whole, now, &err));
}

static struct store_schedule
named(const char *name)
{
	struct store_schedule schedule;

	OK(queue_schedule_find(queue, NULL, 0, NULL, name, &schedule, &err));
	return schedule;
}

START_TEST(test_sections)
{
	struct store_schedule schedule, again;
	int64_t job, cancelled;

	set_up_with("", NIGHTLY("reason = \"r\" grace = \"1h\""));
	sections(true);
	schedule = named("nightly");
	job = waiting(schedule.id);
	TEXT(of(job, "due"), "2026-11-23T02:00:00.000000Z");
	TEXT(of(job, "reason"), "r");
	TEXT(of(job, "grace_us"), "3600000000");
	TEXT(schedule.created_by, "configuration");
	/* As it was: nothing happens. A comment moves it by a line: neither. */
	sections(true);
	ck_assert_int_eq(waiting(schedule.id), job);
	load("", "# a comment\n" NIGHTLY("reason = \"r\" grace = \"1h\""));
	sections(true);
	ck_assert_int_eq(waiting(schedule.id), job);
	again = named("nightly");
	ck_assert_int_eq(again.line, schedule.line + 1);
	store_schedule_clear(&again);
	/* Not by command; the error says where. */
	ck_assert_int_lt(queue_schedule_remove(queue, &schedule, NULL, &ana, now, &cancelled, &err),
			 0);
	HAS(err.text, "applications.d/shop.conf:5: take it away there");
	/* Changed: the job is made again, with the same time. */
	load("", NIGHTLY("reason = \"other\""));
	sections(true);
	TEXT(of(job, "state"), "cancelled");
	HAS(of(job, "message"), "schedule nightly was changed in the configuration");
	job = waiting(schedule.id);
	TEXT(of(job, "due"), "2026-11-23T02:00:00.000000Z");
	TEXT(of(job, "reason"), "other");
	/* A pause outlives a reload, and a change. */
	store_schedule_clear(&schedule);
	schedule = named("nightly");
	OK(queue_schedule_pause(queue, &schedule, NULL, &ana, now, &cancelled, &err));
	load("", NIGHTLY("reason = \"third\""));
	sections(true);
	ck_assert_int_eq(waiting(schedule.id), 0);
	store_schedule_clear(&schedule);
	schedule = named("nightly");
	TEXT(schedule.paused_by, "ana");
	OK(queue_schedule_resume(queue, &schedule, now, &err));
	job = waiting(schedule.id);
	TEXT(of(job, "reason"), "third");
	/* Gone: but not while a file cannot be read. */
	load("", "");
	{
		_cleanup_free_ char *path = xasprintf("%s/applications.d/shop.conf", folder);
		_cleanup_free_ char *main_path = xasprintf("%s/bmd.conf", folder);
		struct conf *empty = NULL;
		struct conf_problems problems = {0};

		ck_assert_int_eq(unlink(path), 0);
		OK(conf_load(main_path, 0, &empty, &problems));
		conf_problems_clear(&problems);
		queue_set_conf(queue, empty);
		sections(false);
		ck_assert_int_eq(waiting(schedule.id), job);
		sections(true);
		queue_set_conf(queue, conf);
		conf_free(empty);
	}
	TEXT(of(job, "state"), "cancelled");
	HAS(of(job, "message"), "not in the configuration any more");
	ck_assert_int_eq(store_schedule_get(store, schedule.id, &again, &err), -ENOENT);
	HAS(told, "is gone");
	store_schedule_clear(&schedule);
	tear_down();
}
END_TEST

START_TEST(test_section_with_other_times)
{
	struct store_schedule schedule;
	int64_t job;

	set_up_with("", NIGHTLY(""));
	sections(true);
	/* New times count from the reload on: the 23:30 that has just passed was never promised. */
	now = T0 + HOUR;
	load("", "schedule \"nightly\" { on = \"23:30 UTC\" build = \"1.0\" to = \"production\" }");
	sections(true);
	schedule = named("nightly");
	job = waiting(schedule.id);
	TEXT(of(job, "due"), "2026-11-23T23:30:00.000000Z");
	store_schedule_clear(&schedule);
	tear_down();
}
END_TEST

/* A job that was there before bmd went down, and a section that is new when it comes back. */
START_TEST(test_sections_after_a_restart)
{
	struct store_schedule schedule;
	int64_t job;

	set_up_with("", NIGHTLY(""));
	sections(true);
	schedule = named("nightly");
	job = waiting(schedule.id);
	OK(store_commit(store, now, &err));
	play_restart();
	OK(queue_set_highest(queue, 0, &err));
	OK(store_begin(store, &err));
	now = at("2026-11-24T02:10:00Z");
	sections(true);
	ck_assert_int_eq(waiting(schedule.id), job);
	look();
	TEXT(of(job, "state"), "running");
	TEXT(of(job, "due"), "2026-11-24T02:00:00.000000Z");
	store_schedule_clear(&schedule);
	tear_down();
}
END_TEST

/* keep-builds leaves what a schedule would deploy, also while it is paused. */
START_TEST(test_builds_are_kept)
{
	_cleanup_json_ json_t *reply = NULL;
	struct store_schedule schedule;
	int64_t cancelled;
	size_t i;
	json_t *build;

	set_up_with("", "keep-builds = 1");
	play_add_build("0.9/1");
	play_add_build("0.9/2");
	play_add_build("2.0/1");
	for (int64_t id = 1; id <= 2; id++) {
		ck_assert_int_eq(add(id == 1 ? "1.0/1" : "0.9", "02:00", NULL), id);
		schedule = get(id);
		OK(queue_schedule_pause(queue, &schedule, NULL, &ana, now, &cancelled, &err));
		store_schedule_clear(&schedule);
	}
	OK(queue_collect(queue, "shop", true, &ana, now, &reply, &err));
	json_array_foreach (json_object_get(reply, "builds"), i, build) {
		struct build_ref ref = {.number = json_get_int(build, "build", 0)};
		bool kept;

		snprintf(ref.release, sizeof(ref.release), "%s", json_get_string(build, "release"));
		kept = strcmp(names_build_text(&ref).s, "1.0/1") == 0 ||
		       strcmp(names_build_text(&ref).s, "0.9/2") == 0 ||
		       strcmp(names_build_text(&ref).s, "2.0/1") == 0;
		ck_assert_msg(json_get_bool(build, "freed") == !kept, "%s: %s",
			      names_build_text(&ref).s, json_get_string(build, "text"));
	}
	ck_assert_uint_eq(i, 5);
	tear_down();
}
END_TEST

/* A clock that was years ahead when somebody cancelled a job, and is put back: the schedule does
 * not sleep until then. */
START_TEST(test_clock_put_back)
{
	int64_t id, job;

	set_up();
	id = add("1.0", "02:00", NULL);
	now = at("2098-01-01T12:00:00Z");
	cancel(waiting(id));
	TEXT(of(waiting(id), "due"), "2098-01-02T02:00:00.000000Z");
	now = T0 + HOUR;
	sections(true);
	job = waiting(id);
	TEXT(of(job, "due"), "2026-11-23T02:00:00.000000Z");
	HAS(told, "the clock was ahead, at 2098-01-01T12:00:00.000000Z");
	/* One that was cancelled before its time stays so. */
	cancel(job);
	sections(true);
	TEXT(of(waiting(id), "due"), "2026-11-24T02:00:00.000000Z");
	tear_down();
}
END_TEST

/* By an hour: what ran does not run again. In 1970, and right again: neither. */
START_TEST(test_clock_behind)
{
	int64_t id, job;

	set_up();
	id = add("1.0", "02:00", NULL);
	now = at("2026-11-23T02:00:00.005Z");
	look();
	job = last(id);
	TEXT(of(job, "state"), "running");
	end(job, "succeeded");
	now -= HOUR;
	sections(true);
	TEXT(of(waiting(id), "due"), "2026-11-24T02:00:00.000000Z");
	now = at("1970-01-01T00:10:00Z");
	sections(true);
	TEXT(of(waiting(id), "due"), "1970-01-01T02:00:00.000000Z");
	now = at("2026-11-23T02:15:00Z");
	look();
	sections(true);
	look();
	TEXT(of(waiting(id), "due"), "2026-11-24T02:00:00.000000Z");
	TEXT(of(waiting(id), "state"), "scheduled");
	ck_assert_int_eq(last(id) == job || strcmp(of(last(id), "state"), "cancelled") == 0, 1);
	now = at("2026-11-24T02:00:00Z");
	look();
	TEXT(of(last(id), "state"), "running");
	tear_down();
}
END_TEST

/* hold: what somebody deployed in between is not overwritten, and what the schedule itself did is
 * no surprise to it. */
START_TEST(test_guard)
{
	struct queue_recurring asked = {.application = "shop",
					.stage = "production",
					.wanted = "1.0",
					.calendar = "02:00",
					.zone = "UTC",
					.grace_us = -1,
					.has_if_changed = true,
					.if_changed = JOB_HOLD};
	struct queue_request request = {.application = "shop",
					.release = "1.0",
					.build = 1,
					.stage = "production",
					.when.now = true,
					.has_when = true,
					.grace_us = -1};
	struct queue_answer answer;
	struct store_schedule schedule;
	int64_t id, job;

	set_up();
	OK(queue_schedule_add(queue, &asked, &ana, now, &schedule, &err));
	id = schedule.id;
	store_schedule_clear(&schedule);
	for (int day = 0; day < 2; day++) {
		now = at("2026-11-23T02:00:00Z") + day * DAY;
		job = waiting(id);
		look();
		TEXT(of(job, "state"), "running");
		play_add_build(day ? "1.0/4"
				   : "1.0/3"); /* what it deploys is another one each time */
		end(job, "succeeded");
	}
	now += HOUR;
	OK(queue_request(queue, &request, &ana, now, &answer, &err));
	look();
	end(answer.job.id, "succeeded");
	queue_answer_clear(&answer);
	now = at("2026-11-25T02:00:00Z");
	job = waiting(id);
	look();
	TEXT(of(job, "state"), "held");
	HAS(of(job, "waits_for"), "1.0/1 went live");
	tear_down();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("schedule");
	TCase *rules = tcase_create("rules"), *plays = tcase_create("plays");

	tcase_set_timeout(rules, 60);
	tcase_add_test(rules, test_due);
	tcase_add_test(rules, test_due_never);
	tcase_add_test(rules, test_due_walk);
	tcase_add_test(rules, test_wanted);
	suite_add_tcase(suite, rules);
	tcase_set_timeout(plays, 60);
	tcase_add_test(plays, test_one_after_the_other);
	tcase_add_test(plays, test_build_is_chosen_at_the_start);
	tcase_add_test(plays, test_nothing_to_deploy_is_held);
	tcase_add_test(plays, test_cancel_skips_one);
	tcase_add_test(plays, test_moved_by_hand);
	tcase_add_test(plays, test_missed_collapse);
	tcase_add_test(plays, test_late_in_line);
	tcase_add_test(plays, test_runs_longer_than_its_period);
	tcase_add_test(plays, test_pause_and_resume);
	tcase_add_test(plays, test_remove);
	tcase_add_test(plays, test_start_that_did_not_happen);
	tcase_add_test(plays, test_paused_while_starting);
	tcase_add_test(plays, test_dirty_stage);
	tcase_add_test(plays, test_refused);
	tcase_add_test(plays, test_sections);
	tcase_add_test(plays, test_section_with_other_times);
	tcase_add_test(plays, test_sections_after_a_restart);
	tcase_add_test(plays, test_clock_put_back);
	tcase_add_test(plays, test_clock_behind);
	tcase_add_test(plays, test_guard);
	tcase_add_test(plays, test_builds_are_kept);
	suite_add_tcase(suite, plays);
	return unit_run(suite);
}
