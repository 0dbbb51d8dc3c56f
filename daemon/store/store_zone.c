/* SPDX-License-Identifier: ISC */
/*
 * Zones in which jobs were given, and what the tz database said of them: a few rows, so that a
 * start of bmd need not reckon the time of every job anew to learn that nothing changed.
 */
#include <string.h>

#include "common/xalloc.h"
#include "daemon/store/store_private.h"

// clang-format off
#define STATEMENTS(X) \
	X(ZONE_GET,	  "SELECT digest FROM zones WHERE name = ?1")				   \
	X(ZONE_PUT,	  "INSERT OR REPLACE INTO zones VALUES (?1, ?2)")			   \
	X(ZONES,	  "SELECT name, digest FROM zones WHERE name > '' ORDER BY name")
// clang-format on

STORE_PART(zone, STATEMENTS)

int
store_zone_get(struct store *store, const char *zone, char ret_digest[65], struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ZONE_GET);
	int r;

	store_bind_text(st, 1, zone);
	r = store_row(store, st, err);
	if (r == 1) {
		store_read_array(st, 0, ret_digest, 65);
		(void)sqlite3_reset(st);
	}
	return r;
}

int
store_zone_put(struct store *store, const char *zone, const char *digest, struct err *err)
{
	sqlite3_stmt *st = statement(store, S_ZONE_PUT);

	store_bind_text(st, 1, zone);
	store_bind_text(st, 2, digest);
	return store_run(store, st, err);
}

int
store_zone_each(struct store *store, int (*back)(const char *zone, const char *digest, void *arg),
		void *arg, struct err *err)
{
	struct noted {
		char zone[64], digest[65];
	} *noted = NULL;
	sqlite3_stmt *st = statement(store, S_ZONES);
	size_t n = 0, room = 0;
	int r;

	while ((r = store_row(store, st, err)) == 1) {
		XGROW(noted, n, room);
		store_read_array(st, 0, noted[n].zone, sizeof(noted[n].zone));
		store_read_array(st, 1, noted[n].digest, sizeof(noted[n].digest));
		n++;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = back(noted[i].zone, noted[i].digest, arg);
	free(noted);
	return r < 0 ? r : 0;
}
