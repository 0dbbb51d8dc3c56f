/* SPDX-License-Identifier: ISC */
/* The store on disk: what comes in comes out, damage is found and healed, what is not published
 * leaves nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "artifact/objects.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static char state[64];
static struct objects *objects;

static void
setup(void)
{
	strcpy(state, "/tmp/test_objects.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(state));
	ck_assert_int_eq(objects_open(state, true, &objects, NULL), 0);
}

static void
teardown(void)
{
	objects_close(objects);
	unit_remove(state);
}

static char *
path_of(const char *digest)
{
	return xasprintf("%s/store/objects/%.2s/%s", state, digest, digest + 2);
}

static int
count(const char *folder)
{
	_cleanup_free_ char *path = xasprintf("%s/store/%s", state, folder);
	DIR *dir = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static void
put(struct objects_import *import, const void *bytes, size_t n, char ret_digest[DIGEST_SIZE])
{
	struct objects_writer *writer = objects_writer_open(import);
	int64_t size;

	for (size_t at = 0; at < n; at += 100000)
		ck_assert_int_eq(objects_writer_add(writer, (const char *)bytes + at,
						    n - at < 100000 ? n - at : 100000, NULL),
				 0);
	ck_assert_int_eq(objects_writer_end(writer, ret_digest, &size, NULL), 0);
	ck_assert_int_eq(size, (int64_t)n);
}

static void
add(const void *bytes, size_t n, char ret_digest[DIGEST_SIZE])
{
	struct objects_import *import;
	char manifest[DIGEST_SIZE];

	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	put(import, bytes, n, ret_digest);
	ck_assert_int_eq(objects_publish(import, "text", 4, manifest, NULL), 0);
	objects_import_close(import);
}

START_TEST(in_and_out)
{
	static const size_t sizes[] = {0, 1, 5000, 256 * 1024, 256 * 1024 + 1, 3000000};
	char *bytes = xcalloc(1, 3000000);

	for (size_t i = 0; i < 3000000; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char digest[DIGEST_SIZE], expected[DIGEST_SIZE];
		_cleanup_free_ char *path = NULL;
		struct stat st;

		add(bytes, sizes[i], digest);
		digest_of(bytes, sizes[i], expected);
		ck_assert_str_eq(digest, expected);
		ck_assert_int_eq(objects_present(objects, digest, (int64_t)sizes[i]), 0);
		ck_assert_int_eq(objects_present(objects, digest, (int64_t)sizes[i] + 1), -EBADMSG);
		ck_assert_int_eq(objects_verify(objects, digest, (int64_t)sizes[i]), 0);
		path = path_of(digest);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode, S_IFREG | 0444);
	}
	ck_assert_int_eq(count("incoming"), 0);
	free(bytes);
}
END_TEST

START_TEST(reads)
{
	char digest[DIGEST_SIZE], missing[DIGEST_SIZE];
	struct objects *other;
	struct stat st = {0};
	int fd;

	add("hello", 5, digest);
	digest_of("other", 5, missing);
	other = objects_from_fd(dup(objects_fd(objects)));
	ck_assert_int_eq(objects_verify(other, digest, 5), 0);
	fd = objects_open_object(other, digest, &st);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(st.st_size, 5);
	close(fd);
	ck_assert_int_eq(objects_open_object(other, missing, &st), -ENOENT);
	ck_assert_int_eq(objects_verify(other, missing, 5), -ENOENT);
	ck_assert_int_eq(objects_present(other, missing, 5), -ENOENT);
	ck_assert_int_eq(objects_open_object(other, "../../etc/passwd", &st), -EINVAL);
	objects_close(other);
}
END_TEST

/* Writes over an object as a failing disk would. */
static void
damage(const char *digest, const char *bytes)
{
	_cleanup_free_ char *path = path_of(digest);
	int fd;

	ck_assert_int_eq(chmod(path, 0644), 0);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, bytes, strlen(bytes), 0), (ssize_t)strlen(bytes));
	close(fd);
}

