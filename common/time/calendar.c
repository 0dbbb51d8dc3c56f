/* SPDX-License-Identifier: ISC */
/*
 * Text → recurring time. A part of it, such as the hours "9..17/2,22", becomes a set of values;
 * both grammars and all shorthands end in the same sets, so that nothing else knows how they were
 * written. What is refused names the column and an example, as everywhere in scan.h.
 */
#include "common/time/calendar.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "common/names.h"
#include "common/scan.h"
#include "common/time/zone.h"

#define WHOLE_EXAMPLE "Mon..Fri 02:00 Europe/Berlin"
#define CRON_EXAMPLE  "0 2 * * 1-5"

/* The values FIRST to LAST as a set. */
#define SET(first, last) (((UINT64_C(2) << (last)) - 1) & ~((UINT64_C(1) << (first)) - 1))
#define MONTHS		 ((uint32_t)SET(1, 12))
#define MONTH_DAYS	 ((uint32_t)SET(1, 31))
#define WEEKDAYS	 ((uint32_t)SET(0, 6))

/* What one part of an expression counts, and how it is written. */
struct part {
	const char *what, *range; /* range: what stands between the ends of one */
	int first, last;
	const char *const *names; /* of FIRST and those that follow; NULL if it has none */
	const char *example;
};

static const char *const month_names[] = {"january",  "february", "march",  "april",	 "may",
					  "june",     "july",	  "august", "september", "october",
					  "november", "december", NULL};
/* Names of days begin with Sunday in a crontab and with Monday in systemd. */
static const char *const day_names[] = {"sunday", "monday",   "tuesday", "wednesday", "thursday",
					"friday", "saturday", "sunday",	 NULL};

static const struct part event_weekday = {"days", "..", 1, 7, day_names + 1, "Mon..Fri 02:00"};
static const struct part event_year = {"years",	       "..", SCAN_FIRST_YEAR,
				       SCAN_LAST_YEAR, NULL, "2030-01-31 02:00"};
static const struct part event_month = {"months", "..", 1, 12, NULL, "*-01,07-01 02:00"};
static const struct part event_day = {"days of a month", "..", 1, 31, NULL, "*-*-01 02:00"};
static const struct part event_hour = {"hours", "..", 0, 23, NULL, "02:00"};
static const struct part event_minute = {"minutes", "..", 0, 59, NULL, "*:00/15"};
static const struct part event_second = {"seconds", "..", 0, 59, NULL, "02:00:30"};

enum { CRON_MINUTE, CRON_HOUR, CRON_DAY, CRON_MONTH, CRON_WEEKDAY, CRON_FIELDS };
static const struct part cron_parts[CRON_FIELDS] = {
    {"minutes", "-", 0, 59, NULL, "*/15 * * * *"},
    {"hours", "-", 0, 23, NULL, "0 2,14 * * *"},
    {"days of the month", "-", 1, 31, NULL, "0 2 1 * *"},
    {"months", "-", 1, 12, month_names, "0 2 1 jan,jul *"},
    {"days of the week", "-", 0, 7, day_names, CRON_EXAMPLE},
};

/* ---- lists: "1,3", "9..17/2", "*", each item being values FIRST to LAST, STEP apart */

struct item {
	int first, last, step;
	bool from_end; /* the steps count down from LAST */
};

/* Three letters or more of a name, in any case; -1 for anything else. */
static int
find_name(const struct part *part, const char *s, size_t n)
{
	for (int i = 0; part->names && part->names[i]; i++)
		if (n >= 3 && n <= strlen(part->names[i]) && !strncasecmp(part->names[i], s, n))
			return part->first + i;
	return -1;
}

static int
refuse_value(const struct scan *scan, const struct part *part)
{
	const char *s = scan->p;

	if (part->names && part == &event_weekday)
		return scan_fail(scan, s, "a day of the week is expected here, such as %s",
				 part->example);
	if (*s == '?' || *s == 'L' || *s == 'W' || *s == '#')
		return scan_fail(scan, s,
				 "that is not of crontab(5); the last day of each month is written "
				 "*-*~01 02:00, its first Monday such as Mon *-*-01..07 02:00");
	if (*s == ' ' || *s == '\t')
		return scan_fail(scan, s, "a list has no blanks in it, such as %s", part->example);
	return scan_fail(scan, s, "a number is expected here, one of the %s, such as %s",
			 part->what, part->example);
}

