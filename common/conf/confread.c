/* SPDX-License-Identifier: ISC */
/*
 * Nodes → structs. The schema stands here once: from it conf.c tells libconfuse what to expect,
 * conflex.c what may stand where, and this file how a value becomes a field. Each section is judged
 * by itself; what it means together with others is confcheck.c's.
 */
#include <string.h>
#include <unistd.h>

#include "common/conf/confparse.h"
#include "common/time/every.h"
#include "common/names.h"
#include "common/signature.h"
#include "common/time/when.h"
#include "common/xalloc.h"

#define SPAN_DAY (INT64_C(86400) * WHEN_SECOND)
#define SIZE_TIB (INT64_C(1) << 40)

// clang-format off
#define FIELD(type, field) offsetof(struct type, field)
#define NO_FIELD SIZE_MAX /* read by hand */
#define ROLES(type) \
	{"operators", CONF_LIST, FIELD(type, roles.of[CONF_OPERATORS]), 0, 0, "{\"bmd-operators\"}"}, \
	{"viewers",   CONF_LIST, FIELD(type, roles.of[CONF_VIEWERS]),   0, 0, "{\"staff\"}"}, \
	{"approvers", CONF_LIST, FIELD(type, roles.of[CONF_APPROVERS]), 0, 0, "{\"release-managers\", \"user:ana\"}"}

static const struct conf_rule step_rules[] = {
	{"deploy",         CONF_NAME,      FIELD(conf_step, deploy),         0, 0, "\"site\""},
	{"to",             CONF_TEXT,      FIELD(conf_step, to),             0, 0, "'$ROOT'"},
	{"shared",         CONF_LIST,      FIELD(conf_step, shared),         0, 0, "{\"log\"}"},
	{"keep",           CONF_NUMBER,    FIELD(conf_step, keep),           1, 1000, "5"},
	{"in-place",       CONF_TRUTH,     FIELD(conf_step, in_place),       0, 0, "true"},
	{"exec",           CONF_LIST,      FIELD(conf_step, exec),           0, 0, "{\"./migrate\"}"},
	{"run",            CONF_TEXT,      FIELD(conf_step, run),            0, 0, "'…'"},
	{"timeout",        CONF_SPAN,      FIELD(conf_step, timeout_us),     1, 365 * SPAN_DAY, "\"30s\""},
	{"attempts",       CONF_NUMBER,    FIELD(conf_step, attempts),       1, 100, "5"},
	{"delay",          CONF_SPAN,      FIELD(conf_step, delay_us),       0, SPAN_DAY, "\"2s\""},
	{"directory",      CONF_TEXT,      FIELD(conf_step, directory),      0, 0, "'$ROOT/current'"},
	{"user",           CONF_USER,      FIELD(conf_step, user),           0, 0, "\"deploy\""},
	{"environment",    CONF_VARIABLES, FIELD(conf_step, environment),    0, 0, "{\"LC_ALL=C\"}"},
	{"only-on",        CONF_MODES,     FIELD(conf_step, only_on),        0, 0, "{\"deploy\"}"},
	{"skip-on",        CONF_MODES,     FIELD(conf_step, skip_on),        0, 0, "{\"rollback\"}"},
	{"irreversible",   CONF_TRUTH,     FIELD(conf_step, irreversible),   0, 0, "true"},
	{"ignore-failure", CONF_TRUTH,     FIELD(conf_step, ignore_failure), 0, 0, "true"},
	{"artifacts",      CONF_LIST,      FIELD(conf_step, artifacts),      0, 0, "{\"site\"}"},
	{"secrets",        CONF_LIST,      FIELD(conf_step, secrets),        0, 0, "{\"DB_PASSWORD\"}"},
};

static const struct conf_rule plan_rules[] = {
	{"user", CONF_USER, FIELD(conf_plan, user), 0, 0, "\"deploy\""},
};

