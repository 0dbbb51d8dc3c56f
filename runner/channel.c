/* SPDX-License-Identifier: ISC */
/*
 * The conversations of a run. Each is a client: frames in, frames out, both bounded, on the loop of
 * the run. The first client is bmd's connection; it alone may send the request and "go". Others
 * come by JOB/control after a restart of bmd; they may ask to follow (events after a number, then
 * what happens, then the result) and to cancel. A client that breaks a rule or does not read is
 * dropped, the run is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/errand.h"
#include "common/json.h"
#include "common/runfolder.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "runner/channel.h"

#define CLIENTS_MAX 16
#define OUTPUT_MAX  (4 * 1024 * 1024) /* bytes that wait for one reader */

struct client {
	struct channel *channel;
	int fd;
	ev_io in, out;
	struct varlink_input input;
	char *waiting;
	size_t sent, end, room;
	bool follows;
};

struct channel {
	struct run *run;
	ev_io listener;
	struct client *clients[CLIENTS_MAX];
	size_t n;
	struct client *bmd; /* NULL once it is gone */
	struct ucred peer;
	json_t *request;
	bool go;
};

static void
client_drop(struct client *client)
{
	struct channel *channel = client->channel;

	for (size_t i = 0; i < channel->n; i++)
		if (channel->clients[i] == client)
			channel->clients[i] = channel->clients[--channel->n];
	if (channel->bmd == client)
		channel->bmd = NULL;
	ev_io_stop(channel->run->loop, &client->in);
	ev_io_stop(channel->run->loop, &client->out);
	close(client->fd);
	varlink_input_clear(&client->input);
	free(client->waiting);
	free(client);
}

/* Sends what waits. false: the client was dropped. */
static bool
client_write(struct client *client)
{
	while (client->sent < client->end) {
		ssize_t n = send(client->fd, client->waiting + client->sent,
				 client->end - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(client->channel->run->loop, &client->out);
			return true;
		}
		if (n < 0) {
			client_drop(client);
			return false;
		}
		client->sent += (size_t)n;
	}
	client->sent = client->end = 0;
	ev_io_stop(client->channel->run->loop, &client->out);
	return true;
}

static bool
client_send(struct client *client, const json_t *message)
{
	_cleanup_free_ char *frame = NULL;
	size_t n;

	if (varlink_pack(message, &frame, &n) < 0)
		return true; /* ours are far below the limit */
	if (client->end - client->sent + n > OUTPUT_MAX) {
		client_drop(client);
		return false;
	}
	if (client->end + n > client->room && client->sent > 0) {
		memmove(client->waiting, client->waiting + client->sent,
			client->end - client->sent);
		client->end -= client->sent;
		client->sent = 0;
	}
	if (client->end + n > client->room) {
		client->room = client->end + n;
		client->waiting = xrealloc(client->waiting, client->room, 1);
	}
	memcpy(client->waiting + client->end, frame, n);
	client->end += n;
	return client_write(client);
}

static void
stop_request(struct run *run, const json_t *message)
{
	const char *by = json_get_string(message, "by");

	/* Only one that says so does not wait: the same one comes again from a bmd that was
	 * restarted. */
	if (json_get_bool(message, "now"))
		run->stop_now = true;
	if (run->stop != STOP_NONE)
		return;
	run->stop = STOP_CANCEL;
	if (by && names_text(by, sizeof(run->stop_by) - 1, false))
		strcpy(run->stop_by, by);
}

/* Events after a number, from the folder where they all are; the result, if the run is over by now.
 */
static bool
follow(struct client *client, const json_t *message)
{
	struct run *run = client->channel->run;
	_cleanup_json_ json_t *events = NULL;
	json_t *event;
	size_t i;

	client->follows = true;
	if (run_folder_events(run->conf->run_directory, run->request.job,
			      json_get_int(message, "after", 0) + 1, &events, NULL) < 0)
		return true;
	json_array_foreach (events, i, event) {
		if (!client_send(client, event))
			return false;
	}
	if (run->result.state[0]) {
		_cleanup_json_ json_t *result = run_result_pack(&run->result);

		return client_send(client, result);
	}
	return true;
}

/* false: the client is gone. */
static bool
client_message(struct client *client, json_t *message)
{
	struct channel *channel = client->channel;
	const char *type = json_get_string(message, "type");

	if (type && strcmp(type, "cancel") == 0) {
		stop_request(channel->run, message);
		return true;
	}
	if (type && strcmp(type, "follow") == 0)
		return follow(client, message);
	if (type && client == channel->bmd && !channel->request &&
	    (strcmp(type, "request") == 0 || errand_type(type))) {
		channel->request = json_incref(message);
		return true;
	}
	if (type && client == channel->bmd && strcmp(type, "go") == 0 && channel->request &&
	    !errand_type(json_get_string(channel->request, "type"))) {
		channel->go = true;
		return true;
	}
	client_drop(client);
	return false;
}

static void
client_frames(struct client *client)
{
	const char *text;
	size_t n;
	int r;

	while ((r = varlink_input_frame(&client->input, &text, &n)) > 0) {
		_cleanup_json_ json_t *message = NULL;

		if (json_parse(text, n, VARLINK_FRAME_MAX, &message, NULL) < 0) {
			client_drop(client);
			return;
		}
		if (!client_message(client, message))
			return;
	}
	if (r < 0)
		client_drop(client);
}

static void
on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct client *client = watcher->data;
	size_t size;
	void *to = varlink_input_room(&client->input, &size);
	ssize_t n = recv(client->fd, to, size, MSG_DONTWAIT);

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		client_drop(client);
		return;
	}
	varlink_input_add(&client->input, (size_t)n);
	client_frames(client);
}

