/* SPDX-License-Identifier: ISC */
/*
 * What is printed for a person. Whatever came from elsewhere is escaped here, at the one door to
 * the terminal, so that no caller can forget it.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/scope.h"

enum table_flags {
	TABLE_RIGHT = 1, /* numbers */
	TABLE_STATE = 2, /* coloured by its word */
	TABLE_CUT = 4,	 /* may be cut when the terminal is too narrow */
	TABLE_TIME = 8,	 /* the same, but date, time and offset stay, to be typed back */
};
struct table_column {
	const char *head;
	unsigned flags;
};

struct table;
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *table); /* NULL is fine */
/* Adds a row: one const char * a column, copied; NULL is shown as "-". */
void table_row(struct table *table, ...);
/* WIDTH: columns of the terminal; 0 is no terminal: nothing is cut, and no column without a word
 * left out. A table without rows prints nothing. */
void table_print(const struct table *table, FILE *f, size_t width, bool color);

/* Columns that UTF-8 TEXT takes on a terminal (in the locale of the process). */
size_t table_width(const char *text);
/* The colour of a state's word, as an escape sequence; NULL for none. */
const char *table_color(const char *state);

/* One line, escaped, and a newline. */
void table_line(FILE *f, const char *format, ...) _printf_(2, 3);

/* Standard output, as far as it was printed, is written out. What then is lost is remembered: the
 * first errno; 0: nothing was. */
void table_flush(void);
int table_lost(void);

/* From now on commands in lines and cells are shown as they have to be typed for HOST (borrowed):
 * "bmctl cancel 42" as "bmctl -H HOST cancel 42". IS_VERB tells whether the N bytes at WORD are the
 * first word of one. */
void table_program(const char *host, bool (*is_verb)(const char *word, size_t n));

DEFINE_CLEANUP(struct table *, cleanup_table, table_free)
#define _cleanup_table_ _cleanup_(cleanup_table)

#endif
