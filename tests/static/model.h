/* SPDX-License-Identifier: ISC */
/*
 * Read before each file that gcc -fanalyzer or scan-build looks at, and by nothing else: what an
 * analyzer cannot see because it reads one file at a time. Only what is true by the contract of a
 * header belongs here.
 */
#ifndef TESTS_STATIC_MODEL_H
#define TESTS_STATIC_MODEL_H

#include "common/err.h"

static inline __attribute__((unused)) int
model_negative(int r)
{
	if (r >= 0)
		__builtin_unreachable();
	return r;
}

/* common/err.h: what is refused is below 0. */
#define err_set(...)   model_negative(err_set(__VA_ARGS__))
#define err_errno(...) model_negative(err_errno(__VA_ARGS__))

#endif
