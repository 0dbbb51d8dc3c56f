/* SPDX-License-Identifier: ISC */
/*
 * build add, build repair: each PATH is streamed over an upgraded connection and becomes a digest;
 * then one ordinary call makes a build of the digests. Until that call nothing is added, so that
 * whatever breaks before can be typed again.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/signature.h"
#include "common/xalloc.h"
#include "ctl/send.h"
#include "ctl/table.h"
#include "ctl/upload.h"
#include "ctl/verbs/verbs.h"

struct part {
	char *name; /* owned; NULL until it is known */
	const char *path;
};

struct parts {
	struct part *v;
	size_t n;
};

static void
parts_clear(struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		free(parts->v[i].name);
	free(parts->v);
}

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* [NAME=]PATH: split where a valid NAME stands, unless only the whole word is a path that exists.
 */
static struct part
parse_part(const char *word)
{
	const char *equals = strchr(word, '=');
	char *name;

	if (equals == NULL)
		return (struct part){NULL, word};
	name = xstrndup(word, (size_t)(equals - word));
	if (names_stage(name) && (exists(equals + 1) || !exists(word)))
		return (struct part){name, equals + 1};
	free(name);
	return (struct part){NULL, word};
}

static json_t *
used_artifacts(struct ctl *ctl, struct err *err)
{
	json_t *reply = NULL, *names = NULL;

	if (ctl_call(ctl, "ListArtifacts",
		     json_pack("{s:o}", "application", ctl_text(ctl_word(ctl, 0))), &reply,
		     err) < 0)
		return NULL;
	names = json_incref(json_object_get(reply, "artifacts"));
	json_decref(reply);
	return names != NULL ? names : json_array();
}

/* A part without a name is the one artifact that the plans use; if that is not one, or there are
 * several such parts, it is called like its file. */
static int
name_parts(struct ctl *ctl, struct parts *parts, const json_t *used, struct err *err)
{
	size_t unnamed = 0;

	for (size_t i = 0; i < parts->n; i++)
		unnamed += parts->v[i].name == NULL;
	for (size_t i = 0; i < parts->n; i++) {
		struct part *part = &parts->v[i];

		if (part->name == NULL && unnamed == 1 && json_array_size(used) == 1)
			part->name = xstrdup(json_string_value(json_array_get(used, 0)));
		else if (part->name == NULL)
			part->name = upload_artifact_name(part->path);
		if (part->name == NULL || !names_stage(part->name))
			return ctl_usage(ctl, err,
					 "'%s' makes no name of an artifact: write NAME=%s",
					 part->path, part->path);
		for (size_t j = 0; j < i; j++)
			if (strcmp(parts->v[j].name, part->name) == 0)
				return ctl_usage(ctl, err,
						 "two artifacts are called %s: write NAME=PATH",
						 part->name);
	}
	return 0;
}

/* What went wrong names PATH, once. */
static void
name_path(const char *path, struct err *err)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (strncmp(err->text, path, n) != 0)
		err_prefix(err, "%s", path);
}

static int
upload_parts(struct ctl *ctl, const struct parts *parts, json_t *artifacts, struct err *err)
{
	for (size_t i = 0; i < parts->n; i++) {
		_cleanup_json_ json_t *answer = NULL;
		int64_t files;
		int r = send_artifact(ctl, parts->v[i].name, parts->v[i].path, NULL, &answer, err);

		if (r < 0) {
			name_path(parts->v[i].path, err);
			return r;
		}
		ctl_warnings(json_object_get(answer, "warnings"));
		files = json_get_int(answer, "files", 0);
		table_line(stderr, "%s: %" PRId64 " file%s, %s", parts->v[i].name, files,
			   files == 1 ? "" : "s", ctl_size(json_get_int(answer, "bytes", 0)).s);
		json_array_append_new(artifacts,
				      json_pack("{s:s, s:s*}", "name", parts->v[i].name, "digest",
						json_get_string(answer, "digest")));
	}
	return 0;
}

