/* SPDX-License-Identifier: ISC */
/*
 * The rules: what is due, what may start, what a finished run means for the others, what a request
 * becomes. State changes happen only here, each compare-and-set. *Now* is an argument; the caller
 * holds the open transaction, and speaks: what happened is handed to TELL as an event, which is
 * true once the transaction is committed. After any change, look again: queue_look().
 */
#ifndef DAEMON_QUEUE_QUEUE_H
#define DAEMON_QUEUE_QUEUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "artifact/objects.h"
#include "common/conf/conf.h"
#include "common/err.h"
#include "common/event.h"
#include "daemon/history.h"
#include "daemon/job.h"
#include "daemon/store/store.h"

#define QUEUE_SCHEDULES_MAX 10000

struct queue;
struct queue_eyes;
struct queue *queue_new(struct store *store, struct objects *objects);
void queue_free(struct queue *queue);
/* CONF is borrowed until the next call. */
void queue_set_conf(struct queue *queue, const struct conf *conf);
const struct conf *queue_conf(const struct queue *queue);
struct store *queue_store(const struct queue *queue);
void queue_set_tell(struct queue *queue, void (*tell)(const struct event *event, void *arg),
		    void *arg);
/* New ids exceed everything in the database and FOLDER_HIGHEST (of the run folders). */
int queue_set_highest(struct queue *queue, int64_t folder_highest, struct err *err);

struct queue_who {
	int64_t uid;
	char name[64]; /* login name, or "uid 1000" */
	bool operates; /* is an operator of the stage in question */
	bool approves; /* may let a first deployment to the stage in question go */
};

/* When a request wants a job to start. AT_US is checked against now and the horizon. */
struct queue_when {
	bool now;
	int64_t at_us;
	const char *text, *zone; /* NULL or as typed */
	bool relative;
	const char *boot;    /* this boot's id */
	int64_t boot_now_us; /* CLOCK_BOOTTIME */
};

struct queue_request {
	bool redeploy;
	const char *application; /* NULL: the default or only one (redeploy) */
	const char *release;	 /* NULL: by section 6 (redeploy) */
	int64_t build;		 /* 0: a release without a number */
	const char *stage;	 /* NULL: the application's last (redeploy) */
	struct queue_when when;	 /* not looked at for a dry run without one */
	bool has_when;
	const char *reason;
	const json_t *variables; /* object or NULL */
	bool confirmed, dry_run;
	int64_t grace_us;	/* < 0: the configuration's */
	const json_t *override; /* {windows: true, freezes: [names]} or NULL */
	bool has_if_changed;
	enum job_if_changed if_changed;
};

struct queue_answer {
	struct job job; /* accepted (or, for a dry run, as it would be) */
	bool has_live;
	struct history_entry live; /* what it replaces */
	json_t *not_undone;	   /* arrays in the form of the interface file */
	/* what left the stage dirty; job 0: nothing did, or nobody knows */
	struct history_run unfinished;
	json_t *ahead, *warnings;
	json_t *window;	 /* what will hold it at its time; null: nothing */
	json_t *preview; /* only for a dry run */
};
void queue_answer_clear(struct queue_answer *answer);

int queue_request(struct queue *queue, const struct queue_request *request,
		  const struct queue_who *who, int64_t now_us, struct queue_answer *ret_answer,
		  struct err *err);
int queue_cancel(struct queue *queue, int64_t id, const char *reason, const struct queue_who *who,
		 int64_t now_us, bool *ret_kill, struct job *ret_job,
		 struct err *err); /* RET_KILL: it runs, sched must tell bmd-run */
int queue_reschedule(struct queue *queue, int64_t id, const struct queue_when *when, int64_t now_us,
		     struct job *ret_job, struct err *err);
/* What a waiting job passes from now on; with a REASON (NULL: as it was) a rollback passes by
 * itself. */
int queue_pass(struct queue *queue, int64_t id, const json_t *override, const char *reason,
	       const struct queue_who *who, int64_t now_us, struct err *err);
/* A job that needs an approval is let go by who may give it alone, and REFUSED (rule approval)
 * otherwise. */
int queue_release(struct queue *queue, int64_t id, const struct queue_who *who, int64_t now_us,
		  struct job *ret_job, struct err *err);
/* Is JOB a first deployment that waits for one of its stage's approvers? */
bool queue_needs_approval(struct queue *queue, const struct job *job);
int queue_lock(struct queue *queue, const char *application, const char *stage, const char *reason,
	       int64_t until_us, const struct queue_who *who, int64_t now_us, struct err *err);
