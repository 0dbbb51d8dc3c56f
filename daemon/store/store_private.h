/* SPDX-License-Identifier: ISC */
/*
 * What the files of the store share. store_open.c makes, checks and opens the file, with
 * store_file.c, store_check.c and store_migrate.c; store_statement.c keeps all statements;
 * store_row.c is what the others build on; each other file owns one subject and the table of its
 * statements:
 *
 *	#define STATEMENTS(X)                                              \
 *		X(NOTE_ADD, "INSERT INTO notes VALUES (?1, ?2)")           \
 *		X(NOTE_GET, "SELECT text FROM notes WHERE id = ?1")
 *	STORE_PART(note, STATEMENTS)
 *
 * and one line in STORE_PARTS below, is all that a new file store_note.c needs; it then says
 * statement(store, S_NOTE_GET).
 */
#ifndef DAEMON_STORE_STORE_PRIVATE_H
#define DAEMON_STORE_STORE_PRIVATE_H

#define SQLITE_ENABLE_PREUPDATE_HOOK /* for its declarations; configure asks the library */
#include <sqlite3.h>

#include "daemon/store/store.h"

// clang-format off
/* Columns of jobs but id, final and expires_us: name, type in SQL, how it is bound and read, field of struct job. First those
   that version 1 made, then those that later versions added. */
#define STORE_JOB_COLUMNS_1(X)                                                                             \
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
#define STORE_JOB_COLUMNS(X)                                                                             \
	STORE_JOB_COLUMNS_1(X)                                                                           \
	X(schedule,	  "INTEGER NOT NULL", INT,     schedule)				   \
	X(occurrence_us,  "INTEGER NOT NULL", INT,     occurrence_us)				   \
	X(wanted,	  "TEXT",	      STRING,  wanted)					   \
	X(wall_s,	  "INTEGER NOT NULL", INT,     wall_s)					   \
	X(overrides,	  "TEXT",	      MAP,     overrides)					   \
	X(approved_by,	  "TEXT",	      STRING,  approved_by)				   \
	X(approved_us,	  "INTEGER NOT NULL", INT,     approved_us)				   \
	X(answers_uid,	  "INTEGER NOT NULL", INT,     answers_uid)

/* Conditions that stand in an index and, as the same text, in the queries that it serves. */
#define STORE_ACTIVE "(state = 'starting' OR state = 'running')"
#define STORE_HIGHEST "highest_time"
#define STORE_FAILED "(state = 'failed' OR state = 'lost')"
// clang-format on

/* In the header of the file: "bmd1"; "bmdB" in a copy that was made as a backup. */
#define STORE_APPLICATION_ID 0x626d6431
#define STORE_BACKUP_ID	     0x626d6442

/* Every file that has statements. */
#define STORE_PARTS(X) \
	X(damage)      \
	X(base)        \
	X(audit)       \
	X(build)       \
	X(job)         \
	X(step)        \
	X(history)     \
	X(schedule)    \
	X(zone)        \
	X(notice)      \
	X(prune)

enum store_part {
#define X(name) STORE_PART_##name,
	STORE_PARTS(X)
#undef X
	    STORE_PART_MAX_
};

/* What a file brings: the texts, in the order of its enum statement. */
struct store_texts {
	const char *const *texts;
	unsigned n;
};
#define X(name) extern const struct store_texts store_texts_##name;
STORE_PARTS(X)
#undef X

