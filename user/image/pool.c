// SPDX-License-Identifier: Apache-2.0
/* pool: see pool.h. Open addressing over (hash, offset, length), at most half full. */
#include "image/pool.h"

#include "base/mem.h"

enum {
	SLOTS_AT_FIRST = 64,
	BYTES_AT_FIRST = 4096,
};

struct pool_slot {
	uint32_t tag;
	uint32_t is_used;
	struct segment_text text;
};

void pool_init(struct pool *pool, struct siphash_key key)
{
	*pool = (struct pool){ .key = key, .slot_mask = SLOTS_AT_FIRST - 1 };
	pool->slots = mem_new(SLOTS_AT_FIRST, sizeof(*pool->slots));
}

void pool_release(struct pool *pool)
{
	if (pool->at)
		explicit_bzero(pool->at, pool->cap);
	mem_free(pool->at);
	mem_free(pool->slots);
	*pool = (struct pool){ 0 };
}

/* The slot of @bytes, or the empty one where it belongs. */
static struct pool_slot *find_slot(const struct pool *pool, struct str bytes, uint32_t hash)
{
	uint32_t i = hash & pool->slot_mask;

	for (; pool->slots[i].is_used; i = (i + 1) & pool->slot_mask) {
		struct segment_text text = pool->slots[i].text;

		if (pool->slots[i].tag == hash &&
		    str_eq(str_of(pool->at + text.offset, text.len), bytes))
			break;
	}
	return &pool->slots[i];
}

static void grow_slots(struct pool *pool)
{
	struct pool_slot *old = pool->slots;
	uint32_t old_count = pool->slot_mask + 1;

	pool->slot_mask = old_count * 2 - 1;
	pool->slots = mem_new((size_t)old_count * 2, sizeof(*pool->slots));
	for (uint32_t i = 0; i < old_count; i++) {
		uint32_t to = old[i].tag & pool->slot_mask;

		if (!old[i].is_used)
			continue;
		while (pool->slots[to].is_used)
			to = (to + 1) & pool->slot_mask;
		pool->slots[to] = old[i];
	}
	mem_free(old);
}

/* By hand, not by realloc: what is left behind is wiped. */
static void grow_bytes(struct pool *pool, size_t wanted)
{
	size_t cap = pool->cap ? pool->cap : BYTES_AT_FIRST;
	char *at;

	while (cap < wanted)
		cap *= 2;
	at = mem_new(cap, 1);
	if (pool->at) {
		memcpy(at, pool->at, pool->len);
		explicit_bzero(pool->at, pool->cap);
		mem_free(pool->at);
	}
	pool->at = at;
	pool->cap = cap;
}

struct segment_text pool_add(struct pool *pool, struct str bytes, bool *is_new)
{
	uint32_t hash = (uint32_t)siphash(pool->key, bytes);
	struct pool_slot *slot = find_slot(pool, bytes, hash);

	if (is_new)
		*is_new = !slot->is_used;
	if (slot->is_used)
		return slot->text;
	if (bytes.len > UINT32_MAX - pool->len) {
		pool->is_full = true;
		return (struct segment_text){ 0, 0 };
	}
	if (pool->len + bytes.len > pool->cap)
		grow_bytes(pool, pool->len + bytes.len);
	slot->tag = hash;
	slot->is_used = 1;
	slot->text = (struct segment_text){ (uint32_t)pool->len, (uint32_t)bytes.len };
	if (bytes.len)
		memcpy(pool->at + pool->len, bytes.at, bytes.len);
	pool->len += bytes.len;
	pool->slots_used++;
	if (pool->slots_used > pool->slot_mask / 2) {
		struct segment_text text = slot->text;

		grow_slots(pool);
		return text;
	}
	return slot->text;
}
