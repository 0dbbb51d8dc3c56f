/* SPDX-License-Identifier: ISC */
/*
 * conf.h beyond what a text says (tests/conf has that in pairs): which files are refused, what is
 * noticed to have changed, resolving, users, open variables, and $NAMEs.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf/confparse.h"
#include "common/digest.h"
#include "common/scope.h"
#include "common/xalloc.h"
#include "tests/unit/unit.h"

static char folder[] = "/tmp/bmd-test-conf-XXXXXX";

static int
made_up_user(const char *name, uid_t *ret_uid)
{
	*ret_uid = strcmp(name, "root") == 0 ? 0 : 60001;
	return true;
}

static const char shop[] =
    "variables = {'A=daemon', 'B=daemon', 'C=daemon'}\n"
    "user = 'daemon'\n"
    "application 'shop' {\n"
    "  stages = {'testing', 'production'}\n"
    "  user = 'shop'\n"
    "  variables = {'B=application', 'C=application'}\n"
    "  stage 'testing' { plan = 'web' open = {'B', 'NEW'} }\n"
    "  stage 'production' { plan = 'web' user = 'stage' variables = {'C=stage'} }\n"
    "}\n"
    "application 'other' { stages = {'x'} stage 'x' { plan = 'own' } }\n"
    "plan 'web' {\n"
    "  step 'one' { exec = {'true'} environment = {'E=step'} }\n"
    "  step 'two' { exec = {'true'} user = 'root' }\n"
    "}\n"
    "plan 'own' { user = 'plan' step 'one' { exec = {'true'} } }\n";

static struct conf *
load_text(const char *text)
{
	const struct conf_world world = {
	    .uid = 0, .user = made_up_user, .run_socket = "/nonexistent/socket"};
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r = conf_load_text(&world, text, strlen(text), CONF_RUN_AS_ROOT, &conf, &problems);

	ck_assert_msg(r == 0, "%s", problems.n ? problems.v[0] : "no problem");
	conf_problems_clear(&problems);
	return conf;
}

/* ---- $NAME */

// clang-format off
static const struct {
	int line;
	const char *text;
	const char *expanded; /* NULL: refused */
} expansions[] = {
	{__LINE__, "",                   ""},
	{__LINE__, "plain",              "plain"},
	{__LINE__, "$ROOT",              "/srv/shop"},
	{__LINE__, "${ROOT}",            "/srv/shop"},
	{__LINE__, "$ROOT/current",      "/srv/shop/current"},
	{__LINE__, "a$ROOT$PORT.b",      "a/srv/shop8080.b"},
	{__LINE__, "${PORT}0",           "80800"},
	{__LINE__, "$$",                 "$"},
	{__LINE__, "$$PORT",             "$PORT"},
	{__LINE__, "$$$PORT",            "$8080"},
	{__LINE__, "a $SPACES b",        "a x  y  b"},
	{__LINE__, "[$EMPTY]",           "[]"},
	{__LINE__, "$DOLLAR",            "$ROOT"}, /* once, not again */
	{__LINE__, "$_x9",               "under"},
	{__LINE__, "$PORTS",             NULL},
	{__LINE__, "$",                  NULL},
	{__LINE__, "a$",                 NULL},
	{__LINE__, "$ ROOT",             NULL},
	{__LINE__, "$1",                 NULL},
	{__LINE__, "${",                 NULL},
	{__LINE__, "${}",                NULL},
	{__LINE__, "${ROOT",             NULL},
	{__LINE__, "${ROOT:-x}",         NULL},
	{__LINE__, "${9}",               NULL},
	{__LINE__, "$(ls)",              NULL},
	{__LINE__, "$NUMBER",            NULL}, /* no text */
};
// clang-format on

START_TEST(names_are_replaced)
{
	_cleanup_json_ json_t *environment =
	    json_pack("{sssssssssssssi}", "ROOT", "/srv/shop", "PORT", "8080", "EMPTY", "",
		      "SPACES", "x  y ", "DOLLAR", "$ROOT", "_x9", "under", "NUMBER", 3);

	ck_assert_ptr_nonnull(environment);
	for (size_t i = 0; i < ARRAY_SIZE(expansions); i++) {
		_cleanup_err_ struct err err = ERR_INIT;
		_cleanup_free_ char *text = NULL;
		int r = conf_expand(expansions[i].text, environment, &text, &err);

		if (!expansions[i].expanded) {
			ck_assert_msg(r == -EINVAL && !text, "line %d", expansions[i].line);
			ck_assert_int_eq(err.code, ERR_CONFIGURATION);
			continue;
		}
		ck_assert_msg(r == 0, "line %d: %s", expansions[i].line, err.text);
		ck_assert_msg(strcmp(text, expansions[i].expanded) == 0, "line %d: %s",
			      expansions[i].line, text);
	}
}
END_TEST

