/* SPDX-License-Identifier: ISC */
/*
 * Where time meets the queue. Nothing is incremental: after any change sched looks at
 * everything again, once a turn, and arms one timer for the earliest moment at which
 * something will be due. Runs are tended one by one (tend.c); here is the list of them. A disk that
 * is full stops the looking, not the runs: it is tried again every few seconds.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/notify.h"
#include "common/runfolder.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/launch.h"
#include "daemon/log.h"
#include "daemon/sched/sched_private.h"

#define AGAIN_SECONDS 5.0
#define HURRIED_MAX   100000
#define RUN_DIRECTORY "run_directory" /* a number that the store keeps */
#define ADOPT_MAX     4096	      /* starting and running jobs after a restart */

static struct store *
store_of(struct sched *sched)
{
	return queue_store(sched->host.queue);
}

/* ---- the look */

void
sched_kick(struct sched *sched)
{
	if (!sched->stopping)
		ev_feed_event(sched->host.loop, &sched->look, EV_CUSTOM);
}

static void
on_due(struct ev_loop *loop, ev_periodic *watcher, int events)
{
	(void)loop, (void)events;
	sched_kick(watcher->data);
}

static void
on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	sched_kick(timer->data);
}

static void
look_again_later(struct sched *sched)
{
	if (ev_is_active(&sched->again))
		return;
	ev_timer_set(&sched->again, AGAIN_SECONDS, 0.);
	ev_timer_start(sched->host.loop, &sched->again);
}

static void
disarm(struct sched *sched)
{
	ev_periodic_stop(sched->host.loop, &sched->due);
	(void)sched_clock_alarm(sched, INT64_MAX);
}

/* The look did not succeed: said once, shown by status until one does. When it wanted to look again
 * counts no more. */
static void
look_failed(struct sched *sched, const struct err *err)
{
	disarm(sched);
	if (!json_array_size(sched->problems)) {
		log_error("nothing can be started: %s; trying again every %.0f s", err->text,
			  AGAIN_SECONDS);
		json_array_append_new(sched->problems,
				      json_sprintf("nothing can be started: %s", err->text));
		queue_trouble(sched->host.queue, 0,
			      json_string_value(json_array_get(sched->problems, 0)));
	}
	look_again_later(sched);
}

static void
keep(struct sched *sched, struct tend *tend)
{
	struct running *running = xcalloc(1, sizeof(*running));

	*running = (struct running){.next = sched->runs, .tend = tend};
	sched->runs = running;
}

/* 1: JOB is starting, with its REQUEST; 0: somebody was faster, or it was held and told so:
 * somebody else is the head of its line now. */
static int
make_start(struct sched *sched, struct job *job, struct run_request *ret_request, struct err *err)
{
	struct queue *queue = sched->host.queue;
	_cleanup_err_ struct err why = ERR_INIT;
	char run[RUN_ID_SIZE];
	int r;

	run_new_id(run);
	r = queue_starting(queue, job, run, sched->host.boot, clock_now_us(), &why);
	if (r == -ESTALE)
		return 0;
	if (r >= 0)
		r = queue_run_request(queue, job, ret_request, &why);
	if (r < 0 && (why.code == ERR_NO_SPACE || why.code == ERR_UNKNOWN_OUTCOME)) {
		(void)err_set(err, why.code, "%s", why.text);
		return r;
	}
	if (r < 0)
		sched_kick(sched);
	return r >= 0;
}

struct looking {
	struct sched *sched;
	struct err *err; /* of the look */
};

/* One job that may start now: QUEUE names it, TEND takes it, or nothing of it is written: a job
 * that is starting and that nobody tends would be so for ever. */
static int
start(struct job *job, void *arg)
{
	const struct looking *looking = arg;
	struct sched *sched = looking->sched;
	_cleanup_(run_request_clear) struct run_request request = {0};
	int r = turn_savepoint(sched->host.turn, looking->err), starts = 0;

	if (r >= 0 && (starts = r = make_start(sched, job, &request, looking->err)) < 0)
		(void)turn_rollback_savepoint(sched->host.turn);
	if (r >= 0)
		r = turn_release(sched->host.turn, looking->err);
	if (r < 0)
		return r;
	if (starts)
		keep(sched, tend_start(&sched->host, job, &request));
	return 0;
}

