/* SPDX-License-Identifier: ISC */
/*
 * Helpers live in a list from their fork until libev reaps them. A bmd-run that is reaped moves to
 * the list of the dead, and what it left, which the subreaper inherits, is killed; only when it is
 * proved that no child is left but living helpers does ENDED speak of it. Everything after the fork
 * stands in become(): one checklist.
 */
#include "daemon/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/failpoint.h"
#include "common/scope.h"
#include "common/xalloc.h"
#include "daemon/sweep.h"

#define RUN_SOCKET	"/run/bmd/run.socket"
#define SWEEP_FIRST_S	0.02
#define SWEEP_LAST_S	1.
#define ERROR_FD	3 /* of the child, until the exec closes it */
#define ENVIRONMENT_MAX 8

enum kind {
	BMD_RUN,    /* may leave something behind */
	BMD_IMPORT, /* ends what it began */
	FOREIGN,    /* a child that no bmd-run left: not ours to end or to tell of */
};

struct helper {
	pid_t pid;
	enum kind kind;
	int status;
};

struct helpers {
	struct helper *v;
	size_t n, room;
};

struct launch {
	struct ev_loop *loop;
	void (*ended)(pid_t pid, int status, void *arg);
	void *arg;
	ev_child child; /* of any pid: orphans are reaped here too */
	ev_timer sweep;
	struct helpers living, dead;
	char *run, *import;  /* programs; NULL: to be found */
	struct rlimit files; /* as bmd itself was started: bmd may raise its own afterwards */
};

/* ---- where the programs are */

/* BESIDE is their folder in a build tree, next to that of bmd itself. */
static char *
find_program(const char *beside, const char *name)
{
	static const char own[] = "/daemon/bmd";
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	_cleanup_free_ char *path = NULL;

	exe[n > 0 ? n : 0] = '\0';
	if (n >= (ssize_t)sizeof(own) && !strcmp(exe + n - (sizeof(own) - 1), own)) {
		exe[n - (ssize_t)(sizeof(own) - 1)] = '\0';
		path = xasprintf("%s/%s/%s", exe, beside, name);
		if (access(path, F_OK) == 0)
			return TAKE(path);
	}
	return xasprintf("%s/%s", LIBEXECDIR, name);
}

static char *
program_run(const struct launch *launch)
{
	return launch->run ? xstrdup(launch->run) : find_program("runner", "bmd-run");
}

static char *
program_import(const struct launch *launch)
{
	return launch->import ? xstrdup(launch->import) : find_program("import", "bmd-import");
}

static int
refuse(struct err *err, const char *program, const char *what, int number)
{
	if (number == ENOENT && !strcmp(what, "exec"))
		err_set(
		    err, ERR_FAILED,
		    "the helper program %s, or what interprets it, is missing: install bmd whole",
		    program);
	else
		err_set(err, ERR_FAILED, "cannot start the helper program %s (%s): %s", program,
			what, strerror(number));
	return -number;
}

static int
check_program(char *path, struct err *err)
{
	_cleanup_free_ char *owned = path;

	return access(owned, X_OK) == 0 ? 0 : refuse(err, owned, "exec", errno);
}

int
launch_check(struct err *err)
{
	int r = check_program(find_program("runner", "bmd-run"), err);

	return r < 0 ? r : check_program(find_program("import", "bmd-import"), err);
}

void
launch_set_programs(struct launch *launch, const char *run, const char *import)
{
	free(launch->run);
	free(launch->import);
	launch->run = xstrdup(run);
	launch->import = xstrdup(import);
}

/* ---- fork and exec */

struct start {
	const char *program;
	char *const *argv;
	char *const *environment;
	int in, out;  /* OUT -1: /dev/null */
	int error_fd; /* the writing end, CLOEXEC */
	struct rlimit files;
};

/* What the child says when it could not become the program. */
struct failure {
	int number;
	char what[32];
};

static __attribute__((noreturn)) void
give_up(int error_fd, const char *what)
{
	struct failure failure = {.number = errno};

	strncpy(failure.what, what, sizeof(failure.what) - 1);
	(void)!write(error_fd, &failure, sizeof(failure));
	_exit(127);
}

/*
 * Ignored signals and the mask would be inherited through the exec, also the two that libc keeps to
 * itself and refuses to touch: the kernel is asked directly, with the default action, which is all
 * zero. Nothing is delivered before the mask is opened.
 */
