/* SPDX-License-Identifier: ISC */
/*
 * Files → one value: bmd.conf(5) and bmd-plan(5). A struct conf is read, checked and complete, or
 * there is none; nothing changes while it lives. libconfuse stands behind confvalues.c and nowhere
 * else.
 */
#ifndef COMMON_CONF_CONF_H
#define COMMON_CONF_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/time/window.h"

struct conf_variable {
	char *name, *value;
};
struct conf_variables {
	struct conf_variable *v;
	size_t n;
};
struct conf_strings {
	char **v;
	size_t n;
};

/* Who may what: names of groups, and user:NAME. A list that is not given (v NULL) is that of what
 * it stands in. */
enum conf_role { CONF_VIEWERS, CONF_OPERATORS, CONF_APPROVERS, CONF_ROLES_ };
struct conf_roles {
	struct conf_strings of[CONF_ROLES_];
};

/* Modes as a set: only-on and skip-on. */
enum conf_mode { CONF_DEPLOY = 1, CONF_REDEPLOY = 2, CONF_ROLLBACK = 4 };

enum conf_action { CONF_STEP_DEPLOY, CONF_STEP_EXEC, CONF_STEP_RUN };

struct conf_step {
	char *name;
	enum conf_action action;
	char *deploy, *to;	    /* artifact and DIRECTORY, unexpanded */
	struct conf_strings shared; /* paths inside the release folder */
	int keep;		    /* release folders that stay; 0: all */
	bool in_place;
	struct conf_strings exec; /* program and arguments, unexpanded */
	char *run;		  /* text for /bin/sh -eu */
	int64_t timeout_us;	  /* 0: none */
	int attempts;		  /* ≥ 1 */
	int64_t delay_us;	  /* between attempts */
	char *directory;	  /* unexpanded; "/" */
	/* its own; NULL: not given. Who it runs as: conf_step_user() */
	char *user;
	struct conf_variables environment;
	unsigned only_on, skip_on; /* sets of enum conf_mode; 0: not given */
	bool irreversible, ignore_failure;
	struct conf_strings artifacts; /* put under $BM_ARTIFACTS for this step */
	struct conf_strings secrets;   /* names of those that it gets */
};

struct conf_plan {
	char *name, *user; /* user NULL: not given */
	char *file;
	int line;
	struct conf_step *steps;
	size_t nsteps;
};

enum conf_verify { CONF_VERIFY_CHANGED, CONF_VERIFY_ALWAYS };

enum conf_on_failure { CONF_HOLD, CONF_CONTINUE, CONF_AUTOMATIC /* "redeploy" */ };

/* What the processes of a step may use together, at most; 0: not given. */
struct conf_limits {
	int64_t memory_bytes;
	int tasks;	/* processes and threads */
	int cpu_weight; /* 1 to 10,000, where others have 100 */
};

struct conf_stage {
	char *name, *plan, *user;
	struct conf_variables variables;
	/* names that a job or build may set although the configuration does */
	struct conf_strings open;
	enum conf_on_failure on_failure;
	/* which files of a folder that was placed before are hashed again */
	enum conf_verify verify;
	bool require_reason, confirm;
	int keep_jobs; /* as conf.keep_jobs, which holds where this is 0 */
	/* public keys of minisign; none: unsigned builds are taken */
	struct conf_strings require_signature;
	/* of windows and freezes, as written; NULL: this machine's */
	char *zone;
	struct windows *windows; /* NULL: neither windows nor freezes */
	struct conf_limits limits;
	unsigned windows_hold; /* set of enum conf_mode that they hold */
	struct conf_roles roles;
	struct conf_variables secrets; /* NAME → path, or "credential:…" */
};

/* A recurring deployment: each occurrence becomes a job. */
struct conf_schedule {
	char *name;
	/* recurring time, as it was written; common/time/calendar.h */
	char *on;
	char *build;	  /* "live", a release, or release/number */
	char *to;	  /* stage */
	char *reason;	  /* NULL: none */
	int64_t grace_us; /* 0: bmd's */
	enum conf_if_changed { CONF_CHANGED_RUN, CONF_CHANGED_HOLD, CONF_CHANGED_SKIP } if_changed;
	struct conf_variables variables; /* of its jobs */
	int line;
};

