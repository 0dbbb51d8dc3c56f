/* SPDX-License-Identifier: ISC */
/*
 * What the programs of the campaigns share. Three ledgers lie outside the state folder: A ("asked",
 * what clients asked and were told, and what the driver killed), R ("ran", what the steps
 * themselves wrote) and D ("dump", what bmd says in the end). A and D are JSON, an object a line; R
 * is words. A line is one write(2) with O_APPEND.
 */
#ifndef CAMPAIGN_LEDGER_H
#define CAMPAIGN_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* The same seed, the same decisions. */
uint64_t chance(uint64_t *state);
int below(uint64_t *state, int n);

int64_t clock_us(clockid_t clock);
/* RFC 3339 with microseconds; 0 for what is not one. */
int64_t time_us(const char *text);
void time_text(int64_t us, char ret_text[40]);

int ledger_open(const char *folder, const char *name);
void ledger_line(int fd, json_t *object);		   /* steals OBJECT */
json_t *ledger_read(const char *folder, const char *name); /* array, of a ledger of JSON lines */

/* For a step: a line of R; see probe.c. */
void note_run(int ledger, const char *what, int code);
/* For a step: it, and whatever it leaves, holds the lock of its stage. False: somebody else of
 * another run does. */
bool hold_stage(const char *folder);

/* One call on a connection of its own: the reply as it came, NULL when there was none in
 * TIMEOUT_MS. */
json_t *ask(const char *socket, const char *method, json_t *parameters, int timeout_ms);
const char *error_name(const json_t *reply);		    /* "Refused"; NULL: no error */
json_t *answer(const json_t *reply, const char *key);	    /* parameters.key, borrowed */
const char *text_of(const json_t *object, const char *key); /* "" if there is none */
int64_t number_of(const json_t *object, const char *key);   /* 0 if there is none */
bool state_final(const char *state);

#endif
