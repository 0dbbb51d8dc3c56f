/* SPDX-License-Identifier: ISC */
/*
 * control.h with real sockets and a real loop, and a handler of a few lines. The store is one that
 * only counts, and whose commit can fail; it stands before the real one at the link.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "common/json.h"
#include "common/xalloc.h"
#include "daemon/control/control.h"
#include "tests/campaign/fault.h"

/* ---- a store that counts ---- */

struct store {
	bool open;
	int commits;
	bool full;
} store;

int
store_begin(struct store *s, struct err *err)
{
	(void)err;
	s->open = true;
	return 0;
}

int
store_commit(struct store *s, int64_t now_us, struct err *err)
{
	(void)now_us;
	if (s->full)
		return err_set(err, ERR_NO_SPACE, "the disk is full");
	s->open = false;
	s->commits++;
	return 0;
}

void
store_rollback(struct store *s)
{
	s->open = false;
}

bool
store_in_transaction(const struct store *s)
{
	return s->open;
}

/* ---- what turn.c parts its turns with; nobody here does ---- */

int
store_savepoint(struct store *s, struct err *err)
{
	(void)s;
	return err_set(err, ERR_FAILED, "no savepoint here");
}

int
store_mark(struct store *s, struct err *err)
{
	return store_savepoint(s, err);
}

int
store_release(struct store *s, struct err *err)
{
	return store_savepoint(s, err);
}

bool
store_rollback_savepoint(struct store *s)
{
	return store_savepoint(s, NULL) == 0;
}

/* ---- a clock that can be moved: libev asks this one ---- */

static time_t moved;

int
clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);

	ret->tv_sec += moved;
	return r;
}

/* ---- the service under test ---- */

static struct ev_loop *loop;
static struct turn *turn;
static struct control *control;
static struct conf conf;
static char folder[64], path[108];
static struct control_call *kept[128];
static size_t nkept;
static int poured, calls, gone, drained, taken_fd, taken_times;
static struct control_peer last_peer;
static ev_timer tick;

static void
on_gone(void *arg)
{
	(void)arg;
	gone++;
}

static void
on_drained(void *arg)
{
	(void)arg;
	drained++;
}

static void
on_taken(int fd, void *arg)
{
	(void)arg;
	taken_fd = fd;
	taken_times++;
}

/* A stream of 32 MiB in pieces, as fast as it may. */
static void
pour(void *arg)
{
	struct control_call *call = arg;

	while (poured < 4096 && control_may_send(call, pour, call)) {
		poured++;
		control_reply(call, json_pack("{s:o}", "text", json_sprintf("%8192d", poured)),
			      true);
	}
}

static void
spin(int us)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < us);
}

/* Echo answers its parameters, Slow takes its time for that; Change does so after changing
 * something; Keep leaves the call in kept[]; Pour streams. */
static void
handler(struct control_call *call, const struct varlink_call *what, const struct control_peer *peer,
	void *arg)
{
	_cleanup_err_ struct err err = ERR_INIT;

	ck_assert_ptr_eq(arg, &conf);
	calls++;
	last_peer = *peer;
	if (!strcmp(what->member, "Echo")) {
		control_reply(call, json_incref(what->parameters), false);
	} else if (!strcmp(what->member, "Change")) {
		control_set_fate(call, CONTROL_TOLD);
		ck_assert_int_eq(turn_begin(turn, NULL), 0);
		control_reply(call, json_incref(what->parameters), false);
	} else if (!strcmp(what->member, "Look")) {
		control_reply(call, json_pack("{s:b}", "lasts", !turn_open(turn)), false);
	} else if (!strcmp(what->member, "Refuse")) {
		control_set_fate(call, CONTROL_STANDS);
		(void)err_set(&err, ERR_REFUSED, "no");
		control_error(call, &err);
	} else if (!strcmp(what->member, "Stream")) {
		kept[nkept++] = call;
		control_on_gone(call, on_gone, NULL);
		control_reply(call, json_pack("{s:b}", "lasts", !turn_open(turn)), true);
		control_reply(call, json_object(), true);
	} else if (!strcmp(what->member, "Keep")) {
		ck_assert_uint_lt(nkept, ARRAY_SIZE(kept));
		kept[nkept++] = call;
	} else if (!strcmp(what->member, "Watch")) {
		kept[nkept++] = call;
		control_on_gone(call, on_gone, NULL);
	} else if (!strcmp(what->member, "Slow")) {
		spin(300);
		control_reply(call, json_incref(what->parameters), false);
	} else if (!strcmp(what->member, "Pour")) {
		control_on_gone(call, on_gone, NULL);
		pour(call);
	} else if (!strcmp(what->member, "Up")) {
		control_upgrade(call, json_object(), on_taken, NULL);
	} else if (!strcmp(what->member, "Text")) {
		control_reply_text(call, "{\"parameters\":{\"text\":1}}");
	} else {
		(void)err_set(&err, ERR_METHOD_NOT_FOUND, "no method %s", what->member);
		err_field(&err, "method", json_text(what->method));
		control_error(call, &err);
	}
}

static void
on_tick(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)l, (void)w, (void)revents;
}

static void
setup(void)
{
	_cleanup_err_ struct err err = ERR_INIT;

	loop = ev_default_loop(0);
	ev_timer_init(&tick, on_tick, 0.002, 0.002);
	ev_timer_start(loop, &tick);
	strcpy(folder, "/tmp/bmd-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chmod(folder, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/run/control", folder);
	conf.socket = path;
	turn = turn_new(loop, &store);
	ck_assert_msg(control_new(loop, turn, &conf, -1, handler, &conf, &control, &err) == 0, "%s",
		      err.text);
	taken_fd = -2;
}

static void
teardown(void)
{
	_cleanup_free_ char *run = xasprintf("%s/run", folder);

	control_free(control);
	turn_free(turn);
	(void)unlink(path);
	(void)rmdir(run);
	(void)rmdir(folder);
}

