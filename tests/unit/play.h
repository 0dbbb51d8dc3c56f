/* SPDX-License-Identifier: ISC */
/*
 * What a play of the queue begins and ends with: a private folder, a configuration from text, a
 * real database and store in it, and a clock that only the play moves.
 */
#ifndef TESTS_PLAY_H
#define TESTS_PLAY_H

#include <stdint.h>
#include <string.h>

#include "common/time/when.h"
#include "daemon/queue/queue.h"
#include "tests/unit/unit.h"

#define MIN (60 * WHEN_SECOND)
/* 2026-11-22 23:00 UTC, in Berlin the day has begun */
#define T0 (INT64_C(1795388400) * WHEN_SECOND)

extern char folder[64];
extern struct conf *conf;
extern struct store *store;
extern struct objects *objects;
extern struct queue *queue;
extern struct err err; /* of the last call that was asked by OK() */
extern int64_t now;
extern char told[8192]; /* what the queue told, a line each */

#define OK(call)                                                                             \
	do {                                                                                 \
		int r_ = (call);                                                             \
		ck_assert_msg(r_ >= 0, "line %d: %s: %d %s", __LINE__, #call, r_, err.text); \
	} while (0)
#define TEXT(a, b) ck_assert_msg(strcmp(a, b) == 0, "line %d: \"%s\" is not \"%s\"", __LINE__, a, b)
#define HAS(a, b) \
	ck_assert_msg(strstr(a, b) != NULL, "line %d: no \"%s\" in \"%s\"", __LINE__, b, a)

/* Makes the folder, in memory where that is possible; removes it, and forgets the error. */
void play_make_folder(void);
void play_remove_folder(void);
/* Writes a file there and reads it all anew: LINES of bmd.conf, what stands in the braces of the
 * application shop, which has the stages testing and production, and the plans. */
void play_load(const char *lines, const char *application, const char *plans);
/* Folder, configuration, database, store and queue, at T0; and all of them gone. */
void play_begin(const char *lines, const char *application, const char *plans);
/* Between two: what is committed is read by a queue that knows nothing. */
void play_restart(void);
void play_end(void);

struct build_ref play_ref(const char *text);
/* A build of shop without artifacts: "1.0/2". */
void play_add_build(const char *text);

#endif