static void
look_committed(void *arg, const struct err *failure)
{
	struct sched *sched = arg;

	if (failure) {
		look_failed(sched, failure);
		return;
	}
	json_array_clear(sched->problems);
	queue_trouble(sched->host.queue, 0, NULL);
	sched_wake_written(sched);
}

/* Of a look that failed: what others changed in its turn is there all the same. */
static void
written_committed(void *arg, const struct err *failure)
{
	if (!failure)
		sched_wake_written(arg);
}

static void
arm(struct sched *sched, int64_t now_us, int64_t next_us)
{
	disarm(sched);
	if (next_us == INT64_MAX)
		return;
	/* At once means that a look had more to do than one look does; for ever at once would be a
	 * mistake. */
	sched->hurried = next_us <= now_us ? sched->hurried + 1 : 0;
	if (sched->hurried > HURRIED_MAX)
		next_us = now_us + 100000;
	if (sched_clock_alarm(sched, next_us - now_us))
		return;
	ev_periodic_set(&sched->due, (double)next_us / 1e6, 0., NULL);
	ev_periodic_start(sched->host.loop, &sched->due);
}

static void
on_heartbeat(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sched *sched = timer->data;

	(void)loop, (void)events;
	turn_begin(sched->host.turn, NULL); /* its commit writes that bmd is alive */
}

/* While --now jobs wait, a restart must be able to tell how long bmd was away. */
static void
beat(struct sched *sched, bool waiting)
{
	if (waiting == (bool)ev_is_active(&sched->heartbeat))
		return;
	if (waiting)
		ev_timer_again(sched->host.loop, &sched->heartbeat);
	else
		ev_timer_stop(sched->host.loop, &sched->heartbeat);
}

static int
next_text(const struct job *job, void *arg)
{
	struct when_text at = when_local(job->due_us, *job->zone ? job->zone : "UTC");

	*(char **)arg = xasprintf(", next job %" PRId64 " at %s", job->id, at.s);
	return 1;
}

/* For `systemctl status`. */
static void
tell_status(struct sched *sched)
{
	_cleanup_free_ char *next = NULL;
	_cleanup_free_ char *text = NULL;
	int64_t running = 0;

	if (!sched->tells_status)
		return;
	store_job_active_count(store_of(sched), &running, NULL);
	store_job_each_state(store_of(sched), JOB_SCHEDULED, INT64_MAX, 0, 0, 1, next_text, &next,
			     NULL);
	text = xasprintf("%s%s%" PRId64 " running%s",
			 queue_drained(sched->host.queue) ? "drained, " : "",
			 queue_doubted(sched->host.queue) ? "clock not settled, " : "", running,
			 next ? next : "");
	if (sched->status && strcmp(text, sched->status) == 0)
		return;
	notify_status(text);
	free(sched->status);
	sched->status = TAKE(text);
}

/* What was told of clocks and zones in a turn that failed is to be told again. */
static void
clocks_committed(void *arg, const struct err *failure)
{
	struct sched *sched = arg;

	sched_clock_kept(sched, !failure);
	if (failure)
		sched->clocks = true;
}

