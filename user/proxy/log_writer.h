/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_writer: carries access log lines from the workers' rings to the log.
 *
 * Every LOG_WRITER_MS, and never waiting: a pipe gets what it has room for. When the
 * log is too slow the rings fill, and workers drop lines and count them.
 */
#ifndef SLUICE_PROXY_LOG_WRITER_H
#define SLUICE_PROXY_LOG_WRITER_H

#include "proxy/workers.h"

enum { LOG_WRITER_MS = 100 };

struct log_writer {
	struct loop *loop;
	struct workers *workers;
	struct loop_timer timer;
	int fd;       /* owned; -1: no log */
	bool is_file; /* takes any number of bytes at once */
};

void log_writer_init(struct log_writer *writer, struct loop *loop, struct workers *workers);
/* Writes what is left, closes. */
void log_writer_release(struct log_writer *writer);
/* Takes @fd, in the place of the one before. Workers begin to log. */
void log_writer_set(struct log_writer *writer, int fd);
/* Writes what stands in the rings. */
void log_writer_flush(struct log_writer *writer);

#endif
