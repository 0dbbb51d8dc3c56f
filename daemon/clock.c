/* SPDX-License-Identifier: ISC */
/* The only reader of clocks in bmd. ev_time() is what an ev_periodic compares with. */
#include "daemon/clock.h"

#include <ev.h>
#include <time.h>

int64_t
clock_now_us(void)
{
	return (int64_t)(ev_time() * 1e6);
}

static int64_t
read_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_boottime_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

int64_t
clock_monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}
