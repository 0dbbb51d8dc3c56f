/* SPDX-License-Identifier: ISC */
/* What is left of a step is found and ended, however it tried to get away. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/tree.h"
#include "tests/unit/unit.h"

static struct ev_loop *loop;
static struct tree *tree;
static bool now;

static void
setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(tree_open(loop, "00112233445566778899aabbccddeeff", &tree, NULL), 0);
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

/* A shell that says "." when its script has come so far. */
static pid_t
start(const char *script)
{
	int ends[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 3);
		closefrom(4);
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
	start("setsid sh -c '(trap \"\" TERM HUP; echo . >&3; exec 3>&-; while :; do sleep 1000; done) & exit 0' & "
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
	start("trap '' TERM; f() { (sleep 0.01; f) & }; f; f; f; echo . >&3; exec 3>&-; while :; do sleep 1; done");
	tree_end(tree, 0.1, &now, stuck, NULL);
	teardown();
}
END_TEST

UNIT_MAIN("tree", empty_from_the_start, status_of_the_watched_one, term_is_enough, escapee_that_ignores_term,
    stopped_ones_die_too, one_that_forks_on)
