/* SPDX-License-Identifier: ISC */
/*
 * The database: its files (store*.c) are the only ones that know SQLite. One connection, exclusive,
 * WAL, FULL. Every mutating function runs inside the open transaction (store_begin … store_commit);
 * store_savepoint parts one request from the others of its turn.
 *
 * Errors: -ENOSPC (NO_SPACE: nothing happened), -ENOENT, -EEXIST where said; any other failure of
 * the database is STORE_BROKEN: nothing is promised of what was asked. Of store_begin() and
 * store_commit() it says more: the process must end, and recover by reading. Times and ids are made
 * by the caller. Lists answer at most LIMIT rows and go on by key. A callback may write; one that
 * answers non-zero ends the list, a negative number becomes the list's answer.
 */
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "daemon/history.h"
#include "daemon/job.h"

#define STORE_BROKEN (-EIO)

struct store;

/* Opens STATE_DIRECTORY/bmd.db, makes it where there is none, migrates (a copy before), reads the
 * settings back, checks it. A damaged or foreign file, a newer version, another holder are errors
 * that say how to go on; the file is never replaced. */
int store_open(const char *state_directory, struct store **ret_store, struct err *err);
void store_close(struct store *store); /* NULL is fine */

int store_begin(struct store *store, struct err *err); /* a no-op inside a transaction */
/* also records now as "last alive"; a no-op outside */
int store_commit(struct store *store, int64_t now_us, struct err *err);
void store_rollback(struct store *store);
bool store_in_transaction(const struct store *store);
int store_savepoint(struct store *store, struct err *err);
int store_release(struct store *store, struct err *err);
/* The same for a request that refuses nothing behind its first write: it costs nothing. */
int store_mark(struct store *store, struct err *err);
/* Back to the savepoint, or to the mark. False: something was written since the mark, and the
 * commit of this transaction will fail for all that is in it (-ENOSPC). */
bool store_rollback_savepoint(struct store *store);
int64_t store_last_alive(struct store *store); /* µs; 0 for a fresh database */
/* The commit of this transaction is the last of this life: it says that the process ends in order.
 * Was the last one such? Then store_last_alive() is when it ended; else it is the last that is
 * known of it. Asked before the first commit. */
void store_end(struct store *store);
bool store_ended(struct store *store);
/* The highest time at which anything was committed; 0 for a fresh database. NOW is believed: what
 * was higher is forgotten. */
int64_t store_highest(const struct store *store);
int store_forget_highest(struct store *store, int64_t now_us, struct err *err);
/* A number that is kept under a NAME of the program's; 0 when it was never put. */
int store_number_get(struct store *store, const char *name, int64_t *ret_value, struct err *err);
int store_number_put(struct store *store, const char *name, int64_t value, struct err *err);
/* A whole copy as the file PATH: checked, synced, renamed. Outside of transactions. */
int store_backup(struct store *store, const char *path, struct err *err);

/* The same as the file PATH while bmd goes on, PAGES at a time, outside of transactions; it is not
 * synced. Each step: 1 to go on, 0 when it is whole and closed, or an error (NO_SPACE, FAILED),
 * which hurts nobody else. What is not whole is the caller's to remove. */
struct store_copy;
int store_copy_begin(struct store *store, const char *path, struct store_copy **ret_copy,
		     struct err *err);
int store_copy_step(struct store_copy *copy, int pages, int *ret_done, int *ret_total,
		    struct err *err);
void store_copy_end(struct store_copy *copy); /* NULL is fine */
/* Was this database restored from such a copy, or has it lost commits at its end (how many at
 * least; 0: none)? Up to when it knows, µs, or 0. It stays so until store_restored_done() is
 * committed. */
int64_t store_restored(const struct store *store);
int64_t store_lost_commits(const struct store *store);
int store_restored_done(struct store *store, struct err *err);

/* Keeps BYTES (of a small disk, a part of it) on disk for what bmd has to record when others have
 * filled it. Without them it goes on; the error is for the log. Again after a change of BYTES; 0
 * gives them up. */
