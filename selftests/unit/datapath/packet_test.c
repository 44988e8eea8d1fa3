// SPDX-License-Identifier: Apache-2.0
/*
 * packet: headers as XDP reads them (bpf/packet.h, cursor.h, flow.h), natively.
 * Each frame lies in memory of exactly its size, so that ASan sees a byte too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "bpf/packet.h"
#include "selftests/bpf/builder.h"

static enum packet_kind read_bytes(const uint8_t *bytes, size_t len, struct packet *packet)
{
	uint8_t *memory = mem_new(FRAME_IP_ALIGN + len, 1);
	uint8_t *copy = memory + FRAME_IP_ALIGN;
	struct cursor cursor = { .start = copy, .pos = copy, .end = copy + len };
	enum packet_kind kind;

	memcpy(copy, bytes, len);
	memset(packet, 0, sizeof(*packet));
	kind = packet_read(&cursor, packet);
	mem_free(memory);
	return kind;
}

static void knows_what_it_reads(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		enum packet_kind kind;
		uint32_t payload_pos;
	} cases[] = {
		{ "IPv4", { 0 }, PACKET_TCP, 54 },
		{ "IPv6", { .is_ipv6 = true }, PACKET_TCP, 74 },
		{ "one VLAN tag", { .vlan_tags = 1 }, PACKET_TCP, 58 },
		{ "QinQ", { .vlan_tags = 2, .is_ipv6 = true }, PACKET_TCP, 82 },
		{ "three VLAN tags", { .vlan_tags = 3 }, PACKET_NOT_IP, 0 },
		{ "TCP options", { .tcp_options_bytes = 40 }, PACKET_TCP, 94 },
		{ "ARP", { .ethertype = ETH_P_ARP }, PACKET_NOT_IP, 0 },
		{ "IPv6 behind IPv4's ethertype",
		  { .is_ipv6 = true, .ethertype = ETH_P_IP },
		  PACKET_MALFORMED,
		  0 },
		{ "IPv4 options", { .ip_options_bytes = 4 }, PACKET_IPV4_OPTIONS, 0 },
		{ "most IPv4 options", { .ip_options_bytes = 40 }, PACKET_IPV4_OPTIONS, 0 },
		{ "don't fragment", { .fragment = 0x4000 }, PACKET_TCP, 54 },
		{ "first fragment", { .fragment = 0x2000 }, PACKET_FRAGMENT, 0 },
		{ "later fragment", { .fragment = 0x0010 }, PACKET_FRAGMENT, 0 },
		{ "UDP", { .protocol = IPPROTO_UDP }, PACKET_NOT_TCP, 0 },
		{ "UDP over IPv6",
		  { .is_ipv6 = true, .protocol = IPPROTO_UDP },
		  PACKET_NOT_TCP,
		  0 },
		{ "hop-by-hop options",
		  { .is_ipv6 = true,
		    .has_ipv6_extension = true,
		    .ipv6_extension = IPPROTO_HOPOPTS },
		  PACKET_IPV6_EXTENSION,
		  0 },
		{ "IPv6 fragment",
		  { .is_ipv6 = true,
		    .has_ipv6_extension = true,
		    .ipv6_extension = IPPROTO_FRAGMENT },
		  PACKET_IPV6_EXTENSION,
		  0 },
		{ "destination options",
		  { .is_ipv6 = true,
		    .has_ipv6_extension = true,
		    .ipv6_extension = IPPROTO_DSTOPTS },
		  PACKET_IPV6_EXTENSION,
		  0 },
	};
	struct packet packet;
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum packet_kind kind;

		frame_build(&frame, &cases[i].frame);
		kind = read_bytes(frame.at, frame.len, &packet);
		if (kind != cases[i].kind)
			fail_msg("%s: kind %d, expected %d", cases[i].name, kind, cases[i].kind);
		if (kind == PACKET_TCP && packet.payload_pos != cases[i].payload_pos)
			fail_msg("%s: payload at %u, expected %u", cases[i].name,
				 packet.payload_pos, cases[i].payload_pos);
	}
}

/* A header that is not all there is malformed, wherever it ends; never anything else. */
static void refuses_each_cut(void **state)
{
	static const struct frame_spec specs[] = {
		{ 0 },
		{ .is_ipv6 = true },
		{ .vlan_tags = 1 },
		{ .vlan_tags = 2, .is_ipv6 = true },
	};
	struct packet packet;
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		frame_build(&frame, &specs[i]);
		for (size_t len = 0; len < frame.len; len++)
			if (read_bytes(frame.at, len, &packet) != PACKET_MALFORMED)
				fail_msg("frame %zu cut to %zu bytes was read", i, len);
		assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_TCP);
	}
}

