/* SPDX-License-Identifier: ISC */
/*
 * When was the last commit? bmd.db.last says it too, written behind each commit and never synced:
 * what it says was on disk before, so it is at most as new as the database, whenever the power
 * fails. A database that is older has lost what it knew last: the end of its -wal rotted, which
 * SQLite takes for not written; or the -wal was removed; or an older copy was put in its place.
 *
 * A commit is told by its time, the highest at which anything was committed, which no clock that is
 * put back lets fall. Only who is told to believe the clock does, and then this falls first.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/store/store_private.h"

static const char magic[8] = "bmdlast1";

struct last {
	char magic[8];
	int64_t at_us;
	uint64_t sum; /* a mark that rotted says nothing */
};

static uint64_t
sum_of(const struct last *last)
{
	return ~(uint64_t)last->at_us * UINT64_C(0x9e3779b97f4a7c15);
}

static char *
path_of(const struct store *store)
{
	return xasprintf("%s.last", store->path);
}

/* One block, written over in its place: it needs no room after the first time. */
static int
write_mark(struct store *store, int64_t at_us)
{
	struct last last = {.at_us = at_us};

	memcpy(last.magic, magic, sizeof(magic));
	last.sum = sum_of(&last);
	if (pwrite(store->last_fd, &last, sizeof(last), 0) != sizeof(last))
		return -EIO;
	store->last_us = at_us;
	return 0;
}

void
store_last_look(struct store *store)
{
	_cleanup_free_ char *path = path_of(store);
	struct when_text at;
	struct last last;

	store->last_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->last_fd < 0) {
		store_note(store, "the end of the database is not watched: cannot open %s: %s",
			   path, strerror(errno));
		return;
	}
	if (pread(store->last_fd, &last, sizeof(last), 0) != sizeof(last) ||
	    memcmp(last.magic, magic, sizeof(magic)) != 0 || last.sum != sum_of(&last) ||
	    last.at_us <= store_highest(store) || store->restored || store->lost_commits > 0)
		return;
	store->lost_commits = 1;
	at = when_utc(last.at_us);
	store_note(store,
		   "%s is older than its last commit, of %s: its -wal changed on disk or was "
		   "removed, or an "
		   "older copy was put in its place",
		   store->path, at.s);
}

/* What cannot be written is what was there before: less is known, and nothing is wrong. */
void
store_last_keep(struct store *store)
{
	if (store->last_fd >= 0 && store->last_us != store_highest(store))
		(void)write_mark(store, store_highest(store));
}

int
store_last_lower(struct store *store, int64_t at_us, struct err *err)
{
	if (store->last_fd < 0 || at_us >= store_highest(store))
		return 0;
	if (write_mark(store, at_us) < 0 || fdatasync(store->last_fd) < 0)
		return err_errno(err, errno, "cannot write %s.last", store->path);
	return 0;
}

void
store_last_forget(const struct store *store)
{
	_cleanup_free_ char *path = path_of(store);

	(void)unlink(path);
}
