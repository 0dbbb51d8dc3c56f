/* SPDX-License-Identifier: ISC */
/* bmd-import beside the runs: uploads, verifications and the collection of stored files, and their
 * lists, each kind counted and bounded. */
#include <string.h>

#include "common/xalloc.h"
#include "daemon/launch.h"
#include "daemon/sched/sched_private.h"

#define VERIFIES_MAX 2 /* processes: more would only wait for the same disk */
#define OWN_MAX	     2 /* of them for bmd itself */
#define LISTS_MAX    4 /* one that answers, and others that end */

struct sched_verify {
	struct sched *sched;
	struct channel *channel;
	void (*line)(const json_t *object, void *arg);
	void *arg;
};

static bool
forget(struct helpers *helpers, pid_t pid)
{
	for (size_t i = 0; i < helpers->n; i++)
		if (helpers->pids[i] == pid) {
			helpers->pids[i] = helpers->pids[--helpers->n];
			return true;
		}
	return false;
}

bool
sched_helper_ended(struct sched *sched, pid_t pid)
{
	return forget(&sched->imports, pid) || forget(&sched->verifies, pid) ||
	       forget(&sched->own, pid) || forget(&sched->lists, pid);
}

size_t
sched_imports(const struct sched *sched)
{
	return sched->imports.n;
}

bool
sched_imports_full(const struct sched *sched)
{
	return sched->imports.n == IMPORTS_MAX;
}

int
sched_import(struct sched *sched, const char *kind, int client_fd, struct err *err)
{
	_cleanup_close_ int fd = client_fd;
	pid_t pid;
	int r;

	if (sched_imports_full(sched))
		return err_set(err, ERR_TOO_MANY,
			       "%d uploads are going on: try again when one has ended",
			       IMPORTS_MAX);
	r = launch_import(sched->host.launch, queue_conf(sched->host.queue), kind, fd, &pid, err);
	if (r < 0)
		return r;
	sched->imports.pids[sched->imports.n++] = pid;
	return 0;
}

static void
on_verify_message(const json_t *object, void *arg)
{
	struct sched_verify *verify = arg;

	verify->line(object, verify->arg);
}

static void
on_verify_closed(void *arg)
{
	struct sched_verify *verify = arg;

	verify->line(NULL, verify->arg);
}

static int
helpers_full(struct err *err)
{
	return err_set(err, ERR_TOO_MANY,
		       "%d verifications are going on: try again when one has ended", VERIFIES_MAX);
}

/* A helper that works on stored files, over the channel FD, counted with those of its kind. */
static struct sched_verify *
store_helper(struct sched *sched, struct helpers *kind, int fd, pid_t pid,
	     void (*line)(const json_t *object, void *arg), void *arg)
{
	struct sched_verify *helper = xcalloc(1, sizeof(*helper));

	kind->pids[kind->n++] = pid;
	*helper = (struct sched_verify){.sched = sched, .line = line, .arg = arg};
	helper->channel =
	    channel_new(sched->host.loop, fd, on_verify_message, on_verify_closed, helper);
	return helper;
}

static int
send_digests(struct sched_verify *helper, const json_t *digests)
{
	const json_t *digest;
	size_t i;
	int r = 0;

	json_array_foreach (digests, i, digest) {
		r = channel_send_bytes(helper->channel, json_string_value(digest),
				       json_string_length(digest));
		if (r >= 0)
			r = channel_send_bytes(helper->channel, "\n", 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
verify(struct sched *sched, struct helpers *kind, size_t most, const json_t *digests,
       void (*line)(const json_t *object, void *arg), void *arg, struct sched_verify **ret_verify,
       struct err *err)
{
	pid_t pid;
	int fd, r;

	if (kind->n == most)
		return helpers_full(err);
	r = launch_verify(sched->host.launch, queue_conf(sched->host.queue), &fd, &pid, err);
	if (r < 0)
		return r;
	*ret_verify = store_helper(sched, kind, fd, pid, line, arg);
	(void)send_digests(*ret_verify, digests);
	channel_end((*ret_verify)->channel);
	return 0;
}

int
sched_verify(struct sched *sched, const json_t *digests,
	     void (*line)(const json_t *object, void *arg), void *arg,
	     struct sched_verify **ret_verify, struct err *err)
{
	return verify(sched, &sched->verifies, VERIFIES_MAX, digests, line, arg, ret_verify, err);
}

int
sched_verify_own(struct sched *sched, const json_t *digests,
		 void (*line)(const json_t *object, void *arg), void *arg,
		 struct sched_verify **ret_verify, struct err *err)
{
	return verify(sched, &sched->own, OWN_MAX, digests, line, arg, ret_verify, err);
}

int
sched_backup(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
	     struct sched_verify **ret_backup, struct err *err)
{
	pid_t pid;
	int fd, r;

	if (sched->own.n == OWN_MAX)
		return helpers_full(err);
	r = launch_backup(sched->host.launch, queue_conf(sched->host.queue), &fd, &pid, err);
	if (r >= 0)
		*ret_backup = store_helper(sched, &sched->own, fd, pid, line, arg);
	return r;
}

int
sched_collect(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
	      struct sched_verify **ret_collect, struct err *err)
{
	pid_t pid;
	int fd, r;

	if (sched->verifies.n == VERIFIES_MAX)
		return helpers_full(err);
	r = launch_collect(sched->host.launch, queue_conf(sched->host.queue), &fd, &pid, err);
	if (r >= 0)
		*ret_collect = store_helper(sched, &sched->verifies, fd, pid, line, arg);
	return r;
}

int
sched_collect_keep(struct sched_verify *collect, const json_t *digests)
{
	_cleanup_free_ char *end = xasprintf("end %zu\n", json_array_size(digests));
	int r = send_digests(collect, digests);

	/* Without its last line the list counts for nothing. */
	if (r >= 0)
		r = channel_send_bytes(collect->channel, end, strlen(end));
	channel_end(collect->channel);
	return r;
}

int
sched_lists(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
	    struct sched_verify **ret_lists, struct err *err)
{
	pid_t pid;
	int fd, r;

	if (sched->lists.n == LISTS_MAX)
		return err_set(err, ERR_TOO_MANY,
			       "the lists of files are not to be had just now: try again");
	r = launch_lists(sched->host.launch, queue_conf(sched->host.queue), &fd, &pid, err);
	if (r >= 0)
		*ret_lists = store_helper(sched, &sched->lists, fd, pid, line, arg);
	return r;
}

int
sched_lists_ask(struct sched_verify *lists, const json_t *question)
{
	return channel_send(lists->channel, question);
}

void
sched_verify_stop(struct sched_verify *verify)
{
	if (!verify)
		return;
	channel_free(verify->channel);
	free(verify);
}
