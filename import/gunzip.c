/* SPDX-License-Identifier: ISC */
/*
 * zlib checks CRC-32 and length of a member when it is told that the stream is gzip; this file goes
 * from member to member, and sees that behind the last one there is nothing but zeros, with which
 * tapes are filled up.
 */
#include <errno.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "common/xalloc.h"
#include "import/gunzip.h"

#define GZIP_WINDOW (16 + MAX_WBITS) /* nothing but gzip */

struct gunzip {
	z_stream z;
	ssize_t (*fill)(void *arg, const char **ret_bytes);
	void *arg;
	bool between; /* members: the next byte begins one, or the end */
	bool ended;
};

bool
gunzip_is(const char *bytes, size_t n)
{
	return n >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

struct gunzip *
gunzip_new(ssize_t (*fill)(void *arg, const char **ret_bytes), void *arg)
{
	struct gunzip *gunzip = xcalloc(1, sizeof(*gunzip));

	gunzip->fill = fill;
	gunzip->arg = arg;
	if (inflateInit2(&gunzip->z, GZIP_WINDOW) != Z_OK)
		xalloc_die();
	return gunzip;
}

void
gunzip_free(struct gunzip *gunzip)
{
	if (gunzip == NULL)
		return;
	inflateEnd(&gunzip->z);
	free(gunzip);
}

static ssize_t
bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* More input: 1, 0 at the end of the stream, or -EBADMSG. */
static ssize_t
more(struct gunzip *gunzip, const char **ret_why)
{
	const char *bytes;
	ssize_t n = gunzip->fill(gunzip->arg, &bytes);

	if (n < 0)
		return bad(ret_why, "it cannot be read");
	gunzip->z.next_in = (const Bytef *)bytes;
	gunzip->z.avail_in = (uInt)n;
	return n > 0;
}

/* Behind a member: 1 when another begins, 0 at the end. */
static ssize_t
next_member(struct gunzip *gunzip, const char **ret_why)
{
	bool zeros = false;

	for (;;) {
		if (gunzip->z.avail_in == 0) {
			ssize_t r = more(gunzip, ret_why);

			if (r <= 0)
				return r;
		}
		if (*gunzip->z.next_in != 0)
			break;
		zeros = true;
		gunzip->z.next_in++;
		gunzip->z.avail_in--;
	}
	if (zeros || *gunzip->z.next_in != 0x1f)
		return bad(ret_why,
			   "there is something behind the end of the gzip; copy or pack it again");
	if (inflateReset2(&gunzip->z, GZIP_WINDOW) != Z_OK)
		xalloc_die();
	return 1;
}

ssize_t
gunzip_read(struct gunzip *gunzip, char *bytes, size_t n, const char **ret_why)
{
	gunzip->z.next_out = (Bytef *)bytes;
	gunzip->z.avail_out = (uInt)n;
	while (gunzip->z.avail_out == n && !gunzip->ended) {
		ssize_t r = 1;
		int code;

		if (gunzip->between) {
			r = next_member(gunzip, ret_why);
			gunzip->ended = r == 0;
			gunzip->between = false;
		} else if (gunzip->z.avail_in == 0) {
			r = more(gunzip, ret_why);
			if (r == 0)
				return bad(ret_why, "the gzip is cut; pack or copy it again");
		}
		if (r < 0)
			return r;
		if (r == 0)
			break;
		code = inflate(&gunzip->z, Z_NO_FLUSH);
		if (code == Z_MEM_ERROR)
			xalloc_die();
		if (code == Z_STREAM_END)
			gunzip->between = true;
		else if (code != Z_OK && code != Z_BUF_ERROR)
			return bad(ret_why, "the gzip is damaged, its checksum or its data are not "
					    "right; pack or copy it again");
	}
	return (ssize_t)(n - gunzip->z.avail_out);
}
