/* SPDX-License-Identifier: ISC */
/* Standard input, output and error, which whoever starts a program may have closed. */
#ifndef COMMON_STANDARD_H
#define COMMON_STANDARD_H

/* Call it first in main(): no file or connection that is opened later becomes 0, 1 or 2, and what
 * is printed never lands in one. Of a stream that was closed nothing is read, and writing to it
 * fails with EBADF. */
void standard_streams(void);

#endif
