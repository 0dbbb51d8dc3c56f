/* SPDX-License-Identifier: ISC */
/*
 * lock, unlock, settle: what a human says about a stage.
 */
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/verbs/verbs.h"

static json_t *
stage_parameters(const struct ctl *ctl)
{
	return json_pack("{s:o, s:o}", "application", ctl_text(ctl_word(ctl, 0)), "stage",
			 ctl_text(ctl_word(ctl, 1)));
}

int
verb_lock(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = stage_parameters(ctl);
	const char *until = ctl_value(ctl, OPTION_UNTIL);
	struct when when = {0};
	int r;

	if (!ctl_given(ctl, OPTION_REASON))
		return ctl_usage(ctl, err, "a lock wants a reason: --reason TEXT");
	if (until != NULL) {
		if ((r = ctl_time(ctl, until, &when, err)) < 0)
			return r;
		if (when.note[0] != '\0')
			table_line(stderr, "warning: %s", when.note);
		json_object_set_new(parameters, "until", json_time(when.at_us));
	}
	if ((r = ctl_change(ctl, "Lock", json_incref(parameters), &reply, err)) < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	if (until != NULL)
		table_line(stdout, "%s %s is locked until %s (%s)", ctl_word(ctl, 0),
			   ctl_word(ctl, 1),
			   when_local(when.at_us - when.at_us % WHEN_SECOND, when.zone).s,
			   when_distance(when.at_us, ctl->now_us).s);
	else
		table_line(stdout, "%s %s is locked", ctl_word(ctl, 0), ctl_word(ctl, 1));
	table_line(stdout, "undo: bmctl unlock %s %s", ctl_word(ctl, 0), ctl_word(ctl, 1));
	return CTL_DONE;
}

int
verb_unlock(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	int r = ctl_change(ctl, "Unlock", stage_parameters(ctl), &reply, err);

	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		table_line(stdout, "%s %s is not locked", ctl_word(ctl, 0), ctl_word(ctl, 1));
	return CTL_DONE;
}

/* How the stage is before it is settled: what leads back there. free() it; NULL when that is not
 * known. */
static char *
way_back(struct ctl *ctl)
{
	const char *application = ctl_word(ctl, 0), *name = ctl_word(ctl, 1), *its;
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct build_text live;
	json_t *stage;
	size_t i;

	if (ctl_call(ctl, "GetStatus", json_pack("{s:o}", "application", ctl_text(application)),
		     &reply, &err) < 0)
		return NULL; /* settling itself will say why */
	json_array_foreach (json_object_get(reply, "stages"), i, stage) {
		if ((its = json_get_string(stage, "stage")) == NULL || strcmp(its, name) != 0)
			continue;
		live = ctl_ref(stage, "live");
		if (json_is_object(json_object_get(stage, "dirty")))
			return xasprintf("undo: bmctl settle %s %s --unknown --reason TEXT",
					 application, name);
		if (live.s[0] != '\0')
			return xasprintf("undo: bmctl settle %s %s %s --reason TEXT", application,
					 name, live.s);
	}
	return NULL;
}

int
verb_settle(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = stage_parameters(ctl);
	_cleanup_free_ char *undo = NULL, *dirty = NULL;
	const char *build = ctl_word(ctl, 2);
	const json_t *stage;
	int r;

	if ((build == NULL) == !ctl_given(ctl, OPTION_UNKNOWN))
		return ctl_usage(ctl, err, "say what is live: a BUILD, or --unknown");
	if (!ctl_given(ctl, OPTION_REASON))
		return ctl_usage(ctl, err, "settling wants a reason: --reason TEXT");
	if (build != NULL && (r = ctl_build(parameters, build, err)) < 0)
		return r;
	if (!ctl->json)
		undo = way_back(ctl);
	if ((r = ctl_change(ctl, "Settle", json_incref(parameters), &reply, err)) < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	stage = json_object_get(reply, "stage");
	dirty = text_dirty(stage);
	if (build != NULL)
		table_line(stdout, "%s %s: %s is live", ctl_word(ctl, 0), ctl_word(ctl, 1),
			   ctl_ref(stage, "live").s);
	else
		table_line(stdout, "%s %s: nobody knows what is live%s%s", ctl_word(ctl, 0),
			   ctl_word(ctl, 1), dirty != NULL ? "; " : "", dirty != NULL ? dirty : "");
	if (undo != NULL)
		table_line(stdout, "%s", undo);
	return CTL_DONE;
}
