/* SPDX-License-Identifier: ISC */
/*
 * at: what a time means. Asks nobody.
 */
#include "common/json.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

int
verb_at(struct ctl *ctl, struct err *err)
{
	_cleanup_free_ char *text = ctl_words(ctl);
	struct when when;
	int r;

	if ((r = ctl_time(ctl, text, &when, err)) < 0)
		return r;
	if (ctl->json) {
		_cleanup_json_ json_t *object =
		    json_pack("{s:o, s:s, s:s, s:o}", "time", json_time(when.at_us), "local",
			      when_local(when.at_us, when.zone).s, "zone", when.zone, "note",
			      json_text(when.note[0] == '\0' ? NULL : when.note));

		ctl_json(ctl, object);
		return CTL_DONE;
	}
	table_line(stdout, "local:    %s", when_local(when.at_us, when.zone).s);
	table_line(stdout, "utc:      %s", when_utc(when.at_us).s);
	table_line(stdout, "distance: %s", when_distance(when.at_us, ctl->now_us).s);
	if (when.note[0] != '\0')
		table_line(stdout, "note:     %s", when.note);
	return CTL_DONE;
}
