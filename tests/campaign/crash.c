/* SPDX-License-Identifier: ISC */
/*
 * The driver of the crash campaign. N times it starts bmd under the load of the clients and ends it
 * by SIGKILL at a moment that the seed chooses: at work, while it recovers, together with a
 * bmd-run, or after one of its bmd-run was killed under it. What it does goes into A. It is the
 * human too: a stage that bmd leaves to one is settled, after what is left there was ended. In the
 * end everything is let go, D is written, and nothing may be left: no job that waits, no process,
 * no zombie.
 *
 *   crash BMD CONF SOCKET FOLDER SEED CYCLES CLIENTS STAGES
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/scope.h"
#include "tests/campaign/ledger.h"

#define READY_S	 30
#define DRAIN_S	 180
#define PIDS_MAX 4096
#define REPLY_MS 10000
#define PAGE	 200
#define WAL	 "../state/bmd.db-wal"
#define WAL_MAX	 (20 << 20) /* bytes: bmd lets it keep 16 MiB, and a transaction lies above them */

/* What a program is at when a fault comes: fault.c knows. Half of the faults are dealt to one of
 * them. */
#define PHASES 6
static const struct phase {
	const char *name, *programs[2];
} phases[PHASES] = {
    {"submitting", {"bmd", "bmd"}},
    {"starting", {"bmd", "bmd-run"}},
    {"finishing", {"bmd", "bmd-run"}},
    {"recovering", {"bmd", "bmd"}},
    {"importing", {"bmd-import", "bmd-import"}},
    {"placing", {"bmd-run", "bmd-run"}},
};

struct pids {
	pid_t v[PIDS_MAX];
	int n;
};

struct campaign {
	const char *bmd, *conf, *socket, *folder;
	uint64_t dice;
	int ledger, log, keys, violations;
	pid_t pid, clients, uploads;
	int killed, recovering, runners, together, stopped, points, run_points; /* how often */
	bool armed; /* bmd may die of a failpoint */
	int64_t ready_us, ready_max_us;
	int readies;
	const char *power;  /* the hook of power cuts; NULL: SIGKILL */
	const char *guests; /* the hook that lets hostile clients come; bmd is not killed then */
	int cycles;
	int cuts, faults, struck,
	    ended; /* struck: a process came to it; ended: by itself, over a fault */
	int struck_in[PHASES];
	bool faulty;
	off_t said; /* before it was started */
};

static _Noreturn void
usage(void)
{
	errx(99, "usage: crash BMD CONF SOCKET FOLDER SEED CYCLES CLIENTS STAGES");
}

static void
violation(struct campaign *campaign, const char *what)
{
	printf("VIOLATION: %s\n", what);
	fflush(stdout);
	campaign->violations++;
}

/* ---- failpoints */

/* Beside PROGRAM, bmd or its bmd-run. Free it. */
static char *
beside(struct campaign *campaign, const char *program, const char *suffix)
{
	int folder = (int)(strrchr(campaign->bmd, '/') - campaign->bmd);
	char *path;

	if (asprintf(&path, "%.*s/../%s/%s%s", folder, campaign->bmd,
		     strcmp(program, "bmd") == 0       ? "daemon"
		     : strcmp(program, "bmd-run") == 0 ? "runner"
						       : "import",
		     program, suffix) < 0)
		err(99, "no memory");
	return path;
}

/* The N-th point that a process of PROGRAM passes ends it. */
static void
arm(struct campaign *campaign, const char *program, int n)
{
	char *path = beside(campaign, program, ".fail"), *new = beside(campaign, program, ".new");
	FILE *file = fopen(new, "we");

	if (!file || fprintf(file, "* %d\n", n) < 0 || fclose(file) != 0 || rename(new, path) < 0)
		err(99, "cannot write %s", path);
	free(path);
	free(new);
}

static void
disarm(struct campaign *campaign, const char *program)
{
	char *path = beside(campaign, program, ".fail");

	unlink(path);
	free(path);
}

/* Whom it has hit: lines "POINT PID JOB", for the judge. */
static void
note_hits(struct campaign *campaign)
{
	char *path = beside(campaign, "bmd-run", ".hit"), point[64];
	FILE *file = fopen(path, "re");
	long long pid, job;

	free(path);
	while (file && fscanf(file, "%63s %lld %lld", point, &pid, &job) == 3) {
		ledger_line(campaign->ledger,
			    json_pack("{s:s, s:I, s:I, s:s}", "did", "kill-run", "job",
				      (json_int_t)job, "pid", (json_int_t)pid, "point", point));
		campaign->run_points++;
	}
	if (file)
		fclose(file);
}

/* ---- faults, as those tell who met them: fault.c */

struct struck {
	char call[16], phase[16];
	int code, pid, parent;
	long long job;
};

/* Free it. */
static FILE *
open_beside(struct campaign *campaign, const char *program, const char *suffix)
{
	char *path = beside(campaign, program, suffix);
	FILE *file = fopen(path, "re");

	free(path);
	return file;
}

