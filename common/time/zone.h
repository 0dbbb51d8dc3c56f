/* SPDX-License-Identifier: ISC */
/*
 * Days and zones beneath when.h: the proleptic Gregorian calendar as arithmetic, and wall clocks of
 * the tz database. A wall time is counted in seconds since 1970-01-01 00:00 *of its own clock*, as
 * if that clock were UTC.
 */
#ifndef COMMON_TIME_ZONE_H
#define COMMON_TIME_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_DAY INT64_C(86400)

/* A divided by B, towards the past. */
static inline int64_t
zone_floor(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

struct civil {
	int64_t year;
	int month, day; /* from 1 */
	int hour, minute, second;
	int weekday; /* 0: Sunday */
};

int64_t zone_days(int64_t year, int month, int day); /* since 1970-01-01; may be negative */
int zone_month_length(int64_t year, int month);
struct civil zone_civil(int64_t wall_s);

/* The file of the tz database that ZONE is read from, in $TZDIR or where the C library has it:
 * free(). NULL for UTC and for what is no name. The database's folder: borrowed until the
 * environment changes. */
char *zone_path(const char *zone);
const char *zone_folder(void);

/* "UTC", or a name with '/' whose file in the tz database is one. Nothing else reaches the C
 * library. */
bool zone_valid(const char *zone);
/* The zone that was probably meant by "europe/berlin", "Europe/Berlinn" or "Berlin"; false if none
 * is near. */
bool zone_suggest(const char *word, char *ret_zone, size_t size);
/* Seconds east of UTC in ZONE at an instant. An invalid zone counts as UTC: check it first. */
int zone_offset(const char *zone, int64_t utc_s);

/* The first instant behind LOW_S at which the offset is not the one of LOW_S; it is another at
 * HIGH_S, and changes once between. */
int64_t zone_change(const char *zone, int64_t low_s, int64_t high_s);

/* The instants at which the clock of ZONE shows a wall time. */
struct zone_instants {
	int n;		  /* 0: the clocks skip it; 1; 2: it comes twice */
	int64_t utc_s[2]; /* ascending. n == 0: [0] is the wall time moved forward by the gap */
	int64_t gap_s;	  /* n == 0: the length of the gap */
};
struct zone_instants zone_instants(const char *zone, int64_t wall_s);

#endif
