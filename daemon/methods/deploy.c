/* SPDX-License-Identifier: ISC */
/* Deploy and Redeploy: a request for a job, or a look at what it would do. */
#include <errno.h>

#include "common/json.h"
#include "common/time/when.h"
#include "daemon/methods/request.h"

static int
read_request(const struct request *request, bool redeploy, struct queue_request *ret_wish,
	     struct err *err)
{
	const json_t *p = request->parameters;
	struct queue_request wish = {
	    .redeploy = redeploy,
	    .application = request->application->name,
	    .stage = request->stage->name,
	    .confirmed = json_get_bool(p, "confirmed"),
	    .dry_run = json_get_bool(p, "dry_run"),
	    .grace_us = request_int(request, "grace_us", -1),
	    .override = request_override(request),
	};
	const char *if_changed = request_text(request, "if_changed");
	int r = request_release(request, &wish.release, &wish.build, err);

	if (r >= 0)
		r = request_words(request, "reason", true, &wish.reason, err);
	if (r >= 0)
		r = request_variables(request, &wish.variables, err);
	if (r < 0)
		return r;
	if (json_is_integer(json_object_get(p, "grace_us")) && wish.grace_us < 0)
		return request_invalid(err, "grace_us", "grace_us cannot be negative");
	if (if_changed)
		wish.has_if_changed = job_if_changed_from(if_changed, &wish.if_changed);
	r = request_when(request, &wish.when, err);
	wish.has_when = r >= 0;
	if (r == -ENODATA && wish.dry_run)
		r = 0;
	else if (r == -ENODATA)
		r = request_invalid(err, "at", "when? set now, or at to a time");
	if (r >= 0)
		*ret_wish = wish;
	return r;
}

static json_t *
unfinished_json(const struct history_run *run)
{
	if (run->job == 0)
		return json_null();
	return json_pack("{s:s, s:I, s:I}", "release", run->build.release, "build",
			 (json_int_t)run->build.number, "job", (json_int_t)run->job);
}

static int
ask(struct request *request, bool redeploy, json_t **ret_reply, struct err *err)
{
	struct queue *queue = request->methods->queue;
	struct queue_request wish;
	struct queue_answer answer = {0};
	json_t *reply;
	int r = read_request(request, redeploy, &wish, err);

	if (r < 0)
		return r;
	r = queue_request(queue, &wish, &request->who, request->now_us, &answer, err);
	if (r < 0)
		return r;
	*ret_reply = reply = json_object();
	json_put(reply, "job",
		 wish.dry_run ? json_null()
			      : queue_job_json(queue, &answer.job, false, request->now_us));
	json_put(reply, "preview", answer.preview ? json_incref(answer.preview) : json_null());
	json_put(reply, "replacing", request_live(answer.has_live ? &answer.live : NULL));
	json_put(reply, "unfinished", unfinished_json(&answer.unfinished));
	json_put(reply, "not_undone", json_incref(answer.not_undone));
	json_put(reply, "ahead", json_incref(answer.ahead));
	json_put(reply, "warnings", json_incref(answer.warnings));
	json_put(reply, "window", json_incref(answer.window));
	json_put(reply, "undo_wants",
		 queue_wants_json(queue, answer.job.application, answer.job.stage));
	queue_answer_clear(&answer);
	return 0;
}

int
method_Deploy(struct request *request, json_t **ret_reply, struct err *err)
{
	return ask(request, false, ret_reply, err);
}

int
method_Redeploy(struct request *request, json_t **ret_reply, struct err *err)
{
	return ask(request, true, ret_reply, err);
}
