/* SPDX-License-Identifier: ISC */
/* The checklist between fork and exec, as the child itself sees it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "runner/child.h"
#include "tests/unit/unit.h"

#define LIST(...) list((const char *const[]){__VA_ARGS__, NULL})

/* Copies, for exec takes no constants; they stay reachable, and the process of a test is short. */
static char **
list(const char *const *words)
{
	static char *copies[512];
	static size_t used;
	char **copy = copies + used;

	for (size_t i = 0; words[i]; i++) {
		ck_assert_uint_lt(used, ARRAY_SIZE(copies) - 1);
		copies[used++] = xstrdup(words[i]);
	}
	copies[used++] = NULL;
	return copy;
}

struct seen {
	char out[8192], err[1024], report[4096];
	int status;
};

static void
slurp(int fd, char *to, size_t size)
{
	size_t n = 0;
	ssize_t got;

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};

		ck_assert_int_eq(poll(&wait, 1, 10000), 1);
		got = read(fd, to + n, size - n - 1);
		if (got <= 0)
			break;
		n += got;
	}
	to[n] = '\0';
	close(fd);
}

static void
run_child(struct child *child, const char *user_name, struct seen *seen)
{
	struct child_user user;
	struct child_started started;
	_cleanup_err_ struct err err = ERR_INIT;

	ck_assert_msg(child_user_find(user_name, &user, &err) == 0, "%s", err.text);
	child->user = &user;
	child->cgroup_fd = -1;
	if (!child->directory)
		child->directory = "/";
	ck_assert_int_eq(child_start(child, &started, NULL), 0);
	slurp(started.out, seen->out, sizeof(seen->out));
	slurp(started.err, seen->err, sizeof(seen->err));
	slurp(started.report, seen->report, sizeof(seen->report));
	ck_assert_int_eq(waitpid(started.pid, &seen->status, 0), started.pid);
	child_user_clear(&user);
}

static void
run_shell(const char *script, const char *user, struct seen *seen)
{
	struct child child = {.argv = LIST("sh", "-c", script),
	    .envp = LIST("PATH=/usr/bin:/bin", "A=b c"),
	    .keep_fd = -1};

	run_child(&child, user, seen);
}

