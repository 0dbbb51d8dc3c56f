/* SPDX-License-Identifier: ISC */
/*
 * One connection to bmd. It is opened with the first call, kept for the next ones, and opened again
 * when it broke. Every wait passes through client_wait(), which is where Ctrl-C is noticed: SIGINT
 * is blocked between the look at the flag and ppoll(), so that none is lost.
 */
#include "ctl/client.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "ctl/remote.h"
#include "ctl/sentence.h"
#include "ctl/table.h"

#define SILENCE_US     INT64_C(3000000)	  /* without an answer, until somebody is told */
#define CONNECT_S      10		  /* for a place in bmd's backlog */
#define REMOTE_US      INT64_C(300000000) /* for ssh: somebody may have to type a password */
#define UPLOAD_S       120		  /* for the taker of an upload to take another byte */
#define AGAIN_US       INT64_C(3000000)	  /* for connecting again: bmd may be restarting */
#define AGAIN_PAUSE_US INT64_C(100000)	  /* between these tries */
#define CLIENTS	       4		  /* that are waited for at once */

struct client {
	const char *host, *socket;
	const char *name; /* of the two, what a person knows it by */
	const char *zone; /* of what is printed; NULL: nothing is */
	struct remote *remote;
	int fd;
	struct varlink_input input;
};

static volatile sig_atomic_t interrupted;

struct client *
client_new(const char *host, const char *socket)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->host = host;
	client->socket = socket;
	client->name = host != NULL ? host : socket;
	client->fd = -1;
	return client;
}

void
client_zone(struct client *client, const char *zone)
{
	client->zone = zone;
}

void
client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	remote_close(TAKE(client->remote));
	varlink_input_clear(&client->input);
}

void
client_free(struct client *client)
{
	if (client == NULL)
		return;
	client_close(client);
	free(client);
}

int64_t
client_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

void
client_interruptible(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	/* Not a second time: then the default ends us, whatever we wait for. */
	action.sa_flags = (int)SA_RESETHAND;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
}

/* The file of the socket says who is let in. */
static int
kept_out(const struct client *client, int number, struct err *err)
{
	const struct passwd *user = getpwuid(geteuid());
	const struct group *group;
	struct stat st;

	group = stat(client->socket, &st) == 0 && st.st_mode & S_IWGRP ? getgrgid(st.st_gid) : NULL;
	if (group && st.st_gid != 0 && user)
		err_set(err, ERR_PERMISSION_DENIED,
			"not permitted to ask bmd at %s: it lets in the group %s (usermod -aG %s "
			"%s, as root; then %s "
			"has to log in again)",
			client->socket, group->gr_name, group->gr_name, user->pw_name,
			user->pw_name);
	else
		err_set(err, ERR_PERMISSION_DENIED,
			"not permitted to ask bmd at %s: %s (ask whoever runs bmd for the group "
			"that may)",
			client->socket, strerror(number));
	return -EACCES;
}

static int
unreachable(const struct client *client, int number, struct err *err)
{
	if (number == EACCES || number == EPERM)
		return kept_out(client, number, err);
	err_set(err, ERR_UNREACHABLE,
		"cannot reach bmd at %s: %s (is bmd running? systemctl status bmd)", client->socket,
		number == EAGAIN ? "it does not take new connections" : strerror(number));
	return -ECONNREFUSED;
}

static int
broken(const struct client *client, const char *how, struct err *err)
{
	err_set(err, ERR_UNREACHABLE, "bmd at %s %s (is bmd running? systemctl status bmd)",
		client->name, how);
	return -ECONNRESET;
}

/* connect(2) blocks while the backlog is full, hence the send timeout; afterwards the descriptor
 * never blocks. */
static int
connect_here(struct client *client, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = CONNECT_S};
	_cleanup_close_ int fd = -1;

	if (strlen(client->socket) >= sizeof(address.sun_path))
		return err_set(err, ERR_USAGE, "the path of the socket %s is longer than %zu bytes",
			       client->socket, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, client->socket, strlen(client->socket) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return unreachable(client, errno, err);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return err_errno(err, errno, "fcntl");
	client->fd = TAKE_FD(fd);
	return 0;
}

