/* SPDX-License-Identifier: ISC */
/*
 * Clocks that change: a new tz database may put 02:00 of a place at another instant. A job that was
 * given as that wall time moves with it, and so does the occurrence of a schedule; one that was
 * given as an instant (with an offset, in UTC, as a span) does not. Which zones are concerned tells
 * the digest of their files, which is kept beside the jobs.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/time/calendar.h"
#include "common/digest.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "common/time/zone.h"
#include "daemon/queue/queue_private.h"

#define FILE_MAX (1024 * 1024) /* bytes; the largest are 4 KiB */
#define BATCH	 1000	       /* jobs in one call */

/* "" for a zone whose file cannot be read. */
static void
zone_digest(const char *zone, char ret_digest[DIGEST_SIZE])
{
	_cleanup_free_ char *path = zone_path(zone);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	struct digest *digest;
	char buffer[4096];
	size_t all = 0;
	ssize_t n = 0;

	ret_digest[0] = '\0';
	/* Asked first: what the C library has of an older file is forgotten then. */
	if (fd < 0 || !zone_valid(zone))
		return;
	digest = digest_new();
	while (all < FILE_MAX && (n = read(fd, buffer, sizeof(buffer))) > 0) {
		digest_add(digest, buffer, (size_t)n);
		all += (size_t)n;
	}
	digest_end(digest, ret_digest);
	if (n < 0)
		ret_digest[0] = '\0';
}

int
queue_zone_note(struct queue *queue, const struct job *job, struct err *err)
{
	char digest[DIGEST_SIZE];
	int r;

	if ((job->wall_s == 0 && job->schedule == 0) || strcmp(job->zone, "UTC") == 0 ||
	    !job->zone[0])
		return 0;
	r = store_zone_get(queue->store, job->zone, digest, err);
	if (r != 0)
		return r < 0 ? r : 0;
	zone_digest(job->zone, digest);
	return store_zone_put(queue->store, job->zone, digest, err);
}

/* ---- one job ---- */

/* Where the clocks show WALL_S now; DUE_US itself if that is still one of the instants. */
static int64_t
instant_of(const struct job *job, int64_t now_us)
{
	struct zone_instants instants = zone_instants(job->zone, job->wall_s);
	int64_t second = zone_floor(job->due_us, WHEN_SECOND),
		fraction_us = job->due_us - second * WHEN_SECOND;
	int n = instants.n ? instants.n : 1, take = 0;

	for (int i = 0; i < n; i++)
		if (instants.utc_s[i] == second)
			return job->due_us;
	while (take + 1 < n && instants.utc_s[take] * WHEN_SECOND + fraction_us < now_us)
		take++;
	return instants.utc_s[take] * WHEN_SECOND + fraction_us;
}

/* The occurrence that JOB stands for, by the clocks of now. */
static int
occurrence_of(struct queue *queue, const struct job *job, int64_t *ret_us, struct err *err)
{
	_cleanup_(store_schedule_clear) struct store_schedule schedule = {0};
	_cleanup_err_ struct err missing = ERR_INIT;
	struct calendar calendar;
	int r = store_schedule_get(queue->store, job->schedule, &schedule, &missing);

	if (r < 0 && r != -ENOENT)
		return err_set(err, missing.code, "%s", missing.text);
	*ret_us = job->due_us;
	if (r == 0 && calendar_parse(schedule.calendar, &calendar, NULL) == 0)
		(void)calendar_next(&calendar, schedule.after_us, schedule.zone, ret_us, NULL);
	return 0;
}

static int
say(struct queue *queue, const struct job *job, int64_t now_us, struct err *err)
{
	struct store_audit row = {
	    .at_us = now_us,
	    .uid = geteuid(),
	    .who = "bmd",
	    .what = "tz database",
	    .application = job->application,
	    .stage = job->stage,
	    .job = job->id,
	    .text = job->message,
	};

	queue_tell(queue, EVENT_NOTED, job, "%s", job->message);
	return store_audit(queue->store, &row, err);
}

