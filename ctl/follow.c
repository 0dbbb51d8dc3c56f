/* SPDX-License-Identifier: ISC */
/*
 * Waiting for jobs and showing their output: two streams, each on its own connection. Wait tells
 * that a job is final or held, also when it never has output; Log brings the lines, and its last
 * reply comes when the run has ended. Whoever ends first waits a little for the other.
 */
#include "ctl/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define AGAIN_US INT64_C(60000000) /* a broken stream is taken up again for so long */
#define PAUSE_US INT64_C(200000)   /* between two attempts at that */
#define DRAIN_US INT64_C(5000000)  /* for the rest of the log of a job that has ended */
#define QUIET_US INT64_C(2000000)  /* after so long people want to know why nothing happens */
#define ASK_US	 INT64_C(60000000) /* and never rarer than this they are told what has changed */

struct stream {
	struct ctl *ctl;
	struct client *client;
	const char *method;
	json_t *parameters; /* owned; the cursor moves in it */
	int64_t give_up;    /* deadline of taking it up again; 0 while it works */
	bool over;	    /* its last reply has come */
};

static void
stream_open(struct stream *stream, struct ctl *ctl, const char *method, json_t *parameters)
{
	*stream = (struct stream){.ctl = ctl, .method = method, .parameters = parameters};
	stream->client = client_new(ctl->host, ctl->socket);
	client_zone(stream->client, ctl->json ? NULL : ctl->zone);
}

static void
stream_close(struct stream *stream)
{
	client_free(stream->client);
	json_decref(stream->parameters);
}
#define _cleanup_stream_ _cleanup_(stream_close)

/* After a break: connect again and ask from where we were. Waits in between, so that nothing spins.
 */
static int
stream_again(struct stream *stream, int64_t deadline, struct err *err)
{
	_cleanup_free_ char *method = xasprintf("%s%s", ERR_INTERFACE, stream->method);
	int64_t now = client_clock(), until;
	int r;

	if (stream->give_up == 0)
		stream->give_up = now + AGAIN_US;
	else if (now >= stream->give_up)
		return -ECONNRESET;
	until = stream->give_up < deadline ? stream->give_up : deadline;
	r = client_wait(NULL, 0, now + PAUSE_US < until ? now + PAUSE_US : until);
	if (r == -EINTR)
		return r;
	/* Who took the connection may be ending, and nobody be there for the question yet. */
	do {
		r = client_reconnect(stream->client, until, err);
		if (r == -ECONNREFUSED && until == deadline)
			/* its last try is a little earlier */
			return client_wait(NULL, 0, deadline);
		if (r < 0)
			return r;
		err_clear(err);
		r = client_start(stream->client, method, stream->parameters, true, err);
	} while (r == -ECONNREFUSED && client_clock() < until);
	return r;
}

static int
stream_start(struct stream *stream, struct err *err)
{
	_cleanup_free_ char *method = xasprintf("%s%s", ERR_INTERFACE, stream->method);

	return client_start(stream->client, method, stream->parameters, true, err);
}

/* 1 and a reply, 0 when there is none now, or a negative errno. Breaks are mended. */
static int
stream_take(struct stream *stream, int64_t deadline, json_t **ret_reply, struct err *err)
{
	bool continues;
	int r;

	if (stream->over)
		return 0;
	r = client_take(stream->client, ret_reply, &continues, err);
	if (r == -ECONNRESET)
		return stream_again(stream, deadline, err);
	if (r <= 0)
		return r;
	stream->give_up = 0;
	stream->over = !continues;
	return 1;
}

int
follow_deadline(struct ctl *ctl, int64_t *ret_deadline, struct err *err)
{
	int64_t span = 0;
	int r;

	*ret_deadline = CLIENT_NEVER;
	if (!ctl_given(ctl, OPTION_TIMEOUT))
		return 0;
	if ((r = ctl_span(ctl, OPTION_TIMEOUT, &span, err)) < 0)
		return r;
	if (span < CLIENT_NEVER - client_clock())
		*ret_deadline = client_clock() + span;
	return 0;
}

void
follow_print(struct ctl *ctl, const json_t *lines)
{
	size_t i;
	json_t *line;

	json_array_foreach (lines, i, line) {
		const char *stream = json_get_string(line, "stream"),
			   *step = json_get_string(line, "step");
		const char *text = json_get_string(line, "text");
		_cleanup_free_ char *safe_step = json_terminal(step ? step : "");
		_cleanup_free_ char *safe = json_terminal(text ? text : "");
		int64_t us = ctl_us(line, "time");
		struct when_text at = when_local(us - us % WHEN_SECOND, ctl->zone);
		bool error = stream != NULL && strcmp(stream, "err") == 0;
		bool ours = stream != NULL && !error && strcmp(stream, "out") != 0;

		printf("%.8s %s %c %s%s%s\n", strlen(at.s) > 19 ? at.s + 11 : at.s, safe_step,
		       error  ? '!'
		       : ours ? '#'
			      : '|',
		       error && ctl->color ? "\033[31m" : "", safe,
		       error && ctl->color ? "\033[0m" : "");
	}
	table_flush();
}

