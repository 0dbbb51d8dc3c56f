/* SPDX-License-Identifier: ISC */
/*
 * One question at a time. A page of a difference is a slice of all its changes, so these are found
 * once, as pointers into the manifests, and stay until another difference is asked for; the same
 * with the text of a manifest that is told piece by piece. A digest never means another list, so
 * what stays is never stale.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "import/lists.h"
#include "import/tell.h"

/* of a page's changes: its frame, with what bmd adds, is 1 MiB at most */
#define PAGE_BYTES   (832 * 1024)
#define CHANGE_BYTES 160 /* of a change, beside its path and artifact, at most */

struct change {
	const struct manifest_entry *old, *new;
	size_t pair;
};

/* Two lists of one artifact. */
struct pair {
	char *artifact;
	struct manifest old, new;
};

struct lists {
	const struct objects *objects;
	struct tell tell;
	json_t *diff; /* whose changes these are; NULL: none */
	struct pair *pairs;
	size_t npairs;
	struct change *changes;
	size_t n, room;
	size_t added, changed, removed;
	char digest[DIGEST_SIZE]; /* of TEXT */
	char *text;
	size_t text_n;
};

/* ---- what stays */

static void
forget_diff(struct lists *lists)
{
	for (size_t i = 0; i < lists->npairs; i++) {
		free(lists->pairs[i].artifact);
		manifest_clear(&lists->pairs[i].old);
		manifest_clear(&lists->pairs[i].new);
	}
	free(TAKE(lists->pairs));
	free(TAKE(lists->changes));
	json_decref(TAKE(lists->diff));
	lists->npairs = lists->n = lists->room = 0;
	lists->added = lists->changed = lists->removed = 0;
}

static void
forget_text(struct lists *lists)
{
	free(TAKE(lists->text));
	lists->digest[0] = '\0';
}

/* ---- differences */

static int
load(const struct lists *lists, const char *digest, struct manifest *ret_manifest, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	if (digest == NULL)
		return 0;
	r = objects_get_manifest(lists->objects, digest, &text, &n, err);
	return r < 0 ? r : manifest_parse(text, n, ret_manifest, err);
}

static void
note(const struct manifest_entry *old, const struct manifest_entry *new, void *arg)
{
	struct lists *lists = arg;

	XGROW(lists->changes, lists->n, lists->room);
	lists->changes[lists->n++] = (struct change){old, new, lists->npairs - 1};
	if (old == NULL)
		lists->added++;
	else if (new == NULL)
		lists->removed++;
	else
		lists->changed++;
}

static int
compare_pair(struct lists *lists, const json_t *asked, struct err *err)
{
	struct pair *pair = &lists->pairs[lists->npairs++];
	int r;

	pair->artifact = xstrdup(json_get_string(asked, "artifact"));
	r = load(lists, json_get_string(asked, "old"), &pair->old, err);
	if (r >= 0)
		r = load(lists, json_get_string(asked, "new"), &pair->new, err);
	if (r >= 0)
		manifest_diff(&pair->old, &pair->new, note, lists);
	return r;
}

static int
compare(struct lists *lists, json_t *diff, struct err *err)
{
	const json_t *asked;
	size_t i;
	int r = 0;

	if (lists->diff != NULL && json_equal(lists->diff, diff))
		return 0;
	forget_diff(lists);
	lists->pairs = xcalloc(json_array_size(diff) + 1, sizeof(*lists->pairs));
	json_array_foreach (diff, i, asked) {
		r = compare_pair(lists, asked, err);
		if (r < 0) {
			forget_diff(lists);
			return r;
		}
	}
	lists->diff = json_incref(diff);
	return 0;
}

static json_t *
change_json(const struct lists *lists, const struct change *change)
{
	const struct manifest_entry *old = change->old, *new = change->new;

	return json_pack("{s:s, s:o, s:s, s:o, s:o}", "change",
			 old == NULL   ? "added"
			 : new == NULL ? "removed"
				       : "changed",
			 "path", json_text((new != NULL ? new : old)->path), "artifact",
			 lists->pairs[change->pair].artifact, "old_bytes",
			 old != NULL ? json_integer((json_int_t)old->size) : json_null(),
			 "new_bytes",
			 new != NULL ? json_integer((json_int_t) new->size) : json_null());
}

/* Bytes of the change in a frame, or a few more; in JSON a byte of a path may become two, never
 * more: a manifest has no control bytes. */
static size_t
change_bytes(const struct lists *lists, const struct change *change)
{
	const struct manifest_entry *entry = change->new != NULL ? change->new : change->old;

	return CHANGE_BYTES + 2 * strlen(entry->path) + strlen(lists->pairs[change->pair].artifact);
}

