// SPDX-License-Identifier: Apache-2.0
/*
 * crowd: many clients at once, for tests that count connections.
 *
 *   crowd --to 10.77.1.1 --port 80 --sources 10.77.1.2,10.77.1.3 --domain crowd.test
 *         --hosts 100 --connections 10000 --at-once 64 --requests 1 [--until-eof]
 *
 * Connection n comes from source n / hosts, asks for host-<n % hosts>.<domain> as often
 * as --requests says, and checks each answer to its last byte. Every second one lets the
 * other side close first. With --until-eof new ones follow until standard input ends.
 *
 * Says `going` once as many answers have come as there are clients at once, and at the
 * end one line of JSON: what was answered, what failed and how, and what the handshakes
 * negotiated. Runs in one thread: a test has two CPUs for client, proxy and endpoint.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
	SOURCES_MAX = 64,
	BODY_BYTES = 300,
	INPUT_BYTES = 4096,
	PATIENCE_MS = 40000, /* of a client: a SYN that is lost four times comes again in 15 s */
	LOOK_EVERY_MS = 500,
	EVENTS_MAX = 128,
	KINDS_MAX = 32,
};

enum failure { FAILED_CONNECT, FAILED_RESET, FAILED_CLOSED, FAILED_WRONG, FAILED_LATE, FAILURES };

static const char *const failure_names[FAILURES] = { "connect", "reset", "closed", "wrong",
						     "late" };

struct client {
	int fd; /* -1: free */
	bool is_connected, closes_last;
	uint64_t number, began_ms;
	int requests_left;
	size_t len;
	char input[INPUT_BYTES];
};

/* What a handshake negotiated, as the client's kernel has it. */
struct kind {
	unsigned int options, snd_wscale, rcv_wscale, snd_mss, advmss;
	uint64_t count;
};

static struct {
	struct addr to, sources[SOURCES_MAX];
	int source_count;
	const char *domain;
	uint64_t hosts, connections, at_once;
	int requests;
	bool is_until_eof, closes_first;
} wanted = { .hosts = 1, .connections = 1, .at_once = 1, .requests = 1 };

static struct client *clients;
static int epoll_fd;
static uint64_t started, open_count, answers, failures[FAILURES], worst_ms;
static struct kind kinds[KINDS_MAX];
static bool has_said_going, has_input_ended;

static void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	return clock_monotonic_ns() / NS_PER_MS;
}

/* ---- one client ----------------------------------------------------------------------------- */

static void finish(struct client *client)
{
	uint64_t took_ms = now_ms() - client->began_ms;

	worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
	close(client->fd);
	client->fd = -1;
	open_count--;
}

static void fail(struct client *client, enum failure failure)
{
	failures[failure]++;
	finish(client);
}

static int set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

static int open_socket(const struct client *client)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&wanted.to, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	uint64_t turn = client->number / wanted.hosts;

	if (fd < 0)
		die("socket");
	if (wanted.source_count) {
		const struct addr *source = &wanted.sources[turn % (uint64_t)wanted.source_count];
		struct sockaddr_storage from;
		socklen_t from_len = addr_to_sockaddr(source, &from);

		if (set_on(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT) ||
		    bind(fd, (struct sockaddr *)&from, from_len))
			die("bind");
	}
	if (connect(fd, (struct sockaddr *)&sa, len) && errno != EINPROGRESS)
		die("connect");
	return fd;
}

static void begin(struct client *client)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = client };

	*client = (struct client){ .number = started++,
				   .began_ms = now_ms(),
				   .requests_left = wanted.requests };
	client->closes_last = client->number % 2 && !wanted.closes_first;
	client->fd = open_socket(client);
	open_count++;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event))
		die("epoll_ctl");
}

