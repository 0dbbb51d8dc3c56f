/* SPDX-License-Identifier: ISC */
/*
 * Who may what, as a table that nobody made from the code: users, what each of them may on four stages, and a sample call of every method.
 * With methods.h it says of each (user, method, place) what the answer must be. unit/test_reach.c asks the gate, campaign/matrix.c a
 * real bmd as these users. A method without a sample here ends both.
 */
#ifndef TESTS_MATRIX_H
#define TESTS_MATRIX_H

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/xalloc.h"
#include "daemon/methods/request.h"

/* ---- the configuration. zqhide and zqlive are names that those who may not see them must never read. */
#define MATRIX_CONF                                                                                                    \
	"operators = {\"user:daemon\", \"user:uucp\"}\n"                                                               \
	"viewers = {\"bin\"}\n"                                                                                        \
	"application \"open\" {\n"                                                                                     \
	"    stages = {\"live\"}\n"                                                                                    \
	"    stage \"live\" { plan = \"web\" }\n"                                                                      \
	"    schedule \"s\" { on = \"03:00 UTC\" build = \"live\" to = \"live\" }\n"                                   \
	"}\n"                                                                                                          \
	"application \"shop\" {\n"                                                                                     \
	"    stages = {\"testing\", \"production\"}\n"                                                                 \
	"    operators = {\"user:games\", \"user:uucp\"}\n"                                                            \
	"    viewers = {}\n"                                                                                           \
	"    approvers = {\"user:mail\"}\n"                                                                            \
	"    stage \"testing\" { plan = \"web\" approvers = {} }\n"                                                    \
	"    stage \"production\" { plan = \"web\" operators = {\"lp\", \"user:uucp\"} viewers = {\"user:games\"} }\n" \
	"    schedule \"st\" { on = \"03:00 UTC\" build = \"live\" to = \"testing\" }\n"                               \
	"    schedule \"sp\" { on = \"03:00 UTC\" build = \"live\" to = \"production\" }\n"                            \
	"}\n"                                                                                                          \
	"application \"zqhide\" {\n"                                                                                   \
	"    stages = {\"zqlive\"}\n"                                                                                  \
	"    operators = {\"sys\", \"user:uucp\"}\n"                                                                   \
	"    viewers = {}\n"                                                                                           \
	"    stage \"zqlive\" { plan = \"web\" }\n"                                                                    \
	"    schedule \"zs\" { on = \"03:00 UTC\" build = \"live\" to = \"zqlive\" }\n"                                \
	"}\n"                                                                                                          \
	"plan \"web\" { step \"one\" { run = 'true' } }\n"

/* ---- places. The last two do not exist: no such application, no such stage. */
enum matrix_place { OPEN_LIVE, SHOP_TESTING, SHOP_PRODUCTION, ZQHIDE_ZQLIVE, MATRIX_REAL, NO_APPLICATION = MATRIX_REAL, NO_STAGE, MATRIX_PLACES };
static const struct {
	const char *application, *stage;
} matrix_places[MATRIX_PLACES] = {
	{"open", "live"}, {"shop", "testing"}, {"shop", "production"}, {"zqhide", "zqlive"}, {"zqmiss", "zqnone"}, {"shop", "zqnone"},
};

/* ---- users: s sees, o operates, a approves, and r is root, on each of the real places. */
static const struct {
	const char *user;
	const char *may[MATRIX_REAL];
} matrix_users[] = {
	{"root",   {"soar", "soar", "soar", "soar"}},
	{"uucp",   {"so", "so", "so", "so"}},
	{"daemon", {"so", "", "", ""}},
	{"bin",    {"s", "", "", ""}},
	{"games",  {"", "so", "s", ""}},
	{"lp",     {"", "", "so", ""}},
	{"mail",   {"", "", "sa", ""}},
	{"sys",    {"", "", "", "so"}},
	{"news",   {"", "", "", ""}},
};
#define MATRIX_USERS (sizeof(matrix_users) / sizeof(matrix_users[0]))

/* ---- of each method: the letters of which one is needed (a job that is over is released by operators alone), on what (reach.c has the
 * words), and a call: @A application, @S stage, @J a job of the stage, @C a schedule of it, @K a key. What is permitted must fail by
 * another rule, or change nothing: the matrix is asked in any order. */
