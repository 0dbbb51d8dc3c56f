/* SPDX-License-Identifier: ISC */
/*
 * bmd: starts its parts in order, runs the loop, stops them in reverse. It stays in the foreground
 *and talks to stderr; runs that are under way when it ends go on without it.
 *
 *	bmd [-c FILE] [-n] [-h] [-V]
 */
#include <errno.h>
#include <malloc.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "artifact/objects.h"
#include "common/conf/conf.h"
#include "common/loop.h"
#include "common/notify.h"
#include "common/standard.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/audit.h"
#include "daemon/control/control.h"
#include "daemon/launch.h"
#include "daemon/log.h"
#include "daemon/methods/methods.h"
#include "daemon/notices.h"
#include "daemon/patrol.h"
#include "daemon/prune.h"
#include "daemon/queue/queue.h"
#include "daemon/records.h"
#include "daemon/sched/sched.h"
#include "daemon/store/store.h"
#include "daemon/turn.h"
#include "daemon/watchdog.h"

struct daemon {
	const char *file;
	unsigned flags; /* of conf_load() */
	struct conf *conf;
	struct ev_loop *loop;
	struct store *store;
	struct objects *objects;
	struct turn *turn;
	struct queue *queue;
	struct sched *sched;
	struct patrol *patrol;
	struct notices *notices;
	struct prune *prune;
	struct records *records;
	struct audit *audit;
	struct watchdog *watchdog;
	struct methods *methods;
	struct control *control;
	ev_signal term, interrupt, hangup;
	bool whole;		     /* every file of CONF could be read */
	struct reloading *reloading; /* the newest; NULL: none waits for its commit */
};

/* A configuration that waits for the commit of its schedules and of its row of the audit. */
struct reloading {
	struct daemon *daemon;
	struct conf *conf;
	struct event *told;
	struct reloading *older; /* of the same turn */
};

static void
usage(FILE *to)
{
	fprintf(to,
		"usage: bmd [-c FILE] [-n]\n"
		"  -c FILE  read FILE instead of " SYSCONFDIR "/bmd.conf\n"
		"  -n       check the configuration and exit\n"
		"  -h       this text (also --help)\n"
		"  -V       version (also --version)\n"
		"bmd stays in the foreground; bmctl talks to it. See bmd(8) and bmd.conf(5).\n");
}

/* ---- configuration */

static json_t *
texts_of(const struct conf_problems *problems)
{
	json_t *array = json_array();

	for (size_t i = 0; i < problems->n; i++)
		json_array_append_new(array, json_string(problems->v[i]));
	return array;
}

/* What cannot change under a bmd that runs: where its data are, and who starts its runs. */
static int
check_fixed(const struct conf *old, const struct conf *new, struct err *err)
{
	const char *what = strcmp(old->state_directory, new->state_directory) != 0
			       ? "state-directory"
			   : strcmp(old->run_directory, new->run_directory) != 0 ? "run-directory"
			   : strcmp(old->socket, new->socket) != 0		 ? "socket"
			   : old->launcher != new->launcher			 ? "launcher"
										 : NULL;
	int r;

	if (!what)
		return 0;
	r = err_set(err, ERR_CONFIGURATION, "%s: %s changed, which needs a restart of bmd",
		    new->path, what);
	err_field(err, "problems", json_pack("[s]", err ? err->text : ""));
	return r;
}

/* Makes the schedules of the database those of CONF, which the queue has for that alone: it is in
 * force later. By a clock that nobody believes no occurrence is reckoned: they follow when it has
 * settled. */
static int
sections(struct daemon *daemon, const struct conf *conf, bool whole, struct err *err)
{
	int r = turn_begin(daemon->turn, err);

	if (r < 0 || queue_doubted(daemon->queue))
		return r;
	queue_set_conf(daemon->queue, conf);
	r = queue_sections(daemon->queue, whole, clock_now_us(), err);
	queue_set_conf(daemon->queue, daemon->conf);
	return r;
}

static void
on_settled(void *arg)
{
	struct daemon *daemon = arg;
	_cleanup_err_ struct err err = ERR_INIT;
	/* In the turn of a reload its schedules are there already. */
	const struct reloading *next = daemon->reloading;

	if (sections(daemon, next ? next->conf : daemon->conf, next || daemon->whole, &err) < 0)
		log_error("the schedules of the configuration were not read: %s", err.text);
}

/* Without it bmd goes on: results wait in their run folders, then. */
static void
reserve(struct daemon *daemon)
{
	_cleanup_err_ struct err err = ERR_INIT;

	if (store_reserve(daemon->store, daemon->conf->disk_reserve, &err) < 0)
		log_warning("%s", err.text);
}