START_TEST(an_expansion_is_bounded)
{
	_cleanup_json_ json_t *environment = json_object();
	_cleanup_free_ char *text = NULL, *value = xcalloc(1, 32769);
	char many[64] = "";

	memset(value, 'x', 32768);
	json_object_set_new(environment, "A", json_string(value));
	for (int i = 0; i < 4; i++)
		strcat(many, "$A");
	ck_assert_int_eq(conf_expand(many, environment, &text, NULL), 0);
	ck_assert_uint_eq(strlen(text), 4 * 32768);
	strcat(many, "y");
	ck_assert_int_eq(conf_expand(many, environment, &text, NULL), -EINVAL);
}
END_TEST

/* ---- resolving */

START_TEST(the_narrowest_wins)
{
	struct conf *conf = load_text(shop);
	const struct conf_application *application = conf_application(conf, "shop");
	const struct conf_stage *testing = conf_stage(application, "testing");
	const struct conf_stage *production = conf_stage(application, "production");
	const struct conf_plan *web = conf_plan(conf, "web"), *own = conf_plan(conf, "own");
	_cleanup_json_ json_t *variables = conf_stage_variables(conf, application, production);
	_cleanup_json_ json_t *expected =
	    json_pack("{ssssss}", "A", "daemon", "B", "application", "C", "stage");

	ck_assert(json_equal(variables, expected));
	ck_assert_str_eq(conf_step_user(conf, application, production, web, &web->steps[0]),
			 "stage");
	ck_assert_str_eq(conf_step_user(conf, application, production, web, &web->steps[1]),
			 "root");
	ck_assert_str_eq(conf_step_user(conf, application, production, own, &own->steps[0]),
			 "plan");
	ck_assert_str_eq(conf_step_user(conf, application, testing, web, &web->steps[0]), "shop");
	application = conf_application(conf, "other");
	ck_assert_str_eq(conf_step_user(conf, application, &application->stages[0], web,
					&web->steps[0]),
			 "daemon");
	ck_assert_ptr_null(conf_application(conf, "shops"));
	ck_assert_ptr_null(conf_stage(application, "testing"));
	ck_assert_ptr_null(conf_plan(conf, "we"));
	conf_free(conf);
}
END_TEST

START_TEST(jobs_set_only_what_is_open)
{
	// clang-format off
	static const struct {
		int line;
		const char *name;
		bool testing, production;
	} names[] = {
		{__LINE__, "A",          false, false},
		{__LINE__, "B",          true,  false},
		{__LINE__, "C",          false, false},
		{__LINE__, "E",          false, false}, /* in a step's environment */
		{__LINE__, "NEW",        true,  true},
		{__LINE__, "ELSE",       true,  true},
		{__LINE__, "PATH",       false, false},
		{__LINE__, "HOME",       false, false},
		{__LINE__, "LD_PRELOAD", false, false},
		{__LINE__, "BASH_ENV",   false, false},
		{__LINE__, "BM_MODE",    false, false},
		{__LINE__, "BM_X",       false, false},
		{__LINE__, "a-b",        false, false},
		{__LINE__, "",           false, false},
	};
	// clang-format on
	struct conf *conf = load_text(shop);
	const struct conf_application *application = conf_application(conf, "shop");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_msg(conf_variable_open(conf, application, &application->stages[0],
						 names[i].name) == names[i].testing,
			      "line %d: testing", names[i].line);
		ck_assert_msg(conf_variable_open(conf, application, &application->stages[1],
						 names[i].name) == names[i].production,
			      "line %d: production", names[i].line);
	}
	conf_free(conf);
}
END_TEST

