/* SPDX-License-Identifier: ISC */
/* Placing: a release folder made, used again, changed behind bmd's back, shared paths, pruning, in
   place, and every error before `current` moves. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "artifact/files.h"
#include "artifact/place.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static char base[64], to[80];
static struct objects *objects;
static char said[16384];

static void
note(const char *text, void *arg)
{
	(void)arg;
	if (strlen(said) + strlen(text) + 2 < sizeof(said))
		strcat(strcat(said, text), "\n");
}

static void
setup(void)
{
	strcpy(base, "/tmp/test_place.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	chmod(base, 0755);
	snprintf(to, sizeof(to), "%s/srv/shop", base);
	ck_assert_int_eq(objects_open(base, true, &objects, NULL), 0);
	said[0] = '\0';
	umask(077);
}

static void
teardown(void)
{
	objects_close(objects);
	unit_remove(base);
}

/* WORDS: "PATH=CONTENT", "PATH*=CONTENT" (executable), "PATH>TARGET", "PATH/" (empty folder).
 * Everything goes into the store. */
static void
make(struct manifest *manifest, const char *words)
{
	char *copy = strdup(words), *save = NULL;
	struct objects_import *import;
	char digest[DIGEST_SIZE];

	*manifest = (struct manifest){0};
	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	for (char *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save)) {
		char *content = strchr(word, '='), *target = strchr(word, '>');
		struct objects_writer *writer;
		bool executable;
		int64_t size;

		if (content == NULL) {
			if (target != NULL) {
				*target++ = '\0';
				manifest_add_link(manifest, word, target);
			} else {
				word[strlen(word) - 1] = '\0';
				manifest_add_directory(manifest, word);
			}
			continue;
		}
		*content++ = '\0';
		executable = word[strlen(word) - 1] == '*';
		if (executable)
			word[strlen(word) - 1] = '\0';
		writer = objects_writer_open(import);
		ck_assert_int_eq(objects_writer_add(writer, content, strlen(content), NULL), 0);
		ck_assert_int_eq(objects_writer_end(writer, digest, &size, NULL), 0);
		manifest_add_file(manifest, word, executable, size, digest);
	}
	ck_assert_int_eq(manifest_finish(manifest, NULL), 0);
	ck_assert_int_eq(objects_publish(import, "x", 1, digest, NULL), 0);
	objects_import_close(import);
	free(copy);
}

static const char *const none[] = {NULL};

static struct place
step(const struct manifest *manifest, const char *name)
{
	return (struct place){.objects = objects,
			      .manifest = manifest,
			      .to = to,
			      .name = name,
			      .job = 7,
			      .shared = none,
			      .made = none,
			      .needed = none,
			      .say = note};
}

static void
deploy(struct place place)
{
	struct err err = ERR_INIT;
	struct place_outcome outcome;
	int r = place_deploy(&place, &outcome, &err);

	ck_assert_msg(r == 0, "%s", err.text);
	place_outcome_clear(&outcome);
}

static void
refuse(struct place place, const char *expected)
{
	struct err err = ERR_INIT;
	struct place_outcome outcome;

	ck_assert_int_lt(place_deploy(&place, &outcome, &err), 0);
	ck_assert_msg(strstr(err.text, expected) != NULL, "\"%s\" lacks \"%s\"", err.text,
		      expected);
	err_clear(&err);
}

static char *
below(const char *path)
{
	static char full[512];

	snprintf(full, sizeof(full), "%s/%s", to, path);
	return full;
}

static void
check_content(const char *path, const char *expected)
{
	char found[256] = "";
	int fd = open(below(path), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);

	ck_assert_msg(n >= 0 && strcmp(found, expected) == 0, "%s: %zd \"%s\"", path, n, found);
	close(fd);
}

static void
check_link(const char *path, const char *expected)
{
	char found[256] = "";

	ck_assert_msg(readlink(below(path), found, sizeof(found) - 1) >= 0, "%s", path);
	ck_assert_str_eq(found, expected);
}

