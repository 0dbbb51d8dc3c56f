/* SPDX-License-Identifier: ISC */
/*
 * One run. Its life: STARTING (being committed, and bmd-run being launched) → REQUESTED (30 s for
 * its `ready`) → GOING (*running* is committed, `go` sent, or adopted) → ENDING (its end is being
 * committed) → over.
 * Without a connection it is APART: then only the run folder speaks, and it is read again whenever
 * something can have changed: bmd-run's process ended, what it left was swept, a connection broke,
 * a retry is due. An end that could not be committed (a full disk) is committed again later: it
 * lies in the run folder.
 */
#include "daemon/clock.h"
#include "daemon/tend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/channel.h"
#include "daemon/log.h"

#define READY_SECONDS	30.0
#define DOUBT_SECONDS	0.5
#define AGAIN_SECONDS	5.0  /* after a full disk or an unreadable folder */
#define RECONNECT_FIRST 0.02 /* doubled up to … */
#define RECONNECT_LAST	5.0
#define EVENTS_SECONDS \
	0.05 /* events of a run are committed so often; its end takes what is left along */
#define REMAINS_SECONDS 120.0 /* so long a cgroup may take to empty before a human is asked */
#define CGROUP_ROOT	"/sys/fs/cgroup"

enum phase { STARTING, REQUESTED, GOING, APART, ENDING, OVER };
enum end { END_NOT_STARTED, END_RESULT, END_LOST, END_CONFLICT };

struct tend {
	const struct tend_host *host;
	enum phase phase;
	int64_t job;
	char run[RUN_ID_SIZE], request_digest[65];
	struct run_request request; /* until it is sent */
	struct channel *channel;    /* to bmd-run or to JOB/control; NULL: none */
	ev_timer timer;
	void (*then)(struct tend *tend); /* when TIMER is due */
	ev_timer events;		 /* some are in the folder and not in the database */
	double reconnect;
	double remains_since; /* monotonic; 0: not waiting for a cgroup */

	bool own;  /* forked by this bmd: its end will be told by tend_swept() */
	pid_t pid; /* then; 0 with the launcher systemd */
	bool swept;
	int status; /* of bmd-run, when swept */
	int pidfd;  /* of an adopted bmd-run; -1: none */
	ev_io pid_end;

	char *cancel_by; /* a cancel that bmd-run was or is to be told; NULL: none */
	bool cancel_now;

	enum end end;
	struct run_result result;
	char *end_text;
	bool hold, occupied;

	char
	    *problem; /* the folder could not be read, or the end not be committed; NULL: neither */
	int holds;    /* effects of the turn that still point here */
	bool freed;
};

static void decide(struct tend *tend);
static void record_end(struct tend *tend);

/* ---- the verdict, as functions of values */

enum tend_verdict
tend_judge(const char *run, const char *request_digest, const struct run_folder *folder)
{
	if (folder->locked)
		return TEND_ALIVE;
	if (folder->has_result) {
		bool ours = strcmp(folder->result.run, run) == 0 &&
			    (!*request_digest ||
			     strcmp(folder->result.request_digest, request_digest) == 0);

		return ours ? TEND_ENDED : TEND_FOREIGN;
	}
	if (!folder->has_started)
		return TEND_NEVER_BEGAN;
	/* A claim that cannot be read has an empty run id: it is a claim all the same, and most
	 * likely this run's. */
	if (*folder->started.run && strcmp(folder->started.run, run) != 0)
		return TEND_FOREIGN;
	return TEND_LOST;
}

/* Is a cgroup without processes, itself and all below? A group that is gone is. */
static bool
cgroup_empty(const char *root, const char *cgroup)
{
	_cleanup_free_ char *path = xasprintf(
	    "%s%s/cgroup.events", strncmp(cgroup, root, strlen(root)) == 0 ? "" : root, cgroup);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[128];

	if (!file)
		return errno == ENOENT || errno == ENODEV;
	while (fgets(line, sizeof(line), file))
		if (strcmp(line, "populated 0\n") == 0)
			return true;
	return false;
}

enum tend_remains
tend_remains(const struct run_started *started, const char *boot, const char *cgroup_root)
{
	if (*started->boot && strcmp(started->boot, boot) != 0)
		return TEND_NONE_LEFT;
	if (*started->cgroup != '/')
		return TEND_UNKNOWN;
	return cgroup_empty(cgroup_root, started->cgroup) ? TEND_NONE_LEFT : TEND_SOME_LEFT;
}