static const struct matrix_sample {
	const char *method, *needs;
	enum reach reach;
	const char *parameters;
} matrix_samples[] = {
	{"GetStatus", "s", REACH_LIST, "{'application':'@A'}"},
	{"ListBuilds", "s", REACH_APPLICATION, "{'application':'@A'}"},
	{"GetBuild", "s", REACH_APPLICATION, "{'application':'@A','release':'9.9'}"},
	{"GetManifest", "s", REACH_APPLICATION, "{'application':'@A','release':'9.9','artifact':'site'}"},
	{"Upload", "o", REACH_NONE, "{'kind':'tar'}"},
	{"ListArtifacts", "s", REACH_APPLICATION, "{'application':'@A'}"},
	{"AddBuild", "o", REACH_APPLICATION, "{'key':'@K','application':'@A','release':'9.9','artifacts':[{'name':'site','digest':'none'}]}"},
	{"RejectBuild", "o", REACH_WHOLE, "{'key':'@K','application':'@A','release':'9.9','reason':'x'}"},
	{"RestoreBuild", "o", REACH_WHOLE, "{'key':'@K','application':'@A','release':'9.9'}"},
	{"PinBuild", "o", REACH_WHOLE, "{'key':'@K','application':'@A','release':'9.9'}"},
	{"UnpinBuild", "o", REACH_WHOLE, "{'key':'@K','application':'@A','release':'9.9'}"},
	{"CollectBuilds", "o", REACH_WHOLE, "{'key':'@K','application':'@A'}"},
	{"SweepStore", "o", REACH_NONE, "{}"},
	{"Backup", "r", REACH_NONE, "{}"},
	{"VerifyBuilds", "s", REACH_LIST, "{'application':'@A'}"},
	{"Diff", "s", REACH_APPLICATION, "{'application':'@A','a':{'release':'9.9'},'b':{'release':'9.8'}}"},
	{"Deploy", "o", REACH_STAGE, "{'key':'@K','application':'@A','release':'9.9','stage':'@S','now':true}"},
	{"Redeploy", "o", REACH_STAGE, "{'key':'@K','application':'@A','release':'9.9','stage':'@S','now':true}"},
	{"ListQueue", "s", REACH_LIST, "{'application':'@A'}"},
	{"GetJob", "s", REACH_JOB, "{'job':@J}"},
	{"ListHistory", "s", REACH_LIST, "{'application':'@A'}"},
	{"Log", "s", REACH_JOB, "{'job':@J}"},
	{"Wait", "s", REACH_JOBS, "{'jobs':[@J]}"},
	{"Cancel", "o", REACH_JOB, "{'key':'@K','job':@J}"},
	{"Reschedule", "o", REACH_JOB, "{'key':'@K','job':@J,'now':true}"},
	{"Release", "oa", REACH_JOB, "{'key':'@K','job':@J}"},
	{"AddSchedule", "o", REACH_STAGE, "{'key':'@K','application':'@A','stage':'@S','release':'9.9','calendar':'03:00 UTC'}"},
	{"ListSchedules", "s", REACH_LIST, "{'application':'@A'}"},
	{"GetSchedule", "s", REACH_SCHEDULE, "{'schedule':@C}"},
	{"RemoveSchedule", "o", REACH_SCHEDULE, "{'key':'@K','schedule':@C}"},
	{"PauseSchedule", "o", REACH_SCHEDULE, "{'key':'@K','schedule':@C}"},
	{"ResumeSchedule", "o", REACH_SCHEDULE, "{'key':'@K','schedule':@C}"},
	{"Lock", "o", REACH_STAGE, "{'key':'@K','application':'@A','stage':'@S','reason':'x','until':'2020-01-01T00:00:00.000000Z'}"},
	{"Unlock", "o", REACH_STAGE, "{'key':'@K','application':'@A','stage':'@S'}"},
	{"Settle", "o", REACH_STAGE, "{'key':'@K','application':'@A','stage':'@S','release':'9.9','reason':'x'}"},
	{"Adopt", "o", REACH_STAGE, "{'key':'@K','application':'@A','stage':'@S','builds':[{'release':'9.9','build':1}],'reason':'x'}"},
	{"Check", "s", REACH_NONE, "{}"},
	{"Reload", "r", REACH_NONE, "{'key':'@K'}"},
	{"Drain", "o", REACH_WHOLE, "{'key':'@K','undo':true}"},
	{"ListNotices", "s", REACH_LIST, "{}"},
	{"TestNotice", "o", REACH_WHOLE, "{'key':'@K','application':'@A','section':'none'}"},
	{"ListAudit", "s", REACH_LIST, "{'application':'@A'}"},
	{"VerifyAudit", "s", REACH_NONE, "{}"},
};

