/* SPDX-License-Identifier: ISC */
/*
 * The n-th statement of the database fails, for each n, in every call of the protocol: a whole bmd
 * but for its main(), with its helper programs, and a client on its socket. A story of calls, each
 * of which is asked until it passes without a failure. Who is told an error is told a sentence, and
 * what he wanted to change is not changed; then the same call succeeds.
 *
 * bmd looks for its helpers beside itself, so the test goes on as a copy of itself in a folder like
 * bmd's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "artifact/manifest.h"
#include "common/json.h"
#include "common/names.h"
#include "common/run.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "daemon/methods/methods.h"
#include "daemon/queue/queue_private.h"
#include "daemon/store/store_private.h"
#include "tests/campaign/fault.h"
#include "tests/unit/statements.h"
#include "tests/unit/unit.h"

#define TREE	   "BMD_TEST_TREE" /* the folder like bmd's, of the copy */
#define STATEMENTS 300		   /* no call has so many */
#define ACTIVE                                                                                   \
	"SELECT (SELECT count(*) FROM jobs WHERE state IN ('queued', 'starting', 'running')) + " \
	"(SELECT count(*) FROM notices WHERE state = 'waiting')"
#define CALLS	    12 /* of one family are tried for a run */
#define PATIENCE_US (60 * INT64_C(1000000))

#define OK(call)                                                                             \
	do {                                                                                 \
		int r_ = (call);                                                             \
		ck_assert_msg(r_ >= 0, "line %d: %s: %d %s", __LINE__, #call, r_, err.text); \
	} while (0)

/* ---- a clock that can be moved: libev asks this one */

static time_t moved;

int
clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);

	if (id == CLOCK_MONOTONIC)
		ret->tv_sec += moved;
	return r;
}

/* ---- a bmd */

static _printf_(1, 2) int command(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	text = xvasprintf(format, args);
	va_end(args);
	return system(text);
}

static const char *tree; /* configuration, programs */
static char *state, *runs, *file, *socket_path;
static struct err err;
static struct varlink_interface *interface;
static struct {
	struct conf *conf;
	struct ev_loop *loop;
	struct store *store;
	struct objects *objects;
	struct turn *turn;
	struct queue *queue;
	struct sched *sched;
	struct patrol *patrol;
	struct notices *notices;
	struct audit *audit;
	struct methods *methods;
	struct control *control;
} bmd;
static char artifacts[2][DIGEST_SIZE];

/* The fault of a call: it strikes from its first statement on, and until the handler returns or, of
 * a stream, until the reply came. */
static struct {
	const char *method;
	const char *family; /* of fault.c; NULL: of statements.c */
	int n, code;
	bool stream, behind; /* it strikes behind the handler: in what comes of the call */
} fault;

static void
handler(struct control_call *call, const struct varlink_call *what, const struct control_peer *peer,
	void *arg)
{
	bool meant = fault.method && strcmp(what->member, fault.method) == 0;

	if (meant && !fault.behind)
		statements_arm(fault.n, fault.code, false);
	methods_call(call, what, peer, arg);
	if (meant && fault.behind && fault.family)
		fault_arm(fault.family, fault.code, fault.n);
	else if (meant && fault.behind)
		statements_arm(fault.n, fault.code, false);
	else if (meant && !fault.stream)
		statements_disarm();
}

static int
load(struct conf **ret_conf)
{
	struct conf_problems problems = {0};
	int r = conf_load(file, geteuid() == 0 ? CONF_RUN_AS_ROOT : 0, ret_conf, &problems);

	ck_assert_msg(r == 0, "%s", problems.n ? problems.v[0] : "?");
	conf_problems_clear(&problems);
	return 0;
}

static struct conf *next_conf;

static void
reloaded(void *arg, const struct err *failure)
{
	struct conf *conf = arg;

	if (failure) {
		conf_free(conf);
		return;
	}
	queue_set_conf(bmd.queue, conf);
	conf_free(bmd.conf);
	bmd.conf = conf;
	sched_reload(bmd.sched);
}

static int
reload(void *arg, const struct event *told, const struct conf **ret_conf, struct err *failure)
{
	int r;

	(void)arg, (void)told;
	(void)load(&next_conf);
	r = queue_sections(bmd.queue, true, (int64_t)ev_time() * 1000000, failure);
	if (r < 0) {
		conf_free(next_conf);
		return r;
	}
	turn_after(bmd.turn, reloaded, next_conf);
	*ret_conf = next_conf;
	return 0;
}