/* ---- small tools */

/* Said once, and shown until it is over. NULL: it is. */
static void
set_problem(struct tend *tend, const char *text)
{
	if (text && !tend->problem)
		log_error("job %" PRId64 ": %s; trying again every %.0f s", tend->job, text,
			  AGAIN_SECONDS);
	free(tend->problem);
	tend->problem = text ? xasprintf("job %" PRId64 ": %s", tend->job, text) : NULL;
}

static void
on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct tend *tend = watcher->data;

	(void)loop, (void)events;
	tend->then(tend);
}

static void
wait_then(struct tend *tend, double seconds, void (*then)(struct tend *tend))
{
	ev_timer_stop(tend->host->loop, &tend->timer);
	tend->then = then;
	ev_timer_set(&tend->timer, seconds, 0.);
	ev_now_update(tend->host->loop);
	ev_timer_start(tend->host->loop, &tend->timer);
}

static void
wait_no_more(struct tend *tend)
{
	ev_timer_stop(tend->host->loop, &tend->timer);
}

static void
drop_channel(struct tend *tend)
{
	channel_free(TAKE(tend->channel));
}

static void
drop_pidfd(struct tend *tend)
{
	if (tend->pidfd < 0)
		return;
	ev_io_stop(tend->host->loop, &tend->pid_end);
	close(TAKE_FD(tend->pidfd));
}

/* Defers BACK to the end of the turn; the run stays in memory until then. */
static void
after_commit(struct tend *tend, void (*back)(void *arg, const struct err *failure))
{
	tend->holds++;
	turn_after(tend->host->turn, back, tend);
}

/* First word of every effect: false when the run was given up meanwhile. */
static bool
effect_begins(struct tend *tend)
{
	tend->holds--;
	if (!tend->freed)
		return true;
	if (!tend->holds) {
		tend->freed = false;
		tend_free(tend);
	}
	return false;
}

/* Runs CHANGE inside this turn's transaction, parted from what else is in it. */
static int
change(struct tend *tend, int (*what)(struct tend *tend, int64_t now_us, struct err *err),
       struct err *err)
{
	struct store *store = queue_store(tend->host->queue);
	int r = turn_begin(tend->host->turn, err);

	if (r >= 0)
		r = store_savepoint(store, err);
	if (r < 0)
		return r;
	r = what(tend, clock_now_us(), err);
	if (r >= 0)
		return store_release(store, err);
	store_rollback_savepoint(store);
	return r;
}

/* ---- the end */

static int
record_events(struct tend *tend, int64_t now_us, struct err *err)
{
	_cleanup_json_ json_t *events = NULL;
	struct job job = {0};
	const json_t *object;
	int64_t seq;
	size_t i;
	int r = store_job_get(queue_store(tend->host->queue), tend->job, &job, err);

	(void)now_us;
	if (r < 0)
		return r;
	seq = job.event_seq;
	job_clear(&job);
	r = run_folder_events(tend->host->run_directory, tend->job, seq + 1, &events, err);
	if (r < 0)
		return r;
	json_array_foreach (events, i, object) {
		struct run_event event;

		if (run_event_unpack(object, &event, NULL) < 0 || event.seq <= seq)
			continue;
		r = queue_event(tend->host->queue, tend->job, tend->run, &event, err);
		if (r < 0)
			return r;
		seq = event.seq;
	}
	return 0;
}

static int
change_end(struct tend *tend, int64_t now_us, struct err *err)
{
	struct queue *queue = tend->host->queue;
	int r = 0;

	/* What ran must be known before the end is: steps, and whether one began. */
	if (tend->end == END_RESULT || tend->end == END_LOST)
		r = record_events(tend, now_us, err);
	if (r < 0)
		return r;
	switch (tend->end) {
	case END_RESULT:
		return queue_finished(queue, &tend->result, now_us, err);
	case END_LOST:
		return queue_lost(queue, tend->job, tend->run, tend->end_text, tend->occupied,
				  now_us, err);
	case END_CONFLICT:
		return queue_conflict(queue, tend->job, tend->end_text, now_us, err);
	case END_NOT_STARTED:
		return queue_not_started(queue, tend->job, tend->run, tend->end_text, tend->hold,
					 now_us, err);
	}
	return -EINVAL;
}

