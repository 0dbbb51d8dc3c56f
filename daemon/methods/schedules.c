/* SPDX-License-Identifier: ISC */
/* Schedules: recurring deployments, added, listed, removed, paused. */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"

#define PAGE_ROWS 1001 /* PAGE_LIMIT_MAX and one more, which tells that there is more */

/* What is wanted as one text: "live", "1.0.2" or "1.0.2/3". */
static int
read_wanted(const struct request *request, char ret_wanted[96], struct err *err)
{
	struct build_ref ref = {.number = 0};
	bool live = json_get_bool(request->parameters, "live");
	const char *release;
	int r = request_release(request, &release, &ref.number, err);

	if (r < 0)
		return r;
	if (live == (release != NULL))
		return request_invalid(err, "live", "which build? set either live, or a release");
	(void)snprintf(ref.release, sizeof(ref.release), "%s", live ? "live" : release);
	if (!live && strcmp(release, "live") == 0 && ref.number == 0)
		return request_invalid(err, "release",
				       "a release that is called live needs the number of a build");
	(void)snprintf(ret_wanted, sizeof(names_build_text(&ref).s), "%s",
		       names_build_text(&ref).s);
	return 0;
}

/* The job that was put into the queue; null when none was. */
static json_t *
waiting_json(struct request *request, int64_t schedule)
{
	struct methods *methods = request->methods;
	struct job job = {0};
	int64_t id = 0;
	json_t *object;

	if (store_schedule_waiting(methods->store, schedule, 0, &id, NULL) < 0 || id == 0 ||
	    store_job_get(methods->store, id, &job, NULL) < 0)
		return json_null();
	object = queue_job_json(methods->queue, &job, false, request->now_us);
	job_clear(&job);
	return object;
}

static json_t *
schedule_json(const struct request *request, const struct store_schedule *schedule)
{
	return queue_schedule_json(request->methods->queue, schedule, request->now_us);
}

/* What is allowed now and will do nothing as it is. */
static json_t *
warnings_of(const struct store_schedule *schedule, const json_t *job)
{
	json_t *warnings = json_array();

	if (json_is_object(job) && json_get_int(job, "build", 0) == 0)
		json_array_append_new(
		    warnings, json_sprintf("nothing is live on %s yet: an occurrence that finds it "
					   "so is held",
					   schedule->stage));
	return warnings;
}

int
method_AddSchedule(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *if_changed = request_text(request, "if_changed");
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	char wanted[96] = "";
	struct queue_recurring asked = {
	    .application = request->application->name,
	    .stage = request->stage->name,
	    .wanted = wanted,
	    .calendar = request_text(request, "calendar"),
	    .zone = request_text(request, "zone"),
	    .confirmed = json_get_bool(request->parameters, "confirmed"),
	    .grace_us = request_int(request, "grace_us", -1),
	};
	json_t *job;
	int r = read_wanted(request, wanted, err);

	if (r >= 0)
		r = request_words(request, "reason", true, &asked.reason, err);
	if (r >= 0)
		r = request_variables(request, &asked.variables, err);
	if (r < 0)
		return r;
	if (json_is_integer(json_object_get(request->parameters, "grace_us")) && asked.grace_us < 0)
		return request_invalid(err, "grace_us", "grace_us cannot be negative");
	if (if_changed)
		asked.has_if_changed = job_if_changed_from(if_changed, &asked.if_changed);
	r = queue_schedule_add(request->methods->queue, &asked, &request->who, request->now_us,
			       &schedule, err);
	if (r < 0)
		return r;
	job = waiting_json(request, schedule.id);
	*ret_reply = json_pack("{s:o, s:o, s:o}", "schedule", schedule_json(request, &schedule),
			       "warnings", warnings_of(&schedule, job), "job", job);
	return 0;
}

/* Rows first, values after: a value reads the database itself. No more rows are looked at than fit
 * into one page, whether this caller sees them or not. */
struct found {
	const struct control_peer *peer;
	int64_t ids[PAGE_ROWS], last;
	size_t n, looked;
};

static int
note_id(const struct store_schedule *schedule, void *arg)
{
	struct found *found = arg;

	found->looked++;
	found->last = schedule->id;
	if (reach_rights(found->peer, schedule->application, schedule->stage) & RIGHT_SEE)
		found->ids[found->n++] = schedule->id;
	return 0;
}

static int
fill_page(struct request *request, const struct found *found, struct page *page, struct err *err)
{
	for (size_t i = 0; i < found->n; i++) {
		struct store_schedule schedule = {0};
		bool added;
		int r = store_schedule_get(request->methods->store, found->ids[i], &schedule, err);

		if (r < 0)
			return r;
		added = page_add(page, schedule_json(request, &schedule), schedule.id, -1);
		store_schedule_clear(&schedule);
		if (!added)
			break;
	}
	return 0;
}

int
method_ListSchedules(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(page_clear) struct page page = {0};
	struct found found = {.peer = request->peer};
	int r = page_begin(request, 1, &page, err), limit = page.limit + 1;

	if (r >= 0)
		r = store_schedule_each(request->methods->store,
					request_text(request, "application"), NULL, page.after[0],
					limit, note_id, &found, err);
	if (r >= 0)
		r = fill_page(request, &found, &page, err);
	if (r >= 0 && !page.more && found.looked == (size_t)limit)
		page_goes_on(&page, found.last, -1);
	if (r >= 0)
		*ret_reply = page_reply(&page, "schedules");
	return r < 0 ? r : 0;
}

static int
find(const struct request *request, struct store_schedule *ret_schedule, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	int64_t id = request_int(request, "schedule", 0);
	const char *name = request_text(request, "name");

	if ((id > 0) == (name != NULL))
		return request_invalid(err, "schedule",
				       "which schedule? set either its number, or the name of its "
				       "section");
	return queue_schedule_find(request->methods->queue, &eyes, id,
				   request_text(request, "application"), name, ret_schedule, err);
}

int
method_GetSchedule(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	int r = find(request, &schedule, err);

	if (r >= 0)
		*ret_reply = json_pack("{s:o}", "schedule", schedule_json(request, &schedule));
	return r;
}

static int
stop(struct request *request, bool for_good, json_t **ret_reply, struct err *err)
{
	struct queue *queue = request->methods->queue;
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	int64_t cancelled = 0;
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = find(request, &schedule, err);
	if (r >= 0)
		r = for_good ? queue_schedule_remove(queue, &schedule, reason, &request->who,
						     request->now_us, &cancelled, err)
			     : queue_schedule_pause(queue, &schedule, reason, &request->who,
						    request->now_us, &cancelled, err);
	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:o, s:o}", "schedule", schedule_json(request, &schedule),
			       "cancelled", cancelled > 0 ? json_integer(cancelled) : json_null());
	return 0;
}

int
method_RemoveSchedule(struct request *request, json_t **ret_reply, struct err *err)
{
	return stop(request, true, ret_reply, err);
}

int
method_PauseSchedule(struct request *request, json_t **ret_reply, struct err *err)
{
	return stop(request, false, ret_reply, err);
}

int
method_ResumeSchedule(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = find(request, &schedule, err);
	if (r >= 0)
		r = queue_schedule_resume(request->methods->queue, &schedule, request->now_us, err);
	if (r >= 0)
		*ret_reply = json_pack("{s:o, s:o}", "schedule", schedule_json(request, &schedule),
				       "job", waiting_json(request, schedule.id));
	return r;
}
