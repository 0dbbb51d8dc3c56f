/* SPDX-License-Identifier: ISC */
/*
 * The checks before "ready". bmd is believed in nothing but which build and when: names are looked
 * up in the configuration as it is on disk now, the digest says whether it is the one that bmd
 * decided by, and a variable that the stage does not open is refused here too. Every expansion is
 * tried, every user looked up, every stored file of the artifacts seen, so that a run does not stop
 * in the middle over what could be known at its beginning.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "artifact/damage.h"
#include "common/rights.h"
#include "common/signature.h"
#include "common/xalloc.h"
#include "runner/channel.h"
#include "runner/child.h"
#include "runner/environ.h"
#include "runner/prepare.h"
#include "runner/secrets.h"

#define READS	  3 /* of the configuration, when it is not what it should be */
#define MOMENT_NS 100000000L

static int
changed(const struct run *run, struct err *err)
{
	return err_set(err, ERR_CONFIGURATION,
		       "the plan or stage of %s changed since bmd read it: bmctl reload, then "
		       "bmctl release %lld",
		       run->request.stage, (long long)run->request.job);
}

int
prepare_configuration(struct run *run, const char **ret_code, struct err *err)
{
	struct conf_problems problems = {0};
	unsigned flags = CONF_TOLERANT | (geteuid() == 0 ? CONF_RUN_AS_ROOT : 0);
	int r = conf_load(run->conf_file, flags, &run->conf, &problems);

	if (r < 0) {
		err_set(err, ERR_CONFIGURATION, "%s",
			problems.n ? problems.v[0] : "the configuration cannot be read");
		*ret_code = "configuration";
		if (r == -EAGAIN)
			*ret_code = "failed";
	}
	for (size_t i = 0; r >= 0 && i < problems.n && i < 3; i++) {
		_cleanup_free_ char *before = run->trouble;

		run->trouble =
		    xasprintf("%s%s%s", before ? before : "", before ? "; " : "", problems.v[i]);
	}
	conf_problems_clear(&problems);
	return r;
}

/* A job that is held waits for a human. Somebody who is writing the files at this very moment, and
 * memory that they lack (for which libconfuse has other words), are no reason for that yet. */
static int
read_again(struct run *run, const char **ret_code, struct err *err)
{
	const struct timespec moment = {.tv_nsec = MOMENT_NS};

	(void)nanosleep(&moment, NULL);
	conf_free(TAKE(run->conf));
	free(TAKE(run->trouble));
	return prepare_configuration(run, ret_code, err);
}

int
prepare_configuration_again(struct run *run, const char **ret_code, struct err *err)
{
	int r = -EAGAIN;

	for (int i = 1; r < 0 && i < READS; i++)
		r = read_again(run, ret_code, err);
	return r;
}

static int
find(struct run *run, struct err *err)
{
	const struct run_request *request = &run->request;
	char digest[65];

	run->application = conf_application(run->conf, request->application);
	run->stage = run->application ? conf_stage(run->application, request->stage) : NULL;
	run->plan = run->stage ? conf_plan(run->conf, run->stage->plan) : NULL;
	if (!run->plan && run->trouble)
		return err_set(err, ERR_CONFIGURATION,
			       "%s: mend it, then bmctl reload and bmctl release %lld",
			       run->trouble, (long long)request->job);
	if (!run->plan || strcmp(run->plan->name, request->plan) != 0)
		return changed(run, err);
	free(run->plan_text);
	run->plan_text = conf_resolve(run->conf, run->application, run->stage, digest);
	return strcmp(digest, request->plan_digest) == 0 ? 0 : changed(run, err);
}

static int
check_variables(const struct run *run, json_t *variables, const char *whose, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach (variables, name, value) {
		if (!conf_variable_open(run->conf, run->application, run->stage, name))
			return err_set(err, ERR_CONFIGURATION,
				       "the %s may not set %s: list it in `open` of stage %s",
				       whose, name, run->stage->name);
	}
	return 0;
}

const char *
prepare_skips(const struct run *run, const struct conf_step *step)
{
	const char *mode = run->request.mode;
	unsigned bit = strcmp(mode, "rollback") == 0   ? CONF_ROLLBACK
		       : strcmp(mode, "redeploy") == 0 ? CONF_REDEPLOY
						       : CONF_DEPLOY;

	if (step->only_on && !(step->only_on & bit))
		return "only-on";
	return step->skip_on & bit ? "skip-on" : NULL;
}

const char *
prepare_user(const struct run *run, const struct conf_step *step)
{
	return conf_step_user(run->conf, run->application, run->stage, run->plan, step);
}

