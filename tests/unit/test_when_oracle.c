/* SPDX-License-Identifier: ISC */
/*
 * when.h beside GNU date and systemd-analyze timestamp: the same instants in the same zones, from
 * 1970 to 2100 and around every change of clocks from 2024 to 2032, shown by all and read by all.
 * Skipped (77) where date is another one; systemd is asked where it is.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define SKIPPED 77
#define FIRST_S 86400		    /* local times before 1970 are not read */
#define LAST_S	INT64_C(4102444800) /* 2100 */
/* 240 days and a little: all seasons, all hours; some 198 instants a zone */
#define STEP_S INT64_C(20736007)

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

/* ---- around every change of clocks */

#define AROUND	12 /* quarters of an hour on either side */
#define NEAR	(2 * AROUND + 1)
#define CHANGES 32 /* of a zone, from 2024 to 2032 */

/* Asked of the C library alone: the first second of each new offset. */
static size_t
find_changes(const char *zone, int64_t changes[CHANGES])
{
	const int64_t first = INT64_C(1704067200), last = INT64_C(1988150400);
	size_t n = 0;
	struct tm tm;

	setenv("TZ", zone, 1);
	tzset();
	for (int64_t day = first; day < last; day += 86400) {
		time_t low = day, high = day + 86400;
		long before = localtime_r(&low, &tm)->tm_gmtoff;

		if (localtime_r(&high, &tm)->tm_gmtoff == before)
			continue;
		while (high - low > 1) {
			time_t middle = low + (high - low) / 2;

			if (localtime_r(&middle, &tm)->tm_gmtoff == before)
				low = middle;
			else
				high = middle;
		}
		ck_assert_uint_lt(n, CHANGES);
		changes[n++] = high;
	}
	unsetenv("TZ");
	tzset();
	return n;
}

/* The wall time "2026-03-29 02:30:00" that lies K quarters after what the clocks would have shown
 * at CHANGE. In a zone without changes it is one as any other. */
static void
wall_text(const char *zone, int64_t change, int k, char ret[20])
{
	struct when_text before = when_local((change - 86400) * WHEN_SECOND, zone);
	struct when when;

	before.s[19] = '\0';
	ck_assert_int_eq(when_parse(before.s, 0, "UTC", &when, NULL), 0);
	snprintf(ret, 20, "%.19s",
		 when_local(when.at_us + (86400 + k * 900) * WHEN_SECOND, "UTC").s);
}

