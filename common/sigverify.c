/* SPDX-License-Identifier: ISC */
/*
 * The second door to libcrypto, beside digest.c: Ed25519 and BLAKE2b-512, which it has by EVP
 * alone. A file of its own, so that only those programs are linked with all that who verify
 * signatures.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/signature.h"

static bool
ed25519(const unsigned char key[32], const unsigned char signature[64], const void *bytes, size_t n)
{
	EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = public && context &&
		    EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1 &&
		    EVP_DigestVerify(context, signature, 64, bytes, n) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(public);
	return good;
}

/* The signature of TEXT, and that of the signature with its comment. */
static bool
good(const struct signature *signature, const unsigned char key[32], const char *text)
{
	unsigned char hash[64], global[64 + SIGNATURE_MAX];
	unsigned size = 0;
	const void *bytes = text;
	size_t n = strlen(text);

	if (signature->hashed) {
		if (EVP_Digest(text, n, hash, &size, EVP_blake2b512(), NULL) != 1 ||
		    size != sizeof(hash))
			return false;
		bytes = hash;
		n = sizeof(hash);
	}
	memcpy(global, signature->signature, 64);
	memcpy(global + 64, signature->comment, signature->ncomment);
	return ed25519(key, signature->signature, bytes, n) &&
	       ed25519(key, signature->global, global, 64 + signature->ncomment);
}

int
signature_verify(const char *signature, const char *text, char *const *keys, size_t nkeys,
		 struct err *err)
{
	struct signature parsed;
	char id[17];
	bool known = false;
	int r = signature_parse(signature, &parsed, err);

	if (r < 0)
		return r;
	/* No configuration of libcrypto's has a say in what is a good signature. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	for (size_t i = 0; i < nkeys; i++) {
		struct signature_key key;

		if (signature_parse_key(keys[i], &key) < 0 ||
		    memcmp(key.id, parsed.id, sizeof(key.id)) != 0)
			continue;
		known = true;
		if (good(&parsed, key.key, text))
			return 0;
	}
	signature_id(&parsed, id);
	(void)err_set(err, ERR_FAILED,
		      known ? "it is by the key %s, but not of this build"
			    : "it is by the key %s, which is none of the stage's",
		      id);
	return -EPERM;
}
