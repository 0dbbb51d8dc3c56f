/* SPDX-License-Identifier: ISC */
/*
 * Text → time. The words are read by scan.c; here they become forms, and a wall time becomes an
 * instant in one place, resolve(), which knows the hours that clocks skip and repeat.
 */
#include "common/time/when.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "common/time/zone.h"
#include "common/scan.h"

#define EXAMPLE_SECOND (2 * 3600)		   /* of a day: the 02:00 that refusals propose */
#define TYPING_US      (INT64_C(60) * WHEN_SECOND) /* until what is proposed has been typed */

/* ---- wall time → instant */

/* The zone in which a wall time is read and shown. */
static const char *
wall_zone(const struct scan *scan, const struct wall *wall)
{
	return wall->zone[0] ? wall->zone : scan->zone;
}

/* The instants of one day's wall time; with an explicit offset the one that it picks, if the zone
 * has it then. */
static struct zone_instants
instants_of(const struct scan *scan, const struct wall *wall, int64_t day)
{
	int64_t wall_s = day * ZONE_DAY + wall->second;
	struct zone_instants instants = {0};

	if (!wall->has_offset)
		return zone_instants(wall_zone(scan, wall), wall_s);
	instants.utc_s[0] = wall_s - wall->offset;
	instants.n = !wall->zone[0] || zone_offset(wall->zone, instants.utc_s[0]) == wall->offset;
	return instants;
}

static int
in_bounds(const struct scan *scan, const char *at, int64_t us)
{
	if (us < 0 || us > SCAN_LAST_US)
		return scan_fail(scan, at, "years go from %d to %d, such as %s", SCAN_FIRST_YEAR,
				 SCAN_LAST_YEAR, scan_example(scan));
	return 0;
}

static int
wrong_side(const struct scan *scan, const char *at, int64_t us)
{
	if (scan->past)
		return scan_fail(
		    scan, at,
		    "that is still ahead, %.80s; write a time that has passed, such as 2h ago",
		    when_distance(us, scan->now_us).s);
	return scan_fail(
	    scan, at, "that has passed, %.80s; write a time that is ahead, such as tomorrow 02:00",
	    when_distance(us, scan->now_us).s);
}

/* The instant of one wall time that was taken, with its note. */
static int
take(const struct scan *scan, const char *at, const struct zone_instants *instants, int index,
     int64_t wall_s, int64_t fraction_us, struct when *ret)
{
	int64_t us = instants->utc_s[index] * WHEN_SECOND + fraction_us;

	if (in_bounds(scan, at, us) < 0)
		return -EINVAL;
	ret->at_us = us;
	ret->wall_s = wall_s;
	when_note(instants, index, wall_s, fraction_us, ret->zone, ret->note);
	return 0;
}

static int
refuse_offset(const struct scan *scan, const struct wall *wall, int64_t day)
{
	int64_t utc_s = day * ZONE_DAY + wall->second - wall->offset;

	return scan_fail(scan, wall->offset_at,
			 "%s has another offset then: write that time as %.100s", wall->zone,
			 when_local(utc_s * WHEN_SECOND + wall->fraction_us, wall->zone).s);
}

/* The zone has to have an explicit offset at that moment; with a gap as the answer, N is 0 and
 * there is no offset. */
static bool
impossible(const struct wall *wall, const struct zone_instants *instants)
{
	return wall->has_offset && instants->n == 0;
}

/* A wall time on one known day. */
static int
resolve_on(const struct scan *scan, const char *at, const struct wall *wall, int64_t day,
	   struct when *ret)
{
	struct zone_instants instants = instants_of(scan, wall, day);
	int64_t us = 0;

	if (impossible(wall, &instants))
		return refuse_offset(scan, wall, day);
	for (int i = 0; i < (instants.n ? instants.n : 1); i++) {
		us = instants.utc_s[i] * WHEN_SECOND + wall->fraction_us;
		if (scan->past ? us <= scan->now_us : us >= scan->now_us)
			return take(scan, at, &instants, i, day * ZONE_DAY + wall->second,
				    wall->fraction_us, ret);
	}
	return wrong_side(scan, at, us);
}

/* A time of the day, or of a weekday: the next one strictly after now, or the latest that has
   passed. A day more on either side, because clocks that go back over midnight show a date twice.
 */
static int
resolve_near(const struct scan *scan, const char *at, const struct wall *wall, int64_t today,
	     struct when *ret)
{
	int step = scan->past ? -1 : 1;