static bool
next_struck(FILE *file, struct struck *ret)
{
	return file && fscanf(file, "%15s %d %d %d %15s %lld", ret->call, &ret->code, &ret->pid,
			      &ret->parent, ret->phase, &ret->job) == 6;
}

/* Did a fault come to this bmd, of those of the present cycle, or to the child that reads the
 * configuration for it? */
static bool
bmd_was_struck(struct campaign *campaign, pid_t pid)
{
	FILE *file = open_beside(campaign, "bmd", ".struck");
	struct struck struck;
	bool yes = false;

	while (!yes && next_struck(file, &struck))
		yes = struck.pid == (int)pid || struck.parent == (int)pid;
	if (file)
		fclose(file);
	return yes;
}

/* How far each bmd-run came that met a fault, for the judge: fault_run.c. */
static void
note_ended(struct campaign *campaign)
{
	FILE *file = open_beside(campaign, "bmd-run", ".ended");
	char claim[16], result[16], latest[16];
	long long job;
	int pid, status;

	while (file && fscanf(file, "%lld %d %d %15s %15s %15s", &job, &pid, &status, claim, result,
			      latest) == 6)
		ledger_line(campaign->ledger,
			    json_pack("{s:s, s:I, s:i, s:i, s:s, s:s, s:s}", "did", "end-run",
				      "job", (json_int_t)job, "pid", pid, "status", status, "claim",
				      claim, "result", result, "latest", latest));
	if (file)
		fclose(file);
}

/* ---- processes */

/* Does a line that came since bmd was started say why it ends? What it says of a job does not; each
 * bmd-run writes there too. */
static bool
says_why(const char *line)
{
	if (strncmp(line, "bmd: ", 5) != 0)
		return strcmp(line, "out of memory\n") == 0;
	return strstr(line, "; ending\n") || (strncmp(line, "bmd: error: ", 12) == 0 &&
					      strncmp(line, "bmd: error: job ", 16) != 0);
}

static bool
bmd_spoke(struct campaign *campaign)
{
	char path[4200], line[4096];
	bool yes = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/bmd.log", campaign->folder);
	file = fopen(path, "re");
	if (file && fseeko(file, campaign->said, SEEK_SET) == 0)
		while (!yes && fgets(line, sizeof(line), file))
			yes = says_why(line);
	if (file)
		fclose(file);
	return yes;
}

/* bmd is gone, and nobody killed it. Over a fault that came to itself it may end, with a status
 * that says so and a sentence; a crash is none. */
static void
judge_end(struct campaign *campaign, pid_t pid, int status)
{
	char text[160];

	if (campaign->faulty && WIFEXITED(status) && WEXITSTATUS(status) != 0 &&
	    bmd_was_struck(campaign, pid) && bmd_spoke(campaign)) {
		campaign->ended++;
		return;
	}
	snprintf(text, sizeof(text), "bmd ended by itself, status 0x%x%s%s", (unsigned)status,
		 bmd_was_struck(campaign, pid) ? "" : ", and no fault came to it",
		 bmd_spoke(campaign) ? "" : ", without a sentence");
	violation(campaign, text);
}

static void
reap(struct campaign *campaign)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == campaign->clients || pid == campaign->uploads)
			violation(campaign, "the load ended by itself");
		if (pid == campaign->pid) {
			campaign->pid = 0;
			if (campaign->armed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
				campaign->points++;
			else
				judge_end(campaign, pid, status);
		}
	}
}

/* Words of a file of /proc: N bytes at most, NUL-terminated. */
static ssize_t
proc_read(pid_t pid, const char *name, char *ret, size_t n)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : read(fd, ret, n - 1);
	if (fd >= 0)
		close(fd);
	ret[got > 0 ? got : 0] = '\0';
	return got;
}

static void
children_of(pid_t pid, struct pids *ret)
{
	char name[64], text[65536], *next = text;

	snprintf(name, sizeof(name), "task/%d/children", (int)pid);
	if (pid <= 0 || proc_read(pid, name, text, sizeof(text)) <= 0)
		return;
	for (char *word; (word = strsep(&next, " ")) && *word && ret->n < PIDS_MAX;)
		ret->v[ret->n++] = (pid_t)atoi(word);
}

/* The job of a bmd-run, by its title or, before it has one, its last argument; 0 for another
 * program. */
static int64_t
job_of(pid_t pid)
{
	char comm[64], line[4096], *last = line;
	long long job;
	ssize_t n;

	proc_read(pid, "comm", comm, sizeof(comm));
	if (strcmp(comm, "bmd-run\n") != 0)
		return 0;
	n = proc_read(pid, "cmdline", line, sizeof(line));
	if (sscanf(line, "bmd-run: job %lld:", &job) == 1)
		return job;
	for (ssize_t i = 0; i + 1 < n; i++)
		if (line[i] == '\0')
			last = line + i + 1;
	return atoll(last);
}

/* Kills one bmd-run, of those of this bmd and of those before it; what can become of its job is
 * noted before. */
