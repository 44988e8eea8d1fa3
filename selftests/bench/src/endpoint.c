// SPDX-License-Identifier: Apache-2.0
/*
 * endpoint: an HTTP/1.1 server that answers each port with a body of one size.
 *
 *   endpoint IP PORT:BYTES [PORT:BYTES ...]
 *
 * One thread, epoll, keepalive, answers prepared at start. An Upgrade to
 * websocket is accepted and then echoed byte for byte. It stands in for a real
 * endpoint in measurements and is as cheap as one can be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { INPUT_MAX = 8192, EVENTS_MAX = 512, KEY_MAX = 64 };

struct answer {
	char *bytes;
	size_t len;
};

struct peer {
	int fd;
	bool is_listening, is_echoing;
	const struct answer *answer;
	size_t owed;             /* answers to be sent */
	size_t sent;             /* bytes of the first of them */
	unsigned long long skip; /* bytes of a request's body still to come */
	size_t input_len;
	char input[INPUT_MAX];
};

static int epoll_fd;

static void watch(struct peer *peer, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.ptr = peer };

	epoll_ctl(epoll_fd, operation, peer->fd, &event);
}

static void open_port(const char *ip, int port, size_t body_len)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct peer *peer = mem_new(1, sizeof(*peer));
	struct answer *answer = mem_new(1, sizeof(*answer));
	int one = 1, head_len;

	answer->bytes = mem_new(1, body_len + 256);
	head_len = snprintf(
		answer->bytes, 256,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
		body_len);
	memset(answer->bytes + head_len, 'x', body_len);
	answer->len = (size_t)head_len + body_len;
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	peer->is_listening = true;
	peer->answer = answer;
	setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(peer->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	inet_pton(AF_INET, ip, &address.sin_addr);
	if (bind(peer->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(peer->fd, SOMAXCONN) < 0) {
		perror("endpoint: listen");
		exit(1);
	}
	watch(peer, EPOLLIN, EPOLL_CTL_ADD);
}

static void accept_peers(const struct peer *listener)
{
	int one = 1, fd;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct peer *peer = mem_new(1, sizeof(*peer));

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		peer->fd = fd;
		peer->answer = listener->answer;
		watch(peer, EPOLLIN | EPOLLRDHUP, EPOLL_CTL_ADD);
	}
}

static void accept_websocket(struct peer *peer, const char *head)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
	char key[KEY_MAX + sizeof(guid)] = "", reply[256], accept[64];
	unsigned char digest[SHA_DIGEST_LENGTH];
	const char *field = strcasestr(head, "sec-websocket-key:");
	int len;

	if (field)
		sscanf(field + strlen("sec-websocket-key:"), " %63[^\r\n ]", key);
	memcpy(key + strlen(key), guid, sizeof(guid));
	SHA1((const unsigned char *)key, strlen(key), digest);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
	len = snprintf(reply, sizeof(reply),
		       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		       accept);
	send(peer->fd, reply, (size_t)len, MSG_NOSIGNAL);
	peer->is_echoing = true;
}

static void drop_input(struct peer *peer, size_t len)
{
	memmove(peer->input, peer->input + len, peer->input_len - len);
	peer->input_len -= len;
}

static void skip_body(struct peer *peer)
{
	size_t len = peer->skip < peer->input_len ? (size_t)peer->skip : peer->input_len;

	peer->skip -= len;
	drop_input(peer, len);
}

/* Takes complete requests out of the input; false when a head does not fit. */
static bool take_requests(struct peer *peer)
{
	skip_body(peer);
	while (!peer->skip && peer->input_len) {
		const char *end, *length;

		peer->input[peer->input_len] = 0;
		end = strstr(peer->input, "\r\n\r\n");
		if (!end)
			return peer->input_len < sizeof(peer->input) - 1;
		length = strcasestr(peer->input, "\r\ncontent-length:");
		if (length && length < end)
			peer->skip = strtoull(length + 17, NULL, 10);
		if (strcasestr(peer->input, "\r\nupgrade: websocket")) {
			accept_websocket(peer, peer->input);
			peer->input_len = 0;
			return true;
		}
		peer->owed++;
		drop_input(peer, (size_t)(end + 4 - peer->input));
		skip_body(peer);
	}
	return true;
}

/* 1 all sent, 0 the socket is full, -1 failed */
static int send_owed(struct peer *peer)
{
	const struct answer *answer = peer->answer;

	while (peer->owed) {
		ssize_t done = send(peer->fd, answer->bytes + peer->sent, answer->len - peer->sent,
				    MSG_NOSIGNAL);

		if (done < 0)
			return errno == EAGAIN ? 0 : -1;
		peer->sent += (size_t)done;
		if (peer->sent == answer->len) {
			peer->sent = 0;
			peer->owed--;
		}
	}
	return 1;
}

static bool receive(struct peer *peer)
{
	for (;;) {
		ssize_t len = recv(peer->fd, peer->input + peer->input_len,
				   sizeof(peer->input) - 1 - peer->input_len, 0);

		if (len <= 0)
			return len < 0 && errno == EAGAIN;
		peer->input_len += (size_t)len;
		if (peer->is_echoing) {
			send(peer->fd, peer->input, peer->input_len, MSG_NOSIGNAL);
			peer->input_len = 0;
		} else if (!take_requests(peer)) {
			return false;
		}
		if ((size_t)len < sizeof(peer->input) / 2)
			return true;
	}
}

static void serve(struct peer *peer, uint32_t events)
{
	bool is_fine = true;
	int rc;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		is_fine = receive(peer);
	rc = is_fine ? send_owed(peer) : -1;
	if (rc < 0) {
		close(peer->fd);
		mem_free(peer);
		return;
	}
	if (rc == 0 || events & EPOLLOUT)
		watch(peer, rc == 0 ? EPOLLIN | EPOLLOUT | EPOLLRDHUP : EPOLLIN | EPOLLRDHUP,
		      EPOLL_CTL_MOD);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 2; i < argc; i++) {
		int port, body_len;

		if (sscanf(argv[i], "%d:%d", &port, &body_len) != 2)
			return 2;
		open_port(argv[1], port, (size_t)body_len);
	}
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			struct peer *peer = events[i].data.ptr;

			if (peer->is_listening)
				accept_peers(peer);
			else
				serve(peer, events[i].events);
		}
	}
}
