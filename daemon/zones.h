/* SPDX-License-Identifier: ISC */
/*
 * Watches the folders of the tz database: an upgrade of its package exchanges files below a bmd
 * that runs for months.
 */
#ifndef DAEMON_ZONES_H
#define DAEMON_ZONES_H

#include <ev.h>

struct zones;
/* CHANGED is called when files have changed and then none for a moment. Where they cannot be
 * watched it never is. */
struct zones *zones_new(struct ev_loop *loop, void (*changed)(void *arg), void *arg);
void zones_free(struct zones *zones); /* NULL is fine */

#endif
