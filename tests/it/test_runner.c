/* SPDX-License-Identifier: ISC */
/*
 * Plays bmd to the real bmd-run: a private folder with a configuration, a socketpair, the request, "go", and then
 * what comes: events, the result, and what is in the run folder afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/conf/conf.h"
#include "common/json.h"
#include "common/run.h"
#include "common/runfolder.h"
#include "common/runlog.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 30000
#define RUN_ID	    "00112233445566778899aabbccddeeff"

static char home[PATH_MAX], conf_file[PATH_MAX + 16], runs[PATH_MAX + 16];
static const char *user, *program = TOP_BUILDDIR "/runner/bmd-run";

struct bmd {
	int fd;
	pid_t pid;
	struct varlink_input input;
};

static void _printf_(2, 3)
put(const char *name, const char *format, ...)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", home, name);
	FILE *file = fopen(path, "w");
	va_list ap;

	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	va_start(ap, format);
	vfprintf(file, format, ap);
	va_end(ap);
	fclose(file);
}

static void
make(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", home, name);

	ck_assert_msg(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
}

/* STEPS is the inside of the plan, STAGE more lines of the stage. */
static void
configure_with(const char *steps, const char *stage)
{
	put("etc/bmd.conf", "state-directory = \"%s/state\"\nsocket = \"%s/control\"\nlauncher = \"fork\"\n", home, home);
	put("etc/applications.d/shop.conf",
	    "application \"shop\" {\n  stages = {\"production\"}\n  user = \"%s\"\n  variables = {\"A=application\", \"B=application\"}\n"
	    "  stage \"production\" { plan = \"web\" variables = {\"ROOT=%s/srv\", \"B=stage\", \"OPEN=stage\"} open = {\"OPEN\"} %s }\n}\n",
	    user, home, stage);
	put("etc/plans.d/web.conf", "plan \"web\" {\n%s\n}\n", steps);
}

static void
setup(void)
{
	const char *temporary = getenv("TMPDIR");
	const struct passwd *self = getpwuid(geteuid());

	umask(022);
	signal(SIGPIPE, SIG_IGN);
	snprintf(home, sizeof(home), "%s/bmd-runner-XXXXXX", temporary ? temporary : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(home));
	chmod(home, 0755);
	user = self->pw_name;
	snprintf(conf_file, sizeof(conf_file), "%s/etc/bmd.conf", home);
	snprintf(runs, sizeof(runs), "%s/state/runs", home);
	make("etc");
	make("etc/applications.d");
	make("etc/plans.d");
	make("state");
	make("srv");
}

static void
teardown(void)
{
	unit_remove(home);
}

static struct run_request
request_of(int64_t job)
{
	struct run_request request = {.run = RUN_ID, .job = job, .application = "shop", .stage = "production",
	    .plan = "web", .build = {.release = "1.0.2", .number = 3}, .mode = "deploy"};
	struct conf_problems problems = {0};
	_cleanup_free_ char *text = NULL;
	struct conf *conf = NULL;

	ck_assert_msg(conf_load(conf_file, geteuid() == 0 ? CONF_RUN_AS_ROOT : 0, &conf, &problems) == 0, "%s",
	    problems.n ? problems.v[0] : "?");
	text = conf_resolve(conf, conf_application(conf, "shop"), conf_stage(conf_application(conf, "shop"), "production"),
	    request.plan_digest);
	conf_free(conf);
	conf_problems_clear(&problems);
	request.reason = xstrdup("because");
	request.requested_by = xstrdup("ana");
	return request;
}

/* SERVED, which is closed, becomes bmd-run's standard input. */
static void
start_on(struct bmd *bmd, int served, const char *job)
{
	bmd->pid = fork();
	if (bmd->pid == 0) {
		dup2(served, 0);
		close(served);
		setenv("SECRET", "of bmd", 1);
		execl(program, "bmd-run", "-c", conf_file, job, NULL);
		_exit(99);
	}
	close(served);
}

static void
start(struct bmd *bmd, const char *job)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	*bmd = (struct bmd){.fd = ends[0]};
	start_on(bmd, ends[1], job);
}

static void
send_on(int fd, json_t *message)
{
	_cleanup_free_ char *frame = NULL;
	size_t n;

	ck_assert_int_eq(varlink_pack(message, &frame, &n), 0);
	ck_assert_int_eq(send(fd, frame, n, MSG_NOSIGNAL), (ssize_t)n);
	json_decref(message);
}

/* The next message, or NULL at the end of the connection. */
static json_t *
receive(struct bmd *bmd)
{
	json_t *message = NULL;
	const char *text;
	size_t n;

	while (varlink_input_frame(&bmd->input, &text, &n) == 0) {
		struct pollfd wait = {.fd = bmd->fd, .events = POLLIN};
		void *room = varlink_input_room(&bmd->input, &n);
		ssize_t got;

		ck_assert_msg(poll(&wait, 1, PATIENCE_MS) == 1, "bmd-run is silent");
		got = read(bmd->fd, room, n);
		if (got <= 0)
			return NULL;
		varlink_input_add(&bmd->input, got);
	}
	ck_assert_int_eq(json_parse(text, n, VARLINK_FRAME_MAX, &message, NULL), 0);
	return message;
}

static bool
is(const json_t *message, const char *type)
{
	return message && strcmp(json_get_string(message, "type"), type) == 0;
}

