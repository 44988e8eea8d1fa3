/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder: packets and ClientHellos for tests, from what a case says about them.
 *
 * A struct frame_spec of zeroes is the usual: IPv4, TCP with ACK, from
 * 192.0.2.1:40000 to 198.51.100.1:80, no payload. A case names what is different.
 * Checksums are left zero: nothing under test reads them.
 */
#ifndef SLUICE_SELFTESTS_BPF_BUILDER_H
#define SLUICE_SELFTESTS_BPF_BUILDER_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

enum {
	FRAME_MAX_BYTES = 9216,
	FRAME_IP_ALIGN = 2,
	FRAME_CLIENT_PORT = 40000,
	FRAME_LOCAL_PORT = 80,
	FRAME_FIN = 0x01,
	FRAME_SYN = 0x02,
	FRAME_RST = 0x04,
	FRAME_PSH = 0x08,
	FRAME_ACK = 0x10,
};

struct frame_spec {
	int vlan_tags;
	uint16_t ethertype; /* 0: by the family */
	bool is_ipv6;
	uint8_t ip_options_bytes; /* IPv4, a multiple of 4 */
	uint16_t fragment;        /* IPv4, the whole field */
	bool has_ipv6_extension;  /* a header of 8 bytes, of the number that follows */
	uint8_t ipv6_extension;
	uint8_t protocol; /* 0: TCP */
	uint8_t tcp_options_bytes;
	struct str tcp_options; /* in the place of tcp_options_bytes zeroes; a multiple of 4 */
	uint32_t seq, ack_seq;
	uint16_t window;
	uint8_t tcp_flags; /* 0: ACK */
	uint16_t client_port, local_port;
	const char *client; /* address; NULL: the usual one */
	const char *local;
	struct str payload;
	bool is_checksum_partial; /* the sum of the pseudo-header stands for the checksum */
	size_t trailer_bytes;     /* behind the IP packet, as padding of short frames is */
};

/* The IP header stands on a multiple of 4, as drivers see to it (NET_IP_ALIGN). */
struct frame {
	uint8_t align[FRAME_IP_ALIGN] __attribute__((aligned(8)));
	uint8_t at[FRAME_MAX_BYTES];
	size_t len;
};

static inline void *frame_add(struct frame *frame, size_t len)
{
	void *at = frame->at + frame->len;

	frame->len += len;
	return at;
}

