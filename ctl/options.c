/* SPDX-License-Identifier: ISC */
/*
 * The command line as a value. getopt_long() is not used: it takes abbreviations, which break
 * scripts when an option is added, cannot suggest, and lets `--reason --now` swallow the `--now`.
 */
#include "ctl/options.h"

#include <errno.h>
#include <string.h>

#include "common/names.h"
#include "common/xalloc.h"

const struct option_spec option_specs[OPTION_MAX_] = {
#define X(symbol, name, letter, value, text) [OPTION_##symbol] = {name, letter, value, text},
    OPTIONS(X)
#undef X
};

static int
find_long(const char *name, size_t n)
{
	for (int i = 0; i < OPTION_MAX_; i++)
		if (strlen(option_specs[i].name) == n && memcmp(option_specs[i].name, name, n) == 0)
			return i;
	return -1;
}

static int
find_short(char letter)
{
	for (int i = 0; i < OPTION_MAX_; i++)
		if (letter != 0 && option_specs[i].letter == letter)
			return i;
	return -1;
}

static int
unknown_option(const char *word, size_t n, struct err *err)
{
	const char *names[OPTION_MAX_], *near;
	_cleanup_free_ char *name = xstrndup(word, n);

	for (int i = 0; i < OPTION_MAX_; i++)
		names[i] = option_specs[i].name;
	near = names_suggest(name, names, OPTION_MAX_);
	for (int i = 0; i < OPTION_MAX_ && near == NULL && n >= 3; i++)
		if (strncmp(names[i], name, n) == 0)
			near = names[i]; /* the beginning of one */
	if (near == NULL && (strcmp(name, "colour") == 0))
		near = "color";
	if (near != NULL)
		return err_set(err, ERR_USAGE, "no option --%s; did you mean --%s?", name, near);
	return err_set(err, ERR_USAGE, "no option --%s: bmctl --help lists them", name);
}

/* Only these may be repeated: each --var adds one; of the rest the last word about how to print
 * wins. */
static bool
repeatable(int id)
{
	return id == OPTION_VARIABLE || id == OPTION_JSON || id == OPTION_COLOR ||
	       id == OPTION_SOCKET || id == OPTION_HOST || id == OPTION_HELP ||
	       id == OPTION_VERSION;
}

static int
take_option(struct options *options, int id, const char *value, struct err *err)
{
	const struct option_spec *spec = &option_specs[id];

	if (options->given[id] && !repeatable(id))
		return err_set(err, ERR_USAGE, "--%s is given twice", spec->name);
	options->given[id] = true;
	options->value[id] = value;
	if (id == OPTION_VARIABLE)
		options->variables[options->nvariables++] = value;
	return 0;
}

/* The value of option ID: what is GLUED to it, else the next word. */
static int
take_value(struct options *options, int id, const char *glued, size_t argc, const char *const *argv,
	   size_t *i, struct err *err)
{
	const struct option_spec *spec = &option_specs[id];
	const char *value = glued;

	if (value == NULL) {
		if (*i + 1 >= argc)
			return err_set(err, ERR_USAGE, "--%s wants a value: --%s %s", spec->name,
				       spec->name, spec->value);
		value = argv[++*i];
		if (strncmp(value, "--", 2) == 0 &&
		    find_long(value + 2, strcspn(value + 2, "=")) >= 0)
			return err_set(
			    err, ERR_USAGE,
			    "--%s wants a value, and %s is an option; write --%s=%s if it is meant",
			    spec->name, value, spec->name, value);
	}
	return take_option(options, id, value, err);
}

static int
parse_long(struct options *options, size_t argc, const char *const *argv, size_t *i,
	   struct err *err)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	const char *glued = name[n] == '=' ? name + n + 1 : NULL;
	int id = find_long(name, n);

	if (id < 0)
		return unknown_option(name, n, err);
	if (option_specs[id].value != NULL)
		return take_value(options, id, glued, argc, argv, i, err);
	if (glued != NULL)
		return err_set(err, ERR_USAGE, "--%s takes no value", option_specs[id].name);
	return take_option(options, id, NULL, err);
}

static int
parse_short(struct options *options, size_t argc, const char *const *argv, size_t *i,
	    struct err *err)
{
	const char *p = argv[*i] + 1;
	int r;

