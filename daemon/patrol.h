/* SPDX-License-Identifier: ISC */
/*
 * Stored files verified without being asked: all of them at the times of `verify-every`, and those
 * of a build that a run found damaged. bmd-import does the work; what is found is named in the log.
 * The last pass and the one under way are kept in the database.
 */
#ifndef DAEMON_PATROL_H
#define DAEMON_PATROL_H

#include <jansson.h>

#include "artifact/objects.h"
#include "daemon/sched/sched.h"

struct patrol;
/* Begins or goes on with what is due. Everything given outlives it. */
struct patrol *patrol_new(struct sched *sched, struct queue *queue, struct turn *turn,
			  const struct objects *objects);
void patrol_free(struct patrol *patrol); /* a pass goes on at the next start; NULL is fine */
/* The queue's configuration was swapped. */
void patrol_reload(struct patrol *patrol);
/* As `verification` of GetStatus; null when there is nothing to say. PATROL may be NULL. New
 * reference. */
json_t *patrol_status(const struct patrol *patrol);

#endif