/* What a notice may be about: bits of conf_notify.on, and the names of events (common/event.h). */
// clang-format off
#define CONF_NOTICES(X)              \
	X(FAILED, "failed")          \
	X(LOST, "lost")              \
	X(MISSED, "missed")          \
	X(HELD, "held")              \
	X(RECOVERED, "recovered")    \
	X(SUCCEEDED, "succeeded")
// clang-format on

enum conf_notice {
#define X(symbol, name) CONF_NOTICE_##symbol,
	CONF_NOTICES(X)
#undef X
	    CONF_NOTICE_MAX_
};

/* Whom to tell: a command that gets each event on its standard input. */
struct conf_notify {
	char *name;
	struct conf_strings exec;		  /* unexpanded */
	struct conf_strings words;		  /* of `on` as written */
	unsigned on;				  /* set of 1 << enum conf_notice */
	struct conf_strings applications, stages; /* only these; none: all */
	char *user;				  /* its own; NULL: not given. conf_notify_user() */
	struct conf_variables environment;
	int64_t timeout_us; /* of an attempt */
	int64_t give_up_us; /* after so long it is not tried again */
	int line;
};

struct conf_application {
	char *name, *user;
	char *file;
	struct conf_variables variables;
	struct conf_stage *stages; /* in the order of `stages = {…}` */
	size_t nstages;
	struct conf_schedule *schedules;
	size_t nschedules;
	struct conf_notify *notifies;
	size_t nnotifies;
	int keep_builds; /* the newest builds that `gc` leaves; 0: it frees none */
	struct conf_roles roles;
	struct conf_variables secrets;
};

enum conf_launcher { CONF_LAUNCHER_AUTO, CONF_LAUNCHER_SYSTEMD, CONF_LAUNCHER_FORK };

struct conf {
	char *path; /* absolute, of the main file */
	/* absolute; run_directory resolved for the launcher */
	char *state_directory, *socket, *run_directory;
	enum conf_launcher launcher; /* never AUTO once loaded */
	int max_running;
	int64_t grace_us, horizon_us;
	/* for so long timed jobs wait when the clock is doubted; 0: it is not */
	int64_t clock_settle_us;
	int max_waiting; /* jobs that are not over, in all */
	/* What an upload may be at most; 0: what bmd-import does by itself (import/import.h), which
	 * the defaults are. */
	int64_t upload_bytes, upload_file;
	int upload_files, upload_depth, upload_path, upload_ratio;
	int64_t keep_audit_us; /* 0: for ever */
	int64_t disk_reserve;  /* bytes that are kept for the results of runs */
	int keep_runs;	       /* the newest run folders that stay */
	/* the newest records of finished jobs of a stage that stay; 0: all */
	int keep_jobs;
	int64_t verify_rate; /* bytes that `build verify` reads in a second */
	/* when all stored files are verified, for every_parse(); "": never */
	char *verify_every;
	char *default_application; /* "" when none */
	char *user;
	struct conf_variables variables;
	struct conf_roles roles;
	struct conf_variables secrets;
	bool incomplete;       /* files or sections with mistakes were left out */
	bool applications_out; /* among them applications, or files where some may stand */
	struct conf_application *applications;
	size_t napplications;
	struct conf_plan *plans;
	size_t nplans;
	struct conf_notify *notifies; /* of bmd.conf: for all applications */
	size_t nnotifies;
	struct conf_file { /* what was read, to see later changes */
		char *path;
		int64_t mtime_us, size;
		uint64_t inode;
	} * files;
	size_t nfiles;
};

/* Every mistake found, in the order of files and lines: "file:line: what, and what would be
 * right". */
struct conf_problems {
	char **v;
	size_t n;
	bool fatal; /* the main file itself, or its folders */
};
void conf_problems_clear(struct conf_problems *problems);

enum conf_flags {
	CONF_RUN_AS_ROOT = 1, /* bmd-run would run as root under the fork launcher */
	/* at start: a broken application file takes its application out, a broken plan file those
	 * that use its plans */
	CONF_TOLERANT = 2,
	/* libconfuse reads in a child: the caller outlives what becomes of it for want of memory */
	CONF_APART = 4,
};

