/* SPDX-License-Identifier: ISC */
/*
 * The one handler behind the socket: finds the row of a call, checks the caller's role and the
 * parameters, and for what changes something opens the turn's transaction, answers a known key as
 * before, and keeps the answer under a new one. An error undoes what its request did and nothing
 * else of the turn.
 */
#include "daemon/clock.h"
#include "daemon/methods/methods.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/log.h"
#include "daemon/methods/request.h"

#define KEY_MAX	      64
#define ANSWER_ROOM   (128 * 1024) /* what an answer says besides the body of its request */
#define CHECKED_FIRST 256	   /* replies of a method */
#define CHECKED_EVERY 64

enum kind { READ_KIND, MUTATE_KIND, ADD_KIND, STREAM_KIND, UPGRADE_KIND };

struct row {
	const char *name;
	enum control_role role;
	enum kind kind;
	enum reach reach;
	int (*answer)(struct request *request, json_t **ret_reply, struct err *err);
	int (*take)(struct request *request, struct err *err);
};

/* clang-format off */
#define ROW_READ(name)    method_##name, NULL
#define ROW_MUTATE(name)  method_##name, NULL
#define ROW_ADD(name)     method_##name, NULL
#define ROW_STREAM(name)  NULL, method_##name
#define ROW_UPGRADE(name) NULL, method_##name
#define X(name, role, kind, touches) {#name, CONTROL_##role, kind##_KIND, REACH_##touches, ROW_##kind(name)},
/* clang-format on */

static const struct row rows[] = {METHODS(X)};
#undef X

/* ---- org.varlink.service */

static int
describe(struct request *request, json_t **ret_reply, struct err *err)
{
	const char *name = request_text(request, "interface");
	const char *text = NULL;

	if (strcmp(name, varlink_interface_name(request->methods->control)) == 0)
		text = varlink_control_text;
	else if (strcmp(name, varlink_interface_name(request->methods->service)) == 0)
		text = varlink_service_text;
	if (!text) {
		int r = err_set(err, ERR_INTERFACE_NOT_FOUND, "bmd has no interface %.100s", name);

		err_field(err, "interface", json_string(name));
		return r;
	}
	*ret_reply = json_pack("{s:s}", "description", text);
	return 0;
}

static int
service(struct request *request, const char *member, json_t **ret_reply, struct err *err)
{
	int r = varlink_check(request->methods->service, member, VARLINK_INPUT, request->parameters,
			      err);

	if (r < 0)
		return r;
	if (request->peer->role < CONTROL_VIEWER)
		return reach_denied(request, member, CONTROL_VIEWER, NULL, NULL, err);
	if (strcmp(member, "GetInterfaceDescription") == 0)
		return describe(request, ret_reply, err);
	*ret_reply = json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "bmd", "product", "bmd",
			       "version", VERSION, "url", "", "interfaces",
			       varlink_interface_name(request->methods->service),
			       varlink_interface_name(request->methods->control));
	return 0;
}

/* ---- the audit */

/* Does this call change something, so that its refusal is a row as well? */
static bool
is_change(const struct row *row, const json_t *parameters)
{
	if (row->kind == MUTATE_KIND || row->kind == ADD_KIND)
		return !json_get_bool(parameters, "dry_run");
	return row->role >= CONTROL_OPERATOR;
}

static int
done(const struct request *request, const struct row *row, const json_t *reply, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct store_audit entry;

	request_audit(request, row->name, reply, &entry, &text);
	return audit_done(request->methods->audit, &entry, err);
}

static void
refused(const struct request *request, const struct row *row, const struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct store_audit entry;

	request_audit(request, row->name, NULL, &entry, &text);
	entry.error = err_word(err->code);
	entry.text = err->text;
	audit_refused(request->methods->audit, &entry,
		      err->code == ERR_NO_SPACE || err->code == ERR_UNKNOWN_OUTCOME);
}

/* ---- what changes something */

static int
check_key(const char *key, struct err *err)
{
	size_t n = key ? strlen(key) : 0;

	if (n == 0 || n > KEY_MAX ||
	    strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != n)
		return request_invalid(
		    err, "key", "every change needs a key: 1 to %d characters of [A-Za-z0-9._-]",
		    KEY_MAX);
	return 0;
}

/* Returns the length of the body. */
static size_t
body_digest(const char *member, const json_t *parameters, char ret_digest[DIGEST_SIZE])
{
	_cleanup_free_ char *text = json_canonical(parameters);
	struct digest *digest = digest_new();
	size_t n = strlen(text);

	digest_add(digest, member, strlen(member) + 1);
	digest_add(digest, text, n);
	digest_end(digest, ret_digest);
	return n;
}

/* What a handler returned, as it must be by the interface file: a mistake is bmd's own, and said
 * loudly. Each method is looked at until it has answered often, and now and then from there on. */
