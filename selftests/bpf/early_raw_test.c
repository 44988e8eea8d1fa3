// SPDX-License-Identifier: Apache-2.0
/*
 * early_raw: a client that does what TCP seldom does, segment by segment.
 *
 *   this test writes frames  cl0 ──── slu0  xdp_steer, tc_admit, a worker's socket
 *
 * Every scenario runs over IPv4 and over IPv6.
 *
 * Both ends are in one namespace. The test is the client: it writes and reads
 * whole frames on cl0, so that it can lose, repeat and reorder its segments. What
 * must not happen in any case is a RST, or a second connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/if_link.h>
#include <linux/if_packet.h>

#include <bpf/bpf.h>

#include "datapath/datapath.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/listen.h"

#define SYN_OPTIONS                                                                                \
	"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x01\x00\x00\x00\x00\x00\x00\x01\x03\x03\x07"
#define REQUEST "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"

enum { CLIENT_ISN = 5000, WINDOW = 500, QUIET_MS = 60, ANSWER_MS = 2000, FIRST_PAYLOADS = 3 };

/* How the segments of a connection get here. */
struct way {
	const char *name, *local, *local_prefix, *client, *listener;
	bool is_ipv6;
};

static const struct way ways[] = {
	{ "IPv4", "10.213.8.1", "10.213.8.1/24", "10.213.8.77", "0.0.0.0:80", false },
	{ "IPv6", "fd13:8::1", "fd13:8::1/64", "fd13:8::77", "[::]:80", true },
};

static const struct way *way;
static struct datapath *datapath;
static int listening, wire;

/* A segment that the server's side sent. */
struct segment {
	uint8_t flags;
	uint32_t seq, ack_seq, timestamp;
	uint16_t window;
	size_t payload_bytes;
};

struct raw {
	uint16_t port;
	uint32_t ack_seq, timestamp_echo;
	uint16_t window;
};

/* ---- the world ------------------------------------------------------------------------------ */

static void open_wire(void)
{
	struct sockaddr_ll name = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };

	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	name.sll_ifindex = (int)if_nametoindex("cl0");
	if (wire < 0 || bind(wire, (struct sockaddr *)&name, sizeof(name)))
		lab_die("packet socket");
}

/* The frames of builder.h are from and to 02:02:02:02:02:02. */
static int make_link(void)
{
	if (lab_command("ip", "link", "add", "slu0", "address", "02:02:02:02:02:02", "type", "veth",
			"peer", "name", "cl0") ||
	    lab_command("ip", "link", "set", "slu0", "up") ||
	    lab_command("ip", "link", "set", "cl0", "up") ||
	    lab_command("ip", "addr", "add", way->local_prefix, "dev", "slu0",
			way->is_ipv6 ? "nodad" : NULL) ||
	    lab_command("ip", "neigh", "add", way->client, "lladdr", "02:02:02:02:02:02", "dev",
			"slu0"))
		return -1;
	lab_attach_pass("cl0", "pass", XDP_FLAGS_DRV_MODE);
	open_wire();
	return 0;
}

static int open_all(void **state)
{
	static const char *const interfaces[] = { "slu0" };
	static const uint16_t cpus[] = { 0 };
	struct datapath_listener listener = { .addr = listen_addr(way->listener),
					      .protocol = LISTENER_PROTOCOL_HTTP };
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_NATIVE,
					    .interfaces = interfaces,
					    .interface_count = 1,
					    .listeners = &listener,
					    .listener_count = 1,
					    .worker_cpus = cpus,
					    .worker_count = 1,
					    .wants_early_dispatch = true };
	struct datapath_worker active = { .state = WORKER_STATE_ACTIVE };
	struct err err = { 0 };

	(void)state;
	lab_enter();
	if (make_link())
		return -1;
	if (datapath_open(&options, &datapath, &err) || !datapath_is_early(datapath)) {
		print_error("%s%s\n", err.text, datapath ? datapath_early_text(datapath) : "");
		return -1;
	}
	listening = listen_open(&listener.addr);
	return datapath_set_worker(datapath, 0, &active, NULL) ||
	       datapath_set_socket(datapath, 0, 0, listening, NULL);
}

