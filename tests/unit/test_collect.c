/* SPDX-License-Identifier: ISC */
/* bmd-import --gc: what is listed, young or shared stays whole; in doubt nothing goes; uploads and
 * it keep each other out. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "import/collect.h"
#include "tests/unit/unit.h"

#define QUIET_MS 60    /* so long nothing may come */
#define SOON_MS	 10000 /* so long something may take */

static char state[64];
static struct objects *objects;

static void
set_up(void)
{
	strcpy(state, "/tmp/test_collect.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(state));
	ck_assert_int_eq(objects_open(state, true, &objects, NULL), 0);
	signal(SIGPIPE, SIG_IGN);
}

static void
tear_down(void)
{
	objects_close(objects);
	unit_remove(state);
}

/* ---- what is in the store */

/* Stages one file for each letter of LETTERS, whose content it is, and a manifest of them. */
static void
stage(struct objects_import *import, const char *letters, struct manifest *manifest)
{
	for (const char *p = letters; *p != '\0'; p++) {
		struct objects_writer *writer = objects_writer_open(import);
		char digest[DIGEST_SIZE], path[2] = {*p, '\0'};
		int64_t size;

		ck_assert_int_eq(objects_writer_add(writer, p, 1, NULL), 0);
		ck_assert_int_eq(objects_writer_end(writer, digest, &size, NULL), 0);
		manifest_add_file(manifest, path, false, size, digest);
	}
	ck_assert_int_eq(manifest_finish(manifest, NULL), 0);
}

static void
publish(struct objects_import *import, struct manifest *manifest, char ret_digest[DIGEST_SIZE])
{
	_cleanup_free_ char *text = NULL;
	size_t n;

	text = manifest_format(manifest, &n);
	ck_assert_int_eq(objects_publish(import, text, n, ret_digest, NULL), 0);
	manifest_clear(manifest);
	objects_import_close(import);
}

static char *
manifest_path(const char *digest)
{
	return xasprintf("%s/store/manifests/%s", state, digest);
}

/* An artifact that was uploaded DAYS ago. */
static void
artifact(const char *letters, int days, char ret_digest[DIGEST_SIZE])
{
	struct manifest manifest = {0};
	struct objects_import *import;
	_cleanup_free_ char *path = NULL;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	stage(import, letters, &manifest);
	publish(import, &manifest, ret_digest);
	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_sec -= days * 86400;
	path = manifest_path(ret_digest);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* The letters whose objects are there and whole. */
static const char *
whole(const char *letters)
{
	static char found[32];
	size_t n = 0;

	for (const char *p = letters; *p != '\0'; p++) {
		char digest[DIGEST_SIZE];

		digest_of(p, 1, digest);
		if (objects_verify(objects, digest, 1) == 0)
			found[n++] = *p;
	}
	found[n] = '\0';
	return found;
}

static bool
listed(const char *digest)
{
	_cleanup_free_ char *path = manifest_path(digest);

	return access(path, F_OK) == 0;
}

/* ---- the collector */

struct collector {
	pid_t pid;
	int fd;
};

static struct collector
collector(void)
{
	struct collector c;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c.pid = fork();
	ck_assert_int_ge(c.pid, 0);
	if (c.pid == 0) {
		struct objects *own;

		/* As after exec: no lock of the test's is the child's, too. */
		dup2(pair[1], STDIN_FILENO);
		close_range(3, ~0U, 0);
		if (objects_open(state, false, &own, NULL) < 0)
			_exit(99);
		_exit(collect_run(own, STDIN_FILENO, STDIN_FILENO, NULL) < 0);
	}
	close(pair[1]);
	c.fd = pair[0];
	return c;
}

static bool
comes(int fd, int ms)
{
	struct pollfd in = {.fd = fd, .events = POLLIN};

	return poll(&in, 1, ms) > 0;
}

/* The next object that it says; NULL at its end. */
static json_t *
hears(const struct collector *c)
{
	char frame[4096];

	for (size_t n = 0; n < sizeof(frame); n++) {
		ck_assert_msg(comes(c->fd, SOON_MS), "nothing comes");
		if (read(c->fd, frame + n, 1) <= 0)
			return NULL;
		if (frame[n] == '\0')
			return json_loads(frame, 0, NULL);
	}
	ck_abort_msg("too long");
}

static void
locked(const struct collector *c)
{
	_cleanup_json_ json_t *object = hears(c);

	ck_assert(json_get_bool(object, "locked"));
}

static void
says(const struct collector *c, const char *text)
{
	ck_assert_int_eq(write(c->fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Its end: the exit code; what is gone in RET_OBJECTS. */
static int
ends(struct collector *c, int64_t *ret_objects)
{
	int status;

	shutdown(c->fd, SHUT_WR);
	for (json_t *object; (object = hears(c)) != NULL; json_decref(object))
		if (json_object_get(object, "done"))
			*ret_objects = json_get_int(json_object_get(object, "done"), "objects", -1);
	close(c->fd);
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- the tests */

START_TEST(what_is_listed_stays_whole)
{
	char kept[DIGEST_SIZE], gone[DIGEST_SIZE], young[DIGEST_SIZE];
	_cleanup_free_ char *list = NULL;
	struct collector c;
	int64_t n = -1;

	set_up();
	artifact("abc", 9, kept);
	artifact("bcdef", 9, gone);
	artifact("fg", 0, young);
	list = xasprintf("%s\nend 1\n", kept);
	c = collector();
	locked(&c);
	says(&c, list);
	ck_assert_int_eq(ends(&c, &n), 0);
	ck_assert_int_eq(n, 2);
	ck_assert_str_eq(whole("abcdefg"), "abcfg");
	ck_assert(listed(kept) && listed(young) && !listed(gone));
	tear_down();
}
END_TEST

/* What an upload put before it was killed is no manifest's. */
START_TEST(left_overs_go)
{
	struct manifest manifest = {0};
	char kept[DIGEST_SIZE];
	struct objects_import *import;
	_cleanup_free_ char *list = NULL;
	_cleanup_free_ char *path = NULL;
	char digest[DIGEST_SIZE];
	struct collector c;
	int64_t n = -1;

	set_up();
	artifact("a", 9, kept);
	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	stage(import, "xy", &manifest);
	publish(import, &manifest, digest);
	path = manifest_path(digest);
	ck_assert_int_eq(unlink(path), 0);
	list = xasprintf("%s\nend 1\n", kept);
	c = collector();
	locked(&c);
	says(&c, list);
	ck_assert_int_eq(ends(&c, &n), 0);
	ck_assert_str_eq(whole("axy"), "a");
	tear_down();
}
END_TEST

/* In doubt nothing goes. An @ is a listed manifest that is there; DAMAGE: and which is damaged. */
static const struct {
	int line;
	const char *list;
	bool damage;
} doubts[] = {
    {__LINE__, "", false},
    {__LINE__, "@\n", false},
    {__LINE__, "@\nend 2\n", false},
    {__LINE__, "@\nend 0\n", false},
    {__LINE__, "@\n@\nend 2\n", false},
    {__LINE__, "end\n", false},
    {__LINE__, "../../../etc/passwd\nend 1\n", false},
    {__LINE__, "@\n0000000000000000000000000000000000000000000000000000000000000000\nend 2\n",
     false},
    {__LINE__, "@\nend 1\n", true},
};

/* TEXT with DIGEST for each @. free() */
static char *
filled(const char *text, const char *digest)
{
	char *list = xstrdup("");

	for (; *text != '\0'; text++) {
		char *longer =
		    *text == '@' ? xasprintf("%s%s", list, digest) : xasprintf("%s%c", list, *text);

		free(list);
		list = longer;
	}
	return list;
}

START_TEST(in_doubt_nothing_goes)
{
	char kept[DIGEST_SIZE], other[DIGEST_SIZE];
	_cleanup_free_ char *path = NULL;

	set_up();
	artifact("ab", 9, kept);
	artifact("cd", 9, other);
	path = manifest_path(kept);
	for (size_t i = 0; i < ARRAY_SIZE(doubts); i++) {
		_cleanup_free_ char *list = filled(doubts[i].list, kept);
		struct collector c;
		int64_t n = -1;

		if (doubts[i].damage)
			ck_assert_int_eq(truncate(path, 20), 0);
		c = collector();
		locked(&c);
		says(&c, list);
		ck_assert_msg(ends(&c, &n) == 1, "line %d", doubts[i].line);
		ck_assert_msg(strcmp(whole("abcd"), "abcd") == 0, "line %d", doubts[i].line);
		ck_assert(listed(kept) && listed(other));
	}
	tear_down();
}
END_TEST

/* It waits for an upload that goes on; what that brings is not in its list, and stays. */
START_TEST(an_upload_goes_first)
{
	struct manifest manifest = {0};
	char old[DIGEST_SIZE], fresh[DIGEST_SIZE];
	struct objects_import *import;
	struct collector c;
	int64_t n = -1;

	set_up();
	artifact("ab", 9, old);
	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	/* "a" is found there and not staged again. */
	stage(import, "ax", &manifest);
	c = collector();
	ck_assert(!comes(c.fd, QUIET_MS));
	publish(import, &manifest, fresh);
	locked(&c);
	says(&c, "end 0\n");
	ck_assert_int_eq(ends(&c, &n), 0);
	ck_assert_str_eq(whole("abx"), "ax");
	ck_assert(listed(fresh) && !listed(old));
	tear_down();
}
END_TEST

/* An upload waits for it, and then finds missing what is gone. */
START_TEST(an_upload_waits)
{
	char old[DIGEST_SIZE];
	struct collector c;
	int64_t n = -1;
	int pipes[2], status;
	pid_t pid;

	set_up();
	artifact("ab", 9, old);
	c = collector();
	locked(&c);
	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct manifest manifest = {0};
		struct objects_import *import;
		char digest[DIGEST_SIZE];

		if (objects_import_open(objects, &import, NULL) < 0)
			_exit(1);
		stage(import, "ax", &manifest);
		publish(import, &manifest, digest);
		_exit(write(pipes[1], "x", 1) != 1);
	}
	ck_assert(!comes(pipes[0], QUIET_MS));
	says(&c, "end 0\n");
	ck_assert_int_eq(ends(&c, &n), 0);
	ck_assert(comes(pipes[0], SOON_MS));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(whole("abx"), "ax");
	close(pipes[0]);
	close(pipes[1]);
	tear_down();
}
END_TEST

/* bmd asks by the lock whether a sweep goes on. */
START_TEST(the_lock_tells)
{
	struct collector c;
	int64_t n = -1;
	int lock;

	set_up();
	lock = objects_lock(objects, false, 0);
	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(objects_lock(objects, true, 0), -EAGAIN);
	close(lock);
	c = collector();
	locked(&c);
	ck_assert_int_eq(objects_lock(objects, false, 0), -EAGAIN);
	ck_assert_int_eq(ends(&c, &n), 1); /* nobody sends a list */
	lock = objects_lock(objects, true, 0);
	ck_assert_int_ge(lock, 0);
	close(lock);
	tear_down();
}
END_TEST

/* Two manifests and more than a thousand objects: the table of marks grows. */
START_TEST(many)
{
	char kept[DIGEST_SIZE], gone[DIGEST_SIZE];
	struct objects_import *import;
	_cleanup_free_ char *list = NULL;
	struct collector c;
	int64_t n = -1;

	set_up();
	for (int round = 0; round < 2; round++) {
		struct manifest manifest = {0};

		ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
		for (int i = 0; i < 1000; i++) {
			struct objects_writer *writer = objects_writer_open(import);
			char digest[DIGEST_SIZE], text[32];
			int64_t size;

			/* The second round shares half of the first's. */
			snprintf(text, sizeof(text), "%d", i + round * 500);
			objects_writer_add(writer, text, strlen(text), NULL);
			ck_assert_int_eq(objects_writer_end(writer, digest, &size, NULL), 0);
			manifest_add_file(&manifest, text, false, size, digest);
		}
		ck_assert_int_eq(manifest_finish(&manifest, NULL), 0);
		publish(import, &manifest, round ? kept : gone);
	}
	{
		_cleanup_free_ char *path = manifest_path(gone);
		struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

		ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	}
	list = xasprintf("%s\nend 1\n", kept);
	c = collector();
	locked(&c);
	says(&c, list);
	ck_assert_int_eq(ends(&c, &n), 0);
	ck_assert_int_eq(n, 500);
	for (int i = 0; i < 1500; i++) {
		char digest[DIGEST_SIZE], text[32];

		snprintf(text, sizeof(text), "%d", i);
		digest_of(text, strlen(text), digest);
		ck_assert_msg((objects_present(objects, digest, (int64_t)strlen(text)) == 0) ==
				  (i >= 500),
			      "%d", i);
	}
	tear_down();
}
END_TEST

UNIT_MAIN("collect", what_is_listed_stays_whole, left_overs_go, in_doubt_nothing_goes,
	  an_upload_goes_first, an_upload_waits, the_lock_tells, many)
