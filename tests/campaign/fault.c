/* SPDX-License-Identifier: ISC */
/*
 * Linked into the programs of the campaigns: the calls below stand before those of the C library,
 * for the other libraries as well. The file PROGRAM.fault, "FAMILY ERRNO N once|on [PHASE]", lets
 * the N-th call of a FAMILY in a process, of those that it makes in PHASE, fail with ERRNO, once or
 * from then on; of EINTR, which no kernel answers for ever, every second one from then on. The
 * calls of one family (open, openat, …) count together. Without the file nothing is changed. Steps
 * are other programs. Whoever is hit adds a line to PROGRAM.struck: "FAMILY ERRNO PID PARENT PHASE
 * JOB". A child that is forked reads PROGRAM.child.fault anew, where that is there.
 */
#undef _FORTIFY_SOURCE	 /* its inline functions are those of this file */
#undef _FILE_OFFSET_BITS /* it renames them */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/campaign/fault.h"

static struct {
	char call[16], how[8], only[16];
	int code, n, seen, known;
	int hits, latest; /* how many calls were made to fail; the latest of its family was */
	int caged;	  /* may open nothing: a child of bmd-import */
	int armed, struck, paused; /* by the program itself */
	const char *phase;
} fault;

/* ---- what the process is at */

/* Until a program says more: bmd comes up from whatever it was left in, the others do what they
 * were started for. */
static const char *
first_phase(void)
{
	static const struct {
		const char *program, *phase;
	} firsts[] = {{"bmd", "recovering"}, {"bmd-run", "starting"}, {"bmd-import", "importing"}};

	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		if (strcmp(program_invocation_short_name, firsts[i].program) == 0)
			return firsts[i].phase;
	return "other";
}

const char *
fault_phase(const char *phase)
{
	const char *before = fault.phase ? fault.phase : first_phase();

	fault.phase = phase;
	return before;
}

/* A commit stays in the phase of what was done before it. Requests are told of by fault_bmd.c,
 * placing by fault_run.c. */
void
fault_passed(const char *point)
{
	static const struct {
		const char *point, *phase;
	} begins[] = {
	    {"fork-before", "starting"},    {"request-sent", "starting"},
	    {"ready-got", "starting"},	    {"go-before", "starting"},
	    {"event-got", "running"},	    {"result-got", "finishing"},
	    {"cancel-before", "running"},   {"run-claimed", "running"},
	    {"result-before", "finishing"},
	};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strcmp(point, begins[i].point) == 0)
			fault.phase = begins[i].phase;
}

/* ---- the fault */

/* By system calls alone: whatever is called here must not come back here. */
static void
learn(const char *suffix)
{
	char path[4200], text[128];
	long n = syscall(SYS_readlink, "/proc/self/exe", path, sizeof(path) - 16), fd;

	fault.known = 1;
	if (n <= 0)
		return;
	memcpy(path + n, suffix, strlen(suffix) + 1);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	n = syscall(SYS_read, fd, text, sizeof(text) - 1);
	(void)syscall(SYS_close, fd);
	fault.seen = 0;
	text[n > 0 ? n : 0] = '\0';
	fault.only[0] = '\0';
	if (sscanf(text, "%15s %d %d %7s %15s", fault.call, &fault.code, &fault.n, fault.how,
		   fault.only) < 4)
		fault.n = 0;
}

/* By its last argument, as long as that stands there: bmd-run writes its title over it. */
long long
fault_job(void)
{
	static long long job = -1;
	char line[4096], *last = line;
	long fd, n;

	if (job >= 0)
		return job;
	fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
	n = fd < 0 ? -1 : syscall(SYS_read, fd, line, sizeof(line) - 1);
	if (fd >= 0)
		(void)syscall(SYS_close, fd);
	line[n > 0 ? n : 0] = '\0';
	for (long i = 0; i + 1 < n; i++)
		if (line[i] == '\0')
			last = line + i + 1;
	return job = atoll(last);
}

void
fault_add_line(const char *suffix, const char *line)
{
	char path[4200];
	long n = fault.caged ? 0 : syscall(SYS_readlink, "/proc/self/exe", path, sizeof(path) - 16),
	     fd;

	if (n <= 0)
		return;
	memcpy(path + n, suffix, strlen(suffix) + 1);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	(void)syscall(SYS_write, fd, line, strlen(line));
	(void)syscall(SYS_close, fd);
}

/* Once a process, for who looks afterwards whether it came to it. */
static void
note(void)
{
	char line[96];

	(void)snprintf(line, sizeof(line), "%s %d %d %d %s %lld\n", fault.call, fault.code,
		       (int)syscall(SYS_getpid), (int)syscall(SYS_getppid), fault.phase,
		       fault_job());
	fault_add_line(".struck", line);
}

