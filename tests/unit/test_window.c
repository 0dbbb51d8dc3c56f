/* SPDX-License-Identifier: ISC */
/*
 * Windows and freezes: what is read and what is refused, openings over the changes of clocks, and a
 * walk over the minutes of a year, which knows nothing but what time(1) would print, as the oracle.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/time/window.h"
#include "common/time/zone.h"
#include "tests/unit/unit.h"

static int64_t
at(const char *text)
{
	struct when when;
	struct err err = ERR_INIT;

	ck_assert_msg(when_parse(text, 0, "UTC", &when, &err) == 0, "%s: %s", text, err.text);
	return when.at_us;
}

/* ---- texts */

static const struct {
	int line;
	const char *text;
	unsigned weekdays;
	int from_s, until_s;
} good[] = {
    {__LINE__, "Mon..Fri 22:00-05:00", 0x3e, 79200, 18000},
    {__LINE__, "22:00-05:00", 0x7f, 79200, 18000},
    {__LINE__, "Sat,Sun", 0x41, 0, 86400},
    {__LINE__, "sat,sun 00:00-24:00", 0x41, 0, 86400},
    {__LINE__, "Mon-Fri 9:30-17:00", 0x3e, 34200, 61200},
    {__LINE__, "Fri..Mon 01:00:30-02:00:15", 0x63, 3630, 7215},
    {__LINE__, " Wednesday  00:00-24:00:00 ", 0x08, 0, 86400},
    {__LINE__, "Sun 22:00-00:00", 0x01, 79200, 0},
};

START_TEST(texts)
{
	struct window window;
	struct err err = ERR_INIT;

	ck_assert_msg(window_parse(good[_i].text, &window, &err) == 0, "line %d: %s", good[_i].line,
		      err.text);
	ck_assert_msg(window.weekdays == good[_i].weekdays && window.from_s == good[_i].from_s &&
			  window.until_s == good[_i].until_s,
		      "line %d: %x %d %d", good[_i].line, window.weekdays, window.from_s,
		      window.until_s);
}
END_TEST

static const struct {
	int line;
	bool freeze;
	const char *text;
	int column;
	const char *says;
} bad[] = {
    {__LINE__, false, "", 1, "a day of the week or a time"},
    {__LINE__, false, "Mon..Fry 22:00-05:00", 6, "a day of the week"},
    {__LINE__, false, "today 22:00-05:00", 1, "a day of the week"},
    {__LINE__, false, "Mon..Fri 22-05", 10, "a time of the day"},
    {__LINE__, false, "Mon 22:00", 10, "stands -"},
    {__LINE__, false, "Mon 22:00 - 05:00", 10, "without blanks"},
    {__LINE__, false, "Mon 22:00-25:00", 11, "hours go from"},
    {__LINE__, false, "Mon 24:00-05:00", 5, "hours go from"},
    {__LINE__, false, "Mon 05:00-05:00", 11, "a whole day is 00:00-24:00"},
    {__LINE__, false, "22:00-05:00 Europe/Berlin", 13, "key zone"},
    {__LINE__, false, "Mon22:00-05:00", 4, "a blank"},
    {__LINE__, false, "22:00:00.5-05:00", 1, "fractions"},
    {__LINE__, true, "", 1, "a date is expected"},
    {__LINE__, true, "2026-12-20", 11, "stands /"},
    {__LINE__, true, "2026-12-20/2026-12-19", 12, "behind its beginning"},
    {__LINE__, true, "2026-12-20/2026-12-32", 20, "has 31 days"},
    {__LINE__, true, "2026-13-20/2026-12-31", 6, "no month 13"},
    {__LINE__, true, "2026-12-20/2027-01-02 year end", 23, "stands in quotes"},
    {__LINE__, true, "2026-12-20/2027-01-02 \"year end", 23, "stands in quotes"},
    {__LINE__, true, "2026-12-20/2027-01-02 \"\"", 23, "1 to 63 bytes"},
    {__LINE__, true, "2026-12-20/2027-01-02 \"a\" b", 27, "nothing can follow"},
    {__LINE__, true, "12-20/01-02", 1, "a date is expected"},
};

