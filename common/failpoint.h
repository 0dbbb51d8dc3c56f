/* SPDX-License-Identifier: ISC */
/*
 * Places where a test lets a program die or stop: before and after whatever must be one thing with
 * something else. In the programs that are installed failpoint() is empty and reads nothing. Those
 * of tests/campaign are the same objects with another failpoint() in its place: see
 * tests/campaign/failpoint.c. Each name stands once in the code, and tests/it/fail_points.sh has a
 * play for each.
 */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

void failpoint(const char *name);

#endif
