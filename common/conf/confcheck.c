/* SPDX-License-Identifier: ISC */
/*
 * What is wrong between sections and files: plans that are not there, names that stand twice, steps
 * that would run as nobody knows who. Also decides which applications and plans must go where the
 * rest is to run without them (CONF_TOLERANT).
 */
#include <string.h>
#include <sys/un.h>

#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

static const struct conf_node *
main_node(const struct conf_parse *parse)
{
	return parse->sources[0]->root;
}

static int
main_line(const struct conf_parse *parse, const char *key)
{
	return main_node(parse) ? conf_node_line(main_node(parse), key) : 0;
}

static const char *
application_name(const void *applications, size_t i)
{
	return ((const struct conf_application *)applications)[i].name;
}

static const char *
plan_name(const void *plans, size_t i)
{
	return ((const struct conf_plan *)plans)[i].name;
}

/* ---- the main file */

static void
check_path(struct conf_parse *parse, const char *key, const char *path)
{
	struct conf_source *source = parse->sources[0];
	size_t limit =
	    strcmp(key, "socket") == 0 ? sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 : 4000;

	if (path[0] != '/')
		conf_report(
		    parse, source, main_line(parse, key),
		    "%s = \"%.60s\" is not absolute: write the whole path, beginning with /", key,
		    path);
	else if (strlen(path) > limit)
		conf_report(parse, source, main_line(parse, key),
			    "%s has %zu bytes: write a path of at most %zu", key, strlen(path),
			    limit);
	else if (!names_text(path, limit, false))
		conf_report(parse, source, main_line(parse, key),
			    "%s holds control characters: write a path without them", key);
}

/* Is any file such that it may hold applications and was not read? Then a name may only seem
 * unknown. */
static bool
unread(const struct conf_parse *parse)
{
	for (size_t i = 0; i < parse->nsources; i++)
		if (!parse->sources[i]->root && parse->sources[i]->nproblems > 0)
			return true;
	return false;
}

static void
check_default(struct conf_parse *parse)
{
	const struct conf *conf = parse->conf;
	const char *name = conf->default_application, *near;

	if (!*name || conf_application(conf, name) || unread(parse))
		return;
	near = conf_nearest(name, application_name, conf->applications, conf->napplications);
	if (!near && conf->napplications > 0)
		near = conf->applications[0].name;
	if (near)
		conf_report(parse, parse->sources[0], main_line(parse, "default-application"),
			    "default-application \"%.64s\" is not configured: write \"%s\"", name,
			    near);
	else
		conf_report(parse, parse->sources[0], main_line(parse, "default-application"),
			    "default-application \"%.64s\" is not configured: write application "
			    "\"%.64s\" { … } in "
			    "applications.d",
			    name, name);
}

/* ---- names that stand twice */

static void
check_twice(struct conf_parse *parse, struct conf_origin *origins, size_t n,
	    const char *(*at)(const void *, size_t), const void *of, const char *kind)
{
	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++) {
			if (strcmp(at(of, i), at(of, j)) != 0)
				continue;
			conf_report(parse, origins[i].source, origins[i].node->line,
				    "%s \"%s\" is already in %s:%d: keep one of the two", kind,
				    at(of, i), origins[j].source->shown, origins[j].node->line);
			/* Which of them is meant nobody can know. */
			origins[i].out = origins[j].out = true;
			break;
		}
}

/* ---- an application */

static void
check_plan(struct conf_parse *parse, size_t i, const struct conf_stage *stage)
{
	struct conf_origin *origin = &parse->applications[i];
	const struct conf *conf = parse->conf;
	const struct conf_node *node = conf_node_child(origin->node, "stage", stage->name);
	const char *near = conf_nearest(stage->plan, plan_name, conf->plans, conf->nplans);
	int line = conf_node_line(node, "plan");

	origin->out = true;
	if (unread(parse)) {
		if (parse->flags & CONF_TOLERANT)
			conf_report(
			    parse, origin->source, line,
			    "plan \"%s\" is not there: it may stand in a file that cannot be read",
			    stage->plan);
		return;
	}
	if (near)
		conf_report(parse, origin->source, line,
			    "plan \"%s\" is not configured: write plan = \"%s\"", stage->plan,
			    near);
	else
		conf_report(parse, origin->source, line,
			    "plan \"%s\" is not configured: write plan \"%s\" { … } in plans.d",
			    stage->plan, stage->plan);
}

