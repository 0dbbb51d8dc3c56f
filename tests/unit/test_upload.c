/* SPDX-License-Identifier: ISC */
/* bmctl's uploads through the real bmd-import: kinds and names by path, trees, single files, what
   cannot be taken, and an answer that comes early. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "artifact/manifest.h"
#include "artifact/objects.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/upload.h"
#include "tests/unit/unit.h"

static char base[64];

static void
shell(const char *command)
{
	_cleanup_free_ char *line = xasprintf("cd %s && { %s; }", base, command);

	ck_assert_int_eq(system(line), 0);
}

static void
setup(void)
{
	strcpy(base, "/tmp/test_upload.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	umask(022);
}

static void
teardown(void)
{
	unit_remove(base);
}

/* Starts bmd-import: the client's end of its connection. */
static int
start(const char *kind, const char *limit, pid_t *ret_pid)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execl(TOP_BUILDDIR "/import/bmd-import", "bmd-import", "--state", base, "--limit",
		      limit, kind, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	return pair[0];
}

/* Uploads PATH below the test's folder: what upload_send() says, and the answer (NULL when there is
 * none). */
static int
upload(const char *path, const char *limit, json_t **ret_answer, struct err *err)
{
	_cleanup_free_ char *full = xasprintf("%s/%s", base, path);
	const char *kind;
	char answer[8192];
	size_t n = 0;
	ssize_t got;
	pid_t pid;
	int r, fd;

	*ret_answer = NULL;
	r = upload_kind(full, &kind, err);
	if (r < 0)
		return r;
	fd = start(kind, limit, &pid);
	r = upload_send(fd, full, kind, NULL, NULL, NULL, err);
	while (n < sizeof(answer) - 1 && (got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	waitpid(pid, NULL, 0);
	answer[n] = '\0';
	*ret_answer = json_loads(answer, 0, NULL);
	return r;
}

/* The manifest of an upload that is taken. */
static void
taken(const char *path, struct manifest *ret_manifest)
{
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	struct objects *objects;
	const char *digest;
	size_t n;

	ck_assert_msg(upload(path, "files=1000", &answer, &err) == 0, "%s: %s", path, err.text);
	digest = json_get_string(answer, "digest");
	ck_assert_msg(digest != NULL, "%s: %s", path, json_dumps(answer, 0));
	ck_assert_int_eq(objects_open(base, false, &objects, NULL), 0);
	ck_assert_int_eq(objects_get_manifest(objects, digest, &text, &n, NULL), 0);
	ck_assert_int_eq(manifest_parse(text, n, ret_manifest, NULL), 0);
	objects_close(objects);
}

START_TEST(kinds)
{
	static const struct {
		int line;
		const char *path, *kind, *name;
	} table[] = {
	    {__LINE__, "site", "tree", "site"},
	    {__LINE__, "v1.2", "tree", "v1.2"},
	    {__LINE__, "v1.2//", "tree", "v1.2"},
	    {__LINE__, "site/../site/.", "tree", "site"},
	    {__LINE__, "folder.tar", "tree", "folder.tar"},
	    {__LINE__, "a.tar", "tar", "a"},
	    {__LINE__, "a.b.tar.gz", "tar", "a.b"},
	    {__LINE__, "a.tgz", "tar", "a"},
	    {__LINE__, "a.tar.xz", "tar", "a"},
	    {__LINE__, "a.tar.zst", "tar", "a"},
	    {__LINE__, "a.zip", "zip", "a"},
	    {__LINE__, "a.tar.bz2", "tree", "a.tar"},
	    {__LINE__, "app.jar", "tree", "app"},
	    {__LINE__, ".env", "tree", ".env"},
	    {__LINE__, ".tar", "tree", ".tar"},
	    {__LINE__, "link", "tree", "link"},
	    {__LINE__, "missing", NULL, "missing"},
	    {__LINE__, "fifo", NULL, "fifo"},
	};

	shell("mkdir site v1.2 folder.tar; touch a.tar a.b.tar.gz a.tgz a.tar.xz a.tar.zst a.zip "
	      "a.tar.bz2 app.jar .env .tar; "
	      "ln -s site link; mkfifo fifo");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", base, table[i].path),
				    *name = upload_artifact_name(path);
		const char *kind = NULL;
		int r = upload_kind(path, &kind, NULL);

		ck_assert_msg((r == 0) == (table[i].kind != NULL), "line %d", table[i].line);
		ck_assert_msg(r < 0 || strcmp(kind, table[i].kind) == 0, "line %d: %s",
			      table[i].line, kind);
		ck_assert_msg(strcmp(name, table[i].name) == 0, "line %d: %s", table[i].line, name);
	}
}
END_TEST

START_TEST(trees)
{
	struct manifest tree = {0}, tar = {0}, zip = {0};
	_cleanup_free_ char *one = NULL, *two = NULL;

	shell("mkdir -p t/a/b t/empty; echo x > t/a/b/f; echo y > t/.hidden; echo z > t/run; chmod "
	      "700 t/run; ln -s a/b t/l; : > t/zero; "
	      "head -c 3000000 /dev/urandom > t/big; tar -C t -cf t.tar .");
	taken("t", &tree);
	taken("t.tar", &tar);
	one = manifest_format(&tree, NULL);
	two = manifest_format(&tar, NULL);
	ck_assert_str_eq(one, two);
	ck_assert_uint_eq(tree.n, 7);
	ck_assert(manifest_find(&tree, "run")->executable &&
		  !manifest_find(&tree, ".hidden")->executable);
	ck_assert_int_eq(manifest_find(&tree, "empty")->kind, MANIFEST_DIRECTORY);
	manifest_clear(&tree);
	manifest_clear(&tar);
	manifest_clear(&zip);
}
END_TEST

START_TEST(single)
{
	struct manifest manifest = {0};

	shell("echo hi > app.jar; echo '#!/bin/sh' > tool; chmod 755 tool; ln -s tool alias");
	taken("app.jar", &manifest);
	ck_assert_uint_eq(manifest.n, 1);
	ck_assert_str_eq(manifest.v[0].path, "app.jar");
	ck_assert(!manifest.v[0].executable);
	manifest_clear(&manifest);
	taken("tool", &manifest);
	ck_assert(manifest.v[0].executable);
	manifest_clear(&manifest);
	taken("alias", &manifest);
	ck_assert_str_eq(manifest.v[0].path, "alias");
	manifest_clear(&manifest);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		int line;
		const char *command, *path, *sentence;
	} table[] = {
	    {__LINE__, "mkdir a; mkfifo a/p", "a", "p: neither a plain file"},
	    {__LINE__, "mkdir b; touch b/secret; chmod 0 b; chmod 755 b; ln -s /x b/l", "b", NULL},
	    {__LINE__, "mkdir c; touch 'c/a\nb'", "c", NULL},
	    {__LINE__, "mkdir d; p=d; for i in $(seq 130); do p=$p/d; done; mkdir -p $p", "d",
	     "deeper than 128"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_json_ json_t *answer = NULL;
		int r;

		shell(table[i].command);
		r = upload(table[i].path, "files=1000", &answer, &err);
		ck_assert_msg(json_object_get(answer, "error") != NULL, "line %d", table[i].line);
		if (table[i].sentence != NULL)
			ck_assert_msg(r < 0 && r != -EPIPE && strstr(err.text, table[i].sentence),
				      "line %d: %s", table[i].line, err.text);
		else
			ck_assert_msg(r == 0 || r == -EPIPE, "line %d", table[i].line);
	}
	shell("test -z \"$(ls store/incoming store/manifests | grep -v :)\"");
}
END_TEST

/* bmd-import refuses in the middle: sending ends early, and the answer is there to be read. */
START_TEST(early)
{
	_cleanup_json_ json_t *answer = NULL;
	struct err err = ERR_INIT;

	shell("mkdir many; head -c 100000 /dev/zero > many/f; for i in $(seq 100); do ln many/f "
	      "many/$i; done; "
	      "head -c 30000000 /dev/zero > many/z");
	ck_assert_int_eq(upload("many", "files=50", &answer, &err), -EPIPE);
	ck_assert_str_eq(err.text, "");
	ck_assert_ptr_nonnull(
	    strstr(json_get_string(json_object_get(answer, "parameters"), "message"),
		   "more than 50 files"));
}
END_TEST

static bool grown;

static void
grow(int64_t bytes, int64_t total, void *arg)
{
	ck_assert_int_le(bytes, total + 1);
	if (!grown) {
		_cleanup_free_ char *path = xasprintf("%s/log", base);
		int fd = open(path, O_WRONLY | O_APPEND);

		ck_assert_int_eq(write(fd, "x", 1), 1);
		close(fd);
	}
	grown = true;
	(void)arg;
}

START_TEST(changing)
{
	_cleanup_free_ char *path = xasprintf("%s/log", base);
	struct err err = ERR_INIT;
	pid_t pid;
	int fd;

	shell("head -c 1000000 /dev/zero > log");
	fd = start("tree", "files=1000", &pid);
	ck_assert_int_lt(upload_send(fd, path, "tree", NULL, grow, NULL, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "changed while it was read"));
	close(fd);
	waitpid(pid, NULL, 0);
	shell("test -z \"$(ls store/incoming)\"");
	err_clear(&err);
}
END_TEST

UNIT_MAIN_WITH("upload", 60, setup, teardown, kinds, trees, single, refused, early, changing)