	/* With one dash, in a hurry; as letters it would be something else altogether. */
	if (p[1] != '\0' && find_long(p, strcspn(p, "=")) >= 0)
		return err_set(err, ERR_USAGE, "no option -%s; did you mean --%s?", p, p);
	for (; *p != '\0'; p++) {
		int id = find_short(*p);

		if (id < 0)
			return err_set(err, ERR_USAGE, "no option -%c: bmctl --help lists them",
				       *p);
		if (option_specs[id].value != NULL) {
			const char *glued = p[1] == '\0' ? NULL : p[1] == '=' ? p + 2 : p + 1;

			return take_value(options, id, glued, argc, argv, i, err);
		}
		if ((r = take_option(options, id, NULL, err)) < 0)
			return r;
	}
	return 0;
}

int
options_parse(size_t argc, const char *const *argv, struct options *ret_options, struct err *err)
{
	struct options options = {0};
	bool only_words = false;
	int r = 0;

	options.words = xcalloc(argc + 1, sizeof(*options.words));
	options.variables = xcalloc(argc + 1, sizeof(*options.variables));
	for (size_t i = 0; i < argc && r >= 0; i++) {
		const char *word = argv[i];

		if (only_words || word[0] != '-' || word[1] == '\0')
			options.words[options.nwords++] = word;
		else if (strcmp(word, "--") == 0)
			only_words = true;
		else if (word[1] == '-')
			r = parse_long(&options, argc, argv, &i, err);
		else
			r = parse_short(&options, argc, argv, &i, err);
	}
	if (r < 0) {
		options_clear(&options);
		return r;
	}
	*ret_options = options;
	return 0;
}

void
options_clear(struct options *options)
{
	free(options->words);
	free(options->variables);
	*options = (struct options){0};
}

/* The option for the same that a verb takes which does not take ID. */
static const char *
related(enum option_id id, uint64_t allowed)
{
	static const struct {
		enum option_id given, meant;
	} relatives[] = {{OPTION_STAGE, OPTION_TO},   {OPTION_TO, OPTION_STAGE},
			 {OPTION_UNTIL, OPTION_AT},   {OPTION_AT, OPTION_UNTIL},
			 {OPTION_AT, OPTION_ON},      {OPTION_AT, OPTION_SINCE},
			 {OPTION_NOTE, OPTION_REASON}};

	for (size_t i = 0; i < ARRAY_SIZE(relatives); i++)
		if (relatives[i].given == id && (allowed >> relatives[i].meant & 1) != 0)
			return option_specs[relatives[i].meant].name;
	return NULL;
}

int
options_check(const struct options *options, const char *verb, uint64_t allowed, struct err *err)
{
	const char *meant;

	for (int i = 0; i < OPTION_MAX_; i++) {
		if (!options->given[i] || ((allowed | OPTIONS_ALWAYS) >> i & 1) != 0)
			continue;
		if ((meant = related(i, allowed)) != NULL)
			return err_set(err, ERR_USAGE,
				       "bmctl %s takes no option --%s; did you mean --%s?", verb,
				       option_specs[i].name, meant);
		return err_set(err, ERR_USAGE, "bmctl %s takes no option --%s: bmctl help %s", verb,
			       option_specs[i].name, verb);
	}
	return 0;
}

static void
quote_word(FILE *f, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_@%+=:,./-";

	if (word[0] != '\0' && word[strspn(word, safe)] == '\0') {
		fputs(word, f);
		return;
	}
	fputc('\'', f);
	for (; *word != '\0'; word++)
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	fputc('\'', f);
}

char *
options_quote(size_t argc, const char *const *argv, const char *extra)
{
	char *line = NULL;
	size_t n;
	FILE *f = open_memstream(&line, &n);

	if (f == NULL)
		xalloc_die();
	fputs("bmctl", f);
	for (size_t i = 0; i < argc; i++) {
		if (extra != NULL && strcmp(argv[i], "--") == 0) {
			fprintf(f, " %s", extra);
			extra = NULL;
		}
		fputc(' ', f);
		quote_word(f, argv[i]);
	}
	if (extra != NULL)
		fprintf(f, " %s", extra);
	if (fclose(f) != 0)
		xalloc_die();
	return line;
}
