/* SPDX-License-Identifier: ISC */
/*
 * Any text as a main file: it is a value or a list of mistakes, never both and never a crash. What
 * is a value resolves to the same digest twice, and is freed without a leak.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/confparse.h"
#include "common/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
somebody(const char *name, uid_t *ret_uid)
{
	*ret_uid = name[0] == 'r' ? 0 : 1000;
	return name[0] != 'x';
}

static void
must(bool true_thing)
{
	if (!true_thing)
		abort();
}

static void
resolve_all(const struct conf *conf)
{
	for (size_t i = 0; i < conf->napplications; i++)
		for (size_t j = 0; j < conf->applications[i].nstages; j++) {
			const struct conf_application *application = &conf->applications[i];
			char one[65], two[65];
			_cleanup_free_ char *a =
			    conf_resolve(conf, application, &application->stages[j], one);
			_cleanup_free_ char *b =
			    conf_resolve(conf, application, &application->stages[j], two);

			must(a && b && strcmp(one, two) == 0 && strlen(one) == 64);
			must(conf_plan(conf, application->stages[j].plan) != NULL);
		}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_world world = {
	    .uid = 1000, .user = somebody, .run_socket = "/nonexistent/socket"};
	unsigned flags = size > 0 ? data[0] & 3u : 0;
	struct conf_problems problems = {0};
	struct conf *conf = NULL;
	int r;

	if (size > CONF_FILE_MAX)
		return 0;
	r = conf_load_text(&world, (const char *)data, size, flags, &conf, &problems);
	must((r == 0) == (conf != NULL));
	must(r < 0 ? problems.n > 0 : problems.n == 0 || (flags & CONF_TOLERANT));
	if (conf)
		resolve_all(conf);
	conf_free(conf);
	conf_problems_clear(&problems);
	return 0;
}
