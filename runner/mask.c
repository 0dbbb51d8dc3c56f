/* SPDX-License-Identifier: ISC */
/*
 * The automaton of Aho and Corasick, as a trie whose nodes have a list of children: sequences are
 * few and long, so that nearly every node has one child. A node knows its depth and the longest
 * sequence that ends in it. While a stream stands at a node of depth D, its last D bytes may be the
 * beginning of a sequence and all before them may not: these go out. Bytes of a sequence that has
 * ended are marked, and a run of marked bytes goes out as one MASK_TEXT.
 */
#include "runner/mask.h"

#include <stdint.h>
#include <string.h>

#include "common/xalloc.h"

struct node {
	uint32_t child, sibling; /* 0: none */
	uint32_t fail;
	uint32_t depth, longest;
	unsigned char byte;
};

struct mask {
	struct node *nodes; /* the first is the root */
	size_t n, room;
	uint32_t first[256]; /* the root's children */
	bool linked;
};

struct mask_stream {
	const struct mask *mask;
	void (*emit)(void *arg, const char *bytes, size_t n);
	void *arg;
	uint32_t at;
	/* Held back: bytes[start … end), and which of them are marked. */
	char *bytes;
	bool *marked;
	size_t start, end, room;
	size_t run;   /* where the marked bytes begin that reach the end; end: none do */
	bool masking; /* what went out last was a MASK_TEXT */
};

/* ---- the sequences ---- */

struct mask *
mask_new(void)
{
	struct mask *mask = xcalloc(1, sizeof(*mask));

	XGROW(mask->nodes, mask->n, mask->room);
	mask->nodes[mask->n++] = (struct node){0};
	return mask;
}

void
mask_free(struct mask *mask)
{
	if (!mask)
		return;
	explicit_bzero(mask->nodes, mask->n * sizeof(*mask->nodes));
	free(mask->nodes);
	free(mask);
}

static uint32_t
child_of(const struct mask *mask, uint32_t at, unsigned char byte)
{
	uint32_t child = mask->nodes[at].child;

	if (at == 0)
		return mask->first[byte];
	while (child && mask->nodes[child].byte != byte)
		child = mask->nodes[child].sibling;
	return child;
}

static uint32_t
add_child(struct mask *mask, uint32_t at, unsigned char byte)
{
	struct node *before = mask->nodes;
	uint32_t child = (uint32_t)mask->n;

	/* What is left behind holds a secret. */
	if (mask->n == mask->room) {
		mask->room *= 2;
		mask->nodes = xcalloc(mask->room, sizeof(*mask->nodes));
		memcpy(mask->nodes, before, mask->n * sizeof(*before));
		explicit_bzero(before, mask->n * sizeof(*before));
		free(before);
	}
	mask->nodes[mask->n++] = (struct node){
	    .byte = byte, .depth = mask->nodes[at].depth + 1, .sibling = mask->nodes[at].child};
	mask->nodes[at].child = child;
	if (at == 0)
		mask->first[byte] = child;
	return child;
}

void
mask_add(struct mask *mask, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint32_t at = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t child = child_of(mask, at, p[i]);

		at = child ? child : add_child(mask, at, p[i]);
	}
	mask->nodes[at].longest = mask->nodes[at].depth;
	mask->linked = false;
}

/* Where a stream goes on after BYTE. */
static uint32_t
follow(const struct mask *mask, uint32_t at, unsigned char byte)
{
	uint32_t child;

	while (!(child = child_of(mask, at, byte)) && at != 0)
		at = mask->nodes[at].fail;
	return child;
}

/* Each node's longest proper suffix that is the beginning of a sequence, nearest to the root first.
 */
static void
link_nodes(struct mask *mask)
{
	uint32_t *queue = xcalloc(mask->n, sizeof(*queue));
	size_t head = 0, tail = 0;

	queue[tail++] = 0;
	while (head < tail) {
		uint32_t at = queue[head++];

		for (uint32_t child = mask->nodes[at].child; child;
		     child = mask->nodes[child].sibling) {
			struct node *node = &mask->nodes[child];
			const struct node *fail;

			node->fail = at == 0 ? 0 : follow(mask, mask->nodes[at].fail, node->byte);
			fail = &mask->nodes[node->fail];
			if (node->longest < fail->longest)
				node->longest = fail->longest;
			queue[tail++] = child;
		}
	}
	free(queue);
	mask->linked = true;
}

