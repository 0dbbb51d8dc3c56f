/* SPDX-License-Identifier: ISC */
/*
 * adopt: a folder of releases that others deployed, such as Capistrano's, becomes known to bmd.
 * Each release becomes a build, of the files as they lie there; then one call says which of them
 * were live, in their order. Nothing in the folder is changed, and until that call nothing is said
 * of the stage: whatever breaks before can be typed again.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/names.h"
#include "common/xalloc.h"
#include "ctl/send.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define ADOPT_MAX 1000 /* releases: bmd takes no more at once */

struct adoption {
	char *artifact;	      /* NAME of --current, or the one that the plans use */
	const char *current;  /* the link, as typed */
	char *live;	      /* the release that it points to */
	char *folder;	      /* of the releases, a real path */
	char *shared, *typed; /* what they have in common, beside it: really, and as typed */
	char **names;	      /* of the releases, oldest first; the last is LIVE */
	size_t n, room;
	char **newer; /* folders after LIVE, left alone */
	size_t nnewer, newer_room;
	json_t *left; /* links that are left out: an object, for its sorted set of names */
	int64_t bytes;
};

static void
clear_list(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static void
adoption_clear(struct adoption *adoption)
{
	clear_list(adoption->names, adoption->n);
	clear_list(adoption->newer, adoption->nnewer);
	free(adoption->artifact);
	free(adoption->live);
	free(adoption->folder);
	free(adoption->shared);
	free(adoption->typed);
	json_decref(adoption->left);
}

static char *
release_path(const struct adoption *adoption, const char *name)
{
	return xasprintf("%s/%s", adoption->folder, name);
}

/* ---- what is there */

/* [NAME=]PATH, as in build add. */
static void
split_current(const char *word, struct adoption *adoption)
{
	const char *equals = strchr(word, '=');
	_cleanup_free_ char *name = equals != NULL ? xstrndup(word, (size_t)(equals - word)) : NULL;

	adoption->current = word;
	if (name == NULL || !names_stage(name))
		return;
	adoption->artifact = TAKE(name);
	adoption->current = equals + 1;
}

/* Where the link points to: FOLDER and LIVE. */
static int
read_current(struct adoption *adoption, struct err *err)
{
	_cleanup_free_ char *real = NULL, *typed = xstrdup(adoption->current);
	struct stat st;
	char *slash;

	if (lstat(adoption->current, &st) < 0)
		return ctl_no_path(err, adoption->current, errno,
				   "--current names the link to the release that is live");
	if (!S_ISLNK(st.st_mode))
		return err_set(
		    err, ERR_USAGE,
		    "%s is no symbolic link: --current names the link to the release "
		    "that is live; bmctl build add and bmctl settle make any folder known",
		    adoption->current);
	real = realpath(adoption->current, NULL);
	if (real == NULL || stat(real, &st) < 0)
		return err_set(err, ERR_USAGE, "%s points to nothing: %s", adoption->current,
			       strerror(errno));
	slash = strrchr(real, '/');
	if (!S_ISDIR(st.st_mode) || slash == real)
		return err_set(err, ERR_USAGE, "%s points to %s, which is no folder of a release",
			       adoption->current, real);
	*slash = '\0';
	adoption->live = xstrdup(slash + 1);
	adoption->folder = xstrdup(real);
	slash = strrchr(real, '/');
	adoption->shared = xasprintf("%.*s/shared", (int)(slash - real), real);
	slash = strrchr(typed, '/');
	adoption->typed = slash != NULL && typed[0] == '/'
			      ? xasprintf("%.*s/shared", (int)(slash - typed), typed)
			      : xstrdup(adoption->shared);
	return 0;
}

static int
check_release(const struct adoption *adoption, const char *name, struct err *err)
{
	_cleanup_free_ char *path = release_path(adoption, name);
	struct stat st;

	if (!names_release(name))
		return err_set(err, ERR_BAD_NAME,
			       "'%s' is no name of a release: letters, digits and . _ + ~ - and at "
			       "most 63 characters",
			       name);
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE, "%s: no such folder; RELEASE is a folder of %s",
			       path, adoption->folder);
	return 0;
}

