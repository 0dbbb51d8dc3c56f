/* SPDX-License-Identifier: ISC */
/*
 * What bmd-run remembers of the files that it placed (struct files_stamps), RUNDIR/places/<SHA-256
 * of the real path>.stamps/NAME, so that a folder that nobody touched need not be hashed again. It
 * is a memory, no record: whatever is wrong with it, the files are hashed.
 */
#ifndef RUNNER_STAMPS_H
#define RUNNER_STAMPS_H

#include <sys/types.h>

#include "artifact/files.h"

/* Whose stamps these are. */
struct stamps_of {
	const char *real;   /* DIRECTORY, of places_real() */
	const char *name;   /* RELEASE-N; STAMPS_IN_PLACE for DIRECTORY itself */
	const char *digest; /* of the manifest */
	/* as whom it is placed: what one user's child says is not believed for another's */
	uid_t uid;
};
#define STAMPS_IN_PLACE "in-place"

/* Memory for the stamps of MANIFEST that a child shares, filled with what is remembered. NULL if
 * there is none to be had. In place, what is remembered of another build is taken over for the
 * files that both have; OBJECTS has the manifests. */
struct files_stamps *stamps_load(int run_directory_fd, const struct stamps_of *of,
				 const struct manifest *manifest, const struct objects *objects);
/* N is the manifest's: STAMPS->n is not believed once a child had it. */
void stamps_save(int run_directory_fd, const struct stamps_of *of, struct files_stamps *stamps,
		 size_t n);
void stamps_forget(int run_directory_fd, const char *real, const char *name);
void stamps_free(struct files_stamps *stamps, size_t n); /* NULL is fine */

#endif