	for (int k = -1; k <= 8; k++) {
		int64_t day = today + k * step;
		struct zone_instants instants;
		int n;

		if (wall->day == DAY_WEEKDAY && zone_civil(day * ZONE_DAY).weekday != wall->weekday)
			continue;
		instants = instants_of(scan, wall, day);
		if (impossible(wall, &instants))
			continue;
		n = instants.n ? instants.n : 1;
		for (int i = scan->past ? n - 1 : 0; i >= 0 && i < n; i += step) {
			int64_t us = instants.utc_s[i] * WHEN_SECOND + wall->fraction_us;

			if (scan->past ? us <= scan->now_us : us > scan->now_us)
				return take(scan, at, &instants, i, day * ZONE_DAY + wall->second,
					    wall->fraction_us, ret);
		}
	}
	return refuse_offset(scan, wall, today + 1);
}

static int
resolve(const struct scan *scan, const char *at, const struct wall *wall, struct when *ret)
{
	struct when when = {0};
	int64_t now_s = zone_floor(scan->now_us, WHEN_SECOND);
	bool fixed_clock = wall->has_offset && !wall->zone[0];
	int64_t today;
	int r;

	snprintf(when.zone, sizeof(when.zone), "%s", wall_zone(scan, wall));
	now_s += fixed_clock ? wall->offset : zone_offset(when.zone, now_s);
	today = zone_floor(now_s, ZONE_DAY);
	switch (wall->day) {
	case DAY_DATE:
		r = resolve_on(scan, at, wall, wall->days, &when);
		break;
	case DAY_TODAY:
	case DAY_TOMORROW:
	case DAY_YESTERDAY:
		today += wall->day == DAY_TOMORROW ? 1 : wall->day == DAY_YESTERDAY ? -1 : 0;
		r = resolve_on(scan, at, wall, today, &when);
		break;
	case DAY_NONE:
	case DAY_WEEKDAY:
	default:
		r = resolve_near(scan, at, wall, today, &when);
		break;
	}
	if (r < 0)
		return r;
	/* An offset says which instant; without one the clocks of a place do. */
	if (wall->has_offset || strcmp(when.zone, "UTC") == 0)
		when.wall_s = 0;
	*ret = when;
	return 0;
}

/* ---- the forms */

/* Now and a span: days move the calendar and keep the time of the day, then the rest elapses. */
static int
resolve_span(const struct scan *scan, const char *at, const struct span *span, const char *zone,
	     struct when *ret)
{
	int64_t sign = scan->past ? -1 : 1, now_s = zone_floor(scan->now_us, WHEN_SECOND), wall_s;
	struct when when = {.at_us = scan->now_us, .relative = !span->days && !scan->past};
	struct zone_instants instants;
	int64_t fraction_us = scan->now_us - now_s * WHEN_SECOND;

	snprintf(when.zone, sizeof(when.zone), "%s", zone);
	if (span->days) {
		wall_s = now_s + zone_offset(zone, now_s) + sign * span->days * ZONE_DAY;
		if (in_bounds(scan, at, wall_s * WHEN_SECOND) < 0)
			return -EINVAL;
		instants = zone_instants(zone, wall_s);
		if (take(scan, at, &instants, 0, wall_s, fraction_us, &when) < 0)
			return -EINVAL;
	}
	when.at_us += sign * span->elapsed_us;
	when.wall_s = 0;
	if (in_bounds(scan, at, when.at_us) < 0)
		return -EINVAL;
	*ret = when;
	return 0;
}

/* A zone that may follow what has none of its own: "+1d Europe/Berlin". */
static int
read_last_zone(struct scan *scan, char zone[WHEN_ZONE_MAX])
{
	int r = 0;

	snprintf(zone, WHEN_ZONE_MAX, "%s", scan->zone);
	scan_spaces(scan);
	if (*scan->p)
		r = scan_zone(scan, zone);
	return r < 0 ? r : scan_end(scan);
}

/* At '+', or at the digits of a span that counts back. */
static int
parse_span(struct scan *scan, const char *start, struct when *ret)
{
	char zone[WHEN_ZONE_MAX];
	struct span span;
	int r = scan_span(scan, &span);

	if (r < 0)
		return r;
	if (scan->past && scan_says(scan->p, scan_letters(scan->p), "ago"))
		scan->p += 3;
	r = read_last_zone(scan, zone);
	return r < 0 ? r : resolve_span(scan, start, &span, zone, ret);
}

