/* SPDX-License-Identifier: ISC */
/*
 * The socket's file is a gate before bmd's own rules: under systemd another made it, at a place and
 * with a mode of his own. Whom the configuration names and the gate keeps out would never learn
 * why.
 */
#ifndef DAEMON_CONTROL_GATE_H
#define DAEMON_CONTROL_GATE_H

#include <jansson.h>

#include "common/conf/conf.h"

/* Where the listening socket FD is bound, to be freed; NULL if it has no path. */
char *gate_path(int fd);
/* What is not as CONF says, a sentence each with what to type. Asks the name service. */
json_t *gate_problems(int fd, const struct conf *conf);

#endif
