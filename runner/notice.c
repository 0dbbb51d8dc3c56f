/* SPDX-License-Identifier: ISC */
/*
 * Who is told, and how, stands in root's configuration alone: bmd names the section and says what
 * happened. The command gets nothing but what is made here, and its whole tree ends with it.
 */
#include "runner/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "runner/child.h"
#include "runner/environ.h"
#include "runner/show.h"
#include "runner/tree.h"

#define TAIL_MAX   512 /* of what it prints, for the sentence */
#define LINES	   3
#define GRACE_S	   2.0
#define LEFTOVER_S 0.5
#define DRAIN_S	   0.5

/* The end of what comes over a pipe. */
struct tail {
	ev_io watcher;
	char text[TAIL_MAX];
	size_t n;
	bool ended;
};

struct delivery {
	struct run *run;
	const struct conf_notify *notify;
	struct child_user user;
	json_t *environment;
	struct tail out, err, report;
	ev_timer timer;
	bool late;
};

/* ---- what it is given */

/* Members of "data" under their names in the environment. */
static const struct {
	const char *variable, *member;
} given[] = {
    {"BM_EVENT", "event"},
    {"BM_TEXT", "text"},
    {"BM_HOST", "host"},
    {"BM_JOB", "job"},
    {"BM_APPLICATION", "application"},
    {"BM_STAGE", "stage"},
    {"BM_RELEASE", "release"},
    {"BM_BUILD", "build"},
    {"BM_PLAN", "plan"},
    {"BM_STEP", "step"},
    {"BM_RESULT", "result"},
    {"BM_REQUESTED_BY", "requested_by"},
};

static void
set(json_t *environment, const char *name, const char *value)
{
	json_object_set_new(environment, name, json_string(value));
}

static void
set_member(json_t *environment, const char *name, const json_t *value)
{
	char number[24] = "";

	if (json_is_integer(value))
		(void)snprintf(number, sizeof(number), "%" PRId64,
			       (int64_t)json_integer_value(value));
	set(environment, name, json_is_string(value) ? json_string_value(value) : number);
}

static int
make_environment(struct delivery *delivery, const struct errand_notice *notice, struct err *err)
{
	const struct conf_variables *own = &delivery->notify->environment;
	_cleanup_json_ json_t *body = NULL;
	json_t *environment = delivery->environment = json_object();
	const json_t *data;
	char attempt[16];
	int r =
	    json_parse(notice->body, strlen(notice->body), strlen(notice->body) + 1, &body, err);

	if (r < 0)
		return r;
	data = json_object_get(body, "data");
	set(environment, "PATH", ENVIRON_PATH);
	set(environment, "HOME", delivery->user.home);
	set(environment, "LANG", "C.UTF-8");
	for (size_t i = 0; i < own->n; i++)
		set(environment, own->v[i].name, own->v[i].value);
	set(environment, "USER", delivery->user.name);
	set(environment, "LOGNAME", delivery->user.name);
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		set_member(environment, given[i].variable, json_object_get(data, given[i].member));
	set_member(environment, "BM_TIME", json_object_get(body, "timestamp"));
	set(environment, "BM_NOTICE", notice->id);
	(void)snprintf(attempt, sizeof(attempt), "%d", notice->attempt);
	set(environment, "BM_ATTEMPT", attempt);
	return 0;
}

