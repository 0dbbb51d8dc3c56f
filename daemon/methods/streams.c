/* SPDX-License-Identifier: ISC */
/*
 * What goes on for a while: Log and Wait. A stream lives from its call to its last reply, or until
 * its client is gone. It looks again when sched says that the job or its log changed, and rests
 * while the client does not read.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/runlog.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/methods/request.h"

#define LOG_BYTES	    (128 * 1024) /* of text in one reply */
#define WAIT_JOBS_MAX	    1000
#define WAIT_TIMEOUT_MAX_US (INT64_C(366) * 24 * 3600 * 1000000)

/* Nothing more will come of it by itself. */
static bool
at_rest(enum job_state state)
{
	return job_state_final(state) || state == JOB_HELD;
}

/* ---- Log */

struct log_stream {
	struct methods *methods;
	const struct control_peer *peer; /* good as long as CALL */
	struct control_call *call;
	struct sched_watch *watch;
	int64_t job, after;
	bool more, follow;
};

static void
log_free(struct log_stream *log)
{
	sched_unwatch(log->watch);
	free(log);
}

static void
log_gone(void *arg)
{
	log_free(arg);
}

/* One reply's worth of lines; a text that grows by escaping is read in smaller pieces. */
static int
log_lines(struct log_stream *log, json_t **ret_lines, int64_t *ret_next, struct err *err)
{
	const char *directory = queue_conf(log->methods->queue)->run_directory;

	for (size_t limit = LOG_BYTES;; limit /= 4) {
		json_t *lines = NULL;
		int64_t next = log->after;
		int r = runlog_read(directory, log->job, log->after, limit, &lines, &next, err);

		if (r < 0)
			return r;
		if (limit < RUNLOG_LINE ||
		    json_dumpb(lines, NULL, 0, JSON_COMPACT) <= REQUEST_REPLY_BYTES) {
			*ret_lines = lines;
			*ret_next = next;
			return 0;
		}
		json_decref(lines);
	}
}

static void
log_fail(struct log_stream *log, const struct err *err)
{
	struct control_call *call = log->call;

	log_free(log);
	control_error(call, err);
}

static void
log_end(struct log_stream *log, json_t *lines, struct job *job)
{
	struct control_call *call = log->call;
	json_t *reply =
	    json_pack("{s:o, s:I, s:o}", "lines", lines, "next", (json_int_t)log->after, "job",
		      queue_job_json(log->methods->queue, job, true, clock_now_us()));

	log_free(log);
	control_reply(call, reply, false);
}

static void log_push(void *arg);

static void
log_changed(int64_t job, void *arg)
{
	(void)job;
	log_push(arg);
}

/* Sends the next piece. True: there may be more at once. */
static bool
log_step(struct log_stream *log)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct job job = {0};
	json_t *lines;
	int64_t next;
	bool dry;
	/* The job first: what it had written when it was final is read after that. */
	int r = reach_job(log->methods, log->peer, log->job, &job, &err);

	if (r >= 0)
		r = log_lines(log, &lines, &next, &err);
	if (r < 0) {
		job_clear(&job);
		log_fail(log, &err);
		return false;
	}
	dry = next == log->after && json_array_size(lines) == 0;
	log->after = next;
	if (!log->more || (dry && (!log->follow || at_rest(job.state)))) {
		log_end(log, lines, &job);
		job_clear(&job);
		return false;
	}
	job_clear(&job);
	if (dry) {
		json_decref(lines);
		return false;
	}
	control_reply(log->call,
		      json_pack("{s:o, s:I, s:n}", "lines", lines, "next", (json_int_t)next, "job"),
		      true);
	return true;
}

static void
log_push(void *arg)
{
	struct log_stream *log = arg;

	while (control_may_send(log->call, log_push, log) && log_step(log))
		;
}

/* A run was there, and its folder is not: it was pruned. */
static int
still_kept(struct request *request, const struct job *job, struct err *err)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	_cleanup_free_ char *folder = xasprintf("%s/%" PRId64, conf->run_directory, job->id);

	if (!job_state_final(job->state) || job->started_us == 0 || access(folder, F_OK) == 0 ||
	    errno != ENOENT)
		return 0;
	return err_set(err, ERR_FAILED,
		       "the output of job %" PRId64
		       " is not kept any more: those of the newest %d runs are (keep-runs in %s); "
		       "bmctl show %" PRId64 " has its steps",
		       job->id, conf->keep_runs, conf->path, job->id);
}

int
method_Log(struct request *request, struct err *err)
{
	struct log_stream *log;
	struct job job = {0};
	int64_t id = request_int(request, "job", 0), after = request_int(request, "after", 0);
	int r = store_job_get(request->methods->store, id, &job, err);

	if (r >= 0)
		r = still_kept(request, &job, err);
	job_clear(&job);
	if (r < 0)
		return r;
	if (after < 0)
		return request_invalid(err, "after",
				       "after takes what an earlier answer returned as next");
	log = xcalloc(1, sizeof(*log));
	*log = (struct log_stream){
	    .methods = request->methods,
	    .peer = request->peer,
	    .call = request->call,
	    .job = id,
	    .after = after,
	    .more = request->more,
	    .follow = request->more && json_get_bool(request->parameters, "follow"),
	};
	control_on_gone(log->call, log_gone, log);
	if (log->follow)
		log->watch = sched_watch(request->methods->sched, id, log_changed, log);
	log_push(log);
	return 0;
}

/* ---- Wait */

