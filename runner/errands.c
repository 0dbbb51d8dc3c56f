/* SPDX-License-Identifier: ISC */
/* From the frame to the answer. What went wrong is told to bmd, and to the journal. */
#include "runner/errands.h"

#include <stdio.h>
#include <string.h>

#include "common/errand.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "runner/channel.h"
#include "runner/notice.h"
#include "runner/prune.h"

#define FLUSH_S 5.0

static int
deliver(struct run *run, const json_t *object, struct err *err)
{
	_cleanup_(errand_notice_clear) struct errand_notice notice = {0};
	int r = errand_notice_unpack(object, &notice, err);

	if (r >= 0)
		r = notice_deliver(run, &notice, err);
	return r;
}

static int
prune(struct run *run, const json_t *object, struct err *err)
{
	int64_t jobs[ERRAND_PRUNE_MAX];
	size_t n = 0;
	int r = errand_prune_unpack(object, jobs, &n, err);

	return r < 0 ? r : prune_folders(run->conf->run_directory, jobs, n, err);
}

int
errand_run(struct run *run, const json_t *object, const struct err *wrong)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *answer = NULL;
	_cleanup_free_ char *safe = NULL;
	int r;

	if (wrong)
		r = err_set(&err, ERR_CONFIGURATION, "%s", wrong->text);
	else if (strcmp(json_get_string(object, "type"), "prune") == 0)
		r = prune(run, object, &err);
	else
		r = deliver(run, object, &err);

	failpoint("errand-done");
	answer = errand_done_pack(r < 0 ? err.text : NULL);
	channel_answer(run->channel, answer);
	channel_flush(run->channel, FLUSH_S);
	if (r >= 0)
		return 0;
	safe = json_terminal(err.text);
	(void)fprintf(stderr, "bmd-run: %s\n", safe);
	return 1;
}
