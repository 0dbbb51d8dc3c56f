/* SPDX-License-Identifier: ISC */
/* The faults of the campaign's programs, fault.c, and what a process was at when one came to it. */
#ifndef CAMPAIGN_FAULT_H
#define CAMPAIGN_FAULT_H

/* Whether this call of FAMILY is the one that is to fail, in this process; errno is set then. */
int fault_strikes(const char *family);
/* For a test that is its own program: from here on the N-th call of FAMILY fails with CODE, once; N
 * 0: none does. Was it called? */
void fault_arm(const char *family, int code, int n);
int fault_struck(void);
void fault_pause(int on); /* what is called meanwhile neither fails nor counts */
/* How many calls of this process were made to fail; the family, if the latest of its calls was,
 * else NULL. */
int fault_hits(void);
const char *fault_latest(void);
/* Of a bmd-run, and its children: its job; 0 or nonsense of others. */
long long fault_job(void);
/* LINE to the file PROGRAMSUFFIX beside the program, by system calls alone. */
void fault_add_line(const char *suffix, const char *line);
/* From here on this process is at PHASE; what it was at before. */
const char *fault_phase(const char *phase);
/* It passes a point of common/failpoint.h: some of them begin a phase. */
void fault_passed(const char *point);

#endif
