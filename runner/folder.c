/* SPDX-License-Identifier: ISC */
/*
 * What of a run is on disk. Making JOB/ claims nothing; `started` does, and it appears by link(2):
 * whole or not at all, and never over another. Events and result have their room on disk before the
 * run begins, so that a disk that a step has filled does not take the outcome away. Where bmd is
 * another user (under systemd), the folder carries its group and the set-group-id bit, so that bmd
 * may read what is made in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/run.h"
#include "common/xalloc.h"
#include "runner/begun.h"
#include "runner/folder.h"

#define RESULT_ROOM 16384
#define FILE_MODE   0640

struct folder {
	int directory_fd, fd, lock_fd, events_fd, result_fd;
	off_t events_end;
	bool shared; /* with bmd's group */
	char name[24];
};

void
folder_close(struct folder *folder)
{
	int *fds[] = {&folder->directory_fd, &folder->fd, &folder->events_fd, &folder->result_fd,
		      &folder->lock_fd};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	free(folder);
}

static void
cleanup_folder(struct folder **folder)
{
	if (*folder)
		folder_close(*folder);
}

int
folder_fd(const struct folder *folder)
{
	return folder->fd;
}

int
folder_directory_fd(const struct folder *folder)
{
	return folder->directory_fd;
}

/* The folder is ours, or we do not write into it: whoever could rename in it could forge a result.
 */
static int
check_owner(int fd, const char *what, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot look at %s", what);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(err, ERR_FAILED,
			       "%s belongs to another user or can be written by others: give it to "
			       "the user of bmd-run, and to nobody else to write (chmod go-w)",
			       what);
	return 0;
}

/* With its group in one call: whatever stops us behind it, power that goes too, leaves no folder
 * that bmd cannot look into. */
static int
make_directory(int at, const char *path, mode_t mode, gid_t reader)
{
	gid_t before = reader == (gid_t)-1 ? reader : (gid_t)setfsgid(reader);
	int r = mkdirat(at, path, mode) < 0 ? -errno : 0;

	if (reader != (gid_t)-1)
		(void)setfsgid(before);
	return r;
}

static int
directory_open(struct folder *folder, const char *path, gid_t reader, struct err *err)
{
	int r = make_directory(AT_FDCWD, path, reader == (gid_t)-1 ? 0711 : 0751, reader);
	bool made = r >= 0;

	if (r < 0 && r != -EEXIST)
		return err_errno(err, -r, "cannot make the run directory %s", path);
	folder->directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->directory_fd < 0)
		return err_errno(err, errno, "cannot open the run directory %s", path);
	if (made && reader != (gid_t)-1 &&
	    (fchown(folder->directory_fd, (uid_t)-1, reader) < 0 ||
	     fchmod(folder->directory_fd, 0751) < 0))
		return err_errno(err, errno, "cannot set the group of the run directory %s", path);
	return check_owner(folder->directory_fd, path, err);
}

static int
job_open(struct folder *folder, gid_t reader, struct err *err)
{
	int r = make_directory(folder->directory_fd, folder->name,
			       reader == (gid_t)-1 ? 0700 : 0750, reader);

	if (r < 0 && r != -EEXIST)
		return err_errno(err, -r, "cannot make the run folder %s", folder->name);
	failpoint("folder-made");
	folder->fd = openat(folder->directory_fd, folder->name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->fd < 0)
		return err_errno(err, errno, "cannot open the run folder %s", folder->name);
	if (reader != (gid_t)-1 &&
	    (fchown(folder->fd, (uid_t)-1, reader) < 0 || fchmod(folder->fd, 02750) < 0))
		return err_errno(err, errno, "cannot set the group of the run folder %s",
				 folder->name);
	return check_owner(folder->fd, "the run folder", err);
}

