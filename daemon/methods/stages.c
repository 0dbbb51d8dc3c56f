/* SPDX-License-Identifier: ISC */
/* Stages: what is where, locks, and a human's word on what is live. */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"

static json_t *
stages_of(struct request *request, const char *only)
{
	struct queue *queue = request->methods->queue;
	const struct conf *conf = queue_conf(queue);
	json_t *stages = json_array();

	for (size_t i = 0; i < conf->napplications; i++) {
		const struct conf_application *application = &conf->applications[i];

		if (only && strcmp(only, application->name) != 0)
			continue;
		for (size_t j = 0; j < application->nstages; j++) {
			const char *stage = application->stages[j].name;

			if (reach_rights(request->peer, application->name, stage) & RIGHT_SEE)
				json_array_append_new(stages,
						      queue_stage_json(queue, application->name,
								       stage, request->now_us));
		}
	}
	return stages;
}

/* Jobs that wait and that run, of those that the caller sees. */
static int
count(struct request *request, int64_t *ret_waiting, int64_t *ret_running, struct err *err)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	struct store *store = request->methods->store;
	int64_t waiting = 0, running = 0, open = 0, now = 0;
	int r = 0;

	for (size_t i = 0; i < conf->napplications; i++) {
		const struct conf_application *application = &conf->applications[i];

		for (size_t j = 0; j < application->nstages; j++) {
			const char *stage = application->stages[j].name;

			if (!(reach_rights(request->peer, application->name, stage) & RIGHT_SEE))
				continue;
			r = store_job_count_stage(store, application->name, stage, &open, &now,
						  err);
			if (r < 0)
				return r;
			waiting += open - now;
			running += now;
		}
	}
	*ret_waiting = waiting;
	*ret_running = running;
	return 0;
}

static int
count_all(struct request *request, int64_t *ret_waiting, int64_t *ret_running, struct err *err)
{
	int64_t counts[JOB_STATE_MAX_] = {0};
	int r = store_job_count(request->methods->store, counts, err);

	*ret_waiting =
	    counts[JOB_SCHEDULED] + counts[JOB_QUEUED] + counts[JOB_HELD] + counts[JOB_STARTING];
	*ret_running = counts[JOB_RUNNING];
	return r;
}

/* Of all jobs, and of all notices: for those who see all of them. */
static json_t *
jobs_json(struct request *request)
{
	int64_t counts[JOB_STATE_MAX_] = {0};

	if (!reach_sees_all(request->peer) ||
	    store_job_count(request->methods->store, counts, NULL) < 0)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I}", "scheduled", (json_int_t)counts[JOB_SCHEDULED],
			 "queued", (json_int_t)counts[JOB_QUEUED] + counts[JOB_STARTING], "held",
			 (json_int_t)counts[JOB_HELD], "running", (json_int_t)counts[JOB_RUNNING]);
}

/* They name files, applications and jobs: for those who see all of them. */
static json_t *
warnings_of(struct request *request)
{
	if (!reach_sees_all(request->peer))
		return json_array();

	json_t *warnings = sched_warnings(request->methods->sched);
	_cleanup_json_ json_t *changed = conf_changed(queue_conf(request->methods->queue));
	const json_t *path;
	size_t i;

	if (request->methods->problems)
		json_array_extend(warnings, request->methods->problems);
	if (request->methods->clients)
		json_array_extend(warnings,
				  (json_t *)(uintptr_t)control_problems(request->methods->clients));
	json_array_foreach (changed, i, path)
		json_array_append_new(warnings,
				      json_sprintf("%s has changed: bmctl check, then bmctl reload",
						   json_string_value(path)));
	return warnings;
}

int
method_GetStatus(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *only = request_text(request, "application");
	int64_t waiting = 0, running = 0;
	int r = reach_sees_all(request->peer) ? count_all(request, &waiting, &running, err)
					      : count(request, &waiting, &running, err);

	if (r < 0)
		return r;
	json_t *stages = stages_of(request, only);
	*ret_reply = json_pack(
	    "{s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "stages", stages, "warnings",
	    warnings_of(request), "now", json_time(request->now_us), "waiting", (json_int_t)waiting,
	    "running", (json_int_t)running, "verification", patrol_status(request->methods->patrol),
	    "drain", queue_drain_json(request->methods->queue), "notices",
	    reach_sees_all(request->peer)
		? notices_status(request->methods->notices, request->now_us)
		: json_null(),
	    "jobs", jobs_json(request), "limits",
	    reach_sees_all(request->peer) ? request_limits(request, stages, waiting, running)
					  : json_array());
	return 0;
}

