/* SPDX-License-Identifier: ISC */
/* Frames at every split, calls, the interface language, and parameters against it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/json.h"
#include "common/varlink.h"
#include "common/xalloc.h"

static struct varlink_interface *
control(void)
{
	static struct varlink_interface *interface;
	_cleanup_err_ struct err err = ERR_INIT;

	if (!interface)
		ck_assert_msg(varlink_interface_parse(varlink_control_text, &interface, &err) == 0,
			      "%s", err.text);
	return interface;
}

static void
feed(struct varlink_input *input, const char *bytes, size_t n)
{
	while (n) {
		size_t room;
		void *to = varlink_input_room(input, &room);
		ck_assert_uint_gt(room, 0);
		size_t k = room < n ? room : n;
		memcpy(to, bytes, k);
		varlink_input_add(input, k);
		bytes += k;
		n -= k;
	}
}

/* ---- frames ---- */

START_TEST(split_everywhere)
{
	static const char bytes[] = "{\"a\":1}\0\0{\"bc\":\"d\"}\0rest";
	size_t n = sizeof(bytes) - 1;

	for (size_t split = 0; split <= n; split++) {
		struct varlink_input input = {0};
		const char *text;
		_cleanup_free_ char *seen = xstrdup("");
		size_t length, count = 0;
		for (int half = 0; half < 2; half++) {
			feed(&input, half ? bytes + split : bytes, half ? n - split : split);
			while (varlink_input_frame(&input, &text, &length) == 1) {
				ck_assert_uint_eq(strlen(text), length);
				char *longer = xasprintf("%s%s|", seen, text);
				free(seen);
				seen = longer;
				count++;
			}
		}
		ck_assert_msg(count == 3 && !strcmp(seen, "{\"a\":1}||{\"bc\":\"d\"}|"),
			      "split %zu: %s", split, seen);
		ck_assert_uint_eq(varlink_input_rest(&input, &text), 4);
		ck_assert_int_eq(memcmp(text, "rest", 4), 0);
		varlink_input_clear(&input);
	}
}
END_TEST

START_TEST(byte_by_byte)
{
	struct varlink_input input = {0};
	const char *text;
	size_t n, frames = 0;

	for (int i = 0; i < 100000; i++) {
		feed(&input, i % 10 == 9 ? "" : "x", 1);
		while (varlink_input_frame(&input, &text, &n) == 1) {
			ck_assert_uint_eq(n, 9);
			frames++;
		}
	}
	ck_assert_uint_eq(frames, 10000);
	ck_assert_uint_le(input.room, 64 * 1024);
	varlink_input_clear(&input);
}
END_TEST

START_TEST(longest_frame)
{
	struct varlink_input input = {0};
	_cleanup_free_ char *bytes = xcalloc(VARLINK_FRAME_MAX + 2, 1);
	const char *text;
	size_t n;

	memset(bytes, 'x', VARLINK_FRAME_MAX + 1);
	feed(&input, bytes, VARLINK_FRAME_MAX);
	ck_assert_int_eq(varlink_input_frame(&input, &text, &n), 0);
	feed(&input, "", 1);
	ck_assert_int_eq(varlink_input_frame(&input, &text, &n), 1);
	ck_assert_uint_eq(n, VARLINK_FRAME_MAX);
	ck_assert_int_eq(varlink_input_frame(&input, &text, &n), 0);
	/* The room of a large frame is given back. */
	(void)varlink_input_room(&input, &n);
	ck_assert_uint_le(n, 64 * 1024);
	feed(&input, bytes, VARLINK_FRAME_MAX + 1);
	ck_assert_int_eq(varlink_input_frame(&input, &text, &n), -E2BIG);
	ck_assert_int_eq(varlink_input_frame(&input, &text, &n), -E2BIG);
	varlink_input_clear(&input);
}
END_TEST