static void
write_file(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", tree, name);
	FILE *out = fopen(path, "we");

	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

static void
configure(void)
{
	_cleanup_free_ char *text = xasprintf(
	    "state-directory = \"%s\"\nrun-directory = \"%s\"\nsocket = \"%s\"\n"
	    "launcher = fork\n%s"
	    "notify \"team\" { exec = {\"/bin/true\"} on = {\"lost\"} }\n"
	    "application \"shop\" {\n stages = {\"testing\", \"guarded\", \"production\"}\n "
	    "keep-builds = 1\n"
	    " stage \"testing\" { plan = \"web\" on-failure = \"continue\" }\n"
	    " stage \"production\" { plan = \"web\" on-failure = \"continue\" }\n"
	    " stage \"guarded\" { plan = \"slow\" approvers = {\"root\"} on-failure = \"continue\" "
	    "}\n}\n"
	    "plan \"web\" { step \"one\" { run = 'echo $BM_JOB >>%s/ran; test $BM_BUILD != 4' } }\n"
	    "plan \"slow\" { step \"one\" { run = 'echo $BM_JOB >>%s/ran; sleep 0.2' } }\n",
	    state, runs, socket_path, geteuid() == 0 ? "user = \"root\"\n" : "", tree, tree);

	write_file("bmd.conf", text);
}

/* An artifact of one file. */
static void
import(const char *content, char ret_digest[DIGEST_SIZE])
{
	struct objects_import *importing;
	struct objects_writer *writer;
	struct manifest manifest = {0};
	_cleanup_free_ char *text = NULL;
	char digest[DIGEST_SIZE];
	int64_t size;
	size_t n;

	OK(objects_import_open(bmd.objects, &importing, &err));
	writer = objects_writer_open(importing);
	OK(objects_writer_add(writer, content, strlen(content), &err));
	OK(objects_writer_end(writer, digest, &size, &err));
	manifest_add_file(&manifest, content, false, size, digest);
	OK(manifest_finish(&manifest, &err));
	text = manifest_format(&manifest, &n);
	OK(objects_publish(importing, text, n, ret_digest, &err));
	objects_import_close(importing);
	manifest_clear(&manifest);
}

static int
sections(void)
{
	int r = turn_begin(bmd.turn, &err);

	if (r >= 0)
		r = queue_sections(bmd.queue, true, (int64_t)ev_time() * 1000000, &err);
	return r == -ENOSPC ? 0 : r; /* what runs and what waits goes on without them */
}

/* As main() does, up to where clients come. What is recovered may fail. */
static int
start(void)
{
	int r;

	(void)load(&bmd.conf);
	bmd.loop = ev_default_loop(0);
	OK(store_open(state, &bmd.store, &err));
	OK(objects_open(state, true, &bmd.objects, &err));
	bmd.turn = turn_new(bmd.loop, bmd.store);
	bmd.queue = queue_new(bmd.store, bmd.objects);
	queue_set_conf(bmd.queue, bmd.conf);
	bmd.sched = sched_new(bmd.loop, bmd.queue, bmd.turn);
	bmd.notices = notices_new(bmd.sched, bmd.queue, bmd.turn);
	if (fault.behind)
		statements_arm(fault.n, fault.code, false);
	r = sched_recover(bmd.sched, &err);
	if (r >= 0)
		r = sections();
	if (r >= 0)
		turn_end(bmd.turn);
	return r;
}

static void
serve(void)
{
	bmd.audit = audit_new(bmd.loop, bmd.store, bmd.turn);
	bmd.methods =
	    methods_new(bmd.queue, bmd.sched, bmd.turn, bmd.objects, bmd.audit, reload, NULL);
	bmd.patrol = patrol_new(bmd.sched, bmd.queue, bmd.turn, bmd.objects);
	methods_set_patrol(bmd.methods, bmd.patrol);
	notices_begin(bmd.notices);
	methods_set_notices(bmd.methods, bmd.notices);
	OK(control_new(bmd.loop, bmd.turn, bmd.conf, -1, handler, bmd.methods, &bmd.control, &err));
	methods_set_control(bmd.methods, bmd.control);
}

static void
begin(void)
{
	ck_assert_int_eq(command("rm -rf %s %s %s/ran", state, runs, tree), 0);
	ck_assert_int_eq(mkdir(state, 0755), 0);
	ck_assert_int_eq(mkdir(runs, 0711), 0);
	configure();
	OK(start());
	import("a", artifacts[0]);
	import("b", artifacts[1]);
	serve();
	OK(varlink_interface_parse(varlink_control_text, &interface, &err));
	statements_spare_commits(true);
}

/* Runs go on. */
static void
stop(void)
{
	control_free(bmd.control);
	methods_free(bmd.methods);
	patrol_free(bmd.patrol);
	notices_free(bmd.notices);
	audit_free(bmd.audit);
	sched_free(bmd.sched);
	queue_free(bmd.queue);
	turn_free(bmd.turn);
	objects_close(bmd.objects);
	store_close(bmd.store);
	conf_free(bmd.conf);
	memset(&bmd, 0, sizeof(bmd));
}

static void
end(void)
{
	stop();
	varlink_interface_free(interface);
	moved = 0; /* who runs the tests measures them by it */
}

/* ---- a client */

static void
on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)timer, (void)events;
}

static void
pass(void)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.002, 0.);
	ev_timer_start(bmd.loop, &tick);
	ev_run(bmd.loop, EVRUN_ONCE);
	ev_timer_stop(bmd.loop, &tick);
}

/* The last reply. */
static json_t *
answer(int fd)
{
	static char text[2 * VARLINK_FRAME_MAX];
	double until = ev_time() + (double)PATIENCE_US / 1e6;
	size_t n = 0;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		char *nul;

		ck_assert_msg(ev_time() < until, "%s is not answered", fault.method);
		pass();
		if (poll(&ready, 1, 0) == 1) {
			ssize_t got = recv(fd, text + n, sizeof(text) - n, MSG_DONTWAIT);

			ck_assert_msg(got > 0, "%s: bmd hung up", fault.method);
			n += (size_t)got;
		}
		while (n > 0 && (nul = memchr(text, 0, n))) {
			json_t *reply = json_loads(text, 0, NULL);

			ck_assert_ptr_nonnull(reply);
			if (!json_get_bool(reply, "continues"))
				return reply;
			json_decref(reply);
			n -= (size_t)(nul + 1 - text);
			memmove(text, nul + 1, n);
		}
	}
}