static const struct conf_rule stage_rules[] = {
	{"plan",           CONF_NAME,      FIELD(conf_stage, plan),           0, 0, "\"web\""},
	{"user",           CONF_USER,      FIELD(conf_stage, user),           0, 0, "\"deploy\""},
	{"variables",      CONF_VARIABLES, FIELD(conf_stage, variables),      0, 0, "{\"PORT=8080\"}"},
	{"open",           CONF_LIST,      FIELD(conf_stage, open),           0, 0, "{\"PORT\"}"},
	{"on-failure",     CONF_CHOICE,    FIELD(conf_stage, on_failure),     0, 0, "\"hold\""},
	{"verify",         CONF_CHOICE,    FIELD(conf_stage, verify),         0, 0, "\"always\""},
	{"require-reason", CONF_TRUTH,     FIELD(conf_stage, require_reason), 0, 0, "true"},
	{"confirm",        CONF_TRUTH,     FIELD(conf_stage, confirm),        0, 0, "true"},
	{"keep-jobs",      CONF_NUMBER,    FIELD(conf_stage, keep_jobs),      1, 100000000, "1000"},
	{"require-signature", CONF_LIST,   FIELD(conf_stage, require_signature), 0, 0, "{\"RWQf6LRCGA9i…\"}"},
	{"zone",           CONF_TEXT,      FIELD(conf_stage, zone),           0, 0, "\"Europe/Berlin\""},
	{"windows",        CONF_LIST,      NO_FIELD,                          0, 0, "{\"Mon..Fri 22:00-05:00\"}"},
	{"freezes",        CONF_LIST,      NO_FIELD,                          0, 0, "{'2026-12-20/2027-01-02 \"year end\"'}"},
	{"memory-max",     CONF_SIZE,      FIELD(conf_stage, limits.memory_bytes), 1 << 20, 1024 * SIZE_TIB, "\"1GiB\""},
	{"tasks-max",      CONF_NUMBER,    FIELD(conf_stage, limits.tasks),   1, 1000000, "500"},
	{"cpu-weight",     CONF_NUMBER,    FIELD(conf_stage, limits.cpu_weight), 1, 10000, "50"},
	{"windows-hold",   CONF_MODES,     FIELD(conf_stage, windows_hold),   0, 0, "{\"deploy\", \"redeploy\"}"},
	{"secrets",        CONF_VARIABLES, FIELD(conf_stage, secrets),        0, 0, "{\"DB_PASSWORD=/etc/bmd/secrets/db\"}"},
	ROLES(conf_stage),
};

static const struct conf_rule schedule_rules[] = {
	{"on",         CONF_TEXT,      FIELD(conf_schedule, on),         0, 0, "\"Mon..Fri 02:00 Europe/Berlin\""},
	{"build",      CONF_TEXT,      FIELD(conf_schedule, build),      0, 0, "\"live\""},
	{"to",         CONF_NAME,      FIELD(conf_schedule, to),         0, 0, "\"production\""},
	{"reason",     CONF_TEXT,      FIELD(conf_schedule, reason),     0, 0, "\"nightly\""},
	{"grace",      CONF_SPAN,      FIELD(conf_schedule, grace_us),   WHEN_SECOND, 3650 * SPAN_DAY, "\"30min\""},
	{"if-changed", CONF_CHOICE,    FIELD(conf_schedule, if_changed), 0, 0, "\"run\""},
	{"variables",  CONF_VARIABLES, FIELD(conf_schedule, variables),  0, 0, "{\"PORT=8080\"}"},
};

static const struct conf_rule notify_rules[] = {
	{"exec",         CONF_LIST,      FIELD(conf_notify, exec),         0, 0, "{\"/usr/libexec/bmd/notify-mail\", \"ops@example.org\"}"},
	{"on",           CONF_LIST,      FIELD(conf_notify, words),        0, 0, "{\"failed\", \"lost\"}"},
	{"applications", CONF_LIST,      FIELD(conf_notify, applications), 0, 0, "{\"shop\"}"},
	{"stages",       CONF_LIST,      FIELD(conf_notify, stages),       0, 0, "{\"production\"}"},
	{"user",         CONF_USER,      FIELD(conf_notify, user),         0, 0, "\"deploy\""},
	{"environment",  CONF_VARIABLES, FIELD(conf_notify, environment),  0, 0, "{\"LC_ALL=C\"}"},
	{"timeout",      CONF_SPAN,      FIELD(conf_notify, timeout_us),   WHEN_SECOND, 3600 * WHEN_SECOND, "\"30s\""},
	{"give-up",      CONF_SPAN,      FIELD(conf_notify, give_up_us),   WHEN_SECOND, 30 * SPAN_DAY, "\"1d\""},
};

static const struct conf_rule application_rules[] = {
	{"stages",    CONF_LIST,      NO_FIELD,                           0, 0, "{\"testing\", \"production\"}"},
	{"user",      CONF_USER,      FIELD(conf_application, user),      0, 0, "\"deploy\""},
	{"variables", CONF_VARIABLES, FIELD(conf_application, variables), 0, 0, "{\"PORT=8080\"}"},
	{"keep-builds", CONF_NUMBER,  FIELD(conf_application, keep_builds), 0, 1000000, "20"},
	{"secrets",   CONF_VARIABLES, FIELD(conf_application, secrets),   0, 0, "{\"DB_PASSWORD=/etc/bmd/secrets/db\"}"},
	ROLES(conf_application),
};

