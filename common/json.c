/* SPDX-License-Identifier: ISC */
/*
 * Helpers over jansson. Two escapes live here: bytes of a step's output into JSON text, and text of
 * anybody onto a terminal; both walk UTF-8 by one decoder. What is parsed was measured before: its
 * size, and how deep it is nested, because jansson and whoever frees a tree go down it by
 * recursion.
 */
#include "common/json.h"

#include <errno.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"

#define DEPTH_MAX 32

static json_t *
must(json_t *value)
{
	if (!value)
		xalloc_die();
	return value;
}

void
json_memory(void)
{
	json_set_alloc_funcs(xalloc_library, free);
}

/* How long the character is that begins with this byte; 0 when none does. */
static size_t
utf8_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Length and code point of the character at S, of N bytes; 0 when it is none (RFC 3629). */
static size_t
utf8_next(const unsigned char *s, size_t n, uint32_t *ret_point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = utf8_length(s[0]);
	uint32_t point = length <= 1 ? s[0] : s[0] & (0x7fU >> length);

	if (length == 0 || length > n)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3fU);
	}
	if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return length;
}

static bool
is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

/* What moves or hides text on a terminal although it is no control character. */
static bool
is_deceptive(uint32_t point)
{
	return point == 0x061c || (point >= 0x200b && point <= 0x200f) ||
	       (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x2069) ||
	       point == 0xfeff || (point >= 0xe0000 && point <= 0xe007f);
}

json_t *
json_text(const char *s)
{
	if (!s)
		return must(json_null());
	json_t *text = json_string(s);
	return text ? text : json_bytes(s, strlen(s));
}

json_t *
json_bytes(const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = bytes;
	_cleanup_free_ char *text = xcalloc(n + 1, 4);
	size_t length, out = 0;
	uint32_t point;

	for (size_t i = 0; i < n; i += length) {
		length = utf8_next(s + i, n - i, &point);
		if (length && (!is_control(point) || point == '\t')) {
			memcpy(text + out, s + i, length);
			out += length;
			continue;
		}
		length = length ? length : 1;
		for (size_t k = 0; k < length; k++) {
			text[out++] = '\\';
			text[out++] = 'x';
			text[out++] = digits[s[i + k] >> 4];
			text[out++] = digits[s[i + k] & 15];
		}
	}
	return must(json_stringn(text, out));
}

json_t *
json_time(int64_t us)
{
	return must(us ? json_string(when_utc(us).s) : json_null());
}

void
json_put_n(json_t *object, const char *name, size_t n, json_t *value)
{
	if (json_object_setn_new_nocheck(object, name, n, value) < 0)
		xalloc_die();
}

const char *
json_get_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t
json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool
json_get_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* How deep brackets nest outside strings, and how many brackets and commas there are: upper bounds
 * for any parser. */
struct measure {
	int depth, deepest;
	size_t values;
};

static void
measure_mark(struct measure *m, char c)
{
	switch (c) {
	case '{':
	case '[':
		m->values++;
		if (++m->depth > m->deepest)
			m->deepest = m->depth;
		break;
	case '}':
	case ']':
		m->depth--;
		break;
	case ',':
		m->values++;
		break;
	}
}

static struct measure
measure(const char *text, size_t n)
{
	struct measure m = {0};
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted)
			measure_mark(&m, c);
	}
	return m;
}

size_t
json_values(const char *text, size_t n)
{
	return measure(text, n).values;
}

int
json_parse(const char *text, size_t n, size_t limit, json_t **ret_object, struct err *err)
{
	json_error_t where;

	if (n > limit) {
		(void)err_set(err, ERR_INVALID_PARAMETER,
			      "the message has %zu bytes, and the limit is %zu", n, limit);
		return -E2BIG;
	}
	if (measure(text, n).deepest > DEPTH_MAX)
		return err_set(err, ERR_INVALID_PARAMETER,
			       "the message nests deeper than %d levels", DEPTH_MAX);
	json_t *object = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
	if (!object) {
		/* jansson quotes what it met, whatever that is. */
		_cleanup_free_ char *why = json_terminal(where.text);
		return err_set(err, ERR_INVALID_PARAMETER,
			       "the message is not valid JSON (byte %d: %s)", where.position, why);
	}
	if (!json_is_object(object)) {
		json_decref(object);
		return err_set(err, ERR_INVALID_PARAMETER, "the message is not a JSON object");
	}
	*ret_object = object;
	return 0;
}

