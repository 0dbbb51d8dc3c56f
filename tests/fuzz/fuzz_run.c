/* SPDX-License-Identifier: ISC */
/*
 * Any text as a message between bmd and bmd-run, or as a file of a run folder: what is taken is
 * written, and that is taken again; what is refused says why. Control bytes are written as escapes,
 * which may make a text too long once; from then on what is taken is written the same.
 */
#include "common/json.h"
#include "common/run.h"
#include "tests/fuzz/fuzz.h"

/* ONE and TWO are what was written, owned. */
static void
must_equal(json_t *one, json_t *two)
{
	must(one && two && json_equal(one, two));
	json_decref(one);
	json_decref(two);
}

static void
check_request(const json_t *object)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *packed = NULL;
	struct run_request request, again;

	if (run_request_unpack(object, &request, &err) < 0) {
		must(err.text[0] != '\0');
		return;
	}
	packed = run_request_pack(&request);
	must(packed && run_request_unpack(packed, &again, NULL) == 0);
	must_equal(json_incref(packed), run_request_pack(&again));
	run_request_clear(&request);
	run_request_clear(&again);
}

#define CHECK(name, pack)                                                    \
	static void check_##name(const json_t *object)                       \
	{                                                                    \
		_cleanup_err_ struct err err = ERR_INIT;                     \
		_cleanup_json_ json_t *once = NULL, *twice = NULL;           \
		struct run_##name one, two, three;                           \
                                                                             \
		if (run_##name##_unpack(object, &one, &err) < 0) {           \
			must(err.text[0] != '\0');                           \
			return;                                              \
		}                                                            \
		once = pack(&one);                                           \
		must(once &&run_##name##_unpack(once, &two, NULL) == 0);     \
		twice = pack(&two);                                          \
		must(twice &&run_##name##_unpack(twice, &three, NULL) == 0); \
		must_equal(json_incref(twice), pack(&three));                \
	}
#define pack_started(started) run_started_pack(started, "{}")
CHECK(event, run_event_pack)
CHECK(result, run_result_pack)
CHECK(started, pack_started)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_t *object = NULL;

	if (json_parse((const char *)data, size, 1024 * 1024, &object, NULL) < 0)
		return 0;
	check_request(object);
	check_event(object);
	check_result(object);
	check_started(object);
	return 0;
}