static int
leave(struct bmd *bmd)
{
	int status = -1;

	if (bmd->fd >= 0)
		close(bmd->fd);
	varlink_input_clear(&bmd->input);
	ck_assert_int_eq(waitpid(bmd->pid, &status, 0), bmd->pid);
	return status;
}

static void
expect_ready(struct bmd *bmd)
{
	_cleanup_json_ json_t *message = receive(bmd);
	_cleanup_free_ char *text = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);

	ck_assert_msg(is(message, "ready"), "%s", text);
}

static void
begin(struct bmd *bmd, struct run_request *request)
{
	_cleanup_free_ char *job = xasprintf("%" PRId64, request->job);

	start(bmd, job);
	send_on(bmd->fd, run_request_pack(request));
	expect_ready(bmd);
	send_on(bmd->fd, run_message("go"));
}

/* Reads on until an event NAME of STEP. */
static void
await_event(struct bmd *bmd, const char *name, const char *step)
{
	for (;;) {
		_cleanup_json_ json_t *message = receive(bmd);

		ck_assert_msg(message != NULL, "no event %s of %s", name, step);
		if (is(message, "event") && strcmp(json_get_string(message, "event"), name) == 0 &&
		    strcmp(json_get_string(message, "name"), step) == 0)
			return;
	}
}

struct outcome {
	struct run_result result;
	struct run_event events[32];
	size_t n;
	char *log;
};

/* The log as text, read by its cursor: "stream step text" lines. */
static char *
log_text(int64_t job)
{
	char *text = NULL;
	size_t size, i, n = 1;
	FILE *to = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(to);
	for (int64_t next = 0; n > 0;) {
		_cleanup_json_ json_t *lines = NULL;
		json_t *line;

		ck_assert_int_eq(runlog_read(runs, job, next, 1 << 20, &lines, &next, NULL), 0);
		n = json_array_size(lines);
		json_array_foreach(lines, i, line)
			fprintf(to, "%s %s %s\n", json_get_string(line, "stream"),
			    json_get_string(line, "step"), json_get_string(line, "text"));
	}
	fclose(to);
	return text;
}

/* Reads to the end; the result on the wire is the one on disk. */
static struct outcome
finish(struct bmd *bmd, struct run_request *request)
{
	struct outcome outcome = {0};
	struct run_folder folder;
	char digest[65];
	json_t *message;
	int status;

	while ((message = receive(bmd)) != NULL) {
		if (is(message, "event"))
			ck_assert_int_eq(run_event_unpack(message, &outcome.events[outcome.n++], NULL), 0);
		else if (is(message, "result"))
			ck_assert_int_eq(run_result_unpack(message, &outcome.result, NULL), 0);
		json_decref(message);
	}
	status = leave(bmd);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	ck_assert_int_eq(run_folder_look(runs, request->job, &folder, NULL), 0);
	ck_assert(folder.has_started && folder.has_result && !folder.locked);
	ck_assert_str_eq(folder.result.state, outcome.result.state);
	run_request_digest(request, digest);
	ck_assert_str_eq(folder.result.request_digest, digest);
	ck_assert_str_eq(folder.result.run, request->run);
	outcome.log = log_text(request->job);
	run_request_clear(request);
	return outcome;
}

static struct outcome
play(const char *steps)
{
	struct run_request request;
	struct bmd bmd;

	configure_with(steps, "");
	request = request_of(7);
	begin(&bmd, &request);
	return finish(&bmd, &request);
}

