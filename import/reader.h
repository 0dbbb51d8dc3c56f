/* SPDX-License-Identifier: ISC */
/*
 * The caged reader of archives: the only code that meets libarchive. It runs in a child that can
 * read its archive, write entries (common/entry.h), allocate and leave, and nothing else.
 */
#ifndef IMPORT_READER_H
#define IMPORT_READER_H

#include <stdbool.h>

enum reader_kind { READER_TAR, READER_ZIP };

/* No way back: closes every other descriptor, takes away all that the reader does not need, reads
 * the archive IN (a pipe, or for zip a file) and writes its entries to the pipe OUT. Ends the
 * process, 0 after an END or ABORT frame. */
void reader_main(enum reader_kind kind, int in, int out) __attribute__((noreturn));

/* The same without the cage and in this process: for the fuzz target. */
void reader_read(enum reader_kind kind, int in, int out);

#endif