static const struct conf_rule main_rules[] = {
	{"state-directory",     CONF_TEXT,      FIELD(conf, state_directory),     0, 0, "\"/var/lib/bmd\""},
	{"socket",              CONF_TEXT,      FIELD(conf, socket),              0, 0, "\"/run/bmd/control\""},
	{"launcher",            CONF_CHOICE,    FIELD(conf, launcher),            0, 0, "\"auto\""},
	{"max-running",         CONF_NUMBER,    FIELD(conf, max_running),         1, 1000, "4"},
	{"grace",               CONF_SPAN,      FIELD(conf, grace_us),            1, 3650 * SPAN_DAY, "\"30min\""},
	{"horizon",             CONF_SPAN,      FIELD(conf, horizon_us),          1, 3650 * SPAN_DAY, "\"30d\""},
	{"clock-settle",        CONF_SPAN,      FIELD(conf, clock_settle_us),     0, SPAN_DAY, "\"60s\""},
	{"max-waiting",         CONF_NUMBER,    FIELD(conf, max_waiting),         1, 100000000, "1000000"},
	{"upload-bytes",        CONF_SIZE,      FIELD(conf, upload_bytes),        1, 1024 * SIZE_TIB, "\"64GiB\""},
	{"upload-file",         CONF_SIZE,      FIELD(conf, upload_file),         1, 1024 * SIZE_TIB, "\"64GiB\""},
	{"upload-files",        CONF_NUMBER,    FIELD(conf, upload_files),        1, 100000000, "1000000"},
	{"upload-depth",        CONF_NUMBER,    FIELD(conf, upload_depth),        1, 128, "128"},
	{"upload-path",         CONF_NUMBER,    FIELD(conf, upload_path),         1, 4095, "4095"},
	{"upload-ratio",        CONF_NUMBER,    FIELD(conf, upload_ratio),        1, 1000000, "1000"},
	{"keep-audit",          CONF_SPAN,      FIELD(conf, keep_audit_us),       0, 36500 * SPAN_DAY, "\"400d\""},
	{"disk-reserve",        CONF_SIZE,      FIELD(conf, disk_reserve),        0, SIZE_TIB, "\"16MiB\""},
	{"verify-rate",         CONF_SIZE,      FIELD(conf, verify_rate),         1 << 20, 1024 * SIZE_TIB, "\"256MiB\""},
	{"verify-every",        CONF_EVERY,     FIELD(conf, verify_every),        0, 0, "\"Sun 03:00\""},
	{"keep-runs",           CONF_NUMBER,    FIELD(conf, keep_runs),           10, 10000000, "10000"},
	{"keep-jobs",           CONF_NUMBER,    FIELD(conf, keep_jobs),           0, 100000000, "10000"},
	{"default-application", CONF_TEXT,      FIELD(conf, default_application), 0, 0, "\"shop\""},
	{"user",                CONF_USER,      FIELD(conf, user),                0, 0, "\"deploy\""},
	{"run-directory",       CONF_TEXT,      FIELD(conf, run_directory),       0, 0, "\"/var/lib/bmd-run\""},
	{"variables",           CONF_VARIABLES, FIELD(conf, variables),           0, 0, "{\"TIER=web\"}"},
	{"secrets",             CONF_VARIABLES, FIELD(conf, secrets),             0, 0, "{\"DB_PASSWORD=/etc/bmd/secrets/db\"}"},
	ROLES(conf),
};

#define RULES(table) .rules = table, .nrules = ARRAY_SIZE(table)
#define CHILDREN(...) .children = (const struct conf_schema *const[]){__VA_ARGS__}, \
		      .nchildren = sizeof((const struct conf_schema *const[]){__VA_ARGS__}) / sizeof(void *)

static const struct conf_schema step_schema = {
	.kind = "step", RULES(step_rules), .home = "a step", .above = "a plan"};
static const struct conf_schema plan_schema = {
	.kind = "plan", RULES(plan_rules), CHILDREN(&step_schema), .home = "a plan", .above = "a file of plans.d"};
static const struct conf_schema stage_schema = {
	.kind = "stage", RULES(stage_rules), .home = "a stage", .above = "an application"};
static const struct conf_schema schedule_schema = {
	.kind = "schedule", RULES(schedule_rules), .home = "a schedule", .above = "an application"};
static const struct conf_schema notify_schema = {
	.kind = "notify", RULES(notify_rules), .home = "a notify section", .above = "bmd.conf or an application"};
static const struct conf_schema application_schema = {
	.kind = "application", RULES(application_rules), CHILDREN(&stage_schema, &schedule_schema, &notify_schema),
	.home = "an application", .above = "a file of applications.d"};

static const struct conf_schema places[] = {
	[CONF_MAIN] = {RULES(main_rules), CHILDREN(&application_schema, &plan_schema, &notify_schema), .home = "bmd.conf"},
	[CONF_APPLICATIONS] = {CHILDREN(&application_schema, &plan_schema), .home = "a file of applications.d"},
	[CONF_PLANS] = {CHILDREN(&plan_schema), .home = "a file of plans.d"},
};

static const struct {
	const char *key;
	const char *const *words;
	size_t n;
} choices[] = {
	{"launcher",   (const char *const[]){"auto", "systemd", "fork"},       3}, /* enum conf_launcher */
	{"on-failure", (const char *const[]){"hold", "continue", "redeploy"},  3}, /* enum conf_on_failure */
	{"verify",     (const char *const[]){"changed", "always"},             2}, /* enum conf_verify */
	{"if-changed", (const char *const[]){"run", "hold", "skip"},           3}, /* enum conf_if_changed */
};
static const char *const modes[] = {"deploy", "redeploy", "rollback"}; /* 1 << i: enum conf_mode */

