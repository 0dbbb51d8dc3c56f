/* SPDX-License-Identifier: ISC */
/*
 * Pairs: NAME.in is a configuration, NAME.ok what it means, NAME.err every mistake in it. A line
 * "=== FILE" begins another file than bmd.conf, "=== root" and "=== tolerant" set the flags. Each
 * is written to a private folder and read as any other; the machine's users are made up. The
 * shipped example is one more pair. With CONF_PAIRS_UPDATE set the expectations are written anew.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf/confparse.h"
#include "common/scope.h"
#include "tests/unit/unit.h"

static int
made_up_user(const char *name, uid_t *ret_uid)
{
	static const char *const others[] = {"root", "deploy", "www", "ghost"};
	static const uid_t uids[] = {0, 60001, 60002, (uid_t)-1};

	if (strcmp(name, "me") == 0) {
		*ret_uid = geteuid();
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(name, others[i]) == 0) {
			*ret_uid = uids[i];
			return true;
		}
	return false;
}

/* ---- what a value says */

static void
print_text(FILE *out, const char *key, const char *text)
{
	if (text && *text)
		fprintf(out, " %s=%s", key, text);
}

static void
print_strings(FILE *out, const char *key, const struct conf_strings *strings)
{
	if (strings->n > 0)
		fprintf(out, " %s=", key);
	for (size_t i = 0; i < strings->n; i++)
		fprintf(out, "[%s]", strings->v[i]);
}

static void
print_variables(FILE *out, const struct conf_variables *variables)
{
	for (size_t i = 0; i < variables->n; i++)
		fprintf(out, " [%s=%s]", variables->v[i].name, variables->v[i].value);
}

static void
print_step(FILE *out, const struct conf_step *step)
{
	static const char *const actions[] = {"deploy", "exec", "run"};

	fprintf(out, "  step %s: %s", step->name, actions[step->action]);
	print_text(out, "deploy", step->deploy);
	print_text(out, "to", step->to);
	print_strings(out, "shared", &step->shared);
	print_strings(out, "exec", &step->exec);
	print_text(out, "run", step->run);
	fprintf(out, "\n    keep=%d in-place=%d timeout=%lld attempts=%d delay=%lld directory=%s",
		step->keep, step->in_place, (long long)step->timeout_us, step->attempts,
		(long long)step->delay_us, step->directory);
	print_text(out, "user", step->user);
	fprintf(out, " only-on=%u skip-on=%u irreversible=%d ignore-failure=%d", step->only_on,
		step->skip_on, step->irreversible, step->ignore_failure);
	print_strings(out, "artifacts", &step->artifacts);
	print_strings(out, "secrets", &step->secrets);
	print_variables(out, &step->environment);
	fputc('\n', out);
}

static void
print_windows(FILE *out, const struct conf_stage *stage)
{
	const struct windows *windows = stage->windows;

	if (!windows)
		return;
	fprintf(out, " zone=%s hold=%u", windows->zone, stage->windows_hold);
	for (size_t i = 0; i < windows->nwindows; i++)
		fprintf(out, " window=%02x:%d-%d", windows->windows[i].weekdays,
			windows->windows[i].from_s, windows->windows[i].until_s);
	for (size_t i = 0; i < windows->nfreezes; i++)
		fprintf(out, " freeze=[%s]%lld-%lld", windows->freezes[i].name,
			(long long)windows->freezes[i].from_s,
			(long long)windows->freezes[i].until_s);
}

/* NARROW: an empty list is not one that is not given. */
static void
print_roles(FILE *out, const struct conf_roles *roles, bool narrow)
{
	static const char *const names[] = {"viewers", "operators", "approvers"};
	static const enum conf_role order[] = {CONF_OPERATORS, CONF_VIEWERS, CONF_APPROVERS};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		const struct conf_strings *list = &roles->of[order[i]];

		if (narrow && list->v && list->n == 0)
			fprintf(out, " %s=[]", names[order[i]]);
		print_strings(out, names[order[i]], list);
	}
}

static void
print_secrets(FILE *out, const struct conf_variables *secrets)
{
	if (secrets->n > 0)
		fputs(" secrets:", out);
	print_variables(out, secrets);
}

