/* SPDX-License-Identifier: ISC */
/* Before a program makes its loop: what libev and jansson do without memory, or when the kernel has
 * no room to watch a descriptor. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

/* PROGRAM ("bmd-run"): in front of the sentence on standard error with which the process ends (71,
 * EX_OSERR). */
void loop_init(const char *program);

#endif
