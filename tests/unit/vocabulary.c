/* SPDX-License-Identifier: ISC */
/*
 * Prints the words of the programs, from the tables that they are made of, a word a line with its
 * kind before it. tests/manual.sh holds the manual against them.
 */
#include <stdio.h>
#include <string.h>

#include "common/conf/confparse.h"
#include "common/err.h"
#include "ctl/ctl.h"
#include "ctl/options.h"
#include "ctl/verbs/verbs.h"
#include "common/event.h"
#include "daemon/job.h"
#include "daemon/methods/methods.h"

static void
print_verbs(void)
{
	for (size_t i = 0; i < verbs_count; i++) {
		printf("verb %s\n", verbs[i].name);
		printf("synopsis %s: %s\n", verbs[i].name, verbs[i].synopsis);
		for (int j = 0; j < OPTION_MAX_; j++)
			if ((verbs[i].options | OPTIONS_ALWAYS) >> j & 1)
				printf("takes %s %s\n", option_specs[j].name, verbs[i].name);
	}
	for (int i = 0; i < OPTION_MAX_; i++) {
		printf("option %s\n", option_specs[i].name);
		if (option_specs[i].value != NULL)
			printf("value %s %s\n", option_specs[i].name, option_specs[i].value);
		if (option_specs[i].letter != 0)
			printf("letter %c %s\n", option_specs[i].letter, option_specs[i].name);
	}
}

static void
print_exits(void)
{
	static const int others[] = {CTL_DONE,	  CTL_FAILED, CTL_NOT_RUN,
				     CTL_TIMEOUT, CTL_HELD,   CTL_DETACHED};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		printf("exit %d\n", others[i]);
	for (int code = ERR_NONE + 1; code < ERR_MAX_; code++)
		printf("exit %d\n", err_exit((enum err_code)code));
	for (int code = ERR_NONE + 1; code < ERR_MAX_; code++)
		printf("error %s %d\n", err_name((enum err_code)code),
		       err_exit((enum err_code)code));
#define X(symbol, name) printf("rule %s\n", name);
	ERR_RULES(X)
#undef X
}

/* Whom the text of the page names as those who may call it. */
static void
print_methods(void)
{
#define VIEWER			     "viewers"
#define OPERATOR		     "operators"
#define APPROVER		     "approvers"
#define ROOT			     "root"
#define X(name, role, kind, touches) printf("role %s %s\n", #name, role);
	METHODS(X)
#undef X
}

static void
print_notices(void)
{
#define X(symbol, name) printf("notice %s\n", name);
	CONF_NOTICES(X)
#undef X
#define X(symbol, name, id, priority) printf("event %s\n", name);
	EVENTS(X)
#undef X
}

static void
print_states(void)
{
#define X(symbol, stored, shown, final) printf("state %s\n", shown);
	JOB_STATES(X)
#undef X
}

static void
print_section(const struct conf_schema *schema)
{
	const char *kind = schema->kind != NULL ? schema->kind : "main";

	for (size_t i = 0; i < schema->nrules; i++)
		printf("key %s %s\n", kind, schema->rules[i].name);
	for (size_t i = 0; i < schema->nchildren; i++) {
		printf("section %s %s\n", kind, schema->children[i]->kind);
		print_section(schema->children[i]);
	}
}

int
main(void)
{
	print_verbs();
	print_exits();
	print_states();
	print_methods();
	print_notices();
	print_section(conf_schema(CONF_MAIN));
	print_section(conf_schema(CONF_APPLICATIONS));
	print_section(conf_schema(CONF_PLANS));
	return 0;
}
