/* SPDX-License-Identifier: ISC */
/*
 * The way to a bmd on another machine: the ssh of this one, with `bmctl bridge` at its far end.
 * What is sent to the descriptor comes to that bmd's control socket, as whom one logs in there.
 * Options of ssh are those of its own configuration.
 */
#ifndef CTL_REMOTE_H
#define CTL_REMOTE_H

#include <stdbool.h>

#include "common/err.h"

struct remote;

/* Is HOST [user@]host or ssh://[user@]host[:port], and nothing that ssh or a shell could take for
 * something else? 0 or USAGE. */
int remote_check(const char *host, struct err *err);

/* Starts ssh. SOCKET (NULL: the far end's own) names bmd's socket there. RET_FD is the caller's,
 * and is closed before remote_close(). */
int remote_open(const char *host, const char *socket, struct remote **ret_remote, int *ret_fd,
		struct err *err);
/* What ssh says goes to its own descriptor, which remote_listen() empties; poll it beside the other
 * one. */
int remote_said_fd(const struct remote *remote);
void remote_listen(struct remote *remote);
/* The descriptor has ended before bmd answered: why. -EACCES with PERMISSION_DENIED when somebody
 * there refuses, else -ECONNREFUSED with UNREACHABLE. */
int remote_why(struct remote *remote, struct err *err);
/* Prints what ssh said and nobody has told yet. NULL is fine. */
void remote_close(struct remote *remote);

#endif