int queue_unlock(struct queue *queue, const char *application, const char *stage, struct err *err);
/* BUILD NULL: unknown. */
int queue_settle(struct queue *queue, const char *application, const char *stage,
		 const struct build_ref *build, const char *reason, const struct queue_who *who,
		 int64_t now_us, struct err *err);
/* What was live on a stage before bmd knew it, oldest first: 1, or 0 if it is so already. REFUSED
 * (rule history) if it has another history. */
int queue_adopt(struct queue *queue, const char *application, const char *stage,
		const struct build_ref *builds, size_t n, const struct queue_who *who,
		int64_t now_us, struct err *err);
/* Rejects or (REASON NULL) restores a build; waiting jobs for it are held. RET_WARNINGS: array of
 * sentences. */
int queue_reject(struct queue *queue, const char *application, const struct build_ref *ref,
		 const char *reason, const struct queue_who *who, int64_t now_us,
		 json_t **ret_warnings, struct err *err);
/* Does the stage take this build, by its signature? REFUSED (rule signature) if not. */
int queue_check_signature(const struct store_build *build, const struct conf_stage *stage,
			  struct err *err);
/* May SIGNATURE take the place of the one that BUILD has? REFUSED (rule signature) where that
 * counts and this does not: who may add builds for one stage decides nothing for another. */
int queue_check_resign(const struct conf_application *application, const struct store_build *build,
		       const char *signature, const struct queue_eyes *eyes, struct err *err);
/* Pins or unpins a build: nothing collects what is pinned. */
int queue_pin(struct queue *queue, const char *application, const struct build_ref *ref, bool pin,
	      const char *reason, const struct queue_who *who, int64_t now_us, struct err *err);
/*
 * What keep-builds keeps and frees, of APPLICATION or (NULL) of all that are configured: the reply
 * of CollectBuilds. Frees them unless DRY_RUN: their rows go, their files go when the store is
 * swept.
 */
int queue_collect(struct queue *queue, const char *application, bool dry_run,
		  const struct queue_who *who, int64_t now_us, json_t **ret_reply, struct err *err);
/* A build of a request: RELEASE without number by "A release without a number", elsewhere-rule. */
int queue_find_build(struct queue *queue, const char *application, const char *release,
		     int64_t number, struct store_build *ret_build, struct err *err);
/* Whose eyes: an application (STAGE NULL) or a stage that they do not see is as if it were not
 * configured, in the answer, its suggestions and its defaults. NULL: they see everything. */
struct queue_eyes {
	bool (*sees)(const void *arg, const char *application, const char *stage);
	const void *arg;
};
bool queue_sees(const struct queue_eyes *eyes, const char *application, const char *stage);
int queue_seen_application(struct queue *queue, const struct queue_eyes *eyes, const char *name,
			   const struct conf_application **ret_application, struct err *err);
int queue_seen_stage(struct queue *queue, const struct queue_eyes *eyes, const char *application,
		     const char *stage, const struct conf_application **ret_application,
		     const struct conf_stage **ret_stage, struct err *err);
/* The last that they see; NULL: none. */
const struct conf_stage *queue_last_stage(const struct conf_application *application,
					  const struct queue_eyes *eyes);
/* The same for eyes that see everything. */
int queue_find_application(struct queue *queue, const char *name,
			   const struct conf_application **ret_application, struct err *err);
int queue_find_stage(struct queue *queue, const char *application, const char *stage,
		     const struct conf_application **ret_application,
		     const struct conf_stage **ret_stage, struct err *err);

/* Recurring deployments. At most one job of a schedule waits: the next occurrence, put into the
 * queue in the transaction in which the one before began or ended. */
struct queue_recurring {
	const char *application, *stage;
	const char *wanted;	     /* "live", a release, or release/number */
	const char *calendar, *zone; /* zone: that of the client, for a calendar without one */
	const char *reason;
	const json_t *variables; /* object or NULL */
	bool confirmed;
	int64_t grace_us; /* < 0: the configuration's */
	bool has_if_changed;
	enum job_if_changed if_changed; /* else: run */
};
int queue_schedule_add(struct queue *queue, const struct queue_recurring *asked,
		       const struct queue_who *who, int64_t now_us,
		       struct store_schedule *ret_schedule, struct err *err);
