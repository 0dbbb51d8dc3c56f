/* SPDX-License-Identifier: ISC */
/*
 * Any text as a time. The first byte picks now and zone. What is accepted obeys its rules: ahead or
 * past as asked, printable, and what is printed reads as the same instant; what is refused says
 * where and why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/time/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool truth)
{
	if (!truth)
		abort();
}

static void
check_accepted(const struct when *when)
{
	struct when_text text = when_local(when->at_us, when->zone);
	struct when again = {0};

	require(when_zone_valid(when->zone));
	require(strlen(text.s) < WHEN_TEXT_MAX - 1 && strlen(when->note) < sizeof(when->note) - 1);
	require(when_parse(text.s, when->at_us, "UTC", &again, NULL) == 0);
	require(again.at_us == when->at_us && !strcmp(again.zone, when->zone) && !again.note[0]);
}

static void
check_refused(const char *text, const struct err *err)
{
	int64_t column = json_get_int(err->fields, "column", 0);

	require(err->code == ERR_BAD_TIME && strstr(err->text, ", column "));
	require(column >= 1 && column <= (int64_t)strlen(text) + 1);
	for (const char *s = err->text; *s; s++)
		require((unsigned char)*s >= ' ' && *s != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe",
					    "Pacific/Apia"};
	static const int64_t nows[] = {1795395600000000, 1774742400000000, 1792886400000001,
				       1325160000000000};
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
		require(when.at_us >= now);
		check_accepted(&when);
	} else
		check_refused(text, &err);
	if (when_parse_past(text, now, zone, &when, &past_err) == 0) {
		require(when.at_us <= now);
		check_accepted(&when);
	} else
		check_refused(text, &past_err);
	if (when_parse_span(text, &us, &span_err) == 0)
		require(us >= 0 && when_span(us).s[0]);
	else
		check_refused(text, &span_err);
	if (when_parse_utc(text, &us) == 0) {
		int64_t again = -1;

		require(when_parse_utc(when_utc(us).s, &again) == 0 && again == us);
	}
	free(text);
	return 0;
}
