/* SPDX-License-Identifier: ISC */
/*
 * What fault.c has of bmd alone. The family "sqlite": the N-th allocation inside SQLite fails. Set up before main(), since the
 * library takes an allocator only before its first use; it goes on to its own one. The phase "submitting": linked with
 * --wrap=methods_call.
 */
#include <sqlite3.h>
#include <stddef.h>

#include "daemon/methods/methods.h"
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

control_handler __real_methods_call, __wrap_methods_call;

void
__wrap_methods_call(struct control_call *call, const struct varlink_call *what, const struct control_peer *peer, void *arg)
{
	fault_phase("submitting");
	__real_methods_call(call, what, peer, arg);
}
