/* SPDX-License-Identifier: ISC */
/*
 * calendar.h as tables: every form of both grammars, every refusal, the hours that clocks skip and
 * repeat; that what is printed means the same; and a walk over all minutes of a year.
 */
#include "common/time/calendar.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/time/zone.h"
#include "tests/unit/unit.h"

#define BERLIN	  "Europe/Berlin"
#define YORK	  "America/New_York"
#define LORD_HOWE "Australia/Lord_Howe"

static int64_t
at(const char *utc)
{
	int64_t us = -1;

	ck_assert_msg(when_parse_utc(utc, &us) == 0, "test table: %s", utc);
	return us;
}

static struct calendar
parse(int line, const char *text)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct calendar calendar = {0};
	int r = calendar_parse(text, &calendar, &err);

	ck_assert_msg(r == 0, "line %d: %s", line, err.text);
	return calendar;
}

// clang-format off
/* What is written, and its normal form. */
static const struct {
	int line;
	const char *text, *normal;
} forms[] = {
	/* calendar events: the table of systemd.time(7), and more */
	{__LINE__, "Sat,Thu,Mon..Wed,Sat..Sun",      "Mon..Thu,Sat,Sun *-*-* 00:00:00"},
	{__LINE__, "Mon,Sun 2032-*-* 2,1:23",        "Mon,Sun 2032-*-* 01,02:23:00"},
	{__LINE__, "Wed *-1",                        "Wed *-*-01 00:00:00"},
	{__LINE__, "Wed..Wed,Wed",                   "Wed *-*-* 00:00:00"},
	{__LINE__, "Wed 17:48",                      "Wed *-*-* 17:48:00"},
	{__LINE__, "Wed..Sat,Tue 2032-10-15 1:2:3",  "Tue..Sat 2032-10-15 01:02:03"},
	{__LINE__, "*-*-7 0:0:0",                    "*-*-07 00:00:00"},
	{__LINE__, "10-15",                          "*-10-15 00:00:00"},
	{__LINE__, "monday *-12-* 17:00",            "Mon *-12-* 17:00:00"},
	{__LINE__, "Mon,Fri *-*-3,1,2 *:30:45",      "Mon,Fri *-*-01..03 *:30:45"},
	{__LINE__, "12,14,13,12:20,10,30",           "*-*-* 12..14:10..30/10:00"},
	{__LINE__, "12..14:10,20,30",                "*-*-* 12..14:10..30/10:00"},
	{__LINE__, "mon,fri *-1/2-1,3 *:30:45",      "Mon,Fri *-01/2-01,03 *:30:45"},
	{__LINE__, "03-05 08:05:40",                 "*-03-05 08:05:40"},
	{__LINE__, "08:05:40",                       "*-*-* 08:05:40"},
	{__LINE__, "05:40",                          "*-*-* 05:40:00"},
	{__LINE__, "Sat,Sun 12-05 08:05:40",         "Sat,Sun *-12-05 08:05:40"},
	{__LINE__, "Sat,Sun 08:05:40",               "Sat,Sun *-*-* 08:05:40"},
	{__LINE__, "2033-03-05 05:40",               "2033-03-05 05:40:00"},
	{__LINE__, "2033-03-05T05:40",               "2033-03-05 05:40:00"},
	{__LINE__, "2033-03-05",                     "2033-03-05 00:00:00"},
	{__LINE__, "2033-02..04-05",                 "2033-02..04-05 00:00:00"},
	{__LINE__, "2033-03-05 05:40 UTC",           "2033-03-05 05:40:00 UTC"},
	{__LINE__, "2033-03-05 05:40 Europe/Paris",  "2033-03-05 05:40:00 Europe/Paris"},
	{__LINE__, "*-*~1",                          "*-*~01 00:00:00"},
	{__LINE__, "*-02~03",                        "*-02~03 00:00:00"},
	{__LINE__, "Mon *-05~07/1",                  "Mon *-05~01..07 00:00:00"},
	{__LINE__, "*-*~7/2",                        "*-*~01..07/2 00:00:00"},
	{__LINE__, "*-*~1..6/2",                     "*-*~02..06/2 00:00:00"},
	{__LINE__, "*-*~1..31",                      "*-*-* 00:00:00"},
	{__LINE__, "*:2/3",                          "*-*-* *:02..59/3:00"},
	{__LINE__, "*:*/15",                         "*-*-* *:00/15:00"},
	{__LINE__, "*/2:00",                         "*-*-* 00/2:00:00"},
	{__LINE__, "0/5:10",                         "*-*-* 00..20/5:10:00"},
	{__LINE__, "9..17/2:30",                     "*-*-* 09..17/2:30:00"},
	{__LINE__, "*:0,30",                         "*-*-* *:00,30:00"},
	{__LINE__, "*:0..59",                        "*-*-* *:*:00"},
	{__LINE__, "*:*:*",                          "*-*-* *:*:*"},
	{__LINE__, "*,5:00",                         "*-*-* *:00:00"},
	{__LINE__, "2026/2-1-1",                     "2026/2-01-01 00:00:00"},
	{__LINE__, "2026..2031/2-1-1",               "2026..2030/2-01-01 00:00:00"},
	{__LINE__, "2026,2028..2030-1-1",            "2026,2028..2030-01-01 00:00:00"},
	{__LINE__, "2026/1-1-1",                     "2026/1-01-01 00:00:00"},
	{__LINE__, "*,2026-1-1",                     "*-01-01 00:00:00"},
	{__LINE__, "1970..9999-1-1",                 "*-01-01 00:00:00"},
	{__LINE__, "Mon-Fri 02:00",                  "Mon..Fri *-*-* 02:00:00"},
	{__LINE__, "mon..sun",                       "*-*-* 00:00:00"},
	{__LINE__, "Tues,THURSDAY 02:00",            "Tue,Thu *-*-* 02:00:00"},
	{__LINE__, "  Sat  \t 02:00  Europe/Berlin ", "Sat *-*-* 02:00:00 Europe/Berlin"},
	{__LINE__, "Sat utc",                        "Sat *-*-* 00:00:00 UTC"},
	{__LINE__, "*-*-*",                          "*-*-* 00:00:00"},
	{__LINE__, "minutely",                       "*-*-* *:*:00"},
	{__LINE__, "hourly",                         "*-*-* *:00:00"},
	{__LINE__, "Daily",                          "*-*-* 00:00:00"},
	{__LINE__, "weekly UTC",                     "Mon *-*-* 00:00:00 UTC"},
	{__LINE__, "monthly",                        "*-*-01 00:00:00"},
	{__LINE__, "quarterly",                      "*-01/3-01 00:00:00"},
	{__LINE__, "semiannually",                   "*-01,07-01 00:00:00"},
	{__LINE__, "yearly",                         "*-01-01 00:00:00"},
	{__LINE__, "annually Europe/Berlin",         "*-01-01 00:00:00 Europe/Berlin"},
	/* crontab(5) */
	{__LINE__, "* * * * *",                      "*-*-* *:*:00"},
	{__LINE__, "0 2 * * 1-5",                    "Mon..Fri *-*-* 02:00:00"},
	{__LINE__, "0 2 * * 0",                      "Sun *-*-* 02:00:00"},
	{__LINE__, "0 2 * * 7",                      "Sun *-*-* 02:00:00"},
	{__LINE__, "0 2 * * 5-7",                    "Fri..Sun *-*-* 02:00:00"},
	{__LINE__, "0 2 * * fri-sun",                "Fri..Sun *-*-* 02:00:00"},
	{__LINE__, "0 2 * * sun-tue",                "Mon,Tue,Sun *-*-* 02:00:00"},
	{__LINE__, "0 2 * * 0-7",                    "*-*-* 02:00:00"},
	{__LINE__, "*/15 * * * *",                   "*-*-* *:00/15:00"},
	{__LINE__, "5-59/20 8-18/2 * * *",           "*-*-* 08..18/2:05..45/20:00"},
	{__LINE__, "0,30 2 1,15 jan-mar,DEC *",      "*-01..03,12-01,15 02:00,30:00"},
	{__LINE__, "0 2 13 * fri",                   "0 2 13 * 5"},
	{__LINE__, "0 2 13 * 5,7 Europe/Berlin",     "0 2 13 * 0,5 Europe/Berlin"},
	{__LINE__, "0\t2  1-7 * 1",                  "0 2 1-7 * 1"},
	{__LINE__, "*/20 2 31 2 1",                  "0-40/20 2 31 2 1"},
	{__LINE__, "0 2 */2 * 1",                    "Mon *-*-01..31/2 02:00:00"}, /* begins with a star: both */
	{__LINE__, "0 2 1 * */2",                    "Tue,Thu,Sat,Sun *-*-01 02:00:00"},
	{__LINE__, "0 2 *,5 * 1",                    "Mon *-*-* 02:00:00"},
	{__LINE__, "0 2 1-31 * 1",                   "*-*-* 02:00:00"}, /* either, and all days are in one */
	{__LINE__, "0 2 5 * 0-6",                    "*-*-* 02:00:00"},
	{__LINE__, "@hourly",                        "*-*-* *:00:00"},
	{__LINE__, "@daily",                         "*-*-* 00:00:00"},
	{__LINE__, "@midnight",                      "*-*-* 00:00:00"},
	{__LINE__, "@weekly",                        "Sun *-*-* 00:00:00"},
	{__LINE__, "@Monthly UTC",                   "*-*-01 00:00:00 UTC"},
	{__LINE__, "@yearly",                        "*-01-01 00:00:00"},
	{__LINE__, "@annually",                      "*-01-01 00:00:00"},
};

