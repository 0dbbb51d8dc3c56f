/* SPDX-License-Identifier: ISC */
/*
 * A run without a connection: what its folder says, and what follows from that. First the verdict,
 * as functions of values.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/runfolder.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/tend/tend_private.h"

#define RECONNECT_LAST 5.0
/* so long a cgroup may take to empty before a human is asked */
#define REMAINS_US  (INT64_C(120) * 1000000)
#define CGROUP_ROOT "/sys/fs/cgroup"

/* ---- the verdict, as functions of values */

enum tend_verdict
tend_judge(const char *run, const char *request_digest, bool told, const struct run_folder *folder)
{
	if (folder->locked)
		return TEND_ALIVE;
	if (folder->has_result) {
		bool ours = strcmp(folder->result.run, run) == 0 &&
			    (!*request_digest ||
			     strcmp(folder->result.request_digest, request_digest) == 0);

		return ours ? TEND_ENDED : TEND_FOREIGN;
	}
	/* A power cut may take one that is not claimed along; somebody else may take any. */
	if (!folder->exists && told)
		return TEND_LOST;
	if (!folder->has_started && !*folder->damage)
		return TEND_NEVER_BEGAN;
	/* A claim that cannot be read has an empty run id: it is a claim all the same, and most
	 * likely this run's. */
	if (*folder->started.run && strcmp(folder->started.run, run) != 0)
		return TEND_FOREIGN;
	return TEND_LOST;
}

/* Is a cgroup without processes, itself and all below? A group that is gone is. */
static bool
cgroup_empty(const char *root, const char *cgroup)
{
	_cleanup_free_ char *path = xasprintf(
	    "%s%s/cgroup.events", strncmp(cgroup, root, strlen(root)) == 0 ? "" : root, cgroup);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[128];

	if (!file)
		return errno == ENOENT || errno == ENODEV;
	while (fgets(line, sizeof(line), file))
		if (strcmp(line, "populated 0\n") == 0)
			return true;
	return false;
}

enum tend_remains
tend_remains(const struct run_started *started, const char *boot, const char *cgroup_root)
{
	/* Of a boot that cannot be told nobody can say that it is another one. */
	if (*started->boot && *boot && strcmp(started->boot, boot) != 0)
		return TEND_NONE_LEFT;
	if (*started->cgroup != '/')
		return TEND_UNKNOWN;
	return cgroup_empty(cgroup_root, started->cgroup) ? TEND_NONE_LEFT : TEND_SOME_LEFT;
}

/* ---- following */

void
tend_drop_pidfd(struct tend *tend)
{
	if (tend->pidfd < 0)
		return;
	ev_io_stop(tend->host->loop, &tend->pid_end);
	close(TAKE_FD(tend->pidfd));
}

static void
on_process_end(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct tend *tend = watcher->data;

	(void)loop, (void)events;
	tend_drop_pidfd(tend);
	if (!tend->channel && tend->phase != ENDING)
		tend_decide(tend);
}

/* Watches the end of a bmd-run that is not our child. */
static void
watch_process(struct tend *tend, int64_t pid)
{
	if (tend->own || tend->pidfd >= 0 || pid <= 0)
		return;
	tend->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (tend->pidfd < 0)
		return;
	ev_io_init(&tend->pid_end, on_process_end, tend->pidfd, EV_READ);
	tend->pid_end.data = tend;
	ev_io_start(tend->host->loop, &tend->pid_end);
}

/* With longer and longer pauses: a bmd-run that lets nobody in, or that drops every connection,
 * must not keep bmd busy. */
void
tend_decide_later(struct tend *tend)
{
	tend->phase = APART;
	tend_wait(tend, tend->reconnect, tend_decide);
	tend->reconnect =
	    tend->reconnect * 2 < RECONNECT_LAST ? tend->reconnect * 2 : RECONNECT_LAST;
}

/* The number of the last event that is in the database; 0: none, or it cannot be read now. */
static int64_t
recorded_events(struct tend *tend)
{
	struct job job = {0};
	int64_t seq = 0;

	if (store_job_get(queue_store(tend->host->queue), tend->job, &job, NULL) >= 0)
		seq = job.event_seq;
	job_clear(&job);
	return seq;
}

/* It leaves by itself, for its connection is closed; one that is stopped, or stuck in the kernel,
 * does not. */
static void
never_told(struct tend *tend)
{
	_cleanup_free_ char *text = NULL;

	if (tend->reconnect < RECONNECT_LAST || tend->problem)
		return;
	text = xasprintf("a bmd-run that was not told to begin still has its run folder %s/%" PRId64
			 ": it begins anew once that one is gone (fuser lock tells which)",
			 tend->host->run_directory, tend->job);
	tend_set_problem(tend, text);
}

