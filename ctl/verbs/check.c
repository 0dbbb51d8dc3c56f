/* SPDX-License-Identifier: ISC */
/*
 * check: is the configuration right, and could the build that a bare redeploy takes go live right
 * now. The files are read here, with the caller's rights; the second question is bmd's to answer.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "ctl/table.h"
#include "ctl/verbs/verbs.h"

#define CONFIGURATION SYSCONFDIR "/bmd.conf"

/* Whose bmd reads FILE? An ordinary user may look at root's configuration: what that may name and
 * trust is judged by its owner. Root reads as root, whoever owns it. */
static uid_t
reader_of(const char *file)
{
	struct stat st;

	return geteuid() != 0 && stat(file, &st) == 0 ? st.st_uid : geteuid();
}

/* Reads FILE; its problems go to RET_PROBLEMS as an array of sentences. */
static bool
read_files(const char *file, json_t **ret_problems)
{
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r = conf_load_for(reader_of(file), file, &conf, &problems);

	*ret_problems = json_array();
	for (size_t i = 0; i < problems.n; i++)
		json_array_append_new(*ret_problems,
				      json_bytes(problems.v[i], strlen(problems.v[i])));
	conf_problems_clear(&problems);
	conf_free(conf);
	return r >= 0;
}

static void
print_problems(const char *file, bool good, const json_t *problems)
{
	size_t i;
	json_t *problem;

	json_array_foreach (problems, i, problem)
		table_line(stdout, "%s", json_string_value(problem));
	if (good)
		table_line(stdout, "%s is right", file);
}

/* Root reads what bmd may not. Whoever may not either has said so already. */
static bool
add_unreadable(const json_t *unreadable, json_t *problems)
{
	bool all = true;
	size_t i;
	json_t *path;

	json_array_foreach (unreadable, i, path) {
		if (access(json_string_value(path), R_OK) < 0)
			continue;
		json_array_append_new(
		    problems, json_sprintf("%s: bmd itself may not read it: chmod a+rX %s",
					   json_string_value(path), json_string_value(path)));
		all = false;
	}
	return all;
}

/* Rows of the Check method. Returns whether all are ready; that there is nothing to go back to is
 * only a note. */
static bool
print_stages(const struct ctl *ctl, const json_t *stages)
{
	static const struct table_column columns[] = {{"APPLICATION", 0},
						      {"STAGE", 0},
						      {"REDEPLOY", 0},
						      {"STATE", TABLE_STATE},
						      {"WHY", TABLE_CUT}};
	_cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
	bool all = true;
	size_t i;
	json_t *stage;

	json_array_foreach (stages, i, stage) {
		const json_t *problems = json_object_get(stage, "problems");
		bool build = json_is_object(json_object_get(stage, "to"));
		bool ready = json_get_bool(stage, "ready");
		const char *first = json_string_value(json_array_get(problems, 0));

		all = all && (ready || (!build && first == NULL));
		table_row(table, json_get_string(stage, "application"),
			  json_get_string(stage, "stage"), ctl_ref(stage, "to").s,
			  !ready && first != NULL ? "not ready"
			  : build		  ? "ready"
						  : NULL,
			  first != NULL ? first : json_get_string(stage, "note"));
		for (size_t n = 1; n < json_array_size(problems); n++)
			table_row(table, " ", " ", " ", " ",
				  json_string_value(json_array_get(problems, n)));
	}
	if (!ctl->json)
		table_print(table, stdout, ctl->width, ctl->color);
	return all;
}

/* Asks a bmd that runs; none is no failure. */
static int
ask(struct ctl *ctl, json_t **ret_reply, struct err *err)
{
	int r = ctl_call(ctl, "Check", json_object(), ret_reply, err);

	if (r < 0 && (err->code == ERR_UNREACHABLE || err->code == ERR_PERMISSION_DENIED) &&
	    !ctl_given(ctl, OPTION_SOCKET) && ctl->host == NULL) {
		table_line(stderr, "bmd was not asked: %s", err->text);
		err_clear(err);
		return 0;
	}
	return r;
}

/* The reply of Check if a bmd runs, can be asked and reads PATH itself; else NULL. */
static json_t *
ask_about(struct ctl *ctl, const char *path)
{
	_cleanup_json_ json_t *reply = NULL;
	_cleanup_err_ struct err err = ERR_INIT;
	struct stat its, ours;
	const char *file;

	if (ctl_call(ctl, "Check", json_object(), &reply, &err) < 0)
		return NULL;
	file = json_get_string(reply, "configuration");
	if (file == NULL || stat(file, &its) < 0 || stat(path, &ours) < 0 ||
	    its.st_dev != ours.st_dev || its.st_ino != ours.st_ino)
		return NULL;
	return TAKE(reply);
}

static int
check_path(struct ctl *ctl, const char *path)
{
	_cleanup_json_ json_t *problems = NULL, *object = NULL, *reply = ask_about(ctl, path);
	bool good = read_files(path, &problems), ready;

	if (!ctl->json)
		print_problems(path, good, problems);
	ready = print_stages(ctl, json_object_get(reply, "stages"));
	if (ctl->json) {
		object = json_pack("{s:o, s:O}", "configuration", json_bytes(path, strlen(path)),
				   "problems", problems);
		if (reply != NULL)
			json_object_set(object, "stages", json_object_get(reply, "stages"));
		ctl_json(ctl, object);
	}
	return good && ready ? CTL_DONE : CTL_FAILED;
}

int
verb_check(struct ctl *ctl, struct err *err)
{
	_cleanup_json_ json_t *reply = NULL, *problems = NULL;
	const char *path = ctl_word(ctl, 0);
	bool good = true, ready;
	int r;

	if (path != NULL && path[0] == '\0')
		return ctl_no_path(err, path, ENOENT, "bmctl check takes the main file");
	if (path != NULL && ctl->host != NULL)
		return ctl_usage(ctl, err,
				 "%s is a file of this machine, and bmd runs on another: ssh %s "
				 "bmctl check %s",
				 path, ctl->host, path);
	if (path != NULL)
		return check_path(ctl, path);
	if ((r = ask(ctl, &reply, err)) < 0)
		return r;
	path = json_get_string(reply, "configuration");
	if (path == NULL)
		path = CONFIGURATION;
	if (ctl->host != NULL || (reply != NULL && access(path, R_OK) < 0)) {
		table_line(stderr, "%s was not checked: %s", path,
			   ctl->host != NULL ? "it is on another machine" : strerror(errno));
		problems = json_array();
	} else {
		good = read_files(path, &problems);
		good = add_unreadable(json_object_get(reply, "unreadable"), problems) && good;
		if (!ctl->json)
			print_problems(path, good, problems);
	}
	ready = print_stages(ctl, json_object_get(reply, "stages"));
	if (ctl->json) {
		if (reply == NULL)
			reply = json_object();
		json_object_set(reply, "problems", problems);
		ctl_json(ctl, reply);
	}
	return good && ready ? CTL_DONE : CTL_FAILED;
}
