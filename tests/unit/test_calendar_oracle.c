/* SPDX-License-Identifier: ISC */
/*
 * calendar.h beside systemd-analyze: the same expressions, and what is printed of them, from the
 * same moments in the same zones. Where the two differ, there is a note: what the clocks skip
 * happens here and not there; of what they repeat this takes the first, and that what mktime(3)
 * comes to. Skipped (77) where systemd-analyze is missing.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/time/calendar.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define SKIPPED	   77
#define LAST_US	   INT64_C(7258118400000000) /* systemd looks no further than 2199 */
#define ITERATIONS 8
/* In Europe/Dublin and Pacific/Chatham systemd 252 loses times just after a change that do exist: *
 * there test_calendar.c walks over the minutes instead. */
#define EXPRESSIONS_MAX (ARRAY_SIZE(alone) + ARRAY_SIZE(days) * ARRAY_SIZE(dates) * ARRAY_SIZE(times))
static const char *const zones[] = {"UTC",
				    "Europe/Berlin",
				    "America/New_York",
				    "Australia/Lord_Howe",
				    "Asia/Kathmandu",
				    "Pacific/Apia",
				    "America/Sao_Paulo",
				    "Africa/Casablanca"};

/* Just before clocks change in Berlin, New York and Lord Howe; and before a leap day. */
static const char *const bases[] = {"2026-03-28T20:00:00Z", "2026-10-31T20:00:00Z",
				    "2027-10-02T13:59:30Z", "2028-02-28T00:00:00Z"};

/* Steps that go on to the last value fit into it evenly: of others, "0/5:10", systemd 252 loses the
 * first at some ends of months and hours. With their end, "0..20/5:10", it does not; and the days
 * from the end of a month it counts to 28 only. */
static const char *const alone[] = {
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "yearly",
    "annually",
    "Mon",
    "Sat,Sun",
    "mon-fri",
    "Wednesday",
    "Sat,Thu,Mon..Wed,Sat..Sun",
    "Wed..Wed,Wed",
    "2030-01-31",
    "2030-01-31 02:00",
    "2028/2-02-29 02:00",
    "2027..2029-*-13",
    "Fri 2027..2031-*-13",
    "2028,2032-02~01",
    "*-02-29",
    "Mon *-02-29",
    "*-02-30,28",
    "Mon *-05~07/1",
    "*-*~1..7/2 02:30",
    "*-02~1..3",
    "*-*~28",
    "12-24 18:00",
    "*-12",
    "*-1/3-1 02:30",
    "*-03,10-25..31 02:30",
    "Sun *-03,10,11-* *:0/20",
    "02:30",
    "02:00..59/7",
    "1..3:*:30",
    "*:*:*",
    "*:*:0..56/7",
    "02:30:15,45",
    "23:59:59",
    "00:00:00",
    "003:5",
};
static const char *const days[] = {"", "Mon..Fri ", "Sun ", "Tue,Thu..Sat "};
static const char *const dates[] = {"",
				    "*-*-* ",
				    "*-*-1..29/7 ",
				    "*-*~1 ",
				    "*-*~1..7 ",
				    "*-3,10,11-* ",
				    "*-4..10/2-13 ",
				    "2027/3-*-* ",
				    "*-*-5,29..31 "};
static const char *const times[] = {"00:00",	      "02:30",	    "*:00",
				    "*:15/30",	      "1..4/2:45",  "*:*:30",
				    "1,2,3:00/10:05", "9..17/2:30", "0..20/5:10"};

static char *expressions[EXPRESSIONS_MAX];
static size_t n_expressions;

static void
collect(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(alone); i++)
		expressions[n_expressions++] = xstrdup(alone[i]);
	for (size_t i = 0; i < ARRAY_SIZE(days); i++)
		for (size_t j = 0; j < ARRAY_SIZE(dates); j++)
			for (size_t k = 0; k < ARRAY_SIZE(times); k++)
				expressions[n_expressions++] =
				    xasprintf("%s%s%s", days[i], dates[j], times[k]);
}

