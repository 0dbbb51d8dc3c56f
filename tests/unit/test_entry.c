/* SPDX-License-Identifier: ISC */
/* Frames of an upload: what is written is read, in pieces of any size; what is cut or malformed is
 * not taken for a frame. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "common/entry.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static void
check(struct entry_input *input, char kind, const char *bytes, size_t n)
{
	enum entry_kind found;
	const char *found_bytes;
	size_t found_n;

	ck_assert_int_eq(entry_read(input, &found, &found_bytes, &found_n), 1);
	ck_assert_int_eq(found, kind);
	ck_assert_uint_eq(found_n, n);
	ck_assert_int_eq(memcmp(found_bytes, bytes, n), 0);
	ck_assert_int_eq(found_bytes[n], '\0');
}

static void
check_end(struct entry_input *input, int expected)
{
	enum entry_kind kind;
	const char *bytes;
	size_t n;

	ck_assert_int_eq(entry_read(input, &kind, &bytes, &n), expected);
}

static void
write_frames(int fd)
{
	ck_assert_int_eq(entry_write_file(fd, "a/b", true), 0);
	ck_assert_int_eq(entry_write(fd, ENTRY_CONTENT, "hello", 5), 0);
	ck_assert_int_eq(entry_write(fd, ENTRY_CONTENT, "", 0), 0);
	ck_assert_int_eq(entry_write_link(fd, ENTRY_LINK, "l", "a/b"), 0);
	ck_assert_int_eq(entry_write(fd, ENTRY_END, NULL, 0), 0);
}

static void
check_frames(int fd)
{
	struct entry_input *input = entry_input_new(fd);

	check(input, 'F', "xa/b", 4);
	check(input, 'C', "hello", 5);
	check(input, 'C', "", 0);
	check(input, 'L', "l\0a/b", 5);
	check(input, 'E', "", 0);
	check_end(input, 0);
	entry_input_free(input);
}

START_TEST(round_trip)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	write_frames(pair[0]);
	close(pair[0]);
	check_frames(pair[1]);
	close(pair[1]);
	ck_assert_int_eq(pipe(pair), 0);
	write_frames(pair[1]);
	close(pair[1]);
	check_frames(pair[0]);
	close(pair[0]);
}
END_TEST

/* The same bytes, one at a time, and cut after each. */
START_TEST(bytewise)
{
	char bytes[256];
	ssize_t n;
	int pair[2], from[2];

	ck_assert_int_eq(pipe(pair), 0);
	write_frames(pair[1]);
	n = read(pair[0], bytes, sizeof(bytes));
	for (ssize_t cut = 0; cut <= n; cut++) {
		struct entry_input *input;
		enum entry_kind kind;
		const char *text;
		size_t size;
		int r;

		ck_assert_int_eq(pipe(from), 0);
		ck_assert_int_eq(write(from[1], bytes, (size_t)cut), cut);
		close(from[1]);
		input = entry_input_new(from[0]);
		do
			r = entry_read(input, &kind, &text, &size);
		while (r == 1 && kind != ENTRY_END);
		ck_assert_msg(cut == n ? r == 1 : r == 0 || r == -EBADMSG, "cut at %zd: %d", cut,
			      r);
		entry_input_free(input);
		close(from[0]);
	}
	close(pair[0]);
	close(pair[1]);
}
END_TEST

static void *
write_large(void *arg)
{
	char *bytes = xcalloc(1, ENTRY_DATA_MAX + 1);

	for (int i = 0; i < 20; i++) {
		memset(bytes, 'a' + i, ENTRY_DATA_MAX);
		entry_write(*(int *)arg, ENTRY_CONTENT, bytes,
			    (size_t)(i % 3 ? ENTRY_DATA_MAX : 1000 + i));
	}
	ck_assert_int_eq(entry_write(*(int *)arg, ENTRY_CONTENT, bytes, ENTRY_DATA_MAX + 1),
			 -EMSGSIZE);
	close(*(int *)arg);
	free(bytes);
	return NULL;
}

START_TEST(large)
{
	char *bytes = xcalloc(1, ENTRY_DATA_MAX);
	struct entry_input *input;
	pthread_t thread;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pthread_create(&thread, NULL, write_large, &pair[0]);
	input = entry_input_new(pair[1]);
	for (int i = 0; i < 20; i++) {
		memset(bytes, 'a' + i, ENTRY_DATA_MAX);
		check(input, 'C', bytes, (size_t)(i % 3 ? ENTRY_DATA_MAX : 1000 + i));
	}
	check_end(input, 0);
	pthread_join(thread, NULL);
	entry_input_free(input);
	close(pair[1]);
	free(bytes);
}
END_TEST

