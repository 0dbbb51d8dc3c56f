/* SPDX-License-Identifier: ISC */
/*
 * Most messages are plain: ASCII without escapes, whole numbers of moderate size, every key once.
 * These are read here at a fifth of what jansson asks. Whatever else is met, a mistake or only
 * something rare, is not judged: NULL is the answer, and jansson reads the text from its beginning.
 */
#include <string.h>

#include "common/json_private.h"

#define DIGITS_MAX 18 /* no number of so many is too large */

struct reader {
	const char *at, *end;
	int depth;
};

static json_t *read_value(struct reader *reader);

static char
look(const struct reader *reader)
{
	return reader->at < reader->end ? *reader->at : '\0';
}

static void
skip_space(struct reader *reader)
{
	while (look(reader) == ' ' || look(reader) == '\n' || look(reader) == '\t' ||
	       look(reader) == '\r')
		reader->at++;
}

/* Is C next, behind white space? Then it is taken. */
static bool
take(struct reader *reader, char c)
{
	skip_space(reader);
	if (look(reader) != c)
		return false;
	reader->at++;
	return true;
}

/* What stands between two quotes: borrowed. */
static bool
take_string(struct reader *reader, const char **ret_s, size_t *ret_n)
{
	const char *from;

	if (!take(reader, '"'))
		return false;
	from = reader->at;
	while (look(reader) >= 0x20 && look(reader) < 0x7f && look(reader) != '"' &&
	       look(reader) != '\\')
		reader->at++;
	if (look(reader) != '"')
		return false;
	*ret_s = from;
	*ret_n = (size_t)(reader->at++ - from);
	return true;
}

static json_t *
read_string(struct reader *reader)
{
	const char *s;
	size_t n;

	return take_string(reader, &s, &n) ? json_stringn_nocheck(s, n) : NULL;
}

static json_t *
read_integer(struct reader *reader)
{
	bool negative = look(reader) == '-';
	json_int_t value = 0;
	const char *from;

	if (negative)
		reader->at++;
	for (from = reader->at; look(reader) >= '0' && look(reader) <= '9'; reader->at++) {
		if (reader->at - from == DIGITS_MAX)
			return NULL;
		value = value * 10 + (look(reader) - '0');
	}
	if (reader->at == from || (*from == '0' && (negative || reader->at - from > 1)))
		return NULL;
	if (look(reader) == '.' || look(reader) == 'e' || look(reader) == 'E')
		return NULL;
	return json_integer(negative ? -value : value);
}

static json_t *
read_word(struct reader *reader, const char *word, json_t *value)
{
	size_t n = strlen(word);

	if ((size_t)(reader->end - reader->at) < n || memcmp(reader->at, word, n) != 0)
		return NULL;
	reader->at += n;
	return value;
}

static bool
read_member(struct reader *reader, json_t *object)
{
	const char *key;
	size_t n;
	json_t *value;

	if (!take_string(reader, &key, &n) || json_object_getn(object, key, n) ||
	    !take(reader, ':') || !(value = read_value(reader)))
		return false;
	return json_object_setn_new_nocheck(object, key, n, value) == 0;
}

static bool
read_element(struct reader *reader, json_t *array)
{
	json_t *value = read_value(reader);

	return value && json_array_append_new(array, value) == 0;
}

/* The inside of brackets, up to CLOSE. Steals CONTAINER when it answers NULL. */
static json_t *
read_inside(struct reader *reader, json_t *container, char close,
	    bool (*read_one)(struct reader *reader, json_t *container))
{
	bool good = container != NULL;

	reader->at++;
	reader->depth++;
	if (good && !take(reader, close)) {
		do
			good = read_one(reader, container);
		while (good && take(reader, ','));
		good = good && take(reader, close);
	}
	reader->depth--;
	if (good)
		return container;
	json_decref(container);
	return NULL;
}

static json_t *
read_value(struct reader *reader)
{
	skip_space(reader);
	if (reader->depth >= JSON_DEPTH_MAX)
		return NULL;
	switch (look(reader)) {
	case '{':
		return read_inside(reader, json_object(), '}', read_member);
	case '[':
		return read_inside(reader, json_array(), ']', read_element);
	case '"':
		return read_string(reader);
	case 't':
		return read_word(reader, "true", json_true());
	case 'f':
		return read_word(reader, "false", json_false());
	case 'n':
		return read_word(reader, "null", json_null());
	default:
		return read_integer(reader);
	}
}

json_t *
json_plain(const char *text, size_t n)
{
	struct reader reader = {.at = text, .end = text + n};
	json_t *value = read_value(&reader);

	skip_space(&reader);
	if (value && json_is_object(value) && reader.at == reader.end)
		return value;
	json_decref(value);
	return NULL;
}