const struct run_files *
prepare_files(const struct run *run, const char *artifact)
{
	for (size_t i = 0; i < run->nfiles; i++)
		if (strcmp(run->files[i].artifact->name, artifact) == 0)
			return &run->files[i];
	return NULL;
}

/* Tries one expansion and throws it away; ABSOLUTE: what comes out has to be an absolute path. */
static int
try_expansion(const char *text, const json_t *environment, bool absolute, struct err *err)
{
	_cleanup_free_ char *expanded = NULL;
	int r = conf_expand(text, environment, &expanded, err);

	if (r < 0 || !absolute || expanded[0] == '/')
		return r;
	return err_set(err, ERR_CONFIGURATION, "\"%s\" is not an absolute path: it came from '%s'",
		       expanded, text);
}

static int
check_texts(const struct run *run, const struct conf_step *step, const struct child_user *user,
	    struct err *err)
{
	_cleanup_json_ json_t *environment = environ_make(run, step, user);
	int r = try_expansion(step->directory, environment, true, err);

	if (r >= 0 && step->action == CONF_STEP_DEPLOY)
		r = try_expansion(step->to, environment, true, err);
	for (size_t i = 0; r >= 0 && step->action == CONF_STEP_EXEC && i < step->exec.n; i++)
		r = try_expansion(step->exec.v[i], environment, false, err);
	return r;
}

static int
check_step(const struct run *run, const struct conf_step *step, struct err *err)
{
	_cleanup_(child_user_clear) struct child_user user = {0};
	int r;

	if (!*prepare_user(run, step) && geteuid() == 0)
		return err_set(
		    err, ERR_CONFIGURATION,
		    "it has no user: write user = \"…\" for the step, plan, stage or application");
	r = child_user_find(prepare_user(run, step), &user, err);
	return r < 0 ? r : check_texts(run, step, &user, err);
}

/* Loads the manifest and sees that every file of it is in the store with its size. */
static int
files_load(struct run *run, const struct run_artifact *artifact, struct err *err)
{
	struct run_files *files = &run->files[run->nfiles];
	_cleanup_free_ char *text = NULL, *path = NULL, *problem = NULL;
	size_t n;
	int r = damage_find(run->objects, artifact->digest, &problem, &path);

	if (r > 0)
		return err_set(err, ERR_FAILED, "%s was found %s in the store: bmctl build repair",
			       *path ? path : "its list of files",
			       strcmp(problem, "missing") == 0 ? "missing" : "damaged");
	r = objects_get_manifest(run->objects, artifact->digest, &text, &n, err);
	if (r >= 0)
		r = manifest_parse(text, n, &files->manifest, err);
	if (r < 0)
		return r;
	files->artifact = artifact;
	run->nfiles++;
	for (size_t i = 0; i < files->manifest.n; i++) {
		const struct manifest_entry *entry = &files->manifest.v[i];

		if (entry->kind != MANIFEST_FILE)
			continue;
		r = objects_present(run->objects, entry->digest, entry->size);
		if (r < 0)
			return err_set(err, ERR_FAILED,
				       "%s is %s in the store (%.12s…): bmctl build repair",
				       entry->path,
				       r == -ENOENT    ? "missing"
				       : r == -EBADMSG ? "damaged"
						       : strerror(-r),
				       entry->digest);
	}
	return 0;
}

static int
artifact_need(struct run *run, const char *name, struct err *err)
{
	const struct run_request *request = &run->request;
	int r;

	if (prepare_files(run, name))
		return 0;
	if (!run->objects &&
	    (r = objects_open(run->conf->state_directory, false, &run->objects, err)) < 0)
		return r;
	for (size_t i = 0; i < request->nartifacts; i++) {
		if (strcmp(request->artifacts[i].name, name) != 0)
			continue;
		r = files_load(run, &request->artifacts[i], err);
		if (r < 0)
			err_prefix(err, "artifact %s of build %s", name,
				   names_build_text(&request->build).s);
		return r;
	}
	return err_set(err, ERR_FAILED, "build %s has no artifact \"%s\"",
		       names_build_text(&request->build).s, name);
}

static int
check_artifacts(struct run *run, const struct conf_step *step, struct err *err)
{
	int r = step->action == CONF_STEP_DEPLOY ? artifact_need(run, step->deploy, err) : 0;

	for (size_t i = 0; r >= 0 && i < step->artifacts.n; i++)
		r = artifact_need(run, step->artifacts.v[i], err);
	return r;
}

