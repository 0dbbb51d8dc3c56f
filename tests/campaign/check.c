/* SPDX-License-Identifier: ISC */
/*
 * The judge: reads the three ledgers, after all is over, and says what does not agree.
 *
 *   asked    every accepted job is there, the same key is the same job, a refused one is none (I1,
 * I11); what a client was told of an end stays so, and of a time until it asks for another (I6)
 *   audited  each change that was accepted is one row of the audit, one that was refused is none
 * that was done (I11) started  each step of a job at most once, and only of a job that says so,
 * neither before its time nor after its grace; missed only then (I2 I3 I4) stages   one run at a
 * time, to the last of its processes (I5) ends     succeeded only if every step said 0, failed and
 * its exit code as the step said, lost only if its bmd-run was killed or could not write its
 * result, cancelled only if somebody wanted it, superseded only if it was to be skipped (I8);
 * nothing waits that nobody waits for (I7); a step that began is a step of its job, and ended as it
 * said (I8) files    a step found what its build holds (I10); an upload is a build if bmctl said
 * so, and none if it refused (I1 I11)
 *
 *   check FOLDER STEP…      the steps of the plan that write R, in order
 */
#include <err.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "tests/campaign/ledger.h"

#define STEPS_MAX 8
/* so long may lie between the decision that a job starts and its start */
#define LAUNCH_US (10 * INT64_C(1000000))

struct ran { /* a line of R */
	char what[16], stage[32], step[32];
	long long job, pid, boot_us, real_us;
	int code;
};

struct step_ran {
	int starts, ends, code;
};

struct job_ran {
	long long job;
	char stage[32];
	struct step_ran steps[STEPS_MAX];
	int starts;
	long long first_boot_us, last_boot_us, first_real_us;
};

struct check {
	json_t *asked, *dump; /* A, D */
	json_t *keys;	      /* key → {job, error, method} of its first answer */
	json_t *jobs;	      /* id → line of D */
	json_t *killed;	      /* id of a job whose bmd-run was killed */
	json_t *struck;	      /* id of a job to whose bmd-run, or a child of it, a fault came */
	json_t *unwritten;    /* id of a job whose bmd-run could not write once, an event perhaps */
	json_t *silent; /* id of a job whose bmd-run ended over a fault, behind its claim, without a
			   result on disk */
	json_t *asks;	/* key → what was asked */
	json_t *timed;	/* id of a job that was given a time at last */
	json_t *released, *cancelled; /* id of a job that somebody released, wanted to cancel */
	json_t *builds;		      /* release of an upload → how many builds it became */
	/* key of a change → how many rows of the audit say that it was done */
	json_t *audit;
	struct ran *ran;
	size_t nran, room;
	struct job_ran *runs; /* by job */
	size_t nruns;
	char **steps;
	int nsteps;
	int violations, unanswered, accepted, refused, uploads[2]; /* done, not done */
};

static void __attribute__((format(printf, 3, 4)))
violation(struct check *check, const char *invariant, const char *format, ...)
{
	va_list ap;

	printf("VIOLATION %s: ", invariant);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	check->violations++;
}

static const char *
id_text(int64_t id)
{
	static char text[24];

	snprintf(text, sizeof(text), "%" PRId64, id);
	return text;
}

/* ---- reading */

static void
read_ran(struct check *check, const char *folder)
{
	char path[4096], line[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/R", folder);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		struct ran ran;

		if (sscanf(line, "%15s %lld %31s %31s %lld %lld %lld %d", ran.what, &ran.job,
			   ran.stage, ran.step, &ran.pid, &ran.boot_us, &ran.real_us,
			   &ran.code) != 8)
			errx(99, "not a line of R: %s", line);
		if (check->nran == check->room) {
			check->room = check->room ? check->room * 2 : 1024;
			check->ran = reallocarray(check->ran, check->room, sizeof(ran));
			if (!check->ran)
				err(99, "reallocarray");
		}
		check->ran[check->nran++] = ran;
	}
	if (file)
		fclose(file);
}

