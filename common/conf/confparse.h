/* SPDX-License-Identifier: ISC */
/*
 * Private to conf*.c and its tests: the way from files to a struct conf.
 *
 *	conf.c		files → text; loading, freeing, finding
 *	conflex.c	text → nodes: which section and key stands in which line; whatever cannot stay is
 *			reported and blanked out, so that libconfuse reads on and every mistake is found
 *	confvalues.c	text → the values of the nodes, by libconfuse
 *	confapart.c	the same in a process that may die of it
 *	confread.c	nodes → structs: the schema, and what is wrong with one section by itself
 *	confstep.c	what is wrong with a step
 *	confschedule.c	what is wrong with a schedule
 *	confnotice.c	what is wrong with a notify section, and questions to one
 *	confwindow.c	the windows and freezes of a stage
 *	confroles.c	who may what: operators, viewers, approvers
 *	confsecrets.c	secrets: where they come from, and who gets them
 *	confcheck.c	what is wrong between sections and files
 *	confresolve.c	questions to a finished struct conf
 */
#ifndef COMMON_CONF_CONFPARSE_H
#define COMMON_CONF_CONFPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/conf/conf.h"

#define CONF_FILE_MAX	  (1024 * 1024) /* bytes of a file */
#define CONF_FILES_MAX	  1000		/* files of a folder */
#define CONF_SECTIONS_MAX 1000		/* sections of one kind in one section */
#define CONF_TOTAL_MAX	  4096		/* applications, and plans, of all files */
#define CONF_LIST_MAX	  1000		/* values of a list */
#define CONF_NESTING_MAX  32
#define CONF_PROBLEMS_MAX 100 /* of a file; one more says that the rest is not shown */

/* ---- the schema */

enum conf_type {
	CONF_TEXT,	/* char * */
	CONF_NAME,	/* char *, a names_stage() */
	CONF_USER,	/* char *, a user of this machine */
	CONF_NUMBER,	/* int */
	CONF_TRUTH,	/* bool */
	CONF_SPAN,	/* int64_t, µs */
	CONF_SIZE,	/* int64_t, bytes */
	CONF_EVERY,	/* char *, "" or for every_parse() */
	CONF_CHOICE,	/* enum, by its place in the words */
	CONF_LIST,	/* struct conf_strings; from here on lists */
	CONF_VARIABLES, /* struct conf_variables */
	CONF_MODES,	/* unsigned, a set of enum conf_mode */
};

struct conf_rule {
	const char *name;
	enum conf_type type;
	size_t offset;	     /* of the field in the section's struct */
	int64_t low, high;   /* number, span and size */
	const char *example; /* a value as it would be written */
};

struct conf_schema {
	const char *kind;
	const struct conf_rule *rules;
	size_t nrules;
	const struct conf_schema *const *children;
	size_t nchildren;
	const char *home;  /* what its keys stand in: "a stage" */
	const char *above; /* what such a section stands in: "an application" */
};

/* What may stand in the main file, in applications.d and in plans.d. */
enum conf_place { CONF_MAIN, CONF_APPLICATIONS, CONF_PLANS };
const struct conf_schema *conf_schema(enum conf_place place);
const struct conf_rule *conf_rule(const struct conf_schema *schema, const char *name);

/* ---- what stands where */

struct conf_value {
	char *text; /* NULL until libconfuse was asked */
	int line;
};
struct conf_key {
	const struct conf_rule *rule;
	int line;
	bool spoiled; /* it stands there, but its value was reported and is not here */
	struct conf_value *values;
	size_t nvalues, cap;
};
struct conf_node {
	const struct conf_schema *schema;
	char *title; /* NULL at the top */
	int line;
	struct conf_key *keys;
	size_t nkeys, keys_cap;
	struct conf_node **children;
	size_t nchildren, children_cap;
};
struct conf_key *conf_node_key(const struct conf_node *node, const char *name);
struct conf_node *conf_node_child(const struct conf_node *node, const char *kind,
				  const char *title);
/* The line of a key, or of its section where the key is not given. */
int conf_node_line(const struct conf_node *node, const char *key);
void conf_node_free(struct conf_node *node);

struct conf_source {
	char *path;  /* absolute */
	char *shown; /* as messages name it */
	enum conf_place place;
	struct conf_node *root; /* NULL where the text could not be read to its end */
	char *text;		/* for libconfuse: what conflex.c left of it, and the sentinel */
	size_t nproblems;
};

/* Beside each application and plan of the value: where it came from, and whether it must go. */
struct conf_origin {
	struct conf_source *source;
	struct conf_node *node;
	bool out;
};

struct conf_problem {
	bool cause;	      /* its source could not be read: others may only follow from it */
	size_t order, serial; /* of its source */
	int line;
	char *text;
};

/* What the machine says: replaced by tests. */
struct conf_world {
	uid_t uid;
	/* 1: NAME is a user of the machine; 0: it is none; -errno: it cannot be asked just now. */
	int (*user)(const char *name, uid_t *ret_uid);
	const char *run_socket; /* there: the launcher `auto` is systemd */
};