static int connect_there(struct client *client, struct err *err);

static int
client_connect(struct client *client, struct err *err)
{
	if (client->fd >= 0)
		return 0;
	varlink_input_clear(&client->input);
	return client->host != NULL ? connect_there(client, err) : connect_here(client, err);
}

int
client_open(struct client *client, int *ret_fd, struct err *err)
{
	int r = client_connect(client, err);

	if (r >= 0)
		*ret_fd = client->fd;
	return r;
}

int
client_reconnect(struct client *client, int64_t deadline, struct err *err)
{
	client_close(client);
	for (;;) {
		struct err why = ERR_INIT;
		int64_t pause = client_clock() + AGAIN_PAUSE_US;
		int r = client_connect(client, &why);

		if (r >= 0)
			return 0;
		if (r != -ECONNREFUSED || pause > deadline) {
			err_clear(err);
			*err = why;
			return r;
		}
		err_clear(&why);
		if (client_wait(NULL, 0, pause) == -EINTR)
			return -EINTR;
	}
}

static int
wait_for(struct pollfd *fds, nfds_t n, int64_t deadline)
{
	sigset_t block, before;
	int64_t left = deadline == CLIENT_NEVER ? CLIENT_NEVER : deadline - client_clock();
	struct timespec ts;
	int r;

	if (left < 0)
		left = 0;
	ts = (struct timespec){.tv_sec = left / 1000000, .tv_nsec = (left % 1000000) * 1000};
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &before);
	if (interrupted)
		r = -EINTR;
	else {
		r = ppoll(fds, n, deadline == CLIENT_NEVER ? NULL : &ts, &before);
		r = r < 0 ? -errno : r;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (r == -EINTR && !interrupted)
		return 0; /* another signal, such as a changed window: look again */
	return r == 0 ? -ETIMEDOUT : r < 0 ? r : 0;
}

int
client_wait(struct client *const *clients, size_t n, int64_t deadline)
{
	struct pollfd fds[2 * CLIENTS];
	nfds_t used = 0;
	int r;

	for (size_t i = 0; i < n && i < CLIENTS; i++) {
		if (clients[i] == NULL || clients[i]->fd < 0)
			continue;
		fds[used++] = (struct pollfd){.fd = clients[i]->fd, .events = POLLIN};
		if (clients[i]->remote != NULL)
			fds[used++] = (struct pollfd){.fd = remote_said_fd(clients[i]->remote),
						      .events = POLLIN};
	}
	r = wait_for(fds, used, deadline);
	for (size_t i = 0; i < n && i < CLIENTS; i++)
		if (clients[i] != NULL && clients[i]->remote != NULL)
			remote_listen(clients[i]->remote);
	return r;
}

static int
send_all(struct client *client, const char *bytes, size_t n, int64_t deadline, struct err *err)
{
	while (n > 0) {
		ssize_t sent = send(client->fd, bytes, n, MSG_NOSIGNAL);

		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			struct pollfd fd = {.fd = client->fd, .events = POLLOUT};
			int r = wait_for(&fd, 1, deadline);

			if (r == -ETIMEDOUT)
				broken(client, "does not read what is sent", err);
			if (r < 0)
				return r;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* it may have said why: reading will tell */
		} else if (errno != EINTR) {
			return broken(client, strerror(errno), err);
		}
	}
	return 0;
}

/* Reads once what is there: 1 if something came, 0 if nothing is there yet. */
static int
fill(struct client *client, struct err *err)
{
	size_t room;
	void *to = varlink_input_room(&client->input, &room);
	ssize_t n = recv(client->fd, to, room, 0);

	if (n > 0) {
		varlink_input_add(&client->input, (size_t)n);
		return 1;
	}
	if (n == 0 || errno == ECONNRESET || errno == EPIPE)
		return broken(client, "closed the connection without an answer", err);
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return broken(client, strerror(errno), err);
}

