/* SPDX-License-Identifier: ISC */
/*
 * The output of a run on disk. The writer gathers whole lines in a buffer and writes it to the file
 * that is open: first JOB/log up to RUNLOG_HEAD, then segments of RUNLOG_SEGMENT of which the last
 * RUNLOG_SEGMENTS stay. A file always holds whole lines, and the byte at position P of the file
 * that begins at OFFSET is byte OFFSET + P of the whole output: what could not be written only
 * moves the offset on, so that a hole stays visible as one. The reader lists the files anew at each
 * call, for the writer may remove segments under its hands.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/runlog.h"
#include "common/xalloc.h"

#define BUFFER	   (64 * 1024)
#define PREFIX_MAX 128	/* "TIME STREAM STEP " */
#define FILES_MAX  1024 /* segments that a reader looks at */
#define LINE_COST  160	/* what a line costs a reader besides its text */
#define MODE	   0640

struct runlog {
	int folder_fd, fd;  /* fd: the file that is written now; -1 none */
	bool head;	    /* fd is JOB/log */
	int64_t begin, end; /* offsets of that file's first byte, and behind what it holds */
	int64_t kept[RUNLOG_SEGMENTS]; /* begins of the segments on disk, oldest first */
	int64_t sizes[RUNLOG_SEGMENTS];
	size_t nkept;
	int64_t offset; /* of the whole output, behind the buffer */
	int64_t dropped;
	size_t n;
	char buffer[BUFFER];
};

static void
segment_name(int64_t offset, char ret_name[32])
{
	snprintf(ret_name, 32, "log.%" PRId64, offset);
}

int
runlog_open(int folder_fd, struct runlog **ret_log, struct err *err)
{
	struct runlog *log;
	int fd =
	    openat(folder_fd, "log", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE);

	if (fd < 0)
		return err_errno(err, errno, "cannot make the log of the run");
	log = xcalloc(1, sizeof(*log));
	log->folder_fd = folder_fd;
	log->fd = fd;
	log->head = true;
	*ret_log = log;
	return 0;
}

/* Closes the file that is written. A segment stays among those kept; one that could hold nothing,
   on a full disk, goes at once, or such would push out those that hold something. */
static void
file_close(struct runlog *log)
{
	char name[32];

	if (log->fd < 0)
		return;
	close(log->fd);
	log->fd = -1;
	if (!log->head && log->end > log->begin) {
		log->sizes[log->nkept - 1] = log->end - log->begin;
	} else if (!log->head) {
		segment_name(log->begin, name);
		unlinkat(log->folder_fd, name, 0);
		log->nkept--;
	}
	log->head = false;
}

static void
oldest_remove(struct runlog *log)
{
	char name[32];

	segment_name(log->kept[0], name);
	unlinkat(log->folder_fd, name, 0);
	log->dropped += log->sizes[0];
	log->nkept--;
	memmove(log->kept, log->kept + 1, log->nkept * sizeof(log->kept[0]));
	memmove(log->sizes, log->sizes + 1, log->nkept * sizeof(log->sizes[0]));
}

static int
segment_open(struct runlog *log, int64_t offset)
{
	char name[32];

	while (log->nkept >= RUNLOG_SEGMENTS)
		oldest_remove(log);
	segment_name(offset, name);
	log->fd = openat(log->folder_fd, name,
			 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE);
	if (log->fd < 0)
		return -errno;
	log->begin = log->end = offset;
	log->kept[log->nkept] = offset;
	log->sizes[log->nkept++] = 0;
	return 0;
}

/* How many of the N bytes, as whole lines, still fit into LIMIT bytes. */
static size_t
lines_within(const char *bytes, size_t n, size_t limit)
{
	const char *last;

	if (n <= limit)
		return n;
	last = limit ? memrchr(bytes, '\n', limit) : NULL;
	return last ? (size_t)(last - bytes) + 1 : 0;
}

/* Writes whole lines at the end of the open file, or nothing of them. */
static bool
file_append(struct runlog *log, const char *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t w = pwrite(log->fd, bytes + done, n - done,
				   (off_t)(log->end - log->begin) + (off_t)done);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			break;
		done += (size_t)w;
	}
	if (done == n) {
		log->end += (int64_t)n;
		return true;
	}
	if (ftruncate(log->fd, (off_t)(log->end - log->begin)) < 0)
		file_close(log); /* readers skip the torn line at its end */
	return false;
}

static size_t
room(const struct runlog *log)
{
	int64_t limit = log->head ? RUNLOG_HEAD : RUNLOG_SEGMENT;

	return log->fd < 0 ? 0 : (size_t)(limit - (log->end - log->begin));
}