int store_reserve(struct store *store, int64_t bytes, struct err *err);
/* Is so little free that what is left is kept for the results of runs? */
bool store_low(const struct store *store, int64_t *ret_free);
int store_refuse_low(struct store *store, struct err *err); /* -ENOSPC (NO_SPACE), or 0 */
struct store_usage {
	/* of the -wal; on disk for it; wanted beyond its end */
	int64_t wal_bytes, reserved_bytes, reserve_bytes;
	int64_t disk_bytes, free_bytes, database_bytes, audit_rows;
};
void store_usage(struct store *store, struct store_usage *ret_usage);

/* What the opening found and did not refuse: sentences for the log and for status. Borrowed; NULL:
 * nothing. */
const json_t *store_notes(const struct store *store);
/* A record of what is over on a stage changed on disk, and no human has settled the stage since: 1,
 * or 0. */
struct store_damage {
	int64_t job;	  /* 0: none */
	int64_t since_us; /* when bmd was known to be alive before it found that */
	char text[128];
};
int store_damage_stage(struct store *store, const char *application, const char *stage,
		       struct store_damage *ret, struct err *err);
/* what became of its record; NULL: nothing. free() */
char *store_damage_job(struct store *store, int64_t job);
int store_damage_settle(struct store *store, const char *application, const char *stage,
			struct err *err);

/* The audit: a chain of rows, one for each change that somebody asked for, allowed or refused. */
struct store_audit {
	int64_t id; /* what adds it sets it, and the hash */
	int64_t at_us, uid;
	const char *who, *what;			/* "Deploy", "Lock", …: the method */
	const char *application, *stage, *text; /* NULL when none */
	int64_t job;				/* 0: none */
	int64_t refused;			/* how many refusals it counts; 0: it was done */
	/* of the (last) refusal, without its interface; NULL when none */
	const char *error;
	char hash[DIGEST_SIZE];
};
int store_audit(struct store *store, const struct store_audit *audit, struct err *err);
/* Newest first, below BEFORE_ID (0: from the newest), at most LIMIT, until BACK returns
 * non-zero. */
int store_audit_each(struct store *store, int64_t before_id, int limit,
		     int (*back)(const struct store_audit *row, void *arg), void *arg,
		     struct err *err);
/* Where the committed chain ends: its last row (0: none) and that one's hash. */
struct store_audit_head {
	int64_t id;
	char hash[DIGEST_SIZE];
};
struct store_audit_head store_audit_head(const struct store *store);
/* Did it end elsewhere, when the database was opened, than where bmd had left it? */
bool store_audit_broken(const struct store *store);
/* Follows the chain from its beginning to the head of the moment, LIMIT rows a call: 1 while there
 * is more, 0 at the end. */
struct store_audit_check {
	struct store_audit_head end;  /* where it must lead to */
	struct store_audit_head at;   /* good up to here */
	struct store_audit_head base; /* the last row that was cut; id 0: none was */
	int64_t bad;		      /* the first row that is wrong; 0: none */
	const char *problem;	      /* what it is, a half-sentence */
	const char *noted;	      /* a hash to be looked for, or NULL */
	int64_t noted_id;	      /* the row that has it; 0: none up to here */
	int read;		      /* rows, by the last call */
};
/* Removes what was added before BEFORE_US, of the oldest MOST rows, and adds one that says so;
 * nothing when they are few. */
int store_audit_cut(struct store *store, int64_t before_us, int64_t now_us, int most,
		    struct err *err);
void store_audit_check_begin(struct store *store, struct store_audit_check *ret_check);
int store_audit_check(struct store *store, struct store_audit_check *check, int limit,
		      struct err *err);

/* Keys of requests: 1 and the answer given before (free()), 0 if KEY is new, -EEXIST (KEY_REUSED)
 * when the body differs. */
int store_key_find(struct store *store, int64_t uid, const char *key, const char *digest,
		   char **ret_reply, struct err *err);
