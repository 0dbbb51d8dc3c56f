/* SPDX-License-Identifier: ISC */
/*
 * A connection: bytes come in by its read watcher and are counted as frames, output is written at
 * once, many replies by one send(2); only what the socket does not take gets a write watcher.
 *
 * A client is *doomed* first and buried in the prepare watcher, so that nobody's call ends inside
 * his own call of a function of control.h. It stays in memory while the turn or a handler holds it.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/failpoint.h"
#include "common/xalloc.h"
#include "daemon/control/control_private.h"
#include "daemon/log.h"

#define PIPELINED  64		/* frames that wait before reading pauses */
#define READ_TURN  (256 * 1024) /* with frames in it no more is read */
#define OUTPUT_MAX (4 * 1024 * 1024)
#define OUTPUT_LOW (256 * 1024) /* below this a stream may send, and the next call is taken */
/* Where there are many clients each has a share of these instead. Buffers double: at worst both are
 * twice as large, and CONTROL_MEMORY is not reached by them. */
#define READ_ALL   (2 * 1024 * 1024)
#define OUTPUT_ALL (4 * 1024 * 1024)
/* Of a peer without a role: all that it can get is a refusal. */
#define NOBODY_FRAME_MAX (64 * 1024)
#define FRAME_SECONDS	 30.0
#define STALL_SECONDS	 60.0

static void
link_client(struct client **head, struct client *c)
{
	c->previous = NULL;
	c->next = *head;
	if (*head)
		(*head)->previous = c;
	*head = c;
}

static void
unlink_client(struct client **head, struct client *c)
{
	if (c->previous)
		c->previous->next = c->next;
	else
		*head = c->next;
	if (c->next)
		c->next->previous = c->previous;
}

/* ---- its memory ---- */

void
client_weigh(struct client *c)
{
	size_t bytes = c->in.room + c->out.room + c->held_bytes;

	c->control->memory += bytes - c->memory;
	c->memory = bytes;
}

static void
forget_bytes(struct client *c)
{
	varlink_input_clear(&c->in);
	buffer_clear(&c->out);
	client_weigh(c);
}

/* ---- the end of a client ---- */

void
client_doom(struct client *c)
{
	if (!c->buried)
		client_list(c, DOOMED);
}

void
client_end_call(struct client *c)
{
	c->call = (struct control_call){0};
}

void
client_abandon_call(struct client *c)
{
	struct control_call call = c->call;

	if (!call.open || !call.gone)
		return;
	client_end_call(c);
	call.gone(call.gone_arg);
}

void
client_abandon_upgrade(struct client *c)
{
	void (*taken)(int fd, void *arg) = c->taken;

	c->taken = NULL;
	if (taken)
		taken(-1, c->taken_arg);
}

static void
free_client(struct client *c)
{
	c->control->given += sizeof(*c);
	line_leave(c);
	peer_clear(&c->peer);
	forget_bytes(c);
	c->control->memory -= c->memory; /* held_bytes of a turn that never ended */
	while (c->again) {
		struct held *held = c->again;

		c->again = held->next;
		free(held->ask);
		free(held);
	}
	free(c);
}

/* A buried client goes when neither the turn nor a handler will speak of it again. */
static void
free_if_done(struct client *c)
{
	client_abandon_call(c);
	if (c->call.open || c->awaited)
		return;
	for (int i = 0; i < LISTS; i++)
		if (c->in_list[i])
			return;
	unlink_client(&c->control->lingering, c);
	free_client(c);
}

static void
stop_watchers(struct client *c)
{
	struct ev_loop *loop = c->control->loop;

	ev_io_stop(loop, &c->readable);
	ev_io_stop(loop, &c->writable);
	ev_timer_stop(loop, &c->frame);
	ev_timer_stop(loop, &c->stall);
	if (c->watched)
		(void)epoll_ctl(c->control->hang_ups, EPOLL_CTL_DEL, c->fd, NULL);
	c->watched = false;
}

/* Takes the descriptor out of our hands; what the handler still has lingers. */
static int
detach(struct client *c)
{
	int fd = c->fd;

	stop_watchers(c);
	c->fd = -1;
	c->buried = true;
	c->control->nclients--;
	c->line->clients--;
	unlink_client(&c->control->clients, c);
	link_client(&c->control->lingering, c);
	forget_bytes(c);
	return fd;
}

void
client_bury(struct client *c)
{
	if (!c->buried) {
		close(detach(c));
		client_abandon_upgrade(c);
	}
	free_if_done(c);
}

/* Nobody will read: frames that were sent are still taken, for they may be oneway calls. */
static void
hang_up(struct client *c)
{
	c->hung_up = c->eof = true;
	stop_watchers(c);
	buffer_clear(&c->out);
	if (c->call.open || c->taken || !c->frames)
		client_doom(c);
	else
		client_list(c, READY);
}

/* ---- output ---- */