/* clang-format on */

const struct conf_schema *
conf_schema(enum conf_place place)
{
	return &places[place];
}

const struct conf_rule *
conf_rule(const struct conf_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->nrules; i++)
		if (strcmp(schema->rules[i].name, name) == 0)
			return &schema->rules[i];
	return NULL;
}

/* ---- values */

static void
read_number(struct conf_reader *reader, const struct conf_key *key, int *field)
{
	const char *text = key->values[0].text;
	char *end = NULL;
	long value = 0;

	if (strspn(text, "0123456789") == strlen(text) && *text)
		value = strlen(text) < 10 ? strtol(text, &end, 10) : INT32_MAX;
	else
		value = -1;
	if (value < key->rule->low || value > key->rule->high)
		CONF_BAD(reader, key->line,
			 "%s = \"%.40s\": write a whole number from %lld to %lld", key->rule->name,
			 text, (long long)key->rule->low, (long long)key->rule->high);
	else
		*field = (int)value;
}

static void
read_truth(struct conf_reader *reader, const struct conf_key *key, bool *field)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	const char *text = key->values[0].text;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*field = i % 2 == 1;
			return;
		}
	CONF_BAD(reader, key->line, "%s = \"%.40s\": write true or false", key->rule->name, text);
}

static void
read_span(struct conf_reader *reader, const struct conf_key *key, int64_t *field)
{
	_cleanup_err_ struct err err = ERR_INIT;
	const char *text = key->values[0].text;
	int64_t value;

	if (*text && strspn(text, "0123456789. ") == strlen(text))
		CONF_BAD(reader, key->line, "%s = \"%.40s\": a span needs a unit, such as %s",
			 key->rule->name, text, key->rule->example);
	else if (when_parse_span(text, &value, &err) < 0)
		CONF_BAD(reader, key->line, "%s: %s", key->rule->name, err.text);
	else if (value < key->rule->low)
		CONF_BAD(reader, key->line,
			 "%s = \"%.40s\": write a span longer than nothing, such as %s",
			 key->rule->name, text, key->rule->example);
	else if (value > key->rule->high)
		CONF_BAD(reader, key->line, "%s = \"%.40s\": write a span of at most %lldd",
			 key->rule->name, text, (long long)(key->rule->high / SPAN_DAY));
	else
		*field = value;
}

/* Powers of 1024 with an i, of 1000 without: as they are written, so they are meant. */
static void
read_size(struct conf_reader *reader, const struct conf_key *key, int64_t *field)
{
	static const struct {
		const char *name;
		int64_t bytes;
	} units[] = {{"B", 1},		 {"kB", 1000},		{"MB", 1000000},
		     {"GB", 1000000000}, {"TB", 1000000000000}, {"KiB", 1 << 10},
		     {"MiB", 1 << 20},	 {"GiB", 1 << 30},	{"TiB", SIZE_TIB}};
	const char *text = key->values[0].text;
	size_t digits = strspn(text, "0123456789"), i = 0;
	const char *unit = text + digits + strspn(text + digits, " ");
	int64_t value = digits > 0 && digits < 16 ? strtoll(text, NULL, 10) : -1;

	if (digits > 0 && !*unit) {
		CONF_BAD(reader, key->line, "%s = \"%.40s\": a size needs a unit, such as %s",
			 key->rule->name, text, key->rule->example);
		return;
	}
	while (i < ARRAY_SIZE(units) && strcmp(units[i].name, unit) != 0)
		i++;
	if (digits == 0 || i == ARRAY_SIZE(units))
		CONF_BAD(reader, key->line,
			 "%s = \"%.40s\" is no size: write a whole number with B, KiB, MiB, GiB or "
			 "TiB, such as %s",
			 key->rule->name, text, key->rule->example);
	else if (value < 0 || value > key->rule->high / units[i].bytes ||
		 value * units[i].bytes < key->rule->low)
		CONF_BAD(reader, key->line, "%s = \"%.40s\": write a size from %s to %lldTiB",
			 key->rule->name, text, key->rule->low == 1 ? "1B" : "1MiB",
			 (long long)(key->rule->high / SIZE_TIB));
	else
		*field = value * units[i].bytes;
}

