/* SPDX-License-Identifier: ISC */
/*
 * The Varlink interface language, read into a tree of types, and JSON values held against it. The
 * tree belongs to its interface and does not change. Depth is bounded on both ways: a description
 * nests at most DEPTH_MAX types, and a value is never followed deeper than it was parsed.
 */
#include "common/varlink.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"

#define DEPTH_MAX 32
#define PATH_ROOM 256

enum kind { BOOL, INT, FLOAT, STRING, OBJECT, ENUM, STRUCT, ARRAY, MAP, NAMED };

struct field {
	char *name;
	struct type *type; /* NULL in an enum */
};

struct type {
	enum kind kind;
	bool nullable;
	struct type *element; /* of ARRAY and MAP */
	struct field *fields; /* of STRUCT and ENUM */
	size_t n, cap;
	char *name; /* of NAMED, with the place for a complaint and what it turned out to mean */
	unsigned line, column;
	const struct type *means;
};

enum member_kind { MEMBER_TYPE, MEMBER_METHOD, MEMBER_ERROR };

struct member {
	enum member_kind kind;
	char *name;
	struct type *in, *out; /* a type or an error has only the first */
};

struct varlink_interface {
	char *name;
	struct member *members;
	size_t n, cap;
};

struct parser {
	const char *at, *line_start;
	unsigned line;
	int depth;
	struct varlink_interface *interface;
	struct err *err;
};

static void
type_free(struct type *type)
{
	if (!type)
		return;
	for (size_t i = 0; i < type->n; i++) {
		free(type->fields[i].name);
		type_free(type->fields[i].type);
	}
	free(type->fields);
	free(type->name);
	type_free(type->element);
	free(type);
}
DEFINE_CLEANUP(struct type *, cleanup_type, type_free)

void
varlink_interface_free(struct varlink_interface *interface)
{
	if (!interface)
		return;
	for (size_t i = 0; i < interface->n; i++) {
		free(interface->members[i].name);
		type_free(interface->members[i].in);
		type_free(interface->members[i].out);
	}
	free(interface->members);
	free(interface->name);
	free(interface);
}
DEFINE_CLEANUP(struct varlink_interface *, cleanup_interface, varlink_interface_free)

const char *
varlink_interface_name(const struct varlink_interface *interface)
{
	return interface->name;
}

const char *
varlink_interface_method(const struct varlink_interface *interface, size_t i)
{
	for (size_t k = 0; k < interface->n; k++)
		if (interface->members[k].kind == MEMBER_METHOD && i-- == 0)
			return interface->members[k].name;
	return NULL;
}

/* ---- reading ---- */

/* Always -EINVAL, so that a complaint can stand in a return. */
static int complain(struct parser *p, const char *format, ...) _printf_(2, 3);

static int
complain(struct parser *p, const char *format, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	(void)err_set(p->err, ERR_FAILED, "interface description, line %u, column %u: %s", p->line,
		      (unsigned)(p->at - p->line_start) + 1, what);
	return -EINVAL;
}

static void
skip_space(struct parser *p)
{
	for (;; p->at++) {
		if (*p->at == '#')
			p->at += strcspn(p->at, "\n");
		if (*p->at == '\n') {
			p->line++;
			p->line_start = p->at + 1;
		} else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r') {
			return;
		}
	}
}

static bool
take(struct parser *p, const char *token)
{
	skip_space(p);
	if (strncmp(p->at, token, strlen(token)) != 0)
		return false;
	p->at += strlen(token);
	return true;
}

static int
expect(struct parser *p, const char *token)
{
	return take(p, token) ? 0 : complain(p, "expected \"%s\"", token);
}

/* The letters, digits and underscores that come next, without taking them. */
static size_t
word_length(struct parser *p)
{
	size_t n = 0;

	skip_space(p);
	while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
		n++;
	return n;
}

static bool
word_is(const char *word, size_t n, const char *other)
{
	return strlen(other) == n && !strncmp(word, other, n);
}

