/* SPDX-License-Identifier: ISC */
/*
 * Starts helpers: bmd-run for a job, bmd-import for an upload. The only place in bmd that forks.
 * Both launchers give a connected, non-blocking stream socket and nothing else. bmd is a child
 * subreaper: what a dead bmd-run leaves is swept here (every process below bmd that is not, and is
 * not below, a helper that lives).
 */
#ifndef DAEMON_LAUNCH_H
#define DAEMON_LAUNCH_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/conf/conf.h"
#include "common/err.h"

struct launch;
/* ENDED is called when a helper that bmd forked is gone and, for bmd-run, nothing it left is there
 * any more. */
/* Helpers get the limit of open files that is in force now. */
struct launch *launch_new(struct ev_loop *loop, void (*ended)(pid_t pid, int status, void *arg),
			  void *arg);
void launch_free(struct launch *launch); /* leaves helpers running */

/* Starts bmd-run, for JOB or (0) for an errand, and returns the channel; *RET_PID is 0 with the
 * launcher systemd. */
int launch_run(struct launch *launch, const struct conf *conf, int64_t job, int *ret_fd,
	       pid_t *ret_pid, struct err *err);
/* bmd-import for one upload: CLIENT_FD becomes its standard input and output (blocking), KIND tree,
 * tar or zip. */
int launch_import(struct launch *launch, const struct conf *conf, const char *kind, int client_fd,
		  pid_t *ret_pid, struct err *err);
/* bmd-import --verify: digests of manifests go in, findings come out, over the returned
 * non-blocking channel. */
int launch_verify(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
		  struct err *err);
/* bmd-import --gc (import/collect.h) and --lists (import/lists.h), the same way. */
int launch_collect(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
		   struct err *err);
int launch_lists(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
		 struct err *err);
/* bmd-import --backup (import/backup.h), the same way. */
int launch_backup(struct launch *launch, const struct conf *conf, int *ret_fd, pid_t *ret_pid,
		  struct err *err);
/* Where the helper programs are: beside a build tree's own bmd, else LIBEXECDIR. An error names
 * what is missing. */
int launch_check(struct err *err);
/* Other programs instead of those, NULL: as above. For tests. */
void launch_set_programs(struct launch *launch, const char *run, const char *import);

#endif
