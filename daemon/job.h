/* SPDX-License-Identifier: ISC */
/*
 * A job as a value, its states as a table, and which may follow which: bmd(8), States of a job.
 */
#ifndef DAEMON_JOB_H
#define DAEMON_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/names.h"
#include "common/run.h"

/*   symbol      stored        shown         final   may become (see job.c) */
// clang-format off
#define JOB_STATES(X)                                                                              \
	X(SCHEDULED,  "scheduled",  "scheduled",  false)                                           \
	X(QUEUED,     "queued",     "queued",     false)                                           \
	X(HELD,       "held",       "held",       false)                                           \
	X(STARTING,   "starting",   "queued",     false)                                           \
	X(RUNNING,    "running",    "running",    false)                                           \
	X(SUCCEEDED,  "succeeded",  "succeeded",  true)                                            \
	X(FAILED,     "failed",     "failed",     true)                                            \
	X(CANCELLED,  "cancelled",  "cancelled",  true)                                            \
	X(MISSED,     "missed",     "missed",     true)                                            \
	X(SUPERSEDED, "superseded", "superseded", true)                                            \
	X(LOST,       "lost",       "lost",       true)
// clang-format on

enum job_state {
#define X(symbol, stored, shown, final) JOB_##symbol,
	JOB_STATES(X)
#undef X
	    JOB_STATE_MAX_
};

enum job_mode { JOB_MODE_NONE, JOB_MODE_DEPLOY, JOB_MODE_REDEPLOY, JOB_MODE_ROLLBACK };
enum job_if_changed { JOB_HOLD, JOB_RUN, JOB_SKIP };

const char *job_state_stored(enum job_state state);
const char *job_state_shown(enum job_state state);
bool job_state_final(enum job_state state);
bool job_state_from(const char *stored, enum job_state *ret_state);
bool job_may(enum job_state from, enum job_state to);
const char *job_mode_name(enum job_mode mode); /* NULL for NONE */
bool job_mode_from(const char *name, enum job_mode *ret_mode);
const char *job_if_changed_name(enum job_if_changed how); /* hold run skip */
bool job_if_changed_from(const char *name, enum job_if_changed *ret_how);

struct job {
	int64_t id;
	enum job_state state;
	char application[64], stage[64], plan[64];
	struct build_ref build;
	bool redeploy;	       /* asked by redeploy rather than deploy */
	bool timed;	       /* --at rather than --now */
	bool automatic;	       /* made by on-failure = "redeploy" */
	enum job_mode mode;    /* NONE before the start */
	struct build_ref from; /* fixed with the mode; release "" when nothing was live */
	char *reason;	       /* NULL when none */
	char requested_by[64];
	int64_t uid;
	int64_t created_us, due_us;
	char *due_text;	     /* as typed; NULL for --now */
	char zone[64];	     /* "" when none */
	char boot[40];	     /* "+2h": boot id … */
	int64_t boot_due_us; /* … and CLOCK_BOOTTIME instant; 0 when not relative */
	/* may start until grace_from + grace; grace_from is due, or the last release */
	int64_t grace_us, grace_from_us;
	int64_t asked_us;		 /* when a human last decided about it: created, released */
	int64_t started_us, finished_us; /* 0: not yet */
	char *ended_by, *message, *failed_step, *hold_reason; /* NULL when none */
	int exit_code;					      /* -1: none */
	enum job_if_changed if_changed;
	struct build_ref expected; /* live at the request; release "" when nothing was */
	json_t *ahead;		   /* array of job ids that were ahead on the stage */
	json_t *variables;	   /* object */
	char run[RUN_ID_SIZE];	   /* "" before the first start */
	char boot_run[40];	   /* boot in which it was started */
	char request_digest[65];
	char plan_digest[65];  /* of the run; "" before */
	int64_t not_before_us; /* back-off after a start that did not happen; 0: none */
	int attempts;	       /* starts that did not happen in a row */
	int64_t event_seq;     /* last event recorded */
	bool began;	       /* a step began */
	/* given as wall time in ZONE: what its clocks shall show then (common/time/zone.h); 0: an
	 * instant */
	int64_t wall_s;
	int64_t schedule; /* whose occurrence it is; 0: none */
	/* the recurring time that it stands for; 0 without a schedule */
	int64_t occurrence_us;
	/* "live" or a release: its build is chosen when it starts. NULL: it is fixed */
	char *wanted;
	/* {windows: true, freezes: [names]}: what it passes; NULL or empty: nothing */
	json_t *overrides;
	/* whose rights count when it starts: who asked, or the operator who let it go last */
	int64_t answers_uid;
	/* who let a first deployment go, and when; NULL: nobody had to, or has yet */
	char *approved_by;
	int64_t approved_us;
	char *cancel_by; /* a running job that is being cancelled, by whom; NULL */
	bool cancel_now;
};
void job_clear(struct job *job);
void job_free(struct job *job); /* clear and free; NULL is fine */

#endif
