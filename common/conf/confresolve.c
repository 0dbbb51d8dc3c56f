/* SPDX-License-Identifier: ISC */
/*
 * Questions to a finished struct conf: what a run on a stage does, as one text that bmd and bmd-run
 * agree on by its digest; who it runs as; which variables it has and who may set them; and $NAMEs.
 */
#include <errno.h>
#include <string.h>

#include "common/conf/confparse.h"
#include "common/digest.h"
#include "common/json.h"
#include "common/names.h"
#include "common/xalloc.h"

#define EXPANDED_MAX (128 * 1024) /* bytes: what the kernel takes as one argument */

static void
set(json_t *object, const char *name, json_t *value)
{
	if (!value || json_object_set_new(object, name, value) < 0)
		xalloc_die();
}

static void
append(json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value) < 0)
		xalloc_die();
}

static json_t *
strings_json(const struct conf_strings *strings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < strings->n; i++)
		append(array, json_string(strings->v[i]));
	return array;
}

static void
merge(json_t *object, const struct conf_variables *variables)
{
	for (size_t i = 0; i < variables->n; i++)
		set(object, variables->v[i].name, json_string(variables->v[i].value));
}

json_t *
conf_stage_variables(const struct conf *conf, const struct conf_application *application,
		     const struct conf_stage *stage)
{
	json_t *object = json_object();

	merge(object, &conf->variables);
	merge(object, &application->variables);
	merge(object, &stage->variables);
	return object;
}

const char *
conf_step_user(const struct conf *conf, const struct conf_application *application,
	       const struct conf_stage *stage, const struct conf_plan *plan,
	       const struct conf_step *step)
{
	const char *const users[] = {step->user, plan->user, stage->user, application->user,
				     conf->user};

	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		if (users[i] && *users[i])
			return users[i];
	return "";
}

static bool
holds(const struct conf_variables *variables, const char *name)
{
	for (size_t i = 0; i < variables->n; i++)
		if (strcmp(variables->v[i].name, name) == 0)
			return true;
	return false;
}

/* Does the configuration set NAME anywhere on this stage, in a step of its plan too? */
static bool
configured(const struct conf *conf, const struct conf_application *application,
	   const struct conf_stage *stage, const char *name)
{
	const struct conf_plan *plan = conf_plan(conf, stage->plan);

	if (holds(&conf->variables, name) || holds(&application->variables, name) ||
	    holds(&stage->variables, name))
		return true;
	for (size_t i = 0; plan && i < plan->nsteps; i++)
		if (holds(&plan->steps[i].environment, name))
			return true;
	return false;
}

bool
conf_variable_open(const struct conf *conf, const struct conf_application *application,
		   const struct conf_stage *stage, const char *name)
{
	if (!names_variable(name) || names_variable_reserved(name) ||
	    conf_secret_names(conf, application, stage, name))
		return false;
	for (size_t i = 0; i < stage->open.n; i++)
		if (strcmp(stage->open.v[i], name) == 0)
			return true;
	return !configured(conf, application, stage, name);
}

static json_t *
step_json(const struct conf_step *step, const char *user)
{
	json_t *object = json_object(), *environment = json_object();

	merge(environment, &step->environment);
	set(object, "name", json_string(step->name));
	set(object, "action", json_integer(step->action));
	set(object, "deploy", json_text(step->deploy));
	set(object, "to", json_text(step->to));
	set(object, "shared", strings_json(&step->shared));
	set(object, "keep", json_integer(step->keep));
	set(object, "in-place", json_boolean(step->in_place));
	set(object, "exec", strings_json(&step->exec));
	set(object, "run", json_text(step->run));
	set(object, "timeout", json_integer(step->timeout_us));
	set(object, "attempts", json_integer(step->attempts));
	set(object, "delay", json_integer(step->delay_us));
	set(object, "directory", json_string(step->directory));
	set(object, "user", json_string(user));
	set(object, "environment", environment);
	set(object, "only-on", json_integer(step->only_on));
	set(object, "skip-on", json_integer(step->skip_on));
	set(object, "irreversible", json_boolean(step->irreversible));
	set(object, "ignore-failure", json_boolean(step->ignore_failure));
	set(object, "artifacts", strings_json(&step->artifacts));
	if (step->secrets.n > 0)
		set(object, "secrets", strings_json(&step->secrets));
	return object;
}