static json_t *
call(const char *method, json_t *parameters, const char *flag)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_json_ json_t *what =
	    json_pack("{s:o, s:o}", "method", json_sprintf("io.bmd.Control.%s", method),
		      "parameters", parameters);
	_cleanup_free_ char *frame = NULL;
	json_t *reply;
	size_t n;

	if (*flag)
		json_object_set_new(what, flag, json_true());
	ck_assert_int_eq(varlink_pack(what, &frame, &n), 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_int_eq(send(fd, frame, n, MSG_NOSIGNAL), (ssize_t)n);
	reply = answer(fd);
	close(fd);
	return reply;
}

/* ---- the story */

static int64_t job, schedule;

static void
write_time(FILE *out, int days)
{
	time_t then = time(NULL) + days * 86400;
	struct tm tm;
	char text[40];

	gmtime_r(&then, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "\"%s.000000Z\"", text);
}

/* '…' for "…"; @J the last job, @C the last schedule, @K KEY, @0 and @1 the artifacts, @T tomorrow,
 * @U the day after. */
static json_t *
fill(const char *template, const char *key)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	json_t *object;

	ck_assert_ptr_nonnull(out);
	for (const char *p = template; *p; p++) {
		if (*p == '\'')
			fputc('"', out);
		else if (*p != '@')
			fputc(*p, out);
		else if (*++p == 'K')
			fprintf(out, "\"key\":\"%s\"", key);
		else if (*p == 'J' || *p == 'C')
			fprintf(out, "%lld", (long long)(*p == 'J' ? job : schedule));
		else if (*p == 'W')
			fprintf(out, "\"reason\":\"%0*d\"", NAMES_TEXT_MAX + 1, 1);
		else if (*p == 'T' || *p == 'U')
			write_time(out, *p == 'T' ? 1 : 2);
		else
			fprintf(out, "[{\"name\":\"site\",\"digest\":\"%s\"}]",
				artifacts[*p - '0']);
	}
	ck_assert_int_eq(fclose(out), 0);
	object = json_loads(text, 0, NULL);
	ck_assert_msg(object != NULL, "%s", text);
	return object;
}

#define ONCE "once"
#define HOLD "" /* no call: the last job is held, as a start that fails does it */