static struct job_ran *
run_of(struct check *check, long long job)
{
	for (size_t i = check->nruns; i-- > 0;)
		if (check->runs[i].job == job)
			return &check->runs[i];
	return NULL;
}

static int
step_index(const struct check *check, const char *name)
{
	for (int i = 0; i < check->nsteps; i++)
		if (strcmp(check->steps[i], name) == 0)
			return i;
	errx(99, "R speaks of an unknown step %s", name);
}

static void
gather_run(struct check *check, const struct ran *ran)
{
	struct job_ran *run = run_of(check, ran->job);
	struct step_ran *step;

	if (!run) {
		run = &check->runs[check->nruns++];
		run->job = ran->job;
		snprintf(run->stage, sizeof(run->stage), "%s", ran->stage);
		run->first_boot_us = ran->boot_us;
		run->first_real_us = ran->real_us;
	}
	run->last_boot_us = ran->boot_us > run->last_boot_us ? ran->boot_us : run->last_boot_us;
	if (ran->boot_us < run->first_boot_us) {
		run->first_boot_us = ran->boot_us;
		run->first_real_us = ran->real_us;
	}
	step = &run->steps[step_index(check, ran->step)];
	if (strcmp(ran->what, "start") == 0) {
		run->starts++;
		step->starts++;
	} else if (strcmp(ran->what, "end") == 0) {
		step->ends++;
		step->code = ran->code;
	} else if (strcmp(ran->what, "wrong") == 0) {
		violation(check, "I10",
			  "step %s of job %lld on stage %s found other files than its build's",
			  ran->step, ran->job, ran->stage);
	} else {
		violation(check, "I5", "step %s of job %lld found stage %s in use", ran->step,
			  ran->job, ran->stage);
	}
}

/* ---- what was wanted of jobs, by clients and by the driver */

static void
note_wanted(struct check *check, const char *method, const json_t *parameters)
{
	const char *id = id_text(number_of(parameters, "job"));

	if (strcmp(method, "Release") == 0)
		json_object_set_new(check->released, id, json_true());
	else if (strcmp(method, "Cancel") == 0)
		json_object_set_new(check->cancelled, id, json_true());
}

static void
gather_wanted(struct check *check)
{
	json_t *line;
	size_t i;

	json_array_foreach (check->asked, i, line) {
		const char *did = text_of(line, "did"), *method = text_of(line, "method");
		json_t *parameters = json_object_get(line, "parameters");

		if (strcmp(did, "ask") == 0 || strcmp(did, "drive") == 0) {
			note_wanted(check, method, parameters);
			json_object_set(check->asks, text_of(line, "key"), parameters);
		} else if (strcmp(did, "answer") == 0 && !*text_of(line, "error") &&
			   *text_of(line, "key")) {
			const json_t *asked = json_object_get(check->asks, text_of(line, "key"));
			const char *id = id_text(number_of(line, "job"));

			if (json_object_get(check->keys, text_of(line, "key")) != line)
				continue; /* asked again */
			if (json_object_get(asked, "at"))
				json_object_set_new(check->timed, id, json_true());
			else if (json_object_get(asked, "now"))
				json_object_del(check->timed, id);
		}
	}
}

/* ---- asked */

static void
check_answer(struct check *check, json_t *line)
{
	const char *key = text_of(line, "key"), *method = text_of(line, "method");
	json_t *first = json_object_get(check->keys, key);
	int64_t job = number_of(line, "job");

	if (!*key)
		return;
	if (!first) {
		json_object_set(check->keys, key, line);
		if (*text_of(line, "error"))
			check->refused++;
		else
			check->accepted++;
		return;
	}
	/* What was refused once may be accepted later, for nothing was done; never the other way.
	 */
	if (!*text_of(first, "error")) {
		if (*text_of(line, "error"))
			violation(check, "I1", "%s %s: job %" PRId64 " at first, then %s (%s)",
				  method, key, number_of(first, "job"), text_of(line, "error"),
				  text_of(line, "message"));
		else if (number_of(first, "job") != job)
			violation(check, "I1", "%s %s: job %" PRId64 " at first, then %" PRId64,
				  method, key, number_of(first, "job"), job);
	} else if (!*text_of(line, "error")) {
		json_object_set(check->keys, key, line);
	}
}