/* A whole frame as an object: 1, 0 when none is there yet, or a negative errno. */
static int
take_object(struct client *client, json_t **ret_object, struct err *err)
{
	const char *text;
	size_t n;
	int r;

	for (;;) {
		r = varlink_input_frame(&client->input, &text, &n);
		if (r < 0)
			return err_set(err, ERR_FAILED,
				       "bmd at %s sent more than a message may hold", client->name);
		if (r > 0)
			break;
		if ((r = fill(client, err)) <= 0)
			return r;
	}
	if (json_parse(text, n, VARLINK_FRAME_MAX, ret_object, err) < 0) {
		err_set(err, ERR_FAILED,
			"what answers at %s is not bmd: it sent no message of the protocol",
			client->name);
		return -EPROTO;
	}
	return 1;
}

/* A reply or an error as it is printed. */
static void
localize(const struct client *client, json_t *object)
{
	if (client->zone != NULL)
		sentences_local(object, client->zone);
}

int
client_take(struct client *client, json_t **ret_reply, bool *ret_continues, struct err *err)
{
	_cleanup_json_ json_t *object = NULL;
	json_t *parameters;
	int r = take_object(client, &object, err);

	if (r <= 0)
		return r;
	localize(client, object);
	if (json_object_get(object, "error") != NULL) {
		struct err reply = ERR_INIT;

		if (err_from_json(object, &reply) < 0)
			return err_set(err, ERR_FAILED, "bmd at %s sent a malformed error",
				       client->name);
		err_clear(err);
		*err = reply;
		return reply.code == ERR_NONE ? -EIO : err_set(NULL, reply.code, "%s", reply.text);
	}
	parameters = json_object_get(object, "parameters");
	*ret_continues = json_get_bool(object, "continues");
	*ret_reply = json_is_object(parameters) ? json_incref(parameters) : json_object();
	return 1;
}

int
client_next(struct client *client, int64_t deadline, json_t **ret_reply, bool *ret_continues,
	    struct err *err)
{
	int r;

	for (;;) {
		if ((r = client_take(client, ret_reply, ret_continues, err)) != 0)
			return r < 0 ? r : 0;
		r = client_wait(&client, 1, deadline);
		if (r == -ETIMEDOUT)
			err_set(err, ERR_UNREACHABLE,
				"bmd at %s did not answer in time (systemctl status bmd)",
				client->name);
		if (r < 0)
			return r;
	}
}

static int
send_call(struct client *client, const char *method, json_t *parameters, bool more, bool upgrade,
	  struct err *err)
{
	_cleanup_json_ json_t *call = varlink_call_new(method, parameters, more, upgrade);
	_cleanup_free_ char *frame = NULL;
	size_t n;

	if (varlink_pack(call, &frame, &n) < 0)
		return err_set(err, ERR_USAGE,
			       "the request is longer than a message may be (1 MiB)");
	return send_all(client, frame, n, client_clock() + CLIENT_CALL_US, err);
}

/* Through ssh; connected is who has answered, so that a change is never sent into a connection that
 * may not come to be. What bmd may refuse it refuses of the call itself. */
static int
connect_there(struct client *client, struct err *err)
{
	_cleanup_json_ json_t *nothing = json_object(), *reply = NULL;
	bool continues;
	int r = remote_open(client->host, client->socket, &client->remote, &client->fd, err);

	if (r >= 0 && fcntl(client->fd, F_SETFL, O_NONBLOCK) < 0)
		r = err_errno(err, errno, "fcntl");
	if (r >= 0)
		r = send_call(client, ERR_SERVICE "GetInfo", nothing, false, false, err);
	if (r >= 0)
		r = client_next(client, client_clock() + REMOTE_US, &reply, &continues, err);
	if (r == -ECONNRESET)
		r = remote_why(client->remote, err);
	if (r < 0)
		client_close(client);
	return r;
}

