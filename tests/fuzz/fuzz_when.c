/* SPDX-License-Identifier: ISC */
/*
 * Any text as a time. The first byte picks now and zone. What is accepted obeys its rules: ahead or
 * past as asked, printable, and what is printed reads as the same instant; what is refused says
 * where and why.
 */
#include "common/json.h"
#include "common/time/when.h"
#include "tests/fuzz/fuzz_time.h"

static void
check_accepted(const struct when *when)
{
	struct when_text text = when_local(when->at_us, when->zone);
	struct when again = {0};

	must(when_zone_valid(when->zone));
	must(strlen(text.s) < WHEN_TEXT_MAX - 1 && strlen(when->note) < sizeof(when->note) - 1);
	must(when_parse(text.s, when->at_us, "UTC", &again, NULL) == 0);
	must(again.at_us == when->at_us && !strcmp(again.zone, when->zone) && !again.note[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_err_ struct err err = ERR_INIT, past_err = ERR_INIT, span_err = ERR_INIT;
	struct when when = {0};
	int64_t now, us = 0;
	const char *zone;
	char *text;

	if (size < 1)
		return 0;
	zone = zones[data[0] & 3];
	now = nows[(data[0] >> 2) & 3];
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (when_parse(text, now, zone, &when, &err) == 0) {
		must(when.at_us >= now);
		check_accepted(&when);
	} else
		must_be_refused(text, &err);
	if (when_parse_past(text, now, zone, &when, &past_err) == 0) {
		must(when.at_us <= now);
		check_accepted(&when);
	} else
		must_be_refused(text, &past_err);
	if (when_parse_span(text, &us, &span_err) == 0)
		must(us >= 0 && when_span(us).s[0]);
	else
		must_be_refused(text, &span_err);
	if (when_parse_utc(text, &us) == 0) {
		int64_t again = -1;

		must(when_parse_utc(when_utc(us).s, &again) == 0 && again == us);
	}
	free(text);
	return 0;
}
