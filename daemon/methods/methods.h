/* SPDX-License-Identifier: ISC */
/*
 * The methods of io.bmd.Control: one row, one role, one small function in the file of its noun. A
 * method without a handler does not link, a row without a method in the interface file fails the
 * tests. methods_call() checks the call against the interface, the caller's role and the key before
 * the handler, which then sees good input.
 */
#ifndef DAEMON_METHODS_H
#define DAEMON_METHODS_H

#include "daemon/audit.h"
#include "daemon/control/control.h"
#include "daemon/notices.h"
#include "daemon/patrol.h"
#include "daemon/sched/sched.h"

/*
 * kind: READ, MUTATE (key, savepoint, stored answer), ADD (the same, but what it refuses it refuses
 * before its first write:
 *	no savepoint), STREAM (more), UPGRADE.
 * touches: what the caller must have the role on, and see (reach.c):
 *	STAGE		the stage that is named, or is the default
 *	APPLICATION	any stage of the application that is named
 *	WHOLE		each stage of it; of all, when none is named
 *	JOB, JOBS, SCHEDULE	the stage that they are of
 *	LIST		nothing: what is named must be seen, and only what is seen is listed
 *	NONE		nothing: the widest role that the caller has anywhere is enough
 *
 *	  method           role      kind     touches */
// clang-format off
#define METHODS(X)                                                                                 \
	X(GetStatus,       VIEWER,   READ,    LIST)                                                \
	X(ListBuilds,      VIEWER,   READ,    APPLICATION)                                         \
	X(GetBuild,        VIEWER,   READ,    APPLICATION)                                         \
	X(GetManifest,     VIEWER,   STREAM,  APPLICATION)                                         \
	X(Upload,          OPERATOR, UPGRADE, NONE)                                                \
	X(ListArtifacts,   VIEWER,   READ,    APPLICATION)                                         \
	X(AddBuild,        OPERATOR, MUTATE,  APPLICATION)                                         \
	X(RejectBuild,     OPERATOR, MUTATE,  WHOLE)                                               \
	X(RestoreBuild,    OPERATOR, MUTATE,  WHOLE)                                               \
	X(PinBuild,        OPERATOR, MUTATE,  WHOLE)                                               \
	X(UnpinBuild,      OPERATOR, MUTATE,  WHOLE)                                               \
	X(CollectBuilds,   OPERATOR, MUTATE,  WHOLE)                                               \
	X(SweepStore,      OPERATOR, STREAM,  NONE)                                                \
	X(Backup,          ROOT,     STREAM,  NONE)                                                \
	X(VerifyBuilds,    VIEWER,   STREAM,  LIST)                                                \
	X(Diff,            VIEWER,   STREAM,  APPLICATION)                                         \
	X(Deploy,          OPERATOR, ADD,     STAGE)                                               \
	X(Redeploy,        OPERATOR, ADD,     STAGE)                                               \
	X(ListQueue,       VIEWER,   READ,    LIST)                                                \
	X(GetJob,          VIEWER,   READ,    JOB)                                                 \
	X(ListHistory,     VIEWER,   READ,    LIST)                                                \
	X(Log,             VIEWER,   STREAM,  JOB)                                                 \
	X(Wait,            VIEWER,   STREAM,  JOBS)                                                \
	X(Cancel,          OPERATOR, MUTATE,  JOB)                                                 \
	X(Reschedule,      OPERATOR, MUTATE,  JOB)                                                 \
	X(Release,         APPROVER, MUTATE,  JOB)                                                 \
	X(AddSchedule,     OPERATOR, MUTATE,  STAGE)                                               \
	X(ListSchedules,   VIEWER,   READ,    LIST)                                                \
	X(GetSchedule,     VIEWER,   READ,    SCHEDULE)                                            \
	X(RemoveSchedule,  OPERATOR, MUTATE,  SCHEDULE)                                            \
	X(PauseSchedule,   OPERATOR, MUTATE,  SCHEDULE)                                            \
	X(ResumeSchedule,  OPERATOR, MUTATE,  SCHEDULE)                                            \
	X(Lock,            OPERATOR, MUTATE,  STAGE)                                               \
	X(Unlock,          OPERATOR, MUTATE,  STAGE)                                               \
	X(Settle,          OPERATOR, MUTATE,  STAGE)                                               \
	X(Adopt,           OPERATOR, MUTATE,  STAGE)                                               \
	X(Check,           VIEWER,   READ,    NONE)                                                \
	X(Reload,          ROOT,     MUTATE,  NONE)                                                \
	X(Drain,           OPERATOR, MUTATE,  WHOLE)                                               \
	X(ListNotices,     VIEWER,   READ,    LIST)                                                \
	X(TestNotice,      OPERATOR, MUTATE,  WHOLE)                                               \
	X(ListAudit,       VIEWER,   READ,    LIST)                                                \
	X(VerifyAudit,     VIEWER,   STREAM,  NONE)
// clang-format on

struct methods;
/* Reads the configuration again: the new value, which is in force once this turn is committed; TOLD
 * is logged then. Or fails with CONFIGURATION and field "problems". */
typedef int methods_reload(void *arg, const struct event *told, const struct conf **ret_conf,
			   struct err *err);
struct methods *methods_new(struct queue *queue, struct sched *sched, struct turn *turn,
			    struct objects *objects, struct audit *audit, methods_reload *reload,
			    void *arg);
void methods_free(struct methods *methods);
/* What GetStatus says of timed verification; without it, nothing. */
void methods_set_patrol(struct methods *methods, const struct patrol *patrol);
/* What GetStatus counts connections of. */
void methods_set_control(struct methods *methods, const struct control *control);
/* Who tells of what happens; before the first call. */
void methods_set_notices(struct methods *methods, struct notices *notices);
/* Problems of a tolerant start, which GetStatus warns of: array of texts, borrowed; NULL: none. */
void methods_set_problems(struct methods *methods, json_t *problems);
control_handler methods_call; /* its ARG is a struct methods * */

#endif
