/* SPDX-License-Identifier: ISC */
/*
 * Reads a step's two pipes. Reading never stops: a step that floods is not made to wait, nor is the
 * loop, which gets its turn after each buffer. Lines are cut at RUNLOG_LINE; what comes without an
 * end of line waits for it until the step is over.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/xalloc.h"
#include "runner/output.h"
#include "runner/secrets.h"

#define READ_MAX (64 * 1024)

struct stream {
	struct output *output;
	const char *name;
	ev_io watcher;
	struct mask_stream *mask; /* before anything is a line; NULL: nothing to hide */
	char line[RUNLOG_LINE];
	size_t n;
	bool ended;
};

struct output {
	struct run *run;
	char step[64];
	int64_t now_us; /* read once a buffer, not once a line */
	struct stream streams[2];
	char buffer[READ_MAX];
};

static void
stream_line(struct stream *stream, const char *text, size_t n)
{
	struct output *output = stream->output;

	runlog_line(output->run->log, output->now_us, stream->name, output->step, text, n);
}

/* Adds bytes without an end of line to the line that waits for it; a full one goes as it is. */
static void
stream_keep(struct stream *stream, const char *text, size_t n)
{
	while (n > 0) {
		size_t fits = RUNLOG_LINE - stream->n;
		size_t piece = n < fits ? n : fits;

		memcpy(stream->line + stream->n, text, piece);
		stream->n += piece;
		text += piece;
		n -= piece;
		if (stream->n == RUNLOG_LINE) {
			stream_line(stream, stream->line, stream->n);
			stream->n = 0;
		}
	}
}

static void
stream_bytes(void *arg, const char *text, size_t n)
{
	struct stream *stream = arg;
	const char *newline;

	while ((newline = memchr(text, '\n', n)) != NULL) {
		size_t length = (size_t)(newline - text);

		if (stream->n > 0) {
			stream_keep(stream, text, length);
			stream_line(stream, stream->line, stream->n);
			stream->n = 0;
		} else {
			stream_line(stream, text, length);
		}
		n -= length + 1;
		text = newline + 1;
	}
	stream_keep(stream, text, n);
}

static void
stream_end(struct stream *stream)
{
	if (stream->ended)
		return;
	if (stream->mask)
		mask_stream_end(stream->mask);
	mask_stream_free(TAKE(stream->mask));
	if (stream->n > 0)
		stream_line(stream, stream->line, stream->n);
	stream->n = 0;
	stream->ended = true;
	ev_io_stop(stream->output->run->loop, &stream->watcher);
	close(stream->watcher.fd);
}

static void
on_bytes(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct stream *stream = watcher->data;
	struct output *output = stream->output;
	ssize_t n = read(watcher->fd, output->buffer, sizeof(output->buffer));

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	output->now_us = run_now_us();
	if (n <= 0)
		stream_end(stream);
	else if (stream->mask)
		mask_stream_feed(stream->mask, output->buffer, (size_t)n);
	else
		stream_bytes(stream, output->buffer, (size_t)n);
	runlog_flush(output->run->log);
}

struct output *
output_open(struct run *run, const char *step, const char *out_stream, int out, int err)
{
	struct output *output = xcalloc(1, sizeof(*output));
	const struct mask *mask = secrets_mask(run->secrets);
	int fds[2] = {out, err};

	output->run = run;
	snprintf(output->step, sizeof(output->step), "%s", step);
	for (size_t i = 0; i < 2; i++) {
		struct stream *stream = &output->streams[i];

		stream->output = output;
		if (mask)
			stream->mask = mask_stream_new(mask, stream_bytes, stream);
		stream->name = i == 0 ? out_stream : "err";
		ev_io_init(&stream->watcher, on_bytes, fds[i], EV_READ);
		stream->watcher.data = stream;
		ev_io_start(run->loop, &stream->watcher);
	}
	return output;
}

bool
output_ended(const struct output *output)
{
	return output->streams[0].ended && output->streams[1].ended;
}

static void
on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	*(bool *)timer->data = true;
}

bool
output_drain(struct output *output, double limit_s)
{
	struct ev_loop *loop = output->run->loop;
	bool late = false;
	ev_timer timer;

	ev_now_update(loop);
	ev_timer_init(&timer, on_limit, limit_s, 0.);
	timer.data = &late;
	ev_timer_start(loop, &timer);
	while (!output_ended(output) && !late)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
	return output_ended(output);
}

void
output_close(struct output *output)
{
	if (!output)
		return;
	output->now_us = run_now_us();
	for (size_t i = 0; i < 2; i++)
		stream_end(&output->streams[i]);
	runlog_flush(output->run->log);
	free(output);
}
