/* SPDX-License-Identifier: ISC */
/*
 * DIRECTORY itself holds the files. Those that differ are made in DIRECTORY/.bmd-JOB first, all of
 * them, so that a damaged object or a full disk is known before anything is touched; then each is
 * renamed to its place, and what is not in the build goes.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/place_private.h"
#include "common/folder.h"
#include "common/xalloc.h"

static int
is_vacant(int fd)
{
	_cleanup_dir_ DIR *dir = folder_list(fd);
	const struct dirent *entry;

	if (dir == NULL)
		return -errno;
	while ((errno = 0, entry = readdir(dir)) != NULL)
		if (!folder_is_dot(entry->d_name))
			return 0;
	return errno != 0 ? -errno : 1;
}

/* What a comparison found that is not in the build. */
struct extras {
	char **v;
	size_t n, room;
};

static int
note_extra(int folder, const char *name, const char *path, void *arg)
{
	struct extras *extras = arg;

	(void)folder, (void)name;
	XGROW(extras->v, extras->n, extras->room);
	extras->v[extras->n++] = xstrdup(path);
	return 0;
}

static void
clear_extras(struct extras *extras)
{
	for (size_t i = 0; i < extras->n; i++)
		free(extras->v[i]);
	free(extras->v);
}

/* A name in the staging folder, by the entry's number. */
static void
stage_name(size_t i, char ret_name[24])
{
	snprintf(ret_name, 24, "%zu", i);
}

static int
stage_one(const struct place_work *work, struct files_copier *copier, size_t i, int stage,
	  struct err *err)
{
	const struct manifest_entry *entry = &work->place->manifest->v[i];
	char name[24];

	stage_name(i, name);
	if (entry->kind == MANIFEST_FILE)
		return files_copy(copier, entry, stage, name, false, NULL, err);
	if (symlinkat(entry->target, stage, name) < 0)
		return err_errno(err, errno, "%s: cannot be placed", entry->path);
	return 0;
}

/* Makes, in the folder STAGE, every file and link that is not yet as it should be. */
static int
stage_changes(const struct place_work *work, int stage, const unsigned char *state, struct err *err)
{
	const struct manifest *manifest = work->place->manifest;
	struct files_copier *copier = files_copier_new(work->place->objects);
	int r = 0;

	for (size_t i = 0; i < manifest->n && r >= 0; i++)
		if (state[i] != FILES_SAME && manifest->v[i].kind != MANIFEST_DIRECTORY &&
		    !files_is_shared(&work->shared, manifest->v[i].path))
			r = stage_one(work, copier, i, stage, err);
	files_copier_free(copier);
	if (r < 0) {
		err_prefix(err, "%s", work->place->to);
		return r;
	}
	return syncfs(stage) < 0
		   ? err_errno(err, errno, "%s: cannot be written to disk", work->place->to)
		   : 0;
}

static int
move_one(struct files_cursor *cursor, const struct manifest_entry *entry, int stage,
	 const char *staged)
{
	const char *name;
	int folder, r;

	/* Passing through makes folders what they should be, also where nothing in them changed. */
	if (entry->kind == MANIFEST_DIRECTORY)
		return files_cursor_folder(cursor, entry->path, &folder);
	r = files_cursor_parent(cursor, entry->path, &folder, &name);
	if (r < 0 || staged == NULL || renameat(stage, staged, folder, name) == 0)
		return r;
	if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	r = files_remove(folder, name);
	if (r < 0)
		return r;
	return renameat(stage, staged, folder, name) < 0 ? -errno : 0;
}

