/* SPDX-License-Identifier: ISC */
/*
 * What comes again and again: a span ("7d", a unit always) or a recurring time ("Sun 03:00", see
 * calendar.h). Nothing here reads a clock.
 */
#ifndef COMMON_TIME_EVERY_H
#define COMMON_TIME_EVERY_H

#include <stdint.h>

#include "common/time/calendar.h"
#include "common/err.h"

struct every {
	int64_t span_us; /* 0: CALENDAR says it */
	struct calendar calendar;
};

/* 0, or -EINVAL (BAD_TIME). */
int every_parse(const char *text, struct every *ret, struct err *err);
/* The first time strictly after AFTER_US; a recurring time without a zone is one of ZONE.
 * INT64_MAX: it never comes again. */
int64_t every_next(const struct every *every, int64_t after_us, const char *zone);

#endif