static void
print_notify(FILE *out, const struct conf_notify *notify)
{
	fprintf(out, "  notify %s: on=%02x timeout=%lld give-up=%lld line=%d", notify->name,
		notify->on, (long long)notify->timeout_us, (long long)notify->give_up_us,
		notify->line);
	print_strings(out, "exec", &notify->exec);
	print_strings(out, "applications", &notify->applications);
	print_strings(out, "stages", &notify->stages);
	print_text(out, "user", notify->user);
	print_variables(out, &notify->environment);
	fputc('\n', out);
}

static void
print_application(FILE *out, const struct conf_application *application)
{
	static const char *const on_failure[] = {"hold", "continue", "redeploy"};

	fprintf(out, "application %s:", application->name);
	print_text(out, "user", application->user);
	print_roles(out, &application->roles, true);
	print_secrets(out, &application->secrets);
	print_variables(out, &application->variables);
	if (application->keep_builds)
		fprintf(out, " keep-builds=%d", application->keep_builds);
	fputc('\n', out);
	for (size_t i = 0; i < application->nstages; i++) {
		const struct conf_stage *stage = &application->stages[i];

		fprintf(out, "  stage %s: plan=%s on-failure=%s require-reason=%d confirm=%d",
			stage->name, stage->plan, on_failure[stage->on_failure],
			stage->require_reason, stage->confirm);
		if (stage->verify == CONF_VERIFY_ALWAYS)
			fprintf(out, " verify=always");
		if (stage->keep_jobs)
			fprintf(out, " keep-jobs=%d", stage->keep_jobs);
		if (stage->limits.memory_bytes || stage->limits.tasks || stage->limits.cpu_weight)
			fprintf(out, " memory-max=%lld tasks-max=%d cpu-weight=%d",
				(long long)stage->limits.memory_bytes, stage->limits.tasks,
				stage->limits.cpu_weight);
		print_text(out, "user", stage->user);
		print_strings(out, "open", &stage->open);
		print_strings(out, "require-signature", &stage->require_signature);
		print_roles(out, &stage->roles, true);
		print_secrets(out, &stage->secrets);
		print_variables(out, &stage->variables);
		print_windows(out, stage);
		fputc('\n', out);
	}
	for (size_t i = 0; i < application->nschedules; i++) {
		static const char *const if_changed[] = {"run", "hold", "skip"};
		const struct conf_schedule *schedule = &application->schedules[i];

		fprintf(out,
			"  schedule %s: on=[%s] build=%s to=%s if-changed=%s grace=%lld line=%d",
			schedule->name, schedule->on, schedule->build, schedule->to,
			if_changed[schedule->if_changed], (long long)schedule->grace_us,
			schedule->line);
		print_text(out, "reason", schedule->reason);
		print_variables(out, &schedule->variables);
		fputc('\n', out);
	}
	for (size_t i = 0; i < application->nnotifies; i++)
		print_notify(out, &application->notifies[i]);
}

static void
print_number(FILE *out, const char *key, int64_t number, int64_t usual)
{
	if (number != usual)
		fprintf(out, " %s=%lld", key, (long long)number);
}

static void
print_conf(FILE *out, const struct conf *conf)
{
	static const char *const launchers[] = {"auto", "systemd", "fork"};

	fprintf(
	    out,
	    "bmd: state=%s socket=%s runs=%s launcher=%s max-running=%d grace=%lld horizon=%lld",
	    conf->state_directory, conf->socket, conf->run_directory, launchers[conf->launcher],
	    conf->max_running, (long long)conf->grace_us, (long long)conf->horizon_us);
	print_number(out, "clock-settle", conf->clock_settle_us, 60000000);
	print_number(out, "max-waiting", conf->max_waiting, 1000000);
	print_number(out, "upload-bytes", conf->upload_bytes, INT64_C(64) << 30);
	print_number(out, "upload-file", conf->upload_file, INT64_C(64) << 30);
	print_number(out, "upload-files", conf->upload_files, 1000000);
	print_number(out, "upload-depth", conf->upload_depth, 128);
	print_number(out, "upload-path", conf->upload_path, 4095);
	print_number(out, "upload-ratio", conf->upload_ratio, 1000);
	print_number(out, "keep-audit", conf->keep_audit_us, 0);
	print_number(out, "disk-reserve", conf->disk_reserve, INT64_C(16) << 20);
	print_number(out, "keep-runs", conf->keep_runs, 10000);
	print_number(out, "keep-jobs", conf->keep_jobs, 10000);
	print_number(out, "verify-rate", conf->verify_rate, INT64_C(256) << 20);
	if (*conf->verify_every)
		print_text(out, "verify-every", conf->verify_every);
	print_text(out, "default-application", conf->default_application);
	print_text(out, "user", conf->user);
	print_roles(out, &conf->roles, false);
	print_secrets(out, &conf->secrets);
	print_variables(out, &conf->variables);
	fputc('\n', out);
	for (size_t i = 0; i < conf->nnotifies; i++)
		print_notify(out, &conf->notifies[i]);
	for (size_t i = 0; i < conf->napplications; i++)
		print_application(out, &conf->applications[i]);
	for (size_t i = 0; i < conf->nplans; i++) {
		fprintf(out, "plan %s:", conf->plans[i].name);
		print_text(out, "user", conf->plans[i].user);
		fputc('\n', out);
		for (size_t j = 0; j < conf->plans[i].nsteps; j++)
			print_step(out, &conf->plans[i].steps[j]);
	}
}