static bool
is_deployment(const char *method)
{
	return strcmp(method, "Deploy") == 0 || strcmp(method, "Redeploy") == 0;
}

/*
 * LINE is the end of a bmd-run that met a fault (tests/campaign/fault_run.c). It may leave its job
 * without a result if it had claimed it and either every try to write the result was, at last, made
 * to fail, or it ended for want of memory or of a watch (71, EX_OSERR) and the latest allocation or
 * watch was made to fail. Nothing else excuses it: no fault of bmd, of bmd-import or of another
 * bmd-run, none that came to this one and let it write, and no crash, for who crashes tells no end.
 * A claim that fails is taken back, and the job begun anew.
 */
static bool
leaves_no_result(const json_t *line)
{
	const char *result = text_of(line, "result"), *latest = text_of(line, "latest");

	if (strcmp(text_of(line, "claim"), "made") != 0 || strcmp(result, "made") == 0)
		return false;
	return strcmp(result, "struck") == 0 ||
	       (number_of(line, "status") == EX_OSERR &&
		(strcmp(latest, "memory") == 0 || strcmp(latest, "watch") == 0));
}

static void
note_struck(struct check *check, const char *id, const char *call)
{
	json_object_set_new(check->struck, id, json_true());
	if (strcmp(call, "write") == 0 || strcmp(call, "sync") == 0)
		json_object_set_new(check->unwritten, id, json_true());
}

/* What happened to the bmd-run of jobs. */
static void
gather_runs(struct check *check)
{
	json_t *line;
	size_t i;

	json_array_foreach (check->asked, i, line) {
		const char *did = text_of(line, "did"), *id = id_text(number_of(line, "job"));

		if (strcmp(did, "kill-run") == 0)
			json_object_set_new(check->killed, id, json_true());
		else if (strcmp(did, "struck") == 0)
			note_struck(check, id, text_of(line, "call"));
		else if (strcmp(did, "end-run") == 0 && leaves_no_result(line))
			json_object_set_new(check->silent, id, json_true());
	}
}

static void
check_asked(struct check *check)
{
	json_t *line, *reasons = json_object();
	const char *key;
	size_t i;

	json_array_foreach (check->asked, i, line)
		if (strcmp(text_of(line, "did"), "answer") == 0)
			check_answer(check, line);
	json_array_foreach (check->dump, i, line) {
		const json_t *job = json_object_get(line, "job");
		const char *reason = text_of(job, "reason");

		if (*reason != 'c')
			continue;
		if (json_object_get(reasons, reason))
			violation(check, "I1", "%s became two jobs, %" PRId64 " is one", reason,
				  number_of(job, "id"));
		json_object_set(reasons, reason, json_object_get(job, "id"));
	}
	json_object_foreach (check->keys, key, line) {
		json_t *id = json_object_get(reasons, key);

		if (!is_deployment(text_of(line, "method")))
			continue;
		if (*text_of(line, "error") && id)
			violation(check, "I11", "%s was refused (%s), and is job %lld", key,
				  text_of(line, "error"), (long long)json_integer_value(id));
		if (!*text_of(line, "error") && json_integer_value(id) != number_of(line, "job"))
			violation(check, "I1",
				  "%s was accepted as job %" PRId64 ", which bmd does not know",
				  key, number_of(line, "job"));
	}
	json_decref(reasons);
}

/* Does LINE say how a job is? A question that is asked again gets the answer of then. */
static bool
says_how_it_is(const struct check *check, const json_t *line)
{
	const char *key = text_of(line, "key");

	return strcmp(text_of(line, "did"), "answer") == 0 && *text_of(line, "state") &&
	       (!*key || json_object_get(check->keys, key) == line);
}