/* Prints what came, moves the cursor; the job, if the reply has one, goes to *JOB. */
static void
take_lines(struct ctl *ctl, struct stream *log, const json_t *reply, json_t **job)
{
	json_t *last = json_object_get(reply, "job");

	if (ctl->json)
		ctl_json(ctl, reply);
	else
		follow_print(ctl, json_object_get(reply, "lines"));
	json_object_set(log->parameters, "after", json_object_get(reply, "next"));
	if (json_is_object(last) && text_exit(last) >= 0) {
		json_decref(*job);
		*job = json_incref(last);
	}
}

static int
read_log(struct ctl *ctl, struct stream *log, int64_t deadline, json_t **job, struct err *err)
{
	for (;;) {
		_cleanup_json_ json_t *reply = NULL;
		int r = stream_take(log, deadline, &reply, err);

		if (r <= 0)
			return r;
		take_lines(ctl, log, reply, job);
	}
}

static int
read_wait(struct stream *wait, int64_t deadline, json_t **job, struct err *err)
{
	for (;;) {
		_cleanup_json_ json_t *reply = NULL;
		json_t *ended;
		int r = stream_take(wait, deadline, &reply, err);

		if (r <= 0)
			return r;
		ended = json_object_get(reply, "job");
		if (*job == NULL && json_is_object(ended) && text_exit(ended) >= 0)
			*job = json_incref(ended);
	}
}

/* What went wrong with the streams must not sound as if the job had failed. */
static int
stream_failed(int64_t job, int r, struct err *err)
{
	if (r == -ECONNRESET || r == -ECONNREFUSED)
		return err_set(err, ERR_UNREACHABLE,
			       "the connection to bmd was lost; job %" PRId64
			       " goes on: bmctl wait %" PRId64,
			       job, job);
	return r;
}

/* Why a job has not begun: when to ask next, and what was told last. */
struct quiet {
	int64_t next, pause;
	bool told_time; /* at the request */
	char *told;	/* owned */
};

static void
quiet_clear(struct quiet *quiet)
{
	free(quiet->told);
}

/* The reason; NULL: none, or its time when the request has just told that. */
static char *
reason_to_wait(const struct ctl *ctl, const json_t *job, bool told_time)
{
	const char *kind = json_get_string(json_object_get(job, "waits_for"), "kind");

	if (kind == NULL || (told_time && strcmp(kind, "time") == 0))
		return NULL;
	return strcmp(kind, "time") == 0 ? xasprintf("its time, %s", ctl_local(ctl, job, "due").s)
					 : text_why(job);
}

/* Says what JOB waits for, when that is due. Never again, once it has begun. */
static void
say_why(struct ctl *ctl, int64_t job, struct quiet *quiet)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *why = NULL;
	const json_t *now;

	if (client_clock() < quiet->next)
		return;
	quiet->pause = quiet->pause < ASK_US / 2 ? 2 * quiet->pause : ASK_US;
	quiet->next = client_clock() + quiet->pause;
	if (ctl_call(ctl, "GetJob", json_pack("{s:I}", "job", (json_int_t)job), &reply, &err) < 0)
		return; /* the stream will say it */
	now = json_object_get(reply, "job");
	if (json_get_string(now, "started") != NULL) {
		quiet->next = CLIENT_NEVER;
		return;
	}
	why = reason_to_wait(ctl, now, quiet->told_time);
	if (why == NULL || (quiet->told != NULL && strcmp(why, quiet->told) == 0))
		return;
	table_line(stderr, "waits: %s", why);
	free(quiet->told);
	quiet->told = TAKE(why);
}

static int64_t
earliest(int64_t a, int64_t b, int64_t c)
{
	int64_t first = a < b ? a : b;

	return first < c ? first : c;
}

int
follow_job(struct ctl *ctl, int64_t job, bool log, bool told_time, int64_t deadline,
	   json_t **ret_job, struct err *err)
{
	_cleanup_(stream_close) struct stream waiting, output;
	_cleanup_json_ json_t *ended = NULL;
	_cleanup_(quiet_clear) struct quiet quiet = {.pause = QUIET_US, .told_time = told_time};
	int64_t drain = CLIENT_NEVER;
	int r;

	/* To another machine each question would be a connection of its own. */
	quiet.next = ctl->json || ctl->host != NULL ? CLIENT_NEVER : client_clock() + QUIET_US;
	stream_open(&waiting, ctl, "Wait", json_pack("{s:[I]}", "jobs", (json_int_t)job));
	stream_open(&output, ctl, "Log",
		    json_pack("{s:I, s:b, s:i}", "job", (json_int_t)job, "follow", 1, "after", 0));
	output.over = !log;
	client_interruptible();
	if ((r = stream_start(&waiting, err)) < 0 || (log && (r = stream_start(&output, err)) < 0))
		return stream_failed(job, r, err);
	for (;;) {
		struct client *both[2] = {waiting.client, log ? output.client : NULL};

		if ((r = read_log(ctl, &output, deadline, &ended, err)) < 0 ||
		    (r = read_wait(&waiting, deadline, &ended, err)) < 0)
			return stream_failed(job, r, err);
		if (ended != NULL &&
		    (output.over || text_exit(ended) == CTL_HELD || client_clock() >= drain))
			break;
		if (ended != NULL && drain == CLIENT_NEVER)
			drain = client_clock() + DRAIN_US;
		if (output.over)
			both[1] = NULL;
		if (waiting.over)
			both[0] = NULL;
		if (ended == NULL)
			say_why(ctl, job, &quiet);
		r = client_wait(
		    both, 2, earliest(drain, deadline, ended == NULL ? quiet.next : CLIENT_NEVER));
		if (r < 0 && !(r == -ETIMEDOUT && (ended != NULL || client_clock() < deadline)))
			return r;
	}
	*ret_job = TAKE(ended);
	return 0;
}

