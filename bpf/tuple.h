/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* tuple: a flow as the kernel's socket look-ups want it. Only for BPF programs. */
#ifndef SLUICE_BPF_TUPLE_H
#define SLUICE_BPF_TUPLE_H

#include "flow.h"

enum { SOCKET_STATE_LISTEN = 10 }; /* TCP_LISTEN, which no UAPI header defines */

static __always_inline void words_copy(__be32 *to, const __u8 *from, int words)
{
	for (int i = 0; i < words; i++)
		to[i] = load_u32(from + i * 4);
}

/* Fills in @tuple; its size says which family. */
static __always_inline __u32 tuple_of_flow(struct bpf_sock_tuple *tuple,
					   const struct flow_key *flow)
{
	if (address_is_ipv4(flow->client_address)) {
		words_copy(&tuple->ipv4.saddr, flow->client_address + 12, 1);
		words_copy(&tuple->ipv4.daddr, flow->local_address + 12, 1);
		tuple->ipv4.sport = host_order(flow->client_port);
		tuple->ipv4.dport = host_order(flow->local_port);
		return sizeof(tuple->ipv4);
	}
	words_copy(tuple->ipv6.saddr, flow->client_address, 4);
	words_copy(tuple->ipv6.daddr, flow->local_address, 4);
	tuple->ipv6.sport = host_order(flow->client_port);
	tuple->ipv6.dport = host_order(flow->local_port);
	return sizeof(tuple->ipv6);
}

#endif
