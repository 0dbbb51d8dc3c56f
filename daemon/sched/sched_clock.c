/* SPDX-License-Identifier: ISC */
/*
 * The clocks, as the scheduler sees them: read at each look, judged by steady.c, told to the queue.
 * What is kept of them costs no write of its own, unless the clock was set or another boot began.
 * Nobody is woken up for that either: the kernel tells of a clock that was set, and of the end of a
 * sleep, by cancelling a timer that is never due.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/time/when.h"
#include "common/xalloc.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/sched/sched_private.h"

#define BOOT	      "clock_boot"
#define OFFSET	      "clock_offset"
#define STEPPED	      "clock_stepped"
#define NEVER_SECONDS INT64_C(8000000000) /* in the year 2223 */
#define EXACT_US      1000		  /* less is the time between two readings */

static struct store *
store_of(struct sched *sched)
{
	return queue_store(sched->host.queue);
}

/* The first sixty bits of the boot's id, which is random; 0 when there is none. */
static int64_t
boot_number(const char *id)
{
	char digits[16];
	size_t n = 0;

	for (; *id && n + 1 < sizeof(digits); id++)
		if (*id != '-')
			digits[n++] = *id;
	digits[n] = '\0';
	return strtoll(digits, NULL, 16);
}

static struct steady_reading
read_clocks(const struct sched *sched)
{
	struct steady_reading reading = {.synchronised = true};

	clock_read(&reading.now_us, &reading.boot_us);
	if (sched->clock.steady.waits_for_synchronisation)
		reading.synchronised = clock_synchronised();
	return reading;
}

/* ---- a clock that is set */

static void
wait_for_set(struct sched *sched)
{
	const struct itimerspec never = {.it_value = {.tv_sec = NEVER_SECONDS}};

	(void)timerfd_settime(sched->clock.set_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
			      &never, NULL);
}

static void
on_set(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct sched *sched = watcher->data;
	uint64_t times;

	(void)loop, (void)events;
	(void)!read(sched->clock.set_fd, &times, sizeof(times)); /* ECANCELED */
	wait_for_set(sched);
	sched_kick(sched);
}

static void
on_alarm(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct sched *sched = watcher->data;
	uint64_t times;

	(void)loop, (void)events;
	if (read(sched->clock.alarm_fd, &times, sizeof(times)) > 0)
		sched_kick(sched);
}

bool
sched_clock_alarm(struct sched *sched, int64_t after_us)
{
	struct itimerspec when = {0};

	if (sched->clock.alarm_fd < 0)
		return false;
	if (after_us < 1) /* nothing would disarm it */
		after_us = 1;
	if (after_us < INT64_MAX) {
		when.it_value.tv_sec = after_us / WHEN_SECOND;
		when.it_value.tv_nsec = after_us % WHEN_SECOND * 1000;
	}
	return timerfd_settime(sched->clock.alarm_fd, 0, &when, NULL) == 0;
}

void
sched_clock_begin(struct sched *sched)
{
	struct sched_clock *clock = &sched->clock;

	clock->boot = boot_number(sched->host.boot);
	clock->moved = true;
	clock->set_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	clock->alarm_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	clock->set.data = clock->alarm.data = sched;
	if (clock->alarm_fd >= 0) {
		ev_io_init(&clock->alarm, on_alarm, clock->alarm_fd, EV_READ);
		ev_io_start(sched->host.loop, &clock->alarm);
	}
	if (clock->set_fd >= 0) {
		wait_for_set(sched);
		ev_io_init(&clock->set, on_set, clock->set_fd, EV_READ);
		ev_io_start(sched->host.loop, &clock->set);
	}
}

void
sched_clock_end(struct sched *sched)
{
	if (sched->clock.set_fd >= 0) {
		ev_io_stop(sched->host.loop, &sched->clock.set);
		close(sched->clock.set_fd);
	}
	if (sched->clock.alarm_fd >= 0) {
		ev_io_stop(sched->host.loop, &sched->clock.alarm);
		close(sched->clock.alarm_fd);
	}
}

/* ---- a reading */

static void
tell_queue(struct sched *sched, const struct steady_reading *reading)
{
	const struct sched_clock *clock = &sched->clock;
	const struct steady *steady = &clock->steady;
	struct queue_clock told = {
	    .doubted = steady->doubt != STEADY,
	    .highest_us = steady->highest_us,
	    .offset_us = steady->offset_us,
	    .stepped_us = clock->stepped_us + steady->offset_us - clock->kept_offset_us,
	};

	memcpy(told.boot, sched->host.boot, sizeof(told.boot));
	if (told.doubted) {
		_cleanup_free_ char *why = steady_text(steady, reading);

		told.until_us = steady_until_us(steady, reading);
		(void)snprintf(told.why, sizeof(told.why), "%s", why);
	}
	queue_set_clock(sched->host.queue, &told);
}

