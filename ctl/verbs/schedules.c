/* SPDX-License-Identifier: ISC */
/*
 * schedule: recurring deployments, and the times at which they come.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/time/calendar.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "common/time/zone.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define PREVIEW_USUAL 10
#define PREVIEW_MOST  1000

/* ---- preview ---- */

struct preview {
	const char *text;
	struct calendar calendar;
	const char *zone; /* that the times are read and shown in */
	int64_t limit;
};

/* ID, NAME or APP/NAME, as parameters of the protocol. */
static json_t *
for_schedule(const char *word)
{
	const char *slash = strchr(word, '/');
	json_t *parameters = json_object();

	if (word[0] != '\0' && strspn(word, "0123456789") == strlen(word) && strlen(word) < 18) {
		json_object_set_new(parameters, "schedule",
				    json_integer((json_int_t)strtoll(word, NULL, 10)));
		return parameters;
	}
	if (slash != NULL) {
		_cleanup_free_ char *application = xstrndup(word, (size_t)(slash - word));

		json_object_set_new(parameters, "application", ctl_text(application));
	}
	json_object_set_new(parameters, "name", ctl_text(slash != NULL ? slash + 1 : word));
	return parameters;
}

/* TEXT may be a schedule's: its times then stand in *SCHEDULE. What is no name is a mistyped time,
 * and so is a name that nobody knows. */
static int
read_schedule(struct ctl *ctl, const char *text, struct preview *preview, json_t **schedule,
	      struct err *err)
{
	_cleanup_err_ struct err unknown = ERR_INIT, bad = ERR_INIT;
	_cleanup_json_ json_t *reply = NULL;
	const char *slash = strchr(text, '/');

	if (calendar_parse(text, &preview->calendar, &bad) == 0)
		return 0;
	if (names_stage(slash != NULL ? slash + 1 : text) &&
	    ctl_call(ctl, "GetSchedule", for_schedule(text), &reply, &unknown) >= 0) {
		*schedule = json_incref(json_object_get(reply, "schedule"));
		preview->text = json_get_string(*schedule, "calendar");
		preview->zone = json_get_string(*schedule, "zone");
		if (preview->text == NULL || preview->zone == NULL)
			return err_set(err, ERR_FAILED,
				       "the answer does not say when %s comes: bmctl version tells "
				       "whether bmd is of another version",
				       text);
		return calendar_parse(preview->text, &preview->calendar, err);
	}
	if (unknown.code == ERR_AMBIGUOUS ||
	    (unknown.code != ERR_NONE && strspn(text, "0123456789") == strlen(text)))
		return err_set(err, unknown.code, "%s", unknown.text);
	*err = bad;
	bad = ERR_INIT;
	return -EINVAL;
}

static int
open_preview(struct ctl *ctl, const char *text, struct preview *ret, json_t **ret_schedule,
	     struct err *err)
{
	struct preview preview = {.text = text, .zone = ctl->zone, .limit = PREVIEW_USUAL};
	int r;

	if (ctl_given(ctl, OPTION_LIMIT) &&
	    ctl_number(ctl, OPTION_LIMIT, PREVIEW_MOST, &preview.limit, err) < 0)
		return -EINVAL;
	if ((r = read_schedule(ctl, text, &preview, ret_schedule, err)) < 0)
		return r;
	if (!*ret_schedule && !preview.calendar.zone[0] && ctl->zone_error.code != ERR_NONE)
		return err_set(err, ctl->zone_error.code, "%s", ctl->zone_error.text);
	*ret = preview;
	if (ret->calendar.zone[0])
		ret->zone = ret->calendar.zone;
	return 0;
}

static void
print_time(const struct ctl *ctl, const struct preview *preview, int64_t us, const char *note)
{
	static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	int64_t s = zone_floor(us, WHEN_SECOND);
	int weekday = zone_civil(s + zone_offset(preview->zone, s)).weekday;

	table_line(stdout, "%s  %s  %s", names[weekday], when_local(us, preview->zone).s,
		   when_distance(us, ctl->now_us).s);
	if (note[0] != '\0')
		table_line(stdout, "     note: %s", note);
}

/* Prints the times, or adds them to TIMES. Returns how many there were. */
static int64_t
walk(const struct ctl *ctl, const struct preview *preview, json_t *times)
{
	char note[WHEN_NOTE_MAX];
	int64_t at_us = ctl->now_us, n = 0;

	for (; n < preview->limit; n++) {
		if (calendar_next(&preview->calendar, at_us, preview->zone, &at_us, note) < 0)
			break;
		if (times == NULL)
			print_time(ctl, preview, at_us, note);
		else
			json_array_append_new(
			    times, json_pack("{s:o, s:s, s:o}", "time", json_time(at_us), "local",
					     when_local(at_us, preview->zone).s, "note",
					     json_text(note[0] == '\0' ? NULL : note)));
	}
	return n;
}