static void
end_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;

	if (!effect_begins(tend))
		return;
	if (failure) {
		set_problem(tend, failure->text);
		wait_then(tend, AGAIN_SECONDS, record_end);
		return;
	}
	failpoint("end-committed");
	tend->phase = OVER;
	tend->host->changed(tend->job, tend->host->arg);
	tend->host->over(tend, tend->host->arg);
}

static void
record_end(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int r;

	tend->phase = ENDING;
	drop_channel(tend);
	drop_pidfd(tend);
	wait_no_more(tend);
	ev_timer_stop(tend->host->loop, &tend->events);
	r = change(tend, change_end, &err);
	if (r == -ESTALE) /* somebody was faster: cancelled before it began, or recorded already */
		log_info("job %" PRId64 ": run %s is no longer the job's", tend->job, tend->run);
	else if (r < 0) {
		set_problem(tend, err.text);
		wait_then(tend, AGAIN_SECONDS, record_end);
		return;
	}
	after_commit(tend, end_committed);
}

static void
end_with(struct tend *tend, enum end end, const char *text)
{
	char *copy = xstrdup(text); /* it may be the one that is freed */

	tend->end = end;
	free(tend->end_text);
	tend->end_text = copy;
	record_end(tend);
}

static void
not_started(struct tend *tend, const char *why, bool hold)
{
	tend->hold = hold;
	end_with(tend, END_NOT_STARTED, why);
}

static void
ended(struct tend *tend, const struct run_result *result)
{
	if (*result->damaged) {
		_cleanup_json_ json_t *manifests =
		    queue_mark_damaged(tend->host->queue, tend->job, result->damaged);

		tend->host->damaged(manifests, tend->host->arg);
	}
	tend->result = *result;
	end_with(tend, END_RESULT, NULL);
}

/* ---- messages */

static int
change_running(struct tend *tend, int64_t now_us, struct err *err)
{
	return queue_running(tend->host->queue, tend->job, tend->run, now_us, err);
}

static void
send_cancel(struct tend *tend)
{
	_cleanup_json_ json_t *message = NULL;

	if (!tend->channel || !tend->cancel_by || tend->phase != GOING)
		return;
	message = run_cancel_pack(tend->cancel_now, tend->cancel_by);
	channel_send(tend->channel, message);
}

/* Cancelled before `go`: end of file instead, and no step ever ran. */
static void
never_mind(struct tend *tend)
{
	not_started(tend, "cancelled before it began", false);
}

/* *Running* is durable: now the run may begin. */
static void
running_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;
	_cleanup_json_ json_t *go = NULL;

	if (!effect_begins(tend))
		return;
	if (failure) { /* end of file instead of go: it leaves */
		not_started(tend, failure->text, false);
		return;
	}
	tend->host->changed(tend->job, tend->host->arg);
	if (tend->cancel_by) {
		never_mind(tend);
		return;
	}
	if (!tend->channel) {
		decide(tend);
		return;
	}
	tend->phase = GOING;
	go = run_message("go");
	failpoint("go-before");
	channel_send(tend->channel, go);
	failpoint("go-after");
}

/* bmd-run must lock the very folder that bmd looks into: else nobody could say later whether the
 * run began. */
static bool
lock_is_ours(struct tend *tend, struct err *err)
{
	struct run_folder folder;

	if (run_folder_look(tend->host->run_directory, tend->job, &folder, err) < 0)
		return false;
	if (folder.locked)
		return true;
	err_set(
	    err, ERR_CONFIGURATION,
	    "bmd-run does not use the run directory %s: restart bmd, then bmctl release %" PRId64,
	    tend->host->run_directory, tend->job);
	return false;
}

static void
commit_running(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;
	int r;

	wait_no_more(tend);
	r = change(tend, change_running, &err);
	if (r < 0) {
		not_started(tend, err.text, false);
		return;
	}
	after_commit(tend, running_committed);
}

static void
still_not_locked(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (lock_is_ours(tend, &err))
		commit_running(tend);
	else
		not_started(tend, err.text, true);
}

/* One that was killed behind its `ready` has no lock either, and no fault of the configuration: its
 * connection ends within this moment. */
static void
got_ready(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (tend->phase != REQUESTED)
		return;
	failpoint("ready-got");
	if (lock_is_ours(tend, &err))
		commit_running(tend);
	else
		wait_then(tend, DOUBT_SECONDS, still_not_locked);
}

