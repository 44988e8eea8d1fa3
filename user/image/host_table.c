// SPDX-License-Identifier: Apache-2.0
/* host_table: see host_table.h. Linear probing; a table that clusters is made again, larger. */
#include "image/host_table.h"

#include "base/mem.h"
#include "image/key.h"

enum { SLOTS_MIN = 8 };

/* Tells the wildcard key from the exact one; any constant would do. */
#define WILDCARD_TWIST 0x9e3779b97f4a7c15ull

struct host_table_keys host_table_keys_of(struct siphash_key key)
{
	return (struct host_table_keys){
		.exact = key,
		.wildcard = { .k0 = key.k0 ^ WILDCARD_TWIST, .k1 = key.k1 + WILDCARD_TWIST },
	};
}

uint64_t host_table_hash(const struct host_table_keys *keys, struct str key)
{
	return host_key_is_wildcard(key) ? siphash(keys->wildcard, host_key_parent(key))
					 : siphash(keys->exact, key);
}

static bool put_item(struct host_slot *slots, uint32_t mask, const struct host_table_item *item)
{
	for (uint32_t i = 0; i < HOST_TABLE_PROBES; i++) {
		struct host_slot *slot = &slots[((uint32_t)item->hash + i) & mask];

		if (slot->entry_plus_1)
			continue;
		slot->tag = host_table_tag(item->hash);
		slot->entry_plus_1 = item->entry + 1;
		return true;
	}
	return false;
}

static bool put_items(struct host_slot *slots, uint32_t mask, const struct host_table_item *items,
		      uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!put_item(slots, mask, &items[i]))
			return false;
	return true;
}

struct host_slot *host_table_new(const struct host_table_item *items, uint32_t count,
				 uint32_t *slot_count)
{
	uint32_t size = SLOTS_MIN;
	struct host_slot *slots;

	while (size / 2 < count)
		size *= 2;
	for (;;) {
		slots = mem_new(size, sizeof(*slots));
		if (put_items(slots, size - 1, items, count))
			break;
		mem_free(slots);
		size *= 2;
	}
	*slot_count = size;
	return slots;
}

bool host_table_is_sound(const struct host_slot *slots, uint32_t slot_count, uint32_t entry_limit,
			 uint32_t entry_count)
{
	uint32_t used = 0;

	if (slot_count < SLOTS_MIN || (slot_count & (slot_count - 1)))
		return false;
	for (uint32_t i = 0; i < slot_count; i++) {
		if (slots[i].entry_plus_1 > entry_limit)
			return false;
		if (slots[i].entry_plus_1 == 0 && slots[i].tag)
			return false;
		used += slots[i].entry_plus_1 != 0;
	}
	return used == entry_count && used <= slot_count / 2;
}
