/* SPDX-License-Identifier: ISC */
/*
 * The socket: listen, who is there, limits, frames in and out. A complete call of a peer whose role
 * is known goes to the one handler; what it means is not this file's matter. Replies are held until
 * the turn's commit.
 *
 * Limits: CONTROL_CLIENTS connections, of these CONTROL_CLIENTS_UID of one uid and CONTROL_RESERVE
 * for root and the daemon's own uid; a frame of 1 MiB (64 KiB from a peer without a role); 64 calls
 * pipelined and unanswered before reading pauses; 256 frames of a client at a time and 2,048 in all
 * in one turn, which takes 5 ms at the most, 2 ms at a time for one client, the uids in turns; 30 s
 * for a frame to become complete; an output buffer of 4 MiB, beyond which a stream is cut off (its
 * reader resumes by cursor), and of 256 KiB (a share of 4 MiB where there are many clients), beyond
 * which no further call is taken; 60 s without taking a byte of it; 16 MiB of all clients' bytes in
 * and out: beyond it those go that have most (see control_room.c). EMFILE: a reserve descriptor
 * refuses the newcomer, and the listener rests 100 ms.
 */
#ifndef DAEMON_CONTROL_CONTROL_H
#define DAEMON_CONTROL_CONTROL_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf/conf.h"
#include "common/err.h"
#include "common/rights.h"
#include "common/varlink.h"
#include "daemon/turn.h"

#define CONTROL_CLIENTS	    512
#define CONTROL_CLIENTS_UID 128
#define CONTROL_RESERVE	    16

/* The widest role that somebody has anywhere. On which stage he has it is asked of the rights. */
enum control_role {
	CONTROL_NOBODY,
	CONTROL_VIEWER,
	CONTROL_APPROVER,
	CONTROL_OPERATOR,
	CONTROL_ROOT
};

struct control_peer { /* read once, at accept, from the kernel */
	int64_t uid;
	int64_t pid;
	char name[64]; /* login name, or "uid 1000" */
	enum control_role role;
	struct rights_who as;	     /* with the groups */
	const struct rights *rights; /* of the configuration that is in force; changes with it */
};

struct control;
struct control_call; /* one call that waits for its replies */

/* What becomes of the replies of a call that were made while a transaction was open whose commit
 * failed. */
enum control_fate {
	CONTROL_ASKED_AGAIN, /* it changed nothing: the handler is called anew, behind the turn */
	CONTROL_TOLD,	     /* it changed something: its answer is the failure */
	CONTROL_STANDS,	     /* they say what does not depend on it */
};

/* Called for each valid frame, one at a time on a connection. WHAT is valid until it returns, PEER
 * as long as CALL. CALL is the caller's until control_reply(…, continues false), control_error() or
 * control_upgrade(). */
typedef void control_handler(struct control_call *call, const struct varlink_call *what,
			     const struct control_peer *peer, void *arg);

/* Takes GIVEN_FD, or makes the socket at CONF's path (probes for a living owner before it unlinks;
 * mode 0666, access is by role). */
int control_new(struct ev_loop *loop, struct turn *turn, const struct conf *conf, int given_fd,
		control_handler *handler, void *arg, struct control **ret_control, struct err *err);
void control_free(struct control *control);
/* New lists of who may what; connected peers are judged anew by the groups read at accept. */
void control_reload(struct control *control, const struct conf *conf);
/* What is amiss with the socket's file, as of the last (re)load: sentences, the control's own. */
const json_t *control_problems(const struct control *control);
/* Where it listens, to be freed; NULL if that has no path. */
char *control_path(const struct control *control);
size_t control_clients(const struct control *control);
/* Stop listening; what is in hand is answered. */
void control_stop(struct control *control);

/* Steals PARAMETERS. After the last reply (or for oneway) CALL is gone. TEXT variant: a reply frame
 * without NUL, as stored under a key. */
void control_reply(struct control_call *call, json_t *parameters, bool continues);
void control_reply_text(struct control_call *call, const char *text);
void control_error(struct control_call *call, const struct err *err);
/* The last reply, then the connection leaves: TAKEN is called with its descriptor (blocking mode
 * off) after the reply was written, or with −1 if the client sent bytes ahead or is gone. */
void control_upgrade(struct control_call *call, json_t *parameters,
		     void (*taken)(int fd, void *arg), void *arg);
/* Before its replies; else it is asked again. */
void control_set_fate(struct control_call *call, enum control_fate fate);
/* Called when the client of a call that still streams has gone (CALL is gone afterwards). */
void control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg);
/* May a stream send more now (its output buffer is under 256 KiB, and no transaction is open, in
 * which it might read what does not last)? Else DRAINED is called once when it may. */
bool control_may_send(struct control_call *call, void (*drained)(void *arg), void *arg);

#endif
