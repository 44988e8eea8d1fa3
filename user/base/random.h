/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: seeds from the kernel, and a fast generator for what need not be
 * secret (a start position, a request id, jitter).
 */
#ifndef SLUICE_BASE_RANDOM_H
#define SLUICE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills @at from getrandom(2); ends the process where the kernel has none. */
void random_bytes(void *at, size_t len);

/* One thread's generator: xoshiro256** (Blackman, Vigna, 2018). */
struct random {
	uint64_t state[4];
};

/* @seed 0 takes one from the kernel; any other value gives the same row each time. */
void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/* Uniform in [0, @below); @below > 0. */
uint32_t random_below(struct random *random, uint32_t below);

#endif
