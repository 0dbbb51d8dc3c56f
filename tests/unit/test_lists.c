/* SPDX-License-Identifier: ISC */
/* bmd-import --lists: pages of differences, pieces of a list, and questions that cannot be
 * answered. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "import/lists.h"
#include "tests/unit/unit.h"

static char state[64], absent[DIGEST_SIZE];
static struct objects *objects;

static void
set_up(void)
{
	strcpy(state, "/tmp/test_lists.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(state));
	ck_assert_int_eq(objects_open(state, true, &objects, NULL), 0);
	digest_of("absent", 6, absent);
}

static void
tear_down(void)
{
	objects_close(objects);
	unit_remove(state);
}

static void
put(const char *digest, const char *text, size_t n)
{
	_cleanup_free_ char *path = xasprintf("%s/store/manifests/%s", state, digest);
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, n, file), n);
}

/* A manifest of N files, PREFIX0000 and so on, of SIZE bytes each. */
static void
list(const char *prefix, size_t n, int64_t size, char ret_digest[DIGEST_SIZE])
{
	struct manifest manifest = {0};
	_cleanup_free_ char *text = NULL;
	size_t text_n;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s%04zu", prefix, i);

		manifest_add_file(&manifest, path, false, size, absent);
	}
	ck_assert_int_eq(manifest_finish(&manifest, NULL), 0);
	text = manifest_format(&manifest, &text_n);
	digest_of(text, text_n, ret_digest);
	put(ret_digest, text, text_n);
	manifest_clear(&manifest);
}

