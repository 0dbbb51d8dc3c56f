/* SPDX-License-Identifier: ISC */
/*
 * Trees of files below a descriptor. Filling follows the sorted manifest with a stack of open
 * folders, so that each folder is made and opened once. What is written to a file is hashed: bytes
 * that were read are hashed on their way, a reflink is read back. Comparing walks the disk and asks
 * the manifest, and goes down only into folders that the manifest has: its depth is bounded by the
 * manifest's. A comparison believes a stamp instead of hashing where it may: see the stamps.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "artifact/files.h"
#include "common/folder.h"
#include "common/xalloc.h"

#define COPY_SIZE    (256 * 1024)
#define FSYNC_MAX    32	 /* files up to which each is fsynced; more are flushed by one syncfs */
#define NAMED_MAX    5	 /* differences that a line names */
#define REMOVE_DEPTH 500 /* folders in folders that are removed; each takes a descriptor */
#define SETTLE_MS    50	 /* to wait at most until stamps are settled */
#define SECOND_NS    INT64_C(1000000000)
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

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
	_cleanup_close_ int fd = openat(at, name, FOLDER_FLAGS);
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

/* ---- stamps */

static int64_t
ns_of(struct timespec time)
{
	return time.tv_sec * SECOND_NS + time.tv_nsec;
}

/* The clock that file systems take their times from: it stands still for a tick of some
 * milliseconds. */
static int64_t
tick_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return ns_of(now);
}

bool
files_settled(int64_t changed_ns, int64_t now_ns)
{
	/* A file system that knows only whole seconds. */
	if (changed_ns % SECOND_NS == 0)
		return changed_ns / SECOND_NS + 2 <= now_ns / SECOND_NS;
	return changed_ns < now_ns;
}

/*
 * File systems of this machine that change an inode's change time with each write, one through a
 * mapping too once what was written before it is on disk. A network's or a user's file system may
 * say what it likes, and tmpfs does not see writes through a mapping.
 */
static bool
keeps_times(int fd)
{
	static const unsigned long types[] = {0xef53 /* ext4 */,      0x58465342 /* xfs */,
					      0x9123683e /* btrfs */, 0xf2f52010 /* f2fs */,
					      0x2fc12fc1 /* zfs */,   0xca451a4e /* bcachefs */};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((unsigned long)fs.f_type == types[i])
			return true;
	return false;
}

static struct files_stamp
stamp_of(const struct stat *st)
{
	return (struct files_stamp){st->st_ino, ns_of(st->st_mtim), ns_of(st->st_ctim)};
}

static bool
stamp_equal(const struct files_stamp *a, const struct files_stamp *b)
{
	return a->changed_ns != 0 && a->changed_ns == b->changed_ns &&
	       a->modified_ns == b->modified_ns && a->inode == b->inode;
}

/* Forgets all stamps, or those of another device; false where none can be kept. */
static bool
stamps_begin(struct files_stamps *stamps, int root, bool forget)
{
	struct stat st;
	bool usable = fstat(root, &st) == 0 && keeps_times(root);

	if (forget || !usable || stamps->device != st.st_dev)
		memset(stamps->v, 0, stamps->n * sizeof(stamps->v[0]));
	stamps->device = usable ? st.st_dev : 0;
	return usable;
}

/* Waits until the youngest is settled; what is not even then, as with times from the future, is
 * forgotten. */
static void
stamps_settle(struct files_stamps *stamps)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int64_t youngest = 0, now = tick_ns();

	for (size_t i = 0; i < stamps->n; i++)
		if (stamps->v[i].changed_ns > youngest)
			youngest = stamps->v[i].changed_ns;
	for (int ms = 0; ms < SETTLE_MS && !files_settled(youngest, now); ms++) {
		nanosleep(&pause, NULL);
		now = tick_ns();
	}
	for (size_t i = 0; i < stamps->n; i++)
		if (!files_settled(stamps->v[i].changed_ns, now))
			stamps->v[i] = (struct files_stamp){0};
}

/* ---- copying */

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
	char *buffer; /* COPY_SIZE bytes */
};