START_TEST(refused)
{
	struct window window;
	struct freeze freeze;
	struct err err = ERR_INIT;
	int r = bad[_i].freeze ? freeze_parse(bad[_i].text, &freeze, &err)
			       : window_parse(bad[_i].text, &window, &err);

	ck_assert_msg(r < 0, "line %d: taken", bad[_i].line);
	ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "line %d: %s", bad[_i].line,
		      err.text);
	ck_assert_msg(json_integer_value(json_object_get(err.fields, "column")) == bad[_i].column,
		      "line %d: %s", bad[_i].line, err.text);
	err_clear(&err);
}
END_TEST

/* ---- openings, by hand */

struct set {
	struct windows windows;
	struct window window[4];
	struct freeze freeze[4];
};

/* TEXT: windows, then freezes behind "|", each parted by ';'. */
static void
set_up(struct set *set, const char *zone, const char *text)
{
	char copy[300], *rest = copy, *one;
	bool freezes = false;
	struct err err = ERR_INIT;

	memset(set, 0, sizeof(*set));
	snprintf(set->windows.zone, sizeof(set->windows.zone), "%s", zone);
	set->windows.windows = set->window;
	set->windows.freezes = set->freeze;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((one = strsep(&rest, ";"))) {
		if (*one == '|') {
			freezes = true;
			one++;
		}
		if (!*one)
			continue;
		if (freezes)
			ck_assert_msg(freeze_parse(one, &set->freeze[set->windows.nfreezes++],
						   &err) == 0,
				      "%s", err.text);
		else
			ck_assert_msg(window_parse(one, &set->window[set->windows.nwindows++],
						   &err) == 0,
				      "%s", err.text);
	}
}

