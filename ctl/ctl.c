/* SPDX-License-Identifier: ISC */
/*
 * What every verb works with. The moment of the call is read once here; times are resolved against
 * it and shown with their distance from it.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/remote.h"
#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/verbs/verbs.h"

#define SOCKET_DEFAULT "/run/bmd/control"
#define LIST_MOST      100000 /* entries of a list that are collected from its pages */
#define PAGE	       1000   /* entries asked for at once, the most that bmd takes */
#define ANSWER_MAX     4096   /* bytes that may be typed as a reason */

typedef int when_parser(const char *text, int64_t now_us, const char *zone, struct when *ret,
			struct err *err);

static int
open_color(struct ctl *ctl, struct err *err)
{
	const char *how = ctl_value(ctl, OPTION_COLOR), *no = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (how == NULL || strcmp(how, "auto") == 0)
		ctl->color = ctl->terminal && (no == NULL || no[0] == '\0') && term != NULL &&
			     strcmp(term, "dumb") != 0;
	else if (strcmp(how, "always") == 0)
		ctl->color = true;
	else if (strcmp(how, "never") != 0)
		return err_set(err, ERR_USAGE, "--color is auto, always or never, not '%s'", how);
	return 0;
}

static size_t
terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

static int64_t
clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * WHEN_SECOND + ts.tv_nsec / 1000;
}

static const char *
from_environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool
is_verb(const char *word, size_t n)
{
	for (size_t i = 0; i < verbs_count; i++)
		if (strncmp(verbs[i].name, word, n) == 0 &&
		    (verbs[i].name[n] == '\0' || verbs[i].name[n] == ' '))
			return true;
	return false;
}

/* Whom to ask. $BMD_SOCKET speaks of this machine, and is not sent to another one; an empty -H is
 * this machine. */
static int
open_where(struct ctl *ctl, struct err *err)
{
	int r;

	ctl->host = from_environment("BMD_HOST");
	if (ctl_given(ctl, OPTION_HOST))
		ctl->host = ctl_value(ctl, OPTION_HOST);
	if (ctl->host != NULL && ctl->host[0] == '\0')
		ctl->host = NULL;
	if (ctl->host != NULL && (r = remote_check(ctl->host, err)) < 0)
		return r;
	if (ctl->host == NULL) {
		ctl->socket = from_environment("BMD_SOCKET");
		if (ctl->socket == NULL)
			ctl->socket = SOCKET_DEFAULT;
	}
	if (ctl_given(ctl, OPTION_SOCKET))
		ctl->socket = ctl_value(ctl, OPTION_SOCKET);
	if (ctl->socket != NULL && ctl->socket[0] == '\0')
		return err_set(err, ERR_USAGE, "--socket is empty: name the socket of bmd");
	ctl->client = client_new(ctl->host, ctl->socket);
	if (ctl->host != NULL && ctl_given(ctl, OPTION_HOST))
		table_program(ctl->host, is_verb);
	return 0;
}

int
ctl_open(struct ctl *ctl, struct err *err)
{
	int r;

	/* Widths are counted in UTF-8, which is what is printed whatever the locale says. */
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
	ctl->now_us = clock_now();
	if (when_zone_local(ctl->zone, &ctl->zone_error) < 0)
		memcpy(ctl->zone, "UTC", sizeof("UTC"));
	if ((r = open_where(ctl, err)) < 0)
		return r;
	ctl->json = ctl_given(ctl, OPTION_JSON);
	client_zone(ctl->client, ctl->json ? NULL : ctl->zone);
	ctl->terminal = isatty(STDOUT_FILENO);
	ctl->width = ctl->terminal ? terminal_width() : 0;
	ctl->ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	return open_color(ctl, err);
}

void
ctl_close(struct ctl *ctl)
{
	client_free(ctl->client);
	free(ctl->repeat);
	err_clear(&ctl->zone_error);
	options_clear(&ctl->options);
}

