/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash: SipHash-2-4 of a run of bytes (Aumasson, Bernstein: "SipHash: a fast
 * short-input PRF", 2012), for every table whose keys a stranger may choose.
 */
#ifndef SLUICE_BASE_SIPHASH_H
#define SLUICE_BASE_SIPHASH_H

#include <stdint.h>

#include "base/str.h"

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash(struct siphash_key key, struct str bytes);

#endif
