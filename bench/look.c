/* SPDX-License-Identifier: ISC */
/*
 * What finished jobs cost, on the state of a bmd that is stopped:
 * look CONF fill N		adds N jobs like the newest one, which is finished, each with a step
 * and a row of the audit look CONF time TIMES		looks so often at what is due, as bmd does
 * after every change, and prints the median in µs
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/queue/queue.h"

#define BATCH 1000

static struct store *store;
static struct err err = ERR_INIT;

static void
must(int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "look: %s\n", err.text);
	exit(1);
}

static void
add(struct job *job)
{
	struct store_step step = {.name = "one",
				  .state = "succeeded",
				  .started_us = job->started_us,
				  .finished_us = job->finished_us,
				  .attempt = 1};
	struct store_audit row = {.at_us = job->created_us,
				  .uid = job->uid,
				  .who = job->requested_by,
				  .what = "Deploy",
				  .application = job->application,
				  .stage = job->stage,
				  .job = job->id};

	must(store_job_add(store, job, &err));
	must(store_step_put(store, job->id, &step, &err));
	must(store_audit(store, &row, &err));
}

static void
fill(long n)
{
	struct job job = {0};
	int64_t id = 0;

	must(store_job_highest(store, &id, &err));
	must(store_job_get(store, id, &job, &err));
	if (!job_state_final(job.state)) {
		fprintf(stderr, "look: job %" PRId64 " is not finished\n", id);
		exit(1);
	}
	for (long i = 0; i < n; i++) {
		must(store_begin(store, &err));
		job.id++;
		job.finished_us++;
		add(&job);
		if (i % BATCH == BATCH - 1 || i == n - 1)
			must(store_commit(store, job.finished_us, &err));
	}
	job_clear(&job);
}

static int
start(struct job *job, void *arg)
{
	(void)arg;
	fprintf(stderr, "look: job %" PRId64 " is due: nothing may be\n", job->id);
	exit(1);
}

static double
one_look(struct queue *queue)
{
	struct timespec from, to;
	char application[64] = "", stage[64] = "";
	int64_t next_us = 0;

	clock_gettime(CLOCK_MONOTONIC, &from);
	must(store_begin(store, &err));
	must(queue_look(queue, clock_now_us(), start, NULL, &next_us, &err));
	must(store_job_queued_stage(store, application, stage, &err));
	store_rollback(store);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
time_looks(const struct conf *conf, long times)
{
	struct objects *objects = NULL;
	struct queue *queue;
	double *us = calloc((size_t)times, sizeof(*us));

	if (!us)
		exit(1);
	must(objects_open(conf->state_directory, false, &objects, &err));
	queue = queue_new(store, objects);
	queue_set_conf(queue, conf);
	for (long i = 0; i < times; i++)
		us[i] = one_look(queue);
	qsort(us, (size_t)times, sizeof(*us), compare);
	printf("%.0f\n", us[times / 2]);
	queue_free(queue);
	objects_close(objects);
	free(us);
}

int
main(int argc, char **argv)
{
	struct conf_problems problems = {0};
	struct conf *conf = NULL;

	if (argc != 4 || atol(argv[3]) < 1) {
		fprintf(stderr, "usage: look CONF fill|time N\n");
		return 2;
	}
	if (conf_load(argv[1], geteuid() == 0 ? CONF_RUN_AS_ROOT : 0, &conf, &problems) < 0) {
		fprintf(stderr, "look: %s cannot be read\n", argv[1]);
		return 1;
	}
	must(store_open(conf->state_directory, &store, &err));
	if (strcmp(argv[2], "fill") == 0)
		fill(atol(argv[3]));
	else
		time_looks(conf, atol(argv[3]));
	store_close(store);
	conf_free(conf);
	conf_problems_clear(&problems);
	return 0;
}