/* NEXT: when it opens (closed now) or closes (open now); "" for never. */
static const struct {
	int line;
	const char *zone, *text, *at;
	bool open;
	const char *next, *freeze;
} looks[] = {
    {__LINE__, "Europe/Berlin", "Mon..Fri 22:00-05:00", "2026-11-23T20:59:59Z", false,
     "2026-11-23T21:00:00Z", NULL},
    {__LINE__, "Europe/Berlin", "Mon..Fri 22:00-05:00", "2026-11-23T21:00:00Z", true,
     "2026-11-24T04:00:00Z", NULL},
    {__LINE__, "Europe/Berlin", "Mon..Fri 22:00-05:00", "2026-11-28T03:00:00Z", true,
     "2026-11-28T04:00:00Z", NULL},
    {__LINE__, "Europe/Berlin", "Mon..Fri 22:00-05:00", "2026-11-28T21:30:00Z", false,
     "2026-11-30T21:00:00Z", NULL},
    /* The clocks go forward on 2027-03-28 at 01:00 UTC: the night is an hour shorter; and back on
       2027-10-31. */
    {__LINE__, "Europe/Berlin", "22:00-05:00", "2027-03-27T21:00:00Z", true, "2027-03-28T03:00:00Z",
     NULL},
    {__LINE__, "Europe/Berlin", "22:00-05:00", "2027-10-30T20:00:00Z", true, "2027-10-31T04:00:00Z",
     NULL},
    /* An end that is skipped is passed at the change, a beginning likewise; a window inside does
       not come that day. */
    {__LINE__, "Europe/Berlin", "22:00-02:30", "2027-03-28T00:30:00Z", true, "2027-03-28T01:00:00Z",
     NULL},
    {__LINE__, "Europe/Berlin", "02:30-05:00", "2027-03-28T00:30:00Z", false,
     "2027-03-28T01:00:00Z", NULL},
    {__LINE__, "Europe/Berlin", "02:15-02:45", "2027-03-28T00:30:00Z", false,
     "2027-03-29T00:15:00Z", NULL},
    /* What comes twice is open twice. */
    {__LINE__, "Europe/Berlin", "22:00-02:30", "2027-10-31T00:10:00Z", true, "2027-10-31T00:30:00Z",
     NULL},
    {__LINE__, "Europe/Berlin", "22:00-02:30", "2027-10-31T00:40:00Z", false,
     "2027-10-31T01:00:00Z", NULL},
    {__LINE__, "Europe/Berlin", "22:00-02:30", "2027-10-31T01:00:00Z", true, "2027-10-31T01:30:00Z",
     NULL},
    /* Windows that touch are one. */
    {__LINE__, "UTC", "Fri 18:00-24:00;Sat,Sun;Mon 00:00-06:00", "2026-11-27T18:00:00Z", true,
     "2026-11-30T06:00:00Z", NULL},
    {__LINE__, "UTC", "", "2026-11-27T18:00:00Z", true, "", NULL},
    {__LINE__, "UTC", "00:00-24:00", "2026-11-27T18:00:00Z", true, "", NULL},
    /* Freezes: whole days, the last one included; times as they stand. */
    {__LINE__, "Europe/Berlin", "|2026-12-20/2027-01-02 \"year end\"", "2026-12-19T22:59:59Z", true,
     "2026-12-19T23:00:00Z", NULL},
    {__LINE__, "Europe/Berlin", "|2026-12-20/2027-01-02 \"year end\"", "2026-12-19T23:00:00Z",
     false, "2027-01-02T23:00:00Z", "year end"},
    {__LINE__, "Europe/Berlin", "|2026-12-20 18:00/2026-12-21 06:00", "2026-12-20T17:00:00Z", false,
     "2026-12-21T05:00:00Z", "2026-12-20 18:00/2026-12-21 06:00"},
    {__LINE__, "Europe/Berlin", "Mon..Fri 22:00-05:00;|2026-12-20/2027-01-02 \"x\"",
     "2026-12-21T21:00:00Z", false, "2027-01-04T21:00:00Z", "x"},
    {__LINE__, "UTC", "|2026-12-20/2026-12-24 \"a\";2026-12-24/2026-12-26 \"b\"",
     "2026-12-20T00:00:00Z", false, "2026-12-27T00:00:00Z", "a"},
    /* Ends in an hour that comes twice, or not at all. */
    {__LINE__, "Europe/Berlin", "|2027-10-30/2027-10-31 02:30 \"f\"", "2027-10-31T00:45:00Z", false,
     "2027-10-31T01:30:00Z", "f"},
    {__LINE__, "Europe/Berlin", "|2027-10-31 02:30/2027-11-01 \"f\"", "2027-10-31T01:10:00Z", false,
     "2027-11-01T23:00:00Z", "f"},
    {__LINE__, "Europe/Berlin", "|2027-03-27/2027-03-28 02:30 \"f\"", "2027-03-28T00:59:59Z", false,
     "2027-03-28T01:00:00Z", "f"},
    {__LINE__, "Europe/Berlin", "|2027-03-28 02:30/2027-03-29 \"f\"", "2027-03-28T01:00:00Z", false,
     "2027-03-29T22:00:00Z", "f"},
};

START_TEST(by_hand)
{
	struct set set;
	struct window_look look;
	const char *next = looks[_i].next;
	int64_t want = INT64_MAX;

	set_up(&set, looks[_i].zone, looks[_i].text);
	look = window_look(&set.windows, NULL, at(looks[_i].at));
	ck_assert_msg(look.open == looks[_i].open, "line %d", looks[_i].line);
	if (*next)
		want = at(next);
	ck_assert_msg(look.until_us == want, "line %d: %s", looks[_i].line,
		      when_utc(look.until_us).s);
	if (looks[_i].freeze)
		ck_assert_msg(look.freeze && !strcmp(look.freeze->name, looks[_i].freeze),
			      "line %d", looks[_i].line);
	else
		ck_assert_msg(!look.freeze, "line %d", looks[_i].line);
}
END_TEST

START_TEST(passes)
{
	struct set set;
	struct window_pass pass = {.freezes = 1};
	struct window_look look;

	set_up(&set, "UTC", "22:00-23:00;|2026-12-20/2026-12-24 \"a\";2026-12-23/2026-12-26 \"b\"");
	look = window_look(&set.windows, &pass, at("2026-12-20T22:10:00Z"));
	ck_assert(look.open && look.until_us == at("2026-12-20T23:00:00Z"));
	look = window_look(&set.windows, &pass, at("2026-12-23T22:10:00Z"));
	ck_assert(!look.open && !strcmp(look.freeze->name, "b"));
	ck_assert(look.until_us == at("2026-12-27T22:00:00Z"));
	pass.windows = true;
	look = window_look(&set.windows, &pass, at("2026-12-20T10:00:00Z"));
	ck_assert(look.open && look.until_us == at("2026-12-23T00:00:00Z"));
	pass.freezes = 3;
	look = window_look(&set.windows, &pass, at("2026-12-24T10:00:00Z"));
	ck_assert(look.open && look.until_us == INT64_MAX);
}
END_TEST

