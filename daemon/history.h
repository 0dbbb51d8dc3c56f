/* SPDX-License-Identifier: ISC */
/*
 * Which build, and what it would do, as functions of values. One stage at one moment is a struct
 * history; nothing here reads a database or a clock.
 */
#ifndef DAEMON_HISTORY_H
#define DAEMON_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "daemon/job.h"

struct history_entry {
	struct build_ref build;
	int64_t job; /* that made it live; 0: settled by a human */
	int64_t since_us;
	char by[64];
	/* or damaged: filled by whoever loads it; changes while it lies in the stack */
	bool rejected;
};

struct history_run { /* the run on the stage, or the unfinished one that left it dirty */
	int64_t job; /* 0: none (also: settled as unknown) */
	struct build_ref build;
	bool rejected;
	enum job_mode mode;
	struct build_ref from;
	int64_t since_us;
};

struct history {
	const char *application, *stage; /* for sentences; borrowed */
	struct history_entry *stack;	 /* [0] is the bottom, [n - 1] is live */
	size_t n, room;
	bool dirty;
	struct history_run unfinished; /* of a dirty stage */
	bool busy;
	struct history_run running;
	/* a record of it that changed on disk: no default build before settle */
	int64_t damaged_job;
};
void history_clear(struct history *history);

const struct history_entry *history_live(const struct history *history); /* NULL: nothing */
/* A success of ENTRY's build: pushed, or everything above it popped; the live entry is then
 * ENTRY. */
void history_succeed(struct history *history, const struct history_entry *entry);

/* The next one down that is not rejected; NULL if there is none. */
const struct history_entry *history_previous_good(const struct history *history);
/* What a bare redeploy takes. 0; NOTHING_TO_REDEPLOY; or REFUSED (rule running-rollback, field
 * job). */
int history_default(const struct history *history, struct build_ref *ret_build, struct err *err);
/* Mode and BM_FROM_* of a run of BUILD that would start now. SUCCEEDED: BUILD succeeded on this
 * stage before. */
enum job_mode history_mode(const struct history *history, const struct build_ref *build,
			   bool succeeded, struct build_ref *ret_from);

enum history_verdict { HISTORY_SAME, HISTORY_CHANGED };
/* The live-build guard: is what is live now the EXPECTED build, or the work of a job that was AHEAD
 * (array of ids)? */
enum history_verdict history_guard(const struct history *history, const struct build_ref *expected,
				   const json_t *ahead);

#endif
