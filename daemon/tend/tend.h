/* SPDX-License-Identifier: ISC */
/*
 * One run, from the launch to its recorded end, and what becomes of one that is found after a
 * crash. Everything that is told to bmd-run leaves after the commit that it depends on; everything
 * that bmd-run tells is also in its run folder, so a message that was missed is read there.
 */
#ifndef DAEMON_TEND_TEND_H
#define DAEMON_TEND_TEND_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/run.h"
#include "common/runfolder.h"
#include "daemon/job.h"
#include "daemon/launch.h"
#include "daemon/queue/queue.h"
#include "daemon/turn.h"

struct tend;

struct tend_host { /* what all runs share; outlives them */
	struct ev_loop *loop;
	struct queue *queue;
	struct turn *turn;
	struct launch *launch;
	char *run_directory;
	bool elsewhere; /* it is not the one in which the runs that are adopted began */
	char boot[40];
	/* Is there a bmd-run already that was launched for JOB? Then it is the caller's. NULL:
	 * there never is. */
	bool (*ahead)(int64_t job, int *ret_fd, pid_t *ret_pid, void *arg);
	/* After each commit that changed JOB. */
	void (*changed)(int64_t job, void *arg);
	/* These manifests are marked as damaged, by what a run said: to be verified. */
	void (*damaged)(const json_t *manifests, void *arg);
	/* The run is over, recorded and committed (or never began): the callee forgets it and calls
	 * tend_free(). */
	void (*over)(struct tend *tend, void *arg);
	/* The same for one whose start was not committed: the job still waits, and whoever started
	 * it heard of that commit, too. */
	void (*undone)(struct tend *tend, void *arg);
	void *arg;
};

/* Starts JOB, for which queue_starting() was called in the open transaction. Takes the content of
 * REQUEST. */
struct tend *tend_start(const struct tend_host *host, const struct job *job,
			struct run_request *request);
/* A run that another life of bmd started: adopted, recorded, or named lost, by what its folder
 * says. */
struct tend *tend_adopt(const struct tend_host *host, const struct job *job);
void tend_free(struct tend *tend); /* leaves the run alone */

int64_t tend_job(const struct tend *tend);
/* Why nothing can be said of the run just now, as a sentence; NULL when all is well. Borrowed. */
const char *tend_problem(const struct tend *tend);
pid_t tend_pid(const struct tend *tend); /* of the bmd-run that this bmd forked; 0: none */
/* Tells bmd-run to stop, once this turn is committed, and as soon as it can be reached. */
void tend_cancel(struct tend *tend, bool now, const char *by);
/* bmd-run is gone and nothing that it left is there any more. */
void tend_swept(struct tend *tend, int status);

/* What a run folder says of the run RUN (its request's digest "" when not known), once bmd has no
 * connection to it. TOLD: it was told to begin in this boot, so it had one. */
enum tend_verdict {
	TEND_ALIVE,	  /* a bmd-run holds the lock */
	TEND_ENDED,	  /* its result is there */
	TEND_NEVER_BEGAN, /* nobody claimed the folder: no step ever ran */
	TEND_FOREIGN,	  /* claim or result of another run or request */
	TEND_LOST,	  /* claimed, dead, no result, or one that is damaged; or gone */
};
enum tend_verdict tend_judge(const char *run, const char *request_digest, bool told,
			     const struct run_folder *folder);
/* So many seconds a bmd-run has until it is ready, behind ATTEMPTS that did not come to a run: a
 * machine that is slow for want of processors does no more work for being asked anew every half a
 * minute. */
int tend_ready_s(int attempts);
/* Are the processes of a dead run surely gone, as far as its claim says: another boot, or its
 * cgroup is gone or empty? */
enum tend_remains { TEND_NONE_LEFT, TEND_SOME_LEFT, TEND_UNKNOWN };
enum tend_remains tend_remains(const struct run_started *started, const char *boot,
			       const char *cgroup_root);

#endif
