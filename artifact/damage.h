/* SPDX-License-Identifier: ISC */
/*
 * What verification found damaged, remembered until it is whole again: STATE/store/damaged/DIGEST
 * for each manifest concerned, a line for each of its files. Written by bmd-import, and by bmd on
 * the word of a run; read by bmd and bmd-run before anything moves.
 */
#ifndef ARTIFACT_DAMAGE_H
#define ARTIFACT_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "artifact/objects.h"

#define DAMAGE_MAX 1000 /* files of a manifest that are remembered by name */

struct damage {
	const char *problem;	  /* "missing", "damaged", "manifest" */
	char digest[DIGEST_SIZE]; /* of the object; with "manifest" of the manifest */
	int64_t size;
	char *path; /* "" with "manifest" */
};
struct damages {
	struct damage *v;
	size_t n, room;
	size_t more; /* beyond DAMAGE_MAX */
};
void damages_add(struct damages *damages, const char *problem, const char *digest, int64_t size,
		 const char *path);
void damages_clear(struct damages *damages);

/* MANIFEST was verified: DAMAGES (none: it is whole) is what there is to say of it from now on.
 * Durable. */
int damage_note(const struct objects *objects, const char *manifest, const struct damages *damages);
/* Is anything remembered at all? A quick answer for the usual case. */
bool damage_any(const struct objects *objects);
/* Is MANIFEST damaged? 1 and its first finding (RET_PATH may be "", free() both; either may be
 * NULL), 0, or -errno. */
int damage_find(const struct objects *objects, const char *manifest, char **ret_problem,
		char **ret_path);
/* Forgets what is remembered of manifests that are not kept any more. */
void damage_forget(const struct objects *objects, bool (*kept)(const char *manifest, void *arg),
		   void *arg);
/* An upload has put objects: hashes what is remembered as damaged, and forgets what is whole
 * now. */
void damage_heal(const struct objects *objects);

#endif
