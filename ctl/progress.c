/* SPDX-License-Identifier: ISC */
/*
 * How far bmd is, as one line of standard error that is written over.
 */
#include "ctl/progress.h"

#include <unistd.h>

#include "common/xalloc.h"

static void
show(void (*print)(const json_t *reply, FILE *f), const json_t *reply)
{
	fputc('\r', stderr);
	print(reply, stderr);
	fputs(" \033[K", stderr);
}

int
progress_call(struct ctl *ctl, const char *method, json_t *parameters,
	      void (*print)(const json_t *reply, FILE *f), json_t **ret_reply, struct err *err)
{
	_cleanup_json_ json_t *last = NULL, *owned = parameters;
	_cleanup_free_ char *full = xasprintf("%s%s", ERR_INTERFACE, method);
	bool continues = true, terminal = isatty(STDERR_FILENO), shown = false;
	int r = client_start(ctl->client, full, owned, true, err);

	while (r >= 0 && continues) {
		json_decref(TAKE(last));
		r = client_next(ctl->client, CLIENT_NEVER, &last, &continues, err);
		if (r < 0 || !terminal || !continues)
			continue;
		show(print, last);
		shown = true;
	}
	if (shown)
		fputs("\r\033[K", stderr);
	if (r >= 0)
		*ret_reply = TAKE(last);
	return r;
}
