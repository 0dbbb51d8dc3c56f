/* SPDX-License-Identifier: ISC */
/*
 * The schedules of the configuration: its sections are compared with what the database has of them,
 * at a start and at a reload. A section that is new begins now; one that says something else takes
 * its waiting job back and goes on from where it was, or from now when its times are other ones;
 * one that is gone takes its schedule with it. Whether one is paused is nobody's section: it stays.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/time/calendar.h"
#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

#define PAGE	 256
#define AHEAD_US (INT64_C(86400) * WHEN_SECOND)

static enum job_if_changed
if_changed_of(const struct conf_schedule *section)
{
	switch (section->if_changed) {
	case CONF_CHANGED_HOLD:
		return JOB_HOLD;
	case CONF_CHANGED_SKIP:
		return JOB_SKIP;
	case CONF_CHANGED_RUN:
	default:
		return JOB_RUN;
	}
}

static json_t *
variables_of(const struct conf_schedule *section)
{
	json_t *object = json_object();

	for (size_t i = 0; i < section->variables.n; i++)
		(void)json_object_set_new(object, section->variables.v[i].name,
					  json_string(section->variables.v[i].value));
	return object;
}

/* SECTION as a row; without what only the database knows. */
static void
read_section(const struct conf_application *application, const struct conf_schedule *section,
	     const char *zone, struct store_schedule *ret)
{
	*ret = (struct store_schedule){
	    .name = xstrdup(section->name),
	    .file = xstrdup(application->file),
	    .line = section->line,
	    .wanted = xstrdup(section->build),
	    .calendar = xstrdup(section->on),
	    .reason = section->reason && section->reason[0] ? xstrdup(section->reason) : NULL,
	    .grace_us = section->grace_us > 0 ? section->grace_us : -1,
	    .if_changed = if_changed_of(section),
	    .variables = variables_of(section),
	    .uid = geteuid(),
	    .created_by = "configuration",
	};
	(void)snprintf(ret->application, sizeof(ret->application), "%s", application->name);
	(void)snprintf(ret->stage, sizeof(ret->stage), "%s", section->to);
	(void)snprintf(ret->zone, sizeof(ret->zone), "%s", zone);
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool
same_times(const struct store_schedule *a, const struct store_schedule *b)
{
	struct calendar calendar;

	if (!same_text(a->calendar, b->calendar))
		return false;
	/* The machine's zone counts only where none is written. */
	return strcmp(a->zone, b->zone) == 0 ||
	       (calendar_parse(a->calendar, &calendar, NULL) == 0 && calendar.zone[0]);
}

static bool
same_job(const struct store_schedule *a, const struct store_schedule *b)
{
	return same_times(a, b) && strcmp(a->stage, b->stage) == 0 &&
	       same_text(a->wanted, b->wanted) && same_text(a->reason, b->reason) &&
	       a->grace_us == b->grace_us && a->if_changed == b->if_changed &&
	       json_equal(a->variables, b->variables);
}

struct sections {
	struct queue *queue;
	const struct conf *conf;
	bool whole;
	int64_t now_us;
	const char *zone;
	int64_t last_id;
	int n;
	struct err *err;
};

/* ---- what the database has ---- */

static int
gone(struct sections *sections, const struct store_schedule *row)
{
	struct queue *queue = sections->queue;
	_cleanup_free_ char *why =
	    xasprintf("schedule %s is not in the configuration any more", row->name);
	int64_t job;
	int r = queue_schedule_withdraw(queue, row->id, "configuration", why, sections->now_us,
					&job, sections->err);

	if (r == 0)
		r = store_schedule_remove(queue->store, row->id, sections->err);
	if (r == 0)
		queue_tell(queue, EVENT_NOTED, NULL,
			   "schedule %lld (%s of %s) is gone: it is not in the configuration",
			   (long long)row->id, row->name, row->application);
	return r;
}

/* FRESH takes over what ROW knows besides its section. */
static void
inherit(struct store_schedule *fresh, const struct store_schedule *row)
{
	fresh->id = row->id;
	fresh->created_us = row->created_us;
	fresh->paused_us = row->paused_us;
	fresh->paused_by = xstrdup(row->paused_by);
	fresh->pause_reason = xstrdup(row->pause_reason);
	fresh->after_us = row->after_us;
	fresh->done_us = row->done_us;
}

static int
update(struct sections *sections, const struct store_schedule *row, struct store_schedule *fresh)
{
	struct queue *queue = sections->queue;
	_cleanup_free_ char *why =
	    xasprintf("schedule %s was changed in the configuration", row->name);
	int64_t job;
	int r = 0;

	inherit(fresh, row);
	if (!same_job(row, fresh)) {
		if (!same_times(row, fresh))
			fresh->after_us = sections->now_us;
		r = queue_schedule_withdraw(queue, row->id, "configuration", why, sections->now_us,
					    &job, sections->err);
		queue_tell(queue, EVENT_NOTED, NULL,
			   "schedule %lld (%s of %s) was changed in the configuration",
			   (long long)row->id, row->name, row->application);
	} else if (same_text(row->file, fresh->file) && row->line == fresh->line) {
		return queue_schedule_next(queue, row, NULL, sections->now_us, sections->err);
	}
	if (r == 0)
		r = store_schedule_put(queue->store, fresh, sections->err);
	return r < 0 ? r : queue_schedule_next(queue, fresh, NULL, sections->now_us, sections->err);
}

/* Something ended while the clock was far ahead, and the clock was put back: what lies between
 * would never come. ROW is written anew; where a job of a later time was cancelled or brought
 * forward, that is meant. A clock that was ahead by less than a day repeats nothing. */
static int
put_back(struct sections *sections, struct store_schedule *row)
{
	struct queue *queue = sections->queue;
	int64_t id = 0, occurrence_us = 0, withdrawn;
	struct job last;
	int r;

	if (row->after_us <= sections->now_us + AHEAD_US)
		return 0;
	r = store_schedule_last(queue->store, row->id, &id, sections->err);
	if (r == 0 && id > 0)
		r = store_job_get(queue->store, id, &last, sections->err);
	if (r == 0 && id > 0) {
		occurrence_us = last.occurrence_us;
		job_clear(&last);
	}
	if (r < 0 || occurrence_us >= row->after_us)
		return r;
	queue_tell(queue, EVENT_NOTED, NULL,
		   "schedule %lld (%s to %s) goes on from now: the clock was ahead, at %s",
		   (long long)row->id, row->application, row->stage, when_utc(row->after_us).s);
	if (row->done_us < row->after_us)
		row->done_us = row->after_us;
	row->after_us = sections->now_us;
	r = queue_schedule_withdraw(queue, row->id, "bmd", "the clock was put back",
				    sections->now_us, &withdrawn, sections->err);
	return r < 0 ? r : store_schedule_put(queue->store, row, sections->err);
}

static int
compare(const struct store_schedule *read, void *arg)
{
	struct sections *sections = arg;
	struct store_schedule copy = *read, *row = &copy; /* borrows what it owns */
	const struct conf_application *application;
	const struct conf_schedule *section;
	_cleanup_(store_schedule_clear) struct store_schedule fresh = {0};

	int r;

	sections->n++;
	sections->last_id = row->id;
	r = put_back(sections, row);
	if (r < 0)
		return r;
	if (!row->name)
		return queue_schedule_next(sections->queue, row, NULL, sections->now_us,
					   sections->err);
	application = conf_application(sections->conf, row->application);
	section = application ? conf_schedule(application, row->name) : NULL;
	if (!section)
		return application || sections->whole ? gone(sections, row) : 0;
	read_section(application, section, sections->zone, &fresh);
	return update(sections, row, &fresh);
}

/* ---- what is new ---- */

static int
is_there(const struct store_schedule *row, void *arg)
{
	(void)row;
	*(bool *)arg = true;
	return 1;
}

static int
add_section(struct sections *sections, const struct conf_application *application,
	    const struct conf_schedule *section)
{
	_cleanup_(store_schedule_clear) struct store_schedule fresh = {0};
	struct queue *queue = sections->queue;
	bool there = false;
	int r = store_schedule_each(queue->store, application->name, section->name, 0, 1, is_there,
				    &there, sections->err);

	if (r < 0 || there)
		return r;
	read_section(application, section, sections->zone, &fresh);
	fresh.created_us = fresh.after_us = sections->now_us;
	r = store_schedule_add(queue->store, &fresh, sections->err);
	return r < 0 ? r
		     : queue_schedule_next(queue, &fresh, NULL, sections->now_us, sections->err);
}

int
queue_sections(struct queue *queue, bool whole, int64_t now_us, struct err *err)
{
	const struct conf *conf = queue->conf;
	char zone[WHEN_ZONE_MAX] = "UTC";
	struct sections sections = {
	    .queue = queue,
	    .conf = conf,
	    .whole = whole,
	    .now_us = now_us,
	    .zone = zone,
	    .err = err,
	};
	int r;

	(void)when_zone_local(zone, NULL);
	do {
		sections.n = 0;
		r = store_schedule_each(queue->store, NULL, NULL, sections.last_id, PAGE, compare,
					&sections, err);
	} while (r == 0 && sections.n == PAGE);
	for (size_t i = 0; i < conf->napplications && r == 0; i++)
		for (size_t k = 0; k < conf->applications[i].nschedules && r == 0; k++)
			r = add_section(&sections, &conf->applications[i],
					&conf->applications[i].schedules[k]);
	return r;
}