START_TEST(outcomes)
{
	static const struct {
		int line;
		const char *steps;
		const char *state, *failed_step, *message;
		int exit_code;
		const char *log; /* part of it, or NULL */
	} rows[] = {
	    {__LINE__, "step \"a\" { exec = {\"true\"} }", "succeeded", "", "", 0, NULL},
	    {__LINE__, "step \"a\" { run = 'echo out; echo err >&2; printf part' }", "succeeded", "", "", 0,
		"out a part\n"},
	    {__LINE__, "step \"a\" { run = 'exit 3' } step \"b\" { exec = {\"true\"} }", "failed", "a", "exited with 3", 3,
		"bmd a exited with 3"},
	    {__LINE__, "step \"a\" { run = 'exit 127' }", "failed", "a", "exited with 127", 127, NULL},
	    {__LINE__, "step \"a\" { run = 'kill -9 $$' }", "failed", "a", "killed by signal 9 (KILL)", -1, NULL},
	    {__LINE__, "step \"a\" { exec = {\"./migrate\"} }", "failed", "a",
		"could not execute: ./migrate: No such file or directory", -1, NULL},
	    {__LINE__, "step \"a\" { run = 'false; true' }", "failed", "a", "exited with 1", 1, NULL},
	    {__LINE__, "step \"a\" { run = 'echo $NOT_SET' }", "failed", "a", "exited with 2", 2, "err a "},
	    {__LINE__, "step \"a\" { run = 'sleep 100' timeout = \"200ms\" }", "failed", "a", "timed out after 200ms", -1, NULL},
	    {__LINE__, "step \"a\" { run = 'exit 4' ignore-failure = true } step \"b\" { run = 'echo on' }", "succeeded", "", "",
		0, "out b on"},
	    {__LINE__, "step \"a\" { run = 'sleep 100' timeout = \"100ms\" ignore-failure = true }", "succeeded", "", "", 0,
		"timed out"},
	    {__LINE__, "step \"a\" { exec = {\"pwd\"} directory = '$ROOT' }", "succeeded", "", "", 0, "/srv\n"},
	    {__LINE__, "step \"a\" { exec = {\"pwd\"} directory = '$ROOT/none' }", "failed", "a", "could not enter the directory",
		-1, NULL},
	    {__LINE__, "step \"a\" { exec = {\"printf\", \"[%s]\", '$A $$x', '${B}.'} }", "succeeded", "", "", 0,
		"out a [application $x][stage.]"},
	    {__LINE__, "step \"a\" { run = 'yes | head -n 1' }", "succeeded", "", "", 0, "out a y\n"},
	    {__LINE__, "step \"a\" { run = 'cat; ls /proc/$$/fd | tr \"\\n\" \" \"' }", "succeeded", "", "", 0, "out a 0 1 2"},
	    {__LINE__, "step \"a\" { run = 'echo no' skip-on = {\"deploy\"} }", "succeeded", "", "", -1, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outcome outcome;

		setup();
		outcome = play(rows[i].steps);
		ck_assert_msg(strcmp(outcome.result.state, rows[i].state) == 0, "line %d: %s, %s\n%s", rows[i].line,
		    outcome.result.state, outcome.result.message, outcome.log);
		ck_assert_msg(strcmp(outcome.result.failed_step, rows[i].failed_step) == 0, "line %d", rows[i].line);
		ck_assert_msg(strncmp(outcome.result.message, rows[i].message, strlen(rows[i].message)) == 0,
		    "line %d: %s", rows[i].line, outcome.result.message);
		ck_assert_msg(outcome.result.exit_code == rows[i].exit_code, "line %d: exit code %d", rows[i].line,
		    outcome.result.exit_code);
		ck_assert_msg(!rows[i].log || strstr(outcome.log, rows[i].log), "line %d: %s", rows[i].line, outcome.log);
		free(outcome.log);
		teardown();
	}
}
END_TEST

START_TEST(environment_is_the_list)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;
	_cleanup_free_ char *want = NULL;

	setup();
	configure_with("step \"show\" { exec = {\"env\"} environment = {\"B=step\", \"C=step\"} }", "");
	request = request_of(7);
	request.build_variables = json_pack("{s:s, s:s}", "OPEN", "build", "D", "build");
	request.job_variables = json_pack("{s:s}", "D", "job");
	strcpy(request.from.release, "1.0.1");
	request.from.number = 2;
	begin(&bmd, &request);
	outcome = finish(&bmd, &request);
	want = xasprintf("out show A=application\nout show B=step\nout show BM_APPLICATION=shop\n"
			 "out show BM_ARTIFACTS=%s/work/7\nout show BM_BUILD=3\nout show BM_FROM_BUILD=2\n"
			 "out show BM_FROM_RELEASE=1.0.1\nout show BM_JOB=7\nout show BM_MODE=deploy\nout show BM_PLAN=web\n"
			 "out show BM_REASON=because\nout show BM_RELEASE=1.0.2\nout show BM_REQUESTED_BY=ana\n"
			 "out show BM_STAGE=production\nout show BM_STEP=show\nout show C=step\nout show D=job\n"
			 "out show HOME=%s\nout show LANG=C.UTF-8\nout show LOGNAME=%s\nout show OPEN=build\n"
			 "out show PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nout show ROOT=%s/srv\n"
			 "out show USER=%s\n",
	    runs, getpwuid(geteuid())->pw_dir, user, home, user);
	ck_assert_str_eq(outcome.log, want);
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(nothing_was_live)
{
	struct outcome outcome;

	setup();
	outcome = play("step \"a\" { run = 'echo \"[$BM_FROM_RELEASE][$BM_FROM_BUILD]\"' }");
	ck_assert_str_eq(outcome.log, "out a [][]\n");
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(events_in_order)
{
	struct outcome outcome;

	setup();
	outcome = play("step \"a\" { run = 'exit 1' attempts = 2 delay = \"10ms\" ignore-failure = true irreversible = true }\n"
		       "step \"b\" { run = 'exit 1' only-on = {\"rollback\"} }\nstep \"c\" { exec = {\"true\"} }");
	ck_assert_uint_eq(outcome.n, 7);
	for (size_t i = 0; i < outcome.n; i++)
		ck_assert_int_eq(outcome.events[i].seq, i + 1);
	ck_assert_str_eq(outcome.events[0].event, "begun");
	ck_assert_int_eq(outcome.events[0].step, -1);
	ck_assert_str_eq(outcome.events[1].event, "step-begun");
	ck_assert_int_eq(outcome.events[1].attempt, 1);
	ck_assert(outcome.events[1].irreversible);
	ck_assert_int_eq(outcome.events[2].attempt, 2);
	ck_assert_str_eq(outcome.events[3].event, "step-ended");
	ck_assert_str_eq(outcome.events[3].state, "ignored");
	ck_assert_int_eq(outcome.events[3].exit_code, 1);
	ck_assert_str_eq(outcome.events[4].event, "step-skipped");
	ck_assert_str_eq(outcome.events[4].state, "only-on");
	ck_assert_str_eq(outcome.events[5].name, "c");
	ck_assert_str_eq(outcome.events[6].state, "succeeded");
	ck_assert(outcome.result.began);
	free(outcome.log);
	teardown();
}
END_TEST

/* Is there a process with this word on its command line? */
static bool
lives(const char *word)
{
	_cleanup_free_ char *command = xasprintf("grep -qsaz -x -- '%s' /proc/[0-9]*/cmdline", word);

	return system(command) == 0;
}

START_TEST(escapee_is_ended)
{
	_cleanup_free_ char *word = xasprintf("9%d.25", getpid());
	_cleanup_free_ char *steps = xasprintf("step \"a\" { run = 'setsid sh -c \"(trap \\\"\\\" TERM HUP; sleep %s & "
					       "while :; do sleep %s || :; done) >/dev/null 2>&1 &\"; sleep 0.1; echo done' }",
	    word, word);
	struct outcome outcome;

	setup();
	outcome = play(steps);
	ck_assert_str_eq(outcome.result.state, "succeeded");
	ck_assert_msg(strstr(outcome.log, "left behind") != NULL, "%s", outcome.log);
	ck_assert(!lives(word));
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(grandchild_that_holds_the_pipe)
{
	struct outcome outcome;

	setup();
	outcome = play("step \"a\" { run = 'sleep 1000 & echo done' }");
	ck_assert_str_eq(outcome.result.state, "succeeded");
	ck_assert_ptr_nonnull(strstr(outcome.log, "bmd a left behind, ending it: sleep\n"));
	ck_assert_int_lt(outcome.result.finished_us - outcome.result.started_us, 4000000);
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(flood)
{
	struct outcome outcome;
	_cleanup_free_ char *command = NULL;

	setup();
	outcome = play("step \"a\" { run = 'echo first; yes | head -c 20000000; echo last' }");
	ck_assert_str_eq(outcome.result.state, "succeeded");
	ck_assert_int_eq(strncmp(outcome.log, "out a first\n", 12), 0);
	ck_assert_ptr_nonnull(strstr(outcome.log, "out a last\n"));
	ck_assert_ptr_nonnull(strstr(outcome.log, "bytes of output were not kept\n"));
	ck_assert_ptr_nonnull(strstr(outcome.log, "gap "));
	command = xasprintf("[ $(cat %s/7/log* | wc -c) -le %d ]", runs, RUNLOG_HEAD + RUNLOG_SEGMENTS * RUNLOG_SEGMENT);
	ck_assert_int_eq(system(command), 0);
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(cancel_a_run)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { run = 'sleep 1000' ignore-failure = true } step \"b\" { exec = {\"true\"} }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	send_on(bmd.fd, run_cancel_pack(false, "eva"));
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "cancelled");
	ck_assert_str_eq(outcome.result.ended_by, "eva");
	ck_assert_str_eq(outcome.result.message, "cancelled by eva");
	ck_assert(outcome.result.began);
	ck_assert_str_eq(outcome.events[0].state, "cancelled");
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(second_cancel_kills)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { run = 'trap \"\" TERM; echo deaf; while :; do sleep 1000 || :; done' }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	send_on(bmd.fd, run_cancel_pack(false, "eva"));
	send_on(bmd.fd, run_cancel_pack(true, "eva"));
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "cancelled");
	ck_assert_int_lt(outcome.result.finished_us - outcome.result.started_us, 5000000);
	free(outcome.log);
	teardown();
}
END_TEST

/* The same cancel again is no second one: a bmd that was restarted cannot know whether it was told. */
START_TEST(told_twice_cancels_once)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { run = 'trap \"sleep 1; echo tidied; exit 3\" TERM; echo ready; while :; do sleep 0.05; done' }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	for (;;) {
		_cleanup_free_ char *log = log_text(7);

		if (strstr(log, "out a ready"))
			break;
		ck_assert_int_eq(poll(&(struct pollfd){.fd = bmd.fd, .events = POLLIN}, 1, 10), 0);
	}
	send_on(bmd.fd, run_cancel_pack(false, "eva"));
	send_on(bmd.fd, run_cancel_pack(false, "eva"));
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "cancelled");
	ck_assert_str_eq(outcome.result.ended_by, "eva");
	ck_assert_ptr_nonnull(strstr(outcome.log, "out a tidied\n"));
	free(outcome.log);
	teardown();
}
END_TEST