START_TEST(changes_are_shown_the_same)
{
	int64_t changes[CHANGES];

	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		size_t n = find_changes(zones[i], changes);
		FILE *file = open_lines(), *output;
		char line[128];

		for (size_t c = 0; c < n; c++)
			for (int k = -AROUND; k <= AROUND; k++)
				fprintf(file, "@%lld\n@%lld\n", (long long)changes[c] + k * 900 - 1,
					(long long)changes[c] + k * 900);
		fclose(file);
		output = run_date(zones[i], "%F %T%:z");
		for (size_t c = 0; c < n * 2 * NEAR; c++) {
			int64_t s = changes[c / (2 * NEAR)] +
				    ((int64_t)(c / 2 % NEAR) - AROUND) * 900 - !(c % 2);
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

/* How often the clocks of ZONE show TEXT: 0 (with the time that is taken instead), 1 or 2 instants,
 * by when.h. */
static int
instants_of(const char *text, const char *zone, int64_t ret_us[2])
{
	struct when when, second;

	ck_assert_int_eq(when_parse(text, 0, zone, &when, NULL), 0);
	ret_us[0] = ret_us[1] = when.at_us;
	if (strstr(when.note, "does not exist"))
		return 0;
	if (!when.note[0])
		return 1;
	ck_assert_msg(strstr(when.note, "comes twice") != NULL, "%s", when.note);
	ck_assert_int_eq(when_parse(text, when.at_us + 1, zone, &second, NULL), 0);
	ck_assert_int_gt(second.at_us, when.at_us);
	ret_us[1] = second.at_us;
	return 2;
}

/* GNU date refuses exactly what does not exist, and takes one of the two that we have of what comes
 * twice. */
START_TEST(changes_are_read_the_same)
{
	int64_t changes[CHANGES];
	int seen[3] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		size_t n = find_changes(zones[i], changes);
		FILE *file = open_lines(), *output;
		char line[128] = "", text[20];

		/* A line that date refuses has no answer: each is followed by a mark. */
		for (size_t c = 0; c < n; c++)
			for (int k = -AROUND; k <= AROUND; k++) {
				wall_text(zones[i], changes[c], k, text);
				fprintf(file, "%s\n@1\n", text);
			}
		fclose(file);
		output = run_date(zones[i], "%s' 2>'/dev/null");
		for (size_t c = 0; c < n * NEAR; c++) {
			int64_t us[2];
			int found;

			wall_text(zones[i], changes[c / NEAR], (int)(c % NEAR) - AROUND, text);
			found = instants_of(text, zones[i], us);
			seen[found]++;
			ck_assert_ptr_nonnull(fgets(line, sizeof(line), output));
			if (strcmp(line, "1\n") == 0) {
				ck_assert_msg(found == 0, "%s %s: date refuses it", text, zones[i]);
				continue;
			}
			ck_assert_msg(found > 0 && (atoll(line) * WHEN_SECOND == us[0] ||
						    atoll(line) * WHEN_SECOND == us[1]),
				      "%s %s: date says %s", text, zones[i], line);
			ck_assert_ptr_nonnull(fgets(line, sizeof(line), output));
			ck_assert_str_eq(line, "1\n");
		}
		(void)pclose(output); /* 1, where it refused a line */
	}
	ck_assert_int_gt(seen[0], 50);
	ck_assert_int_gt(seen[2], 50);
}
END_TEST

/* "   UNIX seconds: @1774747800" behind "  Original form: TEXT"; 0 when systemd did not take it. */
static int64_t
next_of_systemd(FILE *output, const char *text)
{
	char line[256];

	while (fgets(line, sizeof(line), output))
		if (strstr(line, "Original form: ") && strstr(line, text))
			break;
	while (fgets(line, sizeof(line), output)) {
		const char *at = strstr(line, "UNIX seconds: @");

		if (at)
			return atoll(at + strlen("UNIX seconds: @"));
	}
	return 0;
}

/* systemd-analyze timestamp: the same instant of what is shown once, one of the two of what is
 * shown twice. */
START_TEST(systemd_reads_the_same)
{
	int64_t changes[CHANGES];

	if (system("systemd-analyze timestamp @1 >/dev/null 2>&1") != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		size_t n = find_changes(zones[i], changes);
		char *command = xasprintf(
		    "LC_ALL=C SYSTEMD_COLORS=0 TZ=%s systemd-analyze timestamp", zones[i]);
		FILE *output;
		char text[20];

		if (n == 0) /* any moments, then */
			for (; n < 9; n++)
				changes[n] = INT64_C(1704067200) + (int64_t)n * 31536000;
		for (size_t c = 0; c < n * NEAR; c++) {
			char *longer;

			wall_text(zones[i], changes[c / NEAR], (int)(c % NEAR) - AROUND, text);
			longer = xasprintf("%s '%s'", command, text);
			free(command);
			command = longer;
		}
		output = popen(command, "re");
		ck_assert_ptr_nonnull(output);
		free(command);
		for (size_t c = 0; c < n * NEAR; c++) {
			int64_t us[2], theirs;
			int found;

			wall_text(zones[i], changes[c / NEAR], (int)(c % NEAR) - AROUND, text);
			found = instants_of(text, zones[i], us);
			theirs = next_of_systemd(output, text) * WHEN_SECOND;
			ck_assert_msg(found == 0 || theirs == us[0] || theirs == us[1],
				      "%s %s: systemd says %s", text, zones[i], when_utc(theirs).s);
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
	tcase_add_test(tcase, changes_are_shown_the_same);
	tcase_add_test(tcase, changes_are_read_the_same);
	tcase_add_test(tcase, systemd_reads_the_same);
	suite_add_tcase(suite, tcase);
	r = unit_run(suite);
	unlink(path);
	return r;
}
