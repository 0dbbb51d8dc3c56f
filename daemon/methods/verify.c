/* SPDX-License-Identifier: ISC */
/*
 * VerifyBuilds: stored files, hashed again by a helper. Every manifest is read once, however many
 * builds have it; what is found is told of each of them. A stream that its client leaves ends the
 * helper by closing its channel.
 */
/*
 * VerifyBuilds: stored files, hashed again by a helper. Every manifest is read once, however many
 * builds have it; what is found is told of each of them. A stream that its client leaves ends the
 * helper by closing its channel.
 */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/methods/request.h"

#define PAGE	    1000 /* builds that are read at once */
#define PROGRESS_US 250000
#define DAMAGED_MAX 1000 /* findings that a reply lists */

struct verify {
	struct methods *methods;
	struct control_call *call;
	struct sched_verify *helper;
	json_t *users; /* digest of a manifest → array of {application, release, build, artifact} */
	json_t *damaged;
	size_t damaged_bytes;
	int64_t builds, files, bytes, total_files;
	int64_t told_us;
	bool done; /* the helper has said that it read all */
	bool more;
	char *failure; /* of the helper; NULL: none */
};

static void
verify_free(struct verify *verify)
{
	sched_verify_stop(verify->helper);
	json_decref(verify->users);
	json_decref(verify->damaged);
	free(verify->failure);
	free(verify);
}

static void
verify_gone(void *arg)
{
	verify_free(arg);
}

static void
verify_drained(void *arg)
{
	(void)arg; /* the next progress will be told again */
}

static void
verify_reply(struct verify *verify, bool continues)
{
	control_reply(verify->call,
		      json_pack("{s:I, s:I, s:I, s:O}", "files", (json_int_t)verify->files, "bytes",
				(json_int_t)verify->bytes, "total_files",
				(json_int_t)verify->total_files, "damaged", verify->damaged),
		      continues);
}

static void
verify_end(struct verify *verify)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (verify->done)
		verify_reply(verify, false);
	else {
		err_set(&err, ERR_FAILED, "the files could not all be read: %s",
			verify->failure ? verify->failure
					: "bmd-import ended early, see the log of bmd");
		control_error(verify->call, &err);
	}
	verify_free(verify);
}

/* Was the build collected since the list was made? Then its files may be gone. */
static bool
verify_collected(const struct verify *verify, const json_t *user)
{
	struct build_ref ref = {.number = json_get_int(user, "build", 0)};
	int64_t at_us = 0;

	snprintf(ref.release, sizeof(ref.release), "%s", json_get_string(user, "release"));
	return store_build_collected(verify->methods->store, json_get_string(user, "application"),
				     &ref, &at_us, NULL) == 0 &&
	       at_us > 0;
}

static void
verify_damaged(struct verify *verify, const char *digest, const json_t *finding)
{
	const json_t *user;
	size_t i;

	json_array_foreach (json_object_get(verify->users, digest), i, user) {
		json_t *row;

		if (verify_collected(verify, user))
			continue;
		row = json_deep_copy(user);
		json_object_set_new(row, "path", json_text(json_get_string(finding, "path")));
		if (!json_get_string(finding, "path"))
			json_object_set_new(row, "path", json_string(""));
		json_object_set_new(row, "problem", json_text(json_get_string(finding, "problem")));
		verify->damaged_bytes += json_dumpb(row, NULL, 0, JSON_COMPACT) + 1;
		if (json_array_size(verify->damaged) < DAMAGED_MAX &&
		    verify->damaged_bytes < REQUEST_REPLY_BYTES)
			json_array_append_new(verify->damaged, row);
		else
			json_decref(row);
	}
}

