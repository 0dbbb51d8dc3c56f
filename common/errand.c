/* SPDX-License-Identifier: ISC */
/* The frames of errands: bmd-run is root's and believes nobody, so every member is checked. */
#include "common/errand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/names.h"
#include "common/xalloc.h"

#define BODY_MAX (64 * 1024)

bool
errand_type(const char *type)
{
	return strcmp(type, "notice") == 0 || strcmp(type, "prune") == 0;
}

json_t *
errand_notice_pack(const struct errand_notice *notice)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "type", "notice", "id", notice->id,
			 "scope", notice->scope, "name", notice->name, "attempt", notice->attempt,
			 "body", notice->body);
}

static int
malformed(const char *what, struct err *err)
{
	return err_set(err, ERR_FAILED, "what bmd asks has no good \"%s\"", what);
}

int
errand_notice_unpack(const json_t *object, struct errand_notice *ret_notice, struct err *err)
{
	const char *id = json_get_string(object, "id"), *scope = json_get_string(object, "scope");
	const char *name = json_get_string(object, "name"), *body = json_get_string(object, "body");
	int64_t attempt = json_get_int(object, "attempt", 0);
	struct errand_notice notice = {0};

	if (!id || strlen(id) != RUN_ID_SIZE - 1 ||
	    strspn(id, "0123456789abcdef") != RUN_ID_SIZE - 1)
		return malformed("id", err);
	if (!scope || (*scope && !names_stage(scope)))
		return malformed("scope", err);
	if (!name || !names_stage(name))
		return malformed("name", err);
	if (attempt < 1 || attempt > INT32_MAX)
		return malformed("attempt", err);
	if (!body || strlen(body) > BODY_MAX)
		return malformed("body", err);
	(void)snprintf(notice.id, sizeof(notice.id), "%s", id);
	(void)snprintf(notice.scope, sizeof(notice.scope), "%s", scope);
	(void)snprintf(notice.name, sizeof(notice.name), "%s", name);
	notice.attempt = (int)attempt;
	notice.body = xstrdup(body);
	*ret_notice = notice;
	return 0;
}

void
errand_notice_clear(struct errand_notice *notice)
{
	free(notice->body);
	*notice = (struct errand_notice){0};
}

json_t *
errand_prune_pack(const int64_t *jobs, size_t n)
{
	json_t *object = run_message("prune"), *array = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(array, json_integer(jobs[i]));
	(void)json_object_set_new(object, "jobs", array);
	return object;
}

int
errand_prune_unpack(const json_t *object, int64_t ret_jobs[ERRAND_PRUNE_MAX], size_t *ret_n,
		    struct err *err)
{
	const json_t *array = json_object_get(object, "jobs");
	size_t n = json_array_size(array);

	if (!json_is_array(array) || n > ERRAND_PRUNE_MAX)
		return malformed("jobs", err);
	for (size_t i = 0; i < n; i++) {
		const json_t *job = json_array_get(array, i);

		if (!json_is_integer(job) || json_integer_value(job) < 1)
			return malformed("jobs", err);
		ret_jobs[i] = json_integer_value(job);
	}
	*ret_n = n;
	return 0;
}

json_t *
errand_done_pack(const char *error)
{
	json_t *object = run_message("done");

	(void)json_object_set_new(object, "error",
				  error ? json_bytes(error, strlen(error)) : json_null());
	return object;
}

int
errand_done_unpack(const json_t *object, char ret_error[ERRAND_ERROR])
{
	const char *type = json_get_string(object, "type");
	const char *error = json_get_string(object, "error");

	if (!type || strcmp(type, "done") != 0)
		return -EINVAL;
	if (!error)
		return 0;
	(void)snprintf(ret_error, ERRAND_ERROR, "%s", error);
	return 1;
}
