/* SPDX-License-Identifier: ISC */
/*
 * SO_PEERCRED and SO_PEERGROUPS. Whatever fails leaves a peer that is nobody: uid −1, no group, no
 * role. The credentials are those of the connect(2), so a descriptor that is passed on keeps its
 * maker's rights and no later setuid changes them.
 */
#include "daemon/control/peer.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>

#include "common/names.h"
#include "common/xalloc.h"
#include "daemon/log.h"

#define GROUPS_MAX   65536 /* NGROUPS_MAX of Linux */
#define GROUPS_FIRST 64

/* The supplementary groups and, last, the primary one. */
static int
read_groups(int fd, gid_t primary, struct rights_who *who)
{
	socklen_t bytes = GROUPS_FIRST * sizeof(gid_t);

	for (;;) {
		who->groups = xrealloc(who->groups, bytes + sizeof(gid_t), 1);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, who->groups, &bytes) == 0)
			break;
		/* ERANGE says in BYTES how many there are. */
		if (errno != ERANGE || bytes > GROUPS_MAX * sizeof(gid_t))
			return -errno;
	}
	who->n = bytes / sizeof(gid_t);
	who->groups[who->n++] = primary;
	return 0;
}

void
peer_name(struct control_peer *peer)
{
	char buffer[4096];
	struct passwd entry, *found = NULL;

	if (peer->name[0])
		return;
	(void)snprintf(peer->name, sizeof(peer->name), "uid %lld", (long long)peer->uid);
	if (getpwuid_r((uid_t)peer->uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return;
	if (found->pw_name[0] && names_text(found->pw_name, sizeof(peer->name) - 1, false))
		(void)snprintf(peer->name, sizeof(peer->name), "%s", found->pw_name);
}

void
peer_read(int fd, struct control_peer *ret_peer)
{
	struct ucred credentials;
	socklen_t n = sizeof(credentials);

	*ret_peer =
	    (struct control_peer){.uid = -1, .pid = -1, .name = "nobody known", .as = {.uid = -1}};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0 ||
	    n != sizeof(credentials) || credentials.uid == (uid_t)-1)
		return;
	ret_peer->uid = ret_peer->as.uid = credentials.uid;
	ret_peer->pid = credentials.pid;
	ret_peer->name[0] = '\0';
	if (read_groups(fd, credentials.gid, &ret_peer->as) < 0)
		rights_who_clear(&ret_peer->as);
	else
		ret_peer->as.known = true;
}

void
peer_clear(struct control_peer *peer)
{
	rights_who_clear(&peer->as);
}

bool
peer_is_root(const struct control_peer *peer)
{
	return peer->as.known && (peer->uid == 0 || peer->uid == (int64_t)geteuid());
}

void
peer_judge(struct control_peer *peer, const struct rights *rights)
{
	unsigned anywhere = rights_on(rights, &peer->as, NULL, NULL);

	peer->rights = rights;
	peer->role = anywhere & RIGHT_ROOT	? CONTROL_ROOT
		     : anywhere & RIGHT_OPERATE ? CONTROL_OPERATOR
		     : anywhere & RIGHT_APPROVE ? CONTROL_APPROVER
		     : anywhere & RIGHT_SEE	? CONTROL_VIEWER
						: CONTROL_NOBODY;
}

static void
say_unknown(const char *sentence, void *arg)
{
	(void)arg;
	log_info("%s", sentence);
}

struct rights *
peer_rights(const struct conf *conf)
{
	return rights_new(conf, geteuid(), say_unknown, NULL);
}