/* One pass of the loop, which the tick bounds. */
static void
pass(void)
{
	ev_run(loop, EVRUN_ONCE);
}

#define SPIN(condition)                                                                \
	do {                                                                           \
		int spins_ = 0;                                                        \
		while (!(condition) && spins_++ < 2000)                                \
			pass();                                                        \
		ck_assert_msg((condition), "line %d: never %s", __LINE__, #condition); \
	} while (0)

static int
dial(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(to.sun_path, path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void
say_bytes(int fd, const char *bytes, size_t n)
{
	while (n) {
		fault_pause(1);
		ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);
		fault_pause(0);
		if (k < 0 && errno == EAGAIN) {
			pass();
			continue;
		}
		ck_assert_int_gt(k, 0);
		bytes += k;
		n -= (size_t)k;
	}
}

/* With its NUL. */
static void
say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text) + 1);
}

/* What FD answers next, to compare by text; "EOF" at its end. Valid until the next call. */
static const char *
hear(int fd)
{
	static char text[8192];
	size_t n = 0;

	for (int spins = 0; spins < 4000; spins++) {
		fault_pause(1);
		ssize_t k = recv(fd, text + n, 1, 0);
		fault_pause(0);
		if (k == 1 && text[n] == '\0')
			return text;
		if (k == 1) {
			ck_assert_uint_lt(++n, sizeof(text));
			spins = 0;
			continue;
		}
		if (k == 0 || errno != EAGAIN)
			return n ? "EOF inside a frame" : "EOF";
		pass();
	}
	return "silence";
}

static bool
silent(int fd)
{
	char byte;

	for (int i = 0; i < 5; i++)
		pass();
	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

#define CALL(method, n)	 "{\"method\":\"t.t." method "\",\"parameters\":{\"n\":" #n "}}"
#define REPLY(n)	 "{\"parameters\":{\"n\":" #n "}}"
#define HEAR(fd, expect) ck_assert_str_eq(hear(fd), expect)

/* ---- frames and order ---- */

START_TEST(split_everywhere)
{
	static const char text[] = CALL("Echo", 1) "\0" CALL("Text", 2);
	int fd = dial();

	for (size_t split = 0; split <= sizeof(text); split++) {
		say_bytes(fd, text, split);
		pass();
		say_bytes(fd, text + split, sizeof(text) - split);
		HEAR(fd, REPLY(1));
		HEAR(fd, "{\"parameters\":{\"text\":1}}");
	}
	close(fd);
}
END_TEST

START_TEST(errors_go_on)
{
	int fd = dial();

	say(fd, "garbage");
	ck_assert_ptr_nonnull(strstr(hear(fd), "org.varlink.service.InvalidParameter"));
	say(fd, "");
	ck_assert_ptr_nonnull(strstr(hear(fd), "org.varlink.service.InvalidParameter"));
	say(fd, CALL("Nonsense", 1));
	HEAR(fd, "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"t."
		 "t.Nonsense\","
		 "\"message\":\"no method Nonsense\"}}");
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	close(fd);
}
END_TEST

START_TEST(too_long)
{
	_cleanup_free_ char *bytes = xcalloc(VARLINK_FRAME_MAX + 4096, 1);
	int fd = dial();

	memset(bytes, 'x', VARLINK_FRAME_MAX + 4096);
	say(fd, CALL("Echo", 1));
	say_bytes(fd, bytes, VARLINK_FRAME_MAX + 1);
	HEAR(fd, REPLY(1));
	ck_assert_ptr_nonnull(strstr(hear(fd), "1048576 bytes at the most"));
	HEAR(fd, "EOF");
	close(fd);
}
END_TEST

START_TEST(longest)
{
	_cleanup_free_ char *word = xcalloc(VARLINK_FRAME_MAX, 1);
	_cleanup_free_ char *text = NULL;
	int fd = dial();

	memset(word, 'x', VARLINK_FRAME_MAX - 60);
	text = xasprintf("{\"method\":\"t.t.Echo\",\"parameters\":{\"w\":\"%s\"}}", word);
	ck_assert_uint_le(strlen(text), VARLINK_FRAME_MAX);
	say(fd, text);
	char part[4096];
	size_t n = 0;
	for (int spins = 0; n < strlen(word) + 24 && spins < 4000; spins++) {
		ssize_t k = recv(fd, part, sizeof(part), 0);
		n += k > 0 ? (size_t)k : 0;
		if (k < 0)
			pass();
	}
	ck_assert_uint_eq(n, strlen(word) + 24);
	close(fd);
}
END_TEST

START_TEST(pipelined_in_order)
{
	enum { MANY = 3000 };
	_cleanup_free_ char *all = xcalloc(MANY, 64);
	size_t n = 0;
	char expect[64];
	int fd = dial();

	for (int i = 0; i < MANY; i++)
		n += (size_t)sprintf(all + n, "{\"method\":\"t.t.%s\",\"parameters\":{\"n\":%d}}",
				     i % 3 ? "Echo" : "Change", i) +
		     1;
	say_bytes(fd, all, n);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(expect, sizeof(expect), "{\"parameters\":{\"n\":%d}}", i);
		HEAR(fd, expect);
	}
	/* Many changes share a commit. */
	ck_assert_int_lt(store.commits, MANY / 3 / 4);
	close(fd);
}
END_TEST

START_TEST(one_read_one_commit)
{
	char all[100 * 64];
	size_t n = 0;
	int fd = dial();

	for (int i = 0; i < 100; i++)
		n += (size_t)sprintf(all + n,
				     "{\"method\":\"t.t.Change\",\"parameters\":{\"n\":%d}}", i) +
		     1;
	say_bytes(fd, all, n);
	SPIN(calls == 100);
	SPIN(store.commits > 0);
	ck_assert_int_eq(store.commits, 1);
	close(fd);
}
END_TEST

