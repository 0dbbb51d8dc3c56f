/* SPDX-License-Identifier: ISC */
/* Rules of values: readings of the clocks are arguments, whoever asks waits. */
#include "daemon/steady.h"

#include <stdlib.h>

#include "common/time/when.h"
#include "common/xalloc.h"

#define POLL_US WHEN_SECOND /* nothing tells that the clock has been synchronised */

/* The most telling of the reasons that there are. */
static enum steady_doubt
reason(const struct steady *steady, const struct steady_reading *reading)
{
	if (steady->jumped)
		return STEADY_JUMPED;
	if (reading->now_us < steady->highest_us)
		return STEADY_BEHIND;
	return steady->waits_for_synchronisation && !reading->synchronised ? STEADY_UNSYNCHRONISED
									   : STEADY;
}

static void
believe(struct steady *steady, const struct steady_reading *reading)
{
	steady->doubt = STEADY;
	steady->jumped = steady->waits_for_synchronisation = false;
	steady->believed_us = steady->offset_us;
	steady->highest_us = reading->now_us;
}

static void
judge(struct steady *steady, const struct steady_reading *reading)
{
	enum steady_doubt doubt = reason(steady, reading);

	if (steady->doubt == STEADY && doubt != STEADY)
		steady->since_us = reading->boot_us;
	steady->doubt = doubt;
	if (doubt == STEADY || reading->boot_us - steady->since_us >= steady->settle_us)
		believe(steady, reading);
}

static void
note_jump(struct steady *steady, int64_t by_us, const struct steady_reading *reading)
{
	if (llabs(by_us) <= STEADY_JUMP_US)
		return;
	steady->jumped = true;
	steady->jump_us = by_us;
	steady->since_us = reading->boot_us;
	steady->doubt = STEADY_JUMPED;
}

void
steady_begin(struct steady *steady, int64_t settle_us, const struct steady_memory *memory,
	     const struct steady_reading *reading)
{
	*steady = (struct steady){.settle_us = settle_us, .highest_us = memory->highest_us};
	steady->offset_us = steady->believed_us = reading->now_us - reading->boot_us;
	if (memory->highest_us == 0) {
		believe(steady, reading);
		return;
	}
	if (memory->same_boot) {
		steady->believed_us = memory->offset_us;
		note_jump(steady, steady->offset_us - memory->offset_us, reading);
	} else {
		steady->waits_for_synchronisation = true;
	}
	judge(steady, reading);
}

void
steady_read(struct steady *steady, const struct steady_reading *reading)
{
	int64_t offset_us = reading->now_us - reading->boot_us;

	note_jump(steady, offset_us - steady->offset_us, reading);
	steady->offset_us = offset_us;
	judge(steady, reading);
}

int64_t
steady_until_us(const struct steady *steady, const struct steady_reading *reading)
{
	int64_t until_us =
	    reading->now_us + steady->settle_us - (reading->boot_us - steady->since_us);

	/* Only behind: it may come up to where it was before that. */
	if (steady->doubt == STEADY_BEHIND && !steady->waits_for_synchronisation &&
	    steady->highest_us < until_us)
		return steady->highest_us;
	return until_us;
}

int64_t
steady_wake_us(const struct steady *steady, const struct steady_reading *reading)
{
	int64_t until_us = steady_until_us(steady, reading);

	if (steady->waits_for_synchronisation && !steady->jumped &&
	    reading->now_us + POLL_US < until_us)
		return reading->now_us + POLL_US;
	return until_us;
}

char *
steady_text(const struct steady *steady, const struct steady_reading *reading)
{
	int64_t jump_us = llabs(steady->jump_us);

	switch (steady->doubt) {
	case STEADY_JUMPED:
		return xasprintf("the clock jumped %s by %s",
				 steady->jump_us < 0 ? "back" : "forward", when_span(jump_us).s);
	case STEADY_BEHIND:
		return xasprintf("the clock is %s behind the latest time that bmd has seen",
				 when_span(steady->highest_us - reading->now_us).s);
	case STEADY_UNSYNCHRONISED:
		return xstrdup("the clock is not synchronised since the machine was started");
	case STEADY:
		break;
	}
	return xstrdup("the clock is steady");
}
