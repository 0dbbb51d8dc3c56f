/* SPDX-License-Identifier: ISC */
/* Notices: whom the configuration tells, what waits to be told, and a trial. */

#include "common/json.h"
#include "common/names.h"
#include "daemon/methods/request.h"

static json_t *
section_json(const struct conf_notify *notify, const char *application)
{
	json_t *on = json_array();

#define X(symbol, name)                              \
	if (notify->on & 1u << CONF_NOTICE_##symbol) \
		json_array_append_new(on, json_string(name));
	CONF_NOTICES(X)
#undef X
	return json_pack("{s:s, s:o, s:o}", "section", notify->name, "of", json_text(application),
			 "on", on);
}

/* Those of bmd.conf are for who sees all. */
static json_t *
sections_json(const struct request *request)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	json_t *sections = json_array();

	for (size_t i = 0; i < conf->nnotifies && reach_sees_all(request->peer); i++)
		json_array_append_new(sections, section_json(&conf->notifies[i], NULL));
	for (size_t i = 0; i < conf->napplications; i++) {
		if (!(reach_rights(request->peer, conf->applications[i].name, NULL) & RIGHT_SEE))
			continue;
		for (size_t j = 0; j < conf->applications[i].nnotifies; j++)
			json_array_append_new(sections,
					      section_json(&conf->applications[i].notifies[j],
							   conf->applications[i].name));
	}
	return sections;
}

/* No more rows are looked at than fit into one page, whether this caller sees them or not; a row
 * has a body of some KiB. */
struct listed {
	const struct request *request;
	struct page page;
	int looked;
	int64_t last;
};

/* What it tells is seen by those who see what it is about. */
static bool
seen(const struct request *request, const struct store_notice *notice)
{
	if (!*notice->application)
		return reach_sees_all(request->peer);
	return reach_rights(request->peer, notice->application,
			    *notice->stage ? notice->stage : NULL) &
	       RIGHT_SEE;
}

static int
add_notice(const struct store_notice *notice, void *arg)
{
	struct listed *listed = arg;

	listed->looked++;
	listed->last = notice->id;
	if (!seen(listed->request, notice))
		return 0;
	return page_add(&listed->page, notices_json(listed->request->methods->notices, notice),
			notice->id, -1)
		   ? 0
		   : 1;
}

int
method_ListNotices(struct request *request, json_t **ret_reply, struct err *err)
{
	struct listed listed = {.request = request};
	int r = page_begin(request, 1, &listed.page, err), limit = listed.page.limit + 1;

	if (r < 0)
		return r;
	r = store_notice_each(request->methods->store, listed.page.after[0], limit, add_notice,
			      &listed, err);
	if (r < 0) {
		page_clear(&listed.page);
		return r;
	}
	if (!listed.page.more && listed.looked == limit)
		page_goes_on(&listed.page, listed.last, -1);
	*ret_reply = page_reply(&listed.page, "notices");
	json_object_set_new(*ret_reply, "sections", sections_json(request));
	return 0;
}

int
method_TestNotice(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *application = request_text(request, "application");
	struct store_notice notice;
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = notices_test(request->methods->notices, application ? application : "",
				 request_text(request, "section"), &request->who, request->now_us,
				 &notice, err);
	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:o}", "notice", notices_json(request->methods->notices, &notice));
	store_notice_clear(&notice);
	return 0;
}
