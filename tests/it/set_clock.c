/* SPDX-License-Identifier: ISC */
/* Sets the clock of this machine forward by a nanosecond: nothing changes, but that the kernel
 * tells everybody of a clock that was set (for a difference of nothing it would not). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

int
main(void)
{
	struct timex step = {.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {.tv_usec = 1}};

	if (adjtimex(&step) >= 0)
		return 0;
	fprintf(stderr, "cannot set the clock: %s\n", strerror(errno));
	return 77;
}
