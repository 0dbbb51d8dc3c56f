/* SPDX-License-Identifier: ISC */
/* What is wrong with a step by itself: one action and its options, paths, and names behind a $. */
#include <string.h>

#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

// clang-format off
static const char *const builtins[] = {
	"BM_JOB", "BM_APPLICATION", "BM_RELEASE", "BM_BUILD", "BM_STAGE", "BM_PLAN", "BM_STEP", "BM_MODE",
	"BM_FROM_RELEASE", "BM_FROM_BUILD", "BM_REASON", "BM_REQUESTED_BY", "BM_ARTIFACTS",
};
/* clang-format on */

static bool
provides(const struct conf_variables *environment, const char *name)
{
	for (size_t i = 0; i < environment->n; i++)
		if (strcmp(environment->v[i].name, name) == 0)
			return true;
	return false;
}

/* A name that nobody can ever set: neither bmd nor this step, and no job or build may. */
static void
check_name(struct conf_reader *reader, int line, const char *key, const struct conf_step *step,
	   const char *name)
{
	static const char *const never[] = {"ENV", "BASH_ENV", "IFS"};
	const char *near = names_suggest(name, builtins, ARRAY_SIZE(builtins));
	bool unset = strncmp(name, "LD_", 3) == 0 && !provides(&step->environment, name);

	if (strncmp(name, "BM_", 3) == 0) {
		if (near && strcmp(near, name) == 0)
			return;
		CONF_BAD(reader, line, "%s: bmd sets no $%.60s: write $%s", key, name,
			 near ? near : builtins[0]);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		unset |= strcmp(name, never[i]) == 0 && !provides(&step->environment, name);
	if (unset)
		CONF_BAD(reader, line,
			 "%s: nothing can set $%.60s: write it in the environment of the step", key,
			 name);
}

/* The '$'s of a text that will be expanded. */
static void
check_dollars(struct conf_reader *reader, int line, const char *key, const struct conf_step *step,
	      const char *text)
{
	const char *at = text, *name;
	size_t n;

	while ((at = strchr(at, '$'))) {
		_cleanup_free_ char *copy = NULL;
		int kind;

		at++;
		kind = conf_dollar(&at, &name, &n);
		if (kind < 0) {
			CONF_BAD(
			    reader, line,
			    "%s: a $ without a name in \"%.60s\": write $NAME or ${NAME}, or $$ "
			    "for a "
			    "$ itself",
			    key, text);
			return;
		}
		if (kind == 1) {
			copy = xstrndup(name, n);
			check_name(reader, line, key, step, copy);
		}
	}
}

/* An absolute path, as far as that can be seen before $NAMEs are replaced. */
static void
check_path(struct conf_reader *reader, const struct conf_node *node, const char *key,
	   const struct conf_step *step, const char *text)
{
	int line = conf_node_line(node, key);

	if (text[0] != '/' && text[0] != '$')
		CONF_BAD(reader, line, "%s = \"%.60s\" is not absolute: begin it with / or a $NAME",
			 key, text);
	check_dollars(reader, line, key, step, text);
}

static bool
within(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Relative, without empty parts, "." and "..", at the end neither. */
static bool
relative_path(const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 0 || (n <= 2 && strspn(path, ".") >= n) || n > 255)
			return false;
		path += n;
		if (*path == '/' && !*++path)
			return false;
	}
	return true;
}

static void
check_shared(struct conf_reader *reader, const struct conf_node *node, const struct conf_step *step)
{
	const struct conf_key *key = conf_node_key(node, "shared");

	for (size_t i = 0; i < step->shared.n; i++) {
		const char *path = step->shared.v[i];

		if (!*path || !relative_path(path) || strlen(path) > 4000) {
			CONF_BAD(
			    reader, key->values[i].line,
			    "shared: \"%.60s\" is not a path inside the release: write it without "
			    "a / at either end, and "
			    "without . and .. as parts, such as \"log\"",
			    path);
			continue;
		}
		for (size_t j = 0; j < i; j++)
			if (within(path, step->shared.v[j]) || within(step->shared.v[j], path)) {
				CONF_BAD(
				    reader, key->values[i].line,
				    "shared: \"%.60s\" and \"%.60s\" overlap: keep one of the two",
				    step->shared.v[j], path);
				break;
			}
	}
}