/* A file of its own instead of a pipe: nobody has to wait for a command that does not read. */
static int
make_input(const char *body, int *ret_fd, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("notice", MFD_CLOEXEC);
	size_t n = strlen(body);

	if (fd < 0 || write(fd, body, n) != (ssize_t)n || write(fd, "\n", 1) != 1 ||
	    lseek(fd, 0, SEEK_SET) != 0)
		return err_errno(err, errno, "cannot hold the notice in memory");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static char **
make_arguments(const struct delivery *delivery, struct err *err)
{
	const struct conf_strings *exec = &delivery->notify->exec;
	char **argv = xcalloc(exec->n + 1, sizeof(*argv));

	for (size_t i = 0; i < exec->n; i++)
		if (conf_expand(exec->v[i], delivery->environment, &argv[i], err) < 0) {
			environ_free(argv);
			return NULL;
		}
	return argv;
}

/* ---- what it says */

static void
on_tail(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct tail *tail = watcher->data;
	char buffer[4096];
	ssize_t n = read(watcher->fd, buffer, sizeof(buffer));
	size_t kept, came;

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		tail->ended = true;
		ev_io_stop(loop, watcher);
		return;
	}
	came = (size_t)n < TAIL_MAX ? (size_t)n : TAIL_MAX;
	kept = tail->n < TAIL_MAX - came ? tail->n : TAIL_MAX - came;
	memmove(tail->text, tail->text + tail->n - kept, kept);
	memcpy(tail->text + kept, buffer + (size_t)n - came, came);
	tail->n = kept + came;
}

static void
tail_begin(struct tail *tail, struct ev_loop *loop, int fd)
{
	ev_io_init(&tail->watcher, on_tail, fd, EV_READ);
	tail->watcher.data = tail;
	ev_io_start(loop, &tail->watcher);
}

static void
tail_end(struct tail *tail, struct ev_loop *loop)
{
	ev_io_stop(loop, &tail->watcher);
	close(tail->watcher.fd);
}

/* The last lines, "; " between them, as a new text; NULL when there is none. */
static char *
last_lines(const struct tail *tail)
{
	_cleanup_free_ char *text = xstrndup(tail->text, tail->n);
	char *rest = text, *line, *all = NULL;
	size_t lines = 0, skip;

	for (const char *p = text; *p; p++)
		lines += *p == '\n' && p[1] && p[1] != '\n';
	skip = lines + 1 > LINES ? lines + 1 - LINES : 0;
	while ((line = strsep(&rest, "\n"))) {
		_cleanup_json_ json_t *clean = json_bytes(line, strlen(line));
		char *longer;

		if (!*line || (skip > 0 && skip-- > 0))
			continue;
		longer =
		    xasprintf("%s%s%s", all ? all : "", all ? "; " : "", json_string_value(clean));
		free(all);
		all = longer;
	}
	return all;
}

/* ---- how it ended */

static int
refuse(const struct delivery *delivery, const char *how, struct err *err)
{
	_cleanup_free_ char *line = last_lines(&delivery->err);

	if (!line)
		line = last_lines(&delivery->out);
	return err_set(err, ERR_FAILED, "%s %s%s%s", delivery->notify->exec.v[0], how,
		       line ? ": " : "", line ? line : "");
}

static int
judge(const struct delivery *delivery, bool ended, int status, struct err *err)
{
	_cleanup_json_ json_t *report = NULL;
	const char *sentence = NULL;
	char how[64];

	if (json_parse(delivery->report.text, delivery->report.n, TAIL_MAX, &report, NULL) >= 0)
		sentence = json_get_string(report, "error");
	if (sentence)
		return err_set(err, ERR_FAILED, "%s", sentence);
	if (delivery->late) {
		(void)snprintf(how, sizeof(how), "did not end within %" PRId64 " s",
			       delivery->notify->timeout_us / 1000000);
		return refuse(delivery, how, err);
	}
	if (!ended)
		return refuse(delivery, "was stopped by shutdown", err);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status))
		(void)snprintf(how, sizeof(how), "exited with %d", WEXITSTATUS(status));
	else
		(void)snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
	return refuse(delivery, how, err);
}

/* ---- the attempt */

static void
on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	*(bool *)timer->data = true;
}

static void
wait_s(struct ev_loop *loop, double seconds, const bool *a, const bool *b)
{
	bool late = false;
	ev_timer timer;

	ev_now_update(loop);
	ev_timer_init(&timer, on_late, seconds, 0.);
	timer.data = &late;
	ev_timer_start(loop, &timer);
	while (!late && !(*a && *b))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
}

