/* SPDX-License-Identifier: ISC */
/*
 * The memory of JSON values: many small pieces that come and go together, a hundred for a message. Kept
 * on lists by size they cost a fifth of what malloc(3) asks, which keeps seven of a size.
 */
#ifndef COMMON_POOL_H
#define COMMON_POOL_H

/* From here on jansson takes its memory from the lists; before the first value. At most POOL_KEPT_BYTES lie on them unused. */
#define POOL_KEPT_BYTES (32 * 1024)
void pool_use(void);

#endif
