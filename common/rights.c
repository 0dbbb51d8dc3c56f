/* SPDX-License-Identifier: ISC */
/*
 * Lists of ids where the configuration has lists of names. A stage points at the lists that count
 * for it, be they its own or inherited, so that a question is two look-ups of a name and a few of
 * numbers.
 */
#include "common/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf/confparse.h"
#include "common/xalloc.h"

#define GROUPS_FIRST 64
#define GROUPS_MAX   65536 /* NGROUPS_MAX of Linux */

struct ids {
	gid_t *groups;
	uid_t *users;
	size_t ngroups, nusers;
};

/* A list as it was made, so that whoever inherits it does not look its names up again. */
struct list {
	const struct conf_strings *names; /* only while they are made */
	struct ids ids;
};

struct stage {
	char *name;
	const struct ids *of[CONF_ROLES_];
};

struct application {
	char *name;
	struct stage *stages;
	size_t nstages;
};

struct rights {
	uid_t daemon;
	bool incomplete, same;
	struct list **lists;
	size_t nlists, room;
	const struct ids *of[CONF_ROLES_]; /* bmd.conf's */
	struct application *applications;  /* by name */
	size_t napplications;
};

/* ---- somebody ---- */

void
rights_who_clear(struct rights_who *who)
{
	free(who->groups);
	*who = (struct rights_who){.uid = -1};
}

static int
find_groups(const struct passwd *entry, struct rights_who *who)
{
	int n = GROUPS_FIRST, wanted = n;

	do {
		n = wanted;
		who->groups = xrealloc(who->groups, (size_t)n, sizeof(*who->groups));
		if (getgrouplist(entry->pw_name, entry->pw_gid, who->groups, &wanted) >= 0) {
			who->n = (size_t)wanted;
			return 0;
		}
		if (wanted <= n)
			wanted = n * 2;
	} while (wanted <= GROUPS_MAX);
	return -E2BIG;
}

int
rights_who_find(int64_t uid, struct rights_who *ret_who, struct err *err)
{
	struct rights_who who = {.uid = uid};
	struct passwd *entry;
	int r;

	*ret_who = (struct rights_who){.uid = -1};
	if (uid < 0 || uid >= (int64_t)(uid_t)-1)
		return err_set(err, ERR_PERMISSION_DENIED, "who asked for it is not known");
	errno = 0;
	entry = getpwuid((uid_t)uid);
	if (!entry) {
		r = errno && errno != ENOENT && errno != ESRCH ? -errno : -ENOENT;
		(void)err_set(err, ERR_PERMISSION_DENIED, "there is no user with uid %lld%s%s",
			      (long long)uid, r == -ENOENT ? " any more" : ": ",
			      r == -ENOENT ? "" : strerror(-r));
		return r;
	}
	r = find_groups(entry, &who);
	if (r < 0) {
		(void)err_set(err, ERR_PERMISSION_DENIED, "the groups of %s cannot be read: %s",
			      entry->pw_name, strerror(-r));
		free(who.groups);
		return r;
	}
	who.known = true;
	*ret_who = who;
	return 0;
}

/* ---- lists ---- */

struct making {
	struct rights *rights;
	void (*unknown)(const char *sentence, void *arg);
	void *arg;
};

static void
say_unknown(const struct making *making, const char *entry)
{
	const char *user = conf_role_user(entry);
	_cleanup_free_ char *sentence = xasprintf("there is no %s %s, so it lets nobody in",
						  user ? "user" : "group", user ? user : entry);

	if (making->unknown)
		making->unknown(sentence, making->arg);
}

/* False: there is nobody of that name. */
static bool
look_up(const char *entry, struct ids *ids)
{
	const char *name = conf_role_user(entry);

	if (name) {
		const struct passwd *user = getpwnam(name);

		if (user && user->pw_uid != (uid_t)-1)
			ids->users[ids->nusers++] = user->pw_uid;
		return user != NULL;
	}
	const struct group *group = getgrnam(entry);

	if (group && group->gr_gid != (gid_t)-1)
		ids->groups[ids->ngroups++] = group->gr_gid;
	return group != NULL;
}

