/* SPDX-License-Identifier: ISC */
/*
 * Text → nodes: the fence before libconfuse. It reads a part of libconfuse's language that both
 * understand alike and remembers in which line each section, key and value stands. A mistake is
 * reported and blanked out, so that reading goes on and libconfuse never meets it; only what leaves
 * the end in doubt (an open string, comment, list or section) ends the file. Comments are blanked
 * as well. One pass, no recursion deeper than the schema.
 */
#include <ctype.h>
#include <string.h>

#include "common/conf/confparse.h"
#include "common/names.h"
#include "common/xalloc.h"

enum token_kind { END, WORD, STRING, OPEN, CLOSE, EQUAL, COMMA, LOST };

struct token {
	enum token_kind kind;
	size_t start, end; /* in the text; of a string without its quotes */
	size_t after;	   /* where the next one may begin */
	int line;
};

struct lexer {
	struct conf_parse *parse;
	struct conf_source *source;
	char *text;
	size_t n, at;
	int line;
	struct token held; /* by peek() */
	bool holds;
	size_t done;  /* the end of what next() gave out */
	int noise;    /* the last line in which something unexpected was reported */
	bool lost;    /* what follows cannot be understood */
	bool invalid; /* the value or title just read was reported */
};

#define WORD_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@%/-"

static void
blank(struct lexer *lexer, size_t start, size_t end)
{
	for (size_t i = start; i < end; i++)
		if (lexer->text[i] != '\n')
			lexer->text[i] = ' ';
}

#define BAD(lexer, line, ...) conf_report((lexer)->parse, (lexer)->source, line, __VA_ARGS__)

static struct token
lose(struct lexer *lexer)
{
	lexer->lost = true;
	return (struct token){.kind = LOST, .line = lexer->line};
}

/* A comment at the place where the lexer stands is blanked. False: there is none. */
static bool
comment(struct lexer *lexer)
{
	const char *s = lexer->text + lexer->at;
	size_t start = lexer->at;
	int line = lexer->line;

	if (s[0] == '#' || (s[0] == '/' && s[1] == '/')) {
		lexer->at += strcspn(s, "\n");
	} else if (s[0] == '/' && s[1] == '*') {
		const char *end = strstr(s + 2, "*/");
		if (!end) {
			BAD(lexer, line, "this comment is never closed: write */ at its end");
			lexer->lost = true;
			return false;
		}
		for (const char *p = s; p < end; p++)
			lexer->line += *p == '\n';
		lexer->at += (size_t)(end - s) + 2;
	} else {
		return false;
	}
	blank(lexer, start, lexer->at);
	return true;
}

/* The escape at S (after the backslash), of which libconfuse would make nothing good. */
static void
check_escape(struct lexer *lexer, const char *s)
{
	size_t digits = strspn(s, "0123456789");
	unsigned value = 0;

	if (digits > 0) {
		for (size_t i = 0; i < digits && i < 3; i++)
			value = value * 8 + (unsigned)(s[i] - '0');
		if (digits <= 3 && strspn(s, "01234567") == digits && value > 0 && value < 256)
			return;
		BAD(lexer, lexer->line,
		    "\\%.*s is no character: write three octal digits from \\001 to \\377, or \\\\",
		    (int)(digits > 8 ? 8 : digits), s);
	} else if (s[0] == 'x' && s[1] == '0' && (!isxdigit((unsigned char)s[2]) || s[2] == '0')) {
		BAD(lexer, lexer->line, "a text cannot hold \\x0: leave it out");
	} else {
		return;
	}
	lexer->invalid = true;
}

static struct token
string(struct lexer *lexer)
{
	char quote = lexer->text[lexer->at++];
	struct token token = {.kind = STRING, .start = lexer->at, .line = lexer->line};
	const char *s;

	for (;; lexer->at++) {
		s = lexer->text + lexer->at;
		if (lexer->at >= lexer->n) {
			BAD(lexer, token.line,
			    "the text that begins here is never closed: write %c at its end",
			    quote);
			return lose(lexer);
		}
		if (*s == quote)
			break;
		if (*s == '\n')
			lexer->line++;
		if (quote == '"' && s[0] == '$' && s[1] == '{') {
			BAD(lexer, lexer->line,
			    "${ in double quotes would be replaced from the environment of the "
			    "daemon: write it in single quotes");
			lexer->invalid = true;
		}
		if (*s == '\\' && lexer->at + 1 < lexer->n) {
			if (quote == '"')
				check_escape(lexer, s + 1);
			if (s[1] == '$') /* \${ is not hidden from the rule above */
				continue;
			lexer->at++;
			if (s[1] == '\n')
				lexer->line++;
		}
	}
	token.end = lexer->at++;
	token.after = lexer->at;
	return token;
}

