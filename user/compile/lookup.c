// SPDX-License-Identifier: Apache-2.0
/* lookup: see lookup.h. */
#include "compile/lookup.h"

#include <string.h>

#include "base/mem.h"

enum { LOOKUP_SLOTS_MIN = 16 };

void lookup_release(struct lookup *lookup)
{
	mem_free(lookup->slots);
	*lookup = (struct lookup){ 0 };
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t slots_for(size_t count)
{
	uint32_t slots = LOOKUP_SLOTS_MIN;

	while (slots / 2 < count)
		slots *= 2;
	return slots;
}

void lookup_reset(struct lookup *lookup, size_t count)
{
	uint32_t slot_count = slots_for(count);

	lookup->used = 0;
	if (slot_count > lookup->slot_count) {
		mem_free(lookup->slots);
		lookup->slots = mem_new(slot_count, sizeof(*lookup->slots));
		lookup->slot_count = slot_count;
		return;
	}
	memset(lookup->slots, 0, lookup->slot_count * sizeof(*lookup->slots));
}

uint32_t lookup_next(const struct lookup *lookup, uint64_t hash, uint32_t *at)
{
	uint32_t tag = tag_of(hash);

	while (*at < lookup->slot_count) {
		uint32_t place = (tag + (*at)++) & (lookup->slot_count - 1);
		const struct lookup_slot *slot = &lookup->slots[place];

		if (slot->index_plus_1 == 0)
			return LOOKUP_NONE;
		if (slot->tag == tag)
			return slot->index_plus_1 - 1;
	}
	return LOOKUP_NONE;
}

static void put(struct lookup *lookup, struct lookup_slot slot)
{
	uint32_t mask = lookup->slot_count - 1;
	uint32_t place = slot.tag & mask;

	while (lookup->slots[place].index_plus_1)
		place = (place + 1) & mask;
	lookup->slots[place] = slot;
}

static void grow(struct lookup *lookup)
{
	struct lookup old = *lookup;

	lookup->slot_count = slots_for((size_t)old.used + 1);
	lookup->slots = mem_new(lookup->slot_count, sizeof(*lookup->slots));
	for (uint32_t i = 0; i < old.slot_count; i++) {
		if (old.slots[i].index_plus_1)
			put(lookup, old.slots[i]);
	}
	mem_free(old.slots);
}

void lookup_add(struct lookup *lookup, uint64_t hash, uint32_t index)
{
	if (lookup->slot_count / 2 <= lookup->used)
		grow(lookup);
	put(lookup, (struct lookup_slot){ .tag = tag_of(hash), .index_plus_1 = index + 1 });
	lookup->used++;
}
