/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * protect: who may open connections, and how many.
 *
 * Each step asks one thing about a packet that begins a connection; those of
 * known flows never come here. A source's rate is counted where a connection
 * becomes certain: at the first payload where XDP answers SYNs (the cookie has
 * shown that the address is real, so a flood under false addresses neither
 * spends tokens of others nor fills the map), else at the SYN.
 */
#ifndef SLUICE_BPF_PROTECT_H
#define SLUICE_BPF_PROTECT_H

#include "steering.h"

enum {
	MILLI = 1000,
	NS_PER_MILLITOKEN_AT_1 = 1000000, /* one connection a second: a thousandth in 1 ms */
	RATE_IDLE_NS = 1000000000,        /* a bucket is not filled for longer than this */
};

static __always_inline enum verdict check_flags(struct steering *s)
{
	if (!tcp_flags_are_malformed(s->packet->tcp_flags))
		return VERDICT_CONTINUE;
	return drop_for(s, DROP_REASON_MALFORMED, &s->stats->drop_malformed, NULL);
}

static __always_inline enum verdict check_denied(struct steering *s,
						 const struct settings_value *now)
{
	struct denylist_key key = { .bits = 128 };

	if (!now->has_denylist)
		return VERDICT_CONTINUE;
	__builtin_memcpy(key.address, s->packet->flow.client_address, 16);
	if (!bpf_map_lookup_elem(&denylist, &key))
		return VERDICT_CONTINUE;
	return drop_for(s, DROP_REASON_DENIED, &s->stats->drop_denied, NULL);
}

static __always_inline enum verdict check_allowed(struct steering *s,
						  const struct listener_value *listener)
{
	struct allowlist_key key = { .bits = 160, .listener_id = listener->id };

	if (!(listener->flags & LISTENER_FLAG_ALLOWLIST))
		return VERDICT_CONTINUE;
	__builtin_memcpy(key.address, s->packet->flow.client_address, 16);
	if (bpf_map_lookup_elem(&allowlist, &key))
		return VERDICT_CONTINUE;
	return drop_for(s, DROP_REASON_NOT_ALLOWED, &s->stats->drop_not_allowed, NULL);
}

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
