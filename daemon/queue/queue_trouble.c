/* SPDX-License-Identifier: ISC */
/*
 * What is in the way of a job although nothing in the queue is: whoever tends its run knows, and
 * whoever asks why it waits hears it. In memory alone: it is found anew.
 */
#include <stdlib.h>

#include "common/xalloc.h"
#include "daemon/queue/queue_private.h"

static struct queue_trouble *
find(const struct queue *queue, int64_t job)
{
	for (size_t i = 0; i < queue->ntroubles; i++)
		if (queue->troubles[i].job == job)
			return &queue->troubles[i];
	return NULL;
}

void
queue_trouble(struct queue *queue, int64_t job, const char *text)
{
	struct queue_trouble *trouble = find(queue, job);
	char *copy = text ? xstrdup(text) : NULL; /* it may be the one that is freed */

	if (trouble) {
		free(trouble->text);
		trouble->text = copy;
		if (!copy)
			*trouble = queue->troubles[--queue->ntroubles];
	} else if (copy) {
		XGROW(queue->troubles, queue->ntroubles, queue->room_troubles);
		queue->troubles[queue->ntroubles++] =
		    (struct queue_trouble){.job = job, .text = copy};
	}
}

const char *
queue_trouble_text(const struct queue *queue, int64_t job)
{
	const struct queue_trouble *trouble = find(queue, job);

	return trouble ? trouble->text : NULL;
}

void
queue_trouble_clear(struct queue *queue)
{
	while (queue->ntroubles > 0)
		free(queue->troubles[--queue->ntroubles].text);
	free(queue->troubles);
}