const char *
ctl_word(const struct ctl *ctl, size_t i)
{
	return ctl->first + i < ctl->options.nwords ? ctl->options.words[ctl->first + i] : NULL;
}

char *
ctl_words(const struct ctl *ctl)
{
	char *text = xstrdup(ctl_word(ctl, 0));

	for (size_t i = 1; ctl_word(ctl, i) != NULL; i++) {
		char *longer = xasprintf("%s %s", text, ctl_word(ctl, i));

		free(text);
		text = longer;
	}
	return text;
}

int
ctl_usage(const struct ctl *ctl, struct err *err, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list list;

	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		xalloc_die();
	va_end(list);
	return err_set(err, ERR_USAGE, "%s; usage: bmctl %s%s%s", text, ctl->verb->name,
		       ctl->verb->synopsis[0] == '\0' ? "" : " ", ctl->verb->synopsis);
}

json_t *
ctl_text(const char *text)
{
	json_t *value = json_string(text);

	return value != NULL ? value : json_bytes(text, strlen(text));
}

int
ctl_call(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret_reply,
	 struct err *err)
{
	_cleanup_json_ json_t *owned = parameters;
	_cleanup_free_ char *full = xasprintf("%s%s", ERR_INTERFACE, method);

	return client_call(ctl->client, full, owned, false, ret_reply, err);
}

int
ctl_list(struct ctl *ctl, const char *method, const char *list, json_t *parameters, int64_t limit,
	 json_t **ret_reply, struct err *err)
{
	_cleanup_json_ json_t *owned = parameters, *whole = NULL;

	for (;;) {
		_cleanup_json_ json_t *reply = NULL, *before = NULL;
		json_t *all, *next;
		int64_t left;
		int r;

		left = limit - (int64_t)json_array_size(json_object_get(whole, list));
		json_object_set_new(owned, "limit",
				    json_integer(limit > 0 && left < PAGE ? left : PAGE));
		if ((r = ctl_call(ctl, method, json_incref(owned), &reply, err)) < 0)
			return r;
		if (whole == NULL)
			whole = json_incref(reply);
		else
			json_array_extend(json_object_get(whole, list),
					  json_object_get(reply, list));
		all = json_object_get(whole, list);
		next = json_incref(json_object_get(reply, "next"));
		before = json_incref(json_object_get(owned, "after"));
		json_object_set(owned, "after", next);
		json_object_set_new(whole, "next", next);
		/* A page may be empty and go on; one that goes nowhere is the last. */
		if (!json_is_string(next) || json_equal(next, before) ||
		    json_array_size(all) >= (size_t)(limit > 0 ? limit : LIST_MOST))
			break;
	}
	*ret_reply = TAKE(whole);
	return 0;
}

/* A line from the terminal, without its newline; NULL when there was none. */
static char *
ask_line(const char *question)
{
	_cleanup_free_ char *safe = json_terminal(question);
	char line[ANSWER_MAX];

	fprintf(stderr, "%s ", safe);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) == NULL) {
		fputc('\n', stderr);
		return NULL;
	}
	line[strcspn(line, "\n")] = '\0';
	return line[0] == '\0' ? NULL : xstrdup(line);
}

/* Who confirms should see what: the request, from the preview of it. The build that was shown is
 * the one that is then asked for. */
static void
show_asked(struct ctl *ctl, const char *method, json_t *parameters)
{
	_cleanup_json_ json_t *dry = json_copy(parameters), *reply = NULL;
	_cleanup_free_ char *text = NULL, *undone = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	const json_t *to;

	json_object_del(dry, "key");
	json_object_set_new(dry, "dry_run", json_true());
	if (client_call(ctl->client, method, dry, false, &reply, &err) < 0)
		return; /* the request itself will say why */
	text = text_asked(ctl, reply, parameters);
	table_line(stderr, "%s", text);
	undone = text_not_undone(json_object_get(reply, "not_undone"));
	if (undone != NULL)
		table_line(stderr, "not undone: %s", undone);
	to = json_object_get(json_object_get(reply, "preview"), "to");
	if (!json_is_object(to))
		return;
	json_object_set(parameters, "release", json_object_get(to, "release"));
	json_object_set(parameters, "build", json_object_get(to, "build"));
}

