/* SPDX-License-Identifier: ISC */
/*
 * Who may what: the lists `operators`, `viewers` and `approvers` of bmd.conf, an application or a
 * stage. Which of them counts is said here and nowhere else; what it gives to somebody, in
 * rights.c.
 */
#include <string.h>

#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

static const char *const keys[] = {
    [CONF_VIEWERS] = "viewers",
    [CONF_OPERATORS] = "operators",
    [CONF_APPROVERS] = "approvers",
};

/* "user:ana" → "ana"; NULL for a group. */
const char *
conf_role_user(const char *entry)
{
	return strncmp(entry, "user:", 5) == 0 ? entry + 5 : NULL;
}

static bool
is_name(const char *text)
{
	return *text && !strpbrk(text, " \t\n:,") && names_text(text, 256, false);
}

static void
check_entry(struct conf_parse *parse, struct conf_source *source, const struct conf_key *key,
	    const struct conf_value *value)
{
	const char *user = conf_role_user(value->text);

	if (user && (!is_name(user) || strspn(user, "+-0123456789") == strlen(user)))
		conf_report(parse, source, value->line,
			    "%s: \"%.60s\" names no user: write the user's name, such as "
			    "\"user:ana\"",
			    key->rule->name, value->text);
	else if (!user && !is_name(value->text))
		conf_report(parse, source, value->line,
			    "%s: \"%.60s\" is no group: write its name, such as %s, or "
			    "\"user:NAME\" for one user",
			    key->rule->name, value->text, "\"bmd-operators\"");
}

void
conf_check_roles(struct conf_parse *parse, struct conf_source *source, const struct conf_node *node,
		 const struct conf_roles *roles)
{
	for (size_t i = 0; i < CONF_ROLES_; i++) {
		const struct conf_key *key = conf_node_key(node, keys[i]);

		for (size_t j = 0; key && !key->spoiled && j < roles->of[i].n; j++)
			check_entry(parse, source, key, &key->values[j]);
	}
}

void
conf_roles_default(struct conf_roles *roles)
{
	struct conf_strings *operators = &roles->of[CONF_OPERATORS];

	if (operators->v)
		return;
	operators->v = xcalloc(1, sizeof(char *));
	operators->v[operators->n++] = xstrdup("bmd-operators");
}

const struct conf_strings *
conf_role(const struct conf *conf, const struct conf_application *application,
	  const struct conf_stage *stage, enum conf_role role)
{
	if (stage && stage->roles.of[role].v)
		return &stage->roles.of[role];
	if (application && application->roles.of[role].v)
		return &application->roles.of[role];
	return &conf->roles.of[role];
}

char *
conf_role_text(const struct conf_strings *list)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < list->n; i++) {
		const char *user = conf_role_user(list->v[i]);
		char *longer = xasprintf("%s%s%s%s", text, i > 0 ? ", " : "",
					 user ? "user " : "members of ", user ? user : list->v[i]);

		free(text);
		text = longer;
	}
	return text;
}
