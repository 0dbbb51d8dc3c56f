/* SPDX-License-Identifier: ISC */
/*
 * Notify sections: what can be wrong with one, whom it runs as, and what it wants to hear of.
 */
#include <string.h>

#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

static const char *const events[] = {
#define X(symbol, name) [CONF_NOTICE_##symbol] = (name),
    CONF_NOTICES(X)
#undef X
};

/* What a success tells is not news to most. */
#define USUAL (~(1u << CONF_NOTICE_SUCCEEDED) & ((1u << CONF_NOTICE_MAX_) - 1))

/* What bmd-run sets for the command; others of BM_ are a mistake. */
static const char *const given[] = {
    "BM_NOTICE", "BM_EVENT", "BM_ATTEMPT",     "BM_TIME",   "BM_TEXT",
    "BM_HOST",	 "BM_JOB",   "BM_APPLICATION", "BM_STAGE",  "BM_RELEASE",
    "BM_BUILD",	 "BM_PLAN",  "BM_STEP",	       "BM_RESULT", "BM_REQUESTED_BY",
};

struct checker {
	struct conf_parse *parse;
	struct conf_source *source;
	const struct conf_node *node;
};
#define BAD(checker, line, ...) conf_report((checker)->parse, (checker)->source, line, __VA_ARGS__)

static void
check_on(const struct checker *checker, struct conf_notify *notify)
{
	const struct conf_key *key = conf_node_key(checker->node, "on");

	notify->on = key ? 0 : USUAL;
	if (key && !key->spoiled && key->nvalues == 0)
		BAD(checker, key->line, "on is empty: write on = %s, or take it away",
		    key->rule->example);
	for (size_t i = 0; i < notify->words.n; i++) {
		const char *word = notify->words.v[i];
		const char *near = names_suggest(word, events, ARRAY_SIZE(events));
		size_t event = 0;

		while (event < ARRAY_SIZE(events) && strcmp(events[event], word) != 0)
			event++;
		if (event < ARRAY_SIZE(events))
			notify->on |= 1u << event;
		else
			BAD(checker, key->values[i].line, "on: \"%.40s\" is no event: write %s%s%s",
			    word, near ? "\"" : "",
			    near ? near
				 : "\"failed\", \"lost\", \"missed\", \"held\", \"recovered\" or "
				   "\"succeeded\"",
			    near ? "\"" : "");
	}
}

/* The '$'s of an argument: names that are set, or may be by its own environment. */
static void
check_dollars(const struct checker *checker, int line, const char *text)
{
	const char *at = text, *name;
	size_t n;

	while ((at = strchr(at, '$'))) {
		_cleanup_free_ char *copy = NULL;
		const char *near;
		int kind;

		at++;
		kind = conf_dollar(&at, &name, &n);
		if (kind < 0) {
			BAD(checker, line,
			    "exec: a $ without a name in \"%.60s\": write $NAME or ${NAME}, or $$ "
			    "for a $ itself",
			    text);
			return;
		}
		copy = kind == 1 ? xstrndup(name, n) : NULL;
		if (!copy || strncmp(copy, "BM_", 3) != 0)
			continue;
		near = names_suggest(copy, given, ARRAY_SIZE(given));
		if (!near || strcmp(near, copy) != 0)
			BAD(checker, line, "exec: a notice has no $%.60s: write $%s", copy,
			    near ? near : "BM_TEXT");
	}
}

static void
check_exec(const struct checker *checker, const struct conf_notify *notify)
{
	const struct conf_key *key = conf_node_key(checker->node, "exec");

	if (!key) {
		BAD(checker, checker->node->line, "notify \"%s\" has no exec: write exec = %s",
		    checker->node->title, conf_rule(checker->node->schema, "exec")->example);
		return;
	}
	if (!key->spoiled && (notify->exec.n == 0 || !notify->exec.v[0][0]))
		BAD(checker, key->line, "exec names no program: write exec = %s",
		    key->rule->example);
	for (size_t i = 0; i < notify->exec.n; i++)
		check_dollars(checker, key->values[i].line, notify->exec.v[i]);
}

/* Names of a list, at least one: an empty list would tell nobody anything. */
static void
check_names(const struct checker *checker, const char *name, const struct conf_strings *list)
{
	const struct conf_key *key = conf_node_key(checker->node, name);

	if (!key)
		return;
	if (!key->spoiled && key->nvalues == 0)
		BAD(checker, key->line, "%s is empty: write %s = %s, or take it away", name, name,
		    key->rule->example);
	for (size_t i = 0; i < list->n; i++)
		if (!names_stage(list->v[i]))
			BAD(checker, key->values[i].line,
			    "%s: \"%.70s\" is no name: write a-z, 0-9 and . _ -, such as %s", name,
			    list->v[i], key->rule->example);
}

