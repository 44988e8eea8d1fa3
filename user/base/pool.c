// SPDX-License-Identifier: Apache-2.0
/*
 * pool: see pool.h. Slabs are about 64 KiB: few enough calls to the heap, and
 * little lost where only a few objects are wanted.
 */
#include "base/pool.h"

#include "base/mem.h"

enum { SLAB_BYTES = 64 * 1024, OBJECT_ALIGN = 64 };

struct pool_slab {
	struct pool_slab *next; /* older */
	void *allocation;
	char *objects; /* aligned to a cache line */
};

void pool_init(struct pool *pool, size_t object_bytes, size_t max)
{
	size_t rounded = (object_bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;

	*pool = (struct pool){ .object_bytes = rounded, .max = max };
	pool->slab_objects = rounded < SLAB_BYTES ? SLAB_BYTES / rounded : 1;
}

void pool_release(struct pool *pool)
{
	struct pool_slab *slab;

	while ((slab = pool->slabs)) {
		pool->slabs = slab->next;
		mem_free(slab->allocation);
		mem_free(slab);
	}
	pool->free = NULL;
	pool->used = 0;
}

bool pool_grow(struct pool *pool)
{
	size_t bytes = pool->slab_objects * pool->object_bytes + OBJECT_ALIGN;
	struct pool_slab *slab = mem_try_new(1, sizeof(*slab));
	char *at;

	if (!slab)
		return false;
	slab->allocation = mem_try_new(1, bytes);
	if (!slab->allocation) {
		mem_free(slab);
		return false;
	}
	at = slab->allocation;
	slab->objects = at + (OBJECT_ALIGN - (uintptr_t)at % OBJECT_ALIGN) % OBJECT_ALIGN;
	slab->next = pool->slabs;
	pool->slabs = slab;
	for (size_t i = pool->slab_objects; i-- > 0;) {
		void *object = slab->objects + i * pool->object_bytes;

		*(void **)object = pool->free;
		pool->free = object;
	}
	return true;
}

void *pool_walk_next(struct pool *pool, struct pool_walk *walk)
{
	if (!walk->is_begun)
		*walk = (struct pool_walk){ .slab = pool->slabs, .is_begun = true };
	if (walk->slab && walk->index == pool->slab_objects)
		*walk = (struct pool_walk){ .slab = walk->slab->next, .is_begun = true };
	if (!walk->slab) {
		*walk = (struct pool_walk){ 0 };
		return NULL;
	}
	return walk->slab->objects + walk->index++ * pool->object_bytes;
}