/* Reads FILE, all *.conf files of applications.d and plans.d beside it. Returns 0 with a value
 * (and, if TOLERANT, maybe problems), or a negative errno with at least one problem and no value:
 * -EAGAIN if the files are not at fault. Free with conf_free(). */
int conf_load(const char *file, unsigned flags, struct conf **ret_conf,
	      struct conf_problems *ret_problems);
/* The same as the bmd of user UID reads it: what that may name and trust, not what the caller
 * may. */
int conf_load_for(uid_t uid, const char *file, struct conf **ret_conf,
		  struct conf_problems *ret_problems);
void conf_free(struct conf *conf); /* NULL is fine */

const struct conf_application *conf_application(const struct conf *conf, const char *name);
const struct conf_stage *conf_stage(const struct conf_application *application, const char *name);
/* NAME may be NULL, of a stage that names none */
const struct conf_plan *conf_plan(const struct conf *conf, const char *name);
const struct conf_schedule *conf_schedule(const struct conf_application *application,
					  const char *name);

/* Of an entry of such a list: "user:ana" → "ana"; NULL for a group. Borrowed. */
const char *conf_role_user(const char *entry);
/* The list that counts on a stage: its own, else the application's, else bmd.conf's. APPLICATION or
 * STAGE NULL: what stands above. */
const struct conf_strings *conf_role(const struct conf *conf,
				     const struct conf_application *application,
				     const struct conf_stage *stage, enum conf_role role);
/* "members of ops, user ana", for sentences; "" for an empty list. free() */
char *conf_role_text(const struct conf_strings *list);
/* A notify section: of APPLICATION, or, "", of bmd.conf. NULL: there is none of this name. */
const struct conf_notify *conf_notify(const struct conf *conf, const char *application,
				      const char *name);
/* Whom its command runs as: its own, the application's, bmd.conf's; "" if none. Borrowed. */
const char *conf_notify_user(const struct conf *conf, const char *application,
			     const struct conf_notify *notify);
/* Does it want to hear of EVENT (a name of CONF_NOTICES, others never)? */
bool conf_notify_wants(const struct conf_notify *notify, const char *event, const char *application,
		       const char *stage);

/* Paths of files that differ from what CONF was read from, or are new or gone in its folders. New
 * array of strings. */
json_t *conf_changed(const struct conf *conf);
/* Files and folders of it, as they are now, that this process may not read: an array of their
 * paths. */
json_t *conf_unreadable(const struct conf *conf);

/*
 * What a run on a stage does: its plan with effective users, and the variables of stage,
 * application and daemon merged (narrowest wins), as canonical JSON; the digest is the SHA-256 of
 * that text in lower-case hex. bmd and bmd-run must agree on it. Returns new text (free()).
 */
char *conf_resolve(const struct conf *conf, const struct conf_application *application,
		   const struct conf_stage *stage, char ret_digest[65]);
/* The merged configuration variables of a stage: an object NAME → value. New reference. */
json_t *conf_stage_variables(const struct conf *conf, const struct conf_application *application,
			     const struct conf_stage *stage);
/* Where the secrets of a stage come from: an object NAME → path, or "credential:NAME of a file in
 * $CREDENTIALS_DIRECTORY". A step that gets NAME finds the path of a file in $NAME_FILE. New
 * reference. */
json_t *conf_stage_secrets(const struct conf *conf, const struct conf_application *application,
			   const struct conf_stage *stage);
/* the name behind "credential:"; NULL: it is a path */
const char *conf_secret_credential(const char *from);
char *conf_secret_variable(const char *name); /* NAME_FILE. free() */
/* The user that a step runs as: narrowest of step, plan, stage, application, bmd.conf; "" if none.
 * Borrowed. */
const char *conf_step_user(const struct conf *conf, const struct conf_application *application,
			   const struct conf_stage *stage, const struct conf_plan *plan,
			   const struct conf_step *step);
/* May a job or build set NAME on this stage? (reserved names never; configured ones only if
 * open) */
bool conf_variable_open(const struct conf *conf, const struct conf_application *application,
			const struct conf_stage *stage, const char *name);

/* Replaces $NAME, ${NAME}, $$ in TEXT from ENVIRONMENT (object of strings); an unset name is an
 * error (CONFIGURATION). New text. */
int conf_expand(const char *text, const json_t *environment, char **ret_text, struct err *err);

#endif
