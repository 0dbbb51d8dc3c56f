/* SPDX-License-Identifier: ISC */
/*
 * Connections, and what is in hand on each. A connection has at most one call open; the next frame
 * waits in the input buffer until that one has its last reply, which keeps replies in order for
 * nothing.
 *
 * Bytes come in by the read watchers. Frames are handed out in one place, a prepare watcher just
 * before the turn's own, so that whatever arrived in one pass of the loop commits together; ready
 * clients wait in line there and share a budget. A reply is *held* until the turn is over: then it
 * joins the output, or an error stands in its place. The output is written at once, many replies by
 * one send(2); only what the socket does not take gets a write watcher.
 *
 * A client is *doomed* first and buried in the prepare watcher, so that nobody's call ends inside
 * his own call of a function of this file. It stays in memory while the turn or a handler holds it.
 */
#include "daemon/control.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/peer.h"

#define TURN_FRAMES 2048 /* handed out in one turn, over all clients */
#define TURN_CLIENT 256	 /* and to one of them */
#define PIPELINED   64	 /* frames that wait before reading pauses */
#define READ_TURN   (256 * 1024)
#define OUTPUT_MAX  (4 * 1024 * 1024)
#define OUTPUT_LOW  (256 * 1024) /* below this a stream may send, and the next call is taken */
#define NOBODY_FRAME_MAX \
	(64 * 1024) /* of a peer without a role: all that it can get is a refusal */
#define FRAME_SECONDS 30.0
#define STALL_SECONDS 60.0
#define REST_SECONDS  0.1
#define ACCEPT_TURN   32
#define BUFFER_KEEP   (16 * 1024)

struct buffer {
	char *data;
	size_t start, end, room;
};

/* A client stands in several lists of the control at once, in each at most once. */
enum list { READY, TOUCHED, DOOMED, LISTS };

