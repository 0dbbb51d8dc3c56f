/* SPDX-License-Identifier: ISC */
/*
 * One run. Its life: STARTING (being committed, and bmd-run being launched) → REQUESTED (30 s and
 * more for its `ready`) → GOING (*running* is committed, `go` sent, or adopted) → ENDING (its end
 * is being committed) → over. Without a connection it is APART: then only the run folder speaks,
 * and it is read again whenever something can have changed: bmd-run's process ended, what it left
 * was swept, a connection broke, a retry is due. An end that could not be committed (a full disk)
 * is committed again later: it lies in the run folder.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/runfolder.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/tend/tend_private.h"

#define READY_SECONDS 30 /* at the first attempt */
#define READY_LAST    120
#define DOUBT_SECONDS 0.5
/* events of a run are committed so often; its end takes what is left along */
#define EVENTS_SECONDS 0.05

/* ---- small tools */

/* Said once, and shown until it is over. NULL: it is. */
void
tend_set_problem(struct tend *tend, const char *text)
{
	if (text && !tend->problem)
		log_error("job %" PRId64 ": %s; trying again every %.0f s", tend->job, text,
			  TEND_AGAIN_SECONDS);
	free(tend->problem);
	tend->problem = text ? xasprintf("job %" PRId64 ": %s", tend->job, text) : NULL;
	queue_trouble(tend->host->queue, tend->job, text);
}

static void
on_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct tend *tend = watcher->data;

	(void)loop, (void)events;
	tend->then(tend);
}

void
tend_wait(struct tend *tend, double seconds, void (*then)(struct tend *tend))
{
	ev_timer_stop(tend->host->loop, &tend->timer);
	tend->then = then;
	ev_timer_set(&tend->timer, seconds, 0.);
	ev_now_update(tend->host->loop);
	ev_timer_start(tend->host->loop, &tend->timer);
}

void
tend_wait_no_more(struct tend *tend)
{
	ev_timer_stop(tend->host->loop, &tend->timer);
}

void
tend_drop_channel(struct tend *tend)
{
	channel_free(TAKE(tend->channel));
}

/* Defers BACK to the end of the turn; the run stays in memory until then. */
void
tend_after_commit(struct tend *tend, void (*back)(void *arg, const struct err *failure))
{
	tend->holds++;
	turn_after(tend->host->turn, back, tend);
}

/* First word of every effect: false when the run was given up meanwhile. */
bool
tend_effect_begins(struct tend *tend)
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
int
tend_change(struct tend *tend, int (*what)(struct tend *tend, int64_t now_us, struct err *err),
	    struct err *err)
{
	struct turn *turn = tend->host->turn;
	int r = turn_begin(turn, err);

	if (r >= 0)
		r = turn_savepoint(turn, err);
	if (r < 0)
		return r;
	r = what(tend, clock_now_us(), err);
	if (r >= 0)
		return turn_release(turn, err);
	turn_rollback_savepoint(turn);
	return r;
}

/* ---- messages */

static int
change_running(struct tend *tend, int64_t now_us, struct err *err)
{
	return queue_running(tend->host->queue, tend->job, tend->run, now_us, err);
}

void
tend_send_cancel(struct tend *tend)
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
	tend_not_started(tend, "cancelled before it began", false);
}

/* *Running* is durable: now the run may begin. */
static void
running_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;
	_cleanup_json_ json_t *go = NULL;

	if (!tend_effect_begins(tend))
		return;
	if (failure) { /* end of file instead of go: it leaves */
		tend_not_started(tend, failure->text, false);
		return;
	}
	tend->host->changed(tend->job, tend->host->arg);
	if (tend->cancel_by || tend->cancelling) {
		never_mind(tend);
		return;
	}
	if (!tend->channel) {
		tend_decide(tend);
		return;
	}
	tend->phase = GOING;
	tend->told = true;
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

	tend_wait_no_more(tend);
	r = tend_change(tend, change_running, &err);
	if (r < 0) {
		tend_not_started(tend, err.text, false);
		return;
	}
	tend_after_commit(tend, running_committed);
}

static void
still_not_locked(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (lock_is_ours(tend, &err))
		commit_running(tend);
	else
		tend_not_started(tend, err.text, true);
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
		tend_wait(tend, DOUBT_SECONDS, still_not_locked);
}

static void
got_refused(struct tend *tend, const json_t *object)
{
	const char *code = json_get_string(object, "code");
	const char *message = json_get_string(object, "message");
	bool hold = code && (!strcmp(code, "configuration") || !strcmp(code, "started") ||
			     !strcmp(code, "artifact") || !strcmp(code, "signature") ||
			     !strcmp(code, "permission"));

	if (!message)
		message = "bmd-run refused the run";
	/* "locked" is a bmd-run of a moment ago that is just leaving: the back-off waits for it. */
	if (tend->phase == REQUESTED) {
		tend_not_started(tend, message, hold);
		/* its folder will say that it never began, and this is why */
	} else if (tend->phase == GOING) {
		free(tend->refusal);
		tend->refusal = xstrdup(message);
		tend->hold = hold;
	}
}

/* After each commit with events: those who follow the job look again. */
static void
events_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;

	if (!tend_effect_begins(tend))
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
	if (tend_change(tend, tend_record_events, NULL) >= 0)
		tend_after_commit(tend, events_committed);
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
	tend_ended(tend, &result);
}

void
tend_on_message(const json_t *object, void *arg)
{
	struct tend *tend = arg;
	const char *type = json_get_string(object, "type");

	if (!type)
		return;
	tend->unheard = false;
	tend->reconnect = TEND_RECONNECT_SECONDS;
	if (strcmp(type, "event") == 0)
		got_event(tend, object);
	else if (strcmp(type, "result") == 0)
		got_result(tend, object);
	else if (strcmp(type, "ready") == 0)
		got_ready(tend);
	else if (strcmp(type, "refused") == 0)
		got_refused(tend, object);
}