/* JOB: the one that the reply is about, whose record stays as long as the key does; 0: none. */
int store_key_add(struct store *store, int64_t uid, const char *key, const char *digest,
		  const char *reply, int64_t job, int64_t now_us, struct err *err);
/* Drops keys older than 7 days and all but the newest 100,000. NOW of keys is a clock that nobody
 * sets: see queue_steady_us(). */
int store_keys_prune(struct store *store, int64_t now_us, struct err *err);

/* Builds */
struct store_artifact {
	char name[64], digest[65];
	int64_t files, bytes;
};
struct store_build {
	int64_t id;
	char application[64];
	struct build_ref build;
	bool rejected;
	char *rejected_by, *rejected_reason; /* NULL unless rejected */
	int64_t rejected_us;
	char *pinned_by, *pin_reason; /* NULL unless pinned; without a reason when none was given */
	int64_t pinned_us;
	int64_t created_us;
	char created_by[64];
	int64_t uid;
	char *note;	   /* NULL when none */
	char *signature;   /* a file of minisign, see common/signature.h; NULL when none */
	json_t *variables; /* object */
	struct store_artifact *artifacts;
	size_t nartifacts;
};
void store_build_clear(struct store_build *build);
/* Number 0: the next of its release; BUILD is updated. -EEXIST when that number is there. */
int store_build_add(struct store *store, struct store_build *build, struct err *err);
/* -ENOENT (NO_SUCH_BUILD) */
int store_build_get(struct store *store, const char *application, const struct build_ref *ref,
		    struct store_build *ret_build, struct err *err);
/* REASON NULL: restored */
int store_build_reject(struct store *store, int64_t id, const char *by, int64_t now_us,
		       const char *reason, struct err *err);
/* BY NULL: unpinned */
int store_build_pin(struct store *store, int64_t id, const char *by, int64_t now_us,
		    const char *reason, struct err *err);
int store_build_sign(struct store *store, int64_t id, const char *signature, struct err *err);
/* Forgets a build and all that names its files; that it was there stays known, and its number is
 * never given again. */
int store_build_collect(struct store *store, const struct store_build *build, const char *by,
			int64_t now_us, struct err *err);
/* Was there such a build once? When it was collected, or 0. */
int store_build_collected(struct store *store, const char *application, const struct build_ref *ref,
			  int64_t *ret_us, struct err *err);
/* Every manifest that a build of any application names, configured or not: once, in order of
 * digests. New array. */
int store_manifests(struct store *store, json_t **ret_digests, struct err *err);
/* Does a build name this manifest? */
int store_manifest_used(struct store *store, const char *digest, bool *ret_used, struct err *err);
/* The builds that name it, the newest LIMIT of them: {application, release, build, artifact}. New
 * array. */
int store_manifest_builds(struct store *store, const char *digest, int limit, json_t **ret_builds,
			  struct err *err);
/* Newest first, below AFTER_ID (0: from the newest). RELEASE NULL: all. Calls BACK until it returns
 * non-zero. */
int store_build_each(struct store *store, const char *application, const char *release,
		     int64_t after_id, int limit,
		     int (*back)(const struct store_build *build, void *arg), void *arg,
		     struct err *err);
/* Number of builds of RELEASE, and its newest that is not rejected / that succeeded on STAGE (0:
 * none). */
int store_release_look(struct store *store, const char *application, const char *release,
		       const char *stage, int64_t *ret_builds, int64_t *ret_newest_active,
		       int64_t *ret_newest_succeeded, struct err *err);
/* The lowest number of a release: that of its only build. -ENOENT is not answered: 0 when there is
 * none. */
int store_release_only(struct store *store, const char *application, const char *release,
		       int64_t *ret_number, struct err *err);
/* Distinct releases of an application, newest first, at most LIMIT: array of strings, for
 * suggestions. */
int store_releases(struct store *store, const char *application, int limit, json_t **ret_releases,
		   struct err *err);