/* By its number; or (ID 0) by its name, APPLICATION NULL: of any. */
int queue_schedule_find(struct queue *queue, const struct queue_eyes *eyes, int64_t id,
			const char *application, const char *name,
			struct store_schedule *ret_schedule, struct err *err);
/* RET_CANCELLED: its job that waited, or 0. Its job that runs goes on. */
int queue_schedule_remove(struct queue *queue, const struct store_schedule *schedule,
			  const char *reason, const struct queue_who *who, int64_t now_us,
			  int64_t *ret_cancelled, struct err *err);
int queue_schedule_pause(struct queue *queue, struct store_schedule *schedule, const char *reason,
			 const struct queue_who *who, int64_t now_us, int64_t *ret_cancelled,
			 struct err *err);
int queue_schedule_resume(struct queue *queue, struct store_schedule *schedule, int64_t now_us,
			  struct err *err);
json_t *queue_schedule_json(struct queue *queue, const struct store_schedule *schedule,
			    int64_t now_us);
/* Makes the schedules of the database those of the configuration's sections, and sees to it that
 * each has its next job. WHOLE: all of its files could be read; else what is missing in it stays as
 * it was. */
int queue_sections(struct queue *queue, bool whole, int64_t now_us, struct err *err);

/* Drained, it starts nothing; until the restart of bmd. Whoever drains it again changes nothing. */
bool queue_drained(const struct queue *queue);
void queue_drain(struct queue *queue, const char *reason, const struct queue_who *who,
		 int64_t now_us);
void queue_undrain(struct queue *queue, const struct queue_who *who);
json_t *queue_drain_json(struct queue *queue); /* null when it is not drained */
json_t *queue_drain_shown(struct queue *queue, const char *by, int64_t since_us,
			  const char *reason);

/*
 * Has the tz database changed under jobs that wait? Those that were given as wall time in a named
 * zone, and occurrences of schedules, move to where its clocks show that time now, and say so. One
 * call does a bounded amount of work: RET_MORE: call again.
 */
int queue_zones(struct queue *queue, int64_t now_us, bool *ret_more, struct err *err);

/*
 * What is known of the clocks, told before each look. While the wall clock is DOUBTED, what was
 * given by it neither starts nor is missed; --now jobs go on, and those that count elapsed time
 * within this boot.
 */
struct queue_clock {
	bool doubted;
	int64_t until_us; /* when it will be believed, by itself; of a doubt only */
	char why[128];	  /* "the clock jumped forward by 1 h" */
	/* the latest time that was believed: locks that ended after it have not ended yet */
	int64_t highest_us;
	int64_t offset_us;  /* wall clock − CLOCK_BOOTTIME */
	int64_t stepped_us; /* by so much the wall clock was set in all, as far as bmd saw it */
	char boot[40];
};
void queue_set_clock(struct queue *queue, const struct queue_clock *clock);
bool queue_doubted(const struct queue *queue);
/* "the clock jumped forward by 1 h: timed jobs wait until …"; free(). Only in a doubt. */
char *queue_doubt_text(const struct queue *queue, int64_t now_us);
/* NOW by a clock that nobody sets, in no zone: for ages. */
int64_t queue_steady_us(const struct queue *queue, int64_t now_us);
/* The same at BOOT (CLOCK_BOOTTIME), also right after the clock was set; 0: nothing is known of the
 * clocks yet. */
int64_t queue_steady_at_us(const struct queue *queue, int64_t boot_us);
/* The offset has changed: jobs that count elapsed time within this boot move with the wall clock,
 * so that what they have left stays the same. One call does a bounded amount of work: RET_MORE:
 * call again, before any look. */
int queue_relatives(struct queue *queue, bool *ret_more, struct err *err);
/* What these and queue_zones() moved was not committed: the next calls begin from the beginning. */
void queue_walk_anew(struct queue *queue);
/* Nobody could look at what was due between FROM and TO, by the wall clock: the reason of what is
 * missed or late for that. Less than a second is none. */
enum queue_lapse { QUEUE_LAPSE_DOWN, QUEUE_LAPSE_ASLEEP, QUEUE_LAPSE_JUMP, QUEUE_LAPSE_DOUBT };
void queue_lapse(struct queue *queue, enum queue_lapse why, int64_t from_us, int64_t to_us);

/*
 * Looks at everything at NOW: due jobs become queued, late ones missed, guarded ones held or
 * superseded; the jobs that may start now are handed to START in order (the callee calls
 * queue_starting() for each). RET_NEXT_US: when to look again even if nothing happens (INT64_MAX:
 * never).
 */
