/* SPDX-License-Identifier: ISC */
/*
 * A job comes into the queue: there is room for it, it gets its number, and it remembers what is
 * ahead of it.
 */
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

/* Those that stand before (its time, BEFORE_ID). */
static int
ahead_of(struct queue *queue, const struct job *job, int64_t before_id,
	 const struct history *history, json_t **ret_ahead, struct err *err)
{
	_cleanup_json_ json_t *near = NULL, *ahead = json_array();
	size_t i;
	json_t *id;
	int r = store_job_ahead(queue->store, job->application, job->stage, job->due_us, before_id,
				QUEUE_AHEAD_MAX, &near, err);

	if (r < 0)
		return r;
	if (history->busy)
		(void)json_array_append_new(ahead, json_integer(history->running.job));
	json_array_foreach (near, i, id)
		if (json_integer_value(id) != job->id &&
		    !(history->busy && json_integer_value(id) == history->running.job))
			(void)json_array_append(ahead, id);
	*ret_ahead = TAKE(ahead);
	return 0;
}

int
queue_ahead(struct queue *queue, const struct job *job, const struct history *history,
	    json_t **ret_ahead, struct err *err)
{
	return ahead_of(queue, job, job->id, history, ret_ahead, err);
}

/* No list grows without end. OPEN is never less than there are: what ended since it was counted
 * shows when it matters. */
static int
check_room(struct queue *queue, struct err *err)
{
	int64_t counts[JOB_STATE_MAX_];
	int r;

	if (queue->open >= queue->conf->max_waiting) {
		r = store_job_count(queue->store, counts, err);
		if (r < 0)
			return r;
		queue->open = 0;
		for (unsigned i = 0; i < JOB_STATE_MAX_; i++)
			queue->open += counts[i];
	}
	if (queue->open++ >= queue->conf->max_waiting)
		return err_set(err, ERR_TOO_MANY,
			       "%d jobs wait already (max-waiting): cancel some first",
			       queue->conf->max_waiting);
	return 0;
}

int
queue_add(struct queue *queue, struct job *job, const struct history *history, int64_t now_us,
	  struct err *err)
{
	const struct history_entry *live = history_live(history);
	/* Schedules are counted themselves, and of a failed run there is one way back. */
	int r = job->schedule > 0 || job->automatic ? 0 : check_room(queue, err);

	if (r < 0)
		return r;
	job->id = ++queue->highest;
	job->created_us = now_us;
	job->asked_us = queue_asked_us(history, now_us);
	job->answers_uid = job->uid;
	job->grace_from_us = job->due_us;
	job->expected = live ? live->build : (struct build_ref){0};
	/* An occurrence that has passed is looked at as one that is due. */
	job->state = job->due_us > now_us || job->schedule > 0 ? JOB_SCHEDULED : JOB_QUEUED;
	r = ahead_of(queue, job, INT64_MAX, history, &job->ahead, err); /* it is the newest */
	if (r == 0)
		r = queue_zone_note(queue, job, err);
	return r < 0 ? r : store_job_add(queue->store, job, err);
}