/* Jobs */
int store_job_highest(struct store *store, int64_t *ret_id, struct err *err);
/* job->id is the caller's */
int store_job_add(struct store *store, const struct job *job, struct err *err);
/* -ENOENT (NO_SUCH_JOB) */
int store_job_get(struct store *store, int64_t id, struct job *ret_job, struct err *err);
/* what that says of a job that is not there */
int store_job_missing(struct store *store, int64_t id, struct err *err);
/* Writes every column of JOB, if its state in the database is EXPECTED and its run id is RUN (NULL:
 * any); else -ESTALE. */
int store_job_update(struct store *store, const struct job *job, enum job_state expected,
		     const char *run, struct err *err);
/* Ids of the jobs that were written since the last call (also by what was rolled back), for those
 * who watch them: how many, the array being good until the next write; STORE_WRITTEN_MAX + 1 when
 * they are too many to name. */
#define STORE_WRITTEN_MAX 1024
size_t store_jobs_written(struct store *store, const int64_t **ret_ids);
/* Jobs in STATE, in order of due time and id, with due ≤ DUE_US (INT64_MAX: all), after (AFTER_DUE,
 * AFTER_ID). */
int store_job_each_state(struct store *store, enum job_state state, int64_t due_us,
			 int64_t after_due_us, int64_t after_id, int limit,
			 int (*back)(const struct job *job, void *arg), void *arg, struct err *err);
/* Jobs of one stage that are not final, in order of due time and id. */
int store_job_each_open(struct store *store, const char *application, const char *stage,
			int (*back)(const struct job *job, void *arg), void *arg, struct err *err);
/* The queued ones alone; and the first of them: 1 and the job, or 0. */
int store_job_each_queued(struct store *store, const char *application, const char *stage,
			  int (*back)(const struct job *job, void *arg), void *arg,
			  struct err *err);
int store_job_first_queued(struct store *store, const char *application, const char *stage,
			   struct job *ret_job, struct err *err);
/* The next one behind (AFTER_DUE, AFTER_ID); REASONED: of those that have a reason; BOOT, unless
 * NULL: of those that no wall clock made due, being --now or relative within this boot. */
int store_job_queued_after(struct store *store, const char *application, const char *stage,
			   int64_t after_due_us, int64_t after_id, bool reasoned, const char *boot,
			   struct job *ret_job, struct err *err);
/* Jobs in STATE that count elapsed time within BOOT, as store_job_each_state(); and the earliest
 * due time of those that are scheduled (INT64_MAX: none). */
int store_job_each_relative(struct store *store, enum job_state state, const char *boot,
			    int64_t due_us, int64_t after_due_us, int64_t after_id, int limit,
			    int (*back)(const struct job *job, void *arg), void *arg,
			    struct err *err);
int store_job_next_relative(struct store *store, const char *boot, int64_t *ret_due_us,
			    struct err *err);
/* The next stage behind (APPLICATION, STAGE) that has queued jobs: 1 and its names, 0 at the end.
 * Begin with "", "". */
int store_job_queued_stage(struct store *store, char application[64], char stage[64],
			   struct err *err);
/* Queued timed jobs whose grace ended before NOW, and when the next one's ends (INT64_MAX:
 * none). */
int store_job_each_expired(struct store *store, int64_t now_us, int limit,
			   int (*back)(const struct job *job, void *arg), void *arg,
			   struct err *err);
int store_job_next_expiry(struct store *store, int64_t *ret_us, struct err *err);
/* The first job of a stage that is held; the first that will start by itself (queued or scheduled).
 * 0 if none. */
int store_job_first_held(struct store *store, const char *application, const char *stage,
			 int64_t *ret_id, struct err *err);
int store_job_first_next(struct store *store, const char *application, const char *stage,
			 int64_t *ret_id, struct err *err);
/* Ids of the jobs of a stage that are not final and stand before (DUE, ID) in line, the nearest
 * LIMIT of them in order. ID INT64_MAX: of one that is newer than all. */