static const struct {
	int line;
	const char *text;
	int column;
	const char *part;
} refusals[] = {
	{__LINE__, "",                          1,  "is expected"},
	{__LINE__, "   ",                       4,  "is expected"},
	{__LINE__, "02",                        1,  "neither a date nor a time"},
	{__LINE__, "*",                         1,  "neither a date nor a time"},
	{__LINE__, "2 am",                      3,  "24 hours"},
	{__LINE__, "2am",                       2,  "24 hours"},
	{__LINE__, "Mon 2",                     5,  "neither a date nor a time"},
	{__LINE__, "02:00am",                   6,  "24 hours"},
	{__LINE__, "24:00",                     1,  "hours go from 0 to 23"},
	{__LINE__, "*:60",                      3,  "minutes go from 0 to 59"},
	{__LINE__, "*:*:60",                    5,  "seconds go from 0 to 59"},
	{__LINE__, "02:00:30.5",                9,  "whole seconds"},
	{__LINE__, "02:00:",                    7,  "a number is expected"},
	{__LINE__, "02:",                       4,  "a number is expected"},
	{__LINE__, "02:00:00:00",               9,  "nothing but a zone"},
	{__LINE__, "02:00,",                    7,  "a number is expected"},
	{__LINE__, "02:00, 30",                 7,  "no blanks"},
	{__LINE__, "99999:00",                  1,  "hours go"},
	{__LINE__, "22..2:00",                  5,  "smaller number to the larger, such as 2..22"},
	{__LINE__, "*:0/0",                     5,  "no second one"},
	{__LINE__, "*:0/60",                    5,  "no second one"},
	{__LINE__, "*:10..20/15",               10, "no second one"},
	{__LINE__, "*:0/",                      5,  "behind / stands a step"},
	{__LINE__, "*:0/x",                     5,  "behind / stands a step"},
	{__LINE__, "*:1-5",                     4,  "a range has two dots"},
	{__LINE__, "9-17:30",                   5,  "a range of hours has two dots"},
	{__LINE__, "Mon 22:00-05:00",           10, "instead of an offset stands a zone"},
	{__LINE__, "Mon,",                      5,  "a day of the week is expected"},
	{__LINE__, "Mon, Tue",                  5,  "a day of the week is expected"},
	{__LINE__, "Mon..",                     6,  "a day of the week is expected"},
	{__LINE__, "Mon..5",                    6,  "a day of the week is expected"},
	{__LINE__, "Fri..Mon 02:00",            6,  "Fri..Sun,Mon"},
	{__LINE__, "Mon/2",                     4,  "blank"},
	{__LINE__, "Mon Tue",                   5,  "the day stands before the time"},
	{__LINE__, "Mon 02:00 Tue",             11, "the day stands before the time"},
	{__LINE__, "02:00 *-*-01",              7,  "the date stands before the time"},
	{__LINE__, "02:00 14:00",               7,  "there is a time already"},
	{__LINE__, "Wed, 17:48",                5,  "a day of the week is expected"},
	{__LINE__, "Wed 12-10-15 1:2:3",        5,  "a year has four digits"},
	{__LINE__, "0/30:00",                   3,  "no second one"},
	{__LINE__, "99-1-1",                    1,  "a year has four digits"},
	{__LINE__, "1969-1-1",                  1,  "years go from 1970 to 9999"},
	{__LINE__, "*/2-1-1",                   1,  "a step of years needs its first one"},
	{__LINE__, "2026/9000-1-1",             6,  "no second one"},
	{__LINE__, "2026-1",                    1,  "a date is year-month-day"},
	{__LINE__, "2026~1",                    1,  "a date is year-month-day"},
	{__LINE__, "2026-1-1-1",                9,  "a date is year-month-day"},
	{__LINE__, "*-*-",                      5,  "a number is expected"},
	{__LINE__, "*-*~",                      5,  "a number is expected"},
	{__LINE__, "*-*~*",                     5,  "a number is expected"},
	{__LINE__, "*-13-1",                    3,  "months go from 1 to 12"},
	{__LINE__, "*-*-0",                     5,  "go from 1 to 31"},
	{__LINE__, "*-*~32",                    5,  "go from 1 to 31"},
	{__LINE__, "*-*~3..1",                  8,  "smaller number to the larger, such as 1..3"},
	{__LINE__, "*-*~1/2",                   7,  "no second one"},
	{__LINE__, "*-02-30",                   6,  "no such month has that day"},
	{__LINE__, "*-04,06-31",                9,  "no such month has that day"},
	{__LINE__, "*-02~30 02:00",             6,  "no such month has that day"},
	{__LINE__, "*-jan-1",                   3,  "a number is expected"},
	{__LINE__, "2026-01-01x02:00",          11, "a date is year-month-day"},
	{__LINE__, "today 02:00",               1,  "does not come again"},
	{__LINE__, "tomorrow",                  1,  "does not come again"},
	{__LINE__, "now",                       1,  "does not come again"},
	{__LINE__, "@1795374229",               1,  "one instant"},
	{__LINE__, "+2h",                       1,  "neither a day nor a word"},
	{__LINE__, "every day",                 1,  "neither a day nor a word"},
	{__LINE__, "dayly",                     1,  "such as daily"},
	{__LINE__, "montly",                    1,  "such as monthly"},
	{__LINE__, "daily 02:00",               7,  "there is a time already"},
	{__LINE__, "daily daily",               7,  "abbreviation"},
	{__LINE__, "02:00+01:00",               6,  "follows the clocks of a place"},
	{__LINE__, "02:00 CET",                 7,  "abbreviation"},
	{__LINE__, "02:00 Europe/Berlinn",      7,  "Europe/Berlin"},
	{__LINE__, "02:00 Europe/Berlin x",     21, "nothing can follow"},
	{__LINE__, "M\xc3\xb6n 02:00",          1,  "neither a day nor a word"},
	{__LINE__, "Mon\x1b[1m",                4,  "blank"},
	/* crontab(5) */
	{__LINE__, "0 2 * *",                   1,  "five fields of a crontab such as 0 2 * * 1-5"},
	{__LINE__, "60 2 * * *",                1,  "minutes go from 0 to 59"},
	{__LINE__, "0 24 * * *",                3,  "hours go from 0 to 23"},
	{__LINE__, "0 2 0 * *",                 5,  "days of the month go from 1 to 31"},
	{__LINE__, "0 2 * 13 *",                7,  "months go from 1 to 12"},
	{__LINE__, "0 2 * * 8",                 9,  "days of the week go from 0 to 7"},
	{__LINE__, "0 2 * foo *",               7,  "a number is expected"},
	{__LINE__, "0 2 * * mo",                9,  "a number is expected"},
	{__LINE__, "0 2 mon * *",               5,  "a number is expected"},
	{__LINE__, "0 2 30 2 *",                5,  "no such month has that day"},
	{__LINE__, "0/15 * * * *",              2,  "a step goes with * or a range, such as 0-59/15"},
	{__LINE__, "*/60 * * * *",              3,  "no second one"},
	{__LINE__, "*/0 * * * *",               3,  "no second one"},
	{__LINE__, "30-10 * * * *",             4,  "such as 10-30"},
	{__LINE__, "0 2 * * fri-mon",           13, "smaller number to the larger"},
	{__LINE__, "0 2 L * *",                 5,  "not of crontab(5)"},
	{__LINE__, "0 2 15W * *",               7,  "not of crontab(5)"},
	{__LINE__, "0 2 ? * 1",                 5,  "not of crontab(5)"},
	{__LINE__, "0 2 * * 1#1",               10, "not of crontab(5)"},
	{__LINE__, "0 2 * * 1..5",              10, "a blank stands behind the field"},
	{__LINE__, "0 0 2 * * 1",               11, "five fields, without seconds"},
	{__LINE__, "0 2 * * * root",            11, "abbreviation"},
	{__LINE__, "0 2 * * * UTC x",           15, "nothing can follow"},
	{__LINE__, "@reboot",                   1,  "a start of the machine"},
	{__LINE__, "@fortnightly",              1,  "behind @ stands hourly"},
	{__LINE__, "@daily 02:00",              8,  "there is a time already"},
};