static void note_handshake(const struct client *client)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	struct kind kind, *at = kinds;

	if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	kind = (struct kind){ info.tcpi_options, info.tcpi_snd_wscale, info.tcpi_rcv_wscale,
			      info.tcpi_snd_mss, info.tcpi_advmss,     0 };
	while (at < kinds + KINDS_MAX - 1 && at->count &&
	       memcmp(at, &kind, offsetof(struct kind, count)) != 0)
		at++;
	kind.count = at->count + 1;
	*at = kind;
}

static void ask(struct client *client)
{
	char text[256];
	bool is_last = client->requests_left == 1 && client->closes_last;
	int len = snprintf(text, sizeof(text),
			   "GET /?bytes=%d HTTP/1.1\r\nHost: host-%llu.%s\r\n%s\r\n", BODY_BYTES,
			   (unsigned long long)(client->number % wanted.hosts), wanted.domain,
			   is_last ? "Connection: close\r\n" : "");

	client->len = 0;
	if (send(client->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		fail(client, FAILED_RESET);
}

static bool is_body_right(const char *body)
{
	for (int i = 0; i < BODY_BYTES; i++)
		if (body[i] != 'a' + i % 26)
			return false;
	return true;
}

/* The answer is whole, or will be: 1 and 0; -1: it is not what was asked for. */
static int check_answer(struct client *client)
{
	static const char status[] = "HTTP/1.1 200 ";
	char length[40], *body;

	client->input[client->len] = 0;
	body = strstr(client->input, "\r\n\r\n");
	if (!body)
		return client->len < INPUT_BYTES - 1 ? 0 : -1;
	body += 4;
	snprintf(length, sizeof(length), "\r\nContent-Length: %d\r\n", BODY_BYTES);
	if (strncmp(client->input, status, strlen(status)) != 0 || !strstr(client->input, length))
		return -1;
	if (client->len < (size_t)(body - client->input) + BODY_BYTES)
		return 0;
	if (client->len > (size_t)(body - client->input) + BODY_BYTES || !is_body_right(body))
		return -1;
	return 1;
}

static void take_answer(struct client *client)
{
	/* Asked to come again on another connection, as by a sluice that makes room for the next.
	 */
	if (strstr(client->input, "\r\nConnection: close\r\n")) {
		client->requests_left = 1;
		client->closes_last = true;
	}
	answers++;
	if (!has_said_going && answers >= wanted.at_once) {
		has_said_going = true;
		puts("going");
		fflush(stdout);
	}
	client->requests_left--;
	if (client->requests_left > 0)
		ask(client);
	else if (!client->closes_last)
		finish(client);
}

static void receive(struct client *client)
{
	ssize_t got =
		recv(client->fd, client->input + client->len, INPUT_BYTES - 1 - client->len, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got < 0) {
		fail(client, FAILED_RESET);
		return;
	}
	if (got == 0 && client->requests_left == 0)
		finish(client);
	else if (got == 0)
		fail(client, FAILED_CLOSED);
	if (got == 0)
		return;
	client->len += (size_t)got;
	switch (client->requests_left ? check_answer(client) : -1) {
	case 1:
		take_answer(client);
		break;
	case -1:
		fail(client, FAILED_WRONG);
		break;
	}
}

static void connected(struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		fail(client, FAILED_CONNECT);
		return;
	}
	client->is_connected = true;
	note_handshake(client);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, client->fd, &event))
		die("epoll_ctl");
	ask(client);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool has_more(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	if (!wanted.is_until_eof)
		return started < wanted.connections;
	if (!has_input_ended && poll(&input, 1, 0) == 1)
		has_input_ended = true;
	return !has_input_ended;
}

static void look_at_clocks(void)
{
	for (uint64_t i = 0; i < wanted.at_once; i++)
		if (clients[i].fd >= 0 && now_ms() > clients[i].began_ms + PATIENCE_MS)
			fail(&clients[i], FAILED_LATE);
}

