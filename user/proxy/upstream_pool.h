/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream_pool: connections to endpoints that wait for their next request.
 *
 * One list per endpoint id, last in, first out: the connection used last has the
 * warmest state on both sides, and those that are too many grow old and go. Ids are
 * small numbers that the agent may give to another address later: whoever takes a
 * connection says which address it wants, and one with another address is closed.
 *
 *   endpoint id    [ 0 | 1 | 2 | 3 ... ]
 *                        ▼
 *                     newest ⇄ older ⇄ oldest
 */
#ifndef SLUICE_PROXY_UPSTREAM_POOL_H
#define SLUICE_PROXY_UPSTREAM_POOL_H

#include "base/addr.h"

struct upstream;

/* Where an upstream hangs in its list. */
struct upstream_link {
	struct upstream *older, *newer;
};

struct upstream_list {
	struct upstream *newest, *oldest;
	uint32_t count;
};

struct upstream_pool {
	struct upstream_list *lists; /* by endpoint id */
	uint32_t list_count;
};

void upstream_pool_release(struct upstream_pool *pool);
/* Makes room for @endpoint_id_limit endpoints; what is there stays. 0 or -ENOMEM. */
int upstream_pool_reserve(struct upstream_pool *pool, uint32_t endpoint_id_limit);

/* Puts an idle connection in front. False where its id has no list: the caller closes it. */
bool upstream_pool_put(struct upstream_pool *pool, struct upstream *upstream);
void upstream_pool_remove(struct upstream_pool *pool, struct upstream *upstream);

/* The connection to @endpoint_id that became idle last, still in the list; NULL: none. */
static inline struct upstream *upstream_pool_newest(const struct upstream_pool *pool,
						    uint32_t endpoint_id)
{
	return endpoint_id < pool->list_count ? pool->lists[endpoint_id].newest : NULL;
}

/* The list of @endpoint_id, or NULL. */
static inline const struct upstream_list *upstream_pool_list(const struct upstream_pool *pool,
							     uint32_t endpoint_id)
{
	return endpoint_id < pool->list_count ? &pool->lists[endpoint_id] : NULL;
}

#endif
