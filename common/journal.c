/* SPDX-License-Identifier: ISC */
/*
 * An entry is a list of fields: NAME=value and a line break, or, where the value holds line breaks,
 * NAME, a line break, the length in 64 bits, lowest first, the value and a line break
 * (systemd's "Native Journal Protocol"). A journal that is away or full is not waited for.
 */
#include "common/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/scope.h"

#define ENTRY_MAX 65536 /* far below what a datagram may hold */

struct entry {
	char bytes[ENTRY_MAX];
	size_t n;
	bool full;
};

static void
put(struct entry *entry, const void *bytes, size_t n)
{
	if (n > sizeof(entry->bytes) - entry->n) {
		entry->full = true;
		return;
	}
	memcpy(entry->bytes + entry->n, bytes, n);
	entry->n += n;
}

/* A field that does not fit is left out whole. */
static void
field(struct entry *entry, const char *name, const char *value)
{
	size_t n = strlen(value), before = entry->n;
	unsigned char length[8];

	if (n == 0)
		return;
	entry->full = false;
	put(entry, name, strlen(name));
	if (memchr(value, '\n', n)) {
		for (int i = 0; i < 8; i++)
			length[i] = (unsigned char)((uint64_t)n >> (8 * i));
		put(entry, "\n", 1);
		put(entry, length, sizeof(length));
	} else {
		put(entry, "=", 1);
	}
	put(entry, value, n);
	put(entry, "\n", 1);
	if (entry->full)
		entry->n = before;
}

static void
number(struct entry *entry, const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	field(entry, name, text);
}

static void
fill(struct entry *entry, const char *identifier, const struct event *event)
{
	number(entry, "PRIORITY", event_priority(event->kind));
	field(entry, "MESSAGE_ID", event_message_id(event->kind));
	field(entry, "SYSLOG_IDENTIFIER", identifier);
	field(entry, "BM_EVENT", event_name(event->kind));
	if (event->job > 0)
		number(entry, "BM_JOB", event->job);
	field(entry, "BM_APPLICATION", event->application);
	field(entry, "BM_RELEASE", event->build.release);
	if (event->build.number > 0)
		number(entry, "BM_BUILD", event->build.number);
	field(entry, "BM_STAGE", event->stage);
	field(entry, "BM_PLAN", event->plan);
	field(entry, "BM_STEP", event->step);
	field(entry, "BM_RESULT", event->result);
	field(entry, "BM_REQUESTED_BY", event->requester);
	field(entry, "MESSAGE", event->text);
}

bool
journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

bool
journal_send(const char *path, const char *identifier, const struct event *event)
{
	_cleanup_free_ struct entry *entry = calloc(1, sizeof(*entry));
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (!entry || strlen(path) >= sizeof(to.sun_path))
		return false;
	fill(entry, identifier, event);
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && sendto(fd, entry->bytes, entry->n, MSG_NOSIGNAL,
				 (const struct sockaddr *)&to, sizeof(to)) == (ssize_t)entry->n;
}