/* Exactly one of deploy, exec and run. */
static void
check_action(struct conf_reader *reader, const struct conf_node *node, struct conf_step *step)
{
	static const char *const actions[] = {"deploy", "exec", "run"}; /* enum conf_action */
	const struct conf_key *first = NULL, *key;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		key = conf_node_key(node, actions[i]);
		if (!key)
			continue;
		if (first) {
			const struct conf_key *later = key->line < first->line ? first : key;
			CONF_BAD(reader, later->line,
				 "step \"%s\" has two actions, %s and %s: make two steps of it",
				 node->title, first->rule->name, key->rule->name);
			return;
		}
		first = key;
		step->action = (enum conf_action)i;
	}
	if (!first)
		CONF_BAD(reader, node->line,
			 "step \"%s\" has no action: write one of deploy = \"ARTIFACT\" to = "
			 "'DIRECTORY', exec = {…} or "
			 "run = '…'",
			 node->title);
}

static void
check_deploy(struct conf_reader *reader, const struct conf_node *node, const struct conf_step *step)
{
	static const char *const options[] = {"to", "shared", "keep", "in-place"};

	if (conf_node_key(node, "deploy")) {
		if (!conf_node_key(node, "to"))
			CONF_BAD(reader, conf_node_line(node, "deploy"),
				 "step \"%s\" deploys to no directory: write to = '$ROOT'",
				 node->title);
		if (step->in_place && step->keep)
			CONF_BAD(
			    reader, conf_node_line(node, "keep"),
			    "keep counts release folders, and in-place makes none: keep one of the "
			    "two");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (conf_node_key(node, options[i]))
			CONF_BAD(
			    reader, conf_node_line(node, options[i]),
			    "%s is an option of deploy, which step \"%s\" has not: write deploy = "
			    "\"ARTIFACT\", or "
			    "take it away",
			    options[i], node->title);
}

static void
check_exec(struct conf_reader *reader, const struct conf_node *node, const struct conf_step *step)
{
	const struct conf_key *key = conf_node_key(node, "exec");

	if (key && !key->spoiled && (step->exec.n == 0 || !step->exec.v[0][0]))
		CONF_BAD(reader, key->line, "exec names no program: write exec = %s",
			 key->rule->example);
	for (size_t i = 0; key && i < step->exec.n; i++)
		check_dollars(reader, key->values[i].line, "exec", step, step->exec.v[i]);
	if (step->run && strspn(step->run, " \t\r\n") == strlen(step->run))
		CONF_BAD(reader, conf_node_line(node, "run"),
			 "run is empty: write a text for /bin/sh");
}

static void
check_artifacts(struct conf_reader *reader, const struct conf_node *node,
		const struct conf_step *step)
{
	const struct conf_key *key = conf_node_key(node, "artifacts");

	for (size_t i = 0; key && i < step->artifacts.n; i++) {
		if (!names_stage(step->artifacts.v[i]))
			CONF_BAD(
			    reader, key->values[i].line,
			    "artifacts: \"%.70s\" is no name: write a-z, 0-9 and . _ -, such as "
			    "\"site\"",
			    step->artifacts.v[i]);
		for (size_t j = 0; j < i; j++)
			if (strcmp(step->artifacts.v[i], step->artifacts.v[j]) == 0) {
				CONF_BAD(reader, key->values[i].line,
					 "artifacts: \"%.70s\" stands twice: keep one",
					 step->artifacts.v[i]);
				break;
			}
	}
}

void
conf_read_step(struct conf_reader *reader, const struct conf_node *node, struct conf_step *step)
{
	const unsigned all = CONF_DEPLOY | CONF_REDEPLOY | CONF_ROLLBACK;

	step->name = xstrdup(node->title);
	step->attempts = 1;
	conf_read_keys(reader, node, step);
	if (!step->directory)
		step->directory = xstrdup("/");
	conf_check_title(reader, node);
	check_action(reader, node, step);
	check_deploy(reader, node, step);
	check_exec(reader, node, step);
	check_shared(reader, node, step);
	check_artifacts(reader, node, step);
	conf_check_step_secrets(reader, node, step);
	if (step->to)
		check_path(reader, node, "to", step, step->to);
	check_path(reader, node, "directory", step, step->directory);
	if (((step->only_on ? step->only_on : all) & ~step->skip_on) == 0)
		CONF_BAD(
		    reader, conf_node_line(node, "skip-on"),
		    "step \"%s\" would never run: leave a mode in only-on that skip-on does not "
		    "name",
		    node->title);
}
