/* SPDX-License-Identifier: ISC */
/*
 * The n-th call of the kernel fails, for each n, where bmd starts its helpers and where it makes
 * and takes connections. Whoever fails says what, leaves no descriptor and no child behind, and can
 * be asked again; what passes is only tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/control/control.h"
#include "daemon/control/listen.h"
#include "daemon/control/peer.h"
#include "daemon/launch.h"
#include "tests/campaign/fault.h"
#include "tests/unit/unit.h"

/* calls of one family, where the one that fails is a child's and so is not seen from here */
#define MANY 16

static char folder[] = "/tmp/bmd-faults-calls-XXXXXX";
static char *path;
static struct err err;

static void
disarm(void)
{
	fault_arm("", 0, 0);
}

/* How many descriptors are open. */
static int
open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
forget_error(void)
{
	err_clear(&err);
	memset(&err, 0, sizeof(err));
}

static void
set_up(void)
{
	disarm();
	ck_assert_ptr_nonnull(mkdtemp(folder));
	path = xasprintf("%s/run/control", folder);
}

static void
tear_down(void)
{
	disarm();
	free(path);
	forget_error();
	unit_remove(folder);
	strcpy(folder, "/tmp/bmd-faults-calls-XXXXXX");
}

/* ---- helpers */

static struct launch *launch;
static struct conf conf = {.path = (char[]){"/etc/bmd.conf"}, .launcher = CONF_LAUNCHER_FORK};
static int ended, client[2];

static void
on_ended(pid_t pid, int status, void *arg)
{
	(void)pid, (void)status, (void)arg;
	ended++;
}

static void
on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	ck_abort_msg("the helper did not end");
}

static void
await_end(int n)
{
	ev_timer limit;

	ev_timer_init(&limit, on_limit, 10., 0.);
	ev_timer_start(EV_DEFAULT, &limit);
	while (ended < n)
		ev_run(EV_DEFAULT, EVRUN_ONCE);
	ev_timer_stop(EV_DEFAULT, &limit);
}

static int
run(int *ret_fd, pid_t *ret_pid)
{
	return launch_run(launch, &conf, 42, ret_fd, ret_pid, &err);
}

static int
verify(int *ret_fd, pid_t *ret_pid)
{
	return launch_verify(launch, &conf, ret_fd, ret_pid, &err);
}

static int
import(int *ret_fd, pid_t *ret_pid)
{
	int r = launch_import(launch, &conf, "tar", client[0], ret_pid, &err);

	if (r < 0)
		ck_assert_int_ne(fcntl(client[0], F_GETFL) & O_NONBLOCK, 0);
	*ret_fd = -1;
	return r;
}

/* It ends when nobody talks to it any more, as they all do. */
static void
write_helper(const char *name)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	fputs("#!/bin/sh\nread -r line\n", file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(name, 0755), 0);
}

/* What must fail the start, and what is only tried again. */
static const struct {
	int line;
	const char *family;
	int code;
	bool passes;
} starts[] = {
    {__LINE__, "pipe", EMFILE, false}, {__LINE__, "fork", EAGAIN, false},
    {__LINE__, "dup", EBUSY, false},   {__LINE__, "fcntl", EINVAL, false},
    {__LINE__, "open", EMFILE, false}, {__LINE__, "chdir", EIO, false},
    {__LINE__, "exec", ENOMEM, false}, {__LINE__, "read", EIO, false},
    {__LINE__, "read", EINTR, true},
};

static void
close_both(int fd)
{
	if (fd >= 0)
		close(fd);
	else
		shutdown(client[1], SHUT_WR);
}