struct control_call {
	bool open; /* the handler has it */
	bool more, oneway;
	bool counted; /* it has a frame among the held ones */
	void (*gone)(void *arg);
	void *gone_arg;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct client {
	struct control_call call; /* first: a call is its client */
	struct control *control;
	struct client *previous, *next; /* all that are connected, or all that linger */
	struct client *listed[LISTS];	/* the next in each list */
	bool in_list[LISTS];
	int fd;
	ev_io readable, writable;
	ev_timer frame, stall;
	struct peer peer;
	struct varlink_input in;
	size_t frames; /* complete ones in the input */
	struct buffer held, out;
	size_t held_calls; /* that have frames in HELD */
	int untaken;	   /* bytes in the socket when the stall timer began */
	bool awaiting;	   /* the turn will call back */
	bool serving;	   /* its frames are being handed out */
	bool eof, closing, hung_up, buried, watched;
	void (*taken)(int fd, void *arg); /* upgrading */
	void *taken_arg;
};

struct client_list {
	struct client *first, **last;
};

struct control {
	struct ev_loop *loop;
	struct turn *turn;
	control_handler *handler;
	void *arg;
	struct listen *listen; /* NULL when stopped */
	ev_io acceptable;
	ev_timer rest;
	ev_prepare prepare;
	ev_timer again; /* due at once: lists are not empty, so do not sleep */
	int hang_ups;	/* epoll of those that are not read from, for their hang-up */
	ev_io hang_up;
	bool exhausted;	 /* no descriptors, and the log says so already */
	bool in_control; /* turn_after() calls back from inside: no writing there */
	struct peer_groups operators, viewers;
	struct client *clients, *lingering;
	size_t nclients;
	struct client_list lists[LISTS];
};

static void flush(struct client *c);
static void look(struct client *c);

/* ---- buffers and lists ---- */

static size_t
buffer_size(const struct buffer *b)
{
	return b->end - b->start;
}

static void
buffer_clear(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

static void
buffer_add(struct buffer *b, const void *bytes, size_t n)
{
	if (b->room - b->end < n && b->start > 0) {
		memmove(b->data, b->data + b->start, buffer_size(b));
		b->end -= b->start;
		b->start = 0;
	}
	if (b->room - b->end < n) {
		size_t room = b->room ? b->room : 1024;
		while (room - b->end < n)
			room *= 2;
		b->data = xrealloc(b->data, room, 1);
		b->room = room;
	}
	memcpy(b->data + b->end, bytes, n);
	b->end += n;
}

/* Moves all of FROM behind TO; by handing over the memory where TO is empty. */
static void
buffer_move(struct buffer *to, struct buffer *from)
{
	if (buffer_size(to) == 0) {
		struct buffer spare = *to;
		*to = *from;
		*from = spare;
	} else {
		buffer_add(to, from->data + from->start, buffer_size(from));
	}
	from->start = from->end = 0;
}

/* Lists are not empty: the loop may not sleep before the next prepare. */
static void
wake(struct control *control)
{
	if (ev_is_active(&control->again))
		return;
	ev_timer_set(&control->again, 0., 0.);
	ev_timer_start(control->loop, &control->again);
}

static void
list_add(struct client *c, enum list list)
{
	struct client_list *l = &c->control->lists[list];

	if (c->in_list[list])
		return;
	c->in_list[list] = true;
	c->listed[list] = NULL;
	*l->last = c;
	l->last = &c->listed[list];
	wake(c->control);
}

static struct client *
list_take(struct control *control, enum list list)
{
	struct client_list *l = &control->lists[list];
	struct client *c = l->first;

	if (!c)
		return NULL;
	l->first = c->listed[list];
	if (!l->first)
		l->last = &l->first;
	c->in_list[list] = false;
	return c;
}

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

/* ---- the end of a client ---- */

static void
doom(struct client *c)
{
	if (!c->buried)
		list_add(c, DOOMED);
}

static void
end_call(struct client *c)
{
	c->call = (struct control_call){0};
}

/* Tells the handler, if it asked to be told, that nobody listens to its call any more. */
static void
abandon_call(struct client *c)
{
	struct control_call call = c->call;

	if (!call.open || !call.gone)
		return;
	end_call(c);
	call.gone(call.gone_arg);
}

static void
abandon_upgrade(struct client *c)
{
	void (*taken)(int fd, void *arg) = c->taken;

	c->taken = NULL;
	if (taken)
		taken(-1, c->taken_arg);
}

static void
free_client(struct client *c)
{
	peer_clear(&c->peer);
	varlink_input_clear(&c->in);
	buffer_clear(&c->held);
	buffer_clear(&c->out);
	free(c);
}

/* A buried client goes when neither the turn nor a handler will speak of it again. */
static void
free_if_done(struct client *c)
{
	abandon_call(c);
	if (c->call.open || c->awaiting)
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
	unlink_client(&c->control->clients, c);
	link_client(&c->control->lingering, c);
	varlink_input_clear(&c->in);
	buffer_clear(&c->out);
	return fd;
}

static void
bury(struct client *c)
{
	if (!c->buried) {
		close(detach(c));
		abandon_upgrade(c);
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
		doom(c);
	else
		list_add(c, READY);
}

/* ---- output ---- */

static size_t
unsent(const struct client *c)
{
	return buffer_size(&c->out) + buffer_size(&c->held);
}

/* May the next frame be handed out? */
static bool
takes_calls(const struct client *c)
{
	return !c->call.open && !c->closing && !c->taken && !c->buried && unsent(c) < OUTPUT_LOW;
}

/* The upgrade's reply was written: the connection is no longer ours. */
static void
hand_over(struct client *c)
{
	void (*taken)(int fd, void *arg) = c->taken;

	c->taken = NULL;
	int fd = detach(c);
	list_add(c, DOOMED);
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
	if (c->out.room > BUFFER_KEEP)
		buffer_clear(&c->out);
	if (c->taken && !c->awaiting)
		hand_over(c);
	else if (c->closing && !c->awaiting)
		doom(c);
}

static void
call_drained(struct client *c)
{
	void (*drained)(void *arg) = c->call.drained;

	if (!drained || unsent(c) >= OUTPUT_LOW)
		return;
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

static void
cut_off(struct client *c, const char *why)
{
	log_warning("cut off a reader (%s, process %lld) that %s", c->peer.who.name,
		    (long long)c->peer.who.pid, why);
	doom(c);
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
		cut_off(c, "is 4 MiB behind");
	else
		wait_writable(c, moved);
}

/* Writes, and looks at what has become possible by it. */
static void
flush(struct client *c)
{
	if (c->buried)
		return;
	if (c->taken && !c->hung_up && sent_ahead(c)) {
		doom(c);
		return;
	}
	if (c->hung_up)
		buffer_clear(&c->out);
	else
		write_out(c);
	if (c->buried)
		return;
	call_drained(c);
	if (c->frames && takes_calls(c))
		list_add(c, READY);
	look(c);
}

/* The commit failed: of each call that has frames here only the error is left. */
static void
hold_failed(struct client *c, const struct err *failure)
{
	_cleanup_json_ json_t *object = err_to_json(failure);
	_cleanup_free_ char *frame = NULL;
	size_t n;

	c->held.start = c->held.end = 0;
	if (varlink_pack(object, &frame, &n) == 0)
		for (size_t i = 0; i < c->held_calls; i++)
			buffer_add(&c->out, frame, n);
	abandon_upgrade(c);
	if (!c->call.open || !c->call.counted)
		return;
	/* A stream that is still open has ended with its error: it may not reply again. */
	abandon_call(c);
	if (c->call.open)
		c->closing = true;
}

/* The turn is over. */
static void
on_turn(void *arg, const struct err *failure)
{
	struct client *c = arg;

	c->awaiting = false;
	if (c->buried) {
		list_add(c, DOOMED);
		return;
	}
	if (failure)
		hold_failed(c, failure);
	else
		buffer_move(&c->out, &c->held);
	if (c->held.room > BUFFER_KEEP)
		buffer_clear(&c->held);
	c->held_calls = 0;
	c->call.counted = false;
	if (c->control->in_control)
		list_add(c, TOUCHED);
	else
		flush(c);
}

/* FRAME, with its NUL, leaves when this turn is over. */
static void
hold(struct client *c, const void *frame, size_t n)
{
	if (c->buried)
		return;
	buffer_add(&c->held, frame, n);
	if (!c->call.counted)
		c->held_calls++;
	c->call.counted = true;
	if (c->awaiting)
		return;
	c->awaiting = true;
	bool before = c->control->in_control;
	c->control->in_control = true;
	turn_after(c->control->turn, on_turn, c);
	c->control->in_control = before;
}

static void
hold_json(struct client *c, json_t *object)
{
	char *frame;
	size_t n;

	if (varlink_pack(object, &frame, &n) < 0) {
		_cleanup_err_ struct err err = ERR_INIT;
		json_decref(object);
		(void)err_set(&err, ERR_TOO_MANY,
			      "the answer is larger than a message may be: ask for less at once");
		object = err_to_json(&err);
		if (varlink_pack(object, &frame, &n) < 0)
			xalloc_die();
	}
	hold(c, frame, n);
	free(frame);
	json_decref(object);
}

/* ---- calls ---- */

static struct client *
client_of(struct control_call *call)
{
	return (struct client *)call;
}

/* The call has had its last reply. */
static void
finish(struct client *c)
{
	end_call(c);
	if (c->buried)
		list_add(c, DOOMED);
	else if (!c->serving)
		list_add(c, READY);
}

void
control_reply(struct control_call *call, json_t *parameters, bool continues)
{
	struct client *c = client_of(call);

	/* Who did not ask for more, or for any reply, gets none. */
	if (c->buried || call->oneway || (continues && !call->more))
		json_decref(parameters);
	else
		hold_json(c, varlink_reply(parameters, continues));
	if (!continues)
		finish(c);
}

void
control_reply_text(struct control_call *call, const char *text)
{
	struct client *c = client_of(call);

	if (!call->oneway)
		hold(c, text, strlen(text) + 1);
	finish(c);
}

void
control_error(struct control_call *call, const struct err *err)
{
	struct client *c = client_of(call);

	if (!call->oneway && !c->buried)
		hold_json(c, err_to_json(err));
	finish(c);
}

void
control_upgrade(struct control_call *call, json_t *parameters, void (*taken)(int fd, void *arg),
		void *arg)
{
	struct client *c = client_of(call);

	c->taken = taken;
	c->taken_arg = arg;
	if (c->buried) {
		json_decref(parameters);
		abandon_upgrade(c);
	} else {
		hold_json(c, varlink_reply(parameters, false));
	}
	finish(c);
}

void
control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg)
{
	struct client *c = client_of(call);

	call->gone = gone;
	call->gone_arg = arg;
	if (c->buried)
		list_add(c, DOOMED);
}

bool
control_may_send(struct control_call *call, void (*drained)(void *arg), void *arg)
{
	struct client *c = client_of(call);

	if (c->buried || unsent(c) < OUTPUT_LOW)
		return true;
	call->drained = drained;
	call->drained_arg = arg;
	return false;
}

static void
refuse_frame(struct client *c, const struct err *err)
{
	hold_json(c, err_to_json(err));
	c->call.counted = false;
}

static void
hand_out(struct client *c, const char *text, size_t n)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct varlink_call what;

	if (varlink_call_parse(text, n, &what, &err) < 0) {
		refuse_frame(c, &err);
		return;
	}
	c->call = (struct control_call){.open = true, .more = what.more, .oneway = what.oneway};
	c->control->handler(&c->call, &what, &c->peer.who, c->control->arg);
	varlink_call_clear(&what);
}

static void
refuse_rest(struct client *c, size_t limit)
{
	_cleanup_err_ struct err err = ERR_INIT;

	(void)err_set(&err, ERR_INVALID_PARAMETER, "a message may have %zu bytes at the most",
		      limit);
	refuse_frame(c, &err);
	c->closing = true;
	c->frames = 0;
	varlink_input_clear(&c->in);
}

/* ---- input ---- */

/* Hands out what this client may have in this turn. Returns how many frames that were. */
static size_t
serve(struct client *c, size_t budget)
{
	size_t n, served = 0;
	const char *text;
	int r = 0;

	c->serving = true;
	while (served < budget && takes_calls(c) &&
	       (r = varlink_input_frame(&c->in, &text, &n)) == 1) {
		c->frames--;
		served++;
		hand_out(c, text, n);
	}
	if (r < 0)
		refuse_rest(c, VARLINK_FRAME_MAX);
	c->serving = false;
	if (takes_calls(c) && c->frames)
		list_add(c, READY);
	look(c);
	return served;
}

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

/* What a client waits for: read from it or not, a deadline for half a frame, or its end. */
static void
look(struct client *c)
{
	const char *rest;
	size_t n = varlink_input_rest(&c->in, &rest);

	if (c->buried)
		return;
	if (c->eof && takes_calls(c) && !c->frames && !c->awaiting && unsent(c) == 0) {
		doom(c);
		return;
	}
	if (c->hung_up) {
		if (c->call.open || c->taken)
			doom(c);
		return;
	}
	if (n == 0)
		varlink_input_clear(&c->in);
	bool reading = !c->eof && !c->closing && !c->taken && c->control->listen &&
		       c->frames < PIPELINED && !(c->frames > 0 && n > READ_TURN);
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
	while (total < READ_TURN && c->frames < TURN_CLIENT && read_some(c, &total))
		continue;
	if (c->hung_up)
		return;
	if (!c->frames && !c->call.open && c->peer.who.role == CONTROL_NOBODY &&
	    varlink_input_rest(&c->in, &rest) > NOBODY_FRAME_MAX)
		refuse_rest(c, NOBODY_FRAME_MAX);
	list_add(c, READY);
}

static void
on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	flush(w->data);
}

static void
on_frame_late(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	doom(w->data);
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
		cut_off(c, "took nothing for a minute");
}

static void
on_hang_up(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *control = w->data;
	struct epoll_event events[16];
	int n = epoll_wait(control->hang_ups, events, ARRAY_SIZE(events), 0);

	(void)loop, (void)revents;
	for (int i = 0; i < n; i++)
		hang_up(events[i].data.ptr);
}

/* ---- newcomers ---- */

static const char *
why_not(const struct control *control, const struct peer *peer)
{
	size_t same = 0, room = CONTROL_CLIENTS - (peer_is_root(peer) ? 0 : CONTROL_RESERVE);

	for (const struct client *c = control->clients; c; c = c->next)
		same += c->peer.who.uid == peer->who.uid;
	if (same >= CONTROL_CLIENTS_UID)
		return "you have too many connections to bmd: end some of them, then try again";
	if (control->nclients >= room)
		return "bmd has too many connections: try again in a moment";
	return NULL;
}

static void
welcome(struct control *control, int fd)
{
	struct client *c = xcalloc(1, sizeof(*c));

	peer_read(fd, &c->peer);
	c->peer.who.role = peer_judge(&c->peer, &control->operators, &control->viewers);
	const char *why = why_not(control, &c->peer);
	if (why) {
		free_client(c);
		listen_refuse(fd, why);
		return;
	}
	c->control = control;
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

static void
on_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *control = w->data;
	int fd = 0;

	(void)revents;
	for (int i = 0; i < ACCEPT_TURN && (fd = listen_accept(control->listen)) >= 0; i++) {
		control->exhausted = false;
		welcome(control, fd);
	}
	if (fd >= 0 || fd == -EAGAIN)
		return;
	if (!control->exhausted)
		log_warning("cannot accept a connection: %s", strerror(-fd));
	control->exhausted = true;
	ev_io_stop(loop, &control->acceptable);
	ev_timer_again(loop, &control->rest);
}

static void
on_rested(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct control *control = w->data;

	(void)revents;
	ev_timer_stop(loop, &control->rest);
	if (control->listen)
		ev_io_start(loop, &control->acceptable);
}

/* ---- the turn ---- */

/* In each list, who comes in while it is worked off has his turn in the next pass. */
static size_t
list_length(const struct control *control, enum list list)
{
	size_t n = 0;

	for (const struct client *c = control->lists[list].first; c; c = c->listed[list])
		n++;
	return n;
}

static void
bury_doomed(struct control *control)
{
	struct client *c;

	for (size_t n = list_length(control, DOOMED); n > 0 && (c = list_take(control, DOOMED));
	     n--) {
		/* Freed only when no list has it: come back. */
		if (c->in_list[READY] || c->in_list[TOUCHED])
			list_add(c, DOOMED);
		bury(c);
	}
}

static void
serve_ready(struct control *control)
{
	size_t budget = TURN_FRAMES;
	struct client *c;

	for (size_t n = list_length(control, READY); n > 0 && budget > 0; n--) {
		c = list_take(control, READY);
		if (c)
			budget -= serve(c, budget < TURN_CLIENT ? budget : TURN_CLIENT);
	}
}

static void
flush_touched(struct control *control)
{
	struct client *c;

	for (size_t n = list_length(control, TOUCHED); n > 0 && (c = list_take(control, TOUCHED));
	     n--)
		flush(c);
}

static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct control *control = w->data;
	bool more = false;

