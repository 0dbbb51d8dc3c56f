/* SPDX-License-Identifier: ISC */
/*
 * libev gives up a descriptor that it cannot watch: its watchers are stopped, and when it is the
 * one by which signals come, no child's end is ever seen again. A process that hangs so is worse
 * than one that ends: bmd recovers by reading, and of a bmd-run its end is seen. So this
 * epoll_ctl() stands before the C library's. It asks a few times again, and then ends the process.
 */
#include "common/loop.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"

#define TRIES	     7 /* within 0.3 s */
#define FIRST_NAP_NS 5000000L

static const char *program_name = "bmd";

static void
broken(const char *what)
{
	fprintf(stderr, "%s: %s: %s; ending\n", program_name, what, strerror(errno));
	_exit(EX_OSERR);
}

int
epoll_ctl(int fd, int operation, int of, struct epoll_event *event)
{
	struct timespec nap = {.tv_nsec = FIRST_NAP_NS};
	int r = -1;

	for (int i = 0; i < TRIES; i++, nap.tv_nsec *= 2) {
		r = (int)syscall(SYS_epoll_ctl, fd, operation, of, event);
		if (r == 0 || (errno != ENOMEM && errno != ENOSPC))
			return r;
		if (i < TRIES - 1)
			(void)nanosleep(&nap, NULL);
	}
	broken("the kernel cannot watch one more descriptor");
	return r;
}

void
loop_init(const char *program)
{
	program_name = program;
	json_memory();
	ev_set_allocator(xalloc_loop);
	ev_set_syserr_cb(broken);
}