static int
read_value(struct scan *scan, const struct part *part, int *ret)
{
	const char *s = scan->p;
	size_t n = scan_letters(s);
	int value = find_name(part, s, n);

	if (value < 0) {
		n = scan_digits(s);
		if (n == 0 || part == &event_weekday)
			return refuse_value(scan, part);
		if (part == &event_year && n != 4)
			return scan_fail(scan, s, "a year has four digits, such as %s",
					 part->example);
		value = n <= 4 ? scan_fixed(s, n) : -1;
		if (value < part->first || value > part->last)
			return scan_fail(scan, s, "%s go from %d to %d, such as %s", part->what,
					 part->first, part->last, part->example);
	}
	scan->p += n;
	*ret = value;
	return 0;
}

static int
read_range_end(struct scan *scan, const struct part *part, struct item *item)
{
	const char *s = scan->p;

	if (read_value(scan, part, &item->last) < 0)
		return -EINVAL;
	/* Sunday is also 7, whatever it is called. */
	if (part == &cron_parts[CRON_WEEKDAY] && item->last == 0 && item->first > 0)
		item->last = 7;
	if (item->last >= item->first)
		return 0;
	if (part == &event_weekday)
		return scan_fail(scan, s,
				 "a week goes from Mon to Sun; days over its end are two ranges, "
				 "such as Fri..Sun,Mon 02:00");
	return scan_fail(scan, s,
			 "a range goes from the smaller number to the larger, such as %d%s%d",
			 item->last, part->range, item->first);
}

/* Behind '/'. */
static int
read_step(struct scan *scan, const struct part *part, bool single, struct item *item)
{
	const char *s = scan->p;
	size_t n = scan_digits(s);
	int step = n >= 1 && n <= 4 ? scan_fixed(s, n) : -1;

	if (n == 0)
		return scan_fail(scan, s, "behind / stands a step, such as %s",
				 part->range[0] == '-' ? "*/15 * * * *" : "*:00/15");
	if (single && part->range[0] == '-')
		return scan_fail(scan, s - 1, "a step goes with * or a range, such as %d-%d/%d",
				 item->first, part->last, step > 0 ? step : 1);
	if (single && item->from_end)
		item->first = part->first;
	else if (single)
		item->last = part->last;
	if (step < 1 || (step > 1 && item->first + step > item->last))
		return scan_fail(scan, s,
				 "that step leads to no second one of the %s; write each, such as "
				 "%s",
				 part->what, part->example);
	item->step = step;
	scan->p += n;
	return 0;
}

static int
read_item(struct scan *scan, const struct part *part, bool from_end, struct item *ret)
{
	struct item item = {part->first, part->last, 1, from_end};
	bool star = *scan->p == '*' && part != &event_weekday && !from_end, single = false;

	if (star && part == &event_year && scan->p[1] == '/')
		return scan_fail(scan, scan->p,
				 "a step of years needs its first one, such as 2030/2-01-31 02:00");
	if (star)
		scan->p++;
	else if (read_value(scan, part, &item.first) < 0)
		return -EINVAL;
	if (!star && !strncmp(scan->p, part->range, strlen(part->range))) {
		scan->p += strlen(part->range);
		if (read_range_end(scan, part, &item) < 0)
			return -EINVAL;
	} else if (!star && part == &event_weekday && *scan->p == '-') {
		scan->p++; /* as systemd takes it */
		if (read_range_end(scan, part, &item) < 0)
			return -EINVAL;
	} else if (!star) {
		item.last = item.first;
		single = true;
	}
	if (*scan->p == '/' && part != &event_weekday) {
		scan->p++;
		if (read_step(scan, part, single, &item) < 0)
			return -EINVAL;
	}
	*ret = item;
	return 0;
}

static void
add_item(const struct item *item, uint64_t *set)
{
	if (item->from_end)
		for (int i = item->last; i >= item->first; i -= item->step)
			*set |= UINT64_C(1) << i;
	else
		for (int i = item->first; i <= item->last; i += item->step)
			*set |= UINT64_C(1) << i;
}

static int
read_set(struct scan *scan, const struct part *part, bool from_end, uint64_t *ret)
{
	uint64_t set = 0;

	for (;;) {
		struct item item;

		if (read_item(scan, part, from_end, &item) < 0)
			return -EINVAL;
		add_item(&item, &set);
		if (*scan->p != ',')
			break;
		scan->p++;
	}
	*ret = set;
	return 0;
}

