/* SPDX-License-Identifier: ISC */
/*
 * Parameters read and checked beyond what the interface file can say, and the parts that replies
 * have in common.
 */
#include "daemon/clock.h"
#include "daemon/methods/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/names.h"
#include "common/time/when.h"
#include "common/xalloc.h"

#define PAGE_LIMIT     100
#define PAGE_LIMIT_MAX 1000

const char *
request_text(const struct request *request, const char *name)
{
	return json_get_string(request->parameters, name);
}

int64_t
request_int(const struct request *request, const char *name, int64_t otherwise)
{
	return json_get_int(request->parameters, name, otherwise);
}

int
request_invalid(struct err *err, const char *name, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&text, format, ap);
	va_end(ap);
	if (r < 0)
		xalloc_die();
	r = err_set(err, ERR_INVALID_PARAMETER, "%s", text);
	err_field(err, "parameter", json_string(name));
	return r;
}

int
request_words(const struct request *request, const char *name, bool lines, const char **ret_text,
	      struct err *err)
{
	const char *text = request_text(request, name);

	if (text && !text[strspn(text, " \t\r\n")])
		text = NULL; /* a reason of nothing but blanks is none */
	if (text && !names_text(text, NAMES_TEXT_MAX, lines))
		return request_invalid(err, name, "%s must be %s of at most %d bytes", name,
				       lines ? "a text" : "one line", NAMES_TEXT_MAX);
	*ret_text = text;
	return 0;
}

int
request_release(const struct request *request, const char **ret_release, int64_t *ret_build,
		struct err *err)
{
	const char *release = request_text(request, "release");
	int64_t build = request_int(request, "build", 0);

	if (release && !names_release(release)) {
		int r = err_set(err, ERR_BAD_NAME,
				"%.80s is not a release: letters, digits and . _ + ~ - and at most "
				"63 characters",
				release);

		err_field(err, "name", json_string(release));
		return r;
	}
	if (json_is_integer(json_object_get(request->parameters, "build")) &&
	    (build < 1 || build > NAMES_BUILD_MAX))
		return request_invalid(err, "build", "a build is a number from 1 to %d",
				       NAMES_BUILD_MAX);
	if (build && !release)
		return request_invalid(err, "build", "a build needs its release");
	*ret_release = release;
	*ret_build = build;
	return 0;
}

int
request_build(const struct request *request, struct store_build *ret_build, struct err *err)
{
	const char *release;
	int64_t number;
	int r = request_release(request, &release, &number, err);

	return r < 0
		   ? r
		   : queue_find_build(request->methods->queue, request_text(request, "application"),
				      release, number, ret_build, err);
}

const json_t *
request_override(const struct request *request)
{
	const json_t *override = json_object_get(request->parameters, "override");

	return json_is_object(override) ? override : NULL;
}

int
request_variables(const struct request *request, const json_t **ret_variables, struct err *err)
{
	const json_t *variables = json_object_get(request->parameters, "variables");
	const char *name;
	const json_t *value;

	if (!json_is_object(variables)) {
		*ret_variables = NULL;
		return 0;
	}
	if (json_object_size(variables) > NAMES_VARIABLES_MAX)
		return request_invalid(err, "variables", "at most %d variables can be set",
				       NAMES_VARIABLES_MAX);
	json_object_foreach ((json_t *)(uintptr_t)variables, name, value) {
		if (!names_variable(name)) {
			int r = err_set(err, ERR_BAD_NAME,
					"%.140s is not a variable's name: letters, digits and _, "
					"not beginning with "
					"a digit or BM_",
					name);

			err_field(err, "name", json_string(name));
			return r;
		}
		if (!names_text(json_string_value(value), NAMES_VALUE_MAX, true))
			return request_invalid(err, "variables",
					       "the value of %s must be a text of at most %d bytes",
					       name, NAMES_VALUE_MAX);
	}
	*ret_variables = variables;
	return 0;
}

int
request_time(const struct request *request, const char *name, int64_t *ret_us, struct err *err)
{
	const char *text = request_text(request, name);
	int r;

	if (!text) {
		*ret_us = 0;
		return 0;
	}
	if (when_parse_utc(text, ret_us) >= 0)
		return 0;
	r = err_set(err, ERR_BAD_TIME,
		    "%.80s is not a time of the protocol, such as 2026-11-23T01:00:00.000000Z",
		    text);
	err_field(err, "text", json_string(text));
	return r;
}

/* CLOCK_BOOTTIME of the moment at which the wall clock was NOW. */
static int64_t
boottime_of(int64_t now_us)
{
	int64_t later_us, boot_us;

	clock_read(&later_us, &boot_us);
	return boot_us - (later_us - now_us);
}

int
request_when(const struct request *request, struct queue_when *ret_when, struct err *err)
{
	struct queue_when when = {.now = json_get_bool(request->parameters, "now")};
	int r = request_time(request, "at", &when.at_us, err);

	if (r < 0)
		return r;
	if (when.now && when.at_us)
		return request_invalid(err, "at", "either now or at, not both");
	if (!when.now && !when.at_us)
		return -ENODATA;
	when.text = request_text(request, "text");
	when.zone = request_text(request, "zone");
	if (when.text && !names_text(when.text, WHEN_TEXT_MAX, false))
		return request_invalid(err, "text", "text must be one line of at most %d bytes",
				       WHEN_TEXT_MAX);
	if (when.zone && !when_zone_valid(when.zone)) {
		r = err_set(
		    err, ERR_BAD_TIME,
		    "%.80s is not a time zone that this machine knows: use UTC or a name such as "
		    "Europe/Berlin",
		    when.zone);
		err_field(err, "text", json_string(when.zone));
		return r;
	}
	when.relative = !when.now && when.text && when.text[0] == '+';
	when.boot = request->methods->boot;
	when.boot_now_us = boottime_of(request->now_us);
	*ret_when = when;
	return 0;
}