static void
read_choice(struct conf_reader *reader, const struct conf_key *key, int *field)
{
	const char *text = key->values[0].text;
	size_t i = 0;

	while (strcmp(choices[i].key, key->rule->name) != 0)
		i++;
	for (size_t j = 0; j < choices[i].n; j++)
		if (strcmp(text, choices[i].words[j]) == 0) {
			*field = (int)j;
			return;
		}
	if (choices[i].n == 2)
		CONF_BAD(reader, key->line, "%s = \"%.40s\": write \"%s\" or \"%s\"",
			 key->rule->name, text, choices[i].words[0], choices[i].words[1]);
	else
		CONF_BAD(reader, key->line, "%s = \"%.40s\": write \"%s\", \"%s\" or \"%s\"",
			 key->rule->name, text, choices[i].words[0], choices[i].words[1],
			 choices[i].words[2]);
}

static void
read_modes(struct conf_reader *reader, const struct conf_key *key, unsigned *field)
{
	unsigned set = 0;

	if (key->nvalues == 0)
		CONF_BAD(reader, key->line, "%s is empty: write %s, or take it away",
			 key->rule->name, key->rule->example);
	for (size_t i = 0; i < key->nvalues; i++) {
		size_t mode = 0;

		while (mode < ARRAY_SIZE(modes) && strcmp(key->values[i].text, modes[mode]) != 0)
			mode++;
		if (mode == ARRAY_SIZE(modes))
			CONF_BAD(reader, key->values[i].line,
				 "%s: \"%.40s\" is no mode: write \"deploy\", \"redeploy\" or "
				 "\"rollback\"",
				 key->rule->name, key->values[i].text);
		else
			set |= 1u << mode;
	}
	*field = set;
}

static void
read_user(struct conf_reader *reader, const struct conf_key *key, char **field)
{
	const struct conf_parse *parse = reader->parse;
	const char *name = key->values[0].text;
	uid_t uid = (uid_t)-1;
	int known;

	if (!*name) /* as if it were not there */
		return;
	free(*field);
	*field = xstrdup(name);
	if (strspn(name, "+-0123456789") == strlen(name))
		CONF_BAD(reader, key->line,
			 "user \"%.40s\" is a number: write the name of the user", name);
	else if ((known = parse->world->user(name, &uid)) < 0)
		(void)conf_unread(reader->parse, reader->source, "no user can be looked up",
				  -known);
	else if (!known)
		CONF_BAD(
		    reader, key->line,
		    "user \"%.40s\" does not exist on this machine: create it, or write another",
		    name);
	else if (uid == (uid_t)-1)
		CONF_BAD(reader, key->line,
			 "user \"%.40s\" has the id -1, which means nobody: write another", name);
	else if (!parse->root && uid != parse->world->uid)
		CONF_BAD(
		    reader, key->line,
		    "user \"%.40s\" cannot be named: bmd-run does not run as root and cannot "
		    "become another "
		    "user: take the line away, or run bmd as root or with launcher = \"systemd\"",
		    name);
}

static void
read_list(const struct conf_key *key, struct conf_strings *field)
{
	field->v = xcalloc(key->nvalues + 1, sizeof(*field->v));
	for (field->n = 0; field->n < key->nvalues; field->n++)
		field->v[field->n] = xstrdup(key->values[field->n].text);
}

/* NAME of NAME=VALUE may be set by the configuration; in a step's environment also what only it may
 * set. */
static bool
check_variable(struct conf_reader *reader, const struct conf_key *key, int line, const char *name)
{
	static const char *const fixed[] = {"USER", "LOGNAME"};
	bool step = strcmp(key->rule->name, "environment") == 0;

	if (strncmp(name, "BM_", 3) == 0) {
		CONF_BAD(
		    reader, line,
		    "%s: names that begin with BM_ are bmd's own: write another name than %.60s",
		    key->rule->name, name);
		return false;
	}
	if (!names_variable(name)) {
		CONF_BAD(
		    reader, line,
		    "%s: \"%.60s\" is no name of a variable: write letters, digits and _, such as "
		    "ROOT",
		    key->rule->name, name);
		return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (strcmp(name, fixed[i]) == 0) {
			CONF_BAD(
			    reader, line,
			    "%s: %s is made by bmd for the user of each step: write another name",
			    key->rule->name, name);
			return false;
		}
	if (!step && names_variable_reserved(name)) {
		CONF_BAD(
		    reader, line,
		    "%s: %s is reserved: write it in the environment of the step that needs it",
		    key->rule->name, name);
		return false;
	}
	return true;
}

static void
read_variables(struct conf_reader *reader, const struct conf_key *key, struct conf_variables *field)
{
	field->v = xcalloc(key->nvalues + 1, sizeof(*field->v));
	if (key->nvalues > NAMES_VARIABLES_MAX) {
		CONF_BAD(reader, key->line, "%s has %zu values: write at most %d", key->rule->name,
			 key->nvalues, NAMES_VARIABLES_MAX);
		return;
	}
	for (size_t i = 0; i < key->nvalues; i++) {
		const struct conf_value *value = &key->values[i];
		const char *equal = strchr(value->text, '=');
		_cleanup_free_ char *name = NULL;
		bool twice = false;

		if (!equal) {
			CONF_BAD(reader, value->line,
				 "%s: \"%.60s\" has no =: write NAME=VALUE, such as \"ROOT=/srv\"",
				 key->rule->name, value->text);
			continue;
		}
		name = xstrndup(value->text, (size_t)(equal - value->text));
		if (!check_variable(reader, key, value->line, name))
			continue;
		if (strlen(equal + 1) > NAMES_VALUE_MAX) {
			CONF_BAD(reader, value->line,
				 "%s: the value of %s has more than %d bytes: write a shorter one",
				 key->rule->name, name, NAMES_VALUE_MAX);
			continue;
		}
		for (size_t j = 0; j < field->n && !twice; j++)
			twice = strcmp(field->v[j].name, name) == 0;
		if (twice) {
			CONF_BAD(reader, value->line, "%s: %s is set twice: keep one of the two",
				 key->rule->name, name);
			continue;
		}
		field->v[field->n].name = TAKE(name);
		field->v[field->n++].value = xstrdup(equal + 1);
	}
}

static void
read_text(const struct conf_key *key, char **field)
{
	free(*field);
	*field = xstrdup(key->values[0].text);
}

static void
read_every(struct conf_reader *reader, const struct conf_key *key, char **field)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct every every;

	read_text(key, field);
	if (**field != '\0' && every_parse(*field, &every, &err) < 0)
		CONF_BAD(reader, key->line, "%s = %s", key->rule->name, err.text);
}