static int
answer_diff(struct lists *lists, const json_t *question, json_t **ret_answer, struct err *err)
{
	int64_t skip = json_get_int(question, "skip", 0),
		limit = json_get_int(question, "limit", 0);
	json_t *changes;
	size_t bytes = 0, i;
	int r = compare(lists, json_object_get(question, "diff"), err);

	if (r < 0)
		return r;
	changes = json_array();
	for (i = skip > 0 ? (size_t)skip : 0; i < lists->n && limit > 0; i++, limit--) {
		bytes += change_bytes(lists, &lists->changes[i]);
		if (bytes > PAGE_BYTES)
			break;
		json_array_append_new(changes, change_json(lists, &lists->changes[i]));
	}
	*ret_answer = json_pack("{s:o, s:I, s:I, s:I, s:o}", "changes", changes, "added",
				(json_int_t)lists->added, "changed", (json_int_t)lists->changed,
				"removed", (json_int_t)lists->removed, "next",
				i < lists->n ? json_sprintf("%zu", i) : json_null());
	return 0;
}

/* ---- a list as it is */

static int
read_text(struct lists *lists, const char *digest, struct err *err)
{
	int r;

	if (strcmp(lists->digest, digest) == 0)
		return 0;
	forget_text(lists);
	r = objects_get_manifest(lists->objects, digest, &lists->text, &lists->text_n, err);
	if (r >= 0)
		snprintf(lists->digest, sizeof(lists->digest), "%s", digest);
	return r;
}

/* How much of the N bytes at TEXT is told at once: whole lines, and something of what is there. */
static size_t
piece(const char *text, size_t n)
{
	const char *end = n > LISTS_PIECE ? memrchr(text, '\n', LISTS_PIECE) : NULL;

	return end != NULL ? (size_t)(end + 1 - text) : n;
}

static int
answer_manifest(struct lists *lists, const json_t *question, json_t **ret_answer, struct err *err)
{
	int64_t after = json_get_int(question, "after", 0);
	size_t at = (size_t)after, n;
	int r = read_text(lists, json_get_string(question, "manifest"), err);

	if (r < 0)
		return r;
	if (after < 0 || at > lists->text_n || (at > 0 && lists->text[at - 1] != '\n')) {
		err_set(err, ERR_INVALID_PARAMETER, "after: it is not where a line begins");
		err_field(err, "parameter", json_string("after"));
		return -EINVAL;
	}
	n = piece(lists->text + at, lists->text_n - at);
	*ret_answer =
	    json_pack("{s:s, s:s%, s:o}", "digest", lists->digest, "text", lists->text + at, n,
		      "next",
		      at + n < lists->text_n ? json_integer((json_int_t)(at + n)) : json_null());
	return *ret_answer != NULL ? 0
				   : err_set(err, ERR_FAILED, "the list of files is not a text");
}

/* ---- the whole */

/* Is every member there that the answer takes for granted? */
static bool
well_formed(const json_t *question)
{
	const json_t *diff = json_object_get(question, "diff"), *asked;
	size_t i;

	json_array_foreach (diff, i, asked)
		if (json_get_string(asked, "artifact") == NULL)
			return false;
	return json_is_array(diff) || json_get_string(question, "manifest") != NULL;
}

static int
answer(struct lists *lists, const json_t *question)
{
	_cleanup_err_ struct err err = ERR_INIT;
	json_t *object = NULL;
	int r;

	if (!well_formed(question))
		r = err_set(&err, ERR_FAILED, "the question about lists of files is malformed");
	else if (json_object_get(question, "diff") != NULL)
		r = answer_diff(lists, question, &object, &err);
	else
		r = answer_manifest(lists, question, &object, &err);
	return tell_object(&lists->tell, r < 0 ? err_to_json(&err) : object);
}

/* Answers every whole question that has come. */
static int
answer_all(struct lists *lists, struct varlink_input *input)
{
	const char *text;
	size_t n;
	int r;

	while ((r = varlink_input_frame(input, &text, &n)) > 0) {
		_cleanup_json_ json_t *question = NULL;

		r = json_parse(text, n, VARLINK_FRAME_MAX, &question, NULL);
		if (r >= 0)
			r = answer(lists, question);
		if (r < 0)
			return r;
	}
	return r;
}

static int
work(struct lists *lists, int in, struct err *err)
{
	struct varlink_input input = {0};
	int r = 0;

	while (r >= 0) {
		size_t room;
		void *to = varlink_input_room(&input, &room);
		ssize_t n = read(in, to, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? err_errno(err, errno, "no question can be read") : 0;
			break;
		}
		varlink_input_add(&input, (size_t)n);
		r = answer_all(lists, &input);
		if (r < 0)
			err_errno(err, -r, "no further question can be answered");
	}
	varlink_input_clear(&input);
	return r;
}

int
lists_run(const struct objects *objects, int in, int out, struct err *err)
{
	struct lists lists = {.objects = objects};
	int r = tell_open(&lists.tell, out, err);

	if (r < 0)
		return r;
	r = work(&lists, in, err);
	tell_close(&lists.tell);
	forget_diff(&lists);
	forget_text(&lists);
	return r;
}
