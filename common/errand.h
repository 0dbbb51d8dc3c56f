/* SPDX-License-Identifier: ISC */
/*
 * What bmd asks of a bmd-run that is no run of a job: one frame instead of the request, one frame
 * back, then the end. Nothing of it outlives bmd-run: a bmd that did not hear the answer asks
 * again.
 *
 *	bmd → bmd-run	notice | prune
 *	bmd-run → bmd	done
 */
#ifndef COMMON_ERRAND_H
#define COMMON_ERRAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/run.h"

#define ERRAND_ERROR 512 /* bytes of the sentence in "done" */

/* Is TYPE a frame of an errand, to which bmd-run answers "done"? */
bool errand_type(const char *type);

/* {"type": "notice", …}: run the command of a notify section. */
struct errand_notice {
	char id[RUN_ID_SIZE];	  /* of the notice, the same at each attempt */
	char scope[64], name[64]; /* the section: of an application, or "" for bmd.conf */
	int attempt;		  /* 1… */
	char *body;		  /* JSON text: what its standard input gets */
};
json_t *errand_notice_pack(const struct errand_notice *notice);
int errand_notice_unpack(const json_t *object, struct errand_notice *ret_notice, struct err *err);
void errand_notice_clear(struct errand_notice *notice);

/* {"type": "prune", "jobs": […]}: remove the run folders of these jobs, which are final. */
#define ERRAND_PRUNE_MAX 500
json_t *errand_prune_pack(const int64_t *jobs, size_t n);
int errand_prune_unpack(const json_t *object, int64_t ret_jobs[ERRAND_PRUNE_MAX], size_t *ret_n,
			struct err *err);

/* {"type": "done", "error": sentence or null}. New reference. */
json_t *errand_done_pack(const char *error);
/* 1 and why it was not done, 0 when it was, -EINVAL for another frame. */
int errand_done_unpack(const json_t *object, char ret_error[ERRAND_ERROR]);

#endif
