/* SPDX-License-Identifier: ISC */
/* backup: bmd makes a folder that is a whole state folder of its; what copies it elsewhere is the
 * operator's. */
#include <inttypes.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/progress.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

static void
print_copied(const json_t *reply, FILE *f)
{
	fprintf(f, "%" PRId64 " of %" PRId64 " pages, %" PRId64 " files",
		json_get_int(reply, "pages", 0), json_get_int(reply, "total_pages", 0),
		json_get_int(reply, "objects", 0));
}

int
verb_backup(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *last = NULL;
	int64_t missing;
	int r = progress_call(ctl, "Backup", json_object(), print_copied, &last, err);

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
