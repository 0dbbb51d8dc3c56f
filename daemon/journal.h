/* SPDX-License-Identifier: ISC */
/* The journal's native protocol without libsystemd: one datagram an entry. */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include <stdbool.h>

#include "daemon/event.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Sends EVENT with its fields. False when nobody took it: say it another way. */
bool journal_send(const char *socket, const char *identifier, const struct event *event);

#endif