/* What was seen of a job: once final, it stays so, for all who ask later. */
static void
check_seen(struct check *check)
{
	json_t *ends = json_object(), *line;
	size_t i;

	json_array_foreach (check->asked, i, line) {
		const char *id = id_text(number_of(line, "job")), *state = text_of(line, "state");
		json_t *end = json_object_get(ends, id), *job;

		if (!says_how_it_is(check, line))
			continue;
		if (end && number_of(line, "asked_us") > number_of(end, "us") &&
		    strcmp(text_of(end, "state"), state) != 0)
			violation(check, "I6", "job %s was %s, then %s", id, text_of(end, "state"),
				  state);
		if (!end && state_final(state)) {
			json_object_set(ends, id, line);
			job = json_object_get(json_object_get(check->jobs, id), "job");
			if (strcmp(text_of(job, "state"), state) != 0)
				violation(check, "I6", "job %s was told to be %s and is %s", id,
					  state, text_of(job, "state"));
		}
	}
	json_decref(ends);
}

/* Each job is known to one client alone, whose last word on its time is what bmd says in the
 * end. */
static void
check_due(struct check *check)
{
	json_t *told = json_object(), *line;
	const char *id;
	size_t i;

	json_array_foreach (check->asked, i, line)
		if (says_how_it_is(check, line) && *text_of(line, "due"))
			json_object_set(told, id_text(number_of(line, "job")),
					json_object_get(line, "due"));
	json_object_foreach (told, id, line) {
		const json_t *job = json_object_get(json_object_get(check->jobs, id), "job");

		if (job && strcmp(text_of(job, "due"), json_string_value(line)) != 0)
			violation(check, "I6", "job %s was due at %s at last, and is due at %s", id,
				  json_string_value(line), text_of(job, "due"));
	}
	json_decref(told);
}

/* ---- audited */

/* The reason stands last in what a row says, and it is the key. */
static void
gather_audit(struct check *check, const json_t *row)
{
	const char *text = text_of(row, "text"), *space = strrchr(text, ' ');
	const char *key = space ? space + 1 : text;

	if (number_of(row, "refused") == 0)
		json_object_set_new(check->audit, key,
				    json_integer(1 + number_of(check->audit, key)));
}

static void
check_audit(struct check *check)
{
	const char *key;
	json_t *line;

	json_object_foreach (check->keys, key, line) {
		bool done = !*text_of(line, "error");

		if (number_of(check->audit, key) != done)
			violation(check, "I11",
				  "%s %s was %s, and is %" PRId64 " rows of the audit",
				  text_of(line, "method"), key, done ? "accepted" : "refused",
				  number_of(check->audit, key));
	}
}

/* bmctl's exit codes: 0 it is there; 5 nobody knows; all others: it is not. */
static void
check_uploads(struct check *check)
{
	json_t *line;
	size_t i;

	json_array_foreach (check->asked, i, line) {
		const char *release = text_of(line, "release");
		int64_t code = number_of(line, "code"), n = number_of(check->builds, release);

		if (strcmp(text_of(line, "did"), "upload") != 0)
			continue;
		check->uploads[code == 0 ? 0 : 1]++;
		if (code == 0 && n != 1)
			violation(check, "I1",
				  "the upload of %s was accepted, and is %" PRId64 " builds",
				  release, n);
		else if (code != 0 && (n > 1 || (n == 1 && code != 5)))
			violation(check, "I11",
				  "the upload of %s ended with %" PRId64 ", and is %" PRId64
				  " builds",
				  release, code, n);
	}
}

/* ---- started, stages */

