/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock: time as integers with the unit in the name.
 *
 * Monotonic time measures, wall time is only printed. Both can be replaced in
 * tests, so that nothing has to sleep.
 */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

uint64_t clock_monotonic_ns(void);
uint64_t clock_wall_ns(void); /* since 1970-01-01 UTC */
/* CPU time that the calling thread has used. Costs a system call; never frozen. */
uint64_t clock_thread_cpu_ns(void);

/* Both clocks stand at these values from now on; 0, 0 lets them run again. For tests. */
void clock_freeze(uint64_t monotonic_ns, uint64_t wall_ns);

#endif
