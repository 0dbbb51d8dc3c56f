/* SPDX-License-Identifier: ISC */
/*
 * names.h as tables: what is a name of which kind, builds as text and back, suggestions.
 */
#include <errno.h>
#include <string.h>

#include "common/names.h"
#include "tests/unit/unit.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

enum { APPLICATION = 1, RELEASE = 2, VARIABLE = 4 };

// clang-format off
static const struct {
	int line;
	const char *name;
	int kinds;
} names[] = {
	{__LINE__, "shop",         APPLICATION | RELEASE | VARIABLE},
	{__LINE__, "Shop",         RELEASE | VARIABLE},
	{__LINE__, "1.0.2",        APPLICATION | RELEASE},
	{__LINE__, "1.0.2+b_1~rc", RELEASE},
	{__LINE__, "a-b",          APPLICATION | RELEASE},
	{__LINE__, "a_b",          APPLICATION | RELEASE | VARIABLE},
	{__LINE__, "a..b",         APPLICATION | RELEASE}, /* what a folder is called is this with its number */
	{__LINE__, "_A9",          VARIABLE},
	{__LINE__, "BM_JOB",       RELEASE},
	{__LINE__, "BM_",          RELEASE},
	{__LINE__, "BMW",          RELEASE | VARIABLE},
	{__LINE__, "PATH",         RELEASE | VARIABLE},
	{__LINE__, "9A",           RELEASE},
	{__LINE__, "",             0},
	{__LINE__, ".",            0},
	{__LINE__, "..",           0},
	{__LINE__, "-n",           0},
	{__LINE__, ".hidden",      0},
	{__LINE__, "a/b",          0},
	{__LINE__, "a b",          0},
	{__LINE__, "a\n",          0},
	{__LINE__, "a=b",          0},
	{__LINE__, "\xc3\xa4",     0},
	{__LINE__, X60 "xxx",      APPLICATION | RELEASE | VARIABLE},
	{__LINE__, X60 "xxxx",     VARIABLE},
	{__LINE__, X60 X60 "xxxxxxxx",  VARIABLE},
	{__LINE__, X60 X60 "xxxxxxxxx", 0},
};

static const struct {
	int line;
	const char *text;
	const char *release; /* NULL: refused */
	int64_t number;
	const char *again;
} builds[] = {
	{__LINE__, "1.0.2/3",         "1.0.2", 3, "1.0.2/3"},
	{__LINE__, "1.0.2",           "1.0.2", 0, "1.0.2"},
	{__LINE__, "A/999999999",     "A", 999999999, "A/999999999"},
	{__LINE__, "A/1000000000",    NULL, 0, NULL},
	{__LINE__, "A/99999999999999999999", NULL, 0, NULL},
	{__LINE__, "A/0",             NULL, 0, NULL},
	{__LINE__, "A/03",            NULL, 0, NULL},
	{__LINE__, "A/-1",            NULL, 0, NULL},
	{__LINE__, "A/+1",            NULL, 0, NULL},
	{__LINE__, "A/ 1",            NULL, 0, NULL},
	{__LINE__, "A/1 ",            NULL, 0, NULL},
	{__LINE__, "A/",              NULL, 0, NULL},
	{__LINE__, "/1",              NULL, 0, NULL},
	{__LINE__, "",                NULL, 0, NULL},
	{__LINE__, "A/1/2",           NULL, 0, NULL},
	{__LINE__, "../1",            NULL, 0, NULL},
	{__LINE__, "a..b/1",          "a..b", 1, "a..b/1"},
	{__LINE__, X60 "xxx/1",       X60 "xxx", 1, X60 "xxx/1"},
	{__LINE__, X60 "xxxx/1",      NULL, 0, NULL},
};

static const struct {
	int line;
	const char *text;
	bool line_text, text_text; /* with !LINES, with LINES; limit 8 */
} texts[] = {
	{__LINE__, "",                 true, true},
	{__LINE__, "12345678",         true, true},
	{__LINE__, "123456789",        false, false},
	{__LINE__, "a\nb",             false, true},
	{__LINE__, "a\tb",             false, true},
	{__LINE__, "\x1b[0m",          false, true},
	{__LINE__, "\x7f",             false, true},
	{__LINE__, "\xc2\x85",         false, true},
	{__LINE__, "\xc2\xa0",         true, true},
	{__LINE__, "gr\xc3\xbc\xc3\x9f", true, true},
	{__LINE__, "\xf0\x9f\x98\x80", true, true},
	{__LINE__, "\xc3",             false, false},
	{__LINE__, "\xc3(",            false, false},
	{__LINE__, "\xc0\x80",         false, false},
	{__LINE__, "\xed\xa0\x80",     false, false},
	{__LINE__, "\xf4\x90\x80\x80", false, false},
	{__LINE__, "\xff",             false, false},
	{__LINE__, "\x80",             false, false},
};

