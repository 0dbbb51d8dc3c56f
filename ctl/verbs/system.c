/* SPDX-License-Identifier: ISC */
/*
 * reload, call, version: bmd itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

int
verb_reload(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	int64_t applications, plans;
	int r = ctl_change(ctl, "Reload", json_object(), &reply, err);

	if (r < 0)
		return r;
	if (ctl->json) {
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	ctl_warnings(json_object_get(reply, "warnings"));
	applications = json_get_int(reply, "applications", 0);
	plans = json_get_int(reply, "plans", 0);
	table_line(stdout, "configuration read: %" PRId64 " application%s, %" PRId64 " plan%s",
		   applications, applications == 1 ? "" : "s", plans, plans == 1 ? "" : "s");
	return CTL_DONE;
}

/* The replies of a stream, a line each, until the last one or Ctrl-C. */
static int
call_stream(struct ctl *ctl, const char *method, json_t *parameters, struct err *err)
{
	bool continues = true;
	int r = client_start(ctl->client, method, parameters, true, err);

	while (r >= 0 && continues) {
		_cleanup_json_ json_t *reply = NULL;

		r = client_next(ctl->client, CLIENT_NEVER, &reply, &continues, err);
		if (r >= 0)
			ctl_json(ctl, reply);
	}
	return r;
}

int
verb_call(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *parameters = NULL, *reply = NULL;
	const char *name = ctl_word(ctl, 0), *text = ctl_word(ctl, 1);
	_cleanup_free_ char *method =
	    strchr(name, '.') != NULL ? xstrdup(name) : xasprintf("%s%s", ERR_INTERFACE, name);
	int r;

	if (text == NULL)
		parameters = json_object();
	else if (json_parse(text, strlen(text), VARLINK_FRAME_MAX, &parameters, err) < 0) {
		_cleanup_free_ char *why = xstrdup(err->text);

		return ctl_usage(ctl, err,
				 "the parameters are one JSON object, such as '{\"job\": 42}': %s",
				 why);
	}
	if (ctl_given(ctl, OPTION_MORE))
		return call_stream(ctl, method, parameters, err);
	r = client_call(ctl->client, method, parameters, json_object_get(parameters, "key") != NULL,
			&reply, err);
	if (r < 0)
		return r;
	ctl_json(ctl, reply);
	return CTL_DONE;
}

int
verb_version(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = json_object();
	const char *version;
	int r;

	if (!ctl->json)
		table_line(stdout, "bmctl %s", PACKAGE_VERSION);
	r = client_call(ctl->client, ERR_SERVICE "GetInfo", parameters, false, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json) {
		json_object_set_new(reply, "client", json_string(PACKAGE_VERSION));
		ctl_json(ctl, reply);
		return CTL_DONE;
	}
	version = json_get_string(reply, "version");
	table_line(stdout, "bmd %s at %s", version ? version : "?", ctl->socket);
	return CTL_DONE;
}
