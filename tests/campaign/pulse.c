/* SPDX-License-Identifier: ISC */
/*
 *	pulse SOCKET PID
 *
 * Asks bmd for its status a hundred times a second, as a polite client, each time on a connection
 *of its own, until TERM; then says on one line how long the answers took, and what became of the
 *memory and the descriptors of the process PID meanwhile:
 *
 *	ASKED FAILED P50 P99 MAX CONTROL GROWN PEAK FDS		(µs, µs, µs, µs, KiB, KiB, count)
 *
 * CONTROL is the p99 of the same clock between this process and a child of its own that answers
 *after WORK_US of computing, as much as bmd may do for others first: how late anybody is answered
 *on this machine just now. A machine that is slower than the bound says nothing of bmd.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/campaign/ledger.h"

#define EVERY_US 10000
#define CONTROLS 20 /* every so many */
#define WORK_US	 5000
#define REPLY_MS 20000

struct times {
	int64_t *v;
	size_t n, room;
};

static volatile sig_atomic_t stopping;

static void
on_term(int signal)
{
	(void)signal;
	stopping = 1;
}

static void
times_add(struct times *times, int64_t us)
{
	if (times->n == times->room) {
		times->room = times->room ? times->room * 2 : 1024;
		times->v = realloc(times->v, times->room * sizeof(*times->v));
		if (!times->v)
			err(99, "no memory");
	}
	times->v[times->n++] = us;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
times_sort(struct times *times)
{
	if (times->n > 0)
		qsort(times->v, times->n, sizeof(*times->v), compare);
}

/* Of the sorted ones the one below which PERCENT of them lie. */
static long long
times_at(const struct times *times, size_t percent)
{
	size_t i = times->n * percent / 100;

	return times->n ? (long long)times->v[i < times->n ? i : times->n - 1] : -1;
}

static long
memory_kib(const char *pid, const char *key)
{
	char path[64], line[256];
	long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

static int
descriptors(const char *pid)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* From here on the kernel notes the peak anew. */
static void
forget_peak(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/clear_refs", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "5", 1) != 1)
		warn("%s", path);
	if (fd >= 0)
		close(fd);
}

static int
echo_start(void)
{
	int ends[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		err(99, "socketpair");
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		while (read(ends[1], &byte, 1) == 1) {
			int64_t until_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) + WORK_US;

			while (clock_us(CLOCK_PROCESS_CPUTIME_ID) < until_us)
				continue;
			if (write(ends[1], &byte, 1) != 1)
				break;
		}
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

static void
once(const char *socket, int echo, json_t *nothing, struct times *asked, struct times *control,
     size_t *failed)
{
	int64_t begin = clock_us(CLOCK_MONOTONIC);
	char byte = 0;
	json_t *reply;

	if (asked->n % CONTROLS == 0 && write(echo, &byte, 1) == 1 && read(echo, &byte, 1) == 1)
		times_add(control, clock_us(CLOCK_MONOTONIC) - begin);
	begin = clock_us(CLOCK_MONOTONIC);
	reply = ask(socket, "GetStatus", nothing, REPLY_MS);
	times_add(asked, clock_us(CLOCK_MONOTONIC) - begin);
	if ((!reply || error_name(reply)) && !stopping)
		++*failed;
	json_decref(reply);
}

int
main(int argc, char **argv)
{
	struct times asked = {0}, control = {0};
	struct sigaction action = {.sa_handler = on_term};
	json_t *nothing = json_object();
	size_t failed = 0;
	long before;
	int fds, echo;

	if (argc != 3)
		errx(99, "usage: pulse SOCKET PID");
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	echo = echo_start();
	once(argv[1], echo, nothing, &asked, &control, &failed);
	asked.n = control.n = failed = 0;
	forget_peak(argv[2]);
	before = memory_kib(argv[2], "VmRSS:");
	fds = descriptors(argv[2]);
	while (!stopping && kill((pid_t)atol(argv[2]), 0) == 0) {
		once(argv[1], echo, nothing, &asked, &control, &failed);
		usleep(EVERY_US);
	}
	times_sort(&asked);
	times_sort(&control);
	printf("%zu %zu %lld %lld %lld %lld %ld %ld %d\n", asked.n, failed, times_at(&asked, 50),
	       times_at(&asked, 99), times_at(&asked, 100), times_at(&control, 99),
	       memory_kib(argv[2], "VmRSS:") - before, memory_kib(argv[2], "VmHWM:") - before,
	       descriptors(argv[2]) - fds);
	free(asked.v);
	free(control.v);
	json_decref(nothing);
	return 0;
}
