// SPDX-License-Identifier: Apache-2.0
/*
 * seen: see seen.h. Both sets are sorted, so the object behind the last match is nearly always the
 * next one; only where it is not, the others are looked up by their serials.
 */
#include "compile/seen.h"

#include <string.h>

/* The objects lie all over the heap: so many are fetched ahead. */
enum { OBJECTS_AHEAD = 12 };

void seen_release(struct seen *seen)
{
	vec_release(&seen->objects);
	vec_release(&seen->serials);
	vec_release(&seen->from);
	vec_release(&seen->to);
	lookup_release(&seen->by_serial);
}

/* Serials are ours and not a stranger's: no secret key. */
static uint64_t hash_of(uint64_t serial)
{
	return lookup_hash_with(0, serial);
}

static void file_all(struct seen *seen)
{
	lookup_reset(&seen->by_serial, seen->serials.len);
	for (size_t i = 0; i < seen->serials.len; i++)
		lookup_add(&seen->by_serial, hash_of(seen->serials.at[i]), (uint32_t)i);
}

static bool is_at(const struct seen *seen, size_t place, const struct object *object)
{
	return place < seen->objects.len && seen->objects.at[place] == object &&
	       seen->serials.at[place] == object->serial && object->serial != 0;
}

static uint32_t find(const struct seen *seen, const struct object *object)
{
	uint32_t at = 0, place;

	while ((place = lookup_next(&seen->by_serial, hash_of(object->serial), &at)) !=
	       LOOKUP_NONE) {
		if (is_at(seen, place, object))
			return place;
	}
	return SEEN_NONE;
}

/* Fills in from and to; returns how many objects are the same. */
static size_t compare(struct seen *seen, const struct object *const *at, size_t count)
{
	bool is_filed = false;
	size_t same = 0;
	uint32_t next = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t place = next;

		if (i + OBJECTS_AHEAD < count)
			__builtin_prefetch(&at[i + OBJECTS_AHEAD]->serial);
		if (!is_at(seen, place, at[i])) {
			if (!is_filed)
				file_all(seen);
			is_filed = true;
			place = find(seen, at[i]);
		}
		seen->from.at[i] = place;
		if (place == SEEN_NONE)
			continue;
		seen->to.at[place] = (uint32_t)i;
		next = place + 1;
		same++;
	}
	return same;
}

void seen_look(struct seen *seen, const struct object *const *at, size_t count)
{
	size_t count_before = seen->objects.len;

	vec_reserve(&seen->from, count);
	vec_reserve(&seen->to, count_before);
	seen->from.len = count;
	seen->to.len = count_before;
	for (size_t i = 0; i < count_before; i++)
		seen->to.at[i] = SEEN_NONE;
	seen->is_same = compare(seen, at, count) == count && count == count_before;
	if (seen->is_same)
		return;
	vec_reserve(&seen->objects, count);
	vec_reserve(&seen->serials, count);
	seen->objects.len = seen->serials.len = count;
	for (size_t i = 0; i < count; i++) {
		seen->objects.at[i] = at[i];
		seen->serials.at[i] = at[i]->serial;
	}
}

bool seen_has(const struct seen *seen, const struct object *const *at, size_t count)
{
	return seen->objects.len == count &&
	       (count == 0 || memcmp(seen->objects.at, at, count * sizeof(*at)) == 0);
}
