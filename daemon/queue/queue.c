/* SPDX-License-Identifier: ISC */
/*
 * The queue itself: what it is made of, how names become applications, stages and builds, and the
 * one way by which a job changes its state. The rules stand in the other files, see
 * queue_private.h.
 */
#include "daemon/queue/queue.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

struct queue *
queue_new(struct store *store, struct objects *objects)
{
	struct queue *queue = xcalloc(1, sizeof(*queue));

	queue->store = store;
	queue->objects = objects;
	queue->open = INT64_MAX;
	return queue;
}

void
queue_free(struct queue *queue)
{
	if (!queue)
		return;
	free(queue->slept);
	json_decref(queue->walk.zones);
	queue_trouble_clear(queue);
	free(queue->drain.reason);
	free(queue);
}

void
queue_set_conf(struct queue *queue, const struct conf *conf)
{
	queue->conf = conf;
}

const struct conf *
queue_conf(const struct queue *queue)
{
	return queue->conf;
}

struct store *
queue_store(const struct queue *queue)
{
	return queue->store;
}

void
queue_set_tell(struct queue *queue, void (*tell)(const struct event *event, void *arg), void *arg)
{
	queue->tell = tell;
	queue->tell_arg = arg;
}

int
queue_set_highest(struct queue *queue, int64_t folder_highest, struct err *err)
{
	int64_t highest, floor = 0;
	int r = store_job_highest(queue->store, &highest, err);

	if (r == 0)
		r = store_number_get(queue->store, QUEUE_FLOOR, &floor, err);
	if (r < 0)
		return r;
	queue->highest = highest > folder_highest ? highest : folder_highest;
	if (queue->highest < floor)
		queue->highest = floor;
	return 0;
}

static void
fill_event(struct event *event, const struct job *job)
{
	event->job = job->id;
	memcpy(event->application, job->application, sizeof(event->application));
	memcpy(event->stage, job->stage, sizeof(event->stage));
	memcpy(event->plan, job->plan, sizeof(event->plan));
	memcpy(event->requester, job->requested_by, sizeof(event->requester));
	event->build = job->build;
	if (job->failed_step)
		(void)snprintf(event->step, sizeof(event->step), "%s", job->failed_step);
	if (job_state_final(job->state))
		(void)snprintf(event->result, sizeof(event->result), "%s",
			       job_state_shown(job->state));
}

void
queue_tell(struct queue *queue, enum event_kind kind, const struct job *job, const char *format,
	   ...)
{
	struct event event = {.kind = kind};
	_cleanup_free_ char *text = NULL;
	va_list args;

	if (!queue->tell)
		return;
	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	if (job) {
		fill_event(&event, job);
		event.text =
		    xasprintf("job %lld: %s: %s", (long long)job->id, queue_job_text(job).s, text);
	} else {
		event.text = TAKE(text);
	}
	queue->tell(&event, queue->tell_arg);
	free(event.text);
}

/* ---- states ---- */

int
queue_move(struct queue *queue, struct job *job, enum job_state to, struct err *err)
{
	enum job_state from = job->state;
	int r;

	if (!job_may(from, to))
		return err_set(err, ERR_FAILED, "job %lld is %s and cannot become %s",
			       (long long)job->id, job_state_shown(from), job_state_shown(to));
	job->state = to;
	r = store_job_update(queue->store, job, from, NULL, err);
	if (r < 0) {
		job->state = from;
		return r;
	}
	return queue_schedule_moved(queue, job, from, err);
}

int
queue_hold(struct queue *queue, struct job *job, struct err *err, const char *format, ...)
{
	va_list args;
	int r;

	free(job->hold_reason);
	va_start(args, format);
	job->hold_reason = xvasprintf(format, args);
	va_end(args);
	r = queue_move(queue, job, JOB_HELD, err);
	if (r == 0)
		queue_tell(queue, EVENT_HELD, job, "held: %s", job->hold_reason);
	return r;
}

static enum event_kind
end_event(enum job_state state)
{
	switch (state) {
	case JOB_SUCCEEDED:
		return EVENT_SUCCEEDED;
	case JOB_CANCELLED:
		return EVENT_CANCELLED;
	case JOB_MISSED:
		return EVENT_MISSED;
	case JOB_SUPERSEDED:
		return EVENT_SUPERSEDED;
	case JOB_LOST:
		return EVENT_LOST;
	default:
		return EVENT_FAILED;
	}
}

