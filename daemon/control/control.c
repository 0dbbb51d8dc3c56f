/* SPDX-License-Identifier: ISC */
/*
 * The socket. Frames are handed out in one place, a prepare watcher just before the turn's own, so
 * that whatever arrived in one pass of the loop commits together; ready clients wait in line there
 * and share a budget.
 */
#include "daemon/control/control.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/xalloc.h"
#include "daemon/control/control_private.h"
#include "daemon/log.h"

#define TURN_FRAMES  2048 /* handed out in one turn, over all clients */
#define REST_SECONDS 0.1
#define ACCEPT_TURN  64
#define CALM_SECONDS 2.0
#define CALM_BYTES   (64 * 1024)
/* So long frames are handed out before others get their turn: outputs, newcomers, runs. */
#define TURN_US 5000

size_t
control_clients(const struct control *control)
{
	return control->nclients;
}

/* ---- newcomers ---- */

static const char *
why_not(const struct control *control, const struct control_peer *peer)
{
	size_t room = CONTROL_CLIENTS - (peer_is_root(peer) ? 0 : CONTROL_RESERVE);

	if (client_count(control, peer->uid) >= CONTROL_CLIENTS_UID)
		return "you have too many connections to bmd: end some of them, then try again";
	if (control->nclients >= room)
		return "bmd has too many connections: try again in a moment";
	return NULL;
}

static void
welcome(struct control *control, int fd)
{
	struct control_peer peer;

	peer_read(fd, &peer);
	peer_judge(&peer, control->rights);
	const char *why = why_not(control, &peer);
	if (why) {
		peer_clear(&peer);
		listen_refuse(fd, why);
		return;
	}
	client_new(control, fd, &peer);
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

	for (size_t n = list_length(control, DOOMED); n > 0 && (c = client_take(control, DOOMED));
	     n--) {
		/* Freed only when no list has it: come back. */
		if (c->in_list[READY] || c->in_list[TOUCHED])
			client_list(c, DOOMED);
		client_bury(c);
	}
}

/* One client of each uid after the other, again and again as long as there is time: who is alone
 * has all of it, and so each commit has as many changes as there is time for. */
static void
serve_ready(struct control *control)
{
	struct spell turn = spell_begin(TURN_US);
	size_t budget = TURN_FRAMES, served, idle = 0;
	struct client *c;

	while (budget > 0 && idle <= control->nready && (c = client_take(control, READY))) {
		served = call_serve(c, budget < CONTROL_TURN_CLIENT ? budget : CONTROL_TURN_CLIENT);
		budget -= served;
		idle = served > 0 ? 0 : idle + 1;
		if (spell_over(&turn))
			break;
	}
}

static void
flush_touched(struct control *control)
{
	struct client *c;

	for (size_t n = list_length(control, TOUCHED); n > 0 && (c = client_take(control, TOUCHED));
	     n--)
		client_flush(c);
}

/* What many answers were made in lies between what is still needed: the C library keeps it for
 * ever. */
static void
on_calm(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct control *control = w->data;

	(void)revents;
	ev_timer_stop(loop, w);
	control->given = 0;
	(void)malloc_trim(0);
}

static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct control *control = w->data;
	bool more;

	(void)revents;
	serve_ready(control);
	flush_touched(control);
	room_make(control);
	bury_doomed(control);
	if (control->given > CALM_BYTES && !ev_is_active(&control->calm))
		ev_timer_again(loop, &control->calm);
	more = control->nready > 0 || control->lists[TOUCHED].first || control->lists[DOOMED].first;
	if (!more)
		ev_timer_stop(loop, &control->again);
	else
		control_wake(control);
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
	ev_io_init(&control->hang_up, client_hang_ups, control->hang_ups, EV_READ);
	ev_init(&control->rest, on_rested);
	control->rest.repeat = REST_SECONDS;
	ev_init(&control->calm, on_calm);
	control->calm.repeat = CALM_SECONDS;
	ev_timer_init(&control->again, on_again, 0., 0.);
	ev_prepare_init(&control->prepare, on_prepare);
	/* After everybody else's, and before the turn's, which is the last. */
	ev_set_priority(&control->prepare, EV_MINPRI + 1);
	control->acceptable.data = control->hang_up.data = control->rest.data =
	    control->again.data = control->calm.data = control->prepare.data = control;
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
	control->ready_last = &control->ready;
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
	struct rights *before = control->rights;

	control->rights = peer_rights(conf);
	json_decref(control->gate);
	control->gate = gate_problems(listen_fd(control->listen), conf);
	for (struct client *c = control->clients; c; c = c->next)
		peer_judge(&c->peer, control->rights);
	for (struct client *c = control->lingering; c; c = c->next)
		peer_judge(&c->peer, control->rights);
	rights_free(before);
}

const json_t *
control_problems(const struct control *control)
{
	return control->gate;
}

char *
control_path(const struct control *control)
{
	return gate_path(listen_fd(control->listen));
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
		client_look(c);
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
		client_flush(c);
		if (!c->buried)
			client_bury(c);
	}
	for (int i = 0; i < LISTS; i++)
		while (client_take(control, (enum list)i))
			continue;
	client_free_lingering(control);
	ev_ref(control->loop);
	ev_ref(control->loop);
	ev_timer_stop(control->loop, &control->again);
	ev_timer_stop(control->loop, &control->calm);
	ev_prepare_stop(control->loop, &control->prepare);
	ev_io_stop(control->loop, &control->hang_up);
	close(control->hang_ups);
	json_decref(control->gate);
	rights_free(control->rights);
	free(control);
}
