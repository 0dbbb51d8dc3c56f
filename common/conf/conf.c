/* SPDX-License-Identifier: ISC */
/* Files → text → nodes → one value, and back to nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf/confparse.h"
#include "common/json.h"
#include "common/names.h"
#include "common/time/when.h"
#include "common/xalloc.h"

#define RUN_SOCKET "/run/bmd/run.socket"

/* ---- problems */

void
conf_report(struct conf_parse *parse, struct conf_source *source, int line, const char *format, ...)
{
	struct conf_problem problem = {.serial = parse->nproblems, .line = line};
	_cleanup_free_ char *text = NULL, *place = NULL;
	va_list ap;

	while (problem.order < parse->nsources && parse->sources[problem.order] != source)
		problem.order++;
	if (source->place == CONF_MAIN)
		parse->fatal = true;
	if (source->nproblems++ > CONF_PROBLEMS_MAX)
		return;
	va_start(ap, format);
	if (source->nproblems > CONF_PROBLEMS_MAX)
		text = xstrdup("more mistakes than are shown: mend these first");
	else if (vasprintf(&text, format, ap) < 0)
		xalloc_die();
	va_end(ap);
	if (source->nproblems > CONF_PROBLEMS_MAX)
		problem.line = line = INT_MAX;
	place = line > 0 && line < INT_MAX ? xasprintf("%s:%d: %s", source->shown, line, text)
					   : xasprintf("%s: %s", source->shown, text);
	problem.text = json_terminal(place);
	XGROW(parse->problems, parse->nproblems, parse->problems_cap);
	parse->problems[parse->nproblems++] = problem;
}

int
conf_unread(struct conf_parse *parse, struct conf_source *source, const char *what, int number)
{
	parse->passing |= number == ENOMEM || number == EMFILE || number == ENFILE ||
			  number == EAGAIN || number == EINTR;
	conf_report(parse, source, 0,
		    number == EACCES ? "%s: %s: whoever runs bmd has to read it: chmod a+rX %s"
				     : "%s: %s",
		    what, strerror(number), source->path);
	return -number;
}

static int
compare_problems(const void *a, const void *b)
{
	const struct conf_problem *x = a, *y = b;

	if (x->cause != y->cause)
		return x->cause ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->serial < y->serial ? -1 : 1;
}

void
conf_problems_clear(struct conf_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++)
		free(problems->v[i]);
	free(problems->v);
	*problems = (struct conf_problems){0};
}

const char *
conf_nearest(const char *word, const char *(*at)(const void *, size_t), const void *of, size_t n)
{
	_cleanup_free_ const char **words = xcalloc(n + 1, sizeof(*words));

	for (size_t i = 0; i < n; i++)
		words[i] = at(of, i);
	return names_suggest(word, words, n);
}

/* ---- one file */

static void
drop_root(struct conf_source *source)
{
	conf_node_free(source->root);
	source->root = NULL;
}

/* Refuses what no tokenizer should see. 0, or -EINVAL after a report. */
static int
check_bytes(struct conf_parse *parse, struct conf_source *source, const char *text, size_t n)
{
	const char *nul = memchr(text, 0, n), *end = nul ? nul : text + n;
	int line = 1;

	if (!nul && names_text(text, n, true))
		return 0;
	for (const char *p = text; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		_cleanup_free_ char *one = xstrndup(p, (size_t)((stop ? stop : end) - p));

		if (!names_text(one, n, true) || !stop)
			break;
		line++;
		p = stop + 1;
	}
	if (nul)
		line = 1;
	for (const char *p = text; nul && p < nul; p++)
		line += *p == '\n';
	conf_report(parse, source, line,
		    nul ? "a NUL byte: this is not a text"
			: "this is not UTF-8: save the file as UTF-8");
	return -EINVAL;
}

/* TEXT has room for the sentinel behind its N bytes. Its nodes wait for their values:
 * read_values(). */
static void
read_text(struct conf_parse *parse, struct conf_source *source, char *text, size_t n)
{
	static const char sentinel[] = "\n" CONF_SENTINEL " = true\n";

	text[n] = '\0';
	if (check_bytes(parse, source, text, n) < 0)
		return;
	source->root = conf_lex(parse, source, text, n);
	if (!source->root)
		return;
	memcpy(text + n, sentinel, sizeof(sentinel));
	source->text = xstrdup(text);
}
#define TEXT_ROOM 32 /* for the sentinel */

