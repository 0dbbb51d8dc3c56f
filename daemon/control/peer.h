/* SPDX-License-Identifier: ISC */
/*
 * Who is at the other end of a socket, as the kernel says. Read once, at accept; judged again when
 * the configuration changes.
 */
#ifndef DAEMON_CONTROL_PEER_H
#define DAEMON_CONTROL_PEER_H

#include "daemon/control/control.h"

/* Without role and rights, which are judged, not read, and without the name. */
void peer_read(int fd, struct control_peer *ret_peer);
/* Looks the name up, if that was not done yet: only for who asks something, for it takes longer
 * than all the rest. */
void peer_name(struct control_peer *peer);
void peer_clear(struct control_peer *peer);
/* root, or the user that the daemon runs as */
bool peer_is_root(const struct control_peer *peer);
/* RIGHTS is borrowed until the next call. */
void peer_judge(struct control_peer *peer, const struct rights *rights);
/* The lists of CONF for peer_judge(); a name that nobody has is logged. */
struct rights *peer_rights(const struct conf *conf);

#endif
