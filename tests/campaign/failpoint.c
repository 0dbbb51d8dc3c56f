/* SPDX-License-Identifier: ISC */
/*
 * The failpoint() of test programs. Beside the program lies NAME.fail, if anything is to happen:
 * "POINT [N [SIGNAL]]", the N-th time (1) that a process of it passes POINT ("*": any) it gets
 * SIGNAL (9). The file is removed by the one whom it hits, so that it hits once; POINT is added to
 * NAME.hit. A file and no environment variable, since it can be armed at any moment, and since bmd
 * hands no variables on to its helpers.
 */
#include "common/failpoint.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/campaign/fault.h"

static int passed;

/* Beside the program: PATH_MAX bytes. */
static void
beside(const char *suffix, char ret[PATH_MAX])
{
	char exe[PATH_MAX - 8];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	exe[n > 0 ? n : 0] = '\0';
	snprintf(ret, PATH_MAX, "%s%s", exe, suffix);
}

/* Whether POINT is armed, with what. */
static int
armed(const char *path, const char *name, int *ret_n, int *ret_signal)
{
	char text[256] = "", point[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	*ret_n = 1;
	*ret_signal = SIGKILL;
	if (n <= 0)
		passed = 0;
	return n > 0 && sscanf(text, "%63s %d %d", point, ret_n, ret_signal) >= 1 &&
	       (strcmp(point, name) == 0 || strcmp(point, "*") == 0);
}

void
failpoint(const char *name)
{
	char path[PATH_MAX], hit[PATH_MAX];
	int n, number, fd;

	fault_passed(name);
	beside(".fail", path);
	if (!armed(path, name, &n, &number) || ++passed < n)
		return;
	beside(".hit", hit);
	fd = open(hit, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (unlink(path) < 0)
		return; /* another process was faster */
	dprintf(fd, "%s %d %lld\n", name, (int)getpid(), fault_job());
	close(fd);
	kill(getpid(), number);
}
