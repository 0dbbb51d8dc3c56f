/* SPDX-License-Identifier: ISC */
/* Jobs: the queue, one job, the history, and what a person can do about one. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "daemon/methods/request.h"

#define PAGE_ROWS 1001 /* PAGE_LIMIT_MAX and one more, which tells that there is more */

/* Rows first, values after: a value reads the database itself. */
struct found {
	int64_t ids[PAGE_ROWS];
	size_t n;
};

static int
note_id(const struct job *job, void *arg)
{
	struct found *found = arg;

	if (found->n == PAGE_ROWS)
		return 1;
	found->ids[found->n++] = job->id;
	return 0;
}

static int
fill_page(struct request *request, const struct found *found, bool by_finish, struct page *page,
	  struct err *err)
{
	struct methods *methods = request->methods;

	for (size_t i = 0; i < found->n; i++) {
		struct job job = {0};
		bool added;
		int r = store_job_get(methods->store, found->ids[i], &job, err);

		if (r < 0)
			return r;
		added = page_add(page, queue_job_json(methods->queue, &job, false, request->now_us),
				 by_finish ? job.finished_us : job.due_us, job.id);
		job_clear(&job);
		if (!added)
			break;
	}
	return 0;
}

/* An application that is asked for must be there; none means all. */
static int
check_application(const struct request *request, const char **ret_name, struct err *err)
{
	const struct conf_application *application;
	const char *name = request_text(request, "application");

	*ret_name = name;
	return name ? queue_find_application(request->methods->queue, name, &application, err) : 0;
}

int
method_ListQueue(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(page_clear) struct page page = {0};
	struct found found = {.n = 0};
	const char *application;
	int r = check_application(request, &application, err);

	if (r >= 0)
		r = page_begin(request, 2, &page, err);
	if (r >= 0)
		r = store_job_each_waiting(request->methods->store, application, page.after[0],
					   page.after[1], page.limit + 1, note_id, &found, err);
	if (r >= 0)
		r = fill_page(request, &found, false, &page, err);
	if (r >= 0)
		*ret_reply = page_reply(&page, "jobs");
	return r < 0 ? r : 0;
}

/* A stage that no application has is a mistyped one. */
static int
check_stage_of_any(struct request *request, const char *stage, struct err *err)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	int r;

	for (size_t i = 0; i < conf->napplications; i++)
		if (conf_stage(&conf->applications[i], stage))
			return 0;
	r = err_set(err, ERR_NO_SUCH_STAGE, "no application has a stage %s: bmctl status names them",
	    stage);
	err_field(err, "application", json_null());
	err_field(err, "stage", json_string(stage));
	return r;
}

int
method_ListHistory(struct request *request, json_t **ret_reply, struct err *err)
{
	const struct conf_application *known;
	const struct conf_stage *known_stage;
	_cleanup_(page_clear) struct page page = {0};
	struct found found = {.n = 0};
	const char *application, *stage = request_text(request, "stage");
	int64_t since_us = 0;
	int r = check_application(request, &application, err);

	if (r >= 0 && stage && application)
		r = queue_find_stage(request->methods->queue, application, stage, &known,
				     &known_stage, err);
	else if (r >= 0 && stage)
		r = check_stage_of_any(request, stage, err);
	if (r >= 0)
		r = request_time(request, "since", &since_us, err);
	if (r >= 0)
		r = page_begin(request, 2, &page, err);
	if (r >= 0)
		r = store_job_each_final(request->methods->store, application, stage, since_us,
					 page.after[0], page.after[1], page.limit + 1, note_id,
					 &found, err);
	if (r >= 0)
		r = fill_page(request, &found, true, &page, err);
	if (r >= 0)
		*ret_reply = page_reply(&page, "jobs");
	return r < 0 ? r : 0;
}

static json_t *
job_reply(struct request *request, struct job *job, bool steps)
{
	json_t *reply = json_pack(
	    "{s:o}", "job", queue_job_json(request->methods->queue, job, steps, request->now_us));

	job_clear(job);
	return reply;
}

int
method_GetJob(struct request *request, json_t **ret_reply, struct err *err)
{
	struct job job = {0};
	int r = store_job_get(request->methods->store, request_int(request, "job", 0), &job, err);

	if (r >= 0)
		*ret_reply = job_reply(request, &job, true);
	return r;
}

int
method_Cancel(struct request *request, json_t **ret_reply, struct err *err)
{
	struct job job = {0};
	const char *reason;
	bool kill_run = false;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = queue_cancel(request->methods->queue, request_int(request, "job", 0), reason,
				 &request->who, request->now_us, &kill_run, &job, err);
	if (r < 0)
		return r;
	if (kill_run) {
		request->kill_job = job.id;
		request->kill_now = job.cancel_now;
	}
	*ret_reply = job_reply(request, &job, false);
	return 0;
}

int
method_Reschedule(struct request *request, json_t **ret_reply, struct err *err)
{
	struct queue_when when;
	struct job job = {0};
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = request_when(request, &when, err);
	if (r == -ENODATA)
		return request_invalid(err, "at", "when? set now, or at to a time");
	if (r >= 0)
		r = queue_pass(request->methods->queue, request_int(request, "job", 0),
			       request_override(request), reason, &request->who, request->now_us, err);
	if (r >= 0)
		r = queue_reschedule(request->methods->queue, request_int(request, "job", 0), &when,
				     request->now_us, &job, err);
	if (r < 0) {
		job_clear(&job);
		return r;
	}
	*ret_reply = job_reply(request, &job, false);
	return 0;
}

int
method_Release(struct request *request, json_t **ret_reply, struct err *err)
{
	struct history history = {0};
	struct job job = {0};
	const char *reason;
	json_t *live;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = queue_release(request->methods->queue, request_int(request, "job", 0),
				  request->now_us, &job, err);
	if (r >= 0)
		r = store_history_get(request->methods->store, job.application, job.stage, &history,
				      err);
	if (r < 0) {
		job_clear(&job);
		return r;
	}
	live = request_live(history_live(&history));
	history_clear(&history);
	*ret_reply = job_reply(request, &job, false);
	json_object_set_new(*ret_reply, "replacing", live);
	return 0;
}
