/* SPDX-License-Identifier: ISC */
/*
 * The only file that knows libconfuse, which is kept behind fences: it never opens a file, never
 * reads a second text with the same cfg_t, never sees what conflex.c refused, and must reach a last
 * line of ours. What it does for want of memory is confapart.c's matter.
 */
#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

/* libconfuse hands its error function no argument: whose file it is in the middle of. Set only
 * within conf_values(). */
static struct {
	struct conf_parse *parse;
	struct conf_source *source;
} parsing;

static void _printf_(2, 0) collect(cfg_t *cfg, const char *format, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, format, ap) < 0)
		xalloc_die();
	conf_report(parsing.parse, parsing.source, cfg ? cfg->line : 0, "%s", text);
}

/* The options that libconfuse is to expect in a section: all texts, judged by confread.c. Free with
 * free_options(). */
static cfg_opt_t *
options(const struct conf_schema *schema)
{
	cfg_opt_t *opts = xcalloc(schema->nrules + schema->nchildren + 2, sizeof(*opts));
	const cfg_opt_t end = CFG_END();
	size_t n = 0;

	for (size_t i = 0; i < schema->nrules; i++) {
		const cfg_opt_t text = CFG_STR(schema->rules[i].name, NULL, CFGF_NODEFAULT);
		const cfg_opt_t list = CFG_STR_LIST(schema->rules[i].name, NULL, CFGF_NODEFAULT);

		opts[n++] = schema->rules[i].type >= CONF_LIST ? list : text;
	}
	for (size_t i = 0; i < schema->nchildren; i++) {
		const cfg_opt_t section =
		    CFG_SEC(schema->children[i]->kind, options(schema->children[i]),
			    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);

		opts[n++] = section;
	}
	if (!schema->kind) {
		const cfg_opt_t sentinel = CFG_BOOL(CONF_SENTINEL, cfg_false, CFGF_NONE);

		opts[n++] = sentinel;
	}
	opts[n] = end;
	return opts;
}

static void
free_options(cfg_opt_t *opts)
{
	for (cfg_opt_t *opt = opts; opt->name; opt++)
		if (opt->subopts)
			free_options(opt->subopts);
	free(opts);
}

/* The values that libconfuse found, for the keys that conflex.c found. Should they ever disagree,
 * the file is refused. */
static void
take_values(struct conf_parse *parse, struct conf_source *source, cfg_t *cfg,
	    struct conf_node *node)
{
	size_t seen;

	for (size_t i = 0; i < node->nkeys; i++) {
		struct conf_key *key = &node->keys[i];
		cfg_opt_t *opt = cfg_getopt(cfg, key->rule->name);

		if (key->spoiled)
			continue;
		if (cfg_opt_size(opt) != key->nvalues) {
			conf_report(parse, source, key->line,
				    "%s cannot be read: put each value in quotes", key->rule->name);
			key->spoiled = true;
			continue;
		}
		for (size_t j = 0; j < key->nvalues; j++) {
			const char *text = cfg_opt_getnstr(opt, (unsigned)j);

			if (!text) /* it had no memory for it, and says nothing */
				xalloc_die();
			key->values[j].text = xstrdup(text);
			if (!names_text(key->values[j].text, CONF_FILE_MAX, true))
				conf_report(parse, source, key->values[j].line,
					    "a value of %s is not UTF-8: write no \\x or octal "
					    "escape for it",
					    key->rule->name);
		}
	}
	for (size_t i = 0; i < node->nchildren; i++) {
		struct conf_node *child = node->children[i];
		cfg_opt_t *opt = cfg_getopt(cfg, child->schema->kind);

		seen = 0;
		for (size_t j = 0; j < i; j++)
			seen += node->children[j]->schema == child->schema;
		if (seen >= cfg_opt_size(opt)) {
			conf_report(parse, source, child->line, "this section cannot be read");
			return;
		}
		take_values(parse, source, cfg_opt_getnsec(opt, (unsigned)seen), child);
	}
}

int
conf_values(struct conf_parse *parse, struct conf_source *source)
{
	size_t before = source->nproblems;
	cfg_opt_t *opts = options(source->root->schema);
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	int r;

	if (!cfg)
		xalloc_die();
	parsing.parse = parse;
	parsing.source = source;
	cfg_set_error_function(cfg, collect);
	r = cfg_parse_buf(cfg, source->text);
	if (r == CFG_SUCCESS && cfg_getbool(cfg, CONF_SENTINEL))
		take_values(parse, source, cfg, source->root);
	else if (source->nproblems == before)
		conf_report(parse, source, 0, "the file cannot be read to its end");
	parsing.parse = NULL;
	parsing.source = NULL;
	cfg_free(cfg);
	free_options(opts);
	return r == CFG_SUCCESS && source->nproblems == before ? 0 : -EINVAL;
}