static void
check_reply(const struct request *request, const struct row *row, const json_t *reply)
{
	uint64_t answered = request->methods->answered[row - rows]++;
	_cleanup_err_ struct err err = ERR_INIT;

	if (answered >= CHECKED_FIRST && answered % CHECKED_EVERY != 0)
		return;
	if (varlink_check(request->methods->control, row->name, VARLINK_OUTPUT, reply, &err) < 0)
		log_error("the reply of %s is not as the interface says: %s", row->name, err.text);
}

static int
too_large(const struct row *row, struct err *err)
{
	return err_set(err, ERR_FAILED, "the answer of %s is too large", row->name);
}

/* Inside the savepoint: the answer as text, from the key or from the handler. RET_NEW: something
 * was done. */
static int
change(struct request *request, const struct row *row, const char *key, char **ret_text,
       bool *ret_new, struct err *err)
{
	struct store *store = request->methods->store;
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_json_ json_t *frame = NULL;
	_cleanup_free_ char *text = NULL;
	char digest[DIGEST_SIZE];
	int64_t job;
	size_t n;
	int r;

	n = body_digest(row->name, request->parameters, digest);
	if (row->kind == ADD_KIND && n > VARLINK_FRAME_MAX - ANSWER_ROOM)
		return too_large(row, err); /* for it repeats what was asked */
	r = store_key_find(store, request->peer->uid, key, digest, ret_text, err);
	if (r != 0)
		return r < 0 ? r : 0;
	/* After the key: what was removed by this very call is not there when it is asked again. */
	r = reach_settle(request, row->name, row->reach, row->role, err);
	if (r >= 0)
		r = row->answer(request, &reply, err);
	if (r < 0)
		return r;
	check_reply(request, row, reply);
	r = done(request, row, reply, err);
	if (r < 0)
		return r;
	job = json_get_int(json_object_get(reply, "job"), "id", 0);
	frame = varlink_reply(TAKE(reply), false);
	text = json_compact(frame, &n);
	if (n > VARLINK_FRAME_MAX)
		return too_large(row, err);
	r = store_key_add(store, request->peer->uid, key, digest, text, job, request->now_us, err);
	if (r < 0)
		return r;
	*ret_text = TAKE(text);
	*ret_new = true;
	return 0;
}

/* What a human must be able to do also when the disk is full. */
static bool
stops_something(const struct row *row)
{
	static const char *const names[] = {"Cancel", "Lock", "PauseSchedule", "Drain"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(row->name, names[i]) == 0)
			return true;
	return false;
}

static int
mutate(struct request *request, const struct row *row, struct err *err)
{
	struct methods *methods = request->methods;
	const char *key = request_text(request, "key");
	_cleanup_free_ char *text = NULL;
	bool done = false;
	int r = check_key(key, err);

	control_set_fate(request->call, CONTROL_TOLD);
	if (r >= 0)
		r = turn_begin(methods->turn, err);
	if (r >= 0 && !stops_something(row))
		r = store_refuse_low(methods->store, err);
	if (r >= 0)
		r = row->kind == ADD_KIND ? turn_mark(methods->turn, err)
					  : turn_savepoint(methods->turn, err);
	if (r < 0)
		return r;
	r = change(request, row, key, &text, &done, err);
	if (r < 0) {
		if (!turn_rollback_savepoint(methods->turn) && r != -ENOSPC)
			log_error(
			    "%s was refused behind its first write, so that all that was asked "
			    "with it is undone: %s",
			    row->name, err->text);
		return r;
	}
	r = turn_release(methods->turn, err);
	if (r < 0)
		return r;
	if (request->kill_job)
		sched_cancel(methods->sched, request->kill_job, request->kill_now,
			     request->who.name);
	if (done && request->accepted)
		request->accepted(request);
	if (done)
		sched_kick(methods->sched);
	control_reply_text(request->call, text);
	return 0;
}

/* What takes its call over changes files alone. An upload needs room anyway; the removal of files
 * does not wait for it. */
static int
take(struct request *request, const struct row *row, struct err *err)
{
	int r = reach_settle(request, row->name, row->reach, row->role, err);

	if (is_change(row, request->parameters))
		control_set_fate(request->call, CONTROL_TOLD);
	if (r >= 0 && row->kind == UPGRADE_KIND)
		r = turn_begin(request->methods->turn, err);
	if (r >= 0)
		r = row->take(request, err);
	if (r < 0 || !is_change(row, request->parameters))
		return r;
	if (turn_begin(request->methods->turn, NULL) < 0 || done(request, row, NULL, NULL) < 0)
		log_warning("no room for a row of the audit: %s by %s", row->name,
			    request->who.name);
	return 0;
}

/* ---- dispatch */

static const struct row *
find_row(const char *member)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].name, member) == 0)
			return &rows[i];
	return NULL;
}

static int
read_only(struct request *request, const struct row *row, struct err *err)
{
	json_t *reply = NULL;
	int r = reach_settle(request, row->name, row->reach, row->role, err);

	if (r >= 0)
		r = row->answer(request, &reply, err);
	if (r < 0)
		return r;
	check_reply(request, row, reply);
	control_reply(request->call, reply, false);
	return 0;
}

