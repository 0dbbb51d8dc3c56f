/* SPDX-License-Identifier: ISC */
/*
 * That a job was begun is noted before its folder, which says so, goes (runner/begun.h). A folder
 * is renamed first: from then on it is no run's, at once and whole. What is in it goes then, now
 * or, after a crash, with the next removal.
 */
#include "runner/prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/run.h"
#include "common/runfolder.h"
#include "common/xalloc.h"
#include "runner/begun.h"

#define PREFIX "pruned."

static void
close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int
open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Its lock is free, and ours now: no bmd-run has it in its hands. FD is -1 where there never was a
 * lock. */
static bool
take_lock(int folder, int *ret_fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	*ret_fd = openat(folder, "lock", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*ret_fd < 0)
		return errno == ENOENT;
	return fcntl(*ret_fd, F_OFD_SETLK, &lock) == 0;
}

/* What lies in FOLDER, from its beginning; FOLDER itself stays the caller's. NULL with errno. */
static DIR *
list(int folder)
{
	int fd = fcntl(folder, F_DUPFD_CLOEXEC, 3), why;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir) {
		rewinddir(dir);
		return dir;
	}
	why = errno;
	if (fd >= 0)
		close(fd);
	errno = why;
	return NULL;
}

static int
empty(int folder)
{
	_cleanup_(close_dir) DIR *dir = list(folder);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(folder, entry->d_name, 0) < 0 && r == 0)
			r = -errno;
	return r;
}

static int
remove_renamed(int at, const char *name)
{
	_cleanup_close_ int folder = open_folder(at, name);
	int r = folder < 0 ? folder : empty(folder);

	if (r >= 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r == -ENOENT ? 0 : r;
}

static int
remove_one(int at, int64_t job)
{
	_cleanup_close_ int folder = -1, lock = -1;
	char name[24], renamed[32];

	(void)snprintf(name, sizeof(name), "%" PRId64, job);
	(void)snprintf(renamed, sizeof(renamed), PREFIX "%" PRId64, job);
	folder = open_folder(at, name);
	if (folder < 0)
		return folder == -ENOENT ? 0 : folder;
	if (!take_lock(folder, &lock))
		return 0;
	if (renameat(at, name, at, renamed) < 0)
		return -errno;
	failpoint("prune-renamed");
	return remove_renamed(at, renamed);
}

/* Does the folder of JOB say that it was begun? 1, 0, or an error. */
static int
says_begun(int at, int64_t job)
{
	static const char *const names[] = {"started", "result"};
	char path[40];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%" PRId64 "/%s", job, names[i]);
		if (faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
		if (errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int
note_begun(int at, const int64_t *jobs, size_t n)
{
	_cleanup_free_ int64_t *begun = xcalloc(n + 1, sizeof(*begun));
	size_t found = 0;
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = says_begun(at, jobs[i]);
		if (r > 0)
			begun[found++] = jobs[i];
	}
	if (r >= 0 && found > 0)
		r = begun_note(at, begun, found);
	return r;
}

/* What a removal left that was broken off. */
static int
sweep(int at)
{
	_cleanup_(close_dir) DIR *dir = list(at);
	const struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0) {
			int one = remove_renamed(at, entry->d_name);

			r = r < 0 ? r : one;
		}
	return r;
}

int
prune_folders(const char *directory, const int64_t *jobs, size_t n, struct err *err)
{
	_cleanup_close_ int at = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int64_t highest = 0;
	int r;

	if (at < 0 || fstat(at, &st) < 0)
		return err_errno(err, errno, "cannot open the run directory %s", directory);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(err, ERR_FAILED,
			       "the run directory %s belongs to another user or can be written by "
			       "others",
			       directory);
	r = run_folder_highest(directory, &highest, err);
	if (r < 0)
		return r;
	r = note_begun(at, jobs, n);
	if (r < 0)
		return err_errno(err, -r,
				 "cannot note in the run directory %s which jobs were begun",
				 directory);
	failpoint("prune-noted");
	r = sweep(at);
	for (size_t i = 0; i < n; i++) {
		int one = jobs[i] < highest ? remove_one(at, jobs[i]) : 0;

		if (one < 0 && r >= 0)
			(void)err_errno(err, -one, "cannot remove the run folder of job %" PRId64,
					jobs[i]);
		r = r < 0 ? r : one;
	}
	if (r < 0 && err && err->code == ERR_NONE)
		(void)err_errno(err, -r, "cannot clear up in the run directory %s", directory);
	return r;
}
