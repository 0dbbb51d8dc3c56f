/* SPDX-License-Identifier: ISC */
/* The states of a job: names both ways, and the whole table of which may follow which. */
#include <string.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "daemon/job.h"
#include "tests/unit/unit.h"

/* Columns in the order of JOB_STATES: SCHEDULED QUEUED HELD STARTING RUNNING, then the final ones
   SUCCEEDED FAILED CANCELLED MISSED SUPERSEDED LOST. */
static const struct {
	int line;
	enum job_state from;
	const char *may;
} moves[] = {
    /*                                SQHrR sfcmxl */
    {__LINE__, JOB_SCHEDULED, ".QH..|..cmx."}, {__LINE__, JOB_QUEUED, "S.Hr.|..cmx."},
    {__LINE__, JOB_HELD, "SQ...|..c.x."},      {__LINE__, JOB_STARTING, ".QH.R|sfc..l"},
    {__LINE__, JOB_RUNNING, ".QH..|sfc..l"},   {__LINE__, JOB_SUCCEEDED, ".....|......"},
    {__LINE__, JOB_FAILED, ".....|......"},    {__LINE__, JOB_CANCELLED, ".....|......"},
    {__LINE__, JOB_MISSED, ".....|......"},    {__LINE__, JOB_SUPERSEDED, ".....|......"},
    {__LINE__, JOB_LOST, ".....|......"},
};

START_TEST(test_moves)
{
	ck_assert_uint_eq(ARRAY_SIZE(moves), JOB_STATE_MAX_);
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		for (unsigned to = 0; to < JOB_STATE_MAX_; to++) {
			bool want = moves[i].may[to + (to >= 5 ? 1 : 0)] != '.';

			ck_assert_msg(job_may(moves[i].from, to) == want, "line %d: to %s",
				      moves[i].line, job_state_stored(to));
		}
	}
}
END_TEST

START_TEST(test_names)
{
	enum job_state state;
	enum job_mode mode;
	enum job_if_changed how;

	for (unsigned i = 0; i < JOB_STATE_MAX_; i++) {
		ck_assert(job_state_from(job_state_stored(i), &state));
		ck_assert_uint_eq(state, i);
		ck_assert_int_eq(job_state_final(i), i >= JOB_SUCCEEDED);
	}
	ck_assert_str_eq(job_state_shown(JOB_STARTING), "queued");
	ck_assert(!job_state_from("gone", &state));

	ck_assert_ptr_null(job_mode_name(JOB_MODE_NONE));
	for (unsigned i = JOB_MODE_DEPLOY; i <= JOB_MODE_ROLLBACK; i++) {
		ck_assert(job_mode_from(job_mode_name(i), &mode));
		ck_assert_uint_eq(mode, i);
	}
	ck_assert(!job_mode_from("", &mode));
	for (unsigned i = JOB_HOLD; i <= JOB_SKIP; i++) {
		ck_assert(job_if_changed_from(job_if_changed_name(i), &how));
		ck_assert_uint_eq(how, i);
	}
	ck_assert(!job_if_changed_from("holds", &how));
}
END_TEST

START_TEST(test_clear)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->reason = strdup("why");
	job->variables = json_object();
	job->ahead = json_array();
	job_clear(job);
	ck_assert_ptr_null(job->reason);
	job_free(job);
	job_free(NULL);
}
END_TEST

UNIT_MAIN("job", test_moves, test_names, test_clear)
