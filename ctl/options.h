/* SPDX-License-Identifier: ISC */
/*
 * The command line as a value. Every option means the same for every verb and may stand anywhere,
 * so the line is parsed before its verb is known; which options a verb takes is asked afterwards.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*   symbol       long          short  value     what `--help` says */
// clang-format off
#define OPTIONS(X)                                                                                 \
	X(NOW,        "now",         0,   NULL,     "due now")                                     \
	X(AT,         "at",          0,   "TIME",   "due at TIME, read in your zone: 02:00, +2h, fri 22:00 …") \
	X(TO,         "to",          0,   "STAGE",  "the stage")                                   \
	X(STAGE,      "stage",       0,   "STAGE",  "only this stage")                             \
	X(RELEASE,    "release",     0,   "RELEASE", "only builds of this release")                \
	X(NUMBER,     "number",      0,   "N",      "the build's number, instead of the next one") \
	X(VARIABLE,   "var",         0,   "K=V",    "set a variable; may be given several times")  \
	X(NOTE,       "note",        0,   "TEXT",   "a note that is kept with the build")          \
	X(SIGNATURE,  "signature",   0,   "FILE",   "a signature by minisign of what build manifest prints") \
	X(REASON,     "reason",      0,   "TEXT",   "why; kept in the history")                    \
	X(UNTIL,      "until",       0,   "TIME",   "the lock ends then by itself")                \
	X(UNKNOWN,    "unknown",     0,   NULL,     "nobody knows what is live")                   \
	X(UNDO,       "undo",        0,   NULL,     "take it back")                                \
	X(WAIT,       "wait",        0,   NULL,     "wait for the end; the exit code tells")       \
	X(FOLLOW,     "follow",      'f', NULL,     "show the log until the end; Ctrl-C detaches, the job goes on") \
	X(NO_FOLLOW,  "no-follow",   0,   NULL,     "return at once")                              \
	X(TIMEOUT,    "timeout",     0,   "SPAN",   "wait no longer than this (exit code 7)")      \
	X(DRY_RUN,    "dry-run",     0,   NULL,     "show what would happen and do nothing")       \
	X(YES,        "yes",         0,   NULL,     "confirmed, where the stage asks for it")      \
	X(GRACE,      "grace",       0,   "SPAN",   "how late it may still start")                 \
	X(IF_CHANGED, "if-changed",  0,   "HOW",    "if another build went live meanwhile: hold, run or skip") \
	X(OVERRIDE_WINDOW, "override-window", 0, NULL, "pass the closed windows of the stage; wants --reason") \
	X(OVERRIDE_FREEZE, "override-freeze", 0, "NAME", "pass this freeze of the stage; wants --reason") \
	X(ON,         "on",          0,   "CALENDAR", "each time: 'Mon..Fri 02:00 Europe/Berlin', '0 2 * * 1-5' …") \
	X(LIMIT,      "limit",       'n', "N",      "at most so many")                             \
	X(SINCE,      "since",       0,   "TIME",   "only since TIME: 2h, 02:00, 2026-11-23 …") \
	X(LIMITS,     "limits",      0,   NULL,     "every limit of bmd, and how near it is")     \
	X(REFUSED,    "refused",     0,   NULL,     "only what was refused")                       \
	X(APPLICATION, "application", 0,  "APP",    "the application whose section it is")         \
	X(HEAD,       "head",        0,   "HASH",   "a head of the audit that was noted elsewhere") \
	X(MORE,       "more",        0,   NULL,     "ask for a stream of replies")                 \
	X(CURRENT,    "current",     0,   "[NAME=]PATH", "the link to the release that is live, as Capistrano has it") \
	X(HOST,       "host",        'H', "HOST",   "the bmd of [user@]host, over ssh; else $BMD_HOST, else that of this machine") \
	X(SOCKET,     "socket",      's', "SOCKET", "the socket of bmd; else $BMD_SOCKET, else the built-in one") \
	X(JSON,       "json",        0,   NULL,     "the reply of the protocol, one object")       \
	X(COLOR,      "color",       0,   "WHEN",   "auto, always or never")                       \
	X(HELP,       "help",        'h', NULL,     "this text")                                   \
	X(VERSION,    "version",     'V', NULL,     "the version of bmctl")
// clang-format on

enum option_id {
#define X(symbol, ...) OPTION_##symbol,
	OPTIONS(X)
#undef X
	    OPTION_MAX_
};

struct option_spec {
	const char *name;
	char letter;	   /* 0: none */
	const char *value; /* what its value is called; NULL: it takes none */
	const char *text;
};
extern const struct option_spec option_specs[OPTION_MAX_];

#define OPTION_BIT(symbol) (UINT64_C(1) << OPTION_##symbol)
/* Those that every verb takes. */
#define OPTIONS_ALWAYS                                                                  \
	(OPTION_BIT(HOST) | OPTION_BIT(SOCKET) | OPTION_BIT(JSON) | OPTION_BIT(COLOR) | \
	 OPTION_BIT(HELP) | OPTION_BIT(VERSION))

struct options {
	bool given[OPTION_MAX_];
	const char
	    *value[OPTION_MAX_]; /* borrowed from argv; NULL if not given or without a value */
	const char **words, **variables; /* what is not an option; each --var */
	size_t nwords, nvariables;
};

/* ARGV without the program's name. Returns 0, or -EINVAL with USAGE and a suggestion for a mistyped
 * option. */
int options_parse(size_t argc, const char *const *argv, struct options *ret_options,
		  struct err *err);
void options_clear(struct options *options);
/* Is each given option in the set ALLOWED (or one of OPTIONS_ALWAYS)? USAGE, naming VERB, if not.
 */
int options_check(const struct options *options, const char *verb, uint64_t allowed,
		  struct err *err);

/* WORDS as a line for the shell, "bmctl" first, EXTRA (may be NULL, as it is) before a "--" or at
 * the end. free() it. */
char *options_quote(size_t argc, const char *const *argv, const char *extra);

#endif