/* What comes next: up to three times, each strictly after the one before. */
static const struct {
	int line;
	const char *text, *zone, *after;
	const char *times[3]; /* NULL: never again */
	const char *note; /* a part of the first one's; "" if there must be none */
} nexts[] = {
	{__LINE__, "02:00", "UTC", "2026-11-23T02:00:00Z", {"2026-11-24T02:00:00Z", "2026-11-25T02:00:00Z"}, ""},
	{__LINE__, "02:00", "UTC", "2026-11-23T01:59:59.999999Z", {"2026-11-23T02:00:00Z", "2026-11-24T02:00:00Z"}, ""},
	{__LINE__, "02:00 UTC", BERLIN, "2026-11-23T00:00:00Z", {"2026-11-23T02:00:00Z"}, ""},
	{__LINE__, "02:00", BERLIN, "2026-11-23T00:00:00Z", {"2026-11-23T01:00:00Z"}, ""},
	{__LINE__, "02:00 Asia/Kathmandu", BERLIN, "2026-11-23T00:00:00Z", {"2026-11-23T20:15:00Z"}, ""},
	{__LINE__, "*:*:*", "UTC", "2026-11-23T01:59:59.5Z", {"2026-11-23T02:00:00Z", "2026-11-23T02:00:01Z", "2026-11-23T02:00:02Z"}, ""},
	{__LINE__, "23:59:59", "UTC", "2026-12-31T23:59:58Z", {"2026-12-31T23:59:59Z", "2027-01-01T23:59:59Z"}, ""},
	{__LINE__, "1,3:10:05,10", "UTC", "2026-11-23T01:10:05Z", {"2026-11-23T01:10:10Z", "2026-11-23T03:10:05Z", "2026-11-23T03:10:10Z"}, ""},
	{__LINE__, "*:10,20:05", "UTC", "2026-11-23T01:10:06Z", {"2026-11-23T01:20:05Z", "2026-11-23T02:10:05Z"}, ""},
	{__LINE__, "*-02-29", "UTC", "2026-11-23T00:00:00Z", {"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"}, ""},
	{__LINE__, "*-02-29", "UTC", "2096-03-01T00:00:00Z", {"2104-02-29T00:00:00Z"}, ""},
	{__LINE__, "Mon *-02-29", "UTC", "2026-11-23T00:00:00Z", {"2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z"}, ""},
	{__LINE__, "*-*~01", "UTC", "2028-01-31T12:00:00Z", {"2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z", "2028-04-30T00:00:00Z"}, ""},
	{__LINE__, "*-*~31", "UTC", "2026-01-02T00:00:00Z", {"2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z"}, ""},
	{__LINE__, "0 2 13 * fri", "UTC", "2026-11-09T00:00:00Z", {"2026-11-13T02:00:00Z", "2026-11-20T02:00:00Z", "2026-11-27T02:00:00Z"}, ""},
	{__LINE__, "0 2 24 * fri", "UTC", "2026-11-23T00:00:00Z", {"2026-11-24T02:00:00Z", "2026-11-27T02:00:00Z", "2026-12-04T02:00:00Z"}, ""},
	{__LINE__, "0 2 */2 * 1", "UTC", "2026-11-01T00:00:00Z", {"2026-11-09T02:00:00Z", "2026-11-23T02:00:00Z", "2026-12-07T02:00:00Z"}, ""},
	{__LINE__, "0 0 31 2 mon", "UTC", "2026-11-01T00:00:00Z", {"2027-02-01T00:00:00Z", "2027-02-08T00:00:00Z"}, ""},
	{__LINE__, "2026..2030/2-12-24", "UTC", "2026-12-24T00:00:00Z", {"2028-12-24T00:00:00Z", "2030-12-24T00:00:00Z", NULL}, ""},
	{__LINE__, "2003-03-05", "UTC", "2026-11-23T00:00:00Z", {NULL}, ""},
	{__LINE__, "Tue 2026-11-23", "UTC", "2026-01-01T00:00:00Z", {NULL}, ""},
	{__LINE__, "2027,2029-02-29", "UTC", "2026-01-01T00:00:00Z", {NULL}, ""},
	{__LINE__, "yearly", "UTC", "9999-06-01T00:00:00Z", {NULL}, ""},
	{__LINE__, "9998/1-1-1", "UTC", "2026-06-01T00:00:00Z", {"9998-01-01T00:00:00Z", "9999-01-01T00:00:00Z", NULL}, ""},
	/* a clock in 1970, west and east of Greenwich */
	{__LINE__, "*:00", YORK, "1970-01-01T00:00:00Z", {"1970-01-01T01:00:00Z", "1970-01-01T02:00:00Z"}, ""},
	{__LINE__, "daily", YORK, "1970-01-01T00:00:00Z", {"1970-01-01T05:00:00Z"}, ""},
	{__LINE__, "daily", BERLIN, "1970-01-01T00:00:00Z", {"1970-01-01T23:00:00Z"}, ""},

	/* skipped: after the change, as long as it would have lain after it */
	{__LINE__, "02:30", BERLIN, "2026-03-28T12:00:00Z", {"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
	 "02:30 does not exist on 2026-03-29 in Europe/Berlin, where clocks are put forward by 1 h: moved to 2026-03-29 03:30:00+02:00 Europe/Berlin (a systemd timer leaves it out)"},
	{__LINE__, "02:30", BERLIN, "2026-03-29T01:29:59Z", {"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}, "does not exist"},
	{__LINE__, "02:30", BERLIN, "2026-03-29T01:30:00Z", {"2026-03-30T00:30:00Z"}, ""},
	{__LINE__, "2026-03-29 02:30", BERLIN, "2026-03-28T12:00:00Z", {"2026-03-29T01:30:00Z", NULL}, "does not exist"},
	{__LINE__, "02,03:00,30", BERLIN, "2026-03-29T00:59:00Z", {"2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z"}, ""},
	{__LINE__, "*:*", BERLIN, "2026-03-29T00:59:00Z", {"2026-03-29T01:00:00Z", "2026-03-29T01:01:00Z", "2026-03-29T01:02:00Z"}, ""},
	{__LINE__, "*:15", LORD_HOWE, "2026-10-03T14:50:00Z", {"2026-10-03T15:45:00Z", "2026-10-03T16:15:00Z", "2026-10-03T17:15:00Z"},
	 "forward by 30 min: moved to 2026-10-04 02:45:00+11:00"},
	{__LINE__, "*:00", LORD_HOWE, "2026-10-03T14:45:00Z", {"2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z"}, "does not exist"},
	{__LINE__, "2011-12-30 12:00", "Pacific/Apia", "2011-12-01T00:00:00Z", {"2011-12-30T22:00:00Z", NULL}, "forward by 1 d"},
	{__LINE__, "12:00", "Pacific/Apia", "2011-12-29T12:00:00Z", {"2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"}, ""},
	{__LINE__, "Fri 12:00", "Pacific/Apia", "2011-12-29T12:00:00Z", {"2011-12-30T22:00:00Z", "2012-01-05T22:00:00Z"}, "does not exist"},
	{__LINE__, "00:00", "America/Sao_Paulo", "2017-10-14T12:00:00Z", {"2017-10-15T03:00:00Z", "2017-10-16T02:00:00Z"}, "00:00 does not exist"},
	{__LINE__, "0 2 * * *", YORK, "2026-03-07T12:00:00Z", {"2026-03-08T07:00:00Z", "2026-03-09T06:00:00Z"}, "does not exist"},

	/* repeated: once, the first time */
	{__LINE__, "02:30", BERLIN, "2026-10-24T12:00:00Z", {"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
	 "taken is the first, 2026-10-25 02:30:00+02:00 Europe/Berlin; the second is 2026-10-25 02:30:00+01:00 Europe/Berlin, when it does not happen again"},
	{__LINE__, "02:30", BERLIN, "2026-10-25T00:30:00Z", {"2026-10-26T01:30:00Z"}, ""},
	{__LINE__, "02:30", BERLIN, "2026-10-25T00:45:00Z", {"2026-10-26T01:30:00Z"}, ""},
	{__LINE__, "*:00", BERLIN, "2026-10-24T23:30:00Z", {"2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"}, "comes twice"},
	{__LINE__, "*:45", LORD_HOWE, "2026-04-04T14:00:00Z", {"2026-04-04T14:45:00Z", "2026-04-04T16:15:00Z"}, "comes twice"},
	{__LINE__, "01:45", "Europe/Dublin", "2026-10-24T12:00:00Z", {"2026-10-25T00:45:00Z", "2026-10-26T01:45:00Z"}, "comes twice"},
	{__LINE__, "23:30", "America/Sao_Paulo", "2018-02-17T12:00:00Z", {"2018-02-18T01:30:00Z", "2018-02-19T02:30:00Z"}, "comes twice"},
	/* two changes a month apart, and none at all */
	{__LINE__, "*-*-20 02:30", "Africa/Casablanca", "2026-02-01T00:00:00Z", {"2026-02-20T02:30:00Z", "2026-03-20T02:30:00Z", "2026-04-20T01:30:00Z"}, ""},
	{__LINE__, "quarterly", "Asia/Kathmandu", "2026-02-01T00:00:00Z", {"2026-03-31T18:15:00Z", "2026-06-30T18:15:00Z"}, ""},
};
// clang-format on

static bool
same(const struct calendar *a, const struct calendar *b)
{
	for (size_t i = 0; i < a->nyears && a->nyears == b->nyears; i++)
		if (a->years[i].first != b->years[i].first ||
		    a->years[i].last != b->years[i].last || a->years[i].step != b->years[i].step)
			return false;
	return a->seconds == b->seconds && a->minutes == b->minutes && a->hours == b->hours &&
	       a->months == b->months && a->days == b->days && a->last == b->last &&
	       a->weekdays == b->weekdays && a->either == b->either && a->nyears == b->nyears &&
	       !strcmp(a->zone, b->zone);
}

START_TEST(every_form)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct calendar calendar, again;

		calendar = parse(forms[i].line, forms[i].text);
		ck_assert_msg(!strcmp(calendar_print(&calendar).s, forms[i].normal),
			      "line %d: %s is %s", forms[i].line, forms[i].text,
			      calendar_print(&calendar).s);
		again = parse(forms[i].line, forms[i].normal);
		ck_assert_msg(same(&calendar, &again), "line %d: %s", forms[i].line,
			      calendar_print(&again).s);
	}
}
END_TEST

START_TEST(every_refusal)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct calendar calendar = {.hours = 42};
		int line = refusals[i].line;

		ck_assert_msg(calendar_parse(refusals[i].text, &calendar, &err) == -EINVAL,
			      "line %d: %s", line, calendar_print(&calendar).s);
		ck_assert_msg(calendar.hours == 42, "line %d: touched", line);
		ck_assert_msg(err.code == ERR_BAD_TIME, "line %d", line);
		ck_assert_msg(strstr(err.text, refusals[i].part) != NULL, "line %d: %s", line,
			      err.text);
		ck_assert_msg(json_get_int(err.fields, "column", 0) == refusals[i].column,
			      "line %d: %s", line, err.text);
		ck_assert_msg(strstr(err.text, "such as") || strstr(err.text, "write ") ||
				  strstr(err.text, ":00"),
			      "line %d has no example: %s", line, err.text);
		ck_assert_msg(!strpbrk(err.text, "\x1b\n"), "line %d: raw", line);
		ck_assert(calendar_parse(refusals[i].text, &calendar, NULL) == -EINVAL);
	}
}
END_TEST

