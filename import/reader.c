/* SPDX-License-Identifier: ISC */
/*
 * The caged reader of archives. A tar is read in two layers: the first only takes off gzip
 * (gunzip.c), xz or zstd and counts what comes out, the second reads tar from that. Hence the first
 * can be read to its very end, where a cut stream shows, and the second's last position tells
 * whether the two blocks of zeros that end a tar are there: libarchive itself is content with less.
 * A zip is read by seeking, after a look at whether its directory and the headers in its body tell
 * the same story.
 *
 * Whatever libarchive says about an archive, be it a warning, refuses it. Names and sizes are
 * judged by the parent.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <locale.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/entry.h"
#include "common/xalloc.h"
#include "import/gunzip.h"
#include "import/reader.h"
#include "import/zip.h"

#define BLOCK	   (64 * 1024)
#define END_BLOCKS 1024		      /* bytes of zeros that end a tar */
#define MEMORY_MAX (INT64_C(1) << 30) /* address space: xz -9 and zstd --long=27 fit */
#define UID_NOBODY 65534

struct reader {
	int in;
	struct entry_output *out;
	struct archive *archive;
	/* these take off a tar's compression; NULL: the other does, or zip */
	struct gunzip *gunzip;
	struct archive *outer;
	size_t held; /* bytes in RAW that were read to see what it is, and not handed on yet */
	int64_t total,
	    zeros;	 /* bytes of the tar so far, and where its run of zeros at the end begins */
	bool any;	 /* came in at all */
	bool tar_format; /* else zip */
	bool outer_ended;
	int written;	 /* -errno of what could not be written */
	char raw[BLOCK]; /* of the archive itself */
	char tar[BLOCK]; /* of the tar, the compression taken off */
	char content[BLOCK];
};

static const char zero[BLOCK];

/* ---- what leaves */

static void
put(struct reader *reader, int r)
{
	if (r < 0 && reader->written == 0)
		reader->written = r;
}

static void give_up(struct reader *reader, const char *path, const char *format, ...)
    _printf_(3, 4);

/* Refuses the archive: PATH may be NULL. */
static void
give_up(struct reader *reader, const char *path, const char *format, ...)
{
	_cleanup_free_ char *why = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&why, format, args) < 0)
		xalloc_die();
	va_end(args);
	if (path != NULL && strlen(path) + strlen(why) + 1 <= ENTRY_DATA_MAX)
		put(reader, entry_put_link(reader->out, ENTRY_ABORT, path, why));
	else
		put(reader, entry_put(reader->out, ENTRY_ABORT, why, strlen(why)));
}

static void
give_up_archive(struct reader *reader, struct archive *archive, const char *path)
{
	const char *why = archive_error_string(archive);

	give_up(reader, path, "the archive cannot be read: %.300s",
		why != NULL ? why : "it is damaged");
}

/* ---- the two layers of a tar */

/* Keeps where the zeros that the stream ends with begin. */
static void
note(struct reader *reader, const char *bytes, size_t n)
{
	size_t end = n;

	while (end > 0 && bytes[end - 1] == '\0')
		end--;
	if (end > 0)
		reader->zeros = reader->total + (int64_t)end;
	reader->total += (int64_t)n;
}

static ssize_t
read_outer(struct archive *archive, void *arg, const void **ret_bytes)
{
	struct reader *reader = arg;
	const char *why = NULL;
	ssize_t n;

	if (reader->outer_ended)
		return 0;
	if (reader->gunzip != NULL)
		n = gunzip_read(reader->gunzip, reader->tar, sizeof(reader->tar), &why);
	else
		n = archive_read_data(reader->outer, reader->tar, sizeof(reader->tar));
	if (n < 0) {
		if (reader->gunzip == NULL)
			why = archive_error_string(reader->outer);
		archive_set_error(archive, EBADMSG, "%s",
				  why != NULL ? why : "damaged compression");
		return ARCHIVE_FATAL;
	}
	if (n == 0)
		reader->outer_ended = true;
	note(reader, reader->tar, (size_t)n);
	*ret_bytes = reader->tar;
	return n;
}