/* A bmd-run lives: follow it by JOB/control. One that was never told to go leaves by itself. */
static void
reconnect(struct tend *tend, const struct run_folder *folder)
{
	_cleanup_json_ json_t *follow = NULL;
	struct run_folder again;
	int fd;

	if (folder->has_started)
		watch_process(tend, folder->started.pid);
	/* The pid may have been another's by then: only the lock tells. */
	if (run_folder_look(tend->host->run_directory, tend->job, &again, NULL) == 0 &&
	    !again.locked) {
		tend_wait(tend, 0., tend_decide);
		return;
	}
	fd = folder->has_started ? channel_connect_run(tend->host->run_directory, tend->job)
				 : -ENOENT;
	if (fd < 0) {
		if (!folder->has_started)
			never_told(tend);
		tend_decide_later(tend);
		return;
	}
	tend->channel = channel_new(tend->host->loop, fd, tend_on_message, tend_on_closed, tend);
	tend->phase = GOING;
	follow = run_message("follow");
	json_object_set_new(follow, "after", json_integer((json_int_t)recorded_events(tend)));
	channel_send(tend->channel, follow);
	tend_send_cancel(tend);
	tend->unheard = true;
	if (!tend->followed)
		log_info("job %" PRId64 ": following its run, which went on without bmd",
			 tend->job);
	tend->followed = true;
	/* Should it be silent for ever, its end is still seen: by its process, or by looking. */
	if (tend->pidfd < 0 && !tend->own)
		tend_wait(tend, RECONNECT_LAST, tend_decide);
}

static char *
lost_text(const struct tend *tend, const struct run_folder *folder)
{
	char how[64] = "";

	if (*folder->damage)
		return xasprintf("its result, in the run folder %s/%" PRId64
				 ", is damaged (%s): nobody knows how it ended",
				 tend->host->run_directory, tend->job, folder->damage);
	if (!folder->exists)
		return xasprintf("its run folder %s/%" PRId64
				 " was removed meanwhile: nobody knows how far the run came%s",
				 tend->host->run_directory, tend->job,
				 tend->occupied ? ", and its processes may still be there: look, "
						  "then bmctl settle"
						: "");
	if (tend->swept && WIFSIGNALED(tend->status))
		snprintf(how, sizeof(how), " (signal %d)", WTERMSIG(tend->status));
	else if (tend->swept && WIFEXITED(tend->status))
		snprintf(how, sizeof(how), " (exit code %d)", WEXITSTATUS(tend->status));
	return xasprintf("bmd-run ended without a result%s: nobody knows how far the run came%s",
			 how,
			 tend->occupied
			     ? ", and its processes may still be there: look, then bmctl settle"
			     : "");
}

/* Claimed, dead, no result. The stage is free only when nothing of the run can be there: a result,
 * also a damaged one, is written behind that. */
static void
lost(struct tend *tend, const struct run_folder *folder)
{
	_cleanup_free_ char *text = NULL;
	enum tend_remains remains = tend_remains(&folder->started, tend->host->boot, CGROUP_ROOT);
	int64_t now_us = clock_monotonic_us();

	if (tend->own && tend->pid && !tend->swept) {
		tend->phase = APART; /* tend_swept() will come */
		return;
	}
	if ((tend->own && tend->swept) || *folder->damage)
		remains = TEND_NONE_LEFT;
	if (remains == TEND_SOME_LEFT && !tend->remains_since_us)
		tend->remains_since_us = now_us;
	if (remains == TEND_SOME_LEFT && now_us - tend->remains_since_us < REMAINS_US) {
		tend_decide_later(tend);
		return;
	}
	tend->occupied = remains != TEND_NONE_LEFT;
	text = lost_text(tend, folder);
	tend_end_with(tend, END_LOST, text);
}

static void
conflict(struct tend *tend)
{
	_cleanup_free_ char *text = xasprintf(
	    "the run folder %s/%" PRId64
	    " holds another run of this job number: was the database restored? look, then move the "
	    "folder away and bmctl release %" PRId64,
	    tend->host->run_directory, tend->job, tend->job);

	tend_end_with(tend, END_CONFLICT, text);
}

/* No folder is no proof here: the run may go on in another one. */
static void
not_here(struct tend *tend)
{
	const char *directory = tend->host->run_directory;
	_cleanup_free_ char *text = xasprintf(
	    "its run folder is not in %s, which is not the run directory that it began in: "
	    "set run-directory back or mount it, and restart bmd; is it gone for good, "
	    "mkdir %s/%" PRId64 " && touch %s/%" PRId64 "/started ends the job as lost",
	    directory, directory, tend->job, directory, tend->job);

	tend_set_problem(tend, text);
	tend_wait(tend, TEND_AGAIN_SECONDS, tend_decide);
}

/* The rules after a crash, and after any broken connection. */
void
tend_decide(struct tend *tend)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct run_folder folder;

	tend_wait_no_more(tend);
	tend_drop_channel(tend);
	tend->phase = APART;
	if (run_folder_look(tend->host->run_directory, tend->job, &folder, &err) < 0) {
		/* Never "absent": without the folder nobody knows. */
		tend_set_problem(tend, err.text);
		tend_wait(tend, TEND_AGAIN_SECONDS, tend_decide);
		return;
	}
	if (tend->elsewhere && !folder.exists) {
		not_here(tend);
		return;
	}
	if (!folder.locked || folder.has_started)
		tend_set_problem(tend, NULL);
	failpoint("decide");
	switch (tend_judge(tend->run, tend->request_digest, tend->told, &folder)) {
	case TEND_ALIVE:
		reconnect(tend, &folder);
		return;
	case TEND_ENDED:
		tend_ended(tend, &folder.result);
		return;
	case TEND_NEVER_BEGAN:
		tend_not_started(
		    tend, tend->refusal ? tend->refusal : "bmd-run ended before the first step",
		    tend->refusal && tend->hold);
		return;
	case TEND_FOREIGN:
		conflict(tend);
		return;
	case TEND_LOST:
		lost(tend, &folder);
		return;
	}
}
