/* SPDX-License-Identifier: ISC */
/*
 * Stamps: what is remembered of files that were seen to hold what they should, where the file
 * system keeps the times that this stands on.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "artifact/files_private.h"
#include "common/xalloc.h"

#define SETTLE_MS 50 /* to wait at most until stamps are settled */
#define SECOND_NS INT64_C(1000000000)

static int64_t
ns_of(struct timespec time)
{
	return time.tv_sec * SECOND_NS + time.tv_nsec;
}

int64_t
files_tick_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return ns_of(now);
}

bool
files_settled(int64_t changed_ns, int64_t now_ns)
{
	/* A file system that knows only whole seconds. */
	if (changed_ns % SECOND_NS == 0)
		return changed_ns / SECOND_NS + 2 <= now_ns / SECOND_NS;
	return changed_ns < now_ns;
}

/*
 * File systems of this machine that change an inode's change time with each write, one through a
 * mapping too once what was written before it is on disk. A network's or a user's file system may
 * say what it likes, and tmpfs does not see writes through a mapping.
 */
static bool
keeps_times(int fd)
{
	static const unsigned long types[] = {0xef53 /* ext4 */,      0x58465342 /* xfs */,
					      0x9123683e /* btrfs */, 0xf2f52010 /* f2fs */,
					      0x2fc12fc1 /* zfs */,   0xca451a4e /* bcachefs */};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((unsigned long)fs.f_type == types[i])
			return true;
	return false;
}

struct files_stamp
files_stamp_of(const struct stat *st)
{
	return (struct files_stamp){st->st_ino, ns_of(st->st_mtim), ns_of(st->st_ctim)};
}

bool
files_stamp_equal(const struct files_stamp *a, const struct files_stamp *b)
{
	return a->changed_ns != 0 && a->changed_ns == b->changed_ns &&
	       a->modified_ns == b->modified_ns && a->inode == b->inode;
}

bool
files_stamps_begin(struct files_stamps *stamps, int root, bool forget)
{
	struct stat st;
	bool usable = fstat(root, &st) == 0 && keeps_times(root);

	if (forget || !usable || stamps->device != st.st_dev)
		memset(stamps->v, 0, stamps->n * sizeof(stamps->v[0]));
	stamps->device = usable ? st.st_dev : 0;
	return usable;
}

void
files_stamps_settle(struct files_stamps *stamps)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	int64_t youngest = 0, now = files_tick_ns();

	for (size_t i = 0; i < stamps->n; i++)
		if (stamps->v[i].changed_ns > youngest)
			youngest = stamps->v[i].changed_ns;
	for (int ms = 0; ms < SETTLE_MS && !files_settled(youngest, now); ms++) {
		nanosleep(&pause, NULL);
		now = files_tick_ns();
	}
	for (size_t i = 0; i < stamps->n; i++)
		if (!files_settled(stamps->v[i].changed_ns, now))
			stamps->v[i] = (struct files_stamp){0};
}
