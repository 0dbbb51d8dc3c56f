/* SPDX-License-Identifier: ISC */
/* Hiding byte sequences in streams: split anywhere, overlapping, at the end, over lines, of any
 * bytes; and against plain search. */
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "runner/mask.h"
#include "tests/unit/unit.h"

struct text {
	char *bytes;
	size_t n, held_max, fed;
};

static void
collect(void *arg, const char *bytes, size_t n)
{
	struct text *text = arg;

	text->bytes = xrealloc(text->bytes, text->n + n + 1, 1);
	memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	text->bytes[text->n] = '\0';
}

#define S(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
static const struct {
	int line;
	struct {
		const char *bytes;
		size_t n;
	} secrets[3], in, out;
} rows[] = {
    {__LINE__, {S("hunter2hunter2")}, S("a hunter2hunter2 b"), S("a *** b")},
    {__LINE__, {S("hunter2hunter2")}, S("hunter2hunter2"), S("***")},
    {__LINE__, {S("hunter2hunter2")}, S("hunter2hunter"), S("hunter2hunter")},
    {__LINE__, {S("hunter2hunter2")}, S("hunter2hunter2hunter2"), S("***")},
    {__LINE__, {S("hunter2hunter2")}, S("hunter2 hunter2hunter2"), S("hunter2 ***")},
    {__LINE__, {S("abcdefgh"), S("efghijkl")}, S("1abcdefghijkl2"), S("1***2")},
    {__LINE__, {S("abcdefgh"), S("efghijkl")}, S("abcdefghijk"), S("***ijk")},
    {__LINE__, {S("abcdefgh"), S("efghijkl")}, S("abcdefgefghijkl"), S("abcdefg***")},
    {__LINE__, {S("abcdefgh"), S("ijklmnop")}, S("abcdefghijklmnop"), S("***")},
    {__LINE__, {S("abcdefgh"), S("abcdefghijkl")}, S("abcdefghijkx"), S("***ijkx")},
    {__LINE__, {S("xabcdefghx"), S("abcdefgh")}, S("xabcdefghy"), S("x***y")},
    {__LINE__, {S("aaaaaaaa")}, S("baaaaaaaaaaab"), S("b***b")},
    {__LINE__, {S("abababab")}, S("ababababab"), S("***")},
    {__LINE__, {S("line one\nline two")}, S("line one\nline two\n"), S("***\n")},
    {__LINE__, {S("line one\nline two")}, S("line one\n"), S("line one\n")},
    {__LINE__, {S("\0\1\2\3\377\376\0\0")}, S("a\0\1\2\3\377\376\0\0b"), S("a***b")},
    {__LINE__, {S("\0\0\0\0\0\0\0\0")}, S("\0\0\0\0\0\0\0"), S("\0\0\0\0\0\0\0")},
    {__LINE__, {S("***secret***")}, S("***secret***"), S("***")},
};

static void
check(size_t i, size_t piece)
{
	struct mask *mask = mask_new();
	struct text out = {.n = 0};
	struct mask_stream *stream;

	for (size_t k = 0; k < ARRAY_SIZE(rows[i].secrets) && rows[i].secrets[k].n; k++)
		mask_add(mask, rows[i].secrets[k].bytes, rows[i].secrets[k].n);
	stream = mask_stream_new(mask, collect, &out);
	collect(&out, "", 0);
	for (size_t at = 0; at < rows[i].in.n; at += piece) {
		size_t n = rows[i].in.n - at < piece ? rows[i].in.n - at : piece;
		char *copy = xcalloc(n, 1); /* of its own size: what reads too far is found */

		memcpy(copy, rows[i].in.bytes + at, n);
		mask_stream_feed(stream, copy, n);
		free(copy);
	}
	mask_stream_end(stream);
	ck_assert_msg(out.n == rows[i].out.n && memcmp(out.bytes, rows[i].out.bytes, out.n) == 0,
		      "line %d, in pieces of %zu: %s", rows[i].line, piece, out.bytes);
	mask_stream_free(stream);
	mask_free(mask);
	free(out.bytes);
}

START_TEST(rows_in_pieces_of_every_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t piece = 1; piece <= rows[i].in.n; piece++)
			check(i, piece);
}
END_TEST

