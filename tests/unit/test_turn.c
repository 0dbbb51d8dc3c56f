/* SPDX-License-Identifier: ISC */
/*
 * turn.h over a store that only counts: effects in order and after the commit, effects that change
 * things again, full disk, and a broken database. The store of this file stands before the real one
 * at the link.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "daemon/turn.h"
#include "tests/unit/unit.h"

struct store {
	bool open;
	int begins, commits, rollbacks, parts;
	int commit_result, release_result;
};

int
store_begin(struct store *store, struct err *err)
{
	(void)err;
	store->begins += !store->open;
	store->open = true;
	return 0;
}

int
store_commit(struct store *store, int64_t now_us, struct err *err)
{
	ck_assert_int_gt(now_us, 0);
	ck_assert(store->open);
	if (store->commit_result < 0) {
		err_set(err, ERR_NO_SPACE, "the disk is full");
		return store->commit_result;
	}
	store->commits++;
	store->open = false;
	return 0;
}

void
store_rollback(struct store *store)
{
	store->rollbacks++;
	store->open = false;
}

bool
store_in_transaction(const struct store *store)
{
	return store->open;
}

int
store_savepoint(struct store *store, struct err *err)
{
	(void)err;
	ck_assert(store->open);
	store->parts++;
	return 0;
}

int
store_mark(struct store *store, struct err *err)
{
	return store_savepoint(store, err);
}

int
store_release(struct store *store, struct err *err)
{
	if (store->release_result < 0) {
		err_set(err, ERR_UNKNOWN_OUTCOME, "the database failed");
		return store->release_result;
	}
	ck_assert_int_gt(store->parts--, 0);
	return 0;
}

bool
store_rollback_savepoint(struct store *store)
{
	ck_assert_int_gt(store->parts--, 0);
	return true;
}

struct effect_log {
	struct turn *turn;
	struct store *store;
	char said[4096];
	int again; /* so many times more it begins a transaction and defers itself */
	int undone;
};

static void
say(struct effect_log *log, const char *word)
{
	strncat(log->said, word, sizeof(log->said) - strlen(log->said) - 1);
}

static void
one(void *arg, const struct err *failure)
{
	struct effect_log *log = arg;

	ck_assert(!log->store->open);
	say(log, failure ? "1:failed " : "1 ");
}

static void
two(void *arg, const struct err *failure)
{
	say(arg, failure ? failure->text : "2 ");
}

/* Defers something else when it is undone, once. */
static void
undone(void *arg, const struct err *failure)
{
	struct effect_log *log = arg;

	ck_assert_ptr_nonnull(failure);
	if (log->undone++ == 0)
		turn_after(log->turn, two, log);
}

static void
again(void *arg, const struct err *failure)
{
	struct effect_log *log = arg;

	(void)failure;
	say(log, "a ");
	if (log->again-- <= 0) {
		ev_break(EV_DEFAULT, EVBREAK_ALL);
		return;
	}
	ck_assert_int_eq(turn_begin(log->turn, NULL), 0);
	turn_after(log->turn, again, log);
}

static void
setup(struct effect_log *log, struct store *store)
{
	log->store = store;
	log->turn = turn_new(EV_DEFAULT, store);
}

START_TEST(nothing_open_is_at_once)
{
	struct store store = {0};
	struct effect_log log = {0};

	setup(&log, &store);
	turn_after(log.turn, one, &log);
	ck_assert_str_eq(log.said, "1 ");
	turn_free(log.turn);
}
END_TEST

START_TEST(effects_leave_in_order_after_one_commit)
{
	struct store store = {0};
	struct effect_log log = {0};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, one, &log);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, two, &log);
	ck_assert_str_eq(log.said, "");
	ev_run(EV_DEFAULT, EVRUN_NOWAIT);
	ck_assert_str_eq(log.said, "1 2 ");
	ck_assert_int_eq(store.begins, 1);
	ck_assert_int_eq(store.commits, 1);
	turn_free(log.turn);
}
END_TEST

static void
never(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w, (void)revents;
	ck_abort_msg("the loop slept while effects were waiting");
	ev_break(loop, EVBREAK_ALL);
}

START_TEST(an_effect_may_change_things_again)
{
	struct store store = {0};
	struct effect_log log = {.again = 3};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, again, &log);
	turn_end(log.turn);
	ck_assert_str_eq(log.said, "a a a a ");
	ck_assert_int_eq(store.commits, 4);
	turn_free(log.turn);
}
END_TEST

/* A hundred rounds are more than one turn takes: the loop goes on without sleeping until they are
 * done. */
START_TEST(the_loop_never_sleeps_on_waiting_effects)
{
	struct store store = {0};
	struct effect_log log = {.again = 100};
	ev_timer late;

	setup(&log, &store);
	ev_timer_init(&late, never, 10., 0.);
	ev_timer_start(EV_DEFAULT, &late);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, again, &log);
	turn_end(log.turn);
	ck_assert_int_gt(log.again, 0);
	ev_run(EV_DEFAULT, 0);
	ck_assert_int_eq(store.commits, 101);
	ck_assert(!store.open);
	ev_timer_stop(EV_DEFAULT, &late);
	turn_free(log.turn);
}
END_TEST

