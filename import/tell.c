/* SPDX-License-Identifier: ISC */
/* The channel of a helper, as a stream that is flushed after each object. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/scope.h"
#include "common/varlink.h"
#include "import/tell.h"

#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: class idle */

int
tell_open(struct tell *tell, int fd, struct err *err)
{
	*tell = (struct tell){.out = fdopen(dup(fd), "w")};
	return tell->out != NULL ? 0 : err_errno(err, errno, "the answer cannot be written");
}

void
tell_close(struct tell *tell)
{
	cleanup_fclose(&tell->out);
	tell->out = NULL;
}

int
tell_object(struct tell *tell, json_t *object)
{
	_cleanup_free_ char *frame = NULL;
	size_t n;
	int r = varlink_pack(object, &frame, &n);

	json_decref(object);
	if (r < 0)
		return r;
	return fwrite(frame, 1, n, tell->out) == n && fflush(tell->out) == 0 ? 0 : -EPIPE;
}

int64_t
tell_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

bool
tell_due(struct tell *tell)
{
	int64_t ms = tell_clock_ms();

	if (ms - tell->told_ms < TELL_MS)
		return false;
	tell->told_ms = ms;
	return true;
}

void
tell_background(void)
{
	setpriority(PRIO_PROCESS, 0, 10);
	syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
}