static int close_all(void **state)
{
	(void)state;
	datapath_detach(datapath);
	close(listening);
	close(wire);
	return 0;
}

/* ---- segments ------------------------------------------------------------------------------- */

/* @at counts from the connection's first byte. */
static void put(const struct raw *raw, uint8_t flags, uint32_t at, struct str payload)
{
	char options[12] = "\x01\x01\x08\x0a\x00\x01\x00\x01";
	uint32_t echo = htonl(raw->timestamp_echo);
	struct frame_spec spec = { .is_ipv6 = way->is_ipv6,
				   .client = way->client,
				   .local = way->local,
				   .client_port = raw->port,
				   .tcp_flags = flags,
				   .seq = CLIENT_ISN + 1 + at,
				   .ack_seq = flags & FRAME_ACK ? raw->ack_seq : 0,
				   .window = raw->window,
				   .tcp_options = { options, sizeof(options) },
				   .payload = payload };
	struct frame frame;

	memcpy(options + 8, &echo, 4);
	if (flags & FRAME_SYN)
		spec.tcp_options = STR(SYN_OPTIONS);
	frame_build(&frame, &spec);
	frame_put_checksums(&frame);
	if (write(wire, frame.at, frame.len) != (ssize_t)frame.len)
		lab_die("write");
}

static uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* True for a segment from the listener to @port. */
static bool parse(const uint8_t *frame, size_t len, uint16_t port, struct segment *segment)
{
	size_t ip_bytes = way->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const uint8_t *ip = frame + ETH_HLEN, *tcp = ip + ip_bytes;
	size_t l4_bytes;

	if (len < (size_t)(tcp - frame) + 20 || ip[0] >> 4 != (way->is_ipv6 ? 6 : 4) ||
	    (way->is_ipv6 ? ip[6] : ip[9]) != IPPROTO_TCP || (tcp[0] << 8 | tcp[1]) != 80 ||
	    (tcp[2] << 8 | tcp[3]) != port)
		return false;
	l4_bytes = way->is_ipv6 ? (size_t)(ip[4] << 8 | ip[5])
				: (size_t)(ip[2] << 8 | ip[3]) - ip_bytes;
	*segment = (struct segment){ .flags = tcp[13],
				     .seq = u32_at(tcp + 4),
				     .ack_seq = u32_at(tcp + 8),
				     .window = (uint16_t)(tcp[14] << 8 | tcp[15]),
				     .payload_bytes = l4_bytes - (size_t)(tcp[12] >> 4) * 4 };
	/* MSS and SACK stand before the timestamps in a SYN-ACK, two NOPs in all others. */
	segment->timestamp = u32_at(tcp + (tcp[13] & FRAME_SYN ? 28 : 24));
	return true;
}

/* The next segment for @raw, or false when there is none in @wait_ms. */
static bool get(struct raw *raw, int wait_ms, struct segment *segment)
{
	uint8_t frame[FRAME_MAX_BYTES];
	struct pollfd poll_wire = { .fd = wire, .events = POLLIN };

	while (poll(&poll_wire, 1, wait_ms) == 1) {
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(wire, frame, sizeof(frame), 0, (struct sockaddr *)&from,
				       &from_len);

		if (len > 0 && from.sll_pkttype != PACKET_OUTGOING &&
		    parse(frame, (size_t)len, raw->port, segment)) {
			assert_false(segment->flags & FRAME_RST);
			raw->timestamp_echo = segment->timestamp;
			return true;
		}
	}
	return false;
}

static struct segment must_get(struct raw *raw)
{
	struct segment segment;

	assert_true(get(raw, ANSWER_MS, &segment));
	return segment;
}

static void must_be_quiet(struct raw *raw)
{
	struct segment segment;

	if (get(raw, QUIET_MS, &segment))
		fail_msg("flags %#x, seq %u, ack %u, %zu bytes", segment.flags, segment.seq,
			 segment.ack_seq, segment.payload_bytes);
}

/* SYN, SYN-ACK and no more: each connection has a port of its own. */
static struct raw shake_hands(void)
{
	static uint16_t port = 20000;
	struct raw raw = { .port = ++port, .window = WINDOW };
	struct segment segment;

