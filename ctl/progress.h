/* SPDX-License-Identifier: ISC */
/*
 * A call that bmd answers in parts: all replies but the last tell how far it is.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/ctl.h"

/* Calls METHOD (PARAMETERS are stolen) and waits for its last reply. The others are printed by
 * PRINT, a few words without an end of line, in one line that is gone at the end; only on a
 * terminal. */
int progress_call(struct ctl *ctl, const char *method, json_t *parameters,
		  void (*print)(const json_t *reply, FILE *f), json_t **ret_reply, struct err *err);

#endif
