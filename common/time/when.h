/* SPDX-License-Identifier: ISC */
/*
 * Text ⇄ time: the grammar of bmctl(1), TIMES AND ZONES, with its rules for hours that the clocks
 * skip or repeat. *Now* and the zone are arguments; nothing here reads a clock. An instant is
 * int64_t microseconds since 1970 UTC. Zones are names of the tz database ("Europe/Berlin") or
 * "UTC".
 */
#ifndef COMMON_TIME_WHEN_H
#define COMMON_TIME_WHEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define WHEN_SECOND   INT64_C(1000000)
#define WHEN_ZONE_MAX 64
#define WHEN_TEXT_MAX 128 /* bytes of any text that is accepted or made here */
#define WHEN_NOTE_MAX 512

struct when {
	int64_t at_us;
	bool relative;		  /* "+2h30min": elapsed time from now */
	char zone[WHEN_ZONE_MAX]; /* that it was read in, and is shown in */
	/* what the clocks of ZONE shall show (zone.h), if that is all that was said; 0: an
	 * instant */
	int64_t wall_s;
	char note[WHEN_NOTE_MAX]; /* daylight-saving warning, typable; "" if there is none */
};

/* TEXT as of NOW_US, in ZONE unless TEXT names one. A date in the past is an error, except for
 * when_parse_past(). Returns 0 or -EINVAL with BAD_TIME (fields "text", "column" counted from 1)
 * and an example in the sentence. */
int when_parse(const char *text, int64_t now_us, const char *zone, struct when *ret,
	       struct err *err);
/* For --since: a time without a date is its latest occurrence; "2h ago" and spans "2h" count
 * back. */
int when_parse_past(const char *text, int64_t now_us, const char *zone, struct when *ret,
		    struct err *err);

/* RFC 3339 UTC with up to six digits ("…Z"), strictly. 0 or -EINVAL. */
int when_parse_utc(const char *text, int64_t *ret_us);

/* "30s 5min 2h 1d", one or several, a unit always (us ms s min h d w). d and w are 24 h and 7 d
 * here. */
int when_parse_span(const char *text, int64_t *ret_us, struct err *err);

bool when_zone_valid(const char *zone); /* "UTC" or a name with '/' that the tz database has */
/* The zone of this process: $TZ, /etc/localtime, /etc/timezone; "UTC" when there is none. Error
 * when $TZ names an unknown one. */
int when_zone_local(char ret_zone[WHEN_ZONE_MAX], struct err *err);

/* Values that hold their text, so that a call can stand inside printf(). */
struct when_text {
	char s[WHEN_TEXT_MAX];
};
struct when_text when_utc(int64_t us); /* 2026-11-23T01:00:00.000000Z */
/* 2026-11-23 02:00:00+01:00 Europe/Berlin; with fraction only if not 0 */
struct when_text when_local(int64_t us, const char *zone);
/* in 6 h 20 min · 2 min ago · now */
struct when_text when_distance(int64_t us, int64_t now_us);
/* 6 h 20 min: two units from minutes upward, else one: 34 s, 12 ms; "0 s" */
struct when_text when_span(int64_t us);

/* What a reader must know of wall time WALL_S (and FRACTION_US) that the clocks of ZONE skip or
 * repeat: INSTANTS are those it was looked up as, INDEX the one that is taken. "" where there is
 * nothing to say. */
struct zone_instants;
void when_note(const struct zone_instants *instants, int index, int64_t wall_s, int64_t fraction_us,
	       const char *zone, char ret_note[WHEN_NOTE_MAX]);

#endif
