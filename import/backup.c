/* SPDX-License-Identifier: ISC */
/*
 * The files of a backup. Stored files never change, so a hard link is as good as a copy, at once
 * and for no room: what reads STATE/backup (rsync, tar, …) has days for it, whatever is collected
 * meanwhile. It is made beside, synced, and then exchanged with the one before.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files.h"
#include "artifact/manifest.h"
#include "common/failpoint.h"
#include "common/xalloc.h"
#include "import/backup.h"
#include "import/tell.h"

#define LOCK_WAIT_MS 30000
#define LISTED_MAX   1000000 /* manifests */

struct backup {
	const struct objects *objects;
	struct objects *to;
	struct tell tell;
	int in;
	char (*listed)[DIGEST_SIZE];
	size_t n, room;
	int64_t nmanifests, nobjects, bytes, missing;
};

static int
tell_counts(struct backup *backup, const char *what)
{
	return tell_object(&backup->tell, json_pack("{s:{s:I, s:I, s:I, s:I}}", what, "manifests",
						    (json_int_t)backup->nmanifests, "objects",
						    (json_int_t)backup->nobjects, "bytes",
						    (json_int_t)backup->bytes, "missing",
						    (json_int_t)backup->missing));
}

/* ---- the list */

static int
read_list(struct backup *backup, struct err *err)
{
	_cleanup_fclose_ FILE *file = fdopen(dup(backup->in), "r");
	char line[DIGEST_SIZE + 2], end[32];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(end, sizeof(end), "end %zu", backup->n);
		if (strcmp(line, end) == 0)
			return 0;
		if (!digest_valid(line) || backup->n == LISTED_MAX)
			break;
		XGROW(backup->listed, backup->n, backup->room);
		memcpy(backup->listed[backup->n++], line, DIGEST_SIZE);
	}
	return err_set(err, ERR_FAILED,
		       "the list of what belongs to the backup is not whole: none was made");
}

/* ---- links */

static int
link_failed(int r, struct err *err)
{
	return err_errno(err, -r, "no backup was made: the stored files cannot be linked");
}

static int
link_object(struct backup *backup, const struct manifest_entry *entry, struct err *err)
{
	int r = objects_link(backup->objects, OBJECTS_CONTENT, entry->digest, backup->to);

	if (r == -EEXIST)
		return 0;
	if (r == -ENOENT) {
		backup->missing++;
		return 0;
	}
	if (r < 0)
		return link_failed(r, err);
	backup->nobjects++;
	backup->bytes += entry->size;
	if (tell_due(&backup->tell) && tell_counts(backup, "progress") < 0)
		return err_set(err, ERR_FAILED, "nobody hears: no backup was made");
	return 0;
}

static int
link_manifest(struct backup *backup, const char *digest, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct manifest manifest = {0};
	size_t n;
	int r = objects_get_manifest(backup->objects, digest, &text, &n, NULL);

	if (r >= 0)
		r = manifest_parse(text, n, &manifest, NULL);
	if (r == -ENOENT || r == -EBADMSG ||
	    r == -EIO) { /* a damaged build is in the backup as it is here */
		backup->missing++;
		return 0;
	}
	if (r < 0)
		return err_errno(err, -r, "no backup was made: the list of files %s cannot be read",
				 digest);
	r = objects_link(backup->objects, OBJECTS_MANIFESTS, digest, backup->to);
	if (r == -EEXIST)
		r = 0;
	if (r < 0)
		(void)link_failed(r, err);
	backup->nmanifests++;
	for (size_t i = 0; i < manifest.n && r >= 0; i++)
		if (manifest.v[i].kind == MANIFEST_FILE)
			r = link_object(backup, &manifest.v[i], err);
	manifest_clear(&manifest);
	return r;
}

/* ---- its place */

static int
make_new(int state_fd, struct err *err)
{
	int r = files_remove(state_fd, BACKUP_NEW);

	if (r == -ENOENT)
		r = 0;
	if (r >= 0 && mkdirat(state_fd, BACKUP_NEW, 0700) < 0)
		r = -errno;
	return r < 0 ? err_errno(err, -r, "cannot make the folder of the backup, " BACKUP_NEW) : 0;
}

/* In one step; where the file system has none for that, there is no backup for a moment. */
static int
exchange(int state_fd)
{
	if (renameat2(state_fd, BACKUP_NEW, state_fd, BACKUP_FOLDER, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
		return -errno;
	(void)files_remove(state_fd, BACKUP_FOLDER);
	return renameat(state_fd, BACKUP_NEW, state_fd, BACKUP_FOLDER) < 0 ? -errno : 0;
}

/* Whole on disk, and then in the place of the one before, which goes. */
static int
give_place(int state_fd, struct err *err)
{
	int r;

	failpoint("backup-linked");
	if (syncfs(state_fd) < 0)
		return err_errno(err, errno, "the backup cannot be written");
	failpoint("backup-synced");
	r = exchange(state_fd);
	failpoint("backup-named");
	if (r == 0 && fsync(state_fd) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(err, -r, "the backup cannot be given its name");
	(void)files_remove(
	    state_fd, BACKUP_NEW); /* the one before; if it stays, the next backup removes it */
	return 0;
}

/* ---- the whole */

static int
work(struct backup *backup, const char *state, int state_fd, struct err *err)
{
	_cleanup_free_ char *folder = xasprintf("%s/" BACKUP_NEW, state);
	int r = make_new(state_fd, err);

	if (r >= 0)
		r = objects_open(folder, true, &backup->to, err);
	if (r >= 0 && tell_object(&backup->tell, json_pack("{s:b}", "locked", 1)) < 0)
		r = err_set(err, ERR_FAILED, "nobody hears: no backup was made");
	if (r >= 0)
		r = read_list(backup, err);
	for (size_t i = 0; i < backup->n && r >= 0; i++)
		r = link_manifest(backup, backup->listed[i], err);
	if (r >= 0)
		r = give_place(state_fd, err);
	if (r >= 0)
		r = tell_counts(backup, "done");
	else
		(void)files_remove(state_fd, BACKUP_NEW);
	return r;
}

int
backup_run(const struct objects *objects, const char *state, int in, int out, struct err *err)
{
	struct backup backup = {.objects = objects, .in = in};
	_cleanup_close_ int state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int lock = objects_lock(objects, false, LOCK_WAIT_MS);
	int r;

	if (lock == -EAGAIN)
		return err_set(err, ERR_TOO_MANY,
			       "stored files are being removed: ask again when that has ended");
	if (lock < 0 || state_fd < 0)
		return err_errno(err, lock < 0 ? -lock : errno,
				 "the store of files cannot be locked");
	tell_background();
	r = tell_open(&backup.tell, out, err);
	if (r < 0)
		return r;
	r = work(&backup, state, state_fd, err);
	tell_close(&backup.tell);
	objects_close(backup.to);
	free(backup.listed);
	return r;
}
