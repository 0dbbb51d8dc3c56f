/* SPDX-License-Identifier: ISC */
/*
 * The methods of io.bmd.Control: one row, one role, one small function in the file of its noun. A method without a handler
 * does not link, a row without a method in the interface file fails the tests. methods_call() checks the
 * call against the interface, the caller's role and the key before the handler, which then sees good input.
 */
#ifndef DAEMON_METHODS_H
#define DAEMON_METHODS_H

#include "daemon/audit.h"
#include "daemon/control.h"
#include "daemon/patrol.h"
#include "daemon/sched.h"

/*   method            role      kind: READ, MUTATE (key, savepoint, stored answer), STREAM (more), UPGRADE */
#define METHODS(X)                                                                                 \
	X(GetStatus,       VIEWER,   READ)                                                         \
	X(ListBuilds,      VIEWER,   READ)                                                         \
	X(GetBuild,        VIEWER,   READ)                                                         \
	X(GetManifest,     VIEWER,   READ)                                                         \
	X(Upload,          OPERATOR, UPGRADE)                                                      \
	X(ListArtifacts,   VIEWER,   READ)                                                         \
	X(AddBuild,        OPERATOR, MUTATE)                                                       \
	X(RejectBuild,     OPERATOR, MUTATE)                                                       \
	X(RestoreBuild,    OPERATOR, MUTATE)                                                       \
	X(PinBuild,        OPERATOR, MUTATE)                                                       \
	X(UnpinBuild,      OPERATOR, MUTATE)                                                       \
	X(CollectBuilds,   OPERATOR, MUTATE)                                                       \
	X(SweepStore,      OPERATOR, STREAM)                                                       \
	X(VerifyBuilds,    VIEWER,   STREAM)                                                       \
	X(Diff,            VIEWER,   READ)                                                         \
	X(Deploy,          OPERATOR, MUTATE)                                                       \
	X(Redeploy,        OPERATOR, MUTATE)                                                       \
	X(ListQueue,       VIEWER,   READ)                                                         \
	X(GetJob,          VIEWER,   READ)                                                         \
	X(ListHistory,     VIEWER,   READ)                                                         \
	X(Log,             VIEWER,   STREAM)                                                       \
	X(Wait,            VIEWER,   STREAM)                                                       \
	X(Cancel,          OPERATOR, MUTATE)                                                       \
	X(Reschedule,      OPERATOR, MUTATE)                                                       \
	X(Release,         OPERATOR, MUTATE)                                                       \
	X(AddSchedule,     OPERATOR, MUTATE)                                                       \
	X(ListSchedules,   VIEWER,   READ)                                                         \
	X(GetSchedule,     VIEWER,   READ)                                                         \
	X(RemoveSchedule,  OPERATOR, MUTATE)                                                       \
	X(PauseSchedule,   OPERATOR, MUTATE)                                                       \
	X(ResumeSchedule,  OPERATOR, MUTATE)                                                       \
	X(Lock,            OPERATOR, MUTATE)                                                       \
	X(Unlock,          OPERATOR, MUTATE)                                                       \
	X(Settle,          OPERATOR, MUTATE)                                                       \
	X(Check,           VIEWER,   READ)                                                         \
	X(Reload,          ROOT,     MUTATE)                                                       \
	X(Drain,           OPERATOR, MUTATE)                                                       \
	X(ListAudit,       VIEWER,   READ)                                                         \
	X(VerifyAudit,     VIEWER,   STREAM)

struct methods;
/* RELOAD swaps the configuration: it returns the new value's warnings or fails with CONFIGURATION and field "problems". */
struct methods *methods_new(struct queue *queue, struct sched *sched, struct turn *turn, struct objects *objects, struct audit *audit,
			    int (*reload)(void *arg, json_t **ret_warnings, struct err *err), void *arg);
void methods_free(struct methods *methods);
/* What GetStatus says of timed verification; without it, nothing. */
void methods_set_patrol(struct methods *methods, const struct patrol *patrol);
/* Problems of a tolerant start, which GetStatus warns of: array of texts, borrowed; NULL: none. */
void methods_set_problems(struct methods *methods, json_t *problems);
control_handler methods_call; /* its ARG is a struct methods * */

#endif
