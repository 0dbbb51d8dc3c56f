/* SPDX-License-Identifier: ISC */
/*
 * An artifact on its way to bmd.
 */
#ifndef CTL_SEND_H
#define CTL_SEND_H

#include <jansson.h>

#include "common/err.h"
#include "ctl/ctl.h"
#include "ctl/upload.h"

/* Sends PATH, which is called NAME while it goes. RET_ANSWER is bmd's: digest, files, bytes,
 * warnings; nothing is added to a build by it. SHARED may be NULL. SIGPIPE has to be ignored. */
int send_artifact(struct ctl *ctl, const char *name, const char *path,
		  const struct upload_shared *shared, json_t **ret_answer, struct err *err);

#endif
