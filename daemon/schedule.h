/* SPDX-License-Identifier: ISC */
/*
 * Recurring deployments as functions of values: which occurrence comes next, which of several that
 * passed stands for all of them, and what "live", "1.0.2" and "1.0.2/3" ask for.
 */
#ifndef DAEMON_SCHEDULE_H
#define DAEMON_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/time/calendar.h"
#include "common/names.h"

#define SCHEDULE_LIVE "live"

/* The occurrence that is due after those up to AFTER_US are done with: the last one that has passed
 * at NOW_US, else the next one. RET_PASSED: how many have passed, counted to SCHEDULE_COUNT_MAX. 0,
 * or -ENOENT when none ever comes. */
#define SCHEDULE_COUNT_MAX 100
int schedule_due(const struct calendar *calendar, const char *zone, int64_t after_us,
		 int64_t now_us, int64_t *ret_us, int *ret_passed);

enum schedule_wants { SCHEDULE_WANTS_LIVE, SCHEDULE_WANTS_RELEASE, SCHEDULE_WANTS_BUILD };
/* RET_REF: release and number (0 for a release alone, "live" and 0 for what is live). 0, or -EINVAL
 * with BAD_NAME. */
int schedule_wanted(const char *wanted, enum schedule_wants *ret_wants, struct build_ref *ret_ref,
		    struct err *err);

#endif
