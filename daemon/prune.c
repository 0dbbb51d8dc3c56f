/* SPDX-License-Identifier: ISC */
/*
 * One look lists the run directory and asks bmd-run to remove what is too much, a page at a time.
 * What is not final in the database stays: also folders of jobs that a restored database does not
 * know, by which their ids are not given again.
 */
#include "common/runfolder.h"
#include "daemon/prune.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/errand.h"
#include "common/xalloc.h"
#include "daemon/log.h"

#define EVERY 64 /* ended runs */

struct prune {
	struct sched *sched;
	struct queue *queue;
	struct sched_errand *errand; /* NULL: bmd-run is not at it */
	bool more;		     /* than one errand takes */
	int ended;
	bool failed; /* said once, until it succeeds */
};

static void look(struct prune *prune);

static void
on_done(const char *error, void *arg)
{
	struct prune *prune = arg;

	sched_errand_free(TAKE(prune->errand));
	if (error && !prune->failed)
		log_warning("old run folders are not removed: %s", error);
	prune->failed = error != NULL;
	if (!error && prune->more)
		look(prune);
}

static bool
is_final(struct prune *prune, int64_t id)
{
	struct job job = {0};
	bool final = store_job_get(queue_store(prune->queue), id, &job, NULL) >= 0 &&
		     job_state_final(job.state);

	job_clear(&job);
	return final;
}

static void
ask(struct prune *prune, const int64_t *jobs, size_t n)
{
	_cleanup_json_ json_t *request = errand_prune_pack(jobs, n);
	_cleanup_err_ struct err err = ERR_INIT;

	if (sched_errand(prune->sched, request, on_done, prune, &prune->errand, &err) >= 0)
		return;
	if (!prune->failed)
		log_warning("old run folders are not removed: %s", err.text);
	prune->failed = true;
}

static void
look(struct prune *prune)
{
	const struct conf *conf = queue_conf(prune->queue);
	_cleanup_free_ int64_t *jobs = NULL;
	int64_t old[ERRAND_PRUNE_MAX];
	size_t n = 0, found = 0, surplus;

	prune->ended = 0;
	prune->more = false;
	if (prune->errand || run_folder_list(conf->run_directory, &jobs, &n, NULL) < 0 ||
	    n <= (size_t)conf->keep_runs)
		return;
	surplus = n - (size_t)conf->keep_runs;
	for (size_t i = 0; i < surplus && found < ERRAND_PRUNE_MAX; i++)
		if (is_final(prune, jobs[i]))
			old[found++] = jobs[i];
	prune->more = found == ERRAND_PRUNE_MAX;
	if (found > 0)
		ask(prune, old, found);
}

static void
on_ended(void *arg)
{
	struct prune *prune = arg;

	if (++prune->ended >= EVERY)
		look(prune);
}

struct prune *
prune_new(struct sched *sched, struct queue *queue)
{
	struct prune *prune = xcalloc(1, sizeof(*prune));

	prune->sched = sched;
	prune->queue = queue;
	sched_on_ended(sched, on_ended, prune);
	look(prune);
	return prune;
}

void
prune_reload(struct prune *prune)
{
	look(prune);
}

void
prune_free(struct prune *prune)
{
	if (!prune)
		return;
	sched_on_ended(prune->sched, NULL, NULL);
	sched_errand_free(prune->errand);
	free(prune);
}