static void
got_refused(struct tend *tend, const json_t *object)
{
	const char *code = json_get_string(object, "code");
	const char *message = json_get_string(object, "message");
	bool hold = code && (!strcmp(code, "configuration") || !strcmp(code, "started") ||
			     !strcmp(code, "artifact") || !strcmp(code, "signature"));

	/* "locked" is a bmd-run of a moment ago that is just leaving: the back-off waits for it. */
	if (tend->phase == REQUESTED)
		not_started(tend, message ? message : "bmd-run refused the run", hold);
}

/* After each commit with events: those who follow the job look again. */
static void
events_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;

	if (!effect_begins(tend))
		return;
	failpoint("event-committed");
	if (!failure)
		tend->host->changed(tend->job, tend->host->arg);
}

/* What could not be committed is tried again with the next event, and at the latest with the end.
 */
static void
on_events(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct tend *tend = watcher->data;

	(void)loop, (void)events;
	if (change(tend, record_events, NULL) >= 0)
		after_commit(tend, events_committed);
}

/* Nothing is lost by not committing each: they are in the folder before they are sent. A commit
 * would keep the loop from its other work for as long as the disk takes. */
static void
got_event(struct tend *tend, const json_t *object)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct run_event event;

	if (tend->phase != GOING || ev_is_active(&tend->events))
		return;
	failpoint("event-got");
	if (run_event_unpack(object, &event, &err) < 0) {
		log_warning("job %" PRId64 ": a message of bmd-run makes no sense: %s", tend->job,
			    err.text);
		return;
	}
	ev_timer_set(&tend->events, EVENTS_SECONDS, 0.);
	ev_timer_start(tend->host->loop, &tend->events);
}

static void
got_result(struct tend *tend, const json_t *object)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct run_result result;

	if (tend->phase != GOING)
		return;
	if (run_result_unpack(object, &result, &err) < 0 || strcmp(result.run, tend->run) != 0) {
		log_warning("job %" PRId64 ": bmd-run sent a result that is not this run's",
			    tend->job);
		return;
	}
	failpoint("result-got");
	ended(tend, &result);
}

static void
on_message(const json_t *object, void *arg)
{
	struct tend *tend = arg;
	const char *type = json_get_string(object, "type");

	if (!type)
		return;
	if (strcmp(type, "event") == 0)
		got_event(tend, object);
	else if (strcmp(type, "result") == 0)
		got_result(tend, object);
	else if (strcmp(type, "ready") == 0)
		got_ready(tend);
	else if (strcmp(type, "refused") == 0)
		got_refused(tend, object);
}

static void
on_closed(void *arg)
{
	struct tend *tend = arg;
	bool committing = tend->phase == REQUESTED && !ev_is_active(&tend->timer);

	drop_channel(tend);
	if (tend->phase == GOING)
		decide(tend);
	else if (tend->phase == REQUESTED && !committing)
		not_started(tend, "bmd-run ended before it was ready: see the log of bmd", false);
	/* While *running* is being committed, its effect finds the channel gone. */
}

/* ---- without a connection */

static void
on_process_end(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct tend *tend = watcher->data;

	(void)loop, (void)events;
	drop_pidfd(tend);
	if (!tend->channel && tend->phase != ENDING)
		decide(tend);
}

/* Watches the end of a bmd-run that is not our child. */
static void
watch_process(struct tend *tend, int64_t pid)
{
	if (tend->own || tend->pidfd >= 0 || pid <= 0)
		return;
	tend->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (tend->pidfd < 0)
		return;
	ev_io_init(&tend->pid_end, on_process_end, tend->pidfd, EV_READ);
	tend->pid_end.data = tend;
	ev_io_start(tend->host->loop, &tend->pid_end);
}

static void
decide_later(struct tend *tend)
{
	wait_then(tend, tend->reconnect, decide);
	tend->reconnect =
	    tend->reconnect * 2 < RECONNECT_LAST ? tend->reconnect * 2 : RECONNECT_LAST;
}

/* The number of the last event that is in the database; 0: none, or it cannot be read now. */
static int64_t
recorded_events(struct tend *tend)
{
	struct job job = {0};
	int64_t seq = 0;

	if (store_job_get(queue_store(tend->host->queue), tend->job, &job, NULL) >= 0)
		seq = job.event_seq;
	job_clear(&job);
	return seq;
}