/* Whether it was started. */
static bool
play_start(size_t i, int n, int (*start)(int *ret_fd, pid_t *ret_pid))
{
	int files, fd = -1, before = ended, r;
	pid_t pid = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, client),
			 0);
	files = open_files();
	fault_arm(starts[i].family, starts[i].code, n);
	r = start(&fd, &pid);
	disarm();
	ck_assert_msg(r >= 0 || !starts[i].passes, "line %d, call %d: %s", starts[i].line, n,
		      err.text);
	if (r < 0) {
		ck_assert_msg(err.text && (strstr(err.text, "helper")), "line %d, call %d: %s",
			      starts[i].line, n, err.text ? err.text : "no sentence");
		ck_assert_msg(fd == -1 && pid == 0 && open_files() == files,
			      "line %d, call %d: %d files, then %d", starts[i].line, n, files,
			      open_files());
		ck_assert_msg(waitpid(-1, NULL, 0) == -1 && errno == ECHILD,
			      "line %d, call %d: a child is left", starts[i].line, n);
		ck_assert_int_eq(ended, before);
	} else {
		close_both(fd);
		await_end(before + 1);
	}
	forget_error();
	close(client[0]);
	close(client[1]);
	return r >= 0;
}

START_TEST(test_starts)
{
	int (*const kinds[])(int *, pid_t *) = {run, verify, import};
	_cleanup_free_ char *helper = xasprintf("%s/helper", folder);

	write_helper(helper);
	conf.state_directory = folder;
	launch = launch_new(EV_DEFAULT, on_ended, NULL);
	launch_set_programs(launch, helper, helper);
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		int failed = 0;

		for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
			for (int n = 1; n < MANY; n++)
				failed += !play_start(i, n, kinds[kind]);
		ck_assert_msg(starts[i].passes || failed > 0, "%s: no call was come to",
			      starts[i].family);
	}
	launch_free(launch);
}
END_TEST

/* A signal comes while a child that could not become the helper is read from and reaped. */
START_TEST(test_signal_while_a_start_fails)
{
	static const char *const families[] = {"read", "wait"};
	_cleanup_free_ char *helper = xasprintf("%s/missing", folder);

	conf.state_directory = folder;
	launch = launch_new(EV_DEFAULT, on_ended, NULL);
	launch_set_programs(launch, helper, helper);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		pid_t pid = 0;
		int fd = -1;

		fault_arm(families[i], EINTR, 1);
		ck_assert_int_eq(run(&fd, &pid), -ENOENT);
		ck_assert_msg(fault_struck(), "%s was not come to", families[i]);
		disarm();
		ck_assert_msg(waitpid(-1, NULL, 0) == -1 && errno == ECHILD, "%s: a child is left",
			      families[i]);
		forget_error();
	}
	launch_free(launch);
}
END_TEST

/* ---- the socket */

static const struct {
	int line;
	const char *family;
	int code;
} sockets[] = {
    {__LINE__, "pipe", EMFILE},	 {__LINE__, "socket", EACCES}, {__LINE__, "stat", EIO},
    {__LINE__, "name", EIO},	 {__LINE__, "open", EMFILE},   {__LINE__, "fcntl", EINVAL},
    {__LINE__, "peer", ENOBUFS},
};

/* As a bmd that was killed leaves it. */
static void
leave_stale(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(to.sun_path, path);
	(void)unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
}

/* Makes it while the N-th call fails, and, where that is no reason to go on without, again. False:
 * there was no N-th. */
static bool
play_socket(size_t i, int n, bool stale)
{
	struct listen *listening = NULL;
	int files = open_files(), r;
	bool hit;

	if (stale)
		leave_stale();
	fault_arm(sockets[i].family, sockets[i].code, n);
	r = listen_new(path, -1, &listening, &err);
	hit = fault_struck();
	disarm();
	ck_assert_msg(r >= 0 || (hit && err.text && *err.text), "line %d, call %d: %d",
		      sockets[i].line, n, r);
	if (r < 0) {
		ck_assert_msg(open_files() == files, "line %d, call %d: a descriptor is left",
			      sockets[i].line, n);
		forget_error();
		ck_assert_msg(listen_new(path, -1, &listening, &err) == 0,
			      "line %d, call %d, and again: %s", sockets[i].line, n, err.text);
	}
	ck_assert_int_ge(listen_fd(listening), 0);
	listen_free(listening);
	ck_assert_int_eq(open_files(), files);
	ck_assert_int_eq(access(path, F_OK), -1);
	return hit;
}

