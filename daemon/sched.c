/* SPDX-License-Identifier: ISC */
/*
 * Where time and helpers meet the queue. Nothing is incremental: after any change sched looks at
 * everything again, once a turn, and arms one ev_periodic for the earliest moment at which
 * something will be due. Runs are tended one by one (tend.c); here is the list of them, and of
 * those who wait for a job. A disk that is full stops the looking, not the runs: it is tried again
 * every few seconds.
 */
#include "daemon/sched.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/notify.h"
#include "common/when.h"
#include "common/xalloc.h"
#include "daemon/channel.h"
#include "daemon/clock.h"
#include "daemon/launch.h"
#include "daemon/log.h"
#include "daemon/tend.h"
#include "daemon/zones.h"

#define AGAIN_SECONDS	  5.0
#define HEARTBEAT_SECONDS 120.0
#define LOG_SECONDS	  0.05 /* a log that grows is looked at so often */
#define HURRIED_MAX	  100000
#define IMPORTS_MAX	  16
#define VERIFIES_MAX	  2    /* processes: more would only wait for the same disk */
#define OWN_MAX		  2    /* of them for bmd itself */
#define ADOPT_MAX	  4096 /* starting and running jobs after a restart */

struct sched_watch {
	struct sched_watch *next;
	struct sched *sched;
	int64_t job;
	void (*back)(int64_t job, void *arg);
	void *arg;
	int wd;	   /* inotify, on the run folder; -1: none yet */
	bool due;  /* to be called */
	bool dead; /* unwatched while the list is walked */
};

struct sched_verify {
	struct sched *sched;
	struct channel *channel;
	void (*line)(const json_t *object, void *arg);
	void *arg;
};

struct running {
	struct running *next;
	struct tend *tend;
};

struct sched {
	struct tend_host host;
	struct running *runs;
	ev_prepare look; /* never started: fed by sched_kick(), so that it runs once, behind all
			    other events */
	ev_periodic due; /* the earliest moment */
	ev_timer again, heartbeat;
	bool stopping;
	int hurried; /* looks in a row that asked for another at once */

	struct sched_watch *watches;
	int walking;
	int inotify;
	ev_io grown;
	ev_timer grown_soon;

	struct helpers {
		pid_t pids[IMPORTS_MAX];
		size_t n;
	} imports, verifies, own;

	struct zones *zones;
	bool clocks; /* the tz database may have changed: asked before the next look */

	void (*damaged)(const json_t *manifests, void *arg);
	void *damaged_arg;

	json_t *problems; /* of the last look or recovery, array of sentences */
	bool tells_status;
	char *status;
};

static struct store *
store_of(struct sched *sched)
{
	return queue_store(sched->host.queue);
}

/* ---- those who wait */

