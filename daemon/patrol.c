/* SPDX-License-Identifier: ISC */
/*
 * A pass reads the manifests that builds name, in the order of their digests, so that one number
 * says how far it came: after a restart it goes on behind the last whole manifest. It is due when
 * the time after SINCE has come; SINCE moves on only with the end of a pass, so that none is lost
 * and none is done twice. Between passes one ev_periodic sleeps until the next.
 */
#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <string.h>

#include "artifact/damage.h"
#include "common/time/every.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/patrol.h"

#define SAVE_SECONDS 60.0
#define AGAIN_FIRST  5.0 /* after a helper that broke off: doubled up to … */
#define AGAIN_LAST   3600.0
#define SUSPECTS_MAX 1000
#define NAMED_MAX    1000 /* damaged files of a pass that the log names */
#define BUILDS_MAX   10	  /* builds that a line names */

/* What is kept: the name in the database, and the field. */
#define NUMBERS(X)                                                                           \
	X("verify-since", since_us)	/* what the next time is reckoned from; 0: off */    \
	X("verify-began", now.began_us) /* of the pass under way; 0: none is */              \
	X("verify-cursor", cursor)	/* its last whole manifest: 60 bits of the digest */ \
	X("verify-files", now.files)                                                         \
	X("verify-bytes", now.bytes)                                                         \
	X("verify-damaged", now.damaged)                                                     \
	X("verified-began", last.began_us) /* of the last whole pass; 0: there was none */   \
	X("verified-ended", last.ended_us)                                                   \
	X("verified-files", last.files)                                                      \
	X("verified-bytes", last.bytes)                                                      \
	X("verified-damaged", last.damaged)

struct pass {
	int64_t began_us, ended_us, files, bytes, damaged;
};

struct patrol {
	struct sched *sched;
	struct queue *queue;
	struct turn *turn;
	const struct objects *objects;
	ev_periodic due;
	ev_timer again, save;
	double again_seconds;

	struct every every;
	char *text; /* of EVERY; "": off. Not NULL */
	char zone[WHEN_ZONE_MAX];

	int64_t since_us, cursor;
	struct pass now, last;	     /* NOW is as far as the cursor */
	struct pass base;	     /* what NOW was when the helper began */
	int64_t read_files, found;   /* by the helper; damaged, behind the cursor */
	struct sched_verify *helper; /* NULL: none is at work */
	struct sched_verify *closer; /* at what runs found; the same */
	json_t *suspects;	     /* manifests that wait for it */
	bool done;		     /* the helper read all */
	int saves;		     /* that wait for their commit */
	bool freed;		     /* while some do */
};

static struct ev_loop *
loop_of(const struct patrol *patrol)
{
	return sched_loop(patrol->sched);
}

/* ---- what is kept */

static void
save_later(struct patrol *patrol)
{
	if (!ev_is_active(&patrol->save))
		ev_timer_again(loop_of(patrol), &patrol->save);
}

static void
saved(void *arg, const struct err *failure)
{
	struct patrol *patrol = arg;

	patrol->saves--;
	if (patrol->freed && patrol->saves == 0)
		free(patrol);
	else if (!patrol->freed && failure)
		save_later(patrol);
}

/* A disk that is full keeps nothing: tried again. */
static void
save(struct patrol *patrol)
{
	struct store *store = queue_store(patrol->queue);
	int r = turn_begin(patrol->turn, NULL);

#define X(name, field) \
	if (r >= 0)    \
		r = store_number_put(store, name, patrol->field, NULL);
	NUMBERS(X)
#undef X
	ev_timer_stop(loop_of(patrol), &patrol->save);
	if (r < 0) {
		save_later(patrol);
		return;
	}
	patrol->saves++;
	turn_after(patrol->turn, saved, patrol);
}

static void
on_save(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	save(timer->data);
}

static void
load(struct patrol *patrol)
{
	struct store *store = queue_store(patrol->queue);

#define X(name, field) (void)store_number_get(store, name, &patrol->field, NULL);
	NUMBERS(X)
#undef X
}

/* The first 60 bits of a digest. Two manifests that share them are read again, or not at all once
 * in the life of the universe. */
