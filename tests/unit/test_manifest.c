/* SPDX-License-Identifier: ISC */
/* Manifests: what may stand in one, what finish() refuses, and that a text and a value are the same
 * thing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "artifact/manifest.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define D "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

START_TEST(paths)
{
	static const struct {
		int line;
		const char *path;
		bool good;
	} table[] = {
	    {__LINE__, "a", true},
	    {__LINE__, "a/b/c.txt", true},
	    {__LINE__, ".env", true},
	    {__LINE__, "...", true},
	    {__LINE__, "a/..b", true},
	    {__LINE__, "sp ace", true},
	    {__LINE__, "gr\xc3\xbc\xc3\x9f", true},
	    {__LINE__, "back\\slash", true},
	    {__LINE__, "", false},
	    {__LINE__, "/", false},
	    {__LINE__, "/etc/passwd", false},
	    {__LINE__, ".", false},
	    {__LINE__, "..", false},
	    {__LINE__, "./a", false},
	    {__LINE__, "a/.", false},
	    {__LINE__, "a/..", false},
	    {__LINE__, "a/../b", false},
	    {__LINE__, "a//b", false},
	    {__LINE__, "a/", false},
	    {__LINE__, "a\nb", false},
	    {__LINE__, "a\tb", false},
	    {__LINE__, "a\x1b[31m", false},
	    {__LINE__, "a\x7f", false},
	    {__LINE__, "\xff", false},
	    {__LINE__, "\xc0\xaf", false},
	    {__LINE__, "\xed\xa0\x80", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		int r = manifest_check_path(table[i].path, &err);

		ck_assert_msg((r == 0) == table[i].good, "line %d: %s", table[i].line, err.text);
		if (r < 0) {
			ck_assert_int_eq(err.code, ERR_UPLOAD);
			ck_assert_ptr_nonnull(json_object_get(err.fields, "path"));
			ck_assert_msg(strpbrk(err.text, "\n\x1b") == NULL, "line %d",
				      table[i].line);
		}
	}
}
END_TEST

START_TEST(long_paths)
{
	char path[8192];
	struct err err = ERR_INIT;
	size_t n = 0;

	for (int i = 0; i < MANIFEST_DEPTH_MAX; i++)
		n += (size_t)sprintf(path + n, "%sd", i ? "/" : "");
	ck_assert_int_eq(manifest_check_path(path, NULL), 0);
	strcat(path, "/d");
	ck_assert_int_eq(manifest_check_path(path, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "deeper"));
	err_clear(&err);
	memset(path, 'n', 255);
	path[255] = '\0';
	ck_assert_int_eq(manifest_check_path(path, NULL), 0);
	strcat(path, "n");
	ck_assert_int_lt(manifest_check_path(path, NULL), 0);
	for (n = 0; n < 4096; n++)
		path[n] = n % 200 == 199 ? '/' : 'x';
	path[4095] = '\0';
	ck_assert_int_eq(manifest_check_path(path, NULL), 0);
	path[4095] = 'x', path[4096] = '\0';
	ck_assert_int_lt(manifest_check_path(path, NULL), 0);
}
END_TEST

/* A tree as words: "f:PATH", "x:PATH" (executable), "d:PATH", "l:PATH>TARGET". */
static void
build(struct manifest *manifest, const char *words)
{
	char *copy = strdup(words), *save = NULL;

	for (char *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *target = strchr(word, '>');

		if (target != NULL)
			*target++ = '\0';
		if (word[0] == 'd')
			manifest_add_directory(manifest, word + 2);
		else if (word[0] == 'l')
			manifest_add_link(manifest, word + 2, target);
		else
			manifest_add_file(manifest, word + 2, word[0] == 'x', 1, D);
	}
	free(copy);
}

