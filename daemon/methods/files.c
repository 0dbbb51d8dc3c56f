/* SPDX-License-Identifier: ISC */
/* Files of builds: uploaded, compared, and hashed again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/methods/request.h"

#define VERIFY_PAGE 1000
#define PROGRESS_US 250000
#define MANIFEST_PIECE ((size_t)256 * 1024)
#define KEPT_SECONDS 10.0
#define DAMAGED_MAX 1000 /* findings that a reply lists */

int
method_ListArtifacts(struct request *request, json_t **ret_reply, struct err *err)
{
	struct queue *queue = request->methods->queue;
	const struct conf_application *application;
	int r =
	    queue_find_application(queue, request_text(request, "application"), &application, err);

	if (r < 0)
		return r;
	*ret_reply =
	    json_pack("{s:o}", "artifacts", request_artifact_names(queue_conf(queue), application));
	return 0;
}

/* ---- Upload */

struct upload {
	struct sched *sched;
	char kind[8];
};

/* The connection leaves bmd: whatever goes wrong now, only its client can be told, by its end. */
static void
upload_taken(int fd, void *arg)
{
	_cleanup_free_ struct upload *upload = arg;
	_cleanup_err_ struct err err = ERR_INIT;

	if (fd >= 0 && sched_import(upload->sched, upload->kind, fd, &err) < 0)
		log_warning("an upload was not taken: %s", err.text);
}

int
method_Upload(struct request *request, struct err *err)
{
	struct upload *upload;

	if (sched_imports_full(request->methods->sched))
		return err_set(err, ERR_TOO_MANY,
			       "as many uploads as bmd allows at once are going on: try again when "
			       "one has ended");
	upload = xcalloc(1, sizeof(*upload));
	upload->sched = request->methods->sched;
	snprintf(upload->kind, sizeof(upload->kind), "%s", request_text(request, "kind"));
	control_upgrade(request->call, json_object(), upload_taken, upload);
	return 0;
}

/* ---- GetManifest */

static const struct store_artifact *artifact_of(const struct store_build *build, const char *name);

/* How much of the N bytes at TEXT is told at once: whole lines, and something of what is there. */
static size_t
manifest_piece(const char *text, size_t n)
{
	const char *end = n > MANIFEST_PIECE ? memrchr(text, '\n', MANIFEST_PIECE) : NULL;

	return end ? (size_t)(end + 1 - text) : n;
}

static int
manifest_reply(struct request *request, const struct store_build *build, json_t **ret_reply,
	       struct err *err)
{
	const char *name = request_text(request, "artifact");
	const struct store_artifact *artifact = artifact_of(build, name);
	int64_t after = request_int(request, "after", 0);
	_cleanup_free_ char *text = NULL;
	size_t n, piece;
	int r;

	if (!artifact)
		return err_set(err, ERR_FAILED, "%s %s has no artifact \"%.80s\": bmctl build show",
			       build->application, names_build_text(&build->build).s, name);
	r = objects_get_manifest(request->methods->objects, artifact->digest, &text, &n, err);
	if (r < 0)
		return r;
	if (after < 0 || (size_t)after > n || (after > 0 && text[after - 1] != '\n'))
		return request_invalid(err, "after", "it is not where a line begins");
	piece = manifest_piece(text + after, n - (size_t)after);
	*ret_reply = json_pack("{s:s, s:s%, s:o}", "digest", artifact->digest, "text", text + after,
			       piece, "next",
			       (size_t)after + piece < n
				   ? json_integer((json_int_t)((size_t)after + piece))
				   : json_null());
	return *ret_reply ? 0 : err_set(err, ERR_FAILED, "the list of files is not a text");
}

int
method_GetManifest(struct request *request, json_t **ret_reply, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	const char *release;
	int64_t number;
	int r = request_release(request, &release, &number, err);

	if (r >= 0)
		r = queue_find_build(request->methods->queue, request_text(request, "application"),
				     release, number, &build, err);
	return r < 0 ? r : manifest_reply(request, &build, ret_reply, err);
}

/* ---- Diff */

struct diff {
	struct page *page;
	int64_t skip, seen;
	const char *artifact;
	int64_t added, changed, removed;
};

