/* SPDX-License-Identifier: ISC */
/*
 * Memory, or the end of the process: out of memory is one exit (71, EX_OSERR), because recovery
 * after a restart is a tested path anyway. Whatever a peer or a file can make large is bounded
 * before.
 */
#ifndef COMMON_XALLOC_H
#define COMMON_XALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include "common/scope.h"

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s); /* NULL for NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *format, ...) _printf_(1, 2);
char *xvasprintf(const char *format, va_list args) _printf_(1, 0);
void xalloc_die(void) __attribute__((noreturn));
/* For libraries that ask for an allocator: as malloc(), and as libev wants its one (N 0 frees).
 * They too end the process. */
void *xalloc_library(size_t n);
void *xalloc_loop(void *p, long n);

/* Grows ARRAY, which holds N elements of a type, so that one more fits; *CAP is its room. */
#define XGROW(array, n, cap)                                                  \
	do {                                                                  \
		if ((n) == (cap)) {                                           \
			(cap) = (cap) ? (cap)*2 : 8;                          \
			(array) = xrealloc((array), (cap), sizeof(*(array))); \
		}                                                             \
	} while (0)

#endif