static bool
kill_runner(struct campaign *campaign)
{
	struct pids all = {0}, runners = {0};
	pid_t pid;

	children_of(campaign->pid, &all);
	children_of(getpid(), &all);
	for (int i = 0; i < all.n; i++)
		if (job_of(all.v[i]) > 0)
			runners.v[runners.n++] = all.v[i];
	if (runners.n == 0)
		return false;
	pid = runners.v[below(&campaign->dice, runners.n)];
	ledger_line(campaign->ledger, json_pack("{s:s, s:I, s:i}", "did", "kill-run", "job",
						(json_int_t)job_of(pid), "pid", (int)pid));
	kill(pid, SIGKILL);
	campaign->runners++;
	return true;
}

static bool
environment_has(const char *text, ssize_t n, const char *entry)
{
	for (const char *s = text; s < text + n; s += strlen(s) + 1)
		if (strcmp(s, entry) == 0)
			return true;
	return false;
}

/* Processes of steps: of JOB, or (0) of any. They carry the folder of this campaign. */
static void
steps_of(struct campaign *campaign, int64_t job, struct pids *ret)
{
	static char text[262144];
	char folder[4200], number[64];
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	snprintf(folder, sizeof(folder), "LEDGERS=%s", campaign->folder);
	snprintf(number, sizeof(number), "BM_JOB=%lld", (long long)job);
	while (dir && (entry = readdir(dir)) != NULL && ret->n < PIDS_MAX) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		ssize_t n = pid > 0 ? proc_read(pid, "environ", text, sizeof(text)) : 0;

		if (n > 0 && environment_has(text, n, folder) &&
		    (job == 0 || environment_has(text, n, number)))
			ret->v[ret->n++] = pid;
	}
	if (dir)
		closedir(dir);
}

/* As the human would: nothing of JOB is there any more. */
static void
end_steps(struct campaign *campaign, int64_t job)
{
	for (int i = 0; i < 2000; i++) {
		struct pids left = {0};

		reap(campaign);
		steps_of(campaign, job, &left);
		if (left.n == 0)
			return;
		for (int k = 0; k < left.n; k++)
			kill(left.v[k], SIGKILL);
		usleep(5000);
	}
	violation(campaign, "what a dead run left cannot be ended");
}

/* ---- bmd */

static void
bmd_start(struct campaign *campaign)
{
	campaign->said = lseek(campaign->log, 0, SEEK_END);
	campaign->pid = fork();
	if (campaign->pid < 0)
		err(99, "cannot fork");
	if (campaign->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(campaign->log, STDERR_FILENO);
		if (getenv("CAMPAIGN_PRELOAD"))
			setenv("LD_PRELOAD", getenv("CAMPAIGN_PRELOAD"), 1);
		execl(campaign->bmd, "bmd", "-c", campaign->conf, (char *)NULL);
		err(99, "cannot execute %s", campaign->bmd);
	}
}

static bool
answers(struct campaign *campaign)
{
	json_t *parameters = json_object(),
	       *reply = ask(campaign->socket, "GetStatus", parameters, 500);
	bool yes = reply && !error_name(reply);

	json_decref(parameters);
	json_decref(reply);
	return yes;
}

/* The campaign ends here. What it was at is gone afterwards, so it is told now. */
static _Noreturn void
not_back(struct campaign *campaign)
{
	char stat[512], where[128], text[512], *end;

	if (campaign->pid == 0) {
		violation(campaign, "bmd does not come back: it ended, see the end of bmd.log");
		exit(1);
	}
	proc_read(campaign->pid, "stat", stat, sizeof(stat));
	proc_read(campaign->pid, "wchan", where, sizeof(where));
	end = strrchr(stat, ')');
	snprintf(text, sizeof(text),
		 "bmd does not come back: it is there, in state %c (%s), and does not answer "
		 "within %d s",
		 end ? end[2] : '?', where, READY_S);
	violation(campaign, text);
	exit(1);
}

static void
bmd_ready(struct campaign *campaign)
{
	int64_t since_us = clock_us(CLOCK_MONOTONIC), us;

	while (!answers(campaign)) {
		reap(campaign);
		if (clock_us(CLOCK_MONOTONIC) - since_us > READY_S * INT64_C(1000000) ||
		    campaign->pid == 0) {
			not_back(campaign);
		}
		usleep(1000);
	}
	us = clock_us(CLOCK_MONOTONIC) - since_us;
	campaign->ready_us += us;
	campaign->readies++;
	if (us > campaign->ready_max_us)
		campaign->ready_max_us = us;
}