static void
check_started(struct check *check)
{
	for (size_t i = 0; i < check->nruns; i++) {
		const struct job_ran *run = &check->runs[i];
		const json_t *job =
		    json_object_get(json_object_get(check->jobs, id_text(run->job)), "job");

		for (int s = 0; s < check->nsteps; s++)
			if (run->steps[s].starts > 1)
				violation(check, "I2", "step %s of job %lld started %d times",
					  check->steps[s], run->job, run->steps[s].starts);
		if (!job)
			violation(check, "I3", "job %lld ran, and bmd does not know it", run->job);
		else if (!*text_of(job, "started"))
			violation(check, "I3", "job %lld ran, and bmd says %s, never started",
				  run->job, text_of(job, "state"));
		if (job && run->first_real_us < time_us(text_of(job, "due")))
			violation(check, "I4", "job %lld started %lld us before its time", run->job,
				  (long long)time_us(text_of(job, "due")) - run->first_real_us);
	}
}

static void
check_stages(struct check *check)
{
	for (size_t i = 0; i < check->nruns; i++)
		for (size_t k = 0; k < check->nruns; k++) {
			const struct job_ran *a = &check->runs[i], *b = &check->runs[k];

			if (a->job != b->job && strcmp(a->stage, b->stage) == 0 &&
			    b->first_boot_us > a->first_boot_us &&
			    b->first_boot_us < a->last_boot_us)
				violation(check, "I5", "job %lld began on stage %s during job %lld",
					  b->job, b->stage, a->job);
		}
}

/* ---- ends */

static void
check_succeeded(struct check *check, int64_t id, const struct job_ran *run)
{
	for (int s = 0; s < check->nsteps; s++)
		if (!run || run->steps[s].ends != 1 || run->steps[s].code != 0)
			violation(check, "I8", "job %" PRId64 " succeeded, and its step %s did not",
				  id, check->steps[s]);
}

static bool
writes(const struct check *check, const char *step)
{
	for (int i = 0; i < check->nsteps; i++)
		if (strcmp(check->steps[i], step) == 0)
			return true;
	return false;
}

/* What a step said of its end is what bmd says of it. One that said nothing could not be begun, and
 * has no exit code, or it places files and writes nothing, whatever it ends with: either only over
 * a fault, or a kill, that came to the bmd-run of this very job. */
static void
check_failed(struct check *check, const json_t *job, const struct job_ran *run)
{
	const char *name = text_of(job, "failed_step"), *id = id_text(number_of(job, "id"));
	int64_t code = number_of(job, "exit_code");
	bool hit = json_object_get(check->struck, id) || json_object_get(check->killed, id);
	const struct step_ran *step =
	    run && writes(check, name) ? &run->steps[step_index(check, name)] : NULL;

	if (step && step->ends == 1 && step->code != 0 && code == step->code)
		return;
	if (hit && !(step && step->ends > 0) &&
	    (json_is_null(json_object_get(job, "exit_code")) || !writes(check, name)))
		return;
	violation(check, "I8",
		  "job %" PRId64 " failed with %" PRId64 " in \"%s\" (%s), and R says %d",
		  number_of(job, "id"), code, name, text_of(job, "message"),
		  step && step->ends ? step->code : -1);
}

/* Of a timed job: what its grace allows. */
static void
check_grace(struct check *check, const json_t *job, const char *state)
{
	int64_t last_us = time_us(text_of(job, "due")) + number_of(job, "grace_us");
	int64_t started_us = time_us(text_of(job, "started"));
	const char *id = id_text(number_of(job, "id"));

	if (strcmp(state, "missed") == 0 && !json_object_get(check->timed, id))
		violation(check, "I4", "job %s is missed, and had no time", id);
	if (strcmp(state, "missed") == 0 && time_us(text_of(job, "finished")) < last_us)
		violation(check, "I4", "job %s was missed %lld us before its grace ended", id,
			  (long long)(last_us - time_us(text_of(job, "finished"))));
	if (json_object_get(check->timed, id) && !json_object_get(check->released, id) &&
	    started_us > last_us + LAUNCH_US)
		violation(check, "I4", "job %s started %lld us after its grace ended", id,
			  (long long)(started_us - last_us));
}