/* Whoever sits there is told soon that somebody is waited for: a bmd that cannot start keeps its
 * socket, and no answer comes. */
static int
answer(struct client *client, json_t **ret_reply, struct err *err)
{
	int64_t deadline = client_clock() + CLIENT_CALL_US;
	bool continues;
	int r = client_next(client, client_clock() + SILENCE_US, ret_reply, &continues, err);

	if (r != -ETIMEDOUT)
		return r;
	err_clear(err);
	if (isatty(STDERR_FILENO))
		table_line(stderr,
			   "bmctl: bmd at %s has not answered yet, waiting (is it starting? "
			   "systemctl status bmd)",
			   client->name);
	return client_next(client, deadline, ret_reply, &continues, err);
}

static int
attempt(struct client *client, const char *method, json_t *parameters, json_t **ret_reply,
	struct err *err)
{
	int r;

	if ((r = client_connect(client, err)) < 0)
		return r;
	if ((r = send_call(client, method, parameters, false, false, err)) < 0)
		return r;
	return answer(client, ret_reply, err);
}

static int
lost(const struct client *client, struct err *err)
{
	return err_set(
	    err, ERR_UNKNOWN_OUTCOME,
	    "the answer of bmd at %s was lost: the request may have been accepted: bmctl queue",
	    client->name);
}

int
client_call(struct client *client, const char *method, json_t *parameters, bool changes,
	    json_t **ret_reply, struct err *err)
{
	int r = attempt(client, method, parameters, ret_reply, err);

	if (r >= 0)
		return 0;
	if (r == -ETIMEDOUT) {
		client_close(client);
		return changes ? lost(client, err) : r;
	}
	if (r != -ECONNRESET && err->code != ERR_UNKNOWN_OUTCOME)
		return r;
	r = client_reconnect(client, client_clock() + AGAIN_US, err);
	if (r >= 0)
		r = attempt(client, method, parameters, ret_reply, err);
	if (r >= 0) {
		err_clear(err);
		return 0;
	}
	client_close(client);
	if (changes && (r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT))
		return lost(client, err);
	return r;
}

int
client_start(struct client *client, const char *method, json_t *parameters, bool more,
	     struct err *err)
{
	int r;

	client_close(client);
	if ((r = client_connect(client, err)) < 0)
		return r;
	return send_call(client, method, parameters, more, false, err);
}

int
client_upgrade(struct client *client, const char *method, json_t *parameters, int *ret_fd,
	       struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	bool continues;
	struct timeval patience = {.tv_sec = UPLOAD_S};
	int r;

	client_close(client);
	if ((r = client_connect(client, err)) < 0)
		return r;
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if ((r = send_call(client, method, parameters, false, true, err)) < 0)
		return r;
	r = client_next(client, client_clock() + CLIENT_CALL_US, &reply, &continues, err);
	if (r < 0)
		return r;
	if (fcntl(client->fd, F_SETFL, 0) < 0)
		return err_errno(err, errno, "fcntl");
	*ret_fd = client->fd;
	return 0;
}

int
client_answer(struct client *client, int64_t deadline, json_t **ret_answer, struct err *err)
{
	int r;

	if (fcntl(client->fd, F_SETFL, O_NONBLOCK) < 0)
		return err_errno(err, errno, "fcntl");
	while ((r = take_object(client, ret_answer, err)) == 0)
		if ((r = client_wait(&client, 1, deadline)) < 0)
			return r == -ETIMEDOUT ? broken(client, "did not answer in time", err) : r;
	if (r < 0)
		return r;
	if (json_object_get(*ret_answer, "error") != NULL) {
		struct err reply = ERR_INIT;

		r = err_from_json(*ret_answer, &reply);
		json_decref(TAKE(*ret_answer));
		if (r < 0)
			return err_set(err, ERR_FAILED, "bmd at %s sent a malformed error",
				       client->name);
		err_clear(err);
		*err = reply;
		return err_set(NULL, reply.code, "%s", reply.text);
	}
	return 0;
}
