/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cookie: what we have to know of a connection, kept by its client.
 *
 * A SYN is answered and forgotten (RFC 4987 3.6). All that its first payload has
 * to tell us again lies in two numbers which that payload repeats:
 *
 *   our initial sequence number           our timestamp
 *   31    30 29   28 26  25       0       31          6  5     4      3           0
 *   | slot | count | mss | check   |      | time        | ecn | sack | window scale |
 *
 *   slot   which of the two keys; a new one is written every few minutes
 *   count  low bits of a clock of 137 seconds: a cookie is good for two to three
 *   mss    which of cookie_mss, the greatest that the client can receive
 *   check  SipHash-2-4 of addresses, ports, the whole count, slot and mss, plus
 *          the client's initial sequence number (as in RFC 6528 3)
 *
 * The sum has a use: of any later segment, too, it tells how far it is from the
 * connection's first byte. So a keepalive probe (one before it), a first payload
 * (right at it) and a segment that has overtaken the first (behind it) are told
 * apart without knowing the connection. One in 2^26 forged numbers is taken for a
 * first payload; it then makes a socket as a SYN would without us, no more.
 *
 * The timestamp's bits are not checked: who forges them gets options that he
 * cannot use himself.
 */
#ifndef SLUICE_BPF_COOKIE_H
#define SLUICE_BPF_COOKIE_H

#include "flow.h"
#include "siphash.h"

enum {
	COOKIE_CHECK_BITS = 26,
	COOKIE_CHECK_MASK = (1 << COOKIE_CHECK_BITS) - 1,
	COOKIE_MSS_SHIFT = COOKIE_CHECK_BITS,
	COOKIE_MSS_COUNT = 8,
	COOKIE_COUNT_SHIFT = COOKIE_MSS_SHIFT + 3,
	COOKIE_COUNT_MASK = 3,
	COOKIE_SLOT_SHIFT = 31,
	COOKIE_PERIOD_SHIFT = 37, /* nanoseconds of a count, as a power of 2 */
	COOKIE_AGE_MAX = 2,       /* in counts */
	COOKIE_AHEAD_MAX = 65535, /* the window we offer: a client sends no more before our ACK */

	COOKIE_OPTION_BITS = 6, /* of the timestamp */
	COOKIE_OPTION_MASK = (1 << COOKIE_OPTION_BITS) - 1,
	COOKIE_SCALE_MASK = 15,
	COOKIE_SCALE_NONE = 15, /* RFC 7323 2.3 ends at 14 */
	COOKIE_SACK = 1 << 4,
	COOKIE_ECN = 1 << 5,

	COOKIE_MSS_MIN_IPV4 = 536,  /* RFC 9293 3.7.1, and what one without the option has */
	COOKIE_MSS_MIN_IPV6 = 1220, /* the same for IPv6 */
	NS_PER_MS_COOKIE = 1000000,
};

/* 1360 to 1440: tunnels and PPPoE; the last is a jumbo frame's over either family. */
#define COOKIE_MSS_TABLE                                                                           \
	{                                                                                          \
		536, 1220, 1340, 1360, 1400, 1440, 1460, 8940                                      \
	}

/* The greatest index whose size is not above @mss; -1 where even the first is. */
static __always_inline int cookie_mss_index(__u32 mss)
{
	const __u16 sizes[COOKIE_MSS_COUNT] = COOKIE_MSS_TABLE;
	int index = -1;

	platform_unroll for (int i = 0; i < COOKIE_MSS_COUNT; i++) if (sizes[i] <= mss) index = i;
	return index;
}

static __always_inline __u32 cookie_mss(__u32 cookie)
{
	const __u16 sizes[COOKIE_MSS_COUNT] = COOKIE_MSS_TABLE;
	__u32 index = cookie >> COOKIE_MSS_SHIFT & (COOKIE_MSS_COUNT - 1);
	__u32 mss = 0;

	/* No table in memory: it would be one more map. */
	platform_unroll for (__u32 i = 0; i < COOKIE_MSS_COUNT; i++) if (i == index) mss = sizes[i];
	return mss;
}

static __always_inline __u64 cookie_word(const __u8 *bytes)
{
	return (__u64)load_u32(bytes) | (__u64)load_u32(bytes + 4) << 32;
}

