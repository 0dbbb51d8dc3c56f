/* SPDX-License-Identifier: ISC */
/*
 * Room that is bmd's own. The end of a run has to be recorded also on a disk that somebody else has
 * filled; so the -wal file, which every commit goes into, has blocks beyond its end, allocated and
 * not yet used: nobody can take them, and nothing has to be given back first. As the file grows,
 * they move on before it; once it begins anew, they are there anew. What new requests are refused
 * for is the free room of the disk, long before this is used up.
 *
 * The -wal may be opened beside SQLite: its locks are on the database alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define STEP	   (INT64_C(1) << 20) /* allocated at once, so that it is seldom asked for */
#define SMALL_PART 16		      /* of a small disk no more than this part is taken */
#define LOW_PART   4		      /* low: less than this part of the reserve is free */

int
store_reserve(struct store *store, int64_t bytes, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s-wal", store->path);
	struct statvfs disk;

	if (store->wal_fd < 0)
		store->wal_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (store->wal_fd < 0 || fstatvfs(store->folder_fd, &disk) < 0)
		return err_errno(err, errno, "cannot reserve room for %s", path);
	store->reserve = (int64_t)(disk.f_blocks * disk.f_frsize) / SMALL_PART;
	if (store->reserve > bytes)
		store->reserve = bytes;
	store->reserved = 0;
	store_reserve_keep(store);
	if (store->reserve > 0 && store->reserved == 0)
		return err_errno(err, store->reserve_errno,
				 "no room is reserved for results (disk-reserve): %s", path);
	return 0;
}

/* After each commit: still so much beyond the end of the file? What cannot be had now is asked for
 * again with the next commit. */
void
store_reserve_keep(struct store *store)
{
	struct stat st;
	int64_t want;

	if (store->wal_fd < 0 || store->reserve == 0 || fstat(store->wal_fd, &st) < 0)
		return;
	if (st.st_size < store->wal_bytes) /* it was cut, and what lay beyond with it */
		store->reserved = 0;
	store->wal_bytes = st.st_size;
	if (st.st_size + store->reserve <= store->reserved)
		return;
	want = st.st_size + store->reserve + (store->reserve < STEP ? store->reserve : STEP);
	store->reserve_errno =
	    fallocate(store->wal_fd, FALLOC_FL_KEEP_SIZE, 0, want) < 0 ? errno : 0;
	if (store->reserve_errno == 0)
		store->reserved = want;
}

bool
store_low(const struct store *store, int64_t *ret_free)
{
	struct statvfs disk;

	*ret_free = 0;
	if (fstatvfs(store->folder_fd, &disk) < 0)
		return false;
	*ret_free = (int64_t)(disk.f_bavail * disk.f_frsize);
	return store->reserve > 0 && *ret_free < store->reserve / LOW_PART;
}

int
store_refuse_low(struct store *store, struct err *err)
{
	int64_t left;

	if (!store_low(store, &left))
		return 0;
	(void)err_set(err, ERR_NO_SPACE,
		      "no space for new requests: the %lld bytes that are left on the disk of %s "
		      "are kept for the results of runs; "
		      "make room, then ask again",
		      (long long)left, store->path);
	return -ENOSPC;
}

void
store_usage(struct store *store, struct store_usage *ret)
{
	struct statvfs disk;

	*ret = (struct store_usage){.wal_bytes = store->wal_bytes,
				    .reserved_bytes = store->reserved,
				    .reserve_bytes = store->reserve,
				    .audit_rows = store->audit.id};
	if (fstatvfs(store->folder_fd, &disk) == 0) {
		ret->disk_bytes = (int64_t)(disk.f_blocks * disk.f_frsize);
		ret->free_bytes = (int64_t)(disk.f_bavail * disk.f_frsize);
	}
	(void)store_number_pragma(store, "page_count", &ret->database_bytes);
	ret->database_bytes *= 4096;
}
