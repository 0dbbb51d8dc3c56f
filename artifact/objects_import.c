/* SPDX-License-Identifier: ISC */
/*
 * What comes into the store. Objects and manifests appear by rename only, whole, durable and named
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
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "artifact/objects_private.h"
#include "common/failpoint.h"
#include "common/folder.h"
#include "common/xalloc.h"

/* bytes of an object that are kept in memory before there is a file */
#define SMALL	     (256 * 1024)
#define PUSH	     (16 * 1024 * 1024) /* bytes after which write-back is begun */
#define FSYNC_MAX    32			/* files up to which an import fsyncs one by one */
#define STAGE_TRIES  100		/* names of staging folders to try */
#define LOCK_WAIT_MS (10 * 60 * 1000)	/* so long an import waits for who cleans up */
#define TEMPORARY    "temporary"

struct objects_import {
	struct objects *objects;
	int fd;	       /* of the staging folder; locked */
	int lock;      /* of the store, shared */
	char name[24]; /* of it, below incoming/ */
	size_t staged;
	bool modes_hold; /* files are made with 0444 here */
	bool used[256];	 /* folders of objects/ that this import relies on */
	char *spare;	 /* SMALL bytes, of the writer that is open */
};

struct objects_writer {
	struct objects_import *import;
	struct digest *digest;
	int64_t size;
	size_t buffered;
	int fd; /* -1 while all fits in memory */
};

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
	_cleanup_close_ int fd = objects_folder(objects->incoming, name, 0);
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

/* FD, the newest file of the staging folder, gets 0444. What it is made with may be less, by the
 * mask of this process, or more, by a default of the folder; as it is with one it is with all. */
static int
set_mode(struct objects_import *import, int fd)
{
	struct stat st;

	if (import->modes_hold)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	import->modes_hold = (st.st_mode & 07777) == 0444;
	return !import->modes_hold && fchmod(fd, 0444) < 0 ? -errno : 0;
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
	r = set_mode(writer->import, writer->fd);
	if (r < 0)
		return r;
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
	char path[OBJECTS_PATH_SIZE], folder[3] = {digest[0], digest[1], '\0'};
	_cleanup_close_ int made = -1;

	objects_path(digest, path);
	if (renameat(import->fd, digest, objects, path) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	made = objects_folder(objects, folder, 0755);
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
