/* SPDX-License-Identifier: ISC */
/*
 * A text is read by a small hand-written parser over one struct scan: what stands at the cursor is either
 * understood or refused with the column, the reason and an example. A wall time that is understood becomes
 * an instant in one place, resolve(), which knows the hours that clocks skip and repeat.
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

#define MINUTE (60 * WHEN_SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define FIRST_YEAR 1970
#define LAST_YEAR 9999
/* 9999-12-31 00:00 UTC: whatever the zone, the local year has four digits. */
#define LAST_US (INT64_C(253402214400) * WHEN_SECOND)

static const struct unit {
	const char *name;
	int64_t us;
	bool calendar; /* in a WHEN these are days of the calendar, not 24 hours */
} units[] = {
    {"us", 1, false}, {"ms", 1000, false},  {"s", WHEN_SECOND, false}, {"min", MINUTE, false},
    {"h", HOUR, false}, {"d", DAY, true}, {"w", 7 * DAY, true},
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

	snprintf(text.s, sizeof(text.s), "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%06" PRId64 "Z", c.year,
		 c.month, c.day, c.hour, c.minute, c.second, us - s * WHEN_SECOND);
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
    {"d", DAY, HOUR},		  {"h", HOUR, MINUTE}, {"min", MINUTE, WHEN_SECOND},
    {"s", WHEN_SECOND, 1000}, {"ms", 1000, 1},     {"us", 1, 1},
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
	n = snprintf(text.s, sizeof(text.s), "%s%" PRId64 " %s", sign, us / shown[i].us, shown[i].name);
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

static _printf_(3, 4) int
fail(const struct scan *scan, const char *at, const char *format, ...)
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
		return fail(scan, scan->p, "a fraction of a second has one to six digits, such as 02:00:00.5");
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
		return fail(scan, at, "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	if (says(at, n, "m") || says(at, n, "mins") || says(at, n, "minutes") || says(at, n, "minute"))
		return fail(scan, at, "minutes are min, such as 30min");
	if (n == 0 && (*at == '.' || *at == ','))
		return fail(scan, at, "whole numbers only, such as 1h30min for one and a half hours");
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
		return fail(scan, start, "that is longer than all years to come: write a span such as 30d");
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
		return fail(&scan, text, "a span is not that long a text: write one such as 2h30min");
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