/* [A-Z][A-Za-z0-9]* */
static int
take_member_name(struct parser *p, char **ret_name)
{
	size_t n = word_length(p);

	if (n == 0 || !isupper((unsigned char)*p->at) || memchr(p->at, '_', n))
		return complain(p, "expected a name that begins with a capital letter");
	*ret_name = xstrndup(p->at, n);
	p->at += n;
	return 0;
}

/* [A-Za-z](_?[A-Za-z0-9])* */
static int
take_field_name(struct parser *p, char **ret_name)
{
	size_t n = word_length(p);

	if (n == 0 || !isalpha((unsigned char)*p->at) || p->at[n - 1] == '_' ||
	    memmem(p->at, n, "__", 2))
		return complain(p, "expected the name of a field");
	*ret_name = xstrndup(p->at, n);
	p->at += n;
	return 0;
}

/* Two or more parts of letters, digits and inner hyphens, with dots between them. */
static int
take_interface_name(struct parser *p, char **ret_name)
{
	skip_space(p);
	size_t n = 0, dots = 0;

	for (;; n++) {
		char c = p->at[n];
		bool edge = n == 0 || p->at[n - 1] == '.' || p->at[n - 1] == '-';
		if (c == '.')
			dots++;
		else if (c != '-' && !isalnum((unsigned char)c))
			break;
		if ((c == '.' && edge) || (c == '-' && (n == 0 || p->at[n - 1] == '.')))
			return complain(p, "expected a name such as org.example.thing");
	}
	if (!dots || !isalpha((unsigned char)*p->at) || !isalnum((unsigned char)p->at[n - 1]))
		return complain(p, "expected a name such as org.example.thing");
	*ret_name = xstrndup(p->at, n);
	p->at += n;
	return 0;
}

static int parse_type(struct parser *p, struct type **ret_type);

static const struct field *
find_field(const struct type *type, const char *name)
{
	for (size_t i = 0; i < type->n; i++)
		if (!strcmp(type->fields[i].name, name))
			return &type->fields[i];
	return NULL;
}

/* One field of a struct, or one word of an enum; the first of them decides which it is. */
static int
parse_field(struct parser *p, struct type *type)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_(cleanup_type) struct type *field_type = NULL;
	int r = take_field_name(p, &name);

	if (r < 0)
		return r;
	if (find_field(type, name))
		return complain(p, "%s stands here twice", name);
	bool typed = take(p, ":");
	if (type->n == 0)
		type->kind = typed ? STRUCT : ENUM;
	if (typed != (type->kind == STRUCT))
		return complain(p, typed ? "the words of an enum have no type"
					 : "expected \":\" and a type");
	if (typed && (r = parse_type(p, &field_type)) < 0)
		return r;
	XGROW(type->fields, type->n, type->cap);
	type->fields[type->n++] = (struct field){TAKE(name), TAKE(field_type)};
	return 0;
}

/* "(a: int, b: string)", "(one, two)" or "()". */
static int
parse_struct(struct parser *p, struct type *type)
{
	int r = expect(p, "(");

	if (r < 0)
		return r;
	type->kind = STRUCT;
	if (take(p, ")"))
		return 0;
	do {
		if ((r = parse_field(p, type)) < 0)
			return r;
	} while (take(p, ","));
	return take(p, ")") ? 0 : complain(p, "expected \",\" or \")\"");
}

static int
parse_word(struct parser *p, struct type *type)
{
	static const struct {
		const char *word;
		enum kind kind;
	} basic[] = {{"bool", BOOL},	 {"int", INT},	     {"float", FLOAT},
		     {"string", STRING}, {"object", OBJECT}, {"any", OBJECT}};
	size_t n = word_length(p);

	for (size_t i = 0; i < ARRAY_SIZE(basic); i++) {
		if (word_is(p->at, n, basic[i].word)) {
			type->kind = basic[i].kind;
			p->at += n;
			return 0;
		}
	}
	if (n == 0 || !isupper((unsigned char)*p->at))
		return complain(p, "expected a type");
	type->kind = NAMED;
	type->line = p->line;
	type->column = (unsigned)(p->at - p->line_start) + 1;
	return take_member_name(p, &type->name);
}