struct conf_parse {
	const struct conf_world *world;
	unsigned flags;
	bool root; /* does bmd-run run as root? */
	struct conf *conf;
	struct conf_source **sources; /* the main file first */
	size_t nsources, sources_cap;
	struct conf_origin *applications, *plans; /* as many as conf has */
	size_t applications_cap, plans_cap;
	struct conf_problem *problems;
	size_t nproblems, problems_cap;
	bool fatal;
	/* something could not be read for want of memory or descriptors: no mistake of the files */
	bool passing;
};

/* Notes that SOURCE cannot be read, for NUMBER (an errno): -NUMBER. */
int conf_unread(struct conf_parse *parse, struct conf_source *source, const char *what, int number);
/* Notes a mistake in LINE (0: of the whole file) of SOURCE. */
void conf_report(struct conf_parse *parse, struct conf_source *source, int line, const char *format,
		 ...) _printf_(4, 5);
/* names_suggest() of the N words that AT gives of OF. */
const char *conf_nearest(const char *word, const char *(*at)(const void *, size_t), const void *of,
			 size_t n);

/* TEXT (N bytes and a NUL) → nodes without values. Comments and what was reported are blanked out
 * in TEXT. Returns NULL when the end is not to be trusted (something is not closed). */
struct conf_node *conf_lex(struct conf_parse *parse, struct conf_source *source, char *text,
			   size_t n);
/* The last line of a text is this option set to true: only who has read all of it knows of it. */
#define CONF_SENTINEL "-end-of-file"
/* The values of the nodes of SOURCE, from its text. 0, or -EINVAL after a report. */
int conf_values(struct conf_parse *parse, struct conf_source *source);
/* The same of all sources, by a child of this process. Sources with mistakes lose their root. 0, or
 * -errno after a report: no source can be relied on then, and that is no mistake of theirs. */
int conf_values_apart(struct conf_parse *parse);
/* What is being read: for reports. */
struct conf_reader {
	struct conf_parse *parse;
	struct conf_source *source;
};
#define CONF_BAD(reader, line, ...) \
	conf_report((reader)->parse, (reader)->source, line, __VA_ARGS__)
/* All keys of NODE into BASE, the struct that its rules speak of. */
void conf_read_keys(struct conf_reader *reader, const struct conf_node *node, void *base);
void conf_check_title(struct conf_reader *reader, const struct conf_node *node);
void conf_read_step(struct conf_reader *reader, const struct conf_node *node,
		    struct conf_step *step);

/* Nodes with values → parse->conf and its origins. */
void conf_read(struct conf_parse *parse, struct conf_source *source);
/* A schedule of APPLICATION by itself: its keys are read, the stages too. */
void conf_check_schedule(struct conf_parse *parse, struct conf_source *source,
			 const struct conf_node *node, const struct conf_application *application,
			 const struct conf_schedule *schedule);
/* The lists of NODE that say who may what. */
void conf_check_roles(struct conf_parse *parse, struct conf_source *source,
		      const struct conf_node *node, const struct conf_roles *roles);
/* The secrets of NODE, and those that a step gets, by themselves; and what is wrong with them
 * together, as a sentence (free()), or NULL. */
void conf_check_secrets(struct conf_parse *parse, struct conf_source *source,
			const struct conf_node *node, const struct conf_variables *secrets);
void conf_check_step_secrets(struct conf_reader *reader, const struct conf_node *node,
			     const struct conf_step *step);
char *conf_wrong_secrets(const struct conf *conf, const struct conf_application *application,
			 const struct conf_stage *stage, const struct conf_plan *plan);
/* Is VARIABLE the NAME_FILE of a secret that this stage has? */
bool conf_secret_names(const struct conf *conf, const struct conf_application *application,
		       const struct conf_stage *stage, const char *variable);
/* A notify section by itself; APPLICATION NULL: of bmd.conf. */
void conf_check_notify(struct conf_parse *parse, struct conf_source *source,
		       const struct conf_node *node, const struct conf_application *application,
		       struct conf_notify *notify);
/* The applications and stages that those of bmd.conf name are there. */
void conf_check_notified(struct conf_parse *parse);
/* Between sections and files. */
void conf_check(struct conf_parse *parse);

/* $NAME in TEXT at *AT (the first byte after the '$'): 1 and the name's place, 2 for "$$", -1 for a
 * '$' that is neither. Moves *AT on. */
int conf_dollar(const char **at, const char **ret_name, size_t *ret_n);

/* conf_load() with the machine's answers given; and the same of a main file that is TEXT, without
 * folders. */
int conf_load_in(const struct conf_world *world, const char *file, unsigned flags,
		 struct conf **ret_conf, struct conf_problems *ret_problems);
int conf_load_text(const struct conf_world *world, const char *text, size_t n, unsigned flags,
		   struct conf **ret_conf, struct conf_problems *ret_problems);

/* The windows and freezes of STAGE, whose section is NODE. */
void conf_read_windows(struct conf_parse *parse, struct conf_source *source,
		       const struct conf_node *node, struct conf_stage *stage);

/* Freed here because they are made there. */
void conf_notify_clear(struct conf_notify *notify);
void conf_application_clear(struct conf_application *application);
void conf_plan_clear(struct conf_plan *plan);
void conf_roles_default(struct conf_roles *roles); /* of bmd.conf, where they are not given */
void conf_windows_free(struct windows *windows);   /* NULL is fine */

#endif
