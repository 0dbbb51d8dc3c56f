/* SPDX-License-Identifier: ISC */
/* Signatures as texts: what is signed, and minisign's keys and files taken apart. Nothing is
 * verified here: sigverify.c. */
#include "common/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"

#define KEY_BYTES	42 /* algorithm, id, key */
#define SIGNATURE_BYTES 74 /* algorithm, id, signature */

/* The value of a base64 digit, or -1. */
static int
digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Exactly SIZE bytes out of the N characters of TEXT, with padding, and no other way to write them.
 */
static bool
decode(const char *text, size_t n, unsigned char *ret, size_t size)
{
	unsigned bits = 0;
	int have = 0;
	size_t made = 0, i;

	if (n != (size + 2) / 3 * 4)
		return false;
	for (i = 0; i < n && text[i] != '='; i++) {
		int value = digit(text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (made == size)
				return false;
			ret[made++] = (unsigned char)(bits >> have);
			bits &= (1U << have) - 1;
		}
	}
	for (size_t k = i; k < n; k++)
		if (text[k] != '=')
			return false;
	return made == size && bits == 0 && n - i <= 2;
}

int
signature_parse_key(const char *text, struct signature_key *ret_key)
{
	unsigned char raw[KEY_BYTES];

	if (!decode(text, strlen(text), raw, sizeof(raw)) || raw[0] != 'E' || raw[1] != 'd')
		return -EINVAL;
	memcpy(ret_key->id, raw + 2, sizeof(ret_key->id));
	memcpy(ret_key->key, raw + 10, sizeof(ret_key->key));
	return 0;
}

/* The next line of *TEXT, without its end; behind it *TEXT goes on. False: there is none. */
static bool
next_line(const char **text, const char **ret_line, size_t *ret_n)
{
	size_t n = strcspn(*text, "\n");

	if (**text == '\0')
		return false;
	*ret_line = *text;
	*ret_n = n > 0 && (*text)[n - 1] == '\r' ? n - 1 : n;
	*text += (*text)[n] == '\n' ? n + 1 : n;
	return true;
}

static bool
begins(const char *line, size_t n, const char *with, size_t *ret_skip)
{
	*ret_skip = strlen(with);
	return n >= *ret_skip && strncmp(line, with, *ret_skip) == 0;
}

static int
malformed(struct err *err, const char *what)
{
	(void)err_set(err, ERR_FAILED,
		      "it is no signature of minisign (%s): give the whole .minisig file", what);
	return -EINVAL;
}

int
signature_parse(const char *text, struct signature *ret_signature, struct err *err)
{
	unsigned char raw[SIGNATURE_BYTES];
	struct signature parsed;
	const char *line;
	size_t n, skip;

	if (strlen(text) > SIGNATURE_MAX)
		return malformed(err, "it is too long");
	if (!next_line(&text, &line, &n) || !begins(line, n, "untrusted comment:", &skip))
		return malformed(err, "it does not begin with its comment");
	if (!next_line(&text, &line, &n) || !decode(line, n, raw, sizeof(raw)))
		return malformed(err, "its second line is not one");
	if (raw[0] != 'E' || (raw[1] != 'd' && raw[1] != 'D'))
		return malformed(err, "it is of another kind");
	parsed.hashed = raw[1] == 'D';
	memcpy(parsed.id, raw + 2, sizeof(parsed.id));
	memcpy(parsed.signature, raw + 10, sizeof(parsed.signature));
	if (!next_line(&text, &line, &n) || !begins(line, n, "trusted comment: ", &skip))
		return malformed(err, "its trusted comment is missing");
	parsed.comment = line + skip;
	parsed.ncomment = n - skip;
	if (!next_line(&text, &line, &n) || !decode(line, n, parsed.global, sizeof(parsed.global)))
		return malformed(err, "its last line is not one");
	if (next_line(&text, &line, &n))
		return malformed(err, "more follows");
	*ret_signature = parsed;
	return 0;
}

void
signature_id(const struct signature *signature, char ret_id[17])
{
	for (int i = 0; i < 8; i++) /* the last byte first */
		(void)snprintf(ret_id + 2 * i, 3, "%02X", signature->id[7 - i]);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(json_get_string(*(json_t *const *)a, "name"),
		      json_get_string(*(json_t *const *)b, "name"));
}

char *
signature_text(const char *application, const char *release, const json_t *artifacts)
{
	size_t n = json_array_size(artifacts);
	json_t **sorted = xcalloc(n + 1, sizeof(json_t *));
	char *text = xasprintf("bmd build 1\napplication %s\nrelease %s\n", application, release);

	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(artifacts, i);
	qsort(sorted, n, sizeof(json_t *), by_name);
	for (size_t i = 0; i < n; i++) {
		char *longer =
		    xasprintf("%sartifact %s %s\n", text, json_get_string(sorted[i], "digest"),
			      json_get_string(sorted[i], "name"));

		free(text);
		text = longer;
	}
	free(sorted);
	return text;
}