static bool
same_names(const struct conf_strings *a, const struct conf_strings *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static const struct ids *
list_of(struct making *making, const struct conf_strings *names)
{
	struct rights *rights = making->rights;
	struct list *list;

	/* The same list stands in many stages: each name service is asked once. */
	for (size_t i = 0; i < rights->nlists; i++)
		if (same_names(rights->lists[i]->names, names))
			return &rights->lists[i]->ids;
	list = xcalloc(1, sizeof(*list));
	list->names = names;
	list->ids.groups = xcalloc(names->n + 1, sizeof(*list->ids.groups));
	list->ids.users = xcalloc(names->n + 1, sizeof(*list->ids.users));
	for (size_t i = 0; i < names->n; i++)
		if (!look_up(names->v[i], &list->ids))
			say_unknown(making, names->v[i]);
	XGROW(rights->lists, rights->nlists, rights->room);
	rights->lists[rights->nlists++] = list;
	return &list->ids;
}

static bool
has_own(const struct conf_roles *roles)
{
	for (size_t i = 0; i < CONF_ROLES_; i++)
		if (roles->of[i].v)
			return true;
	return false;
}

static void
add_stage(struct making *making, const struct conf *conf, const struct conf_application *from,
	  const struct conf_stage *stage, struct application *to)
{
	struct stage *mine = &to->stages[to->nstages++];

	mine->name = xstrdup(stage->name);
	for (size_t i = 0; i < CONF_ROLES_; i++)
		mine->of[i] = list_of(making, conf_role(conf, from, stage, (enum conf_role)i));
	making->rights->same &= !has_own(&stage->roles);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct application *)a)->name, ((const struct application *)b)->name);
}

struct rights *
rights_new(const struct conf *conf, uid_t daemon, void (*unknown)(const char *sentence, void *arg),
	   void *arg)
{
	struct rights *rights = xcalloc(1, sizeof(*rights));
	struct making making = {.rights = rights, .unknown = unknown, .arg = arg};

	rights->daemon = daemon;
	rights->incomplete = conf->incomplete;
	rights->same = !conf->incomplete;
	rights->applications = xcalloc(conf->napplications + 1, sizeof(*rights->applications));
	for (size_t i = 0; i < CONF_ROLES_; i++)
		rights->of[i] = list_of(&making, &conf->roles.of[i]);
	for (size_t i = 0; i < conf->napplications; i++) {
		const struct conf_application *from = &conf->applications[i];
		struct application *to = &rights->applications[rights->napplications++];

		to->name = xstrdup(from->name);
		to->stages = xcalloc(from->nstages + 1, sizeof(*to->stages));
		rights->same &= !has_own(&from->roles);
		for (size_t j = 0; j < from->nstages; j++)
			add_stage(&making, conf, from, &from->stages[j], to);
	}
	if (rights->napplications > 1)
		qsort(rights->applications, rights->napplications, sizeof(*rights->applications),
		      by_name);
	for (size_t i = 0; i < rights->nlists; i++)
		rights->lists[i]->names = NULL;
	return rights;
}

void
rights_free(struct rights *rights)
{
	if (!rights)
		return;
	for (size_t i = 0; i < rights->napplications; i++) {
		for (size_t j = 0; j < rights->applications[i].nstages; j++)
			free(rights->applications[i].stages[j].name);
		free(rights->applications[i].stages);
		free(rights->applications[i].name);
	}
	free(rights->applications);
	for (size_t i = 0; i < rights->nlists; i++) {
		free(rights->lists[i]->ids.groups);
		free(rights->lists[i]->ids.users);
		free(rights->lists[i]);
	}
	free(rights->lists);
	free(rights);
}

/* ---- questions ---- */