static int
look_now(struct sched *sched, struct err *err)
{
	int64_t now_us = sched_clock_read(sched), next_us = INT64_MAX, wake_us;
	struct looking looking = {.sched = sched, .err = err};
	char application[64] = "", stage[64] = "";
	int waits, r = turn_begin(sched->host.turn, err);

	/* A start needs room for what comes of it. Runs go on, and their ends are recorded. */
	if (r >= 0)
		r = store_refuse_low(store_of(sched), err);
	if (r >= 0)
		turn_after(sched->host.turn, clocks_committed, sched);
	if (r >= 0)
		r = sched_clock_keep(sched, now_us, err);
	if (r >= 0 && sched->clock.moved)
		r = queue_relatives(sched->host.queue, &sched->clock.moved, err);
	if (r >= 0 && sched->clocks)
		r = queue_zones(sched->host.queue, now_us, &sched->clocks, err);
	if (r >= 0 && (sched->clocks || sched->clock.moved))
		next_us = now_us; /* nothing starts by times that may be wrong */
	else if (r >= 0)
		r = queue_look(sched->host.queue, now_us, start, &looking, &next_us, err);
	if (r < 0)
		return r;
	r = sched_ahead_look(sched, now_us, &next_us, err);
	if (r < 0)
		return r;
	waits = store_job_queued_stage(store_of(sched), application, stage, err);
	if (waits < 0)
		return waits;
	wake_us = sched_clock_wake_us(sched);
	arm(sched, now_us, next_us < wake_us ? next_us : wake_us);
	beat(sched, waits > 0);
	tell_status(sched);
	return 0;
}

static void
on_look(struct ev_loop *loop, ev_prepare *watcher, int events)
{
	struct sched *sched = watcher->data;
	_cleanup_err_ struct err err = ERR_INIT;

	(void)loop, (void)events;
	ev_timer_stop(loop, &sched->again);
	if (look_now(sched, &err) < 0) {
		look_failed(sched, &err);
		turn_after(sched->host.turn, written_committed, sched);
	} else {
		turn_after(sched->host.turn, look_committed, sched);
	}
	/* It may have been fed by an effect of this turn's end, behind which nobody else would
	 * commit. */
	turn_end(sched->host.turn);
}

/* ---- runs */

static struct tend *
find_run(struct sched *sched, int64_t job)
{
	for (struct running *running = sched->runs; running; running = running->next)
		if (tend_job(running->tend) == job)
			return running->tend;
	return NULL;
}

static void
on_changed(int64_t job, void *arg)
{
	sched_wake(arg, job);
}

static void
forget(struct sched *sched, struct tend *tend)
{
	for (struct running **link = &sched->runs; *link; link = &(*link)->next)
		if ((*link)->tend == tend) {
			struct running *running = *link;

			*link = running->next;
			free(running);
			break;
		}
	tend_free(tend);
}

/* Not at once: on a disk that takes nothing bmd would do nothing but start what it cannot start. */
static void
on_undone(struct tend *tend, void *arg)
{
	struct sched *sched = arg;

	forget(sched, tend);
	look_again_later(sched);
}

static void
on_over(struct tend *tend, void *arg)
{
	struct sched *sched = arg;

	forget(sched, tend);
	sched_kick(sched);
	if (sched->ended)
		sched->ended(sched->ended_arg);
}

void
sched_on_ended(struct sched *sched, void (*back)(void *arg), void *arg)
{
	sched->ended = back;
	sched->ended_arg = arg;
}

static void
on_damaged(const json_t *manifests, void *arg)
{
	struct sched *sched = arg;

	if (sched->damaged && json_array_size(manifests) > 0)
		sched->damaged(manifests, sched->damaged_arg);
}

void
sched_on_settled(struct sched *sched, void (*back)(void *arg), void *arg)
{
	sched->on_settled = back;
	sched->settled_arg = arg;
}

void
sched_on_damaged(struct sched *sched, void (*back)(const json_t *manifests, void *arg), void *arg)
{
	sched->damaged = back;
	sched->damaged_arg = arg;
}

static void
on_helper_end(pid_t pid, int status, void *arg)
{
	struct sched *sched = arg;

	if (sched_helper_ended(sched, pid) || sched_ahead_ended(sched, pid))
		return;
	for (struct running *running = sched->runs; running; running = running->next)
		if (tend_pid(running->tend) == pid) {
			tend_swept(running->tend, status);
			return;
		}
}

void
sched_cancel(struct sched *sched, int64_t job, bool now, const char *by)
{
	struct tend *tend = find_run(sched, job);

	if (tend)
		tend_cancel(tend, now, by);
}

/* ---- the beginning and the end */

struct adopted {
	struct sched *sched;
	int64_t jobs[ADOPT_MAX];
	size_t n;
};

