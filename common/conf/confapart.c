/* SPDX-License-Identifier: ISC */
/*
 * libconfuse in a process of its own. For want of memory it writes to NULL or calls exit(2), and a
 * bmd that runs must outlive a reload: so a child reads the texts and tells the values, and
 *whatever ends it is one more reason to keep the configuration that there is. The child is a copy
 *of this process, so that both know the same nodes, in the same order; it says, source by source:
 *
 *	shown new { line n text } × new ok [values: { n text } …, where ok]
 *
 * with each number as it lies in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/confparse.h"
#include "common/xalloc.h"

#define SILENCE_MS 20000 /* so long it may say nothing */
#define CPU_S	   10
#define ESCAPED	   8 /* so much longer is what is shown of a file, at most */

/* ---- the child */

static void
put(FILE *to, const void *bytes, size_t n)
{
	if (fwrite(bytes, 1, n, to) != n)
		_exit(EX_OSERR);
}

static void
put_text(FILE *to, const char *text)
{
	size_t n = strlen(text);

	put(to, &n, sizeof(n));
	put(to, text, n);
}

static void
put_values(FILE *to, const struct conf_node *node)
{
	for (size_t i = 0; i < node->nkeys; i++)
		for (size_t j = 0; !node->keys[i].spoiled && j < node->keys[i].nvalues; j++)
			put_text(to, node->keys[i].values[j].text);
	for (size_t i = 0; i < node->nchildren; i++)
		put_values(to, node->children[i]);
}

static void
put_source(FILE *to, struct conf_parse *parse, struct conf_source *source)
{
	size_t before = parse->nproblems, new;
	bool ok = conf_values(parse, source) >= 0;

	new = parse->nproblems - before;
	put(to, &source->nproblems, sizeof(source->nproblems));
	put(to, &new, sizeof(new));
	for (size_t i = before; i < parse->nproblems; i++) {
		put(to, &parse->problems[i].line, sizeof(parse->problems[i].line));
		put_text(to, parse->problems[i].text);
	}
	put(to, &ok, sizeof(ok));
	if (ok)
		put_values(to, source->root);
}

/* It has nothing of its parent's but the pipe, and ends with it. */
static void
be_alone(int fd, pid_t parent)
{
	const struct rlimit none = {0, 0}, cpu = {CPU_S, CPU_S};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_OSERR);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &cpu);
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0U, 0);
}

static _Noreturn void
tell(struct conf_parse *parse, int fd, pid_t parent)
{
	FILE *to;

	be_alone(fd, parent);
	to = fdopen(fd, "w");
	if (!to)
		xalloc_die();
	for (size_t i = 0; i < parse->nsources; i++)
		if (parse->sources[i]->root)
			put_source(to, parse, parse->sources[i]);
	_exit(fflush(to) == 0 ? EX_OK : EX_OSERR);
}

/* The signals of the loop are not the child's: all stay blocked there. */
static pid_t
start(struct conf_parse *parse, int *ret_fd)
{
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fflush(NULL); /* libconfuse may call exit() */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	r = errno;
	if (pid == 0)
		tell(parse, ends[1], parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -r;
	}
	*ret_fd = ends[0];
	return pid;
}

/* ---- the parent */

struct answer {
	char *bytes;
	size_t n, cap, at;
};

/* What a whole answer can be long, at most. */
static size_t
room(const struct conf_parse *parse)
{
	size_t n = 0;

	for (size_t i = 0; i < parse->nsources; i++)
		if (parse->sources[i]->root)
			n += ESCAPED * (strlen(parse->sources[i]->text) +
					CONF_PROBLEMS_MAX * (size_t)PATH_MAX);
	return n;
}

/* All that comes until the end. 0, or -ETIMEDOUT, -EMSGSIZE, or what read(2) says. */
static int
listen_to(int fd, size_t most, struct answer *answer)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	ssize_t got;

	for (;;) {
		int r = poll(&ready, 1, SILENCE_MS);

		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		if (answer->cap - answer->n < 65536) {
			answer->cap = answer->cap ? answer->cap * 2 : 131072;
			answer->bytes = xrealloc(answer->bytes, answer->cap, 1);
		}
		got = read(fd, answer->bytes + answer->n, answer->cap - answer->n);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return 0;
		if (got > 0)
			answer->n += (size_t)got;
		if (answer->n > most)
			return -EMSGSIZE;
	}
}

