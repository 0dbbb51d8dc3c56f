/* SPDX-License-Identifier: ISC */
/*
 * bmd-import: takes one upload, hashes stored files again, removes them, or reads their lists. bmd
 * starts it with the client's connection as standard input and output.
 *
 *	bmd-import --state DIR [--limit NAME=NUMBER]… tree|tar|zip
 *	bmd-import --state DIR [--rate BYTES] --verify
 *	bmd-import --state DIR --gc
 *	bmd-import --state DIR --backup
 *	bmd-import --state DIR --lists
 *
 * The answer of an upload is one JSON object and a NUL. The exit code is 0 when that was given,
 * whatever it says.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "common/json.h"
#include "common/standard.h"
#include "common/varlink.h"
#include "common/xalloc.h"
#include "import/backup.h"
#include "import/collect.h"
#include "import/import.h"
#include "import/lists.h"
#include "import/verify.h"

#define DRAIN_IDLE_MS 2000
#define DRAIN_MAX     (INT64_C(64) << 20)

static int
usage(void)
{
	fprintf(stderr, "usage: bmd-import --state DIR [--limit NAME=NUMBER]... tree|tar|zip\n"
			"       bmd-import --state DIR [--rate BYTES] --verify\n"
			"       bmd-import --state DIR --gc|--backup|--lists\n"
			"bmd starts it; see bmd(8)\n");
	return 2;
}

/* The answer, and then what the client has still sent, so that it gets to read it. */
static void
answer(const json_t *object)
{
	_cleanup_free_ char *frame = NULL;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char waste[65536];
	int64_t left = DRAIN_MAX;
	size_t n = 0;

	if (varlink_pack(object, &frame, &n) < 0)
		return;
	for (const char *p = frame; n > 0;) {
		ssize_t done = write(STDOUT_FILENO, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return;
		p += done;
		n -= (size_t)done;
	}
	if (shutdown(STDOUT_FILENO, SHUT_WR) < 0)
		return;
	while (left > 0 && poll(&in, 1, DRAIN_IDLE_MS) > 0) {
		ssize_t got = read(STDIN_FILENO, waste, sizeof(waste));

		if (got <= 0)
			return;
		left -= got;
	}
}

static int
open_store(const char *state, struct objects **ret_objects, struct err *err)
{
	if (objects_open(state, false, ret_objects, NULL) == 0)
		return 0;
	return objects_open(state, true, ret_objects, err);
}

static int
take(const char *state, const char *kind, const struct import_limits *limits)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *object = NULL;
	struct objects *objects = NULL;
	int r = open_store(state, &objects, &err);

	if (r >= 0)
		r = import_run(objects, STDIN_FILENO, kind, limits, &object, &err);
	if (r < 0)
		object = err_to_json(&err);
	objects_close(objects);
	answer(object);
	return 0;
}

static int
verify(const char *state, int64_t rate)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct objects *objects = NULL;
	int r = objects_open(state, false, &objects, &err);

	if (r >= 0)
		r = verify_run(objects, STDIN_FILENO, STDOUT_FILENO, rate, &err);
	objects_close(objects);
	if (r < 0)
		fprintf(stderr, "bmd-import: %s\n", err.text);
	return r < 0;
}

/* bmd is told what went wrong. */
static int
ended(int r, const struct err *err)
{
	if (r < 0) {
		_cleanup_json_ json_t *object = err_to_json(err);

		fprintf(stderr, "bmd-import: %s\n", err->text);
		answer(object);
	}
	return r < 0;
}

static int
collect(const char *state, int64_t rate)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct objects *objects = NULL;
	int r = objects_open(state, false, &objects, &err);

	(void)rate;
	if (r >= 0)
		r = collect_run(objects, STDIN_FILENO, STDOUT_FILENO, &err);
	objects_close(objects);
	return ended(r, &err);
}

static int
backup(const char *state, int64_t rate)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct objects *objects = NULL;
	int r = objects_open(state, false, &objects, &err);

	(void)rate;
	if (r >= 0)
		r = backup_run(objects, state, STDIN_FILENO, STDOUT_FILENO, &err);
	objects_close(objects);
	return ended(r, &err);
}

static int
lists(const char *state, int64_t rate)
{
	_cleanup_err_ struct err err = ERR_INIT;
	struct objects *objects = NULL;
	int r = objects_open(state, false, &objects, &err);

	(void)rate;
	if (r >= 0)
		r = lists_run(objects, STDIN_FILENO, STDOUT_FILENO, &err);
	objects_close(objects);
	return ended(r, &err);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"state", required_argument, NULL, 's'}, {"limit", required_argument, NULL, 'l'},
	    {"rate", required_argument, NULL, 'r'},  {"verify", no_argument, NULL, 'v'},
	    {"gc", no_argument, NULL, 'g'},	     {"backup", no_argument, NULL, 'b'},
	    {"lists", no_argument, NULL, 'i'},	     {0}};
	struct import_limits limits = import_limits_default;
	const char *state = NULL;
	int (*work)(const char *state, int64_t rate) = NULL; /* other than an upload */
	int64_t rate = 0;
	int c;

	standard_streams();
	json_memory();
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			state = optarg;
		else if (c == 'v')
			work = verify;
		else if (c == 'g')
			work = collect;
		else if (c == 'b')
			work = backup;
		else if (c == 'i')
			work = lists;
		else if (c == 'r' && strspn(optarg, "0123456789") == strlen(optarg))
			rate = strtoll(optarg, NULL, 10);
		else if (c != 'l' || import_limit_parse(optarg, &limits) < 0)
			return usage();
	}
	if (state == NULL || argc - optind != (work != NULL ? 0 : 1))
		return usage();
	return work != NULL ? work(state, rate) : take(state, argv[optind], &limits);
}
