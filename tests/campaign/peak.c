/* SPDX-License-Identifier: ISC */
/*
 *	peak PID COMMAND…
 *
 * Runs COMMAND and meanwhile looks at it, at the process PID and at all below that, again and
 *again: the largest resident memory that the kernel has seen of each program (VmHWM), in KiB, a
 *line each, when the command has ended. A process that another of the same program has forked is
 *"PROGRAM's child". Exits as the command does.
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EVERY_NS 2000000
#define KINDS	 32

struct kind {
	char name[64];
	long kib;
};

static struct kind kinds[KINDS];

static void
note(const char *name, long kib)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].name[0] == '\0')
			snprintf(kinds[i].name, sizeof(kinds[i].name), "%s", name);
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		if (kinds[i].kib < kib)
			kinds[i].kib = kib;
		return;
	}
	errx(99, "more than %d programs", KINDS);
}

/* Name and largest memory of PID: false when it is gone, or is not yet a program of its own. */
static bool
look(long pid, char name[32], long *ret_kib)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	*ret_kib = -1;
	while (fgets(line, sizeof(line), file) != NULL) {
		sscanf(line, "Name: %31s", name);
		sscanf(line, "VmHWM: %ld", ret_kib);
	}
	fclose(file);
	return *ret_kib >= 0;
}

static void
look_below(long pid, const char *parent, int depth)
{
	char path[64], name[32] = "", shown[64];
	long kib, child;
	FILE *file;

	if (depth > 8 || !look(pid, name, &kib))
		return;
	snprintf(shown, sizeof(shown), "%s%s", name, strcmp(name, parent) == 0 ? "'s child" : "");
	note(shown, kib);
	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", pid, pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	while (fscanf(file, "%ld", &child) == 1)
		look_below(child, name, depth + 1);
	fclose(file);
}

int
main(int argc, char **argv)
{
	const struct timespec every = {.tv_nsec = EVERY_NS};
	siginfo_t ended = {0};
	int status;
	pid_t client;

	if (argc < 3)
		errx(99, "usage: peak PID COMMAND...");
	client = fork();
	if (client == 0) {
		execvp(argv[2], argv + 2);
		err(99, "%s", argv[2]);
	}
	/* It is looked at once more when it has ended and is not yet waited for. */
	while (ended.si_pid == 0) {
		if (waitid(P_PID, (id_t)client, &ended, WEXITED | WNOHANG | WNOWAIT) < 0)
			err(99, "waitid");
		look_below(client, "", 0);
		look_below(atol(argv[1]), "", 0);
		if (ended.si_pid == 0)
			nanosleep(&every, NULL);
	}
	if (waitpid(client, &status, 0) < 0)
		err(99, "waitpid");
	for (size_t i = 0; i < KINDS && kinds[i].name[0] != '\0'; i++)
		if (strcmp(kinds[i].name, "peak") != 0)
			printf("%s\t%ld\n", kinds[i].name, kinds[i].kib);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