/* The same for 32 bits of it. */
static int
read_small_set(struct scan *scan, const struct part *part, uint32_t *ret)
{
	uint64_t set;

	if (read_set(scan, part, false, &set) < 0)
		return -EINVAL;
	*ret = (uint32_t)set;
	return 0;
}

static int
read_years(struct scan *scan, struct calendar *calendar)
{
	bool all = false;

	for (;; scan->p++) {
		struct item item;

		if (calendar->nyears == CALENDAR_YEARS_MAX)
			return scan_fail(scan, scan->p,
					 "more than %d items of years; write a range, such as "
					 "2030..2040-01-31 02:00",
					 CALENDAR_YEARS_MAX);
		if (read_item(scan, &event_year, false, &item) < 0)
			return -EINVAL;
		all |=
		    item.first == SCAN_FIRST_YEAR && item.last == SCAN_LAST_YEAR && item.step == 1;
		/* The last one that a step reaches: the same years are written in one way. */
		if (item.last != SCAN_LAST_YEAR)
			item.last -= (item.last - item.first) % item.step;
		calendar->years[calendar->nyears++] =
		    (struct calendar_years){item.first, item.last, item.step};
		if (*scan->p != ',')
			break;
	}
	if (all) {
		memset(calendar->years, 0, sizeof(calendar->years));
		calendar->nyears = 0;
	}
	return 0;
}

/* ---- calendar events */

static const struct calendar daily = {.seconds = 1,
				      .minutes = 1,
				      .hours = 1,
				      .months = MONTHS,
				      .days = MONTH_DAYS,
				      .weekdays = WEEKDAYS};

/* Where the two grammars have the same word, they may mean different days. */
static const struct shorthand {
	const char *name;
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;
} shorthands[] =
    {
	{"minutely", SET(0, 59), SET(0, 23), MONTH_DAYS, MONTHS, WEEKDAYS},
	{"hourly", 1, SET(0, 23), MONTH_DAYS, MONTHS, WEEKDAYS},
	{"daily", 1, 1, MONTH_DAYS, MONTHS, WEEKDAYS},
	{"weekly", 1, 1, MONTH_DAYS, MONTHS, SET(1, 1)},
	{"monthly", 1, 1, SET(1, 1), MONTHS, WEEKDAYS},
	{"quarterly", 1, 1, SET(1, 1), SET(1, 1) | SET(4, 4) | SET(7, 7) | SET(10, 10), WEEKDAYS},
	{"semiannually", 1, 1, SET(1, 1), SET(1, 1) | SET(7, 7), WEEKDAYS},
	{"yearly", 1, 1, SET(1, 1), SET(1, 1), WEEKDAYS},
	{"annually", 1, 1, SET(1, 1), SET(1, 1), WEEKDAYS},
},
  cron_shorthands[] = {
      {"hourly", 1, SET(0, 23), MONTH_DAYS, MONTHS, WEEKDAYS},
      {"daily", 1, 1, MONTH_DAYS, MONTHS, WEEKDAYS},
      {"midnight", 1, 1, MONTH_DAYS, MONTHS, WEEKDAYS},
      {"weekly", 1, 1, MONTH_DAYS, MONTHS, SET(0, 0)},
      {"monthly", 1, 1, SET(1, 1), MONTHS, WEEKDAYS},
      {"yearly", 1, 1, SET(1, 1), SET(1, 1), WEEKDAYS},
      {"annually", 1, 1, SET(1, 1), SET(1, 1), WEEKDAYS},
};

static bool
read_shorthand(struct scan *scan, const struct shorthand *table, size_t n,
	       struct calendar *calendar)
{
	size_t letters = scan_letters(scan->p);

	for (size_t i = 0; i < n; i++) {
		if (!scan_says(scan->p, letters, table[i].name))
			continue;
		calendar->seconds = 1;
		calendar->minutes = table[i].minutes;
		calendar->hours = table[i].hours;
		calendar->days = table[i].days;
		calendar->months = table[i].months;
		calendar->weekdays = table[i].weekdays;
		scan->p += letters;
		return true;
	}
	return false;
}

