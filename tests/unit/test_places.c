/* SPDX-License-Identifier: ISC */
/* What was made where: real paths of what is not there yet, and records that only grow by what is ours. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "runner/places.h"
#include "tests/unit/unit.h"

static char home[PATH_MAX];
static int fd;
static int unresolved; /* errno of each realpath() from now on */

/* Stands before that of libc at the link. */
char *
realpath(const char *path, char *to)
{
	char *(*real)(const char *, char *);

	if (unresolved) {
		errno = unresolved;
		return NULL;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "realpath");
	return real(path, to);
}

static void
setup(void)
{
	char template[PATH_MAX];
	char *real;

	snprintf(template, sizeof(template), "%s/bmd-places-XXXXXX",
	    getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(template));
	real = realpath(template, NULL);
	ck_assert_ptr_nonnull(real);
	strcpy(home, real);
	free(real);
	fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(fd, "real", 0755), 0);
	ck_assert_int_eq(symlinkat("real", fd, "link"), 0);
}

static void
teardown(void)
{
	close(fd);
	unit_remove(home);
}

START_TEST(real_paths)
{
	static const struct {
		int line;
		const char *path, *real;
	} rows[] = {
	    {__LINE__, "/real", "/real"},
	    {__LINE__, "/link", "/real"},
	    {__LINE__, "/link/", "/real"},
	    {__LINE__, "/link/none/deep//", "/real/none/deep"},
	    {__LINE__, "/none", "/none"},
	    {__LINE__, "//real/../link/x", "/real/x"},
	};

	setup();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *path = xasprintf("%s%s", home, rows[i].path);
		_cleanup_free_ char *want = xasprintf("%s%s", home, rows[i].real);
		_cleanup_free_ char *real = places_real(path);

		ck_assert_msg(strcmp(real, want) == 0, "line %d: %s", rows[i].line, real);
	}
	teardown();
}
END_TEST

START_TEST(root_and_below)
{
	_cleanup_free_ char *root = places_real("/"), *below = places_real("/no-such-folder-here");

	ck_assert_str_eq(root, "/");
	ck_assert_str_eq(below, "/no-such-folder-here");
}
END_TEST

/* Not even "/": it ends all the same. */
START_TEST(nothing_is_resolved)
{
	_cleanup_free_ char *real = NULL;
	pid_t child;
	int status;

	unresolved = EACCES;
	real = places_real("/srv/shop/");
	ck_assert_str_eq(real, "/srv/shop");
	unresolved = ENOMEM;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		free(places_real("/srv/shop"));
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EX_OSERR);
	unresolved = 0;
}
END_TEST

START_TEST(records)
{
	struct places places;
	char *names[] = {home, home};

	setup();
	ck_assert_int_eq(places_read(fd, "/srv/shop", &places, NULL), 0);
	ck_assert(!places.filled && places.nmade == 0);
	places_clear(&places);
	ck_assert_int_eq(places_change(fd, "/srv/shop", false, "1.0-1", NULL, 0, NULL), 0);
	ck_assert_int_eq(places_change(fd, "/srv/shop", true, "1.0-2", NULL, 0, NULL), 0);
	ck_assert_int_eq(places_change(fd, "/srv/shop", false, "1.0-1", NULL, 0, NULL), 0);
	ck_assert_int_eq(places_change(fd, "/srv/other", false, "9", NULL, 0, NULL), 0);
	ck_assert_int_eq(places_read(fd, "/srv/shop", &places, NULL), 0);
	ck_assert(places.filled);
	ck_assert_uint_eq(places.nmade, 2);
	ck_assert_str_eq(places.made[0], "1.0-2"); /* the one that was used again is the youngest */
	ck_assert_str_eq(places.made[1], "1.0-1");
	names[0] = places.made[0];
	ck_assert_int_eq(places_change(fd, "/srv/shop", false, NULL, names, 1, NULL), 0);
	places_clear(&places);
	ck_assert_int_eq(places_read(fd, "/srv/shop", &places, NULL), 0);
	ck_assert_uint_eq(places.nmade, 1);
	ck_assert_str_eq(places.made[0], "1.0-1");
	places_clear(&places);
	teardown();
}
END_TEST

START_TEST(a_damaged_record_is_an_error)
{
	_cleanup_free_ char *command = NULL;
	struct places places;
	_cleanup_err_ struct err err = ERR_INIT;

	setup();
	ck_assert_int_eq(places_change(fd, "/srv/shop", false, "1.0-1", NULL, 0, NULL), 0);
	command = xasprintf("for f in '%s'/places/*; do echo '{' >\"$f\"; done", home);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_lt(places_read(fd, "/srv/shop", &places, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "/srv/shop"));
	ck_assert_int_lt(places_change(fd, "/srv/shop", false, "1.0-2", NULL, 0, NULL), 0);
	teardown();
}
END_TEST

UNIT_MAIN("places", real_paths, root_and_below, nothing_is_resolved, records, a_damaged_record_is_an_error)
