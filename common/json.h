/* SPDX-License-Identifier: ISC */
/*
 * Small helpers over jansson, and the two escapes: bytes into JSON text, text onto a terminal.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* First of all in a program: jansson leaves out what it has no memory for; from here on that ends
 * the process. */
void json_memory(void);
/* Text or null. S must be UTF-8; what is not is made so by json_bytes(). New reference. */
json_t *json_text(const char *s);
/* Any N bytes as a JSON string: valid UTF-8 without control characters (tab excepted) stays, every
   other byte becomes the four characters \xNN. New reference. */
json_t *json_bytes(const void *bytes, size_t n);
/* RFC 3339 UTC with microseconds, or null when US is 0. New reference. */
json_t *json_time(int64_t us);

/* Sets the member NAME, a literal, of OBJECT, which has none of that name yet. Steals VALUE. What
 * answers carry by the dozen is made by this: json_pack() reads its format anew each time. */
#define json_put(object, name, value) json_put_n((object), "" name, sizeof(name) - 1, (value))
void json_put_n(json_t *object, const char *name, size_t n, json_t *value);

/* Members of an object, with a default for a missing or null one. Strings are borrowed. */
const char *json_get_string(const json_t *object, const char *key); /* NULL if absent */
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);
bool json_get_bool(const json_t *object, const char *key); /* false if absent */

/* About how many values a text has: never fewer than half of those in it, a member's name not
 * counted. Each takes up to 250 bytes of memory, however short its text is. */
size_t json_values(const char *text, size_t n);
/* Parses exactly one object of at most LIMIT bytes, duplicates and NUL refused, nesting at most 32
 * deep (checked before parsing). Returns 0, -EINVAL or -E2BIG. */
int json_parse(const char *text, size_t n, size_t limit, json_t **ret_object, struct err *err);
/* Compact, in the order of its keys; its length in RET_N, which may be NULL. Free with free(). */
char *json_compact(const json_t *value, size_t *ret_n);
/* Compact with sorted keys: the canonical form that digests are taken of. Free with free(). */
char *json_canonical(const json_t *value);

/* S made safe for a terminal: control characters (C0, DEL, C1), invalid UTF-8, bidirectional
 * overrides and line separators as \xNN or \u{NNNN}. Newline is escaped too. Free with free(). */
char *json_terminal(const char *s);

#endif
