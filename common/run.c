/* SPDX-License-Identifier: ISC */
/*
 * The messages between bmd and bmd-run. Each is one table of its members, from which packing and
 * unpacking are made, so that they cannot drift apart. Unpacking checks everything (bmd-run is
 * root's and believes nobody) but leaves unknown members alone: a run goes on while bmd is
 * upgraded.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/json.h"
#include "common/run.h"
#include "common/signature.h"
#include "common/xalloc.h"

#define ARTIFACTS_MAX 256
#define KEEP_MAX      4096

enum kind { TEXT, LONG_TEXT, INTEGER, NUMBER, FLAG, BUILD };

/* One member. NUMBER is an int that is null on the wire when it is -1; LONG_TEXT is owned. */
struct field {
	const char *key;
	enum kind kind;
	size_t at, size;
	bool (*check)(const char *s);
	int64_t low, high;
};

// clang-format off
#define F_TEXT(type, member, check) \
	{#member, TEXT, offsetof(type, member), sizeof(((type *)0)->member), check, 0, 0}
#define F_LONG(type, member, limit) \
	{#member, LONG_TEXT, offsetof(type, member), 0, NULL, 0, limit}
#define F_INTEGER(type, member, key, low) \
	{key, INTEGER, offsetof(type, member), 0, NULL, low, INT64_MAX}
#define F_NUMBER(type, member, low, high) \
	{#member, NUMBER, offsetof(type, member), 0, NULL, low, high}
#define F_FLAG(type, member) {#member, FLAG, offsetof(type, member), 0, NULL, 0, 0}
#define F_BUILD(type, member, low) {#member, BUILD, offsetof(type, member), 0, NULL, low, 0}
// clang-format on

static bool
run_id_valid(const char *s)
{
	return strlen(s) == RUN_ID_SIZE - 1 && strspn(s, "0123456789abcdef") == RUN_ID_SIZE - 1;
}

static bool
one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static bool
mode_valid(const char *s)
{
	return one_of(s, (const char *const[]){"deploy", "redeploy", "rollback", NULL});
}

static bool
event_valid(const char *s)
{
	return one_of(s, (const char *const[]){"begun", "step-begun", "step-skipped", "step-ended",
					       NULL});
}

static bool
event_state_valid(const char *s)
{
	return one_of(s, (const char *const[]){"", "only-on", "skip-on", "succeeded", "failed",
					       "cancelled", "ignored", NULL});
}

static bool
result_state_valid(const char *s)
{
	return one_of(s, (const char *const[]){"succeeded", "failed", "cancelled", NULL});
}

static bool
digest_or_none(const char *s)
{
	return !*s || digest_valid(s);
}

static bool
step_or_none(const char *s)
{
	return !*s || names_stage(s);
}

static const struct field request_fields[] = {
    F_TEXT(struct run_request, run, run_id_valid),
    F_INTEGER(struct run_request, job, "job", 1),
    F_TEXT(struct run_request, application, names_application),
    F_TEXT(struct run_request, stage, names_stage),
    F_TEXT(struct run_request, plan, names_stage),
    F_BUILD(struct run_request, build, 1),
    F_TEXT(struct run_request, mode, mode_valid),
    F_BUILD(struct run_request, from, 0),
    F_LONG(struct run_request, reason, NAMES_TEXT_MAX),
    F_LONG(struct run_request, requested_by, NAMES_TEXT_MAX),
    F_TEXT(struct run_request, plan_digest, digest_valid),
};

static const struct field event_fields[] = {
    F_INTEGER(struct run_event, seq, "seq", 1),
    F_INTEGER(struct run_event, time_us, "time", 0),
    F_TEXT(struct run_event, event, event_valid),
    F_NUMBER(struct run_event, step, 0, 100000),
    F_TEXT(struct run_event, name, step_or_none),
    F_NUMBER(struct run_event, attempt, 0, INT32_MAX),
    F_FLAG(struct run_event, irreversible),
    F_TEXT(struct run_event, state, event_state_valid),
    F_NUMBER(struct run_event, exit_code, 0, 255),
    F_NUMBER(struct run_event, signal, 1, 127),
    F_TEXT(struct run_event, message, NULL),
};

static const struct field result_fields[] = {
    F_TEXT(struct run_result, run, run_id_valid),
    F_TEXT(struct run_result, request_digest, digest_valid),
    F_INTEGER(struct run_result, job, "job", 1),
    F_INTEGER(struct run_result, started_us, "started", 0),
    F_INTEGER(struct run_result, finished_us, "finished", 0),
    F_TEXT(struct run_result, state, result_state_valid),
    F_FLAG(struct run_result, began),
    F_TEXT(struct run_result, failed_step, step_or_none),
    F_NUMBER(struct run_result, exit_code, 0, 255),
    F_NUMBER(struct run_result, signal, 1, 127),
    F_TEXT(struct run_result, ended_by, NULL),
    F_TEXT(struct run_result, message, NULL),
    F_TEXT(struct run_result, damaged, digest_or_none),
};

static const struct field started_fields[] = {
    F_TEXT(struct run_started, run, run_id_valid),     F_TEXT(struct run_started, boot, NULL),
    F_INTEGER(struct run_started, pid, "pid", 1),      F_TEXT(struct run_started, cgroup, NULL),
    F_INTEGER(struct run_started, time_us, "time", 0),
};

/* {"release", "build"}, or null when there is none. */
static json_t *
build_pack(const struct build_ref *ref)
{
	if (!ref->release[0])
		return json_null();
	return json_pack("{s:s, s:I}", "release", ref->release, "build", (json_int_t)ref->number);
}

static int
build_unpack(const json_t *value, bool required, struct build_ref *ret)
{
	const char *release = json_get_string(value, "release");
	int64_t number = json_get_int(value, "build", 0);

	if (!value || json_is_null(value)) {
		if (required)
			return -EPROTO;
		*ret = (struct build_ref){0};
		return 0;
	}
	if (!json_is_object(value) || !release || !names_release(release) || number < 1 ||
	    number > NAMES_BUILD_MAX)
		return -EPROTO;
	*ret = (struct build_ref){.number = number};
	strcpy(ret->release, release); /* names_release() bounds it */
	return 0;
}

static json_t *
field_pack(const struct field *f, const char *base)
{
	switch (f->kind) {
	case TEXT:
		return json_bytes(base + f->at, strlen(base + f->at));
	case LONG_TEXT: {
		const char *s = *(char *const *)(const void *)(base + f->at);

		return json_text(s ? s : "");
	}
	case INTEGER:
		return json_integer(*(const int64_t *)(const void *)(base + f->at));
	case NUMBER: {
		int n = *(const int *)(const void *)(base + f->at);

		return n < 0 ? json_null() : json_integer(n);
	}
	case FLAG:
		return json_boolean(*(const bool *)(const void *)(base + f->at));
	case BUILD:
		return build_pack((const struct build_ref *)(const void *)(base + f->at));
	}
	return NULL;
}

static json_t *
pack(const char *type, const struct field *fields, size_t n, const void *base)
{
	json_t *object = run_message(type);

	for (size_t i = 0; i < n; i++)
		json_object_set_new(object, fields[i].key, field_pack(&fields[i], base));
	return object;
}

/* A sentence that escapes made too long is cut at a character; names are checked before. */
static void
text_copy(char *to, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		for (n = size - 1; n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80;)
			n--;
	memcpy(to, s, n);
	to[n] = '\0';
}

static int
text_unpack(const struct field *f, const json_t *value, char *base)
{
	const char *s = value && !json_is_null(value) ? json_string_value(value) : "";

	if (!s)
		return -EPROTO;
	if (f->kind == LONG_TEXT) {
		if (!names_text(s, (size_t)f->high, true))
			return -EPROTO;
		*(char **)(void *)(base + f->at) = xstrdup(s);
		return 0;
	}
	if (f->check && (strlen(s) >= f->size || !f->check(s)))
		return -EPROTO;
	text_copy(base + f->at, f->size, s);
	return 0;
}

static int
number_unpack(const struct field *f, const json_t *value, char *base)
{
	int64_t n;

	if (f->kind == NUMBER && (!value || json_is_null(value))) {
		*(int *)(void *)(base + f->at) = -1;
		return 0;
	}
	if (!json_is_integer(value))
		return -EPROTO;
	n = json_integer_value(value);
	if (n < f->low || n > f->high)
		return -EPROTO;
	if (f->kind == NUMBER)
		*(int *)(void *)(base + f->at) = (int)n;
	else
		*(int64_t *)(void *)(base + f->at) = n;
	return 0;
}

static int
field_unpack(const struct field *f, const json_t *value, char *base)
{
	switch (f->kind) {
	case TEXT:
	case LONG_TEXT:
		return text_unpack(f, value, base);
	case INTEGER:
	case NUMBER:
		return number_unpack(f, value, base);
	case FLAG:
		if (value && !json_is_boolean(value) && !json_is_null(value))
			return -EPROTO;
		*(bool *)(void *)(base + f->at) = json_is_true(value);
		return 0;
	case BUILD:
		return build_unpack(value, f->low > 0, (struct build_ref *)(void *)(base + f->at));
	}
	return -EPROTO;
}

static int
malformed(const char *type, const char *member, struct err *err)
{
	err_set(err, ERR_FAILED, "a message \"%s\" of a run is malformed at its member \"%s\"",
		type, member);
	return -EPROTO;
}

static int
unpack(const json_t *object, const char *type, const struct field *fields, size_t n, void *base,
       struct err *err)
{
	const char *is = json_get_string(object, "type");

	if (!is || strcmp(is, type) != 0)
		return malformed(type, "type", err);
	for (size_t i = 0; i < n; i++)
		if (field_unpack(&fields[i], json_object_get(object, fields[i].key), base) < 0)
			return malformed(type, fields[i].key, err);
	return 0;
}

static json_t *
artifacts_pack(const struct run_request *request)
{
	json_t *array = json_array();

	for (size_t i = 0; i < request->nartifacts; i++)
		json_array_append_new(array,
				      json_pack("{s:s, s:s}", "name", request->artifacts[i].name,
						"digest", request->artifacts[i].digest));
	return array;
}

static json_t *
keep_pack(const struct run_request *request)
{
	json_t *array = json_array();

	for (size_t i = 0; i < request->nkeep; i++)
		json_array_append_new(array, build_pack(&request->keep[i]));
	return array;
}

static json_t *
variables_pack(json_t *variables)
{
	return variables ? json_incref(variables) : json_object();
}

json_t *
run_request_pack(const struct run_request *request)
{
	json_t *object = pack("request", request_fields, ARRAY_SIZE(request_fields), request);

	json_object_set_new(object, "job_variables", variables_pack(request->job_variables));
	json_object_set_new(object, "build_variables", variables_pack(request->build_variables));
	json_object_set_new(object, "artifacts", artifacts_pack(request));
	json_object_set_new(object, "keep", keep_pack(request));
	json_object_set_new(object, "uid", json_integer(request->uid));
	if (request->signature)
		json_object_set_new(object, "signature", json_string(request->signature));
	return object;
}

static int
artifacts_unpack(const json_t *array, struct run_request *request)
{
	size_t n = json_array_size(array);

	if ((array && !json_is_array(array)) || n > ARTIFACTS_MAX)
		return -EPROTO;
	request->artifacts = xcalloc(n ? n : 1, sizeof(*request->artifacts));
	for (size_t i = 0; i < n; i++) {
		struct run_artifact *artifact = &request->artifacts[request->nartifacts++];
		const char *name = json_get_string(json_array_get(array, i), "name");
		const char *digest = json_get_string(json_array_get(array, i), "digest");

		if (!name || !names_stage(name) || !digest || !digest_valid(digest))
			return -EPROTO;
		strcpy(artifact->name, name);
		strcpy(artifact->digest, digest);
	}
	return 0;
}

static int
keep_unpack(const json_t *array, struct run_request *request)
{
	size_t n = json_array_size(array);

	if ((array && !json_is_array(array)) || n > KEEP_MAX)
		return -EPROTO;
	request->keep = xcalloc(n ? n : 1, sizeof(*request->keep));
	for (size_t i = 0; i < n; i++)
		if (build_unpack(json_array_get(array, i), true, &request->keep[request->nkeep++]) <
		    0)
			return -EPROTO;
	return 0;
}

static int
variables_unpack(json_t *object, json_t **ret)
{
	const char *name;
	json_t *value;

	if (!object || json_is_null(object)) {
		*ret = json_object();
		return 0;
	}
	if (!json_is_object(object) || json_object_size(object) > NAMES_VARIABLES_MAX)
		return -EPROTO;
	json_object_foreach (object, name, value) {
		if (!names_variable(name) || names_variable_reserved(name) ||
		    !json_is_string(value) ||
		    !names_text(json_string_value(value), NAMES_VALUE_MAX, true))
			return -EPROTO;
	}
	*ret = json_copy(object);
	return 0;
}

static int
request_unpack(const json_t *object, struct run_request *request, struct err *err)
{
	const json_t *signature;
	int r = unpack(object, "request", request_fields, ARRAY_SIZE(request_fields), request, err);

	if (r < 0)
		return r;
	if (variables_unpack(json_object_get(object, "job_variables"), &request->job_variables) < 0)
		return malformed("request", "job_variables", err);
	if (variables_unpack(json_object_get(object, "build_variables"),
			     &request->build_variables) < 0)
		return malformed("request", "build_variables", err);
	if (artifacts_unpack(json_object_get(object, "artifacts"), request) < 0)
		return malformed("request", "artifacts", err);
	if (keep_unpack(json_object_get(object, "keep"), request) < 0)
		return malformed("request", "keep", err);
	request->uid = json_get_int(object, "uid", -1);
	signature = json_object_get(object, "signature");
	if (signature &&
	    (!json_is_string(signature) || json_string_length(signature) > SIGNATURE_MAX))
		return malformed("request", "signature", err);
	request->signature = xstrdup(json_string_value(signature));
	return 0;
}

int
run_request_unpack(const json_t *object, struct run_request *ret_request, struct err *err)
{
	struct run_request request = {0};
	int r = request_unpack(object, &request, err);

	if (r < 0) {
		run_request_clear(&request);
		return r;
	}
	*ret_request = request;
	return 0;
}

void
run_request_clear(struct run_request *request)
{
	free(request->reason);
	free(request->requested_by);
	json_decref(request->job_variables);
	json_decref(request->build_variables);
	free(request->artifacts);
	free(request->signature);
	free(request->keep);
	*request = (struct run_request){0};
}

void
run_request_digest(const struct run_request *request, char ret_digest[65])
{
	_cleanup_json_ json_t *object = run_request_pack(request);
	_cleanup_free_ char *text = json_canonical(object);

	digest_of(text, strlen(text), ret_digest);
}

json_t *
run_message(const char *type)
{
	return json_pack("{s:s}", "type", type);
}

json_t *
run_cancel_pack(bool now, const char *by)
{
	json_t *object = run_message("cancel");

	json_object_set_new(object, "now", json_boolean(now));
	json_object_set_new(object, "by", json_text(by));
	return object;
}

json_t *
run_refused_pack(const char *code, const char *message)
{
	json_t *object = run_message("refused");

	json_object_set_new(object, "code", json_text(code));
	json_object_set_new(object, "message", json_bytes(message, strlen(message)));
	return object;
}

json_t *
run_event_pack(const struct run_event *event)
{
	json_t *object = pack("event", event_fields, ARRAY_SIZE(event_fields), event);

	if (strcmp(event->event, "step-skipped") == 0) {
		json_object_del(object, "state");
		json_object_set_new(object, "why", json_text(event->state));
	}
	return object;
}

int
run_event_unpack(const json_t *object, struct run_event *ret_event, struct err *err)
{
	const char *why = json_get_string(object, "why");
	struct run_event event = {0};
	int r = unpack(object, "event", event_fields, ARRAY_SIZE(event_fields), &event, err);

	if (r < 0)
		return r;
	if (strcmp(event.event, "step-skipped") == 0) {
		if (!why || !one_of(why, (const char *const[]){"only-on", "skip-on", NULL}))
			return malformed("event", "why", err);
		strcpy(event.state, why);
	}
	*ret_event = event;
	return 0;
}

json_t *
run_result_pack(const struct run_result *result)
{
	return pack("result", result_fields, ARRAY_SIZE(result_fields), result);
}

int
run_result_unpack(const json_t *object, struct run_result *ret_result, struct err *err)
{
	struct run_result result = {0};
	int r = unpack(object, "result", result_fields, ARRAY_SIZE(result_fields), &result, err);

	if (r == 0)
		*ret_result = result;
	return r;
}

json_t *
run_started_pack(const struct run_started *started, const char *plan_text)
{
	json_t *object = pack("started", started_fields, ARRAY_SIZE(started_fields), started);

	json_object_set_new(object, "plan", json_text(plan_text));
	return object;
}

int
run_started_unpack(const json_t *object, struct run_started *ret_started, struct err *err)
{
	struct run_started started = {0};
	int r =
	    unpack(object, "started", started_fields, ARRAY_SIZE(started_fields), &started, err);

	if (r == 0)
		*ret_started = started;
	return r;
}

void
run_boot_id(char ret_id[40])
{
	_cleanup_close_ int fd = -1;
	ssize_t n;

	do
		fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	do
		n = fd < 0 ? -1 : read(fd, ret_id, 39);
	while (n < 0 && errno == EINTR);
	ret_id[n < 0 ? 0 : n] = '\0';
	ret_id[strcspn(ret_id, "\n")] = '\0';
}

void
run_new_id(char ret_id[RUN_ID_SIZE])
{
	unsigned char bytes[(RUN_ID_SIZE - 1) / 2];

	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		if (errno != EINTR) { /* a kernel without: two runs must never have one id */
			perror("getrandom");
			_exit(EX_OSERR);
		}
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
}