/* One process for all expressions, as they are or as we print them. */
static FILE *
run_systemd(const char *zone, const char *base, bool printed)
{
	char *command =
	    xasprintf("LC_ALL=C SYSTEMD_COLORS=0 TZ=%s systemd-analyze calendar --iterations=%d "
		      "--base-time='%.10s %.8s UTC'",
		      zone, ITERATIONS, base, base + 11);
	FILE *output;

	for (size_t i = 0; i < n_expressions; i++) {
		struct calendar calendar;
		char *longer;

		ck_assert_int_eq(calendar_parse(expressions[i], &calendar, NULL), 0);
		longer = xasprintf("%s '%s'", command,
				   printed ? calendar_print(&calendar).s : expressions[i]);
		free(command);
		command = longer;
	}
	output = popen(command, "re");
	ck_assert_ptr_nonnull(output);
	free(command);
	return output;
}

/* "    Next elapse: Mon 2026-11-23 02:00:00 UTC", "       (in UTC): …", "       Iter. #2: …": those
 * that end with UTC are instants. */
static bool
read_instant(const char *line, int64_t *ret_us)
{
	const char *s = strstr(line, ": ");
	char utc[32];

	if (!s || !strstr(s, " UTC\n") || strlen(s) < 6 + 19)
		return false;
	snprintf(utc, sizeof(utc), "%.10sT%.8sZ", s + 6, s + 17);
	return when_parse_utc(utc, ret_us) == 0;
}

/* The answers to one expression: up to an empty line. */
static size_t
read_answers(FILE *output, int64_t *us)
{
	char line[512];
	size_t n = 0;
	bool any = false;

	while (fgets(line, sizeof(line), output)) {
		if (line[0] == '\n' && any)
			break;
		any |= line[0] != '\n';
		if (!strstr(line, " form:") && n < ITERATIONS && read_instant(line, &us[n]))
			n++;
	}
	ck_assert_msg(any, "systemd-analyze has stopped");
	return n;
}

static bool
same_wall_time(int64_t a, int64_t b, const char *zone)
{
	return !strncmp(when_local(a, zone).s, when_local(b, zone).s,
			strlen("2026-11-23 02:00:00"));
}

static void
compare(const char *expression, const char *zone, int64_t base, const int64_t *theirs, size_t n)
{
	struct calendar calendar;
	char note[WHEN_NOTE_MAX];
	int64_t us = base;
	size_t k = 0;

	ck_assert_int_eq(calendar_parse(expression, &calendar, NULL), 0);
	while (k < ITERATIONS && calendar_next(&calendar, us, zone, &us, note) == 0 &&
	       us < LAST_US) {
		if (strstr(note, "does not exist"))
			continue;
		ck_assert_msg(k < n, "%s %s: systemd has only %zu, not %s", expression, zone, n,
			      when_utc(us).s);
		ck_assert_msg(us == theirs[k] || (strstr(note, "comes twice") &&
						  same_wall_time(us, theirs[k], zone)),
			      "%s %s: %s, and systemd says %s", expression, zone, when_utc(us).s,
			      when_utc(theirs[k]).s);
		k++;
	}
	ck_assert_msg(k == n, "%s %s: systemd has %zu, not %zu", expression, zone, n, k);
}

static void
compare_all(bool printed)
{
	for (size_t z = 0; z < ARRAY_SIZE(zones); z++) {
		/* Each zone from two of the moments; printed forms from the other two. */
		for (size_t b = printed; b < ARRAY_SIZE(bases); b += 2) {
			FILE *output = run_systemd(zones[z], bases[b], printed);
			int64_t base;

			ck_assert_int_eq(when_parse_utc(bases[b], &base), 0);
			for (size_t i = 0; i < n_expressions; i++) {
				int64_t us[ITERATIONS];
				size_t n = read_answers(output, us);

				compare(expressions[i], zones[z], base, us, n);
			}
			ck_assert_int_eq(pclose(output), 0);
		}
	}
}

START_TEST(both_have_the_same_times)
{
	compare_all(false);
}
END_TEST

START_TEST(what_is_printed_means_the_same)
{
	compare_all(true);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("calendar beside systemd");
	TCase *tcase = tcase_create("oracle");

	if (system("systemd-analyze calendar --iterations=2 --base-time='2026-01-01 00:00:00 UTC' "
		   "daily >/dev/null 2>&1") != 0) {
		puts("skipped: there is no systemd-analyze that knows calendar --base-time");
		return SKIPPED;
	}
	collect();
	printf("%zu expressions\n", n_expressions);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, both_have_the_same_times);
	tcase_add_test(tcase, what_is_printed_means_the_same);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