static void fill(void)
{
	for (uint64_t i = 0; i < wanted.at_once && open_count < wanted.at_once; i++)
		if (clients[i].fd < 0 && has_more())
			begin(&clients[i]);
}

static void run(void)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t looked_ms = now_ms();

	for (fill(); open_count; fill()) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, LOOK_EVERY_MS);

		for (int i = 0; i < count; i++) {
			struct client *client = events[i].data.ptr;

			if (client->fd >= 0 && client->is_connected)
				receive(client);
			else if (client->fd >= 0)
				connected(client);
		}
		if (now_ms() < looked_ms + LOOK_EVERY_MS)
			continue;
		looked_ms = now_ms();
		look_at_clocks();
	}
}

static void report(void)
{
	printf("{\"connections\":%llu,\"answers\":%llu,\"worst_ms\":%llu,\"failed\":{",
	       (unsigned long long)started, (unsigned long long)answers,
	       (unsigned long long)worst_ms);
	for (int i = 0; i < FAILURES; i++)
		printf("%s\"%s\":%llu", i ? "," : "", failure_names[i],
		       (unsigned long long)failures[i]);
	printf("},\"handshakes\":[");
	for (int i = 0; i < KINDS_MAX && kinds[i].count; i++)
		printf("%s{\"options\":%u,\"snd_wscale\":%u,\"rcv_wscale\":%u,\"snd_mss\":%u,"
		       "\"advmss\":%u,\"count\":%llu}",
		       i ? "," : "", kinds[i].options, kinds[i].snd_wscale, kinds[i].rcv_wscale,
		       kinds[i].snd_mss, kinds[i].advmss, (unsigned long long)kinds[i].count);
	puts("]}");
}

/* ---- options -------------------------------------------------------------------------------- */

static void take_address(struct addr *addr, const char *text)
{
	if (addr_parse_ip(str_from_c(text), addr)) {
		fprintf(stderr, "crowd: '%s' is no address\n", text);
		exit(2);
	}
}

static void take_sources(char *list)
{
	for (char *rest = list, *one;
	     (one = strsep(&rest, ",")) && wanted.source_count < SOURCES_MAX;)
		take_address(&wanted.sources[wanted.source_count++], one);
}

static void take_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "port", required_argument, NULL, 'p' },
		{ "sources", required_argument, NULL, 's' },
		{ "domain", required_argument, NULL, 'd' },
		{ "hosts", required_argument, NULL, 'h' },
		{ "connections", required_argument, NULL, 'c' },
		{ "at-once", required_argument, NULL, 'a' },
		{ "requests", required_argument, NULL, 'r' },
		{ "until-eof", no_argument, NULL, 'e' },
		{ "closes-first", no_argument, NULL, 'f' },
		{ 0 },
	};
	unsigned long port = 80;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long number = optarg ? strtoul(optarg, NULL, 10) : 0;

		switch (option) {
		case 't':
			take_address(&wanted.to, optarg);
			break;
		case 'p':
			port = number;
			break;
		case 's':
			take_sources(optarg);
			break;
		case 'd':
			wanted.domain = optarg;
			break;
		case 'h':
			wanted.hosts = number;
			break;
		case 'c':
			wanted.connections = number;
			break;
		case 'a':
			wanted.at_once = number;
			break;
		case 'r':
			wanted.requests = (int)number;
			break;
		case 'e':
			wanted.is_until_eof = true;
			break;
		case 'f':
			wanted.closes_first = true;
			break;
		default:
			exit(2);
		}
	}
	wanted.to.port = (uint16_t)port;
	if (!wanted.domain || !wanted.hosts || !wanted.at_once || wanted.requests < 1)
		exit(2);
}

int main(int argc, char **argv)
{
	take_options(argc, argv);
	clients = mem_new(wanted.at_once, sizeof(*clients));
	for (uint64_t i = 0; i < wanted.at_once; i++)
		clients[i].fd = -1;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	run();
	report();
	return 0;
}
