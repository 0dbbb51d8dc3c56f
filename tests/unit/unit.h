/* SPDX-License-Identifier: ISC */
/* What every unit test begins and ends with. Tables name their line: {__LINE__, …}. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs one suite; the exit code is main's. CK_FORK=no keeps it in one process for a debugger. */
static inline int
unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* All of one case, each within SECONDS, between SET_UP and TEAR_DOWN (NULL: there is none). */
static inline int
unit_run_all(const char *name, int seconds, SFun set_up, SFun tear_down, const TTest *const *tests,
	     size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, seconds);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}

#define UNIT_MAIN_WITH(name, seconds, set_up, tear_down, ...)                \
	int main(void)                                                       \
	{                                                                    \
		const TTest *const tests[] = {__VA_ARGS__};                  \
                                                                             \
		return unit_run_all(name, seconds, set_up, tear_down, tests, \
				    sizeof(tests) / sizeof(tests[0]));       \
	}
#define UNIT_MAIN(name, ...) UNIT_MAIN_WITH(name, 60, NULL, NULL, __VA_ARGS__)

/* Removes a folder that a test made, with all that is in it. */
static inline void
unit_remove(const char *folder)
{
	char command[8192];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

#endif