static int
read_again(struct daemon *daemon, struct conf **ret_conf, struct err *err)
{
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r = conf_load(daemon->file, daemon->flags, &conf, &problems);

	if (r < 0) {
		r = err_set(err, ERR_CONFIGURATION,
			    "the configuration was not read again and the running one stays: %s%s",
			    problems.n ? problems.v[0] : strerror(-r),
			    problems.n > 1 ? " (and more: bmctl check)" : "");
		err_field(err, "problems", texts_of(&problems));
	} else {
		r = check_fixed(daemon->conf, conf, err);
	}
	conf_problems_clear(&problems);
	if (r < 0)
		conf_free(conf);
	else
		*ret_conf = conf;
	return r;
}

static void
put_in_force(struct daemon *daemon, struct conf *conf)
{
	queue_set_conf(daemon->queue, conf);
	control_reload(daemon->control, conf);
	methods_set_problems(daemon->methods, NULL);
	conf_free(daemon->conf);
	daemon->conf = conf;
	daemon->whole = true;
	reserve(daemon);
	audit_keep(daemon->audit, conf->keep_audit_us);
	sched_reload(daemon->sched);
	patrol_reload(daemon->patrol);
	notices_reload(daemon->notices);
	prune_reload(daemon->prune);
	records_reload(daemon->records);
}

static void
reload_committed(void *arg, const struct err *failure)
{
	struct reloading *reloading = arg;

	for (struct reloading **at = &reloading->daemon->reloading; *at; at = &(*at)->older)
		if (*at == reloading) {
			*at = reloading->older;
			break;
		}
	if (failure) {
		conf_free(reloading->conf);
	} else {
		put_in_force(reloading->daemon, reloading->conf);
		log_event(reloading->told);
	}
	event_free(reloading->told);
	free(reloading);
}

/* All or nothing, also when the disk is full: what was refused is not in force. */
static int
reload(void *arg, const struct event *told, const struct conf **ret_conf, struct err *err)
{
	struct daemon *daemon = arg;
	struct reloading *reloading;
	struct conf *conf;
	int r = read_again(daemon, &conf, err);

	if (r < 0)
		return r;
	r = sections(daemon, conf, true, err);
	if (r < 0) {
		conf_free(conf);
		return r;
	}
	reloading = xcalloc(1, sizeof(*reloading));
	*reloading = (struct reloading){daemon, conf, event_copy(told), daemon->reloading};
	daemon->reloading = reloading;
	turn_after(daemon->turn, reload_committed, reloading);
	*ret_conf = conf;
	return 0;
}

/* Prints every problem as "file:line: …". */
static int
check_only(const char *file, unsigned flags)
{
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r = conf_load(file, flags, &conf, &problems);

	for (size_t i = 0; i < problems.n; i++)
		fprintf(stderr, "%s\n", problems.v[i]);
	conf_problems_clear(&problems);
	conf_free(conf);
	if (r < 0)
		return EXIT_FAILURE;
	puts("configuration ok");
	return EXIT_SUCCESS;
}

/* At start a broken application takes itself out and nothing else. */
static int
load(struct daemon *daemon, json_t **ret_problems)
{
	struct conf_problems problems = {0};
	int r = conf_load(daemon->file, daemon->flags | CONF_TOLERANT, &daemon->conf, &problems);

	for (size_t i = 0; i < problems.n; i++)
		log_error("%s", problems.v[i]);
	*ret_problems = texts_of(&problems);
	conf_problems_clear(&problems);
	if (r == -EAGAIN)
		log_error("bmd does not start without its configuration, which could not be read "
			  "this time");
	else if (r < 0)
		log_error(
		    "bmd does not start with a broken configuration: mend it, then bmd -n -c %s",
		    daemon->file);
	return r;
}

/* ---- the state folder */

/* A folder of one's own choice is outside of what the sandbox of bmd.service lets bmd write to. */
static int
outside(const char *path, const char *what, int number, struct err *err)
{
	(void)err_set(
	    err, ERR_FAILED,
	    "cannot write to the %s %s: %s: make it, give it to the user of bmd (uid %u) and, "
	    "under systemd, write [Service] and ReadWritePaths=%s by systemctl edit bmd.service",
	    what, path, strerror(number), (unsigned)geteuid(), path);
	return -number;
}

static int
make_folder(const char *path, const char *what, struct err *err)
{
	struct stat st;

	if (mkdir(path, 0711) < 0 && errno != EEXIST)
		return errno == EROFS || errno == EACCES
			   ? outside(path, what, errno, err)
			   : err_errno(err, errno, "cannot make the %s %s", what, path);
	if (stat(path, &st) < 0)
		return err_errno(err, errno, "cannot use the %s %s", what, path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "the %s %s is not a folder", what, path);
	if (st.st_uid != geteuid())
		return err_set(
		    err, ERR_FAILED,
		    "the %s %s belongs to uid %u, and bmd runs as uid %u: run bmd as its owner, or "
		    "chown it",
		    what, path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, ERR_FAILED,
			       "the %s %s can be written by others than its owner: chmod go-w %s",
			       what, path, path);
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0)
		return outside(path, what, errno, err);
	return 0;
}

