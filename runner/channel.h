/* SPDX-License-Identifier: ISC */
/*
 * Whoever talks with a run: bmd on the connection that bmd-run was born with, and those of bmd's
 * uid on JOB/control. bmd may be gone at any time; from "go" on that changes nothing.
 */
#ifndef RUNNER_CHANNEL_H
#define RUNNER_CHANNEL_H

#include <jansson.h>
#include <sys/types.h>

#include "runner/runner.h"

/* FD: the connection, taken. Its peer must be root, the user of this process, or the owner of the
 * socket's path. */
int channel_open(struct run *run, int fd, struct channel **ret_channel, struct err *err);
void channel_close(struct channel *channel); /* NULL is fine */
/* bmd's group, if files have to be shared with it; else (gid_t)-1. */
gid_t channel_reader(const struct channel *channel);

/* Runs the loop until the request, or an errand instead, is there. -ECONNRESET: bmd left. */
int channel_request(struct channel *channel, json_t **ret_request, struct err *err);
/* Runs the loop until "go". -ECONNRESET: bmd left, or this process is to end; nothing has happened
 * then. */
int channel_await_go(struct channel *channel);
/* LISTEN_FD is taken: JOB/control. */
void channel_listen(struct channel *channel, int listen_fd);

/* To bmd alone / to bmd and all that follow. Never blocks; whoever does not read is let go. */
void channel_answer(struct channel *channel, const json_t *message);
void channel_tell(struct channel *channel, const json_t *message);
/* Runs the loop until all is sent, or for so many seconds. */
void channel_flush(struct channel *channel, double limit_s);

/* As whom bmd runs. */
uid_t channel_owner(const struct channel *channel);

#endif