/* "@1795374229", with a fraction. */
static int
parse_epoch(struct scan *scan, struct when *ret)
{
	const char *start = scan->p++;
	struct when when = {0};
	size_t n = scan_digits(scan->p);
	int64_t s = 0, us;

	if (n < 1)
		return scan_fail(scan, scan->p,
				 "behind @ stand seconds since 1970, such as @1893456000");
	if (n > 12)
		return scan_fail(
		    scan, scan->p,
		    "that is after the year %d: behind @ stand seconds since 1970, such as "
		    "@1893456000",
		    SCAN_LAST_YEAR);
	for (size_t i = 0; i < n; i++)
		s = s * 10 + (*scan->p++ - '0');
	if (scan_fraction(scan, &us) < 0 || read_last_zone(scan, when.zone) < 0)
		return -EINVAL;
	when.at_us = s * WHEN_SECOND + us;
	if (in_bounds(scan, start, when.at_us) < 0)
		return -EINVAL;
	if (scan->past ? when.at_us > scan->now_us : when.at_us < scan->now_us)
		return wrong_side(scan, start, when.at_us);
	*ret = when;
	return 0;
}

/* Can a time of the day of WALL, SECOND into it, be asked for once it has been typed? */
static bool
can_be(const struct scan *scan, const char *start, const struct wall *wall, int64_t second)
{
	struct scan quiet = *scan;
	struct wall timed = *wall;
	struct when ignored;

	quiet.err = NULL;
	if (!scan->past)
		quiet.now_us += TYPING_US;
	timed.second = second;
	return resolve(&quiet, start, &timed, &ignored) == 0;
}

/* WHAT is wrong with the day of N bytes at DAY, and a time to write instead: one of that day, if it
 * can be asked for. */
static int
refuse_day(const struct scan *scan, const char *at, const char *day, size_t n,
	   const struct wall *wall, const char *what)
{
	if (can_be(scan, day, wall, EXAMPLE_SECOND))
		return scan_fail(scan, at, "%s, such as %.*s 02:00", what, (int)n, day);
	if (scan->past)
		return scan_fail(
		    scan, at,
		    "that day is still ahead; write a time that has passed, such as 2h ago");
	if (can_be(scan, day, wall, ZONE_DAY - 1))
		return scan_fail(scan, at, "%s, such as tomorrow 02:00", what);
	return scan_fail(scan, at,
			 "that day has passed; write a time that is ahead, such as tomorrow 02:00");
}

/* A day was read: its time, which only a --since may leave out. */
static int
parse_after_day(struct scan *scan, const char *start, struct wall *wall, struct when *ret)
{
	const char *end = scan->p;
	bool joined = wall->day == DAY_DATE && (*end == 'T' || *end == 't');

	if (joined)
		scan->p++;
	else
		scan_spaces(scan);
	if (!*scan->p && !joined) {
		if (scan->past)
			return resolve(scan, start, wall, ret);
		return refuse_day(scan, end, start, (size_t)(end - start), wall,
				  "a day needs a time");
	}
	if (!joined && scan->p == end)
		return refuse_day(scan, end, start, (size_t)(end - start), wall,
				  "a day and its time are parted by a space");
	if (scan_time(scan, wall) < 0 || scan_suffix(scan, wall) < 0)
		return -EINVAL;
	return resolve(scan, start, wall, ret);
}

/* A day behind a time of the day is refused; 0: there is none. */
static int
refuse_time_first(const struct scan *scan)
{
	struct scan ahead = *scan;
	struct wall day = {0};
	bool date = scan_fixed(scan->p, 4) >= 0 && scan->p[4] == '-';

	if (date && scan_date(&ahead, &day) < 0)
		return -EINVAL;
	if (!date && !scan_day_word(&ahead, &day))
		return 0;
	return refuse_day(scan, scan->p, scan->p, (size_t)(ahead.p - scan->p), &day,
			  "the day stands before the time");
}

static int
parse_time(struct scan *scan, struct when *ret)
{
	const char *start = scan->p;
	struct wall wall = {0};
	int r;

	r = scan_time(scan, &wall);
	if (r < 0)
		return r;
	scan_spaces(scan);
	r = refuse_time_first(scan);
	if (r == 0)
		r = scan_suffix(scan, &wall);
	return r < 0 ? r : resolve(scan, start, &wall, ret);
}

/* Digits that others write so: 28.11.2026 and 2026/11/28, 02.00. */
static int
refuse_parted(const struct scan *scan, const char *start, size_t n)
{
	size_t m = scan_digits(start + n + 1);

	if (start[n] == '/' || start[n + 1 + m] == '.')
		return scan_fail(scan, start, "a date is year-month-day in digits, such as %s",
				 scan_example(scan));
	return scan_fail(scan, start + n, "hours and minutes are parted by a colon, such as 02:00");
}

