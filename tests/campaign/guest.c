/* SPDX-License-Identifier: ISC */
/*
 *	guest SOCKET SEED NTH [OPERATOR VIEWER]
 *
 * A client as nobody wants it, for a second or two, in one of the ways of attacks[]: the NTH, for
 *once through the list, then as the seed says. As root it comes as other users: the uids OPERATOR
 *and VIEWER, who may ask, and uids from STRANGERS on, who may not. In the middle of it somebody
 *else, of another uid and polite, has to be answered, and at its end root. Prints what it did; a
 *VIOLATION ends with 1.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/campaign/ledger.h"

#define STORM	    10000 /* connections a second */
#define STRANGERS   64000 /* uids without a name */
#define MANY	    10000
#define CLIENTS_MAX 512	 /* CONTROL_CLIENTS */
#define CLIENTS_UID 128	 /* CONTROL_CLIENTS_UID */
#define ROOT_PLACES 16	 /* CONTROL_RESERVE */
#define CACHE_KIB   4000 /* PRAGMA cache_size */
#define SERVED_MS   5000 /* how fast is what pulse measures */

static struct {
	struct sockaddr_un to;
	uint64_t dice;
	uid_t operator, viewer;
	gid_t operators, viewers;
	bool root;
	int violations;
} guest;