/* ---- one pair */

static char *
slurp(const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t n = 0;

	if (!in || getdelim(&text, &n, '\0', in) < 0) {
		free(text);
		return strdup("");
	}
	return text;
}

/* Writes the files of the bundle TEXT into the folder at hand. Returns the flags that it asks for.
 */
static unsigned
unpack(const char *text)
{
	FILE *out = fopen("bmd.conf", "we");
	unsigned flags = 0;

	ck_assert_ptr_nonnull(out);
	ck_assert(mkdir("applications.d", 0755) == 0 && mkdir("plans.d", 0755) == 0);
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n") + 1;

		if (!line[n - 1])
			n--;
		if (strncmp(line, "=== root\n", n) == 0) {
			flags |= CONF_RUN_AS_ROOT;
		} else if (strncmp(line, "=== tolerant\n", n) == 0) {
			flags |= CONF_TOLERANT;
		} else if (strncmp(line, "=== ", 4) == 0) {
			_cleanup_free_ char *path = strndup(line + 4, n - 5);
			fclose(out);
			ck_assert_msg((out = fopen(path, "we")) != NULL, "%s", path);
		} else {
			fwrite(line, 1, n, out);
		}
		line += n;
	}
	fclose(out);
	return flags;
}

static char *
outcome(unsigned flags, bool *ret_ok)
{
	const struct conf_world world = {
	    .uid = geteuid(), .user = made_up_user, .run_socket = "/nonexistent/run.socket"};
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	int r = conf_load_in(&world, "bmd.conf", flags, &conf, &problems);

	ck_assert_ptr_nonnull(out);
	ck_assert((r == 0) == (conf != NULL));
	ck_assert(r == 0 || problems.n > 0);
	for (size_t i = 0; i < problems.n; i++)
		fprintf(out, "%s\n", problems.v[i]);
	if (conf)
		print_conf(out, conf);
	fclose(out);
	*ret_ok = r == 0;
	conf_free(conf);
	conf_problems_clear(&problems);
	return text;
}

static void
enter(char *folder)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
leave(const char *folder)
{
	static const char *const below[] = {"applications.d", "plans.d", "."};

	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		DIR *open = opendir(below[i]);
		struct dirent *entry;

		while (open && (entry = readdir(open))) {
			_cleanup_free_ char *path = NULL;
			ck_assert(asprintf(&path, "%s/%s", below[i], entry->d_name) > 0);
			remove(path);
		}
		closedir(open);
	}
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static bool
compare(const char *name, const char *is, bool ok)
{
	_cleanup_free_ char *path = NULL, *other = NULL, *expected = NULL;

	ck_assert(asprintf(&path, TOP_SRCDIR "/tests/conf/%s.%s", name, ok ? "ok" : "err") > 0);
	ck_assert(asprintf(&other, TOP_SRCDIR "/tests/conf/%s.%s", name, ok ? "err" : "ok") > 0);
	if (getenv("CONF_PAIRS_UPDATE")) {
		_cleanup_fclose_ FILE *out = fopen(path, "we");
		ck_assert(out && fputs(is, out) >= 0);
		remove(other);
		return true;
	}
	expected = slurp(path);
	if (strcmp(expected, is) == 0)
		return true;
	fprintf(stderr, "%s: expected in .%s:\n%sis:\n%s", name, ok ? "ok" : "err", expected, is);
	return false;
}

