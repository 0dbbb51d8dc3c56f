/* SPDX-License-Identifier: ISC */
/*
 * Time → text, the other half of when.h. Local times are printed in the form that when_parse()
 * reads back to the microsecond.
 */
#include "common/time/when.h"

#include <inttypes.h>
#include <string.h>

#include "common/time/zone.h"

#define MINUTE (60 * WHEN_SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* N digits and one more character. */
static char *
digits(char *to, int64_t value, int n, char after)
{
	for (int i = n; i-- > 0; value /= 10)
		to[i] = (char)('0' + value % 10);
	to[n] = after;
	return to + n + 1;
}

#define UTC_FORMAT "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%06" PRId64 "Z"

struct when_text
when_utc(int64_t us)
{
	int64_t s = zone_floor(us, WHEN_SECOND);
	struct civil c = zone_civil(s);
	struct when_text text;
	char *p = text.s;

	if (c.year < 0 || c.year > 9999) {
		snprintf(text.s, sizeof(text.s), UTC_FORMAT, c.year, c.month, c.day, c.hour,
			 c.minute, c.second, us - s * WHEN_SECOND);
		return text;
	}
	/* Every answer has several of these: no printf. */
	p = digits(p, c.year, 4, '-');
	p = digits(p, c.month, 2, '-');
	p = digits(p, c.day, 2, 'T');
	p = digits(p, c.hour, 2, ':');
	p = digits(p, c.minute, 2, ':');
	p = digits(p, c.second, 2, '.');
	*digits(p, us - s * WHEN_SECOND, 6, 'Z') = '\0';
	return text;
}

/* "+01:00"; with seconds only where a zone has such an offset (Africa/Monrovia until 1972). */
static void
put_offset(char *s, size_t size, int offset)
{
	unsigned n = (unsigned)(offset < 0 ? -offset : offset);
	char sign = offset < 0 ? '-' : '+';

	if (n % 60)
		snprintf(s, size, "%c%02u:%02u:%02u", sign, n / 3600, n / 60 % 60, n % 60);
	else
		snprintf(s, size, "%c%02u:%02u", sign, n / 3600, n / 60 % 60);
}

struct when_text
when_local(int64_t us, const char *zone)
{
	int64_t s = zone_floor(us, WHEN_SECOND), fraction = us - s * WHEN_SECOND;
	char part[16] = "", east[24];
	struct when_text text;
	struct civil c;
	int offset;

	if (!zone_valid(zone))
		zone = "UTC"; /* and says so */
	offset = zone_offset(zone, s);
	c = zone_civil(s + offset);
	if (fraction)
		snprintf(part, sizeof(part), ".%06d", (int)fraction);
	put_offset(east, sizeof(east), offset);
	snprintf(text.s, sizeof(text.s), "%04" PRId64 "-%02d-%02d %02d:%02d:%02d%s%s %.*s", c.year,
		 c.month, c.day, c.hour, c.minute, c.second, part, east, WHEN_ZONE_MAX - 1, zone);
	return text;
}

/* Units for people; what is smaller than the one that may follow is rounded away first. Below a
 * minute one unit says enough. */
static const struct {
	const char *name;
	int64_t us, round_us;
} shown[] = {
    {"d", DAY, HOUR},
    {"h", HOUR, MINUTE},
    {"min", MINUTE, WHEN_SECOND},
    {"s", WHEN_SECOND, WHEN_SECOND},
    {"ms", 1000, 1000},
    {"us", 1, 1},
};

static int64_t
round_to(int64_t us, int64_t step)
{
	return us > INT64_MAX - step ? us - us % step : (us + step / 2) / step * step;
}

/* The index of the largest unit that fits; none fits 0. */
static size_t
largest(int64_t us)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(shown) && us < shown[i].us)
		i++;
	return i;
}

struct when_text
when_span(int64_t us)
{
	const char *sign = us < 0 ? "-" : "";
	struct when_text text;
	size_t i;
	int n;

	if (us < 0)
		us = us == INT64_MIN ? INT64_MAX : -us;
	i = largest(us);
	if (i < ARRAY_SIZE(shown))
		us = round_to(us, shown[i].round_us);
	i = largest(us); /* 59 min 59.7 s have become 1 h */
	if (i == ARRAY_SIZE(shown)) {
		strcpy(text.s, "0 s");
		return text;
	}
	n = snprintf(text.s, sizeof(text.s), "%s%" PRId64 " %s", sign, us / shown[i].us,
		     shown[i].name);
	us %= shown[i].us;
	if (i + 1 < ARRAY_SIZE(shown) && us >= shown[i + 1].us && n > 0)
		snprintf(text.s + n, sizeof(text.s) - (size_t)n, " %" PRId64 " %s",
			 us / shown[i + 1].us, shown[i + 1].name);
	return text;
}

/* To whole seconds: what lies between asking and answering is nobody's concern. */
struct when_text
when_distance(int64_t us, int64_t now_us)
{
	struct when_text text, span;
	int64_t distance;

	if (__builtin_sub_overflow(us, now_us, &distance))
		distance = us < now_us ? -INT64_MAX : INT64_MAX;
	if (distance == INT64_MIN)
		distance = -INT64_MAX;
	span = when_span(round_to(distance < 0 ? -distance : distance, WHEN_SECOND));
	if (!strcmp(span.s, "0 s"))
		strcpy(text.s, "now");
	else if (distance > 0)
		snprintf(text.s, sizeof(text.s), "in %.100s", span.s);
	else
		snprintf(text.s, sizeof(text.s), "%.100s ago", span.s);
	return text;
}

void
when_note(const struct zone_instants *instants, int index, int64_t wall_s, int64_t fraction_us,
	  const char *zone, char ret_note[WHEN_NOTE_MAX])
{
	struct when_text taken =
	    when_local(instants->utc_s[index] * WHEN_SECOND + fraction_us, zone);
	struct civil c = zone_civil(wall_s);
	struct when_text other;
	char what[80];

	ret_note[0] = '\0';
	snprintf(what, sizeof(what), c.second ? "%02d:%02d:%02d" : "%02d:%02d", c.hour, c.minute,
		 c.second);
	if (instants->n == 0 && instants->gap_s > 0)
		snprintf(ret_note, WHEN_NOTE_MAX,
			 "%s does not exist on %04d-%02d-%02d in %s, where clocks are put forward "
			 "by %.40s: moved to %.100s",
			 what, (int)c.year, c.month, c.day, zone,
			 when_span(instants->gap_s * WHEN_SECOND).s, taken.s);
	if (instants->n < 2)
		return;
	other = when_local(instants->utc_s[!index] * WHEN_SECOND + fraction_us, zone);
	snprintf(ret_note, WHEN_NOTE_MAX,
		 "%s comes twice on %04d-%02d-%02d in %s: taken is the %s, %.100s; the %s is "
		 "%.100s",
		 what, (int)c.year, c.month, c.day, zone, index ? "second" : "first", taken.s,
		 index ? "first" : "second", other.s);
}
