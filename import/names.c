/* SPDX-License-Identifier: ISC */
/* Names of an upload that are allowed and may surprise. */
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "common/scope.h"
#include "common/xalloc.h"
#include "import/names.h"

#define WARNINGS_MAX 20

struct warnings {
	json_t *list;
	size_t n; /* also of those that are not listed any more */
};

static void
warn(struct warnings *warnings, const char *path, const char *why)
{
	_cleanup_free_ char *shown = NULL, *text = NULL;

	if (warnings->n++ >= WARNINGS_MAX)
		return;
	shown = manifest_shown(path);
	text = xasprintf("%s: %s", shown, why);
	json_array_append_new(warnings->list, json_string(text));
}

/* PATH in lower case, for a look at what file systems without case would make of it. */
static char *
fold(const char *path, size_t n, locale_t locale)
{
	char *folded = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&folded, &size);
	mbstate_t in_state = {0}, out_state = {0};

	if (out == NULL)
		xalloc_die();
	for (size_t i = 0; i < n;) {
		char bytes[MB_LEN_MAX];
		wchar_t c;
		size_t used = mbrtowc(&c, path + i, n - i, &in_state), made;

		if (used == 0 || used > n - i)
			break;
		made = wcrtomb(bytes, (wchar_t)towlower_l((wint_t)c, locale), &out_state);
		if (made != (size_t)-1)
			fwrite(bytes, 1, made, out);
		i += used;
	}
	if (fclose(out) != 0)
		xalloc_die();
	return folded;
}

struct twin {
	char *folded;
	const char *path;
};

static int
by_fold(const void *a, const void *b)
{
	const struct twin *x = a, *y = b;
	int c = strcmp(x->folded, y->folded);

	return c != 0 ? c : strcmp(x->path, y->path);
}

static void
warn_twins(struct warnings *warnings, struct twin *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_fold);
	for (size_t i = 1; i < n; i++)
		if (strcmp(v[i].folded, v[i - 1].folded) == 0 &&
		    strcmp(v[i].path, v[i - 1].path) != 0)
			warn(warnings, v[i].path,
			     "differs from another path only in upper and lower case");
}

void
names_warn(const struct manifest *manifest, json_t *list)
{
	static const char *const turning[] = {"\u202a", "\u202b", "\u202d", "\u202e",
					      "\u2066", "\u2067", "\u2068"};
	locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before;
	struct warnings warnings = {.list = list};
	struct twin *v = NULL;

	if (locale == (locale_t)0)
		return;
	before = uselocale(locale);
	if (manifest->n > 0)
		v = xcalloc(manifest->n, sizeof(*v));
	for (size_t i = 0; i < manifest->n; i++) {
		const char *path = manifest->v[i].path;

		v[i] = (struct twin){fold(path, strlen(path), locale), path};
		for (size_t j = 0; j < ARRAY_SIZE(turning); j++)
			if (strstr(path, turning[j]) != NULL) {
				warn(&warnings, path,
				     "the name has characters that turn the direction of text");
				break;
			}
	}
	if (v != NULL)
		warn_twins(&warnings, v, manifest->n);
	for (size_t i = 0; i < manifest->n; i++)
		free(v[i].folded);
	free(v);
	uselocale(before);
	freelocale(locale);
	if (warnings.n > WARNINGS_MAX) {
		_cleanup_free_ char *text =
		    xasprintf("and %zu more such names", warnings.n - WARNINGS_MAX);

		json_array_append_new(list, json_string(text));
	}
}
