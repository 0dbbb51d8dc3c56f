/* SPDX-License-Identifier: ISC */
/*
 * What the files of the queue share: queue.c (names → things), queue_check.c (may it go live?),
 * queue_approval.c (first deployments), queue_request.c, queue_when.c and queue_preview.c (what a
 * request becomes), queue_add.c (a job gets its place), queue_undone.c (what a way back leaves),
 * queue_decide.c (what humans decide about jobs and stages), queue_look.c (what is due),
 * queue_run.c (the life of a run), queue_schedule*.c and queue_section.c (recurring deployments),
 * queue_zone.c (clocks that changed), queue_clock.c (whether the clock is believed), queue_drain.c
 * (nothing starts), queue_trouble.c (what others know to be in the way), queue_prune.c (records of
 * what is over), queue_show.c (JSON).
 */
#ifndef DAEMON_QUEUE_QUEUE_PRIVATE_H
#define DAEMON_QUEUE_QUEUE_PRIVATE_H

#include "common/time/calendar.h"
#include "common/time/when.h"
#include "daemon/queue/queue.h"

#define QUEUE_AHEAD_MAX	     16 /* ids of jobs ahead that a job remembers: the nearest */
#define QUEUE_UNDONE_MAX     64 /* irreversible steps that an answer names */
#define QUEUE_BACKOFF_US     (60 * WHEN_SECOND) /* at most, after a start that did not happen */
#define QUEUE_BATCH	     256		/* jobs that one look moves */
#define QUEUE_PRUNED_AT_ONCE 64 /* records of finished jobs that a portion looks at */

/* Numbers that the store keeps: new job ids are higher than the first; the backup that this
 * database was restored from (µs). */
#define QUEUE_FLOOR    "job_floor"
#define QUEUE_RESTORED "restored"
#define QUEUE_LOST     "restored_lost" /* 1: no backup, its last commits were lost */

struct queue {
	struct store *store;
	struct objects *objects;
	const struct conf *conf;
	void (*tell)(const struct event *event, void *arg);
	void *tell_arg;
	int64_t highest; /* job id */
	int64_t open;	 /* jobs that are not final, at the most; INT64_MAX: not counted yet */
	struct queue_whole {
		char digest[DIGEST_SIZE];
		int64_t seen_us;
	} whole[64]; /* manifests that were whole a moment ago */
	size_t next_whole;
	/* --now jobs that were on their way when bmd went down for longer than their grace: not to
	 * be started unasked. */
	int64_t *slept;
	size_t nslept, room_slept;
	int64_t down_us;
	struct queue_walk {	      /* over the jobs in zones whose clocks changed */
		json_t *zones;	      /* name → digest; NULL: nobody walks */
		enum job_state state; /* scheduled, then held */
		int64_t due_us, id;   /* where it is */
	} walk;
	struct queue_clock clock;
	struct queue_moving { /* over the jobs that count elapsed time; boot "": nobody walks */
		char boot[40];
		int64_t offset_us;
		enum job_state state; /* scheduled, queued, then held */
		int64_t due_us, id;
		int64_t moved;
	} moving;
	struct queue_lapse_entry {
		enum queue_lapse why;
		int64_t from_us, to_us;
	} lapses[8]; /* the newest; to_us 0: none */
	size_t next_lapse;
	/* jobs up to this one were there before bmd stopped, nobody knows yet for how long; 0: it
	 * is known */
	int64_t unjudged;
	int64_t judged;	     /* the same, when it was last held against them */
	struct queue_drain { /* nothing starts; since_us 0: it does */
		int64_t since_us;
		char by[64];
		char *reason; /* NULL: none */
	} drain;
	struct queue_trouble { /* told by who tends the runs; job 0: of all */
		int64_t job;
		char *text;
	} * troubles;
	size_t ntroubles, room_troubles;
	/* a job that is being taken back from its schedule: its occurrence is not done with */
	int64_t withdrawn;
};

/* Tells what happened: to JOB (its text goes in front), or, without one, to what the sentence
 * says. */
