/* SPDX-License-Identifier: ISC */
/*
 * What is in hand on a connection: at most one call. The next frame waits in the input buffer until
 * that one has its last reply, which keeps replies in order for nothing.
 *
 * A reply is *held* until the turn is over: then it joins the output, or an error stands in its
 * place.
 */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/control_private.h"

/* ---- replies, held until the turn is over ---- */

/* The commit failed: of each call that has frames here only the error is left. */
static void
hold_failed(struct client *c, const struct err *failure)
{
	_cleanup_json_ json_t *object = err_to_json(failure);
	_cleanup_free_ char *frame = NULL;
	size_t n;

	c->held.start = c->held.end = 0;
	if (varlink_pack(object, &frame, &n) == 0)
		for (size_t i = 0; i < c->held_calls; i++)
			buffer_add(&c->out, frame, n);
	client_abandon_upgrade(c);
	if (!c->call.open || !c->call.counted)
		return;
	/* A stream that is still open has ended with its error: it may not reply again. */
	client_abandon_call(c);
	if (c->call.open)
		c->closing = true;
}

/* The turn is over. */
static void
on_turn(void *arg, const struct err *failure)
{
	struct client *c = arg;

	c->awaiting = false;
	if (c->buried) {
		client_list(c, DOOMED);
		return;
	}
	if (failure)
		hold_failed(c, failure);
	else
		buffer_move(&c->out, &c->held);
	if (c->held.room > CONTROL_BUFFER_KEEP)
		buffer_clear(&c->held);
	c->held_calls = 0;
	c->call.counted = false;
	if (c->control->in_control)
		client_list(c, TOUCHED);
	else
		client_flush(c);
}

/* FRAME, with its NUL, leaves when this turn is over. */
static void
hold(struct client *c, const void *frame, size_t n)
{
	if (c->buried)
		return;
	buffer_add(&c->held, frame, n);
	if (!c->call.counted)
		c->held_calls++;
	c->call.counted = true;
	if (c->awaiting)
		return;
	c->awaiting = true;
	bool before = c->control->in_control;
	c->control->in_control = true;
	turn_after(c->control->turn, on_turn, c);
	c->control->in_control = before;
}

static void
hold_json(struct client *c, json_t *object)
{
	char *frame;
	size_t n;

	if (varlink_pack(object, &frame, &n) < 0) {
		_cleanup_err_ struct err err = ERR_INIT;
		json_decref(object);
		(void)err_set(&err, ERR_TOO_MANY,
			      "the answer is larger than a message may be: ask for less at once");
		object = err_to_json(&err);
		if (varlink_pack(object, &frame, &n) < 0)
			xalloc_die();
	}
	hold(c, frame, n);
	free(frame);
	json_decref(object);
}

/* ---- calls ---- */

static struct client *
client_of(struct control_call *call)
{
	return (struct client *)call;
}

/* The call has had its last reply. */
static void
finish(struct client *c)
{
	client_end_call(c);
	if (c->buried)
		client_list(c, DOOMED);
	else if (!c->serving)
		client_list(c, READY);
}

void
control_reply(struct control_call *call, json_t *parameters, bool continues)
{
	struct client *c = client_of(call);

	/* Who did not ask for more, or for any reply, gets none. */
	if (c->buried || call->oneway || (continues && !call->more))
		json_decref(parameters);
	else
		hold_json(c, varlink_reply(parameters, continues));
	if (!continues)
		finish(c);
}

void
control_reply_text(struct control_call *call, const char *text)
{
	struct client *c = client_of(call);

	if (!call->oneway)
		hold(c, text, strlen(text) + 1);
	finish(c);
}

void
control_error(struct control_call *call, const struct err *err)
{
	struct client *c = client_of(call);

	if (!call->oneway && !c->buried)
		hold_json(c, err_to_json(err));
	finish(c);
}

void
control_upgrade(struct control_call *call, json_t *parameters, void (*taken)(int fd, void *arg),
		void *arg)
{
	struct client *c = client_of(call);

	c->taken = taken;
	c->taken_arg = arg;
	if (c->buried) {
		json_decref(parameters);
		client_abandon_upgrade(c);
	} else {
		hold_json(c, varlink_reply(parameters, false));
	}
	finish(c);
}

void
control_on_gone(struct control_call *call, void (*gone)(void *arg), void *arg)
{
	struct client *c = client_of(call);

	call->gone = gone;
	call->gone_arg = arg;
	if (c->buried)
		client_list(c, DOOMED);
}

bool
control_may_send(struct control_call *call, void (*drained)(void *arg), void *arg)
{
	struct client *c = client_of(call);

	if (c->buried || client_has_room(c))
		return true;
	call->drained = drained;
	call->drained_arg = arg;
	return false;
}

/* ---- frames ---- */

static void
refuse_frame(struct client *c, const struct err *err)
{
	hold_json(c, err_to_json(err));
	c->call.counted = false;
}

static void
hand_out(struct client *c, const char *text, size_t n)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct varlink_call what;

	if (varlink_call_parse(text, n, &what, &err) < 0) {
		refuse_frame(c, &err);
		return;
	}
	c->call = (struct control_call){.open = true, .more = what.more, .oneway = what.oneway};
	c->control->handler(&c->call, &what, &c->peer, c->control->arg);
	varlink_call_clear(&what);
}

static void
refuse_rest(struct client *c, size_t limit)
{
	_cleanup_err_ struct err err = ERR_INIT;

	(void)err_set(&err, ERR_INVALID_PARAMETER, "a message may have %zu bytes at the most",
		      limit);
	refuse_frame(c, &err);
	c->closing = true;
	c->frames = 0;
	varlink_input_clear(&c->in);
}

size_t
call_serve(struct client *c, size_t budget)
{
	size_t n, served = 0;
	const char *text;
	int r = 0;

	c->serving = true;
	if (c->too_long)
		refuse_rest(c, c->too_long);
	while (served < budget && client_takes_calls(c) &&
	       (r = varlink_input_frame(&c->in, &text, &n)) == 1) {
		c->frames--;
		served++;
		hand_out(c, text, n);
	}
	if (r < 0)
		refuse_rest(c, VARLINK_FRAME_MAX);
	c->serving = false;
	if (client_takes_calls(c) && c->frames)
		client_list(c, READY);
	client_look(c);
	return served;
}
