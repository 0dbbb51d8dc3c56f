/* SPDX-License-Identifier: ISC */
/*
 * Records of finished jobs are bounded: of each stage the newest `keep-jobs` stay, and of older
 * ones those that something still needs (store_job_needed()) or whose run folder is still there,
 * with its output. A portion is a few records of one stage, and its own row of the audit.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

struct portion {
	struct queue *queue;
	const struct queue_pruning *at;
	int64_t undone_us;
	int64_t first, last; /* ids that went */
	int n;
};

static int
keep_jobs(const struct queue *queue, const char *application, const char *stage)
{
	const struct conf_application *known = conf_application(queue->conf, application);
	const struct conf_stage *on = known ? conf_stage(known, stage) : NULL;

	return on && on->keep_jobs > 0 ? on->keep_jobs : queue->conf->keep_jobs;
}

/* Whoever cannot tell keeps. */
static bool
has_folder(const struct queue *queue, int64_t id)
{
	_cleanup_free_ char *path = xasprintf("%s/%lld", queue->conf->run_directory, (long long)id);

	return access(path, F_OK) == 0 || errno != ENOENT;
}

static int
remove_one(struct portion *portion, int64_t id, struct err *err)
{
	struct queue *queue = portion->queue;
	bool needed;
	int r = store_job_needed(queue->store, id, portion->undone_us, &needed, err);

	if (r < 0 || needed || has_folder(queue, id))
		return r;
	r = store_job_remove(queue->store, id, err);
	if (r < 0)
		return r;
	if (portion->n++ == 0 || id < portion->first)
		portion->first = id;
	if (id > portion->last)
		portion->last = id;
	return 0;
}

static int
note_it(const struct portion *portion, int64_t now_us, struct err *err)
{
	_cleanup_free_ char *text =
	    portion->n == 1 ? xasprintf("the record of job %lld", (long long)portion->first)
			    : xasprintf("the records of %d jobs, from %lld to %lld", portion->n,
					(long long)portion->first, (long long)portion->last);
	const struct store_audit row = {.at_us = now_us,
					.uid = -1,
					.who = "bmd",
					.what = "Prune",
					.application = portion->at->application,
					.stage = portion->at->stage,
					.text = text};

	return store_audit(portion->queue->store, &row, err);
}

/* The next stage, from its oldest record on: 1, or 0 behind the last. */
static int
next_stage(struct queue *queue, struct queue_pruning *at, struct err *err)
{
	at->inside = true;
	at->after[0] = INT64_MIN;
	at->after[1] = 0;
	return store_final_stage(queue->store, at->application, at->stage, err);
}

int
queue_prune(struct queue *queue, struct queue_pruning *at, int64_t now_us, struct err *err)
{
	struct portion portion = {.queue = queue, .at = at};
	int64_t ids[QUEUE_PRUNED_AT_ONCE];
	int keep, n, r = at->inside ? 1 : next_stage(queue, at, err);

	if (r <= 0)
		return r;
	keep = keep_jobs(queue, at->application, at->stage);
	n = keep == 0 ? 0
		      : store_surplus(queue->store, at->application, at->stage, keep, at->after,
				      QUEUE_PRUNED_AT_ONCE, ids, err);
	at->inside = n == QUEUE_PRUNED_AT_ONCE;
	if (n <= 0)
		return n < 0 ? n : 1;
	r = store_undone_from(queue->store, at->application, at->stage, QUEUE_UNDONE_MAX,
			      &portion.undone_us, err);
	for (int i = 0; i < n && r >= 0; i++)
		r = remove_one(&portion, ids[i], err);
	if (r >= 0 && portion.n > 0) {
		failpoint("records-removed");
		r = note_it(&portion, now_us, err);
	}
	return r < 0 ? r : 1;
}
