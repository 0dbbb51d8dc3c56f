/* SPDX-License-Identifier: ISC */
/*
 * The run folder is read by descriptors, without following links, and only looked at: nothing here
 * writes but run_directory_make().
 */
#include "common/runfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"

#define FILE_MAX   (1024 * 1024)      /* bytes of started and result */
#define EVENTS_MAX (64 * 1024 * 1024) /* bytes of events */
#define EVENT_MAX  (16 * 1024)	      /* bytes of a line of events */

/* Opens the run directory. It must be there: without it nobody can say that a run never began. */
static int
directory_open(const char *directory, struct err *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(err, errno, "cannot open the run directory %s", directory) : fd;
}

/* Opens DIRECTORY/JOB: a descriptor, -ENOENT (without ERR) when there is none, or another error. */
static int
folder_open(const char *directory, int64_t job, struct err *err)
{
	_cleanup_close_ int directory_fd = directory_open(directory, err);
	char name[24];
	int fd;

	if (directory_fd < 0)
		return directory_fd == -ENOENT ? -ENOTDIR : directory_fd;
	snprintf(name, sizeof(name), "%" PRId64, job);
	fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && errno == EACCES) {
		(void)err_set(
		    err, ERR_FAILED,
		    "bmd may not look into the run folder %s/%s: give it the group of its "
		    "neighbours (chgrp) and their mode (chmod 2750)",
		    directory, name);
		return -EACCES;
	}
	return fd < 0 ? err_errno(err, errno, "cannot open the run folder %s/%s", directory, name)
		      : fd;
}

/* Reads a plain file of at most LIMIT bytes: 0, -ENOENT (without ERR) when there is none, or an
 * error. */
static int
file_read(int folder_fd, const char *name, size_t limit, char **ret_text, size_t *ret_n,
	  struct err *err)
{
	_cleanup_close_ int fd =
	    openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t done = 0;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, errno, "cannot read its file \"%s\"", name);
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > limit)
		return err_set(err, ERR_FAILED,
			       "its file \"%s\" is not a plain file of at most %zu bytes", name,
			       limit);
	text = xcalloc((size_t)st.st_size + 1, 1);
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, text + done, (size_t)st.st_size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, errno, "cannot read its file \"%s\"", name);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_text = TAKE(text);
	*ret_n = done;
	return 0;
}

/* Does a bmd-run live that holds JOB/lock? 1 or 0. Only asks: no lock is ever taken here. */
static int
lock_held(int folder_fd, struct err *err)
{
	_cleanup_close_ int fd =
	    openat(folder_fd, "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return err_errno(err, errno, "cannot test its lock");
	return lock.l_type != F_UNLCK;
}

/* A claim that makes no sense is still a claim: it stands with an empty run id. One that cannot be
 * read just now is one, too: HAS_STARTED is set whatever is returned. */
static int
started_read(int folder_fd, struct run_folder *folder, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *object = NULL;
	size_t n;
	int r = file_read(folder_fd, "started", FILE_MAX, &text, &n, err);

	folder->has_started = r != -ENOENT;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (json_parse(text, n, FILE_MAX, &object, NULL) < 0 ||
	    run_started_unpack(object, &folder->started, NULL) < 0)
		folder->started = (struct run_started){0};
	return 0;
}

/* A result is renamed into place when it is whole; one that is not whole was damaged, which no
 * other attempt to read it will change. */
static int
result_read(int folder_fd, struct run_folder *folder, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *object = NULL;
	_cleanup_err_ struct err why = ERR_INIT;
	size_t n;
	int r = file_read(folder_fd, "result", FILE_MAX, &text, &n, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		_cleanup_free_ char *what = xstrdup(err ? err->text : "");

		(void)err_set(
		    err, ERR_FAILED,
		    "%s: should that last, move the file out of the folder, and the job ends as "
		    "lost",
		    what);
		return r;
	}
	r = json_parse(text, n, FILE_MAX, &object, &why);
	if (r >= 0)
		r = run_result_unpack(object, &folder->result, &why);
	folder->has_result = r >= 0;
	if (r < 0)
		(void)snprintf(folder->damage, sizeof(folder->damage), "%.150s", why.text);
	return 0;
}

int
run_folder_look(const char *directory, int64_t job, struct run_folder *ret_folder, struct err *err)
{
	struct run_folder folder = {.exists = true};
	_cleanup_close_ int fd = folder_open(directory, job, err);
	int r, started = 0;

	if (fd == -ENOENT) {
		*ret_folder = (struct run_folder){0};
		return 0;
	}
	if (fd < 0)
		return fd;
	/* The lock first: once it is free, what is read after it does not change any more. */
	r = lock_held(fd, err);
	if (r >= 0) {
		folder.locked = r > 0;
		started = started_read(fd, &folder, err);
		r = result_read(fd, &folder, started < 0 ? NULL : err);
	}
	/* A result says all that the claim does; of a bmd-run that lives, its connection does. */
	if (r >= 0 && !folder.has_result && !*folder.damage && !folder.locked)
		r = started;
	if (r < 0) {
		err_prefix(err, "the run folder %s/%" PRId64, directory, job);
		return r;
	}
	*ret_folder = folder;
	return 0;
}

/* The job id that a name of the run directory stands for, or 0. */
static int64_t
folder_job(const char *name)
{
	char again[24];
	int64_t job;

	if (strlen(name) > 18 || strspn(name, "0123456789") != strlen(name))
		return 0;
	job = strtoll(name, NULL, 10);
	snprintf(again, sizeof(again), "%" PRId64, job);
	return strcmp(again, name) == 0 ? job : 0;
}

static void
cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Calls BACK for the job of each run folder. */
static int
folders_each(const char *directory, void (*back)(int64_t job, void *arg), void *arg,
	     struct err *err)
{
	_cleanup_close_ int fd = directory_open(directory, err);
	_cleanup_(cleanup_closedir) DIR *dir = NULL;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir)
		return err_errno(err, errno, "cannot list the run directory %s", directory);
	fd = -1; /* DIR's now */
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		if (folder_job(entry->d_name) > 0)
			back(folder_job(entry->d_name), arg);
	}
	return errno != 0 ? err_errno(err, errno, "cannot list the run directory %s", directory)
			  : 0;
}