static int
parse_inner(struct parser *p, struct type *type)
{
	type->nullable = take(p, "?");
	if (take(p, "[]"))
		type->kind = ARRAY;
	else if (take(p, "[string]"))
		type->kind = MAP;
	else if (skip_space(p), *p->at == '(')
		return parse_struct(p, type);
	else
		return parse_word(p, type);
	return parse_type(p, &type->element);
}

static int
parse_type(struct parser *p, struct type **ret_type)
{
	_cleanup_(cleanup_type) struct type *type = xcalloc(1, sizeof(*type));

	if (++p->depth > DEPTH_MAX)
		return complain(p, "types nest deeper than %d levels", DEPTH_MAX);
	int r = parse_inner(p, type);
	p->depth--;
	if (r == 0)
		*ret_type = TAKE(type);
	return r;
}

/* The parameters of a method or error: a struct and nothing else. */
static int
parse_parameters(struct parser *p, struct type **ret_type)
{
	_cleanup_(cleanup_type) struct type *type = xcalloc(1, sizeof(*type));
	int r = parse_struct(p, type);

	if (r < 0)
		return r;
	if (type->kind != STRUCT)
		return complain(p, "expected fields with types");
	*ret_type = TAKE(type);
	return 0;
}

static struct member *
find_member(const struct varlink_interface *interface, const char *name)
{
	for (size_t i = 0; i < interface->n; i++)
		if (!strcmp(interface->members[i].name, name))
			return &interface->members[i];
	return NULL;
}

static int
parse_member(struct parser *p)
{
	static const char *const words[] = {"type", "method", "error"};
	size_t n = word_length(p), kind = 0;
	_cleanup_free_ char *name = NULL;

	while (kind < ARRAY_SIZE(words) && !word_is(p->at, n, words[kind]))
		kind++;
	if (kind == ARRAY_SIZE(words))
		return complain(p, "expected \"type\", \"method\" or \"error\"");
	p->at += n;
	int r = take_member_name(p, &name);
	if (r < 0)
		return r;
	if (find_member(p->interface, name))
		return complain(p, "%s is defined twice", name);

	struct varlink_interface *interface = p->interface;
	XGROW(interface->members, interface->n, interface->cap);
	struct member *member = &interface->members[interface->n++];
	*member = (struct member){.kind = (enum member_kind)kind, .name = TAKE(name)};
	if (member->kind == MEMBER_TYPE) {
		member->in = xcalloc(1, sizeof(*member->in));
		return parse_struct(p, member->in);
	}
	if ((r = parse_parameters(p, &member->in)) < 0 || member->kind == MEMBER_ERROR)
		return r;
	if ((r = expect(p, "->")) < 0)
		return r;
	return parse_parameters(p, &member->out);
}

static int
resolve_name(struct parser *p, struct type *type)
{
	const struct member *member = find_member(p->interface, type->name);

	if (member && member->kind == MEMBER_TYPE) {
		type->means = member->in;
		return 0;
	}
	(void)err_set(p->err, ERR_FAILED,
		      "interface description, line %u, column %u: there is no type %s", type->line,
		      type->column, type->name);
	return -EINVAL;
}

/* Gives every name its type, once all are known. */
static int
resolve(struct parser *p, struct type *type)
{
	int r = 0;

	if (!type)
		return 0;
	if (type->kind == NAMED)
		r = resolve_name(p, type);
	for (size_t i = 0; r == 0 && i < type->n; i++)
		r = resolve(p, type->fields[i].type);
	return r < 0 ? r : resolve(p, type->element);
}

