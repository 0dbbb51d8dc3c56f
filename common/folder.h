/* SPDX-License-Identifier: ISC */
/* Listing a folder that is held by a descriptor. */
#ifndef COMMON_FOLDER_H
#define COMMON_FOLDER_H

#include <dirent.h>
#include <stdbool.h>

/* A listing of its own of the folder FD, which stays the caller's. NULL with errno. closedir()
 * it. */
DIR *folder_list(int fd);
/* "." or "..", which every listing has. */
bool folder_is_dot(const char *name);

static inline void
cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define _cleanup_dir_ __attribute__((cleanup(cleanup_dir)))

#endif
