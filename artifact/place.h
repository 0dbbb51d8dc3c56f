/* SPDX-License-Identifier: ISC */
/*
 * Makes a folder hold exactly the files of a manifest, for the `deploy` and `artifacts` of a step:
 * bmd-plan(5), FILES THAT ARE PLACED. Runs in a process that already is the step's user and reads
 * objects through a descriptor. Blocking.
 *
 * Everything goes under temporary names first, is hashed while it is copied, fsynced, then renamed;
 * `current` is the last thing that moves, by rename. On any error before that `current` is where it
 * was.
 */
#ifndef ARTIFACT_PLACE_H
#define ARTIFACT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/err.h"

struct files_stamps;

struct place {
	const struct objects *objects;
	const struct manifest *manifest;
	const char *to;	  /* DIRECTORY, absolute */
	const char *name; /* RELEASE-N */
	int64_t job;
	bool in_place;
	/* in_place: bmd filled this DIRECTORY before, or has begun to */
	bool filled;
	/* paths below the release folder that are links to DIRECTORY/shared/… */
	const char *const *shared;
	size_t nshared;
	int keep; /* 0: no pruning */
	/* names of release folders that bmd made here, oldest first */
	const char *const *made;
	size_t nmade;
	const char *const *needed; /* of those, never pruned: live, previous good, … */
	size_t nneeded;
	/* in: of the folder as it was left (artifact/files.h); out: as it is now; may be NULL */
	struct files_stamps *stamps;
	bool hash_always;			  /* what has its stamp is hashed all the same */
	void (*say)(const char *text, void *arg); /* a line for the log */
	void *arg;
};

struct place_outcome {
	/* a release folder was made (or made anew), rather than used as it was */
	bool made;
	char **pruned; /* names of folders that were removed */
	size_t npruned;
};
void place_outcome_clear(struct place_outcome *outcome);

/* A `deploy` step. 0, or -errno with ERR. -EBADMSG: an object is damaged or missing (the sentence
 * names file and digest). */
int place_deploy(const struct place *place, struct place_outcome *ret_outcome, struct err *err);

/* Fills the new folder PATH (which must not exist) with the files of a manifest: for
 * $BM_ARTIFACTS/NAME and for tests. */
int place_tree(const struct objects *objects, const struct manifest *manifest, const char *path,
	       struct err *err);

/* Compares a folder with a manifest, ignoring SHARED: 0 equal, 1 different (RET_WHAT: the first
 * differences as one line, free()), -errno. */
int place_compare(const struct manifest *manifest, const char *path, const char *const *shared,
		  size_t nshared, char **ret_what, struct err *err);

#endif