/* The statements of one file, and how it gets them. */
#define STORE_SYMBOL_(symbol, sql) S_##symbol,
#define STORE_TEXT_(symbol, sql)   [S_##symbol] = (sql),
#define STORE_PART(name, table)                                                          \
	enum statement { table(STORE_SYMBOL_) S_MAX_ };                                  \
	static const char *const texts[S_MAX_] = {table(STORE_TEXT_)};                   \
	const struct store_texts store_texts_##name = {texts, S_MAX_};                   \
	static inline sqlite3_stmt *statement(struct store *store, enum statement which) \
	{                                                                                \
		sqlite3_stmt **st = &store->statements[STORE_PART_##name][which];        \
		return *st ? *st : store_prepare(store, st, texts[which]);               \
	}

/* The history of a stage as it was read; good while nothing that it is made of changed. */
struct store_cached {
	char application[64], stage[64];
	uint64_t generation;
	struct history history;
};

struct store_seals; /* store_seal.c */

struct store {
	char *path;
	int folder_fd; /* holds the lock */
	int wal_fd;    /* store_reserve.c; -1: none */
	/* wanted beyond the end of the -wal; allocated in all; its size */
	int64_t reserve, reserved, wal_bytes;
	int reserve_errno;
	sqlite3 *db;
	sqlite3_stmt **statements[STORE_PART_MAX_];
	/* behind a place of the -wal that changed on disk, or at the end: at least so many */
	int64_t lost_commits;
	int last_fd;	 /* store_last.c; -1: none */
	int64_t last_us; /* what that says; 0: not known */
	bool restored;	 /* this file was a backup, and nobody has drawn the consequences yet */
	bool open;	 /* between store_begin and its end */
	bool spoiled;	 /* SQLite rolled the open transaction back on its own */
	bool marked;	 /* there is a mark instead of a savepoint */
	int changes_at_begin, changes_at_mark;
	struct store_seals *seals; /* NULL before the tables are known */
	int64_t ndamaged;	   /* rows of that table */
	json_t *notes;		   /* what the opening found, as sentences */
	int64_t alive_us;
	bool ending;	    /* the next commit is the last one */
	int64_t highest_us; /* of the wall clock, from before it was put back; 0: it was not */
	int64_t alive_begin_us, highest_begin_us; /* these, when the transaction began */
	/* Where the audit ends: now, when the transaction began, when the savepoint was set. */
	struct store_audit_head audit, audit_begin, audit_savepoint;
	bool audit_broken;
	int keys_added;
	uint64_t generation;
	struct store_cached *cache;
	size_t ncache, room_cache;
	int64_t written[STORE_WRITTEN_MAX]; /* jobs, since somebody asked last */
	size_t nwritten;		    /* one more than fits: too many to name */
};

/* store_statement.c: sees whether all statements can be made, once the tables are there; and lets
 * go of them. */
int store_prepare_all(struct store *store, struct err *err);
void store_finalize_all(struct store *store);
/* A statement at its first use. NULL when it cannot be made: every function of SQLite takes that,
 * and a step of it fails. */
sqlite3_stmt *store_prepare(struct store *store, sqlite3_stmt **st, const char *sql);

/* store_sql.c: sentences for a file that cannot be used. */
int store_open_failed(struct store *store, int code, struct err *err);
int store_damaged(struct store *store, const char *what, struct err *err);
/* Runs SQL once; asks it for the first column of its first row ("", 0: there is none). FAILED, with
 * the sentence. */
int store_execute(struct store *store, const char *sql, struct err *err);
int store_ask(struct store *store, const char *sql, char *ret, size_t size, struct err *err);
int store_ask_number(struct store *store, const char *sql, int64_t *ret, struct err *err);
int store_number_pragma(struct store *store, const char *name, int64_t *ret);

/* store_open.c: what the opening found. */
void store_note(struct store *store, const char *format, ...) _printf_(2, 3);

/* store_file.c. Makes the state folder, if need be, and locks it: it is ours, writable, and nobody
 * else's at this time. */
int store_take_folder(struct store *store, const char *folder, struct err *err);
/* Looks at the file without opening it, or at the backup that takes its place: 1 and its size, 0
 * when there is none yet. */
int store_find_file(struct store *store, int64_t *ret_size, struct err *err);
int store_sync(const char *path, int flags, struct err *err); /* FLAGS: of open() */

/* store_check.c. Is the file, of SIZE bytes, whole? RET_INDEXES: set when an index does not agree
 * with its table, which is no damage where rows have seals. */
int store_check(struct store *store, int64_t size, int64_t version, bool *ret_indexes,
		struct err *err);

/* store_migrate.c. From VERSION (0: a new file) to this version's tables, each step whole or not at
 * all. What was there before stays as one copy: what an older bmd can be put back to. */
#define STORE_SCHEMA 16
#define STORE_SEALED 12 /* from this version on rows have seals of this kind */
int store_migrate(struct store *store, int64_t version, struct err *err);

/* store_wal.c. Before the first write: notes what of the -wal changed on disk, if commits are lost
 * by it. PAGE: bytes. */
void store_wal_look(struct store *store, size_t page);

/* store_last.c. Once it is read how far the database knows: notes it if it knew more. Then after
 * each commit. */
void store_last_look(struct store *store);
void store_last_keep(struct store *store);
/* before time falls to AT_US */
int store_last_lower(struct store *store, int64_t at_us, struct err *err);
/* of a database that was here before */
void store_last_forget(const struct store *store);

/* store_reserve.c. After each commit. */
void store_reserve_keep(struct store *store);

/* store_seal.c. Reads which tables there are, and watches what is written to them. */
int store_seals_watch(struct store *store, struct err *err);
void store_seals_forget(struct store *store);
/* What was told and is not yet written: how much, back to that, and into the table. */
size_t store_seals_waiting(const struct store *store);
void store_seals_back(struct store *store, size_t n);
int store_seals_write(struct store *store, struct err *err);
int store_seals_savepoint(struct store *store, struct err *err); /* before it is set */
void store_seals_savepoint_back(struct store *store);
int store_seals_all(struct store *store, struct err *err); /* every row, anew; watches */
enum store_finding_kind { STORE_ROW_CHANGED, STORE_ROW_GONE, STORE_ROW_STRANGE };
struct store_finding {
	const char *table;
	enum store_finding_kind what;
	int64_t key;	   /* its rowid, if it has one */
	int64_t identity;  /* of a row that is gone */
	bool known;	   /* what tells whose row it is did not change */
	sqlite3_stmt *row; /* SELECT *, unless it is gone */
};
/* Compares every row with its seal. BACK's negative answer ends it. */
int store_seals_check(struct store *store,
		      int (*back)(const struct store_finding *finding, void *arg), void *arg,
		      struct err *err);
/* of a final job */
int64_t store_seal_job_identity(struct store *store, const char *application, const char *stage);
int store_seal_drop(struct store *store, const char *table, int64_t key, struct err *err);

/* store_damage.c. Judges what the seals say; INDEXES: some index does not agree with its table. */
int store_damage_look(struct store *store, bool indexes, struct err *err);

/* store_audit.c: reads where the chain ends; links the rows of a version that had none; what a
 * commit must add. */
int store_audit_open(struct store *store, struct err *err);
int store_audit_migrate(struct store *store, struct err *err);
int store_audit_commit(struct store *store, struct err *err);

/* store_row.c. What a result code of SQLite means to callers; a full disk in a sentence. */
int store_failed(struct store *store, int code, struct err *err);
int store_no_space(struct store *store, struct err *err);

/* Texts are borrowed until the statement is reset, which happens before any of these functions
 * returns. */
static inline void
store_bind_text(sqlite3_stmt *st, int i, const char *s)
{
	if (s)
		(void)sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(st, i);
}

static inline void
store_bind_int(sqlite3_stmt *st, int i, int64_t n)
{
	(void)sqlite3_bind_int64(st, i, n);
}

static inline void
store_bind_stage(sqlite3_stmt *st, const char *application, const char *stage)
{
	store_bind_text(st, 1, application);
	store_bind_text(st, 2, stage);
}

static inline int64_t
store_read_int(sqlite3_stmt *st, int i)
{
	return sqlite3_column_int64(st, i);
}

void store_bind_map(sqlite3_stmt *st, int i, const json_t *object); /* NULL for an empty one */
/* of ids; NULL for an empty one */
void store_bind_list(sqlite3_stmt *st, int i, const json_t *list);
void store_read_array(sqlite3_stmt *st, int i, char *ret, size_t size);
char *store_read_string(sqlite3_stmt *st, int i); /* free() */
json_t *store_read_json(sqlite3_stmt *st, int i, bool list);

/* Runs a statement that answers no row; it is reset whatever happens. */
int store_run(struct store *store, sqlite3_stmt *st, struct err *err);
/* 1 and a row, 0 at the end (and reset), or an error (and reset). */
int store_row(struct store *store, sqlite3_stmt *st, struct err *err);
/* One number from a statement that answers one row; OTHERWISE for no row or NULL. */
int store_number(struct store *store, sqlite3_stmt *st, int64_t otherwise, int64_t *ret,
		 struct err *err);
/* The first row of a loose scan over (application, stage): 1, or 0 at the end. */
int store_next_stage(struct store *store, sqlite3_stmt *st, char application[64], char stage[64],
		     struct err *err);

/* What was read of histories may be wrong from here on. */
static inline void
store_touch(struct store *store)
{
	store->generation++;
}

#endif
