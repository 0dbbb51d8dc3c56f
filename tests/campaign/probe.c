/* SPDX-License-Identifier: ISC */
/*
 * The step of the campaigns: writes into the ledger R when it begins and how it ends, durably, and
 * in between behaves as the seed, the job and the step say: short or long, failing, deaf to TERM,
 * or leaving a deaf grandchild behind in a session of its own. All that while it (and the
 * grandchild) holds the lock of its stage; where that is not free, two runs are on the stage at
 * once, and R says so.
 *
 * FILE, where one is given, has to be what was placed: "build N"; else R says `wrong`.
 *
 *   probe FOLDER SEED [FILE]
 *   start|end|overlap|wrong JOB STAGE STEP PID BOOTTIME_US REALTIME_US CODE
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/campaign/ledger.h"

#define GRANDCHILD_S 5

static bool
is_placed(const char *path)
{
	char want[64], line[64] = "";
	FILE *file = fopen(path, "re");

	snprintf(want, sizeof(want), "build %s\n", getenv("BM_BUILD"));
	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	return strcmp(line, want) == 0;
}

static void
leave_something(void)
{
	if (fork() != 0)
		return;
	setsid();
	if (fork() != 0)
		_exit(0);
	signal(SIGTERM, SIG_IGN);
	sleep(GRANDCHILD_S);
	_exit(0);
}

int
main(int argc, char **argv)
{
	const char *job = getenv("BM_JOB"), *step = getenv("BM_STEP");
	int ledger, code, ms;
	uint64_t dice;

	if (argc < 3 || argc > 4 || !job || !getenv("BM_STAGE") || !step)
		errx(99, "usage, in a step: probe FOLDER SEED [FILE]");
	dice = strtoull(argv[2], NULL, 10) ^ (strtoull(job, NULL, 10) << 8) ^ (uint64_t)step[0];
	ledger = ledger_open(argv[1], "R");
	if (!hold_stage(argv[1]))
		note_run(ledger, "overlap", 0);
	note_run(ledger, "start", 0);
	if (argc == 4 && !is_placed(argv[3]))
		note_run(ledger, "wrong", 0);
	if (below(&dice, 16) == 0)
		signal(SIGTERM, SIG_IGN);
	if (below(&dice, 12) == 0)
		leave_something();
	ms = below(&dice, 8) == 0 ? 400 : 1 + below(&dice, 60);
	usleep((useconds_t)ms * 1000);
	code = below(&dice, 8) == 0 ? 1 + below(&dice, 100) : 0;
	note_run(ledger, "end", code);
	return code;
}
