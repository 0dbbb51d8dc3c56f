/* SPDX-License-Identifier: ISC */
/*
 * Secrets: where each comes from (bmd.conf, application, stage; the narrowest wins), and which
 * steps get it. Here are names and places alone: what stands in them only bmd-run ever reads
 * (runner/secrets.h).
 */
#include <string.h>

#include "common/conf/confparse.h"
#include "common/json.h"
#include "common/names.h"
#include "common/xalloc.h"

#define SUFFIX		"_FILE"
#define NAME_MAX_LENGTH 100

const char *
conf_secret_credential(const char *from)
{
	return strncmp(from, "credential:", 11) == 0 ? from + 11 : NULL;
}

char *
conf_secret_variable(const char *name)
{
	return xasprintf("%s" SUFFIX, name);
}

/* A file name as systemd.exec(5) allows it. */
static bool
is_credential(const char *name)
{
	return *name && strlen(name) <= 255 && !strchr(name, '/') && name[0] != '.' &&
	       names_text(name, 255, false);
}

void
conf_check_secrets(struct conf_parse *parse, struct conf_source *source,
		   const struct conf_node *node, const struct conf_variables *secrets)
{
	int line = conf_node_line(node, "secrets");

	for (size_t i = 0; i < secrets->n; i++) {
		const char *name = secrets->v[i].name, *from = secrets->v[i].value;
		const char *credential = conf_secret_credential(from);

		if (strlen(name) > NAME_MAX_LENGTH)
			conf_report(
			    parse, source, line,
			    "secrets: %.20s… is longer than %d letters: write a shorter name", name,
			    NAME_MAX_LENGTH);
		else if (credential ? !is_credential(credential)
				    : from[0] != '/' || !names_text(from, 4000, false))
			conf_report(parse, source, line,
				    "secrets: %s=%.60s names no file: write the whole path of one, "
				    "such as \"%s=/etc/bmd/secrets/db\", or \"%s=credential:db\"",
				    name, from, name, name);
	}
}

void
conf_check_step_secrets(struct conf_reader *reader, const struct conf_node *node,
			const struct conf_step *step)
{
	const struct conf_key *key = conf_node_key(node, "secrets");

	if (step->secrets.n > 0 && step->action == CONF_STEP_DEPLOY)
		CONF_BAD(reader, key->line,
			 "secrets is an option of exec and run, and step \"%s\" only places files: "
			 "take it away",
			 node->title);
	for (size_t i = 0; i < step->secrets.n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(step->secrets.v[i], step->secrets.v[j]) == 0) {
				CONF_BAD(reader, key->values[i].line,
					 "secrets: \"%.70s\" stands twice: keep one",
					 step->secrets.v[i]);
				break;
			}
}

static bool
sets(const struct conf_variables *variables, const char *name)
{
	for (size_t i = 0; i < variables->n; i++)
		if (strcmp(variables->v[i].name, name) == 0)
			return true;
	return false;
}

/* What is wrong with the secrets of one step of STAGE's plan, as a sentence; NULL: nothing. free()
 */
static char *
wrong_step(const json_t *secrets, const json_t *variables, const struct conf_stage *stage,
	   const struct conf_step *step)
{
	for (size_t i = 0; i < step->secrets.n; i++) {
		const char *name = step->secrets.v[i];
		_cleanup_free_ char *variable = conf_secret_variable(name);

		if (!json_object_get(secrets, name))
			return xasprintf("step \"%s\" of plan \"%s\" gets the secret %.70s, which "
					 "nothing sets: write secrets = {\"%.70s=/PATH\"} in the "
					 "stage, application or bmd.conf",
					 step->name, stage->plan, name, name);
		if (json_object_get(variables, variable) || sets(&step->environment, variable))
			return xasprintf("%s would be set twice, by a variable and for the secret "
					 "%s: write another name for one of the two",
					 variable, name);
	}
	return NULL;
}

char *
conf_wrong_secrets(const struct conf *conf, const struct conf_application *application,
		   const struct conf_stage *stage, const struct conf_plan *plan)
{
	_cleanup_json_ json_t *secrets = conf_stage_secrets(conf, application, stage);
	_cleanup_json_ json_t *variables = conf_stage_variables(conf, application, stage);
	char *wrong = NULL;

	for (size_t i = 0; i < plan->nsteps && !wrong; i++)
		wrong = wrong_step(secrets, variables, stage, &plan->steps[i]);
	return wrong;
}

json_t *
conf_stage_secrets(const struct conf *conf, const struct conf_application *application,
		   const struct conf_stage *stage)
{
	const struct conf_variables *const all[] = {&conf->secrets, &application->secrets,
						    &stage->secrets};
	json_t *object = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t j = 0; j < all[i]->n; j++)
			json_object_set_new(object, all[i]->v[j].name,
					    json_string(all[i]->v[j].value));
	return object;
}

bool
conf_secret_names(const struct conf *conf, const struct conf_application *application,
		  const struct conf_stage *stage, const char *variable)
{
	size_t n = strlen(variable), suffix = strlen(SUFFIX);
	_cleanup_free_ char *name = NULL;

	if (n <= suffix || strcmp(variable + n - suffix, SUFFIX) != 0)
		return false;
	name = xstrndup(variable, n - suffix);
	return sets(&conf->secrets, name) || sets(&application->secrets, name) ||
	       sets(&stage->secrets, name);
}
