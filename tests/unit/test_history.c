/* SPDX-License-Identifier: ISC */
/*
 * history.h as tables. A stage is written as text: builds of release 1.0, bottom first,
 * "!" after a rejected one; then what lies on it: "dirty rollback 2<4" is an unfinished run of
 * build 2, a rollback from 4; "busy …" the same on the stage now; "dirty ?" is settled as unknown.
 */
#include <stdio.h>
#include <string.h>

#include "common/scope.h"
#include "daemon/history.h"
#include "tests/unit/unit.h"

static struct build_ref
ref(int64_t number)
{
	struct build_ref build = {.number = number};

	if (number > 0)
		strcpy(build.release, "1.0");
	return build;
}

static void
push(struct history *history, int64_t number, int64_t job, bool rejected)
{
	struct history_entry entry = {
	    .build = ref(number), .job = job, .since_us = job, .rejected = rejected};

	history_succeed(history, &entry);
}

/* "rollback 2!<4": MODE BUILD[!][<FROM] */
static void
parse_run(const char *text, struct history_run *run)
{
	char mode[16];
	int build, n = 0, from = 0;

	ck_assert_int_eq(sscanf(text, "%15s %d%n", mode, &build, &n), 2);
	ck_assert(job_mode_from(mode, &run->mode));
	run->rejected = text[n] == '!';
	if (run->rejected)
		n++;
	if (text[n] == '<')
		from = atoi(text + n + 1);
	run->job = 99;
	run->build = ref(build);
	run->from = ref(from);
}

static void
parse(const char *stack, const char *on, struct history *ret)
{
	int64_t job = 0;

	*ret = (struct history){.application = "shop", .stage = "production"};
	while (*stack) {
		char *end;
		long number = strtol(stack, &end, 10);

		push(ret, number, ++job, *end == '!');
		stack = end + (*end == '!');
		stack += *stack == ' ';
	}
	if (strncmp(on, "dirty", 5) == 0) {
		ret->dirty = true;
		if (strcmp(on, "dirty ?") != 0)
			parse_run(on + 6, &ret->unfinished);
	} else if (strncmp(on, "busy", 4) == 0) {
		ret->busy = true;
		parse_run(on + 5, &ret->running);
	}
}

/* ---- the fold */

static const struct {
	int line;
	const char *runs, *stack;
} folds[] = {
    {__LINE__, "", ""},
    {__LINE__, "1", "1"},
    {__LINE__, "1 2 3", "1 2 3"},
    {__LINE__, "1 2 3 2", "1 2"},     /* a rollback pops */
    {__LINE__, "1 2 3 2 1", "1"},     /* twice: two builds back, no toggling */
    {__LINE__, "1 2 3 2 3", "1 2 3"}, /* undone: 3 is pushed again */
    {__LINE__, "1 2 3 3", "1 2 3"},   /* the same again */
    {__LINE__, "1 2 3 1 4", "1 4"},   /* an explicit build pops what is above */
    {__LINE__, "1 2 3 4 2 5 1 5", "1 5"},
};

START_TEST(test_fold)
{
	for (size_t i = 0; i < ARRAY_SIZE(folds); i++) {
		struct history h;
		char got[256] = "";

		parse(folds[i].runs, "", &h);
		for (size_t k = 0; k < h.n; k++)
			sprintf(got + strlen(got), "%s%d", k ? " " : "",
				(int)h.stack[k].build.number);
		ck_assert_msg(strcmp(got, folds[i].stack) == 0, "line %d: %s", folds[i].line, got);
		ck_assert((history_live(&h) == NULL) == (h.n == 0));
		history_clear(&h);
	}
}
END_TEST

START_TEST(test_fold_takes_the_new_entry)
{
	struct history h;

	parse("1 2", "", &h);
	push(&h, 1, 17, true);
	ck_assert_int_eq(history_live(&h)->job, 17);
	ck_assert(history_live(&h)->rejected);
	history_clear(&h);
}
END_TEST

START_TEST(test_many_builds)
{
	struct history h = {.application = "shop", .stage = "production"};
	struct build_ref got;

	for (int i = 1; i <= 5000; i++)
		push(&h, i, i, false);
	for (int i = 4999; i >= 1; i--) {
		ck_assert_int_eq(history_default(&h, &got, NULL), 0);
		ck_assert_int_eq(got.number, i);
		push(&h, got.number, 5000 + i, false);
	}
	ck_assert_int_lt(history_default(&h, &got, NULL), 0);
	ck_assert_uint_eq(h.n, 1);
	history_clear(&h);
}
END_TEST