START_TEST(open_call_holds_the_next)
{
	int fd = dial();

	say(fd, "{\"method\":\"t.t.Keep\",\"more\":true}");
	say(fd, CALL("Echo", 2));
	SPIN(nkept == 1);
	ck_assert(silent(fd));
	control_reply(kept[0], json_pack("{s:i}", "n", 0), true);
	HEAR(fd, "{\"parameters\":{\"n\":0},\"continues\":true}");
	ck_assert(silent(fd));
	control_reply(kept[0], json_pack("{s:i}", "n", 1), false);
	HEAR(fd, REPLY(1));
	HEAR(fd, REPLY(2));
	/* Who did not ask for more gets one reply. */
	say(fd, CALL("Keep", 3));
	SPIN(nkept == 2);
	control_reply(kept[1], json_object(), true);
	control_reply(kept[1], json_pack("{s:i}", "n", 3), false);
	HEAR(fd, REPLY(3));
	close(fd);
}
END_TEST

START_TEST(oneway)
{
	int fd = dial();

	say(fd, "{\"method\":\"t.t.Echo\",\"oneway\":true}");
	say(fd, "{\"method\":\"t.t.Nonsense\",\"oneway\":true}");
	say(fd, "{\"method\":\"t.t.Text\",\"oneway\":true}");
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	ck_assert_int_eq(calls, 4);
	/* Sent and gone: they are done all the same. */
	for (int i = 0; i < 40; i++)
		say(fd, "{\"method\":\"t.t.Change\",\"oneway\":true}");
	close(fd);
	SPIN(calls == 44);
}
END_TEST

START_TEST(half_closed)
{
	int fd = dial();

	say(fd, CALL("Echo", 1));
	say(fd, "{\"method\":\"t.t.Keep\",\"more\":true}");
	say(fd, CALL("Echo", 3));
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	HEAR(fd, REPLY(1));
	ck_assert(silent(fd));
	control_reply(kept[0], json_pack("{s:i}", "n", 2), false);
	HEAR(fd, REPLY(2));
	HEAR(fd, REPLY(3));
	HEAR(fd, "EOF");
	close(fd);
}
END_TEST

/* At end of file, and while nothing is read, the loop sleeps, and the end of the client is noticed.
 */
START_TEST(half_closed_then_gone)
{
	int fd = dial();

	say(fd, "{\"method\":\"t.t.Watch\",\"more\":true}");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	SPIN(nkept == 1);
	ck_assert(silent(fd));
	ev_timer_stop(loop, &tick);
	ev_timer_set(&tick, 0.05, 0.05);
	ev_timer_start(loop, &tick);
	unsigned before = ev_iteration(loop);
	for (int i = 0; i < 3; i++)
		pass();
	ck_assert_uint_le(ev_iteration(loop) - before, 4);
	ck_assert_int_eq(gone, 0);
	close(fd);
	SPIN(gone == 1);
}
END_TEST

START_TEST(gone_test)
{
	int fd = dial();

	say(fd, "{\"method\":\"t.t.Watch\",\"more\":true}");
	SPIN(nkept == 1);
	close(fd);
	SPIN(gone == 1);

	/* A call without that callback can still be answered, and asked for it late. */
	fd = dial();
	say(fd, CALL("Keep", 1));
	say(fd, CALL("Keep", 2));
	SPIN(nkept == 2);
	close(fd);
	silent(dial());
	control_reply(kept[1], json_object(), false);
	fd = dial();
	say(fd, CALL("Keep", 2));
	SPIN(nkept == 3);
	close(fd);
	silent(dial());
	control_on_gone(kept[2], on_gone, NULL);
	SPIN(gone == 2);
	/* One that was never answered ends with the service. */
	fd = dial();
	say(fd, CALL("Keep", 2));
	SPIN(nkept == 4);
	close(fd);
}
END_TEST

/* ---- commits ---- */

START_TEST(reply_after_commit)
{
	int fd = dial(), reader = dial();

	say(fd, "{\"method\":\"t.t.Keep\",\"more\":true}");
	SPIN(nkept == 1);
	ck_assert_int_eq(turn_begin(turn, NULL), 0);
	control_reply(kept[0], json_pack("{s:i}", "n", 1), false);
	char byte;
	ck_assert(recv(fd, &byte, 1, MSG_PEEK) < 0);
	ck_assert_int_eq(store.commits, 0);
	turn_end(turn);
	ck_assert_int_eq(store.commits, 1);
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_PEEK), 1);
	HEAR(fd, REPLY(1));
	close(fd);
	close(reader);
}
END_TEST

START_TEST(commit_fails)
{
	static const char no_space[] = "{\"error\":\"io.bmd.Control.NoSpace\",\"parameters\":{"
				       "\"message\":\"the disk is full\"}}";
	static const char all[] =
	    CALL("Change", 1) "\0" CALL("Change",
					2) "\0{\"method\":\"t.t.Change\",\"oneway\":true}\0"
					   "{\"method\":\"t.t.Up\",\"upgrade\":true}";
	int fd = dial(), stream = dial();

	say(stream, "{\"method\":\"t.t.Watch\",\"more\":true}");
	SPIN(nkept == 1);
	store.full = true;
	say_bytes(fd, all, sizeof(all));
	HEAR(fd, no_space);
	HEAR(fd, no_space);
	HEAR(fd, no_space);
	ck_assert_int_eq(taken_times, 1);
	ck_assert_int_eq(taken_fd, -1);
	/* A stream that said something in such a turn has ended. */
	ck_assert_int_eq(turn_begin(turn, NULL), 0);
	control_reply(kept[0], json_object(), true);
	control_reply(kept[0], json_object(), true);
	HEAR(stream, no_space);
	ck_assert_int_eq(gone, 1);
	store.full = false;
	say(fd, CALL("Change", 3));
	HEAR(fd, REPLY(3));
	say(stream, CALL("Change", 4));
	HEAR(stream, REPLY(4));
	close(fd);
	close(stream);
}
END_TEST