/* Cancels once the log holds SIGN. */
static void
cancel_when(const char *steps, const char *sign)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with(steps, "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	for (;;) {
		_cleanup_free_ char *log = log_text(7);

		if (strstr(log, sign))
			break;
		ck_assert_int_eq(poll(&(struct pollfd){.fd = bmd.fd, .events = POLLIN}, 1, 10), 0);
	}
	send_on(bmd.fd, run_cancel_pack(false, ""));
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "cancelled");
	ck_assert_str_eq(outcome.result.message, "cancelled");
	for (size_t i = 0; i < outcome.n; i++)
		ck_assert_msg(strcmp(outcome.events[i].event, "step-begun") != 0, "tried again");
	free(outcome.log);
	teardown();
}

START_TEST(cancel_before_the_timeout)
{
	cancel_when("step \"a\" { run = 'trap \"sleep 2; exit 1\" TERM; echo ready; while :; do sleep 0.05; done' timeout = \"1500ms\" }",
	    "out a ready");
}
END_TEST

START_TEST(cancel_in_the_delay)
{
	cancel_when("step \"a\" { run = 'exit 1' attempts = 5 delay = \"1h\" }", "the next in 1h");
	cancel_when("step \"a\" { run = 'sleep 1000' timeout = \"10ms\" attempts = 5 delay = \"1h\" }", "the next in 1h");
}
END_TEST

