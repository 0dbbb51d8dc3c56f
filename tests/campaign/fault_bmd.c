/* SPDX-License-Identifier: ISC */
/*
 * What fault.c has of bmd alone. The family "sqlite": the N-th allocation inside SQLite fails. Set
 * up before main(), since the library takes an allocator only before its first use; it goes on to
 * its own one. The phase "submitting": linked with --wrap=methods_call. The family "request": the
 * database does not give what bmd-run has to be told of a job that is starting already, which no
 * other family comes to, since its pages have just been read; --wrap=queue_run_request.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>

#include "daemon/methods/methods.h"
#include "daemon/queue/queue.h"
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

static void __attribute__((constructor)) stand_before(void)
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
__wrap_methods_call(struct control_call *call, const struct varlink_call *what,
		    const struct control_peer *peer, void *arg)
{
	fault_phase("submitting");
	__real_methods_call(call, what, peer, arg);
}

int __real_queue_run_request(struct queue *queue, const struct job *job,
			     struct run_request *ret_request, struct err *err);
int __wrap_queue_run_request(struct queue *queue, const struct job *job,
			     struct run_request *ret_request, struct err *err);

int
__wrap_queue_run_request(struct queue *queue, const struct job *job,
			 struct run_request *ret_request, struct err *err)
{
	if (!fault_strikes("request"))
		return __real_queue_run_request(queue, job, ret_request, err);
	(void)err_set(err, ERR_UNKNOWN_OUTCOME, "the database failed (disk I/O error)");
	return STORE_BROKEN;
}
