/* SPDX-License-Identifier: ISC */
/* Output on disk: lines there and back, a flood that keeps head and tail, cursors and gaps. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/runlog.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static char directory[PATH_MAX];
static int folder_fd;
static struct runlog *writer;

static void
setup(void)
{
	_cleanup_free_ char *path = NULL;

	snprintf(directory, sizeof(directory), "%s/bmd-log-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	path = xasprintf("%s/1", directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(runlog_open(folder_fd, &writer, NULL), 0);
}

static void
teardown(void)
{
	runlog_close(writer);
	close(folder_fd);
	unit_remove(directory);
}

static int64_t
read_from(int64_t after, size_t limit, json_t **ret)
{
	int64_t next = -1;

	ck_assert_int_eq(runlog_read(directory, 1, after, limit, ret, &next, NULL), 0);
	return next;
}

static const char *
member(const json_t *lines, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(lines, i), key));
}

START_TEST(lines_there_and_back)
{
	_cleanup_json_ json_t *lines = NULL, *more = NULL;
	int64_t next;

	setup();
	runlog_line(writer, 1795374229000001, "out", "files", "placed a b", 10);
	runlog_line(writer, 1795374229000002, "bmd", "", "", 0);
	runlog_line(writer, 1795374229000003, "err", "files", "two\nlines", 9);
	runlog_line(writer, 1795374229000004, "err", "files", "\033[1m\xff", 5);
	read_from(0, 1 << 20, &lines);
	ck_assert_uint_eq(json_array_size(lines), 0);
	json_decref(lines);
	runlog_flush(writer);
	next = read_from(0, 1 << 20, &lines);
	ck_assert_uint_eq(json_array_size(lines), 5);
	ck_assert_str_eq(member(lines, 0, "text"), "placed a b");
	ck_assert_str_eq(member(lines, 0, "step"), "files");
	ck_assert_str_eq(member(lines, 0, "stream"), "out");
	ck_assert_str_eq(member(lines, 0, "time"), "2026-11-22T19:03:49.000001Z");
	ck_assert_str_eq(member(lines, 1, "text"), "");
	ck_assert_str_eq(member(lines, 1, "step"), "");
	ck_assert_str_eq(member(lines, 3, "text"), "lines");
	ck_assert_str_eq(member(lines, 4, "text"), "\\x1b[1m\\xff");
	ck_assert_int_eq(read_from(next, 1 << 20, &more), next);
	ck_assert_uint_eq(json_array_size(more), 0);
	teardown();
}
END_TEST

START_TEST(no_log_no_lines)
{
	json_t *lines = NULL;
	int64_t next;

	setup();
	ck_assert_int_eq(runlog_read(directory, 77, 0, 1000, &lines, &next, NULL), 0);
	ck_assert_uint_eq(json_array_size(lines), 0);
	ck_assert_int_eq(next, 0);
	json_decref(lines);
	teardown();
}
END_TEST

START_TEST(long_lines_are_split)
{
	_cleanup_json_ json_t *lines = NULL;
	char *text = xcalloc(1, 3 * RUNLOG_LINE);

	setup();
	memset(text, 'x', 3 * RUNLOG_LINE);
	runlog_line(writer, 1, "out", "a", text, 2 * RUNLOG_LINE + 5);
	text[RUNLOG_LINE] = '\n';
	runlog_line(writer, 1, "out", "a", text, RUNLOG_LINE + 2);
	runlog_flush(writer);
	read_from(0, 1 << 20, &lines);
	ck_assert_uint_eq(json_array_size(lines), 5);
	ck_assert_uint_eq(strlen(member(lines, 0, "text")), RUNLOG_LINE);
	ck_assert_uint_eq(strlen(member(lines, 2, "text")), 5);
	ck_assert_uint_eq(strlen(member(lines, 4, "text")), 1);
	free(text);
	teardown();
}
END_TEST

static int64_t
disk_bytes(void)
{
	_cleanup_free_ char *command = xasprintf("cat %s/1/log* | wc -c", directory);
	FILE *pipe = popen(command, "r");
	long long n = 0;

	ck_assert_int_eq(fscanf(pipe, "%lld", &n), 1);
	pclose(pipe);
	return n;
}

/* Follows a whole log by its cursor; counts lines and what gaps say is missing, checks the order of
 * the numbers. */
