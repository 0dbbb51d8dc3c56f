/* SPDX-License-Identifier: ISC */
/*
 * Durable requests a second on one connection, pipelined: pipeline SOCKET APP RELEASE BUILD STAGE N
 * WINDOW SECONDS-AHEAD sends N Deploy calls, each with a key of its own, keeping WINDOW of them
 * unanswered, reads every reply, counts what was accepted, and prints "ACCEPTED SECONDS".
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/time/when.h"

struct pipeline {
	int fd;
	char **argv;
	long n, window, sent, answered, accepted;
	int64_t due_us;
	char out[1 << 16];
	size_t out_start, out_end;
	char first[64]; /* of the reply that is coming in */
	size_t got;
};

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One more call into the buffer, if the window and the buffer have room. */
static int
add_call(struct pipeline *p)
{
	struct when_text at = when_utc(p->due_us);
	size_t room = sizeof(p->out) - p->out_end;
	int n;

	if (p->sent == p->n || p->sent - p->answered >= p->window || room < 1024)
		return 0;
	n = snprintf(
	    p->out + p->out_end, room,
	    "{\"method\":\"io.bmd.Control.Deploy\",\"parameters\":{\"key\":\"bench-%d-%ld\","
	    "\"application\":\"%s\",\"release\":\"%s\",\"build\":%s,\"stage\":\"%s\","
	    "\"at\":\"%s\",\"confirmed\":true,\"reason\":\"bench\"}}",
	    (int)getpid(), p->sent, p->argv[2], p->argv[3], p->argv[4], p->argv[5], at.s);
	if (n < 0 || (size_t)n + 1 >= room)
		return 0;
	p->out_end += (size_t)n + 1;
	p->sent++;
	return 1;
}

static void
read_replies(struct pipeline *p)
{
	static char in[1 << 16];
	ssize_t n = read(p->fd, in, sizeof(in));

	if (n <= 0) {
		fprintf(stderr, "pipeline: the connection ended\n");
		exit(1);
	}
	for (ssize_t i = 0; i < n; i++) {
		if (p->got < sizeof(p->first) - 1)
			p->first[p->got++] = in[i];
		if (in[i])
			continue;
		p->first[p->got] = 0;
		if (strstr(p->first, "\"error\""))
			fprintf(stderr, "pipeline: %s\n", p->first);
		else
			p->accepted++;
		p->answered++;
		p->got = 0;
	}
}

static void
write_calls(struct pipeline *p)
{
	ssize_t n = send(p->fd, p->out + p->out_start, p->out_end - p->out_start,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN) {
		perror("pipeline");
		exit(1);
	}
	if (n > 0)
		p->out_start += (size_t)n;
	if (p->out_start == p->out_end)
		p->out_start = p->out_end = 0;
}

int
main(int argc, char **argv)
{
	static struct pipeline p;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	double start;

	if (argc != 9 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr,
			"usage: pipeline SOCKET APP RELEASE BUILD STAGE N WINDOW SECONDS\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	p.argv = argv;
	p.n = atol(argv[6]);
	p.window = atol(argv[7]);
	p.due_us = ((int64_t)time(NULL) + atol(argv[8])) * WHEN_SECOND;
	p.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(p.fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[1]);
		return 1;
	}
	start = now_s();
	while (p.answered < p.n) {
		struct pollfd poller = {.fd = p.fd, .events = POLLIN};

		while (p.out_start == 0 && add_call(&p))
			;
		if (p.out_end > p.out_start)
			poller.events |= POLLOUT;
		poll(&poller, 1, -1);
		if (poller.revents & (POLLIN | POLLHUP))
			read_replies(&p);
		if (poller.revents & POLLOUT)
			write_calls(&p);
	}
	printf("%ld %.4f\n", p.accepted, now_s() - start);
	return 0;
}
