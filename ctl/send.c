/* SPDX-License-Identifier: ISC */
/*
 * An artifact on its way to bmd: streamed over an upgraded connection, with progress on a terminal.
 */
#include "ctl/send.h"

#include <errno.h>

#include "ctl/ctl.h"

#define ANSWER_US   INT64_C(1800000000) /* for making a large upload durable */
#define REASON_US   INT64_C(5000000)	/* for hearing why an upload was cut */
#define PROGRESS_US INT64_C(200000)	/* between two lines of progress */

struct progress {
	const char *name;
	int64_t began, last;
	bool shown;
};

static void
print_progress(int64_t bytes, int64_t total, void *arg)
{
	struct progress *progress = arg;
	int64_t now = client_clock(), took = now - progress->began;
	int64_t rate = took > 0 ? (int64_t)((double)bytes * 1e6 / (double)took) : 0;

	if (now - progress->last < PROGRESS_US)
		return;
	progress->last = now;
	progress->shown = true;
	fprintf(stderr, "\r%s: %s", progress->name, ctl_size(bytes).s);
	if (total > 0)
		fprintf(stderr, " of %s", ctl_size(total).s);
	fprintf(stderr, ", %s/s", ctl_size(rate).s);
	if (total > bytes && rate > 0)
		fprintf(stderr, ", %s left", when_span((total - bytes) / rate * WHEN_SECOND).s);
	fputs("\033[K", stderr);
}

static int
cut_off(struct err *err)
{
	err_clear(err);
	return err_set(
	    err, ERR_UNREACHABLE,
	    "the upload was cut off before it was whole; nothing was added: type the same again");
}

int
send_artifact(struct ctl *ctl, const char *name, const char *path,
	      const struct upload_shared *shared, json_t **ret_answer, struct err *err)
{
	struct progress progress = {.name = name, .began = client_clock()};
	_cleanup_json_ json_t *parameters = NULL;
	const char *kind;
	int fd, r, sent;

	progress.last = progress.began;
	if ((r = upload_kind(path, &kind, err)) < 0)
		return r;
	parameters = json_pack("{s:s}", "kind", kind);
	r = client_upgrade(ctl->client, ERR_INTERFACE "Upload", parameters, &fd, err);
	if (r < 0)
		return r;
	sent = upload_send(fd, path, kind, shared, isatty(STDERR_FILENO) ? print_progress : NULL,
			   &progress, err);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (sent < 0 && sent != -EPIPE && sent != -ECONNRESET)
		return sent; /* a file of ours: upload_send() has said which */
	/* A broken pipe is its taker giving up: it has said why. */
	r = client_answer(ctl->client, client_clock() + (sent < 0 ? REASON_US : ANSWER_US),
			  ret_answer, err);
	client_close(ctl->client);
	return r == -ECONNRESET ? cut_off(err) : r;
}
