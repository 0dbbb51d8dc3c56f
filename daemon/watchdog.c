/* SPDX-License-Identifier: ISC */
/* A timer whose beat is an empty change: its commit writes that bmd is alive, its effect tells. */
#include "daemon/watchdog.h"

#include <errno.h>
#include <stdlib.h>

#include "common/notify.h"
#include "common/xalloc.h"

struct watchdog {
	struct ev_loop *loop;
	struct turn *turn;
	ev_timer beat;
};

/* A full disk is no reason to be restarted: bmd answers, and goes on when there is room. */
static void
committed(void *arg, const struct err *failure)
{
	(void)arg, (void)failure;
	notify_alive();
}

static void
on_beat(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct watchdog *watchdog = timer->data;

	(void)loop, (void)events;
	turn_begin(watchdog->turn, NULL);
	turn_after(watchdog->turn, committed, watchdog);
}

struct watchdog *
watchdog_new(struct ev_loop *loop, struct turn *turn)
{
	int64_t every_us = notify_watchdog_us();
	double seconds = (double)every_us / 1e6;
	struct watchdog *watchdog;

	if (every_us == 0)
		return NULL;
	watchdog = xcalloc(1, sizeof(*watchdog));
	watchdog->loop = loop;
	watchdog->turn = turn;
	ev_timer_init(&watchdog->beat, on_beat, seconds, seconds);
	watchdog->beat.data = watchdog;
	ev_timer_start(loop, &watchdog->beat);
	ev_unref(loop); /* the watchdog alone keeps no loop running */
	return watchdog;
}

void
watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return;
	ev_ref(watchdog->loop);
	ev_timer_stop(watchdog->loop, &watchdog->beat);
	free(watchdog);
}
