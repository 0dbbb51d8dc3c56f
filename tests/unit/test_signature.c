/* SPDX-License-Identifier: ISC */
/* Signatures that minisign 0.11 made, in both of its ways, and everything that is not quite one. */
#include <errno.h>
#include <string.h>

#include "common/signature.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static char key[] = "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4w",
	    other_key[] = "RWR/Wtdl++g8Sh/FNpPEf9ODL2qfif5m/31JRhJSE1L9p/FwojNeo2MN";

#define TEXT                                             \
	"bmd build 1\napplication shop\nrelease 1.0.2\n" \
	"artifact 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 site\n"

#define LINE1 "untrusted comment: signature from minisign secret key\n"
#define LINE3 "trusted comment: made by a test\n"
#define LEGACY2                                                                                    \
	"RWQ1QMblV04ujTWBn4VPtaaXiMUAS1pczQqtKf2OTH5S4E9cSrLkF2WFPLwa0THuA0nuTiPuVN8utaT4kih0aLR7" \
	"BE"                                                                                       \
	"GfbrztyQE=\n"
#define LEGACY4                                                                        \
	"bzrO9S+Vtwg7lNDF6ju0wegLiMXpGfvqQ+Edup3B9uAWt4J85xmq6XhS4rb1tFV99d2buAcvGAi/" \
	"+okiu6fsBg==\n"
#define HASHED2                                                       \
	"RUQ1QMblV04ujfeoQ6ProNam6+fiSTGbwYCLkipuAhCjIj8FKY6UGb1WDg/" \
	"gsL0WSgcNMzlkwnOp7pU6bNVRPdpTSY"                             \
	"0kJIOQGgQ=\n"
#define HASHED4                                                                                    \
	"1PJlcs4pZ39j+s9RQs3TqxirAK5xdxvRoiesWfw46zqryTxnyKMHXQ9Cu+FHuyWQWBluVr4oE6hxEyJFCPAwAw==" \
	"\n"
#define OTHER                                                                                      \
	LINE1                                                                                      \
	    "RUR/Wtdl++g8Stoc+0EmUxTmIkU1H0wp27Va+vssjkQraMfbVb4NlJzSL9C5V5+iuvDCxAXHPQVUbT6BOU3"  \
	    "ytMFopWt8n8GDVQ0=\n" LINE3 "S+"                                                       \
					"AMjelLNxR21qlIsipXneFR8nE59iaN1QMuJmaDpsFWReHLRDEPs0luAD" \
					"zMFPr4XFiB7FwxWSpT7pqBajHsBw==\n"
#define LEGACY LINE1 LEGACY2 LINE3 LEGACY4
#define HASHED LINE1 HASHED2 LINE3 HASHED4

static const struct {
	int line;
	const char *signature, *text;
	int result;
	const char *words;
} rows[] = {
    {__LINE__, LEGACY, TEXT, 0, ""},
    {__LINE__, HASHED, TEXT, 0, ""},
    {__LINE__, LINE1 HASHED2 "trusted comment: made by a test\r\n" HASHED4, TEXT, 0, ""},
    {__LINE__, "untrusted comment: anything\n" HASHED2 LINE3 HASHED4, TEXT, 0, ""},
    /* another text: of another application, release, build, or a little longer */
    {__LINE__, HASHED, "", -EPERM, "by the key 8D2E4E57E5C64035, but not of this build"},
    {__LINE__, HASHED, TEXT "\n", -EPERM, "not of this build"},
    {__LINE__, LEGACY, TEXT "\n", -EPERM, "not of this build"},
    {__LINE__, LEGACY,
     "bmd build 1\napplication till\nrelease 1.0.2\n"
     "artifact 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 site\n",
     -EPERM, "not of this build"},
    {__LINE__, OTHER, TEXT, -EPERM, "by the key 4A3CE8FB65D75A7F, which is none of the stage's"},
    /* the comment is signed, too; and one signature is not the other */
    {__LINE__, LINE1 HASHED2 "trusted comment: made by another\n" HASHED4, TEXT, -EPERM,
     "not of this build"},
    {__LINE__, LINE1 HASHED2 LINE3 LEGACY4, TEXT, -EPERM, "not of this build"},
    {__LINE__, LINE1 LEGACY2 LINE3 HASHED4, TEXT, -EPERM, "not of this build"},
    /* no signature */
    {__LINE__, "", TEXT, -EINVAL, "does not begin with its comment"},
    {__LINE__, LINE1, TEXT, -EINVAL, "its second line"},
    {__LINE__, LINE1 HASHED2, TEXT, -EINVAL, "trusted comment is missing"},
    {__LINE__, LINE1 HASHED2 LINE3, TEXT, -EINVAL, "its last line"},
    {__LINE__, HASHED "more\n", TEXT, -EINVAL, "more follows"},
    {__LINE__, LINE1 "RUQ1QMblV04ujfeo\n" LINE3 HASHED4, TEXT, -EINVAL, "its second line"},
    {__LINE__, LINE1 HASHED4 LINE3 HASHED2, TEXT, -EINVAL, "its second line"},
    {__LINE__, HASHED2 LINE3 HASHED4, TEXT, -EINVAL, "does not begin"},
};

