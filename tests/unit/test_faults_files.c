/* SPDX-License-Identifier: ISC */
/*
 * The n-th call of the kernel fails, for each n, in what bmd-run and bmd-import do with files: the
 * store, placing, run folders, logs and records. Whatever fails says so; what must not be half is
 * whole or not there; and done again, without the fault, it succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/damage.h"
#include "artifact/files.h"
#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "artifact/place.h"
#include "common/conf/conf.h"
#include "common/json.h"
#include "common/run.h"
#include "common/runfolder.h"
#include "common/runlog.h"
#include "common/scope.h"
#include "common/xalloc.h"
#include "import/backup.h"
#include "import/collect.h"
#include "import/lists.h"
#include "import/verify.h"
#include "runner/begun.h"
#include "runner/folder.h"
#include "runner/places.h"
#include "runner/prune.h"
#include "runner/stamps.h"
#include "tests/campaign/fault.h"
#include "tests/unit/unit.h"

static char base[64], to[80], runs[80];
static struct objects *objects;
static struct manifest one, two; /* of what make_two() put into the store */
static struct err err;

#define OK(call)                                                                             \
	do {                                                                                 \
		int r_ = (call);                                                             \
		ck_assert_msg(r_ >= 0, "line %d: %s: %d %s", __LINE__, #call, r_, err.text); \
	} while (0)

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
forget_error(void)
{
	err_clear(&err);
	memset(&err, 0, sizeof(err));
}

static void
setup(void)
{
	strcpy(base, access("/dev/shm", W_OK) == 0 ? "/dev/shm/test_faults.XXXXXX"
						   : "/tmp/test_faults.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chmod(base, 0755), 0);
	snprintf(to, sizeof(to), "%s/srv", base);
	snprintf(runs, sizeof(runs), "%s/runs", base);
	umask(022);
}

static void
teardown(void)
{
	objects_close(TAKE(objects));
	manifest_clear(&one);
	manifest_clear(&two);
	(void)nftw(base, remove_one, 64, FTW_DEPTH | FTW_PHYS);
	forget_error();
}

/* ---- the store */

static int
open_store(void)
{
	return objects ? 0 : objects_open(base, true, &objects, &err);
}

static int
put(struct objects_import *import, const char *path, const char *text, struct manifest *manifest)
{
	struct objects_writer *writer = objects_writer_open(import);
	char digest[DIGEST_SIZE];
	int64_t size;
	int r = objects_writer_add(writer, text, strlen(text), &err);

	if (r < 0) {
		objects_writer_abort(writer);
		return r;
	}
	r = objects_writer_end(writer, digest, &size, &err);
	if (r == 0)
		manifest_add_file(manifest, path, false, size, digest);
	return r;
}

/* Two files, a link and an empty folder; TEXT is in one of the files. */
static int
import(const char *text, struct manifest *manifest)
{
	_cleanup_free_ char *list = NULL;
	struct objects_import *importing;
	char digest[DIGEST_SIZE];
	size_t n;
	int r = open_store();

	if (r < 0)
		return r;
	manifest_clear(manifest);
	*manifest = (struct manifest){0};
	r = objects_import_open(objects, &importing, &err);
	if (r < 0)
		return r;
	r = put(importing, "a/file", text, manifest);
	if (r == 0)
		r = put(importing, "b", "the same in both", manifest);
	manifest_add_link(manifest, "c", "b");
	manifest_add_directory(manifest, "d");
	if (r == 0)
		r = manifest_finish(manifest, &err);
	list = manifest_format(manifest, &n);
	if (r == 0)
		r = objects_publish(importing, list, n, digest, &err);
	objects_import_close(importing);
	if (r == 0) {
		_cleanup_free_ char *again = NULL;

		r = objects_get_manifest(objects, digest, &again, &n, &err);
	}
	return r;
}

static int
import_one(void)
{
	return import("first", &one);
}

static void
make_two(void)
{
	OK(import("first", &one));
	OK(import("second", &two));
}

static int
count_file(const char *digest, int64_t bytes, int64_t mtime_us, void *arg)
{
	(void)digest, (void)bytes, (void)mtime_us;
	++*(int *)arg;
	return 0;
}

static int
look_through(void)
{
	int n = 0, lock, r = objects_sweep(objects, &err);

	if (r == 0)
		r = objects_each(objects, OBJECTS_CONTENT, count_file, &n, &err);
	if (r == 0)
		r = objects_each(objects, OBJECTS_MANIFESTS, count_file, &n, &err);
	ck_assert(r < 0 || n == 5);
	if (r == 0)
		r = objects_verify(objects, one.v[0].digest, one.v[0].size);
	if (r == 0)
		r = objects_present(objects, one.v[0].digest, one.v[0].size);
	if (r == 0) {
		lock = objects_lock(objects, true, 0);
		r = lock < 0 ? lock : 0;
		if (lock >= 0)
			close(lock);
	}
	if (r < 0 && !err.text[0])
		(void)err_errno(&err, -r, "the store");
	return r;
}

static bool
nobody(const char *manifest, void *arg)
{
	(void)manifest, (void)arg;
	return false;
}

/* Remembered is remembered whole; forgetting and healing are no matter of errors. */
static int
damages(void)
{
	struct damages found = {0};
	char digest[DIGEST_SIZE];
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	text = manifest_format(&one, &n);
	digest_of(text, n, digest);
	damages_add(&found, "damaged", one.v[0].digest, one.v[0].size, one.v[0].path);
	r = damage_note(objects, digest, &found);
	damages_clear(&found);
	if (r == 0)
		r = damage_find(objects, digest, NULL, NULL);
	ck_assert_msg(r < 0 || r == 1, "noted, and not found: %d", r);
	(void)damage_any(objects);
	damage_heal(objects);
	damage_forget(objects, nobody, NULL);
	if (r < 0)
		(void)err_errno(&err, -r, "damage");
	return r;
}

/* ---- placing */

static const char *const none[] = {NULL};
static const char *const shared[] = {"log"};
static const char *const made[] = {"1.0-1"};

static void
note(const char *text, void *arg)
{
	(void)text, (void)arg;
}

static struct place
step(const struct manifest *manifest, const char *name)
{
	return (struct place){.objects = objects,
			      .manifest = manifest,
			      .to = to,
			      .name = name,
			      .job = 7,
			      .shared = shared,
			      .nshared = 1,
			      .made = none,
			      .needed = none,
			      .say = note};
}

static int
place(struct place wanted)
{
	struct place_outcome outcome;
	int r = place_deploy(&wanted, &outcome, &err);

	if (r == 0)
		place_outcome_clear(&outcome);
	return r;
}

/* What `current` shows is a whole build, or it is not there. */
static void
current_is_whole(void)
{
	_cleanup_free_ char *link = xasprintf("%s/current", to), *path = realpath(link, NULL),
			    *what = NULL, *also = NULL;

	if (path)
		ck_assert_msg(place_compare(&one, path, shared, 1, &what, NULL) == 0 ||
				  place_compare(&two, path, shared, 1, &also, NULL) == 0,
			      "current: %s; %s", what, also);
}

static int
place_first(void)
{
	return place(step(&one, "1.0-1"));
}

static int
place_second(void)
{
	struct place wanted = step(&two, "1.0-2");

	wanted.keep = 1;
	wanted.made = made;
	wanted.nmade = 1;
	return place(wanted);
}

static void
make_placed(void)
{
	make_two();
	OK(place_first());
}

static void
make_changed(void)
{
	_cleanup_free_ char *path = NULL, *extra = NULL;
	int fd;

	make_placed();
	path = xasprintf("%s/releases/1.0-1/b", to);
	extra = xasprintf("%s/releases/1.0-1/extra", to);
	fd = open(path, O_WRONLY | O_TRUNC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
	ck_assert_int_eq(mkdir(extra, 0755), 0);
}

static int
in_place(struct manifest *manifest)
{
	struct place wanted = step(manifest, "1.0-1");

	wanted.in_place = wanted.filled = true;
	return place(wanted);
}

static int
fill_in_place(void)
{
	return in_place(&one);
}
static int
change_in_place(void)
{
	return in_place(&two);
}

static void
make_in_place(void)
{
	make_two();
	OK(fill_in_place());
}

static int
tree(void)
{
	_cleanup_free_ char *path = xasprintf("%s/tree", base), *what = NULL;
	int r = place_tree(objects, &one, path, &err);

	if (r == 0)
		r = place_compare(&one, path, none, 0, &what, &err);
	if (r > 0)
		r = err_set(&err, ERR_FAILED, "%s", what);
	(void)nftw(path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
	return r;
}

static int
compare(void)
{
	_cleanup_free_ char *path = xasprintf("%s/releases/1.0-1", to), *what = NULL;
	int r = place_compare(&one, path, shared, 1, &what, &err);

	/* A file that cannot be read is a difference, named. */
	ck_assert(r <= 0 || what);
	if (r > 0)
		(void)err_set(&err, ERR_FAILED, "%s", what);
	return r > 0 ? -EIO : r;
}

static int
remove_tree(void)
{
	_cleanup_close_ int fd = open(to, O_RDONLY | O_DIRECTORY);
	int r = fd < 0 ? -errno : files_remove(fd, "releases");

	if (r < 0)
		(void)err_errno(&err, -r, "remove");
	return r;
}

/* ---- run folders */

#define RUN "0123456789abcdef0123456789abcdef"

static int64_t next_job;

static json_t *
started(void)
{
	struct run_started started = {.run = RUN, .boot = "boot", .pid = 1, .time_us = 1};

	return run_started_pack(&started, "plan");
}

static json_t *
event(void)
{
	struct run_event event = {
	    .seq = 1, .time_us = 1, .event = "begun", .step = -1, .exit_code = -1, .signal = -1};

	return run_event_pack(&event);
}

static json_t *
result(void)
{
	struct run_result result = {.run = RUN,
				    .job = next_job,
				    .started_us = 1,
				    .finished_us = 2,
				    .state = "succeeded",
				    .began = true,
				    .exit_code = 0,
				    .signal = -1};

	memset(result.request_digest, 'a', 64);
	return run_result_pack(&result);
}

/* A claim that failed is none: nobody takes the job for one that has begun. */
static int
claim_or_none(struct folder *folder)
{
	struct run_folder look;
	int r = folder_claim(folder, &err);

	fault_pause(1);
	ck_assert_int_eq(run_folder_look(runs, next_job, &look, NULL), 0);
	ck_assert_int_eq(look.has_started, r >= 0);
	fault_pause(0);
	return r;
}

/* A whole run, as its folder sees it. Never does the same job get a second claim. */
static int
run(void)
{
	_cleanup_json_ json_t *claim = started(), *begun = event(), *end = NULL;
	struct folder *folder;
	int fd = -1, r = folder_open(runs, ++next_job, (gid_t)-1, &folder, &err);

	if (r < 0)
		return r;
	r = folder_reserve(folder, 4096, &err);
	if (r >= 0)
		r = folder_listen(folder, &fd, &err);
	if (r >= 0)
		r = folder_prepare(folder, claim, &err);
	if (r >= 0)
		r = claim_or_none(folder);
	if (r >= 0)
		r = folder_event(folder, begun, true, &err);
	end = result();
	if (r >= 0)
		r = folder_result(folder, end, &err);
	folder_unlisten(folder);
	folder_close(folder);
	if (fd >= 0)
		close(fd);
	return r;
}

static void
make_runs(void)
{
	next_job = 0;
	for (int i = 0; i < 4; i++)
		OK(run());
}

static void
claimed_once(void)
{
	struct folder *folder;
	struct run_folder look;

	for (int64_t job = 1; job <= next_job; job++) {
		if (run_folder_look(runs, job, &look, NULL) < 0 || !look.has_started)
			continue;
		ck_assert_int_eq(folder_open(runs, job, (gid_t)-1, &folder, NULL), -EEXIST);
	}
}

static int
look_at_runs(void)
{
	_cleanup_json_ json_t *events = NULL;
	_cleanup_free_ int64_t *jobs = NULL;
	struct run_folder folder;
	int64_t highest;
	size_t n;
	int r = run_folder_look(runs, 1, &folder, &err);

	ck_assert_msg(r < 0 || (folder.exists && folder.has_started && folder.has_result),
		      "what cannot be read is said to be absent");
	if (r >= 0)
		r = run_folder_highest(runs, &highest, &err);
	if (r >= 0)
		r = run_folder_list(runs, &jobs, &n, &err);
	ck_assert(r < 0 || n == 4);
	if (r >= 0)
		r = run_folder_events(runs, 1, 0, &events, &err);
	return r;
}

static int prune_struck;

/* Whose folder went is known to have begun. */
static int
prune(void)
{
	const int64_t jobs[] = {1, 2, 3};
	int r = prune_folders(runs, jobs, ARRAY_SIZE(jobs), &err);
	_cleanup_close_ int fd = -1;
	struct run_folder folder;

	prune_struck = fault_struck();
	fault_arm("", 0, 0);
	fd = open(runs, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		ck_assert_msg((run_folder_look(runs, jobs[i], &folder, NULL) == 0 &&
			       folder.exists) ||
				  begun_is(fd, jobs[i]) == 1,
			      "job %d may begin again", (int)jobs[i]);
	return r;
}

static int
begun(void)
{
	_cleanup_close_ int fd = open(base, O_RDONLY | O_DIRECTORY);
	const int64_t jobs[] = {5, 80000};
	int r = fd < 0 ? -errno : begun_note(fd, jobs, 2);

	if (r >= 0)
		r = begun_is(fd, 80000);
	ck_assert(r < 0 || r == 1);
	if (r >= 0)
		r = begun_is(fd, 6);
	ck_assert(r <= 0);
	if (r < 0)
		(void)err_errno(&err, -r, "begun");
	return r;
}

/* What cannot be written is counted, and nobody waits for it. */
static int
logs(void)
{
	_cleanup_free_ char *path = xasprintf("%s/9", runs);
	_cleanup_json_ json_t *lines = NULL;
	_cleanup_close_ int fd = -1;
	struct runlog *log;
	int64_t next;
	int r;

	(void)mkdir(runs, 0755);
	(void)mkdir(path, 0755);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_errno(&err, errno, "a folder for a log");
	r = runlog_open(fd, &log, &err);
	if (r < 0)
		return r;
	for (int i = 0; i < 10; i++)
		runlog_line(log, i, "out", "step", "text", 4);
	runlog_flush(log);
	(void)runlog_dropped(log);
	runlog_close(log);
	return runlog_read(runs, 9, 0, 4096, &lines, &next, &err);
}

static int
records(void)
{
	_cleanup_close_ int fd = open(base, O_RDONLY | O_DIRECTORY);
	struct stamps_of of = {.real = "/srv/x", .name = "1.0-1", .digest = one.v[0].digest};
	struct files_stamps *stamps;
	struct places places;
	int r = fd < 0 ? err_errno(&err, errno, "base")
		       : places_change(fd, "/srv/x", 1, "1.0-1", NULL, 0, &err);

	if (r >= 0)
		r = places_read(fd, "/srv/x", &places, &err);
	if (r < 0)
		return r;
	ck_assert(places.filled && places.nmade == 1);
	places_clear(&places);
	/* A memory, no record. */
	stamps = stamps_load(fd, &of, &one, objects);
	if (stamps)
		stamps_save(fd, &of, stamps, one.n);
	stamps_free(stamps, one.n);
	stamps = stamps_load(fd, &of, &one, objects);
	stamps_free(stamps, one.n);
	stamps_forget(fd, "/srv/x", "1.0-1");
	return r;
}

/* ---- what bmd-import does apart from uploads: it is asked by a descriptor, and answers by another
 */

static int fault_code; /* of the play */
static char digests[2][DIGEST_SIZE];

static int
make_old(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	return type == FTW_F ? utimensat(AT_FDCWD, path, (struct timespec[2]){{1, 0}, {1, 0}}, 0)
			     : 0;
}

/* Both builds are in the store, and of old. */
static void
make_kept(void)
{
	const struct manifest *const kept[] = {&one, &two};
	_cleanup_free_ char *store = xasprintf("%s/store", base);
	size_t n;

	make_two();
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		_cleanup_free_ char *text = manifest_format(kept[i], &n);

		digest_of(text, n, digests[i]);
	}
	ck_assert_int_eq(nftw(store, make_old, 16, FTW_PHYS), 0);
}

/* A file with the first N digests and, where there is to be one, an end of the list. */
static int
questions(int n, bool end)
{
	char text[512];
	int used = 0, fd = memfd_create("questions", MFD_CLOEXEC);

	for (int i = 0; i < n; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s\n", digests[i]);
	if (end)
		used += snprintf(text + used, sizeof(text) - (size_t)used, "end %d\n", n);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, text, (size_t)used, 0), used);
	return fd;
}

static int
helper(int (*what)(int in, int out), int n, bool end)
{
	_cleanup_close_ int in = -1, out = -1;
	int r;

	fault_pause(1);
	in = questions(n, end);
	out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	fault_pause(0);
	r = what(in, out);
	if (r < 0 && !err.text[0])
		(void)err_errno(&err, -r, "helper");
	return r;
}

static int
call_verify(int in, int out)
{
	return verify_run(objects, in, out, 0, &err);
}
static int
call_collect(int in, int out)
{
	return collect_run(objects, in, out, &err);
}
static int
call_backup(int in, int out)
{
	return backup_run(objects, base, in, out, &err);
}
static int
call_lists(int in, int out)
{
	return lists_run(objects, in, out, &err);
}
static int
verify(void)
{
	return helper(call_verify, 2, false);
}
static int
collect(void)
{
	return helper(call_collect, 1, true);
}
static int
backup(void)
{
	return helper(call_backup, 2, true);
}
static int
lists(void)
{
	return helper(call_lists, 0, false);
}

static void
is_whole(const struct objects *store, int which)
{
	const struct manifest *manifest = which == 0 ? &one : &two;
	_cleanup_free_ char *text = NULL;
	size_t n;

	OK(objects_get_manifest(store, digests[which], &text, &n, &err));
	for (size_t i = 0; i < manifest->n; i++)
		if (manifest->v[i].kind == MANIFEST_FILE)
			ck_assert_int_eq(
			    objects_verify(store, manifest->v[i].digest, manifest->v[i].size), 0);
}

/* Whatever failed, nothing that is named went. */
static void
kept_is_whole(void)
{
	is_whole(objects, 0);
}

/* A backup has its name only when it is one; what the disk cannot read is in it as it is here. */
static void
backup_is_whole(void)
{
	_cleanup_free_ char *path = xasprintf("%s/backup", base);
	struct objects *copy;

	if (access(path, F_OK) < 0 || fault_code == EIO)
		return;
	OK(objects_open(path, false, &copy, &err));
	is_whole(copy, 0);
	is_whole(copy, 1);
	objects_close(copy);
}

/* ---- configuration */

static void
make_conf(void)
{
	static const char *const files[][2] = {
	    {"bmd.conf", "launcher = fork\n"},
	    {"applications.d/a.conf",
	     "application \"a\" { stages = {\"s\"} stage \"s\" { plan = \"p\" } }\n"},
	    {"plans.d/p.conf", "plan \"p\" { step \"one\" { run = 'true' } }\n"}};
	_cleanup_free_ char *applications = xasprintf("%s/applications.d", base),
			    *plans = xasprintf("%s/plans.d", base);

	ck_assert_int_eq(mkdir(applications, 0755), 0);
	ck_assert_int_eq(mkdir(plans, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", base, files[i][0]);
		FILE *file = fopen(path, "w");

		ck_assert_ptr_nonnull(file);
		fputs(files[i][1], file);
		ck_assert_int_eq(fclose(file), 0);
	}
}

/* All of it or none: a file that cannot be read is a mistake that is named. */
static int
read_conf(void)
{
	_cleanup_free_ char *path = xasprintf("%s/bmd.conf", base);
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r = conf_load(path, 0, &conf, &problems);

	ck_assert(r < 0 || (conf->napplications == 1 && conf->nplans == 1));
	if (r < 0)
		(void)err_set(&err, ERR_CONFIGURATION, "%s", problems.n ? problems.v[0] : "");
	conf_problems_clear(&problems);
	conf_free(conf);
	return r;
}

/* ---- the plays */

static void
make_nothing(void)
{
}

static const struct {
	const char *name;
	void (*make)(void);
	int (*play)(void);
	void (*then)(void); /* what must be true, come what may */
} plays[] = {
    {"open and import", make_nothing, import_one, NULL},
    {"import again", make_two, import_one, NULL},
    {"look through the store", make_two, look_through, NULL},
    {"damages", make_two, damages, NULL},
    {"place", make_two, place_first, current_is_whole},
    {"place the next", make_placed, place_second, current_is_whole},
    {"place what is there", make_placed, place_first, current_is_whole},
    {"place what was changed", make_changed, place_first,
     NULL}, /* until then `current` is what it was */
    {"fill in place", make_two, fill_in_place, NULL},
    {"change in place", make_in_place, change_in_place, NULL},
    {"a tree", make_two, tree, NULL},
    {"compare", make_placed, compare, NULL},
    {"remove", make_placed, remove_tree, NULL},
    {"a run", make_nothing, run, claimed_once},
    {"look at runs", make_runs, look_at_runs, NULL},
    {"prune", make_runs, prune, NULL},
    {"begun", make_nothing, begun, NULL},
    {"a log", make_nothing, logs, NULL},
    {"records", make_two, records, NULL},
    {"verify", make_kept, verify, NULL},
    {"collect", make_kept, collect, kept_is_whole},
    {"backup", make_kept, backup, backup_is_whole},
    {"lists", make_kept, lists, NULL},
    {"configuration", make_conf, read_conf, NULL},
};

static const struct {
	const char *family;
	int code;
} faults[] = {
    {"open", EIO},    {"open", EMFILE},	 {"stat", EIO},	   {"read", EIO},
    {"read", EINTR},  {"write", ENOSPC}, {"write", EINTR}, {"sync", EIO},
    {"name", ENOSPC}, {"mmap", ENOMEM},	 {"pipe", EMFILE}, {"random", EINTR},
};

/* The N-th call fails. False: there are not so many. */
static bool
strike(size_t i, size_t k, int n)
{
	bool struck;
	int r;

	setup();
	next_job = 0;
	plays[i].make();
	forget_error();
	fault_code = faults[k].code;
	fault_arm(faults[k].family, faults[k].code, n);
	r = plays[i].play();
	struck = fault_struck() || prune_struck;
	prune_struck = 0;
	fault_arm("", 0, 0);
	ck_assert_msg(r >= 0 || struck, "%s fails unprovoked: %s", plays[i].name, err.text);
	ck_assert_msg(r >= 0 || err.text[0], "%s: no sentence for %s %d", plays[i].name,
		      faults[k].family, n);
	ck_assert_msg(r >= 0 || faults[k].code != EINTR,
		      "%s: the interrupted %s %d is an error: %s", plays[i].name, faults[k].family,
		      n, err.text);
	if (plays[i].then)
		plays[i].then();
	if (r < 0) {
		forget_error();
		r = plays[i].play();
		ck_assert_msg(r >= 0, "%s, again after %s %d: %s", plays[i].name, faults[k].family,
			      n, err.text);
	}
	teardown();
	return struck;
}

START_TEST(each_call_fails)
{
	for (size_t k = 0; k < ARRAY_SIZE(faults); k++)
		for (int n = 1; strike((size_t)_i, k, n); n++)
			ck_assert_int_lt(n, 2000);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("faults of files");
	TCase *tcase = tcase_create("faults of files");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, each_call_fails, 0, (int)ARRAY_SIZE(plays));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
