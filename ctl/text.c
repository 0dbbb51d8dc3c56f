/* SPDX-License-Identifier: ISC */
/*
 * Jobs in words. Nothing is escaped here: whoever prints does that, with table_line().
 */
#include "ctl/text.h"

#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"

#define AHEAD_MAX 5 /* jobs ahead that are named; the others are counted */

static const char *
text_of(const json_t *object, const char *member)
{
	const char *text = json_get_string(object, member);

	return text != NULL ? text : "";
}

static bool
state_is(const json_t *job, const char *state)
{
	return strcmp(text_of(job, "state"), state) == 0;
}

int
text_exit(const json_t *job)
{
	static const struct {
		const char *state;
		int code;
	} codes[] = {
	    {"succeeded", CTL_DONE}, {"failed", CTL_FAILED},	  {"cancelled", CTL_NOT_RUN},
	    {"missed", CTL_NOT_RUN}, {"superseded", CTL_NOT_RUN}, {"lost", CTL_NOT_RUN},
	    {"held", CTL_HELD},
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (state_is(job, codes[i].state))
			return codes[i].code;
	return -1;
}

/* A length of time for people: whole seconds, below that milliseconds. */
static struct when_text
span(int64_t us)
{
	struct when_text text;

	if (us >= WHEN_SECOND)
		return when_span(us - us % WHEN_SECOND);
	snprintf(text.s, sizeof(text.s), "%" PRId64 " ms", us < 0 ? 0 : us / 1000);
	return text;
}

/* "replacing 1.0.3/1 (live 2 min, by ana)" of a request for BUILD, or what a run of another build
 * left unfinished on top of it. */
static char *
replacing(const struct ctl *ctl, const json_t *reply, struct build_text build)
{
	const json_t *live = json_object_get(reply, "replacing");
	const json_t *unfinished = json_object_get(reply, "unfinished");
	int64_t since = ctl_us(live, "since");
	const char *by = text_of(live, "by");

	if (json_is_object(unfinished) && strcmp(ctl_ref(unfinished, NULL).s, build.s) != 0)
		return xasprintf("replacing %s (unfinished, job %" PRId64 ")",
				 ctl_ref(unfinished, NULL).s, json_get_int(unfinished, "job", 0));
	if (json_get_string(live, "release") == NULL)
		return xstrdup("the first build there");
	return xasprintf("replacing %s (live %s%s%s)", ctl_ref(live, NULL).s,
			 span(since == 0 ? 0 : ctl->now_us - since).s, by[0] == '\0' ? "" : ", by ",
			 by);
}

/* "at 2026-11-23 02:00:00+01:00 Europe/Berlin (in 6 h 20 min)", in the zone that it was asked in */
static char *
due(const struct ctl *ctl, const json_t *job)
{
	int64_t us = ctl_us(job, "due");
	const char *zone = json_get_string(job, "zone");

	if (json_get_string(job, "due_text") == NULL)
		return xstrdup("now"); /* also when a question held it up for a while */
	return xasprintf("at %s (%s)",
			 when_local(us - us % WHEN_SECOND,
				    zone != NULL && when_zone_valid(zone) ? zone : ctl->zone)
			     .s,
			 when_distance(us, ctl->now_us).s);
}

char *
text_request(const struct ctl *ctl, const json_t *reply)
{
	const json_t *job = json_object_get(reply, "job");
	_cleanup_free_ char *what = replacing(ctl, reply, ctl_ref(job, NULL));
	_cleanup_free_ char *when = due(ctl, job);

	return xasprintf("job %" PRId64 ": %s %s %s to %s, %s, %s", json_get_int(job, "id", 0),
			 json_get_bool(job, "redeploy") ? "redeploy" : "deploy",
			 text_of(job, "application"), ctl_ref(job, NULL).s, text_of(job, "stage"),
			 what, when);
}

char *
text_asked(const struct ctl *ctl, const json_t *reply, const json_t *parameters)
{
	const json_t *preview = json_object_get(reply, "preview");
	_cleanup_json_ json_t *job =
	    json_pack("{s:O?, s:O?, s:O?}", "due", json_object_get(preview, "at"), "due_text",
		      json_object_get(parameters, "text"), "zone",
		      json_object_get(parameters, "zone"));
	_cleanup_free_ char *what = replacing(ctl, reply, ctl_ref(preview, "to"));
	_cleanup_free_ char *when = due(ctl, job);

	return xasprintf("%s %s %s to %s, %s, %s", text_of(preview, "mode"),
			 text_of(preview, "application"), ctl_ref(preview, "to").s,
			 text_of(preview, "stage"), what, when);
}

/* Puts TEXT behind *LIST, with ", " between. */
static void
append(char **list, const char *text)
{
	char *longer = *list == NULL ? xstrdup(text) : xasprintf("%s, %s", *list, text);

	free(*list);
	*list = longer;
}

/* The same step of the same build, in another job? */
static bool
told_before(const json_t *not_undone, size_t n)
{
	const json_t *step = json_array_get(not_undone, n);

	for (size_t i = 0; i < n; i++) {
		const json_t *other = json_array_get(not_undone, i);

		if (strcmp(text_of(other, "step"), text_of(step, "step")) == 0 &&
		    strcmp(ctl_ref(other, NULL).s, ctl_ref(step, NULL).s) == 0)
			return true;
	}
	return false;
}

char *
text_not_undone(const json_t *not_undone)
{
	char *list = NULL;
	size_t i;
	json_t *step;

	json_array_foreach (not_undone, i, step) {
		_cleanup_free_ char *one =
		    xasprintf("%s of %s", text_of(step, "step"), ctl_ref(step, NULL).s);

		if (!told_before(not_undone, i))
			append(&list, one);
	}
	return list;
}

char *
text_ahead(const json_t *ahead)
{
	char *list = NULL;
	size_t i;
	json_t *job;

	json_array_foreach (ahead, i, job) {
		_cleanup_free_ char *one = NULL;

		if (i == AHEAD_MAX) {
			one = xasprintf("%zu more", json_array_size(ahead) - i);
			append(&list, one);
			break;
		}
		one = xasprintf("job %lld", (long long)json_integer_value(job));
		append(&list, one);
	}
	return list;
}

const char *
text_wants(const json_t *wants)
{
	bool reason = json_is_true(json_object_get(wants, "reason"));
	bool confirmed = json_is_true(json_object_get(wants, "confirmed"));

	return reason	   ? confirmed ? " --reason TEXT --yes" : " --reason TEXT"
	       : confirmed ? " --yes"
			   : "";
}

char *
text_undo(const json_t *reply, bool now)
{
	const json_t *job = json_object_get(reply, "job"),
		     *live = json_object_get(reply, "replacing");
	struct build_text from = ctl_ref(live, NULL);

	if (!now)
		return xasprintf("undo: bmctl cancel %" PRId64, json_get_int(job, "id", 0));
	if (from.s[0] == '\0' || strcmp(from.s, ctl_ref(job, NULL).s) == 0)
		return NULL;
	return xasprintf("afterwards, undo: bmctl redeploy %s %s --to %s --now%s",
			 text_of(job, "application"), from.s, text_of(job, "stage"),
			 text_wants(json_object_get(reply, "undo_wants")));
}

struct when_text
text_duration(const json_t *job)
{
	int64_t started = ctl_us(job, "started"), finished = ctl_us(job, "finished");

	return started == 0 || finished == 0 ? (struct when_text){""} : span(finished - started);
}

/* Why the job failed: "at step check: exited with 3", as far as it is known. */
static char *
failure(const json_t *job)
{
	const char *step = json_get_string(job, "failed_step"), *message = text_of(job, "message");
	int64_t code = json_get_int(job, "exit_code", 0);
	_cleanup_free_ char *exited = xasprintf("exited with %" PRId64, code);

	if (step == NULL)
		return xasprintf("failed: %s",
				 message[0] == '\0' ? "no reason was recorded" : message);
	return xasprintf("failed at step %s: %s", step,
			 code > 0	      ? exited
			 : message[0] != '\0' ? message
					      : "no reason was recorded");
}

char *
text_dirty(const json_t *stage)
{
	const char *name = text_of(stage, "stage");
	bool back = !json_is_null(json_object_get(stage, "previous_good"));

	if (!json_is_object(json_object_get(stage, "dirty")))
		return NULL;
	if (json_get_int(stage, "occupied_by", 0) > 0)
		return xasprintf("%s: %s", name, text_of(stage, "needs"));
	return xasprintf("%s is dirty: bmctl %s %s%s --to %s --now%s mends it", name,
			 back ? "redeploy" : "deploy", text_of(stage, "application"),
			 back ? "" : " BUILD", name, text_wants(json_object_get(stage, "wants")));
}

static char *
failed(const json_t *job, const char *left)
{
	_cleanup_free_ char *why = failure(job);
	int64_t id = json_get_int(job, "id", 0);

	return xasprintf("job %" PRId64 " %s (bmctl log %" PRId64 "%s%s)", id, why, id,
			 left != NULL ? "; " : "", left != NULL ? left : "");
}

/* What the message of JOB adds to "cancelled by NAME"; "" if that is all it says. */
static const char *
beyond_cancelled(const json_t *job)
{
	const char *message = text_of(job, "message"), *by = text_of(job, "ended_by");
	_cleanup_free_ char *known = xasprintf("cancelled by %s", by);

	return strcmp(message, known) == 0 ? "" : message;
}

/* The ends that are no run to the end, and held. */
static char *
not_run(const json_t *job, const char *left)
{
	int64_t id = json_get_int(job, "id", 0);
	const char *state = text_of(job, "state"), *message = beyond_cancelled(job);
	const char *by = json_get_string(job, "ended_by");
	const char *waits = json_get_string(json_object_get(job, "waits_for"), "text");
	_cleanup_free_ char *whose =
	    by != NULL && strcmp(state, "cancelled") == 0 ? xasprintf(" by %s", by) : xstrdup("");
	_cleanup_free_ char *mend = left == NULL ? xstrdup("") : xasprintf(" (%s)", left);

	if (strcmp(state, "held") == 0 && waits != NULL && strstr(waits, "bmctl release") != NULL)
		return xasprintf("job %" PRId64 " is held: %s", id, waits);
	if (strcmp(state, "held") == 0)
		return xasprintf("job %" PRId64 " is held: %s (bmctl release %" PRId64
				 ", bmctl cancel %" PRId64 ")",
				 id, waits != NULL ? waits : message, id, id);
	return xasprintf("job %" PRId64 " %s %s%s%s%s%s", id,
			 strcmp(state, "missed") == 0 ? "has"
			 : strcmp(state, "lost") == 0 ? "is"
						      : "was",
			 strcmp(state, "missed") == 0 ? "missed its time" : state, whose,
			 message[0] == '\0' ? "" : ": ", message, mend);
}

char *
text_result(const json_t *job, const char *left)
{
	int code = text_exit(job);

	if (code == CTL_FAILED)
		return failed(job, left);
	if (code == CTL_NOT_RUN || code == CTL_HELD)
		return not_run(job, left);
	if (code < 0)
		return xasprintf("job %" PRId64 " is %s", json_get_int(job, "id", 0),
				 text_of(job, "state"));
	return xasprintf("job %" PRId64 " succeeded in %s: %s %s is live on %s",
			 json_get_int(job, "id", 0), text_duration(job).s,
			 text_of(job, "application"), ctl_ref(job, NULL).s, text_of(job, "stage"));
}

char *
text_why(const json_t *job)
{
	const json_t *waits_for = json_object_get(job, "waits_for");
	const char *waits = json_get_string(waits_for, "text");
	const char *message = beyond_cancelled(job);
	const char *by = json_get_string(job, "ended_by");

	/* Its time stands in the table already; what comes then does not, nor why no clock can tell
	 * it. */
	if (strcmp(text_of(waits_for, "kind"), "time") == 0 &&
	    (waits == NULL || (waits[0] >= '0' && waits[0] <= '9'))) {
		const char *then = waits != NULL ? strpbrk(waits, ",;") : NULL;

		return then == NULL ? xstrdup("its time") : xasprintf("its time%s", then);
	}
	if (waits != NULL)
		return xstrdup(waits);
	if (state_is(job, "failed"))
		return failure(job);
	if (state_is(job, "cancelled") && by != NULL)
		return xasprintf("by %s%s%s", by, message[0] == '\0' ? "" : ": ", message);
	return message[0] == '\0' ? NULL : xstrdup(message);
}

static void
preview_steps(FILE *f, const json_t *steps)
{
	size_t i;
	json_t *step;

	json_array_foreach (steps, i, step) {
		const char *why = json_get_string(step, "why");

		table_line(f, "  %s %s%s%s%s", json_get_bool(step, "runs") ? "run " : "skip",
			   text_of(step, "name"), why ? ": " : "", why ? why : "",
			   json_get_bool(step, "irreversible") ? " (irreversible)" : "");
	}
}

void
text_preview(const struct ctl *ctl, FILE *f, const json_t *preview)
{
	const json_t *files = json_object_get(preview, "files");
	const json_t *changed = json_object_get(preview, "plan_changed");
	const json_t *variables = json_object_get(preview, "variables_differ");
	_cleanup_free_ char *undone = text_not_undone(json_object_get(preview, "not_undone"));
	_cleanup_free_ char *names = NULL;
	const char *window = json_get_string(json_object_get(preview, "window"), "text");
	struct build_text from = ctl_ref(preview, "from");
	size_t i;
	json_t *item;

	table_line(f, "dry run: nothing is queued");
	table_line(f, "%s of %s %s: from %s to %s, at %s (%s)", text_of(preview, "mode"),
		   text_of(preview, "application"), text_of(preview, "stage"),
		   from.s[0] == '\0' ? "nothing" : from.s, ctl_ref(preview, "to").s,
		   ctl_local(ctl, preview, "at").s,
		   when_distance(ctl_us(preview, "at"), ctl->now_us).s);
	if (window != NULL)
		table_line(f, "held: %s", window);
	table_line(f, "steps:");
	preview_steps(f, json_object_get(preview, "steps"));
	table_line(f, "files: %" PRId64 " added, %" PRId64 " changed, %" PRId64 " removed",
		   json_get_int(files, "added", 0), json_get_int(files, "changed", 0),
		   json_get_int(files, "removed", 0));
	json_array_foreach (variables, i, item)
		append(&names, json_is_string(item) ? json_string_value(item) : "");
	table_line(f, "variables that differ: %s", names != NULL ? names : "none");
	if (json_is_boolean(changed))
		table_line(f, "plan: %s since this build's last run here",
			   json_is_true(changed) ? "changed" : "unchanged");
	table_line(f, "not undone: %s", undone != NULL ? undone : "nothing");
	json_array_foreach (json_object_get(preview, "problems"), i, item)
		table_line(f, "problem: %s", json_is_string(item) ? json_string_value(item) : "");
}
