/* SPDX-License-Identifier: ISC */
/* The daemon itself: is everything ready, and the configuration read again. */
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
		for (size_t j = 0; j < conf->applications[i].nstages; j++)
			json_array_append_new(stages,
					      queue_check(queue, conf->applications[i].name,
							  conf->applications[i].stages[j].name,
							  request->now_us));
	*ret_reply = json_pack("{s:s, s:o}", "configuration", conf->path, "stages", stages);
	return 0;
}

int
method_Reload(struct request *request, json_t **ret_reply, struct err *err)
{
	struct methods *methods = request->methods;
	struct event told = {.kind = EVENT_RELOADED};
	json_t *warnings = NULL;
	const struct conf *conf;
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = methods->reload(methods->arg, &warnings, err);
	if (r < 0)
		return r;
	conf = queue_conf(methods->queue);
	told.text = xasprintf("configuration read again, asked by %s%s%s", request->who.name,
			      reason ? ": " : "", reason ? reason : "");
	(void)snprintf(told.requester, sizeof(told.requester), "%s", request->who.name);
	log_event(&told);
	free(told.text);
	*ret_reply =
	    json_pack("{s:I, s:I, s:o}", "applications", (json_int_t)conf->napplications, "plans",
		      (json_int_t)conf->nplans, "warnings", warnings ? warnings : json_array());
	return 0;
}