static void
reset_signals(void)
{
	static const unsigned char standard[64];
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		(void)syscall(SYS_rt_sigaction, signal, standard, NULL, (NSIG - 1) / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
set_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* The child: a session of its own, no signal state, folder /, known umask, three descriptors and no
 * others, the program. */
static __attribute__((noreturn)) void
become(const struct start *start)
{
	int error_fd, in, out;

	setsid();
	reset_signals();
	umask(022);
	/* First out of the way of 0 to 3, whatever of them was closed in bmd. */
	error_fd = fcntl(start->error_fd, F_DUPFD_CLOEXEC, ERROR_FD + 1);
	if (error_fd < 0)
		give_up(start->error_fd, "dup");
	in = fcntl(start->in, F_DUPFD_CLOEXEC, ERROR_FD + 1);
	out = start->out < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : start->out;
	out = out < 0 ? -1 : fcntl(out, F_DUPFD_CLOEXEC, ERROR_FD + 1);
	if (in < 0 || out < 0)
		give_up(error_fd, "dup");
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    (fcntl(STDERR_FILENO, F_GETFD) < 0 && dup2(out, STDERR_FILENO) < 0) ||
	    dup3(error_fd, ERROR_FD, O_CLOEXEC) < 0)
		give_up(error_fd, "dup2");
	set_blocking(STDIN_FILENO);
	closefrom(ERROR_FD + 1);
	(void)setrlimit(RLIMIT_NOFILE, &start->files);
	if (chdir("/") < 0)
		give_up(ERROR_FD, "chdir");
	execve(start->program, start->argv, start->environment);
	give_up(ERROR_FD, "exec");
}

/* Waits for the exec, a millisecond, and tells whether it came to it. */
static int
await_exec(const struct start *start, pid_t pid, int fd, struct err *err)
{
	struct failure failure;
	ssize_t n;

	do
		n = read(fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n <
	    0) /* whatever it became, nobody will talk to it: it would wait for us, and we for it */
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(failure))
		return refuse(err, start->program, "fork", EIO);
	failure.what[sizeof(failure.what) - 1] = '\0';
	return refuse(err, start->program, failure.what, failure.number ? failure.number : EIO);
}

/* NULL-terminated; what is free of secrets and of bmd's own affairs: where the credentials of bmd's
 * unit lie is no secret. The sanitizers' options let tests see into helpers. */