void queue_tell(struct queue *queue, enum event_kind kind, const struct job *job,
		const char *format, ...) _printf_(4, 5);

/* R, the answer of err_set(), with the NAME of the parameter that is wrong, or the RULE that
 * refuses; here, so that who reads one file at a time sees that it is below 0. */
static inline int
queue_bad_parameter(struct err *err, const char *name, int r)
{
	err_field(err, "parameter", json_string(name));
	return r;
}

static inline int
queue_rule(struct err *err, enum err_rule rule, int r)
{
	err_rule(err, rule);
	return r;
}

/* Moves JOB to a state that may follow its own, and writes it. */
int queue_move(struct queue *queue, struct job *job, enum job_state to, struct err *err);
/* Holds JOB with a reason, and tells it. */
int queue_hold(struct queue *queue, struct job *job, struct err *err, const char *format, ...)
    _printf_(4, 5);
/* Was JOB on its way when bmd went down for too long? Forgotten by being asked. */
bool queue_slept(struct queue *queue, int64_t job);
/* Ends JOB without a run. */
int queue_end(struct queue *queue, struct job *job, enum job_state state, const char *by,
	      int64_t now_us, const char *message, struct err *err);
/* "deploy shop 1.0.2/3 to production", for sentences. */
struct queue_text {
	char s[320];
} queue_job_text(const struct job *job);

/* The zone of this machine, for times that were given in none. */
const char *queue_zone_here(void);
/* Is the stage locked at this moment? */
bool queue_locked(const struct store_stage *stage, int64_t at_us);
/* The same for what would start now: a clock that is doubted ends no lock. */
bool queue_locked_now(const struct queue *queue, const struct store_stage *stage, int64_t now_us);
/* "production is locked by ana: release freeze, until …" free() */
char *queue_lock_text(const struct store_stage *stage, int64_t now_us);

/* queue_when.c */
/* Sets due, zone and texts of JOB from WHEN. BAD_TIME, INVALID_PARAMETER; horizon is not looked at.
 */
int queue_set_when(struct job *job, const struct queue_when *when, int64_t now_us, struct err *err);
/* When something is asked for, and when a stage was left unfinished: NOW, but in the order in which
 * it happened, whatever the clock says. What is asked for after a failure is never held by it. */
int64_t queue_asked_us(const struct history *history, int64_t now_us);
int queue_failed_us(struct queue *queue, const char *application, const char *stage, int64_t now_us,
		    int64_t *ret_us, struct err *err);
/* queue_add.c */
/* The jobs ahead of JOB (its own id left out), the running one first. New array. */
int queue_ahead(struct queue *queue, const struct job *job, const struct history *history,
		json_t **ret_ahead, struct err *err);
/* Gives JOB its place in the queue: id, ahead, expected; writes it. TOO_MANY. */
int queue_add(struct queue *queue, struct job *job, const struct history *history, int64_t now_us,
	      struct err *err);

/* The checks of a request and of a start, one rule each: REFUSED with its rule, or 0. */
/* Why STEP does not run in MODE: "only-on" or "skip-on"; NULL when it does. */
const char *queue_step_skipped(const struct conf_step *step, enum job_mode mode);
int queue_check_rejected(const struct store_build *build, struct err *err);
int queue_check_plan(struct queue *queue, const struct store_build *build,
		     const struct conf_stage *stage, const struct conf_plan *plan, struct err *err);
/* FRESH: what was seen a moment ago does not count. */
/* Was a stored file of BUILD found damaged, and is not yet whole? */
bool queue_damaged(struct queue *queue, const struct store_build *build);
/* store_history_get() with damaged builds as unfit as rejected ones. */
int queue_history_get(struct queue *queue, const char *application, const char *stage,
		      struct history *ret_history, struct err *err);
int queue_check_whole(struct queue *queue, const struct store_build *build, bool fresh,
		      int64_t now_us, struct err *err);
int queue_check_build_variables(struct queue *queue, const struct conf_application *application,
				const struct conf_stage *stage, const struct store_build *build,
				struct err *err);
