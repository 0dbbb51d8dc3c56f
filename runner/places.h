/* SPDX-License-Identifier: ISC */
/*
 * What bmd-run made where: a record for each DIRECTORY that was ever deployed to,
 * RUNDIR/places/<SHA-256 of its real path>, durable before the thing that it speaks of is there.
 */
#ifndef RUNNER_PLACES_H
#define RUNNER_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct places {
	bool filled; /* DIRECTORY itself was filled (in-place) */
	char **made; /* names of release folders that were made, oldest first */
	size_t nmade;
};
void places_clear(struct places *places);

/* The real path of a directory that may not be there yet: what exists of it is resolved. free() */
char *places_real(const char *directory);

int places_read(int run_directory_fd, const char *real, struct places *ret_places, struct err *err);
/* Changes a record under its lock: FILL (1: filled, -1: not so, 0: as it is), then ADD (NULL:
 * nothing; moves to the end if it is there), then without REMOVE. */
int places_change(int run_directory_fd, const char *real, int fill, const char *add,
		  char *const *remove, size_t nremove, struct err *err);

#endif
