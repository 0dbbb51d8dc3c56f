/* SPDX-License-Identifier: ISC */
/* bmd-run for work that is no run: one frame there, one answer. A connection that ends without one
 * was not done. */
#include <errno.h>
#include <string.h>

#include "common/errand.h"
#include "common/xalloc.h"
#include "daemon/launch.h"
#include "daemon/sched/sched_private.h"

struct sched_errand {
	struct channel *channel;
	void (*done)(const char *error, void *arg);
	void *arg;
};

static void
on_answer(const json_t *object, void *arg)
{
	struct sched_errand *errand = arg;
	char error[ERRAND_ERROR];
	int r = errand_done_unpack(object, error);

	errand->done(r == 0  ? NULL
		     : r > 0 ? error
			     : "bmd-run answered what bmd does not know",
		     errand->arg);
}

static void
on_closed(void *arg)
{
	struct sched_errand *errand = arg;

	errand->done("bmd-run ended without an answer (journalctl -t bmd-run)", errand->arg);
}

int
sched_errand(struct sched *sched, const json_t *request, void (*done)(const char *error, void *arg),
	     void *arg, struct sched_errand **ret_errand, struct err *err)
{
	struct sched_errand *errand;
	pid_t pid;
	int fd, r;

	r = launch_run(sched->host.launch, queue_conf(sched->host.queue), 0, &fd, &pid, err);
	if (r < 0)
		return r;
	errand = xcalloc(1, sizeof(*errand));
	*errand = (struct sched_errand){.done = done, .arg = arg};
	errand->channel = channel_new(sched->host.loop, fd, on_answer, on_closed, errand);
	(void)channel_send(errand->channel, request); /* what is gone is told by the other end */
	*ret_errand = errand;
	return 0;
}

void
sched_errand_free(struct sched_errand *errand)
{
	if (!errand)
		return;
	channel_free(errand->channel);
	free(errand);
}