START_TEST(shutdown_of_the_machine)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { run = 'sleep 1000' ignore-failure = true }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	kill(bmd.pid, SIGTERM);
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "failed");
	ck_assert_str_eq(outcome.result.failed_step, "a");
	ck_assert_str_eq(outcome.result.message, "stopped by shutdown");
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(no_go_no_claim)
{
	struct run_request request;
	struct run_folder folder;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { exec = {\"true\"} }", "");
	request = request_of(7);
	start(&bmd, "7");
	send_on(bmd.fd, run_request_pack(&request));
	expect_ready(&bmd);
	ck_assert_int_eq(run_folder_look(runs, 7, &folder, NULL), 0);
	ck_assert(folder.locked && !folder.has_started);
	ck_assert_int_eq(leave(&bmd), 0);
	ck_assert_int_eq(run_folder_look(runs, 7, &folder, NULL), 0);
	ck_assert(folder.exists && !folder.locked && !folder.has_started && !folder.has_result);
	begin(&bmd, &request); /* and so it may start later */
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "succeeded");
	free(outcome.log);
	teardown();
}
END_TEST

/* Clears REQUEST. */
static void
expect_refused(struct run_request *request, const char *code, const char *words)
{
	_cleanup_json_ json_t *message = NULL;
	_cleanup_free_ char *text = NULL;
	struct bmd bmd;

	start(&bmd, "7");
	send_on(bmd.fd, run_request_pack(request));
	message = receive(&bmd);
	text = json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);
	ck_assert_msg(is(message, "refused"), "%s", text);
	ck_assert_msg(strcmp(json_get_string(message, "code"), code) == 0, "%s", text);
	ck_assert_msg(strstr(json_get_string(message, "message"), words) != NULL, "%s", text);
	ck_assert(leave(&bmd) != 0);
	run_request_clear(request);
}

START_TEST(refusals)
{
	struct run_request request;
	struct run_folder folder;

	setup();
	configure_with("step \"a\" { exec = {\"true\"} }", "");
	request = request_of(7);
	configure_with("step \"a\" { exec = {\"false\"} }", "");
	expect_refused(&request, "configuration", "bmctl reload, then bmctl release 7");
	request = request_of(8);
	expect_refused(&request, "failed", "job 8");
	request = request_of(7);
	request.job_variables = json_pack("{s:s}", "ROOT", "/");
	expect_refused(&request, "configuration", "the job may not set ROOT");
	configure_with("step \"a\" { exec = {'$NONE'} }", "");
	request = request_of(7);
	expect_refused(&request, "configuration", "NONE");
	configure_with("step \"a\" { deploy = \"site\" to = '$ROOT' }", "");
	request = request_of(7);
	expect_refused(&request, "artifact", "step a: ");
	ck_assert_int_eq(run_folder_look(runs, 7, &folder, NULL), 0);
	ck_assert(!folder.has_started);
	teardown();
}
END_TEST

/* What unit/test_signature.c verifies in all its ways: a release 1.0.2 of shop, one artifact. */
#define SIGNED_DIGEST "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
#define SIGNED                                                                                                         \
	"untrusted comment: signature from minisign secret key\n"                                                      \
	"RUQ1QMblV04ujfeoQ6ProNam6+fiSTGbwYCLkipuAhCjIj8FKY6UGb1WDg/gsL0WSgcNMzlkwnOp7pU6bNVRPdpTSY0kJIOQGgQ=\n"       \
	"trusted comment: made by a test\n"                                                                            \
	"1PJlcs4pZ39j+s9RQs3TqxirAK5xdxvRoiesWfw46zqryTxnyKMHXQ9Cu+FHuyWQWBluVr4oE6hxEyJFCPAwAw==\n"
#define SIGNER "RWQ1QMblV04ujTS4ZPnCmZmXhx7SCt2hFEWDPqMNVHDfVmzwj93w2V4w"
#define OTHER_SIGNER "RWR/Wtdl++g8Sh/FNpPEf9ODL2qfif5m/31JRhJSE1L9p/FwojNeo2MN"

static struct run_request
signed_request(const char *digest, const char *signature)
{
	struct run_request request = request_of(7);

	request.artifacts = xcalloc(1, sizeof(*request.artifacts));
	request.nartifacts = 1;
	strcpy(request.artifacts[0].name, "site");
	strcpy(request.artifacts[0].digest, digest);
	request.signature = signature ? xstrdup(signature) : NULL;
	return request;
}

/* Whatever bmd sends: the keys are those of the configuration, the text is made of the files that would be placed. */
START_TEST(signatures)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { exec = {\"true\"} }", "require-signature = {\"" SIGNER "\"}");
	request = signed_request(SIGNED_DIGEST, NULL);
	expect_refused(&request, "signature", "is not signed");
	request = signed_request(SIGNED_DIGEST, "anything");
	expect_refused(&request, "signature", "no signature of minisign");
	request = signed_request("3d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", SIGNED);
	expect_refused(&request, "signature", "not of this build");
	request = signed_request(SIGNED_DIGEST, SIGNED);
	strcpy(request.build.release, "1.0.3");
	expect_refused(&request, "signature", "not of this build");
	request = signed_request(SIGNED_DIGEST, SIGNED);
	strcpy(request.artifacts[0].name, "db");
	expect_refused(&request, "signature", "not of this build");
	request = signed_request(SIGNED_DIGEST, SIGNED);
	begin(&bmd, &request);
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "succeeded");
	free(outcome.log);
	teardown();
	setup();
	configure_with("step \"a\" { exec = {\"true\"} }", "require-signature = {\"" OTHER_SIGNER "\"}");
	request = signed_request(SIGNED_DIGEST, SIGNED);
	expect_refused(&request, "signature", "none of the stage's");
	teardown();
}
END_TEST

