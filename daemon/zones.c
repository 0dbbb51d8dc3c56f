/* SPDX-License-Identifier: ISC */
/*
 * One inotify descriptor over the folders of the tz database; nothing is read of what it says, but
 * that it speaks. A package writes its files one after the other: it is heard out first.
 */
#include "daemon/zones.h"

#include <dirent.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "common/time/zone.h"

#define QUIET_SECONDS 1.0
#define LEVELS	      3 /* America/Argentina/Ushuaia */
#define FOLDERS_MAX   256

struct zones {
	struct ev_loop *loop;
	void (*changed)(void *arg);
	void *arg;
	int inotify;
	ev_io spoke;
	ev_timer quiet;
	int folders;
};

/* The folder and those below. posix/ and right/ hold the same names once more, which nobody reads.
 */
static void
watch(struct zones *zones, const char *folder, int levels)
{
	DIR *dir;
	const struct dirent *entry;

	if (levels == 0 || zones->folders == FOLDERS_MAX ||
	    inotify_add_watch(zones->inotify, folder,
			      IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR) <
		0)
		return;
	zones->folders++;
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *below = NULL;

		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "posix") == 0 ||
		    strcmp(entry->d_name, "right") == 0 || entry->d_type == DT_REG)
			continue;
		below = xasprintf("%s/%s", folder, entry->d_name);
		watch(zones, below, levels - 1);
	}
	if (dir)
		closedir(dir);
}

static void
on_spoke(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct zones *zones = watcher->data;
	char buffer[4096];

	(void)events;
	while (read(zones->inotify, buffer, sizeof(buffer)) > 0)
		;
	ev_timer_again(loop, &zones->quiet);
}

static void
on_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct zones *zones = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	zones->folders = 0;
	watch(zones, zone_folder(), LEVELS); /* folders may be new */
	zones->changed(zones->arg);
}

struct zones *
zones_new(struct ev_loop *loop, void (*changed)(void *arg), void *arg)
{
	struct zones *zones = xcalloc(1, sizeof(*zones));

	*zones = (struct zones){
	    .loop = loop,
	    .changed = changed,
	    .arg = arg,
	    .inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
	};
	ev_timer_init(&zones->quiet, on_quiet, 0., QUIET_SECONDS);
	zones->quiet.data = zones;
	if (zones->inotify < 0)
		return zones;
	ev_io_init(&zones->spoke, on_spoke, zones->inotify, EV_READ);
	zones->spoke.data = zones;
	ev_io_start(loop, &zones->spoke);
	watch(zones, zone_folder(), LEVELS);
	return zones;
}

void
zones_free(struct zones *zones)
{
	if (!zones)
		return;
	ev_timer_stop(zones->loop, &zones->quiet);
	if (zones->inotify >= 0) {
		ev_io_stop(zones->loop, &zones->spoke);
		close(zones->inotify);
	}
	free(zones);
}
