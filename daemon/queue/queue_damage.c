/* SPDX-License-Identifier: ISC */
/*
 * What a run says of stored files. Its word is taken at once, so that nobody deploys the build a
 * second time meanwhile: a mark like those of verification, durable before the run's end is
 * recorded. That is a small file and its fsync in the loop, like a commit, and only when a disk has
 * failed. The verification that follows takes the mark away should it not be true.
 */
#include <errno.h>
#include <string.h>

#include "artifact/damage.h"
#include "artifact/manifest.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

/* The files of MANIFEST that are OBJECT. */
static void
find_files(struct queue *queue, const char *manifest, const char *object, struct damages *damages)
{
	struct manifest files = {0};
	_cleanup_free_ char *text = NULL;
	size_t n;

	if (objects_get_manifest(queue->objects, manifest, &text, &n, NULL) < 0 ||
	    manifest_parse(text, n, &files, NULL) < 0)
		return;
	for (size_t i = 0; i < files.n; i++) {
		const struct manifest_entry *entry = &files.v[i];

		if (entry->kind == MANIFEST_FILE && strcmp(entry->digest, object) == 0)
			damages_add(damages,
				    objects_present(queue->objects, object, entry->size) == -ENOENT
					? "missing"
					: "damaged",
				    object, entry->size, entry->path);
	}
	manifest_clear(&files);
}

static void
mark(struct queue *queue, const struct store_artifact *artifact, const char *object,
     json_t *manifests)
{
	_cleanup_(damages_clear) struct damages damages = {0};

	find_files(queue, artifact->digest, object, &damages);
	if (damages.n == 0)
		return;
	json_array_append_new(manifests, json_string(artifact->digest));
	/* What verification found says more. */
	if (damage_find(queue->objects, artifact->digest, NULL, NULL) == 0)
		(void)damage_note(queue->objects, artifact->digest, &damages);
}

json_t *
queue_mark_damaged(struct queue *queue, int64_t id, const char *object)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	json_t *manifests = json_array();
	struct job job = {0};

	if (!queue->objects || store_job_get(queue->store, id, &job, NULL) < 0)
		return manifests;
	if (store_build_get(queue->store, job.application, &job.build, &build, NULL) == 0)
		for (size_t i = 0; i < build.nartifacts; i++)
			mark(queue, &build.artifacts[i], object, manifests);
	job_clear(&job);
	return manifests;
}
