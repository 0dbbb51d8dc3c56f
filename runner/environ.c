/* SPDX-License-Identifier: ISC */
/*
 * Layers, each over the one before: what every step starts with; the configuration's variables
 * (daemon < application < stage), the step's own, the build's and the job's; then what nobody
 * overrides. That a job or a build sets only what it may was checked before the run began.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "runner/environ.h"
#include "runner/secrets.h"

static void
set(json_t *environment, const char *name, const char *value)
{
	json_object_set_new(environment, name, json_string(value));
}

static void
set_variables(json_t *environment, const struct conf_variables *variables)
{
	for (size_t i = 0; i < variables->n; i++)
		set(environment, variables->v[i].name, variables->v[i].value);
}

static void
set_number(json_t *environment, const char *name, int64_t value)
{
	char text[24] = "";

	if (value > 0)
		snprintf(text, sizeof(text), "%" PRId64, value);
	set(environment, name, text);
}

static void
set_run(json_t *environment, const struct run *run, const struct conf_step *step)
{
	const struct run_request *request = &run->request;

	set_number(environment, "BM_JOB", request->job);
	set(environment, "BM_APPLICATION", request->application);
	set(environment, "BM_RELEASE", request->build.release);
	set_number(environment, "BM_BUILD", request->build.number);
	set(environment, "BM_STAGE", request->stage);
	set(environment, "BM_PLAN", request->plan);
	set(environment, "BM_STEP", step->name);
	set(environment, "BM_MODE", request->mode);
	set(environment, "BM_FROM_RELEASE", request->from.release);
	set_number(environment, "BM_FROM_BUILD", request->from.number);
	set(environment, "BM_REASON", request->reason);
	set(environment, "BM_REQUESTED_BY", request->requested_by);
	set(environment, "BM_ARTIFACTS", run->work);
}

json_t *
environ_make(const struct run *run, const struct conf_step *step, const struct child_user *user)
{
	json_t *environment = json_object();
	_cleanup_json_ json_t *stage =
	    conf_stage_variables(run->conf, run->application, run->stage);

	set(environment, "PATH", ENVIRON_PATH);
	set(environment, "HOME", user->home);
	set(environment, "LANG", "C.UTF-8");
	json_object_update(environment, stage);
	set_variables(environment, &step->environment);
	json_object_update(environment, run->request.build_variables);
	json_object_update(environment, run->request.job_variables);
	set(environment, "USER", user->name);
	set(environment, "LOGNAME", user->name);
	set_run(environment, run, step);
	secrets_environ(run->secrets, step, environment);
	return environment;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
environ_pack(json_t *environment)
{
	size_t n = 0;
	char **strings = xcalloc(json_object_size(environment) + 1, sizeof(*strings));
	const char *name;
	json_t *value;

	json_object_foreach (environment, name, value) {
		strings[n++] = xasprintf("%s=%s", name, json_string_value(value));
	}
	qsort(strings, n, sizeof(*strings), compare);
	return strings;
}

void
environ_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}