struct files_copier *
files_copier_new(const struct objects *objects)
{
	struct files_copier *copier = xcalloc(1, sizeof(*copier));

	copier->objects = objects;
	copier->buffer = xrealloc(NULL, COPY_SIZE, 1);
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

/* Hashes SIZE bytes of FROM, writing them to TO unless that is -1; BUFFER has COPY_SIZE bytes.
   -EBADMSG when they are not those of EXPECTED; an error in reading counts as that, because a
   sector that cannot be read is damage. */
static int
hash_through(char *buffer, int from, int to, int64_t size, const char *expected)
{
	struct digest *digest = digest_new();
	char found[DIGEST_SIZE];
	int r = 0;

	while (size > 0 && r >= 0) {
		ssize_t n = read(from, buffer, size < COPY_SIZE ? (size_t)size : COPY_SIZE);

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
		return hash_through(buffer, to, -1, entry->size, entry->digest);
	return hash_through(buffer, from, to, entry->size, entry->digest);
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
		*ret_stamp = stamp_of(&st);
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

	if (stamps != NULL && !stamps_begin(stamps, root, true))
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
		stamps_settle(stamps);
	return 0;
}

/* ---- comparing */

struct comparison {
	const struct manifest *manifest;
	const struct files_shared *shared;
	struct files_report *report;
	struct files_stamps *stamps; /* NULL: none can be kept */
	int root;
	bool synced;
	char *buffer;  /* COPY_SIZE bytes, once something is hashed */
	size_t length; /* of the folder that is looked at, with its slash */
	char path[MANIFEST_PATH_MAX + NAME_MAX + 2];
};

static void
differs(struct files_report *report, const char *path, const char *how)
{
	_cleanup_free_ char *shown = NULL, *before = NULL;

	if (report->differences++ >= NAMED_MAX)
		return;
	before = TAKE(report->text);
	shown = manifest_shown(path);
	report->text = xasprintf("%s%s%s (%s)", before != NULL ? before : "",
				 before != NULL ? ", " : "", shown, how);
}

static int compare_folder(struct comparison *c, int fd);

/* Hashes FD, of which ST was true before; true if it is ENTRY's. STAMP (may be NULL) is set if that
 * can be remembered. */
static bool
file_hash(struct comparison *c, int fd, const struct stat *st, const struct manifest_entry *entry,
	  struct files_stamp *stamp)
{
	struct files_stamp before = stamp_of(st), after;
	int64_t now_ns = tick_ns();
	struct stat st_after;

	c->report->hashed++;
	if (c->buffer == NULL)
		c->buffer = xrealloc(NULL, COPY_SIZE, 1);
	if (hash_through(c->buffer, fd, -1, entry->size, entry->digest) < 0)
		return false;
	if (stamp == NULL || fstat(fd, &st_after) < 0)
		return true;
	after = stamp_of(&st_after);
	if (st->st_dev == c->stamps->device && stamp_equal(&before, &after) &&
	    files_settled(before.changed_ns, now_ns))
		*stamp = before;
	return true;
}

/* What will be remembered must be on disk, or a power loss takes the content and leaves the times.
 */
static void
sync_once(struct comparison *c)
{
	if (c->stamps != NULL && !c->synced && syncfs(c->root) < 0)
		c->stamps = NULL;
	c->synced = true;
}

/* Why the file NAME is not ENTRY's; NULL if it is. */
static const char *
file_differs(struct comparison *c, int folder, const char *name, const struct stat *st,
	     const struct manifest_entry *entry)
{
	struct files_stamp *stamp = NULL, known = {0}, found = stamp_of(st);
	_cleanup_close_ int fd = -1;
	struct stat open_st;

	if (c->stamps != NULL) {
		stamp = &c->stamps->v[entry - c->manifest->v];
		known = *stamp;
		*stamp = (struct files_stamp){0};
	}
	if (!S_ISREG(st->st_mode))
		return "no longer a file";
	if (st->st_size != entry->size)
		return "other size";
	if ((st->st_mode & 07777) != (entry->executable ? 0755 : 0644))
		return "other mode";
	if (!c->report->always && stamp_equal(&known, &found) && st->st_dev == c->stamps->device) {
		*stamp = known;
		return NULL;
	}
	sync_once(c);
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &open_st) < 0)
		return "cannot be read";
	return file_hash(c, fd, &open_st, entry, c->stamps != NULL ? stamp : NULL)
		   ? NULL
		   : "other content";
}

