/* SPDX-License-Identifier: ISC */
/*
 * launch.h with small scripts as helpers: what they get and what they do not, how they end, what
 * they leave behind, and what happens when there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/xalloc.h"
#include "daemon/launch.h"
#include "tests/unit/unit.h"

#define LIMIT_S 10.

static char folder[] = "/tmp/bmd-launch-XXXXXX";
static struct launch *launch;
static struct conf conf = {.path = (char[]){"/etc/bmd/b m d.conf"}, .launcher = CONF_LAUNCHER_FORK};
static struct {
	int n;
	pid_t pid;
	int status;
	pid_t stray; /* must be gone when ENDED is called */
} ends;

static void
on_ended(pid_t pid, int status, void *arg)
{
	ck_assert_ptr_eq(arg, &ends);
	ends.n++;
	ends.pid = pid;
	ends.status = status;
	if (ends.stray)
		ck_assert_msg(kill(ends.stray, 0) < 0 && errno == ESRCH,
			      "a stray process is alive");
}

static void
on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	ck_abort_msg("the helper did not end");
}

static void
run_until(int n)
{
	ev_timer limit;

	ev_timer_init(&limit, on_limit, LIMIT_S, 0.);
	ev_timer_start(EV_DEFAULT, &limit);
	while (ends.n < n)
		ev_run(EV_DEFAULT, EVRUN_ONCE);
	ev_timer_stop(EV_DEFAULT, &limit);
}

/* A script of this text, as a helper. Free the path. */
static char *
script(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "#!/bin/sh\nhere=%s\n%s\n", folder, text);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
	return path;
}

