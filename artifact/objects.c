/* SPDX-License-Identifier: ISC */
/*
 * The store of files as it lies on disk: opened, read, hashed again, listed, locked against one
 * another. How it comes to be there: objects_import.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "artifact/manifest.h"
#include "artifact/objects_private.h"
#include "common/folder.h"
#include "common/xalloc.h"

#define READ_SIZE   (256 * 1024)
#define LOCK_TRY_MS 20

static void
drop_objects(struct objects *objects)
{
	objects_close(objects);
}
DEFINE_CLEANUP(struct objects *, cleanup_objects, drop_objects)

void
objects_path(const char *digest, char ret_path[OBJECTS_PATH_SIZE])
{
	memcpy(ret_path, digest, 2);
	ret_path[2] = '/';
	memcpy(ret_path + 3, digest + 2, DIGEST_SIZE - 2);
}

int
objects_folder(int at, const char *name, mode_t mode)
{
	_cleanup_close_ int fd = -1;

	if (mode != 0 && mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (mode != 0 && fchmod(fd, mode) < 0))
		return -1;
	return TAKE_FD(fd);
}

int
objects_open(const char *state_directory, bool create, struct objects **ret_objects,
	     struct err *err)
{
	_cleanup_(cleanup_objects) struct objects *objects = xcalloc(1, sizeof(*objects));
	_cleanup_close_ int state = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*objects = (struct objects){-1, -1, -1, -1};
	if (state < 0)
		return err_errno(err, errno, "%s: cannot open the state folder", state_directory);
	objects->store = objects_folder(state, "store", create ? 0700 : 0);
	if (objects->store >= 0)
		objects->objects = objects_folder(objects->store, "objects", create ? 0755 : 0);
	if (objects->objects >= 0)
		objects->manifests = objects_folder(objects->store, "manifests", create ? 0755 : 0);
	if (objects->manifests >= 0)
		objects->incoming = objects_folder(objects->store, "incoming", create ? 0700 : 0);
	if (objects->incoming < 0)
		return err_errno(err, errno, "%s/store: cannot open the store of files",
				 state_directory);
	if (create && (fsync(objects->store) < 0 || fsync(state) < 0))
		return err_errno(err, errno, "%s/store: cannot make the store of files",
				 state_directory);
	*ret_objects = TAKE(objects);
	return 0;
}

struct objects *
objects_from_fd(int objects_fd_)
{
	struct objects *objects = xcalloc(1, sizeof(*objects));

	*objects = (struct objects){-1, objects_fd_, -1, -1};
	return objects;
}

void
objects_close(struct objects *objects)
{
	if (objects == NULL)
		return;
	cleanup_close(&objects->store);
	cleanup_close(&objects->objects);
	cleanup_close(&objects->manifests);
	cleanup_close(&objects->incoming);
	free(objects);
}

int
objects_fd(const struct objects *objects)
{
	return objects->objects;
}

int
objects_store_fd(const struct objects *objects)
{
	return objects->store;
}
/* ---- reading */

static int
open_file(int at, const char *path, struct stat *ret_st)
{
	_cleanup_close_ int fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -EBADMSG;
	return TAKE_FD(fd);
}

int
objects_open_object(const struct objects *objects, const char *digest, struct stat *ret_st)
{
	char path[OBJECTS_PATH_SIZE];

	if (!digest_valid(digest))
		return -EINVAL;
	objects_path(digest, path);
	return open_file(objects->objects, path, ret_st);
}

