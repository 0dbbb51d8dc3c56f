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

#include "common/xalloc.h"
#include "daemon/log.h"
#include "daemon/notify.h"
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

/* What log_error() and the others write, with stderr as a pipe that the journal claims or not. */
static char *
logged(bool journal, const char *text)
{
	static char line[8192];
	_cleanup_free_ char *stream = NULL;
	int ends[2], saved = dup(STDERR_FILENO);
	struct stat st;
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fstat(ends[1], &st), 0);
	stream = xasprintf("%llu:%llu", (unsigned long long)st.st_dev,
			   (unsigned long long)st.st_ino + !journal);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(ends[1], STDERR_FILENO);
	log_init("bmd");
	errno = ENOENT;
	log_error("%s", text);
	ck_assert_int_eq(errno, ENOENT);
	log_warning("%s", "second");
	log_info("%s", "third");
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
			 "bmd: error: a\\x0ab\\x1b[31m\nbmd: warning: second\nbmd: third\n");
	ck_assert_str_eq(logged(true, "first"), "<3>first\n<4>second\n<6>third\n");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	line = logged(false, text);
	ck_assert_int_lt(strcspn(line, "\n"), 4096);
	ck_assert_ptr_nonnull(strstr(line, "x\nbmd: warning: second\n"));
}
END_TEST

UNIT_MAIN("notify and log", a_path_is_notified, an_abstract_name_is_notified,
	  nobody_is_notified_without_a_name, a_listening_socket_is_taken_over,
	  the_log_is_one_safe_line_each)
