/* SPDX-License-Identifier: ISC */
/* audit, audit verify: who asked for what, and is that still as it was written. */
#include <inttypes.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/progress.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define AUDIT_LINES 30
#define AUDIT_MOST  100000

static void
print_rows(const struct ctl *ctl, const json_t *rows)
{
	static const struct table_column columns[] = {
	    {"ROW", TABLE_RIGHT}, {"WHEN", TABLE_TIME}, {"BY", 0},
	    {"WHAT", 0},	  {"APPLICATION", 0},	{"STAGE", 0},
	    {"JOB", TABLE_RIGHT}, {"REFUSED", 0},	{"TEXT", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row) {
		int64_t job = json_get_int(row, "job", 0),
			refused = json_get_int(row, "refused", 0);
		const char *error = json_get_string(row, "error");
		_cleanup_free_ char *id = xasprintf("%" PRId64, json_get_int(row, "id", 0));
		_cleanup_free_ char *on = job ? xasprintf("%" PRId64, job) : NULL;
		_cleanup_free_ char *when = ctl_moment(ctl, row, "time");
		_cleanup_free_ char *no = refused > 1 ? xasprintf("%" PRId64 " times: %s", refused,
								  error ? error : "several")
					  : refused   ? xstrdup(error)
						      : NULL;

		table_row(table, id, when, json_get_string(row, "by"),
			  json_get_string(row, "method"), json_get_string(row, "application"),
			  json_get_string(row, "stage"), on, no, json_get_string(row, "text"));
	}
	table_print(table, stdout, ctl->width, ctl->color);
	if (i == 0)
		table_line(stdout, "nothing of that kind was asked for");
}

int
verb_audit(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *parameters = json_object();
	const char *stage = ctl_value(ctl, OPTION_STAGE), *since = ctl_value(ctl, OPTION_SINCE);
	int64_t limit = since == NULL ? AUDIT_LINES : 0;
	struct when when;
	int r;

	if (ctl_word(ctl, 0) != NULL)
		json_object_set_new(parameters, "application", ctl_text(ctl_word(ctl, 0)));
	if (stage != NULL)
		json_object_set_new(parameters, "stage", ctl_text(stage));
	if (ctl_given(ctl, OPTION_REFUSED))
		json_object_set_new(parameters, "refused", json_true());
	if (ctl_given(ctl, OPTION_LIMIT) &&
	    (r = ctl_number(ctl, OPTION_LIMIT, AUDIT_MOST, &limit, err)) < 0)
		return r;
	if (since != NULL) {
		if ((r = ctl_time_past(ctl, since, &when, err)) < 0)
			return r;
		json_object_set_new(parameters, "since", json_time(when.at_us));
	}
	r = ctl_list(ctl, "ListAudit", "rows", json_incref(parameters), limit, &reply, err);
	if (r < 0)
		return r;
	if (ctl->json)
		ctl_json(ctl, reply);
	else
		print_rows(ctl, json_object_get(reply, "rows"));
	return CTL_DONE;
}

static void
print_compared(const json_t *reply, FILE *f)
{
	fprintf(f, "%" PRId64 " of %" PRId64 " rows", json_get_int(reply, "rows", 0),
		json_get_int(reply, "total", 0));
}

int
verb_audit_verify(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *parameters = json_object();
	const json_t *bad;
	int64_t noted;
	int r;

	if (ctl_given(ctl, OPTION_HEAD))
		json_object_set_new(parameters, "head", ctl_text(ctl_value(ctl, OPTION_HEAD)));
	r = progress_call(ctl, "VerifyAudit", parameters, print_compared, &reply, err);
	if (r < 0)
		return r;
	bad = json_object_get(reply, "bad");
	noted = json_get_int(reply, "noted", 0);
	if (ctl->json)
		ctl_json(ctl, reply);
	if (json_is_object(bad)) {
		table_line(stderr,
			   "bmctl: row %" PRId64 " of the audit is wrong: %s; the %" PRId64
			   " rows before it are as bmd wrote them",
			   json_get_int(bad, "row", 0), json_get_string(bad, "problem"),
			   json_get_int(reply, "rows", 0));
		return CTL_FAILED;
	}
	if (ctl_given(ctl, OPTION_HEAD) && noted == 0) {
		table_line(stderr,
			   "bmctl: no row of the audit has this hash: the rows were written "
			   "anew since it was noted, or it is of another bmd");
		return CTL_FAILED;
	}
	if (ctl->json)
		return CTL_DONE;
	table_line(stdout, "%" PRId64 " rows are as bmd wrote them",
		   json_get_int(reply, "rows", 0));
	if (noted > 0)
		table_line(stdout, "the head that was noted is row %" PRId64, noted);
	table_line(stdout, "head: %s", json_get_string(reply, "head"));
	return CTL_DONE;
}
