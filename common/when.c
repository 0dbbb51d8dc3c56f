/* SPDX-License-Identifier: ISC */
/*
 * A text is read by a small hand-written parser over one struct scan: what stands at the cursor is
 * either understood or refused with the column, the reason and an example. A wall time that is
 * understood becomes an instant in one place, resolve(), which knows the hours that clocks skip and
 * repeat.
 */
#include "common/when.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "common/calendar.h"
#include "common/json.h"

#define MINUTE	   (60 * WHEN_SECOND)
#define HOUR	   (60 * MINUTE)
#define DAY	   (24 * HOUR)
#define FIRST_YEAR 1970
#define LAST_YEAR  9999
/* 9999-12-31 00:00 UTC: whatever the zone, the local year has four digits. */
#define LAST_US (INT64_C(253402214400) * WHEN_SECOND)

static const struct unit {
	const char *name;
	int64_t us;
	bool calendar; /* in a WHEN these are days of the calendar, not 24 hours */
} units[] = {
    {"us", 1, false},	{"ms", 1000, false}, {"s", WHEN_SECOND, false}, {"min", MINUTE, false},
    {"h", HOUR, false}, {"d", DAY, true},    {"w", 7 * DAY, true},
};

/* ---- time → text */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct when_text
when_utc(int64_t us)
{
	int64_t s = floor_div(us, WHEN_SECOND);
	struct civil c = calendar_civil(s);
	struct when_text text;

	snprintf(text.s, sizeof(text.s), "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%06" PRId64 "Z",
		 c.year, c.month, c.day, c.hour, c.minute, c.second, us - s * WHEN_SECOND);
	return text;
}

/* "+01:00"; with seconds only where a zone has such an offset (Africa/Monrovia until 1972). */
static void
put_offset(char *s, size_t size, int offset)
{
	unsigned n = (unsigned)(offset < 0 ? -offset : offset);
	char sign = offset < 0 ? '-' : '+';

	if (n % 60)
		snprintf(s, size, "%c%02u:%02u:%02u", sign, n / 3600, n / 60 % 60, n % 60);
	else
		snprintf(s, size, "%c%02u:%02u", sign, n / 3600, n / 60 % 60);
}

struct when_text
when_local(int64_t us, const char *zone)
{
	int64_t s = floor_div(us, WHEN_SECOND), fraction = us - s * WHEN_SECOND;
	char part[16] = "", east[24];
	struct when_text text;
	struct civil c;
	int offset;

	if (!calendar_zone_valid(zone))
		zone = "UTC"; /* and says so */
	offset = calendar_offset(zone, s);
	c = calendar_civil(s + offset);
	if (fraction)
		snprintf(part, sizeof(part), ".%06d", (int)fraction);
	put_offset(east, sizeof(east), offset);
	snprintf(text.s, sizeof(text.s), "%04" PRId64 "-%02d-%02d %02d:%02d:%02d%s%s %.*s", c.year,
		 c.month, c.day, c.hour, c.minute, c.second, part, east, WHEN_ZONE_MAX - 1, zone);
	return text;
}

/* Units for people, each with the one that may follow it; what is smaller is rounded away first. */
static const struct {
	const char *name;
	int64_t us, round_us;
} shown[] = {
    {"d", DAY, HOUR},	      {"h", HOUR, MINUTE}, {"min", MINUTE, WHEN_SECOND},
    {"s", WHEN_SECOND, 1000}, {"ms", 1000, 1},	   {"us", 1, 1},
};

static int64_t
round_to(int64_t us, int64_t step)
{
	return us > INT64_MAX - step ? us - us % step : (us + step / 2) / step * step;
}

/* The index of the largest unit that fits; none fits 0. */
static size_t
largest(int64_t us)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(shown) && us < shown[i].us)
		i++;
	return i;
}

struct when_text
when_span(int64_t us)
{
	const char *sign = us < 0 ? "-" : "";
	struct when_text text;
	size_t i;
	int n;

	if (us < 0)
		us = us == INT64_MIN ? INT64_MAX : -us;
	i = largest(us);
	if (i < ARRAY_SIZE(shown))
		us = round_to(us, shown[i].round_us);
	i = largest(us); /* 59 min 59.7 s have become 1 h */
	if (i == ARRAY_SIZE(shown)) {
		strcpy(text.s, "0 s");
		return text;
	}
	n = snprintf(text.s, sizeof(text.s), "%s%" PRId64 " %s", sign, us / shown[i].us,
		     shown[i].name);
	us %= shown[i].us;
	if (i + 1 < ARRAY_SIZE(shown) && us >= shown[i + 1].us && n > 0)
		snprintf(text.s + n, sizeof(text.s) - (size_t)n, " %" PRId64 " %s",
			 us / shown[i + 1].us, shown[i + 1].name);
	return text;
}

