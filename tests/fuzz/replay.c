/* SPDX-License-Identifier: ISC */
/*
 * Runs a fuzz target without libFuzzer, as an ordinary test: over each file of a corpus, over what
 * is left of it when it is cut, and over copies with a few bytes changed (always the same ones).
 * The files or folders are arguments; without any it is fuzz/corpus/NAME for a program called
 * fuzz_NAME.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX    (4 * 1024 * 1024)
#define CUTS	    64
#define CHANGES	    128
#define SECONDS_MAX 3 /* of changing; every file is run as it is in any case */

static uint64_t seed = 88172645463325252ULL;
static time_t until;
static unsigned files, runs;

static size_t
pick(size_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % n);
}

/* A copy of exactly N bytes, so that a sanitizer sees the first byte read beyond. */
static void
run(const uint8_t *data, size_t n, size_t changes)
{
	static const char likely[] = "{}[]()\"\\,:#\n?/.-";
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		err(71, "malloc");
	memcpy(copy, data, n);
	for (size_t i = 0; n && i < changes; i++)
		copy[pick(n)] =
		    pick(2) ? (uint8_t)pick(256) : (uint8_t)likely[pick(sizeof(likely))];
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

static void
run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(FILE_MAX);

	if (!file || !data)
		err(66, "%s", path);
	size_t n = fread(data, 1, FILE_MAX, file);
	fclose(file);
	files++;
	run(data, n, 0);
	for (size_t i = 0; i < CUTS && n && time(NULL) < until; i++)
		run(data, n <= CUTS ? i % n : pick(n), 0);
	for (size_t i = 0; i < CHANGES && n && time(NULL) < until; i++)
		run(data, n, 1 + pick(4));
	free(data);
}

static void
run_path(const char *path)
{
	struct dirent **names;
	struct stat st;
	char *child;

	if (stat(path, &st) < 0)
		err(66, "%s", path);
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	int n = scandir(path, &names, NULL, alphasort);
	if (n < 0)
		err(66, "%s", path);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			if (asprintf(&child, "%s/%s", path, names[i]->d_name) < 0)
				err(71, "asprintf");
			run_path(child);
			free(child);
		}
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	char *path;

	until = time(NULL) + SECONDS_MAX;
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	if (argc == 1) {
		const char *name = strstr(program_invocation_short_name, "fuzz_");
		if (!name)
			errx(64, "usage: %s FILE-OR-FOLDER…", argv[0]);
		if (asprintf(&path, "%s/tests/fuzz/corpus/%s", TOP_SRCDIR, name + strlen("fuzz_")) <
		    0)
			err(71, "asprintf");
		run_path(path);
		free(path);
	}
	printf("%u files, %u runs\n", files, runs);
	return files ? 0 : 1;
}
