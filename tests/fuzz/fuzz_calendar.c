/* SPDX-License-Identifier: ISC */
/*
 * Any text as a recurring time. The first byte picks moment and zone. What is accepted is printed
 * as something that means the same and is printed the same; what it says comes next is ahead, comes
 * from any moment before it too, and shows a whole second. What is refused says where and why.
 */
#include "common/time/calendar.h"
#include "common/json.h"
#include "tests/fuzz/fuzz_time.h"

static void
check_next(const struct calendar *calendar, const struct calendar *again, int64_t now,
	   const char *zone)
{
	char note[WHEN_NOTE_MAX] = "";
	int64_t us = now, other = 0;

	for (int i = 0; i < 3; i++) {
		int64_t after = us;

		if (calendar_next(calendar, after, zone, &us, note) < 0) {
			must(us == after && calendar_next(again, after, zone, &other, NULL) < 0);
			return;
		}
		must(us > after && us % WHEN_SECOND == 0 && strlen(note) < sizeof(note) - 1);
		must(calendar_next(again, after, zone, &other, NULL) == 0 && other == us);
		must(calendar_next(calendar, us - 1, zone, &other, NULL) == 0 && other == us);
		must(calendar_next(calendar, after + (us - after) / 2, zone, &other, NULL) == 0 &&
		     other == us);
	}
}

static void
check_accepted(const struct calendar *calendar, int64_t now, const char *zone)
{
	struct calendar_text text = calendar_print(calendar);
	struct calendar again = {0};

	must(strlen(text.s) < CALENDAR_TEXT_MAX - 1);
	must(calendar->seconds && calendar->minutes && calendar->hours && calendar->months);
	must(calendar->weekdays && (calendar->days != 0) != (calendar->last != 0));
	must(!calendar->zone[0] || when_zone_valid(calendar->zone));
	must(calendar_parse(text.s, &again, NULL) == 0);
	must(!strcmp(calendar_print(&again).s, text.s));
	check_next(calendar, &again, now, zone);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct calendar calendar = {0};
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (calendar_parse(text, &calendar, &err) == 0)
		check_accepted(&calendar, nows[(data[0] >> 2) & 3], zones[data[0] & 3]);
	else
		must_be_refused(text, &err);
	free(text);
	return 0;
}
