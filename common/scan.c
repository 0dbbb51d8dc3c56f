/* SPDX-License-Identifier: ISC */
/*
 * What stands at the cursor is either understood, and the cursor moves behind it, or refused with
 * the column, the reason and an example that can be typed.
 */
#include "common/scan.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "common/time/zone.h"
#include "common/json.h"

#define DAY_US (ZONE_DAY * WHEN_SECOND)

static const struct unit {
	const char *name;
	int64_t us;
	bool calendar; /* in a WHEN these are days of the calendar, not 24 hours */
} units[] = {
    {"us", 1, false},
    {"ms", 1000, false},
    {"s", WHEN_SECOND, false},
    {"min", 60 * WHEN_SECOND, false},
    {"h", 3600 * WHEN_SECOND, false},
    {"d", DAY_US, true},
    {"w", 7 * DAY_US, true},
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

int
scan_fail(const struct scan *scan, const char *at, const char *format, ...)
{
	char reason[400], text[WHEN_TEXT_MAX + 4];
	_cleanup_free_ char *safe = NULL;
	va_list args;

	if (!scan->err)
		return -EINVAL;
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

bool
scan_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

void
scan_spaces(struct scan *scan)
{
	while (*scan->p == ' ' || *scan->p == '\t')
		scan->p++;
}

size_t
scan_digits(const char *s)
{
	size_t n = 0;

	while (scan_is_digit(s[n]))
		n++;
	return n;
}

size_t
scan_letters(const char *s)
{
	size_t n = 0;

	while (is_letter(s[n]))
		n++;
	return n;
}

/* Does a word of N letters say WORD, in any case? */
bool
scan_says(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

/* Exactly N digits as a number, or -1. */
int
scan_fixed(const char *s, size_t n)
{
	int value = 0;

	if (scan_digits(s) < n)
		return -1;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (s[i] - '0');
	return value;
}

/* ".5" as microseconds; nothing there is 0. */
int
scan_fraction(struct scan *scan, int64_t *ret_us)
{
	int64_t us = 0;
	size_t n;

	*ret_us = 0;
	if (*scan->p != '.')
		return 0;
	n = scan_digits(scan->p + 1);
	if (n < 1 || n > 6)
		return scan_fail(
		    scan, scan->p,
		    "a fraction of a second has one to six digits, such as 02:00:00.5");
	for (size_t i = 0; i < 6; i++)
		us = us * 10 + (i < n ? scan->p[1 + i] - '0' : 0);
	*ret_us = us;
	scan->p += 1 + n;
	return 0;
}

/* ---- spans */

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
	if (scan_says(at, n, "am") || scan_says(at, n, "pm"))
		return scan_fail(scan, at,
				 "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	if (scan_says(at, n, "m") || scan_says(at, n, "mins") || scan_says(at, n, "minutes") ||
	    scan_says(at, n, "minute"))
		return scan_fail(scan, at, "minutes are min, such as 30min");
	if (n == 0 && (*at == '.' || *at == ','))
		return scan_fail(scan, at,
				 "whole numbers only, such as 1h30min for one and a half hours");
	if (n == 0)
		return scan_fail(scan, at,
				 "a number needs a unit (s, min, h, d, w), such as 30min");
	return scan_fail(scan, at, "\"%.*s\" is no unit: write s, min, h, d or w, such as 2h30min",
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

	for (; scan_is_digit(*scan->p); scan->p++)
		over |= __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *scan->p - '0', &value);
	name = scan->p;
	scan_spaces(scan);
	n = scan_letters(scan->p);
	unit = find_unit(scan->p, n);
	if (!unit)
		return refuse_unit(scan, n ? scan->p : name, n);
	scan->p += n;
	over |= __builtin_mul_overflow(value, unit->us, &value);
	if (unit->calendar)
		over |= __builtin_add_overflow(span->days, value / DAY_US, &span->days);
	else
		over |= __builtin_add_overflow(span->elapsed_us, value, &span->elapsed_us);
	if (over || value > SCAN_LAST_US || span->elapsed_us > SCAN_LAST_US ||
	    span->days > SCAN_LAST_US / DAY_US)
		return scan_fail(scan, start,
				 "that is longer than all years to come: write a span such as 30d");
	return 0;
}

/* "2h30min", "6 h 20 min": items as long as there are digits. */
int
scan_span(struct scan *scan, struct span *ret)
{
	struct span span = {0};
	int r;

	if (!scan_is_digit(*scan->p))
		return scan_fail(scan, scan->p,
				 "a number with its unit is expected, such as 2h30min");
	while (scan_is_digit(*scan->p)) {
		r = read_item(scan, &span);
		if (r < 0)
			return r;
		scan_spaces(scan);
	}
	*ret = span;
	return 0;
}

/* ---- a wall time, as it was written */

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
bool
scan_day_word(struct scan *scan, struct wall *wall)
{
	size_t n = scan_letters(scan->p);
	int weekday = find_weekday(scan->p, n);

	if (scan_says(scan->p, n, "today"))
		wall->day = DAY_TODAY;
	else if (scan_says(scan->p, n, "tomorrow"))
		wall->day = DAY_TOMORROW;
	else if (scan_says(scan->p, n, "yesterday"))
		wall->day = DAY_YESTERDAY;
	else if (weekday >= 0) {
		wall->day = DAY_WEEKDAY;
		wall->weekday = weekday;
	} else
		return false;
	scan->p += n;
	return true;
}

const char *
scan_example(const struct scan *scan)
{
	return scan->past ? "2020-01-31 02:00" : "2030-01-31 02:00";
}

/* The last day of that month is proposed, unless it has passed and would be refused, too. */
static int
refuse_day_of_month(const struct scan *scan, const char *at, int year, int month)
{
	int last = zone_month_length(year, month);
	bool passed = zone_days(year, month, last) * ZONE_DAY * WHEN_SECOND <= scan->now_us;

	if (passed && !scan->past)
		return scan_fail(scan, at, "%04d-%02d has %d days; write a date such as %s", year,
				 month, last, scan_example(scan));
	return scan_fail(scan, at,
			 "%04d-%02d has %d days; write a date such as %04d-%02d-%02d 02:00", year,
			 month, last, year, month, last);
}

/* At four digits and '-'. */
int
scan_date(struct scan *scan, struct wall *wall)
{
	const char *s = scan->p;
	int year = scan_fixed(s, 4), month = scan_fixed(s + 5, 2), day;

	/* West of Greenwich the first hours of 1970 still have the date of 1969. */
	if (year < SCAN_FIRST_YEAR - 1)
		return scan_fail(scan, s, "years go from %d to %d, such as %s", SCAN_FIRST_YEAR,
				 SCAN_LAST_YEAR, scan_example(scan));
	if (month < 0 || s[7] != '-' || (day = scan_fixed(s + 8, 2)) < 0 || scan_is_digit(s[10]))
		return scan_fail(scan, s, "a date is year-month-day in digits, such as %s",
				 scan_example(scan));
	if (month < 1 || month > 12)
		return scan_fail(scan, s + 5,
				 "there is no month %02d; a date is year-month-day, such as %s",
				 month, scan_example(scan));
	if (day < 1 || day > zone_month_length(year, month))
		return refuse_day_of_month(scan, s + 8, year, month);
	wall->day = DAY_DATE;
	wall->days = zone_days(year, month, day);
	scan->p += 10;
	return 0;
}

/* "02:00", "2:00", "02:00:30", "02:00:30.5" */
int
scan_time(struct scan *scan, struct wall *wall)
{
	const char *s = scan->p;
	size_t n = scan_digits(s);
	int hour, minute, second = 0;

	if (n < 1 || n > 2 || s[n] != ':')
		return scan_fail(scan, s,
				 "a time of the day is expected here, such as 02:00 or 02:00:30");
	hour = scan_fixed(s, n);
	minute = scan_fixed(s + n + 1, 2);
	if (hour > 23)
		return scan_fail(scan, s, "hours go from 00 to 23, such as %s",
				 hour == 24 ? "00:00 of the next day" : "23:30");
	if (minute < 0 || scan_is_digit(s[n + 3]))
		return scan_fail(scan, s + n + 1, "minutes have two digits, such as 02:00");
	if (minute > 59)
		return scan_fail(scan, s + n + 1, "minutes go from 00 to 59, such as 02:59");
	scan->p += n + 3;
	wall->fraction_us = 0;
	if (*scan->p == ':') {
		second = scan_fixed(scan->p + 1, 2);
		if (second < 0 || scan_is_digit(scan->p[3]))
			return scan_fail(scan, scan->p + 1,
					 "seconds have two digits, such as 02:00:30");
		if (second > 59)
			return scan_fail(scan, scan->p + 1,
					 "seconds go from 00 to 59, such as 02:00:59");
		scan->p += 3;
		if (scan_fraction(scan, &wall->fraction_us) < 0)
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
	int hour = scan_fixed(s + 1, 2), minute, second = 0;
	size_t n = 6;

	if (hour < 0 || s[3] != ':' || (minute = scan_fixed(s + 4, 2)) < 0 || scan_is_digit(s[6]))
		return scan_fail(
		    scan, s,
		    "an offset is hours and minutes, such as 02:00+01:00; a span stands "
		    "alone, such as +2h");
	if (s[6] == ':') {
		second = scan_fixed(s + 7, 2);
		n = 9;
	}
	if (hour > 17 || minute > 59 || second < 0 || second > 59 || scan_is_digit(s[n]))
		return scan_fail(
		    scan, s, "no clock on earth has that offset; write one such as 02:00+01:00");
	wall->has_offset = true;
	wall->offset = (hour * 3600 + minute * 60 + second) * (*s == '-' ? -1 : 1);
	wall->offset_at = s;
	scan->p += n;
	return 0;
}

static bool
is_zone_char(char c)
{
	return is_letter(c) || scan_is_digit(c) || c == '/' || c == '_' || c == '+' || c == '-';
}

/* Why a word behind a time is no zone, in the words of what was probably meant. */
static int
refuse_zone(const struct scan *scan, const char *at, size_t n)
{
	char word[WHEN_ZONE_MAX] = "", meant[WHEN_ZONE_MAX] = "Europe/Berlin";
	struct scan ahead = *scan;
	struct wall day;

	ahead.p = at;
	if (scan_says(at, n, "am") || scan_says(at, n, "pm"))
		return scan_fail(scan, at,
				 "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	if (scan_day_word(&ahead, &day))
		return scan_fail(scan, at, "the day stands before the time, such as %.*s 02:00",
				 (int)n, at);
	if (scan_says(at, n, "ago"))
		return scan_fail(
		    scan, at,
		    scan->past ? "\"ago\" goes with a span, such as 2h ago"
			       : "\"ago\" counts back; write a time that is ahead, such as +2h");
	if (n < sizeof(word))
		memcpy(word, at, n);
	if (scan_letters(word) == n && n > 0 && n <= 5 && !zone_suggest(word, meant, sizeof(meant)))
		return scan_fail(
		    scan, at,
		    "\"%s\" is an abbreviation, and those mean several things; write UTC "
		    "or a place, such as 02:00 Europe/Berlin",
		    word);
	if (!word[0])
		return scan_fail(
		    scan, at,
		    "nothing but a zone can follow, UTC or a place, such as 02:00 Europe/Berlin");
	(void)zone_suggest(word, meant, sizeof(meant));
	return scan_fail(
	    scan, at,
	    "there is no zone \"%s\": UTC and places of the tz database are known, such as "
	    "02:00 %s",
	    word, meant);
}

/* A zone word at the cursor, "UTC" or "Europe/Berlin", into ZONE. */
int
scan_zone(struct scan *scan, char zone[WHEN_ZONE_MAX])
{
	const char *s = scan->p;
	char name[WHEN_ZONE_MAX] = "";
	size_t n = 0;

	while (is_zone_char(s[n]))
		n++;
	if (n < sizeof(name))
		memcpy(name, s, n);
	if (scan_says(s, n, "UTC"))
		memcpy(name, "UTC", 3);
	if (!zone_valid(name))
		return refuse_zone(scan, s, n);
	memcpy(zone, name, sizeof(name));
	scan->p += n;
	return 0;
}

int
scan_end(struct scan *scan)
{
	scan_spaces(scan);
	if (*scan->p)
		return scan_fail(scan, scan->p,
				 "nothing can follow here; a whole time is such as tomorrow 02:00 "
				 "Europe/Berlin");
	return 0;
}

/* What may follow a time: an offset or Z, a zone, both or nothing. */
int
scan_suffix(struct scan *scan, struct wall *wall)
{
	int r = 0;

	scan_spaces(scan);
	if ((*scan->p == 'Z' || *scan->p == 'z') && !is_zone_char(scan->p[1])) {
		wall->has_offset = true;
		wall->offset_at = scan->p++;
		snprintf(wall->zone, sizeof(wall->zone), "UTC");
		return scan_end(scan);
	}
	if (*scan->p == '+' || *scan->p == '-')
		r = read_offset(scan, wall);
	if (r < 0)
		return r;
	scan_spaces(scan);
	if (*scan->p)
		r = scan_zone(scan, wall->zone);
	return r < 0 ? r : scan_end(scan);
}

bool
scan_is_unit(const char *s, size_t n)
{
	return find_unit(s, n) != NULL;
}
