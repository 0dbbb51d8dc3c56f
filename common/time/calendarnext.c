/* SPDX-License-Identifier: ISC */
/*
 * The other half of calendar.h: when a recurring time comes next, and how it is written. First the
 * wall times are stepped through as if clocks never changed, by arithmetic on sets; then the
 * stretches between two changes of a zone's clocks say at which instant each of them happens.
 */
#include "common/time/calendar.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/scan.h"
#include "common/time/zone.h"

#define NEVER INT64_MAX

/* ---- wall times */

/* The smallest value of a set from FROM on, or -1. */
static int
next_in(uint64_t set, int from)
{
	set = from < 64 ? set >> from << from : 0;
	return set ? __builtin_ctzll(set) : -1;
}

static bool
has_year(const struct calendar *calendar, int64_t year)
{
	for (size_t i = 0; i < calendar->nyears; i++) {
		const struct calendar_years *years = &calendar->years[i];

		if (year >= years->first && year <= years->last &&
		    (year - years->first) % years->step == 0)
			return true;
	}
	return calendar->nyears == 0;
}

/* The days of one month that match, as a set. */
static uint32_t
month_days(const struct calendar *calendar, int64_t year, int month)
{
	int length = zone_month_length(year, month);
	int first = zone_civil(zone_days(year, month, 1) * ZONE_DAY).weekday;
	uint32_t all = (uint32_t)((UINT64_C(2) << length) - 2), days = calendar->days, weekdays = 0;

	for (int day = 1; day <= length; day++) {
		weekdays |= (calendar->weekdays >> ((first + day - 1) % 7) & 1) << day;
		days |= (calendar->last >> (length + 1 - day) & 1) << day;
	}
	return (calendar->either ? days | weekdays : days & weekdays) & all;
}

/* The first day from DAY (since 1970) on that matches, or NEVER. */
static int64_t
next_day(const struct calendar *calendar, int64_t day)
{
	struct civil c = zone_civil(day * ZONE_DAY);

	for (int64_t year = c.year; year <= SCAN_LAST_YEAR; year++) {
		if (!has_year(calendar, year))
			continue;
		for (int month = year == c.year ? c.month : 1; month <= 12; month++) {
			int from = year == c.year && month == c.month ? c.day : 1, found;

			if (!(calendar->months >> month & 1))
				continue;
			found = next_in(month_days(calendar, year, month), from);
			if (found > 0)
				return zone_days(year, month, found);
		}
	}
	return NEVER;
}

/* The first second of a day from SECOND on that matches, or -1. */
static int64_t
next_second(const struct calendar *calendar, int64_t second)
{
	int hour = (int)(second / 3600), minute = (int)(second / 60 % 60), s = (int)(second % 60);
	int h = next_in(calendar->hours, hour), m;

	if (h == hour) {
		m = next_in(calendar->minutes, minute);
		if (m == minute && next_in(calendar->seconds, s) < 0)
			m = next_in(calendar->minutes, minute + 1);
		if (m == minute)
			return h * 3600 + m * 60 + next_in(calendar->seconds, s);
		if (m >= 0)
			return h * 3600 + m * 60 + next_in(calendar->seconds, 0);
		h = next_in(calendar->hours, hour + 1);
	}
	if (h < 0)
		return -1;
	return h * 3600 + next_in(calendar->minutes, 0) * 60 + next_in(calendar->seconds, 0);
}

/* The first wall time from WALL_S on that matches, or NEVER. */
static int64_t
next_wall(const struct calendar *calendar, int64_t wall_s)
{
	int64_t today = zone_floor(wall_s, ZONE_DAY), day = next_day(calendar, today), second;

	if (day == today) {
		second = next_second(calendar, wall_s - today * ZONE_DAY);
		if (second >= 0)
			return today * ZONE_DAY + second;
		day = next_day(calendar, today + 1);
	}
	return day == NEVER ? NEVER : day * ZONE_DAY + next_second(calendar, 0);
}

/* ---- instants */

/* As far as a change of the clocks can matter: no zone ever moved them by more than a day. */
#define REACH (2 * ZONE_DAY)
#define PROBE (ZONE_DAY / 2)

/* The first instant after FROM and up to TO at which the offset is another one than at FROM; TO + 1
 * if it stays. */
static int64_t
change_after(const char *zone, int64_t from, int64_t to)
{
	int offset = zone_offset(zone, from);
	int64_t low = from, high = from;

	while (high < to && zone_offset(zone, high) == offset) {
		low = high;
		high = high + PROBE < to ? high + PROBE : to;
	}
	if (zone_offset(zone, high) == offset)
		return to + 1;
	return zone_change(zone, low, high);
}

