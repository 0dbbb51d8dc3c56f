/* SPDX-License-Identifier: ISC */
/* What is left of a step is found and ended, however it tried to get away. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "runner/tree.h"
#include "tests/unit/unit.h"

static struct ev_loop *loop;
static struct tree *tree;
static bool now;

static void
setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(tree_open(loop, "00112233445566778899aabbccddeeff", NULL, &tree, NULL), 0);
	now = false;
}

static void
teardown(void)
{
	ck_assert(tree_empty(tree));
	tree_close(tree);
	ev_loop_destroy(loop);
}

static void
stuck(const char *names, void *arg)
{
	(void)arg;
	ck_abort_msg("stuck: %s", names);
}

static int passed = -1; /* descriptor 4 of the script; −1: none */

/* A shell that says "." on its descriptor 3 when its script has come so far. */
static pid_t
start(const char *script)
{
	int ends[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		int said = fcntl(ends[1], F_DUPFD, 10), four = fcntl(passed, F_DUPFD, 10);

		dup2(said, 3);
		dup2(four, 4);
		closefrom(5);
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	tree_watch(tree, pid);
	return pid;
}

static void
wait_for_end(int *ret_status)
{
	while (!tree_ended(tree, ret_status))
		ev_run(loop, EVRUN_ONCE);
}

START_TEST(empty_from_the_start)
{
	setup();
	tree_end(tree, 10, &now, stuck, NULL);
	teardown();
}
END_TEST

START_TEST(status_of_the_watched_one)
{
	int status = -1;

	setup();
	start("(exit 4) & echo . >&3; exit 3");
	wait_for_end(&status);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 3);
	while (!tree_empty(tree))
		ev_run(loop, EVRUN_ONCE);
	teardown();
}
END_TEST

START_TEST(term_is_enough)
{
	int status;

	setup();
	start("sleep 1000 3>&- & echo . >&3; wait");
	tree_end(tree, 30, &now, stuck, NULL);
	ck_assert(tree_ended(tree, &status));
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	teardown();
}
END_TEST

START_TEST(escapee_that_ignores_term)
{
	char names[256];
	int status;

	setup();
	start("setsid sh -c '(trap \"\" TERM HUP; echo . >&3; exec 3>&-; while :; do sleep 1000; "
	      "done) & exit 0' & "
	      "wait; exit 0");
	wait_for_end(&status);
	ck_assert(!tree_empty(tree));
	tree_names(names, sizeof(names));
	ck_assert_ptr_nonnull(strstr(names, "sh"));
	tree_end(tree, 0.2, &now, stuck, NULL);
	teardown();
}
END_TEST

START_TEST(stopped_ones_die_too)
{
	int status;

	setup();
	start("echo . >&3; kill -STOP $$; exit 0");
	now = true;
	tree_end(tree, 30, &now, stuck, NULL);
	ck_assert(tree_ended(tree, &status));
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	teardown();
}
END_TEST

START_TEST(one_that_forks_on)
{
	setup();
	start("trap '' TERM; f() { (sleep 0.01; f) & }; f; f; f; echo . >&3; exec 3>&-; while :; "
	      "do sleep 1; done");
	tree_end(tree, 0.1, &now, stuck, NULL);
	teardown();
}
END_TEST

static bool
write_to(const char *folder, const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Only where a cgroup can be made: as root, with cgroup v2. */
START_TEST(cgroup_where_one_is_delegated)
{
	static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	_cleanup_free_ char *own = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(mounts) && !own; i++) {
		own = xasprintf("%s/bmd-test-%d", mounts[i], getpid());
		if (mkdir(own, 0755) < 0 || setxattr(own, "user.delegate", "1", 1, 0) < 0 ||
		    !write_to(own, "cgroup.procs", "0")) {
			rmdir(own);
			free(own);
			own = NULL;
		}
	}
	if (!own)
		return;
	setup();
	ck_assert_msg(strncmp(tree_cgroup(tree), own, strlen(own)) == 0, "%s", tree_cgroup(tree));
	ck_assert_int_ge(tree_cgroup_fd(tree), 0);
	passed = tree_cgroup_fd(tree);
	start("echo 0 >&4; trap '' TERM; sleep 1000 3>&- & echo . >&3; exec 3>&-; while :; do "
	      "sleep 1000; done");
	now = true;
	tree_end(tree, 10, &now, stuck, NULL);
	passed = -1;
	teardown();
	ck_assert(write_to(own, "../cgroup.procs", "0"));
	ck_assert_msg(rmdir(own) == 0, "the cgroup of the steps is still there");
}
END_TEST

UNIT_MAIN("tree", empty_from_the_start, status_of_the_watched_one, term_is_enough,
	  escapee_that_ignores_term, stopped_ones_die_too, one_that_forks_on,
	  cgroup_where_one_is_delegated)
