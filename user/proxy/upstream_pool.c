// SPDX-License-Identifier: Apache-2.0
/* upstream_pool: see upstream_pool.h. */
#include "proxy/upstream_pool.h"

#include <errno.h>

#include "base/mem.h"
#include "proxy/upstream.h"

void upstream_pool_release(struct upstream_pool *pool)
{
	mem_free(pool->lists);
	*pool = (struct upstream_pool){ 0 };
}

int upstream_pool_reserve(struct upstream_pool *pool, uint32_t endpoint_id_limit)
{
	struct upstream_list *grown;

	if (endpoint_id_limit <= pool->list_count)
		return 0;
	grown = mem_try_resize(pool->lists, endpoint_id_limit, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + pool->list_count, 0,
	       (endpoint_id_limit - pool->list_count) * sizeof(*grown));
	pool->lists = grown;
	pool->list_count = endpoint_id_limit;
	return 0;
}

bool upstream_pool_put(struct upstream_pool *pool, struct upstream *upstream)
{
	struct upstream_list *list;

	if (upstream->endpoint_id >= pool->list_count)
		return false;
	list = &pool->lists[upstream->endpoint_id];
	upstream->link = (struct upstream_link){ .older = list->newest };
	if (list->newest)
		list->newest->link.newer = upstream;
	else
		list->oldest = upstream;
	list->newest = upstream;
	list->count++;
	return true;
}

void upstream_pool_remove(struct upstream_pool *pool, struct upstream *upstream)
{
	struct upstream_list *list = &pool->lists[upstream->endpoint_id];
	struct upstream_link *link = &upstream->link;

	if (link->newer)
		link->newer->link.older = link->older;
	else
		list->newest = link->older;
	if (link->older)
		link->older->link.newer = link->newer;
	else
		list->oldest = link->newer;
	list->count--;
	*link = (struct upstream_link){ 0 };
}