static int
never(const struct ctl *ctl, const struct preview *preview, struct err *err)
{
	_cleanup_free_ char *safe = json_terminal(preview->text);

	return err_set(
	    err, ERR_BAD_TIME,
	    "recurring time \"%.200s\" does not come after %s: write one that does, such "
	    "as Mon..Fri 02:00",
	    safe, when_local(ctl->now_us, preview->zone).s);
}

int
verb_schedule_preview(struct ctl *ctl, struct err *err)
{
	_cleanup_free_ char *text = ctl_words(ctl);
	_cleanup_json_ json_t *object = NULL, *schedule = NULL;
	struct preview preview;
	int64_t first_us;
	int r;

	if ((r = open_preview(ctl, text, &preview, &schedule, err)) < 0)
		return r;
	if (calendar_next(&preview.calendar, ctl->now_us, preview.zone, &first_us, NULL) < 0)
		return never(ctl, &preview, err);
	if (ctl->json) {
		object = json_pack("{s:o, s:s, s:s, s:[]}", "expression", ctl_text(preview.text),
				   "normalized", calendar_print(&preview.calendar).s, "zone",
				   preview.zone, "times");
		walk(ctl, &preview, json_object_get(object, "times"));
		ctl_json(ctl, object);
		return CTL_DONE;
	}
	if (json_get_string(json_object_get(schedule, "paused"), "by") != NULL)
		table_line(stderr, "warning: schedule %" PRId64 " is paused",
			   json_get_int(schedule, "id", 0));
	table_line(stdout, "normalized: %s", calendar_print(&preview.calendar).s);
	if (walk(ctl, &preview, NULL) < preview.limit)
		table_line(stdout, "and never again");
	return CTL_DONE;
}

/* ---- add ---- */

static int
add_parameters(struct ctl *ctl, json_t *parameters, struct err *err)
{
	const char *wanted = ctl_word(ctl, 1), *on = ctl_value(ctl, OPTION_ON);
	struct calendar calendar;
	int r;

	if (!ctl_given(ctl, OPTION_TO))
		return ctl_usage(ctl, err, "say where to: --to STAGE");
	if (on == NULL)
		return ctl_usage(ctl, err, "say when: --on 'Mon..Fri 02:00 Europe/Berlin'");
	if (calendar_parse(on, &calendar, err) < 0)
		return -EINVAL;
	if (!calendar.zone[0] && ctl->zone_error.code != ERR_NONE)
		return err_set(err, ctl->zone_error.code, "%s", ctl->zone_error.text);
	json_object_set_new(parameters, "stage", ctl_text(ctl_value(ctl, OPTION_TO)));
	json_object_set_new(parameters, "calendar", ctl_text(on));
	json_object_set_new(parameters, "zone",
			    json_string(calendar.zone[0] ? calendar.zone : ctl->zone));
	if (strcmp(wanted, "live") == 0)
		json_object_set_new(parameters, "live", json_true());
	else if ((r = ctl_build(parameters, wanted, err)) < 0)
		return r;
	return ctl_request(ctl, parameters, err);
}

/* "2026-11-23 02:00:00+01:00 Europe/Berlin (in 6 h 20 min)", in the schedule's zone. free(); NULL
 * when it does not come. */
static char *
next_text(const struct ctl *ctl, const json_t *schedule)
{
	int64_t us = ctl_us(schedule, "next");
	const char *zone = json_get_string(schedule, "zone");

	if (us == 0)
		return NULL;
	return xasprintf("%s (%s)",
			 when_local(us, zone != NULL && when_zone_valid(zone) ? zone : ctl->zone).s,
			 when_distance(us, ctl->now_us).s);
}

static void
print_next(const struct ctl *ctl, const json_t *schedule)
{
	int64_t job = json_get_int(json_object_get(schedule, "waiting"), "job", 0);
	_cleanup_free_ char *next = next_text(ctl, schedule);
	const char *note = json_get_string(schedule, "note");

	if (next != NULL && job > 0)
		table_line(stdout, "next: job %" PRId64 " at %s", job, next);
	else
		table_line(stdout, "next: %s", next != NULL ? next : "never again");
	if (note != NULL)
		table_line(stdout, "note: %s", note);
}

