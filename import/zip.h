/* SPDX-License-Identifier: ISC */
/*
 * A zip says everything twice, in its directory at the end and in a header before each file's
 * bytes, and programs differ in what they believe. Looks whether both say the same; libarchive does
 * the reading.
 */
#ifndef IMPORT_ZIP_H
#define IMPORT_ZIP_H

#include <stddef.h>

/* Checks the zip FD, which is read by seeking: 0, or -EBADMSG with the reason in RET_WHY. Needs
 * read and lseek only. */
int zip_check(int fd, char *ret_why, size_t size);

#endif