static const struct {
	int line;
	const char *word, *suggestion;
} suggestions[] = {
	{__LINE__, "produktion", "production"},
	{__LINE__, "prodcution", "production"},
	{__LINE__, "testin",     "testing"},
	{__LINE__, "tseting",    "testing"},
	{__LINE__, "production", "production"},
	{__LINE__, "prod",       NULL},
	{__LINE__, "xyz",        NULL},
	{__LINE__, "q",          NULL},
	{__LINE__, "qaa",        "qa"},
	{__LINE__, "",           NULL},
	{__LINE__, X60 X60,      NULL},
};
// clang-format on

START_TEST(names_are_checked)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int kinds = (names_application(names[i].name) ? APPLICATION : 0) |
			    (names_release(names[i].name) ? RELEASE : 0) |
			    (names_variable(names[i].name) ? VARIABLE : 0);

		ck_assert_msg(kinds == names[i].kinds, "line %d: kinds %d", names[i].line, kinds);
		ck_assert_int_eq(names_stage(names[i].name), (kinds & APPLICATION) != 0);
	}
	ck_assert(!names_application(NULL));
}
END_TEST

START_TEST(reserved_names_are_known)
{
	static const char *const yes[] = {"PATH", "HOME", "USER",     "LOGNAME",
					  "ENV",  "IFS",  "BASH_ENV", "LD_PRELOAD"};
	static const char *const no[] = {"PATHS", "LANG", "LD", "path", "ROOT"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		ck_assert_msg(names_variable_reserved(yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		ck_assert_msg(!names_variable_reserved(no[i]), "%s", no[i]);
}
END_TEST

START_TEST(builds_are_parsed_and_written)
{
	for (size_t i = 0; i < ARRAY_SIZE(builds); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct build_ref ref = {.number = -7};
		int r = names_build_parse(builds[i].text, &ref, &err);

		if (!builds[i].release) {
			ck_assert_msg(r == -EINVAL, "line %d", builds[i].line);
			ck_assert_int_eq(err.code, ERR_BAD_NAME);
			ck_assert_int_eq(ref.number, -7);
			continue;
		}
		ck_assert_msg(r == 0, "line %d: %s", builds[i].line, err.text);
		ck_assert_str_eq(ref.release, builds[i].release);
		ck_assert_int_eq(ref.number, builds[i].number);
		ck_assert_str_eq(names_build_text(&ref).s, builds[i].again);
	}
	ck_assert_int_eq(names_build_parse("", &(struct build_ref){0}, NULL), -EINVAL);
}
END_TEST

START_TEST(builds_are_compared)
{
	const struct build_ref a = {"1.0", 1}, b = {"1.0", 2}, c = {"1.1", 1}, d = {"1.0", 1};

	ck_assert(names_build_equal(&a, &d));
	ck_assert(!names_build_equal(&a, &b));
	ck_assert(!names_build_equal(&a, &c));
}
END_TEST

START_TEST(texts_are_checked)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		ck_assert_msg(names_text(texts[i].text, 8, false) == texts[i].line_text,
			      "line %d: as a line", texts[i].line);
		ck_assert_msg(names_text(texts[i].text, 8, true) == texts[i].text_text,
			      "line %d: as a text", texts[i].line);
	}
}
END_TEST

START_TEST(near_words_are_suggested)
{
	static const char *const words[] = {"testing", "production", "qa"};

	for (size_t i = 0; i < ARRAY_SIZE(suggestions); i++) {
		const char *found = names_suggest(suggestions[i].word, words, ARRAY_SIZE(words));

		if (suggestions[i].suggestion)
			ck_assert_msg(found && strcmp(found, suggestions[i].suggestion) == 0,
				      "line %d: %s", suggestions[i].line, found ? found : "none");
		else
			ck_assert_msg(!found, "line %d: %s", suggestions[i].line, found);
	}
	ck_assert_ptr_null(names_suggest("a", NULL, 0));
}
END_TEST

UNIT_MAIN("names", names_are_checked, reserved_names_are_known, builds_are_parsed_and_written,
	  builds_are_compared, texts_are_checked, near_words_are_suggested)
