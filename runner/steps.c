/* SPDX-License-Identifier: ISC */
/*
 * The plan, walked through in order. A step is one attempt or more; an attempt is a child,
 * sometimes two (the artifacts before it). The exit of the child decides; then its output is
 * drained for a moment, and whatever is left of its tree is ended, so that after a step nothing of
 * it is there. A stop (cancel, shutdown) or the timeout ends the child instead. Nothing here
 * returns an error: what goes wrong is the outcome of the attempt, with its sentence.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "runner/bounds.h"
#include "runner/child.h"
#include "runner/deploy.h"
#include "runner/environ.h"
#include "runner/memory.h"
#include "runner/output.h"
#include "runner/prepare.h"
#include "runner/secrets.h"
#include "runner/show.h"
#include "runner/steps.h"
#include "runner/tree.h"

#define REPORT_MAX (1024 * 1024)

/* What a child of ours answers over its pipe; empty when it came to execute. */
struct report {
	ev_io watcher;
	char *text;
	size_t n;
	bool ended;
};

struct attempt {
	struct run *run;
	const struct conf_step *step;
	struct child_user user;
	json_t *environment;
	ev_timer timer;
	bool timed_out;
	int64_t memory_kills, refused; /* of memory_kills() and bounds_refused(), before it began */
	struct report report;
	/* The outcome. */
	bool failed;
	bool stopped; /* by a cancel or shutdown, not by itself */
	int exit_code, signal;
	char message[512];
	char damaged[DIGEST_SIZE]; /* a stored file that was found so; "" for none */
};

static void
cleanup_environ(char ***strings)
{
	environ_free(*strings);
}

static void _printf_(2, 3) attempt_fail(struct attempt *attempt, const char *format, ...)
{
	va_list ap;

	attempt->failed = true;
	va_start(ap, format);
	vsnprintf(attempt->message, sizeof(attempt->message), format, ap);
	va_end(ap);
}

void
steps_span(int64_t us, char ret_text[64])
{
	static const struct {
		const char *name;
		int64_t us;
	} units[] = {
	    {"d", INT64_C(86400000000)},
	    {"h", INT64_C(3600000000)},
	    {"min", 60000000},
	    {"s", 1000000},
	    {"ms", 1000},
	    {"us", 1},
	};
	size_t used = 0;

	snprintf(ret_text, 64, "0s");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (us < units[i].us)
			continue;
		used += (size_t)snprintf(ret_text + used, 64 - used, "%" PRId64 "%s",
					 us / units[i].us, units[i].name);
		us %= units[i].us;
	}
}

static void
on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	*(bool *)timer->data = true;
}

static void
report_end(struct report *report, struct ev_loop *loop)
{
	if (report->ended)
		return;
	report->ended = true;
	ev_io_stop(loop, &report->watcher);
	close(report->watcher.fd);
}

static void
on_report(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct report *report = watcher->data;
	char buffer[4096];
	ssize_t n = read(watcher->fd, buffer, sizeof(buffer));

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0 || report->n + (size_t)n > REPORT_MAX) {
		report_end(report, loop);
		return;
	}
	report->text = xrealloc(report->text, report->n + (size_t)n, 1);
	memcpy(report->text + report->n, buffer, (size_t)n);
	report->n += (size_t)n;
}

static void
report_begin(struct report *report, struct ev_loop *loop, int fd)
{
	free(report->text);
	*report = (struct report){0};
	ev_io_init(&report->watcher, on_report, fd, EV_READ);
	report->watcher.data = report;
	ev_io_start(loop, &report->watcher);
}

/* What is still in the pipe of a child that has ended. */
static void
report_rest(struct report *report, struct ev_loop *loop)
{
	while (!report->ended) {
		size_t before = report->n;

		on_report(loop, &report->watcher, EV_READ);
		if (report->n == before)
			break; /* at its end, or somebody holds it: no more will come */
	}
	report_end(report, loop);
}

static void
stuck(const char *names, void *arg)
{
	struct attempt *attempt = arg;

	run_say(attempt->run, attempt->step->name,
		"cannot be killed, still there: %s; the run goes on when they are gone", names);
}

/* After the child: a moment for its output, then the end of whatever it left. */
static void
leftovers(struct attempt *attempt, struct output *output)
{
	struct run *run = attempt->run;
	char names[256];

	output_drain(output, RUNNER_DRAIN_S);
	if (tree_empty(run->tree))
		return;
	tree_names(names, sizeof(names));
	if (*names)
		run_say(run, attempt->step->name, "left behind, ending it: %s", names);
	tree_end(run->tree, RUNNER_LEFTOVER_S, &run->stop_now, stuck, attempt);
}