static void
flush_buffer(struct runlog *log)
{
	int64_t offset = log->offset - (int64_t)log->n; /* of what is next to be written */
	const char *next = log->buffer, *end = log->buffer + log->n;

	/* After bytes were lost, the same file cannot go on: its positions would lie. */
	if (log->fd >= 0 && log->end != offset)
		file_close(log);
	while (next < end) {
		size_t n = lines_within(next, (size_t)(end - next), room(log));

		if (n == 0) {
			file_close(log);
			if (segment_open(log, offset) < 0)
				break;
			continue;
		}
		if (!file_append(log, next, n))
			break;
		next += n;
		offset += (int64_t)n;
	}
	log->dropped += end - next;
	log->n = 0;
}

void
runlog_flush(struct runlog *log)
{
	if (log->n > 0)
		flush_buffer(log);
}

static void
line_add(struct runlog *log, int64_t now_us, const char *stream, const char *step, const char *text,
	 size_t n)
{
	int p;

	if (log->n + PREFIX_MAX + n + 1 > BUFFER)
		runlog_flush(log);
	p = snprintf(log->buffer + log->n, PREFIX_MAX, "%" PRId64 " %.8s %.63s ", now_us, stream,
		     step && *step ? step : "-");
	memcpy(log->buffer + log->n + p, text, n);
	log->buffer[log->n + (size_t)p + n] = '\n';
	log->n += (size_t)p + n + 1;
	log->offset += p + (int64_t)n + 1;
}

void
runlog_line(struct runlog *log, int64_t now_us, const char *stream, const char *step,
	    const void *text, size_t n)
{
	const char *s = text;

	do {
		const char *newline = memchr(s, '\n', n);
		size_t length = newline ? (size_t)(newline - s) : n;
		size_t piece = length < RUNLOG_LINE ? length : RUNLOG_LINE;

		line_add(log, now_us, stream, step, s, piece);
		if (newline && piece == length)
			piece++;
		s += piece;
		n -= piece;
	} while (n > 0);
}

int64_t
runlog_dropped(const struct runlog *log)
{
	return log->dropped;
}

void
runlog_close(struct runlog *log)
{
	if (!log)
		return;
	runlog_flush(log);
	if (log->fd >= 0)
		close(log->fd);
	free(log);
}

/* The reading side. */

struct reader {
	int folder_fd;
	int64_t begins[FILES_MAX]; /* of segments, ascending; the head begins at 0 */
	size_t n;
	json_t *lines;
	int64_t cursor;
	size_t spent, limit;
};