static void
put(const char *path, const char *content)
{
	int fd = open(below(path), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	fchmod(fd, 0644);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	return lstat(below(path), &st) == 0 ? st.st_mode : 0;
}

static bool
exists(const char *path)
{
	return mode_of(path) != 0;
}

/* Names in a folder that begin with START. */
static int
named(const char *folder, const char *start)
{
	_cleanup_free_ char *command =
	    xasprintf("ls -A %s | grep -c '^%s' | grep -qx 0", below(folder), start);

	return WEXITSTATUS(system(command)) != 0;
}

START_TEST(release)
{
	struct manifest one, two;
	struct place_outcome outcome;
	struct place place;

	make(&one, "index.html=one bin/run*=go a/b/c=deep link>a/b/c empty/dir/ zero=");
	make(&two, "index.html=two");
	place = step(&one, "1-1");
	ck_assert_int_eq(place_deploy(&place, &outcome, NULL), 0);
	ck_assert(outcome.made);
	place_outcome_clear(&outcome);
	check_content("current/index.html", "one");
	check_content("current/link", "deep");
	check_content("current/zero", "");
	check_link("current", "releases/1-1");
	ck_assert_uint_eq(mode_of("releases/1-1/index.html"), S_IFREG | 0644);
	ck_assert_uint_eq(mode_of("releases/1-1/bin/run"), S_IFREG | 0755);
	ck_assert_uint_eq(mode_of("releases/1-1/a"), S_IFDIR | 0755);
	ck_assert_uint_eq(mode_of("releases/1-1/empty/dir"), S_IFDIR | 0755);
	ck_assert_uint_eq(mode_of("releases/1-1"), S_IFDIR | 0755);
	ck_assert_uint_eq(mode_of("releases"), S_IFDIR | 0755);
	ck_assert_uint_eq(mode_of(""), S_IFDIR | 0755);
	deploy(step(&two, "1-2"));
	check_content("current/index.html", "two");
	place = step(&one, "1-1");
	ck_assert_int_eq(place_deploy(&place, &outcome, NULL), 0);
	ck_assert(!outcome.made);
	check_content("current/index.html", "one");
	ck_assert(!named("releases", ".bmd") && !named("", ".bmd"));
	manifest_clear(&one);
	manifest_clear(&two);
}
END_TEST

static struct files_stamps *
stamps_for(const struct manifest *manifest)
{
	struct files_stamps *stamps =
	    xcalloc(1, sizeof(*stamps) + manifest->n * sizeof(stamps->v[0]));

	stamps->n = manifest->n;
	return stamps;
}

/* The renames of the code under test pass by here. */
static const char *broken; /* of the target of a rename that fails */
static bool no_exchange;

int
renameat(int from, const char *old, int to_fd, const char *new)
{
	if (broken != NULL && strstr(new, broken) != NULL) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from, old, to_fd, new, 0);
}

int
renameat2(int from, const char *old, int to_fd, const char *new, unsigned flags)
{
	if (no_exchange && flags == RENAME_EXCHANGE) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from, old, to_fd, new, flags);
}

/* What somebody has changed is theirs: no failure on the way aside may cost it. */
START_TEST(aside_fails)
{
	static const struct {
		int line;
		const char *broken;
		bool no_exchange;
	} table[] = {
	    {__LINE__, ".changed-", false},
	    {__LINE__, ".changed-", true},
	    {__LINE__, "1-1", true},
	};
	struct manifest one;

	make(&one, "index.html=one");
	deploy(step(&one, "1-1"));
	put("releases/1-1/index.html", "mine");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		broken = table[i].broken;
		no_exchange = table[i].no_exchange;
		refuse(step(&one, "1-1"), "cannot be set aside");
		broken = NULL;
		ck_assert_msg(exists("releases/1-1/index.html") ||
				  exists("releases/1-1.changed-7/index.html"),
			      "line %d: gone", table[i].line);
	}
	no_exchange = false;
	manifest_clear(&one);
}
END_TEST

