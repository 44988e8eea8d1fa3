// SPDX-License-Identifier: Apache-2.0
/* log_writer: see log_writer.h. */
#include "proxy/log_writer.h"

#include <sys/uio.h>
#include <unistd.h>

#include "base/container.h"

static void flush_ring(struct log_writer *writer, struct log_ring *ring)
{
	struct str runs[2];
	struct iovec iov[2];
	ssize_t written;

	if (log_ring_peek(ring, runs) == 0)
		return;
	for (int i = 0; i < 2; i++)
		iov[i] = (struct iovec){ (char *)runs[i].at, runs[i].len }; /* only read */
	written = writev(writer->fd, iov, 2);
	/* A line may be cut where the log takes no more; its rest comes first the next time. */
	if (written > 0)
		log_ring_take(ring, (size_t)written);
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
