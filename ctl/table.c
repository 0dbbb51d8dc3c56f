/* SPDX-License-Identifier: ISC */
/*
 * Tables with aligned columns, and single lines, escaped. A row is kept as escaped text until the
 * whole table is known; then each column is as wide as its widest cell. On a terminal that is too
 * narrow columns that say nothing are left out, then the widest of those that may be cut gives way.
 */
#include "ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "common/json.h"
#include "common/xalloc.h"

#define GAP   2	 /* between columns */
#define LEAST 8	 /* no column is cut below this */
#define TIME  26 /* nor one of times below this: "2026-11-23 02:00:00+01:00…" */

struct table {
	const struct table_column *columns;
	size_t ncolumns;
	char **cells; /* row by row */
	size_t ncells, room;
};

/* The one thing that all lines have in common: the machine they are about. NULL: this one. */
static const char *typed_host;
static bool (*typed_verb)(const char *word, size_t n);

/* And whether all of them arrived. */
static int lost;

void
table_flush(void)
{
	errno = 0;
	/* What a full buffer wrote on its own has failed unheard, and is tried no more. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && lost == 0)
		lost = errno != 0 ? errno : EIO;
}

int
table_lost(void)
{
	return lost;
}

void
table_program(const char *host, bool (*is_verb)(const char *word, size_t n))
{
	typed_host = host;
	typed_verb = is_verb;
}

/* Is AT, in TEXT, a command: bmctl as a word, and a verb after it? */
static bool
is_command(const char *text, const char *at)
{
	const char *verb = at + strlen("bmctl ");
	size_t n = strlen("ssh ") + strlen(typed_host) + strlen(" ");
	bool over_there = (size_t)(at - text) >= n && memcmp(at - n, "ssh ", strlen("ssh ")) == 0;
	/* A line as it was typed, to be repeated, has the host where it was typed. */
	bool has_host = strstr(verb, " -H") != NULL || strstr(verb, " --host") != NULL;

	return (at == text || strchr(" (:,;", at[-1]) != NULL) && !over_there && !has_host &&
	       typed_verb(verb, strspn(verb, "abcdefghijklmnopqrstuvwxyz"));
}

/* TEXT, escaped for the terminal, with the host in its commands. free() it. */
static char *
shown(const char *text)
{
	_cleanup_free_ char *typed = NULL;
	const char *at;
	size_t n;
	FILE *f;

	if (typed_host == NULL || strstr(text, "bmctl ") == NULL)
		return json_terminal(text);
	if ((f = open_memstream(&typed, &n)) == NULL)
		xalloc_die();
	for (const char *rest = text; *rest != '\0';) {
		at = strstr(rest, "bmctl ");
		n = at != NULL ? (size_t)(at - rest) + strlen("bmctl ") : strlen(rest);
		fwrite(rest, 1, n, f);
		if (at != NULL && is_command(text, at))
			fprintf(f, "-H %s ", typed_host);
		rest += n;
	}
	if (fclose(f) != 0)
		xalloc_die();
	return json_terminal(typed);
}

struct table *
table_new(const struct table_column *columns, size_t n)
{
	struct table *table = xcalloc(1, sizeof(*table));

	table->columns = columns;
	table->ncolumns = n;
	return table;
}

void
table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->ncells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void
table_row(struct table *table, ...)
{
	va_list list;

	va_start(list, table);
	for (size_t i = 0; i < table->ncolumns; i++) {
		const char *cell = va_arg(list, const char *);

		XGROW(table->cells, table->ncells, table->room);
		table->cells[table->ncells++] = shown(cell == NULL || cell[0] == '\0' ? "-" : cell);
	}
	va_end(list);
}

/* Length in bytes and width in columns of the character at S; what the locale does not know is one
 * byte and one column. */
static size_t
character(const char *s, size_t *ret_width)
{
	mbstate_t state = {0};
	wchar_t wc;
	size_t n;
	int width;

	*ret_width = 1;
	if (*s >= ' ' && *s <= '~') /* in every locale, and the most by far */
		return 1;
	n = mbrtowc(&wc, s, strlen(s), &state);
	if (n == 0 || n == (size_t)-1 || n == (size_t)-2)
		return 1;
	width = wcwidth(wc);
	*ret_width = width < 0 ? 1 : (size_t)width;
	return n;
}

size_t
table_width(const char *text)
{
	size_t width = 0, one;

	while (*text != '\0') {
		text += character(text, &one);
		width += one;
	}
	return width;
}

/* Prints TEXT in at most WIDTH columns, with … for what is cut. Returns the columns used. */
static size_t
print_cut(FILE *f, const char *text, size_t width)
{
	size_t used = 0, one;

	if (table_width(text) <= width) {
		fputs(text, f);
		return table_width(text);
	}
	while (*text != '\0') {
		size_t n = character(text, &one);

		if (used + one + 1 > width)
			break;
		fwrite(text, 1, n, f);
		text += n;
		used += one;
	}
	fputs("…", f);
	return used + 1;
}

const char *
table_color(const char *state)
{
	static const struct {
		const char *word, *color;
	} colors[] = {
	    {"succeeded", "\033[32m"}, {"live", "\033[32m"},	   {"ready", "\033[32m"},
	    {"running", "\033[36m"},   {"held", "\033[33m"},	   {"missed", "\033[33m"},
	    {"locked", "\033[33m"},    {"superseded", "\033[33m"}, {"cancelled", "\033[33m"},
	    {"failed", "\033[31m"},    {"not ready", "\033[31m"},  {"lost", "\033[31m"},
	    {"rejected", "\033[31m"},  {"damaged", "\033[31m"},	   {"dirty", "\033[31m"},
	    {"removed", "\033[31m"},   {"added", "\033[32m"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(colors); i++)
		if (strcmp(colors[i].word, state) == 0)
			return colors[i].color;
	return NULL;
}

static void
measure(const struct table *table, size_t *widths)
{
	for (size_t c = 0; c < table->ncolumns; c++)
		widths[c] = table_width(table->columns[c].head);
	for (size_t row = 0; row < table->ncells; row += table->ncolumns)
		for (size_t c = 0; c < table->ncolumns; c++) {
			size_t width = table_width(table->cells[row + c]);

			if (width > widths[c])
				widths[c] = width;
		}
}

static size_t
least(const struct table_column *column)
{
	return column->flags & TABLE_TIME ? TIME : column->flags & TABLE_CUT ? LEAST : SIZE_MAX;
}

/* Of the columns that are shown: one that is not has no width. */
static size_t
total_width(const struct table *table, const size_t *widths)
{
	size_t total = 0;

	for (size_t c = 0; c < table->ncolumns; c++)
		if (widths[c] > 0)
			total += widths[c] + (total > 0 ? GAP : 0);
	return total;
}

static bool
says_nothing(const struct table *table, size_t column)
{
	for (size_t row = 0; row < table->ncells; row += table->ncolumns)
		if (strcmp(table->cells[row + column], "-") != 0)
			return false;
	return true;
}

/* Leaves columns out that have a "-" in each row, the last first, until the table is WIDTH wide. */
static void
leave_out(const struct table *table, size_t *widths, size_t width)
{
	for (size_t c = table->ncolumns; c-- > 1 && total_width(table, widths) > width;)
		if (says_nothing(table, c))
			widths[c] = 0;
}

/* Then takes columns from the widest that may be cut. */
static void
squeeze(const struct table *table, size_t *widths, size_t width)
{
	for (;;) {
		size_t widest = table->ncolumns;

		for (size_t c = 0; c < table->ncolumns; c++)
			if (widths[c] > least(&table->columns[c]) &&
			    (widest == table->ncolumns || widths[c] > widths[widest]))
				widest = c;
		if (total_width(table, widths) <= width || widest == table->ncolumns)
			return;
		widths[widest]--;
	}
}

static void
pad(FILE *f, size_t n)
{
	while (n-- > 0)
		fputc(' ', f);
}

static void
print_cell(FILE *f, const struct table_column *column, const char *text, size_t width, bool last,
	   bool color)
{
	const char *sequence = color && (column->flags & TABLE_STATE) ? table_color(text) : NULL;
	size_t used = table_width(text);

	if ((column->flags & TABLE_RIGHT) != 0 && used < width)
		pad(f, width - used);
	if (sequence != NULL)
		fputs(sequence, f);
	used = print_cut(f, text, width);
	if (sequence != NULL)
		fputs("\033[0m", f);
	if (last)
		return;
	pad(f, GAP + ((column->flags & TABLE_RIGHT) || used > width ? 0 : width - used));
}

/* A row of CELLS; NULL: the heads. */
static void
print_row(const struct table *table, FILE *f, char *const *cells, const size_t *widths, bool color)
{
	size_t last = 0;

	for (size_t c = 0; c < table->ncolumns; c++)
		if (widths[c] > 0)
			last = c;
	for (size_t c = 0; c <= last; c++)
		if (widths[c] > 0)
			print_cell(f, &table->columns[c],
				   cells != NULL ? cells[c] : table->columns[c].head, widths[c],
				   c == last, color && cells != NULL);
	fputc('\n', f);
}

void
table_print(const struct table *table, FILE *f, size_t width, bool color)
{
	_cleanup_free_ size_t *widths = xcalloc(table->ncolumns, sizeof(*widths));

	if (table->ncells == 0)
		return;
	measure(table, widths);
	if (width > 0) {
		leave_out(table, widths, width);
		squeeze(table, widths, width);
	}
	print_row(table, f, NULL, widths, color);
	for (size_t row = 0; row < table->ncells; row += table->ncolumns)
		print_row(table, f, table->cells + row, widths, color);
}

void
table_line(FILE *f, const char *format, ...)
{
	_cleanup_free_ char *line = NULL, *safe = NULL;
	va_list list;

	va_start(list, format);
	if (vasprintf(&line, format, list) < 0)
		xalloc_die();
	va_end(list);
	safe = shown(line);
	fprintf(f, "%s\n", safe);
}