/* A word that begins an expression and is neither a day nor a shorthand. */
static int
refuse_word(const struct scan *scan)
{
	const char *names[ARRAY_SIZE(shorthands)], *s = scan->p, *near = NULL;
	size_t n = scan_letters(s);
	char word[24] = "";
	struct scan ahead = *scan;
	struct wall day;

	if (scan_day_word(&ahead, &day) || scan_says(s, n, "now"))
		return scan_fail(scan, s,
				 "that is one day and does not come again; a recurring time is "
				 "such as *-*-* 02:00, or " WHOLE_EXAMPLE);
	if (n < sizeof(word))
		memcpy(word, s, n);
	for (size_t i = 0; i < ARRAY_SIZE(shorthands); i++)
		names[i] = shorthands[i].name;
	if (word[0])
		near = names_suggest(word, names, ARRAY_SIZE(names));
	return scan_fail(scan, s,
			 "neither a day nor a word such as daily: write a recurring time such as "
			 "%s",
			 near ? near : WHOLE_EXAMPLE);
}

/* "Mon..Fri,Sun" */
static int
read_weekdays(struct scan *scan, struct calendar *calendar)
{
	uint32_t set;

	if (find_name(&event_weekday, scan->p, scan_letters(scan->p)) < 0)
		return refuse_word(scan);
	if (read_small_set(scan, &event_weekday, &set) < 0)
		return -EINVAL;
	calendar->weekdays = (set | set >> 7) & WEEKDAYS; /* there Sunday is 7 */
	if (*scan->p && *scan->p != ' ' && *scan->p != '\t')
		return scan_fail(scan, scan->p,
				 "behind the days of the week stands a blank, such as "
				 "Mon..Fri 02:00");
	return 0;
}

/* The character that tells what a word of digits is: '-' or '~' in a date, ':' in a time; 0 for
 * neither. */
static char
word_kind(const char *s)
{
	if (!scan_is_digit(*s) && *s != '*')
		return '\0';
	s += strcspn(s, ":-~ \t");
	return *s == ' ' || *s == '\t' ? '\0' : *s;
}

static bool
is_date(const char *s)
{
	char kind = word_kind(s);

	return kind == '-' || kind == '~';
}

/* Does any of the months have such a day? Else the mistake is one of typing, not of the calendar's
 * luck. */
static bool
has_days(const struct calendar *calendar)
{
	for (int month = 1; month <= 12; month++) {
		uint32_t all = (uint32_t)SET(1, zone_month_length(2000, month));

		if ((calendar->months >> month & 1) && ((calendar->days | calendar->last) & all))
			return true;
	}
	return false;
}

static int
read_days(struct scan *scan, struct calendar *calendar)
{
	bool from_end = *scan->p == '~';
	const char *s = ++scan->p;
	uint64_t set;

	if (read_set(scan, &event_day, from_end, &set) < 0)
		return -EINVAL;
	calendar->days = from_end && set != MONTH_DAYS ? 0 : (uint32_t)set;
	calendar->last = from_end && set != MONTH_DAYS ? (uint32_t)set : 0;
	if (!has_days(calendar))
		return scan_fail(
		    scan, s,
		    "no such month has that day; the last day of each is *-*~01 02:00, "
		    "and one that all have is such as *-*-28 02:00");
	return 0;
}

static int
refuse_date(const struct scan *scan, const char *at)
{
	if (*at == ':')
		return scan_fail(scan, at, "a range of hours has two dots, such as 9..17:30");
	return scan_fail(scan, at,
			 "a date is year-month-day or month-day, with * for all, such as "
			 "*-*-01 02:00, and *-*~01 02:00 for the last day of a month");
}

/* "*-*-01", "2030-01-31", "12-24", "*-*~01" */
static int
read_date(struct scan *scan, struct calendar *calendar)
{
	const char *start = scan->p, *s = start + strcspn(start, "-~ \t");
	bool year = *s == '-' && *(s += 1 + strcspn(s + 1, "-~: \t")) && (*s == '-' || *s == '~');

	if (year) {
		if (read_years(scan, calendar) < 0)
			return -EINVAL;
		if (*scan->p != '-')
			return refuse_date(scan, scan->p);
		scan->p++;
	}
	if (!year && scan_digits(start) == 4)
		return refuse_date(scan, start);
	if (read_small_set(scan, &event_month, &calendar->months) < 0)
		return -EINVAL;
	if (*scan->p != '-' && *scan->p != '~')
		return refuse_date(scan, scan->p);
	if (read_days(scan, calendar) < 0)
		return -EINVAL;
	if ((*scan->p == 'T' || *scan->p == 't') && word_kind(scan->p + 1) == ':') {
		scan->p++;
		return 0;
	}
	if (*scan->p && *scan->p != ' ' && *scan->p != '\t')
		return refuse_date(scan, scan->p);
	return 0;
}

