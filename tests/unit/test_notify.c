/* SPDX-License-Identifier: ISC */
/*
 * notify.h and log.h: what goes to the service manager and to the journal, and what is taken from
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/notify.h"
#include "common/xalloc.h"
#include "common/journal.h"
#include "daemon/log.h"
#include "tests/unit/unit.h"

static int
bind_to(int type, const char *name, size_t n)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type, 0);

	memcpy(address.sun_path, name, n);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	return fd;
}

static const char *
received(int fd)
{
	static char text[1024];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
check_messages(int fd)
{
	char long_text[2000];

	notify_ready();
	ck_assert_str_eq(received(fd), "READY=1");
	notify_stopping();
	ck_assert_str_eq(received(fd), "STOPPING=1");
	notify_reloading();
	ck_assert_int_eq(strncmp(received(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	notify_status("two\nREADY=1");
	ck_assert_str_eq(received(fd), "STATUS=two READY=1");
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	notify_status(long_text);
	ck_assert_int_eq(strncmp(received(fd), "STATUS=xxx", 10), 0);
	notify_alive();
	ck_assert_str_eq(received(fd), "WATCHDOG=1");
}

START_TEST(a_path_is_notified)
{
	char folder[] = "/tmp/bmd-notify-XXXXXX";
	_cleanup_free_ char *path = NULL;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	path = xasprintf("%s/socket", folder);
	fd = bind_to(SOCK_DGRAM, path, strlen(path) + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	check_messages(fd);
	close(fd);
	unlink(path);
	notify_ready(); /* nobody there: nothing happens */
	rmdir(folder);
}
END_TEST

START_TEST(an_abstract_name_is_notified)
{
	_cleanup_free_ char *name = xasprintf("@bmd-notify-%d", (int)getpid());
	_cleanup_free_ char *bound = xstrdup(name);
	int fd;

	bound[0] = '\0';
	fd = bind_to(SOCK_DGRAM, bound, strlen(name));
	setenv("NOTIFY_SOCKET", name, 1);
	check_messages(fd);
	close(fd);
}
END_TEST

// clang-format off
static const struct {
	int line;
	const char *usec;
	int other; /* the pid is somebody else's, or not said (-1) */
	int64_t every_us;
} watched[] = {
	{__LINE__, "180000000",            0,  90000000},
	{__LINE__, "180000000",            -1, 90000000},
	{__LINE__, "180000000",            1,  0},
	{__LINE__, "0",                    0,  0},
	{__LINE__, "-5",                   0,  0},
	{__LINE__, "1s",                   0,  0},
	{__LINE__, "99999999999999999999", 0,  0},
	{__LINE__, NULL,                   0,  0},
};
// clang-format on

START_TEST(the_watchdog_says_how_often)
{
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
		_cleanup_free_ char *pid = xasprintf("%d", (int)getpid() + watched[i].other);

		unsetenv("WATCHDOG_PID");
		unsetenv("WATCHDOG_USEC");
		if (watched[i].other >= 0)
			setenv("WATCHDOG_PID", pid, 1);
		if (watched[i].usec)
			setenv("WATCHDOG_USEC", watched[i].usec, 1);
		ck_assert_msg(notify_watchdog_us() == watched[i].every_us, "line %d",
			      watched[i].line);
		ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	}
}
END_TEST

START_TEST(nobody_is_notified_without_a_name)
{
	static const char *const names[] = {"", "@", "relative", "/"};
	char long_name[300];

	unsetenv("NOTIFY_SOCKET");
	notify_ready();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_ready();
	}
	memset(long_name, '/', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", long_name, 1);
	notify_ready();
}
END_TEST

// clang-format off
static const struct {
	int line;
	const char *count, *names;
	bool own_pid, listening;
	int fd;
} handed[] = {
	{__LINE__, "1",   NULL,             true,  true,  3},
	{__LINE__, "1",   "anything",       true,  true,  3},
	{__LINE__, "2",   "other:varlink",  true,  true,  4},
	{__LINE__, "2",   "varlink:other",  true,  true,  3},
	{__LINE__, "2",   "other:another",  true,  true,  -1},
	{__LINE__, "2",   "varlinks",       true,  true,  -1},
	{__LINE__, "1",   NULL,             true,  false, -1},
	{__LINE__, "1",   NULL,             false, true,  -1},
	{__LINE__, "0",   NULL,             true,  true,  -1},
	{__LINE__, "-1",  NULL,             true,  true,  -1},
	{__LINE__, "1x",  NULL,             true,  true,  -1},
	{__LINE__, "999", NULL,             true,  true,  -1},
	{__LINE__, NULL,  NULL,             true,  true,  -1},
};
// clang-format on

static void
set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* In a process of its own: the sockets have to be 3 and 4. 0 if all is as it should be. */
static int
check_handed(size_t i)
{
	_cleanup_free_ char *pid = xasprintf("%d", (int)getpid() + !handed[i].own_pid);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), got;

	if (handed[i].listening) {
		struct sockaddr_un any = {.sun_family = AF_UNIX};

		if (bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) < 0 ||
		    listen(fd, 1) < 0)
			return 1;
	}
	if (dup2(fd, 3) < 0 || dup2(fd, 4) < 0)
		return 2;
	set("LISTEN_PID", pid);
	set("LISTEN_FDS", handed[i].count);
	set("LISTEN_FDNAMES", handed[i].names);
	got = notify_listen_fd();
	if (got != handed[i].fd)
		return 3;
	if (got >= 0 &&
	    (!(fcntl(got, F_GETFD) & FD_CLOEXEC) || !(fcntl(got, F_GETFL) & O_NONBLOCK)))
		return 4;
	return getenv("LISTEN_PID") || getenv("LISTEN_FDS") || getenv("LISTEN_FDNAMES") ? 5 : 0;
}

