/* SPDX-License-Identifier: ISC */
/*
 * What every verb works with: the parsed command line, the moment it was typed, how to print, and
 * the one connection. Changes go through ctl_change(), which makes the key and asks for what a
 * stage demands.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "common/names.h"
#include "common/time/when.h"
#include "ctl/client.h"
#include "ctl/options.h"

/* Exit codes that are no error of the protocol; the others are in common/err.h. */
enum ctl_exit {
	CTL_DONE = 0,
	CTL_FAILED = 1,	 /* the job failed */
	CTL_NOT_RUN = 6, /* cancelled, missed, superseded, lost */
	CTL_TIMEOUT = 7, /* the job goes on */
	CTL_HELD = 8,
	CTL_DETACHED = 130,
};

struct verb;
struct ctl {
	const struct verb *verb;
	struct options options;
	size_t first; /* of options.words: the first argument of the verb */
	size_t argc;  /* the line as typed, without the program's name */
	const char *const *argv;
	const char *host;   /* NULL: this machine */
	const char *socket; /* NULL: the one that is usual on HOST */
	struct client *client;
	bool json, color;
	bool terminal;	/* standard output is one */
	bool ask;	/* standard input and standard error are one: somebody can answer */
	size_t width;	/* of the terminal; 0 when standard output is none */
	int64_t now_us; /* when bmctl was called, or the last question answered */
	/* owned; the line that would not have been refused for what lacks in it; NULL: not refused
	 * for that */
	char *repeat;
	char zone[WHEN_ZONE_MAX];
	struct err zone_error;		/* why ZONE is only "UTC" */
	char asked_zone[WHEN_ZONE_MAX]; /* that of --at: what is answered is shown in it */
};

/* 0, or USAGE with where it was said. */
int ctl_open(struct ctl *ctl, struct err *err);
void ctl_close(struct ctl *ctl);
int64_t ctl_clock_us(void); /* the wall clock */

/* The I-th argument of the verb, or NULL. */
const char *ctl_word(const struct ctl *ctl, size_t i);
/* All of them with a blank between: `bmctl at fri 22:00` is what people type, and is one time.
 * free() it. */
char *ctl_words(const struct ctl *ctl);
static inline bool
ctl_given(const struct ctl *ctl, enum option_id id)
{
	return ctl->options.given[id];
}
static inline const char *
ctl_value(const struct ctl *ctl, enum option_id id)
{
	return ctl->options.value[id];
}
/* USAGE: the sentence, and how the verb is written. Returns -EINVAL. */
int ctl_usage(const struct ctl *ctl, struct err *err, const char *format, ...) _printf_(3, 4);

/* PARAMETERS are stolen. A call that changes nothing. */
int ctl_call(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret_reply,
	     struct err *err);
/* All pages of a list: LIST is the member that holds it, LIMIT how many at most (0: all). */
int ctl_list(struct ctl *ctl, const char *method, const char *list, json_t *parameters,
	     int64_t limit, json_t **ret_reply, struct err *err);
/* ctl_change.c. A change: with a fresh key and --reason; what the stage asks for is asked on a
 * terminal, else the command to repeat is printed. */
int ctl_change(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret_reply,
	       struct err *err);

/* ctl_given.c. Texts of the command line, checked. Each is 0 or USAGE, BAD_NAME, BAD_TIME. */
int ctl_job(struct ctl *ctl, const char *text, int64_t *ret_job, struct err *err);
int ctl_number(struct ctl *ctl, enum option_id id, int64_t most, int64_t *ret_number,
	       struct err *err);
int ctl_span(struct ctl *ctl, enum option_id id, int64_t *ret_us, struct err *err);
int ctl_variables(struct ctl *ctl, json_t **ret_variables, struct err *err);
/* PATH, a word of the line, could not be looked at for NUMBER: usage where nothing is there. NEXT
 * says what to write instead. */
int ctl_no_path(struct err *err, const char *path, int number, const char *next);
/* Adds `release` and, if TEXT has a number, `build` to PARAMETERS. */
int ctl_build(json_t *parameters, const char *text, struct err *err);
int ctl_time(struct ctl *ctl, const char *text, struct when *ret_when, struct err *err);
/* The same for a time that has passed, of --since. */
int ctl_time_past(struct ctl *ctl, const char *text, struct when *ret_when, struct err *err);
/* Where ERR is about a word that belongs to a time before it, as in --at tomorrow 02:00, it says so
 * as well. */
void ctl_hint_unquoted(const struct ctl *ctl, struct err *err);
/* WHEN: adds now, or at, text and zone. NEEDED: without either it is a usage error. Prints the note
 * of a time. */
int ctl_when(struct ctl *ctl, bool needed, json_t *parameters, struct err *err);

/* --override-window and --override-freeze: adds `override`. USAGE without --reason. */
int ctl_override(struct ctl *ctl, json_t *parameters, struct err *err);
/* What a deployment and a schedule have in common: adds variables, grace_us, if_changed and
 * confirmed. */
int ctl_request(struct ctl *ctl, json_t *parameters, struct err *err);

/* What was typed, as JSON: as it is if it is UTF-8, else escaped. New reference. */
json_t *ctl_text(const char *text);

/* ctl_show.c. One object as one line of standard output. */
void ctl_json(const struct ctl *ctl, const json_t *object);
/* Each of an array of sentences as "warning: …" on standard error. */
void ctl_warnings(const json_t *warnings);
/* "bmctl: …" on standard error (with --json the error object on standard output too). Returns the
 * exit code. */
int ctl_error(const struct ctl *ctl, const struct err *err);

/* Texts: a member that is a time, in the client's zone, to the second: "2026-11-23 02:00:00+01:00
 * Europe/Berlin". "" if it is null. */
struct when_text ctl_local(const struct ctl *ctl, const json_t *object, const char *member);
/* The same, shorter, for tables: without the name of the zone, with the distance. free() it; NULL
 * if it is null. */
char *ctl_moment(const struct ctl *ctl, const json_t *object, const char *member);
/* The head of a column of moments, with the zone that they do not name: "DUE (Europe/Berlin)". */
struct when_text ctl_head(const struct ctl *ctl, const char *head);
/* A member that is a time, with zone and distance. free() it; "" if it is null. */
char *ctl_at(const struct ctl *ctl, const json_t *object, const char *member);
/* A member that is a time, in µs; 0 if it is null. */
int64_t ctl_us(const json_t *object, const char *member);
/* A member that is an object {release, build}: "1.0.2/3"; "" if it is null. MEMBER NULL: OBJECT
 * itself. */
struct build_text ctl_ref(const json_t *object, const char *member);
/* "12.3 MiB" */
struct ctl_size {
	char s[64];
} ctl_size(int64_t bytes);

#endif