/* Trust: commands that root runs are read from here. */
static int
check_trust(struct conf_parse *parse, struct conf_source *source, const struct stat *st,
	    const char *what)
{
	if (st->st_uid != 0 && st->st_uid != parse->world->uid) {
		conf_report(parse, source, 0, "the %s belongs to another user (%u): chown root it",
			    what, (unsigned)st->st_uid);
		return -EPERM;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		conf_report(parse, source, 0, "group or others can write this %s: chmod go-w it",
			    what);
		return -EPERM;
	}
	return 0;
}

static void
remember(struct conf *conf, const char *path, const struct stat *st)
{
	conf->files = xrealloc(conf->files, conf->nfiles + 1, sizeof(*conf->files));
	conf->files[conf->nfiles++] = (struct conf_file){
	    .path = xstrdup(path),
	    .mtime_us = (int64_t)st->st_mtim.tv_sec * WHEN_SECOND + st->st_mtim.tv_nsec / 1000,
	    .size = st->st_size,
	    .inode = st->st_ino,
	};
}

/* Opens what may be read as configuration. A descriptor, or -errno after a report. */
static int
open_file(struct conf_parse *parse, struct conf_source *source, struct stat *ret_st)
{
	_cleanup_close_ int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = errno;

	*ret_st = (struct stat){0};
	if (fd < 0) {
		(void)stat(source->path, ret_st);
		return conf_unread(parse, source, "cannot be opened", r);
	}
	if (fstat(fd, ret_st) < 0)
		return conf_unread(parse, source, "cannot be read", errno);
	if (!S_ISREG(ret_st->st_mode)) {
		conf_report(parse, source, 0, "this is not a regular file: %s",
			    S_ISDIR(ret_st->st_mode) ? "it is a directory"
						     : "it is a device, pipe or socket");
		return -EINVAL;
	}
	r = check_trust(parse, source, ret_st, "file");
	if (r < 0)
		return r;
	if (ret_st->st_size > CONF_FILE_MAX) {
		conf_report(parse, source, 0, "the file has %lld bytes: at most %d are read",
			    (long long)ret_st->st_size, CONF_FILE_MAX);
		return -EFBIG;
	}
	return TAKE_FD(fd);
}