static void __attribute__((format(printf, 1, 2))) violation(const char *format, ...)
{
	va_list args;

	guest.violations++;
	printf("VIOLATION I11 ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void
become(uid_t uid)
{
	gid_t gid = uid == guest.operator ? guest.operators
		    : uid == guest.viewer ? guest.viewers
					  : uid;

	if (!guest.root)
		return;
	if (seteuid(0) < 0 || setegid(gid) < 0 || seteuid(uid) < 0)
		err(99, "cannot become %d", (int)uid);
}

/* A connection of UID; -1 where there is none, which a refusal may be. */
static int
come(uid_t uid)
{
	struct timeval limit = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(99, "socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	become(uid);
	if (connect(fd, (struct sockaddr *)&guest.to, sizeof(guest.to)) < 0) {
		close(fd);
		fd = -1;
	}
	become(0);
	return fd;
}

static bool
say(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

		if (done < 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

/* A whole frame of an answer that is JSON. */
static bool
hear(int fd)
{
	static char text[1 << 20];
	json_t *reply = NULL;
	size_t n = 0;

	while (n < sizeof(text)) {
		ssize_t got = recv(fd, text + n, sizeof(text) - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
		if (memchr(text, '\0', n)) {
			reply = json_loads(text, 0, NULL);
			break;
		}
	}
	json_decref(reply);
	return reply != NULL;
}

static void
served(uid_t uid, const char *when)
{
	json_t *nothing = json_object(), *reply;
	int64_t since_us = clock_us(CLOCK_MONOTONIC);

	become(uid);
	reply = ask(guest.to.sun_path, "GetStatus", nothing, SERVED_MS);
	become(0);
	if (!reply || error_name(reply))
		violation("%s uid %d is not served: %s after %lld ms", when, (int)uid,
			  reply ? error_name(reply) : "no answer",
			  (long long)(clock_us(CLOCK_MONOTONIC) - since_us) / 1000);
	json_decref(reply);
	json_decref(nothing);
}

#define FRAME "{\"method\":\"io.bmd.Control.GetStatus\",\"parameters\":{}}"

/* ---- the ways */

static void
attack_split(void)
{
	static const char frame[] = FRAME;

	for (size_t i = 0; i <= sizeof(frame); i++) {
		int fd = come(guest.viewer);

		for (size_t j = 0; i == sizeof(frame) && j < sizeof(frame); j++)
			say(fd, frame + j, 1);
		if (i < sizeof(frame)) {
			say(fd, frame, i);
			usleep(500);
			say(fd, frame + i, sizeof(frame) - i);
		}
		if (!hear(fd))
			violation("a call that is split at %zu is not answered", i);
		close(fd);
	}
	served(guest.operator, "after the splits");
}

static void
noise(char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)chance(&guest.dice);
}

static void
attack_garbage(void)
{
	static char bytes[1 << 16];

	for (int i = 0; i < 60; i++) {
		int fd = come(i % 2 ? guest.viewer : (uid_t)STRANGERS);
		size_t n = 1 + (size_t)below(&guest.dice, sizeof(bytes));

		noise(bytes, n);
		(void)say(fd, bytes, n);
		(void)say(fd, "", 1);
		if (i == 30)
			served(guest.operator, "amid garbage");
		(void)recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		close(fd);
	}
}

/* Real calls with a few bytes that are others. */
static void
attack_mutants(void)
{
	static const char *const calls[] = {
	    FRAME,
	    "{\"method\":\"io.bmd.Control.ListHistory\",\"parameters\":{\"application\":\"app\","
	    "\"limit\":20,\"after\":\"3\"}}",
	    "{\"method\":\"io.bmd.Control.Log\",\"parameters\":{\"job\":1,\"after\":0,\"follow\":"
	    "true},\"more\":true}",
	    "{\"method\":\"io.bmd.Control.Wait\",\"parameters\":{\"jobs\":[1,2,3],\"timeout_us\":"
	    "10},\"more\":true}",
	    "{\"method\":\"io.bmd.Control.GetBuild\",\"parameters\":{\"application\":\"app\","
	    "\"release\":\"1.0\",\"build\":1}}",
	    "{\"method\":\"io.bmd.Control.Diff\",\"parameters\":{\"application\":\"app\",\"a\":{"
	    "\"release\":\"1.0\",\"build\":1},\"b\":{\"release\":\"1.0\",\"build\":2}}}",
	    "{\"method\":\"io.bmd.Control.Deploy\",\"parameters\":{\"key\":\"k\",\"application\":"
	    "\"app\",\"release\":\"1.0\",\"stage\":\"s0\",\"now\":true}}",
	    "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
	    "\"interface\":\"io.bmd.Control\"}}",
	};
	static const char likely[] = "{}[]\":,\\0-9.eEtn\x7f\xff";
	char text[512];

	for (int i = 0; i < 400; i++) {
		const char *call = calls[below(&guest.dice, sizeof(calls) / sizeof(calls[0]))];
		size_t n = strlen(call) + 1;
		int fd = come(guest.viewer);

		memcpy(text, call, n);
		for (int j = below(&guest.dice, 4); j >= 0; j--)
			text[below(&guest.dice, (int)n - 1)] =
			    below(&guest.dice, 2) ? likely[below(&guest.dice, sizeof(likely) - 1)]
						  : (char)chance(&guest.dice);
		(void)say(fd, text, n);
		(void)recv(fd, text, sizeof(text), below(&guest.dice, 4) ? MSG_DONTWAIT : 0);
		close(fd);
		if (i == 200)
			served(guest.operator, "amid mutants");
	}
}

static void
attack_nesting(void)
{
	static const char *const pieces[] = {"[", "{\"a\":", "{\"parameters\":", "[{\"a\":["};
	static char text[1 << 20];

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t n = 0, one = strlen(pieces[i]);
		int fd = come(guest.viewer);

		for (; n + one + 1 < sizeof(text); n += one)
			memcpy(text + n, pieces[i], one);
		text[n] = '\0';
		(void)say(fd, text, n + 1);
		if (!hear(fd))
			violation("a frame that is nested by '%s' has no answer", pieces[i]);
		close(fd);
	}
	served(guest.operator, "after the nesting");
}

static void
attack_overlong(void)
{
	static char text[3 << 20];

	memset(text, '1', sizeof(text));
	for (int i = 0; i < 8; i++) {
		int fd = come(i % 2 ? guest.viewer : (uid_t)STRANGERS);

		(void)say(fd, text, sizeof(text));
		if (!hear(fd))
			violation("a frame that is too long has no answer");
		while (recv(fd, text, sizeof(text), 0) > 0)
			continue;
		if (say(fd, "x", 1) && usleep(100000) == 0 && say(fd, "x", 1))
			violation("who sends too much is not let go");
		close(fd);
	}
	served(guest.operator, "after frames that are too long");
}

/* Calls and streams of large answers, of which not a byte is read. */
static void
attack_deaf(void)
{
	static const char calls[] =
	    "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{"
	    "\"interface\":\"io.bmd.Control\"}}\0"
	    "{\"method\":\"io.bmd.Control.ListHistory\",\"parameters\":{}}\0"
	    "{\"method\":\"io.bmd.Control.Log\",\"parameters\":{\"job\":1,\"follow\":true},"
	    "\"more\":true}";
	int fds[100], small = 1024;

	for (int i = 0; i < 100; i++) {
		fds[i] = come(guest.viewer);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		for (int j = 0; j < 200; j++)
			if (send(fds[i], calls, sizeof(calls), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
				break;
		if (i == 50)
			served(guest.operator, "beside those that do not read");
	}
	usleep(500000);
	served(guest.operator, "beside a hundred that do not read");
	for (int i = 0; i < 100; i++)
		close(fds[i]);
}

/* All but the last byte of the longest message. */
static void
send_most(int fd)
{
	static char text[(1 << 20) - 1];

	memset(text, ' ', sizeof(text));
	text[0] = '{';
	(void)say(fd, text, sizeof(text));
}

/* Of each of three uids about as many connections as one may have. */
static void
attack_hoard(void)
{
	const uid_t uids[] = {guest.operator, guest.viewer, STRANGERS};
	int fds[360], n = guest.root ? 360 : 120;

	for (int i = 0; i < n; i++) {
		fds[i] = come(uids[i % 3]);
		send_most(fds[i]);
		if (i % 100 == 99)
			served(guest.operator, "beside those that hoard");
	}
	usleep(200000);
	served(guest.viewer, "beside those that hoard");
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

/* Messages that are as large in memory as they can be: many small values. */
static void
attack_swollen(void)
{
	static const char *const pieces[] = {"[],", "{},", "0,", "\"\",", "[0],", "{\"\":0},"};
	static const char head[] =
	    "{\"method\":\"io.bmd.Control.GetStatus\",\"parameters\":{\"a\":[";
	static char text[1 << 20];

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		size_t n = sizeof(head) - 1, one = strlen(pieces[i]);
		int fd = come(guest.viewer);

		memcpy(text, head, n);
		for (; n + one + 8 < sizeof(text); n += one)
			memcpy(text + n, pieces[i], one);
		n += (size_t)snprintf(text + n, 8, "0]}}");
		(void)say(fd, text, n + 1);
		if (!hear(fd))
			violation("a frame full of '%s' has no answer", pieces[i]);
		close(fd);
	}
	served(guest.operator, "after frames of many values");
}

static void
attack_mute(void)
{
	int fds[100];

	for (int i = 0; i < 100; i++) {
		fds[i] = come(i % 2 ? guest.viewer : (uid_t)STRANGERS);
		if (i % 3 == 0)
			(void)say(fds[i], FRAME, 20);
	}
	usleep(500000);
	served(guest.operator, "beside those that do not write");
	for (int i = 0; i < 100; i++)
		close(fds[i]);
}

/* Is this connection still bmd's, once all refusals are told? */
static bool
kept(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, 0) == 0;
}

static void
attack_idle(void)
{
	static int fds[MANY];
	int held = 0, of_one = 0;

	if (!guest.root) {
		printf("skipped: ten thousand idle connections take many uids\n");
		return;
	}
	/* At first all of one uid, then a hundred each. */
	for (int i = 0; i < MANY; i++)
		fds[i] = come((uid_t)(i < 1000 ? STRANGERS : STRANGERS + 1 + i / 100));
	/* Who comes behind them is answered when each of them was let in or refused. */
	served(0, "beside ten thousand idle connections");
	for (int i = 0; i < MANY; i++) {
		held += kept(fds[i]);
		of_one += i < 1000 && kept(fds[i]);
	}
	printf("idle: %d of %d connections are kept, %d of one uid\n", held, MANY, of_one);
	if (held > CLIENTS_MAX - ROOT_PLACES || of_one > CLIENTS_UID || held < CLIENTS_UID)
		violation("%d idle connections are kept, %d of one uid", held, of_one);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

/* Connections as fast as they can be made, for a second. */
static void
attack_storm(void)
{
	int64_t begin = clock_us(CLOCK_MONOTONIC), us;
	int n = 0, children = 2;
	pid_t pids[2];

	for (int i = 0; i < children; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			for (n = 0; clock_us(CLOCK_MONOTONIC) - begin < 2000000; n++)
				close(come((uid_t)(STRANGERS + i)));
			_exit(n / 200 > 255 ? 255 : n / 200);
		}
	}
	usleep(700000);
	served(guest.operator, "amid a storm of connections");
	served(0, "amid a storm of connections");
	for (int i = 0; i < children; i++) {
		int status;

		waitpid(pids[i], &status, 0);
		n += WEXITSTATUS(status) * 200;
	}
	us = clock_us(CLOCK_MONOTONIC) - begin;
	printf("storm: %lld connections a second%s\n", (long long)n * 1000000 / us,
	       n == 2 * 255 * 200 ? " or more" : "");
	if ((int64_t)n * 1000000 / us < STORM)
		printf("skipped: a storm of %d connections a second: this machine makes fewer\n",
		       STORM);
}

/* Dies in the middle: of its frame, of its answer, of a stream. */
static void
attack_dying(void)
{
	static const char *const calls[] = {
	    FRAME,
	    "{\"method\":\"io.bmd.Control.Log\",\"parameters\":{\"job\":1,\"follow\":true},"
	    "\"more\":true}",
	    "{\"method\":\"io.bmd.Control.Wait\",\"parameters\":{\"jobs\":[999999999]},\"more\":"
	    "true}",
	    "{\"method\":\"io.bmd.Control.VerifyBuilds\",\"parameters\":{},\"more\":true}",
	    "{\"method\":\"io.bmd.Control.ListHistory\",\"parameters\":{}}",
	};
	char bytes[64];

	for (int i = 0; i < 500; i++) {
		const char *call = calls[below(&guest.dice, sizeof(calls) / sizeof(calls[0]))];
		size_t n = strlen(call) + 1;
		int fd = come(guest.viewer), how = below(&guest.dice, 4);

		(void)say(fd, call, how == 0 ? (size_t)below(&guest.dice, (int)n) : n);
		if (how == 1)
			(void)recv(fd, bytes, 1 + (size_t)below(&guest.dice, sizeof(bytes)),
				   MSG_DONTWAIT);
		if (how == 2)
			shutdown(fd, below(&guest.dice, 2) ? SHUT_RD : SHUT_WR);
		close(fd);
		if (i == 250)
			served(guest.operator, "beside those that die");
	}
}

/* Uploads that are cut, mute or garbage. */
static void
attack_upload(void)
{
	static const char *const kinds[] = {"tree", "tar", "zip"};
	static char bytes[1 << 16];
	int fds[24];

	for (int i = 0; i < 24; i++) {
		char call[128];
		int n = snprintf(call, sizeof(call),
				 "{\"method\":\"io.bmd.Control.Upload\",\"parameters\":{\"kind\":"
				 "\"%s\"},\"upgrade\":true}",
				 kinds[i % 3]);

		fds[i] = come(guest.operator);
		(void)say(fds[i], call, (size_t)n + 1);
		if (i % 4 == 0) { /* ahead of the answer, which is not allowed */
			(void)say(fds[i], bytes, 10);
			continue;
		}
		(void)hear(fds[i]);
		noise(bytes, sizeof(bytes));
		if (i % 4 < 3)
			(void)send(fds[i], bytes, 1 + (size_t)below(&guest.dice, sizeof(bytes)),
				   MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	served(guest.viewer, "beside uploads that are none");
	usleep(300000);
	for (int i = 0; i < 24; i++)
		close(fds[i]);
}

/* Descriptors that nobody asked for, and bytes out of band. */
static void
attack_descriptors(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(200 * sizeof(int))];
	} control;
	char byte = '{';
	struct iovec piece = {.iov_base = &byte, .iov_len = 1};

	for (int i = 0; i < 50; i++) {
		struct msghdr message = {.msg_iov = &piece,
					 .msg_iovlen = 1,
					 .msg_control = control.room,
					 .msg_controllen = sizeof(control.room)};
		int fd = come(guest.viewer);

		control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(200 * sizeof(int))};
		for (size_t j = 0; j < 200; j++)
			memcpy(CMSG_DATA(&control.header) + j * sizeof(int), &fd, sizeof(int));
		(void)sendmsg(fd, &message, MSG_NOSIGNAL);
		(void)say(fd, FRAME + 1, sizeof(FRAME) - 1);
		if (!hear(fd))
			violation("a call with descriptors is not answered");
		close(fd);
		fd = come(guest.viewer);
		(void)say(fd, FRAME, 10);
		(void)send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL);
		(void)say(fd, FRAME + 10, sizeof(FRAME) - 10);
		(void)recv(fd, &byte, 1, 0);
		close(fd);
	}
	served(guest.operator, "after descriptors");
}

/* Not an attack: as many pages of the database as SQLite keeps in memory, so that what grows
 * afterwards is not that. */
static void
fill_cache(void)
{
	char key[32], note[4001];

	memset(note, 'x', sizeof(note) - 1);
	note[sizeof(note) - 1] = '\0';
	for (int i = 0; i < CACHE_KIB / 4 + 200; i++) {
		json_t *reply, *build;

		snprintf(key, sizeof(key), "fill-%d", i);
		build = json_pack("{s:s, s:s, s:s, s:s, s:[]}", "key", key, "application", "app",
				  "release", "fill", "note", note, "artifacts");
		reply = ask(guest.to.sun_path, "AddBuild", build, SERVED_MS);
		if (!reply || error_name(reply))
			violation("the cache is not filled: %s",
				  reply ? error_name(reply) : "no answer");
		json_decref(reply);
		json_decref(build);
	}
}

static void
find(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		errx(99, "there is no user %s", name);
	*ret_uid = user->pw_uid;
	*ret_gid = user->pw_gid;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} attacks[] = {
	    {"split", attack_split},	   {"garbage", attack_garbage},
	    {"mutants", attack_mutants},   {"nesting", attack_nesting},
	    {"overlong", attack_overlong}, {"deaf", attack_deaf},
	    {"mute", attack_mute},	   {"idle", attack_idle},
	    {"storm", attack_storm},	   {"dying", attack_dying},
	    {"upload", attack_upload},	   {"descriptors", attack_descriptors},
	    {"hoard", attack_hoard},	   {"swollen", attack_swollen},
	};
	size_t n = sizeof(attacks) / sizeof(attacks[0]), nth;

	if (argc == 2 && strcmp(argv[1], "count") == 0)
		return printf("%zu\n", n) < 0;
	if (argc != 3 && argc != 4 && argc != 6)
		errx(99, "usage: guest SOCKET SEED NTH [OPERATOR VIEWER]; guest count; guest "
			 "SOCKET fill");
	guest.to.sun_family = AF_UNIX;
	snprintf(guest.to.sun_path, sizeof(guest.to.sun_path), "%s", argv[1]);
	if (argc == 3) {
		fill_cache();
		return guest.violations ? 1 : 0;
	}
	nth = strtoul(argv[3], NULL, 10);
	guest.dice = strtoull(argv[2], NULL, 10) * 1000003 + nth;
	guest.root = geteuid() == 0 && argc == 6;
	guest.operator= guest.viewer = getuid();
	if (guest.root) {
		find(argv[4], &guest.operator, & guest.operators);
		find(argv[5], &guest.viewer, &guest.viewers);
	}
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){MANY + 100, MANY + 100});
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	nth = nth < n ? nth : (size_t)below(&guest.dice, (int)n);
	attacks[nth].run();
	served(0, attacks[nth].name);
	if (guest.violations)
		printf("VIOLATION in attack %zu, %s\n", nth, attacks[nth].name);
	return guest.violations ? 1 : 0;
}
