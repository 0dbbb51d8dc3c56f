/* SPDX-License-Identifier: ISC */
/*
 * A `deploy` step. DIRECTORY is resolved once and locked; from then on everything is reached from
 * its descriptor. A release folder is made as releases/.bmd-NAME.JOB, complete and on disk before
 * it gets its name; a folder that was there and differs is exchanged with it in one step, so that a
 * live release is never absent; `current` moves last. Whatever begins with ".bmd-" is a temporary
 * of ours: under the lock it can only be left over, and goes.
 *
 * In place, the files that differ are made in DIRECTORY/.bmd-JOB first, all of them, so that a
 * damaged object or a full disk is known before anything is touched; then each is renamed to its
 * place.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "artifact/files.h"
#include "artifact/place.h"
#include "common/failpoint.h"
#include "common/folder.h"
#include "common/xalloc.h"

#define PREFIX	     ".bmd-"
#define LOCK_WAIT_S  60
#define LOCK_TRY_MS  50
#define ASIDE_TRIES  100
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* One step while it goes on. */
struct work {
	const struct place *place;
	struct files_shared shared;
	int directory;	 /* -1 until open */
	int releases;	 /* -1 in place */
	char *temporary; /* name of the folder that is being made */
	size_t hashed;	 /* files of a folder that was there */
	struct place_outcome outcome;
};

static void say(const struct work *work, const char *format, ...) _printf_(2, 3);

static void
say(const struct work *work, const char *format, ...)
{
	va_list args;
	char *text;

	if (work->place->say == NULL)
		return;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		xalloc_die();
	va_end(args);
	work->place->say(text, work->place->arg);
	free(text);
}

void
place_outcome_clear(struct place_outcome *outcome)
{
	for (size_t i = 0; i < outcome->npruned; i++)
		free(outcome->pruned[i]);
	free(outcome->pruned);
	*outcome = (struct place_outcome){0};
}

static bool
contains(const char *const *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i], name) == 0)
			return true;
	return false;
}

/* ---- DIRECTORY */

/* Makes PATH and the folders above it that are missing. */
static int
make_folders(const char *path, struct err *err)
{
	_cleanup_free_ char *copy = xstrdup(path);

	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST) {
			int number = errno;
			struct stat st;

			/* On a read-only or foreign file system mkdir fails for a folder that is
			 * there, too. */
			if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
				return err_errno(err, number, "%s: cannot make the folder", copy);
		}
		*p = c;
		if (c == '\0')
			return 0;
	}
}

static int
open_directory(struct work *work, struct err *err)
{
	const char *to = work->place->to;
	int r;

	if (to[0] != '/')
		return err_set(err, ERR_FAILED,
			       "%s: a deploy step needs an absolute path; see its key \"to\"", to);
	r = make_folders(to, err);
	if (r < 0)
		return r;
	work->directory = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (work->directory < 0)
		return err_errno(err, errno, "%s: cannot open the folder", to);
	return 0;
}

