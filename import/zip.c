/* SPDX-License-Identifier: ISC */
/*
 * The directory of a zip against the headers in its body (APPNOTE.TXT 4.3): one end record, at the
 * very end; the directory right before it; for each file the same name, method and sizes in both
 * places; no two files over the same bytes. Runs inside the cage, on bytes that a stranger chose.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "import/zip.h"

#define END_SIZE      22
#define LOCATOR_SIZE  20
#define END64_SIZE    56
#define CENTRAL_SIZE  46
#define LOCAL_SIZE    30
#define COMMENT_MAX   65535
#define DIRECTORY_MAX (256 * 1024 * 1024)
#define NOT_HERE      UINT32_C(0xffffffff) /* the value stands in the zip64 field */
#define HOST_UNIX     3
#define HOST_DARWIN   19
#define FLAG_LATER    0x0008 /* sizes follow the content */
#define FLAGS_TOLD    0x0801 /* encrypted, names are UTF-8: must agree */

struct zip {
	int fd;
	uint64_t size;
	char *why;
	size_t why_size;
	struct extent {
		uint64_t from, to;
	} * v;
	size_t n, room;
};

struct member {
	unsigned flags, method;
	uint32_t crc;
	uint64_t packed, unpacked, offset;
	const unsigned char *name;
	size_t name_size;
};

static int bad(struct zip *zip, const char *format, ...) _printf_(2, 3);

static int
bad(struct zip *zip, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(zip->why, zip->why_size, format, args);
	va_end(args);
	return -EBADMSG;
}

static uint64_t
number(const unsigned char *p, size_t n)
{
	uint64_t value = 0;

	while (n-- > 0)
		value = value << 8 | p[n];
	return value;
}

static unsigned
n16(const unsigned char *p)
{
	return (unsigned)number(p, 2);
}

static uint32_t
n32(const unsigned char *p)
{
	return (uint32_t)number(p, 4);
}