static const char *
stage_name(const void *stages, size_t i)
{
	return ((const struct conf_stage *)stages)[i].name;
}

/* Inside an application its own stages are meant, and no others. */
static void
check_inside(const struct checker *checker, const struct conf_application *application,
	     const struct conf_notify *notify)
{
	const struct conf_key *key = conf_node_key(checker->node, "stages");

	if (conf_node_key(checker->node, "applications"))
		BAD(checker, conf_node_line(checker->node, "applications"),
		    "applications is for the notify sections of bmd.conf: take it away, this one "
		    "is of \"%s\"",
		    application->name);
	for (size_t i = 0; i < notify->stages.n && application->nstages > 0; i++) {
		const char *name = notify->stages.v[i];
		const char *near =
		    conf_nearest(name, stage_name, application->stages, application->nstages);

		if (names_stage(name) && !conf_stage(application, name))
			BAD(checker, key->values[i].line,
			    "stages: \"%s\" is no stage of \"%s\": write \"%s\"", name,
			    application->name,
			    near ? near : application->stages[application->nstages - 1].name);
	}
}

void
conf_check_notify(struct conf_parse *parse, struct conf_source *source,
		  const struct conf_node *node, const struct conf_application *application,
		  struct conf_notify *notify)
{
	const struct checker checker = {parse, source, node};

	check_exec(&checker, notify);
	check_on(&checker, notify);
	check_names(&checker, "applications", &notify->applications);
	check_names(&checker, "stages", &notify->stages);
	if (application)
		check_inside(&checker, application, notify);
	if (parse->root && !notify->user && !(application && application->user) &&
	    !*parse->conf->user)
		BAD(&checker, node->line,
		    "notify \"%s\" has no user: write user = \"deploy\" in it%s or in bmd.conf",
		    node->title, application ? ", in the application" : "");
}

static const char *
application_name(const void *applications, size_t i)
{
	return ((const struct conf_application *)applications)[i].name;
}

/* Is there any application in which the section would find a stage of this name? */
static bool
stage_known(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->napplications; i++)
		if (conf_stage(&conf->applications[i], name))
			return true;
	return false;
}

void
conf_check_notified(struct conf_parse *parse)
{
	const struct conf *conf = parse->conf;

	for (size_t i = 0; i < conf->nnotifies; i++) {
		const struct conf_notify *notify = &conf->notifies[i];
		const struct conf_node *node =
		    conf_node_child(parse->sources[0]->root, "notify", notify->name);

		for (size_t j = 0; j < notify->applications.n; j++) {
			const char *name = notify->applications.v[j];
			const char *near = conf_nearest(name, application_name, conf->applications,
							conf->napplications);

			if (names_stage(name) && !conf_application(conf, name))
				conf_report(parse, parse->sources[0],
					    conf_node_line(node, "applications"),
					    "applications: \"%s\" is not configured: %s%s%s", name,
					    near ? "write \"" : "take it away", near ? near : "",
					    near ? "\"" : "");
		}
		for (size_t j = 0; j < notify->stages.n; j++)
			if (names_stage(notify->stages.v[j]) &&
			    !stage_known(conf, notify->stages.v[j]))
				conf_report(parse, parse->sources[0],
					    conf_node_line(node, "stages"),
					    "stages: no application has a stage \"%s\": take it "
					    "away, or write one that is there",
					    notify->stages.v[j]);
	}
}

/* ---- questions */

const struct conf_notify *
conf_notify(const struct conf *conf, const char *application, const char *name)
{
	const struct conf_application *of =
	    *application ? conf_application(conf, application) : NULL;
	const struct conf_notify *notifies = of ? of->notifies : conf->notifies;
	size_t n = of ? of->nnotifies : *application ? 0 : conf->nnotifies;

	for (size_t i = 0; i < n; i++)
		if (strcmp(notifies[i].name, name) == 0)
			return &notifies[i];
	return NULL;
}

const char *
conf_notify_user(const struct conf *conf, const char *application, const struct conf_notify *notify)
{
	const struct conf_application *of =
	    *application ? conf_application(conf, application) : NULL;

	if (notify->user)
		return notify->user;
	return of && of->user ? of->user : conf->user;
}

static bool
listed(const struct conf_strings *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i], name) == 0)
			return true;
	return list->n == 0;
}

bool
conf_notify_wants(const struct conf_notify *notify, const char *event, const char *application,
		  const char *stage)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (strcmp(events[i], event) == 0 && (notify->on & 1u << i))
			return listed(&notify->applications, application) &&
			       listed(&notify->stages, stage);
	return false;
}