/* ---- the grace */

static const struct {
	int line;
	const char *text, *from;
	int grace_min;
	const char *now, *began; /* NULL: it is over */
} graces[] = {
    {__LINE__, "22:00-05:00", "2026-11-23T15:00:00Z", 30, "2026-11-23T21:00:00Z",
     "2026-11-23T22:00:00Z"},
    {__LINE__, "22:00-05:00", "2026-11-23T15:00:00Z", 30, "2026-11-23T22:30:00Z",
     "2026-11-23T22:00:00Z"},
    {__LINE__, "22:00-05:00", "2026-11-23T15:00:00Z", 30, "2026-11-23T22:31:00Z", NULL},
    {__LINE__, "22:00-05:00", "2026-11-23T15:00:00Z", 30, "2026-11-24T15:00:00Z", NULL},
    /* Due inside: as without windows. */
    {__LINE__, "22:00-05:00", "2026-11-23T23:00:00Z", 30, "2026-11-23T23:30:00Z",
     "2026-11-23T23:00:00Z"},
    {__LINE__, "22:00-05:00", "2026-11-23T23:00:00Z", 30, "2026-11-23T23:30:01Z", NULL},
    /* The window closed first: another begins at the next opening. */
    {__LINE__, "22:00-05:00", "2026-11-24T04:45:00Z", 30, "2026-11-24T04:59:00Z",
     "2026-11-24T04:45:00Z"},
    {__LINE__, "22:00-05:00", "2026-11-24T04:45:00Z", 30, "2026-11-24T05:10:00Z",
     "2026-11-24T22:00:00Z"},
    {__LINE__, "22:00-05:00", "2026-11-24T04:45:00Z", 30, "2026-11-24T22:20:00Z",
     "2026-11-24T22:00:00Z"},
    {__LINE__, "22:00-05:00", "2026-11-24T04:45:00Z", 30, "2026-11-24T22:40:00Z", NULL},
    /* Longer than any window: never over while they come. */
    {__LINE__, "22:00-05:00", "2026-11-23T15:00:00Z", 600, "2026-12-03T12:00:00Z",
     "2026-12-03T22:00:00Z"},
    {__LINE__, "|2026-11-24/2026-11-25 \"f\"", "2026-11-24T15:00:00Z", 30, "2026-11-25T15:00:00Z",
     "2026-11-26T00:00:00Z"},
    {__LINE__, "", "2026-11-24T15:00:00Z", 30, "2026-11-24T15:30:00Z", "2026-11-24T15:00:00Z"},
    {__LINE__, "", "2026-11-24T15:00:00Z", 30, "2026-11-24T15:30:01Z", NULL},
};

START_TEST(grace)
{
	struct set set;
	int64_t began = -1;
	bool left;

	set_up(&set, "UTC", graces[_i].text);
	left = window_grace(&set.windows, NULL, at(graces[_i].from),
			    graces[_i].grace_min * 60 * WHEN_SECOND, at(graces[_i].now), &began);
	ck_assert_msg(left == (graces[_i].began != NULL), "line %d", graces[_i].line);
	if (left)
		ck_assert_msg(began == at(graces[_i].began), "line %d: %s", graces[_i].line,
			      when_utc(began).s);
}
END_TEST

/* ---- every minute of a year */

static const char *const zones[] = {"Europe/Berlin",  "America/New_York",  "Australia/Lord_Howe",
				    "Europe/Dublin",  "Asia/Kathmandu",	   "Pacific/Apia",
				    "America/Havana", "Africa/Casablanca", "UTC"};