int
varlink_interface_parse(const char *text, struct varlink_interface **ret_interface, struct err *err)
{
	_cleanup_(cleanup_interface) struct varlink_interface *interface =
	    xcalloc(1, sizeof(*interface));
	struct parser p = {
	    .at = text, .line_start = text, .line = 1, .interface = interface, .err = err};
	int r;

	size_t n = word_length(&p);
	if (!word_is(p.at, n, "interface"))
		return complain(&p, "expected \"interface\"");
	p.at += n;
	if ((r = take_interface_name(&p, &interface->name)) < 0)
		return r;
	for (skip_space(&p); *p.at; skip_space(&p))
		if ((r = parse_member(&p)) < 0)
			return r;
	for (size_t i = 0; i < interface->n; i++)
		if ((r = resolve(&p, interface->members[i].in)) < 0 ||
		    (r = resolve(&p, interface->members[i].out)) < 0)
			return r;
	*ret_interface = TAKE(interface);
	return 0;
}

/* ---- checking ---- */

/* Where in the parameters a value stands: a chain up the stack, made into text only for a
 * complaint. */
struct place {
	const struct place *up; /* NULL for the parameters themselves */
	const char *name;	/* NULL for an element of an array */
	size_t index;
};

struct check {
	const char *member; /* method or error */
	int depth;
	struct err *err;
};

/* "artifacts[0].name" */
static void
place_text(const struct place *place, char *s, size_t room)
{
	if (!place->up)
		return;
	place_text(place->up, s, room);
	size_t n = strlen(s);
	if (!place->name)
		(void)snprintf(s + n, room - n, "[%zu]", place->index);
	else
		(void)snprintf(s + n, room - n, "%s%s", n ? "." : "", place->name);
}

static const char *
kind_text(const struct type *type)
{
	static const char *const texts[] = {
	    [BOOL] = "true or false", [INT] = "an integer",   [FLOAT] = "a number",
	    [STRING] = "a string",    [OBJECT] = "an object", [ENUM] = "a string",
	    [STRUCT] = "an object",   [ARRAY] = "an array",   [MAP] = "an object",
	    [NAMED] = "an object",
	};
	return texts[type->means ? type->means->kind : type->kind];
}

static const char *
value_text(const json_t *value)
{
	static const char *const texts[] = {
	    [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
	    [JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
	    [JSON_FALSE] = "false",	   [JSON_NULL] = "null",
	};
	return texts[json_typeof(value)];
}

/* FORMAT is the rest of the sentence that begins with the place. */
static int refuse(const struct check *check, const struct place *place, const char *format, ...)
    _printf_(3, 4);

static int
refuse(const struct check *check, const struct place *place, const char *format, ...)
{
	char what[512], where[PATH_ROOM] = "";
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	place_text(place, where, sizeof(where));
	/* What was cut inside a character is UTF-8 again afterwards. */
	json_t *shown = json_text(where);
	int r = err_set(check->err, ERR_INVALID_PARAMETER, "%s: %s %s", check->member,
			where[0] ? json_string_value(shown) : "the parameters", what);
	err_field(check->err, "parameter", shown);
	return r;
}

static int check_value(struct check *check, const struct type *type, const json_t *value,
		       const struct place *place);

static int
refuse_unknown(struct check *check, const struct type *type, const json_t *object,
	       const struct place *place)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)object, key, value)
		if (!find_field(type, key))
			return refuse(check, &(struct place){place, key, 0},
				      "is not a field that it knows");
	return 0;
}

static int
check_struct(struct check *check, const struct type *type, const json_t *object,
	     const struct place *place)
{
	size_t present = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < type->n; i++) {
		const struct field *field = &type->fields[i];
		const struct place here = {place, field->name, 0};
		const json_t *value = json_object_get(object, field->name);
		present += value != NULL;
		if (value)
			r = check_value(check, field->type, value, &here);
		else if (!field->type->nullable)
			r = refuse(check, &here, "is missing; it must be %s",
				   kind_text(field->type));
	}
	if (r == 0 && present < json_object_size(object))
		return refuse_unknown(check, type, object, place);
	return r;
}