/* Reads and judges one file. */
static int
read_file(struct conf_parse *parse, struct conf_source *source)
{
	_cleanup_free_ char *text = xcalloc(1, CONF_FILE_MAX + 1 + TEXT_ROOM);
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t n = 0;
	ssize_t got;

	fd = open_file(parse, source, &st);
	remember(parse->conf, source->path, &st);
	if (fd < 0)
		return fd;
	while (n <= CONF_FILE_MAX) {
		got = read(fd, text + n, CONF_FILE_MAX + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return conf_unread(parse, source, "cannot be read", errno);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n > CONF_FILE_MAX) {
		conf_report(parse, source, 0, "the file grows while it is read: read it again");
		return -EFBIG;
	}
	read_text(parse, source, text, n);
	return 0;
}

/* ---- the files */

static struct conf_source *
add_source(struct conf_parse *parse, enum conf_place place, const char *path, const char *shown)
{
	struct conf_source *source = xcalloc(1, sizeof(*source));

	source->place = place;
	source->path = xstrdup(path);
	source->shown = xstrdup(shown);
	XGROW(parse->sources, parse->nsources, parse->sources_cap);
	parse->sources[parse->nsources++] = source;
	return source;
}

static int
wanted(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

/* The names of a folder's files, sorted. Their number, 0 when there is no folder, or -errno. */
static int
list_folder(const char *path, struct dirent ***ret_entries)
{
	int n = scandir(path, ret_entries, wanted, by_name);

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	if (n == 0)
		free(TAKE(*ret_entries));
	return n;
}

/* A folder that cannot be trusted or read is a mistake of the main file's kind. */
static void
read_folder(struct conf_parse *parse, enum conf_place place, const char *path, const char *shown)
{
	struct conf_source *folder;
	struct dirent **entries = NULL;
	struct stat st;
	int n = list_folder(path, &entries);

	if (n == 0 && stat(path, &st) < 0)
		return;
	folder = add_source(parse, CONF_MAIN, path, shown);
	if (n < 0)
		(void)conf_unread(parse, folder, "the folder cannot be read", -n);
	else if (stat(path, &st) < 0)
		(void)conf_unread(parse, folder, "the folder cannot be read", errno);
	else if (check_trust(parse, folder, &st, "folder") == 0 && n > CONF_FILES_MAX)
		conf_report(parse, folder, 0, "the folder holds %d files: at most %d are read", n,
			    CONF_FILES_MAX);
	for (int i = 0; i < n && folder->nproblems == 0; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", path, entries[i]->d_name);
		_cleanup_free_ char *name = xasprintf("%s/%s", shown, entries[i]->d_name);

		(void)read_file(parse, add_source(parse, place, file, name));
	}
	free_entries(entries, n);
}

/* Whoever may write into the folder of the main file can put other files of a trusted owner in
 * their place. In one with the sticky bit only the owners of its entries can, and those are looked
 * at. */
static void
check_home(struct conf_parse *parse, const char *path, const char *shown)
{
	const char *slash = strrchr(shown, '/');
	_cleanup_free_ char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_free_ char *name =
	    slash ? xstrndup(shown, (size_t)(slash - shown)) : xstrdup(folder);
	struct stat st;

	if (stat(folder[0] ? folder : "/", &st) < 0)
		return; /* the file has told */
	if (st.st_mode & S_ISVTX)
		st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
	(void)check_trust(parse, add_source(parse, CONF_MAIN, folder, name[0] ? name : "/"), &st,
			  "folder");
}

/* Beside FILE: "folder/applications.d", without a "./" that was not typed. */
static char *
beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');

	return slash ? xasprintf("%.*s/%s", (int)(slash - file), file, name) : xstrdup(name);
}

static char *
absolute(const char *file)
{
	_cleanup_free_ char *here = NULL;

	if (file[0] == '/')
		return xstrdup(file);
	here = getcwd(NULL, 0);
	return here ? xasprintf("%s/%s", strcmp(here, "/") == 0 ? "" : here, file) : xstrdup(file);
}

/* ---- the value */

static void
strings_clear(struct conf_strings *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		free(strings->v[i]);
	free(strings->v);
}

static void
roles_clear(struct conf_roles *roles)
{
	for (size_t i = 0; i < CONF_ROLES_; i++)
		strings_clear(&roles->of[i]);
}

static void
variables_clear(struct conf_variables *variables)
{
	for (size_t i = 0; i < variables->n; i++) {
		free(variables->v[i].name);
		free(variables->v[i].value);
	}
	free(variables->v);
}

static void
step_clear(struct conf_step *step)
{
	free(step->name);
	free(step->deploy);
	free(step->to);
	strings_clear(&step->shared);
	strings_clear(&step->secrets);
	strings_clear(&step->exec);
	free(step->run);
	free(step->directory);
	free(step->user);
	variables_clear(&step->environment);
	strings_clear(&step->artifacts);
}

void
conf_plan_clear(struct conf_plan *plan)
{
	for (size_t i = 0; i < plan->nsteps; i++)
		step_clear(&plan->steps[i]);
	free(plan->steps);
	free(plan->name);
	free(plan->user);
	free(plan->file);
}

static void
stage_clear(struct conf_stage *stage)
{
	free(stage->name);
	free(stage->plan);
	free(stage->user);
	variables_clear(&stage->variables);
	strings_clear(&stage->open);
	strings_clear(&stage->require_signature);
	roles_clear(&stage->roles);
	variables_clear(&stage->secrets);
	free(stage->zone);
	conf_windows_free(stage->windows);
}

static void
schedule_clear(struct conf_schedule *schedule)
{
	free(schedule->name);
	free(schedule->on);
	free(schedule->build);
	free(schedule->to);
	free(schedule->reason);
	variables_clear(&schedule->variables);
}

void
conf_notify_clear(struct conf_notify *notify)
{
	free(notify->name);
	free(notify->user);
	strings_clear(&notify->exec);
	strings_clear(&notify->words);
	strings_clear(&notify->applications);
	strings_clear(&notify->stages);
	variables_clear(&notify->environment);
}

void
conf_application_clear(struct conf_application *application)
{
	for (size_t i = 0; i < application->nnotifies; i++)
		conf_notify_clear(&application->notifies[i]);
	free(application->notifies);
	for (size_t i = 0; i < application->nschedules; i++)
		schedule_clear(&application->schedules[i]);
	free(application->schedules);
	for (size_t i = 0; i < application->nstages; i++)
		stage_clear(&application->stages[i]);
	free(application->stages);
	free(application->name);
	free(application->user);
	free(application->file);
	variables_clear(&application->variables);
	roles_clear(&application->roles);
	variables_clear(&application->secrets);
}

void
conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->napplications; i++)
		conf_application_clear(&conf->applications[i]);
	for (size_t i = 0; i < conf->nplans; i++)
		conf_plan_clear(&conf->plans[i]);
	for (size_t i = 0; i < conf->nnotifies; i++)
		conf_notify_clear(&conf->notifies[i]);
	free(conf->notifies);
	for (size_t i = 0; i < conf->nfiles; i++)
		free(conf->files[i].path);
	free(conf->applications);
	free(conf->plans);
	free(conf->files);
	free(conf->path);
	free(conf->state_directory);
	free(conf->socket);
	free(conf->run_directory);
	free(conf->verify_every);
	free(conf->default_application);
	free(conf->user);
	variables_clear(&conf->variables);
	roles_clear(&conf->roles);
	variables_clear(&conf->secrets);
	free(conf);
}

