/* SPDX-License-Identifier: ISC */
/* The gate before every handler: users × methods × places of tests/matrix.h, with a real database
 * and a configuration from text. */
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/conf/confparse.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/queue/queue.h"
#include "tests/matrix.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name;
	enum control_role role;
	enum reach reach;
} rows[] = {
#define X(name, role, kind, touches) {#name, CONTROL_##role, REACH_##touches},
    METHODS(X)
#undef X
};

static struct methods methods;
static struct conf *conf;
static struct rights *rights;
static int64_t schedules[MATRIX_REAL];

static int
nobody_else(const char *name, uid_t *ret_uid)
{
	(void)name, (void)ret_uid;
	return false;
}

static void
set_up(void)
{
	static const struct conf_world world = {
	    .uid = 1, .user = nobody_else, .run_socket = "/nonexistent"};
	char folder[] = "/tmp/bmd-reach-XXXXXX";
	struct conf_problems problems = {0};
	struct err err = ERR_INIT;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_msg(conf_load_text(&world, MATRIX_CONF, strlen(MATRIX_CONF), 0, &conf,
				     &problems) == 0,
		      "%s", problems.n ? problems.v[0] : "?");
	conf_problems_clear(&problems);
	ck_assert_int_eq(store_open(folder, &methods.store, &err), 0);
	ck_assert_int_eq(store_begin(methods.store, &err), 0);
	methods.queue = queue_new(methods.store, NULL);
	queue_set_conf(methods.queue, conf);
	/* bmd is somebody whom the table does not know. */
	rights = rights_new(conf, 60001, NULL, NULL);
	for (unsigned i = 0; i < MATRIX_REAL; i++) {
		struct job job = {.id = i + 1, .state = JOB_CANCELLED, .exit_code = -1};
		struct store_schedule schedule = {.wanted = xstrdup("live"),
						  .calendar = xstrdup("03:00 UTC")};

		strcpy(job.application, matrix_places[i].application);
		strcpy(job.stage, matrix_places[i].stage);
		strcpy(job.build.release, "1.0");
		job.build.number = 1;
		ck_assert_int_eq(store_job_add(methods.store, &job, &err), 0);
		strcpy(schedule.application, job.application);
		strcpy(schedule.stage, job.stage);
		ck_assert_int_eq(store_schedule_add(methods.store, &schedule, &err), 0);
		schedules[i] = schedule.id;
		store_schedule_clear(&schedule);
	}
	/* The database is open: its files are not needed by name any more. */
	_cleanup_free_ char *command = xasprintf("rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static const char *
short_name(const struct err *err)
{
	const char *name = err_name(err->code), *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

/* What the gate says: a name, "" for go on; and RET_JSON all of it. */
static const char *
ask(struct control_peer *peer, size_t row, enum matrix_place place, char **ret_json)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *parameters =
	    matrix_call(rows[row].name, place, "k", place < MATRIX_REAL ? place + 1 : 9,
			place < MATRIX_REAL ? schedules[place] : 9);
	_cleanup_json_ json_t *object = NULL;
	struct request request = {.methods = &methods, .parameters = parameters, .peer = peer};
	unsigned anywhere = rights_on(rights, &peer->as, NULL, NULL);
	int r;

	ck_assert_ptr_nonnull(parameters);
	peer->rights = rights;
	peer->role = anywhere & RIGHT_ROOT	? CONTROL_ROOT
		     : anywhere & RIGHT_OPERATE ? CONTROL_OPERATOR
		     : anywhere & RIGHT_APPROVE ? CONTROL_APPROVER
		     : anywhere & RIGHT_SEE	? CONTROL_VIEWER
						: CONTROL_NOBODY;
	if (peer->role < rows[row].role)
		r = reach_denied(&request, rows[row].name, rows[row].role, NULL, NULL, &err);
	else
		r = reach_settle(&request, rows[row].name, rows[row].reach, rows[row].role, &err);
	object = err_to_json(&err);
	*ret_json = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	return r < 0 ? short_name(&err) : "";
}

/* Of what is hidden he hears what he hears of what is not there, but for the name. */
static void
check_hidden(struct control_peer *peer, size_t user, size_t row, const char *hidden)
{
	_cleanup_free_ char *missing = NULL;

	if (matrix_may_any(user, "zqhide", 's'))
		return;
	(void)ask(peer, row, NO_APPLICATION, &missing);
	_cleanup_free_ char *a = matrix_replace(hidden, "zqhide", "zqmiss");
	_cleanup_free_ char *b = matrix_replace(a, "zqlive", "zqnone");
	char number[32];

	snprintf(number, sizeof(number), "%d", ZQHIDE_ZQLIVE + 1);
	_cleanup_free_ char *c = matrix_replace(b, number, "9");
	_cleanup_free_ char *d = matrix_replace(missing, number, "9");

	ck_assert_msg(strcmp(c, d) == 0, "%s by %s: of what is hidden %s, of what is not there %s",
		      rows[row].name, matrix_users[user].user, c, d);
}

static void
check_user(struct control_peer *peer, size_t user, size_t *count)
{
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
		for (unsigned place = 0; place < MATRIX_PLACES; place++) {
			_cleanup_free_ char *json = NULL;
			const char *got = ask(peer, row, (enum matrix_place)place, &json);
			const char *want =
			    matrix_expected(rows[row].name, user, (enum matrix_place)place, false);

			ck_assert_msg(strcmp(got, want) == 0, "%s by %s on %s %s: '%s', not '%s'",
				      rows[row].name, matrix_users[user].user,
				      matrix_places[place].application, matrix_places[place].stage,
				      got, want);
			if (place == ZQHIDE_ZQLIVE)
				check_hidden(peer, user, row, json);
			++*count;
		}
}

START_TEST(every_method_has_a_sample)
{
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
		ck_assert_str_eq(matrix_of(rows[row].name)->method, rows[row].name);
}
END_TEST

/* Does the interface say that METHOD takes a parameter of this name? */
static bool
takes(const char *method, const char *name)
{
	char begin[80], *input, *at;
	const char *from;
	bool found = false;

	snprintf(begin, sizeof(begin), "\nmethod %s(", method);
	from = strstr(varlink_control_text, begin);
	ck_assert_ptr_nonnull(from);
	from += strlen(begin) - 1;
	input = xstrndup(from, (size_t)(strstr(from, "->") - from));
	for (at = input; (at = strstr(at, name)); at += strlen(name))
		found |= (at[-1] == ' ' || at[-1] == '(') && at[strlen(name)] == ':';
	free(input);
	return found;
}

/* What a method names is what it touches: said a second time, of the rows themselves. */
START_TEST(what_is_named_is_touched)
{
	static const struct {
		const char *parameter, *mark;
	} marks[] = {{"application", "@A"}, {"job", "@J"}, {"jobs", "@J"}, {"schedule", "@C"}};

	for (size_t row = 0; row < ARRAY_SIZE(rows); row++) {
		const char *name = rows[row].name, *sample = matrix_of(name)->parameters;
		bool looks = rows[row].role == CONTROL_VIEWER;
		enum reach reach = rows[row].reach;
		bool good;

		for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
			if (takes(name, marks[i].parameter) && !strstr(sample, "@C"))
				ck_assert_msg(strstr(sample, marks[i].mark) != NULL,
					      "the sample of %s lacks %s", name,
					      marks[i].parameter);
		if (!looks && takes(name, "stage") && takes(name, "application"))
			ck_assert_msg(strstr(sample, "@S") != NULL,
				      "the sample of %s lacks its stage", name);
		if (strstr(sample, "@C"))
			good = reach == REACH_SCHEDULE;
		else if (strstr(sample, "@J"))
			good = reach == REACH_JOB || reach == REACH_JOBS;
		else if (strstr(sample, "@S"))
			good = reach == REACH_STAGE;
		else if (strstr(sample, "@A"))
			good = reach == REACH_APPLICATION ||
			       reach == (looks ? REACH_LIST : REACH_WHOLE);
		else
			good = reach == REACH_NONE || reach == (looks ? REACH_LIST : REACH_WHOLE);
		ck_assert_msg(good, "%s touches what it does not name", name);
	}
}
END_TEST

START_TEST(the_matrix)
{
	size_t count = 0, asked = 0;

	set_up();
	for (size_t user = 0; user < MATRIX_USERS; user++) {
		struct control_peer peer = {.name = "somebody"};
		const struct passwd *entry = getpwnam(matrix_users[user].user);

		if (!entry) {
			printf("skipped: there is no user %s\n", matrix_users[user].user);
			continue;
		}
		ck_assert_int_eq(rights_who_find((int64_t)entry->pw_uid, &peer.as, NULL), 0);
		peer.uid = peer.as.uid;
		check_user(&peer, user, &count);
		rights_who_clear(&peer.as);
		asked++;
	}
	printf("%zu users, %zu methods, %d places: %zu answers\n", asked, ARRAY_SIZE(rows),
	       MATRIX_PLACES, count);
	ck_assert_uint_gt(asked, 0);
}
END_TEST

/* Whose credentials could not be read may nothing, be it root. */
START_TEST(who_is_not_known_may_nothing)
{
	struct control_peer peer = {.uid = 0, .name = "root", .as = {.known = false, .uid = 0}};

	set_up();
	for (size_t row = 0; row < ARRAY_SIZE(rows); row++)
		for (unsigned place = 0; place < MATRIX_PLACES; place++) {
			_cleanup_free_ char *json = NULL;

			ck_assert_str_eq(ask(&peer, row, (enum matrix_place)place, &json),
					 "PermissionDenied");
		}
}
END_TEST

/* What is configured no more has bmd.conf's lists; a stage that is no more, what its application's
 * others have in common. */
START_TEST(what_is_configured_no_more)
{
	struct rights_who daemon = {.known = true, .uid = 1}, uucp = daemon, games = daemon;

	set_up();
	if (!getpwnam("uucp") || !getpwnam("games") || !getpwnam("daemon"))
		return;
	daemon.uid = (int64_t)getpwnam("daemon")->pw_uid;
	uucp.uid = (int64_t)getpwnam("uucp")->pw_uid;
	games.uid = (int64_t)getpwnam("games")->pw_uid;
	ck_assert_uint_eq(rights_on(rights, &daemon, "gone", "live"), RIGHT_SEE | RIGHT_OPERATE);
	ck_assert_uint_eq(rights_on(rights, &daemon, "shop", "gone"), 0);
	ck_assert_uint_eq(rights_on(rights, &uucp, "shop", "gone"), RIGHT_SEE | RIGHT_OPERATE);
	ck_assert_uint_eq(rights_on(rights, &games, "shop", "gone"), RIGHT_SEE);
	/* Files were left out: they may have said otherwise. */
	conf->incomplete = true;
	rights_free(rights);
	rights = rights_new(conf, 60001, NULL, NULL);
	ck_assert_uint_eq(rights_on(rights, &daemon, "gone", "live"), 0);
	ck_assert_uint_eq(rights_on(rights, &daemon, "open", "live"), RIGHT_SEE | RIGHT_OPERATE);
}
END_TEST

UNIT_MAIN("reach", every_method_has_a_sample, what_is_named_is_touched, the_matrix,
	  who_is_not_known_may_nothing, what_is_configured_no_more)
