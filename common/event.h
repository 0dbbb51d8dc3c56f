/* SPDX-License-Identifier: ISC */
/*
 * What happens to jobs, their runs and bmd as values with a name: the journal keeps each with its
 * fields and a MESSAGE_ID, whose text for `journalctl -x` stands in systemd/bmd.catalog.
 */
#ifndef COMMON_EVENT_H
#define COMMON_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "common/names.h"

/* symbol, name, MESSAGE_ID (made once, never used for anything else), priority of syslog(3) */
// clang-format off
#define EVENTS(X)                                                                            \
	X(READY,       "ready",       "be1ed97968c445b6ad9210f254c1f0f6", LOG_INFO)    \
	X(STOPPING,    "stopping",    "49ef768c9e8946b889cf58748b83345b", LOG_INFO)    \
	X(RELOADED,    "reloaded",    "77fc98b3d1934b828bd91ad97abda0dc", LOG_INFO)    \
	X(DRAINED,     "drained",     "f42950fc10ef4dceaa980c407b1b3e0b", LOG_NOTICE)  \
	X(STARTED,     "started",     "daa3dde5679b4c5a81ac1f89e9ba8d37", LOG_INFO)    \
	X(STEP,        "step",        "615b8c12f16e4ab982b1b060fd4b3772", LOG_INFO)    \
	X(POSTPONED,   "postponed",   "570b6a79a33f4a9c89bfcb4f56733ffb", LOG_WARNING) \
	X(SUCCEEDED,   "succeeded",   "166e87b1513f496f9898b08776e12ca0", LOG_INFO)    \
	X(RECOVERED,   "recovered",   "ad1e8468c11b426e9b0cd6d44a57309d", LOG_NOTICE)  \
	X(FAILED,      "failed",      "502ecddb4ceb4ed8b4a1b749fca60cc9", LOG_ERR)     \
	X(CANCELLED,   "cancelled",   "52060876dd444129805cd815bec55e5a", LOG_NOTICE)  \
	X(SUPERSEDED,  "superseded",  "1ee37e8b4b024e64864229f7e4bb1ac2", LOG_INFO)    \
	X(MISSED,      "missed",      "60a1a93abbfb4cc6a913deadc70234b7", LOG_WARNING) \
	X(LOST,        "lost",        "285f0993b19549a99be476ddc61168aa", LOG_ERR)     \
	X(HELD,        "held",        "d3cf1f04464f405e8b0484464358ca6f", LOG_WARNING) \
	X(AUTOMATIC,   "automatic",   "da343d44ab664209818ca4d1fafbf546", LOG_NOTICE)  \
	X(COLLECTED,   "collected",   "144dbd92770e4c8b9e3089a21b279970", LOG_INFO)    \
	X(NOTED,       "noted",       "bb228128846446c090e17e2a51f125dd", LOG_INFO)
// clang-format on

enum event_kind {
#define X(symbol, name, id, priority) EVENT_##symbol,
	EVENTS(X)
#undef X
	    EVENT_MAX_
};

/* Strings are "" and numbers 0 where there is nothing to say. */
struct event {
	enum event_kind kind;
	int64_t job;
	char application[64], stage[64], plan[64], step[64];
	struct build_ref build;
	char result[16];    /* of a job that is final: its state */
	char requester[64]; /* who asked for the job */
	char *text;	    /* the whole sentence */
};

const char *event_name(enum event_kind kind);
const char *event_message_id(enum event_kind kind);
int event_priority(enum event_kind kind);
struct event *event_copy(const struct event *event); /* event_free() */
void event_free(struct event *event);		     /* NULL is fine */

#endif