static int
note_job(const struct job *job, void *arg)
{
	struct adopted *adopted = arg;

	if (adopted->n == ADOPT_MAX)
		return 1;
	adopted->jobs[adopted->n++] = job->id;
	return 0;
}

static int
adopt_all(struct sched *sched, struct err *err)
{
	_cleanup_free_ struct adopted *adopted = xcalloc(1, sizeof(*adopted));
	int r;

	r = store_job_each_state(store_of(sched), JOB_STARTING, INT64_MAX, 0, 0, ADOPT_MAX,
				 note_job, adopted, err);
	if (r >= 0)
		r = store_job_each_state(store_of(sched), JOB_RUNNING, INT64_MAX, 0, 0, ADOPT_MAX,
					 note_job, adopted, err);
	for (size_t i = 0; r >= 0 && i < adopted->n; i++) {
		struct job job = {0};

		r = store_job_get(store_of(sched), adopted->jobs[i], &job, err);
		if (r >= 0)
			keep(sched, tend_adopt(&sched->host, &job));
		job_clear(&job);
	}
	return r;
}

/* Which run directory it is: its path, and what is mounted there. */
static int64_t
directory_number(const char *path)
{
	_cleanup_free_ char *text = NULL;
	char digest[DIGEST_SIZE];
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	text = xasprintf("%s %ju", path, (uintmax_t)st.st_ino);
	digest_of(text, strlen(text), digest);
	digest[15] = '\0';
	return strtoll(digest, NULL, 16);
}

/* Another one than before says nothing of what ran in that one, until nothing is left that did. */
static int
look_at_directory(struct sched *sched, struct err *err)
{
	int64_t kept = 0, running = 0, number = directory_number(sched->host.run_directory);
	int r = store_number_get(store_of(sched), RUN_DIRECTORY, &kept, err);

	if (r == 0)
		r = store_job_running_count(store_of(sched), &running, err);
	sched->host.elsewhere = kept != 0 && kept != number && running > 0;
	return r == 0 && kept != number && !sched->host.elsewhere
		   ? store_number_put(store_of(sched), RUN_DIRECTORY, number, err)
		   : r;
}

/* Committed at once: if that cannot be, nothing else may happen either. */
static int
restored(struct sched *sched, struct err *err)
{
	struct store *store = store_of(sched);
	int r = queue_restored(sched->host.queue, sched->host.run_directory, store_restored(store),
			       clock_now_us(), err);

	failpoint("restore-before");
	if (r >= 0)
		r = store_commit(store, clock_now_us(), err);
	failpoint("restore-after");
	return r >= 0 ? turn_begin(sched->host.turn, err) : r;
}

int
sched_recover(struct sched *sched, struct err *err)
{
	int64_t highest = 0;
	int r = run_folder_highest(sched->host.run_directory, &highest, err);

	if (r >= 0)
		r = turn_begin(sched->host.turn, err);
	if (r >= 0)
		r = queue_set_highest(sched->host.queue, highest, err);
	if (r >= 0 && store_restored(store_of(sched)) > 0)
		r = restored(sched, err);
	if (r >= 0)
		r = sched_clock_recover(sched, err);
	if (r >= 0)
		r = look_at_directory(sched, err);
	if (r >= 0)
		r = adopt_all(sched, err);
	if (r < 0)
		return r;
	failpoint("recover-before");
	turn_after(sched->host.turn, clocks_committed, sched);
	turn_end(sched->host.turn);
	failpoint("recover-after");
	sched_kick(sched);
	return 0;
}

static void
on_zones(void *arg)
{
	struct sched *sched = arg;

	sched->clocks = true;
	sched_kick(sched);
}

void
sched_on_final(struct sched *sched, void (*back)(void *arg), void *arg)
{
	sched->final = back;
	sched->final_arg = arg;
}

static void
final_committed(void *arg, const struct err *failure)
{
	struct sched *sched = arg;

	if (!failure && sched->final)
		sched->final(sched->final_arg);
}

static void
say_committed(void *arg, const struct err *failure)
{
	struct event *event = arg;

	if (!failure)
		log_event(event);
	event_free(event);
}