/* "02:00", "*:00/15", "9..17:30:00" */
static int
read_time(struct scan *scan, struct calendar *calendar)
{
	if (read_small_set(scan, &event_hour, &calendar->hours) < 0)
		return -EINVAL;
	if (*scan->p != ':')
		return scan_fail(scan, scan->p, "behind the hours stands a colon, such as 02:00");
	scan->p++;
	if (read_set(scan, &event_minute, false, &calendar->minutes) < 0)
		return -EINVAL;
	if (*scan->p != ':')
		return 0;
	scan->p++;
	if (read_set(scan, &event_second, false, &calendar->seconds) < 0)
		return -EINVAL;
	if (*scan->p == '.')
		return scan_fail(scan, scan->p,
				 "recurring times are whole seconds, such as 02:00:30");
	return 0;
}

/* At a word of digits and stars that is neither a date nor a time. */
static int
refuse_number(const struct scan *scan)
{
	size_t n = scan_digits(scan->p), blanks = strspn(scan->p + n, " \t");
	const char *after = scan->p + n + blanks;

	if (scan_says(after, scan_letters(after), "am") ||
	    scan_says(after, scan_letters(after), "pm"))
		return scan_fail(scan, after,
				 "the clock has 24 hours: write 02:00 or 14:00, without am and pm");
	return scan_fail(scan, scan->p,
			 "neither a date nor a time: write one such as " WHOLE_EXAMPLE
			 ", or the five fields of a crontab such as " CRON_EXAMPLE);
}

/* What may follow both grammars: a zone, and the end. */
static int
read_zone(struct scan *scan, struct calendar *calendar)
{
	scan_spaces(scan);
	if (!*scan->p)
		return 0;
	if (*scan->p == '-')
		return scan_fail(scan, scan->p,
				 "a range has two dots, such as 9..17:30, and instead of an offset "
				 "stands a zone, such as " WHOLE_EXAMPLE);
	if (*scan->p == '+')
		return scan_fail(scan, scan->p,
				 "a recurring time follows the clocks of a place: write its zone, "
				 "such as " WHOLE_EXAMPLE);
	if (is_date(scan->p))
		return scan_fail(scan, scan->p,
				 "the date stands before the time, such as *-*-01 02:00");
	if (word_kind(scan->p) == ':')
		return scan_fail(scan, scan->p,
				 "there is a time already; several are a list, such as 02,14:00");
	if (scan_zone(scan, calendar->zone) < 0)
		return -EINVAL;
	scan_spaces(scan);
	if (*scan->p)
		return scan_fail(scan, scan->p,
				 "nothing can follow here; a whole one is such as " WHOLE_EXAMPLE);
	return 0;
}

static int
parse_event(struct scan *scan, struct calendar *calendar)
{
	*calendar = daily;
	if (read_shorthand(scan, shorthands, ARRAY_SIZE(shorthands), calendar))
		return read_zone(scan, calendar);
	if (!scan_is_digit(*scan->p) && *scan->p != '*') {
		if (read_weekdays(scan, calendar) < 0)
			return -EINVAL;
		scan_spaces(scan);
	}
	if (is_date(scan->p)) {
		if (read_date(scan, calendar) < 0)
			return -EINVAL;
		scan_spaces(scan);
	}
	if (word_kind(scan->p) == ':')
		return read_time(scan, calendar) < 0 ? -EINVAL : read_zone(scan, calendar);
	if (scan_is_digit(*scan->p) || *scan->p == '*')
		return refuse_number(scan);
	return read_zone(scan, calendar);
}

/* ---- crontab(5) */

/* Five words or more without a colon, and the first one is no name. */
static bool
is_cron(const char *s)
{
	int words = 0;

	if (!scan_is_digit(*s) && *s != '*')
		return false;
	for (; *s && words < CRON_FIELDS; words++) {
		size_t n = strcspn(s, " \t");

		if (memchr(s, ':', n))
			return false;
		s += n + strspn(s + n, " \t");
	}
	return words == CRON_FIELDS;
}

