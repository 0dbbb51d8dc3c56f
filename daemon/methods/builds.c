/* SPDX-License-Identifier: ISC */
/* Builds: added out of artifacts that were uploaded before, listed, rejected, restored. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/signature.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"

#define ARTIFACTS_MAX 64
#define PAGE_ROWS     1001

struct found {
	struct build_ref refs[PAGE_ROWS];
	int64_t ids[PAGE_ROWS];
	size_t n;
};

static int
note_build(const struct store_build *build, void *arg)
{
	struct found *found = arg;

	if (found->n == PAGE_ROWS)
		return 1;
	found->refs[found->n] = build->build;
	found->ids[found->n++] = build->id;
	return 0;
}

int
method_ListBuilds(struct request *request, json_t **ret_reply, struct err *err)
{
	struct methods *methods = request->methods;
	const char *application = request->application->name;
	_cleanup_(page_clear) struct page page = {0};
	_cleanup_free_ struct found *found = xcalloc(1, sizeof(*found));
	const char *release;
	int64_t number;
	int r = request_release(request, &release, &number, err);

	if (r >= 0)
		r = page_begin(request, 1, &page, err);
	if (r >= 0)
		r = store_build_each(methods->store, application, release, page.after[0],
				     page.limit + 1, note_build, found, err);
	for (size_t i = 0; r >= 0 && i < found->n; i++) {
		json_t *build = NULL;

		r = request_build_json(request, application, &found->refs[i], false, &build, err);
		if (r >= 0 && !page_add(&page, build, found->ids[i], -1))
			break;
	}
	if (r < 0)
		return r;
	*ret_reply = page_reply(&page, "builds");
	return 0;
}

int
method_GetBuild(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	int r = request_build(request, &build, err);

	return r < 0 ? r : request_build_reply(request, &build, ret_reply, err);
}

/* ---- AddBuild */

/*
 * While the store is swept, a manifest that no build names is safe only if it came lately: what to
 * keep was listed before this build. Half the time that a sweep spares it leaves room for both
 * clocks.
 */
static int
check_kept(struct request *request, const char *name, const char *digest, struct err *err)
{
	const struct objects *objects = request->methods->objects;
	int lock = objects_lock(objects, false, 0);
	int64_t put_us = 0;
	bool used;
	int r;

	if (lock >= 0) {
		close(lock);
		return 0;
	}
	r = store_manifest_used(request->methods->store, digest, &used, err);
	if (r < 0 || used)
		return r;
	if (objects_manifest_time(objects, digest, &put_us) >= 0 &&
	    request->now_us - put_us < OBJECTS_YOUNG_US / 2)
		return 0;
	return err_set(
	    err, ERR_UPLOAD,
	    "artifact %s (%s) was uploaded long ago and the store is being cleaned up (bmctl gc): "
	    "upload it again",
	    name, digest);
}

/* One artifact of a new build: its manifest must have been uploaded, and is counted. */
static int
read_artifact(struct request *request, const char *name, const char *digest,
	      struct store_artifact *ret_artifact, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_(manifest_clear) struct manifest manifest = {0};
	size_t n;
	int r;

	if (!names_stage(name)) {
		r = err_set(
		    err, ERR_BAD_NAME,
		    "%.80s is not a name of an artifact: lower-case letters, digits and . _ -",
		    name);
		err_field(err, "name", json_string(name));
		return r;
	}
	if (!digest_valid(digest))
		return request_invalid(err, "artifacts", "%.80s is not a digest", digest);
	r = objects_get_manifest(request->methods->objects, digest, &text, &n, err);
	if (r == -ENOENT) {
		err_set(err, ERR_UPLOAD, "artifact %s (%s) is not in the store: upload it first",
			name, digest);
		return -ENOENT;
	}
	if (r >= 0)
		r = manifest_parse(text, n, &manifest, err);
	if (r >= 0)
		r = check_kept(request, name, digest, err);
	if (r < 0)
		return r;
	snprintf(ret_artifact->name, sizeof(ret_artifact->name), "%s", name);
	snprintf(ret_artifact->digest, sizeof(ret_artifact->digest), "%s", digest);
	ret_artifact->files = (int64_t)manifest.files;
	ret_artifact->bytes = manifest.bytes;
	return 0;
}