static int
strikes_now(void)
{
	int behind;

	if (!fault.phase)
		fault.phase = first_phase();
	if ((fault.only[0] && strcmp(fault.only, fault.phase) != 0) || ++fault.seen < fault.n)
		return 0;
	behind = fault.seen - fault.n;
	if (behind > 0 && strcmp(fault.how, "on") != 0)
		return 0;
	if (fault.code == EINTR && behind % 2)
		return 0;
	if (behind == 0 && fault.armed)
		fault.struck = 1;
	else if (behind == 0)
		note();
	fault.hits++;
	errno = fault.code;
	return 1;
}

int
fault_strikes(const char *family)
{
	if (!fault.known)
		learn(".fault");
	if (fault.n == 0 || fault.paused || strcmp(family, fault.call) != 0)
		return 0;
	return fault.latest = strikes_now();
}

int
fault_hits(void)
{
	return fault.hits;
}

const char *
fault_latest(void)
{
	return fault.latest ? fault.call : NULL;
}

void
fault_arm(const char *family, int code, int n)
{
	fault.known = fault.armed = 1;
	fault.struck = fault.seen = 0;
	(void)snprintf(fault.call, sizeof(fault.call), "%s", family);
	fault.code = code;
	fault.n = n;
}

void
fault_pause(int on)
{
	fault.paused = on;
}

int
fault_struck(void)
{
	return fault.struck;
}

#define fails fault_strikes

/* Of the next one; TYPES: what stands in its declaration, ARGS: how it is called. */
#define NEXT(type, name)               \
	static __typeof__(type) *next; \
	if (!next)                     \
	next = (__typeof__(type) *)(uintptr_t)dlsym(RTLD_NEXT, name)
