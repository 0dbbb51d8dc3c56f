/* SPDX-License-Identifier: ISC */
/* A listing has a descriptor of its own, so that reading it moves no offset that somebody else
 * uses. */
#include "common/folder.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

DIR *
folder_list(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (dir == NULL && copy >= 0)
		close(copy);
	return dir;
}

bool
folder_is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}
