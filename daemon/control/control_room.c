/* SPDX-License-Identifier: ISC */
/*
 * Each connection may have half a message or unread answers, and there may be hundreds of them: all
 * together have a bound. Behind it the greediest goes, of the uid that has most; so who comes with
 * many connections loses his own, and whoever else asks is served.
 */
#include "common/err.h"
#include "daemon/control/control_private.h"

static struct line *
greediest_line(struct control *control)
{
	struct line *most = control->lines;

	for (struct line *line = control->lines; line; line = line->next)
		line->memory = 0;
	for (struct client *c = control->clients; c; c = c->next)
		c->line->memory += c->memory;
	for (struct line *line = control->lines; line; line = line->next)
		if (line->memory > most->memory)
			most = line;
	return most;
}

static struct client *
greediest(struct control *control)
{
	const struct line *line = greediest_line(control);
	struct client *most = NULL;

	for (struct client *c = control->clients; c; c = c->next)
		if (c->line == line && c->memory > (most ? most->memory : 0))
			most = c;
	return most;
}

static void
let_go(struct client *c)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (c->call.open || c->closing || c->taken || c->again || buffer_size(&c->out) > 0 ||
	    c->held_bytes > 0) {
		client_cut_off(c, "has most of what bmd keeps for its clients, which is too much");
		return;
	}
	(void)err_set(&err, ERR_TOO_MANY, "bmd is sent too much at once: try again in a moment");
	call_refuse_rest(c, &err);
}

void
room_make(struct control *control)
{
	struct client *c;

	while (control->memory > CONTROL_MEMORY && (c = greediest(control)))
		let_go(c);
}
