/* SPDX-License-Identifier: ISC */
/*
 * What a call touches, and whether its caller may. Names, jobs and schedules that he does not see
 * are answered as if they were not there, by the same code that answers those which are not.
 */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"

/* ---- rights ---- */

static unsigned
needed(enum control_role role)
{
	switch (role) {
	case CONTROL_NOBODY:
		return 0;
	case CONTROL_VIEWER:
		return RIGHT_SEE;
	case CONTROL_APPROVER: /* either; the handler says which of the two */
		return RIGHT_APPROVE | RIGHT_OPERATE;
	case CONTROL_OPERATOR:
		return RIGHT_OPERATE;
	case CONTROL_ROOT:
		return RIGHT_ROOT;
	}
	return RIGHT_ROOT;
}

unsigned
reach_rights(const struct control_peer *peer, const char *application, const char *stage)
{
	return rights_on(peer->rights, &peer->as, application, stage);
}

bool
reach_sees_all(const struct control_peer *peer)
{
	return rights_on_each(peer->rights, &peer->as, NULL) & RIGHT_SEE;
}

static bool
sees(const void *arg, const char *application, const char *stage)
{
	return reach_rights(arg, application, stage) & RIGHT_SEE;
}

struct queue_eyes
reach_eyes(const struct control_peer *peer)
{
	return (struct queue_eyes){.sees = sees, .arg = peer};
}

/* ---- no ---- */

static const char *
verb(enum control_role role)
{
	switch (role) {
	case CONTROL_VIEWER:
		return "look";
	case CONTROL_APPROVER:
		return "let a first deployment go";
	case CONTROL_ROOT:
		return "administer bmd";
	default:
		return "deploy or change anything";
	}
}

/* " and members of ops, user ana", or "" when nobody is named. free() */
static char *
those_who_may(const struct conf *conf, const struct conf_application *application,
	      const struct conf_stage *stage, enum control_role role)
{
	bool approve = role == CONTROL_APPROVER;
	const struct conf_strings *list =
	    conf_role(conf, application, stage, approve ? CONF_APPROVERS : CONF_OPERATORS);
	_cleanup_free_ char *a = conf_role_text(list);
	_cleanup_free_ char *b =
	    role == CONTROL_VIEWER
		? conf_role_text(conf_role(conf, application, stage, CONF_VIEWERS))
		: xstrdup("");

	return xasprintf("%s%s%s%s", *a || *b ? " and " : "", a, *a && *b ? ", " : "", b);
}

int
reach_denied(const struct request *request, const char *method, enum control_role role,
	     const char *application, const char *stage, struct err *err)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	const struct conf_application *known =
	    application ? conf_application(conf, application) : NULL;
	const struct conf_stage *at = known && stage ? conf_stage(known, stage) : NULL;
	_cleanup_free_ char *may = NULL, *where = NULL;

	if (role == CONTROL_ROOT)
		return err_set(err, ERR_PERMISSION_DENIED,
			       "%s may not %s (%s): only root and the daemon's own user may",
			       request->peer->name, verb(role), method);
	may = those_who_may(conf, known, at, role);
	where = at	? xasprintf("of %s of %s", at->name, known->name)
		: known ? xasprintf("of %s", known->name)
			: xasprintf("in %s", conf->path);
	return err_set(err, ERR_PERMISSION_DENIED, "%s may not %s (%s): only root%s may (%s %s)",
		       request->peer->name, verb(role), method, may,
		       role == CONTROL_VIEWER	  ? "operators and viewers"
		       : role == CONTROL_APPROVER ? "approvers"
						  : "operators",
		       where);
}

/* What concerns every stage is for those who may act on every stage. */
static int
denied_whole(const struct request *request, const char *method, enum control_role role,
	     const struct conf_application *application, struct err *err)
{
	return err_set(err, ERR_PERMISSION_DENIED,
		       "%s may not %s (%s): it concerns every stage%s%s, and only root and who is "
		       "an operator of each of them may",
		       request->peer->name, verb(role), method, application ? " of " : "",
		       application ? application->name : "");
}

/* ---- what is touched ---- */

static int
list(struct request *request, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	const char *name = request_text(request, "application");

	return name ? queue_seen_application(request->methods->queue, &eyes, name,
					     &request->application, err)
		    : 0;
}

static int
application(struct request *request, const char *method, enum control_role role, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	int r = queue_seen_application(request->methods->queue, &eyes,
				       request_text(request, "application"), &request->application,
				       err);

	if (r < 0)
		return r;
	if (reach_rights(request->peer, request->application->name, NULL) & needed(role))
		return 0;
	return reach_denied(request, method, role, request->application->name, NULL, err);
}

