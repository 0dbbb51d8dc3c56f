/* SPDX-License-Identifier: ISC */
/*
 * One ssh for one connection. Its standard input and output are one end of a socket pair, its
 * standard error a pipe of which the beginning is kept: the last line is the reason when it fails,
 * all else is shown when the connection is closed. It goes on at Ctrl-C, which means to detach and
 * not to tear the connection, and ends when we do.
 */
#include "ctl/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "ctl/options.h"
#include "ctl/table.h"

#define SAID_MAX  8192 /* bytes of what ssh says that are kept */
#define END_MS	  3000 /* for ssh to end once its output has */
#define SSH_ERROR 255  /* its exit code when it is not that of the command */

struct remote {
	char *host;
	pid_t pid;
	int said_fd;
	size_t nsaid;
	char said[SAID_MAX + 1];
};

/* ---- the name of the other machine */

static bool
is_made_of(const char *text, size_t n, const char *others)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	if (n == 0 || text[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (strchr(letters, text[i]) == NULL && strchr(others, text[i]) == NULL)
			return false;
	return true;
}

int
remote_check(const char *host, struct err *err)
{
	const char *text = host, *at;

	if (strncmp(text, "ssh://", strlen("ssh://")) == 0)
		text += strlen("ssh://");
	at = strrchr(text, '@');
	/* ssh puts both into commands of its configuration (%h, %r): no bytes of a shell. */
	if ((at != NULL && !is_made_of(text, (size_t)(at - text), "._+-")) ||
	    !is_made_of(at != NULL ? at + 1 : text, strlen(at != NULL ? at + 1 : text), "._:%[]-"))
		return err_set(err, ERR_USAGE,
			       "-H is [user@]host or ssh://[user@]host[:port], not '%s'", host);
	return 0;
}

/* ---- starting ssh */

static void
child(int fd, int said_fd, int failed_fd, const char *host, const char *command)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, usual = {.sa_handler = SIG_DFL};
	int number;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGPIPE, &usual, NULL);
	if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
	    dup2(said_fd, STDERR_FILENO) >= 0)
		execlp("ssh", "ssh", "-T", "-a", "-x", "-o", "ClearAllForwardings=yes", "-o",
		       "RemoteCommand=none", "--", host, command, NULL);
	number = errno;
	if (write(failed_fd, &number, sizeof(number)) < 0)
		_exit(126);
	_exit(127);
}

/* The errno with which the child failed to become ssh; 0 once it is. */
static int
exec_error(int failed_fd)
{
	int number = 0;
	ssize_t n;

	do
		n = read(failed_fd, &number, sizeof(number));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(number) ? number : 0;
}

static int
start(struct remote *remote, const char *command, int *ret_fd, struct err *err)
{
	_cleanup_close_ int ours = -1, theirs = -1, said = -1, said_theirs = -1, failed = -1,
			    failed_theirs = -1;
	int pair[2], number;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	said = pair[0];
	said_theirs = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_errno(err, errno, "pipe");
	failed = pair[0];
	failed_theirs = pair[1];
	if ((remote->pid = fork()) < 0)
		return err_errno(err, errno, "fork");
	if (remote->pid == 0)
		child(theirs, said_theirs, failed_theirs, remote->host, command);
	close(TAKE_FD(failed_theirs));
	if ((number = exec_error(failed)) != 0) {
		waitpid(remote->pid, NULL, 0);
		remote->pid = -1;
		err_set(err, ERR_UNREACHABLE,
			"cannot reach %s: ssh cannot be started: %s (package openssh-client)",
			remote->host, strerror(number));
		return -ECONNREFUSED;
	}
	if (fcntl(said, F_SETFL, O_NONBLOCK) < 0)
		return err_errno(err, errno, "fcntl");
	remote->said_fd = TAKE_FD(said);
	*ret_fd = TAKE_FD(ours);
	return 0;
}

int
remote_open(const char *host, const char *socket, struct remote **ret_remote, int *ret_fd,
	    struct err *err)
{
	const char *const far[] = {"bridge", "-s", socket};
	_cleanup_free_ char *command = options_quote(socket != NULL ? 3 : 1, far, NULL);
	struct remote *remote;
	int r;

	if ((r = remote_check(host, err)) < 0)
		return r;
	remote = xcalloc(1, sizeof(*remote));
	*remote = (struct remote){.host = xstrdup(host), .pid = -1, .said_fd = -1};
	if ((r = start(remote, command, ret_fd, err)) < 0)
		remote_close(remote);
	else
		*ret_remote = remote;
	return r;
}

