/* SPDX-License-Identifier: ISC */
/*
 * The words of a time, beneath when.c: a cursor over the text, and functions that each read one
 * thing at it. They return 0 and move the cursor, or -EINVAL with BAD_TIME: what it is not, at
 * which column, and an example.
 */
#ifndef COMMON_SCAN_H
#define COMMON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/time/when.h"

#define SCAN_FIRST_YEAR 1970
#define SCAN_LAST_YEAR	9999
/* 9999-12-31 00:00 UTC: whatever the zone, the local year has four digits. */
#define SCAN_LAST_US (INT64_C(253402214400) * WHEN_SECOND)

struct scan {
	const char *what; /* "time" or "span": how a refusal begins */
	const char *text, *p;
	int64_t now_us;
	const char *zone; /* the caller's */
	bool past;
	struct err *err;
};

/* "2h30min" */
struct span {
	int64_t days, elapsed_us; /* of calendar units, and of the others */
};

/* A wall time, as it was written. */
enum day { DAY_NONE, DAY_DATE, DAY_WEEKDAY, DAY_TODAY, DAY_TOMORROW, DAY_YESTERDAY };
struct wall {
	enum day day;
	int64_t days;		     /* DAY_DATE: since 1970 */
	int weekday;		     /* DAY_WEEKDAY: 0 is Sunday */
	int64_t second, fraction_us; /* of the day */
	bool has_offset;
	int offset;
	const char *offset_at;	  /* where it stands, for refusals */
	char zone[WHEN_ZONE_MAX]; /* written behind it; "" if none */
};

/* Refuses what stands AT. Returns -EINVAL. */
int scan_fail(const struct scan *scan, const char *at, const char *format, ...) _printf_(3, 4);

/* A date as it is written, on the side of now that is asked for. */
const char *scan_example(const struct scan *scan);

bool scan_is_digit(char c);
void scan_spaces(struct scan *scan);
size_t scan_digits(const char *s);			   /* how many stand there */
size_t scan_letters(const char *s);			   /* ASCII */
bool scan_says(const char *s, size_t n, const char *word); /* in any case */
int scan_fixed(const char *s, size_t n);		   /* exactly N digits as a number, or -1 */
bool scan_is_unit(const char *s, size_t n);

int scan_fraction(struct scan *scan, int64_t *ret_us); /* ".5"; 0 when there is none */
int scan_span(struct scan *scan, struct span *ret);
bool scan_day_word(struct scan *scan, struct wall *wall); /* today, fri; false for any other word */
int scan_date(struct scan *scan, struct wall *wall);	  /* at four digits and '-' */
int scan_time(struct scan *scan, struct wall *wall);
int scan_zone(struct scan *scan, char zone[WHEN_ZONE_MAX]);
/* offset or Z, zone, both or nothing, and the end */
int scan_suffix(struct scan *scan, struct wall *wall);
int scan_end(struct scan *scan);

#endif