static const struct scene {
	const char *method, *parameters;
	const char *flag; /* of the call: "more", "upgrade"; ONCE: none, and who has done it cannot
			     do it again */
} story[] = {
    {"AddBuild",
     "{@K,'application':'shop','release':'1.0','build':1,'artifacts':@0,'variables':{'A':'b'}}",
     ""},
    {"AddBuild",
     "{@K,'application':'shop','release':'1.0','build':2,'artifacts':@1,'note':'second'}", ""},
    {"AddBuild", "{@K,'application':'shop','release':'1.0','build':3,'artifacts':[]}", ""},
    {"AddBuild", "{@K,'application':'shop','release':'1.0','build':3,'artifacts':[]}", ""},
    {"AddBuild", "{@K,'application':'shop','release':'1.0','build':4,'artifacts':[]}", ""},
    {"ListBuilds", "{'application':'shop'}", ""},
    {"ListBuilds", "{'application':'shop','release':'1.0','limit':1}", ""},
    {"ListArtifacts", "{'application':'shop'}", ""},
    {"GetBuild", "{'application':'shop','release':'1.0','build':1}", ""},
    {"GetManifest", "{'application':'shop','release':'1.0','build':1,'artifact':'site'}", "more"},
    {"Deploy",
     "{@K,'application':'shop','release':'1.0','build':1,'stage':'production','now':true}", ""},
    {"Wait", "{'jobs':[@J]}", "more"},
    {"Deploy",
     "{@K,'application':'shop','release':'1.0','build':2,'stage':'production','now':true}", ""},
    {"Wait", "{'jobs':[@J],'timeout_us':20000000}", "more"},
    {"Diff", "{'application':'shop','a':{'release':'1.0','build':1}}", "more"},
    {"Diff",
     "{'application':'shop','a':{'release':'1.0','build':1},'b':{'release':'1.0','build':2}}",
     "more"},
    {"GetJob", "{'job':@J}", ""},
    {"Log", "{'job':@J}", "more"},
    {"Log", "{'job':@J,'follow':true}", "more"},
    {"ListHistory", "{'application':'shop','limit':1}", ""},
    {"ListHistory", "{'stage':'production'}", ""},
    {"GetStatus", "{}", ""},
    {"GetStatus", "{'application':'shop'}", ""},
    {"Redeploy", "{@K,'application':'shop','stage':'production','now':true,'dry_run':true}", ""},
    {"Redeploy",
     "{@K,'application':'shop','stage':'production','at':@T,'zone':'UTC','reason':'why'}", ""},
    {"ListQueue", "{'application':'shop'}", ""},
    {"ListQueue", "{'limit':1}", ""},
    {"Reschedule", "{@K,'job':@J,'at':@U}", ""},
    {"Cancel", "{@K,'job':@J,'reason':'no'}", ""},
    {"Cancel", "{@K,'job':@J}", ""},
    {"Deploy", "{@K,'application':'shop','release':'1.0','build':4,'stage':'testing','now':true}",
     ""},
    {"Wait", "{'jobs':[@J]}", "more"},
    {"Settle", "{@K,'application':'shop','stage':'testing','reason':'looked'}", ""},
    {"Settle",
     "{@K,'application':'shop','stage':'production','release':'1.0','build':1,'reason':'looked'}",
     ""},
    {"Deploy", "{@K,'application':'shop','release':'1.0','build':3,'stage':'guarded','at':@T}", ""},
    {HOLD, "", ""},
    {"Release", "{@K,'job':@J}", ""},
    {"Reschedule", "{@K,'job':@J,'at':@U}", ""},
    {"Cancel", "{@K,'job':@J}", ""},
    {"Wait", "{'jobs':[@J]}", "more"},
    {"Lock", "{@K,'application':'shop','stage':'production','reason':'busy'}", ""},
    {"Lock", "{@K,'application':'shop','stage':'testing','reason':'busy','until':@T}", ""},
    {"Unlock", "{@K,'application':'shop','stage':'production'}", ""},
    {"RejectBuild", "{@K,'application':'shop','release':'1.0','build':2,'reason':'bad'}", ""},
    {"RestoreBuild", "{@K,'application':'shop','release':'1.0','build':2}", ""},
    {"PinBuild", "{@K,'application':'shop','release':'1.0','build':2,'reason':'dear'}", ""},
    {"UnpinBuild", "{@K,'application':'shop','release':'1.0','build':2}", ""},
    {"AddSchedule",
     "{@K,'application':'shop','stage':'production','release':'1.0','build':1,'calendar':'03:00 "
     "UTC'}",
     ""},
    {"AddSchedule",
     "{@K,'application':'shop','stage':'production','live':true,'calendar':'*-*-* "
     "04:00','zone':'UTC'}",
     ""},
    {"ListSchedules", "{}", ""},
    {"ListSchedules", "{'application':'shop','limit':1}", ""},
    {"GetSchedule", "{'schedule':@C}", ""},
    {"PauseSchedule", "{@K,'schedule':@C}", ""},
    {"ResumeSchedule", "{@K,'schedule':@C}", ""},
    {"RemoveSchedule", "{@K,'schedule':@C}", ONCE},
    {"Check", "{}", ""},
    {"Reload", "{@K}", ""},
    {"TestNotice", "{@K,'section':'team'}", ""},
    {"ListNotices", "{}", ""},
    {"VerifyBuilds", "{}", "more"},
    {"VerifyBuilds", "{'application':'shop','release':'1.0','build':1}", "more"},
    {"CollectBuilds", "{'dry_run':true}", ""},
    {"CollectBuilds", "{@K,'application':'shop'}", ""},
    {"SweepStore", "{}", "more"},
    {"Backup", "{}", "more"},
    {"Upload", "{'kind':'tar'}", "upgrade"},
    {"ListAudit", "{'application':'shop','limit':5}", ""},
    {"ListAudit", "{'refused':true}", ""},
    {"VerifyAudit", "{}", "more"},
    {"Drain", "{@K,'reason':'rest'}", ""},
    {"Drain", "{@K,'undo':true}", ""},
};

/* What is in the tables, as one number: each row's bytes. Not what is counted of refusals, and how
 * long bmd is alive. */
static uint64_t
content(void)
{
	static const char *const tables[] = {"keys",	  "builds",	  "artifacts", "jobs",
					     "steps",	  "irreversible", "stages",    "stack",
					     "successes", "collected",	  "schedules", "zones",
					     "damaged",	  "notices"};
	uint64_t h = 1469598103934665603U;

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		_cleanup_free_ char *sql = xasprintf("SELECT * FROM %s", tables[i]);
		sqlite3_stmt *st = NULL;

		ck_assert_int_eq(sqlite3_prepare_v2(bmd.store->db, sql, -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW)
			for (int k = 0; k < sqlite3_column_count(st); k++) {
				const unsigned char *p = sqlite3_column_text(st, k);

				for (; p && *p; p++)
					h = (h ^ *p) * 1099511628211U;
				h = (h ^ 255U) * 1099511628211U;
			}
		sqlite3_finalize(st);
	}
	return h;
}