START_TEST(trees)
{
	static const struct {
		int line;
		const char *words;
		const char *error; /* NULL: good */
	} table[] = {
	    {__LINE__, "", NULL},
	    {__LINE__, "f:a f:b", NULL},
	    {__LINE__, "f:a f:a", "twice"},
	    {__LINE__, "f:a d:a", "twice"},
	    {__LINE__, "l:a>b l:a>b", "twice"},
	    {__LINE__, "d:a d:a", NULL},
	    {__LINE__, "f:a f:a/b", "a file"},
	    {__LINE__, "f:a/b f:a", "a file"},
	    {__LINE__, "f:a f:a! f:a!b/x f:a/b", "a file"},
	    {__LINE__, "d:a d:a! f:a!b/x f:a/b", NULL},
	    {__LINE__, "l:a>b d:b f:a/c", "through a symbolic link"},
	    {__LINE__, "f:a/c l:a>b", "through a symbolic link"},
	    {__LINE__, "f:a/b/c/d l:a/b>../x", "through a symbolic link"},
	    {__LINE__, "l:a>b f:b", NULL},
	    {__LINE__, "l:a>.", NULL},
	    {__LINE__, "l:a>./b/../c", NULL},
	    {__LINE__, "l:a>missing", NULL},
	    {__LINE__, "l:a>missing/../../x", "out of the tree"},
	    {__LINE__, "l:a>..", "out of the tree"},
	    {__LINE__, "l:a>../x", "out of the tree"},
	    {__LINE__, "l:a>/etc/passwd", "absolute"},
	    {__LINE__, "l:d/a>..", NULL},
	    {__LINE__, "l:d/a>../..", "out of the tree"},
	    {__LINE__, "l:d/a>../d/../d/../..", "out of the tree"},
	    {__LINE__, "l:a>a", "circle"},
	    {__LINE__, "l:a>b l:b>a", "circle"},
	    {__LINE__, "l:a>b/x l:b>a/y", "circle"},
	    {__LINE__, "l:a>b l:b>c l:c>d f:d", NULL},
	    /* Each looks harmless alone: up is the root, and up/.. is outside. */
	    {__LINE__, "l:d/up>.. l:x>d/up/../etc", "out of the tree"},
	    {__LINE__, "l:x>d/up/../etc l:d/up>..", "out of the tree"},
	    {__LINE__, "l:d/e/up>../.. l:x>d/e/up/d", NULL},
	    {__LINE__, "l:a/b/c>../.. l:a/b/d>c/.. f:z", "out of the tree"},
	    {__LINE__, "l:deep>a/b/c d:a/b/c l:out>deep/../../..", NULL},
	    {__LINE__, "l:deep>a/b/c d:a/b/c l:out>deep/../../../..", "out of the tree"},
	    {__LINE__, "l:a/x>y l:a/y>../a/z l:a/z>../../q", "out of the tree"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct manifest manifest = {0};
		int r;

		build(&manifest, table[i].words);
		r = manifest_finish(&manifest, &err);
		if (table[i].error == NULL)
			ck_assert_msg(r == 0, "line %d: %s", table[i].line, err.text);
		else
			ck_assert_msg(r < 0 && strstr(err.text, table[i].error), "line %d: \"%s\"",
				      table[i].line, err.text);
		manifest_clear(&manifest);
	}
}
END_TEST

START_TEST(as_text)
{
	struct manifest manifest = {0}, again = {0};
	const struct manifest_entry *entry;
	char *text, *other;
	size_t n, m;

	build(&manifest, "f:b x:a/run d:empty l:link>a/run f:a! d:a d:a/e/f");
	ck_assert_int_eq(manifest_finish(&manifest, NULL), 0);
	text = manifest_format(&manifest, &n);
	ck_assert_str_eq(text, "bmd manifest 1\n"
			       "0644\t1\t" D "\ta!\n"
			       "dir\t0\t-\ta/e/f\n"
			       "0755\t1\t" D "\ta/run\n"
			       "0644\t1\t" D "\tb\n"
			       "dir\t0\t-\tempty\n"
			       "link\t0\ta/run\tlink\n");
	ck_assert_int_eq(manifest_parse(text, n, &again, NULL), 0);
	ck_assert_uint_eq(again.files, 3);
	ck_assert_int_eq(again.bytes, 3);
	other = manifest_format(&again, &m);
	ck_assert_uint_eq(n, m);
	ck_assert_str_eq(text, other);
	entry = manifest_find(&again, "a/run");
	ck_assert(entry != NULL && entry->executable && entry->size == 1);
	ck_assert_ptr_null(manifest_find(&again, "a"));
	free(text);
	free(other);
	manifest_clear(&manifest);
	manifest_clear(&again);
}
END_TEST

#define H "bmd manifest 1\n"
START_TEST(strict)
{
	static const struct {
		int line;
		const char *text;
		bool good;
	} table[] = {
	    {__LINE__, H, true},
	    {__LINE__, H "0644\t5\t" D "\ta\n", true},
	    {__LINE__, "", false},
	    {__LINE__, "bmd manifest 1", false},
	    {__LINE__, "bmd manifest 2\n", false},
	    {__LINE__, H "0644\t5\t" D "\ta", false},
	    {__LINE__, H "0644\t5\t" D "\ta\n\n", false},
	    {__LINE__, H "0644\t05\t" D "\ta\n", false},
	    {__LINE__, H "0644\t+5\t" D "\ta\n", false},
	    {__LINE__, H "0644\t-5\t" D "\ta\n", false},
	    {__LINE__, H "0644\t\t" D "\ta\n", false},
	    {__LINE__, H "0644\t99999999999999999999\t" D "\ta\n", false},
	    {__LINE__, H "0644\t9223372036854775807\t" D "\ta\n0644\t1\t" D "\tb\n", false},
	    {__LINE__, H "0600\t5\t" D "\ta\n", false},
	    {__LINE__, H "4755\t5\t" D "\ta\n", false},
	    {__LINE__, H "0644\t5\tabc\ta\n", false},
	    {__LINE__, H "0644\t5\t" D "\ta\tb\n", false},
	    {__LINE__, H "0644\t5\t" D "\t../a\n", false},
	    {__LINE__, H "0644\t5\t" D "\tb\n0644\t5\t" D "\ta\n", false},
	    {__LINE__, H "0644\t5\t" D "\ta\n0644\t5\t" D "\ta\n", false},
	    {__LINE__, H "dir\t0\t-\ta\n0644\t5\t" D "\ta/b\n", false},
	    {__LINE__, H "dir\t1\t-\ta\n", false},
	    {__LINE__, H "dir\t0\tx\ta\n", false},
	    {__LINE__, H "link\t0\t../x\ta\n", false},
	    {__LINE__, H "link\t1\tx\ta\n", false},
	    {__LINE__, H "link\t0\tx\ta\n", true},
	    {__LINE__, H "link\t0\t\ta\n", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		struct manifest manifest = {0};
		int r = manifest_parse(table[i].text, strlen(table[i].text), &manifest, &err);

		ck_assert_msg(r == (table[i].good ? 0 : -EBADMSG), "line %d: %d %s", table[i].line,
			      r, err.text);
		manifest_clear(&manifest);
	}
}
END_TEST

static void
collect(const struct manifest_entry *old, const struct manifest_entry *new, void *arg)
{
	char *text = arg;

	sprintf(text + strlen(text), "%c%s ",
		!old   ? '+'
		: !new ? '-'
		       : '*',
		new ? new->path : old->path);
}

START_TEST(diff)
{
	struct manifest old = {0}, new = {0};
	char text[256] = "";

	build(&old, "f:a f:b f:c l:l>a d:e");
	build(&new, "f:b x:c f:d l:l>b d:e");
	ck_assert_int_eq(manifest_finish(&old, NULL) | manifest_finish(&new, NULL), 0);
	manifest_diff(&old, &new, collect, text);
	ck_assert_str_eq(text, "-a *c +d *l ");
	manifest_clear(&old);
	manifest_clear(&new);
}
END_TEST

/* What a hostile upload makes expensive: many prefixes, chains of links, links to deep places. */
START_TEST(large)
{
	struct manifest manifest = {0};
	clock_t start = clock();
	char path[64], target[64];

	for (int i = 0; i < 100000; i++) {
		sprintf(path, "d%d/e%d/f%d", i % 10, i % 1000, i);
		manifest_add_file(&manifest, path, false, 1, D);
		sprintf(path, "l%05d", i);
		sprintf(target, i % 30 ? "l%05d" : "d0", i - 1);
		manifest_add_link(&manifest, path, target);
	}
	ck_assert_int_eq(manifest_finish(&manifest, NULL), 0);
	manifest_clear(&manifest);
	for (int i = 0; i < 50; i++) {
		sprintf(path, "l%02d", i);
		sprintf(target, "l%02d", i + 1);
		manifest_add_link(&manifest, path, target);
	}
	ck_assert_int_lt(manifest_finish(&manifest, NULL), 0);
	manifest_clear(&manifest);
	/* Each takes the one before twice: 2^40 steps for who does not remember. */
	manifest_add_directory(&manifest, "l00");
	for (int i = 1; i < 40; i++) {
		sprintf(path, "l%02d", i);
		sprintf(target, "l%02d/../l%02d", i - 1, i - 1);
		manifest_add_link(&manifest, path, target);
	}
	ck_assert_int_lt(manifest_finish(&manifest, NULL), 0);
	manifest_clear(&manifest);
	ck_assert_msg(clock() - start < 10 * CLOCKS_PER_SEC, "too slow");
}
END_TEST

static int
keep(const struct manifest_entry *entry, void *arg)
{
	struct manifest *manifest = arg;

	if (strcmp(entry->path, "stop") == 0)
		return -ECANCELED;
	if (entry->kind == MANIFEST_FILE)
		manifest_add_file(manifest, entry->path, entry->executable, entry->size,
				  entry->digest);
	else if (entry->kind == MANIFEST_LINK)
		manifest_add_link(manifest, entry->path, entry->target);
	else
		manifest_add_directory(manifest, entry->path);
	return 0;
}

/* Walking meets what parsing keeps, ends where it is told to, and refuses lines that are none. */
START_TEST(walk)
{
	static const struct {
		int line;
		const char *text;
		int want;
	} table[] = {
	    {__LINE__, "bmd manifest 1\n", 0},
	    {__LINE__, "bmd manifest 1\ndir\t0\t-\ta\nlink\t0\ta\tb\n0755\t7\t" D "\tc\n", 0},
	    {__LINE__, "bmd manifest 1\ndir\t0\t-\tstop\nnonsense\n", -ECANCELED},
	    {__LINE__, "", -EBADMSG},
	    {__LINE__, "bmd manifest 2\n", -EBADMSG},
	    {__LINE__, "bmd manifest 1\n0644\t7\t" D "\tc", -EBADMSG},
	    {__LINE__, "bmd manifest 1\n0644\t-7\t" D "\tc\n", -EBADMSG},
	    {__LINE__, "bmd manifest 1\n0666\t7\t" D "\tc\n", -EBADMSG},
	    {__LINE__, "bmd manifest 1\n0644\t7\tffff\tc\n", -EBADMSG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *copy = xstrdup(table[i].text), *again = NULL;
		struct manifest manifest = {0};
		int r = manifest_walk(copy, strlen(copy), keep, &manifest, NULL);

		ck_assert_msg(r == table[i].want, "line %d: %d", table[i].line, r);
		again = manifest_format(&manifest, NULL);
		if (r == 0)
			ck_assert_str_eq(again, table[i].text);
		manifest_clear(&manifest);
	}
}
END_TEST

UNIT_MAIN("manifest", paths, long_paths, trees, as_text, strict, walk, diff, large)
