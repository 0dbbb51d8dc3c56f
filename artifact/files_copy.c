/* SPDX-License-Identifier: ISC */
/*
 * A tree is filled from a manifest. What is written to a file is hashed: bytes that were read are
 * hashed on their way, a reflink is read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files_private.h"
#include "common/xalloc.h"

#define FSYNC_MAX 32 /* files up to which each is fsynced; more are flushed by one syncfs */

static int
write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes += done;
		n -= (size_t)done;
	}
	return 0;
}

struct files_copier {
	const struct objects *objects;
	bool whole;   /* extents cannot be shared here: files are written */
	char *buffer; /* FILES_BUFFER bytes */
};

struct files_copier *
files_copier_new(const struct objects *objects)
{
	struct files_copier *copier = xcalloc(1, sizeof(*copier));

	copier->objects = objects;
	copier->buffer = xrealloc(NULL, FILES_BUFFER, 1);
	return copier;
}

void
files_copier_free(struct files_copier *copier)
{
	if (copier == NULL)
		return;
	free(copier->buffer);
	free(copier);
}

int
files_hash(char *buffer, int from, int to, int64_t size, const char *expected)
{
	struct digest *digest = digest_new();
	char found[DIGEST_SIZE];
	int r = 0;

	while (size > 0 && r >= 0) {
		ssize_t n = read(from, buffer, size < FILES_BUFFER ? (size_t)size : FILES_BUFFER);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = -EBADMSG;
			break;
		}
		digest_add(digest, buffer, (size_t)n);
		if (to >= 0)
			r = write_all(to, buffer, (size_t)n);
		size -= n;
	}
	digest_end(digest, found);
	if (r < 0)
		return r;
	return strcmp(found, expected) == 0 ? 0 : -EBADMSG;
}

/* Lets TO share the extents of FROM; whatever the reason that it cannot, it will not be asked
 * again. */
static bool
share(struct files_copier *copier, int from, int to)
{
	if (!copier->whole && ioctl(to, FICLONE, from) < 0)
		copier->whole = true;
	return !copier->whole;
}

static int
copy(struct files_copier *copier, const struct manifest_entry *entry, int to)
{
	struct stat st;
	_cleanup_close_ int from = objects_open_object(copier->objects, entry->digest, &st);
	char *buffer = copier->buffer;

	if (from == -ENOENT)
		return -EBADMSG;
	if (from < 0)
		return from;
	if (st.st_size != entry->size)
		return -EBADMSG;
	if (entry->size == 0)
		return 0;
	/* Shared extents are read back, as what was written would have been. */
	if (share(copier, from, to))
		return files_hash(buffer, to, -1, entry->size, entry->digest);
	return files_hash(buffer, from, to, entry->size, entry->digest);
}

/* TO is complete: its mode is MODE whatever the folder's default is, and it is on disk if FSYNC. */
static int
finish(int to, mode_t mode, bool fsync_, struct files_stamp *ret_stamp)
{
	struct stat st;

	if (fstat(to, &st) < 0)
		return -errno;
	if ((st.st_mode & 07777) != mode && (fchmod(to, mode) < 0 || fstat(to, &st) < 0))
		return -errno;
	if (fsync_ && fsync(to) < 0)
		return -errno;
	if (ret_stamp != NULL)
		*ret_stamp = files_stamp_of(&st);
	return 0;
}

int
files_copy(struct files_copier *copier, const struct manifest_entry *entry, int folder,
	   const char *name, bool fsync_, struct files_stamp *ret_stamp, struct err *err)
{
	mode_t mode = entry->executable ? 0755 : 0644;
	_cleanup_close_ int to =
	    openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int r = to < 0 ? -errno : copy(copier, entry, to);
	_cleanup_free_ char *shown = NULL;

	if (r >= 0)
		r = finish(to, mode, fsync_, ret_stamp);
	if (r >= 0)
		return 0;
	if (to >= 0)
		unlinkat(folder, name, 0);
	shown = manifest_shown(entry->path);
	if (r == -EBADMSG) {
		err_set(err, ERR_FAILED,
			"%s: its content is missing from the store or damaged there (object %s); "
			"add the build again to heal it",
			shown, entry->digest);
		err_field(err, "path", json_string(entry->path));
		err_field(err, "object", json_string(entry->digest));
		return r;
	}
	return err_errno(err, -r, "%s: cannot be placed", shown);
}

static int
fill_entry(struct files_cursor *cursor, struct files_copier *copier,
	   const struct manifest_entry *entry, bool fsync_, struct files_stamp *stamp,
	   struct err *err)
{
	_cleanup_free_ char *shown = NULL;
	const char *name;
	int folder, r;

	if (entry->kind == MANIFEST_DIRECTORY)
		r = files_cursor_folder(cursor, entry->path, &folder);
	else
		r = files_cursor_parent(cursor, entry->path, &folder, &name);
	if (r >= 0 && entry->kind == MANIFEST_FILE)
		return files_copy(copier, entry, folder, name, fsync_, stamp, err);
	if (r >= 0 && entry->kind == MANIFEST_LINK)
		r = symlinkat(entry->target, folder, name) < 0 ? -errno : 0;
	if (r >= 0)
		return 0;
	shown = manifest_shown(entry->path);
	return err_errno(err, -r, "%s: cannot be placed", shown);
}

int
files_fill(int root, const char *where, const struct objects *objects,
	   const struct manifest *manifest, const struct files_shared *shared, bool durable,
	   struct files_stamps *stamps, struct err *err)
{
	bool each = durable && manifest->n <= FSYNC_MAX;
	struct files_cursor *cursor = files_cursor_new(root, each, false);
	struct files_copier *copier = files_copier_new(objects);
	int r = 0, closed;

	if (stamps != NULL && !files_stamps_begin(stamps, root, true))
		stamps = NULL;

	for (size_t i = 0; i < manifest->n && r >= 0; i++)
		if (!files_is_shared(shared, manifest->v[i].path))
			r = fill_entry(cursor, copier, &manifest->v[i], each,
				       stamps != NULL ? &stamps->v[i] : NULL, err);
	closed = files_cursor_close(cursor);
	files_copier_free(copier);
	if (r < 0) {
		err_prefix(err, "%s", where);
		return r;
	}
	if (closed >= 0 && durable && (each ? fsync(root) : syncfs(root)) < 0)
		closed = -errno;
	if (closed < 0)
		return err_errno(err, -closed, "%s: cannot be written to disk", where);
	if (stamps != NULL)
		files_stamps_settle(stamps);
	return 0;
}
