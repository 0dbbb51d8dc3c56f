/* SPDX-License-Identifier: ISC */
/* What every fuzz target begins with. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is not so is a finding. */
static inline void
must(bool true_thing)
{
	if (!true_thing)
		abort();
}

#endif
