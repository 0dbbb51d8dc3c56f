/* SPDX-License-Identifier: ISC */
/*
 * What the files of methods/ share: a request as its handler sees it (checked against the
 * interface, rights settled), and the declarations of all handlers, made from the table. READ,
 * MUTATE and ADD handlers return the parameters of their reply; STREAM and UPGRADE handlers take
 * the call over when they return 0. On an error nothing was replied and METHODS does it.
 */
#ifndef DAEMON_METHODS_REQUEST_H
#define DAEMON_METHODS_REQUEST_H

#include "common/varlink.h"
#include "daemon/methods/methods.h"

/* a list stops here: its frame must stay under VARLINK_FRAME_MAX */
#define REQUEST_REPLY_BYTES (896 * 1024)

struct methods {
	struct queue *queue;
	struct sched *sched;
	struct turn *turn;
	struct objects *objects;
	const struct patrol *patrol; /* NULL: none */
	struct notices *notices;
	struct store *store;
	struct audit *audit;
	struct varlink_interface *control, *service;
	uint64_t *answered;	       /* by each method, so far */
	struct request_lists *lists;   /* lists.c; NULL: nothing was asked yet */
	const struct control *clients; /* NULL: not yet */
	bool backup;		       /* one is being made */
	json_t *problems;	       /* of the configuration at start; NULL: none */
	char boot[40];		       /* this boot's id */
	methods_reload *reload;
	void *arg;
};

/* What CALL asked for and, when it was done, REPLY says of it, as a row of the audit (borrowed from
 * both, RET_TEXT to be freed). */
struct request;
void request_audit(const struct request *request, const char *method, const json_t *reply,
		   struct store_audit *ret_row, char **ret_text);

struct request {
	struct methods *methods;
	struct control_call *call;
	const json_t *parameters;
	const struct control_peer *peer;
	struct queue_who who;
	int64_t now_us;
	bool more;
	/* What is touched, as far as names say it: of the configuration in force, NULL
	 * otherwise. */
	const struct conf_application *application;
	const struct conf_stage *stage;
	/* Set by a handler: the run of this job must be told to stop, once its request is safe in
	 * the transaction. */
	int64_t kill_job;
	bool kill_now;
	/* The same: what is kept outside of the database changes now, for the commit of this
	 * turn. */
	void (*accepted)(struct request *request);
};

#define READ(name) \
	int method_##name(struct request *request, json_t **ret_reply, struct err *err)
#define MUTATE(name)		     READ(name)
#define ADD(name)		     READ(name)
#define STREAM(name)		     int method_##name(struct request *request, struct err *err)
#define UPGRADE(name)		     STREAM(name)
#define X(name, role, kind, touches) kind(name);
METHODS(X)
#undef X

/*
 * What a call touches, found and judged before its handler: 0, or NO_SUCH_… for what the caller
 * does not see just as for what is not there, or PERMISSION_DENIED. Sets application and stage of
 * REQUEST.
 */
enum reach {
	REACH_NONE,
	REACH_LIST,
	REACH_APPLICATION,
	REACH_WHOLE,
	REACH_STAGE,
	REACH_JOB,
	REACH_JOBS,
	REACH_SCHEDULE
};
int reach_settle(struct request *request, const char *method, enum reach reach,
		 enum control_role role, struct err *err);
/* PERMISSION_DENIED: the caller may not do METHOD, by the lists that count for APPLICATION and
 * STAGE (NULL, or not configured: those above). */
int reach_denied(const struct request *request, const char *method, enum control_role role,
		 const char *application, const char *stage, struct err *err);
/* What PEER may on a stage (NULL: on any), see common/rights.h; whether it sees all that there is;
 * and its eyes, borrowed from it. */
unsigned reach_rights(const struct control_peer *peer, const char *application, const char *stage);
bool reach_sees_all(const struct control_peer *peer);
struct queue_eyes reach_eyes(const struct control_peer *peer);
/* The job that PEER sees under this number, or NO_SUCH_JOB. */
int reach_job(struct methods *methods, const struct control_peer *peer, int64_t id,
	      struct job *ret_job, struct err *err);
/* Takes what PEER does not see out of a build as JSON. */
void reach_trim_build(const struct control_peer *peer, json_t *build);

/* limits.c: {name, used, most|null, near, text} each. New array. */
json_t *request_limits(struct request *request, const json_t *stages, int64_t waiting,
		       int64_t running);

/* Members of the parameters. */
/* borrowed; NULL when absent */
const char *request_text(const struct request *request, const char *name);
int64_t request_int(const struct request *request, const char *name, int64_t otherwise);
/* INVALID_PARAMETER with its field. */
int request_invalid(struct err *err, const char *name, const char *format, ...) _printf_(3, 4);
/* `reason` or `note`, checked; NULL when absent. */
int request_words(const struct request *request, const char *name, bool lines,
		  const char **ret_text, struct err *err);
/* `release` and `build` (0 when absent), as far as a name can be checked. */
int request_release(const struct request *request, const char **ret_release, int64_t *ret_build,
		    struct err *err);
/* The build that `application`, `release` and `build` name. Clear it. */
int request_build(const struct request *request, struct store_build *ret_build, struct err *err);
/* `override`, an object; NULL when absent. */
const json_t *request_override(const struct request *request);
int request_variables(const struct request *request, const json_t **ret_variables, struct err *err);
/* A time of the protocol; 0 when absent. */
int request_time(const struct request *request, const char *name, int64_t *ret_us, struct err *err);
/* `now` or `at`, `text`, `zone`. -ENODATA (no ERR) when there is neither. */
int request_when(const struct request *request, struct queue_when *ret_when, struct err *err);

/* A page of a list: `limit` and `after` read, items added until it is full, `next` told. */
struct page {
	int limit;
	int64_t after[2]; /* the cursor, as it was read; 0, 0: from the beginning */
	json_t *items;
	size_t bytes;
	bool more;
	char next[64]; /* cursor behind the last item */
};
int page_begin(const struct request *request, int parts, struct page *ret_page, struct err *err);
/* Steals ITEM. False: it did not fit, the page is full. */
bool page_add(struct page *page, json_t *item, int64_t a, int64_t b);
/* It ends here, and goes on behind A, B. */
void page_goes_on(struct page *page, int64_t a, int64_t b);
/* {NAME: items, "next": …}; ends PAGE. */
json_t *page_reply(struct page *page, const char *name);
void page_clear(struct page *page);

void request_lists_free(struct methods *methods); /* what lists.c keeps */

/* In the form of the interface file. New references. */
json_t *request_live(const struct history_entry *live); /* null for NULL */
json_t *request_ref(const struct build_ref *ref);
int request_build_json(struct request *request, const char *application,
		       const struct build_ref *ref, bool deployments, json_t **ret_build,
		       struct err *err);
/* {build: BUILD as it is now, whole}. */
int request_build_reply(struct request *request, const struct store_build *build,
			json_t **ret_reply, struct err *err);
/* Sorted names of the artifacts that the plans of an application's stages use, of those that the
 * caller sees: a new array. */
json_t *request_artifact_names(const struct request *request,
			       const struct conf_application *application);

#endif
