/* SPDX-License-Identifier: ISC */
/*
 * Schedules, and which jobs are theirs. The number of a schedule is never given again: its jobs
 * stay in the history when it is gone.
 */
#include <errno.h>
#include <string.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define FIELDS "id, application, stage, name, file, line, wanted, calendar, zone, reason, grace_us, if_changed," \
	" variables, created_us, created_by, uid, paused_us, paused_by, pause_reason, after_us, done_us"

#define STATEMENTS(X) \
	X(SCHEDULE_ID,	  "UPDATE meta SET value = value + 1 WHERE name = 'last_schedule' RETURNING value") \
	X(SCHEDULE_ADD,	  "INSERT INTO schedules (" FIELDS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12," \
			  " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)")				   \
	X(SCHEDULE_PUT,	  "UPDATE schedules SET application = ?2, stage = ?3, name = ?4, file = ?5, line = ?6, wanted = ?7," \
			  " calendar = ?8, zone = ?9, reason = ?10, grace_us = ?11, if_changed = ?12, variables = ?13," \
			  " created_us = ?14, created_by = ?15, uid = ?16, paused_us = ?17, paused_by = ?18," \
			  " pause_reason = ?19, after_us = ?20, done_us = ?21 WHERE id = ?1")			   \
	X(SCHEDULE_GET,	  "SELECT " FIELDS " FROM schedules WHERE id = ?1")			   \
	X(SCHEDULE_REMOVE, "DELETE FROM schedules WHERE id = ?1")				   \
	X(SCHEDULES,	  "SELECT " FIELDS " FROM schedules WHERE id > ?1 AND coalesce(?2, application) = application" \
			  " ORDER BY id LIMIT ?3")						   \
	X(SCHEDULES_NAMED, "SELECT " FIELDS " FROM schedules WHERE name = ?4 AND coalesce(?2, application) = application" \
			  " AND id > ?1 ORDER BY application, id LIMIT ?3")			   \
	X(SCHEDULE_COUNT, "SELECT count(*) FROM schedules WHERE id > 0")					   \
	X(SCHEDULE_WAITING, "SELECT id FROM jobs WHERE schedule = ?1 AND schedule > 0 AND final = 0 AND state <> 'running'" \
			  " AND id <> ?2 ORDER BY id DESC LIMIT 1")				   \
	X(SCHEDULE_LAST,  "SELECT id FROM jobs WHERE schedule = ?1 AND schedule > 0 AND (final = 1 OR state = 'running')" \
			  " ORDER BY id DESC LIMIT 1")
// clang-format on

STORE_PART(schedule, STATEMENTS)

void
store_schedule_clear(struct store_schedule *schedule)
{
	free(schedule->name);
	free(schedule->file);
	free(schedule->wanted);
	free(schedule->calendar);
	free(schedule->reason);
	free(schedule->paused_by);
	free(schedule->pause_reason);
	json_decref(schedule->variables);
	memset(schedule, 0, sizeof(*schedule));
}

static void
bind(sqlite3_stmt *st, const struct store_schedule *schedule)
{
	store_bind_int(st, 1, schedule->id);
	store_bind_text(st, 2, schedule->application);
	store_bind_text(st, 3, schedule->stage);
	store_bind_text(st, 4, schedule->name);
	store_bind_text(st, 5, schedule->file);
	store_bind_int(st, 6, schedule->line);
	store_bind_text(st, 7, schedule->wanted);
	store_bind_text(st, 8, schedule->calendar);
	store_bind_text(st, 9, schedule->zone);
	store_bind_text(st, 10, schedule->reason);
	store_bind_int(st, 11, schedule->grace_us);
	store_bind_text(st, 12, job_if_changed_name(schedule->if_changed));
	store_bind_map(st, 13, schedule->variables);
	store_bind_int(st, 14, schedule->created_us);
	store_bind_text(st, 15, schedule->created_by);
	store_bind_int(st, 16, schedule->uid);
	store_bind_int(st, 17, schedule->paused_us);
	store_bind_text(st, 18, schedule->paused_by);
	store_bind_text(st, 19, schedule->pause_reason);
	store_bind_int(st, 20, schedule->after_us);
	store_bind_int(st, 21, schedule->done_us);
}

