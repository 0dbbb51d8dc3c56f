/* SPDX-License-Identifier: ISC */
/*
 * GetManifest and Diff: which files a build has, and what two builds differ in. Lists of files may
 * be long, and bmd's loop waits for nobody: a helper reads them (bmd-import --lists), answers one
 * question after the other, and stays for a while, because the next page is of the same lists, most
 * likely.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/methods/request.h"

#define KEPT_SECONDS 10.0
#define ASKED_MAX    512 /* questions that wait for their answers */

/* A question whose answer has not come. */
struct asked {
	struct asked *next;
	struct control_call *call; /* NULL: its client has gone */
	json_t *more;		   /* members of the reply beside the helper's */
};

struct request_lists {
	struct methods *methods;
	struct sched_verify *helper; /* NULL: none */
	ev_timer idle;
	struct asked *first, **last;
	size_t n;
};

/* ---- the helper */

static void
on_idle(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct request_lists *lists = timer->data;

	(void)events;
	if (lists->first)
		return;
	ev_timer_stop(loop, timer);
	sched_verify_stop(TAKE(lists->helper));
}

static struct request_lists *
lists_of(struct methods *methods)
{
	struct request_lists *lists = methods->lists;

	if (lists)
		return lists;
	lists = methods->lists = xcalloc(1, sizeof(*lists));
	*lists = (struct request_lists){.methods = methods, .last = &lists->first};
	ev_timer_init(&lists->idle, on_idle, 0., KEPT_SECONDS);
	lists->idle.data = lists;
	return lists;
}

/* The question that was asked first has its answer. */
static struct asked *
take_first(struct request_lists *lists)
{
	struct asked *asked = lists->first;

	lists->first = asked->next;
	if (!lists->first)
		lists->last = &lists->first;
	lists->n--;
	return asked;
}

/* ANSWER (borrowed), or with ERR none. */
static void
end(struct asked *asked, const json_t *answer, const struct err *err)
{
	if (asked->call && err)
		control_error(asked->call, err);
	else if (asked->call) {
		json_t *reply = json_copy((json_t *)(uintptr_t)answer);

		json_object_update(reply, asked->more);
		control_reply(asked->call, reply, false);
	}
	json_decref(asked->more);
	free(asked);
}

/* What the helper had not answered when it ended is not known. */
static void
helper_ended(struct request_lists *lists)
{
	_cleanup_err_ struct err err = ERR_INIT;

	sched_verify_stop(TAKE(lists->helper));
	err_set(&err, ERR_FAILED,
		"the lists of files could not be read: bmd-import ended early, see the log of bmd");
	while (lists->first)
		end(take_first(lists), NULL, &err);
}

static void
on_answer(const json_t *object, void *arg)
{
	struct request_lists *lists = arg;
	_cleanup_err_ struct err err = ERR_INIT;

	if (!object) {
		helper_ended(lists);
		return;
	}
	if (!lists->first)
		return;
	if (err_from_json(object, &err) == 0)
		end(take_first(lists), NULL, &err);
	else
		end(take_first(lists), object, NULL);
}

static void
asked_gone(void *arg)
{
	struct asked *asked = arg;

	asked->call = NULL;
}

/* Asks QUESTION for REQUEST, which is answered with what comes and MORE. Steals both. */
static int
ask(struct request *request, json_t *question, json_t *more, struct err *err)
{
	_cleanup_json_ json_t *own = question, *members = more;
	struct request_lists *lists = lists_of(request->methods);
	struct asked *asked;
	int r = 0;

	if (lists->n == ASKED_MAX)
		return err_set(err, ERR_TOO_MANY,
			       "%d questions about lists of files wait already: ask again",
			       ASKED_MAX);
	if (!lists->helper)
		r = sched_lists(request->methods->sched, on_answer, lists, &lists->helper, err);
	if (r < 0)
		return r;
	if (sched_lists_ask(lists->helper, own) < 0)
		return err_set(err, ERR_TOO_MANY, "the question is too long to be asked");
	ev_timer_again(sched_loop(request->methods->sched), &lists->idle);
	asked = xcalloc(1, sizeof(*asked));
	*asked = (struct asked){.call = request->call, .more = TAKE(members)};
	*lists->last = asked;
	lists->last = &asked->next;
	lists->n++;
	control_on_gone(asked->call, asked_gone, asked);
	return 0;
}

void
request_lists_free(struct methods *methods)
{
	struct request_lists *lists = methods->lists;

	if (!lists)
		return;
	ev_timer_stop(sched_loop(methods->sched), &lists->idle);
	sched_verify_stop(lists->helper);
	while (lists->first) {
		struct asked *asked = take_first(lists);

		asked->call = NULL; /* control has ended before */
		end(asked, NULL, NULL);
	}
	free(TAKE(methods->lists));
}

