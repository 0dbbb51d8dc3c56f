/* SPDX-License-Identifier: ISC */
/*
 * What the files of tend share: tend.c (the beginning, what bmd-run says), tend_apart.c (without a
 * connection: what the run folder says), tend_end.c (the end, recorded and committed).
 */
#ifndef DAEMON_TEND_TEND_PRIVATE_H
#define DAEMON_TEND_TEND_PRIVATE_H

#include "daemon/channel.h"
#include "daemon/tend/tend.h"

#define TEND_AGAIN_SECONDS     5.0  /* after a full disk or an unreadable folder */
#define TEND_RECONNECT_SECONDS 0.02 /* the first time; then doubled */

enum phase { STARTING, REQUESTED, GOING, APART, ENDING, OVER };
enum end { END_NOT_STARTED, END_RESULT, END_LOST, END_CONFLICT };

struct tend {
	const struct tend_host *host;
	enum phase phase;
	int64_t job;
	int attempts; /* that did not come to a run before */
	char run[RUN_ID_SIZE], request_digest[65];
	struct run_request request; /* until it is sent */
	struct channel *channel;    /* to bmd-run or to JOB/control; NULL: none */
	ev_timer timer;
	void (*then)(struct tend *tend); /* when TIMER is due */
	ev_timer events;		 /* some are in the folder and not in the database */
	double reconnect;
	bool unheard;		  /* connected again, and it has not said a word yet */
	bool followed;		  /* that was logged */
	bool told;		  /* to begin, in this boot */
	bool elsewhere;		  /* it ran, and its folder may lie in another run directory */
	int64_t remains_since_us; /* CLOCK_MONOTONIC; 0: not waiting for a cgroup */

	bool own;  /* forked by this bmd: its end will be told by tend_swept() */
	pid_t pid; /* then; 0 with the launcher systemd */
	bool swept;
	int status; /* of bmd-run, when swept */
	int pidfd;  /* of an adopted bmd-run; -1: none */
	ev_io pid_end;

	char *cancel_by; /* a cancel that bmd-run was or is to be told, committed; NULL: none */
	bool cancel_now;
	int cancelling; /* cancels that are being committed: meanwhile nothing begins */

	enum end end;
	struct run_result result;
	char *end_text;
	bool hold, occupied;
	/* what bmd-run said when it was told to go and could not claim the run; NULL: nothing */
	char *refusal;

	/* the folder could not be read, or the end not be committed; NULL: neither */
	char *problem;
	int holds; /* effects of the turn that still point here */
	bool freed;
};

/* tend.c */
/* Said once, and shown until it is over. TEXT NULL: it is. */
void tend_set_problem(struct tend *tend, const char *text);
void tend_wait(struct tend *tend, double seconds, void (*then)(struct tend *tend));
void tend_wait_no_more(struct tend *tend);
void tend_drop_channel(struct tend *tend);
/* Defers BACK to the end of the turn; the run stays in memory until then. */
void tend_after_commit(struct tend *tend, void (*back)(void *arg, const struct err *failure));
/* First word of every effect: false when the run was given up meanwhile. */
bool tend_effect_begins(struct tend *tend);
/* Runs WHAT inside this turn's transaction, parted from what else is in it. */
int tend_change(struct tend *tend, int (*what)(struct tend *tend, int64_t now_us, struct err *err),
		struct err *err);
void tend_send_cancel(struct tend *tend);
void tend_on_message(const json_t *object, void *arg);
void tend_on_closed(void *arg);

/* tend_apart.c */
/* The rules after a crash, and after any broken connection. */
void tend_decide_later(struct tend *tend);
void tend_decide(struct tend *tend);
void tend_drop_pidfd(struct tend *tend);

/* tend_end.c */
int tend_record_events(struct tend *tend, int64_t now_us, struct err *err);
void tend_end_with(struct tend *tend, enum end end, const char *text);
void tend_not_started(struct tend *tend, const char *why, bool hold);
void tend_ended(struct tend *tend, const struct run_result *result);

#endif