static void
bmd_end(struct campaign *campaign, int signal)
{
	int status = 0;

	reap(campaign);
	if (campaign->pid == 0)
		return;
	kill(campaign->pid, signal);
	while (waitpid(campaign->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (signal == SIGTERM && status != 0)
		violation(campaign, "bmd was asked to stop and did not end with 0");
	if (signal == SIGKILL && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		judge_end(campaign, campaign->pid, status);
	campaign->pid = 0;
}

static void
moment(struct campaign *campaign, int ms)
{
	usleep((useconds_t)below(&campaign->dice, ms * 1000));
	reap(campaign);
}

/* ---- the human */

static json_t *
page(struct campaign *campaign, const char *method, const char *after)
{
	json_t *parameters = json_pack("{s:i}", "limit", PAGE), *reply;

	if (*after)
		json_object_set_new(parameters, "after", json_string(after));
	reply = ask(campaign->socket, method, parameters, REPLY_MS);
	json_decref(parameters);
	return reply;
}

/* Every job that METHOD lists. */
static json_t *
list(struct campaign *campaign, const char *method)
{
	json_t *jobs = json_array(), *reply;
	char after[256] = "";

	while ((reply = page(campaign, method, after)) != NULL) {
		const char *next = json_string_value(answer(reply, "next"));

		json_array_extend(jobs, answer(reply, "jobs"));
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_decref(reply);
		if (!*after)
			break;
	}
	return jobs;
}

/* A change of the driver's own. */
static void
do_change(struct campaign *campaign, const char *method, json_t *parameters)
{
	char key[32];
	json_t *reply;

	snprintf(key, sizeof(key), "driver-%d", ++campaign->keys);
	json_object_set_new(parameters, "key", json_string(key));
	reply = ask(campaign->socket, method, parameters, REPLY_MS);
	ledger_line(campaign->ledger, json_pack("{s:s, s:s, s:O, s:s}", "did", "drive", "method",
						method, "parameters", parameters, "error",
						!reply		    ? "no answer"
						: error_name(reply) ? error_name(reply)
								    : ""));
	json_decref(reply);
	json_decref(parameters);
}

/* Stages where bmd does not know whether something of a lost run is still there. */
static void
settle(struct campaign *campaign)
{
	json_t *parameters = json_object(), *stage;
	json_t *reply = ask(campaign->socket, "GetStatus", parameters, REPLY_MS);
	size_t i;

	json_array_foreach (answer(reply, "stages"), i, stage) {
		int64_t job = number_of(stage, "occupied_by");
		json_t *known;

		if (job == 0)
			continue;
		end_steps(campaign, job);
		known = json_pack("{s:s, s:O, s:s}", "application", "app", "stage",
				  json_object_get(stage, "stage"), "reason", "looked");
		if (below(&campaign->dice, 2)) {
			json_object_set_new(known, "release", json_string("1.0"));
			json_object_set_new(known, "build", json_integer(1));
		}
		do_change(campaign, "Settle", known);
	}
	json_decref(reply);
	json_decref(parameters);
}

/* In the end held jobs go on, or away, and some of those that wait in line away as well. */
static int
let_go(struct campaign *campaign)
{
	json_t *jobs = list(campaign, "ListQueue"), *job;
	int n = (int)json_array_size(jobs);
	size_t i;

	json_array_foreach (jobs, i, job) {
		const char *state = text_of(job, "state");
		bool held = strcmp(state, "held") == 0;

		if (strcmp(state, "running") != 0 &&
		    !*text_of(json_object_get(job, "waits_for"), "text"))
			violation(campaign, "I7: a job waits, and bmd does not say for what");

		if (held || below(&campaign->dice, 8) == 0)
			do_change(campaign,
				  held && below(&campaign->dice, 3) == 0 ? "Release" : "Cancel",
				  json_pack("{s:I}", "job", (json_int_t)number_of(job, "id")));
	}
	json_decref(jobs);
	return n;
}

static void
drain(struct campaign *campaign)
{
	int64_t since_us = clock_us(CLOCK_MONOTONIC);
	int left;

	do {
		settle(campaign);
		left = let_go(campaign);
		reap(campaign);
		usleep(50000);
	} while (left > 0 && clock_us(CLOCK_MONOTONIC) - since_us < DRAIN_S * INT64_C(1000000));
	if (left > 0)
		violation(campaign, "jobs are still waiting after the campaign: see D");
}

/* ---- D, and what is left */

static void
dump_jobs(struct campaign *campaign, int fd, const char *method)
{
	json_t *jobs = list(campaign, method), *job;
	size_t i;

	json_array_foreach (jobs, i, job) {
		json_t *parameters = json_pack("{s:O}", "job", json_object_get(job, "id"));
		json_t *reply = ask(campaign->socket, "GetJob", parameters, REPLY_MS);

		ledger_line(fd, json_pack("{s:s, s:O, s:O}", "list", method, "listed", job, "job",
					  reply && answer(reply, "job") ? answer(reply, "job")
									: json_null()));
		json_decref(reply);
		json_decref(parameters);
	}
	json_decref(jobs);
}

/* The audit, newest first. */
static void
dump_audit(struct campaign *campaign, int fd)
{
	char after[256] = "";
	json_t *reply, *row;
	size_t i;

	while ((reply = page(campaign, "ListAudit", after)) != NULL) {
		const char *next = json_string_value(answer(reply, "next"));

		json_array_foreach (answer(reply, "rows"), i, row)
			ledger_line(fd, json_pack("{s:s, s:O}", "list", "ListAudit", "row", row));
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_decref(reply);
		if (!*after)
			break;
	}
}

/* What became of each upload. */
static void
dump_builds(struct campaign *campaign, int fd)
{
	json_t *asked = ledger_read(campaign->folder, "A"), *line;
	size_t i;

	json_array_foreach (asked, i, line) {
		json_t *parameters, *reply;

		if (strcmp(text_of(line, "did"), "upload") != 0)
			continue;
		parameters = json_pack("{s:s, s:O}", "application", "app", "release",
				       json_object_get(line, "release"));
		reply = ask(campaign->socket, "ListBuilds", parameters, REPLY_MS);
		ledger_line(fd, json_pack("{s:s, s:O, s:i}", "list", "ListBuilds", "release",
					  json_object_get(line, "release"), "builds",
					  (int)json_array_size(answer(reply, "builds"))));
		json_decref(reply);
		json_decref(parameters);
	}
	json_decref(asked);
}

static void
dump(struct campaign *campaign)
{
	int fd = ledger_open(campaign->folder, "D");

	/* In this order a job that ends meanwhile is in both lists, not in none. */
	dump_jobs(campaign, fd, "ListQueue");
	dump_jobs(campaign, fd, "ListHistory");
	dump_builds(campaign, fd);
	dump_audit(campaign, fd);
	close(fd);
}

/* After the last job nothing of any run is there, and bmd has reaped what it had. */
static void
nothing_left(struct campaign *campaign)
{
	struct pids left = {0}, children = {0};
	char text[128];

	for (int i = 0; i < 100; i++) {
		left.n = children.n = 0;
		reap(campaign);
		steps_of(campaign, 0, &left);
		children_of(campaign->pid, &children);
		if (left.n + children.n == 0)
			return;
		usleep(20000);
	}
	snprintf(text, sizeof(text), "%d processes of steps and %d children of bmd are left",
		 left.n, children.n);
	violation(campaign, text);
	end_steps(campaign, 0);
}

static int
entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* How many descriptors bmd has open. Our own last connection is one of them until bmd has seen that
 * it was closed, and a file may be of the moment: the fewest of a second. */
static int
descriptors(struct campaign *campaign)
{
	int fewest = INT_MAX;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)campaign->pid);
	for (int i = 0; i < 50; i++) {
		int n = entries(path);

		fewest = n < fewest ? n : fewest;
		usleep(20000);
	}
	return fewest;
}

/* After the last job bmd has no more open than one that has just begun, and its -wal has gone back
 * to what it may keep. */
static void
nothing_kept(struct campaign *campaign)
{
	char path[4200], text[128];
	struct stat wal = {0};
	int now = descriptors(campaign), then;

	snprintf(path, sizeof(path) - sizeof(WAL), "%s", campaign->conf);
	strcpy(strrchr(path, '/') + 1, WAL);
	if (stat(path, &wal) < 0)
		err(99, "cannot look at %s", path);
	bmd_end(campaign, SIGTERM);
	bmd_start(campaign);
	bmd_ready(campaign);
	then = descriptors(campaign);
	if (now > then) {
		snprintf(text, sizeof(text),
			 "I12: %d descriptors after the last job, %d after a start", now, then);
		violation(campaign, text);
	}
	if (wal.st_size > WAL_MAX) {
		snprintf(text, sizeof(text), "I12: the -wal is left with %lld bytes",
			 (long long)wal.st_size);
		violation(campaign, text);
	}
}

/* ---- the cycles */

/* bmd ends by itself at the point, or, where it does not come to it, as ever. */
static void
cycle_point(struct campaign *campaign)
{
	campaign->armed = true;
	arm(campaign, "bmd", 1 + below(&campaign->dice, 120));
	bmd_start(campaign);
	for (int i = 0; i < 100 && campaign->pid; i++)
		moment(campaign, 10);
	disarm(campaign, "bmd");
	if (campaign->pid) {
		bmd_end(campaign, SIGKILL);
		campaign->killed++;
	}
	campaign->armed = false;
}

/* A bmd-run ends at a point, and later bmd. */
static void
cycle_run_point(struct campaign *campaign)
{
	arm(campaign, "bmd-run", 1 + below(&campaign->dice, 24));
	bmd_start(campaign);
	bmd_ready(campaign);
	settle(campaign);
	moment(campaign, 300);
	bmd_end(campaign, SIGKILL);
	campaign->killed++;
	moment(campaign, 20);
	disarm(campaign, "bmd-run");
}

static void
cycle_recovery(struct campaign *campaign)
{
	bmd_start(campaign);
	moment(campaign, 40);
	campaign->recovering++;
	bmd_end(campaign, SIGKILL);
	campaign->killed++;
}

/* At work: bmd alone, one of its bmd-run before or after it, or an orderly stop. */
static void
cycle_work(struct campaign *campaign)
{
	int what = below(&campaign->dice, 10);

	bmd_start(campaign);
	bmd_ready(campaign);
	settle(campaign);
	moment(campaign, 120);
	if (what < 4) {
		kill_runner(campaign);
		moment(campaign, 60);
	}
	bmd_end(campaign, what == 4 ? SIGTERM : SIGKILL);
	if (what == 4)
		campaign->stopped++;
	else
		campaign->killed++;
	if (what >= 5 && what < 8 && kill_runner(campaign))
		campaign->together++;
}

/* The hook that cuts the power of the disk below the state folder, and gives it back. */
static void
power(struct campaign *campaign, const char *what)
{
	pid_t pid = fork();
	int status = 1;

	if (pid == 0) {
		execl("/bin/sh", "sh", campaign->power, what, (char *)NULL);
		_exit(99);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		errx(99, "%s %s does not work", campaign->power, what);
}

static void
await_stop(pid_t pid)
{
	char text[512], *end;

	for (int i = 0; i < 20000; i++) {
		if (proc_read(pid, "stat", text, sizeof(text)) <= 0)
			return;
		end = strrchr(text, ')');
		if (end && (end[2] == 'T' || end[2] == 'Z'))
			return;
		usleep(500);
	}
}

/* All that would end with the power: this bmd, each bmd-run, their steps. */
static void
all_of(struct campaign *campaign, struct pids *ret)
{
	struct pids children = {0};

	children_of(campaign->pid, &children);
	children_of(getpid(), &children);
	ret->n = 0;
	if (campaign->pid)
		ret->v[ret->n++] = campaign->pid;
	for (int i = 0; i < children.n; i++)
		if (job_of(children.v[i]) > 0)
			ret->v[ret->n++] = children.v[i];
	steps_of(campaign, 0, ret);
}

/* Everything stands still, so that whatever was told was synced before; then the disk loses what
 * was not, and all end. */
static void
cycle_power(struct campaign *campaign)
{
	struct pids all = {0};

	bmd_start(campaign);
	bmd_ready(campaign);
	settle(campaign);
	moment(campaign, 250);
	for (int before = -1; before != all.n;) { /* who was started meanwhile */
		before = all.n;
		all_of(campaign, &all);
		for (int i = 0; i < all.n; i++) {
			kill(all.v[i], SIGSTOP);
			await_stop(all.v[i]);
		}
	}
	for (int i = 0; i < all.n; i++)
		if (job_of(all.v[i]) > 0)
			ledger_line(campaign->ledger,
				    json_pack("{s:s, s:I, s:i}", "did", "kill-run", "job",
					      (json_int_t)job_of(all.v[i]), "pid", (int)all.v[i]));
	power(campaign, "cut");
	for (int i = 0; i < all.n; i++)
		if (all.v[i] != campaign->pid)
			kill(all.v[i], SIGKILL);
	bmd_end(campaign, SIGKILL);
	for (int i = 0; i < 2000; i++) {
		reap(campaign);
		all_of(campaign, &all);
		if (all.n == 0)
			break;
		for (int k = 0; k < all.n; k++)
			kill(all.v[k], SIGKILL);
		usleep(2000);
	}
	power(campaign, "restore");
	campaign->cuts++;
}

/* What can fail, with what, and how many of it a process may have done before: the n-th is dealt so
 * that each order of magnitude is as likely as another. Programs: bmd, bmd-run, bmd-import. */
static const struct fault {
	const char *family;
	int codes[4], ncodes, n;
	bool bmd_only;
} fault_kinds[] = {
    {"sync", {EIO, ENOSPC}, 2, 64, false},
    {"write", {EIO, ENOSPC, EINTR}, 3, 256, false},
    {"open", {EMFILE, ENOMEM, EINTR}, 3, 256, false},
    {"name", {ENOSPC, EIO, ENOMEM}, 3, 64, false},
    {"read", {EIO, EINTR, ENOMEM}, 3, 512, false},
    {"stat", {EIO, ENOMEM}, 2, 128, false},
    {"fork", {EAGAIN, ENOMEM}, 2, 8, false},
    {"accept", {EMFILE, ENFILE, ENOMEM, EINTR}, 4, 32, true},
    {"pipe", {EMFILE, ENFILE, ENOMEM}, 3, 32, false},
    {"dup", {EINTR, EBUSY}, 2, 16, false},
    {"epoll", {EINTR}, 1, 256, false},
    {"watch", {ENOMEM, ENOSPC}, 2, 128, false},
    {"random", {EINTR}, 1, 8, true},
    {"mmap", {ENOMEM}, 1, 8, false},
    {"memory", {ENOMEM}, 1, 65536, false},
    {"sqlite", {ENOMEM}, 1, 16384, true},
    {"sqlite", {ENOMEM}, 1, 16384, true},
};
#define KINDS ((int)(sizeof(fault_kinds) / sizeof(fault_kinds[0])))

static int
order_of_magnitude(struct campaign *campaign, int most)
{
	int orders = 1;

	while (1 << orders < most)
		orders++;
	return 1 + below(&campaign->dice, 1 << (1 + below(&campaign->dice, orders)));
}

/* The kinds that PROGRAM has. */
static const struct fault *
a_kind(struct campaign *campaign, const char *program)
{
	const struct fault *kind;

	do
		kind = &fault_kinds[below(&campaign->dice, KINDS)];
	while (kind->bmd_only && strcmp(program, "bmd") != 0);
	return kind;
}

/* A helper does less than bmd, and anybody less in one phase. */
static int
how_many(struct campaign *campaign, const char *program, const struct phase *phase, int most)
{
	int less = (strcmp(program, "bmd") == 0 ? 1 : 4) * (phase ? 16 : 1);

	return order_of_magnitude(campaign, (most + less - 1) / less);
}

/* NULL: any. Half of the faults are of one; in the end of a run and while it places few kinds of
 * calls are made, so these are dealt twice as often. */
static const struct phase *
a_phase(struct campaign *campaign)
{
	static const char *const dealt[] = {"submitting", "starting",  "finishing", "finishing",
					    "recovering", "importing", "placing",   "placing"};
	size_t which = (size_t)below(&campaign->dice, 2 * ARRAY_SIZE(dealt));

	for (int i = 0; which < ARRAY_SIZE(dealt) && i < PHASES; i++)
		if (strcmp(phases[i].name, dealt[which]) == 0)
			return &phases[i];
	return NULL;
}

static const char *
prepare_fault(struct campaign *campaign)
{
	static const char *const programs[] = {"bmd", "bmd", "bmd-run", "bmd-run", "bmd-import"};
	const struct phase *phase = a_phase(campaign);
	const char *program = phase ? phase->programs[below(&campaign->dice, 2)]
				    : programs[below(&campaign->dice, 5)];
	const struct fault *kind = a_kind(campaign, program);
	int code = kind->codes[below(&campaign->dice, kind->ncodes)];
	int n = how_many(campaign, program, phase, kind->n);
	bool on = below(&campaign->dice, 2);
	char *path = beside(campaign, program, ".fault");
	FILE *file = fopen(path, "we");

	if (!file ||
	    fprintf(file, "%s %d %d %s %s\n", kind->family, code, n, on ? "on" : "once",
		    phase ? phase->name : "") < 0 ||
	    fclose(file) != 0)
		err(99, "cannot write %s", path);
	ledger_line(campaign->ledger,
		    json_pack("{s:s, s:s, s:s, s:i, s:i, s:b, s:s}", "did", "fault", "program",
			      program, "call", kind->family, "code", code, "n", n, "on", on,
			      "phase", phase ? phase->name : "any"));
	free(path);
	return program;
}

/* Who of PROGRAM came to a fault, and at what was it? For the judge, and for the counts; what it
 * finds is for the next fault. */
static void
note_struck(struct campaign *campaign, const char *program, bool counts)
{
	char *path = beside(campaign, program, ".struck");
	FILE *file = fopen(path, "re");
	bool in[PHASES] = {false};
	struct struck struck;

	while (next_struck(file, &struck)) {
		for (int i = 0; i < PHASES; i++)
			in[i] |= strcmp(struck.phase, phases[i].name) == 0;
		ledger_line(
		    campaign->ledger,
		    json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:I}", "did", "struck", "program",
			      program, "call", struck.call, "code", struck.code, "pid", struck.pid,
			      "phase", struck.phase, "job",
			      (json_int_t)(strcmp(program, "bmd-run") == 0 ? struck.job : 0)));
	}
	if (file)
		fclose(file);
	for (int i = 0; i < PHASES; i++)
		campaign->struck_in[i] += counts && in[i];
	campaign->struck += unlink(path) == 0 && counts;
	free(path);
}

