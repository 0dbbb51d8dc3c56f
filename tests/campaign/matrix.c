/* SPDX-License-Identifier: ISC */
/*
 * The matrix of tests/matrix.h, asked of a real bmd by real users: every method, on every place,
 * over a connection of its own. The answer must be the expected one; of what somebody may not see
 * he must hear, byte for byte, what he hears of what is not there; and no answer to him may hold a
 * name that is hidden.
 *
 *   matrix --conf			the configuration
 *   matrix SOCKET JOB×4 SCHEDULE×4	their numbers, in the order of the places. Needs root.
 */
#include <err.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "tests/matrix.h"

static const struct row {
	const char *name, *kind;
} rows[] = {
#define X(name, role, kind, touches) {#name, #kind},
    METHODS(X)
#undef X
};

static const char *path;
static int64_t jobs[MATRIX_PLACES], schedules[MATRIX_PLACES];
static unsigned wrong;
static struct tally {
	unsigned asked, done, refused; /* calls; of those that change something */
} tally;

static int
dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "%s", path);
	return fd;
}

/* The first reply, as text. free() */
static char *
ask(const struct row *row, json_t *parameters)
{
	_cleanup_json_ json_t *call =
	    json_pack("{s:o, s:o}", "method", json_sprintf("io.bmd.Control.%s", row->name),
		      "parameters", parameters);
	_cleanup_free_ char *text = NULL;
	char *reply = NULL;
	size_t n = 0, room = 0;
	_cleanup_close_ int fd = dial();

	if (strcmp(row->kind, "UPGRADE") == 0)
		json_object_set_new(call, "upgrade", json_true());
	text = json_dumps(call, JSON_COMPACT);
	if (send(fd, text, strlen(text) + 1, MSG_NOSIGNAL) != (ssize_t)strlen(text) + 1)
		err(1, "send");
	do {
		if (n == room)
			reply = xrealloc(reply, room = room ? room * 2 : 4096, 1);
		ssize_t got = recv(fd, reply + n, 1, 0);

		if (got <= 0)
			errx(1, "%s: no reply", row->name);
	} while (reply[n++] != '\0');
	return reply;
}

static char *
at_place(size_t user, size_t row, enum matrix_place place)
{
	char key[64], *reply;

	snprintf(key, sizeof(key), "u%zu-m%zu-p%u-%u", user, row, place, tally.asked++);
	reply =
	    ask(&rows[row], matrix_call(rows[row].name, place, key, jobs[place], schedules[place]));
	if (matrix_changes(rows[row].name))
		*(strncmp(reply, "{\"error\"", 8) == 0 ? &tally.refused : &tally.done) += 1;
	return reply;
}

/* What the caller himself said is no secret: names, and the number of what is not there. free() */
static char *
without_names(const char *reply, enum matrix_place place)
{
	char job[40], schedule[40];
	char *now = xstrdup(reply);
	const char *const from[] = {matrix_places[place].application, matrix_places[place].stage,
				    job, schedule};
	bool missing = strstr(reply, ".NoSuchJob\"") || strstr(reply, ".NoSuchSchedule\"");

	snprintf(job, sizeof(job), "%lld", (long long)jobs[place]);
	snprintf(schedule, sizeof(schedule), "%lld", (long long)schedules[place]);
	for (size_t i = 0; i < (missing ? 4 : 2); i++) {
		char *next = matrix_replace(now, from[i], "NAME");

		free(now);
		now = next;
	}
	return now;
}

static void
complain(size_t user, size_t row, enum matrix_place place, const char *what, const char *more)
{
	wrong++;
	printf("%s by %s on %s %s: %s: %s\n", rows[row].name, matrix_users[user].user,
	       matrix_places[place].application, matrix_places[place].stage, what, more);
}

static bool
is_refusal(const char *error)
{
	static const char *const names[] = {"PermissionDenied", "NoSuchApplication", "NoSuchStage",
					    "NoSuchJob", "NoSuchSchedule"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(error, names[i]) == 0)
			return true;
	return false;
}

