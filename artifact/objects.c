/* SPDX-License-Identifier: ISC */
/*
 * The store of files on disk. Objects and manifests appear by rename only, whole, durable and named
 * by what they hold; until then they lie in STATE/store/incoming/ID, a folder that its import keeps
 * locked (flock), so that whoever finds one unlocked knows it is abandoned and may remove it.
 *
 * Durability. The order that must hold is: content on disk, its name on disk, then the manifest
 * that counts on both, then (elsewhere) the row that names the manifest. An fsync for each of
 * thousands of small files is a journal commit each; so a large import is flushed by two syncfs(2)
 * of the store's file system instead: one before the renames (content and inodes), one after them
 * (names; also of objects that another import has just put and this one relies on), and only then
 * is the manifest renamed into place, and its folder fsynced. syncfs reports every write-back error
 * since its descriptor was opened (Linux 5.8), which was before the first byte. A small import
 * fsyncs its files and folders one by one, so as not to wait for what others have written to the
 * same disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/failpoint.h"
#include "common/folder.h"
#include "common/xalloc.h"

#define SMALL	     (256 * 1024) /* bytes of an object that are kept in memory before there is a file */
#define READ_SIZE    (256 * 1024)
#define PUSH	     (16 * 1024 * 1024) /* bytes after which write-back is begun */
#define FSYNC_MAX    32			/* files up to which an import fsyncs one by one */
#define STAGE_TRIES  100		/* names of staging folders to try */
#define LOCK_WAIT_MS (10 * 60 * 1000)	/* so long an import waits for who cleans up */
#define LOCK_TRY_MS  20
#define TEMPORARY    "temporary"
#define PATH_SIZE    (DIGEST_SIZE + 1)

struct objects {
	int store, objects, manifests, incoming; /* -1 but objects, when only objects can be read */
};

struct objects_import {
	struct objects *objects;
	int fd;	       /* of the staging folder; locked */
	int lock;      /* of the store, shared */
	char name[24]; /* of it, below incoming/ */
	size_t staged;
	bool used[256]; /* folders of objects/ that this import relies on */
	char *spare;	/* SMALL bytes, of the writer that is open */
};

struct objects_writer {
	struct objects_import *import;
	struct digest *digest;
	int64_t size;
	size_t buffered;
	int fd; /* -1 while all fits in memory */
};

static void
drop_objects(struct objects *objects)
{
	objects_close(objects);
}
DEFINE_CLEANUP(struct objects *, cleanup_objects, drop_objects)

static void
object_path(const char *digest, char ret_path[PATH_SIZE])
{
	memcpy(ret_path, digest, 2);
	ret_path[2] = '/';
	memcpy(ret_path + 3, digest + 2, DIGEST_SIZE - 2);
}

static unsigned
bucket(const char *digest)
{
	const char hex[3] = {digest[0], digest[1], '\0'};

	return (unsigned)strtoul(hex, NULL, 16);
}

