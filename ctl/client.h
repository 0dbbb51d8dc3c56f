/* SPDX-License-Identifier: ISC */
/*
 * One connection to bmd: opened when it is needed, blocking with deadlines. Replies that are errors
 * of the protocol come back as a filled struct err. A broken connection is -ECONNRESET, an
 * unreachable bmd -ECONNREFUSED, a passed deadline -ETIMEDOUT, Ctrl-C (once client_interruptible()
 * was called) -EINTR.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CLIENT_CALL_US INT64_C(45000000) /* a plain call is answered within this */
#define CLIENT_NEVER   INT64_MAX

struct client;
/* Does not connect. HOST (NULL: this machine) and SOCKET (NULL with a HOST: the one that is usual
 * there) are borrowed. */
struct client *client_new(const char *host, const char *socket);
void client_free(struct client *client); /* NULL is fine */
/* Times in sentences of replies and errors are shown in ZONE (borrowed) from now on; NULL, as at
 * first: as bmd wrote them. */
void client_zone(struct client *client, const char *zone);
void client_close(struct client *client);

/* Microseconds that only go forward: what deadlines are reckoned in. */
int64_t client_clock(void);

/*
 * A plain call with one reply; RET_REPLY gets its parameters, always an object. If the connection
 * breaks it is sent once more as it is (a call that CHANGES carries its key); a change whose answer
 * is lost then fails with UNKNOWN_OUTCOME.
 */
int client_call(struct client *client, const char *method, json_t *parameters, bool changes,
		json_t **ret_reply, struct err *err);

/* A stream: send, then take replies. Connects anew, so that nothing of an earlier stream is left.
 */
int client_start(struct client *client, const char *method, json_t *parameters, bool more,
		 struct err *err);
/* 1 and the next reply; 0 when none has come in yet; a negative errno. Never blocks. */
int client_take(struct client *client, json_t **ret_reply, bool *ret_continues, struct err *err);
/* The same, blocking until DEADLINE: 0 or a negative errno. */
int client_next(struct client *client, int64_t deadline, json_t **ret_reply, bool *ret_continues,
		struct err *err);
/* Waits until one of N clients (NULL ones are skipped) may have a reply: 0, -ETIMEDOUT or -EINTR,
 * without a sentence. */
int client_wait(struct client *const *clients, size_t n, int64_t deadline);

/* A connected descriptor for those who only pass bytes; it stays CLIENT's. */
int client_open(struct client *client, int *ret_fd, struct err *err);

/* Upgrades; the connection stays CLIENT's, and its descriptor is blocking until client_answer(). */
int client_upgrade(struct client *client, const char *method, json_t *parameters, int *ret_fd,
		   struct err *err);
/* The one object that follows an upgrade. */
int client_answer(struct client *client, int64_t deadline, json_t **ret_answer, struct err *err);

/* From now on Ctrl-C makes waiting return -EINTR; a second one ends the process. */
void client_interruptible(void);
/* For those who build the next wait themselves: tries to connect again until DEADLINE, some times a
 * second. */
int client_reconnect(struct client *client, int64_t deadline, struct err *err);

DEFINE_CLEANUP(struct client *, cleanup_client, client_free)
#define _cleanup_client_ _cleanup_(cleanup_client)

#endif
