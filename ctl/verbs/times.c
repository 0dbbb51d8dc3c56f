/* SPDX-License-Identifier: ISC */
/*
 * at: what a time means. Asks nobody.
 */
#include <string.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

/* `bmctl at fri 22:00` is what people type: several words are one time. */
static char *
join_words(const struct ctl *ctl)
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
verb_at(struct ctl *ctl, struct err *err)
{
	_cleanup_free_ char *text = join_words(ctl);
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