static int
write_all(int fd, const void *bytes, size_t n)
{
	for (const char *p = bytes; n > 0;) {
		ssize_t done = write(fd, p, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* Opens the folder NAME below AT; with MODE not 0 makes it, with exactly that mode. -1 with errno.
 */
static int
open_folder(int at, const char *name, mode_t mode)
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
	objects->store = open_folder(state, "store", create ? 0700 : 0);
	if (objects->store >= 0)
		objects->objects = open_folder(objects->store, "objects", create ? 0755 : 0);
	if (objects->objects >= 0)
		objects->manifests = open_folder(objects->store, "manifests", create ? 0755 : 0);
	if (objects->manifests >= 0)
		objects->incoming = open_folder(objects->store, "incoming", create ? 0700 : 0);
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
open_file(int at, const char *path)
{
	_cleanup_close_ int fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	return TAKE_FD(fd);
}

int
objects_open_object(const struct objects *objects, const char *digest)
{
	char path[PATH_SIZE];

	if (!digest_valid(digest))
		return -EINVAL;
	object_path(digest, path);
	return open_file(objects->objects, path);
}

int
objects_present(const struct objects *objects, const char *digest, int64_t size)
{
	char path[PATH_SIZE];
	struct stat st;

	if (!digest_valid(digest))
		return -EINVAL;
	object_path(digest, path);
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
	_cleanup_close_ int fd = objects_open_object(objects, digest);
	char found[DIGEST_SIZE];
	int64_t found_size;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
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
	size_t n;
	int r;

	if (!digest_valid(digest)) {
		err_set(err, ERR_FAILED, "\"%.80s\" is not the digest of a manifest", digest);
		return -EINVAL;
	}
	fd = open_file(objects->manifests, digest);
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

/* ---- staging folders */

/* Removes the staging folder NAME, which FD has open and locked. Staging folders hold plain files
 * only. */
static void
remove_stage(struct objects *objects, const char *name, int fd)
{
	_cleanup_dir_ DIR *dir = folder_list(fd);
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (!folder_is_dot(entry->d_name))
			unlinkat(fd, entry->d_name, 0);
	unlinkat(objects->incoming, name, AT_REMOVEDIR);
}

/* Opens and locks NAME; -EAGAIN when another has it or it is no longer there. */
static int
lock_stage(struct objects *objects, const char *name)
{
	_cleanup_close_ int fd = open_folder(objects->incoming, name, 0);
	struct stat opened, named;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -EAGAIN;
	if (fstat(fd, &opened) < 0 ||
	    fstatat(objects->incoming, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return -EAGAIN;
	if (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)
		return -EAGAIN;
	return TAKE_FD(fd);
}

int
objects_sweep(struct objects *objects, struct err *err)
{
	_cleanup_dir_ DIR *dir = folder_list(objects->incoming);
	const struct dirent *entry;

	if (dir == NULL)
		return err_errno(err, errno, "store/incoming cannot be read");
	while ((entry = readdir(dir)) != NULL) {
		_cleanup_close_ int fd = -1;

		if (folder_is_dot(entry->d_name))
			continue;
		fd = lock_stage(objects, entry->d_name);
		if (fd >= 0)
			remove_stage(objects, entry->d_name, fd);
	}
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
		fd = open_folder(each->objects->objects, prefix, 0);
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
objects_remove(const struct objects *objects, enum objects_kind kind, const char *digest)
{
	char path[PATH_SIZE];
	int r;

	if (!digest_valid(digest))
		return -EINVAL;
	object_path(digest, path);
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

/* ---- imports */

int
objects_import_open(struct objects *objects, struct objects_import **ret_import, struct err *err)
{
	struct objects_import *import = xcalloc(1, sizeof(*import));

	import->objects = objects;
	import->fd = -1;
	import->lock = objects_lock(objects, false, LOCK_WAIT_MS);
	if (import->lock < 0) {
		int number = -import->lock;

		free(import);
		if (number == EAGAIN)
			return err_set(err, ERR_TOO_MANY,
				       "the store of files is being cleaned up (bmctl gc): upload "
				       "again when that has ended");
		return err_errno(err, number, "the store of files cannot be locked");
	}
	for (int i = 0; i < STAGE_TRIES && import->fd < 0; i++) {
		snprintf(import->name, sizeof(import->name), "%d-%d", (int)getpid(), i);
		if (mkdirat(objects->incoming, import->name, 0700) < 0) {
			if (errno == EEXIST)
				continue;
			break;
		}
		/* A sweep that comes between takes the folder away again: then the next name. */
		import->fd = lock_stage(objects, import->name);
	}
	if (import->fd < 0) {
		int number = errno;

		close(import->lock);
		free(import);
		return err_errno(err, number,
				 "store/incoming: cannot make a folder for the upload");
	}
	import->spare = xrealloc(NULL, SMALL, 1);
	*ret_import = import;
	return 0;
}

void
objects_import_close(struct objects_import *import)
{
	if (import == NULL)
		return;
	remove_stage(import->objects, import->name, import->fd);
	close(import->fd);
	close(import->lock);
	free(import->spare);
	free(import);
}

int
objects_import_spool(struct objects_import *import, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd =
	    openat(import->fd, TEMPORARY, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || unlinkat(import->fd, TEMPORARY, 0) < 0)
		return err_errno(err, errno, "store/incoming: cannot make a file for the upload");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- objects that come in */

struct objects_writer *
objects_writer_open(struct objects_import *import)
{
	struct objects_writer *writer = xcalloc(1, sizeof(*writer));

	writer->import = import;
	writer->digest = digest_new();
	writer->fd = -1;
	return writer;
}

void
objects_writer_abort(struct objects_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0)
		unlinkat(writer->import->fd, TEMPORARY, 0);
	cleanup_close(&writer->fd);
	digest_free(writer->digest);
	free(writer);
}

/* Makes NAME in the staging folder with what is buffered. */
static int
spill(struct objects_writer *writer, const char *name)
{
	int r;

	writer->fd = openat(writer->import->fd, name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (writer->fd < 0)
		return -errno;
	if (fchmod(writer->fd, 0444) < 0)
		return -errno;
	r = write_all(writer->fd, writer->import->spare, writer->buffered);
	writer->buffered = 0;
	return r;
}

int
objects_writer_add(struct objects_writer *writer, const void *bytes, size_t n, struct err *err)
{
	int r = 0;

	if (n == 0)
		return 0;
	digest_add(writer->digest, bytes, n);
	if (writer->fd < 0 && writer->buffered + n <= SMALL) {
		memcpy(writer->import->spare + writer->buffered, bytes, n);
		writer->buffered += n;
	} else {
		if (writer->fd < 0)
			r = spill(writer, TEMPORARY);
		if (r >= 0)
			r = write_all(writer->fd, bytes, n);
	}
	if (r < 0)
		return err_errno(err, -r, "the upload cannot be stored");
	/* Large ones go to the disk as they come, so that the flush at the end finds little left.
	 */
	if (writer->fd >= 0 && writer->size / PUSH != (writer->size + (int64_t)n) / PUSH)
		sync_file_range(writer->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	writer->size += (int64_t)n;
	return 0;
}

/* The object is complete: stages it under its digest unless the store has it, whole, or this import
 * has it already. */
static int
stage(struct objects_writer *writer, const char *digest)
{
	struct objects_import *import = writer->import;
	int r;

	import->used[bucket(digest)] = true;
	if (faccessat(import->fd, digest, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = objects_verify(import->objects, digest, writer->size);
	if (r != -ENOENT && r != -EBADMSG)
		return r;
	if (writer->fd < 0) {
		r = spill(writer, digest);
		if (r < 0) {
			unlinkat(import->fd, digest, 0);
			return r;
		}
	} else if (renameat(import->fd, TEMPORARY, import->fd, digest) < 0) {
		return -errno;
	}
	import->staged++;
	r = close(writer->fd) < 0 ? -errno : 0;
	writer->fd = -1;
	return r;
}

int
objects_writer_end(struct objects_writer *writer, char ret_digest[DIGEST_SIZE], int64_t *ret_size,
		   struct err *err)
{
	char digest[DIGEST_SIZE];
	int r;

	digest_end(TAKE(writer->digest), digest);
	r = stage(writer, digest);
	if (r >= 0) {
		memcpy(ret_digest, digest, DIGEST_SIZE);
		*ret_size = writer->size;
	}
	objects_writer_abort(writer);
	return r < 0 ? err_errno(err, -r, "the upload cannot be stored") : 0;
}

/* ---- publishing */

static int
fsync_at(int at, const char *name)
{
	_cleanup_close_ int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The content of what is staged becomes durable. */
static int
flush_content(struct objects_import *import)
{
	_cleanup_dir_ DIR *dir = NULL;
	const struct dirent *entry;
	int r;

	if (import->staged > FSYNC_MAX)
		return syncfs(import->objects->store) < 0 ? -errno : 0;
	dir = folder_list(import->fd);
	if (dir == NULL)
		return -errno;
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		r = folder_is_dot(entry->d_name) ? 0 : fsync_at(import->fd, entry->d_name);
		if (r < 0)
			return r;
	}
	return -errno;
}

/* Renames one staged object to its place. It replaces what is there: that was found damaged, or is
 * the same from another import. */
static int
put(struct objects_import *import, const char *digest)
{
	int objects = import->objects->objects;
	char path[PATH_SIZE], folder[3] = {digest[0], digest[1], '\0'};
	_cleanup_close_ int made = -1;

	object_path(digest, path);
	if (renameat(import->fd, digest, objects, path) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	made = open_folder(objects, folder, 0755);
	if (made < 0)
		return -errno;
	return renameat(import->fd, digest, objects, path) < 0 ? -errno : 0;
}

static int
put_all(struct objects_import *import)
{
	_cleanup_dir_ DIR *dir = folder_list(import->fd);
	const struct dirent *entry;

	if (dir == NULL)
		return -errno;
	while ((errno = 0, entry = readdir(dir)) != NULL) {
		int r = digest_valid(entry->d_name) ? put(import, entry->d_name) : 0;

		if (r < 0)
			return r;
	}
	return -errno;
}

/* The names of all objects that the manifest counts on become durable, whoever put them. */
static int
flush_names(struct objects_import *import)
{
	if (import->staged > FSYNC_MAX)
		return syncfs(import->objects->store) < 0 ? -errno : 0;
	for (unsigned i = 0; i < ARRAY_SIZE(import->used); i++) {
		char folder[8];
		int r;

		if (!import->used[i])
			continue;
		snprintf(folder, sizeof(folder), "%02x", i);
		r = fsync_at(import->objects->objects, folder);
		if (r < 0)
			return r;
	}
	return fsync(import->objects->objects) < 0 ? -errno : 0;
}

static int
put_manifest(struct objects_import *import, const char *text, size_t n, const char *digest)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = openat(import->fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0444);
	if (fd < 0 || fchmod(fd, 0444) < 0)
		return -errno;
	r = write_all(fd, text, n);
	if (r < 0)
		return r;
	if (fsync(fd) < 0 ||
	    renameat(import->fd, TEMPORARY, import->objects->manifests, digest) < 0 ||
	    fsync(import->objects->manifests) < 0)
		return -errno;
	return 0;
}

int
objects_publish(struct objects_import *import, const char *text, size_t n,
		char ret_digest[DIGEST_SIZE], struct err *err)
{
	char digest[DIGEST_SIZE];
	int r;

	digest_of(text, n, digest);
	failpoint("import-read");
	r = flush_content(import);
	if (r >= 0)
		r = put_all(import);
	failpoint("import-put");
	if (r >= 0)
		r = flush_names(import);
	if (r >= 0)
		r = put_manifest(import, text, n, digest);
	failpoint("import-done");
	if (r < 0)
		return err_errno(err, -r, "the upload cannot be stored");
	memcpy(ret_digest, digest, DIGEST_SIZE);
	return 0;
}
