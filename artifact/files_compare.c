/* SPDX-License-Identifier: ISC */
/*
 * A tree is compared with a manifest. This walks the disk and asks the manifest, and goes down only
 * into folders that the manifest has: its depth is bounded by the manifest's. A stamp is believed
 * instead of hashing where it may be.
 */
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

#define NAMED_MAX 5 /* differences that a line names */

struct comparison {
	const struct manifest *manifest;
	const struct files_shared *shared;
	struct files_report *report;
	struct files_stamps *stamps; /* NULL: none can be kept */
	int root;
	bool synced;
	char *buffer;  /* FILES_BUFFER bytes, once something is hashed */
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
	struct files_stamp before = files_stamp_of(st), after;
	int64_t now_ns = files_tick_ns();
	struct stat st_after;

	c->report->hashed++;
	if (c->buffer == NULL)
		c->buffer = xrealloc(NULL, FILES_BUFFER, 1);
	if (files_hash(c->buffer, fd, -1, entry->size, entry->digest) < 0)
		return false;
	if (stamp == NULL || fstat(fd, &st_after) < 0)
		return true;
	after = files_stamp_of(&st_after);
	if (st->st_dev == c->stamps->device && files_stamp_equal(&before, &after) &&
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
	struct files_stamp *stamp = NULL, known = {0}, found = files_stamp_of(st);
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
	if (stamp != NULL && !c->report->always && files_stamp_equal(&known, &found) &&
	    st->st_dev == c->stamps->device) {
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
	_cleanup_close_ int fd = openat(folder, name, FILES_FOLDER_FLAGS);
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
	if (report->stamps != NULL && files_stamps_begin(report->stamps, root, false))
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