static int
dispatch(struct request *request, const struct varlink_call *what, struct err *err)
{
	const struct row *row = find_row(what->member);
	int r;

	if (!row) {
		r = err_set(err, ERR_METHOD_NOT_FOUND,
			    "bmd has no method %.100s: bmd-protocol(7) lists them", what->method);
		err_field(err, "method", json_string(what->method));
		return r;
	}
	/* The refusals of a change before anything is read for it are true whatever becomes of the
	 * turn. */
	if (is_change(row, what->parameters))
		control_set_fate(request->call, CONTROL_STANDS);
	if (request->peer->role < row->role)
		return reach_denied(request, row->name,
				    row->role == CONTROL_APPROVER ? CONTROL_OPERATOR : row->role,
				    NULL, NULL, err);
	r = varlink_check(request->methods->control, row->name, VARLINK_INPUT, what->parameters,
			  err);
	if (r < 0)
		return r;
	if (what->upgrade != (row->kind == UPGRADE_KIND))
		return err_set(err, ERR_INVALID_PARAMETER,
			       row->kind == UPGRADE_KIND
				   ? "%s takes the connection over: call it with upgrade"
				   : "%s cannot be called with upgrade",
			       row->name);
	if (row->take)
		return take(request, row, err);
	if (row->kind == READ_KIND || json_get_bool(what->parameters, "dry_run"))
		return read_only(request, row, err);
	return mutate(request, row, err);
}

static int
route(struct request *request, const struct varlink_call *what, struct err *err)
{
	json_t *reply = NULL;
	int r;

	if (strcmp(what->interface, varlink_interface_name(request->methods->control)) == 0)
		return dispatch(request, what, err);
	if (strcmp(what->interface, varlink_interface_name(request->methods->service)) == 0) {
		r = service(request, what->member, &reply, err);
		if (r >= 0)
			control_reply(request->call, reply, false);
		return r;
	}
	r = err_set(err, ERR_INTERFACE_NOT_FOUND, "bmd has no interface %.100s", what->interface);
	err_field(err, "interface", json_string(what->interface));
	return r;
}

void
methods_call(struct control_call *call, const struct varlink_call *what,
	     const struct control_peer *peer, void *arg)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct request request = {
	    .methods = arg,
	    .call = call,
	    .parameters = what->parameters,
	    .peer = peer,
	    .who = {.uid = peer->uid},
	    .now_us = clock_now_us(),
	    .more = what->more,
	};

	const struct row *row;

	snprintf(request.who.name, sizeof(request.who.name), "%s", peer->name);
	if (route(&request, what, &err) >= 0)
		return;
	if (err.code == ERR_NONE)
		err_set(&err, ERR_FAILED, "%s failed: see the log of bmd", what->member);
	row = strcmp(what->interface, varlink_interface_name(request.methods->control)) == 0
		  ? find_row(what->member)
		  : NULL;
	if (row && is_change(row, what->parameters))
		refused(&request, row, &err);
	control_error(call, &err);
}

/* The embedded text is part of the program: if it cannot be read, the program is broken. */
static struct varlink_interface *
interface_of(const char *text)
{
	struct varlink_interface *interface = NULL;
	_cleanup_err_ struct err err = ERR_INIT;

	if (varlink_interface_parse(text, &interface, &err) < 0) {
		log_error("the embedded interface cannot be read: %s", err.text);
		abort();
	}
	return interface;
}

struct methods *
methods_new(struct queue *queue, struct sched *sched, struct turn *turn, struct objects *objects,
	    struct audit *audit, methods_reload *reload, void *arg)
{
	struct methods *methods = xcalloc(1, sizeof(*methods));

	*methods = (struct methods){
	    .queue = queue,
	    .sched = sched,
	    .turn = turn,
	    .objects = objects,
	    .store = queue_store(queue),
	    .audit = audit,
	    .answered = xcalloc(ARRAY_SIZE(rows), sizeof(*methods->answered)),
	    .control = interface_of(varlink_control_text),
	    .service = interface_of(varlink_service_text),
	    .reload = reload,
	    .arg = arg,
	};
	run_boot_id(methods->boot);
	return methods;
}

void
methods_free(struct methods *methods)
{
	if (!methods)
		return;
	varlink_interface_free(methods->control);
	varlink_interface_free(methods->service);
	request_lists_free(methods);
	json_decref(methods->problems);
	free(methods->answered);
	free(methods);
}

void
methods_set_problems(struct methods *methods, json_t *problems)
{
	json_decref(methods->problems);
	methods->problems = json_incref(problems);
}

void
methods_set_control(struct methods *methods, const struct control *control)
{
	methods->clients = control;
}

void
methods_set_patrol(struct methods *methods, const struct patrol *patrol)
{
	methods->patrol = patrol;
}

void
methods_set_notices(struct methods *methods, struct notices *notices)
{
	methods->notices = notices;
}
