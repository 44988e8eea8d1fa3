/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ranges: listeners on many addresses, or on many ports.
 *
 * Which ranges of ports there are is known when a program is loaded; there are few
 * of them. So each one that the port is in costs one look-up of the address, and
 * where there are none, or the port is in none, nothing is looked up at all.
 */
#ifndef SLUICE_BPF_RANGES_H
#define SLUICE_BPF_RANGES_H

#include <stdbool.h>

#include "flow.h"
#include "maps.h"

enum { IPV4_BITS_BEFORE = 96 };

const volatile struct port_range port_ranges[PORT_RANGES_MAX] = {};
const volatile __u32 port_range_count = 0;

static __always_inline bool is_in_range(__u32 i, __u16 port)
{
	return port >= port_ranges[i].first && port <= port_ranges[i].last;
}

/* Whether some listener on many addresses has this port. */
static __always_inline bool is_range_port(__u16 port)
{
	for (__u32 i = 0; i < PORT_RANGES_MAX && i < port_range_count; i++)
		if (is_in_range(i, port))
			return true;
	return false;
}

static __always_inline void range_key_of(struct range_key *key, __u32 i, const __u8 address[16])
{
	key->bits = 32 + 128;
	key->ports.first = port_ranges[i].first;
	key->ports.last = port_ranges[i].last;
	__builtin_memcpy(key->address, address, 16);
}

/* The listener whose prefix fits @wanted best; NULL where there is none. */
static __noinline struct listener_value *find_range(const struct listener_key *wanted)
{
	struct range_value *best = NULL, *found;
	/* A short IPv6 prefix also covers the v4-mapped addresses, and does not mean them. */
	__u32 least_bits = address_is_ipv4(wanted->address) ? IPV4_BITS_BEFORE : 0;
	struct range_key key;

	for (__u32 i = 0; i < PORT_RANGES_MAX && i < port_range_count; i++) {
		if (!is_in_range(i, wanted->port))
			continue;
		range_key_of(&key, i, wanted->address);
		found = bpf_map_lookup_elem(&ranges, &key);
		if (!found || found->prefix_bits < least_bits)
			continue;
		least_bits = found->prefix_bits + 1;
		best = found;
	}
	return best ? &best->listener : NULL;
}

#endif
