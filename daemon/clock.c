/* SPDX-License-Identifier: ISC */
/* The only reader of clocks in bmd. ev_time() is what an ev_periodic compares with. */
#include "daemon/clock.h"

#include <ev.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define TRIES	  8
#define MOMENT_US 50 /* what lies between two readings when nothing else came between them */

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

void
clock_read(int64_t *ret_now_us, int64_t *ret_boottime_us)
{
	int64_t least_us = INT64_MAX;

	for (int i = 0; i < TRIES && least_us > MOMENT_US; i++) {
		int64_t before_us = clock_boottime_us(), now_us = clock_now_us(),
			took_us = clock_boottime_us() - before_us;

		if (took_us >= least_us)
			continue;
		least_us = took_us;
		*ret_now_us = now_us;
		*ret_boottime_us = before_us + took_us / 2;
	}
}

bool
clock_synchronised(void)
{
	struct timex state = {.modes = 0}; /* asks, changes nothing */

	if (access("/run/systemd/timesync/synchronized", F_OK) == 0)
		return true;
	return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}