static int64_t
number(const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n;

	statements_pause(true);
	ck_assert_int_eq(sqlite3_prepare_v2(bmd.store->db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	statements_pause(false);
	return n;
}

static bool
nobody_works(void)
{
	_cleanup_free_ char *name = xasprintf("/proc/self/task/%d/children", (int)getpid());
	_cleanup_fclose_ FILE *in = fopen(name, "re");

	return in && fgetc(in) == EOF;
}

/* Nothing runs, and what was told is done. Where bmd only waits, to try again, it does not wait
 * long. */
static void
calm(void)
{
	bool busy = false;
	double until = ev_time() + (double)PATIENCE_US / 1e6;

	do {
		ck_assert_msg(ev_time() < until, "a job does not end, behind: %s",
			      statements_failed());
		if (busy)
			pass();
		if (busy && nobody_works())
			moved++;
		for (int i = 0; i < 3; i++)
			ev_run(bmd.loop, EVRUN_NOWAIT);
		busy = true;
	} while (store_in_transaction(bmd.store) || number(ACTIVE) > 0);
}

static const char *
told(const json_t *reply)
{
	return json_get_string(json_object_get(reply, "parameters"), "message");
}

/* What may fail and is no error: an answer lacks what could not be read for it alone; and an
 * upload, a sweep and a backup, which change nothing in the database, go on without their row of
 * the audit. */
static bool
may_fail(const struct scene *scene)
{
	static const char *const rowless[] = {"Upload", "SweepStore", "Backup"};
	const char *statement = statements_failed();

	for (size_t i = 0; i < ARRAY_SIZE(rowless); i++)
		if (strcmp(scene->method, rowless[i]) == 0)
			return true;
	return strncmp(statement, "SELECT", 6) == 0 || strncmp(statement, "PRAGMA", 6) == 0;
}

/* Who was told FAILURE finds nothing of what he wanted. */
static void
check_refused(const struct scene *scene, const char *failure, const char *sentence, uint64_t before)
{
	ck_assert_msg(sentence && *sentence, "%s: no sentence for: %s", scene->method,
		      statements_failed());
	calm();
	ck_assert_msg(content() == before, "%s: %s, and it leaves something behind: %s",
		      scene->method, failure, statements_failed());
}

/* It is as the interface says, whatever it lacks. */
static void
take_answer(const struct scene *scene, const json_t *reply)
{
	const json_t *parameters = json_object_get(reply, "parameters");

	ck_assert_msg(!json_get_string(reply, "error"), "%s: %s: %s", scene->method,
		      json_get_string(reply, "error"), told(reply));
	ck_assert_msg(varlink_check(interface, scene->method, VARLINK_OUTPUT, parameters, &err) ==
			  0,
		      "%s, without %s: %s", scene->method, statements_failed(), err.text);
	job = json_get_int(json_object_get(parameters, "job"), "id", job);
	schedule = json_get_int(json_object_get(parameters, "schedule"), "id", schedule);
}

static void
hold(void)
{
	struct job held;

	OK(turn_begin(bmd.turn, &err));
	OK(store_job_get(bmd.store, job, &held, &err));
	OK(queue_hold(bmd.queue, &held, &err, "so"));
	job_clear(&held);
	calm();
}

static json_t *
ask(const struct scene *scene, const char *key)
{
	return call(scene->method, fill(scene->parameters, key),
		    strcmp(scene->flag, ONCE) == 0 ? "" : scene->flag);
}

/* Call I while the N-th statement fails. False: it passed. */
static bool
play(size_t i, int n, int code)
{
	static int keys;
	const struct scene *scene = &story[i];
	_cleanup_json_ json_t *reply = NULL;
	const char *failure;
	uint64_t before;
	char key[24];

	if (strcmp(scene->method, HOLD) == 0) {
		hold();
		return false;
	}
	calm();
	before = content();
	snprintf(key, sizeof(key), "k%d", ++keys);
	fault.method = scene->method;
	fault.n = n;
	fault.code = code;
	fault.stream = strcmp(scene->flag, "more") == 0;
	reply = ask(scene, key);
	statements_disarm();
	fault.method = NULL;
	failure = json_get_string(reply, "error");
	if (!failure) {
		take_answer(scene, reply);
		ck_assert_msg(!statements_struck() || may_fail(scene), "%s: nobody tells of: %s",
			      scene->method, statements_failed());
		return statements_struck() && strcmp(scene->flag, ONCE) != 0;
	}
	ck_assert_msg(statements_struck(), "%s: %s: %s", scene->method, failure, told(reply));
	check_refused(scene, failure, told(reply), before);
	return true;
}

static void
tell(int code)
{
	begin();
	for (size_t i = 0; i < ARRAY_SIZE(story); i++)
		for (int n = 0; play(i, n, code); n++)
			ck_assert_int_lt(n, STATEMENTS);
	calm();
	end();
}

static void
ask_plain(const char *method, const char *parameters, const char *key)
{
	_cleanup_json_ json_t *reply = call(method, fill(parameters, key), "");

	ck_assert_msg(!json_get_string(reply, "error"), "%s: %s", method, told(reply));
	job = json_get_int(json_object_get(json_object_get(reply, "parameters"), "job"), "id", job);
	schedule = json_get_int(json_object_get(json_object_get(reply, "parameters"), "schedule"),
				"id", schedule);
}

/* ---- what is asked wrongly */

/* @W: a reason that is too long. */
static const struct scene wrong[] = {
    {"AddBuild", "{@K,'application':'shop','release':'2.0','artifacts':[],@W}", ""},
    {"AddBuild", "{@K,'application':'shop','release':'2.0','artifacts':[],'note':5}", ""},
    {"AddBuild", "{@K,'application':'shop','release':'2/0','artifacts':[]}", ""},
    {"AddBuild",
     "{@K,'application':'shop','release':'2.0','artifacts':[{'name':'site','digest':'x'}]}", ""},
    {"AddBuild", "{@K,'application':'shop','release':'2.0','artifacts':[],'signature':'x'}", ""},
    {"RejectBuild", "{@K,'application':'shop','release':'1.0','build':1,@W}", ""},
    {"RejectBuild", "{@K,'application':'shop','release':'1.0','build':1,'reason':' '}", ""},
    {"RestoreBuild", "{@K,'application':'shop','release':'1.0','build':1,@W}", ""},
    {"PinBuild", "{@K,'application':'shop','release':'1.0','build':1,@W}", ""},
    {"UnpinBuild", "{@K,'application':'shop','release':'1.0','build':1,@W}", ""},
    {"CollectBuilds", "{@K,@W}", ""},
    {"Deploy",
     "{@K,'application':'shop','release':'1.0','build':1,'stage':'testing','now':true,@W}", ""},
    {"Deploy",
     "{@K,'application':'shop','release':'1.0','build':1,'stage':'testing','now':true,"
     "'grace_us':-5}",
     ""},
    {"Deploy", "{@K,'application':'shop','release':'1.0','build':1,'stage':'testing'}", ""},
    {"Redeploy", "{@K,'application':'shop','stage':'testing','now':true,@W}", ""},
    {"Cancel", "{@K,'job':@J,@W}", ""},
    {"Reschedule", "{@K,'job':@J,'at':@U,@W}", ""},
    {"Reschedule", "{@K,'job':@J}", ""},
    {"Reschedule", "{@K,'job':@J,'at':'x'}", ""},
    {"Release", "{@K,'job':@J,@W}", ""},
    {"TestNotice", "{@K,'section':'team',@W}", ""},
    {"AddSchedule",
     "{@K,'application':'shop','stage':'testing','live':true,'calendar':'03:00 UTC',@W}", ""},
    {"AddSchedule",
     "{@K,'application':'shop','stage':'testing','live':true,'calendar':'03:00 UTC',"
     "'grace_us':-5}",
     ""},
    {"AddSchedule", "{@K,'application':'shop','stage':'testing','live':true,'calendar':'x'}", ""},
    {"RemoveSchedule", "{@K,'schedule':@C,@W}", ""},
    {"PauseSchedule", "{@K,'schedule':@C,@W}", ""},
    {"ResumeSchedule", "{@K,'schedule':@C,@W}", ""},
    {"Lock", "{@K,'application':'shop','stage':'testing',@W}", ""},
    {"Lock", "{@K,'application':'shop','stage':'testing','reason':'x','until':'x'}", ""},
    {"Unlock", "{@K,'application':'shop','stage':'testing',@W}", ""},
    {"Settle", "{@K,'application':'shop','stage':'testing',@W}", ""},
    {"Settle", "{@K,'application':'shop','stage':'testing','reason':'x','build':1}", ""},
    {"Adopt", "{@K,'application':'shop','stage':'guarded','builds':[],@W}", ""},
    {"Adopt",
     "{@K,'application':'shop','stage':'guarded','reason':'x','builds':[{'release':'/"
     "','build':1}]}",
     ""},
    {"Reload", "{@K,@W}", ""},
    {"Drain", "{@K,@W}", ""},
    {"Wait", "{'jobs':[@J],'timeout_us':-5}", "more"},
    {"Wait", "{'jobs':[]}", "more"},
    {"Log", "{'job':@J,'after':-5}", "more"},
    {"ListHistory", "{'after':'x'}", ""},
    {"ListHistory", "{'since':'x'}", ""},
    {"ListQueue", "{'after':'5:x'}", ""},
    {"ListBuilds", "{'application':'shop','after':'x'}", ""},
    {"ListSchedules", "{'after':'x'}", ""},
    {"ListNotices", "{'after':'x'}", ""},
    {"ListAudit", "{'after':'x'}", ""},
    {"ListAudit", "{'since':'x'}", ""},
    {"Diff", "{'application':'shop','a':{'release':'1.0','build':1},'after':'x'}", "more"},
    {"GetManifest", "{'application':'shop','release':'1.0','build':1,'artifact':'site','after':-5}",
     "more"},
    {"VerifyAudit", "{'head':'x'}", "more"},
};

/* Who asks wrongly is told what is wrong, and has changed nothing. */
START_TEST(test_wrong)
{
	begin();
	ask_plain("AddBuild", "{@K,'application':'shop','release':'1.0','build':1,'artifacts':@0}",
		  "a");
	ask_plain("Deploy",
		  "{@K,'application':'shop','release':'1.0','build':1,'stage':'testing','at':@T}",
		  "b");
	ask_plain("AddSchedule",
		  "{@K,'application':'shop','stage':'production','release':'1.0','build':1,"
		  "'calendar':'03:00 UTC'}",
		  "c");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint64_t before;
		_cleanup_json_ json_t *reply = NULL;
		const char *failure;

		calm();
		before = content();
		reply = call(wrong[i].method, fill(wrong[i].parameters, "wrong"), wrong[i].flag);
		failure = json_get_string(reply, "error");
		ck_assert_msg(failure && told(reply) && *told(reply), "%s %s: %s", wrong[i].method,
			      wrong[i].parameters, failure ? failure : "it is taken");
		ck_assert_msg(!strstr(failure, "Unknown") && !strstr(failure, "NoSpace"),
			      "%s %s: %s", wrong[i].method, wrong[i].parameters, failure);
		calm();
		ck_assert_msg(content() == before, "%s %s leaves something behind", wrong[i].method,
			      wrong[i].parameters);
	}
	end();
}
END_TEST

/* ---- a run */

/* How often the step of the last job ran. */
static int
ran(void)
{
	_cleanup_free_ char *path = xasprintf("%s/ran", tree);
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	long long line;
	int n = 0;

	while (in && fscanf(in, "%lld", &line) == 1)
		n += line == job;
	return n;
}

/* The last job succeeded, and its step ran once. */
static void
check_run(int n)
{
	_cleanup_free_ char *succeeded = xasprintf(
	    "SELECT count(*) FROM jobs WHERE state = 'succeeded' AND id = %lld", (long long)job);

	ck_assert_msg(number(succeeded) == 1, "call %d: job %lld did not succeed behind: %s", n,
		      (long long)job, statements_failed());
	ck_assert_msg(ran() == 1, "call %d: job %lld ran %d times behind: %s", n, (long long)job,
		      ran(), statements_failed());
}

/* A deployment, while the N-th statement of all that comes of it fails, also of the commit of the
 * request itself, which is refused then. It succeeds all the same, and its step runs once. False:
 * there was no N-th. */
static bool
play_run(int n, int code)
{
	_cleanup_json_ json_t *reply = NULL;
	char key[32];

	calm();
	fault.method = "Deploy";
	fault.n = n;
	fault.code = code;
	fault.behind = true;
	snprintf(key, sizeof(key), "r%s%d", fault.family ? fault.family : "", n);
	reply = call(
	    "Deploy",
	    fill("{@K,'application':'shop','release':'1.0','build':1,'stage':'testing','now':true}",
		 key),
	    "");
	fault.method = NULL;
	fault.behind = false;
	calm();
	statements_disarm();
	fault_arm("", 0, 0);
	if (json_get_string(reply, "error")) {
		ck_assert_msg(statements_struck(), "%s", told(reply));
		return true;
	}
	job = json_get_int(json_object_get(json_object_get(reply, "parameters"), "job"), "id", 0);
	check_run(n);
	return statements_struck();
}

static void
tell_run(int code)
{
	begin();
	ask_plain("AddBuild", "{@K,'application':'shop','release':'1.0','build':1,'artifacts':[]}",
		  "first");
	statements_spare_commits(code != SQLITE_FULL);
	for (int n = 0; play_run(n, code); n++)
		ck_assert_int_lt(n, STATEMENTS);
	calm();
	end();
}

START_TEST(test_run_no_space)
{
	tell_run(SQLITE_FULL);
}
END_TEST

START_TEST(test_run_broken)
{
	tell_run(SQLITE_IOERR);
}
END_TEST

/* bmd is started anew beside a run, and the N-th statement of the recovery, and of all that comes
 * of it, fails. Where it does not start it says why, and starts the next time; the run has the end
 * that it has, and no second one. False: there was no N-th. */
static bool
play_recovery(int n, int code)
{
	char key[32];
	bool hit;
	int r;

	calm();
	snprintf(key, sizeof(key), "v%d", n);
	ask_plain(
	    "Deploy",
	    "{@K,'application':'shop','release':'1.0','build':1,'stage':'guarded','now':true}",
	    key);
	for (int i = 0;
	     i < 2000 && number("SELECT count(*) FROM jobs WHERE state = 'running'") == 0; i++)
		pass();
	stop();
	fault.n = n;
	fault.code = code;
	fault.behind = true;
	r = start();
	fault.behind = false;
	if (r < 0) {
		ck_assert_msg(statements_struck() && err.text && *err.text, "call %d: %d", n, r);
		statements_disarm();
		err_clear(&err);
		stop();
		OK(start());
	}
	serve();
	calm();
	hit = statements_struck();
	statements_disarm();
	check_run(n);
	return hit;
}

static void
tell_recovery(int code)
{
	begin();
	ask_plain("AddBuild", "{@K,'application':'shop','release':'1.0','build':1,'artifacts':[]}",
		  "first");
	statements_spare_commits(code != SQLITE_FULL);
	for (int n = 0; play_recovery(n, code); n++)
		ck_assert_int_lt(n, STATEMENTS);
	end();
}

START_TEST(test_recovery_no_space)
{
	tell_recovery(SQLITE_FULL);
}
END_TEST

START_TEST(test_recovery_broken)
{
	tell_recovery(SQLITE_IOERR);
}
END_TEST

/* The same, with the n-th call of the kernel: what a start needs is asked for again. */
START_TEST(test_run_calls)
{
	static const struct {
		const char *family;
		int code;
	} calls[] = {{"pipe", EMFILE},
		     {"fork", EAGAIN},
		     {"open", EMFILE},
		     {"watch", ENOMEM},
		     {"random", EINTR}};

	begin();
	ask_plain("AddBuild", "{@K,'application':'shop','release':'1.0','build':1,'artifacts':[]}",
		  "first");
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		fault.family = calls[i].family;
		for (int n = 1; n < CALLS; n++)
			(void)play_run(n, calls[i].code);
	}
	end();
}
END_TEST

