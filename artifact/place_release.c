/* SPDX-License-Identifier: ISC */
/*
 * A release folder and `current`. It is made as releases/.bmd-NAME.JOB, complete and on disk before
 * it gets its name; a folder that was there and differs is exchanged with it in one step, so that a
 * live release is never absent; `current` moves last. Only what bmd made is ever pruned.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/place_private.h"
#include "common/failpoint.h"
#include "common/xalloc.h"

#define ASIDE_TRIES 100

/* ---- current, and the folder of releases */

static int
check_current(const struct place_work *work, struct err *err)
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
open_releases(struct place_work *work, struct err *err)
{
	if (mkdirat(work->directory, "releases", 0755) < 0 && errno != EEXIST)
		return err_errno(err, errno, "%s/releases: cannot make the folder",
				 work->place->to);
	work->releases = openat(work->directory, "releases", PLACE_FOLDER);
	if (work->releases < 0)
		return err_errno(err, errno, "%s/releases: cannot open the folder",
				 work->place->to);
	return 0;
}

/* ---- the release folder */

/* Looks at the folder that has the name already: 1 it can be used, 0 not (RET_WHAT says why),
 * -errno. */
static int
examine(struct place_work *work, char **ret_what, struct err *err)
{
	_cleanup_close_ int fd = openat(work->releases, work->place->name, PLACE_FOLDER);
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
	if (report.differences == 0 && place_shared_in_order(work, fd)) {
		work->hashed = report.hashed;
		files_report_clear(&report);
		r = place_shared_put(work, fd, err);
		return r < 0 ? r : 1;
	}
	*ret_what = report.text != NULL ? TAKE(report.text)
					: xstrdup("something else lies at a shared path");
	files_report_clear(&report);
	return 0;
}

static int
make_release(struct place_work *work, struct err *err)
{
	const struct place *place = work->place;
	_cleanup_free_ char *where = xasprintf("%s/releases/%s", place->to, place->name);
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	work->temporary = xasprintf(PLACE_PREFIX "%s.%" PRId64, place->name, place->job);
	if (mkdirat(work->releases, work->temporary, 0755) < 0)
		return err_errno(err, errno, "%s: cannot be made", where);
	fd = openat(work->releases, work->temporary, PLACE_FOLDER);
	if (fd < 0 || fstat(fd, &st) < 0 || fchmod(fd, 0755 | (st.st_mode & S_ISGID)) < 0)
		return err_errno(err, errno, "%s: cannot be made", where);
	r = place_shared_put(work, fd, err);
	if (r < 0)
		return r;
	return files_fill(fd, where, place->objects, place->manifest, &work->shared, true,
			  place->stamps, err);
}

/* A name for what is set aside that nothing has yet. */
static char *
aside_name(const struct place_work *work)
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
replace_slowly(const struct place_work *work, const char *aside)
{
	const char *name = work->place->name;
	int fd = work->releases, number;

	place_say(work, "this file system cannot exchange two folders: %s is absent for a moment",
		  name);
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
replace_release(struct place_work *work, const char *what, struct err *err)
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
	place_say(work,
		  "releases/%s differed from the build: %s; set aside as releases/%s, placed anew",
		  name, what, aside);
	return 0;
}

static int
name_release(struct place_work *work, const char *what, struct err *err)
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
have_release(struct place_work *work, struct err *err)
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
		place_say(work,
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
		place_say(work, "placed %zu file%s, %" PRId64 " bytes, in releases/%s",
			  place->manifest->files, place->manifest->files == 1 ? "" : "s",
			  place->manifest->bytes, place->name);
	return r;
}

static int
switch_current(const struct place_work *work, struct err *err)
{
	const struct place *place = work->place;
	_cleanup_free_ char *target = xasprintf("releases/%s", place->name);
	_cleanup_free_ char *temporary = xasprintf(PLACE_PREFIX "current.%" PRId64, place->job);
	char found[PATH_MAX];
	ssize_t n = readlinkat(work->directory, "current", found, sizeof(found));
	int r, number;

	if (n >= 0 && (size_t)n == strlen(target) && memcmp(found, target, (size_t)n) == 0) {
		place_say(work, "current is %s already", target);
		return 0;
	}
	r = symlinkat(target, work->directory, temporary);
	failpoint("switch-before");
	if (r == 0 && renameat(work->directory, temporary, work->directory, "current") == 0 &&
	    fsync(work->directory) == 0) {
		failpoint("switch-after");
		place_say(work, "current -> %s", target);
		return 0;
	}
	number = errno;
	unlinkat(work->directory, temporary, 0);
	return err_errno(err, number, "%s/current: cannot be switched to %s", place->to, target);
}

/* ---- pruning */

static void
prune_one(struct place_work *work, const char *name)
{
	_cleanup_free_ char *temporary =
	    xasprintf(PLACE_PREFIX "old-%s.%" PRId64, name, work->place->job);
	size_t room = work->outcome.npruned;
	int r;

	/* Renamed first: a folder that is half gone must not look like a release. */
	if (renameat(work->releases, name, work->releases, temporary) < 0) {
		place_say(work, "releases/%s: cannot be pruned: %s", name, strerror(errno));
		return;
	}
	work->outcome.pruned = xrealloc(work->outcome.pruned, room + 1, sizeof(char *));
	work->outcome.pruned[work->outcome.npruned++] = xstrdup(name);
	r = files_remove(work->releases, temporary);
	if (r < 0)
		place_say(work, "releases/%s: cannot be removed: %s", temporary, strerror(-r));
	else
		place_say(work, "releases/%s: pruned", name);
}

/* Of the folders that bmd made here, the oldest go until `keep` stay. */
static void
prune(struct place_work *work)
{
	const struct place *place = work->place;
	_cleanup_free_ bool *there = xcalloc(place->nmade + 1, sizeof(*there));
	int left = place_contains(place->made, place->nmade, place->name) ? 0 : 1;
	struct stat st;

	for (size_t i = 0; i < place->nmade; i++) {
		there[i] = !place_contains(place->made, i, place->made[i]) &&
			   place->made[i][0] != '.' && strchr(place->made[i], '/') == NULL &&
			   fstatat(work->releases, place->made[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   S_ISDIR(st.st_mode);
		left += there[i];
	}
	for (size_t i = 0; i < place->nmade && left > place->keep; i++) {
		const char *name = place->made[i];

		if (!there[i] || strcmp(name, place->name) == 0 ||
		    place_contains(place->needed, place->nneeded, name))
			continue;
		prune_one(work, name);
		left--;
	}
}

int
place_release(struct place_work *work, struct err *err)
{
	int r = check_current(work, err);

	if (r >= 0)
		r = open_releases(work, err);
	if (r >= 0)
		r = place_sweep(work, work->directory, work->place->to, err);
	if (r >= 0)
		r = place_sweep(work, work->releases, "releases", err);
	if (r >= 0)
		r = have_release(work, err);
	if (r >= 0)
		r = switch_current(work, err);
	if (r >= 0 && work->place->keep > 0)
		prune(work);
	return r;
}
