/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * flow: builds the keys of flows and listeners.
 *
 * The only place where network order becomes host order and where IPv4 becomes
 * v4-mapped. User space builds its keys with the same functions.
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

/* ::ffff:a.b.c.d */
static __always_inline void address_from_ipv4(__u8 address[16], __be32 ipv4)
{
	__builtin_memset(address, 0, 10);
	address[10] = 0xff;
	address[11] = 0xff;
	__builtin_memcpy(address + 12, &ipv4, 4);
}

static __always_inline void address_from_ipv6(__u8 address[16], const void *ipv6)
{
	__builtin_memcpy(address, ipv6, 16);
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
	key->client_port = host_order(client);
	key->local_port = host_order(local);
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
	__builtin_memcpy(key->address, flow->local_address, 16);
	key->port = flow->local_port;
}

static __always_inline int address_is_ipv4(const __u8 address[16])
{
	const __u32 mapped = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0xffff0000 : 0x0000ffff;

	return (load_u32(address) | load_u32(address + 4) | (load_u32(address + 8) ^ mapped)) == 0;
}

/* Makes the key that of "every address" of the same family. */
static __always_inline void listener_key_widen(struct listener_key *key)
{
	if (address_is_ipv4(key->address))
		__builtin_memset(key->address + 12, 0, 4);
	else
		__builtin_memset(key->address, 0, 16);
}

#endif