static int
whole(struct request *request, const char *method, enum control_role role, struct err *err)
{
	const struct control_peer *peer = request->peer;
	int r = list(request, err);

	if (r < 0)
		return r;
	if (rights_on_each(peer->rights, &peer->as,
			   request->application ? request->application->name : NULL) &
	    needed(role))
		return 0;
	return denied_whole(request, method, role, request->application, err);
}

static int
stage(struct request *request, const char *method, enum control_role role, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	unsigned rights;
	int r =
	    queue_seen_stage(request->methods->queue, &eyes, request_text(request, "application"),
			     request_text(request, "stage"), &request->application, &request->stage,
			     err);

	if (r < 0)
		return r;
	rights = reach_rights(request->peer, request->application->name, request->stage->name);
	request->who.approves = rights & RIGHT_APPROVE;
	if (rights & needed(role))
		return 0;
	return reach_denied(request, method, role, request->application->name, request->stage->name,
			    err);
}

/* By names that the database gave, which may be configured no more. */
static int
judge(struct request *request, const char *method, enum control_role role, const char *application,
      const char *stage, struct err *err)
{
	if (reach_rights(request->peer, application, stage) & needed(role))
		return 0;
	return reach_denied(request, method, role == CONTROL_APPROVER ? CONTROL_OPERATOR : role,
			    application, stage, err);
}

int
reach_job(struct methods *methods, const struct control_peer *peer, int64_t id, struct job *ret_job,
	  struct err *err)
{
	struct job job;
	int r = store_job_get(methods->store, id, &job, err);

	if (r < 0)
		return r;
	if (!(reach_rights(peer, job.application, job.stage) & RIGHT_SEE)) {
		job_clear(&job);
		return store_job_missing(methods->store, id, err);
	}
	*ret_job = job;
	return 0;
}

static int
one_job(struct request *request, int64_t id, const char *method, enum control_role role,
	struct err *err)
{
	struct job job;
	int r = reach_job(request->methods, request->peer, id, &job, err);

	if (r < 0)
		return r;
	r = judge(request, method, role, job.application, job.stage, err);
	job_clear(&job);
	return r;
}

static int
jobs(struct request *request, const char *method, enum control_role role, struct err *err)
{
	const json_t *list = json_object_get(request->parameters, "jobs"), *id;
	size_t i;
	int r = 0;

	json_array_foreach (list, i, id) {
		r = one_job(request, json_integer_value(id), method, role, err);
		if (r < 0)
			break;
	}
	return r;
}

/* Which one is asked for badly is the handler's to say. */
static int
schedule(struct request *request, const char *method, enum control_role role, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	int64_t id = request_int(request, "schedule", 0);
	const char *name = request_text(request, "name");
	struct store_schedule found;
	int r;

	if ((id > 0) == (name != NULL))
		return 0;
	r = queue_schedule_find(request->methods->queue, &eyes, id,
				request_text(request, "application"), name, &found, err);
	if (r < 0)
		return r;
	r = judge(request, method, role, found.application, found.stage, err);
	store_schedule_clear(&found);
	return r;
}

int
reach_settle(struct request *request, const char *method, enum reach reach, enum control_role role,
	     struct err *err)
{
	switch (reach) {
	case REACH_NONE:
		return 0;
	case REACH_LIST:
		return list(request, err);
	case REACH_APPLICATION:
		return application(request, method, role, err);
	case REACH_WHOLE:
		return whole(request, method, role, err);
	case REACH_STAGE:
		return stage(request, method, role, err);
	case REACH_JOB:
		return one_job(request, request_int(request, "job", 0), method, role, err);
	case REACH_JOBS:
		return jobs(request, method, role, err);
	case REACH_SCHEDULE:
		return schedule(request, method, role, err);
	}
	return reach_denied(request, method, role, NULL, NULL, err);
}

/* ---- what is shown ---- */

static void
trim(const struct control_peer *peer, const char *application, json_t *list)
{
	for (size_t i = json_array_size(list); i > 0; i--) {
		const json_t *item = json_array_get(list, i - 1);
		const char *stage =
		    json_is_string(item) ? json_string_value(item) : json_get_string(item, "stage");

		if (stage && !(reach_rights(peer, application, stage) & RIGHT_SEE))
			(void)json_array_remove(list, i - 1);
	}
}

void
reach_trim_build(const struct control_peer *peer, json_t *build)
{
	static const char *const lists[] = {"live_on", "been_on", "deployments"};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		trim(peer, json_get_string(build, "application"), json_object_get(build, lists[i]));
}
