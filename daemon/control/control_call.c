/* SPDX-License-Identifier: ISC */
/*
 * What is in hand on a connection: at most one call. The next frame waits in the input buffer until
 * that one has its last reply, which keeps replies in order for nothing.
 *
 * A reply is *held* until the turn is over: then it joins the output. When the commit fails, what
 * changed something is told so in its place, and what only read is asked again, for what it was
 * told may never have been; replies behind it wait for it, each call in its place.
 */
#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/control/control_private.h"

/* ---- replies, held until the turn is over ---- */

static void
free_held(struct held *held)
{
	free(held->ask);
	free(held);
}

static struct held *
new_held(struct client *c, const char *frame, size_t n)
{
	struct held *held = xrealloc(NULL, 1, sizeof(*held) + n);

	*held = (struct held){.client = c, .n = n};
	memcpy(held->frame, frame, n);
	return held;
}

static void
add_again(struct client *c, struct held *held)
{
	struct held **link = &c->again;

	while (*link && (*link)->place <= held->place)
		link = &(*link)->next;
	held->next = *link;
	*link = held;
	client_list(c, READY);
}

/* Behind a reply that is still to be made waits whatever comes after it. */
static void
put_out(struct client *c, struct held *held)
{
	if (c->again && c->again->place <= held->place) {
		add_again(c, held);
		return;
	}
	buffer_add(&c->out, held->frame, held->n);
	client_weigh(c);
	free_held(held);
}

/* The answer of a call that did not happen. */
static void
put_failure(struct client *c, const struct err *failure, uint64_t place)
{
	_cleanup_json_ json_t *object = err_to_json(failure);
	_cleanup_free_ char *frame = NULL;
	struct held *held;
	size_t n;

	if (varlink_pack(object, &frame, &n) < 0)
		return;
	held = new_held(c, frame, n);
	held->place = place;
	put_out(c, held);
}

/* The commit failed. Of a call that has several replies here the first one decides. */
static void
fail(struct client *c, struct held *held, const struct err *failure)
{
	bool done = held->call == c->failed;

	c->failed = held->call;
	if (!done && held->upgrade)
		client_abandon_upgrade(c);
	/* A stream that is still open has ended: it may not reply again. */
	if (!done && c->call.open && c->call.serial == held->call) {
		client_abandon_call(c);
		c->closing = c->closing || c->call.open;
	}
	if (!done && held->ask) {
		add_again(c, held);
		return;
	}
	if (!done)
		put_failure(c, failure, held->place);
	free_held(held);
}

/* The turn is over. */
static void
on_turn(void *arg, const struct err *failure)
{
	struct held *held = arg;
	struct client *c = held->client;

	c->awaited--;
	c->held_bytes -= held->n;
	if (c->buried) {
		free_held(held);
		client_list(c, DOOMED);
		return;
	}
	if (failure && held->fate != CONTROL_STANDS) {
		fail(c, held, failure);
	} else {
		/* For itself: a failure that it was spared is no reason to ask anew. */
		free(TAKE(held->ask));
		put_out(c, held);
	}
	if (c->control->in_control)
		client_list(c, TOUCHED);
	else if (c->awaited == 0)
		client_flush(c);
}

static void
await_turn(struct client *c, struct held *held)
{
	bool before = c->control->in_control;

	c->awaited++;
	c->held_bytes += held->n;
	client_weigh(c);
	c->control->in_control = true;
	turn_after(c->control->turn, on_turn, held);
	c->control->in_control = before;
}

/* FRAME, with its NUL, leaves when this turn is over. */
static void
hold(struct client *c, const char *frame, size_t n, enum control_fate fate)
{
	struct held *held;

	if (c->buried)
		return;
	held = new_held(c, frame, n);
	held->call = c->call.serial;
	held->place = c->call.place;
	held->fate = fate;
	held->upgrade = c->taken != NULL;
	if (fate == CONTROL_ASKED_AGAIN && c->call.text && turn_open(c->control->turn)) {
		held->nask = c->call.ntext;
		held->ask = xstrndup(c->call.text, held->nask);
	}
	await_turn(c, held);
	c->control->given += n;
}

static void
hold_json(struct client *c, json_t *object, enum control_fate fate)
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
	hold(c, frame, n, fate);
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
	if (c->buried || c->hung_up || call->oneway || (continues && !call->more))
		json_decref(parameters);
	else
		hold_json(c, varlink_reply(parameters, continues), call->fate);
	if (!continues)
		finish(c);
}