#define CALL(family, result, failed, name, types, args)      \
	result name types                                    \
	{                                                    \
		NEXT(result types, #name);                   \
		return fails(family) ? (failed) : next args; \
	}
#define INT(family, name, types, args)	CALL(family, int, -1, name, types, args)
#define SIZE(family, name, types, args) CALL(family, ssize_t, -1, name, types, args)

INT("sync", fsync, (int fd), (fd))
INT("sync", fdatasync, (int fd), (fd))
INT("sync", syncfs, (int fd), (fd))

/* An eventfd, by which libev tells itself of signals: no kernel answers EIO or ENOSPC there. */
static int
is_event(int fd)
{
	struct stat st;

	return syscall(SYS_fstat, fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/* What a program says to whoever started it is no matter of faults. */
ssize_t
write(int fd, const void *p, size_t n)
{
	NEXT(ssize_t(int, const void *, size_t), "write");
	return fd > 2 && !is_event(fd) && fails("write") ? -1 : next(fd, p, n);
}
SIZE("write", pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
SIZE("write", pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
SIZE("write", send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
INT("write", ftruncate, (int fd, off_t n), (fd, n))
INT("write", ftruncate64, (int fd, off_t n), (fd, n))
INT("write", fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
INT("write", fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
SIZE("write", copy_file_range, (int a, off_t *at, int b, off_t *bt, size_t n, unsigned flags),
     (a, at, b, bt, n, flags))

ssize_t
read(int fd, void *p, size_t n)
{
	NEXT(ssize_t(int, void *, size_t), "read");
	return !is_event(fd) && fails("read") ? -1 : next(fd, p, n);
}
SIZE("read", pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
SIZE("read", pread64, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
SIZE("read", recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))

INT("stat", fstat, (int fd, struct stat *st), (fd, st))
INT("stat", fstat64, (int fd, struct stat64 *st), (fd, st))
INT("stat", stat, (const char *path, struct stat *st), (path, st))
INT("stat", stat64, (const char *path, struct stat64 *st), (path, st))
INT("stat", lstat, (const char *path, struct stat *st), (path, st))
INT("stat", lstat64, (const char *path, struct stat64 *st), (path, st))
INT("stat", fstatat, (int fd, const char *path, struct stat *st, int flags), (fd, path, st, flags))
INT("stat", fstatat64, (int fd, const char *path, struct stat64 *st, int flags),
    (fd, path, st, flags))

INT("name", rename, (const char *from, const char *to), (from, to))
INT("name", renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
INT("name", renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
    (a, from, b, to, flags))
INT("name", linkat, (int a, const char *from, int b, const char *to, int flags),
    (a, from, b, to, flags))
INT("name", symlinkat, (const char *target, int fd, const char *path), (target, fd, path))
INT("name", mkdir, (const char *path, mode_t mode), (path, mode))
INT("name", mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
INT("name", unlink, (const char *path), (path))
INT("name", unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
INT("name", fchmod, (int fd, mode_t mode), (fd, mode))

pid_t
fork(void)
{
	pid_t pid;
	NEXT(pid_t(void), "fork");

	pid = fails("fork") ? -1 : next();
	if (pid == 0)
		learn(".child.fault");
	if (pid == 0 && strcmp(program_invocation_short_name, "bmd-import") == 0)
		fault.caged = 1;
	return pid;
}

/* As fork: what stands between it and its caller must not be left twice. */
pid_t
vfork(void)
{
	return fork();
}

INT("exec", execve, (const char *path, char *const *argv, char *const *envp), (path, argv, envp))
INT("accept", accept4, (int fd, struct sockaddr *to, socklen_t *n, int flags), (fd, to, n, flags))

/* What is known of a peer, and whom a step becomes. */
INT("peer", getsockopt, (int fd, int level, int name, void *value, socklen_t *n),
    (fd, level, name, value, n))
INT("setid", setgroups, (size_t n, const gid_t *groups), (n, groups))
INT("setid", setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
INT("setid", setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))

INT("pipe", pipe2, (int ends[2], int flags), (ends, flags))
INT("pipe", socketpair, (int domain, int type, int protocol, int ends[2]),
    (domain, type, protocol, ends))
INT("pipe", socket, (int domain, int type, int protocol), (domain, type, protocol))
INT("dup", dup2, (int from, int to), (from, to))
INT("dup", dup3, (int from, int to, int flags), (from, to, flags))

INT("pipe", epoll_create1, (int flags), (flags))
INT("socket", bind, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
INT("socket", listen, (int fd, int n), (fd, n))
INT("socket", connect, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n))
INT("wait", waitpid, (pid_t pid, int *status, int flags), (pid, status, flags))
INT("chdir", chdir, (const char *path), (path))
INT("epoll", epoll_wait, (int fd, struct epoll_event *events, int n, int ms), (fd, events, n, ms))

/* epoll_ctl() is common/loop.c's. How many arguments there are only the caller knows: all six are
 * handed on, which ASan must not look at. */
__attribute__((no_sanitize_address)) long
syscall(long number, ...)
{
	long a[6];
	va_list args;
	NEXT(long(long, ...), "syscall");

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_epoll_ctl && fails("watch"))
		return -1;
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

SIZE("random", getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))

CALL("mmap", void *, MAP_FAILED, mmap,
     (void *at, size_t n, int rights, int flags, int fd, off_t from),
     (at, n, rights, flags, fd, from))
CALL("mmap", void *, MAP_FAILED, mmap64,
     (void *at, size_t n, int rights, int flags, int fd, off_t from),
     (at, n, rights, flags, fd, from))

/* The sanitizer has an allocator of its own, which these would go round. */
#ifndef __SANITIZE_ADDRESS__
extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t size),
    *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
	return fails("memory") ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails("memory") ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails("memory") ? NULL : __libc_realloc(p, n);
}
#endif

/* A third argument, of whatever type, is handed on. */
#define THIRD(family, name, type)                                  \
	int name(int fd, type what, ...)                           \
	{                                                          \
		va_list args;                                      \
		long third;                                        \
		NEXT(int(int, type, ...), #name);                  \
		va_start(args, what);                              \
		third = va_arg(args, long);                        \
		va_end(args);                                      \
		return fails(family) ? -1 : next(fd, what, third); \
	}
THIRD("fcntl", fcntl, int)
THIRD("fcntl", fcntl64, int)
THIRD("ioctl", ioctl, unsigned long)

#define MODE_OF(flags)                       \
	mode_t mode = 0;                     \
	va_list args;                        \
	va_start(args, flags);               \
	if (flags & (O_CREAT | O_TMPFILE))   \
		mode = va_arg(args, mode_t); \
	va_end(args)

#define OPEN(name)                                                   \
	int name(const char *path, int flags, ...)                   \
	{                                                            \
		MODE_OF(flags);                                      \
		NEXT(int(const char *, int, ...), #name);            \
		return fails("open") ? -1 : next(path, flags, mode); \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                     \
	int name(int fd, const char *path, int flags, ...)               \
	{                                                                \
		MODE_OF(flags);                                          \
		NEXT(int(int, const char *, int, ...), #name);           \
		return fails("open") ? -1 : next(fd, path, flags, mode); \
	}
OPENAT(openat)
OPENAT(openat64)
