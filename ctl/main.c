/* SPDX-License-Identifier: ISC */
/*
 * bmctl: asks bmd. The line is parsed, its verb found, what it may take checked, and its function
 * called; what went wrong is printed here and nowhere else, and becomes the exit code.
 */
#include <errno.h>
#include <string.h>

#include "common/standard.h"
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

/* `bmctl --json VERB --bad` fails before --json is known as an option: look for the word itself. */
static bool
wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

static int
check_words(const struct ctl *ctl, struct err *err)
{
	size_t n = ctl->options.nwords - ctl->first;

	if (n < ctl->verb->least)
		return ctl_usage(ctl, err,
				 n == 0 ? "bmctl %s wants more" : "bmctl %s wants one more word",
				 ctl->verb->name);
	if (n > ctl->verb->most)
		return ctl_usage(ctl, err, "bmctl %s does not know what to do with '%s'",
				 ctl->verb->name, ctl_word(ctl, ctl->verb->most));
	return options_check(&ctl->options, ctl->verb->name, ctl->verb->options, err);
}

static int
run(struct ctl *ctl, struct err *err)
{
	int r;

	if ((r = options_parse(ctl->argc, ctl->argv, &ctl->options, err)) < 0)
		return r;
	if (ctl_given(ctl, OPTION_VERSION)) {
		printf("bmctl %s\n", PACKAGE_VERSION);
		return CTL_DONE;
	}
	if (ctl_given(ctl, OPTION_HELP) && ctl->options.nwords == 0) {
		verbs_print_all();
		return CTL_DONE;
	}
	if (ctl_given(ctl, OPTION_HELP) && ctl->options.nwords == 1 &&
	    verbs_has_group(ctl->options.words[0]))
		return verb_help(ctl, err);
	r = verbs_find(ctl->options.words, ctl->options.nwords, &ctl->verb, &ctl->first, err);
	if (r < 0)
		return r;
	if (ctl_given(ctl, OPTION_HELP)) {
		verbs_print_help(ctl->verb);
		return CTL_DONE;
	}
	if ((r = check_words(ctl, err)) < 0 || (r = ctl_open(ctl, err)) < 0)
		return r;
	return ctl->verb->run(ctl, err);
}

int
main(int argc, char **argv)
{
	struct ctl ctl = {.argv = (const char *const *)argv + 1, .json = wants_json(argc, argv)};
	struct err err = ERR_INIT;
	int code;

	standard_streams();
	ctl.argc = argc > 0 ? (size_t)argc - 1 : 0;
	code = run(&ctl, &err);
	if (code < 0) {
		ctl_hint_unquoted(&ctl, &err);
		code = ctl_error(&ctl, &err);
	}
	table_flush();
	if (table_lost() != 0 && code == CTL_DONE) {
		table_line(stderr, "bmctl: standard output: %s", strerror(table_lost()));
		code = CTL_FAILED;
	}
	err_clear(&err);
	ctl_close(&ctl);
	return code;
}
