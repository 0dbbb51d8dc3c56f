/* SPDX-License-Identifier: ISC */
/*
 * Knows what belongs to the running step, and ends it. Descendants are found by walking /proc from
 * bmd-run downward; as it is their subreaper, setsid and double forks change nothing, and the last
 * of them always becomes a child whose end is told by SIGCHLD. So "empty" is waitid() saying
 * ECHILD, never a guess. Signals go by pidfd to a process whose start time is still the one that
 * was seen. A cgroup, where one is delegated, makes KILL atomic and lets bmd see after a crash what
 * is left.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "runner/bounds.h"
#include "runner/tree.h"

#define RETRY_FIRST_S 0.02
#define RETRY_LAST_S  1.0
#define STUCK_S	      5.0 /* so long after KILL it is worth a line */

struct tree {
	struct ev_loop *loop;
	ev_signal child_watcher;
	pid_t watched;
	bool ended;
	int status;
	char cgroup[256];
	int cgroup_fd;
};

struct process {
	pid_t pid, parent;
	unsigned long long start;
	char name[32];
	bool ours, zombie;
};

struct processes {
	struct process *v;
	size_t n, room;
};

static void
processes_clear(struct processes *processes)
{
	free(processes->v);
}

/* Reaps all that ended; only the watched one's status is of interest. */
static void
reap(struct tree *tree)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != tree->watched || tree->ended) /* its pid may be another's by now */
			continue;
		tree->ended = true;
		tree->status = status;
	}
}

static void
on_child(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)loop;
	(void)events;
	reap(watcher->data);
}

static ssize_t
small_file(const char *path, char *buffer, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

	buffer[n < 0 ? 0 : n] = '\0';
	return n;
}

/* Is this cgroup ours to use? Without root: if we may write. As root, only if its owner said so. */
static bool
cgroup_delegated(const char *path)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", path);
	_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", path);
	char value[64];

	if (access(path, W_OK) < 0 || access(procs, W_OK) < 0)
		return false;
	if (small_file(control, value, sizeof(value)) < 0 || strspn(value, "\n") != strlen(value))
		return false; /* with controllers, processes live in leaves only */
	return geteuid() != 0 || getxattr(path, "trusted.delegate", value, sizeof(value)) > 0 ||
	       getxattr(path, "user.delegate", value, sizeof(value)) > 0;
}

/* The path of our own cgroup in the unified hierarchy. */
static char *
cgroup_own(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char text[4096], *line, *end;

	if (small_file("/proc/self/cgroup", text, sizeof(text)) <= 0)
		return NULL;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return NULL;
	line = strchr(line, '/');
	end = line ? strchr(line, '\n') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", mounts[i]);

		if (access(procs, F_OK) == 0)
			return xasprintf("%s%s", mounts[i], strcmp(line, "/") == 0 ? "" : line);
	}
	return NULL;
}

static int
cgroup_make(struct tree *tree, const char *run_id, const struct conf_limits *limits,
	    struct err *err)
{
	_cleanup_free_ char *own = cgroup_own();
	_cleanup_free_ char *procs = NULL;
	bool usable = own && cgroup_delegated(own), limited = limits && bounds_any(limits);
	int n, r = limited ? bounds_prepare(usable ? own : NULL, limits, err) : 0;

	if (r < 0 || !usable)
		return r;
	n = snprintf(tree->cgroup, sizeof(tree->cgroup), "%s/bmd-steps-%.8s", own, run_id);
	if (n >= (int)sizeof(tree->cgroup) || mkdir(tree->cgroup, 0755) < 0) {
		tree->cgroup[0] = '\0';
		return limited ? err_set(err, ERR_FAILED,
					 "the steps get no cgroup of their own, which their "
					 "limits need")
			       : 0;
	}
	procs = xasprintf("%s/cgroup.procs", tree->cgroup);
	tree->cgroup_fd = open(procs, O_WRONLY | O_CLOEXEC);
	r = limited ? bounds_set(tree->cgroup, limits, err) : 0;
	if (limited && r >= 0 && tree->cgroup_fd < 0)
		r = err_set(err, ERR_FAILED, "the cgroup of the steps cannot be entered");
	if (tree->cgroup_fd < 0 || r < 0) {
		rmdir(tree->cgroup);
		tree->cgroup[0] = '\0';
	}
	return r;
}

int
tree_open(struct ev_loop *loop, const char *run_id, const struct conf_limits *limits,
	  struct tree **ret_tree, struct err *err)
{
	struct tree *tree;
	int r;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_errno(err, errno, "cannot become the reaper of the steps' processes");
	tree = xcalloc(1, sizeof(*tree));
	tree->loop = loop;
	tree->cgroup_fd = -1;
	ev_signal_init(&tree->child_watcher, on_child, SIGCHLD);
	tree->child_watcher.data = tree;
	ev_signal_start(loop, &tree->child_watcher);
	r = cgroup_make(tree, run_id, limits, err);
	if (r < 0) {
		tree_close(tree);
		return r;
	}
	*ret_tree = tree;
	return 0;
}

void
tree_close(struct tree *tree)
{
	if (!tree)
		return;
	ev_signal_stop(tree->loop, &tree->child_watcher);
	if (tree->cgroup_fd >= 0)
		close(tree->cgroup_fd);
	if (tree->cgroup[0])
		rmdir(tree->cgroup);
	free(tree);
}

const char *
tree_cgroup(const struct tree *tree)
{
	return tree->cgroup;
}

int
tree_cgroup_fd(const struct tree *tree)
{
	return tree->cgroup_fd;
}

