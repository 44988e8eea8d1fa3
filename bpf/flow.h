/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * flow: builds the keys of flows and listeners.
 *
 * The only place where network order becomes host order and where IPv4 becomes
 * v4-mapped. User space builds its keys with the same functions.
 *
 * Keys are written by words of four bytes, as the kernel's hash reads them: a
 * word of which the processor has just stored each half or byte costs it 5 ns.
 */
#ifndef SLUICE_BPF_FLOW_H
#define SLUICE_BPF_FLOW_H

#include "contract.h"
#include "platform.h"

static __always_inline __u16 host_order(__be16 port)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap16(port) : port;
}

static __always_inline __u32 host_order_u32(__be32 number)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(number) : number;
}

/* Its third word, as it lies in memory. */
#define ADDRESS_IPV4_MARK (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0xffff0000u : 0x0000ffffu)

/* ::ffff:a.b.c.d */
static __always_inline void address_from_ipv4(__u8 address[16], __be32 ipv4)
{
	store_u32(address, 0);
	store_u32(address + 4, 0);
	store_u32(address + 8, ADDRESS_IPV4_MARK);
	store_u32(address + 12, ipv4);
}

static __always_inline void address_from_ipv6(__u8 address[16], const void *ipv6)
{
	for (int i = 0; i < 16; i += 4)
		store_u32(address + i, load_u32((const __u8 *)ipv6 + i));
}

/* Two ports that stand beside each other; both in host order. */
static __always_inline void ports_store(__u16 *at, __u16 first, __u16 second)
{
	store_u32(at, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? first | (__u32)second << 16
								: (__u32)first << 16 | second);
}

/* All of a key is written: it has no padding. */
static __always_inline void flow_key_ipv4(struct flow_key *key, __be32 client, __be32 local)
{
	address_from_ipv4(key->client_address, client);
	address_from_ipv4(key->local_address, local);
}

static __always_inline void flow_key_ipv6(struct flow_key *key, const void *client,
					  const void *local)
{
	address_from_ipv6(key->client_address, client);
	address_from_ipv6(key->local_address, local);
}

static __always_inline void flow_key_ports(struct flow_key *key, __be16 client, __be16 local)
{
	ports_store(&key->client_port, host_order(client), host_order(local));
}

/* True for each port where @count is 0: the map of listeners is asked then. */
static __always_inline int is_listen_port(const volatile __u16 ports[LISTEN_PORTS_MAX], __u32 count,
					  __u16 port)
{
	if (count == 0)
		return 1;
	platform_unroll for (int i = 0; i < LISTEN_PORTS_MAX;
			     i++) if (ports[i] && ports[i] == port) return 1;
	return 0;
}

static __always_inline void listener_key_of_flow(struct listener_key *key,
						 const struct flow_key *flow)
{
	address_from_ipv6(key->address, flow->local_address);
	ports_store(&key->port, flow->local_port, 0);
}

static __always_inline int address_is_ipv4(const __u8 address[16])
{
	return (load_u32(address) | load_u32(address + 4) |
		(load_u32(address + 8) ^ ADDRESS_IPV4_MARK)) == 0;
}

/* Makes the key that of "every address" of the same family. */
static __always_inline void listener_key_widen(struct listener_key *key)
{
	if (!address_is_ipv4(key->address))
		for (int i = 0; i < 12; i += 4)
			store_u32(key->address + i, 0);
	store_u32(key->address + 12, 0);
}

#endif