static inline void frame_add_u16(struct frame *frame, uint16_t value)
{
	uint8_t *at = frame_add(frame, 2);

	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void frame_add_eth(struct frame *frame, const struct frame_spec *spec)
{
	uint16_t type = spec->is_ipv6 ? ETH_P_IPV6 : ETH_P_IP;

	memset(frame_add(frame, 12), 2, 12);
	for (int i = spec->vlan_tags; i > 0; i--) {
		frame_add_u16(frame, i > 1 ? ETH_P_8021AD : ETH_P_8021Q);
		frame_add_u16(frame, 100);
	}
	frame_add_u16(frame, spec->ethertype ? spec->ethertype : type);
}

static inline uint8_t frame_protocol(const struct frame_spec *spec)
{
	return spec->protocol ? spec->protocol : IPPROTO_TCP;
}

static inline void frame_add_ipv4(struct frame *frame, const struct frame_spec *spec,
				  size_t l4_bytes)
{
	size_t header_bytes = sizeof(struct iphdr) + spec->ip_options_bytes;
	struct iphdr *ip = frame_add(frame, header_bytes);

	ip->version = 4;
	ip->ihl = (header_bytes / 4) & 0xf;
	ip->tot_len = htons((uint16_t)(header_bytes + l4_bytes));
	ip->frag_off = htons(spec->fragment);
	ip->ttl = 64;
	ip->protocol = frame_protocol(spec);
	inet_pton(AF_INET, spec->client ? spec->client : "192.0.2.1", &ip->saddr);
	inet_pton(AF_INET, spec->local ? spec->local : "198.51.100.1", &ip->daddr);
}

static inline void frame_add_ipv6(struct frame *frame, const struct frame_spec *spec,
				  size_t l4_bytes)
{
	struct ipv6hdr *ip = frame_add(frame, sizeof(*ip));
	size_t extension_bytes = spec->has_ipv6_extension ? 8 : 0;

	ip->version = 6;
	ip->payload_len = htons((uint16_t)(l4_bytes + extension_bytes));
	ip->nexthdr = spec->has_ipv6_extension ? spec->ipv6_extension : frame_protocol(spec);
	ip->hop_limit = 64;
	inet_pton(AF_INET6, spec->client ? spec->client : "2001:db8::1", &ip->saddr);
	inet_pton(AF_INET6, spec->local ? spec->local : "2001:db8::80", &ip->daddr);
	if (extension_bytes)
		*(uint8_t *)frame_add(frame, extension_bytes) = frame_protocol(spec);
}

static inline size_t frame_tcp_header_bytes(const struct frame_spec *spec)
{
	return sizeof(struct tcphdr) + spec->tcp_options_bytes + spec->tcp_options.len;
}

static inline void frame_add_tcp(struct frame *frame, const struct frame_spec *spec)
{
	size_t header_bytes = frame_tcp_header_bytes(spec);
	struct tcphdr *tcp = frame_add(frame, header_bytes);

	tcp->source = htons(spec->client_port ? spec->client_port : FRAME_CLIENT_PORT);
	tcp->dest = htons(spec->local_port ? spec->local_port : FRAME_LOCAL_PORT);
	tcp->seq = htonl(spec->seq);
	tcp->ack_seq = htonl(spec->ack_seq);
	tcp->window = htons(spec->window);
	tcp->doff = (header_bytes / 4) & 0xf;
	if (spec->tcp_options.len)
		memcpy(tcp + 1, spec->tcp_options.at, spec->tcp_options.len);
	((uint8_t *)tcp)[13] = spec->tcp_flags ? spec->tcp_flags : FRAME_ACK;
	if (spec->payload.len)
		memcpy(frame_add(frame, spec->payload.len), spec->payload.at, spec->payload.len);
}

/* Of @len bytes as big-endian 16-bit words (RFC 1071). */
static inline uint32_t frame_sum(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

/* The addresses stand last in both families' headers, and right before TCP. */
static inline void frame_put_partial_checksum(struct frame *frame, const struct frame_spec *spec,
					      size_t tcp, size_t l4_bytes)
{
	size_t address_bytes = spec->is_ipv6 ? 32 : 8;
	uint32_t sum = frame_sum(frame->at + tcp - address_bytes, address_bytes);

	sum += IPPROTO_TCP + (uint32_t)l4_bytes;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	frame->at[tcp + 16] = (uint8_t)(sum >> 8);
	frame->at[tcp + 17] = (uint8_t)sum;
}

static inline void frame_build(struct frame *frame, const struct frame_spec *spec)
{
	size_t l4_bytes = frame_tcp_header_bytes(spec) + spec->payload.len;
	size_t tcp;

	memset(frame, 0, sizeof(*frame));
	frame_add_eth(frame, spec);
	if (spec->is_ipv6)
		frame_add_ipv6(frame, spec, l4_bytes);
	else
		frame_add_ipv4(frame, spec, l4_bytes);
	tcp = frame->len;
	frame_add_tcp(frame, spec);
	if (spec->is_checksum_partial)
		frame_put_partial_checksum(frame, spec, tcp, l4_bytes);
	frame_add(frame, spec->trailer_bytes);
}

static inline uint16_t frame_checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Where the IP header of a frame begins: behind its tags. */
static inline size_t frame_ip_pos(const struct frame *frame)
{
	size_t pos = ETH_HLEN;

	while ((frame->at[pos - 2] == 0x81 && frame->at[pos - 1] == 0) ||
	       (frame->at[pos - 2] == 0x88 && frame->at[pos - 1] == 0xa8))
		pos += 4;
	return pos;
}

/* All checksums of a frame without trailer, IP options and extension headers: then the stack takes
 * it.
 */
static inline void frame_put_checksums(struct frame *frame)
{
	size_t ip_pos = frame_ip_pos(frame);
	struct iphdr *ip = (struct iphdr *)(frame->at + ip_pos);
	bool is_ipv6 = ip->version == 6;
	size_t tcp_pos = ip_pos + (is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(*ip));
	size_t address_bytes = is_ipv6 ? 32 : 8;
	struct tcphdr *tcp = (struct tcphdr *)(frame->at + tcp_pos);
	size_t l4_bytes = frame->len - tcp_pos;
	uint32_t sum = IPPROTO_TCP + (uint32_t)l4_bytes;

	if (!is_ipv6) {
		ip->check = 0;
		ip->check = frame_checksum(frame_sum((const uint8_t *)ip, sizeof(*ip)));
	}
	tcp->check = 0;
	sum += frame_sum(frame->at + tcp_pos - address_bytes, address_bytes);
	sum += frame_sum((const uint8_t *)tcp, l4_bytes);
	if (l4_bytes % 2) /* the last byte stands in the upper half of its word */
		sum += (uint32_t)frame->at[frame->len - 1] << 8;
	tcp->check = frame_checksum(sum);
}

/* ---- ClientHello (RFC 8446 4.1.2, RFC 6066 3) ----------------------------------------------- */

struct hello_spec {
	const char *name;         /* NULL: no server_name extension */
	uint8_t session_id_bytes; /* at most 32 */
	uint16_t cipher_bytes;    /* 0: 32 */
	uint16_t before_bytes; /* of a key_share before server_name; post-quantum ones have 1,200 */
	uint16_t after_bytes;
	bool has_grease;       /* an extension of an unknown number first (RFC 8701) */
	uint16_t ech_bytes;    /* of an encrypted_client_hello (RFC 9849) before server_name */
	uint8_t name_type;     /* 0 is host_name */
	uint16_t record_bytes; /* 0: what there is; less: the hello goes on in a second record */
	size_t cut;            /* 0: all of it; else only so many bytes are in this segment */
};

static inline void hello_add_extension(struct frame *out, uint16_t type, uint16_t bytes)
{
	frame_add_u16(out, type);
	frame_add_u16(out, bytes);
	memset(frame_add(out, bytes), 0xa5, bytes);
}

static inline void hello_add_name(struct frame *out, const struct hello_spec *spec)
{
	uint16_t len = (uint16_t)strlen(spec->name);

	frame_add_u16(out, 0); /* server_name */
	frame_add_u16(out, (uint16_t)(len + 5));
	frame_add_u16(out, (uint16_t)(len + 3));
	*(uint8_t *)frame_add(out, 1) = spec->name_type;
	frame_add_u16(out, len);
	memcpy(frame_add(out, len), spec->name, len);
}

static inline void hello_put_u16(struct frame *out, size_t at, size_t value)
{
	out->at[at] = (uint8_t)(value >> 8);
	out->at[at + 1] = (uint8_t)value;
}

/* The bytes of a first segment; good as long as @out is. */
static inline struct str hello_build(struct frame *out, const struct hello_spec *spec)
{
	uint16_t cipher_bytes = spec->cipher_bytes ? spec->cipher_bytes : 32;
	size_t extensions;

	memset(out, 0, sizeof(*out));
	memcpy(frame_add(out, 5), "\x16\x03\x01\0\0", 5);
	memcpy(frame_add(out, 6), "\x01\0\0\0\x03\x03", 6);
	memset(frame_add(out, 32), 0x5a, 32); /* random */
	*(uint8_t *)frame_add(out, 1) = spec->session_id_bytes;
	frame_add(out, spec->session_id_bytes);
	frame_add_u16(out, cipher_bytes);
	frame_add(out, cipher_bytes);
	memcpy(frame_add(out, 2), "\x01\0", 2); /* one compression method: none */
	extensions = out->len;
	frame_add_u16(out, 0);
	if (spec->has_grease)
		hello_add_extension(out, 0x3a3a, 0);
	hello_add_extension(out, 43, 3); /* supported_versions */
	if (spec->before_bytes)
		hello_add_extension(out, 51, spec->before_bytes); /* key_share */
	if (spec->ech_bytes)
		hello_add_extension(out, 0xfe0d, spec->ech_bytes);
	if (spec->name)
		hello_add_name(out, spec);
	if (spec->after_bytes)
		hello_add_extension(out, 21, spec->after_bytes); /* padding */
	hello_put_u16(out, extensions, out->len - extensions - 2);
	hello_put_u16(out, 7, out->len - 9); /* the size has three bytes; the first stays 0 */
	hello_put_u16(out, 3, spec->record_bytes ? spec->record_bytes : out->len - 5);
	if (spec->cut && spec->cut < out->len)
		out->len = spec->cut;
	return str_of((const char *)out->at, out->len);
}

#endif
