/* SPDX-License-Identifier: ISC */
/* The clocks, read once an event by the callbacks of sched, tend and control, and handed down from there. */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <stdint.h>

int64_t clock_now_us(void);	 /* the wall clock, not the loop's, which may lag: for "is it due" */
int64_t clock_boottime_us(void); /* since boot, also while asleep */
int64_t clock_monotonic_us(void); /* the same without the time asleep: for how long others had to do something */

#endif
