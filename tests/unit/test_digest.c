/* SPDX-License-Identifier: ISC */
/* SHA-256 against the vectors of FIPS 180-2 and of the empty text, whole and in pieces of every
 * small size. */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/digest.h"
#include "common/xalloc.h"

static const struct {
	int line;
	const char *text;
	size_t times;
	const char *want;
} vectors[] = {
    {__LINE__, "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {__LINE__, "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {__LINE__, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {__LINE__, "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

START_TEST(known)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct digest *digest = digest_new();
		char got[DIGEST_SIZE];

		for (size_t k = 0; k < vectors[i].times; k++)
			digest_add(digest, vectors[i].text, strlen(vectors[i].text));
		digest_end(digest, got);
		ck_assert_msg(strcmp(got, vectors[i].want) == 0, "line %d: %s", vectors[i].line,
			      got);
	}
}
END_TEST

START_TEST(pieces)
{
	char text[1000], whole[DIGEST_SIZE], got[DIGEST_SIZE];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	digest_of(text, sizeof(text), whole);
	for (size_t size = 1; size < 200; size++) {
		struct digest *digest = digest_new();

		for (size_t at = 0; at < sizeof(text); at += size)
			digest_add(digest, text + at,
				   size < sizeof(text) - at ? size : sizeof(text) - at);
		digest_end(digest, got);
		ck_assert_str_eq(got, whole);
	}
	digest_free(digest_new());
	digest_free(NULL);
}
END_TEST

START_TEST(valid)
{
	ck_assert(digest_valid(vectors[0].want));
	ck_assert(!digest_valid(NULL));
	ck_assert(!digest_valid(""));
	ck_assert(
	    !digest_valid("E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
	ck_assert(!digest_valid(vectors[0].want + 1));
}
END_TEST

UNIT_MAIN("digest", known, pieces, valid)