/* ---- pages */

int
page_begin(const struct request *request, int parts, struct page *ret_page, struct err *err)
{
	const char *after = request_text(request, "after");
	int64_t limit = request_int(request, "limit", PAGE_LIMIT);
	struct page page = {0};
	int n = -1;

	if (limit < 1 || limit > PAGE_LIMIT_MAX)
		return request_invalid(err, "limit", "limit is a number from 1 to %d",
				       PAGE_LIMIT_MAX);
	if (after && parts == 1)
		sscanf(after, "%19" SCNd64 "%n", &page.after[0], &n);
	else if (after)
		sscanf(after, "%19" SCNd64 ":%19" SCNd64 "%n", &page.after[0], &page.after[1], &n);
	if (after && (n < 0 || after[n] != '\0' || page.after[0] < 0 || page.after[1] < 0))
		return request_invalid(err, "after",
				       "after takes what an earlier answer returned as next");
	page.limit = (int)limit;
	page.items = json_array();
	*ret_page = page;
	return 0;
}

/* B below 0: a cursor of one part. */
static void
cursor(struct page *page, int64_t a, int64_t b)
{
	if (b < 0)
		snprintf(page->next, sizeof(page->next), "%" PRId64, a);
	else
		snprintf(page->next, sizeof(page->next), "%" PRId64 ":%" PRId64, a, b);
}

bool
page_add(struct page *page, json_t *item, int64_t a, int64_t b)
{
	size_t bytes = json_dumpb(item, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) + 1;

	if (json_array_size(page->items) == (size_t)page->limit ||
	    (page->bytes + bytes > REQUEST_REPLY_BYTES && json_array_size(page->items))) {
		json_decref(item);
		page->more = true;
		return false;
	}
	page->bytes += bytes;
	json_array_append_new(page->items, item);
	cursor(page, a, b);
	return true;
}

void
page_goes_on(struct page *page, int64_t a, int64_t b)
{
	cursor(page, a, b);
	page->more = true;
}

json_t *
page_reply(struct page *page, const char *name)
{
	return json_pack("{s:o, s:o}", name, TAKE(page->items), "next",
			 page->more ? json_string(page->next) : json_null());
}

void
page_clear(struct page *page)
{
	json_decref(page->items);
	page->items = NULL;
}

/* ---- parts of replies */

json_t *
request_live(const struct history_entry *live)
{
	json_t *object;

	if (!live)
		return json_null();
	object = json_object();
	json_put(object, "release", json_text(live->build.release));
	json_put(object, "build", json_integer(live->build.number));
	json_put(object, "job", live->job ? json_integer(live->job) : json_null());
	json_put(object, "since", json_time(live->since_us));
	json_put(object, "by", json_text(live->by));
	return object;
}

json_t *
request_ref(const struct build_ref *ref)
{
	return json_pack("{s:s, s:I}", "release", ref->release, "build", (json_int_t)ref->number);
}

int
request_build_json(struct request *request, const char *application, const struct build_ref *ref,
		   bool deployments, json_t **ret_build, struct err *err)
{
	struct store_build build = {0};
	int r = store_build_get(request->methods->store, application, ref, &build, err);

	if (r < 0)
		return r;
	*ret_build = queue_build_json(request->methods->queue, &build, deployments);
	reach_trim_build(request->peer, *ret_build);
	store_build_clear(&build);
	return 0;
}

int
request_build_reply(struct request *request, const struct store_build *build, json_t **ret_reply,
		    struct err *err)
{
	json_t *object;
	int r = request_build_json(request, build->application, &build->build, true, &object, err);

	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:o}", "build", object);
	return 0;
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *
request_artifact_names(const struct request *request, const struct conf_application *application)
{
	const struct conf *conf = queue_conf(request->methods->queue);
	_cleanup_free_ const char **names = NULL;
	json_t *result = json_array();
	size_t n = 0, room = 0;

	for (size_t i = 0; i < application->nstages; i++) {
		const struct conf_stage *stage = &application->stages[i];
		const struct conf_plan *plan =
		    reach_rights(request->peer, application->name, stage->name) & RIGHT_SEE
			? conf_plan(conf, stage->plan)
			: NULL;

		for (size_t j = 0; plan && j < plan->nsteps; j++) {
			const struct conf_step *step = &plan->steps[j];

			for (size_t k = 0; k < step->artifacts.n + 1; k++) {
				const char *name = k ? step->artifacts.v[k - 1] : step->deploy;

				if (!name)
					continue;
				XGROW(names, n, room);
				names[n++] = name;
			}
		}
	}
	if (n)
		qsort(names, n, sizeof(*names), compare_text);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			json_array_append_new(result, json_string(names[i]));
	return result;
}
