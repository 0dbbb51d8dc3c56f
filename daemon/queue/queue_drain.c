/* SPDX-License-Identifier: ISC */
/*
 * A drained queue accepts requests, moves what is due and starts nothing. That is kept in memory
 * alone: a restart, whatever its cause, lifts it, so that nobody finds a bmd after months that
 * somebody drained before an upgrade.
 */
#include <inttypes.h>

#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

bool
queue_drained(const struct queue *queue)
{
	return queue->drain.since_us != 0;
}

void
queue_drain(struct queue *queue, const char *reason, const struct queue_who *who, int64_t now_us)
{
	if (queue_drained(queue))
		return;
	queue->drain.since_us = now_us;
	(void)snprintf(queue->drain.by, sizeof(queue->drain.by), "%s", who->name);
	queue->drain.reason = reason ? xstrdup(reason) : NULL;
	queue_tell(
	    queue, EVENT_DRAINED, NULL,
	    "drained by %s%s%s: nothing starts until bmd is restarted (or bmctl drain --undo)",
	    who->name, reason ? ": " : "", reason ? reason : "");
}

void
queue_undrain(struct queue *queue, const struct queue_who *who)
{
	if (!queue_drained(queue))
		return;
	free(queue->drain.reason);
	queue->drain = (struct queue_drain){0};
	queue_tell(queue, EVENT_DRAINED, NULL, "no longer drained, by %s: what is due starts again",
		   who->name);
}

json_t *
queue_drain_shown(struct queue *queue, const char *by, int64_t since_us, const char *reason)
{
	int64_t left = 0;

	(void)store_job_active_count(queue->store, &left, NULL);
	return json_pack("{s:s, s:o, s:o, s:I}", "by", by, "since", json_time(since_us), "reason",
			 json_text(reason), "left", (json_int_t)left);
}

json_t *
queue_drain_json(struct queue *queue)
{
	if (!queue_drained(queue))
		return json_null();
	return queue_drain_shown(queue, queue->drain.by, queue->drain.since_us,
				 queue->drain.reason);
}

char *
queue_drain_text(const struct queue *queue, int64_t now_us)
{
	const struct queue_drain *drain = &queue->drain;

	return xasprintf("bmd starts nothing until it is restarted: drained by %s %s%s%s (bmctl "
			 "drain --undo)",
			 drain->by, when_distance(drain->since_us, now_us).s,
			 drain->reason ? ": " : "", drain->reason ? drain->reason : "");
}
