/* SPDX-License-Identifier: ISC */
/* The daemon itself: is everything ready, the configuration read again, and nothing new started. */
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/log.h"
#include "daemon/methods/request.h"

int
method_Check(struct request *request, json_t **ret_reply, struct err *err)
{
	struct queue *queue = request->methods->queue;
	const struct conf *conf = queue_conf(queue);
	json_t *stages = json_array();

	(void)err;
	for (size_t i = 0; i < conf->napplications; i++)
		for (size_t j = 0; j < conf->applications[i].nstages; j++) {
			const char *application = conf->applications[i].name;
			const char *stage = conf->applications[i].stages[j].name;

			if (reach_rights(request->peer, application, stage) & RIGHT_SEE)
				json_array_append_new(stages, queue_check(queue, application, stage,
									  request->now_us));
		}
	*ret_reply = json_pack("{s:s, s:o, s:o}", "configuration", conf->path, "unreadable",
			       reach_sees_all(request->peer) ? conf_unreadable(conf) : json_array(),
			       "stages", stages);
	return 0;
}

int
method_Reload(struct request *request, json_t **ret_reply, struct err *err)
{
	struct methods *methods = request->methods;
	struct event told = {.kind = EVENT_RELOADED};
	const struct conf *conf;
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r < 0)
		return r;
	told.text = xasprintf("configuration read again, asked by %s%s%s", request->who.name,
			      reason ? ": " : "", reason ? reason : "");
	(void)snprintf(told.requester, sizeof(told.requester), "%s", request->who.name);
	r = methods->reload(methods->arg, &told, &conf, err);
	free(told.text);
	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:I, s:I, s:[]}", "applications", (json_int_t)conf->napplications,
			       "plans", (json_int_t)conf->nplans, "warnings");
	return 0;
}

/* ---- drain ---- */

/* It is in force once its row of the audit is on disk. */
struct drain {
	struct methods *methods;
	struct queue_who who;
	bool undo;
	char *reason; /* NULL: none */
	int64_t now_us;
};

static void
drain_free(struct drain *drain)
{
	free(drain->reason);
	free(drain);
}

static void
drain_committed(void *arg, const struct err *failure)
{
	struct drain *drain = arg;
	struct queue *queue = drain->methods->queue;

	if (!failure && drain->undo)
		queue_undrain(queue, &drain->who);
	else if (!failure)
		queue_drain(queue, drain->reason, &drain->who, drain->now_us);
	sched_kick(drain->methods->sched);
	drain_free(drain);
}

static void
drain_accepted(struct request *request)
{
	const char *reason = request_text(request, "reason");
	struct drain *drain = xcalloc(1, sizeof(*drain));

	*drain = (struct drain){
	    .methods = request->methods,
	    .who = request->who,
	    .undo = json_is_true(json_object_get(request->parameters, "undo")),
	    .reason = reason && *reason ? xstrdup(reason) : NULL,
	    .now_us = request->now_us,
	};
	turn_after(request->methods->turn, drain_committed, drain);
}

int
method_Drain(struct request *request, json_t **ret_reply, struct err *err)
{
	struct queue *queue = request->methods->queue;
	bool undo = json_is_true(json_object_get(request->parameters, "undo"));
	const char *reason;
	json_t *drain;
	int r = request_words(request, "reason", true, &reason, err);

	if (r < 0)
		return r;
	drain = undo ? json_null() : queue_drain_json(queue);
	if (!undo && json_is_null(drain))
		drain = queue_drain_shown(queue, request->who.name, request->now_us, reason);
	request->accepted = drain_accepted;
	*ret_reply = json_pack("{s:o}", "drain", drain);
	return 0;
}
