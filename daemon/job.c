/* SPDX-License-Identifier: ISC */
/*
 * The vocabulary of jobs, made from the tables of job.h, and the one table of which state may
 * follow which. A final state has an empty row: it never changes. Who moves a job asks job_may()
 * first (daemon/queue/queue.c does, and nobody else).
 */
#include "daemon/job.h"

#include <stdlib.h>
#include <string.h>

#include "common/scope.h"
#include "common/xalloc.h"

static const struct {
	const char *stored, *shown;
	bool final;
} states[] = {
#define X(symbol, stored, shown, final) [JOB_##symbol] = {stored, shown, final},
    JOB_STATES(X)
#undef X
};

#define TO(symbol) (1u << JOB_##symbol)
#define TO_ENDED   (TO(SUCCEEDED) | TO(FAILED) | TO(CANCELLED) | TO(LOST))

/*
 * Held goes back to scheduled when it is released before its time. Starting and running go back to
 * queued only by the proof that no step ran, and to held when what is found in the run folder is
 * not theirs or their configuration changed. A result may be found while the database still says
 * starting.
 */
static const unsigned may[JOB_STATE_MAX_] = {
    [JOB_SCHEDULED] = TO(QUEUED) | TO(HELD) | TO(CANCELLED) | TO(MISSED) | TO(SUPERSEDED),
    [JOB_QUEUED] =
	TO(SCHEDULED) | TO(STARTING) | TO(HELD) | TO(CANCELLED) | TO(MISSED) | TO(SUPERSEDED),
    [JOB_HELD] = TO(SCHEDULED) | TO(QUEUED) | TO(CANCELLED) | TO(SUPERSEDED),
    [JOB_STARTING] = TO(RUNNING) | TO(QUEUED) | TO(HELD) | TO_ENDED,
    [JOB_RUNNING] = TO(QUEUED) | TO(HELD) | TO_ENDED,
};

static const char *const modes[] = {
    [JOB_MODE_DEPLOY] = "deploy",
    [JOB_MODE_REDEPLOY] = "redeploy",
    [JOB_MODE_ROLLBACK] = "rollback",
};

static const char *const changes[] = {
    [JOB_HOLD] = "hold",
    [JOB_RUN] = "run",
    [JOB_SKIP] = "skip",
};

const char *
job_state_stored(enum job_state state)
{
	return states[state].stored;
}

const char *
job_state_shown(enum job_state state)
{
	return states[state].shown;
}

bool
job_state_final(enum job_state state)
{
	return states[state].final;
}

bool
job_state_from(const char *stored, enum job_state *ret_state)
{
	for (unsigned i = 0; i < JOB_STATE_MAX_; i++) {
		if (strcmp(states[i].stored, stored) == 0) {
			*ret_state = (enum job_state)i;
			return true;
		}
	}
	return false;
}

bool
job_may(enum job_state from, enum job_state to)
{
	return (may[from] & (1u << to)) != 0;
}

const char *
job_mode_name(enum job_mode mode)
{
	return modes[mode];
}

bool
job_mode_from(const char *name, enum job_mode *ret_mode)
{
	for (unsigned i = JOB_MODE_DEPLOY; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i], name) == 0) {
			*ret_mode = (enum job_mode)i;
			return true;
		}
	}
	return false;
}

const char *
job_if_changed_name(enum job_if_changed how)
{
	return changes[how];
}

bool
job_if_changed_from(const char *name, enum job_if_changed *ret_how)
{
	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		if (strcmp(changes[i], name) == 0) {
			*ret_how = (enum job_if_changed)i;
			return true;
		}
	}
	return false;
}

void
job_clear(struct job *job)
{
	free(job->reason);
	free(job->due_text);
	free(job->ended_by);
	free(job->message);
	free(job->failed_step);
	free(job->hold_reason);
	free(job->cancel_by);
	free(job->wanted);
	free(job->approved_by);
	json_decref(job->ahead);
	json_decref(job->variables);
	json_decref(job->overrides);
	memset(job, 0, sizeof(*job));
}

void
job_free(struct job *job)
{
	if (!job)
		return;
	job_clear(job);
	free(job);
}
