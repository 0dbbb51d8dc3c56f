/* SPDX-License-Identifier: ISC */
/* Files of builds: uploaded, listed, and compared. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/log.h"
#include "daemon/methods/request.h"

#define MANIFEST_PIECE ((size_t)256 * 1024)
#define KEPT_SECONDS 10.0

int
method_ListArtifacts(struct request *request, json_t **ret_reply, struct err *err)
{
	(void)err;
	*ret_reply = json_pack("{s:o}", "artifacts",
			       request_artifact_names(request, request->application));
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

/* What is live on the application's last stage, of those that the caller sees. */
static int
diff_live(struct request *request, const struct conf_application *application,
	  struct store_build *ret_build, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	const struct conf_stage *last = queue_last_stage(application, &eyes);
	const char *stage = last ? last->name : "";
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
	const struct conf_application *application = request->application;
	_cleanup_(store_build_clear) struct store_build a = {0};
	_cleanup_(store_build_clear) struct store_build b = {0};
	_cleanup_(page_clear) struct page page = {0};
	struct diff diff = {.page = &page};
	int r = page_begin(request, 1, &page, err);

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
