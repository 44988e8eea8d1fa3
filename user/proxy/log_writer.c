// SPDX-License-Identifier: Apache-2.0
/* log_writer: see log_writer.h. */
#include "proxy/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/container.h"

/* A pipe that has this much room says that it can be written to; pipe(7). */
enum { PIPE_ROOM = PIPE_BUF };

/* How many bytes the log takes now without making us wait. */
static size_t room_of(const struct log_writer *writer)
{
	struct pollfd log = { .fd = writer->fd, .events = POLLOUT };

	if (writer->is_file)
		return LOG_RING_BYTES;
	return poll(&log, 1, 0) == 1 && (log.revents & POLLOUT) ? PIPE_ROOM : 0;
}

static void flush_ring(struct log_writer *writer, struct log_ring *ring)
{
	struct str runs[2];
	size_t room;

	while (log_ring_peek(ring, runs) > 0 && (room = room_of(writer)) > 0) {
		ssize_t written =
			write(writer->fd, runs[0].at, runs[0].len < room ? runs[0].len : room);

		if (written <= 0)
			return;
		log_ring_take(ring, (size_t)written);
	}
}

void log_writer_flush(struct log_writer *writer)
{
	for (uint32_t i = 0; writer->fd >= 0 && i < writer->workers->count; i++)
		flush_ring(writer, &writer->workers->at[i]->log);
}

static void on_due(struct loop_timer *timer)
{
	struct log_writer *writer = CONTAINER_OF(timer, struct log_writer, timer);

	log_writer_flush(writer);
	loop_timer_set(writer->loop, timer, writer->loop->now_ms + LOG_WRITER_MS);
}

void log_writer_init(struct log_writer *writer, struct loop *loop, struct workers *workers)
{
	*writer = (struct log_writer){ .loop = loop, .workers = workers, .fd = -1 };
	writer->timer.on_due = on_due;
}

void log_writer_set(struct log_writer *writer, int fd)
{
	if (writer->fd >= 0) {
		log_writer_flush(writer);
		close(writer->fd);
	}
	writer->fd = fd;
	writer->is_file = fd >= 0 && lseek(fd, 0, SEEK_CUR) >= 0;
	workers_set_logging(writer->workers, fd >= 0);
	if (fd >= 0)
		loop_timer_set(writer->loop, &writer->timer, writer->loop->now_ms + LOG_WRITER_MS);
}

void log_writer_release(struct log_writer *writer)
{
	if (writer->fd < 0)
		return;
	log_writer_flush(writer);
	loop_timer_clear(writer->loop, &writer->timer);
	close(writer->fd);
	writer->fd = -1;
}