/* A program that gets no process more often says only that something failed. */
static const char *
crowded(const struct attempt *attempt)
{
	return bounds_refused(tree_cgroup(attempt->run->tree)) > attempt->refused
		   ? ", and tasks-max of the stage refused it a process meanwhile"
		   : "";
}

/* A process of a step that exits by itself may have been another's, if several runs share our
 * cgroup. */
static void
judge_status(struct attempt *attempt, int status)
{
	bool starved = attempt->memory_kills >= 0 &&
		       memory_kills(tree_cgroup(attempt->run->tree)) > attempt->memory_kills;
	const char *name;

	if (WIFEXITED(status)) {
		attempt->exit_code = WEXITSTATUS(status);
		if (attempt->exit_code != 0)
			attempt_fail(
			    attempt, "exited with %d%s%s", attempt->exit_code,
			    starved ? ", and the kernel killed a process meanwhile: out of memory"
				    : "",
			    crowded(attempt));
		return;
	}
	attempt->signal = WTERMSIG(status);
	name = sigabbrev_np(attempt->signal);
	attempt_fail(attempt, "killed by signal %d (%s)%s%s", attempt->signal, name ? name : "?",
		     starved && attempt->signal == SIGKILL ? ": out of memory" : "",
		     crowded(attempt));
}

/* A child that never came to execute, or whose placing failed, says why. */
static bool
judge_report(struct attempt *attempt)
{
	_cleanup_json_ json_t *object = NULL;
	const char *sentence, *stored;

	if (attempt->report.n == 0 ||
	    json_parse(attempt->report.text, attempt->report.n, REPORT_MAX, &object, NULL) < 0)
		return false;
	sentence = json_get_string(object, "error");
	stored = json_get_string(object, "object");
	if (sentence)
		attempt_fail(attempt, "%s", sentence);
	if (stored && digest_valid(stored))
		memcpy(attempt->damaged, stored, sizeof(attempt->damaged));
	return sentence != NULL;
}

static void
judge_stop(struct attempt *attempt)
{
	struct run *run = attempt->run;
	char span[64];

	if (attempt->timed_out) {
		steps_span(attempt->step->timeout_us, span);
		attempt_fail(attempt, "timed out after %s%s", span, crowded(attempt));
		return;
	}
	attempt->stopped = true;
	if (run->stop == STOP_SHUTDOWN)
		attempt_fail(attempt, "stopped by shutdown");
	else
		attempt_fail(attempt, "cancelled%s%s", *run->stop_by ? " by " : "", run->stop_by);
}

/* One child from its start until nothing of it is left. */
static void
attempt_child(struct attempt *attempt, struct child *child, const char *stream)
{
	struct run *run = attempt->run;
	_cleanup_err_ struct err err = ERR_INIT;
	struct child_started started;
	struct output *output;
	bool by_itself;
	int status;

	child->user = &attempt->user;
	child->cgroup_fd = tree_cgroup_fd(run->tree);
	attempt->memory_kills = memory_kills(tree_cgroup(run->tree));
	attempt->refused = bounds_refused(tree_cgroup(run->tree));
	failpoint("step-before");
	if (child_start(child, &started, &err) < 0) {
		attempt_fail(attempt, "%s", err.text);
		return;
	}
	failpoint("step-started");
	tree_watch(run->tree, started.pid);
	report_begin(&attempt->report, run->loop, started.report);
	output = output_open(run, attempt->step->name, stream, started.out, started.err);
	while (!tree_ended(run->tree, &status) && !attempt->timed_out && run->stop == STOP_NONE)
		ev_run(run->loop, EVRUN_ONCE);
	by_itself = tree_ended(run->tree, &status);
	failpoint("step-ended");
	/* What came first is why it ends: the timer must not ring while a cancelled one dies. */
	if (!by_itself) {
		ev_timer_stop(run->loop, &attempt->timer);
		tree_end(run->tree, RUNNER_GRACE_S, &run->stop_now, stuck, attempt);
	}
	leftovers(attempt, output);
	output_close(output);
	report_rest(&attempt->report, run->loop);
	if (tree_ended(run->tree, &status) && !judge_report(attempt))
		judge_status(attempt, status);
	if (!by_itself)
		judge_stop(attempt);
}

