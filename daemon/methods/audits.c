/* SPDX-License-Identifier: ISC */
/* The audit: what a request is as a row of it, its list, and following its chain. */
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"

#define LIST_ROWS    2000 /* looked at for one page, whether they fit the filter or not */
#define CHECK_ROWS   1000 /* followed in one pass of the loop */
#define PROGRESS_ROW 100000

/* ---- rows ---- */

/* What is configured is a name; anything else is words of a stranger. */
static void
keep_names(const struct conf *conf, struct store_audit *row)
{
	const struct conf_application *application =
	    row->application ? conf_application(conf, row->application) : NULL;

	const struct conf_stage *stage =
	    application && row->stage ? conf_stage(application, row->stage) : NULL;

	row->application = application ? application->name : NULL;
	row->stage = stage ? stage->name : NULL;
}

/* "1.0.2/3, due 2026-…: the reason" */
static char *
words(const struct request *request, const json_t *subject)
{
	const char *release = json_get_string(subject, "release");
	const char *due = json_get_string(subject, "due");
	const char *until = request_text(request, "until"),
		   *reason = request_text(request, "reason");
	const char *calendar = json_get_string(subject, "calendar");
	int64_t build = json_get_int(subject, "build", 0);
	_cleanup_free_ char *ref = NULL;
	char *text;

	if (release && build)
		ref = xasprintf("%s/%" PRId64, release, build);
	else if (release)
		ref = xstrdup(release);
	else if (calendar)
		ref = xasprintf("schedule %" PRId64 ": %s, %s", json_get_int(subject, "id", 0),
				json_get_string(subject, "wanted"), calendar);
	text = xasprintf("%s%s%s%s%s", ref ? ref : "", due ? ", due " : "", due ? due : "",
			 until ? "until " : "", until ? until : "");
	if (reason && *reason) {
		char *whole = xasprintf("%s%s%s", text, *text ? ": " : "", reason);

		free(text);
		return whole;
	}
	if (!*text)
		free(TAKE(text));
	return text;
}

void
request_audit(const struct request *request, const char *method, const json_t *reply,
	      struct store_audit *ret_row, char **ret_text)
{
	static const char *const subjects[] = {"schedule", "job", "build", "stage"};
	const json_t *subject = request->parameters;
	struct job job = {0};
	struct store_audit row = {
	    .at_us = request->now_us,
	    .uid = request->who.uid,
	    .who = request->who.name,
	    .what = method,
	    .application = request_text(request, "application"),
	    .stage = request_text(request, "stage"),
	    .job = request_int(request, "job", 0),
	};

	for (size_t i = 0; reply && i < ARRAY_SIZE(subjects); i++)
		if (json_is_object(json_object_get(reply, subjects[i]))) {
			subject = json_object_get(reply, subjects[i]);
			row.application = json_get_string(subject, "application");
			row.stage = json_get_string(subject, "stage");
			row.job = i == 1 ? json_get_int(subject, "id", 0) : row.job;
			break;
		}
	if (!reply && row.job > 0) {
		if (store_job_get(request->methods->store, row.job, &job, NULL) >= 0) {
			row.application = job.application;
			row.stage = job.stage;
		} else {
			row.job = 0;
		}
	}
	keep_names(queue_conf(request->methods->queue), &row);
	job_clear(&job);
	*ret_text = NULL;
	if (strcmp(method, "Settle") == 0)
		subject = request->parameters;
	else if (strcmp(method, "Adopt") == 0)
		subject = json_object_get(subject, "live");
	if (reply)
		*ret_text = words(request, subject);
	row.text = *ret_text;
	*ret_row = row;
}

/* ---- ListAudit ---- */

struct list {
	const struct control_peer *peer;
	const char *application, *stage;
	int64_t since_us;
	bool refused;
	struct page page;
	int looked;
	int64_t last; /* looked at */
};

/* What belongs to no application may name any: it is for those who see all. */
static bool
is_seen(const struct control_peer *peer, const struct store_audit *row)
{
	if (!row->application)
		return reach_sees_all(peer);
	return reach_rights(peer, row->application, row->stage) & RIGHT_SEE;
}

/* Nor does the sentence of a refusal that belongs to no stage: it may name those that there are. */
static bool
text_is_seen(const struct control_peer *peer, const struct store_audit *row)
{
	return !row->error || row->stage || !row->application ||
	       rights_on_each(peer->rights, &peer->as, row->application) & RIGHT_SEE;
}

