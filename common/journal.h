/* SPDX-License-Identifier: ISC */
/* The journal's native protocol without libsystemd: one datagram an entry. */
#ifndef COMMON_JOURNAL_H
#define COMMON_JOURNAL_H

#include <stdbool.h>

#include "common/event.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Is stderr the journal? $JOURNAL_STREAM names the device and inode that it gave; a redirected
 * stderr does not match. */
bool journal_is_stderr(void);
/* Sends EVENT with its fields. False when nobody took it: say it another way. */
bool journal_send(const char *socket, const char *identifier, const struct event *event);

#endif
