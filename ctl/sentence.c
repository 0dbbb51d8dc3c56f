/* SPDX-License-Identifier: ISC */
/* A time is found by its form, to the digit: nothing else is touched. */
#include "ctl/sentence.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/time/when.h"
#include "common/xalloc.h"

#define FORM  "dddd-dd-dd dd:dd:dd"
#define EAST  "sdd:dd"
#define DEPTH 8 /* of a reply: no sentence lies deeper */

/* Does TEXT begin with FORM: d is a digit, s a sign, the rest itself? */
static bool
has_form(const char *text, const char *form)
{
	for (; *form != '\0'; form++, text++)
		if (*form == 'd'   ? !isdigit((unsigned char)*text)
		    : *form == 's' ? *text != '+' && *text != '-'
				   : *text != *form)
			return false;
	return true;
}

static int
number(const char *digits, int n)
{
	int value = 0;

	while (n-- > 0)
		value = value * 10 + *digits++ - '0';
	return value;
}

/* How long the name of a zone is that follows with a blank before it; 0: none. */
static size_t
zone_length(const char *text)
{
	size_t n = *text == ' '
		       ? 1 + strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					      "0123456789_+-/")
		       : 0;

	return n > 1 && (memchr(text, '/', n) != NULL || (n == 4 && memcmp(text, " UTC", 4) == 0))
		   ? n
		   : 0;
}

/* Is TEXT a time? Its length, and the instant. */
static size_t
take_time(const char *text, int64_t *ret_us)
{
	const char *rest = text + sizeof(FORM) - 1;
	struct tm tm = {0};
	int64_t fraction_us = 0, east_s;

	if (!has_form(text, FORM))
		return 0;
	tm.tm_year = number(text, 4) - 1900;
	tm.tm_mon = number(text + 5, 2) - 1;
	tm.tm_mday = number(text + 8, 2);
	tm.tm_hour = number(text + 11, 2);
	tm.tm_min = number(text + 14, 2);
	tm.tm_sec = number(text + 17, 2);
	if (has_form(rest, ".dddddd")) {
		fraction_us = number(rest + 1, 6);
		rest += 7;
	}
	if (!has_form(rest, EAST))
		return 0;
	east_s = number(rest + 1, 2) * 3600 + number(rest + 4, 2) * 60;
	*ret_us =
	    ((int64_t)timegm(&tm) - (*rest == '-' ? -east_s : east_s)) * WHEN_SECOND + fraction_us;
	rest += sizeof(EAST) - 1;
	return (size_t)(rest - text) + zone_length(rest);
}

/* Does the time of N bytes end with the name KEEP? */
static bool
is_of(const char *text, size_t n, const char *keep)
{
	size_t length = keep != NULL ? strlen(keep) : 0;

	return length > 0 && n > length && text[n - length - 1] == ' ' &&
	       memcmp(text + n - length, keep, length) == 0;
}

char *
sentence_local(const char *text, const char *zone, const char *keep)
{
	char *out = xstrdup("");

	while (*text != '\0') {
		int64_t us = 0;
		size_t n = take_time(text, &us);
		/* As it is: up to where the next one may begin, or one that is kept. */
		int plain = n == 0		   ? 1 + (int)strcspn(text + 1, "0123456789")
			    : is_of(text, n, keep) ? (int)n
						   : 0;
		char *longer = plain == 0 ? xasprintf("%s%s", out, when_local(us, zone).s)
					  : xasprintf("%s%.*s", out, plain, text);

		free(out);
		out = longer;
		text += plain == 0 ? n : (size_t)plain;
	}
	return out;
}

static json_t *
localized(const json_t *value, const char *zone, const char *keep)
{
	_cleanup_free_ char *text = sentence_local(json_string_value(value), zone, keep);

	return json_string(text);
}

static void
list_local(json_t *list, const char *zone)
{
	json_t *value;
	size_t i;

	json_array_foreach (list, i, value)
		if (json_is_string(value))
			json_array_set_new(list, i, localized(value, zone, NULL));
}

static void
local(json_t *value, const char *zone, const char *keep, int depth)
{
	const char *key, *kind, *own;
	json_t *member;
	size_t i;
	void *next;

	if (depth == 0)
		return;
	kind = json_get_string(value, "kind");
	own = json_get_string(value, "zone");
	keep = own != NULL ? own : keep;
	json_array_foreach (value, i, member)
		local(member, zone, keep, depth - 1);
	json_object_foreach_safe (value, next, key, member) {
		bool waits =
		    strcmp(key, "text") == 0 && kind != NULL && strcmp(kind, "window") != 0;

		if (strcmp(key, "warnings") == 0 || strcmp(key, "problems") == 0)
			list_local(member, zone);
		else if (json_is_string(member) &&
			 (waits || strcmp(key, "message") == 0 || strcmp(key, "needs") == 0))
			json_object_set_new(value, key, localized(member, zone, keep));
		else if (strcmp(key, "lines") != 0)
			local(member, zone, keep, depth - 1);
	}
}

void
sentences_local(json_t *reply, const char *zone)
{
	local(reply, zone, NULL, DEPTH);
}