/* ---- a bmd-run that talks nonsense */

/* In its place stands a copy of this test. Where there is something for it to say, in the file that
 * is named by its own path and NONSENSE, it gets ready as a bmd-run does, says it behind "go", and
 * leaves; else it goes on as the real one. Line 1: the run directory, line 2: what it says. */
#define FAKE	 "/runner/bmd-run"
#define NONSENSE ".nonsense"
#define REAL	 ".real"

static void
skip_frame(void)
{
	char byte = 1;

	while (byte && read(STDIN_FILENO, &byte, 1) == 1)
		;
}

static void
send_frame(const char *text)
{
	if (write(STDIN_FILENO, text, strlen(text) + 1) < 0)
		_exit(EXIT_FAILURE);
}

static int
talk_nonsense(const char *directory, const char *job_text, const char *nonsense)
{
	_cleanup_free_ char *run_folder = xasprintf("%s/%s", directory, job_text),
			    *lock_path = xasprintf("%s/lock", run_folder);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	(void)mkdir(run_folder, 0700);
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return EXIT_FAILURE;
	skip_frame(); /* the request */
	send_frame("{\"type\":\"ready\"}");
	skip_frame(); /* go */
	send_frame(nonsense);
	return EXIT_SUCCESS;
}

static int
be_bmd_run(const char *self, char **argv)
{
	_cleanup_free_ char *path = xasprintf("%s%s", self, NONSENSE),
			    *real = xasprintf("%s%s", self, REAL);
	char directory[256] = "", nonsense[4096] = "";
	_cleanup_fclose_ FILE *in = fopen(path, "re");

	if (!in || unlink(path) < 0 ||
	    fscanf(in, "%255[^\n]\n%4095[^\n]", directory, nonsense) != 2) {
		execv(real, argv);
		return EXIT_FAILURE;
	}
	return talk_nonsense(directory, argv[3], nonsense);
}