/* What ERR asks for, from a person: 1 if PARAMETERS have it now. */
static int
ask_for(struct ctl *ctl, const char *method, const struct err *err, json_t *parameters)
{
	_cleanup_free_ char *answer = NULL, *question = NULL;
	const char *application = json_get_string(err->fields, "application");
	const char *stage = json_get_string(err->fields, "stage");

	if (err->code == ERR_REASON_REQUIRED) {
		question = xasprintf("%s %s wants a reason:", application ? application : "",
				     stage ? stage : "");
		if ((answer = ask_line(question)) == NULL)
			return 0;
		json_object_set_new(parameters, "reason", ctl_text(answer));
		return 1;
	}
	show_asked(ctl, method, parameters);
	question = xasprintf("%s %s asks for confirmation: go on? [y/N]",
			     application ? application : "", stage ? stage : "");
	answer = ask_line(question);
	if (answer == NULL || (strcmp(answer, "y") != 0 && strcmp(answer, "yes") != 0))
		return 0;
	json_object_set_new(parameters, "confirmed", json_true());
	return 1;
}

/* The line with what ERR asks for, instead of a --reason that says nothing. */
static char *
how_to_repeat(const struct ctl *ctl, const struct err *err)
{
	_cleanup_free_ const char **words = xcalloc(ctl->argc + 1, sizeof(*words));
	const char *wants = text_wants(json_object_get(err->fields, "wants"));
	const char *more = wants[0] != '\0'		      ? wants + 1
			   : err->code == ERR_REASON_REQUIRED ? "--reason TEXT"
							      : "--yes";
	bool blank = ctl_given(ctl, OPTION_REASON) && strstr(more, "--reason") != NULL;
	size_t n = 0;

	for (size_t i = 0; i < ctl->argc; i++) {
		if (blank && strcmp(ctl->argv[i], "--reason") == 0)
			i++;
		else if (!blank || strncmp(ctl->argv[i], "--reason=", strlen("--reason=")) != 0)
			words[n++] = ctl->argv[i];
	}
	return options_quote(n, words, more);
}

static void
new_key(json_t *parameters)
{
	unsigned char bytes[16];
	char key[2 * sizeof(bytes) + 1];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort(); /* 16 bytes are never short once the kernel has booted */
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(key + 2 * i, 3, "%02x", bytes[i]);
	json_object_set_new(parameters, "key", json_string(key));
}

/* Answering took its time: "+2h" counts from now, and 02:00 must not have become tomorrow's. */
static int
after_question(struct ctl *ctl, json_t *parameters, struct err *err)
{
	const char *text = json_get_string(parameters, "text");
	int64_t at = ctl_us(parameters, "at");
	struct when when;
	int r;

	ctl->now_us = clock_now();
	if (at == 0 || text == NULL)
		return 0;
	if (text[0] == '+') {
		if ((r = ctl_time(ctl, text, &when, err)) < 0)
			return r;
		json_object_set_new(parameters, "at", json_time(when.at_us));
	} else if (at <= ctl->now_us) {
		return err_set(err, ERR_BAD_TIME,
			       "%s has passed while you were asked; nothing was queued: take a "
			       "later time or --now",
			       text);
	}
	return 0;
}

int
ctl_change(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret_reply,
	   struct err *err)
{
	_cleanup_json_ json_t *owned = parameters;
	_cleanup_free_ char *full = xasprintf("%s%s", ERR_INTERFACE, method);
	const char *reason = ctl_value(ctl, OPTION_REASON);

