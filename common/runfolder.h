/* SPDX-License-Identifier: ISC */
/*
 * The run folder of each job as bmd reads it; run.h says what lies in it.
 */
#ifndef COMMON_RUNFOLDER_H
#define COMMON_RUNFOLDER_H

#include "common/run.h"

/* Makes the run directory (0711) where it is missing; its parent must exist. Once, at bmd's start
 * under the launcher fork. */
int run_directory_make(const char *directory, struct err *err);

/* The state of a run folder, as bmd needs it to judge the run after a crash. DIRECTORY is the run
 * directory. */
struct run_folder {
	bool exists, locked;	      /* locked: some bmd-run lives */
	bool has_started, has_result; /* a claim that cannot be read has started.run "" */
	struct run_started started;
	struct run_result result;
	/* there is a result, and why it cannot be understood; "": neither */
	char damage[160];
};
/* 0, or -errno with ERR: a folder that cannot be read is an error, never "absent". */
int run_folder_look(const char *directory, int64_t job, struct run_folder *ret_folder,
		    struct err *err);
/* The highest job id that has a folder; 0 if none. */
int run_folder_highest(const char *directory, int64_t *ret_job, struct err *err);
/* All of them, in ascending order. free() it. */
int run_folder_list(const char *directory, int64_t **ret_jobs, size_t *ret_n, struct err *err);
/* Events of a run folder from SEQ on, oldest first. New array of event objects (a torn last line is
 * left out). */
int run_folder_events(const char *directory, int64_t job, int64_t seq, json_t **ret_events,
		      struct err *err);

#endif
