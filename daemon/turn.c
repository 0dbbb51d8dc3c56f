/* SPDX-License-Identifier: ISC */
/*
 * One turn: effects wait in a list until what they tell of is durable. The prepare watcher has the
 * lowest priority, so that it runs last before the loop would sleep. An effect may change things
 * again and defer more: that commits in a further round of the same turn; after ROUNDS_MAX of them
 * the rest waits for the next turn, and an idle watcher keeps the loop from sleeping before it.
 */
#include "daemon/turn.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/failpoint.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#define ROUNDS_MAX 16

struct effect {
	void (*back)(void *arg, const struct err *failure);
	void *arg;
	bool bound; /* to the transaction that was open when it was deferred */
};

struct turn {
	struct ev_loop *loop;
	struct store *store;
	ev_prepare prepare;
	ev_idle awake;
	struct effect *effects;
	size_t neffects, room;
	size_t before; /* so many of them were there at the savepoint */
	bool ending;   /* effects are being called: no second turn_end() inside */
};

static void
on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop, (void)revents;
	turn_end(w->data);
}

static void
on_awake(struct ev_loop *loop, ev_idle *w, int revents)
{
	(void)loop, (void)w, (void)revents;
}

struct turn *
turn_new(struct ev_loop *loop, struct store *store)
{
	struct turn *turn = xcalloc(1, sizeof(*turn));

	turn->loop = loop;
	turn->store = store;
	ev_idle_init(&turn->awake, on_awake);
	ev_prepare_init(&turn->prepare, on_prepare);
	ev_set_priority(&turn->prepare, EV_MINPRI);
	turn->prepare.data = turn;
	ev_prepare_start(loop, &turn->prepare);
	ev_unref(loop); /* the watcher alone keeps no loop running */
	return turn;
}

void
turn_free(struct turn *turn)
{
	if (!turn)
		return;
	ev_ref(turn->loop);
	ev_prepare_stop(turn->loop, &turn->prepare);
	ev_idle_stop(turn->loop, &turn->awake);
	free(turn->effects);
	free(turn);
}

/* What was promised and what is on disk may differ now; only a restart that reads can tell. Nothing
 * may run on the way out. */
static __attribute__((noreturn)) void
die(const struct err *err)
{
	log_error("%s; ending, to recover by reading after the restart", err->text);
	_exit(EX_IOERR);
}

int
turn_begin(struct turn *turn, struct err *err)
{
	_cleanup_err_ struct err failure = ERR_INIT;
	int r = store_begin(turn->store, &failure);

	if (r == 0 || r == -ENOSPC) {
		if (r < 0 && err)
			err_set(err, ERR_NO_SPACE, "%s", failure.text);
		return r;
	}
	die(&failure);
}

bool
turn_open(const struct turn *turn)
{
	return store_in_transaction(turn->store);
}

void
turn_after(struct turn *turn, void (*back)(void *arg, const struct err *failure), void *arg)
{
	/* Behind an effect that is waiting nothing may overtake. */
	if (!turn->ending && !turn->neffects && !store_in_transaction(turn->store)) {
		back(arg, NULL);
		return;
	}
	XGROW(turn->effects, turn->neffects, turn->room);
	turn->effects[turn->neffects++] =
	    (struct effect){back, arg, store_in_transaction(turn->store)};
}

int
turn_savepoint(struct turn *turn, struct err *err)
{
	turn->before = turn->neffects;
	return store_savepoint(turn->store, err);
}

int
turn_mark(struct turn *turn, struct err *err)
{
	turn->before = turn->neffects;
	return store_mark(turn->store, err);
}

/* At once, not at the end of the turn: whoever defers something once a turn may do so again. */
bool
turn_rollback_savepoint(struct turn *turn)
{
	_cleanup_free_ struct effect *undone = NULL;
	_cleanup_err_ struct err failure = ERR_INIT;
	size_t n = turn->neffects - turn->before;
	bool alone = store_rollback_savepoint(turn->store);

	if (n == 0)
		return alone;
	undone = xcalloc(n, sizeof(*undone));
	memcpy(undone, turn->effects + turn->before, n * sizeof(*undone));
	turn->neffects = turn->before;
	(void)err_set(&failure, ERR_FAILED, "it was undone with what it belonged to");
	for (size_t i = 0; i < n; i++)
		undone[i].back(undone[i].arg, &failure);
	return alone;
}

/* Who is told that it failed must be able to rely on it: nothing of it stays. */
int
turn_release(struct turn *turn, struct err *err)
{
	int r = store_release(turn->store, err);

	if (r < 0)
		(void)turn_rollback_savepoint(turn);
	return r;
}

static bool
pending(const struct turn *turn)
{
	return turn->neffects > 0 || store_in_transaction(turn->store);
}

/* Commits what is open and calls the effects that waited for it. */
static void
round_end(struct turn *turn)
{
	_cleanup_err_ struct err failure = ERR_INIT;
	_cleanup_free_ struct effect *effects = NULL;
	size_t n;
	int r = 0;

	if (store_in_transaction(turn->store)) {
		failpoint("commit-before");
		r = store_commit(turn->store, clock_now_us(), &failure);
		if (r == -ENOSPC)
			store_rollback(turn->store);
		else if (r < 0)
			die(&failure);
		failpoint("commit-after");
	}
	effects = TAKE(turn->effects);
	n = turn->neffects;
	turn->neffects = turn->room = 0;
	for (size_t i = 0; i < n; i++)
		effects[i].back(effects[i].arg, r < 0 && effects[i].bound ? &failure : NULL);
}

void
turn_end(struct turn *turn)
{
	if (turn->ending)
		return;
	turn->ending = true;
	for (int i = 0; i < ROUNDS_MAX && pending(turn); i++)
		round_end(turn);
	turn->ending = false;
	if (pending(turn))
		ev_idle_start(turn->loop, &turn->awake);
	else
		ev_idle_stop(turn->loop, &turn->awake);
}
