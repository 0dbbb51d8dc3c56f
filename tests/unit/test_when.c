/* SPDX-License-Identifier: ISC */
/*
 * when.h as tables: every form and every refusal of CONTRACT section 5, the hours that clocks skip and repeat, and
 * that whatever is printed can be typed back.
 */
#include <errno.h>
#include <string.h>

#include "common/calendar.h"
#include "common/when.h"
#include "tests/unit/unit.h"

#define MIN (60 * WHEN_SECOND)
#define HOUR (60 * MIN)
#define DAY (24 * HOUR)

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
	{__LINE__, 2 * WHEN_SECOND + 999 * 1000,   "2 s 999 ms",   "in 3 s"},
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

		ck_assert_msg(r == (spans[i].us < 0 ? -EINVAL : 0), "line %d: %s", spans[i].line, err.text);
		ck_assert_msg(us == spans[i].us, "line %d: %lld", spans[i].line, (long long)us);
		if (r < 0)
			ck_assert_msg(err.code == ERR_BAD_TIME && strstr(err.text, "such as"), "line %d: %s",
				      spans[i].line, err.text);
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
			      "line %d: %s", shown[i].line, when_distance(now + shown[i].us, now).s);
	}
	ck_assert(strlen(when_span(INT64_MIN).s) > 0);
	ck_assert(strlen(when_distance(INT64_MAX, INT64_MIN).s) > 0);
	ck_assert(strlen(when_distance(INT64_MIN, 0).s) > 0);
}
END_TEST

UNIT_MAIN("when", utc_is_read_strictly, utc_is_printed_and_read_again, spans_have_units,
	  spans_and_distances_are_shown)
