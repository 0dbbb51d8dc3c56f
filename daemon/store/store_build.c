/* SPDX-License-Identifier: ISC */
/*
 * Builds, their artifacts, what was collected of them, and the manifests that they name.
 */
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define STATEMENTS(X) \
	X(BUILD_NEXT,	  "SELECT max((SELECT coalesce(max(number), 0) FROM builds WHERE application = ?1 AND release = ?2)," \
			  " (SELECT coalesce(max(number), 0) FROM collected WHERE application = ?1 AND release = ?2)) + 1") \
	X(BUILD_ADD,	  "INSERT INTO builds (application, release, number, rejected, rejected_us, created_us, created_by," \
			  " uid, note, variables) VALUES (?1, ?2, ?3, 0, 0, ?4, ?5, ?6, ?7, ?8)") \
	X(ARTIFACT_ADD,	  "INSERT INTO artifacts VALUES (?1, ?2, ?3, ?4, ?5)") \
	X(BUILD_GET,	  "SELECT * FROM builds WHERE application = ?1 AND release = ?2 AND number = ?3") \
	X(ARTIFACTS,	  "SELECT name, digest, files, bytes FROM artifacts WHERE build = ?1 ORDER BY name") \
	X(BUILD_REJECT,	  "UPDATE builds SET rejected = ?2, rejected_by = ?3, rejected_us = ?4, rejected_reason = ?5" \
			  " WHERE id = ?1") \
	X(BUILD_PIN,	  "UPDATE builds SET pinned_by = ?2, pinned_us = ?3, pin_reason = ?4 WHERE id = ?1") \
	X(BUILD_SIGN,	  "UPDATE builds SET signature = ?2 WHERE id = ?1") \
	X(ARTIFACTS_DROP, "DELETE FROM artifacts WHERE build = ?1") \
	X(BUILD_DROP,	  "DELETE FROM builds WHERE id = ?1") \
	X(SUCCESSES_DROP, "DELETE FROM successes WHERE application = ?1 AND release = ?2 AND number = ?3") \
	X(COLLECTED_ADD,  "INSERT INTO collected VALUES (?1, ?2, ?3, ?4, ?5)") \
	X(COLLECTED,	  "SELECT collected_us FROM collected WHERE application = ?1 AND release = ?2 AND number = ?3") \
	X(MANIFESTS,	  "SELECT DISTINCT digest FROM artifacts WHERE digest > '' ORDER BY digest") \
	X(MANIFEST_USED,  "SELECT 1 FROM artifacts WHERE digest = ?1 LIMIT 1") \
	X(MANIFEST_BUILDS, "SELECT b.application, b.release, b.number, a.name FROM artifacts a" \
			  " JOIN builds b ON b.id = a.build WHERE a.digest = ?1 ORDER BY a.build DESC LIMIT ?2") \
	X(BUILDS,	  "SELECT * FROM builds WHERE application = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3") \
	X(BUILDS_RELEASE, "SELECT * FROM builds WHERE application = ?1 AND id < ?2 AND release = ?4" \
			  " ORDER BY id DESC LIMIT ?3") \
	X(RELEASE_COUNT,  "SELECT count(*), coalesce(max(CASE rejected WHEN 0 THEN number END), 0) FROM builds" \
			  " WHERE application = ?1 AND release = ?2") \
	X(RELEASE_SUCCEEDED, "SELECT coalesce(max(number), 0) FROM successes" \
			  " WHERE application = ?1 AND stage = ?2 AND release = ?3") \
	X(RELEASE_ONLY,	  "SELECT min(number) FROM builds WHERE application = ?1 AND release = ?2") \
	X(RELEASES,	  "SELECT release, max(id) AS last FROM builds WHERE application = ?1 GROUP BY release" \
			  " ORDER BY last DESC LIMIT ?2")
// clang-format on

STORE_PART(build, STATEMENTS)

void
store_build_clear(struct store_build *build)
{
	free(build->rejected_by);
	free(build->rejected_reason);
	free(build->pinned_by);
	free(build->pin_reason);
	free(build->signature);
	free(build->note);
	free(build->artifacts);
	json_decref(build->variables);
	memset(build, 0, sizeof(*build));
}

static int
artifact_add(struct store *store, int64_t build, const struct store_artifact *artifact,
	     struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ARTIFACT_ADD);

	store_bind_int(st, 1, build);
	store_bind_text(st, 2, artifact->name);
	store_bind_text(st, 3, artifact->digest);
	store_bind_int(st, 4, artifact->files);
	store_bind_int(st, 5, artifact->bytes);
	return store_run(store, st, err);
}

static int
next_number(struct store *store, struct store_build *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_NEXT);
	int64_t next;
	int r;

	store_bind_text(st, 1, build->application);
	store_bind_text(st, 2, build->build.release);
	r = store_number(store, st, 1, &next, err);
	if (r == 0 && next > NAMES_BUILD_MAX)
		r = err_set(
		    err, ERR_REFUSED,
		    "%s %s has build %d already, the highest number there is: use a new release",
		    build->application, build->build.release, NAMES_BUILD_MAX);
	if (r == 0)
		build->build.number = next;
	return r;
}