/* Each as the walk sees it, too: days as a set, minutes of the day. */
static const struct {
	const char *text;
	struct {
		unsigned days;
		int from, until;
	} w[3];
} walks[] = {
    {"Mon..Fri 22:00-05:00", {{0x3e, 1320, 300}}},
    {"Sun 01:30-02:30;00:15-00:45", {{0x01, 90, 150}, {0x7f, 15, 45}}},
    {"Sat 23:00-24:00;Sun 00:00-03:10", {{0x40, 1380, 1440}, {0x01, 0, 190}}},
    {"22:00-02:15;Wed", {{0x7f, 1320, 135}, {0x08, 0, 1440}}},
};

/* By the C library's own calendar. */
static bool
open_by_clock(size_t walk, time_t t)
{
	struct tm tm;
	int m;

	localtime_r(&t, &tm);
	m = tm.tm_hour * 60 + tm.tm_min;
	for (size_t i = 0; i < 3; i++) {
		unsigned days = walks[walk].w[i].days;
		int from = walks[walk].w[i].from, until = walks[walk].w[i].until;
		bool today = days >> tm.tm_wday & 1, yesterday = days >> (tm.tm_wday + 6) % 7 & 1;

		if (days == 0)
			continue;
		if (from < until ? today && m >= from && m < until
				 : (today && m >= from) || (yesterday && m < until))
			return true;
	}
	return false;
}

/* The C library would load the zone anew for each question: the whole year at once. */
static void
read_year(const char *zone, size_t walk, time_t first, size_t n, unsigned char *open)
{
	char tz[100];

	snprintf(tz, sizeof(tz), ":/usr/share/zoneinfo/%s", zone);
	setenv("TZ", tz, 1);
	tzset();
	for (size_t i = 0; i < n; i++)
		open[i] = open_by_clock(walk, first + (time_t)i * 60);
	unsetenv("TZ");
	tzset();
}

START_TEST(minutes)
{
	enum { MINUTES = 367 * 1440 };
	static unsigned char open[MINUTES];
	const char *zone = zones[_i / (int)ARRAY_SIZE(walks)];
	size_t walk = (size_t)_i % ARRAY_SIZE(walks), changes = 0;
	time_t first = (time_t)(at("2027-01-01T00:00:00Z") / WHEN_SECOND);
	struct set set;

	if (!strcmp(zone, "Pacific/Apia")) /* its missing day */
		first = (time_t)(at("2011-06-01T00:00:00Z") / WHEN_SECOND);
	set_up(&set, zone, walks[walk].text);
	read_year(zone, walk, first, MINUTES, open);
	for (size_t i = 0; i < MINUTES;) {
		int64_t us = (first + (int64_t)i * 60) * WHEN_SECOND;
		struct window_look look = window_look(&set.windows, NULL, us);
		size_t next = i;

		while (next < MINUTES && open[next] == open[i])
			next++;
		ck_assert_msg(look.open == open[i], "%s %s: %s", zone, walks[walk].text,
			      when_local(us, zone).s);
		if (next == MINUTES)
			break;
		ck_assert_msg(look.until_us == (first + (int64_t)next * 60) * WHEN_SECOND,
			      "%s %s: at %s %s, the clock says %s", zone, walks[walk].text,
			      when_local(us, zone).s, when_local(look.until_us, zone).s,
			      when_local((first + (int64_t)next * 60) * WHEN_SECOND, zone).s);
		/* From the middle of it the same. */
		ck_assert(
		    window_look(&set.windows, NULL, us + (int64_t)(next - i) * 30 * WHEN_SECOND)
			.until_us == look.until_us);
		changes++;
		i = next;
	}
	ck_assert_uint_gt(changes, 100);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("window");
	TCase *tcase = tcase_create("window");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, texts, 0, (int)ARRAY_SIZE(good));
	tcase_add_loop_test(tcase, refused, 0, (int)ARRAY_SIZE(bad));
	tcase_add_loop_test(tcase, by_hand, 0, (int)ARRAY_SIZE(looks));
	tcase_add_test(tcase, passes);
	tcase_add_loop_test(tcase, grace, 0, (int)ARRAY_SIZE(graces));
	tcase_add_loop_test(tcase, minutes, 0, (int)(ARRAY_SIZE(zones) * ARRAY_SIZE(walks)));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
