/* SPDX-License-Identifier: ISC */
/*
 * The counters of refusals live in memory for a minute at most: whoever kills bmd within it loses
 * how often, but not that and by whom, for the first refusal of each uid is a row before its answer
 * leaves.
 */
#include "daemon/audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#define MINUTE_SECONDS 60.
#define HOUR_SECONDS   3600.

/* What a uid was refused within this minute. The last refusal stands for all; what they do not have
 * in common is left out. */
struct refusals {
	int64_t uid;
	bool shared;   /* by all others */
	int64_t count; /* that no row tells of yet */
	bool fresh;    /* its first one is in the open transaction */
	char who[64], what[64], error[64];
	char application[64], stage[64];
	int64_t job;
	char text[AUDIT_TEXT_MAX + 1];
};

#define CUT_EVERY 64   /* added rows: then the oldest are looked at, */
#define CUT_MOST  1000 /* at most so many of them */
/* a clock that moves by so much between two rows was set */
#define SET_US (INT64_C(60) * 1000000)
/* so long it is not believed then, for what cannot be had back */
#define TRUST_US (INT64_C(86400) * 1000000)

struct audit {
	struct ev_loop *loop;
	struct store *store;
	struct turn *turn;
	ev_timer minute, hour;
	struct refusals *refusals; /* AUDIT_UIDS and one for all others */
	size_t n;
	struct store_audit_head told;
	bool telling, written; /* the turn will call back */
	int64_t added;
	int64_t keep_us;	     /* rows; 0: for ever */
	int64_t offset_us, since_us; /* wall clock − CLOCK_BOOTTIME, and since when that is so */
};

/* ---- the head ---- */

static void
tell_head(struct audit *audit)
{
	struct store_audit_head head = store_audit_head(audit->store);

	ev_timer_stop(audit->loop, &audit->hour);
	if (head.id == audit->told.id && audit->told.hash[0])
		return;
	audit->told = head;
	log_info("audit head: row %" PRId64 " %s", head.id, head.hash);
}

static void
on_hour(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	tell_head(w->data);
}

static void
on_committed(void *arg, const struct err *failure)
{
	struct audit *audit = arg;

	audit->telling = false;
	if (!failure)
		tell_head(audit);
}

/* A row was added. ROWS: how many there are now, with those that are not committed. */
static void
grown(struct audit *audit)
{
	if (!ev_is_active(&audit->hour)) {
		ev_timer_set(&audit->hour, HOUR_SECONDS, 0.);
		ev_timer_start(audit->loop, &audit->hour);
	}
	if (audit->telling || store_audit_head(audit->store).id - audit->told.id < AUDIT_ROWS_TOLD)
		return;
	audit->telling = true;
	turn_after(audit->turn, on_committed, audit);
}

/* ---- rows ---- */

