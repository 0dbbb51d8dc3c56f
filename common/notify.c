/* SPDX-License-Identifier: ISC */
/*
 * sd_notify(3) and sd_listen_fds(3) without libsystemd: datagrams to $NOTIFY_SOCKET, a path or an
 * abstract name, and the listening socket that systemd handed over. A message that cannot be sent
 * is dropped: whoever waits for it has a deadline of its own, and the daemon works without.
 */
#include "common/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/scope.h"

#define LISTEN_FIRST 3
#define LISTEN_MAX   16

static void
notify_send(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	size_t n;

	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	n = strlen(path);
	if (n < 2 || n >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	else
		n++; /* a path ends with its NUL, an abstract name does not */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)sendto(fd, message, strlen(message), MSG_NOSIGNAL,
			     (const struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

void
notify_ready(void)
{
	notify_send("READY=1");
}

/* MONOTONIC_USEC goes along always: newer versions of systemd insist on it, older ones ignore it.
 */
void
notify_reloading(void)
{
	struct timespec now;
	char message[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify_send(message);
}

void
notify_stopping(void)
{
	notify_send("STOPPING=1");
}

void
notify_status(const char *text)
{
	char message[512] = "STATUS=";
	size_t n = strlen(message);

	/* One line is one assignment: a line break in TEXT must not begin another. */
	for (; *text && n < sizeof(message) - 1; text++)
		message[n++] = *text == '\n' || *text == '\r' ? ' ' : *text;
	message[n] = '\0';
	notify_send(message);
}

void
notify_alive(void)
{
	notify_send("WATCHDOG=1");
}

/* The value of a variable as a number from 0 to MAX, else -1. */
static long
variable(const char *name, long max)
{
	const char *s = getenv(name);
	char *end;
	long n;

	if (!s || *s < '0' || *s > '9')
		return -1;
	errno = 0;
	n = strtol(s, &end, 10);
	return errno || *end || n > max ? -1 : n;
}

int64_t
notify_watchdog_us(void)
{
	long us = variable("WATCHDOG_USEC", LONG_MAX);

	if (getenv("WATCHDOG_PID") && variable("WATCHDOG_PID", INT_MAX) != (long)getpid())
		us = 0;
	/* Whatever is started from here has no watchdog. */
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return us > 0 ? us / 2 : 0;
}

/* Which of N descriptors is named "varlink" in the list "a:b:c"; -1 if none is. */
static int
position(const char *names, long n)
{
	static const char wanted[] = "varlink";

	for (int i = 0; names && i < n; i++) {
		size_t length = strcspn(names, ":");

		if (length == sizeof(wanted) - 1 && !memcmp(names, wanted, length))
			return i;
		names = names[length] ? names + length + 1 : NULL;
	}
	return -1;
}

static bool
listens(int fd)
{
	struct sockaddr_un name = {.sun_family = AF_UNSPEC};
	socklen_t length = sizeof(name), size = sizeof(int);
	int on = 0;

	return getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
	       name.sun_family == AF_UNIX &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

int
notify_listen_fd(void)
{
	long n = variable("LISTEN_FDS", LISTEN_MAX);
	int i = -1, fd = -1;

	if (n > 0 && variable("LISTEN_PID", INT_MAX) == (long)getpid()) {
		for (int k = 0; k < n; k++) {
			(void)fcntl(LISTEN_FIRST + k, F_SETFD, FD_CLOEXEC);
			(void)fcntl(LISTEN_FIRST + k, F_SETFL, O_NONBLOCK);
		}
		i = position(getenv("LISTEN_FDNAMES"), n);
		if (i < 0 && n == 1)
			i = 0;
		if (i >= 0 && listens(LISTEN_FIRST + i))
			fd = LISTEN_FIRST + i;
	}
	/* Whatever is started from here must not take them for its own. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return fd;
}
