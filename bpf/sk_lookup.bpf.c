// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * sk_lookup: finds the listening socket of a listener on many addresses.
 *
 * Runs where the kernel looks for the socket of a packet that belongs to no
 * connection. A listener such as 10.0.0.0/24:80, or 0.0.0.0:8000-8999, has one
 * set of sockets, bound to its first address and port; for all the others this
 * program names one of them, and sk_select then chooses among the set as ever.
 *
 * What has a listener of its own, another program's choice, and everything that
 * is not ours goes on as if this program were not there.
 */
#include "flow.h"
#include "ranges.h"
#include "verdict.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 worker_count = 1;

enum {
	FAMILY_IPV4 = 2,      /* AF_INET, which no UAPI header defines */
	LOOKUP_TRIES_MAX = 8, /* workers whose socket is asked for */
};

static __always_inline void read_key(const struct bpf_sk_lookup *ctx, struct listener_key *key)
{
	if (ctx->family == FAMILY_IPV4) {
		__u32 ipv4 = ctx->local_ip4;

		platform_keep(ipv4); /* one load for both families would be of a computed address */
		address_from_ipv4(key->address, ipv4);
	} else {
		__u32 words[4] = { ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2],
				   ctx->local_ip6[3] };

		address_from_ipv6(key->address, words);
	}
	ports_store(&key->port, ctx->local_port, 0);
}

/* 0 when the look-up now ends with the socket of @worker. */
static __always_inline int assign(struct bpf_sk_lookup *ctx, __u32 worker, __u32 listener_id)
{
	__u32 slot = worker_sock_slot(worker, listener_id);
	struct bpf_sock *sk = bpf_map_lookup_elem(&range_socks, &slot);
	long code;

	if (!sk)
		return -1;
	code = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return code;
}

/* Any worker's socket will do: sk_select sees to it that the right one gets the connection. */
static __always_inline void assign_any(struct bpf_sk_lookup *ctx, struct stats *stats,
				       __u32 listener_id)
{
	__u32 first = bpf_get_smp_processor_id();

	for (__u32 i = 0; i < LOOKUP_TRIES_MAX && i < worker_count; i++) {
		if (assign(ctx, (first + i) % worker_count, listener_id))
			continue;
		count(&stats->lookup_found);
		return;
	}
	count(&stats->lookup_no_socket);
}

SEC("sk_lookup")
int sk_lookup_range(struct bpf_sk_lookup *ctx)
{
	struct listener_value *listener;
	struct listener_key key;
	struct stats *stats;

	if (ctx->protocol != IPPROTO_TCP || ctx->sk || !is_range_port(ctx->local_port))
		return SK_PASS;
	read_key(ctx, &key);
	if (bpf_map_lookup_elem(&listeners, &key))
		return SK_PASS; /* a listener on this very address: the kernel knows its socket */
	listener = find_range(&key);
	stats = stats_here();
	if (listener && stats)
		assign_any(ctx, stats, listener->id);
	return SK_PASS;
}