	put(&raw, FRAME_SYN, (uint32_t)-1, STR(""));
	segment = must_get(&raw);
	assert_int_equal(segment.flags, FRAME_SYN | FRAME_ACK);
	assert_int_equal(segment.ack_seq, CLIENT_ISN + 1);
	raw.ack_seq = segment.seq + 1;
	return raw;
}

static int must_accept(void)
{
	int connection;

	assert_int_equal(listen_accept(&listening, 1, &connection), 0);
	return connection;
}

static void must_read(int connection, const char *text)
{
	char bytes[512] = { 0 };
	size_t got = 0, wanted = strlen(text);

	while (got < wanted) {
		struct pollfd wait = { .fd = connection, .events = POLLIN };
		ssize_t len;

		assert_int_equal(poll(&wait, 1, ANSWER_MS), 1);
		len = read(connection, bytes + got, sizeof(bytes) - 1 - got);
		assert_true(len > 0);
		got += (size_t)len;
	}
	assert_string_equal(bytes, text);
}

/* Nobody else is at the door. */
static void must_be_alone(void)
{
	struct pollfd wait = { .fd = listening, .events = POLLIN };

	assert_int_equal(poll(&wait, 1, 0), 0);
}

/* The server says "ok"; the client hears it, and both close. */
static void finish(struct raw *raw, int connection, uint32_t at)
{
	struct segment segment;

	assert_int_equal(write(connection, "ok", 2), 2);
	do
		segment = must_get(raw);
	while (segment.payload_bytes == 0);
	assert_int_equal(segment.payload_bytes, 2);
	assert_int_equal(segment.seq, raw->ack_seq);
	raw->ack_seq += 2;
	put(raw, FRAME_FIN | FRAME_ACK, at, STR(""));
	assert_int_equal(read(connection, &segment, 1) <= 0, 1);
	close(connection);
	must_be_alone();
}

static uint64_t sockets_made(void)
{
	struct stats stats;

	assert_int_equal(datapath_read_stats(datapath, &stats, NULL), 0);
	return stats.admit_socket;
}

/* ---- scenarios ------------------------------------------------------------------------------ */

static void usual_connection(void **state)
{
	struct raw raw = shake_hands();
	int connection;

	(void)state;
	put(&raw, FRAME_ACK, 0, STR(""));
	must_be_quiet(&raw);
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	finish(&raw, connection, strlen(REQUEST));
}

/* The first SYN-ACK is lost: the client asks again, and goes on with the second. */
static void syn_again(void **state)
{
	struct raw raw = shake_hands();
	struct segment segment;
	int connection;

	(void)state;
	put(&raw, FRAME_SYN, (uint32_t)-1, STR(""));
	segment = must_get(&raw);
	assert_int_equal(segment.flags, FRAME_SYN | FRAME_ACK);
	raw.ack_seq = segment.seq + 1;
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	finish(&raw, connection, strlen(REQUEST));
}

/* Three SYN-ACKs are lost; the client goes on with the numbers of the first, which comes late. */
static void late_syn_ack(void **state)
{
	struct raw raw = shake_hands(), again = raw;
	int connection;

	(void)state;
	for (int i = 0; i < 3; i++) {
		put(&again, FRAME_SYN, (uint32_t)-1, STR(""));
		assert_int_equal(must_get(&again).flags, FRAME_SYN | FRAME_ACK);
	}
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	finish(&raw, connection, strlen(REQUEST));
}

/* The bare ACK and the first half of the request are lost; the rest comes, then all of it again. */
static void lost_first_segments(void **state)
{
	const struct str whole = STR(REQUEST);
	struct raw raw = shake_hands();
	uint64_t before = sockets_made();
	int connection;

	(void)state;
	put(&raw, FRAME_ACK | FRAME_PSH, 20, str_of(whole.at + 20, whole.len - 20));
	put(&raw, FRAME_FIN | FRAME_ACK, (uint32_t)whole.len, STR(""));
	must_be_quiet(&raw);
	assert_int_equal(sockets_made(), before);
	put(&raw, FRAME_ACK, 0, str_of(whole.at, 20));
	connection = must_accept();
	put(&raw, FRAME_ACK | FRAME_PSH, 20, str_of(whole.at + 20, whole.len - 20));
	must_read(connection, REQUEST);
	finish(&raw, connection, (uint32_t)whole.len);
}

