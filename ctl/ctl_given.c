/* SPDX-License-Identifier: ISC */
/*
 * What was typed, checked and put into the parameters of a call. Times are read against the moment
 * of the call.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"

typedef int when_parser(const char *text, int64_t now_us, const char *zone, struct when *ret,
			struct err *err);
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
	struct stat st;
	_cleanup_free_ char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

	if (path[0] == '\0')
		return err_set(err, ERR_USAGE, "an empty word is no path: %s", next);
	if (number == ENOENT && lstat(path, &st) == 0)
		return err_set(err, ERR_USAGE, "%s is a link that points to nothing: %s", path,
			       next);
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

/* A time of two words behind --at and the like that was not quoted, so that the shell made an
 * argument of the second; NULL: none. free() it. */
static char *
unquoted_time(const struct ctl *ctl)
{
	static const struct {
		const char *option;
		when_parser *parse;
	} options[] = {{"--at", when_parse}, {"--until", when_parse}, {"--since", when_parse_past}};

	for (size_t i = 0; i + 2 < ctl->argc; i++)
		for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
			_cleanup_free_ char *text = NULL;
			struct when when;

			if (strcmp(ctl->argv[i], options[k].option) != 0)
				continue;
			text = xasprintf("%s %s", ctl->argv[i + 1], ctl->argv[i + 2]);
			if (options[k].parse(text, ctl->now_us, "UTC", &when, NULL) == 0)
				return TAKE(text);
		}
	return NULL;
}

void
ctl_hint_unquoted(const struct ctl *ctl, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int code = err_exit(err->code);
	size_t n = strlen(err->text);

	if (code != err_exit(ERR_USAGE) && code != err_exit(ERR_NO_SUCH_BUILD))
		return;
	text = unquoted_time(ctl);
	if (text != NULL)
		snprintf(err->text + n, sizeof(err->text) - n,
			 "; a time of several words is quoted: '%.100s'", text);
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

int
ctl_request(struct ctl *ctl, json_t *parameters, struct err *err)
{
	static const char *const hows[] = {"hold", "run", "skip"};
	const char *how = ctl_value(ctl, OPTION_IF_CHANGED);
	_cleanup_json_ json_t *variables = NULL;
	int64_t grace;
	int r = ctl_variables(ctl, &variables, err);

	if (r < 0)
		return r;
	if (json_object_size(variables) > 0)
		json_object_set(parameters, "variables", variables);
	if (ctl_given(ctl, OPTION_GRACE)) {
		if ((r = ctl_span(ctl, OPTION_GRACE, &grace, err)) < 0)
			return r;
		json_object_set_new(parameters, "grace_us", json_integer(grace));
	}
	if (how != NULL && strcmp(how, hows[0]) != 0 && strcmp(how, hows[1]) != 0 &&
	    strcmp(how, hows[2]) != 0)
		return ctl_usage(ctl, err, "--if-changed is hold, run or skip, not '%s'", how);
	if (how != NULL)
		json_object_set_new(parameters, "if_changed", json_string(how));
	if (ctl_given(ctl, OPTION_YES))
		json_object_set_new(parameters, "confirmed", json_true());
	return 0;
}
