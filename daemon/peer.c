/* SPDX-License-Identifier: ISC */
/*
 * SO_PEERCRED and SO_PEERGROUPS. Whatever fails leaves a peer that is nobody: uid −1, no group, no
 * role. The credentials are those of the connect(2), so a descriptor that is passed on keeps its
 * maker's rights and no later setuid changes them.
 */
#include "daemon/peer.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>

#include "common/names.h"
#include "common/xalloc.h"
#include "daemon/log.h"

#define GROUPS_MAX   65536 /* NGROUPS_MAX of Linux */
#define GROUPS_FIRST 64

void
peer_groups_look(struct peer_groups *groups, const struct conf_strings *names, const char *what)
{
	peer_groups_clear(groups);
	groups->v = xcalloc(names->n, sizeof(*groups->v));
	for (size_t i = 0; i < names->n; i++) {
		const struct group *group = getgrnam(names->v[i]);
		if (group)
			groups->v[groups->n++] = group->gr_gid;
		else
			log_info("%s: there is no group %s, so it lets nobody in", what,
				 names->v[i]);
	}
}

void
peer_groups_clear(struct peer_groups *groups)
{
	free(groups->v);
	*groups = (struct peer_groups){0};
}

static bool
groups_have(const struct peer_groups *groups, gid_t gid)
{
	for (size_t i = 0; i < groups->n; i++)
		if (groups->v[i] == gid)
			return true;
	return false;
}

/* The supplementary groups and, last, the primary one. */
static int
read_groups(int fd, gid_t primary, struct peer_groups *groups)
{
	socklen_t bytes = GROUPS_FIRST * sizeof(gid_t);

	for (;;) {
		groups->v = xrealloc(groups->v, bytes + sizeof(gid_t), 1);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups->v, &bytes) == 0)
			break;
		/* ERANGE says in BYTES how many there are. */
		if (errno != ERANGE || bytes > GROUPS_MAX * sizeof(gid_t))
			return -errno;
	}
	groups->n = bytes / sizeof(gid_t);
	groups->v[groups->n++] = primary;
	return 0;
}

static void
read_name(struct control_peer *who)
{
	char buffer[4096];
	struct passwd entry, *found = NULL;

	(void)snprintf(who->name, sizeof(who->name), "uid %lld", (long long)who->uid);
	if (getpwuid_r((uid_t)who->uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return;
	if (found->pw_name[0] && names_text(found->pw_name, sizeof(who->name) - 1, false))
		(void)snprintf(who->name, sizeof(who->name), "%s", found->pw_name);
}

void
peer_read(int fd, struct peer *ret_peer)
{
	struct ucred credentials;
	socklen_t n = sizeof(credentials);

	*ret_peer = (struct peer){.who = {.uid = -1, .pid = -1, .name = "nobody known"}};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0 ||
	    n != sizeof(credentials) || credentials.uid == (uid_t)-1)
		return;
	ret_peer->who.uid = credentials.uid;
	ret_peer->who.pid = credentials.pid;
	read_name(&ret_peer->who);
	if (read_groups(fd, credentials.gid, &ret_peer->groups) < 0)
		peer_groups_clear(&ret_peer->groups);
	else
		ret_peer->known = true;
}

void
peer_clear(struct peer *peer)
{
	peer_groups_clear(&peer->groups);
}

bool
peer_is_root(const struct peer *peer)
{
	return peer->known && (peer->who.uid == 0 || peer->who.uid == (int64_t)geteuid());
}

enum control_role
peer_judge(const struct peer *peer, const struct peer_groups *operators,
	   const struct peer_groups *viewers)
{
	enum control_role role = CONTROL_NOBODY;

	if (!peer->known)
		return CONTROL_NOBODY;
	if (peer_is_root(peer))
		return CONTROL_ROOT;
	for (size_t i = 0; i < peer->groups.n; i++) {
		if (groups_have(operators, peer->groups.v[i]))
			return CONTROL_OPERATOR;
		if (groups_have(viewers, peer->groups.v[i]))
			role = CONTROL_VIEWER;
	}
	return role;
}