int store_job_ahead(struct store *store, const char *application, const char *stage, int64_t due_us,
		    int64_t id, int limit, json_t **ret_ids, struct err *err);
/* The job that is starting or running on a stage: 1 and the job, or 0. How many there are over all,
 * and how many of these run. */
int store_job_active(struct store *store, const char *application, const char *stage,
		     struct job *ret_job, struct err *err);
int store_job_active_count(struct store *store, int64_t *ret_count, struct err *err);
int store_job_running_count(struct store *store, int64_t *ret_count, struct err *err);
/* All jobs that are not final, application NULL: all; for listings, by (due, id), paged as
 * above. */
int store_job_each_waiting(struct store *store, const char *application, int64_t after_due_us,
			   int64_t after_id, int limit,
			   int (*back)(const struct job *job, void *arg), void *arg,
			   struct err *err);
/* Final jobs, newest finished first; STAGE, APPLICATION NULL: all; finished ≥ SINCE_US; before
 * (BEFORE_US, BEFORE_ID) unless 0. */
int store_job_each_final(struct store *store, const char *application, const char *stage,
			 int64_t since_us, int64_t before_us, int64_t before_id, int limit,
			 int (*back)(const struct job *job, void *arg), void *arg, struct err *err);
/* Every job of a build, newest first: its promotions. */
int store_job_each_build(struct store *store, const char *application,
			 const struct build_ref *build, int limit,
			 int (*back)(const struct job *job, void *arg), void *arg, struct err *err);
/* Earliest due time of a scheduled job; INT64_MAX if none. */
int store_job_next_due(struct store *store, int64_t *ret_due_us, struct err *err);
/* open states only */
int store_job_count(struct store *store, int64_t ret_counts[JOB_STATE_MAX_], struct err *err);
/* Of one stage: how many there are, and how many of them run. */
int store_job_count_stage(struct store *store, const char *application, const char *stage,
			  int64_t *ret_open, int64_t *ret_running, struct err *err);
/* When the newest request of those that wait on a stage was made; 0: none waits. */
int store_job_last_asked(struct store *store, const char *application, const char *stage,
			 int64_t *ret_us, struct err *err);
/* The job of a stage that ended last as failed or lost, whatever came after; 0 if none. */
int store_job_last_failed(struct store *store, const char *application, const char *stage,
			  int64_t *ret_id, struct err *err);
/* 1, or 0 */
int store_succeeded(struct store *store, const char *application, const char *stage,
		    const struct build_ref *build, struct err *err);
/* The last run of a build on a stage that began a step: id (0: none), plan digest, finish. */
int store_last_run(struct store *store, const char *application, const char *stage,
		   const struct build_ref *build, int64_t *ret_job, char ret_plan_digest[65],
		   int64_t *ret_finished_us, struct err *err);

/* Records of finished jobs that are too many, see queue_prune(). The next stage behind
 * (APPLICATION, STAGE) that has any: 1, or 0. */
int store_final_stage(struct store *store, char application[64], char stage[64], struct err *err);
/* Ids of those beyond the newest KEEP of a stage, the oldest first, behind AT (finish, id;
 * {INT64_MIN, 0}: from the first), which is moved. How many. */
int store_surplus(struct store *store, const char *application, const char *stage, int keep,
		  int64_t at[2], int limit, int64_t *ret_ids, struct err *err);
/* Where the newest LIMIT irreversible steps of a stage begin; INT64_MIN: there are not so many. */
int store_undone_from(struct store *store, const char *application, const char *stage, int limit,
		      int64_t *ret_us, struct err *err);
/* Does anything else name this finished job? Irreversible steps do from UNDONE_US on. */
int store_job_needed(struct store *store, int64_t id, int64_t undone_us, bool *ret_needed,
		     struct err *err);
/* with its steps; the id is never given again */
int store_job_remove(struct store *store, int64_t id, struct err *err);
/* the highest id that was removed so; 0: none was */
int store_jobs_pruned(struct store *store, int64_t *ret_highest, struct err *err);

