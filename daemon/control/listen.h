/* SPDX-License-Identifier: ISC */
/*
 * The listening socket: made at a path where no living owner is, or taken from whoever activated
 * us; and accept(2) that survives a process without descriptors.
 */
#ifndef DAEMON_CONTROL_LISTEN_H
#define DAEMON_CONTROL_LISTEN_H

#include "common/err.h"

struct listen;
/* GIVEN_FD −1: makes PATH (mode 0666, its folder 0755 if it is missing). On failure GIVEN_FD stays
 * the caller's. */
int listen_new(const char *path, int given_fd, struct listen **ret_listen, struct err *err);
/* Closes it, and removes the path if it was made here and is still that socket. */
void listen_free(struct listen *listen); /* NULL is fine */
int listen_fd(const struct listen *listen);
/* A non-blocking, CLOEXEC descriptor; −EAGAIN when nobody is waiting; −EMFILE when no descriptor
 * was left: one newcomer was then told so and let go, and the caller should rest. */
int listen_accept(struct listen *listen);
/* Tells a newcomer that there is no room, and why; closes FD. */
void listen_refuse(int fd, const char *why);

#endif