static int
parse_parts(struct ctl *ctl, struct parts *parts, struct err *err)
{
	const char *word, *path;

	parts->v = xcalloc(ctl->options.nwords, sizeof(*parts->v));
	for (size_t i = 2; (word = ctl_word(ctl, i)) != NULL; i++) {
		struct part part = parse_part(word);

		parts->v[parts->n++] = part;
		if (!exists(part.path) && (path = strchr(word, '=')) != NULL && exists(path + 1))
			return ctl_usage(ctl, err,
					 "'%.*s' is no name of an artifact: lower-case letters, "
					 "digits and . _ -",
					 (int)(path - word), word);
		if (!exists(part.path))
			return ctl_no_path(err, part.path, errno,
					   "a path is a folder, an archive or a file, as PATH or "
					   "NAME=PATH");
	}
	return 0;
}

/* What can be known to be wrong is said before anything is sent. */
static int
check_words(struct ctl *ctl, struct parts *parts, struct err *err)
{
	const char *application = ctl_word(ctl, 0), *release = ctl_word(ctl, 1);

	if (!names_application(application))
		return err_set(err, ERR_BAD_NAME,
			       "'%s' is no name of an application: lower-case letters, digits and "
			       ". _ -, at most 63",
			       application);
	if (!names_release(release))
		return err_set(err, ERR_BAD_NAME,
			       "'%s' is no name of a release; a release is such as 1.0.2, its "
			       "number is given by bmd or "
			       "--number",
			       release);
	return parse_parts(ctl, parts, err);
}

/* The file PATH, as it is. */
static int
read_signature(const char *path, json_t *parameters, struct err *err)
{
	_cleanup_err_ struct err why = ERR_INIT;
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	struct signature signature;
	char text[SIGNATURE_MAX + 2];
	size_t n;

	if (file == NULL)
		return ctl_no_path(err, path, errno,
				   "--signature takes the file that minisign made, such as "
				   "shop-1.0.2.minisig");
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	if (signature_parse(text, &signature, &why) < 0)
		return err_set(err, ERR_USAGE, "%s: %s", path, why.text);
	json_object_set_new(parameters, "signature", ctl_text(text));
	return 0;
}

static int
parameters_of(struct ctl *ctl, json_t *artifacts, json_t *parameters, struct err *err)
{
	_cleanup_json_ json_t *variables = NULL;
	const char *note = ctl_value(ctl, OPTION_NOTE);
	int64_t number;
	int r;

	json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	json_object_set_new(parameters, "release", ctl_text(ctl_word(ctl, 1)));
	json_object_set(parameters, "artifacts", artifacts);
	if (note != NULL)
		json_object_set_new(parameters, "note", ctl_text(note));
	if (ctl_given(ctl, OPTION_SIGNATURE) &&
	    (r = read_signature(ctl_value(ctl, OPTION_SIGNATURE), parameters, err)) < 0)
		return r;
	if ((r = ctl_variables(ctl, &variables, err)) < 0)
		return r;
	if (json_object_size(variables) > 0)
		json_object_set(parameters, "variables", variables);
	if (ctl_given(ctl, OPTION_NUMBER)) {
		if ((r = ctl_number(ctl, OPTION_NUMBER, NAMES_BUILD_MAX, &number, err)) < 0)
			return r;
		json_object_set_new(parameters, "build", json_integer(number));
	}
	return 0;
}

