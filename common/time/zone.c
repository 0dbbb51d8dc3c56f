/* SPDX-License-Identifier: ISC */
/*
 * The C library answers one question here: what is the offset of a zone at an instant. It is asked
 * by way of $TZ, which is put back at once; the library keeps the zone it loaded last, so that
 * asking about the same one again is cheap. mktime(3) is not used: for a repeated hour its answer
 * depends on what the process converted before.
 */
#include "common/time/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "common/names.h"
#include "common/scope.h"
#include "common/time/when.h"
#include "common/xalloc.h"

#define ZONEINFO   "/usr/share/zoneinfo"
#define FOLDER_MAX 1024

/* Days of 400 years, and from 0000-03-01 to 1970-01-01: years are counted from March, so that the
 * leap day is the last. */
#define ERA_DAYS   146097
#define EPOCH_DAYS 719468

int64_t
zone_days(int64_t year, int month, int day)
{
	int64_t era, year_of_era, day_of_year;

	if (month <= 2)
		year--;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - EPOCH_DAYS;
}

int
zone_month_length(int64_t year, int month)
{
	static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return length[month - 1];
}

struct civil
zone_civil(int64_t wall_s)
{
	int64_t days = wall_s / ZONE_DAY, rest = wall_s % ZONE_DAY;
	int64_t era, day_of_era, year_of_era, day_of_year, month;
	struct civil c;

	if (rest < 0) {
		rest += ZONE_DAY;
		days--;
	}
	c.hour = (int)(rest / 3600);
	c.minute = (int)(rest / 60 % 60);
	c.second = (int)(rest % 60);
	c.weekday = (int)(((days + 4) % 7 + 7) % 7);
	days += EPOCH_DAYS;
	era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
	day_of_era = days - era * ERA_DAYS;
	year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	c.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	c.month = (int)(month < 10 ? month + 3 : month - 9);
	c.year = year_of_era + era * 400 + (c.month <= 2);
	return c;
}

/* posix/ and right/ are other compilations of the same names; right/ counts leap seconds and would
 * be wrong by them. */
static bool
well_formed(const char *zone)
{
	size_t n = strnlen(zone, WHEN_ZONE_MAX);

	if (n >= WHEN_ZONE_MAX || !strchr(zone, '/') || zone[0] == '/' || zone[n - 1] == '/')
		return false;
	if (strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") != n)
		return false;
	return strncmp(zone, "posix/", 6) != 0 && strncmp(zone, "right/", 6) != 0;
}

const char *
zone_folder(void)
{
	const char *folder = getenv("TZDIR");

	return folder && folder[0] == '/' && strlen(folder) < FOLDER_MAX ? folder : ZONEINFO;
}

char *
zone_path(const char *zone)
{
	return strcmp(zone, "UTC") != 0 && well_formed(zone)
		   ? xasprintf("%s/%s", zone_folder(), zone)
		   : NULL;
}

/* What the C library has loaded. A package upgrade may exchange the file below a daemon that runs
 * for months. */
static struct {
	char zone[WHEN_ZONE_MAX];
	ino_t inode;
	struct timespec changed;
} loaded;

static void
remember_loaded(const char *zone, const char *path)
{
	struct stat st = {0};

	(void)stat(path, &st);
	snprintf(loaded.zone, sizeof(loaded.zone), "%s", zone);
	loaded.inode = st.st_ino;
	loaded.changed = st.st_mtim;
}

static bool
outdated(const char *zone, const struct stat *st)
{
	return !strcmp(loaded.zone, zone) &&
	       (loaded.inode != st->st_ino || loaded.changed.tv_sec != st->st_mtim.tv_sec ||
		loaded.changed.tv_nsec != st->st_mtim.tv_nsec);
}

/* Sets $TZ and lets the C library look at it; SAVED is what to put back. */
static void
enter(const char *tz, char **ret_saved)
{
	*ret_saved = xstrdup(getenv("TZ"));
	if (setenv("TZ", tz, 1) < 0)
		xalloc_die();
	tzset(); /* reads the file only if the zone is another one than the last */
}

/* No tzset() here: localtime_r() does not look at $TZ, and all who do look call it themselves. */
static void
leave(const char *saved)
{
	if (saved)
		setenv("TZ", saved, 1);
	else
		unsetenv("TZ");
}

static void
forget_loaded(void)
{
	_cleanup_free_ char *saved = NULL;

	enter("UTC0", &saved);
	leave(saved);
	loaded.zone[0] = '\0';
}

bool
zone_valid(const char *zone)
{
	char path[FOLDER_MAX + WHEN_ZONE_MAX], magic[4];
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!strcmp(zone, "UTC"))
		return true;
	if (!well_formed(zone))
		return false;
	snprintf(path, sizeof(path), "%s/%s", zone_folder(), zone);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    read(fd, magic, sizeof(magic)) != sizeof(magic) || memcmp(magic, "TZif", 4) != 0)
		return false;
	if (outdated(zone, &st))
		forget_loaded();
	return true;
}