static inline const struct matrix_sample *
matrix_of(const char *method)
{
	for (size_t i = 0; i < sizeof(matrix_samples) / sizeof(matrix_samples[0]); i++)
		if (strcmp(matrix_samples[i].method, method) == 0)
			return &matrix_samples[i];
	errx(1, "%s has no sample in tests/matrix.h", method);
}

/* A request for a change, done or refused, is a row of the audit. What changes nothing of bmd's own has no key. */
static inline bool
matrix_changes(const char *method)
{
	return strstr(matrix_of(method)->parameters, "@K") || strcmp(method, "Upload") == 0 || strcmp(method, "SweepStore") == 0 ||
	       strcmp(method, "Backup") == 0;
}

/* The sample of METHOD for a place. JOB, SCHEDULE: of the place, or numbers that nobody has. */
static inline json_t *
matrix_call(const char *method, enum matrix_place place, const char *key, int64_t job, int64_t schedule)
{
	char text[1024];
	size_t n = 0;

	for (const char *p = matrix_of(method)->parameters; *p && n < sizeof(text) - 128; p++) {
		if (*p == '\'')
			text[n++] = '"';
		else if (*p != '@')
			text[n++] = *p;
		else if (*++p == 'A' || *p == 'S' || *p == 'K')
			n += (size_t)snprintf(text + n, 100, "%s",
					      *p == 'A'	  ? matrix_places[place].application
					      : *p == 'S' ? matrix_places[place].stage
							  : key);
		else
			n += (size_t)snprintf(text + n, 100, "%lld", (long long)(*p == 'J' ? job : schedule));
	}
	text[n] = '\0';
	return json_loads(text, 0, NULL);
}

/* ---- what must come of it */

static inline bool
matrix_may(size_t user, enum matrix_place place, char what)
{
	return place < MATRIX_REAL && strchr(matrix_users[user].may[place], what);
}

static inline bool
matrix_may_any(size_t user, const char *application, char what)
{
	for (unsigned i = 0; i < MATRIX_REAL; i++)
		if ((!application || strcmp(matrix_places[i].application, application) == 0) &&
		    matrix_may(user, (enum matrix_place)i, what))
			return true;
	return false;
}

static inline bool
matrix_may_each(size_t user, const char *application, char what)
{
	for (unsigned i = 0; i < MATRIX_REAL; i++)
		if ((!application || strcmp(matrix_places[i].application, application) == 0) &&
		    !matrix_may(user, (enum matrix_place)i, what))
			return false;
	return true;
}

/* The error's name, or "" for what is permitted. A job that is over is released by operators alone: OVER. */
static inline const char *
matrix_expected(const char *method, size_t user, enum matrix_place place, bool over)
{
	const struct matrix_sample *sample = matrix_of(method);
	const char *application = strstr(sample->parameters, "@A") ? matrix_places[place].application : NULL;
	const char *needs = sample->needs, *denied = "PermissionDenied";
	bool anywhere = false, sees, may = false;

	for (const char *need = needs; *need; need++)
		anywhere |= matrix_may_any(user, NULL, *need);
	if (!anywhere)
		return denied;
	if (over && strcmp(method, "Release") == 0)
		needs = "o";
	sees = place != NO_APPLICATION && (!application || matrix_may_any(user, application, 's'));
	if (application && !sees)
		return "NoSuchApplication";
	switch (sample->reach) {
	case REACH_NONE:
	case REACH_LIST:
		return "";
	case REACH_APPLICATION:
		for (const char *need = needs; *need; need++)
			may |= matrix_may_any(user, application, *need);
		break;
	case REACH_WHOLE:
		for (const char *need = needs; *need; need++)
			may |= matrix_may_each(user, application, *need);
		break;
	case REACH_STAGE:
	case REACH_JOB:
	case REACH_JOBS:
	case REACH_SCHEDULE:
		if (!matrix_may(user, place, 's'))
			return sample->reach == REACH_STAGE ? "NoSuchStage" : sample->reach == REACH_SCHEDULE ? "NoSuchSchedule" : "NoSuchJob";
		for (const char *need = needs; *need; need++)
			may |= matrix_may(user, place, *need);
		break;
	}
	return may ? "" : denied;
}

/* TEXT with every A as B: to compare an answer about what is hidden with one about what is not there. free() */
static inline char *
matrix_replace(const char *text, const char *a, const char *b)
{
	char *result = xstrdup(""), *longer;
	const char *at;

	for (; (at = strstr(text, a)); text = at + strlen(a)) {
		longer = xasprintf("%s%.*s%s", result, (int)(at - text), text, b);
		free(result);
		result = longer;
	}
	longer = xasprintf("%s%s", result, text);
	free(result);
	return longer;
}

#endif
