/* SPDX-License-Identifier: ISC */
/*
 * The process of the caged reader, from outside: made with its pipes, fed, asked what became of it,
 * ended. This side never waits to write.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scope.h"
#include "import/cage.h"

#define PIPE_SIZE (256 * 1024)

int
cage_start(struct cage *cage, enum reader_kind kind, int archive, struct err *err)
{
	int in[2] = {-1, -1}, out[2];

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(err, errno, "the reader of archives cannot be started");
	if (archive < 0 && pipe2(in, O_CLOEXEC) < 0) {
		int number = errno;

		close(out[0]), close(out[1]);
		return err_errno(err, number, "the reader of archives cannot be started");
	}
	cage->pid = fork();
	if (cage->pid == 0)
		reader_main(kind, archive < 0 ? in[0] : archive, out[1]);
	cage->in = in[1];
	cage->out = out[0];
	/* Fewer turns between the two of us; where that is not allowed, it stays as it is. */
	(void)fcntl(cage->out, F_SETPIPE_SZ, PIPE_SIZE);
	if (cage->in >= 0)
		(void)fcntl(cage->in, F_SETPIPE_SZ, PIPE_SIZE);
	close(out[1]);
	cleanup_close(&in[0]);
	if (cage->pid < 0)
		return err_errno(err, errno, "the reader of archives cannot be started");
	cage->entries = entry_input_new(cage->out);
	entry_input_timeout(cage->entries, CAGE_WAIT_MS);
	if (cage->in >= 0)
		fcntl(cage->in, F_SETFL, O_NONBLOCK);
	return 0;
}

void
cage_stop(struct cage *cage)
{
	if (cage->pid > 0) {
		kill(cage->pid, SIGKILL);
		while (waitpid(cage->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	cleanup_close(&cage->in);
	cleanup_close(&cage->out);
	entry_input_free(cage->entries);
}

int
cage_explain(struct cage *cage, int r, struct err *err)
{
	int status;

	if (r == -ETIMEDOUT)
		return err_set(err, ERR_UPLOAD,
			       "the archive took the reader too long; pack it again");
	kill(cage->pid, r < 0 ? SIGKILL : 0);
	while (waitpid(cage->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_set(err, ERR_FAILED, "the reader of archives is gone");
	cage->pid = -1;
	if (r == 0 && WIFSIGNALED(status))
		return err_set(
		    err, ERR_UPLOAD,
		    "the reader of archives was ended by signal %d: the archive is not taken",
		    WTERMSIG(status));
	if (r == 0 && WEXITSTATUS(status) == 71)
		return err_set(
		    err, ERR_UPLOAD,
		    "the archive needs more memory to be read than is allowed; pack it with less");
	return err_set(err, ERR_UPLOAD,
		       "the reader of archives broke off: the archive is not taken");
}

int
cage_feed(struct cage *cage, const char **bytes, size_t *n)
{
	ssize_t done = write(cage->in, *bytes, *n);

	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	*bytes += done;
	*n -= (size_t)done;
	return 0;
}