START_TEST(a_listening_socket_is_taken_over)
{
	for (size_t i = 0; i < ARRAY_SIZE(handed); i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(check_handed(i));
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(status == 0, "line %d: %d", handed[i].line, WEXITSTATUS(status));
	}
}
END_TEST

static const char *journal = "/nonexistent/journal";
static char held_text[] = "job 12: held: two\nlines";
static const struct event held = {
    .kind = EVENT_HELD,
    .job = 12,
    .application = "shop",
    .stage = "production",
    .build = {"1.0.2", 3},
    .text = held_text,
};

/* What log_error() and the others write, with stderr as a pipe that the journal claims or not. */
static char *
logged(bool claimed, const char *text)
{
	static char line[8192];
	_cleanup_free_ char *stream = NULL;
	int ends[2], saved = dup(STDERR_FILENO);
	struct stat st;
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fstat(ends[1], &st), 0);
	stream = xasprintf("%llu:%llu", (unsigned long long)st.st_dev,
			   (unsigned long long)st.st_ino + !claimed);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(ends[1], STDERR_FILENO);
	log_init("bmd", journal);
	errno = ENOENT;
	log_error("%s", text);
	ck_assert_int_eq(errno, ENOENT);
	log_warning("%s", "second");
	log_info("%s", "third");
	log_event(&held);
	dup2(saved, STDERR_FILENO);
	n = read(ends[0], line, sizeof(line) - 1);
	line[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	close(ends[1]);
	close(saved);
	return line;
}

START_TEST(the_log_is_one_safe_line_each)
{
	char text[6000];
	char *line;

	ck_assert_str_eq(logged(false, "a\nb\x1b[31m"),
			 "bmd: error: a\\x0ab\\x1b[31m\nbmd: warning: second\nbmd: third\n"
			 "bmd: warning: job 12: held: two\\x0alines\n");
	ck_assert_str_eq(logged(true, "first"),
			 "<3>first\n<4>second\n<6>third\n<4>job 12: held: two\\x0alines\n");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	line = logged(false, text);
	ck_assert_int_lt(strcspn(line, "\n"), 4096);
	ck_assert_ptr_nonnull(strstr(line, "x\nbmd: warning: second\n"));
}
END_TEST

START_TEST(an_event_reaches_the_journal_with_its_fields)
{
	char folder[] = "/tmp/bmd-journal-XXXXXX";
	_cleanup_free_ char *path = NULL;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	path = xasprintf("%s/socket", folder);
	ck_assert(!journal_send(path, "bmd", &held)); /* nobody there */
	fd = bind_to(SOCK_DGRAM, path, strlen(path) + 1);
	ck_assert(journal_send(path, "bmd", &held));
	ck_assert_str_eq(received(fd), "PRIORITY=4\n"
				       "MESSAGE_ID=d3cf1f04464f405e8b0484464358ca6f\n"
				       "SYSLOG_IDENTIFIER=bmd\nBM_EVENT=held\nBM_JOB=12\n"
				       "BM_APPLICATION=shop\nBM_RELEASE=1.0.2\nBM_BUILD=3\n"
				       "BM_STAGE=production\n"
				       "MESSAGE\n\x17");
	journal = path;
	ck_assert_str_eq(logged(true, "first"), "<3>first\n<4>second\n<6>third\n");
	ck_assert_ptr_nonnull(strstr(received(fd), "BM_STAGE=production\nMESSAGE=job 12: held: "
						   "two\\x0alines\n"));
	ck_assert_str_eq(received(fd), "");
	journal = "/nonexistent/journal";
	close(fd);
	unlink(path);
	rmdir(folder);
}
END_TEST

/* Whatever a redirection or a service in between did. */
START_TEST(the_journal_is_known_by_its_stream)
{
	_cleanup_free_ char *stream = NULL;
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	stream =
	    xasprintf("%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ck_assert(journal_is_stderr());
	setenv("JOURNAL_STREAM", "0:0", 1);
	ck_assert(!journal_is_stderr());
	setenv("JOURNAL_STREAM", "journal", 1);
	ck_assert(!journal_is_stderr());
	unsetenv("JOURNAL_STREAM");
	ck_assert(!journal_is_stderr());
}
END_TEST

/* The catalog tells of each kind, by the same id, and of nothing else. */
START_TEST(the_catalog_is_whole)
{
	_cleanup_fclose_ FILE *file = fopen(TOP_SRCDIR "/systemd/bmd.catalog", "re");
	char line[256];
	int found[EVENT_MAX_] = {0}, entries = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "-- ", 3) != 0)
			continue;
		entries++;
		for (int kind = 0; kind < EVENT_MAX_; kind++)
			found[kind] += !strcmp(line + 3, event_message_id(kind));
	}
	ck_assert_int_eq(entries, EVENT_MAX_);
	for (int kind = 0; kind < EVENT_MAX_; kind++)
		ck_assert_msg(found[kind] == 1, "%s", event_name(kind));
}
END_TEST

UNIT_MAIN("notify and log", a_path_is_notified, an_abstract_name_is_notified,
	  nobody_is_notified_without_a_name, the_watchdog_says_how_often,
	  a_listening_socket_is_taken_over, the_log_is_one_safe_line_each,
	  an_event_reaches_the_journal_with_its_fields, the_journal_is_known_by_its_stream,
	  the_catalog_is_whole)
