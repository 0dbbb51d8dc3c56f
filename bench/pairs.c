/* SPDX-License-Identifier: ISC */
/*
 * Times whole processes in pairs: pairs N 'COMMAND A' 'COMMAND B' runs them in turn, N times each
 * after one warm-up, with their output thrown away, and prints both medians and the median of the
 * differences A − B in milliseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/scope.h"

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double
run_ms(char *command)
{
	char sh[] = "/bin/sh", c[] = "-c";
	char *const argv[] = {sh, c, command, NULL};
	posix_spawn_file_actions_t actions;
	double start;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	start = now_ms();
	if (posix_spawn(&pid, sh, &actions, NULL, argv, environ) != 0) {
		perror("spawn");
		exit(1);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	posix_spawn_file_actions_destroy(&actions);
	if (status != 0) {
		fprintf(stderr, "pairs: status %d: %s\n", status, command);
		exit(1);
	}
	return now_ms() - start;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

int
main(int argc, char **argv)
{
	size_t n = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	_cleanup_free_ double *a = calloc(n + 1, sizeof(*a)), *b = calloc(n + 1, sizeof(*b));
	_cleanup_free_ double *difference = calloc(n + 1, sizeof(*difference));

	if (n < 1 || n > 100000 || !a || !b || !difference) {
		fprintf(stderr, "usage: pairs N 'COMMAND A' 'COMMAND B'\n");
		return 2;
	}
	run_ms(argv[2]);
	run_ms(argv[3]);
	for (size_t i = 0; i < n; i++) {
		a[i] = run_ms(argv[2]);
		b[i] = run_ms(argv[3]);
		difference[i] = a[i] - b[i];
	}
	printf("%.2f %.2f %.2f\n", median(a, n), median(b, n), median(difference, n));
	return 0;
}