/* zone.tab: country, place, name, parted by tabs. */
bool
zone_suggest(const char *word, char *ret_zone, size_t size)
{
	_cleanup_free_ char *path = xasprintf("%s/zone.tab", zone_folder());
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[512], near[WHEN_ZONE_MAX] = "";

	while (file && fgets(line, sizeof(line), file)) {
		char name[WHEN_ZONE_MAX], *last;
		const char *const candidate[] = {name};

		if (line[0] == '#' || sscanf(line, "%*s %*s %63s", name) != 1)
			continue;
		last = strrchr(name, '/');
		if (!strcasecmp(word, name) || (last && !strcasecmp(word, last + 1))) {
			snprintf(ret_zone, size, "%s", name);
			return true;
		}
		if (!near[0] && names_suggest(word, candidate, 1))
			snprintf(near, sizeof(near), "%s", name);
	}
	if (near[0])
		snprintf(ret_zone, size, "%s", near);
	return near[0] != '\0';
}

int
zone_offset(const char *zone, int64_t utc_s)
{
	char tz[FOLDER_MAX + WHEN_ZONE_MAX + 1];
	_cleanup_free_ char *saved = NULL;
	time_t t = (time_t)utc_s;
	struct tm tm;
	bool known;

	if (!strcmp(zone, "UTC") || !well_formed(zone))
		return 0;
	snprintf(tz, sizeof(tz), ":%s/%s", zone_folder(), zone);
	if (strcmp(loaded.zone, zone) != 0)
		remember_loaded(zone, tz + 1);
	enter(tz, &saved);
	known = localtime_r(&t, &tm) != NULL;
	leave(saved);
	return known ? (int)tm.tm_gmtoff : 0;
}

int64_t
zone_change(const char *zone, int64_t low_s, int64_t high_s)
{
	int offset = zone_offset(zone, low_s);

	while (high_s - low_s > 1) {
		int64_t middle_s = low_s + (high_s - low_s) / 2;

		if (zone_offset(zone, middle_s) == offset)
			low_s = middle_s;
		else
			high_s = middle_s;
	}
	return high_s;
}

static void
add_instant(struct zone_instants *instants, int64_t utc_s)
{
	int i = instants->n;

	for (int k = 0; k < instants->n; k++)
		if (instants->utc_s[k] == utc_s)
			return;
	if (i == 2) /* three would need two changes of the clock within a day */
		return;
	for (; i > 0 && instants->utc_s[i - 1] > utc_s; i--)
		instants->utc_s[i] = instants->utc_s[i - 1];
	instants->utc_s[i] = utc_s;
	instants->n++;
}

/*
 * The offsets that hold a day before and a day after (and between) are tried, and the instants that
 * convert back are kept. That needs no notion of daylight-saving time, which half an hour, negative
 * ones and skipped days defy.
 */
struct zone_instants
zone_instants(const char *zone, int64_t wall_s)
{
	struct zone_instants instants = {0};
	int before = zone_offset(zone, wall_s - ZONE_DAY);

	for (int hours = -24; hours <= 24; hours += 12) {
		int offset = zone_offset(zone, wall_s + hours * 3600);
		int64_t utc_s = wall_s - offset;

		if (zone_offset(zone, utc_s) == offset)
			add_instant(&instants, utc_s);
	}
	if (instants.n == 0) {
		/* The clock that ran before the gap, had it gone on: that reads later by the gap on
		 * the clock after it. */
		instants.utc_s[0] = wall_s - before;
		instants.gap_s = zone_offset(zone, instants.utc_s[0]) - before;
	}
	return instants;
}