static bool
run_pair(const char *name, const char *bundle)
{
	char folder[] = "/tmp/bmd-conf-XXXXXX";
	_cleanup_free_ char *is = NULL, *apart = NULL;
	unsigned flags;
	bool ok = false, ok_apart = false;

	enter(folder);
	flags = unpack(bundle);
	is = outcome(flags, &ok);
	apart = outcome(flags | CONF_APART, &ok_apart);
	leave(folder);
	if (ok != ok_apart || strcmp(is, apart) != 0) {
		fprintf(stderr, "%s: as a child reads it:\n%sas it is:\n%s", name, apart, is);
		return false;
	}
	return compare(name, is, ok);
}

START_TEST(pairs_say_what_they_should)
{
	DIR *folder = opendir(TOP_SRCDIR "/tests/conf");
	struct dirent *entry;
	unsigned wrong = 0, count = 0;

	ck_assert_ptr_nonnull(folder);
	umask(022);
	while ((entry = readdir(folder))) {
		size_t n = strlen(entry->d_name);
		_cleanup_free_ char *path = NULL, *bundle = NULL, *name = NULL;

		if (n < 4 || strcmp(entry->d_name + n - 3, ".in") != 0)
			continue;
		ck_assert(asprintf(&path, TOP_SRCDIR "/tests/conf/%s", entry->d_name) > 0);
		bundle = slurp(path);
		name = strndup(entry->d_name, n - 3);
		wrong += !run_pair(name, bundle);
		count++;
	}
	closedir(folder);
	ck_assert_msg(wrong == 0, "%u of %u pairs are wrong", wrong, count);
	ck_assert_uint_ge(count, 50);
}
END_TEST

START_TEST(the_shipped_example_is_right)
{
	static const char *const files[] = {"bmd.conf", "applications.d/shop.conf",
					    "plans.d/web.conf"};
	_cleanup_free_ char *bundle = NULL;
	size_t n;
	FILE *out = open_memstream(&bundle, &n);

	umask(022);
	fputs("=== root\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = NULL, *text = NULL;
		ck_assert(asprintf(&path, TOP_SRCDIR "/conf/%s", files[i]) > 0);
		text = slurp(path);
		ck_assert(*text);
		fprintf(out, "=== %s\n%s", files[i], text);
	}
	fclose(out);
	ck_assert(run_pair("example", bundle));
}
END_TEST

/* Each key of the main file stands in the shipped example, with its default. */
START_TEST(the_example_shows_every_key_with_its_default)
{
	_cleanup_free_ char *text = slurp(TOP_SRCDIR "/conf/bmd.conf"), *bare = strdup(text);
	const struct conf_schema *schema = conf_schema(CONF_MAIN);
	char *line, *rest = bare;
	_cleanup_free_ char *is = NULL, *shown = NULL, *bundle = NULL;
	char one[] = "/tmp/bmd-conf-XXXXXX", two[] = "/tmp/bmd-conf-XXXXXX";
	bool ok = false;
	size_t n, keys = 0;
	FILE *out = open_memstream(&bundle, &n);

	ck_assert_ptr_nonnull(out);
	umask(022);
	while ((line = strsep(&rest, "\n"))) {
		size_t length = strcspn(line, " ");
		_cleanup_free_ char *key =
		    line[0] == '#' ? strndup(line + 1, length > 0 ? length - 1 : 0) : NULL;

		if (key && conf_rule(schema, key)) {
			fprintf(out, "%s\n", line + 1);
			keys++;
		}
	}
	fclose(out);
	ck_assert_uint_eq(keys, schema->nrules);
	enter(one);
	unpack(bundle);
	shown = outcome(0, &ok);
	leave(one);
	ck_assert(ok);
	enter(two);
	unpack("");
	is = outcome(0, &ok);
	leave(two);
	ck_assert(ok);
	ck_assert_str_eq(shown, is);
}
END_TEST

UNIT_MAIN("conf pairs", pairs_say_what_they_should, the_shipped_example_is_right,
	  the_example_shows_every_key_with_its_default)