/* ---- the default build: 0 is NOTHING_TO_REDEPLOY, −1 REFUSED */

static const struct {
	int line;
	const char *stack, *on;
	int want;
} defaults[] = {
    {__LINE__, "", "", 0},
    {__LINE__, "1", "", 0},
    {__LINE__, "1 2", "", 1},
    {__LINE__, "1 2 3", "", 2},
    {__LINE__, "1 2! 3", "", 1}, /* rejected ones are skipped */
    {__LINE__, "1! 2! 3", "", 0},
    {__LINE__, "1 2 3!", "", 2}, /* the live one rejected: still the next down */
    /* dirty after a failed deploy: the top of the stack, which is what was live */
    {__LINE__, "1 2 3", "dirty deploy 4<3", 3},
    {__LINE__, "1 2 3!", "dirty deploy 4<3", 2},
    {__LINE__, "1 2 3", "dirty redeploy 3<3", 3},
    {__LINE__, "", "dirty deploy 1", 0},
    {__LINE__, "1! 2!", "dirty deploy 3<2", 0},
    /* dirty after a failed rollback: the build it was going back to */
    {__LINE__, "1 2 3", "dirty rollback 2<3", 2},
    {__LINE__, "1 2 3", "dirty rollback 1<3", 1},
    {__LINE__, "1 2 3", "dirty rollback 3<4", 3},
    {__LINE__, "1 2! 3", "dirty rollback 2!<3", 1}, /* rejected since: the next below it */
    {__LINE__, "1! 2! 3", "dirty rollback 2!<3", 0},
    /* settled as unknown */
    {__LINE__, "1 2 3", "dirty ?", 3},
    {__LINE__, "", "dirty ?", 0},
    /* a run in progress: the live build, whatever comes of it */
    {__LINE__, "1 2 3", "busy deploy 4<3", 3},
    {__LINE__, "1 2 3!", "busy deploy 4<3", 2},
    {__LINE__, "1 2 3", "busy redeploy 3<3", 3},
    {__LINE__, "", "busy deploy 1", 0},
    {__LINE__, "1 2 3", "busy rollback 2<3", -1},
};

START_TEST(test_default)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		struct history h;
		struct build_ref got = {0};
		_cleanup_err_ struct err err = ERR_INIT;
		int line = defaults[i].line, r;

		parse(defaults[i].stack, defaults[i].on, &h);
		r = history_default(&h, &got, &err);
		if (defaults[i].want > 0) {
			ck_assert_msg(r == 0, "line %d: %s", line, err.text);
			ck_assert_msg(got.number == defaults[i].want, "line %d: %d", line,
				      (int)got.number);
		} else {
			ck_assert_msg(r < 0, "line %d: %d", line, (int)got.number);
			ck_assert_msg(err.code == (defaults[i].want ? ERR_REFUSED
								    : ERR_NOTHING_TO_REDEPLOY),
				      "line %d: %s", line, err.text);
			ck_assert_msg(strstr(err.text, "production"), "line %d: %s", line,
				      err.text);
		}
		history_clear(&h);
	}
}
END_TEST

/* ---- mode and from */