/* One object of bmd-import --verify (import/verify.h), or NULL at its end. */
static void
verify_line(const json_t *object, void *arg)
{
	struct verify *verify = arg;
	int64_t now_us = clock_now_us();
	_cleanup_err_ struct err err = ERR_INIT;
	const json_t *done, *progress;

	if (!object) {
		verify_end(verify);
		return;
	}
	if (err_from_json(object, &err) == 0) {
		free(verify->failure);
		verify->failure = xstrdup(err.text);
		return;
	}
	done = json_object_get(object, "done");
	progress = done ? done : json_object_get(object, "progress");
	verify->files = json_get_int(progress, "files", verify->files);
	verify->bytes = json_get_int(progress, "bytes", verify->bytes);
	verify->total_files = json_get_int(progress, "total_files", verify->total_files);
	verify->done |= done != NULL;
	if (json_get_string(object, "problem"))
		verify_damaged(verify, json_get_string(object, "manifest"), object);
	if (!verify->more || verify->done || now_us - verify->told_us < PROGRESS_US)
		return;
	/* A client that does not read misses progress, not the end. */
	if (!control_may_send(verify->call, verify_drained, verify))
		return;
	verify->told_us = now_us;
	verify_reply(verify, true);
}

static int
verify_add(const struct store_build *build, void *arg)
{
	struct verify *verify = arg;

	verify->builds++;
	for (size_t i = 0; i < build->nartifacts; i++) {
		const struct store_artifact *artifact = &build->artifacts[i];
		json_t *users = json_object_get(verify->users, artifact->digest);

		if (!users) {
			users = json_array();
			json_object_set_new(verify->users, artifact->digest, users);
			verify->total_files += artifact->files;
		}
		json_array_append_new(
		    users, json_pack("{s:s, s:s, s:I, s:s}", "application", build->application,
				     "release", build->build.release, "build",
				     (json_int_t)build->build.number, "artifact", artifact->name));
	}
	return 0;
}

struct verify_page {
	struct verify *verify;
	int64_t last;
	int n;
};

static int
verify_add_paged(const struct store_build *build, void *arg)
{
	struct verify_page *page = arg;

	page->last = build->id;
	page->n++;
	return verify_add(build, page->verify);
}

static int
verify_application(struct verify *verify, const char *application, const char *release,
		   struct err *err)
{
	struct verify_page page = {.verify = verify};
	int r;

	do {
		page.n = 0;
		r = store_build_each(verify->methods->store, application, release, page.last, PAGE,
				     verify_add_paged, &page, err);
	} while (r >= 0 && page.n == PAGE);
	return r;
}

static int
verify_collect(struct request *request, struct verify *verify, struct err *err)
{
	const struct conf *conf = queue_conf(verify->methods->queue);
	const char *application = request_text(request, "application"), *release;
	struct store_build build = {0};
	int64_t number;
	int r = request_release(request, &release, &number, err);

	if (r >= 0 && !application && release)
		r = request_invalid(err, "release", "a release needs its application");
	for (size_t i = 0; r >= 0 && !application && i < conf->napplications; i++)
		if (reach_rights(request->peer, conf->applications[i].name, NULL) & RIGHT_SEE)
			r = verify_application(verify, conf->applications[i].name, NULL, err);
	if (r < 0 || !application)
		return r;
	if (!release || !number) {
		r = verify_application(verify, application, release, err);
		if (r < 0 || !release || verify->builds)
			return r;
	}
	r = queue_find_build(verify->methods->queue, application, release, number, &build, err);
	if (r >= 0 && number)
		verify_add(&build, verify);
	store_build_clear(&build);
	return r;
}

static json_t *
verify_digests(const struct verify *verify)
{
	json_t *digests = json_array();
	const char *digest;
	json_t *users;

	json_object_foreach (verify->users, digest, users)
		json_array_append_new(digests, json_string(digest));
	return digests;
}

int
method_VerifyBuilds(struct request *request, struct err *err)
{
	struct verify *verify = xcalloc(1, sizeof(*verify));
	_cleanup_json_ json_t *digests = NULL;
	int r;

	*verify = (struct verify){.methods = request->methods,
				  .call = request->call,
				  .users = json_object(),
				  .damaged = json_array(),
				  .told_us = request->now_us,
				  .more = request->more};
	r = verify_collect(request, verify, err);
	if (r >= 0) {
		digests = verify_digests(verify);
		verify->done = json_array_size(digests) == 0;
	}
	if (r >= 0 && verify->done) {
		verify_end(verify);
		return 0;
	}
	if (r >= 0)
		r = sched_verify(request->methods->sched, digests, verify_line, verify,
				 &verify->helper, err);
	if (r < 0) {
		verify_free(verify);
		return r;
	}
	control_on_gone(verify->call, verify_gone, verify);
	return 0;
}
