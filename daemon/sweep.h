/* SPDX-License-Identifier: ISC */
/*
 * What a dead helper left: every process below this one that is not spared and not below one that
 * is. A child subreaper inherits them all.
 */
#ifndef DAEMON_SWEEP_H
#define DAEMON_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sweep_spared {
	pid_t *v;
	size_t n, room;
};

void sweep_spare(struct sweep_spared *spared, pid_t pid);
/* The children that there are now. free() RET->v. */
void sweep_children(struct sweep_spared *ret);
/* Is nothing left? True is a proof; false may only mean that a child waits to be reaped: ask again
 * then. */
bool sweep_clean(const struct sweep_spared *spared);
/* KILL to all that is left. What forks meanwhile may escape: ask, and call again. */
void sweep_kill(const struct sweep_spared *spared);

#endif