int
verb_build_add(struct ctl *ctl, struct err *err)
{
	_cleanup_(parts_clear) struct parts parts = {0};
	_cleanup_json_ json_t *used = NULL, *artifacts = json_array(), *reply = NULL;
	_cleanup_json_ json_t *parameters = json_object();
	int r;

	if ((r = check_words(ctl, &parts, err)) < 0 ||
	    (r = parameters_of(ctl, artifacts, parameters, err)) < 0)
		return r;
	/* Also when every part has a name: an application that does not exist should be known
	 * before a large upload. */
	if (parts.n > 0 && (used = used_artifacts(ctl, err)) == NULL)
		return -EIO;
	if ((r = name_parts(ctl, &parts, used, err)) < 0)
		return r;
	signal(SIGPIPE, SIG_IGN); /* a taker that gives up is heard, not died of */
	if ((r = upload_parts(ctl, &parts, artifacts, err)) < 0)
		return r;
	signal(SIGPIPE, SIG_DFL);
	if ((r = ctl_change(ctl, "AddBuild", json_incref(parameters), &reply, err)) < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	ctl_warnings(json_object_get(reply, "warnings"));
	if (!json_get_bool(reply, "created"))
		table_line(stderr, "it was there already, with the same content");
	table_line(stdout, "%s %s", ctl_word(ctl, 0), ctl_ref(reply, "build").s);
	return CTL_DONE;
}

/* ---- build repair */

static json_t *
artifact_names(const json_t *artifacts)
{
	json_t *names = json_array();
	size_t i;
	json_t *artifact;

	json_array_foreach (artifacts, i, artifact)
		json_array_append_new(names, json_text(json_get_string(artifact, "name")));
	return names;
}

static const char *
digest_of_artifact(const json_t *artifacts, const char *name)
{
	size_t i;
	json_t *artifact;

	json_array_foreach (artifacts, i, artifact) {
		const char *its = json_get_string(artifact, "name");

		if (its != NULL && strcmp(its, name) == 0)
			return json_get_string(artifact, "digest");
	}
	return NULL;
}

/* Files that are not those of the build heal nothing, and a build never changes. */
static int
check_same(const struct ctl *ctl, const struct parts *parts, const json_t *sent,
	   const json_t *artifacts, const char *build, struct err *err)
{
	for (size_t i = 0; i < parts->n; i++) {
		const char *name = parts->v[i].name, *digest = digest_of_artifact(sent, name);
		int r;

		if (digest != NULL && strcmp(digest, digest_of_artifact(artifacts, name)) == 0)
			continue;
		r = err_set(err, ERR_REFUSED,
			    "%s holds other files than artifact %s of %s %s: nothing was repaired; "
			    "give the files as they were added",
			    parts->v[i].path, name, ctl_word(ctl, 0), build);
		err_rule(err, ERR_RULE_OTHER_CONTENT);
		return r;
	}
	return 0;
}

/* The build and its artifacts, and what each part is for. */
static int
repair_look(struct ctl *ctl, struct parts *parts, json_t **ret_build, struct err *err)
{
	_cleanup_json_ json_t *parameters = json_object(), *reply = NULL, *names = NULL;
	const json_t *artifacts;
	int r;

	json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if ((r = ctl_build(parameters, ctl_word(ctl, 1), err)) < 0 ||
	    (r = parse_parts(ctl, parts, err)) < 0 ||
	    (r = ctl_call(ctl, "GetBuild", json_incref(parameters), &reply, err)) < 0)
		return r;
	artifacts = json_object_get(json_object_get(reply, "build"), "artifacts");
	names = artifact_names(artifacts);
	if ((r = name_parts(ctl, parts, names, err)) < 0)
		return r;
	for (size_t i = 0; i < parts->n; i++)
		if (digest_of_artifact(artifacts, parts->v[i].name) == NULL)
			return ctl_usage(ctl, err, "%s %s has no artifact %s: write NAME=%s",
					 ctl_word(ctl, 0), ctl_word(ctl, 1), parts->v[i].name,
					 parts->v[i].path);
	*ret_build = json_incref(json_object_get(reply, "build"));
	return 0;
}

int
verb_build_repair(struct ctl *ctl, struct err *err)
{
	_cleanup_(parts_clear) struct parts parts = {0};
	_cleanup_json_ json_t *build = NULL, *sent = json_array(), *after = NULL;
	_cleanup_json_ json_t *parameters = json_object();
	const json_t *damaged;
	struct build_text text;
	int r;

	if ((r = repair_look(ctl, &parts, &build, err)) < 0)
		return r;
	text = ctl_ref(build, NULL);
	signal(SIGPIPE, SIG_IGN);
	if ((r = upload_parts(ctl, &parts, sent, err)) < 0)
		return r;
	signal(SIGPIPE, SIG_DFL);
	if ((r = check_same(ctl, &parts, sent, json_object_get(build, "artifacts"), text.s, err)) <
	    0)
		return r;
	json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if ((r = ctl_build(parameters, text.s, err)) < 0 ||
	    (r = ctl_call(ctl, "GetBuild", json_incref(parameters), &after, err)) < 0)
		return r;
	damaged = json_object_get(json_object_get(after, "build"), "damaged");
	if (ctl->json)
		ctl_json(ctl, after);
	else if (json_is_object(damaged))
		table_line(stdout, "%s %s: artifact %s is still damaged: give it, too",
			   ctl_word(ctl, 0), text.s, json_get_string(damaged, "artifact"));
	else
		table_line(stdout, "%s %s is whole", ctl_word(ctl, 0), text.s);
	return json_is_object(damaged) ? CTL_FAILED : CTL_DONE;
}
