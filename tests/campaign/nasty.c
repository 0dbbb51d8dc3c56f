/* SPDX-License-Identifier: ISC */
/*
 *	nasty KIND FOLDER [PATH]
 *
 * A step that does what no step should, in one of the ways of kinds[]. All that while it, and what
 *it leaves, holds the lock of its stage in FOLDER, where an overlap is noted (as probe does).
 *Nothing that it makes outlives two minutes, whatever becomes of the programs under test; a bomb
 *stays within its user's RLIMIT_NPROC.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/campaign/ledger.h"

#define LIFE_S	 120
#define BOMB_MAX 200
#define PIECE	 (1024 * 1024)

static const char *path_argument;

static void
deaf(void)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_IGN);
}

static void __attribute__((noreturn)) live(void)
{
	alarm(LIFE_S);
	for (;;)
		pause();
}

/* Twice forked, in a session of its own; true in the one that is left. */
static bool
left_behind(void)
{
	if (fork() != 0) {
		usleep(50000);
		return false;
	}
	setsid();
	if (fork() != 0)
		_exit(0);
	return true;
}

static void
run_escape(void)
{
	if (left_behind()) {
		deaf();
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		live();
	}
}

static void
run_holder(void)
{
	if (left_behind())
		live();
}

static void
run_deaf(void)
{
	deaf();
	live();
}

static void
run_stopped(void)
{
	alarm(LIFE_S);
	for (;;)
		raise(SIGSTOP);
}

static void
run_stopped_left(void)
{
	if (left_behind()) {
		deaf();
		run_stopped();
	}
}

static rlim_t
processes_of(uid_t uid)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct stat st;
	rlim_t n = 0;

	while (dir && (entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_uid == uid)
			n++;
	if (dir)
		closedir(dir);
	return n;
}

static void
run_bomb(void)
{
	rlim_t n = processes_of(getuid()) + BOMB_MAX;

	if (getuid() == 0)
		errx(99, "root has no limit of processes: not here");
	if (setrlimit(RLIMIT_NPROC, &(struct rlimit){n, n}) < 0)
		err(99, "cannot limit the processes");
	deaf();
	for (;;) {
		alarm(LIFE_S);
		(void)fork();
	}
}

static void
put(const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, bytes, n);

		if (done < 0)
			err(98, "cannot write");
		bytes += done;
		n -= (size_t)done;
	}
}

static void
run_flood(void)
{
	static char piece[PIECE];

	memset(piece, 'y', sizeof(piece));
	for (size_t i = 1; i < sizeof(piece); i += 2)
		piece[i] = '\n';
	alarm(LIFE_S);
	for (;;)
		put(piece, sizeof(piece));
}

/* A line of 1 GiB. */
static void
run_line(void)
{
	static char piece[PIECE];

	memset(piece, 'x', sizeof(piece));
	for (int i = 0; i < 1024; i++)
		put(piece, sizeof(piece));
	put("\nlast\n", 6);
}

static void
run_binary(void)
{
	uint64_t dice = (uint64_t)getpid();
	unsigned char piece[4096];

	for (int i = 0; i < 256; i++)
		piece[i] = (unsigned char)i;
	put((char *)piece, 256);
	for (int i = 0; i < 64; i++) {
		for (size_t j = 0; j < sizeof(piece); j++)
			piece[j] = (unsigned char)chance(&dice);
		put((char *)piece, sizeof(piece));
	}
	put("\nlast\n", 6);
}

/* Until there is no room, also for a single byte; kept full for a moment. */
static void
run_fill(void)
{
	static char piece[PIECE];
	int fd = open(path_argument, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		err(99, "%s", path_argument);
	for (size_t n = sizeof(piece); n > 0;)
		if (write(fd, piece, n) < 0)
			n /= 2;
	sleep(1);
	errno = ENOSPC;
	err(3, "%s", path_argument);
}

/* Memory that is used, until the kernel ends it. */
static void
run_memory(void)
{
	for (;;) {
		char *piece =
		    mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (piece == MAP_FAILED)
			err(97, "no memory");
		memset(piece, 1, PIECE);
	}
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} kinds[] = {
	    {"binary", run_binary},
	    {"bomb", run_bomb},
	    {"deaf", run_deaf},
	    {"escape", run_escape},
	    {"fill", run_fill},
	    {"flood", run_flood},
	    {"holder", run_holder},
	    {"line", run_line},
	    {"memory", run_memory},
	    {"stopped", run_stopped},
	    {"stopped-left", run_stopped_left},
	};

	if (argc < 3 || !getenv("BM_STAGE"))
		errx(99, "usage, in a step: nasty KIND FOLDER [PATH]");
	path_argument = argc > 3 ? argv[3] : "/nonexistent";
	if (!hold_stage(argv[2]))
		note_run(ledger_open(argv[2], "R"), "overlap", 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(argv[1], kinds[i].name) == 0) {
			kinds[i].run();
			return 0;
		}
	errx(99, "no kind %s", argv[1]);
}
