/* SPDX-License-Identifier: ISC */
/*
 * Whose turn it is, and for how long: the lists that clients stand in, one after the other, those
 * with frames in a line for each uid.
 */
#include <time.h>

#include "common/xalloc.h"
#include "daemon/control/control_private.h"

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct spell
spell_begin(int64_t us)
{
	return (struct spell){.wall_us = clock_us(CLOCK_MONOTONIC) + us,
			      .own_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) + us};
}

/* The first clock costs next to nothing, the second a system call. */
bool
spell_over(const struct spell *spell)
{
	return clock_us(CLOCK_MONOTONIC) >= spell->wall_us &&
	       clock_us(CLOCK_PROCESS_CPUTIME_ID) >= spell->own_us;
}

void
control_wake(struct control *control)
{
	if (ev_is_active(&control->again))
		return;
	ev_timer_set(&control->again, 0., 0.);
	ev_timer_start(control->loop, &control->again);
}

static void
append(struct client_list *to, struct client *c, enum list list)
{
	c->in_list[list] = true;
	c->listed[list] = NULL;
	*to->last = c;
	to->last = &c->listed[list];
}

static struct client *
take(struct client_list *from, enum list list)
{
	struct client *c = from->first;

	if (!c)
		return NULL;
	from->first = c->listed[list];
	if (!from->first)
		from->last = &from->first;
	c->in_list[list] = false;
	return c;
}

/* Behind the others that have somebody ready. */
static void
line_queue(struct control *control, struct line *line)
{
	if (line->in_ready)
		return;
	line->in_ready = true;
	line->next_ready = NULL;
	*control->ready_last = line;
	control->ready_last = &line->next_ready;
}

static struct client *
take_ready(struct control *control)
{
	struct line *line = control->ready;
	struct client *c;

	if (!line)
		return NULL;
	control->ready = line->next_ready;
	if (!control->ready)
		control->ready_last = &control->ready;
	line->in_ready = false;
	c = take(&line->ready, READY);
	control->nready--;
	if (line->ready.first)
		line_queue(control, line);
	return c;
}

void
client_list(struct client *c, enum list list)
{
	struct control *control = c->control;

	if (c->in_list[list])
		return;
	if (list == READY) {
		append(&c->line->ready, c, READY);
		line_queue(control, c->line);
		control->nready++;
	} else {
		append(&control->lists[list], c, list);
	}
	control_wake(control);
}

struct client *
client_take(struct control *control, enum list list)
{
	return list == READY ? take_ready(control) : take(&control->lists[list], list);
}

static struct line *
line_find(const struct control *control, int64_t uid)
{
	struct line *line = control->lines;

	while (line && line->uid != uid)
		line = line->next;
	return line;
}

size_t
client_count(const struct control *control, int64_t uid)
{
	const struct line *line = line_find(control, uid);

	return line ? line->clients : 0;
}

void
line_join(struct client *c)
{
	struct control *control = c->control;
	struct line *line = line_find(control, c->peer.uid);

	if (!line) {
		line = xcalloc(1, sizeof(*line));
		line->uid = c->peer.uid;
		line->ready.last = &line->ready.first;
		line->next = control->lines;
		control->lines = line;
	}
	line->clients++;
	line->held++;
	c->line = line;
}

/* The last one of a uid takes the line with him. */
void
line_leave(struct client *c)
{
	struct line **at = &c->control->lines;

	if (--c->line->held > 0)
		return;
	while (*at != c->line)
		at = &(*at)->next;
	*at = c->line->next;
	free(c->line);
}