/* What came to a bmd-run after its cycle is told too. A campaign that hardly comes to a phase says
 * nothing about it. */
static void
judge_faults(struct campaign *campaign)
{
	char text[96];

	note_struck(campaign, "bmd-run", false);
	note_ended(campaign);
	printf("faults come to while:");
	for (int i = 0; i < PHASES; i++) {
		printf(" %s %d%s", phases[i].name, campaign->struck_in[i],
		       i + 1 < PHASES ? "," : "\n");
		snprintf(text, sizeof(text), "of %d faults only %d were come to while %s",
			 campaign->faults, campaign->struck_in[i], phases[i].name);
		if (campaign->struck_in[i] < campaign->faults / 50)
			violation(campaign, text);
	}
}

/* The n-th call of a program, of each process of it, fails; then all is well again. */
static void
cycle_fault(struct campaign *campaign)
{
	const char *program = prepare_fault(campaign);
	char *path = beside(campaign, program, ".fault");

	campaign->faulty = true;
	bmd_start(campaign);
	for (int i = 0; i < 60 && campaign->pid; i++)
		moment(campaign, 10);
	unlink(path);
	free(path);
	bmd_end(campaign, SIGKILL);
	note_struck(campaign, program, true);
	campaign->faulty = false;
	campaign->faults++;
	bmd_start(campaign);
	bmd_ready(campaign);
	settle(campaign);
	moment(campaign, 200);
	bmd_end(campaign, SIGKILL);
}