/* What the queue tells is true once it is committed. */
static void
say(const struct event *event, void *arg)
{
	struct sched *sched = arg;

	if (sched->event)
		sched->event(event, sched->event_arg);
	turn_after(sched->host.turn, say_committed, event_copy(event));
	if (*event->result && sched->final)
		turn_after(sched->host.turn, final_committed, sched);
}

void
sched_on_event(struct sched *sched, void (*back)(const struct event *event, void *arg), void *arg)
{
	sched->event = back;
	sched->event_arg = arg;
}

/* libev looks every minute whether the clock was set, unless a timerfd tells it; and it makes that
 * with the first periodic watcher, which without timed jobs never came. */
static void
no_idle_wakeups(struct sched *sched)
{
	ev_periodic_set(&sched->due, ev_time() + 86400., 0., NULL);
	ev_periodic_start(sched->host.loop, &sched->due);
	ev_periodic_stop(sched->host.loop, &sched->due);
}

struct sched *
sched_new(struct ev_loop *loop, struct queue *queue, struct turn *turn)
{
	struct sched *sched = xcalloc(1, sizeof(*sched));

	sched->host = (struct tend_host){
	    .loop = loop,
	    .queue = queue,
	    .turn = turn,
	    .run_directory = xstrdup(queue_conf(queue)->run_directory),
	    .ahead = sched_ahead_take,
	    .changed = on_changed,
	    .damaged = on_damaged,
	    .over = on_over,
	    .undone = on_undone,
	    .arg = sched,
	};
	run_boot_id(sched->host.boot);
	sched->host.launch = launch_new(loop, on_helper_end, sched);
	sched->problems = json_array();
	sched->tells_status = getenv("NOTIFY_SOCKET") != NULL;
	queue_set_tell(queue, say, sched);

	ev_prepare_init(&sched->look, on_look);
	ev_set_priority(&sched->look, EV_MINPRI + 1);
	ev_periodic_init(&sched->due, on_due, 0., 0., NULL);
	no_idle_wakeups(sched);
	ev_init(&sched->again, on_again);
	ev_timer_init(&sched->heartbeat, on_heartbeat, 0., SCHED_BEAT_SECONDS);
	sched->look.data = sched->due.data = sched->again.data = sched;
	sched->heartbeat.data = sched;
	sched_clock_begin(sched);
	sched->zones = zones_new(loop, on_zones, sched);
	sched->clocks = true;
	sched_watch_begin(sched);
	return sched;
}

void
sched_free(struct sched *sched)
{
	struct ev_loop *loop;

	if (!sched)
		return;
	loop = sched->host.loop;
	sched->stopping = true;
	zones_free(sched->zones);
	sched_ahead_drop(sched);
	sched_clock_end(sched);
	ev_clear_pending(loop, &sched->look);
	ev_periodic_stop(loop, &sched->due);
	ev_timer_stop(loop, &sched->again);
	ev_timer_stop(loop, &sched->heartbeat);
	while (sched->runs) {
		struct running *running = sched->runs;

		sched->runs = running->next;
		tend_free(running->tend);
		free(running);
	}
	sched_watch_end(sched);
	queue_set_tell(sched->host.queue, NULL, NULL);
	launch_free(sched->host.launch);
	json_decref(sched->problems);
	free(sched->host.run_directory);
	free(sched->status);
	free(sched);
}

void
sched_reload(struct sched *sched)
{
	sched_ahead_drop(sched); /* they have read the configuration of before */
	sched->clocks = true;
	sched_kick(sched);
}

json_t *
sched_warnings(struct sched *sched)
{
	json_t *warnings = json_copy(sched->problems);

	if (queue_doubted(sched->host.queue)) {
		_cleanup_free_ char *text = queue_doubt_text(sched->host.queue, clock_now_us());

		json_array_append_new(warnings, json_text(text));
	}

	for (const struct running *running = sched->runs; running; running = running->next)
		if (tend_problem(running->tend))
			json_array_append_new(warnings, json_text(tend_problem(running->tend)));
	return warnings;
}

struct ev_loop *
sched_loop(const struct sched *sched)
{
	return sched->host.loop;
}