static void
attempt_exec(struct attempt *attempt)
{
	const struct conf_step *step = attempt->step;
	_cleanup_(cleanup_environ) char **envp = environ_pack(attempt->environment);
	_cleanup_(cleanup_environ) char **argv = xcalloc(step->exec.n + 5, sizeof(*argv));
	_cleanup_free_ char *directory = NULL;
	_cleanup_free_ int *keep = xcalloc(step->secrets.n + 1, sizeof(*keep));
	_cleanup_err_ struct err err = ERR_INIT;
	int r = conf_expand(step->directory, attempt->environment, &directory, &err);

	if (step->action == CONF_STEP_RUN) {
		argv[0] = xstrdup("/bin/sh");
		argv[1] = xstrdup("-eu");
		argv[2] = xstrdup("-c");
		argv[3] = xstrdup(step->run);
	}
	for (size_t i = 0; r >= 0 && step->action == CONF_STEP_EXEC && i < step->exec.n; i++)
		r = conf_expand(step->exec.v[i], attempt->environment, &argv[i], &err);
	if (r < 0) {
		attempt_fail(attempt, "%s", err.text);
		return;
	}
	attempt_child(attempt,
		      &(struct child){.directory = directory,
				      .argv = argv,
				      .envp = envp,
				      .keep = keep,
				      .nkeep = secrets_give(attempt->run->secrets, step,
							    &attempt->user, keep),
				      .keep_fd = -1},
		      "out");
}

static void
attempt_deploy(struct attempt *attempt)
{
	struct child child = {.directory = "/"};
	_cleanup_err_ struct err err = ERR_INIT;
	struct deploy *deploy;
	int r = deploy_begin(attempt->run, attempt->step, &attempt->user, attempt->environment,
			     &deploy, &child, &err);

	if (r < 0) {
		attempt_fail(attempt, "%s", err.text);
		return;
	}
	attempt_child(attempt, &child, "bmd");
	r = deploy_end(deploy, !attempt->failed, attempt->report.text ? attempt->report.text : "",
		       attempt->report.n, &err);
	if (r < 0 && !attempt->failed) {
		attempt->exit_code = -1; /* its child succeeded, and it did not */
		attempt_fail(attempt, "%s", err.text);
	}
	deploy_free(deploy);
}

static void
attempt_artifacts(struct attempt *attempt)
{
	struct child child = {.directory = "/"};
	struct deploy *deploy;

	deploy_artifacts(attempt->run, attempt->step, &attempt->user, &deploy, &child);
	attempt_child(attempt, &child, "bmd");
	attempt->exit_code = -1; /* not the step's */
	deploy_free(deploy);
}

static void
attempt_run(struct attempt *attempt)
{
	struct run *run = attempt->run;

	attempt->failed = attempt->timed_out = false;
	attempt->exit_code = attempt->signal = -1;
	attempt->message[0] = '\0';
	ev_now_update(run->loop);
	ev_timer_init(&attempt->timer, on_timeout, (double)attempt->step->timeout_us / 1e6, 0.);
	attempt->timer.data = &attempt->timed_out;
	if (attempt->step->timeout_us > 0)
		ev_timer_start(run->loop, &attempt->timer);
	if (attempt->step->artifacts.n > 0)
		attempt_artifacts(attempt);
	if (!attempt->failed && attempt->step->action == CONF_STEP_DEPLOY)
		attempt_deploy(attempt);
	else if (!attempt->failed)
		attempt_exec(attempt);
	ev_timer_stop(run->loop, &attempt->timer);
	if (attempt->failed)
		run_say(run, attempt->step->name, "%s", attempt->message);
}

/* The pause between attempts. A stop ends it, and the step. */
static void
pause_between(struct attempt *attempt, int number)
{
	struct run *run = attempt->run;
	bool over = false;
	ev_timer timer;
	char span[64];

	steps_span(attempt->step->delay_us, span);
	run_say(run, attempt->step->name, "attempt %d of %d failed, the next in %s", number,
		attempt->step->attempts, span);
	ev_now_update(run->loop);
	ev_timer_init(&timer, on_timeout, (double)attempt->step->delay_us / 1e6, 0.);
	timer.data = &over;
	ev_timer_start(run->loop, &timer);
	while (!over && run->stop == STOP_NONE)
		ev_run(run->loop, EVRUN_ONCE);
	ev_timer_stop(run->loop, &timer);
	attempt->timed_out = false; /* told already: from here on only a stop ends the step */
	if (run->stop != STOP_NONE)
		judge_stop(attempt);
}

static struct run_event
step_event(const struct attempt *attempt, const char *what, int index)
{
	struct run_event event = {.step = index,
				  .irreversible = attempt->step->irreversible,
				  .exit_code = -1,
				  .signal = -1};

	snprintf(event.event, sizeof(event.event), "%s", what);
	snprintf(event.name, sizeof(event.name), "%s", attempt->step->name);
	return event;
}