/* At most AUDIT_TEXT_MAX bytes, and no character cut in two. */
static void
cut(char ret[AUDIT_TEXT_MAX + 1], const char *text)
{
	size_t n = strlen(text);

	if (n > AUDIT_TEXT_MAX)
		for (n = AUDIT_TEXT_MAX; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			;
	memcpy(ret, text, n);
	ret[n] = '\0';
}

/* A clock that somebody, or a dead battery, set far ahead makes all rows old at once. So nothing is
 * cut before it has stood for as long as rows are kept, or for a day, under the eyes of this
 * bmd. */
static bool
clock_stands(struct audit *audit)
{
	int64_t now_us = 0, boot_us = 0,
		trust_us = audit->keep_us < TRUST_US ? audit->keep_us : TRUST_US;

	clock_read(&now_us, &boot_us);
	if (llabs(now_us - boot_us - audit->offset_us) >= SET_US)
		audit->since_us = boot_us;
	audit->offset_us = now_us - boot_us;
	return boot_us - audit->since_us >= trust_us;
}

static int
cut_old(struct audit *audit, int64_t now_us, struct err *err)
{
	if (audit->keep_us == 0 || !clock_stands(audit) || ++audit->added % CUT_EVERY != 0)
		return 0;
	return store_audit_cut(audit->store, now_us - audit->keep_us, now_us, CUT_MOST, err);
}

static int
add(struct audit *audit, const struct store_audit *row, struct err *err)
{
	struct store_audit kept = *row;
	char text[AUDIT_TEXT_MAX + 1];
	int r;

	if (row->text && strlen(row->text) > AUDIT_TEXT_MAX) {
		cut(text, row->text);
		kept.text = text;
	}
	r = store_audit(audit->store, &kept, err);
	if (r == 0)
		r = cut_old(audit, row->at_us, err);
	if (r == 0)
		grown(audit);
	return r;
}

void
audit_keep(struct audit *audit, int64_t keep_us)
{
	audit->keep_us = keep_us;
}

int
audit_done(struct audit *audit, const struct store_audit *row, struct err *err)
{
	return add(audit, row, err);
}

/* ---- refusals ---- */

static const char *
or_null(const char *text)
{
	return text[0] ? text : NULL;
}

/* What was counted becomes a row, in the open transaction. */
static int
write_counted(struct audit *audit, struct refusals *refusals, int64_t now_us)
{
	const struct store_audit row = {
	    .at_us = now_us,
	    .uid = refusals->uid,
	    .who = refusals->who,
	    .what = refusals->what,
	    .application = or_null(refusals->application),
	    .stage = or_null(refusals->stage),
	    .job = refusals->job,
	    .refused = refusals->count,
	    .error = or_null(refusals->error),
	    .text = or_null(refusals->text),
	};

	return add(audit, &row, NULL);
}

static void
begin_minute(struct audit *audit)
{
	if (ev_is_active(&audit->minute))
		return;
	ev_timer_set(&audit->minute, MINUTE_SECONDS, 0.);
	ev_timer_start(audit->loop, &audit->minute);
}

/* What the rows of this transaction told is to be told once more, if it failed. */
static void
on_written(void *arg, const struct err *failure)
{
	struct audit *audit = arg;

	audit->written = false;
	for (size_t i = 0; i < audit->n; i++) {
		struct refusals *refusals = &audit->refusals[i];

		if (refusals->fresh && failure)
			refusals->count++;
		refusals->fresh = false;
	}
}

/* A minute is over. What cannot be written now is kept for the end of the next. */
static void
end_minute(struct audit *audit, int64_t now_us)
{
	size_t kept = 0;

	if (audit->n == 0 || turn_begin(audit->turn, NULL) < 0)
		goto later;
	for (size_t i = 0; i < audit->n; i++)
		if (audit->refusals[i].count > 0 &&
		    write_counted(audit, &audit->refusals[i], now_us) < 0)
			audit->refusals[kept++] = audit->refusals[i];
	audit->n = kept;
later:
	if (audit->n > 0)
		begin_minute(audit);
}

static void
on_minute(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	end_minute(w->data, clock_now_us());
}

/* The counter of UID, made where there is none; that of all others when there are too many. */
static struct refusals *
counter(struct audit *audit, int64_t uid, bool *ret_new)
{
	struct refusals *refusals;

	*ret_new = false;
	for (size_t i = 0; i < audit->n; i++)
		if (audit->refusals[i].uid == uid && !audit->refusals[i].shared)
			return &audit->refusals[i];
	if (audit->n > AUDIT_UIDS)
		return &audit->refusals[AUDIT_UIDS];
	*ret_new = true;
	refusals = &audit->refusals[audit->n++];
	memset(refusals, 0, sizeof(*refusals));
	refusals->shared = audit->n > AUDIT_UIDS;
	refusals->uid = refusals->shared ? -1 : uid;
	return refusals;
}

static void
note(char *kept, size_t size, const char *text, bool first)
{
	if (!first && strcmp(kept, text ? text : "") != 0)
		text = NULL;
	(void)snprintf(kept, size, "%s", text ? text : "");
}

/* Adds ROW to what REFUSALS tells. */
static void
count(struct refusals *refusals, const struct store_audit *row)
{
	bool first = refusals->count == 0;

	note(refusals->application, sizeof(refusals->application), row->application, first);
	note(refusals->stage, sizeof(refusals->stage), row->stage, first);
	note(refusals->error, sizeof(refusals->error), row->error, first);
	if (!first && strcmp(refusals->what, row->what) != 0)
		(void)snprintf(refusals->what, sizeof(refusals->what), "several");
	else
		(void)snprintf(refusals->what, sizeof(refusals->what), "%s", row->what);
	if (!first && refusals->job != row->job)
		refusals->job = 0;
	else
		refusals->job = row->job;
	(void)snprintf(refusals->who, sizeof(refusals->who), "%s",
		       refusals->shared ? "others" : row->who);
	cut(refusals->text, row->text ? row->text : "");
	refusals->count++;
}

void
audit_refused(struct audit *audit, const struct store_audit *row, bool later)
{
	struct store_audit one = *row;
	struct refusals *refusals;
	bool new;

	refusals = counter(audit, row->uid, &new);
	begin_minute(audit);
	one.refused = 1;
	if (!new || later || turn_begin(audit->turn, NULL) < 0 || add(audit, &one, NULL) < 0) {
		count(refusals, row);
		return;
	}
	/* Should the commit fail, this is what will be told. */
	count(refusals, row);
	refusals->count = 0;
	refusals->fresh = true;
	if (!audit->written)
		turn_after(audit->turn, on_written, audit);
	audit->written = true;
}

/* ---- the whole ---- */

struct audit *
audit_new(struct ev_loop *loop, struct store *store, struct turn *turn)
{
	struct audit *audit = xcalloc(1, sizeof(*audit));

	audit->loop = loop;
	audit->store = store;
	audit->turn = turn;
	audit->refusals = xcalloc(AUDIT_UIDS + 1, sizeof(*audit->refusals));
	clock_read(&audit->offset_us, &audit->since_us);
	audit->offset_us -= audit->since_us;
	ev_init(&audit->minute, on_minute);
	ev_init(&audit->hour, on_hour);
	audit->minute.data = audit->hour.data = audit;
	if (store_audit_broken(store))
		log_error(
		    "the audit does not end where bmd left it: somebody changed the database; "
		    "bmctl audit verify names the row");
	tell_head(audit);
	return audit;
}

void
audit_end(struct audit *audit, int64_t now_us)
{
	end_minute(audit, now_us);
	ev_timer_stop(audit->loop, &audit->minute);
	turn_end(audit->turn);
	tell_head(audit);
}

void
audit_free(struct audit *audit)
{
	if (!audit)
		return;
	ev_timer_stop(audit->loop, &audit->minute);
	ev_timer_stop(audit->loop, &audit->hour);
	free(audit->refusals);
	free(audit);
}
