/* SPDX-License-Identifier: ISC */
/*
 * watchdog.h over a real database, whose disk this file is: the calls by which SQLite writes and
 * syncs stand here before those of libc at the link, and can be told to fail or to hang.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/notify.h"
#include "common/xalloc.h"
#include "daemon/turn.h"
#include "daemon/watchdog.h"
#include "tests/unit/unit.h"

#define BEATS_USEC  "40000" /* what the manager allows: a beat each 20 ms */
#define PATIENCE_MS 30000

static char folder[64];
static struct err err;
static int manager; /* the service manager's end */

/* ---- the disk */

static bool full;
static int hung[2] = {-1, -1}, released[2] = {-1, -1}; /* pipes; -1: the disk does not hang */

ssize_t
pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
	if (full) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, n, at);
}

int
fdatasync(int fd)
{
	char byte = 0;

	if (hung[1] >= 0) {
		ck_assert_int_eq(write(hung[1], &byte, 1), 1);
		ck_assert_int_eq(read(released[0], &byte, 1), 1);
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- bmd and its manager */

static void
begin(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	strcpy(folder, "/tmp/bmd-watchdog-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", folder);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&name, sizeof(name)), 0);
	setenv("NOTIFY_SOCKET", name.sun_path, 1);
	setenv("WATCHDOG_USEC", BEATS_USEC, 1);
	unsetenv("WATCHDOG_PID");
}

static void
end(void)
{
	close(manager);
	unit_remove(folder);
	err_clear(&err);
}

static struct store *
open_store(void)
{
	struct store *store = NULL;

	ck_assert_msg(store_open(folder, &store, &err) == 0, "%s", err.text);
	return store;
}

static bool
told(void)
{
	char text[64];
	ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0)
		return false;
	text[n] = '\0';
	ck_assert_str_eq(text, "WATCHDOG=1");
	return true;
}

static void
await(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	ck_assert_int_eq(poll(&one, 1, PATIENCE_MS), 1);
}

/* Turns the loop over STORE until the manager was told once. */
static void
one_beat(struct store *store)
{
	struct ev_loop *loop = EV_DEFAULT;
	struct turn *turn = turn_new(loop, store);
	struct watchdog *watchdog = watchdog_new(loop, turn);

	ck_assert_ptr_nonnull(watchdog);
	ev_ref(loop); /* as all else that bmd watches */
	while (!told())
		ev_run(loop, EVRUN_ONCE);
	ev_unref(loop);
	watchdog_free(watchdog);
	turn_end(turn);
	turn_free(turn);
}

START_TEST(a_beat_is_written_before_it_is_told)
{
	struct store *store;

	begin();
	store = open_store();
	ck_assert_int_eq(store_last_alive(store), 0);
	one_beat(store);
	store_close(store);
	store = open_store();
	ck_assert_int_gt(store_last_alive(store), 0);
	store_close(store);
	end();
}
END_TEST

START_TEST(a_disk_that_hangs_is_not_told_away)
{
	pid_t child;
	int status;
	char byte = 0;

	begin();
	ck_assert_int_eq(pipe(hung), 0);
	ck_assert_int_eq(pipe(released), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int mark = TAKE_FD(hung[1]);
		struct store *store = open_store(); /* on a disk that is well */

		hung[1] = mark;
		one_beat(store);
		_exit(0);
	}
	close(TAKE_FD(hung[1]));
	await(hung[0]);
	ck_assert(!told());
	ck_assert_int_eq(write(released[1], &byte, 1), 1);
	/* Another sync of the same commit, or the end. */
	while (read(hung[0], &byte, 1) == 1)
		ck_assert_int_eq(write(released[1], &byte, 1), 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	end();
}
END_TEST

START_TEST(a_full_disk_is_no_reason)
{
	struct store *store;

	begin();
	store = open_store();
	full = true;
	one_beat(store);
	full = false;
	store_close(store);
	store = open_store();
	ck_assert_int_eq(store_last_alive(store), 0); /* it was told, and nothing was written */
	store_close(store);
	end();
}
END_TEST

START_TEST(nobody_watches)
{
	struct ev_loop *loop = EV_DEFAULT;

	unsetenv("WATCHDOG_USEC");
	ck_assert_ptr_null(watchdog_new(loop, NULL));
	watchdog_free(NULL);
}
END_TEST

UNIT_MAIN("watchdog", a_beat_is_written_before_it_is_told, a_disk_that_hangs_is_not_told_away,
	  a_full_disk_is_no_reason, nobody_watches)
