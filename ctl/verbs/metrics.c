/* SPDX-License-Identifier: ISC */
/*
 * metrics: the status as numbers, in the text format of Prometheus. A file is replaced in one step,
 * for the textfile collector of node_exporter reads it at any time. A bmd that does not answer is a
 * number too.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

static void
head(FILE *out, const char *name, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void
print_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (const char *p = value ? value : ""; *p; p++)
		if (*p == '\\' || *p == '"')
			fprintf(out, "\\%c", *p);
		else if (*p == '\n')
			fputs("\\n", out);
		else
			fputc(*p, out);
	fputc('"', out);
}

/* NAME{application="…",stage="…" */
static void
begin_stage(FILE *out, const char *name, const json_t *stage)
{
	fprintf(out, "%s{", name);
	print_label(out, "application", json_get_string(stage, "application"));
	fputc(',', out);
	print_label(out, "stage", json_get_string(stage, "stage"));
}

static void
print_live(FILE *out, const json_t *stages)
{
	json_t *stage;
	size_t i;

	head(out, "bmd_live_info", "The build that is live on a stage.");
	json_array_foreach (stages, i, stage) {
		const json_t *live = json_object_get(stage, "live");
		_cleanup_free_ char *build = xasprintf("%" PRId64, json_get_int(live, "build", 0));

		if (!json_is_object(live))
			continue;
		begin_stage(out, "bmd_live_info", stage);
		fputc(',', out);
		print_label(out, "release", json_get_string(live, "release"));
		fputc(',', out);
		print_label(out, "build", build);
		fputs("} 1\n", out);
	}
	head(out, "bmd_last_success_timestamp_seconds",
	     "When a run last succeeded on a stage, or somebody settled it.");
	json_array_foreach (stages, i, stage) {
		int64_t since_us = ctl_us(json_object_get(stage, "live"), "since");

		if (since_us == 0)
			continue;
		begin_stage(out, "bmd_last_success_timestamp_seconds", stage);
		fprintf(out, "} %" PRId64 ".%06d\n", since_us / 1000000, (int)(since_us % 1000000));
	}
}

/* What is or is not so of a stage: the member is not null, or a number above 0. */
static void
print_flags(FILE *out, const json_t *stages)
{
	static const struct {
		const char *name, *member, *help;
	} flags[] = {
	    {"bmd_stage_dirty", "dirty",
	     "What is on disk may be no build: redeploy --now mends it."},
	    {"bmd_stage_locked", "locked", "Nothing starts on the stage."},
	    {"bmd_stage_running", "running", "A run is under way."},
	    {"bmd_stage_needs_human", "needs",
	     "Something waits for a human: bmctl status says what."},
	};
	json_t *stage;
	size_t i;

	for (size_t k = 0; k < ARRAY_SIZE(flags); k++) {
		head(out, flags[k].name, flags[k].help);
		json_array_foreach (stages, i, stage) {
			const json_t *value = json_object_get(stage, flags[k].member);

			begin_stage(out, flags[k].name, stage);
			fprintf(out, "} %d\n", value != NULL && !json_is_null(value));
		}
	}
}

static void
print_numbers(FILE *out, const json_t *status)
{
	static const char *const states[] = {"scheduled", "queued", "held", "running"};
	static const char *const notices[] = {"waiting", "failing", "given_up"};
	const json_t *of = json_object_get(status, "notices");

	if (json_is_object(json_object_get(status, "jobs")))
		head(out, "bmd_jobs", "Jobs that are not over, by state.");
	for (size_t i = 0;
	     i < ARRAY_SIZE(states) && json_is_object(json_object_get(status, "jobs")); i++)
		fprintf(out, "bmd_jobs{state=\"%s\"} %" PRId64 "\n", states[i],
			json_get_int(json_object_get(status, "jobs"), states[i], 0));
	head(out, "bmd_queue_length", "Jobs that wait.");
	fprintf(out, "bmd_queue_length %" PRId64 "\n", json_get_int(status, "waiting", 0));
	head(out, "bmd_drained", "bmd starts nothing until it is restarted.");
	fprintf(out, "bmd_drained %d\n", json_is_object(json_object_get(status, "drain")));
	if (json_is_object(of))
		head(out, "bmd_notices",
		     "Notices that wait, that failed before, that were given up within a day.");
	for (size_t i = 0; i < ARRAY_SIZE(notices) && json_is_object(of); i++)
		fprintf(out, "bmd_notices{state=\"%s\"} %" PRId64 "\n", notices[i],
			json_get_int(of, notices[i], 0));
	head(out, "bmd_stored_files_damaged", "Stored files are known to be damaged.");
	fprintf(out, "bmd_stored_files_damaged %d\n",
		json_get_bool(json_object_get(status, "verification"), "damaged"));
	head(out, "bmd_warnings", "Warnings of bmctl status.");
	fprintf(out, "bmd_warnings %zu\n", json_array_size(json_object_get(status, "warnings")));
}

/* STATUS NULL: bmd does not answer. free() */
static char *
metrics_text(const json_t *status)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	if (out == NULL)
		xalloc_die();
	head(out, "bmd_up", "bmd answers.");
	fprintf(out, "bmd_up %d\n", status != NULL);
	if (status != NULL) {
		print_live(out, json_object_get(status, "stages"));
		print_flags(out, json_object_get(status, "stages"));
		print_numbers(out, status);
	}
	if (fclose(out) != 0)
		xalloc_die();
	return text;
}

/* Under a name that the collector does not read, until it is whole. */
static int
replace(const char *path, const char *text, struct err *err)
{
	_cleanup_free_ char *temporary = xasprintf("%s.new-%d", path, (int)getpid());
	_cleanup_fclose_ FILE *out = fopen(temporary, "wxe");
	bool good;

	if (out == NULL)
		return err_errno(err, errno, "cannot make %s", temporary);
	good = fputs(text, out) >= 0 && fflush(out) == 0 && fchmod(fileno(out), 0644) == 0 &&
	       rename(temporary, path) == 0;
	if (!good) {
		int number = errno;

		(void)remove(temporary);
		return err_errno(err, number, "cannot write %s", path);
	}
	return 0;
}

int
verb_metrics(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *status = NULL;
	_cleanup_free_ char *text = NULL;
	const char *path = ctl_word(ctl, 0);
	int r = ctl_call(ctl, "GetStatus", json_object(), &status, err);

	if (r >= 0 && ctl->json) {
		ctl_json(ctl, status);
		return CTL_DONE;
	}
	text = metrics_text(r >= 0 ? status : NULL);
	if (path == NULL) {
		if (r >= 0)
			fputs(text, stdout);
		return r < 0 ? r : CTL_DONE;
	}
	if (r < 0) {
		(void)replace(path, text, NULL);
		return r;
	}
	r = replace(path, text, err);
	return r < 0 ? r : CTL_DONE;
}
