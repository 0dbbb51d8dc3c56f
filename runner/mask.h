/* SPDX-License-Identifier: ISC */
/*
 * Hides byte sequences in streams, however they are cut into pieces: wherever one of them comes,
 * and where several overlap, "***" stands in its place. What may still be the beginning of one is
 * held back: never more than the longest is long, less one byte.
 */
#ifndef RUNNER_MASK_H
#define RUNNER_MASK_H

#include <stdbool.h>
#include <stddef.h>

#define MASK_TEXT "***"

struct mask; /* the sequences */
struct mask *mask_new(void);
void mask_add(struct mask *mask, const void *bytes, size_t n); /* before any stream; not empty */
void mask_free(struct mask *mask);			       /* wipes them; NULL is fine */

struct mask_stream;
/* EMIT gets what may be seen, in order; MASK is borrowed. */
struct mask_stream *mask_stream_new(const struct mask *mask,
				    void (*emit)(void *arg, const char *bytes, size_t n),
				    void *arg);
void mask_stream_feed(struct mask_stream *stream, const char *bytes, size_t n);
/* what was held back is whole now; the stream may begin anew */
void mask_stream_end(struct mask_stream *stream);
void mask_stream_free(struct mask_stream *stream); /* NULL is fine */

#endif
