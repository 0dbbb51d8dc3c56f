/* SPDX-License-Identifier: ISC */
/* Run folders are bounded by `keep-runs`: those of the oldest jobs that are final in the database
 * are removed, by bmd-run. */
#ifndef DAEMON_PRUNE_H
#define DAEMON_PRUNE_H

#include "daemon/sched/sched.h"

struct prune;
/* Looks at once, and now and then when runs have ended. Everything given outlives it. */
struct prune *prune_new(struct sched *sched, struct queue *queue);
void prune_free(struct prune *prune); /* NULL is fine */
/* The queue's configuration was swapped: look again. */
void prune_reload(struct prune *prune);

#endif
