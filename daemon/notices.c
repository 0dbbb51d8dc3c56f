/* SPDX-License-Identifier: ISC */
/*
 * One look after each change: of each section that has something to be delivered, and nobody at
 * work, the first that is due is tried, a few at a time over all. An attempt stays in the list
 * until its outcome is on disk, so that a full disk does not repeat what was delivered. What fails
 * is due again after a pause that doubles; what failed for too long, or is too much, is given up
 * and said.
 */
#include "daemon/notices.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/errand.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#define AT_ONCE	     4
#define KEPT	     200 /* of those that were delivered, and of those that were given up */
#define PRUNE_EVERY  16	 /* outcomes */
#define PAUSE_FIRST  (5 * WHEN_SECOND)
#define PAUSE_LAST   (10 * 60 * WHEN_SECOND)
#define ANSWER_S     60.0 /* so much later than the command's own time bmd-run is not waited for */
#define DISK_SECONDS 5.0
#define SHOWN_US     (INT64_C(86400) * WHEN_SECOND) /* so long status tells of what was given up */
#define TEST	     "test"
#define TESTS_MAX    10 /* of one user within a minute, each of which runs a command … */
#define TESTS_ALL    40 /* … and of all together */
#define TESTS_US     (60 * WHEN_SECOND)
#define LOOK_SECONDS 60.0 /* at most so long until the next look: timers do not go on in sleep */

struct attempt {
	struct attempt *next;
	struct notices *notices;
	struct store_notice notice;
	struct sched_errand *errand; /* NULL: its outcome is known */
	ev_timer late;
	bool delivered, recording;
	char error[ERRAND_ERROR];
};

struct notices {
	struct sched *sched;
	struct queue *queue;
	struct turn *turn;
	struct attempt *attempts;
	ev_timer due;
	ev_timer disk; /* outcomes that could not be written are, a little later */
	bool begun, looks;
	int outcomes;
	int64_t waiting; /* at most so many: counted again when it seems too many */
	int64_t base_us; /* see steady_us() */
	struct {
		int64_t uid, at_us; /* CLOCK_BOOTTIME; 0: none yet */
	} tests[TESTS_ALL];	    /* the last ones, in no order */
};

static struct ev_loop *
loop_of(const struct notices *notices)
{
	return sched_loop(notices->sched);
}

static struct store *
store_of(const struct notices *notices)
{
	return queue_store(notices->queue);
}

/* Pauses between attempts go by a clock that nobody sets: what the wall clock said when bmd
 * started, and what has passed since. It is what `next_us` of a row means, and the wall clock
 * itself to the next bmd. */
static int64_t
steady_us(const struct notices *notices)
{
	return notices->base_us + clock_boottime_us();
}

static void look(struct notices *notices);

/* ---- the look, once a turn, behind its commit */

static void
look_committed(void *arg, const struct err *failure)
{
	struct notices *notices = arg;

	notices->looks = false;
	if (!failure)
		look(notices);
}

static void
look_later(struct notices *notices)
{
	if (notices->looks || !notices->begun)
		return;
	notices->looks = true;
	turn_after(notices->turn, look_committed, notices);
}

/* ---- an event becomes rows */

static json_t *
number_json(int64_t number)
{
	return number > 0 ? json_integer(number) : json_null();
}

/* What the receiver gets: type, timestamp and data, as Standard Webhooks has it. */
static char *
body_of(const struct event *event, const char *name, const char *id, int64_t now_us)
{
	char host[256] = "";
	_cleanup_json_ json_t *body = NULL;
	_cleanup_free_ char *type = xasprintf("bmd.%s", name);
	char *text;

	(void)gethostname(host, sizeof(host) - 1);
	body = json_pack(
	    "{s:s, s:s, s:o, s:{s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s}}", "id",
	    id, "type", type, "timestamp", json_time(now_us), "data", "event", name, "text",
	    json_bytes(event->text, strlen(event->text)), "host", json_bytes(host, strlen(host)),
	    "job", number_json(event->job), "application", event->application, "stage",
	    event->stage, "release", event->build.release, "build",
	    number_json(event->build.number), "plan", event->plan, "step", event->step, "result",
	    event->result, "requested_by", event->requester);
	text = json_compact(body, NULL);
	return text;
}

