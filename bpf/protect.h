/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * protect: who may open connections, and how many.
 *
 * Each step asks one thing about a packet that begins a connection; those of
 * known flows never come here. They are asked at addresses of this machine alone:
 * what it forwards is not ours to drop. A source's rate is counted where a connection
 * becomes certain: at the first payload where XDP answers SYNs (the cookie has
 * shown that the address is real, so a flood under false addresses neither
 * spends tokens of others nor fills the map), else at the SYN.
 */
#ifndef SLUICE_BPF_PROTECT_H
#define SLUICE_BPF_PROTECT_H

#include "deny.h"
#include "steering.h"
#include "tuple.h"

enum {
	MILLI = 1000,
	NS_PER_MILLITOKEN_AT_1 = 1000000, /* one connection a second: a thousandth in 1 ms */
	RATE_IDLE_NS = 1000000000,        /* a bucket is not filled for longer than this */
};

/* ---- what the kernel knows ------------------------------------------------------------------ */

enum kernel_socket {
	KERNEL_SOCKET_NONE,
	KERNEL_SOCKET_LISTENS,
	KERNEL_SOCKET_KNOWN, /* of this very connection, TIME_WAIT included */
};

/* A part: an enum kernel_socket. */
__noinline __u32 kernel_socket_of(struct xdp_md *ctx, struct packet *packet)
{
	struct bpf_sock_tuple tuple = { 0 };
	__u32 found = KERNEL_SOCKET_KNOWN;
	struct bpf_sock *sk;

	if (!packet)
		return KERNEL_SOCKET_NONE;
	if (tuple_of_flow(&tuple, &packet->flow) == sizeof(tuple.ipv4))
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return KERNEL_SOCKET_NONE;
	if (sk->state == SOCKET_STATE_LISTEN)
		found = KERNEL_SOCKET_LISTENS;
	bpf_sk_release(sk);
	return found;
}

/* ---- who may ------------------------------------------------------------------------------- */

/* No new connection for this source. What it has goes on, in flows or, evicted there, by its
 * socket. */
static __always_inline enum verdict refuse_source(struct xdp_md *ctx, struct steering *s,
						  enum drop_reason reason, __u64 *counter)
{
	if (!s->packet->is_syn && kernel_socket_of(ctx, s->packet) == KERNEL_SOCKET_KNOWN)
		return pass(&s->stats->pass_not_early);
	return drop_for(s, reason, counter, NULL);
}

/* A part: 1 where denylist has the prefix that deny_cut has made. */
__noinline int deny_look_up(__u64 first, __u64 last, __u32 word, __u64 length)
{
	struct deny_source cut = { { first, last } };
	struct denylist_key key;

	deny_key_of(&key, &cut, word, length);
	return bpf_map_lookup_elem(&denylist, &key) != NULL;
}

/* True where denylist has one of the prefixes of @source whose lengths are in lengths[@word]. */
static __always_inline bool deny_has(const struct deny_row *row, const struct deny_source *source,
				     __u32 word)
{
	__u64 lengths = row->lengths[word];

	for (__u32 i = 0; i < 64 && lengths; i++) {
		__u64 length = lengths & -lengths;
		struct deny_source cut = deny_cut(source, word, length);

		lengths ^= length;
		if (deny_is_marked(row, deny_mark(&cut, length)) &&
		    deny_look_up(cut.words[0], cut.words[1], word, length))
			return true;
	}
	return false;
}

/* A part: 1 where the source is in denylist. */
__noinline int is_denied(struct packet *packet)
{
	struct deny_source source;
	struct deny_row *row;
	__u32 index;

	if (!packet)
		return 0;
	source = deny_source_of(packet->flow.client_address);
	index = deny_row_of(&source);
	row = bpf_map_lookup_elem(&deny_rows, &index);
	return row && (deny_has(row, &source, 0) || deny_has(row, &source, 1));
}