void
tree_watch(struct tree *tree, pid_t pid)
{
	tree->watched = pid;
	tree->ended = false;
}

bool
tree_ended(const struct tree *tree, int *ret_status)
{
	if (tree->ended)
		*ret_status = tree->status;
	return tree->ended;
}

bool
tree_empty(struct tree *tree)
{
	siginfo_t info;

	reap(tree);
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* /proc/PID/stat: pid (name) state ppid … start time as the 22nd. The name may hold anything. */
static bool
process_read(pid_t pid, struct process *ret)
{
	char path[32], text[1024], *open, *close, state;
	struct process process = {.pid = pid};

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (small_file(path, text, sizeof(text)) <= 0)
		return false;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close ||
	    sscanf(
		close + 1,
		" %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		&state, &process.parent, &process.start) != 3)
		return false;
	*close = '\0';
	snprintf(process.name, sizeof(process.name), "%.31s", open + 1);
	process.zombie = state == 'Z' || state == 'X';
	*ret = process;
	return true;
}

static void
processes_list(struct processes *processes)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		struct process process;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !process_read((pid_t)atoi(entry->d_name), &process))
			continue;
		XGROW(processes->v, processes->n, processes->room);
		processes->v[processes->n++] = process;
	}
	if (dir)
		closedir(dir);
}

static int
compare_pids(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Marks all that descend from us: again and again over the list until nothing is added. */
static void
processes_mark(struct processes *processes)
{
	pid_t self = getpid();
	bool more = processes->n > 0;

	if (processes->n > 0)
		qsort(processes->v, processes->n, sizeof(*processes->v), compare_pids);
	while (more) {
		more = false;
		for (size_t i = 0; i < processes->n; i++) {
			struct process *p = &processes->v[i], key = {.pid = p->parent};
			const struct process *parent;

			if (p->ours)
				continue;
			parent =
			    bsearch(&key, processes->v, processes->n, sizeof(key), compare_pids);
			if (p->parent == self || (parent && parent->ours))
				p->ours = more = true;
		}
	}
}

static void
descendants(struct processes *ret)
{
	*ret = (struct processes){0};
	processes_list(ret);
	processes_mark(ret);
}

void
tree_names(char *ret_names, size_t size)
{
	_cleanup_(processes_clear) struct processes processes;
	size_t used = 0;

	descendants(&processes);
	*ret_names = '\0';
	for (size_t i = 0; i < processes.n; i++) {
		const struct process *p = &processes.v[i];

		if (!p->ours || p->zombie)
			continue;
		if (used + sizeof(p->name) + 8 > size) {
			snprintf(ret_names + used, size - used, ", …");
			return;
		}
		used += (size_t)snprintf(ret_names + used, size - used, "%s%s", used ? ", " : "",
					 p->name);
	}
}

static void
process_signal(const struct process *p, int number)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	struct process again;

	if (fd < 0 || !process_read(p->pid, &again) || again.start != p->start)
		return;
	syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
}

static void
signal_all(int number)
{
	_cleanup_(processes_clear) struct processes processes;

	descendants(&processes);
	for (size_t i = 0; i < processes.n; i++)
		if (processes.v[i].ours && !processes.v[i].zombie)
			process_signal(&processes.v[i], number);
}

/* Stops all first, twice, so that one that forks as fast as it is killed holds still. */
static void
kill_all(struct tree *tree)
{
	_cleanup_free_ char *path = xasprintf("%s/cgroup.kill", tree->cgroup);
	_cleanup_close_ int fd = tree->cgroup[0] ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (fd >= 0 && write(fd, "1", 1) == 1 && tree_empty(tree))
		return;
	signal_all(SIGSTOP);
	signal_all(SIGSTOP);
	signal_all(SIGKILL);
}

struct alarm {
	ev_timer timer;
	bool rang;
};

static void
on_alarm(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	((struct alarm *)timer->data)->rang = true;
}

static void
alarm_start(struct tree *tree, struct alarm *alarm, double after_s)
{
	alarm->rang = false;
	ev_now_update(tree->loop);
	ev_timer_init(&alarm->timer, on_alarm, after_s, 0.);
	alarm->timer.data = alarm;
	ev_timer_start(tree->loop, &alarm->timer);
}

/* Runs the loop until the tree is empty, so many seconds have passed, or *NOW. */
static void
wait_empty(struct tree *tree, double after_s, const bool *now)
{
	struct alarm alarm;

	alarm_start(tree, &alarm, after_s);
	while (!tree_empty(tree) && !alarm.rang && !(now && *now))
		ev_run(tree->loop, EVRUN_ONCE);
	ev_timer_stop(tree->loop, &alarm.timer);
}

void
tree_end(struct tree *tree, double grace_s, const bool *now,
	 void (*stuck)(const char *names, void *arg), void *arg)
{
	double pause_s = RETRY_FIRST_S, spent_s = 0;
	bool told = false;

	if (tree_empty(tree))
		return;
	if (!*now) {
		signal_all(SIGTERM);
		signal_all(SIGCONT);
		wait_empty(tree, grace_s, now);
	}
	while (!tree_empty(tree)) {
		kill_all(tree);
		wait_empty(tree, pause_s, NULL);
		spent_s += pause_s;
		pause_s = pause_s * 2 < RETRY_LAST_S ? pause_s * 2 : RETRY_LAST_S;
		if (spent_s > STUCK_S && !told) {
			char names[256];

			tree_names(names, sizeof(names));
			stuck(names, arg);
			told = true;
		}
	}
}