/* Each step needs somebody to run as where bmd-run could be anybody. */
static void
check_users(struct conf_parse *parse, size_t i, const struct conf_stage *stage,
	    const struct conf_plan *plan)
{
	const struct conf_application *application = &parse->conf->applications[i];
	const struct conf_origin *origin = &parse->plans[plan - parse->conf->plans];
	bool fatal = parse->fatal;

	if (!parse->root)
		return;
	for (size_t j = 0; j < plan->nsteps; j++) {
		const struct conf_step *step = &plan->steps[j];

		if (*conf_step_user(parse->conf, application, stage, plan, step))
			continue;
		parse->applications[i].out = true;
		conf_report(parse, origin->source, origin->node->children[j]->line,
			    "step \"%s\" of plan \"%s\" on stage %s %s has no user: write user = "
			    "\"deploy\" in "
			    "the step, plan, stage, application or bmd.conf",
			    step->name, plan->name, application->name, stage->name);
	}
	/* The application's mistake, wherever the plan stands. */
	if (parse->applications[i].source->place != CONF_MAIN)
		parse->fatal = fatal;
}

/* Said where the stage takes the plan: another may give the same plan what it needs. */
static void
check_secrets(struct conf_parse *parse, size_t i, const struct conf_stage *stage,
	      const struct conf_plan *plan)
{
	struct conf_origin *origin = &parse->applications[i];
	const struct conf_node *node = conf_node_child(origin->node, "stage", stage->name);
	_cleanup_free_ char *wrong =
	    conf_wrong_secrets(parse->conf, &parse->conf->applications[i], stage, plan);

	if (!wrong)
		return;
	origin->out = true;
	conf_report(parse, origin->source, conf_node_line(node, "plan"), "%s", wrong);
}

static void
check_application(struct conf_parse *parse, size_t i)
{
	const struct conf_application *application = &parse->conf->applications[i];

	for (size_t j = 0; j < application->nstages; j++) {
		const struct conf_stage *stage = &application->stages[j];
		const struct conf_plan *plan;

		if (!stage->plan || !names_stage(stage->plan))
			continue; /* reported where it stands */
		plan = conf_plan(parse->conf, stage->plan);
		if (plan) {
			check_users(parse, i, stage, plan);
			check_secrets(parse, i, stage, plan);
		} else {
			check_plan(parse, i, stage);
		}
	}
}

/* An application goes with its file, and with a plan that goes. Says so: nobody shall miss one
 * without a word. */
static void
take_out(struct conf_parse *parse, size_t i)
{
	const struct conf_application *application = &parse->conf->applications[i];
	struct conf_origin *origin = &parse->applications[i];

	for (size_t j = 0; j < application->nstages && !origin->out; j++) {
		const struct conf_plan *plan = NULL;

		if (application->stages[j].plan)
			plan = conf_plan(parse->conf, application->stages[j].plan);
		if (!plan || !parse->plans[plan - parse->conf->plans].out)
			continue;
		conf_report(parse, origin->source, origin->node->line,
			    "its plan \"%s\" is left out", plan->name);
		origin->out = true;
	}
	if (!origin->out)
		return;
	parse->conf->applications_out = true;
	conf_report(parse, origin->source, origin->node->line,
		    "application \"%s\" is left out until this is mended", application->name);
}

static void
take_out_files(struct conf_parse *parse)
{
	for (size_t i = 0; i < parse->nsources; i++) {
		if (parse->sources[i]->place == CONF_MAIN || parse->sources[i]->root)
			continue;
		parse->conf->applications_out |= parse->sources[i]->place == CONF_APPLICATIONS;
		conf_report(parse, parse->sources[i], 0,
			    "all that stands in this file is left out until it is mended");
	}
}

void
conf_check(struct conf_parse *parse)
{
	struct conf *conf = parse->conf;

	check_path(parse, "state-directory", conf->state_directory);
	check_path(parse, "socket", conf->socket);
	check_path(parse, "run-directory", conf->run_directory);
	for (size_t i = 0; i < conf->nplans; i++)
		parse->plans[i].out = parse->plans[i].source->nproblems > 0;
	for (size_t i = 0; i < conf->napplications; i++)
		parse->applications[i].out = parse->applications[i].source->nproblems > 0;
	check_twice(parse, parse->applications, conf->napplications, application_name,
		    conf->applications, "application");
	check_twice(parse, parse->plans, conf->nplans, plan_name, conf->plans, "plan");
	for (size_t i = 0; i < conf->napplications; i++)
		check_application(parse, i);
	check_default(parse);
	if (!unread(parse))
		conf_check_notified(parse);
	if (!(parse->flags & CONF_TOLERANT) || parse->fatal)
		return;
	for (size_t i = 0; i < conf->napplications; i++)
		take_out(parse, i);
	take_out_files(parse);
}