static size_t
unsent(const struct client *c)
{
	return buffer_size(&c->out) + c->held_bytes;
}

/* Of ALL, and no more than ONE. */
static size_t
share_of(const struct client *c, size_t all, size_t one)
{
	size_t share = all / (c->control->nclients + 1);

	return share < one ? share : one;
}

bool
client_has_room(const struct client *c)
{
	return unsent(c) < share_of(c, OUTPUT_ALL, OUTPUT_LOW);
}

bool
client_takes_calls(const struct client *c)
{
	return !c->call.open && !c->closing && !c->taken && !c->buried && !c->again &&
	       client_has_room(c);
}

bool
client_asks_again(const struct client *c)
{
	return c->again && !c->call.open && !c->buried && client_has_room(c);
}

/* The upgrade's reply was written: the connection is no longer ours. */
static void
hand_over(struct client *c)
{
	void (*taken)(int fd, void *arg) = c->taken;

	c->taken = NULL;
	int fd = detach(c);
	client_list(c, DOOMED);
	taken(fd, c->taken_arg);
}

/* Before an upgrade's reply nothing may come: neither bytes, which would be lost, nor the end. */
static bool
sent_ahead(struct client *c)
{
	const char *rest;
	char byte;

	if (c->eof || varlink_input_rest(&c->in, &rest) > 0)
		return true;
	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* All that there was is written. */
static void
flushed(struct client *c)
{
	ev_io_stop(c->control->loop, &c->writable);
	ev_timer_stop(c->control->loop, &c->stall);
	c->out.start = c->out.end = 0;
	if (c->out.room > CONTROL_BUFFER_KEEP)
		buffer_clear(&c->out);
	if (c->taken && !c->awaited)
		hand_over(c);
	else if (c->closing && !c->awaited && !c->again)
		client_doom(c);
}

static void
on_quiet(void *arg, const struct err *failure)
{
	struct client *c = arg;

	(void)failure;
	c->awaited--;
	c->quiet = false;
	if (c->buried)
		client_list(c, DOOMED);
	else
		client_flush(c);
}

void
client_await_quiet(struct client *c)
{
	if (c->quiet)
		return;
	c->quiet = true;
	c->awaited++;
	turn_after(c->control->turn, on_quiet, c);
}

void
client_go_on(struct client *c)
{
	void (*drained)(void *arg) = c->call.drained;

	if (!drained || !client_has_room(c))
		return;
	if (turn_open(c->control->turn)) {
		client_await_quiet(c);
		return;
	}
	c->call.drained = NULL;
	drained(c->call.drained_arg);
}

/* What the reader has not yet taken out of the socket. */
static int
untaken(const struct client *c)
{
	int bytes = 0;

	return ioctl(c->fd, SIOCOUTQ, &bytes) < 0 ? 0 : bytes;
}

static void
wait_writable(struct client *c, bool moved)
{
	if (!ev_is_active(&c->writable))
		ev_io_start(c->control->loop, &c->writable);
	if (!moved && ev_is_active(&c->stall))
		return;
	c->untaken = untaken(c);
	ev_timer_again(c->control->loop, &c->stall);
}

void
client_cut_off(struct client *c, const char *why)
{
	peer_name(&c->peer);
	log_warning("cut off a client (%s, process %lld) that %s", c->peer.name,
		    (long long)c->peer.pid, why);
	c->frames = 0;
	c->hung_up = c->eof = true;
	stop_watchers(c);
	forget_bytes(c);
	client_doom(c);
}

/* Gives the socket what it takes. */
static void
write_out(struct client *c)
{
	bool moved = false;

	while (buffer_size(&c->out) > 0) {
		ssize_t n;

		failpoint("reply-before");
		n = send(c->fd, c->out.data + c->out.start, buffer_size(&c->out),
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			hang_up(c);
			return;
		}
		if (n < 0)
			break;
		c->out.start += (size_t)n;
		moved = true;
		failpoint("reply-after");
	}
	if (buffer_size(&c->out) == 0)
		flushed(c);
	else if (buffer_size(&c->out) > OUTPUT_MAX)
		client_cut_off(c, "is 4 MiB behind with its reading");
	else
		wait_writable(c, moved);
}

void
client_flush(struct client *c)
{
	if (c->buried)
		return;
	if (c->taken && !c->hung_up && sent_ahead(c)) {
		client_doom(c);
		return;
	}
	if (c->hung_up)
		buffer_clear(&c->out);
	else
		write_out(c);
	if (c->buried)
		return;
	if (!c->hung_up)
		client_go_on(c);
	if ((c->frames && client_takes_calls(c)) || client_asks_again(c))
		client_list(c, READY);
	client_look(c);
}

/* ---- input ---- */

/* A client that is not read from is watched for its hang-up only, which epoll tells without being
 * asked for. */
static void
watch(struct client *c, bool reading)
{
	struct epoll_event event = {.data.ptr = c};

	if (reading == ev_is_active(&c->readable) && reading != c->watched)
		return;
	if (reading) {
		if (c->watched)
			(void)epoll_ctl(c->control->hang_ups, EPOLL_CTL_DEL, c->fd, NULL);
		ev_io_start(c->control->loop, &c->readable);
	} else {
		ev_io_stop(c->control->loop, &c->readable);
		if (!c->watched &&
		    epoll_ctl(c->control->hang_ups, EPOLL_CTL_ADD, c->fd, &event) < 0)
			log_warning("cannot watch a client for its end: %s", strerror(errno));
	}
	c->watched = !reading;
}

void
client_look(struct client *c)
{
	const char *rest;
	size_t n = varlink_input_rest(&c->in, &rest);

	if (c->buried)
		return;
	if (c->eof && client_takes_calls(c) && !c->frames && !c->again && !c->awaited &&
	    unsent(c) == 0) {
		client_doom(c);
		return;
	}
	if (c->hung_up) {
		if (c->call.open || c->taken)
			client_doom(c);
		return;
	}
	if (n == 0)
		varlink_input_clear(&c->in);
	client_weigh(c);
	bool reading = !c->eof && !c->closing && !c->taken && c->control->listen &&
		       c->frames < PIPELINED &&
		       !(c->frames > 0 && n > share_of(c, READ_ALL, READ_TURN));
	if (!reading || n == 0 || c->frames || c->call.open)
		ev_timer_stop(c->control->loop, &c->frame);
	else if (!ev_is_active(&c->frame))
		ev_timer_again(c->control->loop, &c->frame);
	watch(c, reading);
}

static size_t
count_frames(const char *bytes, size_t n)
{
	const char *end = bytes + n, *nul;
	size_t count = 0;

	for (; (nul = memchr(bytes, '\0', (size_t)(end - bytes))); bytes = nul + 1)
		count++;
	return count;
}

/* Returns false when there is no more now. */
static bool
read_some(struct client *c, size_t *total)
{
	size_t room;
	char *to = varlink_input_room(&c->in, &room);

	if (room == 0)
		return false;
	ssize_t n = recv(c->fd, to, room, MSG_DONTWAIT);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0) {
		hang_up(c);
		return false;
	}
	if (n == 0) {
		c->eof = true;
		return false;
	}
	varlink_input_add(&c->in, (size_t)n);
	size_t frames = count_frames(to, (size_t)n);
	/* A new frame has begun: it has its own time. */
	if (frames)
		ev_timer_stop(c->control->loop, &c->frame);
	c->frames += frames;
	*total += (size_t)n;
	return (size_t)n == room;
}

