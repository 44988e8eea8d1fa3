// SPDX-License-Identifier: Apache-2.0
/* table: see table.h. */
#include "compile/table.h"

#include <string.h>

#include "base/mem.h"

enum { TABLE_SLOTS_MIN = 16 };

void table_release(struct table *table)
{
	mem_free(table->slots);
	*table = (struct table){ 0 };
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t slots_for(size_t count)
{
	uint32_t slots = TABLE_SLOTS_MIN;

	while (slots / 2 < count)
		slots *= 2;
	return slots;
}

void table_reset(struct table *table, size_t count)
{
	uint32_t slot_count = slots_for(count);

	table->used = 0;
	if (slot_count > table->slot_count) {
		mem_free(table->slots);
		table->slots = mem_new(slot_count, sizeof(*table->slots));
		table->slot_count = slot_count;
		return;
	}
	memset(table->slots, 0, table->slot_count * sizeof(*table->slots));
}

uint32_t table_next(const struct table *table, uint64_t hash, uint32_t *at)
{
	uint32_t tag = tag_of(hash);

	while (*at < table->slot_count) {
		uint32_t place = (tag + (*at)++) & (table->slot_count - 1);
		const struct table_slot *slot = &table->slots[place];

		if (slot->index_plus_1 == 0)
			return TABLE_NONE;
		if (slot->tag == tag)
			return slot->index_plus_1 - 1;
	}
	return TABLE_NONE;
}

static void put(struct table *table, struct table_slot slot)
{
	uint32_t mask = table->slot_count - 1;
	uint32_t place = slot.tag & mask;

	while (table->slots[place].index_plus_1)
		place = (place + 1) & mask;
	table->slots[place] = slot;
}

static void grow(struct table *table)
{
	struct table old = *table;

	table->slot_count = slots_for((size_t)old.used + 1);
	table->slots = mem_new(table->slot_count, sizeof(*table->slots));
	for (uint32_t i = 0; i < old.slot_count; i++) {
		if (old.slots[i].index_plus_1)
			put(table, old.slots[i]);
	}
	mem_free(old.slots);
}

void table_add(struct table *table, uint64_t hash, uint32_t index)
{
	if (table->slot_count / 2 <= table->used)
		grow(table);
	put(table, (struct table_slot){ .tag = tag_of(hash), .index_plus_1 = index + 1 });
	table->used++;
}