/* The digest of shop production in a text where FROM was replaced by TO. */
static void
digest_with(const char *from, const char *to, char ret_digest[65])
{
	const char *at = strstr(shop, from);
	_cleanup_free_ char *text = NULL, *resolved = NULL;
	char check[65];
	struct conf *conf;
	const struct conf_application *application;

	ck_assert_msg(at, "%s", from);
	ck_assert(asprintf(&text, "%.*s%s%s", (int)(at - shop), shop, to, at + strlen(from)) > 0);
	conf = load_text(text);
	application = conf_application(conf, "shop");
	resolved =
	    conf_resolve(conf, application, conf_stage(application, "production"), ret_digest);
	digest_of(resolved, strlen(resolved), check);
	ck_assert_str_eq(check, ret_digest);
	conf_free(conf);
}

START_TEST(a_digest_covers_what_a_run_depends_on)
{
	// clang-format off
	static const struct {
		int line;
		const char *from, *to;
		bool same;
	} changes[] = {
		{__LINE__, "'A=daemon'", "'A=daemon'", true},
		{__LINE__, "\n", "\n# a comment\n", true},
		{__LINE__, "stages = {'x'}", "stages = {'x'} variables = {'A=b'}", true},
		{__LINE__, "step 'one' { exec = {'true'} } }", "step 'one' { exec = {'false'} } }", true},
		{__LINE__, "user = 'daemon'", "user = 'another'", true}, /* narrower ones win */
		{__LINE__, "'B=daemon'", "'B=other'", true},
		{__LINE__, "stage 'testing' {", "stage 'testing' { confirm = true", true},
		{__LINE__, "'A=daemon'", "'A=other'", false},
		{__LINE__, "'C=stage'", "'C=other'", false},
		{__LINE__, "'C=stage'", "'D=other'", false},
		{__LINE__, "user = 'stage'", "user = 'stag'", false},
		{__LINE__, "user = 'stage'", "user = 'stage' open = {'A'}", false},
		{__LINE__, "'E=step'", "'E=stop'", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true', ''} env", false},
		{__LINE__, "exec = {'true'} env", "run = 'true' env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} timeout = 1s env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} attempts = 2 env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} delay = 2s env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} directory = '/tmp' env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} user = 'x' env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} only-on = {'deploy'} env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} skip-on = {'deploy'} env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} irreversible = true env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} ignore-failure = true env", false},
		{__LINE__, "exec = {'true'} env", "exec = {'true'} artifacts = {'a'} env", false},
		{__LINE__, "exec = {'true'} env", "deploy = 'a' to = '/srv' env", false},
		{__LINE__, "step 'two'", "step 'zwei'", false},
	};
	// clang-format on
	char before[65], after[65];

	digest_with("", "", before);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		digest_with(changes[i].from, changes[i].to, after);
		ck_assert_msg((strcmp(before, after) == 0) == changes[i].same, "line %d",
			      changes[i].line);
	}
}
END_TEST

/* ---- files */

static void
write_file(const char *path, const char *text, size_t n)
{
	_cleanup_fclose_ FILE *out = fopen(path, "we");

	ck_assert_msg(out && fwrite(text, 1, n, out) == n, "%s", path);
}

