/* SPDX-License-Identifier: ISC */
/*
 * Jobs in words: what a request was understood as, what it replaces and how to undo it; how a job
 * ended, and the exit code that tells it. Objects are those of the interface file.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl/ctl.h"

/* CTL_DONE, CTL_FAILED, CTL_NOT_RUN or CTL_HELD; -1 for a job that still waits or runs. */
int text_exit(const json_t *job);

/* "job 42: redeploy shop 1.0.2/3 to production, replacing …, at …" of the reply of Deploy or
 * Redeploy. free() it. */
char *text_request(const struct ctl *ctl, const json_t *reply);
/* The same of the preview of a request that still waits for its confirmation. free() it. */
char *text_asked(const struct ctl *ctl, const json_t *reply, const json_t *parameters);
/* "migrate of 1.0.3/1, …", each once; NULL if everything is undone. */
char *text_not_undone(const json_t *not_undone);
/* "job 40, job 41"; NULL if none is ahead. */
char *text_ahead(const json_t *ahead);
/* "undo: …" or "afterwards, undo: …"; NULL if there is nothing to go back to. */
char *text_undo(const json_t *reply, bool now);

/* What a request has to say besides, behind a command: " --reason TEXT --yes", or as much of it as
 * WANTS ({reason, confirmed}) has. */
const char *text_wants(const json_t *wants);
/* "production is dirty: COMMAND mends it" of a stage; NULL if it is clean. free() it. */
char *text_dirty(const json_t *stage);
/* "job 42 succeeded in 3 s: shop 1.0.2/3 is live on production", or how else it ended; LEFT:
 * text_dirty() of its stage, for a run that left it so. free() it. */
char *text_result(const json_t *job, const char *left);
/* "3 s", "412 ms", "6 h 20 min"; "" if the job has not ended. */
struct when_text text_duration(const json_t *job);
/* Of a preview (--dry-run), a line each. */
void text_preview(const struct ctl *ctl, FILE *f, const json_t *preview);
/* Why a job waits, or how it ended, for the last column of a table. free() it; NULL if there is
 * nothing to say. */
char *text_why(const json_t *job);

#endif