static bool
stands_in(const struct ids *ids, const struct rights_who *who)
{
	for (size_t i = 0; i < ids->nusers; i++)
		if ((int64_t)ids->users[i] == who->uid)
			return true;
	for (size_t i = 0; i < ids->ngroups; i++)
		for (size_t j = 0; j < who->n; j++)
			if (ids->groups[i] == who->groups[j])
				return true;
	return false;
}

bool
rights_in_list(const struct conf_strings *list, const struct rights_who *who)
{
	_cleanup_free_ gid_t *groups = xcalloc(list->n + 1, sizeof(*groups));
	_cleanup_free_ uid_t *users = xcalloc(list->n + 1, sizeof(*users));
	struct ids ids = {.groups = groups, .users = users};

	for (size_t i = 0; i < list->n; i++)
		(void)look_up(list->v[i], &ids);
	return who->known && stands_in(&ids, who);
}

static unsigned
by_lists(const struct ids *const of[CONF_ROLES_], const struct rights_who *who)
{
	unsigned rights = 0;

	if (stands_in(of[CONF_VIEWERS], who))
		rights |= RIGHT_SEE;
	if (stands_in(of[CONF_APPROVERS], who))
		rights |= RIGHT_APPROVE | RIGHT_SEE;
	if (stands_in(of[CONF_OPERATORS], who))
		rights |= RIGHT_OPERATE | RIGHT_SEE;
	return rights;
}

/* 1: the question is answered without looking at names. */
static bool
plain(const struct rights *rights, const struct rights_who *who, unsigned *ret)
{
	if (!who->known)
		*ret = 0;
	else if (who->uid == 0 || who->uid == (int64_t)rights->daemon)
		*ret = RIGHTS_WHOLE;
	else if (rights->same)
		*ret = by_lists(rights->of, who);
	else
		return false;
	return true;
}

static unsigned
not_configured(const struct rights *rights, const struct rights_who *who)
{
	return rights->incomplete ? 0 : by_lists(rights->of, who);
}

static const struct application *
find(const struct rights *rights, const char *name)
{
	const struct application key = {.name = (char *)(uintptr_t)name};

	return rights->napplications > 0
		   ? bsearch(&key, rights->applications, rights->napplications,
			     sizeof(*rights->applications), by_name)
		   : NULL;
}

static unsigned
on_application(const struct application *application, const struct rights_who *who, bool each)
{
	unsigned any = 0, all = application->nstages > 0 ? RIGHTS_WHOLE : 0;

	for (size_t i = 0; i < application->nstages; i++) {
		unsigned here = by_lists(application->stages[i].of, who);

		any |= here;
		all &= here;
	}
	return each ? all : any;
}

static unsigned
on_all(const struct rights *rights, const struct rights_who *who, bool each)
{
	unsigned any = not_configured(rights, who), all = any;

	for (size_t i = 0; i < rights->napplications; i++) {
		any |= on_application(&rights->applications[i], who, false);
		all &= on_application(&rights->applications[i], who, true);
	}
	return each ? all : any;
}

unsigned
rights_on(const struct rights *rights, const struct rights_who *who, const char *application,
	  const char *stage)
{
	const struct application *found;
	unsigned answer;

	if (plain(rights, who, &answer))
		return answer;
	if (!application)
		return on_all(rights, who, false);
	found = find(rights, application);
	if (!found)
		return not_configured(rights, who);
	if (!stage)
		return on_application(found, who, false);
	for (size_t i = 0; i < found->nstages; i++)
		if (strcmp(found->stages[i].name, stage) == 0)
			return by_lists(found->stages[i].of, who);
	/* A stage that the application has no more: by what the others have in common. */
	return on_application(found, who, true);
}

unsigned
rights_on_each(const struct rights *rights, const struct rights_who *who, const char *application)
{
	const struct application *found;
	unsigned answer;

	if (plain(rights, who, &answer))
		return answer;
	if (!application)
		return on_all(rights, who, true);
	found = find(rights, application);
	return found ? on_application(found, who, true) : not_configured(rights, who);
}

bool
rights_same_everywhere(const struct rights *rights)
{
	return rights->same;
}