	(void)revents;
	serve_ready(control);
	flush_touched(control);
	bury_doomed(control);
	for (int i = 0; i < LISTS; i++)
		more = more || control->lists[i].first;
	if (!more)
		ev_timer_stop(loop, &control->again);
	else
		wake(control);
}

static void
on_again(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents; /* the prepare watcher does it */
}

/* ---- the whole ---- */

static void
init_watchers(struct control *control)
{
	ev_io_init(&control->acceptable, on_acceptable, listen_fd(control->listen), EV_READ);
	ev_io_init(&control->hang_up, on_hang_up, control->hang_ups, EV_READ);
	ev_init(&control->rest, on_rested);
	control->rest.repeat = REST_SECONDS;
	ev_timer_init(&control->again, on_again, 0., 0.);
	ev_prepare_init(&control->prepare, on_prepare);
	/* After everybody else's, and before the turn's, which is the last. */
	ev_set_priority(&control->prepare, EV_MINPRI + 1);
	control->acceptable.data = control->hang_up.data = control->rest.data =
	    control->again.data = control->prepare.data = control;
	ev_io_start(control->loop, &control->acceptable);
	ev_io_start(control->loop, &control->hang_up);
	ev_prepare_start(control->loop, &control->prepare);
	/* These two alone keep no loop running. */
	ev_unref(control->loop);
	ev_unref(control->loop);
}