/* Every way in which a release folder can have changed behind bmd's back, with all hashed because
   nothing is remembered, with stamps, and with stamps that are not believed. */
START_TEST(changed)
{
	static const struct {
		int line;
		const char *command; /* in the release folder */
		const char *what;
	} table[] = {
	    {__LINE__, "printf JNE > index.html", "index.html (other content)"},
	    {__LINE__,
	     "cp -p index.html /tmp/ref.$$; printf two > index.html; touch -r /tmp/ref.$$ "
	     "index.html; rm /tmp/ref.$$",
	     "index.html (other content)"},
	    {__LINE__,
	     "cp -p index.html /tmp/ref.$$; printf two > new; chmod 644 new; touch -r "
	     "/tmp/ref.$$ new; mv new index.html; rm /tmp/ref.$$",
	     "index.html (other content)"},
	    {__LINE__,
	     "cp -p a/b/c /tmp/ref.$$; printf x | dd of=a/b/c conv=notrunc seek=2 bs=1 "
	     "2>/dev/null; touch -r /tmp/ref.$$ a/b/c; rm /tmp/ref.$$",
	     "a/b/c (other content)"},
	    {__LINE__,
	     "touch -r index.html /tmp/ref.$$; truncate -s 0 index.html; truncate -s 3 "
	     "index.html; touch -r /tmp/ref.$$ index.html; rm /tmp/ref.$$",
	     "index.html (other content)"},
	    {__LINE__, "ln -f other index.html", "index.html (other content)"},
	    {__LINE__, "mv other x; mv index.html other; mv x index.html",
	     "index.html (other content)"},
	    {__LINE__, "touch -d '2001-01-01' index.html; chmod 640 index.html",
	     "index.html (other mode)"},
	    {__LINE__, ": > index.html", "index.html (other size)"},
	    {__LINE__, "printf more >> index.html", "index.html (other size)"},
	    {__LINE__, "chmod 600 index.html", "index.html (other mode)"},
	    {__LINE__, "chmod 4755 bin/run", "bin/run (other mode)"},
	    {__LINE__, "chmod 700 a", "a (other mode)"},
	    {__LINE__, "rm index.html", "index.html (missing)"},
	    {__LINE__, "rm -r a", "a/b/c (missing)"},
	    {__LINE__, "rm -r a; ln -s /tmp a", "a (no longer a folder)"},
	    {__LINE__, "touch added", "added (added)"},
	    {__LINE__, "mkdir new; touch new/file", "new (added)"},
	    {__LINE__, "touch a/b/new", "a/b/new (added)"},
	    {__LINE__, "touch empty/x", "empty/x (added)"},
	    {__LINE__, "rmdir empty", "empty (missing)"},
	    {__LINE__, "rm link; ln -s index.html link", "link (other target)"},
	    {__LINE__, "rm index.html; ln -s bin/run index.html", "index.html (no longer a file)"},
	    {__LINE__, "rm index.html; mkdir index.html; touch index.html/x",
	     "index.html (no longer a file)"},
	    {__LINE__, "rm index.html; mkfifo index.html", "index.html (no longer a file)"},
	    {__LINE__, "touch 1 2 3 4 5 6 7", "and 2 more"},
	    {__LINE__, "cd ..; rm -r 1-1; touch 1-1", "not a folder"},
	    {__LINE__, "cd ..; mv 1-1 x; ln -s x 1-1", "not a folder"},
	};
	enum { WITHOUT, CHANGED, ALWAYS }; /* _i */
	_cleanup_free_ struct files_stamps *stamps = NULL;
	struct manifest one;

	make(&one, "index.html=one other=eno bin/run*=go a/b/c=deep link>a/b/c empty/");
	stamps = stamps_for(&one);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *command =
		    xasprintf("cd %s/releases/1-1 && { %s; }", to, table[i].command);
		struct place place = step(&one, "1-1");
		_cleanup_free_ char *aside = xasprintf("releases/1-1.changed-%zu", 100 + i);

		place.stamps = _i == WITHOUT ? NULL : stamps;
		place.hash_always = _i == ALWAYS;
		deploy(place);
		ck_assert_int_eq(system(command), 0);
		said[0] = '\0';
		place.job = (int64_t)(100 + i);
		deploy(place);
		ck_assert_msg(strstr(said, table[i].what) != NULL, "line %d: %s", table[i].line,
			      said);
		ck_assert_msg(exists(aside), "line %d", table[i].line);
		ck_assert_msg(place_compare(&one, below("releases/1-1"), none, 0, NULL, NULL) == 0,
			      "line %d", table[i].line);
		check_link("current", "releases/1-1");
	}
	/* The same job, twice: nothing that was set aside is lost. */
	put("releases/1-1/index.html", "xyz");
	deploy(step(&one, "1-1"));
	put("releases/1-1/index.html", "uvw");
	deploy(step(&one, "1-1"));
	check_content("releases/1-1.changed-7/index.html", "xyz");
	check_content("releases/1-1.changed-7.2/index.html", "uvw");
	manifest_clear(&one);
}
END_TEST

