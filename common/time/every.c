/* SPDX-License-Identifier: ISC */
/* A span or a recurring time. What reads as a span is one: no calendar event does. */
#include <errno.h>
#include <string.h>

#include "common/time/every.h"

#define SPAN_LEAST (1 * WHEN_SECOND)
#define SPAN_MOST  (3650 * INT64_C(86400) * WHEN_SECOND)

int
every_parse(const char *text, struct every *ret, struct err *err)
{
	struct every every = {0};
	int r = when_parse_span(text, &every.span_us, NULL);

	if (r < 0) {
		every.span_us = 0;
		r = calendar_parse(text, &every.calendar, NULL);
		if (r < 0)
			return err_set(err, ERR_BAD_TIME,
				       "\"%.80s\" is neither a span, such as 7d, nor a recurring "
				       "time, such as Sun 03:00",
				       text);
	} else if (every.span_us < SPAN_LEAST || every.span_us > SPAN_MOST)
		return err_set(err, ERR_BAD_TIME, "\"%.80s\": write a span from 1s to 3650d", text);
	*ret = every;
	return 0;
}

int64_t
every_next(const struct every *every, int64_t after_us, const char *zone)
{
	int64_t next_us;

	if (every->span_us > 0)
		return after_us > INT64_MAX - every->span_us ? INT64_MAX
							     : after_us + every->span_us;
	return calendar_next(&every->calendar, after_us, zone, &next_us, NULL) < 0 ? INT64_MAX
										   : next_us;
}