static void refuses_impossible_lengths(void **state)
{
	struct packet packet;
	struct frame frame;

	(void)state;
	frame_build(&frame, &(struct frame_spec){ 0 });
	frame.at[14] = 0x44; /* IPv4 header of 16 bytes */
	assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_MALFORMED);
	frame_build(&frame, &(struct frame_spec){ 0 });
	frame.at[46] = 0x40; /* TCP header of 16 bytes */
	assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_MALFORMED);
	frame_build(&frame, &(struct frame_spec){ 0 });
	frame.at[46] = 0xf0; /* TCP header that is longer than the packet */
	assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_MALFORMED);
	frame_build(&frame, &(struct frame_spec){ 0 });
	frame.at[17] = 20; /* IPv4 length that has no room for TCP */
	assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_MALFORMED);
}

/* Short frames are padded: what stands behind the IP packet is not payload. */
static void leaves_padding_out(void **state)
{
	struct packet packet;
	struct frame frame;

	(void)state;
	frame_build(&frame, &(struct frame_spec){ .trailer_bytes = 6 });
	assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_TCP);
	assert_int_equal(packet.payload_pos, packet.payload_end);
}

static void reads_flags(void **state)
{
	static const struct {
		const char *name;
		uint8_t flags;
		bool is_syn, is_fin, is_rst;
	} cases[] = {
		{ "ACK", FRAME_ACK, false, false, false },
		{ "SYN", FRAME_SYN, true, false, false },
		{ "SYN-ACK", FRAME_SYN | FRAME_ACK, false, false, false },
		{ "FIN", FRAME_FIN | FRAME_ACK, false, true, false },
		{ "RST", FRAME_RST, false, false, true },
	};
	struct packet packet;
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		frame_build(&frame, &(struct frame_spec){ .tcp_flags = cases[i].flags });
		assert_int_equal(read_bytes(frame.at, frame.len, &packet), PACKET_TCP);
		if (!packet.is_syn != !cases[i].is_syn || !packet.is_fin != !cases[i].is_fin ||
		    !packet.is_rst != !cases[i].is_rst)
			fail_msg("%s: syn %d fin %d rst %d", cases[i].name, packet.is_syn,
				 packet.is_fin, packet.is_rst);
	}
}

static void builds_keys(void **state)
{
	static const uint8_t client[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const uint8_t local[16] = { [10] = 0xff, 0xff, 198, 51, 100, 1 };
	static const uint8_t every_v4[16] = { [10] = 0xff, 0xff };
	static const uint8_t every_v6[16] = { 0 };
	struct listener_key listener;
	struct packet packet;
	struct frame frame;

	(void)state;
	frame_build(&frame, &(struct frame_spec){ 0 });
	read_bytes(frame.at, frame.len, &packet);
	assert_memory_equal(packet.flow.client_address, client, 16);
	assert_memory_equal(packet.flow.local_address, local, 16);
	assert_int_equal(packet.flow.client_port, FRAME_CLIENT_PORT);
	assert_int_equal(packet.flow.local_port, FRAME_LOCAL_PORT);
	listener_key_of_flow(&listener, &packet.flow);
	assert_memory_equal(listener.address, local, 16);
	assert_int_equal(listener.port, FRAME_LOCAL_PORT);
	listener_key_widen(&listener);
	assert_memory_equal(listener.address, every_v4, 16);

	frame_build(&frame, &(struct frame_spec){ .is_ipv6 = true });
	read_bytes(frame.at, frame.len, &packet);
	assert_int_equal(packet.flow.client_address[0], 0x20);
	assert_int_equal(packet.flow.local_address[15], 0x80);
	listener_key_of_flow(&listener, &packet.flow);
	listener_key_widen(&listener);
	assert_memory_equal(listener.address, every_v6, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_it_reads),
		cmocka_unit_test(refuses_each_cut),
		cmocka_unit_test(refuses_impossible_lengths),
		cmocka_unit_test(leaves_padding_out),
		cmocka_unit_test(reads_flags),
		cmocka_unit_test(builds_keys),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