/* A bmd-run lives: follow it by JOB/control. One that was never told to go leaves by itself. */
static void
reconnect(struct tend *tend, const struct run_folder *folder)
{
	_cleanup_json_ json_t *follow = NULL;
	struct run_folder again;
	int fd;

	if (folder->has_started)
		watch_process(tend, folder->started.pid);
	/* The pid may have been another's by then: only the lock tells. */
	if (run_folder_look(tend->host->run_directory, tend->job, &again, NULL) == 0 &&
	    !again.locked) {
		wait_then(tend, 0., decide);
		return;
	}
	fd = folder->has_started ? channel_connect_run(tend->host->run_directory, tend->job)
				 : -ENOENT;
	if (fd < 0) {
		decide_later(tend);
		return;
	}
	tend->channel = channel_new(tend->host->loop, fd, on_message, on_closed, tend);
	tend->phase = GOING;
	follow = run_message("follow");
	json_object_set_new(follow, "after", json_integer((json_int_t)recorded_events(tend)));
	channel_send(tend->channel, follow);
	send_cancel(tend);
	log_info("job %" PRId64 ": following its run, which went on without bmd", tend->job);
	/* Should it be silent for ever, its end is still seen: by its process, or by looking. */
	if (tend->pidfd < 0 && !tend->own)
		wait_then(tend, RECONNECT_LAST, decide);
}

static char *
lost_text(const struct tend *tend)
{
	char how[64] = "";

	if (tend->swept && WIFSIGNALED(tend->status))
		snprintf(how, sizeof(how), " (signal %d)", WTERMSIG(tend->status));
	else if (tend->swept && WIFEXITED(tend->status))
		snprintf(how, sizeof(how), " (exit code %d)", WEXITSTATUS(tend->status));
	return xasprintf("bmd-run ended without a result%s: nobody knows how far the run came%s",
			 how,
			 tend->occupied
			     ? ", and its processes may still be there: look, then bmctl settle"
			     : "");
}

/* Claimed, dead, no result. The stage is free only when nothing of the run can be there. */
static void
lost(struct tend *tend, const struct run_folder *folder)
{
	_cleanup_free_ char *text = NULL;
	enum tend_remains remains = tend_remains(&folder->started, tend->host->boot, CGROUP_ROOT);
	double now = ev_now(tend->host->loop);

	if (tend->own && tend->pid && !tend->swept) {
		tend->phase = APART; /* tend_swept() will come */
		return;
	}
	if (tend->own && tend->swept)
		remains = TEND_NONE_LEFT;
	if (remains == TEND_SOME_LEFT && !tend->remains_since)
		tend->remains_since = now;
	if (remains == TEND_SOME_LEFT && now - tend->remains_since < REMAINS_SECONDS) {
		tend->phase = APART;
		decide_later(tend);
		return;
	}
	tend->occupied = remains != TEND_NONE_LEFT;
	text = lost_text(tend);
	end_with(tend, END_LOST, text);
}

static void
conflict(struct tend *tend)
{
	_cleanup_free_ char *text = xasprintf(
	    "the run folder %s/%" PRId64
	    " holds another run of this job number: was the database restored? look, then move the "
	    "folder away and bmctl release %" PRId64,
	    tend->host->run_directory, tend->job, tend->job);

	end_with(tend, END_CONFLICT, text);
}

/* The rules after a crash, and after any broken connection. */
static void
decide(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct run_folder folder;

	wait_no_more(tend);
	drop_channel(tend);
	tend->phase = APART;
	if (run_folder_look(tend->host->run_directory, tend->job, &folder, &err) < 0) {
		/* Never "absent": without the folder nobody knows. */
		set_problem(tend, err.text);
		wait_then(tend, AGAIN_SECONDS, decide);
		return;
	}
	set_problem(tend, NULL);
	failpoint("decide");
	switch (tend_judge(tend->run, tend->request_digest, &folder)) {
	case TEND_ALIVE:
		reconnect(tend, &folder);
		return;
	case TEND_ENDED:
		ended(tend, &folder.result);
		return;
	case TEND_NEVER_BEGAN:
		not_started(tend, "bmd-run ended before the first step", false);
		return;
	case TEND_FOREIGN:
		conflict(tend);
		return;
	case TEND_LOST:
		lost(tend, &folder);
		return;
	}
}