static void
read_name(struct conf_reader *reader, const struct conf_key *key, char **field)
{
	read_text(key, field);
	if (!names_stage(*field))
		CONF_BAD(reader, key->line,
			 "%s = \"%.70s\" is no name: write a-z, 0-9 and . _ -, such as %s",
			 key->rule->name, *field, key->rule->example);
}

/* All keys of NODE into BASE, the struct that its rules speak of. */
void
conf_read_keys(struct conf_reader *reader, const struct conf_node *node, void *base)
{
	for (size_t i = 0; i < node->nkeys; i++) {
		const struct conf_key *key = &node->keys[i];
		void *field = (char *)base + key->rule->offset;

		if (key->rule->offset == NO_FIELD || key->spoiled)
			continue;
		switch (key->rule->type) {
		case CONF_TEXT:
			read_text(key, field);
			break;
		case CONF_NAME:
			read_name(reader, key, field);
			break;
		case CONF_USER:
			read_user(reader, key, field);
			break;
		case CONF_NUMBER:
			read_number(reader, key, field);
			break;
		case CONF_TRUTH:
			read_truth(reader, key, field);
			break;
		case CONF_SPAN:
			read_span(reader, key, field);
			break;
		case CONF_SIZE:
			read_size(reader, key, field);
			break;
		case CONF_EVERY:
			read_every(reader, key, field);
			break;
		case CONF_CHOICE:
			read_choice(reader, key, field);
			break;
		case CONF_LIST:
			read_list(key, field);
			break;
		case CONF_VARIABLES:
			read_variables(reader, key, field);
			break;
		case CONF_MODES:
			read_modes(reader, key, field);
			break;
		}
	}
}

void
conf_check_title(struct conf_reader *reader, const struct conf_node *node)
{
	if (!names_stage(node->title))
		CONF_BAD(
		    reader, node->line,
		    "%s \"%.70s\" is no name: write a-z, 0-9 and . _ -, beginning with a letter or "
		    "digit, "
		    "at most 63",
		    node->schema->kind, node->title);
}

static void
read_plan(struct conf_reader *reader, struct conf_node *node, struct conf_plan *plan)
{
	plan->name = xstrdup(node->title);
	plan->file = xstrdup(reader->source->path);
	plan->line = node->line;
	plan->steps = xcalloc(node->nchildren + 1, sizeof(*plan->steps));
	plan->nsteps = node->nchildren;
	conf_check_title(reader, node);
	conf_read_keys(reader, node, plan);
	for (size_t i = 0; i < node->nchildren; i++)
		conf_read_step(reader, node->children[i], &plan->steps[i]);
	if (plan->nsteps == 0)
		CONF_BAD(reader, node->line, "plan \"%s\" has no step: write step \"NAME\" { … }",
			 node->title);
}

/* ---- an application */

/* An empty list would let every build pass, where a reader of the file believes that none does. */
static void
read_signers(struct conf_reader *reader, const struct conf_node *node,
	     const struct conf_stage *stage)
{
	const struct conf_key *key = conf_node_key(node, "require-signature");
	struct signature_key parsed;

	if (!key)
		return;
	if (stage->require_signature.n == 0)
		CONF_BAD(
		    reader, key->line,
		    "require-signature is empty: write the public keys of those who sign, or take "
		    "it away");
	for (size_t i = 0; i < stage->require_signature.n; i++)
		if (signature_parse_key(stage->require_signature.v[i], &parsed) < 0)
			CONF_BAD(
			    reader, key->values[i].line,
			    "require-signature: \"%.60s\" is no public key of minisign: write the "
			    "second line of its .pub file",
			    stage->require_signature.v[i]);
}

