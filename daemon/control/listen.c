/* SPDX-License-Identifier: ISC */
/*
 * A socket file outlives its process, so before one is removed its owner is called: who answers is
 * named and left alone. The mode comes from the umask around bind(2), never from a later chmod(2).
 * One descriptor is kept in reserve: without any left, accept(2) would fail and the newcomer stay
 * in the queue, where it wakes the loop for ever.
 */
#include "daemon/control/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/varlink.h"
#include "common/xalloc.h"

/* As many as one pass accepts: who comes into a storm of connections waits behind no more. Others
 * wait in connect(2). */
#define BACKLOG 64

struct listen {
	int fd, reserve;
	char *path; /* NULL when it was given to us */
	dev_t device;
	ino_t inode;
};

static int
address(const char *path, struct sockaddr_un *ret, struct err *err)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path)) {
		(void)err_set(
		    err, ERR_FAILED,
		    "the socket path %s has %zu bytes and may have %zu: choose a shorter one "
		    "(socket, in bmd.conf)",
		    path, strlen(path), sizeof(ret->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(ret->sun_path, path);
	return 0;
}

static int
occupied(int fd, const char *path, struct err *err)
{
	struct ucred owner;
	socklen_t n = sizeof(owner);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &n) == 0 && owner.pid > 0)
		(void)err_set(
		    err, ERR_FAILED,
		    "process %d already answers at %s: stop it first, or choose another socket",
		    owner.pid, path);
	else
		(void)err_set(err, ERR_FAILED,
			      "another process already answers at %s: stop it first, or choose "
			      "another socket",
			      path);
	return -EADDRINUSE;
}

/* Removes what a dead owner left at the path. */
static int
clear_path(const struct sockaddr_un *to, struct err *err)
{
	const char *path = to->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode)) {
		(void)err_set(err, ERR_FAILED, "%s is there and is no socket: move it away", path);
		return -EEXIST;
	}
	_cleanup_close_ int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return err_errno(err, errno, "cannot make a socket");
	/* EAGAIN: somebody listens, and is behind. */
	if (connect(probe, (const struct sockaddr *)to, sizeof(*to)) == 0 || errno == EAGAIN)
		return occupied(probe, path, err);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return err_errno(err, errno, "cannot find out who owns %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, errno, "cannot remove the stale socket %s", path);
	return 0;
}

static int
make_folder(const char *path, struct err *err)
{
	_cleanup_free_ char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');

	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	mode_t before = umask(0022);
	int r = mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
	umask(before);
	return r < 0 ? err_errno(err, -r, "cannot make the folder %s of the socket", folder) : 0;
}

static int
make_socket(struct listen *l, const char *path, struct err *err)
{
	struct sockaddr_un to;
	struct stat st;
	int r;

	if ((r = address(path, &to, err)) < 0 || (r = make_folder(path, err)) < 0 ||
	    (r = clear_path(&to, err)) < 0)
		return r;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_errno(err, errno, "cannot make a socket");
	mode_t before = umask(0111);
	r = bind(l->fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
	umask(before);
	if (r < 0)
		return err_errno(err, -r, "cannot make the socket %s", path);
	l->path = xstrdup(path);
	if (stat(path, &st) < 0 || listen(l->fd, BACKLOG) < 0)
		return err_errno(err, errno, "cannot listen at %s", path);
	l->device = st.st_dev;
	l->inode = st.st_ino;
	return 0;
}

static int
take_socket(struct listen *l, int fd, struct err *err)
{
	int listening = 0, family = 0;
	socklen_t n = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) < 0 || !listening ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) < 0 || family != AF_UNIX)
		return err_set(err, ERR_FAILED,
			       "descriptor %d, given at the start, is no listening Unix socket",
			       fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return err_errno(err, errno, "cannot set up descriptor %d", fd);
	l->fd = fd;
	return 0;
}

int
listen_new(const char *path, int given_fd, struct listen **ret_listen, struct err *err)
{
	struct listen *l = xcalloc(1, sizeof(*l));
	int r;

	l->fd = -1;
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = given_fd >= 0 ? take_socket(l, given_fd, err) : make_socket(l, path, err);
	if (r < 0) {
		listen_free(l);
		return r;
	}
	*ret_listen = l;
	return 0;
}

void
listen_free(struct listen *l)
{
	struct stat st;

	if (!l)
		return;
	if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
		(void)unlink(l->path);
	free(l->path);
	if (l->fd >= 0)
		close(l->fd);
	if (l->reserve >= 0)
		close(l->reserve);
	free(l);
}

int
listen_fd(const struct listen *l)
{
	return l->fd;
}

int
listen_accept(struct listen *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
		return -EAGAIN; /* the next one wakes the loop again */
	if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
		return -errno;
	if (l->reserve >= 0)
		close(l->reserve);
	fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		listen_refuse(fd, "bmd has no file descriptor left: try again in a moment");
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return -EMFILE;
}

void
listen_refuse(int fd, const char *why)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *object = NULL;
	_cleanup_free_ char *frame = NULL;
	size_t n;

	(void)err_set(&err, ERR_TOO_MANY, "%s", why);
	object = err_to_json(&err);
	if (varlink_pack(object, &frame, &n) == 0)
		(void)!send(fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}