/* A date, a time, or digits that are neither. */
static int
parse_digits(struct scan *scan, struct when *ret)
{
	const char *start = scan->p, *after;
	size_t n = scan_digits(start), word;
	struct wall wall = {0};

	if (n == 4 && start[4] == '-')
		return scan_date(scan, &wall) < 0 ? -EINVAL
						  : parse_after_day(scan, start, &wall, ret);
	if (start[n] == ':')
		return parse_time(scan, ret);
	if ((start[n] == '.' || start[n] == '/') && scan_digits(start + n + 1) > 0 &&
	    scan_letters(start + n + 1 + scan_digits(start + n + 1)) == 0)
		return refuse_parted(scan, start, n);
	after = start + n + strspn(start + n, " \t");
	word = scan_letters(after);
	if (word && scan->past)
		return parse_span(scan, start, ret);
	if (word && scan_is_unit(after, word))
		return scan_fail(scan, start, "a span from now begins with +, such as +2h30min");
	if (word && (scan_says(after, word, "am") || scan_says(after, word, "pm")))
		return scan_fail(scan, after,
				 "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	return scan_fail(
	    scan, start,
	    "a number alone is neither a time nor a span: write one such as 02:00 or +2h");
}

/* "now + 10 minutes", as at(1) takes it */
static int
refuse_now_and(const struct scan *scan)
{
	return scan_fail(scan, scan->p,
			 scan->past ? "a span that counts back stands alone, such as 2h ago"
				    : "a span from now stands alone, such as +2h30min");
}

static int
parse_word(struct scan *scan, struct when *ret)
{
	const char *start = scan->p;
	size_t n = scan_letters(start);
	struct when when = {.at_us = scan->now_us};
	struct wall wall = {0};

	if (scan_day_word(scan, &wall))
		return parse_after_day(scan, start, &wall, ret);
	if (scan_says(start, n, "now")) {
		scan->p += n;
		scan_spaces(scan);
		if (*scan->p == '+' || *scan->p == '-')
			return refuse_now_and(scan);
		if (read_last_zone(scan, when.zone) < 0)
			return -EINVAL;
		*ret = when;
		return 0;
	}
	if (scan_says(start, n, "in"))
		return scan_fail(scan, start, "a span from now begins with +, such as +2h30min");
	if (scan_says(start, n, "noon") || scan_says(start, n, "midnight"))
		return scan_fail(scan, start, "hours are written in digits, such as tomorrow %s",
				 scan_says(start, n, "noon") ? "12:00" : "00:00");
	return scan_fail(
	    scan, start,
	    "that is no time: write one such as 02:00, tomorrow 02:00, fri 22:00 or +2h30min");
}

static int
parse(struct scan *scan, struct when *ret)
{
	const char *start;

	scan_spaces(scan);
	start = scan->p;
	if (!*start)
		return scan_fail(
		    scan, start,
		    "a time is expected, such as now, 02:00, tomorrow 02:00 or +2h30min");
	if (*start == '@')
		return parse_epoch(scan, ret);
	if ((*start == '+' && !scan->past) || (*start == '-' && scan->past)) {
		scan->p++;
		return parse_span(scan, start, ret);
	}
	if (*start == '+')
		return scan_fail(scan, start,
				 "that is still ahead; a span counts back here, such as 2h ago");
	if (*start == '-')
		return scan_fail(
		    scan, start,
		    "that has passed; a span from now begins with +, such as +2h30min");
	if (scan_is_digit(*start))
		return parse_digits(scan, ret);
	return parse_word(scan, ret);
}

static int
parse_text(const char *text, int64_t now_us, const char *zone, bool past, struct when *ret,
	   struct err *err)
{
	struct scan scan = {"time", text, text, now_us, zone, past, err};

	if (strnlen(text, WHEN_TEXT_MAX) >= WHEN_TEXT_MAX)
		return scan_fail(
		    &scan, text,
		    "a time is no text as long as this: write one such as tomorrow 02:00");
	if (!zone_valid(zone))
		return scan_fail(
		    &scan, text,
		    "the tz database has no zone \"%.60s\" to read it in; write one behind "
		    "the time, such as 02:00 Europe/Berlin",
		    zone);
	return parse(&scan, ret);
}

int
when_parse(const char *text, int64_t now_us, const char *zone, struct when *ret, struct err *err)
{
	return parse_text(text, now_us, zone, false, ret, err);
}

int
when_parse_past(const char *text, int64_t now_us, const char *zone, struct when *ret,
		struct err *err)
{
	return parse_text(text, now_us, zone, true, ret, err);
}