/* Steps of runs */
struct store_step {
	int index;
	char name[64], state[16]; /* running succeeded failed cancelled ignored skipped */
	int64_t started_us, finished_us;
	int exit_code, signal, attempt;
	bool irreversible;
	char *message;
};
int store_step_put(struct store *store, int64_t job, const struct store_step *step,
		   struct err *err);
int store_step_each(struct store *store, int64_t job,
		    int (*back)(const struct store_step *step, void *arg), void *arg,
		    struct err *err);
/* Irreversible steps, of other builds than BUT, that began on the stage after SINCE_US: job, build,
 * step name; the newest LIMIT, newest first. */
int store_irreversible_each(struct store *store, const char *application, const char *stage,
			    const struct build_ref *but, int64_t since_us, int limit,
			    int (*back)(int64_t job, const struct build_ref *build,
					const char *step, void *arg),
			    void *arg, struct err *err);

/* Stages */
struct store_stage {
	char application[64], stage[64];
	char *locked_by, *lock_reason;	  /* NULL when not locked */
	int64_t locked_us, lock_until_us; /* until 0: open end */
	bool dirty;
	int64_t dirty_job, dirty_us; /* job 0: settled as unknown */
	int64_t occupied_job;	     /* a dead run whose processes may still be there; 0: none */
};
void store_stage_clear(struct store_stage *stage);
/* A stage that was never written is clean and free. */
int store_stage_get(struct store *store, const char *application, const char *stage,
		    struct store_stage *ret_stage, struct err *err);
int store_stage_put(struct store *store, const struct store_stage *stage, struct err *err);
/* Stack, dirty and running filled in, with rejections as they are now. history_clear() it. */
int store_history_get(struct store *store, const char *application, const char *stage,
		      struct history *ret_history, struct err *err);
/* Writes the stack as it is now (only what differs). */
int store_history_put(struct store *store, const struct history *history, struct err *err);
/* Names of the stages of APPLICATION that the database knows anything of, configured or not. New
 * array of strings. */
int store_stages(struct store *store, const char *application, json_t **ret_stages,
		 struct err *err);
/* Where builds are live: calls BACK for each stage with something live, APPLICATION NULL: all. */
int store_live_each(struct store *store, const char *application,
		    int (*back)(const char *application, const char *stage,
				const struct history_entry *live, void *arg),
		    void *arg, struct err *err);

/* Schedules: recurring deployments. */
struct store_schedule {
	int64_t id;
	char application[64], stage[64];
	/* of a section of the configuration; NULL for one that was added by command */
	char *name, *file;
	int64_t line;
	char *wanted;	  /* "live", a release, or release/number */
	char *calendar;	  /* as it was typed, see common/time/calendar.h */
	char zone[64];	  /* that it is read in; a zone written in it counts first */
	char *reason;	  /* NULL when none */
	int64_t grace_us; /* < 0: the configuration's */
	enum job_if_changed if_changed;
	json_t *variables; /* object */
	int64_t created_us, uid;
	char created_by[64];
	/* NULL unless paused; without a reason when none was given */
	char *paused_by, *pause_reason;
	int64_t paused_us;
	int64_t after_us; /* occurrences up to this moment are done with */
	/* so are those up to this one, once it has passed: the clock was put back over it. 0: it
	 * was not */
	int64_t done_us;
};
void store_schedule_clear(struct store_schedule *schedule);
/* makes its id */
int store_schedule_add(struct store *store, struct store_schedule *schedule, struct err *err);
/* -ENOENT (NO_SUCH_SCHEDULE) */
int store_schedule_get(struct store *store, int64_t id, struct store_schedule *ret_schedule,
		       struct err *err);
int store_schedule_missing(int64_t id, struct err *err);
int store_schedule_put(struct store *store, const struct store_schedule *schedule, struct err *err);
int store_schedule_remove(struct store *store, int64_t id, struct err *err);
/* In order of ids, behind AFTER_ID; APPLICATION, NAME NULL: all. */
int store_schedule_each(struct store *store, const char *application, const char *name,
			int64_t after_id, int limit,
			int (*back)(const struct store_schedule *schedule, void *arg), void *arg,
			struct err *err);
