/* SPDX-License-Identifier: ISC */
/*
 * Bytes on their way out: added behind, taken in front by moving START. Zeros are an empty one.
 * How large one may become is its owner's matter.
 */
#ifndef DAEMON_CONTROL_BUFFER_H
#define DAEMON_CONTROL_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data;
	size_t start, end, room;
};

static inline size_t
buffer_size(const struct buffer *b)
{
	return b->end - b->start;
}

void buffer_add(struct buffer *b, const void *bytes, size_t n);
void buffer_clear(struct buffer *b); /* gives the memory back */

#endif
