/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * reply: makes a packet into its own answer, and fills in both checksums.
 *
 * The frame keeps its tags; addresses and ports change places; headers are
 * written as this kernel writes them. The sum of both addresses is the same in
 * both directions, so what packet.h summed serves here, too.
 */
#ifndef SLUICE_BPF_REPLY_H
#define SLUICE_BPF_REPLY_H

#include "steering.h"

enum {
	REPLY_OPTION_WORDS_MAX = 5,
	REPLY_TTL = 64,
	IPV4_DONT_FRAGMENT = 0x4000,
};

struct reply {
	__u32 seq;
	__u32 ack_seq;
	__u16 window; /* as on the wire: scaled, but in a SYN-ACK */
	__u8 flags;
	__u8 option_words;
	__be32 options[REPLY_OPTION_WORDS_MAX];
};

static __always_inline __be32 network_order_u32(__u32 number)
{
	return host_order_u32(number);
}

static __always_inline __be16 network_order(__u16 number)
{
	return host_order(number);
}

static __always_inline __u32 reply_tcp_bytes(const struct reply *reply)
{
	return sizeof(struct tcphdr) + reply->option_words * 4u;
}

static __always_inline void reply_eth(struct ethhdr *eth)
{
	__u8 source[ETH_ALEN];

	__builtin_memcpy(source, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, source, ETH_ALEN);
}

static __always_inline int reply_ipv4(struct cursor *cursor, const struct reply *reply)
{
	struct iphdr *ip = take_ipv4(cursor);
	__be32 source;
	__u64 sum = 0;

	if (!ip)
		return -1;
	source = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = source;
	ip->tos = 0;
	ip->tot_len = network_order(sizeof(*ip) + reply_tcp_bytes(reply));
	ip->id = 0;
	ip->frag_off = network_order(IPV4_DONT_FRAGMENT);
	ip->ttl = REPLY_TTL;
	ip->check = 0;
	for (int i = 0; i < 5; i++)
		sum += ((__u32 *)ip)[i];
	ip->check = ~checksum_fold(sum);
	return 0;
}

static __always_inline int reply_ipv6(struct cursor *cursor, const struct reply *reply)
{
	struct ipv6hdr *ip = take_ipv6(cursor);
	struct in6_addr source;

	if (!ip)
		return -1;
	source = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = source;
	*(__be32 *)ip = network_order_u32(6u << 28); /* no traffic class, no flow label */
	ip->payload_len = network_order(reply_tcp_bytes(reply));
	ip->hop_limit = REPLY_TTL;
	return 0;
}

static __always_inline int reply_tcp(struct cursor *cursor, const struct reply *reply,
				     __u32 address_sum)
{
	struct tcphdr *tcp = take_tcp(cursor);
	__u64 sum =
		address_sum + network_order(IPPROTO_TCP) + network_order(reply_tcp_bytes(reply));
	__be16 source;

	if (!tcp)
		return -1;
	source = tcp->source;
	tcp->source = tcp->dest;
	tcp->dest = source;
	tcp->seq = network_order_u32(reply->seq);
	tcp->ack_seq = network_order_u32(reply->ack_seq);
	((__u8 *)tcp)[12] = reply_tcp_bytes(reply) / 4 << 4;
	((__u8 *)tcp)[TCP_FLAGS_OFFSET] = reply->flags;
	tcp->window = network_order(reply->window);
	tcp->check = 0;
	tcp->urg_ptr = 0;
	for (int i = 0; i < 5; i++)
		sum += ((__u32 *)tcp)[i];
	for (int i = 0; i < REPLY_OPTION_WORDS_MAX && i < reply->option_words; i++) {
		__be32 *option = take(cursor, 4);

		if (!option)
			return -1;
		*option = reply->options[i];
		sum += *option;
	}
	tcp->check = ~checksum_fold(sum);
	return 0;
}

static __always_inline int reply_headers(struct cursor *cursor, const struct packet *packet,
					 const struct reply *reply)
{
	struct ethhdr *eth = take_eth(cursor);
	__u32 tags_bytes;

	if (!eth)
		return -1;
	reply_eth(eth);
	tags_bytes = packet->ip_pos - sizeof(*eth);
	for (__u32 i = 0; i < VLAN_TAGS_MAX && i * sizeof(struct vlan_tag) < tags_bytes; i++)
		if (!take_vlan(cursor))
			return -1;
	if (packet->ethertype == ETH_P_IP ? reply_ipv4(cursor, reply) : reply_ipv6(cursor, reply))
		return -1;
	return reply_tcp(cursor, reply, packet_address_sum(packet));
}

/* A part. 0, or -1 where the frame cannot be made to fit; it is then not what it was. */
__noinline int reply_make(struct xdp_md *ctx, struct packet *packet, struct reply *reply)
{
	struct cursor cursor;
	int change;

	if (!packet || !reply)
		return -1;
	change = (int)(packet->tcp_pos + reply_tcp_bytes(reply));
	change -= (int)(ctx->data_end - ctx->data);
	if (change && bpf_xdp_adjust_tail(ctx, change))
		return -1;
	cursor.start = cursor.pos = (void *)(long)ctx->data;
	cursor.end = (void *)(long)ctx->data_end;
	return reply_headers(&cursor, packet, reply);
}

#endif
