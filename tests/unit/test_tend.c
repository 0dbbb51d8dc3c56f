/* SPDX-License-Identifier: ISC */
/* The rules after a crash, as a table: what a run folder says of a run; frames over a channel. */
#include <limits.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/runfolder.h"
#include "daemon/channel.h"
#include "daemon/tend/tend.h"
#include "tests/unit/unit.h"

#define RUN   "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"

static const struct {
	int line;
	bool locked;
	const char *started; /* run id; NULL: not there */
	const char *result;
	const char *digest; /* of the request, in the result; NULL: that is damaged */
	enum tend_verdict verdict;
} verdicts[] = {
    /* Who holds the lock lives, whatever else lies there. */
    {__LINE__, true, NULL, NULL, NULL, TEND_ALIVE},
    {__LINE__, true, RUN, NULL, NULL, TEND_ALIVE},
    {__LINE__, true, RUN, RUN, "d", TEND_ALIVE},
    /* Nobody claimed it: no step ever ran. */
    {__LINE__, false, NULL, NULL, NULL, TEND_NEVER_BEGAN},
    {__LINE__, false, RUN, RUN, "d", TEND_ENDED},
    {__LINE__, false, RUN, OTHER, "d", TEND_FOREIGN},
    {__LINE__, false, RUN, RUN, "e", TEND_FOREIGN},
    {__LINE__, false, NULL, RUN, "d", TEND_ENDED},
    {__LINE__, false, RUN, NULL, NULL, TEND_LOST},
    {__LINE__, false, OTHER, NULL, NULL, TEND_FOREIGN},
    /* A result that cannot be understood says that it ran, and no more. */
    {__LINE__, true, RUN, RUN, NULL, TEND_ALIVE},
    {__LINE__, false, RUN, RUN, NULL, TEND_LOST},
    {__LINE__, false, NULL, RUN, NULL, TEND_LOST},
    {__LINE__, false, OTHER, RUN, NULL, TEND_FOREIGN},
    /* A claim that cannot be read is a claim. */
    {__LINE__, false, "", NULL, NULL, TEND_LOST},
};

START_TEST(folders_are_judged)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct run_folder folder = {.exists = true, .locked = verdicts[i].locked};

		if (verdicts[i].started) {
			folder.has_started = true;
			strcpy(folder.started.run, verdicts[i].started);
		}
		if (verdicts[i].result && !verdicts[i].digest)
			strcpy(folder.damage, "it makes no sense");
		else if (verdicts[i].result) {
			folder.has_result = true;
			strcpy(folder.result.run, verdicts[i].result);
			strcpy(folder.result.request_digest, verdicts[i].digest);
		}
		ck_assert_msg(tend_judge(RUN, "d", true, &folder) == verdicts[i].verdict, "line %d",
			      verdicts[i].line);
	}
}
END_TEST

START_TEST(an_absent_folder_never_began)
{
	const struct run_folder folder = {0};

	ck_assert_int_eq(tend_judge(RUN, "d", false, &folder), TEND_NEVER_BEGAN);
	/* It was there when the run was told to begin, and no power cut has come between. */
	ck_assert_int_eq(tend_judge(RUN, "d", true, &folder), TEND_LOST);
}
END_TEST

START_TEST(a_slow_machine_has_longer)
{
	static const int seconds[] = {30, 60, 120, 120, 120, 120, 120, 120};

	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++)
		ck_assert_int_eq(tend_ready_s((int)i), seconds[i]);
	ck_assert_int_eq(tend_ready_s(INT_MAX), 120);
}
END_TEST

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