START_TEST(healing)
{
	char digest[DIGEST_SIZE], again[DIGEST_SIZE];
	_cleanup_free_ char *path = NULL;

	add("hello", 5, digest);
	damage(digest, "J");
	ck_assert_int_eq(objects_present(objects, digest, 5), 0);
	ck_assert_int_eq(objects_verify(objects, digest, 5), -EBADMSG);
	add("hello", 5, again);
	ck_assert_str_eq(digest, again);
	ck_assert_int_eq(objects_verify(objects, digest, 5), 0);
	path = path_of(digest);
	ck_assert_int_eq(unlink(path), 0);
	add("hello", 5, again);
	ck_assert_int_eq(objects_verify(objects, digest, 5), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_int_eq(objects_verify(objects, digest, 5), -EBADMSG);
	add("hello", 5, again);
	ck_assert_int_eq(objects_verify(objects, digest, 5), 0);
}
END_TEST

START_TEST(nothing_left)
{
	struct objects_import *import;
	struct objects_writer *writer;
	char digest[DIGEST_SIZE];
	char *big = xcalloc(1, 1000000);

	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	put(import, "one", 3, digest);
	put(import, big, 1000000, digest);
	writer = objects_writer_open(import);
	ck_assert_int_eq(objects_writer_add(writer, big, 1000000, NULL), 0);
	ck_assert_int_eq(count("incoming"), 1);
	objects_writer_abort(writer);
	objects_import_close(import);
	ck_assert_int_eq(count("incoming"), 0);
	ck_assert_int_eq(count("objects"), 0);
	ck_assert_int_eq(count("manifests"), 0);
	free(big);
}
END_TEST

START_TEST(sweep)
{
	struct objects_import *import;
	char digest[DIGEST_SIZE];
	pid_t pid;

	ck_assert_int_eq(objects_import_open(objects, &import, NULL), 0);
	put(import, "mine", 4, digest);
	pid = fork();
	if (pid == 0) {
		struct objects_import *lost;
		struct objects *own;

		if (objects_open(state, false, &own, NULL) == 0 &&
		    objects_import_open(own, &lost, NULL) == 0)
			put(lost, "lost", 4, digest);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(count("incoming"), 2);
	ck_assert_int_eq(objects_sweep(objects, NULL), 0);
	ck_assert_int_eq(count("incoming"), 1);
	ck_assert_int_eq(objects_publish(import, "t", 1, digest, NULL), 0);
	objects_import_close(import);
	ck_assert_int_eq(count("incoming"), 0);
	digest_of("mine", 4, digest);
	ck_assert_int_eq(objects_verify(objects, digest, 4), 0);
}
END_TEST

/* More than are fsynced one by one, every tenth twice, and two imports of the same at once. */
START_TEST(many)
{
	struct objects_import *one, *two;
	char digest[DIGEST_SIZE], text[16], *back;
	size_t n;

	ck_assert_int_eq(objects_import_open(objects, &one, NULL), 0);
	ck_assert_int_eq(objects_import_open(objects, &two, NULL), 0);
	for (int i = 0; i < 300; i++) {
		sprintf(text, "%d", i - i % 10);
		put(one, text, strlen(text), digest);
		put(two, text, strlen(text), digest);
	}
	ck_assert_int_eq(objects_publish(one, "manifest", 8, digest, NULL), 0);
	ck_assert_int_eq(objects_publish(two, "manifest", 8, digest, NULL), 0);
	objects_import_close(one);
	objects_import_close(two);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &back, &n, NULL), 0);
	ck_assert_uint_eq(n, 8);
	ck_assert_str_eq(back, "manifest");
	free(back);
	ck_assert_int_eq(count("incoming"), 0);
	for (int i = 0; i < 300; i += 10) {
		sprintf(text, "%d", i);
		digest_of(text, strlen(text), digest);
		ck_assert_int_eq(objects_verify(objects, digest, (int64_t)strlen(text)), 0);
	}
}
END_TEST

START_TEST(damaged_manifest)
{
	struct err err = ERR_INIT;
	char digest[DIGEST_SIZE], *back = NULL;
	_cleanup_free_ char *path = NULL;
	size_t n;
	int fd;

	add("x", 1, digest);
	digest_of("text", 4, digest);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &back, &n, NULL), 0);
	free(back);
	path = xasprintf("%s/store/manifests/%s", state, digest);
	ck_assert_int_eq(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(write(fd, "T", 1), 1);
	close(fd);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &back, &n, &err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(err.text, digest));
	add("x", 1, digest);
	digest_of("text", 4, digest);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &back, &n, NULL), 0);
	free(back);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &back, &n, &err), -ENOENT);
	ck_assert_int_eq(objects_get_manifest(objects, "../objects", &back, &n, &err), -EINVAL);
	err_clear(&err);
}
END_TEST

START_TEST(modes)
{
	_cleanup_free_ char *path = xasprintf("%s/store", state),
			    *below = xasprintf("%s/store/objects", state);
	struct objects *none;
	struct err err = ERR_INIT;
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(below, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0755);
	ck_assert_int_lt(objects_open("/nonexistent", true, &none, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent"));
	err_clear(&err);
}
END_TEST

UNIT_MAIN_WITH("objects", 60, setup, teardown, in_and_out, reads, healing, nothing_left, sweep,
	       many, damaged_manifest, modes)