/* What is no beginning of a secret goes out at once: who follows a log does not wait for it. */
START_TEST(nothing_is_held_back_without_need)
{
	struct mask *mask = mask_new();
	struct text out = {.n = 0};
	struct mask_stream *stream;

	mask_add(mask, "secret-one", 10);
	mask_add(mask, "other-secret", 12);
	stream = mask_stream_new(mask, collect, &out);
	mask_stream_feed(stream, "ready: ", 7);
	ck_assert_uint_eq(out.n, 7);
	mask_stream_feed(stream, "secre", 5);
	ck_assert_uint_eq(out.n, 7);
	mask_stream_feed(stream, "cy\n", 3); /* "secre", then "c" */
	ck_assert_str_eq(out.bytes, "ready: secrecy\n");
	mask_stream_feed(stream, "other-secret-on", 15);
	ck_assert_str_eq(out.bytes, "ready: secrecy\n***");
	mask_stream_feed(stream, "e!", 2);
	ck_assert_str_eq(out.bytes, "ready: secrecy\n***!");
	mask_stream_end(stream);
	mask_stream_free(stream);
	mask_free(mask);
	free(out.bytes);
}
END_TEST

/* ---- against plain search */

static unsigned
random_below(uint64_t *seed, unsigned n)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(*seed >> 33) % n;
}

static void
expected(const char *in, size_t n, char secrets[4][40], const size_t *lengths, size_t count,
	 struct text *out)
{
	bool *covered = xcalloc(n + 1, sizeof(*covered));

	for (size_t k = 0; k < count; k++)
		for (size_t at = 0; at + lengths[k] <= n; at++)
			if (memcmp(in + at, secrets[k], lengths[k]) == 0)
				memset(covered + at, true, lengths[k]);
	for (size_t at = 0; at < n; at++)
		if (!covered[at])
			collect(out, in + at, 1);
		else if (at == 0 || !covered[at - 1])
			collect(out, MASK_TEXT, strlen(MASK_TEXT));
	free(covered);
}

static void
one_round(uint64_t *seed)
{
	char secrets[4][40], in[400];
	size_t lengths[4], n = random_below(seed, sizeof(in)), count = 1 + random_below(seed, 4);
	unsigned letters = 1 + random_below(seed, 3);
	struct text want = {.n = 0}, got = {.n = 0};
	struct mask *mask = mask_new();
	struct mask_stream *stream;
	size_t longest = 0;

	for (size_t k = 0; k < count; k++) {
		lengths[k] = 1 + random_below(seed, 12);
		longest = lengths[k] > longest ? lengths[k] : longest;
		for (size_t i = 0; i < lengths[k]; i++)
			secrets[k][i] = (char)('a' + random_below(seed, letters));
		mask_add(mask, secrets[k], lengths[k]);
	}
	for (size_t i = 0; i < n; i++)
		in[i] = (char)('a' + random_below(seed, letters + 1));
	expected(in, n, secrets, lengths, count, &want);
	stream = mask_stream_new(mask, collect, &got);
	collect(&got, "", 0);
	collect(&want, "", 0);
	for (size_t at = 0; at < n;) {
		size_t piece = 1 + random_below(seed, 9);

		piece = piece < n - at ? piece : n - at;
		mask_stream_feed(stream, in + at, piece);
		at += piece;
	}
	mask_stream_end(stream);
	ck_assert_msg(want.n == got.n && memcmp(want.bytes, got.bytes, want.n) == 0,
		      "%.*s\nwanted %s\ngot    %s", (int)n, in, want.bytes, got.bytes);
	mask_stream_free(stream);
	mask_free(mask);
	free(want.bytes);
	free(got.bytes);
}

START_TEST(as_plain_search_says)
{
	uint64_t seed = 20261127;

	for (int i = 0; i < 20000; i++)
		one_round(&seed);
}
END_TEST

/* A long secret that overlaps itself everywhere costs no more than another. */
START_TEST(the_worst_secret_is_quick)
{
	size_t n = 4 * 1024 * 1024, length = 65536;
	char *bytes = xcalloc(n, 1);
	struct text out = {.n = 0};
	struct mask *mask = mask_new();
	struct mask_stream *stream;

	memset(bytes, 'a', n);
	mask_add(mask, bytes, length);
	stream = mask_stream_new(mask, collect, &out);
	mask_stream_feed(stream, bytes, n);
	mask_stream_end(stream);
	ck_assert_str_eq(out.bytes, "***");
	mask_stream_free(stream);
	mask_free(mask);
	free(out.bytes);
	free(bytes);
}
END_TEST

UNIT_MAIN("mask", rows_in_pieces_of_every_size, nothing_is_held_back_without_need,
	  as_plain_search_says, the_worst_secret_is_quick)