int
store_build_add(struct store *store, struct store_build *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_ADD);
	int r = build->build.number == 0 ? next_number(store, build, err) : 0;

	if (r < 0)
		return r;
	store_bind_text(st, 1, build->application);
	store_bind_text(st, 2, build->build.release);
	store_bind_int(st, 3, build->build.number);
	store_bind_int(st, 4, build->created_us);
	store_bind_text(st, 5, build->created_by);
	store_bind_int(st, 6, build->uid);
	store_bind_text(st, 7, build->note);
	store_bind_map(st, 8, build->variables);
	r = store_run(store, st, err);
	if (r < 0)
		return r;
	build->id = sqlite3_last_insert_rowid(store->db);
	for (size_t i = 0; i < build->nartifacts && r == 0; i++)
		r = artifact_add(store, build->id, &build->artifacts[i], err);
	return r;
}

/* A row of SELECT * FROM builds, without artifacts. */
static void
read_build(sqlite3_stmt *st, struct store_build *ret)
{
	*ret = (struct store_build){
	    .id = store_read_int(st, 0),
	    .build.number = store_read_int(st, 3),
	    .rejected = store_read_int(st, 4) != 0,
	    .rejected_by = store_read_string(st, 5),
	    .rejected_reason = store_read_string(st, 6),
	    .rejected_us = store_read_int(st, 7),
	    .created_us = store_read_int(st, 8),
	    .uid = store_read_int(st, 10),
	    .note = store_read_string(st, 11),
	    .variables = store_read_json(st, 12, false),
	    .pinned_by = store_read_string(st, 13),
	    .pinned_us = store_read_int(st, 14),
	    .pin_reason = store_read_string(st, 15),
	    .signature = store_read_string(st, 16),
	};
	store_read_array(st, 1, ret->application, sizeof(ret->application));
	store_read_array(st, 2, ret->build.release, sizeof(ret->build.release));
	store_read_array(st, 9, ret->created_by, sizeof(ret->created_by));
}

static int
read_artifacts(struct store *store, struct store_build *build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ARTIFACTS);
	size_t room = 0;
	int r;

	store_bind_int(st, 1, build->id);
	while ((r = store_row(store, st, err)) == 1) {
		struct store_artifact *artifact;

		XGROW(build->artifacts, build->nartifacts, room);
		artifact = &build->artifacts[build->nartifacts++];
		store_read_array(st, 0, artifact->name, sizeof(artifact->name));
		store_read_array(st, 1, artifact->digest, sizeof(artifact->digest));
		artifact->files = store_read_int(st, 2);
		artifact->bytes = store_read_int(st, 3);
	}
	return r;
}

int
store_build_get(struct store *store, const char *application, const struct build_ref *ref,
		struct store_build *ret_build, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_GET);
	struct store_build build;
	int r;

	store_bind_text(st, 1, application);
	store_bind_text(st, 2, ref->release);
	store_bind_int(st, 3, ref->number);
	r = store_row(store, st, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = err_set(err, ERR_NO_SUCH_BUILD, "%s has no build %s: bmctl build list %s",
			    application, names_build_text(ref).s, application);
		err_field(err, "application", json_string(application));
		err_field(err, "release", json_string(ref->release));
		err_field(err, "build", json_integer(ref->number));
		return r;
	}
	read_build(st, &build);
	(void)sqlite3_reset(st);
	r = read_artifacts(store, &build, err);
	if (r < 0)
		store_build_clear(&build);
	else
		*ret_build = build;
	return r;
}

int
store_build_reject(struct store *store, int64_t id, const char *by, int64_t now_us,
		   const char *reason, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_REJECT);

	store_bind_int(st, 1, id);
	store_bind_int(st, 2, reason != NULL);
	store_bind_text(st, 3, reason ? by : NULL);
	store_bind_int(st, 4, reason ? now_us : 0);
	store_bind_text(st, 5, reason);
	store_touch(store);
	return store_run(store, st, err);
}

int
store_build_pin(struct store *store, int64_t id, const char *by, int64_t now_us, const char *reason,
		struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_PIN);

	store_bind_int(st, 1, id);
	store_bind_text(st, 2, by);
	store_bind_int(st, 3, by ? now_us : 0);
	store_bind_text(st, 4, by ? reason : NULL);
	return store_run(store, st, err);
}

int
store_build_sign(struct store *store, int64_t id, const char *signature, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_BUILD_SIGN);

	store_bind_int(st, 1, id);
	store_bind_text(st, 2, signature);
	return store_run(store, st, err);
}

static void
bind_ref(sqlite3_stmt *st, const char *application, const struct build_ref *ref)
{
	store_bind_text(st, 1, application);
	store_bind_text(st, 2, ref->release);
	store_bind_int(st, 3, ref->number);
}