/* A time in which a zone's clocks do not change, around an instant; looked at no further than REACH
 * back. */
struct stretch {
	int64_t since;
	int offset, before; /* BEFORE: of the stretch that ends at SINCE */
};

static struct stretch
stretch_at(const char *zone, int64_t utc_s)
{
	struct stretch stretch = {.since = utc_s - REACH, .offset = zone_offset(zone, utc_s)};
	int64_t change;

	stretch.before = zone_offset(zone, stretch.since);
	while ((change = change_after(zone, stretch.since, utc_s)) <= utc_s) {
		stretch.before = zone_offset(zone, change - 1);
		stretch.since = change;
	}
	return stretch;
}

struct occurrence {
	int64_t utc_s, wall_s;
};

/* The first from UTC_S on whose wall time the clocks of this stretch show, for the first time; it
 * may lie behind the end of the stretch. */
static struct occurrence
next_shown(const struct calendar *calendar, const struct stretch *stretch, int64_t utc_s)
{
	int64_t shown = stretch->since + stretch->before, wall_s = utc_s + stretch->offset;

	/* What the clocks showed before they were put back does not happen again. */
	wall_s = next_wall(calendar,
			   wall_s < shown && stretch->before > stretch->offset ? shown : wall_s);
	return (struct occurrence){wall_s == NEVER ? NEVER : wall_s - stretch->offset, wall_s};
}

/* The first from UTC_S on whose wall time was skipped when this stretch began: it happens when the
 * clocks that ran before would have shown it. */
static struct occurrence
next_skipped(const struct calendar *calendar, const struct stretch *stretch, int64_t utc_s)
{
	int64_t wall_s;

	if (utc_s + stretch->before >= stretch->since + stretch->offset)
		return (struct occurrence){NEVER, NEVER};
	wall_s = next_wall(calendar, utc_s + stretch->before);
	if (wall_s >= stretch->since + stretch->offset)
		return (struct occurrence){NEVER, NEVER};
	return (struct occurrence){wall_s - stretch->before, wall_s};
}

/* The first from UTC_S on, or NEVER. */
static struct occurrence
next_occurrence(const struct calendar *calendar, const char *zone, int64_t utc_s)
{
	for (;;) {
		struct stretch stretch = stretch_at(zone, utc_s);
		struct occurrence next = next_shown(calendar, &stretch, utc_s);
		struct occurrence skipped = next_skipped(calendar, &stretch, utc_s);
		int64_t until, change;

		if (skipped.utc_s < next.utc_s)
			next = skipped;
		if (next.utc_s == NEVER)
			return next;
		until = next.utc_s < utc_s + REACH ? next.utc_s : utc_s + REACH;
		change = change_after(zone, utc_s, until);
		if (change > until && until == next.utc_s)
			return next;
		/* The clocks change before. Or it is far away: go nearer, but not so near that a
		 * change could have brought it forward. */
		if (change <= until)
			utc_s = change;
		else
			utc_s = next.utc_s - REACH > until ? next.utc_s - REACH : until;
	}
}

static void
put_note(const char *zone, const struct occurrence *next, char ret_note[WHEN_NOTE_MAX])
{
	struct zone_instants instants = zone_instants(zone, next->wall_s);
	size_t n;

	when_note(&instants, 0, next->wall_s, 0, zone, ret_note);
	n = strlen(ret_note);
	if (n && instants.n == 0)
		snprintf(ret_note + n, WHEN_NOTE_MAX - n, " (a systemd timer leaves it out)");
	else if (n)
		snprintf(ret_note + n, WHEN_NOTE_MAX - n, ", when it does not happen again");
}

int
calendar_next(const struct calendar *calendar, int64_t after_us, const char *zone, int64_t *ret_us,
	      char ret_note[WHEN_NOTE_MAX])
{
	struct occurrence next;

	if (calendar->zone[0])
		zone = calendar->zone;
	if (after_us > SCAN_LAST_US)
		return -ENOENT;
	if (after_us < -1)
		after_us = -1;
	next = next_occurrence(calendar, zone, zone_floor(after_us, WHEN_SECOND) + 1);
	if (next.utc_s > SCAN_LAST_US / WHEN_SECOND)
		return -ENOENT;
	*ret_us = next.utc_s * WHEN_SECOND;
	if (ret_note)
		put_note(zone, &next, ret_note);
	return 0;
}

/* ---- as text */

static void put(struct calendar_text *text, const char *format, ...) _printf_(2, 3);

static void
put(struct calendar_text *text, const char *format, ...)
{
	size_t n = strlen(text->s);
	va_list args;

	va_start(args, format);
	vsnprintf(text->s + n, sizeof(text->s) - n, format, args);
	va_end(args);
}

