/* SPDX-License-Identifier: ISC */
/* The table of events, and copies of one that wait for a commit. */
#include "common/event.h"

#include <stdlib.h>

#include "common/xalloc.h"

static const struct {
	const char *name, *id;
	int priority;
} kinds[EVENT_MAX_] = {
#define X(symbol, name, id, priority) [EVENT_##symbol] = {name, id, priority},
    EVENTS(X)
#undef X
};

const char *
event_name(enum event_kind kind)
{
	return kinds[kind].name;
}

const char *
event_message_id(enum event_kind kind)
{
	return kinds[kind].id;
}

int
event_priority(enum event_kind kind)
{
	return kinds[kind].priority;
}

struct event *
event_copy(const struct event *event)
{
	struct event *copy = xcalloc(1, sizeof(*copy));

	*copy = *event;
	copy->text = xstrdup(event->text);
	return copy;
}

void
event_free(struct event *event)
{
	if (!event)
		return;
	free(event->text);
	free(event);
}