static int
stage_reply(struct request *request, json_t **ret_reply)
{
	*ret_reply = json_pack("{s:o}", "stage",
			       queue_stage_json(request->methods->queue,
						request_text(request, "application"),
						request_text(request, "stage"), request->now_us));
	return 0;
}

/* A reason that the interface demands is not empty either. */
static int
given_reason(const struct request *request, const char **ret_reason, struct err *err)
{
	int r = request_words(request, "reason", true, ret_reason, err);

	if (r >= 0 && !*ret_reason)
		r = request_invalid(
		    err, "reason",
		    "a reason is needed (--reason TEXT): others will want to know why");
	return r;
}

int
method_Lock(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *reason, *until = request_text(request, "until");
	int64_t until_us;
	int r = given_reason(request, &reason, err);

	if (r >= 0)
		r = request_time(request, "until", &until_us, err);
	if (r < 0)
		return r;
	if (until && until_us <= request->now_us) {
		r = err_set(err, ERR_BAD_TIME, "the lock would end at %s, which is over", until);
		err_field(err, "text", json_string(until));
		return r;
	}
	r = queue_lock(request->methods->queue, request_text(request, "application"),
		       request_text(request, "stage"), reason, until_us, &request->who,
		       request->now_us, err);
	return r < 0 ? r : stage_reply(request, ret_reply);
}

int
method_Unlock(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = queue_unlock(request->methods->queue, request_text(request, "application"),
				 request_text(request, "stage"), err);
	return r < 0 ? r : stage_reply(request, ret_reply);
}

int
method_Settle(struct request *request, json_t **ret_reply, struct err *err)
{
	struct queue *queue = request->methods->queue;
	const char *application = request_text(request, "application");
	const char *stage = request_text(request, "stage");
	const char *reason, *release;
	struct store_build build = {0};
	int64_t number;
	int r = given_reason(request, &reason, err);

	if (r >= 0)
		r = request_release(request, &release, &number, err);
	if (r >= 0 && release)
		r = queue_find_build(queue, application, release, number, &build, err);
	if (r >= 0)
		r = queue_settle(queue, application, stage, release ? &build.build : NULL, reason,
				 &request->who, request->now_us, err);
	store_build_clear(&build);
	return r < 0 ? r : stage_reply(request, ret_reply);
}

#define ADOPT_MAX 1000 /* builds at once */

/* Each a build, and none of them twice. */
static int
read_builds(const json_t *list, struct build_ref *builds, struct err *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		const char *release = json_get_string(item, "release");
		int64_t number = json_get_int(item, "build", 0);

		if (!names_release(release) || number < 1 || number > NAMES_BUILD_MAX)
			return request_invalid(err, "builds", "a build is a release and a number");
		snprintf(builds[i].release, sizeof(builds[i].release), "%s", release);
		builds[i].number = number;
		for (size_t j = 0; j < i; j++)
			if (names_build_equal(&builds[i], &builds[j]))
				return request_invalid(err, "builds", "%s is given twice",
						       names_build_text(&builds[i]).s);
	}
	return 0;
}

int
method_Adopt(struct request *request, json_t **ret_reply, struct err *err)
{
	const json_t *list = json_object_get(request->parameters, "builds");
	_cleanup_free_ struct build_ref *builds = NULL;
	size_t n = json_array_size(list);
	const char *reason;
	int r = given_reason(request, &reason, err);

	if (r < 0)
		return r;
	if (n < 1 || n > ADOPT_MAX)
		return request_invalid(err, "builds", "from 1 to %d builds are adopted at once",
				       ADOPT_MAX);
	builds = xcalloc(n, sizeof(*builds));
	if ((r = read_builds(list, builds, err)) < 0)
		return r;
	r = queue_adopt(request->methods->queue, request_text(request, "application"),
			request_text(request, "stage"), builds, n, &request->who, request->now_us,
			err);
	if (r < 0 || stage_reply(request, ret_reply) < 0)
		return r;
	json_object_set_new(*ret_reply, "adopted", json_boolean(r > 0));
	return 0;
}
