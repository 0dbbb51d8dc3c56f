/* SPDX-License-Identifier: ISC */
/*
 * Paths of a release folder that belong to its user: links to DIRECTORY/shared/…, put before the
 * folder gets its name. What lies at such a path in the build is not placed, what the link leads to
 * is never touched.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/place_private.h"
#include "common/xalloc.h"

int
place_shared_check(const struct place_work *work, struct err *err)
{
	for (size_t i = 0; i < work->shared.n; i++) {
		const char *path = work->shared.v[i];
		_cleanup_free_ char *copy = xstrdup(path);
		int r = manifest_check_path(path, err);

		if (r < 0) {
			err_prefix(err, "shared");
			return r;
		}
		for (char *slash = strrchr(copy, '/'); slash != NULL; slash = strrchr(copy, '/')) {
			const struct manifest_entry *entry;

			*slash = '\0';
			entry = manifest_find(work->place->manifest, copy);
			if (entry != NULL && entry->kind != MANIFEST_DIRECTORY)
				return err_set(err, ERR_FAILED,
					       "shared %s: %s is no folder in this build", path,
					       copy);
		}
	}
	return 0;
}

/* Does another shared path already take PATH with it? */
static bool
is_covered(const struct place_work *work, size_t which)
{
	struct files_shared before = {work->shared.v, which},
			    after = {work->shared.v + which + 1, 0};
	const char *path = work->shared.v[which];

	after.n = work->shared.n - which - 1;
	if (files_is_shared(&before, path))
		return true;
	return files_is_shared(&after, path) && !place_contains(after.v, after.n, path);
}

/* "../../shared/PATH", with one more step up for each folder on the way. */
static char *
shared_target(const char *path)
{
	char *text = xasprintf("../../shared/%s", path);

	for (const char *p = path; *p != '\0'; p++) {
		char *longer;

		if (*p != '/')
			continue;
		longer = xasprintf("../%s", text);
		free(text);
		text = longer;
	}
	return text;
}

/* The folder that the link's target will lie in. Where the user has put links of his own, there is
 * nothing to make. */
static void
make_shared_parent(const struct place_work *work, const char *path)
{
	_cleanup_free_ char *full = xasprintf("shared/%s", path);
	_cleanup_close_ int at = fcntl(work->directory, F_DUPFD_CLOEXEC, 0);

	for (char *p = full, *slash; at >= 0 && (slash = strchr(p, '/')) != NULL; p = slash + 1) {
		int next;

		*slash = '\0';
		mkdirat(at, p, 0755);
		next = openat(at, p, PLACE_FOLDER);
		*slash = '/';
		close(at);
		at = next;
	}
}

/* Puts one link into the release folder ROOT. What may lie there instead: nothing, or in a folder
 * that is used as it was the same link. */
static int
put_shared(const struct place_work *work, int root, const char *path, struct err *err)
{
	struct files_cursor *cursor = files_cursor_new(root, true, false);
	_cleanup_free_ char *target = shared_target(path), *full = xasprintf("shared/%s", path);
	const char *name;
	int folder, closed, r;
	struct stat st;

	r = files_cursor_parent(cursor, path, &folder, &name);
	if (r >= 0 && symlinkat(target, folder, name) < 0 && errno != EEXIST)
		r = -errno;
	closed = files_cursor_close(cursor);
	if (r < 0 || closed < 0)
		return err_errno(err, r < 0 ? -r : -closed, "%s: cannot be linked to shared/%s",
				 path, path);
	make_shared_parent(work, path);
	if (fstatat(work->directory, full, &st, 0) < 0)
		place_say(
		    work,
		    "shared/%s does not exist yet: the link %s leads nowhere until it is made",
		    path, path);
	return 0;
}

int
place_shared_put(const struct place_work *work, int root, struct err *err)
{
	for (size_t i = 0; i < work->shared.n; i++) {
		const char *path = work->shared.v[i];
		int r;

		if (is_covered(work, i))
			continue;
		if (manifest_find(work->place->manifest, path) != NULL ||
		    manifest_has_below(work->place->manifest, path))
			place_say(work, "%s of the build is not placed: the path is shared", path);
		r = put_shared(work, root, path, err);
		if (r < 0)
			return r;
	}
	return work->shared.n > 0 && fsync(root) < 0
		   ? err_errno(err, errno, "shared paths cannot be linked")
		   : 0;
}

bool
place_shared_in_order(const struct place_work *work, int root)
{
	for (size_t i = 0; i < work->shared.n; i++) {
		_cleanup_free_ char *target = shared_target(work->shared.v[i]);
		char found[MANIFEST_PATH_MAX + 1];
		ssize_t n;

		if (is_covered(work, i))
			continue;
		n = readlinkat(root, work->shared.v[i], found, sizeof(found));
		if (n < 0 && errno == ENOENT)
			continue;
		if (n < 0 || (size_t)n != strlen(target) || memcmp(found, target, (size_t)n) != 0)
			return false;
	}
	return true;
}
