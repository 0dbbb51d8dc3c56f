/* SPDX-License-Identifier: ISC */
/*
 * bmd-run: one run of one job. Born with a connection to bmd as its standard input, it reads the
 * request, checks everything, says "ready", waits for "go", claims the run and walks through the
 * plan. From the claim on it needs nobody: whether bmd lives changes nothing in what it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/errand.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/standard.h"
#include "common/xalloc.h"
#include "runner/channel.h"
#include "runner/child.h"
#include "runner/deploy.h"
#include "runner/errands.h"
#include "runner/folder.h"
#include "runner/prepare.h"
#include "runner/show.h"
#include "runner/steps.h"
#include "runner/tree.h"

#define FLUSH_S	     5.0  /* for readers of the end */
#define EVENT_BYTES  1024 /* room on disk for one */
#define ROOM_MAX     (4 * 1024 * 1024)
#define RESULT_TRIES 30 /* a second apart */

static int
usage(void)
{
	fputs("usage: bmd-run -c FILE [JOB]\nbmd starts this program: see bmd-run(8)\n", stderr);
	return 2;
}

static int
complain(const struct err *err)
{
	_cleanup_free_ char *text = json_terminal(err->text);

	fprintf(stderr, "bmd-run: %s\n", text);
	return 1;
}

static void
on_term(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct run *run = watcher->data;

	(void)loop;
	(void)events;
	if (run->stop == STOP_SHUTDOWN)
		run->stop_now = true;
	if (run->stop == STOP_NONE)
		run->stop = STOP_SHUTDOWN;
}

/* The connection leaves the place of standard input, which no child may find it at. */
static int
take_connection(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3),
	    null = open("/dev/null", O_RDWR | O_CLOEXEC), r;

	do
		r = fd < 0 || null < 0 ? -1 : dup2(null, STDIN_FILENO);
	while (r < 0 && fd >= 0 && null >= 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
		if (fcntl(i, F_GETFD) < 0)
			dup2(null, i);
	if (null > STDERR_FILENO)
		close(null);
	return fd;
}

/* Room for each event that the plan can bring, within reason. */
static size_t
events_room(const struct run *run)
{
	size_t events = 2;

	for (size_t i = 0; i < run->plan->nsteps; i++)
		events += 1 + (size_t)run->plan->steps[i].attempts;
	return events * EVENT_BYTES < ROOM_MAX ? events * EVENT_BYTES : ROOM_MAX;
}

static const char *
folder_code(int r)
{
	return r == -EBUSY ? "locked" : r == -EEXIST ? "started" : "failed";
}

/* From the request to a folder that is ours, with the room it needs and a socket that is found. */
static int
get_ready(struct run *run, const char **ret_code, struct err *err)
{
	int listen_fd = -1;
	int r = folder_open(run->conf->run_directory, run->request.job,
			    channel_reader(run->channel), &run->folder, err);

	*ret_code = folder_code(r);
	if (r < 0)
		return r;
	failpoint("run-locked");
	r = prepare_run(run, ret_code, err);
	if (r < 0)
		return r;
	*ret_code = "failed";
	r = folder_reserve(run->folder, events_room(run), err);
	if (r >= 0 &&
	    (r = tree_open(run->loop, run->request.run, &run->stage->limits, &run->tree, err)) <
		0 &&
	    err->code == ERR_CONFIGURATION)
		*ret_code = "configuration";
	if (r >= 0)
		r = folder_listen(run->folder, &listen_fd, err);
	if (r >= 0)
		channel_listen(run->channel, listen_fd);
	return r;
}

/* What the claim will say, on disk while bmd commits *running*: it is there before "go" is. */
static int
prepare_claim(struct run *run, struct err *err)
{
	struct run_started started = {.pid = getpid(), .time_us = run_now_us()};
	_cleanup_json_ json_t *object = NULL;

	memcpy(started.run, run->request.run, sizeof(started.run));
	run_boot_id(started.boot);
	snprintf(started.cgroup, sizeof(started.cgroup), "%s", tree_cgroup(run->tree));
	object = run_started_pack(&started, run->plan_text);
	return folder_prepare(run->folder, object, err);
}

static int
claim(struct run *run, struct err *err)
{
	int r = runlog_open(folder_fd(run->folder), &run->log, err);

	run->result.started_us = run_now_us();
	return r < 0 ? r : folder_claim(run->folder, err);
}

static void
on_pause(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	*(bool *)timer->data = true;
}

static void
pause_s(struct run *run, double seconds)
{
	bool over = false;
	ev_timer timer;

	ev_now_update(run->loop);
	ev_timer_init(&timer, on_pause, seconds, 0.);
	timer.data = &over;
	ev_timer_start(run->loop, &timer);
	while (!over)
		ev_run(run->loop, EVRUN_ONCE);
	ev_timer_stop(run->loop, &timer);
}

/* The result, told and made durable. bmd commits it meanwhile, and speaks of it only when that is
 * done: whoever hears of the end hears of one that is on disk, here or there. A disk that does not
 * take it is asked again for a while. */