START_TEST(pack)
{
	_cleanup_json_ json_t *reply = varlink_reply(json_pack("{s:i}", "a", 1), true),
			      *empty = varlink_reply(NULL, false);
	_cleanup_free_ char *frame = NULL, *second = NULL, *third = NULL;
	size_t n;

	ck_assert_int_eq(varlink_pack(reply, &frame, &n), 0);
	ck_assert_str_eq(frame, "{\"parameters\":{\"a\":1},\"continues\":true}");
	ck_assert_uint_eq(n, strlen(frame) + 1);
	ck_assert_int_eq(varlink_pack(empty, &second, &n), 0);
	ck_assert_str_eq(second, "{\"parameters\":{}}");
	_cleanup_free_ char *word = xcalloc(VARLINK_FRAME_MAX + 1, 1);
	memset(word, 'x', VARLINK_FRAME_MAX);
	_cleanup_json_ json_t *large = json_pack("{s:s}", "a", word);
	ck_assert_int_eq(varlink_pack(large, &third, &n), -E2BIG);
	ck_assert_ptr_null(third);
}
END_TEST

/* ---- calls ---- */

START_TEST(calls)
{
	static const struct {
		int line;
		const char *text,
		    *parameter;	  /* NULL: the call is fine; "": it is not even an object */
		const char *seen; /* "interface member more oneway upgrade" */
	} rows[] = {
	    {__LINE__, "{\"method\":\"io.bmd.Control.GetStatus\"}", NULL,
	     "io.bmd.Control GetStatus 0 0 0"},
	    {__LINE__, "{\"method\":\"a.B\",\"parameters\":null}", NULL, "a B 0 0 0"},
	    {__LINE__, "{\"method\":\"a.B\",\"parameters\":{}}", NULL, "a B 0 0 0"},
	    {__LINE__, "{\"method\":\"a.B\",\"more\":true}", NULL, "a B 1 0 0"},
	    {__LINE__, "{\"method\":\"a.B\",\"oneway\":true,\"more\":false}", NULL, "a B 0 1 0"},
	    {__LINE__, "{\"method\":\"a.B\",\"upgrade\":true,\"more\":null}", NULL, "a B 0 0 1"},
	    {__LINE__, "{}", "method", NULL},
	    {__LINE__, "{\"method\":null}", "method", NULL},
	    {__LINE__, "{\"method\":\"nodot\"}", "method", NULL},
	    {__LINE__, "{\"method\":\".B\"}", "method", NULL},
	    {__LINE__, "{\"method\":\"a.\"}", "method", NULL},
	    {__LINE__, "{\"method\":3}", "method", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"parameters\":[]}", "parameters", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"parameters\":\"x\"}", "parameters", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"more\":1}", "more", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"upgrade\":\"yes\"}", "upgrade", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"extra\":1}", "extra", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"more\":true,\"oneway\":true}", "oneway", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"more\":true,\"upgrade\":true}", "upgrade", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"method\":\"a.C\"}", "", NULL},
	    {__LINE__, "{\"method\":\"a.B\",\"parameters\":{\"a\":1,\"a\":2}}", "", NULL},
	    {__LINE__, "{\"method\":\"a.B\"", "", NULL},
	    {__LINE__, "{\"method\":\"a.B\"} x", "", NULL},
	    {__LINE__, "{\"method\":\"a.\\u0000\"}", "", NULL},
	    {__LINE__, "[\"method\"]", "", NULL},
	    {__LINE__, "", "", NULL},
	    {__LINE__, "\xff\xfe", "", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct varlink_call call = {0};
		int r = varlink_call_parse(rows[i].text, strlen(rows[i].text), &call, &err);
		if (rows[i].parameter) {
			const char *parameter = json_get_string(err.fields, "parameter");
			ck_assert_msg(r == -EINVAL && err.code == ERR_INVALID_PARAMETER, "line %d",
				      rows[i].line);
			ck_assert_msg(!call.method && !call.parameters, "line %d", rows[i].line);
			ck_assert_msg(!strcmp(parameter ? parameter : "", rows[i].parameter),
				      "line %d: %s", rows[i].line, parameter);
			continue;
		}
		ck_assert_msg(r == 0, "line %d: %s", rows[i].line, err.text);
		_cleanup_free_ char *seen = xasprintf("%s %s %d %d %d", call.interface, call.member,
						      call.more, call.oneway, call.upgrade);
		ck_assert_msg(!strcmp(seen, rows[i].seen), "line %d: %s", rows[i].line, seen);
		ck_assert(json_is_object(call.parameters));
		varlink_call_clear(&call);
	}
}
END_TEST

START_TEST(call_there_and_back)
{
	_cleanup_json_ json_t *parameters = json_pack("{s:i}", "job", 4);
	_cleanup_json_ json_t *object =
	    varlink_call_new("io.bmd.Control.Log", parameters, true, false);
	_cleanup_free_ char *frame = NULL;
	struct varlink_call call;
	size_t n;

	ck_assert_int_eq(varlink_pack(object, &frame, &n), 0);
	ck_assert_int_eq(varlink_call_parse(frame, n - 1, &call, NULL), 0);
	ck_assert_str_eq(call.method, "io.bmd.Control.Log");
	ck_assert(call.more && json_equal(call.parameters, parameters));
	varlink_call_clear(&call);
}
END_TEST

START_TEST(deep)
{
	char text[2000] = "{\"method\":\"a.B\",\"parameters\":{\"a\":";
	struct varlink_call call;

	memset(text + strlen(text), '[', 500);
	ck_assert_int_eq(varlink_call_parse(text, strlen(text), &call, NULL), -EINVAL);
}
END_TEST

/* A call of MANY small values. */
static int
parse_many(size_t many, const char *value, const char *expect)
{
	static char text[VARLINK_FRAME_MAX + 1];
	_cleanup_err_ struct err err = ERR_INIT;
	struct varlink_call call;
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "{\"method\":\"a.B\",\"parameters\":{\"a\":[%s", value);

	for (; many > 1; many--)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",%s", value);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "]}}");
	int r = varlink_call_parse(text, n, &call, &err);
	if (r == 0)
		varlink_call_clear(&call);
	ck_assert_ptr_nonnull(strstr(err.text, expect));
	return r;
}

