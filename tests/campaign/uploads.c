/* SPDX-License-Identifier: ISC */
/*
 * Uploads as load: one after the other, each a build of its own release, by turns a folder and a
 * tar, in files that no upload before had. How bmctl ended goes into A. TERM: it ends after the one
 * that is under way.
 *
 *   uploads FOLDER SEED
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/campaign/ledger.h"

#define FILES 5

static volatile sig_atomic_t stopping;

static void
on_term(int signal)
{
	(void)signal;
	stopping = 1;
}

static int
run(const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_IGN);
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(99);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(99);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
write_files(int count, uint64_t *dice)
{
	char path[32];

	for (int i = 0; i < FILES; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "site/file%d", i);
		file = fopen(path, "we");
		if (!file)
			err(99, "cannot write %s", path);
		for (int k = below(dice, 4000); k >= 0; k--)
			fprintf(file, "%d of %d %d\n", i, count, k);
		fclose(file);
	}
}

static void
upload(int ledger, int count, uint64_t *dice)
{
	char release[32];
	bool archive = below(dice, 2);
	const char *const pack[] = {"tar", "-C", "site", "-cf", "site.tar", ".", NULL};
	const char *const add[] = {
	    "bmctl", "build", "add", "app", release, archive ? "site=site.tar" : "site=site", NULL};

	snprintf(release, sizeof(release), "u%d", count);
	write_files(count, dice);
	if (archive && run(pack) != 0)
		errx(99, "tar does not work");
	ledger_line(ledger, json_pack("{s:s, s:s, s:i}", "did", "upload", "release", release,
				      "code", run(add)));
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_term};
	uint64_t dice;
	int ledger;

	if (argc != 3)
		errx(99, "usage: uploads FOLDER SEED");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &action, NULL);
	dice = strtoull(argv[2], NULL, 10) * 1000003 + 77;
	ledger = ledger_open(argv[1], "A");
	if (chdir(argv[1]) < 0 || mkdir("site", 0755) < 0)
		err(99, "cannot make a folder in %s", argv[1]);
	for (int i = 1; !stopping; i++) {
		upload(ledger, i, &dice);
		usleep((useconds_t)below(&dice, 100000));
	}
	return 0;
}
