/* SPDX-License-Identifier: ISC */
/*
 * The stream of an upload, which bmctl writes and bmd-import reads, and which the caged reader
 * writes to bmd-import's parent. Frames: one letter, four bytes length (big endian), that many
 * bytes.
 *
 *	F  'x' or '-', path	a plain file begins; its bytes follow as C frames up to the next letter that is not C
 *	D  path			a folder
 *	L  path NUL target	a symbolic link
 *	H  path NUL target	the same content and mode as an earlier file of this stream
 *	C  bytes		content of the file that F began, or (kind archive) of the archive itself
 *	E			the end; without it the stream was cut and is refused
 *	X  text			the writer gives up, and why; or path NUL text
 *
 * The answer on the connection is one JSON object and a NUL: {"digest", "files", "bytes",
 * "warnings"} or an error object. Nobody who reads trusts the writer: paths are checked by the
 * reader of the stream.
 */
#ifndef COMMON_ENTRY_H
#define COMMON_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define ENTRY_DATA_MAX (256 * 1024) /* bytes of a frame */
#define ENTRY_HEADER   5

enum entry_kind {
	ENTRY_FILE = 'F',
	ENTRY_DIRECTORY = 'D',
	ENTRY_LINK = 'L',
	ENTRY_HARD_LINK = 'H',
	ENTRY_CONTENT = 'C',
	ENTRY_END = 'E',
	ENTRY_ABORT = 'X',
};

/* Writes one frame to FD, blocking, EINTR and short writes handled; to a socket without SIGPIPE. 0
 * or -errno. */
int entry_write(int fd, enum entry_kind kind, const void *bytes, size_t n);
int entry_write_file(int fd, const char *path, bool executable);
int entry_write_link(int fd, enum entry_kind kind, const char *path, const char *target);

/* The same, but small frames wait for one another: thousands of small files are few system calls.
 * What waits leaves before a frame that does not fit, or by entry_flush(). 1: something was
 * written; 0: it waits; -errno. */
struct entry_output;
struct entry_output *entry_output_new(int fd);
void entry_output_free(struct entry_output *output); /* forgets what waits; NULL is fine */
int entry_put(struct entry_output *output, enum entry_kind kind, const void *bytes, size_t n);
int entry_put_file(struct entry_output *output, const char *path, bool executable);
int entry_put_link(struct entry_output *output, enum entry_kind kind, const char *path,
		   const char *target);
int entry_flush(struct entry_output *output);

struct entry_input; /* buffered reader of frames from a blocking descriptor */
struct entry_input *entry_input_new(int fd);
void entry_input_free(struct entry_input *input);
/* Gives up with -ETIMEDOUT when nothing comes for so long; at first it waits for ever. */
void entry_input_timeout(struct entry_input *input, int timeout_ms);
/* Is a whole frame there without reading? (poll() does not see it.) */
bool entry_ready(const struct entry_input *input);
/* Next frame: 1 and the frame (bytes valid until the next call, always followed by a NUL that is
 * not counted); 0 at end of file on a frame's border; -EBADMSG for a cut or malformed frame;
 * -errno. */
int entry_read(struct entry_input *input, enum entry_kind *ret_kind, const char **ret_bytes,
	       size_t *ret_n);

#endif
