/* SPDX-License-Identifier: ISC */
/*
 * The state folder and the file in it, before SQLite sees them: the folder is taken (flock), the
 * file looked at. An empty bmd.db is damage, not a beginning; nothing here replaces a file that
 * cannot be used.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/failpoint.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define LOCK_TRIES 100 /* of 20 ms */

/* A bmd that was killed just then may have a child between fork and exec, which has the lock with
 * it for a moment; one that is being stopped needs a moment too. */
static int
lock_folder(int fd)
{
	const struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};
	int r = flock(fd, LOCK_EX | LOCK_NB);

	for (int i = 0; r < 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
		(void)nanosleep(&nap, NULL);
		r = flock(fd, LOCK_EX | LOCK_NB);
	}
	return r;
}

int
store_take_folder(struct store *store, const char *folder, struct err *err)
{
	struct stat st;

	if (mkdir(folder, 0711) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the state folder %s", folder);
	store->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->folder_fd < 0)
		return err_errno(err, errno, "cannot open the state folder %s", folder);
	if (fstat(store->folder_fd, &st) < 0)
		return err_errno(err, errno, "cannot look at the state folder %s", folder);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_FAILED,
			       "the state folder %s belongs to uid %u, but bmd runs as uid %u: "
			       "start bmd as its owner or set state-directory",
			       folder, st.st_uid, geteuid());
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
		return err_errno(err, errno, "cannot write to the state folder %s", folder);
	if (lock_folder(store->folder_fd) < 0)
		return errno == EWOULDBLOCK
			   ? err_set(err, ERR_FAILED,
				     "another bmd uses the state folder %s: stop it, or set "
				     "state-directory and socket",
				     folder)
			   : err_errno(err, errno, "cannot lock the state folder %s", folder);
	return 0;
}

int
store_sync(const char *path, int flags, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(err, errno, "cannot write %s", path);
	return 0;
}

/* A backup takes the place of a database that is not there. Beside one nobody knows which of them
 * is meant. */
static int
take_backup(struct store *store, bool there, bool *ret_taken, struct err *err)
{
	_cleanup_free_ char *backup = xasprintf("%s.backup", store->path);
	struct stat st;

	*ret_taken = false;
	if (lstat(backup, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot look at %s", backup);
	if (there)
		return err_set(err, ERR_FAILED,
			       "both %s and %s are there: move away the one that is not to be used",
			       store->path, backup);
	if (rename(backup, store->path) < 0 || fsync(store->folder_fd) < 0)
		return err_errno(err, errno, "cannot rename %s", backup);
	failpoint("restore-named");
	*ret_taken = true;
	return 0;
}

int
store_find_file(struct store *store, int64_t *ret_size, struct err *err)
{
	_cleanup_free_ char *wal = xasprintf("%s-wal", store->path);
	struct stat st;
	bool there = lstat(store->path, &st) == 0, taken;
	int r;

	if (!there && errno != ENOENT)
		return err_errno(err, errno, "cannot look at %s", store->path);
	if (!there && lstat(wal, &st) == 0 && st.st_size > 0)
		return store_damaged(store, "it is gone, but its -wal file is still there", err);
	r = take_backup(store, there, &taken, err);
	if (r < 0)
		return r;
	if (!there && !taken)
		return 0;
	if (lstat(store->path, &st) < 0)
		return err_errno(err, errno, "cannot look at %s", store->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_FAILED, "%s is not a plain file: move it away",
			       store->path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_FAILED,
			       "the database %s belongs to uid %u, but bmd runs as uid %u: give it "
			       "back with chown",
			       store->path, st.st_uid, geteuid());
	if (st.st_size == 0)
		return store_damaged(store, "it is empty", err);
	if ((st.st_mode & 07777) != 0600 && chmod(store->path, 0600) < 0)
		return err_errno(err, errno, "cannot set the mode of %s", store->path);
	*ret_size = st.st_size;
	return 1;
}