static int
move(struct queue *queue, struct job *job, int64_t to_us, int64_t now_us, struct err *err)
{
	int64_t from_us = job->due_us;
	int r;

	job->due_us = to_us;
	if (job->occurrence_us == from_us)
		job->occurrence_us = to_us;
	if (job->grace_from_us == from_us)
		job->grace_from_us = to_us;
	free(job->message);
	job->message =
	    xasprintf("moved from %s to %s, because the tz database has other clocks for "
		      "%s now",
		      when_utc(from_us).s, when_local(to_us, job->zone).s, job->zone);
	r = store_job_update(queue->store, job, job->state, NULL, err);
	return r < 0 ? r : say(queue, job, now_us, err);
}

/* ---- all of them ---- */

struct checking {
	struct queue *queue;
	int64_t now_us;
	int n;
	struct err *err;
};

static int
check_job(const struct job *row, void *arg)
{
	struct checking *checking = arg;
	struct queue *queue = checking->queue;
	int64_t to_us = row->due_us;
	struct job job;
	int r = 0;

	checking->n++;
	queue->walk.due_us = row->due_us;
	queue->walk.id = row->id;
	if (!json_object_get(queue->walk.zones, row->zone) || !zone_valid(row->zone))
		return 0;
	if (row->state == JOB_HELD && row->due_us <= checking->now_us)
		return 0; /* was due, whatever the clocks say now */
	if (row->wall_s != 0)
		to_us = instant_of(row, checking->now_us);
	else if (row->schedule > 0 && row->due_us == row->occurrence_us)
		r = occurrence_of(queue, row, &to_us, checking->err);
	if (r < 0 || to_us == row->due_us)
		return r;
	r = store_job_get(queue->store, row->id, &job, checking->err);
	if (r < 0)
		return r;
	r = move(queue, &job, to_us, checking->now_us, checking->err);
	job_clear(&job);
	return r;
}

static int
note_changed(const char *zone, const char *noted, void *arg)
{
	struct queue *queue = arg;
	char digest[DIGEST_SIZE];

	zone_digest(zone, digest);
	if (strcmp(digest, noted) == 0)
		return 0;
	if (!digest[0])
		queue_tell(
		    queue, EVENT_NOTED, NULL,
		    "the tz database knows no zone %s any more: jobs keep the times that they have",
		    zone);
	else
		queue_tell(queue, EVENT_NOTED, NULL, "the tz database has changed for %s", zone);
	(void)json_object_set_new(queue->walk.zones, zone, json_string(digest));
	return 0;
}

static int
begin(struct queue *queue, struct err *err)
{
	queue->walk = (struct queue_walk){
	    .zones = json_object(), .state = JOB_SCHEDULED, .due_us = INT64_MIN};
	return store_zone_each(queue->store, note_changed, queue, err);
}

static int
finish(struct queue *queue, struct err *err)
{
	const char *zone;
	json_t *digest;
	int r = 0;

	json_object_foreach (queue->walk.zones, zone, digest)
		if (r == 0)
			r = store_zone_put(queue->store, zone, json_string_value(digest), err);
	json_decref(queue->walk.zones);
	queue->walk.zones = NULL;
	return r;
}

int
queue_zones(struct queue *queue, int64_t now_us, bool *ret_more, struct err *err)
{
	struct checking checking = {.queue = queue, .now_us = now_us, .err = err};
	int r = queue->walk.zones ? 0 : begin(queue, err);

	if (r == 0 && json_object_size(queue->walk.zones) > 0)
		r = store_job_each_state(queue->store, queue->walk.state, INT64_MAX,
					 queue->walk.due_us, queue->walk.id, BATCH, check_job,
					 &checking, err);
	if (r == 0 && checking.n < BATCH && queue->walk.state == JOB_SCHEDULED &&
	    json_object_size(queue->walk.zones) > 0) {
		queue->walk.state = JOB_HELD;
		queue->walk.due_us = INT64_MIN;
		checking.n = BATCH;
	}
	if (r == 0 && checking.n == BATCH) {
		*ret_more = true;
		return 0;
	}
	if (r == 0)
		r = finish(queue, err);
	if (r < 0) { /* from the beginning, the next time */
		json_decref(queue->walk.zones);
		queue->walk.zones = NULL;
		return r;
	}
	*ret_more = false;
	return 0;
}