START_TEST(settled)
{
	static const struct {
		int line;
		int64_t changed, now;
		bool settled;
	} table[] = {
	    {__LINE__, 1000000004, 1000000005, true},
	    {__LINE__, 1000000004, 1000000004, false}, /* the same tick */
	    {__LINE__, 1000000005, 1000000004, false}, /* from the future */
	    {__LINE__, 5000000000, 5999999999, false}, /* a file system of whole seconds */
	    {__LINE__, 5000000000, 6999999999, false},
	    {__LINE__, 5000000000, 7000000000, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		ck_assert_msg(files_settled(table[i].changed, table[i].now) == table[i].settled,
			      "line %d", table[i].line);
}
END_TEST

/* How many files the last deploy hashed; all, where stamps cannot be kept. */
static void
check_hashed(const struct files_stamps *stamps, const char *hashed, const char *all)
{
	_cleanup_free_ char *want =
	    xasprintf("(%s of %s hashed", stamps->device != 0 ? hashed : all, all);

	ck_assert_msg(strstr(said, want) != NULL, "%s instead of %s", said, want);
	said[0] = '\0';
}

/* What is as it was left is not hashed again; what may not be is, once. */
START_TEST(stamped)
{
	_cleanup_free_ struct files_stamps *stamps = NULL;
	struct manifest one;
	struct place place;

	make(&one, "a=1 b=2 c/d=3 link>a");
	stamps = stamps_for(&one);
	place = step(&one, "1-1");
	place.stamps = stamps;
	deploy(place);
	said[0] = '\0';
	deploy(place);
	check_hashed(stamps, "0", "3");
	place.hash_always = true;
	deploy(place);
	check_hashed(stamps, "3", "3");
	place.hash_always = false;
	deploy(place);
	check_hashed(stamps, "0", "3");
	/* A change of times alone is hashed until its stamp is settled. */
	ck_assert_int_eq(utimensat(AT_FDCWD, below("current/b"), NULL, 0), 0);
	deploy(place);
	check_hashed(stamps, "1", "3");
	for (int i = 0; i < 1000 && strstr(said, "(0 of") == NULL && stamps->device != 0; i++) {
		said[0] = '\0';
		deploy(place);
	}
	deploy(place);
	check_hashed(stamps, "0", "3");
	/* Nothing is believed of another device. */
	stamps->device++;
	deploy(place);
	check_hashed(stamps, "3", "3");
	manifest_clear(&one);
}
END_TEST

/* Written at once after the stamps were made, in what may be the same tick, with the old times. */
START_TEST(racy)
{
	_cleanup_free_ struct files_stamps *stamps = NULL;
	struct manifest one;
	struct place place;

	make(&one, "a=one");
	stamps = stamps_for(&one);
	place = step(&one, "1-1");
	place.stamps = stamps;
	deploy(place);
	for (int i = 0; i < 60; i++) {
		const char *bytes = i % 2 == 0 ? "two" : "one";
		int fd = open(below("current/a"), O_WRONLY);
		struct timespec times[2];
		struct stat st;

		ck_assert_int_eq(fstat(fd, &st), 0);
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		ck_assert_int_eq(pwrite(fd, bytes, 3, 0), 3);
		ck_assert_int_eq(futimens(fd, times), 0);
		close(fd);
		said[0] = '\0';
		place.job = i;
		deploy(place); /* finds it, or what is right again is hashed */
		if (i % 2 == 0)
			ck_assert_msg(strstr(said, "a (other content)") != NULL, "%d: %s", i, said);
		check_content("current/a", "one");
		if (i % 2 == 0)
			continue;
		ck_assert_msg(strstr(said, "(1 of 1 hashed") != NULL, "%d: %s", i, said);
	}
	manifest_clear(&one);
}
END_TEST

/* A mapping that was written to before and can be written to again without the kernel being asked.
 */
START_TEST(mapped)
{
	_cleanup_free_ struct files_stamps *stamps = NULL;
	struct manifest one;
	struct place place;
	char *bytes;
	int fd;

	make(&one, "a=one");
	stamps = stamps_for(&one);
	place = step(&one, "1-1");
	place.stamps = stamps;
	deploy(place);
	fd = open(below("current/a"), O_RDWR);
	bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	bytes[0] = 'o';
	for (int i = 0; i < 20; i++)
		deploy(place);
	bytes[0] = 'O';
	said[0] = '\0';
	deploy(place);
	ck_assert_msg(strstr(said, "a (other content)") != NULL, "%s", said);
	munmap(bytes, 4096);
	close(fd);
	manifest_clear(&one);
}
END_TEST

/* In place: what was just moved is hashed once more, what stayed is not. */
START_TEST(stamped_in_place)
{
	_cleanup_free_ struct files_stamps *stamps = NULL;
	struct manifest one;
	struct place place;

	make(&one, "a=1 b=2 c/d=3");
	stamps = stamps_for(&one);
	place = step(&one, "1-1");
	place.stamps = stamps;
	place.in_place = true;
	deploy(place);
	place.filled = true;
	for (int i = 0; i < 1000 && strstr(said, "(0 of") == NULL; i++) {
		said[0] = '\0';
		deploy(place);
		if (stamps->device == 0)
			break;
	}
	check_hashed(stamps, "0", "3");
	put("b", "9");
	deploy(place);
	ck_assert_ptr_nonnull(strstr(said, "b (other content)"));
	said[0] = '\0';
	deploy(place);
	check_hashed(stamps, "1", "3");
	check_content("b", "2");
	manifest_clear(&one);
}
END_TEST

START_TEST(damaged)
{
	struct manifest one, two;
	_cleanup_free_ char *path = NULL, *keep = NULL;
	struct place place;
	struct err err = ERR_INIT;
	int fd;

	make(&one, "f=one");
	make(&two, "a=same deep/f=two");
	deploy(step(&one, "1-1"));
	path = xasprintf("%s/store/objects/%.2s/%s", base, two.v[1].digest, two.v[1].digest + 2);
	keep = xasprintf("%s/keep", base);
	ck_assert_int_eq(chmod(path, 0644), 0);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(write(fd, "tvo", 3), 3);
	close(fd);
	place = step(&two, "1-2");
	ck_assert_int_eq(place_deploy(&place, NULL, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, "deep/f"));
	ck_assert_ptr_nonnull(strstr(err.text, two.v[1].digest));
	err_clear(&err);
	ck_assert_int_eq(rename(path, keep), 0);
	ck_assert_int_eq(place_deploy(&place, NULL, NULL), -EBADMSG);
	place.in_place = place.filled = true;
	ck_assert_int_eq(place_deploy(&place, NULL, NULL), -EBADMSG);
	check_link("current", "releases/1-1");
	check_content("current/f", "one");
	ck_assert(!exists("releases/1-2") && !named("releases", ".bmd") && !named("", ".bmd"));
	manifest_clear(&one);
	manifest_clear(&two);
}
END_TEST

START_TEST(shared)
{
	static const char *const paths[] = {"log", ".env", "a/cache/x", "a/cache/x/y"};
	struct manifest one, two;
	struct place place;

	make(&one, "f=one a/g=g log/old=x");
	make(&two, "f=one a=file");
	place = step(&one, "1-1");
	place.shared = paths, place.nshared = 4;
	deploy(place);
	check_link("current/log", "../../shared/log");
	check_link("current/.env", "../../shared/.env");
	check_link("current/a/cache/x", "../../../../shared/a/cache/x");
	ck_assert(exists("shared/a/cache") && !exists("shared/log") && !exists("shared/.env"));
	ck_assert_ptr_nonnull(strstr(said, "log of the build is not placed"));
	ck_assert_ptr_nonnull(strstr(said, "shared/.env does not exist yet"));
	put("shared/.env", "secret");
	mkdir(below("shared/log"), 0755);
	put("current/log/today", "line");
	check_content("current/.env", "secret");
	check_content("shared/log/today", "line");
	said[0] = '\0';
	deploy(place);
	ck_assert_ptr_nonnull(strstr(said, "exactly the files"));
	/* A link that went missing is put again, data in its place is set aside. */
	unlink(below("current/.env"));
	deploy(place);
	check_content("current/.env", "secret");
	unlink(below("current/.env"));
	put("current/.env", "mine");
	deploy(place);
	check_content("current/.env", "secret");
	check_content("releases/1-1.changed-7/.env", "mine");
	/* Without shared the artifact's own folder is back. */
	place.nshared = 0;
	deploy(place);
	check_content("current/log/old", "x");
	place = step(&two, "1-2");
	place.shared = paths, place.nshared = 4;
	refuse(place, "is no folder in this build");
	place.shared = (const char *const[]){"../x"}, place.nshared = 1;
	refuse(place, "..");
	manifest_clear(&one);
	manifest_clear(&two);
}
END_TEST

START_TEST(pruning)
{
	static const char *const made[] = {"1-1", "1-2", "1-3", "1-4", "1-5", "gone", "../shared"};
	static const char *const needed[] = {"1-2"};
	struct place_outcome outcome;
	struct manifest one;
	struct place place;

	make(&one, "f=one a/b=c");
	for (size_t i = 0; i < 5; i++)
		deploy(step(&one, made[i]));
	mkdir(below("releases/foreign"), 0755);
	chmod(below("releases/1-1/a"), 0500);
	place = step(&one, "1-5");
	place.keep = 2;
	place.made = made, place.nmade = ARRAY_SIZE(made);
	place.needed = needed, place.nneeded = 1;
	ck_assert_int_eq(place_deploy(&place, &outcome, NULL), 0);
	ck_assert_uint_eq(outcome.npruned, 3);
	ck_assert_str_eq(outcome.pruned[0], "1-1");
	place_outcome_clear(&outcome);
	ck_assert(!exists("releases/1-1") && exists("releases/1-2") && !exists("releases/1-3") &&
		  !exists("releases/1-4"));
	ck_assert(exists("releases/1-5") && exists("releases/foreign") &&
		  !named("releases", ".bmd"));
	manifest_clear(&one);
}
END_TEST

START_TEST(in_place)
{
	static const char *const paths[] = {"data", "conf/local"};
	struct manifest one, two;
	struct place place;
	struct stat before, after;

	make(&one, "f=one same=same a/b=c k>f dir=x old/x=y e/");
	make(&two, "f=two same=same a=file k>same dir/f=z conf/g=h e/");
	place = step(&one, "1-1");
	place.in_place = true;
	place.shared = paths, place.nshared = 2;
	deploy(place);
	check_content("a/b", "c");
	ck_assert(!exists("current") && !exists("releases"));
	refuse(place, "not empty");
	place.filled = true;
	mkdir(below("data"), 0755);
	put("data/x", "mine");
	put("stray", "stray");
	mkdir(below("conf"), 0700);
	put("conf/local", "mine too");
	put("e/stray", "s");
	stat(below("same"), &before);
	place.manifest = &two;
	deploy(place);
	stat(below("same"), &after);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	check_content("f", "two");
	check_content("a", "file");
	check_content("k", "same");
	check_content("dir/f", "z");
	check_content("data/x", "mine");
	check_content("conf/local", "mine too");
	check_content("conf/g", "h");
	ck_assert(!exists("stray") && !exists("old") && !exists("e/stray") && exists("e"));
	ck_assert_uint_eq(mode_of("conf"), S_IFDIR | 0755);
	ck_assert_int_eq(place_compare(&two, to, paths, 2, NULL, NULL), 0);
	said[0] = '\0';
	deploy(place);
	ck_assert_ptr_nonnull(strstr(said, "exactly the files"));
	place.manifest = &one;
	deploy(place);
	check_content("a/b", "c");
	check_content("dir", "x");
	/* conf/local keeps its folder. */
	ck_assert_int_eq(place_compare(&one, to, paths, 2, NULL, NULL), 0);
	check_content("conf/local", "mine too");
	ck_assert(!named("", ".bmd"));
	manifest_clear(&one);
	manifest_clear(&two);
}
END_TEST

START_TEST(errors)
{
	struct manifest one;
	struct place place;
	_cleanup_free_ char *link = xasprintf("%s/link", base), *real = xasprintf("%s/real", base);

	make(&one, "f=one");
	place = step(&one, "1-1");
	place.to = "relative";
	refuse(place, "absolute");
	place.to = "/dev/null/x";
	refuse(place, "/dev/null");
	place.to = "/proc/nothing";
	refuse(place, "/proc/nothing");
	deploy(step(&one, "1-1"));
	ck_assert_int_eq(unlink(below("current")), 0);
	ck_assert_int_eq(mkdir(below("current"), 0755), 0);
	refuse(step(&one, "1-2"), "current is there and is not a symbolic link");
	ck_assert(!exists("releases/1-2"));
	/* A DIRECTORY that is a link is followed once; a link in the place of releases is not. */
	ck_assert_int_eq(mkdir(real, 0755) | symlink(real, link), 0);
	place = step(&one, "1-1");
	place.to = link;
	deploy(place);
	{
		_cleanup_free_ char *releases = xasprintf("%s/releases", real),
				    *moved = xasprintf("%s/moved", real);

		ck_assert_int_eq(rename(releases, moved) | symlink("moved", releases), 0);
	}
	refuse(place, "releases: cannot open");
	manifest_clear(&one);
}
END_TEST

/* Leftovers of a step that was killed go; the lock keeps a second step waiting. */
START_TEST(leftovers)
{
	struct manifest one;

	make(&one, "f=one");
	deploy(step(&one, "1-1"));
	mkdir(below("releases/.bmd-1-2.6"), 0755);
	put("releases/.bmd-1-2.6/f", "half");
	ck_assert_int_eq(symlink("x", below(".bmd-current.6")), 0);
	deploy(step(&one, "1-2"));
	ck_assert(!named("releases", ".bmd") && !named("", ".bmd"));
	manifest_clear(&one);
}
END_TEST

static void *
unlock_later(void *arg)
{
	struct timespec pause = {.tv_nsec = 20000000};

	while (strstr(said, "waiting") == NULL)
		nanosleep(&pause, NULL);
	flock(*(int *)arg, LOCK_UN);
	return NULL;
}

START_TEST(locked)
{
	struct manifest one;
	pthread_t thread;
	int fd;

	make(&one, "f=one");
	deploy(step(&one, "1-1"));
	fd = open(to, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	pthread_create(&thread, NULL, unlock_later, &fd);
	deploy(step(&one, "1-2"));
	pthread_join(thread, NULL);
	check_link("current", "releases/1-2");
	close(fd);
	manifest_clear(&one);
}
END_TEST

/* A reader never finds `current` absent or a mixture, whatever is switched or replaced. */
static atomic_bool stop;
static atomic_int gaps, mixtures, reads;

static void *
watch(void *arg)
{
	(void)arg;
	while (!stop) {
		_cleanup_close_ int dir = open(below("current/"), O_RDONLY | O_DIRECTORY);
		char a[8] = "", b[8] = "";
		int one, two;

		if (dir < 0) {
			gaps++;
			continue;
		}
		one = openat(dir, "a", O_RDONLY), two = openat(dir, "z", O_RDONLY);
		if (one < 0 || two < 0 || read(one, a, 7) < 0 || read(two, b, 7) < 0 ||
		    strcmp(a, b) != 0)
			mixtures++;
		close(one), close(two);
		reads++;
	}
	return NULL;
}

START_TEST(no_gap)
{
	/* The whole of it, in `make check-store`: BMD_TEST_SWITCHES=1000 BMD_TEST_READS=1000000. */
	const char *switches = getenv("BMD_TEST_SWITCHES"), *least = getenv("BMD_TEST_READS");
	int n = switches ? atoi(switches) : 40, wanted = least ? atoi(least) : 1;
	struct manifest one, two;
	pthread_t thread;

	make(&one, "a=one z=one");
	make(&two, "a=two z=two");
	deploy(step(&one, "1-1"));
	pthread_create(&thread, NULL, watch, NULL);
	for (int i = 0; i < n || reads < wanted; i++) {
		struct place place = step(i % 2 ? &one : &two, i % 2 ? "1-1" : "1-2");
		_cleanup_free_ char *extra = xasprintf("%s/releases/%s/extra", to, place.name);

		place.job = i;
		deploy(place);
		if (i % 5 == 0) {
			close(open(extra, O_CREAT | O_WRONLY, 0644));
			place.job = 1000 + i;
			deploy(place);
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	ck_assert_int_eq(gaps, 0);
	ck_assert_int_eq(mixtures, 0);
	ck_assert_int_ge(reads, wanted);
	manifest_clear(&one);
	manifest_clear(&two);
}
END_TEST

START_TEST(tree)
{
	_cleanup_free_ char *path = xasprintf("%s/tree", base), *what = NULL,
			    *file = xasprintf("%s/tree/f", base);
	struct manifest one;
	struct err err = ERR_INIT;

	make(&one, "f=one d/x*=y");
	ck_assert_int_eq(place_tree(objects, &one, path, NULL), 0);
	ck_assert_int_eq(place_compare(&one, path, none, 0, &what, NULL), 0);
	ck_assert_int_lt(place_tree(objects, &one, path, &err), 0);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(place_compare(&one, path, none, 0, &what, NULL), 1);
	ck_assert_str_eq(what, "f (missing)");
	err_clear(&err);
	manifest_clear(&one);
}
END_TEST

/* As many files as are flushed together. */
START_TEST(many)
{
	struct manifest one;
	char *words = xcalloc(1, 100000);
	size_t n = 0;

	for (int i = 0; i < 500; i++)
		n += (size_t)sprintf(words + n, "d%d/e%d/f%d=%d ", i % 7, i % 11, i, i);
	make(&one, words);
	deploy(step(&one, "1-1"));
	ck_assert_int_eq(place_compare(&one, below("releases/1-1"), none, 0, NULL, NULL), 0);
	manifest_clear(&one);
	free(words);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {release,	aside_fails,	  settled,   stamped, racy,
				      mapped,	stamped_in_place, damaged,   shared,  pruning,
				      in_place, errors,		  leftovers, locked,  tree,
				      many};
	Suite *suite = suite_create("place");
	TCase *tcase = tcase_create("place"), *gaps_case = tcase_create("gaps");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, changed, 0, 3);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(gaps_case, setup, teardown);
	tcase_set_timeout(gaps_case, 60);
	tcase_add_test(gaps_case, no_gap);
	suite_add_tcase(suite, gaps_case);
	return unit_run(suite);
}