const struct conf_application *
conf_application(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->napplications; i++)
		if (strcmp(conf->applications[i].name, name) == 0)
			return &conf->applications[i];
	return NULL;
}

const struct conf_stage *
conf_stage(const struct conf_application *application, const char *name)
{
	for (size_t i = 0; i < application->nstages; i++)
		if (strcmp(application->stages[i].name, name) == 0)
			return &application->stages[i];
	return NULL;
}

const struct conf_schedule *
conf_schedule(const struct conf_application *application, const char *name)
{
	for (size_t i = 0; i < application->nschedules; i++)
		if (strcmp(application->schedules[i].name, name) == 0)
			return &application->schedules[i];
	return NULL;
}

const struct conf_plan *
conf_plan(const struct conf *conf, const char *name)
{
	for (size_t i = 0; name && i < conf->nplans; i++)
		if (strcmp(conf->plans[i].name, name) == 0)
			return &conf->plans[i];
	return NULL;
}

/* ---- loading */

static struct conf *
defaults(const char *path)
{
	struct conf *conf = xcalloc(1, sizeof(*conf));

	conf->path = xstrdup(path);
	conf->state_directory = xstrdup("/var/lib/bmd");
	conf->socket = xstrdup("/run/bmd/control");
	conf->run_directory = xstrdup("");
	conf->verify_every = xstrdup("");
	conf->default_application = xstrdup("");
	conf->user = xstrdup("");
	conf->max_running = 4;
	conf->keep_runs = 10000;
	conf->keep_jobs = 10000;
	conf->upload_bytes = conf->upload_file = INT64_C(64) << 30;
	conf->upload_files = 1000000;
	conf->verify_rate = INT64_C(256) << 20;
	conf->disk_reserve = INT64_C(16) << 20;
	conf->upload_depth = 128;
	conf->upload_path = 4095;
	conf->upload_ratio = 1000;
	conf->grace_us = 30 * 60 * WHEN_SECOND;
	conf->horizon_us = 30 * INT64_C(86400) * WHEN_SECOND;
	conf->clock_settle_us = 60 * WHEN_SECOND;
	conf->max_waiting = 1000000;
	return conf;
}

