/* SPDX-License-Identifier: ISC */
/*
 * build list, show, manifest, reject, restore, pin, unpin, verify, and diff: builds as they are.
 * Adding one is in add.c, giving them up in gc.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/signature.h"
#include "common/xalloc.h"
#include "ctl/progress.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

static json_t *
for_application(const struct ctl *ctl)
{
	return json_pack("{s:o}", "application", ctl_text(ctl_word(ctl, 0)));
}

/* APP BUILD, the verb's words, as parameters. */
static int
for_build(struct ctl *ctl, json_t **ret_parameters, struct err *err)
{
	_cleanup_json_ json_t *parameters = for_application(ctl);
	int r = ctl_build(parameters, ctl_word(ctl, 1), err);

	if (r >= 0)
		*ret_parameters = TAKE(parameters);
	return r;
}

static char *
joined(const json_t *texts)
{
	char *list = NULL;
	size_t i;
	json_t *text;

	json_array_foreach (texts, i, text) {
		char *longer = xasprintf("%s%s%s", list ? list : "", list ? ", " : "",
					 json_is_string(text) ? json_string_value(text) : "");

		free(list);
		list = longer;
	}
	return list;
}

/* Where it has been and is no longer live. */
static char *
was_on(const json_t *build)
{
	_cleanup_json_ json_t *left = json_array();
	const json_t *live = json_object_get(build, "live_on");
	size_t i, j;
	json_t *stage, *now;

	json_array_foreach (json_object_get(build, "been_on"), i, stage) {
		bool is_live = false;

		json_array_foreach (live, j, now)
			is_live = is_live || json_equal(stage, now);
		if (!is_live)
			json_array_append(left, stage);
	}
	return joined(left);
}

static char *
sizes(const json_t *artifacts)
{
	int64_t files = 0, bytes = 0;
	size_t i;
	json_t *artifact;

	json_array_foreach (artifacts, i, artifact) {
		files += json_get_int(artifact, "files", 0);
		bytes += json_get_int(artifact, "bytes", 0);
	}
	if (i == 0)
		return NULL;
	return xasprintf("%" PRId64 " file%s, %s", files, files == 1 ? "" : "s", ctl_size(bytes).s);
}

/* NOTE, behind what a pin says. */
static char *
noted(const json_t *build, const char *note)
{
	const json_t *pinned = json_object_get(build, "pinned");
	const char *reason = json_get_string(pinned, "reason");

	if (!json_is_object(pinned))
		return note ? xstrdup(note) : NULL;
	return xasprintf("pinned%s%s%s%s", reason ? ": " : "", reason ? reason : "",
			 note ? "; " : "", note ? note : "");
}