/* Keeps two steps out of one DIRECTORY. */
static int
lock_directory(struct work *work, struct err *err)
{
	const struct timespec pause = {.tv_nsec = LOCK_TRY_MS * 1000000L};

	for (int i = 0; i < LOCK_WAIT_S * 1000 / LOCK_TRY_MS; i++) {
		if (flock(work->directory, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "%s: cannot lock the folder", work->place->to);
		if (i == 0)
			say(work, "%s: waiting, another step is placing files there",
			    work->place->to);
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_FAILED,
		       "%s: another step has been placing files there for 60 s; look which stages "
		       "have the same folder",
		       work->place->to);
}

/* Removes our own temporaries of steps that were killed. */
static int
sweep(const struct work *work, int folder, const char *where, struct err *err)
{
	_cleanup_dir_ DIR *dir = folder_list(folder);
	const struct dirent *entry;

	if (dir == NULL)
		return err_errno(err, errno, "%s: cannot be read", where);
	while ((entry = readdir(dir)) != NULL) {
		int r;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		r = files_remove(folder, entry->d_name);
		if (r < 0)
			return err_errno(err, -r, "%s/%s: a leftover that cannot be removed", where,
					 entry->d_name);
		say(work, "%s/%s: removed, left by a step that was cut short", where,
		    entry->d_name);
	}
	return 0;
}

static int
check_current(const struct work *work, struct err *err)
{
	struct stat st;

	if (fstatat(work->directory, "current", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "%s/current", work->place->to);
	if (!S_ISLNK(st.st_mode))
		return err_set(err, ERR_FAILED,
			       "%s/current is there and is not a symbolic link; move it away, then "
			       "deploy again",
			       work->place->to);
	return 0;
}

static int
open_releases(struct work *work, struct err *err)
{
	if (mkdirat(work->directory, "releases", 0755) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s/releases: cannot make the folder",
				 work->place->to);
	work->releases = openat(work->directory, "releases", FOLDER_FLAGS);
	if (work->releases < 0)
		return err_errno(err, errno, "%s/releases: cannot open the folder",
				 work->place->to);
	return 0;
}

/* ---- shared paths */

static int
check_shared(const struct work *work, struct err *err)
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
is_covered(const struct work *work, size_t which)
{
	struct files_shared before = {work->shared.v, which},
			    after = {work->shared.v + which + 1, 0};
	const char *path = work->shared.v[which];

	after.n = work->shared.n - which - 1;
	if (files_is_shared(&before, path))
		return true;
	return files_is_shared(&after, path) && !contains(after.v, after.n, path);
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
make_shared_parent(const struct work *work, const char *path)
{
	_cleanup_free_ char *full = xasprintf("shared/%s", path);
	_cleanup_close_ int at = fcntl(work->directory, F_DUPFD_CLOEXEC, 0);

	for (char *p = full, *slash; at >= 0 && (slash = strchr(p, '/')) != NULL; p = slash + 1) {
		int next;

		*slash = '\0';
		mkdirat(at, p, 0755);
		next = openat(at, p, FOLDER_FLAGS);
		*slash = '/';
		close(at);
		at = next;
	}
}

/* Puts one link into the release folder ROOT. What may lie there instead: nothing, or in a folder
 * that is used as it was the same link. */
static int
put_shared(const struct work *work, int root, const char *path, struct err *err)
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
		say(work,
		    "shared/%s does not exist yet: the link %s leads nowhere until it is made",
		    path, path);
	return 0;
}

static int
put_all_shared(const struct work *work, int root, struct err *err)
{
	for (size_t i = 0; i < work->shared.n; i++) {
		const char *path = work->shared.v[i];
		int r;

		if (is_covered(work, i))
			continue;
		if (manifest_find(work->place->manifest, path) != NULL ||
		    manifest_has_below(work->place->manifest, path))
			say(work, "%s of the build is not placed: the path is shared", path);
		r = put_shared(work, root, path, err);
		if (r < 0)
			return r;
	}
	return work->shared.n > 0 && fsync(root) < 0
		   ? err_errno(err, errno, "shared paths cannot be linked")
		   : 0;
}

/* Is what lies at a shared path of the folder ROOT either nothing or our link? Else it is data that
 * must not be lost. */
static bool
shared_in_order(const struct work *work, int root)
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

/* ---- the release folder */

/* Looks at the folder that has the name already: 1 it can be used, 0 not (RET_WHAT says why),
 * -errno. */
static int
examine(struct work *work, char **ret_what, struct err *err)
{
	_cleanup_close_ int fd = openat(work->releases, work->place->name, FOLDER_FLAGS);
	struct files_report report = {.stamps = work->place->stamps,
				      .always = work->place->hash_always};
	int r;

	if (fd < 0) {
		if (errno != ENOTDIR && errno != ELOOP && errno != EACCES)
			return err_errno(err, errno, "%s/releases/%s", work->place->to,
					 work->place->name);
		*ret_what = xstrdup(errno == EACCES ? "it cannot be read" : "it is not a folder");
		return 0;
	}
	r = files_compare(fd, work->place->manifest, &work->shared, &report);
	if (r < 0) {
		files_report_clear(&report);
		return err_errno(err, -r, "%s/releases/%s: cannot be compared", work->place->to,
				 work->place->name);
	}
	if (report.differences == 0 && shared_in_order(work, fd)) {
		work->hashed = report.hashed;
		files_report_clear(&report);
		r = put_all_shared(work, fd, err);
		return r < 0 ? r : 1;
	}
	*ret_what = report.text != NULL ? TAKE(report.text)
					: xstrdup("something else lies at a shared path");
	files_report_clear(&report);
	return 0;
}

static int
make_release(struct work *work, struct err *err)
{
	const struct place *place = work->place;
	_cleanup_free_ char *where = xasprintf("%s/releases/%s", place->to, place->name);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	work->temporary = xasprintf(PREFIX "%s.%" PRId64, place->name, place->job);
	if (mkdirat(work->releases, work->temporary, 0755) < 0)
		return err_errno(err, errno, "%s: cannot be made", where);
	fd = openat(work->releases, work->temporary, FOLDER_FLAGS);
	if (fd < 0 || fstat(fd, &st) < 0 || fchmod(fd, 0755 | (st.st_mode & S_ISGID)) < 0)
		return err_errno(err, errno, "%s: cannot be made", where);
	r = put_all_shared(work, fd, err);
	if (r < 0)
		return r;
	return files_fill(fd, where, place->objects, place->manifest, &work->shared, true,
			  place->stamps, err);
}

/* A name for what is set aside that nothing has yet. */
static char *
aside_name(const struct work *work)
{
	struct stat st;

	for (int i = 1; i < ASIDE_TRIES; i++) {
		char *name =
		    i == 1 ? xasprintf("%s.changed-%" PRId64, work->place->name, work->place->job)
			   : xasprintf("%s.changed-%" PRId64 ".%d", work->place->name,
				       work->place->job, i);

		if (fstatat(work->releases, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			return name;
		free(name);
	}
	return NULL;
}

/* Without an exchange: NAME is absent between two renames, and is given back if the second fails.
 */
static int
replace_slowly(const struct work *work, const char *aside)
{
	const char *name = work->place->name;
	int fd = work->releases, number;

	say(work, "this file system cannot exchange two folders: %s is absent for a moment", name);
	if (renameat(fd, aside, fd, work->temporary) < 0 || renameat(fd, name, fd, aside) < 0)
		return -errno;
	if (renameat(fd, work->temporary, fd, name) == 0)
		return 0;
	number = errno;
	renameat(fd, aside, fd, name);
	return -number;
}

/* The new folder takes the name of the one that differed, which is set aside. The new one waits
 * under the name that the old one will get: so the exchange is all in one step, and whatever fails
 * or is killed, the old one never has a name that is swept. */
static int
replace_release(struct work *work, const char *what, struct err *err)
{
	const char *name = work->place->name;
	_cleanup_free_ char *aside = aside_name(work);
	int fd = work->releases, r = 0;

	if (aside == NULL)
		return err_set(err, ERR_FAILED,
			       "%s/releases: too many folders %s.changed-%" PRId64 "; remove some",
			       work->place->to, name, work->place->job);
	if (renameat(fd, work->temporary, fd, aside) < 0)
		r = -errno;
	else if (renameat2(fd, aside, fd, name, RENAME_EXCHANGE) < 0) {
		r = -errno;
		if (r == -EINVAL || r == -ENOSYS)
			r = replace_slowly(work, aside);
		else
			renameat(fd, aside, fd, work->temporary);
	}
	if (r < 0)
		return err_errno(err, -r, "%s/releases/%s: cannot be set aside", work->place->to,
				 name);
	say(work, "releases/%s differed from the build: %s; set aside as releases/%s, placed anew",
	    name, what, aside);
	return 0;
}

static int
name_release(struct work *work, const char *what, struct err *err)
{
	int fd = work->releases, r = 0;

	failpoint("place-made");
	if (what != NULL)
		r = replace_release(work, what, err);
	else if (renameat2(fd, work->temporary, fd, work->place->name, RENAME_NOREPLACE) < 0 &&
		 (errno != EINVAL || renameat(fd, work->temporary, fd, work->place->name) < 0))
		r = err_errno(err, errno, "%s/releases/%s: cannot be made", work->place->to,
			      work->place->name);
	if (r < 0)
		return r;
	free(TAKE(work->temporary));
	if (fsync(fd) < 0)
		return err_errno(err, errno, "%s/releases", work->place->to);
	failpoint("place-named");
	work->outcome.made = true;
	return 0;
}

static int
have_release(struct work *work, struct err *err)
{
	const struct place *place = work->place;
	_cleanup_free_ char *what = NULL;
	struct stat st;
	int r = 0;

	if (fstatat(work->releases, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = examine(work, &what, err);
	else if (errno != ENOENT)
		r = err_errno(err, errno, "%s/releases/%s", place->to, place->name);
	if (r < 0)
		return r;
	if (r > 0) {
		/* Whoever was cut short may have named it and not come to this. */
		if (fsync(work->releases) < 0)
			return err_errno(err, errno, "%s/releases", place->to);
		say(work,
		    "releases/%s is there and has exactly the files of the build (%zu of %zu "
		    "hashed, the others unchanged since they were)",
		    place->name, work->hashed, place->manifest->files);
		return 0;
	}
	r = make_release(work, err);
	if (r < 0)
		return r;
	r = name_release(work, what, err);
	if (r >= 0)
		say(work, "placed %zu file%s, %" PRId64 " bytes, in releases/%s",
		    place->manifest->files, place->manifest->files == 1 ? "" : "s",
		    place->manifest->bytes, place->name);
	return r;
}

static int
switch_current(const struct work *work, struct err *err)
{
	const struct place *place = work->place;
	_cleanup_free_ char *target = xasprintf("releases/%s", place->name);
	_cleanup_free_ char *temporary = xasprintf(PREFIX "current.%" PRId64, place->job);
	char found[PATH_MAX];
	ssize_t n = readlinkat(work->directory, "current", found, sizeof(found));
	int r, number;

	if (n >= 0 && (size_t)n == strlen(target) && memcmp(found, target, (size_t)n) == 0) {
		say(work, "current is %s already", target);
		return 0;
	}
	r = symlinkat(target, work->directory, temporary);
	failpoint("switch-before");
	if (r == 0 && renameat(work->directory, temporary, work->directory, "current") == 0 &&
	    fsync(work->directory) == 0) {
		failpoint("switch-after");
		say(work, "current -> %s", target);
		return 0;
	}
	number = errno;
	unlinkat(work->directory, temporary, 0);
	return err_errno(err, number, "%s/current: cannot be switched to %s", place->to, target);
}

/* ---- pruning */

static void
prune_one(struct work *work, const char *name)
{
	_cleanup_free_ char *temporary =
	    xasprintf(PREFIX "old-%s.%" PRId64, name, work->place->job);
	size_t room = work->outcome.npruned;
	int r;

	/* Renamed first: a folder that is half gone must not look like a release. */
	if (renameat(work->releases, name, work->releases, temporary) < 0) {
		say(work, "releases/%s: cannot be pruned: %s", name, strerror(errno));
		return;
	}
	work->outcome.pruned = xrealloc(work->outcome.pruned, room + 1, sizeof(char *));
	work->outcome.pruned[work->outcome.npruned++] = xstrdup(name);
	r = files_remove(work->releases, temporary);
	if (r < 0)
		say(work, "releases/%s: cannot be removed: %s", temporary, strerror(-r));
	else
		say(work, "releases/%s: pruned", name);
}

/* Of the folders that bmd made here, the oldest go until `keep` stay. */
static void
prune(struct work *work)
{
	const struct place *place = work->place;
	_cleanup_free_ bool *there = xcalloc(place->nmade + 1, sizeof(*there));
	int left = contains(place->made, place->nmade, place->name) ? 0 : 1;
	struct stat st;

	for (size_t i = 0; i < place->nmade; i++) {
		there[i] = !contains(place->made, i, place->made[i]) && place->made[i][0] != '.' &&
			   strchr(place->made[i], '/') == NULL &&
			   fstatat(work->releases, place->made[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   S_ISDIR(st.st_mode);
		left += there[i];
	}
	for (size_t i = 0; i < place->nmade && left > place->keep; i++) {
		const char *name = place->made[i];

		if (!there[i] || strcmp(name, place->name) == 0 ||
		    contains(place->needed, place->nneeded, name))
			continue;
		prune_one(work, name);
		left--;
	}
}

static int
deploy_release(struct work *work, struct err *err)
{
	int r = check_current(work, err);

	if (r >= 0)
		r = open_releases(work, err);
	if (r >= 0)
		r = sweep(work, work->directory, work->place->to, err);
	if (r >= 0)
		r = sweep(work, work->releases, "releases", err);
	if (r >= 0)
		r = have_release(work, err);
	if (r >= 0)
		r = switch_current(work, err);
	if (r >= 0 && work->place->keep > 0)
		prune(work);
	return r;
}

/* ---- in place */

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

/* Makes, in the folder STAGE, every file and link that is not yet as it should be. */
static int
stage_changes(const struct work *work, int stage, const unsigned char *state, struct err *err)
{
	const struct manifest *manifest = work->place->manifest;

	for (size_t i = 0; i < manifest->n; i++) {
		const struct manifest_entry *entry = &manifest->v[i];
		char name[24];
		int r = 0;

		if (state[i] == FILES_SAME || entry->kind == MANIFEST_DIRECTORY ||
		    files_is_shared(&work->shared, entry->path))
			continue;
		stage_name(i, name);
		if (entry->kind == MANIFEST_FILE)
			r = files_copy(work->place->objects, entry, stage, name, false, NULL, err);
		else if (symlinkat(entry->target, stage, name) < 0)
			r = err_errno(err, errno, "%s: cannot be placed", entry->path);
		if (r < 0) {
			err_prefix(err, "%s", work->place->to);
			return r;
		}
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
move_changes(const struct work *work, int stage, const unsigned char *state, size_t *ret_moved,
	     struct err *err)
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
remove_extras(const struct work *work, const struct extras *extras, struct err *err)
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
change_in_place(struct work *work, const struct files_report *report, const struct extras *extras,
		struct err *err)
{
	const char *to = work->place->to;
	_cleanup_close_ int stage = -1;
	size_t moved = 0;
	int r;

	work->temporary = xasprintf(PREFIX "%" PRId64, work->place->job);
	if (mkdirat(work->directory, work->temporary, 0700) < 0)
		return err_errno(err, errno, "%s: cannot be written to", to);
	stage = openat(work->directory, work->temporary, FOLDER_FLAGS);
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
	say(work, "%s differed from the build: %s; placed %zu, removed %zu", to, report->text,
	    moved, extras->n);
	work->outcome.made = true;
	return 0;
}

static int
deploy_in_place(struct work *work, struct err *err)
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
	r = sweep(work, work->directory, place->to, err);
	if (r < 0)
		return r;
	r = files_compare(work->directory, place->manifest, &work->shared, &report);
	if (r < 0)
		err_errno(err, -r, "%s: cannot be compared", place->to);
	else if (report.differences > 0)
		r = change_in_place(work, &report, &extras, err);
	else
		say(work,
		    "%s has exactly the files of the build (%zu of %zu hashed, the others "
		    "unchanged since they were)",
		    place->to, report.hashed, place->manifest->files);
	files_report_clear(&report);
	clear_extras(&extras);
	return r;
}

/* ---- the step */

static int
deploy(struct work *work, struct err *err)
{
	int r = check_shared(work, err);

	if (r >= 0)
		r = open_directory(work, err);
	if (r >= 0)
		r = lock_directory(work, err);
	if (r < 0)
		return r;
	r = work->place->in_place ? deploy_in_place(work, err) : deploy_release(work, err);
	if (r < 0 && work->temporary != NULL)
		files_remove(work->releases >= 0 ? work->releases : work->directory,
			     work->temporary);
	return r;
}

int
place_deploy(const struct place *place, struct place_outcome *ret_outcome, struct err *err)
{
	struct work work = {.place = place,
			    .shared = {place->shared, place->nshared},
			    .directory = -1,
			    .releases = -1};
	mode_t mask = umask(022);
	int r = deploy(&work, err);

	umask(mask);
	cleanup_close(&work.releases);
	cleanup_close(&work.directory); /* and with it the lock */
	free(work.temporary);
	if (r < 0 || ret_outcome == NULL)
		place_outcome_clear(&work.outcome);
	else
		*ret_outcome = work.outcome;
	return r < 0 ? r : 0;
}

int
place_tree(const struct objects *objects, const struct manifest *manifest, const char *path,
	   struct err *err)
{
	const struct files_shared none = {0};
	_cleanup_close_ int fd = -1;
	int r;

	if (mkdir(path, 0755) < 0)
		return err_errno(err, errno, "%s: cannot make the folder", path);
	fd = open(path, FOLDER_FLAGS);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return err_errno(err, errno, "%s: cannot open the folder", path);
	r = files_fill(fd, path, objects, manifest, &none, false, NULL, err);
	if (r < 0)
		files_remove(AT_FDCWD, path);
	return r;
}

int
place_compare(const struct manifest *manifest, const char *path, const char *const *shared,
	      size_t nshared, char **ret_what, struct err *err)
{
	const struct files_shared ours = {shared, nshared};
	_cleanup_close_ int fd = open(path, FOLDER_FLAGS);
	struct files_report report = {0};
	int r;

	if (fd < 0)
		return err_errno(err, errno, "%s: cannot open the folder", path);
	r = files_compare(fd, manifest, &ours, &report);
	if (r < 0)
		err_errno(err, -r, "%s: cannot be compared", path);
	else if (report.differences > 0) {
		if (ret_what != NULL)
			*ret_what = TAKE(report.text);
		r = 1;
	}
	files_report_clear(&report);
	return r;
}