/* Something of the shell's, with the pid of bmd: "begin", a number, or "end". */
static void
run_guests(struct campaign *campaign, const char *what)
{
	char pid[16];
	int status;
	pid_t hook;

	snprintf(pid, sizeof(pid), "%d", (int)campaign->pid);
	hook = fork();
	if (hook < 0)
		err(99, "cannot fork");
	if (hook == 0) {
		execl("/bin/sh", "sh", campaign->guests, what, pid, (char *)NULL);
		err(99, "cannot execute the hook");
	}
	while (waitpid(hook, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		campaign->violations++; /* which it has told */
	reap(campaign);
	if (campaign->pid == 0) {
		bmd_start(campaign);
		bmd_ready(campaign);
	}
}

static void
cycle_guests(struct campaign *campaign)
{
	char number[16];

	if (campaign->cycles == 0) {
		bmd_start(campaign);
		bmd_ready(campaign);
		run_guests(campaign, "begin");
	}
	snprintf(number, sizeof(number), "%d", campaign->cycles++);
	run_guests(campaign, number);
	settle(campaign);
}

static void
cycle(struct campaign *campaign)
{
	int what = below(&campaign->dice, 100);

	if (campaign->guests) {
		cycle_guests(campaign);
		return;
	}
	if (getenv("CAMPAIGN_FAULTS")) {
		cycle_fault(campaign);
		return;
	}
	if (campaign->power) {
		cycle_power(campaign);
		return;
	}

	if (what < 20)
		cycle_recovery(campaign);
	else if (what < 45)
		cycle_point(campaign);
	else if (what < 60)
		cycle_run_point(campaign);
	else
		cycle_work(campaign);
}

static void
clients_start(struct campaign *campaign, char **argv)
{
	char program[4200];

	snprintf(program, sizeof(program), "%s", argv[0]);
	snprintf(strrchr(program, '/') + 1, sizeof("clients"), "clients");
	campaign->clients = fork();
	if (campaign->clients < 0)
		err(99, "cannot fork");
	if (campaign->clients == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, "clients", argv[3], argv[4], argv[5], argv[7], argv[8],
		      (char *)NULL);
		err(99, "cannot execute %s", program);
	}
}

static void
uploads_start(struct campaign *campaign, char **argv)
{
	char program[4200];

	snprintf(program, sizeof(program), "%s", argv[0]);
	snprintf(strrchr(program, '/') + 1, sizeof("uploads"), "uploads");
	campaign->uploads = fork();
	if (campaign->uploads < 0)
		err(99, "cannot fork");
	if (campaign->uploads == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, "uploads", argv[4], argv[5], (char *)NULL);
		err(99, "cannot execute %s", program);
	}
}