int
objects_present(const struct objects *objects, const char *digest, int64_t size)
{
	char path[OBJECTS_PATH_SIZE];
	struct stat st;

	if (!digest_valid(digest))
		return -EINVAL;
	objects_path(digest, path);
	if (fstatat(objects->objects, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_size == size ? 0 : -EBADMSG;
}

/* Hashes what FD has from where it stands. */
static int
hash_file(int fd, char ret_digest[DIGEST_SIZE], int64_t *ret_size)
{
	_cleanup_free_ char *buffer = xrealloc(NULL, READ_SIZE, 1);
	struct digest *digest = digest_new();
	int64_t size = 0;

	for (;;) {
		ssize_t n = read(fd, buffer, READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int number = errno;

			digest_free(digest);
			return -number;
		}
		if (n == 0)
			break;
		digest_add(digest, buffer, (size_t)n);
		size += n;
	}
	digest_end(digest, ret_digest);
	*ret_size = size;
	return 0;
}

int
objects_verify(const struct objects *objects, const char *digest, int64_t size)
{
	struct stat st;
	_cleanup_close_ int fd = objects_open_object(objects, digest, &st);
	char found[DIGEST_SIZE];
	int64_t found_size;
	int r;

	if (fd < 0)
		return fd;
	if (st.st_size != size)
		return -EBADMSG;
	r = hash_file(fd, found, &found_size);
	if (r < 0)
		return r == -EIO ? -EBADMSG : r; /* a sector that cannot be read is damage, too */
	return found_size == size && strcmp(found, digest) == 0 ? 0 : -EBADMSG;
}

/* The whole of a file of at most LIMIT bytes, with a NUL behind. */
static int
read_file(int fd, size_t limit, char **ret_text, size_t *ret_n)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0, room;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (size_t)st.st_size > limit)
		return -EBADMSG;
	room = (size_t)st.st_size;
	text = xrealloc(NULL, room + 1, 1);
	while (n < room) {
		ssize_t got = read(fd, text + n, room - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	*ret_n = n;
	*ret_text = TAKE(text);
	return 0;
}

int
objects_get_manifest(const struct objects *objects, const char *digest, char **ret_text,
		     size_t *ret_n, struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	char found[DIGEST_SIZE];
	struct stat st;
	size_t n;
	int r;

	if (!digest_valid(digest)) {
		err_set(err, ERR_FAILED, "\"%.80s\" is not the digest of a manifest", digest);
		return -EINVAL;
	}
	fd = open_file(objects->manifests, digest, &st);
	r = fd < 0 ? fd : read_file(fd, MANIFEST_TEXT_MAX, &text, &n);
	if (r == -ENOENT) {
		err_set(err, ERR_FAILED,
			"the manifest %s is missing from the store; add the build again", digest);
		return r;
	}
	if (r < 0 && r != -EBADMSG && r != -EIO)
		return err_errno(err, -r, "the manifest %s cannot be read", digest);
	if (r == 0)
		digest_of(text, n, found);
	if (r < 0 || strcmp(found, digest) != 0) {
		err_set(err, ERR_FAILED,
			"the manifest %s is damaged in the store; add the build again", digest);
		return -EBADMSG;
	}
	*ret_text = TAKE(text);
	*ret_n = n;
	return 0;
}

/* ---- collecting */

int
objects_lock(const struct objects *objects, bool alone, int64_t wait_ms)
{
	_cleanup_close_ int fd = openat(objects->store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (wait_ms <= 0)
			return -EAGAIN;
		poll(NULL, 0, LOCK_TRY_MS);
		wait_ms -= LOCK_TRY_MS;
	}
	return TAKE_FD(fd);
}

struct each {
	const struct objects *objects;
	enum objects_kind kind;
	int (*back)(const char *digest, int64_t bytes, int64_t mtime_us, void *arg);
	void *arg;
};

static int64_t
mtime_us(const struct stat *st)
{
	return st->st_mtim.tv_sec * INT64_C(1000000) + st->st_mtim.tv_nsec / 1000;
}

/* Files of the folder FD, whose names begin with what PREFIX says. */
static int
each_in(const struct each *each, int fd, const char *prefix)
{
	_cleanup_dir_ DIR *dir = folder_list(fd);
	const struct dirent *entry;
	int r = 0;

	if (dir == NULL)
		return -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		char digest[DIGEST_SIZE + 2];
		struct stat st;

		if (snprintf(digest, sizeof(digest), "%s%.64s", prefix, entry->d_name) !=
			DIGEST_SIZE - 1 ||
		    !digest_valid(digest))
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		r = each->back(digest, st.st_size, mtime_us(&st), each->arg);
	}
	return r == 0 && entry == NULL && errno != 0 ? -errno : r;
}

static int
each_content(const struct each *each)
{
	int r = 0;

	for (unsigned i = 0; i < 256 && r == 0; i++) {
		_cleanup_close_ int fd = -1;
		char prefix[3];

		snprintf(prefix, sizeof(prefix), "%02x", i & 0xff);
		fd = objects_folder(each->objects->objects, prefix, 0);
		if (fd < 0 && errno != ENOENT)
			return -errno;
		if (fd >= 0)
			r = each_in(each, fd, prefix);
	}
	return r;
}

int
objects_each(const struct objects *objects, enum objects_kind kind,
	     int (*back)(const char *digest, int64_t bytes, int64_t mtime_us, void *arg), void *arg,
	     struct err *err)
{
	const struct each each = {objects, kind, back, arg};
	int r =
	    kind == OBJECTS_CONTENT ? each_content(&each) : each_in(&each, objects->manifests, "");

	if (r < 0)
		return err_errno(err, -r, "the store of files cannot be read");
	return 0;
}

int
objects_link(const struct objects *objects, enum objects_kind kind, const char *digest,
	     const struct objects *to)
{
	char path[OBJECTS_PATH_SIZE], folder[3];
	int r;

	if (!digest_valid(digest))
		return -EINVAL;
	objects_path(digest, path);
	memcpy(folder, digest, 2);
	folder[2] = '\0';
	if (kind == OBJECTS_MANIFESTS)
		return linkat(objects->manifests, digest, to->manifests, digest, 0) < 0 ? -errno
											: 0;
	r = linkat(objects->objects, path, to->objects, path, 0) < 0 ? -errno : 0;
	/* Missing may be the file, or the folder that it is to go into. */
	if (r != -ENOENT || faccessat(to->objects, folder, F_OK, 0) == 0)
		return r;
	if (mkdirat(to->objects, folder, 0755) < 0)
		return -errno;
	return linkat(objects->objects, path, to->objects, path, 0) < 0 ? -errno : 0;
}

int
objects_remove(const struct objects *objects, enum objects_kind kind, const char *digest)
{
	char path[OBJECTS_PATH_SIZE];
	int r;

	if (!digest_valid(digest))
		return -EINVAL;
	objects_path(digest, path);
	r = kind == OBJECTS_CONTENT ? unlinkat(objects->objects, path, 0)
				    : unlinkat(objects->manifests, digest, 0);
	return r < 0 ? -errno : 0;
}

int
objects_sync_manifests(const struct objects *objects)
{
	return fsync(objects->manifests) < 0 ? -errno : 0;
}

int
objects_manifest_time(const struct objects *objects, const char *digest, int64_t *ret_us)
{
	struct stat st;

	if (!digest_valid(digest))
		return -EINVAL;
	if (fstatat(objects->manifests, digest, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_us = mtime_us(&st);
	return 0;
}