int store_schedule_count(struct store *store, int64_t *ret_count, struct err *err);
/* Its job that waits (also while it is being started), other than EXCEPT; its newest job that does
 * not. 0: none. */
int store_schedule_waiting(struct store *store, int64_t id, int64_t except, int64_t *ret_job,
			   struct err *err);
int store_schedule_last(struct store *store, int64_t id, int64_t *ret_job, struct err *err);

/* Zones in which waiting jobs were given, and the digest of the file that their times were reckoned
 * by. */
/* 1, or 0: not noted */
int store_zone_get(struct store *store, const char *zone, char ret_digest[65], struct err *err);
int store_zone_put(struct store *store, const char *zone, const char *digest, struct err *err);
int store_zone_each(struct store *store,
		    int (*back)(const char *zone, const char *digest, void *arg), void *arg,
		    struct err *err);

/* Notices: the outbox. A row waits until it is delivered or given up; of those that do not wait the
 * newest stay for a while. */
enum store_notice_state { STORE_NOTICE_WAITING, STORE_NOTICE_DELIVERED, STORE_NOTICE_GIVEN_UP };
struct store_notice {
	int64_t id;
	/* what the receiver knows it by: the same at each attempt */
	char uid[33];
	/* the notify section: of an application, or "" for bmd.conf */
	char scope[64], name[64];
	char event[16];
	char application[64], stage[64]; /* that it is about; "": none */
	int64_t job;			 /* 0: none */
	char *body;			 /* the JSON text that is sent */
	int64_t created_us;
	/* the same by a clock that nobody sets, see queue_steady_us(); 0: not known */
	int64_t steady_us;
	enum store_notice_state state;
	int attempts;
	int64_t next_us;  /* while it waits: not before */
	int64_t tried_us; /* the last attempt; 0: none */
	char *error;	  /* of that; NULL: none */
};
void store_notice_clear(struct store_notice *notice);
const char *store_notice_state_name(enum store_notice_state state);
/* makes its id */
int store_notice_add(struct store *store, struct store_notice *notice, struct err *err);
/* 1, or 0: there is none */
int store_notice_get(struct store *store, int64_t id, struct store_notice *ret_notice,
		     struct err *err);
/* What an attempt changed: state, attempts, next_us, tried_us, error. */
int store_notice_put(struct store *store, const struct store_notice *notice, struct err *err);
/* The next section behind (SCOPE, NAME) for which something waits: 1 and its names, 0 at the end.
 * Begin with "", "". */
int store_notice_section(struct store *store, char scope[64], char name[64], struct err *err);
/* What waits for a section and is to be tried first: 1, or 0. */
int store_notice_next(struct store *store, const char *scope, const char *name,
		      struct store_notice *ret_notice, struct err *err);
/* The oldest that waits: 1, or 0. */
int store_notice_oldest(struct store *store, struct store_notice *ret_notice, struct err *err);
/* How many wait; how many of them have failed before; how many were given up since SINCE_US. */
struct store_notice_counts {
	int64_t waiting, failing, given_up;
};
int store_notice_count(struct store *store, int64_t since_us,
		       struct store_notice_counts *ret_counts, struct err *err);
/* Newest first, below BEFORE_ID (0: from the newest). BACK's non-zero answer ends it. */
int store_notice_each(struct store *store, int64_t before_id, int limit,
		      int (*back)(const struct store_notice *notice, void *arg), void *arg,
		      struct err *err);
/* Of each kind that does not wait, all but the newest KEEP go. */
int store_notice_prune(struct store *store, int keep, struct err *err);

/* For tests: EXPLAIN QUERY PLAN of every prepared statement, as "SQL\nplan\n" lines. free(). */
char *store_explain(struct store *store);

#endif
