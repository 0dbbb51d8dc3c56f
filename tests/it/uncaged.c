/* SPDX-License-Identifier: ISC */
/*
 * For valgrind, which cannot live in the cage of the archive reader: a bmd-import with this
 * preloaded reads archives without the cage, without limits, and closes only descriptors that are a
 * program's own and not valgrind's.
 */
#include <seccomp.h>
#include <sys/resource.h>
#include <unistd.h>

#define OWN 256 /* valgrind's descriptors lie higher */

static int filter;

scmp_filter_ctx
seccomp_init(uint32_t action)
{
	(void)action;
	return &filter;
}

int
seccomp_rule_add(scmp_filter_ctx context, uint32_t action, int call, unsigned n, ...)
{
	(void)context, (void)action, (void)call, (void)n;
	return 0;
}

int
seccomp_load(scmp_filter_ctx context)
{
	(void)context;
	return 0;
}

void
seccomp_release(scmp_filter_ctx context)
{
	(void)context;
}

int
setrlimit64(__rlimit_resource_t what, const struct rlimit64 *limit)
{
	(void)what, (void)limit;
	return 0;
}

int
close_range(unsigned first, unsigned last, int flags)
{
	(void)flags;
	for (unsigned fd = first; fd <= last && fd < OWN; fd++)
		(void)close((int)fd);
	return 0;
}