START_TEST(many_values)
{
	static const char *const values[] = {"0", "[]", "{}", "\"[,[,[,\\\",[\""};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		ck_assert_int_eq(parse_many(VARLINK_VALUES_MAX / 2 - 2, values[i], ""), 0);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		ck_assert_int_eq(parse_many(VARLINK_VALUES_MAX + 1, values[i],
					    "more than 32768 values"),
				 -EINVAL);
}
END_TEST

/* ---- the interface language ---- */

START_TEST(embedded)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct varlink_interface *service = NULL;

	ck_assert_str_eq(varlink_interface_name(control()), "io.bmd.Control");
	ck_assert_msg(varlink_interface_parse(varlink_service_text, &service, &err) == 0, "%s",
		      err.text);
	ck_assert_str_eq(varlink_interface_name(service), "org.varlink.service");
	ck_assert_str_eq(varlink_interface_method(service, 0), "GetInfo");
	ck_assert_str_eq(varlink_interface_method(service, 1), "GetInterfaceDescription");
	ck_assert_ptr_null(varlink_interface_method(service, 2));
	varlink_interface_free(service);
	varlink_interface_free(NULL);
}
END_TEST

START_TEST(language)
{
	static const struct {
		int line;
		const char *text, *complaint; /* NULL: it parses */
	} rows[] = {
	    {__LINE__, "interface a.b", NULL},
	    {__LINE__, "# c\ninterface org.example-1.x2 # d\n#e", NULL},
	    {__LINE__,
	     "interface a.b\ntype A (x: int, y: ?[]string, z: [string]?B, e: (one, two), s: (a: "
	     "(b: bool)))\n"
	     "type B (one, two)\nmethod M(a: ?A # why\n)->()error E()",
	     NULL},
	    {__LINE__, "interface a.b\r\nmethod M() -> (o: object, f: float, a: any)\r\n", NULL},
	    {__LINE__, "interface a.b type A (a: ?A)", NULL},
	    {__LINE__, "", "line 1, column 1: expected \"interface\""},
	    {__LINE__, "interface", "line 1, column 10: expected a name such as"},
	    {__LINE__, "interface nodot", "expected a name such as"},
	    {__LINE__, "interface a..b", "expected a name such as"},
	    {__LINE__, "interface a.b.", "expected a name such as"},
	    {__LINE__, "interface a.b-", "expected a name such as"},
	    {__LINE__, "interface a.b\nfoo",
	     "line 2, column 1: expected \"type\", \"method\" or \"error\""},
	    {__LINE__, "interface a.b\ntype lower ()",
	     "line 2, column 6: expected a name that begins"},
	    {__LINE__, "interface a.b type A", "expected \"(\""},
	    {__LINE__, "interface a.b type A (", "expected the name of a field"},
	    {__LINE__, "interface a.b type A (a", "expected \",\" or \")\""},
	    {__LINE__, "interface a.b type A (a:", "expected a type"},
	    {__LINE__, "interface a.b type A (a: int,)", "expected the name of a field"},
	    {__LINE__, "interface a.b type A (a: int, b)", "expected \":\" and a type"},
	    {__LINE__, "interface a.b type A (a, b: int)", "have no type"},
	    {__LINE__, "interface a.b type A (a: int, a: int)", "a stands here twice"},
	    {__LINE__, "interface a.b type A (_a: int)", "expected the name of a field"},
	    {__LINE__, "interface a.b type A (a_: int)", "expected the name of a field"},
	    {__LINE__, "interface a.b type A (a__b: int)", "expected the name of a field"},
	    {__LINE__, "interface a.b type A (a: ??int)", "expected a type"},
	    {__LINE__, "interface a.b type A (a: [int]string)", "expected a type"},
	    {__LINE__, "interface a.b type A (a: integer)", "expected a type"},
	    {__LINE__, "interface a.b\ntype A (\n  a: Missing)",
	     "line 3, column 6: there is no type Missing"},
	    {__LINE__, "interface a.b method M() -> () type A (a: M)", "there is no type M"},
	    {__LINE__, "interface a.b type A () method A() -> ()", "A is defined twice"},
	    {__LINE__, "interface a.b method M()", "expected \"->\""},
	    {__LINE__, "interface a.b method M(a, b) -> ()", "expected fields with types"},
	    {__LINE__,
	     "interface a.b type A (a: "
	     "[][][][][][][][][][][][][][][][][][][][][][][][][][][][][][][][][][]int)",
	     "nest deeper than 32"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct varlink_interface *interface = NULL;
		int r = varlink_interface_parse(rows[i].text, &interface, &err);
		ck_assert_msg((r == 0) == !rows[i].complaint, "line %d: %s", rows[i].line,
			      err.text);
		ck_assert_msg((r == 0) == (interface != NULL), "line %d", rows[i].line);
		if (rows[i].complaint)
			ck_assert_msg(strstr(err.text, rows[i].complaint) && r == -EINVAL,
				      "line %d: %s", rows[i].line, err.text);
		varlink_interface_free(interface);
	}
}
END_TEST

/* Cut anywhere, the contract is an error or, between two members, a smaller contract; never a
 * crash. */
START_TEST(language_cut)
{
	size_t n = strlen(varlink_control_text);

	for (size_t cut = 0; cut < n; cut += 7) {
		struct varlink_interface *interface = NULL;
		_cleanup_free_ char *text = xstrndup(varlink_control_text, cut);
		(void)varlink_interface_parse(text, &interface, NULL);
		varlink_interface_free(interface);
	}
}
END_TEST

/* ---- parameters ---- */

#define WHEN_FIELDS "\"now\":true,\"at\":\"x\",\"text\":\"x\",\"zone\":\"x\""
#define DEPLOY_FIELDS                                                                      \
	"\"key\":\"k\",\"application\":\"a\",\"release\":\"1\",\"build\":1,\"stage\":"     \
	"\"s\"," WHEN_FIELDS                                                               \
	",\"reason\":\"r\",\"variables\":{\"A\":\"b\"},\"confirmed\":true,\"grace_us\":1," \
	"\"if_changed\":\"hold\",\"dry_run\":false"
#define BUILD_FIELDS "\"application\":\"a\",\"release\":\"1\",\"build\":1"

static const struct full {
	int line;
	const char *method, *parameters;
} full[] = {
    {__LINE__, "GetStatus", "{\"application\":\"a\"}"},
    {__LINE__, "ListBuilds",
     "{\"application\":\"a\",\"release\":\"1\",\"limit\":1,\"after\":\"x\"}"},
    {__LINE__, "GetBuild", "{" BUILD_FIELDS "}"},
    {__LINE__, "GetManifest",
     "{\"application\":\"shop\",\"release\":\"1.0.2\",\"build\":3,\"artifact\":\"site\",\"after\":"
     "0}"},
    {__LINE__, "Upload", "{\"kind\":\"tree\"}"},
    {__LINE__, "ListArtifacts", "{\"application\":\"a\"}"},
    {__LINE__, "AddBuild",
     "{\"key\":\"k\"," BUILD_FIELDS ",\"variables\":{},\"note\":\"n\",\"artifacts\":[{\"name\":"
     "\"a\",\"digest\":\"d\"}],\"signature\":\"s\",\"reason\":\"r\"}"},
    {__LINE__, "RejectBuild", "{\"key\":\"k\"," BUILD_FIELDS ",\"reason\":\"r\"}"},
    {__LINE__, "RestoreBuild", "{\"key\":\"k\"," BUILD_FIELDS ",\"reason\":\"r\"}"},
    {__LINE__, "PinBuild", "{\"key\":\"k\"," BUILD_FIELDS ",\"reason\":\"r\"}"},
    {__LINE__, "UnpinBuild", "{\"key\":\"k\"," BUILD_FIELDS ",\"reason\":\"r\"}"},
    {__LINE__, "CollectBuilds",
     "{\"key\":\"k\",\"application\":\"a\",\"reason\":\"r\",\"dry_run\":true}"},
    {__LINE__, "SweepStore", "{}"},
    {__LINE__, "Backup", "{}"},
    {__LINE__, "VerifyBuilds", "{" BUILD_FIELDS "}"},
    {__LINE__, "Diff",
     "{\"application\":\"a\",\"a\":{\"release\":\"1\",\"build\":1},\"b\":{\"release\":\"1\","
     "\"build\":2},\"limit\":1,\"after\":\"x\"}"},
    {__LINE__, "Deploy", "{" DEPLOY_FIELDS "}"},
    {__LINE__, "Redeploy", "{" DEPLOY_FIELDS "}"},
    {__LINE__, "ListQueue", "{\"application\":\"a\",\"limit\":1,\"after\":\"x\"}"},
    {__LINE__, "GetJob", "{\"job\":1}"},
    {__LINE__, "ListHistory",
     "{\"application\":\"a\",\"stage\":\"s\",\"since\":\"x\",\"limit\":1,\"after\":\"x\"}"},
    {__LINE__, "Log", "{\"job\":1,\"follow\":true,\"after\":0}"},
    {__LINE__, "Wait", "{\"jobs\":[1,2],\"timeout_us\":5}"},
    {__LINE__, "Cancel", "{\"key\":\"k\",\"job\":1,\"reason\":\"r\"}"},
    {__LINE__, "Reschedule", "{\"key\":\"k\",\"job\":1," WHEN_FIELDS ",\"reason\":\"r\"}"},
    {__LINE__, "Release", "{\"key\":\"k\",\"job\":1,\"reason\":\"r\"}"},
    {__LINE__, "AddSchedule",
     "{\"key\":\"k\"," BUILD_FIELDS
     ",\"stage\":\"s\",\"live\":false,\"calendar\":\"c\",\"zone\":\"z\","
     "\"reason\":\"r\",\"variables\":{},\"confirmed\":true,\"grace_us\":1,\"if_changed\":\"run\"}"},
    {__LINE__, "ListSchedules", "{\"application\":\"a\",\"limit\":1,\"after\":\"x\"}"},
    {__LINE__, "GetSchedule", "{\"schedule\":1,\"application\":\"a\",\"name\":\"n\"}"},
    {__LINE__, "RemoveSchedule",
     "{\"key\":\"k\",\"schedule\":1,\"application\":\"a\",\"name\":\"n\",\"reason\":\"r\"}"},
    {__LINE__, "PauseSchedule",
     "{\"key\":\"k\",\"schedule\":1,\"application\":\"a\",\"name\":\"n\",\"reason\":\"r\"}"},
    {__LINE__, "ResumeSchedule",
     "{\"key\":\"k\",\"schedule\":1,\"application\":\"a\",\"name\":\"n\",\"reason\":\"r\"}"},
    {__LINE__, "Lock",
     "{\"key\":\"k\",\"application\":\"a\",\"stage\":\"s\",\"reason\":\"r\",\"until\":\"x\"}"},
    {__LINE__, "Unlock", "{\"key\":\"k\",\"application\":\"a\",\"stage\":\"s\",\"reason\":\"r\"}"},
    {__LINE__, "Settle", "{\"key\":\"k\"," BUILD_FIELDS ",\"stage\":\"s\",\"reason\":\"r\"}"},
    {__LINE__, "Adopt",
     "{\"key\":\"k\",\"application\":\"a\",\"stage\":\"s\",\"builds\":[{\"release\":\"1\","
     "\"build\":1}],"
     "\"reason\":\"r\"}"},
    {__LINE__, "Check", "{}"},
    {__LINE__, "Reload", "{\"key\":\"k\",\"reason\":\"r\"}"},
    {__LINE__, "Drain", "{\"key\":\"k\",\"undo\":true,\"reason\":\"r\"}"},
    {__LINE__, "ListNotices", "{\"limit\":1,\"after\":\"x\"}"},
    {__LINE__, "TestNotice",
     "{\"key\":\"k\",\"section\":\"s\",\"application\":\"a\",\"reason\":\"r\"}"},
    {__LINE__, "ListAudit",
     "{\"application\":\"shop\",\"stage\":\"production\",\"since\":\"s\",\"refused\":true,"
     "\"limit\":5,\"after\":\"7\"}"},
    {__LINE__, "VerifyAudit", "{\"head\":\"00\"}"},
};

START_TEST(full_inputs)
{
	for (size_t i = 0; i < ARRAY_SIZE(full); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ json_t *parameters =
		    json_loads(full[i].parameters, JSON_REJECT_DUPLICATES, NULL);
		ck_assert_msg(varlink_check(control(), full[i].method, VARLINK_INPUT, parameters,
					    &err) == 0,
			      "line %d: %s", full[i].line, err.text);
		/* One field more, or a field of another type, and it is refused by its name. */
		json_object_set_new(parameters, "extra", json_true());
		ck_assert_msg(varlink_check(control(), full[i].method, VARLINK_INPUT, parameters,
					    &err) == -EINVAL,
			      "line %d", full[i].line);
		ck_assert_str_eq(json_get_string(err.fields, "parameter"), "extra");
		json_object_del(parameters, "extra");
		const char *key;
		json_t *value;
		void *next;
		json_object_foreach_safe (parameters, next, key, value) {
			_cleanup_json_ json_t *changed = json_copy(parameters);
			json_object_set_new(changed, key, json_real(0.5));
			ck_assert_msg(varlink_check(control(), full[i].method, VARLINK_INPUT,
						    changed, &err) == -EINVAL,
				      "line %d: %s", full[i].line, key);
			ck_assert_str_eq(json_get_string(err.fields, "parameter"), key);
		}
	}
	/* No method of the contract is left out of the table, none is there twice. */
	size_t n = 0;
	for (const char *name; (name = varlink_interface_method(control(), n)); n++) {
		bool found = false;
		for (size_t i = 0; i < ARRAY_SIZE(full); i++)
			found = found || !strcmp(full[i].method, name);
		ck_assert_msg(found, "%s has no row", name);
	}
	ck_assert_uint_eq(n, ARRAY_SIZE(full));
}
END_TEST

START_TEST(bad_inputs)
{
	static const struct {
		int line;
		const char *method, *parameters, *parameter, *text;
	} rows[] = {
	    {__LINE__, "GetJob", "{}", "job", "GetJob: job is missing; it must be an integer"},
	    {__LINE__, "GetJob", "{\"job\":null}", "job",
	     "GetJob: job must be an integer, not null"},
	    {__LINE__, "GetJob", "{\"job\":\"1\"}", "job",
	     "GetJob: job must be an integer, not a string"},
	    {__LINE__, "GetJob", "{\"job\":1.0}", "job",
	     "GetJob: job must be an integer, not a fraction"},
	    {__LINE__, "GetJob", "{\"job\":true}", "job",
	     "GetJob: job must be an integer, not true"},
	    {__LINE__, "GetJob", "{\"job\":1,\"Job\":1}", "Job",
	     "GetJob: Job is not a field that it knows"},
	    {__LINE__, "GetJob", "[]", "",
	     "GetJob: the parameters must be an object, not an array"},
	    {__LINE__, "Upload", "{\"kind\":\"rar\"}", "kind",
	     "Upload: kind must be tree, tar or zip"},
	    {__LINE__, "Upload", "{\"kind\":1}", "kind",
	     "Upload: kind must be a string, not an integer"},
	    {__LINE__, "Wait", "{\"jobs\":[1,\"2\"]}", "jobs[1]",
	     "Wait: jobs[1] must be an integer, not a string"},
	    {__LINE__, "Wait", "{\"jobs\":[null]}", "jobs[0]",
	     "Wait: jobs[0] must be an integer, not null"},
	    {__LINE__, "Wait", "{\"jobs\":{}}", "jobs",
	     "Wait: jobs must be an array, not an object"},
	    {__LINE__, "AddBuild",
	     "{\"key\":\"k\",\"application\":\"a\",\"release\":\"1\",\"artifacts\":[{\"name\":"
	     "\"a\"}]}",
	     "artifacts[0].digest",
	     "AddBuild: artifacts[0].digest is missing; it must be a string"},
	    {__LINE__, "AddBuild",
	     "{\"key\":\"k\",\"application\":\"a\",\"release\":\"1\",\"artifacts\":[],"
	     "\"variables\":{\"PORT\":80}}",
	     "variables.PORT", "AddBuild: variables.PORT must be a string, not an integer"},
	    {__LINE__, "AddBuild",
	     "{\"key\":\"k\",\"application\":\"a\",\"release\":\"1\",\"artifacts\":[{\"name\":"
	     "\"a\",\"digest\":\"d\",\"x\":[]}]}",
	     "artifacts[0].x", "AddBuild: artifacts[0].x is not a field that it knows"},
	    {__LINE__, "Diff", "{\"application\":\"a\",\"a\":{\"release\":\"1\"},\"b\":{}}",
	     "b.release", "Diff: b.release is missing; it must be a string"},
	    {__LINE__, "Check", "{\"application\":null}", "application",
	     "Check: application is not a field that it knows"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ json_t *parameters = json_loads(rows[i].parameters, 0, NULL);
		int r = varlink_check(control(), rows[i].method, VARLINK_INPUT, parameters, &err);
		ck_assert_msg(r == -EINVAL && err.code == ERR_INVALID_PARAMETER, "line %d",
			      rows[i].line);
		ck_assert_msg(!strcmp(json_get_string(err.fields, "parameter"), rows[i].parameter),
			      "line %d: %s", rows[i].line,
			      json_get_string(err.fields, "parameter"));
		ck_assert_msg(!strcmp(err.text, rows[i].text), "line %d: %s", rows[i].line,
			      err.text);
	}
}
END_TEST

START_TEST(nullable)
{
	static const char *const fine[] = {
	    "{}",
	    "{\"application\":null}",
	    "{\"application\":\"a\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
		_cleanup_json_ json_t *parameters = json_loads(fine[i], 0, NULL);
		ck_assert_int_eq(
		    varlink_check(control(), "GetStatus", VARLINK_INPUT, parameters, NULL), 0);
	}
}
END_TEST

START_TEST(unknown_method)
{
	static const char *const names[] = {"Nonsense", "Build", "NoSuchJob", "getStatus", ""};
	_cleanup_json_ json_t *none = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *full_name = xasprintf("io.bmd.Control.%s", names[i]);
		ck_assert_int_lt(varlink_check(control(), names[i], VARLINK_INPUT, none, &err), 0);
		ck_assert_int_eq(err.code, ERR_METHOD_NOT_FOUND);
		ck_assert_str_eq(json_get_string(err.fields, "method"), full_name);
	}
}
END_TEST

START_TEST(outputs)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *log = json_loads("{\"lines\":[{\"time\":\"t\",\"step\":\"s\","
						"\"stream\":\"out\",\"text\":\"x\"}],\"next\":3}",
						0, NULL);
	_cleanup_json_ json_t *bad =
	    json_loads("{\"lines\":[{\"time\":\"t\"}],\"next\":3}", 0, NULL);

	ck_assert_msg(varlink_check(control(), "Log", VARLINK_OUTPUT, log, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(varlink_check(control(), "Log", VARLINK_OUTPUT, bad, &err), -EINVAL);
	ck_assert_str_eq(json_get_string(err.fields, "parameter"), "lines[0].step");
}
END_TEST

/* Every error of the table that travels is in one of the two descriptions. */
START_TEST(errors)
{
	struct varlink_interface *service = NULL;

	ck_assert_int_eq(varlink_interface_parse(varlink_service_text, &service, NULL), 0);
	for (unsigned code = ERR_NONE + 1; code < ERR_MAX_; code++) {
		const char *name = strrchr(err_name(code), '.') + 1;
		bool ours = !strncmp(err_name(code), ERR_INTERFACE, strlen(ERR_INTERFACE));
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ json_t *none = json_pack("{s:s}", "message", "m");
		if (code == ERR_UNREACHABLE || code == ERR_USAGE)
			continue; /* bmctl's own */
		int r = varlink_check_error(ours ? control() : service, name, none, &err);
		ck_assert_msg(r == 0 || err.code == ERR_INVALID_PARAMETER, "%s: %s", name,
			      err.text);
	}
	_cleanup_json_ json_t *fine =
	    json_loads("{\"message\":\"m\",\"rule\":\"locked\",\"until\":null}", 0, NULL);
	ck_assert_int_eq(varlink_check_error(control(), "Refused", fine, NULL), 0);
	_cleanup_json_ json_t *extra =
	    json_loads("{\"message\":\"m\",\"rule\":\"locked\",\"foo\":1}", 0, NULL);
	ck_assert_int_eq(varlink_check_error(control(), "Refused", extra, NULL), -EINVAL);
	ck_assert_int_lt(varlink_check_error(control(), "GetJob", fine, NULL), 0);
	_cleanup_json_ json_t *parameter =
	    json_loads("{\"message\":\"m\",\"parameter\":\"job\"}", 0, NULL);
	ck_assert_int_eq(varlink_check_error(service, "InvalidParameter", parameter, NULL), 0);
	varlink_interface_free(service);
}
END_TEST

UNIT_MAIN("varlink", split_everywhere, byte_by_byte, longest_frame, pack, calls,
	  call_there_and_back, deep, many_values, embedded, language, language_cut, full_inputs,
	  bad_inputs, nullable, unknown_method, outputs, errors)
