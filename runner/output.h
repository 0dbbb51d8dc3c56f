/* SPDX-License-Identifier: ISC */
/*
 * What a step prints: two pipes, read for as long as the step lives and a little longer, as lines
 * into the log.
 */
#ifndef RUNNER_OUTPUT_H
#define RUNNER_OUTPUT_H

#include "runner/runner.h"

struct output;

/* OUT and ERR are taken; OUT_STREAM is what the log calls the first ("out"; "bmd" for a child of
 * our own). */
struct output *output_open(struct run *run, const char *step, const char *out_stream, int out,
			   int err);
/* Both pipes are at their end. */
bool output_ended(const struct output *output);
/* Runs the loop until they are, or so many seconds have passed; false: somebody still holds one. */
bool output_drain(struct output *output, double limit_s);
/* What is read but not a whole line becomes one. NULL is fine. */
void output_close(struct output *output);

#endif
