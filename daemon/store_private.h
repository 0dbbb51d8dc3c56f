/* SPDX-License-Identifier: ISC */
/*
 * What the two files of the store share: store_open.c makes, checks and opens the file; store.c asks and writes.
 */
#ifndef DAEMON_STORE_PRIVATE_H
#define DAEMON_STORE_PRIVATE_H

#include <sqlite3.h>

#include "daemon/store.h"

// clang-format off
/* Columns of jobs but id, final and expires_us: name, type in SQL, how it is bound and read, field of struct job. */
#define STORE_JOB_COLUMNS(X)                                                                             \
	X(state,	  "TEXT NOT NULL",    STATE,   state)					   \
	X(application,	  "TEXT NOT NULL",    ARRAY,   application)				   \
	X(stage,	  "TEXT NOT NULL",    ARRAY,   stage)					   \
	X(plan,		  "TEXT NOT NULL",    ARRAY,   plan)					   \
	X(release,	  "TEXT NOT NULL",    ARRAY,   build.release)				   \
	X(number,	  "INTEGER NOT NULL", INT,     build.number)				   \
	X(redeploy,	  "INTEGER NOT NULL", FLAG,    redeploy)				   \
	X(timed,	  "INTEGER NOT NULL", FLAG,    timed)					   \
	X(automatic,	  "INTEGER NOT NULL", FLAG,    automatic)				   \
	X(mode,		  "TEXT",	      MODE,    mode)					   \
	X(from_release,	  "TEXT NOT NULL",    ARRAY,   from.release)				   \
	X(from_number,	  "INTEGER NOT NULL", INT,     from.number)				   \
	X(reason,	  "TEXT",	      STRING,  reason)					   \
	X(requested_by,	  "TEXT NOT NULL",    ARRAY,   requested_by)				   \
	X(uid,		  "INTEGER NOT NULL", INT,     uid)					   \
	X(created_us,	  "INTEGER NOT NULL", INT,     created_us)				   \
	X(due_us,	  "INTEGER NOT NULL", INT,     due_us)					   \
	X(due_text,	  "TEXT",	      STRING,  due_text)				   \
	X(zone,		  "TEXT NOT NULL",    ARRAY,   zone)					   \
	X(boot,		  "TEXT NOT NULL",    ARRAY,   boot)					   \
	X(boot_due_us,	  "INTEGER NOT NULL", INT,     boot_due_us)				   \
	X(grace_us,	  "INTEGER NOT NULL", INT,     grace_us)				   \
	X(grace_from_us,  "INTEGER NOT NULL", INT,     grace_from_us)				   \
	X(asked_us,	  "INTEGER NOT NULL", INT,     asked_us)				   \
	X(started_us,	  "INTEGER NOT NULL", INT,     started_us)				   \
	X(finished_us,	  "INTEGER NOT NULL", INT,     finished_us)				   \
	X(ended_by,	  "TEXT",	      STRING,  ended_by)				   \
	X(message,	  "TEXT",	      STRING,  message)					   \
	X(failed_step,	  "TEXT",	      STRING,  failed_step)				   \
	X(hold_reason,	  "TEXT",	      STRING,  hold_reason)				   \
	X(exit_code,	  "INTEGER NOT NULL", INT32,   exit_code)				   \
	X(if_changed,	  "TEXT NOT NULL",    CHANGED, if_changed)				   \
	X(expected_release, "TEXT NOT NULL",  ARRAY,   expected.release)			   \
	X(expected_number, "INTEGER NOT NULL", INT,    expected.number)				   \
	X(ahead,	  "TEXT",	      LIST,    ahead)					   \
	X(variables,	  "TEXT",	      MAP,     variables)				   \
	X(run,		  "TEXT NOT NULL",    ARRAY,   run)					   \
	X(boot_run,	  "TEXT NOT NULL",    ARRAY,   boot_run)				   \
	X(request_digest, "TEXT NOT NULL",    ARRAY,   request_digest)				   \
	X(plan_digest,	  "TEXT NOT NULL",    ARRAY,   plan_digest)				   \
	X(not_before_us,  "INTEGER NOT NULL", INT,     not_before_us)				   \
	X(attempts,	  "INTEGER NOT NULL", INT32,   attempts)				   \
	X(event_seq,	  "INTEGER NOT NULL", INT,     event_seq)				   \
	X(began,	  "INTEGER NOT NULL", FLAG,    began)					   \
	X(cancel_by,	  "TEXT",	      STRING,  cancel_by)				   \
	X(cancel_now,	  "INTEGER NOT NULL", FLAG,    cancel_now)

/* Conditions that stand in an index and, as the same text, in the queries that it serves. */
#define STORE_ACTIVE "(state = 'starting' OR state = 'running')"
#define STORE_FAILED "(state = 'failed' OR state = 'lost')"
// clang-format on

/* The history of a stage as it was read; good while nothing that it is made of changed. */
struct store_cached {
	char application[64], stage[64];
	uint64_t generation;
	struct history history;
};

struct store {
	char *path;
	int folder_fd; /* holds the lock */
	sqlite3 *db;
	sqlite3_stmt **statements; /* in the order of store.c's table */
	bool open;    /* between store_begin and its end */
	bool spoiled; /* SQLite rolled the open transaction back on its own */
	int changes_at_begin;
	int64_t alive_us;
	int keys_added;
	uint64_t generation;
	struct store_cached *cache;
	size_t ncache, room_cache;
	int64_t written[STORE_WRITTEN_MAX]; /* jobs, since somebody asked last */
	size_t nwritten; /* one more than fits: too many to name */
};

/* store.c */
int store_prepare(struct store *store, struct err *err); /* all statements */
void store_finalize(struct store *store);

/* store_open.c: sentences for a file that cannot be used */
int store_open_failed(struct store *store, int code, struct err *err);
int store_damaged(struct store *store, const char *what, struct err *err);

#endif