/* @head is the cookie without its check; the family is in the hash, as is all of @count. */
static __always_inline __u32 cookie_hash(const struct cookie_key *key, const struct flow_key *flow,
					 __u32 count, __u32 head)
{
	int is_ipv4 = address_is_ipv4(flow->client_address);
	__u64 last = (__u64)flow->client_port | (__u64)flow->local_port << 16 |
		     (__u64)(count << 1 | is_ipv4) << 32;
	struct sip sip;

	last ^= (__u64)(head >> COOKIE_CHECK_BITS) << 58;
	sip_start(&sip, key->k0, key->k1);
	if (is_ipv4) {
		sip_absorb(&sip, (__u64)load_u32(flow->client_address + 12) |
					 (__u64)load_u32(flow->local_address + 12) << 32);
	} else {
		sip_absorb(&sip, cookie_word(flow->client_address));
		sip_absorb(&sip, cookie_word(flow->client_address + 8));
		sip_absorb(&sip, cookie_word(flow->local_address));
		sip_absorb(&sip, cookie_word(flow->local_address + 8));
	}
	return (__u32)sip_finish(&sip, last);
}

/* What the SYN of @client_isn is answered with. */
static __noinline __u32 cookie_make(const struct cookie_key *key, const struct flow_key *flow,
				    __u32 client_isn, __u64 now_ns, __u32 slot_and_mss)
{
	__u32 count = now_ns >> COOKIE_PERIOD_SHIFT;
	__u32 head = slot_and_mss | (count & COOKIE_COUNT_MASK) << COOKIE_COUNT_SHIFT;

	return head | ((cookie_hash(key, flow, count, head) + client_isn) & COOKIE_CHECK_MASK);
}

static __always_inline __u32 cookie_slot_and_mss(__u32 slot, __u32 mss_index)
{
	return (slot & 1) << COOKIE_SLOT_SHIFT | mss_index << COOKIE_MSS_SHIFT;
}

static __always_inline __u32 cookie_slot(__u32 cookie)
{
	return cookie >> COOKIE_SLOT_SHIFT;
}

/* What a segment's numbers say. */
enum cookie_place {
	COOKIE_INVALID, /* not ours, too old, or far off */
	COOKIE_BEFORE,  /* at the byte before the first: a keepalive probe */
	COOKIE_FIRST,   /* at the connection's first byte */
	COOKIE_AHEAD,   /* behind it: another segment has to come first */
};

/* @key is that of cookie_slot(@cookie); @cookie is what the segment acknowledges, less 1. */
static __noinline enum cookie_place cookie_check(const struct cookie_key *key,
						 const struct flow_key *flow, __u32 cookie,
						 __u32 seq, __u64 now_ns)
{
	__u32 now_count = now_ns >> COOKIE_PERIOD_SHIFT;
	__u32 age = (now_count - (cookie >> COOKIE_COUNT_SHIFT)) & COOKIE_COUNT_MASK;
	__u32 head = cookie & ~COOKIE_CHECK_MASK;
	__u32 client_isn, distance;

	if (age > COOKIE_AGE_MAX || age > now_count || (!key->k0 && !key->k1))
		return COOKIE_INVALID;
	client_isn = cookie - cookie_hash(key, flow, now_count - age, head);
	distance = (seq - 1 - client_isn) & COOKIE_CHECK_MASK;
	if (distance == 0)
		return COOKIE_FIRST;
	if (distance == COOKIE_CHECK_MASK)
		return COOKIE_BEFORE;
	return distance <= COOKIE_AHEAD_MAX ? COOKIE_AHEAD : COOKIE_INVALID;
}

/* ---- timestamps ----------------------------------------------------------------------------- */

/* In milliseconds, as the kernel's, which goes on from this one (RFC 7323 5.4). */
static __always_inline __u32 cookie_timestamp(__u64 now_ns, __u32 offset, __u32 options)
{
	__u32 now_ms = (__u32)(now_ns / NS_PER_MS_COOKIE) + offset;

	return (now_ms & ~(__u32)COOKIE_OPTION_MASK) | (options & COOKIE_OPTION_MASK);
}

#endif