static void
diff_entry(const struct manifest_entry *old, const struct manifest_entry *new, void *arg)
{
	struct diff *diff = arg;
	const char *change = !old ? "added" : !new ? "removed" : "changed";

	if (!old)
		diff->added++;
	else if (!new)
		diff->removed++;
	else
		diff->changed++;
	/* Everything is counted; only the page is listed. */
	if (diff->seen++ < diff->skip || diff->page->more)
		return;
	page_add(diff->page,
		 json_pack("{s:s, s:o, s:s, s:o, s:o}", "change", change, "path",
			   json_text((new ? new : old)->path), "artifact", diff->artifact,
			   "old_bytes", old ? json_integer((json_int_t)old->size) : json_null(),
			   "new_bytes", new ? json_integer((json_int_t) new->size) : json_null()),
		 diff->seen, -1);
}

static const struct store_artifact *
artifact_of(const struct store_build *build, const char *name)
{
	for (size_t i = 0; i < build->nartifacts; i++)
		if (strcmp(build->artifacts[i].name, name) == 0)
			return &build->artifacts[i];
	return NULL;
}

/*
 * The two manifests of the last page stay for a while: the next page is of the same ones, most likely, and a
 * digest never means another list.
 */
struct files_kept {
	struct ev_loop *loop;
	ev_timer idle;
	struct kept {
		char digest[65]; /* "" in an empty one */
		struct manifest manifest;
	} v[2];
};

static void
kept_clear(struct kept *kept)
{
	manifest_clear(&kept->manifest);
	*kept = (struct kept){0};
}

static void
on_idle(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct files_kept *kept = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	for (size_t i = 0; i < ARRAY_SIZE(kept->v); i++)
		kept_clear(&kept->v[i]);
}

static struct files_kept *
kept_of(struct methods *methods)
{
	struct files_kept *kept = methods->kept;

	if (!kept) {
		kept = methods->kept = xcalloc(1, sizeof(*kept));
		kept->loop = sched_loop(methods->sched);
		ev_timer_init(&kept->idle, on_idle, 0., KEPT_SECONDS);
		kept->idle.data = kept;
	}
	ev_timer_again(kept->loop, &kept->idle);
	return kept;
}

void
request_files_free(struct methods *methods)
{
	if (!methods->kept)
		return;
	on_idle(methods->kept->loop, &methods->kept->idle, 0);
	free(TAKE(methods->kept));
}

/* The list of files of ARTIFACT (NULL: none), borrowed until two others were asked for. BESIDE is one that
 * must stay. */
static int
load_manifest(struct methods *methods, const struct store_artifact *artifact,
	      const struct manifest *beside, const struct manifest **ret_manifest, struct err *err)
{
	static const struct manifest none;
	struct files_kept *kept = kept_of(methods);
	struct kept *slot = &kept->v[&kept->v[0].manifest == beside];
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	*ret_manifest = &none;
	if (!artifact)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kept->v); i++)
		if (strcmp(kept->v[i].digest, artifact->digest) == 0) {
			*ret_manifest = &kept->v[i].manifest;
			return 0;
		}
	kept_clear(slot);
	r = objects_get_manifest(methods->objects, artifact->digest, &text, &n, err);
	if (r >= 0)
		r = manifest_parse(text, n, &slot->manifest, err);
	if (r < 0)
		return r;
	snprintf(slot->digest, sizeof(slot->digest), "%s", artifact->digest);
	*ret_manifest = &slot->manifest;
	return 0;
}

static int
diff_artifact(struct diff *diff, struct methods *methods, const struct store_build *a,
	      const struct store_build *b, const char *name, struct err *err)
{
	const struct store_artifact *old = artifact_of(a, name), *new = artifact_of(b, name);
	const struct manifest *old_files, *new_files;
	int r;

	if (old && new && strcmp(old->digest, new->digest) == 0)
		return 0;
	r = load_manifest(methods, old, NULL, &old_files, err);
	if (r >= 0)
		r = load_manifest(methods, new, old_files, &new_files, err);
	if (r < 0)
		return r;
	diff->artifact = name;
	manifest_diff(old_files, new_files, diff_entry, diff);
	return 0;
}

/* One of the two builds: {release, build}. */
static int
diff_side(struct request *request, const char *application, const json_t *side,
	  struct store_build *ret_build, struct err *err)
{
	const char *release = json_get_string(side, "release");

	if (!names_release(release)) {
		int r = err_set(err, ERR_BAD_NAME, "%.80s is not a release", release);

		err_field(err, "name", json_string(release));
		return r;
	}
	return queue_find_build(request->methods->queue, application, release,
				json_get_int(side, "build", 0), ret_build, err);
}

/* What is live on the application's last stage. */
static int
diff_live(struct request *request, const struct conf_application *application,
	  struct store_build *ret_build, struct err *err)
{
	const char *stage =
	    application->nstages ? application->stages[application->nstages - 1].name : "";
	struct history history = {0};
	int r = store_history_get(request->methods->store, application->name, stage, &history, err);

