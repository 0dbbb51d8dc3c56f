/* SPDX-License-Identifier: ISC */
/*
 * Texts → windows and freezes, and where a moment lies among them. The wall clock of a zone runs
 * evenly between two changes of its offset; what can change within such a piece are the ends of
 * windows, midnight among them. So one walks from one to the next, and stops at changes of the
 * offset on the way.
 */
#include "common/time/window.h"

#include <errno.h>
#include <string.h>

#include "common/scan.h"
#include "common/time/zone.h"

#define WINDOW_EXAMPLE "Mon..Fri 22:00-05:00"
#define FREEZE_EXAMPLE "2026-12-20/2027-01-02 \"year end\""
#define ALL_DAYS       0x7fu
#define STEPS_MAX      10000 /* a window comes again within a week, whatever the clocks do */

/* ---- windows */

static int
read_weekday(struct scan *scan, int *ret)
{
	struct scan ahead = *scan;
	struct wall day = {0};

	if (!scan_day_word(&ahead, &day) || day.day != DAY_WEEKDAY)
		return scan_fail(scan, scan->p,
				 "a day of the week or a time of the day is expected here, such "
				 "as " WINDOW_EXAMPLE);
	scan->p = ahead.p;
	*ret = day.weekday;
	return 0;
}

/* "Mon..Fri,Sun"; a range may go over the end of the week. */
static int
read_weekdays(struct scan *scan, unsigned *ret)
{
	unsigned set = 0;

	for (;; scan->p++) {
		int first, last;

		if (read_weekday(scan, &first) < 0)
			return -EINVAL;
		last = first;
		if (strncmp(scan->p, "..", 2) == 0 || *scan->p == '-') {
			scan->p += *scan->p == '-' ? 1 : 2;
			if (read_weekday(scan, &last) < 0)
				return -EINVAL;
		}
		for (int day = first;; day = (day + 1) % 7) {
			set |= 1u << day;
			if (day == last)
				break;
		}
		if (*scan->p != ',')
			break;
	}
	*ret = set;
	return 0;
}

/* "22:00", "22:00:30"; END: also "24:00". */
static int
read_time(struct scan *scan, bool end, int *ret)
{
	struct wall wall = {0};
	const char *s = scan->p;

	if (end && strncmp(s, "24:00", 5) == 0 && !scan_is_digit(s[5])) {
		scan->p += 5;
		if (strncmp(scan->p, ":00", 3) == 0)
			scan->p += 3;
		*ret = (int)ZONE_DAY;
		return 0;
	}
	if (!scan_is_digit(*s))
		return scan_fail(scan, s,
				 "a time of the day is expected here, such as " WINDOW_EXAMPLE);
	if (scan_time(scan, &wall) < 0)
		return -EINVAL;
	if (wall.fraction_us)
		return scan_fail(scan, s, "seconds have no fractions here; write " WINDOW_EXAMPLE);
	*ret = (int)wall.second;
	return 0;
}

int
window_parse(const char *text, struct window *ret, struct err *err)
{
	struct scan scan = {.what = "window", .text = text, .p = text, .zone = "UTC", .err = err};
	struct window window = {.weekdays = ALL_DAYS, .until_s = (int)ZONE_DAY};
	const char *s;

	scan_spaces(&scan);
	if (!scan_is_digit(*scan.p) && read_weekdays(&scan, &window.weekdays) < 0)
		return -EINVAL;
	s = scan.p;
	scan_spaces(&scan);
	if (*scan.p) {
		if (scan.p == s && s != text && !scan_is_digit(text[0]))
			return scan_fail(&scan, s,
					 "behind the days stands a blank, such as " WINDOW_EXAMPLE);
		if (read_time(&scan, false, &window.from_s) < 0)
			return -EINVAL;
		if (*scan.p != '-')
			return scan_fail(
			    &scan, scan.p,
			    "between the times stands -, without blanks, such as " WINDOW_EXAMPLE);
		s = ++scan.p;
		if (read_time(&scan, true, &window.until_s) < 0)
			return -EINVAL;
		if (window.from_s == window.until_s)
			return scan_fail(
			    &scan, s,
			    "a window ends at another time than it begins; a whole day is "
			    "00:00-24:00");
		scan_spaces(&scan);
	}
	if (*scan.p)
		return scan_fail(&scan, scan.p,
				 "nothing can follow the end of a window, also no zone (key zone); "
				 "write " WINDOW_EXAMPLE);
	*ret = window;
	return 0;
}

/* ---- freezes */