int
queue_end(struct queue *queue, struct job *job, enum job_state state, const char *by,
	  int64_t now_us, const char *message, struct err *err)
{
	int r;

	job->finished_us = now_us;
	free(job->ended_by);
	job->ended_by = xstrdup(by);
	free(job->message);
	job->message = xstrdup(message);
	r = queue_move(queue, job, state, err);
	if (r == 0)
		queue_tell(queue, end_event(state), job, "%s%s%s%s%s", job_state_shown(state),
			   by ? " by " : "", by ? by : "", message ? ": " : "",
			   message ? message : "");
	return r;
}

struct queue_text
queue_job_text(const struct job *job)
{
	struct queue_text text;

	(void)snprintf(text.s, sizeof(text.s), "%s %s %s to %s",
		       job->redeploy ? "redeploy" : "deploy", job->application,
		       names_build_text(&job->build).s, job->stage);
	return text;
}

/* ---- names ---- */

bool
queue_sees(const struct queue_eyes *eyes, const char *application, const char *stage)
{
	return !eyes || eyes->sees(eyes->arg, application, stage);
}

/* Those that are seen. */
static const char **
application_names(const struct conf *conf, const struct queue_eyes *eyes, size_t *ret_n)
{
	const char **names = xcalloc(conf->napplications + 1, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < conf->napplications; i++)
		if (queue_sees(eyes, conf->applications[i].name, NULL))
			names[n++] = conf->applications[i].name;
	*ret_n = n;
	return names;
}

static json_t *
names_json(const char *const *names, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(array, json_string(names[i]));
	return array;
}

/* "a, b, c". free() */
static char *
join(const char *const *names, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		xalloc_die();
	for (size_t i = 0; i < n; i++)
		(void)fprintf(out, "%s%s", i > 0 ? ", " : "", names[i]);
	if (fclose(out) != 0)
		xalloc_die();
	return text;
}

static int
no_application(struct queue *queue, const struct queue_eyes *eyes, const char *name,
	       struct err *err)
{
	size_t n;
	_cleanup_free_ const char **names = application_names(queue->conf, eyes, &n);
	_cleanup_free_ char *list = join(names, n);
	const char *near = names_suggest(name, names, n);
	const char *out = queue->conf->applications_out
			      ? "; applications with mistakes are left out until they are mended: "
				"bmctl check, then bmctl reload"
			      : "";
	int r;

	if (strchr(name, '/') && n > 0)
		r = err_set(
		    err, ERR_NO_SUCH_APPLICATION,
		    "there is no application %s: a build stands behind its application, such "
		    "as %s %s",
		    name, names[0], name);
	else if (near)
		r = err_set(err, ERR_NO_SUCH_APPLICATION,
			    "there is no application %s: did you mean %s?%s", name, near, out);
	else if (n > 0)
		r = err_set(err, ERR_NO_SUCH_APPLICATION,
			    "there is no application %s: there %s %s%s", name,
			    n == 1 ? "is" : "are", list, out);
	else
		r = err_set(err, ERR_NO_SUCH_APPLICATION,
			    "there is no application %s: none is configured, see bmd.conf(5)%s",
			    name, out);
	err_field(err, "application", json_string(name));
	err_field(err, "suggestion", near ? json_string(near) : json_null());
	err_field(err, "applications", names_json(names, n));
	return r;
}

/* The default-application, else the only one. One that is not seen is neither. */
static int
only_application(struct queue *queue, const struct queue_eyes *eyes,
		 const struct conf_application **ret, struct err *err)
{
	const struct conf *conf = queue->conf;
	const char *usual = conf->default_application;
	_cleanup_free_ const char **names = NULL;
	_cleanup_free_ char *list = NULL;
	size_t n;
	int r;

	if (usual && usual[0] && queue_sees(eyes, usual, NULL)) {
		*ret = conf_application(conf, usual);
		return *ret ? 0 : no_application(queue, eyes, usual, err);
	}
	names = application_names(conf, eyes, &n);
	if (n == 1 && !conf->applications_out) {
		*ret = conf_application(conf, names[0]);
		return 0;
	}
	if (n == 1) {
		/* Whoever types none may mean the one that is out. */
		r = err_set(err, ERR_AMBIGUOUS,
			    "%s is the only application now, but others have mistakes and are left "
			    "out until they are mended (bmctl check): name the one that is meant",
			    names[0]);
		err_field(err, "candidates", names_json(names, n));
		return r;
	}
	if (n == 0)
		return err_set(err, ERR_NO_SUCH_APPLICATION,
			       "no application is configured: see bmd.conf(5), then bmctl reload");
	list = join(names, n);
	r = err_set(err, ERR_AMBIGUOUS,
		    "there are several applications: name one of %s, or set default-application",
		    list);
	err_field(err, "candidates", names_json(names, n));
	return r;
}