/* In a turn whose commit fails only what changes something is told so: what reads is asked again,
 * and what stands by itself stays, each in its place. */
START_TEST(commit_fails_for_changes)
{
	static const char no_space[] = "{\"error\":\"io.bmd.Control.NoSpace\",\"parameters\":{"
				       "\"message\":\"the disk is full\"}}";
	static const char all[] =
	    CALL("Look", 1) "\0" CALL("Change", 1) "\0" CALL("Look", 2) "\0nonsense\0" CALL(
		"Refuse", 3) "\0" CALL("Change", 4) "\0" CALL("Look", 5) "\0" CALL("Echo", 6);
	int fd = dial(), stream = dial(), other = dial();

	store.full = true;
	say_bytes(fd, all, sizeof(all));
	HEAR(fd, "{\"parameters\":{\"lasts\":true}}");
	HEAR(fd, no_space);
	HEAR(fd, "{\"parameters\":{\"lasts\":true}}");
	ck_assert_ptr_nonnull(strstr(hear(fd), "InvalidParameter"));
	ck_assert_ptr_nonnull(strstr(hear(fd), "Refused"));
	HEAR(fd, no_space);
	HEAR(fd, "{\"parameters\":{\"lasts\":true}}");
	HEAR(fd, REPLY(6));
	/* Others go on failing meanwhile: in the end it is answered. */
	for (int i = 0; i < 50; i++)
		say(other, CALL("Change", 1));
	for (int i = 0; i < 50; i++)
		say(fd, CALL("Look", 1));
	for (int i = 0; i < 50; i++)
		HEAR(fd, "{\"parameters\":{\"lasts\":true}}");
	for (int i = 0; i < 50; i++)
		HEAR(other, no_space);
	/* A stream begins anew. */
	ck_assert_int_eq(turn_begin(turn, NULL), 0);
	say(stream, "{\"method\":\"t.t.Stream\",\"more\":true}");
	HEAR(stream, "{\"parameters\":{\"lasts\":true},\"continues\":true}");
	HEAR(stream, "{\"parameters\":{},\"continues\":true}");
	control_reply(kept[nkept - 1], json_pack("{s:i}", "n", 9), false);
	HEAR(stream, REPLY(9));
	ck_assert_int_eq(gone, nkept > 1);
	/* Who sent it and left is not asked again, and nothing is left of it. */
	say(fd, CALL("Change", 1));
	say(fd, CALL("Look", 1));
	close(fd);
	store.full = false;
	say(other, CALL("Change", 3));
	HEAR(other, REPLY(3));
	close(stream);
	close(other);
}
END_TEST

/* While a transaction is open a stream reads nothing; behind it, whatever became of it, it goes on.
 */
START_TEST(stream_waits_for_the_turn)
{
	int fd = dial();

	say(fd, "{\"method\":\"t.t.Watch\",\"more\":true}");
	SPIN(nkept == 1);
	ck_assert(control_may_send(kept[0], on_drained, NULL));
	for (int full = 0; full < 2; full++) {
		store.full = full;
		ck_assert_int_eq(turn_begin(turn, NULL), 0);
		ck_assert(!control_may_send(kept[0], on_drained, NULL));
		ck_assert(!control_may_send(kept[0], on_drained, NULL));
		ck_assert_int_eq(drained, full);
		turn_end(turn);
		ck_assert_int_eq(drained, full + 1);
	}
	ck_assert_int_eq(turn_begin(turn, NULL), 0);
	ck_assert(!control_may_send(kept[0], on_drained, NULL));
	close(fd);
	SPIN(gone == 1);
}
END_TEST

/* ---- those who do not behave ---- */

