/* SPDX-License-Identifier: ISC */
/* Jobs: the queue, one job, the history, and what a person can do about one. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "daemon/methods/request.h"

#define PAGE_ROWS 1001 /* PAGE_LIMIT_MAX and one more, which tells that there is more */
#define LOOKED_AT 5000 /* rows for one page of somebody who does not see them all */

/* Rows first, values after: a value reads the database itself. Who does not see all rows looks at
 * more of them, and goes on by the cursor when there are too many for one call. */
struct looking {
	struct request *request;
	struct page *page;
	const char *stage;
	int64_t since_us;
	bool by_finish;
	int64_t ids[PAGE_ROWS];
	size_t n, looked;
	int64_t last[2]; /* looked at */
};

static int
look_at(const struct job *job, void *arg)
{
	struct looking *looking = arg;

	looking->looked++;
	looking->last[0] = looking->by_finish ? job->finished_us : job->due_us;
	looking->last[1] = job->id;
	if (!(reach_rights(looking->request->peer, job->application, job->stage) & RIGHT_SEE))
		return 0;
	looking->ids[looking->n++] = job->id;
	return looking->n <= (size_t)looking->page->limit ? 0 : 1;
}

static int
look_on(struct looking *looking, int limit, struct err *err)
{
	struct store *store = looking->request->methods->store;
	const char *application = request_text(looking->request, "application");

	if (looking->by_finish)
		return store_job_each_final(store, application, looking->stage, looking->since_us,
					    looking->last[0], looking->last[1], limit, look_at,
					    looking, err);
	return store_job_each_waiting(store, application, looking->last[0], looking->last[1], limit,
				      look_at, looking, err);
}

static int
fill_page(struct looking *looking, struct err *err)
{
	struct methods *methods = looking->request->methods;
	int64_t now_us = looking->request->now_us;

	for (size_t i = 0; i < looking->n; i++) {
		struct job job = {0};
		bool added;
		int r = store_job_get(methods->store, looking->ids[i], &job, err);

		if (r < 0)
			return r;
		added = page_add(looking->page, queue_job_json(methods->queue, &job, false, now_us),
				 looking->by_finish ? job.finished_us : job.due_us, job.id);
		job_clear(&job);
		if (!added)
			break;
	}
	return 0;
}

static int
list(struct looking *looking, json_t **ret_reply, struct err *err)
{
	struct page *page = looking->page;
	int limit = page->limit + 1, r;
	size_t before;

	looking->last[0] = page->after[0];
	looking->last[1] = page->after[1];
	do {
		before = looking->looked;
		r = look_on(looking, limit, err);
	} while (r >= 0 && looking->looked - before == (size_t)limit &&
		 looking->n <= (size_t)page->limit && looking->looked < LOOKED_AT);
	if (r >= 0)
		r = fill_page(looking, err);
	if (r < 0)
		return r;
	if (!page->more && looking->looked >= LOOKED_AT)
		page_goes_on(page, looking->last[0], looking->last[1]);
	*ret_reply = page_reply(page, "jobs");
	return 0;
}

int
method_ListQueue(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(page_clear) struct page page = {0};
	struct looking looking = {.request = request, .page = &page};
	int r = page_begin(request, 2, &page, err);

	return r < 0 ? r : list(&looking, ret_reply, err);
}

/* A stage that no application has is a mistyped one; so is one that nobody lets this caller see. */
static int
check_stage_of_any(struct request *request, const char *stage, struct err *err)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	int r;

	for (size_t i = 0; i < conf->napplications; i++)
		if (conf_stage(&conf->applications[i], stage) &&
		    reach_rights(request->peer, conf->applications[i].name, stage) & RIGHT_SEE)
			return 0;
	r = err_set(err, ERR_NO_SUCH_STAGE,
		    "no application has a stage %s: bmctl status names them", stage);
	err_field(err, "application", json_null());
	err_field(err, "stage", json_string(stage));
	return r;
}

int
method_ListHistory(struct request *request, json_t **ret_reply, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	const struct conf_stage *known;
	_cleanup_(page_clear) struct page page = {0};
	struct looking looking = {.request = request,
				  .page = &page,
				  .stage = request_text(request, "stage"),
				  .by_finish = true};
	int64_t pruned;
	int r = 0;

	if (looking.stage && request->application)
		r = queue_seen_stage(request->methods->queue, &eyes, request->application->name,
				     looking.stage, NULL, &known, err);
	else if (looking.stage)
		r = check_stage_of_any(request, looking.stage, err);
	if (r >= 0)
		r = request_time(request, "since", &looking.since_us, err);
	if (r >= 0)
		r = page_begin(request, 2, &page, err);
	if (r >= 0)
		r = store_jobs_pruned(request->methods->store, &pruned, err);
	if (r >= 0)
		r = list(&looking, ret_reply, err);
	if (r >= 0)
		json_put(*ret_reply, "pruned", pruned > 0 ? json_integer(pruned) : json_null());
	return r;
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
			       request_override(request), reason, &request->who, request->now_us,
			       err);
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

/* A first deployment is the approvers' to let go, anything else the operators'. */
static int
check_release(struct request *request, struct err *err)
{
	struct job job;
	unsigned rights;
	bool approval;
	int r =
	    reach_job(request->methods, request->peer, request_int(request, "job", 0), &job, err);

	if (r < 0)
		return r;
	rights = reach_rights(request->peer, job.application, job.stage);
	request->who.approves = rights & RIGHT_APPROVE;
	request->who.operates = rights & RIGHT_OPERATE;
	approval = job.state == JOB_HELD && queue_needs_approval(request->methods->queue, &job);
	if (!(rights & (approval ? RIGHT_APPROVE : RIGHT_OPERATE)))
		r = reach_denied(request, "Release", approval ? CONTROL_APPROVER : CONTROL_OPERATOR,
				 job.application, job.stage, err);
	job_clear(&job);
	return r;
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
		r = check_release(request, err);
	if (r >= 0)
		r = queue_release(request->methods->queue, request_int(request, "job", 0),
				  &request->who, request->now_us, &job, err);
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
