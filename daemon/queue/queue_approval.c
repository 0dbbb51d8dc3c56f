/* SPDX-License-Identifier: ISC */
/*
 * First deployments that somebody has to let go. A stage with approvers starts a build that never
 * succeeded on it only after one of them said so; what succeeded there needs nobody, for the way
 * back must not wait. An approval belongs to the job and its build, and outlives the rights of who
 * gave it: it was his to give.
 */
#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

static const struct conf_strings *
approvers(struct queue *queue, const struct job *job)
{
	const struct conf_application *application =
	    conf_application(queue->conf, job->application);
	const struct conf_stage *stage = application ? conf_stage(application, job->stage) : NULL;

	return stage ? conf_role(queue->conf, application, stage, CONF_APPROVERS) : NULL;
}

bool
queue_needs_approval(struct queue *queue, const struct job *job)
{
	const struct conf_strings *list = approvers(queue, job);

	if (!list || list->n == 0 || job->approved_by)
		return false;
	/* Which build it is shows at its start. */
	if (job->wanted && job->build.number == 0)
		return false;
	return store_succeeded(queue->store, job->application, job->stage, &job->build, NULL) <= 0;
}

char *
queue_approval_text(struct queue *queue, const struct job *job)
{
	_cleanup_free_ char *who = conf_role_text(approvers(queue, job));

	return xasprintf(
	    "%s never succeeded on %s and needs the approval of %s: bmctl release %lld",
	    names_build_text(&job->build).s, job->stage, who, (long long)job->id);
}

void
queue_approve(struct job *job, const struct queue_who *who, int64_t now_us)
{
	free(job->approved_by);
	job->approved_by = xstrdup(who->name);
	job->approved_us = now_us;
}

void
queue_approved_until(struct job *job, const struct build_ref *build)
{
	if (names_build_equal(&job->build, build))
		return;
	free(TAKE(job->approved_by));
	job->approved_us = 0;
}

int
queue_check_approval(struct queue *queue, const struct job *job, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (!queue_needs_approval(queue, job))
		return 0;
	text = queue_approval_text(queue, job);
	r = err_set(err, ERR_REFUSED, "%s", text);
	err_rule(err, ERR_RULE_APPROVAL);
	err_field(err, "job", json_integer(job->id));
	return r;
}

/* What never ran there nobody has let go: to say that it is live would be a way around. */
int
queue_check_word(struct queue *queue, const char *application, const char *stage,
		 const struct build_ref *build, const struct queue_who *who, struct err *err)
{
	struct job job = {.build = *build};
	_cleanup_free_ char *list = NULL;
	char digest[65];
	int64_t run = 0, since;
	int r;

	(void)snprintf(job.application, sizeof(job.application), "%s", application);
	(void)snprintf(job.stage, sizeof(job.stage), "%s", stage);
	if (who->approves || !queue_needs_approval(queue, &job))
		return 0;
	r = store_last_run(queue->store, application, stage, build, &run, digest, &since, err);
	if (r < 0 || run > 0)
		return r;
	list = conf_role_text(approvers(queue, &job));
	r = err_set(err, ERR_REFUSED,
		    "%s never ran on %s: only one of %s may say that it is live there",
		    names_build_text(build).s, stage, list);
	err_rule(err, ERR_RULE_APPROVAL);
	return r;
}
