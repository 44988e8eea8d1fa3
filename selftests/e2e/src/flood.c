// SPDX-License-Identifier: Apache-2.0
/*
 * flood: frames that nobody wants, a counted number of them.
 *
 *   flood --interface eth0 --kind syn --frames 100000 --to 10.77.1.1 --from 198.18.0.0
 *         --local-mac 02:.. --remote-mac 02:..
 *
 *   syn        SYNs, each from another address and port
 *   ack        bare ACKs that belong to nothing
 *   malformed  flags that no TCP sends
 *   silent     SYNs; each answer gets its ACK, and then nothing
 *   hello      SYNs; each answer gets its ACK and a GET for a host that nobody has
 *
 * The last two bytes of --from count on, and the port with them. The kinds that answer
 * keep nothing about what they sent: all they say next stands in the answer itself. Says
 * as JSON how many frames were sent, and how many answers came.
 */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#include "base/clock.h"
#include "selftests/bpf/builder.h"

enum {
	BATCH = 64,    /* frames between two looks for answers */
	REST_MS = 200, /* for the last answers */
	BUFFER_BYTES = 8 << 20,
};

#define SYN_OPTIONS                                                                                \
	"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x01\x00\x00\x00\x00\x00\x00\x01\x03\x03\x07"

enum kind { KIND_SYN, KIND_ACK, KIND_MALFORMED, KIND_SILENT, KIND_HELLO, KINDS };

static const char *const kind_names[KINDS] = { "syn", "ack", "malformed", "silent", "hello" };

static struct {
	const char *interface, *to, *from;
	enum kind kind;
	unsigned long frames;
	uint16_t port;
	uint8_t local_mac[6], remote_mac[6];
} wanted = { .port = 80 };

static int wire;
static unsigned long sent, answered;

static void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Only SYN-ACKs are of interest; what clients beside us exchange is not. */
static void listen_for_answers_alone(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 2, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + sizeof(struct iphdr) + 13),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + sizeof(struct ipv6hdr) + 13),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FRAME_SYN | FRAME_ACK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, FRAME_MAX_BYTES),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (setsockopt(wire, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		die("filter");
}

static void open_wire(void)
{
	struct sockaddr_ll name = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int on = 1, bytes = BUFFER_BYTES;

	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	name.sll_ifindex = (int)if_nametoindex(wanted.interface);
	if (wire >= 0)
		listen_for_answers_alone();
	if (wire < 0 || setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    bind(wire, (struct sockaddr *)&name, sizeof(name)))
		die(wanted.interface);
}

/* A full queue loses the frame, as a wire would. */
static void put(const struct frame_spec *spec, unsigned long number)
{
	struct frame frame;
	size_t source;

	frame_build(&frame, spec);
	memcpy(frame.at, wanted.remote_mac, 6);
	memcpy(frame.at + 6, wanted.local_mac, 6);
	source = frame_ip_pos(&frame) + (spec->is_ipv6 ? 8 + 14 : 12 + 2);
	if (number) {
		frame.at[source] = (uint8_t)(number >> 8);
		frame.at[source + 1] = (uint8_t)number;
	}
	frame_put_checksums(&frame);
	if (write(wire, frame.at, frame.len) < 0 && errno != ENOBUFS)
		die("write");
	sent++;
}

static struct frame_spec spec_of(uint8_t flags, struct str options)
{
	return (struct frame_spec){ .is_ipv6 = strchr(wanted.to, ':') != NULL,
				    .client = wanted.from,
				    .local = wanted.to,
				    .local_port = wanted.port,
				    .window = 500,
				    .tcp_flags = flags,
				    .tcp_options = options };
}

static void begin(unsigned long number)
{
	static const uint8_t nonsense[] = { FRAME_SYN | FRAME_FIN, FRAME_SYN | FRAME_RST,
					    FRAME_FIN | FRAME_PSH,
					    FRAME_SYN | FRAME_FIN | FRAME_PSH | FRAME_ACK };
	struct frame_spec spec = spec_of(FRAME_SYN, STR(SYN_OPTIONS));

	if (wanted.kind == KIND_ACK)
		spec = spec_of(FRAME_ACK, STR(""));
	if (wanted.kind == KIND_MALFORMED)
		spec = spec_of(nonsense[number % sizeof(nonsense)], STR(""));
	spec.client_port = (uint16_t)(1024 + number % 60000);
	spec.seq = (uint32_t)number * 2654435761u;
	spec.ack_seq = wanted.kind == KIND_ACK ? ~spec.seq : 0;
	put(&spec, number + 1);
}

/* ---- the kinds that answer ------------------------------------------------------------------ */

static uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void go_on(const uint8_t *tcp, const char *client, const uint8_t *timestamp)
{
	char options[12] = "\x01\x01\x08\x0a\x00\x01\x00\x01", text[128];
	struct frame_spec spec = spec_of(FRAME_ACK, str_of(options, sizeof(options)));

	memcpy(options + 8, timestamp, 4);
	spec.client = client;
	spec.client_port = (uint16_t)(tcp[2] << 8 | tcp[3]);
	spec.seq = u32_at(tcp + 8);
	spec.ack_seq = u32_at(tcp + 4) + 1;
	if (wanted.kind == KIND_HELLO) {
		spec.tcp_flags |= FRAME_PSH;
		spec.payload =
			str_of(text, (size_t)snprintf(text, sizeof(text),
						      "GET / HTTP/1.1\r\nHost: none-%u.flood.test"
						      "\r\n\r\n",
						      spec.client_port));
	}
	put(&spec, 0);
}

/* Clients beside us get SYN-ACKs as well: those are theirs. */
static bool is_ours(const uint8_t *address, bool is_ipv6)
{
	uint8_t from[sizeof(struct in6_addr)];

	inet_pton(is_ipv6 ? AF_INET6 : AF_INET, wanted.from, from);
	return memcmp(address, from, is_ipv6 ? 14 : 2) == 0;
}

/* A SYN-ACK from where the frames go. Its timestamps stand behind MSS and SACK, or two NOPs. */
static void hear(const uint8_t *frame, size_t len)
{
	bool is_ipv6 = strchr(wanted.to, ':') != NULL;
	size_t ip_bytes = is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const uint8_t *ip = frame + ETH_HLEN, *tcp = ip + ip_bytes;
	const uint8_t *address = is_ipv6 ? ip + 24 : ip + 16;
	char client[INET6_ADDRSTRLEN];

	if (len < ETH_HLEN + ip_bytes + 40 || frame[12] != (is_ipv6 ? 0x86 : 0x08) ||
	    (is_ipv6 ? ip[6] : ip[9]) != IPPROTO_TCP || (tcp[0] << 8 | tcp[1]) != wanted.port ||
	    tcp[13] != (FRAME_SYN | FRAME_ACK) || !is_ours(address, is_ipv6))
		return;
	inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, address, client, sizeof(client));
	answered++;
	if (wanted.kind == KIND_SILENT || wanted.kind == KIND_HELLO)
		go_on(tcp, client, tcp + 28);
}