static int
read_field(struct scan *scan, int field, uint64_t *ret_set, bool *ret_star)
{
	const struct part *part = &cron_parts[field];

	*ret_star = *scan->p == '*';
	if (read_set(scan, part, false, ret_set) < 0)
		return -EINVAL;
	if (*scan->p && *scan->p != ' ' && *scan->p != '\t') {
		if (strchr("?LW#", *scan->p))
			return refuse_value(scan, part);
		return scan_fail(scan, scan->p,
				 "a blank stands behind the field of the %s, such as %s",
				 part->what, part->example);
	}
	scan_spaces(scan);
	return 0;
}

/*
 * A day matches by one of its fields if neither begins with a star, else by both. A field of all
 * days says nothing then: those that remain are what a calendar event can say too.
 */
static int
take_fields(const struct scan *scan, const char *days_at, const uint64_t *sets, const bool *stars,
	    struct calendar *calendar)
{
	calendar->seconds = 1;
	calendar->minutes = sets[CRON_MINUTE];
	calendar->hours = (uint32_t)sets[CRON_HOUR];
	calendar->days = (uint32_t)sets[CRON_DAY];
	calendar->months = (uint32_t)sets[CRON_MONTH];
	calendar->weekdays = (uint32_t)(sets[CRON_WEEKDAY] | sets[CRON_WEEKDAY] >> 7) & WEEKDAYS;
	calendar->either = !stars[CRON_DAY] && !stars[CRON_WEEKDAY];
	if (!has_days(calendar) && !calendar->either)
		return scan_fail(scan, days_at,
				 "no such month has that day; one that all have is such as "
				 "0 2 28 * *");
	if (calendar->either && (calendar->days == MONTH_DAYS || calendar->weekdays == WEEKDAYS)) {
		calendar->either = false;
		calendar->days = MONTH_DAYS;
		calendar->weekdays = WEEKDAYS;
	}
	return 0;
}

static int
parse_cron(struct scan *scan, struct calendar *calendar)
{
	uint64_t sets[CRON_FIELDS];
	bool stars[CRON_FIELDS];
	const char *days_at = NULL;

	for (int i = 0; i < CRON_FIELDS; i++) {
		if (i == CRON_DAY)
			days_at = scan->p;
		if (read_field(scan, i, &sets[i], &stars[i]) < 0)
			return -EINVAL;
	}
	if (scan_is_digit(*scan->p) || *scan->p == '*')
		return scan_fail(scan, scan->p,
				 "a crontab has five fields, without seconds and years, such "
				 "as " CRON_EXAMPLE);
	if (take_fields(scan, days_at, sets, stars, calendar) < 0)
		return -EINVAL;
	return read_zone(scan, calendar);
}

/* "@daily"; other words behind an @ are no times that come again. */
static int
parse_at_word(struct scan *scan, struct calendar *calendar)
{
	const char *start = scan->p++;

	if (read_shorthand(scan, cron_shorthands, ARRAY_SIZE(cron_shorthands), calendar))
		return read_zone(scan, calendar);
	if (scan_is_digit(*scan->p))
		return scan_fail(scan, start,
				 "that is one instant and does not come again; a recurring time is "
				 "such as " WHOLE_EXAMPLE);
	if (scan_says(scan->p, scan_letters(scan->p), "reboot"))
		return scan_fail(scan, start,
				 "a start of the machine is no time; write one such as @daily");
	return scan_fail(
	    scan, start,
	    "behind @ stands hourly, daily, weekly, monthly or yearly, such as @daily");
}

int
calendar_parse(const char *text, struct calendar *ret, struct err *err)
{
	struct scan scan = {.what = "recurring time", .text = text, .p = text, .err = err};
	struct calendar calendar = {0};
	int r;

	if (strnlen(text, CALENDAR_TEXT_MAX) >= CALENDAR_TEXT_MAX)
		return scan_fail(&scan, text,
				 "a recurring time is no text as long as this: write one such as "
				 "" WHOLE_EXAMPLE);
	scan_spaces(&scan);
	if (!*scan.p)
		return scan_fail(&scan, scan.p,
				 "a recurring time is expected, such as " WHOLE_EXAMPLE
				 ", or " CRON_EXAMPLE);
	if (*scan.p == '@')
		r = parse_at_word(&scan, &calendar);
	else if (is_cron(scan.p))
		r = parse_cron(&scan, &calendar);
	else
		r = parse_event(&scan, &calendar);
	if (r == 0)
		*ret = calendar;
	return r;
}
