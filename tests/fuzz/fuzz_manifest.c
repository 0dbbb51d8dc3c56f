/* SPDX-License-Identifier: ISC */
/*
 * Any text as a manifest: what is taken is exactly what would be written, and following its links
 * step by step, as a kernel does, never leaves the tree. The same bytes are also taken as a tree
 * that somebody uploads: what finishes can be written and read back.
 */
#include "artifact/manifest.h"
#include "common/scope.h"
#include "common/xalloc.h"
#include "tests/fuzz/fuzz.h"

#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Follows TARGET from the folder AT, by the letter; AT is where it ends. */
static void
follow(const struct manifest *manifest, char *at, size_t room, const char *target, int left)
{
	_cleanup_free_ char *copy = xstrdup(target);
	char *save = NULL;

	must(left > 0);
	for (char *name = strtok_r(copy, "/", &save); name != NULL;
	     name = strtok_r(NULL, "/", &save)) {
		const struct manifest_entry *entry;
		char *slash;

		if (strcmp(name, ".") == 0)
			continue;
		slash = strrchr(at, '/');
		if (strcmp(name, "..") == 0) {
			must(*at != '\0');
			*(slash != NULL ? slash : at) = '\0';
			continue;
		}
		must(strlen(at) + strlen(name) + 2 <= room);
		strcat(strcat(at, *at != '\0' ? "/" : ""), name);
		entry = manifest_find(manifest, at);
		if (entry == NULL || entry->kind != MANIFEST_LINK)
			continue;
		slash = strrchr(at, '/');
		*(slash != NULL ? slash : at) = '\0';
		follow(manifest, at, room, entry->target, left - 1);
	}
}

static void
check(const struct manifest *manifest)
{
	_cleanup_free_ char *text = NULL, *again = NULL;
	struct manifest copy = {0};
	size_t n, m;

	for (size_t i = 0; i < manifest->n; i++) {
		char at[8192] = "";

		must(manifest_find(manifest, manifest->v[i].path) == &manifest->v[i]);
		must(manifest_check_path(manifest->v[i].path, NULL) == 0);
		if (manifest->v[i].kind != MANIFEST_LINK)
			continue;
		strcpy(at, manifest->v[i].path);
		*(strrchr(at, '/') != NULL ? strrchr(at, '/') : at) = '\0';
		follow(manifest, at, sizeof(at), manifest->v[i].target, 41);
	}
	text = manifest_format(manifest, &n);
	must(manifest_parse(text, n, &copy, NULL) == 0);
	again = manifest_format(&copy, &m);
	must(n == m && memcmp(text, again, n) == 0);
	manifest_clear(&copy);
}

/* Lines: PATH a file, "PATH>TARGET" a link, "PATH/" a folder. */
static void
check_tree(char *text)
{
	struct manifest manifest = {0};
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char *target = strchr(line, '>');
		size_t n = strlen(line);

		if (target != NULL) {
			*target = '\0';
			manifest_add_link(&manifest, line, target + 1);
		} else if (line[n - 1] == '/') {
			line[n - 1] = '\0';
			manifest_add_directory(&manifest, line);
		} else {
			manifest_add_file(&manifest, line, line[0] == 'x', (int64_t)n, DIGEST);
		}
	}
	if (manifest_finish(&manifest, NULL) == 0)
		check(&manifest);
	manifest_clear(&manifest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xrealloc(NULL, size + 1, 1), *written = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct manifest manifest = {0};
	size_t n;

	memcpy(text, data, size);
	text[size] = '\0';
	if (manifest_parse(text, size, &manifest, &err) == 0) {
		written = manifest_format(&manifest, &n);
		must(n == size && memcmp(written, text, n) == 0);
		check(&manifest);
		manifest_clear(&manifest);
	} else {
		must(err.text[0] != '\0');
	}
	check_tree(text);
	return 0;
}