/* Asks all QUESTIONS (JSON texts, a NUL behind each) at once: the answers as an array. */
static json_t *
ask(const char *questions, size_t n, int want)
{
	_cleanup_free_ char *in_path = xasprintf("%s/in", state);
	_cleanup_free_ char *out_path = xasprintf("%s/out", state);
	_cleanup_close_ int in = open(in_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	_cleanup_close_ int out = open(out_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	_cleanup_free_ char *text = NULL;
	json_t *answers = json_array();
	struct stat st;

	ck_assert_int_eq(write(in, questions, n), (ssize_t)n);
	ck_assert_int_eq(lseek(in, 0, SEEK_SET), 0);
	ck_assert_int_eq(lists_run(objects, in, out, NULL) < 0, want < 0);
	ck_assert_int_eq(fstat(out, &st), 0);
	text = xcalloc((size_t)st.st_size + 1, 1);
	ck_assert_int_eq(pread(out, text, (size_t)st.st_size, 0), st.st_size);
	for (char *p = text; p < text + st.st_size; p += strlen(p) + 1) {
		ck_assert_uint_le(strlen(p), 1000000);
		json_array_append_new(answers, json_loads(p, 0, NULL));
	}
	return answers;
}

static json_t *
ask_one(char *question)
{
	_cleanup_free_ char *own = question;
	_cleanup_json_ json_t *answers = ask(own, strlen(own) + 1, 0);

	ck_assert_uint_eq(json_array_size(answers), 1);
	return json_incref(json_array_get(answers, 0));
}

static char *
diff_question(const char *old, const char *new, int64_t skip, int64_t limit)
{
	_cleanup_json_ json_t *question =
	    json_pack("{s:[{s:s, s:o, s:o}], s:I, s:I}", "diff", "artifact", "site", "old",
		      old ? json_string(old) : json_null(), "new",
		      new ? json_string(new) : json_null(), "skip", (json_int_t)skip, "limit",
		      (json_int_t)limit);

	return json_dumps(question, JSON_COMPACT);
}

static const char *
change(const json_t *answer, size_t i, const char *key)
{
	return json_get_string(json_array_get(json_object_get(answer, "changes"), i), key);
}

START_TEST(pages)
{
	char a[DIGEST_SIZE], b[DIGEST_SIZE];
	_cleanup_json_ json_t *first = NULL, *second = NULL, *beyond = NULL, *counts = NULL;

	set_up();
	list("a", 5, 1, a);
	list("b", 3, 1, b);
	first = ask_one(diff_question(a, b, 0, 6));
	ck_assert_uint_eq(json_array_size(json_object_get(first, "changes")), 6);
	ck_assert_str_eq(change(first, 0, "change"), "removed");
	ck_assert_str_eq(change(first, 0, "path"), "a0000");
	ck_assert_str_eq(change(first, 0, "artifact"), "site");
	ck_assert_str_eq(change(first, 5, "change"), "added");
	ck_assert_str_eq(json_get_string(first, "next"), "6");
	ck_assert_int_eq(json_get_int(first, "added", -1), 3);
	ck_assert_int_eq(json_get_int(first, "removed", -1), 5);
	second = ask_one(diff_question(a, b, 6, 6));
	ck_assert_uint_eq(json_array_size(json_object_get(second, "changes")), 2);
	ck_assert(json_is_null(json_object_get(second, "next")));
	ck_assert_int_eq(json_get_int(second, "added", -1), 3);
	beyond = ask_one(diff_question(a, b, INT64_MAX, 6));
	ck_assert_uint_eq(json_array_size(json_object_get(beyond, "changes")), 0);
	ck_assert(json_is_null(json_object_get(beyond, "next")));
	counts = ask_one(diff_question(a, NULL, 0, 0));
	ck_assert_uint_eq(json_array_size(json_object_get(counts, "changes")), 0);
	ck_assert_int_eq(json_get_int(counts, "removed", -1), 5);
	tear_down();
}
END_TEST

START_TEST(changes)
{
	char a[DIGEST_SIZE], b[DIGEST_SIZE];
	_cleanup_json_ json_t *answer = NULL;
	const json_t *one;

	set_up();
	list("f", 2, 1, a);
	list("f", 2, 7, b);
	answer = ask_one(diff_question(a, b, 0, 10));
	ck_assert_int_eq(json_get_int(answer, "changed", -1), 2);
	one = json_array_get(json_object_get(answer, "changes"), 0);
	ck_assert_str_eq(json_get_string(one, "change"), "changed");
	ck_assert_int_eq(json_get_int(one, "old_bytes", -1), 1);
	ck_assert_int_eq(json_get_int(one, "new_bytes", -1), 7);
	tear_down();
}
END_TEST

/* Paths so long, and of bytes that JSON doubles, that the limit of a frame ends a page before its
 * own. */
START_TEST(a_page_fits_into_a_frame)
{
	_cleanup_free_ char *prefix = xcalloc(4 * 256, 1);
	char a[DIGEST_SIZE];
	int64_t seen = 0;

	set_up();
	for (int i = 0; i < 3; i++) {
		memset(prefix + i * 251, '"', 250);
		prefix[i * 251 + 250] = '/';
	}
	list(prefix, 2000, 1, a);
	while (seen >= 0) {
		_cleanup_json_ json_t *answer = ask_one(diff_question(NULL, a, seen, 1000));
		size_t n = json_array_size(json_object_get(answer, "changes"));
		const char *next = json_get_string(answer, "next");

		ck_assert_uint_gt(n, 0);
		ck_assert_uint_lt(n, 1000);
		seen += (int64_t)n;
		if (next == NULL)
			break;
		ck_assert_int_eq(strtoll(next, NULL, 10), seen);
	}
	ck_assert_int_eq(seen, 2000);
	tear_down();
}
END_TEST

START_TEST(pieces)
{
	_cleanup_free_ char *whole = xcalloc(1, 1);
	char a[DIGEST_SIZE], found[DIGEST_SIZE];
	int64_t after = 0;
	int n = 0;

	set_up();
	list("file", 9000, 1, a);
	while (after >= 0) {
		_cleanup_json_ json_t *answer =
		    ask_one(xasprintf("{\"manifest\":\"%s\",\"after\":%lld}", a, (long long)after));
		const char *text = json_get_string(answer, "text");
		char *longer = xasprintf("%s%s", whole, text);

		ck_assert_str_eq(json_get_string(answer, "digest"), a);
		ck_assert_uint_le(strlen(text), LISTS_PIECE);
		ck_assert_int_eq(text[strlen(text) - 1], '\n');
		free(whole);
		whole = longer;
		after = json_get_int(answer, "next", -1);
		n++;
	}
	ck_assert_int_gt(n, 2);
	digest_of(whole, strlen(whole), found);
	ck_assert_str_eq(found, a);
	tear_down();
}
END_TEST

/* Each question has its answer, in their order, also behind one that has none. */
START_TEST(what_cannot_be_answered)
{
	char a[DIGEST_SIZE], damaged[DIGEST_SIZE];
	_cleanup_json_ json_t *answers = NULL;
	_cleanup_free_ char *questions = NULL, *good = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&questions, &n);

	ck_assert_ptr_nonnull(out);
	set_up();
	list("a", 2, 1, a);
	list("b", 2, 1, damaged);
	put(damaged, "other", 5);
	good = diff_question(NULL, a, 0, 10);
	fprintf(out, "{}%c{\"diff\":[{}]}%c{\"diff\":1}%c", 0, 0, 0);
	fprintf(out, "{\"manifest\":\"%s\",\"after\":0}%c", absent, 0);
	fprintf(out, "{\"manifest\":\"../%s\",\"after\":0}%c", a, 0);
	fprintf(out, "{\"manifest\":\"%s\",\"after\":3}%c", a, 0);
	fprintf(out, "{\"manifest\":\"%s\",\"after\":-1}%c", a, 0);
	fprintf(out, "{\"manifest\":\"%s\",\"after\":99999}%c", a, 0);
	fprintf(out,
		"{\"diff\":[{\"artifact\":\"site\",\"old\":\"%s\",\"new\":\"%s\"}],\"skip\":0,"
		"\"limit\":9}%c",
		a, damaged, 0);
	fprintf(out, "%s%c", good, 0);
	fclose(out);
	answers = ask(questions, n, 0);
	ck_assert_uint_eq(json_array_size(answers), 10);
	for (size_t i = 0; i < 9; i++)
		ck_assert_msg(json_get_string(json_array_get(answers, i), "error") != NULL,
			      "question %zu was answered", i);
	ck_assert_str_eq(json_get_string(json_array_get(answers, 5), "error"),
			 err_name(ERR_INVALID_PARAMETER));
	ck_assert_int_eq(json_get_int(json_array_get(answers, 9), "added", -1), 2);
	tear_down();
}
END_TEST

START_TEST(no_question)
{
	json_t *none, *broken;

	set_up();
	none = ask("", 0, 0);
	broken = ask("nonsense", 9, -1);
	ck_assert_uint_eq(json_array_size(none), 0);
	ck_assert_uint_eq(json_array_size(broken), 0);
	json_decref(none);
	json_decref(broken);
	tear_down();
}
END_TEST

UNIT_MAIN("lists", pages, changes, a_page_fits_into_a_frame, pieces, what_cannot_be_answered,
	  no_question)