static int
make_folders(const struct conf *conf, struct err *err)
{
	int r = make_folder(conf->state_directory, "state folder", err);

	/* With the launcher systemd it is bmd-run's. */
	if (r >= 0 && conf->launcher == CONF_LAUNCHER_FORK)
		r = make_folder(conf->run_directory, "run directory", err);
	return r;
}

/* ---- the loop */

/* What bmd tells of itself. */
static _printf_(2, 3) void say(enum event_kind kind, const char *format, ...)
{
	struct event event = {.kind = kind};
	va_list args;

	va_start(args, format);
	event.text = xvasprintf(format, args);
	va_end(args);
	log_event(&event);
	free(event.text);
}

static void
on_stop(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)events;
	say(EVENT_STOPPING, "stopping on signal %d; runs under way go on", watcher->signum);
	notify_stopping();
	ev_break(loop, EVBREAK_ALL);
}

/* The row of the audit comes first: what it cannot tell of is not done. */
static int
reload_told(struct daemon *daemon, const struct store_audit *row, struct err *err)
{
	char text[] = "configuration read again";
	const struct event told = {.kind = EVENT_RELOADED, .text = text};
	const struct conf *conf;
	int r = turn_begin(daemon->turn, err);

	if (r >= 0)
		r = store_refuse_low(daemon->store, err);
	if (r >= 0)
		r = turn_savepoint(daemon->turn, err);
	if (r < 0)
		return r;
	r = audit_done(daemon->audit, row, err);
	if (r >= 0)
		r = reload(daemon, &told, &conf, err);
	if (r < 0) {
		turn_rollback_savepoint(daemon->turn);
		return r;
	}
	r = turn_release(daemon->turn, err);
	turn_end(daemon->turn);
	if (r >= 0 && daemon->conf != conf)
		r = err_set(err, ERR_NO_SPACE,
			    "the configuration was not read again and the running one stays: no "
			    "room on disk to write that down");
	return r;
}

/* By whom is not known: only root and bmd's own user can send it. */
static void
on_hangup(struct ev_loop *loop, ev_signal *watcher, int events)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct daemon *daemon = watcher->data;
	struct store_audit row = {
	    .at_us = clock_now_us(),
	    .uid = -1,
	    .who = "SIGHUP",
	    .what = "Reload",
	};

	(void)loop, (void)events;
	notify_reloading();
	if (reload_told(daemon, &row, &err) < 0) {
		log_error("%s", err.text);
		row.error = err_word(err.code);
		row.text = err.text;
		audit_refused(daemon->audit, &row, err.code == ERR_NO_SPACE);
	}
	notify_ready();
}

static void
watch_signal(struct daemon *daemon, ev_signal *watcher, int signal,
	     void (*back)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, back, signal);
	watcher->data = daemon;
	ev_signal_start(daemon->loop, watcher);
	ev_unref(daemon->loop);
}

/* Clients are many. Helpers keep the limit that bmd was started with: sched has noted it. */
static void
raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
log_notes(const json_t *notes)
{
	json_t *note;
	size_t i;

	json_array_foreach (notes, i, note)
		log_error("%s", json_string_value(note));
}

static int
start(struct daemon *daemon, json_t *problems, struct err *err)
{
	int r = launch_check(err);

	if (r >= 0)
		r = make_folders(daemon->conf, err);
	if (r >= 0)
		r = store_open(daemon->conf->state_directory, &daemon->store, err);
	if (r >= 0)
		log_notes(store_notes(daemon->store));
	if (r >= 0)
		reserve(daemon);
	if (r >= 0)
		r = objects_open(daemon->conf->state_directory, true, &daemon->objects, err);
	if (r >= 0)
		r = objects_sweep(daemon->objects, err);
	if (r < 0)
		return r;
	daemon->turn = turn_new(daemon->loop, daemon->store);
	daemon->queue = queue_new(daemon->store, daemon->objects);
	queue_set_conf(daemon->queue, daemon->conf);
	daemon->whole = json_array_size(problems) == 0;
	daemon->watchdog = watchdog_new(daemon->loop, daemon->turn);
	daemon->sched = sched_new(daemon->loop, daemon->queue, daemon->turn);
	sched_on_settled(daemon->sched, on_settled, daemon);
	daemon->notices = notices_new(daemon->sched, daemon->queue, daemon->turn);
	raise_files();
	r = sched_recover(daemon->sched, err);
	if (r >= 0)
		r = sections(daemon, daemon->conf, daemon->whole, err);
	if (r == -ENOSPC) { /* what runs and what waits goes on without them */
		log_error("the schedules of the configuration were not read: %s", err->text);
		r = 0;
	}
	if (r < 0)
		return r;
	turn_end(daemon->turn);
	daemon->audit = audit_new(daemon->loop, daemon->store, daemon->turn);
	audit_keep(daemon->audit, daemon->conf->keep_audit_us);
	daemon->methods = methods_new(daemon->queue, daemon->sched, daemon->turn, daemon->objects,
				      daemon->audit, reload, daemon);
	(void)json_array_extend(problems, (json_t *)(uintptr_t)store_notes(daemon->store));
	methods_set_problems(daemon->methods, problems);
	daemon->patrol = patrol_new(daemon->sched, daemon->queue, daemon->turn, daemon->objects);
	methods_set_patrol(daemon->methods, daemon->patrol);
	notices_begin(daemon->notices);
	daemon->prune = prune_new(daemon->sched, daemon->queue);
	daemon->records = records_new(daemon->sched, daemon->queue, daemon->turn);
	methods_set_notices(daemon->methods, daemon->notices);
	r = control_new(daemon->loop, daemon->turn, daemon->conf, notify_listen_fd(), methods_call,
			daemon->methods, &daemon->control, err);
	methods_set_control(daemon->methods, daemon->control);
	return r;
}