static const json_t *
step_of(const json_t *job, const char *name)
{
	const json_t *step;
	size_t i;

	json_array_foreach (json_object_get(job, "steps"), i, step)
		if (strcmp(text_of(step, "name"), name) == 0)
			return step;
	return NULL;
}

/* No step begins before it is on disk that it does; how it ended is known unless the run was lost.
 * A step that was cancelled may have said how it ends, and have been killed behind that. */
static void
check_steps(struct check *check, const json_t *job, const struct job_ran *run)
{
	const char *id = id_text(run->job);
	bool lost = strcmp(text_of(job, "state"), "lost") == 0;

	for (int s = 0; s < check->nsteps; s++) {
		const struct step_ran *ran = &run->steps[s];
		const json_t *step = step_of(job, check->steps[s]);
		const char *state = text_of(step, "state");

		if (!step && ran->starts > 0 && !json_object_get(check->unwritten, id))
			violation(check, "I8", "step %s of job %s began, and bmd does not know it",
				  check->steps[s], id);
		if (step && !lost && ran->ends > 0 && strcmp(state, "cancelled") != 0 &&
		    json_integer_value(json_object_get(step, "exit_code")) != ran->code)
			violation(check, "I8",
				  "step %s of job %s is %s with %" PRId64 ", and R says %d",
				  check->steps[s], id, state, number_of(step, "exit_code"),
				  ran->code);
		if (strcmp(state, "succeeded") == 0 && ran->ends == 0)
			violation(check, "I8",
				  "step %s of job %s succeeded, and R knows no end of it",
				  check->steps[s], id);
	}
}

/* The ends that bmd itself decides on. The reason of a client's job is the key that it was asked
 * with. */
static void
check_decided(struct check *check, const json_t *job, const char *state)
{
	const char *id = id_text(number_of(job, "id")), *message = text_of(job, "message");
	const json_t *asked = json_object_get(check->asks, text_of(job, "reason"));

	if (strcmp(state, "lost") == 0 && !json_object_get(check->killed, id) &&
	    !json_object_get(check->silent, id))
		violation(check, "I8",
			  "job %s is lost, and its bmd-run was neither killed nor kept from "
			  "writing its result: %s",
			  id, message);
	if (strcmp(state, "cancelled") == 0 && !json_object_get(check->cancelled, id))
		violation(check, "I8", "job %s is cancelled, and nobody wanted that: %s", id,
			  message);
	if (strcmp(state, "superseded") == 0 && strcmp(text_of(asked, "if_changed"), "skip") != 0)
		violation(check, "I8", "job %s is superseded, and nobody wanted it skipped: %s", id,
			  message);
}

static void
check_ends(struct check *check)
{
	json_t *line;
	size_t i;

	json_array_foreach (check->dump, i, line) {
		const json_t *job = json_object_get(line, "job");
		int64_t id = number_of(job, "id");
		const char *state = text_of(job, "state"),
			   *listed = text_of(json_object_get(line, "listed"), "state");
		const struct job_ran *run = run_of(check, id);

		if (strcmp(state, listed) != 0)
			violation(check, "I6", "job %" PRId64 " is %s in its list and %s by itself",
				  id, listed, state);
		if (!state_final(state))
			violation(check, "I7", "job %" PRId64 " is still %s: %s", id, state,
				  text_of(json_object_get(job, "waits_for"), "text"));
		if (strcmp(state, "succeeded") == 0)
			check_succeeded(check, id, run);
		if (strcmp(state, "failed") == 0)
			check_failed(check, job, run);
		check_decided(check, job, state);
		if (run)
			check_steps(check, job, run);
		check_grace(check, job, state);
		if (strcmp(state, "missed") == 0 && run)
			violation(check, "I3", "job %" PRId64 " is missed, and it ran", id);
	}
}

/* ---- */

