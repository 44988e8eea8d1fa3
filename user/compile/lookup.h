/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup: from a hash to the indices filed under it.
 *
 * The elements themselves stand in an array of the caller, who also compares: the
 * table knows neither keys nor elements. Open addressing, at most half full. The
 * caller hashes with a secret key (siphash), since hosts and paths are chosen by
 * strangers.
 *
 *   uint32_t at = 0, index;
 *   while ((index = lookup_next(&lookup, hash, &at)) != LOOKUP_NONE)
 *           if (is_equal(&elements[index], key))
 *                   return index;
 *   lookup_add(&lookup, hash, new_index);
 */
#ifndef SLUICE_COMPILE_LOOKUP_H
#define SLUICE_COMPILE_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#define LOOKUP_NONE UINT32_MAX

/* Eight bytes, so that a large table is small: the cache decides how fast this is. */
struct lookup_slot {
	uint32_t tag;          /* of the hash: its place, and most of what tells it from others */
	uint32_t index_plus_1; /* 0: empty */
};

struct lookup {
	struct lookup_slot *slots;
	uint32_t slot_count; /* a power of two, or 0 */
	uint32_t used;
};

/* An all-zero lookup is empty. */
void lookup_release(struct lookup *lookup);
/* Empty again, with room for @count elements; memory is kept. */
void lookup_reset(struct lookup *lookup, size_t count);

/*
 * The next index that may be filed under @hash, or LOOKUP_NONE. *@at is 0 for the first call of a
 * search, and the lookup must not change before the last one.
 */
uint32_t lookup_next(const struct lookup *lookup, uint64_t hash, uint32_t *at);

void lookup_add(struct lookup *lookup, uint64_t hash, uint32_t index);

/* Scrambles @hash with a number, for keys of a text and some integers. */
static inline uint64_t lookup_hash_with(uint64_t hash, uint64_t number)
{
	hash = (hash ^ number) * 0x9e3779b97f4a7c15ull; /* 2^64 / golden ratio, odd */
	return hash ^ hash >> 32;
}

#endif
