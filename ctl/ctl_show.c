/* SPDX-License-Identifier: ISC */
/*
 * How an answer is shown: as it is, with --json, or its members as texts, times with their distance
 * from the moment of the call.
 */
#include "ctl/ctl.h"

#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
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