static void
on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop;
	(void)events;
	client_write(watcher->data);
}

static struct client *
client_new(struct channel *channel, int fd)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->channel = channel;
	client->fd = fd;
	ev_io_init(&client->in, on_readable, fd, EV_READ);
	ev_io_init(&client->out, on_writable, fd, EV_WRITE);
	client->in.data = client->out.data = client;
	ev_io_start(channel->run->loop, &client->in);
	channel->clients[channel->n++] = client;
	return client;
}

static bool
peer_of(int fd, struct ucred *ret)
{
	socklen_t n = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &n) == 0 && n == sizeof(*ret) &&
	       ret->uid != (uid_t)-1;
}

/* The owner of the path that this end of the connection is bound to: under systemd SocketUser=. */
static bool
owns_socket(int fd, uid_t uid)
{
	struct sockaddr_un address = {0};
	socklen_t n = sizeof(address);
	struct stat st;

	if (getsockname(fd, (struct sockaddr *)&address, &n) < 0 || address.sun_family != AF_UNIX ||
	    address.sun_path[0] != '/' || n >= sizeof(address))
		return false;
	return lstat(address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == uid;
}

static void
on_connection(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct channel *channel = watcher->data;
	_cleanup_close_ int fd = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer = {.uid = (uid_t)-1};

	(void)loop;
	(void)events;
	if (fd < 0 || channel->n == CLIENTS_MAX || !peer_of(fd, &peer))
		return;
	if (peer.uid == channel->peer.uid || peer.uid == 0)
		client_new(channel, TAKE_FD(fd));
}

int
channel_open(struct run *run, int fd, struct channel **ret_channel, struct err *err)
{
	_cleanup_close_ int mine = fd;
	struct ucred peer = {.uid = (uid_t)-1};
	struct channel *channel;
	int flags = fcntl(fd, F_GETFL);

	if (!peer_of(fd, &peer))
		return err_set(
		    err, ERR_USAGE,
		    "standard input is not a connection to bmd; bmd starts this program");
	if (peer.uid != 0 && peer.uid != geteuid() && !owns_socket(fd, peer.uid))
		return err_set(err, ERR_PERMISSION_DENIED,
			       "uid %u may not start runs: only root, the user of bmd-run and the "
			       "owner of its socket may",
			       (unsigned)peer.uid);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_errno(err, errno, "cannot use the connection to bmd");
	channel = xcalloc(1, sizeof(*channel));
	channel->run = run;
	channel->peer = peer;
	channel->bmd = client_new(channel, TAKE_FD(mine));
	*ret_channel = channel;
	return 0;
}

void
channel_close(struct channel *channel)
{
	if (!channel)
		return;
	if (ev_is_active(&channel->listener)) {
		ev_io_stop(channel->run->loop, &channel->listener);
		close(channel->listener.fd);
	}
	while (channel->n > 0)
		client_drop(channel->clients[0]);
	json_decref(channel->request);
	free(channel);
}

uid_t
channel_owner(const struct channel *channel)
{
	return channel->peer.uid;
}

gid_t
channel_reader(const struct channel *channel)
{
	return channel->peer.uid == geteuid() || channel->peer.uid == 0 ? (gid_t)-1
									: channel->peer.gid;
}

int
channel_request(struct channel *channel, json_t **ret_request, struct err *err)
{
	while (channel->bmd && !channel->request && channel->run->stop != STOP_SHUTDOWN)
		ev_run(channel->run->loop, EVRUN_ONCE);
	if (!channel->request) {
		err_set(err, ERR_UNREACHABLE, "bmd left before it sent a request");
		return -ECONNRESET;
	}
	*ret_request = json_incref(channel->request);
	return 0;
}

int
channel_await_go(struct channel *channel)
{
	while (channel->bmd && !channel->go && channel->run->stop != STOP_SHUTDOWN)
		ev_run(channel->run->loop, EVRUN_ONCE);
	return channel->go && channel->run->stop != STOP_SHUTDOWN ? 0 : -ECONNRESET;
}

void
channel_listen(struct channel *channel, int listen_fd)
{
	ev_io_init(&channel->listener, on_connection, listen_fd, EV_READ);
	channel->listener.data = channel;
	ev_io_start(channel->run->loop, &channel->listener);
}

void
channel_answer(struct channel *channel, const json_t *message)
{
	if (channel->bmd)
		client_send(channel->bmd, message);
}

void
channel_tell(struct channel *channel, const json_t *message)
{
	for (size_t i = channel->n;
	     i-- > 0;) { /* backward: the last takes the place of one that is dropped */
		struct client *client = channel->clients[i];

		if (client == channel->bmd || client->follows)
			client_send(client, message);
	}
}

static void
on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	*(bool *)timer->data = true;
}

void
channel_flush(struct channel *channel, double limit_s)
{
	struct ev_loop *loop = channel->run->loop;
	bool late = false, waits = true;
	ev_timer timer;

	ev_now_update(loop);
	ev_timer_init(&timer, on_limit, limit_s, 0.);
	timer.data = &late;
	ev_timer_start(loop, &timer);
	while (waits && !late) {
		waits = false;
		for (size_t i = 0; i < channel->n; i++)
			waits |= channel->clients[i]->sent < channel->clients[i]->end;
		if (waits)
			ev_run(loop, EVRUN_ONCE);
	}
	ev_timer_stop(loop, &timer);
}