/* A text without quotes; one that runs into a comment would end in silence there. */
static struct token
word(struct lexer *lexer)
{
	struct token token = {.kind = WORD, .start = lexer->at, .line = lexer->line};
	const char *s;

	for (; lexer->at < lexer->n; lexer->at++) {
		s = lexer->text + lexer->at;
		if (!strchr(WORD_BYTES, *s) || (s[0] == '/' && (s[1] == '/' || s[1] == '*')))
			break;
	}
	token.end = token.after = lexer->at;
	if (token.end > token.start && lexer->text[lexer->at] == '/') {
		lexer->noise = token.line;
		BAD(lexer, token.line,
		    "a comment would begin within %.*s%.2s: put the text in quotes",
		    (int)(token.end - token.start > 60 ? 60 : token.end - token.start),
		    lexer->text + token.start, lexer->text + lexer->at);
		lexer->invalid = true;
	}
	return token;
}

/* Reports a byte that begins no token, once a line, and blanks it out with its like. */
static void
unexpected(struct lexer *lexer)
{
	const char *s = lexer->text + lexer->at;
	size_t n = 1;

	while (lexer->at + n < lexer->n && (s[n] & 0x80) != 0 && (s[0] & 0x80) != 0)
		n++;
	if (lexer->noise != lexer->line) {
		if (s[0] == '$' && s[1] == '{')
			BAD(lexer, lexer->line,
			    "${ outside single quotes: write it in single quotes");
		else if (s[0] == ';')
			BAD(lexer, lexer->line, "unexpected ;: a setting ends without one");
		else if (s[0] == '(')
			BAD(lexer, lexer->line,
			    "unexpected (: there are no functions and there is no include: other "
			    "files stand in "
			    "applications.d and plans.d");
		else if (s[0] == '+')
			BAD(lexer, lexer->line, "unexpected +: write the whole list after one =");
		else
			BAD(lexer, lexer->line, "unexpected %.*s: put a text in quotes",
			    (int)(n > 16 ? 16 : n), s);
	}
	lexer->noise = lexer->line;
	lexer->invalid = true;
	blank(lexer, lexer->at, lexer->at + n);
	lexer->at += n;
}

static struct token
scan(struct lexer *lexer)
{
	static const struct {
		char byte;
		enum token_kind kind;
	} marks[] = {{'{', OPEN}, {'}', CLOSE}, {'=', EQUAL}, {',', COMMA}};

	while (!lexer->lost && lexer->at < lexer->n) {
		const char *s = lexer->text + lexer->at;
		struct token token = {.start = lexer->at, .line = lexer->line};

		if (*s == '\n')
			lexer->line++;
		if (*s == '\n' || *s == ' ' || *s == '\t' || *s == '\r') {
			lexer->at++;
			continue;
		}
		if (comment(lexer))
			continue;
		if (lexer->lost)
			break;
		if (*s == '"' || *s == '\'')
			return string(lexer);
		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			if (*s == marks[i].byte) {
				token.kind = marks[i].kind;
				token.end = token.after = ++lexer->at;
				return token;
			}
		token = word(lexer);
		if (token.end > token.start)
			return token;
		unexpected(lexer);
	}
	return (struct token){.kind = lexer->lost ? LOST : END,
			      .start = lexer->at,
			      .end = lexer->at,
			      .after = lexer->at,
			      .line = lexer->line};
}

static struct token
peek(struct lexer *lexer)
{
	if (!lexer->holds)
		lexer->held = scan(lexer);
	lexer->holds = true;
	return lexer->held;
}

static struct token
next(struct lexer *lexer)
{
	struct token token = peek(lexer);

	lexer->holds = false;
	lexer->done = token.after;
	return token;
}

static char *
copy(const struct lexer *lexer, const struct token *token)
{
	return xstrndup(lexer->text + token->start, token->end - token->start);
}

/* ---- nodes */

struct conf_key *
conf_node_key(const struct conf_node *node, const char *name)
{
	for (size_t i = 0; i < node->nkeys; i++)
		if (strcmp(node->keys[i].rule->name, name) == 0)
			return &node->keys[i];
	return NULL;
}

