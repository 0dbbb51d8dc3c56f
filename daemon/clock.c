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

int64_t
clock_boottime_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