static void
make_environment(char *environment[ENVIRONMENT_MAX])
{
	static const char *const kept[] = {"CREDENTIALS_DIRECTORY", "JOURNAL_STREAM",
					   "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
	size_t n = 0;

	environment[n++] =
	    xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	environment[n++] = xstrdup("LANG=C.UTF-8");
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (getenv(kept[i]))
			environment[n++] = xasprintf("%s=%s", kept[i], getenv(kept[i]));
	environment[n] = NULL;
}

/* bmd's memory need not be copied for a child that only changes descriptors and executes. */
static __attribute__((noinline)) pid_t
start_child(const struct start *start)
{
	pid_t pid = vfork();

	if (pid == 0)
		become(start);
	return pid;
}

static int
fork_and_exec(struct start *start, pid_t *ret_pid, struct err *err)
{
	_cleanup_close_ int reader = -1, writer = -1;
	sigset_t all, before;
	int ends[2];
	pid_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return refuse(err, start->program, "pipe", errno);
	reader = ends[0];
	writer = start->error_fd = ends[1];
	/* A handler of libev must not run in the child: it would write into the loop of its parent.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = start_child(start);
	r = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	failpoint("fork-after");
	if (pid < 0)
		return refuse(err, start->program, "fork", r);
	close(TAKE_FD(writer));
	r = await_exec(start, pid, reader, err);
	if (r == 0)
		*ret_pid = pid;
	return r;
}

static void
add_living(struct launch *launch, pid_t pid, enum kind kind)
{
	XGROW(launch->living.v, launch->living.n, launch->living.room);
	launch->living.v[launch->living.n++] = (struct helper){.pid = pid, .kind = kind};
}

static struct helper *
find_helper(const struct launch *launch, pid_t pid)
{
	for (size_t i = 0; i < launch->living.n; i++)
		if (launch->living.v[i].pid == pid)
			return &launch->living.v[i];
	return NULL;
}

/* Has a bmd-run ended that is not yet reaped? Then its orphans may be here. */
static bool
run_has_ended(const struct launch *launch)
{
	for (size_t i = 0; i < launch->living.n; i++) {
		siginfo_t info = {0};

		if (launch->living.v[i].kind == BMD_RUN &&
		    (waitid(P_PID, (id_t)launch->living.v[i].pid, &info,
			    WEXITED | WNOHANG | WNOWAIT) < 0 ||
		     info.si_pid != 0))
			return true;
	}
	return false;
}

/*
 * Children that bmd has although every bmd-run still holds its own: of whatever became bmd by exec,
 * a script that starts a container for example, what those leave, and what comes to the first
 * process of a container. First the list, then the question: so none of them is a run's.
 */
static void
spare_strangers(struct launch *launch)
{
	struct sweep_spared children;

	if (launch->dead.n > 0)
		return;
	sweep_children(&children);
	if (!run_has_ended(launch))
		for (size_t i = 0; i < children.n; i++)
			if (!find_helper(launch, children.v[i]))
				add_living(launch, children.v[i], FOREIGN);
	free(children.v);
}

/* Forks, and keeps the pid in the list of the living. */
static int
spawn(struct launch *launch, struct start *start, enum kind kind, pid_t *ret_pid, struct err *err)
{
	char *environment[ENVIRONMENT_MAX];
	pid_t pid;
	int r;

	spare_strangers(launch);
	make_environment(environment);
	start->environment = environment;
	start->files = launch->files;
	r = fork_and_exec(start, &pid, err);
	for (size_t i = 0; environment[i]; i++)
		free(environment[i]);
	if (r < 0)
		return r;
	add_living(launch, pid, kind);
	*ret_pid = pid;
	return 0;
}

/* A pair of connected sockets: *RET_OURS does not block, *RET_THEIRS does. */
static int
channel(int *ret_ours, int *ret_theirs, struct err *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(err, errno, "cannot make a channel to a helper");
	if (fcntl(ends[0], F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
		int number = errno;

		close(ends[0]);
		close(ends[1]);
		return err_errno(err, number, "cannot make a channel to a helper");
	}
	*ret_ours = ends[0];
	*ret_theirs = ends[1];
	return 0;
}

/* ---- what helpers there are */

static int
run_by_systemd(int *ret_fd, pid_t *ret_pid, struct err *err)
{
	const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = RUN_SOCKET};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(err, errno, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return err_errno(
		    err, errno,
		    "cannot reach bmd-run at %s (look at systemctl status bmd-run.socket)",
		    RUN_SOCKET);
	*ret_fd = TAKE_FD(fd);
	*ret_pid = 0;
	return 0;
}

static int
run_by_fork(struct launch *launch, const struct conf *conf, int64_t job, int *ret_fd,
	    pid_t *ret_pid, struct err *err)
{
	_cleanup_free_ char *program = program_run(launch), *number = xasprintf("%" PRId64, job);
	char *argv[] = {(char[]){"bmd-run"}, (char[]){"-c"}, conf->path, job > 0 ? number : NULL,
			NULL};
	_cleanup_close_ int ours = -1, theirs = -1;
	struct start start = {.program = program, .argv = argv, .out = -1};
	int r = channel(&ours, &theirs, err);

	if (r < 0)
		return r;
	start.in = theirs;
	r = spawn(launch, &start, BMD_RUN, ret_pid, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(ours);
	return 0;
}

int
launch_run(struct launch *launch, const struct conf *conf, int64_t job, int *ret_fd, pid_t *ret_pid,
	   struct err *err)
{
	if (conf->launcher == CONF_LAUNCHER_SYSTEMD)
		return run_by_systemd(ret_fd, ret_pid, err);
	return run_by_fork(launch, conf, job, ret_fd, ret_pid, err);
}

/* --limit NAME=NUMBER for each that is configured. */
static void
add_limits(const struct conf *conf, char *argv[], size_t n, char texts[6][40])
{
	static char option[] = "--limit";
	const struct {
		const char *name;
		int64_t value;
	} limits[6] = {{"bytes", conf->upload_bytes}, {"file", conf->upload_file},
		       {"files", conf->upload_files}, {"depth", conf->upload_depth},
		       {"path", conf->upload_path},   {"ratio", conf->upload_ratio}};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (limits[i].value == 0)
			continue;
		snprintf(texts[i], 40, "%s=%lld", limits[i].name, (long long)limits[i].value);
		argv[n++] = option;
		argv[n++] = texts[i];
	}
	argv[n] = NULL;
}

int
launch_import(struct launch *launch, const struct conf *conf, const char *kind, int client_fd,
	      pid_t *ret_pid, struct err *err)
{
	_cleanup_free_ char *program = program_import(launch), *word = xstrdup(kind);
	char *argv[20] = {(char[]){"bmd-import"}, (char[]){"--state"}, conf->state_directory, word};
	struct start start = {.program = program, .argv = argv, .in = client_fd, .out = client_fd};
	char texts[6][40];
	int flags = fcntl(client_fd, F_GETFL);
	int r;

	add_limits(conf, argv, 4, texts);
	r = spawn(launch, &start, BMD_IMPORT, ret_pid, err);
	/* Non-blocking is a property of the connection, which the child shares; it has changed
	 * that. */
	if (r < 0 && flags >= 0)
		(void)fcntl(client_fd, F_SETFL, flags);
	return r;
}

/* bmd-import for work on the store, over a channel. */
static int
store_helper(struct launch *launch, const struct conf *conf, char *option, int *ret_fd,
	     pid_t *ret_pid, struct err *err)
{
	_cleanup_free_ char *program = program_import(launch);
	_cleanup_free_ char *rate = xasprintf("%lld", (long long)conf->verify_rate);
	char *argv[] = {(char[]){"bmd-import"},
			(char[]){"--state"},
			conf->state_directory,
			(char[]){"--rate"},
			rate,
			option,
			NULL};
	_cleanup_close_ int ours = -1, theirs = -1;
	struct start start = {.program = program, .argv = argv};
	int r = channel(&ours, &theirs, err);

	if (r < 0)
		return r;
	start.in = start.out = theirs;
	r = spawn(launch, &start, BMD_IMPORT, ret_pid, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(ours);
	return 0;
}

int
launch_verify(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
	      struct err *err)
{
	return store_helper(launch, conf, (char[]){"--verify"}, ret_fd, ret_pid, err);
}

int
launch_backup(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
	      struct err *err)
{
	return store_helper(launch, conf, (char[]){"--backup"}, ret_fd, ret_pid, err);
}

int
launch_collect(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
	       struct err *err)
{
	return store_helper(launch, conf, (char[]){"--gc"}, ret_fd, ret_pid, err);
}

int
launch_lists(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
	     struct err *err)
{
	return store_helper(launch, conf, (char[]){"--lists"}, ret_fd, ret_pid, err);
}

/* ---- their end */

/* Is nothing left of dead helpers? KILL: if something is, end it, which the timer paces. */
static bool
swept(const struct launch *launch, bool kill)
{
	struct sweep_spared spared = {0};
	bool clean;

	for (size_t i = 0; i < launch->living.n; i++)
		sweep_spare(&spared, launch->living.v[i].pid);
	clean = sweep_clean(&spared);
	if (!clean && kill)
		sweep_kill(&spared);
	free(spared.v);
	return clean;
}

/* ENDED may start the next helper, and even end in another sweep: the list is taken away first. */
static void
release_dead(struct launch *launch)
{
	struct helpers dead = launch->dead;

	launch->dead = (struct helpers){0};
	ev_timer_stop(launch->loop, &launch->sweep);
	for (size_t i = 0; i < dead.n; i++)
		launch->ended(dead.v[i].pid, dead.v[i].status, launch->arg);
	free(dead.v);
}

static void
on_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct launch *launch = w->data;

	(void)revents;
	if (swept(launch, true)) {
		release_dead(launch);
		return;
	}
	w->repeat = w->repeat * 1.5 < SWEEP_LAST_S ? w->repeat * 1.5 : SWEEP_LAST_S;
	ev_timer_again(loop, w);
}

/* A helper is gone: a bmd-run waits among the dead until the sweep has found nothing. */
static void
bury(struct launch *launch, struct helper *helper, int status)
{
	struct helper gone = *helper;

	*helper = launch->living.v[--launch->living.n];
	gone.status = status;
	if (gone.kind == BMD_IMPORT)
		launch->ended(gone.pid, status, launch->arg);
	if (gone.kind != BMD_RUN)
		return;
	XGROW(launch->dead.v, launch->dead.n, launch->dead.room);
	launch->dead.v[launch->dead.n++] = gone;
	if (swept(launch, true)) {
		release_dead(launch);
		return;
	}
	launch->sweep.repeat = SWEEP_FIRST_S;
	ev_timer_again(launch->loop, &launch->sweep);
}

static void
on_child(struct ev_loop *loop, ev_child *w, int revents)
{
	struct launch *launch = w->data;
	struct helper *helper = find_helper(launch, w->rpid);

	(void)loop, (void)revents;
	if (helper)
		bury(launch, helper, w->rstatus);
	else if (launch->dead.n && swept(launch, false)) /* the last orphan */
		release_dead(launch);
	spare_strangers(launch);
}

/* ---- */

struct launch *
launch_new(struct ev_loop *loop, void (*ended)(pid_t pid, int status, void *arg), void *arg)
{
	struct launch *launch = xcalloc(1, sizeof(*launch));

	launch->loop = loop;
	launch->ended = ended;
	launch->arg = arg;
	(void)getrlimit(RLIMIT_NOFILE, &launch->files);
	spare_strangers(launch);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	ev_child_init(&launch->child, on_child, 0, 0);
	launch->child.data = launch;
	ev_child_start(loop, &launch->child);
	ev_unref(loop);
	ev_init(&launch->sweep, on_sweep);
	launch->sweep.data = launch;
	return launch;
}

void
launch_free(struct launch *launch)
{
	if (!launch)
		return;
	ev_ref(launch->loop);
	ev_child_stop(launch->loop, &launch->child);
	ev_timer_stop(launch->loop, &launch->sweep);
	free(launch->living.v);
	free(launch->dead.v);
	free(launch->run);
	free(launch->import);
	free(launch);
}
