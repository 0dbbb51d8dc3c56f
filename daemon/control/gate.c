/* SPDX-License-Identifier: ISC */
/* A name that is looked up in vain is told elsewhere (common/rights.h), and passes here. */
#include "daemon/control/gate.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/json.h"
#include "common/rights.h"
#include "common/xalloc.h"

struct gate {
	char *path;
	struct stat st;
	json_t *problems;
};

char *
gate_path(int fd)
{
	struct sockaddr_un name;
	socklen_t n = sizeof(name);

	if (getsockname(fd, (struct sockaddr *)&name, &n) < 0 || name.sun_family != AF_UNIX ||
	    n <= offsetof(struct sockaddr_un, sun_path) || !name.sun_path[0])
		return NULL;
	return xasprintf("%.*s", (int)(n - offsetof(struct sockaddr_un, sun_path)), name.sun_path);
}

static bool
user_passes(const struct gate *gate, const char *name)
{
	_cleanup_(rights_who_clear) struct rights_who who = {.uid = -1};
	const struct passwd *user = getpwnam(name);

	if (!user || user->pw_uid == 0 || user->pw_uid == gate->st.st_uid)
		return true;
	if (!(gate->st.st_mode & S_IWGRP) || rights_who_find(user->pw_uid, &who, NULL) < 0)
		return false;
	for (size_t i = 0; i < who.n; i++)
		if (who.groups[i] == gate->st.st_gid)
			return true;
	return false;
}

/* It is the gate's group, or all that are known to be its members are in that, too. */
static bool
group_passes(const struct gate *gate, const char *name)
{
	const struct group *group = getgrnam(name);
	struct conf_strings members = {0};
	bool pass = true;

	if (!group)
		return true;
	if (group->gr_gid == gate->st.st_gid)
		return gate->st.st_mode & S_IWGRP;
	while (group->gr_mem[members.n])
		members.n++;
	if (members.n == 0)
		return false;
	/* What is looked up next lies in the same place. */
	members.v = xcalloc(members.n, sizeof(*members.v));
	for (size_t i = 0; i < members.n; i++)
		members.v[i] = xstrdup(group->gr_mem[i]);
	for (size_t i = 0; i < members.n; i++) {
		pass = pass && user_passes(gate, members.v[i]);
		free(members.v[i]);
	}
	free(members.v);
	return pass;
}

static void
say_once(const struct gate *gate, char *sentence)
{
	size_t i;
	const json_t *said;

	json_array_foreach (gate->problems, i, said)
		if (!strcmp(json_string_value(said), sentence)) {
			free(sentence);
			return;
		}
	json_array_append_new(gate->problems, json_text(sentence));
	free(sentence);
}

static void
look_at_list(const struct gate *gate, const char *key, const struct conf_strings *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *user = conf_role_user(list->v[i]);

		if (user ? user_passes(gate, user) : group_passes(gate, list->v[i]))
			continue;
		say_once(
		    gate,
		    xasprintf("the socket %s keeps out the %s %s, which %s names: write "
			      "[Socket] and SocketMode=0666 by systemctl edit bmd.socket, then "
			      "systemctl restart bmd.socket bmd.service",
			      gate->path, user ? "user" : "group", user ? user : list->v[i], key));
	}
}

static void
look_at_roles(const struct gate *gate, const struct conf_roles *roles)
{
	look_at_list(gate, "operators", &roles->of[CONF_OPERATORS]);
	look_at_list(gate, "viewers", &roles->of[CONF_VIEWERS]);
	look_at_list(gate, "approvers", &roles->of[CONF_APPROVERS]);
}

json_t *
gate_problems(int fd, const struct conf *conf)
{
	_cleanup_free_ char *path = gate_path(fd);
	struct gate gate = {.path = path, .problems = json_array()};

	if (!path || stat(path, &gate.st) < 0)
		return gate.problems;
	if (strcmp(path, conf->socket) != 0)
		say_once(
		    &gate,
		    xasprintf(
			"bmd listens at %s, where systemd made its socket, and not at socket = "
			"\"%s\": "
			"set ListenStream= by systemctl edit bmd.socket, or take the line away",
			path, conf->socket));
	if (gate.st.st_mode & S_IWOTH)
		return gate.problems;
	look_at_roles(&gate, &conf->roles);
	for (size_t i = 0; i < conf->napplications; i++) {
		look_at_roles(&gate, &conf->applications[i].roles);
		for (size_t j = 0; j < conf->applications[i].nstages; j++)
			look_at_roles(&gate, &conf->applications[i].stages[j].roles);
	}
	return gate.problems;
}