int
control_new(struct ev_loop *loop, struct turn *turn, const struct conf *conf, int given_fd,
	    control_handler *handler, void *arg, struct control **ret_control, struct err *err)
{
	struct control *control = xcalloc(1, sizeof(*control));
	int r;

	control->loop = loop;
	control->turn = turn;
	control->handler = handler;
	control->arg = arg;
	for (int i = 0; i < LISTS; i++)
		control->lists[i].last = &control->lists[i].first;
	control->hang_ups = epoll_create1(EPOLL_CLOEXEC);
	if (control->hang_ups < 0) {
		r = err_errno(err, errno, "cannot watch clients");
		free(control);
		return r;
	}
	if ((r = listen_new(conf->socket, given_fd, &control->listen, err)) < 0) {
		close(control->hang_ups);
		free(control);
		return r;
	}
	control_reload(control, conf);
	init_watchers(control);
	*ret_control = control;
	return 0;
}

void
control_reload(struct control *control, const struct conf *conf)
{
	peer_groups_look(&control->operators, &conf->operators, "operators");
	peer_groups_look(&control->viewers, &conf->viewers, "viewers");
	for (struct client *c = control->clients; c; c = c->next)
		c->peer.who.role = peer_judge(&c->peer, &control->operators, &control->viewers);
}

void
control_stop(struct control *control)
{
	if (!control->listen)
		return;
	ev_io_stop(control->loop, &control->acceptable);
	ev_timer_stop(control->loop, &control->rest);
	listen_free(control->listen);
	control->listen = NULL;
	for (struct client *c = control->clients; c; c = c->next)
		look(c);
}

void
control_free(struct control *control)
{
	struct client *c;

	if (!control)
		return;
	control_stop(control);
	/* What was promised is committed and told. */
	turn_end(control->turn);
	flush_touched(control);
	while ((c = control->clients)) {
		flush(c);
		if (!c->buried)
			bury(c);
	}
	for (int i = 0; i < LISTS; i++)
		while (list_take(control, (enum list)i))
			continue;
	while ((c = control->lingering)) {
		abandon_call(c);
		unlink_client(&control->lingering, c);
		free_client(c);
	}
	ev_ref(control->loop);
	ev_ref(control->loop);
	ev_timer_stop(control->loop, &control->again);
	ev_prepare_stop(control->loop, &control->prepare);
	ev_io_stop(control->loop, &control->hang_up);
	close(control->hang_ups);
	peer_groups_clear(&control->operators);
	peer_groups_clear(&control->viewers);
	free(control);
}
