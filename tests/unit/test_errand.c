/* SPDX-License-Identifier: ISC */
/* Frames of errands: there and back, and everything that is not as it must be is refused. */
#include <errno.h>
#include <string.h>

#include "common/errand.h"
#include "common/json.h"
#include "common/scope.h"
#include "tests/unit/unit.h"

#define ID "0123456789abcdef0123456789abcdef"

START_TEST(a_notice_there_and_back)
{
	struct errand_notice sent = {.id = ID, .scope = "shop", .name = "team", .attempt = 3};
	_cleanup_(errand_notice_clear) struct errand_notice got = {0};
	_cleanup_json_ json_t *object = NULL;

	sent.body = (char[]){"{\"a\": \"\xc3\xa4\"}"};
	object = errand_notice_pack(&sent);
	ck_assert(errand_type(json_get_string(object, "type")));
	ck_assert_int_eq(errand_notice_unpack(object, &got, NULL), 0);
	ck_assert_str_eq(got.id, ID);
	ck_assert_str_eq(got.scope, "shop");
	ck_assert_str_eq(got.name, "team");
	ck_assert_int_eq(got.attempt, 3);
	ck_assert_str_eq(got.body, sent.body);
}
END_TEST

/* clang-format off */
static const struct {
	int line;
	const char *text;
} bad[] = {
	{__LINE__, "{}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"\",\"name\":\"all\",\"attempt\":1}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"\",\"name\":\"all\",\"attempt\":0,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"\",\"name\":\"../x\",\"attempt\":1,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"a/b\",\"name\":\"all\",\"attempt\":1,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"\",\"name\":\"\",\"attempt\":1,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "0\",\"scope\":\"\",\"name\":\"all\",\"attempt\":1,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"x\",\"scope\":\"\",\"name\":\"all\",\"attempt\":1,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":null,\"name\":\"all\",\"attempt\":1,\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"\",\"name\":\"all\",\"attempt\":\"1\",\"body\":\"{}\"}"},
	{__LINE__, "{\"id\":\"" ID "\",\"scope\":\"\",\"name\":\"all\",\"attempt\":1,\"body\":{}}"},
};
/* clang-format on */

START_TEST(a_notice_that_is_none)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *object = json_loads(bad[i].text, 0, NULL);
		_cleanup_err_ struct err err = ERR_INIT;
		struct errand_notice got = {.attempt = -7};

		ck_assert_ptr_nonnull(object);
		ck_assert_msg(errand_notice_unpack(object, &got, &err) < 0, "line %d", bad[i].line);
		ck_assert_msg(got.attempt == -7, "line %d", bad[i].line);
		ck_assert_msg(strstr(err.text, "has no good") != NULL, "line %d: %s", bad[i].line,
			      err.text);
	}
}
END_TEST

START_TEST(a_prune_there_and_back)
{
	static const char *const wrong[] = {"{}", "{\"jobs\":5}", "{\"jobs\":[0]}",
					    "{\"jobs\":[-1]}", "{\"jobs\":[\"1\"]}"};
	const int64_t jobs[] = {1, 5, INT64_C(1) << 40};
	_cleanup_json_ json_t *object = errand_prune_pack(jobs, 3);
	int64_t got[ERRAND_PRUNE_MAX], many[ERRAND_PRUNE_MAX + 1];
	_cleanup_json_ json_t *too_many = NULL;
	size_t n = 99;

	ck_assert(errand_type(json_get_string(object, "type")));
	ck_assert_int_eq(errand_prune_unpack(object, got, &n, NULL), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert(memcmp(got, jobs, sizeof(jobs)) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_json_ json_t *other = json_loads(wrong[i], 0, NULL);

		ck_assert_msg(errand_prune_unpack(other, got, &n, NULL) < 0, "%s", wrong[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = 7;
	too_many = errand_prune_pack(many, ARRAY_SIZE(many));
	ck_assert_int_lt(errand_prune_unpack(too_many, got, &n, NULL), 0);
}
END_TEST

START_TEST(an_answer)
{
	_cleanup_json_ json_t *good = errand_done_pack(NULL),
			      *failed = errand_done_pack("it\nis down");
	_cleanup_json_ json_t *other = run_message("ready");
	char error[ERRAND_ERROR] = "untouched";

	ck_assert_int_eq(errand_done_unpack(good, error), 0);
	ck_assert_str_eq(error, "untouched");
	ck_assert_int_eq(errand_done_unpack(other, error), -EINVAL);
	ck_assert_int_eq(errand_done_unpack(failed, error), 1);
	ck_assert_str_eq(error, "it\\x0ais down");
}
END_TEST

START_TEST(what_is_an_errand)
{
	ck_assert(errand_type("notice") && errand_type("prune"));
	ck_assert(!errand_type("request") && !errand_type("go") && !errand_type("done"));
}
END_TEST

UNIT_MAIN("errands", a_notice_there_and_back, a_notice_that_is_none, a_prune_there_and_back,
	  an_answer, what_is_an_errand)