START_TEST(nothing_is_inherited)
{
	struct child env = {.argv = LIST("env"),
	    .envp = LIST("PATH=/usr/bin:/bin", "A=b c"),
	    .keep_fd = -1};
	struct seen seen;
	sigset_t all;

	setenv("SECRET", "x", 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	dup2(0, 77); /* not CLOEXEC */
	umask(0);
	run_child(&env, "", &seen); /* a shell would add PWD */
	ck_assert_str_eq(seen.out, "PATH=/usr/bin:/bin\nA=b c\n");
	run_shell("ls /proc/self/fd | tr '\\n' ' '; umask; readlink /proc/self/fd/0", "", &seen);
	/* 3 is the folder that ls reads */
	ck_assert_str_eq(seen.out, "0 1 2 3 0022\n/dev/null\n");
	run_shell("exec grep -E '^Sig(Blk|Ign)' /proc/self/status", "", &seen);
	ck_assert_str_eq(seen.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	run_shell("read -r pid name state ppid group session rest < /proc/self/stat; "
		  "[ $$ = $session ] && [ $$ = $group ] && pwd", "", &seen);
	ck_assert_str_eq(seen.out, "/\n");
	ck_assert_str_eq(seen.report, "");
}
END_TEST

/* What the unit of bmd-run sets for it is not for its steps, which go first; a score that is worse stays. */
START_TEST(no_step_is_spared_when_memory_is_short)
{
	static const struct {
		const char *ours, *steps;
	} scores[] = {{"-500", "100\n"}, {"0", "100\n"}, {"300", "300\n"}};
	struct seen seen;

	for (size_t i = 0; i < ARRAY_SIZE(scores); i++) {
		int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
		ssize_t n = write(fd, scores[i].ours, strlen(scores[i].ours));

		close(fd);
		if (n < 0) /* without CAP_SYS_RESOURCE: make check-machine has it */
			continue;
		run_shell("exec cat /proc/self/oom_score_adj", "", &seen);
		ck_assert_str_eq(seen.out, scores[i].steps);
	}
}
END_TEST

START_TEST(exec_failure_is_not_127)
{
	static const struct {
		int line;
		const char *program, *report;
		int code; /* of a program that did run */
	} rows[] = {
	    {__LINE__, "./migrate", "could not execute: ./migrate: No such file or directory", 0},
	    {__LINE__, "no-such-program", "could not execute: no-such-program: No such file or directory", 0},
	    {__LINE__, "/", "could not execute: /: Permission denied", 0},
	    {__LINE__, "", "could not execute: : No such file or directory", 0},
	    {__LINE__, "false", "", 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct child child = {.argv = LIST(rows[i].program),
		    .envp = LIST("PATH=:/nonexistent:/usr/bin:/bin"),
		    .keep_fd = -1};
		struct seen seen;

		run_child(&child, "", &seen);
		ck_assert_msg(*rows[i].report ? strstr(seen.report, rows[i].report) != NULL : !*seen.report,
		    "line %d: %s", rows[i].line, seen.report);
		if (!*rows[i].report)
			ck_assert_int_eq(WEXITSTATUS(seen.status), rows[i].code);
	}
}
END_TEST

START_TEST(real_127)
{
	struct seen seen;

	run_shell("exit 127", "", &seen);
	ck_assert_str_eq(seen.report, "");
	ck_assert_int_eq(WEXITSTATUS(seen.status), 127);
}
END_TEST

START_TEST(directory_as_the_user)
{
	struct child child = {.argv = LIST("pwd"),
	    .envp = LIST("PATH=/usr/bin:/bin"),
	    .keep_fd = -1,
	    .directory = "/nonexistent"};
	struct seen seen;

	run_child(&child, "", &seen);
	ck_assert_ptr_nonnull(strstr(seen.report, "could not enter the directory /nonexistent"));
	child.directory = "/usr";
	run_child(&child, "", &seen);
	ck_assert_str_eq(seen.out, "/usr\n");
	if (geteuid() != 0)
		return;
	child.directory = "/root";
	run_child(&child, "nobody", &seen);
	ck_assert_ptr_nonnull(strstr(seen.report, "as nobody: Permission denied"));
}
END_TEST

START_TEST(privileges_are_gone)
{
	struct seen seen;
	struct passwd *nobody = getpwnam("nobody");
	_cleanup_free_ char *want = NULL;

	if (geteuid() != 0 || !nobody)
		return;
	ck_assert_int_eq(setgroups(2, (gid_t[]){0, 4}), 0);
	want = xasprintf("Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", nobody->pw_uid, nobody->pw_uid, nobody->pw_uid,
	    nobody->pw_uid, nobody->pw_gid, nobody->pw_gid, nobody->pw_gid, nobody->pw_gid);
	run_shell("grep -E '^[UG]id' /proc/self/status; id -G; grep -E '^Cap(Eff|Prm)' /proc/self/status; "
		  "cat /etc/shadow", "nobody", &seen);
	ck_assert_msg(strncmp(seen.out, want, strlen(want)) == 0, "%s", seen.out);
	ck_assert_ptr_nonnull(strstr(seen.out, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"));
	ck_assert_ptr_nonnull(strstr(seen.err, "Permission denied"));
	free(want);
	want = xasprintf("\n%u\n", nobody->pw_gid);
	ck_assert_msg(strstr(seen.out, want) != NULL, "groups: %s", seen.out);
}
END_TEST

START_TEST(users_refused)
{
	struct child_user user;
	_cleanup_err_ struct err err = ERR_INIT;

	ck_assert_int_lt(child_user_find("0", &user, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "number"));
	ck_assert_int_lt(child_user_find("no-such-user", &user, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "no user \"no-such-user\""));
}
END_TEST

static int
body(void *arg, int report_fd)
{
	(void)arg;
	dprintf(STDOUT_FILENO, "uid %d\n", (int)getuid());
	dprintf(report_fd, "{\"descriptors\": \"");
	for (int fd = 3; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			dprintf(report_fd, "%s", fd == report_fd ? "R" : "K");
	dprintf(report_fd, "\"}");
	return 4;
}

static int
prepare(void *arg, struct err *err)
{
	const bool *fine = arg;

	return *fine ? 0 : err_set(err, ERR_FAILED, "not prepared");
}

START_TEST(a_function_instead)
{
	bool fine = true;
	struct child child = {.body = body, .prepare = prepare, .arg = &fine};
	struct seen seen;
	_cleanup_free_ char *want = NULL;
	struct passwd *nobody = getpwnam("nobody");
	bool root = geteuid() == 0 && nobody;

	want = xasprintf("uid %d\n", (int)(root ? nobody->pw_uid : geteuid()));
	child.keep_fd = open("/", O_RDONLY | O_CLOEXEC);
	run_child(&child, root ? "nobody" : "", &seen);
	ck_assert_str_eq(seen.out, want);
	ck_assert_msg(strcmp(seen.report, "{\"descriptors\": \"KR\"}") == 0, "%s", seen.report);
	ck_assert_int_eq(WEXITSTATUS(seen.status), 4);
	fine = false;
	run_child(&child, "", &seen);
	ck_assert_str_eq(seen.out, "");
	ck_assert_str_eq(seen.report, "{\"error\":\"not prepared\"}");
}
END_TEST

UNIT_MAIN("child", nothing_is_inherited, no_step_is_spared_when_memory_is_short, exec_failure_is_not_127, real_127, directory_as_the_user,
    privileges_are_gone, users_refused, a_function_instead)