START_TEST(long_texts_are_refused)
{
	char text[CALENDAR_TEXT_MAX + 64];
	struct calendar calendar;

	memset(text, ' ', sizeof(text));
	memcpy(text + sizeof(text) - 8, "02:00\0\0", 8);
	ck_assert_int_eq(calendar_parse(text, &calendar, NULL), -EINVAL);
	ck_assert_int_eq(calendar_parse(text + 65, &calendar, NULL), 0);
	for (size_t i = 0; i < CALENDAR_YEARS_MAX + 1; i++)
		memcpy(text + i * 5, "2030,", 5);
	strcpy(text + CALENDAR_YEARS_MAX * 5 - 1, "-1-1");
	ck_assert_int_eq(calendar_parse(text, &calendar, NULL), 0);
	strcpy(text + CALENDAR_YEARS_MAX * 5 - 1, ",2031-1-1");
	ck_assert_int_eq(calendar_parse(text, &calendar, NULL), -EINVAL);
}
END_TEST

START_TEST(every_next)
{
	for (size_t i = 0; i < ARRAY_SIZE(nexts); i++) {
		int line = nexts[i].line;
		struct calendar calendar;
		int64_t us = at(nexts[i].after);

		calendar = parse(line, nexts[i].text);
		for (size_t k = 0; k < 3; k++) {
			char note[WHEN_NOTE_MAX] = "untouched";
			const char *want = nexts[i].times[k];
			int64_t before = us;
			int r = calendar_next(&calendar, us, nexts[i].zone, &us, note);

			if (!want && (k == 0 || r == -ENOENT)) {
				ck_assert_msg(r == -ENOENT && us == before &&
						  !strcmp(note, "untouched"),
					      "line %d: %s", line, when_utc(us).s);
				break;
			}
			if (!want)
				break;
			ck_assert_msg(r == 0 && us == at(want), "line %d: %s", line,
				      r ? "never" : when_utc(us).s);
			ck_assert_msg(k > 0 ||
					  (nexts[i].note[0] ? strstr(note, nexts[i].note) != NULL
							    : !note[0]),
				      "line %d: %s", line, note);
		}
	}
}
END_TEST

