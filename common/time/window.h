/* SPDX-License-Identifier: ISC */
/*
 * When a stage may be deployed to: windows that come again each week ("Mon..Fri 22:00-05:00"), and
 * freezes, each one stretch of days ("2026-12-20/2027-01-02 \"year end\""). Nothing here reads a
 * clock.
 *
 * A window is open whenever the clock of its zone shows a time in it: what that clock skips is not
 * in it, what it repeats is in it twice. Its days are those on which it opens. A freeze begins when
 * the clock first shows its beginning, or is past it, and ends when the clock shows its end for the
 * last time.
 */
#ifndef COMMON_TIME_WINDOW_H
#define COMMON_TIME_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/time/when.h"

#define WINDOW_MAX	64 /* windows of one stage, and freezes */
#define WINDOW_NAME_MAX 64

struct window {
	unsigned weekdays;   /* bit 0 is Sunday */
	int from_s, until_s; /* of the day; until ≤ from: of the next one. 86400: midnight */
};

struct freeze {
	/* on the wall clock, see zone.h; UNTIL is the first moment behind it */
	int64_t from_s, until_s;
	char name[WINDOW_NAME_MAX]; /* as it was written, without a name: its days */
};

/* Of one stage. Without windows it is always open, but for its freezes. */
struct windows {
	char zone[WHEN_ZONE_MAX];
	struct window *windows;
	size_t nwindows;
	struct freeze *freezes;
	size_t nfreezes;
};

/* Return 0 or -EINVAL with BAD_TIME (fields "text", "column" counted from 1) and an example in the
 * sentence. */
int window_parse(const char *text, struct window *ret, struct err *err);
int freeze_parse(const char *text, struct freeze *ret, struct err *err);

/* What somebody decided to pass. */
struct window_pass {
	bool windows;
	uint64_t freezes; /* bit I: freeze I */
};

struct window_look {
	bool open;
	const struct freeze *freeze; /* what closes it; NULL: no window is open */
	int64_t until_us; /* closed: when it opens; open: when it closes. INT64_MAX: never */
};
struct window_look window_look(const struct windows *windows, const struct window_pass *pass,
			       int64_t at_us);

/*
 * A job has a grace of GRACE_US from FROM_US on, of which nothing is used up while it is closed: it
 * begins anew when it opens. False when it has ended before NOW_US; else RET_FROM_US is where it
 * began last, or will begin.
 */
bool window_grace(const struct windows *windows, const struct window_pass *pass, int64_t from_us,
		  int64_t grace_us, int64_t now_us, int64_t *ret_from_us);

#endif