/* What a default depends on, once all is read. */
static void
settle(struct conf_parse *parse)
{
	struct conf *conf = parse->conf;

	if (conf->launcher == CONF_LAUNCHER_AUTO)
		conf->launcher = access(parse->world->run_socket, F_OK) == 0 ? CONF_LAUNCHER_SYSTEMD
									     : CONF_LAUNCHER_FORK;
	if (!conf->run_directory[0]) {
		free(conf->run_directory);
		conf->run_directory = conf->launcher == CONF_LAUNCHER_SYSTEMD
					  ? xstrdup("/var/lib/bmd-run")
					  : xasprintf("%s/runs", conf->state_directory);
	}
	conf_roles_default(&conf->roles);
}

/* Takes out what is broken, so that the rest can run. */
static void
prune(struct conf_parse *parse)
{
	struct conf *conf = parse->conf;
	size_t kept = 0;

	for (size_t i = 0; i < conf->napplications; i++) {
		if (parse->applications[i].out)
			conf_application_clear(&conf->applications[i]);
		else
			conf->applications[kept++] = conf->applications[i];
	}
	conf->napplications = kept;
	kept = 0;
	for (size_t i = 0; i < conf->nplans; i++) {
		if (parse->plans[i].out)
			conf_plan_clear(&conf->plans[i]);
		else
			conf->plans[kept++] = conf->plans[i];
	}
	conf->nplans = kept;
}

static void
parse_clear(struct conf_parse *parse)
{
	for (size_t i = 0; i < parse->nsources; i++) {
		conf_node_free(parse->sources[i]->root);
		free(parse->sources[i]->path);
		free(parse->sources[i]->shown);
		free(parse->sources[i]->text);
		free(parse->sources[i]);
	}
	for (size_t i = 0; i < parse->nproblems; i++)
		free(parse->problems[i].text);
	free(parse->sources);
	free(parse->problems);
	free(parse->applications);
	free(parse->plans);
	conf_free(parse->conf);
}

/* All sources get their values, and become structs. 0, or -errno where they could not be asked for.
 */
static int
read_values(struct conf_parse *parse)
{
	int r = parse->flags & CONF_APART ? conf_values_apart(parse) : 0;

	for (size_t i = 0; i < parse->nsources; i++) {
		struct conf_source *source = parse->sources[i];

		if (!source->root)
			continue;
		if (r < 0 || (!(parse->flags & CONF_APART) && conf_values(parse, source) < 0))
			drop_root(source);
		else
			conf_read(parse, source);
	}
	return r;
}

/* Judges the whole, and hands over value and problems. R: what went wrong with the main file, or 0.
 */
static int
finish(struct conf_parse *parse, int r, struct conf **ret_conf, struct conf_problems *ret_problems)
{
	struct conf_problems problems = {0};
	int asked = read_values(parse);

	r = asked < 0 ? asked : r;
	settle(parse);
	conf_check(parse);
	/* First what could not be read: whoever has room for three of them wants these. */
	for (size_t i = 0; i < parse->nproblems; i++)
		parse->problems[i].cause = !parse->sources[parse->problems[i].order]->root;
	if (parse->nproblems > 0)
		qsort(parse->problems, parse->nproblems, sizeof(*parse->problems),
		      compare_problems);
	problems.fatal = parse->fatal;
	problems.v = xcalloc(parse->nproblems + 1, sizeof(*problems.v));
	for (; problems.n < parse->nproblems; problems.n++)
		problems.v[problems.n] = TAKE(parse->problems[problems.n].text);
	if (parse->passing)
		r = -EAGAIN;
	if (r == 0 && problems.n > 0 && (problems.fatal || !(parse->flags & CONF_TOLERANT)))
		r = -EINVAL;
	if (r == 0) {
		parse->conf->incomplete = problems.n > 0;
		prune(parse);
		*ret_conf = TAKE(parse->conf);
	}
	parse_clear(parse);
	*ret_problems = problems;
	return r;
}

int
conf_load_in(const struct conf_world *world, const char *file, unsigned flags,
	     struct conf **ret_conf, struct conf_problems *ret_problems)
{
	static const struct {
		enum conf_place place;
		const char *name;
	} folders[] = {{CONF_APPLICATIONS, "applications.d"}, {CONF_PLANS, "plans.d"}};
	_cleanup_free_ char *path = absolute(file);
	struct conf_parse parse = {.world = world, .flags = flags, .conf = defaults(path)};
	int r = read_file(&parse, add_source(&parse, CONF_MAIN, path, file));

