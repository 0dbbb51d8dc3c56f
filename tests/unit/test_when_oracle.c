/* SPDX-License-Identifier: ISC */
/*
 * when.h beside GNU date: the same instants in the same zones, from 1970 to 2100, shown by both and
 * read by both. Skipped (77) where date is another one.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/when.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define SKIPPED 77
#define FIRST_S 86400		    /* local times before 1970 are not read */
#define LAST_S	INT64_C(4102444800) /* 2100 */
#define STEP_S                                                                                  \
	INT64_C(20736007) /* 240 days and a little: all seasons, all hours; some 198 instants a \
			     zone */

static const char *const zones[] = {
    "Europe/Berlin",	   "America/New_York",
    "Australia/Lord_Howe", "Europe/Dublin",
    "Asia/Kathmandu",	   "Pacific/Apia",
    "America/Sao_Paulo",   "Africa/Casablanca",
    "America/St_Johns",	   "UTC",
};

static char path[] = "/tmp/bmd-oracle-XXXXXX";

/* date in ZONE over all lines of the file, in one process. */
static FILE *
run_date(const char *zone, const char *format)
{
	_cleanup_free_ char *command =
	    xasprintf("LC_ALL=C TZ=%s date -f %s '+%s'", zone, path, format);
	FILE *output = popen(command, "re");

	ck_assert_ptr_nonnull(output);
	return output;
}

static FILE *
open_lines(void)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	return file;
}

START_TEST(both_show_the_same)
{
	FILE *file = open_lines();

	for (int64_t s = 0; s < LAST_S; s += STEP_S)
		fprintf(file, "@%lld\n", (long long)s);
	fclose(file);
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		FILE *output = run_date(zones[i], "%F %T%:z");
		char line[128];

		for (int64_t s = 0; s < LAST_S; s += STEP_S) {
			_cleanup_free_ char *want = NULL;

			ck_assert_ptr_nonnull(fgets(line, sizeof(line), output));
			line[strcspn(line, "\n")] = '\0';
			want = xasprintf("%s %s", line, zones[i]);
			ck_assert_str_eq(when_local(s * WHEN_SECOND, zones[i]).s, want);
		}
		ck_assert_int_eq(pclose(output), 0);
	}
}
END_TEST

/* Wall times without an offset; where date refuses or both have a say (skipped, repeated) they are
 * not compared. */
START_TEST(both_read_the_same)
{
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		FILE *file = open_lines(), *output;
		char line[128];

		for (int64_t s = FIRST_S; s < LAST_S; s += STEP_S)
			fprintf(file, "%.19s\n", when_local(s * WHEN_SECOND, zones[i]).s);
		fclose(file);
		output = run_date(zones[i], "%s");
		for (int64_t s = FIRST_S; s < LAST_S; s += STEP_S) {
			struct when_text text = when_local(s * WHEN_SECOND, zones[i]);
			struct when when;

			text.s[19] = '\0';
			ck_assert_ptr_nonnull(fgets(line, sizeof(line), output));
			ck_assert_int_eq(when_parse(text.s, 0, zones[i], &when, NULL), 0);
			ck_assert_msg(when.note[0] || when.at_us == atoll(line) * WHEN_SECOND,
				      "%s %s: date says %s", text.s, zones[i], line);
		}
		ck_assert_int_eq(pclose(output), 0);
	}
}
END_TEST

static bool
date_is_gnu(void)
{
	FILE *output = popen("date --version 2>/dev/null", "re");
	char line[128] = "";
	bool gnu;

	if (!output)
		return false;
	gnu = fgets(line, sizeof(line), output) && strstr(line, "GNU coreutils");
	return pclose(output) == 0 && gnu;
}

int
main(void)
{
	Suite *suite = suite_create("when beside GNU date");
	TCase *tcase = tcase_create("oracle");
	int fd, r;

	if (!date_is_gnu()) {
		puts("skipped: date is not GNU date");
		return SKIPPED;
	}
	fd = mkstemp(path);
	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, both_show_the_same);
	tcase_add_test(tcase, both_read_the_same);
	suite_add_tcase(suite, tcase);
	r = unit_run(suite);
	unlink(path);
	return r;
}
