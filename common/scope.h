/* SPDX-License-Identifier: ISC */
/*
 * What a scope frees when it is left. A variable that is declared with one of these is released on
 * every way out of its block; TAKE() hands its value on and leaves nothing to free.
 */
#ifndef COMMON_SCOPE_H
#define COMMON_SCOPE_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define DEFINE_CLEANUP(type, name, destroy) \
	static inline void name(type *p)    \
	{                                   \
		if (*p)                     \
			destroy(*p);        \
	}

DEFINE_CLEANUP(FILE *, cleanup_fclose, fclose)
DEFINE_CLEANUP(json_t *, cleanup_json, json_decref)

static inline void
cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void
cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_	 _cleanup_(cleanup_free)
#define _cleanup_close_	 _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_json_	 _cleanup_(cleanup_json)

#define TAKE(p)                             \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