/* Everything that comes over a channel until its end. */
static char *
read_all(int fd)
{
	static char text[8192];
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	for (;;) {
		ssize_t got;

		ck_assert_int_eq(poll(&poll_fd, 1, (int)(LIMIT_S * 1000)), 1);
		got = read(fd, text + n, sizeof(text) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	return text;
}

static pid_t
read_pid(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	int pid = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
	return pid;
}

/* bmd-run is this script for one job; its channel. */
static int
run(const char *text, pid_t *ret_pid)
{
	_cleanup_free_ char *path = script("bmd-run", text);
	_cleanup_err_ struct err err = ERR_INIT;
	int fd = -1;

	launch_set_programs(launch, path, NULL);
	ck_assert_msg(launch_run(launch, &conf, 42, &fd, ret_pid, &err) == 0, "%s", err.text);
	ck_assert_int_gt(*ret_pid, 0);
	return fd;
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	conf.state_directory = folder;
	memset(&ends, 0, sizeof(ends));
	launch = launch_new(EV_DEFAULT, on_ended, &ends);
}

static void
teardown(void)
{
	launch_free(launch);
	unit_remove(folder);
	strcpy(folder, "/tmp/bmd-launch-XXXXXX");
}

START_TEST(the_end_is_told_with_its_status)
{
	pid_t pid;
	_cleanup_close_ int fd = run("exit 7", &pid);

	run_until(1);
	ck_assert_int_eq(ends.pid, pid);
	ck_assert(WIFEXITED(ends.status) && WEXITSTATUS(ends.status) == 7);
}
END_TEST

START_TEST(the_channel_is_standard_input)
{
	pid_t pid;
	_cleanup_close_ int fd =
	    run("read -r line; echo \"$line|$1|$2|$3|$#\" >&0; pwd >&0; umask >&0", &pid);

	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(write(fd, "go\n", 3), 3);
	ck_assert_str_eq(read_all(fd), "go|-c|/etc/bmd/b m d.conf|42|3\n/\n0022\n");
	run_until(1);
}
END_TEST

START_TEST(nothing_is_inherited)
{
	pid_t pid;
	int leaked = open("/dev/null", O_RDWR); /* without O_CLOEXEC */
	sigset_t set;
	int fd;
	char *text;

	ck_assert_int_ge(dup2(leaked, 57), 0);
	setenv("SECRET", "x", 1);
	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMAX, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = run("exec >&0; echo fds $(ls /proc/self/fd); grep -E '^Sig(Blk|Ign)' "
		 "/proc/self/status; env",
		 &pid);
	text = read_all(fd);
	ck_assert_msg(strstr(text, "fds 0 1 2 3\n") != NULL, "%s",
		      text); /* 3 is the folder that ls reads */
	ck_assert_msg(strstr(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n") !=
			  NULL,
		      "%s", text);
	ck_assert_msg(!strstr(text, "SECRET") && !strstr(text, "NOTIFY_SOCKET"), "%s", text);
	ck_assert_msg(strstr(text, "PATH=/usr/local/sbin:") != NULL, "%s", text);
	run_until(1);
	close(fd);
	close(leaked);
	close(57);
}
END_TEST

START_TEST(standard_output_of_bmd_run_is_nowhere)
{
	pid_t pid;
	_cleanup_close_ int fd = run("out=$(readlink /proc/$$/fd/1); echo flood; echo $out $(cut "
				     "-d' ' -f6 /proc/$$/stat) >&0",
				     &pid);
	_cleanup_free_ char *want = xasprintf("/dev/null %d\n", (int)pid);

	ck_assert_str_eq(read_all(fd), want); /* and it leads its session */
	run_until(1);
}
END_TEST

/* One that left its session and ignores TERM, and what it started itself. */
START_TEST(what_a_dead_helper_leaves_is_swept)
{
	pid_t pid;
	_cleanup_close_ int fd = run(
	    "mkfifo $here/fifo\n"
	    "setsid sh -c 'trap \"\" TERM HUP; sh -c \"sleep 1000\" & sh -c \"sleep 1001; :\" & "
	    "echo $$ >'$here'/stray; echo >'$here'/fifo; while :; do sleep 1002; done' &\n"
	    "read -r x <$here/fifo; read -r go",
	    &pid);

	ck_assert_int_eq(write(fd, "go\n", 3), 3);
	run_until(1);
	ck_assert_int_eq(ends.pid, pid);
	ck_assert_int_eq(kill(read_pid("stray"), 0), -1);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no child at all is left */
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(a_killed_helper_is_swept_too)
{
	pid_t pid;
	int fd = run("setsid sleep 1000 & echo $! >$here/stray; echo ready >&0; wait", &pid);
	char byte;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	ck_assert_int_eq(poll(&poll_fd, 1, (int)(LIMIT_S * 1000)), 1);
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	ends.stray = read_pid("stray");
	ck_assert_int_eq(kill(ends.stray, 0), 0);
	kill(pid, SIGKILL);
	run_until(1);
	ck_assert(WIFSIGNALED(ends.status) && WTERMSIG(ends.status) == SIGKILL);
	close(fd);
}
END_TEST

START_TEST(a_living_helper_is_left_alone)
{
	pid_t lives, dies;
	int fd = run("setsid sleep 1000 & echo $! >$here/child; echo ready >&0; read -r x", &lives);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int other;

	ck_assert_int_eq(poll(&poll_fd, 1, (int)(LIMIT_S * 1000)), 1);
	other = run("setsid sleep 1000 & exit 0", &dies);
	run_until(1);
	ck_assert_int_eq(ends.pid, dies);
	ck_assert_int_eq(kill(lives, 0), 0);
	ck_assert_int_eq(kill(read_pid("child"), 0), 0);
	ends.stray = read_pid("child");
	close(fd);
	run_until(2);
	ck_assert_int_eq(ends.pid, lives);
	close(other);
}
END_TEST

/* A container's start script may leave a server beside bmd when it becomes bmd by exec. */
START_TEST(children_from_before_are_spared)
{
	pid_t before = fork(), pid;
	int fd;

	if (before == 0) {
		execlp("sleep", "sleep", "1000", NULL);
		_exit(127);
	}
	launch_free(launch);
	launch = launch_new(EV_DEFAULT, on_ended, &ends);
	fd = run("setsid sleep 1000 & exit 0", &pid);
	run_until(1);
	ck_assert_int_eq(kill(before, 0), 0);
	kill(before, SIGKILL);
	ck_assert_int_eq(waitpid(before, NULL, 0), before);
	close(fd);
}
END_TEST

/* And that server may replace itself: its child comes to bmd when it ends. */
START_TEST(what_strangers_leave_is_spared)
{
	int go[2], told[2], fd;
	pid_t before, left, pid;
	char byte;

	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(told), 0);
	before = fork();
	if (before == 0) {
		close(go[1]);
		ck_assert_int_eq(read(go[0], &byte, 1), 0);
		left = fork();
		if (left > 0 && write(told[1], &left, sizeof(left)) == sizeof(left))
			_exit(0);
		execlp("sleep", "sleep", "1000", NULL);
		_exit(127);
	}
	launch_free(launch);
	launch = launch_new(EV_DEFAULT, on_ended, &ends);
	close(go[1]);
	ck_assert_int_eq(read(told[0], &left, sizeof(left)), sizeof(left));
	while (kill(before, 0) == 0)
		ev_run(EV_DEFAULT, EVRUN_ONCE);
	fd = run("setsid sleep 1000 & exit 0", &pid);
	run_until(1);
	ck_assert_int_eq(kill(left, 0), 0);
	kill(left, SIGKILL);
	ck_assert_int_eq(waitpid(left, NULL, 0), left);
	close(fd);
}
END_TEST

// clang-format off
static const struct {
	int line;
	const char *text; /* of the program; NULL: there is none */
	mode_t mode;
	int number;
	const char *part;
} missing[] = {
	{__LINE__, NULL,               0,    -ENOENT,  "is missing: install bmd whole"},
	{__LINE__, "#!/bin/sh\n",      0644, -EACCES,  "Permission denied"},
	{__LINE__, "#!/no/such\n",     0755, -ENOENT,  "what interprets it, is missing"},
	{__LINE__, "no program",       0755, -ENOEXEC, "Exec format error"},
};
// clang-format on

START_TEST(a_helper_that_cannot_start_is_named)
{
	int client[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client), 0);
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		_cleanup_free_ char *path = xasprintf("%s/helper-%zu", folder, i);
		_cleanup_err_ struct err err = ERR_INIT;
		FILE *file = missing[i].text ? fopen(path, "we") : NULL;
		int fd = -1;
		pid_t pid = 0;

		if (file) {
			fputs(missing[i].text, file);
			fclose(file);
			chmod(path, missing[i].mode);
		}
		launch_set_programs(launch, path, path);
		ck_assert_msg(launch_run(launch, &conf, 42, &fd, &pid, &err) == missing[i].number,
			      "line %d: %s", missing[i].line, err.text);
		ck_assert_msg(strstr(err.text, path) && strstr(err.text, missing[i].part),
			      "line %d: %s", missing[i].line, err.text);
		ck_assert(fd == -1 && pid == 0);
		ck_assert_int_eq(launch_import(launch, &conf, "tar", client[0], &pid, NULL),
				 missing[i].number);
		/* the connection is as it was */
		ck_assert_int_ne(fcntl(client[0], F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_eq(launch_verify(launch, &conf, &fd, &pid, NULL), missing[i].number);
	}
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(ends.n, 0);
	close(client[0]);
	close(client[1]);
}
END_TEST

START_TEST(an_upload_gets_the_connection)
{
	_cleanup_free_ char *path = script("bmd-import", "echo \"$*\"; cat");
	_cleanup_free_ char *want = xasprintf("--state %s zip\nbytes", folder);
	_cleanup_err_ struct err err = ERR_INIT;
	int client[2];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, client),
			 0);
	launch_set_programs(launch, NULL, path);
	ck_assert_msg(launch_import(launch, &conf, "zip", client[0], &pid, &err) == 0, "%s",
		      err.text);
	close(client[0]);
	ck_assert_int_eq(write(client[1], "bytes", 5), 5);
	shutdown(client[1], SHUT_WR);
	ck_assert_str_eq(read_all(client[1]), want);
	run_until(1);
	ck_assert_int_eq(ends.pid, pid);
	close(client[1]);
}
END_TEST

START_TEST(configured_limits_are_passed_on)
{
	_cleanup_free_ char *path = script("bmd-import", "echo \"$*\"");
	_cleanup_free_ char *want =
	    xasprintf("--state %s tar --limit bytes=10737418240 --limit depth=12\n", folder);
	struct conf limited = conf;
	int client[2];
	pid_t pid;

	limited.upload_bytes = INT64_C(10) << 30;
	limited.upload_depth = 12;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, client),
			 0);
	launch_set_programs(launch, NULL, path);
	ck_assert_int_eq(launch_import(launch, &limited, "tar", client[0], &pid, NULL), 0);
	close(client[0]);
	ck_assert_str_eq(read_all(client[1]), want);
	run_until(1);
	close(client[1]);
}
END_TEST

