/* SPDX-License-Identifier: ISC */
/*
 * From fork to exec. What happens in the child stands in one function, child_side(), in the order
 * that matters: session, cgroup, signals, umask, streams, groups before user, read back, folder as
 * the user, descriptors, exec. Whatever fails there is told as a sentence over a pipe that exec
 * closes, so that it differs from anything that a program may exit with. bmd-run has one thread, so
 * the child may allocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "runner/child.h"

#define OOM_SCORE      100 /* of a step, at least; as a user's services have under systemd */
#define OOM_SCORE_TEXT "100"
#define CHILD_FAILED 125 /* exit code of a child that reports why; nobody shows it */
#define GROUPS_MAX   65536
#define STARTS_MAX   7 /* within 0.3 s */
#define FIRST_NAP_NS 5000000L

static int
passwd_find(const char *name, struct passwd **ret, struct err *err)
{
	if (*name && strspn(name, "0123456789") == strlen(name))
		return err_set(err, ERR_CONFIGURATION,
			       "user \"%s\" is a number: write the user's name", name);
	errno = 0;
	*ret = *name ? getpwnam(name) : getpwuid(geteuid());
	if (!*ret && *name &&
	    (errno == ENOMEM || errno == EMFILE || errno == ENFILE || errno == EAGAIN))
		return err_errno(err, errno, "cannot look up user \"%s\"", name);
	if (!*ret && *name)
		return err_set(err, ERR_CONFIGURATION, "there is no user \"%s\" on this machine",
			       name);
	if (!*ret)
		return err_set(err, ERR_CONFIGURATION,
			       "the user with uid %u has no name on this machine",
			       (unsigned)geteuid());
	return 0;
}

static void
groups_find(struct child_user *user)
{
	int n = 32;

	do {
		user->ngroups = n;
		user->groups = xrealloc(user->groups, (size_t)n, sizeof(*user->groups));
		n *= 2;
	} while (getgrouplist(user->name, user->gid, user->groups, &user->ngroups) < 0 &&
		 n <= GROUPS_MAX);
}

int
child_user_find(const char *name, struct child_user *ret_user, struct err *err)
{
	struct child_user user = {0};
	struct passwd *passwd;
	int r = passwd_find(name, &passwd, err);

	if (r < 0)
		return r;
	if (passwd->pw_uid == (uid_t)-1 || passwd->pw_gid == (gid_t)-1)
		return err_set(err, ERR_CONFIGURATION,
			       "user \"%s\" has an id that means nobody at all", passwd->pw_name);
	if (geteuid() != 0 && passwd->pw_uid != geteuid())
		return err_set(err, ERR_CONFIGURATION,
			       "steps cannot run as \"%s\": bmd-run is not root here", name);
	snprintf(user.name, sizeof(user.name), "%s", passwd->pw_name);
	snprintf(user.home, sizeof(user.home), "%s", passwd->pw_dir ? passwd->pw_dir : "/");
	user.uid = passwd->pw_uid;
	user.gid = passwd->pw_gid;
	groups_find(&user);
	*ret_user = user;
	return 0;
}

void
child_user_clear(struct child_user *user)
{
	free(user->groups);
	*user = (struct child_user){0};
}

void
child_users_warm(void)
{
	struct child_user user = {0};

	(void)child_user_find("", &user, NULL);
	child_user_clear(&user);
}

static void
report_object(int report_fd, const json_t *object)
{
	_cleanup_free_ char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	const char *rest = text ? text : "{\"error\": \"the step could not begin\"}";

	while (*rest) {
		ssize_t n = write(report_fd, rest, strlen(rest));

		if (n < 0 && errno != EINTR)
			return;
		rest += n > 0 ? n : 0;
	}
}

void
child_report_error(int report_fd, const char *sentence)
{
	_cleanup_json_ json_t *object = json_pack("{s:s%}", "error", sentence, strlen(sentence));

	report_object(report_fd, object);
}

void
child_report_failure(int report_fd, const struct err *err)
{
	_cleanup_json_ json_t *object = json_pack("{s:s%}", "error", err->text, strlen(err->text));
	json_t *stored = json_object_get(err->fields, "object");

	if (stored)
		json_object_set(object, "object", stored);
	report_object(report_fd, object);
}

