/* SPDX-License-Identifier: ISC */
/* What a helper of bmd says on its channel: one JSON object and a NUL each, and now and then how
 * far it is. */
#ifndef IMPORT_TELL_H
#define IMPORT_TELL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

#define TELL_MS 200 /* between two words on how far it is */

struct tell {
	FILE *out;
	int64_t told_ms;
};

/* Writes to a duplicate of FD. End with tell_close(). */
int tell_open(struct tell *tell, int fd, struct err *err);
void tell_close(struct tell *tell);
/* Steals OBJECT. 0; -EPIPE: nobody hears. */
int tell_object(struct tell *tell, json_t *object);
/* Is it time for another word? True at most once in TELL_MS. */
bool tell_due(struct tell *tell);
int64_t tell_clock_ms(void); /* monotonic */
/* This process gives way to runs and uploads. */
void tell_background(void);

#endif
