/* SPDX-License-Identifier: ISC */
/*
 * schedule: recurring times. preview asks nobody.
 */
#include <errno.h>

#include "common/calendar.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "common/zone.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define PREVIEW_USUAL 10
#define PREVIEW_MOST  1000

struct preview {
	const char *text;
	struct calendar calendar;
	const char *zone; /* that the times are read and shown in */
	int64_t limit;
};

static int
open_preview(struct ctl *ctl, const char *text, struct preview *ret, struct err *err)
{
	struct preview preview = {.text = text, .zone = ctl->zone, .limit = PREVIEW_USUAL};

	if (ctl_given(ctl, OPTION_LIMIT) &&
	    ctl_number(ctl, OPTION_LIMIT, PREVIEW_MOST, &preview.limit, err) < 0)
		return -EINVAL;
	if (calendar_parse(text, &preview.calendar, err) < 0)
		return -EINVAL;
	if (!preview.calendar.zone[0] && ctl->zone_error.code != ERR_NONE)
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
	_cleanup_json_ json_t *object = NULL;
	struct preview preview;
	int64_t first_us;
	int r;

	if ((r = open_preview(ctl, text, &preview, err)) < 0)
		return r;
	if (calendar_next(&preview.calendar, ctl->now_us, preview.zone, &first_us, NULL) < 0)
		return never(ctl, &preview, err);
	if (ctl->json) {
		object =
		    json_pack("{s:o, s:s, s:s, s:[]}", "expression", ctl_text(text), "normalized",
			      calendar_print(&preview.calendar).s, "zone", preview.zone, "times");
		walk(ctl, &preview, json_object_get(object, "times"));
		ctl_json(ctl, object);
		return CTL_DONE;
	}
	table_line(stdout, "normalized: %s", calendar_print(&preview.calendar).s);
	if (walk(ctl, &preview, NULL) < preview.limit)
		table_line(stdout, "and never again");
	return CTL_DONE;
}