static __always_inline enum verdict check_denied(struct xdp_md *ctx, struct steering *s,
						 const struct settings_value *now)
{
	if (!now->has_denylist || !is_denied(s->packet))
		return VERDICT_CONTINUE;
	return refuse_source(ctx, s, DROP_REASON_DENIED, &s->stats->drop_denied);
}

static __always_inline enum verdict check_allowed(struct xdp_md *ctx, struct steering *s,
						  const struct listener_value *listener)
{
	struct allowlist_key key = { .bits = 160, .listener_id = listener->id };

	if (!(listener->flags & LISTENER_FLAG_ALLOWLIST))
		return VERDICT_CONTINUE;
	__builtin_memcpy(key.address, s->packet->flow.client_address, 16);
	if (bpf_map_lookup_elem(&allowlist, &key))
		return VERDICT_CONTINUE;
	return refuse_source(ctx, s, DROP_REASON_NOT_ALLOWED, &s->stats->drop_not_allowed);
}

/* ---- how many ------------------------------------------------------------------------------- */

/*
 * Takes one connection out of @bucket; false where there is none left. Two CPUs
 * at once may both take the last one: a limit is not a lock.
 */
static __always_inline bool bucket_take(struct bucket *bucket, __u32 rate_per_s, __u32 burst)
{
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	__u64 elapsed_ns = now_ns - bucket->refilled_ns;
	__u64 gained, tokens;

	if (elapsed_ns > RATE_IDLE_NS * (__u64)MILLI)
		elapsed_ns = RATE_IDLE_NS * (__u64)MILLI;
	gained = elapsed_ns * rate_per_s / NS_PER_MILLITOKEN_AT_1;
	tokens = bucket->tokens_milli + gained;
	if (tokens > (__u64)burst * MILLI)
		tokens = (__u64)burst * MILLI;
	/* What was too short a time for a thousandth is not lost: it counts with the next one. */
	if (gained)
		bucket->refilled_ns = now_ns;
	bucket->tokens_milli = tokens < MILLI ? tokens : tokens - MILLI;
	return tokens >= MILLI;
}

/* The first @bits bits of @address; the others become zero. */
static __always_inline void mask_address(__u8 address[16], __u32 bits)
{
	for (__u32 i = 0; i < 16; i++) {
		__u32 kept = bits > i * 8 ? bits - i * 8 : 0;

		address[i] &= kept >= 8 ? 0xff : 0xff00 >> kept;
	}
}

static __always_inline enum verdict check_source_rate(struct steering *s,
						      const struct settings_value *now)
{
	struct bucket full = { .refilled_ns = bpf_ktime_get_coarse_ns() };
	struct source_key key;
	struct bucket *bucket;

	if (!now->source_rate_per_s)
		return VERDICT_CONTINUE;
	__builtin_memcpy(key.address, s->packet->flow.client_address, 16);
	mask_address(key.address, address_is_ipv4(key.address) ? 96 + now->source_bits_ipv4
							       : now->source_bits_ipv6);
	bucket = bpf_map_lookup_elem(&source_rates, &key);
	if (!bucket) {
		full.tokens_milli = now->source_burst * MILLI - MILLI;
		bpf_map_update_elem(&source_rates, &key, &full, BPF_NOEXIST);
		return VERDICT_CONTINUE;
	}
	if (bucket_take(bucket, now->source_rate_per_s, now->source_burst))
		return VERDICT_CONTINUE;
	return drop_for(s, DROP_REASON_SOURCE_RATE, &s->stats->drop_source_rate, NULL);
}

/* False where @host has had its connections for now. */
static __always_inline bool host_has_room(const struct host_value *host)
{
	__u32 id = host->host_id;
	struct host_rate *rate = bpf_map_lookup_elem(&host_rates, &id);

	return !rate || bucket_take(&rate->bucket, rate->rate_per_s, rate->burst);
}

#endif