int queue_look(struct queue *queue, int64_t now_us, int (*start)(struct job *job, void *arg),
	       void *arg, int64_t *ret_next_us, struct err *err);

/* What keeps a JOB that is on its way from going on, or (0) all that are queued from being started,
 * as far as the queue cannot know: a sentence for those who ask why it waits. NULL: nothing any
 * more. */
void queue_trouble(struct queue *queue, int64_t job, const char *text);

/* The life of a run: queue_starting() fixes mode, from, plan and the request's digest (or holds the
 * job and fails). Each is compare-and-set on state and run id; -ESTALE means that somebody was
 * faster. */
int queue_starting(struct queue *queue, struct job *job, const char *run, const char *boot,
		   int64_t now_us, struct err *err);
/* The request for bmd-run, complete. Clear with run_request_clear(). Fails (the job is held by the
 * callee) when build or plan are no longer there. */
int queue_run_request(struct queue *queue, const struct job *job, struct run_request *ret_request,
		      struct err *err);
int queue_running(struct queue *queue, int64_t id, const char *run, int64_t now_us,
		  struct err *err);
/* It did not start, no step ran: queued again with back-off 1 s … 60 s; the eighth time in a row,
 * or with HOLD, held. */
int queue_not_started(struct queue *queue, int64_t id, const char *run, const char *reason,
		      bool hold, int64_t now_us, struct err *err);
int queue_event(struct queue *queue, int64_t id, const char *run, const struct run_event *event,
		struct err *err);
int queue_finished(struct queue *queue, const struct run_result *result, int64_t now_us,
		   struct err *err);
/* OCCUPIED: its processes may still be there, the stage stays occupied until settle. */
int queue_lost(struct queue *queue, int64_t id, const char *run, const char *message, bool occupied,
	       int64_t now_us, struct err *err);
/* A result or folder of another run was found: the job is held. */
int queue_conflict(struct queue *queue, int64_t id, const char *message, int64_t now_us,
		   struct err *err);
/* The database was restored from a backup (store_restored()): holds what waits or ran, pauses
 * schedules, doubts what is live, leaves a gap in the ids, and draws a line under it, in this
 * transaction. RUN_DIRECTORY: a run that goes on is left to be adopted. */
int queue_restored(struct queue *queue, const char *run_directory, int64_t backup_us,
		   int64_t now_us, struct err *err);
/* Removes records of finished jobs that are more than keep-jobs and that nothing needs, a few of
 * one stage a call, inside a savepoint of the caller's: 1 while there may be more, 0 at the end. AT
 * is where the walk is, {0} for its beginning. */
struct queue_pruning {
	char application[64], stage[64];
	int64_t after[2]; /* finish and id */
	bool inside;	  /* there is more of this stage */
};
int queue_prune(struct queue *queue, struct queue_pruning *at, int64_t now_us, struct err *err);
/* After a start of bmd: --now jobs that waited over a stop longer than their grace are held;
 * LAST_ALIVE: what may be longer ago is known not to be. POSTPONE: how long it was down is not
 * known yet, or could not be committed: those jobs wait until it is judged again. */
int queue_after_downtime(struct queue *queue, int64_t last_alive_us, int64_t now_us,
			 struct err *err);
void queue_postpone_downtime(struct queue *queue);
/* Is the build that a bare redeploy takes ready? Fills a row of the Check method. New reference. */
/* A run of JOB found the stored file OBJECT missing or damaged: its build is marked. The manifests
 * concerned, an array of digests. */
json_t *queue_mark_damaged(struct queue *queue, int64_t id, const char *object);
json_t *queue_check(struct queue *queue, const char *application, const char *stage,
		    int64_t now_us);

/* In the form of the interface file; NOW for texts such as "in 6 h 20 min". New references. */
json_t *queue_job_json(struct queue *queue, const struct job *job, bool steps, int64_t now_us);
/* {kind, text}, or null for a job that waits for nothing. */
json_t *queue_waits_for(struct queue *queue, const struct job *job, int64_t now_us);
/* What a request to the stage has to say besides, such as the one for the way back: {reason,
 * confirmed}. */
json_t *queue_wants_json(const struct queue *queue, const char *application, const char *stage);
json_t *queue_live_json(const struct history_entry *live); /* null for NULL */
json_t *queue_stage_json(struct queue *queue, const char *application, const char *stage,
			 int64_t now_us);
json_t *queue_build_json(struct queue *queue, const struct store_build *build, bool deployments);

#endif