static void
note_highest(int64_t job, void *arg)
{
	int64_t *highest = arg;

	if (job > *highest)
		*highest = job;
}

int
run_folder_highest(const char *directory, int64_t *ret_job, struct err *err)
{
	int64_t highest = 0;
	int r = folders_each(directory, note_highest, &highest, err);

	if (r >= 0)
		*ret_job = highest;
	return r;
}

struct listed {
	int64_t *jobs;
	size_t n, room;
};

static void
note_job(int64_t job, void *arg)
{
	struct listed *listed = arg;

	XGROW(listed->jobs, listed->n, listed->room);
	listed->jobs[listed->n++] = job;
}

static int
by_job(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
run_folder_list(const char *directory, int64_t **ret_jobs, size_t *ret_n, struct err *err)
{
	struct listed listed = {0};
	int r = folders_each(directory, note_job, &listed, err);

	if (r < 0) {
		free(listed.jobs);
		return r;
	}
	if (listed.n > 1)
		qsort(listed.jobs, listed.n, sizeof(*listed.jobs), by_job);
	*ret_jobs = listed.jobs;
	*ret_n = listed.n;
	return 0;
}

/* Adds the event of one line if it is one, and from SEQ on. */
static void
event_line(const char *line, size_t n, int64_t seq, json_t *events)
{
	_cleanup_json_ json_t *object = NULL;
	struct run_event event;

	if (json_parse(line, n, EVENT_MAX, &object, NULL) < 0 ||
	    run_event_unpack(object, &event, NULL) < 0 || event.seq < seq)
		return;
	json_array_append(events, object);
}

int
run_folder_events(const char *directory, int64_t job, int64_t seq, json_t **ret_events,
		  struct err *err)
{
	_cleanup_close_ int fd = folder_open(directory, job, err);
	_cleanup_free_ char *text = NULL;
	json_t *events;
	size_t n = 0;
	int r;

	if (fd < 0 && fd != -ENOENT)
		return fd;
	r = fd < 0 ? -ENOENT : file_read(fd, "events", EVENTS_MAX, &text, &n, err);
	if (r < 0 && r != -ENOENT) {
		err_prefix(err, "job %" PRId64, job);
		return r;
	}
	events = json_array();
	for (char *line = text, *end; line && (end = memchr(line, '\n', n)); line = end + 1) {
		n -= (size_t)(end - line) + 1;
		event_line(line, (size_t)(end - line), seq, events);
	}
	*ret_events = events;
	return 0;
}

int
run_directory_make(const char *directory, struct err *err)
{
	if (mkdir(directory, 0711) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the run directory %s", directory);
	return 0;
}