/* A result that is whole, and of another run. */
static char *
result_of_another(void)
{
	struct run_result result = {.job = 1,
				    .started_us = 1,
				    .finished_us = 2,
				    .state = "succeeded",
				    .began = true,
				    .signal = -1};
	_cleanup_json_ json_t *object = NULL;

	memset(result.run, 'f', sizeof(result.run) - 1);
	memset(result.request_digest, 'a', sizeof(result.request_digest) - 1);
	object = run_result_pack(&result);
	return json_dumps(object, JSON_COMPACT);
}

/* Whatever it says, it did not begin: the job is begun anew, by one that does. */
START_TEST(test_nonsense)
{
	_cleanup_free_ char *another = result_of_another();
	const char *const said[] = {"{\"type\":\"event\"}",
				    "{\"type\":\"event\",\"seq\":\"x\"}",
				    "{\"type\":\"result\"}",
				    another,
				    "{\"type\":\"refused\"}",
				    "{\"type\":\"refused\",\"code\":\"failed\",\"message\":\"no\"}",
				    "{\"type\":\"ready\"}",
				    "{\"type\":\"other\"}",
				    "{}",
				    "nonsense"};

	ck_assert_int_eq(
	    command("cd %s/runner && mv bmd-run bmd-run" REAL " && cp ../daemon/bmd bmd-run", tree),
	    0);
	begin();
	ask_plain("AddBuild", "{@K,'application':'shop','release':'1.0','build':1,'artifacts':[]}",
		  "first");
	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		_cleanup_free_ char *text = xasprintf("%s\n%s\n", runs, said[i]),
				    *key = xasprintf("n%zu", i),
				    *left = xasprintf("%s" FAKE NONSENSE, tree);

		write_file(FAKE NONSENSE, text);
		ask_plain("Deploy",
			  "{@K,'application':'shop','release':'1.0','build':1,'stage':'testing','"
			  "now':true}",
			  key);
		calm();
		ck_assert_msg(access(left, F_OK) < 0, "%s was not said", said[i]);
		check_run((int)i);
	}
	end();
	ck_assert_int_eq(command("cd %s/runner && mv bmd-run" REAL " bmd-run", tree), 0);
}
END_TEST