/* ---- writing ----
 *
 * What json_dumps() writes, byte for byte, at a fraction of its price: that looks for loops by
 * printing the address of each container, and half of what a request costs was spent there. Trees
 * here are made or were parsed by us: no loops, and at most DEPTH_MAX deep. */

#define TEXT_ROOM  2048 /* at first: most messages need no more */
#define SORTED_MAX 32	/* members that are sorted where they stand; more need memory */

struct text {
	char *s;
	size_t n, room;
};

static char *
grow(struct text *text, size_t n)
{
	text->room = text->room ? (text->n + n) * 2 : n < TEXT_ROOM ? TEXT_ROOM : n * 2;
	text->s = xrealloc(text->s, text->room, 1);
	return text->s + text->n;
}

/* Where the next N bytes go. */
static inline char *
room(struct text *text, size_t n)
{
	return text->room - text->n < n ? grow(text, n) : text->s + text->n;
}

static inline void
add(struct text *text, const void *bytes, size_t n)
{
	memcpy(room(text, n), bytes, n);
	text->n += n;
}

static inline void
add_char(struct text *text, char c)
{
	*room(text, 1) = c;
	text->n++;
}

static void
add_integer(struct text *text, json_int_t value)
{
	char digits[24], *p = digits + sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		*--p = (char)('0' + rest % 10);
	while (rest /= 10);
	if (value < 0)
		*--p = '-';
	add(text, p, (size_t)(digits + sizeof(digits) - p));
}

static void
add_escape(struct text *text, unsigned char c)
{
	static const char letters[] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
				       ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
	char pair[2] = {'\\', c < sizeof(letters) ? letters[c] : '\0'}, number[8];

	if (pair[1])
		add(text, pair, 2);
	else
		add(text, number, (size_t)snprintf(number, sizeof(number), "\\u%04X", c));
}

static inline bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

/* How many bytes at the beginning of S need no escape; eight at a time. A byte of WORD that is
 * zero, or less than N, has its highest bit set in what these answer, and perhaps one behind it:
 * then it is looked at byte by byte. */
static size_t
plain_length(const char *s, size_t n)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	size_t i = 0;
	uint64_t word, quote, backslash;

	for (; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		quote = word ^ ones * '"';
		backslash = word ^ ones * '\\';
		if ((((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
		     ((backslash - ones) & ~backslash)) &
		    highs)
			break;
	}
	while (i < n && is_plain((unsigned char)s[i]))
		i++;
	return i;
}

static void
add_string(struct text *text, const char *s, size_t n)
{
	size_t plain = plain_length(s, n);

	add_char(text, '"');
	add(text, s, plain);
	for (size_t i = plain; i < n; i++) {
		if (is_plain((unsigned char)s[i]))
			add_char(text, s[i]);
		else
			add_escape(text, (unsigned char)s[i]);
	}
	add_char(text, '"');
}

static void add_value(struct text *text, const json_t *value, bool sorted);

struct member {
	const char *key;
	const json_t *value;
};

static void
add_member(struct text *text, const struct member *member, bool sorted)
{
	size_t n = strlen(member->key);
	char *to;

	if (plain_length(member->key, n) == n) {
		to = room(text, n + 3);
		to[0] = '"';
		memcpy(to + 1, member->key, n);
		memcpy(to + 1 + n, "\":", 2);
		text->n += n + 3;
	} else {
		add_string(text, member->key, n);
		add_char(text, ':');
	}
	add_value(text, member->value, sorted);
}

static int
compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static void
sort_members(struct member *members, size_t n)
{
	if (n > SORTED_MAX) {
		qsort(members, n, sizeof(*members), compare_members);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		struct member member = members[i];
		size_t k = i;

		for (; k > 0 && strcmp(members[k - 1].key, member.key) > 0; k--)
			members[k] = members[k - 1];
		members[k] = member;
	}
}

static void
add_sorted(struct text *text, json_t *object)
{
	size_t size = json_object_size(object), n = 0;
	_cleanup_free_ struct member *many =
	    size > SORTED_MAX ? xcalloc(size, sizeof(*many)) : NULL;
	struct member few[SORTED_MAX], *members = many ? many : few;

	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
		members[n++] =
		    (struct member){json_object_iter_key(at), json_object_iter_value(at)};
	sort_members(members, n);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			add_char(text, ',');
		add_member(text, &members[i], true);
	}
}