static void
watch_folder(struct sched_watch *watch)
{
	_cleanup_free_ char *folder = NULL;

	if (watch->wd >= 0 || watch->sched->inotify < 0)
		return;
	folder = xasprintf("%s/%" PRId64, watch->sched->host.run_directory, watch->job);
	watch->wd = inotify_add_watch(watch->sched->inotify, folder,
				      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

/* The folder stays watched while another watch has it. */
static void
unwatch_folder(struct sched_watch *watch)
{
	if (watch->wd < 0)
		return;
	for (struct sched_watch *other = watch->sched->watches; other; other = other->next)
		if (other != watch && !other->dead && other->wd == watch->wd)
			return;
	inotify_rm_watch(watch->sched->inotify, watch->wd);
}

static void
sweep_watches(struct sched *sched)
{
	struct sched_watch **link = &sched->watches;

	while (*link) {
		struct sched_watch *watch = *link;

		if (watch->dead) {
			*link = watch->next;
			free(watch);
		} else
			link = &watch->next;
	}
}

/* Calls every watch that is due. A callback may add and end watches. */
static void
call_watches(struct sched *sched)
{
	sched->walking++;
	for (struct sched_watch *watch = sched->watches; watch; watch = watch->next) {
		if (watch->dead || !watch->due)
			continue;
		watch->due = false;
		watch_folder(watch);
		watch->back(watch->job, watch->arg);
	}
	if (--sched->walking == 0)
		sweep_watches(sched);
}

static void
wake(struct sched *sched, int64_t job)
{
	bool any = false;

	for (struct sched_watch *watch = sched->watches; watch; watch = watch->next)
		if (job == 0 || watch->job == job)
			any = watch->due = true;
	if (any)
		call_watches(sched);
}

struct sched_watch *
sched_watch(struct sched *sched, int64_t job, void (*back)(int64_t job, void *arg), void *arg)
{
	struct sched_watch *watch = xcalloc(1, sizeof(*watch));

	*watch = (struct sched_watch){
	    .next = sched->watches, .sched = sched, .job = job, .back = back, .arg = arg, .wd = -1};
	sched->watches = watch;
	watch_folder(watch);
	return watch;
}

void
sched_unwatch(struct sched_watch *watch)
{
	if (!watch)
		return;
	watch->dead = true;
	unwatch_folder(watch);
	if (!watch->sched->walking)
		sweep_watches(watch->sched);
}

static void
on_grown_soon(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sched *sched = timer->data;

	(void)loop, (void)events;
	call_watches(sched);
}

/* Logs grow: note whose, and look once in a while rather than at every write. */
static void
on_grown(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct sched *sched = watcher->data;
	char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	(void)events;
	while ((n = read(sched->inotify, buffer, sizeof(buffer))) > 0)
		for (char *p = buffer; p < buffer + n;) {
			struct inotify_event event;

			memcpy(&event, p, sizeof(event));
			for (struct sched_watch *w = sched->watches; w; w = w->next)
				if (w->wd == event.wd || event.mask & IN_Q_OVERFLOW)
					w->due = true;
			p += sizeof(event) + event.len;
		}
	if (!ev_is_active(&sched->grown_soon)) {
		ev_timer_set(&sched->grown_soon, LOG_SECONDS, 0.);
		ev_timer_start(loop, &sched->grown_soon);
	}
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

/* The look did not succeed: said once, shown by status until one does. */
static void
look_failed(struct sched *sched, const struct err *err)
{
	if (!json_array_size(sched->problems)) {
		log_error("nothing can be started: %s; trying again every %.0f s", err->text,
			  AGAIN_SECONDS);
		json_array_append_new(sched->problems,
				      json_sprintf("nothing can be started: %s", err->text));
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

/* One job that may start now: QUEUE names it, TEND takes it. */
static int
start(struct job *job, void *arg)
{
	struct sched *sched = arg;
	struct queue *queue = sched->host.queue;
	_cleanup_(run_request_clear) struct run_request request = {0};
	_cleanup_err_ struct err err = ERR_INIT;
	char run[RUN_ID_SIZE];
	int r;

	run_new_id(run);
	r = queue_starting(queue, job, run, sched->host.boot, clock_now_us(), &err);
	if (r == -ESTALE)
		return 0;
	if (r >= 0)
		r = queue_run_request(queue, job, &request, &err);
	if (r < 0 && (err.code == ERR_NO_SPACE || err.code == ERR_UNKNOWN_OUTCOME)) {
		log_error("job %" PRId64 " cannot start: %s", job->id, err.text);
		return r;
	}
	if (r < 0) { /* it was held, and told so: somebody else is the head of its line now */
		sched_kick(sched);
		return 0;
	}
	keep(sched, tend_start(&sched->host, job, &request));
	return 0;
}

/* Those who watch a job that was written since the last look; with very many of them, all. */
static void
wake_written(struct sched *sched)
{
	int64_t ids[STORE_WRITTEN_MAX];
	const int64_t *written;
	size_t n = store_jobs_written(store_of(sched), &written);

	if (n > STORE_WRITTEN_MAX) {
		wake(sched, 0);
		return;
	}
	/* A watcher may write: the array is the store's only until then. */
	if (n > 0)
		memcpy(ids, written, n * sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		wake(sched, ids[i]);
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
	wake_written(sched);
}

static void
arm(struct sched *sched, int64_t now_us, int64_t next_us)
{
	ev_periodic_stop(sched->host.loop, &sched->due);
	if (next_us == INT64_MAX)
		return;
	/* At once means that a look had more to do than one look does; for ever at once would be a
	 * mistake. */
	sched->hurried = next_us <= now_us ? sched->hurried + 1 : 0;
	if (sched->hurried > HURRIED_MAX)
		next_us = now_us + 100000;
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
	text = xasprintf("%s%" PRId64 " running%s",
			 queue_drained(sched->host.queue) ? "drained, " : "", running, next ? next : "");
	if (sched->status && strcmp(text, sched->status) == 0)
		return;
	notify_status(text);
	free(sched->status);
	sched->status = TAKE(text);
}

static int
look_now(struct sched *sched, struct err *err)
{
	int64_t now_us = clock_now_us(), next_us = INT64_MAX;
	char application[64] = "", stage[64] = "";
	int waits, r = turn_begin(sched->host.turn, err);

	if (r >= 0 && sched->clocks)
		r = queue_zones(sched->host.queue, now_us, &sched->clocks, err);
	if (r >= 0 && sched->clocks)
		next_us = now_us; /* nothing starts by times that may be wrong */
	else if (r >= 0)
		r = queue_look(sched->host.queue, now_us, start, sched, &next_us, err);
	if (r < 0)
		return r;
	waits = store_job_queued_stage(store_of(sched), application, stage, err);
	if (waits < 0)
		return waits;
	arm(sched, now_us, next_us);
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
	if (look_now(sched, &err) < 0)
		look_failed(sched, &err);
	else
		turn_after(sched->host.turn, look_committed, sched);
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
	wake(arg, job);
}

static void
on_over(struct tend *tend, void *arg)
{
	struct sched *sched = arg;

	for (struct running **link = &sched->runs; *link; link = &(*link)->next)
		if ((*link)->tend == tend) {
			struct running *running = *link;

			*link = running->next;
			free(running);
			break;
		}
	tend_free(tend);
	sched_kick(sched);
}

static void
on_damaged(const json_t *manifests, void *arg)
{
	struct sched *sched = arg;

	if (sched->damaged && json_array_size(manifests) > 0)
		sched->damaged(manifests, sched->damaged_arg);
}

void
sched_on_damaged(struct sched *sched, void (*back)(const json_t *manifests, void *arg), void *arg)
{
	sched->damaged = back;
	sched->damaged_arg = arg;
}

static bool
forget(struct helpers *helpers, pid_t pid)
{
	for (size_t i = 0; i < helpers->n; i++)
		if (helpers->pids[i] == pid) {
			helpers->pids[i] = helpers->pids[--helpers->n];
			return true;
		}
	return false;
}

static void
on_helper_end(pid_t pid, int status, void *arg)
{
	struct sched *sched = arg;

	if (forget(&sched->imports, pid) || forget(&sched->verifies, pid) ||
	    forget(&sched->own, pid))
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

int
sched_recover(struct sched *sched, struct err *err)
{
	int64_t highest = 0, alive_us = store_last_alive(store_of(sched));
	int r = run_folder_highest(sched->host.run_directory, &highest, err);

	if (r >= 0)
		r = turn_begin(sched->host.turn, err);
	if (r >= 0)
		r = queue_set_highest(sched->host.queue, highest, err);
	if (r >= 0)
		r = queue_after_downtime(sched->host.queue, alive_us, clock_now_us(), err);
	if (r >= 0)
		r = adopt_all(sched, err);
	if (r < 0)
		return r;
	failpoint("recover-before");
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

	turn_after(sched->host.turn, say_committed, event_copy(event));
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
	    .changed = on_changed,
	    .damaged = on_damaged,
	    .over = on_over,
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
	ev_timer_init(&sched->heartbeat, on_heartbeat, 0., HEARTBEAT_SECONDS);
	ev_init(&sched->grown_soon, on_grown_soon);
	sched->look.data = sched->due.data = sched->again.data = sched;
	sched->heartbeat.data = sched->grown_soon.data = sched->grown.data = sched;
	sched->zones = zones_new(loop, on_zones, sched);
	sched->clocks = true;
	sched->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (sched->inotify >= 0) {
		ev_io_init(&sched->grown, on_grown, sched->inotify, EV_READ);
		sched->grown.data = sched;
		ev_io_start(loop, &sched->grown);
	}
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
	ev_clear_pending(loop, &sched->look);
	ev_periodic_stop(loop, &sched->due);
	ev_timer_stop(loop, &sched->again);
	ev_timer_stop(loop, &sched->heartbeat);
	ev_timer_stop(loop, &sched->grown_soon);
	while (sched->runs) {
		struct running *running = sched->runs;

		sched->runs = running->next;
		tend_free(running->tend);
		free(running);
	}
	for (struct sched_watch *watch = sched->watches; watch; watch = watch->next)
		watch->dead = true;
	sweep_watches(sched);
	if (sched->inotify >= 0) {
		ev_io_stop(loop, &sched->grown);
		close(sched->inotify);
	}
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
	sched->clocks = true;
	sched_kick(sched);
}

json_t *
sched_warnings(struct sched *sched)
{
	json_t *warnings = json_copy(sched->problems);

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

/* ---- bmd-import */

bool
sched_imports_full(const struct sched *sched)
{
	return sched->imports.n == IMPORTS_MAX;
}

int
sched_import(struct sched *sched, const char *kind, int client_fd, struct err *err)
{
	_cleanup_close_ int fd = client_fd;
	pid_t pid;
	int r;

	if (sched_imports_full(sched))
		return err_set(err, ERR_TOO_MANY,
			       "%d uploads are going on: try again when one has ended",
			       IMPORTS_MAX);
	r = launch_import(sched->host.launch, queue_conf(sched->host.queue), kind, fd, &pid, err);
	if (r < 0)
		return r;
	sched->imports.pids[sched->imports.n++] = pid;
	return 0;
}

static void
on_verify_message(const json_t *object, void *arg)
{
	struct sched_verify *verify = arg;

	verify->line(object, verify->arg);
}

static void
on_verify_closed(void *arg)
{
	struct sched_verify *verify = arg;

	verify->line(NULL, verify->arg);
}

static int
helpers_full(struct err *err)
{
	return err_set(err, ERR_TOO_MANY,
		       "%d verifications are going on: try again when one has ended", VERIFIES_MAX);
}

/* A helper that works on stored files, over the channel FD, counted with those of its kind. */
static struct sched_verify *
store_helper(struct sched *sched, struct helpers *kind, int fd, pid_t pid,
	     void (*line)(const json_t *object, void *arg), void *arg)
{
	struct sched_verify *helper = xcalloc(1, sizeof(*helper));

	kind->pids[kind->n++] = pid;
	*helper = (struct sched_verify){.sched = sched, .line = line, .arg = arg};
	helper->channel =
	    channel_new(sched->host.loop, fd, on_verify_message, on_verify_closed, helper);
	return helper;
}

static int
send_digests(struct sched_verify *helper, const json_t *digests)
{
	const json_t *digest;
	size_t i;
	int r = 0;

	json_array_foreach (digests, i, digest) {
		r = channel_send_bytes(helper->channel, json_string_value(digest),
				       json_string_length(digest));
		if (r >= 0)
			r = channel_send_bytes(helper->channel, "\n", 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
verify(struct sched *sched, struct helpers *kind, size_t most, const json_t *digests,
       void (*line)(const json_t *object, void *arg), void *arg, struct sched_verify **ret_verify,
       struct err *err)
{
	pid_t pid;
	int fd, r;

	if (kind->n == most)
		return helpers_full(err);
	r = launch_verify(sched->host.launch, queue_conf(sched->host.queue), &fd, &pid, err);
	if (r < 0)
		return r;
	*ret_verify = store_helper(sched, kind, fd, pid, line, arg);
	(void)send_digests(*ret_verify, digests);
	channel_end((*ret_verify)->channel);
	return 0;
}

int
sched_verify(struct sched *sched, const json_t *digests,
	     void (*line)(const json_t *object, void *arg), void *arg,
	     struct sched_verify **ret_verify, struct err *err)
{
	return verify(sched, &sched->verifies, VERIFIES_MAX, digests, line, arg, ret_verify, err);
}

int
sched_verify_own(struct sched *sched, const json_t *digests,
		 void (*line)(const json_t *object, void *arg), void *arg,
		 struct sched_verify **ret_verify, struct err *err)
{
	return verify(sched, &sched->own, OWN_MAX, digests, line, arg, ret_verify, err);
}

int
sched_collect(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
	      struct sched_verify **ret_collect, struct err *err)
{
	pid_t pid;
	int fd, r;

	if (sched->verifies.n == VERIFIES_MAX)
		return helpers_full(err);
	r = launch_collect(sched->host.launch, queue_conf(sched->host.queue), &fd, &pid, err);
	if (r >= 0)
		*ret_collect = store_helper(sched, &sched->verifies, fd, pid, line, arg);
	return r;
}

int
sched_collect_keep(struct sched_verify *collect, const json_t *digests)
{
	_cleanup_free_ char *end = xasprintf("end %zu\n", json_array_size(digests));
	int r = send_digests(collect, digests);

	/* Without its last line the list counts for nothing. */
	if (r >= 0)
		r = channel_send_bytes(collect->channel, end, strlen(end));
	channel_end(collect->channel);
	return r;
}

void
sched_verify_stop(struct sched_verify *verify)
{
	if (!verify)
		return;
	channel_free(verify->channel);
	free(verify);
}
