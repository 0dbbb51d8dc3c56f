/* SPDX-License-Identifier: ISC */
/*
 * One turn of the loop: everything that is changed in it commits together, and only then its
 * effects leave (replies, go, kills, notices). Requests open the transaction by turn_begin(); the
 * loop's prepare watcher ends the turn.
 *
 * When the commit fails for want of space every deferred effect is called with an error instead,
 * and all in memory must be read anew; when the database is broken the process ends (exit 74):
 * after a restart it recovers by reading.
 */
#ifndef DAEMON_TURN_H
#define DAEMON_TURN_H

#include <ev.h>
#include <stdbool.h>

#include "daemon/store/store.h"

struct turn;
struct turn *turn_new(struct ev_loop *loop, struct store *store);
void turn_free(struct turn *turn);

/* Opens the transaction of this turn if it is not open. */
int turn_begin(struct turn *turn, struct err *err);
bool turn_open(const struct turn *turn); /* what is read now may not last */
/* Calls BACK(ARG, NULL) after the commit of this turn (at once when nothing is open), BACK(ARG,
 * err) if it failed. In order. What is deferred while no transaction is open waits for those before
 * it alone: no commit that fails later is told to it. */
void turn_after(struct turn *turn, void (*back)(void *arg, const struct err *failure), void *arg);
/* The savepoint (or mark) of the store for a part of this turn, whose effects go the way of its
 * rows: what was deferred since is called with an error when it is rolled back. One at a time,
 * inside of the transaction; results as in store.h. A release that fails has rolled it back. */
int turn_savepoint(struct turn *turn, struct err *err);
int turn_mark(struct turn *turn, struct err *err);
int turn_release(struct turn *turn, struct err *err);
bool turn_rollback_savepoint(struct turn *turn);
/* Commits now, and lets the effects out: the prepare watcher, shutdown and tests. */
void turn_end(struct turn *turn);

#endif
