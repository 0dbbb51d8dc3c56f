/* SPDX-License-Identifier: ISC */
/*
 * Who asked for what, as the store's chain keeps it: a row a change, in the transaction of that
 * change. Refusals are counted together: the first of a uid within a minute is a row at once, the
 * others of that minute are one more, and when too many uids are refused within a minute they share
 * one. The head of the chain is told to the log, so that a chain that was written anew shows: at
 * the start and the end, an hour after a change, and each AUDIT_ROWS_TOLD rows.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include <ev.h>
#include <stdint.h>

#include "common/err.h"
#include "daemon/store/store.h"
#include "daemon/turn.h"

#define AUDIT_ROWS_TOLD 1000
#define AUDIT_UIDS	64   /* counted apart within a minute */
#define AUDIT_TEXT_MAX	1024 /* bytes of a row's text that are kept */

struct audit;
struct audit *audit_new(struct ev_loop *loop, struct store *store, struct turn *turn);
void audit_free(struct audit *audit);
/* Writes what is counted and tells the head: before the last commit of an orderly end. */
void audit_end(struct audit *audit, int64_t now_us);

/* How long rows are kept; 0: for ever. Older ones go as new ones come. */
void audit_keep(struct audit *audit, int64_t keep_us);

/* What was done, inside the open transaction; it fails, the change fails. ROW's text is cut to
 * AUDIT_TEXT_MAX. */
int audit_done(struct audit *audit, const struct store_audit *row, struct err *err);
/* What was refused; ROW's count is not looked at. With LATER nothing is written now, for there is
 * no room. */
void audit_refused(struct audit *audit, const struct store_audit *row, bool later);

#endif