static int
lock_take(struct folder *folder, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	folder->lock_fd = openat(folder->fd, "lock",
				 O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, FILE_MODE);
	if (folder->lock_fd < 0)
		return err_errno(err, errno, "cannot open the lock of job %s", folder->name);
	if (fcntl(folder->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return err_errno(err, errno, "cannot lock the run folder of job %s", folder->name);
	err_set(err, ERR_REFUSED, "another bmd-run has job %s in its hands", folder->name);
	return -EBUSY;
}

static int
unclaimed(struct folder *folder, int64_t job, struct err *err)
{
	static const char *const names[] = {"started", "result"};
	struct stat st;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (fstatat(folder->fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0) {
			err_set(err, ERR_REFUSED,
				"job %s was begun before: its run folder holds \"%s\"",
				folder->name, names[i]);
			return -EEXIST;
		}
		if (errno != ENOENT)
			return err_errno(err, errno, "cannot look into the run folder of job %s",
					 folder->name);
	}
	r = begun_is(folder->directory_fd, job);
	if (r < 0)
		return err_errno(err, -r, "cannot see whether job %s was begun before",
				 folder->name);
	if (r > 0) {
		err_set(err, ERR_REFUSED,
			"job %s was begun before, and its run folder was removed since (keep-runs)",
			folder->name);
		return -EEXIST;
	}
	return 0;
}

int
folder_open(const char *run_directory, int64_t job, gid_t reader, struct folder **ret_folder,
	    struct err *err)
{
	_cleanup_(cleanup_folder) struct folder *folder = xcalloc(1, sizeof(*folder));
	int r;

	folder->directory_fd = folder->fd = folder->lock_fd = -1;
	folder->events_fd = folder->result_fd = -1;
	folder->shared = reader != (gid_t)-1;
	snprintf(folder->name, sizeof(folder->name), "%" PRId64, job);
	r = directory_open(folder, run_directory, reader, err);
	if (r >= 0)
		r = job_open(folder, reader, err);
	if (r >= 0)
		r = lock_take(folder, err);
	if (r >= 0)
		r = unclaimed(folder, job, err);
	if (r < 0)
		return r;
	*ret_folder = TAKE(folder);
	return 0;
}

/* A new file with room for N bytes that its size does not show. File systems that cannot do so do
 * without. */
static int
reserved_open(struct folder *folder, const char *name, size_t n, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = openat(
	    folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	int r;

	if (fd < 0)
		return err_errno(err, errno, "cannot make \"%s\" of job %s", name, folder->name);
	do
		r = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno != EOPNOTSUPP && errno != ENOSYS)
		return err_errno(err, errno, "no room for \"%s\" of job %s", name, folder->name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int
folder_reserve(struct folder *folder, size_t events_bytes, struct err *err)
{
	int r = reserved_open(folder, "events", events_bytes, &folder->events_fd, err);

	if (r >= 0)
		r = reserved_open(folder, "result.new", RESULT_ROOM, &folder->result_fd, err);
	return r;
}

int
folder_listen(struct folder *folder, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	if (fd < 0)
		return err_errno(err, errno, "cannot make a socket for job %s", folder->name);
	/* By way of the descriptor, for a path may be longer than an address. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control",
		 folder->fd);
	unlinkat(folder->fd, "control", 0);
	mask = umask(folder->shared ? 0117 : 0177);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (r < 0 || listen(fd, 16) < 0)
		return err_errno(err, errno, "cannot listen in the run folder of job %s",
				 folder->name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void
folder_unlisten(struct folder *folder)
{
	unlinkat(folder->fd, "control", 0);
}

static int
write_at(int fd, off_t at, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, text, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		text += w;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int
folder_prepare(struct folder *folder, const json_t *started, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(started, JSON_COMPACT);
	_cleanup_close_ int fd =
	    openat(folder->fd, "started.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		   FILE_MODE);
	int r = fd < 0 ? -errno : write_at(fd, 0, text, strlen(text));

	if (r >= 0 && (fsync(fd) < 0 || fsync(folder->directory_fd) < 0))
		r = -errno;
	if (r < 0)
		err_errno(err, -r, "cannot prepare the run of job %s", folder->name);
	return r;
}

int
folder_claim(struct folder *folder, struct err *err)
{
	int r;

	failpoint("claim-before");
	r = linkat(folder->fd, "started.new", folder->fd, "started", 0) < 0 ? -errno : 0;
	failpoint("claim-linked");
	unlinkat(folder->fd, "started.new", 0);
	if (r >= 0 && fsync(folder->fd) < 0) {
		r = -errno;
		/* Taken back, since nothing of the run has begun: left there it would say that
		 * something has, and the job were lost. */
		unlinkat(folder->fd, "started", 0);
	}
	if (r < 0)
		err_errno(err, -r, "cannot claim the run of job %s", folder->name);
	return r;
}

int
folder_event(struct folder *folder, const json_t *event, bool durable, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(event, JSON_COMPACT);
	size_t n = strlen(text);
	int r;

	text[n] = '\n'; /* over the NUL: N + 1 bytes are written */
	failpoint("event-before");
	r = write_at(folder->events_fd, folder->events_end, text, n + 1);
	if (r >= 0 && durable && fdatasync(folder->events_fd) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(err, -r, "cannot record an event of job %s", folder->name);
	folder->events_end += (off_t)n + 1;
	return 0;
}

int
folder_result(struct folder *folder, const json_t *result, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(result, JSON_COMPACT);
	int r;

	failpoint("result-before");
	r = write_at(folder->result_fd, 0, text, strlen(text));
	while (r >= 0 && ftruncate(folder->result_fd, (off_t)strlen(text)) < 0)
		r = errno == EINTR ? 0 : -errno;
	/* What ran is on disk before its end is. */
	if (r >= 0 && (fdatasync(folder->events_fd) < 0 || fsync(folder->result_fd) < 0))
		r = -errno;
	failpoint("result-written");
	if (r >= 0 && renameat(folder->fd, "result.new", folder->fd, "result") < 0)
		r = -errno;
	failpoint("result-renamed");
	if (r >= 0 && fsync(folder->fd) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(err, -r, "cannot record the result of job %s", folder->name);
	return 0;
}
