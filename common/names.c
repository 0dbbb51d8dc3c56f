/* SPDX-License-Identifier: ISC */
/*
 * Owns what a name may be (names.h): a head and a body set of bytes and a length, nothing of the
 * locale. Whatever passes here is safe as a part of a path, as a key and on a terminal.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/names.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

#define SUGGEST_MAX 64 /* bytes of a word that is worth a suggestion */

/* One byte of HEAD, then up to MAX bytes of BODY, and nothing else. */
static bool
shaped(const char *s, const char *head, const char *body, size_t max)
{
	size_t n;

	if (!s || !*s || !strchr(head, *s))
		return false;
	n = strspn(s + 1, body);
	return s[1 + n] == '\0' && n <= max;
}

bool
names_application(const char *s)
{
	return shaped(s, LOWER DIGITS, LOWER DIGITS "._-", 62);
}

bool
names_release(const char *s)
{
	return shaped(s, LOWER UPPER DIGITS, LOWER UPPER DIGITS "._+~-", 62);
}

bool
names_stage(const char *s)
{
	return names_application(s);
}

bool
names_variable(const char *s)
{
	return shaped(s, LOWER UPPER "_", LOWER UPPER DIGITS "_", 127) && strncmp(s, "BM_", 3) != 0;
}

bool
names_variable_reserved(const char *s)
{
	static const char *const reserved[] = {
	    "PATH", "HOME", "USER", "LOGNAME", "ENV", "BASH_ENV", "IFS",
	};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (strcmp(s, reserved[i]) == 0)
			return true;
	return strncmp(s, "LD_", 3) == 0;
}

/* Bytes of the UTF-8 character at S, and its value; 0 if it is none (overlong, surrogate, cut). */
static size_t
decode(const unsigned char *s, uint32_t *ret_value)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n;
	uint32_t value;

	if (s[0] < 0x80) {
		*ret_value = s[0];
		return 1;
	}
	n = (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (n == 0)
		return 0;
	value = s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (s[i] & 0x3fu);
	}
	if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*ret_value = value;
	return n;
}

bool
names_text(const char *s, size_t limit, bool lines)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t value;
	size_t n;

	if (strnlen(s, limit + 1) > limit)
		return false;
	for (; *p; p += n) {
		n = decode(p, &value);
		if (n == 0)
			return false;
		if (!lines && (value < 0x20 || (value >= 0x7f && value < 0xa0)))
			return false;
	}
	return true;
}

/* 1 … NAMES_BUILD_MAX, without sign, blank or leading zero; 0 if TEXT is not one. */
static int64_t
number(const char *text)
{
	int64_t value = 0;
	size_t n = strspn(text, DIGITS);

	if (n == 0 || n > 9 || text[n] || text[0] == '0')
		return 0;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

int
names_build_parse(const char *s, struct build_ref *ret_ref, struct err *err)
{
	struct build_ref ref = {0};
	const char *slash = strrchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);

	if (n >= sizeof(ref.release))
		return err_set(err, ERR_BAD_NAME,
			       "the name of a release has at most 63 characters, this has %zu", n);
	memcpy(ref.release, s, n);
	if (!names_release(ref.release))
		return err_set(err, ERR_BAD_NAME,
			       "\"%.80s\" is not a build: write a release and a number, such as "
			       "1.0.2/3",
			       s);
	if (slash) {
		ref.number = number(slash + 1);
		if (ref.number == 0)
			return err_set(err, ERR_BAD_NAME,
				       "\"%.80s\" has no build number after the slash: write 1 to "
				       "%d, such as %s/1",
				       s, NAMES_BUILD_MAX, ref.release);
	}
	*ret_ref = ref;
	return 0;
}

bool
names_build_equal(const struct build_ref *a, const struct build_ref *b)
{
	return a->number == b->number && strcmp(a->release, b->release) == 0;
}

struct build_text
names_build_text(const struct build_ref *ref)
{
	struct build_text text;

	if (ref->number > 0)
		snprintf(text.s, sizeof(text.s), "%.63s/%lld", ref->release,
			 (long long)ref->number);
	else
		snprintf(text.s, sizeof(text.s), "%.63s", ref->release);
	return text;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, exchanges and swaps of neighbours that make B of A (both ≤ SUGGEST_MAX).
 */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t rows[3][SUGGEST_MAX + 1] = {0};
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	for (size_t i = 1; i <= na; i++) {
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = least(least(last[j] + 1, row[j - 1] + 1),
				       last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[nb];
}

const char *
names_suggest(const char *word, const char *const *candidates, size_t n)
{
	size_t length = strlen(word), best_distance = 3;
	const char *best = NULL;

	if (length > SUGGEST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(candidates[i]), d;

		if (other > SUGGEST_MAX)
			continue;
		d = distance(word, length, candidates[i], other);
		if (d < best_distance && d * 2 < length) {
			best = candidates[i];
			best_distance = d;
		}
	}
	return best;
}
