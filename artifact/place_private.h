/* SPDX-License-Identifier: ISC */
/*
 * What the files of place share: place.c (the folder, its lock, the step), place_release.c
 * (releases/, current, pruning), place_in_place.c (DIRECTORY itself), place_shared.c (paths that
 * are links to DIRECTORY/shared).
 */
#ifndef ARTIFACT_PLACE_PRIVATE_H
#define ARTIFACT_PLACE_PRIVATE_H

#include <fcntl.h>

#include "artifact/files.h"
#include "artifact/place.h"
#include "common/scope.h"

#define PLACE_PREFIX ".bmd-" /* of our temporaries */
#define PLACE_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* One step while it goes on. */
struct place_work {
	const struct place *place;
	struct files_shared shared;
	int directory;	 /* -1 until open */
	int releases;	 /* -1 in place */
	char *temporary; /* name of the folder that is being made */
	size_t hashed;	 /* files of a folder that was there */
	struct place_outcome outcome;
};

/* A line for the log. */
void place_say(const struct place_work *work, const char *format, ...) _printf_(2, 3);
bool place_contains(const char *const *v, size_t n, const char *name);
/* Removes from FOLDER, which sentences call WHERE, our own temporaries of steps that were
 * killed. */
int place_sweep(const struct place_work *work, int folder, const char *where, struct err *err);

/* The two kinds of a step; DIRECTORY is open and locked. */
int place_release(struct place_work *work, struct err *err);
int place_in_place(struct place_work *work, struct err *err);

/* Can these paths be shared in this build? */
int place_shared_check(const struct place_work *work, struct err *err);
/* Puts their links into the release folder ROOT. What may lie there instead: nothing, or in a
 * folder that is used as it was the same links. */
int place_shared_put(const struct place_work *work, int root, struct err *err);
/* Is what lies at the shared paths of ROOT either nothing or our links? Else it is data that must
 * not be lost. */
bool place_shared_in_order(const struct place_work *work, int root);

#endif
