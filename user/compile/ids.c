// SPDX-License-Identifier: Apache-2.0
/* ids: see ids.h. Names of up to 24 bytes (each address and port) stand in the entry itself. */
#include "compile/ids.h"

#include <errno.h>

/*
 * A gap between adopted ids is an entry without a name: nobody finds it, and it is swept like any
 * other that is not used. Those before the first id are of no generation, and never swept.
 */

/* Unused ids are looked for once in so many generations: the look is a walk over all. */
enum { IDS_GENERATIONS_A_SWEEP = 16 };

void ids_init(struct ids *ids, struct siphash_key key, uint32_t first, uint32_t limit,
	      uint32_t kept_generations)
{
	*ids = (struct ids){
		.key = key, .limit = limit, .kept_generations = kept_generations, .generation = 1
	};
	for (uint32_t id = 0; id < first; id++)
		*vec_push(&ids->entries) = (struct ids_entry){ 0 };
}

static bool is_long(const struct ids_entry *entry)
{
	return entry->name_len > IDS_SHORT_NAME_BYTES;
}

static bool has_name(const struct ids_entry *entry)
{
	return entry->name_len > 0;
}

static struct str name_of(const struct ids_entry *entry)
{
	return str_of(is_long(entry) ? entry->long_name : entry->short_name, entry->name_len);
}

static void entry_clear(struct ids_entry *entry)
{
	if (is_long(entry))
		mem_free(entry->long_name);
	*entry = (struct ids_entry){ 0 };
}

void ids_release(struct ids *ids)
{
	for (size_t i = 0; i < ids->entries.len; i++)
		entry_clear(&ids->entries.at[i]);
	vec_release(&ids->entries);
	vec_release(&ids->free);
	lookup_release(&ids->table);
}

void ids_begin(struct ids *ids)
{
	ids->generation++;
	ids->last = IDS_NONE; /* the one before the first */
}

static void file_all(struct ids *ids)
{
	lookup_reset(&ids->table, ids->entries.len);
	for (size_t i = 0; i < ids->entries.len; i++) {
		if (has_name(&ids->entries.at[i]))
			lookup_add(&ids->table, ids->entries.at[i].hash, (uint32_t)i);
	}
}

void ids_end(struct ids *ids)
{
	bool has_freed = false;

	if (ids->generation % IDS_GENERATIONS_A_SWEEP != 0)
		return;
	if (ids->free_taken == ids->free.len)
		ids->free.len = ids->free_taken = 0;
	for (size_t i = 0; i < ids->entries.len; i++) {
		struct ids_entry *entry = &ids->entries.at[i];

		if (!entry->generation ||
		    ids->generation - entry->generation <= ids->kept_generations)
			continue;
		entry_clear(entry);
		*vec_push(&ids->free) = (uint32_t)i;
		has_freed = true;
	}
	if (has_freed)
		file_all(ids);
}

/* The id under which @name is filed, or IDS_NONE. */
static uint32_t find(const struct ids *ids, uint64_t hash, struct str name)
{
	uint32_t at = 0, id;

	while ((id = lookup_next(&ids->table, hash, &at)) != LOOKUP_NONE) {
		if (str_eq(name_of(&ids->entries.at[id]), name))
			return id;
	}
	return IDS_NONE;
}

uint32_t ids_find(const struct ids *ids, struct str name)
{
	return find(ids, siphash(ids->key, name), name);
}

static void fill(struct ids *ids, uint32_t id, uint64_t hash, struct str name)
{
	struct ids_entry *entry = &ids->entries.at[id];

	*entry = (struct ids_entry){ .hash = hash,
				     .generation = ids->generation,
				     .born = ids->generation,
				     .name_len = (uint32_t)name.len };
	if (is_long(entry))
		entry->long_name = mem_copy_text(name.at, name.len);
	else if (name.len)
		memcpy(entry->short_name, name.at, name.len);
	lookup_add(&ids->table, hash, id);
}

/*
 * Names mostly come in the order in which they came first, and got their ids in: the next one is
 * then found without hash and table.
 */
static bool is_next(const struct ids *ids, struct str name)
{
	return ids->last + 1 < ids->entries.len &&
	       str_eq(name_of(&ids->entries.at[ids->last + 1]), name);
}

static uint32_t add(struct ids *ids, uint64_t hash, struct str name)
{
	uint32_t id;

	if (ids->free_taken < ids->free.len) {
		id = ids->free.at[ids->free_taken++];
	} else if (ids->entries.len < ids->limit) {
		id = (uint32_t)ids->entries.len;
		vec_push(&ids->entries);
	} else {
		return IDS_NONE;
	}
	fill(ids, id, hash, name);
	return id;
}

uint32_t ids_get(struct ids *ids, struct str name)
{
	uint64_t hash;
	uint32_t id;

	if (is_next(ids, name)) {
		id = ids->last + 1;
	} else {
		hash = siphash(ids->key, name);
		id = find(ids, hash, name);
		if (id == IDS_NONE)
			id = add(ids, hash, name);
		if (id == IDS_NONE)
			return IDS_NONE;
	}
	ids->entries.at[id].generation = ids->generation;
	ids->last = id;
	return id;
}

int ids_adopt(struct ids *ids, struct str name, uint32_t id)
{
	uint64_t hash = siphash(ids->key, name);

	if (id >= ids->limit)
		return -ERANGE;
	if (find(ids, hash, name) != IDS_NONE)
		return -EEXIST;
	if (id < ids->entries.len && has_name(&ids->entries.at[id]))
		return -EEXIST;
	while (ids->entries.len <= id)
		vec_push(&ids->entries)->generation = ids->generation;
	fill(ids, id, hash, name);
	return 0;
}