START_TEST(processes_of_a_dead_run)
{
	struct run_started started = {.boot = "boot-1"};
	char root[] = "/tmp/bmd-test.XXXXXX", path[256];

	ck_assert_ptr_nonnull(mkdtemp(root));
	/* No cgroup: nobody can tell, but in another boot nothing is left. */
	ck_assert_int_eq(tend_remains(&started, "boot-1", root), TEND_UNKNOWN);
	ck_assert_int_eq(tend_remains(&started, "boot-2", root), TEND_NONE_LEFT);
	ck_assert_int_eq(tend_remains(&started, "", root), TEND_UNKNOWN);
	strcpy(started.cgroup, "/job");
	ck_assert_int_eq(tend_remains(&started, "boot-1", root), TEND_NONE_LEFT);
	snprintf(path, sizeof(path), "%s/job", root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/job/cgroup.events", root);
	write_file(path, "populated 1\nfrozen 0\n");
	ck_assert_int_eq(tend_remains(&started, "boot-1", root), TEND_SOME_LEFT);
	write_file(path, "populated 0\nfrozen 0\n");
	ck_assert_int_eq(tend_remains(&started, "boot-1", root), TEND_NONE_LEFT);
	unlink(path);
	snprintf(path, sizeof(path), "%s/job", root);
	rmdir(path);
	rmdir(root);
}
END_TEST

struct heard {
	struct ev_loop *loop;
	struct channel *channel;
	int messages, closed;
	bool free_in_message;
};

static void
hear(const json_t *object, void *arg)
{
	struct heard *heard = arg;

	ck_assert(json_is_object(object));
	heard->messages++;
	if (heard->free_in_message) {
		channel_free(heard->channel);
		heard->channel = NULL;
		ev_break(heard->loop, EVBREAK_ALL);
	}
}

static void
hear_end(void *arg)
{
	struct heard *heard = arg;

	heard->closed++;
	ev_break(heard->loop, EVBREAK_ALL);
}

static int
open_pair(struct heard *heard)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	heard->loop = ev_loop_new(EVFLAG_AUTO);
	heard->channel = channel_new(heard->loop, fds[0], hear, hear_end, heard);
	return fds[1];
}

START_TEST(a_channel_hands_out_frames_and_its_end)
{
	struct heard heard = {0};
	int fd = open_pair(&heard);

	ck_assert_int_eq(write(fd, "{}\0{\"a\":1}\0{\"torn", 17), 17);
	close(fd);
	ev_run(heard.loop, 0);
	ck_assert_int_eq(heard.messages, 2);
	ck_assert_int_eq(heard.closed, 1);
	channel_free(heard.channel);
	ev_loop_destroy(heard.loop);
}
END_TEST

START_TEST(a_channel_may_be_freed_by_its_message)
{
	struct heard heard = {.free_in_message = true};
	int fd = open_pair(&heard);

	ck_assert_int_eq(write(fd, "{}\0{}\0", 6), 6);
	ev_run(heard.loop, 0);
	ck_assert_int_eq(heard.messages, 1);
	ck_assert_int_eq(heard.closed, 0);
	close(fd);
	ev_loop_destroy(heard.loop);
}
END_TEST

START_TEST(a_broken_frame_closes_a_channel)
{
	struct heard heard = {0};
	int fd = open_pair(&heard);

	ck_assert_int_eq(write(fd, "nonsense\0", 9), 9);
	ev_run(heard.loop, 0);
	ck_assert_int_eq(heard.messages, 0);
	ck_assert_int_eq(heard.closed, 1);
	channel_free(heard.channel);
	close(fd);
	ev_loop_destroy(heard.loop);
}
END_TEST

START_TEST(what_the_socket_does_not_take_waits)
{
	struct heard heard = {0};
	size_t n = 4 * 1024 * 1024, got = 0;
	char *bytes = calloc(n, 1), buffer[65536];
	int fd = open_pair(&heard);

	ck_assert_int_eq(channel_send_bytes(heard.channel, bytes, n), 0);
	channel_end(heard.channel);
	for (ssize_t r = 1; r != 0;) {
		ev_run(heard.loop, EVRUN_NOWAIT);
		r = read(fd, buffer, sizeof(buffer));
		if (r > 0)
			got += (size_t)r;
	}
	ck_assert_uint_eq(got, n);
	channel_free(heard.channel);
	close(fd);
	free(bytes);
	ev_loop_destroy(heard.loop);
}
END_TEST

UNIT_MAIN("tend", folders_are_judged, an_absent_folder_never_began, a_slow_machine_has_longer, processes_of_a_dead_run,
	  a_channel_hands_out_frames_and_its_end, a_channel_may_be_freed_by_its_message,
	  a_broken_frame_closes_a_channel, what_the_socket_does_not_take_waits)