START_TEST(verify_talks_over_its_channel)
{
	_cleanup_free_ char *path = script("bmd-import", "read -r digest; echo \"$digest $*\"");
	_cleanup_free_ char *want = xasprintf("abc --state %s --rate 1048576 --verify\n", folder);
	_cleanup_err_ struct err err = ERR_INIT;
	pid_t pid;
	int fd;

	launch_set_programs(launch, NULL, path);
	conf.verify_rate = 1 << 20;
	ck_assert_msg(launch_verify(launch, &conf, &fd, &pid, &err) == 0, "%s", err.text);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(write(fd, "abc\n", 4), 4);
	ck_assert_str_eq(read_all(fd), want);
	run_until(1);
	close(fd);
}
END_TEST

START_TEST(systemd_is_asked_over_its_socket)
{
	struct conf systemd = conf;
	_cleanup_err_ struct err err = ERR_INIT;
	int fd = -1;
	pid_t pid = 5;

	if (access("/run/bmd/run.socket", F_OK) == 0)
		return; /* a bmd that is installed here answers */
	systemd.launcher = CONF_LAUNCHER_SYSTEMD;
	ck_assert_int_eq(launch_run(launch, &systemd, 42, &fd, &pid, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, "/run/bmd/run.socket") != NULL, "%s", err.text);
	ck_assert(fd == -1 && pid == 5);
}
END_TEST

UNIT_MAIN_WITH("launch", 60, setup, teardown, the_end_is_told_with_its_status,
	       the_channel_is_standard_input, nothing_is_inherited,
	       standard_output_of_bmd_run_is_nowhere, what_a_dead_helper_leaves_is_swept,
	       a_killed_helper_is_swept_too, a_living_helper_is_left_alone,
	       children_from_before_are_spared, what_strangers_leave_is_spared,
	       a_helper_that_cannot_start_is_named, an_upload_gets_the_connection,
	       verify_talks_over_its_channel, configured_limits_are_passed_on,
	       systemd_is_asked_over_its_socket)
