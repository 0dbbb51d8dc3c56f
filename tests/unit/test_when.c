/* SPDX-License-Identifier: ISC */
/*
 * when.h as tables: every form and every refusal of the grammar, the hours that clocks skip
 * and repeat, and that whatever is printed can be typed back.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/time/zone.h"
#include "common/json.h"
#include "common/time/when.h"
#include "tests/unit/unit.h"

#define MIN  (60 * WHEN_SECOND)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)

/* An instant from its RFC 3339 text: the tables stay readable. */
static int64_t
at(const char *utc)
{
	int64_t us = -1;

	ck_assert_msg(when_parse_utc(utc, &us) == 0, "test table: %s", utc);
	return us;
}

// clang-format off
static const struct {
	int line;
	const char *text;
	int64_t us; /* -1: refused */
} utcs[] = {
	{__LINE__, "1970-01-01T00:00:00Z",          0},
	{__LINE__, "1970-01-01T00:00:00.000001Z",   1},
	{__LINE__, "2026-11-23T01:00:00.000000Z",   INT64_C(1795395600000000)},
	{__LINE__, "2026-11-23T01:00:00.5Z",        INT64_C(1795395600500000)},
	{__LINE__, "2024-02-29T00:00:00Z",          INT64_C(1709164800000000)},
	{__LINE__, "9999-12-31T23:59:59.999999Z",   INT64_C(253402300799999999)},
	{__LINE__, "2023-02-29T00:00:00Z",          -1},
	{__LINE__, "2026-11-23T01:00:00.Z",         -1},
	{__LINE__, "2026-11-23T01:00:00.0000000Z",  -1},
	{__LINE__, "2026-11-23T01:00:00",           -1},
	{__LINE__, "2026-11-23T01:00:00z",          -1},
	{__LINE__, "2026-11-23T01:00:00+00:00",     -1},
	{__LINE__, "2026-11-23 01:00:00Z",          -1},
	{__LINE__, "2026-11-23T01:00Z",             -1},
	{__LINE__, "2026-11-23T24:00:00Z",          -1},
	{__LINE__, "2026-11-23T01:60:00Z",          -1},
	{__LINE__, "2026-11-23T01:00:60Z",          -1},
	{__LINE__, "2026-13-23T01:00:00Z",          -1},
	{__LINE__, "2026-00-23T01:00:00Z",          -1},
	{__LINE__, "2026-11-00T01:00:00Z",          -1},
	{__LINE__, "1969-12-31T23:59:59Z",          -1},
	{__LINE__, "2026-11-23T01:00:00Z ",         -1},
	{__LINE__, " 2026-11-23T01:00:00Z",         -1},
	{__LINE__, "2026",                          -1},
	{__LINE__, "",                              -1},
};

static const struct {
	int line;
	const char *text;
	int64_t us;
} spans[] = {
	{__LINE__, "30s",           30 * WHEN_SECOND},
	{__LINE__, "5min",          5 * MIN},
	{__LINE__, "2h",            2 * HOUR},
	{__LINE__, "1d",            DAY},
	{__LINE__, "1w",            7 * DAY},
	{__LINE__, "250ms",         250000},
	{__LINE__, "7us",           7},
	{__LINE__, "2h30min",       2 * HOUR + 30 * MIN},
	{__LINE__, "6 h 20 min",    6 * HOUR + 20 * MIN},
	{__LINE__, " 1d 2h ",       DAY + 2 * HOUR},
	{__LINE__, "0s",            0},
	{__LINE__, "",              -1},
	{__LINE__, "30",            -1},
	{__LINE__, "0",             -1},
	{__LINE__, "30m",           -1},
	{__LINE__, "30 S",          -1},
	{__LINE__, "1.5h",          -1},
	{__LINE__, "-2h",           -1},
	{__LINE__, "+2h",           -1},
	{__LINE__, "2h later",      -1},
	{__LINE__, "1month",        -1},
	{__LINE__, "1y",            -1},
	{__LINE__, "99999999999999999999h", -1},
	{__LINE__, "9999999999999999w", -1},
};

static const struct {
	int line;
	int64_t us;
	const char *span, *distance;
} shown[] = {
	{__LINE__, 0,                              "0 s",          "now"},
	{__LINE__, 350000,                         "350 ms",       "now"},
	{__LINE__, 2 * WHEN_SECOND + 999 * 1000,   "3 s",          "in 3 s"},
	{__LINE__, 2 * WHEN_SECOND + 321 * 1000,   "2 s",          "in 2 s"},
	{__LINE__, 34321,                          "34 ms",        "now"},
	{__LINE__, 999600,                         "1 s",          "in 1 s"},
	{__LINE__, 59 * WHEN_SECOND + 700000,      "1 min",        "in 1 min"},
	{__LINE__, 65 * WHEN_SECOND,               "1 min 5 s",    "in 1 min 5 s"},
	{__LINE__, 120 * WHEN_SECOND,              "2 min",        "in 2 min"},
	{__LINE__, -120 * WHEN_SECOND,             "-2 min",       "2 min ago"},
	{__LINE__, 6 * HOUR + 20 * MIN,            "6 h 20 min",   "in 6 h 20 min"},
	{__LINE__, 6 * HOUR + 20 * MIN - 300000,   "6 h 20 min",   "in 6 h 20 min"},
	{__LINE__, HOUR - 300000,                  "1 h",          "in 1 h"},
	{__LINE__, 59 * MIN + 59 * WHEN_SECOND,    "59 min 59 s",  "in 59 min 59 s"},
	{__LINE__, 23 * HOUR + 59 * MIN + 59 * WHEN_SECOND, "1 d", "in 1 d"},
	{__LINE__, 3 * DAY + 4 * HOUR,             "3 d 4 h",      "in 3 d 4 h"},
	{__LINE__, -(3 * DAY + 4 * HOUR),          "-3 d 4 h",     "3 d 4 h ago"},
	{__LINE__, 42,                             "42 us",        "now"},
};

/* Monday 2026-11-23 01:00 UTC, 02:00 in Berlin, is the usual now. */
#define NOW "2026-11-23T01:00:00Z"
#define BERLIN "Europe/Berlin"
#define YORK "America/New_York"

