/* SPDX-License-Identifier: ISC */
/* The clocks, read once an event by the callbacks of sched, tend and control, and handed down from
 * there. */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* the wall clock, not the loop's, which may lag: for "is it due" */
int64_t clock_now_us(void);
int64_t clock_boottime_us(void); /* since boot, also while asleep */
/* Both of one moment: they differ by less than a millisecond's work of this machine. */
void clock_read(int64_t *ret_now_us, int64_t *ret_boottime_us);
/* Has a time service set the wall clock since the machine was started, as far as the kernel or
 * systemd-timesyncd says? */
bool clock_synchronised(void);
/* the same without the time asleep: for how long others had to do something */
int64_t clock_monotonic_us(void);

#endif
