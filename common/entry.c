/* SPDX-License-Identifier: ISC */
/*
 * Frames of an upload: written whole with one system call where it goes through, read through one
 * buffer that holds the largest frame. Nothing here looks at what a frame says.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/entry.h"
#include "common/xalloc.h"

#define ROOM	    (2 * ENTRY_DATA_MAX + ENTRY_HEADER + 1)
#define OUTPUT_ROOM (128 * 1024)

static const char letters[] = {ENTRY_FILE,    ENTRY_DIRECTORY, ENTRY_LINK, ENTRY_HARD_LINK,
			       ENTRY_CONTENT, ENTRY_END,       ENTRY_ABORT};

/* To a socket without SIGPIPE, to anything else as it is. */
static ssize_t
put(int fd, struct iovec *v, size_t n)
{
	struct msghdr message = {.msg_iov = v, .msg_iovlen = n};
	ssize_t done = sendmsg(fd, &message, MSG_NOSIGNAL);

	if (done < 0 && errno == ENOTSOCK)
		done = writev(fd, v, (int)n);
	return done;
}

static int
put_all(int fd, struct iovec *v, size_t n)
{
	while (n > 0) {
		ssize_t done;

		if (v->iov_len == 0) {
			v++, n--;
			continue;
		}
		done = put(fd, v, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		for (size_t left = (size_t)done; left > 0;) {
			size_t step = left < v->iov_len ? left : v->iov_len;

			v->iov_base = (char *)v->iov_base + step;
			v->iov_len -= step;
			left -= step;
			if (v->iov_len == 0)
				v++, n--;
		}
	}
	return 0;
}

struct entry_output {
	int fd;
	size_t n; /* bytes that wait */
	char data[OUTPUT_ROOM];
};

/* What a frame is made of: its header, and its content in up to two pieces. */
struct frame {
	unsigned char header[ENTRY_HEADER];
	struct iovec content[2];
	size_t length; /* of the content */
};

static struct iovec
piece(const void *bytes, size_t n)
{
	return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
}

/* -EMSGSIZE: too long for a frame. */
static int
frame(struct frame *frame, enum entry_kind kind, struct iovec one, struct iovec two)
{
	*frame = (struct frame){.content = {one, two}, .length = one.iov_len + two.iov_len};
	if (frame->length > ENTRY_DATA_MAX)
		return -EMSGSIZE;
	frame->header[0] = (unsigned char)kind;
	for (int i = 0; i < 4; i++)
		frame->header[1 + i] = (unsigned char)(frame->length >> (24 - 8 * i) & 0xff);
	return 0;
}

static int
frame_file(struct frame *ret, const char *path, bool executable)
{
	return frame(ret, ENTRY_FILE, piece(executable ? "x" : "-", 1), piece(path, strlen(path)));
}

static int
frame_link(struct frame *ret, enum entry_kind kind, const char *path, const char *target)
{
	return frame(ret, kind, piece(path, strlen(path) + 1), piece(target, strlen(target)));
}

/* ---- at once */

static int
write_frame(int fd, int r, const struct frame *frame)
{
	struct iovec v[] = {piece(frame->header, ENTRY_HEADER), frame->content[0],
			    frame->content[1]};

	return r < 0 ? r : put_all(fd, v, 3);
}

int
entry_write(int fd, enum entry_kind kind, const void *bytes, size_t n)
{
	struct frame one;
	int r = frame(&one, kind, piece(bytes, n), piece(NULL, 0));

	return write_frame(fd, r, &one);
}

int
entry_write_file(int fd, const char *path, bool executable)
{
	struct frame one;
	int r = frame_file(&one, path, executable);

	return write_frame(fd, r, &one);
}

int
entry_write_link(int fd, enum entry_kind kind, const char *path, const char *target)
{
	struct frame one;
	int r = frame_link(&one, kind, path, target);

	return write_frame(fd, r, &one);
}

/* ---- one after the other */

struct entry_output *
entry_output_new(int fd)
{
	struct entry_output *output = xcalloc(1, sizeof(*output));

	output->fd = fd;
	return output;
}

void
entry_output_free(struct entry_output *output)
{
	free(output);
}

/* What waits leaves, and FRAME (may be NULL) with it. */
static int
leave(struct entry_output *output, const struct frame *frame)
{
	struct iovec v[4] = {piece(output->data, output->n)};
	size_t n = 1;
	int r;

	if (frame != NULL) {
		v[n++] = piece(frame->header, ENTRY_HEADER);
		v[n++] = frame->content[0];
		v[n++] = frame->content[1];
	}
	output->n = 0;
	r = put_all(output->fd, v, n);
	return r < 0 ? r : 1;
}

static void
append(struct entry_output *output, const void *bytes, size_t n)
{
	if (n > 0)
		memcpy(output->data + output->n, bytes, n);
	output->n += n;
}

static int
put_frame(struct entry_output *output, int r, const struct frame *frame)
{
	if (r < 0)
		return r;
	if (ENTRY_HEADER + frame->length > sizeof(output->data) - output->n)
		return leave(output, frame);
	append(output, frame->header, ENTRY_HEADER);
	append(output, frame->content[0].iov_base, frame->content[0].iov_len);
	append(output, frame->content[1].iov_base, frame->content[1].iov_len);
	return 0;
}

int
entry_put(struct entry_output *output, enum entry_kind kind, const void *bytes, size_t n)
{
	struct frame one;
	int r = frame(&one, kind, piece(bytes, n), piece(NULL, 0));

	return put_frame(output, r, &one);
}

int
entry_put_file(struct entry_output *output, const char *path, bool executable)
{
	struct frame one;
	int r = frame_file(&one, path, executable);

	return put_frame(output, r, &one);
}

int
entry_put_link(struct entry_output *output, enum entry_kind kind, const char *path,
	       const char *target)
{
	struct frame one;
	int r = frame_link(&one, kind, path, target);

	return put_frame(output, r, &one);
}

int
entry_flush(struct entry_output *output)
{
	return output->n > 0 ? leave(output, NULL) : 0;
}

/* ---- reading */

struct entry_input {
	int fd, timeout_ms;
	size_t start, end; /* of the bytes that are not yet frames */
	bool cut;	   /* DATA[START] is hidden by the last frame's NUL */
	char hidden;
	char data[ROOM];
};

struct entry_input *
entry_input_new(int fd)
{
	struct entry_input *input = xrealloc(NULL, 1, sizeof(*input));

	input->fd = fd;
	input->timeout_ms = -1;
	input->start = input->end = 0;
	input->cut = false;
	return input;
}

void
entry_input_free(struct entry_input *input)
{
	free(input);
}

void
entry_input_timeout(struct entry_input *input, int timeout_ms)
{
	input->timeout_ms = timeout_ms;
}

/* Bytes of the frame at START, header included; 0 when even the header is not there yet. */
static size_t
frame_size(const struct entry_input *input)
{
	unsigned char length[4];
	size_t n = 0;

	if (input->end - input->start < ENTRY_HEADER)
		return 0;
	memcpy(length, input->data + input->start + 1, sizeof(length));
	for (size_t i = 0; i < sizeof(length); i++)
		n = n << 8 | length[i];
	return n + ENTRY_HEADER;
}

bool
entry_ready(const struct entry_input *input)
{
	size_t n = frame_size(input);

	/* A frame that is too large is an answer, too. */
	return n > ENTRY_DATA_MAX + ENTRY_HEADER || (n > 0 && input->end - input->start >= n);
}

/* 1 with more bytes, 0 at the end of the file. */
static int
fill(struct entry_input *input)
{
	struct pollfd poll_fd = {.fd = input->fd, .events = POLLIN};
	ssize_t n;

	if (input->start > 0 && ROOM - 1 - input->end < ENTRY_DATA_MAX) {
		memmove(input->data, input->data + input->start, input->end - input->start);
		input->end -= input->start;
		input->start = 0;
	}
	do {
		int ready = input->timeout_ms < 0 ? 1 : poll(&poll_fd, 1, input->timeout_ms);

		if (ready == 0)
			return -ETIMEDOUT;
		n = ready < 0 ? -1
			      : read(input->fd, input->data + input->end, ROOM - 1 - input->end);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	input->end += (size_t)n;
	return n > 0;
}

int
entry_read(struct entry_input *input, enum entry_kind *ret_kind, const char **ret_bytes,
	   size_t *ret_n)
{
	size_t n;
	char *frame;

	if (input->cut)
		input->data[input->start] = input->hidden;
	input->cut = false;
	while (!entry_ready(input)) {
		int r = fill(input);

		if (r < 0)
			return r;
		if (r == 0)
			return input->end == input->start ? 0 : -EBADMSG;
	}
	n = frame_size(input);
	frame = input->data + input->start;
	if (n > ENTRY_DATA_MAX + ENTRY_HEADER || memchr(letters, frame[0], sizeof(letters)) == NULL)
		return -EBADMSG;
	*ret_kind = (enum entry_kind)frame[0];
	*ret_bytes = frame + ENTRY_HEADER;
	*ret_n = n - ENTRY_HEADER;
	input->start += n;
	/* The NUL behind the frame stands where the next one begins. */
	input->hidden = input->data[input->start];
	input->data[input->start] = '\0';
	input->cut = true;
	return 1;
}
