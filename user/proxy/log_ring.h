/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_ring: access log lines on their way from a worker to the main thread.
 *
 * One writer, one reader, no lock. The writer never waits: a line that finds no
 * room is dropped (and counted by the caller). Lines are taken whole.
 *
 *   taken                 written
 *     ▼                      ▼
 *   [ . . . line line line line . . . ]   both only grow; their place is modulo the size
 */
#ifndef SLUICE_PROXY_LOG_RING_H
#define SLUICE_PROXY_LOG_RING_H

#include "base/str.h"

enum { LOG_RING_BYTES = 1 << 20 }; /* a power of two */

struct log_ring {
	char *bytes; /* allocated by the first write */
	/* shared atomics */
	uint64_t written __attribute__((aligned(128)));
	uint64_t taken __attribute__((aligned(128)));
};

void log_ring_release(struct log_ring *ring);

/* The writer. False when there is no room (or no memory for the ring). */
bool log_ring_write(struct log_ring *ring, struct str line);

/* The reader. What stands in the ring, as one or two runs; returns how many bytes. */
size_t log_ring_peek(const struct log_ring *ring, struct str runs[2]);
/* Takes the first @len bytes off. */
void log_ring_take(struct log_ring *ring, size_t len);

#endif
