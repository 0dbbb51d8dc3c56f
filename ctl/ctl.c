/* SPDX-License-Identifier: ISC */
/*
 * What every verb works with. The moment of the call is read once here; times are resolved against
 * it and shown with their distance from it.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/remote.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define SOCKET_DEFAULT "/run/bmd/control"
#define LIST_MOST      100000 /* entries of a list that are collected from its pages */
#define PAGE	       1000   /* entries asked for at once, the most that bmd takes */

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

int64_t
ctl_clock_us(void)
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
	ctl->now_us = ctl_clock_us();
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
