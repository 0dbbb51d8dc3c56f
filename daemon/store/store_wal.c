/* SPDX-License-Identifier: ISC */
/*
 * Was the -wal read to its end? SQLite takes its frames until the first whose checksum is wrong,
 * and calls what is behind that not written: right after a power cut, and silently wrong when a bit
 * of it rotted, for then jobs that were accepted are gone. A commit is synced before the next one
 * is begun. So a frame that is wrong, and behind it a commit that is whole, and behind that more of
 * the same generation: that frame was on disk, and changed. Then the database is behind the world,
 * as one that was restored is.
 *
 * Of the very last commit the -wal does not tell whether it rotted or was never written to its end:
 * that is store_last.c's matter.
 *
 * The checksum of a frame goes on from that of the frame before, as it was computed or, should that
 * one be the damaged one, as it stands there. File format: https://www.sqlite.org/fileformat2.html,
 * section 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

#define HEADER	 32
#define FRAME	 24
#define MAGIC	 UINT32_C(0x377f0682) /* the lowest bit: words are big-endian */
#define PAGE_MAX 65536
/* frames that damage in one place may spoil, with those whose sums go on from theirs */
#define BAD_MAX	  8
#define BYTES_MAX (INT64_C(1) << 30) /* a larger one is believed: a start must not take minutes */

struct sum {
	uint32_t a, b;
};

struct wal {
	int fd;
	bool big;
	size_t page;
	unsigned char salts[8];
	unsigned char frame[FRAME + PAGE_MAX];
};

static uint32_t
word(const unsigned char *p, bool big)
{
	return big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		   : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static struct sum
add(struct sum sum, const unsigned char *p, size_t n, bool big)
{
	for (; n >= 8; p += 8, n -= 8) {
		sum.a += word(p, big) + sum.b;
		sum.b += word(p + 4, big) + sum.a;
	}
	return sum;
}

static struct sum
stored(const unsigned char *p)
{
	return (struct sum){word(p, true), word(p + 4, true)};
}

static bool
same(struct sum a, struct sum b)
{
	return a.a == b.a && a.b == b.b;
}

/* 1 and frame I in wal->frame, 0 behind the last whole one. */
static int
read_frame(struct wal *wal, int64_t i)
{
	size_t n = FRAME + wal->page;
	ssize_t got;

	do
		got = pread(wal->fd, wal->frame, n, HEADER + (off_t)(i * (int64_t)n));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n;
}

static struct sum
frame_sum(const struct wal *wal, struct sum before)
{
	return add(add(before, wal->frame, 8, wal->big), wal->frame + FRAME, wal->page, wal->big);
}

/* The header, or what must have stood in it: of a damaged one the salts are those of the first
 * frame. */
static int
open_wal(struct wal *wal, const char *path, size_t page, struct sum *ret_sum,
	 struct sum *ret_computed, bool *ret_whole)
{
	unsigned char head[HEADER];
	struct stat st;

	wal->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (wal->fd < 0)
		return 0;
	if (fstat(wal->fd, &st) < 0 || st.st_size < HEADER + FRAME || st.st_size > BYTES_MAX ||
	    pread(wal->fd, head, HEADER, 0) != HEADER)
		return 0;
	wal->big = word(head, true) & 1;
	*ret_sum = stored(head + 24);
	*ret_computed = add((struct sum){0, 0}, head, 24, wal->big);
	*ret_whole = (word(head, true) & ~UINT32_C(1)) == MAGIC && word(head + 8, true) == page &&
		     same(*ret_sum, *ret_computed);
	wal->page = page;
	if (!*ret_whole) {
		/* The order of bytes is this machine's. */
		wal->big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
		if (!read_frame(wal, 0))
			return 0;
		memcpy(wal->salts, wal->frame + 8, 8);
	} else {
		memcpy(wal->salts, head + 16, 8);
	}
	return 1;
}

/* Walks the frames of this generation: how many commits are whole, behind one that is not, and
 * followed by more? */
static int64_t
lost_commits(struct wal *wal, struct sum sum, struct sum computed, bool whole)
{
	struct sum own, other;
	int64_t commits = 0, settled = 0;
	bool bad = !whole;
	int in_a_row = 0; /* that are not good */

	for (int64_t i = 0; read_frame(wal, i); i++) {
		bool salts = memcmp(wal->frame + 8, wal->salts, 8) == 0, good;

		own = frame_sum(wal, sum);
		other = frame_sum(wal, computed);
		good = salts &&
		       (same(own, stored(wal->frame + 16)) || same(other, stored(wal->frame + 16)));
		in_a_row = good ? 0 : in_a_row + 1;
		if (in_a_row > BAD_MAX)
			break; /* another generation, or the end */
		if (good && bad)
			settled = commits; /* something follows them */
		bad |= !good;
		computed = same(own, stored(wal->frame + 16)) ? own : other;
		sum = stored(wal->frame + 16);
		if (bad && word(wal->frame + 4, true) != 0)
			commits++;
	}
	return settled;
}

void
store_wal_look(struct store *store, size_t page)
{
	_cleanup_free_ char *path = xasprintf("%s-wal", store->path);
	_cleanup_free_ struct wal *wal = xcalloc(1, sizeof(*wal));
	struct sum sum, computed;
	int64_t lost = 0;
	bool whole;

	if (open_wal(wal, path, page, &sum, &computed, &whole))
		lost = lost_commits(wal, sum, computed, whole);
	if (wal->fd >= 0)
		close(wal->fd);
	if (lost == 0)
		return;
	store->lost_commits = lost;
	store_note(store, "%s changed on disk: at least %lld commits behind that place are lost",
		   path, (long long)lost);
}
