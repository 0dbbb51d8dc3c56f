/* SPDX-License-Identifier: ISC */
/*
 * at: what a time means. Asks nobody.
 */
#include "common/json.h"
#include "common/time/zone.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define YEAR_S INT64_C(31622400)

static void
put_offset(char *s, size_t size, int offset)
{
	snprintf(s, size, "%c%02d:%02d", offset < 0 ? '-' : '+', abs(offset) / 3600,
		 abs(offset) / 60 % 60);
}

/* The day of the week, the offset that was taken, and when the clocks change next. */
static void
print_zone(const struct when *when)
{
	static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
					   "Thursday", "Friday", "Saturday"};
	int64_t at_s = zone_floor(when->at_us, WHEN_SECOND), low_s = at_s, high_s = at_s;
	int offset = zone_offset(when->zone, at_s);
	char now[16], then[16];

	put_offset(now, sizeof(now), offset);
	table_line(stdout, "weekday:  %s", days[zone_civil(at_s + offset).weekday]);
	while (high_s < at_s + YEAR_S && zone_offset(when->zone, high_s) == offset) {
		low_s = high_s;
		high_s += 7 * ZONE_DAY;
	}
	if (zone_offset(when->zone, high_s) == offset) {
		table_line(stdout, "zone:     %s, %s all the year", when->zone, now);
		return;
	}
	while (high_s - low_s > 1) {
		int64_t middle_s = low_s + (high_s - low_s) / 2;

		if (zone_offset(when->zone, middle_s) == offset)
			low_s = middle_s;
		else
			high_s = middle_s;
	}
	put_offset(then, sizeof(then), zone_offset(when->zone, high_s));
	table_line(stdout, "zone:     %s, %s until %s (%s later), then %s", when->zone, now,
		   when_local(high_s * WHEN_SECOND, when->zone).s,
		   when_span((high_s - at_s) * WHEN_SECOND).s, then);
}

int
verb_at(struct ctl *ctl, struct err *err)
{
	_cleanup_free_ char *text = ctl_words(ctl);
	struct when when;
	int r;

	if ((r = ctl_time(ctl, text, &when, err)) < 0)
		return r;
	if (ctl->json) {
		_cleanup_json_ json_t *object =
		    json_pack("{s:o, s:s, s:s, s:o}", "time", json_time(when.at_us), "local",
			      when_local(when.at_us, when.zone).s, "zone", when.zone, "note",
			      json_text(when.note[0] == '\0' ? NULL : when.note));

		ctl_json(ctl, object);
		return CTL_DONE;
	}
	table_line(stdout, "local:    %s", when_local(when.at_us, when.zone).s);
	table_line(stdout, "utc:      %s", when_utc(when.at_us).s);
	table_line(stdout, "distance: %s", when_distance(when.at_us, ctl->now_us).s);
	print_zone(&when);
	if (when.note[0] != '\0')
		table_line(stdout, "note:     %s", when.note);
	return CTL_DONE;
}
