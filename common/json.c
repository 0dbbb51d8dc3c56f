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

#include "common/when.h"
#include "common/xalloc.h"

#define DEPTH_MAX 32

static json_t *
must(json_t *value)
{
	if (!value)
		xalloc_die();
	return value;
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

/* How deep brackets nest outside strings: an upper bound for any parser. */
static bool
too_deep(const char *text, size_t n)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
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
	if (too_deep(text, n))
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

char *
json_canonical(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (!text)
		xalloc_die();
	return text;
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
