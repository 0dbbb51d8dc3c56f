/* SPDX-License-Identifier: ISC */
/*
 * What the files of files.h share.
 */
#ifndef ARTIFACT_FILES_PRIVATE_H
#define ARTIFACT_FILES_PRIVATE_H

#include <sys/stat.h>

#include "artifact/files.h"

#define FILES_BUFFER	   (256 * 1024)
#define FILES_FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* files_copy.c. Hashes SIZE bytes of FROM, writing them to TO unless that is -1; BUFFER has
 * FILES_BUFFER bytes. -EBADMSG when they are not those of EXPECTED; an error in reading counts as
 * that, because a sector that cannot be read is damage. */
int files_hash(char *buffer, int from, int to, int64_t size, const char *expected);

/* files_stamps.c. The clock that file systems take their times from: it stands still for a tick of
 * some milliseconds. */
int64_t files_tick_ns(void);
struct files_stamp files_stamp_of(const struct stat *st);
bool files_stamp_equal(const struct files_stamp *a, const struct files_stamp *b);
/* Forgets all stamps, or those of another device; false where none can be kept. */
bool files_stamps_begin(struct files_stamps *stamps, int root, bool forget);
/* Waits until the youngest is settled; what is not even then, as with times from the future, is
 * forgotten. */
void files_stamps_settle(struct files_stamps *stamps);

#endif
