/* SPDX-License-Identifier: ISC */
/*
 * What can be wrong with a schedule of an application's file: a time that never comes, a build that
 * is no build's name, a stage that the application has not.
 */
#include <string.h>

#include "common/time/calendar.h"
#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

struct checker {
	struct conf_parse *parse;
	struct conf_source *source;
	const struct conf_node *node;
	const struct conf_application *application;
	const struct conf_schedule *schedule;
};
#define BAD(checker, key, ...)                                                                 \
	conf_report((checker)->parse, (checker)->source, conf_node_line((checker)->node, key), \
		    __VA_ARGS__)

/* Is KEY there and was nothing said about it yet? Says that it is missing. */
static bool
given(const struct checker *checker, const char *key)
{
	const struct conf_key *found = conf_node_key(checker->node, key);

	if (!found)
		BAD(checker, key, "schedule \"%s\" has no %s: write %s = %s", checker->node->title,
		    key, key, conf_rule(checker->node->schema, key)->example);
	return found && !found->spoiled;
}

static void
check_on(const struct checker *checker)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const char *on = checker->schedule->on;
	struct calendar calendar;
	char zone[WHEN_ZONE_MAX] = "UTC";
	int64_t first_us;

	if (!given(checker, "on"))
		return;
	if (strlen(on) >= CALENDAR_TEXT_MAX) {
		BAD(checker, "on", "on has %zu bytes: write a time of fewer than %d", strlen(on),
		    CALENDAR_TEXT_MAX);
	} else if (calendar_parse(on, &calendar, &err) < 0) {
		BAD(checker, "on", "on: %s", err.text);
	} else if (calendar_next(&calendar, 0, zone, &first_us, NULL) < 0) {
		BAD(checker, "on",
		    "on = \"%.60s\" never comes: write a time that does, such as \"Mon..Fri "
		    "02:00\"",
		    on);
	}
}

static void
check_build(const struct checker *checker)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct build_ref ref;

	if (given(checker, "build") && names_build_parse(checker->schedule->build, &ref, &err) < 0)
		BAD(checker, "build",
		    "build = \"%.70s\" is no build: write \"live\", a release such as \"1.0.2\", "
		    "or a build such as \"1.0.2/3\"",
		    checker->schedule->build);
}

static const char *
stage_name(const void *stages, size_t i)
{
	return ((const struct conf_stage *)stages)[i].name;
}

static void
check_to(const struct checker *checker)
{
	const struct conf_application *application = checker->application;
	const struct conf_schedule *schedule = checker->schedule;
	const struct conf_stage *stage;
	const char *near;

	if (!given(checker, "to") || !names_stage(schedule->to) || application->nstages == 0)
		return;
	stage = conf_stage(application, schedule->to);
	if (stage && stage->require_reason && !schedule->reason) {
		BAD(checker, "reason",
		    "schedule \"%s\" has no reason, which stage %s asks for: write reason = "
		    "\"nightly\"",
		    schedule->name, stage->name);
	} else if (!stage) {
		near = conf_nearest(schedule->to, stage_name, application->stages,
				    application->nstages);
		BAD(checker, "to", "to = \"%s\" is no stage of \"%s\": write to = \"%s\"",
		    schedule->to, application->name,
		    near ? near : application->stages[application->nstages - 1].name);
	}
}

static void
check_variables(const struct checker *checker)
{
	const struct conf_schedule *schedule = checker->schedule;
	const struct conf_stage *stage =
	    schedule->to ? conf_stage(checker->application, schedule->to) : NULL;

	for (size_t i = 0; stage && i < schedule->variables.n; i++)
		if (!conf_variable_open(checker->parse->conf, checker->application, stage,
					schedule->variables.v[i].name))
			BAD(checker, "variables",
			    "variables: %s is set for stage %s already: list it in open = {\"%s\"} "
			    "of the stage, or take it away",
			    schedule->variables.v[i].name, stage->name,
			    schedule->variables.v[i].name);
}

void
conf_check_schedule(struct conf_parse *parse, struct conf_source *source,
		    const struct conf_node *node, const struct conf_application *application,
		    const struct conf_schedule *schedule)
{
	const struct checker checker = {parse, source, node, application, schedule};

	if (strspn(schedule->name, "0123456789") == strlen(schedule->name))
		conf_report(parse, source, node->line,
			    "schedule \"%s\" would be taken for the number of one: write a letter "
			    "into its name",
			    schedule->name);
	check_on(&checker);
	check_build(&checker);
	check_to(&checker);
	check_variables(&checker);
	if (schedule->reason && !names_text(schedule->reason, NAMES_TEXT_MAX, true))
		BAD(&checker, "reason", "reason has more than %d bytes: write a shorter one",
		    NAMES_TEXT_MAX);
}