	if (reason != NULL)
		json_object_set_new(owned, "reason", ctl_text(reason));
	for (;;) {
		int r;

		new_key(owned); /* other parameters are another request */
		r = client_call(ctl->client, full, owned, true, ret_reply, err);
		if (r >= 0 ||
		    (err->code != ERR_REASON_REQUIRED && err->code != ERR_CONFIRMATION_REQUIRED))
			return r;
		if (!ctl->ask) {
			ctl->repeat = how_to_repeat(ctl, err);
			return r;
		}
		if (!ask_for(ctl, full, err, owned))
			return r;
		err_clear(err);
		if ((r = after_question(ctl, owned, err)) < 0)
			return r;
	}
}

int
ctl_job(struct ctl *ctl, const char *text, int64_t *ret_job, struct err *err)
{
	char *end;
	long long job;

	errno = 0;
	job = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || job < 1)
		return ctl_usage(ctl, err, "'%s' is no job: a job is a number such as 42", text);
	*ret_job = job;
	return 0;
}

int
ctl_number(struct ctl *ctl, enum option_id id, int64_t most, int64_t *ret_number, struct err *err)
{
	const char *text = ctl_value(ctl, id);
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < 1 ||
	    number > most)
		return ctl_usage(ctl, err, "%s%s is a number from 1 to %lld, not '%s'",
				 id == OPTION_LIMIT ? "-n, --" : "--", option_specs[id].name,
				 (long long)most, text);
	*ret_number = number;
	return 0;
}

int
ctl_span(struct ctl *ctl, enum option_id id, int64_t *ret_us, struct err *err)
{
	int r = when_parse_span(ctl_value(ctl, id), ret_us, err);

	if (r < 0)
		err_prefix(err, "--%s", option_specs[id].name);
	return r;
}

int
ctl_variables(struct ctl *ctl, json_t **ret_variables, struct err *err)
{
	_cleanup_json_ json_t *variables = json_object();

	for (size_t i = 0; i < ctl->options.nvariables; i++) {
		const char *text = ctl->options.variables[i], *equals = strchr(text, '=');
		_cleanup_free_ char *name = equals ? xstrndup(text, (size_t)(equals - text)) : NULL;

		if (name == NULL || !names_variable(name))
			return ctl_usage(
			    ctl, err,
			    "--var is NAME=VALUE, the name of letters, digits and _, not '%s'",
			    text);
		if (!names_text(equals + 1, NAMES_VALUE_MAX, true))
			return err_set(
			    err, ERR_USAGE,
			    "the value of --var %s is not UTF-8 text of at most %d bytes", name,
			    NAMES_VALUE_MAX);
		if (json_object_get(variables, name) != NULL)
			return err_set(err, ERR_USAGE, "--var %s is given twice", name);
		json_object_set_new(variables, name, json_string(equals + 1));
	}
	*ret_variables = TAKE(variables);
	return 0;
}

int
ctl_no_path(struct err *err, const char *path, int number, const char *next)
{
	_cleanup_free_ char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

	if (path[0] == '\0')
		return err_set(err, ERR_USAGE, "an empty word is no path: %s", next);
	if (number != ENOENT && number != ENOTDIR)
		return err_errno(err, number, "%s cannot be read", path);
	return err_set(err, ERR_USAGE, "there is no %s%s%s: %s", path, here != NULL ? " in " : "",
		       here != NULL ? here : "", next);
}

int
ctl_build(json_t *parameters, const char *text, struct err *err)
{
	struct build_ref ref;
	int r = names_build_parse(text, &ref, err);

	if (r < 0)
		return r;
	json_object_set_new(parameters, "release", json_string(ref.release));
	if (ref.number > 0)
		json_object_set_new(parameters, "build", json_integer(ref.number));
	return 0;
}

/* Does TEXT mean the same wherever it is read? Then it names its zone, or needs none: days do,
 * hours do not. */