/* ---- spans, and instants as programs write them */

int
when_parse_span(const char *text, int64_t *ret_us, struct err *err)
{
	struct scan scan = {.what = "span", .text = text, .p = text, .err = err};
	struct span span = {0};
	int r;

	if (strnlen(text, WHEN_TEXT_MAX + 1) > WHEN_TEXT_MAX)
		return scan_fail(&scan, text,
				 "a span is not that long a text: write one such as 2h30min");
	scan_spaces(&scan);
	r = scan_span(&scan, &span);
	if (r < 0)
		return r;
	if (*scan.p)
		return scan_fail(&scan, scan.p, "a span is numbers with units, such as 2h30min");
	*ret_us = span.days * ZONE_DAY * WHEN_SECOND + span.elapsed_us;
	return 0;
}

int
when_parse_utc(const char *text, int64_t *ret_us)
{
	struct scan scan = {.what = "time", .text = text, .p = text};
	struct wall wall = {0};
	int64_t us;

	/* Where scan_date() and scan_time() take more forms than one, the form of programs is
	 * looked at first. */
	if (strnlen(text, 20) < 20 || scan_digits(text) != 4 || text[4] != '-' || text[10] != 'T' ||
	    scan_digits(text + 11) != 2 || text[16] != ':')
		return -EINVAL;
	if (scan_date(&scan, &wall) < 0)
		return -EINVAL;
	scan.p++;
	if (scan_time(&scan, &wall) < 0 || strcmp(scan.p, "Z") != 0)
		return -EINVAL;
	us = (wall.days * ZONE_DAY + wall.second) * WHEN_SECOND + wall.fraction_us;
	if (us < 0)
		return -EINVAL;
	*ret_us = us;
	return 0;
}

/* ---- the zone of this process */

bool
when_zone_valid(const char *zone)
{
	return zone_valid(zone);
}

/* "Europe/Berlin" out of a name or a path into the tz database. The many names of UTC are one. */
static bool
zone_from(const char *s, char ret_zone[WHEN_ZONE_MAX])
{
	static const char *const utc[] = {"UTC",       "Etc/UTC",	"UTC0", "Etc/UCT", "UCT",
					  "Universal", "Etc/Universal", "Zulu", "Etc/Zulu"};
	const char *inside = strstr(s, "/zoneinfo/");

	if (inside)
		s = inside + strlen("/zoneinfo/");
	for (size_t i = 0; i < ARRAY_SIZE(utc); i++)
		if (!strcmp(s, utc[i]))
			s = "UTC";
	if (!zone_valid(s))
		return false;
	snprintf(ret_zone, WHEN_ZONE_MAX, "%s", s);
	return true;
}

/* /etc/timezone: one line with the name. */
static bool
zone_from_file(char ret_zone[WHEN_ZONE_MAX])
{
	_cleanup_fclose_ FILE *file = fopen("/etc/timezone", "re");
	char line[128];

	if (!file || !fgets(line, sizeof(line), file))
		return false;
	line[strcspn(line, " \t\r\n")] = '\0';
	return zone_from(line, ret_zone);
}

int
when_zone_local(char ret_zone[WHEN_ZONE_MAX], struct err *err)
{
	const char *tz = getenv("TZ");
	_cleanup_free_ char *real = NULL;
	char link[PATH_MAX];
	ssize_t n;

	if (tz) {
		/* Set and empty is UTC to the C library too. */
		if (!*tz || zone_from(tz[0] == ':' ? tz + 1 : tz, ret_zone)) {
			if (!*tz)
				snprintf(ret_zone, WHEN_ZONE_MAX, "UTC");
			return 0;
		}
		return err_set(err, ERR_BAD_TIME,
			       "$TZ is \"%.60s\", which is no place of the tz database: "
			       "set it to UTC or one such as Europe/Berlin",
			       tz);
	}
	n = readlink("/etc/localtime", link, sizeof(link) - 1);
	if (n > 0) {
		link[n] = '\0';
		if (zone_from(link, ret_zone))
			return 0;
	}
	if (zone_from_file(ret_zone))
		return 0;
	/* The name may be a link to one with a place: Japan to Asia/Tokyo. */
	real = realpath("/etc/localtime", NULL);
	if (real && zone_from(real, ret_zone))
		return 0;
	if (real)
		return err_set(err, ERR_BAD_TIME,
			       "the zone of this machine has no name (/etc/localtime is %.200s): "
			       "set $TZ to one such as Europe/Berlin",
			       real);
	snprintf(ret_zone, WHEN_ZONE_MAX, "UTC");
	return 0;
}