/* A doubt that begins, or ends, is a line of the log. */
static void
say(struct sched *sched, const struct steady *before, const struct steady_reading *reading)
{
	const struct steady *steady = &sched->clock.steady;
	_cleanup_free_ char *text = NULL;

	if (steady->doubt == before->doubt && steady->since_us == before->since_us)
		return;
	if (steady->doubt == STEADY) {
		log_info("the clock has settled: what it says is believed");
		return;
	}
	if (steady->doubt == STEADY_BEHIND && before->doubt == STEADY_JUMPED)
		return;
	text = queue_doubt_text(sched->host.queue, reading->now_us);
	log_warning("%s; --now jobs go on", text);
}

/* Whatever kept everybody from looking at what was due. */
static void
note_lapses(struct sched *sched, const struct steady *before, const struct steady_reading *reading)
{
	struct queue *queue = sched->host.queue;
	struct sched_clock *clock = &sched->clock;
	int64_t step_us = clock->steady.offset_us - before->offset_us,
		slept_us = reading->boot_us - clock_monotonic_us(),
		asleep_us = slept_us - clock->slept_us;

	if (llabs(step_us) >= WHEN_SECOND)
		log_info("the clock was set %s by %s", step_us < 0 ? "back" : "forward",
			 when_span(llabs(step_us)).s);
	if (step_us >= WHEN_SECOND)
		queue_lapse(queue, QUEUE_LAPSE_JUMP, reading->now_us - step_us, reading->now_us);
	if (asleep_us >= WHEN_SECOND)
		queue_lapse(queue, QUEUE_LAPSE_ASLEEP, reading->now_us - asleep_us,
			    reading->now_us);
	if (before->doubt != STEADY && clock->steady.doubt == STEADY) {
		clock->settled = true;
		queue_lapse(queue, QUEUE_LAPSE_DOUBT,
			    reading->now_us - (reading->boot_us - before->since_us),
			    reading->now_us);
	}
	clock->slept_us = slept_us;
	if (llabs(step_us) >= EXACT_US)
		clock->moved = true;
}

int64_t
sched_clock_read(struct sched *sched)
{
	struct steady *steady = &sched->clock.steady, before = *steady;
	struct steady_reading reading = read_clocks(sched);

	steady->settle_us = queue_conf(sched->host.queue)->clock_settle_us;
	steady_read(steady, &reading);
	note_lapses(sched, &before, &reading);
	tell_queue(sched, &reading);
	say(sched, &before, &reading);
	return reading.now_us;
}

int64_t
sched_clock_wake_us(struct sched *sched)
{
	struct steady_reading reading;

	if (sched->clock.steady.doubt == STEADY)
		return INT64_MAX;
	reading = read_clocks(sched);
	return steady_wake_us(&sched->clock.steady, &reading);
}

/* ---- what is kept */

static int
put_kept(struct sched *sched, struct err *err)
{
	struct sched_clock *clock = &sched->clock;
	int64_t offset_us = clock->steady.offset_us,
		stepped_us = clock->stepped_us + offset_us - clock->kept_offset_us;
	int r = store_number_put(store_of(sched), BOOT, clock->boot, err);

	if (r == 0)
		r = store_number_put(store_of(sched), OFFSET, offset_us, err);
	if (r == 0)
		r = store_number_put(store_of(sched), STEPPED, stepped_us, err);
	if (r < 0)
		return r;
	clock->kept_boot = clock->boot;
	clock->kept_offset_us = offset_us;
	clock->stepped_us = stepped_us;
	return 0;
}

/* What did not end in order may have lived for one more beat. That is not held against the jobs
 * that waited: the rule is there for one that would start hours late, not for one that starts two
 * minutes late. */
static int
hold_slept(struct sched *sched, int64_t alive_us, int64_t until_us, struct err *err)
{
	return queue_after_downtime(sched->host.queue, alive_us + sched->clock.unknown_us, until_us,
				    err);
}

/* Now the wall clock can say for how long bmd was down, but for what has passed since. */
static int
judge_downtime(struct sched *sched, int64_t now_us, struct err *err)
{
	struct sched_clock *clock = &sched->clock;
	int64_t since_us = now_us - clock->steady.offset_us - clock->began_us;
	bool new = clock->until_us == 0;
	int r;

	if (new)
		clock->until_us = now_us - since_us;
	r = hold_slept(sched, clock->alive_us, clock->until_us, err);
	if (r < 0)
		return r;
	if (new)
		queue_lapse(sched->host.queue, QUEUE_LAPSE_DOWN, clock->alive_us, clock->until_us);
	clock->judged_us = clock->alive_us;
	clock->alive_us = 0;
	return 0;
}