static int64_t
cursor_of(const char *digest)
{
	char first[16];

	snprintf(first, sizeof(first), "%.15s", digest);
	return (int64_t)strtoull(first, NULL, 16);
}

/* ---- what is found */

/* "shop 1.0.2/3, shop 1.0.2/4 and more". NULL: no build has it any more. free() */
static char *
builds_text(const json_t *builds)
{
	char *text = NULL;
	const json_t *build;
	size_t i;

	json_array_foreach (builds, i, build) {
		_cleanup_free_ char *before = text;

		if (i == BUILDS_MAX) {
			text = xasprintf("%s and more", before);
			break;
		}
		text =
		    xasprintf("%s%s%s %s/%" PRId64, before ? before : "", before ? ", " : "",
			      json_get_string(build, "application"),
			      json_get_string(build, "release"), json_get_int(build, "build", 0));
	}
	return text;
}

/* One finding: named with the builds that have it. False: no build has it any more. */
static bool
name_damage(struct patrol *patrol, const json_t *finding, bool say)
{
	const char *digest = json_get_string(finding, "manifest");
	const char *path = json_get_string(finding, "path"),
		   *problem = json_get_string(finding, "problem");
	_cleanup_json_ json_t *builds = NULL;
	_cleanup_free_ char *who = NULL, *safe = NULL;
	const json_t *first;

	if (!digest || !problem ||
	    store_manifest_builds(queue_store(patrol->queue), digest, BUILDS_MAX + 1, &builds,
				  NULL) < 0 ||
	    json_array_size(builds) == 0)
		return false;
	if (!say)
		return true;
	who = builds_text(builds);
	first = json_array_get(builds, 0);
	safe = json_terminal(path && *path ? path : "the list of files");
	log_error("%s of artifact %s is %s in the store: builds %s; see bmctl build repair", safe,
		  json_get_string(first, "artifact"),
		  strcmp(problem, "missing") == 0 ? "missing" : "damaged", who);
	return true;
}

/* ---- a pass */

static void
arm(struct patrol *patrol, int64_t at_us)
{
	ev_periodic_stop(loop_of(patrol), &patrol->due);
	if (at_us == INT64_MAX)
		return;
	ev_periodic_set(&patrol->due, (double)at_us / 1e6, 0., NULL);
	ev_periodic_start(loop_of(patrol), &patrol->due);
}

static int64_t
due_us(const struct patrol *patrol)
{
	if (*patrol->text == '\0')
		return INT64_MAX;
	if (patrol->now.began_us > 0)
		return patrol->now.began_us;
	return every_next(&patrol->every, patrol->since_us, patrol->zone);
}

static void
whole(struct patrol *patrol)
{
	int64_t now_us = clock_now_us();
	struct pass pass = patrol->now;

	pass.ended_us = now_us;
	log_info("all stored files are verified: %" PRId64 " files in %s, %" PRId64 " damaged",
		 pass.files, when_span(now_us - pass.began_us).s, pass.damaged);
	patrol->last = pass;
	patrol->now = (struct pass){0};
	patrol->cursor = 0;
	/* One that took longer than until the next is not followed by it at once. */
	patrol->since_us = every_next(&patrol->every, pass.began_us, patrol->zone) > now_us
			       ? pass.began_us
			       : now_us;
	patrol->again_seconds = AGAIN_FIRST;
	save(patrol);
	arm(patrol, due_us(patrol));
}

static void
try_again(struct patrol *patrol, const char *why)
{
	log_error("the verification of all stored files goes on in %.0f s: %s",
		  patrol->again_seconds, why);
	ev_timer_stop(loop_of(patrol), &patrol->again);
	ev_timer_set(&patrol->again, patrol->again_seconds, 0.);
	ev_timer_start(loop_of(patrol), &patrol->again);
	patrol->again_seconds *= 2;
	if (patrol->again_seconds > AGAIN_LAST)
		patrol->again_seconds = AGAIN_LAST;
}

static void
stop_helper(struct patrol *patrol)
{
	sched_verify_stop(TAKE(patrol->helper));
	patrol->read_files = patrol->found = 0;
	patrol->done = false;
}

