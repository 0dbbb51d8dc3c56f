/* SPDX-License-Identifier: ISC */
/*
 * Orphans by way of /proc. A process is known by its pid and the moment it began; a pid alone may
 * be somebody else by the time that it is used.
 */
#include "daemon/sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "common/scope.h"
#include "common/xalloc.h"

static bool
is_spared(const struct sweep_spared *spared, pid_t pid)
{
	for (size_t i = 0; i < spared->n; i++)
		if (spared->v[i] == pid)
			return true;
	return false;
}

struct process {
	pid_t pid, parent;
	unsigned long long start; /* with the pid: who it is */
};

static int
read_process(pid_t pid, struct process *ret)
{
	char path[32], text[1024];
	_cleanup_close_ int fd = -1;
	const char *end;
	int parent;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	/* The name stands in parentheses and may hold some itself: the fields begin behind the
	 * last. */
	end = strrchr(text, ')');
	ret->pid = pid;
	if (!end ||
	    sscanf(
		end + 1,
		" %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&parent, &ret->start) != 2)
		return -ESRCH;
	ret->parent = parent;
	return 0;
}

static int
compare_processes(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Every process of the machine, by pid. */
static struct process *
read_processes(size_t *ret_n)
{
	DIR *proc = opendir("/proc");
	struct process *v = NULL;
	size_t n = 0, room = 0;
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		XGROW(v, n, room);
		if (read_process((pid_t)atoi(entry->d_name), &v[n]) == 0)
			n++;
	}
	if (proc)
		closedir(proc);
	if (n)
		qsort(v, n, sizeof(*v), compare_processes);
	*ret_n = n;
	return v;
}

static const struct process *
find_process(const struct process *v, size_t n, pid_t pid)
{
	const struct process key = {.pid = pid};

	return n ? bsearch(&key, v, n, sizeof(*v), compare_processes) : NULL;
}

/* Below bmd, and neither a living helper nor below one. The climb is bounded: a table read while it
 * changes may have loops. */
static bool
orphan(const struct sweep_spared *spared, const struct process *v, size_t n,
       const struct process *p)
{
	pid_t self = getpid();

	for (size_t steps = 0; p && steps < n; steps++) {
		if (is_spared(spared, p->pid))
			return false;
		if (p->parent == self)
			return true;
		p = find_process(v, n, p->parent);
	}
	return false;
}

/* A child of ours keeps its pid until we reap it; any other might be someone else by now, so it is
 * held and looked at again. */
static void
kill_process(const struct process *p)
{
	_cleanup_close_ int fd = -1;
	struct process again;

	if (p->parent == getpid()) {
		(void)kill(p->pid, SIGKILL);
		return;
	}
	fd = pidfd_open(p->pid, 0);
	if (fd >= 0 && read_process(p->pid, &again) == 0 && again.start == p->start)
		(void)pidfd_send_signal(fd, SIGKILL, NULL, 0);
}

void
sweep_kill(const struct sweep_spared *spared)
{
	size_t n;
	_cleanup_free_ struct process *v = read_processes(&n);

	for (size_t i = 0; i < n; i++)
		if (orphan(spared, v, n, &v[i]))
			kill_process(&v[i]);
}

/* All children of bmd's one thread, in one file where the kernel has it. */
static int
read_children(struct sweep_spared *children)
{
	char path[64];
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ struct process *v = NULL;
	size_t n;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
	file = fopen(path, "re");
	if (file) {
		while (fscanf(file, "%d", &pid) == 1)
			sweep_spare(children, pid);
		return ferror(file) ? -EIO : 0;
	}
	v = read_processes(&n);
	for (size_t i = 0; i < n; i++)
		if (v[i].parent == getpid())
			sweep_spare(children, v[i].pid);
	return 0;
}

static bool
only_spared(const struct sweep_spared *spared)
{
	struct sweep_spared children = {0};
	bool only = read_children(&children) == 0;

	for (size_t i = 0; i < children.n; i++)
		only = only && is_spared(spared, children.v[i]);
	free(children.v);
	return only;
}

/*
 * Is nothing left but living helpers? Whatever was orphaned is a child of ours or lies below one,
 * so the children tell. The list is not read in one moment: a process can come to us only when its
 * parent dies, and if that was a child of ours it now waits to be reaped; if none does, nothing
 * moved and the list is true.
 */
bool
sweep_clean(const struct sweep_spared *spared)
{
	siginfo_t info = {0};

	if (!only_spared(spared))
		return false;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0;
}

void
sweep_children(struct sweep_spared *ret)
{
	*ret = (struct sweep_spared){0};
	(void)read_children(ret);
}

void
sweep_spare(struct sweep_spared *spared, pid_t pid)
{
	XGROW(spared->v, spared->n, spared->room);
	spared->v[spared->n++] = pid;
}
