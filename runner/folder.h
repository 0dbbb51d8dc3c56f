/* SPDX-License-Identifier: ISC */
/*
 * The run folder, as bmd-run writes it: the lock, the claim, events and the result, each durable
 * before it counts. All by descriptors, without following links.
 */
#ifndef RUNNER_FOLDER_H
#define RUNNER_FOLDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct folder;

/* Makes RUN_DIRECTORY (its last component) and JOB/ where they are missing, takes the lock, and
 * sees that nobody claimed the run before. READER: the group that may read, (gid_t)-1 for none.
 * -EBUSY: another bmd-run holds the lock; -EEXIST: there is a claim or a result. The lock lasts
 * until folder_close() or the end of the process. */
int folder_open(const char *run_directory, int64_t job, gid_t reader, struct folder **ret_folder,
		struct err *err);
void folder_close(struct folder *folder);
int folder_fd(const struct folder *folder);	      /* of JOB/, borrowed */
int folder_directory_fd(const struct folder *folder); /* of the run directory, borrowed */

/* Room on disk for EVENTS_BYTES of events and for the result; new empty events. */
int folder_reserve(struct folder *folder, size_t events_bytes, struct err *err);
/* JOB/control, listening. Does not block. */
int folder_listen(struct folder *folder, int *ret_fd, struct err *err);
/* All of the claim that claims nothing yet: what it will say, and the folders above it, on disk
 * when this returns. */
int folder_prepare(struct folder *folder, const json_t *started, struct err *err);
/* The claim: what was prepared appears whole, once, and is on disk when this returns. -EEXIST if
 * there is one. What fails otherwise has claimed nothing. */
int folder_claim(struct folder *folder, struct err *err);
/* Appends a line; DURABLE: it and all before it are on disk when this returns. */
int folder_event(struct folder *folder, const json_t *event, bool durable, struct err *err);
/* The result appears whole, behind all events, and is on disk when this returns. May be tried
 * again. */
int folder_result(struct folder *folder, const json_t *result, struct err *err);
/* Removes JOB/control. */
void folder_unlisten(struct folder *folder);

#endif