static void
count_states(const struct check *check)
{
	json_t *counts = json_object(), *line, *count;
	const char *state;
	size_t i;

	json_array_foreach (check->dump, i, line) {
		state = text_of(json_object_get(line, "job"), "state");
		json_object_set_new(counts, state, json_integer(1 + number_of(counts, state)));
	}
	printf("jobs %zu (", json_array_size(check->dump));
	i = 0;
	json_object_foreach (counts, state, count)
		printf("%s%s %lld", i++ ? ", " : "", state, (long long)json_integer_value(count));
	printf("), uploads done %d, not done %d, steps begun and ended %zu, keys accepted %d, "
	       "refused %d, without an answer %d\n",
	       check->uploads[0], check->uploads[1], check->nran, check->accepted, check->refused,
	       check->unanswered);
	json_decref(counts);
}

static void
count_unanswered(struct check *check)
{
	json_t *line, *seen = json_object();
	size_t i;

	json_array_foreach (check->asked, i, line) {
		const char *key = text_of(line, "key");

		if (strcmp(text_of(line, "did"), "ask") != 0 || !*key || json_object_get(seen, key))
			continue;
		json_object_set_new(seen, key, json_true());
		check->unanswered += !json_object_get(check->keys, key);
	}
	json_decref(seen);
}

static void
check_clear(struct check *check)
{
	json_decref(check->asked);
	json_decref(check->dump);
	json_decref(check->keys);
	json_decref(check->jobs);
	json_decref(check->killed);
	json_decref(check->struck);
	json_decref(check->silent);
	json_decref(check->unwritten);
	json_decref(check->builds);
	json_decref(check->audit);
	json_decref(check->asks);
	json_decref(check->timed);
	json_decref(check->released);
	json_decref(check->cancelled);
	free(check->ran);
	free(check->runs);
}

int
main(int argc, char **argv)
{
	struct check check = {.keys = json_object(),
			      .jobs = json_object(),
			      .killed = json_object(),
			      .builds = json_object(),
			      .audit = json_object(),
			      .asks = json_object(),
			      .timed = json_object(),
			      .released = json_object(),
			      .cancelled = json_object(),
			      .struck = json_object(),
			      .silent = json_object(),
			      .unwritten = json_object()};
	json_t *line;
	size_t i;

	if (argc < 3 || argc - 2 > STEPS_MAX)
		errx(99, "usage: check FOLDER STEP...");
	check.steps = argv + 2;
	check.nsteps = argc - 2;
	check.asked = ledger_read(argv[1], "A");
	check.dump = ledger_read(argv[1], "D");
	read_ran(&check, argv[1]);
	check.runs = calloc(check.nran + 1, sizeof(*check.runs));
	for (i = 0; i < check.nran; i++)
		gather_run(&check, &check.ran[i]);
	for (i = json_array_size(check.dump); i-- > 0;) {
		line = json_array_get(check.dump, i);
		if (strcmp(text_of(line, "list"), "ListAudit") == 0)
			gather_audit(&check, json_object_get(line, "row"));
		else if (strcmp(text_of(line, "list"), "ListBuilds") == 0)
			json_object_set(check.builds, text_of(line, "release"),
					json_object_get(line, "builds"));
		else
			continue;
		json_array_remove(check.dump, i);
	}
	json_array_foreach (check.dump, i, line) {
		const char *id = id_text(number_of(json_object_get(line, "job"), "id"));

		if (json_object_get(check.jobs, id))
			violation(&check, "I7", "job %s is both in the queue and in the history",
				  id);
		json_object_set(check.jobs, id, line);
	}
	gather_runs(&check);
	check_asked(&check);
	gather_wanted(&check);
	check_seen(&check);
	check_due(&check);
	check_audit(&check);
	check_uploads(&check);
	check_started(&check);
	check_stages(&check);
	check_ends(&check);
	count_unanswered(&check);
	count_states(&check);
	printf("violations %d\n", check.violations);
	check_clear(&check);
	return check.violations || check.unanswered ? 1 : 0;
}
