/* SPDX-License-Identifier: ISC */
/*
 * The rules of recurring deployments that need no database: see the header.
 */
#include "daemon/schedule.h"

#include <errno.h>
#include <string.h>

/* The last occurrence after AFTER_US and up to NOW_US; there is one. A calendar is asked what comes
 * after a moment: that is past NOW from the last occurrence on, and not before it. */
static int64_t
last_passed(const struct calendar *calendar, const char *zone, int64_t after_us, int64_t now_us)
{
	int64_t low = after_us, high = now_us, last = after_us, next;

	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (calendar_next(calendar, middle, zone, &next, NULL) == 0 && next <= now_us) {
			last = next;
			low = next;
		} else {
			high = middle;
		}
	}
	return last;
}

static int
count_passed(const struct calendar *calendar, const char *zone, int64_t after_us, int64_t now_us)
{
	int n = 0;

	while (n < SCHEDULE_COUNT_MAX &&
	       calendar_next(calendar, after_us, zone, &after_us, NULL) == 0 && after_us <= now_us)
		n++;
	return n;
}

int
schedule_due(const struct calendar *calendar, const char *zone, int64_t after_us, int64_t now_us,
	     int64_t *ret_us, int *ret_passed)
{
	int64_t next;
	int r = calendar_next(calendar, after_us, zone, &next, NULL);

	if (r < 0)
		return r;
	if (next <= now_us) {
		*ret_passed = count_passed(calendar, zone, after_us, now_us);
		next = last_passed(calendar, zone, next, now_us);
	} else {
		*ret_passed = 0;
	}
	*ret_us = next;
	return 0;
}

int
schedule_wanted(const char *wanted, enum schedule_wants *ret_wants, struct build_ref *ret_ref,
		struct err *err)
{
	struct build_ref ref;
	int r = names_build_parse(wanted, &ref, err);

	if (r < 0)
		return r;
	*ret_ref = ref;
	if (ref.number > 0)
		*ret_wants = SCHEDULE_WANTS_BUILD;
	else
		*ret_wants = strcmp(wanted, SCHEDULE_LIVE) == 0 ? SCHEDULE_WANTS_LIVE
								: SCHEDULE_WANTS_RELEASE;
	return 0;
}