static void
begin(void)
{
	umask(022);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void
end(void)
{
	char command[128];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

/* Loads bmd.conf as it lies there and expects the one mistake SAID, or none. */
static void
expect(int line, const char *said, bool fatal)
{
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r = conf_load("bmd.conf", 0, &conf, &problems);

	ck_assert_msg((r == 0) == (said == NULL), "line %d: %d %s", line, r,
		      problems.n ? problems.v[0] : "");
	ck_assert_msg((conf != NULL) == (said == NULL), "line %d", line);
	if (said) {
		ck_assert_msg(problems.n == 1 && strcmp(problems.v[0], said) == 0,
			      "line %d: %zu: %s", line, problems.n,
			      problems.n ? problems.v[0] : "");
		ck_assert_msg(problems.fatal == fatal, "line %d: fatal", line);
	}
	conf_free(conf);
	conf_problems_clear(&problems);
}

START_TEST(only_proper_files_are_read)
{
	_cleanup_free_ char *big = xcalloc(1, CONF_FILE_MAX + 2);

	begin();
	expect(__LINE__, "bmd.conf: cannot be opened: No such file or directory", true);
	write_file("bmd.conf", "max-running = 3\n", 16);
	expect(__LINE__, NULL, false);
	chmod("bmd.conf", 0664);
	expect(__LINE__, "bmd.conf: group or others can write this file: chmod go-w it", true);
	chmod("bmd.conf", 0646);
	expect(__LINE__, "bmd.conf: group or others can write this file: chmod go-w it", true);
	if (geteuid() == 0) {
		chmod("bmd.conf", 0644);
		ck_assert_int_eq(chown("bmd.conf", 60001, (gid_t)-1), 0);
		expect(__LINE__,
		       "bmd.conf: the file belongs to another user (60001): chown root it", true);
	}
	remove("bmd.conf");
	mkdir("bmd.conf", 0755);
	expect(__LINE__, "bmd.conf: this is not a regular file: it is a directory", true);
	rmdir("bmd.conf");
	mkfifo("bmd.conf", 0644);
	expect(__LINE__, "bmd.conf: this is not a regular file: it is a device, pipe or socket",
	       true);
	remove("bmd.conf");
	ck_assert_int_eq(symlink("/dev/zero", "bmd.conf"), 0);
	expect(__LINE__, "bmd.conf: this is not a regular file: it is a device, pipe or socket",
	       true);
	remove("bmd.conf");
	write_file("bmd.conf", "# a\n# b\n#\0\n", 11);
	expect(__LINE__, "bmd.conf:3: a NUL byte: this is not a text", true);
	write_file("bmd.conf", "# a\n# \xff\n", 8);
	expect(__LINE__, "bmd.conf:2: this is not UTF-8: save the file as UTF-8", true);
	memset(big, '\n', CONF_FILE_MAX + 1);
	write_file("bmd.conf", big, CONF_FILE_MAX);
	expect(__LINE__, NULL, false);
	write_file("bmd.conf", big, CONF_FILE_MAX + 1);
	expect(__LINE__, "bmd.conf: the file has 1048577 bytes: at most 1048576 are read", true);
	end();
}
END_TEST

START_TEST(only_proper_folders_are_read)
{
	begin();
	write_file("bmd.conf", "", 0);
	write_file("plans.d", "", 0);
	expect(__LINE__, "plans.d: the folder cannot be read: Not a directory", true);
	remove("plans.d");
	mkdir("plans.d", 0755);
	chmod("plans.d", 0777);
	expect(__LINE__, "plans.d: group or others can write this folder: chmod go-w it", true);
	chmod("plans.d", 0755);
	mkdir("plans.d/x.conf", 0755);
	expect(__LINE__, "plans.d/x.conf: this is not a regular file: it is a directory", false);
	rmdir("plans.d/x.conf");
	mkdir("plans.d/x", 0755);
	expect(__LINE__, NULL, false);
	end();
}
END_TEST

/* The folder of the main file: who owns it can put another file of root's in its place. */
START_TEST(the_folder_of_the_main_file_is_judged)
{
	_cleanup_free_ char *written = NULL, *owned = NULL;

	begin();
	written = xasprintf("%s: group or others can write this folder: chmod go-w it", folder);
	owned = xasprintf("%s: the folder belongs to another user (60001): chown root it", folder);
	write_file("bmd.conf", "", 0);
	chmod(folder, 0775);
	expect(__LINE__, written, true);
	chmod(folder, 0757);
	expect(__LINE__, written, true);
	chmod(folder, 01777); /* as /tmp: nobody else's files can be replaced there */
	expect(__LINE__, NULL, false);
	chmod(folder, 0755);
	expect(__LINE__, NULL, false);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(folder, 60001, (gid_t)-1), 0);
		expect(__LINE__, owned, true);
		chmod(folder, 01755);
		expect(__LINE__, owned, true);
	}
	end();
}
END_TEST

static void
expect_changed(int line, const struct conf *conf, size_t n, const char *last)
{
	_cleanup_json_ json_t *changed = conf_changed(conf);
	const char *path = n ? json_string_value(json_array_get(changed, n - 1)) : NULL;

	ck_assert_msg(json_array_size(changed) == n, "line %d: %zu", line,
		      json_array_size(changed));
	if (n) {
		ck_assert_msg(path && path[0] == '/' && strlen(path) > strlen(last) &&
				  strcmp(path + strlen(path) - strlen(last), last) == 0,
			      "line %d: %s", line, path);
	}
}