START_TEST(never_reading)
{
	_cleanup_free_ char *word = xcalloc(10001, 1);
	_cleanup_free_ char *text = NULL;
	int deaf = dial(), fd = dial(), refused = 0;
	size_t sent = 0;

	memset(word, 'x', 10000);
	text = xasprintf("{\"method\":\"t.t.Echo\",\"parameters\":{\"w\":\"%s\"}}", word);
	/* Calls are taken until its replies pile up; then its own socket is full. */
	for (int i = 0; i < 20000 && refused < 50; i++) {
		size_t at = sent % (strlen(text) + 1);
		ssize_t n = send(deaf, text + at, strlen(text) + 1 - at, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
		refused += n < 0;
		if (n < 0)
			pass();
	}
	ck_assert_int_eq(refused, 50);
	ck_assert_int_lt(calls, 200);
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	/* It begins to read, and gets every answer. */
	char part[65536];
	size_t whole = sent / (strlen(text) + 1), expect = whole * (strlen(word) + 24), heard = 0;
	for (int spins = 0; heard < expect && spins < 20000; spins++) {
		ssize_t n = recv(deaf, part, sizeof(part), 0);
		heard += n > 0 ? (size_t)n : 0;
		if (n < 0)
			pass();
	}
	ck_assert_uint_eq(heard, expect);
	ck_assert_int_eq(calls, (int)whole + 1);
	close(deaf);
	close(fd);
}
END_TEST

/* ---- what all together may keep ---- */

#define CROWD	     100
#define CROWD_MEMORY (20 * 1024 * 1024) /* 16 MiB, and what is on its way in one pass */

static size_t
memory(void)
{
	return mallinfo2().uordblks;
}

/* Sends what is taken until nobody's socket takes anything for a while. Returns by how much memory
 * grew at most. */
static size_t
crowd_sends(const int fds[CROWD], const char *bytes, size_t n, size_t most)
{
	size_t sent[CROWD] = {0}, before = memory(), peak = before;

	for (int quiet = 0; quiet < 50; quiet++) {
		for (int i = 0; i < CROWD; i++) {
			size_t at = sent[i] % n,
			       rest = most - sent[i] < n - at ? most - sent[i] : n - at;
			ssize_t k = rest ? send(fds[i], bytes + at, rest, MSG_NOSIGNAL) : 0;

			sent[i] += k > 0 ? (size_t)k : 0;
			quiet = k > 0 ? 0 : quiet;
		}
		pass();
		peak = memory() > peak ? memory() : peak;
	}
	return peak - before;
}

static void
crowd_comes(int fds[CROWD])
{
	for (int i = 0; i < CROWD; i++) {
		fds[i] = dial();
		pass();
	}
}

static void
crowd_goes(const int fds[CROWD])
{
	size_t kept_memory;

	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	SPIN(control_clients(control) == 0);
	kept_memory = memory();
	ck_assert_uint_lt(kept_memory, 4 * 1024 * 1024);
}

/* Halves of the longest message: those that have most are told and go, one who asks is answered. */
START_TEST(crowd_hoards)
{
	_cleanup_free_ char *bytes = xcalloc(VARLINK_FRAME_MAX, 1);
	int fds[CROWD], told = 0, fd;

	memset(bytes, ' ', VARLINK_FRAME_MAX);
	bytes[0] = '{';
	crowd_comes(fds);
	size_t grown = crowd_sends(fds, bytes, VARLINK_FRAME_MAX, VARLINK_FRAME_MAX);
	ck_assert_uint_lt(grown, CROWD_MEMORY);
	fd = dial();
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	close(fd);
	for (int i = 0; i < CROWD; i++)
		told += strstr(hear(fds[i]), "too much at once") != NULL;
	/* Sixteen of a MiB each have room. */
	ck_assert_int_ge(told, CROWD - 16);
	ck_assert_int_lt(told, CROWD);
	crowd_goes(fds);
}
END_TEST

/* Answers that nobody reads: each has a share, and so all may stay. */
START_TEST(crowd_is_deaf)
{
	_cleanup_free_ char *word = xcalloc(10001, 1), *text = NULL;
	int fds[CROWD], fd;

	memset(word, 'x', 10000);
	text = xasprintf("{\"method\":\"t.t.Echo\",\"parameters\":{\"w\":\"%s\"}}", word);
	crowd_comes(fds);
	size_t grown = crowd_sends(fds, text, strlen(text) + 1, SIZE_MAX);
	ck_assert_uint_lt(grown, CROWD_MEMORY);
	for (int i = 0; i < CROWD; i++) {
		struct pollfd end = {.fd = fds[i]};

		ck_assert_int_eq(poll(&end, 1, 0), 0); /* nobody is cut off */
	}
	fd = dial();
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	close(fd);
	crowd_goes(fds);
}
END_TEST

/* Calls wait behind one that is not answered: who has most of it is cut off. */
START_TEST(crowd_waits)
{
	_cleanup_free_ char *word = xcalloc(200001, 1), *text = NULL;
	int fds[CROWD], gone_ones = 0, fd;
	char byte;

	memset(word, 'x', 200000);
	text = xasprintf("{\"method\":\"t.t.Echo\",\"parameters\":{\"w\":\"%s\"}}", word);
	crowd_comes(fds);
	for (int i = 0; i < CROWD; i++)
		say(fds[i], CALL("Watch", 1));
	SPIN(calls == CROWD);
	size_t grown = crowd_sends(fds, text, strlen(text) + 1, SIZE_MAX);
	ck_assert_uint_lt(grown, CROWD_MEMORY);
	for (int i = 0; i < CROWD; i++)
		gone_ones += recv(fds[i], &byte, 1, 0) >= 0 || errno != EAGAIN;
	ck_assert_int_gt(gone_ones, 0);
	ck_assert_int_lt(gone_ones, CROWD);
	fd = dial();
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	close(fd);
	crowd_goes(fds);
	ck_assert_int_eq(gone, CROWD);
}
END_TEST

START_TEST(stream_drains)
{
	_cleanup_free_ char *word = xcalloc(100001, 1);
	int fd = dial(), sent = 0;

	memset(word, 'x', 100000);
	say(fd, "{\"method\":\"t.t.Watch\",\"more\":true}");
	SPIN(nkept == 1);
	while (control_may_send(kept[0], on_drained, NULL) && sent < 100) {
		control_reply(kept[0], json_pack("{s:s}", "w", word), true);
		sent++;
		pass();
	}
	ck_assert_int_lt(sent, 20);
	ck_assert_int_eq(drained, 0);
	char part[65536];
	for (int i = 0; i < 100 && !drained; i++) {
		(void)!recv(fd, part, sizeof(part), 0);
		pass();
	}
	ck_assert_int_eq(drained, 1);
	ck_assert(control_may_send(kept[0], on_drained, NULL));
	/* One that does not ask, to one that does not read: the reader is cut off. */
	for (int i = 0; i < 100 && !gone; i++) {
		control_reply(kept[0], json_pack("{s:s}", "w", word), true);
		pass();
	}
	ck_assert_int_eq(gone, 1);
	close(fd);
}
END_TEST

START_TEST(frame_deadline)
{
	static const char text[] = CALL("Echo", 1);
	int half = dial(), idle = dial();

	say(half, text);
	HEAR(half, REPLY(1));
	say_bytes(half, text, 10);
	ck_assert(silent(half) && silent(idle));
	moved += 29;
	ck_assert(silent(half));
	say_bytes(half, text + 10, sizeof(text) - 10);
	HEAR(half, REPLY(1));
	/* The next frame has its own thirty seconds, and bytes of it do not renew them. */
	for (int i = 0; i < 3; i++) {
		say_bytes(half, text + i, 1);
		ck_assert(silent(half));
		moved += 12;
	}
	HEAR(half, "EOF");
	close(half);
	/* Who says nothing may stay, and so may who waits for an answer. */
	moved += 100000;
	say(idle, CALL("Keep", 1));
	say_bytes(idle, text, 10);
	ck_assert(silent(idle));
	moved += 100000;
	ck_assert(silent(idle));
	control_reply(kept[0], json_pack("{s:i}", "n", 1), false);
	say_bytes(idle, text + 10, sizeof(text) - 10);
	HEAR(idle, REPLY(1));
	HEAR(idle, REPLY(1));
	close(idle);
	moved = 0; /* check measures how long a test took */
}
END_TEST

START_TEST(stalled_reader)
{
	_cleanup_free_ char *word = xcalloc(100001, 1);
	char part[65536];
	int fd = dial();

	memset(word, 'x', 100000);
	say(fd, "{\"method\":\"t.t.Watch\",\"more\":true}");
	SPIN(nkept == 1);
	while (control_may_send(kept[0], on_drained, NULL)) {
		control_reply(kept[0], json_pack("{s:s}", "w", word), true);
		pass();
	}
	moved += 59;
	ck_assert(!silent(fd));
	ck_assert_int_eq(gone, 0);
	/* Some taken is a minute more, even too little for the socket to be writable again. */
	ck_assert_int_gt(recv(fd, part, sizeof(part), 0), 0);
	ck_assert(!silent(fd));
	moved += 59;
	ck_assert(!silent(fd));
	ck_assert_int_eq(gone, 0);
	moved += 62;
	SPIN(gone == 1);
	close(fd);
	moved = 0; /* check measures how long a test took */
}
END_TEST

START_TEST(flood_is_fair)
{
	_cleanup_free_ char *all = xcalloc(6000, 64);
	size_t n = 0;
	int flood[4], fd = dial();

	for (int i = 0; i < 6000; i++)
		n += (size_t)sprintf(all + n, "{\"method\":\"t.t.Echo\",\"parameters\":{\"n\":%d}}",
				     i) +
		     1;
	for (int i = 0; i < 4; i++) {
		flood[i] = dial();
		(void)!send(flood[i], all, n, MSG_NOSIGNAL);
	}
	pass();
	say(fd, CALL("Echo", 7));
	int passes = 0;
	char byte;
	while (recv(fd, &byte, 1, MSG_PEEK) < 0 && passes < 100) {
		pass();
		passes++;
	}
	ck_assert_int_le(passes, 4);
	HEAR(fd, REPLY(7));
	for (int i = 0; i < 4; i++)
		close(flood[i]);
	close(fd);
}
END_TEST

START_TEST(many_of_one_uid)
{
	int fds[CONTROL_CLIENTS_UID], one_more;

	for (int i = 0; i < CONTROL_CLIENTS_UID; i++) {
		fds[i] = dial();
		pass();
	}
	say(fds[CONTROL_CLIENTS_UID - 1], CALL("Echo", 1));
	HEAR(fds[CONTROL_CLIENTS_UID - 1], REPLY(1));
	one_more = dial();
	ck_assert_ptr_nonnull(strstr(hear(one_more), "io.bmd.Control.TooMany"));
	HEAR(one_more, "EOF");
	close(one_more);
	/* A place that was left is free. */
	close(fds[0]);
	for (int i = 0; i < 5; i++)
		pass();
	one_more = dial();
	say(one_more, CALL("Echo", 2));
	HEAR(one_more, REPLY(2));
	close(one_more);
	for (int i = 1; i < CONTROL_CLIENTS_UID; i++)
		close(fds[i]);
}
END_TEST

/* As root others can be played: the credentials of a socket are those of its connect(2). */
static int
dial_as(uid_t uid, gid_t gid)
{
	gid_t none[] = {gid};

	ck_assert_int_eq(setgroups(1, none), 0);
	ck_assert_int_eq(seteuid(uid), 0);
	int fd = dial();
	ck_assert_int_eq(seteuid(0), 0);
	return fd;
}

START_TEST(places_for_root)
{
	int fds[CONTROL_CLIENTS];
	size_t n = 0;

	if (geteuid() != 0)
		return;
	struct rlimit limit = {4096, 4096};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (n < CONTROL_CLIENTS - CONTROL_RESERVE) {
		fds[n] = dial_as((uid_t)(70000 + n / 100), 70000);
		if (n++ % 16 == 0)
			pass();
	}
	int refused = dial_as(71000, 70000), root = dial();
	ck_assert_ptr_nonnull(strstr(hear(refused), "io.bmd.Control.TooMany"));
	say(root, CALL("Echo", 1));
	HEAR(root, REPLY(1));
	ck_assert_int_eq(last_peer.role, CONTROL_ROOT);
	close(refused);
	close(root);
	while (n > 0)
		close(fds[--n]);
}
END_TEST

/* A hundred connections of somebody else have no more turns than he has with one. */
START_TEST(fair_by_uid)
{
	int flood[40], fd, before;

	if (geteuid() != 0)
		return;
	for (int i = 0; i < 40; i++) {
		flood[i] = dial_as(70000, 70000);
		for (int j = 0; j < 60; j++)
			say(flood[i], CALL("Slow", 1));
	}
	fd = dial();
	pass();
	say(fd, CALL("Echo", 7));
	before = calls;
	HEAR(fd, REPLY(7));
	ck_assert_int_le(calls - before, 100);
	for (int i = 0; i < 40; i++)
		close(flood[i]);
	close(fd);
}
END_TEST

/* Who is alone has the whole turn, and with it one commit, not only what a client has while others
 * wait. */
START_TEST(alone_has_the_turn)
{
	int fd = dial();

	for (int i = 0; i < 12; i++)
		say(fd, CALL("Slow", 1));
	SPIN(calls > 0);
	ck_assert_int_eq(calls, 12);
	close(fd);
}
END_TEST

/* Nothing is made for a client that is found gone before its stream begins. */
START_TEST(stream_to_nobody)
{
	int fd = dial();

	for (int i = 0; i < 50; i++) /* more than one turn's */
		say(fd, CALL("Slow", 1));
	say(fd, "{\"method\":\"t.t.Pour\",\"parameters\":{},\"more\":true}");
	close(fd);
	SPIN(gone == 1);
	ck_assert_int_eq(poured, 0);
}
END_TEST

START_TEST(no_descriptors)
{
	struct rlimit before, limit;
	int fds[200], n = 0, fd = dial(), newcomer, waiting;

	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	/* Two sockets that connect when none is left for accept(2). */
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	strcpy(to.sun_path, path);
	newcomer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 64;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (n < 200 && (fds[n] = dup(0)) >= 0)
		n++;
	ck_assert_int_eq(connect(newcomer, (struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_ptr_nonnull(strstr(hear(newcomer), "no file descriptor left"));
	HEAR(newcomer, "EOF");
	/* It rests: the next one is not looked at, the others are served. */
	ck_assert_int_eq(connect(waiting, (struct sockaddr *)&to, sizeof(to)), 0);
	ev_timer_stop(loop, &tick);
	say(fd, CALL("Echo", 2));
	HEAR(fd, REPLY(2));
	ev_timer_start(loop, &tick);
	while (n > 0)
		close(fds[--n]);
	say(waiting, CALL("Echo", 3));
	HEAR(waiting, REPLY(3));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd);
	close(newcomer);
	close(waiting);
}
END_TEST

/* ---- who is there ---- */

START_TEST(roles)
{
	static char daemons[] = "daemon", none[] = "no-such-group", bin[] = "bin";
	static char *operators[] = {daemons, none}, *viewers[] = {bin, daemons};
	static const struct {
		int line;
		uid_t uid;
		gid_t gid;
		enum control_role before, after;
	} rows[] = {
	    {__LINE__, 0, 0, CONTROL_ROOT, CONTROL_ROOT},
	    {__LINE__, 70001, 70001, CONTROL_NOBODY, CONTROL_NOBODY},
	    {__LINE__, 70001, 1, CONTROL_OPERATOR, CONTROL_NOBODY},
	    {__LINE__, 70001, 2, CONTROL_VIEWER, CONTROL_VIEWER},
	    {__LINE__, 1, 70001, CONTROL_NOBODY, CONTROL_NOBODY},
	};

	if (geteuid() != 0 || !getgrnam("daemon") || getgrnam("daemon")->gr_gid != 1 ||
	    !getgrnam("bin") || getgrnam("bin")->gr_gid != 2)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		conf.roles.of[CONF_OPERATORS] = (struct conf_strings){operators, 2};
		conf.roles.of[CONF_VIEWERS] = (struct conf_strings){viewers, 2};
		control_reload(control, &conf);
		int fd = dial_as(rows[i].uid, rows[i].gid);
		say(fd, CALL("Echo", 1));
		HEAR(fd, REPLY(1));
		ck_assert_msg(last_peer.role == rows[i].before && last_peer.uid == rows[i].uid,
			      "line %d: role %u", rows[i].line, last_peer.role);
		/* The same connection, after a reload that names other groups. */
		conf.roles.of[CONF_OPERATORS] = (struct conf_strings){0};
		conf.roles.of[CONF_VIEWERS] = (struct conf_strings){viewers, 1};
		control_reload(control, &conf);
		say(fd, CALL("Echo", 2));
		HEAR(fd, REPLY(2));
		ck_assert_msg(last_peer.role == rows[i].after, "line %d: role %u", rows[i].line,
			      last_peer.role);
		close(fd);
	}
	int fd = dial_as(70001, 70001);
	say(fd, CALL("Echo", 1));
	HEAR(fd, REPLY(1));
	ck_assert_str_eq(last_peer.name, "uid 70001");
	ck_assert_int_eq(last_peer.pid, getpid());
	/* One without a role has little room. */
	char bytes[70000];
	memset(bytes, 'x', sizeof(bytes));
	say_bytes(fd, bytes, sizeof(bytes));
	ck_assert_ptr_nonnull(strstr(hear(fd), "65536 bytes at the most"));
	HEAR(fd, "EOF");
	close(fd);
}
END_TEST

/* ---- upgrades ---- */

START_TEST(upgrade)
{
	char bytes[16];
	int fd = dial();

	say(fd, CALL("Echo", 1));
	say(fd, "{\"method\":\"t.t.Up\",\"upgrade\":true}");
	HEAR(fd, REPLY(1));
	HEAR(fd, "{\"parameters\":{}}");
	SPIN(taken_times == 1);
	ck_assert_int_ge(taken_fd, 0);
	ck_assert(fcntl(taken_fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(taken_fd, F_GETFD) & FD_CLOEXEC);
	say_bytes(fd, "raw", 3);
	for (int i = 0; i < 5; i++)
		pass();
	ck_assert_int_eq(recv(taken_fd, bytes, sizeof(bytes), 0), 3);
	close(taken_fd);
	HEAR(fd, "EOF");
	close(fd);
}
END_TEST

START_TEST(upgrade_sent_ahead)
{
	static const char text[] = "{\"method\":\"t.t.Up\",\"upgrade\":true}\0raw";
	int fd = dial();

	say_bytes(fd, text, sizeof(text) - 1);
	HEAR(fd, "EOF");
	ck_assert_int_eq(taken_times, 1);
	ck_assert_int_eq(taken_fd, -1);
	close(fd);
	/* With the end of the stream, too. */
	fd = dial();
	say(fd, "{\"method\":\"t.t.Up\",\"upgrade\":true}");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	HEAR(fd, "EOF");
	ck_assert_int_eq(taken_times, 2);
	ck_assert_int_eq(taken_fd, -1);
	close(fd);
}
END_TEST

START_TEST(upgrade_gone)
{
	int fd = dial();

	say(fd, CALL("Keep", 1));
	SPIN(nkept == 1);
	close(fd);
	silent(dial());
	control_upgrade(kept[0], json_object(), on_taken, NULL);
	ck_assert_int_eq(taken_times, 1);
	ck_assert_int_eq(taken_fd, -1);
}
END_TEST

/* ---- the socket itself ---- */

START_TEST(stop)
{
	int fd = dial(), probe = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	say(fd, CALL("Keep", 1));
	SPIN(nkept == 1);
	control_stop(control);
	control_stop(control);
	strcpy(to.sun_path, path);
	ck_assert_int_lt(connect(probe, (struct sockaddr *)&to, sizeof(to)), 0);
	control_reply(kept[0], json_pack("{s:i}", "n", 1), false);
	HEAR(fd, REPLY(1));
	close(probe);
	close(fd);
}
END_TEST

/* What is committed is told even when the end comes in the same turn. */
START_TEST(free_tells)
{
	int fd = dial();
	char text[64];

	say(fd, CALL("Keep", 1));
	SPIN(nkept == 1);
	ck_assert_int_eq(turn_begin(turn, NULL), 0);
	control_reply(kept[0], json_pack("{s:i}", "n", 1), false);
	control_free(control);
	control = NULL;
	ck_assert_int_gt(recv(fd, text, sizeof(text), 0), 0);
	ck_assert_str_eq(text, REPLY(1));
	close(fd);
}
END_TEST

static int
another(const char *at, int fd, struct err *err)
{
	struct conf other = {.socket = xstrdup(at)};
	struct control *second = NULL;
	int r = control_new(loop, turn, &other, fd, handler, &conf, &second, err);

	control_free(second);
	free(other.socket);
	return r;
}

START_TEST(socket_file)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_free_ char *run = xasprintf("%s/run", folder),
			    *file = xasprintf("%s/file", folder),
			    *deep = xasprintf("%s/a/b/control", folder),
			    *stale = xasprintf("%s/stale", folder);
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct stat st;
	char pid[32], longer[200];

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0666);
	ck_assert_int_eq(stat(run, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	/* A living owner is named and left alone. */
	(void)snprintf(pid, sizeof(pid), "process %d", getpid());
	ck_assert_int_eq(another(path, -1, &err), -EADDRINUSE);
	ck_assert_msg(strstr(err.text, pid) && strstr(err.text, path), "%s", err.text);
	ck_assert_int_eq(stat(path, &st), 0);
	/* A file that is no socket is not removed. */
	close(open(file, O_CREAT | O_WRONLY, 0644));
	ck_assert_int_eq(another(file, -1, &err), -EEXIST);
	ck_assert_int_eq(unlink(file), 0);
	/* Only the last folder is made. */
	ck_assert_int_eq(another(deep, -1, &err), -ENOENT);
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(another(longer, -1, &err), -ENAMETOOLONG);
	/* What a dead owner left is. */
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(to.sun_path, stale);
	ck_assert_int_eq(bind(dead, (struct sockaddr *)&to, sizeof(to)), 0);
	close(dead);
	ck_assert_msg(another(stale, -1, &err) == 0, "%s", err.text);
	ck_assert_int_lt(stat(stale, &st), 0);
	/* A given one stays where it is. */
	int given = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(given, (struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_int_lt(another("unused", given, &err), 0);
	ck_assert_int_eq(listen(given, 5), 0);
	ck_assert_msg(another("unused", given, &err) == 0, "%s", err.text);
	ck_assert_int_eq(stat(stale, &st), 0);
	ck_assert_int_eq(unlink(stale), 0);
}
END_TEST

/* ---- calls of the kernel that fail */

static const struct {
	int line;
	const char *family;
	int code;
	bool hangs_up; /* the client, of whom nothing more is kept; else he is served as if nothing
			  had been */
} broken[] = {
    {__LINE__, "read", EINTR, false},	{__LINE__, "read", EAGAIN, false},
    {__LINE__, "read", ENOMEM, true},	{__LINE__, "write", EINTR, false},
    {__LINE__, "write", EAGAIN, false}, {__LINE__, "write", ENOBUFS, true},
    {__LINE__, "ioctl", EIO, false},	{__LINE__, "epoll", EINTR, false},
};

/* A client asks, and asks again behind a stream that waits for him, while the N-th call fails.
 * False: there was none. */
static bool
play_broken(size_t i, int n)
{
	int fd = dial();
	const char *heard;
	bool hit;

	SPIN(control_clients(control) == 1);
	fault_arm(broken[i].family, broken[i].code, n);
	say(fd, CALL("Echo", 1));
	heard = hear(fd);
	if (strcmp(heard, REPLY(1)) == 0) {
		say(fd, CALL("Change", 2));
		say(fd, CALL("Echo", 3));
		heard = hear(fd);
		if (strcmp(heard, REPLY(2)) == 0)
			heard = hear(fd);
	}
	hit = fault_struck();
	fault_arm("", 0, 0);
	ck_assert_msg(strcmp(heard, REPLY(3)) == 0 ||
			  (hit && broken[i].hangs_up && strcmp(heard, "EOF") == 0),
		      "line %d, call %d: %s", broken[i].line, n, heard);
	close(fd);
	SPIN(control_clients(control) == 0);
	return hit;
}

START_TEST(broken_calls)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		for (int n = 1; play_broken(i, n); n++)
			ck_assert_int_lt(n, 100);
}
END_TEST

UNIT_MAIN_WITH("control", 60, setup, teardown, split_everywhere, errors_go_on, too_long, longest,
	       pipelined_in_order, one_read_one_commit, open_call_holds_the_next, oneway,
	       half_closed, half_closed_then_gone, gone_test, reply_after_commit, commit_fails,
	       commit_fails_for_changes, stream_waits_for_the_turn, never_reading, crowd_hoards,
	       crowd_is_deaf, crowd_waits, stream_drains, frame_deadline, stalled_reader,
	       flood_is_fair, many_of_one_uid, places_for_root, fair_by_uid, alone_has_the_turn,
	       stream_to_nobody, no_descriptors, roles, upgrade, upgrade_sent_ahead, upgrade_gone,
	       stop, free_tells, socket_file, broken_calls)
