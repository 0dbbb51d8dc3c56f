/* SPDX-License-Identifier: ISC */
/*
 * Trees of files below a descriptor: filled from a manifest, compared with one, removed. Every step
 * down is an *at() call with O_NOFOLLOW, so that nothing that somebody puts into a tree leads out
 * of it. Blocking.
 */
#ifndef ARTIFACT_FILES_H
#define ARTIFACT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/err.h"

/* Paths that are somebody else's: neither placed, compared nor removed, nor what is below them. */
struct files_shared {
	const char *const *v;
	size_t n;
};
bool files_is_shared(const struct files_shared *shared, const char *path);
/* Is a shared path below the folder PATH? */
bool files_holds_shared(const struct files_shared *shared, const char *path);

/* The folders on the way to a path, open; paths in sorted order make and open each once. */
struct files_cursor;
/* Folders below ROOT (borrowed). FSYNC: each is fsynced when it is left. REPLACE: what is in the
 * way of a folder is removed. */
struct files_cursor *files_cursor_new(int root, bool fsync, bool replace);
/* Makes (0755) and opens the parents of PATH: their descriptor, borrowed until the next call, and
 * the last component. */
int files_cursor_parent(struct files_cursor *cursor, const char *path, int *ret_fd,
			const char **ret_name);
/* The same for the folder PATH itself. */
int files_cursor_folder(struct files_cursor *cursor, const char *path, int *ret_fd);
/* Leaves all folders: 0, or -errno of an fsync that failed now or before. */
int files_cursor_close(struct files_cursor *cursor);

/*
 * What is remembered of files that were seen to hold what they should: a file whose stamp is
 * unchanged need not be hashed again. Only such stamps are kept as the kernel must change when the
 * file does: on a file system that is known to (files_settled() says when). The inode's change time
 * cannot be set by its owner; inode, size, modification time and device stand beside it.
 */
struct files_stamp {
	uint64_t inode;
	int64_t modified_ns, changed_ns; /* CHANGED_NS 0: nothing is remembered */
};
struct files_stamps {
	uint64_t device;
	uint64_t n; /* as many as the manifest has entries, in its order */
	struct files_stamp v[];
};
/* Is CHANGED_NS so long before NOW_NS, on the clock that file systems use, that any later change
 * will have another time? */
bool files_settled(int64_t changed_ns, int64_t now_ns);

/* Copies objects; what it needs for that stays from one file to the next. Free with
 * files_copier_free(). */
struct files_copier;
struct files_copier *files_copier_new(const struct objects *objects);
void files_copier_free(struct files_copier *copier); /* NULL is fine */
/* Copies one object to the new file NAME below FOLDER; what is written is hashed. -EBADMSG: the
 * object is missing or damaged. */
int files_copy(struct files_copier *copier, const struct manifest_entry *entry, int folder,
	       const char *name, bool fsync, struct files_stamp *ret_stamp,
	       struct err *err); /* RET_STAMP may be NULL */
/* Fills the empty folder ROOT, which sentences call WHERE. DURABLE: all of it is on disk when this
 * returns 0. STAMPS (may be NULL) gets a stamp of each file, and it is waited until they are
 * settled: nobody may write to ROOT before. */
int files_fill(int root, const char *where, const struct objects *objects,
	       const struct manifest *manifest, const struct files_shared *shared, bool durable,
	       struct files_stamps *stamps, struct err *err);

/* What a comparison found for each entry of the manifest. */
enum files_state { FILES_MISSING, FILES_SAME, FILES_CHANGED };
struct files_report {
	unsigned char *state; /* of each entry, enum files_state */
	size_t differences;
	char *text; /* the first of them as one line; NULL when there are none */
	/* in: what is remembered; out: what is true now; NULL: every file is hashed */
	struct files_stamps *stamps;
	bool always;   /* hash all the same */
	size_t hashed; /* files */
	/* For each thing that is not in the manifest (a folder with all below it); may be NULL. */
	int (*extra)(int folder, const char *name, const char *path, void *arg);
	void *arg;
};
/* Compares the folder ROOT with MANIFEST: kinds, modes, sizes, contents, targets. 0, or -errno of
 * what stopped it. */
int files_compare(int root, const struct manifest *manifest, const struct files_shared *shared,
		  struct files_report *report);
void files_report_clear(struct files_report *report);

/* Removes NAME below FOLDER and, if it is a folder, everything in it. Also what has no write
 * permission. -ENOENT is success. */
int files_remove(int folder, const char *name);

#endif
