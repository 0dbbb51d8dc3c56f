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

#define ROOM (2 * ENTRY_DATA_MAX + ENTRY_HEADER + 1)

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

/* One frame whose content is in up to three pieces. */
static int
write_pieces(int fd, enum entry_kind kind, const struct iovec *pieces, size_t n)
{
	unsigned char header[ENTRY_HEADER] = {(unsigned char)kind};
	struct iovec v[4] = {{header, sizeof(header)}};
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		v[i + 1] = pieces[i];
		length += pieces[i].iov_len;
	}
	if (length > ENTRY_DATA_MAX)
		return -EMSGSIZE;
	for (int i = 0; i < 4; i++)
		header[1 + i] = (unsigned char)(length >> (24 - 8 * i) & 0xff);
	return put_all(fd, v, n + 1);
}

static struct iovec
piece(const void *bytes, size_t n)
{
	return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
}

int
entry_write(int fd, enum entry_kind kind, const void *bytes, size_t n)
{
	const struct iovec pieces[] = {piece(bytes, n)};

	return write_pieces(fd, kind, pieces, 1);
}

int
entry_write_file(int fd, const char *path, bool executable)
{
	const struct iovec pieces[] = {piece(executable ? "x" : "-", 1), piece(path, strlen(path))};

	return write_pieces(fd, ENTRY_FILE, pieces, 2);
}

int
entry_write_link(int fd, enum entry_kind kind, const char *path, const char *target)
{
	const struct iovec pieces[] = {piece(path, strlen(path) + 1),
				       piece(target, strlen(target))};

	return write_pieces(fd, kind, pieces, 2);
}

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
