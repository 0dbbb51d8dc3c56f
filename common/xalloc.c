/* SPDX-License-Identifier: ISC */
/* The one exit for want of memory. */
#include "common/xalloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sysexits.h>

void
xalloc_die(void)
{
	static const char text[] = "out of memory\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EX_OSERR);
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		xalloc_die();
	return p;
}

void *
xrealloc(void *p, size_t n, size_t size)
{
	if (!n || !size)
		n = size = 1;
	p = reallocarray(p, n, size);
	if (!p)
		xalloc_die();
	return p;
}

void *
xalloc_library(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		xalloc_die();
	return p;
}

void *
xalloc_loop(void *p, long n)
{
	if (n <= 0) {
		free(p);
		return NULL;
	}
	return xrealloc(p, 1, (size_t)n);
}

char *
xstrdup(const char *s)
{
	if (!s)
		return NULL;
	return xstrndup(s, strlen(s));
}

char *
xstrndup(const char *s, size_t n)
{
	char *p = strndup(s, n);

	if (!p)
		xalloc_die();
	return p;
}

char *
xvasprintf(const char *format, va_list args)
{
	char *p;

	if (vasprintf(&p, format, args) < 0)
		xalloc_die();
	return p;
}

char *
xasprintf(const char *format, ...)
{
	va_list args;
	char *p;

	va_start(args, format);
	p = xvasprintf(format, args);
	va_end(args);
	return p;
}
