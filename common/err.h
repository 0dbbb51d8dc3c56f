/* SPDX-License-Identifier: ISC */
/*
 * An error that a person will read. The vocabulary of errors stands once, in ERR_TABLE: the symbol,
 * the name on the wire and bmctl's exit code (bmctl(1): 1 failed, 2 usage, 3 no such thing, 4 not
 * permitted, 5 not reachable or answer lost, 8 refused by a rule). The sentence is written once, by
 * the function that knows; typed fields (application, job, rule, …) travel beside it.
 *
 * The sentence is whole: it names the thing and the next step, has no final stop and no prefix.
 * Functions return 0 or a negative errno; where they take a struct err * they fill it on failure
 * and leave it alone on success. Every such function accepts NULL.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <jansson.h>

#include "common/scope.h"

#define ERR_INTERFACE "io.bmd.Control."
#define ERR_SERVICE   "org.varlink.service."

/*   symbol               name on the wire                       exit  errno */
// clang-format off
#define ERR_TABLE(X)                                                                               \
	X(FAILED,             ERR_INTERFACE "Failed",                 1, EIO)                      \
	X(NO_SUCH_APPLICATION,ERR_INTERFACE "NoSuchApplication",      3, ENOENT)                   \
	X(NO_SUCH_BUILD,      ERR_INTERFACE "NoSuchBuild",            3, ENOENT)                   \
	X(NO_SUCH_STAGE,      ERR_INTERFACE "NoSuchStage",            3, ENOENT)                   \
	X(NO_SUCH_JOB,        ERR_INTERFACE "NoSuchJob",              3, ENOENT)                   \
	X(NO_SUCH_SCHEDULE,   ERR_INTERFACE "NoSuchSchedule",         3, ENOENT)                   \
	X(NOTHING_TO_REDEPLOY,ERR_INTERFACE "NothingToRedeploy",      3, ENOENT)                   \
	X(AMBIGUOUS,          ERR_INTERFACE "Ambiguous",              2, EINVAL)                   \
	X(BAD_TIME,           ERR_INTERFACE "BadTime",                2, EINVAL)                   \
	X(BAD_NAME,           ERR_INTERFACE "BadName",                2, EINVAL)                   \
	X(REFUSED,            ERR_INTERFACE "Refused",                8, EPERM)                    \
	X(REASON_REQUIRED,    ERR_INTERFACE "ReasonRequired",         8, EPERM)                    \
	X(CONFIRMATION_REQUIRED, ERR_INTERFACE "ConfirmationRequired",8, EPERM)                    \
	X(KEY_REUSED,         ERR_INTERFACE "KeyReused",              8, EEXIST)                   \
	X(CONFIGURATION,      ERR_INTERFACE "ConfigurationError",     1, EINVAL)                   \
	X(UPLOAD,             ERR_INTERFACE "UploadRefused",          1, EINVAL)                   \
	X(NO_SPACE,           ERR_INTERFACE "NoSpace",                1, ENOSPC)                   \
	X(UNKNOWN_OUTCOME,    ERR_INTERFACE "OutcomeUnknown",         5, EIO)                      \
	X(TOO_MANY,           ERR_INTERFACE "TooMany",                1, EAGAIN)                   \
	X(UNREACHABLE,        ERR_INTERFACE "Unreachable",            5, ECONNREFUSED)             \
	X(USAGE,              ERR_INTERFACE "Usage",                  2, EINVAL)                   \
	X(PERMISSION_DENIED,  ERR_SERVICE "PermissionDenied",         4, EACCES)                   \
	X(INTERFACE_NOT_FOUND,ERR_SERVICE "InterfaceNotFound",        1, EOPNOTSUPP)               \
	X(METHOD_NOT_FOUND,   ERR_SERVICE "MethodNotFound",           1, EOPNOTSUPP)               \
	X(INVALID_PARAMETER,  ERR_SERVICE "InvalidParameter",         2, EINVAL)                   \
	X(EXPECTED_MORE,      ERR_SERVICE "ExpectedMore",             2, EPROTO)
// clang-format on

enum err_code {
	ERR_NONE = 0,
#define X(symbol, name, exit, number) ERR_##symbol,
	ERR_TABLE(X)
#undef X
	    ERR_MAX_
};

/* Which rule refuses: the field `rule` of REFUSED, ERR_RULE_LOCKED is "locked". What each means
 * stands in bmd-protocol(7). */
// clang-format off
#define ERR_RULES(X)                                                                               \
	X(APPROVAL, "approval") X(COLLECTED, "collected") X(CONFIGURATION, "configuration")        \
	X(DAMAGED, "damaged") X(FINAL, "final") X(HISTORY, "history") X(HORIZON, "horizon")        \
	X(KEEP_BUILDS, "keep-builds") X(LOCKED, "locked") X(NEVER_SUCCEEDED, "never-succeeded")    \
	X(OTHER_CONTENT, "other-content") X(PLAN, "plan") X(REJECTED, "rejected")                  \
	X(RUNNING_ROLLBACK, "running-rollback") X(SCHEDULE, "schedule")                            \
	X(SIGNATURE, "signature") X(STATE, "state") X(VARIABLE, "variable")
// clang-format on

enum err_rule {
#define X(symbol, name) ERR_RULE_##symbol,
	ERR_RULES(X)
#undef X
};

struct err {
	enum err_code code;
	char text[1024]; /* UTF-8, cut at a character */
	json_t *fields;	 /* object or NULL; owned */
};

#define ERR_INIT ((struct err){0})

/* Fills ERR (freeing what it held) and returns the negative errno of CODE. */
int err_set(struct err *err, enum err_code code, const char *format, ...) _printf_(3, 4);
/* The same for a failed system call: "FORMAT: strerror(NUMBER)", returns -NUMBER. ENOSPC and EDQUOT
 * become NO_SPACE, else FAILED. */
int err_errno(struct err *err, int number, const char *format, ...) _printf_(3, 4);
/* Adds a typed field; steals VALUE (also when ERR is NULL). */
void err_field(struct err *err, const char *name, json_t *value);
void err_rule(struct err *err, enum err_rule rule);
void err_clear(struct err *err);
/* Puts "PREFIX: " before the sentence. */
void err_prefix(struct err *err, const char *format, ...) _printf_(2, 3);

const char *err_name(enum err_code code);      /* the name on the wire */
const char *err_word(enum err_code code);      /* its last part, as the audit has it */
int err_exit(enum err_code code);	       /* bmctl's exit code */
enum err_code err_from_name(const char *name); /* ERR_NONE if unknown */
/* The protocol's error object: {"error": NAME, "parameters": {"message": …, fields…}}. New
 * reference. */
json_t *err_to_json(const struct err *err);
/* Fills ERR from such an object, also from one with a foreign name. Returns 0, or -EPROTO if OBJECT
 * is no error. */
int err_from_json(const json_t *object, struct err *ret_err);

static inline void
cleanup_err(struct err *err)
{
	err_clear(err);
}
#define _cleanup_err_ _cleanup_(cleanup_err)

#endif
