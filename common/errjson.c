/* SPDX-License-Identifier: ISC */
/* An error as the protocol writes it. Apart from err.c, which everything stands on, because this
 * stands on json. */
#include "common/err.h"

#include <errno.h>
#include <stdint.h>

#include "common/json.h"
#include "common/xalloc.h"

json_t *
err_to_json(const struct err *err)
{
	json_t *parameters = err->fields ? json_copy(err->fields) : json_object();

	if (!parameters || json_object_set_new(parameters, "message", json_text(err->text)) < 0)
		xalloc_die();
	json_t *object =
	    json_pack("{s:s, s:o}", "error", err_name(err->code), "parameters", parameters);
	if (!object)
		xalloc_die();
	return object;
}

/* A sentence for an error that brought none, from a peer that is no bmd: its name and its text
 * fields. */
static void
foreign_text(struct err *err, const char *name, json_t *parameters)
{
	const char *key, *separator = ": ";
	json_t *value;

	(void)err_set(err, err->code, "%s", name);
	json_object_foreach (parameters, key, value) {
		if (!json_is_string(value))
			continue;
		(void)err_set(err, err->code, "%s%s%s %s", err->text, separator, key,
			      json_string_value(value));
		separator = ", ";
	}
}

int
err_from_json(const json_t *object, struct err *ret_err)
{
	const char *name = json_get_string(object, "error");
	json_t *parameters = json_object_get(object, "parameters");
	_cleanup_err_ struct err err = ERR_INIT;

	if (!name || (parameters && !json_is_object(parameters) && !json_is_null(parameters)))
		return -EPROTO;
	err.code = err_from_name(name);
	if (err.code == ERR_NONE)
		err.code = ERR_FAILED;
	const char *message = json_get_string(parameters, "message");
	if (message)
		(void)err_set(&err, err.code, "%s", message);
	else
		foreign_text(&err, name, parameters);
	if (json_is_object(parameters)) {
		/* One level is copied, its values are shared; the message is no field. */
		err.fields = json_copy(parameters);
		if (!err.fields)
			xalloc_die();
		(void)json_object_del(err.fields, "message");
	}
	err_clear(ret_err);
	*ret_err = err;
	err = ERR_INIT;
	return 0;
}