struct conf_node *
conf_node_child(const struct conf_node *node, const char *kind, const char *title)
{
	for (size_t i = 0; i < node->nchildren; i++)
		if (strcmp(node->children[i]->schema->kind, kind) == 0 &&
		    strcmp(node->children[i]->title, title) == 0)
			return node->children[i];
	return NULL;
}

int
conf_node_line(const struct conf_node *node, const char *key)
{
	const struct conf_key *found = conf_node_key(node, key);

	return found ? found->line : node->line;
}

static void
key_clear(struct conf_key *key)
{
	for (size_t i = 0; i < key->nvalues; i++)
		free(key->values[i].text);
	free(key->values);
}

void
conf_node_free(struct conf_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->nkeys; i++)
		key_clear(&node->keys[i]);
	for (size_t i = 0; i < node->nchildren; i++)
		conf_node_free(node->children[i]);
	free(node->keys);
	free(node->children);
	free(node->title);
	free(node);
}

static void
add_value(struct conf_key *key, int line)
{
	XGROW(key->values, key->nvalues, key->cap);
	key->values[key->nvalues++] = (struct conf_value){.line = line};
}

/* ---- keys */

static const char *
rule_name(const void *rules, size_t i)
{
	return ((const struct conf_rule *)rules)[i].name;
}

static const struct conf_schema *
child_schema(const struct conf_schema *schema, const char *kind)
{
	for (size_t i = 0; i < schema->nchildren; i++)
		if (strcmp(schema->children[i]->kind, kind) == 0)
			return schema->children[i];
	return NULL;
}

/* The section below SCHEMA, or SCHEMA itself, that knows the key NAME (KEY) or has sections of that
 * kind. */
static const struct conf_schema *
home_of(const struct conf_schema *schema, const char *name, bool key)
{
	if (key ? conf_rule(schema, name) != NULL : child_schema(schema, name) != NULL)
		return schema;
	/* The last first: plans and their steps have most of the keys. */
	for (size_t i = schema->nchildren; i-- > 0;) {
		const struct conf_schema *found = home_of(schema->children[i], name, key);
		if (found)
			return found;
	}
	return NULL;
}

static void
unknown_key(struct lexer *lexer, const struct conf_node *node, const char *name, int line)
{
	const struct conf_schema *schema = node->schema, *home, *child;
	const char *near = conf_nearest(name, rule_name, schema->rules, schema->nrules);

	child = child_schema(schema, name);
	home = home_of(conf_schema(CONF_MAIN), name, true);
	if (child)
		BAD(lexer, line, "%s is a section: write %s \"NAME\" { … }", name, name);
	else if (near)
		BAD(lexer, line, "unknown key \"%s\": write %s", name, near);
	else if (home)
		BAD(lexer, line, "%s does not belong in %s: write it in %s", name, schema->home,
		    home->home);
	else
		BAD(lexer, line, "unknown key \"%.60s\" in %s", name, schema->home);
}

/* The values after KEY and its equal sign. False: it was reported, or the file is lost. */
static bool
list(struct lexer *lexer, const char *name, int open, struct conf_key *key)
{
	bool comma = true; /* a value may come */
	int doubled = 0,
	    missing = 0; /* lines of commas that are wrong; no news if the } itself is missing */

	for (;;) {
		struct token token = next(lexer);

		if (token.kind == CLOSE)
			break;
		if (token.kind == LOST)
			return false;
		if (token.kind == END || token.kind == EQUAL || token.kind == OPEN) {
			BAD(lexer, open,
			    "the list of %s that begins here is never closed: write } at its end",
			    name);
			lexer->lost = true;
			return false;
		}
		if (token.kind == COMMA) {
			if (comma)
				doubled = token.line;
			comma = true;
			continue;
		}
		if (!comma)
			missing = token.line;
		comma = false;
		if (key->nvalues <= CONF_LIST_MAX)
			add_value(key, token.line);
	}
	if (doubled)
		BAD(lexer, doubled, "a value is missing before the comma in %s", name);
	if (missing)
		BAD(lexer, missing, "a comma is missing between two values of %s", name);
	if (key->nvalues > CONF_LIST_MAX)
		BAD(lexer, open, "%s has more than %d values: write fewer", name, CONF_LIST_MAX);
	return !doubled && !missing && key->nvalues <= CONF_LIST_MAX;
}

