/* SPDX-License-Identifier: ISC */
/*
 * deploy and redeploy: the request, what is printed of it, and waiting for its end.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/follow.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/verbs/verbs.h"

/* The options that deploy and redeploy share. */
static int
common_parameters(struct ctl *ctl, json_t *parameters, struct err *err)
{
	const char *to = ctl_value(ctl, OPTION_TO);
	int r;

	if (ctl_given(ctl, OPTION_FOLLOW) && ctl_given(ctl, OPTION_NO_FOLLOW))
		return ctl_usage(ctl, err, "--follow and --no-follow exclude each other");
	if ((r = ctl_when(ctl, !ctl_given(ctl, OPTION_DRY_RUN), parameters, err)) < 0 ||
	    (r = ctl_override(ctl, parameters, err)) < 0 ||
	    (r = ctl_request(ctl, parameters, err)) < 0)
		return r;
	if (to != NULL)
		json_object_set_new(parameters, "stage", ctl_text(to));
	if (ctl_given(ctl, OPTION_DRY_RUN))
		json_object_set_new(parameters, "dry_run", json_true());
	return 0;
}

static void
print_request(const struct ctl *ctl, const json_t *reply, bool now, bool waits)
{
	const json_t *job = json_object_get(reply, "job");
	_cleanup_free_ char *request = text_request(ctl, reply);
	_cleanup_free_ char *not_undone = text_not_undone(json_object_get(reply, "not_undone"));
	_cleanup_free_ char *ahead = text_ahead(json_object_get(reply, "ahead"));
	_cleanup_free_ char *undo = text_undo(reply, now);
	const char *stage = json_get_string(job, "stage");
	const char *window = json_get_string(json_object_get(reply, "window"), "text");
	const char *waits_for = json_get_string(json_object_get(job, "waits_for"), "text");
	bool held = text_exit(job) == CTL_HELD;

	ctl_warnings(json_object_get(reply, "warnings"));
	table_line(stdout, "%s", request);
	if (window != NULL)
		table_line(stdout, "%s", window);
	if (held && waits_for != NULL)
		table_line(stdout, "held: %s", waits_for);
	if (ahead != NULL)
		table_line(stdout, "ahead on %s: %s", stage ? stage : "the stage", ahead);
	if (not_undone != NULL)
		table_line(stdout, "not undone: %s", not_undone);
	if (!waits && !ctl->terminal)
		table_line(stdout, "accepted, not awaited: bmctl wait %" PRId64,
			   json_get_int(job, "id", 0));
	if (undo != NULL)
		table_line(stdout, "%s", undo);
	table_flush();
}

/* How the caller goes on after the request: not at all, until the end, or with the log. */
enum after { AFTER_RETURN, AFTER_WAIT, AFTER_FOLLOW };

static enum after
after(const struct ctl *ctl, bool now)
{
	if (ctl_given(ctl, OPTION_FOLLOW))
		return AFTER_FOLLOW;
	if (ctl_given(ctl, OPTION_WAIT))
		return AFTER_WAIT;
	if (now && ctl->terminal && !ctl->json && !ctl_given(ctl, OPTION_NO_FOLLOW))
		return AFTER_FOLLOW;
	/* A limit to the waiting is a wish to wait. */
	return ctl_given(ctl, OPTION_TIMEOUT) ? AFTER_WAIT : AFTER_RETURN;
}

static int
wait_for_end(struct ctl *ctl, const json_t *reply, enum after how, int64_t deadline,
	     struct err *err)
{
	_cleanup_json_ json_t *ended = NULL;
	int64_t job = json_get_int(json_object_get(reply, "job"), "id", 0);
	int r = follow_job(ctl, job, how == AFTER_FOLLOW, true, deadline, &ended, err);

