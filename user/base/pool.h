/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: objects of one size, for the worker's half.
 *
 * Slabs come from the heap, objects go back to a free list and are handed out
 * last in, first out: the one that was used last is the one in the cache. One
 * thread; no object is ever given back to the heap before release. At its limit
 * a pool says no (NULL), and its caller sheds.
 *
 *   slab ► [ object | object | object ... ] ► slab ► NULL       free ► object ► object
 *
 * Objects stay where they are, so that all of them, used or not, can be walked:
 * whoever walks must be able to tell an unused one by its contents (get zeroes
 * nothing, put leaves all but the first word).
 */
#ifndef SLUICE_BASE_POOL_H
#define SLUICE_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_slab;

struct pool {
	/* fixed after init */
	size_t object_bytes;
	size_t slab_objects;
	size_t max; /* objects handed out at once */
	/* one thread only */
	size_t used;
	void *free; /* the first word of a free object points to the next */
	struct pool_slab *slabs;
};

/* @max: objects at once. Allocates nothing yet. */
void pool_init(struct pool *pool, size_t object_bytes, size_t max);
/* Frees all slabs: no object may be in use any more. */
void pool_release(struct pool *pool);

/* Makes a slab. False when memory or the limit has run out. */
bool pool_grow(struct pool *pool);

/* An object, its bytes as they were put back (zero the first time); NULL at the limit. */
static inline void *pool_get(struct pool *pool)
{
	void *object;

	if (pool->used >= pool->max || (!pool->free && !pool_grow(pool)))
		return NULL;
	object = pool->free;
	pool->free = *(void **)object;
	pool->used++;
	return object;
}

/* Accepts NULL. */
static inline void pool_put(struct pool *pool, void *object)
{
	if (!object)
		return;
	*(void **)object = pool->free;
	pool->free = object;
	pool->used--;
}

/* Walks all objects that were ever handed out or might be: start with zeroes. */
struct pool_walk {
	struct pool_slab *slab;
	size_t index;
	bool is_begun;
};

/* The next object, or NULL at the end; then @walk starts again. Put and get are allowed between. */
void *pool_walk_next(struct pool *pool, struct pool_walk *walk);

#endif
