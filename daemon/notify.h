/* SPDX-License-Identifier: ISC */
/* sd_notify without libsystemd: silent without $NOTIFY_SOCKET. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);	   /* with MONOTONIC_USEC */
void notify_stopping(void);
void notify_status(const char *text);
/* A listening socket handed over by socket activation, named "varlink" or the only one; -1 if there is none. */
int notify_listen_fd(void);

#endif
