/* SPDX-License-Identifier: ISC */
/*
 * One play at a time: what it is made of is here for all to see.
 */
#include "tests/unit/play.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/xalloc.h"

char folder[64];
struct conf *conf;
struct store *store;
struct objects *objects;
struct queue *queue;
struct err err;
int64_t now = T0;
char told[8192];

static void
make(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);

	ck_assert_int_eq(mkdir(path, 0755), 0);
}

void
play_make_folder(void)
{
	(void)snprintf(folder, sizeof(folder), "%s/bmd-play-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	make("applications.d");
	make("plans.d");
	make("runs");
}

void
play_remove_folder(void)
{
	unit_remove(folder);
	err_clear(&err);
	err = ERR_INIT;
}

static void
write_file(const char *name, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	(void)fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

void
play_load(const char *lines, const char *application, const char *plans)
{
	_cleanup_free_ char *path = xasprintf("%s/bmd.conf", folder);
	_cleanup_free_ char *text =
	    xasprintf("state-directory = \"%s\"\nrun-directory = \"%s/runs\"\nlauncher = fork\n%s",
		      folder, folder, lines);
	_cleanup_free_ char *shop =
	    xasprintf("application \"shop\" {\n stages = {\"testing\", \"production\"}\n%s\n}\n",
		      application);
	struct conf_problems problems = {0};
	struct conf *fresh = NULL;
	int r;

	write_file("bmd.conf", text);
	write_file("applications.d/shop.conf", shop);
	write_file("plans.d/web.conf", plans);
	r = conf_load(path, 0, &fresh, &problems);
	ck_assert_msg(r == 0, "%s", problems.n ? problems.v[0] : "?");
	conf_problems_clear(&problems);
	if (queue)
		queue_set_conf(queue, fresh);
	conf_free(conf);
	conf = fresh;
}

static void
hear(const struct event *event, void *arg)
{
	const char *text = event->text;

	(void)arg;
	if (strlen(told) + strlen(text) + 2 < sizeof(told))
		strcat(strcat(told, text), "\n");
}

static void
open_queue(void)
{
	OK(store_open(folder, &store, &err));
	queue = queue_new(store, objects);
	queue_set_conf(queue, conf);
	queue_set_tell(queue, hear, NULL);
}

void
play_begin(const char *lines, const char *application, const char *plans)
{
	play_make_folder();
	play_load(lines, application, plans);
	OK(objects_open(folder, true, &objects, &err));
	open_queue();
	now = T0;
	told[0] = '\0';
}

void
play_restart(void)
{
	queue_free(queue);
	store_close(store);
	open_queue();
}

void
play_end(void)
{
	queue_free(queue);
	queue = NULL;
	objects_close(objects);
	store_close(store);
	conf_free(conf);
	conf = NULL;
	play_remove_folder();
}

struct build_ref
play_ref(const char *text)
{
	struct build_ref build;

	OK(names_build_parse(text, &build, &err));
	return build;
}

void
play_add_build(const char *text)
{
	struct store_build build = {.created_us = now, .created_by = "ana", .application = "shop"};

	build.build = play_ref(text);
	build.variables = json_object();
	OK(store_build_add(store, &build, &err));
	store_build_clear(&build);
}
