/* SPDX-License-Identifier: ISC */
/* Bytes of a client → frames → a call → its parameters against the interface; and back onto the
 * wire. */
#include "common/json.h"
#include "common/varlink.h"
#include "tests/fuzz/fuzz.h"

static void
one_frame(const struct varlink_interface *interface, const char *text, size_t n)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct varlink_call call = {0};

	if (varlink_call_parse(text, n, &call, &err) == 0)
		(void)varlink_check(interface, call.member, VARLINK_INPUT, call.parameters, &err);
	if (err.code != ERR_NONE) {
		_cleanup_json_ json_t *object = err_to_json(&err);
		_cleanup_free_ char *frame = NULL;
		size_t length;
		_cleanup_err_ struct err back = ERR_INIT;
		if (varlink_pack(object, &frame, &length) < 0 || err_from_json(object, &back) < 0 ||
		    back.code != err.code || strcmp(back.text, err.text) != 0)
			abort();
	}
	varlink_call_clear(&call);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct varlink_interface *interface;
	struct varlink_input input = {0};
	const char *text;
	size_t room, n;

	if (!interface && varlink_interface_parse(varlink_control_text, &interface, NULL) < 0)
		abort();
	while (size) {
		void *to = varlink_input_room(&input, &room);
		/* Odd pieces, so that frames are split. */
		room = room < 61 ? room : 61;
		room = room < size ? room : size;
		memcpy(to, data, room);
		varlink_input_add(&input, room);
		data += room;
		size -= room;
		int r;
		while ((r = varlink_input_frame(&input, &text, &n)) == 1)
			one_frame(interface, text, n);
		if (r < 0)
			break;
	}
	varlink_input_clear(&input);
	return 0;
}
