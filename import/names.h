/* SPDX-License-Identifier: ISC */
/* Names of an upload that are allowed and may surprise. */
#ifndef IMPORT_NAMES_H
#define IMPORT_NAMES_H

#include <jansson.h>

#include "artifact/manifest.h"

/* Adds sentences to the array LIST: paths that are one path where case does not count, and names
 * that can make a terminal show another. */
void names_warn(const struct manifest *manifest, json_t *list);

#endif