static void __attribute__((noreturn)) _printf_(2, 3) give_up(int report_fd, const char *format, ...)
{
	char sentence[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	child_report_error(report_fd, sentence);
	_exit(CHILD_FAILED);
}

/* By the system call, for the library hides two signals of its own, which its posix_spawn() leaves
 * ignored. */
static void
signals_reset(void)
{
	static const unsigned long defaults[16]; /* as large as the kernel's structure anywhere */
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		syscall(SYS_rt_sigaction, i, defaults, NULL, (size_t)(NSIG / 8));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Short of memory the kernel ends the largest, and of a bomb each process is small: any step goes
 * before bmd and bmd-run. Whoever may not even say that has the better of it, which harms
 * nobody. */
static void
oom_first(void)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && atoi(text) < OOM_SCORE)
		(void)!pwrite(fd, OOM_SCORE_TEXT, strlen(OOM_SCORE_TEXT), 0);
	if (fd >= 0)
		close(fd);
}

static int
stream_set(int from, int to)
{
	int r;

	do
		r = dup2(from, to);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Nothing is opened here that the kernel might have no room for: IN is bmd-run's. */
static int
streams_set(int in, int out, int err)
{
	int r = stream_set(in, STDIN_FILENO);

	if (r >= 0)
		r = stream_set(out, STDOUT_FILENO);
	return r < 0 ? r : stream_set(err, STDERR_FILENO);
}

static bool
has_group(const gid_t *groups, int n, gid_t group)
{
	for (int i = 0; i < n; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* Reads back what the kernel says; believes no return code. */
static bool
is_user(const struct child_user *user)
{
	_cleanup_free_ gid_t *groups = xcalloc(GROUPS_MAX, sizeof(*groups));
	gid_t rgid, egid, sgid;
	uid_t ruid, euid, suid;
	int n = getgroups(GROUPS_MAX, groups);

	if (n < 0 || getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
		return false;
	if (ruid != user->uid || euid != user->uid || suid != user->uid || rgid != user->gid ||
	    egid != user->gid || sgid != user->gid)
		return false;
	for (int i = 0; i < n; i++)
		if (!has_group(user->groups, user->ngroups, groups[i]))
			return false;
	for (int i = 0; i < user->ngroups; i++)
		if (!has_group(groups, n, user->groups[i]))
			return false;
	return user->uid == 0 || (setuid(0) < 0 && seteuid(0) < 0);
}

/* Without root there is nothing to change: bmd-run is the user already, with the groups it was
 * given. */
static void
become(const struct child_user *user, int report_fd)
{
	if (geteuid() != 0 && geteuid() == user->uid && getuid() == user->uid)
		return;
	if (setgroups((size_t)user->ngroups, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		give_up(report_fd, "could not become user %s: %s", user->name, strerror(errno));
	if (!is_user(user))
		give_up(report_fd, "could not become user %s: the kernel says otherwise",
			user->name);
}

/* Closes everything above the streams but A and B; with exec the kernel does it at exec. */
static void
descriptors_close(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX) && fd <= high; fd++)
		if (fd != low && fd != high)
			close(fd);
	closefrom(high + 1 > 3 ? high + 1 : 3);
}

static void
descriptors_mark(void)
{
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX) && fd < 65536; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static const char *
environment_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return "";
}

/* Like execvpe(), with the PATH of the new environment, and without a shell for what is no program.
 * Returns only with errno. */
static void
execute(char *const *argv, char *const *envp)
{
	const char *path = environment_get(envp, "PATH"), *end;
	int number = ENOENT;

	if (!*argv[0]) {
		errno = ENOENT;
		return;
	}
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, envp);
		return;
	}
	for (; *path; path = *end ? end + 1 : end) {
		char file[PATH_MAX];
		struct stat st;

		end = strchrnul(path, ':');
		if (end == path || snprintf(file, sizeof(file), "%.*s/%s", (int)(end - path), path,
					    argv[0]) >= (int)sizeof(file))
			continue;
		if (stat(file, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		execve(file, argv, envp);
		if (errno != EACCES) /* it is there, and is what was meant */
			return;
		number = EACCES;
	}
	errno = number;
}

static void __attribute__((noreturn))
child_side(const struct child *child, int null_fd, int out, int err, int report_fd)
{
	_cleanup_err_ struct err error = ERR_INIT;

	if (setsid() < 0)
		give_up(report_fd, "could not begin a session: %s", strerror(errno));
	if (child->cgroup_fd >= 0 && write(child->cgroup_fd, "0", 1) != 1)
		give_up(report_fd, "could not enter the cgroup of the steps: %s", strerror(errno));
	signals_reset();
	oom_first();
	umask(022);
	if (streams_set(child->in > 0 ? child->in : null_fd, out, err) < 0)
		give_up(report_fd, "could not set up the step's streams: %s", strerror(errno));
	if (child->prepare && child->prepare(child->arg, &error) < 0)
		give_up(report_fd, "%s", error.text);
	become(child->user, report_fd);
	if (chdir(child->directory) < 0)
		give_up(report_fd, "could not enter the directory %s as %s: %s", child->directory,
			child->user->name, strerror(errno));
	if (child->body) {
		descriptors_close(report_fd, child->keep_fd);
		_exit(child->body(child->arg, report_fd));
	}
	descriptors_mark();
	for (size_t i = 0; i < child->nkeep; i++)
		(void)fcntl(child->keep[i], F_SETFD, 0);
	execute(child->argv, child->envp);
	if (errno == ENOENT && strchr(child->argv[0], '/') && access(child->argv[0], X_OK) == 0)
		give_up(report_fd,
			"could not execute: %s: the interpreter that it names is missing",
			child->argv[0]);
	give_up(report_fd, "could not execute: %s: %s", child->argv[0], strerror(errno));
}

struct pipes {
	int out[2], err[2], report[2], null;
};

static void
pipe_close(int ends[2])
{
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
}

static void
pipes_close(struct pipes *pipes)
{
	pipe_close(pipes->out);
	pipe_close(pipes->err);
	pipe_close(pipes->report);
	if (pipes->null >= 0)
		close(pipes->null);
	*pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}, -1};
}

/* Our ends do not block; the step's must, for programs expect that of their output. */
static int
pipe_make(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int
pipes_make(struct pipes *pipes)
{
	int r = pipe_make(pipes->out);

	if (r >= 0)
		r = pipe_make(pipes->err);
	if (r >= 0)
		r = pipe_make(pipes->report);
	if (r < 0)
		return r;
	pipes->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return pipes->null < 0 ? -errno : 0;
}

/* The child's pid, or -errno. Until it has its own dispositions, a TERM that is meant for it must
 * wait, not fall into our handler. */
static pid_t
fork_child(const struct child *child, const struct pipes *pipes)
{
	sigset_t all, before;
	pid_t pid;
	int number;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	number = errno;
	if (pid == 0)
		child_side(child, pipes->null, pipes->out[1], pipes->err[1], pipes->report[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid < 0 ? -number : pid;
}

/* What passes: a kernel that is short of something, or a signal. Of the step nothing has begun. */
static bool
passes(int r)
{
	return r == -EAGAIN || r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EINTR;
}

int
child_start(const struct child *child, struct child_started *ret_started, struct err *err)
{
	_cleanup_(pipes_close) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}, -1};
	struct timespec nap = {.tv_nsec = FIRST_NAP_NS};
	int made = 0;
	pid_t pid = -1;

	for (int i = 0; i < STARTS_MAX; i++, nap.tv_nsec *= 2) {
		if (i > 0)
			(void)nanosleep(&nap, NULL);
		made = pipes_make(&pipes);
		pid = made < 0 ? -1 : fork_child(child, &pipes);
		if (pid > 0 || !passes(made < 0 ? made : pid))
			break;
		pipes_close(&pipes);
	}
	if (made < 0)
		return err_errno(err, -made, "could not make the pipes of a step");
	if (pid < 0)
		return err_errno(err, -pid, "could not start a process");
	*ret_started = (struct child_started){
	    .pid = pid,
	    .out = TAKE_FD(pipes.out[0]),
	    .err = TAKE_FD(pipes.err[0]),
	    .report = TAKE_FD(pipes.report[0]),
	};
	return 0;
}