static void
read_stage(struct conf_reader *reader, const struct conf_node *node, struct conf_stage *stage)
{
	const struct conf_key *open = conf_node_key(node, "open");

	conf_check_title(reader, node);
	conf_read_keys(reader, node, stage);
	if (!conf_node_key(node, "plan"))
		CONF_BAD(reader, node->line, "stage \"%s\" has no plan: write plan = \"web\"",
			 node->title);
	if (!stage->plan)
		stage->plan = xstrdup("");
	for (size_t i = 0; i < stage->open.n; i++)
		if (!names_variable(stage->open.v[i]) || names_variable_reserved(stage->open.v[i]))
			CONF_BAD(
			    reader, open->values[i].line,
			    "open: \"%.60s\" can be set by no job or build: take it away, or write "
			    "the name of a "
			    "variable",
			    stage->open.v[i]);
	read_signers(reader, node, stage);
	conf_check_roles(reader->parse, reader->source, node, &stage->roles);
	conf_check_secrets(reader->parse, reader->source, node, &stage->secrets);
	conf_read_windows(reader->parse, reader->source, node, stage);
}

static const char *
value_text(const void *values, size_t i)
{
	return ((const struct conf_value *)values)[i].text;
}

/* The listed stage that the section NODE seems to mean by another name, or NULL. It is not one that
 * is listed. */
static const char *
meant(const struct conf_node *node, const struct conf_key *stages)
{
	return stages ? conf_nearest(node->title, value_text, stages->values, stages->nvalues)
		      : NULL;
}

/* Will a section of another name be reported that seems to mean NAME? */
static bool
misspelt(const struct conf_node *node, const struct conf_key *stages, const char *name)
{
	for (size_t i = 0; i < node->nchildren; i++) {
		const char *near;

		if (node->children[i]->schema != &stage_schema)
			continue;
		near = meant(node->children[i], stages);
		if (near && strcmp(near, name) == 0)
			return true;
	}
	return false;
}

/* Sections for stages that `stages` does not list. */
static void
check_unlisted(struct conf_reader *reader, const struct conf_node *node,
	       const struct conf_key *stages)
{
	for (size_t i = 0; i < node->nchildren; i++) {
		const struct conf_node *child = node->children[i];
		const char *near;
		bool listed = child->schema != &stage_schema;

		for (size_t j = 0; stages && j < stages->nvalues && !listed; j++)
			listed = strcmp(stages->values[j].text, child->title) == 0;
		if (listed)
			continue;
		near = meant(child, stages);
		if (near)
			CONF_BAD(reader, child->line,
				 "stage \"%s\" is not in stages: write stage \"%s\", or add it to "
				 "stages",
				 child->title, near);
		else
			CONF_BAD(reader, child->line,
				 "stage \"%s\" is not in stages: add it to stages", child->title);
	}
}

static void
read_stages(struct conf_reader *reader, const struct conf_node *node,
	    struct conf_application *application)
{
	const struct conf_key *key = conf_node_key(node, "stages");
	struct conf_node *child;

	application->stages = xcalloc(key ? key->nvalues + 1 : 1, sizeof(*application->stages));
	if (key && key->spoiled)
		return;
	if (!key || key->nvalues == 0)
		CONF_BAD(reader, key ? key->line : node->line,
			 "application \"%s\" has no stages: write stages = {\"testing\", "
			 "\"production\"}",
			 node->title);
	for (size_t i = 0; key && i < key->nvalues; i++) {
		struct conf_stage *stage = &application->stages[application->nstages];
		const char *name = key->values[i].text;

		if (!names_stage(name)) {
			CONF_BAD(reader, key->values[i].line,
				 "stages: \"%.70s\" is no name: write a-z, 0-9 and . _ -, such as "
				 "\"production\"",
				 name);
			continue;
		}
		if (conf_stage(application, name)) {
			CONF_BAD(reader, key->values[i].line,
				 "stages: \"%s\" stands twice: keep one", name);
			continue;
		}
		stage->name = xstrdup(name);
		application->nstages++;
		child = conf_node_child(node, "stage", name);
		if (child)
			read_stage(reader, child, stage);
		else if (!misspelt(node, key, name))
			CONF_BAD(reader, key->values[i].line,
				 "stage \"%s\" has no section: write stage \"%s\" { plan = … }",
				 name, name);
	}
	check_unlisted(reader, node, key);
}

static void
read_schedules(struct conf_reader *reader, const struct conf_node *node,
	       struct conf_application *application)
{
	application->schedules = xcalloc(node->nchildren + 1, sizeof(*application->schedules));
	for (size_t i = 0; i < node->nchildren; i++) {
		const struct conf_node *child = node->children[i];
		struct conf_schedule *schedule;

		if (child->schema != &schedule_schema)
			continue;
		schedule = &application->schedules[application->nschedules++];
		schedule->name = xstrdup(child->title);
		schedule->line = child->line;
		conf_check_title(reader, child);
		conf_read_keys(reader, child, schedule);
		conf_check_schedule(reader->parse, reader->source, child, application, schedule);
	}
}

