/* SPDX-License-Identifier: ISC */
/*
 * Files out of the store. The child reads objects through one descriptor and writes as the step's
 * user, with the manifest that the parent has read and checked; it says lines on its output and
 * answers with what it made. Before it starts, the record of the place says what may come to be
 * there, after it what did: see places.c. $BM_ARTIFACTS is made by the child too, while it is still
 * root, and then given to the step's user.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/files.h"
#include "artifact/place.h"
#include "common/json.h"
#include "common/folder.h"
#include "common/xalloc.h"
#include "runner/deploy.h"
#include "runner/folder.h"
#include "runner/places.h"
#include "runner/prepare.h"
#include "runner/stamps.h"

#define REPORT_MAX (1024 * 1024)

DEFINE_CLEANUP(struct objects *, cleanup_objects, objects_close)

struct deploy {
	struct run *run;
	const struct conf_step *step;
	const struct child_user *user;
	char *to, *real, *path; /* DIRECTORY, what it resolves to, the release folder in it */
	char name[96];		/* RELEASE-N */
	struct places places;
	struct stamps_of stamps_of;
	struct files_stamps *stamps; /* shared with the child; NULL: none */
	size_t nstamps;
	bool intended; /* NAME stands in the record only because of us */
	bool fill;     /* the same for the record that DIRECTORY is filled */
	char **needed;
	size_t nneeded;
};

void
deploy_free(struct deploy *deploy)
{
	if (!deploy)
		return;
	for (size_t i = 0; i < deploy->nneeded; i++)
		free(deploy->needed[i]);
	free(deploy->needed);
	places_clear(&deploy->places);
	stamps_free(deploy->stamps, deploy->nstamps);
	free(deploy->to);
	free(deploy->real);
	free(deploy->path);
	free(deploy);
}

static void
cleanup_deploy(struct deploy **deploy)
{
	deploy_free(*deploy);
}

static char *
release_name(const struct build_ref *ref)
{
	return xasprintf("%s-%" PRId64, ref->release, ref->number);
}

static void
say(const char *text, void *arg)
{
	(void)arg;
	dprintf(STDOUT_FILENO, "%s\n", text);
}

static void
report_outcome(int report_fd, const struct place_outcome *outcome)
{
	_cleanup_json_ json_t *object = json_object();
	json_t *pruned = json_array();

	for (size_t i = 0; i < outcome->npruned; i++)
		json_array_append_new(pruned, json_string(outcome->pruned[i]));
	json_object_set_new(object, "made", json_boolean(outcome->made));
	json_object_set_new(object, "pruned", pruned);
	json_dumpfd(object, report_fd, JSON_COMPACT);
}

/* In the child, as the step's user. */
static int
place_body(void *arg, int report_fd)
{
	struct deploy *deploy = arg;
	const struct conf_step *step = deploy->step;
	_cleanup_err_ struct err err = ERR_INIT;
	struct place_outcome outcome = {0};
	_cleanup_(cleanup_objects) struct objects *objects =
	    objects_from_fd(objects_fd(deploy->run->objects));
	struct place place = {
	    .objects = objects,
	    .manifest = &prepare_files(deploy->run, step->deploy)->manifest,
	    .to = deploy->to,
	    .name = deploy->name,
	    .job = deploy->run->request.job,
	    .in_place = step->in_place,
	    .filled = deploy->places.filled,
	    .shared = (const char *const *)step->shared.v,
	    .nshared = step->shared.n,
	    .keep = step->keep,
	    .made = (const char *const *)deploy->places.made,
	    .nmade = deploy->places.nmade,
	    .needed = (const char *const *)deploy->needed,
	    .nneeded = deploy->nneeded,
	    .stamps = deploy->stamps,
	    .hash_always = deploy->run->stage->verify == CONF_VERIFY_ALWAYS,
	    .say = say,
	};

	if (place_deploy(&place, &outcome, &err) < 0) {
		child_report_failure(report_fd, &err);
		return 1;
	}
	report_outcome(report_fd, &outcome);
	place_outcome_clear(&outcome);
	return 0;
}

static void
needed_add(struct deploy *deploy, const struct build_ref *ref)
{
	if (ref->release[0])
		deploy->needed[deploy->nneeded++] = release_name(ref);
}

