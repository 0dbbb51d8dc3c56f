/* SPDX-License-Identifier: ISC */
/*
 * The parent of an upload: reads the stream of common/entry.h, trusts nothing of it or of the caged
 * reader, hashes and writes objects, and puts the manifest last. A refused upload leaves nothing.
 */
#ifndef IMPORT_IMPORT_H
#define IMPORT_IMPORT_H

#include <jansson.h>
#include <stdint.h>

#include "artifact/objects.h"
#include "common/err.h"

/* What an upload may be at most. Name, unit, default. */
// clang-format off
#define IMPORT_LIMITS(X)                                                                                                  \
	X(bytes, INT64_C(64) << 30)	/* of all files together, by logical size; of an archive, too */                  \
	X(files, 1000000)		/* files, links and folders */                                                    \
	X(depth, 128)			/* folders in folders */                                                          \
	X(path, 4095)			/* bytes of a path */                                                             \
	X(file, INT64_C(64) << 30)	/* bytes of a single file */                                                      \
	X(ratio, 1000)			/* bytes that come out of an archive for one that went in, beyond the first 64 MiB */
// clang-format on

struct import_limits {
#define X(name, value) int64_t name;
	IMPORT_LIMITS(X)
#undef X
};
extern const struct import_limits import_limits_default;
/* "NAME=NUMBER" into LIMITS: 0, or -EINVAL. Depth and path can only be made smaller than what a
 * manifest holds. */
int import_limit_parse(const char *text, struct import_limits *limits);

/* Takes the upload of KIND ("tree", "tar", "zip") from the blocking descriptor FD: 0 with the
 * answer {"digest", "files", "bytes", "warnings"} (new reference), or -errno. */
int import_run(struct objects *objects, int fd, const char *kind,
	       const struct import_limits *limits, json_t **ret_answer, struct err *err);

#endif
