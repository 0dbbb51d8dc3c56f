/* SPDX-License-Identifier: ISC */
/* SHA-256, by libcrypto, as 64 lower-case hex digits. */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_SIZE 65 /* with the NUL */

struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *digest, const void *bytes, size_t n);
void digest_end(struct digest *digest, char ret_hex[DIGEST_SIZE]); /* frees DIGEST */
void digest_free(struct digest *digest);			   /* NULL is fine */

void digest_of(const void *bytes, size_t n, char ret_hex[DIGEST_SIZE]);
bool digest_valid(const char *hex);

#endif