static ssize_t
read_raw(struct reader *reader, size_t from)
{
	ssize_t n;

	do
		n = read(reader->in, reader->raw + from, sizeof(reader->raw) - from);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The next bytes of the archive, in RAW. */
static ssize_t
take_raw(struct reader *reader)
{
	ssize_t n = (ssize_t)reader->held;

	reader->held = 0;
	return n > 0 ? n : read_raw(reader, 0);
}

/* Reads as much of the beginning as tells what it is. */
static bool
begins_gzip(struct reader *reader)
{
	ssize_t n;

	while (reader->held < 2 && (n = read_raw(reader, reader->held)) > 0)
		reader->held += (size_t)n;
	return gunzip_is(reader->raw, reader->held);
}

/* The archive itself, as it comes in. */
static ssize_t
read_in(struct archive *archive, void *arg, const void **ret_bytes)
{
	struct reader *reader = arg;
	ssize_t n = take_raw(reader);

	if (n < 0)
		archive_set_error(archive, errno, "it cannot be read");
	reader->any |= n > 0;
	*ret_bytes = reader->raw;
	return n < 0 ? ARCHIVE_FATAL : n;
}

static ssize_t
fill_gunzip(void *arg, const char **ret_bytes)
{
	struct reader *reader = arg;

	*ret_bytes = reader->raw;
	return take_raw(reader);
}

static int64_t
seek_in(struct archive *archive, void *arg, int64_t offset, int whence)
{
	struct reader *reader = arg;
	off_t at = lseek(reader->in, offset, whence);

	(void)archive;
	return at < 0 ? ARCHIVE_FATAL : at;
}

/* What takes off xz or zstd, or nothing. */
static bool
open_outer(struct reader *reader)
{
	struct archive_entry *entry;
	int r;

	reader->outer = archive_read_new();
	if (reader->outer == NULL)
		xalloc_die();
	archive_read_support_filter_xz(reader->outer);
	archive_read_support_filter_zstd(reader->outer);
	archive_read_support_format_raw(reader->outer);
	r = archive_read_open(reader->outer, reader, NULL, read_in, NULL);
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(reader->outer, &entry);
	if (r == ARCHIVE_EOF || !reader->any) {
		give_up(reader, NULL, "the archive is empty");
		return false;
	}
	if (r != ARCHIVE_OK)
		give_up_archive(reader, reader->outer, NULL);
	return r == ARCHIVE_OK;
}

static bool
open_tar(struct reader *reader)
{
	if (begins_gzip(reader))
		reader->gunzip = gunzip_new(fill_gunzip, reader);
	else if (!open_outer(reader))
		return false;
	reader->archive = archive_read_new();
	if (reader->archive == NULL)
		xalloc_die();
	archive_read_support_format_tar(reader->archive);
	if (archive_read_open(reader->archive, reader, NULL, read_outer, NULL) != ARCHIVE_OK) {
		give_up_archive(reader, reader->archive, NULL);
		return false;
	}
	return true;
}

/* After the last entry: the rest of the stream must be there, and nothing but zeros. */
static bool
end_tar(struct reader *reader)
{
	int64_t end = archive_read_header_position(reader->archive);

	while (!reader->outer_ended) {
		const void *bytes;

		if (read_outer(reader->archive, reader, &bytes) < 0) {
			give_up_archive(reader, reader->archive, NULL);
			return false;
		}
	}
	if (reader->zeros > end) {
		give_up(
		    reader, NULL,
		    "there is something behind the end of the archive; pack everything into one");
		return false;
	}
	if (reader->total - end < END_BLOCKS) {
		give_up(reader, NULL,
			"the archive is cut: the blocks that end a tar are missing; pack or copy "
			"it again");
		return false;
	}
	return true;
}

static bool
open_zip(struct reader *reader)
{
	char why[256];

	if (zip_check(reader->in, why, sizeof(why)) < 0) {
		give_up(reader, NULL, "the archive cannot be read: %s", why);
		return false;
	}
	reader->archive = archive_read_new();
	if (reader->archive == NULL)
		xalloc_die();
	archive_read_support_format_zip_seekable(reader->archive);
	archive_read_set_seek_callback(reader->archive, seek_in);
	if (lseek(reader->in, 0, SEEK_SET) < 0 ||
	    archive_read_open(reader->archive, reader, NULL, read_in, NULL) != ARCHIVE_OK) {
		give_up_archive(reader, reader->archive, NULL);
		return false;
	}
	return true;
}

/* ---- entries */

static bool
send_content(struct reader *reader, struct archive_entry *entry, const char *path)
{
	int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0, done = 0;

	while (reader->written == 0) {
		ssize_t n =
		    archive_read_data(reader->archive, reader->content, sizeof(reader->content));

		if (n < 0) {
			give_up_archive(reader, reader->archive, path);
			return false;
		}
		if (n == 0)
			break;
		put(reader, entry_put(reader->out, ENTRY_CONTENT, reader->content, (size_t)n));
		done += n;
	}
	/* A hole at the end of a sparse file. */
	while (reader->tar_format && done < size && reader->written == 0) {
		size_t n = size - done < BLOCK ? (size_t)(size - done) : BLOCK;

		put(reader, entry_put(reader->out, ENTRY_CONTENT, zero, n));
		done += (int64_t)n;
	}
	return true;
}

static bool
send_link(struct reader *reader, enum entry_kind kind, const char *path, const char *target)
{
	if (target == NULL || strlen(path) + strlen(target) + 1 > ENTRY_DATA_MAX) {
		give_up(reader, path, "the link's target cannot be read");
		return false;
	}
	put(reader, entry_put_link(reader->out, kind, path, target));
	return true;
}

static bool
send_entry(struct reader *reader, struct archive_entry *entry)
{
	const char *path = archive_entry_pathname(entry);

	if (path == NULL || strlen(path) >= ENTRY_DATA_MAX) {
		give_up(reader, NULL, "the archive has a file whose name is not UTF-8");
		return false;
	}
	if (archive_entry_is_encrypted(entry)) {
		give_up(reader, path, "the file is encrypted; pack it without a password");
		return false;
	}
	if (archive_entry_hardlink(entry) != NULL)
		return send_link(reader, ENTRY_HARD_LINK, path, archive_entry_hardlink(entry));
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		put(reader,
		    entry_put_file(reader->out, path, (archive_entry_perm(entry) & 0100) != 0));
		return send_content(reader, entry, path);
	case AE_IFDIR:
		put(reader, entry_put(reader->out, ENTRY_DIRECTORY, path, strlen(path)));
		return true;
	case AE_IFLNK:
		return send_link(reader, ENTRY_LINK, path, archive_entry_symlink(entry));
	default:
		give_up(reader, path,
			"not a plain file, folder or link; leave devices, pipes and sockets out");
		return false;
	}
}

