/* SPDX-License-Identifier: ISC */
/*
 * The load: clients that ask, and ask again with the same key until they are answered, whatever
 * becomes of bmd meanwhile; each question and each answer goes into A. The key of a change is also
 * its reason, so that it can be found in bmd's own words, the job's and the audit's. TERM: each
 * ends when its question is answered.
 *
 *   clients SOCKET FOLDER SEED COUNT STAGES
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/campaign/ledger.h"

#define KNOWN	    32
#define PAUSE_MS    90
#define REPLY_MS    20000
#define GIVE_UP_US  (INT64_C(60) * 1000000)
#define CLIENTS_MAX 64

struct client {
	const char *socket;
	int ledger, number, count, stages;
	uint64_t dice;
	int64_t known[KNOWN]; /* jobs that it heard of */
	int nknown;
	char key[64];
	const char *method; /* of the last question that had an answer, asked again at times */
	json_t *parameters;
};

static volatile sig_atomic_t stopping;

static void
on_term(int signal)
{
	(void)signal;
	stopping = 1;
}

static void
know(struct client *client, int64_t job)
{
	if (job > 0)
		client->known[client->nknown++ % KNOWN] = job;
}

static int64_t
some_job(struct client *client)
{
	int n = client->nknown < KNOWN ? client->nknown : KNOWN;

	return n == 0 ? 0 : client->known[below(&client->dice, n)];
}

/* An answer that says nothing of what was done: the same key is asked again. */
static bool
answered(const json_t *reply)
{
	const char *error = reply ? error_name(reply) : NULL;

	return reply &&
	       (!error || (strcmp(error, "OutcomeUnknown") != 0 && strcmp(error, "TooMany") != 0 &&
			   strcmp(error, "NoSpace") != 0));
}

static void
write_answer(struct client *client, const char *method, const char *key, int64_t asked_us,
	     const json_t *reply)
{
	const json_t *job = answer(reply, "job");

	ledger_line(client->ledger,
		    json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:s, s:s}", "did",
			      "answer", "client", client->number, "method", method, "key", key,
			      "asked_us", (json_int_t)asked_us, "us",
			      (json_int_t)clock_us(CLOCK_MONOTONIC), "error",
			      error_name(reply) ? error_name(reply) : "", "job",
			      (json_int_t)number_of(job, "id"), "state", text_of(job, "state"),
			      "due", text_of(job, "due"), "message",
			      json_string_value(answer(reply, "message"))
				  ? json_string_value(answer(reply, "message"))
				  : ""));
}

/* Until it is answered. KEY "" for a question that changes nothing. */
static void
insist(struct client *client, const char *method, const char *key, json_t *parameters)
{
	int64_t since_us = clock_us(CLOCK_MONOTONIC), asked_us;

	for (;;) {
		json_t *reply;

		asked_us = clock_us(CLOCK_MONOTONIC);
		ledger_line(client->ledger,
			    json_pack("{s:s, s:i, s:s, s:s, s:I, s:O}", "did", "ask", "client",
				      client->number, "method", method, "key", key, "us",
				      (json_int_t)asked_us, "parameters", parameters));
		do {
			reply = ask(client->socket, method, parameters, REPLY_MS);
			if (!answered(reply)) {
				json_decref(reply);
				reply = NULL;
				usleep(2000);
			}
		} while (!reply && clock_us(CLOCK_MONOTONIC) - since_us < GIVE_UP_US);
		if (!reply)
			return; /* A holds the question alone, which the checker counts */
		write_answer(client, method, key, asked_us, reply);
		know(client, number_of(answer(reply, "job"), "id"));
		json_decref(reply);
		return;
	}
}

static void
when(struct client *client, json_t *parameters, bool now)
{
	char at[40];

	if (now) {
		json_object_set_new(parameters, "now", json_true());
		return;
	}
	time_text(clock_us(CLOCK_REALTIME) + 150000 + below(&client->dice, 2000) * 1000, at);
	json_object_set_new(parameters, "at", json_string(at));
	json_object_set_new(parameters, "text", json_string(at));
	json_object_set_new(parameters, "zone", json_string("UTC"));
}