static const char *
link_differs(int folder, const char *name, const struct stat *st,
	     const struct manifest_entry *entry)
{
	char target[MANIFEST_PATH_MAX + 2];
	ssize_t n;

	if (!S_ISLNK(st->st_mode))
		return "no longer a link";
	n = readlinkat(folder, name, target, sizeof(target) - 1);
	if (n < 0)
		return "cannot be read";
	target[n] = '\0';
	return strcmp(target, entry->target) != 0 ? "other target" : NULL;
}

/* Goes down into a folder that the manifest has. Its mode is checked as it is passed. */
static int
compare_below(struct comparison *c, int folder, const char *name, const struct stat *st,
	      const char **ret_how)
{
	_cleanup_close_ int fd = openat(folder, name, FOLDER_FLAGS);
	size_t before = c->length, n = strlen(c->path);
	int r;

	if (fd < 0) {
		*ret_how = "cannot be read";
		return 0;
	}
	if ((st->st_mode & 0777) != 0755)
		*ret_how = "other mode";
	c->path[n] = '/';
	c->length = n + 1;
	r = compare_folder(c, fd);
	c->path[n] = '\0';
	c->length = before;
	return r;
}

static int
compare_one(struct comparison *c, int folder, const char *name)
{
	const struct manifest_entry *entry = manifest_find(c->manifest, c->path);
	struct files_report *report = c->report;
	const char *how = NULL;
	bool expected;
	struct stat st;
	int r = 0;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	expected =
	    manifest_has_below(c->manifest, c->path) || files_holds_shared(c->shared, c->path);
	if (entry == NULL && !(expected && S_ISDIR(st.st_mode))) {
		differs(report, c->path, expected ? "no longer a folder" : "added");
		return report->extra != NULL ? report->extra(folder, name, c->path, report->arg)
					     : 0;
	}
	if (entry != NULL && entry->kind == MANIFEST_FILE)
		how = file_differs(c, folder, name, &st, entry);
	else if (entry != NULL && entry->kind == MANIFEST_LINK)
		how = link_differs(folder, name, &st, entry);
	else if (S_ISDIR(st.st_mode))
		r = compare_below(c, folder, name, &st, &how);
	else
		how = "no longer a folder";
	if (how != NULL)
		differs(report, c->path, how);
	if (entry != NULL)
		report->state[entry - c->manifest->v] = how != NULL ? FILES_CHANGED : FILES_SAME;
	return r;
}

static int
compare_folder(struct comparison *c, int fd)
{
	_cleanup_dir_ DIR *dir = folder_list(fd);
	const struct dirent *entry;
	int r = 0;

	if (dir == NULL)
		return -errno;
	while (r >= 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		if (folder_is_dot(entry->d_name))
			continue;
		memcpy(c->path + c->length, entry->d_name, strlen(entry->d_name) + 1);
		if (!files_is_shared(c->shared, c->path))
			r = compare_one(c, fd, entry->d_name);
	}
	return r < 0 ? r : -errno;
}

int
files_compare(int root, const struct manifest *manifest, const struct files_shared *shared,
	      struct files_report *report)
{
	struct comparison *c = xcalloc(1, sizeof(*c));
	int r;

	*c = (struct comparison){
	    .manifest = manifest, .shared = shared, .report = report, .root = root};
	if (report->stamps != NULL && stamps_begin(report->stamps, root, false))
		c->stamps = report->stamps;
	report->state = xcalloc(manifest->n + 1, 1);
	r = compare_folder(c, root);
	free(c->buffer);
	free(c);
	if (r < 0)
		return r;
	for (size_t i = 0; i < manifest->n; i++)
		if (report->state[i] == FILES_MISSING &&
		    !files_is_shared(shared, manifest->v[i].path)) {
			if (report->stamps != NULL)
				report->stamps->v[i] = (struct files_stamp){0};
			differs(report, manifest->v[i].path, "missing");
		}
	if (report->differences > NAMED_MAX) {
		_cleanup_free_ char *before = report->text;

		report->text =
		    xasprintf("%s and %zu more", before, report->differences - NAMED_MAX);
	}
	return 0;
}

void
files_report_clear(struct files_report *report)
{
	free(report->state);
	free(report->text);
	*report = (struct files_report){0};
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
	fd = openat(folder, name, FOLDER_FLAGS);
	if (fd < 0 && errno == EACCES && fchmodat(folder, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(folder, name, FOLDER_FLAGS);
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
