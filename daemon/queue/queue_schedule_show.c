/* SPDX-License-Identifier: ISC */
/*
 * A schedule as JSON: what was asked for, its next occurrence, the job that waits, and the last.
 */
#include "common/time/calendar.h"
#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

static json_t *
paused_json(const struct store_schedule *schedule)
{
	if (!schedule->paused_by)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "by", schedule->paused_by, "at",
			 json_time(schedule->paused_us), "reason",
			 json_text(schedule->pause_reason));
}

/* {job, state, due, finished, message}; null for job 0. */
static json_t *
job_json(struct queue *queue, int64_t id)
{
	struct job job;
	json_t *object;

	if (id == 0 || store_job_get(queue->store, id, &job, NULL) < 0)
		return json_null();
	object = json_pack("{s:I, s:s, s:o, s:o, s:o}", "job", (json_int_t)job.id, "state",
			   job_state_shown(job.state), "due", json_time(job.due_us), "finished",
			   json_time(job.finished_us), "message",
			   json_text(job.hold_reason && job.state == JOB_HELD ? job.hold_reason
									      : job.message));
	job_clear(&job);
	return object;
}

/* When it comes next, and what is to be known of that time. */
static void
add_next(struct queue *queue, const struct store_schedule *schedule, int64_t waiting,
	 int64_t now_us, json_t *object)
{
	char zone[WHEN_ZONE_MAX], note[WHEN_NOTE_MAX] = "";
	struct calendar calendar;
	struct job job;
	int64_t next_us = 0, again_us;
	int passed;

	if (waiting > 0 && store_job_get(queue->store, waiting, &job, NULL) == 0) {
		next_us = job.due_us;
		job_clear(&job);
	} else if (!schedule->paused_by &&
		   !queue_schedule_due(schedule, now_us, zone, &next_us, &passed)) {
		next_us = 0;
	}
	if (calendar_parse(schedule->calendar, &calendar, NULL) == 0 && next_us > 0 &&
	    (calendar_next(&calendar, next_us - 1, schedule->zone, &again_us, note) < 0 ||
	     again_us != next_us))
		note[0] = '\0'; /* moved by hand */
	(void)json_object_set_new(object, "next", json_time(next_us));
	(void)json_object_set_new(object, "note", json_text(note[0] ? note : NULL));
}

json_t *
queue_schedule_json(struct queue *queue, const struct store_schedule *schedule, int64_t now_us)
{
	struct calendar calendar;
	bool read = calendar_parse(schedule->calendar, &calendar, NULL) == 0;
	int64_t waiting = 0, last = 0;
	json_t *object;

	(void)store_schedule_waiting(queue->store, schedule->id, 0, &waiting, NULL);
	(void)store_schedule_last(queue->store, schedule->id, &last, NULL);
	object = json_pack(
	    "{s:I, s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:O, s:o, s:s, "
	    "s:o, s:o, s:o}",
	    "id", (json_int_t)schedule->id, "name", json_text(schedule->name), "origin",
	    schedule->name ? "configuration" : "command", "file", json_text(schedule->file), "line",
	    schedule->line > 0 ? json_integer(schedule->line) : json_null(), "application",
	    schedule->application, "stage", schedule->stage, "wanted", schedule->wanted, "calendar",
	    schedule->calendar, "normalized",
	    read ? calendar_print(&calendar).s : schedule->calendar, "zone",
	    read ? queue_schedule_zone(schedule, &calendar) : schedule->zone, "reason",
	    json_text(schedule->reason), "grace_us",
	    schedule->grace_us >= 0 ? json_integer(schedule->grace_us) : json_null(), "if_changed",
	    job_if_changed_name(schedule->if_changed), "variables", schedule->variables, "created",
	    json_time(schedule->created_us), "created_by", schedule->created_by, "paused",
	    paused_json(schedule), "waiting", job_json(queue, waiting), "last",
	    job_json(queue, last));
	add_next(queue, schedule, waiting, now_us, object);
	return object;
}
