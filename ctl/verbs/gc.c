/* SPDX-License-Identifier: ISC */
/*
 * gc: what each build is kept or freed by, and then the files that no build has any more. Two
 * calls: the builds go in one transaction of bmd's, the files in a process of their own, which may
 * find the store busy and is then asked again by the next gc.
 */
#include <inttypes.h>
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/progress.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

static void
print_builds(const struct ctl *ctl, const json_t *builds, bool dry_run)
{
	static const struct table_column columns[] = {
	    {"APPLICATION", 0}, {"BUILD", 0}, {"", 0}, {"SIZE", TABLE_RIGHT}, {"WHY", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *build;

	json_array_foreach (builds, i, build)
		table_row(table, json_get_string(build, "application"), ctl_ref(build, NULL).s,
			  !json_get_bool(build, "freed") ? "keep"
			  : dry_run			 ? "free"
							 : "freed",
			  ctl_size(json_get_int(build, "bytes", 0)).s,
			  json_get_string(build, "text"));
	table_print(table, stdout, ctl->width, ctl->color);
}

/* One call of CollectBuilds; adds what it freed to FREED. */
static int
collect(struct ctl *ctl, bool dry_run, int64_t *freed, int64_t *kept, bool *more, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters = json_object();
	int64_t listed;
	int r;

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if (dry_run) {
		json_object_set_new(parameters, "dry_run", json_true());
		r = ctl_call(ctl, "CollectBuilds", parameters, &reply, err);
	} else {
		r = ctl_change(ctl, "CollectBuilds", parameters, &reply, err);
	}
	if (r < 0)
		return r;
	*freed += json_get_int(reply, "freed", 0);
	*kept = json_get_int(reply, "kept", 0);
	*more = !dry_run && json_get_bool(reply, "more");
	if (ctl->json) {
		ctl_json(ctl, reply);
		return 0;
	}
	print_builds(ctl, json_object_get(reply, "builds"), dry_run);
	listed = (int64_t)json_array_size(json_object_get(reply, "builds"));
	if (listed < json_get_int(reply, "freed", 0) + *kept)
		table_line(stdout, "and %" PRId64 " more",
			   json_get_int(reply, "freed", 0) + *kept - listed);
	return 0;
}

static void
print_swept(const json_t *reply, FILE *f)
{
	fprintf(f, "%" PRId64 " files removed, %s", json_get_int(reply, "objects", 0),
		ctl_size(json_get_int(reply, "bytes", 0)).s);
}

int
verb_gc(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	bool dry_run = ctl_given(ctl, OPTION_DRY_RUN), more = true;
	int64_t freed = 0, kept = 0;
	int r = 0;

	while (r >= 0 && more)
		r = collect(ctl, dry_run, &freed, &kept, &more, err);
	if (r < 0)
		return r;
	if (!ctl->json)
		table_line(stdout,
			   "%" PRId64 " build%s kept, %" PRId64 " %s; pinned ones and what a stage "
			   "or a job needs always stay",
			   kept, kept == 1 ? "" : "s", freed, dry_run ? "would be freed" : "freed");
	if (dry_run)
		return CTL_DONE;
	r = progress_call(ctl, "SweepStore", json_object(), print_swept, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		table_line(stdout, "removed %" PRId64 " stored files, %s",
			   json_get_int(reply, "objects", 0),
			   ctl_size(json_get_int(reply, "bytes", 0)).s);
	return CTL_DONE;
}
