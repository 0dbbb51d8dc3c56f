/* SPDX-License-Identifier: ISC */
/*
 * The title is what /proc/PID/cmdline shows: the memory in which the kernel put the arguments, and
 * behind them the environment. The environment moves away, so that its room is the title's too; the
 * kernel reads on there when the arguments do not end in a NUL.
 */
#include "runner/show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/notify.h"
#include "common/xalloc.h"

static struct {
	char *at;
	size_t size;
} title; /* of this process: there is one */

/* TEXTS lie one behind the other, as the kernel put them: where the last of those ends that do,
 * from END on. */
static char *
behind(char *const *texts, size_t n, char *end)
{
	for (size_t i = 0; i < n && texts[i] == end; i++)
		end += strlen(end) + 1;
	return end;
}

void
show_init(int argc, char **argv)
{
	static char **moved; /* for as long as anybody may hold what getenv() gave him */
	size_t n = 0;
	char *end;

	while (environ[n])
		n++;
	if (argc < 1)
		return;
	end = behind(argv, (size_t)argc, argv[0]);
	end = behind(environ, n, end);
	moved = xcalloc(n + 1, sizeof(*moved));
	for (size_t i = 0; i < n; i++)
		moved[i] = xstrdup(environ[i]);
	environ = moved;
	title.at = argv[0];
	title.size = (size_t)(end - argv[0]);
}

static void
title_set(const char *text)
{
	static const char name[] = "bmd-run: ";
	size_t n = strlen(name), rest = strlen(text);

	if (title.size <= n)
		return;
	rest = rest < title.size - n ? rest : title.size - n - 1;
	memset(title.at, 0, title.size);
	memcpy(title.at, name, n);
	memcpy(title.at + n, text, rest);
}

void
show(const char *text)
{
	title_set(text);
	notify_status(text);
}

void
show_event(const struct event *event)
{
	show(event->text);
	if (journal_is_stderr())
		(void)journal_send(JOURNAL_SOCKET, "bmd-run", event);
}
