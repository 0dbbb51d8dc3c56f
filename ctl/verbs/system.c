/* SPDX-License-Identifier: ISC */
/*
 * reload, drain, call, version: bmd itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "ctl/follow.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

int
verb_reload(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	int64_t applications, plans;
	int r = ctl_change(ctl, "Reload", json_object(), &reply, err);

	if (r < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	ctl_warnings(json_object_get(reply, "warnings"));
	applications = json_get_int(reply, "applications", 0);
	plans = json_get_int(reply, "plans", 0);
	table_line(stdout, "configuration read: %" PRId64 " application%s, %" PRId64 " plan%s",
		   applications, applications == 1 ? "" : "s", plans, plans == 1 ? "" : "s");
	return CTL_DONE;
}

/* ---- drain */

#define LEFT_MAX      1000	      /* runs that are waited for at a time */
#define LEFT_AGAIN_US INT64_C(200000) /* a start on its way runs soon, or is queued again */

static void
left_done(int64_t id, const json_t *job, const struct err *why, void *arg)
{
	struct ctl *ctl = arg;

	(void)id, (void)why;
	if (job != NULL && !ctl->json)
		follow_result(ctl, job, stdout);
}

static int
list_running(struct ctl *ctl, int64_t *jobs, size_t *ret_n, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	const json_t *job;
	size_t i, n = 0;
	int r = ctl_list(ctl, "ListQueue", "jobs", json_object(), 0, &reply, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(reply, "jobs"), i, job) {
		const char *state = json_get_string(job, "state");

		if (state != NULL && strcmp(state, "running") == 0 && n < LEFT_MAX)
			jobs[n++] = json_get_int(job, "id", 0);
	}
	*ret_n = n;
	return 0;
}

/* 1: something is left of what ran when bmd was drained; 0: nothing. */
static int
anything_left(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *status = NULL;
	const json_t *drain;
	int r = ctl_call(ctl, "GetStatus", json_object(), &status, err);

	if (r < 0)
		return r;
	drain = json_object_get(status, "drain");
	if (!json_is_object(drain))
		return err_set(
		    err, ERR_FAILED,
		    "bmd was restarted or told to go on meanwhile: it starts jobs again");
	return json_get_int(drain, "left", 0) > 0;
}

static int
wait_for_quiet(struct ctl *ctl, struct err *err)
{
	_cleanup_free_ int64_t *jobs = xcalloc(LEFT_MAX, sizeof(*jobs));
	int64_t deadline;
	int r = follow_deadline(ctl, &deadline, err);

	while (r >= 0 && (r = anything_left(ctl, err)) > 0) {
		size_t n = 0;

		r = list_running(ctl, jobs, &n, err);
		if (r >= 0 && n > 0) {
			r = follow_jobs(ctl, jobs, n, deadline, left_done, ctl, err);
		} else if (r >= 0) {
			if (client_clock() >= deadline)
				return -ETIMEDOUT;
			r = client_wait(NULL, 0, client_clock() + LEFT_AGAIN_US);
			if (r == -ETIMEDOUT)
				r = 0;
		}
	}
	return r;
}

/* How the waiting ended, in words. */
static int
quiet_told(const struct ctl *ctl, int r)
{
	if (r == -EINTR || r == -ETIMEDOUT) {
		table_line(stderr, "%s: bmd stays drained, and what runs goes on: bmctl queue",
			   r == -EINTR ? "detached" : "bmctl: --timeout passed");
		return r == -EINTR ? CTL_DETACHED : CTL_TIMEOUT;
	}
	if (r >= 0 && !ctl->json)
		table_line(stdout, "nothing runs");
	return r < 0 ? r : CTL_DONE;
}

int
verb_drain(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	bool undo = ctl_given(ctl, OPTION_UNDO);
	int64_t left;
	int r;

	if (undo && (ctl_given(ctl, OPTION_WAIT) || ctl_given(ctl, OPTION_TIMEOUT)))
		return ctl_usage(ctl, err, "--undo waits for nothing");
	if (ctl_given(ctl, OPTION_TIMEOUT) && !ctl_given(ctl, OPTION_WAIT))
		return ctl_usage(ctl, err, "--timeout is for --wait");
	r = ctl_change(ctl, "Drain", undo ? json_pack("{s:b}", "undo", true) : json_object(),
		       &reply, err);
	if (r < 0)
		return r;
	left = json_get_int(json_object_get(reply, "drain"), "left", 0);
	if (ctl->json)
		ctl_json(ctl, reply);
	else if (undo)
		table_line(stdout, "what is due starts again");
	else
		table_line(stdout,
			   "nothing new starts until bmd is restarted (%" PRId64
			   " running); undo: bmctl drain --undo",
			   left);
	return ctl_given(ctl, OPTION_WAIT) ? quiet_told(ctl, wait_for_quiet(ctl, err)) : CTL_DONE;
}

/* The replies of a stream, a line each, until the last one or Ctrl-C. */
static int
call_stream(struct ctl *ctl, const char *method, json_t *parameters, struct err *err)
{
	bool continues = true;
	int r = client_start(ctl->client, method, parameters, true, err);

	while (r >= 0 && continues) {
		_cleanup_json_ json_t *reply = NULL;

		r = client_next(ctl->client, CLIENT_NEVER, &reply, &continues, err);
		if (r >= 0)
			ctl_json(ctl, reply);
	}
	return r;
}

int
verb_call(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *parameters = NULL, *reply = NULL;
	const char *name = ctl_word(ctl, 0), *text = ctl_word(ctl, 1);
	_cleanup_free_ char *method =
	    strchr(name, '.') != NULL ? xstrdup(name) : xasprintf("%s%s", ERR_INTERFACE, name);
	int r;

	client_zone(ctl->client, NULL); /* as it is */
	if (text == NULL)
		parameters = json_object();
	else if (json_parse(text, strlen(text), VARLINK_FRAME_MAX, &parameters, err) < 0) {
		_cleanup_free_ char *why = xstrdup(err->text);

		return ctl_usage(ctl, err,
				 "the parameters are one JSON object, such as '{\"job\": 42}': %s",
				 why);
	}
	if (ctl_given(ctl, OPTION_MORE))
		return call_stream(ctl, method, parameters, err);
	r = client_call(ctl->client, method, parameters, json_object_get(parameters, "key") != NULL,
			&reply, err);
	if (r < 0)
		return r;
	ctl_json(ctl, reply);
	return CTL_DONE;
}

int
verb_version(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = json_object();
	const char *version;
	int r;

	if (!ctl->json)
		table_line(stdout, "bmctl %s", PACKAGE_VERSION);
	r = client_call(ctl->client, ERR_SERVICE "GetInfo", parameters, false, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json) {
		json_object_set_new(reply, "client", json_string(PACKAGE_VERSION));
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	version = json_get_string(reply, "version");
	table_line(stdout, "bmd %s at %s", version ? version : "?",
		   ctl->host != NULL ? ctl->host : ctl->socket);
	return CTL_DONE;
}