/* "2026-12-20", "2026-12-20 18:00", "2026-12-20T18:00:30"; a day alone as END is over with it. */
static int
read_moment(struct scan *scan, bool end, int64_t *ret_wall_s)
{
	struct wall wall = {0};

	if (scan_digits(scan->p) != 4 || scan->p[4] != '-')
		return scan_fail(scan, scan->p, "a date is expected here, such as " FREEZE_EXAMPLE);
	if (scan_date(scan, &wall) < 0)
		return -EINVAL;
	*ret_wall_s = (wall.days + end) * ZONE_DAY;
	if ((*scan->p == ' ' || *scan->p == 'T') && scan_is_digit(scan->p[1])) {
		scan->p++;
		if (scan_time(scan, &wall) < 0)
			return -EINVAL;
		if (wall.fraction_us)
			return scan_fail(scan, scan->p, "seconds have no fractions here");
		*ret_wall_s = wall.days * ZONE_DAY + wall.second;
	}
	return 0;
}

/* What stands in quotes at the cursor. */
static int
read_name(struct scan *scan, char name[WINDOW_NAME_MAX])
{
	const char *s = scan->p, *close;

	if (*s != '"' || !(close = strchr(s + 1, '"')))
		return scan_fail(scan, s, "a name stands in quotes, such as %s", FREEZE_EXAMPLE);
	if (close == s + 1 || close - s > WINDOW_NAME_MAX)
		return scan_fail(scan, s, "a name has 1 to %d bytes, such as %s",
				 WINDOW_NAME_MAX - 1, FREEZE_EXAMPLE);
	memcpy(name, s + 1, (size_t)(close - s - 1));
	name[close - s - 1] = '\0';
	scan->p = close + 1;
	return 0;
}

int
freeze_parse(const char *text, struct freeze *ret, struct err *err)
{
	struct scan scan = {.what = "freeze", .text = text, .p = text, .zone = "UTC", .err = err};
	struct freeze freeze = {0};
	const char *s, *days;

	scan_spaces(&scan);
	days = scan.p;
	if (read_moment(&scan, false, &freeze.from_s) < 0)
		return -EINVAL;
	if (*scan.p != '/')
		return scan_fail(&scan, scan.p, "between first and last day stands /, such as %s",
				 FREEZE_EXAMPLE);
	s = ++scan.p;
	if (read_moment(&scan, true, &freeze.until_s) < 0)
		return -EINVAL;
	if (freeze.until_s <= freeze.from_s)
		return scan_fail(&scan, s, "a freeze ends behind its beginning, such as %s",
				 FREEZE_EXAMPLE);
	/* Two moments are shorter than a name may be. */
	memcpy(freeze.name, days,
	       (size_t)(scan.p - days) < sizeof(freeze.name) ? (size_t)(scan.p - days)
							     : sizeof(freeze.name) - 1);
	scan_spaces(&scan);
	if (*scan.p && read_name(&scan, freeze.name) < 0)
		return -EINVAL;
	scan_spaces(&scan);
	if (*scan.p)
		return scan_fail(&scan, scan.p,
				 "nothing can follow the name of a freeze, such as %s",
				 FREEZE_EXAMPLE);
	*ret = freeze;
	return 0;
}

/* ---- on the wall clock */

static bool
window_has(const struct window *window, const struct civil *c)
{
	int s = c->hour * 3600 + c->minute * 60 + c->second;

	if (window->until_s > window->from_s)
		return (window->weekdays >> c->weekday & 1) && s >= window->from_s &&
		       s < window->until_s;
	if ((window->weekdays >> c->weekday & 1) && s >= window->from_s)
		return true;
	return (window->weekdays >> (c->weekday + 6) % 7 & 1) && s < window->until_s;
}

static bool
in_window(const struct windows *windows, int64_t wall_s)
{
	struct civil c = zone_civil(wall_s);

	for (size_t i = 0; i < windows->nwindows; i++)
		if (window_has(&windows->windows[i], &c))
			return true;
	return false;
}

/* The next moment of the wall clock behind WALL_S at which a window may begin or end. */
static int64_t
next_edge(const struct windows *windows, int64_t wall_s)
{
	int64_t midnight = zone_floor(wall_s, ZONE_DAY) * ZONE_DAY, next = midnight + ZONE_DAY;

	for (size_t i = 0; i < windows->nwindows; i++) {
		int64_t edges[] = {midnight + windows->windows[i].from_s,
				   midnight + windows->windows[i].until_s};

		for (size_t k = 0; k < ARRAY_SIZE(edges); k++)
			if (edges[k] > wall_s && edges[k] < next)
				next = edges[k];
	}
	return next;
}

