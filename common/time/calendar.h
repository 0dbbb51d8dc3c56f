/* SPDX-License-Identifier: ISC */
/*
 * Recurring times: calendar events as in systemd.time(7) ("Mon..Fri 02:00 Europe/Berlin") and the
 * five fields of crontab(5) ("0 2 * * 1-5"), told apart by form. Nothing here reads a clock.
 *
 * Each wall time that matches happens once. One that the clocks skip happens as long after the
 * change as it would have lain after it: 02:30 at 03:30, as when.h moves it (systemd leaves it
 * out). One that they repeat happens the first time.
 */
#ifndef COMMON_TIME_CALENDAR_H
#define COMMON_TIME_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/time/when.h"

#define CALENDAR_TEXT_MAX  1024 /* bytes of any text that is accepted or made here */
#define CALENDAR_YEARS_MAX 16

/* Which wall times match. Bit N of a set is the value N. */
struct calendar {
	uint64_t seconds, minutes;
	uint32_t hours, months;
	uint32_t days;	   /* of the month */
	uint32_t last;	   /* the same from its end: 1 is the last one; either this or DAYS is 0 */
	uint32_t weekdays; /* bit 0 is Sunday */
	bool either;	   /* a day matches by DAYS or by WEEKDAYS, as in crontab(5), not by both */
	struct calendar_years {
		int first, last, step;
	} years[CALENDAR_YEARS_MAX];
	size_t nyears;		  /* 0: every year */
	char zone[WHEN_ZONE_MAX]; /* that was written behind it; "" if none */
};

/* Returns 0 or -EINVAL with BAD_TIME (fields "text", "column" counted from 1) and an example in the
 * sentence. */
int calendar_parse(const char *text, struct calendar *ret, struct err *err);

/* The form that parses to the same value, and is the same for equal values: a calendar event, if
 * one says it, else five fields. */
struct calendar_text {
	char s[CALENDAR_TEXT_MAX];
};
struct calendar_text calendar_print(const struct calendar *calendar);

/* The first occurrence strictly after AFTER_US, in the calendar's zone, else in ZONE (a valid one).
 * NOTE (may be NULL) is a warning about a time that the clocks skip or repeat, "" if there is none.
 * Returns 0, or -ENOENT when it never comes again. */
int calendar_next(const struct calendar *calendar, int64_t after_us, const char *zone,
		  int64_t *ret_us, char ret_note[WHEN_NOTE_MAX]);

#endif
