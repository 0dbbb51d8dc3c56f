/* SPDX-License-Identifier: ISC */
/*
 * Who asked to be told of what happens is told: notify sections of the configuration, an outbox in
 * the database, and bmd-run, which runs the command. At least once: an attempt of which bmd did not
 * hear the end is made again, with the same id.
 */
#ifndef DAEMON_NOTICES_H
#define DAEMON_NOTICES_H

#include <jansson.h>

#include "daemon/sched/sched.h"

#define NOTICES_WAITING_MAX 10000 /* beyond so many the oldest are given up */

struct notices;
/* Everything given outlives it. From now on events become rows, with the transaction in which they
 * happen. */
struct notices *notices_new(struct sched *sched, struct queue *queue, struct turn *turn);
void notices_free(struct notices *notices); /* what waits goes on at the next start; NULL is fine */
/* Begins to deliver: once the recovery is over. */
void notices_begin(struct notices *notices);
/* The queue's configuration was swapped. */
void notices_reload(struct notices *notices);

/* A notice to the section NAME of APPLICATION ("": of bmd.conf) that somebody asked for: tried
 * once, within the open transaction. TOO_MANY: he, or all together, asked for too many within a
 * minute. */
int notices_test(struct notices *notices, const char *application, const char *name,
		 const struct queue_who *who, int64_t now_us, struct store_notice *ret_notice,
		 struct err *err);
/* As `notices` of GetStatus, and as a Notice of the interface file. New references. */
json_t *notices_status(struct notices *notices, int64_t now_us);
json_t *notices_json(const struct notices *notices, const struct store_notice *notice);

#endif
