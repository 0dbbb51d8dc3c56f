/* SPDX-License-Identifier: ISC */
/* Records of finished jobs are bounded by `keep-jobs`: a walk over the stages, a portion at a time
 * (queue_prune()). */
#ifndef DAEMON_RECORDS_H
#define DAEMON_RECORDS_H

#include "daemon/sched/sched.h"
#include "daemon/turn.h"

struct records;
/* Walks at once, and now and then when jobs have ended. Everything given outlives it. */
struct records *records_new(struct sched *sched, struct queue *queue, struct turn *turn);
void records_free(struct records *records); /* NULL is fine */
/* The queue's configuration was swapped: walk again. */
void records_reload(struct records *records);

#endif