static int
read_at(struct zip *zip, uint64_t offset, void *bytes, size_t n)
{
	if (offset > zip->size || n > zip->size - offset)
		return bad(zip, "the zip is cut or its directory points outside");
	if (lseek(zip->fd, (off_t)offset, SEEK_SET) < 0)
		return bad(zip, "the zip cannot be read");
	for (char *p = bytes; n > 0;) {
		ssize_t got = read(zip->fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return bad(zip, "the zip cannot be read");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Finds the end record: the last place that looks like one must be one, or readers could differ. */
static int
find_end(struct zip *zip, unsigned char end[END_SIZE], uint64_t *ret_at)
{
	size_t n = zip->size < END_SIZE + COMMENT_MAX ? (size_t)zip->size : END_SIZE + COMMENT_MAX;
	_cleanup_free_ unsigned char *tail = xrealloc(NULL, n + 1, 1);
	int r = read_at(zip, zip->size - n, tail, n);

	if (r < 0)
		return r;
	for (size_t i = n < END_SIZE ? 0 : n - END_SIZE + 1; i-- > 0;) {
		if (memcmp(tail + i, "PK\5\6", 4) != 0)
			continue;
		if (n16(tail + i + 20) != n - i - END_SIZE)
			return bad(
			    zip,
			    "there is something behind the end of the zip; copy or pack it again");
		memcpy(end, tail + i, END_SIZE);
		*ret_at = zip->size - n + i;
		return 0;
	}
	return bad(zip, "it is not a zip, or the zip is cut");
}

/* Where the directory lies. A large zip keeps that in a second end record. */
static int
find_directory(struct zip *zip, uint64_t *ret_offset, uint64_t *ret_size, uint64_t *ret_count)
{
	unsigned char end[END_SIZE], locator[LOCATOR_SIZE], end64[END64_SIZE];
	uint64_t at = 0, before;
	int r = find_end(zip, end, &at);

	if (r < 0)
		return r;
	before = at;
	*ret_count = n16(end + 10);
	*ret_size = n32(end + 12);
	*ret_offset = n32(end + 16);
	if (n16(end + 4) != 0 || n16(end + 6) != 0)
		return bad(zip, "the zip is one part of several; pack it into one file");
	if (at >= LOCATOR_SIZE && read_at(zip, at - LOCATOR_SIZE, locator, sizeof(locator)) >= 0 &&
	    memcmp(locator, "PK\6\7", 4) == 0) {
		before = number(locator + 8, 8);
		r = read_at(zip, before, end64, sizeof(end64));
		if (r < 0)
			return r;
		if (memcmp(end64, "PK\6\6", 4) != 0)
			return bad(zip, "the zip's directory is damaged");
		*ret_count = number(end64 + 32, 8);
		*ret_size = number(end64 + 40, 8);
		*ret_offset = number(end64 + 48, 8);
	}
	if (*ret_offset > before || *ret_size != before - *ret_offset)
		return bad(
		    zip,
		    "the zip's directory is not where it says, or something stands before the zip");
	return 0;
}

/* The zip64 field of a record gives the values that did not fit, in this order. */
static int
widen(struct zip *zip, struct member *member, const unsigned char *extra, size_t n)
{
	uint64_t *const values[] = {&member->unpacked, &member->packed, &member->offset};

	while (n >= 4) {
		unsigned id = n16(extra);
		size_t size = n16(extra + 2), used = 0;

		if (size > n - 4)
			break;
		for (size_t i = 0; id == 1 && i < ARRAY_SIZE(values); i++) {
			if (*values[i] != NOT_HERE)
				continue;
			if (used + 8 > size)
				return bad(zip, "the zip's directory is damaged");
			*values[i] = number(extra + 4 + used, 8);
			used += 8;
		}
		extra += 4 + size;
		n -= 4 + size;
	}
	return 0;
}

/* Does a size in the local header agree? It may be left to the directory, or to what follows the
 * content. */
static bool
agrees(uint32_t local, uint64_t central, unsigned flags)
{
	return local == central || local == NOT_HERE || ((flags & FLAG_LATER) && local == 0);
}

static int
check_local(struct zip *zip, const struct member *member)
{
	unsigned char local[LOCAL_SIZE];
	_cleanup_free_ unsigned char *name = xrealloc(NULL, member->name_size + 1, 1);
	struct extent *extent;
	uint64_t body;
	int r = read_at(zip, member->offset, local, sizeof(local));

	if (r < 0)
		return r;
	if (memcmp(local, "PK\3\4", 4) != 0 || n16(local + 26) != member->name_size)
		return bad(zip, "the zip's directory and its body do not name the same files");
	r = read_at(zip, member->offset + LOCAL_SIZE, name, member->name_size);
	if (r < 0)
		return r;
	if (memcmp(name, member->name, member->name_size) != 0)
		return bad(zip, "the zip's directory and its body do not name the same files");
	if (((n16(local + 6) ^ member->flags) & FLAGS_TOLD) != 0 ||
	    n16(local + 8) != member->method ||
	    !agrees(n32(local + 14), member->crc, n16(local + 6)) ||
	    !agrees(n32(local + 18), member->packed, n16(local + 6)) ||
	    !agrees(n32(local + 22), member->unpacked, n16(local + 6)))
		return bad(zip, "the zip's directory and its body do not describe the same files");
	body = member->offset + LOCAL_SIZE + member->name_size + n16(local + 28);
	if (body > zip->size || member->packed > zip->size - body)
		return bad(zip, "the zip is cut or its directory points outside");
	XGROW(zip->v, zip->n, zip->room);
	extent = &zip->v[zip->n++];
	*extent = (struct extent){member->offset, body + member->packed};
	return 0;
}

/* Is what a Unix packed one of the kinds that are taken? libarchive takes a pipe or a device for an
 * empty file. */
static bool
is_plain(const unsigned char *p)
{
	unsigned host = p[5], type = n16(p + 40) & 0170000U;

	if (host != HOST_UNIX && host != HOST_DARWIN)
		return true;
	return type == 0 || type == 0100000U || type == 0040000U || type == 0120000U;
}

/* One record of the directory: 0 with its size. */
static int
check_record(struct zip *zip, const unsigned char *p, size_t left, size_t *ret_size)
{
	struct member member;
	size_t extra, size;
	int r;

	if (left < CENTRAL_SIZE || memcmp(p, "PK\1\2", 4) != 0)
		return bad(zip, "the zip's directory is damaged");
	member = (struct member){.flags = n16(p + 8),
				 .method = n16(p + 10),
				 .crc = n32(p + 16),
				 .packed = n32(p + 20),
				 .unpacked = n32(p + 24),
				 .offset = n32(p + 42),
				 .name = p + CENTRAL_SIZE,
				 .name_size = n16(p + 28)};
	extra = n16(p + 30);
	size = CENTRAL_SIZE + member.name_size + extra + n16(p + 32);
	if (size > left)
		return bad(zip, "the zip's directory is damaged");
	if (!is_plain(p))
		return bad(zip, "the zip holds what is not a plain file, folder or link; leave "
				"devices and pipes out");
	if (memchr(member.name, 0, member.name_size) != NULL)
		return bad(zip, "a name in the zip holds a zero byte");
	r = widen(zip, &member, member.name + member.name_size, extra);
	if (r < 0)
		return r;
	*ret_size = size;
	return check_local(zip, &member);
}

static int
by_start(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static int
check_records(struct zip *zip)
{
	_cleanup_free_ unsigned char *directory = NULL;
	uint64_t offset = 0, size = 0, count = 0, seen = 0;
	int r = find_directory(zip, &offset, &size, &count);

	if (r < 0)
		return r;
	if (size > DIRECTORY_MAX)
		return bad(zip, "the zip's directory is larger than 256 MiB");
	directory = xrealloc(NULL, (size_t)size + 1, 1);
	r = read_at(zip, offset, directory, (size_t)size);
	for (size_t at = 0, step = 0; r >= 0 && at < size; at += step, seen++)
		r = check_record(zip, directory + at, (size_t)size - at, &step);
	if (r < 0)
		return r;
	if (seen != count)
		return bad(zip, "the zip's directory does not have the files that it counts");
	if (zip->n > 0)
		qsort(zip->v, zip->n, sizeof(*zip->v), by_start);
	for (size_t i = 0; i < zip->n; i++)
		if (zip->v[i].to > (i + 1 < zip->n ? zip->v[i + 1].from : offset))
			return bad(zip, "files in the zip lie over each other");
	return 0;
}

int
zip_check(int fd, char *ret_why, size_t why_size)
{
	struct zip zip = {.fd = fd, .why = ret_why, .why_size = why_size};
	off_t end = lseek(fd, 0, SEEK_END);
	int r;

	if (end < 0)
		return bad(&zip, "the zip cannot be read");
	zip.size = (uint64_t)end;
	r = check_records(&zip);
	free(zip.v);
	return r;
}