/* What the stage of JOB needs now; NULL: nothing. What cannot be asked is not claimed. */
static char *
left_as(struct ctl *ctl, const json_t *job)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	const char *application = json_get_string(job, "application"), *name;
	const char *stage = json_get_string(job, "stage");
	json_t *one;
	size_t i;

	if (application == NULL || stage == NULL ||
	    ctl_call(ctl, "GetStatus", json_pack("{s:s}", "application", application), &reply,
		     &err) < 0)
		return NULL;
	json_array_foreach (json_object_get(reply, "stages"), i, one) {
		name = json_get_string(one, "stage");
		if (name != NULL && strcmp(name, stage) == 0)
			return text_dirty(one);
	}
	return NULL;
}

void
follow_result(struct ctl *ctl, const json_t *job, FILE *f)
{
	bool began = text_exit(job) > 0 && json_get_string(job, "started") != NULL;
	_cleanup_free_ char *left = began ? left_as(ctl, job) : NULL;
	_cleanup_free_ char *text = text_result(job, left);

	table_line(f, "%s", text);
	table_flush();
}

int
follow_told(struct ctl *ctl, int64_t job, int r, const json_t *ended, FILE *f)
{
	table_flush();
	if (r == -EINTR) {
		table_line(stderr,
			   "detached: job %" PRId64 " goes on: bmctl wait %" PRId64
			   ", bmctl cancel %" PRId64,
			   job, job, job);
		return CTL_DETACHED;
	}
	if (r == -ETIMEDOUT) {
		table_line(stderr,
			   "bmctl: --timeout passed: job %" PRId64 " goes on: bmctl wait %" PRId64
			   ", bmctl cancel %" PRId64,
			   job, job, job);
		return CTL_TIMEOUT;
	}
	if (r < 0)
		return r;
	if (!ctl->json)
		follow_result(ctl, ended, f);
	return text_exit(ended);
}

/* The job that ERR says does not exist leaves the list; then the rest is waited for. */
static bool
drop_missing(json_t *jobs, const struct err *err, int64_t *ret_id)
{
	size_t i;
	json_t *job;

	*ret_id = json_get_int(err->fields, "job", 0);
	if (err->code != ERR_NO_SUCH_JOB)
		return false;
	json_array_foreach (jobs, i, job)
		if (json_integer_value(job) == *ret_id) {
			json_array_remove(jobs, i);
			return true;
		}
	return false;
}

static void
drop_done(json_t *jobs, int64_t id)
{
	for (size_t i = json_array_size(jobs); i-- > 0;)
		if (json_integer_value(json_array_get(jobs, i)) == id)
			json_array_remove(jobs, i);
}

int
follow_jobs(struct ctl *ctl, const int64_t *jobs, size_t n, int64_t deadline,
	    void (*done)(int64_t id, const json_t *job, const struct err *why, void *arg),
	    void *arg, struct err *err)
{
	_cleanup_(stream_close) struct stream waiting;
	json_t *left = json_array();
	int64_t id;
	int r;

	stream_open(&waiting, ctl, "Wait", json_pack("{s:o}", "jobs", left));
	for (size_t i = 0; i < n; i++) {
		drop_done(left, jobs[i]); /* one that is named twice is asked for once */
		json_array_append_new(left, json_integer(jobs[i]));
	}
	client_interruptible();
	r = stream_start(&waiting, err);
	while (json_array_size(left) > 0) {
		_cleanup_json_ json_t *reply = NULL;
		const json_t *job;

		if (r >= 0)
			r = stream_take(&waiting, deadline, &reply, err);
		if (r < 0 && drop_missing(left, err, &id)) {
			done(id, NULL, err, arg);
			err_clear(err);
			r = json_array_size(left) > 0 ? stream_start(&waiting, err) : 0;
			continue;
		}
		if (r < 0)
			return r;
		job = json_object_get(reply, "job");
		if (r == 0) {
			r = client_wait(&waiting.client, 1, deadline);
		} else if (text_exit(job) >= 0) {
			id = json_get_int(job, "id", 0);
			drop_done(left, id);
			done(id, job, NULL, arg);
		}
		if (waiting.over && json_array_size(left) > 0 && r >= 0) {
			waiting.over = false; /* it ended early: ask for the rest */
			r = stream_again(&waiting, deadline, err);
		}
	}
	return 0;
}