START_TEST(a_full_disk_is_told_to_every_effect)
{
	struct store store = {.commit_result = -ENOSPC};
	struct effect_log log = {0};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, one, &log);
	turn_after(log.turn, two, &log);
	turn_end(log.turn);
	ck_assert_str_eq(log.said, "1:failed the disk is full");
	ck_assert_int_eq(store.rollbacks, 1);
	store.commit_result = 0;
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, one, &log);
	turn_end(log.turn);
	ck_assert_str_eq(log.said, "1:failed the disk is full1 ");
	turn_free(log.turn);
}
END_TEST

static void
begins(void *arg, const struct err *failure)
{
	struct effect_log *log = arg;

	say(log, failure ? "b:failed " : "b ");
	turn_after(log->turn, one, log); /* of what is committed already */
	ck_assert_int_eq(turn_begin(log->turn, NULL), 0);
	turn_after(log->turn, two, log);
	log->store->commit_result = -ENOSPC;
}

/* Who waits behind others, and not for the transaction that was opened after it, hears nothing of
 * its failure. */
START_TEST(a_later_failure_is_not_theirs)
{
	struct store store = {0};
	struct effect_log log = {0};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	ck_assert(turn_open(log.turn));
	turn_after(log.turn, begins, &log);
	turn_end(log.turn);
	ck_assert(!turn_open(log.turn));
	ck_assert_str_eq(log.said, "b 1 the disk is full");
	turn_free(log.turn);
}
END_TEST

/* What is left over after the last round of a turn waits for its own transaction, and for no
 * other. */
START_TEST(what_is_left_over_keeps_its_own)
{
	struct store store = {0};
	struct effect_log log = {.again = 15};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, again, &log);
	turn_end(log.turn);
	ck_assert_str_eq(log.said, "a a a a a a a a a a a a a a a a ");
	log.said[0] = '\0';
	log.again = 16;
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, again, &log);
	turn_end(log.turn); /* its 17th is left, with a transaction open */
	ck_assert(turn_open(log.turn));
	turn_after(log.turn, two, &log);
	store.commit_result = -ENOSPC;
	log.said[0] = '\0';
	ev_run(EV_DEFAULT, EVRUN_NOWAIT);
	ck_assert_str_eq(log.said, "a the disk is full");
	turn_free(log.turn);
}
END_TEST

/* What was deferred since the savepoint goes with it, at once; what was there before waits for the
 * commit as ever. */
START_TEST(effects_go_with_their_part)
{
	struct store store = {0};
	struct effect_log log = {0};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, two, &log);
	ck_assert_int_eq(turn_savepoint(log.turn, NULL), 0);
	turn_after(log.turn, two, &log);
	ck_assert_int_eq(turn_release(log.turn, NULL), 0);
	ck_assert_int_eq(turn_savepoint(log.turn, NULL), 0);
	ck_assert(turn_rollback_savepoint(log.turn));
	ck_assert_int_eq(turn_mark(log.turn, NULL), 0);
	for (int i = 0; i < 100; i++)
		turn_after(log.turn, undone, &log);
	ck_assert_str_eq(log.said, "");
	ck_assert(turn_rollback_savepoint(log.turn));
	ck_assert_int_eq(log.undone, 100);
	ck_assert_str_eq(log.said, "");
	turn_end(log.turn);
	ck_assert_str_eq(log.said, "2 2 2 ");
	ck_assert_int_eq(store.parts, 0);
	turn_free(log.turn);
}
END_TEST

/* A part that cannot be ended is undone with its effects, and the turn goes on without it. */
START_TEST(a_part_that_does_not_end_is_undone)
{
	struct store store = {.release_result = STORE_BROKEN};
	struct effect_log log = {0};

	setup(&log, &store);
	ck_assert_int_eq(turn_begin(log.turn, NULL), 0);
	turn_after(log.turn, two, &log);
	ck_assert_int_eq(turn_savepoint(log.turn, NULL), 0);
	turn_after(log.turn, undone, &log);
	ck_assert_int_eq(turn_release(log.turn, NULL), STORE_BROKEN);
	ck_assert_int_eq(log.undone, 1);
	ck_assert_int_eq(store.parts, 0);
	turn_end(log.turn);
	ck_assert_str_eq(log.said, "2 2 ");
	turn_free(log.turn);
}
END_TEST

/* No effect may leave and nothing may be tidied up: the process ends at once. */
START_TEST(a_broken_database_ends_the_process)
{
	struct store store = {.commit_result = STORE_BROKEN};
	struct effect_log log = {0};
	pid_t child;
	int status;

	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		setup(&log, &store);
		turn_begin(log.turn, NULL);
		turn_after(log.turn, one, &log);
		turn_end(log.turn);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EX_IOERR);
}
END_TEST

UNIT_MAIN("turn", nothing_open_is_at_once, effects_leave_in_order_after_one_commit,
	  an_effect_may_change_things_again, the_loop_never_sleeps_on_waiting_effects,
	  a_full_disk_is_told_to_every_effect, a_later_failure_is_not_theirs,
	  what_is_left_over_keeps_its_own, effects_go_with_their_part,
	  a_part_that_does_not_end_is_undone, a_broken_database_ends_the_process)
