/* SPDX-License-Identifier: ISC */
/*
 * The output of a run, on disk: a head that is kept whole and a rolling tail, so that no flood
 * fills the disk and nobody stops reading. Lines: "TIME STREAM STEP TEXT\n" with TIME in µs, STREAM
 * one of out, err, bmd (bmd: what bmd-run itself says); TEXT any bytes but newline. A longer line
 * is split at 8 KiB.
 *
 * JOB/log is the head; JOB/log.OFFSET are segments of the tail, named by the offset of their first
 * byte in the whole output. A cursor is such an offset. What fell between is reported as a gap.
 */
#ifndef COMMON_RUNLOG_H
#define COMMON_RUNLOG_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define RUNLOG_HEAD	(1024 * 1024)
#define RUNLOG_SEGMENT	(256 * 1024)
#define RUNLOG_SEGMENTS 4
#define RUNLOG_LINE	8192

struct runlog; /* the writing side, in bmd-run */
/* FOLDER_FD: the run folder. */
int runlog_open(int folder_fd, struct runlog **ret_log, struct err *err);
/* Never fails and never blocks for long: what cannot be written is counted as dropped. STREAM:
 * "out", "err", "bmd". */
void runlog_line(struct runlog *log, int64_t now_us, const char *stream, const char *step,
		 const void *text, size_t n);
/* Lines are gathered in a buffer; this writes them out. Once a read of the step's output, not once
 * a line. */
void runlog_flush(struct runlog *log);
/* bytes that are no longer on disk or never were */
int64_t runlog_dropped(const struct runlog *log);
void runlog_close(struct runlog *log);

/*
 * The reading side: lines from cursor AFTER on, at most about LIMIT bytes of JSON, as an array of
 * {time (RFC 3339), step ("" for the run itself), stream, text}; at least one line if there is one.
 * A gap is a line of stream "gap" whose text says how much is missing. RET_NEXT is the cursor
 * behind them. A run without a log has no lines. 0 or -errno.
 */
int runlog_read(const char *run_directory, int64_t job, int64_t after, size_t limit,
		json_t **ret_lines, int64_t *ret_next, struct err *err);
/* How many bytes of it are on disk; 0 also for a run whose folder cannot be looked at. */
int64_t runlog_kept(const char *run_directory, int64_t job);

#endif