/* Takes the answers that are there, and those that come within that time. */
static void listen_for(int wait_ms)
{
	struct pollfd input = { .fd = wire, .events = POLLIN };
	uint64_t until_ms = clock_monotonic_ns() / NS_PER_MS + (uint64_t)wait_ms;
	uint8_t frame[FRAME_MAX_BYTES];

	while (poll(&input, 1, wait_ms) == 1) {
		ssize_t len = recv(wire, frame, sizeof(frame), 0);

		if (len > 0)
			hear(frame, (size_t)len);
		if (wait_ms && clock_monotonic_ns() / NS_PER_MS > until_ms)
			break;
	}
}

/* ---- options -------------------------------------------------------------------------------- */

static void take_mac(uint8_t mac[6], const char *text)
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6)
		exit(2);
}

static void take_kind(const char *text)
{
	for (wanted.kind = 0; wanted.kind < KINDS; wanted.kind++)
		if (strcmp(text, kind_names[wanted.kind]) == 0)
			return;
	fprintf(stderr, "flood: there is no kind '%s'\n", text);
	exit(2);
}

static void take_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "kind", required_argument, NULL, 'k' },
		{ "frames", required_argument, NULL, 'n' },
		{ "to", required_argument, NULL, 't' },
		{ "port", required_argument, NULL, 'p' },
		{ "from", required_argument, NULL, 'f' },
		{ "local-mac", required_argument, NULL, 'l' },
		{ "remote-mac", required_argument, NULL, 'r' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			wanted.interface = optarg;
			break;
		case 'k':
			take_kind(optarg);
			break;
		case 'n':
			wanted.frames = strtoul(optarg, NULL, 10);
			break;
		case 't':
			wanted.to = optarg;
			break;
		case 'p':
			wanted.port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'f':
			wanted.from = optarg;
			break;
		case 'l':
			take_mac(wanted.local_mac, optarg);
			break;
		case 'r':
			take_mac(wanted.remote_mac, optarg);
			break;
		default:
			exit(2);
		}
	}
	if (!wanted.interface || !wanted.to || !wanted.from)
		exit(2);
}

int main(int argc, char **argv)
{
	take_options(argc, argv);
	open_wire();
	for (unsigned long i = 0; i < wanted.frames; i++) {
		begin(i);
		if (i % BATCH == BATCH - 1)
			listen_for(0);
	}
	listen_for(REST_MS);
	printf("{\"sent\":%lu,\"answered\":%lu}\n", sent, answered);
	return 0;
}
