/* SPDX-License-Identifier: ISC */
/*
 * Never compiled: faults that each analyzer has to find, or `make check-static` fails, for a tool
 * that has stopped looking finds nothing either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For gcc, cppcheck and scan-build. */
int
planted_use_after_free(void)
{
	int *p = malloc(sizeof(*p)), value;

	if (!p)
		return 0;
	*p = 1;
	free(p);
	value = *p;
	return value;
}

/* For clang-tidy: strcmp() answers any number below 0. */
int
planted_comparison(const char *a, const char *b)
{
	return strcmp(a, b) == -1;
}
