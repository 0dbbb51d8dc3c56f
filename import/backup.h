/* SPDX-License-Identifier: ISC */
/* The files of a backup: STATE/backup, beside the store, its files as hard links. */
#ifndef IMPORT_BACKUP_H
#define IMPORT_BACKUP_H

#include "artifact/objects.h"
#include "common/err.h"

#define BACKUP_FOLDER "backup"
#define BACKUP_NEW    "backup.new"

/*
 * Shares the store, so that nothing is removed from it, makes STATE/backup.new empty and says so;
 * then its caller puts the copy of the database there, and tells which manifests belong to it:
 *	OUT	{"locked": true} NUL
 *	IN	the digest of each manifest that a build names, a line each, then "end COUNT"
 *	OUT	{"progress": {"manifests", "objects", "bytes", "missing"}} NUL	what is linked, now and then
 *	OUT	{"done": {"manifests", "objects", "bytes", "missing"}} NUL
 * All that is named is linked and synced, and takes the place of the backup before. MISSING counts
 * files that are not in the store.
 */
int backup_run(const struct objects *objects, const char *state, int in, int out, struct err *err);

#endif
