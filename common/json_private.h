/* SPDX-License-Identifier: ISC */
/*
 * What the files of json share.
 */
#ifndef COMMON_JSON_PRIVATE_H
#define COMMON_JSON_PRIVATE_H

#include "common/json.h"

#define JSON_DEPTH_MAX 32 /* brackets within brackets */

/* The object that TEXT is, if it is a plain one; else NULL, which says nothing about TEXT. New reference. */
json_t *json_plain(const char *text, size_t n);

#endif