static json_t *
row_json(const struct control_peer *peer, const struct store_audit *row)
{
	return json_pack("{s:I, s:o, s:I, s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:s}", "id",
			 (json_int_t)row->id, "time", json_time(row->at_us), "uid",
			 (json_int_t)row->uid, "by", json_text(row->who), "method", row->what,
			 "application", json_text(row->application), "stage", json_text(row->stage),
			 "job", row->job > 0 ? json_integer((json_int_t)row->job) : json_null(),
			 "refused", (json_int_t)row->refused, "error", json_text(row->error),
			 "text", json_text(text_is_seen(peer, row) ? row->text : NULL), "hash",
			 row->hash);
}

static bool
is(const char *wanted, const char *got)
{
	return !wanted || (got && strcmp(wanted, got) == 0);
}

static int
list_row(const struct store_audit *row, void *arg)
{
	struct list *list = arg;

	list->looked++;
	list->last = row->id;
	if (row->at_us < list->since_us || (list->refused && row->refused == 0) ||
	    !is(list->application, row->application) || !is(list->stage, row->stage) ||
	    !is_seen(list->peer, row))
		return 0;
	return page_add(&list->page, row_json(list->peer, row), row->id, -1) ? 0 : 1;
}

int
method_ListAudit(struct request *request, json_t **ret_reply, struct err *err)
{
	struct list list = {
	    .peer = request->peer,
	    .application = request_text(request, "application"),
	    .stage = request_text(request, "stage"),
	    .refused = json_get_bool(request->parameters, "refused"),
	};
	int r = request_time(request, "since", &list.since_us, err);

	if (r >= 0)
		r = page_begin(request, 1, &list.page, err);
	if (r >= 0)
		r = store_audit_each(request->methods->store, list.page.after[0], LIST_ROWS,
				     list_row, &list, err);
	if (r >= 0 && !list.page.more && list.looked == LIST_ROWS) {
		/* Go on behind what was looked at. */
		page_goes_on(&list.page, list.last, -1);
	}
	if (r >= 0)
		*ret_reply = page_reply(&list.page, "rows");
	page_clear(&list.page);
	return r;
}

/* ---- VerifyAudit ---- */

/* A piece of the chain in each pass of the loop. */
struct follow {
	struct methods *methods;
	struct control_call *call;
	struct ev_loop *loop;
	ev_timer timer;
	struct store_audit_check check;
	char noted[DIGEST_SIZE];
	int64_t told;
	bool more;
};

static void
follow_free(struct follow *follow)
{
	ev_timer_stop(follow->loop, &follow->timer);
	free(follow);
}

static void
follow_gone(void *arg)
{
	follow_free(arg);
}

static void
follow_reply(struct follow *follow, bool continues)
{
	const struct store_audit_check *check = &follow->check;
	json_t *bad = check->bad ? json_pack("{s:I, s:s}", "row", (json_int_t)check->bad, "problem",
					     check->problem)
				 : json_null();
	json_t *noted = check->noted_id ? json_integer((json_int_t)check->noted_id) : json_null();

	follow->told = check->at.id;
	control_reply(follow->call,
		      json_pack("{s:I, s:I, s:s, s:o, s:o}", "rows", (json_int_t)check->at.id,
				"total", (json_int_t)check->end.id, "head", check->end.hash, "bad",
				bad, "noted", noted),
		      continues);
}

static void
on_pass(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct follow *follow = timer->data;
	struct control_call *call = follow->call;
	_cleanup_err_ struct err err = ERR_INIT;
	int r = store_audit_check(follow->methods->store, &follow->check, CHECK_ROWS, &err);

	(void)events;
	if (r < 0) {
		follow_free(follow);
		control_error(call, &err);
		return;
	}
	if (r == 0) {
		follow_reply(follow, false);
		follow_free(follow);
		return;
	}
	if (follow->more && follow->check.at.id - follow->told >= PROGRESS_ROW)
		follow_reply(follow, true);
	ev_timer_set(timer, 0., 0.);
	ev_timer_start(loop, timer);
}

int
method_VerifyAudit(struct request *request, struct err *err)
{
	const char *head = request_text(request, "head");
	struct follow *follow;

	if (head && !digest_valid(head))
		return request_invalid(err, "head",
				       "a head is 64 hexadecimal digits, as bmd's log has it");
	follow = xcalloc(1, sizeof(*follow));
	follow->methods = request->methods;
	follow->call = request->call;
	follow->more = request->more;
	follow->loop = sched_loop(request->methods->sched);
	store_audit_check_begin(request->methods->store, &follow->check);
	if (head) {
		(void)strcpy(follow->noted, head);
		follow->check.noted = follow->noted;
	}
	ev_timer_init(&follow->timer, on_pass, 0., 0.);
	follow->timer.data = follow;
	control_on_gone(follow->call, follow_gone, follow);
	ev_timer_start(follow->loop, &follow->timer);
	return 0;
}
