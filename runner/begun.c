/* SPDX-License-Identifier: ISC */
/*
 * A bit of the file is one job's: ten million jobs are 1.2 MB, and a gap in the numbers is a hole.
 * A bit is only ever set, under a lock of the file, for its byte is eight jobs'.
 */
#include "runner/begun.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/scope.h"

static int
open_bits(int directory, int flags)
{
	int fd = openat(directory, "begun", flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);

	return fd < 0 ? -errno : fd;
}

/* What lies behind the end of the file is no. */
static int
read_byte(int fd, int64_t job, unsigned char *ret)
{
	ssize_t n;

	do
		n = pread(fd, ret, 1, (off_t)(job / 8));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		*ret = 0;
	return n < 0 ? -errno : 0;
}

static int
set_bit(int fd, int64_t job)
{
	unsigned char byte;
	ssize_t n;
	int r = read_byte(fd, job, &byte);

	if (r < 0)
		return r;
	byte |= (unsigned char)(1U << (job % 8));
	do
		n = pwrite(fd, &byte, 1, (off_t)(job / 8));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 1 ? 0 : -EIO;
}

int
begun_note(int directory, const int64_t *jobs, size_t n)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	_cleanup_close_ int fd = open_bits(directory, O_RDWR | O_CREAT);
	int r = fd < 0 ? fd : 0;

	if (r >= 0 && fcntl(fd, F_OFD_SETLKW, &lock) < 0)
		r = -errno;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = jobs[i] > 0 ? set_bit(fd, jobs[i]) : -EINVAL;
	/* The file's name too, when it is new. */
	if (r >= 0 && (fsync(fd) < 0 || fsync(directory) < 0))
		r = -errno;
	return r;
}

int
begun_is(int directory, int64_t job)
{
	_cleanup_close_ int fd = open_bits(directory, O_RDONLY);
	unsigned char byte;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	r = read_byte(fd, job, &byte);
	return r < 0 ? r : byte >> (job % 8) & 1;
}