START_TEST(malformed)
{
	static const struct {
		int line;
		const char *bytes;
		size_t n;
	} table[] = {
	    {__LINE__, "Z\0\0\0\0", 5},		{__LINE__, "C\0\4\0\1", 5},
	    {__LINE__, "C\377\377\377\377", 5}, {__LINE__, "\0\0\0\0\0", 5},
	    {__LINE__, "C\0\0\0\2a", 6},	{__LINE__, "C", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct entry_input *input;
		int pair[2];

		ck_assert_int_eq(pipe(pair), 0);
		ck_assert_int_eq(write(pair[1], table[i].bytes, table[i].n), (ssize_t)table[i].n);
		close(pair[1]);
		input = entry_input_new(pair[0]);
		check_end(input, -EBADMSG);
		entry_input_free(input);
		close(pair[0]);
	}
}
END_TEST

START_TEST(gone_and_silent)
{
	struct entry_input *input;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	input = entry_input_new(pair[1]);
	entry_input_timeout(input, 1);
	check_end(input, -ETIMEDOUT);
	entry_input_free(input);
	close(pair[1]);
	ck_assert_int_eq(entry_write(pair[0], ENTRY_END, NULL, 0), -EPIPE);
	close(pair[0]);
}
END_TEST

/* Small frames leave together, in their order, when there is no more room or by a flush; a large
 * one takes what waits with it. */
START_TEST(put_together)
{
	struct entry_output *output;
	struct entry_input *input;
	char *much = xcalloc(ENTRY_DATA_MAX + 1, 1);
	int pair[2], waited = 0, n = 0;

	ck_assert_int_eq(pipe(pair), 0);
	output = entry_output_new(pair[1]);
	ck_assert_int_eq(entry_flush(output), 0);
	ck_assert_int_eq(entry_put_file(output, "a/b", true), 0);
	ck_assert_int_eq(entry_put(output, ENTRY_CONTENT, "hello", 5), 0);
	ck_assert_int_eq(entry_put(output, ENTRY_CONTENT, "", 0), 0);
	ck_assert_int_eq(entry_put_link(output, ENTRY_LINK, "l", "a/b"), 0);
	ck_assert_int_eq(entry_put(output, ENTRY_CONTENT, much, ENTRY_DATA_MAX + 1), -EMSGSIZE);
	ck_assert_int_eq(entry_put(output, ENTRY_END, NULL, 0), 0);
	ck_assert_int_eq(entry_flush(output), 1);
	ck_assert_int_eq(entry_flush(output), 0);
	close(pair[1]);
	check_frames(pair[0]);
	close(pair[0]);
	entry_output_free(output);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	output = entry_output_new(pair[1]);
	input = entry_input_new(pair[0]);
	while ((waited = entry_put_file(output, "some/path", false)) == 0)
		n++;
	ck_assert_int_eq(waited, 1);
	ck_assert_int_gt(n, 1000);
	for (int i = 0; i <= n; i++)
		check(input, 'F', "-some/path", 10);
	ck_assert(!entry_ready(input));
	entry_input_free(input);
	entry_output_free(output);
	output = entry_output_new(pair[1]);
	close(pair[0]);
	/* Nobody reads: that is said when it is tried, and not by a signal. */
	ck_assert_int_eq(entry_put(output, ENTRY_END, NULL, 0), 0);
	ck_assert_int_eq(entry_flush(output), -EPIPE);
	close(pair[1]);
	entry_output_free(output);
	free(much);
}
END_TEST

/* What waits is before a large frame, in one go with it. */
START_TEST(put_large)
{
	struct entry_output *output;
	struct entry_input *input;
	char *much = xcalloc(ENTRY_DATA_MAX, 1);
	int pair[2];

	memset(much, 'z', ENTRY_DATA_MAX);
	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_ge(fcntl(pair[1], F_SETPIPE_SZ, 1024 * 1024), 1024 * 1024);
	output = entry_output_new(pair[1]);
	ck_assert_int_eq(entry_put_file(output, "f", false), 0);
	ck_assert_int_eq(entry_put(output, ENTRY_CONTENT, much, ENTRY_DATA_MAX), 1);
	ck_assert_int_eq(entry_put(output, ENTRY_END, NULL, 0), 0);
	ck_assert_int_eq(entry_flush(output), 1);
	close(pair[1]);
	input = entry_input_new(pair[0]);
	check(input, 'F', "-f", 2);
	check(input, 'C', much, ENTRY_DATA_MAX);
	check(input, 'E', "", 0);
	check_end(input, 0);
	entry_input_free(input);
	entry_output_free(output);
	close(pair[0]);
	free(much);
}
END_TEST

UNIT_MAIN("entry", round_trip, bytewise, large, malformed, gone_and_silent, put_together, put_large)