	if (r >= 0 && !history_live(&history)) {
		r = err_set(err, ERR_NOTHING_TO_REDEPLOY,
			    "nothing is live on %s %s: name the second build", application->name,
			    stage);
		err_field(err, "application", json_string(application->name));
		err_field(err, "stage", json_string(stage));
	} else if (r >= 0)
		r = store_build_get(request->methods->store, application->name,
				    &history_live(&history)->build, ret_build, err);
	history_clear(&history);
	return r;
}

static int
diff_builds(struct request *request, const struct store_build *a, const struct store_build *b,
	    struct diff *diff, struct err *err)
{
	struct methods *methods = request->methods;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < a->nartifacts; i++)
		r = diff_artifact(diff, methods, a, b, a->artifacts[i].name, err);
	for (size_t i = 0; r >= 0 && i < b->nartifacts; i++)
		if (!artifact_of(a, b->artifacts[i].name))
			r = diff_artifact(diff, methods, a, b, b->artifacts[i].name, err);
	return r;
}

int
method_Diff(struct request *request, json_t **ret_reply, struct err *err)
{
	const json_t *side = json_object_get(request->parameters, "b");
	const struct conf_application *application;
	_cleanup_(store_build_clear) struct store_build a = {0};
	_cleanup_(store_build_clear) struct store_build b = {0};
	_cleanup_(page_clear) struct page page = {0};
	struct diff diff = {.page = &page};
	int r = queue_find_application(request->methods->queue,
				       request_text(request, "application"), &application, err);

	if (r >= 0)
		r = page_begin(request, 1, &page, err);
	if (r >= 0)
		r = diff_side(request, application->name, json_object_get(request->parameters, "a"),
			      &a, err);
	if (r >= 0)
		r = json_is_object(side) ? diff_side(request, application->name, side, &b, err)
					 : diff_live(request, application, &b, err);
	diff.skip = page.after[0];
	if (r >= 0)
		r = diff_builds(request, &a, &b, &diff, err);
	if (r < 0)
		return r;
	*ret_reply = page_reply(&page, "changes");
	json_object_set_new(*ret_reply, "a", request_ref(&a.build));
	json_object_set_new(*ret_reply, "b", request_ref(&b.build));
	json_object_set_new(*ret_reply, "added", json_integer((json_int_t)diff.added));
	json_object_set_new(*ret_reply, "changed", json_integer((json_int_t)diff.changed));
	json_object_set_new(*ret_reply, "removed", json_integer((json_int_t)diff.removed));
	return 0;
}

/* ---- VerifyBuilds */

/*
 * Every manifest is read once, however many builds have it; what is found is told of each of them.
 * A stream that its client leaves ends the helper by closing its channel.
 */
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
		r = store_build_each(verify->methods->store, application, release, page.last,
				     VERIFY_PAGE, verify_add_paged, &page, err);
	} while (r >= 0 && page.n == VERIFY_PAGE);
	return r;
}

