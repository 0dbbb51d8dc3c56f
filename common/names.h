/* SPDX-License-Identifier: ISC */
/*
 * The names of the contract, section 2, as checks. Everything that came from a client, a file or
 * another process passes here before it is used as a name.
 */
#ifndef COMMON_NAMES_H
#define COMMON_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define NAMES_BUILD_MAX	    999999999 /* build numbers are 1 … this */
#define NAMES_TEXT_MAX	    4096      /* bytes of a reason or note */
#define NAMES_VALUE_MAX	    32768     /* bytes of a variable's value */
#define NAMES_VARIABLES_MAX 256	      /* variables of a job, build, stage … */

bool names_application(const char *s); /* [a-z0-9][a-z0-9._-]{0,62} */
bool names_release(const char *s);     /* [A-Za-z0-9][A-Za-z0-9._+~-]{0,62}, no ".." */
bool names_stage(const char *s);       /* as an application; also plans, steps and artifacts */
bool names_variable(const char *s);    /* [A-Za-z_][A-Za-z0-9_]{0,127}, not BM_* */
/* PATH HOME USER LOGNAME ENV BASH_ENV IFS LD_*: never set by a job or a build. */
bool names_variable_reserved(const char *s);
/* Valid UTF-8 without NUL, at most LIMIT bytes; with !LINES also no control bytes. */
bool names_text(const char *s, size_t limit, bool lines);

struct build_ref {
	char release[64];
	int64_t number; /* 0: a release without a number */
};
/* "1.0.2/3" or "1.0.2". Returns 0, or -EINVAL with BAD_NAME. */
int names_build_parse(const char *s, struct build_ref *ret_ref, struct err *err);
bool names_build_equal(const struct build_ref *a, const struct build_ref *b);
/* "1.0.2/3" in a static-size buffer value. */
struct build_text {
	char s[96];
} names_build_text(const struct build_ref *ref);

/* The best of N candidates for a mistyped WORD, or NULL when none is near (edit distance ≤ 2 and
 * less than half of its length). */
const char *names_suggest(const char *word, const char *const *candidates, size_t n);

#endif