static const struct form {
	int line;
	const char *text, *now, *zone, *instant, *shown_zone;
	const char *note; /* a part of it; "" if there must be none */
	bool relative;
} forms[] = {
	{__LINE__, "now",                     NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "NOW",                     NOW, "UTC",  "2026-11-23T01:00:00Z", "UTC",  "", false},
	{__LINE__, "+2h30min",                NOW, BERLIN, "2026-11-23T03:30:00Z", BERLIN, "", true},
	{__LINE__, "+6 h 20 min",             NOW, BERLIN, "2026-11-23T07:20:00Z", BERLIN, "", true},
	{__LINE__, " +3s ",                   NOW, BERLIN, "2026-11-23T01:00:03Z", BERLIN, "", true},
	{__LINE__, "+250ms",                  NOW, BERLIN, "2026-11-23T01:00:00.25Z", BERLIN, "", true},
	{__LINE__, "+0s",                     NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", true},
	{__LINE__, "+1d",                     NOW, BERLIN, "2026-11-24T01:00:00Z", BERLIN, "", false},
	{__LINE__, "+1w1d",                   NOW, BERLIN, "2026-12-01T01:00:00Z", BERLIN, "", false},
	{__LINE__, "+1d UTC",                 NOW, BERLIN, "2026-11-24T01:00:00Z", "UTC",  "", false},
	{__LINE__, "02:00",                   NOW, BERLIN, "2026-11-24T01:00:00Z", BERLIN, "", false}, /* strictly after */
	{__LINE__, "02:00",                   "2026-11-23T00:59:59.999999Z", BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "02:00:30",                NOW, BERLIN, "2026-11-23T01:00:30Z", BERLIN, "", false},
	{__LINE__, "02:00:30.5",              NOW, BERLIN, "2026-11-23T01:00:30.5Z", BERLIN, "", false},
	{__LINE__, "2:30",                    NOW, BERLIN, "2026-11-23T01:30:00Z", BERLIN, "", false},
	{__LINE__, "00:00",                   NOW, BERLIN, "2026-11-23T23:00:00Z", BERLIN, "", false},
	{__LINE__, "today 23:00",             NOW, BERLIN, "2026-11-23T22:00:00Z", BERLIN, "", false},
	{__LINE__, "today 02:00",             NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "Tomorrow  02:00",         NOW, BERLIN, "2026-11-24T01:00:00Z", BERLIN, "", false},
	{__LINE__, "tomorrow 23:30",          "2026-11-23T23:30:00Z", BERLIN, "2026-11-25T22:30:00Z", BERLIN, "", false},
	{__LINE__, "fri 22:00",               NOW, BERLIN, "2026-11-27T21:00:00Z", BERLIN, "", false},
	{__LINE__, "FRIDAY 22:00",            NOW, BERLIN, "2026-11-27T21:00:00Z", BERLIN, "", false},
	{__LINE__, "Thurs 22:00",             NOW, BERLIN, "2026-11-26T21:00:00Z", BERLIN, "", false},
	{__LINE__, "mon 22:00",               NOW, BERLIN, "2026-11-23T21:00:00Z", BERLIN, "", false},
	{__LINE__, "mon 02:00",               NOW, BERLIN, "2026-11-30T01:00:00Z", BERLIN, "", false},
	{__LINE__, "mon 01:00",               NOW, BERLIN, "2026-11-30T00:00:00Z", BERLIN, "", false},
	{__LINE__, "sun 12:00 UTC",           NOW, BERLIN, "2026-11-29T12:00:00Z", "UTC",  "", false},
	{__LINE__, "2026-11-23 02:00",        NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-12-24 02:00",        NOW, BERLIN, "2026-12-24T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2028-02-29 02:00",        NOW, BERLIN, "2028-02-29T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-12-24T02:00",        NOW, BERLIN, "2026-12-24T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-11-23 02:00:00+01:00 Europe/Berlin",    NOW, "UTC", "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-11-23 02:00:00.25+01:00 Europe/Berlin", NOW, "UTC", "2026-11-23T01:00:00.25Z", BERLIN, "", false},
	{__LINE__, "2026-11-23 03:00:00+00:00 UTC", NOW, BERLIN, "2026-11-23T03:00:00Z", "UTC", "", false},
	{__LINE__, "2026-11-23T02:00:00+01:00", NOW, YORK,  "2026-11-23T01:00:00Z", YORK,  "", false},
	{__LINE__, "2026-11-23 02:00 +01:00", NOW, YORK,    "2026-11-23T01:00:00Z", YORK,  "", false},
	{__LINE__, "2026-11-23T02:00:00.000001-03:30", NOW, YORK, "2026-11-23T05:30:00.000001Z", YORK, "", false},
	{__LINE__, "2026-11-23T02:00:00Z",    NOW, BERLIN, "2026-11-23T02:00:00Z", "UTC",  "", false},
	{__LINE__, "2026-11-23t02:00z",       NOW, BERLIN, "2026-11-23T02:00:00Z", "UTC",  "", false},
	{__LINE__, "02:00 Europe/Berlin",     NOW, YORK,   "2026-11-24T01:00:00Z", BERLIN, "", false},
	{__LINE__, "02:00 UTC",               NOW, BERLIN, "2026-11-23T02:00:00Z", "UTC",  "", false},
	{__LINE__, "02:00 utc",               NOW, BERLIN, "2026-11-23T02:00:00Z", "UTC",  "", false},
	{__LINE__, "02:00Z",                  NOW, BERLIN, "2026-11-23T02:00:00Z", "UTC",  "", false},
	{__LINE__, "02:00+01:00",             NOW, BERLIN, "2026-11-24T01:00:00Z", BERLIN, "", false},
	{__LINE__, "02:00 Etc/GMT+5",         NOW, BERLIN, "2026-11-23T07:00:00Z", "Etc/GMT+5", "", false},
	{__LINE__, "02:00 Asia/Kathmandu",    NOW, BERLIN, "2026-11-23T20:15:00Z", "Asia/Kathmandu", "", false},
	{__LINE__, "today 23:00-05:00",       NOW, BERLIN, "2026-11-23T04:00:00Z", BERLIN, "", false}, /* there it is still Sunday */
	{__LINE__, "tomorrow 23:00 America/New_York", NOW, BERLIN, "2026-11-24T04:00:00Z", YORK, "", false},
	{__LINE__, "@1795395600",             NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "@1795395600.000001",      NOW, BERLIN, "2026-11-23T01:00:00.000001Z", BERLIN, "", false},
	{__LINE__, "@1795395600 UTC",         NOW, BERLIN, "2026-11-23T01:00:00Z", "UTC",  "", false},
	{__LINE__, "9999-12-30 12:00",        NOW, BERLIN, "9999-12-30T11:00:00Z", BERLIN, "", false},

	/* skipped: moved forward by the gap */
	{__LINE__, "02:30", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T01:30:00Z", BERLIN,
	 "02:30 does not exist on 2026-03-29 in Europe/Berlin, where clocks are put forward by 1 h: moved to 2026-03-29 03:30:00+02:00 Europe/Berlin", false},
	{__LINE__, "2026-03-29 02:00", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T01:00:00Z", BERLIN, "does not exist", false},
	{__LINE__, "2026-03-29 03:00", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-03-29 01:59:59", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T00:59:59Z", BERLIN, "", false},
	{__LINE__, "tomorrow 02:30", "2026-03-07T12:00:00Z", YORK, "2026-03-08T07:30:00Z", YORK, "moved to 2026-03-08 03:30:00-04:00", false},
	{__LINE__, "sun 02:15", "2026-10-01T00:00:00Z", "Australia/Lord_Howe", "2026-10-03T15:45:00Z", "Australia/Lord_Howe", "forward by 30 min: moved to 2026-10-04 02:45:00+11:00", false},
	{__LINE__, "2011-12-30 12:00", "2011-12-01T00:00:00Z", "Pacific/Apia", "2011-12-30T22:00:00Z", "Pacific/Apia", "forward by 1 d: moved to 2011-12-31 12:00:00+14:00", false},
	{__LINE__, "2017-10-15 00:30", "2017-10-01T00:00:00Z", "America/Sao_Paulo", "2017-10-15T03:30:00Z", "America/Sao_Paulo", "moved to 2017-10-15 01:30:00-02:00", false},
	{__LINE__, "+1d", "2026-03-28T01:30:00Z", BERLIN, "2026-03-29T01:30:00Z", BERLIN, "02:30 does not exist", false},
	{__LINE__, "+24h", "2026-03-28T01:30:00Z", BERLIN, "2026-03-29T01:30:00Z", BERLIN, "", true},
	/* elapsed or of the calendar: over the change the two part */
	{__LINE__, "+1d", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T11:00:00Z", BERLIN, "", false},
	{__LINE__, "+24h", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T12:00:00Z", BERLIN, "", true},
	{__LINE__, "+1d2h", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T13:00:00Z", BERLIN, "", false},
	{__LINE__, "+2h1d", "2026-03-28T12:00:00Z", BERLIN, "2026-03-29T13:00:00Z", BERLIN, "", false},
	{__LINE__, "+1w", "2026-10-20T12:00:00Z", BERLIN, "2026-10-27T13:00:00Z", BERLIN, "", false},
	{__LINE__, "+1d", "2011-12-29T20:00:00Z", "Pacific/Apia", "2011-12-30T20:00:00Z", "Pacific/Apia", "does not exist on 2011-12-30", false},

	/* repeated: the first that is still ahead */
	{__LINE__, "02:30", "2026-10-24T12:00:00Z", BERLIN, "2026-10-25T00:30:00Z", BERLIN,
	 "02:30 comes twice on 2026-10-25 in Europe/Berlin: taken is the first, 2026-10-25 02:30:00+02:00 Europe/Berlin; the second is 2026-10-25 02:30:00+01:00 Europe/Berlin", false},
	{__LINE__, "02:30", "2026-10-25T00:30:00Z", BERLIN, "2026-10-25T01:30:00Z", BERLIN,
	 "taken is the second, 2026-10-25 02:30:00+01:00 Europe/Berlin; the first is 2026-10-25 02:30:00+02:00 Europe/Berlin", false},
	{__LINE__, "02:30", "2026-10-25T01:30:00Z", BERLIN, "2026-10-26T01:30:00Z", BERLIN, "", false},
	{__LINE__, "2026-10-25 02:30", "2026-10-25T00:30:00Z", BERLIN, "2026-10-25T00:30:00Z", BERLIN, "taken is the first", false},
	{__LINE__, "2026-10-25 02:30", "2026-10-25T00:45:00Z", BERLIN, "2026-10-25T01:30:00Z", BERLIN, "taken is the second", false},
	{__LINE__, "today 02:30", "2026-10-25T01:15:00Z", BERLIN, "2026-10-25T01:30:00Z", BERLIN, "taken is the second", false},
	{__LINE__, "2026-10-25 02:30+01:00", "2026-10-24T12:00:00Z", BERLIN, "2026-10-25T01:30:00Z", BERLIN, "", false},
	{__LINE__, "2026-10-25 02:30:00+02:00 Europe/Berlin", "2026-10-24T12:00:00Z", "UTC", "2026-10-25T00:30:00Z", BERLIN, "", false},
	{__LINE__, "2026-10-25 02:30:00+01:00 Europe/Berlin", "2026-10-24T12:00:00Z", "UTC", "2026-10-25T01:30:00Z", BERLIN, "", false},
	{__LINE__, "02:30+01:00 Europe/Berlin", "2026-10-24T12:00:00Z", "UTC", "2026-10-25T01:30:00Z", BERLIN, "", false},
	{__LINE__, "2026-10-25 01:45", "2026-10-24T12:00:00Z", "Europe/Dublin", "2026-10-25T00:45:00Z", "Europe/Dublin", "taken is the first, 2026-10-25 01:45:00+01:00", false},
	{__LINE__, "2026-04-05 01:45", "2026-04-01T12:00:00Z", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "Australia/Lord_Howe", "the second is 2026-04-05 01:45:00+10:30", false},
	{__LINE__, "2018-02-17 23:30", "2018-02-01T12:00:00Z", "America/Sao_Paulo", "2018-02-18T01:30:00Z", "America/Sao_Paulo", "the second is 2018-02-17 23:30:00-03:00", false},
	{__LINE__, "23:30", "2018-02-18T01:30:00Z", "America/Sao_Paulo", "2018-02-18T02:30:00Z", "America/Sao_Paulo", "taken is the second", false},
	{__LINE__, "+1d", "2026-10-24T00:30:00Z", BERLIN, "2026-10-25T00:30:00Z", BERLIN, "comes twice", false},
};

static const struct form past_forms[] = {
	{__LINE__, "now",                 NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2h",                  NOW, BERLIN, "2026-11-22T23:00:00Z", BERLIN, "", false},
	{__LINE__, "2h ago",              NOW, BERLIN, "2026-11-22T23:00:00Z", BERLIN, "", false},
	{__LINE__, "2h30min AGO",         NOW, BERLIN, "2026-11-22T22:30:00Z", BERLIN, "", false},
	{__LINE__, "-2h",                 NOW, BERLIN, "2026-11-22T23:00:00Z", BERLIN, "", false},
	{__LINE__, "3d",                  NOW, BERLIN, "2026-11-20T01:00:00Z", BERLIN, "", false},
	{__LINE__, "30d",                 NOW, BERLIN, "2026-10-24T00:00:00Z", BERLIN, "", false},
	{__LINE__, "02:00",               NOW, BERLIN, "2026-11-23T01:00:00Z", BERLIN, "", false},
	{__LINE__, "03:00",               NOW, BERLIN, "2026-11-22T02:00:00Z", BERLIN, "", false},
	{__LINE__, "fri 22:00",           NOW, BERLIN, "2026-11-20T21:00:00Z", BERLIN, "", false},
	{__LINE__, "mon 22:00",           NOW, BERLIN, "2026-11-16T21:00:00Z", BERLIN, "", false},
	{__LINE__, "today",               NOW, BERLIN, "2026-11-22T23:00:00Z", BERLIN, "", false},
	{__LINE__, "yesterday",           NOW, BERLIN, "2026-11-21T23:00:00Z", BERLIN, "", false},
	{__LINE__, "yesterday 12:00",     NOW, BERLIN, "2026-11-22T11:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-11-01",          NOW, BERLIN, "2026-10-31T23:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-11-01 02:00",    NOW, BERLIN, "2026-11-01T01:00:00Z", BERLIN, "", false},
	{__LINE__, "2026-11-01T02:00:00Z", NOW, BERLIN, "2026-11-01T02:00:00Z", "UTC", "", false},
	{__LINE__, "@0",                  NOW, BERLIN, "1970-01-01T00:00:00Z", BERLIN, "", false},
	{__LINE__, "02:30", "2026-10-25T12:00:00Z", BERLIN, "2026-10-25T01:30:00Z", BERLIN, "taken is the second", false},
	{__LINE__, "02:30", "2026-10-25T01:15:00Z", BERLIN, "2026-10-25T00:30:00Z", BERLIN, "taken is the first", false},
	{__LINE__, "02:30", "2026-03-29T12:00:00Z", BERLIN, "2026-03-29T01:30:00Z", BERLIN, "moved to", false},
};

/* What is refused: at which column, and a part of the sentence. */
static const struct refusal {
	int line;
	const char *text;
	int column;
	const char *part;
} refusals[] = {
	{__LINE__, "",                       1,  "a time is expected"},
	{__LINE__, "   ",                    4,  "a time is expected"},
	{__LINE__, "2026-11-24",             11, "such as 2026-11-24 02:00"},
	{__LINE__, "tomorrow",               9,  "such as tomorrow 02:00"},
	{__LINE__, "fri",                    4,  "such as fri 02:00"},
	{__LINE__, "today",                  6,  "a day needs a time, such as tomorrow 02:00"},
	{__LINE__, "yesterday",              10, "that day has passed; write a time that is ahead, such as tomorrow 02:00"},
	{__LINE__, "2026-11-22",             11, "that day has passed; write a time that is ahead, such as tomorrow 02:00"},
	{__LINE__, "2026-11-23",             11, "a day needs a time, such as tomorrow 02:00"},
	{__LINE__, "today02:00",             6,  "parted by a space, such as tomorrow 02:00"},
	{__LINE__, "02:00 2026-11-22",       7,  "that day has passed; write a time that is ahead, such as tomorrow 02:00"},
	{__LINE__, "02:00 yesterday",        7,  "that day has passed; write a time that is ahead, such as tomorrow 02:00"},
	{__LINE__, "02:00 2026-02-30",       15, "2026-02 has 28 days"},
	{__LINE__, "now + 10 minutes",       5,  "a span from now stands alone, such as +2h30min"},
	{__LINE__, "now +10min",             5,  "a span from now stands alone"},
	{__LINE__, "28.11.2026 02:00",       1,  "a date is year-month-day in digits"},
	{__LINE__, "2026/11/28 02:00",       1,  "a date is year-month-day in digits"},
	{__LINE__, "02.00",                  3,  "parted by a colon, such as 02:00"},
	{__LINE__, "2026-11-22 02:00",       1,  "that has passed, 1 d ago"},
	{__LINE__, "today 01:59",            1,  "that has passed"},
	{__LINE__, "yesterday 02:00",        1,  "that has passed"},
	{__LINE__, "2026-11-23T00:59:59Z",   1,  "that has passed, 1 s ago"},
	{__LINE__, "@1795374229",            1,  "that has passed"},
	{__LINE__, "2",                      1,  "such as 02:00 or +2h"},
	{__LINE__, "0200",                   1,  "a number alone"},
	{__LINE__, "+2",                     3,  "needs a unit"},
	{__LINE__, "+2h30",                  6,  "needs a unit"},
	{__LINE__, "+",                      2,  "a number with its unit"},
	{__LINE__, "+2m",                    3,  "minutes are min"},
	{__LINE__, "+1month",                3,  "\"month\" is no unit"},
	{__LINE__, "+1y",                    3,  "is no unit"},
	{__LINE__, "+2H",                    3,  "is no unit"},
	{__LINE__, "+1.5h",                  3,  "whole numbers"},
	{__LINE__, "+2h ago",                5,  "\"ago\""},
	{__LINE__, "+99999999999999999999h", 2,  "longer than all years"},
	{__LINE__, "+9000000d",              2,  "longer than all years"},
	{__LINE__, "+2920000d",              1,  "years go from"},
	{__LINE__, "-2h",                    1,  "that has passed"},
	{__LINE__, "2h",                     1,  "begins with +"},
	{__LINE__, "2h ago",                 1,  "begins with +"},
	{__LINE__, "in 2h",                  1,  "begins with +"},
	{__LINE__, "2am",                    2,  "24 hours"},
	{__LINE__, "2 pm",                   3,  "24 hours"},
	{__LINE__, "02:00am",                6,  "24 hours"},
	{__LINE__, "02:00 PM",               7,  "24 hours"},
	{__LINE__, "noon",                   1,  "tomorrow 12:00"},
	{__LINE__, "midnight",               1,  "tomorrow 00:00"},
	{__LINE__, "24:00",                  1,  "hours go from"},
	{__LINE__, "25:00",                  1,  "hours go from"},
	{__LINE__, "123:00",                 1,  "time of the day"},
	{__LINE__, "02:60",                  4,  "minutes go from"},
	{__LINE__, "02:0",                   4,  "two digits"},
	{__LINE__, "02:000",                 4,  "two digits"},
	{__LINE__, "02:",                    4,  "two digits"},
	{__LINE__, "02:00:60",               7,  "seconds go from"},
	{__LINE__, "02:00:3",                7,  "two digits"},
	{__LINE__, "02:00:30.",              9,  "one to six digits"},
	{__LINE__, "02:00:30.1234567",       9,  "one to six digits"},
	{__LINE__, "02:00 CET",              7,  "\"CET\" is an abbreviation"},
	{__LINE__, "02:00 EST",              7,  "is an abbreviation"},
	{__LINE__, "02:00 GMT",              7,  "is an abbreviation"},
	{__LINE__, "02:00 EST5EDT",          7,  "no zone \"EST5EDT\""},
	{__LINE__, "02:00 europe/berlin",    7,  "such as 02:00 Europe/Berlin"},
	{__LINE__, "02:00 Berlin",           7,  "such as 02:00 Europe/Berlin"},
	{__LINE__, "02:00 Paris",            7,  "such as 02:00 Europe/Paris"},
	{__LINE__, "02:00 Asia/Kathmandoo",   7,  "such as 02:00 Asia/Kathmandu"},
	{__LINE__, "02:00 Europe/Berlinn",   7,  "no zone \"Europe/Berlinn\""},
	{__LINE__, "02:00 Europe/",          7,  "no zone"},
	{__LINE__, "02:00 Europe",           7,  "no zone \"Europe\""},
	{__LINE__, "02:00 ../../etc/passwd", 7,  "nothing but a zone"},
	{__LINE__, "02:00 Europe/../Europe/Berlin", 7, "no zone \"Europe/\""},
	{__LINE__, "02:00 right/Europe/Berlin", 7, "no zone"},
	{__LINE__, "02:00 posix/Europe/Berlin", 7, "no zone"},
	{__LINE__, "02:00 /etc/localtime",   7,  "no zone"},
	{__LINE__, "02:00 Europe/Berlin x",  21, "nothing can follow"},
	{__LINE__, "02:00Z x",               8,  "nothing can follow"},
	{__LINE__, "02:00 tomorrow",         7,  "such as tomorrow 02:00"},
	{__LINE__, "22:00 fri",              7,  "such as fri 02:00"},
	{__LINE__, "02:00 2026-11-24",       7,  "such as 2026-11-24 02:00"},
	{__LINE__, "02:00 ?",                7,  "nothing but a zone"},
	{__LINE__, "02:00+1",                6,  "hours and minutes"},
	{__LINE__, "02:00+0100",             6,  "hours and minutes"},
	{__LINE__, "02:00 +2h",              7,  "a span stands alone"},
	{__LINE__, "02:00+23:00",            6,  "no clock on earth"},
	{__LINE__, "02:00+01:60",            6,  "no clock on earth"},
	{__LINE__, "2026-11-24 02:00+02:00 Europe/Berlin", 17, "has another offset then: write that time as"},
	{__LINE__, "2027-03-28 02:30+01:00 Europe/Berlin", 17, "2027-03-28 03:30:00+02:00 Europe/Berlin"},
	{__LINE__, "02:00+02:00 Europe/Berlin", 6, "has another offset then: write that time as"},
	{__LINE__, "tomorrow02:00",          9,  "parted by a space"},
	{__LINE__, "2026-11-24T",            12, "time of the day"},
	{__LINE__, "2026-13-01 02:00",       6,  "no month 13"},
	{__LINE__, "2026-02-30 02:00",       9,  "2026-02 has 28 days"},
	{__LINE__, "2027-2-3 02:00",         1,  "year-month-day"},
	{__LINE__, "1968-12-31 02:00",       1,  "years go from 1970"},
	{__LINE__, "1969-12-31 02:00",       1,  "that has passed"},
	{__LINE__, "9999-12-31 02:00",       1,  "years go from 1970"},
	{__LINE__, "23.11.2026 02:00",       1,  "a date is year-month-day in digits"},
	{__LINE__, "11/23/2026 02:00",       1,  "a date is year-month-day in digits"},
	{__LINE__, "@",                      2,  "seconds since 1970"},
	{__LINE__, "@x",                     2,  "seconds since 1970"},
	{__LINE__, "@-5",                    2,  "seconds since 1970"},
	{__LINE__, "@99999999999999999999",  2,  "after the year 9999"},
	{__LINE__, "@999999999999",          1,  "years go from"},
	{__LINE__, "foo",                    1,  "that is no time"},
	{__LINE__, "morgen 02:00",           1,  "that is no time"},
	{__LINE__, "\xc3\xa4\xc3\xa4 02:00", 1,  "that is no time"},
	{__LINE__, "02:00 \xc3\xa4\xc3\xa4", 7,  "nothing but a zone"},
	{__LINE__, "02:00 UTC \xc3\xa4",     11, "nothing can follow"},
	{__LINE__, "\x1b[31m",               1,  "that is no time"},
	{__LINE__, "tomorrow 02:00 tomorrow 02:00 tomorrow 02:00 tomorrow 02:00 tomorrow 02:00 tomorrow 02:00 tomorrow 02:00 tomorrow 02:00 tomorrow 02:00", 1, "as long as this"},
};

static const struct refusal past_refusals[] = {
	{__LINE__, "+2h",              1, "still ahead"},
	{__LINE__, "tomorrow 02:00",   1, "still ahead"},
	{__LINE__, "2026-11-24 02:00", 1, "still ahead, in 1 d"},
	{__LINE__, "2026-11-24",       1, "still ahead"},
	{__LINE__, "@1795395601",      1, "still ahead, in 1 s"},
	{__LINE__, "1969-12-31 02:00", 1, "years go from 1970"},
	{__LINE__, "2x",               2, "is no unit"},
	{__LINE__, "2",                1, "a number alone"},
	{__LINE__, "30000000d",        1, "longer than all years"},
	{__LINE__, "30000d",           1, "years go from"},
	{__LINE__, "",                 1, "a time is expected"},
};
// clang-format on

START_TEST(utc_is_read_strictly)
{
	for (size_t i = 0; i < ARRAY_SIZE(utcs); i++) {
		int64_t us = -1;

		ck_assert_msg(when_parse_utc(utcs[i].text, &us) == (utcs[i].us < 0 ? -EINVAL : 0),
			      "line %d", utcs[i].line);
		ck_assert_msg(us == utcs[i].us, "line %d: %lld", utcs[i].line, (long long)us);
	}
}
END_TEST

START_TEST(utc_is_printed_and_read_again)
{
	ck_assert_str_eq(when_utc(0).s, "1970-01-01T00:00:00.000000Z");
	ck_assert_str_eq(when_utc(-1).s, "1969-12-31T23:59:59.999999Z");
	ck_assert_str_eq(when_utc(INT64_C(1795395600000000)).s, "2026-11-23T01:00:00.000000Z");
	for (int64_t us = 0; us < at("9999-12-31T00:00:00Z"); us += 37 * DAY + 12345678901)
		ck_assert_int_eq(at(when_utc(us).s), us);
}
END_TEST

START_TEST(spans_have_units)
{
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		int64_t us = -1;
		int r = when_parse_span(spans[i].text, &us, &err);

		ck_assert_msg(r == (spans[i].us < 0 ? -EINVAL : 0), "line %d: %s", spans[i].line,
			      err.text);
		ck_assert_msg(us == spans[i].us, "line %d: %lld", spans[i].line, (long long)us);
		if (r < 0)
			ck_assert_msg(err.code == ERR_BAD_TIME && strstr(err.text, "such as"),
				      "line %d: %s", spans[i].line, err.text);
	}
}
END_TEST

START_TEST(spans_and_distances_are_shown)
{
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		int64_t now = at("2026-11-23T01:00:00Z");

		ck_assert_msg(!strcmp(when_span(shown[i].us).s, shown[i].span), "line %d: %s",
			      shown[i].line, when_span(shown[i].us).s);
		ck_assert_msg(!strcmp(when_distance(now + shown[i].us, now).s, shown[i].distance),
			      "line %d: %s", shown[i].line,
			      when_distance(now + shown[i].us, now).s);
	}
	ck_assert(strlen(when_span(INT64_MIN).s) > 0);
	ck_assert(strlen(when_distance(INT64_MAX, INT64_MIN).s) > 0);
	ck_assert(strlen(when_distance(INT64_MIN, 0).s) > 0);
}
END_TEST

static void
check_forms(const struct form *table, size_t n,
	    int (*parse)(const char *, int64_t, const char *, struct when *, struct err *))
{
	for (size_t i = 0; i < n; i++) {
		const struct form *form = &table[i];
		_cleanup_err_ struct err err = ERR_INIT;
		struct when when = {0};
		int r = parse(form->text, at(form->now), form->zone, &when, &err);

		ck_assert_msg(r == 0, "line %d: %s", form->line, err.text);
		ck_assert_msg(when.at_us == at(form->instant), "line %d: %s is %s", form->line,
			      form->text, when_utc(when.at_us).s);
		ck_assert_msg(!strcmp(when.zone, form->shown_zone), "line %d: %s", form->line,
			      when.zone);
		ck_assert_msg(form->note[0] ? strstr(when.note, form->note) != NULL : !when.note[0],
			      "line %d: %s", form->line, when.note);
		ck_assert_msg(when.relative == form->relative, "line %d", form->line);
	}
}

START_TEST(every_form)
{
	check_forms(forms, ARRAY_SIZE(forms), when_parse);
	check_forms(past_forms, ARRAY_SIZE(past_forms), when_parse_past);
}
END_TEST

/* What is proposed can be typed, a minute later: a time, or a part of one such as its span. A list
 * of proposals is left out. */
static void
check_proposal(const struct refusal *refusal, const char *sentence,
	       int (*parse)(const char *, int64_t, const char *, struct when *, struct err *))
{
	const char *proposal = strstr(sentence, "such as ");
	struct when when;
	int64_t us;

	if (proposal == NULL)
		return;
	proposal += strlen("such as ");
	if (strchr(proposal, ',') || strstr(proposal, " or ") || strstr(proposal, " for ") ||
	    strstr(proposal, " of "))
		return;
	ck_assert_msg(parse(proposal, at(NOW) + INT64_C(60000000), BERLIN, &when, NULL) == 0 ||
			  when_parse_span(proposal, &us, NULL) == 0,
		      "line %d proposes \"%s\"", refusal->line, proposal);
}

static void
check_refusals(const struct refusal *table, size_t n,
	       int (*parse)(const char *, int64_t, const char *, struct when *, struct err *))
{
	for (size_t i = 0; i < n; i++) {
		const struct refusal *refusal = &table[i];
		_cleanup_err_ struct err err = ERR_INIT;
		struct when when = {.at_us = 42};
		int r = parse(refusal->text, at(NOW), BERLIN, &when, &err);

		ck_assert_msg(r == -EINVAL, "line %d: %s is %s", refusal->line, refusal->text,
			      when_utc(when.at_us).s);
		ck_assert_msg(when.at_us == 42, "line %d: touched", refusal->line);
		ck_assert_msg(err.code == ERR_BAD_TIME, "line %d", refusal->line);
		ck_assert_msg(strstr(err.text, refusal->part) != NULL, "line %d: %s", refusal->line,
			      err.text);
		ck_assert_msg(json_get_int(err.fields, "column", 0) == refusal->column,
			      "line %d: %s", refusal->line, err.text);
		ck_assert_msg(json_get_string(err.fields, "text") != NULL, "line %d",
			      refusal->line);
		ck_assert_msg(strstr(err.text, "such as") || strstr(err.text, "write "),
			      "line %d has no example: %s", refusal->line, err.text);
		ck_assert_msg(!strpbrk(err.text, "\x1b\n"), "line %d: raw", refusal->line);
		check_proposal(refusal, err.text, parse);
		ck_assert(parse(refusal->text, at(NOW), BERLIN, &when, NULL) == -EINVAL);
	}
}

START_TEST(every_refusal)
{
	check_refusals(refusals, ARRAY_SIZE(refusals), when_parse);
	check_refusals(past_refusals, ARRAY_SIZE(past_refusals), when_parse_past);
}
END_TEST

START_TEST(the_callers_zone_is_checked)
{
	static const char *const bad[] = {
	    "",	      "CET",	     "Nonsense",       "Europe/Berlinn", "../etc",
	    "Europe", "/etc/passwd", "Europe/Berlin/", "right/UTC",	 "America/Indiana"};
	static const char *const good[] = {"UTC", "Etc/UTC", "America/Argentina/Buenos_Aires",
					   "Etc/GMT-14", "America/Port-au-Prince"};
	struct when when;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_err_ struct err err = ERR_INIT;

		ck_assert_msg(!when_zone_valid(bad[i]), "%s", bad[i]);
		ck_assert_int_eq(when_parse("02:00", at(NOW), bad[i], &when, &err), -EINVAL);
		ck_assert_msg(strstr(err.text, "no zone") != NULL, "%s", err.text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(when_zone_valid(good[i]), "%s", good[i]);
}
END_TEST

static const char *const zones[] = {
    BERLIN,
    YORK,
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "UTC",
};

/* What is printed is typed again, with a now just before and from another zone. */
static void
check_round_trip(int64_t us, const char *zone)
{
	struct when_text text = when_local(us, zone);
	_cleanup_err_ struct err err = ERR_INIT;
	struct when when = {0};

	ck_assert_msg(when_parse(text.s, us - 1, "Asia/Tokyo", &when, &err) == 0, "%s: %s", text.s,
		      err.text);
	ck_assert_msg(when.at_us == us && !strcmp(when.zone, zone) && !when.note[0], "%s is %s",
		      text.s, when_utc(when.at_us).s);
}

/* The bare wall time, without its offset: the same instant, or the other one of a repeated hour,
 * and then with a note. */
static void
check_wall(int64_t us, const char *zone)
{
	struct when_text text = when_local(us, zone);
	_cleanup_err_ struct err err = ERR_INIT;
	struct when when = {0}, later = {0};

	text.s[19] = '\0';
	ck_assert_msg(when_parse(text.s, us - DAY, zone, &when, &err) == 0, "%s: %s", text.s,
		      err.text);
	ck_assert_msg(when.at_us == us || (when.at_us < us && strstr(when.note, "comes twice")),
		      "%s %s is %s", text.s, zone, when_utc(when.at_us).s);
	ck_assert_int_eq(when_parse(text.s, us, zone, &later, NULL), 0);
	ck_assert_msg(later.at_us == us, "%s %s is %s", text.s, zone, when_utc(later.at_us).s);
	/* As a time of the day it is the next one: strictly ahead, and never more than a day and a
	 * gap away. */
	ck_assert_int_eq(when_parse(text.s + 11, us, zone, &later, NULL), 0);
	ck_assert_msg(later.at_us > us && later.at_us <= us + 2 * DAY, "%s %s is %s", text.s + 11,
		      zone, when_utc(later.at_us).s);
}

START_TEST(whatever_is_printed_can_be_typed)
{
	for (size_t z = 0; z < ARRAY_SIZE(zones); z++) {
		int64_t first = at("2024-01-01T00:00:00Z") / WHEN_SECOND;
		int64_t last = at("2033-01-01T00:00:00Z") / WHEN_SECOND;
		int changes = 0;

		for (int64_t s = first; s < last; s += ZONE_DAY) {
			int64_t low = s, high = s + ZONE_DAY;

			if (zone_offset(zones[z], low) == zone_offset(zones[z], high))
				continue;
			while (high - low > 1) {
				int64_t middle = low + (high - low) / 2;

				if (zone_offset(zones[z], middle) == zone_offset(zones[z], low))
					low = middle;
				else
					high = middle;
			}
			changes++;
			for (int64_t k = -12; k <= 12; k++) {
				check_round_trip((high + k * 900) * WHEN_SECOND, zones[z]);
				check_round_trip((high + k * 900) * WHEN_SECOND + 123456, zones[z]);
				check_wall((high + k * 900) * WHEN_SECOND, zones[z]);
			}
			check_round_trip(high * WHEN_SECOND - 1, zones[z]);
		}
		if (!strcmp(zones[z], BERLIN) || !strcmp(zones[z], "Australia/Lord_Howe"))
			ck_assert_int_eq(changes, 18);
		check_round_trip(at(NOW), zones[z]);
	}
}
END_TEST

/* ---- a walk over the minutes ---- */

#define WALK_DAYS    366
#define WALK_MINUTES (WALK_DAYS * 24 * 60)

/* of the minutes from WALK_FROM on, as the C library says */
static int walk_offsets[WALK_MINUTES];
/* of each wall minute: when the clocks show it; 0: not */
static int64_t walk_shown[WALK_MINUTES][2];

/* What the clocks show, minute by minute, and the other way round. Wall times are counted as if
 * they were UTC. */
static void
walk_clocks(const char *zone, int64_t from_s, int minutes)
{
	setenv("TZ", zone, 1);
	tzset();
	memset(walk_shown, 0, sizeof(walk_shown));
	for (int i = 0; i < minutes; i++) {
		time_t t = from_s + i * 60;
		struct tm tm;
		int64_t wall;

		localtime_r(&t, &tm);
		walk_offsets[i] = (int)tm.tm_gmtoff;
		wall = (t + walk_offsets[i] - from_s) / 60;
		if (wall < 0 || wall >= minutes)
			continue;
		walk_shown[wall][walk_shown[wall][0] ? 1 : 0] = t;
	}
	unsetenv("TZ");
	tzset();
}

/* The instant of a wall minute that is never shown: what the clocks that ran before would have made
 * it. */
static int64_t
walk_skipped(int wall)
{
	int before = wall;

	while (!walk_shown[before][0])
		before--;
	return walk_shown[before][walk_shown[before][1] ? 1 : 0] + (int64_t)(wall - before) * 60;
}

static void
walk_one(const char *zone, int64_t from_s, int wall)
{
	struct when_text text = when_local((from_s + wall * 60) * WHEN_SECOND, "UTC");
	int64_t first = walk_shown[wall][0], second = walk_shown[wall][1];
	struct when when = {0};

	text.s[19] = '\0';
	if (when_parse(text.s, (from_s - 86400) * WHEN_SECOND, zone, &when, NULL) < 0)
		ck_abort_msg("%s %s is refused", text.s, zone);
	if (!first) {
		if (when.at_us != walk_skipped(wall) * WHEN_SECOND ||
		    !strstr(when.note, "does not exist"))
			ck_abort_msg("%s %s is skipped, and is %s: %s", text.s, zone,
				     when_utc(when.at_us).s, when.note);
		return;
	}
	if (when.at_us != first * WHEN_SECOND ||
	    (second ? !strstr(when.note, "comes twice") : when.note[0] != '\0'))
		ck_abort_msg("%s %s is %s: %s", text.s, zone, when_utc(when.at_us).s, when.note);
	if (when.wall_s != (strcmp(zone, "UTC") ? from_s + wall * 60 : 0))
		ck_abort_msg("%s %s: wall time %lld", text.s, zone, (long long)when.wall_s);
	if (second && (when_parse(text.s, first * WHEN_SECOND + 1, zone, &when, NULL) < 0 ||
		       when.at_us != second * WHEN_SECOND))
		ck_abort_msg("%s %s: the second is %s", text.s, zone, when_utc(when.at_us).s);
}

/* Every minute of the hours around each change from 2024 to 2032; one in so many of the days around
 * them, and of a whole year. */
START_TEST(a_walk_over_the_minutes)
{
	const int64_t first = zone_days(2024, 1, 1) * ZONE_DAY,
		      last = zone_days(2033, 1, 1) * ZONE_DAY;
	const char *zone = zones[_i];
	int changes = 0;

	for (int64_t day = first; day < last; day += ZONE_DAY) {
		if (zone_offset(zone, day) == zone_offset(zone, day + ZONE_DAY))
			continue;
		changes++;
		walk_clocks(zone, day - 2 * ZONE_DAY, 5 * 24 * 60);
		for (int wall = 24 * 60; wall < 4 * 24 * 60; wall++)
			if (walk_offsets[wall - 300] != walk_offsets[wall + 300] || wall % 17 == 0)
				walk_one(zone, day - 2 * ZONE_DAY, wall);
	}
	if (strcmp(zone, BERLIN) == 0)
		ck_assert_int_eq(changes, 18);
	walk_clocks(zone, first, WALK_MINUTES);
	for (int wall = 24 * 60; wall < WALK_MINUTES - 24 * 60; wall += 97)
		walk_one(zone, first, wall);
}
END_TEST

START_TEST(local_times_are_shown)
{
	ck_assert_str_eq(when_local(at(NOW), BERLIN).s, "2026-11-23 02:00:00+01:00 Europe/Berlin");
	ck_assert_str_eq(when_local(at(NOW) + 500000, BERLIN).s,
			 "2026-11-23 02:00:00.500000+01:00 Europe/Berlin");
	ck_assert_str_eq(when_local(at(NOW), "UTC").s, "2026-11-23 01:00:00+00:00 UTC");
	ck_assert_str_eq(when_local(at(NOW), "Asia/Kathmandu").s,
			 "2026-11-23 06:45:00+05:45 Asia/Kathmandu");
	ck_assert_str_eq(when_local(at(NOW), "America/St_Johns").s,
			 "2026-11-22 21:30:00-03:30 America/St_Johns");
	ck_assert_str_eq(when_local(at(NOW), "Nonsense").s, "2026-11-23 01:00:00+00:00 UTC");
	ck_assert_str_eq(when_local(0, "Africa/Monrovia").s,
			 "1969-12-31 23:15:30-00:44:30 Africa/Monrovia");
	check_round_trip(0, YORK);
	check_round_trip(at("1971-06-01T12:00:00Z"), "Africa/Monrovia");
}
END_TEST

/* The process's own zone is what it was, whatever was asked in between. */
START_TEST(the_environment_is_left_alone)
{
	char zone[WHEN_ZONE_MAX];
	_cleanup_err_ struct err err = ERR_INIT;

	setenv("TZ", "Asia/Tokyo", 1);
	when_local(at(NOW), BERLIN);
	ck_assert_str_eq(getenv("TZ"), "Asia/Tokyo");
	ck_assert_int_eq(when_zone_local(zone, &err), 0);
	ck_assert_str_eq(zone, "Asia/Tokyo");
	setenv("TZ", ":/usr/share/zoneinfo/Europe/Berlin", 1);
	ck_assert_int_eq(when_zone_local(zone, &err), 0);
	ck_assert_str_eq(zone, BERLIN);
	setenv("TZ", "UTC", 1);
	ck_assert_int_eq(when_zone_local(zone, &err), 0);
	ck_assert_str_eq(zone, "UTC");
	setenv("TZ", "", 1);
	ck_assert_int_eq(when_zone_local(zone, &err), 0);
	ck_assert_str_eq(zone, "UTC");
	setenv("TZ", "Europe/Berlinn", 1);
	ck_assert_int_eq(when_zone_local(zone, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "Europe/Berlinn") != NULL, "%s", err.text);
	unsetenv("TZ");
	ck_assert_int_eq(when_zone_local(zone, &err), 0);
	when_local(at(NOW), BERLIN);
	ck_assert_ptr_null(getenv("TZ"));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
	    utc_is_read_strictly,
	    utc_is_printed_and_read_again,
	    spans_have_units,
	    spans_and_distances_are_shown,
	    every_form,
	    every_refusal,
	    the_callers_zone_is_checked,
	    whatever_is_printed_can_be_typed,
	    local_times_are_shown,
	    the_environment_is_left_alone,
	};
	Suite *suite = suite_create("when");
	TCase *tcase = tcase_create("when");

	tcase_set_timeout(tcase, 60);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	tcase_add_loop_test(tcase, a_walk_over_the_minutes, 0, ARRAY_SIZE(zones));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