/* Only those that are given: a stage without any has the text that it always had. */
static void
set_limits(json_t *object, const struct conf_limits *limits)
{
	if (limits->memory_bytes > 0)
		set(object, "memory-max", json_integer(limits->memory_bytes));
	if (limits->tasks > 0)
		set(object, "tasks-max", json_integer(limits->tasks));
	if (limits->cpu_weight > 0)
		set(object, "cpu-weight", json_integer(limits->cpu_weight));
}

char *
conf_resolve(const struct conf *conf, const struct conf_application *application,
	     const struct conf_stage *stage, char ret_digest[65])
{
	_cleanup_json_ json_t *object = json_object();
	_cleanup_json_ json_t *secrets = conf_stage_secrets(conf, application, stage);
	const struct conf_plan *plan = conf_plan(conf, stage->plan);
	json_t *steps = json_array();
	char *text;

	for (size_t i = 0; plan && i < plan->nsteps; i++)
		append(steps, step_json(&plan->steps[i], conf_step_user(conf, application, stage,
									plan, &plan->steps[i])));
	set(object, "application", json_string(application->name));
	set(object, "stage", json_string(stage->name));
	set(object, "plan", json_string(stage->plan));
	set(object, "steps", steps);
	set(object, "variables", conf_stage_variables(conf, application, stage));
	set(object, "open", strings_json(&stage->open));
	if (stage->require_signature.n > 0)
		set(object, "require-signature", strings_json(&stage->require_signature));
	set(object, "verify", json_integer(stage->verify));
	set_limits(object, &stage->limits);
	if (json_object_size(secrets) > 0)
		set(object, "secrets", json_incref(secrets));
	text = json_canonical(object);
	digest_of(text, strlen(text), ret_digest);
	return text;
}

/* ---- $NAME */

#define FIRST "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

int
conf_dollar(const char **at, const char **ret_name, size_t *ret_n)
{
	const char *s = *at;
	bool brace = *s == '{';
	size_t n;

	if (*s == '$') {
		(*at)++;
		return 2;
	}
	s += brace;
	n = strspn(s, FIRST "0123456789");
	if (n == 0 || !strchr(FIRST, *s) || (brace && s[n] != '}'))
		return -1;
	*ret_name = s;
	*ret_n = n;
	*at = s + n + brace;
	return 1;
}

struct expansion {
	char *text;
	size_t n;
	bool full;
};

static void
add(struct expansion *expansion, const char *s, size_t n)
{
	if (expansion->n + n > EXPANDED_MAX) {
		expansion->full = true;
		return;
	}
	expansion->text = xrealloc(expansion->text, expansion->n + n + 1, 1);
	memcpy(expansion->text + expansion->n, s, n);
	expansion->n += n;
	expansion->text[expansion->n] = '\0';
}

int
conf_expand(const char *text, const json_t *environment, char **ret_text, struct err *err)
{
	struct expansion expansion = {0};
	_cleanup_free_ char *result = NULL;
	const char *at = text;

	while (*at && !expansion.full) {
		_cleanup_free_ char *copy = NULL;
		const char *dollar = strchrnul(at, '$'), *name = NULL, *value;
		size_t n = 0;
		int kind;

		add(&expansion, at, (size_t)(dollar - at));
		at = dollar;
		if (!*at)
			break;
		at++;
		kind = conf_dollar(&at, &name, &n);
		if (kind == 2) {
			add(&expansion, "$", 1);
			continue;
		}
		if (kind < 0) {
			free(expansion.text);
			return err_set(err, ERR_CONFIGURATION,
				       "a $ without a name in \"%.200s\": write $NAME or ${NAME}, "
				       "or $$ for a $ itself",
				       text);
		}
		copy = xstrndup(name, n);
		value = json_get_string(environment, copy);
		if (!value) {
			free(expansion.text);
			return err_set(err, ERR_CONFIGURATION,
				       "$%.130s in \"%.200s\" is not set: set it in variables, in "
				       "the step's environment or "
				       "for the build",
				       copy, text);
		}
		add(&expansion, value, strlen(value));
	}
	result = expansion.text ? expansion.text : xstrdup("");
	if (expansion.full)
		return err_set(err, ERR_CONFIGURATION,
			       "\"%.200s\" would become longer than %d bytes", text, EXPANDED_MAX);
	*ret_text = TAKE(result);
	return 0;
}