static int
compare_artifacts(const void *a, const void *b)
{
	const struct store_artifact *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int
read_artifacts(struct request *request, struct store_build *build, struct err *err)
{
	const json_t *list = json_object_get(request->parameters, "artifacts");
	const json_t *item;
	size_t i;

	if (json_array_size(list) > ARTIFACTS_MAX)
		return request_invalid(err, "artifacts", "a build has at most %d artifacts",
				       ARTIFACTS_MAX);
	build->artifacts = xcalloc(json_array_size(list), sizeof(*build->artifacts));
	json_array_foreach (list, i, item) {
		int r = read_artifact(request, json_get_string(item, "name"),
				      json_get_string(item, "digest"), &build->artifacts[i], err);

		if (r < 0)
			return r;
		build->nartifacts++;
	}
	qsort(build->artifacts, build->nartifacts, sizeof(*build->artifacts), compare_artifacts);
	for (i = 1; i < build->nartifacts; i++)
		if (strcmp(build->artifacts[i].name, build->artifacts[i - 1].name) == 0)
			return request_invalid(err, "artifacts", "artifact %s is given twice",
					       build->artifacts[i].name);
	return 0;
}

static bool
same_content(const struct store_build *a, const struct store_build *b)
{
	if (a->nartifacts != b->nartifacts || !json_equal(a->variables, b->variables))
		return false;
	/* The store may hold them in another order. */
	for (size_t i = 0; i < a->nartifacts; i++) {
		bool found = false;

		for (size_t j = 0; j < b->nartifacts; j++)
			found |= strcmp(a->artifacts[i].name, b->artifacts[j].name) == 0 &&
				 strcmp(a->artifacts[i].digest, b->artifacts[j].digest) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* The number of a build that was collected is never given again. */
static int
check_collected(struct request *request, const struct store_build *build, struct err *err)
{
	int64_t at_us;
	int r = store_build_collected(request->methods->store, build->application, &build->build,
				      &at_us, err);

	if (r < 0 || at_us == 0)
		return r;
	r = err_set(err, ERR_REFUSED,
		    "%s %s was collected at %s, and its number is never given again: add it under "
		    "another number",
		    build->application, names_build_text(&build->build).s, when_utc(at_us).s);
	err_rule(err, ERR_RULE_COLLECTED);
	return r;
}

/* Is the numbered build there already? 1: with the same content; REFUSED with another; 0: no. */
static int
look_existing(struct request *request, const struct store_build *build, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build existing = {0};
	int r;

	if (build->build.number == 0)
		return 0;
	r = store_build_get(request->methods->store, build->application, &build->build, &existing,
			    NULL);
	if (r == -ENOENT)
		return check_collected(request, build, err);
	if (r < 0)
		return err_set(err, ERR_FAILED, "the builds could not be read");
	if (same_content(build, &existing))
		return 1;
	r = err_set(err, ERR_REFUSED,
		    "%s %s exists with other content, and a build never changes: add it under "
		    "another number",
		    build->application, names_build_text(&build->build).s);
	err_rule(err, ERR_RULE_OTHER_CONTENT);
	return r;
}

static bool
holds(const json_t *strings, const char *text)
{
	const json_t *item;
	size_t i;

	json_array_foreach (strings, i, item)
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	return false;
}

static json_t *
join(const json_t *strings)
{
	json_t *text = json_string("");
	const json_t *item;
	size_t i;

	json_array_foreach (strings, i, item) {
		json_t *longer = json_sprintf("%s%s%s", json_string_value(text), i ? ", " : "",
					      json_string_value(item));

		json_decref(text);
		text = longer;
	}
	return text;
}

static bool
is_seen(const struct request *request, const struct conf_application *application, size_t stage)
{
	return reach_rights(request->peer, application->name, application->stages[stage].name) &
	       RIGHT_SEE;
}

/* What will not do what its author thinks, as far as he may know it. */
static json_t *
warnings_of(struct request *request, const struct conf_application *application,
	    const struct store_build *build)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	_cleanup_json_ json_t *used = request_artifact_names(request, application);
	_cleanup_json_ json_t *used_text = join(used);
	json_t *warnings = json_array();
	const char *name;
	json_t *value;

	for (size_t i = 0; i < build->nartifacts; i++)
		if (!holds(used, build->artifacts[i].name))
			json_array_append_new(
			    warnings, json_sprintf("no plan of %s uses an artifact %s%s%s",
						   application->name, build->artifacts[i].name,
						   json_array_size(used) ? "; its plans use " : "",
						   json_string_value(used_text)));
	for (size_t i = 0; i < application->nstages; i++) {
		_cleanup_err_ struct err why = ERR_INIT;

		if (is_seen(request, application, i) &&
		    queue_check_signature(build, &application->stages[i], &why) < 0)
			json_array_append_new(warnings, json_string(why.text));
	}
	json_object_foreach (build->variables, name, value)
		for (size_t i = 0; i < application->nstages; i++)
			if (is_seen(request, application, i) &&
			    !conf_variable_open(conf, application, &application->stages[i], name))
				json_array_append_new(
				    warnings,
				    json_sprintf(
					"stage %s does not let a build set %s: list it in open "
					"there, or this build cannot be deployed to it",
					application->stages[i].name, name));
	return warnings;
}

/* Names that no stage can open: better said now than when the build is deployed. */
static int
check_reserved(const json_t *variables, struct err *err)
{
	const char *name;
	json_t *value;
	int r;

	json_object_foreach ((json_t *)(uintptr_t)variables, name, value) {
		if (!names_variable_reserved(name))
			continue;
		r = err_set(
		    err, ERR_REFUSED,
		    "a build may not set the variable %s: PATH, HOME, USER, LOGNAME, ENV, "
		    "BASH_ENV, IFS and "
		    "LD_* are not for builds; set it in the environment of the step that needs it",
		    name);
		err_rule(err, ERR_RULE_VARIABLE);
		return r;
	}
	return 0;
}

/* Whether it counts is each stage's matter; that it is one is known now. */
static int
check_signature(struct request *request, struct err *err)
{
	const char *text = request_text(request, "signature");
	_cleanup_err_ struct err why = ERR_INIT;
	struct signature signature;

	if (!text || signature_parse(text, &signature, &why) >= 0)
		return 0;
	return request_invalid(err, "signature", "the signature: %s", why.text);
}

static int
read_build(struct request *request, struct store_build *build, struct err *err)
{
	const json_t *variables;
	const char *release, *note;
	int64_t number;
	int r = request_release(request, &release, &number, err);

	if (r >= 0)
		r = request_words(request, "note", true, &note, err);
	if (r >= 0)
		r = request_variables(request, &variables, err);
	if (r >= 0)
		r = check_reserved(variables, err);
	if (r >= 0)
		r = check_signature(request, err);
	if (r < 0)
		return r;
	snprintf(build->application, sizeof(build->application), "%s",
		 request_text(request, "application"));
	snprintf(build->build.release, sizeof(build->build.release), "%s", release);
	build->build.number = number;
	build->note = xstrdup(note);
	build->signature = xstrdup(request_text(request, "signature"));
	build->variables = variables ? json_deep_copy(variables) : json_object();
	build->uid = request->who.uid;
	build->created_us = request->now_us;
	memcpy(build->created_by, request->who.name, sizeof(build->created_by));
	return read_artifacts(request, build, err);
}

/* Keeps the signature with the build, which may have been there before. */
static int
sign(struct request *request, const struct store_build *build, struct err *err)
{
	struct store *store = request->methods->store;
	struct queue_eyes eyes = reach_eyes(request->peer);
	struct store_build stored;
	int r = store_build_get(store, build->application, &build->build, &stored, err);

	if (r < 0)
		return r;
	r = queue_check_resign(request->application, &stored, build->signature, &eyes, err);
	if (r >= 0)
		r = store_build_sign(store, stored.id, build->signature, err);
	store_build_clear(&stored);
	return r;
}

int
method_AddBuild(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	const char *reason;
	json_t *reply;
	bool created;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = read_build(request, &build, err);
	if (r >= 0)
		r = look_existing(request, &build, err);
	if (r < 0)
		return r;
	created = r == 0;
	if (created)
		r = store_build_add(request->methods->store, &build, err);
	if (r >= 0 && build.signature)
		r = sign(request, &build, err);
	if (r >= 0)
		r = request_build_json(request, build.application, &build.build, false, &reply,
				       err);
	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:o, s:b, s:o}", "build", reply, "created", created, "warnings",
			       warnings_of(request, request->application, &build));
	return 0;
}