static int
verify_collect(struct request *request, struct verify *verify, struct err *err)
{
	const struct conf *conf = queue_conf(verify->methods->queue);
	const char *application = request_text(request, "application"), *release;
	const struct conf_application *known;
	struct store_build build = {0};
	int64_t number;
	int r = request_release(request, &release, &number, err);

	if (r >= 0 && application)
		r = queue_find_application(verify->methods->queue, application, &known, err);
	else if (r >= 0 && release)
		r = request_invalid(err, "release", "a release needs its application");
	for (size_t i = 0; r >= 0 && !application && i < conf->napplications; i++)
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

/* ---- SweepStore */

/*
 * bmd-import --gc takes the store for itself, then is told what to keep. That list is made between
 * two transactions: a change that is not committed yet may still be undone.
 */
struct sweep {
	struct methods *methods;
	struct control_call *call; /* NULL: its client has gone */
	struct sched_verify *helper;
	int64_t manifests, objects, bytes;
	int64_t told_us;
	bool listing; /* on_committed() will be called */
	bool done, more;
	struct err failure;
};

/* Ends SWEEP, at once or when nobody holds it any more. */
static void
sweep_free(struct sweep *sweep)
{
	sched_verify_stop(sweep->helper);
	sweep->helper = NULL;
	sweep->call = NULL;
	if (sweep->listing)
		return;
	err_clear(&sweep->failure);
	free(sweep);
}

static void
sweep_gone(void *arg)
{
	sweep_free(arg);
}

static void
sweep_drained(void *arg)
{
	(void)arg; /* the next progress will be told again */
}

static void
sweep_reply(struct sweep *sweep, bool continues)
{
	control_reply(sweep->call,
		      json_pack("{s:I, s:I, s:I}", "manifests", (json_int_t)sweep->manifests,
				"objects", (json_int_t)sweep->objects, "bytes",
				(json_int_t)sweep->bytes),
		      continues);
}

static void
sweep_end(struct sweep *sweep)
{
	if (sweep->done)
		sweep_reply(sweep, false);
	else {
		if (sweep->failure.code == ERR_NONE)
			err_set(&sweep->failure, ERR_FAILED,
				"the store was not cleaned up: bmd-import ended early, see the log "
				"of bmd");
		control_error(sweep->call, &sweep->failure);
	}
	sweep_free(sweep);
}

struct sweep_page {
	json_t *digests;
	int n;
};

static int
sweep_keep(const char *digest, void *arg)
{
	struct sweep_page *page = arg;

	page->n++;
	return json_array_append_new(page->digests, json_string(digest));
}

/* Every manifest that a build of any application names, configured or not. */
static int
sweep_list(struct sweep *sweep, struct err *err)
{
	_cleanup_json_ json_t *digests = json_array();
	struct sweep_page page = {.digests = digests};
	int r;

	do {
		const json_t *last = json_array_get(digests, json_array_size(digests) - 1);

		page.n = 0;
		r = store_manifest_each(sweep->methods->store, last ? json_string_value(last) : "",
					VERIFY_PAGE, sweep_keep, &page, err);
	} while (r >= 0 && page.n == VERIFY_PAGE);
	if (r >= 0 && sched_collect_keep(sweep->helper, digests) < 0)
		r = err_set(err, ERR_FAILED, "%zu manifests are more than one clean-up can keep",
			    json_array_size(digests));
	return r;
}

static void
on_committed(void *arg, const struct err *failure)
{
	struct sweep *sweep = arg;

	(void)failure; /* then nothing changed, and the list is as true */
	sweep->listing = false;
	if (!sweep->call)
		sweep_free(sweep);
	else if (sweep_list(sweep, &sweep->failure) < 0)
		sweep_end(sweep);
}

/* One object of bmd-import --gc (import/collect.h), or NULL at its end. */
static void
sweep_line(const json_t *object, void *arg)
{
	struct sweep *sweep = arg;
	int64_t now_us = clock_now_us();
	const json_t *done, *progress;

	if (!object) {
		sweep_end(sweep);
		return;
	}
	if (json_get_bool(object, "locked")) {
		sweep->listing = true;
		turn_after(sweep->methods->turn, on_committed, sweep);
		return;
	}
	if (err_from_json(object, &sweep->failure) == 0)
		return;
	done = json_object_get(object, "done");
	progress = done ? done : json_object_get(object, "progress");
	sweep->manifests = json_get_int(progress, "manifests", sweep->manifests);
	sweep->objects = json_get_int(progress, "objects", sweep->objects);
	sweep->bytes = json_get_int(progress, "bytes", sweep->bytes);
	sweep->done |= done != NULL;
	if (!sweep->more || sweep->done || now_us - sweep->told_us < PROGRESS_US)
		return;
	if (!control_may_send(sweep->call, sweep_drained, sweep))
		return;
	sweep->told_us = now_us;
	sweep_reply(sweep, true);
}

static bool
anything_is_collected(const struct conf *conf)
{
	for (size_t i = 0; i < conf->napplications; i++)
		if (conf->applications[i].keep_builds > 0)
			return true;
	return false;
}

int
method_SweepStore(struct request *request, struct err *err)
{
	struct sweep *sweep;
	int r;

	if (!anything_is_collected(queue_conf(request->methods->queue))) {
		r = err_set(err, ERR_REFUSED,
			    "no application has keep-builds, so nothing is ever removed: set it, "
			    "then bmctl reload");
		err_field(err, "rule", json_string("keep-builds"));
		return r;
	}
	sweep = xcalloc(1, sizeof(*sweep));
	*sweep = (struct sweep){.methods = request->methods,
				.call = request->call,
				.told_us = request->now_us,
				.more = request->more};
	r = sched_collect(request->methods->sched, sweep_line, sweep, &sweep->helper, err);
	if (r < 0) {
		sweep_free(sweep);
		return r;
	}
	control_on_gone(sweep->call, sweep_gone, sweep);
	return 0;
}