static void
load_end(pid_t *pid)
{
	pid_t gone;

	do {
		kill(*pid, SIGTERM);
		usleep(20000);
		gone = waitpid(*pid, NULL, WNOHANG);
	} while (gone == 0);
	*pid = 0;
}

int
main(int argc, char **argv)
{
	struct campaign campaign = {0};
	char log[4200];
	int cycles;

	if (argc != 9 || !strchr(argv[0], '/'))
		usage();
	campaign.bmd = argv[1];
	campaign.conf = argv[2];
	campaign.socket = argv[3];
	campaign.folder = argv[4];
	campaign.power = getenv("CAMPAIGN_POWER");
	campaign.guests = getenv("CAMPAIGN_GUESTS");
	campaign.dice = strtoull(argv[5], NULL, 10);
	cycles = atoi(argv[6]);
	campaign.ledger = ledger_open(campaign.folder, "A");
	snprintf(log, sizeof(log), "%s/bmd.log", campaign.folder);
	campaign.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	clients_start(&campaign, argv);
	uploads_start(&campaign, argv);
	for (int i = 0; i < cycles; i++)
		cycle(&campaign);
	note_hits(&campaign);
	if (campaign.guests) {
		run_guests(&campaign, "end");
	} else {
		bmd_start(&campaign);
		bmd_ready(&campaign);
	}
	settle(&campaign);
	load_end(&campaign.clients);
	load_end(&campaign.uploads);
	drain(&campaign);
	dump(&campaign);
	nothing_left(&campaign);
	nothing_kept(&campaign);
	bmd_end(&campaign, SIGTERM);
	if (campaign.faults)
		judge_faults(&campaign);
	printf("cycles %d, faults %d (%d were come to, bmd ended over %d), power cuts %d, kills of "
	       "bmd %d (%d while it recovered) and at a point %d, of bmd-run %d "
	       "(%d with bmd dead) and at a point %d, stops %d, ready after %.0f ms, at most %.0f "
	       "ms\n",
	       cycles, campaign.faults, campaign.struck, campaign.ended, campaign.cuts,
	       campaign.killed, campaign.recovering, campaign.points, campaign.runners,
	       campaign.together, campaign.run_points, campaign.stopped,
	       (double)campaign.ready_us / 1000 / campaign.readies,
	       (double)campaign.ready_max_us / 1000);
	return campaign.violations ? 1 : 0;
}
