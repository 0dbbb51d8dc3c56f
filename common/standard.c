/* SPDX-License-Identifier: ISC */
#include "common/standard.h"

#include <fcntl.h>
#include <unistd.h>

void
standard_streams(void)
{
	int fd;

	/* Inherited by children, as the streams are that it stands for; for reading only, so that a
	 * lost output is noticed. */
	do
		fd = open("/dev/null", O_RDONLY | O_NONBLOCK);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}