static bool
take(struct answer *answer, void *to, size_t n)
{
	if (answer->n - answer->at < n)
		return false;
	memcpy(to, answer->bytes + answer->at, n);
	answer->at += n;
	return true;
}

/* A new text. */
static bool
take_text(struct answer *answer, char **ret)
{
	size_t n;

	if (!take(answer, &n, sizeof(n)) || answer->n - answer->at < n)
		return false;
	*ret = xstrndup(answer->bytes + answer->at, n);
	answer->at += n;
	return true;
}

static bool
take_values(struct answer *answer, struct conf_node *node)
{
	for (size_t i = 0; i < node->nkeys; i++)
		for (size_t j = 0; !node->keys[i].spoiled && j < node->keys[i].nvalues; j++)
			if (!take_text(answer, &node->keys[i].values[j].text))
				return false;
	for (size_t i = 0; i < node->nchildren; i++)
		if (!take_values(answer, node->children[i]))
			return false;
	return true;
}

static bool
take_problem(struct answer *answer, struct conf_parse *parse, struct conf_source *source)
{
	struct conf_problem problem = {.serial = parse->nproblems};

	if (!take(answer, &problem.line, sizeof(problem.line)) || !take_text(answer, &problem.text))
		return false;
	while (parse->sources[problem.order] != source)
		problem.order++;
	parse->fatal |= source->place == CONF_MAIN;
	XGROW(parse->problems, parse->nproblems, parse->problems_cap);
	parse->problems[parse->nproblems++] = problem;
	return true;
}

/* Is the answer about SOURCE whole? */
static bool
take_source(struct answer *answer, struct conf_parse *parse, struct conf_source *source)
{
	size_t shown, new;
	bool ok;

	if (!take(answer, &shown, sizeof(shown)) || !take(answer, &new, sizeof(new)))
		return false;
	for (; new > 0; new --)
		if (!take_problem(answer, parse, source))
			return false;
	source->nproblems = shown;
	if (!take(answer, &ok, sizeof(ok)) || (ok && !take_values(answer, source->root)))
		return false;
	if (!ok) {
		conf_node_free(source->root);
		source->root = NULL;
	}
	return true;
}

/* Why there is no whole answer. free() */
static char *
why(int r, int status)
{
	if (r < 0)
		return xasprintf("the process that reads it gives no answer: %s", strerror(-r));
	if (WIFSIGNALED(status))
		return xasprintf(
		    "the process that reads it was ended by signal %d (%s), as happens "
		    "to libconfuse for want of memory",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == EX_OSERR)
		return xstrdup("there is no memory to read it");
	return xasprintf("libconfuse gave up, with status %d, as happens for want of memory",
			 WEXITSTATUS(status));
}

/* Reports the first source that was not told of. */
static int
give_up(struct conf_parse *parse, struct conf_source *source, int r, int status)
{
	_cleanup_free_ char *text = why(r, status);

	parse->fatal = true;
	conf_report(parse, source, 0, "cannot be read now, try again: %s", text);
	return -EAGAIN;
}

int
conf_values_apart(struct conf_parse *parse)
{
	struct answer answer = {0};
	int fd = -1, r, status = 0;
	pid_t pid = start(parse, &fd);

	if (pid < 0)
		return give_up(parse, parse->sources[0], pid, 0);
	r = listen_to(fd, room(parse), &answer);
	close(fd);
	if (r < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (r < 0)
		r = give_up(parse, parse->sources[0], r, 0);
	for (size_t i = 0; r >= 0 && i < parse->nsources; i++)
		if (parse->sources[i]->root && !take_source(&answer, parse, parse->sources[i]))
			r = give_up(parse, parse->sources[i], 0, status);
	free(answer.bytes);
	return r;
}