START_TEST(changes_are_noticed)
{
	struct conf_problems problems = {0};
	struct conf *conf = NULL;

	begin();
	write_file("bmd.conf", "max-running = 3\n", 16);
	mkdir("plans.d", 0755);
	write_file("plans.d/a.conf", "", 0);
	ck_assert_int_eq(conf_load("bmd.conf", 0, &conf, &problems), 0);
	ck_assert(conf->path[0] == '/');
	expect_changed(__LINE__, conf, 0, NULL);
	write_file("plans.d/a.conf.new", "", 0);
	write_file("plans.d/.b.conf", "", 0);
	expect_changed(__LINE__, conf, 0, NULL);
	write_file("plans.d/b.conf", "", 0);
	expect_changed(__LINE__, conf, 1, "/plans.d/b.conf");
	remove("plans.d/b.conf");
	remove("plans.d/a.conf");
	expect_changed(__LINE__, conf, 1, "/plans.d/a.conf");
	rename("plans.d/a.conf.new", "plans.d/a.conf"); /* same size, another file */
	expect_changed(__LINE__, conf, 1, "/plans.d/a.conf");
	write_file("bmd.conf", "max-running = 30\n", 17);
	expect_changed(__LINE__, conf, 2, "/plans.d/a.conf");
	mkdir("applications.d", 0755);
	write_file("applications.d/c.conf", "", 0);
	expect_changed(__LINE__, conf, 3, "/applications.d/c.conf");
	conf_free(conf);
	conf_problems_clear(&problems);
	end();
}
END_TEST

/* ---- defaults that depend on the machine */

START_TEST(the_launcher_is_resolved)
{
	// clang-format off
	static const struct {
		int line;
		const char *text, *socket;
		enum conf_launcher launcher;
		const char *runs;
	} cases[] = {
		{__LINE__, "", "/nonexistent", CONF_LAUNCHER_FORK, "/var/lib/bmd/runs"},
		{__LINE__, "", "/", CONF_LAUNCHER_SYSTEMD, "/var/lib/bmd-run"},
		{__LINE__, "launcher = fork", "/", CONF_LAUNCHER_FORK, "/var/lib/bmd/runs"},
		{__LINE__, "launcher = systemd", "/nonexistent", CONF_LAUNCHER_SYSTEMD, "/var/lib/bmd-run"},
		{__LINE__, "launcher = systemd run-directory = /x", "/", CONF_LAUNCHER_SYSTEMD, "/x"},
		{__LINE__, "state-directory = /s", "/nonexistent", CONF_LAUNCHER_FORK, "/s/runs"},
	};
	// clang-format on

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct conf_world world = {
		    .uid = 1, .user = made_up_user, .run_socket = cases[i].socket};
		struct conf_problems problems = {0};
		struct conf *conf = NULL;

		ck_assert_msg(conf_load_text(&world, cases[i].text, strlen(cases[i].text), 0, &conf,
					     &problems) == 0,
			      "line %d", cases[i].line);
		ck_assert_msg(conf->launcher == cases[i].launcher, "line %d", cases[i].line);
		ck_assert_str_eq(conf->run_directory, cases[i].runs);
		conf_free(conf);
		conf_problems_clear(&problems);
	}
	conf_free(NULL);
}
END_TEST

START_TEST(mistakes_are_bounded)
{
	const struct conf_world world = {
	    .uid = 1, .user = made_up_user, .run_socket = "/nonexistent"};
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	_cleanup_free_ char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	ck_assert_ptr_nonnull(out);
	for (int i = 0; i < 50000; i++)
		fprintf(out, "x%d = 1\n", i);
	fclose(out);
	ck_assert_int_eq(conf_load_text(&world, text, n, 0, &conf, &problems), -EINVAL);
	ck_assert_uint_eq(problems.n, CONF_PROBLEMS_MAX + 1);
	ck_assert_str_eq(problems.v[0], "bmd.conf:1: unknown key \"x0\" in bmd.conf");
	ck_assert_str_eq(problems.v[CONF_PROBLEMS_MAX],
			 "bmd.conf: more mistakes than are shown: mend these first");
	conf_problems_clear(&problems);
}
END_TEST

UNIT_MAIN("conf", names_are_replaced, an_expansion_is_bounded, the_narrowest_wins,
	  jobs_set_only_what_is_open, a_digest_covers_what_a_run_depends_on,
	  only_proper_files_are_read, only_proper_folders_are_read,
	  the_folder_of_the_main_file_is_judged, changes_are_noticed, the_launcher_is_resolved,
	  mistakes_are_bounded)
