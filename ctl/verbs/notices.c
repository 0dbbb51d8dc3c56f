/* SPDX-License-Identifier: ISC */
/*
 * notify list, notify test: who is told of what happens, and whether they can be reached.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/follow.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define LIST_USUAL    30
#define TEST_US	      INT64_C(120000000) /* an answer is waited for so long without --timeout */
#define TEST_AGAIN_US INT64_C(200000)

/* "oncall", or "team of shop" */
static char *
whom(const json_t *object)
{
	const char *section = json_get_string(object, "section"),
		   *of = json_get_string(object, "of");

	return of != NULL ? xasprintf("%s of %s", section ? section : "?", of)
			  : xstrdup(section ? section : "?");
}

static void
print_sections(const json_t *sections)
{
	size_t i, j;
	json_t *section, *event;

	if (json_array_size(sections) == 0)
		table_line(stdout, "nobody is told of anything: see notify in bmd.conf(5)");
	json_array_foreach (sections, i, section) {
		_cleanup_free_ char *name = whom(section);
		_cleanup_free_ char *on = xstrdup("");

		json_array_foreach (json_object_get(section, "on"), j, event) {
			char *longer =
			    xasprintf("%s%s%s", on, j > 0 ? ", " : "", json_string_value(event));

			free(on);
			on = longer;
		}
		table_line(stdout, "%s is told of: %s", name, on);
	}
}

/* What became of it, in words. free() */
static char *
outcome(const struct ctl *ctl, const json_t *notice)
{
	const char *state = json_get_string(notice, "state"),
		   *error = json_get_string(notice, "error");
	int64_t attempts = json_get_int(notice, "attempts", 0);
	_cleanup_free_ char *again = NULL;

	if (state != NULL && strcmp(state, "delivered") == 0)
		return xstrdup("");
	if (state != NULL && strcmp(state, "waiting") == 0 && attempts == 0)
		return xstrdup("is on its way");
	if (state != NULL && strcmp(state, "waiting") == 0)
		again =
		    xasprintf(", again %s", when_distance(ctl_us(notice, "next"), ctl->now_us).s);
	return xasprintf("%" PRId64 " attempt%s%s: %s", attempts, attempts == 1 ? "" : "s",
			 again ? again : "", error ? error : "?");
}

static void
print_notices(const struct ctl *ctl, const json_t *notices)
{
	struct when_text head = ctl_head(ctl, "TIME");
	const struct table_column columns[] = {{head.s, TABLE_TIME}, {"TO", 0},
					       {"EVENT", 0},	     {"JOB", 0},
					       {"STATE", 0},	     {"OUTCOME", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *notice;

	if (json_array_size(notices) == 0)
		return;
	json_array_foreach (notices, i, notice) {
		_cleanup_free_ char *time = ctl_moment(ctl, notice, "created");
		_cleanup_free_ char *name = whom(notice), *text = outcome(ctl, notice);
		int64_t job = json_get_int(notice, "job", 0);
		_cleanup_free_ char *number = job > 0 ? xasprintf("%" PRId64, job) : NULL;
		const char *state = json_get_string(notice, "state");

		table_row(table, time, name, json_get_string(notice, "event"), number,
			  state != NULL && strcmp(state, "given_up") == 0 ? "given up" : state,
			  text);
	}
	table_print(table, stdout, ctl->width, ctl->color);
}

int
verb_notify_list(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	int64_t limit = LIST_USUAL;
	int r =
	    ctl_given(ctl, OPTION_LIMIT) ? ctl_number(ctl, OPTION_LIMIT, 100000, &limit, err) : 0;

	if (r >= 0)
		r = ctl_list(ctl, "ListNotices", "notices", json_object(), limit, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	print_sections(json_object_get(reply, "sections"));
	print_notices(ctl, json_object_get(reply, "notices"));
	return CTL_DONE;
}

/* The notice ID as it is now. New reference; NULL: it cannot be had. */
static json_t *
find_notice(struct ctl *ctl, int64_t id, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_free_ char *after = xasprintf("%" PRId64, id + 1);
	json_t *notice;

	if (ctl_call(ctl, "ListNotices", json_pack("{s:i, s:s}", "limit", 1, "after", after),
		     &reply, err) < 0)
		return NULL;
	notice = json_array_get(json_object_get(reply, "notices"), 0);
	return json_get_int(notice, "id", 0) == id ? json_incref(notice) : NULL;
}

/* Until its outcome is known. */
static int
await_outcome(struct ctl *ctl, int64_t id, json_t **ret_notice, struct err *err)
{
	int64_t deadline;
	int r = follow_deadline(ctl, &deadline, err);

	if (r >= 0 && deadline == CLIENT_NEVER)
		deadline = client_clock() + TEST_US;
	client_interruptible();
	while (r >= 0) {
		_cleanup_json_ json_t *notice = find_notice(ctl, id, err);
		const char *state = json_get_string(notice, "state");

		if (notice == NULL)
			return err->code != ERR_NONE
				   ? -EIO
				   : err_set(err, ERR_FAILED,
					     "the notice is gone: bmctl notify list");
		if (state != NULL && strcmp(state, "waiting") != 0) {
			*ret_notice = TAKE(notice);
			return 0;
		}
		if (client_clock() >= deadline)
			return -ETIMEDOUT;
		r = client_wait(NULL, 0, client_clock() + TEST_AGAIN_US);
		if (r == -ETIMEDOUT)
			r = 0;
	}
	return r;
}

int
verb_notify_test(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *notice = NULL;
	json_t *parameters = json_pack("{s:o}", "section", ctl_text(ctl_word(ctl, 0)));
	const char *state, *error;
	int r;

	if (ctl_given(ctl, OPTION_APPLICATION))
		json_object_set_new(parameters, "application",
				    ctl_text(ctl_value(ctl, OPTION_APPLICATION)));
	r = ctl_change(ctl, "TestNotice", parameters, &reply, err);
	if (r >= 0)
		r = await_outcome(ctl, json_get_int(json_object_get(reply, "notice"), "id", 0),
				  &notice, err);
	if (r == -ETIMEDOUT || r == -EINTR) {
		table_line(stderr, "%s: the notice is on its way: bmctl notify list",
			   r == -EINTR ? "detached" : "bmctl: its outcome is not known yet");
		return r == -EINTR ? CTL_DETACHED : CTL_TIMEOUT;
	}
	if (r < 0)
		return r;
	state = json_get_string(notice, "state");
	error = json_get_string(notice, "error");
	if (ctl->json) {
		_cleanup_json_ json_t *object = json_pack("{s:O}", "notice", notice);

		ctl_json(ctl, object);
	}
	if (state == NULL || strcmp(state, "delivered") != 0)
		return err_set(err, ERR_FAILED, "the notice to %s was not delivered: %s",
			       ctl_word(ctl, 0), error ? error : "?");
	if (!ctl->json)
		table_line(stdout, "delivered to %s as %s", ctl_word(ctl, 0),
			   json_get_string(notice, "notice"));
	return CTL_DONE;
}