static void
print_list(const struct ctl *ctl, const json_t *builds)
{
	struct when_text head = ctl_head(ctl, "ADDED");
	const struct table_column columns[] = {{"BUILD", 0},	     {"STATUS", TABLE_STATE},
					       {"LIVE ON", 0},	     {"WAS ON", 0},
					       {head.s, TABLE_TIME}, {"BY", 0},
					       {"FILES", 0},	     {"NOTE", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *build;

	json_array_foreach (builds, i, build) {
		_cleanup_free_ char *live = joined(json_object_get(build, "live_on"));
		_cleanup_free_ char *was = was_on(build);
		_cleanup_free_ char *added = ctl_moment(ctl, build, "created");
		_cleanup_free_ char *size = sizes(json_object_get(build, "artifacts"));
		const json_t *rejected = json_object_get(build, "rejected");
		const char *status = json_is_object(json_object_get(build, "damaged"))
					 ? "damaged"
					 : json_get_string(build, "status");
		const char *why = json_get_string(json_is_object(rejected) ? rejected : build,
						  json_is_object(rejected) ? "reason" : "note");
		_cleanup_free_ char *note = noted(build, why);

		table_row(table, ctl_ref(build, NULL).s, status, live, was, added,
			  json_get_string(build, "created_by"), size, note);
	}
	table_print(table, stdout, ctl->width, ctl->color);
	if (i == 0 && ctl_given(ctl, OPTION_RELEASE))
		table_line(stdout, "no builds of %s: bmctl build list %s",
			   ctl_value(ctl, OPTION_RELEASE), ctl_word(ctl, 0));
	else if (i == 0)
		table_line(stdout, "no builds: bmctl build add %s RELEASE PATH", ctl_word(ctl, 0));
}

int
verb_build_list(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters = for_application(ctl);
	const char *release = ctl_value(ctl, OPTION_RELEASE);
	int r;

	if (release != NULL)
		json_object_set_new(parameters, "release", ctl_text(release));
	r = ctl_list(ctl, "ListBuilds", "builds", parameters, 0, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_list(ctl, json_object_get(reply, "builds"));
	return CTL_DONE;
}

static void
print_artifacts(const struct ctl *ctl, const json_t *artifacts)
{
	static const struct table_column columns[] = {
	    {"ARTIFACT", 0}, {"FILES", TABLE_RIGHT}, {"SIZE", TABLE_RIGHT}, {"DIGEST", 0}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *artifact;

	json_array_foreach (artifacts, i, artifact) {
		_cleanup_free_ char *files =
		    xasprintf("%" PRId64, json_get_int(artifact, "files", 0));

		table_row(table, json_get_string(artifact, "name"), files,
			  ctl_size(json_get_int(artifact, "bytes", 0)).s,
			  json_get_string(artifact, "digest"));
	}
	fputc('\n', stdout);
	if (i == 0)
		table_line(stdout, "no artifacts");
	table_print(table, stdout, ctl->width, ctl->color);
}

static void
print_deployments(const struct ctl *ctl, const json_t *deployments)
{
	struct when_text head = ctl_head(ctl, "STARTED");
	const struct table_column columns[] = {{"JOB", TABLE_RIGHT},
					       {"STAGE", 0},
					       {"STATE", TABLE_STATE},
					       {"MODE", 0},
					       {"PLAN", 0},
					       {head.s, TABLE_TIME},
					       {"BY", 0},
					       {"LIVE", 0},
					       {"REASON", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *one;

	json_array_foreach (deployments, i, one) {
		_cleanup_free_ char *job = xasprintf("%" PRId64, json_get_int(one, "job", 0));
		_cleanup_free_ char *started = ctl_moment(ctl, one, "started");

		table_row(table, job, json_get_string(one, "stage"), json_get_string(one, "state"),
			  json_get_string(one, "mode"), json_get_string(one, "plan"), started,
			  json_get_string(one, "requested_by"),
			  json_get_bool(one, "live") ? "live" : NULL,
			  json_get_string(one, "reason"));
	}
	fputc('\n', stdout);
	if (i == 0)
		table_line(stdout, "never deployed");
	table_print(table, stdout, ctl->width, ctl->color);
}

static void
print_damage(const json_t *build)
{
	const json_t *damaged = json_object_get(build, "damaged");
	const char *path = json_get_string(damaged, "path");

	if (!json_is_object(damaged))
		return;
	table_line(stdout, "%-10s %s of artifact %s: bmctl build repair %s %s %s=PATH", "damaged",
		   path != NULL && *path ? path : "the list of files",
		   json_get_string(damaged, "artifact"), json_get_string(build, "application"),
		   ctl_ref(build, NULL).s, json_get_string(damaged, "artifact"));
}

static void
print_signer(const char *text)
{
	struct signature signature;
	char id[17];

	if (text == NULL || signature_parse(text, &signature, NULL) < 0)
		return;
	signature_id(&signature, id);
	table_line(stdout, "%-10s by the key %s", "signed", id);
}

static void
print_build(const struct ctl *ctl, const json_t *build)
{
	const json_t *rejected = json_object_get(build, "rejected"),
		     *pinned = json_object_get(build, "pinned");
	const char *note = json_get_string(build, "note"), *name;
	_cleanup_free_ char *live = joined(json_object_get(build, "live_on"));
	_cleanup_free_ char *was = was_on(build), *added = ctl_at(ctl, build, "created");
	_cleanup_free_ char *rejected_at = ctl_at(ctl, rejected, "at");
	_cleanup_free_ char *pinned_at = ctl_at(ctl, pinned, "at");
	json_t *value;

	table_line(stdout, "%s %s: %s", json_get_string(build, "application"),
		   ctl_ref(build, NULL).s, json_get_string(build, "status"));
	if (json_is_object(rejected))
		table_line(stdout, "%-10s by %s at %s: %s", "rejected",
			   json_get_string(rejected, "by"), rejected_at,
			   json_get_string(rejected, "reason"));
	print_damage(build);
	if (json_is_object(pinned))
		table_line(stdout, "%-10s by %s at %s%s%s", "pinned", json_get_string(pinned, "by"),
			   pinned_at, json_get_string(pinned, "reason") ? ": " : "",
			   json_get_string(pinned, "reason") ? json_get_string(pinned, "reason")
							     : "");
	table_line(stdout, "%-10s %s by %s", "added", added, json_get_string(build, "created_by"));
	if (note != NULL)
		table_line(stdout, "%-10s %s", "note", note);
	print_signer(json_get_string(build, "signature"));
	table_line(stdout, "%-10s %s", "live on", live != NULL ? live : "no stage");
	if (was != NULL)
		table_line(stdout, "%-10s %s", "was on", was);
	json_object_foreach (json_object_get(build, "variables"), name, value)
		table_line(stdout, "%-10s %s=%s", "variable", name, json_string_value(value));
	print_artifacts(ctl, json_object_get(build, "artifacts"));
	print_deployments(ctl, json_object_get(build, "deployments"));
}

int
verb_build_show(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters;
	int r;

	if ((r = for_build(ctl, &parameters, err)) < 0 ||
	    (r = ctl_call(ctl, "GetBuild", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_build(ctl, json_object_get(reply, "build"));
	return CTL_DONE;
}

/* The list of files of the artifact NAME, to the byte: its SHA-256 is the digest. */
static int
print_files(struct ctl *ctl, const char *name, struct err *err)
{
	int64_t after = 0;

	do {
		_cleanup_json_ json_t *reply = NULL;
		const json_t *text;
		json_t *parameters;
		int r;

		if ((r = for_build(ctl, &parameters, err)) < 0)
			return r;
		json_object_set_new(parameters, "artifact", ctl_text(name));
		json_object_set_new(parameters, "after", json_integer(after));
		if ((r = ctl_call(ctl, "GetManifest", parameters, &reply, err)) < 0)
			return r;
		text = json_object_get(reply, "text");
		if (ctl->json)
			ctl_json(ctl, reply);
		else
			fwrite(json_string_value(text), 1, json_string_length(text), stdout);
		after = json_get_int(reply, "next", 0);
	} while (after > 0);
	return CTL_DONE;
}

int
verb_build_manifest(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_free_ char *text = NULL;
	const json_t *build;
	json_t *parameters;
	int r;

	if (ctl_word(ctl, 2) != NULL)
		return print_files(ctl, ctl_word(ctl, 2), err);
	if ((r = for_build(ctl, &parameters, err)) < 0 ||
	    (r = ctl_call(ctl, "GetBuild", parameters, &reply, err)) < 0)
		return r;
	build = json_object_get(reply, "build");
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	text =
	    signature_text(json_get_string(build, "application"), json_get_string(build, "release"),
			   json_object_get(build, "artifacts"));
	fputs(text, stdout); /* to the byte: it is signed */
	return CTL_DONE;
}

int
verb_build_reject(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	struct build_text build;
	json_t *parameters;
	int r;

	if (!ctl_given(ctl, OPTION_REASON))
		return ctl_usage(ctl, err, "a rejection wants a reason: --reason TEXT");
	if ((r = for_build(ctl, &parameters, err)) < 0 ||
	    (r = ctl_change(ctl, "RejectBuild", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	build = ctl_ref(reply, "build");
	ctl_warnings(json_object_get(reply, "warnings"));
	table_line(stdout, "%s %s is rejected: it never starts again", ctl_word(ctl, 0), build.s);
	table_line(stdout, "undo: bmctl build restore %s %s", ctl_word(ctl, 0), build.s);
	return CTL_DONE;
}

int
verb_build_restore(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters;
	int r;

	if ((r = for_build(ctl, &parameters, err)) < 0 ||
	    (r = ctl_change(ctl, "RestoreBuild", parameters, &reply, err)) < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		table_line(stdout, "%s %s is active", ctl_word(ctl, 0), ctl_ref(reply, "build").s);
	return CTL_DONE;
}

/* Pins or unpins: METHOD, and what is said when it is done. */
static int
change_pin(struct ctl *ctl, const char *method, const char *said, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters;
	int r;

	if ((r = for_build(ctl, &parameters, err)) < 0 ||
	    (r = ctl_change(ctl, method, parameters, &reply, err)) < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		table_line(stdout, "%s %s %s", ctl_word(ctl, 0), ctl_ref(reply, "build").s, said);
	return CTL_DONE;
}

int
verb_build_pin(struct ctl *ctl, struct err *err)
{
	return change_pin(ctl, "PinBuild", "is pinned: gc leaves it", err);
}

int
verb_build_unpin(struct ctl *ctl, struct err *err)
{
	return change_pin(ctl, "UnpinBuild", "is not pinned any more", err);
}

static void
print_damaged(const struct ctl *ctl, const json_t *damaged)
{
	static const struct table_column columns[] = {
	    {"APPLICATION", 0}, {"BUILD", 0}, {"ARTIFACT", 0}, {"PATH", 0}, {"PROBLEM", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *one;

	json_array_foreach (damaged, i, one)
		table_row(table, json_get_string(one, "application"), ctl_ref(one, NULL).s,
			  json_get_string(one, "artifact"), json_get_string(one, "path"),
			  json_get_string(one, "problem"));
	table_print(table, stdout, ctl->width, ctl->color);
}

static void
print_verified(const json_t *reply, FILE *f)
{
	fprintf(f, "%" PRId64 " of %" PRId64 " files, %s", json_get_int(reply, "files", 0),
		json_get_int(reply, "total_files", 0), ctl_size(json_get_int(reply, "bytes", 0)).s);
}

int
verb_build_verify(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = json_object();
	const json_t *damaged;
	int r = 0;

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if (ctl_word(ctl, 1) != NULL)
		r = ctl_build(parameters, ctl_word(ctl, 1), err);
	if (r >= 0)
		r = progress_call(ctl, "VerifyBuilds", json_incref(parameters), print_verified,
				  &reply, err);
	if (r < 0)
		return r;
	damaged = json_object_get(reply, "damaged");
	if (ctl->json) {
		ctl_json(ctl, reply);
		return json_array_size(damaged) > 0 ? CTL_FAILED : CTL_DONE;
	}
	print_damaged(ctl, damaged);
	table_line(stdout, "%" PRId64 " file%s, %s: %s", json_get_int(reply, "files", 0),
		   json_get_int(reply, "files", 0) == 1 ? "" : "s",
		   ctl_size(json_get_int(reply, "bytes", 0)).s,
		   json_array_size(damaged) > 0
		       ? "damaged; such a build is never deployed: bmctl build repair"
		       : "whole");
	return json_array_size(damaged) > 0 ? CTL_FAILED : CTL_DONE;
}

static void
print_diff(const struct ctl *ctl, const json_t *reply)
{
	static const struct table_column columns[] = {{"CHANGE", TABLE_STATE},
						      {"ARTIFACT", 0},
						      {"PATH", 0},
						      {"SIZE", TABLE_RIGHT},
						      {"WAS", TABLE_RIGHT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(reply, "changes"), i, one) {
		int64_t size = json_get_int(one, "new_bytes", -1),
			was = json_get_int(one, "old_bytes", -1);

		table_row(table, json_get_string(one, "change"), json_get_string(one, "artifact"),
			  json_get_string(one, "path"), size >= 0 ? ctl_size(size).s : NULL,
			  was >= 0 ? ctl_size(was).s : NULL);
	}
	table_print(table, stdout, ctl->width, ctl->color);
	table_line(stdout,
		   "from %s to %s: %" PRId64 " added, %" PRId64 " changed, %" PRId64 " removed",
		   ctl_ref(reply, "a").s, ctl_ref(reply, "b").s, json_get_int(reply, "added", 0),
		   json_get_int(reply, "changed", 0), json_get_int(reply, "removed", 0));
}

int
verb_diff(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = for_application(ctl);
	json_t *a = json_object(), *b;
	int r;

	json_object_set_new(parameters, "a", a);
	if ((r = ctl_build(a, ctl_word(ctl, 1), err)) < 0)
		return r;
	if (ctl_word(ctl, 2) != NULL) {
		json_object_set_new(parameters, "b", b = json_object());
		if ((r = ctl_build(b, ctl_word(ctl, 2), err)) < 0)
			return r;
	}
	r = ctl_list(ctl, "Diff", "changes", json_incref(parameters), 0, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_diff(ctl, reply);
	return CTL_DONE;
}
