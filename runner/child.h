/* SPDX-License-Identifier: ISC */
/*
 * The child side of fork, as one checklist: child_start(). A child either executes a program or
 * runs a function of bmd-run's own as the step's user.
 */
#ifndef RUNNER_CHILD_H
#define RUNNER_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

struct child_user {
	char name[64], home[1024];
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int ngroups;
};
/* NAME "" is the user that bmd-run is. Errors (CONFIGURATION): unknown, numeric, uid -1, or another
 * than oneself without being root. */
int child_user_find(const char *name, struct child_user *ret_user, struct err *err);
void child_user_clear(struct child_user *user);
/* Loads what the C library asks for users and groups by (nsswitch.conf): the first question costs
 * five times the next. */
void child_users_warm(void);

struct child {
	const struct child_user *user;
	int cgroup_fd;	       /* of cgroup.procs; -1: none */
	const char *directory; /* to change to, as the user */
	/* what to execute; a program without '/' is looked for in PATH of ENVP */
	char *const *argv;
	char *const *envp;
	const int *keep; /* descriptors that ARGV inherits besides its streams */
	size_t nkeep;
	/* Instead of ARGV: is run as the user, may keep KEEP_FD, writes its answer to REPORT_FD;
	 * returns the exit code. */
	int (*body)(void *arg, int report_fd);
	/* With BODY: what has to be done before the privileges go, as whom bmd-run is. 0 or
	 * -errno. */
	int (*prepare)(void *arg, struct err *err);
	void *arg;
	int keep_fd;
	int in; /* its standard input; 0: /dev/null */
};

struct child_started {
	pid_t pid;
	int out, err; /* its output, non-blocking */
	/* non-blocking: JSON {"error": sentence} if it never came to execute, or BODY's answer */
	int report;
};

/* Forks; where the kernel is short of something it is asked again for a third of a second.
 * Descriptors are the caller's. */
int child_start(const struct child *child, struct child_started *ret_started, struct err *err);
/* For BODY and the checklist: one JSON object {"error": …} to REPORT_FD. */
void child_report_error(int report_fd, const char *sentence);
/* The same of what could not be placed: field "object" of ERR names a stored file that is not
 * whole. */
void child_report_failure(int report_fd, const struct err *err);

#endif