/* When being in a window, as it is at AT_S, changes next; INT64_MAX: never. */
static int64_t
next_change(const struct windows *windows, int64_t at_s)
{
	const char *zone = windows->zone;
	bool now = in_window(windows, at_s + zone_offset(zone, at_s));

	for (int i = 0; i < STEPS_MAX; i++) {
		int offset = zone_offset(zone, at_s);
		int64_t next_s = next_edge(windows, at_s + offset) - offset;

		if (zone_offset(zone, next_s) != offset)
			next_s = zone_change(zone, at_s, next_s);
		at_s = next_s;
		if (in_window(windows, at_s + zone_offset(zone, at_s)) != now)
			return at_s;
	}
	return INT64_MAX;
}

/* ---- moments */

/* Its ends as moments: the clock is first at or past FROM, and shows what is before UNTIL for the
 * last time. */
static void
freeze_ends(const struct windows *windows, const struct freeze *freeze, int64_t *ret_from_s,
	    int64_t *ret_until_s)
{
	struct zone_instants from = zone_instants(windows->zone, freeze->from_s);
	struct zone_instants until = zone_instants(windows->zone, freeze->until_s);

	*ret_from_s = from.utc_s[0];
	*ret_until_s = until.utc_s[until.n > 1];
	/* Inside of a gap, the clock is past it as soon as the gap begins. */
	if (from.n == 0)
		*ret_from_s =
		    zone_change(windows->zone, from.utc_s[0] - from.gap_s - 1, from.utc_s[0]);
	if (until.n == 0)
		*ret_until_s =
		    zone_change(windows->zone, until.utc_s[0] - until.gap_s - 1, until.utc_s[0]);
}

/* The freeze that AT_S lies in, or NULL; and when that is over, or the next one begins. */
static const struct freeze *
frozen(const struct windows *windows, uint64_t pass, int64_t at_s, int64_t *ret_until_s)
{
	int64_t next_s = INT64_MAX;

	for (size_t i = 0; i < windows->nfreezes; i++) {
		int64_t from_s, until_s;

		if (pass >> i & 1)
			continue;
		freeze_ends(windows, &windows->freezes[i], &from_s, &until_s);
		if (at_s >= from_s && at_s < until_s) {
			*ret_until_s = until_s;
			return &windows->freezes[i];
		}
		if (from_s > at_s && from_s < next_s)
			next_s = from_s;
	}
	*ret_until_s = next_s;
	return NULL;
}

/* When nothing closes it any more, from AT_S on. */
static int64_t
opening(const struct windows *windows, const struct window_pass *pass, bool always, int64_t at_s)
{
	int64_t until_s;

	for (int i = 0; i < STEPS_MAX; i++) {
		if (frozen(windows, pass->freezes, at_s, &until_s)) {
			at_s = until_s;
			continue;
		}
		if (always || in_window(windows, at_s + zone_offset(windows->zone, at_s)))
			return at_s;
		at_s = next_change(windows, at_s);
		if (at_s == INT64_MAX)
			break;
	}
	return INT64_MAX;
}

static int64_t
to_us(int64_t s)
{
	return s >= INT64_MAX / WHEN_SECOND ? INT64_MAX : s * WHEN_SECOND;
}

struct window_look
window_look(const struct windows *windows, const struct window_pass *pass, int64_t at_us)
{
	static const struct window_pass nothing;
	struct window_look look = {.open = true};
	int64_t at_s = zone_floor(at_us, WHEN_SECOND), freeze_s, window_s = INT64_MAX;
	bool always;

	if (!pass)
		pass = &nothing;
	always = windows->nwindows == 0 || pass->windows;
	look.freeze = frozen(windows, pass->freezes, at_s, &freeze_s);
	look.open =
	    !look.freeze && (always || in_window(windows, at_s + zone_offset(windows->zone, at_s)));
	if (!look.open) {
		look.until_us = to_us(opening(windows, pass, always, at_s));
		return look;
	}
	if (!always)
		window_s = next_change(windows, at_s);
	look.until_us = to_us(window_s < freeze_s ? window_s : freeze_s);
	return look;
}

bool
window_grace(const struct windows *windows, const struct window_pass *pass, int64_t from_us,
	     int64_t grace_us, int64_t now_us, int64_t *ret_from_us)
{
	int i;

	for (i = 0; i < STEPS_MAX && from_us <= now_us; i++) {
		struct window_look look = window_look(windows, pass, from_us);

		if (look.open && look.until_us - from_us > grace_us) {
			if (now_us - from_us > grace_us)
				return false;
			break;
		}
		/* Closed before the grace was over: the next opening begins another one. */
		if (look.open && look.until_us > now_us)
			break;
		from_us = look.until_us;
	}
	if (i == STEPS_MAX)
		return false;
	*ret_from_us = from_us;
	return true;
}
