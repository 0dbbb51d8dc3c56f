/* SPDX-License-Identifier: ISC */
/*
 * The failpoint() of the programs that are installed. Alone in its object, so that a test program's
 * own takes its place.
 */
#include "common/failpoint.h"

void
failpoint(const char *name)
{
	(void)name;
}
