/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_writer: carries access log lines from the workers' rings to the log.
 *
 * Every LOG_WRITER_MS, all that stands in a ring with one writev. A log that is slow
 * holds up this thread alone: the rings fill, workers drop lines and count them.
 */
#ifndef SLUICE_PROXY_LOG_WRITER_H
#define SLUICE_PROXY_LOG_WRITER_H

#include "proxy/workers.h"

enum { LOG_WRITER_MS = 100 };

struct log_writer {
	struct loop *loop;
	struct workers *workers;
	struct loop_timer timer;
	int fd; /* owned; -1: no log */
};

void log_writer_init(struct log_writer *writer, struct loop *loop, struct workers *workers);
/* Writes what is left, closes. */
void log_writer_release(struct log_writer *writer);
/* Takes @fd, in the place of the one before. Workers begin to log. */
void log_writer_set(struct log_writer *writer, int fd);
/* Writes what stands in the rings. */
void log_writer_flush(struct log_writer *writer);

#endif
