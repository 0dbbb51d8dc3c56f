/* SPDX-License-Identifier: ISC */
/* Messages of a run there and back, what is refused, and the run folder as the recovery rules see
 * it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/run.h"
#include "common/runfolder.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RUN    "00112233445566778899aabbccddeeff"

static char *
temporary(void)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bmd-run-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

static void
put(const char *directory, const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
}

static void
put_json(const char *directory, const char *name, json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_COMPACT);

	put(directory, name, text);
	json_decref(value);
}

static void
make(const char *directory, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", directory, name);

	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void
forget(const char *directory)
{
	unit_remove(directory);
}

static json_t *
request_json(void)
{
	return json_pack(
	    "{s:s, s:s, s:i, s:s, s:s, s:s, s:{s:s,s:i}, s:s, s:n, s:s, s:s, s:{s:s}, s:{}, "
	    "s:[{s:s,s:s}], s:s, s:[{s:s,s:i}], s:i}",
	    "type", "request", "run", RUN, "job", 42, "application", "shop", "stage", "production",
	    "plan", "web", "build", "release", "1.0.2", "build", 3, "mode", "rollback", "from",
	    "reason", "why\nso", "requested_by", "ana", "job_variables", "PORT", "80",
	    "build_variables", "artifacts", "name", "site", "digest", DIGEST, "plan_digest", DIGEST,
	    "keep", "release", "1.0.1", "build", 1, "uid", 1000);
}

START_TEST(request_there_and_back)
{
	_cleanup_json_ json_t *object = request_json();
	struct run_request request, again;
	char one[65], two[65];
	json_t *packed;

	ck_assert_int_eq(run_request_unpack(object, &request, NULL), 0);
	ck_assert_int_eq(request.job, 42);
	ck_assert_str_eq(request.build.release, "1.0.2");
	ck_assert_int_eq(request.build.number, 3);
	ck_assert_str_eq(request.from.release, "");
	ck_assert_str_eq(request.reason, "why\nso");
	ck_assert_uint_eq(request.nartifacts, 1);
	ck_assert_str_eq(request.artifacts[0].name, "site");
	ck_assert_uint_eq(request.nkeep, 1);
	ck_assert_int_eq(request.uid, 1000);
	packed = run_request_pack(&request);
	ck_assert(json_equal(packed, object));
	ck_assert_int_eq(run_request_unpack(packed, &again, NULL), 0);
	json_decref(packed);
	run_request_digest(&request, one);
	run_request_digest(&again, two);
	ck_assert_str_eq(one, two);
	again.job = 43;
	run_request_digest(&again, two);
	ck_assert_str_ne(one, two);
	run_request_clear(&request);
	run_request_clear(&again);
}
END_TEST

/* Of a bmd that does not say who asked: nobody is known to have. */
START_TEST(request_without_uid)
{
	_cleanup_json_ json_t *object = request_json();
	struct run_request request;

	json_object_del(object, "uid");
	ck_assert_int_eq(run_request_unpack(object, &request, NULL), 0);
	ck_assert_int_eq(request.uid, -1);
	run_request_clear(&request);
}
END_TEST

