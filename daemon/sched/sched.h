/* SPDX-License-Identifier: ISC */
/*
 * Where time and helpers meet the queue: one timer for the earliest moment, the channels to
 * bmd-run, the recovery after a crash, and those who wait for a job (wait, log -f). Reads the
 * clock, commits through turn, and speaks.
 */
#ifndef DAEMON_SCHED_SCHED_H
#define DAEMON_SCHED_SCHED_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf/conf.h"
#include "common/err.h"
#include "daemon/queue/queue.h"
#include "daemon/turn.h"

struct sched;
struct sched *sched_new(struct ev_loop *loop, struct queue *queue, struct turn *turn);
void sched_free(struct sched *sched); /* runs go on without bmd */
struct ev_loop *sched_loop(const struct sched *sched);

/* Reads every run folder of a job that was starting or running, adopts, records, or names it lost.
 * Before the first request. */
int sched_recover(struct sched *sched, struct err *err);
/* Look again: within this turn, after every change. */
void sched_kick(struct sched *sched);
/* Tells the bmd-run of a running job to stop it, after this turn's commit. */
void sched_cancel(struct sched *sched, int64_t job, bool now, const char *by);
/* The queue's configuration was swapped: look again. */
void sched_reload(struct sched *sched);
/* What hinders the work and what a human can do about it: array of sentences. New reference. */
json_t *sched_warnings(struct sched *sched);

/* BACK is called with the manifests (digests) that a run was found to lack files of. */
void sched_on_damaged(struct sched *sched, void (*back)(const json_t *manifests, void *arg),
		      void *arg);

/* BACK is called, inside of a turn, when the clock that was doubted is believed again. */
void sched_on_settled(struct sched *sched, void (*back)(void *arg), void *arg);

/* Watchers of a job: BACK is called after each commit that changed the job (state or event) or when
 * its log may have grown. */
struct sched_watch;
struct sched_watch *sched_watch(struct sched *sched, int64_t job,
				void (*back)(int64_t job, void *arg), void *arg);
void sched_unwatch(struct sched_watch *watch); /* NULL is fine */

/* An upload: the connection FD is handed over (and closed here). */
#define SCHED_IMPORTS_MAX 16
size_t sched_imports(const struct sched *sched);
bool sched_imports_full(const struct sched *sched); /* sched_import() would say TOO_MANY */
int sched_import(struct sched *sched, const char *kind, int client_fd, struct err *err);
/* Re-hashes stored files; LINE is called for each JSON object that bmd-import says, with NULL at
 * its end. */
struct sched_verify;
int sched_verify(struct sched *sched, const json_t *digests,
		 void (*line)(const json_t *object, void *arg), void *arg,
		 struct sched_verify **ret_verify, struct err *err);
/* The same for bmd itself: clients neither wait for it nor it for them. */
int sched_verify_own(struct sched *sched, const json_t *digests,
		     void (*line)(const json_t *object, void *arg), void *arg,
		     struct sched_verify **ret_verify, struct err *err);
/* bmd-import --gc (import/collect.h), the same way; once it has the store, tell it what to keep.
 * -E2BIG: more than a list can hold. */
int sched_collect(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
		  struct sched_verify **ret_collect, struct err *err);
/* bmd-import --backup (import/backup.h), the same way; its list is told like the other's. */
int sched_backup(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
		 struct sched_verify **ret_backup, struct err *err);
int sched_collect_keep(struct sched_verify *collect, const json_t *digests);
/* bmd-import --lists (import/lists.h): a line for each question, in their order, until it is
 * stopped. -E2BIG: too long a question. */
int sched_lists(struct sched *sched, void (*line)(const json_t *object, void *arg), void *arg,
		struct sched_verify **ret_lists, struct err *err);
int sched_lists_ask(struct sched_verify *lists, const json_t *question);
void sched_verify_stop(struct sched_verify *verify);

/* BACK is called with each event in the transaction in which it happens, for what has to be written
 * with it. */
void sched_on_event(struct sched *sched, void (*back)(const struct event *event, void *arg),
		    void *arg);
/* BACK is called for each job that ended, with or without a run, when that is committed. */
void sched_on_final(struct sched *sched, void (*back)(void *arg), void *arg);
/* BACK is called when a run has ended and is recorded. */
void sched_on_ended(struct sched *sched, void (*back)(void *arg), void *arg);
/* A bmd-run for an errand (common/errand.h): DONE is called once, with why it was not done, or
 * NULL; it frees the errand. How many there are at a time is the caller's to bound. */
struct sched_errand;
int sched_errand(struct sched *sched, const json_t *request,
		 void (*done)(const char *error, void *arg), void *arg,
		 struct sched_errand **ret_errand, struct err *err);
/* it goes on, and nobody hears of it; NULL is fine */
void sched_errand_free(struct sched_errand *errand);

#endif