/* At a start they stand in the journal, too: whoever is kept out cannot ask. */
static void
say_gate(const struct daemon *daemon)
{
	size_t i;
	const json_t *problem;

	json_array_foreach (control_problems(daemon->control), i, problem)
		log_warning("%s", json_string_value(problem));
}

static void
run(struct daemon *daemon)
{
	_cleanup_free_ char *path = control_path(daemon->control);

	say_gate(daemon);
	watch_signal(daemon, &daemon->term, SIGTERM, on_stop);
	watch_signal(daemon, &daemon->interrupt, SIGINT, on_stop);
	watch_signal(daemon, &daemon->hangup, SIGHUP, on_hangup);
	say(EVENT_READY, "bmd %s: %zu application%s, %zu plan%s, listening on %s", VERSION,
	    daemon->conf->napplications, daemon->conf->napplications == 1 ? "" : "s",
	    daemon->conf->nplans, daemon->conf->nplans == 1 ? "" : "s",
	    path ? path : daemon->conf->socket);
	notify_ready();
	(void)malloc_trim(0); /* a start reads more than is kept */
	ev_run(daemon->loop, 0);
	control_stop(daemon->control);
	turn_end(daemon->turn); /* what is in hand is committed and answered */
	ev_run(daemon->loop, EVRUN_NOWAIT);
	turn_end(daemon->turn);
}

static void
stop(struct daemon *daemon)
{
	control_free(daemon->control);
	if (daemon->audit) { /* the last commit says when bmd ended */
		if (turn_begin(daemon->turn, NULL) == 0)
			store_end(daemon->store);
		audit_end(daemon->audit, clock_now_us());
	}
	methods_free(daemon->methods);
	patrol_free(daemon->patrol);
	notices_free(daemon->notices);
	prune_free(daemon->prune);
	records_free(daemon->records);
	audit_free(daemon->audit);
	sched_free(daemon->sched);
	watchdog_free(daemon->watchdog);
	queue_free(daemon->queue);
	turn_free(daemon->turn);
	objects_close(daemon->objects);
	store_close(daemon->store);
	conf_free(daemon->conf);
}

static int
serve(struct daemon *daemon)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *problems = NULL;
	int r;

	signal(SIGPIPE, SIG_IGN);
	umask(022);
	if (load(daemon, &problems) < 0)
		return EXIT_FAILURE;
	daemon->loop = ev_default_loop(EVFLAG_AUTO);
	if (!daemon->loop) {
		log_error("libev cannot start its loop");
		return EXIT_FAILURE;
	}
	r = start(daemon, problems, &err);
	if (r < 0)
		log_error("%s", err.text);
	else
		run(daemon);
	stop(daemon);
	ev_loop_destroy(daemon->loop);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct daemon daemon = {.file = SYSCONFDIR "/bmd.conf",
				.flags = CONF_APART | (geteuid() == 0 ? CONF_RUN_AS_ROOT : 0)};
	static const struct option longer[] = {
	    {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	bool check = false;
	int option;

	standard_streams();
	loop_init("bmd");
	while ((option = getopt_long(argc, argv, "c:nhV", longer, NULL)) != -1)
		switch (option) {
		case 'c':
			daemon.file = optarg;
			break;
		case 'n':
			check = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("bmd " VERSION);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	if (optind < argc) {
		usage(stderr);
		return EX_USAGE;
	}
	log_init("bmd", NULL);
	return check ? check_only(daemon.file, daemon.flags) : serve(&daemon);
}
