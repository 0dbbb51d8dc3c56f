/* SPDX-License-Identifier: ISC */
/* For the control run of the power campaign: a program with this preloaded believes that its disk
 * is synced. */
int fsync(int fd);
int fdatasync(int fd);

int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}