/* Each notify section of NODE, which is APPLICATION's or, NULL, all of bmd.conf. */
static void
read_notifies(struct conf_reader *reader, const struct conf_node *node,
	      const struct conf_application *application, struct conf_notify **ret, size_t *ret_n)
{
	struct conf_notify *notifies = xcalloc(node->nchildren + 1, sizeof(*notifies));
	size_t n = 0;

	for (size_t i = 0; i < node->nchildren; i++) {
		const struct conf_node *child = node->children[i];
		struct conf_notify *notify = &notifies[n];

		if (child->schema != &notify_schema)
			continue;
		n++;
		notify->name = xstrdup(child->title);
		notify->line = child->line;
		notify->timeout_us = 30 * WHEN_SECOND;
		notify->give_up_us = SPAN_DAY;
		conf_check_title(reader, child);
		conf_read_keys(reader, child, notify);
		conf_check_notify(reader->parse, reader->source, child, application, notify);
	}
	*ret = notifies;
	*ret_n = n;
}

static void
read_application(struct conf_reader *reader, struct conf_node *node,
		 struct conf_application *application)
{
	application->name = xstrdup(node->title);
	application->file = xstrdup(reader->source->path);
	conf_check_title(reader, node);
	conf_read_keys(reader, node, application);
	conf_check_roles(reader->parse, reader->source, node, &application->roles);
	conf_check_secrets(reader->parse, reader->source, node, &application->secrets);
	read_stages(reader, node, application);
	read_schedules(reader, node, application);
	read_notifies(reader, node, application, &application->notifies, &application->nnotifies);
}

/* Asked before anything is read, because what a `user` may be depends on it. */
static bool
runs_as_root(const struct conf_parse *parse, const struct conf_node *root)
{
	const struct conf_key *key = conf_node_key(root, "launcher");
	const char *launcher = key && !key->spoiled ? key->values[0].text : "auto";

	if (strcmp(launcher, "systemd") == 0)
		return true;
	if (strcmp(launcher, "fork") != 0 && access(parse->world->run_socket, F_OK) == 0)
		return true;
	return (parse->flags & CONF_RUN_AS_ROOT) != 0;
}

/* Room for one more of N, or a report. */
static bool
fits(struct conf_reader *reader, const struct conf_node *node, size_t n)
{
	if (n == CONF_TOTAL_MAX)
		CONF_BAD(reader, node->line, "more than %d sections %s in all files",
			 CONF_TOTAL_MAX, node->schema->kind);
	return n < CONF_TOTAL_MAX;
}

/* The value's array and that of the origins grow in step. */
static void
add_application(struct conf_reader *reader, struct conf_node *node,
		const struct conf_origin *origin)
{
	struct conf_parse *parse = reader->parse;
	struct conf *conf = parse->conf;
	size_t n = conf->napplications, cap = parse->applications_cap;

	if (!fits(reader, node, n))
		return;
	XGROW(conf->applications, n, cap);
	XGROW(parse->applications, n, parse->applications_cap);
	conf->applications[n] = (struct conf_application){0};
	parse->applications[n] = *origin;
	read_application(reader, node, &conf->applications[n]);
	conf->napplications++;
}

static void
add_plan(struct conf_reader *reader, struct conf_node *node, const struct conf_origin *origin)
{
	struct conf_parse *parse = reader->parse;
	struct conf *conf = parse->conf;
	size_t n = conf->nplans, cap = parse->plans_cap;

	if (!fits(reader, node, n))
		return;
	XGROW(conf->plans, n, cap);
	XGROW(parse->plans, n, parse->plans_cap);
	conf->plans[n] = (struct conf_plan){0};
	parse->plans[n] = *origin;
	read_plan(reader, node, &conf->plans[n]);
	conf->nplans++;
}

void
conf_read(struct conf_parse *parse, struct conf_source *source)
{
	struct conf_reader reader = {parse, source};
	struct conf *conf = parse->conf;

	if (source->place == CONF_MAIN) {
		parse->root = runs_as_root(parse, source->root);
		conf_read_keys(&reader, source->root, conf);
		conf_check_roles(parse, source, source->root, &conf->roles);
		conf_check_secrets(parse, source, source->root, &conf->secrets);
		read_notifies(&reader, source->root, NULL, &conf->notifies, &conf->nnotifies);
	}
	for (size_t i = 0; i < source->root->nchildren; i++) {
		struct conf_node *node = source->root->children[i];
		struct conf_origin origin = {.source = source, .node = node};

		if (node->schema == &application_schema)
			add_application(&reader, node, &origin);
		else if (node->schema == &plan_schema)
			add_plan(&reader, node, &origin);
	}
}