static int
add(struct notices *notices, const char *scope, const char *section, const struct event *event,
    const char *name, int64_t now_us, struct store_notice *ret_notice, struct err *err)
{
	struct store_notice notice = {
	    .job = event->job,
	    .created_us = now_us,
	    .steady_us = queue_steady_at_us(notices->queue, clock_boottime_us()),
	    .state = STORE_NOTICE_WAITING,
	    .next_us = steady_us(notices),
	};
	int r;

	run_new_id(notice.uid);
	(void)snprintf(notice.scope, sizeof(notice.scope), "%s", scope);
	(void)snprintf(notice.name, sizeof(notice.name), "%s", section);
	(void)snprintf(notice.event, sizeof(notice.event), "%s", name);
	memcpy(notice.application, event->application, sizeof(notice.application));
	memcpy(notice.stage, event->stage, sizeof(notice.stage));
	notice.body = body_of(event, name, notice.uid, now_us);
	r = store_notice_add(store_of(notices), &notice, err);
	if (r >= 0) {
		notices->waiting++;
		look_later(notices);
	}
	if (r < 0 || !ret_notice)
		store_notice_clear(&notice);
	else
		*ret_notice = notice;
	return r;
}

static void
add_wanted(struct notices *notices, const char *scope, const struct conf_notify *sections, size_t n,
	   const struct event *event)
{
	const char *name = event_name(event->kind);

	for (size_t i = 0; i < n; i++)
		if (conf_notify_wants(&sections[i], name, event->application, event->stage) &&
		    add(notices, scope, sections[i].name, event, name, clock_now_us(), NULL, NULL) <
			0)
			return; /* the commit will say it */
}

static void
on_event(const struct event *event, void *arg)
{
	struct notices *notices = arg;
	const struct conf *conf = queue_conf(notices->queue);
	const struct conf_application *application =
	    *event->application ? conf_application(conf, event->application) : NULL;

	if (event->job == 0)
		return;
	add_wanted(notices, "", conf->notifies, conf->nnotifies, event);
	if (application)
		add_wanted(notices, application->name, application->notifies,
			   application->nnotifies, event);
}

/* Notes a trial of UID, unless there were too many. */
static int
count_test(struct notices *notices, int64_t uid, struct err *err)
{
	int64_t now_us = clock_boottime_us(), his_us = INT64_MAX;
	size_t his = 0, oldest = 0;

	for (size_t i = 0; i < TESTS_ALL; i++) {
		if (notices->tests[i].at_us < notices->tests[oldest].at_us)
			oldest = i;
		if (notices->tests[i].uid != uid || notices->tests[i].at_us == 0 ||
		    notices->tests[i].at_us <= now_us - TESTS_US)
			continue;
		his++;
		if (notices->tests[i].at_us < his_us)
			his_us = notices->tests[i].at_us;
	}
	if (his < TESTS_MAX) /* else his own bound tells when */
		his_us = notices->tests[oldest].at_us;
	if (his >= TESTS_MAX || (his_us > 0 && his_us > now_us - TESTS_US))
		return err_set(err, ERR_TOO_MANY,
			       "%d notices were tested within a minute: try again in %s",
			       his >= TESTS_MAX ? TESTS_MAX : TESTS_ALL,
			       when_span(his_us + TESTS_US - now_us).s);
	notices->tests[oldest].uid = uid;
	notices->tests[oldest].at_us = now_us;
	return 0;
}

int
notices_test(struct notices *notices, const char *application, const char *name,
	     const struct queue_who *who, int64_t now_us, struct store_notice *ret_notice,
	     struct err *err)
{
	const struct conf_notify *notify =
	    conf_notify(queue_conf(notices->queue), application, name);
	struct event event = {0};
	int r;