static void
on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *c = w->data;
	const char *rest;
	size_t total = 0;

	(void)loop, (void)revents;
	/* What is too much goes first, in this pass of the loop; then the socket is still readable.
	 */
	if (c->control->memory > CONTROL_MEMORY)
		return;
	while (total < share_of(c, READ_ALL, READ_TURN) && c->frames < CONTROL_TURN_CLIENT &&
	       read_some(c, &total))
		continue;
	client_weigh(c);
	if (c->hung_up)
		return;
	if (!c->frames && !c->call.open && c->peer.role == CONTROL_NOBODY &&
	    varlink_input_rest(&c->in, &rest) > NOBODY_FRAME_MAX)
		c->too_long = NOBODY_FRAME_MAX;
	client_list(c, READY);
	/* Its turn may be some passes away. */
	if (c->frames)
		client_look(c);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	client_flush(w->data);
}

static void
on_frame_late(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	client_doom(w->data);
}

/* A socket is called writable only when most of it was taken: a slow reader may have taken some. */
static void
on_stall(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *c = w->data;
	int before = c->untaken;

	(void)loop, (void)revents;
	c->untaken = untaken(c);
	if (c->untaken >= before)
		client_cut_off(c, "took nothing for a minute");
}

void
client_hang_ups(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *control = w->data;
	struct epoll_event events[16];
	int n = epoll_wait(control->hang_ups, events, ARRAY_SIZE(events), 0);

	(void)loop, (void)revents;
	for (int i = 0; i < n; i++)
		hang_up(events[i].data.ptr);
}

/* ---- its beginning, and the end of those that linger ---- */

void
client_new(struct control *control, int fd, const struct control_peer *peer)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->peer = *peer;
	c->control = control;
	line_join(c);
	c->fd = fd;
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	ev_init(&c->frame, on_frame_late);
	ev_init(&c->stall, on_stall);
	c->frame.repeat = FRAME_SECONDS;
	c->stall.repeat = STALL_SECONDS;
	c->readable.data = c->writable.data = c->frame.data = c->stall.data = c;
	link_client(&control->clients, c);
	control->nclients++;
	ev_io_start(control->loop, &c->readable);
}

void
client_free_lingering(struct control *control)
{
	struct client *c;

	while ((c = control->lingering)) {
		client_abandon_call(c);
		unlink_client(&control->lingering, c);
		free_client(c);
	}
}
