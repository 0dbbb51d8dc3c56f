/* SPDX-License-Identifier: ISC */
/*
 * A `deploy` step. DIRECTORY is resolved once and locked; from then on everything is reached from
 * its descriptor. Whatever begins with ".bmd-" is a temporary of ours: under the lock it can only
 * be left over, and goes.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "artifact/place_private.h"
#include "common/folder.h"
#include "common/xalloc.h"

#define LOCK_WAIT_S 60
#define LOCK_TRY_MS 50

void
place_say(const struct place_work *work, const char *format, ...)
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

bool
place_contains(const char *const *v, size_t n, const char *name)
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
open_directory(struct place_work *work, struct err *err)
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
lock_directory(struct place_work *work, struct err *err)
{
	const struct timespec pause = {.tv_nsec = LOCK_TRY_MS * 1000000L};

	for (int i = 0; i < LOCK_WAIT_S * 1000 / LOCK_TRY_MS; i++) {
		if (flock(work->directory, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, errno, "%s: cannot lock the folder", work->place->to);
		if (i == 0)
			place_say(work, "%s: waiting, another step is placing files there",
				  work->place->to);
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_FAILED,
		       "%s: another step has been placing files there for 60 s; look which stages "
		       "have the same folder",
		       work->place->to);
}

/* Removes our own temporaries of steps that were killed. */
int
place_sweep(const struct place_work *work, int folder, const char *where, struct err *err)
{
	_cleanup_dir_ DIR *dir = folder_list(folder);
	const struct dirent *entry;

	if (dir == NULL)
		return err_errno(err, errno, "%s: cannot be read", where);
	while ((entry = readdir(dir)) != NULL) {
		int r;

		if (strncmp(entry->d_name, PLACE_PREFIX, strlen(PLACE_PREFIX)) != 0)
			continue;
		r = files_remove(folder, entry->d_name);
		if (r < 0)
			return err_errno(err, -r, "%s/%s: a leftover that cannot be removed", where,
					 entry->d_name);
		place_say(work, "%s/%s: removed, left by a step that was cut short", where,
			  entry->d_name);
	}
	return 0;
}

/* ---- the step */

static int
deploy(struct place_work *work, struct err *err)
{
	int r = place_shared_check(work, err);

	if (r >= 0)
		r = open_directory(work, err);
	if (r >= 0)
		r = lock_directory(work, err);
	if (r < 0)
		return r;
	r = work->place->in_place ? place_in_place(work, err) : place_release(work, err);
	if (r < 0 && work->temporary != NULL)
		files_remove(work->releases >= 0 ? work->releases : work->directory,
			     work->temporary);
	return r;
}

int
place_deploy(const struct place *place, struct place_outcome *ret_outcome, struct err *err)
{
	struct place_work work = {.place = place,
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
	fd = open(path, PLACE_FOLDER);
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
	_cleanup_close_ int fd = open(path, PLACE_FOLDER);
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