static bool
values(struct lexer *lexer, const char *name, int line, const struct conf_rule *rule,
       struct conf_key *key, bool *ret_list)
{
	struct token token = peek(lexer);

	*ret_list = token.kind == OPEN;
	if (token.kind == OPEN) {
		next(lexer);
		return list(lexer, name, token.line, key);
	}
	if (token.kind == STRING || (token.kind == WORD && token.line == line)) {
		next(lexer);
		add_value(key, token.line);
		return true;
	}
	if (token.kind != LOST && !lexer->invalid)
		BAD(lexer, line, "%s has no value: write %s = %s", name, name,
		    rule ? rule->example : "\"…\"");
	return false;
}

static void
add_key(struct conf_node *node, const struct conf_key *key)
{
	XGROW(node->keys, node->nkeys, node->keys_cap);
	node->keys[node->nkeys++] = *key;
}

/* NAME = …; whatever is wrong with it is reported and blanked out. */
static void
assignment(struct lexer *lexer, struct conf_node *node, const struct token *word, int line)
{
	_cleanup_free_ char *name = copy(lexer, word);
	const struct conf_rule *rule = conf_rule(node->schema, name);
	struct conf_key key = {.rule = rule, .line = word->line}, *before = NULL;
	bool is_list = false, good;

	lexer->invalid = false;
	good = values(lexer, name, line, rule, &key, &is_list) && !lexer->invalid;
	if (rule)
		before = conf_node_key(node, name);
	if (!rule)
		unknown_key(lexer, node, name, word->line);
	else if (before)
		BAD(lexer, word->line, "%s is already set in line %d: keep one of the two", name,
		    before->line);
	else if (good && is_list && rule->type < CONF_LIST)
		BAD(lexer, word->line, "%s is one value, not a list: write %s = %s", name, name,
		    rule->example);
	else if (good) {
		add_key(node, &key);
		return;
	}
	key_clear(&key);
	if (rule && !before) {
		key = (struct conf_key){.rule = rule, .line = word->line, .spoiled = true};
		add_key(node, &key);
	}
	blank(lexer, word->start, lexer->done);
}

/* ---- sections */

static void statements(struct lexer *lexer, struct conf_node *node, int depth);

/* Steps over a section that cannot be read, with the brace open. */
static void
skip(struct lexer *lexer, int line)
{
	int depth = 1;

	while (depth > 0) {
		struct token token = next(lexer);

		if (token.kind == OPEN)
			depth++;
		if (token.kind == CLOSE)
			depth--;
		if (token.kind == END) {
			BAD(lexer, line,
			    "the section that begins here is never closed: write } at its end");
			lexer->lost = true;
		}
		if (lexer->lost)
			return;
		if (depth > CONF_NESTING_MAX) {
			BAD(lexer, token.line, "sections are nested more than %d deep",
			    CONF_NESTING_MAX);
			lexer->lost = true;
			return;
		}
	}
}

static const char *
schema_kind(const void *children, size_t i)
{
	return ((const struct conf_schema *const *)children)[i]->kind;
}

static void
unknown_section(struct lexer *lexer, const struct conf_node *node, const char *kind, int line)
{
	const struct conf_schema *schema = node->schema, *home;
	const struct conf_rule *rule = conf_rule(schema, kind);
	const char *near = conf_nearest(kind, schema_kind, schema->children, schema->nchildren);

	home = home_of(conf_schema(CONF_MAIN), kind, false);
	if (rule)
		BAD(lexer, line, "%s is a key: write %s = %s", kind, kind, rule->example);
	else if (near)
		BAD(lexer, line, "unknown section \"%s\": write %s", kind, near);
	else if (home)
		BAD(lexer, line, "a section %s does not belong in %s: write it in %s", kind,
		    schema->home, child_schema(home, kind)->above);
	else
		BAD(lexer, line, "unknown section \"%.60s\" in %s", kind, schema->home);
}

static size_t
count(const struct conf_node *node, const struct conf_schema *schema)
{
	size_t n = 0;

	for (size_t i = 0; i < node->nchildren; i++)
		n += node->children[i]->schema == schema;
	return n;
}