static void duplicate_acks(void **state)
{
	struct raw raw = shake_hands();
	uint64_t before = sockets_made();
	int connection;

	(void)state;
	for (int i = 0; i < 5; i++)
		put(&raw, FRAME_ACK, 0, STR(""));
	must_be_quiet(&raw);
	assert_int_equal(sockets_made(), before);
	must_be_alone();
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	for (int i = 0; i < 5; i++)
		put(&raw, FRAME_ACK, strlen(REQUEST), STR(""));
	must_read(connection, REQUEST);
	finish(&raw, connection, strlen(REQUEST));
}

/* A copy of the SYN that took a longer way: the kernel says where the connection stands. */
static void syn_comes_again_late(void **state)
{
	struct raw raw = shake_hands();
	struct segment segment;
	int connection;

	(void)state;
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	while (get(&raw, QUIET_MS, &segment))
		assert_int_equal(segment.flags, FRAME_ACK);
	put(&raw, FRAME_SYN, (uint32_t)-1, STR(""));
	if (get(&raw, QUIET_MS, &segment))
		assert_int_equal(segment.flags, FRAME_ACK);
	finish(&raw, connection, strlen(REQUEST));
}

/* Nothing is kept, so there is nothing to end, and nobody to answer. */
static void rst_before_the_request(void **state)
{
	struct raw raw = shake_hands();
	uint64_t before = sockets_made();

	(void)state;
	put(&raw, FRAME_ACK, 0, STR(""));
	put(&raw, FRAME_RST, 0, STR(""));
	must_be_quiet(&raw);
	assert_int_equal(sockets_made(), before);
	must_be_alone();
}

static void first_payload_again(void **state)
{
	struct raw raw = shake_hands();
	uint64_t before = sockets_made();
	int connection;

	(void)state;
	for (int i = 0; i < FIRST_PAYLOADS; i++)
		put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	put(&raw, FRAME_ACK, 0, STR("")); /* the bare ACK, much too late */
	connection = must_accept();
	must_read(connection, REQUEST);
	/*
	 * In one batch each of them may ask for a socket, the bare ACK too: it has the numbers
	 * of the first payload. The kernel makes one.
	 */
	assert_in_range(sockets_made() - before, 1, FIRST_PAYLOADS + 1);
	finish(&raw, connection, strlen(REQUEST));
}

/* The second segment overtakes the first: it is not answered, and comes again. */
static void segments_in_another_order(void **state)
{
	const struct str whole = STR(REQUEST);
	struct raw raw = shake_hands();
	int connection;

	(void)state;
	put(&raw, FRAME_ACK | FRAME_PSH, 10, str_of(whole.at + 10, whole.len - 10));
	must_be_quiet(&raw);
	must_be_alone();
	put(&raw, FRAME_ACK, 0, str_of(whole.at, 10));
	connection = must_accept();
	put(&raw, FRAME_ACK | FRAME_PSH, 10, str_of(whole.at + 10, whole.len - 10));
	must_read(connection, REQUEST);
	finish(&raw, connection, (uint32_t)whole.len);
}

static void byte_by_byte(void **state)
{
	const struct str whole = STR(REQUEST);
	struct raw raw = shake_hands();
	int connection;

	(void)state;
	for (uint32_t i = 0; i < whole.len; i++)
		put(&raw, FRAME_ACK | FRAME_PSH, i, str_of(whole.at + i, 1));
	connection = must_accept();
	must_read(connection, REQUEST);
	finish(&raw, connection, (uint32_t)whole.len);
}

/* Nothing is kept for it, and its probes are answered as by a socket. */
static void client_that_never_speaks(void **state)
{
	struct raw raw = shake_hands();
	uint64_t before = sockets_made();
	int connection;

	(void)state;
	put(&raw, FRAME_ACK, 0, STR(""));
	for (int i = 0; i < 3; i++) {
		struct segment segment;

		put(&raw, FRAME_ACK, (uint32_t)-1, STR(""));
		segment = must_get(&raw);
		assert_int_equal(segment.flags, FRAME_ACK);
		assert_int_equal(segment.ack_seq, CLIENT_ISN + 1);
		assert_int_equal(segment.seq, raw.ack_seq);
	}
	assert_int_equal(sockets_made(), before);
	/* And when it does speak at last: */
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	finish(&raw, connection, strlen(REQUEST));
}