static void
check(size_t user, size_t row, enum matrix_place place)
{
	_cleanup_free_ char *reply = at_place(user, row, place);
	_cleanup_free_ char *plain = without_names(reply, place);
	_cleanup_json_ json_t *object = json_loads(reply, 0, NULL);
	const char *error = json_get_string(object, "error"),
		   *dot = error ? strrchr(error, '.') : NULL;
	const char *want = matrix_expected(rows[row].name, user, place, true);

	error = dot && is_refusal(dot + 1) ? dot + 1 : "";
	if (strcmp(error, want) != 0)
		complain(user, row, place, *want ? want : "permitted, but", reply);
	if (matrix_may_any(user, "zqhide", 's'))
		return;
	if (strstr(plain, "zq"))
		complain(user, row, place, "it holds a name that is hidden", reply);
	if (place == ZQHIDE_ZQLIVE) {
		_cleanup_free_ char *other = at_place(user, row, NO_APPLICATION);
		_cleanup_free_ char *missing = without_names(other, NO_APPLICATION);

		/* A reply that names nothing tells the time, and has no part in this. */
		if (*error && strcmp(plain, missing) != 0)
			complain(user, row, place, missing, plain);
	}
}

static void
become(const char *name)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry || initgroups(name, entry->pw_gid) < 0 ||
	    setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
	    setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0)
		err(1, "cannot become %s", name);
}

/* Returns how many answers there were; what is wrong is printed, and what his rows of the audit
 * must add up to. */
static unsigned
as_user(size_t user, bool *ret_ok)
{
	int pipe_fd[2], status;
	struct tally his = {0};
	pid_t pid;

	fflush(stdout);
	if (pipe(pipe_fd) < 0 || (pid = fork()) < 0)
		err(1, "fork");
	if (pid == 0) {
		become(matrix_users[user].user);
		for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
			for (unsigned place = 0; place < MATRIX_PLACES; place++)
				check(user, row, (enum matrix_place)place);
		if (write(pipe_fd[1], &tally, sizeof(tally)) != sizeof(tally))
			err(1, "write");
		fflush(stdout);
		_exit(wrong ? 1 : 0);
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], &his, sizeof(his)) != sizeof(his))
		his.asked = 0;
	close(pipe_fd[0]);
	waitpid(pid, &status, 0);
	printf("audit %u %u %u\n", (unsigned)getpwnam(matrix_users[user].user)->pw_uid, his.done,
	       his.refused);
	*ret_ok = his.asked > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return his.asked;
}

int
main(int argc, char **argv)
{
	unsigned answers = 0, users = 0, failed = 0;

	if (argc == 2 && strcmp(argv[1], "--conf") == 0) {
		fputs(MATRIX_CONF, stdout);
		return 0;
	}
	if (argc != 2 + 2 * MATRIX_REAL)
		errx(2, "usage: matrix SOCKET JOB… SCHEDULE…");
	path = argv[1];
	for (unsigned i = 0; i < MATRIX_PLACES; i++) {
		jobs[i] = i < MATRIX_REAL ? atoll(argv[2 + i]) : 987654;
		schedules[i] = i < MATRIX_REAL ? atoll(argv[2 + MATRIX_REAL + i]) : 876543;
	}
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		(void)matrix_of(rows[row].name);
	for (size_t user = 0; user < MATRIX_USERS; user++) {
		bool ok = false;

		if (!getpwnam(matrix_users[user].user)) {
			printf("skipped: there is no user %s\n", matrix_users[user].user);
			continue;
		}
		answers += as_user(user, &ok);
		users++;
		failed += !ok;
	}
	printf("%u users, %zu methods, %d places: %u answers%s\n", users,
	       sizeof(rows) / sizeof(rows[0]), MATRIX_PLACES, answers,
	       failed ? ", some of them wrong" : ", all as the table says");
	return failed ? 1 : 0;
}
