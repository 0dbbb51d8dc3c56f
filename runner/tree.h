/* SPDX-License-Identifier: ISC */
/*
 * Everything that a step started: bmd-run is a child subreaper, so that whatever loses its parent
 * becomes its child, and a tree without children is empty. Where a cgroup can be had, the steps
 * have one.
 */
#ifndef RUNNER_TREE_H
#define RUNNER_TREE_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/conf/conf.h"
#include "common/err.h"

struct tree;

/* RUN_ID names the cgroup of the steps, if one can be had. LIMITS (NULL: none) are kept on it, or
 * it is an error: CONFIGURATION when they cannot be kept on this machine. */
int tree_open(struct ev_loop *loop, const char *run_id, const struct conf_limits *limits,
	      struct tree **ret_tree, struct err *err);
/* Removes the cgroup if it is empty. */
void tree_close(struct tree *tree);
const char *tree_cgroup(const struct tree *tree); /* its path, "" when there is none */
int tree_cgroup_fd(const struct tree *tree);	  /* of its cgroup.procs; -1 */

/* PID, a child, is the one whose end decides. */
void tree_watch(struct tree *tree, pid_t pid);
bool tree_ended(const struct tree *tree, int *ret_status); /* the watched one */
bool tree_empty(struct tree *tree);

/* Names of processes that are there, "sleep, nginx" (at most a few), for the log. Empty text:
 * none. */
void tree_names(char *ret_names, size_t size);
/* Ends every process: TERM, GRACE_S seconds (none when *NOW is or becomes true), then KILL until
 * there is none. Runs the loop meanwhile. STUCK is told once if some cannot be killed. */
void tree_end(struct tree *tree, double grace_s, const bool *now,
	      void (*stuck)(const char *names, void *arg), void *arg);

#endif
