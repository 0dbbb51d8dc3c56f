/* SPDX-License-Identifier: ISC */
/*
 * Any text as a recurring time. The first byte picks moment and zone. What is accepted is printed
 * as something that means the same and is printed the same; what it says comes next is ahead, comes
 * from any moment before it too, and shows a whole second. What is refused says where and why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/time/calendar.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool truth)
{
	if (!truth)
		abort();
}

static void
check_next(const struct calendar *calendar, const struct calendar *again, int64_t now,
	   const char *zone)
{
	char note[WHEN_NOTE_MAX] = "";
	int64_t us = now, other = 0;

	for (int i = 0; i < 3; i++) {
		int64_t after = us;

		if (calendar_next(calendar, after, zone, &us, note) < 0) {
			require(us == after && calendar_next(again, after, zone, &other, NULL) < 0);
			return;
		}
		require(us > after && us % WHEN_SECOND == 0 && strlen(note) < sizeof(note) - 1);
		require(calendar_next(again, after, zone, &other, NULL) == 0 && other == us);
		require(calendar_next(calendar, us - 1, zone, &other, NULL) == 0 && other == us);
		require(calendar_next(calendar, after + (us - after) / 2, zone, &other, NULL) ==
			    0 &&
			other == us);
	}
}

static void
check_accepted(const struct calendar *calendar, int64_t now, const char *zone)
{
	struct calendar_text text = calendar_print(calendar);
	struct calendar again = {0};

	require(strlen(text.s) < CALENDAR_TEXT_MAX - 1);
	require(calendar->seconds && calendar->minutes && calendar->hours && calendar->months);
	require(calendar->weekdays && (calendar->days != 0) != (calendar->last != 0));
	require(!calendar->zone[0] || when_zone_valid(calendar->zone));
	require(calendar_parse(text.s, &again, NULL) == 0);
	require(!strcmp(calendar_print(&again).s, text.s));
	check_next(calendar, &again, now, zone);
}

static void
check_refused(const char *text, const struct err *err)
{
	int64_t column = json_get_int(err->fields, "column", 0);

	require(err->code == ERR_BAD_TIME && strstr(err->text, ", column "));
	require(column >= 1 && column <= (int64_t)strlen(text) + 1);
	for (const char *s = err->text; *s; s++)
		require((unsigned char)*s >= ' ' && *s != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe",
					    "Pacific/Apia"};
	static const int64_t nows[] = {1795395600000000, 1774742400000000, 1792886400000001,
				       1325160000000000};
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
		check_refused(text, &err);
	free(text);
	return 0;
}
