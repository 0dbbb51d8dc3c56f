/* SPDX-License-Identifier: ISC */
/*
 * What the files of sched share: sched.c (the look, and the list of runs), sched_watch.c (those who
 * wait for a job), sched_ahead.c (bmd-runs that are there before they are needed), sched_clock.c
 * (whether the clock is believed), sched_helper.c (bmd-import), sched_errand.c (bmd-run for other
 * work than runs).
 */
#ifndef DAEMON_SCHED_SCHED_PRIVATE_H
#define DAEMON_SCHED_SCHED_PRIVATE_H

#include "daemon/channel.h"
#include "daemon/sched/sched.h"
#include "daemon/steady.h"
#include "daemon/tend/tend.h"
#include "daemon/zones.h"

#define IMPORTS_MAX	   SCHED_IMPORTS_MAX
#define SCHED_AHEAD_MAX	   4
#define SCHED_BEAT_SECONDS 120 /* so often a commit says that bmd is alive, while --now jobs wait */

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
	} imports, verifies, own, lists;

	struct sched_ahead { /* bmd-runs of jobs that will be due in a moment */
		struct sched_ahead_run {
			int64_t job, due_us;
			int fd;
			pid_t pid; /* 0 with the launcher systemd */
		} runs[SCHED_AHEAD_MAX];
		size_t n;
	} ahead;

	struct sched_clock {
		struct steady steady;
		int64_t boot; /* a digest of this boot's id */
		/* wall clock − CLOCK_BOOTTIME, in the database */
		int64_t kept_boot, kept_offset_us;
		int64_t stepped_us; /* by so much the clock was set in all, up to that offset */
		int64_t slept_us;   /* CLOCK_BOOTTIME − CLOCK_MONOTONIC */
		int64_t began_us;   /* CLOCK_BOOTTIME of the first reading */
		/* when bmd was last alive before that; 0: how long it was down is known */
		int64_t alive_us;
		int64_t unknown_us; /* so much longer it may have lived */
		int64_t until_us;   /* and was down until then; 0: the clock was not believed */
		int64_t judged_us;  /* ALIVE_US, while that is being committed */
		bool settled; /* a doubt has ended: those who waited for that are to be told */
		bool moved;   /* jobs that count elapsed time may be due at another time */
		int set_fd;   /* told of a clock that was set */
		/* told of the earliest moment, exactly: epoll counts in milliseconds */
		int alarm_fd;
		ev_io set, alarm;
	} clock;

	struct zones *zones;
	bool clocks; /* the tz database may have changed: asked before the next look */

	void (*damaged)(const json_t *manifests, void *arg);
	void *damaged_arg;
	void (*on_settled)(void *arg);
	void *settled_arg;

	void (*event)(const struct event *event, void *arg);
	void *event_arg;
	void (*ended)(void *arg);
	void *ended_arg;
	void (*final)(void *arg);
	void *final_arg;

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

/* sched_clock.c */
void sched_clock_begin(struct sched *sched);
void sched_clock_end(struct sched *sched);
/* Before the first look, inside of a turn: what was kept of the clock, and for how long bmd was
 * down by it. */
int sched_clock_recover(struct sched *sched, struct err *err);
/* Reads the clocks, tells the queue what is known of them, and says what the wall clock shows. */
int64_t sched_clock_read(struct sched *sched);
/* What has to be kept of that, inside of a turn. Its commit failed: all of it is to be kept
 * anew. */
int sched_clock_keep(struct sched *sched, int64_t now_us, struct err *err);
void sched_clock_kept(struct sched *sched, bool committed);
/* Looks again after AFTER_US of CLOCK_BOOTTIME (INT64_MAX: not by itself). False: there is no such
 * timer here. */
bool sched_clock_alarm(struct sched *sched, int64_t after_us);
/* When to look again for it; INT64_MAX: no need. */
int64_t sched_clock_wake_us(struct sched *sched);

/* sched_ahead.c */
/* Launches what will be due in a moment, and says when to look again for that. */
int sched_ahead_look(struct sched *sched, int64_t now_us, int64_t *next_us, struct err *err);
/* ARG: sched. The callee's from now on */
bool sched_ahead_take(int64_t job, int *ret_fd, pid_t *ret_pid, void *arg);
/* was it one of them? */
bool sched_ahead_ended(struct sched *sched, pid_t pid);
void sched_ahead_drop(struct sched *sched);

/* sched_helper.c */
/* Was PID a helper that works on stored files? It is forgotten. */
bool sched_helper_ended(struct sched *sched, pid_t pid);

#endif