static const struct {
	int line;
	const char *stack, *on;
	int build;
	bool succeeded;
	enum job_mode mode;
	int from;
} modes[] = {
    {__LINE__, "", "", 1, false, JOB_MODE_DEPLOY, 0},
    {__LINE__, "1", "", 2, false, JOB_MODE_DEPLOY, 1},
    {__LINE__, "1 2 3", "", 3, true, JOB_MODE_REDEPLOY, 3},
    {__LINE__, "1 2 3", "", 2, true, JOB_MODE_ROLLBACK, 3},
    {__LINE__, "1 2 3", "", 1, true, JOB_MODE_ROLLBACK, 3},
    {__LINE__, "1 2", "", 3, true, JOB_MODE_REDEPLOY, 2},  /* undo of a rollback */
    {__LINE__, "1 2", "", 2, false, JOB_MODE_REDEPLOY, 2}, /* settled, never ran */
    /* after a failed 4 the way back to 3 is a rollback from 4 */
    {__LINE__, "1 2 3", "dirty deploy 4<3", 3, true, JOB_MODE_ROLLBACK, 4},
    {__LINE__, "1 2 3", "dirty deploy 4<3", 2, true, JOB_MODE_ROLLBACK, 4},
    {__LINE__, "1 2 3", "dirty deploy 4<3", 5, false, JOB_MODE_DEPLOY, 4},
    {__LINE__, "1 2 3", "dirty deploy 4<3", 4, false, JOB_MODE_DEPLOY, 3}, /* again */
    {__LINE__, "1 2 3", "dirty redeploy 4<3", 4, true, JOB_MODE_REDEPLOY, 3},
    {__LINE__, "", "dirty deploy 1", 1, false, JOB_MODE_DEPLOY, 0},
    {__LINE__, "", "dirty deploy 1", 2, false, JOB_MODE_DEPLOY, 1},
    /* after a failed rollback from 3 to 2 */
    {__LINE__, "1 2 3", "dirty rollback 2<3", 2, true, JOB_MODE_ROLLBACK, 3}, /* tried again */
    {__LINE__, "1 2 3", "dirty rollback 2<3", 1, true, JOB_MODE_ROLLBACK, 2},
    {__LINE__, "1 2 3", "dirty rollback 2<3", 3, true, JOB_MODE_REDEPLOY, 2},
    {__LINE__, "1 2 3", "dirty rollback 3<4", 3, true, JOB_MODE_ROLLBACK, 4},
    {__LINE__, "1 2 3", "dirty rollback 3<4", 4, false, JOB_MODE_DEPLOY, 3},
    /* settled as unknown: as the stack says */
    {__LINE__, "1 2 3", "dirty ?", 3, true, JOB_MODE_REDEPLOY, 3},
    {__LINE__, "1 2 3", "dirty ?", 2, true, JOB_MODE_ROLLBACK, 3},
    {__LINE__, "", "dirty ?", 2, false, JOB_MODE_DEPLOY, 0},
    /* a run in progress (for a dry run): reckoned as if it had succeeded */
    {__LINE__, "1 2 3", "busy deploy 4<3", 3, true, JOB_MODE_ROLLBACK, 4},
    {__LINE__, "1 2 3", "busy deploy 4<3", 4, false, JOB_MODE_REDEPLOY, 4},
    {__LINE__, "1 2 3", "busy rollback 2<3", 3, true, JOB_MODE_REDEPLOY, 2},
};

START_TEST(test_mode)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct history h;
		struct build_ref build = ref(modes[i].build), from;
		enum job_mode mode;

		parse(modes[i].stack, modes[i].on, &h);
		mode = history_mode(&h, &build, modes[i].succeeded, &from);
		ck_assert_msg(mode == modes[i].mode, "line %d: %s", modes[i].line,
			      job_mode_name(mode));
		ck_assert_msg(from.number == modes[i].from, "line %d: from %d", modes[i].line,
			      (int)from.number);
		history_clear(&h);
	}
}
END_TEST

/* ---- the guard */

static const struct {
	int line;
	const char *stack;   /* jobs 1, 2, 3 … made it */
	int expected, ahead; /* 0: nothing */
	enum history_verdict want;
} guards[] = {
    {__LINE__, "", 0, 0, HISTORY_SAME},		{__LINE__, "1", 0, 0, HISTORY_CHANGED},
    {__LINE__, "1", 0, 1, HISTORY_SAME}, /* it was ahead */
    {__LINE__, "1 2 3", 3, 0, HISTORY_SAME},	{__LINE__, "1 2 3", 2, 0, HISTORY_CHANGED},
    {__LINE__, "1 2 3", 2, 3, HISTORY_SAME},	/* two timed jobs in a row */
    {__LINE__, "1 2 3", 1, 2, HISTORY_CHANGED}, /* the one ahead, then a fix */
    {__LINE__, "1 2 3 2", 2, 0, HISTORY_SAME},	/* there and back */
};

START_TEST(test_guard)
{
	for (size_t i = 0; i < ARRAY_SIZE(guards); i++) {
		_cleanup_json_ json_t *ahead = json_array();
		struct build_ref expected = ref(guards[i].expected);
		struct history h;

		parse(guards[i].stack, "", &h);
		if (guards[i].ahead)
			json_array_append_new(ahead, json_integer(guards[i].ahead));
		ck_assert_msg(history_guard(&h, &expected, ahead) == guards[i].want, "line %d",
			      guards[i].line);
		history_clear(&h);
	}
}
END_TEST

START_TEST(test_guard_settled)
{
	struct history h;
	struct build_ref expected = ref(1);
	_cleanup_json_ json_t *ahead = json_pack("[i]", 0);

	parse("1", "", &h);
	push(&h, 2, 0, false);
	ck_assert_int_eq(history_guard(&h, &expected, ahead), HISTORY_CHANGED);
	ck_assert_int_eq(history_guard(&h, &expected, NULL), HISTORY_CHANGED);
	history_clear(&h);
}
END_TEST

UNIT_MAIN("history", test_fold, test_fold_takes_the_new_entry, test_many_builds, test_default,
	  test_mode, test_guard, test_guard_settled)