START_TEST(one_at_a_time_and_once)
{
	struct run_request request, other;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { exec = {\"true\"} }", "");
	request = request_of(7);
	start(&bmd, "7");
	send_on(bmd.fd, run_request_pack(&request));
	expect_ready(&bmd);
	other = request_of(7);
	expect_refused(&other, "locked", "another bmd-run");
	send_on(bmd.fd, run_message("go"));
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "succeeded");
	free(outcome.log);
	request = request_of(7);
	expect_refused(&request, "started", "begun before");
	teardown();
}
END_TEST

static int
connect_control(void)
{
	_cleanup_free_ char *path = xasprintf("%s/7/control", runs);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

START_TEST(bmd_goes_away_and_comes_back)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;
	json_t *follow = run_message("follow");

	setup();
	configure_with("step \"a\" { run = 'until [ -e \"$ROOT/on\" ]; do sleep 0.01; done' } step \"b\" { exec = {\"true\"} }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	close(bmd.fd);
	varlink_input_clear(&bmd.input);
	bmd.fd = connect_control();
	json_object_set_new(follow, "after", json_integer(1));
	send_on(bmd.fd, follow);
	await_event(&bmd, "step-begun", "a"); /* once more, from the folder */
	put("srv/on", "%s", "");
	outcome = finish(&bmd, &request);
	ck_assert_uint_eq(outcome.n, 3);
	ck_assert_int_eq(outcome.events[0].seq, 3);
	ck_assert_str_eq(outcome.result.state, "succeeded");
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(nobody_listens)
{
	struct run_request request;
	struct run_folder folder;
	struct bmd bmd;
	int status;

	setup();
	configure_with("step \"a\" { run = 'sleep 0.05' } step \"b\" { run = 'exit 5' }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	status = leave(&bmd);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(run_folder_look(runs, 7, &folder, NULL), 0);
	ck_assert(folder.has_result);
	ck_assert_str_eq(folder.result.state, "failed");
	ck_assert_str_eq(folder.result.failed_step, "b");
	ck_assert_int_eq(folder.result.exit_code, 5);
	run_request_clear(&request);
	teardown();
}
END_TEST

START_TEST(cancel_by_the_control_socket)
{
	struct run_request request;
	struct outcome outcome;
	struct bmd bmd;

	setup();
	configure_with("step \"a\" { run = 'sleep 1000' }", "");
	request = request_of(7);
	begin(&bmd, &request);
	await_event(&bmd, "step-begun", "a");
	close(bmd.fd);
	bmd.fd = connect_control();
	send_on(bmd.fd, run_cancel_pack(false, "eva"));
	send_on(bmd.fd, run_message("follow"));
	outcome = finish(&bmd, &request);
	ck_assert_str_eq(outcome.result.state, "cancelled");
	free(outcome.log);
	teardown();
}
END_TEST

START_TEST(another_user)
{
	struct outcome outcome;

	if (geteuid() != 0 || !getpwnam("nobody"))
		return;
	setup();
	user = "nobody";
	outcome = play("step \"a\" { run = 'id -un; id -G; cat /etc/shadow || :; ls \"$BM_ARTIFACTS\" || :' }\n"
		       "step \"b\" { run = 'id -un' user = \"root\" }");
	ck_assert_str_eq(outcome.result.state, "succeeded");
	ck_assert_msg(strstr(outcome.log, "out a nobody\n") != NULL, "%s", outcome.log);
	ck_assert_msg(strstr(outcome.log, "out a 65534\n") != NULL, "%s", outcome.log);
	ck_assert_ptr_nonnull(strstr(outcome.log, "Permission denied"));
	ck_assert_ptr_nonnull(strstr(outcome.log, "out b root\n"));
	free(outcome.log);
	teardown();
}
END_TEST

static void
shell(const char *format, const char *argument)
{
	_cleanup_free_ char *command = xasprintf("cd '%s' && %s %s", home, format, argument);

	ck_assert_msg(system(command) == 0, "%s", command);
}

static bool
mount_small(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", home, name);

	return mount("none", path, "tmpfs", 0, "size=2m,mode=755") == 0;
}

/* As under systemd: root's bmd-run, a bmd of another uid that owns the socket which it connected to. */
static int
connect_as_nobody(bool owner)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_free_ char *path = xasprintf("%s/%s", home, owner ? "run.sock" : "other.sock");
	int served;

	ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(chmod(address.sun_path, 0666), 0);
	if (owner)
		ck_assert_int_eq(chown(address.sun_path, nobody->pw_uid, 0), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(setegid(nobody->pw_gid) | seteuid(nobody->pw_uid), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(seteuid(0) | setegid(0), 0);
	served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	dup2(served, 100); /* for start_on() */
	close(served);
	return fd;
}

START_TEST(bmd_of_another_uid)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct run_request request;
	struct outcome outcome;
	struct stat st;
	struct bmd bmd = {0};
	_cleanup_free_ char *path = NULL;

	if (geteuid() != 0 || !nobody)
		return;
	setup();
	configure_with("step \"a\" { run = 'echo hello' }", "");
	request = request_of(7);
	bmd.fd = connect_as_nobody(false);
	start_on(&bmd, 100, "7");
	ck_assert_ptr_null(receive(&bmd));
	ck_assert(leave(&bmd) != 0);
	bmd = (struct bmd){.fd = connect_as_nobody(true)};
	start_on(&bmd, 100, "7");
	send_on(bmd.fd, run_request_pack(&request));
	expect_ready(&bmd);
	send_on(bmd.fd, run_message("go"));
	path = xasprintf("%s/7", runs);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 02750);
	ck_assert_int_eq(st.st_gid, nobody->pw_gid);
	ck_assert_int_eq(setegid(nobody->pw_gid) | seteuid(nobody->pw_uid), 0);
	outcome = finish(&bmd, &request); /* reads the folder as bmd would */
	ck_assert_int_eq(seteuid(0) | setegid(0), 0);
	ck_assert_str_eq(outcome.log, "out a hello\n");
	free(outcome.log);
	teardown();
}
END_TEST

/* A power cut or a kill between any two calls: a folder that bmd could not look into would be a job that nobody ends. */
START_TEST(killed_while_its_folder_is_made)
{
	const struct passwd *nobody = getpwnam("nobody");
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *killed = NULL;
	const char *usual = program;
	struct run_request request;
	struct run_folder folder;
	struct bmd bmd;
	int r;

	if (geteuid() != 0 || !nobody)
		return;
	setup();
	configure_with("step \"a\" { run = 'echo hello' }", "");
	request = request_of(7);
	shell("cp", TOP_BUILDDIR "/tests/campaign/bmd-run .");
	put("bmd-run.fail", "folder-made\n");
	program = killed = xasprintf("%s/bmd-run", home);
	bmd = (struct bmd){.fd = connect_as_nobody(true)};
	start_on(&bmd, 100, "7");
	send_on(bmd.fd, run_request_pack(&request));
	ck_assert_ptr_null(receive(&bmd));
	ck_assert(WIFSIGNALED(leave(&bmd)));
	program = usual;
	ck_assert_int_eq(setegid(nobody->pw_gid) | seteuid(nobody->pw_uid), 0);
	r = run_folder_look(runs, 7, &folder, &err);
	ck_assert_int_eq(seteuid(0) | setegid(0), 0);
	ck_assert_msg(r == 0, "%s", err.text);
	ck_assert(folder.exists && !folder.locked && !folder.has_started);
	run_request_clear(&request);
	teardown();
}
END_TEST

/* A step that fills the disk: the outcome had its room before. */
START_TEST(full_disk)
{
	struct outcome outcome;

	setup();
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mount_small("state")) {
		teardown();
		return;
	}
	outcome = play("step \"a\" { run = 'cat /dev/zero >\"${ROOT%srv}state/fill\" || :; yes | head -c 3000000; exit 6' }");
	ck_assert_str_eq(outcome.result.state, "failed");
	ck_assert_int_eq(outcome.result.exit_code, 6);
	ck_assert_uint_eq(outcome.n, 3);
	free(outcome.log);
	shell("umount state &&", "true");
	teardown();
}
END_TEST

/* Stores an artifact of one file "index.html" with TEXT, and one of an executable. */
static void
store(struct run_request *request, const char *text)
{
	_cleanup_free_ char *state = xasprintf("%s/state", home), *manifest_text = NULL;
	struct objects *objects;
	struct objects_import *import;
	struct objects_writer *writer;
	struct manifest manifest = {0};
	char digest[DIGEST_SIZE];
	int64_t size;
	size_t n;

	ck_assert_int_eq(objects_open(state, true, &objects, NULL), 0);
	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	writer = objects_writer_open(import);
	ck_assert_int_eq(objects_writer_add(writer, text, strlen(text), NULL), 0);
	ck_assert_int_eq(objects_writer_end(writer, digest, &size, NULL), 0);
	manifest_add_file(&manifest, "index.html", false, size, digest);
	ck_assert_int_eq(manifest_finish(&manifest, NULL), 0);
	manifest_text = manifest_format(&manifest, &n);
	request->artifacts = xcalloc(1, sizeof(*request->artifacts));
	request->nartifacts = 1;
	strcpy(request->artifacts[0].name, "site");
	ck_assert_int_eq(objects_publish(import, manifest_text, n, request->artifacts[0].digest, NULL), 0);
	objects_import_close(import);
	objects_close(objects);
	manifest_clear(&manifest);
}

static struct outcome
deploy(int64_t job, int build, const char *text)
{
	struct run_request request = request_of(job);
	struct bmd bmd;

	request.build.number = build;
	store(&request, text);
	begin(&bmd, &request);
	return finish(&bmd, &request);
}

START_TEST(deploy_step)
{
	struct outcome outcome;

	setup();
	if (geteuid() == 0 && getpwnam("nobody")) {
		user = "nobody";
		shell("chown nobody", "srv");
	}
	configure_with("step \"files\" { deploy = \"site\" to = '$ROOT' keep = 1 }", "");
	for (int i = 1; i <= 3; i++) {
		_cleanup_free_ char *text = xasprintf("build %d\n", i);

		outcome = deploy(i, i, text);
		ck_assert_msg(strcmp(outcome.result.state, "succeeded") == 0, "%s", outcome.log);
		free(outcome.log);
	}
	shell("[ \"$(cat srv/current/index.html)\" = 'build 3' ]", "");
	shell("[ \"$(ls srv/releases)\" = 1.0.2-3 ]", "");
	shell("[ \"$(cat state/runs/places/*[0-9a-f] | grep -c 1.0.2-3)\" = 1 ]", "");
	shell("mkdir srv/releases/by-hand &&", "chmod 700 state/store");
	outcome = deploy(4, 1, "build 1\n");
	ck_assert_msg(strcmp(outcome.result.state, "succeeded") == 0, "%s", outcome.log);
	free(outcome.log);
	shell("[ \"$(ls srv/releases | tr '\\n' ' ')\" = '1.0.2-1 by-hand ' ]", "");
	teardown();
}
END_TEST

/* What did not come to be filled by bmd is not bmd's to empty later. */
START_TEST(not_filled_after_all)
{
	struct outcome outcome;

	setup();
	if (geteuid() == 0 && getpwnam("nobody"))
		user = "nobody";
	configure_with("step \"files\" { deploy = \"site\" to = '$ROOT' in-place = true }", "");
	shell("chmod 555 srv", "");
	outcome = deploy(1, 1, "build 1\n");
	ck_assert_str_eq(outcome.result.state, "failed");
	free(outcome.log);
	shell("chmod 755 srv && echo by-hand >srv/mine", "");
	if (geteuid() == 0)
		shell("chown -R nobody", "srv");
	outcome = deploy(2, 1, "build 1\n");
	ck_assert_str_eq(outcome.result.state, "failed");
	ck_assert_msg(strstr(outcome.result.message, "was not filled by bmd") != NULL, "%s", outcome.result.message);
	shell("[ -e srv/mine ]", "");
	free(outcome.log);
	/* Emptied, it is filled; and then is bmd's. */
	shell("rm srv/mine", "");
	for (int i = 3; i < 5; i++) {
		outcome = deploy(i, 1, "build 1\n");
		ck_assert_msg(strcmp(outcome.result.state, "succeeded") == 0, "%s", outcome.log);
		free(outcome.log);
		shell("touch srv/more", "");
	}
	teardown();
}
END_TEST

START_TEST(damaged_files_are_not_deployed)
{
	struct run_request request;
	struct outcome outcome;

	setup();
	configure_with("step \"files\" { deploy = \"site\" to = '$ROOT' }", "");
	outcome = deploy(1, 1, "build 1\n");
	ck_assert_str_eq(outcome.result.state, "succeeded");
	free(outcome.log);
	request = request_of(2);
	store(&request, "build 2\n");
	run_request_clear(&request);
	/* The same size, another content: seen when it is placed. */
	shell("for f in $(grep -rl 'build 2' state/store/objects); do chmod u+w $f; echo 'build x' >$f; done", "");
	request = request_of(2);
	request.build.number = 2;
	{
		struct bmd bmd;

		store(&request, "build 2\n");
		shell("for f in $(grep -rl 'build 2' state/store/objects); do chmod u+w $f; echo 'build x' >$f; done", "");
		begin(&bmd, &request);
		outcome = finish(&bmd, &request);
	}
	ck_assert_str_eq(outcome.result.state, "failed");
	ck_assert_msg(strstr(outcome.result.message, "index.html") != NULL, "%s", outcome.result.message);
	shell("[ \"$(cat srv/current/index.html)\" = 'build 1' ]", "");
	free(outcome.log);
	/* Another size, or missing: seen before the run begins. */
	request = request_of(7);
	store(&request, "build 7\n");
	shell("for f in $(grep -rl 'build 7' state/store/objects); do rm -f $f; done", "");
	expect_refused(&request, "artifact", "index.html");
	teardown();
}
END_TEST

START_TEST(artifacts_for_a_step)
{
	struct outcome outcome;

	setup();
	if (geteuid() == 0 && getpwnam("nobody"))
		user = "nobody";
	configure_with("step \"look\" { run = 'cat \"$BM_ARTIFACTS/site/index.html\"' artifacts = {\"site\"} }\n"
		       "step \"root\" { run = 'cat \"$BM_ARTIFACTS/site/index.html\"' artifacts = {\"site\"} attempts = 2 delay = \"1ms\" }", "");
	outcome = deploy(7, 1, "files of a build\n");
	ck_assert_msg(strcmp(outcome.result.state, "succeeded") == 0, "%s", outcome.log);
	ck_assert_str_eq(outcome.log, "out look files of a build\nout root files of a build\n");
	shell("[ ! -e state/runs/work/7 ]", "");
	free(outcome.log);
	teardown();
}
END_TEST

UNIT_MAIN("runner", outcomes, environment_is_the_list, nothing_was_live, events_in_order, escapee_is_ended,
    grandchild_that_holds_the_pipe, flood, cancel_a_run, second_cancel_kills, told_twice_cancels_once, cancel_in_the_delay, cancel_before_the_timeout,
    shutdown_of_the_machine, no_go_no_claim, refusals, signatures, one_at_a_time_and_once, bmd_goes_away_and_comes_back,
    nobody_listens, cancel_by_the_control_socket, another_user, bmd_of_another_uid, killed_while_its_folder_is_made, full_disk, deploy_step, not_filled_after_all, damaged_files_are_not_deployed,
    artifacts_for_a_step)
