/* SPDX-License-Identifier: ISC */
/*
 * Who may what on which stage, by the lists of the configuration. A list of a stage stands in the
 * place of the application's, which stands in the place of bmd.conf's, each of the three by itself.
 * root and the user that bmd runs as always may everything. What is not configured (any more) has
 * bmd.conf's lists; where files were left out for their mistakes, nobody's. A stage that its
 * application has no more: what one has on all the others.
 */
#ifndef COMMON_RIGHTS_H
#define COMMON_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/conf/conf.h"
#include "common/err.h"

/* Operators and approvers see what they may act on. */
enum { RIGHT_SEE = 1, RIGHT_APPROVE = 2, RIGHT_OPERATE = 4, RIGHT_ROOT = 8, RIGHTS_WHOLE = 15 };

/* Somebody, as the kernel or the name service says. Not KNOWN: no right at all. */
struct rights_who {
	bool known;
	int64_t uid;
	gid_t *groups; /* all of them, the primary one too */
	size_t n;
};
/* By the name service of this machine, now: who is UID, and in which groups? An error (-ENOENT:
 * there is no such user) leaves nobody. */
int rights_who_find(int64_t uid, struct rights_who *ret_who, struct err *err);
void rights_who_clear(struct rights_who *who);

/* Does WHO stand in LIST? Its names are looked up now. */
bool rights_in_list(const struct conf_strings *list, const struct rights_who *who);

/* The lists of CONF with their names looked up, which is done once: a name that nobody has gives
 * nobody anything, and is told to UNKNOWN (may be NULL) as a sentence. DAEMON: the user that bmd
 * runs as. CONF is not needed afterwards. */
struct rights;
struct rights *rights_new(const struct conf *conf, uid_t daemon,
			  void (*unknown)(const char *sentence, void *arg), void *arg);
void rights_free(struct rights *rights); /* NULL is fine */

/* Sets of RIGHT_…: on a stage (STAGE NULL: on any of the application's); and on each of them.
 * APPLICATION NULL: of all, bmd.conf's lists counting as one more. */
unsigned rights_on(const struct rights *rights, const struct rights_who *who,
		   const char *application, const char *stage);
unsigned rights_on_each(const struct rights *rights, const struct rights_who *who,
			const char *application);
/* No application or stage has lists of its own, and nothing was left out: everybody's rights are
 * the same everywhere. */
bool rights_same_everywhere(const struct rights *rights);

#endif