START_TEST(as_minisign_makes_them)
{
	char *const keys[] = {key};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err err = ERR_INIT;
		int r = signature_verify(rows[i].signature, rows[i].text, keys, 1, &err);

		ck_assert_msg(r == rows[i].result, "line %d: %d", rows[i].line, r);
		ck_assert_msg(strstr(err.text, rows[i].words) != NULL, "line %d: %s", rows[i].line,
			      err.text);
		err_clear(&err);
	}
}
END_TEST

START_TEST(any_of_several_keys)
{
	char *const both[] = {other_key, key};

	ck_assert_int_eq(signature_verify(HASHED, TEXT, both, 2, NULL), 0);
	ck_assert_int_eq(signature_verify(OTHER, TEXT, both, 2, NULL), 0);
	ck_assert_int_eq(signature_verify(HASHED, TEXT, both, 1, NULL), -EPERM);
	ck_assert_int_eq(signature_verify(HASHED, TEXT, both, 0, NULL), -EPERM);
}
END_TEST

/* Cut anywhere, or with any one character changed, it does not count. (The first comment is
 * nobody's, and the end of the last line may be missing.) */
START_TEST(cut_or_changed)
{
	static const char *const whole[] = {HASHED, LEGACY};
	char *const keys[] = {key};

	for (size_t k = 0; k < ARRAY_SIZE(whole); k++) {
		size_t n = strlen(whole[k]);

		for (size_t i = 0; i + 1 < n; i++) {
			_cleanup_free_ char *cut = xstrndup(whole[k], i);

			ck_assert_msg(signature_verify(cut, TEXT, keys, 1, NULL) < 0, "cut at %zu",
				      i);
		}
		for (size_t i = strlen(LINE1); i + 1 < n; i++) {
			_cleanup_free_ char *changed = xstrdup(whole[k]);

			changed[i] = changed[i] == 'A' ? 'B' : 'A';
			ck_assert_msg(signature_verify(changed, TEXT, keys, 1, NULL) < 0,
				      "changed at %zu", i);
		}
	}
}
END_TEST

static const struct {
	int line;
	const char *text;
	bool good;
} keys_table[] = {
    {__LINE__, "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4w", true},
    {__LINE__, "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4", false},
    {__LINE__, "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4ww", false},
    {__LINE__, "RUQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4w", false},
    {__LINE__, "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4-", false},
    {__LINE__, "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4=", false},
    {__LINE__, "untrusted comment: minisign public key", false},
    {__LINE__, "", false},
};

START_TEST(public_keys)
{
	struct signature_key parsed;

	for (size_t i = 0; i < ARRAY_SIZE(keys_table); i++)
		ck_assert_msg((signature_parse_key(keys_table[i].text, &parsed) == 0) ==
				  keys_table[i].good,
			      "line %d", keys_table[i].line);
}
END_TEST

START_TEST(what_is_signed)
{
	json_t *artifacts = json_pack("[{s:s, s:s}, {s:s, s:s}]", "name", "site", "digest", "d1",
				      "name", "db", "digest", "d2");
	char *text = signature_text("shop", "1.0.2", artifacts);

	ck_assert_str_eq(text, "bmd build 1\napplication shop\nrelease 1.0.2\nartifact d2 db\n"
			       "artifact d1 site\n");
	free(text);
	json_decref(artifacts);
	artifacts = json_array();
	text = signature_text("shop", "1.0.2", artifacts);
	ck_assert_str_eq(text, "bmd build 1\napplication shop\nrelease 1.0.2\n");
	free(text);
	json_decref(artifacts);
}
END_TEST

UNIT_MAIN("signature", as_minisign_makes_them, any_of_several_keys, cut_or_changed, public_keys,
	  what_is_signed)