/* ---- what it says */

int
remote_said_fd(const struct remote *remote)
{
	return remote->said_fd;
}

void
remote_listen(struct remote *remote)
{
	char rest[1024];

	while (remote->said_fd >= 0) {
		size_t room = SAID_MAX - remote->nsaid;
		ssize_t n = read(remote->said_fd, room > 0 ? remote->said + remote->nsaid : rest,
				 room > 0 ? room : sizeof(rest));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			close(TAKE_FD(remote->said_fd));
		else if (room > 0)
			remote->nsaid += (size_t)n;
	}
}

/* The lines that were said, without empty ones: shown, but for the last one if RET_LAST wants it.
 */
static void
tell(struct remote *remote, char **ret_last)
{
	char *rest = remote->said, *line, *last = NULL;

	remote->said[remote->nsaid] = '\0';
	while ((line = strsep(&rest, "\r\n")) != NULL) {
		if (line[0] == '\0')
			continue;
		if (last != NULL)
			table_line(stderr, "%s", last);
		last = line;
	}
	remote->nsaid = 0;
	if (last != NULL && ret_last == NULL)
		table_line(stderr, "%s", last);
	if (ret_last != NULL)
		*ret_last = last != NULL ? xstrdup(last) : NULL;
}

/* ---- its end */

/* Its exit code, or -1: a signal, or it did not end and was made to. */
static int
exit_code(struct remote *remote)
{
	struct pollfd fd = {.fd = (int)syscall(SYS_pidfd_open, remote->pid, 0), .events = POLLIN};
	int status;

	if (fd.fd >= 0 && poll(&fd, 1, END_MS) == 0)
		kill(remote->pid, SIGTERM);
	if (fd.fd >= 0)
		close(fd.fd);
	while (waitpid(remote->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	remote->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Did somebody refuse whom ssh has reached? It has one exit code for all, but its words are
 * constant. */
static bool
is_refusal(const char *said)
{
	static const char *const words[] = {"Permission denied", "Host key verification failed",
					    "Too many authentication failures",
					    "No supported authentication methods",
					    "not allowed at this time"};

	if (strstr(said, "ssh: connect to host") != NULL)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(said, words[i]) != NULL)
			return true;
	return false;
}

/* The sentence in LINE: without the name of who says it. */
static const char *
sentence(const char *line)
{
	static const char *const names[] = {"bmctl: ", "ssh: "};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(line, names[i], strlen(names[i])) == 0)
			return line + strlen(names[i]);
	return line;
}

int
remote_why(struct remote *remote, struct err *err)
{
	_cleanup_free_ char *last = NULL;
	const char *said, *host = remote->host;
	bool refuses;
	int code = exit_code(remote);

	remote_listen(remote);
	remote->said[remote->nsaid] = '\0';
	refuses = code == err_exit(ERR_PERMISSION_DENIED) ||
		  (code == SSH_ERROR && is_refusal(remote->said));
	tell(remote, &last);
	said = last != NULL ? sentence(last) : "it ended without a word";
	if (refuses) {
		err_set(err, ERR_PERMISSION_DENIED, "%s refuses: %s%s%s%s", host, said,
			code == SSH_ERROR ? " (ssh " : "", code == SSH_ERROR ? host : "",
			code == SSH_ERROR ? " shows more)" : "");
		return -EACCES;
	}
	if (code == SSH_ERROR)
		err_set(err, ERR_UNREACHABLE, "cannot reach %s: %s (ssh %s shows more)", host, said,
			host);
	else if (code == 127)
		err_set(err, ERR_UNREACHABLE,
			"cannot reach bmd at %s: %s (bmctl has to be installed there, where the "
			"shell of ssh finds it)",
			host, said);
	else
		err_set(err, ERR_UNREACHABLE, "cannot reach bmd at %s: %s", host, said);
	return -ECONNREFUSED;
}

void
remote_close(struct remote *remote)
{
	if (remote == NULL)
		return;
	remote_listen(remote);
	tell(remote, NULL);
	if (remote->said_fd >= 0)
		close(remote->said_fd);
	/* It ends by itself, for its input has; nobody waits for that. */
	if (remote->pid > 0)
		waitpid(remote->pid, NULL, WNOHANG);
	free(remote->host);
	free(remote);
}
