/* SPDX-License-Identifier: ISC */
/*
 * Linked into the programs of the campaigns: the calls below stand before those of the C library, for SQLite
 * as well. The file PROGRAM.fault, "CALL ERRNO N once|on", lets the N-th CALL of a process fail with ERRNO, once or from then
 * on; the calls of one family (open, openat, …) count together. Without the file nothing is changed. Steps are other programs.
 */
#undef _FORTIFY_SOURCE /* its inline functions are those of this file */
#undef _FILE_OFFSET_BITS /* it renames them */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
	char call[16], how[8];
	int code, n, seen, known;
} fault;

/* By system calls alone: whatever is called here must not come back here. */
static void
learn(void)
{
	char path[4200], text[128];
	long n = syscall(SYS_readlink, "/proc/self/exe", path, sizeof(path) - 8), fd;

	fault.known = 1;
	if (n <= 0)
		return;
	memcpy(path + n, ".fault", 7);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	n = syscall(SYS_read, fd, text, sizeof(text) - 1);
	(void)syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%15s %d %d %7s", fault.call, &fault.code, &fault.n, fault.how) != 4)
		fault.n = 0;
}

static int
fails(const char *call)
{
	if (!fault.known)
		learn();
	if (fault.n == 0 || strcmp(call, fault.call) != 0 || ++fault.seen < fault.n)
		return 0;
	if (fault.seen > fault.n && strcmp(fault.how, "on") != 0)
		return 0;
	errno = fault.code;
	return 1;
}

#define NEXT(type, name)                                             \
	static __typeof__(type) *next;                                        \
	if (!next)                                                   \
		next = (__typeof__(type) *)(uintptr_t)dlsym(RTLD_NEXT, name)

#define ONE_FD(name)                                                 \
	int name(int fd)                                             \
	{                                                            \
		NEXT(int(int), #name);                               \
		return fails("sync") ? -1 : next(fd);                \
	}
ONE_FD(fsync)
ONE_FD(fdatasync)

ssize_t
write(int fd, const void *p, size_t n)
{
	NEXT(ssize_t(int, const void *, size_t), "write");
	return fd > 2 && fails("write") ? -1 : next(fd, p, n);
}

#define PWRITE(name)                                                 \
	ssize_t name(int fd, const void *p, size_t n, off_t at)      \
	{                                                            \
		NEXT(ssize_t(int, const void *, size_t, off_t), #name); \
		return fails("write") ? -1 : next(fd, p, n, at);     \
	}
PWRITE(pwrite)
PWRITE(pwrite64)

#define FTRUNCATE(name)                                              \
	int name(int fd, off_t n)                                    \
	{                                                            \
		NEXT(int(int, off_t), #name);                        \
		return fails("write") ? -1 : next(fd, n);            \
	}
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

int
rename(const char *from, const char *to)
{
	NEXT(int(const char *, const char *), "rename");
	return fails("name") ? -1 : next(from, to);
}

int
renameat(int a, const char *from, int b, const char *to)
{
	NEXT(int(int, const char *, int, const char *), "renameat");
	return fails("name") ? -1 : next(a, from, b, to);
}

int
mkdirat(int fd, const char *path, mode_t mode)
{
	NEXT(int(int, const char *, mode_t), "mkdirat");
	return fails("name") ? -1 : next(fd, path, mode);
}

#define MODE_OF(flags)                                               \
	mode_t mode = 0;                                             \
	va_list args;                                                \
	va_start(args, flags);                                       \
	if (flags & (O_CREAT | O_TMPFILE))                           \
		mode = va_arg(args, mode_t);                         \
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

#define OPENAT(name)                                                 \
	int name(int fd, const char *path, int flags, ...)           \
	{                                                            \
		MODE_OF(flags);                                      \
		NEXT(int(int, const char *, int, ...), #name);       \
		return fails("open") ? -1 : next(fd, path, flags, mode); \
	}
OPENAT(openat)
OPENAT(openat64)
