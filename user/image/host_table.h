/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_table: from a host key to an index, in one or two probes.
 *
 * An open-addressing table of power-of-two size, at most half full, that several
 * segments carry as a section (image: vhosts; certs: names). Exact names and
 * wildcards stand in the same slots under two different hash keys: a wildcard
 * "*.example.com" is filed under "example.com" with the second one, so the name
 * "example.com" itself never meets it.
 *
 *   hash = siphash(key, name)          slot = hash mod slots, then the next ones
 *   +-----------------+----------+
 *   | tag             | entry+1  |     tag = upper half of the hash; 0 in entry
 *   +-----------------+----------+     ends the probe
 *
 * A tag that agrees is not yet a hit: the caller compares the whole name. No name is
 * further than HOST_TABLE_PROBES slots from its place; the writer takes a larger table
 * until that holds, the verifier looks up every name, so a hostile table costs no time.
 */
#ifndef SLUICE_IMAGE_HOST_TABLE_H
#define SLUICE_IMAGE_HOST_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "base/str.h"

enum { HOST_TABLE_PROBES = 64 };

struct host_slot {
	uint32_t tag;
	uint32_t entry_plus_1; /* 0: empty */
};

/* The two hash keys, as they stand in a header. */
struct host_table_keys {
	struct siphash_key exact;
	struct siphash_key wildcard;
};

/* Both keys from one: a secret of the node, or a constant for golden files. */
struct host_table_keys host_table_keys_of(struct siphash_key key);

static inline uint32_t host_table_tag(uint64_t hash)
{
	return (uint32_t)(hash >> 32);
}

/* The hash under which the rule host @key ("a.b" or "*.b") is filed. */
uint64_t host_table_hash(const struct host_table_keys *keys, struct str key);

/* What is to be found under a hash. */
struct host_table_item {
	uint64_t hash;
	uint32_t entry;
};

/*
 * Slots for @items, allocated (mem_free); never NULL. *@slot_count is a power of two, at least
 * 2 * @count.
 */
struct host_slot *host_table_new(const struct host_table_item *items, uint32_t count,
				 uint32_t *slot_count);

/*
 * The shape of a table that was read: size, load, each entry below @entry_limit, @entry_count of
 * them. Whether each name is found the caller asks afterwards, with its own lookup.
 */
bool host_table_is_sound(const struct host_slot *slots, uint32_t slot_count, uint32_t entry_limit,
			 uint32_t entry_count);

#endif