static void
read_schedule(sqlite3_stmt *st, struct store_schedule *ret)
{
	const char *if_changed = (const char *)sqlite3_column_text(st, 11);

	*ret = (struct store_schedule){
	    .id = store_read_int(st, 0),
	    .name = store_read_string(st, 3),
	    .file = store_read_string(st, 4),
	    .line = store_read_int(st, 5),
	    .wanted = store_read_string(st, 6),
	    .calendar = store_read_string(st, 7),
	    .reason = store_read_string(st, 9),
	    .grace_us = store_read_int(st, 10),
	    .variables = store_read_json(st, 12, false),
	    .created_us = store_read_int(st, 13),
	    .uid = store_read_int(st, 15),
	    .paused_us = store_read_int(st, 16),
	    .paused_by = store_read_string(st, 17),
	    .pause_reason = store_read_string(st, 18),
	    .after_us = store_read_int(st, 19),
	    .done_us = store_read_int(st, 20),
	    .if_changed = JOB_RUN,
	};
	store_read_array(st, 1, ret->application, sizeof(ret->application));
	store_read_array(st, 2, ret->stage, sizeof(ret->stage));
	store_read_array(st, 8, ret->zone, sizeof(ret->zone));
	store_read_array(st, 14, ret->created_by, sizeof(ret->created_by));
	if (if_changed)
		(void)job_if_changed_from(if_changed, &ret->if_changed);
}

int
store_schedule_add(struct store *store, struct store_schedule *schedule, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SCHEDULE_ADD);
	int r = store_number(store, statement(store, S_SCHEDULE_ID), 0, &schedule->id, err);

	if (r < 0)
		return r;
	bind(st, schedule);
	return store_run(store, st, err);
}

int
store_schedule_missing(int64_t id, struct err *err)
{
	int r = err_set(err, ERR_NO_SUCH_SCHEDULE, "there is no schedule %lld: bmctl schedule list",
			(long long)id);

	err_field(err, "schedule", json_integer(id));
	return r;
}

int
store_schedule_get(struct store *store, int64_t id, struct store_schedule *ret_schedule,
		   struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SCHEDULE_GET);
	int r;

	store_bind_int(st, 1, id);
	r = store_row(store, st, err);
	if (r <= 0)
		return r < 0 ? r : store_schedule_missing(id, err);
	read_schedule(st, ret_schedule);
	(void)sqlite3_reset(st);
	return 0;
}

int
store_schedule_put(struct store *store, const struct store_schedule *schedule, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SCHEDULE_PUT);

	bind(st, schedule);
	return store_run(store, st, err);
}

int
store_schedule_remove(struct store *store, int64_t id, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SCHEDULE_REMOVE);

	store_bind_int(st, 1, id);
	return store_run(store, st, err);
}

int
store_schedule_each(struct store *store, const char *application, const char *name,
		    int64_t after_id, int limit,
		    int (*back)(const struct store_schedule *schedule, void *arg), void *arg,
		    struct err *err)
{
	sqlite3_stmt *st = statement(store, name ? S_SCHEDULES_NAMED : S_SCHEDULES);
	struct store_schedule *schedules = NULL;
	size_t n = 0, room = 0;
	int r, stop = 0;

	store_bind_int(st, 1, after_id);
	store_bind_text(st, 2, application);
	store_bind_int(st, 3, limit);
	if (name)
		store_bind_text(st, 4, name);
	while ((r = store_row(store, st, err)) == 1) {
		XGROW(schedules, n, room);
		read_schedule(st, &schedules[n++]);
	}
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && stop == 0)
			stop = back(&schedules[i], arg);
		store_schedule_clear(&schedules[i]);
	}
	free(schedules);
	return r < 0 ? r : stop < 0 ? stop : 0;
}

int
store_schedule_count(struct store *store, int64_t *ret_count, struct err *err)
{
	return store_number(store, statement(store, S_SCHEDULE_COUNT), 0, ret_count, err);
}

int
store_schedule_waiting(struct store *store, int64_t id, int64_t except, int64_t *ret_job,
		       struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SCHEDULE_WAITING);

	store_bind_int(st, 1, id);
	store_bind_int(st, 2, except);
	return store_number(store, st, 0, ret_job, err);
}

int
store_schedule_last(struct store *store, int64_t id, int64_t *ret_job, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_SCHEDULE_LAST);

	store_bind_int(st, 1, id);
	return store_number(store, st, 0, ret_job, err);
}
