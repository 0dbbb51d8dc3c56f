/* SPDX-License-Identifier: ISC */
/*
 * Bytes that come in behind and leave in front. What has left makes room before more memory is
 * asked for.
 */
#include "daemon/control/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"

void
buffer_clear(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

void
buffer_add(struct buffer *b, const void *bytes, size_t n)
{
	if (b->room - b->end < n && b->start > 0) {
		memmove(b->data, b->data + b->start, buffer_size(b));
		b->end -= b->start;
		b->start = 0;
	}
	if (b->room - b->end < n) {
		size_t room = b->room ? b->room : 1024;
		while (room - b->end < n)
			room *= 2;
		b->data = xrealloc(b->data, room, 1);
		b->room = room;
	}
	memcpy(b->data + b->end, bytes, n);
	b->end += n;
}
