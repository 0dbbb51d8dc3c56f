/* SPDX-License-Identifier: ISC */
/* The daemon's own words: to stderr, with the journal's priority prefix when stderr is the journal.
 * Control bytes are escaped. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "common/scope.h"
#include "common/event.h"

/* JOURNAL: the socket by which events reach the journal with their fields; NULL: its own place. */
void log_init(const char *program, const char *journal);
void log_error(const char *format, ...) _printf_(1, 2);
void log_warning(const char *format, ...) _printf_(1, 2);
void log_info(const char *format, ...) _printf_(1, 2);
/* The sentence of EVENT: with its fields where stderr is the journal, as a plain line elsewhere. */
void log_event(const struct event *event);

#endif