static void
ended(struct patrol *patrol)
{
	bool done = patrol->done;

	stop_helper(patrol);
	if (done)
		whole(patrol);
	else
		try_again(patrol, "bmd-import ended early, see above");
}

/* A manifest was read to its end: from here a pass goes on. */
static void
checked(struct patrol *patrol, const json_t *object)
{
	patrol->now.files = patrol->base.files + json_get_int(object, "files", 0);
	patrol->now.bytes = patrol->base.bytes + json_get_int(object, "bytes", 0);
	patrol->now.damaged += patrol->found;
	patrol->found = 0;
	patrol->cursor = cursor_of(json_get_string(object, "checked"));
	patrol->again_seconds = AGAIN_FIRST;
	save_later(patrol);
}

/* One object of bmd-import --verify (import/verify.h), or NULL at its end. */
static void
on_line(const json_t *object, void *arg)
{
	struct patrol *patrol = arg;

	if (!object) {
		ended(patrol);
		return;
	}
	if (json_get_string(object, "problem"))
		patrol->found += name_damage(patrol, object, patrol->now.damaged < NAMED_MAX);
	if (json_get_string(object, "checked"))
		checked(patrol, object);
	patrol->read_files =
	    json_get_int(json_object_get(object, "progress"), "files", patrol->read_files);
	patrol->done |= json_object_get(object, "done") != NULL;
}

/* What is left of the pass. New array. */
static int
list_left(struct patrol *patrol, json_t **ret_digests, struct err *err)
{
	_cleanup_json_ json_t *all = NULL, *left = json_array();
	json_t *digest;
	size_t i;
	int r = store_manifests(queue_store(patrol->queue), &all, err);

	if (r < 0)
		return r;
	json_array_foreach (all, i, digest)
		if (patrol->cursor == 0 || cursor_of(json_string_value(digest)) > patrol->cursor)
			(void)json_array_append(left, digest);
	*ret_digests = TAKE(left);
	return 0;
}

/* Begins a pass that is due, or goes on with one. */
static void
go_on(struct patrol *patrol)
{
	_cleanup_json_ json_t *digests = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	int r;

	if (patrol->now.began_us == 0) {
		patrol->now = (struct pass){.began_us = clock_now_us()};
		patrol->cursor = 0;
		save(patrol);
	}
	patrol->base = patrol->now;
	r = list_left(patrol, &digests, &err);
	if (r >= 0 && json_array_size(digests) == 0) {
		whole(patrol);
		return;
	}
	if (r >= 0)
		r = sched_verify_own(patrol->sched, digests, on_line, patrol, &patrol->helper,
				     &err);
	if (r < 0)
		try_again(patrol, err.text);
}

/* Looks again: the clock may have been set meanwhile. */
static void
look(struct patrol *patrol)
{
	int64_t at_us = due_us(patrol);

	if (patrol->helper || ev_is_active(&patrol->again))
		return;
	if (at_us <= clock_now_us())
		go_on(patrol);
	else
		arm(patrol, at_us);
}

static void
on_due(struct ev_loop *loop, ev_periodic *periodic, int events)
{
	(void)loop, (void)events;
	look(periodic->data);
}

static void
on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
	look(timer->data);
}

/* ---- what a run found */

static void look_closer(struct patrol *patrol);

static void
on_closer_line(const json_t *object, void *arg)
{
	struct patrol *patrol = arg;

	if (object) {
		if (json_get_string(object, "problem"))
			(void)name_damage(patrol, object, true);
		return;
	}
	sched_verify_stop(TAKE(patrol->closer));
	look_closer(patrol);
}

/* One verification at a time; what cannot begin is left to the next pass, for its mark is there. */
static void
look_closer(struct patrol *patrol)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (patrol->closer || json_array_size(patrol->suspects) == 0)
		return;
	if (sched_verify_own(patrol->sched, patrol->suspects, on_closer_line, patrol,
			     &patrol->closer, &err) < 0)
		log_error("the files of a damaged build are not verified: %s", err.text);
	json_array_clear(patrol->suspects);
}

static void
on_damaged(const json_t *manifests, void *arg)
{
	struct patrol *patrol = arg;

	if (json_array_size(patrol->suspects) < SUSPECTS_MAX)
		json_array_extend(patrol->suspects, (json_t *)(uintptr_t)manifests);
	look_closer(patrol);
}