static void
cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int
compare_offsets(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Offset that a name "log.OFFSET" tells, or -1. */
static int64_t
name_offset(const char *name)
{
	if (strncmp(name, "log.", 4) != 0 || !name[4] || strlen(name) > 22 ||
	    strspn(name + 4, "0123456789") != strlen(name + 4))
		return -1;
	return strtoll(name + 4, NULL, 10);
}

static int
list_files(struct reader *reader, struct err *err)
{
	_cleanup_(cleanup_closedir) DIR *dir = NULL;
	const struct dirent *entry;
	int fd = openat(reader->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_errno(err, errno, "cannot list a run folder");
	reader->n = 0;
	reader->begins[reader->n++] = 0;
	while (reader->n < FILES_MAX && (entry = readdir(dir)) != NULL)
		if (name_offset(entry->d_name) > 0)
			reader->begins[reader->n++] = name_offset(entry->d_name);
	qsort(reader->begins, reader->n, sizeof(reader->begins[0]), compare_offsets);
	return 0;
}

static void
file_name(int64_t begin, char ret_name[32])
{
	if (begin > 0)
		segment_name(begin, ret_name);
	else
		strcpy(ret_name, "log");
}

static int
file_open(const struct reader *reader, int64_t begin)
{
	char name[32];

	file_name(begin, name);
	return openat(reader->folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static void
line_push(struct reader *reader, int64_t time_us, const char *step, const char *stream,
	  json_t *text)
{
	_cleanup_json_ json_t *line = json_object();

	reader->spent += json_string_length(text) + LINE_COST;
	json_object_set_new(line, "time", json_time(time_us));
	json_object_set_new(line, "step", json_text(step));
	json_object_set_new(line, "stream", json_text(stream));
	json_object_set_new(line, "text", text);
	json_array_append(reader->lines, line);
}

/* One word of at most SIZE - 1 bytes up to a space; NULL if there is none. */
static const char *
word(const char *s, const char *end, char *ret_word, size_t size)
{
	const char *space = memchr(s, ' ', (size_t)(end - s));

	if (!space || (size_t)(space - s) >= size)
		return NULL;
	memcpy(ret_word, s, (size_t)(space - s));
	ret_word[space - s] = '\0';
	return space + 1;
}

/* Adds the line between S and END; one that is not of our making is left out. RET_TIME: when it was
 * written. */
static bool
line_parse(const char *s, const char *end, int64_t *ret_time_us, struct reader *reader)
{
	char time[24], stream[9], step[64];
	const char *text = word(s, end, time, sizeof(time));

	text = text ? word(text, end, stream, sizeof(stream)) : NULL;
	text = text ? word(text, end, step, sizeof(step)) : NULL;
	if (!text || strspn(time, "0123456789") != strlen(time))
		return false;
	*ret_time_us = strtoll(time, NULL, 10);
	if (reader)
		line_push(reader, *ret_time_us, strcmp(step, "-") == 0 ? "" : step, stream,
			  json_bytes(text, (size_t)(end - text)));
	return true;
}

static void
gap_push(struct reader *reader, int64_t to, int64_t time_us)
{
	char text[64];

	snprintf(text, sizeof(text), "%" PRId64 " bytes of output are not kept",
		 to - reader->cursor);
	line_push(reader, time_us, "", "gap", json_text(text));
	reader->cursor = to;
}

/* Lines of one file from the cursor on. 1 when the limit is reached, 0 at its end, -errno. */
static int
read_file(struct reader *reader, int fd, int64_t begin)
{
	_cleanup_free_ char *buffer = xcalloc(1, BUFFER);

	for (;;) {
		ssize_t got = pread(fd, buffer, BUFFER, (off_t)(reader->cursor - begin));
		const char *s = buffer, *end, *newline;
		int64_t time_us = 0;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		end = buffer + got;
		while ((newline = memchr(s, '\n', (size_t)(end - s))) != NULL) {
			if (reader->spent >= reader->limit)
				return 1;
			line_parse(s, newline, &time_us, reader);
			reader->cursor += newline + 1 - s;
			s = newline + 1;
		}
		if (s == buffer)
			return 0; /* nothing, or a line that is not whole yet */
	}
}

/* When the first line of a file was written; 0 if there is none. */
static int64_t
first_time(int fd)
{
	char buffer[PREFIX_MAX];
	ssize_t got = pread(fd, buffer, sizeof(buffer), 0);
	int64_t time_us = 0;

	if (got > 0)
		line_parse(buffer, buffer + got, &time_us, NULL);
	return time_us;
}

/* Reads the file that begins at BEGIN if the cursor is before its end; a hole before it is told
 * first. */
static int
visit(struct reader *reader, int64_t begin)
{
	_cleanup_close_ int fd = file_open(reader, begin);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || begin + st.st_size <= reader->cursor)
		return 0;
	if (begin > reader->cursor) {
		int64_t time_us = first_time(fd);

		if (time_us == 0)
			return 0; /* its first line is not written yet */
		gap_push(reader, begin, time_us);
	}
	return read_file(reader, fd, begin);
}

int
runlog_read(const char *run_directory, int64_t job, int64_t after, size_t limit, json_t **ret_lines,
	    int64_t *ret_next, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/%" PRId64, run_directory, job);
	_cleanup_close_ int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ struct reader *reader = xcalloc(1, sizeof(*reader));
	_cleanup_json_ json_t *lines = json_array();
	int r = 0;

	if (folder_fd < 0 && errno != ENOENT)
		return err_errno(err, errno, "cannot open the run folder %s", path);
	reader->folder_fd = folder_fd;
	reader->lines = lines;
	reader->cursor = after > 0 ? after : 0;
	reader->limit = limit;
	if (folder_fd >= 0)
		r = list_files(reader, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < reader->n; i++)
		r = visit(reader, reader->begins[i]);
	if (r < 0)
		return err_errno(err, -r, "cannot read the log of job %" PRId64, job);
	*ret_lines = TAKE(lines);
	*ret_next = reader->cursor;
	return 0;
}

int64_t
runlog_kept(const char *run_directory, int64_t job)
{
	_cleanup_free_ char *path = xasprintf("%s/%" PRId64, run_directory, job);
	_cleanup_close_ int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ struct reader *reader = xcalloc(1, sizeof(*reader));
	int64_t bytes = 0;

	reader->folder_fd = folder_fd;
	if (folder_fd < 0 || list_files(reader, NULL) < 0)
		return 0;
	for (size_t i = 0; i < reader->n; i++) {
		struct stat st;
		char name[32];

		file_name(reader->begins[i], name);
		if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += st.st_size;
	}
	return bytes;
}