static void
stuck(const char *names, void *arg)
{
	const struct delivery *delivery = arg;

	(void)fprintf(stderr, "bmd-run: notice \"%s\": cannot be killed, still there: %s\n",
		      delivery->notify->name, names);
}

static int
attend(struct delivery *delivery, const struct child_started *started, struct err *err)
{
	struct run *run = delivery->run;
	bool ended;
	int status = 0;

	tree_watch(run->tree, started->pid);
	tail_begin(&delivery->out, run->loop, started->out);
	tail_begin(&delivery->err, run->loop, started->err);
	tail_begin(&delivery->report, run->loop, started->report);
	ev_now_update(run->loop);
	ev_timer_init(&delivery->timer, on_late, (double)delivery->notify->timeout_us / 1e6, 0.);
	delivery->timer.data = &delivery->late;
	ev_timer_start(run->loop, &delivery->timer);
	while (!tree_ended(run->tree, &status) && !delivery->late && run->stop == STOP_NONE)
		ev_run(run->loop, EVRUN_ONCE);
	ended = tree_ended(run->tree, &status);
	ev_timer_stop(run->loop, &delivery->timer);
	if (ended) {
		delivery->late = false;
		wait_s(run->loop, DRAIN_S, &delivery->out.ended, &delivery->err.ended);
	}
	tree_end(run->tree, ended ? LEFTOVER_S : GRACE_S, &run->stop_now, stuck, delivery);
	while (!delivery->report.ended) /* it is at its end: nobody holds it */
		ev_run(run->loop, EVRUN_ONCE);
	tail_end(&delivery->out, run->loop);
	tail_end(&delivery->err, run->loop);
	tail_end(&delivery->report, run->loop);
	return judge(delivery, ended, status, err);
}

static int
attempt(struct delivery *delivery, const struct errand_notice *notice, struct err *err)
{
	struct run *run = delivery->run;
	_cleanup_close_ int in = -1;
	struct child_started started;
	struct child child = {.user = &delivery->user, .directory = "/", .keep_fd = -1};
	char **argv = NULL, **envp = NULL;
	int r = make_environment(delivery, notice, err);

	if (r >= 0)
		r = make_input(notice->body, &in, err);
	if (r < 0)
		return r;
	argv = make_arguments(delivery, err);
	if (!argv)
		return -EINVAL;
	r = tree_open(run->loop, notice->id, NULL, &run->tree, err);
	if (r >= 0) {
		envp = environ_pack(delivery->environment);
		child.argv = argv;
		child.envp = envp;
		child.in = in;
		child.cgroup_fd = tree_cgroup_fd(run->tree);
		r = child_start(&child, &started, err);
	}
	if (r >= 0)
		r = attend(delivery, &started, err);
	environ_free(argv);
	environ_free(envp);
	return r;
}

static void
tell_status(const struct errand_notice *notice)
{
	_cleanup_free_ char *text =
	    xasprintf("notice %s to \"%s\", attempt %d", notice->id, notice->name, notice->attempt);

	show(text);
}

int
notice_deliver(struct run *run, const struct errand_notice *notice, struct err *err)
{
	struct delivery delivery = {.run = run};
	const char *user;
	int r;

	delivery.notify = conf_notify(run->conf, notice->scope, notice->name);
	if (!delivery.notify)
		return err_set(err, ERR_CONFIGURATION, "it is not configured any more");
	user = conf_notify_user(run->conf, notice->scope, delivery.notify);
	if (!*user && geteuid() == 0)
		return err_set(err, ERR_CONFIGURATION, "it has no user: write user = \"…\" in it");
	r = child_user_find(user, &delivery.user, err);
	if (r < 0)
		return r;
	tell_status(notice);
	r = attempt(&delivery, notice, err);
	child_user_clear(&delivery.user);
	json_decref(delivery.environment);
	return r;
}
