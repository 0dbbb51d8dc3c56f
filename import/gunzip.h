/* SPDX-License-Identifier: ISC */
/*
 * gzip (RFC 1952), one member or several, with the checksum and the length at the end of each
 * compared: libarchive passes over both. Part of the caged reader.
 */
#ifndef IMPORT_GUNZIP_H
#define IMPORT_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Do N bytes, the first of a stream, begin a gzip? */
bool gunzip_is(const char *bytes, size_t n);

struct gunzip;
/* FILL gives the next bytes of the stream: how many, 0 at its end, negative when it cannot be read;
 * they stay good until the next call. */
struct gunzip *gunzip_new(ssize_t (*fill)(void *arg, const char **ret_bytes), void *arg);
/* Up to N bytes: how many, 0 at the end, or -EBADMSG with a static sentence. */
ssize_t gunzip_read(struct gunzip *gunzip, char *bytes, size_t n, const char **ret_why);
void gunzip_free(struct gunzip *gunzip); /* NULL is fine */

#endif
