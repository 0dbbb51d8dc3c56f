/* SPDX-License-Identifier: ISC */
/*
 * What the files of sched share: sched.c (the look, and the list of runs), sched_watch.c (those who wait for a job),
 * sched_helper.c (bmd-import).
 */
#ifndef DAEMON_SCHED_PRIVATE_H
#define DAEMON_SCHED_PRIVATE_H

#include "daemon/channel.h"
#include "daemon/sched.h"
#include "daemon/tend.h"
#include "daemon/zones.h"

#define IMPORTS_MAX	  16

struct running {
	struct running *next;
	struct tend *tend;
};

struct sched {
	struct tend_host host;
	struct running *runs;
	ev_prepare look; /* never started: fed by sched_kick(), so that it runs once, behind all
			    other events */
	ev_periodic due; /* the earliest moment */
	ev_timer again, heartbeat;
	bool stopping;
	int hurried; /* looks in a row that asked for another at once */

	struct sched_watch *watches;
	int walking;
	int inotify;
	ev_io grown;
	ev_timer grown_soon;

	struct helpers {
		pid_t pids[IMPORTS_MAX];
		size_t n;
	} imports, verifies, own;

	struct zones *zones;
	bool clocks; /* the tz database may have changed: asked before the next look */

	void (*damaged)(const json_t *manifests, void *arg);
	void *damaged_arg;

	json_t *problems; /* of the last look or recovery, array of sentences */
	bool tells_status;
	char *status;
};

/* sched_watch.c */
void sched_watch_begin(struct sched *sched);
void sched_watch_end(struct sched *sched);
/* Calls those who watch JOB; 0: all. */
void sched_wake(struct sched *sched, int64_t job);
/* The same for all jobs that were written since the last time. */
void sched_wake_written(struct sched *sched);

/* sched_helper.c */
/* Was PID a helper that works on stored files? It is forgotten. */
bool sched_helper_ended(struct sched *sched, pid_t pid);

#endif
