/* SPDX-License-Identifier: ISC */
/*
 * Trees of files below a descriptor: the way down, with a stack of open folders, so that each
 * folder of a sorted list is made and opened once; and the way of all files, out. Filling a tree is
 * files_copy.c, comparing it files_compare.c.
 */
#include "artifact/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files_private.h"
#include "common/folder.h"
#include "common/xalloc.h"

#define REMOVE_DEPTH 500 /* folders in folders that are removed; each takes a descriptor */

/* Is PATH the folder FOLDER or below it? */
static bool
within(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool
files_is_shared(const struct files_shared *shared, const char *path)
{
	for (size_t i = 0; i < shared->n; i++)
		if (within(path, shared->v[i]))
			return true;
	return false;
}

bool
files_holds_shared(const struct files_shared *shared, const char *path)
{
	for (size_t i = 0; i < shared->n; i++)
		if (within(shared->v[i], path))
			return true;
	return false;
}

/* ---- the way down */

struct files_cursor {
	int root;
	bool fsync, replace;
	int error; /* of an fsync */
	size_t depth;
	int fd[MANIFEST_DEPTH_MAX];
	size_t end[MANIFEST_DEPTH_MAX]; /* of each folder's path in PATH */
	char path[MANIFEST_PATH_MAX + 1];
};

struct files_cursor *
files_cursor_new(int root, bool fsync_, bool replace)
{
	struct files_cursor *cursor = xcalloc(1, sizeof(*cursor));

	cursor->root = root;
	cursor->fsync = fsync_;
	cursor->replace = replace;
	return cursor;
}

static void
leave(struct files_cursor *cursor)
{
	int fd = cursor->fd[--cursor->depth];

	if (cursor->fsync && fsync(fd) < 0 && cursor->error == 0)
		cursor->error = -errno;
	close(fd);
}

/* Folders get 0755 whatever the umask is; a setgid bit, which they inherit, stays. */
static int
open_made(int at, const char *name)
{
	_cleanup_close_ int fd = openat(at, name, FILES_FOLDER_FLAGS);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 0777) != 0755 && fchmod(fd, 0755 | (st.st_mode & S_ISGID)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int
enter(struct files_cursor *cursor, const char *name, size_t end)
{
	int at = cursor->depth > 0 ? cursor->fd[cursor->depth - 1] : cursor->root;
	int fd = -1, r;

	if (cursor->depth == MANIFEST_DEPTH_MAX)
		return -ENAMETOOLONG;
	for (int i = 0; i < 2 && fd < 0; i++) {
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		fd = open_made(at, name);
		if (fd >= 0)
			break;
		if (!cursor->replace || (fd != -ENOTDIR && fd != -ELOOP))
			return fd;
		r = files_remove(at, name);
		if (r < 0)
			return r;
	}
	if (fd < 0)
		return fd;
	cursor->fd[cursor->depth] = fd;
	cursor->end[cursor->depth++] = end;
	return 0;
}

/* Opens the folder that the first N bytes of PATH name; 0 is the root. */
static int
go(struct files_cursor *cursor, const char *path, size_t n)
{
	size_t at;

	while (cursor->depth > 0) {
		size_t end = cursor->end[cursor->depth - 1];

		if (end == n || (end < n && path[end] == '/'))
			if (memcmp(cursor->path, path, end) == 0)
				break;
		leave(cursor);
	}
	at = cursor->depth > 0 ? cursor->end[cursor->depth - 1] + 1 : 0;
	memcpy(cursor->path, path, n);
	cursor->path[n] = '\0';
	while (at < n) {
		size_t end = at + strcspn(cursor->path + at, "/");
		int r;

		cursor->path[end] = '\0';
		r = enter(cursor, cursor->path + at, end);
		if (r < 0)
			return r;
		if (end < n)
			cursor->path[end] = '/';
		at = end + 1;
	}
	return cursor->depth > 0 ? cursor->fd[cursor->depth - 1] : cursor->root;
}

int
files_cursor_parent(struct files_cursor *cursor, const char *path, int *ret_fd,
		    const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	int fd = go(cursor, path, slash != NULL ? (size_t)(slash - path) : 0);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	*ret_name = slash != NULL ? slash + 1 : path;
	return 0;
}

int
files_cursor_folder(struct files_cursor *cursor, const char *path, int *ret_fd)
{
	int fd = go(cursor, path, strlen(path));

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int
files_cursor_close(struct files_cursor *cursor)
{
	int r;

	while (cursor->depth > 0)
		leave(cursor);
	r = cursor->error;
	free(cursor);
	return r;
}

/* ---- removing */

static int remove_below(int folder, const char *name, int depth);

static int
remove_content(int fd, int depth)
{
	_cleanup_dir_ DIR *dir = folder_list(fd);
	const struct dirent *entry;
	int r = 0;

	if (dir == NULL)
		return -errno;
	while (r >= 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (!folder_is_dot(entry->d_name))
			r = remove_below(fd, entry->d_name, depth + 1);
	return r < 0 ? r : -errno;
}

static int
remove_below(int folder, const char *name, int depth)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth > REMOVE_DEPTH)
		return -ELOOP;
	fd = openat(folder, name, FILES_FOLDER_FLAGS);
	if (fd < 0 && errno == EACCES && fchmodat(folder, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(folder, name, FILES_FOLDER_FLAGS);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EPERM : -errno;
	fchmod(fd, 0700);
	r = remove_content(fd, depth);
	if (r < 0)
		return r;
	return unlinkat(folder, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int
files_remove(int folder, const char *name)
{
	return remove_below(folder, name, 0);
}