/* ---- reject, restore */

static int
judge(struct request *request, const char *reason, json_t **ret_reply, json_t **ret_warnings,
      struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	int r = request_build(request, &build, err);

	if (r >= 0)
		r = queue_reject(request->methods->queue, build.application, &build.build, reason,
				 &request->who, request->now_us, ret_warnings, err);
	return r < 0 ? r : request_build_reply(request, &build, ret_reply, err);
}

int
method_RejectBuild(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_json_ json_t *warnings = NULL;
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0 && !reason)
		r = request_invalid(err, "reason",
				    "why is the build bad? a reason is needed (--reason TEXT)");
	if (r >= 0)
		r = judge(request, reason, ret_reply, &warnings, err);
	if (r < 0)
		return r;
	json_object_set_new(*ret_reply, "warnings", warnings ? TAKE(warnings) : json_array());
	return 0;
}

int
method_RestoreBuild(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_json_ json_t *warnings = NULL;
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	return r < 0 ? r : judge(request, NULL, ret_reply, &warnings, err);
}

/* ---- pin, unpin, collect */

static int
pin(struct request *request, bool on, json_t **ret_reply, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r >= 0)
		r = request_build(request, &build, err);
	if (r >= 0)
		r = queue_pin(request->methods->queue, build.application, &build.build, on, reason,
			      &request->who, request->now_us, err);
	return r < 0 ? r : request_build_reply(request, &build, ret_reply, err);
}

int
method_PinBuild(struct request *request, json_t **ret_reply, struct err *err)
{
	return pin(request, true, ret_reply, err);
}

int
method_UnpinBuild(struct request *request, json_t **ret_reply, struct err *err)
{
	return pin(request, false, ret_reply, err);
}

int
method_CollectBuilds(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *reason;
	int r = request_words(request, "reason", true, &reason, err);

	if (r < 0)
		return r;
	return queue_collect(request->methods->queue, request_text(request, "application"),
			     json_get_bool(request->parameters, "dry_run"), &request->who,
			     request->now_us, ret_reply, err);
}