	if (ctl->json && how == AFTER_WAIT) {
		/* One object: the job as it ended, or as it was accepted. */
		_cleanup_json_ json_t *last =
		    ended != NULL ? json_pack("{s:O}", "job", ended) : NULL;

		ctl_json(ctl, last != NULL ? last : reply);
	} else if (ctl->json && ended != NULL && text_exit(ended) == CTL_HELD) {
		_cleanup_json_ json_t *last = json_pack("{s:O}", "job", ended);

		ctl_json(ctl, last); /* its log did not end, so no reply of it has told */
	}
	return follow_told(ctl, job, r, ended, stdout);
}

static int
preview(struct ctl *ctl, const char *method, json_t *parameters, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	int r = ctl_call(ctl, method, json_incref(parameters), &reply, err);

	if (r < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	ctl_warnings(json_object_get(reply, "warnings"));
	text_preview(ctl, stdout, json_object_get(reply, "preview"));
	return CTL_DONE;
}

static int
request(struct ctl *ctl, const char *method, json_t *parameters, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	bool now = json_get_bool(parameters, "now");
	int64_t deadline;
	enum after how;
	int r;

	if (ctl_given(ctl, OPTION_DRY_RUN))
		return preview(ctl, method, parameters, err);
	if ((r = follow_deadline(ctl, &deadline, err)) < 0 ||
	    (r = ctl_change(ctl, method, json_incref(parameters), &reply, err)) < 0)
		return r;
	how = after(ctl, now);
	if (!ctl->json)
		print_request(ctl, reply, now, how != AFTER_RETURN);
	else if (how != AFTER_WAIT)
		ctl_json(ctl, reply);
	return how == AFTER_RETURN ? CTL_DONE : wait_for_end(ctl, reply, how, deadline, err);
}

/* A stage in the place of an application or a build: the error says how it is given. */
static void
hint_stage(struct ctl *ctl, const char *word, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err why = ERR_INIT;
	json_t *stage;
	size_t i, n = strlen(err->text);

	if (word == NULL || ctl_call(ctl, "GetStatus", json_object(), &reply, &why) < 0)
		return;
	json_array_foreach (json_object_get(reply, "stages"), i, stage) {
		const char *name = json_get_string(stage, "stage");

		if (name == NULL || strcmp(name, word) != 0)
			continue;
		snprintf(err->text + n, sizeof(err->text) - n, "; %s is a stage: --to %s", name,
			 name);
		return;
	}
}

int
verb_deploy(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *parameters =
	    json_pack("{s:o}", "application", ctl_text(ctl_word(ctl, 0)));
	int r;

	if (!ctl_given(ctl, OPTION_TO))
		return ctl_usage(ctl, err, "say where to: --to STAGE");
	if ((r = ctl_build(parameters, ctl_word(ctl, 1), err)) < 0 ||
	    (r = common_parameters(ctl, parameters, err)) < 0)
		return r;
	return request(ctl, "Deploy", parameters, err);
}

int
verb_redeploy(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *parameters = json_object();
	const char *application = ctl_word(ctl, 0), *build = ctl_word(ctl, 1);
	int r;

	/* A lone word with a slash is a BUILD. */
	if (application != NULL && build == NULL && strchr(application, '/') != NULL) {
		build = application;
		application = NULL;
	}
	if (application != NULL)
		json_object_set_new(parameters, "application", ctl_text(application));
	if (build != NULL && (r = ctl_build(parameters, build, err)) < 0)
		return r;
	if ((r = common_parameters(ctl, parameters, err)) < 0)
		return r;
	r = request(ctl, "Redeploy", parameters, err);
	if (r < 0 && err->code == ERR_NO_SUCH_APPLICATION)
		hint_stage(ctl, application, err);
	else if (r < 0 && err->code == ERR_NO_SUCH_BUILD)
		hint_stage(ctl, build, err);
	/* Who means a build and forgot its number has named an application. */
	if (r < 0 && err->code == ERR_NO_SUCH_APPLICATION && build == NULL && application != NULL &&
	    names_release(application) && strpbrk(application, "0123456789") != NULL) {
		size_t n = strlen(err->text);

		snprintf(err->text + n, sizeof(err->text) - n,
			 "; a BUILD that stands alone has a number, such as %s/1", application);
	}
	return r;
}
