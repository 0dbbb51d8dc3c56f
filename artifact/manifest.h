/* SPDX-License-Identifier: ISC */
/*
 * What files an artifact is: a sorted list of plain files, symbolic links and empty folders, as
 * text whose SHA-256 is the artifact's identity. Lines, sorted by path as bytes (strcmp), fields
 * parted by TAB:
 *
 *	0644 or 0755	SIZE	DIGEST	PATH
 *	link	0	TARGET	PATH
 *	dir	0	-	PATH		an empty folder
 *
 * after a first line "bmd manifest 1". Paths are relative, of components that are neither empty,
 * "." nor "..", without control bytes, valid UTF-8. A link's target is relative and stays inside
 * the tree after all links are resolved.
 */
#ifndef ARTIFACT_MANIFEST_H
#define ARTIFACT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"

#define MANIFEST_PATH_MAX  4095
#define MANIFEST_DEPTH_MAX 128
#define MANIFEST_TEXT_MAX  (256 * 1024 * 1024)

enum manifest_kind { MANIFEST_FILE, MANIFEST_LINK, MANIFEST_DIRECTORY };

struct manifest_entry {
	enum manifest_kind kind;
	bool executable;
	int64_t size;
	char digest[DIGEST_SIZE];
	char *path;
	char *target; /* of a link */
};

struct manifest {
	struct manifest_entry *v;
	size_t n, room;
	int64_t bytes; /* sum of sizes */
	size_t files;
};

void manifest_clear(struct manifest *manifest);

/* PATH for a sentence: escaped for terminals, shortened. free() */
char *manifest_shown(const char *path);

/* Is PATH one that may stand in a manifest? Error UPLOAD with field "path". */
int manifest_check_path(const char *path, struct err *err);
void manifest_add_file(struct manifest *manifest, const char *path, bool executable, int64_t size,
		       const char *digest);
void manifest_add_link(struct manifest *manifest, const char *path, const char *target);
void manifest_add_directory(struct manifest *manifest, const char *path);
/* Sorts, drops folders that are not empty, and checks the whole: duplicates, a file where a folder
 * is needed, a path through a link, links that leave the tree or loop. */
int manifest_finish(struct manifest *manifest, struct err *err);

char *manifest_format(const struct manifest *manifest, size_t *ret_n); /* free() */
/* Strict: only what manifest_format() makes of a finished manifest; else -EBADMSG. */
int manifest_parse(const char *text, size_t n, struct manifest *ret_manifest, struct err *err);
/* Calls BACK for each entry of a text that is a manifest by its digest, without keeping any: TEXT
 * is cut up, an entry is valid until BACK returns, whose negative answer ends it. Only the form of
 * the lines is checked: -EBADMSG. */
int manifest_walk(char *text, size_t n, int (*back)(const struct manifest_entry *entry, void *arg),
		  void *arg, struct err *err);
const struct manifest_entry *manifest_find(const struct manifest *manifest, const char *path);
/* Is anything below the folder PATH? */
bool manifest_has_below(const struct manifest *manifest, const char *path);

/* Walks two manifests by path: calls BACK with the older and the newer entry (NULL where there is
 * none) for each that differs. */
void manifest_diff(const struct manifest *old, const struct manifest *new,
		   void (*back)(const struct manifest_entry *old, const struct manifest_entry *new,
				void *arg),
		   void *arg);

#endif
