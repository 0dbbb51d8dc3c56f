/* SPDX-License-Identifier: ISC */
/*
 * Sentences of bmd name times in the zone of the machine that it runs on, or of the job; what bmctl
 * prints is of one zone, its caller's.
 */
#ifndef CTL_SENTENCE_H
#define CTL_SENTENCE_H

#include <jansson.h>

/* TEXT with each time of the form "2026-11-23 02:00:00+01:00 Europe/Berlin" (the zone may be
 * missing) as it is in ZONE; one in the zone KEEP (NULL: none) stays. free() it. */
char *sentence_local(const char *text, const char *zone, const char *keep);
/* The same for the sentences of a reply, or of an error's fields: messages, why a job waits, what a
 * stage needs, warnings, problems. What users wrote, output of steps, and times in the zone of a
 * window or, of a job, in the one that it was asked in stay as they are. */
void sentences_local(json_t *reply, const char *zone);

#endif