static void
send_entries(struct reader *reader)
{
	struct archive_entry *entry;
	int r;

	while ((r = archive_read_next_header(reader->archive, &entry)) == ARCHIVE_OK)
		if (!send_entry(reader, entry) || reader->written < 0)
			return;
	if (r != ARCHIVE_EOF)
		give_up_archive(reader, reader->archive, NULL);
	else if (archive_read_has_encrypted_entries(reader->archive) > 0)
		give_up(reader, NULL, "the archive is encrypted; pack it without a password");
	else if (!reader->tar_format || end_tar(reader))
		put(reader, entry_put(reader->out, ENTRY_END, NULL, 0));
}

void
reader_read(enum reader_kind kind, int in, int out)
{
	struct reader *reader = xcalloc(1, sizeof(*reader));

	reader->in = in;
	reader->out = entry_output_new(out);
	reader->tar_format = kind == READER_TAR;
	if (kind == READER_TAR ? open_tar(reader) : open_zip(reader))
		send_entries(reader);
	put(reader, entry_flush(reader->out));
	entry_output_free(reader->out);
	archive_read_free(reader->archive);
	archive_read_free(reader->outer);
	gunzip_free(reader->gunzip);
	free(reader);
}

/* ---- the cage */

static void
limit(int resource, rlim_t value)
{
	const struct rlimit limit = {value, value};

	setrlimit(resource, &limit);
}

/* What cannot be taken away because this user never had it is no failure: the filter below is what
 * counts. */
static void
shed(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_FSIZE, 0);
#ifndef __SANITIZE_ADDRESS__
	limit(RLIMIT_AS, MEMORY_MAX);
#endif
	if (geteuid() == 0) {
		int r = setgroups(0, NULL);

		r |= setresgid(UID_NOBODY, UID_NOBODY, UID_NOBODY);
		r |= setresuid(UID_NOBODY, UID_NOBODY, UID_NOBODY);
		(void)r;
	}
	/* Last: the kernel forgets it with a change of ids. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
}

/* Only descriptors that are open already can be read and written, only anonymous memory be mapped.
   Opening fails as it does without permission, for the libraries ask for locales and time zones now
   and then; anything else ends the process. */
static int
cage(void)
{
	static const int allowed[] = {
	    SCMP_SYS(read),	    SCMP_SYS(write),  SCMP_SYS(readv),
	    SCMP_SYS(writev),	    SCMP_SYS(lseek),  SCMP_SYS(fstat),
	    SCMP_SYS(brk),	    SCMP_SYS(munmap), SCMP_SYS(mremap),
	    SCMP_SYS(madvise),	    SCMP_SYS(exit),   SCMP_SYS(exit_group),
	    SCMP_SYS(rt_sigreturn), SCMP_SYS(futex),  SCMP_SYS(clock_gettime),
	    SCMP_SYS(gettimeofday), SCMP_SYS(getpid), SCMP_SYS(restart_syscall)};
	static const struct {
		int number, error;
	} denied[] = {{SCMP_SYS(open), EACCES},
		      {SCMP_SYS(openat), EACCES},
		      {SCMP_SYS(newfstatat), EACCES},
		      {SCMP_SYS(access), EACCES},
		      {SCMP_SYS(readlink), EACCES},
		      {SCMP_SYS(sendmsg), ENOTSOCK},
		      {SCMP_SYS(ioctl), ENOTTY},
		      {SCMP_SYS(getrandom), ENOSYS},
		      {SCMP_SYS(sched_getaffinity), EPERM}};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter == NULL ? -ENOMEM : 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r >= 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(denied) && r >= 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)denied[i].error),
				     denied[i].number, 0);
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				     SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r >= 0)
		r = seccomp_load(filter); /* sets no_new_privs */
	if (filter != NULL)
		seccomp_release(filter);
	return r;
}

void
reader_main(enum reader_kind kind, int in, int out)
{
	static const char cannot[] =
	    "the reader of archives cannot be caged here: seccomp is not available";

	/* Names are converted from and to UTF-8; times of a zip need no zone. */
	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC0", 1);
	in = fcntl(in, F_DUPFD, 10);
	out = fcntl(out, F_DUPFD, 10);
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || close_range(2, ~0U, 0) < 0)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	shed();
	if (cage() < 0) {
		entry_write(1, ENTRY_ABORT, cannot, strlen(cannot));
		_exit(0);
	}
	reader_read(kind, 0, 1);
	_exit(0);
}
