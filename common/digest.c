/* SPDX-License-Identifier: ISC */
/*
 * The one door to libcrypto. Its plain functions, though 3.0 calls them deprecated, and not EVP:
 * that reads a configuration file and loads providers at the first digest of each process (a
 * millisecond, a megabyte) and needs the whole library, whereas these link from the archive alone
 * (configure.ac). They do not fail.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/digest.h"

#include <openssl/sha.h>
#include <string.h>

#include "common/xalloc.h"

struct digest {
	SHA256_CTX context;
};

struct digest *
digest_new(void)
{
	struct digest *digest = xcalloc(1, sizeof(*digest));

	(void)SHA256_Init(&digest->context);
	return digest;
}

void
digest_add(struct digest *digest, const void *bytes, size_t n)
{
	(void)SHA256_Update(&digest->context, bytes, n);
}

static void
to_hex(const unsigned char *raw, size_t n, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	hex[2 * n] = 0;
}

void
digest_end(struct digest *digest, char ret_hex[DIGEST_SIZE])
{
	unsigned char raw[SHA256_DIGEST_LENGTH];

	(void)SHA256_Final(raw, &digest->context);
	to_hex(raw, sizeof(raw), ret_hex);
	digest_free(digest);
}

void
digest_free(struct digest *digest)
{
	free(digest);
}

void
digest_of(const void *bytes, size_t n, char ret_hex[DIGEST_SIZE])
{
	struct digest *digest = digest_new();

	digest_add(digest, bytes, n);
	digest_end(digest, ret_hex);
}

bool
digest_valid(const char *hex)
{
	return hex && strlen(hex) == DIGEST_SIZE - 1 &&
	       strspn(hex, "0123456789abcdef") == DIGEST_SIZE - 1;
}