static bool
stands_in(const struct places *places, const char *name)
{
	for (size_t i = 0; i < places->nmade; i++)
		if (strcmp(places->made[i], name) == 0)
			return true;
	return false;
}

static bool
is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool empty = dir || errno == ENOENT;

	while (empty && dir && (errno = 0, entry = readdir(dir)) != NULL)
		empty = folder_is_dot(entry->d_name);
	empty = empty && (!dir || errno == 0);
	if (dir)
		closedir(dir);
	return empty;
}

/* What is about to be made is written down, if it is not there and so will be of our making. */
static int
intend(struct deploy *deploy, struct err *err)
{
	int directory_fd = folder_directory_fd(deploy->run->folder);
	struct stat st;
	int r;

	if (deploy->step->in_place)
		deploy->fill = !deploy->places.filled && is_empty(deploy->real);
	else
		deploy->intended =
		    lstat(deploy->path, &st) < 0 && !stands_in(&deploy->places, deploy->name);
	if (!deploy->fill && !deploy->intended)
		return 0;
	r = places_change(directory_fd, deploy->real, deploy->fill,
			  deploy->intended ? deploy->name : NULL, NULL, 0, err);
	if (r < 0)
		return r;
	places_clear(&deploy->places);
	return places_read(directory_fd, deploy->real, &deploy->places, err);
}

int
deploy_begin(struct run *run, const struct conf_step *step, const struct child_user *user,
	     const json_t *environment, struct deploy **ret_deploy, struct child *ret_child,
	     struct err *err)
{
	_cleanup_(cleanup_deploy) struct deploy *deploy = xcalloc(1, sizeof(*deploy));
	const struct run_files *files = prepare_files(run, step->deploy);
	const struct run_request *request = &run->request;
	int r;

	deploy->run = run;
	deploy->step = step;
	snprintf(deploy->name, sizeof(deploy->name), "%s-%" PRId64, request->build.release,
		 request->build.number);
	r = conf_expand(step->to, environment, &deploy->to, err);
	if (r < 0)
		return r;
	deploy->real = places_real(deploy->to);
	deploy->path = xasprintf("%s/releases/%s", deploy->real, deploy->name);
	deploy->needed = xcalloc(request->nkeep + 2, sizeof(*deploy->needed));
	for (size_t i = 0; i < request->nkeep; i++)
		needed_add(deploy, &request->keep[i]);
	needed_add(deploy, &request->build);
	needed_add(deploy, &request->from);
	r = places_read(folder_directory_fd(run->folder), deploy->real, &deploy->places, err);
	if (r >= 0)
		r = intend(deploy, err);
	if (r < 0)
		return r;
	deploy->stamps_of =
	    (struct stamps_of){.real = deploy->real,
			       .name = step->in_place ? STAMPS_IN_PLACE : deploy->name,
			       .digest = files->artifact->digest,
			       .uid = user->uid};
	deploy->nstamps = files->manifest.n;
	deploy->stamps = stamps_load(folder_directory_fd(run->folder), &deploy->stamps_of,
				     &files->manifest, run->objects);
	ret_child->body = place_body;
	ret_child->arg = deploy;
	ret_child->keep_fd = objects_fd(run->objects);
	*ret_deploy = TAKE(deploy);
	return 0;
}

/* The child failed or was ended: what it did not come to make is taken out of the record again. */
static int
forget_intent(struct deploy *deploy, struct err *err)
{
	int directory_fd = folder_directory_fd(deploy->run->folder);
	char *name = deploy->name;
	struct stat st;

	if (deploy->fill && is_empty(deploy->real))
		return places_change(directory_fd, deploy->real, -1, NULL, NULL, 0, err);
	if (!deploy->intended || lstat(deploy->path, &st) == 0)
		return 0;
	return places_change(directory_fd, deploy->real, 0, NULL, &name, 1, err);
}