/* ---- a stream ---- */

struct mask_stream *
mask_stream_new(const struct mask *mask, void (*emit)(void *arg, const char *bytes, size_t n),
		void *arg)
{
	struct mask_stream *stream = xcalloc(1, sizeof(*stream));

	if (!mask->linked)
		link_nodes((struct mask *)(uintptr_t)mask);
	*stream = (struct mask_stream){.mask = mask, .emit = emit, .arg = arg};
	return stream;
}

void
mask_stream_free(struct mask_stream *stream)
{
	if (!stream)
		return;
	if (stream->bytes)
		explicit_bzero(stream->bytes, stream->room);
	free(stream->bytes);
	free(stream->marked);
	free(stream);
}

static void
emit_plain(struct mask_stream *stream, const char *bytes, size_t n)
{
	if (n == 0)
		return;
	stream->masking = false;
	stream->emit(stream->arg, bytes, n);
}

/* The first N of the bytes that are held back go out. */
static void
let_out(struct mask_stream *stream, size_t n)
{
	size_t stop = stream->start + n;

	while (stream->start < stop) {
		size_t from = stream->start, to = from;
		bool marked = stream->marked[from];

		while (to < stop && stream->marked[to] == marked)
			to++;
		stream->start = to;
		if (!marked) {
			emit_plain(stream, stream->bytes + from, to - from);
		} else if (!stream->masking) {
			stream->masking = true;
			stream->emit(stream->arg, MASK_TEXT, strlen(MASK_TEXT));
		}
	}
	if (stream->run < stream->start)
		stream->run = stream->start;
	if (stream->start == stream->end)
		stream->start = stream->end = stream->run = 0;
}

static void
make_room(struct mask_stream *stream)
{
	size_t n = stream->end - stream->start, room = stream->room;
	char *bytes = stream->bytes;
	bool *marked = stream->marked;

	if (stream->end < stream->room)
		return;
	/* Moved only when as much again was let out, so that each byte moves a few times at most.
	 */
	if (stream->start < room / 2 || room == 0) {
		stream->room = room ? room * 2 : 1024;
		stream->bytes = xcalloc(stream->room, 1);
		stream->marked = xcalloc(stream->room, sizeof(bool));
	}
	if (n > 0) {
		memmove(stream->bytes, bytes + stream->start, n);
		memmove(stream->marked, marked + stream->start, n * sizeof(bool));
	}
	if (bytes && bytes != stream->bytes) {
		explicit_bzero(bytes, room);
		free(bytes);
		free(marked);
	}
	stream->run -= stream->start;
	stream->start = 0;
	stream->end = n;
}

/* The last N bytes are a sequence. What is marked already need not be again. */
static void
mark(struct mask_stream *stream, size_t n)
{
	size_t from = stream->end - n;

	for (size_t i = from; i < stream->run; i++)
		stream->marked[i] = true;
	stream->marked[stream->end - 1] = true;
	if (from < stream->run)
		stream->run = from;
}

static void
take_byte(struct mask_stream *stream, unsigned char byte)
{
	const struct mask *mask = stream->mask;
	size_t depth;

	stream->at = follow(mask, stream->at, byte);
	make_room(stream);
	stream->bytes[stream->end] = (char)byte;
	stream->marked[stream->end] = false;
	stream->end++;
	if (mask->nodes[stream->at].longest > 0)
		mark(stream, mask->nodes[stream->at].longest);
	else
		stream->run = stream->end;
	depth = mask->nodes[stream->at].depth;
	if (stream->end - stream->start > depth)
		let_out(stream, stream->end - stream->start - depth);
}

void
mask_stream_feed(struct mask_stream *stream, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t plain = i;

		/* Nothing is held back: all that begins no sequence goes out as it is. */
		while (stream->at == 0 && plain < n &&
		       !stream->mask->first[(unsigned char)bytes[plain]])
			plain++;
		emit_plain(stream, bytes + i, plain - i);
		i = plain;
		if (i < n)
			take_byte(stream, (unsigned char)bytes[i++]);
	}
}

void
mask_stream_end(struct mask_stream *stream)
{
	let_out(stream, stream->end - stream->start);
	stream->at = 0;
	stream->masking = false;
}
