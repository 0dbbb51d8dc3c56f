/* SPDX-License-Identifier: ISC */
/*
 * What a run says of itself: lines of bmd-run's own in the log, and events, which go into the
 * folder first and then to whoever listens. The rest of a run is main's, which makes it, and
 * steps'.
 */
#include "runner/runner.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/failpoint.h"
#include "common/json.h"
#include "runner/channel.h"
#include "runner/folder.h"

int64_t
run_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
run_say(struct run *run, const char *step, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	runlog_line(run->log, run_now_us(), "bmd", step, text, strlen(text));
	runlog_flush(run->log);
}

void
run_tell(struct run *run, struct run_event *event)
{
	_cleanup_err_ struct err err = ERR_INIT;
	_cleanup_json_ json_t *object = NULL;
	/* No step begins before it is on disk that it does. All others are followed at once by such
	 * an event, or by the result, and reach the disk with it. */
	bool durable = strcmp(event->event, "step-begun") == 0;

	event->seq = ++run->seq;
	event->time_us = run_now_us();
	object = run_event_pack(event);
	if (folder_event(run->folder, object, durable, &err) < 0)
		run_say(run, NULL, "%s", err.text);
	failpoint("event-written");
	channel_tell(run->channel, object);
}
