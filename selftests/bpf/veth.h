/* SPDX-License-Identifier: Apache-2.0 */
/*
 * veth: two namespaces joined by a cable, and a client in the other one.
 *
 *   client's namespace  cl0 ──── slu0  this namespace
 *
 * The client's process opens a connection from the CPU that it is told to, sends
 * a request for a host, and says whether it was answered. Frames that XDP sends
 * out of slu0 only reach cl0 while that has an XDP program, so it has one.
 */
#ifndef SLUICE_SELFTESTS_BPF_VETH_H
#define SLUICE_SELFTESTS_BPF_VETH_H

#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <signal.h>

#include <bpf/bpf.h>

#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "selftests/bpf/listen.h"

enum { LISTENERS = 4, REQUEST_MAX_BYTES = 2048 };

static const char *const addresses[LISTENERS] = { "10.213.7.1:80", "[fd13:7::1]:80",
						  "10.213.7.1:443", "[fd13:7::1]:443" };
static pid_t client;
static int to_client = -1, from_client = -1;

/* ---- the client's process ------------------------------------------------------------------- */

/* What becomes of the program on the client's side. */
enum peer_order { PEER_KEEP, PEER_BARE, PEER_XDP };

/* What the client is to do. */
struct order {
	enum peer_order peer; /* KEEP: a connection; else this, and no connection */
	int cpu;
	int listener;
	bool has_checksum_offload;
	int flood_frames; /* so many SYNs under false addresses, beside what comes next */
	char host[32];
};

static struct str request_for(const struct order *order, char text[REQUEST_MAX_BYTES],
			      struct frame *hello)
{
	if (listen_addr(addresses[order->listener]).port == 443)
		return hello_build(hello, &(struct hello_spec){ .name = order->host,
								.before_bytes = 1216 });
	return str_of(text, (size_t)snprintf(text, REQUEST_MAX_BYTES,
					     "GET / HTTP/1.1\r\nAccept: */*\r\nHost: %s\r\n\r\n",
					     order->host));
}

/* Of an XDP program that passes everything: until it is closed, or for the life of this process. */
static int peer_link = -1;

static char change_peer(enum peer_order peer)
{
	if (peer == PEER_XDP)
		peer_link = lab_attach_pass("cl0", "pass", XDP_FLAGS_DRV_MODE);
	else
		close(peer_link);
	return 1;
}

static void set_checksum_offload(bool is_on)
{
	int output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int kept = dup(STDOUT_FILENO);

	dup2(output, STDOUT_FILENO); /* it says what it changed */
	lab_command("ethtool", "-K", "cl0", "tx", is_on ? "on" : "off");
	dup2(kept, STDOUT_FILENO);
	close(kept);
	close(output);
}

/* Writes the frames on cl0: from 10.x.y.z, each from another port and address. */
static void __attribute__((noreturn)) flood(int frames)
{
	const char options[] =
		"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x01\x00\x00\x00\x00\x00\x00\x01\x03\x03\x07";
	struct frame_spec spec = { .local = "10.213.7.1",
				   .client = "10.99.0.0",
				   .tcp_flags = FRAME_SYN,
				   .tcp_options = { options, sizeof(options) - 1 } };
	struct sockaddr_ll name = { .sll_family = AF_PACKET };
	int wire = socket(AF_PACKET, SOCK_RAW, 0);
	struct frame frame;

	name.sll_ifindex = (int)if_nametoindex("cl0");
	bind(wire, (struct sockaddr *)&name, sizeof(name));
	for (uint32_t i = 0; i < (uint32_t)frames; i++) {
		uint32_t spread = i * 2654435761u;

		spec.client_port = (uint16_t)(1024 + i % 60000);
		frame_build(&frame, &spec);
		memcpy(frame.at + ETH_HLEN + 13, &spread, 3);
		frame_put_checksums(&frame);
		if (write(wire, frame.at, frame.len) < 0 && errno != ENOBUFS)
			break;
	}
	_exit(0);
}

/* 1 when the request was answered. */
static char follow_order(const struct order *order)
{
	struct addr addr = listen_addr(addresses[order->listener]);
	char text[REQUEST_MAX_BYTES];
	struct frame hello;
	struct str request = request_for(order, text, &hello);
	char answer = 0;
	int fd;

	if (order->peer != PEER_KEEP)
		return change_peer(order->peer);
	if (order->flood_frames) {
		if (fork() == 0)
			flood(order->flood_frames);
		return 1;
	}
	set_checksum_offload(order->has_checksum_offload);
	lab_pin_to_cpu(order->cpu);
	fd = listen_connect(&addr);
	if (fd < 0)
		return 0;
	if (write(fd, request.at, request.len) == (ssize_t)request.len &&
	    read(fd, text, sizeof(text)) == 2)
		answer = 1;
	close(fd);
	return answer;
}

/* Stays until the other end of its orders is closed. */
static void __attribute__((noreturn)) be_client(int orders, int answers)
{
	struct order order;
	char ready = 1;

	if (unshare(CLONE_NEWNET))
		lab_die("unshare");
	if (write(answers, &ready, 1) != 1 || read(orders, &ready, 1) != 1)
		_exit(1); /* now cl0 is here */
	lab_command("ip", "addr", "add", "10.213.7.2/24", "dev", "cl0");
	lab_command("ip", "addr", "add", "fd13:7::2/64", "dev", "cl0", "nodad");
	lab_up("cl0");
	peer_link = lab_attach_pass("cl0", "pass", XDP_FLAGS_DRV_MODE);
	if (write(answers, &ready, 1) != 1)
		_exit(1);
	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		ready = follow_order(&order);
		if (write(answers, &ready, 1) != 1)
			break;
	}
	_exit(0);
}

static void start_client(void)
{
	int orders[2], answers[2];

	if (pipe(orders) || pipe(answers))
		lab_die("pipe");
	client = fork();
	if (client < 0)
		lab_die("fork");
	if (client == 0) {
		close(orders[1]);
		close(answers[0]);
		be_client(orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	to_client = orders[1];
	from_client = answers[0];
}

static char hear_client(void)
{
	struct pollfd wait = { .fd = from_client, .events = POLLIN };
	char answer = 0;

	if (poll(&wait, 1, 2 * LISTEN_WAIT_MS) != 1 || read(from_client, &answer, 1) != 1)
		return 0;
	return answer;
}

/* ---- the world ------------------------------------------------------------------------------ */

static int make_link(void)
{
	char ready = 1, pid[16];

	start_client();
	if (!hear_client())
		return -1;
	snprintf(pid, sizeof(pid), "%d", client);
	if (lab_command("ip", "link", "add", "slu0", "address", "02:02:02:02:02:02", "type", "veth",
			"peer", "name", "cl0", "netns", pid) ||
	    lab_command("ip", "addr", "add", "10.213.7.1/24", "dev", "slu0") ||
	    lab_command("ip", "addr", "add", "fd13:7::1/64", "dev", "slu0", "nodad"))
		return -1;
	lab_up("slu0");
	/* Where those who flood say that they are. */
	if (lab_command("ip", "route", "add", "10.0.0.0/8", "via", "10.213.7.2"))
		return -1;
	if (write(to_client, &ready, 1) != 1)
		return -1;
	return hear_client() ? 0 : -1;
}

static void stop_client(void)
{
	close(to_client);
	if (client > 0)
		waitpid(client, NULL, 0);
}

#endif
