// SPDX-License-Identifier: Apache-2.0
/* clock: see clock.h. */
#include "base/clock.h"

#include <time.h>

static uint64_t frozen_monotonic_ns, frozen_wall_ns;

static uint64_t read_clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return frozen_monotonic_ns ? frozen_monotonic_ns : read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ns(void)
{
	return frozen_wall_ns ? frozen_wall_ns : read_clock_ns(CLOCK_REALTIME);
}

uint64_t clock_thread_cpu_ns(void)
{
	return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void clock_freeze(uint64_t monotonic_ns, uint64_t wall_ns)
{
	frozen_monotonic_ns = monotonic_ns;
	frozen_wall_ns = wall_ns;
}