static json_t *
deployment(struct client *client, bool redeploy, bool now)
{
	static const char *const guards[] = {"run", "run", "hold", "skip"};
	char stage[16];
	json_t *parameters;

	snprintf(stage, sizeof(stage), "s%d", below(&client->dice, client->stages));
	parameters = json_pack("{s:s, s:s, s:s, s:s, s:s}", "key", client->key, "reason",
			       client->key, "application", "app", "stage", stage, "if_changed",
			       guards[below(&client->dice, 4)]);
	when(client, parameters, now);
	if (!now && below(&client->dice, 3) == 0)
		json_object_set_new(parameters, "grace_us",
				    json_integer(1000000 + below(&client->dice, 2000) * 1000));
	if (!redeploy || below(&client->dice, 2)) {
		json_object_set_new(parameters, "release", json_string("1.0"));
		json_object_set_new(parameters, "build", json_integer(1 + below(&client->dice, 3)));
	}
	return parameters;
}

static void
change(struct client *client, const char *method, json_t *parameters)
{
	insist(client, method, client->key, parameters);
	json_decref(client->parameters);
	client->method = method;
	client->parameters = parameters;
	if (below(&client->dice, 6) == 0)
		insist(client, method, client->key, parameters);
}

/* What is asked of a job, and why. */
static json_t *
of_job(const struct client *client, int64_t job)
{
	return json_pack("{s:s, s:s, s:I}", "key", client->key, "reason", client->key, "job",
			 (json_int_t)job);
}

/* One more question. */
static void
operate(struct client *client)
{
	int what = below(&client->dice, 100);
	int64_t job = some_job(client);

	/* An old question again: whatever happened in between, the same answer. */
	if (what < 5 && client->parameters) {
		insist(client, client->method, client->key, client->parameters);
		return;
	}
	if (what < 20 && job) {
		json_t *parameters = json_pack("{s:I}", "job", (json_int_t)job);

		insist(client, "GetJob", "", parameters);
		json_decref(parameters);
		return;
	}
	snprintf(client->key, sizeof(client->key), "c%d-%d", client->number, ++client->count);
	if (what < 30 && job)
		change(client, "Cancel", of_job(client, job));
	else if (what < 36 && job)
		change(client, "Release", of_job(client, job));
	else if (what < 42 && job) {
		json_t *parameters = of_job(client, job);

		when(client, parameters, below(&client->dice, 2));
		change(client, "Reschedule", parameters);
	} else if (what < 70)
		change(client, "Deploy", deployment(client, false, what < 60));
	else
		change(client, "Redeploy", deployment(client, true, what < 90));
}

static void
play(struct client *client)
{
	struct sigaction action = {.sa_handler = on_term};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &action, NULL);
	while (!stopping) {
		operate(client);
		usleep((useconds_t)below(&client->dice, PAUSE_MS * 2) * 1000);
	}
	json_decref(client->parameters);
}

int
main(int argc, char **argv)
{
	pid_t pids[CLIENTS_MAX];
	int n = argc == 6 ? atoi(argv[4]) : 0;

	if (n < 1 || n > CLIENTS_MAX)
		errx(99, "usage: clients SOCKET FOLDER SEED COUNT STAGES");
	for (int i = 0; i < n; i++) {
		struct client client = {.socket = argv[1],
					.number = i,
					.stages = atoi(argv[5]),
					.dice =
					    strtoull(argv[3], NULL, 10) * 1000003 + (uint64_t)i};

		pids[i] = fork();
		if (pids[i] < 0)
			err(99, "cannot fork");
		if (pids[i] == 0) {
			client.ledger = ledger_open(argv[2], "A");
			play(&client);
			return 0;
		}
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, on_term);
	while (!stopping)
		pause();
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGTERM);
	for (int i = 0; i < n; i++)
		waitpid(pids[i], NULL, 0);
	return 0;
}