/* To whole seconds: what lies between asking and answering is nobody's concern. */
struct when_text
when_distance(int64_t us, int64_t now_us)
{
	struct when_text text, span;
	int64_t distance;

	if (__builtin_sub_overflow(us, now_us, &distance))
		distance = us < now_us ? -INT64_MAX : INT64_MAX;
	if (distance == INT64_MIN)
		distance = -INT64_MAX;
	span = when_span(round_to(distance < 0 ? -distance : distance, WHEN_SECOND));
	if (!strcmp(span.s, "0 s"))
		strcpy(text.s, "now");
	else if (distance > 0)
		snprintf(text.s, sizeof(text.s), "in %.100s", span.s);
	else
		snprintf(text.s, sizeof(text.s), "%.100s ago", span.s);
	return text;
}

/* ---- what stands at the cursor */

struct scan {
	const char *what; /* "time" or "span": how a refusal begins */
	const char *text, *p;
	int64_t now_us;
	const char *zone; /* the caller's */
	bool past;
	struct err *err;
};

/* Columns are counted in characters, as an editor does. */
static int
column(const struct scan *scan, const char *at)
{
	int n = 1;

	for (const char *s = scan->text; s < at && *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static _printf_(3, 4) int fail(const struct scan *scan, const char *at, const char *format, ...)
{
	char reason[400], text[WHEN_TEXT_MAX + 4];
	_cleanup_free_ char *safe = NULL;
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(text, sizeof(text), "%.*s%s", WHEN_TEXT_MAX, scan->text,
		 strnlen(scan->text, WHEN_TEXT_MAX + 1) > WHEN_TEXT_MAX ? "..." : "");
	safe = json_terminal(text);
	err_set(scan->err, ERR_BAD_TIME, "%s \"%s\", column %d: %s", scan->what, safe,
		column(scan, at), reason);
	err_field(scan->err, "text", json_bytes(text, strlen(text)));
	err_field(scan->err, "column", json_integer(column(scan, at)));
	return -EINVAL;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void
skip_spaces(struct scan *scan)
{
	while (*scan->p == ' ' || *scan->p == '\t')
		scan->p++;
}

static size_t
digits(const char *s)
{
	size_t n = 0;

	while (is_digit(s[n]))
		n++;
	return n;
}

static size_t
letters(const char *s)
{
	size_t n = 0;

	while (is_letter(s[n]))
		n++;
	return n;
}

/* Does a word of N letters say WORD, in any case? */
static bool
says(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

/* Exactly N digits as a number, or -1. */
static int
fixed(const char *s, size_t n)
{
	int value = 0;

	if (digits(s) < n)
		return -1;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (s[i] - '0');
	return value;
}

/* ".5" as microseconds; nothing there is 0. */
static int
read_fraction(struct scan *scan, int64_t *ret_us)
{
	int64_t us = 0;
	size_t n;

	*ret_us = 0;
	if (*scan->p != '.')
		return 0;
	n = digits(scan->p + 1);
	if (n < 1 || n > 6)
		return fail(scan, scan->p,
			    "a fraction of a second has one to six digits, such as 02:00:00.5");
	for (size_t i = 0; i < 6; i++)
		us = us * 10 + (i < n ? scan->p[1 + i] - '0' : 0);
	*ret_us = us;
	scan->p += 1 + n;
	return 0;
}

/* ---- spans */

struct span {
	int64_t days, elapsed_us; /* of calendar units, and of the others */
};

static const struct unit *
find_unit(const char *s, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strlen(units[i].name) == n && !strncmp(units[i].name, s, n))
			return &units[i];
	return NULL;
}

static int
refuse_unit(const struct scan *scan, const char *at, size_t n)
{
	if (says(at, n, "am") || says(at, n, "pm"))
		return fail(scan, at,
			    "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	if (says(at, n, "m") || says(at, n, "mins") || says(at, n, "minutes") ||
	    says(at, n, "minute"))
		return fail(scan, at, "minutes are min, such as 30min");
	if (n == 0 && (*at == '.' || *at == ','))
		return fail(scan, at,
			    "whole numbers only, such as 1h30min for one and a half hours");
	if (n == 0)
		return fail(scan, at, "a number needs a unit (s, min, h, d, w), such as 30min");
	return fail(scan, at, "\"%.*s\" is no unit: write s, min, h, d or w, such as 2h30min",
		    n < 20 ? (int)n : 20, at);
}

static int
read_item(struct scan *scan, struct span *span)
{
	const char *start = scan->p, *name;
	const struct unit *unit;
	int64_t value = 0;
	size_t n;
	bool over = false;

	for (; is_digit(*scan->p); scan->p++)
		over |= __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *scan->p - '0', &value);
	name = scan->p;
	skip_spaces(scan);
	n = letters(scan->p);
	unit = find_unit(scan->p, n);
	if (!unit)
		return refuse_unit(scan, n ? scan->p : name, n);
	scan->p += n;
	over |= __builtin_mul_overflow(value, unit->us, &value);
	if (unit->calendar)
		over |= __builtin_add_overflow(span->days, value / DAY, &span->days);
	else
		over |= __builtin_add_overflow(span->elapsed_us, value, &span->elapsed_us);
	if (over || value > LAST_US || span->elapsed_us > LAST_US || span->days > LAST_US / DAY)
		return fail(scan, start,
			    "that is longer than all years to come: write a span such as 30d");
	return 0;
}

/* "2h30min", "6 h 20 min": items as long as there are digits. */
static int
read_span(struct scan *scan, struct span *ret)
{
	struct span span = {0};
	int r;

	if (!is_digit(*scan->p))
		return fail(scan, scan->p, "a number with its unit is expected, such as 2h30min");
	while (is_digit(*scan->p)) {
		r = read_item(scan, &span);
		if (r < 0)
			return r;
		skip_spaces(scan);
	}
	*ret = span;
	return 0;
}

int
when_parse_span(const char *text, int64_t *ret_us, struct err *err)
{
	struct scan scan = {.what = "span", .text = text, .p = text, .err = err};
	struct span span = {0};
	int r;

	if (strnlen(text, WHEN_TEXT_MAX + 1) > WHEN_TEXT_MAX)
		return fail(&scan, text,
			    "a span is not that long a text: write one such as 2h30min");
	skip_spaces(&scan);
	r = read_span(&scan, &span);
	if (r < 0)
		return r;
	if (*scan.p)
		return fail(&scan, scan.p, "a span is numbers with units, such as 2h30min");
	*ret_us = span.days * DAY + span.elapsed_us;
	return 0;
}

/* ---- RFC 3339 in UTC, as programs write it */

/* "2026-11-23": days since 1970; the date must exist. */
static int
read_date_strict(const char *s, int64_t *ret_days)
{
	int year = fixed(s, 4), month, day;

	if (year < FIRST_YEAR || s[4] != '-')
		return -EINVAL;
	month = fixed(s + 5, 2);
	if (month < 1 || month > 12 || s[7] != '-')
		return -EINVAL;
	day = fixed(s + 8, 2);
	if (day < 1 || day > calendar_month_length(year, month))
		return -EINVAL;
	*ret_days = calendar_days(year, month, day);
	return 0;
}

/* "02:00:30" as a second of the day. */
static int
read_time_strict(const char *s, int64_t *ret_s)
{
	int hour = fixed(s, 2), minute, second;

	if (hour < 0 || hour > 23 || s[2] != ':')
		return -EINVAL;
	minute = fixed(s + 3, 2);
	if (minute < 0 || minute > 59 || s[5] != ':')
		return -EINVAL;
	second = fixed(s + 6, 2);
	if (second < 0 || second > 59)
		return -EINVAL;
	*ret_s = hour * 3600 + minute * 60 + second;
	return 0;
}

int
when_parse_utc(const char *text, int64_t *ret_us)
{
	struct scan scan = {.what = "time", .text = text, .p = text};
	int64_t days, s, us;

	if (read_date_strict(text, &days) < 0 || text[10] != 'T' ||
	    read_time_strict(text + 11, &s) < 0)
		return -EINVAL;
	scan.p = text + 19;
	if (read_fraction(&scan, &us) < 0 || strcmp(scan.p, "Z") != 0)
		return -EINVAL;
	*ret_us = (days * CALENDAR_DAY + s) * WHEN_SECOND + us;
	return 0;
}

/* ---- a wall time, as it was written */

enum day { DAY_NONE, DAY_DATE, DAY_WEEKDAY, DAY_TODAY, DAY_TOMORROW, DAY_YESTERDAY };

struct wall {
	enum day day;
	int64_t days;		     /* DAY_DATE: since 1970 */
	int weekday;		     /* DAY_WEEKDAY: 0 is Sunday */
	int64_t second, fraction_us; /* of the day */
	bool has_offset;
	int offset;
	const char *offset_at;	  /* where it stands, for refusals */
	char zone[WHEN_ZONE_MAX]; /* written behind it; "" if none */
};

static const char *const weekdays[] = {"sunday",   "monday", "tuesday", "wednesday",
				       "thursday", "friday", "saturday"};

/* "fri", "Thurs", "SUNDAY": three letters or more of a name, in any case; -1 for anything else. */
static int
find_weekday(const char *s, size_t n)
{
	for (int i = 0; i < 7; i++)
		if (n >= 3 && n <= strlen(weekdays[i]) && !strncasecmp(weekdays[i], s, n))
			return i;
	return -1;
}

/* A word that names a day, at the cursor. */
static bool
read_day_word(struct scan *scan, struct wall *wall)
{
	size_t n = letters(scan->p);
	int weekday = find_weekday(scan->p, n);

	if (says(scan->p, n, "today"))
		wall->day = DAY_TODAY;
	else if (says(scan->p, n, "tomorrow"))
		wall->day = DAY_TOMORROW;
	else if (says(scan->p, n, "yesterday"))
		wall->day = DAY_YESTERDAY;
	else if (weekday >= 0) {
		wall->day = DAY_WEEKDAY;
		wall->weekday = weekday;
	} else
		return false;
	scan->p += n;
	return true;
}

/* At four digits and '-'. */
static int
read_date(struct scan *scan, struct wall *wall)
{
	const char *s = scan->p;
	int year = fixed(s, 4), month = fixed(s + 5, 2), day;

	/* West of Greenwich the first hours of 1970 still have the date of 1969. */
	if (year < FIRST_YEAR - 1)
		return fail(scan, s, "years go from %d to %d, such as 2030-01-31 02:00", FIRST_YEAR,
			    LAST_YEAR);
	if (month < 0 || s[7] != '-' || (day = fixed(s + 8, 2)) < 0 || is_digit(s[10]))
		return fail(scan, s,
			    "a date is year-month-day in digits, such as 2030-01-31 02:00");
	if (month < 1 || month > 12)
		return fail(
		    scan, s + 5,
		    "there is no month %02d; a date is year-month-day, such as 2030-01-31 02:00",
		    month);
	if (day < 1 || day > calendar_month_length(year, month))
		return fail(scan, s + 8,
			    "%04d-%02d has %d days; write a date such as %04d-%02d-%02d 02:00",
			    year, month, calendar_month_length(year, month), year, month,
			    calendar_month_length(year, month));
	wall->day = DAY_DATE;
	wall->days = calendar_days(year, month, day);
	scan->p += 10;
	return 0;
}

/* "02:00", "2:00", "02:00:30", "02:00:30.5" */
static int
read_time(struct scan *scan, struct wall *wall)
{
	const char *s = scan->p;
	size_t n = digits(s);
	int hour, minute, second = 0;

	if (n < 1 || n > 2 || s[n] != ':')
		return fail(scan, s,
			    "a time of the day is expected here, such as 02:00 or 02:00:30");
	hour = fixed(s, n);
	minute = fixed(s + n + 1, 2);
	if (hour > 23)
		return fail(scan, s, "hours go from 00 to 23, such as %s",
			    hour == 24 ? "00:00 of the next day" : "23:30");
	if (minute < 0 || is_digit(s[n + 3]))
		return fail(scan, s + n + 1, "minutes have two digits, such as 02:00");
	if (minute > 59)
		return fail(scan, s + n + 1, "minutes go from 00 to 59, such as 02:59");
	scan->p += n + 3;
	wall->fraction_us = 0;
	if (*scan->p == ':') {
		second = fixed(scan->p + 1, 2);
		if (second < 0 || is_digit(scan->p[3]))
			return fail(scan, scan->p + 1, "seconds have two digits, such as 02:00:30");
		if (second > 59)
			return fail(scan, scan->p + 1,
				    "seconds go from 00 to 59, such as 02:00:59");
		scan->p += 3;
		if (read_fraction(scan, &wall->fraction_us) < 0)
			return -EINVAL;
	}
	wall->second = hour * 3600 + minute * 60 + second;
	return 0;
}

/* "+01:00", "-03:30"; with seconds, as when_local() prints the few that have some. */
static int
read_offset(struct scan *scan, struct wall *wall)
{
	const char *s = scan->p;
	int hour = fixed(s + 1, 2), minute, second = 0;
	size_t n = 6;

	if (hour < 0 || s[3] != ':' || (minute = fixed(s + 4, 2)) < 0 || is_digit(s[6]))
		return fail(scan, s,
			    "an offset is hours and minutes, such as 02:00+01:00; a span stands "
			    "alone, such as +2h");
	if (s[6] == ':') {
		second = fixed(s + 7, 2);
		n = 9;
	}
	if (hour > 17 || minute > 59 || second < 0 || second > 59 || is_digit(s[n]))
		return fail(scan, s,
			    "no clock on earth has that offset; write one such as 02:00+01:00");
	wall->has_offset = true;
	wall->offset = (hour * 3600 + minute * 60 + second) * (*s == '-' ? -1 : 1);
	wall->offset_at = s;
	scan->p += n;
	return 0;
}

static bool
is_zone_char(char c)
{
	return is_letter(c) || is_digit(c) || c == '/' || c == '_' || c == '+' || c == '-';
}

/* Why a word behind a time is no zone, in the words of what was probably meant. */
static int
refuse_zone(const struct scan *scan, const char *at, size_t n)
{
	char word[WHEN_ZONE_MAX] = "", meant[WHEN_ZONE_MAX] = "Europe/Berlin";
	struct scan ahead = *scan;
	struct wall day;

	ahead.p = at;
	if (says(at, n, "am") || says(at, n, "pm"))
		return fail(scan, at,
			    "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	if (read_day_word(&ahead, &day))
		return fail(scan, at, "the day stands before the time, such as %.*s 02:00", (int)n,
			    at);
	if (says(at, n, "ago"))
		return fail(scan, at, "\"ago\" goes with a span, such as 2h ago");
	if (n < sizeof(word))
		memcpy(word, at, n);
	if (letters(word) == n && n > 0 && n <= 5 &&
	    !calendar_zone_suggest(word, meant, sizeof(meant)))
		return fail(scan, at,
			    "\"%s\" is an abbreviation, and those mean several things; write UTC "
			    "or a place, such as 02:00 Europe/Berlin",
			    word);
	if (!word[0])
		return fail(
		    scan, at,
		    "nothing but a zone can follow, UTC or a place, such as 02:00 Europe/Berlin");
	(void)calendar_zone_suggest(word, meant, sizeof(meant));
	return fail(scan, at,
		    "there is no zone \"%s\": UTC and places of the tz database are known, such as "
		    "02:00 %s",
		    word, meant);
}

/* A zone word at the cursor, "UTC" or "Europe/Berlin", into ZONE. */
static int
read_zone(struct scan *scan, char zone[WHEN_ZONE_MAX])
{
	const char *s = scan->p;
	char name[WHEN_ZONE_MAX] = "";
	size_t n = 0;

	while (is_zone_char(s[n]))
		n++;
	if (n < sizeof(name))
		memcpy(name, s, n);
	if (says(s, n, "UTC"))
		memcpy(name, "UTC", 3);
	if (!calendar_zone_valid(name))
		return refuse_zone(scan, s, n);
	memcpy(zone, name, sizeof(name));
	scan->p += n;
	return 0;
}

static int
at_end(struct scan *scan)
{
	skip_spaces(scan);
	if (*scan->p)
		return fail(scan, scan->p,
			    "nothing can follow here; a whole time is such as tomorrow 02:00 "
			    "Europe/Berlin");
	return 0;
}

/* What may follow a time: an offset or Z, a zone, both or nothing. */
static int
read_suffix(struct scan *scan, struct wall *wall)
{
	int r = 0;

	skip_spaces(scan);
	if ((*scan->p == 'Z' || *scan->p == 'z') && !is_zone_char(scan->p[1])) {
		wall->has_offset = true;
		wall->offset_at = scan->p++;
		snprintf(wall->zone, sizeof(wall->zone), "UTC");
		return at_end(scan);
	}
	if (*scan->p == '+' || *scan->p == '-')
		r = read_offset(scan, wall);
	if (r < 0)
		return r;
	skip_spaces(scan);
	if (*scan->p)
		r = read_zone(scan, wall->zone);
	return r < 0 ? r : at_end(scan);
}

/* ---- wall time → instant */

static int64_t
floor_s(int64_t us)
{
	return floor_div(us, WHEN_SECOND);
}

/* The zone in which a wall time is read and shown. */
static const char *
wall_zone(const struct scan *scan, const struct wall *wall)
{
	return wall->zone[0] ? wall->zone : scan->zone;
}

/* The instants of one day's wall time; with an explicit offset the one that it picks, if the zone
 * has it then. */
static struct calendar_instants
instants_of(const struct scan *scan, const struct wall *wall, int64_t day)
{
	int64_t wall_s = day * CALENDAR_DAY + wall->second;
	struct calendar_instants instants = {0};

	if (!wall->has_offset)
		return calendar_instants(wall_zone(scan, wall), wall_s);
	instants.utc_s[0] = wall_s - wall->offset;
	instants.n =
	    !wall->zone[0] || calendar_offset(wall->zone, instants.utc_s[0]) == wall->offset;
	return instants;
}

static struct when_text
local_s(int64_t utc_s, int64_t fraction_us, const char *zone)
{
	return when_local(utc_s * WHEN_SECOND + fraction_us, zone);
}

/* What the reader must know of an hour that is skipped or comes twice; INDEX is the instant taken.
 */
static void
put_note(struct when *when, const struct calendar_instants *instants, int index, int64_t wall_s,
	 int64_t fraction_us)
{
	struct civil c = calendar_civil(wall_s);
	struct when_text first = local_s(instants->utc_s[0], fraction_us, when->zone);
	struct when_text second = local_s(instants->utc_s[1], fraction_us, when->zone);
	char what[48];

	snprintf(what, sizeof(what), c.second ? "%02d:%02d:%02d" : "%02d:%02d", c.hour, c.minute,
		 c.second);
	if (instants->n == 0)
		snprintf(when->note, sizeof(when->note),
			 "%s does not exist on %04d-%02d-%02d in %s, where clocks are put forward "
			 "by %.40s: "
			 "moved to %.100s",
			 what, (int)c.year, c.month, c.day, when->zone,
			 when_span(instants->gap_s * WHEN_SECOND).s, first.s);
	else
		snprintf(when->note, sizeof(when->note),
			 "%s comes twice on %04d-%02d-%02d in %s: taken is the %s, %.100s; the %s "
			 "is %.100s",
			 what, (int)c.year, c.month, c.day, when->zone, index ? "second" : "first",
			 index ? second.s : first.s, index ? "first" : "second",
			 index ? first.s : second.s);
}

static int
in_bounds(const struct scan *scan, const char *at, int64_t us)
{
	if (us < 0 || us > LAST_US)
		return fail(scan, at, "years go from %d to %d, such as 2030-01-31 02:00",
			    FIRST_YEAR, LAST_YEAR);
	return 0;
}

static int
wrong_side(const struct scan *scan, const char *at, int64_t us)
{
	if (scan->past)
		return fail(
		    scan, at,
		    "that is still ahead, %.80s; write a time that has passed, such as 2h ago",
		    when_distance(us, scan->now_us).s);
	return fail(scan, at,
		    "that has passed, %.80s; write a time that is ahead, such as tomorrow 02:00",
		    when_distance(us, scan->now_us).s);
}

/* The instant of one wall time that was taken, with its note. */
static int
take(const struct scan *scan, const char *at, const struct calendar_instants *instants, int index,
     int64_t wall_s, int64_t fraction_us, struct when *ret)
{
	int64_t us = instants->utc_s[index] * WHEN_SECOND + fraction_us;

	if (in_bounds(scan, at, us) < 0)
		return -EINVAL;
	ret->at_us = us;
	ret->note[0] = '\0';
	if (instants->n == 2 || (instants->n == 0 && instants->gap_s > 0))
		put_note(ret, instants, index, wall_s, fraction_us);
	return 0;
}

static int
refuse_offset(const struct scan *scan, const struct wall *wall, int64_t day)
{
	int64_t utc_s = day * CALENDAR_DAY + wall->second - wall->offset;
	char has[24];

	put_offset(has, sizeof(has), calendar_offset(wall->zone, utc_s));
	return fail(scan, wall->offset_at, "%s has the offset %s then: write that time as %.100s",
		    wall->zone, has, local_s(utc_s, wall->fraction_us, wall->zone).s);
}

/* The zone has to have an explicit offset at that moment; with a gap as the answer, N is 0 and
 * there is no offset. */
static bool
impossible(const struct wall *wall, const struct calendar_instants *instants)
{
	return wall->has_offset && instants->n == 0;
}

/* A wall time on one known day. */
static int
resolve_on(const struct scan *scan, const char *at, const struct wall *wall, int64_t day,
	   struct when *ret)
{
	struct calendar_instants instants = instants_of(scan, wall, day);
	int64_t us = 0;

	if (impossible(wall, &instants))
		return refuse_offset(scan, wall, day);
	for (int i = 0; i < (instants.n ? instants.n : 1); i++) {
		us = instants.utc_s[i] * WHEN_SECOND + wall->fraction_us;
		if (scan->past ? us <= scan->now_us : us >= scan->now_us)
			return take(scan, at, &instants, i, day * CALENDAR_DAY + wall->second,
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
		struct calendar_instants instants;
		int n;

		if (wall->day == DAY_WEEKDAY &&
		    calendar_civil(day * CALENDAR_DAY).weekday != wall->weekday)
			continue;
		instants = instants_of(scan, wall, day);
		if (impossible(wall, &instants))
			continue;
		n = instants.n ? instants.n : 1;
		for (int i = scan->past ? n - 1 : 0; i >= 0 && i < n; i += step) {
			int64_t us = instants.utc_s[i] * WHEN_SECOND + wall->fraction_us;

			if (scan->past ? us <= scan->now_us : us > scan->now_us)
				return take(scan, at, &instants, i,
					    day * CALENDAR_DAY + wall->second, wall->fraction_us,
					    ret);
		}
	}
	return refuse_offset(scan, wall, today + 1);
}

static int
resolve(const struct scan *scan, const char *at, const struct wall *wall, struct when *ret)
{
	struct when when = {0};
	int64_t now_s = floor_s(scan->now_us);
	bool fixed_clock = wall->has_offset && !wall->zone[0];
	int64_t today;
	int r;

	snprintf(when.zone, sizeof(when.zone), "%s", wall_zone(scan, wall));
	now_s += fixed_clock ? wall->offset : calendar_offset(when.zone, now_s);
	today = floor_div(now_s, CALENDAR_DAY);
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
	if (r == 0)
		*ret = when;
	return r;
}

/* ---- the forms */

/* Now and a span: days move the calendar and keep the time of the day, then the rest elapses. */
static int
resolve_span(const struct scan *scan, const char *at, const struct span *span, const char *zone,
	     struct when *ret)
{
	int64_t sign = scan->past ? -1 : 1, now_s = floor_s(scan->now_us), wall_s;
	struct when when = {.at_us = scan->now_us, .relative = !span->days && !scan->past};
	struct calendar_instants instants;
	int64_t fraction_us = scan->now_us - now_s * WHEN_SECOND;

	snprintf(when.zone, sizeof(when.zone), "%s", zone);
	if (span->days) {
		wall_s = now_s + calendar_offset(zone, now_s) + sign * span->days * CALENDAR_DAY;
		if (in_bounds(scan, at, wall_s * WHEN_SECOND) < 0)
			return -EINVAL;
		instants = calendar_instants(zone, wall_s);
		if (take(scan, at, &instants, 0, wall_s, fraction_us, &when) < 0)
			return -EINVAL;
	}
	when.at_us += sign * span->elapsed_us;
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
	skip_spaces(scan);
	if (*scan->p)
		r = read_zone(scan, zone);
	return r < 0 ? r : at_end(scan);
}

/* At '+', or at the digits of a span that counts back. */
static int
parse_span(struct scan *scan, const char *start, struct when *ret)
{
	char zone[WHEN_ZONE_MAX];
	struct span span;
	int r = read_span(scan, &span);

	if (r < 0)
		return r;
	if (scan->past && says(scan->p, letters(scan->p), "ago"))
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
	size_t n = digits(scan->p);
	int64_t s = 0, us;

	if (n < 1)
		return fail(scan, scan->p,
			    "behind @ stand seconds since 1970, such as @1893456000");
	if (n > 12)
		return fail(scan, scan->p,
			    "that is after the year %d: behind @ stand seconds since 1970, such as "
			    "@1893456000",
			    LAST_YEAR);
	for (size_t i = 0; i < n; i++)
		s = s * 10 + (*scan->p++ - '0');
	if (read_fraction(scan, &us) < 0 || read_last_zone(scan, when.zone) < 0)
		return -EINVAL;
	when.at_us = s * WHEN_SECOND + us;
	if (in_bounds(scan, start, when.at_us) < 0)
		return -EINVAL;
	if (scan->past ? when.at_us > scan->now_us : when.at_us < scan->now_us)
		return wrong_side(scan, start, when.at_us);
	*ret = when;
	return 0;
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
		skip_spaces(scan);
	if (!*scan->p && !joined) {
		if (scan->past)
			return resolve(scan, start, wall, ret);
		return fail(scan, end, "a day needs a time, such as %.*s 02:00", (int)(end - start),
			    start);
	}
	if (!joined && scan->p == end)
		return fail(scan, end,
			    "a day and its time are parted by a space, such as %.*s 02:00",
			    (int)(end - start), start);
	if (read_time(scan, wall) < 0 || read_suffix(scan, wall) < 0)
		return -EINVAL;
	return resolve(scan, start, wall, ret);
}

static int
parse_time(struct scan *scan, struct when *ret)
{
	const char *start = scan->p;
	struct wall wall = {0};
	int r;

	r = read_time(scan, &wall);
	if (r < 0)
		return r;
	skip_spaces(scan);
	if (fixed(scan->p, 4) >= 0 && scan->p[4] == '-')
		return fail(scan, scan->p, "the day stands before the time, such as %.10s 02:00",
			    scan->p);
	r = read_suffix(scan, &wall);
	return r < 0 ? r : resolve(scan, start, &wall, ret);
}

/* A date, a time, or digits that are neither. */
static int
parse_digits(struct scan *scan, struct when *ret)
{
	const char *start = scan->p, *after;
	size_t n = digits(start), word;
	struct wall wall = {0};

	if (n == 4 && start[4] == '-')
		return read_date(scan, &wall) < 0 ? -EINVAL
						  : parse_after_day(scan, start, &wall, ret);
	if (start[n] == ':')
		return parse_time(scan, ret);
	after = start + n + strspn(start + n, " \t");
	word = letters(after);
	if (word && scan->past)
		return parse_span(scan, start, ret);
	if (word && find_unit(after, word))
		return fail(scan, start, "a span from now begins with +, such as +2h30min");
	if (word && (says(after, word, "am") || says(after, word, "pm")))
		return fail(scan, after,
			    "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	return fail(scan, start,
		    "a number alone is neither a time nor a span: write one such as 02:00 or +2h");
}

static int
parse_word(struct scan *scan, struct when *ret)
{
	const char *start = scan->p;
	size_t n = letters(start);
	struct when when = {.at_us = scan->now_us};
	struct wall wall = {0};

	if (read_day_word(scan, &wall))
		return parse_after_day(scan, start, &wall, ret);
	if (says(start, n, "now")) {
		scan->p += n;
		if (read_last_zone(scan, when.zone) < 0)
			return -EINVAL;
		*ret = when;
		return 0;
	}
	if (says(start, n, "in"))
		return fail(scan, start, "a span from now begins with +, such as +2h30min");
	if (says(start, n, "noon") || says(start, n, "midnight"))
		return fail(scan, start, "hours are written in digits, such as tomorrow %s",
			    says(start, n, "noon") ? "12:00" : "00:00");
	return fail(
	    scan, start,
	    "that is no time: write one such as 02:00, tomorrow 02:00, fri 22:00 or +2h30min");
}

static int
parse(struct scan *scan, struct when *ret)
{
	const char *start;

	skip_spaces(scan);
	start = scan->p;
	if (!*start)
		return fail(scan, start,
			    "a time is expected, such as now, 02:00, tomorrow 02:00 or +2h30min");
	if (*start == '@')
		return parse_epoch(scan, ret);
	if ((*start == '+' && !scan->past) || (*start == '-' && scan->past)) {
		scan->p++;
		return parse_span(scan, start, ret);
	}
	if (*start == '+')
		return fail(scan, start,
			    "that is still ahead; a span counts back here, such as 2h ago");
	if (*start == '-')
		return fail(scan, start,
			    "that has passed; a span from now begins with +, such as +2h30min");
	if (is_digit(*start))
		return parse_digits(scan, ret);
	return parse_word(scan, ret);
}

static int
parse_text(const char *text, int64_t now_us, const char *zone, bool past, struct when *ret,
	   struct err *err)
{
	struct scan scan = {"time", text, text, now_us, zone, past, err};

	if (strnlen(text, WHEN_TEXT_MAX) >= WHEN_TEXT_MAX)
		return fail(&scan, text,
			    "a time is no text as long as this: write one such as tomorrow 02:00");
	if (!calendar_zone_valid(zone))
		return fail(&scan, text,
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

/* ---- the zone of this process */

bool
when_zone_valid(const char *zone)
{
	return calendar_zone_valid(zone);
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
	if (!calendar_zone_valid(s))
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