static void
add_members(struct text *text, json_t *object)
{
	void *first = json_object_iter(object);

	for (void *at = first; at; at = json_object_iter_next(object, at)) {
		struct member member = {json_object_iter_key(at), json_object_iter_value(at)};

		if (at != first)
			add_char(text, ',');
		add_member(text, &member, false);
	}
}

static void
add_object(struct text *text, json_t *object, bool sorted)
{
	add_char(text, '{');
	if (sorted)
		add_sorted(text, object);
	else
		add_members(text, object);
	add_char(text, '}');
}

static void
add_array(struct text *text, const json_t *array, bool sorted)
{
	add_char(text, '[');
	for (size_t i = 0, n = json_array_size(array); i < n; i++) {
		if (i > 0)
			add_char(text, ',');
		add_value(text, json_array_get(array, i), sorted);
	}
	add_char(text, ']');
}

/* Nobody of us sends one, and whether two are written alike is jansson's affair. */
static void
add_real(struct text *text, const json_t *value)
{
	_cleanup_free_ char *s = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!s)
		xalloc_die();
	add(text, s, strlen(s));
}

static void
add_value(struct text *text, const json_t *value, bool sorted)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		add_object(text, (json_t *)(uintptr_t)value, sorted);
		return;
	case JSON_ARRAY:
		add_array(text, value, sorted);
		return;
	case JSON_STRING:
		add_string(text, json_string_value(value), json_string_length(value));
		return;
	case JSON_INTEGER:
		add_integer(text, json_integer_value(value));
		return;
	case JSON_REAL:
		add_real(text, value);
		return;
	case JSON_TRUE:
		add(text, "true", 4);
		return;
	case JSON_FALSE:
		add(text, "false", 5);
		return;
	case JSON_NULL:
		add(text, "null", 4);
		return;
	}
}

char *
json_compact(const json_t *value, size_t *ret_n)
{
	struct text text = {0};

	add_value(&text, value, false);
	add_char(&text, 0);
	if (ret_n)
		*ret_n = text.n - 1;
	return text.s;
}

char *
json_canonical(const json_t *value)
{
	struct text text = {0};

	add_value(&text, value, true);
	add_char(&text, 0);
	return text.s;
}

char *
json_terminal(const char *s)
{
	size_t n = strlen(s), length, out = 0;
	/* The longest replacement of one byte is \xNN, of two or more \u{NNNNN}. */
	char *text = xcalloc(n + 1, 4);
	uint32_t point = 0;

	for (size_t i = 0; i < n; i += length) {
		length = utf8_next((const unsigned char *)s + i, n - i, &point);
		if (!length || point < 0x20 || point == 0x7f) {
			length = 1;
			out += (size_t)sprintf(text + out, "\\x%02x", (unsigned char)s[i]);
		} else if (is_control(point) || is_deceptive(point)) {
			out += (size_t)sprintf(text + out, "\\u{%04x}", point);
		} else {
			memcpy(text + out, s + i, length);
			out += length;
		}
	}
	return text;
}