/* KIND TITLE {, with the brace read. */
static void
section(struct lexer *lexer, struct conf_node *node, const struct token *word,
	const struct token *title, int depth)
{
	_cleanup_free_ char *kind = copy(lexer, word);
	const struct conf_schema *schema = child_schema(node->schema, kind);
	struct conf_node *child, *before = NULL;
	_cleanup_free_ char *name = title ? copy(lexer, title) : NULL;

	if (schema && name)
		before = conf_node_child(node, kind, name);
	if (lexer->invalid)
		; /* the name was reported, and libconfuse must not see it */
	else if (!schema)
		unknown_section(lexer, node, kind, word->line);
	else if (!name)
		BAD(lexer, word->line, "this %s has no name: write %s \"NAME\" { … }", kind, kind);
	else if (before)
		BAD(lexer, word->line,
		    "%s \"%.64s\" is already in line %d: give one of the two another name", kind,
		    name, before->line);
	else if (count(node, schema) == CONF_SECTIONS_MAX)
		BAD(lexer, word->line, "more than %d sections %s in one place", CONF_SECTIONS_MAX,
		    kind);
	else {
		child = xcalloc(1, sizeof(*child));
		child->schema = schema;
		child->title = TAKE(name);
		child->line = word->line;
		XGROW(node->children, node->nchildren, node->children_cap);
		node->children[node->nchildren++] = child;
		statements(lexer, child, depth + 1);
		return;
	}
	skip(lexer, word->line);
	blank(lexer, word->start, lexer->done);
}

/* A word that no equal sign follows: a section, or a mistake. */
static void
other(struct lexer *lexer, struct conf_node *node, const struct token *word, int depth)
{
	struct token title = peek(lexer), after;
	_cleanup_free_ char *name = NULL;
	const struct conf_rule *rule;

	if (title.kind == OPEN) {
		next(lexer);
		section(lexer, node, word, NULL, depth);
		return;
	}
	if (title.kind == STRING || (title.kind == WORD && title.line == word->line)) {
		next(lexer);
		after = peek(lexer);
		if (after.kind == OPEN) {
			next(lexer);
			section(lexer, node, word, &title, depth);
			return;
		}
	}
	if (lexer->lost)
		return;
	name = copy(lexer, word);
	rule = conf_rule(node->schema, name);
	if (lexer->noise == word->line)
		;
	else if (!rule && child_schema(node->schema, name))
		BAD(lexer, word->line, "the section %s has no {: write %s \"NAME\" { … }", name,
		    name);
	else
		BAD(lexer, word->line, "after \"%.60s\" an = is missing: write %.60s = %s", name,
		    name, rule ? rule->example : "\"…\"");
	lexer->noise = word->line;
	blank(lexer, word->start, lexer->done);
}

static void
statements(struct lexer *lexer, struct conf_node *node, int depth)
{
	for (;;) {
		struct token token = next(lexer), equal;

		switch (token.kind) {
		case LOST:
			return;
		case END:
			if (depth == 0)
				return;
			BAD(lexer, token.line,
			    "end of file inside %s \"%.64s\", which begins in line %d: write } at "
			    "its end",
			    node->schema->kind, node->title, node->line);
			lexer->lost = true;
			return;
		case CLOSE:
			if (depth > 0)
				return;
			BAD(lexer, token.line, "this } closes nothing: take it away");
			blank(lexer, token.start, token.end);
			continue;
		case WORD:
			lexer->invalid = false;
			equal = peek(lexer);
			if (equal.kind == EQUAL) {
				next(lexer);
				assignment(lexer, node, &token, equal.line);
			} else {
				other(lexer, node, &token, depth);
			}
			continue;
		default:
			if (lexer->noise != token.line)
				BAD(lexer, token.line,
				    "unexpected %s: a setting begins with the name of a key",
				    token.kind == STRING  ? "text in quotes"
				    : token.kind == EQUAL ? "="
				    : token.kind == COMMA ? "comma"
							  : "{");
			lexer->noise = token.line;
			if (token.kind == OPEN)
				skip(lexer, token.line);
			blank(lexer, token.start - (token.kind == STRING), lexer->done);
		}
	}
}

struct conf_node *
conf_lex(struct conf_parse *parse, struct conf_source *source, char *text, size_t n)
{
	struct lexer lexer = {.parse = parse, .source = source, .text = text, .n = n, .line = 1};
	struct conf_node *root = xcalloc(1, sizeof(*root));

	root->schema = conf_schema(source->place);
	root->line = 1;
	statements(&lexer, root, 0);
	if (lexer.lost) {
		conf_node_free(root);
		return NULL;
	}
	return root;
}
