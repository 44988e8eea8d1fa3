// SPDX-License-Identifier: Apache-2.0
/* log_ring: see log_ring.h. */
#include "proxy/log_ring.h"

#include "base/mem.h"

static size_t place_of(uint64_t position)
{
	return (size_t)(position & (LOG_RING_BYTES - 1));
}

void log_ring_release(struct log_ring *ring)
{
	mem_free(ring->bytes);
	ring->bytes = NULL;
}

bool log_ring_write(struct log_ring *ring, struct str line)
{
	uint64_t taken = __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE);
	uint64_t written = ring->written;
	size_t place = place_of(written);
	size_t first = LOG_RING_BYTES - place;

	if (line.len > LOG_RING_BYTES - (written - taken))
		return false;
	if (!ring->bytes) {
		ring->bytes = mem_try_new(1, LOG_RING_BYTES);
		if (!ring->bytes)
			return false;
	}
	if (first > line.len)
		first = line.len;
	memcpy(ring->bytes + place, line.at, first);
	memcpy(ring->bytes, line.at + first, line.len - first);
	/* The line and the ring's memory are visible before the position that shows them. */
	__atomic_store_n(&ring->written, written + line.len, __ATOMIC_RELEASE);
	return true;
}

size_t log_ring_peek(const struct log_ring *ring, struct str runs[2])
{
	uint64_t written = __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE);
	size_t len = (size_t)(written - ring->taken);
	size_t place = place_of(ring->taken);
	size_t first = LOG_RING_BYTES - place;

	if (first > len)
		first = len;
	runs[0] = len ? str_of(ring->bytes + place, first) : str_of(NULL, 0);
	runs[1] = len > first ? str_of(ring->bytes, len - first) : str_of(NULL, 0);
	return len;
}

void log_ring_take(struct log_ring *ring, size_t len)
{
	__atomic_store_n(&ring->taken, ring->taken + len, __ATOMIC_RELEASE);
}
