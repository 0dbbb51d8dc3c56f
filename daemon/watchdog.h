/* SPDX-License-Identifier: ISC */
/*
 * The service manager's watchdog (WatchdogSec= in bmd.service): told as often as it wants, each
 * time after a commit of the database, so that a bmd that turns its loop and whose disk hangs is
 * restarted too. A commit that fails for want of space is told as well: a restart makes no room.
 * Nothing without one.
 */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include <ev.h>

#include "daemon/turn.h"

struct watchdog;
struct watchdog *watchdog_new(struct ev_loop *loop, struct turn *turn); /* NULL: nobody watches */
void watchdog_free(struct watchdog *watchdog);				/* NULL is fine */

#endif
