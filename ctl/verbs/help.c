/* SPDX-License-Identifier: ISC */
/*
 * The table of verbs, and what is made of it: finding a verb, suggesting one, and all help.
 */
#include <string.h>

#include "common/names.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

const struct verb verbs[] = {
#define X(function, name, synopsis, least, most, options, summary, example) \
	{name, synopsis, least, most, options, summary, example, verb_##function},
    VERBS(X)
#undef X
};
const size_t verbs_count = ARRAY_SIZE(verbs);

/* Words that other programs use for ours. */
static const struct {
	const char *word, *verb;
} relatives[] = {
    {"list", "queue"},
    {"ls", "build list"},
    {"jobs", "queue"},
    {"logs", "log"},
    {"undo", "redeploy"},
    {"revert", "redeploy"},
    {"promote", "deploy"},
    {"tail", "log"},
    {"ps", "queue"},
    {"kill", "cancel"},
    {"stop", "cancel"},
    {"abort", "cancel"},
    {"add", "build add"},
    {"upload", "build add"},
    {"reject", "build reject"},
    {"restore", "build restore"},
    {"verify", "build verify"},
    {"builds", "build list"},
    {"hold", "lock"},
    {"preview", "schedule preview"},
    {"pin", "build pin"},
    {"unpin", "build unpin"},
    {"prune", "gc"},
    {"collect", "gc"},
    {"clean", "gc"},
};

/* Is VERB what the N WORDS begin with? The number of words it has, or 0. */
static size_t
matches(const struct verb *verb, const char *const *words, size_t n)
{
	const char *space = strchr(verb->name, ' ');

	if (space == NULL)
		return n >= 1 && strcmp(words[0], verb->name) == 0;
	if (n >= 2 && strlen(words[0]) == (size_t)(space - verb->name) &&
	    strncmp(words[0], verb->name, strlen(words[0])) == 0 &&
	    strcmp(words[1], space + 1) == 0)
		return 2;
	return 0;
}

/* What WORD may have been meant for: mistyped, or the beginning of only one. */
static const char *
suggest(const char *word, const char *const *names, size_t n)
{
	const char *near = names_suggest(word, names, n);
	size_t begins = 0;

	if (near != NULL || word[0] == '\0')
		return near;
	for (size_t i = 0; i < n; i++)
		if (strncmp(names[i], word, strlen(word)) == 0) {
			near = names[i];
			begins++;
		}
	return begins == 1 ? near : NULL;
}

static int
no_such_verb(const char *word, struct err *err)
{
	static const char *const groups[] = {"build", "schedule"};
	const char *names[ARRAY_SIZE(verbs)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(relatives); i++)
		if (strcmp(word, relatives[i].word) == 0)
			return err_set(err, ERR_USAGE, "no verb '%s'; did you mean bmctl %s?", word,
				       relatives[i].verb);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i].name;
	near = suggest(word, names, ARRAY_SIZE(verbs));
	if (near == NULL)
		near = names_suggest(word, groups, ARRAY_SIZE(groups));
	if (near != NULL)
		return err_set(err, ERR_USAGE, "no verb '%s'; did you mean bmctl %s?", word, near);
	return err_set(err, ERR_USAGE, "no verb '%s': bmctl --help lists them", word);
}

/* The second word of a verb, if the first one is GROUP; else NULL. */
static const char *
member(const struct verb *verb, const char *group)
{
	size_t n = strlen(group);

	if (strncmp(verb->name, group, n) == 0 && verb->name[n] == ' ')
		return verb->name + n + 1;
	return NULL;
}

bool
verbs_has_group(const char *word)
{
	bool group = false;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, word) == 0)
			return false;
		group = group || member(&verbs[i], word) != NULL;
	}
	return group;
}

