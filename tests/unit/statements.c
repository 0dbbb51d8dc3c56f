/* SPDX-License-Identifier: ISC */
#include "tests/unit/statements.h"

#include <dlfcn.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int left = -1; /* -1: none fails */
static int code_now;
static bool preparing; /* it is the n-th preparation that fails, not the n-th step */
static bool sparing, paused;
static bool struck;
static char failed[128]; /* its text */
static int inside;	 /* the library: what it calls itself does not fail alone */

static bool
strikes(bool prepare)
{
	if (paused || left < 0 || prepare != preparing || left-- > 0)
		return false;
	return struck = true;
}

static bool
spared(const char *sql)
{
	static const char *const begins[] = {
	    "BEGIN",
	    "COMMIT",
	    "ROLLBACK",
	    "INSERT OR REPLACE INTO seals",
	    "DELETE FROM seals",
	    "UPDATE audit_head",
	    "UPDATE meta SET value = ?1 WHERE name = 'last_alive'"};

	for (size_t i = 0; sparing && i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(sql, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

#define NEXT(type, name)               \
	static __typeof__(type) *next; \
	if (!next)                     \
	next = (__typeof__(type) *)(uintptr_t)dlsym(RTLD_NEXT, name)

/* SQLite says that of a COMMIT too, which writes all. */
static bool
reads_only(sqlite3_stmt *st)
{
	return sqlite3_stmt_readonly(st) && strcmp(sqlite3_sql(st), "COMMIT") != 0;
}

int
sqlite3_step(sqlite3_stmt *st)
{
	int code;
	NEXT(int(sqlite3_stmt *), "sqlite3_step");

	if (inside || (code_now == SQLITE_FULL && reads_only(st)) || spared(sqlite3_sql(st)) ||
	    !strikes(false)) {
		inside++;
		code = next(st);
		inside--;
		return code;
	}
	snprintf(failed, sizeof(failed), "%s", sqlite3_sql(st));
	return code_now;
}

int
sqlite3_prepare_v2(sqlite3 *db, const char *sql, int n, sqlite3_stmt **st, const char **tail)
{
	NEXT(int(sqlite3 *, const char *, int, sqlite3_stmt **, const char **),
	     "sqlite3_prepare_v2");
	if (inside || !strikes(true))
		return next(db, sql, n, st, tail);
	snprintf(failed, sizeof(failed), "%s", sql);
	return code_now;
}

int
sqlite3_prepare_v3(sqlite3 *db, const char *sql, int n, unsigned flags, sqlite3_stmt **st,
		   const char **tail)
{
	NEXT(int(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **),
	     "sqlite3_prepare_v3");
	if (inside || !strikes(true))
		return next(db, sql, n, flags, st, tail);
	snprintf(failed, sizeof(failed), "%s", sql);
	return code_now;
}

int
sqlite3_exec(sqlite3 *db, const char *sql, int (*back)(void *, int, char **, char **), void *arg,
	     char **message)
{
	int code;
	NEXT(int(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **),
	     "sqlite3_exec");

	if (!inside && strikes(false)) {
		snprintf(failed, sizeof(failed), "%s", sql);
		return code_now;
	}
	inside++;
	code = next(db, sql, back, arg, message);
	inside--;
	return code;
}

void
statements_arm(int n, int code, bool prepare)
{
	left = n;
	code_now = code;
	preparing = prepare;
	struck = false;
}

void
statements_disarm(void)
{
	left = -1;
}

void
statements_spare_commits(bool spare)
{
	sparing = spare;
}

void
statements_pause(bool pause)
{
	paused = pause;
}

bool
statements_struck(void)
{
	return struck;
}

const char *
statements_failed(void)
{
	return failed;
}
