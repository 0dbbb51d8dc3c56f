/* SPDX-License-Identifier: ISC */
/*
 * What is written where, and what is refused, in a folder with the files of a cgroup. That the
 * kernel keeps the limits is shown where it has the controllers, by tests/system.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/scope.h"
#include "runner/bounds.h"
#include "tests/unit/unit.h"

static char own[] = "/tmp/bmd-limits-XXXXXX";

static char *
path(const char *name)
{
	char *text = NULL;

	ck_assert(asprintf(&text, "%s/%s", own, name) > 0);
	return text;
}

static void
put(const char *name, const char *content)
{
	_cleanup_free_ char *at = path(name);
	FILE *file = fopen(at, "we");

	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
}

static void
is(const char *name, const char *content)
{
	_cleanup_free_ char *at = path(name);
	char text[256] = "";
	FILE *file = fopen(at, "re");

	ck_assert_msg(file != NULL, "%s", name);
	(void)!fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	ck_assert_str_eq(text, content);
}

static void
setup(void)
{
	_cleanup_free_ char *leaf = NULL, *steps = NULL;

	strcpy(own, "/tmp/bmd-limits-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(own));
	leaf = path("bmd-run");
	steps = path("steps");
	ck_assert(mkdir(leaf, 0755) == 0 && mkdir(steps, 0755) == 0);
	put("cgroup.subtree_control", "");
	put("bmd-run/cgroup.procs", "");
}

static void
teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", own);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(what_is_given_is_written)
{
	const struct conf_limits limits = {.memory_bytes = INT64_C(1) << 30, .tasks = 500};
	_cleanup_free_ char *steps = NULL;

	setup();
	steps = path("steps");
	put("cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
	put("steps/memory.max", "");
	put("steps/pids.max", "");
	ck_assert(bounds_any(&limits));
	ck_assert_int_eq(bounds_prepare(own, &limits, NULL), 0);
	is("bmd-run/cgroup.procs", "0");
	is("cgroup.subtree_control", "+memory +pids");
	ck_assert_int_eq(bounds_set(steps, &limits, NULL), 0);
	is("steps/memory.max", "1073741824");
	is("steps/pids.max", "500");
	teardown();
}
END_TEST

/* A limit that cannot be kept is refused by its name, whatever else could be. */
START_TEST(what_cannot_be_kept_is_refused)
{
	static const struct {
		int line;
		const char *controllers;
		struct conf_limits limits;
		const char *key;
	} refused[] = {
	    {__LINE__, "hugetlb\n", {.memory_bytes = 1 << 20}, "memory-max"},
	    {__LINE__, "", {.tasks = 1}, "tasks-max"},
	    {__LINE__, "memory pids\n", {.memory_bytes = 1 << 20, .cpu_weight = 1}, "cpu-weight"},
	    {__LINE__, "pidsmemory\n", {.memory_bytes = 1 << 20, .tasks = 5}, "memory-max"},
	    {__LINE__, NULL, {.tasks = 5}, "tasks-max"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_err_ struct err err = ERR_INIT;

		setup();
		if (refused[i].controllers)
			put("cgroup.controllers", refused[i].controllers);
		ck_assert_msg(bounds_prepare(refused[i].controllers ? own : NULL,
					     &refused[i].limits, &err) < 0,
			      "line %d", refused[i].line);
		ck_assert_int_eq(err.code, ERR_CONFIGURATION);
		ck_assert_msg(strncmp(err.text, refused[i].key, strlen(refused[i].key)) == 0,
			      "line %d: %s", refused[i].line, err.text);
		is("bmd-run/cgroup.procs", "");
		teardown();
	}
}
END_TEST

/* Here the folder of the steps lacks the file: the kernel did not give the controller after all. */
START_TEST(a_file_that_is_not_there)
{
	const struct conf_limits limits = {.tasks = 5};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *steps = NULL;

	setup();
	steps = path("steps");
	ck_assert_int_lt(bounds_set(steps, &limits, &err), 0);
	ck_assert_int_eq(err.code, ERR_CONFIGURATION);
	teardown();
}
END_TEST

/* Only beside a limit of one's own is what the kernel counts that limit's. */
START_TEST(what_was_refused_is_counted)
{
	static const struct {
		int line;
		const char *max, *events;
		int64_t refused;
	} counts[] = {
	    {__LINE__, "20\n", "max 7\n", 7},
	    {__LINE__, "20\n", "max 0\n", 0},
	    {__LINE__, "max\n", "max 7\n", 0},
	    {__LINE__, "20\n", "", 0},
	    {__LINE__, "20\n", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		_cleanup_free_ char *steps = NULL;

		setup();
		steps = path("steps");
		put("steps/pids.max", counts[i].max);
		if (counts[i].events)
			put("steps/pids.events", counts[i].events);
		ck_assert_msg(bounds_refused(steps) == counts[i].refused, "line %d",
			      counts[i].line);
		teardown();
	}
	ck_assert_int_eq(bounds_refused(""), 0); /* no cgroup of the steps */
}
END_TEST

START_TEST(nothing_given)
{
	const struct conf_limits none = {0};

	ck_assert(!bounds_any(&none));
}
END_TEST

UNIT_MAIN("bounds", what_is_given_is_written, what_cannot_be_kept_is_refused,
	  a_file_that_is_not_there, what_was_refused_is_counted, nothing_given)
