/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool: runs of bytes, each kept once, while a segment is being written.
 *
 * Becomes the strings of a segment as it is. Namespaces, Services and paths repeat by the
 * thousand, so this keeps a segment small and its strings in the cache. For the agent's half.
 */
#ifndef SLUICE_IMAGE_POOL_H
#define SLUICE_IMAGE_POOL_H

#include "base/siphash.h"
#include "image/segment.h"

struct pool_slot;

struct pool {
	struct siphash_key key;
	char *at; /* what was added, in order of first appearance */
	size_t len;
	size_t cap;
	struct pool_slot *slots;
	uint32_t slot_mask;
	uint32_t slots_used;
	bool is_full; /* something did not fit below 4 GiB; it was left out */
};

void pool_init(struct pool *pool, struct siphash_key key);
/* Wipes the bytes before it gives them back: a pool may have held keys. */
void pool_release(struct pool *pool);

/* Where @bytes are, added now or before. Says in *@is_new which; @is_new may be NULL. */
struct segment_text pool_add(struct pool *pool, struct str bytes, bool *is_new);

#endif