void
tend_on_closed(void *arg)
{
	struct tend *tend = arg;
	bool committing = tend->phase == REQUESTED && !ev_is_active(&tend->timer);

	tend_drop_channel(tend);
	if (tend->phase == GOING && tend->unheard)
		tend_decide_later(tend);
	else if (tend->phase == GOING)
		tend_decide(tend);
	else if (tend->phase == REQUESTED && !committing)
		tend_not_started(tend, "bmd-run ended before it was ready: see the log of bmd",
				 false);
	/* While *running* is being committed, its effect finds the channel gone. */
}

void
tend_swept(struct tend *tend, int status)
{
	tend->swept = true;
	tend->status = status;
	if (tend->phase == APART)
		tend_decide(tend);
}

/* ---- the beginning */

int
tend_ready_s(int attempts)
{
	int seconds = READY_SECONDS;

	while (attempts-- > 0 && seconds < READY_LAST)
		seconds *= 2;
	return seconds < READY_LAST ? seconds : READY_LAST;
}

static void
ready_is_late(struct tend *tend)
{
	_cleanup_free_ char *text =
	    xasprintf("bmd-run was not ready within %d s", tend_ready_s(tend->attempts));

	tend_not_started(tend, text, false);
}

/* *Starting* is durable: now bmd-run may be told which job. */
static void
starting_committed(void *arg, const struct err *failure)
{
	struct tend *tend = arg;
	const struct tend_host *host = tend->host;
	_cleanup_json_ json_t *request = NULL;

	if (!tend_effect_begins(tend))
		return;
	if (failure) { /* nothing was written, and bmd-run leaves */
		tend->phase = OVER;
		host->undone(tend, host->arg);
		return;
	}
	if (tend->cancel_by || tend->cancelling) {
		never_mind(tend);
		return;
	}
	if (!tend->channel) {
		tend_not_started(tend, tend->end_text ? tend->end_text : "bmd-run ended at once",
				 false);
		return;
	}
	tend->phase = REQUESTED;
	tend_wait(tend, tend_ready_s(tend->attempts), ready_is_late);
	request = run_request_pack(&tend->request);
	run_request_clear(&tend->request);
	if (channel_send(tend->channel, request) < 0)
		tend_not_started(tend, "the variables of the run are too large together", true);
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
	if (!(host->ahead && host->ahead(tend->job, &fd, &tend->pid, host->arg)) &&
	    launch_run(host->launch, queue_conf(host->queue), tend->job, &fd, &tend->pid, &err) <
		0) {
		tend->end_text = xstrdup(err.text);
		return;
	}
	tend->own = true;
	tend->channel = channel_new(host->loop, fd, tend_on_message, tend_on_closed, tend);
}

static struct tend *
tend_new(const struct tend_host *host, const struct job *job)
{
	struct tend *tend = xcalloc(1, sizeof(*tend));

	tend->host = host;
	tend->job = job->id;
	tend->attempts = job->attempts;
	tend->pidfd = -1;
	tend->reconnect = TEND_RECONNECT_SECONDS;
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
	tend_after_commit(tend, starting_committed);
	return tend;
}

struct tend *
tend_adopt(const struct tend_host *host, const struct job *job)
{
	struct tend *tend = tend_new(host, job);

	/* One that is starting was never told to begin. */
	tend->elsewhere = host->elsewhere && job->state == JOB_RUNNING;
	tend->told =
	    job->state == JOB_RUNNING && *host->boot && strcmp(job->boot_run, host->boot) == 0;
	if (job->cancel_by) {
		tend->cancel_by = xstrdup(job->cancel_by);
		tend->cancel_now = job->cancel_now;
	}
	tend_wait(tend, 0., tend_decide);
	return tend;
}

void
tend_free(struct tend *tend)
{
	if (!tend || tend->freed)
		return;
	tend_drop_channel(tend);
	tend_drop_pidfd(tend);
	tend_wait_no_more(tend);
	ev_timer_stop(tend->host->loop, &tend->events);
	tend_set_problem(tend, NULL);
	if (tend->holds) {
		tend->freed = true;
		return;
	}
	run_request_clear(&tend->request);
	free(tend->end_text);
	free(tend->cancel_by);
	free(tend->refusal);
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

/* ---- cancel */

/* In force once it is committed: one that was refused for want of space was never there. */
struct cancel {
	struct tend *tend;
	bool now;
	char *by;
};

static void
be_cancelled(struct tend *tend, struct cancel *cancel)
{
	free(tend->cancel_by);
	tend->cancel_by = TAKE(cancel->by);
	tend->cancel_now = cancel->now;
	if (tend->phase == REQUESTED && ev_is_active(&tend->timer))
		never_mind(tend);
	else
		tend_send_cancel(tend);
}

static void
cancel_committed(void *arg, const struct err *failure)
{
	struct cancel *cancel = arg;
	struct tend *tend = cancel->tend;

	if (tend_effect_begins(tend)) {
		failpoint("cancel-before");
		tend->cancelling--;
		if (!failure)
			be_cancelled(tend, cancel);
	}
	free(cancel->by);
	free(cancel);
}

void
tend_cancel(struct tend *tend, bool now, const char *by)
{
	struct cancel *cancel = xcalloc(1, sizeof(*cancel));

	*cancel = (struct cancel){.tend = tend, .now = now, .by = xstrdup(by)};
	tend->cancelling++;
	tend->holds++;
	turn_after(tend->host->turn, cancel_committed, cancel);
}
