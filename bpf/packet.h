/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet: Ethernet to TCP, read once into what the steps ask for.
 *
 * Understood: no, one or two VLAN tags; IPv4 without options and IPv6 without
 * extension headers; TCP. For everything else packet_read says what it was, and
 * the packet passes: the stack knows more than we do.
 */
#ifndef SLUICE_BPF_PACKET_H
#define SLUICE_BPF_PACKET_H

#include "cursor.h"
#include "flow.h"

enum packet_kind {
	PACKET_TCP,
	PACKET_NOT_IP,
	PACKET_MALFORMED,
	PACKET_IPV4_OPTIONS,
	PACKET_IPV6_EXTENSION,
	PACKET_FRAGMENT,
	PACKET_NOT_TCP,
};

struct packet {
	struct flow_key flow;
	__u32 payload_pos; /* offsets into the frame */
	__u32 payload_end; /* by the IP header: frames are padded */
	__u32 ip_pos;      /* of the IP header */
	__u32 tcp_pos;
	__u32 seq;
	__u32 ack_seq;
	__u16 ethertype;
	__u8 is_syn; /* without ACK */
	__u8 is_fin;
	__u8 is_rst;
	__u8 is_ack;
	__u8 tcp_flags; /* all of them, as on the wire */
	__u8 pad;
	__u16 tcp_check; /* as on the wire */
	__u16 pad2;
};

enum {
	VLAN_TAGS_MAX = 2,           /* a tag, or QinQ */
	IPV4_FRAGMENT_BITS = 0x3fff, /* "more fragments" and the offset, RFC 791 3.1 */
	TCP_HEADER_WORDS_MIN = 5,

	TCP_FLAGS_OFFSET = 13, /* in the header */
	TCP_FIN = 0x01,        /* RFC 9293 3.1, RFC 3168 6.1 */
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

/* Flags that no TCP sends together: they are probes, or somebody's flood. */
static __always_inline int tcp_flags_are_malformed(__u8 flags)
{
	if (flags & TCP_SYN)
		return (flags & (TCP_FIN | TCP_RST)) != 0;
	if (flags & TCP_RST)
		return 0;
	return !(flags & TCP_ACK);
}

static __always_inline int is_vlan(__u16 ethertype)
{
	return ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD;
}

/* Ethernet and its tags; leaves the type of what follows in packet->ethertype. */
static __always_inline enum packet_kind packet_read_eth(struct cursor *cursor,
							struct packet *packet)
{
	struct ethhdr *eth = take_eth(cursor);

	if (!eth)
		return PACKET_MALFORMED;
	packet->ethertype = host_order(eth->h_proto);
	for (int i = 0; i < VLAN_TAGS_MAX && is_vlan(packet->ethertype); i++) {
		struct vlan_tag *tag = take_vlan(cursor);

		if (!tag)
			return PACKET_MALFORMED;
		packet->ethertype = host_order(tag->next_type);
	}
	return PACKET_TCP;
}

/* The one's complement sum (RFC 1071) of the 32-bit words in @sum, in 16 bits. */
static __always_inline __u32 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline enum packet_kind packet_read_ipv4(struct cursor *cursor,
							 struct packet *packet)
{
	__u32 start = cursor_offset(cursor);
	struct iphdr *ip = take_ipv4(cursor);

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return PACKET_MALFORMED;
	if (ip->ihl != 5)
		return PACKET_IPV4_OPTIONS;
	if (host_order(ip->frag_off) & IPV4_FRAGMENT_BITS)
		return PACKET_FRAGMENT;
	if (ip->protocol != IPPROTO_TCP)
		return PACKET_NOT_TCP;
	flow_key_ipv4(&packet->flow, ip->saddr, ip->daddr);
	packet->payload_end = start + host_order(ip->tot_len);
	return PACKET_TCP;
}

/* The next-header numbers of IPv6 that are not an upper layer (RFC 8200 4, RFC 4302, RFC 6275 ...).
 */
static __always_inline int is_ipv6_extension(__u8 next_header)
{
	switch (next_header) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
	case IPPROTO_MH:
		return 1;
	}
	return 0;
}

static __always_inline enum packet_kind packet_read_ipv6(struct cursor *cursor,
							 struct packet *packet)
{
	struct ipv6hdr *ip = take_ipv6(cursor);

	if (!ip || ip->version != 6)
		return PACKET_MALFORMED;
	if (is_ipv6_extension(ip->nexthdr))
		return PACKET_IPV6_EXTENSION;
	if (ip->nexthdr != IPPROTO_TCP)
		return PACKET_NOT_TCP;
	flow_key_ipv6(&packet->flow, &ip->saddr, &ip->daddr);
	packet->payload_end = cursor_offset(cursor) + host_order(ip->payload_len);
	return PACKET_TCP;
}

/*
 * The sum of both addresses, as the TCP checksum sums them: the same in both
 * directions. The prefix of a v4-mapped address is a multiple of 0xffff and so
 * adds nothing.
 */
static __always_inline __u32 packet_address_sum(const struct packet *packet)
{
	__u64 sum = 0;

	for (int i = 0; i < 16; i += 4)
		sum += (__u64)load_u32(packet->flow.client_address + i) +
		       load_u32(packet->flow.local_address + i);
	return checksum_fold(sum);
}

/* The sum of what a TCP checksum covers beside the segment: addresses, protocol, length. */
static __always_inline __u32 packet_pseudo_sum(const struct packet *packet)
{
	__u64 sum = packet_address_sum(packet);

	sum += host_order(IPPROTO_TCP) + host_order(packet->payload_end - packet->tcp_pos);
	return checksum_fold(sum);
}

static __always_inline enum packet_kind packet_read_tcp(struct cursor *cursor,
							struct packet *packet)
{
	__u32 start = cursor_offset(cursor);
	struct tcphdr *tcp = take_tcp(cursor);

	if (!tcp || tcp->doff < TCP_HEADER_WORDS_MIN)
		return PACKET_MALFORMED;
	flow_key_ports(&packet->flow, tcp->source, tcp->dest);
	packet->payload_pos = start + tcp->doff * 4u;
	if (packet->payload_pos > packet->payload_end)
		return PACKET_MALFORMED;
	packet->tcp_check = tcp->check;
	packet->is_syn = tcp->syn && !tcp->ack;
	packet->is_fin = tcp->fin;
	packet->is_rst = tcp->rst;
	packet->is_ack = tcp->ack;
	packet->tcp_flags = ((__u8 *)tcp)[TCP_FLAGS_OFFSET];
	packet->tcp_pos = start;
	packet->pad = 0;
	packet->pad2 = 0;
	packet->seq = host_order_u32(tcp->seq);
	packet->ack_seq = host_order_u32(tcp->ack_seq);
	return PACKET_TCP;
}

/* Reads the headers; PACKET_TCP means that all of @packet is filled in. */
static __always_inline enum packet_kind packet_read(struct cursor *cursor, struct packet *packet)
{
	enum packet_kind kind = packet_read_eth(cursor, packet);

	if (kind != PACKET_TCP)
		return kind;
	packet->ip_pos = cursor_offset(cursor);
	if (packet->ethertype == ETH_P_IP)
		kind = packet_read_ipv4(cursor, packet);
	else if (packet->ethertype == ETH_P_IPV6)
		kind = packet_read_ipv6(cursor, packet);
	else
		kind = PACKET_NOT_IP;
	if (kind != PACKET_TCP)
		return kind;
	return packet_read_tcp(cursor, packet);
}

#endif