struct wait_stream {
	struct methods *methods;
	const struct control_peer *peer; /* good as long as CALL */
	struct control_call *call;
	struct ev_loop *loop;
	ev_timer timeout;
	size_t n, left;
	bool expired; /* each is told as it is */
	struct waited {
		struct wait_stream *wait;
		struct sched_watch *watch;
		int64_t job;
		bool told;
	} * jobs;
};

static void
wait_free(struct wait_stream *wait)
{
	for (size_t i = 0; i < wait->n; i++)
		sched_unwatch(wait->jobs[i].watch);
	ev_timer_stop(wait->loop, &wait->timeout);
	free(wait->jobs);
	free(wait);
}

static void
wait_gone(void *arg)
{
	wait_free(arg);
}

/* Tells of one job, if it is at rest or ANYHOW. False: that was the last, and WAIT is gone. */
static bool
wait_tell(struct waited *waited, bool anyhow)
{
	struct wait_stream *wait = waited->wait;
	struct control_call *call = wait->call;
	_cleanup_err_ struct err err = ERR_INIT;
	struct job job = {0};
	json_t *reply;

	if (waited->told)
		return true;
	if (reach_job(wait->methods, wait->peer, waited->job, &job, &err) < 0) {
		wait_free(wait);
		control_error(call, &err);
		return false;
	}
	if (!anyhow && !at_rest(job.state)) {
		job_clear(&job);
		return true;
	}
	reply = json_pack("{s:o}", "job",
			  queue_job_json(wait->methods->queue, &job, true, clock_now_us()));
	job_clear(&job);
	waited->told = true;
	if (--wait->left == 0)
		wait_free(wait);
	else {
		sched_unwatch(TAKE(waited->watch));
		control_reply(call, reply, true);
		return true;
	}
	control_reply(call, reply, false);
	return false;
}

/* Looks at all: the client reads again, or the transaction is over in which they might have been
 * seen as they will not be. */
static void
wait_look(void *arg)
{
	struct wait_stream *wait = arg;
	size_t n = wait->n;

	if (!control_may_send(wait->call, wait_look, wait))
		return;
	for (size_t i = 0; i < n; i++)
		if (!wait_tell(&wait->jobs[i], wait->expired))
			return;
}

static void
wait_changed(int64_t job, void *arg)
{
	struct waited *waited = arg;

	(void)job;
	if (control_may_send(waited->wait->call, wait_look, waited->wait))
		wait_tell(waited, waited->wait->expired);
}

/* The time is up: each is told as it is, and its state says that it goes on. */
static void
wait_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct wait_stream *wait = timer->data;

	(void)loop, (void)events;
	wait->expired = true;
	wait_look(wait);
}

static int
read_jobs(struct request *request, int64_t *ids, size_t n, struct err *err)
{
	const json_t *list = json_object_get(request->parameters, "jobs");

	for (size_t i = 0; i < n; i++) {
		struct job job = {0};
		int r;

		ids[i] = json_integer_value(json_array_get(list, i));
		r = store_job_get(request->methods->store, ids[i], &job, err);
		job_clear(&job);
		if (r < 0)
			return r;
		for (size_t j = 0; j < i; j++)
			if (ids[j] == ids[i])
				return request_invalid(err, "jobs",
						       "job %" PRId64 " is given twice", ids[i]);
	}
	return 0;
}

static void
wait_begin(struct request *request, const int64_t *ids, size_t n)
{
	int64_t timeout_us = request_int(request, "timeout_us", -1);
	struct wait_stream *wait = xcalloc(1, sizeof(*wait));

	*wait = (struct wait_stream){.methods = request->methods,
				     .peer = request->peer,
				     .call = request->call,
				     .loop = sched_loop(request->methods->sched),
				     .n = n,
				     .left = n,
				     .jobs = xcalloc(n, sizeof(*wait->jobs))};
	ev_timer_init(&wait->timeout, wait_timeout, 0., 0.);
	wait->timeout.data = wait;
	control_on_gone(wait->call, wait_gone, wait);
	for (size_t i = 0; i < n; i++)
		wait->jobs[i] = (struct waited){.wait = wait, .job = ids[i]};
	if (timeout_us >= 0) {
		ev_now_update(wait->loop);
		ev_timer_set(&wait->timeout, (double)timeout_us / 1e6, 0.);
		ev_timer_start(wait->loop, &wait->timeout);
	}
	for (size_t i = 0; i < n; i++) {
		wait->jobs[i].watch =
		    sched_watch(request->methods->sched, ids[i], wait_changed, &wait->jobs[i]);
		if (!wait_tell(&wait->jobs[i], !request->more))
			return;
	}
}

int
method_Wait(struct request *request, struct err *err)
{
	size_t n = json_array_size(json_object_get(request->parameters, "jobs"));
	_cleanup_free_ int64_t *ids = NULL;
	int r;

	if (n == 0 || n > WAIT_JOBS_MAX)
		return request_invalid(err, "jobs", "jobs are 1 to %d", WAIT_JOBS_MAX);
	if (n > 1 && !request->more)
		return err_set(err, ERR_EXPECTED_MORE,
			       "Wait answers once a job: call it with more to ask for several");
	if (request_int(request, "timeout_us", 0) < 0 ||
	    request_int(request, "timeout_us", 0) > WAIT_TIMEOUT_MAX_US)
		return request_invalid(err, "timeout_us", "timeout_us is at most a year");
	ids = xcalloc(n, sizeof(*ids));
	r = read_jobs(request, ids, n, err);
	if (r >= 0)
		wait_begin(request, ids, n);
	return r;
}
