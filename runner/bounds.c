/* SPDX-License-Identifier: ISC */
/* A table of three: the key of the configuration, the controller, its file. */
#include "runner/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/xalloc.h"

static const struct {
	const char *key, *controller, *file;
} bounds_table[] = {
    {"memory-max", "memory", "memory.max"},
    {"tasks-max", "pids", "pids.max"},
    {"cpu-weight", "cpu", "cpu.weight"},
};

static int64_t
value_of(const struct conf_limits *limits, size_t i)
{
	const int64_t values[] = {limits->memory_bytes, limits->tasks, limits->cpu_weight};

	return values[i];
}

bool
bounds_any(const struct conf_limits *limits)
{
	return limits->memory_bytes > 0 || limits->tasks > 0 || limits->cpu_weight > 0;
}

static int
write_file(const char *folder, const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t n = strlen(text);
	ssize_t w = fd < 0 ? -1 : write(fd, text, n);

	if (w == (ssize_t)n)
		return 0;
	return w < 0 ? -errno : -EIO;
}

/* Is WORD one of those in the file, which are separated by blanks? */
static bool
has_word(const char *folder, const char *name, const char *word)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[4096], *rest = text, *one;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	while ((one = strsep(&rest, " \n")))
		if (strcmp(one, word) == 0)
			return true;
	return false;
}

static int
unkept(size_t i, const char *why, struct err *err)
{
	return err_set(err, ERR_CONFIGURATION,
		       "%s of the stage cannot be kept here: %s: take it away, or run bmd with "
		       "launcher = \"systemd\" on a machine with the unified cgroup hierarchy",
		       bounds_table[i].key, why);
}

/* All at once: the children of OWN get the controllers, or none of them. */
static int
give(const char *own, const struct conf_limits *limits, struct err *err)
{
	char text[64] = "";
	size_t n = 0, first = ARRAY_SIZE(bounds_table);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(bounds_table); i++) {
		if (value_of(limits, i) == 0)
			continue;
		if (first == ARRAY_SIZE(bounds_table))
			first = i;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s+%s", n > 0 ? " " : "",
				      bounds_table[i].controller);
	}
	r = write_file(own, "cgroup.subtree_control", text);
	return r < 0 ? unkept(first, strerror(-r), err) : 0;
}

int
bounds_prepare(const char *own, const struct conf_limits *limits, struct err *err)
{
	_cleanup_free_ char *leaf = own ? xasprintf("%s/bmd-run", own) : NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(bounds_table); i++) {
		if (value_of(limits, i) == 0)
			continue;
		if (!own)
			return unkept(i, "bmd-run has no cgroup of its own", err);
		if (!has_word(own, "cgroup.controllers", bounds_table[i].controller)) {
			_cleanup_free_ char *why =
			    xasprintf("the cgroup of bmd-run has no controller %s",
				      bounds_table[i].controller);

			return unkept(i, why, err);
		}
	}
	if (!own)
		return 0;
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return err_errno(err, errno, "cannot make the cgroup %s", leaf);
	r = write_file(leaf, "cgroup.procs", "0");
	if (r < 0)
		return err_errno(err, -r, "cannot enter the cgroup %s", leaf);
	return give(own, limits, err);
}

int
bounds_set(const char *steps, const struct conf_limits *limits, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(bounds_table); i++) {
		char text[24];
		int r;

		if (value_of(limits, i) == 0)
			continue;
		(void)snprintf(text, sizeof(text), "%" PRId64, value_of(limits, i));
		r = write_file(steps, bounds_table[i].file, text);
		if (r < 0)
			return unkept(i, strerror(-r), err);
	}
	return 0;
}

/* pids.events counts what any limit refused, also one further up: only beside a limit of our own is
 * it that one's. */
int64_t
bounds_refused(const char *steps)
{
	_cleanup_free_ char *path = xasprintf("%s/pids.events", steps);
	bool limited = *steps && !has_word(steps, "pids.max", "max");
	FILE *file = limited ? fopen(path, "re") : NULL;
	char line[256];
	int64_t n = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "max ", 4) == 0)
			n = strtoll(line + 4, NULL, 10);
	if (file)
		fclose(file);
	return n;
}