static int
check_array(struct check *check, const struct type *type, const json_t *array,
	    const struct place *place)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < json_array_size(array); i++)
		r = check_value(check, type->element, json_array_get(array, i),
				&(struct place){place, NULL, i});
	return r;
}

static int
check_map(struct check *check, const struct type *type, const json_t *map,
	  const struct place *place)
{
	const char *key;
	json_t *value;
	int r;

	json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
		r = check_value(check, type->element, value, &(struct place){place, key, 0});
		if (r < 0)
			return r;
	}
	return 0;
}

static int
check_enum(struct check *check, const struct type *type, const json_t *value,
	   const struct place *place)
{
	_cleanup_free_ char *words = NULL;

	if (find_field(type, json_string_value(value)))
		return 0;
	for (size_t i = 0; i < type->n; i++) {
		_cleanup_free_ char *before = words;
		words = xasprintf("%s%s%s", before ? before : "",
				  !before	     ? ""
				  : i + 1 == type->n ? " or "
						     : ", ",
				  type->fields[i].name);
	}
	return refuse(check, place, "must be %s", words);
}

static bool
kind_fits(enum kind kind, const json_t *value)
{
	switch (kind) {
	case BOOL:
		return json_is_boolean(value);
	case INT:
		return json_is_integer(value);
	case FLOAT:
		return json_is_number(value);
	case STRING:
	case ENUM:
		return json_is_string(value);
	case ARRAY:
		return json_is_array(value);
	case OBJECT:
	case STRUCT:
	case MAP:
	case NAMED:
		return json_is_object(value);
	}
	return false;
}

static int
check_inside(struct check *check, const struct type *type, const json_t *value,
	     const struct place *place)
{
	switch (type->kind) {
	case STRUCT:
		return check_struct(check, type, value, place);
	case ARRAY:
		return check_array(check, type, value, place);
	case MAP:
		return check_map(check, type, value, place);
	case ENUM:
		return check_enum(check, type, value, place);
	default:
		return 0;
	}
}

static int
check_value(struct check *check, const struct type *type, const json_t *value,
	    const struct place *place)
{
	if (json_is_null(value) && type->nullable)
		return 0;
	if (type->means)
		type = type->means;
	if (!kind_fits(type->kind, value))
		return refuse(check, place, "must be %s, not %s", kind_text(type),
			      value_text(value));
	if (check->depth >= DEPTH_MAX)
		return refuse(check, place, "nests deeper than %d levels", DEPTH_MAX);
	check->depth++;
	int r = check_inside(check, type, value, place);
	check->depth--;
	return r;
}

int
varlink_check(const struct varlink_interface *interface, const char *member, enum varlink_side side,
	      const json_t *parameters, struct err *err)
{
	const struct member *method = find_member(interface, member);
	struct check check = {.member = member, .err = err};

	if (method && method->kind == MEMBER_METHOD)
		return check_value(&check, side == VARLINK_INPUT ? method->in : method->out,
				   parameters, &(struct place){0});
	int r = err_set(err, ERR_METHOD_NOT_FOUND, "%s has no method %s", interface->name, member);
	_cleanup_free_ char *full = xasprintf("%s.%s", interface->name, member);
	err_field(err, "method", json_text(full));
	return r;
}

int
varlink_check_error(const struct varlink_interface *interface, const char *name,
		    const json_t *parameters, struct err *err)
{
	const struct member *error = find_member(interface, name);
	struct check check = {.member = name, .err = err};

	if (!error || error->kind != MEMBER_ERROR)
		return err_set(err, ERR_FAILED, "%s has no error %s", interface->name, name);
	/* Our errors always bring their sentence; the service's own do not declare it. */
	_cleanup_json_ json_t *declared = NULL;
	if (json_is_object(parameters) && !find_field(error->in, "message")) {
		declared = json_copy((json_t *)(uintptr_t)parameters);
		if (!declared)
			xalloc_die();
		(void)json_object_del(declared, "message");
	}
	return check_value(&check, error->in, declared ? declared : parameters, &(struct place){0});
}
