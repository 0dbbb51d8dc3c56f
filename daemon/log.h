/* SPDX-License-Identifier: ISC */
/* The daemon's own words: to stderr, with the journal's priority prefix when stderr is the journal. Control bytes are escaped. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "common/scope.h"

void log_init(const char *program);
void log_error(const char *format, ...) _printf_(1, 2);
void log_warning(const char *format, ...) _printf_(1, 2);
void log_info(const char *format, ...) _printf_(1, 2);

#endif
