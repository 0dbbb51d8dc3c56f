/* SPDX-License-Identifier: ISC */
/*
 * What an operator sees of a process of bmd-run: its title (ps, systemd-cgls), the status line of
 * its unit (systemctl status), and its lines in the journal.
 */
#ifndef RUNNER_SHOW_H
#define RUNNER_SHOW_H

#include "common/event.h"

/* Once, first of all: the title is written where ARGV and the environment stood, so ARGV is not to
 * be read behind this. */
void show_init(int argc, char **argv);
/* In title and status line. */
void show(const char *text);
/* The same with the event's sentence, which the journal gets too, if stderr is the journal. */
void show_event(const struct event *event);

#endif