	if (!notify)
		return err_set(err, ERR_FAILED,
			       "no notify section \"%s\"%s%s is configured: bmctl notify list "
			       "names those that are",
			       name, *application ? " of " : "", application);
	r = count_test(notices, who->uid, err);
	if (r < 0)
		return r;
	(void)snprintf(event.application, sizeof(event.application), "%s",
		       *application		    ? application
		       : notify->applications.n > 0 ? notify->applications.v[0]
						    : "");
	if (notify->stages.n > 0)
		(void)snprintf(event.stage, sizeof(event.stage), "%s", notify->stages.v[0]);
	(void)snprintf(event.requester, sizeof(event.requester), "%s", who->name);
	event.text = xasprintf("a test, asked for by %s: nothing has happened", who->name);
	r = add(notices, application, name, &event, TEST, now_us, ret_notice, err);
	free(event.text);
	return r;
}

/* ---- outcomes */

static void
attempt_free(struct attempt *attempt)
{
	struct attempt **link = &attempt->notices->attempts;

	while (*link != attempt)
		link = &(*link)->next;
	*link = attempt->next;
	ev_timer_stop(loop_of(attempt->notices), &attempt->late);
	sched_errand_free(attempt->errand);
	store_notice_clear(&attempt->notice);
	free(attempt);
}

static void
disk_later(struct notices *notices)
{
	if (ev_is_active(&notices->disk))
		return;
	ev_timer_set(&notices->disk, DISK_SECONDS, 0.);
	ev_timer_start(loop_of(notices), &notices->disk);
}

static int64_t
pause_us(int attempts)
{
	int64_t pause = PAUSE_FIRST;

	while (--attempts > 0 && pause < PAUSE_LAST)
		pause *= 2;
	return pause < PAUSE_LAST ? pause : PAUSE_LAST;
}

static const char *
whom(const struct store_notice *notice, char text[160])
{
	(void)snprintf(text, 160, "%s%s%s", notice->name, *notice->scope ? " of " : "",
		       notice->scope);
	return text;
}

/* Since it was made, whatever became of the wall clock. */
static int64_t
age_us(const struct notices *notices, const struct store_notice *notice)
{
	int64_t made_us = notice->steady_us > 0
			      ? notice->steady_us
			      : queue_steady_us(notices->queue, notice->created_us);

	return queue_steady_at_us(notices->queue, clock_boottime_us()) - made_us;
}

/* What the failed attempt means for the notice. The section may be another by now. */
static void
fail(struct notices *notices, struct store_notice *notice, const char *error)
{
	const struct conf_notify *notify =
	    conf_notify(queue_conf(notices->queue), notice->scope, notice->name);
	int64_t pause = pause_us(notice->attempts);
	char name[160];

	free(notice->error);
	notice->error = xstrdup(error);
	notice->next_us = steady_us(notices) + pause;
	if (notify && age_us(notices, notice) + pause <= notify->give_up_us &&
	    strcmp(notice->event, TEST) != 0) {
		log_warning("notice to %s of \"%s\"%s%s, attempt %d: %s; again in %s",
			    whom(notice, name), notice->event, *notice->application ? " of " : "",
			    notice->application, notice->attempts, error, when_span(pause).s);
		return;
	}
	notice->state = STORE_NOTICE_GIVEN_UP;
	log_error("notice to %s of \"%s\"%s%s was given up after %d attempt%s: %s",
		  whom(notice, name), notice->event, *notice->application ? " of " : "",
		  notice->application, notice->attempts, notice->attempts == 1 ? "" : "s", error);
}

static void
recorded(void *arg, const struct err *failure)
{
	struct attempt *attempt = arg;
	struct notices *notices = attempt->notices;

	attempt->recording = false;
	if (failure) {
		disk_later(notices);
		return;
	}
	if (attempt->notice.state != STORE_NOTICE_WAITING)
		notices->waiting--;
	attempt_free(attempt);
	look(notices);
}

/* The outcome into the database; it is repeated until it is there. */
static void
record(struct attempt *attempt)
{
	struct notices *notices = attempt->notices;
	int r = turn_begin(notices->turn, NULL);

	if (r >= 0)
		r = store_notice_put(store_of(notices), &attempt->notice, NULL);
	if (r >= 0 && ++notices->outcomes % PRUNE_EVERY == 0)
		r = store_notice_prune(store_of(notices), KEPT, NULL);
	if (r < 0) {
		disk_later(notices);
		return;
	}
	attempt->recording = true;
	turn_after(notices->turn, recorded, attempt);
}

