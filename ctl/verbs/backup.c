/* SPDX-License-Identifier: ISC */
/* backup: bmd makes a folder that is a whole state folder of its; what copies it elsewhere is the
 * operator's. */
#include <inttypes.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

static void
print_progress(const json_t *reply)
{
	fprintf(stderr, "\r%" PRId64 " of %" PRId64 " pages, %" PRId64 " files \033[K",
		json_get_int(reply, "pages", 0), json_get_int(reply, "total_pages", 0),
		json_get_int(reply, "objects", 0));
}

int
verb_backup(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *last = NULL, *parameters = json_object();
	bool continues = true, show = isatty(STDERR_FILENO), shown = false;
	int64_t missing;
	int r = client_start(ctl->client, ERR_INTERFACE "Backup", parameters, true, err);

	while (r >= 0 && continues) {
		json_decref(TAKE(last));
		r = client_next(ctl->client, CLIENT_NEVER, &last, &continues, err);
		if (r < 0 || !show || !continues)
			continue;
		print_progress(last);
		shown = true;
	}
	if (shown)
		fputs("\r\033[K", stderr);
	if (r < 0)
		return r;
	missing = json_get_int(last, "missing", 0);
	if (ctl->json) {
		ctl_json(ctl, last);
	} else {
		/* The path is what a script needs. */
		table_line(stdout, "%s", json_get_string(last, "path"));
		table_line(stderr,
			   "as of %s: %" PRId64
			   " stored files, %s; copy it elsewhere, with its hard links resolved",
			   json_get_string(last, "time"), json_get_int(last, "objects", 0),
			   ctl_size(json_get_int(last, "bytes", 0)).s);
	}
	if (missing > 0)
		return err_set(err, ERR_FAILED,
			       "%" PRId64 " stored files are missing or damaged, here and in the "
					  "backup: bmctl build verify",
			       missing);
	return CTL_DONE;
}