int queue_check_variables(struct queue *queue, const struct conf_application *application,
			  const struct conf_stage *stage, const json_t *variables, struct err *err);
int queue_check_lock(const struct store_stage *stage, int64_t due_us, int64_t now_us,
		     struct err *err);
int queue_check_horizon(struct queue *queue, int64_t due_us, const char *zone, int64_t now_us,
			struct err *err);
/* All that is checked again at the start, but for the guard. */
int queue_check_start(struct queue *queue, const struct job *job, int64_t now_us, struct err *err);

/* queue_approval.c */
/* "1.0.2/3 never succeeded on production and needs the approval of members of ops: bmctl release
 * 42" free() */
char *queue_approval_text(struct queue *queue, const struct job *job);
void queue_approve(struct job *job, const struct queue_who *who, int64_t now_us);
/* JOB is going to deploy BUILD: what somebody let go was this one, or it is let go no more. */
void queue_approved_until(struct job *job, const struct build_ref *build);
int queue_check_approval(struct queue *queue, const struct job *job, struct err *err);
/* May WHO say that BUILD is live on a stage, as settle and adopt do? */
int queue_check_word(struct queue *queue, const char *application, const char *stage,
		     const struct build_ref *build, const struct queue_who *who, struct err *err);

/* The dry run's answer. VARIABLES: the request's (may be NULL); PROBLEMS and UNDONE are borrowed.
 * New reference. */
struct queue_plan {
	const struct conf_application *application;
	const struct conf_stage *stage;
	const struct conf_plan *plan;
	const struct history *history;
	const struct store_build *build;
	const json_t *variables;
	int64_t due_us;
	json_t *problems, *not_undone, *window;
};
json_t *queue_preview(struct queue *queue, const struct queue_plan *plan, struct err *err);
/* The refusal of a request that does not say why, or is not confirmed, where the stage asks for it:
 * COMMAND with the options that lack, also as the fields `wants` and `repeat`. WHY replaces
 * "production of shop asks for a reason"; NULL: that. */
int queue_refuse_unsaid(const char *application, const char *stage, bool reason, bool confirmed,
			const char *why, const char *command, struct err *err);
/* queue_undone.c */
/* Irreversible steps of other builds that ran on the stage after BUILD's last run there. New
 * array. */
int queue_not_undone(struct queue *queue, const struct history *history,
		     const struct build_ref *build, json_t **ret, struct err *err);

/* queue_show.c */
/* What a request to the stage has to say besides, for a command that is printed: " --reason TEXT
 * --yes", "" for nothing. */
const char *queue_asks(const struct queue *queue, const char *application, const char *stage);

/* queue_clock.c */
/* Does JOB count elapsed time within this boot? */
bool queue_by_boot(const struct queue *queue, const struct job *job);
/* Does JOB, which is due by the wall clock, wait until that is believed? */
bool queue_waits_for_clock(struct queue *queue, const struct job *job);
/* Why nobody looked between DUE and UNTIL; free(). NULL: nothing is known of that. */
char *queue_lapse_text(const struct queue *queue, int64_t due_us, int64_t until_us,
		       const char *zone);
#define QUEUE_LAPSE_UNKNOWN "bmd was not running then, or the machine was asleep or paused"

/* queue_zone.c: notes what the tz database says of the zone in which JOB was given. */
int queue_zone_note(struct queue *queue, const struct job *job, struct err *err);

/* queue_schedule.c; queue_schedule_ask.c (what humans decide), queue_schedule_show.c (JSON) and
 * queue_section.c (schedules of the configuration) build on it. */
/* Puts the next occurrence of SCHEDULE into the queue, unless it is paused or one waits. LATE: why
 * occurrences that have passed were not started; NULL: nobody looked. */
int queue_schedule_next(struct queue *queue, const struct store_schedule *schedule,
			const char *late, int64_t now_us, struct err *err);
/* Cancels the job of SCHEDULE that waits; its occurrence is not done with. RET_JOB: 0 if there was
 * none, or it is being started. */