void
sched_clock_kept(struct sched *sched, bool committed)
{
	struct sched_clock *clock = &sched->clock;

	if (!committed && clock->judged_us > 0) {
		clock->alive_us = clock->judged_us;
		queue_postpone_downtime(sched->host.queue);
	}
	clock->judged_us = 0;
	if (committed)
		return;
	clock->kept_boot = -1;
	clock->settled = clock->moved = true;
	queue_walk_anew(sched->host.queue);
}

int
sched_clock_keep(struct sched *sched, int64_t now_us, struct err *err)
{
	struct sched_clock *clock = &sched->clock;
	int r = 0;

	if (clock->steady.doubt != STEADY)
		return 0;
	if (clock->alive_us > 0)
		r = judge_downtime(sched, now_us, err);
	if (r == 0 && store_highest(store_of(sched)) > now_us)
		r = store_forget_highest(store_of(sched), now_us, err);
	if (r == 0 && clock->settled && sched->on_settled)
		sched->on_settled(sched->settled_arg);
	clock->settled = clock->settled && r < 0;
	if (r == 0 && (clock->kept_boot != clock->boot ||
		       llabs(clock->steady.offset_us - clock->kept_offset_us) >= WHEN_SECOND))
		r = put_kept(sched, err);
	return r;
}

static int
get_kept(struct sched *sched, struct steady_memory *memory, struct err *err)
{
	struct sched_clock *clock = &sched->clock;
	int r = store_number_get(store_of(sched), BOOT, &clock->kept_boot, err);

	if (r == 0)
		r = store_number_get(store_of(sched), OFFSET, &clock->kept_offset_us, err);
	if (r == 0)
		r = store_number_get(store_of(sched), STEPPED, &clock->stepped_us, err);
	*memory = (struct steady_memory){
	    .highest_us = store_highest(store_of(sched)),
	    .same_boot = clock->boot != 0 && clock->kept_boot == clock->boot,
	    .offset_us = clock->kept_offset_us,
	};
	return r;
}

/* Within a boot the wall clock is not asked for how long bmd was down. */
static int
after_downtime(struct sched *sched, const struct steady_memory *memory,
	       const struct steady_reading *reading, struct err *err)
{
	int64_t alive_us = store_last_alive(store_of(sched)), down_us;

	if (alive_us == 0)
		return 0;
	down_us = memory->same_boot ? reading->boot_us + memory->offset_us - alive_us
				    : reading->now_us - alive_us;
	if (!memory->same_boot && sched->clock.steady.doubt != STEADY) {
		sched->clock.alive_us = alive_us;
		queue_postpone_downtime(sched->host.queue);
		return 0;
	}
	queue_lapse(sched->host.queue, QUEUE_LAPSE_DOWN, alive_us, reading->now_us);
	sched->clock.judged_us = alive_us;
	sched->clock.until_us = alive_us + down_us;
	return hold_slept(sched, alive_us, alive_us + down_us, err);
}

int
sched_clock_recover(struct sched *sched, struct err *err)
{
	struct sched_clock *clock = &sched->clock;
	struct steady_reading reading = read_clocks(sched);
	struct steady_memory memory;
	struct steady nothing;
	int r = get_kept(sched, &memory, err);

	if (r < 0)
		return r;
	reading.synchronised = clock_synchronised();
	steady_begin(&clock->steady, queue_conf(sched->host.queue)->clock_settle_us, &memory,
		     &reading);
	if (!memory.same_boot) /* by how much another boot's clock differed, nobody knows */
		clock->kept_offset_us = clock->steady.offset_us;
	clock->slept_us = reading.boot_us - clock_monotonic_us();
	clock->began_us = reading.boot_us;
	clock->unknown_us = store_ended(store_of(sched)) ? 0 : SCHED_BEAT_SECONDS * WHEN_SECOND;
	if (clock->steady.jumped && clock->steady.jump_us > 0)
		queue_lapse(sched->host.queue, QUEUE_LAPSE_JUMP,
			    reading.now_us - clock->steady.jump_us, reading.now_us);
	tell_queue(sched, &reading);
	nothing = (struct steady){.doubt = STEADY, .since_us = clock->steady.since_us};
	if (clock->steady.doubt != STEADY)
		say(sched, &nothing, &reading);
	return after_downtime(sched, &memory, &reading, err);
}