static void client_that_only_closes(void **state)
{
	struct raw raw = shake_hands();
	uint64_t before = sockets_made();
	struct segment segment;

	(void)state;
	put(&raw, FRAME_ACK, 0, STR(""));
	put(&raw, FRAME_FIN | FRAME_ACK, 0, STR(""));
	segment = must_get(&raw);
	assert_int_equal(segment.flags, FRAME_FIN | FRAME_ACK);
	assert_int_equal(segment.ack_seq, CLIENT_ISN + 2);
	raw.ack_seq++;
	put(&raw, FRAME_ACK, 1, STR(""));
	must_be_quiet(&raw);
	assert_int_equal(sockets_made(), before);
}

/* The request and the FIN in one segment; the answer still comes. */
static void half_close(void **state)
{
	struct raw raw = shake_hands();
	struct segment segment;
	int connection;
	char byte;

	(void)state;
	put(&raw, FRAME_FIN | FRAME_PSH | FRAME_ACK, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	assert_int_equal(read(connection, &byte, 1), 0);
	assert_int_equal(write(connection, "ok", 2), 2);
	do
		segment = must_get(&raw);
	while (segment.payload_bytes == 0);
	assert_int_equal(segment.payload_bytes, 2);
	close(connection);
	must_be_alone();
}

/* Both sides close at once. */
static void simultaneous_fin(void **state)
{
	struct raw raw = shake_hands();
	struct segment segment;
	int connection;

	(void)state;
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	shutdown(connection, SHUT_WR);
	put(&raw, FRAME_FIN | FRAME_ACK, strlen(REQUEST), STR("")); /* before it hears of ours */
	do
		segment = must_get(&raw);
	while (!(segment.flags & FRAME_FIN));
	raw.ack_seq++;
	put(&raw, FRAME_ACK, strlen(REQUEST) + 1, STR(""));
	close(connection);
	must_be_alone();
}

static void rst_after_the_request(void **state)
{
	struct raw raw = shake_hands();
	struct pollfd wait = { .events = POLLIN };
	char byte;

	(void)state;
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	wait.fd = must_accept();
	must_read(wait.fd, REQUEST);
	put(&raw, FRAME_RST | FRAME_ACK, strlen(REQUEST), STR(""));
	assert_int_equal(poll(&wait, 1, ANSWER_MS), 1);
	assert_int_equal(read(wait.fd, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(wait.fd);
}

/* The client cannot take anything yet; the answer waits for its window. */
static void zero_window(void **state)
{
	struct raw raw = shake_hands();
	struct segment segment;
	int connection;

	(void)state;
	raw.window = 0;
	put(&raw, FRAME_ACK | FRAME_PSH, 0, STR(REQUEST));
	connection = must_accept();
	must_read(connection, REQUEST);
	assert_int_equal(write(connection, "ok", 2), 2);
	while (get(&raw, QUIET_MS, &segment))
		assert_int_equal(segment.payload_bytes, 0);
	raw.window = WINDOW;
	put(&raw, FRAME_ACK, strlen(REQUEST), STR(""));
	do
		segment = must_get(&raw);
	while (segment.payload_bytes == 0);
	assert_int_equal(segment.payload_bytes, 2);
	close(connection);
	must_be_alone();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_connection),
		cmocka_unit_test(syn_again),
		cmocka_unit_test(late_syn_ack),
		cmocka_unit_test(syn_comes_again_late),
		cmocka_unit_test(first_payload_again),
		cmocka_unit_test(segments_in_another_order),
		cmocka_unit_test(lost_first_segments),
		cmocka_unit_test(duplicate_acks),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(client_that_never_speaks),
		cmocka_unit_test(client_that_only_closes),
		cmocka_unit_test(half_close),
		cmocka_unit_test(simultaneous_fin),
		cmocka_unit_test(rst_before_the_request),
		cmocka_unit_test(rst_after_the_request),
		cmocka_unit_test(zero_window),
	};
	int failed = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		way = &ways[i];
		failed += cmocka_run_group_tests_name(way->name, tests, open_all, close_all);
	}
	return failed != 0;
}
