/* SPDX-License-Identifier: ISC */
/*
 * A piece is one of malloc(3)'s and may be freed as such: only those that jansson itself gives back
 * go onto the list of their size, as long as there is room on it.
 */
#include "common/pool.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

#include "common/xalloc.h"

#define STEP  16
#define SIZES 8 /* up to 128 bytes: every value, most keys and texts */

struct piece {
	struct piece *next;
};

static struct piece *lists[SIZES + 1];
static size_t kept_bytes;

static void *
take(size_t n)
{
	size_t size = (n + STEP - 1) / STEP;
	struct piece *piece;

	if (size > SIZES || !(piece = lists[size]))
		return xalloc_library(size > SIZES ? n : size * STEP);
	lists[size] = piece->next;
	kept_bytes -= size * STEP;
	return piece;
}

static void
give(void *p)
{
	size_t size = p ? malloc_usable_size(p) / STEP : 0;
	struct piece *piece = p;

	if (size == 0 || size > SIZES || kept_bytes + size * STEP > POOL_KEPT_BYTES) {
		free(p);
		return;
	}
	piece->next = lists[size];
	lists[size] = piece;
	kept_bytes += size * STEP;
}

void
pool_use(void)
{
#ifndef __SANITIZE_ADDRESS__ /* it would not see a use after the free */
	json_set_alloc_funcs(take, give);
#else
	(void)take, (void)give;
#endif
}
