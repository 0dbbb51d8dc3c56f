/* SPDX-License-Identifier: ISC */
/* The table of errors in both directions, and the helpers over jansson with their two escapes. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/json.h"
#include "common/xalloc.h"

START_TEST(table_both_ways)
{
	for (unsigned i = ERR_NONE + 1; i < ERR_MAX_; i++)
		ck_assert_int_eq(err_from_name(err_name(i)), i);
	ck_assert_int_eq(err_from_name("io.bmd.Control.Nonsense"), ERR_NONE);
	ck_assert_int_eq(err_exit(ERR_NONE), 0);
	ck_assert_int_eq(err_exit(ERR_NO_SUCH_BUILD), 3);
	ck_assert_int_eq(err_exit(ERR_PERMISSION_DENIED), 4);
	ck_assert_int_eq(err_exit(ERR_UNREACHABLE), 5);
	ck_assert_int_eq(err_exit(ERR_REFUSED), 8);
}
END_TEST

START_TEST(sentence)
{
	_cleanup_err_ struct err err = ERR_INIT;

	ck_assert_int_eq(err_set(NULL, ERR_REFUSED, "nobody listens"), -EPERM);
	err_field(NULL, "rule", json_string("freed"));
	ck_assert_int_eq(err_set(&err, ERR_NO_SUCH_JOB, "no job %d", 7), -ENOENT);
	err_field(&err, "job", json_integer(7));
	err_prefix(&err, "shop");
	ck_assert_str_eq(err.text, "shop: no job 7");
	ck_assert_int_eq(json_get_int(err.fields, "job", 0), 7);
	/* Filled again: the old sentence may be an argument, the old fields are gone. */
	(void)err_set(&err, ERR_FAILED, "again: %s", err.text);
	ck_assert_str_eq(err.text, "again: shop: no job 7");
	ck_assert_ptr_null(err.fields);
	ck_assert_int_eq(err_errno(&err, EACCES, "cannot open %s", "x"), -EACCES);
	ck_assert_str_eq(err.text, "cannot open x: Permission denied");
	ck_assert_int_eq(err.code, ERR_FAILED);
	ck_assert_int_eq(err_errno(&err, EDQUOT, "cannot write"), -EDQUOT);
	ck_assert_int_eq(err.code, ERR_NO_SPACE);
	err_clear(&err);
	ck_assert_int_eq(err.code, ERR_NONE);
}
END_TEST

/* Whatever its length, a sentence never ends in half a character. */
START_TEST(sentence_cut)
{
	char word[3001];

	for (size_t shift = 0; shift < 4; shift++) {
		_cleanup_err_ struct err err = ERR_INIT;
		memset(word, 'a', shift);
		for (size_t i = shift; i + 3 < sizeof(word); i += 3)
			memcpy(word + i, "€", 4);
		(void)err_set(&err, ERR_FAILED, "%s", word);
		ck_assert_uint_gt(strlen(err.text), sizeof(err.text) - 4);
		_cleanup_json_ json_t *text = json_string(err.text);
		ck_assert_ptr_nonnull(text);
		err_prefix(&err, "%s", word);
		_cleanup_json_ json_t *longer = json_string(err.text);
		ck_assert_ptr_nonnull(longer);
	}
}
END_TEST

START_TEST(wire)
{
	_cleanup_err_ struct err err = ERR_INIT, back = ERR_INIT;

	(void)err_set(&err, ERR_REFUSED, "job 3 is over");
	err_field(&err, "rule", json_string("final"));
	_cleanup_json_ json_t *object = err_to_json(&err);
	_cleanup_free_ char *text = json_canonical(object);
	ck_assert_str_eq(text, "{\"error\":\"io.bmd.Control.Refused\",\"parameters\":"
			       "{\"message\":\"job 3 is over\",\"rule\":\"final\"}}");
	ck_assert_int_eq(err_from_json(object, &back), 0);
	ck_assert_int_eq(back.code, ERR_REFUSED);
	ck_assert_str_eq(back.text, "job 3 is over");
	ck_assert_str_eq(json_get_string(back.fields, "rule"), "final");
	ck_assert_ptr_null(json_object_get(back.fields, "message"));
}
END_TEST