START_TEST(test_broken)
{
	tell(SQLITE_IOERR);
}
END_TEST

START_TEST(test_no_space)
{
	tell(SQLITE_FULL);
}
END_TEST

/* ---- the copy */

/* In a folder like bmd's; what it answers. */
static int
again_as_bmd(void)
{
	char folder[] = "/tmp/bmd-faults-methods-XXXXXX";
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL);
	int status;

	if (!mkdtemp(folder) ||
	    command("cd %s && mkdir daemon runner import && cp %s daemon/bmd && ln -s " TOP_BUILDDIR
		    "/runner/bmd-run runner && ln -s " TOP_BUILDDIR
		    "/import/bmd-import import && chmod 755 .",
		    folder, self) != 0)
		return EXIT_FAILURE;
	setenv(TREE, folder, 1);
	status = command("%s/daemon/bmd", folder);
	(void)command("rm -rf %s /dev/shm%s*", folder, folder + strlen("/tmp"));
	return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	_cleanup_free_ char *self = realpath("/proc/self/exe", NULL);
	Suite *suite;
	TCase *tcase;

	(void)argc;
	if (self && strlen(self) > strlen(FAKE) &&
	    strcmp(self + strlen(self) - strlen(FAKE), FAKE) == 0)
		return be_bmd_run(self, argv);
	tree = getenv(TREE);
	if (!tree)
		return again_as_bmd();
	file = xasprintf("%s/bmd.conf", tree);
	state = access("/dev/shm", W_OK) == 0 ? xasprintf("/dev/shm%s", tree + strlen("/tmp"))
					      : xasprintf("%s/state", tree);
	runs = xasprintf("%s-runs", state);
	socket_path = xasprintf("%s/control", tree);
	suite = suite_create("faults_methods");
	tcase = tcase_create("faults_methods");
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, test_broken);
	tcase_add_test(tcase, test_no_space);
	tcase_add_test(tcase, test_wrong);
	tcase_add_test(tcase, test_run_no_space);
	tcase_add_test(tcase, test_run_broken);
	tcase_add_test(tcase, test_run_calls);
	tcase_add_test(tcase, test_nonsense);
	tcase_add_test(tcase, test_recovery_no_space);
	tcase_add_test(tcase, test_recovery_broken);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
