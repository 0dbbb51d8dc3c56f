/* SPDX-License-Identifier: ISC */
/*
 * One line, one write(2): to the journal with its priority in front, to anything else with the
 * program's name. A line is cut at LINE_MAX_BYTES.
 */
#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#include "common/json.h"
#include "common/journal.h"

#define LINE_MAX_BYTES 4096

static struct {
	const char *program, *socket;
	bool journal;
} log_to = {"bmd", JOURNAL_SOCKET, false};

void
log_init(const char *program, const char *journal)
{
	log_to.program = program;
	log_to.socket = journal ? journal : JOURNAL_SOCKET;
	log_to.journal = journal_is_stderr();
}

static const char *
word(int priority)
{
	return priority == LOG_ERR ? "error: " : priority == LOG_WARNING ? "warning: " : "";
}

static _printf_(2, 0) void line(int priority, const char *format, va_list args)
{
	int saved = errno;
	char text[LINE_MAX_BYTES], out[LINE_MAX_BYTES];
	_cleanup_free_ char *safe = NULL;
	int n;

	vsnprintf(text, sizeof(text), format, args);
	safe = json_terminal(text);
	if (log_to.journal)
		n = snprintf(out, sizeof(out) - 1, "<%d>%s", priority, safe);
	else
		n = snprintf(out, sizeof(out) - 1, "%s: %s%s", log_to.program, word(priority),
			     safe);
	if (n < 0)
		n = 0;
	if ((size_t)n > sizeof(out) - 2)
		n = sizeof(out) - 2;
	out[n++] = '\n';
	/* Where the log cannot be written there is nobody left to tell. */
	while (write(STDERR_FILENO, out, (size_t)n) < 0 && errno == EINTR)
		;
	errno = saved;
}

void
log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line(LOG_ERR, format, args);
	va_end(args);
}

void
log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line(LOG_WARNING, format, args);
	va_end(args);
}

void
log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line(LOG_INFO, format, args);
	va_end(args);
}

static _printf_(2, 3) void line_of(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line(priority, format, args);
	va_end(args);
}

void
log_event(const struct event *event)
{
	_cleanup_free_ char *safe = json_terminal(event->text);
	struct event shown = *event;

	shown.text = safe;
	if (!log_to.journal || !journal_send(log_to.socket, log_to.program, &shown))
		line_of(event_priority(event->kind), "%s", event->text);
}