int
store_build_collect(struct store *store, const struct store_build *build, const char *by,
		    int64_t now_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COLLECTED_ADD);
	int r;

	bind_ref(st, build->application, &build->build);
	store_bind_int(st, 4, now_us);
	store_bind_text(st, 5, by);
	r = store_run(store, st, err);
	if (r == 0) {
		bind_ref(statement(store, S_SUCCESSES_DROP), build->application, &build->build);
		r = store_run(store, statement(store, S_SUCCESSES_DROP), err);
	}
	if (r == 0) {
		store_bind_int(statement(store, S_ARTIFACTS_DROP), 1, build->id);
		r = store_run(store, statement(store, S_ARTIFACTS_DROP), err);
	}
	if (r == 0) {
		store_bind_int(statement(store, S_BUILD_DROP), 1, build->id);
		r = store_run(store, statement(store, S_BUILD_DROP), err);
	}
	store_touch(store);
	return r;
}

int
store_build_collected(struct store *store, const char *application, const struct build_ref *ref,
		      int64_t *ret_us, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_COLLECTED);

	bind_ref(st, application, ref);
	return store_number(store, st, 0, ret_us, err);
}

int
store_manifests(struct store *store, json_t **ret_digests, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_MANIFESTS);
	_cleanup_json_ json_t *digests = json_array();
	char digest[65];
	int r;

	while ((r = store_row(store, st, err)) == 1) {
		store_read_array(st, 0, digest, sizeof(digest));
		(void)json_array_append_new(digests, json_string(digest));
	}
	if (r == 0)
		*ret_digests = TAKE(digests);
	return r;
}

int
store_manifest_used(struct store *store, const char *digest, bool *ret_used, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_MANIFEST_USED);
	int64_t n;
	int r;

	store_bind_text(st, 1, digest);
	r = store_number(store, st, 0, &n, err);
	if (r == 0)
		*ret_used = n > 0;
	return r;
}

int
store_manifest_builds(struct store *store, const char *digest, int limit, json_t **ret_builds,
		      struct err *err)
{
	sqlite3_stmt *st = statement(store, S_MANIFEST_BUILDS);
	_cleanup_json_ json_t *builds = json_array();
	int r;

	store_bind_text(st, 1, digest);
	store_bind_int(st, 2, limit);
	while ((r = store_row(store, st, err)) == 1)
		(void)json_array_append_new(builds,
					    json_pack("{s:s, s:s, s:I, s:s}", "application",
						      sqlite3_column_text(st, 0), "release",
						      sqlite3_column_text(st, 1), "build",
						      (json_int_t)store_read_int(st, 2), "artifact",
						      sqlite3_column_text(st, 3)));
	if (r == 0)
		*ret_builds = TAKE(builds);
	return r;
}

int
store_build_each(struct store *store, const char *application, const char *release,
		 int64_t after_id, int limit,
		 int (*back)(const struct store_build *build, void *arg), void *arg,
		 struct err *err)
{
	sqlite3_stmt *st = statement(store, release ? S_BUILDS_RELEASE : S_BUILDS);
	struct store_build *builds = NULL;
	size_t n = 0, room = 0;
	int r;

	store_bind_text(st, 1, application);
	store_bind_int(st, 2, after_id > 0 ? after_id : INT64_MAX);
	store_bind_int(st, 3, limit);
	if (release)
		store_bind_text(st, 4, release);
	while ((r = store_row(store, st, err)) == 1) {
		XGROW(builds, n, room);
		read_build(st, &builds[n++]);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = read_artifacts(store, &builds[i], err);
		if (r == 0)
			r = back(&builds[i], arg);
		store_build_clear(&builds[i]);
	}
	free(builds);
	return r < 0 ? r : 0;
}

int
store_release_look(struct store *store, const char *application, const char *release,
		   const char *stage, int64_t *ret_builds, int64_t *ret_newest_active,
		   int64_t *ret_newest_succeeded, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_RELEASE_COUNT);
	int r;

	store_bind_text(st, 1, application);
	store_bind_text(st, 2, release);
	r = store_row(store, st, err);
	if (r < 0)
		return r;
	*ret_builds = store_read_int(st, 0);
	*ret_newest_active = store_read_int(st, 1);
	(void)sqlite3_reset(st);
	*ret_newest_succeeded = 0;
	if (!stage)
		return 0;
	st = statement(store, S_RELEASE_SUCCEEDED);
	store_bind_stage(st, application, stage);
	store_bind_text(st, 3, release);
	return store_number(store, st, 0, ret_newest_succeeded, err);
}

int
store_release_only(struct store *store, const char *application, const char *release,
		   int64_t *ret_number, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_RELEASE_ONLY);

	store_bind_text(st, 1, application);
	store_bind_text(st, 2, release);
	return store_number(store, st, 0, ret_number, err);
}

int
store_releases(struct store *store, const char *application, int limit, json_t **ret_releases,
	       struct err *err)
{
	sqlite3_stmt *st = statement(store, S_RELEASES);
	_cleanup_json_ json_t *releases = json_array();
	int r;

	store_bind_text(st, 1, application);
	store_bind_int(st, 2, limit);
	while ((r = store_row(store, st, err)) == 1)
		(void)json_array_append_new(releases,
					    json_string((const char *)sqlite3_column_text(st, 0)));
	if (r < 0)
		return r;
	*ret_releases = TAKE(releases);
	return 0;
}