/* ---- GetManifest */

static const struct store_artifact *
artifact_of(const struct store_build *build, const char *name)
{
	for (size_t i = 0; i < build->nartifacts; i++)
		if (strcmp(build->artifacts[i].name, name) == 0)
			return &build->artifacts[i];
	return NULL;
}

static int
ask_manifest(struct request *request, const struct store_build *build, struct err *err)
{
	const char *name = request_text(request, "artifact");
	const struct store_artifact *artifact = artifact_of(build, name);

	if (!artifact)
		return err_set(err, ERR_FAILED, "%s %s has no artifact \"%.80s\": bmctl build show",
			       build->application, names_build_text(&build->build).s, name);
	return ask(request,
		   json_pack("{s:s, s:I}", "manifest", artifact->digest, "after",
			     (json_int_t)request_int(request, "after", 0)),
		   json_object(), err);
}

int
method_GetManifest(struct request *request, struct err *err)
{
	_cleanup_(store_build_clear) struct store_build build = {0};
	int r = request_build(request, &build, err);

	return r < 0 ? r : ask_manifest(request, &build, err);
}

/* ---- Diff */

/* One of the two builds: {release, build}. */
static int
diff_side(struct request *request, const char *application, const json_t *side,
	  struct store_build *ret_build, struct err *err)
{
	const char *release = json_get_string(side, "release");

	if (!names_release(release)) {
		int r = err_set(err, ERR_BAD_NAME, "%.80s is not a release", release);

		err_field(err, "name", json_string(release));
		return r;
	}
	return queue_find_build(request->methods->queue, application, release,
				json_get_int(side, "build", 0), ret_build, err);
}

/* What is live on the application's last stage, of those that the caller sees. */
static int
diff_live(struct request *request, const struct conf_application *application,
	  struct store_build *ret_build, struct err *err)
{
	struct queue_eyes eyes = reach_eyes(request->peer);
	const struct conf_stage *last = queue_last_stage(application, &eyes);
	const char *stage = last ? last->name : "";
	struct history history = {0};
	int r = store_history_get(request->methods->store, application->name, stage, &history, err);

	if (r >= 0 && !history_live(&history)) {
		r = err_set(err, ERR_NOTHING_TO_REDEPLOY,
			    "nothing is live on %s %s: name the second build", application->name,
			    stage);
		err_field(err, "application", json_string(application->name));
		err_field(err, "stage", json_string(stage));
	} else if (r >= 0)
		r = store_build_get(request->methods->store, application->name,
				    &history_live(&history)->build, ret_build, err);
	history_clear(&history);
	return r;
}

static json_t *
digest_json(const struct store_artifact *artifact)
{
	return artifact ? json_string(artifact->digest) : json_null();
}

static void
add_pair(json_t *pairs, const char *name, const struct store_artifact *old,
	 const struct store_artifact *new)
{
	if (old && new &&strcmp(old->digest, new->digest) == 0)
		return;
	json_array_append_new(pairs, json_pack("{s:s, s:o, s:o}", "artifact", name, "old",
					       digest_json(old), "new", digest_json(new)));
}

/* The lists of which the two builds' differ: for the helper. */
static json_t *
pairs_of(const struct store_build *a, const struct store_build *b)
{
	json_t *pairs = json_array();

	for (size_t i = 0; i < a->nartifacts; i++)
		add_pair(pairs, a->artifacts[i].name, &a->artifacts[i],
			 artifact_of(b, a->artifacts[i].name));
	for (size_t i = 0; i < b->nartifacts; i++)
		if (!artifact_of(a, b->artifacts[i].name))
			add_pair(pairs, b->artifacts[i].name, NULL, &b->artifacts[i]);
	return pairs;
}

int
method_Diff(struct request *request, struct err *err)
{
	const json_t *side = json_object_get(request->parameters, "b");
	const struct conf_application *application = request->application;
	_cleanup_(store_build_clear) struct store_build a = {0};
	_cleanup_(store_build_clear) struct store_build b = {0};
	_cleanup_(page_clear) struct page page = {0};
	int r = page_begin(request, 1, &page, err);

	if (r >= 0)
		r = diff_side(request, application->name, json_object_get(request->parameters, "a"),
			      &a, err);
	if (r >= 0)
		r = json_is_object(side) ? diff_side(request, application->name, side, &b, err)
					 : diff_live(request, application, &b, err);
	if (r < 0)
		return r;
	return ask(request,
		   json_pack("{s:o, s:I, s:i}", "diff", pairs_of(&a, &b), "skip",
			     (json_int_t)page.after[0], "limit", page.limit),
		   json_pack("{s:o, s:o}", "a", request_ref(&a.build), "b", request_ref(&b.build)),
		   err);
}
