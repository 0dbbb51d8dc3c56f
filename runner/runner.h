/* SPDX-License-Identifier: ISC */
/*
 * What the files of bmd-run share: the run. There is one, from the request to the result; main
 * makes it, steps walks through it. All waiting is ev_run() in plain sequential code: watchers
 * belong to the files that know what they wait for, and set values here.
 */
#ifndef RUNNER_RUNNER_H
#define RUNNER_RUNNER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/conf/conf.h"
#include "common/err.h"
#include "common/run.h"
#include "common/runlog.h"

#define RUNNER_GRACE_S	  10.0 /* between TERM and KILL for a step that is stopped */
#define RUNNER_LEFTOVER_S 2.0  /* the same for what a step left behind */
#define RUNNER_DRAIN_S	  2.0  /* for output after the end of a step's process */

/* Why the run is to end before its plan does. Only ever grows. */
enum run_stop { STOP_NONE, STOP_CANCEL, STOP_SHUTDOWN };

/* An artifact that a step uses, checked before the run began. */
struct run_files {
	const struct run_artifact *artifact;
	struct manifest manifest;
};

struct channel;
struct folder;
struct secrets;
struct tree;

struct run {
	struct ev_loop *loop;
	const char *conf_file;
	struct conf *conf;
	const struct conf_application *application;
	const struct conf_stage *stage;
	const struct conf_plan *plan;
	char *plan_text; /* of conf_resolve() */
	char *trouble;	 /* the first mistakes in files that were left out; NULL: none */
	struct run_request request;
	struct objects *objects; /* NULL when no step uses an artifact */
	struct run_files *files;
	size_t nfiles;
	char *work;		 /* $BM_ARTIFACTS, below the run directory */
	struct secrets *secrets; /* NULL: none */
	struct folder *folder;
	struct channel *channel;
	struct tree *tree;
	struct runlog *log;
	enum run_stop stop;
	bool stop_now; /* without grace */
	char stop_by[64];
	int64_t seq; /* of the last event */
	struct run_result result;
};

/* The wall clock, for what is written down. */
int64_t run_now_us(void);
/* A line of bmd-run itself for the log; STEP may be NULL. */
void run_say(struct run *run, const char *step, const char *format, ...) _printf_(3, 4);
/* Numbers the event, puts it into the folder and sends it to whoever listens. */
void run_tell(struct run *run, struct run_event *event);

#endif