int
queue_seen_application(struct queue *queue, const struct queue_eyes *eyes, const char *name,
		       const struct conf_application **ret_application, struct err *err)
{
	const struct conf_application *application;

	if (!name)
		return only_application(queue, eyes, ret_application, err);
	application = conf_application(queue->conf, name);
	if (!application || !queue_sees(eyes, name, NULL))
		return no_application(queue, eyes, name, err);
	*ret_application = application;
	return 0;
}

int
queue_find_application(struct queue *queue, const char *name,
		       const struct conf_application **ret_application, struct err *err)
{
	return queue_seen_application(queue, NULL, name, ret_application, err);
}

/* Those that are seen. */
static const char **
stage_names(const struct conf_application *application, const struct queue_eyes *eyes,
	    size_t *ret_n)
{
	const char **names = xcalloc(application->nstages + 1, sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < application->nstages; i++)
		if (queue_sees(eyes, application->name, application->stages[i].name))
			names[n++] = application->stages[i].name;
	*ret_n = n;
	return names;
}

static int
no_stage(const struct conf_application *application, const struct queue_eyes *eyes,
	 const char *stage, struct err *err)
{
	size_t n;
	_cleanup_free_ const char **names = stage_names(application, eyes, &n);
	_cleanup_free_ char *list = join(names, n);
	const char *near = names_suggest(stage, names, n);
	int r;

	if (near)
		r = err_set(err, ERR_NO_SUCH_STAGE, "%s has no stage %s: did you mean %s?",
			    application->name, stage, near);
	else
		r = err_set(err, ERR_NO_SUCH_STAGE, "%s has no stage %s: it has %s",
			    application->name, stage, list);
	err_field(err, "application", json_string(application->name));
	err_field(err, "stage", json_string(stage));
	err_field(err, "suggestion", near ? json_string(near) : json_null());
	err_field(err, "stages", names_json(names, n));
	return r;
}

const struct conf_stage *
queue_last_stage(const struct conf_application *application, const struct queue_eyes *eyes)
{
	for (size_t i = application->nstages; i > 0; i--)
		if (queue_sees(eyes, application->name, application->stages[i - 1].name))
			return &application->stages[i - 1];
	return NULL;
}

int
queue_seen_stage(struct queue *queue, const struct queue_eyes *eyes, const char *application,
		 const char *stage, const struct conf_application **ret_application,
		 const struct conf_stage **ret_stage, struct err *err)
{
	const struct conf_application *found;
	const struct conf_stage *at;
	int r = queue_seen_application(queue, eyes, application, &found, err);

	if (r < 0)
		return r;
	at = stage ? conf_stage(found, stage) : queue_last_stage(found, eyes);
	if (!at || !queue_sees(eyes, found->name, at->name))
		return no_stage(found, eyes, stage ? stage : "", err);
	if (ret_application)
		*ret_application = found;
	*ret_stage = at;
	return 0;
}

int
queue_find_stage(struct queue *queue, const char *application, const char *stage,
		 const struct conf_application **ret_application,
		 const struct conf_stage **ret_stage, struct err *err)
{
	return queue_seen_stage(queue, NULL, application, stage, ret_application, ret_stage, err);
}

/* ---- builds ---- */