int queue_schedule_withdraw(struct queue *queue, int64_t schedule, const char *by, const char *why,
			    int64_t now_us, int64_t *ret_job, struct err *err);
/* Cancels JOB; its occurrence is not done with. */
int queue_schedule_take_back(struct queue *queue, struct job *job, const char *by, const char *why,
			     int64_t now_us, struct err *err);
/* Was the schedule of JOB paused or removed since JOB is on its way? RET_WHY: free(). */
bool queue_schedule_stopped(struct queue *queue, const struct job *job, char **ret_why);
/* JOB has left the state FROM: when it waits no more, its occurrence is done with, and the next one
 * comes. */
int queue_schedule_moved(struct queue *queue, const struct job *job, enum job_state from,
			 struct err *err);
/* JOB is due: of several occurrences that have passed, it stands for the last. 1: it is not due any
 * more. */
int queue_schedule_overdue(struct queue *queue, struct job *job, int64_t now_us, struct err *err);
/* The newest build of the release that JOB wants. */
int queue_schedule_newest(struct queue *queue, struct job *job, struct err *err);
/* The zone that the times of SCHEDULE are read in. */
const char *queue_schedule_zone(const struct store_schedule *schedule,
				const struct calendar *calendar);
/* 1 and what is due next, with its zone and how many have passed before it; 0 when nothing ever
 * is. */
int queue_schedule_due(const struct store_schedule *schedule, int64_t now_us,
		       char ret_zone[WHEN_ZONE_MAX], int64_t *ret_us, int *ret_passed);
/* The build that JOB would deploy if it started now. */
int queue_schedule_resolve(struct queue *queue, struct job *job, const struct history *history,
			   struct err *err);
/* The same for one that waits, for those who look; JOB stays as it is when there is none. */
void queue_schedule_show(struct queue *queue, const struct job *job, struct build_ref *ret_build);

/* queue_window.c: what windows and freezes of its stage say of JOB (its build, reason and
 * overrides) at a moment, by the mode that it would have now. */
struct queue_window {
	struct window_look look; /* open also when they do not hold it */
	const char *zone;	 /* borrowed from the configuration */
	bool needs_reason;	 /* closed only for want of one */
};
struct queue_window queue_window(struct queue *queue, const struct job *job,
				 const struct history *history, int64_t at_us);
char *queue_window_text(const struct queue_window *window, const struct job *job, int64_t now_us);
/* {kind, text, until}, or null when nothing holds JOB at AT_US. HISTORY NULL: as it is. */
json_t *queue_window_json(struct queue *queue, const struct job *job, const struct history *history,
			  int64_t at_us, int64_t now_us);
/* The stage by itself, as it is for those who pass nothing. */
struct window_look queue_window_stage(struct queue *queue, const char *application,
				      const char *stage, int64_t at_us);
json_t *queue_window_stage_json(struct queue *queue, const char *application, const char *stage,
				int64_t now_us);
/* Do windows or freezes hold JOB when they are closed? They may be, while the clock is doubted. */
bool queue_window_may_hold(struct queue *queue, const struct job *job);
/* Is there some of the grace of a due JOB left? Moves its beginning to where it began anew. */
bool queue_window_grace(struct queue *queue, struct job *job, int64_t now_us);
/* What JOB passes from now on, checked and written to the audit; its row is the caller's to
 * write. */
int queue_override(struct queue *queue, struct job *job, const json_t *override, const char *reason,
		   const struct queue_who *who, int64_t now_us, struct err *err);

/* queue_trouble.c: NULL: there is none */
const char *queue_trouble_text(const struct queue *queue, int64_t job);
void queue_trouble_clear(struct queue *queue);

/* queue_drain.c: why a drained queue starts nothing. free() */
char *queue_drain_text(const struct queue *queue, int64_t now_us);

/* queue_restore.c: what a human has to do on a stage that nobody has looked at since; NULL:
 * nothing. */
json_t *queue_restored_needs(struct queue *queue, const struct store_stage *stage,
			     const struct history *history);

json_t *queue_ref_json(const struct build_ref *ref); /* null for an empty one */

#endif
