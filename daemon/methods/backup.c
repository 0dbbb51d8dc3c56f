/* SPDX-License-Identifier: ISC */
/*
 * Backup: STATE/backup becomes a whole state folder as of one moment. bmd-import --backup holds the
 * store meanwhile; bmd copies the database, some pages at a time between its other work, and in the
 * turn in which the copy is whole it lists the manifests that belong to it; bmd-import links these
 * and what they name, syncs all, and puts it in the place of the backup before.
 */
#include <inttypes.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/methods/request.h"

#define PAGES	    64	  /* copied at once: less than a millisecond */
#define EVERY_S	    0.001 /* between two such pieces */
#define PROGRESS_US 250000
/* SQLite begins a copy anew after a transaction that was taken back: a full disk */
#define RESTARTS_MAX 100

struct backup {
	struct methods *methods;
	struct control_call *call; /* NULL: its client has gone */
	struct sched_verify *helper;
	struct store_copy *copy;
	ev_timer timer;
	char *folder;
	int64_t time_us; /* of which moment it is; 0: not yet */
	int pages, total, restarts;
	int64_t manifests, objects, bytes, missing, told_us;
	bool deferred; /* backup_step() will be called */
	bool done, more;
	struct err failure;
};

/* Ends BACKUP, at once or when nobody holds it any more. What is half is removed by the next one.
 */
static void
backup_free(struct backup *backup)
{
	ev_timer_stop(sched_loop(backup->methods->sched), &backup->timer);
	backup->methods->backup = false;
	sched_verify_stop(TAKE(backup->helper));
	store_copy_end(TAKE(backup->copy));
	backup->call = NULL;
	if (backup->deferred)
		return;
	err_clear(&backup->failure);
	free(backup->folder);
	free(backup);
}

static void
backup_gone(void *arg)
{
	backup_free(arg);
}

static void
backup_drained(void *arg)
{
	(void)arg; /* the next progress will be told again */
}

static void
backup_reply(struct backup *backup, bool continues)
{
	control_reply(backup->call,
		      json_pack("{s:s, s:o, s:i, s:i, s:I, s:I, s:I, s:I}", "path", backup->folder,
				"time", json_time(backup->time_us), "pages", backup->pages,
				"total_pages", backup->total, "manifests",
				(json_int_t)backup->manifests, "objects",
				(json_int_t)backup->objects, "bytes", (json_int_t)backup->bytes,
				"missing", (json_int_t)backup->missing),
		      continues);
}

static void
backup_progress(struct backup *backup)
{
	int64_t now_us = clock_now_us();

	if (!backup->more || now_us - backup->told_us < PROGRESS_US ||
	    !control_may_send(backup->call, backup_drained, backup))
		return;
	backup->told_us = now_us;
	backup_reply(backup, true);
}

static void
backup_end(struct backup *backup)
{
	if (backup->done) {
		backup_reply(backup, false);
	} else {
		if (backup->failure.code == ERR_NONE)
			err_set(&backup->failure, ERR_FAILED,
				"no backup was made: bmd-import ended early, see the log of bmd");
		control_error(backup->call, &backup->failure);
	}
	backup_free(backup);
}

static int
send_list(struct backup *backup, struct err *err)
{
	_cleanup_json_ json_t *digests = NULL;
	int r = store_manifests(backup->methods->store, &digests, err);

	if (r >= 0 && sched_collect_keep(backup->helper, digests) < 0)
		r = err_set(err, ERR_FAILED, "%zu manifests are more than one backup can hold",
			    json_array_size(digests));
	return r;
}

/* ---- the database */

/* Outside of transactions: what is not committed may still be undone. */
static void
backup_step(void *arg, const struct err *failure)
{
	struct backup *backup = arg;
	int before, r;

	(void)failure;
	backup->deferred = false;
	if (!backup->call) {
		backup_free(backup);
		return;
	}
	before = backup->pages;
	r = store_copy_step(backup->copy, PAGES, &backup->pages, &backup->total, &backup->failure);
	if (r > 0 && backup->pages < before && ++backup->restarts == RESTARTS_MAX)
		r = err_set(
		    &backup->failure, ERR_FAILED,
		    "no backup was made: changes were taken back all the time, as on a full disk");
	if (r > 0) {
		backup_progress(backup);
		ev_timer_set(&backup->timer, EVERY_S, 0.);
		ev_timer_start(sched_loop(backup->methods->sched), &backup->timer);
		return;
	}
	store_copy_end(TAKE(backup->copy));
	backup->time_us = clock_now_us();
	if (r < 0 || send_list(backup, &backup->failure) < 0)
		backup_end(backup);
}

static void
backup_soon(struct backup *backup)
{
	backup->deferred = true;
	turn_after(backup->methods->turn, backup_step, backup);
}

static void
on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	backup_soon(timer->data);
}

static void
backup_locked(struct backup *backup)
{
	_cleanup_free_ char *path = xasprintf("%s.new/bmd.db.backup", backup->folder);

	if (store_copy_begin(backup->methods->store, path, &backup->copy, &backup->failure) < 0)
		backup_end(backup);
	else
		backup_soon(backup);
}

/* One object of bmd-import --backup (import/backup.h), or NULL at its end. */
static void
backup_line(const json_t *object, void *arg)
{
	struct backup *backup = arg;
	const json_t *done, *counts;

	if (!object) {
		backup_end(backup);
		return;
	}
	if (json_get_bool(object, "locked")) {
		backup_locked(backup);
		return;
	}
	if (err_from_json(object, &backup->failure) == 0)
		return;
	done = json_object_get(object, "done");
	counts = done ? done : json_object_get(object, "progress");
	backup->manifests = json_get_int(counts, "manifests", backup->manifests);
	backup->objects = json_get_int(counts, "objects", backup->objects);
	backup->bytes = json_get_int(counts, "bytes", backup->bytes);
	backup->missing = json_get_int(counts, "missing", backup->missing);
	backup->done |= done != NULL;
	if (!done)
		backup_progress(backup);
}

int
method_Backup(struct request *request, struct err *err)
{
	struct methods *methods = request->methods;
	struct backup *backup;
	int r;

	if (methods->backup)
		return err_set(err, ERR_TOO_MANY,
			       "a backup is being made: ask again when it has ended");
	backup = xcalloc(1, sizeof(*backup));
	*backup = (struct backup){.methods = methods,
				  .call = request->call,
				  .folder = xasprintf("%s/backup",
						      queue_conf(methods->queue)->state_directory),
				  .told_us = request->now_us,
				  .more = request->more};
	ev_timer_init(&backup->timer, on_timer, EVERY_S, 0.);
	backup->timer.data = backup;
	r = sched_backup(methods->sched, backup_line, backup, &backup->helper, err);
	if (r < 0) {
		backup_free(backup);
		return r;
	}
	methods->backup = true;
	control_on_gone(backup->call, backup_gone, backup);
	return 0;
}
