/* SPDX-License-Identifier: ISC */
/* The N-th statement of the database fails: sqlite3_step() and its like that stand before those of
 * the library, for a test that is linked with statements.c. What SQLite calls itself is neither
 * counted nor made to fail. */
#ifndef TESTS_UNIT_STATEMENTS_H
#define TESTS_UNIT_STATEMENTS_H

#include <stdbool.h>

/* From here on: the statement behind N others, once, with CODE; of SQLITE_FULL only those that
 * write. PREPARE: the preparation that is behind N others. */
void statements_arm(int n, int code, bool prepare);
void statements_disarm(void);
/* From here on, or not: what begins and what commits a transaction neither counts nor fails, for
 * where that does bmd ends (turn.c). */
void statements_spare_commits(bool spare);
/* Those of the test itself neither count nor fail. */
void statements_pause(bool pause);
/* Since it was armed: has one failed, and which? */
bool statements_struck(void);
const char *statements_failed(void);

#endif