static bool
zone_matters(when_parser *parse, const char *text, int64_t now_us)
{
	struct when here, there;

	if (parse(text, now_us, "UTC", &here, NULL) < 0 ||
	    parse(text, now_us, "Asia/Tokyo", &there, NULL) < 0)
		return true;
	return strcmp(here.zone, there.zone) != 0 &&
	       (here.at_us != there.at_us || strpbrk(text, "dwDW") != NULL);
}

static int
parse_time(struct ctl *ctl, when_parser *parse, const char *text, struct when *ret_when,
	   struct err *err)
{
	if (ctl->zone_error.code != ERR_NONE && zone_matters(parse, text, ctl->now_us))
		return err_set(err, ctl->zone_error.code, "%s", ctl->zone_error.text);
	return parse(text, ctl->now_us, ctl->zone, ret_when, err);
}

int
ctl_time(struct ctl *ctl, const char *text, struct when *ret_when, struct err *err)
{
	return parse_time(ctl, when_parse, text, ret_when, err);
}

int
ctl_time_past(struct ctl *ctl, const char *text, struct when *ret_when, struct err *err)
{
	return parse_time(ctl, when_parse_past, text, ret_when, err);
}

int
ctl_when(struct ctl *ctl, bool needed, json_t *parameters, struct err *err)
{
	const char *text = ctl_value(ctl, OPTION_AT);
	struct when when;
	int r;

	if (ctl_given(ctl, OPTION_NOW) && text != NULL)
		return ctl_usage(ctl, err, "--now and --at exclude each other");
	if (!ctl_given(ctl, OPTION_NOW) && text == NULL)
		return needed ? ctl_usage(ctl, err, "say when: --now or --at TIME") : 0;
	if (text == NULL || strcmp(text, "now") == 0) {
		json_object_set_new(parameters, "now", json_true());
		return 0;
	}
	if ((r = ctl_time(ctl, text, &when, err)) < 0)
		return r;
	if (when.note[0] != '\0')
		table_line(stderr, "warning: %s", when.note);
	json_object_set_new(parameters, "at", json_time(when.at_us));
	json_object_set_new(parameters, "text", ctl_text(text));
	json_object_set_new(parameters, "zone", json_string(when.zone));
	memcpy(ctl->asked_zone, when.zone, sizeof(ctl->asked_zone));
	if (!ctl->json)
		client_zone(ctl->client, ctl->asked_zone);
	return 0;
}

int
ctl_override(struct ctl *ctl, json_t *parameters, struct err *err)
{
	const char *freeze = ctl_value(ctl, OPTION_OVERRIDE_FREEZE);
	bool windows = ctl_given(ctl, OPTION_OVERRIDE_WINDOW);
	json_t *override;

	if (!windows && freeze == NULL)
		return 0;
	if (ctl_value(ctl, OPTION_REASON) == NULL)
		return ctl_usage(ctl, err, "an override wants a reason: --reason TEXT");
	override = json_pack("{s:b, s:[]}", "windows", windows, "freezes");
	if (freeze != NULL)
		json_array_append_new(json_object_get(override, "freezes"), ctl_text(freeze));
	json_object_set_new(parameters, "override", override);
	return 0;
}

void
ctl_json(const struct ctl *ctl, const json_t *object)
{
	/* DEL, C1 and bidirectional controls are legal in JSON: on a terminal they are written as
	 * \uNNNN, the same text. */
	size_t flags = JSON_COMPACT | (ctl->terminal ? JSON_ENSURE_ASCII : 0);

	json_dumpf(object, stdout, flags);
	fputc('\n', stdout);
	table_flush();
}

void
ctl_warnings(const json_t *warnings)
{
	size_t i;
	json_t *warning;

	json_array_foreach (warnings, i, warning)
		if (json_is_string(warning))
			table_line(stderr, "warning: %s", json_string_value(warning));
}

/* How long the sentence is without bmd's guess at the command, which does not know all that was
 * typed. */
