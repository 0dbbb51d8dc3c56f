/* SPDX-License-Identifier: ISC */
/* The one door to libcrypto. EVP fails only for want of memory here, hence the exit. */
#include "common/digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "common/xalloc.h"

struct digest {
	EVP_MD_CTX *context;
};

struct digest *
digest_new(void)
{
	struct digest *digest = xcalloc(1, sizeof(*digest));

	digest->context = EVP_MD_CTX_new();
	if (!digest->context || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
		xalloc_die();
	return digest;
}

void
digest_add(struct digest *digest, const void *bytes, size_t n)
{
	if (EVP_DigestUpdate(digest->context, bytes, n) != 1)
		xalloc_die();
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
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_DigestFinal_ex(digest->context, raw, &n) != 1 || n != 32)
		xalloc_die();
	to_hex(raw, n, ret_hex);
	digest_free(digest);
}

void
digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->context);
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
