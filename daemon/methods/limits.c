/* SPDX-License-Identifier: ISC */
/* How near bmd's limits are. Cheap enough for each status: nothing is counted that is not counted
 * anyway, but the logs of a few runs. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/json.h"
#include "common/runlog.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"
#include "daemon/notices.h"

#define NEAR_PERCENT 80
/* four times what a checkpoint leaves: a reader or a disk keeps it from beginning anew */
#define WAL_NEAR (INT64_C(64) << 20)
#define RESERVES 4  /* free room that is near: so many times the reserve */
#define LOGS_MAX 16 /* runs whose logs are looked at */

/* MOST 0: there is no limit. */
static void
add(json_t *limits, const char *name, int64_t used, int64_t most, bool near, const char *text)
{
	json_array_append_new(
	    limits, json_pack("{s:s, s:I, s:o, s:b, s:s}", "name", name, "used", (json_int_t)used,
			      "most", most > 0 ? json_integer((json_int_t)most) : json_null(),
			      "near", near, "text", text));
}

static void
add_count(json_t *limits, const char *name, int64_t used, int64_t most, const char *text)
{
	add(limits, name, used, most, most > 0 && used * 100 >= most * NEAR_PERCENT, text);
}

/* The lowest number that is free: there are at least so many. */
static int64_t
descriptors(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? INT64_MAX / 100 : fd;
}

static void
add_process(struct request *request, json_t *limits)
{
	struct methods *methods = request->methods;
	struct rlimit files = {.rlim_cur = 1024};

	(void)getrlimit(RLIMIT_NOFILE, &files);
	add_count(limits, "descriptors", descriptors(), (int64_t)files.rlim_cur,
		  "open files of bmd: LimitNOFILE= of bmd.service");
	if (methods->clients)
		add_count(
		    limits, "connections", (int64_t)control_clients(methods->clients),
		    CONTROL_CLIENTS,
		    "connections to bmd; one user may have fewer, and some are kept for root");
	add_count(limits, "uploads", (int64_t)sched_imports(methods->sched), SCHED_IMPORTS_MAX,
		  "uploads at once");
}

static void
add_store(struct request *request, json_t *limits)
{
	struct store_usage usage;

	store_usage(request->methods->store, &usage);
	add(limits, "wal", usage.wal_bytes, 0, usage.wal_bytes >= WAL_NEAR,
	    "bytes of bmd.db-wal; it begins anew after 16 MiB");
	add(limits, "reserve", usage.reserved_bytes, 0,
	    usage.reserve_bytes > 0 && usage.reserved_bytes < usage.wal_bytes + usage.reserve_bytes,
	    "bytes on disk for bmd.db-wal, used or not: disk-reserve");
	add(limits, "disk", usage.disk_bytes - usage.free_bytes, usage.disk_bytes,
	    usage.free_bytes < RESERVES * usage.reserve_bytes,
	    "bytes of the disk of the state directory; near its end changes are refused");
	add(limits, "database", usage.database_bytes, 0, false,
	    "bytes of bmd.db: jobs that are over are kept as keep-jobs says, the audit as "
	    "keep-audit");
	add(limits, "audit", usage.audit_rows, 0, false, "rows of the audit");
}

/* The largest of those that run now. It is no danger: what is older makes room. */
static int64_t
largest_log(const struct request *request, const json_t *stages)
{
	const char *directory = queue_conf(request->methods->queue)->run_directory;
	int64_t largest = 0;
	const json_t *stage;
	int n = 0;
	size_t i;

	json_array_foreach (stages, i, stage) {
		int64_t job = json_get_int(stage, "running", 0),
			bytes = job > 0 && n++ < LOGS_MAX ? runlog_kept(directory, job) : 0;

		if (bytes > largest)
			largest = bytes;
	}
	return largest;
}

/* What waits in the outbox and what recurs: of the database, as long as a thing is small. */
static void
add_rows(struct request *request, json_t *limits)
{
	struct store_notice_counts notices = {0};
	int64_t schedules = 0;

	(void)store_notice_count(request->methods->store, request->now_us, &notices, NULL);
	(void)store_schedule_count(request->methods->store, &schedules, NULL);
	add_count(limits, "notices", notices.waiting, NOTICES_WAITING_MAX,
		  "notices that wait; beyond it the oldest are given up");
	add_count(limits, "schedules", schedules, QUEUE_SCHEDULES_MAX, "schedules");
}

json_t *
request_limits(struct request *request, const json_t *stages, int64_t waiting, int64_t running)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	json_t *limits = json_array();

	add_process(request, limits);
	add_count(limits, "waiting", waiting, conf->max_waiting, "jobs that wait: max-waiting");
	/* As many as may run at once do so often. */
	add(limits, "running", running, conf->max_running, false, "jobs that run: max-running");
	add(limits, "log", largest_log(request, stages),
	    RUNLOG_HEAD + (int64_t)RUNLOG_SEGMENT * RUNLOG_SEGMENTS, false,
	    "bytes of the largest output of a run that goes on; what is older makes room");
	add_rows(request, limits);
	add_store(request, limits);
	return limits;
}