/* ---- printed and parsed again */

static uint64_t seed = 88172645463325252ULL;

static uint64_t
pick(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* Some of the values FIRST to LAST: one, all, a run, a step, any, or as many as cannot be put
 * short. */
static uint64_t
pick_set(int first, int last)
{
	uint64_t n = (uint64_t)(last - first + 1), set = 0;
	int low = first + (int)pick(n), step = 1 + (int)pick(7);

	switch (pick(6)) {
	case 0:
		return UINT64_C(1) << low;
	case 1:
		low = first;
		step = 1;
		break;
	case 2:
		step = 1;
		break;
	case 3:
		break;
	case 4:
		for (int i = first; i <= last; i++)
			set |= pick(2) << i;
		return set | UINT64_C(1) << low;
	default:
		for (int i = first; i <= last; i++)
			set |= (uint64_t)((i - first) % 3 != 2) << i;
		return set;
	}
	for (int i = low; i <= last; i += step)
		set |= UINT64_C(1) << i;
	return set;
}

static struct calendar
pick_calendar(void)
{
	static const char *const zones[] = {"", BERLIN, YORK, LORD_HOWE};
	struct calendar c = {.seconds = pick_set(0, 59),
			     .minutes = pick_set(0, 59),
			     .hours = (uint32_t)pick_set(0, 23),
			     .months = (uint32_t)pick_set(1, 12),
			     .days = (uint32_t)pick_set(1, 31),
			     .weekdays = (uint32_t)pick_set(0, 6)};

	c.days |= 2; /* the first: there is one in every month */
	if (pick(3) == 0 && c.days != UINT32_MAX - 1) {
		c.last = c.days;
		c.days = 0;
	} else if (pick(2) == 0 && c.days != UINT32_MAX - 1 && c.weekdays != 0x7f) {
		c.either = true;
		c.seconds = 1;
	}
	if (!c.either && pick(2) == 0)
		for (c.nyears = 0; c.nyears <= pick(CALENDAR_YEARS_MAX); c.nyears++) {
			struct calendar_years *years = &c.years[c.nyears];

			years->step = 1 + (int)pick(9);
			years->first = 1970 + (int)pick(200);
			years->last = years->first + years->step * (int)pick(4);
			if (years->first == years->last)
				years->step = 1;
		}
	snprintf(c.zone, sizeof(c.zone), "%s", zones[pick(4)]);
	return c;
}

START_TEST(whatever_is_printed_is_parsed_again)
{
	size_t longest = 0;

	for (int i = 0; i < 20000; i++) {
		struct calendar calendar = pick_calendar(), again;
		struct calendar_text text = calendar_print(&calendar);

		again = parse(__LINE__, text.s);
		ck_assert_msg(same(&calendar, &again), "%s is %s", text.s,
			      calendar_print(&again).s);
		if (strlen(text.s) > longest)
			longest = strlen(text.s);
	}
	ck_assert_uint_lt(longest + WHEN_ZONE_MAX, CALENDAR_TEXT_MAX);
}
END_TEST

/* From a later moment the next one is the same or a later one; and from just before it, it is the
 * same. */
START_TEST(next_is_consistent)
{
	for (int i = 0; i < 2000; i++) {
		struct calendar calendar = pick_calendar();
		int64_t from =
		    at("2026-01-01T00:00:00Z") + (int64_t)pick(400) * 86400 * WHEN_SECOND;
		int64_t next, again, middle;

		if (calendar_next(&calendar, from, "UTC", &next, NULL) < 0)
			continue;
		ck_assert_msg(next > from, "%s", calendar_print(&calendar).s);
		middle = from + (int64_t)pick((uint64_t)(next - from));
		ck_assert_int_eq(calendar_next(&calendar, middle, "UTC", &again, NULL), 0);
		ck_assert_msg(again == next, "%s from %s: %s, from %s: %s",
			      calendar_print(&calendar).s, when_utc(from).s, when_utc(next).s,
			      when_utc(middle).s, when_utc(again).s);
		ck_assert_int_eq(calendar_next(&calendar, next - 1, "UTC", &again, NULL), 0);
		ck_assert_int_eq(again, next);
	}
}
END_TEST

/* ---- all minutes of a year */

#define YEAR_MINUTES (365 * 24 * 60)

static int
to_month_end(const struct tm *tm)
{
	return zone_month_length(tm->tm_year + 1900, tm->tm_mon + 1) - tm->tm_mday + 1;
}

/* The same twice: an expression, and in C. */
// clang-format off
#define WALKS(X)                                                                                   \
	X("02:30",                        tm->tm_hour == 2 && tm->tm_min == 30)                    \
	X("*:00",                         tm->tm_min == 0)                                         \
	X("Mon..Fri 02:00",               tm->tm_wday >= 1 && tm->tm_wday <= 5 && tm->tm_hour == 2 && tm->tm_min == 0) \
	X("Sun 02:15",                    tm->tm_wday == 0 && tm->tm_hour == 2 && tm->tm_min == 15) \
	X("*-*~01",                       to_month_end(tm) == 1 && tm->tm_hour == 0 && tm->tm_min == 0) \
	X("Mon *-*~07/1 03:00",           to_month_end(tm) <= 7 && tm->tm_wday == 1 && tm->tm_hour == 3 && tm->tm_min == 0) \
	X("*-03,04,10,11-* 01..03:0/15",  (tm->tm_mon == 2 || tm->tm_mon == 3 || tm->tm_mon == 9 || tm->tm_mon == 10) && \
	                                  tm->tm_hour >= 1 && tm->tm_hour <= 3 && tm->tm_min % 15 == 0) \
	X("*-*-1/7 23:59",                tm->tm_mday % 7 == 1 && tm->tm_hour == 23 && tm->tm_min == 59) \
	X("0/5:10",                       tm->tm_hour % 5 == 0 && tm->tm_min == 10)                \
	X("quarterly",                    tm->tm_mon % 3 == 0 && tm->tm_mday == 1 && tm->tm_hour == 0 && tm->tm_min == 0) \
	X("Sun *-*-* 01..02:*",           tm->tm_wday == 0 && (tm->tm_hour == 1 || tm->tm_hour == 2)) \
	X("0 2 13 * fri",                 (tm->tm_mday == 13 || tm->tm_wday == 5) && tm->tm_hour == 2 && tm->tm_min == 0) \
	X("*/20 1-3 * * 7",               tm->tm_wday == 0 && tm->tm_hour >= 1 && tm->tm_hour <= 3 && tm->tm_min % 20 == 0) \
	X("0 0 */2 * 1",                  tm->tm_mday % 2 == 1 && tm->tm_wday == 1 && tm->tm_hour == 0 && tm->tm_min == 0) \
	X("30 1 29-31 3-11/2 sat,sun",    (tm->tm_mday >= 29 || tm->tm_wday == 0 || tm->tm_wday == 6) && \
	                                  tm->tm_mon % 2 == 0 && tm->tm_mon > 0 && tm->tm_hour == 1 && tm->tm_min == 30)
// clang-format on

#define X(text, ...) text,
static const char *const walk_texts[] = {WALKS(X)};
#undef X
#define N_WALKS ARRAY_SIZE(walk_texts)

/* Bit I: the I-th expression matches this wall time. */
static unsigned
wall_matches(int64_t wall_s)
{
	struct tm broken, *tm = &broken;
	time_t t = wall_s;
	unsigned bit = 1, set = 0;

	gmtime_r(&t, tm);
#define X(text, ...)                    \
	set |= (__VA_ARGS__) ? bit : 0; \
	bit <<= 1;
	WALKS(X)
#undef X
	return set;
}

/* What the C library says of each minute, asked before anything else touches the zone. */
static void
read_offsets(const char *zone, int64_t from_s, int minutes, int *offsets)
{
	setenv("TZ", zone, 1);
	tzset();
	for (int i = 0; i < minutes; i++) {
		time_t t = from_s + i * 60;
		struct tm tm;

		localtime_r(&t, &tm);
		offsets[i] = (int)tm.tm_gmtoff;
	}
}

/* The rule, word by word: a wall time happens when it is shown for the first time; what was skipped
 * happens when the clocks that ran before would have shown it. */
static void
walk(const char *zone, int64_t from_s, int minutes)
{
	static int offsets[YEAR_MINUTES];
	int64_t latest_wall, skip_until = 0;
	struct calendar calendars[N_WALKS];
	int64_t next[N_WALKS];
	int skip_offset = 0;

	read_offsets(zone, from_s, minutes, offsets);
	latest_wall = from_s + offsets[0] - 60;
	for (size_t k = 0; k < N_WALKS; k++) {
		calendars[k] = parse(__LINE__, walk_texts[k]);
		ck_assert_int_eq(calendar_next(&calendars[k], from_s * WHEN_SECOND - 1, zone,
					       &next[k], NULL),
				 0);
	}
	for (int i = 0; i < minutes; i++) {
		int64_t t = from_s + i * 60, wall = t + offsets[i];
		unsigned set = 0;

		if (i > 0 && offsets[i] > offsets[i - 1]) {
			skip_until = t + offsets[i] - offsets[i - 1];
			skip_offset = offsets[i - 1];
		}
		if (wall > latest_wall) {
			set |= wall_matches(wall);
			latest_wall = wall;
		}
		if (t < skip_until)
			set |= wall_matches(t + skip_offset);
		for (size_t k = 0; k < N_WALKS; k++) {
			bool now = set >> k & 1;

			/* An assertion costs a system call. */
			if (now != (next[k] == t * WHEN_SECOND))
				ck_abort_msg("%s in %s: %s, and the walk is at %s", walk_texts[k],
					     zone, when_utc(next[k]).s,
					     when_utc(t * WHEN_SECOND).s);
			if (now)
				calendar_next(&calendars[k], next[k], zone, &next[k], NULL);
		}
	}
}

static const char *const walk_zones[] = {
    BERLIN,
    YORK,
    LORD_HOWE,
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "UTC",
    "Pacific/Chatham",
};

START_TEST(a_walk_over_all_minutes_of_a_year)
{
	walk(walk_zones[_i], at("2026-01-01T00:00:00Z") / WHEN_SECOND, YEAR_MINUTES);
}
END_TEST

/* Two days on either side of every change from 2024 to 2032; and of a day that does not exist, and
 * of changes at midnight, which are longer ago. */
START_TEST(a_walk_around_every_change)
{
	static const struct {
		const char *zone, *change;
	} older[] = {{"Pacific/Apia", "2011-12-30T10:00:00Z"},
		     {"America/Sao_Paulo", "2017-10-15T03:00:00Z"},
		     {"America/Sao_Paulo", "2018-02-18T02:00:00Z"}};
	const int64_t first = at("2024-01-01T00:00:00Z") / WHEN_SECOND,
		      last = at("2033-01-01T00:00:00Z") / WHEN_SECOND;
	static int days[9 * 366 + 1];
	const char *zone = walk_zones[_i];
	int n = (int)((last - first) / ZONE_DAY), changes = 0;

	setenv("TZ", zone, 1);
	tzset();
	for (int i = 0; i <= n; i++) {
		time_t t = first + i * ZONE_DAY;
		struct tm tm;

		localtime_r(&t, &tm);
		days[i] = (int)tm.tm_gmtoff;
	}
	for (int i = 0; i < n; i++)
		if (days[i] != days[i + 1]) {
			walk(zone, first + (i - 2) * ZONE_DAY, 5 * 24 * 60);
			changes++;
		}
	for (size_t i = 0; i < ARRAY_SIZE(older); i++)
		if (strcmp(older[i].zone, zone) == 0)
			walk(zone, at(older[i].change) / WHEN_SECOND - 2 * ZONE_DAY, 4 * 24 * 60);
	if (strcmp(zone, BERLIN) == 0)
		ck_assert_int_eq(changes, 18);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("calendar");
	TCase *tcase = tcase_create("calendar");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_form);
	tcase_add_test(tcase, every_refusal);
	tcase_add_test(tcase, long_texts_are_refused);
	tcase_add_test(tcase, every_next);
	tcase_add_test(tcase, whatever_is_printed_is_parsed_again);
	tcase_add_test(tcase, next_is_consistent);
	tcase_add_loop_test(tcase, a_walk_over_all_minutes_of_a_year, 0, ARRAY_SIZE(walk_zones));
	tcase_add_loop_test(tcase, a_walk_around_every_change, 0, ARRAY_SIZE(walk_zones));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