/* The releases of an application as plain names, for a suggestion. */
static const char *
near_release(struct queue *queue, const char *application, const char *release, char ret[64])
{
	_cleanup_json_ json_t *releases = NULL;
	_cleanup_free_ const char **names = NULL;
	const char *near;
	size_t n;

	if (store_releases(queue->store, application, 100, &releases, NULL) < 0)
		return NULL;
	n = json_array_size(releases);
	names = xcalloc(n + 1, sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = json_string_value(json_array_get(releases, i));
	near = names_suggest(release, names, n);
	if (!near)
		return NULL;
	(void)snprintf(ret, 64, "%s", near);
	return ret;
}

static int
no_build(struct queue *queue, const char *application, const struct build_ref *ref, int64_t builds,
	 struct err *err)
{
	char near[96] = "";
	int64_t collected_us = 0;
	int r;

	if (ref->number > 0)
		(void)store_build_collected(queue->store, application, ref, &collected_us, NULL);
	if (builds > 0)
		(void)snprintf(near, sizeof(near), "%s/%lld", ref->release, (long long)builds);
	else
		(void)near_release(queue, application, ref->release, near);
	if (collected_us > 0)
		r = err_set(
		    err, ERR_NO_SUCH_BUILD,
		    "%s %s was collected at %s, its files are gone: bmctl history %s tells "
		    "where it has been",
		    application, names_build_text(ref).s,
		    when_local(collected_us - collected_us % WHEN_SECOND, queue_zone_here()).s,
		    application);
	else if (near[0])
		r = err_set(err, ERR_NO_SUCH_BUILD,
			    "%s has no build %s: did you mean %s? (bmctl build list %s)",
			    application, names_build_text(ref).s, near, application);
	else
		r = err_set(err, ERR_NO_SUCH_BUILD, "%s has no build %s: bmctl build list %s",
			    application, names_build_text(ref).s, application);
	err_field(err, "application", json_string(application));
	err_field(err, "release", json_string(ref->release));
	err_field(err, "build", ref->number > 0 ? json_integer(ref->number) : json_null());
	err_field(err, "suggestion", near[0] ? json_string(near) : json_null());
	return r;
}

static int
collect_number(const struct store_build *build, void *arg)
{
	(void)json_array_append_new(arg, json_string(names_build_text(&build->build).s));
	return 0;
}

static int
ambiguous_build(struct queue *queue, const char *application, const char *release, int64_t builds,
		struct err *err)
{
	json_t *candidates = json_array();
	int r;

	(void)store_build_each(queue->store, application, release, 0, 50, collect_number,
			       candidates, NULL);
	r = err_set(err, ERR_AMBIGUOUS, "%s has %lld builds of %s: name one, such as %s",
		    application, (long long)builds, release,
		    json_string_value(json_array_get(candidates, 0)));
	err_field(err, "candidates", candidates);
	return r;
}

int
queue_find_build(struct queue *queue, const char *application, const char *release, int64_t number,
		 struct store_build *ret_build, struct err *err)
{
	struct build_ref ref = {.number = number};
	_cleanup_err_ struct err missing = ERR_INIT;
	int64_t builds, active, succeeded;
	int r;

	(void)snprintf(ref.release, sizeof(ref.release), "%s", release);
	if (number > 0) {
		r = store_build_get(queue->store, application, &ref, ret_build, &missing);
		if (r >= 0)
			return r;
		if (r != -ENOENT) {
			(void)err_set(err, missing.code, "%s", missing.text);
			return r;
		}
	}
	r = store_release_look(queue->store, application, release, NULL, &builds, &active,
			       &succeeded, err);
	if (r < 0)
		return r;
	if (number > 0 || builds == 0)
		return no_build(queue, application, &ref, active, err);
	if (builds > 1)
		return ambiguous_build(queue, application, release, builds, err);
	r = store_release_only(queue->store, application, release, &ref.number, err);
	return r < 0 ? r : store_build_get(queue->store, application, &ref, ret_build, err);
}

/* ---- locks ---- */

bool
queue_locked(const struct store_stage *stage, int64_t at_us)
{
	return stage->locked_by && (stage->lock_until_us == 0 || at_us < stage->lock_until_us);
}

const char *
queue_zone_here(void)
{
	static char zone[WHEN_ZONE_MAX];

	if (!zone[0] && when_zone_local(zone, NULL) < 0)
		memcpy(zone, "UTC", sizeof("UTC"));
	return zone;
}

char *
queue_lock_text(const struct store_stage *stage, int64_t now_us)
{
	/* The next whole second: typed back it is not locked any more. */
	int64_t until_us = (stage->lock_until_us + WHEN_SECOND - 1) / WHEN_SECOND * WHEN_SECOND;
	_cleanup_free_ char *until =
	    stage->lock_until_us
		? xasprintf(", until %s (%s)", when_local(until_us, queue_zone_here()).s,
			    when_distance(until_us, now_us).s)
		: xstrdup("");

	return xasprintf("%s is locked by %s: %s%s", stage->stage, stage->locked_by,
			 stage->lock_reason ? stage->lock_reason : "no reason given", until);
}