static void
on_disk(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct notices *notices = timer->data;

	(void)loop, (void)events;
	for (struct attempt *attempt = notices->attempts, *next; attempt; attempt = next) {
		next = attempt->next;
		if (!attempt->errand && !attempt->recording)
			record(attempt);
	}
	look_later(notices);
}

static void
settle(struct attempt *attempt, const char *error)
{
	struct store_notice *notice = &attempt->notice;
	int64_t now_us = clock_now_us();

	failpoint("notice-told");
	ev_timer_stop(loop_of(attempt->notices), &attempt->late);
	sched_errand_free(TAKE(attempt->errand));
	notice->attempts++;
	notice->tried_us = now_us;
	if (error) {
		fail(attempt->notices, notice, error);
	} else {
		notice->state = STORE_NOTICE_DELIVERED;
		free(TAKE(notice->error));
	}
	record(attempt);
}

static void
on_done(const char *error, void *arg)
{
	struct attempt *attempt = arg;

	if (!attempt->errand)
		return;
	if (error)
		(void)snprintf(attempt->error, sizeof(attempt->error), "%s", error);
	settle(attempt, error ? attempt->error : NULL);
}

static void
on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	settle(timer->data, "bmd-run did not answer in time");
}

/* ---- attempts */

static bool
busy(const struct notices *notices, const char *scope, const char *name)
{
	for (const struct attempt *attempt = notices->attempts; attempt; attempt = attempt->next)
		if (strcmp(attempt->notice.scope, scope) == 0 &&
		    strcmp(attempt->notice.name, name) == 0)
			return true;
	return false;
}

/* Takes the content of NOTICE. */
static void
begin(struct notices *notices, struct store_notice *notice)
{
	const struct conf_notify *notify =
	    conf_notify(queue_conf(notices->queue), notice->scope, notice->name);
	struct attempt *attempt = xcalloc(1, sizeof(*attempt));
	struct errand_notice errand = {.attempt = notice->attempts + 1, .body = notice->body};
	_cleanup_json_ json_t *request = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	memcpy(errand.id, notice->uid, sizeof(errand.id));
	memcpy(errand.scope, notice->scope, sizeof(errand.scope));
	memcpy(errand.name, notice->name, sizeof(errand.name));
	*attempt =
	    (struct attempt){.next = notices->attempts, .notices = notices, .notice = *notice};
	ev_init(&attempt->late, on_late);
	attempt->late.data = attempt;
	notices->attempts = attempt;
	if (!notify) {
		settle(attempt, "it is not configured any more");
		return;
	}
	request = errand_notice_pack(&errand);
	if (sched_errand(notices->sched, request, on_done, attempt, &attempt->errand, &err) < 0) {
		settle(attempt, err.text);
		return;
	}
	ev_timer_set(&attempt->late, (double)notify->timeout_us / 1e6 + ANSWER_S, 0.);
	ev_timer_start(loop_of(notices), &attempt->late);
}

/* More than the outbox holds: the oldest go. */
static void
bound(struct notices *notices)
{
	struct store_notice_counts counts;
	int64_t dropped = 0;

	if (notices->waiting <= NOTICES_WAITING_MAX || turn_begin(notices->turn, NULL) < 0 ||
	    store_notice_count(store_of(notices), 0, &counts, NULL) < 0)
		return;
	for (; counts.waiting > NOTICES_WAITING_MAX; counts.waiting--, dropped++) {
		struct store_notice oldest;

		if (store_notice_oldest(store_of(notices), &oldest, NULL) != 1)
			break;
		oldest.state = STORE_NOTICE_GIVEN_UP;
		oldest.tried_us = clock_now_us();
		free(oldest.error);
		oldest.error = xstrdup("more notices wait than the outbox holds");
		(void)store_notice_put(store_of(notices), &oldest, NULL);
		store_notice_clear(&oldest);
	}
	(void)store_notice_prune(store_of(notices), KEPT, NULL);
	notices->waiting = counts.waiting;
	if (dropped > 0)
		log_error("%" PRId64 " notices were given up: more than %d wait (bmctl notify "
			  "list)",
			  dropped, NOTICES_WAITING_MAX);
}

/* When the first of a section is due. What an earlier bmd wrote is by the wall clock of then: if
 * that was set back meanwhile, it is not waited for longer than the pause was. */
