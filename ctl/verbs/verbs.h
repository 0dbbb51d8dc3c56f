/* SPDX-License-Identifier: ISC */
/*
 * The verbs: one row, one small function in the file of its noun. Dispatch, usage, help and
 * suggestions are made from this table. A function returns the exit code, or a negative errno and
 * fills ERR, which main prints.
 */
#ifndef CTL_VERBS_H
#define CTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"

#define VERBS_REQUEST                                                                           \
	(OPTION_BIT(NOW) | OPTION_BIT(AT) | OPTION_BIT(TO) | OPTION_BIT(REASON) |               \
	 OPTION_BIT(VARIABLE) | OPTION_BIT(WAIT) | OPTION_BIT(FOLLOW) | OPTION_BIT(NO_FOLLOW) | \
	 OPTION_BIT(TIMEOUT) | OPTION_BIT(DRY_RUN) | OPTION_BIT(YES) | OPTION_BIT(GRACE) |      \
	 OPTION_BIT(IF_CHANGED) | OPTION_BIT(OVERRIDE_WINDOW) | OPTION_BIT(OVERRIDE_FREEZE))

// clang-format off
/*   function       name             arguments                                       least most options summary, example */
#define VERBS(X)                                                                                   \
	X(status,        "status",        "[APP] [--limits]",                             0, 1,      \
	  OPTION_BIT(LIMITS),                                                                         \
	  "what is live where, what runs, what is next, what needs a human",                          \
	  "bmctl status shop")                                                                        \
	X(redeploy,      "redeploy",      "[APP] [BUILD] [--to STAGE] --now|--at TIME",   0, 2,      \
	  VERBS_REQUEST,                                                                              \
	  "deploy a past build again; without BUILD the last good one before the live one",           \
	  "bmctl redeploy shop 1.0.2/3 --at 02:00")                                                   \
	X(redeploy,      "rollback",      "[APP] [BUILD] [--to STAGE] --now|--at TIME",   0, 2,      \
	  VERBS_REQUEST, "another name of redeploy", "bmctl rollback --now")                          \
	X(deploy,        "deploy",        "APP BUILD --to STAGE --now|--at TIME",         2, 2,      \
	  VERBS_REQUEST, "deploy a build to a stage", "bmctl deploy shop 1.0.3/1 --to testing --now") \
	X(build_add,     "build add",     "APP RELEASE [--number N] [--var K=V]... [--note TEXT] [--signature FILE] [[NAME=]PATH]...", \
	  2, 64, OPTION_BIT(NUMBER) | OPTION_BIT(VARIABLE) | OPTION_BIT(NOTE) | OPTION_BIT(REASON) |  \
	  OPTION_BIT(SIGNATURE),   \
	  "add a build, with the files of directories, archives or single files",                     \
	  "bmctl build add shop 1.0.3 site=./public")                                                 \
	X(build_list,    "build list",    "APP [--release R]",                            1, 1,      \
	  OPTION_BIT(RELEASE), "the builds, and where each has been", "bmctl build list shop")        \
	X(build_show,    "build show",    "APP BUILD",                                    2, 2, 0,   \
	  "one build: its artifacts, digests and every deployment", "bmctl build show shop 1.0.2/3")  \
	X(build_manifest, "build manifest", "APP BUILD [NAME]",                           2, 3, 0,   \
	  "what to sign of a build; with NAME the files of that artifact",                             \
	  "bmctl build manifest shop 1.0.2/3")                                                         \
	X(build_reject,  "build reject",  "APP BUILD --reason TEXT",                      2, 2,      \
	  OPTION_BIT(REASON), "mark a build as bad: it never starts again",                           \
	  "bmctl build reject shop 1.0.3/1 --reason 'loses orders'")                                  \
	X(build_restore, "build restore", "APP BUILD",                                    2, 2,      \
	  OPTION_BIT(REASON), "take a rejection back", "bmctl build restore shop 1.0.3/1")            \
	X(build_pin,     "build pin",     "APP BUILD [--reason TEXT]",                    2, 2,      \
	  OPTION_BIT(REASON), "keep a build, whatever keep-builds says",                              \
	  "bmctl build pin shop 1.0.2/3 --reason 'audited'")                                          \
	X(build_unpin,   "build unpin",   "APP BUILD",                                    2, 2,      \
	  OPTION_BIT(REASON), "take a pin back", "bmctl build unpin shop 1.0.2/3")                    \
	X(build_verify,  "build verify",  "[APP [BUILD]]",                                0, 2, 0,   \
	  "read and hash the stored files again", "bmctl build verify shop 1.0.2/3")                  \
	X(build_repair,  "build repair",  "APP BUILD [[NAME=]PATH]...",                   3, 64, 0,  \
	  "restore damaged stored files from the original ones",                                      \
	  "bmctl build repair shop 1.0.2/3 site=./public")                                            \
	X(gc,            "gc",            "[APP] [--dry-run]",                            0, 1,      \
	  OPTION_BIT(DRY_RUN) | OPTION_BIT(REASON),                                                   \
	  "give up old builds by keep-builds, and the files that no build has any more",              \
	  "bmctl gc --dry-run shop")                                                                  \
	X(backup,        "backup",        "",                                             0, 0, 0,   \
	  "make a whole copy of bmd's state, to be kept elsewhere", "bmctl backup")                   \
	X(diff,          "diff",          "APP A [B]",                                    2, 3, 0,   \
	  "files that differ between two builds; B is what is live on the last stage",                \
	  "bmctl diff shop 1.0.2/3 1.0.3/1")                                                          \
	X(queue,         "queue",         "[APP]",                                        0, 1, 0,   \
	  "jobs that wait and run, and why each waits", "bmctl queue")                                \
	X(show,          "show",          "JOB",                                          1, 1, 0,   \
	  "one job and its steps", "bmctl show 42")                                                   \
	X(history,       "history",       "[APP] [--stage S] [-n N] [--since TIME]",      0, 1,      \
	  OPTION_BIT(STAGE) | OPTION_BIT(LIMIT) | OPTION_BIT(SINCE),                                  \
	  "what happened, the newest first", "bmctl history shop --stage production -n 10")           \
	X(log,           "log",           "JOB [-f]",                                     1, 1,      \
	  OPTION_BIT(FOLLOW) | OPTION_BIT(TIMEOUT), "the output of a job's steps", "bmctl log 42 -f") \
	X(wait,          "wait",          "JOB...",                                       1, 1000,   \
	  OPTION_BIT(TIMEOUT), "wait until jobs have ended; the exit code tells",                     \
	  "bmctl wait 42 --timeout 10min")                                                            \
	X(cancel,        "cancel",        "JOB",                                          1, 1,      \
	  OPTION_BIT(REASON), "cancel a job; a second time kills a running one at once",              \
	  "bmctl cancel 42")                                                                          \
	X(reschedule,    "reschedule",    "JOB --now|--at TIME",                          1, 1,      \
	  OPTION_BIT(NOW) | OPTION_BIT(AT) | OPTION_BIT(REASON) | OPTION_BIT(OVERRIDE_WINDOW) |       \
	  OPTION_BIT(OVERRIDE_FREEZE), "move a waiting job to another time",                          \
	  "bmctl reschedule 42 --at 'tomorrow 03:00'")                                                \
	X(release,       "release",       "JOB",                                          1, 1,      \
	  OPTION_BIT(REASON), "let a held job go", "bmctl release 42")                                \
	X(lock,          "lock",          "APP STAGE --reason TEXT [--until TIME]",       2, 2,      \
	  OPTION_BIT(REASON) | OPTION_BIT(UNTIL), "let nothing start on a stage",                     \
	  "bmctl lock shop production --reason 'inventory' --until 18:00")                            \
	X(unlock,        "unlock",        "APP STAGE",                                    2, 2,      \
	  OPTION_BIT(REASON), "end a lock", "bmctl unlock shop production")                           \
	X(settle,        "settle",        "APP STAGE BUILD|--unknown --reason TEXT",      2, 3,      \
	  OPTION_BIT(UNKNOWN) | OPTION_BIT(REASON),                                                   \
	  "say what is live after a run whose outcome is not known",                                  \
	  "bmctl settle shop production 1.0.2/3 --reason 'looked at the site'")                       \
	X(adopt,         "adopt",         "APP STAGE --current [NAME=]PATH [RELEASE...]",   2, 64,     \
	  OPTION_BIT(CURRENT) | OPTION_BIT(REASON) | OPTION_BIT(DRY_RUN),                             \
	  "take over a folder of releases that others deployed, without deploying again",             \
	  "bmctl adopt shop production --current /srv/shop/current")                                  \
	X(at,            "at",            "TIME",                                         1, 4, 0,   \
	  "what a time means; queues nothing and asks nobody", "bmctl at 'fri 22:00'")                \
	X(schedule_add,  "schedule add",  "APP BUILD|RELEASE|live --to STAGE --on CALENDAR [OPTION...]", 2, 2, \
	  OPTION_BIT(TO) | OPTION_BIT(ON) | OPTION_BIT(REASON) | OPTION_BIT(VARIABLE) |               \
	      OPTION_BIT(YES) | OPTION_BIT(GRACE) | OPTION_BIT(IF_CHANGED),                           \
	  "deploy again and again; live is what is live then",                                        \
	  "bmctl schedule add shop live --to production --on 'Mon..Fri 02:00 Europe/Berlin'")         \
	X(schedule_list, "schedule list", "[APP]",                                        0, 1, 0,   \
	  "recurring deployments: when they come next and how the last one ended",                    \
	  "bmctl schedule list")                                                                      \
	X(schedule_remove, "schedule remove", "ID|NAME",                                  1, 1,      \
	  OPTION_BIT(REASON), "end a schedule; its waiting job is cancelled",                         \
	  "bmctl schedule remove 3")                                                                  \
	X(schedule_pause, "schedule pause", "ID|NAME",                                    1, 1,      \
	  OPTION_BIT(REASON), "let a schedule rest; its waiting job is cancelled",                    \
	  "bmctl schedule pause nightly --reason inventory")                                          \
	X(schedule_resume, "schedule resume", "ID|NAME",                                  1, 1,      \
	  OPTION_BIT(REASON), "let a paused schedule go on", "bmctl schedule resume nightly")         \
	X(schedule_preview, "schedule preview", "CALENDAR|ID|NAME [-n N]",                1, 6,      \
	  OPTION_BIT(LIMIT), "when a recurring time comes; for a CALENDAR nobody is asked",           \
	  "bmctl schedule preview 'Mon..Fri 02:00 Europe/Berlin'")                                    \
	X(check,         "check",         "[PATH]",                                       0, 1, 0,   \
	  "is the configuration right, and could a bare redeploy go live right now",                  \
	  "bmctl check /etc/bmd/bmd.conf")                                                            \
	X(reload,        "reload",        "",                                             0, 0,      \
	  OPTION_BIT(REASON), "let bmd read its configuration again, all or nothing", "bmctl reload") \
	X(drain,         "drain",         "[--wait] [--undo]",                            0, 0,      \
	  OPTION_BIT(WAIT) | OPTION_BIT(UNDO) | OPTION_BIT(TIMEOUT) | OPTION_BIT(REASON),             \
	  "start nothing new until bmd is restarted", "bmctl drain --wait --reason 'new kernel'")     \
	X(notify_list,   "notify list",   "[-n N]",                                       0, 0,      \
	  OPTION_BIT(LIMIT), "who is told of what happens, what waits and what could not be told",    \
	  "bmctl notify list")                                                                        \
	X(notify_test,   "notify test",   "SECTION [--application APP]",                  1, 1,      \
	  OPTION_BIT(APPLICATION) | OPTION_BIT(TIMEOUT) | OPTION_BIT(REASON),                         \
	  "send a notice that nothing has happened, and wait for its outcome",                        \
	  "bmctl notify test oncall")                                                                 \
	X(metrics,       "metrics",       "[FILE]",                                       0, 1, 0,   \
	  "what is live and what waits, for Prometheus; FILE is replaced in one step",                \
	  "bmctl metrics /var/lib/prometheus/node-exporter/bmd.prom")                                 \
	X(audit_verify,  "audit verify",  "[--head HASH]",                                0, 0,      \
	  OPTION_BIT(HEAD), "is every row of the audit as bmd wrote it",                              \
	  "bmctl audit verify")                                                                       \
	X(audit,         "audit",         "[APP] [--stage S] [-n N] [--since TIME] [--refused]", 0, 1, \
	  OPTION_BIT(STAGE) | OPTION_BIT(LIMIT) | OPTION_BIT(SINCE) | OPTION_BIT(REFUSED),            \
	  "who asked for what, allowed or refused, the newest first", "bmctl audit shop --since 2d")  \
	X(call,          "call",          "METHOD [JSON] [--more]",                       1, 2,      \
	  OPTION_BIT(MORE), "a raw call of the protocol", "bmctl call GetJob '{\"job\": 42}'")        \
	X(bridge,        "bridge",        "",                                             0, 0, 0,   \
	  "pass bytes between standard input and output and bmd: the far end of bmctl -H",            \
	  "bmctl bridge")                                                                             \
	X(version,       "version",       "",                                             0, 0, 0,   \
	  "the versions of bmctl and of the bmd that answers", "bmctl version")                       \
	X(help,          "help",          "[VERB]",                                       0, 2, 0,   \
	  "how a verb is used", "bmctl help redeploy")
// clang-format on

struct verb {
	const char *name, *synopsis;
	size_t least, most; /* arguments */
	uint64_t options;
	const char *summary, *example;
	int (*run)(struct ctl *ctl, struct err *err);
};
extern const struct verb verbs[];
extern const size_t verbs_count;

#define X(function, ...) int verb_##function(struct ctl *ctl, struct err *err);
VERBS(X)
#undef X

/* The verb that WORDS begin with, and how many words it took; none is status. USAGE with a
 * suggestion if there is no such verb. */
int verbs_find(const char *const *words, size_t n, const struct verb **ret_verb, size_t *ret_used,
	       struct err *err);
/* Are there verbs of two words of which WORD is the first, and none that is WORD alone? */
bool verbs_has_group(const char *word);
/* What `bmctl VERB --help` prints, and what `bmctl --help` prints. */
void verbs_print_help(const struct verb *verb);
void verbs_print_all(void);

#endif
