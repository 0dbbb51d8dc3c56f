/* SPDX-License-Identifier: ISC */
/*
 * The time of a request: a moment, and the text that the client read it from, which has to mean the
 * same here; else the clocks or zones of the two differ, and nobody knows what is meant.
 */
#include <stdlib.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define CLOCK_SLACK_US (60 * WHEN_SECOND) /* between the client's reading of a time and ours */

/* Is AT what TEXT means, now or when the client read it? */
static int
check_text(const struct queue_when *when, const char *zone, int64_t now_us, struct when *ret,
	   struct err *err)
{
	_cleanup_err_ struct err ignored = ERR_INIT;
	struct when before;
	bool now_good, before_good;
	/* "+1d" counts from a moment, which was the client's. */
	int64_t slack_us = when->text[0] == '+' ? CLOCK_SLACK_US : 0;

	now_good = when_parse(when->text, now_us, zone, ret, &ignored) == 0;
	if (now_good && llabs(ret->at_us - when->at_us) <= slack_us)
		return 0;
	before_good = when_parse(when->text, now_us - CLOCK_SLACK_US, zone, &before, NULL) == 0;
	if (before_good && before.at_us == when->at_us) {
		*ret = before;
		return 0;
	}
	if (!now_good)
		return queue_bad_parameter(err, "text",
					   err_set(err, ERR_INVALID_PARAMETER,
						   "the time \"%s\" is not understood: %s",
						   when->text, ignored.text));
	return queue_bad_parameter(
	    err, "at",
	    err_set(err, ERR_INVALID_PARAMETER,
		    "\"%s\" is %s here, but the request says %s: compare the "
		    "clocks and zones of client and server",
		    when->text, when_local(ret->at_us, ret->zone).s,
		    when_local(when->at_us, ret->zone).s));
}

static int
set_at(struct job *job, const struct queue_when *when, int64_t now_us, struct err *err)
{
	const char *zone = when->zone ? when->zone : "UTC";
	struct when read = {.at_us = when->at_us};
	int64_t slack = when->text ? CLOCK_SLACK_US : WHEN_SECOND;
	int r;

	if (!when_zone_valid(zone))
		return queue_bad_parameter(
		    err, "zone",
		    err_set(err, ERR_INVALID_PARAMETER,
			    "there is no zone %s: take UTC or a name such as Europe/Berlin", zone));
	(void)snprintf(read.zone, sizeof(read.zone), "%s", zone);
	if (when->text && !names_text(when->text, WHEN_TEXT_MAX, false))
		return queue_bad_parameter(err, "text",
					   err_set(err, ERR_INVALID_PARAMETER,
						   "the text of the time is too long or no text"));
	r = when->text ? check_text(when, zone, now_us, &read, err) : 0;
	if (r < 0)
		return r;
	if (when->at_us <= now_us - slack) {
		r = err_set(err, ERR_BAD_TIME, "%s is in the past (%s): take a later time or --now",
			    when_local(when->at_us, read.zone).s,
			    when_distance(when->at_us, now_us).s);
		err_field(err, "text", when->text ? json_string(when->text) : json_null());
		return r;
	}
	job->due_us = when->at_us;
	job->wall_s = read.wall_s;
	job->due_text = xstrdup(when->text);
	(void)snprintf(job->zone, sizeof(job->zone), "%s", read.zone);
	if ((when->relative || read.relative) && when->boot) {
		(void)snprintf(job->boot, sizeof(job->boot), "%s", when->boot);
		job->boot_due_us = when->boot_now_us + (when->at_us - now_us);
	}
	return 0;
}

int
queue_set_when(struct job *job, const struct queue_when *when, int64_t now_us, struct err *err)
{
	free(job->due_text);
	job->due_text = NULL;
	job->zone[0] = job->boot[0] = '\0';
	job->boot_due_us = job->wall_s = 0;
	job->timed = !when->now;
	job->due_us = now_us;
	return when->now ? 0 : set_at(job, when, now_us, err);
}
