/* SPDX-License-Identifier: ISC */
/*
 * What going back does not undo: the irreversible steps that other builds ran on a stage after a
 * build's last run there.
 */
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

static int
add_undone(int64_t job, const struct build_ref *build, const char *step, void *arg)
{
	return json_array_append_new(
	    arg, json_pack("{s:s, s:s, s:I, s:I}", "step", step, "release", build->release, "build",
			   (json_int_t)build->number, "job", (json_int_t)job));
}

int
queue_not_undone(struct queue *queue, const struct history *history, const struct build_ref *build,
		 json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *undone = json_array();
	char digest[65];
	int64_t job, since = 0;
	int r = 0;

	/* What the build itself has done is no loss to it, also when that run failed or goes on.
	   What stands in the stack counts from its success: a run of it that failed since, on the
	   way back to it, has undone nothing. */
	for (size_t i = 0; i < history->n; i++)
		if (names_build_equal(&history->stack[i].build, build))
			since = history->stack[i].since_us;
	if (since == 0)
		r = store_last_run(queue->store, history->application, history->stage, build, &job,
				   digest, &since, err);
	if (r >= 0 && since > 0)
		r = store_irreversible_each(queue->store, history->application, history->stage,
					    build, since, QUEUE_UNDONE_MAX, add_undone, undone,
					    err);
	if (r < 0)
		return r;
	*ret = TAKE(undone);
	return 0;
}