static int
move_changes(const struct place_work *work, int stage, const unsigned char *state,
	     size_t *ret_moved, struct err *err)
{
	const struct manifest *manifest = work->place->manifest;
	struct files_cursor *cursor = files_cursor_new(work->directory, false, true);
	size_t i, moved = 0;
	int r = 0;

	for (i = 0; i < manifest->n; i++) {
		char name[24];

		if (files_is_shared(&work->shared, manifest->v[i].path))
			continue;
		stage_name(i, name);
		r = move_one(cursor, &manifest->v[i], stage, state[i] == FILES_SAME ? NULL : name);
		if (r < 0)
			break;
		moved += state[i] != FILES_SAME;
	}
	files_cursor_close(cursor);
	if (r < 0) {
		_cleanup_free_ char *shown = manifest_shown(manifest->v[i].path);

		return err_errno(err, -r, "%s/%s: cannot be placed; the folder is partly changed",
				 work->place->to, shown);
	}
	*ret_moved = moved;
	return 0;
}

/* What is not in the build goes; where a folder has taken the place of something, that is gone
 * already. */
static int
remove_extras(const struct place_work *work, const struct extras *extras, struct err *err)
{
	struct files_cursor *cursor = files_cursor_new(work->directory, false, false);
	size_t i;
	int r = 0;

	for (i = 0; i < extras->n; i++) {
		const char *name;
		int folder;

		if (manifest_has_below(work->place->manifest, extras->v[i]))
			continue;
		r = files_cursor_parent(cursor, extras->v[i], &folder, &name);
		if (r >= 0)
			r = files_remove(folder, name);
		if (r < 0)
			break;
	}
	files_cursor_close(cursor);
	if (r < 0) {
		_cleanup_free_ char *shown = manifest_shown(extras->v[i]);

		return err_errno(err, -r, "%s/%s: is not in the build and cannot be removed",
				 work->place->to, shown);
	}
	return 0;
}

static int
change_in_place(struct place_work *work, const struct files_report *report,
		const struct extras *extras, struct err *err)
{
	const char *to = work->place->to;
	_cleanup_close_ int stage = -1;
	size_t moved = 0;
	int r;

	work->temporary = xasprintf(PLACE_PREFIX "%" PRId64, work->place->job);
	if (mkdirat(work->directory, work->temporary, 0700) < 0)
		return err_errno(err, errno, "%s: cannot be written to", to);
	stage = openat(work->directory, work->temporary, PLACE_FOLDER);
	if (stage < 0)
		return err_errno(err, errno, "%s/%s", to, work->temporary);
	r = stage_changes(work, stage, report->state, err);
	if (r >= 0)
		r = move_changes(work, stage, report->state, &moved, err);
	if (r >= 0)
		r = remove_extras(work, extras, err);
	if (r < 0)
		return r;
	files_remove(work->directory, work->temporary);
	free(TAKE(work->temporary));
	if (syncfs(work->directory) < 0)
		return err_errno(err, errno, "%s: cannot be written to disk", to);
	place_say(work, "%s differed from the build: %s; placed %zu, removed %zu", to, report->text,
		  moved, extras->n);
	work->outcome.made = true;
	return 0;
}

int
place_in_place(struct place_work *work, struct err *err)
{
	const struct place *place = work->place;
	struct extras extras = {0};
	struct files_report report = {.extra = note_extra,
				      .arg = &extras,
				      .stamps = place->stamps,
				      .always = place->hash_always};
	int r;

	if (!place->filled && is_vacant(work->directory) != 1)
		return err_set(err, ERR_FAILED,
			       "%s is not empty and was not filled by bmd; empty it, or name "
			       "another folder in the step",
			       place->to);
	r = place_sweep(work, work->directory, place->to, err);
	if (r < 0)
		return r;
	r = files_compare(work->directory, place->manifest, &work->shared, &report);
	if (r < 0)
		err_errno(err, -r, "%s: cannot be compared", place->to);
	else if (report.differences > 0)
		r = change_in_place(work, &report, &extras, err);
	else
		place_say(work,
			  "%s has exactly the files of the build (%zu of %zu hashed, the others "
			  "unchanged since they were)",
			  place->to, report.hashed, place->manifest->files);
	files_report_clear(&report);
	clear_extras(&extras);
	return r;
}
