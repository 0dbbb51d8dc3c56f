/* SPDX-License-Identifier: ISC */
/*
 * The family "sqlite" of fault.c: the N-th allocation inside SQLite fails. Set up before main(), since the library takes
 * an allocator only before its first use; it goes on to its own one.
 */
#include <sqlite3.h>
#include <stddef.h>

#include "tests/campaign/fault.h"

static sqlite3_mem_methods own;

static void *
allocate(int n)
{
	return fault_strikes("sqlite") ? NULL : own.xMalloc(n);
}

static void *
reallocate(void *p, int n)
{
	return fault_strikes("sqlite") ? NULL : own.xRealloc(p, n);
}

static void __attribute__((constructor))
stand_before(void)
{
	sqlite3_mem_methods ours;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &own) != SQLITE_OK)
		return;
	ours = own;
	ours.xMalloc = allocate;
	ours.xRealloc = reallocate;
	(void)sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
}