static void
follow(int64_t *ret_lines, int64_t *ret_missing, long *ret_first, long *ret_last)
{
	int64_t cursor = 0, lines = 0, missing = 0;
	long last = -1, first = -1;

	for (;;) {
		_cleanup_json_ json_t *array = NULL;
		int64_t next = read_from(cursor, 100000, &array);
		_cleanup_free_ char *text = json_dumps(array, JSON_COMPACT);

		ck_assert_uint_lt(strlen(text), 130000);
		if (next == cursor)
			break;
		cursor = next;
		for (size_t i = 0; i < json_array_size(array); i++) {
			if (strcmp(member(array, i, "stream"), "gap") == 0) {
				missing += strtoll(member(array, i, "text"), NULL, 10);
				continue;
			}
			ck_assert_int_gt(strtol(member(array, i, "text"), NULL, 10), last);
			last = strtol(member(array, i, "text"), NULL, 10);
			first = first < 0 ? last : first;
			lines++;
		}
	}
	*ret_lines = lines;
	*ret_missing = missing;
	*ret_first = first;
	*ret_last = last;
}

START_TEST(flood_keeps_head_and_tail)
{
	int64_t lines, missing;
	long first, last;

	setup();
	for (int i = 0; i < 200000; i++) {
		char text[32];
		int n = snprintf(text, sizeof(text), "%d and some more", i);

		runlog_line(writer, 5, "out", "a", text, n);
	}
	runlog_flush(writer);
	follow(&lines, &missing, &first, &last);
	ck_assert_int_eq(first, 0);
	ck_assert_int_eq(last, 199999);
	ck_assert_int_eq(missing, runlog_dropped(writer));
	ck_assert_int_gt(missing, 2000000);
	ck_assert_int_le(disk_bytes(), RUNLOG_HEAD + RUNLOG_SEGMENTS * RUNLOG_SEGMENT);
	ck_assert_int_ge(disk_bytes(),
			 RUNLOG_HEAD - 100 + (RUNLOG_SEGMENTS - 1) * (RUNLOG_SEGMENT - 100));
	teardown();
}
END_TEST

/* A file limit stands for a full disk: the writer goes on, counts, and readers see the hole. */
START_TEST(what_cannot_be_written_is_counted)
{
	struct rlimit limit = {.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
	int64_t lines, missing, dropped;
	long first, last;

	setup();
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 2000; i++) {
		char text[32];
		int n = snprintf(text, sizeof(text), "%d", i);

		runlog_line(writer, 5, "out", "a", text, n);
		if (i % 100 == 99)
			runlog_flush(writer);
	}
	dropped = runlog_dropped(writer);
	ck_assert_int_gt(dropped, 0);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	runlog_line(writer, 5, "out", "a", "2000", 4);
	runlog_flush(writer);
	follow(&lines, &missing, &first, &last);
	ck_assert_int_eq(last, 2000);
	ck_assert_int_eq(first, 0);
	ck_assert_int_eq(missing, dropped);
	teardown();
}
END_TEST

START_TEST(torn_line_waits)
{
	_cleanup_json_ json_t *lines = NULL;
	int64_t next;
	int fd;

	setup();
	runlog_line(writer, 5, "out", "a", "whole", 5);
	runlog_flush(writer);
	fd = openat(folder_fd, "log", O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, "6 out a to", 10), 10);
	next = read_from(0, 1000, &lines);
	ck_assert_uint_eq(json_array_size(lines), 1);
	ck_assert_int_eq(write(fd, "rn\n", 3), 3);
	json_decref(lines);
	read_from(next, 1000, &lines);
	ck_assert_uint_eq(json_array_size(lines), 1);
	ck_assert_str_eq(member(lines, 0, "text"), "torn");
	close(fd);
	teardown();
}
END_TEST

UNIT_MAIN("runlog", lines_there_and_back, no_log_no_lines, long_lines_are_split,
	  flood_keeps_head_and_tail, what_cannot_be_written_is_counted, torn_line_waits)
