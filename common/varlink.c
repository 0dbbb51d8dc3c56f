/* SPDX-License-Identifier: ISC */
/*
 * Bytes into frames, frames into calls, values into frames. A frame ends with its NUL, so a found
 * frame is a C string where it lies; nothing is copied before jansson reads it. An input buffer
 * grows by doubling up to one frame and its NUL, and gives the room back once it is empty.
 */
#include "common/varlink.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"

#define ROOM_FIRST (16 * 1024)
#define ROOM_MAX   (VARLINK_FRAME_MAX + 1)
#define READ_LEAST 4096 /* below this much room, what has been used is moved out of the way */

void *
varlink_input_room(struct varlink_input *input, size_t *ret_n)
{
	if (input->start == input->end) {
		input->start = input->scanned = input->end = 0;
		if (input->room > ROOM_FIRST)
			varlink_input_clear(input);
	}
	if (input->start > 0 && input->room - input->end < READ_LEAST) {
		memmove(input->data, input->data + input->start, input->end - input->start);
		input->end -= input->start;
		input->scanned -= input->start;
		input->start = 0;
	}
	if (input->room - input->end < READ_LEAST && input->room < ROOM_MAX) {
		size_t room = input->room ? input->room * 2 : ROOM_FIRST;
		input->room = room < ROOM_MAX ? room : ROOM_MAX;
		input->data = xrealloc(input->data, input->room, 1);
	}
	*ret_n = input->room - input->end;
	return input->data + input->end;
}

void
varlink_input_add(struct varlink_input *input, size_t n)
{
	input->end += n;
}

int
varlink_input_frame(struct varlink_input *input, const char **ret_text, size_t *ret_n)
{
	const char *nul = NULL;

	if (input->end > input->scanned)
		nul = memchr(input->data + input->scanned, '\0', input->end - input->scanned);
	input->scanned = nul ? (size_t)(nul - input->data) : input->end;
	size_t n = input->scanned - input->start;
	if (n > VARLINK_FRAME_MAX)
		return -E2BIG;
	if (!nul)
		return 0;
	*ret_text = input->data + input->start;
	*ret_n = n;
	input->start = ++input->scanned;
	return 1;
}

size_t
varlink_input_rest(const struct varlink_input *input, const char **ret_bytes)
{
	*ret_bytes = input->data ? input->data + input->start : "";
	return input->end - input->start;
}

void
varlink_input_clear(struct varlink_input *input)
{
	free(input->data);
	*input = (struct varlink_input){0};
}

int
varlink_pack(const json_t *value, char **ret_frame, size_t *ret_n)
{
	size_t n;
	char *text = json_compact(value, &n);

	if (n > VARLINK_FRAME_MAX) {
		free(text);
		return -E2BIG;
	}
	*ret_frame = text;
	*ret_n = n + 1;
	return 0;
}

/* ---- calls ---- */

static int
invalid(struct err *err, const char *parameter, const char *what)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%.100s", parameter);
	/* What was cut inside a character is UTF-8 again afterwards. */
	json_t *shown = json_text(name);
	int r = err_set(err, ERR_INVALID_PARAMETER, "the call's member %s %s",
			json_string_value(shown), what);
	err_field(err, "parameter", shown);
	return r;
}

static int
parse_method(struct varlink_call *call, const json_t *value, struct err *err)
{
	const char *method = json_string_value(value);
	const char *dot = method ? strrchr(method, '.') : NULL;

	if (!dot || dot == method || !dot[1] || strlen(method) > 255)
		return invalid(err, "method", "must be a name such as io.bmd.Control.GetStatus");
	call->method = xstrdup(method);
	call->interface = xstrndup(method, (size_t)(dot - method));
	call->member = xstrdup(dot + 1);
	return 0;
}

static int
parse_flag(bool *flag, const char *key, const json_t *value, struct err *err)
{
	if (!json_is_boolean(value) && !json_is_null(value))
		return invalid(err, key, "must be true or false");
	*flag = json_is_true(value);
	return 0;
}

static int
parse_member(struct varlink_call *call, const char *key, json_t *value, struct err *err)
{
	if (!strcmp(key, "method"))
		return parse_method(call, value, err);
	if (!strcmp(key, "more"))
		return parse_flag(&call->more, key, value, err);
	if (!strcmp(key, "oneway"))
		return parse_flag(&call->oneway, key, value, err);
	if (!strcmp(key, "upgrade"))
		return parse_flag(&call->upgrade, key, value, err);
	if (strcmp(key, "parameters") != 0)
		return invalid(err, key, "is not one that a call has");
	if (!json_is_object(value) && !json_is_null(value))
		return invalid(err, key, "must be an object");
	if (json_is_object(value))
		call->parameters = json_incref(value);
	return 0;
}

static int
parse_call(struct varlink_call *call, json_t *object, struct err *err)
{
	const char *key;
	json_t *value;
	int r;

	json_object_foreach (object, key, value)
		if ((r = parse_member(call, key, value, err)) < 0)
			return r;
	if (!call->method)
		return invalid(err, "method", "is missing");
	if (call->more + call->oneway + call->upgrade > 1)
		return invalid(
		    err, call->oneway ? "oneway" : "upgrade",
		    "goes with neither of the others: a call is one of more, oneway and upgrade");
	if (!call->parameters && !(call->parameters = json_object()))
		xalloc_die();
	return 0;
}

int
varlink_call_parse(const char *text, size_t n, struct varlink_call *ret_call, struct err *err)
{
	_cleanup_json_ json_t *object = NULL;
	struct varlink_call call = {0};
	int r;

	/* So many take as many bytes at least. */
	if (n > VARLINK_VALUES_MAX && json_values(text, n) > VARLINK_VALUES_MAX)
		return err_set(err, ERR_INVALID_PARAMETER,
			       "the message has more than %d values: ask for less at once",
			       VARLINK_VALUES_MAX);
	r = json_parse(text, n, VARLINK_FRAME_MAX, &object, err);
	if (r < 0)
		return r;
	if ((r = parse_call(&call, object, err)) < 0) {
		varlink_call_clear(&call);
		return r;
	}
	*ret_call = call;
	return 0;
}

void
varlink_call_clear(struct varlink_call *call)
{
	free(call->method);
	free(call->interface);
	free(call->member);
	json_decref(call->parameters);
	*call = (struct varlink_call){0};
}

static void
set(json_t *object, const char *key, json_t *value)
{
	if (!object || json_object_set_new(object, key, value) < 0)
		xalloc_die();
}

json_t *
varlink_call_new(const char *method, json_t *parameters, bool more, bool upgrade)
{
	json_t *call = json_object();

	set(call, "method", json_text(method));
	set(call, "parameters", parameters ? json_incref(parameters) : json_object());
	if (more)
		set(call, "more", json_true());
	if (upgrade)
		set(call, "upgrade", json_true());
	return call;
}

json_t *
varlink_reply(json_t *parameters, bool continues)
{
	json_t *reply = json_object();

	set(reply, "parameters", parameters ? parameters : json_object());
	if (continues)
		set(reply, "continues", json_true());
	return reply;
}