void
tend_swept(struct tend *tend, int status)
{
	tend->swept = true;
	tend->status = status;
	if (tend->phase == APART)
		decide(tend);
}

/* ---- the beginning */

static void
ready_is_late(struct tend *tend)
{
	not_started(tend, "bmd-run was not ready within 30 s", false);
}

/* *Starting* is durable: now bmd-run may be told which job. */
static void
starting_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;
	const struct tend_host *host = tend->host;
	_cleanup_json_ json_t *request = NULL;

	if (!effect_begins(tend))
		return;
	if (failure) { /* nothing was written: the job still waits, and bmd-run leaves */
		tend->phase = OVER;
		host->over(tend, host->arg);
		return;
	}
	if (tend->cancel_by) {
		never_mind(tend);
		return;
	}
	if (!tend->channel) {
		not_started(tend, tend->end_text ? tend->end_text : "bmd-run ended at once", false);
		return;
	}
	tend->phase = REQUESTED;
	wait_then(tend, READY_SECONDS, ready_is_late);
	request = run_request_pack(&tend->request);
	run_request_clear(&tend->request);
	if (channel_send(tend->channel, request) < 0)
		not_started(tend, "the variables of the run are too large together", true);
	failpoint("request-sent");
}

/* bmd-run is started while *starting* is being committed. It does nothing before it has the
 * request. */
static void
launch(struct tend *tend)
{
	const struct tend_host *host = tend->host;
	_cleanup_err_ struct err err = ERR_INIT;
	int fd;

	failpoint("fork-before");
	if (launch_run(host->launch, queue_conf(host->queue), tend->job, &fd, &tend->pid, &err) <
	    0) {
		tend->end_text = xstrdup(err.text);
		return;
	}
	tend->own = true;
	tend->channel = channel_new(host->loop, fd, on_message, on_closed, tend);
}

static struct tend *
tend_new(const struct tend_host *host, const struct job *job)
{
	struct tend *tend = xcalloc(1, sizeof(*tend));

	tend->host = host;
	tend->job = job->id;
	tend->pidfd = -1;
	tend->reconnect = RECONNECT_FIRST;
	memcpy(tend->run, job->run, sizeof(tend->run));
	memcpy(tend->request_digest, job->request_digest, sizeof(tend->request_digest));
	ev_init(&tend->timer, on_timer);
	ev_init(&tend->events, on_events);
	tend->timer.data = tend->events.data = tend;
	return tend;
}

struct tend *
tend_start(const struct tend_host *host, const struct job *job, struct run_request *request)
{
	struct tend *tend = tend_new(host, job);

	tend->request = *request;
	*request = (struct run_request){0};
	run_request_digest(&tend->request, tend->request_digest);
	launch(tend);
	after_commit(tend, starting_committed);
	return tend;
}

struct tend *
tend_adopt(const struct tend_host *host, const struct job *job)
{
	struct tend *tend = tend_new(host, job);

	if (job->cancel_by) {
		tend->cancel_by = xstrdup(job->cancel_by);
		tend->cancel_now = job->cancel_now;
	}
	wait_then(tend, 0., decide);
	return tend;
}

void
tend_free(struct tend *tend)
{
	if (!tend || tend->freed)
		return;
	drop_channel(tend);
	drop_pidfd(tend);
	wait_no_more(tend);
	ev_timer_stop(tend->host->loop, &tend->events);
	if (tend->holds) {
		tend->freed = true;
		return;
	}
	run_request_clear(&tend->request);
	free(tend->end_text);
	free(tend->cancel_by);
	free(tend->problem);
	free(tend);
}

int64_t
tend_job(const struct tend *tend)
{
	return tend->job;
}

const char *
tend_problem(const struct tend *tend)
{
	return tend->problem;
}

pid_t
tend_pid(const struct tend *tend)
{
	return tend->own ? tend->pid : 0;
}

static void
cancel_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;

	if (!effect_begins(tend))
		return;
	failpoint("cancel-before");
	if (failure)
		return;
	if (tend->phase == REQUESTED && ev_is_active(&tend->timer))
		never_mind(tend);
	else
		send_cancel(tend);
}

void
tend_cancel(struct tend *tend, bool now, const char *by)
{
	free(tend->cancel_by);
	tend->cancel_by = xstrdup(by);
	tend->cancel_now = now;
	after_commit(tend, cancel_committed);
}