static int
finish(struct run *run)
{
	_cleanup_json_ json_t *object = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	int r = -EIO;

	deploy_clean(run);
	if (runlog_dropped(run->log) > 0)
		run_say(run, NULL, "%" PRId64 " bytes of output were not kept",
			runlog_dropped(run->log));
	runlog_close(TAKE(run->log));
	run->result.finished_us = run_now_us();
	object = run_result_pack(&run->result);
	channel_tell(run->channel, object);
	failpoint("result-told");
	for (int i = 0; r < 0 && i < RESULT_TRIES; i++) {
		if (i > 0)
			pause_s(run, 1.);
		r = folder_result(run->folder, object, &err);
	}
	channel_flush(run->channel, FLUSH_S);
	folder_unlisten(run->folder);
	failpoint("run-over");
	return r < 0 ? complain(&err) : 0;
}

static int
refuse(struct run *run, const char *code, const struct err *err)
{
	_cleanup_json_ json_t *message = run_refused_pack(code, err->text);

	channel_answer(run->channel, message);
	channel_flush(run->channel, FLUSH_S);
	return complain(err);
}

/* JOB is what bmd said when it forked us; 0 under systemd, which knows of a connection only. */
static int
request_read(struct run *run, const json_t *object, int64_t job, struct err *err)
{
	int r = run_request_unpack(object, &run->request, err);

	if (r >= 0 && job && run->request.job != job)
		r = err_set(err, ERR_FAILED,
			    "the request is for job %" PRId64
			    ", this bmd-run was started for %" PRId64,
			    run->request.job, job);
	if (r < 0)
		return r;
	run->result.job = run->request.job;
	run->result.exit_code = run->result.signal = -1;
	memcpy(run->result.run, run->request.run, sizeof(run->result.run));
	run_request_digest(&run->request, run->result.request_digest);
	return 0;
}

static int
job_run(struct run *run, int64_t job)
{
	_cleanup_json_ json_t *ready = run_message("ready");
	struct run_event begun = {.event = "begun", .step = -1, .exit_code = -1, .signal = -1};
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_err_ struct err unasked = ERR_INIT;
	const char *code = "failed", *conf_code = "failed";
	/* While the request is on its way. */
	int conf_r = prepare_configuration(run, &conf_code, &unasked);

	child_users_warm();
	_cleanup_json_ json_t *object = NULL;
	int r = channel_request(run->channel, &object, &err);

	if (r < 0)
		return 0; /* launched ahead and not needed, or bmd is gone: nothing has happened */
	if (errand_type(json_get_string(object, "type")))
		return errand_run(run, object, conf_r < 0 ? &unasked : NULL);
	r = request_read(run, object, job, &err);
	failpoint("run-request");
	if (r >= 0 && conf_r < 0)
		conf_r = prepare_configuration_again(run, &conf_code, &unasked);
	if (r >= 0 && conf_r < 0)
		return refuse(run, conf_code, &unasked);
	if (r >= 0)
		r = get_ready(run, &code, &err);
	if (r < 0)
		return refuse(run, code, &err);
	failpoint("run-ready-before");
	channel_answer(run->channel, ready);
	failpoint("run-ready-after");
	r = prepare_claim(run, &err);
	if (channel_await_go(run->channel) < 0) {
		folder_unlisten(run->folder);
		return 0; /* nothing has happened */
	}
	failpoint("run-go");
	if (r >= 0)
		r = claim(run, &err);
	if (r < 0)
		return refuse(run, folder_code(r), &err);
	failpoint("run-claimed");
	run_tell(run, &begun);
	steps_run(run);
	return finish(run);
}

static struct ev_loop *
make_loop(void)
{
	loop_init("bmd-run");
	return ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
}

int
main(int argc, char **argv)
{
	struct run run = {0};
	_cleanup_free_ char *conf_file = xstrdup(SYSCONFDIR "/bmd.conf");
	_cleanup_err_ struct err err = ERR_INIT;
	ev_signal term, interrupt;
	char *end = NULL;
	int64_t job;
	int option, fd, status;

	standard_streams();
	run.loop = make_loop();
	while ((option = getopt(argc, argv, "c:")) != -1) {
		if (option != 'c')
			return usage();
		free(conf_file);
		conf_file = xstrdup(optarg);
	}
	errno = 0;
	job = optind == argc - 1 ? strtoll(argv[optind], &end, 10) : 0;
	if (errno || optind < argc - 1 || (end && (job < 1 || *end)))
		return usage();
	show_init(argc, argv);
	run.conf_file = conf_file;
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	fd = take_connection();
	if (fd < 0 || !run.loop) {
		err_errno(&err, fd < 0 ? -fd : ENOMEM, "cannot set up standard input");
		return complain(&err);
	}
	ev_signal_init(&term, on_term, SIGTERM);
	ev_signal_init(&interrupt, on_term, SIGINT);
	term.data = interrupt.data = &run;
	ev_signal_start(run.loop, &term);
	ev_signal_start(run.loop, &interrupt);
	if (channel_open(&run, fd, &run.channel, &err) < 0)
		return complain(&err);
	status = job_run(&run, job);
	channel_close(run.channel);
	tree_close(run.tree);
	runlog_close(run.log);
	if (run.folder)
		folder_close(run.folder); /* the lock: last of what is seen */
	prepare_clear(&run);
	ev_loop_destroy(run.loop);
	return status;
}