/* ---- the whole */

/* A pass that nobody wants any more. */
static void
give_up(struct patrol *patrol)
{
	ev_periodic_stop(loop_of(patrol), &patrol->due);
	ev_timer_stop(loop_of(patrol), &patrol->again);
	stop_helper(patrol);
	if (patrol->since_us == 0)
		return;
	patrol->now = (struct pass){0};
	patrol->cursor = patrol->since_us = 0;
	save(patrol);
}

static void
configure(struct patrol *patrol)
{
	const char *text = queue_conf(patrol->queue)->verify_every;
	int64_t now_us = clock_now_us();

	free(patrol->text);
	patrol->text = xstrdup(text);
	if (*text == '\0' || every_parse(text, &patrol->every, NULL) < 0) {
		*patrol->text = '\0';
		give_up(patrol);
		return;
	}
	/* From when the key is there on; and never from a time that the clock has not reached. */
	if (patrol->since_us == 0 || patrol->since_us > now_us) {
		patrol->since_us = now_us;
		save(patrol);
	}
	look(patrol);
}

struct patrol *
patrol_new(struct sched *sched, struct queue *queue, struct turn *turn,
	   const struct objects *objects)
{
	struct patrol *patrol = xcalloc(1, sizeof(*patrol));

	patrol->sched = sched;
	patrol->queue = queue;
	patrol->turn = turn;
	patrol->objects = objects;
	patrol->again_seconds = AGAIN_FIRST;
	ev_periodic_init(&patrol->due, on_due, 0., 0., NULL);
	ev_init(&patrol->again, on_again);
	ev_timer_init(&patrol->save, on_save, 0., SAVE_SECONDS);
	patrol->due.data = patrol->again.data = patrol->save.data = patrol;
	if (when_zone_local(patrol->zone, NULL) < 0)
		snprintf(patrol->zone, sizeof(patrol->zone), "UTC");
	patrol->suspects = json_array();
	sched_on_damaged(sched, on_damaged, patrol);
	load(patrol);
	configure(patrol);
	return patrol;
}

void
patrol_reload(struct patrol *patrol)
{
	configure(patrol);
}

void
patrol_free(struct patrol *patrol)
{
	if (!patrol)
		return;
	ev_periodic_stop(loop_of(patrol), &patrol->due);
	ev_timer_stop(loop_of(patrol), &patrol->again);
	ev_timer_stop(loop_of(patrol), &patrol->save);
	stop_helper(patrol);
	sched_verify_stop(TAKE(patrol->closer));
	sched_on_damaged(patrol->sched, NULL, NULL);
	json_decref(TAKE(patrol->suspects));
	free(TAKE(patrol->text));
	patrol->freed = true;
	if (patrol->saves == 0)
		free(patrol);
}

static json_t *
last_json(const struct pass *pass)
{
	if (pass->began_us == 0)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "began", when_utc(pass->began_us).s, "ended",
			 when_utc(pass->ended_us).s, "files", (json_int_t)pass->files, "bytes",
			 (json_int_t)pass->bytes, "damaged", (json_int_t)pass->damaged);
}

json_t *
patrol_status(const struct patrol *patrol)
{
	int64_t at_us = patrol ? due_us(patrol) : INT64_MAX;
	json_t *status, *running, *next;

	if (!patrol || (*patrol->text == '\0' && patrol->last.began_us == 0))
		return json_null();
	running =
	    patrol->now.began_us == 0
		? json_null()
		: json_pack("{s:s, s:I}", "began", when_utc(patrol->now.began_us).s, "files",
			    (json_int_t)(patrol->helper ? patrol->base.files + patrol->read_files
							: patrol->now.files));
	next = at_us == INT64_MAX || patrol->now.began_us > 0 ? json_null()
							      : json_string(when_utc(at_us).s);
	status = json_pack("{s:o, s:o, s:o, s:o, s:b}", "every",
			   *patrol->text ? json_string(patrol->text) : json_null(), "next", next,
			   "running", running, "last", last_json(&patrol->last), "damaged",
			   damage_any(patrol->objects));
	return status ? status : (xalloc_die(), NULL);
}