int
verb_schedule_add(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *parameters =
	    json_pack("{s:o}", "application", ctl_text(ctl_word(ctl, 0)));
	_cleanup_json_ json_t *reply = NULL;
	const json_t *schedule;
	int r;

	if ((r = add_parameters(ctl, parameters, err)) < 0 ||
	    (r = ctl_change(ctl, "AddSchedule", json_incref(parameters), &reply, err)) < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	schedule = json_object_get(reply, "schedule");
	ctl_warnings(json_object_get(reply, "warnings"));
	table_line(stdout, "schedule %" PRId64 ": %s %s to %s, %s (in %s)",
		   json_get_int(schedule, "id", 0), json_get_string(schedule, "application"),
		   json_get_string(schedule, "wanted"), json_get_string(schedule, "stage"),
		   json_get_string(schedule, "calendar"), json_get_string(schedule, "zone"));
	print_next(ctl, schedule);
	table_line(stdout, "undo: bmctl schedule remove %" PRId64, json_get_int(schedule, "id", 0));
	return CTL_DONE;
}

/* ---- list ---- */

/* "job 41 succeeded 2 h ago" free(); NULL: there was none. */
static char *
last_text(const struct ctl *ctl, const json_t *last)
{
	int64_t us = ctl_us(last, "finished");

	if (!json_is_object(last))
		return NULL;
	return xasprintf("job %" PRId64 " %s%s%s", json_get_int(last, "job", 0),
			 json_get_string(last, "state"), us == 0 ? "" : " ",
			 us == 0 ? "" : when_distance(us, ctl->now_us).s);
}

/* Why it does not come as one would think. free(); NULL: nothing. */
static char *
note_text(const json_t *schedule)
{
	const json_t *paused = json_object_get(schedule, "paused");
	const json_t *waiting = json_object_get(schedule, "waiting");
	const char *reason = json_get_string(paused, "reason");
	const char *message = json_get_string(waiting, "message");
	const char *state = json_get_string(waiting, "state");

	if (json_is_object(paused))
		return xasprintf("paused by %s%s%s", json_get_string(paused, "by"),
				 reason != NULL ? ": " : "", reason != NULL ? reason : "");
	if (state != NULL && strcmp(state, "scheduled") != 0)
		return xasprintf("job %" PRId64 " is %s%s%s", json_get_int(waiting, "job", 0),
				 state, message != NULL ? ": " : "",
				 message != NULL ? message : "");
	return xstrdup(json_get_string(schedule, "note"));
}

static void
print_schedules(const struct ctl *ctl, const json_t *schedules)
{
	static const struct table_column columns[] = {{"ID", TABLE_RIGHT}, {"NAME", 0},
						      {"APPLICATION", 0},  {"BUILD", 0},
						      {"STAGE", 0},	   {"ON", 0},
						      {"NEXT", 0},	   {"LAST", 0},
						      {"FROM", 0},	   {"NOTE", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *schedule;

	json_array_foreach (schedules, i, schedule) {
		bool paused = json_is_object(json_object_get(schedule, "paused"));
		_cleanup_free_ char *id = xasprintf("%" PRId64, json_get_int(schedule, "id", 0));
		_cleanup_free_ char *next = next_text(ctl, schedule), *note = note_text(schedule);
		_cleanup_free_ char *last = last_text(ctl, json_object_get(schedule, "last"));

		table_row(table, id, json_get_string(schedule, "name"),
			  json_get_string(schedule, "application"),
			  json_get_string(schedule, "wanted"), json_get_string(schedule, "stage"),
			  json_get_string(schedule, "calendar"),
			  next != NULL ? next
			  : paused     ? "paused"
				       : "never again",
			  last, json_get_string(schedule, "created_by"), note);
	}
	table_print(table, stdout, ctl->width, ctl->color);
	if (i == 0)
		table_line(stdout,
			   "there is no schedule: bmctl schedule add, or a schedule section "
			   "in an application's file");
}

int
verb_schedule_list(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters = json_object();
	int r;

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	r = ctl_list(ctl, "ListSchedules", "schedules", parameters, 0, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_schedules(ctl, json_object_get(reply, "schedules"));
	return CTL_DONE;
}

/* ---- remove, pause, resume ---- */

static int
change(struct ctl *ctl, const char *method, const char *done, const char *undo, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	const json_t *schedule;
	int64_t id, cancelled;
	int r = ctl_change(ctl, method, for_schedule(ctl_word(ctl, 0)), &reply, err);

	if (r < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	schedule = json_object_get(reply, "schedule");
	id = json_get_int(schedule, "id", 0);
	cancelled = json_get_int(reply, "cancelled", 0);
	if (cancelled > 0)
		table_line(stdout, "schedule %" PRId64 " %s, its job %" PRId64 " is cancelled", id,
			   done, cancelled);
	else
		table_line(stdout, "schedule %" PRId64 " %s", id, done);
	if (undo != NULL)
		table_line(stdout, "undo: bmctl schedule %s %" PRId64, undo, id);
	else if (strcmp(method, "ResumeSchedule") == 0)
		print_next(ctl, schedule);
	return CTL_DONE;
}

int
verb_schedule_remove(struct ctl *ctl, struct err *err)
{
	return change(ctl, "RemoveSchedule", "is removed", NULL, err);
}

int
verb_schedule_pause(struct ctl *ctl, struct err *err)
{
	return change(ctl, "PauseSchedule", "is paused", "resume", err);
}

int
verb_schedule_resume(struct ctl *ctl, struct err *err)
{
	return change(ctl, "ResumeSchedule", "goes on", NULL, err);
}
