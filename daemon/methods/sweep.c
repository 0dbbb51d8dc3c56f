/* SPDX-License-Identifier: ISC */
/*
 * SweepStore: what no build names any more is removed by a helper. bmd-import --gc takes the store
 * for itself, then is told what to keep. That list is made between two transactions: a change that
 * is not committed yet may still be undone.
 */
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/methods/request.h"

#define PROGRESS_US 250000

struct sweep {
	struct methods *methods;
	struct control_call *call; /* NULL: its client has gone */
	struct sched_verify *helper;
	int64_t manifests, objects, bytes;
	int64_t told_us;
	bool listing; /* on_committed() will be called */
	bool done, more;
	struct err failure;
};

/* Ends SWEEP, at once or when nobody holds it any more. */
static void
sweep_free(struct sweep *sweep)
{
	sched_verify_stop(sweep->helper);
	sweep->helper = NULL;
	sweep->call = NULL;
	if (sweep->listing)
		return;
	err_clear(&sweep->failure);
	free(sweep);
}

static void
sweep_gone(void *arg)
{
	sweep_free(arg);
}

static void
sweep_drained(void *arg)
{
	(void)arg; /* the next progress will be told again */
}

static void
sweep_reply(struct sweep *sweep, bool continues)
{
	control_reply(sweep->call,
		      json_pack("{s:I, s:I, s:I}", "manifests", (json_int_t)sweep->manifests,
				"objects", (json_int_t)sweep->objects, "bytes",
				(json_int_t)sweep->bytes),
		      continues);
}

static void
sweep_end(struct sweep *sweep)
{
	if (sweep->done)
		sweep_reply(sweep, false);
	else {
		if (sweep->failure.code == ERR_NONE)
			err_set(&sweep->failure, ERR_FAILED,
				"the store was not cleaned up: bmd-import ended early, see the log "
				"of bmd");
		control_error(sweep->call, &sweep->failure);
	}
	sweep_free(sweep);
}

static int
sweep_list(struct sweep *sweep, struct err *err)
{
	_cleanup_json_ json_t *digests = NULL;
	int r = store_manifests(sweep->methods->store, &digests, err);

	if (r >= 0 && sched_collect_keep(sweep->helper, digests) < 0)
		r = err_set(err, ERR_FAILED, "%zu manifests are more than one clean-up can keep",
			    json_array_size(digests));
	return r;
}

static void
on_committed(void *arg, const struct err *failure)
{
	struct sweep *sweep = arg;

	(void)failure; /* then nothing changed, and the list is as true */
	sweep->listing = false;
	if (!sweep->call)
		sweep_free(sweep);
	else if (sweep_list(sweep, &sweep->failure) < 0)
		sweep_end(sweep);
}

/* One object of bmd-import --gc (import/collect.h), or NULL at its end. */
static void
sweep_line(const json_t *object, void *arg)
{
	struct sweep *sweep = arg;
	int64_t now_us = clock_now_us();
	const json_t *done, *progress;

	if (!object) {
		sweep_end(sweep);
		return;
	}
	if (json_get_bool(object, "locked")) {
		sweep->listing = true;
		turn_after(sweep->methods->turn, on_committed, sweep);
		return;
	}
	if (err_from_json(object, &sweep->failure) == 0)
		return;
	done = json_object_get(object, "done");
	progress = done ? done : json_object_get(object, "progress");
	sweep->manifests = json_get_int(progress, "manifests", sweep->manifests);
	sweep->objects = json_get_int(progress, "objects", sweep->objects);
	sweep->bytes = json_get_int(progress, "bytes", sweep->bytes);
	sweep->done |= done != NULL;
	if (!sweep->more || sweep->done || now_us - sweep->told_us < PROGRESS_US)
		return;
	if (!control_may_send(sweep->call, sweep_drained, sweep))
		return;
	sweep->told_us = now_us;
	sweep_reply(sweep, true);
}

static bool
anything_is_collected(const struct conf *conf)
{
	for (size_t i = 0; i < conf->napplications; i++)
		if (conf->applications[i].keep_builds > 0)
			return true;
	return false;
}

int
method_SweepStore(struct request *request, struct err *err)
{
	struct sweep *sweep;
	int r;

	if (!anything_is_collected(queue_conf(request->methods->queue))) {
		r = err_set(err, ERR_REFUSED,
			    "no application has keep-builds, so nothing is ever removed: set it, "
			    "then bmctl reload");
		err_rule(err, ERR_RULE_KEEP_BUILDS);
		return r;
	}
	sweep = xcalloc(1, sizeof(*sweep));
	*sweep = (struct sweep){.methods = request->methods,
				.call = request->call,
				.told_us = request->now_us,
				.more = request->more};
	r = sched_collect(request->methods->sched, sweep_line, sweep, &sweep->helper, err);
	if (r < 0) {
		sweep_free(sweep);
		return r;
	}
	control_on_gone(sweep->call, sweep_gone, sweep);
	return 0;
}
