/* SPDX-License-Identifier: ISC */
/*
 * A change: it has a key, so that it happens once whatever becomes of the connection, and what its
 * stage demands is asked on a terminal, else told with the command that has it.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define ANSWER_MAX 4096 /* bytes that may be typed as a reason */
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

static bool
is_yes(const char *answer)
{
	size_t n;

	answer += strspn(answer, " \t");
	n = strcspn(answer, " \t");
	return answer[n + strspn(answer + n, " \t")] == '\0' &&
	       ((n == 1 && strncasecmp(answer, "y", n) == 0) ||
		(n == 3 && strncasecmp(answer, "yes", n) == 0));
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
	if (answer == NULL || !is_yes(answer))
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

	ctl->now_us = ctl_clock_us();
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
		if (!ask_for(ctl, full, err, owned)) {
			snprintf(err->text, sizeof(err->text), "%s: nothing was done",
				 err->code == ERR_REASON_REQUIRED ? "no reason was given"
								  : "it was not confirmed");
			return r;
		}
		err_clear(err);
		if ((r = after_question(ctl, owned, err)) < 0)
			return r;
	}
}
