/* SPDX-License-Identifier: ISC */
/* bmctl without a daemon: the command line, the table of verbs, tables, and jobs in words. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <locale.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/ctl.h"
#include "ctl/options.h"
#include "ctl/sentence.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/verbs/verbs.h"

#define NOW INT64_C(1795374229000000) /* 2026-11-22 19:03:49 UTC */

static size_t
count(const char *const *argv)
{
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

START_TEST(test_options)
{
	static const struct {
		int line;
		const char *argv[12];
		int r;
		const char *words; /* joined by | */
		enum option_id id;
		const char *value; /* NULL: not given; "": given without */
		const char *says;
	} table[] = {
	    {__LINE__, {NULL}, 0, "", OPTION_NOW, NULL, NULL},
	    {__LINE__, {"redeploy", "--now"}, 0, "redeploy", OPTION_NOW, "", NULL},
	    {__LINE__, {"--now", "redeploy", "shop"}, 0, "redeploy|shop", OPTION_NOW, "", NULL},
	    {__LINE__,
	     {"redeploy", "--at", "02:00", "shop"},
	     0,
	     "redeploy|shop",
	     OPTION_AT,
	     "02:00",
	     NULL},
	    {__LINE__,
	     {"redeploy", "--at=02:00", "shop"},
	     0,
	     "redeploy|shop",
	     OPTION_AT,
	     "02:00",
	     NULL},
	    {__LINE__, {"redeploy", "--at=", "shop"}, 0, "redeploy|shop", OPTION_AT, "", NULL},
	    {__LINE__, {"lock", "--reason=--now"}, 0, "lock", OPTION_REASON, "--now", NULL},
	    {__LINE__, {"lock", "--reason", "-x"}, 0, "lock", OPTION_REASON, "-x", NULL},
	    {__LINE__, {"lock", "--reason", "--x"}, 0, "lock", OPTION_REASON, "--x", NULL},
	    {__LINE__, {"-s", "/a", "status"}, 0, "status", OPTION_SOCKET, "/a", NULL},
	    {__LINE__, {"status", "-s/a"}, 0, "status", OPTION_SOCKET, "/a", NULL},
	    {__LINE__, {"status", "-s=/a"}, 0, "status", OPTION_SOCKET, "/a", NULL},
	    {__LINE__, {"status", "-s/a", "-s", "/b"}, 0, "status", OPTION_SOCKET, "/b", NULL},
	    {__LINE__, {"history", "-n5"}, 0, "history", OPTION_LIMIT, "5", NULL},
	    {__LINE__, {"log", "42", "-f"}, 0, "log|42", OPTION_FOLLOW, "", NULL},
	    {__LINE__, {"log", "-fs", "/a", "42"}, 0, "log|42", OPTION_SOCKET, "/a", NULL},
	    {__LINE__, {"a", "--", "--now", "-f"}, 0, "a|--now|-f", OPTION_NOW, NULL, NULL},
	    {__LINE__, {"a", "-"}, 0, "a|-", OPTION_NOW, NULL, NULL},
	    {__LINE__, {"redeploy", "--nwo"}, -EINVAL, NULL, 0, NULL, "did you mean --now?"},
	    {__LINE__, {"redeploy", "--dryrun"}, -EINVAL, NULL, 0, NULL, "did you mean --dry-run?"},
	    {__LINE__,
	     {"status", "--colour=never"},
	     -EINVAL,
	     NULL,
	     0,
	     NULL,
	     "did you mean --color?"},
	    {__LINE__, {"redeploy", "--xyzzyplugh"}, -EINVAL, NULL, 0, NULL, "bmctl --help"},
	    {__LINE__, {"redeploy", "--now=1"}, -EINVAL, NULL, 0, NULL, "takes no value"},
	    {__LINE__, {"redeploy", "--at"}, -EINVAL, NULL, 0, NULL, "--at TIME"},
	    {__LINE__, {"lock", "--reason", "--now"}, -EINVAL, NULL, 0, NULL, "--reason=--now"},
	    {__LINE__, {"redeploy", "--now", "--now"}, -EINVAL, NULL, 0, NULL, "twice"},
	    {__LINE__, {"redeploy", "-q"}, -EINVAL, NULL, 0, NULL, "no option -q"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct options options = {0};
		struct err err = ERR_INIT;
		int r = options_parse(count(table[i].argv), table[i].argv, &options, &err);
		char words[256] = "";

		ck_assert_msg(r == table[i].r, "line %d: %d %s", table[i].line, r, err.text);
		if (r < 0) {
			ck_assert_msg(strstr(err.text, table[i].says) != NULL, "line %d: %s",
				      table[i].line, err.text);
			ck_assert_int_eq(err_exit(err.code), 2);
			err_clear(&err);
			continue;
		}
		for (size_t w = 0; w < options.nwords; w++) {
			strcat(words, w > 0 ? "|" : "");
			strcat(words, options.words[w]);
		}
		ck_assert_msg(strcmp(words, table[i].words) == 0, "line %d: %s", table[i].line,
			      words);
		ck_assert_msg(options.given[table[i].id] == (table[i].value != NULL), "line %d",
			      table[i].line);
		if (table[i].value != NULL && table[i].value[0] != '\0')
			ck_assert_msg(strcmp(options.value[table[i].id], table[i].value) == 0,
				      "line %d", table[i].line);
		options_clear(&options);
	}
}
END_TEST

START_TEST(test_variables_repeat)
{
	const char *argv[] = {"deploy", "--var", "A=1", "--var=B=2", NULL};
	struct options options = {0};
	struct err err = ERR_INIT;

	ck_assert_int_eq(options_parse(4, argv, &options, &err), 0);
	ck_assert_uint_eq(options.nvariables, 2);
	ck_assert_str_eq(options.variables[0], "A=1");
	ck_assert_str_eq(options.variables[1], "B=2");
	options_clear(&options);
}
END_TEST

START_TEST(test_quote)
{
	static const struct {
		int line;
		const char *argv[8];
		const char *extra, *line_of;
	} table[] = {
	    {__LINE__, {"redeploy", "--now"}, "--yes", "bmctl redeploy --now --yes"},
	    {__LINE__, {"redeploy", "--at", "fri 22:00"}, NULL, "bmctl redeploy --at 'fri 22:00'"},
	    {__LINE__, {"lock", "it's", ""}, NULL, "bmctl lock 'it'\\''s' ''"},
	    {__LINE__, {"a", "--", "$x"}, "--yes", "bmctl a --yes -- '$x'"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char *line = options_quote(count(table[i].argv), table[i].argv, table[i].extra);

		ck_assert_msg(strcmp(line, table[i].line_of) == 0, "line %d: %s", table[i].line,
			      line);
		free(line);
	}
}
END_TEST

START_TEST(test_find)
{
	static const struct {
		int line;
		const char *words[3];
		size_t n;
		const char *verb;
		size_t used;
		const char *says;
	} table[] = {
	    {__LINE__, {NULL}, 0, "status", 0, NULL},
	    {__LINE__, {"status", "shop"}, 2, "status", 1, NULL},
	    {__LINE__, {"build", "list", "shop"}, 3, "build list", 2, NULL},
	    {__LINE__, {"rollback"}, 1, "rollback", 1, NULL},
	    {__LINE__, {"redploy"}, 1, NULL, 0, "did you mean bmctl redeploy?"},
	    {__LINE__, {"stauts"}, 1, NULL, 0, "did you mean bmctl status?"},
	    {__LINE__, {"undo"}, 1, NULL, 0, "did you mean bmctl redeploy?"},
	    {__LINE__, {"build", "ad"}, 2, NULL, 0, "did you mean bmctl build add?"},
	    {__LINE__, {"build"}, 1, NULL, 0, "one of add, list"},
	    {__LINE__, {"build", "xyzzy"}, 2, NULL, 0, "there are add, list"},
	    {__LINE__, {"schedule", "preview", "daily"}, 3, "schedule preview", 2, NULL},
	    {__LINE__, {"schedul"}, 1, NULL, 0, "did you mean bmctl schedule?"},
	    {__LINE__, {"xyzzyplugh"}, 1, NULL, 0, "bmctl --help"},
	    {__LINE__, {""}, 1, NULL, 0, "bmctl --help"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct verb *verb = NULL;
		struct err err = ERR_INIT;
		size_t used = 99;
		int r = verbs_find(table[i].words, table[i].n, &verb, &used, &err);

		ck_assert_msg((r == 0) == (table[i].verb != NULL), "line %d: %s", table[i].line,
			      err.text);
		if (r == 0) {
			ck_assert_ptr_nonnull(verb);
			ck_assert_str_eq(verb->name, table[i].verb);
			ck_assert_uint_eq(used, table[i].used);
		} else {
			ck_assert_msg(strstr(err.text, table[i].says) != NULL, "line %d: %s",
				      table[i].line, err.text);
		}
		err_clear(&err);
	}
}
END_TEST

/* Each example in the table of verbs parses, is found, and gives options that its verb takes. */
START_TEST(test_examples)
{
	for (size_t i = 0; i < verbs_count; i++) {
		char *copy = xstrdup(verbs[i].example), *p = copy;
		const char *argv[16];
		struct options options = {0};
		struct err err = ERR_INIT;
		const struct verb *verb;
		size_t n = 0, used;
		bool quoted = false;

		for (char *word = copy;; p++) {
			if (*p == '\'') {
				quoted = !quoted;
				*p = quoted ? ' ' : '\0';
				if (quoted)
					word = p + 1;
				continue;
			}
			if ((*p == ' ' && !quoted) || *p == '\0') {
				bool end = *p == '\0';

				*p = '\0';
				if (word[0] != '\0')
					argv[n++] = word;
				word = p + 1;
				if (end)
					break;
			}
		}
		ck_assert_str_eq(argv[0], "bmctl");
		ck_assert_msg(options_parse(n - 1, argv + 1, &options, &err) == 0, "%s: %s",
			      verbs[i].example, err.text);
		ck_assert_int_eq(verbs_find(options.words, options.nwords, &verb, &used, &err), 0);
		ck_assert_ptr_eq(verb, &verbs[i]);
		ck_assert_uint_ge(options.nwords - used, verb->least);
		ck_assert_uint_le(options.nwords - used, verb->most);
		ck_assert_int_eq(options_check(&options, verb->name, verb->options, &err), 0);
		options_clear(&options);
		free(copy);
	}
}
END_TEST

static char *
printed(const struct table *table, size_t width, bool color)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	table_print(table, f, width, color);
	fclose(f);
	return text;
}

START_TEST(test_table)
{
	static const struct table_column columns[] = {
	    {"JOB", TABLE_RIGHT}, {"STATE", TABLE_STATE}, {"TEXT", TABLE_CUT}};
	struct table *table = table_new(columns, 3);
	char *text = printed(table, 0, false);

	ck_assert_str_eq(text, "");
	free(text);
	table_row(table, "7", "failed", "häßlich\033[31m");
	table_row(table, "1234", "ok", NULL);
	text = printed(table, 0, false);
	ck_assert_str_eq(text, " JOB  STATE   TEXT\n"
			       "   7  failed  häßlich\\x1b[31m\n"
			       "1234  ok      -\n");
	free(text);
	text = printed(table, 24, false);
	ck_assert_str_eq(text, " JOB  STATE   TEXT\n"
			       "   7  failed  häßlich\\x…\n"
			       "1234  ok      -\n");
	free(text);
	text = printed(table, 10, true); /* not below the least that can be read */
	ck_assert_str_eq(text, " JOB  STATE   TEXT\n"
			       "   7  \033[31mfailed\033[0m  häßlich…\n"
			       "1234  ok      -\n");
	free(text);
	table_free(table);
}
END_TEST

/* On a terminal that is too narrow, what says nothing goes first, from the right, and only as much
 * of it as has to. */
START_TEST(test_left_out)
{
	static const struct table_column columns[] = {
	    {"JOB", 0}, {"NEXT", TABLE_RIGHT}, {"TEXT", TABLE_CUT}, {"LAST", 0}};
	static const struct {
		int line;
		size_t width;
		const char *text;
	} table[] = {
	    {__LINE__, 0,
	     "JOB  NEXT  TEXT               LAST\n-       -  a long, long word  -\n7       -  -    "
	     "              -\n"},
	    {__LINE__, 34,
	     "JOB  NEXT  TEXT               LAST\n-       -  a long, long word  -\n7       -  -    "
	     "              -\n"},
	    {__LINE__, 33, "JOB  NEXT  TEXT\n-       -  a long, long word\n7       -  -\n"},
	    {__LINE__, 27, "JOB  TEXT\n-    a long, long word\n7    -\n"},
	    {__LINE__, 20, "JOB  TEXT\n-    a long, long w…\n7    -\n"},
	    {__LINE__, 1, "JOB  TEXT\n-    a long,…\n7    -\n"},
	};
	struct table *made = table_new(columns, 4);

	table_row(made, NULL, NULL, "a long, long word", NULL);
	table_row(made, "7", NULL, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *text = printed(made, table[i].width, false);

		ck_assert_msg(strcmp(text, table[i].text) == 0, "line %d: %s", table[i].line, text);
	}
	table_free(made);
}
END_TEST

static bool
is_cancel_or_deploy(const char *word, size_t n)
{
	return (n == 6 && memcmp(word, "cancel", n) == 0) ||
	       (n == 6 && memcmp(word, "deploy", n) == 0);
}

/* Commands are shown as they have to be typed for another machine, once. */
START_TEST(test_host)
{
	static const struct {
		int line;
		const char *text, *shown;
	} table[] = {
	    {__LINE__, "undo: bmctl cancel 42", "undo: bmctl -H web cancel 42"},
	    {__LINE__, "(bmctl cancel 1, bmctl cancel 2)",
	     "(bmctl -H web cancel 1, bmctl -H web cancel 2)"},
	    {__LINE__, "bmctl nothing", "bmctl nothing"},
	    {__LINE__, "repeat: bmctl deploy shop 1/1 --now -H web --yes",
	     "repeat: bmctl deploy shop 1/1 --now -H web --yes"},
	    {__LINE__, "repeat: bmctl deploy shop 1/1 --host=web",
	     "repeat: bmctl deploy shop 1/1 --host=web"},
	    {__LINE__, "repeat: bmctl -H web deploy shop 1/1",
	     "repeat: bmctl -H web deploy shop 1/1"},
	    {__LINE__, "look there: ssh web bmctl cancel 42",
	     "look there: ssh web bmctl cancel 42"},
	};

	table_program("web", is_cancel_or_deploy);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *text = NULL;
		size_t n;
		FILE *f = open_memstream(&text, &n);

		table_line(f, "%s", table[i].text);
		fclose(f);
		text[n - 1] = '\0';
		ck_assert_msg(strcmp(text, table[i].shown) == 0, "line %d: %s", table[i].line,
			      text);
	}
	table_program(NULL, NULL);
}
END_TEST

START_TEST(test_width)
{
	static const struct {
		int line;
		const char *text;
		size_t width;
	} table[] = {
	    {__LINE__, "", 0},	   {__LINE__, "abc", 3},       {__LINE__, "äöü", 3},
	    {__LINE__, "日本", 4}, {__LINE__, "e\xcc\x81", 1}, {__LINE__, "\xff\xfe", 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		ck_assert_msg(table_width(table[i].text) == table[i].width, "line %d: %zu",
			      table[i].line, table_width(table[i].text));
}
END_TEST

START_TEST(test_size)
{
	ck_assert_str_eq(ctl_size(0).s, "0 B");
	ck_assert_str_eq(ctl_size(1023).s, "1023 B");
	ck_assert_str_eq(ctl_size(1024).s, "1.0 KiB");
	ck_assert_str_eq(ctl_size(1536).s, "1.5 KiB");
	ck_assert_str_eq(ctl_size(INT64_MAX).s, "8388607.9 TiB");
}
END_TEST

static json_t *
parse(const char *text)
{
	json_error_t why;
	json_t *value = json_loads(text, 0, &why);

	ck_assert_msg(value != NULL, "%s: %s", text, why.text);
	return value;
}

START_TEST(test_result)
{
#define JOB                                                                               \
	"\"id\":42,\"application\":\"shop\",\"release\":\"1.0.2\",\"build\":3,\"stage\":" \
	"\"production\""
	static const struct {
		int line;
		const char *job;
		const char *left;
		int exit;
		const char *text;
	} table[] = {
	    {__LINE__,
	     "{" JOB ",\"state\":\"succeeded\",\"started\":\"2026-11-23T01:00:00.000000Z\","
	     "\"finished\":\"2026-11-23T01:00:03.400000Z\"}",
	     NULL, 0, "job 42 succeeded in 3 s: shop 1.0.2/3 is live on production"},
	    {__LINE__,
	     "{" JOB ",\"state\":\"succeeded\",\"started\":\"2026-11-23T01:00:00.000000Z\","
	     "\"finished\":\"2026-11-23T01:00:00.041000Z\"}",
	     NULL, 0, "job 42 succeeded in 41 ms: shop 1.0.2/3 is live on production"},
	    {__LINE__, "{" JOB ",\"state\":\"failed\",\"failed_step\":\"check\",\"exit_code\":3}",
	     "production is dirty: bmctl redeploy shop --to production --now mends it", 1,
	     "job 42 failed at step check: exited with 3 (bmctl log 42; production is dirty: "
	     "bmctl redeploy shop --to production --now mends it)"},
	    {__LINE__,
	     "{" JOB ",\"state\":\"failed\",\"failed_step\":\"check\",\"exit_code\":null,"
	     "\"message\":\"took longer than 2 s\"}",
	     NULL, 1, "job 42 failed at step check: took longer than 2 s (bmctl log 42)"},
	    {__LINE__, "{" JOB ",\"state\":\"failed\",\"message\":\"stopped by shutdown\"}", NULL,
	     1, "job 42 failed: stopped by shutdown (bmctl log 42)"},
	    {__LINE__, "{" JOB ",\"state\":\"cancelled\",\"ended_by\":\"ana\"}", NULL, 6,
	     "job 42 was cancelled by ana"},
	    {__LINE__, "{" JOB ",\"state\":\"missed\",\"message\":\"bmd was down\"}", NULL, 6,
	     "job 42 has missed its time: bmd was down"},
	    {__LINE__, "{" JOB ",\"state\":\"superseded\",\"message\":null}", NULL, 6,
	     "job 42 was superseded"},
	    {__LINE__, "{" JOB ",\"state\":\"lost\"}",
	     "production is dirty: bmctl redeploy shop --to production --now mends it", 6,
	     "job 42 is lost (production is dirty: bmctl redeploy shop --to production --now mends "
	     "it)"},
	    {__LINE__,
	     "{" JOB ",\"state\":\"held\",\"waits_for\":{\"kind\":\"hold\",\"text\":\"1.0.4/1 went "
	     "live\"}}",
	     NULL, 8, "job 42 is held: 1.0.4/1 went live (bmctl release 42, bmctl cancel 42)"},
	    {__LINE__,
	     "{" JOB
	     ",\"state\":\"held\",\"waits_for\":{\"kind\":\"hold\",\"text\":\"changed: bmctl "
	     "reload, then bmctl release 42\"}}",
	     NULL, 8, "job 42 is held: changed: bmctl reload, then bmctl release 42"},
	    {__LINE__, "{" JOB ",\"state\":\"running\"}", NULL, -1, "job 42 is running"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		json_t *job = parse(table[i].job);
		char *text = text_result(job, table[i].left);

		ck_assert_msg(text_exit(job) == table[i].exit, "line %d", table[i].line);
		ck_assert_msg(strcmp(text, table[i].text) == 0, "line %d: %s", table[i].line, text);
		free(text);
		json_decref(job);
	}
}
END_TEST

START_TEST(test_dirty)
{
#define DIRTY "\"application\":\"shop\",\"stage\":\"production\",\"dirty\":{\"job\":41}"
	static const struct {
		int line;
		const char *stage, *text;
	} table[] = {
	    {__LINE__, "{\"application\":\"shop\",\"stage\":\"production\",\"dirty\":null}", NULL},
	    {__LINE__, "{" DIRTY ",\"previous_good\":{\"release\":\"1.0\",\"build\":1}}",
	     "production is dirty: bmctl redeploy shop --to production --now mends it"},
	    {__LINE__,
	     "{" DIRTY
	     ",\"previous_good\":{\"release\":\"1.0\",\"build\":1},\"wants\":{\"reason\":true,"
	     "\"confirmed\":true}}",
	     "production is dirty: bmctl redeploy shop --to production --now --reason TEXT --yes "
	     "mends it"},
	    {__LINE__,
	     "{" DIRTY ",\"previous_good\":null,\"wants\":{\"reason\":true,\"confirmed\":false}}",
	     "production is dirty: bmctl deploy shop BUILD --to production --now --reason TEXT "
	     "mends it"},
	    {__LINE__,
	     "{" DIRTY
	     ",\"previous_good\":null,\"occupied_by\":41,\"needs\":\"processes of job 41 may "
	     "still be there\"}",
	     "production: processes of job 41 may still be there"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_json_ json_t *stage = parse(table[i].stage);
		_cleanup_free_ char *text = text_dirty(stage);

		ck_assert_msg(text == NULL
				  ? table[i].text == NULL
				  : table[i].text != NULL && strcmp(text, table[i].text) == 0,
			      "line %d: %s", table[i].line, text);
	}
}
END_TEST

START_TEST(test_request)
{
	struct ctl ctl = {.now_us = NOW, .zone = "Europe/Berlin"};
	json_t *timed = parse(
	    "{\"job\":{" JOB ",\"redeploy\":true,\"due\":\"2026-11-23T01:00:00.000000Z\","
	    "\"due_text\":\"02:00\",\"zone\":\"Europe/Berlin\"},\"replacing\":{\"release\":"
	    "\"1.0.3\",\"build\":1,\"since\":\"2026-11-22T19:01:49.000000Z\",\"by\":\"ana\"}}");
	json_t *now =
	    parse("{\"job\":{" JOB ",\"redeploy\":false,\"due\":\"2026-11-22T19:03:49.012345Z\"},"
		  "\"replacing\":null}");
	json_t *preview = parse(
	    "{\"job\":null,\"preview\":{\"application\":\"shop\",\"stage\":\"production\",\"to\":{"
	    "\"release\":\"1.0.2\",\"build\":3},\"mode\":\"rollback\",\"at\":"
	    "\"2026-11-23T01:00:00.000000Z\"},\"replacing\":{\"release\":\"1.0.3\",\"build\":1,"
	    "\"since\":\"2026-11-22T19:01:49.000000Z\",\"by\":\"ana\"}}");
	json_t *timed_parameters = parse("{\"text\":\"02:00\",\"zone\":\"Europe/Berlin\"}");
	json_t *steps =
	    parse("[{\"step\":\"migrate\",\"release\":\"1.0.3\",\"build\":1,\"job\":4},"
		  "{\"step\":\"mail\",\"release\":\"1.0.4\",\"build\":2,\"job\":5},"
		  "{\"step\":\"migrate\",\"release\":\"1.0.3\",\"build\":1,\"job\":3}]");
	char *text = text_request(&ctl, timed);

	ck_assert_str_eq(
	    text, "job 42: redeploy shop 1.0.2/3 to production, replacing 1.0.3/1 (live 2 min, "
		  "by ana), at 2026-11-23 02:00:00+01:00 Europe/Berlin (in 5 h 56 min)");
	free(text);
	text = text_request(&ctl, now);
	ck_assert_str_eq(text,
			 "job 42: deploy shop 1.0.2/3 to production, the first build there, now");
	free(text);
	/* Due when it was accepted, and a question was answered before: still "now". */
	ctl.now_us -= 90 * WHEN_SECOND;
	text = text_request(&ctl, now);
	ck_assert_ptr_nonnull(strstr(text, ", the first build there, now"));
	free(text);
	ctl.now_us += 90 * WHEN_SECOND;
	text = text_asked(&ctl, preview, timed_parameters);
	ck_assert_str_eq(text,
			 "rollback shop 1.0.2/3 to production, replacing 1.0.3/1 (live 2 min, by "
			 "ana), at 2026-11-23 02:00:00+01:00 Europe/Berlin (in 5 h 56 min)");
	free(text);
	json_decref(preview);
	json_decref(timed_parameters);
	text = text_undo(timed, false);
	ck_assert_str_eq(text, "undo: bmctl cancel 42");
	free(text);
	text = text_undo(timed, true);
	ck_assert_str_eq(text,
			 "afterwards, undo: bmctl redeploy shop 1.0.3/1 --to production --now");
	free(text);
	ck_assert_ptr_null(text_undo(now, true));
	json_object_set_new(timed, "undo_wants", parse("{\"reason\":true,\"confirmed\":true}"));
	text = text_undo(timed, true);
	ck_assert_str_eq(text,
			 "afterwards, undo: bmctl redeploy shop 1.0.3/1 --to production --now "
			 "--reason TEXT --yes");
	free(text);
	text = text_not_undone(steps);
	ck_assert_str_eq(text, "migrate of 1.0.3/1, mail of 1.0.4/2");
	free(text);
	json_decref(steps);
	steps = parse("[40, 41]");
	text = text_ahead(steps);
	ck_assert_str_eq(text, "job 40, job 41");
	free(text);
	json_decref(steps);
	steps = parse("[1, 2, 3, 4, 5, 6, 7]");
	text = text_ahead(steps);
	ck_assert_str_eq(text, "job 1, job 2, job 3, job 4, job 5, 2 more");
	free(text);
	json_decref(steps);
	json_decref(timed);
	json_decref(now);
}
END_TEST

/* What tables show as a time is a time that can be typed. */
START_TEST(test_moment)
{
	struct ctl ctl = {.now_us = NOW, .zone = "Europe/Berlin"};
	json_t *object = parse("{\"at\":\"2026-11-23T01:00:00.000000Z\",\"none\":null}");
	char *text = ctl_moment(&ctl, object, "at"), *end;
	struct when when;
	struct err err = ERR_INIT;

	ck_assert_str_eq(text, "2026-11-23 02:00:00+01:00 (in 5 h 56 min)");
	end = strstr(text, " (");
	*end = '\0';
	ck_assert_msg(when_parse(text, NOW, "UTC", &when, &err) == 0, "%s", err.text);
	ck_assert_int_eq(when.at_us, ctl_us(object, "at"));
	free(text);
	ck_assert_ptr_null(ctl_moment(&ctl, object, "none"));
	json_decref(object);
}
END_TEST

START_TEST(test_sentence)
{
	static const struct {
		int line;
		const char *text, *local; /* NULL: as it is */
	} rows[] = {
	    {__LINE__, "", NULL},
	    {__LINE__, "no time", NULL},
	    {__LINE__, "2026-11-27 17:00:00+00:00 UTC", "2026-11-27 18:00:00+01:00 Europe/Berlin"},
	    {__LINE__, "until 2026-11-27 17:00:00+00:00 UTC (in 13 h): x",
	     "until 2026-11-27 18:00:00+01:00 Europe/Berlin (in 13 h): x"},
	    {__LINE__, "at 2026-07-01 02:30:00.250000-05:30 America/Argentina/Ushuaia, then",
	     "at 2026-07-01 10:00:00.250000+02:00 Europe/Berlin, then"},
	    {__LINE__, "2026-11-27 17:00:00+00:00: x",
	     "2026-11-27 18:00:00+01:00 Europe/Berlin: x"},
	    {__LINE__, "2026-11-27 17:00:00+00:00 Until",
	     "2026-11-27 18:00:00+01:00 Europe/Berlin Until"},
	    {__LINE__, "2026-11-27 17:00:00+00:00 UTC, 2026-11-27 18:00:00+00:00 UTC",
	     "2026-11-27 18:00:00+01:00 Europe/Berlin, 2026-11-27 19:00:00+01:00 Europe/Berlin"},
	    {__LINE__,
	     "from 2026-11-27 17:00:00+00:00 UTC to 2026-11-28 02:00:00+09:00 Asia/Tokyo: x",
	     "from 2026-11-27 18:00:00+01:00 Europe/Berlin to 2026-11-28 02:00:00+09:00 "
	     "Asia/Tokyo: "
	     "x"},
	    {__LINE__, "shop 1.0.2/3 on 2026-11-27 17:00:00", NULL},
	    {__LINE__, "2026-11-27T17:00:00Z 12026-11-2", NULL},
	    {__LINE__, "2026-11-27 17:00:0", NULL},
	};
	const char *as_is = rows[2].text, *shown = rows[2].local;
	const char *form = "{s:[{s:{s:s, s:s}, s:s, s:s}], s:[s], s:[{s:s}], s:s}";
	json_t *reply =
	    json_pack(form, "jobs", "waits_for", "kind", "lock", "text", as_is, "message", as_is,
		      "reason", as_is, "warnings", as_is, "lines", "text", as_is, "text", as_is);
	json_t *local =
	    json_pack(form, "jobs", "waits_for", "kind", "lock", "text", shown, "message", shown,
		      "reason", as_is, "warnings", shown, "lines", "text", as_is, "text", as_is);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *text = sentence_local(rows[i].text, "Europe/Berlin", "Asia/Tokyo");
		const char *want = rows[i].local != NULL ? rows[i].local : rows[i].text;

		ck_assert_msg(strcmp(text, want) == 0, "line %d: %s", rows[i].line, text);
		free(text);
	}
	sentences_local(reply, "Europe/Berlin");
	ck_assert(json_equal(reply, local));
	json_decref(reply);
	json_decref(local);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {test_options,  test_variables_repeat,
				      test_quote,    test_find,
				      test_examples, test_table,
				      test_width,    test_size,
				      test_left_out, test_host,
				      test_result,   test_dirty,
				      test_request,  test_moment,
				      test_sentence};
	Suite *suite = suite_create("ctl");
	TCase *tcase = tcase_create("ctl");

	setlocale(LC_CTYPE, "C.UTF-8");
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
