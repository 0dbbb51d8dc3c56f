/* SPDX-License-Identifier: ISC */
/*
 * What bmd and bmd-run say to each other: frames of varlink.h's kind (one JSON object, one NUL)
 * over a stream socket, and the same objects as lines in the run folder. Pack and unpack stand side
 * by side.
 *
 *	bmd → bmd-run		request, then go (end of file instead: leave)
 *	bmd-run → bmd		ready | refused, then event …, then result
 *	anyone of bmd's uid → JOB/control	follow (events after "after", then live ones, then the result), cancel
 *
 * The run folder JOB/: lock (OFD lock for as long as bmd-run lives), started (O_EXCL: the claim),
 * events (a line each), log (see runlog.h), result, control (socket).
 */
#ifndef COMMON_RUN_H
#define COMMON_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/names.h"

#define RUN_ID_SIZE 33 /* 32 hex digits and NUL */

struct run_artifact {
	char name[64];
	char digest[65]; /* of the manifest */
};

struct run_request {
	char run[RUN_ID_SIZE];
	int64_t job;
	char application[64], stage[64], plan[64];
	struct build_ref build;
	char mode[16];		     /* deploy | redeploy | rollback */
	struct build_ref from;	     /* release "" when nothing was live */
	char *reason, *requested_by; /* "" when none */
	/* who answers for it: asked, or let it go last; -1: not known */
	int64_t uid;
	json_t *job_variables, *build_variables; /* objects of strings */
	struct run_artifact *artifacts;
	size_t nartifacts;
	char plan_digest[65];	/* of conf_resolve() */
	char *signature;	/* of the build, see signature.h; NULL when it has none */
	struct build_ref *keep; /* builds whose release folders must not be pruned */
	size_t nkeep;
};
json_t *run_request_pack(const struct run_request *request);
int run_request_unpack(const json_t *object, struct run_request *ret_request, struct err *err);
void run_request_clear(struct run_request *request);
/* SHA-256 of the canonical text, in hex: what a result refers to. */
void run_request_digest(const struct run_request *request, char ret_digest[65]);

/* {"type": TYPE} for ready, go, follow. New reference. */
json_t *run_message(const char *type);
/* {"type": "cancel", "now": …, "by": …}: NOW: without grace, the second that somebody asked for. It
 * may be sent again. */
json_t *run_cancel_pack(bool now, const char *by);
/* {"type": "refused", "code": CODE, "message": …}. Codes: "configuration" (changed since),
 * "started" (somebody began this run folder before), "locked" (another bmd-run holds it),
 * "artifact" (damaged or missing), "signature" (missing or not good), "permission" (who asked for
 * it may not any more), "failed". All but "locked" and "failed" hold the job. */
json_t *run_refused_pack(const char *code, const char *message);

/*
 * {"type": "event", "seq": 1…, "time": µs, "event": NAME, "step": index from 0, "name": step's
 * name, …}
 *	begun		the run began (no step)
 *	step-begun	attempt (1…), irreversible
 *	step-skipped	why: "only-on" | "skip-on" (in the struct: state)
 *	step-ended	once a step, after its last attempt. state: succeeded | failed | cancelled | ignored, exit_code|null, signal|null, message
 */
struct run_event {
	int64_t seq, time_us;
	char event[24];
	int step; /* -1: none */
	char name[64];
	int attempt;
	bool irreversible;
	char state[16];
	int exit_code, signal; /* -1: none */
	char message[512];
};
json_t *run_event_pack(const struct run_event *event);
int run_event_unpack(const json_t *object, struct run_event *ret_event, struct err *err);

/* {"type": "result", …}: the end of a run, also the content of JOB/result. */
struct run_result {
	char run[RUN_ID_SIZE];
	char request_digest[65];
	int64_t job, started_us, finished_us;
	char state[16];	       /* succeeded | failed | cancelled */
	bool began;	       /* a step began: without success the stage is dirty */
	char failed_step[64];  /* "" when none */
	int exit_code, signal; /* of the deciding step; -1: none */
	char ended_by[64];     /* who cancelled; "" else */
	char message[512];
	/* digest of a stored file that was found missing or damaged; "" for none */
	char damaged[65];
};
json_t *run_result_pack(const struct run_result *result);
int run_result_unpack(const json_t *object, struct run_result *ret_result, struct err *err);

/* What JOB/started holds. */
struct run_started {
	char run[RUN_ID_SIZE];
	char boot[40]; /* boot id */
	int64_t pid;
	char cgroup[256]; /* "" when the steps have none of their own */
	int64_t time_us;
};
json_t *run_started_pack(const struct run_started *started, const char *plan_text);
int run_started_unpack(const json_t *object, struct run_started *ret_started, struct err *err);

/* This boot's id (/proc/sys/kernel/random/boot_id; "" where it cannot be read) and a fresh run
 * id. */
void run_boot_id(char ret_id[40]);
void run_new_id(char ret_id[RUN_ID_SIZE]);

#endif
