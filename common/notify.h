/* SPDX-License-Identifier: ISC */
/* sd_notify without libsystemd: silent without $NOTIFY_SOCKET. */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void); /* with MONOTONIC_USEC */
void notify_stopping(void);
void notify_status(const char *text);
void notify_alive(void); /* for the watchdog */
/* How often the watchdog is to be told (half of what it allows), µs; 0: there is none. To be asked
 * once. */
int64_t notify_watchdog_us(void);
/* A listening socket handed over by socket activation, named "varlink" or the only one; -1 if there
 * is none. */
int notify_listen_fd(void);

#endif
