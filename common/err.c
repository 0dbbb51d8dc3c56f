/* SPDX-License-Identifier: ISC */
/*
 * The table of errors, read in both directions: symbol → name, exit code and errno; name → symbol.
 * An error owns its fields; its sentence lies in it, so that making one never fails.
 */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/xalloc.h"

static const struct {
	const char *name;
	int exit, number;
} table[ERR_MAX_] = {
#define X(symbol, name, exit, number) [ERR_##symbol] = {name, exit, number},
    ERR_TABLE(X)
#undef X
};

/* Drops the half of a character that snprintf may have left at the end of a full buffer. */
static void
cut_at_character(char *s)
{
	size_t n = strlen(s), start = n;

	while (start > 0 && n - start < 3 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	unsigned char lead = (unsigned char)s[--start];
	size_t whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (whole > n - start)
		s[start] = '\0';
}

/* Formats into ROOM bytes at S, cut at a character. */
static void format_cut(char *s, size_t room, const char *format, va_list ap) _printf_(3, 0);

static void
format_cut(char *s, size_t room, const char *format, va_list ap)
{
	int n = vsnprintf(s, room, format, ap);

	if (n < 0)
		s[0] = '\0';
	else if ((size_t)n >= room)
		cut_at_character(s);
}

/* Replaces the sentence. Formats aside first: an argument may point into the one that is there. */
static void set_text(struct err *err, const char *format, ...) _printf_(2, 3);

static void
set_text(struct err *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, format);
	format_cut(text, sizeof(text), format, ap);
	va_end(ap);
	memcpy(err->text, text, strlen(text) + 1);
}

int
err_set(struct err *err, enum err_code code, const char *format, ...)
{
	va_list ap;

	if (err) {
		char text[sizeof(err->text)];
		va_start(ap, format);
		format_cut(text, sizeof(text), format, ap);
		va_end(ap);
		memcpy(err->text, text, strlen(text) + 1);
		json_decref(err->fields);
		err->fields = NULL;
		err->code = code;
	}
	return -table[code].number;
}

int
err_errno(struct err *err, int number, const char *format, ...)
{
	char text[sizeof(err->text)], reason[128];
	va_list ap;

	if (!err)
		return -number;
	va_start(ap, format);
	format_cut(text, sizeof(text), format, ap);
	va_end(ap);
	(void)err_set(err, number == ENOSPC || number == EDQUOT ? ERR_NO_SPACE : ERR_FAILED,
		      "%.800s: %s", text, strerror_r(number, reason, sizeof(reason)));
	return -number;
}

void
err_field(struct err *err, const char *name, json_t *value)
{
	if (!err) {
		json_decref(value);
		return;
	}
	if (!err->fields)
		err->fields = json_object();
	if (!err->fields || json_object_set_new(err->fields, name, value) < 0)
		xalloc_die();
}

void
err_rule(struct err *err, enum err_rule rule)
{
	static const char *const names[] = {
#define X(symbol, name) [ERR_RULE_##symbol] = name,
	    ERR_RULES(X)
#undef X
	};

	err_field(err, "rule", json_string(names[rule]));
}

void
err_clear(struct err *err)
{
	if (!err)
		return;
	json_decref(err->fields);
	err->fields = NULL;
	err->code = ERR_NONE;
	err->text[0] = '\0';
}

void
err_prefix(struct err *err, const char *format, ...)
{
	char prefix[sizeof(err->text)];
	va_list ap;

	if (!err)
		return;
	va_start(ap, format);
	format_cut(prefix, sizeof(prefix), format, ap);
	va_end(ap);
	set_text(err, "%s: %s", prefix, err->text);
}

const char *
err_name(enum err_code code)
{
	return table[code == ERR_NONE ? ERR_FAILED : code].name;
}

const char *
err_word(enum err_code code)
{
	const char *name = err_name(code), *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

int
err_exit(enum err_code code)
{
	return table[code].exit;
}

enum err_code
err_from_name(const char *name)
{
	for (unsigned i = ERR_NONE + 1; i < ERR_MAX_; i++)
		if (!strcmp(table[i].name, name))
			return (enum err_code)i;
	return ERR_NONE;
}
