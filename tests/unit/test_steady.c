/* SPDX-License-Identifier: ISC */
/* Whether the wall clock is believed: plays of readings, each a line of a table. */
#include <string.h>

#include "common/scope.h"
#include "daemon/steady.h"
#include "tests/unit/unit.h"

#define S INT64_C(1000000)
#define MIN (60 * S)
#define HOUR (60 * MIN)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define T (56 * YEAR) /* some time in 2026 */
#define B (3 * HOUR)  /* the machine is up for so long */

static const char *const names[] = {
    [STEADY] = "steady",
    [STEADY_JUMPED] = "jumped",
    [STEADY_BEHIND] = "behind",
    [STEADY_UNSYNCHRONISED] = "unsynchronised",
};

/* After so much time by CLOCK_BOOTTIME, the wall clock set by STEP. */
struct step {
	int line;
	int64_t after_us, step_us;
	bool synchronised;
	const char *expected;
	int64_t left_us; /* of the doubt */
};

struct play {
	int line;
	const char *name;
	struct steady_memory memory;
	int64_t settle_us;
	struct step steps[8]; /* the first is the beginning */
};

static const struct play plays[] = {
    {__LINE__, "a fresh database doubts nothing", {0, false, 0}, 60 * S,
     {{__LINE__, 0, 0, false, "steady", 0}, {__LINE__, 1, 0, false, "steady", 0}}},
    {__LINE__, "a restart within a boot, not synchronised as before", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, false, "steady", 0}}},
    {__LINE__, "another boot, synchronised", {T - DAY, false, 0}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0}}},
    {__LINE__, "another boot, synchronised after a while", {T - DAY, false, 0}, 60 * S,
     {{__LINE__, 0, 0, false, "unsynchronised", 60 * S},
      {__LINE__, 59 * S, 0, false, "unsynchronised", 1 * S},
      {__LINE__, S / 2, 0, true, "steady", 0},
      {__LINE__, S, 0, false, "steady", 0}}},
    {__LINE__, "another boot without any time service", {T - DAY, false, 0}, 60 * S,
     {{__LINE__, 0, 0, false, "unsynchronised", 60 * S},
      {__LINE__, 60 * S, 0, false, "steady", 0}}},
    {__LINE__, "another boot, and the time service steps the clock", {T - DAY, false, 0}, 60 * S,
     {{__LINE__, 0, 0, false, "unsynchronised", 60 * S},
      {__LINE__, 10 * S, HOUR, true, "jumped", 60 * S},
      {__LINE__, 60 * S, 0, true, "steady", 0}}},
    {__LINE__, "started with a clock in 1970", {T + 50 * YEAR, false, 0}, 60 * S,
     {{__LINE__, 0, 0, true, "behind", 60 * S},
      {__LINE__, 20 * S, 50 * YEAR + HOUR, true, "jumped", 60 * S},
      {__LINE__, 60 * S, 0, true, "steady", 0}}},
    {__LINE__, "started with a clock in 2098 that was seen before", {T + 72 * YEAR, true, T - B + 72 * YEAR}, 60 * S,
     {{__LINE__, 0, 0, true, "jumped", 60 * S}, {__LINE__, 60 * S, 0, true, "steady", 0},
      {__LINE__, 1, 0, true, "steady", 0}}},
    {__LINE__, "jumped while bmd was down", {T - MIN, true, T - B - 6 * MIN}, 60 * S,
     {{__LINE__, 0, 0, true, "jumped", 60 * S}}},
    {__LINE__, "the machine slept: both clocks went on", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0}, {__LINE__, 9 * HOUR, 0, true, "steady", 0}}},
    {__LINE__, "slewed: half a second in an hour", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, HOUR, S / 2, true, "steady", 0},
      {__LINE__, HOUR, -S / 2, true, "steady", 0}}},
    {__LINE__, "forward by a second, a minute, five", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, S, S, true, "steady", 0},
      {__LINE__, S, MIN, true, "steady", 0},
      {__LINE__, S, 5 * MIN, true, "steady", 0}}},
    {__LINE__, "forward by an hour", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, S, HOUR, true, "jumped", 60 * S},
      {__LINE__, 59 * S, 0, true, "jumped", S},
      {__LINE__, S, 0, true, "steady", 0}}},
    {__LINE__, "forward by a year and back again", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, S, YEAR, true, "jumped", 60 * S},
      {__LINE__, 30 * S, -YEAR, true, "jumped", 60 * S},
      {__LINE__, 60 * S, 0, true, "steady", 0}}},
    {__LINE__, "back by a second: until it is where it was", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, S, 0, true, "steady", 0},
      {__LINE__, S / 2, -S, true, "behind", S / 2},
      {__LINE__, S / 4, 0, true, "behind", S / 4},
      {__LINE__, S / 4, 0, true, "steady", 0}}},
    {__LINE__, "back by two minutes: until it has settled", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, S, -2 * MIN, true, "behind", 60 * S},
      {__LINE__, 60 * S, 0, true, "steady", 0},
      {__LINE__, S, 0, true, "steady", 0}}},
    {__LINE__, "back by an hour, and by a year", {T - MIN, true, T - B}, 60 * S,
     {{__LINE__, 0, 0, true, "steady", 0},
      {__LINE__, S, -HOUR, true, "jumped", 60 * S},
      {__LINE__, 10 * S, -YEAR, true, "jumped", 60 * S},
      {__LINE__, 60 * S, 0, true, "steady", 0},
      {__LINE__, S, 0, true, "steady", 0}}},
    {__LINE__, "nothing is doubted without a time to settle", {T + DAY, false, 0}, 0,
     {{__LINE__, 0, 0, false, "steady", 0}, {__LINE__, S, YEAR, false, "steady", 0}}},
};