static int
check_steps(struct run *run, const char **ret_code, struct err *err)
{
	run->files = xcalloc(run->request.nartifacts + 1, sizeof(*run->files));
	for (size_t i = 0; i < run->plan->nsteps; i++) {
		const struct conf_step *step = &run->plan->steps[i];
		int r;

		if (prepare_skips(run, step))
			continue;
		r = check_step(run, step, err);
		*ret_code = "configuration";
		if (r < 0 && err->code != ERR_CONFIGURATION)
			*ret_code = "failed";
		if (r >= 0) {
			r = check_artifacts(run, step, err);
			*ret_code = "artifact";
		}
		if (r < 0) {
			err_prefix(err, "step %s", step->name);
			return r;
		}
	}
	return 0;
}

/* bmd is not believed that the files are the ones that somebody signed: that is seen here, by keys
 * that root configured. */
static int
check_signature(const struct run *run, struct err *err)
{
	const struct run_request *request = &run->request;
	const struct conf_strings *keys = &run->stage->require_signature;
	_cleanup_json_ json_t *artifacts = json_array();
	_cleanup_free_ char *text = NULL;
	int r;

	if (keys->n == 0)
		return 0;
	if (!request->signature)
		return err_set(err, ERR_REFUSED,
			       "%s %s is not signed, and %s takes only signed builds",
			       request->application, names_build_text(&request->build).s,
			       request->stage);
	for (size_t i = 0; i < request->nartifacts; i++)
		json_array_append_new(artifacts,
				      json_pack("{s:s, s:s}", "name", request->artifacts[i].name,
						"digest", request->artifacts[i].digest));
	text = signature_text(request->application, request->build.release, artifacts);
	r = signature_verify(request->signature, text, keys->v, keys->n, err);
	if (r < 0)
		err_prefix(err, "the signature of %s %s", request->application,
			   names_build_text(&request->build).s);
	return r;
}

/*
 * Who asked for it was permitted then; is he still? By the lists as they are on disk and the groups
 * that the name service knows now. Here, because a name service may take its time, for which bmd
 * has none.
 */
static int
check_rights(const struct run *run, struct err *err)
{
	const struct run_request *request = &run->request;
	const struct conf_strings *operators =
	    conf_role(run->conf, run->application, run->stage, CONF_OPERATORS);
	struct rights_who who;
	bool may;
	int r;

	if (request->uid == 0 || request->uid == (int64_t)channel_owner(run->channel))
		return 0;
	r = rights_who_find(request->uid, &who, err);
	if (r < 0) {
		err_prefix(err, "%s may not deploy to %s of %s (bmctl release %lld by an operator)",
			   request->requested_by, request->stage, request->application,
			   (long long)request->job);
		return r;
	}
	may = rights_in_list(operators, &who);
	rights_who_clear(&who);
	if (may)
		return 0;
	return err_set(
	    err, ERR_PERMISSION_DENIED,
	    "%s, who asked for it, may not deploy to %s of %s any more: bmctl release %lld "
	    "by one of its operators, or bmctl cancel %lld",
	    request->requested_by, request->stage, request->application, (long long)request->job,
	    (long long)request->job);
}

/* Stage and plan as bmd decided by. */
static int
find_agreed(struct run *run, const char **ret_code, struct err *err)
{
	int r = find(run, err);

	*ret_code = "configuration";
	for (int i = 1; r < 0 && i < READS; i++) {
		r = read_again(run, ret_code, err);
		if (r >= 0) {
			*ret_code = "configuration";
			r = find(run, err);
		}
	}
	return r;
}

int
prepare_run(struct run *run, const char **ret_code, struct err *err)
{
	int r;

	run->work =
	    xasprintf("%s/work/%lld", run->conf->run_directory, (long long)run->request.job);
	r = find_agreed(run, ret_code, err);
	if (r >= 0 && (r = check_rights(run, err)) < 0) {
		*ret_code = "permission";
		if (r != -EACCES && r != -ENOENT) /* a name service that is away is no answer */
			*ret_code = "failed";
	}
	if (r >= 0)
		r = check_variables(run, run->request.build_variables, "build", err);
	if (r >= 0)
		r = check_variables(run, run->request.job_variables, "job", err);
	if (r >= 0 && (r = check_signature(run, err)) < 0)
		*ret_code = "signature";
	if (r >= 0)
		r = secrets_open(run, err);
	if (r >= 0)
		r = check_steps(run, ret_code, err);
	return r;
}

void
prepare_clear(struct run *run)
{
	for (size_t i = 0; i < run->nfiles; i++)
		manifest_clear(&run->files[i].manifest);
	free(run->files);
	objects_close(run->objects);
	secrets_close(run->secrets);
	free(run->plan_text);
	free(run->trouble);
	free(run->work);
	run_request_clear(&run->request);
	conf_free(run->conf);
}