START_TEST(wire_foreign)
{
	static const struct {
		int line;
		const char *json;
		int result;
		enum err_code code;
		const char *text;
	} rows[] = {
	    {__LINE__, "{\"error\":\"com.example.Oops\"}", 0, ERR_FAILED, "com.example.Oops"},
	    {__LINE__, "{\"error\":\"com.example.Oops\",\"parameters\":null}", 0, ERR_FAILED,
	     "com.example.Oops"},
	    {__LINE__,
	     "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":"
	     "\"job\"}}",
	     0, ERR_INVALID_PARAMETER, "org.varlink.service.InvalidParameter: parameter job"},
	    {__LINE__, "{\"error\":\"com.example.Oops\",\"parameters\":{\"message\":\"no\"}}", 0,
	     ERR_FAILED, "no"},
	    {__LINE__, "{\"error\":\"com.example.Oops\",\"parameters\":[]}", -EPROTO, ERR_NONE,
	     NULL},
	    {__LINE__, "{\"error\":3}", -EPROTO, ERR_NONE, NULL},
	    {__LINE__, "{\"parameters\":{}}", -EPROTO, ERR_NONE, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ json_t *object = json_loads(rows[i].json, 0, NULL);
		int r = err_from_json(object, &err);
		ck_assert_msg(r == rows[i].result && err.code == rows[i].code, "line %d",
			      rows[i].line);
		if (rows[i].text)
			ck_assert_msg(!strcmp(err.text, rows[i].text), "line %d: %s", rows[i].line,
				      err.text);
	}
}
END_TEST

START_TEST(bytes)
{
	static const struct {
		int line;
		const char *in, *out;
	} rows[] = {
	    {__LINE__, "", ""},
	    {__LINE__, "plain\ttab", "plain\ttab"},
	    {__LINE__, "é€𝄞", "é€𝄞"},
	    {__LINE__, "\033[31m", "\\x1b[31m"},
	    {__LINE__, "a\nb\r", "a\\x0ab\\x0d"},
	    {__LINE__, "\xff\xfe", "\\xff\\xfe"},
	    {__LINE__, "\xc3", "\\xc3"},		   /* cut short */
	    {__LINE__, "\xc0\x80", "\\xc0\\x80"},	   /* overlong */
	    {__LINE__, "\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
	    {__LINE__, "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	    {__LINE__,
	     "\xc2\x9b"
	     "m",
	     "\\xc2\\x9bm"}, /* C1 */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_json_ json_t *value = json_bytes(rows[i].in, strlen(rows[i].in));
		ck_assert_msg(!strcmp(json_string_value(value), rows[i].out), "line %d: %s",
			      rows[i].line, json_string_value(value));
	}
	_cleanup_json_ json_t *nul = json_bytes("a\0b", 3), *text = json_text("bad \xff"),
			      *null = json_text(NULL);
	ck_assert_str_eq(json_string_value(nul), "a\\x00b");
	ck_assert_str_eq(json_string_value(text), "bad \\xff");
	ck_assert(json_is_null(null));
}
END_TEST

START_TEST(terminal)
{
	static const struct {
		int line;
		const char *in, *out;
	} rows[] = {
	    {__LINE__, "plain é€𝄞", "plain é€𝄞"},
	    {__LINE__, "\033]0;x\a", "\\x1b]0;x\\x07"},
	    {__LINE__, "a\nb\tc\177", "a\\x0ab\\x09c\\x7f"},
	    {__LINE__,
	     "\xc2\x9b"
	     "2J",
	     "\\u{009b}2J"},
	    {__LINE__,
	     "\xe2\x80\xae"
	     "txt.exe",
	     "\\u{202e}txt.exe"},
	    {__LINE__, "\xe2\x80\xa8", "\\u{2028}"},
	    {__LINE__, "\xf3\xa0\x81\x81", "\\u{e0041}"},
	    {__LINE__, "\xff\xc3", "\\xff\\xc3"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = json_terminal(rows[i].in);
		ck_assert_msg(!strcmp(text, rows[i].out), "line %d: %s", rows[i].line, text);
	}
}
END_TEST

START_TEST(parse)
{
	static const struct {
		int line;
		const char *in;
		int result;
	} rows[] = {
	    {__LINE__, "{}", 0},
	    {__LINE__, " {\"a\": [1, 2.5, null, true, \"x\"]} \n", 0},
	    {__LINE__, "{\"a\": \"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"}", 0},
	    {__LINE__, "", -EINVAL},
	    {__LINE__, "[]", -EINVAL},
	    {__LINE__, "3", -EINVAL},
	    {__LINE__, "{} {}", -EINVAL},
	    {__LINE__, "{\"a\":1,\"a\":2}", -EINVAL},
	    {__LINE__, "{\"a\":\"\\u0000\"}", -EINVAL},
	    {__LINE__, "{\"a\":\"\xff\"}", -EINVAL},
	    {__LINE__, "{\"a\":99999999999999999999}", -EINVAL},
	    {__LINE__, "{\"a\":1e999}", -EINVAL},
	    {__LINE__, "{\"a\":", -EINVAL},
	    {__LINE__, "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
	     0},
	    {__LINE__, "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
	     -EINVAL},
	    {__LINE__,
	     "{\"a\":\"this one is longer than the limit that the test sets for it, which is "
	     "one hundred and twenty bytes, and so it is refused\"}",
	     -E2BIG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ json_t *object = NULL;
		int r = json_parse(rows[i].in, strlen(rows[i].in), 120, &object, &err);
		ck_assert_msg(r == rows[i].result, "line %d: %d %s", rows[i].line, r, err.text);
		ck_assert_msg((r == 0) == (object != NULL) && (r == 0) == (err.text[0] == '\0'),
			      "line %d", rows[i].line);
	}
	ck_assert_int_eq(json_parse("{\"a\":\"b\0c\"}", 11, 120, &(json_t *){NULL}, NULL), -EINVAL);
}
END_TEST

START_TEST(members)
{
	_cleanup_json_ json_t *object =
	    json_pack("{s:s, s:i, s:b, s:n}", "s", "text", "i", 5, "b", 1, "n");
	_cleanup_free_ char *text = json_canonical(object);
	_cleanup_json_ json_t *time = json_time(1795374229000001), *none = json_time(0);

	ck_assert_str_eq(json_get_string(object, "s"), "text");
	ck_assert_ptr_null(json_get_string(object, "i"));
	ck_assert_ptr_null(json_get_string(object, "n"));
	ck_assert_int_eq(json_get_int(object, "i", -1), 5);
	ck_assert_int_eq(json_get_int(object, "s", -1), -1);
	ck_assert(json_get_bool(object, "b"));
	ck_assert(!json_get_bool(object, "absent"));
	ck_assert_str_eq(text, "{\"b\":true,\"i\":5,\"n\":null,\"s\":\"text\"}");
	ck_assert_str_eq(json_string_value(time), "2026-11-22T19:03:49.000001Z");
	ck_assert(json_is_null(none));
}
END_TEST

/* What is written is what jansson writes, in both orders. */
static void
same_as_jansson(int line, const json_t *value)
{
	_cleanup_free_ char *want = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	_cleanup_free_ char *sorted =
	    json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
	size_t n = 0;
	_cleanup_free_ char *got = json_compact(value, &n), *canonical = json_canonical(value);

	ck_assert_msg(strcmp(got, want) == 0, "line %d: %s", line, got);
	ck_assert_msg(n == strlen(want), "line %d: %zu", line, n);
	ck_assert_msg(strcmp(canonical, sorted) == 0, "line %d: %s", line, canonical);
}

START_TEST(writing)
{
	static const struct {
		int line;
		const char *text;
	} rows[] = {
	    {__LINE__, "{}"},
	    {__LINE__, "[]"},
	    {__LINE__, "[[],{},[[]],null,true,false,\"\"]"},
	    {__LINE__, "{\"b\":1,\"a\":{\"z\":[],\"y\":{\"d\":1,\"c\":2}},\"aa\":0,\"\":9}"},
	    {__LINE__, "[0,1,-1,10,9223372036854775807,-9223372036854775808]"},
	    {__LINE__, "[0.5,-1e300,1e-7,3.0]"},
	    {__LINE__, "{\"K\\u00e9 \\\"\\\\/\\n\":\"\\u20ac \\u0000 \\ud83d\\ude00 \\u007f\"}"},
	};
	json_t *all = json_array(), *many = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_json_ json_t *value = json_loads(rows[i].text, JSON_ALLOW_NUL, NULL);

		ck_assert_msg(value != NULL, "line %d", rows[i].line);
		same_as_jansson(rows[i].line, value);
	}
	for (int c = 0; c < 128; c++) {
		char around[3] = {'x', (char)c, 'y'};

		json_array_append_new(all, json_stringn(around, 3));
	}
	for (int c = 0; c < 128; c++)
		for (size_t at = 0; at < 20; at++) {
			char around[20];

			memset(around, 'x', sizeof(around));
			around[at] = (char)c;
			json_array_append_new(all, json_stringn(around, sizeof(around)));
		}
	same_as_jansson(__LINE__, all);
	for (int i = 0; i < 2000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i * 7919 % 2000);
		json_object_set_new(many, key, json_integer(i));
	}
	same_as_jansson(__LINE__, many);
	json_decref(all);
	json_decref(many);
}
END_TEST

UNIT_MAIN("err, json", writing, table_both_ways, sentence, sentence_cut, wire, wire_foreign, bytes,
	  terminal, parse, members)