START_TEST(request_refused)
{
	static const struct {
		int line;
		const char *member, *json;
	} rows[] = {
	    {__LINE__, "type", "\"go\""},
	    {__LINE__, "run", "\"0011\""},
	    {__LINE__, "run", "\"00112233445566778899AABBCCDDEEFF\""},
	    {__LINE__, "job", "0"},
	    {__LINE__, "job", "\"42\""},
	    {__LINE__, "application", "\"../x\""},
	    {__LINE__, "stage", "null"},
	    {__LINE__, "plan", "\"\""},
	    {__LINE__, "build", "null"},
	    {__LINE__, "build", "{\"release\": \"1.0/2\", \"build\": 1}"},
	    {__LINE__, "build", "{\"release\": \"1.0\", \"build\": 0}"},
	    {__LINE__, "from", "{\"release\": \"1.0\"}"},
	    {__LINE__, "mode", "\"undo\""},
	    {__LINE__, "reason", "7"},
	    {__LINE__, "job_variables", "{\"PATH\": \"/tmp\"}"},
	    {__LINE__, "job_variables", "{\"LD_PRELOAD\": \"/tmp\"}"},
	    {__LINE__, "build_variables", "{\"BM_JOB\": \"1\"}"},
	    {__LINE__, "build_variables", "{\"A=B\": \"1\"}"},
	    {__LINE__, "build_variables", "{\"A\": 1}"},
	    {__LINE__, "artifacts", "[{\"name\": \"../x\", \"digest\": \"" DIGEST "\"}]"},
	    {__LINE__, "artifacts", "[{\"name\": \"x\", \"digest\": \"../../etc\"}]"},
	    {__LINE__, "artifacts", "{}"},
	    {__LINE__, "plan_digest", "\"\""},
	    {__LINE__, "keep", "[null]"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_json_ json_t *object = request_json();
		_cleanup_err_ struct err err = ERR_INIT;
		struct run_request request;

		json_object_set_new(object, rows[i].member,
				    json_loads(rows[i].json, JSON_DECODE_ANY, NULL));
		ck_assert_msg(run_request_unpack(object, &request, &err) < 0, "line %d",
			      rows[i].line);
		ck_assert_msg(strstr(err.text, rows[i].member) != NULL, "line %d: %s", rows[i].line,
			      err.text);
	}
}
END_TEST

START_TEST(event_there_and_back)
{
	struct run_event event = {.seq = 3,
				  .time_us = 17,
				  .event = "step-ended",
				  .step = 1,
				  .name = "migrate",
				  .attempt = 2,
				  .irreversible = true,
				  .state = "failed",
				  .exit_code = 3,
				  .signal = -1,
				  .message = "exited with 3"},
			 again;
	struct run_event skipped = {.seq = 4,
				    .time_us = 18,
				    .event = "step-skipped",
				    .step = 2,
				    .name = "x",
				    .state = "skip-on",
				    .exit_code = -1,
				    .signal = -1};
	_cleanup_json_ json_t *object = run_event_pack(&event), *other = run_event_pack(&skipped);

	ck_assert_int_eq(run_event_unpack(object, &again, NULL), 0);
	ck_assert_str_eq(again.message, event.message);
	ck_assert_int_eq(again.exit_code, 3);
	ck_assert_int_eq(again.signal, -1);
	ck_assert(json_is_null(json_object_get(object, "signal")));
	ck_assert_str_eq(json_string_value(json_object_get(other, "why")), "skip-on");
	ck_assert_int_eq(run_event_unpack(other, &again, NULL), 0);
	ck_assert_str_eq(again.state, "skip-on");
}
END_TEST

static struct run_result
some_result(void)
{
	struct run_result result = {.run = RUN,
				    .request_digest = DIGEST,
				    .job = 42,
				    .started_us = 5,
				    .finished_us = 9,
				    .state = "failed",
				    .began = true,
				    .failed_step = "check",
				    .exit_code = -1,
				    .signal = 9,
				    .message = "killed by signal 9 (KILL)"};

	return result;
}

START_TEST(result_message_of_any_bytes)
{
	struct run_result result = some_result(), again;
	_cleanup_json_ json_t *object = NULL;

	memset(result.message, 1, sizeof(result.message) - 1);
	object = run_result_pack(&result);
	ck_assert_int_eq(run_result_unpack(object, &again, NULL), 0);
	ck_assert_uint_lt(strlen(again.message), sizeof(again.message));
	ck_assert_int_eq(again.signal, 9);
	ck_assert_int_eq(again.exit_code, -1);
}
END_TEST

START_TEST(folder_states)
{
	const char *directory = temporary();
	struct run_started started = {.run = RUN, .boot = "b", .pid = 7, .time_us = 5};
	struct run_result result = some_result();
	struct run_folder folder;
	_cleanup_err_ struct err err = ERR_INIT;

	ck_assert_int_eq(run_folder_look(directory, 1, &folder, NULL), 0);
	ck_assert(!folder.exists);
	make(directory, "1");
	ck_assert_int_eq(run_folder_look(directory, 1, &folder, NULL), 0);
	ck_assert(folder.exists && !folder.locked && !folder.has_started && !folder.has_result);
	put(directory, "1/lock", "");
	put(directory, "1/started", "{\"torn");
	ck_assert_int_eq(run_folder_look(directory, 1, &folder, NULL), 0);
	ck_assert(folder.has_started);
	ck_assert_str_eq(folder.started.run, "");
	put_json(directory, "1/started", run_started_pack(&started, "{}"));
	put_json(directory, "1/result", run_result_pack(&result));
	ck_assert_int_eq(run_folder_look(directory, 1, &folder, NULL), 0);
	ck_assert(folder.has_started && folder.has_result && !folder.locked);
	ck_assert_str_eq(folder.started.run, RUN);
	ck_assert_int_eq(folder.started.pid, 7);
	ck_assert_str_eq(folder.result.failed_step, "check");
	put(directory, "1/result", "{}");
	ck_assert_int_eq(run_folder_look(directory, 1, &folder, &err), 0);
	ck_assert(folder.has_started && !folder.has_result);
	ck_assert_str_eq(folder.damage,
			 "a message \"result\" of a run is malformed at its member \"type\"");
	put(directory, "1/result", "{\"torn");
	ck_assert_int_eq(run_folder_look(directory, 1, &folder, &err), 0);
	ck_assert(!folder.has_result && *folder.damage);
	put_json(directory, "1/result", run_result_pack(&result));
	ck_assert_int_eq(run_folder_look(directory, 1, &folder, &err), 0);
	ck_assert(folder.has_result && !*folder.damage);
	forget(directory);
	ck_assert_int_lt(run_folder_look(directory, 1, &folder, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "run directory"));
}
END_TEST

START_TEST(folder_that_is_a_link)
{
	const char *directory = temporary();
	_cleanup_free_ char *path = xasprintf("%s/3", directory);
	struct run_folder folder;

	ck_assert_int_eq(symlink("/", path), 0);
	ck_assert_int_lt(run_folder_look(directory, 3, &folder, NULL), 0);
	forget(directory);
}
END_TEST

START_TEST(folder_lock)
{
	const char *directory = temporary();
	_cleanup_free_ char *path = xasprintf("%s/9/lock", directory);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct run_folder folder;
	int fd;

	make(directory, "9");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ck_assert_int_eq(run_folder_look(directory, 9, &folder, NULL), 0);
	ck_assert(folder.locked);
	close(fd);
	ck_assert_int_eq(run_folder_look(directory, 9, &folder, NULL), 0);
	ck_assert(!folder.locked);
	forget(directory);
}
END_TEST

START_TEST(highest)
{
	const char *directory = temporary();
	int64_t job = -1;

	ck_assert_int_eq(run_folder_highest(directory, &job, NULL), 0);
	ck_assert_int_eq(job, 0);
	make(directory, "9");
	make(directory, "10");
	make(directory, "work");
	make(directory, "011");
	make(directory, "12x");
	ck_assert_int_eq(run_folder_highest(directory, &job, NULL), 0);
	ck_assert_int_eq(job, 10);
	forget(directory);
}
END_TEST

START_TEST(events_from)
{
	const char *directory = temporary();
	_cleanup_free_ char *path = xasprintf("%s/1/events", directory);
	json_t *events = NULL;
	FILE *file;

	make(directory, "1");
	ck_assert_int_eq(run_folder_events(directory, 1, 0, &events, NULL), 0);
	ck_assert_uint_eq(json_array_size(events), 0);
	json_decref(events);
	file = fopen(path, "w");
	for (int i = 1; i <= 3; i++) {
		struct run_event event = {
		    .seq = i, .event = "begun", .step = -1, .exit_code = -1, .signal = -1};
		json_t *object = run_event_pack(&event);

		json_dumpf(object, file, JSON_COMPACT);
		fputc('\n', file);
		json_decref(object);
	}
	fputs("{\"type\": \"event\", \"seq\": 4, \"ti", file);
	fclose(file);
	ck_assert_int_eq(run_folder_events(directory, 1, 2, &events, NULL), 0);
	ck_assert_uint_eq(json_array_size(events), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(events, 0), "seq")), 2);
	json_decref(events);
	forget(directory);
}
END_TEST

START_TEST(ids)
{
	char one[RUN_ID_SIZE], two[RUN_ID_SIZE], boot[40];

	run_new_id(one);
	run_new_id(two);
	ck_assert_uint_eq(strlen(one), 32);
	ck_assert_str_ne(one, two);
	run_boot_id(boot);
	ck_assert_uint_eq(strlen(boot), 36);
}
END_TEST

UNIT_MAIN("run", request_there_and_back, request_without_uid, request_refused, event_there_and_back,
	  result_message_of_any_bytes, folder_states, folder_that_is_a_link, folder_lock, highest,
	  events_from, ids)
