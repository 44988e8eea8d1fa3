/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balance: which endpoint of a backend is next.
 *
 * Round robin over the ready endpoints, one position per backend and worker. Each
 * position begins at random: otherwise many workers with one request each would
 * all ask the first endpoint (SEMANTICS.md 2.2).
 */
#ifndef SLUICE_PROXY_BALANCE_H
#define SLUICE_PROXY_BALANCE_H

#include "base/random.h"
#include "image/endpoints.h"

struct balance {
	uint32_t *positions; /* by backend id; UINT32_MAX: not begun */
	uint32_t position_count;
	struct random random;
};

/* @seed as in random_init. */
void balance_init(struct balance *balance, uint64_t seed);

void balance_release(struct balance *balance);
/* Makes room for @backend_count backends; what is known stays. 0 or -ENOMEM. */
int balance_reserve(struct balance *balance, uint32_t backend_count);

/*
 * The next ready endpoint of @backend_id that is not among the @avoid_count ids at @avoid, or
 * NULL where there is none. The position moves on.
 */
const struct endpoint *balance_pick(struct balance *balance, const struct endpoints *endpoints,
				    uint32_t backend_id, const uint32_t *avoid, size_t avoid_count);

#endif