START_TEST(test_socket)
{
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		for (int stale = 0; stale < 2; stale++)
			for (int n = 1; play_socket(i, n, stale); n++)
				ck_assert_int_lt(n, MANY);
}
END_TEST

/* One that was given stays the giver's. */
static bool
play_given(size_t i, int n, int given)
{
	struct listen *listening = NULL;
	int files = open_files(), r;
	bool hit;

	fault_arm(sockets[i].family, sockets[i].code, n);
	r = listen_new(NULL, given, &listening, &err);
	hit = fault_struck();
	disarm();
	ck_assert_msg(r >= 0 || (hit && strstr(err.text, "descriptor")), "line %d, call %d: %s",
		      sockets[i].line, n, err.text);
	forget_error();
	if (r < 0)
		ck_assert_int_eq(open_files(), files);
	else
		listen_free(listening); /* which closes what is its own now */
	return hit;
}

START_TEST(test_given_socket)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		for (int n = 1;; n++) {
			int given = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
			    copy = dup(given);
			bool hit;

			snprintf(to.sun_path, sizeof(to.sun_path), "%s/given-%zu-%d", folder, i, n);
			ck_assert_int_eq(bind(given, (struct sockaddr *)&to, sizeof(to)), 0);
			ck_assert_int_eq(listen(given, 4), 0);
			hit = play_given(i, n, given);
			(void)close(given);
			close(copy);
			if (!hit)
				break;
			ck_assert_int_lt(n, MANY);
		}
}
END_TEST

/* ---- newcomers */

static const struct {
	int line, code;
	int answer;
	bool refused; /* the next call finds the newcomer, and has no place for him */
} accepts[] = {
    {__LINE__, EINTR, -EAGAIN, false},	{__LINE__, ECONNABORTED, -EAGAIN, false},
    {__LINE__, EPROTO, -EAGAIN, false}, {__LINE__, EMFILE, -EMFILE, true},
    {__LINE__, ENFILE, -EMFILE, true},	{__LINE__, ENOBUFS, -EMFILE, true},
    {__LINE__, ENOMEM, -EMFILE, true},	{__LINE__, EINVAL, -EINVAL, false},
};

static int
dial(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(to.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

START_TEST(test_newcomers)
{
	struct listen *listening;

	ck_assert_int_eq(listen_new(path, -1, &listening, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(accepts); i++) {
		int files = open_files(), fd = dial(), got;
		char text[512] = "";

		fault_arm("accept", accepts[i].code, 1);
		got = listen_accept(listening);
		disarm();
		ck_assert_msg(got == accepts[i].answer, "line %d: %d", accepts[i].line, got);
		ck_assert_msg(open_files() == files + 1,
			      "line %d: a descriptor is left, or the reserve is gone",
			      accepts[i].line);
		if (accepts[i].refused) {
			ck_assert_int_gt(recv(fd, text, sizeof(text) - 1, 0), 0);
			ck_assert_msg(strstr(text, "no file descriptor left") != NULL,
				      "line %d: %s", accepts[i].line, text);
		} else {
			got = listen_accept(listening);
			ck_assert_msg(got >= 0, "line %d: he who waits is not taken",
				      accepts[i].line);
			close(got);
		}
		close(fd);
	}
	listen_free(listening);
}
END_TEST

/* Who cannot be told may nothing. */
START_TEST(test_unknown_peers)
{
	static const int codes[] = {ENOBUFS, ENOMEM};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		for (int n = 1; n <= 2; n++) {
			struct control_peer peer;
			int ends[2];

			ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
					 0);
			fault_arm("peer", codes[i], n);
			peer_read(ends[0], &peer);
			ck_assert(fault_struck());
			disarm();
			ck_assert(!peer.as.known);
			ck_assert_uint_eq(peer.as.n, 0);
			ck_assert(!peer_is_root(&peer));
			peer_name(&peer);
			ck_assert(peer.name[0]);
			peer_clear(&peer);
			close(ends[0]);
			close(ends[1]);
		}
}
END_TEST

UNIT_MAIN_WITH("faults_calls", 120, set_up, tear_down, test_starts, test_signal_while_a_start_fails,
	       test_socket, test_given_socket, test_newcomers, test_unknown_peers)