/* "build" alone, or with a WORD that is none of its verbs. */
static int
no_such_member(const char *group, const char *word, struct err *err)
{
	_cleanup_free_ char *list = xstrdup("");
	const char *names[ARRAY_SIZE(verbs)], *near;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *name = member(&verbs[i], group);
		char *longer;

		if (name == NULL)
			continue;
		longer = xasprintf("%s%s%s", list, n > 0 ? ", " : "", name);
		free(list);
		list = longer;
		names[n++] = name;
	}
	if (word == NULL)
		return err_set(err, ERR_USAGE, "bmctl %s wants %s%s", group, n > 1 ? "one of " : "",
			       list);
	near = suggest(word, names, n);
	if (near != NULL)
		return err_set(err, ERR_USAGE, "no verb '%s %s'; did you mean bmctl %s %s?", group,
			       word, group, near);
	return err_set(err, ERR_USAGE, "no verb '%s %s'; there %s %s", group, word,
		       n > 1 ? "are" : "is", list);
}

int
verbs_find(const char *const *words, size_t n, const struct verb **ret_verb, size_t *ret_used,
	   struct err *err)
{
	static const char *const status[] = {"status"};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		size_t used = n == 0 ? matches(&verbs[i], status, 1) : matches(&verbs[i], words, n);

		if (used == 0)
			continue;
		*ret_verb = &verbs[i];
		*ret_used = n == 0 ? 0 : used;
		return 0;
	}
	if (verbs_has_group(words[0]))
		return no_such_member(words[0], n > 1 ? words[1] : NULL, err);
	return no_such_verb(words[0], err);
}

static void
print_options(uint64_t set)
{
	for (int i = 0; i < OPTION_MAX_; i++) {
		const struct option_spec *spec = &option_specs[i];
		char letter[8] = "    ", name[64];

		if ((set >> i & 1) == 0)
			continue;
		if (spec->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", spec->letter);
		snprintf(name, sizeof(name), "--%s%s%s", spec->name, spec->value ? " " : "",
			 spec->value ? spec->value : "");
		printf("  %s%-20s  %s\n", letter, name, spec->text);
	}
}

void
verbs_print_help(const struct verb *verb)
{
	printf("usage: bmctl %s%s%s\n\n%s\n", verb->name, verb->synopsis[0] == '\0' ? "" : " ",
	       verb->synopsis, verb->summary);
	printf("\nexample:\n    %s\n\noptions:\n", verb->example);
	print_options(verb->options);
	print_options(OPTIONS_ALWAYS);
	printf("\nbmctl(1) tells the whole story.\n");
}

void
verbs_print_all(void)
{
	printf(
	    "usage: bmctl [-H HOST] [-s SOCKET] [--json] [--color=auto|always|never] VERB ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-16s  %s\n", verbs[i].name, verbs[i].summary);
	printf("\nbmctl alone is bmctl status. WHEN is --now or --at TIME, TIME as in\n"
	       "02:00, +2h30min, fri 22:00, '2026-11-23 02:00 Europe/Berlin', @1795374229.\n"
	       "bmctl help VERB, or bmctl VERB --help, shows the options and an example.\n\n"
	       "examples:\n"
	       "    bmctl redeploy --now               the last good build before the live one\n"
	       "    bmctl redeploy shop 1.0.2/3 --at 02:00\n"
	       "\noptions:\n");
	print_options(OPTIONS_ALWAYS);
	printf(
	    "\nexit codes: 0 done, 1 failed, 2 usage, 3 no such thing, 4 not permitted, 5 bmd not\n"
	    "reachable or its answer lost, 6 the job did not run to its end, 7 --timeout passed,\n"
	    "8 refused by a rule or held, 130 detached\n");
}

int
verb_help(struct ctl *ctl, struct err *err)
{
	const struct verb *verb;
	size_t n = ctl->options.nwords - ctl->first, used;
	int r;

	if (n == 0) {
		verbs_print_all();
		return CTL_DONE;
	}
	if (n == 1 && verbs_has_group(ctl_word(ctl, 0))) {
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
			if (member(&verbs[i], ctl_word(ctl, 0)) != NULL)
				printf("  bmctl %s %s\n      %s\n", verbs[i].name,
				       verbs[i].synopsis, verbs[i].summary);
		return CTL_DONE;
	}
	r = verbs_find(ctl->options.words + ctl->first, n, &verb, &used, err);
	if (r < 0)
		return r;
	if (used < n)
		return ctl_usage(ctl, err, "one verb at a time");
	verbs_print_help(verb);
	return CTL_DONE;
}