/* How a grammar writes sets. */
struct style {
	const char *range;
	int digits;
	bool open; /* a step without an end, "0/15", goes on to the last value */
};
static const struct style event_style = {"..", 2, true}, last_style = {"..", 2, false},
			  cron_style = {"-", 1, false};

/* The distance of its values, if there are three or more of the same; else 0. */
static int
even_step(uint64_t set)
{
	int first = next_in(set, 0), step = next_in(set, first + 1) - first, at = first;

	if (__builtin_popcountll(set) < 3 || step < 2)
		return 0;
	for (; at < 64 && (set >> at & 1); at += step)
		set &= ~(UINT64_C(1) << at);
	return set ? 0 : step;
}

/* "00..04,07,09" */
static void
put_runs(struct calendar_text *text, const struct style *style, uint64_t set)
{
	const char *comma = "";
	int end;

	for (int at = next_in(set, 0); at >= 0; at = next_in(set, end)) {
		end = next_in(~set, at);
		if (end < 0)
			end = 64;
		if (end - at < 3)
			end = at + 1;
		put(text, "%s%0*d", comma, style->digits, at);
		if (end > at + 1)
			put(text, "%s%0*d", style->range, style->digits, end - 1);
		comma = ",";
	}
}

static void
put_set(struct calendar_text *text, const struct style *style, uint64_t set, int first, int last)
{
	int step = even_step(set), low = next_in(set, 0), high = 63 - __builtin_clzll(set);

	if (high - low == last - first && __builtin_popcountll(set) == last - first + 1)
		put(text, "*");
	else if (step && style->open && high + step == last + 1)
		put(text, "%0*d/%d", style->digits, low, step);
	else if (step)
		put(text, "%0*d%s%0*d/%d", style->digits, low, style->range, style->digits, high,
		    step);
	else
		put_runs(text, style, set);
}

static void
put_weekdays(struct calendar_text *text, uint32_t weekdays)
{
	static const char *const names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	uint64_t set = weekdays >> 1 | (weekdays & 1) << 6;
	const char *comma = "";
	int end;

	for (int at = next_in(set, 0); at >= 0; at = next_in(set, end)) {
		end = next_in(~set, at);
		if (end - at < 3)
			end = at + 1;
		put(text, "%s%s", comma, names[at]);
		if (end > at + 1)
			put(text, "..%s", names[end - 1]);
		comma = ",";
	}
	put(text, " ");
}

static void
put_years(struct calendar_text *text, const struct calendar *calendar)
{
	if (calendar->nyears == 0)
		put(text, "*");
	for (size_t i = 0; i < calendar->nyears; i++) {
		const struct calendar_years *years = &calendar->years[i];

		put(text, "%s%04d", i ? "," : "", years->first);
		if (years->last == SCAN_LAST_YEAR && years->first < years->last) {
			put(text, "/%d", years->step);
			continue;
		}
		if (years->last > years->first)
			put(text, "..%04d", years->last);
		if (years->step > 1)
			put(text, "/%d", years->step);
	}
}

static void
put_cron(struct calendar_text *text, const struct calendar *calendar)
{
	put_set(text, &cron_style, calendar->minutes, 0, 59);
	put(text, " ");
	put_set(text, &cron_style, calendar->hours, 0, 23);
	put(text, " ");
	put_set(text, &cron_style, calendar->days, 1, 31);
	put(text, " ");
	put_set(text, &cron_style, calendar->months, 1, 12);
	put(text, " ");
	put_set(text, &cron_style, calendar->weekdays, 0, 6);
}

static void
put_event(struct calendar_text *text, const struct calendar *calendar)
{
	if (calendar->weekdays != 0x7f)
		put_weekdays(text, calendar->weekdays);
	put_years(text, calendar);
	put(text, "-");
	put_set(text, &event_style, calendar->months, 1, 12);
	put(text, calendar->last ? "~" : "-");
	if (calendar->last)
		put_set(text, &last_style, calendar->last, 1, 31);
	else
		put_set(text, &event_style, calendar->days, 1, 31);
	put(text, " ");
	put_set(text, &event_style, calendar->hours, 0, 23);
	put(text, ":");
	put_set(text, &event_style, calendar->minutes, 0, 59);
	put(text, ":");
	put_set(text, &event_style, calendar->seconds, 0, 59);
}

struct calendar_text
calendar_print(const struct calendar *calendar)
{
	struct calendar_text text = {""};

	if (calendar->either)
		put_cron(&text, calendar);
	else
		put_event(&text, calendar);
	if (calendar->zone[0])
		put(&text, " %s", calendar->zone);
	return text;
}