static int64_t
due_us(const struct store_notice *notice, int64_t now_us)
{
	return notice->next_us > now_us + pause_us(notice->attempts) ? now_us : notice->next_us;
}

static void
look(struct notices *notices)
{
	int64_t now_us = steady_us(notices), next_us = INT64_MAX;
	double seconds;
	char scope[64] = "", name[64] = "";
	size_t n = 0;

	bound(notices);
	for (const struct attempt *attempt = notices->attempts; attempt; attempt = attempt->next)
		n++;
	while (n < AT_ONCE && store_notice_section(store_of(notices), scope, name, NULL) == 1) {
		struct store_notice notice;

		if (busy(notices, scope, name) ||
		    store_notice_next(store_of(notices), scope, name, &notice, NULL) != 1)
			continue;
		if (due_us(&notice, now_us) <= now_us) {
			begin(notices, &notice);
			n++;
			continue;
		}
		if (notice.next_us < next_us)
			next_us = notice.next_us;
		store_notice_clear(&notice);
	}
	ev_timer_stop(loop_of(notices), &notices->due);
	if (next_us == INT64_MAX)
		return;
	seconds = (double)(next_us - now_us) / 1e6;
	ev_now_update(loop_of(notices));
	ev_timer_set(&notices->due, seconds < LOOK_SECONDS ? seconds : LOOK_SECONDS, 0.);
	ev_timer_start(loop_of(notices), &notices->due);
}

static void
on_due(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	look_later(watcher->data);
}

/* ---- beginning and end */

struct notices *
notices_new(struct sched *sched, struct queue *queue, struct turn *turn)
{
	struct notices *notices = xcalloc(1, sizeof(*notices));
	struct store_notice_counts counts;
	int64_t now_us = 0, boot_us = 0;

	notices->sched = sched;
	notices->queue = queue;
	notices->turn = turn;
	clock_read(&now_us, &boot_us);
	notices->base_us = now_us - boot_us;
	ev_init(&notices->due, on_due);
	ev_init(&notices->disk, on_disk);
	notices->due.data = notices->disk.data = notices;
	if (store_notice_count(store_of(notices), 0, &counts, NULL) >= 0)
		notices->waiting = counts.waiting;
	sched_on_event(sched, on_event, notices);
	return notices;
}

void
notices_begin(struct notices *notices)
{
	notices->begun = true;
	look_later(notices);
}

void
notices_reload(struct notices *notices)
{
	look_later(notices);
}

void
notices_free(struct notices *notices)
{
	if (!notices)
		return;
	sched_on_event(notices->sched, NULL, NULL);
	ev_timer_stop(loop_of(notices), &notices->due);
	ev_timer_stop(loop_of(notices), &notices->disk);
	while (notices->attempts)
		attempt_free(notices->attempts);
	free(notices);
}

/* ---- shown */

json_t *
notices_json(const struct notices *notices, const struct store_notice *notice)
{
	/* By the wall clock as it is now. */
	int64_t next_us = notice->next_us - steady_us(notices) + clock_now_us();

	return json_pack("{s:I, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:i, s:o, s:o, s:o}",
			 "id", (json_int_t)notice->id, "notice", notice->uid, "section",
			 notice->name, "of", json_text(*notice->scope ? notice->scope : NULL),
			 "event", notice->event, "application",
			 json_text(*notice->application ? notice->application : NULL), "stage",
			 json_text(*notice->stage ? notice->stage : NULL), "job",
			 number_json(notice->job), "created", json_time(notice->created_us),
			 "state", store_notice_state_name(notice->state), "attempts",
			 notice->attempts, "tried", json_time(notice->tried_us), "next",
			 json_time(notice->state == STORE_NOTICE_WAITING ? next_us : 0), "error",
			 json_text(notice->error));
}

json_t *
notices_status(struct notices *notices, int64_t now_us)
{
	struct store_notice_counts counts = {0};

	(void)store_notice_count(store_of(notices), now_us - SHOWN_US, &counts, NULL);
	return json_pack("{s:I, s:I, s:I}", "waiting", (json_int_t)counts.waiting, "failing",
			 (json_int_t)counts.failing, "given_up", (json_int_t)counts.given_up);
}
