/* SPDX-License-Identifier: ISC */
/*
 * Signatures of builds, as minisign(1) makes them: Ed25519, over the text itself (legacy) or over
 * its BLAKE2b-512. What is signed is a text that says of which application and release a build is,
 * and what its files are:
 *
 *	bmd build 1
 *	application shop
 *	release 1.0.2
 *	artifact DIGEST NAME		a line each, sorted by name
 *
 * so that a signature means nothing for another application, release, or set of files. The number
 * of the build is not in it: the same files may be added again, on another bmd too.
 */
#ifndef COMMON_SIGNATURE_H
#define COMMON_SIGNATURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define SIGNATURE_MAX 4096 /* bytes of a signature file */

struct signature_key {
	unsigned char id[8], key[32];
};
struct signature {
	bool hashed;
	unsigned char id[8], signature[64], global[64];
	const char *comment; /* the trusted one, in the text that was parsed */
	size_t ncomment;
};

/* A public key as minisign prints it: 0 or -EINVAL. */
int signature_parse_key(const char *text, struct signature_key *ret_key);
/* A signature file: 0, or -EINVAL with a sentence (code FAILED) that a caller may prefix. */
int signature_parse(const char *text, struct signature *ret_signature, struct err *err);
/* The id of the key that made it, as minisign prints it. */
void signature_id(const struct signature *signature, char ret_id[17]);
/* The text to sign. ARTIFACTS: array of {name, digest}, in any order. free() */
char *signature_text(const char *application, const char *release, const json_t *artifacts);

/* Is SIGNATURE (a file's text) one of TEXT by one of KEYS? 0, -EINVAL when it is none, -EPERM when
 * it is not of these keys or not of this text; with a sentence (code FAILED). */
int signature_verify(const char *signature, const char *text, char *const *keys, size_t nkeys,
		     struct err *err);

#endif