static void
show_attempt(const struct attempt *attempt, int index, int number)
{
	const struct run *run = attempt->run;
	const struct run_request *request = &run->request;
	_cleanup_free_ char *again = number > 1 ? xasprintf(", attempt %d", number) : NULL;
	_cleanup_free_ char *text =
	    xasprintf("job %" PRId64 ": %s %s to %s: step %d of %zu, %s%s", request->job,
		      request->application, names_build_text(&request->build).s, request->stage,
		      index + 1, run->plan->nsteps, attempt->step->name, again ? again : "");
	struct event event = {
	    .kind = EVENT_STEP, .job = request->job, .build = request->build, .text = text};

	(void)snprintf(event.application, sizeof(event.application), "%s", request->application);
	(void)snprintf(event.stage, sizeof(event.stage), "%s", request->stage);
	(void)snprintf(event.plan, sizeof(event.plan), "%s", run->plan->name);
	(void)snprintf(event.step, sizeof(event.step), "%s", attempt->step->name);
	(void)snprintf(event.requester, sizeof(event.requester), "%s", request->requested_by);
	show_event(&event);
}

static void
tell_begun(struct attempt *attempt, int index, int number)
{
	struct run_event event = step_event(attempt, "step-begun", index);

	event.attempt = number;
	run_tell(attempt->run, &event);
	show_attempt(attempt, index, number);
}

static void
tell_skipped(struct attempt *attempt, int index, const char *why)
{
	struct run_event event = step_event(attempt, "step-skipped", index);

	snprintf(event.state, sizeof(event.state), "%s", why);
	run_tell(attempt->run, &event);
}

static const char *
step_state(const struct attempt *attempt)
{
	if (!attempt->failed)
		return "succeeded";
	if (attempt->stopped)
		return attempt->run->stop == STOP_CANCEL ? "cancelled" : "failed";
	return attempt->step->ignore_failure ? "ignored" : "failed";
}

static void
tell_ended(struct attempt *attempt, int index, int number)
{
	struct run_event event = step_event(attempt, "step-ended", index);

	event.attempt = number;
	snprintf(event.state, sizeof(event.state), "%s", step_state(attempt));
	event.exit_code = attempt->exit_code;
	event.signal = attempt->signal;
	snprintf(event.message, sizeof(event.message), "%s", attempt->message);
	run_tell(attempt->run, &event);
}

/* All attempts of a step. */
static void
step_run(struct attempt *attempt, int index)
{
	struct run *run = attempt->run;
	_cleanup_err_ struct err err = ERR_INIT;
	int number = 0;

	run->result.began = true;
	for (;;) {
		number++;
		tell_begun(attempt, index, number);
		if (child_user_find(prepare_user(run, attempt->step), &attempt->user, &err) < 0) {
			attempt_fail(attempt, "%s", err.text);
			break;
		}
		attempt->environment = environ_make(run, attempt->step, &attempt->user);
		attempt_run(attempt);
		json_decref(attempt->environment);
		child_user_clear(&attempt->user);
		if (!attempt->failed || attempt->stopped || number >= attempt->step->attempts)
			break;
		pause_between(attempt, number);
		if (attempt->stopped)
			break;
	}
	tell_ended(attempt, index, number);
	free(attempt->report.text);
}

/* What the run's result owes to a step that did not succeed. */
static void
conclude(struct run *run, const struct attempt *attempt)
{
	struct run_result *result = &run->result;

	snprintf(result->state, sizeof(result->state), "%s", step_state(attempt));
	snprintf(result->failed_step, sizeof(result->failed_step), "%s", attempt->step->name);
	snprintf(result->message, sizeof(result->message), "%s", attempt->message);
	memcpy(result->damaged, attempt->damaged, sizeof(result->damaged));
	result->exit_code = attempt->exit_code;
	result->signal = attempt->signal;
	if (attempt->stopped && run->stop == STOP_CANCEL)
		memcpy(result->ended_by, run->stop_by, sizeof(result->ended_by));
}

void
steps_run(struct run *run)
{
	for (size_t i = 0; i < run->plan->nsteps; i++) {
		struct attempt attempt = {
		    .run = run, .step = &run->plan->steps[i], .exit_code = -1, .signal = -1};
		const char *why = prepare_skips(run, attempt.step);

		if (why) {
			tell_skipped(&attempt, (int)i, why);
			continue;
		}
		if (run->stop != STOP_NONE) { /* between two steps: this one does not begin */
			judge_stop(&attempt);
			conclude(run, &attempt);
			run->result.failed_step[0] = '\0';
			return;
		}
		step_run(&attempt, (int)i);
		run->result.exit_code = attempt.exit_code;
		run->result.signal = attempt.signal;
		if (attempt.failed && strcmp(step_state(&attempt), "ignored") != 0) {
			conclude(run, &attempt);
			return;
		}
	}
	strcpy(run->result.state, "succeeded");
	run->result.exit_code = run->result.began ? 0 : -1;
	run->result.signal = -1;
}
