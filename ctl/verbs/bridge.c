/* SPDX-License-Identifier: ISC */
/*
 * bridge: the far end of bmctl -H. Passes bytes between standard input and output and bmd, each way
 * with one bounded buffer, and knows nothing of what they mean. The end of the input is passed on
 * and answers still come back; it is over when bmd has ended or nobody reads any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "ctl/verbs/verbs.h"

#define BUFFER 65536

struct way {
	int from, to;
	size_t start, end; /* of what is in BYTES and not yet written */
	bool ended;	   /* FROM has */
	char bytes[BUFFER];
};

static bool
is_empty(const struct way *way)
{
	return way->start == way->end;
}

/* Reads if there is room: 0, or a negative errno. */
static int
take(struct way *way)
{
	ssize_t n;

	if (!is_empty(way) || way->ended)
		return 0;
	n = read(way->from, way->bytes, sizeof(way->bytes));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	way->start = 0;
	way->end = (size_t)n;
	way->ended = n == 0;
	return 0;
}

static int
give(struct way *way)
{
	ssize_t n;

	if (is_empty(way))
		return 0;
	n = write(way->to, way->bytes + way->start, way->end - way->start);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	way->start += (size_t)n;
	return 0;
}

/* What to wait for: of FROM when there is room, of TO when there is something to write. */
static void
watch(const struct way *way, struct pollfd *from, struct pollfd *to)
{
	*from =
	    (struct pollfd){.fd = is_empty(way) && !way->ended ? way->from : -1, .events = POLLIN};
	*to = (struct pollfd){.fd = is_empty(way) ? -1 : way->to, .events = POLLOUT};
}

/* Until bmd has ended and all of it was passed on, or one of the two is gone. */
static int
pump(struct way *in, struct way *out)
{
	bool half = false;
	int r;

	while (!out->ended || !is_empty(out)) {
		struct pollfd fds[4];

		watch(in, &fds[0], &fds[1]);
		watch(out, &fds[2], &fds[3]);
		/* Asked for nothing it still tells that nobody reads any more. */
		fds[3] = (struct pollfd){.fd = out->to, .events = is_empty(out) ? 0 : POLLOUT};
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			return -errno;
		if ((fds[3].revents & (POLLERR | POLLHUP)) != 0)
			return -EPIPE;
		if ((r = take(in)) < 0 || (r = take(out)) < 0 || (r = give(out)) < 0)
			return r;
		/* A bmd that has ended may have said why: that is still to be read. */
		if (give(in) < 0)
			in->start = in->end;
		if (in->ended && is_empty(in) && !half) {
			shutdown(in->to, SHUT_WR);
			half = true;
		}
	}
	return 0;
}

int
verb_bridge(struct ctl *ctl, struct err *err)
{
	static struct way in = {.from = STDIN_FILENO}, out = {.to = STDOUT_FILENO};
	int flags[2] = {fcntl(STDIN_FILENO, F_GETFL), fcntl(STDOUT_FILENO, F_GETFL)};
	int r;

	if ((r = client_open(ctl->client, &in.to, err)) < 0)
		return r;
	out.from = in.to;
	signal(SIGPIPE, SIG_IGN);
	for (int fd = 0; fd < 2; fd++)
		fcntl(fd, F_SETFL, flags[fd] | O_NONBLOCK);
	r = pump(&in, &out);
	for (int fd = 0; fd < 2; fd++)
		fcntl(fd, F_SETFL, flags[fd]); /* others may share them */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return err_errno(err, -r, "the bridge to bmd is broken");
	return CTL_DONE;
}
