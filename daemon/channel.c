/* SPDX-License-Identifier: ISC */
/*
 * A stream socket to a helper. Bytes that the socket does not take at once wait in one buffer;
 * frames are handed out one by one, and a callback may free the channel under us: then ALIVE, which
 * lies on the reader's stack, says so.
 */
#include "daemon/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/json.h"
#include "common/scope.h"
#include "common/varlink.h"
#include "common/xalloc.h"

#define READS_A_TURN 16 /* so that a flooding helper does not starve the loop */

struct channel {
	struct ev_loop *loop;
	int fd;
	ev_io in, out;
	struct varlink_input input;
	char *waiting; /* bytes that the socket did not take */
	size_t start, end, room;
	bool ending; /* shut the writing side down when all is out */
	bool *alive;
	void (*message)(const json_t *object, void *arg);
	void (*closed)(void *arg);
	void *arg;
};

static void
report_closed(struct channel *channel)
{
	void (*closed)(void *) = channel->closed;

	ev_io_stop(channel->loop, &channel->in);
	ev_io_stop(channel->loop, &channel->out);
	channel->closed = NULL;
	if (closed)
		closed(channel->arg);
}

/* Hands out every whole frame. False: the channel is gone, or broken and reported. */
static bool
deliver(struct channel *channel)
{
	bool alive = true;
	const char *text;
	size_t n;
	int r;

	while ((r = varlink_input_frame(&channel->input, &text, &n)) > 0) {
		_cleanup_json_ json_t *object = NULL;

		if (json_parse(text, n, VARLINK_FRAME_MAX, &object, NULL) < 0) {
			r = -EBADMSG;
			break;
		}
		channel->alive = &alive;
		channel->message(object, channel->arg);
		if (!alive)
			return false;
		channel->alive = NULL;
	}
	if (r < 0)
		report_closed(channel);
	return r == 0;
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct channel *channel = watcher->data;

	(void)loop, (void)events;
	for (int i = 0; i < READS_A_TURN; i++) {
		size_t room;
		void *to = varlink_input_room(&channel->input, &room);
		ssize_t n = read(channel->fd, to, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			report_closed(channel);
			return;
		}
		varlink_input_add(&channel->input, (size_t)n);
		if (!deliver(channel))
			return;
	}
}

static void
flush(struct channel *channel)
{
	while (channel->start < channel->end) {
		ssize_t n = send(channel->fd, channel->waiting + channel->start,
				 channel->end - channel->start, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(channel->loop, &channel->out);
			return;
		}
		if (n < 0) { /* the reading side will say that the connection is gone */
			channel->start = channel->end = 0;
			ev_io_stop(channel->loop, &channel->out);
			return;
		}
		channel->start += (size_t)n;
	}
	channel->start = channel->end = 0;
	ev_io_stop(channel->loop, &channel->out);
	if (channel->ending)
		shutdown(channel->fd, SHUT_WR);
}

static void
on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	flush(watcher->data);
}

struct channel *
channel_new(struct ev_loop *loop, int fd, void (*message)(const json_t *object, void *arg),
	    void (*closed)(void *arg), void *arg)
{
	struct channel *channel = xcalloc(1, sizeof(*channel));

	*channel = (struct channel){
	    .loop = loop, .fd = fd, .message = message, .closed = closed, .arg = arg};
	ev_io_init(&channel->in, on_readable, fd, EV_READ);
	ev_io_init(&channel->out, on_writable, fd, EV_WRITE);
	channel->in.data = channel->out.data = channel;
	ev_io_start(loop, &channel->in);
	return channel;
}

void
channel_free(struct channel *channel)
{
	if (!channel)
		return;
	if (channel->alive)
		*channel->alive = false;
	ev_io_stop(channel->loop, &channel->in);
	ev_io_stop(channel->loop, &channel->out);
	close(channel->fd);
	varlink_input_clear(&channel->input);
	free(channel->waiting);
	free(channel);
}

int
channel_send_bytes(struct channel *channel, const void *bytes, size_t n)
{
	if (channel->end - channel->start + n > CHANNEL_OUT_MAX)
		return -E2BIG;
	if (channel->end + n > channel->room) {
		channel->room = (channel->end + n) * 2;
		channel->waiting = xrealloc(channel->waiting, channel->room, 1);
	}
	memcpy(channel->waiting + channel->end, bytes, n);
	channel->end += n;
	if (!ev_is_active(&channel->out))
		flush(channel);
	return 0;
}

int
channel_send(struct channel *channel, const json_t *object)
{
	_cleanup_free_ char *frame = NULL;
	size_t n;
	int r = varlink_pack(object, &frame, &n);

	return r < 0 ? r : channel_send_bytes(channel, frame, n);
}

void
channel_end(struct channel *channel)
{
	channel->ending = true;
	if (!ev_is_active(&channel->out))
		flush(channel);
}

int
channel_connect_run(const char *run_directory, int64_t job)
{
	_cleanup_free_ char *folder = xasprintf("%s/%" PRId64, run_directory, job);
	_cleanup_close_ int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (folder_fd < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* By the folder's descriptor: its path may be longer than a socket address. */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", folder_fd);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}
