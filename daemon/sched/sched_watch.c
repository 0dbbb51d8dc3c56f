/* SPDX-License-Identifier: ISC */
/*
 * Those who wait for a job (wait, log -f): called after each commit that changed it, and when its
 * log may have grown, which inotify tells of its run folder.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "daemon/sched/sched_private.h"

#define LOG_SECONDS 0.05 /* a log that grows is looked at so often */

struct sched_watch {
	struct sched_watch *next;
	struct sched *sched;
	int64_t job;
	void (*back)(int64_t job, void *arg);
	void *arg;
	int wd;	   /* inotify, on the run folder; -1: none yet */
	bool due;  /* to be called */
	bool dead; /* unwatched while the list is walked */
};

static void
watch_folder(struct sched_watch *watch)
{
	_cleanup_free_ char *folder = NULL;

	if (watch->wd >= 0 || watch->sched->inotify < 0)
		return;
	folder = xasprintf("%s/%" PRId64, watch->sched->host.run_directory, watch->job);
	watch->wd = inotify_add_watch(watch->sched->inotify, folder,
				      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
}

/* The folder stays watched while another watch has it. */
static void
unwatch_folder(struct sched_watch *watch)
{
	if (watch->wd < 0)
		return;
	for (struct sched_watch *other = watch->sched->watches; other; other = other->next)
		if (other != watch && !other->dead && other->wd == watch->wd)
			return;
	inotify_rm_watch(watch->sched->inotify, watch->wd);
}

static void
sweep_watches(struct sched *sched)
{
	struct sched_watch **link = &sched->watches;

	while (*link) {
		struct sched_watch *watch = *link;

		if (watch->dead) {
			*link = watch->next;
			free(watch);
		} else
			link = &watch->next;
	}
}

/* Calls every watch that is due. A callback may add and end watches. */
static void
call_watches(struct sched *sched)
{
	sched->walking++;
	for (struct sched_watch *watch = sched->watches; watch; watch = watch->next) {
		if (watch->dead || !watch->due)
			continue;
		watch->due = false;
		watch_folder(watch);
		watch->back(watch->job, watch->arg);
	}
	if (--sched->walking == 0)
		sweep_watches(sched);
}

void
sched_wake(struct sched *sched, int64_t job)
{
	bool any = false;

	for (struct sched_watch *watch = sched->watches; watch; watch = watch->next)
		if (job == 0 || watch->job == job)
			any = watch->due = true;
	if (any)
		call_watches(sched);
}

struct sched_watch *
sched_watch(struct sched *sched, int64_t job, void (*back)(int64_t job, void *arg), void *arg)
{
	struct sched_watch *watch = xcalloc(1, sizeof(*watch));

	*watch = (struct sched_watch){
	    .next = sched->watches, .sched = sched, .job = job, .back = back, .arg = arg, .wd = -1};
	sched->watches = watch;
	watch_folder(watch);
	return watch;
}

void
sched_unwatch(struct sched_watch *watch)
{
	if (!watch)
		return;
	watch->dead = true;
	unwatch_folder(watch);
	if (!watch->sched->walking)
		sweep_watches(watch->sched);
}

static void
on_grown_soon(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sched *sched = timer->data;

	(void)loop, (void)events;
	call_watches(sched);
}

/* Logs grow: note whose, and look once in a while rather than at every write. */
static void
on_grown(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct sched *sched = watcher->data;
	char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	(void)events;
	while ((n = read(sched->inotify, buffer, sizeof(buffer))) > 0)
		for (char *p = buffer; p < buffer + n;) {
			struct inotify_event event;

			memcpy(&event, p, sizeof(event));
			for (struct sched_watch *w = sched->watches; w; w = w->next)
				if (w->wd == event.wd || event.mask & IN_Q_OVERFLOW)
					w->due = true;
			p += sizeof(event) + event.len;
		}
	if (!ev_is_active(&sched->grown_soon)) {
		ev_timer_set(&sched->grown_soon, LOG_SECONDS, 0.);
		ev_timer_start(loop, &sched->grown_soon);
	}
}

/* Those who watch a job that was written since the last look; with very many of them, all. */
void
sched_wake_written(struct sched *sched)
{
	int64_t ids[STORE_WRITTEN_MAX];
	const int64_t *written;
	size_t n = store_jobs_written(queue_store(sched->host.queue), &written);

	if (n > STORE_WRITTEN_MAX) {
		sched_wake(sched, 0);
		return;
	}
	/* A watcher may write: the array is the store's only until then. */
	if (n > 0)
		memcpy(ids, written, n * sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		sched_wake(sched, ids[i]);
}

void
sched_watch_begin(struct sched *sched)
{
	ev_init(&sched->grown_soon, on_grown_soon);
	sched->grown_soon.data = sched->grown.data = sched;
	sched->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (sched->inotify < 0)
		return;
	ev_io_init(&sched->grown, on_grown, sched->inotify, EV_READ);
	sched->grown.data = sched;
	ev_io_start(sched->host.loop, &sched->grown);
}

void
sched_watch_end(struct sched *sched)
{
	ev_timer_stop(sched->host.loop, &sched->grown_soon);
	for (struct sched_watch *watch = sched->watches; watch; watch = watch->next)
		watch->dead = true;
	sweep_watches(sched);
	if (sched->inotify < 0)
		return;
	ev_io_stop(sched->host.loop, &sched->grown);
	close(sched->inotify);
}