void
control_reply_text(struct control_call *call, const char *text)
{
	struct client *c = client_of(call);

	if (!call->oneway)
		hold(c, text, strlen(text) + 1, call->fate);
	finish(c);
}

void
control_error(struct control_call *call, const struct err *err)
{
	struct client *c = client_of(call);

	if (!call->oneway && !c->buried && !c->hung_up)
		hold_json(c, err_to_json(err), call->fate);
	finish(c);
}

void
control_upgrade(struct control_call *call, json_t *parameters, void (*taken)(int fd, void *arg),
		void *arg)
{
	struct client *c = client_of(call);

	c->taken = taken;
	c->taken_arg = arg;
	call->fate = CONTROL_TOLD; /* TAKEN hears of it once */
	if (c->buried) {
		json_decref(parameters);
		client_abandon_upgrade(c);
	} else {
		hold_json(c, varlink_reply(parameters, false), call->fate);
	}
	finish(c);
}

void
control_set_fate(struct control_call *call, enum control_fate fate)
{
	call->fate = fate;
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

	bool open = turn_open(c->control->turn);

	/* Nobody reads: who asked to be told of that need send nothing, others come to their end.
	 */
	if (c->buried || c->hung_up)
		return !call->gone;
	if (client_has_room(c) && !open)
		return true;
	call->drained = drained;
	call->drained_arg = arg;
	if (open)
		client_await_quiet(c);
	return false;
}

/* ---- frames ---- */

static void
refuse_frame(struct client *c, const struct err *err)
{
	client_end_call(c);
	c->call.serial = c->call.place = ++c->calls;
	hold_json(c, err_to_json(err), CONTROL_STANDS);
}

/* PLACE: of a call that is asked again; 0: it is the next. */
static void
hand_out(struct client *c, const char *text, size_t n, uint64_t place)
{
	_cleanup_err_ struct err err = ERR_INIT;
	uint64_t serial = ++c->calls;
	struct varlink_call what;

	if (varlink_call_parse(text, n, &what, &err) < 0) {
		refuse_frame(c, &err);
		return;
	}
	peer_name(&c->peer);
	c->call = (struct control_call){.open = true,
					.more = what.more,
					.oneway = what.oneway,
					.serial = serial,
					.place = place > 0 ? place : serial,
					.text = text,
					.ntext = n};
	c->control->handler(&c->call, &what, &c->peer, c->control->arg);
	if (c->call.serial == serial)
		c->call.text = NULL;
	varlink_call_clear(&what);
}

void
call_refuse_rest(struct client *c, const struct err *why)
{
	refuse_frame(c, why);
	c->closing = true;
	c->frames = 0;
	varlink_input_clear(&c->in);
	client_look(c);
}

static void
refuse_too_long(struct client *c, size_t limit)
{
	_cleanup_err_ struct err err = ERR_INIT;

	(void)err_set(&err, ERR_INVALID_PARAMETER, "a message may have %zu bytes at the most",
		      limit);
	call_refuse_rest(c, &err);
}

/* What a failed turn has left: calls that are asked again, and the replies behind them. Returns how
 * many were asked. */
static size_t
serve_again(struct client *c, size_t budget)
{
	size_t served = 0;

	while (served < budget && client_asks_again(c)) {
		struct held *held = c->again;

		c->again = held->next;
		if (!held->ask) {
			held->fate = CONTROL_STANDS;
			await_turn(c, held);
			continue;
		}
		served++;
		hand_out(c, held->ask, held->nask, held->place);
		free_held(held);
	}
	return served;
}

size_t
call_serve(struct client *c, size_t budget)
{
	struct spell slice = spell_begin(CONTROL_SLICE_US);
	size_t n, served;
	const char *text;
	int r = 0;

	c->serving = true;
	served = serve_again(c, budget);
	if (c->too_long)
		refuse_too_long(c, c->too_long);
	while (served < budget && client_takes_calls(c) &&
	       (r = varlink_input_frame(&c->in, &text, &n)) == 1) {
		c->frames--;
		served++;
		hand_out(c, text, n, 0);
		if (spell_over(&slice))
			break;
	}
	if (r < 0)
		refuse_too_long(c, VARLINK_FRAME_MAX);
	c->serving = false;
	if ((client_takes_calls(c) && c->frames) || client_asks_again(c))
		client_list(c, READY);
	client_look(c);
	return served;
}
