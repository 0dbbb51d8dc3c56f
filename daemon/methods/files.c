/* SPDX-License-Identifier: ISC */
/* Files of builds as they come: what they are called, and uploads. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/log.h"
#include "daemon/methods/request.h"

int
method_ListArtifacts(struct request *request, json_t **ret_reply, struct err *err)
{
	(void)err;
	*ret_reply =
	    json_pack("{s:o}", "artifacts", request_artifact_names(request, request->application));
	return 0;
}

/* ---- Upload */

struct upload {
	struct sched *sched;
	char kind[8];
};

/* The connection leaves bmd: whatever goes wrong now, only its client can be told, by its end. */
static void
upload_taken(int fd, void *arg)
{
	_cleanup_free_ struct upload *upload = arg;
	_cleanup_err_ struct err err = ERR_INIT;

	if (fd >= 0 && sched_import(upload->sched, upload->kind, fd, &err) < 0)
		log_warning("an upload was not taken: %s", err.text);
}

int
method_Upload(struct request *request, struct err *err)
{
	struct upload *upload;

	if (sched_imports_full(request->methods->sched))
		return err_set(err, ERR_TOO_MANY,
			       "as many uploads as bmd allows at once are going on: try again when "
			       "one has ended");
	upload = xcalloc(1, sizeof(*upload));
	upload->sched = request->methods->sched;
	snprintf(upload->kind, sizeof(upload->kind), "%s", request_text(request, "kind"));
	control_upgrade(request->call, json_object(), upload_taken, upload);
	return 0;
}