static size_t
without_command(const struct err *err)
{
	const char *guess = json_get_string(err->fields, "repeat");
	size_t n = strlen(err->text), rest = guess != NULL ? strlen(guess) + strlen(": ") : 0;

	return guess != NULL && n > rest && strcmp(err->text + n - strlen(guess), guess) == 0 &&
		       memcmp(err->text + n - rest, ": ", 2) == 0
		   ? n - rest
		   : n;
}

int
ctl_error(const struct ctl *ctl, const struct err *err)
{
	size_t i;
	json_t *problem, *problems = json_object_get(err->fields, "problems");

	if (ctl->json) {
		_cleanup_json_ json_t *object = err_to_json(err);

		ctl_json(ctl, object);
	}
	table_flush();
	json_array_foreach (problems, i, problem)
		if (json_is_string(problem) &&
		    strstr(err->text, json_string_value(problem)) == NULL)
			table_line(stderr, "%s", json_string_value(problem));
	if (ctl->repeat == NULL) {
		table_line(stderr, "bmctl: %s", err->text);
	} else {
		table_line(stderr, "bmctl: %.*s", (int)without_command(err), err->text);
		table_line(stderr, "repeat: %s", ctl->repeat);
	}
	return err->code == ERR_NONE ? CTL_FAILED : err_exit(err->code);
}

int64_t
ctl_us(const json_t *object, const char *member)
{
	const char *text = json_get_string(object, member);
	int64_t us;

	return text != NULL && when_parse_utc(text, &us) >= 0 ? us : 0;
}

struct when_text
ctl_local(const struct ctl *ctl, const json_t *object, const char *member)
{
	int64_t us = ctl_us(object, member);

	if (us == 0)
		return (struct when_text){""};
	return when_local(us - us % WHEN_SECOND, ctl->zone);
}

char *
ctl_moment(const struct ctl *ctl, const json_t *object, const char *member)
{
	struct when_text local = ctl_local(ctl, object, member);
	char *zone;

	if (local.s[0] == '\0')
		return NULL;
	/* Date, time and offset say it all, and can be typed back. */
	if ((zone = strrchr(local.s, ' ')) != NULL)
		*zone = '\0';
	return xasprintf("%s (%s)", local.s, when_distance(ctl_us(object, member), ctl->now_us).s);
}

struct when_text
ctl_head(const struct ctl *ctl, const char *head)
{
	struct when_text text;

	snprintf(text.s, sizeof(text.s), "%.40s (%.64s)", head, ctl->zone);
	return text;
}

char *
ctl_at(const struct ctl *ctl, const json_t *object, const char *member)
{
	struct when_text local = ctl_local(ctl, object, member);

	if (local.s[0] == '\0')
		return xstrdup("");
	return xasprintf("%s (%s)", local.s, when_distance(ctl_us(object, member), ctl->now_us).s);
}

struct build_text
ctl_ref(const json_t *object, const char *member)
{
	struct build_text text = {""};
	const char *release;

	if (member != NULL)
		object = json_object_get(object, member);
	release = json_get_string(object, "release");
	if (release != NULL && json_get_int(object, "build", 0) == 0)
		snprintf(text.s, sizeof(text.s), "%.63s", release); /* none yet */
	else if (release != NULL)
		snprintf(text.s, sizeof(text.s), "%.63s/%lld", release,
			 (long long)json_get_int(object, "build", 0));
	return text;
}

struct ctl_size
ctl_size(int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	struct ctl_size size;
	int64_t whole = bytes, tenths = 0;
	size_t unit = 0;

	for (; whole >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++) {
		tenths = whole % 1024 * 10 / 1024;
		whole /= 1024;
	}
	if (unit == 0)
		snprintf(size.s, sizeof(size.s), "%lld B", (long long)bytes);
	else
		snprintf(size.s, sizeof(size.s), "%lld.%lld %s", (long long)whole,
			 (long long)tenths, units[unit]);
	return size;
}
