/* SPDX-License-Identifier: ISC */
/*
 * The client's side of an upload: a folder, an archive or a single file becomes the stream of
 * common/entry.h. Nothing is skipped, nothing followed; memory is bounded by the largest folder's
 * list of names.
 */
#ifndef CTL_UPLOAD_H
#define CTL_UPLOAD_H

#include <stdint.h>

#include "common/err.h"

/* What PATH is by its kind and name: "tree" for a folder or any other regular file, "tar", "zip".
 * Static text. */
int upload_kind(const char *path, const char **ret_kind, struct err *err);
/* The name of an artifact by its file: the last component without suffix; NULL when there is none.
 * free() */
char *upload_artifact_name(const char *path);

/* Links that lead below FOLDER, which each release has in common with the others, are left out;
 * LEFT hears of each. */
struct upload_shared {
	const char *folder; /* a real path */
	const char *typed;  /* the same folder as links may call it */
	void (*left)(const char *path, void *arg);
	void *arg;
};

/*
 * Streams PATH to FD (blocking). SHARED may be NULL. PROGRESS (may be NULL) is told now and then
 * what has gone of how much. 0 when all is sent; -EPIPE, without a sentence, when the taker has
 * answered early or has gone: in both cases its answer is to be read next. Else -errno: a file
 * cannot be read, changed while it was read, or is neither file, folder nor link; the sentence
 * names it as below PATH, and the taker was
 * told to forget the upload.
 */
int upload_send(int fd, const char *path, const char *kind, const struct upload_shared *shared,
		void (*progress)(int64_t bytes, int64_t total, void *arg), void *arg,
		struct err *err);
/* Walks the folder PATH as upload_send() would and sends nothing: can all of it be taken?
 * RET_BYTES: of its files. */
int upload_look(const char *path, const struct upload_shared *shared, int64_t *ret_bytes,
		struct err *err);

#endif