	check_home(&parse, path, file);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *folder = beside(path, folders[i].name);
		_cleanup_free_ char *shown = beside(file, folders[i].name);

		read_folder(&parse, folders[i].place, folder, shown);
	}
	return finish(&parse, r, ret_conf, ret_problems);
}

int
conf_load_text(const struct conf_world *world, const char *text, size_t n, unsigned flags,
	       struct conf **ret_conf, struct conf_problems *ret_problems)
{
	_cleanup_free_ char *copy = xcalloc(1, n + TEXT_ROOM);
	struct conf_parse parse = {.world = world, .flags = flags, .conf = defaults("/bmd.conf")};

	memcpy(copy, text, n);
	read_text(&parse, add_source(&parse, CONF_MAIN, "/bmd.conf", "bmd.conf"), copy, n);
	return finish(&parse, 0, ret_conf, ret_problems);
}

/* Most errors of a name service that has no such name mean just that; these do not. */
static int
machine_user(const char *name, uid_t *ret_uid)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (!entry)
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE || errno == EAGAIN
			   ? -errno
			   : 0;
	*ret_uid = entry->pw_uid;
	return 1;
}

int
conf_load(const char *file, unsigned flags, struct conf **ret_conf,
	  struct conf_problems *ret_problems)
{
	const struct conf_world world = {
	    .uid = geteuid(), .user = machine_user, .run_socket = RUN_SOCKET};

	return conf_load_in(&world, file, flags, ret_conf, ret_problems);
}

int
conf_load_for(uid_t uid, const char *file, struct conf **ret_conf,
	      struct conf_problems *ret_problems)
{
	const struct conf_world world = {
	    .uid = uid, .user = machine_user, .run_socket = RUN_SOCKET};

	return conf_load_in(&world, file, uid == 0 ? CONF_RUN_AS_ROOT : 0, ret_conf, ret_problems);
}

/* ---- changes since */

static void
check_folder(const struct conf *conf, const char *name, json_t *changed)
{
	_cleanup_free_ char *folder = beside(conf->path, name);
	struct dirent **entries = NULL;
	int n = list_folder(folder, &entries);

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
		bool known = false;

		for (size_t j = 0; j < conf->nfiles && !known; j++)
			known = strcmp(conf->files[j].path, path) == 0;
		if (!known)
			json_array_append_new(changed, json_bytes(path, strlen(path)));
	}
	free_entries(entries, n);
}

json_t *
conf_changed(const struct conf *conf)
{
	json_t *changed = json_array();

	for (size_t i = 0; i < conf->nfiles; i++) {
		const struct conf_file *file = &conf->files[i];
		struct stat st = {0};

		if (stat(file->path, &st) == 0 && st.st_size == file->size &&
		    st.st_ino == file->inode &&
		    (int64_t)st.st_mtim.tv_sec * WHEN_SECOND + st.st_mtim.tv_nsec / 1000 ==
			file->mtime_us)
			continue;
		json_array_append_new(changed, json_bytes(file->path, strlen(file->path)));
	}
	check_folder(conf, "applications.d", changed);
	check_folder(conf, "plans.d", changed);
	return changed;
}

static void
add_unreadable(json_t *unreadable, const char *path, int mode)
{
	if (access(path, mode) < 0 && errno == EACCES)
		json_array_append_new(unreadable, json_bytes(path, strlen(path)));
}

json_t *
conf_unreadable(const struct conf *conf)
{
	static const char *const folders[] = {"applications.d", "plans.d"};
	json_t *unreadable = json_array();

	add_unreadable(unreadable, conf->path, R_OK);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *folder = beside(conf->path, folders[i]);
		struct dirent **entries = NULL;
		int n = list_folder(folder, &entries);

		add_unreadable(unreadable, folder, R_OK | X_OK);
		for (int j = 0; j < n; j++) {
			_cleanup_free_ char *path = xasprintf("%s/%s", folder, entries[j]->d_name);

			add_unreadable(unreadable, path, R_OK);
		}
		free_entries(entries, n);
	}
	return unreadable;
}