static int
by_age(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static void
add_name(struct adoption *adoption, const char *name)
{
	XGROW(adoption->names, adoption->n, adoption->room);
	adoption->names[adoption->n++] = xstrdup(name);
}

/* All folders there, in the order of their names, up to the one that is live. */
static int
list_releases(struct adoption *adoption, struct err *err)
{
	DIR *dir = opendir(adoption->folder);
	const struct dirent *entry;

	if (dir == NULL)
		return err_errno(err, errno, "%s", adoption->folder);
	while ((entry = readdir(dir)) != NULL) {
		_cleanup_err_ struct err why = ERR_INIT;

		if (entry->d_name[0] == '.')
			continue;
		if (check_release(adoption, entry->d_name, &why) >= 0)
			add_name(adoption, entry->d_name);
		else
			table_line(stderr, "left alone: %s", why.text);
	}
	closedir(dir);
	if (adoption->n > 0)
		qsort(adoption->names, adoption->n, sizeof(*adoption->names), by_age);
	while (adoption->n > 0 && strcmp(adoption->names[adoption->n - 1], adoption->live) != 0) {
		XGROW(adoption->newer, adoption->nnewer, adoption->newer_room);
		adoption->newer[adoption->nnewer++] = adoption->names[--adoption->n];
	}
	return 0;
}

/* Those that were typed, in that order; the one that is live is the last. */
static int
take_words(struct ctl *ctl, struct adoption *adoption, struct err *err)
{
	const char *name;
	int r;

	for (size_t i = 2; (name = ctl_word(ctl, i)) != NULL; i++) {
		if ((r = check_release(adoption, name, err)) < 0)
			return r;
		for (size_t j = 0; j < adoption->n; j++)
			if (strcmp(adoption->names[j], name) == 0)
				return ctl_usage(ctl, err, "%s is given twice", name);
		if (strcmp(name, adoption->live) == 0 && ctl_word(ctl, i + 1) != NULL)
			return ctl_usage(ctl, err,
					 "%s points to %s, which is therefore the last RELEASE or "
					 "need not be given",
					 adoption->current, name);
		add_name(adoption, name);
	}
	if (adoption->n == 0 || strcmp(adoption->names[adoption->n - 1], adoption->live) != 0)
		add_name(adoption, adoption->live);
	return 0;
}

static void
note_left(const char *path, void *arg)
{
	struct adoption *adoption = arg;

	json_object_set_new(adoption->left, path, json_true());
}

static struct upload_shared
shared_of(struct adoption *adoption)
{
	return (struct upload_shared){.folder = adoption->shared,
				      .typed = adoption->typed,
				      .left = note_left,
				      .arg = adoption};
}

/* Everything that can be known to be wrong before bmd is asked. */
static int
look(struct ctl *ctl, struct adoption *adoption, struct err *err)
{
	struct upload_shared shared;
	int r;

	split_current(ctl_value(ctl, OPTION_CURRENT), adoption);
	adoption->left = json_object();
	if ((r = read_current(adoption, err)) < 0 ||
	    (r = check_release(adoption, adoption->live, err)) < 0 ||
	    (r = ctl_word(ctl, 2) != NULL ? take_words(ctl, adoption, err)
					  : list_releases(adoption, err)) < 0)
		return r;
	if (adoption->n > ADOPT_MAX)
		return ctl_usage(ctl, err,
				 "%s has %zu releases, of which at most %d are taken: "
				 "name the last ones",
				 adoption->folder, adoption->n, ADOPT_MAX);
	shared = shared_of(adoption);
	for (size_t i = 0; i < adoption->n; i++) {
		_cleanup_free_ char *path = release_path(adoption, adoption->names[i]);
		int64_t bytes = 0;

		if ((r = upload_look(path, &shared, &bytes, err)) < 0)
			return r;
		adoption->bytes += bytes;
	}
	return 0;
}

/* ---- what bmd knows */

static int
find_artifact(struct ctl *ctl, struct adoption *adoption, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	const json_t *used;
	int r =
	    ctl_call(ctl, "ListArtifacts",
		     json_pack("{s:o}", "application", ctl_text(ctl_word(ctl, 0))), &reply, err);

	if (r < 0 || adoption->artifact != NULL)
		return r;
	used = json_object_get(reply, "artifacts");
	if (json_array_size(used) != 1)
		return ctl_usage(ctl, err,
				 "the plans of %s use %s artifact: write --current NAME=%s",
				 ctl_word(ctl, 0),
				 json_array_size(used) == 0 ? "no" : "more than one",
				 adoption->current);
	adoption->artifact = xstrdup(json_string_value(json_array_get(used, 0)));
	return 0;
}

/* Is the stage without a history, or has the one that it would get? 1 for the latter. Bmd will
 * judge; who is refused should know before a long upload. */
static int
look_at_stage(struct ctl *ctl, const struct adoption *adoption, struct err *err)
{
	const char *application = ctl_word(ctl, 0), *name = ctl_word(ctl, 1), *its;
	_cleanup_json_ json_t *reply = NULL;
	struct build_text live;
	json_t *stage;
	size_t i;
	int r = ctl_call(ctl, "GetStatus", json_pack("{s:o}", "application", ctl_text(application)),
			 &reply, err);

	if (r < 0)
		return r;
	json_array_foreach (json_object_get(reply, "stages"), i, stage) {
		if ((its = json_get_string(stage, "stage")) == NULL || strcmp(its, name) != 0)
			continue;
		live = ctl_ref(stage, "live");
		if (live.s[0] == '\0')
			return 0;
		if (strncmp(live.s, adoption->live, strlen(adoption->live)) == 0 &&
		    strcmp(live.s + strlen(adoption->live), "/1") == 0)
			return 1;
		r = err_set(
		    err, ERR_REFUSED,
		    "%s of %s has a history: %s is live; only a stage that was never "
		    "deployed to is adopted, elsewhere bmctl settle %s %s BUILD says what is "
		    "live",
		    name, application, live.s, application, name);
		err_rule(err, ERR_RULE_HISTORY);
		return r;
	}
	return err_set(err, ERR_NO_SUCH_STAGE, "%s has no stage %s: bmctl status %s lists them",
		       application, name, application);
}

/* ---- telling */

static void
print_left(const struct adoption *adoption)
{
	_cleanup_free_ char *list = xstrdup("");
	const char *path;
	json_t *value;
	size_t n = 0;

	json_object_foreach (adoption->left, path, value) {
		char *longer = xasprintf("%s%s%s", list, n++ > 0 ? ", " : "", path);

		free(list);
		list = longer;
	}
	if (n > 0)
		table_line(stdout,
			   "left out, as links to %s: %s (a deploy step links them again by shared "
			   "= {...})",
			   adoption->shared, list);
}

static void
print_plan(struct ctl *ctl, const struct adoption *adoption)
{
	table_line(stdout, "%s %s: %zu release%s of %s, %s, each as a build with artifact %s",
		   ctl_word(ctl, 0), ctl_word(ctl, 1), adoption->n, adoption->n == 1 ? "" : "s",
		   adoption->folder, ctl_size(adoption->bytes).s, adoption->artifact);
	for (size_t i = 0; i < adoption->n; i++)
		table_line(stdout, "  %s/1%s", adoption->names[i],
			   i + 1 == adoption->n	  ? ": live"
			   : i + 2 == adoption->n ? ": the previous good"
						  : "");
	for (size_t i = adoption->nnewer; i-- > 0;)
		table_line(stdout, "left alone: %s, which is newer than what is live",
			   adoption->newer[i]);
	print_left(adoption);
}

/* ---- doing */

static int
add_build(struct ctl *ctl, struct adoption *adoption, const char *name, struct err *err)
{
	_cleanup_free_ char *path = release_path(adoption, name);
	_cleanup_free_ char *note = xasprintf("adopted from %s", path);
	struct upload_shared shared = shared_of(adoption);
	_cleanup_json_ json_t *answer = NULL, *parameters = NULL, *reply = NULL;
	int r;

	signal(SIGPIPE, SIG_IGN); /* a taker that gives up is heard, not died of */
	r = send_artifact(ctl, name, path, &shared, &answer, err);
	signal(SIGPIPE, SIG_DFL);
	if (r < 0) {
		if (strncmp(err->text, path, strlen(path)) != 0)
			err_prefix(err, "%s", path);
		return r;
	}
	parameters = json_pack("{s:o, s:s, s:i, s:o, s:[{s:s, s:O}]}", "application",
			       ctl_text(ctl_word(ctl, 0)), "release", name, "build", 1, "note",
			       ctl_text(note), "artifacts", "name", adoption->artifact, "digest",
			       json_object_get(answer, "digest"));
	if (parameters == NULL)
		return err_set(err, ERR_FAILED, "bmd answered the upload of %s without a digest",
			       path);
	if ((r = ctl_change(ctl, "AddBuild", json_incref(parameters), &reply, err)) < 0)
		return r;
	if (!ctl->json)
		ctl_warnings(json_object_get(reply, "warnings"));
	return 0;
}

/* A deployment by others meanwhile: what was looked at is not what is live. */
static int
check_still(const struct adoption *adoption, struct err *err)
{
	_cleanup_free_ char *real = realpath(adoption->current, NULL);
	_cleanup_free_ char *then = release_path(adoption, adoption->live);

	if (real != NULL && strcmp(real, then) == 0)
		return 0;
	return err_set(err, ERR_FAILED,
		       "%s points to %s now, and pointed to %s before: nothing was said of the "
		       "stage; type the same again when nobody deploys",
		       adoption->current, real != NULL ? real : "nothing", then);
}

static int
say_live(struct ctl *ctl, const struct adoption *adoption, json_t **ret_reply, struct err *err)
{
	_cleanup_free_ char *reason = NULL;
	json_t *builds = json_array(), *parameters;

	for (size_t i = 0; i < adoption->n; i++)
		json_array_append_new(builds, json_pack("{s:s, s:i}", "release", adoption->names[i],
							"build", 1));
	reason = xasprintf("adopted: %s pointed to %s", adoption->current, adoption->live);
	parameters =
	    json_pack("{s:o, s:o, s:o, s:o}", "application", ctl_text(ctl_word(ctl, 0)), "stage",
		      ctl_text(ctl_word(ctl, 1)), "builds", builds, "reason", ctl_text(reason));
	return ctl_change(ctl, "Adopt", parameters, ret_reply, err);
}

static void
print_done(struct ctl *ctl, const json_t *reply)
{
	const json_t *stage = json_object_get(reply, "stage");
	struct build_text good = ctl_ref(stage, "previous_good");

	table_line(stdout, "%s %s: %s is live, %s%s%s", ctl_word(ctl, 0), ctl_word(ctl, 1),
		   ctl_ref(stage, "live").s, good.s[0] != '\0' ? good.s : "with nothing before it",
		   good.s[0] != '\0' ? " the previous good" : "",
		   json_get_bool(reply, "adopted") ? "" : ", as it was already");
	table_line(
	    stdout,
	    "undo: bmctl settle %s %s --unknown --reason 'adopted by mistake' (the builds stay: "
	    "bmctl build list %s)",
	    ctl_word(ctl, 0), ctl_word(ctl, 1), ctl_word(ctl, 0));
}

static int
adopt(struct ctl *ctl, struct adoption *adoption, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	int r;

	for (size_t i = 0; i < adoption->n; i++)
		if ((r = add_build(ctl, adoption, adoption->names[i], err)) < 0)
			return r;
	if ((r = check_still(adoption, err)) < 0 || (r = say_live(ctl, adoption, &reply, err)) < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_done(ctl, reply);
	return CTL_DONE;
}

/* What --dry-run --json prints: made here, for nothing is asked of bmd. */
static void
print_json(struct ctl *ctl, const struct adoption *adoption)
{
	_cleanup_json_ json_t *builds = json_array(), *left = json_array(), *object = NULL;
	const char *path;
	json_t *value;

	for (size_t i = 0; i < adoption->n; i++)
		json_array_append_new(builds, json_pack("{s:s, s:i}", "release", adoption->names[i],
							"build", 1));
	json_object_foreach (adoption->left, path, value)
		json_array_append_new(left, json_bytes(path, strlen(path)));
	object = json_pack("{s:s, s:s, s:O, s:O}", "application", ctl_word(ctl, 0), "stage",
			   ctl_word(ctl, 1), "builds", builds, "left_out", left);
	ctl_json(ctl, object);
}

int
verb_adopt(struct ctl *ctl, struct err *err)
{
	_cleanup_(adoption_clear) struct adoption adoption = {0};
	int r;

	if (!ctl_given(ctl, OPTION_CURRENT))
		return ctl_usage(ctl, err, "say which link points to what is live: --current PATH");
	if (ctl->host != NULL)
		return ctl_usage(ctl, err,
				 "what is live on %s is looked at there: ssh %s bmctl adopt %s %s "
				 "--current %s",
				 ctl->host, ctl->host, ctl_word(ctl, 0), ctl_word(ctl, 1),
				 ctl_value(ctl, OPTION_CURRENT));
	if ((r = look(ctl, &adoption, err)) < 0 || (r = find_artifact(ctl, &adoption, err)) < 0 ||
	    (r = look_at_stage(ctl, &adoption, err)) < 0)
		return r;
	if (!ctl->json)
		print_plan(ctl, &adoption);
	else if (ctl_given(ctl, OPTION_DRY_RUN))
		print_json(ctl, &adoption);
	if (ctl_given(ctl, OPTION_DRY_RUN))
		return CTL_DONE;
	return adopt(ctl, &adoption, err);
}
