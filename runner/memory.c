/* SPDX-License-Identifier: ISC */
/*
 * With cgroup v2 the counter is memory.events, hierarchical, so that steps in a cgroup below ours
 * are in it. With v1 it is memory.oom_control, of one cgroup alone; steps stay in ours there. v1's
 * root counts the whole machine, and is not asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "runner/memory.h"

/* "oom_kill N" in a file of a name and a number a line. */
static int64_t
read_kills(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int64_t n = -1;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "oom_kill ", 9) == 0)
			n = strtoll(line + 9, NULL, 10);
	if (file)
		fclose(file);
	return n;
}

/* LINE of /proc/self/cgroup: "0::PATH" or "N:CONTROLLERS:PATH". */
static int64_t
line_kills(char *line)
{
	static const char *const unified[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char *controllers = strchr(line, ':'),
	     *path = controllers ? strchr(controllers + 1, ':') : NULL;
	int64_t n = -1;

	if (!path)
		return -1;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (strcmp(controllers + 1, "memory") == 0 && strcmp(path, "/") != 0) {
		_cleanup_free_ char *file =
		    xasprintf("/sys/fs/cgroup/memory%s/memory.oom_control", path);

		return read_kills(file);
	}
	for (size_t i = 0; controllers[1] == '\0' && n < 0 && i < ARRAY_SIZE(unified); i++) {
		_cleanup_free_ char *file = xasprintf("%s%s/memory.events", unified[i], path);

		n = read_kills(file);
	}
	return n;
}

int64_t
memory_kills(const char *cgroup)
{
	_cleanup_free_ char *events = xasprintf("%s/memory.events", cgroup);
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];
	int64_t n = *cgroup ? read_kills(events) : -1;

	while (file && n < 0 && fgets(line, sizeof(line), file))
		n = line_kills(line);
	if (file)
		fclose(file);
	return n;
}
