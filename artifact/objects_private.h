/* SPDX-License-Identifier: ISC */
/* What the files of objects share: objects.c (what is there), objects_import.c (what comes in). */
#ifndef ARTIFACT_OBJECTS_PRIVATE_H
#define ARTIFACT_OBJECTS_PRIVATE_H

#include <sys/types.h>

#include "artifact/objects.h"
#include "common/scope.h"

#define OBJECTS_PATH_SIZE (DIGEST_SIZE + 1)

struct objects {
	int store, objects, manifests, incoming; /* -1 but objects, when only objects can be read */
};

/* "ab/cdef…" */
void objects_path(const char *digest, char ret_path[OBJECTS_PATH_SIZE]);
/* Opens the folder NAME below AT; with MODE not 0 makes it, with exactly that mode. -1 with
 * errno. */
int objects_folder(int at, const char *name, mode_t mode);

#endif
