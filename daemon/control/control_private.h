/* SPDX-License-Identifier: ISC */
/*
 * What the files of control share. Each calls those behind it and none before it:
 *
 *	control.c	 the socket: newcomers, and in which order a turn of the loop serves its clients
 *	control_room.c	 the bound of what all clients together keep in memory: who goes when it is reached
 *	control_call.c	 calls: frames handed out, replies held until the turn is over
 *	control_client.c connections: bytes in and out, their deadlines, and their end
 *	control_lists.c	 whose turn it is: lists of clients, lines of those of one uid, and for how long
 */
#ifndef DAEMON_CONTROL_CONTROL_PRIVATE_H
#define DAEMON_CONTROL_CONTROL_PRIVATE_H

#include "daemon/control/buffer.h"
#include "daemon/control/control.h"
#include "daemon/control/gate.h"
#include "daemon/control/listen.h"
#include "daemon/control/peer.h"

#define CONTROL_TURN_CLIENT 256	 /* frames of one client that are handed out in one go, */
#define CONTROL_SLICE_US    2000 /* but no further one after so long */
#define CONTROL_MEMORY	    (16 * 1024 * 1024) /* of all clients' bytes in and out together */
#define CONTROL_BUFFER_KEEP (16 * 1024) /* an empty buffer that is larger gives its memory back */

/* A client stands in several lists of the control at once, in each at most once: it has frames to
 * hand out, output to write, or an end to come to. */
enum list { READY, TOUCHED, DOOMED, LISTS };

struct control_call {
	bool open; /* the handler has it */
	bool more, oneway;
	enum control_fate fate;
	uint64_t serial;  /* on its connection */
	uint64_t place;	  /* the serial that it had when it was asked first */
	const char *text; /* of its frame, while that is being handed out */
	size_t ntext;
	void (*gone)(void *arg);
	void *gone_arg;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* A reply that waits for the end of the turn, or, behind a turn that failed, for those before
 * it. */
struct held {
	struct held *next;
	struct client *client;
	uint64_t call;	/* its serial */
	uint64_t place; /* of the call among those of the connection */
	enum control_fate fate;
	bool upgrade;
	/* the frame of the call, to be handed out again; NULL: the reply is what counts */
	char *ask;
	size_t nask, n;
	char frame[];
};

struct client_list {
	struct client *first, **last;
};

/* Those of one uid: they wait in a line of their own, so that who comes with a hundred connections
 * has no more turns than who comes with one. */
struct line {
	int64_t uid;
	size_t clients; /* that have it; connected ones */
	size_t memory;	/* theirs, while it is asked who has most */
	size_t held;	/* by them, and by those that linger */
	struct client_list ready;
	struct line *next;	 /* all lines */
	struct line *next_ready; /* those with somebody ready, in the order of their turns */
	bool in_ready;
};

struct client {
	struct control_call call; /* first: a call is its client */
	struct control *control;
	struct line *line;
	struct client *previous, *next; /* all that are connected, or all that linger */
	struct client *listed[LISTS];	/* the next in each list */
	bool in_list[LISTS];
	int fd;
	ev_io readable, writable;
	ev_timer frame, stall;
	struct control_peer peer;
	struct varlink_input in;
	size_t frames;	 /* complete ones in the input */
	size_t too_long; /* the frame that is coming in is over this limit */
	struct buffer out;
	size_t memory;		    /* of these two and of what is held, when it was weighed last */
	size_t awaited, held_bytes; /* calls of the turn that are to come, and what they bring */
	struct held *again;	    /* by place; no new frame is handed out before they are done */
	uint64_t calls, failed; /* serials: so far; the last one that has failed with its turn */
	int untaken;		/* bytes in the socket when the stall timer began */
	bool quiet;		/* one of those that are awaited lets a stream go on */
	bool serving;		/* its frames are being handed out */
	bool eof, closing, hung_up, buried, watched;
	void (*taken)(int fd, void *arg); /* upgrading */
	void *taken_arg;
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
	ev_timer calm;	/* after large answers: memory that is free goes back to the system */
	size_t given;	/* bytes of answers, and of clients that went, since then */
	size_t memory;	/* of all clients */
	int hang_ups;	/* epoll of those that are not read from, for their hang-up */
	ev_io hang_up;
	bool exhausted;	 /* no descriptors, and the log says so already */
	bool in_control; /* turn_after() calls back from inside: no writing there */
	struct rights *rights;
	json_t *gate; /* what is amiss with the socket's file */
	struct client *clients, *lingering;
	size_t nclients;
	struct client_list lists[LISTS]; /* but READY: that is in lines */
	struct line *lines, *ready, **ready_last;
	size_t nready; /* clients */
};

/* control_client.c. Of a descriptor that was accepted, and its peer, which it owns from here on:
 * reads from it. */
void client_new(struct control *control, int fd, const struct control_peer *peer);
/* Doomed first, buried in the prepare watcher; it stays in memory while the turn or a handler holds
 * it. */
void client_doom(struct client *c);
void client_bury(struct client *c);
void client_free_lingering(struct control *control);
/* At once, and the log tells it: nothing that came or waits to leave is kept. */
void client_cut_off(struct client *c, const char *why);
/* Tells the control how much memory this client has now. */
void client_weigh(struct client *c);
void client_end_call(struct client *c);
/* Tells the handler, if it asked to be told, that nobody listens to its call any more. */
void client_abandon_call(struct client *c);
void client_abandon_upgrade(struct client *c);
/* Lets a stream go on that waits for room, if it may. */
void client_go_on(struct client *c);
/* Calls client_go_on() when this turn is over. */
void client_await_quiet(struct client *c);
bool client_has_room(const struct client *c);	 /* for more output */
bool client_takes_calls(const struct client *c); /* may the next frame be handed out? */
/* may what a failed turn has left be worked off? */
bool client_asks_again(const struct client *c);
/* Writes, and looks at what has become possible by it. */
void client_flush(struct client *c);
/* What a client waits for: read from it or not, a deadline for half a frame, or its end. */
void client_look(struct client *c);
void client_hang_ups(struct ev_loop *loop, ev_io *w, int revents); /* of a control's epoll */

/* control_call.c. Hands out what this client may have in one go; returns how many frames that
 * were. */
size_t call_serve(struct client *c, size_t budget);
/* WHY is the last answer, and what has come in beyond it is forgotten. Not while a call is in
 * hand. */
void call_refuse_rest(struct client *c, const struct err *why);

/* control_room.c. Lets clients go until the others have no more than CONTROL_MEMORY: first of the
 * uid that has most who has most of it. Who only sends is told so. */
void room_make(struct control *control);

/* control_lists.c. Lists that are not empty keep the loop from sleeping before the next prepare. */
void client_list(struct client *c, enum list list);
/* The first, or NULL; of READY the first of the uid whose turn it is. */
struct client *client_take(struct control *control, enum list list);
void control_wake(struct control *control);
/* Joins those of its uid, with the peer known; leaves them with its memory. */
void line_join(struct client *c);
void line_leave(struct client *c);
/* How many connections of this uid there are. */
size_t client_count(const struct control *control, int64_t uid);
/* So long, of this process's own time: on a machine that is busy with others no turn is cut
 * short. */
struct spell {
	int64_t wall_us, own_us; /* when it is over */
};
struct spell spell_begin(int64_t us);
bool spell_over(const struct spell *spell);

#endif
