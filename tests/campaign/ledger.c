/* SPDX-License-Identifier: ISC */
/*
 * Lines, times, calls: with little in common with the programs under test, for an oracle that
 * shares their code shares their mistakes.
 */
#include "tests/campaign/ledger.h"

#include <errno.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define REPLY_MAX (4 * 1024 * 1024)

uint64_t
chance(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int
below(uint64_t *state, int n)
{
	return (int)(chance(state) % (uint64_t)n);
}

int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
time_us(const char *text)
{
	struct tm tm = {0};
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t us = 0;

	if (!end)
		return 0;
	if (*end == '.')
		us = (int64_t)(strtod(end, NULL) * 1e6 + 0.5);
	return (int64_t)timegm(&tm) * 1000000 + us;
}

void
time_text(int64_t us, char ret_text[40])
{
	time_t seconds = us / 1000000;
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(ret_text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + n, 40 - n, ".%06dZ", (int)(us % 1000000));
}

int
ledger_open(const char *folder, const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		err(99, "cannot open %s", path);
	return fd;
}

void
ledger_line(int fd, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	size_t n = strlen(text);

	text[n] = '\n';
	if (write(fd, text, n + 1) != (ssize_t)n + 1)
		err(99, "cannot write a ledger");
	free(text);
	json_decref(object);
}

json_t *
ledger_read(const char *folder, const char *name)
{
	char path[4096], *line = NULL;
	json_t *lines = json_array();
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file)
		err(99, "cannot read %s", path);
	while (getline(&line, &room, file) > 0) {
		json_t *object = json_loads(line, 0, NULL);

		if (!object)
			errx(99, "%s: not a line of a ledger: %s", path, line);
		json_array_append_new(lines, object);
	}
	free(line);
	fclose(file);
	return lines;
}

void
note_run(int ledger, const char *what, int code)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s %s %s %s %d %lld %lld %d\n", what,
			 getenv("BM_JOB"), getenv("BM_STAGE"), getenv("BM_STEP"), (int)getpid(),
			 (long long)clock_us(CLOCK_BOOTTIME), (long long)clock_us(CLOCK_REALTIME),
			 code);

	if (write(ledger, line, (size_t)n) != n || fdatasync(ledger) < 0)
		err(99, "cannot write the ledger");
}

bool
hold_stage(const char *folder)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/stage.%s", folder, getenv("BM_STAGE"));
	fd = open(path, O_RDWR | O_CREAT, 0644); /* without CLOEXEC: it is held by what we leave */
	if (fd < 0)
		err(99, "cannot open %s", path);
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool
send_call(int fd, const char *method, json_t *parameters)
{
	json_t *call = json_pack("{s:o, s:O}", "method", json_sprintf("io.bmd.Control.%s", method),
				 "parameters", parameters);
	char *text = json_dumps(call, JSON_COMPACT);
	size_t n = strlen(text) + 1;
	bool sent = send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;

	free(text);
	json_decref(call);
	return sent;
}

static json_t *
read_reply(int fd, int64_t until_us)
{
	char *text = malloc(REPLY_MAX);
	json_t *reply = NULL;
	size_t n = 0;

	while (text && n < REPLY_MAX) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left_us = until_us - clock_us(CLOCK_MONOTONIC);
		ssize_t got;

		if (left_us <= 0 || poll(&ready, 1, (int)(left_us / 1000) + 1) <= 0)
			break;
		got = recv(fd, text + n, REPLY_MAX - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		if (text[n - 1] == '\0') {
			reply = json_loads(text, 0, NULL);
			break;
		}
	}
	free(text);
	return reply;
}

json_t *
ask(const char *socket_path, const char *method, json_t *parameters, int timeout_ms)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int64_t until_us = clock_us(CLOCK_MONOTONIC) + (int64_t)timeout_ms * 1000;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	json_t *reply = NULL;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send_call(fd, method, parameters))
		reply = read_reply(fd, until_us);
	if (fd >= 0)
		close(fd);
	return reply;
}

const char *
error_name(const json_t *reply)
{
	const char *name = json_string_value(json_object_get(reply, "error"));
	const char *dot = name ? strrchr(name, '.') : NULL;

	return dot ? dot + 1 : name;
}

json_t *
answer(const json_t *reply, const char *key)
{
	return json_object_get(json_object_get(reply, "parameters"), key);
}

const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t
number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool
state_final(const char *state)
{
	static const char *const final[] = {"succeeded", "failed",     "cancelled",
					    "missed",	 "superseded", "lost"};

	for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++)
		if (strcmp(state, final[i]) == 0)
			return true;
	return false;
}
