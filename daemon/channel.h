/* SPDX-License-Identifier: ISC */
/*
 * A connected stream socket to a helper (bmd-run, bmd-import --verify), both ways: frames in (one
 * JSON object, one NUL) and bytes out, never blocking. Input is limited by VARLINK_FRAME_MAX a
 * frame, output by CHANNEL_OUT_MAX.
 */
#ifndef DAEMON_CHANNEL_H
#define DAEMON_CHANNEL_H

#include <ev.h>
#include <jansson.h>
#include <stddef.h>

#define CHANNEL_OUT_MAX (64 * 1024 * 1024)

struct channel;
/* Takes FD (non-blocking). MESSAGE: a frame (borrowed); CLOSED: end of file, a broken frame or a
 * broken connection, once, after the last message. Either may free the channel. */
struct channel *channel_new(struct ev_loop *loop, int fd,
			    void (*message)(const json_t *object, void *arg),
			    void (*closed)(void *arg), void *arg);
void channel_free(struct channel *channel); /* NULL is fine */

/* 0, or -E2BIG for what is over a frame's or the buffer's limit. A connection that is gone is told
 * by CLOSED. */
int channel_send(struct channel *channel, const json_t *object);
int channel_send_bytes(struct channel *channel, const void *bytes, size_t n);
/* Nothing more will be sent: the other side sees end of file behind what was. */
void channel_end(struct channel *channel);

/* Connects to the socket DIRECTORY/JOB/control of a run that lives: a descriptor, or -errno. */
int channel_connect_run(const char *run_directory, int64_t job);

#endif