int
deploy_end(struct deploy *deploy, bool succeeded, const char *report, size_t n, struct err *err)
{
	_cleanup_json_ json_t *object = NULL;
	_cleanup_free_ char **pruned = NULL;
	const char *add = NULL;
	json_t *array;
	size_t count = 0;

	if (succeeded && deploy->stamps != NULL)
		stamps_save(folder_directory_fd(deploy->run->folder), &deploy->stamps_of,
			    deploy->stamps, deploy->nstamps);
	if (!succeeded)
		return forget_intent(deploy, err);
	if (deploy->step->in_place)
		return 0;
	if (json_parse(report, n, REPORT_MAX, &object, NULL) < 0)
		return err_set(err, ERR_FAILED,
			       "the files are placed, but what was made is not known");
	array = json_object_get(object, "pruned");
	pruned = xcalloc(json_array_size(array) + 1, sizeof(*pruned));
	/* The child is the step's user by then: only names that were told to it are heard. */
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));

		if (name && stands_in(&deploy->places, name))
			pruned[count++] = xstrdup(name);
	}
	/* One that was there and was ours becomes the youngest; one that was not ours stays so. */
	if (json_get_bool(object, "made") || stands_in(&deploy->places, deploy->name))
		add = deploy->name;
	int r = places_change(folder_directory_fd(deploy->run->folder), deploy->real, 0, add,
			      pruned, count, err);
	for (size_t i = 0; i < count; i++) {
		stamps_forget(folder_directory_fd(deploy->run->folder), deploy->real, pruned[i]);
		free(pruned[i]);
	}
	return r;
}

/* In the child, as whom bmd-run is: a new folder for the step's user. */
static int
artifacts_prepare(void *arg, struct err *err)
{
	struct deploy *deploy = arg;
	int directory_fd = folder_directory_fd(deploy->run->folder);
	_cleanup_close_ int work_fd = -1, fd = -1;
	char name[24];
	int r;

	snprintf(name, sizeof(name), "%" PRId64, deploy->run->request.job);
	if (mkdirat(directory_fd, "work", 0711) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the folder of artifacts");
	work_fd = openat(directory_fd, "work", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (work_fd < 0 || fchmod(work_fd, 0711) < 0)
		return err_errno(err, errno, "cannot open the folder of artifacts");
	r = files_remove(work_fd, name);
	if (r < 0)
		return err_errno(err, -r, "cannot remove %s", deploy->run->work);
	if (mkdirat(work_fd, name, 0700) < 0)
		return err_errno(err, errno, "cannot make %s", deploy->run->work);
	fd = openat(work_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (geteuid() == 0 && fchown(fd, deploy->user->uid, deploy->user->gid) < 0))
		return err_errno(err, errno, "cannot give %s to %s", deploy->run->work,
				 deploy->user->name);
	return 0;
}

static int
artifacts_body(void *arg, int report_fd)
{
	struct deploy *deploy = arg;
	const struct conf_strings *names = &deploy->step->artifacts;
	_cleanup_(cleanup_objects) struct objects *objects =
	    objects_from_fd(objects_fd(deploy->run->objects));

	for (size_t i = 0; i < names->n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", deploy->run->work, names->v[i]);
		const struct run_files *files = prepare_files(deploy->run, names->v[i]);
		_cleanup_err_ struct err err = ERR_INIT;

		if (place_tree(objects, &files->manifest, path, &err) < 0) {
			err_prefix(&err, "artifact %s", names->v[i]);
			child_report_failure(report_fd, &err);
			return 1;
		}
	}
	return 0;
}

void
deploy_artifacts(struct run *run, const struct conf_step *step, const struct child_user *user,
		 struct deploy **ret_deploy, struct child *ret_child)
{
	struct deploy *deploy = xcalloc(1, sizeof(*deploy));

	deploy->run = run;
	deploy->step = step;
	deploy->user = user;
	ret_child->prepare = artifacts_prepare;
	ret_child->body = artifacts_body;
	ret_child->arg = deploy;
	ret_child->keep_fd = objects_fd(run->objects);
	*ret_deploy = deploy;
}

void
deploy_clean(struct run *run)
{
	_cleanup_close_ int work_fd = openat(folder_directory_fd(run->folder), "work",
					     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[24];
	int r;

	snprintf(name, sizeof(name), "%" PRId64, run->request.job);
	r = work_fd >= 0 ? files_remove(work_fd, name) : 0;
	if (r < 0)
		run_say(run, NULL, "cannot remove %s: %s", run->work, strerror(-r));
}
