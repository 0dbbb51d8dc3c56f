/* SPDX-License-Identifier: ISC */
/* What the targets that read times have in common: where and when they are read, and how they
 * refuse. */
#ifndef TESTS_FUZZ_TIME_H
#define TESTS_FUZZ_TIME_H

#include "common/err.h"
#include "common/json.h"
#include "tests/fuzz/fuzz.h"

static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"};
static const int64_t nows[] = {1795395600000000, 1774742400000000, 1792886400000001,
			       1325160000000000};

/* A refusal names a column of TEXT, and says nothing that a terminal would take for more than
 * text. */
static inline void
must_be_refused(const char *text, const struct err *err)
{
	int64_t column = json_get_int(err->fields, "column", 0);

	must(err->code == ERR_BAD_TIME && strstr(err->text, ", column "));
	must(column >= 1 && column <= (int64_t)strlen(text) + 1);
	for (const char *s = err->text; *s; s++)
		must((unsigned char)*s >= ' ' && *s != 0x7f);
}

#endif
