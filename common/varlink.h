/* SPDX-License-Identifier: ISC */
/*
 * Varlink, both sides: frames (one JSON object, one NUL), the interface file as data, and calls and
 * replies checked against it. No descriptor is read or written here; see varlink_input_* for bytes.
 */
#ifndef COMMON_VARLINK_H
#define COMMON_VARLINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

#define VARLINK_FRAME_MAX (1024 * 1024) /* bytes of a frame, the NUL not counted */
/* values of a call: in memory they take up to eighty times the bytes of their text */
#define VARLINK_VALUES_MAX 32768

/* The text of io.bmd.Control.varlink and of org.varlink.service, embedded. */
extern const char varlink_control_text[];
extern const char varlink_service_text[];

/* A buffer that bytes come into and frames leave by. */
struct varlink_input {
	char *data;
	size_t start, scanned, end, room;
};
/* Room for at least one more byte: where to read to, and how much. Grows to VARLINK_FRAME_MAX + 1
 * at the most. */
void *varlink_input_room(struct varlink_input *input, size_t *ret_n);
void varlink_input_add(struct varlink_input *input, size_t n);
/* 1 and the next frame's text (without NUL, valid until the next call), 0 if there is none yet,
 * -E2BIG when a frame is over the limit. */
int varlink_input_frame(struct varlink_input *input, const char **ret_text, size_t *ret_n);
/* Bytes that came after the last frame returned (for an upgrade): borrowed. */
size_t varlink_input_rest(const struct varlink_input *input, const char **ret_bytes);
void varlink_input_clear(struct varlink_input *input);

/* VALUE as one frame with its NUL; -E2BIG if it is over the limit. Free with free(). */
int varlink_pack(const json_t *value, char **ret_frame, size_t *ret_n);

struct varlink_interface;
/* Parses an interface description. Error names line and column. Free with
 * varlink_interface_free(). */
int varlink_interface_parse(const char *text, struct varlink_interface **ret_interface,
			    struct err *err);
void varlink_interface_free(struct varlink_interface *interface);
const char *varlink_interface_name(const struct varlink_interface *interface);
/* Methods in the order of the file; NULL at the end. */
const char *varlink_interface_method(const struct varlink_interface *interface, size_t i);

struct varlink_call {
	char *method;		  /* full name */
	char *interface, *member; /* "io.bmd.Control", "Deploy" */
	json_t *parameters;	  /* always an object, owned */
	bool more, oneway, upgrade;
};
/* Parses one frame into a call: unknown members, wrong types, more with oneway … are
 * INVALID_PARAMETER. */
int varlink_call_parse(const char *text, size_t n, struct varlink_call *ret_call, struct err *err);
void varlink_call_clear(struct varlink_call *call);
/* A call as JSON. Steals nothing. New reference. */
json_t *varlink_call_new(const char *method, json_t *parameters, bool more, bool upgrade);

enum varlink_side { VARLINK_INPUT, VARLINK_OUTPUT };
/* PARAMETERS against METHOD's input or output: missing, unknown or wrongly typed fields are
 * INVALID_PARAMETER with field "parameter" (a path such as "variables.PORT"); an unknown method is
 * METHOD_NOT_FOUND. Nullable fields may be missing or null. */
int varlink_check(const struct varlink_interface *interface, const char *member,
		  enum varlink_side side, const json_t *parameters, struct err *err);
/* Is NAME (without interface) one of its errors, and do PARAMETERS fit? */
int varlink_check_error(const struct varlink_interface *interface, const char *name,
			const json_t *parameters, struct err *err);

/* {"parameters": …, "continues": true}. Steals PARAMETERS. */
json_t *varlink_reply(json_t *parameters, bool continues);

#endif
