/* SPDX-License-Identifier: ISC */
/*
 * Who is at the other end of a socket, as the kernel says, and what that one may do by the groups that
 * the configuration names. Read once, at accept; judged again when the configuration changes.
 */
#ifndef DAEMON_PEER_H
#define DAEMON_PEER_H

#include <sys/types.h>

#include "common/conf.h"
#include "daemon/control.h"

struct peer_groups {
	gid_t *v;
	size_t n;
};
/* The ids of the groups with these NAMES; one that does not exist gives nobody anything, which is logged. */
void peer_groups_look(struct peer_groups *groups, const struct conf_strings *names, const char *what);
void peer_groups_clear(struct peer_groups *groups);

struct peer {
	struct control_peer who; /* what methods see; its role is judged, not read */
	bool known;		 /* false: the kernel did not say; never anything but CONTROL_NOBODY */
	struct peer_groups groups;
};
void peer_read(int fd, struct peer *ret_peer);
void peer_clear(struct peer *peer);
/* root, or the user that the daemon runs as */
bool peer_is_root(const struct peer *peer);
enum control_role peer_judge(const struct peer *peer, const struct peer_groups *operators,
			     const struct peer_groups *viewers);

#endif
