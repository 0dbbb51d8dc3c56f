/* SPDX-License-Identifier: ISC */
/*
 * What fault.c has of bmd-run alone: the phase "placing", and how far a bmd-run that met a fault
 * came with what must be on disk of its run. When it ends it adds a line to bmd-run.ended, "JOB PID
 * STATUS CLAIM RESULT LATEST": of the claim and of the result "none" (not tried), "made", "struck"
 * (tried, and a call of it was made to fail) or "failed" (without that); and the family of fault.c
 * whose latest call was made to fail, or "-". Linked with --wrap of the functions below.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "artifact/place.h"
#include "runner/folder.h"
#include "tests/campaign/fault.h"

__typeof__(place_deploy) __real_place_deploy, __wrap_place_deploy;
__typeof__(folder_claim) __real_folder_claim, __wrap_folder_claim;
__typeof__(folder_result) __real_folder_result, __wrap_folder_result;

static const char *claimed = "none", *recorded = "none";
static pid_t self; /* and no child of it */

int
__wrap_place_deploy(const struct place *place, struct place_outcome *ret_outcome, struct err *err)
{
	const char *before = fault_phase("placing");
	int r = __real_place_deploy(place, ret_outcome, err);

	fault_phase(before);
	return r;
}

static const char *
how(int r, int hits)
{
	return r >= 0 ? "made" : fault_hits() > hits ? "struck" : "failed";
}

int
__wrap_folder_claim(struct folder *folder, struct err *err)
{
	int hits = fault_hits(), r = __real_folder_claim(folder, err);

	claimed = how(r, hits);
	return r;
}

int
__wrap_folder_result(struct folder *folder, const json_t *result, struct err *err)
{
	int hits = fault_hits(), r = __real_folder_result(folder, result, err);

	recorded = how(r, hits);
	return r;
}

static void
tell_end(int status, void *arg)
{
	const char *latest = fault_latest();
	char line[128];

	(void)arg;
	if (fault_hits() == 0 || getpid() != self)
		return;
	(void)snprintf(line, sizeof(line), "%lld %d %d %s %s %s\n", fault_job(), (int)self, status,
		       claimed, recorded, latest ? latest : "-");
	fault_add_line(".ended", line);
}

static void __attribute__((constructor)) remember(void)
{
	self = getpid();
	(void)fault_job(); /* while it can be told */
	(void)on_exit(tell_end, NULL);
}

/* The end for want of memory, and of a loop that is broken. */
void
_exit(int status)
{
	tell_end(status, NULL);
	for (;;)
		(void)syscall(SYS_exit_group, status);
}