START_TEST(test_plays)
{
	for (size_t i = 0; i < ARRAY_SIZE(plays); i++) {
		const struct play *play = &plays[i];
		struct steady_reading reading = {.now_us = T, .boot_us = B};
		struct steady steady;

		for (const struct step *step = play->steps; step->line; step++) {
			int64_t left_us;

			reading.boot_us += step->after_us;
			reading.now_us += step->after_us + step->step_us;
			reading.synchronised = step->synchronised;
			if (step == play->steps)
				steady_begin(&steady, play->settle_us, &play->memory, &reading);
			else
				steady_read(&steady, &reading);
			left_us = steady.doubt == STEADY
				      ? 0
				      : steady_until_us(&steady, &reading) - reading.now_us;
			ck_assert_msg(strcmp(names[steady.doubt], step->expected) == 0,
				      "line %d, %s: %s instead of %s", step->line, play->name,
				      names[steady.doubt], step->expected);
			ck_assert_msg(left_us == step->left_us,
				      "line %d, %s: %lld µs left instead of %lld", step->line,
				      play->name, (long long)left_us, (long long)step->left_us);
		}
	}
}
END_TEST

/* What it is doubted for stands in every sentence about it. */
START_TEST(test_texts)
{
	static const struct {
		struct steady_memory memory;
		const char *text;
	} texts[] = {
	    {{T - MIN, true, T - B - HOUR}, "the clock jumped forward by 1 h"},
	    {{T - MIN, true, T - B + 2 * DAY}, "the clock jumped back by 2 d"},
	    {{T + 3 * MIN, true, T - B},
	     "the clock is 3 min behind the latest time that bmd has seen"},
	    {{T - DAY, false, 0}, "the clock is not synchronised since the machine was started"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct steady_reading reading = {.now_us = T, .boot_us = B};
		struct steady steady;
		_cleanup_free_ char *text = NULL;

		steady_begin(&steady, 60 * S, &texts[i].memory, &reading);
		text = steady_text(&steady, &reading);
		ck_assert_str_eq(text, texts[i].text);
	}
}
END_TEST

/* Until it is synchronised somebody has to ask, as nothing tells; otherwise nobody is woken up before the end. */
START_TEST(test_wakes)
{
	const struct steady_memory other = {T - DAY, false, 0}, jumped = {T - MIN, true, T - B - HOUR};
	const struct steady_reading reading = {.now_us = T, .boot_us = B};
	struct steady steady;

	steady_begin(&steady, 60 * S, &other, &reading);
	ck_assert_int_eq(steady_wake_us(&steady, &reading), T + S);
	steady_begin(&steady, 60 * S, &jumped, &reading);
	ck_assert_int_eq(steady_wake_us(&steady, &reading), T + 60 * S);
}
END_TEST

UNIT_MAIN("steady", test_plays, test_texts, test_wakes)
