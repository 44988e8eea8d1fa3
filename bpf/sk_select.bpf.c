// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * sk_select: gives a new connection to the worker of the CPU it came in on.
 *
 * Runs where the kernel looks for the listening socket of a SYN, in a group of
 * sockets that share an address (SO_REUSEPORT), one for each worker. XDP or the
 * network card has put the packet on this CPU; the worker that runs here takes
 * it, and from then on the connection lives on one CPU.
 *
 * Where that worker takes no new connections another one is looked for; where
 * none is found the kernel makes its own choice, as it would without us.
 */
#include <stdbool.h>

#include "flow.h"
#include "ranges.h"
#include "verdict.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 worker_count = 1;

enum {
	FAMILY_IPV4 = 2,      /* AF_INET, which no UAPI header defines */
	SELECT_TRIES_MAX = 8, /* other workers that are asked */
};

/* The listener whose socket the kernel found, or NULL. */
static __always_inline struct listener_value *listener_of(struct sk_reuseport_md *ctx)
{
	struct listener_key key = { 0 };
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return NULL;
	if (sk->family == FAMILY_IPV4) {
		address_from_ipv4(key.address, sk->src_ip4);
	} else {
		__u32 words[4] = { sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3] };

		address_from_ipv6(key.address, words);
	}
	key.port = sk->src_port;
	return bpf_map_lookup_elem(&listeners, &key);
}

static __always_inline bool takes_connections(__u32 worker)
{
	struct worker_value *value = bpf_map_lookup_elem(&workers, &worker);

	return value && value->state == WORKER_STATE_ACTIVE &&
	       value->load_permille < WORKER_LOAD_STALLED_PERMILLE;
}

/* True when the connection now goes to @worker. */
static __always_inline bool give_to(struct sk_reuseport_md *ctx, __u32 worker,
				    const struct listener_value *listener)
{
	__u32 slot = worker_sock_slot(worker, listener->id);

	if (!takes_connections(worker))
		return false;
	if (port_range_count && (listener->flags & LISTENER_FLAG_RANGE))
		return bpf_sk_select_reuseport(ctx, &range_socks, &slot, 0) == 0;
	return bpf_sk_select_reuseport(ctx, &worker_socks, &slot, 0) == 0;
}

static __always_inline __u32 worker_here(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct worker_value *value = bpf_map_lookup_elem(&workers, &cpu);

	return value ? value->cpu_worker : WORKER_NONE;
}

/* Counts where the connection went. SK_PASS without a choice leaves it to the kernel. */
static __always_inline int selected(__u64 *counter)
{
	count(counter);
	return SK_PASS;
}

SEC("sk_reuseport")
int sk_select(struct sk_reuseport_md *ctx)
{
	struct stats *stats = stats_here();
	struct listener_value *listener = listener_of(ctx);

	if (!stats)
		return SK_PASS;
	if (!listener)
		return selected(&stats->select_kernel);
	if (give_to(ctx, worker_here(), listener))
		return selected(&stats->select_local);
	for (__u32 i = 0; i < SELECT_TRIES_MAX && i < worker_count; i++)
		if (give_to(ctx, (ctx->hash + i) % worker_count, listener))
			return selected(&stats->select_other);
	return selected(&stats->select_kernel);
}
